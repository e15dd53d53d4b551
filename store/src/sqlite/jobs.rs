//! Jobs, and how far they are.

use async_trait::async_trait;
use onhook_core::job::{Kind, MAKINGS_MAX, State};
use onhook_core::lifecycle::provenance::Author;
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::deeds::write_deeds;
use super::leases::must_last;
use super::once::once;
use super::open::SqliteStore;
use super::row::{limit, list, under, word};
use super::tables::Tables;
use super::writer::Purpose;
use crate::columns::UnderColumns;
use crate::contract::jobs::{Job, JobId, Jobs, NewJob, Noted, Taken};
use crate::contract::leases::LeaseToken;
use crate::contract::once::Once;
use crate::error::corrupt;
use crate::plan::jobs::answering;
use crate::{Result, StoreError};

/// The columns that [`read`] reads, in this order.
const COLUMNS: &str =
    "id, kind, state, made_at, ended_at, user, asked, found, credential, address, reason, NULL";

fn read(row: &Row<'_>) -> Result<Job> {
    Ok(Job {
        id: JobId(row.get(0)?),
        kind: word(&row.get::<_, String>(1)?)?,
        state: word(&row.get::<_, String>(2)?)?,
        made_at: Timestamp::from_millis(row.get(3)?),
        ended_at: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis),
        author: Author { user: row.get(5)?, under: under(row, 8)? },
        asked: serde_json::from_str(&row.get::<_, String>(6)?)?,
        found: serde_json::from_str(&row.get::<_, String>(7)?)?,
    })
}

/// Returns the job of a kind with this id.
pub(super) fn job(connection: &Connection, kind: Kind, id: JobId) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE id = ? AND kind = ?");
    let values = vec![Value::Integer(id.0), Value::Text(kind.word().to_owned())];
    Ok(list(connection, &sql, values, read)?.pop())
}

/// Returns the oldest job of a kind that has not ended.
pub(super) fn next_job(connection: &Connection, kind: Kind) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE kind = ? AND ended_at IS NULL ORDER BY id LIMIT 1");
    Ok(list(connection, &sql, vec![Value::Text(kind.word().to_owned())], read)?.pop())
}

fn jobs(connection: &Connection, kind: Kind, before: Option<JobId>, size: usize) -> Result<Vec<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE kind = ? AND id < ? ORDER BY id DESC LIMIT ?");
    let before = before.map_or(i64::MAX, |before| before.0);
    let values = vec![Value::Text(kind.word().to_owned()), Value::Integer(before), limit(size)];
    list(connection, &sql, values, read)
}

/// Forgets the oldest makings of reports that have ended, but for so many.
fn forget_makings(tables: &Tables<'_>) -> Result<()> {
    let sql = "DELETE FROM job WHERE kind = ?1 AND ended_at IS NOT NULL AND id <=
               (SELECT id FROM job WHERE kind = ?1 AND ended_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    let kept = i64::try_from(MAKINGS_MAX).unwrap_or(i64::MAX);
    tables.connection.prepare_cached(sql)?.execute((Kind::Report.word(), kept))?;
    Ok(())
}

fn add(tables: &Tables<'_>, new: NewJob, now: Timestamp) -> Result<Taken> {
    if new.kind == Kind::Report {
        forget_makings(tables)?;
        let makings = jobs(tables.connection, new.kind, None, usize::MAX)?;
        if let Some(making) = answering(&new, now, makings) {
            return Ok(Ok(making));
        }
    }
    let NewJob { kind, author, asked } = new;
    let open: u32 = tables
        .connection
        .prepare_cached("SELECT count(*) FROM job WHERE kind = ? AND ended_at IS NULL")?
        .query_row([kind.word()], |row| row.get(0))?;
    if let Err(why) = kind.may_take(usize::try_from(open).unwrap_or(usize::MAX)) {
        return Ok(Err(why));
    }
    let UnderColumns { credential, address, reason, .. } = UnderColumns::of(&author.under);
    let sql = "INSERT INTO job (kind, state, made_at, user, credential, address, reason, asked, found)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'null') RETURNING id";
    let values = (
        kind.word(),
        kind.first().word(),
        now.millis(),
        &author.user,
        credential,
        address,
        reason,
        asked.to_string(),
    );
    let id = tables.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    let made = job(tables.connection, kind, JobId(id))?;
    made.map(Ok).ok_or_else(|| corrupt("a job that was made is missing"))
}

/// Notes how far a job is, under a lease.
pub(super) fn note(tables: &mut Tables<'_>, lease: LeaseToken, id: JobId, noted: &Noted) -> Result<bool> {
    must_last(tables.connection, lease)?;
    let sql = "SELECT state FROM job WHERE id = ?";
    let state: String = tables.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0))?;
    let state: State = word(&state)?;
    if !state.leads_to(noted.state) {
        return Ok(false);
    }
    put(tables, id, noted)?;
    write_deeds(tables, noted.deed.as_slice())?;
    Ok(true)
}

