//! What mirroring tools got wrong before: the cases that their bugs taught, over HTTP.

use vxscope_enrolment::BUILDING;
use vxscope_standin::{Seed, Session, Target};

use super::{KEY, Trial};

#[test]
fn every_interface_has_its_session_though_the_first_is_mirrored_by_somebody() {
    let mut trial = Trial::manual(0);
    let foreign = foreign("eni-a", 1);
    trial.account(|account| {
        let seed = Seed::new("i-a", "eni-a", "10.0.0.1").interface("eni-a2", "10.0.0.2");
        account.add_instance(seed.interface("eni-a3", "10.0.0.3").tag(KEY, "yes"));
        account.put_session(foreign.clone());
    });
    trial.pass(180);
    let numbers = ["eni-a", "eni-a2", "eni-a3"].map(|one| only(&trial, one).number);
    assert_eq!(numbers, [2, 1, 1]);
    assert!(trial.sessions("eni-a").contains(&foreign));
    let said = trial.findings("eni-a").join("\n");
    assert!(said.contains("overtaken (tms-other"), "{said}");
    let [overtaken] = &trial.state().overtaken[..] else {
        panic!("{}", trial.told());
    };
    assert_eq!(
        (overtaken.by.as_str(), overtaken.by_number),
        ("tms-other", 1)
    );
    let since = trial.now.seconds() - overtaken.since;
    assert!((60..=180).contains(&since), "{since} s");
}

#[test]
fn another_target_is_one_modify_of_each_session() {
    let mut trial = Trial::manual(3);
    trial.pass(120);
    let before = trial.account(|account| account.sessions());
    trial.account(|account| {
        account.add_instance(Seed::new("i-next", "eni-next", "10.0.9.8").kind("m5.xlarge"));
    });
    trial.standin.clear_log();
    trial.configure("", "[target]\nnetwork_interface = \"eni-next\"");
    trial.pass(180);
    let after = trial.account(|account| account.sessions());
    let targets = trial.account(|account| account.targets());
    let next = targets
        .iter()
        .find(|one| one.interface.as_deref() == Some("eni-next"));
    let next = &next.unwrap().id;
    assert_eq!(before.len(), 3);
    for (old, new) in before.iter().zip(&after) {
        assert_eq!((&old.id, old.vni), (&new.id, new.vni));
        assert_eq!(&new.target, next);
    }
    assert_eq!(trial.done("ModifyTrafficMirrorSession").len(), 3);
    assert_eq!(trial.done("CreateTrafficMirrorSession"), []);
    assert_eq!(trial.done("DeleteTrafficMirrorSession"), []);
}

#[test]
fn whoever_is_to_be_mirrored_no_more_loses_the_session_after_an_hour_and_nobody_else_does() {
    let terms = "exclude = [\"private\"]\nleave_percent = 100\n";
    let mut trial = Trial::with(4, &format!("{terms}vpcs = [\"vpc-1\", \"vpc-2\"]"), "");
    trial.account(|account| {
        let seed = Seed::new("i-4", "eni-4", "10.0.1.1").tag(KEY, "yes");
        account.add_instance(seed.place("vpc-2", "subnet-2", "us-east-1a"));
    });
    trial.pass(180);
    // The tag is gone, it says no, another one excludes, and the VPC is not to be mirrored.
    let foreign = foreign("eni-0", 7);
    trial.account(|account| {
        account.put_session(foreign.clone());
        account.change_instance("i-0", |one| drop(one.tags.remove(KEY)));
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        account.change_instance("i-1", |one| one.tags.extend([tag(KEY, "no")]));
        account.change_instance("i-2", |one| one.tags.extend([tag("private", "")]));
    });
    trial.configure(&format!("{terms}vpcs = [\"vpc-1\"]"), "");
    trial.pass(58 * 60);
    for n in 0..5 {
        only(&trial, &format!("eni-{n}"));
    }
    trial.pass(5 * 60);
    let left = trial.account(|account| account.sessions());
    let left: Vec<&str> = left.iter().map(|one| one.interface.as_str()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(trial.sessions("eni-0").contains(&foreign));
    only(&trial, "eni-3");
}

#[test]
fn a_stopped_instance_has_no_session_after_an_hour_or_is_told_to_be_billed() {
    let mut trial = Trial::manual(2);
    trial.pass(120);
    let stop = |state: &'static str| {
        move |one: &mut vxscope_standin::Instance| state.clone_into(&mut one.state)
    };
    trial.account(|account| account.change_instance("i-0", stop("stopped")));
    trial.pass(63 * 60);
    assert_eq!(trial.sessions("eni-0"), []);
    only(&trial, "eni-1");
    trial.account(|account| account.change_instance("i-0", stop("running")));
    trial.pass(120);
    only(&trial, "eni-0");

    trial.configure("stopped = \"report\"", "");
    trial.account(|account| account.change_instance("i-0", stop("stopped")));
    trial.pass(2 * 3_600);
    only(&trial, "eni-0");
    let said = trial.findings("eni-0").join("\n");
    assert!(said.contains("stopped_billed (stopped)"), "{said}");
}

