//! Releases of numbers that are due.

use super::client::Client;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::time::Timestamp;

use super::batch::{apply_numbers, numbers_of};
use super::entries::{NUMBER_COLUMNS, NumberRow};
use super::row::limit;
use super::statement::{row, rows};
use crate::Result;
use crate::contract::orders::StepReport;
use crate::plan::release;

/// True if a number is due at `now`.
pub(super) async fn some_due(client: &Client, now: Timestamp) -> Result<bool> {
    let sql = "SELECT 1 FROM number WHERE due_at <= $1 LIMIT 1";
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
        "SELECT {NUMBER_COLUMNS} FROM number WHERE due_at <= $1 ORDER BY due_at, number LIMIT $2
         FOR UPDATE SKIP LOCKED"
    );
    let due = rows(client, &sql, &[&now.millis(), &limit(numbers_max)]).await?;
    let due = due.iter().map(NumberRow::read).collect::<Result<Vec<_>>>()?;
    let more = due.len() == numbers_max;
    let (writes, reservations) = release::release(numbers_of(client, due).await?, policy, now);
    let numbers = apply_numbers(client, writes).await?;
    Ok(StepReport { numbers, reservations, more, ..StepReport::default() })
}
