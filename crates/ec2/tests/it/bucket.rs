//! Objects in a bucket, as moto plays S3, and what goes wrong on the way.

use std::time::Duration;

use vxscope_control::mirror::{ApiError, ErrorKind};
use vxscope_ec2::{ObjectAnswer, ObjectAsk, ObjectCall};
use vxscope_enrolment::lead::Condition;
use vxscope_standin::{Fault, FaultKind, Moto};

use crate::kit::{Kit, kit};

const BUCKET: &str = "shared";

#[test]
fn conditions_let_one_writer_win() {
    let Some((mut kit, _moto)) = with_bucket() else {
        return;
    };
    assert_eq!(get(&mut kit, "lease"), Ok(ObjectAnswer::Missing));
    let first = stored(put(&mut kit, "lease", "one", Some(Condition::Absent)));
    let there = ObjectAnswer::There {
        bytes: b"one".to_vec(),
        tag: first.clone(),
    };
    assert_eq!(get(&mut kit, "lease"), Ok(there.clone()));
    let again = get_unless(&mut kit, "lease", Some(&first));
    assert_eq!(again, Ok(ObjectAnswer::Same), "nothing is sent twice");
    let other = get_unless(&mut kit, "lease", Some("\"other\""));
    assert_eq!(other, Ok(there));
    let absent = put(&mut kit, "lease", "two", Some(Condition::Absent));
    assert_eq!(absent, Ok(ObjectAnswer::Refused));
    let old = || Some(Condition::Tag(first.clone()));
    let second = stored(put(&mut kit, "lease", "two", old()));
    assert_ne!(first, second);
    let late = put(&mut kit, "lease", "three", old());
    assert_eq!(late, Ok(ObjectAnswer::Refused));
    for _ in 0..2 {
        let key = "lease".to_owned();
        let deleted = ask(&mut kit, ObjectCall::Delete { key });
        assert_eq!(deleted, Ok(ObjectAnswer::Deleted));
    }
    let gone = put(&mut kit, "lease", "four", Some(Condition::Tag(second)));
    assert_eq!(gone, Ok(ObjectAnswer::Refused), "what bore the tag is gone");
}

#[test]
fn every_key_of_a_prefix_is_listed_and_no_other() {
    let Some((mut kit, moto)) = with_bucket() else {
        return;
    };
    // More than a page.
    moto.script(
        "s3 = client('s3')\n\
         for at in range(1001):\n\
         \x20   s3.put_object(Bucket='shared', Key=f'crumbs/{at:04}', Body=b'x')\n\
         s3.put_object(Bucket='shared', Key='other', Body=b'x')\n",
    )
    .unwrap();
    let keys = listed(&mut kit, "crumbs/").unwrap();
    assert_eq!(keys.len(), 1_001);
    assert_eq!(keys[1_000].0, "crumbs/1000");
    assert!(keys.iter().all(|(_, tag)| !tag.is_empty()));
    assert_eq!(listed(&mut kit, "none/"), Ok(Vec::new()));
}

#[test]
fn what_fails_says_whether_it_was_done() {
    let Some((mut kit, _moto)) = with_bucket() else {
        return;
    };
    for (kind, expected, is_there) in [
        (FaultKind::Throttle, ErrorKind::Throttled, false),
        (FaultKind::Unavailable, ErrorKind::Unavailable, false),
        (FaultKind::Denied, ErrorKind::Unauthorized, false),
        (FaultKind::DropBefore, ErrorKind::UnknownOutcome, false),
        (FaultKind::InternalAfter, ErrorKind::UnknownOutcome, true),
        (FaultKind::DropAfter, ErrorKind::UnknownOutcome, true),
    ] {
        let key = format!("put-{kind:?}");
        let fault = Fault::once("s3:PutObject", kind, 0);
        kit.standin.faults(|faults| faults.add(fault));
        let error = put(&mut kit, &key, "x", None).unwrap_err();
        assert_eq!(error.kind, expected, "{key}: {error}");
        let there = get(&mut kit, &key).unwrap();
        assert_eq!(there != ObjectAnswer::Missing, is_there, "{key}");
    }
    let nobody = ObjectAsk {
        bucket: "nobodys".to_owned(),
        what: ObjectCall::Get {
            key: "x".to_owned(),
            unless: None,
        },
    };
    let error = kit.object(nobody).unwrap_err();
    assert_eq!(
        (error.kind, &*error.code),
        (ErrorKind::Missing, "NoSuchBucket")
    );
}

#[test]
fn an_answer_that_is_cut_is_no_object_and_no_list() {
    let Some((mut kit, _moto)) = with_bucket() else {
        return;
    };
    stored(put(&mut kit, "sta.conf", "{\"automations\": {}}", None));
    for kind in [FaultKind::Torn, FaultKind::Hang(Duration::from_millis(10))] {
        let fault = Fault::once("s3:GetObject", kind.clone(), 0);
        kit.standin.faults(|faults| faults.add(fault));
        let error = get(&mut kit, "sta.conf").unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnknownOutcome, "{kind:?}: {error}");
    }
    for kind in [FaultKind::Torn, FaultKind::Html] {
        let fault = Fault::once("s3:ListBucket", kind.clone(), 0);
        kit.standin.faults(|faults| faults.add(fault));
        let error = listed(&mut kit, "").unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnknownOutcome, "{kind:?}: {error}");
    }
    assert_eq!(listed(&mut kit, "").unwrap().len(), 1);
}

/// A stand-in with moto behind it that has a bucket; `None`, with a note, without moto.
fn with_bucket() -> Option<(Kit, Moto)> {
    let moto = Moto::provided()?;
    let made = moto.script("client('s3').create_bucket(Bucket='shared')");
    made.expect("a bucket");
    let kit = kit();
    kit.standin.forward(moto.address());
    Some((kit, moto))
}

fn ask(kit: &mut Kit, what: ObjectCall) -> Result<ObjectAnswer, ApiError> {
    kit.object(ObjectAsk {
        bucket: BUCKET.to_owned(),
        what,
    })
}

fn get(kit: &mut Kit, key: &str) -> Result<ObjectAnswer, ApiError> {
    get_unless(kit, key, None)
}

fn get_unless(kit: &mut Kit, key: &str, tag: Option<&str>) -> Result<ObjectAnswer, ApiError> {
    let get = ObjectCall::Get {
        key: key.to_owned(),
        unless: tag.map(str::to_owned),
    };
    ask(kit, get)
}

fn put(
    kit: &mut Kit,
    key: &str,
    text: &str,
    condition: Option<Condition>,
) -> Result<ObjectAnswer, ApiError> {
    let put = ObjectCall::Put {
        key: key.to_owned(),
        bytes: text.as_bytes().to_vec(),
        condition,
    };
    ask(kit, put)
}

fn listed(kit: &mut Kit, prefix: &str) -> Result<Vec<(String, String)>, ApiError> {
    let prefix = prefix.to_owned();
    match ask(kit, ObjectCall::List { prefix })? {
        ObjectAnswer::Keys(keys) => Ok(keys),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn stored(answer: Result<ObjectAnswer, ApiError>) -> String {
    match answer {
        Ok(ObjectAnswer::Stored { tag }) => tag,
        other => panic!("{other:?}"),
    }
}
