//! What a book remembers of a source, to be kept over a restart.

use std::ops::Bound;

use serde::{Deserialize, Serialize};
use vxscope_units::MirrorSource;

use crate::bloom::{Bloom, GENERATION};
use crate::book::Book;

/// What was seen of a source in this week and the one before, under the seed of its book. Counters
/// are not here: they begin at zero with each run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// Weeks since 1970.
    pub(crate) week: u64,
    /// Words of both generations that are not zero: which, and what.
    pub(crate) words: [Vec<(u16, u64)>; 2],
}

impl Past {
    /// Whether all of it is forgotten by now, in seconds since 1970.
    #[must_use]
    pub const fn is_over(&self, second: u64) -> bool {
        second / GENERATION >= self.week.saturating_add(2)
    }
}

impl Book {
    /// The seed of all that is remembered: elsewhere it means nothing.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.limits.seed
    }

    /// What is remembered of up to `count` sources, from the one after `last` on.
    #[must_use]
    pub fn remembered(
        &self,
        last: Option<MirrorSource>,
        count: usize,
    ) -> Vec<(MirrorSource, Past)> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.sources.range((after, Bound::Unbounded));
        let past = range.map(|(source, state)| (*source, state.past()));
        past.take(count).collect()
    }

    /// Gives a source what an earlier run had seen of it. Whether there was memory for it.
    pub fn restore(&mut self, source: MirrorSource, past: &Past) -> bool {
        let Some(state) = self.state(source) else {
            return false;
        };
        state.restore(past);
        true
    }
}

impl Bloom {
    pub(crate) fn past(&self) -> Past {
        let words = self.generations().map(|generation| {
            let words = (0_u16..).zip(generation.iter().copied());
            words.filter(|(_, word)| *word != 0).collect()
        });
        Past {
            week: self.week(),
            words,
        }
    }

    /// One of an earlier run; one that could not have been is as if nothing was seen.
    pub(crate) fn of_past(past: &Past) -> Self {
        // In a thousand years something is wrong.
        if past.week > 60_000 {
            return Self::default();
        }
        let mut bloom = Self::default();
        bloom.turn(past.week * GENERATION);
        for (generation, words) in past.words.iter().enumerate() {
            for (place, word) in words {
                bloom.put(generation, usize::from(*place), *word);
            }
        }
        bloom
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::hash;

    #[test]
    fn what_was_seen_is_seen_after_a_restart_and_forgotten_in_its_time() {
        for start in [0, GENERATION, 2_900 * GENERATION + 5] {
            let mut before = Bloom::default();
            (0..500_u64).for_each(|n| {
                before.is_new(hash(1, [n]), start);
            });
            let text = serde_json::to_string(&before.past()).unwrap();
            let past: Past = serde_json::from_str(&text).unwrap();
            assert_eq!(past, before.past());
            let mut after = Bloom::of_past(&past);
            assert!((0..500_u64).all(|n| !after.is_new(hash(1, [n]), start)));
            assert!(after.is_new(hash(1, [501]), start));
            assert!(!past.is_over(start + 86_400) && past.is_over(start + 15 * 86_400));
            let mut later = Bloom::of_past(&past);
            assert!(later.is_new(hash(1, [7]), start + 15 * 86_400));
        }
    }

    #[test]
    fn a_full_memory_is_still_full() {
        let mut full = Bloom::default();
        let mut seen = 0_u64;
        while !full.is_saturated() {
            full.is_new(hash(1, [seen]), 0);
            seen += 1;
        }
        assert!(Bloom::of_past(&full.past()).is_saturated());
    }

    #[test]
    fn nonsense_is_as_if_nothing_was_seen() {
        let past = Past {
            week: u64::MAX,
            words: [vec![(u16::MAX, 1)], vec![(3, u64::MAX)]],
        };
        assert!(Bloom::of_past(&past).past().words.iter().all(Vec::is_empty));
        let past = Past { week: 1, ..past };
        assert_eq!(
            Bloom::of_past(&past).past().words,
            [vec![], vec![(3, u64::MAX)]]
        );
    }
}
