//! Imports of numbers and exchanges from an operator, some lines at a time.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::Premises;
use onhook_core::audit::deed::Deed;
use onhook_core::ids::{AccountId, EventSeq};
use onhook_core::import::{Intake, NewNumber};
use onhook_core::job::{Kind, State as JobState};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::locality::Exchange;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use rusqlite::Connection;
use serde_json::Value;

use super::accounts::account_with_premises;
use super::batch::{apply_numbers, with_areas};
use super::deeds::write_deed;
use super::entries::{NUMBER_COLUMNS, NumberRow, history, number_rows};
use super::exchanges::{exchange_of, put_exchange};
use super::jobs::{next_job, note};
use super::leases::must_last;
use super::once::once;
use super::open::SqliteStore;
use super::row::{limit, list};
use super::spool::{self, blocking};
use super::tables::Tables;
use crate::contract::imports::{Imported, Imports, Line, Lines, Looked, Piece};
use crate::contract::jobs::{Job, JobId, Noted};
use crate::contract::leases::LeaseToken;
use crate::contract::once::Once;
use crate::error::corrupt;
use crate::plan::imports::{Import, Loaded, area};
use crate::{Result, StoreError};

/// Lines that are loaded, planned and written together.
const LINES: usize = 1_000;

fn import(
    tables: &mut Tables<'_>,
    lines: Lines,
    intake: &Intake,
    now: Timestamp,
    policy: &Policy,
) -> Result<Imported> {
    let event = tables.cached.next_events(1);
    let mut import = Import::new(now, intake.past_releases);
    let mut known = Background::default();
    let mut some = Vec::with_capacity(LINES);
    for line in lines {
        some.push(line);
        if some.len() == LINES {
            take(tables, &mut import, std::mem::take(&mut some), &mut known, (event, policy))?;
        }
    }
    take(tables, &mut import, some, &mut known, (event, policy))?;
    let deed = import.deed(intake);
    let imported = import.imported;
    if imported.bad.count() > 0 && !intake.partial {
        return Err(StoreError::Import(imported.bad));
    }
    write_deed(tables, event, &deed)?;
    Ok(imported)
}

/// What the lines of an import share, each read once.
#[derive(Default)]
struct Background {
    premises: HashMap<AccountId, Premises>,
    exchanges: HashMap<u32, Exchange>,
    looked_up: (HashSet<AccountId>, HashSet<u32>),
}

