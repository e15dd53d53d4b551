//! Imports of numbers from an operator: one transaction, some lines at a time.
//!
//! An import may take minutes, and other nodes work meanwhile. So it locks what they share only at its end: accounts,
//! to see that their sites and peers still stand, and then the counts.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::account::Premises;
use onhook_core::audit::deed::Deed;
use onhook_core::ids::{AccountId, AreaId, EventSeq};
use onhook_core::import::{Intake, NewNumber};
use onhook_core::job::{Kind, State as JobState};
use onhook_core::lifecycle::area::{Area, AreaName};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::locality::Exchange;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use serde_json::Value;

use super::accounts::{accounts_with_premises, lock_accounts};
use super::areas::areas_named;
use super::batch::{Columns, apply_numbers, next_events, numbers_of};
use super::connect::{Connections, connection};
use super::deeds::write_deed;
use super::entries::{NumberRow, histories, lock_numbers, number_rows};
use super::exchanges::{exchanges_of, put_exchanges};
use super::jobs::note;
use super::leases::must_last;
use super::lines::Chunks;
use super::once::once;
use super::open::PostgresStore;
use super::row::{get, limit, time};
use super::statement::{execute, row, rows};
use super::transaction::{reading, transaction};
use crate::columns::NumberColumns;
use crate::contract::imports::{Imported, Imports, Line, Lines, Looked, Piece};
use crate::contract::jobs::{Job, JobId, Noted};
use crate::contract::leases::LeaseToken;
use crate::contract::once::Once;
use crate::error::corrupt;
use crate::plan::batch::NumberWrites;
use crate::plan::imports::{Import, Loaded, area};
use crate::{Result, StoreError};

/// Lines that are loaded, planned and written together.
const LINES: usize = 5_000;

async fn import(
    client: &Client,
    (lines, idle_max): (Lines, Duration),
    intake: &Intake,
    now: Timestamp,
    policy: &Policy,
) -> Result<Imported> {
    let event = next_events(client, 1).await?.pop().ok_or_else(|| corrupt("no number for an event"))?;
    let mut import = Import::new(now, intake.past_releases);
    let mut background = Background::default();
    let mut counted = NumberWrites::default();
    let mut chunks = Chunks::read(lines, LINES, idle_max);
    while let Some(some) = chunks.next(client).await? {
        background.learn(client, &some).await?;
        let loaded = load(client, &some, &background).await?;
        let writes = import.plan(some, loaded, policy);
        let mut columns = Columns::default();
        for entry in &writes.new {
            columns.push(&NumberColumns::of(entry, true), event, import.at());
        }
        columns.insert(client).await?;
        let NumberWrites { events, numbers, counts, pool_grew } = writes.numbers;
        apply_numbers(client, NumberWrites { events, numbers, ..NumberWrites::default() }).await?;
        counted.counts.append(counts);
        counted.counts.due.clear(); // this store keeps no such counts, and they may be as many as the lines
        counted.pool_grew |= pool_grew;
    }
    let (at, deed) = (import.at(), import.deed(intake));
    let imported = import.imported;
    if imported.bad.count() > 0 && !intake.partial {
        return Err(StoreError::Import(imported.bad));
    }
    write_deed(client, event, &deed).await?;
    if at > now {
        // A number that had left did so after `now`, by another clock. What was brought before it was seen is no earlier.
        let sql = "UPDATE number SET at = $1 WHERE last_event = $2 AND at < $1";
        execute(client, sql, &[&at.millis(), &event.0]).await?;
    }
    background.still_stands(client).await?;
    apply_numbers(client, counted).await?;
    Ok(imported)
}

fn readable(lines: &[Line]) -> impl Iterator<Item = &NewNumber> {
    lines.iter().filter_map(|(_, new)| new.as_ref().ok())
}

/// What the lines of an import share, each read once.
#[derive(Default)]
struct Background {
    premises: HashMap<AccountId, Premises>,
    exchanges: HashMap<u32, Exchange>,
    /// By the part of a name by which areas differ.
    areas: HashMap<AreaName, (AreaId, Area)>,
    looked_up: (HashSet<AccountId>, HashSet<u32>),
}

