//! Limits of number and cost, sessions of others, more sources than slots.

use vxscope_enrolment::{FindingKind, Slot, VniChoice};
use vxscope_policy::rules::Assign;
use vxscope_policy::{Importance, Usd};

use super::account::{Account, has, mirrored};

#[test]
fn limits_leave_out_lower_classes_and_never_critical_ones() {
    let mut account = classes();
    account.settings.sessions_max = 2;
    let plan = account.look();
    assert_eq!(mirrored(&plan), "eni-critical1 eni-critical2 eni-critical3");
    assert!(has(&plan, FindingKind::OverBudget, "eni-low"));
    assert!(has(&plan, FindingKind::OverBudget, "eni-standard"));

    let mut account = classes();
    // A session costs 10.95 in a month: four fit.
    account.settings.usd_per_month_max = Some(Usd::from_dollars(45.0));
    let plan = account.look();
    assert_eq!(
        mirrored(&plan),
        "eni-critical1 eni-critical2 eni-critical3 eni-standard"
    );
    account.seen.bytes = [("eni-critical1".to_owned(), 1_000_000)].into();
    account.settings.usd_per_month_max = Some(Usd::from_dollars(11.0));
    let plan = account.look();
    assert!(
        has(&plan, FindingKind::Waits, "eni-standard"),
        "who is there waits"
    );
    assert_eq!(plan.sources.len(), 4);
}

#[test]
fn the_quota_of_the_account_counts_everybody() {
    let mut account = classes();
    for n in 0..9_998_u32 {
        account.foreign(&format!("tms-{n}"), &format!("eni-theirs-{n}"), 1, n);
    }
    let plan = account.look();
    assert_eq!(plan.sources.len(), 2);
    assert_eq!(plan.of(FindingKind::AccountFull).count(), 3);
}

#[test]
fn sessions_of_others_keep_their_numbers_and_places() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    for name in ["0", "1", "2", "3"] {
        account.source(name, "f");
    }
    let theirs = |account: &mut Account, interface: &str, numbers: &[u16]| {
        for number in numbers {
            let id = format!("tms-{interface}-{number}");
            account.foreign(
                &id,
                &format!("eni-{interface}"),
                *number,
                u32::from(*number),
            );
        }
    };
    theirs(&mut account, "1", &[1, 2]);
    theirs(&mut account, "2", &[2]);
    theirs(&mut account, "3", &[5, 6, 7]);
    let plan = account.settle();
    let number = |id: &str| plan.source(id).map(|one| one.subject.saved.settings.number);
    assert_eq!(number("eni-0"), Some(1));
    assert_eq!(number("eni-1"), Some(3));
    assert_eq!(number("eni-2"), Some(1));
    assert_eq!(number("eni-3"), None);
    assert!(has(&plan, FindingKind::Overtaken, "eni-1"));
    assert!(!has(&plan, FindingKind::Overtaken, "eni-2"));
    assert!(has(&plan, FindingKind::NoSession, "eni-3"));
    // Somebody comes later with a lower number: ours stays what it is.
    account.inventory.sessions.remove("tms-1-1");
    let again = account.look();
    assert_eq!(
        again.source("eni-1").unwrap().subject.saved.settings.number,
        3
    );
}

#[test]
fn each_source_has_a_network_of_its_own_for_life_unless_told_otherwise() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    for n in 0..300 {
        account.source(&n.to_string(), "f");
    }
    account.inventory.targets.get_mut("tmt-s1").unwrap().place =
        vxscope_enrolment::inventory::TargetPlace::NetworkLoadBalancer("arn".to_owned());
    account.seen.sensors[0].place = vxscope_enrolment::SensorPlace::Target("tmt-s1".to_owned());
    let vni = |plan: &vxscope_enrolment::Plan| -> Vec<u32> {
        plan.sources
            .iter()
            .map(|one| one.mirror.vni.get())
            .collect()
    };
    let first = vni(&account.look());
    let mut sorted = first.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!((sorted.len(), sorted[0] > 0), (300, true));
    // Another account, where somebody else has two of them.
    let mut other = Account::new();
    std::mem::swap(&mut other.inventory, &mut account.inventory);
    std::mem::swap(&mut other.seen, &mut account.seen);
    other.foreign("tms-x", "eni-x", 1, first[0]);
    other.foreign("tms-y", "eni-y", 1, first[9]);
    let second = vni(&other.settle());
    let differ = first.iter().zip(&second).filter(|(one, two)| one != two);
    assert_eq!(differ.count(), 2);
    assert_eq!(vni(&other.settle()), second);
    other.settings.vni = VniChoice::Fixed(1_169);
    assert!(vni(&other.settle()).iter().all(|vni| *vni == 1_169));
    let plan = other.look();
    assert_eq!(
        other.enroller.bind_table(&plan).unwrap().bindings().len(),
        300
    );
}

