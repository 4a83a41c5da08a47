//! A worker's clock, and the places of packets and ticks in all outputs.

use vxscope_units::Timestamp;

/// The capture's clock: the largest stamp so far, which ticks at each whole second it passes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    pub(crate) now: Timestamp,
    /// From when on it ticks again; the first stamp always does.
    next_second: Timestamp,
    pub(crate) next_index: u64,
}

/// The second that a record's stamp brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick {
    pub(super) index: u64,
    pub(super) second: u64,
}

impl Clock {
    /// Moves to a later time; the second that this brings, if it is another one.
    #[inline]
    pub(crate) fn reach(&mut self, now: Timestamp) -> Option<u64> {
        self.now = self.now.max(now);
        if now < self.next_second {
            return None;
        }
        Some(self.tick(now))
    }

    #[cold]
    fn tick(&mut self, now: Timestamp) -> u64 {
        let second = now.seconds();
        self.next_second = Timestamp::new(second.saturating_add(1), 0);
        second
    }
}

/// Closings at a tick come before those at the packet that brought it, in every output.
pub(super) fn at_tick(index: u64) -> u64 {
    index.saturating_mul(2)
}

/// See [`at_tick`].
pub(super) fn at_packet(index: u64) -> u64 {
    index.saturating_mul(2).saturating_add(1)
}
