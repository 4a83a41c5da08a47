//! From a tag to a session, and back.

use std::collections::BTreeSet;
use std::time::Duration;

use vxscope_standin::{FilterRule, Seed, Session};

use crate::kit::{ALL, KEY, site, tagged, until};

#[test]
fn a_tag_makes_a_session_for_each_interface() {
    let site = site();
    site.account(|account| {
        let seed = tagged("a", "10.0.0.1", ALL);
        account.add_instance(seed.interface("eni-a2", "10.0.0.2"));
        account.add_instance(tagged("b", "10.0.0.3", ALL).reservation("r-a"));
        account.add_instance(Seed::new("i-none", "eni-none", "10.0.0.4"));
    });
    let plan = site.plan();
    assert_eq!(site.changes(), [""; 0], "a plan changes nothing");
    assert!(plan["make"].to_string().contains("target"), "{plan}");
    let said = site.settle();
    assert!(said.contains("3 sources (3 full)"), "{said}");
    let mut vnis = BTreeSet::new();
    for interface in ["eni-a", "eni-a2", "eni-b"] {
        let [session] = &site.sessions(interface)[..] else {
            panic!("{interface} has not one session");
        };
        assert_eq!(session.tags["managed-by"], "vxscope");
        assert!(session.description.starts_with("vxscope: mirrors "));
        vnis.insert(session.vni);
    }
    assert_eq!(vnis.len(), 3, "each its own");
    assert!(site.sessions("eni-none").is_empty());
    site.standin.clear_log();
    site.settle();
    assert_eq!(site.changes(), [""; 0], "it is as it should be");
    let status = site.run(&["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("eni-a2"), "{status}");
}

#[test]
fn filters_of_ours_are_made_whole_and_never_changed_again() {
    let site = site();
    site.account(|account| {
        account.add_instance(tagged("a", "10.0.0.1", ALL));
        let mut interface = account.interface("eni-a").unwrap();
        interface.ipv6 = vec!["fd00::1".to_owned()];
        account.add_interface(interface);
    });
    site.settle();
    let filters = site.account(|account| account.filters());
    let ours = filters.iter().find(|one| one.tags["Name"] == ALL).unwrap();
    assert!(
        !ours.tags.contains_key("vxscope:building"),
        "{:?}",
        ours.tags
    );
    assert!(ours.services.contains("amazon-dns"));
    let families: BTreeSet<&str> = ours.rules.iter().map(|rule| rule.source.as_str()).collect();
    assert_eq!(families, ["0.0.0.0/0", "::/0"].into());
    assert!(ours.rules.len() <= 10);
    // The operator edits it.
    let mut edited = ours.clone();
    edited.rules.push(FilterRule {
        id: "tmfr-own".to_owned(),
        filter: edited.id.clone(),
        direction: "ingress".to_owned(),
        number: 5,
        action: "reject".to_owned(),
        source: "10.0.0.0/8".to_owned(),
        target: "0.0.0.0/0".to_owned(),
        ..FilterRule::default()
    });
    site.account(|account| account.put_filter(edited.clone()));
    site.standin.clear_log();
    site.settle();
    // Its lower grades follow the edit in filters of their own; itself nobody touches.
    let log = site.standin.log();
    let names_it = |value: &String| *value == edited.id;
    let touched = log
        .changes()
        .any(|entry| entry.fields.values().any(names_it));
    assert!(!touched);
    let after = site.account(|account| account.filters());
    assert!(after.contains(&edited));
}

#[test]
fn a_removed_tag_removes_the_session_but_not_at_once() {
    let mut site = site();
    site.account(|account| {
        for at in 0..4 {
            account.add_instance(tagged(&format!("n{at}"), &format!("10.0.1.{at}"), ALL));
        }
    });
    site.settle();
    let untag = |name: &str| {
        let id = format!("i-{name}");
        site.account(|account| account.change_instance(&id, |one| drop(one.tags.remove(KEY))));
    };
    untag("n0");
    site.settle();
    assert_eq!(site.sessions("eni-n0").len(), 1, "it waits an hour");
    site.configure("wait_minutes = 0", "");
    site.settle();
    assert_eq!(site.sessions("eni-n0").len(), 0);
    assert_eq!(site.sessions("eni-n1").len(), 1);
}

#[test]
fn a_changed_filter_is_one_modify_in_place() {
    let mut site = site();
    site.configure("wait_minutes = 0", "");
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    site.settle();
    let before = site.sessions("eni-a");
    site.account(|account| {
        let other = "STA - Mirror Filter - Moderate".to_owned();
        account.change_instance("i-a", |one| drop(one.tags.insert(KEY.to_owned(), other)));
    });
    site.settle();
    site.standin.clear_log();
    site.settle();
    let after = site.sessions("eni-a");
    assert_eq!(after.len(), 1, "never a second session");
    assert_eq!(before[0].id, after[0].id);
    assert_ne!(before[0].filter, after[0].filter);
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let mut site = site();
    site.configure("wait_minutes = 0", "");
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    site.settle();
    let ours = site.sessions("eni-a")[0].clone();
    // One in slot 1 of somebody else, one with a copied tag, one with a copied description.
    let foreign = [
        ("tms-other", "", "", "eni-x"),
        ("tms-tagged", "vxscope", "copied", "eni-y"),
        ("tms-described", "", "vxscope: mirrors eni-z", "eni-z"),
    ];
    let mut there = Vec::new();
    for (id, tag, description, interface) in foreign {
        let mut tags = std::collections::BTreeMap::new();
        if !tag.is_empty() {
            tags.insert("managed-by".to_owned(), tag.to_owned());
        }
        let session = Session {
            id: id.to_owned(),
            interface: interface.to_owned(),
            description: description.to_owned(),
            tags,
            ..ours.clone()
        };
        let name = interface.trim_start_matches("eni-");
        site.account(|account| {
            account.add_instance(tagged(name, "10.0.2.1", ALL));
            account.put_session(session.clone());
        });
        there.push(session);
    }
    let said = site.settle();
    for session in there {
        let sessions = site.sessions(&session.interface);
        assert!(sessions.contains(&session), "{session:?}");
        let ours = sessions.iter().filter(|one| one.id != session.id);
        let numbers: Vec<u16> = ours.map(|one| one.number).collect();
        assert_eq!(numbers.len(), 1, "{}: {said}", session.interface);
        assert_ne!(numbers[0], session.number);
    }
}

#[test]
fn a_running_controller_follows_launches_tags_and_ends() {
    let mut site = site();
    site.configure("", "[limits]\ndescribe_seconds = 1");
    let running = site.start();
    let patience = Duration::from_secs(30);
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    until("launch", patience, || site.sessions("eni-a").len() == 1);
    site.account(|account| {
        account.add_instance(Seed::new("i-late", "eni-late", "10.0.0.5"));
    });
    std::thread::sleep(Duration::from_secs(2));
    assert!(site.sessions("eni-late").is_empty());
    site.account(|account| {
        let filter = ALL.to_owned();
        account.change_instance("i-late", |one| {
            drop(one.tags.insert(KEY.to_owned(), filter))
        });
    });
    until("late tag", patience, || {
        site.sessions("eni-late").len() == 1
    });
    // Terminated and replaced: the new one has its session, and nobody complains about the old.
    site.account(|account| {
        account.terminate("i-a");
        account.add_instance(tagged("a9", "10.0.0.1", ALL));
    });
    until("replaced", patience, || site.sessions("eni-a9").len() == 1);
    // Deleted by somebody: made again.
    let id = site.sessions("eni-a9")[0].id.clone();
    site.account(|account| account.remove_session(&id));
    until("tampered", Duration::from_secs(90), || {
        site.sessions("eni-a9").len() == 1
    });
    running.kill();
}
