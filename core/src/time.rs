//! Instants with millisecond precision, and what the wire and the law make of them.
//!
//! Not here: a way to ask what time it is. Whoever needs the time is handed it.

use std::fmt;

pub use jiff::civil::Date;
pub use jiff::tz::TimeZone;

/// Milliseconds in a day of 24 hours.
pub const DAY_MS: i64 = 86_400_000;

/// An instant in milliseconds since 1970-01-01 UTC; what onhook keeps and prints, to the millisecond.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant this many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This much later, in milliseconds; earlier when negative. Saturates.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant; negative when it lies before. Saturates.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The calendar day of this instant in a time zone.
    #[must_use]
    pub fn date_in(self, zone: &TimeZone) -> Date {
        zone.to_datetime(self.jiff()).date()
    }

    /// The first instant of a calendar day in a time zone, in the years that a calendar can hold.
    #[must_use]
    pub fn start_of(date: Date, zone: &TimeZone) -> Timestamp {
        match zone.to_timestamp(date.into()) {
            Ok(timestamp) => Timestamp(timestamp.as_millisecond()),
            Err(_) => Timestamp(jiff::Timestamp::MAX.as_millisecond()),
        }
    }

    /// Reads a date as HTTP headers have it, such as `Sun, 06 Nov 1994 08:49:37 GMT`; none for anything else.
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

impl fmt::Display for Timestamp {
    /// `yyyy-MM-ddTHH:mm:ss.SSSZ`, the only form that onhook prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.jiff())
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    /// Reads RFC 3339, such as `2018-01-23T21:00:23.802Z`; digits past the millisecond are dropped.
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
    fn extreme_instants_neither_panic_nor_wrap() {
        let end = Timestamp::from_millis(i64::MAX).plus_millis(1);
        assert_eq!(end.millis(), i64::MAX);
        assert!(end.to_string().starts_with("9999-"));
        assert_eq!(Timestamp::from_millis(i64::MIN).since(end), i64::MIN);
    }
}
