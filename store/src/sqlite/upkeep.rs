//! The totals, the clock, and the store's health.

use async_trait::async_trait;
use onhook_core::clock::Seen;
use onhook_core::lifecycle::diagram::State;
use onhook_core::time::Timestamp;
use rusqlite::Connection;

use super::cached::{last_at, run_to};
use super::check::engine;
use super::mutex::lock;
use super::open::SqliteStore;
use super::row::{self, list};
use super::tables::Tables;
use crate::Result;
use crate::audit::verified;
use crate::checking::check;
use crate::codes::state_of;
use crate::contract::upkeep::{Dues, Report, Totals, Upkeep, Watch, Writes};

fn remember_clock(tables: &mut Tables<'_>, seen: Seen, moved_ms: i64) -> Result<()> {
    row::set_meta(tables.connection, "last_seen", seen.last.millis())?;
    row::set_meta(tables.connection, "unseen_ms", seen.unseen_ms)?;
    row::set_meta(tables.connection, "clock_moved_ms", moved_ms)
}

fn totals(connection: &Connection, now: Timestamp) -> Result<Totals> {
    let sql = "SELECT state, sum(numbers) FROM tally GROUP BY state ORDER BY state";
    let by_state = list(connection, sql, Vec::new(), |row| {
        Ok((state_of(row.get(0)?)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })?;
    let (waiting, oldest): (i64, Option<i64>) = connection
        .prepare_cached(
            "WITH waiting AS (SELECT seq, created_at FROM orders WHERE seq > ? AND status = 0)
             SELECT (SELECT count(*) FROM waiting), (SELECT created_at FROM waiting ORDER BY seq LIMIT 1)",
        )?
        .query_row([run_to(connection)?.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let due: i64 = connection
        .prepare_cached("SELECT coalesce(sum(numbers), 0) FROM due WHERE due_at <= ?")?
        .query_row([now.millis()], |row| row.get(0))?;
    let plans: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM plan WHERE state = 0 AND two_persons = 1 AND approved = 0 AND expires_at > ?",
        )?
        .query_row([now.millis()], |row| row.get(0))?;
    let missing = State::ALL.iter().filter(|s| !by_state.iter().any(|(has, _)| has == *s));
    let mut by_state: Vec<_> = by_state.iter().copied().chain(missing.map(|s| (*s, 0))).collect();
    by_state.sort_by_key(|(state, _)| *state);
    Ok(Totals {
        by_state,
        waiting: waiting.unsigned_abs(),
        oldest_waiting: oldest.map(Timestamp::from_millis),
        due: due.unsigned_abs(),
        plans_waiting: plans.unsigned_abs(),
    })
}

fn deliveries_waiting(connection: &Connection) -> Result<u64> {
    let sql = "SELECT count(*) FROM notification WHERE standing = 0";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

fn kept(connection: &Connection, now: Timestamp) -> Result<u64> {
    let kept: i64 = connection
        .prepare_cached("SELECT count(*) FROM number WHERE release_at <= ?1 AND due_at > ?1")?
        .query_row([now.millis()], |row| row.get(0))?;
    Ok(kept.unsigned_abs())
}

fn dues(connection: &Connection) -> Result<Dues> {
    let first = |sql: &str| -> Result<Option<Timestamp>> {
        let at: Option<i64> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(at.map(Timestamp::from_millis))
    };
    Ok(Dues {
        number: first("SELECT min(due_at) FROM due")?,
        subscription: first(
            "SELECT min(expires_at) FROM subscription WHERE over = 0 AND expires_at IS NOT NULL",
        )?,
        delivery: first("SELECT min(due_at) FROM notification WHERE standing = 0")?,
    })
}

fn clock(connection: &Connection) -> Result<(Option<Seen>, i64)> {
    let last = match row::meta(connection, "last_seen")?.map(Timestamp::from_millis) {
        Some(last) => Some(last),
        None => last_at(connection)?,
    };
    let unseen_ms = row::meta(connection, "unseen_ms")?.unwrap_or(0);
    let seen = last.map(|last| Seen { last, unseen_ms });
    Ok((seen, row::meta(connection, "clock_moved_ms")?.unwrap_or(0)))
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn check_watched(&self, deep: bool, watch: Watch) -> Result<Report> {
        let first = self.readers.read(move |connection| engine(connection, deep)).await?;
        let broken = !first.is_empty();
        let report = check(self, (deep, true), first, &watch).await?;
        if deep && !broken { verified(self, report).await } else { Ok(report) }
    }

    async fn check_beside(&self, deep: bool, watch: Watch) -> Result<Report> {
        let report = check(self, (deep, false), Vec::new(), &watch).await?;
        if deep { verified(self, report).await } else { Ok(report) }
    }

    async fn totals(&self, now: Timestamp) -> Result<Totals> {
        self.readers.read(move |connection| totals(connection, now)).await
    }

    async fn deliveries_waiting(&self) -> Result<u64> {
        self.readers.read(deliveries_waiting).await
    }

    fn writes(&self) -> Writes {
        let (queue, failed) = (self.writer.queued(), self.writer.health().failed());
        Writes { queue, failed, restarted: Vec::new() }
    }

    async fn dues(&self) -> Result<Dues> {
        self.readers.read(dues).await
    }

    async fn kept(&self, now: Timestamp) -> Result<u64> {
        self.readers.read(move |connection| kept(connection, now)).await
    }

    async fn remember_clock(&self, seen: Seen, moved_ms: i64) -> Result<()> {
        self.writer.write_own(move |tables| remember_clock(tables, seen, moved_ms)).await
    }

    async fn clock(&self) -> Result<(Option<Seen>, i64)> {
        self.readers.read(clock).await
    }

    fn healthy(&self) -> Result<()> {
        self.writer.health().get()
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close();
        if let Some(file) = lock(&self.lock).take() {
            // Closing the file is not enough: a process that is being spawned also has it until it executes.
            let _ = file.unlock();
        }
    }
}
