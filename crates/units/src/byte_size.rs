//! Amounts of memory and disk as people write them: `256MiB`, `64 KiB`, `1000`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Why a text is not an amount of bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{text}\" is not a size; write a whole number with B, KiB, MiB, GiB or TiB, like 256MiB")]
pub struct ByteSizeError {
    text: String,
}

const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl ByteSize {
    /// This many bytes.
    #[must_use]
    pub const fn bytes(count: u64) -> Self {
        Self(count)
    }

    /// This many KiB (1,024 bytes).
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// This many MiB (1,048,576 bytes).
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes as an index; saturates where `usize` is smaller.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ByteSizeError {
            text: text.to_owned(),
        };
        let trimmed = text.trim();
        let (number, shift) = UNITS
            .iter()
            .find_map(|(unit, shift)| Some((trimmed.strip_suffix(unit)?, *shift)))
            .unwrap_or((trimmed, 0));
        let number: u64 = number.trim_end().parse().map_err(|_| refuse())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(refuse)
    }
}

/// The largest unit that divides the amount: `256MiB`, never `0.25GiB`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, shift) = UNITS
            .into_iter()
            .find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift)
            .unwrap_or(("B", 0));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn reads_what_it_prints() {
        for size in [
            ByteSize::bytes(0),
            ByteSize::bytes(1_500),
            ByteSize::kib(64),
            ByteSize::mib(256),
        ] {
            assert_eq!(size.to_string().parse(), Ok(size));
        }
    }

    #[test]
    fn refuses_what_is_not_a_whole_amount() {
        for text in ["", "MiB", "1.5GiB", "-1", "10 parsecs", "99999999TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
