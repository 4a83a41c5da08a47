//! What operators type: stopping everything, letting it go on, policies and exports.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use vxscope_standin::{Fault, FaultKind, Session};

use crate::kit::{ALL, KEY, site, tagged, until};

#[test]
fn stop_all_deletes_ours_and_holds_until_release() {
    let mut site = site();
    site.configure("", "[limits]\ndescribe_seconds = 1");
    site.account(|account| {
        account.add_instance(tagged("a", "10.0.0.1", ALL));
        account.add_instance(tagged("b", "10.0.0.2", ALL));
    });
    site.settle();
    let foreign = Session {
        id: "tms-foreign".to_owned(),
        description: "somebody else".to_owned(),
        number: 7,
        ..site.sessions("eni-a")[0].clone()
    };
    site.account(|account| account.put_session(foreign.clone()));
    let running = site.start();
    let said = site.ok(&["stop-all", "--reason", "money"]);
    // The running controller hears of it as well and may be the first to delete them.
    assert!(said.contains("sessions deleted, none left"), "{said}");
    // Without sensor and journal, and while a controller runs that would make them again.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(site.account(|account| account.sessions()), [foreign]);
    running.kill();
    let said = site.settle();
    assert!(said.contains("STOPPED: money"), "{said}");
    assert_eq!(site.account(|account| account.sessions()).len(), 1);
    // On another machine only the account says so.
    std::fs::remove_file(site.folder.path().join("state/hold")).unwrap();
    assert!(site.settle().contains("STOPPED: money"));
    site.ok(&["release"]);
    let said = site.settle();
    assert!(said.contains("2 sources (2 full)"), "{said}");
    assert!(!site.run(&["stop-all", "--reason", " "]).status.success());
}

#[test]
fn stop_all_goes_on_through_a_storm() {
    let site = site();
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    site.settle();
    for kind in [
        FaultKind::Throttle,
        FaultKind::DropAfter,
        FaultKind::InternalBefore,
    ] {
        let fault = Fault::once("DeleteTrafficMirrorSession", kind, 0);
        site.standin.faults(|faults| faults.add(fault));
    }
    site.ok(&["stop-all", "--reason", "storm"]);
    assert!(site.sessions("eni-a").is_empty());
}

#[test]
fn the_reaper_shows_that_it_is_there() {
    let site = site();
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    site.settle();
    let said = site.ok(&["reap"]);
    assert!(said.contains("0 brought back"), "{said}");
    let targets = site.account(|account| account.targets());
    assert!(targets[0].tags["vxscope:reaper-at"].parse::<u64>().unwrap() > 0);
    let status = site.settle();
    assert!(status.contains("1 sources (1 full)"), "{status}");
    let state = site.ok(&["status", "--json"]);
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["off_is_safe"], true, "{state}");
}

#[test]
fn the_policy_names_exactly_what_is_called_and_the_self_test_finds_what_is_denied() {
    let mut site = site();
    site.configure("wait_minutes = 0\nleave_percent = 100", "");
    site.account(|account| {
        account.add_instance(tagged("a", "10.0.0.1", ALL));
        account.add_instance(tagged("b", "10.0.0.2", ALL));
    });
    site.settle();
    // Everything that it ever does: sessions made, changed and deleted, filters and a target made,
    // tags set and taken away.
    let moderate = "STA - Mirror Filter - Moderate".to_owned();
    site.account(|account| {
        account.change_instance("i-a", |one| {
            drop(one.tags.insert(KEY.to_owned(), moderate));
        });
        account.change_instance("i-b", |one| one.tags.clear());
    });
    site.settle();
    site.settle();
    site.ok(&["reap"]);
    let policy: Value = serde_json::from_str(&site.ok(&["iam-policy", "--setup"])).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|one| match &one["Action"] {
        Value::Array(actions) => actions.clone(),
        action => vec![action.clone()],
    });
    let allowed: BTreeSet<String> = actions
        .filter_map(|action| Some(action.as_str()?.strip_prefix("ec2:")?.to_owned()))
        .collect();
    let log = site.standin.log();
    let called = log.entries().iter().map(|entry| entry.action.clone());
    // Everybody may ask who he is.
    let called: BTreeSet<String> = called.filter(|one| one != "GetCallerIdentity").collect();
    assert_eq!(allowed, called);
    let bare = site.ok(&["iam-policy"]);
    assert!(!bare.contains("CreateTrafficMirrorTarget"), "{bare}");
    let said = site.ok(&["iam-policy", "--check"]);
    assert!(said.contains("allowed  delete"), "{said}");
    let denied = Fault::every("DeleteTrafficMirrorSession", FaultKind::Denied);
    site.standin.faults(|faults| faults.add(denied));
    let output = site.run(&["iam-policy", "--check"]);
    assert!(!output.status.success());
    assert_eq!(
        site.sessions("eni-a").len(),
        1,
        "a question deletes nothing"
    );
}

#[test]
fn a_plan_says_how_to_see_what_ec2_does_not_mirror() {
    let site = site();
    site.account(|account| account.add_instance(tagged("old", "10.0.0.7", ALL).kind("t2.micro")));
    drop(site.run(&["run", "--once", "--apply", "--within", "20"]));
    let plan = site.ok(&["plan"]);
    assert!(plan.contains("eni-old: unsupported (t2.micro)"), "{plan}");
    assert!(plan.contains("remote 10.0.0.9 dstport 4789"), "{plan}");
    assert!(plan.contains("dport 4789 0xffff action pass"), "{plan}");
}

#[test]
fn exports_name_every_session() {
    let site = site();
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    site.settle();
    let session = site.sessions("eni-a")[0].clone();
    let hcl = site.ok(&["export", "terraform"]);
    assert!(
        hcl.contains("aws_ec2_traffic_mirror_session\" \"mirror_eni_a\""),
        "{hcl}"
    );
    assert!(
        hcl.contains(&format!("virtual_network_id = {}", session.vni)),
        "{hcl}"
    );
    let template = site.ok(&["export", "cloudformation"]);
    let template: Value = serde_json::from_str(&template).unwrap();
    let properties = &template["Resources"]["mirrorxenixa"]["Properties"];
    assert_eq!(properties["NetworkInterfaceId"], "eni-a");
    assert_eq!(properties["TrafficMirrorTargetId"], session.target);
}

#[test]
fn a_running_controller_has_given_up_what_it_does_not_need() {
    let site = site();
    let running = site.start();
    until("a status", Duration::from_secs(60), || {
        site.folder.path().join("state/status.json").exists()
    });
    let held = ["NoNewPrivs:", "Seccomp:"].map(|name| running.field(name));
    assert_eq!(held, ["1", "2"]);
    running.kill();
    let log = std::fs::read_to_string(site.folder.path().join("log")).unwrap();
    let says = |what: &str| log.contains(what);
    assert!(
        !says("may write everywhere") && !says("are possible"),
        "{log}"
    );
}

#[test]
fn a_role_is_denied_and_comes_back() {
    let mut site = site();
    site.configure("", "[limits]\ndescribe_seconds = 1");
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    let denied = Fault::every("Describe", FaultKind::Denied);
    site.standin.faults(|faults| faults.add(denied));
    let running = site.start();
    let path = site.folder.path().join("state/status.json");
    until("status", Duration::from_secs(30), || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        text.contains("UnauthorizedOperation") && text.contains("\"control_plane_up\":false")
    });
    site.standin.faults(|faults| faults.clear());
    until("session", Duration::from_secs(60), || {
        site.sessions("eni-a").len() == 1
    });
    running.kill();
}
