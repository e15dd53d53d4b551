//! Reports to the Reassigned Numbers Database: which reports a new one knows, its rows, its files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onhook_core::area_codes;
use onhook_core::audit::digest::Digest;
use onhook_core::audit::line::LineFilter;
use onhook_core::ids::{AccountId, EventSeq};
use onhook_core::number::Number;
use onhook_core::report::months::Month;
use onhook_core::report::rnd::{
    Filing, Filings, HandedIn, Judged, LeftOut, days_between, departures, due_days, is_reported, judge,
};
use onhook_core::report::rnd_file::{Form, UNVERIFIED};
use onhook_core::report::{Known, ReportKind};
use onhook_core::time::{Date, TimeZone, Timestamp};
use onhook_store::contract::reports::{Life, Report, Wanted};
use onhook_store::{Result, Store, StoreError, audit};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{ALL, Progress, Walk, accounts, before_later, impossible, known_by};

/// What the files of a report are made from beside events: it is kept with the report.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct MadeWith {
    /// The form of the files.
    form: Form,
    /// The time zone whose days count.
    zone: String,
    /// The accounts that report their own numbers.
    other_reporters: BTreeSet<AccountId>,
    /// The version of the table of area codes.
    npa_table: String,
    /// The hash of what is left out.
    left_out: String,
    /// How many bytes each file has.
    sizes: Vec<u64>,
    /// When these files were first made. A report that takes the place of one with the same files has this from that one.
    #[serde(default)]
    first_made_at: Option<Timestamp>,
    /// When the first event behind its position was recorded, if there was one as it was made.
    #[serde(default)]
    behind: Option<Timestamp>,
    /// How many reports of its company were handed in before its position.
    #[serde(default)]
    knows: usize,
}

/// A report that is asked for.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Asked {
    /// The month.
    pub(crate) period: Month,
    /// Who reports.
    pub(crate) company: String,
    /// The last position that counts.
    pub(crate) as_of: u64,
    /// The time.
    pub(crate) now: Timestamp,
    /// The form of the files.
    pub(crate) form: Form,
    /// The time zone whose days count, by name.
    pub(crate) zone: String,
}

/// A file of a report, as it is made.
struct File {
    name: String,
    rows: u64,
    bytes: u64,
    hash: Sha256,
}

impl File {
    fn write(&mut self, line: &str) {
        self.bytes += u64::try_from(line.len()).unwrap_or_default();
        self.hash.update(line);
    }
}

/// What goes through a report: each row, and each number that is left out.
enum Told {
    Row(Number, Date),
    LeftOut(Number, LeftOut),
}

fn made_with(report: &Report) -> Result<MadeWith> {
    serde_json::from_value(report.made_with.clone()).map_err(|error| StoreError::Broken(Box::new(error)))
}

/// Returns a report as `core` judges by it, without those that it knows.
fn filing(with: &MadeWith, period: Month, known: Known, made_at: Timestamp) -> Result<Filing> {
    let zone = TimeZone::get(&with.zone).map_err(|error| StoreError::Broken(Box::new(error)))?;
    Ok(Filing {
        after: period.previous().day(with.form.cutoff_day),
        through: period.day(with.form.cutoff_day),
        known,
        made_at,
        zone,
        other_reporters: with.other_reporters.clone(),
        npa_table: with.npa_table.clone(),
    })
}

/// Returns whether a report may lack numbers that left service by its cutoff day.
fn cutoff_is_ahead(report: &Report) -> Result<bool> {
    let Some(period) = report.period else { return Ok(false) };
    let with = made_with(report)?;
    Ok(filing(&with, period, Known::all(), report.made_at)?.cutoff_is_ahead(with.behind))
}

/// Returns when the files of a report were first made, whenever it was made again since: from then on they could be
/// handed in.
pub(crate) fn first_made_at(report: &Report) -> Result<Timestamp> {
    Ok(made_with(report)?.first_made_at.unwrap_or(report.made_at))
}

