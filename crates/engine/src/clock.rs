//! The one place that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vxscope_units::Timestamp;

/// How long something takes, by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "this is the clock at the edge")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The clock of a live run: the wall clock at the start, and from there the monotonic one, so
/// that a jump of the wall clock neither ends flows nor keeps them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveClock {
    base: Timestamp,
    started: Stopwatch,
}

impl LiveClock {
    pub(crate) fn start() -> Self {
        Self {
            base: wall(),
            started: Stopwatch::start(),
        }
    }

    /// The time so long after the start.
    pub(crate) fn at(&self, elapsed: Duration) -> Timestamp {
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.base.plus_nanos(nanos)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How far the wall clock is ahead of this one by now: it was set, or runs unevenly.
    pub(crate) fn drift(&self) -> Drift {
        let (wall, here) = (wall(), self.at(self.elapsed()));
        if wall >= here {
            Drift::Ahead(wall.nanos_since(here))
        } else {
            Drift::Behind(here.nanos_since(wall))
        }
    }
}

/// How far the wall clock is from a run's own, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    Ahead(u64),
    Behind(u64),
}

impl Drift {
    /// None: in a replay the capture's clock is the only one.
    pub(crate) const NONE: Self = Self::Ahead(0);

    /// What the wall clock says at a time of the run's clock.
    pub(crate) fn wall(self, time: Timestamp) -> Timestamp {
        match self {
            Self::Ahead(nanos) => time.plus_nanos(nanos),
            Self::Behind(nanos) => Timestamp::from_nanos(time.as_nanos().saturating_sub(nanos)),
        }
    }
}

/// What the wall clock shows, by which the kernel stamps datagrams.
#[expect(clippy::disallowed_methods, reason = "this is the clock at the edge")]
pub(crate) fn wall() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::new(since_epoch.as_secs(), since_epoch.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::{Drift, Timestamp};

    #[test]
    fn drift_leads_to_the_wall_clock_and_never_below_zero() {
        let ten = Timestamp::new(10, 0);
        assert_eq!(Drift::NONE.wall(ten), ten);
        assert_eq!(Drift::Ahead(2_000_000_000).wall(ten), Timestamp::new(12, 0));
        assert_eq!(Drift::Behind(3_000_000_000).wall(ten), Timestamp::new(7, 0));
        assert_eq!(Drift::Behind(u64::MAX).wall(ten), Timestamp::ZERO);
    }
}
