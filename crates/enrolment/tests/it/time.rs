//! What reduces visibility waits; what does not is done at once.

use vxscope_enrolment::lead::Hold;
use vxscope_enrolment::{Enroller, FindingKind, Memory};

use super::account::{Account, KEY, has, mirrored};

#[test]
fn a_removed_tag_waits_an_hour_and_a_tag_that_comes_back_ends_it() {
    let mut account = fleet(1);
    account.tag("0", KEY, None);
    let plan = account.settle();
    assert_eq!(mirrored(&plan), "eni-0");
    assert!(has(&plan, FindingKind::Waits, "eni-0"));
    account.minutes(40);
    account.tag("0", KEY, Some("f"));
    assert!(!has(&account.settle(), FindingKind::Waits, "eni-0"));
    account.tag("0", KEY, None);
    account.settle();
    account.minutes(59);
    assert_eq!(mirrored(&account.settle()), "eni-0", "the hour begins anew");
    account.minutes(1);
    let plan = account.settle();
    assert_eq!(
        (plan.leaving, mirrored(&plan_of(&mut account))),
        (vec!["eni-0".to_owned()], String::new())
    );
}

#[test]
fn waiting_goes_on_after_a_restart_and_begins_anew_without_memory() {
    let mut account = fleet(1);
    account.tag("0", KEY, None);
    account.settle();
    account.minutes(50);
    let text = serde_json::to_string(account.enroller.memory()).unwrap();
    let memory: Memory = serde_json::from_str(&text).unwrap();
    let settings = account.settings.clone();
    account.enroller = Enroller::new(settings.clone(), memory);
    account.minutes(10);
    assert_eq!(account.look().leaving, ["eni-0"]);
    // Nothing is known but the session itself: it is kept for an hour.
    account.enroller = Enroller::new(settings, Memory::default());
    let plan = account.look();
    assert_eq!(mirrored(&plan), "eni-0");
    let settings = &plan.sources[0].subject.saved.settings;
    let session = &account.inventory.sessions["tms-eni-0"].settings;
    assert_eq!(settings, session, "and not changed");
}

#[test]
fn an_interface_that_is_gone_is_forgotten_at_once_but_not_by_sensors() {
    let mut account = fleet(2);
    account.inventory.interfaces.remove("eni-0");
    let plan = account.look();
    assert_eq!(
        (plan.gone.len(), mirrored(&plan)),
        (0, "eni-1".to_owned()),
        "its session is there"
    );
    account.inventory.sessions.remove("tms-eni-0");
    let plan = account.look();
    assert_eq!(plan.gone, ["eni-0"]);
    let table = account.enroller.bind_table(&plan).unwrap();
    assert_eq!(table.bindings().len(), 2, "its last packets have a name");
    account.minutes(121);
    let plan = account.look();
    assert_eq!(
        account.enroller.bind_table(&plan).unwrap().bindings().len(),
        1
    );
}

#[test]
fn a_replaced_instance_is_enrolled_at_once() {
    let mut account = fleet(1);
    account.inventory.instances.remove("i-0");
    account.inventory.interfaces.remove("eni-0");
    account.inventory.sessions.remove("tms-eni-0");
    account.source("new", "f");
    let plan = account.settle();
    assert_eq!(
        (plan.gone, mirrored(&account.look())),
        (vec!["eni-0".to_owned()], "eni-new".to_owned())
    );
}

#[test]
fn a_wider_filter_is_taken_at_once_a_narrower_one_waits() {
    let mut account = fleet(1);
    account.filter("wide", "wide", "10 accept ingress\n10 accept egress");
    account.filter("narrow", "narrow", "10 accept ingress tcp/443");
    let filter = |account: &mut Account| {
        let plan = account.settle();
        let source = plan.source("eni-0").unwrap();
        (
            source.subject.saved.settings.filter.clone(),
            has(&plan, FindingKind::Waits, "eni-0"),
        )
    };
    account.tag("0", KEY, Some("wide"));
    assert_eq!(filter(&mut account), ("wide".to_owned(), false));
    account.tag("0", KEY, Some("narrow"));
    assert_eq!(filter(&mut account), ("wide".to_owned(), true));
    account.minutes(59);
    assert_eq!(filter(&mut account), ("wide".to_owned(), true));
    account.minutes(1);
    assert_eq!(filter(&mut account), ("narrow".to_owned(), false));
    assert_eq!(
        account.inventory.sessions.len(),
        1,
        "never a second session"
    );
    account.tag("0", KEY, Some("a mistake"));
    assert_eq!(
        filter(&mut account).0,
        "narrow",
        "what it has is better than nothing"
    );
}

#[test]
fn one_wrong_change_does_not_switch_off_a_fleet() {
    let mut account = fleet(40);
    account.settings.selection.tag_key = Some("a wrong one".to_owned());
    account.settle();
    account.minutes(60);
    assert_eq!(account.settle().leaving.len(), 10, "a quarter");
    account.minutes(30);
    assert_eq!(account.settle().leaving.len(), 0);
    account.minutes(31);
    assert_eq!(
        account.settle().leaving.len(),
        7,
        "a quarter of those that are left"
    );
    account.settings.selection.tag_key = None;
    assert_eq!(account.settle().sources.len(), 40, "all are back at once");
}

#[test]
fn a_clock_that_goes_back_makes_nobody_leave() {
    let mut account = fleet(1);
    account.tag("0", KEY, None);
    account.settle();
    account.now -= 10_000_000;
    account.settle();
    account.minutes(59);
    assert_eq!(mirrored(&account.settle()), "eni-0");
    account.minutes(1);
    assert_eq!(account.settle().leaving, ["eni-0"]);
}

#[test]
fn a_stop_removes_everything_at_once_and_a_release_brings_the_same_back() {
    let mut account = fleet(30);
    account.foreign("tms-theirs", "eni-0", 7, 7);
    let before = account.settle().sources;
    account.settings.hold = Some(Hold {
        reason: "incident 7".to_owned(),
        ..Hold::default()
    });
    let plan = account.settle();
    assert_eq!((plan.leaving.len(), plan.sources.len()), (30, 0));
    assert!(has(&plan, FindingKind::Held, "all"));
    assert_eq!(account.inventory.sessions.len(), 1, "not ours");
    account.minutes(1_000);
    account.source("new", "f");
    assert!(account.settle().sources.is_empty());
    account.settings.hold = None;
    let after = account.settle().sources;
    assert_eq!(after.len(), 31);
    assert!(
        before.iter().all(|one| after.contains(one)),
        "with the same networks"
    );
}

fn fleet(sources: u32) -> Account {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    for n in 0..sources {
        account.source(&n.to_string(), "f");
    }
    account.settle();
    account
}

fn plan_of(account: &mut Account) -> vxscope_enrolment::Plan {
    account.settle()
}
