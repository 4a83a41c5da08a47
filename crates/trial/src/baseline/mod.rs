//! What a policy is compared with: schedules that anybody could set up, and one that knows the
//! future.

mod oracle;
mod sample;
mod threshold;

use vxscope_policy::Importance;
use vxscope_sim::random::{Random, hash};
use vxscope_units::{EvidenceClass, Grade};

use crate::bound::Bounds;
use crate::draw;
use crate::fleet::Fleet;
use crate::time::{self, HOUR};
use crate::timeline::Timeline;

pub use oracle::oracle;
pub use sample::stratified_sample;
pub use threshold::bytes_threshold;

/// Every source at one grade, always.
#[must_use]
pub fn always(fleet: &Fleet, grade: Grade) -> Timeline {
    Timeline::new(fleet, |_| grade)
}

/// Critical sources in full, nothing of the others.
#[must_use]
pub fn crown_jewels(fleet: &Fleet) -> Timeline {
    Timeline::new(fleet, |source| {
        if is_critical(fleet, source) {
            Grade::Full
        } else {
            Grade::Off
        }
    })
}

/// Every source but the critical ones off and on by turns, whatever it shows: off-times even in
/// [b/2, b] of its flow bound, on-times of whole hours, since started ones are paid, with a mean of
/// `on_hours`, the phase at random.
#[must_use]
pub fn duty_cycle(fleet: &Fleet, bounds: &Bounds, on_hours: f64, seed: u64) -> Timeline {
    let mut timeline = always(fleet, Grade::Full);
    for (index, source) in (0_u32..).zip(&fleet.sources) {
        let bound = bounds.of[source.importance.index()].blind[EvidenceClass::Flow.index()];
        if bound == 0 {
            continue;
        }
        let mut random = draw::stream(seed, 8, u64::from(index));
        let cycle = time::from_float(on_hours * HOUR as f64) + bound * 3 / 4;
        // Begun so long before its life that the phase is that of an old cycle.
        let lead = 8 * cycle + hash(hash(seed, 9), u64::from(index)) % cycle;
        let life = source.alive.end - source.alive.start;
        let mut at = 0;
        while at < lead + life {
            let to = at + off_time(&mut random, bound);
            if to > lead {
                let from = at.saturating_sub(lead);
                timeline.set(index, source.alive.start + from, Grade::Off);
                timeline.set(index, source.alive.start + (to - lead), Grade::Full);
            }
            at = to + on_time(&mut random, on_hours);
        }
    }
    timeline
}

pub(crate) fn off_time(random: &mut Random, bound: u64) -> u64 {
    let bound = bound as f64;
    time::from_float(draw::uniform(random, bound / 2.0, bound))
}

/// The whole hours next to the mean, luck rounds.
fn on_time(random: &mut Random, mean_hours: f64) -> u64 {
    let hours = (mean_hours + draw::share(random)).floor().max(1.0);
    time::from_float(hours * HOUR as f64)
}

fn is_critical(fleet: &Fleet, source: u32) -> bool {
    fleet.sources[source as usize].importance == Importance::Critical
}
