//! Dates as exact as their source: a year, a month or a day.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A year, a month of a year, or a day. Ordered by its first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    /// 0 where only the year is known.
    month: u8,
    /// 0 where only the month is known.
    day: u8,
}

impl Date {
    /// Reads `2026`, `2026-09` or `2026-09-20`; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no date: write 2026, 2026-09 or 2026-09-20");
        let parts: Vec<&str> = text.split('-').collect();
        let widths_fit = parts.iter().zip([4, 2, 2]).all(|(part, width)| part.len() == width);
        if parts.len() > 3 || !widths_fit {
            return Err(wrong());
        }
        let number = |at: usize| parts.get(at).map_or(Ok(0), |part| part.parse::<u16>().map_err(|_| wrong()));
        let (year, month, day) = (number(0)?, number(1)? as u8, number(2)? as u8);
        let month_fits = if parts.len() > 1 { (1..=12).contains(&month) } else { true };
        let day_fits =
            if parts.len() > 2 { month_fits && (1..=days_in(year, month)).contains(&day) } else { true };
        if !(1990..=2100).contains(&year) || !month_fits || !day_fits {
            return Err(wrong());
        }
        Ok(Self { year, month, day })
    }

    /// The day that is `days` after 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    pub fn from_unix_days(days: i64) -> Self {
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year: year as u16, month: month as u8, day: (day_of_year - (153 * shifted + 2) / 5 + 1) as u8 }
    }

    /// Today, UTC.
    pub fn today() -> Self {
        Self::at(std::time::SystemTime::now()).0
    }

    /// The day and the time of day of a moment, UTC: the date, and hours, minutes and seconds.
    pub fn at(moment: std::time::SystemTime) -> (Self, [u64; 3]) {
        let since = moment.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let second = since % 86_400;
        (Self::from_unix_days((since / 86_400) as i64), [second / 3600, second / 60 % 60, second % 60])
    }

    /// Days from 1970-01-01 to the first day that this date may mean.
    pub fn first_day(self) -> i64 {
        unix_days(self.year, self.month.max(1), self.day.max(1))
    }

    /// Days from 1970-01-01 to the last day that this date may mean.
    pub fn last_day(self) -> i64 {
        let month = if self.month == 0 { 12 } else { self.month };
        let day = if self.day == 0 { days_in(self.year, month) } else { self.day };
        unix_days(self.year, month, day)
    }

    /// Days from the last day that this date may mean to `later`: the smallest age it can have, never
    /// below 0, so that a price is called stale only when it surely is.
    pub fn age_days(self, later: Self) -> i64 {
        (later.last_day() - self.last_day()).max(0)
    }
}

fn is_leap(year: u16) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn unix_days(year: u16, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        for part in [self.month, self.day].into_iter().take_while(|part| *part > 0) {
            write!(f, "-{part:02}")?;
        }
        Ok(())
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_survive_as_exact_as_they_were() {
        for text in ["2026", "2026-09", "2026-09-20", "2024-02-29"] {
            assert_eq!(Date::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["", "26", "2026-9", "2026-13", "2026-00", "2023-02-29", "2026-09-20-1", "0000", "2026-09-2x"]
        {
            assert!(Date::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_count_from_1970() {
        for (text, days) in [("1990-01-01", 7305), ("2000-03-01", 11_017), ("2026-11-23", 20_780)] {
            let date = Date::parse(text).unwrap();
            assert_eq!((date.first_day(), date.last_day()), (days, days));
            assert_eq!(Date::from_unix_days(days), date);
        }
    }

    #[test]
    fn a_vague_date_is_as_young_as_it_can_be() {
        let now = Date::parse("2026-11-23").unwrap();
        assert_eq!(Date::parse("2026-10").unwrap().age_days(now), 23);
        assert_eq!(Date::parse("2026").unwrap().age_days(now), 0);
    }
}
