//! How many numbers end their aging on which day, and what becomes of them.

use crate::lifecycle::diagram::Home;
use crate::time::{Date, TimeZone, Timestamp};

/// Most days of a forecast.
pub const DAYS_MAX: usize = 400;

/// Numbers whose aging ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Those that go to the pool.
    pub to_pool: u64,
    /// Those that go to their owner's inventory.
    pub to_owner: u64,
    /// Those that leave the system.
    pub away: u64,
    /// Those whose hold ends while an operator keeps them: they stay.
    pub kept: u64,
}

impl Forecast {
    /// Returns so many numbers that go there, or stay if an operator keeps them.
    #[must_use]
    pub fn of(home: Home, stays: bool, numbers: u64) -> Self {
        let none = Self::default();
        match (stays, home) {
            (true, _) => Self { kept: numbers, ..none },
            (false, Home::Pool) => Self { to_pool: numbers, ..none },
            (false, Home::Owner) => Self { to_owner: numbers, ..none },
            (false, Home::Away) => Self { away: numbers, ..none },
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.to_pool += other.to_pool;
        self.to_owner += other.to_owner;
        self.away += other.away;
        self.kept += other.kept;
    }

    /// Returns how many are released: all but those that are kept.
    #[must_use]
    pub fn numbers(&self) -> u64 {
        self.to_pool + self.to_owner + self.away
    }
}

/// A day of the operator's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The day.
    pub date: Date,
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant of the next one.
    pub until: Timestamp,
}

/// Returns the days from `from` on and before `until`. `None` if there are none, or more than [`DAYS_MAX`].
#[must_use]
pub fn days(from: Date, until: Date, zone: &TimeZone) -> Option<Vec<Day>> {
    let mut days = Vec::new();
    let mut date = from;
    while date < until {
        if days.len() == DAYS_MAX {
            return None;
        }
        let next = date.tomorrow().ok()?;
        days.push(Day {
            date,
            from: Timestamp::start_of(date, zone),
            until: Timestamp::start_of(next, zone),
        });
        date = next;
    }
    (!days.is_empty()).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar_and_not_too_many() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        let zone = TimeZone::get("America/New_York").unwrap();
        let found = days(date("2026-03-07"), date("2026-03-10"), &zone).unwrap();
        let hours: Vec<_> = found.iter().map(|day| day.until.since(day.from) / 3_600_000).collect();
        assert_eq!(hours, [24, 23, 24], "a clock changes");
        assert_eq!(found[0].until, found[1].from);
        assert_eq!(days(date("2026-03-07"), date("2026-03-07"), &zone), None);
        assert_eq!(days(date("2026-01-01"), date("2027-02-05"), &zone).map(|days| days.len()), Some(400));
        assert_eq!(days(date("2026-01-01"), date("2027-02-06"), &zone), None);
    }

    #[test]
    fn each_number_goes_to_one_place_or_stays() {
        let mut all = Forecast::default();
        for (home, stays) in
            [(Home::Pool, false), (Home::Owner, false), (Home::Away, false), (Home::Pool, true)]
        {
            all.add(Forecast::of(home, stays, 2));
        }
        assert_eq!(all, Forecast { to_pool: 2, to_owner: 2, away: 2, kept: 2 });
        assert_eq!(all.numbers(), 6);
    }
}
