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
    /// The last day of the report of the month before it, as long as it knows none that was handed in: it lists what it
    /// leaves out for later days. Otherwise it begins where that one begins.
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
    /// Returns whether more numbers may have left service by its last day than it knows: it was made before that day was
    /// over, or the first event behind its position was recorded by then. There was none `behind` it if it knew all.
    #[must_use]
    pub fn cutoff_is_ahead(&self, behind: Option<Timestamp>) -> bool {
        let by_then = |at: Timestamp| at.date_in(&self.zone) <= self.through;
        by_then(self.made_at) || behind.is_some_and(by_then)
    }
}

/// A report that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedIn {
    /// Who reports.
    pub company: String,
    /// Its month.
    pub period: Month,
    /// The last position that it knows.
    pub as_of: u64,
    /// The position of the event by which this was noted.
    pub noted: u64,
    /// True if its cutoff was ahead: see [`Filing::cutoff_is_ahead`].
    pub cutoff_ahead: bool,
}

/// Reports in an order in which each stands behind those that it knows.
#[derive(Clone, Debug, Default)]
pub struct Filings {
    all: Vec<Placed>,
    /// The time zones of all of them, each once.
    zones: Vec<TimeZone>,
    /// Their tables of area codes, each once.
    tables: Vec<String>,
}

/// A report among others.
#[derive(Clone, Debug)]
struct Placed {
    filing: Filing,
    /// Its time zone, by its place.
    zone: usize,
    /// Its table of area codes, by its place.
    table: usize,
    /// The day on which it was made.
    made_on: Date,
    /// Its month. `None` if it is behind all months.
    period: Option<Month>,
    /// That it was handed in.
    handed_in: Option<HandedIn>,
    /// The reports of other months that were handed in before it was made, by their places in order: of each month the
    /// one that was noted last.
    others: Vec<usize>,
    /// The first report of those that lead to it, month by month without a gap, among these. `None` if it is itself.
    first: Option<usize>,
}

/// The departures of a number, and what reports have to know of each: it is found once, however many reports there are.
struct Left<'a> {
    departures: &'a [Departure],
    /// The days of all departures, for each time zone.
    days: Vec<Vec<Date>>,
    /// Why the number is not reported for where it lies, for each table of area codes.
    places: Vec<Option<LeftOut>>,
}

impl Filings {
    /// Returns reports that were handed in, in order. Each knows the reports of its own company.
    #[must_use]
    pub fn handed_in(mut reports: Vec<(HandedIn, Filing)>) -> Self {
        // What a report knows was handed in before it was made.
        reports.sort_by_key(|(of, _)| (of.as_of, of.period));
        let mut filings = Self::default();
        for (of, filing) in reports {
            let others = filings.others(&of.company, of.period, of.as_of);
            let (period, first) = (of.period, first_of(&others, of.period));
            filings.add(filing, Some(period), Some(of), others.into_values(), first);
        }
        filings
    }

    /// Adds a company's report of a month that is made as of a position.
    pub fn make(&mut self, company: &str, period: Month, as_of: u64, filing: Filing) {
        let others = self.others(company, period, as_of);
        let first = first_of(&others, period);
        self.add(filing, Some(period), None, others.into_values(), first);
    }

    /// Adds a report of all that is still to be reported: it knows the last one of each month of each company.
    pub fn make_next(&mut self, filing: Filing) {
        let all = self.standing(|_| true);
        self.add(filing, None, None, all.into_values(), None);
    }

    /// Returns the month of a report that was handed in after a report of another month was made, if the two list what
    /// they leave out for the same days. Neither knows the other, so both would have the same numbers.
    #[must_use]
    pub fn lists_the_same(&self, company: &str, period: Month, as_of: u64, filing: &Filing) -> Option<Month> {
        let begins = |first: &Filing| start_of(first.after, first);
        let ends = |last: &Filing| start_of(last.through, last);
        let own_first = first_of(&self.others(company, period, as_of), period);
        let own_begins = begins(own_first.map_or(filing, |place| &self.all[place].filing));
        let unknown = self.standing(|one| one.company == company && one.period != period);
        unknown.into_iter().find_map(|((_, month), place)| {
            let other = &self.all[place];
            let is_known = other.handed_in.as_ref().is_some_and(|one| one.noted <= as_of);
            let overlaps = if month < period {
                own_begins < ends(&other.filing)
            } else {
                begins(&self.all[other.first.unwrap_or(place)].filing) < ends(filing)
            };
            (!is_known && overlaps).then_some(month)
        })
    }

    /// Returns the reports.
    pub fn iter(&self) -> impl Iterator<Item = &Filing> {
        self.all.iter().map(|report| &report.filing)
    }

    /// Returns what each of them knows, in order.
    pub fn known_mut(&mut self) -> impl Iterator<Item = &mut Known> {
        self.all.iter_mut().map(|report| &mut report.filing.known)
    }

