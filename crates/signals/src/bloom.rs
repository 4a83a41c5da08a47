//! What was seen in the last fortnight, in fixed memory: a Bloom filter of two generations.
//!
//! A generation is a week of absolute time. What is seen goes into the current one; when the week
//! turns, the older is forgotten. So a thing is remembered for one to two weeks after it was last
//! seen, and what is seen weekly never is new again.

/// Words of one generation.
const WORDS: usize = 576;
/// Bits of one generation.
#[expect(clippy::cast_possible_truncation, reason = "far below 2³²")]
const BITS: u32 = WORDS as u32 * 64;
/// Bits that a thing sets.
const HASHES: u32 = 4;
/// Bits set in one generation before it takes no more: a third, which about 3,700 things set. A
/// thing that is new is then taken for seen once in 81 times, twice as often with both generations
/// full. Reached: nothing is told as new until the week turns, and the source is *saturated*.
const ONES_MAX: u32 = BITS / 3;
/// Seconds of a generation.
pub(crate) const GENERATION: u64 = 7 * 86_400;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Bloom {
    bits: [[u64; WORDS]; 2],
    ones: [u32; 2],
    week: u64,
}

impl Default for Bloom {
    fn default() -> Self {
        Self {
            bits: [[0; WORDS]; 2],
            ones: [0; 2],
            week: 0,
        }
    }
}

impl Bloom {
    /// Notes a thing by its hash; whether it is new. `second` is the time, in seconds of any fixed
    /// epoch; one before the latest is taken as the latest.
    pub(crate) fn is_new(&mut self, hash: u64, second: u64) -> bool {
        self.turn(second);
        if self.is_saturated() {
            return false;
        }
        let (current, older) = self.both();
        let was = |generation: &[u64; WORDS]| {
            places(hash).all(|(word, bit)| generation.get(word).is_some_and(|w| w & bit != 0))
        };
        let is_new = !was(current) && !was(older);
        let mut set = 0;
        for (word, bit) in places(hash) {
            if let Some(word) = current.get_mut(word)
                && *word & bit == 0
            {
                *word |= bit;
                set += 1;
            }
        }
        let place = self.place();
        if let Some(ones) = self.ones.get_mut(place) {
            *ones += set;
        }
        is_new
    }

    /// Whether the current generation is full.
    pub(crate) fn is_saturated(&self) -> bool {
        self.ones
            .get(self.place())
            .is_some_and(|ones| *ones >= ONES_MAX)
    }

    /// Moves to the week of a time: forgets what is older than the week before.
    pub(crate) fn turn(&mut self, second: u64) {
        let week = second / GENERATION;
        for _ in 0..week.saturating_sub(self.week).min(2) {
            // The older generation's place is the next week's.
            let next = 1 - self.place();
            if let (Some(bits), Some(ones)) = (self.bits.get_mut(next), self.ones.get_mut(next)) {
                bits.fill(0);
                *ones = 0;
            }
            self.week += 1;
        }
        if week > self.week {
            // Both are empty; an even number of weeks passed, or an odd one: either place will do.
            self.week = week;
        }
    }

    pub(crate) const fn week(&self) -> u64 {
        self.week
    }

    /// By the parity of their weeks.
    pub(crate) const fn generations(&self) -> [&[u64; WORDS]; 2] {
        let [even, odd] = &self.bits;
        [even, odd]
    }

    /// Sets the bits of a word in the generation of a parity; one that is not there is left out.
    pub(crate) fn put(&mut self, generation: usize, place: usize, word: u64) {
        let known = self.bits.get_mut(generation);
        let known = known.and_then(|bits| bits.get_mut(place));
        if let (Some(known), Some(ones)) = (known, self.ones.get_mut(generation)) {
            *ones += (word & !*known).count_ones();
            *known |= word;
        }
    }

    fn place(&self) -> usize {
        usize::from(self.week % 2 == 1)
    }

    fn both(&mut self) -> (&mut [u64; WORDS], &mut [u64; WORDS]) {
        let [even, odd] = &mut self.bits;
        if self.week.is_multiple_of(2) {
            (even, odd)
        } else {
            (odd, even)
        }
    }
}

/// Word and bit of each of a thing's places: the two halves of its hash, combined (Kirsch and
/// Mitzenmacher 2006).
#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves of the hash; a product shifted by 32 is below BITS"
)]
fn places(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let (first, step) = (hash as u32, (hash >> 32) as u32 | 1);
    (0..HASHES).map(move |number| {
        let mixed = first.wrapping_add(number.wrapping_mul(step));
        let place = ((u64::from(mixed) * u64::from(BITS)) >> 32) as u32;
        ((place / 64) as usize, 1 << (place % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::{Bloom, GENERATION};
    use crate::mix::hash;

    #[test]
    fn a_thing_is_new_once() {
        let mut bloom = Bloom::default();
        assert!(bloom.is_new(hash(1, [7]), 5));
        assert!(!bloom.is_new(hash(1, [7]), 5));
        assert!(bloom.is_new(hash(1, [8]), 5));
    }

    #[test]
    fn what_was_not_seen_for_a_fortnight_is_new_again_and_never_within_a_week() {
        for start in [0, 1, GENERATION - 1, GENERATION, 1_800_000_000] {
            for (days, is_new) in [(0, false), (6, false), (7, false), (14, true), (400, true)] {
                let mut bloom = Bloom::default();
                bloom.is_new(hash(1, [7]), start);
                let later = start + days * 86_400;
                assert_eq!(bloom.is_new(hash(1, [7]), later), is_new, "{start} {days}");
            }
        }
    }

    #[test]
    fn what_is_seen_every_week_is_never_new_again() {
        let mut bloom = Bloom::default();
        let news = (0..60).filter(|week| bloom.is_new(hash(1, [7]), week * 7 * 86_400 + 5));
        assert_eq!(news.count(), 1);
    }

    #[test]
    fn time_that_goes_back_forgets_nothing() {
        let mut bloom = Bloom::default();
        bloom.is_new(hash(1, [7]), 10 * GENERATION);
        assert!(!bloom.is_new(hash(1, [7]), 0));
        assert!(!bloom.is_new(hash(1, [7]), 10 * GENERATION));
    }

    #[test]
    fn a_full_generation_says_so_and_tells_nothing_new_until_the_week_turns() {
        let mut bloom = Bloom::default();
        let mut seen = 0_u64;
        while !bloom.is_saturated() {
            bloom.is_new(hash(1, [seen]), 0);
            seen += 1;
        }
        assert!((3_500..4_000).contains(&seen), "{seen}");
        assert!(!bloom.is_new(hash(2, [0]), GENERATION - 1));
        bloom.turn(GENERATION);
        assert!(!bloom.is_saturated());
        let missed = (0..10_000).filter(|n| !bloom.is_new(hash(3, [*n]), GENERATION));
        assert!(
            missed.take(1_500).count() > 0,
            "the older generation takes some for seen"
        );
        assert!(
            !bloom.is_new(hash(1, [0]), GENERATION),
            "and remembers what it saw"
        );
    }

    #[test]
    fn few_new_things_are_taken_for_seen_before_it_is_full() {
        let mut bloom = Bloom::default();
        let news = (0..3_500_u64).filter(|n| bloom.is_new(hash(1, [*n]), 0));
        let missed = 3_500 - news.count();
        assert!(missed < 35, "{missed} of 3,500");
    }
}
