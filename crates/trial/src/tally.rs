//! An outcome without its grades: what is kept of each seed.

use serde::Serialize;
use vxscope_units::Grade;

use crate::adversary::{Strike, mimic_idle, placebo_and_control, strike_at_pause_start};
use crate::bound::Blindness;
use crate::closed::Run;
use crate::cost::Cost;
use crate::outcome::Outcome;
use crate::policies::DYNAMIC;
use crate::recorded::Told;
use crate::score::{Score, Seen};
use crate::time::{HOUR, MINUTE};
use crate::timeline::Timeline;
use crate::world::World;

/// What one policy came to with one seed.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Its name.
    pub name: &'static str,
    /// What it cost.
    pub cost: Cost,
    /// What it showed of attacks with signs.
    pub attacks: Score,
    /// What it showed of attacks without.
    pub placebos: Score,
    /// Blind times.
    pub blindness: Blindness,
    /// Of the policy: share of the sources at each grade, by [`Grade::index`], every hour.
    pub grades: Vec<[f64; Grade::ALL.len()]>,
    /// Strikes at the start of its pauses.
    pub strike: Strike,
    /// Attacks without signs on the sources it hides most.
    pub mimic: Seen,
    /// Attacks without signs, and the same moved to another time.
    pub placebo_and_control: [Seen; 2],
    /// What the closed loop left, if there was one.
    pub run: Option<Run>,
}

impl Tally {
    /// Of an outcome.
    #[must_use]
    pub fn new(world: &World, outcome: &Outcome, run: Option<Run>) -> Self {
        let timeline = &outcome.timeline;
        Self {
            name: outcome.name,
            cost: outcome.cost,
            attacks: outcome.attacks.clone(),
            placebos: outcome.placebos.clone(),
            blindness: outcome.blindness.clone(),
            grades: if outcome.name == DYNAMIC {
                grades(world, timeline)
            } else {
                Vec::new()
            },
            strike: strike_at_pause_start(world, timeline),
            mimic: mimic_idle(world, timeline),
            placebo_and_control: placebo_and_control(world, timeline),
            run,
        }
    }

    /// What it showed of all attacks.
    #[must_use]
    pub fn all(&self) -> Score {
        self.attacks.plus(&self.placebos)
    }
}

/// Shares of the sources that live at the end of each hour.
fn grades(world: &World, timeline: &Timeline) -> Vec<[f64; Grade::ALL.len()]> {
    let share = |at: u64| {
        let mut counts = [0.0; Grade::ALL.len()];
        for (index, source) in (0_u32..).zip(&world.fleet.sources) {
            if source.alive.contains(&at) {
                counts[timeline.grade(index, at).index()] += 1.0;
            }
        }
        let all: f64 = counts.iter().sum();
        counts.map(|count| count / all.max(1.0))
    };
    (1..=world.fleet.end / HOUR)
        .map(|hour| share(hour * HOUR - MINUTE))
        .collect()
}

/// What was simulated, over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Sources at a time.
    pub sources: usize,
    /// Sources over the whole time, with those that came later, of the first seed.
    pub sources_ever: usize,
    /// Days.
    pub days: f64,
    /// The first seed.
    pub seed: u64,
    /// How many seeds, one after the other.
    pub seeds: usize,
    /// Attacks with signs, and without.
    pub attacks: [usize; 2],
    /// Largest share of the session-hours that any policy within these bounds can save: pausable
    /// share × b/(a+b).
    pub saving_ceiling: f64,
    /// The same where at most the allowed share of a group is lowered at once.
    pub saving_ceiling_groups: f64,
    /// What was recorded, if the fleet is not a drawn one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<Told>,
}
