//! An amount that is known between two bounds.

use std::fmt;
use std::ops::{Add, Neg};

use serde::Serialize;

use super::Usd;

/// Lowest and highest amount that the billing models and the estimates allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Not less than this.
    pub low: Usd,
    /// Not more than this.
    pub high: Usd,
}

impl Range {
    /// Exactly this amount.
    #[must_use]
    pub const fn exactly(amount: Usd) -> Self {
        Self {
            low: amount,
            high: amount,
        }
    }

    /// From the least to the greatest of some amounts; nothing if there are none.
    #[must_use]
    pub fn over(amounts: impl IntoIterator<Item = Usd>) -> Self {
        amounts
            .into_iter()
            .map(Self::exactly)
            .reduce(|all, one| Self {
                low: all.low.min(one.low),
                high: all.high.max(one.high),
            })
            .unwrap_or_default()
    }
}

impl Add for Range {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            low: self.low + other.low,
            high: self.high + other.high,
        }
    }
}

impl Neg for Range {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            low: -self.high,
            high: -self.low,
        }
    }
}

/// One amount if both ends are the same, else both.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            return self.low.fmt(f);
        }
        write!(f, "{} to {}", self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_spans_what_it_was_made_from() {
        let amounts = [3, -2, 7].map(Usd::from_nanos);
        let range = Range::over(amounts);
        assert_eq!((range.low.nanos(), range.high.nanos()), (-2, 7));
        assert_eq!((-range).low.nanos(), -7);
        assert_eq!(Range::over([]), Range::default());
        assert_eq!(Range::exactly(Usd::CENT).to_string(), "$0.0100");
        assert_eq!((range + range).high.nanos(), 14);
    }
}