    /// Returns the reports that were handed in, as this was noted.
    pub fn noted(&self) -> impl Iterator<Item = &HandedIn> {
        self.all.iter().filter_map(|report| report.handed_in.as_ref())
    }

    fn add(
        &mut self,
        filing: Filing,
        period: Option<Month>,
        handed_in: Option<HandedIn>,
        others: impl Iterator<Item = usize>,
        first: Option<usize>,
    ) {
        let zone = place_in(&mut self.zones, &filing.zone);
        let table = place_in(&mut self.tables, &filing.npa_table);
        let made_on = filing.made_at.date_in(&filing.zone);
        let mut others: Vec<usize> = others.collect();
        others.sort_unstable();
        self.all.push(Placed { filing, zone, table, made_on, period, handed_in, others, first });
    }

    fn others(&self, company: &str, period: Month, as_of: u64) -> BTreeMap<(String, Month), usize> {
        self.standing(|one| one.company == company && one.period != period && one.noted <= as_of)
    }

    /// Returns the places of those that count, of each month of a company the one that was noted last.
    fn standing(&self, counts: impl Fn(&HandedIn) -> bool) -> BTreeMap<(String, Month), usize> {
        let mut of_month: BTreeMap<(&str, Month), (u64, usize)> = BTreeMap::new();
        for (place, report) in self.all.iter().enumerate() {
            let Some(one) = report.handed_in.as_ref().filter(|one| counts(one)) else { continue };
            let last = of_month.entry((&one.company, one.period)).or_default();
            *last = (one.noted, place).max(*last);
        }
        let of_month = of_month.into_iter();
        of_month.map(|((company, month), (_, place))| ((company.to_owned(), month), place)).collect()
    }

    fn left<'a>(&self, number: Number, departures: &'a [Departure]) -> Left<'a> {
        let days = |zone| departures.iter().map(|departure| departure.at.date_in(zone)).collect();
        let places = self.tables.iter().map(|table| place(number, table)).collect();
        Left { departures, days: self.zones.iter().map(days).collect(), places }
    }

    /// Returns which reports have a row of a number, and which departure that is, by their places.
    fn rows(&self, left: &Left<'_>) -> Vec<(usize, usize)> {
        let mut rows: Vec<(usize, usize)> = Vec::new();
        for (place, report) in self.all.iter().enumerate() {
            let mut known =
                (0..left.departures.len()).rev().filter(|departure| report.knows(left, *departure));
            let Some(last) = known.find(|departure| report.why(left, *departure).is_none()) else { continue };
            let was_submitted = |(by, row): &(usize, usize)| {
                *row == last && report.knows_of(*by) && report.is_behind(&self.all[*by])
            };
            if !rows.iter().any(was_submitted) {
                rows.push((place, last));
            }
        }
        rows
    }

    /// Returns whether the last report lists a departure, if it leaves it out. A report lists what happened since the
    /// beginning of the first of the reports that lead to it, unless another one that it knows lists it.
    fn last_lists(&self, left: &Left<'_>, departure: usize) -> bool {
        let lies_in = |report: &Placed| {
            let first = report.first.map_or(report, |place| &self.all[place]);
            report.knows(left, departure) && first.day(left, departure) > first.filing.after
        };
        let Some((last, before)) = self.all.split_last().filter(|(last, _)| lies_in(last)) else {
            return false;
        };
        let mut listing: Vec<usize> = Vec::new();
        let is_listed = |report: &Placed, listing: &[usize]| listing.iter().any(|by| report.knows_of(*by));
        for (place, report) in before.iter().enumerate() {
            if lies_in(report) && !is_listed(report, &listing) {
                listing.push(place);
            }
        }
        !is_listed(last, &listing)
    }
}

/// Returns the first of some reports that lead to a month, month by month without a gap.
fn first_of(others: &BTreeMap<(String, Month), usize>, period: Month) -> Option<usize> {
    let mut first = None;
    let mut month = period;
    for ((_, earlier), place) in others.iter().rev().skip_while(|((_, other), _)| *other >= period) {
        if *earlier != month.previous() {
            break;
        }
        (first, month) = (Some(*place), *earlier);
    }
    first
}

/// Returns when the day behind one begins for a report.
fn start_of(day: Date, filing: &Filing) -> Timestamp {
    Timestamp::start_of(day.tomorrow().unwrap_or(Date::MAX), &filing.zone)
}

/// Returns where something stands in a list, to which it is added if it is not there.
fn place_in<T: Clone + PartialEq>(all: &mut Vec<T>, one: &T) -> usize {
    all.iter().position(|other| other == one).unwrap_or_else(|| {
        all.push(one.clone());
        all.len() - 1
    })
}

impl Placed {
    /// Returns whether it knows the report at a place.
    fn knows_of(&self, place: usize) -> bool {
        self.others.binary_search(&place).is_ok()
    }

    /// Returns whether it is of a later month than another one.
    fn is_behind(&self, other: &Placed) -> bool {
        self.period.is_none_or(|own| other.period.is_some_and(|earlier| earlier < own))
    }

