//! Traffic taken for relevance: what carries few bytes is switched off.

use vxscope_units::Grade;

use super::{always, is_critical};
use crate::fleet::Fleet;
use crate::time::HOUR;
use crate::timeline::Timeline;

/// Every source but the critical ones is off in an hour after one with fewer than so many bytes a
/// second; its own counters tell, not the mirror.
#[must_use]
pub fn bytes_threshold(fleet: &Fleet, bytes_per_second: f64) -> Timeline {
    let mut timeline = always(fleet, Grade::Full);
    for (index, source) in (0_u32..).zip(&fleet.sources) {
        if is_critical(fleet, index) {
            continue;
        }
        let first = source.alive.start.div_ceil(HOUR) + 1;
        for hour in first..source.alive.end.div_ceil(HOUR) {
            let at = hour * HOUR;
            let rate = fleet.bytes(index, at - HOUR, at) / 3_600.0;
            let grade = if rate < bytes_per_second {
                Grade::Off
            } else {
                Grade::Full
            };
            timeline.set(index, at, grade);
        }
    }
    timeline
}
