//! Wall-clock time of a packet, in nanoseconds since the Unix epoch.

use std::fmt;

use crate::civil;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds since 1970-01-01T00:00:00Z; reaches the year 2554 and saturates there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself, also the value of "never".
    pub const ZERO: Self = Self(0);

    /// Seconds and nanoseconds since the epoch; `nanos` of a second or more carry over.
    #[must_use]
    pub const fn new(seconds: u64, nanos: u64) -> Self {
        Self(
            seconds
                .saturating_mul(NANOS_PER_SECOND)
                .saturating_add(nanos),
        )
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    /// Nanoseconds within the second, below 10⁹.
    #[must_use]
    pub const fn subsec_nanos(self) -> u32 {
        (self.0 % NANOS_PER_SECOND) as u32
    }

    /// Microseconds within the second, below 10⁶.
    #[must_use]
    pub const fn subsec_micros(self) -> u32 {
        self.subsec_nanos() / 1_000
    }

    /// Nanoseconds from `earlier` to `self`, 0 if `earlier` is later.
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment plus `nanos`, saturating.
    #[must_use]
    pub const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Year, month (1–12), day (1–31), hour, minute, second in UTC.
    #[must_use]
    pub fn civil(self) -> (u64, u64, u64, u64, u64, u64) {
        let seconds = self.seconds();
        let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil::date(days);
        (
            year,
            month,
            day,
            second_of_day / 3_600,
            second_of_day / 60 % 60,
            second_of_day % 60,
        )
    }
}

/// RFC 3339 in UTC with microseconds and the offset Suricata writes: `2026-11-21T02:00:00.000000+0000`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.civil();
        let micros = self.subsec_micros();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+0000"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn prints_the_dates_that_break_calendars() {
        check(0, "1970-01-01T00:00:00.000000+0000");
        check(951_782_399, "2000-02-28T23:59:59.000000+0000");
        check(951_782_400, "2000-02-29T00:00:00.000000+0000");
        check(2_147_483_648, "2038-01-19T03:14:08.000000+0000");
        check(4_294_967_295, "2106-02-07T06:28:15.000000+0000");
        check(4_107_542_400, "2100-03-01T00:00:00.000000+0000");
    }

    #[test]
    fn saturates_instead_of_wrapping() {
        assert_eq!(Timestamp::new(u64::MAX, 7).as_nanos(), u64::MAX);
        assert_eq!(Timestamp::ZERO.nanos_since(Timestamp::new(1, 0)), 0);
    }

    fn check(seconds: u64, expected: &str) {
        assert_eq!(Timestamp::new(seconds, 0).to_string(), expected);
    }
}
