//! What a trial found, in the words that programs read.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::adversary::Check;
use crate::attack::Kind;
use crate::interval::{self, rule_of_three, wilson};
use crate::policies::{DYNAMIC, MATCHED};
use crate::score::{Score, Seen};
use crate::tally::{Tally, Trial};
use crate::time::SECOND;

/// Everything about one trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Version of this format.
    pub schema: u32,
    /// What was simulated.
    pub trial: Trial,
    /// What each policy came to, summed over seeds.
    pub policies: Vec<PolicySummary>,
    /// The policy against each baseline of equal cost.
    pub compared: Vec<Compared>,
    /// Chances by formula and by trial.
    pub formulas: Vec<CheckSummary>,
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
    /// 95 % intervals of shares seen, by the names of [`AttackSummary`].
    pub ci95: BTreeMap<&'static str, [f64; 2]>,
    /// What the closed loop left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunSummary>,
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
    /// Of these, those on sources that may be blind at all.
    pub at_or_over_bound_pausable: Count,
    /// Largest chance of a miss among the latter that fits at 95 %, if none was missed: 3/n.
    pub at_or_over_bound_miss_max: Option<f64>,
    /// Shorter, with signs beforehand.
    pub short_prepared: Count,
    /// Shorter, without.
    pub short_unprepared: Count,
    /// Those that leave no sign at all: nothing a policy does depends on them.
    pub placebo: Count,
    /// The same ones at another time: a difference means that the simulator leaks.
    pub placebo_control: Count,
    /// One at the start of each pause.
    pub strike: Count,
    /// How many of those the formula expects to be missed, early wake-ups left out.
    pub strike_missed_expected: f64,
    /// Without signs, on the tenth of the sources that is hidden most.
    pub mimic_idle: Count,
    /// All: seen by any packet, by the start of a flow, by evidence.
    pub levels: [Count; 3],
    /// By kind, seen by evidence.
    pub kinds: BTreeMap<&'static str, Count>,
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
    /// By how much one may be longer while the API takes calls.
    pub margin: f64,
}

/// What the closed loop left, summed over seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunSummary {
    /// Pauses.
    pub lowered: u64,
    /// Pauses that the gate refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Raises by the gate, by reason.
    pub forced: BTreeMap<&'static str, u64>,
    /// Raises by the policy, by cause.
    pub raised: BTreeMap<&'static str, u64>,
    /// Source-hours in full by the policy's reason.
    pub kept_hours: BTreeMap<&'static str, u64>,
    /// Bytes of the policy's memory, the most of any seed.
    pub memory_bytes: usize,
}

/// The policy less a baseline that costs the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The baseline.
    pub baseline: String,
    /// Its cost as a share of the policy's.
    pub usd_ratio: f64,
    /// Difference in the share of short attacks with signs beforehand that are seen.
    pub short_prepared: f64,
    /// Its 95 % interval over seeds.
    pub short_prepared_ci95: Option<[f64; 2]>,
    /// The same for attacks without signs.
    pub placebo: f64,
    /// Its 95 % interval over seeds.
    pub placebo_ci95: Option<[f64; 2]>,
}

/// A chance by formula and by trial.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CheckSummary {
    /// Which formula.
    pub formula: &'static str,
    /// Length of the attack, or period of the beacon.
    pub hours: f64,
    /// Contacts of the beacon.
    pub contacts: u32,
    /// Chance of a miss by the formula.
    pub expected: f64,
    /// Share missed.
    pub found: f64,
}

impl Summary {
    /// Of the tallies of each seed, every seed with the same policies in the same order.
    #[must_use]
    pub fn new(trial: Trial, seeds: &[Vec<Tally>], checks: &[Check]) -> Self {
        let names: Vec<&'static str> = seeds
            .first()
            .into_iter()
            .flatten()
            .map(|tally| tally.name)
            .collect();
        Self {
            schema: 1,
            trial,
            policies: names.iter().map(|name| policy(&of(seeds, name))).collect(),
            compared: MATCHED
                .iter()
                .filter(|name| names.contains(name) && names.contains(&DYNAMIC))
                .map(|name| compare(&of(seeds, DYNAMIC), &of(seeds, name)))
                .collect(),
            formulas: checks
                .iter()
                .map(|check| CheckSummary {
                    formula: check.formula,
                    hours: check.hours,
                    contacts: check.contacts,
                    expected: check.expected,
                    found: check.found,
                })
                .collect(),
        }
    }

