//! Reports for regulators, and blocks of numbers: what they read of numbers, what is kept of them, and the trait.
//!
//! No file is kept: it is made again whenever it is read, from the events up to the report's position, and from what
//! stands in the report beside that.

use async_trait::async_trait;
use onhook_core::ids::EventSeq;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::report::ReportKind;
use onhook_core::report::months::Month;
use onhook_core::report::nruf::Block;
use onhook_core::time::Timestamp;
use serde_json::Value;

use crate::Result;
use crate::contract::once::Once;

/// What is wanted of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// When they left service.
    Departures,
    /// How they were used at an instant, as the events up to one tell.
    Use {
        /// The instant.
        at: Timestamp,
        /// The last event that may count, by sequence number.
        to: EventSeq,
    },
}

/// A number, with as much of its life as is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// The number now.
    pub entry: Entry,
    /// Its last event, or its import.
    pub last_event: EventSeq,
    /// When that happened.
    pub at: Timestamp,
    /// Its history. `None` if the number was then as it is now, and nothing more is wanted of it.
    pub history: Option<History>,
}

impl Life {
    /// Returns the event by which it was imported, if its history is there or it has none.
    #[must_use]
    pub fn import(&self) -> EventSeq {
        let first = self.history.as_ref().and_then(|history| history.events.first());
        first.map_or(self.last_event, |event| event.prev)
    }
}

/// Some numbers of a span, by digits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lives {
    /// Those of whom something is wanted.
    pub lives: Vec<Life>,
    /// The digits from which to go on. `None` if there are no more.
    pub next: Option<u64>,
    /// How many numbers were looked at.
    pub looked: u64,
}

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its id, which ends in the beginning of its files' hash.
    pub id: String,
    /// What it is for.
    pub kind: ReportKind,
    /// Who reports disconnects.
    pub company: Option<String>,
    /// The month in which disconnects are reported.
    pub period: Option<Month>,
    /// The last position that it knows.
    pub as_of: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// What is told of it: an object.
    pub shown: Value,
    /// What its files are made from again beside events. Null in lists.
    pub made_with: Value,
    /// That it was handed in.
    pub confirmed: Option<Confirmation>,
}

/// That a report was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// When this was said.
    pub at: Timestamp,
    /// When it was handed in.
    pub submitted_at: Timestamp,
    /// The event of it.
    pub event: EventSeq,
}

/// Which reports are wanted: those for which all conditions hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportFilter {
    /// Only reports of this kind.
    pub kind: Option<ReportKind>,
    /// Only reports of this month.
    pub period: Option<Month>,
}

/// A report that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The report.
    pub report: Report,
    /// True if there was none with its id.
    pub is_new: bool,
}

/// What an operator says of a report that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The report.
    pub id: String,
    /// The hashes of the files that were handed in, in any order.
    pub sha256: Vec<String>,
    /// When that was.
    pub at: Timestamp,
    /// How many reports of disconnects, of all companies, were confirmed as it was judged whether this one can be.
    pub seen: usize,
}

/// What came of confirming a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Confirmed {
    /// It is confirmed now, or was before.
    Done(Box<Report>),
    /// Its files have other hashes.
    Changed,
    /// There is no such report.
    NoReport,
    /// Others were confirmed since it was judged whether this one can be. Nothing was noted.
    Others,
    /// [`CONFIRMED_MAX`] reports are confirmed.
    TooMany,
}

/// What an operator has said of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Searches, and orders that search, take nothing from it.
    pub drain: bool,
    /// It is kept for its rate center, however few of its numbers are taken.
    pub footprint: bool,
}

/// What an operator says of a block. What is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marking {
    /// See [`Marks`].
    pub drain: Option<bool>,
    /// See [`Marks`].
    pub footprint: Option<bool>,
}

impl Marks {
    /// Returns them after a change.
    #[must_use]
    pub fn after(self, change: Marking) -> Self {
        let Marking { drain, footprint } = change;
        Self { drain: drain.unwrap_or(self.drain), footprint: footprint.unwrap_or(self.footprint) }
    }
}

/// Most reports of disconnects that can be confirmed: some centuries of months, or a mistake.
pub const CONFIRMED_MAX: usize = 5_000;

/// Reports for regulators, and blocks of numbers.
#[async_trait]
pub trait Reports: Send + Sync {
    /// Returns when the first numbers were imported.
    async fn first_import(&self) -> Result<Option<Timestamp>>;

    /// Returns what is wanted of the first numbers of a span: from the digits of the first on, and before those of the
    /// second, with the country code. It is one short read, after which nothing is held.
    async fn lives(&self, wanted: Wanted, span: (u64, u64)) -> Result<Lives>;

    /// Keeps a report that was made, and says whether it is new. One with the same id that is there already has the same
    /// files: it stays, or with `renew`, and if it is not confirmed and is older, this one takes its place. A node that comes
    /// late puts no older one back.
    async fn keep_report(&self, report: Report, renew: bool) -> Result<Kept>;

    /// Returns a report.
    async fn report(&self, id: String) -> Result<Option<Report>>;

    /// Returns reports that fit a filter, newest first, behind the time and the id of one, at most `size`.
    async fn reports(
        &self,
        filter: ReportFilter,
        after: Option<(Timestamp, String)>,
        size: usize,
    ) -> Result<Vec<Report>>;

    /// Returns all confirmed reports of disconnects of a company, or of all companies, in the order of their periods and
    /// confirmations.
    async fn confirmed_reports(&self, company: Option<String>) -> Result<Vec<Report>>;

    /// Notes that a report was handed in, if its files have these hashes, and no others were confirmed since it was judged.
    /// Reports are confirmed one after another, also by several nodes: so what was judged holds.
    async fn confirm_report(
        &self,
        submitted: Submitted,
        author: Author,
        now: Timestamp,
        key: Option<Once<Confirmed>>,
    ) -> Result<Confirmed>;

    /// Returns the blocks of a span of digits (as in [`Reports::lives`]) of which something was said.
    async fn block_marks(&self, span: (u64, u64)) -> Result<Vec<(Block, Marks)>>;

    /// Says something of a block, and returns what then holds of it.
    async fn mark_block(
        &self,
        block: Block,
        change: Marking,
        author: Author,
        now: Timestamp,
    ) -> Result<Marks>;
}
