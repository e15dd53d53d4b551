//! Jobs, and how far they are.

use super::client::Client;
use async_trait::async_trait;
use onhook_core::job::{Kind, MAKINGS_MAX, State};
use onhook_core::lifecycle::provenance::Author;
use onhook_core::time::Timestamp;
use tokio_postgres::Row;

use super::deeds::write_deeds;
use super::leases::must_last;
use super::once::once;
use super::open::PostgresStore;
use super::row::{get, limit, time, time_or, under, word};
use super::statement::{execute, row, rows};
use super::transaction::{reading, transaction};
use crate::columns::UnderColumns;
use crate::contract::jobs::{Job, JobId, Jobs, NewJob, Noted, Taken};
use crate::contract::leases::LeaseToken;
use crate::contract::once::Once;
use crate::error::corrupt;
use crate::plan::jobs::answering;
use crate::{Result, StoreError};

/// The columns that [`read`] reads, in this order.
const COLUMNS: &str = "id, kind, state, made_at, ended_at, user_name, asked, found, credential, address, reason, \
                       NULL::uuid";

fn read(row: &Row) -> Result<Job> {
    Ok(Job {
        id: JobId(get(row, 0)?),
        kind: word(row, 1)?,
        state: word(row, 2)?,
        made_at: time(row, 3)?,
        ended_at: time_or(row, 4)?,
        author: Author { user: get(row, 5)?, under: under(row, 8)? },
        asked: serde_json::from_str(get(row, 6)?)?,
        found: serde_json::from_str(get(row, 7)?)?,
    })
}

/// Returns the job of a kind with this id. With `lock`, nobody else changes it until the transaction ends.
pub(super) async fn job(client: &Client, kind: Kind, id: JobId, lock: bool) -> Result<Option<Job>> {
    let lock = if lock { "FOR UPDATE" } else { "" };
    let sql = format!("SELECT {COLUMNS} FROM job WHERE id = $1 AND kind = $2 {lock}");
    row(client, &sql, &[&id.0, &kind.word()]).await?.as_ref().map(read).transpose()
}

/// Returns the oldest job of a kind that has not ended.
pub(super) async fn next_job(client: &Client, kind: Kind) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE kind = $1 AND ended_at IS NULL ORDER BY id LIMIT 1");
    row(client, &sql, &[&kind.word()]).await?.as_ref().map(read).transpose()
}

async fn jobs(client: &Client, kind: Kind, before: Option<JobId>, size: usize) -> Result<Vec<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE kind = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    let (before, size) = (before.map_or(i64::MAX, |before| before.0), limit(size));
    rows(client, &sql, &[&kind.word(), &before, &size]).await?.iter().map(read).collect()
}

/// Forgets the oldest makings of reports that have ended, but for so many.
async fn forget_makings(client: &Client) -> Result<()> {
    let sql = "DELETE FROM job WHERE kind = $1 AND ended_at IS NOT NULL AND id <=
               (SELECT id FROM job WHERE kind = $1 AND ended_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET $2)";
    execute(client, sql, &[&Kind::Report.word(), &limit(MAKINGS_MAX)]).await?;
    Ok(())
}

async fn add(client: &Client, new: &NewJob, now: Timestamp) -> Result<Taken> {
    execute(client, "SELECT 1 FROM counter WHERE name = 'jobs' FOR UPDATE", &[]).await?;
    if new.kind == Kind::Report {
        forget_makings(client).await?;
        let makings = jobs(client, new.kind, None, usize::MAX).await?;
        if let Some(making) = answering(new, now, makings) {
            return Ok(Ok(making));
        }
    }
    let NewJob { kind, author, asked } = new;
    let sql = "SELECT count(*) FROM job WHERE kind = $1 AND ended_at IS NULL";
    let open = row(client, sql, &[&kind.word()]).await?.map_or(Ok(0), |row| get::<i64>(&row, 0))?;
    if let Err(why) = kind.may_take(usize::try_from(open).unwrap_or(usize::MAX)) {
        return Ok(Err(why));
    }
    let UnderColumns { credential, address, reason, .. } = UnderColumns::of(&author.under);
    let sql = format!(
        "INSERT INTO job (kind, state, made_at, user_name, credential, address, reason, asked, found)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'null') RETURNING {COLUMNS}"
    );
    let made = row(
        client,
        &sql,
        &[
            &kind.word(),
            &kind.first().word(),
            &now.millis(),
            &author.user,
            &credential.map(i64::from),
            &address,
            &reason,
            &asked.to_string(),
        ],
    )
    .await?;
    let made = made.as_ref().map(read).transpose()?;
    made.map(Ok).ok_or_else(|| corrupt("a job that was made is missing"))
}

