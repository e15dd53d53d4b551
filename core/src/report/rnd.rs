//! Which disconnects stand in a month's report to the Reassigned Numbers Database, and why others do not.
//!
//! A report has, of each number, the date of its most recent permanent disconnect, unless an earlier month's report had
//! it and was submitted. What a number's life says is enough to tell that, so nothing is noted at the number: a report is
//! made again at any time, to the byte, from the events up to its position.
//!
//! Not here: the form of the file (`rnd_file`).

use std::collections::{BTreeMap, BTreeSet};

use crate::area_codes::{self, Service};
use crate::ids::{AccountId, EventSeq};
use crate::lifecycle::diagram::NoSuchStep;
use crate::lifecycle::entry::Standing;
use crate::lifecycle::event::Change;
use crate::lifecycle::history::History;
use crate::number::Number;
use crate::report::Known;
use crate::report::months::Month;
use crate::time::{Date, TimeZone, Timestamp};
use crate::words::words;

/// The first day whose disconnects are reported.
pub const FIRST_DAY: Date = Date::constant(2020, 7, 27);

words! {
    /// Why a number that left service is not reported. Of several reasons the first one counts.
    LeftOut {
        /// Its former account took it back.
        Reconnected = "reconnected",
        /// It went to another carrier, with its subscriber.
        PortedOut = "ported_out",
        /// It does not lie in the United States.
        NotUs = "not_us",
        /// It lies nowhere: toll-free, personal, premium, or a code that is set aside.
        NotGeographic = "not_geographic",
        /// Its area code is not in the table.
        UnknownNpa = "unknown_npa",
        /// It has not the form of a North American number.
        BadForm = "bad_form",
        /// Its disconnect lies ahead of the report.
        InFuture = "in_future",
        /// Its disconnect lies before the first day that is reported.
        TooOld = "before_2020_07_27",
        /// Its account reports its own numbers.
        OtherReporter = "other_reporter",
        /// It was imported while it aged: when it was disconnected is not known.
        NoDate = "no_date",
    }
}

/// A time when a number left the service of its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The event by which it did, or by which it was imported.
    pub event: EventSeq,
    /// When.
    pub at: Timestamp,
    /// The account that had it.
    pub account: AccountId,
    /// How.
    pub how: How,
    /// The event that made it no permanent disconnect, and why.
    undone: Option<(EventSeq, LeftOut)>,
}

/// How a number left service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It was disconnected or purged.
    Disconnected,
    /// It went to another carrier.
    PortedOut,
    /// It was imported while it aged.
    Imported,
}

/// Returns when a number left service, oldest first. `import` is the event by which it was imported.
///
/// # Errors
/// [`NoSuchStep`] if an event cannot follow the one before it.
pub fn departures(history: &History, import: EventSeq) -> Result<Vec<Departure>, NoSuchStep> {
    let mut departures: Vec<Departure> = Vec::new();
    // True while nothing has followed the last departure that would settle it.
    let mut open = false;
    let mut before = None;
    for moment in history.moments()? {
        let was = before.replace(moment.entry.standing);
        let Some(event) = moment.event else {
            if let Standing::Aging { former, .. } = moment.entry.standing {
                departures.push(Departure::new(import, moment.from, former.account, How::Imported));
                open = true;
            }
            continue;
        };
        let last_account = departures.last().map(|last| last.account);
        let mut left = |at, account, how| {
            departures.push(Departure::new(event.seq, at, account, how));
            true
        };
        open = match (&event.change, was) {
            (Change::Disconnected { .. } | Change::Purged { .. }, Some(Standing::InService { place })) => {
                left(moment.from, place.account, How::Disconnected)
            }
            (Change::PortedOut { at }, Some(Standing::InService { place })) => {
                left(*at, place.account, How::PortedOut)
            }
            (Change::PortedOut { .. }, _) => settle(&mut departures, open, event.seq, LeftOut::PortedOut),
            (Change::Reconnected { .. }, _) => settle(&mut departures, open, event.seq, LeftOut::Reconnected),
            (Change::Restored { standing: Standing::InService { place }, .. }, _) => {
                let same = last_account == Some(place.account);
                settle(&mut departures, open && same, event.seq, LeftOut::Reconnected)
            }
            (Change::Restored { standing: Standing::Aging { former, .. }, .. }, _) => {
                // What another account does next says nothing of the one that gave it up.
                let same = last_account == Some(former.account);
                (open && same) || left(moment.from, former.account, How::Imported)
            }
            (Change::Purged { .. }, _) => open,
            (change, _) => open && !change.changes_state(),
        };
    }
    Ok(departures)
}

