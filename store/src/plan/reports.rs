//! What a report needs of a number, whether it can be confirmed, and what is written of that.

use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::ids::EventSeq;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::report::nruf::Block;
use onhook_core::time::Timestamp;
use serde_json::json;

use crate::contract::reports::{Marks, Report, Wanted};

/// What a report needs of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// The number as it is.
    Entry,
    /// Its whole history.
    History,
}

/// Returns what is needed of a number whose last event was `last_event` at `at`. `untouched`: nothing has happened to it
/// since its import.
#[must_use]
pub fn need(wanted: Wanted, entry: &Entry, untouched: bool, last_event: EventSeq, at: Timestamp) -> Need {
    match wanted {
        Wanted::Departures if untouched && entry.state() != State::Aging => Need::Nothing,
        Wanted::Departures => Need::History,
        Wanted::Use { at: instant, to } => {
            // How long a number has been held decides what it is counted as, and how it was removed.
            let held = matches!(entry.state(), State::Reserved | State::Protected);
            let removed = entry.state() == State::Removed && !untouched;
            if held || removed || last_event > to || at > instant { Need::History } else { Need::Entry }
        }
    }
}

/// Returns whether these are the hashes of a report's files, in any order.
#[must_use]
pub fn has_hashes(report: &Report, sha256: &[String]) -> bool {
    let files = report.shown.get("files").and_then(|files| files.as_array());
    let hash =
        |file: &serde_json::Value| file.get("sha256").and_then(|hash| hash.as_str()).map(str::to_owned);
    let mut own: Vec<String> = files.into_iter().flatten().filter_map(hash).collect();
    let mut given = sha256.to_vec();
    own.sort();
    given.sort();
    own == given
}

/// Returns the deed of a report that was handed in with files of these hashes.
#[must_use]
pub fn confirmation(report: &Report, sha256: &[String], submitted_at: Timestamp, doer: &Doer) -> Deed {
    Deed::by(doer, DeedKind::ReportConfirmed)
        .with("report", &*report.id)
        .with("kind", report.kind.word())
        .with("company", report.company.clone())
        .with("period", report.period.map(|period| period.to_string()))
        .with("submitted_at", submitted_at.to_string())
        .with("sha256", json!(sha256))
}

/// Returns the deed of what was said of a block.
#[must_use]
pub fn marking(block: Block, before: Marks, after: Marks, doer: &Doer) -> Deed {
    let told = |marks: Marks| json!({ "drain": marks.drain, "footprint": marks.footprint });
    Deed::by(doer, DeedKind::BlockChanged).with("block", block.to_string()).changed(told(before), told(after))
}
