//! Time that a sensor saw without loss: what its sources' silence may be measured against.

use vxscope_units::Timestamp;

/// A sensor without a tick for this long is taken for dead: nothing is concluded from it.
pub(crate) const STALE_NANOS: u64 = 180_000_000_000;

/// Which sensor; a small index of the caller's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorKey(pub u16);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sensor {
    /// End of the last tick.
    pub(crate) to: Timestamp,
    /// Nanoseconds of ticks without loss so far.
    pub(crate) good: u64,
    /// Of these, in the last tick.
    pub(crate) good_last: u64,
}

impl Sensor {
    /// One tick; what lies between two ticks was not reported, and counts as lost.
    pub(crate) fn handle_tick(&mut self, from: Timestamp, to: Timestamp, loss_free: bool) {
        let begin = from.max(self.to);
        self.good_last = if loss_free { to.nanos_since(begin) } else { 0 };
        self.good = self.good.saturating_add(self.good_last);
        self.to = self.to.max(to);
    }

    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        now.nanos_since(self.to) > STALE_NANOS
    }
}
