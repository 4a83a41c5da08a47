//! Money, in integers: sums over sources and days are exact and the same in any order.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Serialize, Serializer};

/// US dollars in nano-dollars; reaches ±9.2 billion dollars and saturates there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i64);

const NANOS: f64 = 1e9;
const NANOS_PER_DOLLAR: u64 = 1_000_000_000;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One cent.
    pub const CENT: Self = Self(10_000_000);
    /// As much as there can be; a sum that stands here has saturated.
    pub const MAX: Self = Self(i64::MAX);

    /// From nano-dollars.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From nano-dollars of any size, saturating.
    #[must_use]
    pub fn from_wide(nanos: i128) -> Self {
        let limit = if nanos < 0 { i64::MIN } else { i64::MAX };
        Self(i64::try_from(nanos).unwrap_or(limit))
    }

    /// The nearest amount; not-a-number is nothing.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    pub fn from_dollars(dollars: f64) -> Self {
        Self((dollars * NANOS).round() as i64)
    }

    /// Reads dollars as price lists write them, exactly: `0.0075`. `None` for a sign, an exponent,
    /// more than nine decimals, or more than 9.2 billion.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 9 {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let nanos: i64 = format!("{decimals:0<9}").parse().ok()?;
        whole
            .checked_mul(NANOS_PER_DOLLAR as i64)?
            .checked_add(nanos)
            .map(Self)
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

    /// What `quantity` costs at this price for each `unit`, rounded down to a nano-dollar.
    #[must_use]
    pub(crate) fn times(self, quantity: u128, unit: u128) -> Self {
        let quantity = i128::try_from(quantity).unwrap_or(i128::MAX);
        let unit = i128::try_from(unit.max(1)).unwrap_or(i128::MAX);
        Self::from_wide(i128::from(self.0).saturating_mul(quantity) / unit)
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

/// Dollars with four decimals, rounded to the nearest: `$0.0150`, `-$3.2000`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DECIMAL: u64 = NANOS_PER_DOLLAR / 10_000;
        let rounded = self.0.unsigned_abs().saturating_add(DECIMAL / 2) / DECIMAL;
        let sign = if self.0 < 0 && rounded > 0 { "-" } else { "" };
        write!(f, "{sign}${}.{:04}", rounded / 10_000, rounded % 10_000)
    }
}

/// A number of dollars, for programs that read the output.
impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
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
        assert_eq!(Usd::from_nanos(99_950_000).to_string(), "$0.1000");
        assert_eq!(Usd::from_nanos(-1).to_string(), "$0.0000");
        assert_eq!(Usd::MAX.to_string(), "$9223372036.8548");
    }

    #[test]
    fn saturates_instead_of_wrapping() {
        let most = Usd::from_nanos(i64::MAX);
        assert_eq!(most + Usd::CENT, most);
        assert_eq!(Usd::from_dollars(f64::INFINITY), most);
        assert_eq!(Usd::from_dollars(f64::NAN), Usd::ZERO);
        assert_eq!(-Usd::from_nanos(i64::MIN), most);
        assert_eq!(most.times(u128::MAX, 1), most);
    }

    #[test]
    fn a_sum_is_exact() {
        let sum: Usd = std::iter::repeat_n(Usd::from_dollars(0.1), 1_000).sum();
        assert_eq!(sum, Usd::from_dollars(100.0));
    }

    #[test]
    fn a_price_is_read_exactly_or_not_at_all() {
        let nanos = |text| Usd::parse(text).map(Usd::nanos);
        assert_eq!(nanos("0.015"), Some(15_000_000));
        assert_eq!(nanos("0.000000001"), Some(1));
        assert_eq!(nanos("9223372036.854775807"), Some(i64::MAX));
        for bad in [
            "",
            ".5",
            "5.",
            "-1",
            "1e3",
            "0.0000000001",
            "9223372037",
            "$1",
            "1,5",
        ] {
            assert_eq!(nanos(bad), None, "{bad}");
        }
    }
}