/// Returns confirmed reports as `core` judges by them.
async fn filings(store: &dyn Store, confirmed: &[Report]) -> Result<Filings> {
    let noted: Vec<EventSeq> = confirmed.iter().filter_map(|report| Some(report.confirmed?.event)).collect();
    let positions = audit::positions(store, noted).await?;
    let mut handed_in = Vec::with_capacity(confirmed.len());
    for report in confirmed {
        let (Some(confirmed), Some(period), Some(company)) =
            (report.confirmed, report.period, &report.company)
        else {
            continue;
        };
        let of = HandedIn {
            company: company.clone(),
            period,
            as_of: report.as_of,
            // What has no position yet is behind every report that was made.
            noted: positions.get(&confirmed.event).copied().unwrap_or(u64::MAX),
            cutoff_ahead: cutoff_is_ahead(report)?,
        };
        let known = audit::known(store, report.as_of).await?;
        handed_in.push((of, filing(&made_with(report)?, period, known, report.made_at)?));
    }
    Ok(Filings::handed_in(handed_in))
}

/// Returns a report with all that it knows, as `core` judges by them: it is the last one.
async fn knowing(
    store: &dyn Store,
    company: &str,
    with: &MadeWith,
    (period, as_of, made_at): (Month, u64, Timestamp),
) -> Result<Knowing> {
    let mut confirmed = store.confirmed_reports(Some(company.to_owned())).await?;
    confirmed.retain(|report| report.as_of < as_of);
    let mut filings = filings(store, &confirmed).await?;
    let own = filing(with, period, audit::known(store, as_of).await?, made_at)?;
    filings.make(company, period, as_of, own);
    Ok(Knowing { filings, as_of, at_leisure: false, progress: None })
}

/// Returns the month of a report that was handed in after this one was made, if the two list what they leave out for the
/// same days, and how many confirmed reports that follows from.
pub(crate) async fn lists_the_same(store: &dyn Store, report: &Report) -> Result<(Option<Month>, usize)> {
    let mut confirmed = store.confirmed_reports(None).await?;
    let seen = confirmed.len();
    let with = made_with(report)?;
    let (Some(company), Some(period)) = (&report.company, report.period) else { return Ok((None, seen)) };
    let own = filing(&with, period, Known::all(), report.made_at)?;
    confirmed.retain(|one| one.company.as_ref() == Some(company));
    let filings = filings(store, &confirmed).await?;
    Ok((filings.lists_the_same(company, period, report.as_of, &own), seen))
}

/// Reports as `core` judges by them: the last one, which is as of this position, after all that it may know.
struct Knowing {
    filings: Filings,
    as_of: u64,
    /// True if nobody waits for what is read.
    at_leisure: bool,
    progress: Option<Arc<Progress>>,
}

impl Knowing {
    /// Begins to read numbers from these digits on.
    fn walk<'a>(&self, store: &'a dyn Store, first: u64) -> Walk<'a> {
        let to = self.filings.iter().map(|filing| filing.known.last()).max().unwrap_or(EventSeq(0));
        let walk = Walk::new(store, Wanted::Departures, (first, ALL.1), (self.as_of, to));
        let walk = walk.counted(self.progress.clone());
        if self.at_leisure { walk.at_leisure() } else { walk }
    }

    /// Returns the next page of numbers.
    async fn page(&mut self, walk: &mut Walk<'_>) -> Result<Option<Vec<Life>>> {
        let mut known: Vec<&mut Known> = self.filings.known_mut().collect();
        walk.page(&mut known).await
    }
}

fn judged(life: &Life, filings: &Filings) -> Result<Judged> {
    let Some(history) = &life.history else { return Ok(Judged::default()) };
    let departures = departures(history, life.import()).map_err(impossible)?;
    Ok(judge(life.entry.number, &departures, filings))
}

