//! How a run is asked to end, and how long that may take.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::LiveClock;

/// Least time for closing the files, also of a run that has to end at once.
const CLOSING_MIN: Duration = Duration::from_secs(1);

const ASKED: u8 = 1;
const URGED: u8 = 2;

/// Asks a live run to end. Whoever holds it may ask from any thread.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// Nobody has asked yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// Asks the run to end in order. Asking again changes nothing.
    pub fn begin(&self) {
        self.0.fetch_max(ASKED, Ordering::Relaxed);
    }

    /// As [`Self::begin`] the first time. From the second time on the run ends at once: what is
    /// not done is counted instead, and the files are closed as they are.
    pub fn request(&self) {
        if self.0.fetch_max(ASKED, Ordering::Relaxed) >= ASKED {
            self.0.fetch_max(URGED, Ordering::Relaxed);
        }
    }

    /// Whether anybody has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= ASKED
    }

    fn is_urgent(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= URGED
    }
}

/// What a stop may take. Three quarters of it are for work: handling what was received and
/// writing what was handled. What is not done by then is counted and given up, and the last
/// quarter is for closing files. A file that is not closed by then is left as it is.
#[derive(Debug)]
pub(crate) struct Deadline {
    stop: Arc<Stop>,
    clock: LiveClock,
    limit: Duration,
    /// When the stop was noticed, and when the work had to end: times of the run.
    began: OnceLock<Duration>,
    cut: OnceLock<Duration>,
}

impl Deadline {
    pub(crate) const fn new(stop: Arc<Stop>, clock: LiveClock, limit: Duration) -> Self {
        Self {
            stop,
            clock,
            limit,
            began: OnceLock::new(),
            cut: OnceLock::new(),
        }
    }

    /// Whether work has to end. Never before a stop.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut_at().is_some()
    }

    /// Whether closing files has to end, too.
    pub(crate) fn is_over(&self) -> bool {
        let closing = self.closing();
        self.cut_at()
            .is_some_and(|cut| self.clock.elapsed() >= cut + closing)
    }

    /// What closing files may take after the cut.
    fn closing(&self) -> Duration {
        match self.stop.is_urgent() {
            true => CLOSING_MIN,
            false => CLOSING_MIN.max(self.limit / 4),
        }
    }

    fn cut_at(&self) -> Option<Duration> {
        if !self.stop.is_requested() {
            return None;
        }
        let now = self.clock.elapsed();
        let began = *self.began.get_or_init(|| now);
        if self.stop.is_urgent() || now >= began + self.limit / 4 * 3 {
            return Some(*self.cut.get_or_init(|| now));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{CLOSING_MIN, Deadline, Stop};
    use crate::clock::LiveClock;

    const LONG: Duration = Duration::from_secs(1_000_000);

    #[test]
    fn nothing_is_cut_before_a_stop() {
        check(Duration::ZERO, |_| {}, false);
        check(LONG, |_| {}, false);
    }

    #[test]
    fn a_stop_without_time_cuts_at_once() {
        check(Duration::ZERO, Stop::begin, true);
        check(LONG, Stop::begin, false);
    }

    #[test]
    fn the_second_request_cuts_and_a_defect_that_also_stops_does_not() {
        let twice = |stop: &Stop| (0..2).for_each(|_| stop.request());
        check(LONG, twice, true);
        let both = |stop: &Stop| (0..9).for_each(|_| stop.begin());
        check(LONG, both, false);
    }

    #[test]
    fn files_may_be_closed_after_the_cut_but_not_for_ever() {
        for (limit, requests) in [(Duration::ZERO, 1), (LONG, 2)] {
            let stop = Arc::new(Stop::new());
            let deadline = Deadline::new(stop.clone(), LiveClock::start(), limit);
            (0..requests).for_each(|_| stop.request());
            assert!(deadline.is_cut());
            assert_eq!(deadline.closing(), CLOSING_MIN);
            while !deadline.is_over() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn check(limit: Duration, ask: impl Fn(&Stop), cut: bool) {
        let stop = Arc::new(Stop::new());
        let deadline = Deadline::new(stop.clone(), LiveClock::start(), limit);
        ask(&stop);
        assert_eq!(deadline.is_cut(), cut);
    }
}
