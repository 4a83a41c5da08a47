//! Attackers who know something, and whether chance does what the formulas say.

use vxscope_policy::bound::{Activity, CONTACT, Schedule};
use vxscope_sim::random::Random;
use vxscope_units::EvidenceClass;

use crate::attack::{Attack, Leg, Pattern, evidence_at};
use crate::baseline;
use crate::draw;
use crate::score::Seen;
use crate::time::{self, HOUR, MINUTE, SECOND};
use crate::timeline::Timeline;
use crate::world::World;

/// What somebody who knows the moment of each pause gets away with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Strike {
    /// One attack at the start of each pause that hides flows.
    pub attacks: Seen,
    /// How many of them the formula expects to be missed; early wake-ups make them fewer.
    pub missed_expected: f64,
}

/// An attack at the start of each pause, of a length even in its logarithm up to twice the bound.
#[must_use]
pub fn strike_at_pause_start(world: &World, timeline: &Timeline) -> Strike {
    let class = EvidenceClass::Flow;
    let mut strike = Strike::default();
    let mut random = draw::stream(world.seed, 15, 0);
    for (index, source) in (0_u32..).zip(&world.fleet.sources) {
        let bound = world.bounds.blind(&world.fleet, index, class);
        let on = world.bounds.of[source.importance.index()].on;
        for pause in timeline.blind(index, class, &source.alive) {
            if bound == 0 || pause.start == source.alive.start {
                continue;
            }
            let leg = steady(index, pause.start, bound, &mut random);
            if leg.span.end > source.alive.end {
                continue;
            }
            let schedule = Schedule::new(time::hours(bound), time::hours(on));
            strike.missed_expected += schedule.missed_at_pause_start(Activity {
                length: time::hours(leg.length()),
                evidence: time::hours(leg.needed),
            });
            strike.attacks.count(evidence_at(&leg, timeline).is_some());
        }
    }
    strike
}

fn steady(source: u32, start: u64, bound: u64, random: &mut Random) -> Leg {
    let needed = between(random, 10 * SECOND, 3 * MINUTE);
    let length = between(random, needed, 2 * bound);
    Leg {
        source,
        peer: None,
        span: start..start + length,
        traffic: EvidenceClass::Flow,
        evidence: EvidenceClass::Flow,
        pattern: Pattern::Steady(None),
        needed,
    }
}

fn between(random: &mut Random, low: u64, high: u64) -> u64 {
    time::from_float(draw::log_uniform(random, low as f64, high as f64))
}

/// Attacks without signs on the tenth of the sources that are hidden most: who shows nothing is
/// watched least.
#[must_use]
pub fn mimic_idle(world: &World, timeline: &Timeline) -> Seen {
    let hidden = |source: u32| {
        let alive = &world.fleet.sources[source as usize].alive;
        let spans = timeline.blind(source, EvidenceClass::Flow, alive);
        let blind: u64 = spans.iter().map(|span| span.end - span.start).sum();
        blind as f64 / (alive.end - alive.start).max(1) as f64
    };
    let mut shares: Vec<(f64, u32)> = (0..timeline.sources())
        .map(|source| (hidden(source), source))
        .collect();
    shares.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut idle = vec![false; shares.len()];
    for (_, source) in shares.iter().take(shares.len().div_ceil(10)) {
        idle[*source as usize] = true;
    }
    let mut seen = Seen::default();
    for attack in &world.placebos {
        if idle[attack.legs[0].source as usize] {
            seen.count(evidence_at(&attack.legs[0], timeline).is_some());
        }
    }
    seen
}

/// Attacks without signs as they are, and the same attacks moved to a random time in the life of
/// their source. A policy that sees no more than it may does equally well on both.
#[must_use]
pub fn placebo_and_control(world: &World, timeline: &Timeline) -> [Seen; 2] {
    let mut random = draw::stream(world.seed, 16, 0);
    let (mut placebo, mut control) = (Seen::default(), Seen::default());
    for Attack { legs, .. } in &world.placebos {
        let alive = &world.fleet.sources[legs[0].source as usize].alive;
        // One that the end of its source cut short could not be anywhere else.
        if legs[0].span.end >= alive.end {
            continue;
        }
        placebo.count(evidence_at(&legs[0], timeline).is_some());
        let room = alive.end - alive.start - legs[0].length();
        let start = alive.start + random.below(room.max(1));
        let moved = Leg {
            span: start..start + legs[0].length(),
            ..legs[0].clone()
        };
        control.count(evidence_at(&moved, timeline).is_some());
    }
    [placebo, control]
}

/// A chance by formula and by trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// Which formula.
    pub formula: &'static str,
    /// Length of the attack, or period of the beacon, in hours.
    pub hours: f64,
    /// Contacts of the beacon, else 1.
    pub contacts: u32,
    /// Chance of a miss by the formula.
    pub expected: f64,
    /// Share missed in the trial.
    pub found: f64,
}

/// Trials of each check.
const TRIALS: u32 = 40_000;
/// The schedule that is checked: b and a of a source of low importance, in hours.
const CHECKED: (f64, f64) = (4.0, 1.0);