/// Says of the last departure, if it is open, that it is no permanent disconnect. Returns that it is open no more.
fn settle(departures: &mut [Departure], open: bool, by: EventSeq, why: LeftOut) -> bool {
    if let Some(last) = departures.last_mut().filter(|_| open) {
        last.undone = Some((by, why));
    }
    false
}

/// A report: which departures it is about, and what it knows.
#[derive(Clone, Debug)]
pub struct Filing {
    /// The last day of the report before it. What it leaves out, it lists for later days.
    pub after: Date,
    /// Its last day.
    pub through: Date,
    /// The events that it knows.
    pub known: Known,
    /// When it was made.
    pub made_at: Timestamp,
    /// The time zone whose days count.
    pub zone: TimeZone,
    /// The accounts that report their own numbers.
    pub other_reporters: BTreeSet<AccountId>,
    /// The table of area codes: see [`area_codes::VERSION`].
    pub npa_table: String,
    /// The submitted reports of earlier months that it knows, by their places in the list in which it stands: all of
    /// them stand before it.
    pub earlier: Vec<usize>,
}

/// What a report says of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Judged {
    /// The day of its disconnect, if the report has it.
    pub row: Option<Date>,
    /// Why the report does not have it, if it lists that.
    pub left_out: Option<LeftOut>,
}

impl Departure {
    fn new(event: EventSeq, at: Timestamp, account: AccountId, how: How) -> Self {
        Self { event, at, account, how, undone: None }
    }
}

impl Filing {
    /// Returns why it does not report a departure, as far as it knows. `None` if it is a permanent disconnect that is to
    /// be reported.
    #[must_use]
    pub fn why(&self, number: Number, departure: &Departure) -> Option<LeftOut> {
        let undone = departure.undone.filter(|(by, _)| self.known.has(*by)).map(|(_, why)| why);
        let date = departure.at.date_in(&self.zone);
        let ported = departure.how == How::PortedOut;
        undone.filter(|why| *why == LeftOut::Reconnected).or_else(|| {
            let place = || place(number, &self.npa_table);
            let when = if date > self.made_at.date_in(&self.zone) {
                Some(LeftOut::InFuture)
            } else if date < FIRST_DAY && departure.how != How::Imported {
                Some(LeftOut::TooOld)
            } else {
                None
            };
            let other = self.other_reporters.contains(&departure.account).then_some(LeftOut::OtherReporter);
            let no_date = (departure.how == How::Imported).then_some(LeftOut::NoDate);
            undone.or(ported.then_some(LeftOut::PortedOut)).or_else(place).or(when).or(other).or(no_date)
        })
    }

    /// Returns the departure of a number that it reports, if none of the `submitted` ones is the same.
    fn row<'a>(
        &self,
        number: Number,
        departures: &'a [Departure],
        submitted: impl Fn(EventSeq) -> bool,
    ) -> Option<&'a Departure> {
        let known = departures.iter().rev().filter(|departure| self.knows(departure));
        let last = known.into_iter().find(|departure| self.why(number, departure).is_none())?;
        (!submitted(last.event)).then_some(last)
    }

    /// Returns whether it was made before its last day was over: more numbers may have left service by then.
    #[must_use]
    pub fn cutoff_is_ahead(&self) -> bool {
        self.made_at.date_in(&self.zone) <= self.through
    }

    /// Returns whether a departure had happened by its position, and by its last day.
    fn knows(&self, departure: &Departure) -> bool {
        self.known.has(departure.event) && departure.at.date_in(&self.zone) <= self.through
    }
}