impl Background {
    /// Reads what some lines need, and makes their areas.
    async fn learn(&mut self, client: &Client, lines: &[Line]) -> Result<()> {
        let (accounts, npa_nxxs) = &mut self.looked_up;
        let accounts: Vec<AccountId> = readable(lines)
            .filter_map(NewNumber::holder)
            .filter(|account| accounts.insert(*account))
            .collect();
        let numbers: Vec<Number> = readable(lines)
            .map(|new| new.number)
            .filter(|number| number.npa_nxx().is_some_and(|npa_nxx| npa_nxxs.insert(npa_nxx)))
            .collect();
        let found = accounts_with_premises(client, &accounts).await?;
        let open = found.into_iter().filter(|(_, (account, _))| !account.is_closed());
        self.premises.extend(open.map(|(account, (_, theirs))| (account, theirs)));
        self.exchanges.extend(exchanges_of(client, &numbers).await?);
        let mut names: HashSet<AreaName> = readable(lines).map(|new| area(new, &self.exchanges)).collect();
        names.retain(|name| {
            let region = self.areas.get(&name.key()).map(|(_, area)| area.name.region());
            region.is_none_or(|region| region.is_none() && name.region().is_some())
        });
        let names: Vec<AreaName> = names.into_iter().collect();
        if !names.is_empty() {
            self.areas.extend(areas_named(client, &names).await?);
        }
        Ok(())
    }

    /// Locks the accounts of the lines.
    ///
    /// # Errors
    /// `Conflict` if a site or peer is gone that an account had when it was read.
    async fn still_stands(&self, client: &Client) -> Result<()> {
        let accounts: Vec<AccountId> = self.premises.keys().copied().collect();
        lock_accounts(client, &accounts).await?;
        let now = accounts_with_premises(client, &accounts).await?;
        for (account, was) in &self.premises {
            let still = now.get(account).is_some_and(|(account, is)| {
                !account.is_closed()
                    && was.sites.iter().all(|site| is.sites.iter().any(|other| other.id == site.id))
                    && was.peers.iter().all(|peer| {
                        is.peers.iter().any(|other| (other.id, other.site) == (peer.id, peer.site))
                    })
            });
            if !still {
                return Err(StoreError::Conflict(format!(
                    "nothing was imported: account {account} was closed meanwhile, or a site or peer of it deleted. Import again"
                )));
            }
        }
        Ok(())
    }
}

/// Returns whether a number has left.
fn left(row: &NumberRow) -> bool {
    row.entry.state() == State::Removed
}

/// Returns the histories of those of the numbers that have left.
async fn gone(client: &Client, numbers: &[NumberRow]) -> Result<HashMap<Number, History>> {
    let gone: Vec<NumberRow> = numbers.iter().filter(|row| left(row)).copied().collect();
    let histories = histories(client, &gone).await?;
    histories.into_iter().map(|(number, history)| Ok((number, history?))).collect()
}

/// Loads what the plan of some lines needs. Numbers that had left are locked: they may be taken back.
async fn load<'a>(client: &Client, lines: &[Line], background: &'a Background) -> Result<Loaded<'a>> {
    let numbers: Vec<Number> = readable(lines).map(|new| new.number).collect();
    let mut found = number_rows(client, &numbers).await?;
    let removed: Vec<Number> = found.iter().filter(|row| left(row)).map(|row| row.entry.number).collect();
    found.retain(|row| !left(row));
    let locked = lock_numbers(client, &removed).await?;
    let gone = gone(client, &locked).await?;
    found.extend(locked);
    let mut there = numbers_of(client, found).await?;
    let mut area_ids = Vec::with_capacity(lines.len());
    for new in readable(lines) {
        let known = background.areas.get(&area(new, &background.exchanges).key());
        let (id, area) = known.ok_or_else(|| corrupt("an area is missing"))?;
        there.areas.entry(*id).or_insert_with(|| area.clone());
        area_ids.push(*id);
    }
    Ok(Loaded { there, gone, premises: &background.premises, area_ids })
}

async fn look_up(client: &Client, numbers: &[NewNumber]) -> Result<Looked> {
    let digits: Vec<Number> = numbers.iter().map(|new| new.number).collect();
    let rows = number_rows(client, &digits).await?;
    let there = rows.iter().map(|row| (row.entry.number, row.entry)).collect();
    let gone = gone(client, &rows).await?;
    let holders: HashSet<AccountId> = numbers.iter().filter_map(NewNumber::holder).collect();
    let holders: Vec<AccountId> = holders.into_iter().collect();
    let homes = accounts_with_premises(client, &holders).await?;
    let premises = homes.into_iter().map(|(account, (_, theirs))| (account, theirs));
    Ok(Looked { there, gone, premises: premises.collect() })
}

