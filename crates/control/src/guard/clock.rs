//! The gate's own time: it stands still where the caller's goes back.

use std::time::Duration;

use vxscope_units::Timestamp;

/// Where the clock begins, so that times before the gate can be told.
const BEGIN: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Sums the steps forward of the times it is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    last: Option<Timestamp>,
    now: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            last: None,
            now: BEGIN,
        }
    }
}

impl Clock {
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// True if the time went back, so that nobody knows how much of it has passed.
    pub(crate) fn advance(&mut self, to: Timestamp) -> bool {
        let last = self.last.replace(to).unwrap_or(to);
        self.now += Duration::from_nanos(to.nanos_since(last));
        to < last
    }
}