/// Returns which departure of a number each of these reports has.
fn rows<'a>(number: Number, departures: &'a [Departure], filings: &[Filing]) -> Vec<Option<&'a Departure>> {
    let mut reported: Vec<Option<&Departure>> = Vec::with_capacity(filings.len());
    for filing in filings {
        let submitted = |event| {
            let of = |place: &usize| reported.get(*place).copied().flatten();
            filing.earlier.iter().filter_map(of).any(|departure| departure.event == event)
        };
        let row = filing.row(number, departures, submitted);
        reported.push(row);
    }
    reported
}

/// Returns whether one of these reports, all of which were submitted, has the last departure of a number.
#[must_use]
pub fn is_reported(number: Number, departures: &[Departure], filings: &[Filing]) -> bool {
    let Some(last) = departures.last() else { return false };
    rows(number, departures, filings).into_iter().flatten().any(|row| row.event == last.event)
}

/// Returns what the last of these reports says of a number.
#[must_use]
pub fn judge(number: Number, departures: &[Departure], filings: &[Filing]) -> Judged {
    let reported = rows(number, departures, filings);
    let Some(filing) = filings.last() else { return Judged::default() };
    if let Some(departure) = reported.last().copied().flatten() {
        return Judged { row: Some(departure.at.date_in(&filing.zone)), left_out: None };
    }
    let of_month = departures
        .iter()
        .rev()
        .filter(|departure| filing.knows(departure) && departure.at.date_in(&filing.zone) > filing.after);
    Judged { row: None, left_out: of_month.into_iter().find_map(|departure| filing.why(number, departure)) }
}

/// Returns why a number is not reported for where it lies. `None` if it lies in the United States.
fn place(number: Number, table: &str) -> Option<LeftOut> {
    let Some(npa) = number.area_code() else { return Some(LeftOut::NotUs) };
    match area_codes::service_in(npa, table) {
        Some(Service::Geographic { country: "US", .. }) => None,
        Some(Service::Geographic { .. }) => Some(LeftOut::NotUs),
        Some(Service::TollFree | Service::NonGeographic) => Some(LeftOut::NotGeographic),
        None if area_codes::is_set_aside(npa) => Some(LeftOut::NotGeographic),
        None => Some(LeftOut::UnknownNpa),
    }
}

/// A report that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedIn {
    /// Its month.
    pub period: Month,
    /// The last position that it knows.
    pub as_of: u64,
    /// The position of the event by which this was noted.
    pub noted: u64,
    /// True if its cutoff was ahead: see [`Filing::cutoff_is_ahead`].
    pub cutoff_ahead: bool,
}

/// Returns which of these reports another one of `period` knows that was made as of `as_of`, by their places: of each
/// earlier month the one that was noted last.
#[must_use]
pub fn earlier(all: &[HandedIn], period: Month, as_of: u64) -> Vec<usize> {
    standing(all, |report| report.period < period && report.noted <= as_of)
}

/// Returns which of these reports the next one knows, by their places: of each month the one that was noted last.
#[must_use]
pub fn latest(all: &[HandedIn]) -> Vec<usize> {
    standing(all, |_| true)
}

fn standing(all: &[HandedIn], counts: impl Fn(&HandedIn) -> bool) -> Vec<usize> {
    let mut of_month: BTreeMap<Month, usize> = BTreeMap::new();
    for (place, report) in all.iter().enumerate().filter(|(_, report)| counts(report)) {
        let best = of_month.entry(report.period).or_insert(place);
        if all.get(*best).is_some_and(|known| known.noted <= report.noted) {
            *best = place;
        }
    }
    of_month.into_values().collect()
}

/// Returns how many days are left until the next report that was not handed in is due: negative if this month's is late.
/// A report whose cutoff was ahead does not count.
#[must_use]
pub fn due_days(today: Date, handed_in: &[HandedIn]) -> i64 {
    let month = Month::reporting(today, 31);
    let done = handed_in.iter().any(|report| report.period == month && !report.cutoff_ahead);
    let due = if done { month.next().due() } else { month.due() };
    // The default of a span between days is days alone.
    due.since(today).map_or(0, |span| i64::from(span.get_days()))
}