    /// The policy of that name.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&PolicySummary> {
        self.policies.iter().find(|policy| policy.name == name)
    }
}

/// One policy's tallies, a seed each.
fn of<'a>(seeds: &'a [Vec<Tally>], name: &str) -> Vec<&'a Tally> {
    let all = seeds.iter().flatten();
    all.filter(|tally| tally.name == name).collect()
}

fn policy(tallies: &[&Tally]) -> PolicySummary {
    let usd = |amount: fn(&Tally) -> f64| tallies.iter().map(|tally| amount(tally)).sum();
    let seconds = |most: fn(&Tally) -> u64| {
        let longest = tallies.iter().map(|tally| most(tally)).max();
        longest.unwrap_or(0) as f64 / SECOND as f64
    };
    PolicySummary {
        name: tallies.first().map_or("", |tally| tally.name).to_owned(),
        usd: usd(|tally| tally.cost.usd),
        usd_low: usd(|tally| tally.cost.usd_low),
        usd_high: usd(|tally| tally.cost.usd_high),
        gib: usd(|tally| tally.cost.gib),
        session_hours: usd(|tally| tally.cost.session_hours),
        api_calls: tallies.iter().map(|tally| tally.cost.api_calls).sum(),
        attacks: attacks(tallies),
        blind_seconds: BlindSummary {
            bound: seconds(|tally| tally.blindness.bound),
            max: seconds(|tally| tally.blindness.max),
            overrun_max: seconds(|tally| tally.blindness.overrun_max),
            margin: seconds(|tally| tally.blindness.margin),
        },
        ci95: [
            ("seen", shares(tallies, |tally| tally.all().evidence)),
            (
                "at_or_over_bound",
                shares(tallies, |tally| tally.all().certain),
            ),
            (
                "short_prepared",
                shares(tallies, |tally| tally.attacks.short_prepared),
            ),
            ("placebo", shares(tallies, |tally| tally.placebos.evidence)),
        ]
        .into(),
        run: runs(tallies),
    }
}

/// Interval of a share: by the binomial of one seed, by the spread over several.
fn shares(tallies: &[&Tally], seen: fn(&Tally) -> Seen) -> [f64; 2] {
    let clusters: Vec<Seen> = tallies.iter().map(|tally| seen(tally)).collect();
    match interval::ratio(&clusters) {
        (_, Some([low, high])) => [low.max(0.0), high.min(1.0)],
        _ => wilson(sum(tallies, seen)),
    }
}

fn sum(tallies: &[&Tally], seen: impl Fn(&Tally) -> Seen) -> Seen {
    tallies
        .iter()
        .fold(Seen::default(), |sum, tally| sum.plus(seen(tally)))
}

fn attacks(tallies: &[&Tally]) -> AttackSummary {
    let all = tallies
        .iter()
        .fold(Score::default(), |sum, tally| sum.plus(&tally.all()));
    let pausable = all.certain_pausable;
    let whole = pausable.total > 0 && pausable.seen == pausable.total;
    AttackSummary {
        total: all.evidence.total,
        seen: all.evidence.seen,
        at_or_over_bound: all.certain.into(),
        at_or_over_bound_pausable: pausable.into(),
        at_or_over_bound_miss_max: whole.then(|| rule_of_three(pausable.total)),
        short_prepared: all.short_prepared.into(),
        short_unprepared: all.short_unprepared.into(),
        placebo: sum(tallies, |tally| tally.placebo_and_control[0]).into(),
        placebo_control: sum(tallies, |tally| tally.placebo_and_control[1]).into(),
        strike: sum(tallies, |tally| tally.strike.attacks).into(),
        strike_missed_expected: tallies.iter().map(|one| one.strike.missed_expected).sum(),
        mimic_idle: sum(tallies, |tally| tally.mimic).into(),
        levels: [all.packet, all.flow_start, all.evidence].map(Count::from),
        kinds: Kind::ALL
            .iter()
            .map(|kind| (kind.name(), all.kinds[*kind as usize].into()))
            .collect(),
    }
}

