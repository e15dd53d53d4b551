//! What follows from the events alone: [`billing`] says for which times accounts pay, [`calls`] where a call goes,
//! [`changed_hands`] whether a number is another one's now, [`rating`] what a call costs, [`rnd`] which disconnects are
//! reported each month, and [`nruf`] how numbers are used.

pub mod billing;
pub mod calls;
pub mod changed_hands;
pub mod months;
pub mod nruf;
pub mod rating;
pub mod rnd;
pub mod rnd_file;

use crate::ids::EventSeq;
use crate::lifecycle::event::Event;
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

/// Returns where an event stands among all events: what a report as of a position knows ends there.
#[must_use]
pub fn position(event: &Event) -> EventSeq {
    event.seq
}
