//! How long each source may be blind in each class: what a policy promises, as the score needs it.

use std::time::Duration;

use vxscope_policy::Importance;
use vxscope_units::EvidenceClass;

use crate::attack::{Attack, Leg};
use crate::fleet::Fleet;
use crate::timeline::Timeline;

/// The promise to one importance, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Longest blind time `b` of each class, by [`EvidenceClass::index`].
    pub blind: [u64; EvidenceClass::COUNT],
    /// Least on-time `a` between two blind times.
    pub on: u64,
    /// Classes that stay visible where a session may not be deleted.
    pub always: [bool; EvidenceClass::COUNT],
}

/// The promises to a fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// By [`Importance::index`].
    pub of: [Bound; Importance::COUNT],
    /// What an API call may take to have its effect, `M`, ms.
    pub margin: u64,
}

/// A duration in the milliseconds of trials.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Bounds {
    /// Longest blind time of a class of one source.
    #[must_use]
    pub fn blind(&self, fleet: &Fleet, source: u32, class: EvidenceClass) -> u64 {
        let source = &fleet.sources[source as usize];
        let bound = &self.of[source.importance.index()];
        if bound.always[class.index()] && !source.allow_off {
            return 0;
        }
        bound.blind[class.index()]
    }

    /// Whether the leg must be seen, whatever luck it has: `d ≥ b + 2e + M`, and its evidence fits
    /// into one on-time. The evidence of a leg with gaps holds the gaps before and between, so
    /// that they are shorter than `a` then.
    #[must_use]
    pub fn certain(&self, fleet: &Fleet, leg: &Leg) -> bool {
        let blind = self.blind(fleet, leg.source, leg.evidence);
        let on = self.of[fleet.sources[leg.source as usize].importance.index()].on;
        leg.length() >= blind + 2 * leg.needed + self.margin && (leg.needed <= on || blind == 0)
    }

    /// Whether every leg of the attack is on a source that may be blind for what it needs.
    #[must_use]
    pub fn may_be_blind(&self, fleet: &Fleet, attack: &Attack) -> bool {
        attack
            .legs
            .iter()
            .all(|leg| self.blind(fleet, leg.source, leg.evidence) > 0)
    }

    /// Whether some leg of the attack must be seen.
    #[must_use]
    pub fn certain_attack(&self, fleet: &Fleet, attack: &Attack) -> bool {
        attack.legs.iter().any(|leg| self.certain(fleet, leg))
    }
}

/// Blind times of a timeline, ms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blindness {
    /// The longest bound of any source and class.
    pub bound: u64,
    /// The longest blind time of any source and class.
    pub max: u64,
    /// The most by which one was longer than its own bound.
    pub overrun_max: u64,
    /// By how much one may be longer while the API takes calls.
    pub margin: u64,
    /// Every blind time of the flow class, in order of sources and time.
    pub flow: Vec<u64>,
}

impl Blindness {
    /// Of every source and class of a timeline.
    #[must_use]
    pub fn of(fleet: &Fleet, timeline: &Timeline, bounds: &Bounds) -> Self {
        let mut blindness = Self {
            margin: bounds.margin,
            ..Self::default()
        };
        for source in 0..timeline.sources() {
            for class in EvidenceClass::ALL {
                let bound = bounds.blind(fleet, source, class);
                blindness.bound = blindness.bound.max(bound);
                for span in timeline.blind(source, class, &(0..fleet.end)) {
                    let length = span.end - span.start;
                    blindness.max = blindness.max.max(length);
                    blindness.overrun_max = blindness.overrun_max.max(length.saturating_sub(bound));
                    if class == EvidenceClass::Flow {
                        blindness.flow.push(length);
                    }
                }
            }
        }
        blindness
    }
}
