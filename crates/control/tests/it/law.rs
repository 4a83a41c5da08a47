//! Deliberate blindness is bounded, whatever fails and whenever everything is forgotten.

use std::time::Duration;

use proptest::prelude::*;
use vxscope_control::guard::{Bounds, MARGIN, Refusal};
use vxscope_control::simulated::{Faults, Outage};
use vxscope_units::{Grade, Timestamp};

use super::world::{BOUNDS, Scale, World, at, interface, owner};

const HOURS: u64 = 3;

/// Times in which nobody could bring anything back.
#[derive(Clone, Debug)]
struct Trouble {
    /// No API, from and to, in seconds.
    outages: Vec<(u64, u64)>,
    /// No keeper.
    crashes: Vec<(u64, u64)>,
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nobody_is_blind_for_longer_than_the_law_says(
        seed in any::<u64>(),
        sources in 2_u32..24,
        outages in prop::collection::vec((0_u64..HOURS * 3_600, 30_u64..1_500), 0..3),
        crashes in prop::collection::vec((0_u64..HOURS * 3_600, 0_u64..240), 0..5),
    ) {
        let spans = |all: Vec<(u64, u64)>| all.into_iter().map(|(from, length)| (from, from + length));
        let trouble = Trouble {
            outages: spans(outages).collect(),
            crashes: spans(crashes).collect(),
        };
        let world = live(seed, sources, &trouble);
        judge(&world, &trouble);
    }
}

/// Three hours of random wishes, then time to settle.
fn live(seed: u64, sources: u32, trouble: &Trouble) -> World {
    let outage = |(from, to): &(u64, u64)| Outage {
        from: at(*from),
        to: at(*to),
    };
    let faults = Faults {
        latency: (Duration::from_millis(20), Duration::from_millis(1_500)),
        lag: (Duration::ZERO, Duration::from_secs(20)),
        lost_before: 10_000,
        lost_after: 10_000,
        throttled: 50_000,
        outages: trouble.outages.iter().map(outage).collect(),
        ..Faults::default()
    };
    let mut world = World::new(sources, faults, seed);
    for second in 0..HOURS * 3_600 + 3_600 {
        for (from, to) in &trouble.crashes {
            if second == *from {
                world.crash();
            }
            if second == *to && world.keeper.is_none() {
                world.start();
            }
        }
        if second < HOURS * 3_600 && second % 10 == 0 {
            let row = world.random.below(u64::from(sources));
            let row = u32::try_from(row).expect("it is below a u32");
            let grade = world.random.below(Grade::ALL.len() as u64);
            let grade = Grade::ALL
                .into_iter()
                .find(|one| one.index() as u64 == grade);
            world.wish(row, grade.unwrap_or_default());
        }
        world.step(1_000);
        if second == HOURS * 3_600 && world.keeper.is_none() {
            world.start();
        }
    }
    world
}

fn judge(world: &World, trouble: &Trouble) {
    for (name, truth) in &world.truth {
        assert_eq!(truth.blind, [None; 4], "{name} is blind in the end");
        // The first is the time before there was any session.
        for (class, from, to) in &truth.over {
            if *from == at(0) {
                continue;
            }
            let blind = Duration::from_nanos(to.nanos_since(*from));
            let lost = impaired(*from, *to, trouble);
            let bound = BOUNDS.of(*class) + MARGIN + lost;
            assert!(
                blind <= bound,
                "{name} {class}: {blind:?} is over {bound:?}, {lost:?} lost"
            );
        }
    }
    let ours = world.api.sessions().filter(|session| owner().owns(session));
    let mut interfaces: Vec<_> = ours.map(|session| session.interface.clone()).collect();
    interfaces.sort();
    let expected: Vec<_> = (0..world.sources).map(interface).collect();
    assert_eq!(interfaces, expected, "one session each");
}

/// How much of a time was without API or keeper, and a minute after each such time.
fn impaired(from: Timestamp, to: Timestamp, trouble: &Trouble) -> Duration {
    let spans = trouble.outages.iter().chain(&trouble.crashes);
    let overlaps = spans.map(|(begin, end)| {
        let (begin, end) = (at(*begin).max(from), at(*end + 60).min(to));
        Duration::from_nanos(end.nanos_since(begin))
    });
    overlaps.sum()
}

#[test]
fn the_random_wishes_do_lower_sources() {
    let trouble = Trouble {
        outages: Vec::new(),
        crashes: Vec::new(),
    };
    let world = live(7, 12, &trouble);
    let pauses: usize = world.truth.values().map(|truth| truth.over.len() - 4).sum();
    assert!(pauses > 100, "{pauses}");
    let keeper = world.keeper.as_ref().unwrap();
    println!(
        "{pauses} pauses, worst overrun {:?}",
        keeper.guard().overrun_max()
    );
}

/// Law 6: b + O + drain + 60 s, with drain = max(0, due − burst) / rate.
#[test]
fn after_an_outage_the_backlog_drains_as_the_law_says() {
    for (sources, outage) in [(60, 600), (60, 3_600), (250, 600)] {
        let begin = 600;
        let faults = Faults {
            outages: vec![Outage {
                from: at(begin),
                to: at(begin + outage),
            }],
            ..Faults::default()
        };
        let mut world = World::new(sources * 2, faults, 3);
        world.settle(300);
        let mut lowered = 0;
        for row in 0..sources * 2 {
            lowered += u64::from(lowered < u64::from(sources) && world.wish(row, Grade::Off));
        }
        assert!(lowered > u64::from(sources) * 9 / 10, "{lowered}");
        let paused_by = 300 + lowered * 10 / 25 + 20;
        assert!(paused_by < begin);
        world.settle(begin + outage + 900);
        let drain = lowered.saturating_sub(25) * 1_000 / 2_500;
        let mut longest = Duration::ZERO;
        for truth in world.truth.values() {
            for (class, from, to) in truth.over.iter().filter(|(_, from, _)| *from != at(0)) {
                let blind = Duration::from_nanos(to.nanos_since(*from));
                let law = BOUNDS.of(*class).as_secs() + outage + drain + 60;
                longest = longest.max(blind);
                assert!(blind.as_secs() <= law, "{class}: {blind:?} is over {law} s");
            }
        }
        println!("{lowered} lowered, {outage} s without API: {longest:?}, drain {drain} s");
        for row in 0..world.sources {
            assert_eq!(world.grade(row), Grade::Full);
        }
    }
}

