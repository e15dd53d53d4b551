//! Instants with millisecond precision: how they are written, and their calendar days.
//!
//! Not here: a way to ask what time it is. The caller passes the time in.

use std::fmt;

pub use jiff::civil::Date;
pub use jiff::tz::TimeZone;

/// Milliseconds in a day of 24 hours.
pub const DAY_MS: i64 = 86_400_000;

/// An instant, in milliseconds since 1970-01-01 UTC. onhook keeps and prints instants to the millisecond.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than every other instant.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Returns the instant this many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns the instant this many milliseconds later, or earlier if negative. Saturates.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns the milliseconds from `earlier` to this instant, negative if this is before `earlier`. Saturates.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the calendar day of this instant in a time zone.
    #[must_use]
    pub fn date_in(self, zone: &TimeZone) -> Date {
        zone.to_datetime(self.jiff()).date()
    }

    /// Returns the first instant of a calendar day in a time zone. The last instant there is, for a day after it.
    #[must_use]
    pub fn start_of(date: Date, zone: &TimeZone) -> Timestamp {
        match zone.to_timestamp(date.into()) {
            Ok(timestamp) => Timestamp(timestamp.as_millisecond()),
            Err(_) => Timestamp(jiff::Timestamp::MAX.as_millisecond()),
        }
    }

    /// Reads a date as HTTP headers have it, such as `Sun, 06 Nov 1994 08:49:37 GMT`. Returns `None` for anything else.
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let read = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Self(read.as_millisecond()))
    }

    fn jiff(self) -> jiff::Timestamp {
        let clamped =
            self.0.clamp(jiff::Timestamp::MIN.as_millisecond(), jiff::Timestamp::MAX.as_millisecond());
        jiff::Timestamp::from_millisecond(clamped).unwrap_or(jiff::Timestamp::MAX)
    }
}

/// Returns a span of milliseconds in words, rounded, without its sign: `8 days`, `2 hours`, `90 seconds`.
#[must_use]
pub fn in_words(millis: i64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY + 6 * HOUR;
    let span = millis.unsigned_abs();
    let rounded = |unit: u64| span.saturating_add(unit / 2) / unit;
    // A unit is used from two on: "36 hours" says more than "2 days".
    for (unit, smaller, name) in
        [(YEAR, DAY, "years"), (DAY, HOUR, "days"), (HOUR, MINUTE, "hours"), (MINUTE, SECOND, "minutes")]
    {
        if rounded(smaller) * smaller >= 2 * unit {
            return format!("{} {name}", rounded(unit));
        }
    }
    match rounded(SECOND) {
        1 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

impl fmt::Display for Timestamp {
    /// `yyyy-MM-ddTHH:mm:ss.SSSZ`, the only form that onhook prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.jiff())
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    /// Reads RFC 3339, such as `2018-01-23T21:00:23.802Z`; drops digits past the millisecond.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(|timestamp| Self(timestamp.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_prints_with_three_digits_and_reads_back() {
        for text in ["2018-01-23T21:00:23.802Z", "2018-01-23T21:00:23.000Z", "1970-01-01T00:00:00.001Z"] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_span_is_said_in_the_unit_that_a_person_would_take() {
        const HOUR_MS: i64 = 3_600_000;
        for (millis, words) in [
            (0, "0 seconds"),
            (499, "0 seconds"),
            (1_499, "1 second"),
            (90_000, "90 seconds"),
            (119_600, "2 minutes"),
            (HOUR_MS, "60 minutes"),
            (2 * HOUR_MS, "2 hours"),
            (-2 * HOUR_MS, "2 hours"),
            (-2 * HOUR_MS + 7, "2 hours"),
            (36 * HOUR_MS, "36 hours"),
            (8 * DAY_MS, "8 days"),
            (8 * DAY_MS - 1, "8 days"),
            (192 * HOUR_MS + 13, "8 days"),
            (729 * DAY_MS, "729 days"),
            (20_454 * DAY_MS, "56 years"),
            (i64::MAX, "292271023 years"),
            (i64::MIN, "292271023 years"),
        ] {
            assert_eq!(in_words(millis), words, "{millis}");
        }
    }

    #[test]
    fn extreme_instants_neither_panic_nor_wrap() {
        let end = Timestamp::from_millis(i64::MAX).plus_millis(1);
        assert_eq!(end.millis(), i64::MAX);
        assert!(end.to_string().starts_with("9999-"));
        assert_eq!(Timestamp::from_millis(i64::MIN).since(end), i64::MIN);
    }
}
