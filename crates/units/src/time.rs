//! Times as Suricata, Zeek and we write them, read back.

use crate::{Timestamp, civil};

/// Of the years that a [`Timestamp`] reaches, with room for any offset.
const LAST_YEAR: u64 = 2_500;

/// `2026-11-21T02:00:00.000000+0000`, with any offset, or `Z` (RFC 3339, and as Suricata writes it).
#[must_use]
pub fn read_iso(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_once('T')?;
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let at = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at(at);
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut time = time.split(':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let fits = year <= LAST_YEAR && hour < 24 && minute < 60 && second <= 60;
    let days = civil::days(year, month, day)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    let seconds = seconds.checked_add_signed(-offset(zone)?)?;
    fits.then_some(Timestamp::new(seconds, nanos(fraction)?))
}

/// Seconds since 1970, with a fraction.
#[must_use]
pub fn read_epoch(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = number(seconds).filter(|it| *it < 1 << 34)?;
    Some(Timestamp::new(seconds, nanos(fraction)?))
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 12;
    let digits = digits && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Seconds east of Greenwich: `Z`, `+0100`, `-01:30`.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let digits = digits.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = i64::try_from(hours * 3_600 + minutes * 60).ok()?;
    match sign {
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

/// What is beyond nanoseconds is cut off.
fn nanos(fraction: &str) -> Option<u64> {
    if fraction.is_empty() {
        return Some(0);
    }
    let kept = fraction.get(..fraction.len().min(9))?;
    let digits = u32::try_from(kept.len()).ok()?;
    Some(number(kept)? * 10_u64.pow(9 - digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_that_we_write() {
        for seconds in [0, 951_782_400, 1_709_164_799, 1_795_226_400, 4_102_444_800] {
            let time = Timestamp::new(seconds, 123_456_000);
            assert_eq!(read_iso(&time.to_string()), Some(time), "{time}");
        }
    }

    #[test]
    fn offsets_count() {
        let utc = Some(Timestamp::new(1_795_226_400, 0));
        for text in [
            "2026-11-21T02:00:00Z",
            "2026-11-21T02:00:00+0000",
            "2026-11-21T03:30:00.0+01:30",
            "2026-11-20T21:00:00.000000-0500",
        ] {
            assert_eq!(read_iso(text), utc, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "T",
            "2026-11-21",
            "2026-11-21T02:00:00",
            "2026-13-21T02:00:00Z",
            "2026-11-21T25:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+0100",
            "-026-11-21T02:00:00Z",
            "2026-11-21T02:00:00.é0Z",
            "2026-11-21T02:00:00.1234567é9Z",
        ] {
            assert_eq!(read_iso(text), None, "{text}");
        }
        for text in ["", "-1", "1e9", "99999999999999999999", "5.x", "nan"] {
            assert_eq!(read_epoch(text), None, "{text}");
        }
        assert_eq!(read_epoch("5.25"), Some(Timestamp::new(5, 250_000_000)));
    }
}
