//! The civil calendar of UTC: dates from days since 1970, and back.
//!
//! Days are counted in eras of 400 years that begin on the first of March, so that the odd day of a
//! year is its last (H. Hinnant, `chrono`-Compatible Low-Level Date Algorithms).

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: u64 = 719_468;
const DAYS_PER_ERA: u64 = 146_097;
const LAST_YEAR: u64 = 9_999;

/// Year, month (1–12) and day (1–31) of a day since 1970.
#[must_use]
pub const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let (era, of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * of_year + 2) / 153;
    let day = of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = era * 400 + year_of_era + (month <= 2) as u64;
    (year, month, day)
}

/// Days since 1970 of a date; `None` if there is no such date from 1970 to 9999.
#[must_use]
pub fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let thinkable = (1_970..=LAST_YEAR).contains(&year) && (1..=12).contains(&month) && day > 0;
    let year_of_march = year
        .checked_sub(u64::from(month <= 2))
        .filter(|_| thinkable)?;
    let (era, year_of_era) = (year_of_march / 400, year_of_march % 400);
    let of_year = ((153 * ((month + 9) % 12) + 2) / 5).checked_add(day - 1)?;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100;
    let days = (era * DAYS_PER_ERA + of_era)
        .checked_add(of_year)?
        .checked_sub(EPOCH)?;
    (date(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::{date, days};

    #[test]
    fn every_day_leads_back() {
        for day in 0..2_932_897 {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), Some(day));
        }
        assert_eq!(date(2_932_896), (9_999, 12, 31));
    }

    #[test]
    fn what_is_in_no_calendar_is_refused() {
        for (year, month, day) in [
            (1_969, 12, 31),
            (1_970, 0, 1),
            (1_970, 13, 1),
            (1_970, 1, 0),
            (2_026, 2, 29),
            (2_100, 2, 29),
            (2_026, 11, 31),
            (10_000, 1, 1),
            (u64::MAX, u64::MAX, u64::MAX),
            (2_026, 11, u64::MAX),
        ] {
            assert_eq!(days(year, month, day), None, "{year}-{month}-{day}");
        }
    }
}
