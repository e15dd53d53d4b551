//! What is wrong with lines of call records that cannot be read: how many have which fault, and the first of them.
//!
//! A line says `bad_line` only. This goes beside the file, in the trailer of the reply.

use std::collections::BTreeMap;

/// The trailer that says which faults a file had: `time=12@3, fields=1@90` are twelve times that cannot be read, the first
/// in line 3, and a line 90 that is too short.
pub const TRAILER: &str = "onhook-bad-lines";

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It ends before a column that is read.
    Fields,
    /// The number is none.
    Number,
    /// The time is of another form.
    Time,
    /// The time is one that the clocks of its zone skipped.
    Skipped,
    /// The time is one of two instants, and each would be charged otherwise.
    Twice,
    /// The answer lies ahead of now.
    Ahead,
    /// The seconds are no number.
    Seconds,
    /// The record is too long.
    Long,
    /// Quotes are opened and never closed.
    Quotes,
    /// A quote within quotes is not doubled, so nobody knows which of them end the field.
    Misquoted,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Fields,
        Self::Number,
        Self::Time,
        Self::Skipped,
        Self::Twice,
        Self::Ahead,
        Self::Seconds,
        Self::Long,
        Self::Quotes,
        Self::Misquoted,
    ];

    /// Returns its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Number => "number",
            Self::Time => "time",
            Self::Skipped => "skipped",
            Self::Twice => "twice",
            Self::Ahead => "ahead",
            Self::Seconds => "seconds",
            Self::Long => "long",
            Self::Quotes => "quotes",
            Self::Misquoted => "misquoted",
        }
    }

    /// Returns what is wrong, for people.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Fields => "too few fields",
            Self::Number => "no telephone number",
            Self::Time => "a time that is not in the time format",
            Self::Skipped => "a time that clocks skipped in this time zone",
            Self::Twice => "a time that was twice, when the number changed hands",
            Self::Ahead => "answered later than now",
            Self::Seconds => "seconds that are no number",
            Self::Long => "longer than 64 KiB",
            Self::Quotes => "quotes that are never closed",
            Self::Misquoted => "a quote within quotes that is not doubled",
        }
    }
}

/// How many lines have which fault, and which is the first of each, from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<Fault, (u64, u64)>);

impl Faults {
    /// Notes a line with a fault. `line` is asked for the place of the first one only.
    pub fn note(&mut self, fault: Fault, line: impl FnOnce() -> u64) {
        self.0.entry(fault).and_modify(|(lines, _)| *lines += 1).or_insert_with(|| (1, line()));
    }

    /// Adds the faults of what comes after so many lines.
    pub fn append(&mut self, before: u64, faults: &Self) {
        for (fault, (lines, first)) in &faults.0 {
            let (sum, _) = self.0.entry(*fault).or_insert((0, before + first));
            *sum += lines;
        }
    }

    /// Returns each fault, how many lines have it, and which is the first.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64, u64)> {
        self.0.iter().map(|(fault, (lines, first))| (*fault, *lines, *first))
    }

    /// Returns the value of the trailer. `None` if there is no fault.
    #[must_use]
    pub fn trailer(&self) -> Option<String> {
        let told = |(fault, lines, first): (Fault, u64, u64)| format!("{}={lines}@{first}", fault.word());
        let told: Vec<String> = self.iter().map(told).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// Reads the value of a trailer. What it does not know, it leaves out.
    #[must_use]
    pub fn read(trailer: &str) -> Self {
        let one = |text: &str| {
            let (word, counts) = text.trim().split_once('=')?;
            let (lines, first) = counts.split_once('@')?;
            let fault = Fault::ALL.into_iter().find(|fault| fault.word() == word)?;
            Some((fault, (lines.parse().ok()?, first.parse().ok()?)))
        };
        Self(trailer.split(',').filter_map(one).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailer_is_read_as_it_was_written() {
        let (mut file, mut piece) = (Faults::default(), Faults::default());
        assert_eq!(file.trailer(), None);
        for (line, fault) in (2_u64..).zip(Fault::ALL) {
            piece.note(fault, || line);
            piece.note(fault, || panic!("it is not the first"));
        }
        file.append(0, &Faults::default());
        file.append(10, &piece);
        file.append(100, &piece);
        let told = file.trailer().unwrap();
        assert!(told.starts_with("fields=4@12, number=4@13, "), "{told}");
        assert_eq!(Faults::read(&told), file);
        assert_eq!(Faults::read("other=1@2, time=1@2, time, number=x@1").trailer().unwrap(), "time=1@2");
    }
}
