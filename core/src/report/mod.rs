//! What follows from the events alone: [`billing`] says for which times accounts pay, [`calls`] where a call goes,
//! [`changed_hands`] whether a number is another one's now, [`rating`] what a call costs, [`rnd`] which disconnects are
//! reported each month, [`nruf`] how numbers are used, and [`accounts`] what accounts were then.

pub mod accounts;
pub mod billing;
pub mod calls;
pub mod changed_hands;
pub mod months;
pub mod nruf;
pub mod rating;
pub mod rnd;
pub mod rnd_file;

use std::collections::BTreeSet;

use crate::ids::EventSeq;
use crate::words::words;

words! {
    /// What a report is for.
    ReportKind {
        /// The Reassigned Numbers Database.
        Rnd = "rnd",
        /// The Numbering Resource Utilization and Forecast report.
        Nruf = "nruf",
    }
}

/// The events that a report knows: those with a position up to its own. Positions are given in the order of commits, so
/// an event may have a later one than the sequence numbers around it tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    to: EventSeq,
    late: BTreeSet<EventSeq>,
}

impl Known {
    /// Returns the events up to this one, by sequence number.
    #[must_use]
    pub fn to(last: EventSeq) -> Self {
        Self { to: last, late: BTreeSet::new() }
    }

    /// Returns all events.
    #[must_use]
    pub fn all() -> Self {
        Self::to(EventSeq(i64::MAX))
    }

    /// Takes those of some events out that it has: they have got a later position, or have none yet.
    pub fn without(&mut self, late: &[EventSeq]) {
        self.late.extend(late.iter().filter(|event| **event <= self.to));
    }

    /// Returns the last event that it may have, by sequence number.
    #[must_use]
    pub fn last(&self) -> EventSeq {
        self.to
    }

    /// Returns whether it has an event.
    #[must_use]
    pub fn has(&self, event: EventSeq) -> bool {
        event <= self.to && !self.late.contains(&event)
    }
}
