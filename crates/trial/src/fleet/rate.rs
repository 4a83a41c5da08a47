//! How busy a source is at which hour.

use vxscope_sim::random::hash;

use super::{Calendar, Fleet, Role, Source};
use crate::draw;
use crate::time::{self, HOUR};

/// An hour of one source is never more than this many times its mean: no machine has more network.
const HOUR_MAX: f64 = 20.0;

impl Calendar {
    /// Activity at that time as a share of a busy hour's.
    #[must_use]
    pub fn activity(&self, at: u64) -> f64 {
        let hour = time::hour_of_day(at);
        let (from, to) = (self.night_from_hour, self.night_to_hour);
        let night = if from <= to {
            (from..to).contains(&hour)
        } else {
            hour >= from || hour < to
        };
        let weekend = time::weekday(at) >= 5;
        let mut activity = 1.0;
        if night {
            activity *= self.night_activity;
        }
        if weekend {
            activity *= self.weekend_activity;
        }
        activity
    }

    /// Whether new software is being deployed.
    #[must_use]
    pub fn deploys(&self, at: u64) -> bool {
        let hour = time::hour_of_day(at);
        self.deploy_weekdays.contains(&time::weekday(at))
            && (self.deploy_hour..self.deploy_hour + self.deploy_hours).contains(&hour)
    }
}

/// Bytes of a full mirror from the hour of creation to each full hour after it.
pub(super) fn bytes_until_hour(
    calendar: &Calendar,
    role: &Role,
    source: &Source,
    seed: u64,
) -> Vec<f64> {
    let first = source.alive.start / HOUR;
    let last = source.alive.end.div_ceil(HOUR);
    let mut sum = 0.0;
    let mut sums = vec![0.0];
    for hour in first..last {
        let at = hour * HOUR;
        let mut random = draw::stream(seed, hash(u64::from(source.slot), 1), hour);
        let burst = draw::pareto(&mut random, 1.0, role.bytes_tail).min(HOUR_MAX);
        let cron = if role.cron_hours.contains(&time::hour_of_day(at)) {
            role.cron_bytes
        } else {
            0.0
        };
        let busy = calendar.activity(at) * burst + cron;
        sum += source.bytes_per_second * busy * 3_600.0;
        sums.push(sum);
    }
    sums
}

impl Fleet {
    /// Bytes that a full mirror of the source delivers between two times, outside its life none.
    #[must_use]
    pub fn bytes(&self, source: u32, from: u64, to: u64) -> f64 {
        let source = &self.sources[source as usize];
        let until = |at: u64| {
            let at = at.clamp(source.alive.start, source.alive.end);
            let since = at - source.alive.start / HOUR * HOUR;
            let hour = usize::try_from(since / HOUR).unwrap_or(usize::MAX);
            let sums = &source.bytes_until_hour;
            let last = sums.len() - 1;
            let (low, high) = (sums[hour.min(last)], sums[(hour + 1).min(last)]);
            low + (high - low) * time::hours(since % HOUR)
        };
        until(to) - until(from)
    }
}
