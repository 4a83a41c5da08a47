//! Where parts go: a folder, or a bucket. A part is there as a whole or not at all, and storing it
//! again changes nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutPayload};
use tokio::runtime::{Builder, Runtime};

use crate::ArchiveError;

/// A target as it is typed: a folder, or `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A folder; made if it is not there.
    Folder(PathBuf),
    /// A bucket and what its keys begin with.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The prefix, perhaps empty.
        prefix: String,
    },
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return match text.contains("://") {
                true => Err("a folder, or s3://BUCKET/PREFIX".to_owned()),
                false => Ok(Self::Folder(text.into())),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        match bucket.is_empty() {
            true => Err("s3://BUCKET/PREFIX: the bucket is missing".to_owned()),
            false => Ok(Self::Bucket {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            }),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Store(Inner);

#[derive(Debug)]
enum Inner {
    Folder(PathBuf),
    Bucket {
        runtime: Runtime,
        client: Arc<AmazonS3>,
        prefix: String,
    },
}

impl Store {
    /// Opens it. Credentials, Region and endpoint of a bucket come from the environment
    /// (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL` …) or from the instance.
    ///
    /// # Errors
    /// The target makes no sense.
    pub fn open(target: &Target) -> Result<Self, ArchiveError> {
        match target {
            Target::Folder(path) => Ok(Self(Inner::Folder(path.clone()))),
            Target::Bucket { bucket, prefix } => {
                let failed = |why: String| ArchiveError::Target {
                    target: format!("s3://{bucket}/{prefix}"),
                    why,
                };
                // The first one counts; there is no other in this process.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .build()
                    .map_err(|error| failed(error.to_string()))?;
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| failed(error.to_string()))?;
                Ok(Self(Inner::Bucket {
                    runtime,
                    client: Arc::new(client),
                    prefix: prefix.clone(),
                }))
            }
        }
    }

    /// Stores a part; it outlives a crash of the machine once this returns.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        match &self.0 {
            Inner::Folder(folder) => put_file(&folder.join(name), &bytes),
            Inner::Bucket {
                runtime,
                client,
                prefix,
            } => {
                let key = match prefix.as_str() {
                    "" => Key::from(name),
                    prefix => Key::from(format!("{prefix}/{name}")),
                };
                let put = client.put(&key, PutPayload::from(bytes));
                let stored = runtime.block_on(put);
                stored.map(|_| ()).map_err(|error| ArchiveError::Store {
                    path: key.to_string(),
                    cause: error.to_string(),
                })
            }
        }
    }
}

/// Written under a hidden name, on the disk, renamed, and the folder on the disk.
fn put_file(path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = folder.join(format!(".{name}.tmp"));
    let write = || {
        fs::create_dir_all(folder)?;
        let mut file = File::create(&hidden)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&hidden, path)?;
        // The folder, and the one that it may have been made in.
        for folder in folder.ancestors().take(3).filter(|it| it.is_dir()) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|cause| ArchiveError::io("written", path, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_folder_or_a_bucket() {
        assert_eq!("out".parse(), Ok(Target::Folder("out".into())));
        let bucket = |bucket: &str, prefix: &str| {
            Ok(Target::Bucket {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            })
        };
        assert_eq!("s3://b".parse(), bucket("b", ""));
        assert_eq!("s3://b/a/c/".parse(), bucket("b", "a/c"));
        assert!(Target::from_str("s3:///a").is_err());
        assert!(Target::from_str("gs://b").is_err());
    }
}
