//! Who is quiet is lowered: when, how far, and by which numbers.

use vxscope_policy::rules::Rules;
use vxscope_policy::{Cause, Observation};
use vxscope_report::EventKind;
use vxscope_units::Grade;

use super::with;
use crate::world::{World, all_low, rules, talk};

#[test]
fn a_quiet_fleet_is_paused_by_halves_after_a_day_and_comes_back() {
    let mut world = World::new(10, all_low(), 1);
    world.talk_for(23);
    assert_eq!(
        world.policy.lowered(),
        0,
        "new sources are pinned for a day"
    );
    let mut most = 0;
    for _ in 0..72 {
        world.talk_for(1);
        most = most.max(world.policy.lowered());
    }
    assert_eq!(most, 5, "half of the group, and not more");
    let ups = world.decided.wishes.iter().filter(|wish| !wish.lowers());
    assert!(ups.clone().count() > 50);
    assert!(ups.clone().all(|wish| wish.cause == Cause::Deadline));
}

#[test]
fn a_wish_tells_the_numbers_that_allowed_it() {
    let mut world = World::new(2, all_low(), 2);
    let row = world.talk_until_lowered();
    let wish = world.decided.wishes[0];
    assert_eq!(wish.source, world.sources[row]);
    assert_eq!((wish.grade, wish.cause), (Grade::Off, Cause::Quiet));
    let numbers = wish.numbers;
    assert_eq!(numbers.events, 0);
    assert!((numbers.rate_upper - 2.9957 / numbers.hours).abs() < 1e-3);
    assert!(numbers.rate_upper * numbers.blind_max <= numbers.tolerance);
    assert_eq!((numbers.blind_max, numbers.tolerance), (4.0, 1.0));
    assert!(numbers.saving.dollars() >= 0.01);
}

#[test]
fn saturation_holds_at_truncated() {
    let rules: Rules = rules(
        r#"{"mode": "dynamic", "limits": {"saving_min": 0},
            "assign": [{"importance": "low", "cidr": "10.0.0.0/8"}]}"#,
    );
    let mut world = World::new(4, rules, 10);
    for _ in 0..96 * 60 {
        world.tick(true, |_, grade| {
            let saturated = Observation {
                saturated: true,
                ..talk()
            };
            (grade >= Grade::Truncated).then_some(saturated)
        });
    }
    let lowest = world.decided.wishes.iter().map(|wish| wish.grade).min();
    assert_eq!(lowest, Some(Grade::Truncated));
}

#[test]
fn a_class_without_a_deadline_is_never_hidden() {
    let rules = rules(
        r#"{"mode": "dynamic", "limits": {"saving_min": 0},
            "importance": {"low": {"blind_minutes": {"flow": 0}}},
            "assign": [{"importance": "low", "cidr": "10.0.0.0/8"}]}"#,
    );
    let mut world = World::new(4, rules, 21);
    world.talk_for(72);
    let lowest = world.decided.wishes.iter().map(|wish| wish.grade).min();
    assert_eq!(lowest, Some(Grade::Truncated));
}

#[test]
fn some_pauses_are_refused_at_random_and_what_they_would_hide_is_counted() {
    let rules = rules(
        r#"{"mode": "dynamic", "limits": {"refusal": 0.5},
            "assign": [{"importance": "low", "cidr": "10.0.0.0/8"}]}"#,
    );
    let mut world = World::new(40, rules, 12);
    for minute in 0..14 * 24 * 60_u64 {
        world.tick(true, |row, grade| {
            let rare = minute % 2_880 == 60 * (row as u64 % 48);
            (grade >= Grade::Truncated).then(|| with(EventKind::FirstEdge, u32::from(rare)))
        });
    }
    let honesty = *world.policy.honesty();
    assert!(honesty.refused > 300, "{honesty:?}");
    let unseen = honesty.unseen().unwrap();
    // One event in 48 hours, for the 3 hours of a mean pause.
    let expected = honesty.granted as f64 * 3.0 / 48.0;
    assert!(
        unseen.low <= expected && expected <= unseen.high,
        "{unseen:?} {expected}"
    );
}
