//! The formulas against schedules that are played out.

use super::*;
use crate::seeded::Seeded;
use proptest::prelude::*;

#[test]
fn a_design_example_has_the_numbers_of_its_formula() {
    // b = 1 h, a = 1 h: E[B] = 0.75, the cycle is 1.75 h.
    let schedule = Schedule::new(1.0, 1.0);
    check(schedule.off_share(), 0.75 / 1.75);
    let activity = |length| Activity {
        length,
        evidence: 0.05,
    };
    check(schedule.missed_at_random(activity(0.1)), 0.75 / 1.75);
    check(
        schedule.missed_at_random(activity(0.85)),
        0.0625 / 1.0 / 1.75,
    );
    check(schedule.missed_at_random(activity(1.1)), 0.0);
    check(schedule.missed_at_pause_start(activity(0.5)), 1.0);
    check(schedule.missed_at_pause_start(activity(0.8)), 0.5);
    assert!(schedule.certainly_seen(activity(1.1)));
    assert!(!schedule.certainly_seen(activity(1.09)));
}

#[test]
fn an_activity_shorter_than_its_evidence_is_always_missed() {
    let schedule = Schedule::new(1.0, 1.0);
    let blink = Activity {
        length: 0.01,
        evidence: 0.02,
    };
    check(schedule.missed_at_random(blink), 1.0);
    check(schedule.missed_at_pause_start(blink), 1.0);
    check(schedule.missed_beacon(blink, 1.0, 5), 1.0);
}

#[test]
fn a_beacon_faster_than_the_on_time_is_always_seen() {
    let schedule = Schedule::new(4.0, 1.0);
    check(schedule.missed_beacon(CONTACT, 0.9, 7), 0.0);
    let one = schedule.missed_beacon(CONTACT, 0.9, 1);
    assert!((one - schedule.off_share()).abs() < 5e-3, "{one}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn formulas_equal_the_schedule_played_out(
        off in 0.5_f64..5.0, on in 0.3_f64..2.0, length in 0.01_f64..6.0, part in 0.0_f64..1.0, seed: u64
    ) {
        let schedule = Schedule::new(off, on);
        let evidence = part * length.min(on).min(0.2);
        let activity = Activity { length, evidence };
        let mut random = Seeded::new(seed);
        let (at_random, at_start) = integrate(&schedule, activity, &mut random);
        prop_assert!((at_random - schedule.missed_at_random(activity)).abs() < 0.01);
        prop_assert!((at_start - schedule.missed_at_pause_start(activity)).abs() < 0.025);
    }

    #[test]
    fn a_beacon_is_missed_as_often_as_when_played_out(
        off in 0.5_f64..5.0, on in 0.3_f64..2.0, period in 0.3_f64..8.0, contacts in 1_u32..5, seed: u64
    ) {
        let schedule = Schedule::new(off, on);
        let mut random = Seeded::new(seed);
        let rounds = 20_000;
        let missed = (0..rounds)
            .filter(|_| play_beacon(&schedule, period, contacts, &mut random))
            .count();
        let played = missed as f64 / f64::from(rounds);
        let formula = schedule.missed_beacon(CONTACT, period, contacts);
        prop_assert!((played - formula).abs() < 0.02, "{} against {}", played, formula);
    }

    #[test]
    fn nothing_certain_is_missed(off in 0.1_f64..5.0, on in 0.3_f64..2.0, evidence in 0.0_f64..0.3) {
        let schedule = Schedule::new(off, on);
        let activity = Activity { length: (off + 2.0 * evidence) * (1.0 + 1e-12), evidence };
        prop_assert!(schedule.certainly_seen(activity));
        prop_assert!(schedule.missed_at_random(activity) < 1e-9);
        prop_assert!(schedule.missed_at_pause_start(activity) < 1e-9);
    }
}

/// Plays pauses of a drawn length each against starts on a fine grid over one cycle.
fn integrate(schedule: &Schedule, activity: Activity, random: &mut Seeded) -> (f64, f64) {
    let (mut missed_time, mut time, mut missed_starts) = (0.0, 0.0, 0);
    let pauses = 4_000;
    for _ in 0..pauses {
        let off = random.between(schedule.off_min, schedule.off_max);
        let cycle = off + schedule.on;
        time += cycle;
        // One cycle of starts: from the last that shows nothing before the pause on, to the last
        // that shows itself before the next one.
        let starts = 400;
        let width = cycle / f64::from(starts);
        for index in 0..starts {
            let start = (f64::from(index) + 0.5) * width - activity.evidence;
            missed_time += width * f64::from(u8::from(is_missed(start, off, schedule, activity)));
        }
        missed_starts += u32::from(is_missed(0.0, off, schedule, activity));
    }
    (
        missed_time / time,
        f64::from(missed_starts) / f64::from(pauses),
    )
}

/// Whether neither the on-time before the pause `[0, off]` nor the one after it holds enough.
fn is_missed(start: f64, off: f64, schedule: &Schedule, activity: Activity) -> bool {
    let end = start + activity.length;
    let overlap = |from: f64, to: f64| (end.min(to) - start.max(from)).max(0.0);
    overlap(-schedule.on, 0.0) < activity.evidence
        && overlap(off, off + schedule.on) < activity.evidence
        || activity.length < activity.evidence
}

/// Whether all contacts of one beacon fell into pauses.
fn play_beacon(schedule: &Schedule, period: f64, contacts: u32, random: &mut Seeded) -> bool {
    let first = random.between(100.0, 200.0);
    let mut clock = 0.0;
    let mut contact = 0;
    while contact < contacts {
        let off = random.between(schedule.off_min, schedule.off_max);
        let next = |contact: u32| first + f64::from(contact) * period;
        if next(contact) < clock + schedule.on && next(contact) >= clock {
            return false;
        }
        clock += schedule.on;
        while contact < contacts && next(contact) < clock + off && next(contact) >= clock {
            contact += 1;
        }
        clock += off;
    }
    true
}

fn check(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-9, "{value}, not {expected}");
}

/// More than half an on-time of evidence: what begins late in one on-time is seen in the next.
#[test]
fn evidence_may_need_most_of_an_on_time() {
    let schedule = Schedule::new(0.5, 0.3);
    let activity = Activity {
        length: 5.0,
        evidence: 0.174,
    };
    let played = integrate(&schedule, activity, &mut Seeded::new(0));
    check(played.0, 0.0);
    check(schedule.missed_at_random(activity), 0.0);
}
