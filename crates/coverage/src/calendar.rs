//! Days and months of UTC, for people: the civil calendar from days since 1970.

use thiserror::Error;

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
    let (year, month, day) = civil(seconds / DAY);
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
    let days = days(*year, *month, *day).ok_or_else(wrong)?;
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
    let (year, month, _) = civil(begin / MICROS / DAY);
    let (year, month) = match month {
        12 => (year + 1, 1),
        month => (year, month + 1),
    };
    let end = days(year, month, 1).ok_or_else(wrong)?;
    Ok((begin, end * DAY * MICROS))
}

/// Days since 1970 of a date that exists, from 1970 to 9999.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1_970..10_000).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    // Years that begin in March have their odd day at their end (H. Hinnant, days_from_civil).
    let year_of_march = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let era_days = year_of_march * 365 + year_of_march / 4 - year_of_march / 100
        + year_of_march / 400
        + day_of_year;
    let days = era_days.checked_sub(719_468)?;
    (civil(days) == (year, month, day)).then_some(days)
}

/// Year, month and day of days since 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
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
        for day in 0..100_000 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), Some(day));
        }
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
