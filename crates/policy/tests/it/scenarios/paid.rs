//! What a pause saves, and the time that is paid for in any case.

use vxscope_policy::money::{Pause, Prices};
use vxscope_policy::{Importance, Usd, Wish};
use vxscope_units::{Grade, Timestamp};

use crate::world::{START, TICK, World, all_low, at, rules, talk};

#[test]
fn in_place_grades_are_chosen_where_they_save_and_off_is_not_allowed() {
    let rules = rules(r#"{"mode": "dynamic"}"#);
    let mut world = World::new(4, rules, 23);
    for _ in 0..60 * 60 {
        let from = world.now;
        world.now += TICK;
        let (from, now) = (at(from), at(world.now));
        world
            .policy
            .handle_tick(Default::default(), from, now, true);
        for (row, key) in world.sources.iter().enumerate() {
            if world.grades[row] >= Grade::Truncated {
                world.policy.observe(*key, &talk());
            }
        }
        let mut wishes = Vec::new();
        let mut take = |wish: &Wish| wishes.push(*wish);
        world.policy.decide(now, &ByGigabyte, &mut take);
        for wish in wishes {
            world.grades[wish.source.index()] = wish.grade;
            world.policy.handle_grade(wish.source, wish.grade, now, now);
            if wish.lowers() {
                // Neither DNS nor management: a sentinel saves no more, and shows less.
                assert_eq!(wish.grade, Grade::Essential);
                assert_eq!(wish.importance, Importance::Standard);
                assert!((wish.numbers.saving.dollars() - 3e6 * 1e-6 * 0.75).abs() < 0.1);
            }
            world.decided.wishes.push(wish);
        }
    }
    assert!(world.decided.wishes.iter().any(|wish| wish.lowers()));
}

/// A dollar for a million bytes, and nothing for sessions.
struct ByGigabyte;

impl Prices for ByGigabyte {
    fn saving(&self, pause: &Pause) -> Usd {
        let hours = (pause.seconds.0 + pause.seconds.1) / 7_200.0;
        let rate = |grade: Grade| pause.bytes_per_hour[grade.index()];
        Usd::from_dollars((rate(pause.from) - rate(pause.to)) * hours * 1e-6)
    }

    fn paid_until(&self, _: Timestamp, now: Timestamp) -> Timestamp {
        now
    }
}

#[test]
fn on_time_fills_the_hour_that_is_paid_and_one_on_time_needs_one() {
    let mut world = World::new(2, all_low(), 24);
    let mut created = [at(START); 2];
    let mut lengths = Vec::new();
    for step in 1..7 * 24 * 240_u64 {
        let now = at(START + step * 15);
        if step % 4 == 0 {
            let from = at(START + (step - 4) * 15);
            world
                .policy
                .handle_tick(Default::default(), from, now, true);
            for (row, key) in world.sources.iter().enumerate() {
                if world.grades[row] == Grade::Full {
                    world.policy.observe(*key, &talk());
                }
            }
        }
        let mut wishes = Vec::new();
        let mut take = |wish: &Wish| wishes.push(*wish);
        world.policy.decide(now, &ByStartedHour, &mut take);
        for wish in wishes {
            let row = wish.source.index();
            if wish.lowers() {
                lengths.push(now.nanos_since(created[row]) / 60_000_000_000);
            } else {
                created[row] = now;
            }
            world.grades[row] = wish.grade;
            world.policy.handle_grade(wish.source, wish.grade, now, now);
        }
    }
    assert!(lengths.len() > 20, "{lengths:?}");
    let within = |minutes: &u64| (56..60).contains(&(minutes % 60));
    assert!(lengths.iter().all(within), "{lengths:?}");
    // The others had to wait until their only companion was back.
    let in_one = lengths.iter().filter(|minutes| **minutes < 60).count();
    assert!(in_one > 3, "{lengths:?}");
}

/// Hours paid when they begin, counted from the creation of the session.
struct ByStartedHour;

impl Prices for ByStartedHour {
    fn saving(&self, pause: &Pause) -> Usd {
        let cents = if pause.to == Grade::Off { 3.0 } else { 0.0 };
        Usd::from_dollars(cents / 100.0)
    }

    fn paid_until(&self, since: Timestamp, now: Timestamp) -> Timestamp {
        let hours = now.nanos_since(since) / 3_600_000_000_000 + 1;
        since.plus_nanos(hours * 3_600_000_000_000)
    }
}