fn put(tables: &Tables<'_>, id: JobId, noted: &Noted) -> Result<()> {
    let Noted { state, found, at, .. } = noted;
    let ended_at = state.is_final().then(|| at.millis());
    let sql = "UPDATE job SET state = ?, found = ?, ended_at = ? WHERE id = ?";
    let values = (state.word(), found.to_string(), ended_at, id.0);
    tables.connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn tell(tables: &Tables<'_>, kind: Kind, id: JobId) -> Result<Option<Job>> {
    let Some(mut job) = job(tables.connection, kind, id)? else { return Ok(None) };
    job.found = job.found_told();
    let sql = "UPDATE job SET found = ? WHERE id = ?";
    tables.connection.prepare_cached(sql)?.execute((job.found.to_string(), id.0))?;
    Ok(Some(job))
}

fn cancel(tables: &Tables<'_>, kind: Kind, id: JobId, now: Timestamp) -> Result<Option<(Job, bool)>> {
    let Some(mut job) = job(tables.connection, kind, id)? else { return Ok(None) };
    if !job.state.may_be_cancelled() {
        return Ok(Some((job, false)));
    }
    job.state = State::Cancelled;
    job.ended_at = Some(now);
    put(tables, id, &Noted::new(job.state, job.found.clone(), now))?;
    Ok(Some((job, true)))
}

/// Refuses a removal while an import is under way: its lines were checked against the accounts, sites and peers that there
/// are.
pub(super) fn no_import(tables: &Tables<'_>) -> Result<()> {
    match next_job(tables.connection, Kind::Import)? {
        Some(_) => Err(StoreError::import_runs()),
        None => Ok(()),
    }
}

#[async_trait]
impl Jobs for SqliteStore {
    async fn add_job(&self, new: NewJob, key: Option<Once<Taken>>, now: Timestamp) -> Result<Taken> {
        self.writer.write(move |tables| once(tables, key.as_ref(), |tables| add(tables, new, now))).await
    }

    async fn job(&self, kind: Kind, id: JobId) -> Result<Option<Job>> {
        self.readers.read(move |connection| job(connection, kind, id)).await
    }

    async fn jobs(&self, kind: Kind, before: Option<JobId>, size: usize) -> Result<Vec<Job>> {
        self.readers.read(move |connection| jobs(connection, kind, before, size)).await
    }

    async fn next_job(&self, kind: Kind) -> Result<Option<Job>> {
        self.readers.read(move |connection| next_job(connection, kind)).await
    }

    async fn note_job(&self, lease: LeaseToken, id: JobId, noted: Noted) -> Result<bool> {
        self.writer.write_together(Purpose::Own, move |tables| note(tables, lease, id, &noted)).await
    }

    async fn tell_job(&self, kind: Kind, id: JobId, key: Option<Once<Option<Job>>>) -> Result<Option<Job>> {
        self.writer.write(move |tables| once(tables, key.as_ref(), |tables| tell(tables, kind, id))).await
    }

    async fn cancel_job(&self, kind: Kind, id: JobId, now: Timestamp) -> Result<Option<(Job, bool)>> {
        self.writer.write(move |tables| cancel(tables, kind, id, now)).await
    }
}
