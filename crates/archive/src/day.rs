//! The day of a row, in UTC: what parts are laid out by.

use std::fmt;

use vxscope_units::Timestamp;

/// A day, or that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Day {
    /// Days since 1970.
    Known(u64),
    /// The line does not say.
    Unknown,
}

impl Day {
    pub(crate) fn of(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Unknown, |time| Self::Known(time.seconds() / 86_400))
    }
}

/// `2026-11-21`, or `unknown`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(days) => {
                let text = Timestamp::new(days.saturating_mul(86_400), 0).to_string();
                f.write_str(text.split('T').next().unwrap_or_default())
            }
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_utc() {
        let time = Timestamp::new(1_795_226_400, 0);
        assert_eq!(Day::of(Some(time)).to_string(), "2026-11-21");
        assert_eq!(Day::of(None).to_string(), "unknown");
    }
}
