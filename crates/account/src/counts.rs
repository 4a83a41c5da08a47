//! A small array of counters, one for each reason of a closed set.

use vxscope_flow::{CloseReason, Unstored, Untracked};
use vxscope_wire::Reject;

/// A closed set of reasons that can be counted.
pub trait Counted: Copy + 'static {
    /// Every reason, in the order of `index`.
    const REASONS: &'static [Self];

    /// Position in [`Self::REASONS`].
    fn place(self) -> usize;

    /// Key in outputs.
    fn key(self) -> &'static str;
}

macro_rules! counted {
    ($($reasons:ty),+) => {
        $(impl Counted for $reasons {
            const REASONS: &'static [Self] = Self::ALL;

            #[inline]
            fn place(self) -> usize {
                self.index()
            }

            fn key(self) -> &'static str {
                self.name()
            }
        })+
    };
}

counted!(Reject, Untracked, Unstored, CloseReason);

/// Counters by reason. `N` is the number of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts<const N: usize>([u64; N]);

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Counts<N> {
    /// One more.
    #[inline]
    pub fn add(&mut self, reason: impl Counted) {
        if let Some(count) = self.0.get_mut(reason.place()) {
            *count += 1;
        }
    }

    /// How many.
    #[must_use]
    pub fn get(&self, reason: impl Counted) -> u64 {
        self.0.get(reason.place()).copied().unwrap_or(0)
    }

    /// All reasons together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds another worker's or source's counters.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Keys and counts of the reasons that occurred.
    pub fn occurred<R: Counted>(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let all = R::REASONS.iter().zip(self.0);
        all.filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.key(), count))
    }
}
