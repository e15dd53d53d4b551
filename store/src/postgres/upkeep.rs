//! The totals, the clock, and the store's health.

use std::sync::PoisonError;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::clock::Seen;
use onhook_core::lifecycle::diagram::State;
use onhook_core::time::Timestamp;

use super::counters::{counter, set_counter};
use super::open::PostgresStore;
use super::row::{get, small, time_or};
use super::statement::{Value, row, rows};
use super::transaction::{reading, transaction};
use crate::Result;
use crate::audit::verified;
use crate::checking::check;
use crate::codes::state_of;
use crate::contract::upkeep::{Dues, Report, Totals, Upkeep, Watch, Weakness, Writes};

async fn remember_clock(client: &Client, seen: Seen, moved_ms: i64) -> Result<()> {
    set_counter(client, "last_seen", seen.last.millis()).await?;
    set_counter(client, "unseen_ms", seen.unseen_ms).await?;
    set_counter(client, "clock_moved_ms", moved_ms).await
}

async fn totals(client: &Client, now: Timestamp) -> Result<Totals> {
    let sql = "SELECT state, sum(numbers)::bigint FROM tally GROUP BY state";
    let mut by_state: Vec<(State, u64)> = State::ALL.iter().map(|state| (*state, 0)).collect();
    for row in &rows(client, sql, &[]).await? {
        let (state, numbers) = (state_of(small(row, 0)?)?, get::<i64>(row, 1)?.unsigned_abs());
        if let Some(of_state) = by_state.iter_mut().find(|(known, _)| *known == state) {
            of_state.1 = numbers;
        }
    }
    by_state.sort_by_key(|(state, _)| *state);
    let waiting = row(client, "SELECT count(*), min(created_at) FROM orders WHERE status = 0", &[]).await?;
    let due = count(client, "SELECT count(*) FROM due WHERE due_at <= $1", &[&now.millis()]).await?;
    let sql =
        "SELECT count(*) FROM plan WHERE state = 0 AND two_persons AND NOT approved AND expires_at > $1";
    let plans_waiting = count(client, sql, &[&now.millis()]).await?;
    Ok(Totals {
        by_state,
        waiting: waiting.as_ref().map_or(Ok(0), |row| get::<i64>(row, 0))?.unsigned_abs(),
        oldest_waiting: waiting.as_ref().map_or(Ok(None), |row| time_or(row, 1))?,
        due,
        plans_waiting,
    })
}

async fn dues(client: &Client) -> Result<Dues> {
    let first = async |sql: &str| -> Result<Option<Timestamp>> {
        row(client, sql, &[]).await?.map_or(Ok(None), |row| time_or(&row, 0))
    };
    Ok(Dues {
        number: first("SELECT min(due_at) FROM due").await?,
        subscription: first(
            "SELECT min(expires_at) FROM subscription WHERE NOT over AND expires_at IS NOT NULL",
        )
        .await?,
        delivery: first("SELECT min(due_at) FROM notification WHERE standing = 0").await?,
    })
}

async fn count(client: &Client, sql: &str, values: &[&dyn Value]) -> Result<u64> {
    let found = row(client, sql, values).await?;
    Ok(found.map_or(Ok(0), |row| get::<i64>(&row, 0))?.unsigned_abs())
}

async fn clock(client: &Client) -> Result<(Option<Seen>, i64)> {
    let last = match counter(client, "last_seen").await? {
        Some(last) => Some(Timestamp::from_millis(last)),
        None => last_at(client).await?,
    };
    let unseen_ms = counter(client, "unseen_ms").await?.unwrap_or(0);
    let seen = last.map(|last| Seen { last, unseen_ms });
    Ok((seen, counter(client, "clock_moved_ms").await?.unwrap_or(0)))
}

/// Returns the time of the newest order or event, whichever is later.
async fn last_at(client: &Client) -> Result<Option<Timestamp>> {
    let sql = "SELECT max(at) FROM ((SELECT at FROM event ORDER BY seq DESC LIMIT 1) UNION ALL
                                    (SELECT created_at FROM orders ORDER BY seq DESC LIMIT 1)) newest";
    row(client, sql, &[]).await?.map_or(Ok(None), |row| time_or(&row, 0))
}

#[async_trait]
impl Upkeep for PostgresStore {
    async fn check_watched(&self, deep: bool, watch: Watch) -> Result<Report> {
        let report = check(self, (deep, true), Vec::new(), &watch).await?;
        if deep { verified(self, report).await } else { Ok(report) }
    }

    async fn check_beside(&self, deep: bool, watch: Watch) -> Result<Report> {
        let report = check(self, (deep, false), Vec::new(), &watch).await?;
        if deep { verified(self, report).await } else { Ok(report) }
    }

    async fn totals(&self, now: Timestamp) -> Result<Totals> {
        reading!(self, client => totals(&client, now).await)
    }

    async fn deliveries_waiting(&self) -> Result<u64> {
        let sql = "SELECT count(*) FROM notification WHERE standing = 0";
        reading!(self, client => count(&client, sql, &[]).await)
    }

    fn writes(&self) -> Writes {
        let (queue, failed) = (self.intake.queued(), self.health.failed());
        Writes { queue, failed, restarted: self.lookout.restarted() }
    }

    async fn dues(&self) -> Result<Dues> {
        reading!(self, client => dues(&client).await)
    }

    async fn kept(&self, now: Timestamp) -> Result<u64> {
        let sql = "SELECT count(*) FROM number WHERE release_at <= $1 AND due_at > $1";
        reading!(self, client => count(&client, sql, &[&now.millis()]).await)
    }

    async fn remember_clock(&self, seen: Seen, moved_ms: i64) -> Result<()> {
        transaction!(self, tx => remember_clock(&tx, seen, moved_ms).await)
    }

    async fn clock(&self) -> Result<(Option<Seen>, i64)> {
        reading!(self, client => clock(&client).await)
    }

    fn healthy(&self) -> Result<()> {
        self.health.get()
    }

    async fn durability(&self) -> Result<Vec<Weakness>> {
        Ok(self.lookout.found())
    }

    async fn close(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.intake.close().await;
        self.pool.close();
    }
}
