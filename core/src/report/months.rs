//! The months of reports that are due on the 15th, and which days belong to each.

use std::fmt;
use std::str::FromStr;

use crate::time::Date;

/// The day of a month on which its report is due.
pub const DUE_DAY: i8 = 15;

/// A month, as a report is named by: `2026-12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i16,
    month: i8,
}

/// A text that names no month from 2021 to 9998.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is written as 2026-12, from 2021 on")]
pub struct NoMonth;

impl Month {
    /// Returns the month that a day lies in.
    #[must_use]
    pub fn of(date: Date) -> Self {
        Self { year: date.year(), month: date.month() }
    }

    /// Returns the month in which a day is reported, if a report has everything through this day of its month.
    #[must_use]
    pub fn reporting(date: Date, cutoff_day: i8) -> Self {
        let month = Self::of(date);
        if date.day() <= cutoff_day { month } else { month.next() }
    }

    /// Returns the month after it.
    #[must_use]
    pub fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year.saturating_add(1), month: 1 },
            month => Self { month: month + 1, ..self },
        }
    }

    /// Returns the month before it.
    #[must_use]
    pub fn previous(self) -> Self {
        match self.month {
            1 => Self { year: self.year.saturating_sub(1), month: 12 },
            month => Self { month: month - 1, ..self },
        }
    }

    /// Returns one of its days from the 1st to the 28th. Another number gives the nearest of these.
    #[must_use]
    pub fn day(self, day: i8) -> Date {
        Date::new(self.year, self.month, day.clamp(1, 28)).unwrap_or(Date::MAX)
    }

    /// Returns when its report is due.
    #[must_use]
    pub fn due(self) -> Date {
        self.day(DUE_DAY)
    }

    /// Returns it without a hyphen: `202612`.
    #[must_use]
    pub fn digits(self) -> String {
        format!("{:04}{:02}", self.year, self.month)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(NoMonth)?;
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return Err(NoMonth);
        }
        let (year, month) = (year.parse().map_err(|_| NoMonth)?, month.parse().map_err(|_| NoMonth)?);
        if (2021..=9998).contains(&year) && (1..=12).contains(&month) {
            Ok(Self { year, month })
        } else {
            Err(NoMonth)
        }
    }
}

impl TryFrom<String> for Month {
    type Error = NoMonth;

    fn try_from(text: String) -> Result<Self, NoMonth> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> String {
        month.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_reported_in_the_month_whose_cut_off_it_does_not_pass() {
        for (day, month) in [
            ("2026-11-15", "2026-12"),
            ("2026-12-14", "2026-12"),
            ("2026-12-15", "2027-01"),
            ("2026-01-01", "2026-01"),
        ] {
            assert_eq!(Month::reporting(day.parse().unwrap(), 14).to_string(), month, "{day}");
        }
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!(month.due().to_string(), "2026-12-15");
        assert_eq!((month.next().to_string(), month.digits()), ("2027-01".to_owned(), "202612".to_owned()));
        assert_eq!(month.next().previous(), month);
    }

    #[test]
    fn what_names_no_month_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "26-12",
            "2026-1",
            "2020-12",
            "2026-12-01",
            "+026-12",
            "9999-01",
        ] {
            assert_eq!(text.parse::<Month>(), Err(NoMonth), "{text}");
        }
    }
}
