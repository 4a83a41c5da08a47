//! Several controllers share sources: one acts, the others follow it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use vxscope_standin::{Fault, FaultKind, Moto};

use crate::kit::{ALL, Site, site_with_bucket, tagged, until};

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn of_two_controllers_one_acts_and_the_other_follows_when_it_is_gone() {
    let Some((one, _moto)) = shared() else {
        return;
    };
    for n in 0..4 {
        one.account(|account| {
            account.add_instance(tagged(&format!("a{n}"), &format!("10.0.0.{n}"), ALL))
        });
    }
    let two = one.beside();
    let first = one.start();
    until("sessions", PATIENCE, || sessions(&one) == 4);
    let second = two.start();
    until("watches", PATIENCE, || {
        state(&two)["standing"] == "watches" && !state(&two)["holder"].is_null()
    });
    until("acts", PATIENCE, || state(&one)["standing"] == "acts");
    // Both look, and nothing is done twice or back again.
    one.standin.clear_log();
    until("both look", PATIENCE, || {
        one.standin.log().count("DescribeInstances") >= 10
    });
    assert_eq!(one.changes(), [""; 0]);
    one.account(|account| account.add_instance(tagged("late", "10.0.0.8", ALL)));
    until("late", PATIENCE, || sessions(&one) == 5);
    // Killed: its lease ends, and the second takes over what is there.
    first.kill();
    one.account(|account| account.add_instance(tagged("later", "10.0.0.9", ALL)));
    until("followed", PATIENCE, || sessions(&one) == 6);
    until("acts", PATIENCE, || state(&two)["standing"] == "acts");
    let first = one.start();
    until("watches now", PATIENCE, || {
        state(&one)["standing"] == "watches"
    });
    // Told to end it lets go, and the first need not wait for a term.
    second.end();
    until("acts again", PATIENCE, || state(&one)["standing"] == "acts");
    assert_eq!(state(&one)["fence"], 3);
    first.kill();
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    let log = one.standin.log();
    for entry in log
        .of("CreateTrafficMirrorSession")
        .filter(|entry| entry.done)
    {
        *made
            .entry(entry.fields["NetworkInterfaceId"].clone())
            .or_default() += 1;
    }
    assert!(made.values().all(|count| *count == 1), "{made:?}");
    assert_eq!(log.done("DeleteTrafficMirrorSession"), 0);
}

#[test]
fn the_same_folder_goes_on_at_once_and_a_lost_bucket_makes_nobody_act() {
    let Some((one, _moto)) = shared() else {
        return;
    };
    one.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    let running = one.start();
    until("session", PATIENCE, || sessions(&one) == 1);
    running.kill();
    // Whoever works with this folder has what the killed one had.
    let running = one.start();
    until("acts", PATIENCE, || {
        state(&one)["standing"] == "acts" && state(&one)["fence"] == 2
    });
    for action in ["s3:PutObject", "s3:GetObject"] {
        let fault = Fault::every(action, FaultKind::Denied);
        one.standin.faults(|faults| faults.add(fault));
    }
    until("raises", PATIENCE, || state(&one)["standing"] == "raises");
    one.account(|account| account.add_instance(tagged("b", "10.0.0.2", ALL)));
    let before = one.standin.log().count("DescribeInstances");
    until("looks", PATIENCE, || {
        one.standin.log().count("DescribeInstances") >= before + 3
    });
    assert_eq!(sessions(&one), 1, "nobody knows who acts");
    assert!(
        state(&one)["lease_problem"]
            .to_string()
            .contains("AccessDenied")
    );
    one.standin.faults(|faults| faults.clear());
    until("acts again", PATIENCE, || sessions(&one) == 2);
    running.kill();
    let policy = one.ok(&["iam-policy"]);
    assert!(policy.contains("arn:aws:s3:::shared/vxscope/*"), "{policy}");
}

fn shared() -> Option<(Site, Moto)> {
    let (mut site, moto) = site_with_bucket("shared")?;
    site.configure(
        "bucket = \"shared\"",
        "[aws]\ncall_timeout_seconds = 3\n[lease]\nseconds = 16\n[limits]\ndescribe_seconds = 1",
    );
    Some((site, moto))
}

fn sessions(site: &Site) -> usize {
    site.account(|account| account.sessions().len())
}

/// What the controller wrote down last.
fn state(site: &Site) -> Value {
    let path = site.folder.path().join("state/status.json");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