async fn note_bad_lines(
    client: &Client,
    lease: LeaseToken,
    job: JobId,
    bad: &[(u64, String)],
    noted: &Noted,
) -> Result<bool> {
    if !note(client, lease, job, noted).await? {
        return Ok(false);
    }
    let lines: Vec<i64> = bad.iter().map(|(line, _)| i64::try_from(*line).unwrap_or(i64::MAX)).collect();
    let details: Vec<&str> = bad.iter().map(|(_, detail)| detail.as_str()).collect();
    let sql = "INSERT INTO bad_line (job, line, detail)
               SELECT $1, u.line, u.detail FROM unnest($2::bigint[], $3::text[]) AS u (line, detail)
               ON CONFLICT DO NOTHING";
    execute(client, sql, &[&job.0, &lines, &details]).await?;
    Ok(true)
}

async fn begin_writing(
    client: &Client,
    lease: LeaseToken,
    job: JobId,
    deed: &Deed,
    mut found: Value,
) -> Result<Option<i64>> {
    let event = next_events(client, 1).await?.pop().ok_or_else(|| corrupt("no number for an event"))?;
    found["event"] = event.0.into();
    if !note(client, lease, job, &Noted::new(JobState::Writing, found, deed.at)).await? {
        return Ok(None);
    }
    write_deed(client, event, deed).await?;
    Ok(Some(event.0))
}

async fn write_piece(
    client: &Client,
    lease: LeaseToken,
    job: JobId,
    (piece, event): (&Piece, EventSeq),
    noted: &Noted,
    policy: &Policy,
) -> Result<()> {
    if !note(client, lease, job, noted).await? {
        return Err(corrupt("an import that was being written has ended"));
    }
    let lines = match piece {
        Piece::Exchanges(exchanges) => {
            put_exchanges(client, exchanges).await?;
            execute(client, "UPDATE counter SET value = value + 1 WHERE name = 'pool_grown'", &[]).await?;
            return Ok(());
        }
        Piece::Numbers(lines) => lines,
    };
    // Its lines were checked when it began, and an aging number may be due since then.
    let mut import = Import::new(noted.at, true);
    let lines: Vec<Line> = lines.iter().map(|(line, new)| (*line, Ok(new.clone()))).collect();
    let mut background = Background::default();
    background.learn(client, &lines).await?;
    let loaded = load(client, &lines, &background).await?;
    let writes = import.plan(lines, loaded, policy);
    if import.imported.bad.count() > 0 {
        return Err(corrupt("a line that was good when it was checked is bad"));
    }
    // Its new numbers have the import's event, so they have its instant, too, and not that of the piece.
    let at = row(client, "SELECT at FROM event WHERE seq = $1", &[&event.0]).await?;
    let at = time(&at.ok_or_else(|| corrupt("an import that is being written has no event"))?, 0)?;
    let mut columns = Columns::default();
    for entry in &writes.new {
        columns.push(&NumberColumns::of(entry, true), event, at);
    }
    columns.insert(client).await?;
    background.still_stands(client).await?;
    apply_numbers(client, writes.numbers).await?;
    Ok(())
}

/// Writes a part of a file of an import. The first one begins the file anew.
pub(super) async fn write_part(client: &Client, job: JobId, part: u32, bytes: &Vec<u8>) -> Result<()> {
    if part == 0 {
        execute(client, "DELETE FROM import_part WHERE job = $1", &[&job.0]).await?;
    }
    let sql = "INSERT INTO import_part (job, part, bytes) VALUES ($1, $2, $3)
               ON CONFLICT (job, part) DO UPDATE SET bytes = excluded.bytes";
    execute(client, sql, &[&job.0, &i64::from(part), bytes]).await.map(drop)
}

