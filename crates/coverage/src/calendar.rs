//! Times, days and months of UTC as people write them.

use thiserror::Error;
use vxscope_units::civil;

const DAY: u64 = 86_400;
const MICROS: u64 = 1_000_000;

/// A text is no time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?}: not a time; write 2026-11-01, 2026-11-01T08:30, 2026-11-01T08:30:00Z or -24h")]
pub struct TimeError(String);

/// A time as `2026-11-01T08:30:00Z`, from µs since 1970.
#[must_use]
pub fn stamp(micros: u64) -> String {
    let seconds = micros / MICROS;
    let (year, month, day) = civil::date(seconds / DAY);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads a date, a time of UTC, or so long before `now` (`-90m`, `-24h`, `-7d`); µs since 1970.
///
/// # Errors
/// It is none of them.
pub fn parse_time(text: &str, now: u64) -> Result<u64, TimeError> {
    let wrong = || TimeError(text.to_owned());
    if let Some(ago) = text.strip_prefix('-') {
        let number = ago.get(..ago.len().saturating_sub(1)).unwrap_or_default();
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = match ago.chars().last() {
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => DAY,
            _ => return Err(wrong()),
        };
        return Ok(now.saturating_sub(number.saturating_mul(unit).saturating_mul(MICROS)));
    }
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00"));
    let time = time.strip_suffix('Z').unwrap_or(time);
    let numbers = |text: &str, separator| -> Result<Vec<u64>, TimeError> {
        let parts = text.split(separator);
        parts
            .map(|part| match part.len() {
                2 | 4 if part.bytes().all(|it| it.is_ascii_digit()) => {
                    part.parse().map_err(|_| wrong())
                }
                _ => Err(wrong()),
            })
            .collect()
    };
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let ([year, month, day], [hour, minute, rest @ ..]) = (date.as_slice(), time.as_slice()) else {
        return Err(wrong());
    };
    let second = match rest {
        [] => 0,
        [second] => *second,
        _ => return Err(wrong()),
    };
    let days = civil::days(*year, *month, *day).ok_or_else(wrong)?;
    if *hour > 23 || *minute > 59 || second > 59 {
        return Err(wrong());
    }
    Ok((days * DAY + hour * 3_600 + minute * 60 + second) * MICROS)
}

/// Begin and end of a month `2026-11`, in µs since 1970.
///
/// # Errors
/// It is no month.
pub fn month(text: &str) -> Result<(u64, u64), TimeError> {
    let wrong = || TimeError(text.to_owned());
    let begin = parse_time(&format!("{text}-01"), 0).map_err(|_| wrong())?;
    let (year, month, _) = civil::date(begin / MICROS / DAY);
    let (year, month) = match month {
        12 => (year + 1, 1),
        month => (year, month + 1),
    };
    let end = civil::days(year, month, 1).ok_or_else(wrong)?;
    Ok((begin, end * DAY * MICROS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lead_back() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-21T10:00:00Z", 1_795_255_200),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(parse_time(text, 0), Ok(seconds * MICROS), "{text}");
            assert_eq!(stamp(seconds * MICROS), text);
        }
        assert_eq!(parse_time("2026-11-21", 0), Ok(1_795_219_200 * MICROS));
        assert_eq!(parse_time("-2h", 10_000 * MICROS), Ok(2_800 * MICROS));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2026-02-30",
            "2026-13-01",
            "2026-11-21T24:00",
            "2026-11-21T08",
            "-5",
            "-h",
            "1969-12-31",
            "2026-11-21T08:00:00+01:00",
        ] {
            assert!(parse_time(text, 0).is_err(), "{text}");
        }
    }

    #[test]
    fn months_meet() {
        assert_eq!(month("2026-11").unwrap().1, month("2026-12").unwrap().0);
        assert_eq!(month("2026-12").unwrap().1, month("2027-01").unwrap().0);
        assert!(month("2026-00").is_err());
    }
}
