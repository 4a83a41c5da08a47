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
/// Places that are remembered: more than the program has. Where sentences are the places, more than
/// an operator reads in a [`PERIOD`]. Beyond it those whose period is over are forgotten first;
/// where there are none, a new place is left out. What was left out is told either way.
const PLACES_MAX: usize = 1_024;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is written, and says how many were not.
    Write {
        /// Those of its place since the last one.
        left_out: u64,
        /// Those of places that are not remembered any more.
        elsewhere: u64,
    },
    /// It is counted.
    LeaveOut,
}

/// What each place wrote lately: a place in the program, or whatever else may repeat itself.
#[derive(Debug)]
pub struct Limit<P = Identifier> {
    places: HashMap<P, Place>,
    /// Left out at places that are not remembered, and not told yet.
    elsewhere: u64,
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
            elsewhere: 0,
        }
    }
}

impl<P: Eq + Hash> Limit<P> {
    /// One more of this place, so long after the start.
    pub fn observe(&mut self, place: P, now: Duration) -> Verdict {
        if self.places.len() >= PLACES_MAX && !self.places.contains_key(&place) {
            self.forget(now);
            if self.places.len() >= PLACES_MAX {
                self.elsewhere += 1;
                return Verdict::LeaveOut;
            }
        }
        let place = self.places.entry(place).or_insert(Place {
            since: now,
            written: 0,
            left_out: 0,
        });
        if place.is_over(now) {
            (place.since, place.written) = (now, 0);
        }
        if place.written >= LINES_MAX {
            place.left_out += 1;
            return Verdict::LeaveOut;
        }
        place.written += 1;
        Verdict::Write {
            left_out: std::mem::take(&mut place.left_out),
            elsewhere: std::mem::take(&mut self.elsewhere),
        }
    }

    /// A place whose period is over begins anew in any case.
    fn forget(&mut self, now: Duration) {
        self.places.retain(|_, place| {
            let is_over = place.is_over(now);
            self.elsewhere += if is_over { place.left_out } else { 0 };
            !is_over
        });
    }
}

impl Place {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= PERIOD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_repeats_itself_is_cut_short_and_says_so_later() {
        let mut limit = Limit::default();
        let second = Duration::from_secs;
        let all = write(0, 0);
        for _ in 0..LINES_MAX {
            assert_eq!(limit.observe("one", second(1)), all);
        }
        for at in 1..=7 {
            assert_eq!(limit.observe("one", second(at)), Verdict::LeaveOut);
        }
        // Another place is another matter.
        assert_eq!(limit.observe("two", second(7)), all);
        assert_eq!(limit.observe("one", second(60)), Verdict::LeaveOut);
        assert_eq!(limit.observe("one", second(61)), write(8, 0));
        assert_eq!(limit.observe("one", second(61)), all);
        assert_eq!(limit.places.len(), 2);
    }

    #[test]
    fn places_that_never_come_again_take_bounded_memory_and_lose_no_count() {
        let mut limit = Limit::default();
        let (mut observed, mut told) = (0, 0);
        // Two floods of places, each more than are remembered, and each place once too often.
        for at in [Duration::ZERO, PERIOD] {
            for place in 0..2 * PLACES_MAX {
                for _ in 0..=LINES_MAX {
                    observed += 1;
                    told += count(limit.observe((at, place), at));
                    assert!(limit.places.len() <= PLACES_MAX);
                }
            }
        }
        // Those of the first flood are told by the first line of the second.
        let first = (PLACES_MAX + PLACES_MAX * (LINES_MAX as usize + 1)) as u64;
        assert!(told > first, "{told}");
        let later = limit.observe((PERIOD, 2 * PLACES_MAX), 2 * PERIOD);
        assert_eq!(later, write(0, first));
        assert_eq!(told + count(later), observed + 1);
    }

    /// How many a verdict accounts for.
    fn count(verdict: Verdict) -> u64 {
        match verdict {
            Verdict::Write {
                left_out,
                elsewhere,
            } => 1 + left_out + elsewhere,
            Verdict::LeaveOut => 0,
        }
    }

    const fn write(left_out: u64, elsewhere: u64) -> Verdict {
        Verdict::Write {
            left_out,
            elsewhere,
        }
    }
}
