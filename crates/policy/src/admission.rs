//! Whether control could bring everybody back in time if one more were lowered.

use std::time::Duration;

use crate::rules::Limits;

/// The unit in which demand is summed, so that adding and taking away never drifts: 10⁻¹² calls
/// a second.
const PICO: f64 = 1e12;

/// Sums over the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Sources that are lowered, or control was asked to.
    pub(crate) lowered: u32,
    /// Steady demand of all sources that are paused again and again.
    pub(crate) demand: u64,
}

/// `1 / (a + b)` of one source.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float cast saturates, and the result is below 10¹²"
)]
pub(crate) fn demand_of(on: Duration, off: Duration) -> u64 {
    let seconds = (on + off).as_secs_f64().max(1.0);
    (PICO / seconds).round() as u64
}

impl Admission {
    /// Whether a source that adds so much may be lowered too.
    pub(crate) fn admits(&self, added: u64, limits: &Limits) -> bool {
        let demand = self.demand.saturating_add(added) as f64 / PICO;
        let most = limits.burst + limits.api_rate * limits.resume_within.as_secs_f64();
        demand <= limits.demand_max * limits.api_rate && f64::from(self.lowered) + 1.0 <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_lowered_as_come_back_within_fifteen_minutes() {
        let limits = Limits::default();
        let lowered = |lowered| Admission { lowered, demand: 0 };
        assert!(lowered(2_274).admits(0, &limits));
        assert!(!lowered(2_275).admits(0, &limits));
    }

    #[test]
    fn steady_demand_leaves_a_third_of_the_rate() {
        let limits = Limits::default();
        let hour = Duration::from_secs(3_600);
        let one = demand_of(hour, hour);
        // 0.7 × 2.5 calls a second carry 12,600 sources that come back every two hours.
        let demand = |sources: u64| Admission {
            lowered: 0,
            demand: sources * one,
        };
        assert!(demand(12_598).admits(one, &limits));
        assert!(!demand(12_601).admits(one, &limits));
    }
}