#[test]
fn more_sources_than_slots_take_turns_within_their_bounds() {
    let mut account = low_fleet(14, true);
    let plan = account.settle();
    let count = |plan: &vxscope_enrolment::Plan, slot| {
        plan.sources.iter().filter(|one| one.slot == slot).count()
    };
    assert_eq!(
        (count(&plan, Slot::Turn), count(&plan, Slot::Waits)),
        (10, 4)
    );
    let mut off = std::collections::BTreeMap::<String, u32>::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..48 * 12 {
        account.minutes(5);
        let plan = account.settle();
        assert_eq!(count(&plan, Slot::Turn), 10);
        for source in &plan.sources {
            let minutes = off.entry(source.interface.clone()).or_default();
            if source.slot == Slot::Turn {
                seen.insert(source.interface.clone());
                *minutes = 0;
            } else {
                *minutes += 5;
                assert!(*minutes <= 240, "{}", source.interface);
            }
        }
    }
    assert_eq!(seen.len(), 14);
}

#[test]
fn turns_that_would_break_a_bound_are_refused() {
    // a = 57 min and b = 240 min: at most 50 sources share ten slots.
    let mut account = low_fleet(60, true);
    let plan = account.settle();
    assert_eq!(plan.sources.len(), 50);
    assert_eq!(plan.of(FindingKind::NoSlot).count(), 10);
    // Who must not be off takes no turns.
    let mut account = low_fleet(14, false);
    let plan = account.settle();
    assert_eq!(plan.sources.len(), 10);
    assert!(plan.sources.iter().all(|one| one.slot == Slot::Own));
    assert_eq!(plan.of(FindingKind::NoSlot).count(), 4);
}

#[test]
fn a_target_that_ec2_calls_full_gets_no_more() {
    let mut account = low_fleet(10, false);
    account.enroller.handle_target_full("tmt-s1", 7);
    assert_eq!(account.look().of(FindingKind::NoSlot).count(), 3);
    account.enroller.forget_refusals();
    assert_eq!(account.look().of(FindingKind::NoSlot).count(), 0);
}

/// A sensor that takes ten sources, and so many of low importance.
fn low_fleet(sources: u32, allow_off: bool) -> Account {
    let mut account = Account::new();
    let sensor = account.inventory.instances.get_mut("i-s1");
    sensor.expect("the first sensor").kind = "m5.xlarge".to_owned();
    account.filter("f", "f", "10 accept ingress");
    account.settings.rules.assigns = vec![Assign {
        selector: vxscope_policy::rules::Selector::All,
        importance: Importance::Low,
        allow_off: Some(allow_off),
    }];
    for n in 0..sources {
        account.source(&format!("{n:02}"), "f");
    }
    account
}

fn classes() -> Account {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    for name in ["critical1", "critical2", "critical3", "low", "standard"] {
        account.source(name, "f");
        account.tag(name, "class", Some(name.trim_end_matches(char::is_numeric)));
    }
    let assign = |importance: Importance| Assign {
        selector: vxscope_policy::rules::Selector::Tag(
            "class".to_owned(),
            importance.name().to_owned(),
        ),
        importance,
        allow_off: None,
    };
    account.settings.rules.assigns = Importance::ALL.map(assign).to_vec();
    account
}
