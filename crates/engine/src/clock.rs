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
    #[expect(clippy::disallowed_methods, reason = "this is the clock at the edge")]
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let base = Timestamp::new(since_epoch.as_secs(), since_epoch.subsec_nanos().into());
        Self {
            base,
            started: Stopwatch::start(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let nanos = u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.base.plus_nanos(nanos)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
