//! What a trial found, in the words that programs read.

use serde::Serialize;
use vxscope_policy::Importance;
use vxscope_units::EvidenceClass;

use crate::attack::Kind;
use crate::fleet::Fleet;
use crate::interval::{rule_of_three, wilson};
use crate::outcome::Outcome;
use crate::score::{Score, Seen};
use crate::time::{self, SECOND};
use crate::world::World;

/// Everything about one trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Version of this format.
    pub schema: u32,
    /// What was simulated.
    pub trial: TrialSummary,
    /// What each policy came to.
    pub policies: Vec<PolicySummary>,
}

/// What was simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialSummary {
    /// Sources at a time.
    pub sources: usize,
    /// Sources over the whole time, with those that came later.
    pub sources_ever: usize,
    /// Days.
    pub days: f64,
    /// Seed.
    pub seed: u64,
    /// Attacks with signs, and without.
    pub attacks: [usize; 2],
    /// Largest share of the session-hours that any policy within these bounds can save: pausable
    /// share × b/(a+b).
    pub saving_ceiling: f64,
}

/// What one policy came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicySummary {
    /// Its name.
    pub name: String,
    /// By started hours.
    pub usd: f64,
    /// The least of all billing models and price ranges.
    pub usd_low: f64,
    /// The most of them.
    pub usd_high: f64,
    /// Mirrored, GiB.
    pub gib: f64,
    /// Time that sessions existed.
    pub session_hours: f64,
    /// Changes asked of the API.
    pub api_calls: u64,
    /// Attacks, all of them, seen by the evidence that a detector needs.
    pub attacks: AttackSummary,
    /// Blind times.
    pub blind_seconds: BlindSummary,
    /// 95 % intervals of shares.
    pub ci95: IntervalSummary,
}

/// So many, so many seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// All.
    pub total: u64,
    /// Seen.
    pub seen: u64,
}

impl From<Seen> for Count {
    fn from(seen: Seen) -> Self {
        Self {
            total: seen.total,
            seen: seen.seen,
        }
    }
}

/// Attacks and which were seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttackSummary {
    /// All.
    pub total: u64,
    /// Seen by evidence (L3).
    pub seen: u64,
    /// Those that the bounds promise to see: d ≥ b + 2e + M, gaps below a.
    pub at_or_over_bound: Count,
    /// Largest chance of a miss among them that fits at 95 %, if none was missed.
    pub at_or_over_bound_miss_max: Option<f64>,
    /// Shorter, with signs beforehand.
    pub short_prepared: Count,
    /// Shorter, without.
    pub short_unprepared: Count,
    /// Those that leave no sign at all: nothing a policy does depends on them.
    pub placebo: Count,
    /// All, seen by any packet, by the start of a flow, by evidence.
    pub levels: [Count; 3],
    /// By kind, seen by evidence.
    pub kinds: Vec<(&'static str, Count)>,
}

/// Blind times, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BlindSummary {
    /// The longest bound of any source and class.
    pub bound: f64,
    /// The longest blind time.
    pub max: f64,
    /// The most by which any was longer than its own bound.
    pub overrun_max: f64,
    /// By how much one may be longer, while the API takes calls.
    pub margin: f64,
}

/// 95 % intervals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct IntervalSummary {
    /// Of the share of all attacks that were seen.
    pub seen: [f64; 2],
    /// Of the share of short attacks with signs beforehand.
    pub short_prepared: [f64; 2],
    /// Of the share of attacks without signs.
    pub placebo: [f64; 2],
}

impl Summary {
    /// Of all outcomes in one world.
    #[must_use]
    pub fn new(world: &World, outcomes: &[Outcome]) -> Self {
        Self {
            schema: 1,
            trial: TrialSummary {
                sources: world.fleet.slots.len(),
                sources_ever: world.fleet.sources.len(),
                days: time::hours(world.fleet.end) / 24.0,
                seed: world.seed,
                attacks: [world.attacks.len(), world.placebos.len()],
                saving_ceiling: saving_ceiling(world),
            },
            policies: outcomes.iter().map(|one| policy(world, one)).collect(),
        }
    }
}

/// Share of the source-time that may be off, each by b/(a+b) of its own bound.
#[must_use]
pub fn saving_ceiling(world: &World) -> f64 {
    let savable: f64 = world
        .fleet
        .sources
        .iter()
        .filter(|source| source.allow_off && source.importance != Importance::Critical)
        .map(|source| {
            let bound = &world.bounds.of[source.importance.index()];
            let blind = bound.blind[EvidenceClass::Flow.index()] as f64;
            let share = blind / (blind + bound.on as f64);
            share * (source.alive.end - source.alive.start) as f64
        })
        .sum();
    savable / source_time(&world.fleet)
}

fn source_time(fleet: &Fleet) -> f64 {
    fleet.source_time().max(1) as f64
}

fn policy(world: &World, outcome: &Outcome) -> PolicySummary {
    let all = outcome.all();
    let cost = &outcome.cost;
    let seconds = |ms: u64| ms as f64 / SECOND as f64;
    PolicySummary {
        name: outcome.name.to_owned(),
        usd: cost.usd,
        usd_low: cost.usd_low,
        usd_high: cost.usd_high,
        gib: cost.gib,
        session_hours: cost.session_hours,
        api_calls: cost.api_calls,
        attacks: attacks(&all, outcome),
        blind_seconds: BlindSummary {
            bound: seconds(outcome.blindness.bound),
            max: seconds(outcome.blindness.max),
            overrun_max: seconds(outcome.blindness.overrun_max),
            margin: seconds(world.bounds.margin),
        },
        ci95: IntervalSummary {
            seen: wilson(all.evidence),
            short_prepared: wilson(outcome.attacks.short_prepared),
            placebo: wilson(outcome.placebos.evidence),
        },
    }
}

fn attacks(all: &Score, outcome: &Outcome) -> AttackSummary {
    let whole = all.certain.total > 0 && all.certain.seen == all.certain.total;
    AttackSummary {
        total: all.evidence.total,
        seen: all.evidence.seen,
        at_or_over_bound: all.certain.into(),
        at_or_over_bound_miss_max: whole.then(|| rule_of_three(all.certain.total)),
        short_prepared: all.short_prepared.into(),
        short_unprepared: all.short_unprepared.into(),
        placebo: outcome.placebos.evidence.into(),
        levels: [all.packet, all.flow_start, all.evidence].map(Count::from),
        kinds: Kind::ALL
            .iter()
            .map(|kind| (kind.name(), all.kinds[*kind as usize].into()))
            .collect(),
    }
}