/// Notes how far a job is, under a lease.
pub(super) async fn note(client: &Client, lease: LeaseToken, id: JobId, noted: &Noted) -> Result<bool> {
    must_last(client, lease).await?;
    let found = row(client, "SELECT state FROM job WHERE id = $1 FOR UPDATE", &[&id.0]).await?;
    let state: State = word(&found.ok_or_else(|| corrupt("a job is missing"))?, 0)?;
    if !state.leads_to(noted.state) {
        return Ok(false);
    }
    put(client, id, noted).await?;
    write_deeds(client, noted.deed.as_slice()).await?;
    Ok(true)
}

async fn put(client: &Client, id: JobId, noted: &Noted) -> Result<()> {
    let Noted { state, found, at, .. } = noted;
    let ended_at = state.is_final().then(|| at.millis());
    let sql = "UPDATE job SET state = $1, found = $2, ended_at = $3 WHERE id = $4";
    execute(client, sql, &[&state.word(), &found.to_string(), &ended_at, &id.0]).await?;
    Ok(())
}

async fn tell(client: &Client, kind: Kind, id: JobId) -> Result<Option<Job>> {
    let Some(mut job) = job(client, kind, id, true).await? else { return Ok(None) };
    job.found = job.found_told();
    execute(client, "UPDATE job SET found = $1 WHERE id = $2", &[&job.found.to_string(), &id.0]).await?;
    Ok(Some(job))
}

async fn cancel(client: &Client, kind: Kind, id: JobId, now: Timestamp) -> Result<Option<(Job, bool)>> {
    let Some(mut job) = job(client, kind, id, true).await? else { return Ok(None) };
    if !job.state.may_be_cancelled() {
        return Ok(Some((job, false)));
    }
    job.state = State::Cancelled;
    job.ended_at = Some(now);
    put(client, id, &Noted::new(job.state, job.found.clone(), now)).await?;
    Ok(Some((job, true)))
}

/// Refuses a removal while an import is under way: its lines were checked against the accounts, sites and peers that there
/// are.
pub(super) async fn no_import(client: &Client) -> Result<()> {
    match next_job(client, Kind::Import).await? {
        Some(_) => Err(StoreError::import_runs()),
        None => Ok(()),
    }
}

#[async_trait]
impl Jobs for PostgresStore {
    async fn add_job(&self, new: NewJob, key: Option<Once<Taken>>, now: Timestamp) -> Result<Taken> {
        transaction!(self, tx => once(&tx, key.as_ref(), add(&tx, &new, now)).await)
    }

    async fn job(&self, kind: Kind, id: JobId) -> Result<Option<Job>> {
        reading!(self, client => job(&client, kind, id, false).await)
    }

    async fn jobs(&self, kind: Kind, before: Option<JobId>, size: usize) -> Result<Vec<Job>> {
        reading!(self, client => jobs(&client, kind, before, size).await)
    }

    async fn next_job(&self, kind: Kind) -> Result<Option<Job>> {
        reading!(self, client => next_job(&client, kind).await)
    }

    async fn note_job(&self, lease: LeaseToken, id: JobId, noted: Noted) -> Result<bool> {
        transaction!(self, tx => note(&tx, lease, id, &noted).await)
    }

    async fn tell_job(&self, kind: Kind, id: JobId, key: Option<Once<Option<Job>>>) -> Result<Option<Job>> {
        transaction!(self, tx => once(&tx, key.as_ref(), tell(&tx, kind, id)).await)
    }

    async fn cancel_job(&self, kind: Kind, id: JobId, now: Timestamp) -> Result<Option<(Job, bool)>> {
        transaction!(self, tx => cancel(&tx, kind, id, now).await)
    }
}
