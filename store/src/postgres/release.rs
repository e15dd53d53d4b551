//! Releases of numbers that are due.

use std::collections::BTreeMap;

use super::client::Client;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::time::Timestamp;

use super::batch::{apply_numbers, numbers_of};
use super::entries::{NUMBER_COLUMNS, NumberRow};
use super::row::{digits_of, get, limit, time};
use super::statement::{row, rows};
use crate::Result;
use crate::contract::orders::StepReport;
use crate::plan::release::{self, Ahead, passable};

/// The numbers that have an instant at which time changes them, by it.
pub(super) const DUE: &str = "due JOIN number USING (due_at, number)";

/// True if a number is due at `now`.
pub(super) async fn some_due(client: &Client, now: Timestamp) -> Result<bool> {
    let sql = "SELECT 1 FROM due WHERE due_at <= $1 ORDER BY due_at LIMIT 1";
    Ok(row(client, sql, &[&now.millis()]).await?.is_some())
}

/// Releases the numbers that are due, earliest first: loads them, asks the plan, and writes what it says. A number that
/// another transaction has locked, such as one that is being reconnected, waits for the next step.
pub(super) async fn release(
    client: &Client,
    now: Timestamp,
    numbers_max: usize,
    policy: &Policy,
) -> Result<StepReport> {
    let sql = format!(
        "SELECT {NUMBER_COLUMNS} FROM {DUE} WHERE due_at <= $1
         ORDER BY due_at, number LIMIT $2 FOR UPDATE OF number SKIP LOCKED"
    );
    let due = rows(client, &sql, &[&now.millis(), &limit(numbers_max)]).await?;
    let due = due.iter().map(NumberRow::read).collect::<Result<Vec<_>>>()?;
    let more = due.len() == numbers_max;
    let (writes, reservations) = release::release(numbers_of(client, due).await?, policy, now);
    let numbers = apply_numbers(client, writes).await?;
    Ok(StepReport { numbers, reservations, more, ..StepReport::default() })
}

/// True if an order has not run, or waits for numbers.
async fn some_order_waits(client: &Client) -> Result<bool> {
    let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM orders WHERE status = 0)
                           OR EXISTS (SELECT 1 FROM orders WHERE status = 4)";
    Ok(row(client, sql, &[]).await?.is_some())
}

/// Releases numbers that are due up to `through`, each at its own instant, and returns the last of the instants. `None`
/// while an order waits, or if the first number is one that another transaction has locked. A number of which something
/// is known from after `now` stands still: its own event is later than the instant, those of the others are not.
pub(super) async fn pass(
    client: &Client,
    (now, through): (Timestamp, Timestamp),
    numbers_max: usize,
    policy: &Policy,
) -> Result<Option<(StepReport, Timestamp)>> {
    if some_order_waits(client).await? {
        return Ok(None);
    }
    let sql = "SELECT due_at, number FROM due WHERE due_at <= $1 ORDER BY due_at, number LIMIT $2";
    let due = rows(client, sql, &[&through.millis(), &limit(numbers_max)]).await?;
    let due = due.iter().map(|row| Ok((time(row, 0)?, get(row, 1)?))).collect::<Result<Vec<(_, i64)>>>()?;
    let sql = format!(
        "SELECT {NUMBER_COLUMNS} FROM number WHERE number = ANY($1) AND due_at <= $2 ORDER BY number
         FOR UPDATE SKIP LOCKED"
    );
    let wanted: Vec<i64> = due.iter().map(|(_, number)| *number).collect();
    let locked = rows(client, &sql, &[&wanted, &through.millis()]).await?;
    let locked = locked.iter().map(NumberRow::read).collect::<Result<Vec<_>>>()?;
    let mut locked: BTreeMap<i64, NumberRow> =
        locked.into_iter().map(|row| (digits_of(row.entry.number), row)).collect();
    let ahead: Vec<_> = due
        .iter()
        .map(|(due_at, number)| {
            let same = |row: &&NumberRow| row.entry.standing.due_at() == Some(*due_at) && row.at <= now;
            Ahead { due_at: *due_at, stands_still: locked.get(number).filter(same).is_none() }
        })
        .collect();
    let Some((count, at)) = passable(&ahead, due.len() == numbers_max) else { return Ok(None) };
    let passed = due.iter().take(count).filter_map(|(_, number)| locked.remove(number)).collect();
    let (writes, reservations) = release::pass(numbers_of(client, passed).await?, policy, now);
    let numbers = apply_numbers(client, writes).await?;
    Ok(Some((StepReport { numbers, reservations, ..StepReport::default() }, at)))
}