fn runs(tallies: &[&Tally]) -> Option<RunSummary> {
    let mut sum: Option<RunSummary> = None;
    for run in tallies.iter().filter_map(|tally| tally.run.as_ref()) {
        let sum = sum.get_or_insert_default();
        sum.lowered += run.lowered;
        for (into, from) in [
            (&mut sum.refused, &run.refused),
            (&mut sum.forced, &run.forced),
            (&mut sum.raised, &run.raised),
            (&mut sum.kept_hours, &run.kept_hours),
        ] {
            for (name, count) in from {
                *into.entry(*name).or_default() += count;
            }
        }
        sum.memory_bytes = sum.memory_bytes.max(run.memory_bytes);
    }
    sum
}

/// Seed by seed, so that what is common to both does not widen the interval.
fn compare(policy: &[&Tally], baseline: &[&Tally]) -> Compared {
    let usd = |tallies: &[&Tally]| tallies.iter().map(|tally| tally.cost.usd).sum::<f64>();
    let difference = |seen: fn(&Tally) -> Seen| {
        let clusters: Vec<[Seen; 2]> = policy
            .iter()
            .zip(baseline)
            .map(|(one, other)| [seen(one), seen(other)])
            .collect();
        interval::difference(&clusters)
    };
    let (short_prepared, short_prepared_ci95) = difference(|tally| tally.attacks.short_prepared);
    let (placebo, placebo_ci95) = difference(|tally| tally.placebos.evidence);
    Compared {
        baseline: baseline.first().map_or("", |tally| tally.name).to_owned(),
        usd_ratio: usd(baseline) / usd(policy).max(f64::MIN_POSITIVE),
        short_prepared,
        short_prepared_ci95,
        placebo,
        placebo_ci95,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::outcome;
    use crate::policies::ALWAYS_ON;
    use crate::world::testing;

    #[test]
    fn programs_find_every_key() {
        let summary = summary();
        let json: Value = serde_json::to_value(&summary).unwrap();
        let names: Vec<&Value> = json["policies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|policy| &policy["name"])
            .collect();
        assert_eq!(names, [ALWAYS_ON, "duty-cycle"]);
        for pointer in [
            "usd",
            "usd_low",
            "usd_high",
            "gib",
            "session_hours",
            "api_calls",
            "attacks/total",
            "attacks/seen",
            "attacks/at_or_over_bound/total",
            "attacks/at_or_over_bound/seen",
            "blind_seconds/bound",
            "blind_seconds/max",
            "blind_seconds/overrun_max",
            "ci95/seen/0",
        ] {
            let value = json.pointer(&format!("/policies/1/{pointer}"));
            assert!(value.is_some_and(Value::is_number), "{pointer}");
        }
    }

    #[test]
    fn counts_of_parts_are_those_of_the_whole() {
        for policy in summary().policies {
            let attacks = &policy.attacks;
            let parts = [
                attacks.at_or_over_bound,
                attacks.short_prepared,
                attacks.short_unprepared,
            ];
            assert_eq!(
                parts.iter().map(|one| one.total).sum::<u64>(),
                attacks.total
            );
            assert_eq!(parts.iter().map(|one| one.seen).sum::<u64>(), attacks.seen);
            let kinds = attacks.kinds.values().map(|one| one.seen).sum::<u64>();
            assert_eq!(kinds, attacks.seen);
            assert!(attacks.levels.is_sorted_by(|a, b| a.seen >= b.seen));
        }
    }

    fn summary() -> Summary {
        let world = testing::world(30, 3, 1);
        let on = outcome::fixed(ALWAYS_ON, &world);
        let cycling = outcome::matched("duty-cycle", &world, 0.8 * on.cost.usd);
        let tallies = [on, cycling].map(|outcome| Tally::new(&world, &outcome, None));
        Summary::new(world.trial(0.5), &[tallies.into()], &[])
    }
}
