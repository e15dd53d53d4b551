//! Reports to the Reassigned Numbers Database: which reports a new one knows, its rows, its files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onhook_core::area_codes;
use onhook_core::audit::digest::Digest;
use onhook_core::ids::{AccountId, EventSeq};
use onhook_core::number::Number;
use onhook_core::report::months::Month;
use onhook_core::report::rnd::{
    Filing, HandedIn, Judged, LeftOut, departures, due_days, earlier, is_reported, judge,
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
        earlier: Vec::new(),
    })
}

/// Returns confirmed reports as `core` judges by them, each with those that it knows.
async fn filings(store: &dyn Store, confirmed: &[Report]) -> Result<(Vec<Filing>, Vec<HandedIn>)> {
    let noted: Vec<EventSeq> = confirmed.iter().filter_map(|report| Some(report.confirmed?.event)).collect();
    let positions = audit::positions(store, noted).await?;
    let mut all: Vec<(&Report, HandedIn)> = confirmed
        .iter()
        .filter_map(|report| {
            // What has no position yet is behind every report that was made.
            let noted = positions.get(&report.confirmed?.event).copied().unwrap_or(u64::MAX);
            Some((report, HandedIn { period: report.period?, as_of: report.as_of, noted }))
        })
        .collect();
    // What a report knows was handed in before it was made.
    all.sort_by_key(|(_, handed_in)| (handed_in.as_of, handed_in.period));
    let handed_in: Vec<HandedIn> = all.iter().map(|(_, handed_in)| *handed_in).collect();
    let mut filings = Vec::with_capacity(all.len());
    for (place, (report, of)) in all.iter().enumerate() {
        let known = audit::known(store, of.as_of).await?;
        let mut filing = filing(&made_with(report)?, of.period, known, report.made_at)?;
        filing.earlier = earlier(&handed_in[..place], of.period, of.as_of);
        filings.push(filing);
    }
    Ok((filings, handed_in))
}

/// Returns a report with all that it knows, as `core` judges by them: it is the last one.
async fn knowing(
    store: &dyn Store,
    company: &str,
    with: &MadeWith,
    (period, as_of, made_at): (Month, u64, Timestamp),
) -> Result<Knowing> {
    let mut confirmed = store.confirmed_reports(Some(company.to_owned())).await?;
    confirmed.retain(|report| report.period.is_some_and(|earlier| earlier < period) && report.as_of <= as_of);
    let (mut filings, handed_in) = filings(store, &confirmed).await?;
    let mut own = filing(with, period, audit::known(store, as_of).await?, made_at)?;
    own.earlier = earlier(&handed_in, period, as_of);
    filings.push(own);
    Ok(Knowing { filings, as_of, at_leisure: false, progress: None })
}

/// Reports as `core` judges by them: the last one, which is as of this position, after all that it may know.
struct Knowing {
    filings: Vec<Filing>,
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
        let mut known: Vec<&mut Known> = self.filings.iter_mut().map(|filing| &mut filing.known).collect();
        walk.page(&mut known).await
    }
}

fn judged(life: &Life, filings: &[Filing]) -> Result<Judged> {
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
    };
    let mut knowing = knowing(store, company, &with, (*period, *as_of, *now)).await?;
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
    let id = format!("rnd-{period}-{company}-{}", known_by(&hashes));
    let named = files.iter().zip(&hashes);
    let files: Vec<Value> =
        named.map(|(file, hash)| json!({ "name": file.name, "rows": file.rows, "sha256": hash })).collect();
    let why: BTreeMap<&str, u64> = left_out.iter().map(|(why, count)| (why.word(), *count)).collect();
    let shown = json!({
        "cutoff": period.day(form.cutoff_day).to_string(),
        "counts": { "rows": rows, "left_out": left_out.values().sum::<u64>(), "left_out_by_reason": why },
        "files": files,
        "form": if *form == Form::default() { UNVERIFIED } else { "configured" },
        "nothing_to_report": rows == 0,
        "npa_table": with.npa_table,
    });
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
/// others.
pub(crate) fn renews(new: &Report, old: &Report) -> bool {
    old.confirmed.is_none() && new.as_of > old.as_of && new.made_with["left_out"] != old.made_with["left_out"]
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
    Ok(made_with(report)?.sizes.get(place).copied().unwrap_or_default())
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
    /// How many days are left until the next report is due, negative if it is late.
    pub(crate) due_days: i64,
}

/// Returns how much is still to be reported at `now`. It reads every number, with rests, so that it takes a fiftieth of the
/// time for itself.
pub(crate) async fn owed(store: &dyn Store, zone: &TimeZone, now: Timestamp) -> Result<Owed> {
    let confirmed = store.confirmed_reports(None).await?;
    let as_of = store.head().await?.map_or(0, |head| head.last);
    let (mut all, handed_in) = filings(store, &confirmed).await?;
    let today = now.date_in(zone);
    let of_month = |month| handed_in.iter().any(|report| report.period == month);
    let mut owed = Owed { due_days: due_days(today, of_month), ..Owed::default() };
    all.push(Filing {
        after: Date::MIN,
        through: today,
        known: audit::known(store, as_of).await?,
        made_at: now,
        zone: zone.clone(),
        other_reporters: other_reporters(store, as_of).await?,
        npa_table: area_codes::VERSION.to_owned(),
        earlier: (0..all.len()).collect(),
    });
    let mut oldest: Option<Date> = None;
    tell(store, &mut Knowing { filings: all, as_of, at_leisure: true, progress: None }, ALL.0, |told| {
        if let Told::Row(_, date) = told {
            owed.numbers += 1;
            oldest = Some(oldest.map_or(date, |oldest| oldest.min(date)));
        }
        true
    })
    .await?;
    owed.oldest_days =
        oldest.and_then(|oldest| today.since(oldest).ok()).map_or(0, |span| i64::from(span.get_days()));
    Ok(owed)
}

/// Numbers whose details are read together.
const FACTS: usize = 500;

/// Returns those of some numbers whose last disconnect stands in a report that was handed in.
pub(crate) async fn reported(store: &dyn Store, numbers: &[Number]) -> Result<Vec<Number>> {
    let mut by_company: BTreeMap<Option<String>, Vec<Report>> = BTreeMap::new();
    for report in store.confirmed_reports(None).await? {
        by_company.entry(report.company.clone()).or_default().push(report);
    }
    let mut all = Vec::with_capacity(by_company.len());
    for reports in by_company.values() {
        all.push(filings(store, reports).await?.0);
    }
    let mut found = Vec::new();
    if all.is_empty() {
        return Ok(found);
    }
    for some in numbers.chunks(FACTS) {
        for facts in store.facts_of(some.to_vec()).await? {
            let (number, history) = (facts.entry.number, &facts.history);
            let Some(first) = history.events.first() else { continue };
            let departures = departures(history, first.prev).map_err(impossible)?;
            if all.iter().any(|filings| is_reported(number, &departures, filings)) {
                found.push(number);
            }
        }
    }
    Ok(found)
}
