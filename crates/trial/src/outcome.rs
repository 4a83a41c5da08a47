//! What one policy came to in one world.

use vxscope_units::Grade;

use crate::baseline;
use crate::bound::Blindness;
use crate::cost::{self, Cost};
use crate::score::Score;
use crate::timeline::Timeline;
use crate::world::World;

/// A policy's grades, and what they cost and showed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Name of the policy.
    pub name: &'static str,
    /// The grades.
    pub timeline: Timeline,
    /// What they cost.
    pub cost: Cost,
    /// What they showed of attacks with signs.
    pub attacks: Score,
    /// What they showed of attacks without.
    pub placebos: Score,
    /// How long they hid something.
    pub blindness: Blindness,
}

impl Outcome {
    /// Prices and scores a timeline.
    #[must_use]
    pub fn new(name: &'static str, world: &World, timeline: Timeline) -> Self {
        Self {
            name,
            cost: cost::cost(&world.fleet, &timeline, &world.prices),
            attacks: Score::of(&world.fleet, &timeline, &world.bounds, &world.attacks),
            placebos: Score::of(&world.fleet, &timeline, &world.bounds, &world.placebos),
            blindness: Blindness::of(&world.fleet, &timeline, &world.bounds),
            timeline,
        }
    }

    /// What they showed of all attacks.
    #[must_use]
    pub fn all(&self) -> Score {
        self.attacks.plus(&self.placebos)
    }
}

/// A baseline of [`FIXED`](crate::policies::FIXED).
#[must_use]
pub fn fixed(name: &'static str, world: &World) -> Outcome {
    let fleet = &world.fleet;
    let timeline = match name {
        "always-truncated" => baseline::always(fleet, Grade::Truncated),
        "always-sentinel" => baseline::always(fleet, Grade::Sentinel),
        "crown-jewels" => baseline::crown_jewels(fleet),
        "oracle" => baseline::oracle(fleet, world.all_attacks()),
        _ => baseline::always(fleet, Grade::Full),
    };
    Outcome::new(name, world, timeline)
}

/// Halvings of the range of a baseline's knob.
const STEPS: u32 = 14;
/// A budget is met if the cost is this close to it.
const CLOSE: f64 = 0.002;

/// A baseline of [`MATCHED`](crate::policies::MATCHED) with the knob turned so that it costs `usd`, or as near as it gets.
#[must_use]
pub fn matched(name: &'static str, world: &World, usd: f64) -> Outcome {
    let (mut low, mut high) = (0.0, 1.0);
    let mut best = (f64::INFINITY, 0.5);
    for _ in 0..STEPS {
        let knob = (low + high) / 2.0;
        let timeline = turned(name, world, knob);
        let cost = cost::cost(&world.fleet, &timeline, &world.prices).usd;
        if (cost - usd).abs() < best.0 {
            best = ((cost - usd).abs(), knob);
        }
        if best.0 < CLOSE * usd {
            break;
        }
        if cost < usd {
            low = knob;
        } else {
            high = knob;
        }
    }
    Outcome::new(name, world, turned(name, world, best.1))
}

/// The baseline with its knob between 0, the cheapest, and 1, the dearest.
fn turned(name: &str, world: &World, knob: f64) -> Timeline {
    let (fleet, seed) = (&world.fleet, world.seed);
    match name {
        "stratified-sample" => baseline::stratified_sample(fleet, knob, seed),
        "bytes-threshold" => {
            // From ten megabytes a second, which next to nothing has, to none.
            let threshold = 1e7 * (1.0 - knob).powi(6);
            baseline::bytes_threshold(fleet, threshold)
        }
        _ => {
            // On-times from one hour to a hundred days.
            let on_hours = 2_400_f64.powf(knob);
            baseline::duty_cycle(fleet, &world.bounds, on_hours, seed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::{FIXED, MATCHED};
    use crate::world::testing;

    #[test]
    fn fixed_baselines_see_and_cost_what_they_must() {
        let world = testing::world(40, 3, 1);
        let [on, truncated, sentinel, jewels, oracle] = FIXED.map(|name| fixed(name, &world));
        let certain = on.all().certain;
        assert!(
            certain.total > 30 && certain.seen == certain.total,
            "{certain:?}"
        );
        assert_eq!(on.blindness.max, 0);
        assert!(truncated.cost.usd < on.cost.usd && jewels.cost.usd < sentinel.cost.usd);
        let seen = [&on, &truncated, &jewels, &sentinel].map(|one| one.all().evidence.seen);
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
        // Who knows the future sees what can be seen at all.
        assert_eq!(oracle.all().evidence.seen, on.all().evidence.seen);
        assert!(oracle.cost.usd_low < on.cost.usd_low / 2.0);
    }

    #[test]
    fn matched_baselines_cost_what_they_are_given() {
        let world = testing::world(60, 4, 2);
        let on = fixed("always-on", &world).cost.usd;
        for name in MATCHED {
            for share in [0.7, 0.85] {
                let matched = matched(name, &world, share * on);
                let found = matched.cost.usd / on;
                assert!((found - share).abs() < 0.01, "{name} {share} {found}");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_outcome() {
        let [one, two] = [3, 3].map(|seed| {
            let world = testing::world(20, 2, seed);
            matched("duty-cycle", &world, 10.0)
        });
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
    }
}
