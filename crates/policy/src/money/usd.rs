//! Money, in integers: sums over sources and days are exact and the same in any order.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// US dollars in nano-dollars; reaches ±9.2 billion dollars and saturates there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i64);

const NANOS: f64 = 1e9;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One cent.
    pub const CENT: Self = Self(10_000_000);

    /// From nano-dollars.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The nearest amount; not-a-number is nothing.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    pub fn from_dollars(dollars: f64) -> Self {
        Self((dollars * NANOS).round() as i64)
    }

    /// Nano-dollars.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Dollars.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANOS
    }

    /// This amount `times` over, rounded to the nearest.
    #[must_use]
    pub fn scaled(self, times: f64) -> Self {
        Self::from_dollars(self.dollars() * times)
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Usd {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Usd {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Dollars with four decimals: `$0.0150`, `-$3.2000`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}${:.4}", self.dollars().abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_dollars_with_their_sign() {
        assert_eq!(Usd::from_dollars(0.015).to_string(), "$0.0150");
        assert_eq!((-Usd::from_dollars(3.2)).to_string(), "-$3.2000");
        assert_eq!(Usd::CENT.to_string(), "$0.0100");
    }

    #[test]
    fn saturates_instead_of_wrapping() {
        let most = Usd::from_nanos(i64::MAX);
        assert_eq!(most + Usd::CENT, most);
        assert_eq!(Usd::from_dollars(f64::INFINITY), most);
        assert_eq!(Usd::from_dollars(f64::NAN), Usd::ZERO);
        assert_eq!(-Usd::from_nanos(i64::MIN), most);
    }

    #[test]
    fn a_sum_is_exact() {
        let sum: Usd = std::iter::repeat_n(Usd::from_dollars(0.1), 1_000).sum();
        assert_eq!(sum, Usd::from_dollars(100.0));
    }
}