/// Loads what some lines need, asks the plan, and writes what it says.
fn take(
    tables: &mut Tables<'_>,
    import: &mut Import,
    lines: Vec<Line>,
    background: &mut Background,
    (event, policy): (EventSeq, &Policy),
) -> Result<()> {
    let Background { premises, exchanges, looked_up } = background;
    let readable = || lines.iter().filter_map(|(_, new)| new.as_ref().ok());
    for new in readable() {
        if let Some(account) = new.holder().filter(|account| looked_up.0.insert(*account)) {
            let home = account_with_premises(tables.connection, account)?;
            let open = home.filter(|(account, _)| !account.is_closed());
            premises.extend(open.map(|(_, theirs)| (account, theirs)));
        }
        if let Some(npa_nxx) = new.number.npa_nxx().filter(|npa_nxx| looked_up.1.insert(*npa_nxx)) {
            exchanges.extend(exchange_of(tables.connection, npa_nxx)?.map(|exchange| (npa_nxx, exchange)));
        }
    }
    let rows = number_rows(tables.connection, readable().map(|new| new.number).collect())?;
    let gone = gone(tables.connection, &rows)?;
    let mut there = with_areas(tables, rows.into_iter().map(NumberRow::known).collect());
    let mut area_ids = Vec::with_capacity(lines.len());
    for new in readable() {
        let id = tables.cached.areas.id_of(tables.connection, area(new, exchanges))?;
        let area = tables.cached.areas.by_id.get(&id).ok_or_else(|| corrupt("an area is missing"))?;
        there.areas.entry(id).or_insert_with(|| area.clone());
        area_ids.push(id);
    }
    let writes = import.plan(lines, Loaded { there, gone, premises, area_ids }, policy);
    let mut insert = tables.connection.prepare_cached(&format!(
        "INSERT INTO number ({NUMBER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ))?;
    for entry in writes.new {
        insert.execute(NumberRow { entry, last_event: event, untouched: true }.values())?;
    }
    drop(insert);
    apply_numbers(tables, writes.numbers)?;
    Ok(())
}

/// Returns the histories of those of the numbers that have left.
fn gone(connection: &Connection, numbers: &[NumberRow]) -> Result<HashMap<Number, History>> {
    let gone = numbers.iter().filter(|row| row.entry.state() == State::Removed);
    gone.map(|row| Ok((row.entry.number, history(connection, row)?))).collect()
}

fn look_up(connection: &Connection, numbers: &[NewNumber]) -> Result<Looked> {
    let mut looked = Looked::default();
    let rows = number_rows(connection, numbers.iter().map(|new| new.number).collect())?;
    looked.gone = gone(connection, &rows)?;
    looked.there = rows.into_iter().map(|row| (row.entry.number, row.entry)).collect();
    let holders: HashSet<AccountId> = numbers.iter().filter_map(NewNumber::holder).collect();
    for account in holders {
        let home = account_with_premises(connection, account)?;
        looked.premises.extend(home.map(|(_, theirs)| (account, theirs)));
    }
    Ok(looked)
}

fn note_bad_lines(
    tables: &mut Tables<'_>,
    lease: LeaseToken,
    job: JobId,
    bad: &[(u64, String)],
    noted: &Noted,
) -> Result<bool> {
    if !note(tables, lease, job, noted)? {
        return Ok(false);
    }
    let sql = "INSERT INTO bad_line (job, line, detail) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    let mut insert = tables.connection.prepare_cached(sql)?;
    for (line, detail) in bad {
        insert.execute((job.0, i64::try_from(*line).unwrap_or(i64::MAX), detail))?;
    }
    Ok(true)
}

fn begin_writing(
    tables: &mut Tables<'_>,
    lease: LeaseToken,
    job: JobId,
    deed: &Deed,
    mut found: Value,
) -> Result<Option<i64>> {
    let event = tables.cached.next_events(1);
    found["event"] = event.0.into();
    if !note(tables, lease, job, &Noted::new(JobState::Writing, found, deed.at))? {
        return Ok(None);
    }
    write_deed(tables, event, deed)?;
    Ok(Some(event.0))
}

fn write_piece(
    tables: &mut Tables<'_>,
    lease: LeaseToken,
    job: JobId,
    (piece, event): (Piece, EventSeq),
    noted: &Noted,
    policy: &Policy,
) -> Result<()> {
    if !note(tables, lease, job, noted)? {
        return Err(corrupt("an import that was being written has ended"));
    }
    match piece {
        Piece::Exchanges(exchanges) => {
            for exchange in &exchanges {
                put_exchange(tables, exchange)?;
            }
            tables.cached.back_orders.pool_grew();
        }
        Piece::Numbers(lines) => {
            // Its lines were checked when it began, and an aging number may be due since then.
            let mut import = Import::new(noted.at, true);
            let lines = lines.into_iter().map(|(line, new)| (line, Ok(new))).collect();
            take(tables, &mut import, lines, &mut Background::default(), (event, policy))?;
            tables.cached.saw(import.at());
            if import.imported.bad.count() > 0 {
                return Err(corrupt("a line that was good when it was checked is bad"));
            }
        }
    }
    Ok(())
}

#[async_trait]
impl Imports for SqliteStore {
    async fn import(
        &self,
        lines: Lines,
        intake: Intake,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Imported> {
        self.writer.write(move |tables| import(tables, lines, &intake, now, &policy)).await
    }

    async fn stage(&self, lease: LeaseToken, job: JobId, part: u32, bytes: Vec<u8>) -> Result<()> {
        self.readers.read(move |connection| must_last(connection, lease)).await?;
        let folder = self.folder.clone();
        blocking(move || spool::append(&folder, job, part, &bytes)).await
    }

    async fn staged(
        &self,
        lease: LeaseToken,
        job: JobId,
        found: Value,
        key: Option<Once<Option<Job>>>,
    ) -> Result<Option<Job>> {
        let folder = self.folder.clone();
        blocking(move || spool::sync(&folder, job)).await?;
        let noted = Noted::new(JobState::Checking, found, Timestamp::default());
        let work = move |tables: &mut Tables<'_>| {
            let goes_on = note(tables, lease, job, &noted)?;
            if goes_on { super::jobs::job(tables.connection, Kind::Import, job) } else { Ok(None) }
        };
        self.writer.write(move |tables| once(tables, key.as_ref(), work)).await
    }

    async fn staging(&self, job: JobId) -> Result<Box<dyn Read + Send>> {
        let folder = self.folder.clone();
        blocking(move || spool::open(&folder, job)).await
    }

    async fn tidy_staging(&self) -> Result<()> {
        let open = self.readers.read(|connection| next_job(connection, Kind::Import)).await?;
        let folder = self.folder.clone();
        blocking(move || spool::tidy(&folder, open.map(|job| job.id))).await
    }

    async fn look_up(&self, numbers: Vec<NewNumber>) -> Result<Looked> {
        self.readers.read(move |connection| look_up(connection, &numbers)).await
    }

    async fn forget_bad_lines(&self, lease: LeaseToken, job: JobId) -> Result<()> {
        let forget = move |tables: &mut Tables<'_>| {
            must_last(tables.connection, lease)?;
            tables.connection.prepare_cached("DELETE FROM bad_line WHERE job = ?")?.execute([job.0])?;
            Ok(())
        };
        self.writer.write_own(forget).await
    }

    async fn note_bad_lines(
        &self,
        lease: LeaseToken,
        job: JobId,
        bad: Vec<(u64, String)>,
        noted: Noted,
    ) -> Result<bool> {
        self.writer.write_own(move |tables| note_bad_lines(tables, lease, job, &bad, &noted)).await
    }

    async fn bad_lines(&self, job: JobId, after: u64, size: usize) -> Result<Vec<(u64, String)>> {
        let sql = "SELECT line, detail FROM bad_line WHERE job = ? AND line > ? ORDER BY line LIMIT ?";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.readers
            .read(move |connection| {
                let values = vec![job.0.into(), after.into(), limit(size)];
                list(connection, sql, values, |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)))
            })
            .await
    }

    async fn begin_writing(
        &self,
        lease: LeaseToken,
        job: JobId,
        deed: Deed,
        found: Value,
    ) -> Result<Option<i64>> {
        self.writer.write_own(move |tables| begin_writing(tables, lease, job, &deed, found)).await
    }

    async fn write_piece(
        &self,
        lease: LeaseToken,
        job: JobId,
        piece: Piece,
        event: i64,
        noted: Noted,
        policy: Arc<Policy>,
    ) -> Result<()> {
        let of = (piece, EventSeq(event));
        self.writer.write_own(move |tables| write_piece(tables, lease, job, of, &noted, &policy)).await
    }
}
