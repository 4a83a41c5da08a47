//! Time of a trial: whole milliseconds since it began, on a Monday at midnight.

/// One second.
pub const SECOND: u64 = 1_000;
/// One minute.
pub const MINUTE: u64 = 60 * SECOND;
/// One hour.
pub const HOUR: u64 = 60 * MINUTE;
/// One day.
pub const DAY: u64 = 24 * HOUR;

/// The wall clock at the beginning of every trial, in seconds since 1970: Monday 2026-01-05.
pub const EPOCH_SECONDS: u64 = 1_767_571_200;

/// Milliseconds of a number of them that is not whole, not negative and may be infinite.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates"
)]
pub(crate) fn from_float(milliseconds: f64) -> u64 {
    milliseconds.round() as u64
}

/// The cell of a histogram that a number of cells lies in.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates"
)]
pub(crate) fn index(cells: f64) -> usize {
    cells as usize
}

/// Hours, for people and prices.
#[must_use]
pub fn hours(milliseconds: u64) -> f64 {
    milliseconds as f64 / HOUR as f64
}

/// Hour of the day, 0 to 23.
pub(crate) const fn hour_of_day(at: u64) -> u64 {
    at % DAY / HOUR
}

/// Day of the week, 0 is Monday.
pub(crate) const fn weekday(at: u64) -> u64 {
    at / DAY % 7
}
