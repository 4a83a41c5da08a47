//! The truth of a trial: a fleet, the attacks on it, and what they are measured by.

use std::sync::Arc;

use vxscope_policy::Importance;
use vxscope_policy::money::PriceTable;
use vxscope_units::EvidenceClass;

use crate::activity::Activity;
use crate::attack::{Attack, Mix, draw_attacks, draw_placebos};
use crate::bound::Bounds;
use crate::fleet::{Fleet, Spec};
use crate::recorded::Background;
use crate::tally::Trial;
use crate::time::{self, HOUR};

/// Attacks with signs, for each source and 30 days.
pub const ATTACKS_PER_SOURCE_MONTH: f64 = 0.5;
/// Attacks without, for each source and 30 days. They change nothing, so there may be many.
pub const PLACEBOS_PER_SOURCE_MONTH: f64 = 100.0;
/// The longest attack is so many times the bound of its source.
const LONGEST_BOUNDS: u64 = 4;
/// Where a source has no bound because it is never blind, attacks are as long as for this one.
const UNBOUNDED: u64 = HOUR;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The fleet's file.
    pub spec: Spec,
    /// Sources at a time.
    pub sources: u32,
    /// Days.
    pub days: u32,
    /// Seed of everything.
    pub seed: u64,
    /// What the policy promises.
    pub bounds: Bounds,
    /// What everything costs.
    pub prices: PriceTable,
    /// A fleet that really was, instead of one that is drawn.
    pub real: Option<Real>,
}

/// Traffic that was recorded, and what its sources are.
#[derive(Clone, Debug)]
pub struct Real {
    /// What was recorded.
    pub background: Arc<Background>,
    /// How much each source matters.
    pub importance: Importance,
    /// Whether one of standard importance may have no session at all for a while.
    pub allow_off: bool,
}

impl Real {
    /// Its sources, for a trial of so many days.
    #[must_use]
    pub fn fleet(&self, days: u32) -> Fleet {
        self.background.fleet(self.importance, self.allow_off, days)
    }
}

/// A fleet and what befalls it.
#[derive(Clone, Debug)]
pub struct World {
    /// The seed.
    pub seed: u64,
    /// The fleet.
    pub fleet: Fleet,
    /// Attacks that leave signs.
    pub attacks: Vec<Attack>,
    /// Attacks that leave none.
    pub placebos: Vec<Attack>,
    /// What the policy promises.
    pub bounds: Bounds,
    /// What everything costs.
    pub prices: PriceTable,
    /// What happens on the fleet, if it was recorded.
    background: Option<Arc<Background>>,
}

impl World {
    /// Draws it.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let fleet = match &setup.real {
            Some(real) => real.fleet(setup.days),
            None => Fleet::new(setup.spec.clone(), setup.sources, setup.days, setup.seed),
        };
        let longest = std::array::from_fn(|importance| longest(&setup.bounds, importance));
        let mix = |per_source_month| Mix {
            per_source_month,
            longest,
        };
        let attacks = draw_attacks(&fleet, &mix(ATTACKS_PER_SOURCE_MONTH), setup.seed);
        let placebos = draw_placebos(&fleet, &mix(PLACEBOS_PER_SOURCE_MONTH), setup.seed);
        Self {
            seed: setup.seed,
            fleet,
            attacks,
            placebos,
            bounds: setup.bounds,
            prices: setup.prices.clone(),
            background: setup.real.as_ref().map(|real| real.background.clone()),
        }
    }

    /// What happens on the fleet, from the first day.
    #[must_use]
    pub fn activity(&self) -> Activity {
        match &self.background {
            Some(background) => Activity::recorded(background.clone()),
            None => Activity::new(self.seed),
        }
    }

    /// What was simulated; `group_lowered_max` is the share of a group that may be lowered.
    #[must_use]
    pub fn trial(&self, group_lowered_max: f64) -> Trial {
        Trial {
            sources: self.fleet.slots.len(),
            sources_ever: self.fleet.sources.len(),
            days: time::hours(self.fleet.end) / 24.0,
            seed: self.seed,
            seeds: 1,
            attacks: [self.attacks.len(), self.placebos.len()],
            saving_ceiling: self.saving_ceiling(1.0),
            saving_ceiling_groups: self.saving_ceiling(group_lowered_max),
            background: self.background.as_ref().map(|one| one.told()),
        }
    }

    /// Share of the source-time that may be off: of each source b/(a+b), but no more than a share.
    #[must_use]
    pub fn saving_ceiling(&self, most: f64) -> f64 {
        let sources = self.fleet.sources.iter();
        let savable: f64 = sources
            .filter(|source| source.allow_off && source.importance != Importance::Critical)
            .map(|source| {
                let bound = &self.bounds.of[source.importance.index()];
                let blind = bound.blind[EvidenceClass::Flow.index()] as f64;
                let share = blind / (blind + bound.on as f64);
                share.min(most) * (source.alive.end - source.alive.start) as f64
            })
            .sum();
        savable / self.fleet.source_time().max(1) as f64
    }

    /// Every attack.
    pub fn all_attacks(&self) -> impl Iterator<Item = &Attack> {
        self.attacks.iter().chain(&self.placebos)
    }
}

fn longest(bounds: &Bounds, importance: usize) -> u64 {
    debug_assert!(importance < Importance::COUNT);
    let blind = bounds.of[importance].blind[EvidenceClass::Flow.index()];
    let blind = if blind == 0 { UNBOUNDED } else { blind };
    LONGEST_BOUNDS * blind
}

#[cfg(test)]
pub(crate) mod testing {
    //! Worlds for tests.

    use super::*;
    use crate::bound::Bound;
    use crate::fleet::STANDARD;
    use crate::time::MINUTE;

    /// The bounds of the design's table.
    pub(crate) fn bounds() -> Bounds {
        let bound = |flow, payload| {
            let mut blind = [flow * MINUTE; EvidenceClass::COUNT];
            blind[EvidenceClass::Payload.index()] = payload * MINUTE;
            Bound {
                blind,
                on: HOUR,
                always: EvidenceClass::ALL.map(|class| class == EvidenceClass::DnsNever),
            }
        };
        Bounds {
            of: [bound(240, 240), bound(60, 120), bound(0, 0)],
            margin: 2 * MINUTE,
        }
    }

    pub(crate) fn world(sources: u32, days: u32, seed: u64) -> World {
        World::new(&Setup {
            spec: Spec::parse(STANDARD).expect("well-formed"),
            sources,
            days,
            seed,
            bounds: bounds(),
            prices: PriceTable::published().expect("well-formed"),
            real: None,
        })
    }
}