#[test]
fn what_ec2_does_not_mirror_is_asked_for_once_until_its_type_changes() {
    let mut trial = Trial::manual(1);
    trial.account(|account| {
        let seed = Seed::new("i-old", "eni-old", "10.0.0.8").kind("t2.micro");
        account.add_instance(seed.tag(KEY, "yes"));
    });
    trial.pass(3_600);
    // A restart has not forgotten it.
    trial.kill();
    trial.begin();
    trial.pass(3_600);
    let asked = |trial: &Trial| {
        let log = trial.standin.log();
        let of = log.of("CreateTrafficMirrorSession");
        of.filter(|one| one.fields["NetworkInterfaceId"] == "eni-old")
            .count()
    };
    assert_eq!(asked(&trial), 1);
    let said = trial.findings("eni-old").join("\n");
    assert!(said.contains("unsupported (t2.micro)"), "{said}");
    only(&trial, "eni-0");
    trial.account(|account| {
        account.change_instance("i-old", |one| "m5.large".clone_into(&mut one.kind));
    });
    trial.until("a session", 120, |trial| {
        !trial.sessions("eni-old").is_empty()
    });
    assert_eq!(asked(&trial), 2);
    trial.pass(60);
    assert_eq!(trial.findings("eni-old"), [""; 0]);
}

#[test]
fn a_tag_that_comes_late_makes_one_session_within_a_minute() {
    let mut trial = Trial::manual(0);
    trial.pass(120);
    trial.account(|account| {
        account.add_instance(Seed::new("i-late", "eni-late", "10.0.0.5"));
    });
    trial.pass(600);
    assert_eq!(trial.sessions("eni-late"), []);
    trial.account(|account| {
        account.change_instance("i-late", |one| {
            drop(one.tags.insert(KEY.to_owned(), "yes".to_owned()));
        });
    });
    let is_there = |trial: &Trial| !trial.sessions("eni-late").is_empty();
    // The first source of all needs a target and filters, too.
    let took = trial.until("a session", 120, is_there);
    eprintln!("{took} s after the tag");
    trial.pass(600);
    only(&trial, "eni-late");
}

#[test]
fn one_number_of_a_network_for_all_still_tells_sources_apart() {
    let mut trial = Trial::with(3, "vni = 1169", "");
    trial.pass(180);
    for n in 0..3 {
        assert_eq!(only(&trial, &format!("eni-{n}")).vni, 1_169);
    }
    let sources = trial.sources();
    let addresses: std::collections::BTreeSet<_> =
        sources.iter().map(|(_, mirror)| mirror.address).collect();
    assert_eq!(addresses.len(), 3, "{sources:?}");
    let table = trial.table.as_ref().unwrap();
    for (interface, mirror) in &sources {
        let bound = table.find(*mirror).unwrap();
        assert_eq!(bound.eni.as_ref(), Some(interface));
    }
}

#[test]
fn a_second_controller_without_a_lease_makes_nothing_twice_and_none_fights() {
    let mut trial = Trial::manual(3);
    trial.also();
    trial.pass(600);
    for n in 0..3 {
        only(&trial, &format!("eni-{n}"));
    }
    let filters = trial.account(|account| account.filters());
    assert!(
        filters.iter().all(|one| !one.tags.contains_key(BUILDING)),
        "{filters:?}"
    );
    trial.standin.clear_log();
    trial.pass(3_600);
    let log = trial.standin.log();
    let changes: Vec<&str> = log
        .changes()
        .filter(|one| one.action.contains("TrafficMirror"))
        .map(|one| one.action.as_str())
        .collect();
    assert_eq!(changes, [""; 0], "they agree");
}

#[test]
fn what_somebody_did_to_a_session_is_told_and_undone() {
    let mut trial = Trial::manual(2);
    trial.pass(180);
    let mut changed = only(&trial, "eni-0");
    let removed = only(&trial, "eni-1");
    changed.filter = trial.account(|account| {
        let filters = account.filters();
        let other = filters.iter().find(|one| one.id != changed.filter);
        other.unwrap().id.clone()
    });
    let was = only(&trial, "eni-0").filter;
    trial.account(|account| {
        account.put_session(changed.clone());
        account.remove_session(&removed.id);
    });
    let at = trial.now.seconds();
    trial.pass(120);
    assert_eq!(only(&trial, "eni-0").filter, was);
    assert_ne!(only(&trial, "eni-1").id, removed.id);
    let state = trial.state();
    let told: Vec<_> = state
        .tampered
        .iter()
        .map(|one| (one.session.as_str(), one.did.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (changed.id.as_str(), "changed"),
            (removed.id.as_str(), "removed")
        ]
    );
    assert!(
        state
            .tampered
            .iter()
            .all(|one| (at..at + 70).contains(&one.at))
    );
    let text = crate::status::text(&state);
    let sentence = format!(
        "! eni-0: session {} was changed by somebody (filter: {was} -> {}), seen 20",
        changed.id, changed.filter
    );
    assert!(text.contains(&sentence), "{text}");
    let lines: Vec<_> = std::iter::from_fn(|| trial.driver.as_mut().unwrap().poll_line()).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0]["changes"][0]["field"], "filter");
    assert_eq!(lines[1]["reason"], "removed");
    trial.pass(600);
    assert_eq!(trial.state().tampered.len(), 2, "once each");
}

/// The one session of ours on an interface.
fn only(trial: &Trial, interface: &str) -> Session {
    let mut sessions = trial.sessions(interface);
    sessions.retain(|one| one.tags.contains_key("managed-by"));
    assert_eq!(sessions.len(), 1, "{interface}: {}", trial.told());
    sessions.remove(0)
}

/// A session that somebody else made, to somewhere else.
fn foreign(interface: &str, number: u16) -> Session {
    Session {
        id: "tms-other".to_owned(),
        interface: interface.to_owned(),
        target: Target::default().id,
        number,
        vni: 99,
        description: "somebody else's".to_owned(),
        ..Session::default()
    }
}
