//! The workers' signs of life, readable at any time from any thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::LiveClock;

/// When each worker last came round, in nanoseconds of the run.
#[derive(Debug)]
pub(crate) struct Pulse {
    clock: LiveClock,
    beats: Box<[Beat]>,
}

/// On a cache line of its own, so that workers do not disturb each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Beat(AtomicU64);

impl Pulse {
    pub(crate) fn new(clock: LiveClock, workers: usize) -> Self {
        Self {
            clock,
            beats: (0..workers).map(|_| Beat::default()).collect(),
        }
    }

    pub(super) const fn clock(&self) -> LiveClock {
        self.clock
    }

    /// A worker came round.
    #[inline]
    pub(crate) fn beat(&self, number: usize, elapsed: Duration) {
        if let Some(Beat(beat)) = self.beats.get(number) {
            let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
            beat.store(nanos, Ordering::Relaxed);
        }
    }
}

impl Pulse {
    /// How long ago the worker that is furthest behind came round.
    pub(crate) fn age(&self) -> Duration {
        let beats = self.beats.iter().map(|beat| beat.0.load(Ordering::Relaxed));
        let oldest = Duration::from_nanos(beats.min().unwrap_or(0));
        self.clock.elapsed().saturating_sub(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_that_is_furthest_behind_counts() {
        let clock = LiveClock::start();
        let pulse = Pulse::new(clock, 2);
        let later = Duration::from_secs(1_000_000);
        pulse.beat(0, later);
        assert!(pulse.age() <= clock.elapsed());
        pulse.beat(1, later);
        assert_eq!(pulse.age(), Duration::ZERO);
    }
}