    /// Returns the day of a departure.
    fn day(&self, left: &Left<'_>, departure: usize) -> Date {
        left.days[self.zone][departure]
    }

    /// Returns whether a departure had happened by its position, and by its last day.
    fn knows(&self, left: &Left<'_>, departure: usize) -> bool {
        self.filing.known.has(left.departures[departure].event)
            && self.day(left, departure) <= self.filing.through
    }

    /// Returns why it does not report a departure, as far as it knows. `None` if it is a permanent disconnect that is to
    /// be reported.
    fn why(&self, left: &Left<'_>, departure: usize) -> Option<LeftOut> {
        let (filing, date) = (&self.filing, self.day(left, departure));
        let departure = &left.departures[departure];
        let undone = departure.undone.filter(|(by, _)| filing.known.has(*by)).map(|(_, why)| why);
        let ported = departure.how == How::PortedOut;
        undone.filter(|why| *why == LeftOut::Reconnected).or_else(|| {
            let when = if date > self.made_on {
                Some(LeftOut::InFuture)
            } else if date < FIRST_DAY && departure.how != How::Imported {
                Some(LeftOut::TooOld)
            } else {
                None
            };
            let other = filing.other_reporters.contains(&departure.account).then_some(LeftOut::OtherReporter);
            let no_date = (departure.how == How::Imported).then_some(LeftOut::NoDate);
            undone
                .or(ported.then_some(LeftOut::PortedOut))
                .or(left.places[self.table])
                .or(when)
                .or(other)
                .or(no_date)
        })
    }
}

/// Returns whether one of these reports, all of which were submitted, has the last departure of a number.
#[must_use]
pub fn is_reported(number: Number, departures: &[Departure], filings: &Filings) -> bool {
    let Some(last) = departures.len().checked_sub(1) else { return false };
    filings.rows(&filings.left(number, departures)).iter().any(|(_, row)| *row == last)
}

/// Returns what the last of these reports says of a number.
#[must_use]
pub fn judge(number: Number, departures: &[Departure], filings: &Filings) -> Judged {
    let Some(report) = filings.all.last() else { return Judged::default() };
    let left = filings.left(number, departures);
    let rows = filings.rows(&left);
    if let Some((_, row)) = rows.last().filter(|(by, _)| by + 1 == filings.all.len()) {
        return Judged { row: Some(report.day(&left, *row)), left_out: None };
    }
    let mut listed = (0..departures.len()).rev().filter(|departure| filings.last_lists(&left, *departure));
    Judged { row: None, left_out: listed.find_map(|departure| report.why(&left, departure)) }
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

/// Returns how many days are left until the first report is due that was not handed in: negative if it is late. A report
/// whose cutoff was ahead does not count. `oldest` is the month in which the oldest disconnect is due that no report has.
#[must_use]
pub fn due_days<'a>(
    today: Date,
    handed_in: impl IntoIterator<Item = &'a HandedIn>,
    oldest: Option<Month>,
) -> i64 {
    let last = handed_in.into_iter().filter(|report| !report.cutoff_ahead).map(|report| report.period).max();
    let first = last.map(Month::next).or(oldest).unwrap_or_else(|| Month::of(today));
    days_between(today, first.due())
}

/// Returns how many days one day lies behind another.
#[must_use]
pub fn days_between(from: Date, to: Date) -> i64 {
    let span = to.since(from).expect("two dates always have a span in days");
    i64::from(span.get_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_knows_the_last_of_each_other_month_that_was_handed_in_before_it() {
        let report = |company: &str, period: &str, as_of, noted| {
            let period: Month = period.parse().unwrap();
            let of = HandedIn { company: company.into(), period, as_of, noted, cutoff_ahead: false };
            let filing = Filing {
                after: period.previous().day(14),
                through: period.day(14),
                known: Known::all(),
                made_at: Timestamp::MAX,
                zone: TimeZone::UTC,
                other_reporters: BTreeSet::new(),
                npa_table: area_codes::VERSION.into(),
            };
            (of, filing)
        };
        let mut all = Filings::handed_in(vec![
            report("ACME1", "2026-12", 3, 30),
            report("ACME1", "2026-11", 2, 20),
            report("OTHER", "2026-12", 4, 5),
            report("ACME1", "2026-11", 1, 10),
        ]);
        let known = |period: &str, as_of| {
            all.others("ACME1", period.parse().unwrap(), as_of).into_values().collect::<Vec<_>>()
        };
        assert_eq!(known("2027-01", 99), [1, 2]);
        assert_eq!(known("2027-01", 29), [1]);
        assert_eq!(known("2026-12", 15), [0], "the second of November was not handed in yet");
        assert_eq!(known("2026-12", 99), [1], "not of its own month");
        assert_eq!(known("2026-11", 99), [2], "of a later month, too");
        let (_, next) = report("", "2027-01", 99, 0);
        all.make_next(next);
        assert_eq!(all.all[4].others, [1, 2, 3], "of each company the last of each month");
    }
}