/// Passes each row on and each number that is left out, by digits, until `each` returns false.
async fn tell(
    store: &dyn Store,
    knowing: &mut Knowing,
    first: u64,
    mut each: impl FnMut(Told) -> bool,
) -> Result<()> {
    let mut walk = knowing.walk(store, first);
    while let Some(lives) = knowing.page(&mut walk).await? {
        for life in lives {
            let Judged { row, left_out } = judged(&life, &knowing.filings)?;
            let number = life.entry.number;
            let goes_on = row.is_none_or(|date| each(Told::Row(number, date)))
                && left_out.is_none_or(|why| each(Told::LeftOut(number, why)));
            if !goes_on {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The files of a report while their rows are counted. One file has no number, several do.
struct Files<'a> {
    form: &'a Form,
    company: &'a str,
    period: Month,
    several: bool,
    files: Vec<File>,
}

impl Files<'_> {
    fn add(&mut self, number: Number, date: Date) {
        let full = u64::from(self.form.row_limit);
        if self.files.last().is_none_or(|file| self.several && file.rows == full) {
            let batch = self.several.then(|| u32::try_from(self.files.len() + 1).unwrap_or(u32::MAX));
            let name = self.form.name(self.company, self.period, batch);
            let mut file = File { name, rows: 0, bytes: 0, hash: Sha256::new() };
            file.write(&self.form.first_line());
            self.files.push(file);
        }
        let batch = self.several.then(|| u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        let line = self.form.line(self.company, number, date, batch);
        if let Some(file) = self.files.last_mut() {
            file.write(&line);
            file.rows += 1;
        }
    }
}

/// Returns the accounts that reported their own numbers, as of a position.
async fn other_reporters(store: &dyn Store, as_of: u64) -> Result<BTreeSet<AccountId>> {
    let accounts = accounts(store).await?;
    // It is read after the changes: so one that was committed late is told from those that are known.
    let known = audit::known(store, as_of).await?;
    let accounts = before_later(accounts, |change| !known.has(change.seq))?;
    Ok(accounts.iter().filter(|account| !account.reports_rnd).map(|account| account.id).collect())
}

/// Makes a report. It is not kept yet.
pub(super) async fn make(store: &dyn Store, asked: &Asked, progress: Arc<Progress>) -> Result<Report> {
    let Asked { period, company, as_of, now, form, zone } = asked;
    let mut with = MadeWith {
        form: form.clone(),
        zone: zone.clone(),
        other_reporters: other_reporters(store, *as_of).await?,
        npa_table: area_codes::VERSION.to_owned(),
        left_out: String::new(),
        sizes: Vec::new(),
        first_made_at: None,
        behind: audit::feed(store, *as_of, 1, &LineFilter::default())
            .await?
            .lines
            .first()
            .map(|(_, line)| line.at),
        knows: 0,
    };
    let mut knowing = knowing(store, company, &with, (*period, *as_of, *now)).await?;
    with.knows = knowing.filings.noted().filter(|one| one.noted <= *as_of).count();
    knowing.progress = Some(progress.clone());
    let mut several = false;
    let (files, left_out, left_out_hash) = loop {
        progress.begin(store, *now).await?;
        let mut files = Files { form, company, period: *period, several, files: Vec::new() };
        let mut left_out: BTreeMap<LeftOut, u64> = BTreeMap::new();
        let mut hash = Sha256::new();
        tell(store, &mut knowing, ALL.0, |told| {
            match told {
                Told::Row(number, date) => files.add(number, date),
                Told::LeftOut(number, why) => {
                    *left_out.entry(why).or_default() += 1;
                    hash.update(format!("{number},{why}\n"));
                }
            }
            true
        })
        .await?;
        let rows: u64 = files.files.iter().map(|file| file.rows).sum();
        if !several && rows > u64::from(form.row_limit) {
            several = true; // now each line says its file's number
            continue;
        }
        break (files.files, left_out, Digest::from(hash).hex());
    };
    with.left_out = left_out_hash;
    with.sizes = files.iter().map(|file| file.bytes).collect();
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let hashes: Vec<String> = files.iter().map(|file| Digest::from(file.hash.clone()).hex()).collect();
    let cutoff_ahead = filing(&with, *period, Known::all(), *now)?.cutoff_is_ahead(with.behind);
    let known_by = known_by(&hashes);
    let mut id = format!("rnd-{period}-{company}-{known_by}");
    let mut old = store.report(id.clone()).await?;
    // One that was handed in too early stays as it is. This one can be handed in beside it.
    if let Some(early) = old.as_ref().filter(|old| !cutoff_ahead && old.confirmed.is_some())
        && cutoff_is_ahead(early)?
    {
        id = format!("rnd-{period}-{company}-again-{known_by}");
        old = store.report(id.clone()).await?;
    }
    with.first_made_at = Some(match &old {
        Some(old) => first_made_at(old)?.min(*now),
        None => *now,
    });
    let named = files.iter().zip(&hashes);
    let files: Vec<Value> =
        named.map(|(file, hash)| json!({ "name": file.name, "rows": file.rows, "sha256": hash })).collect();
    let why: BTreeMap<&str, u64> = left_out.iter().map(|(why, count)| (why.word(), *count)).collect();
    let mut shown = json!({
        "cutoff": period.day(form.cutoff_day).to_string(),
        "counts": { "rows": rows, "left_out": left_out.values().sum::<u64>(), "left_out_by_reason": why },
        "files": files,
        "form": if *form == Form::default() { UNVERIFIED } else { "configured" },
        "nothing_to_report": rows == 0,
        "npa_table": with.npa_table,
    });
    if cutoff_ahead {
        shown["cutoff_ahead"] = json!(true);
    }
    Ok(Report {
        id,
        kind: ReportKind::Rnd,
        company: Some(company.clone()),
        period: Some(*period),
        as_of: *as_of,
        made_at: *now,
        shown,
        made_with: serde_json::to_value(&with).map_err(|error| StoreError::Broken(Box::new(error)))?,
        confirmed: None,
    })
}

/// Returns whether a report that was made takes the place of one with the same files: it knows more, and leaves out
/// others or knows of others that were handed in, or its cutoff is no longer ahead.
pub(crate) fn renews(new: &Report, old: &Report) -> Result<bool> {
    if old.confirmed.is_some() || new.kind != ReportKind::Rnd {
        return Ok(false);
    }
    let (with, had) = (made_with(new)?, made_with(old)?);
    let more = new.as_of > old.as_of && (with.left_out != had.left_out || with.knows > had.knows);
    let over = new.as_of >= old.as_of && cutoff_is_ahead(old)? && !cutoff_is_ahead(new)?;
    Ok(more || over)
}

/// Returns what a kept report judges by.
async fn again(store: &dyn Store, report: &Report) -> Result<(MadeWith, Knowing)> {
    let with = made_with(report)?;
    let missing = || StoreError::Conflict("the report has no month or company".into());
    let (company, period) =
        (report.company.as_deref().ok_or_else(missing)?, report.period.ok_or_else(missing)?);
    let knowing = knowing(store, company, &with, (period, report.as_of, report.made_at)).await?;
    Ok((with, knowing))
}

/// Returns numbers that a report leaves out behind one, by digits, at most `size`.
pub(crate) async fn left_out(
    store: &dyn Store,
    report: &Report,
    after: Option<Number>,
    size: usize,
) -> Result<Vec<(Number, LeftOut)>> {
    let (_, mut knowing) = again(store, report).await?;
    let mut found = Vec::new();
    tell(store, &mut knowing, after.map_or(ALL.0, |number| number.digits() + 1), |told| {
        if let Told::LeftOut(number, why) = told {
            found.push((number, why));
        }
        found.len() < size
    })
    .await?;
    Ok(found)
}

/// Returns how many bytes a file of a report has.
pub(crate) fn size(report: &Report, place: usize) -> Result<u64> {
    let missing = || StoreError::Conflict("the report does not say how large its file is".into());
    made_with(report)?.sizes.get(place).copied().ok_or_else(missing)
}

/// Makes a file of a report again, and passes it on in parts. The parts end early if nobody takes them any more.
pub(crate) async fn file(
    store: Arc<dyn Store>,
    report: Report,
    place: usize,
    parts: tokio::sync::mpsc::Sender<Vec<u8>>,
) -> Result<()> {
    let (with, mut knowing) = again(&*store, &report).await?;
    let files = report.shown["files"].as_array().map_or(0, Vec::len);
    let batch = (files > 1).then(|| u32::try_from(place + 1).unwrap_or(u32::MAX));
    let limit = if files > 1 { u64::from(with.form.row_limit) } else { u64::MAX };
    let first_row = u64::try_from(place).unwrap_or(u64::MAX).saturating_mul(limit);
    let company = report.company.clone().unwrap_or_default();
    let mut part = with.form.first_line().into_bytes();
    let mut row = 0_u64;
    let mut walk = knowing.walk(&*store, ALL.0);
    while let Some(lives) = knowing.page(&mut walk).await? {
        for life in lives {
            let Some(date) = judged(&life, &knowing.filings)?.row else { continue };
            if row >= first_row && row - first_row < limit {
                part.extend(with.form.line(&company, life.entry.number, date, batch).into_bytes());
            }
            row += 1;
        }
        if !part.is_empty() && parts.send(std::mem::take(&mut part)).await.is_err() {
            return Ok(());
        }
        if row >= first_row.saturating_add(limit) {
            break;
        }
    }
    if !part.is_empty() {
        let _ = parts.send(part).await;
    }
    Ok(())
}

/// How much is still to be reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owed {
    /// Permanent disconnects that no confirmed report has.
    pub(crate) numbers: u64,
    /// How many days ago the oldest of them was.
    pub(crate) oldest_days: i64,
    /// How many days are left until the first report is due that was not handed in, negative if it is late.
    pub(crate) due_days: i64,
}

/// Returns how much is still to be reported at `now`, if a report has everything through this day of its month. It reads
/// every number, with rests, so that it takes a fiftieth of the time for itself.
pub(crate) async fn owed(
    store: &dyn Store,
    (zone, cutoff_day): (&TimeZone, i8),
    now: Timestamp,
) -> Result<Owed> {
    let mut filings = filings(store, &store.confirmed_reports(None).await?).await?;
    let as_of = store.head().await?.map_or(0, |head| head.last);
    let today = now.date_in(zone);
    let (mut owed, mut oldest) = (Owed::default(), None);
    filings.make_next(Filing {
        after: Date::MIN,
        through: today,
        known: audit::known(store, as_of).await?,
        made_at: now,
        zone: zone.clone(),
        other_reporters: other_reporters(store, as_of).await?,
        npa_table: area_codes::VERSION.to_owned(),
    });
    let mut knowing = Knowing { filings, as_of, at_leisure: true, progress: None };
    tell(store, &mut knowing, ALL.0, |told| {
        if let Told::Row(_, date) = told {
            owed.numbers += 1;
            oldest = Some(oldest.map_or(date, |oldest: Date| oldest.min(date)));
        }
        true
    })
    .await?;
    owed.oldest_days = oldest.map_or(0, |oldest| days_between(oldest, today));
    let oldest_due = oldest.map(|oldest| Month::reporting(oldest, cutoff_day));
    owed.due_days = due_days(today, knowing.filings.noted(), oldest_due);
    Ok(owed)
}

/// Numbers whose details are read together.
const FACTS: usize = 500;

/// Returns those of some numbers whose last disconnect stands in a report that was handed in.
pub(crate) async fn reported(store: &dyn Store, numbers: &[Number]) -> Result<Vec<Number>> {
    let confirmed = store.confirmed_reports(None).await?;
    let mut found = Vec::new();
    if confirmed.is_empty() {
        return Ok(found);
    }
    let filings = filings(store, &confirmed).await?;
    for some in numbers.chunks(FACTS) {
        for facts in store.facts_of(some.to_vec()).await? {
            let (number, history) = (facts.entry.number, &facts.history);
            let Some(first) = history.events.first() else { continue };
            let departures = departures(history, first.prev).map_err(impossible)?;
            if is_reported(number, &departures, &filings) {
                found.push(number);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use onhook_core::account::{AccountKind, Class};
    use onhook_core::import::{Intake, NewNumber};
    use onhook_core::lifecycle::diagram::State;
    use onhook_core::lifecycle::policy::Policy;
    use onhook_core::lifecycle::provenance::{Doer, Provenance};
    use onhook_core::order::{Disconnect, Mode, NewOrder, Request};
    use onhook_store::audit::seal_all;
    use onhook_store::contract::accounts::{Accounts, NewAccount};
    use onhook_store::contract::audit::Audit;
    use onhook_store::contract::imports::Imports;
    use onhook_store::contract::orders::Orders;
    use onhook_store::contract::premises::SitesAndPeers;
    use onhook_store::contract::reports::{Kept, Reports, Submitted};
    use onhook_store::contract::upkeep::Upkeep;
    use onhook_store::sqlite::SqliteStore;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn number(n: u64) -> Number {
        Number::from_digits(15_405_550_100 + n).unwrap()
    }

    /// A store with five numbers in service.
    async fn seeded(folder: &tempfile::TempDir) -> SqliteStore {
        let store = SqliteStore::open(folder.path()).unwrap();
        let (id, now) = (AccountId::new(1).unwrap(), at("2026-03-01T00:00:00Z"));
        let account =
            NewAccount { id, name: "First".into(), kind: AccountKind::EndUser, class: Class::Unknown };
        store.create_account(account, Doer::offline(now)).await.unwrap();
        let site = store.create_site(id, "Main site".into(), now).await.unwrap();
        store.create_peer(id, site.id, "Main peer".into(), now).await.unwrap();
        let in_service = move |n| NewNumber {
            state: State::InService,
            account: Some(id),
            ..NewNumber::available(number(n))
        };
        let lines = Box::new((0..5).map(move |n| (n, Ok(in_service(n)))));
        store.import(lines, Intake::of("a test"), now, Arc::default()).await.unwrap();
        store
    }

    async fn disconnect(store: &SqliteStore, numbers: impl IntoIterator<Item = u64>, now: &str) {
        let numbers = numbers.into_iter().map(number).collect();
        let disconnect = Disconnect { numbers, mode: Mode::Normal, protected: None, reason: None };
        let order = NewOrder {
            account: AccountId::new(1).unwrap(),
            user: "username".into(),
            under: Provenance::default(),
            name: None,
            customer_order_id: None,
            created_at: at(now),
            request: Request::Disconnect(disconnect),
            key: None,
        };
        store.accept(Arc::new(order)).await.unwrap();
        store.run_orders(at(now), 100, 1_000, Arc::new(Policy::default())).await.unwrap();
        seal_all(store, at(now)).await.unwrap();
    }

    /// Makes a report as of the newest position, or of another one, and keeps it as the job of it does.
    async fn made(store: &SqliteStore, period: &str, now: &str, as_of: Option<u64>) -> Report {
        let head = store.head().await.unwrap().map_or(0, |head| head.last);
        let asked = Asked {
            period: period.parse().unwrap(),
            company: "ACME1".into(),
            as_of: as_of.unwrap_or(head),
            now: at(now),
            form: Form::default(),
            zone: "UTC".into(),
        };
        let new = make(store, &asked, Arc::default()).await.unwrap();
        let old = store.report(new.id.clone()).await.unwrap();
        let renew = old.is_some_and(|old| renews(&new, &old).unwrap());
        let Kept { report, .. } = store.keep_report(new, renew).await.unwrap();
        report
    }

    async fn confirm(store: &SqliteStore, report: &Report, now: &str) {
        let files = report.shown["files"].as_array().unwrap();
        let hashes = files.iter().map(|file| file["sha256"].as_str().unwrap().to_owned()).collect();
        let id = report.id.clone();
        let seen = store.confirmed_reports(None).await.unwrap().len();
        let submitted = Submitted { id, sha256: hashes, at: at(now), seen };
        store.confirm_report(submitted, "operator".into(), at(now), None).await.unwrap();
        seal_all(store, at(now)).await.unwrap();
    }

    async fn owed_at(store: &SqliteStore, now: &str) -> Owed {
        owed(store, (&TimeZone::UTC, 14), at(now)).await.unwrap()
    }

    /// A file of a month that was not over is not the file of that month.
    #[tokio::test]
    async fn a_report_that_was_handed_in_before_its_cutoff_leaves_its_month_due() {
        let folder = tempfile::tempdir().unwrap();
        let store = seeded(&folder).await;
        let early = made(&store, "2026-08", "2026-07-15T12:00:00Z", None).await;
        assert_eq!(early.shown["cutoff_ahead"], true);
        confirm(&store, &early, "2026-07-15T13:00:00Z").await;
        disconnect(&store, [1], "2026-08-12T00:00:00Z").await;
        assert_eq!(owed_at(&store, "2026-08-12T12:00:00Z").await.due_days, 3);
        let whole = made(&store, "2026-08", "2026-08-15T12:00:00Z", None).await;
        assert_eq!(whole.shown.get("cutoff_ahead"), None);
        confirm(&store, &whole, "2026-08-15T13:00:00Z").await;
        assert_eq!(owed_at(&store, "2026-08-15T14:00:00Z").await.due_days, 31);
        store.close().await;
    }

    /// It was made when the month was over, and does not know all of it.
    #[tokio::test]
    async fn a_report_as_of_a_position_before_its_cutoff_leaves_its_month_due() {
        let folder = tempfile::tempdir().unwrap();
        let store = seeded(&folder).await;
        disconnect(&store, [1], "2026-08-02T00:00:00Z").await;
        let before = store.head().await.unwrap().unwrap().last;
        disconnect(&store, [2], "2026-08-14T23:00:00Z").await;
        let old = made(&store, "2026-08", "2026-08-15T12:00:00Z", Some(before)).await;
        assert_eq!(old.shown["cutoff_ahead"], true);
        confirm(&store, &old, "2026-08-15T13:00:00Z").await;
        assert_eq!(owed_at(&store, "2026-08-16T00:00:00Z").await.due_days, -1);
        // What lies behind its position happened when the month was over.
        let before = store.head().await.unwrap().unwrap().last;
        disconnect(&store, [3], "2026-08-15T14:00:00Z").await;
        let whole = made(&store, "2026-08", "2026-08-16T00:00:00Z", Some(before)).await;
        assert_eq!(whole.shown.get("cutoff_ahead"), None);
        confirm(&store, &whole, "2026-08-16T01:00:00Z").await;
        assert_eq!(owed_at(&store, "2026-08-16T02:00:00Z").await.due_days, 30);
        store.close().await;
    }

    /// Nothing happened between the two: their files are the same, and the month can still be handed in.
    #[tokio::test]
    async fn a_report_that_is_made_again_after_its_cutoff_is_no_longer_early() {
        let folder = tempfile::tempdir().unwrap();
        let store = seeded(&folder).await;
        disconnect(&store, [1], "2026-08-02T00:00:00Z").await;
        let early = made(&store, "2026-08", "2026-08-10T00:00:00Z", None).await;
        let whole = made(&store, "2026-08", "2026-08-15T00:00:00Z", None).await;
        assert_eq!((&whole.id, whole.made_at), (&early.id, at("2026-08-15T00:00:00Z")));
        assert_eq!(first_made_at(&whole).unwrap(), early.made_at, "its file could be handed in since then");
        assert_eq!(whole.shown.get("cutoff_ahead"), None);

        let early = made(&store, "2026-09", "2026-09-10T00:00:00Z", None).await;
        confirm(&store, &early, "2026-09-10T01:00:00Z").await;
        let whole = made(&store, "2026-09", "2026-09-15T00:00:00Z", None).await;
        assert_ne!(whole.id, early.id, "what was handed in stays");
        assert_eq!(whole.shown["files"], early.shown["files"]);
        assert_eq!(made(&store, "2026-09", "2026-09-15T01:00:00Z", None).await, whole);
        assert_eq!(owed_at(&store, "2026-09-15T02:00:00Z").await.due_days, 0);
        confirm(&store, &whole, "2026-09-15T03:00:00Z").await;
        assert_eq!(owed_at(&store, "2026-09-15T04:00:00Z").await.due_days, 30);
        store.close().await;
    }

    #[tokio::test]
    async fn what_is_unreported_is_what_the_next_report_has() {
        let folder = tempfile::tempdir().unwrap();
        let store = seeded(&folder).await;
        let before = made(&store, "2026-04", "2026-04-15T00:00:00Z", None).await.as_of;
        disconnect(&store, [1, 2, 3], "2026-04-02T00:00:00Z").await;
        let three = made(&store, "2026-04", "2026-04-15T00:00:00Z", None).await;
        confirm(&store, &three, "2026-04-15T01:00:00Z").await;
        disconnect(&store, [4], "2026-04-20T00:00:00Z").await;
        assert_eq!(owed_at(&store, "2026-04-20T00:00:00Z").await.numbers, 1);
        // The last one of a month stands for the month.
        let empty = made(&store, "2026-04", "2026-04-20T00:00:00Z", Some(before)).await;
        assert_eq!(empty.shown["counts"]["rows"], 0);
        confirm(&store, &empty, "2026-04-20T01:00:00Z").await;
        let owed = owed_at(&store, "2026-05-15T00:00:00Z").await;
        let next = made(&store, "2026-05", "2026-05-15T00:00:00Z", None).await;
        assert_eq!((json!(owed.numbers), owed.oldest_days), (next.shown["counts"]["rows"].clone(), 43));
        assert_eq!(owed.numbers, 4);
        store.close().await;
    }
}
