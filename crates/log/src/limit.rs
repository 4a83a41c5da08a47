//! How many lines each place may write.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tracing::callsite::Identifier;

/// Lines of one place in each [`PERIOD`]: enough to see what goes on, too few to fill a disk.
/// Further ones are left out, and counted.
pub const LINES_MAX: u32 = 10;
/// See [`LINES_MAX`].
pub const PERIOD: Duration = Duration::from_secs(60);

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is written, and says how many of its place were not since the last one.
    Write {
        /// How many.
        left_out: u64,
    },
    /// It is counted.
    LeaveOut,
}

/// What each place wrote lately. There are as many as the program has, so nothing grows on; whoever
/// takes something else for a place, as a sentence, sees to it that there are few.
#[derive(Debug)]
pub struct Limit<P = Identifier> {
    places: HashMap<P, Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// When its period began.
    since: Duration,
    written: u32,
    left_out: u64,
}

impl<P> Default for Limit<P> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
        }
    }
}

impl<P: Eq + Hash> Limit<P> {
    /// One more of this place, so long after the start.
    pub fn observe(&mut self, place: P, now: Duration) -> Verdict {
        let place = self.places.entry(place).or_insert(Place {
            since: now,
            written: 0,
            left_out: 0,
        });
        if now.saturating_sub(place.since) >= PERIOD {
            (place.since, place.written) = (now, 0);
        }
        if place.written >= LINES_MAX {
            place.left_out += 1;
            return Verdict::LeaveOut;
        }
        place.written += 1;
        Verdict::Write {
            left_out: std::mem::take(&mut place.left_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_repeats_itself_is_cut_short_and_says_so_later() {
        let mut limit = Limit::default();
        let second = Duration::from_secs;
        let all = Verdict::Write { left_out: 0 };
        for _ in 0..LINES_MAX {
            assert_eq!(limit.observe("one", second(1)), all);
        }
        for at in 1..=7 {
            assert_eq!(limit.observe("one", second(at)), Verdict::LeaveOut);
        }
        // Another place is another matter.
        assert_eq!(limit.observe("two", second(7)), all);
        assert_eq!(limit.observe("one", second(60)), Verdict::LeaveOut);
        let next = Verdict::Write { left_out: 8 };
        assert_eq!(limit.observe("one", second(61)), next);
        assert_eq!(limit.observe("one", second(61)), all);
        assert_eq!(limit.places.len(), 2);
    }
}
