//! What a report needs of a number, whether it can be confirmed, and what is written of that.

use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::ids::EventSeq;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::report::nruf::Block;
use onhook_core::time::Timestamp;
use serde_json::json;

use crate::contract::reports::{CONFIRMED_MAX, Confirmed, Marks, Report, Submitted, Wanted};

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

/// Returns why a report cannot be confirmed while so many are. `None` if it can be, or was before.
#[must_use]
pub fn refused(report: &Report, submitted: &Submitted, confirmed: usize) -> Option<Confirmed> {
    if !has_hashes(report, &submitted.sha256) {
        return Some(Confirmed::Changed);
    }
    if report.confirmed.is_some() {
        return None;
    }
    if confirmed >= CONFIRMED_MAX {
        return Some(Confirmed::TooMany);
    }
    (submitted.seen != confirmed).then_some(Confirmed::Others)
}

/// Returns whether these are the hashes of a report's files, in any order.
#[must_use]
fn has_hashes(report: &Report, sha256: &[String]) -> bool {
    let files = report.shown.get("files").and_then(|files| files.as_array());
    let hash =
        |file: &serde_json::Value| file.get("sha256").and_then(|hash| hash.as_str()).map(str::to_owned);
    let mut own: Vec<String> = files.into_iter().flatten().filter_map(hash).collect();
    let mut given = sha256.to_vec();
    own.sort();
    given.sort();
    own == given
}

/// Returns the deed of a report that was handed in.
#[must_use]
pub fn confirmation(report: &Report, submitted: &Submitted, doer: &Doer) -> Deed {
    Deed::by(doer, DeedKind::ReportConfirmed)
        .with("report", &*report.id)
        .with("kind", report.kind.word())
        .with("company", report.company.clone())
        .with("period", report.period.map(|period| period.to_string()))
        .with("submitted_at", submitted.at.to_string())
        .with("sha256", json!(submitted.sha256))
}

/// Returns the deed of what was said of a block.
#[must_use]
pub fn marking(block: Block, before: Marks, after: Marks, doer: &Doer) -> Deed {
    let told = |marks: Marks| json!({ "drain": marks.drain, "footprint": marks.footprint });
    Deed::by(doer, DeedKind::BlockChanged).with("block", block.to_string()).changed(told(before), told(after))
}

#[cfg(test)]
mod tests {
    use onhook_core::report::ReportKind;

    use super::*;
    use crate::contract::reports::Confirmation;

    /// All that were confirmed are read whenever a report is made. What was confirmed beyond that would be reported again.
    #[test]
    fn no_more_reports_are_confirmed_than_are_read() {
        let at = Timestamp::default();
        let report = Report {
            id: "rnd-1".into(),
            kind: ReportKind::Rnd,
            company: None,
            period: None,
            as_of: 1,
            made_at: at,
            shown: json!({ "files": [] }),
            made_with: json!(null),
            confirmed: None,
        };
        let of = |seen| Submitted { id: "rnd-1".into(), sha256: Vec::new(), at, seen };
        let last = CONFIRMED_MAX - 1;
        assert_eq!(refused(&report, &of(last), last), None);
        assert_eq!(refused(&report, &of(last), CONFIRMED_MAX), Some(Confirmed::TooMany));
        assert_eq!(refused(&report, &of(last - 1), last), Some(Confirmed::Others));
        let before = Confirmation { at, submitted_at: at, event: EventSeq(1) };
        let confirmed = Report { confirmed: Some(before), ..report };
        assert_eq!(refused(&confirmed, &of(0), CONFIRMED_MAX), None, "it was confirmed before");
    }
}