/// A file of an import, read part after part from the database. Reading it blocks.
struct Parts {
    pool: Connections,
    runtime: tokio::runtime::Handle,
    job: JobId,
    next: i64,
    part: Vec<u8>,
    read: usize,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.read == self.part.len() {
            let next = async {
                let client = connection(&self.pool).await?.cancelling();
                let sql = "SELECT bytes FROM import_part WHERE job = $1 AND part = $2";
                let found = row(&client, sql, &[&self.job.0, &self.next]).await?;
                found.map_or(Ok(Vec::new()), |row| get::<Vec<u8>>(&row, 0))
            };
            let next: Result<Vec<u8>> = self.runtime.block_on(next);
            self.part = next.map_err(std::io::Error::other)?;
            self.next += 1;
            self.read = 0;
        }
        let given = buffer.len().min(self.part.len() - self.read);
        buffer[..given].copy_from_slice(&self.part[self.read..self.read + given]);
        self.read += given;
        Ok(given)
    }
}

#[async_trait]
impl Imports for PostgresStore {
    async fn import(
        &self,
        lines: Lines,
        intake: Intake,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Imported> {
        let tx = self.begin_import().await?;
        let done = import(&tx, (lines, self.idle_max), &intake, now, &policy).await;
        self.end_import(tx, done).await
    }

    async fn stage(&self, lease: LeaseToken, job: JobId, part: u32, bytes: Vec<u8>) -> Result<()> {
        transaction!(self, tx => {
            match must_last(&tx, lease).await {
                Ok(()) => write_part(&tx, job, part, &bytes).await,
                Err(error) => Err(error),
            }
        })
    }

    async fn staged(
        &self,
        lease: LeaseToken,
        job: JobId,
        found: Value,
        key: Option<Once<Option<Job>>>,
    ) -> Result<Option<Job>> {
        let noted = Noted::new(JobState::Checking, found, Timestamp::default());
        transaction!(self, tx => {
            let work = async {
                let goes_on = note(&tx, lease, job, &noted).await?;
                if goes_on { super::jobs::job(&tx, Kind::Import, job, false).await } else { Ok(None) }
            };
            once(&tx, key.as_ref(), work).await
        })
    }

    async fn staging(&self, job: JobId) -> Result<Box<dyn Read + Send>> {
        let (pool, runtime) = (self.pool.clone(), tokio::runtime::Handle::current());
        Ok(Box::new(Parts { pool, runtime, job, next: 0, part: Vec::new(), read: 0 }))
    }

    async fn tidy_staging(&self) -> Result<()> {
        let sql = "DELETE FROM import_part p
                   WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.id = p.job AND j.ended_at IS NULL)";
        transaction!(self, tx => execute(&tx, sql, &[]).await.map(|_| ()))
    }

    async fn look_up(&self, numbers: Vec<NewNumber>) -> Result<Looked> {
        reading!(self, client => look_up(&client, &numbers).await)
    }

    async fn forget_bad_lines(&self, lease: LeaseToken, job: JobId) -> Result<()> {
        transaction!(self, tx => {
            match must_last(&tx, lease).await {
                Ok(()) => execute(&tx, "DELETE FROM bad_line WHERE job = $1", &[&job.0]).await.map(|_| ()),
                Err(error) => Err(error),
            }
        })
    }

    async fn note_bad_lines(
        &self,
        lease: LeaseToken,
        job: JobId,
        bad: Vec<(u64, String)>,
        noted: Noted,
    ) -> Result<bool> {
        transaction!(self, tx => note_bad_lines(&tx, lease, job, &bad, &noted).await)
    }

    async fn bad_lines(&self, job: JobId, after: u64, size: usize) -> Result<Vec<(u64, String)>> {
        let sql = "SELECT line, detail FROM bad_line WHERE job = $1 AND line > $2 ORDER BY line LIMIT $3";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        reading!(self, client => {
            let found = rows(&client, sql, &[&job.0, &after, &limit(size)]).await;
            let read = |row: &tokio_postgres::Row| Ok((get::<i64>(row, 0)?.unsigned_abs(), get(row, 1)?));
            found.and_then(|found| found.iter().map(read).collect())
        })
    }

    async fn begin_writing(
        &self,
        lease: LeaseToken,
        job: JobId,
        deed: Deed,
        found: Value,
    ) -> Result<Option<i64>> {
        transaction!(self, tx => begin_writing(&tx, lease, job, &deed, found.clone()).await)
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
        let of = (&piece, EventSeq(event));
        transaction!(self, tx => write_piece(&tx, lease, job, of, &noted, &policy).await)
    }
}
