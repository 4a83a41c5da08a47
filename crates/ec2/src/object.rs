//! Small objects in a bucket: what several machines share, read and written under conditions.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use vxscope_control::mirror::ApiError;
use vxscope_enrolment::lead::Condition;

use crate::error::{api_error, incomplete};
use crate::whole::Whole;

/// More is none of the small objects that are shared: it is refused before it is read.
pub const OBJECT_MAX: usize = 8 << 20;
/// Pages of keys at most, 1,000 each.
const PAGES_MAX: usize = 100;

/// Names one question of one run, to tell its answer.
pub type ObjectId = u64;

/// What is asked of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectAsk {
    /// Its name.
    pub bucket: String,
    /// What is asked.
    pub what: ObjectCall,
}

/// One call. S3 is strongly consistent: what was written is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectCall {
    /// `GetObject`.
    Get {
        /// Of which key.
        key: String,
        /// Only if it does not bear this tag (`If-None-Match`).
        unless: Option<String>,
    },
    /// `PutObject`, as a whole or not at all.
    Put {
        /// Under which key.
        key: String,
        /// What it is to be.
        bytes: Vec<u8>,
        /// Only if this is so; whatever is there is replaced if absent.
        condition: Option<Condition>,
    },
    /// `ListObjectsV2`, every page.
    List {
        /// How keys begin.
        prefix: String,
    },
    /// `DeleteObject`. What is not there is deleted, too.
    Delete {
        /// Which key.
        key: String,
    },
}

/// What a bucket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectAnswer {
    /// To a get: there is this.
    There {
        /// What.
        bytes: Vec<u8>,
        /// Its tag, for [`Condition::Tag`].
        tag: String,
    },
    /// To a get: it bears the tag that was named.
    Same,
    /// To a get: there is no such object.
    Missing,
    /// To a put: it is written.
    Stored {
        /// Its new tag.
        tag: String,
    },
    /// To a put: the condition does not hold, or another write is under way.
    Refused,
    /// To a list: keys and their tags, in the order of keys.
    Keys(Vec<(String, String)>),
    /// To a delete: there is none any more.
    Deleted,
}

impl ObjectAsk {
    pub(crate) async fn run(self, client: &Client) -> Result<ObjectAnswer, ApiError> {
        let bucket = self.bucket;
        match self.what {
            ObjectCall::Get { key, unless } => get(client, bucket, key, unless).await,
            ObjectCall::Put {
                key,
                bytes,
                condition,
            } => put(client, bucket, key, bytes, condition).await,
            ObjectCall::List { prefix } => list(client, bucket, prefix).await,
            ObjectCall::Delete { key } => {
                let call = client.delete_object().bucket(bucket).key(key);
                call.send().await.map_err(|error| api_error(&error))?;
                Ok(ObjectAnswer::Deleted)
            }
        }
    }
}

async fn get(
    client: &Client,
    bucket: String,
    key: String,
    unless: Option<String>,
) -> Result<ObjectAnswer, ApiError> {
    let call = client.get_object().bucket(bucket).key(key);
    let call = call.set_if_none_match(unless);
    let there = match call.send().await.map_err(|error| api_error(&error)) {
        Ok(there) => there,
        // 304 has no body, and so no code of S3's.
        Err(error) if error.code == "Http304" => return Ok(ObjectAnswer::Same),
        Err(error) if error.code == "NoSuchKey" => return Ok(ObjectAnswer::Missing),
        Err(error) => return Err(error),
    };
    let tag = there.e_tag.ok_or_else(|| incomplete("tag"))?;
    let length = there.content_length.and_then(|it| usize::try_from(it).ok());
    let length = length.ok_or_else(|| incomplete("length"))?;
    if length > OBJECT_MAX {
        return Err(ApiError::new(
            "EntityTooLarge",
            "the object is not a small one",
        ));
    }
    let body = there.body.collect().await;
    let bytes = body.map_err(|_| incomplete("end"))?.to_vec();
    if bytes.len() != length {
        return Err(incomplete("end"));
    }
    Ok(ObjectAnswer::There { bytes, tag })
}

async fn put(
    client: &Client,
    bucket: String,
    key: String,
    bytes: Vec<u8>,
    condition: Option<Condition>,
) -> Result<ObjectAnswer, ApiError> {
    let call = client.put_object().bucket(bucket).key(key);
    let needs_one = matches!(condition, Some(Condition::Tag(_)));
    let call = match condition {
        None => call,
        Some(Condition::Absent) => call.if_none_match("*"),
        Some(Condition::Tag(tag)) => call.if_match(tag),
    };
    let call = call.body(ByteStream::from(bytes));
    match call.send().await.map_err(|error| api_error(&error)) {
        Ok(stored) => {
            let tag = stored.e_tag.ok_or_else(|| incomplete("tag"))?;
            Ok(ObjectAnswer::Stored { tag })
        }
        Err(error) => match error.code.as_str() {
            "PreconditionFailed" | "ConditionalRequestConflict" => Ok(ObjectAnswer::Refused),
            // What bore the tag was deleted.
            "NoSuchKey" if needs_one => Ok(ObjectAnswer::Refused),
            _ => Err(error),
        },
    }
}

async fn list(client: &Client, bucket: String, prefix: String) -> Result<ObjectAnswer, ApiError> {
    let (mut keys, mut next) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let call = client.list_objects_v2().bucket(&bucket).prefix(&prefix);
        let call = call.set_continuation_token(next);
        // A page that ends in the middle would be a shorter one.
        let page = call.customize().interceptor(Whole("ListBucketResult>"));
        let page = page.send().await.map_err(|error| api_error(&error))?;
        let objects = page.contents.unwrap_or_default().into_iter();
        keys.extend(objects.filter_map(|one| Some((one.key?, one.e_tag?))));
        next = page.next_continuation_token;
        if next.is_none() {
            return Ok(ObjectAnswer::Keys(keys));
        }
    }
    Err(incomplete("last page"))
}