/// Tries a random duty cycle against the formulas of the policy: random starts, strikes at the
/// start of a pause, and beacons.
#[must_use]
pub fn check_formulas(seed: u64) -> Vec<Check> {
    let schedule = Schedule::new(CHECKED.0, CHECKED.1);
    let mut checks = Vec::new();
    for (index, hours) in (0_u64..).zip([0.2, 0.5, 1.0, 2.0, 3.0, 3.5]) {
        let activity = Activity {
            length: hours,
            evidence: 0.05,
        };
        let mut random = draw::stream(seed, 17, index);
        checks.push(Check {
            formula: "random_start",
            hours,
            contacts: 1,
            expected: schedule.missed_at_random(activity),
            found: try_steady(&mut random, activity, false),
        });
        checks.push(Check {
            formula: "pause_start",
            hours,
            contacts: 1,
            expected: schedule.missed_at_pause_start(activity),
            found: try_steady(&mut random, activity, true),
        });
    }
    let grid = [0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 8.0];
    for (index, period) in (0_u64..).zip(grid) {
        for contacts in [2, 4, 8] {
            let mut random = draw::stream(seed, 18, index * 100 + u64::from(contacts));
            checks.push(Check {
                formula: "beacon",
                hours: period,
                contacts,
                expected: schedule.missed_beacon(CONTACT, period, contacts),
                found: try_beacon(&mut random, period, contacts),
            });
        }
    }
    checks
}

/// A stretch of off- and on-times, `true` where on, met at a random moment: the ends of the
/// stretches from there on, ms.
struct Cycle<'a> {
    random: &'a mut Random,
    on: bool,
    end: u64,
}

impl<'a> Cycle<'a> {
    /// At the start of a pause.
    fn at_pause(random: &'a mut Random) -> Self {
        let end = baseline::off_time(random, time::from_float(CHECKED.0 * HOUR as f64));
        Self {
            random,
            on: false,
            end,
        }
    }

    /// At a random moment: many cycles after a pause began.
    fn at_random(random: &'a mut Random) -> Self {
        let since = 40 * HOUR + random.below(400 * HOUR);
        let mut cycle = Self::at_pause(random);
        while cycle.end <= since {
            cycle.next();
        }
        cycle.end -= since;
        cycle
    }

    fn next(&mut self) {
        self.on = !self.on;
        self.end += if self.on {
            time::from_float(CHECKED.1 * HOUR as f64)
        } else {
            baseline::off_time(self.random, time::from_float(CHECKED.0 * HOUR as f64))
        };
    }
}

fn try_steady(random: &mut Random, activity: Activity, at_pause: bool) -> f64 {
    let length = time::from_float(activity.length * HOUR as f64);
    let needed = time::from_float(activity.evidence * HOUR as f64);
    share_missed(|| {
        let mut cycle = if at_pause {
            Cycle::at_pause(random)
        } else {
            Cycle::at_random(random)
        };
        let mut from = 0;
        loop {
            let to = cycle.end.min(length);
            if cycle.on && to >= from + needed {
                return false;
            }
            if cycle.end >= length {
                return true;
            }
            from = cycle.end;
            cycle.next();
        }
    })
}

fn try_beacon(random: &mut Random, period: f64, contacts: u32) -> f64 {
    let period = time::from_float(period * HOUR as f64);
    let length = time::from_float(CONTACT.length * HOUR as f64);
    share_missed(|| {
        let mut cycle = Cycle::at_random(random);
        for contact in 0..u64::from(contacts) {
            let at = contact * period;
            while cycle.end <= at {
                cycle.next();
            }
            if cycle.on && cycle.end >= at + length {
                return false;
            }
        }
        true
    })
}

fn share_missed(mut missed: impl FnMut() -> bool) -> f64 {
    let count = (0..TRIALS).filter(|_| missed()).count();
    count as f64 / f64::from(TRIALS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome;
    use crate::world::testing;

    #[test]
    fn chance_does_what_the_formulas_say() {
        let checks = check_formulas(1);
        assert_eq!(checks.len(), 12 + 24);
        for check in checks {
            let off = (check.found - check.expected).abs();
            assert!(off < 0.02, "{check:?}");
        }
    }

    #[test]
    fn placebos_do_as_well_anywhere() {
        let world = testing::world(100, 8, 4);
        let outcome = outcome::matched("duty-cycle", &world, 1e9);
        let cycling = outcome::matched("duty-cycle", &world, 0.8 * outcome.cost.usd);
        let [placebo, control] = placebo_and_control(&world, &cycling.timeline);
        assert!(placebo.total > 1_000);
        let off = placebo.share() - control.share();
        assert!(off.abs() < 0.03, "{off}");
        let idle = mimic_idle(&world, &cycling.timeline);
        assert!((30..placebo.total).contains(&idle.total), "{idle:?}");
        assert!(idle.seen < idle.total);
    }

    #[test]
    fn strikes_at_the_start_of_a_pause_are_missed_as_the_formula_says() {
        let world = testing::world(100, 8, 5);
        let timeline = baseline::duty_cycle(&world.fleet, &world.bounds, 1.0, 5);
        let strike = strike_at_pause_start(&world, &timeline);
        let missed = (strike.attacks.total - strike.attacks.seen) as f64;
        assert!(strike.attacks.total > 2_000);
        let off = (missed - strike.missed_expected) / strike.attacks.total as f64;
        assert!(off.abs() < 0.02, "{off}");
    }
}