// The worst case of law 6: everybody becomes due at the moment at which the API goes away. What it
// costs beyond the bound is the outage and the drain, no less, and at most a minute more.

#[test]
fn ten_minutes_with_250_lowered_cost_what_the_law_says() {
    check_outage(250, 600, (25, 2_500));
}

#[test]
fn an_hour_with_250_lowered_costs_what_the_law_says() {
    check_outage(250, 3_600, (25, 2_500));
}

// As many as the default rate admits.

#[test]
fn ten_minutes_with_2275_lowered_cost_what_the_law_says() {
    check_outage(2_275, 600, (25, 2_500));
}

#[test]
fn an_hour_with_2275_lowered_costs_what_the_law_says() {
    check_outage(2_275, 3_600, (25, 2_500));
}

// As many as need an account whose rate AWS has raised.

#[test]
fn ten_minutes_with_5000_lowered_cost_what_the_law_says() {
    check_outage(5_000, 600, (100, 5_500));
}

#[test]
fn an_hour_with_5000_lowered_costs_what_the_law_says() {
    check_outage(5_000, 3_600, (100, 5_500));
}

fn check_outage(lowered: u32, outage: u64, (burst, rate_milli): (u32, u64)) {
    const ON: u64 = 120;
    // Sessions are created at the same rate.
    let settled = (u64::from(lowered) * 1_000 / rate_milli + ON + 60) / 10 * 10;
    let pausing = (u64::from(lowered) * 1_000 / rate_milli + 60) / 10 * 10;
    // Long enough that the steady demand is admitted, too.
    let due = settled + pausing + 3_600;
    // Who is paused first has the longest bound, so that all end together.
    let paused_at = |row: u32| settled + u64::from(row.saturating_sub(burst)) * 1_000 / rate_milli;
    let bound = |row| Duration::from_secs(due - paused_at(row));
    let bounds = |row| Bounds::new(Grade::Off, bound(row), bound(row), Duration::from_secs(ON));
    let faults = Faults {
        outages: vec![Outage {
            from: at(due - 5),
            to: at(due + outage),
        }],
        ..Faults::default()
    };
    let scale = Scale {
        burst,
        rate_milli,
        group_percent: 100,
        bounds: (0..lowered).map(bounds).collect(),
    };
    let mut world = World::scaled(lowered, faults, 5, scale);
    world.settle(settled);
    // As fast as the API takes them, so that each is off as soon as the gate says so.
    let mut rows = 0..lowered;
    for second in 0..pausing + 300 {
        while rows.start < lowered && paused_at(rows.start) <= settled + second {
            let row = rows.next().unwrap_or_default();
            assert!(world.wish(row, Grade::Off), "admission allows it");
        }
        world.settle(1);
    }
    world.doze(3_000);
    let off = (0..lowered)
        .filter(|row| world.grade(*row) == Grade::Off)
        .count();
    assert_eq!(off, lowered as usize, "all are off when the API goes away");
    let drain = u64::from(lowered.saturating_sub(burst)) * 1_000 / rate_milli;
    // Whom nobody can bring back need not be looked at each second.
    world.settle(320);
    world.doze(outage - 60);
    world.settle(drain + 340);
    let overshoot = world.truth.iter().map(|(name, truth)| {
        assert_eq!(truth.blind, [None; 4], "{name} is blind in the end");
        let row: u32 = name.trim_start_matches("eni-").parse().expect("a row");
        let over = truth.over.iter().filter(|(_, from, _)| *from != at(0));
        let blind = over
            .map(|(_, from, to)| to.nanos_since(*from))
            .max()
            .expect("it was off");
        Duration::from_nanos(blind)
            .saturating_sub(bound(row))
            .as_secs()
    });
    let longest = overshoot.max().expect("somebody was off");
    let law = outage + drain;
    assert!(
        longest <= law + 60,
        "{longest} s, the law says {law} and 60"
    );
    assert!(
        longest + 30 >= law,
        "{longest} s is not the worst case of {law}"
    );
}

/// Whoever could not be brought back within a quarter of an hour is not lowered.
#[test]
fn admission_refuses_what_the_default_rate_could_not_bring_back() {
    let bound = Duration::from_secs(4 * 3_600);
    let scale = Scale {
        group_percent: 100,
        bounds: vec![Bounds::new(
            Grade::Off,
            bound,
            bound,
            Duration::from_secs(120),
        )],
        ..Scale::default()
    };
    let mut world = World::scaled(5_000, Faults::default(), 6, scale);
    world.settle(5_000 * 1_000 / 2_500 + 300);
    let granted = (0..5_000)
        .filter(|row| world.wish(*row, Grade::Off))
        .count();
    assert_eq!(granted, 25 + 2_500 * 900 / 1_000);
    let guard = world.keeper.as_ref().unwrap().guard();
    assert_eq!(guard.refused(Refusal::Backlog), 5_000 - granted as u64);
}
