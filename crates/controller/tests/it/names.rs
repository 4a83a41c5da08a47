//! `sta.conf`: names and mode from the bucket, else from a file.

use std::time::Duration;

use serde_json::{Value, json};
use vxscope_standin::{Entry, Fault, FaultKind, Moto};

use crate::kit::{ALL, Site, site_with_bucket, tagged, until};

const BUCKET: &str = "shared";

#[test]
fn names_come_from_the_bucket_first_and_a_bad_file_changes_nothing() {
    let Some((site, moto)) = with_names() else {
        return;
    };
    put(&moto, &naming("theirs"));
    site.settle();
    assert_eq!(site.plan()["unchanged"], 1);
    assert_eq!(mirrored(&site), ["eni-theirs"]);
    // Every run of these is a process of its own.
    for bad in ["{", &naming("aws:wrong"), "[]"] {
        put(&moto, bad);
        site.settle();
        assert_eq!(mirrored(&site), ["eni-theirs"], "{bad}");
        let told = |value: &Value| value["findings"].to_string();
        let state: Value = serde_json::from_str(&site.ok(&["status", "--json"])).unwrap();
        for told in [told(&state), told(&site.plan())] {
            assert!(
                told.contains("s3://shared/sta.conf: bad_sta_conf"),
                "{told}"
            );
        }
    }
    // A store that does not answer changes nothing either.
    let denied = Fault::every("s3:GetObject", FaultKind::Denied);
    site.standin.faults(|faults| faults.add(denied));
    let plan = site.plan();
    assert_eq!(
        (&plan["create"], &plan["unchanged"]),
        (&json!([]), &json!(1))
    );
    assert!(
        plan["findings"].to_string().contains("AccessDenied"),
        "{plan}"
    );
    site.standin.faults(|faults| faults.clear());
    put(&moto, &naming("others"));
    site.settle();
    assert_eq!(mirrored(&site), ["eni-others"]);
    // Without it the file beside ours holds.
    let file = site.folder.path().join("sta.conf");
    std::fs::write(&file, naming("local")).unwrap();
    site.settle();
    assert_eq!(mirrored(&site), ["eni-others"]);
    moto.script("client('s3').delete_object(Bucket='shared', Key='sta.conf')")
        .unwrap();
    site.settle();
    assert_eq!(mirrored(&site), ["eni-local"]);
}

#[test]
fn a_running_controller_follows_the_file_and_does_not_fetch_it_twice() {
    let Some((site, moto)) = with_names() else {
        return;
    };
    put(&moto, &naming("theirs"));
    let running = site.start();
    let patience = Duration::from_secs(60);
    until("first", patience, || mirrored(&site) == ["eni-theirs"]);
    put(&moto, &naming("others"));
    until("followed", patience, || mirrored(&site) == ["eni-others"]);
    running.kill();
    let policy = site.ok(&["iam-policy", "--setup"]);
    let log = site.standin.log();
    let is_names = |one: &&Entry| {
        one.fields
            .get("path")
            .is_some_and(|it| it.contains("sta.conf"))
    };
    let mut asked = log.entries().iter().filter(is_names);
    assert!(asked.all(|entry| entry.action == "GetObject"));
    assert!(policy.contains("arn:aws:s3:::shared/sta.conf"), "{policy}");
}

/// A bucket, a local file, and an instance for each key that they may name.
fn with_names() -> Option<(Site, Moto)> {
    let (mut site, moto) = site_with_bucket(BUCKET)?;
    site.without_names();
    site.configure(
        "bucket = \"shared\"\nsta_conf = \"sta.conf\"\nwait_minutes = 0\nleave_percent = 100",
        "[limits]\ndescribe_seconds = 1",
    );
    site.account(|account| {
        for (at, key) in ["theirs", "others", "local"].into_iter().enumerate() {
            let seed = tagged(key, &format!("10.0.0.{}", at + 1), "no").tag(key, ALL);
            account.add_instance(seed);
        }
    });
    Some((site, moto))
}

fn naming(key: &str) -> String {
    format!(
        r#"{{"automations": {{"vpc-mirroring-auto-handler": {{"mirror_filter_tagname": "{key}"}}}}}}"#
    )
}

fn put(moto: &Moto, text: &str) {
    let script = format!("client('s3').put_object(Bucket='shared', Key='sta.conf', Body={text:?})");
    moto.script(&script).expect("an object");
}

fn mirrored(site: &Site) -> Vec<String> {
    let sessions = site.account(|account| account.sessions());
    sessions.into_iter().map(|one| one.interface).collect()
}
