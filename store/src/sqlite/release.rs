//! Releases of numbers that are due.

use onhook_core::lifecycle::policy::Policy;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;

use super::batch::{apply_numbers, known, with_areas};
use super::row;
use super::tables::Tables;
use crate::Result;
use crate::contract::orders::StepReport;
use crate::plan::release::{self, Ahead, passable};

/// Releases the numbers that are due, earliest first: loads them, asks the plan, and writes what it says.
pub(super) fn release(
    tables: &mut Tables<'_>,
    now: Timestamp,
    numbers_max: usize,
    policy: &Policy,
) -> Result<StepReport> {
    let due = due_numbers(tables, now, numbers_max)?;
    let more = due.len() == numbers_max;
    let numbers = with_areas(tables, known(tables, due.into_iter().map(|(_, number)| number))?);
    let (writes, reservations) = release::release(numbers, policy, now);
    let numbers = apply_numbers(tables, writes)?;
    Ok(StepReport { numbers, reservations, more, ..StepReport::default() })
}

/// Releases numbers that are due up to `through`, each at its own instant, and returns the last of the instants. `None`
/// while an order waits.
pub(super) fn pass(
    tables: &mut Tables<'_>,
    (now, through): (Timestamp, Timestamp),
    numbers_max: usize,
    policy: &Policy,
) -> Result<Option<(StepReport, Timestamp)>> {
    if some_wait(tables)? {
        return Ok(None);
    }
    let due = due_numbers(tables, through, numbers_max)?;
    let ahead: Vec<_> =
        due.iter().map(|(due_at, _)| Ahead { due_at: *due_at, stands_still: false }).collect();
    let Some((count, at)) = passable(&ahead, due.len() == numbers_max) else { return Ok(None) };
    let passed = due.into_iter().take(count).map(|(_, number)| number);
    let numbers = with_areas(tables, known(tables, passed)?);
    let (writes, reservations) = release::pass(numbers, policy, now);
    let numbers = apply_numbers(tables, writes)?;
    Ok(Some((StepReport { numbers, reservations, ..StepReport::default() }, at)))
}

/// True if an order has not run, or waits for numbers.
fn some_wait(tables: &Tables<'_>) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM orders WHERE status = 4)";
    Ok(!tables.cached.turns.is_empty()
        || tables.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Returns numbers that are due at `now`, earliest first, each with its instant. It reads the instants and holders that
/// have due numbers, then the numbers of each.
fn due_numbers(tables: &Tables<'_>, now: Timestamp, numbers_max: usize) -> Result<Vec<(Timestamp, Number)>> {
    let mut instants = tables
        .connection
        .prepare_cached("SELECT due_at, holder FROM due WHERE due_at <= ? ORDER BY due_at, holder")?;
    let mut of_holder = tables.connection.prepare_cached(
        "SELECT number FROM number WHERE holder = ? AND due_at = ? ORDER BY number LIMIT ?",
    )?;
    let mut numbers = Vec::new();
    let mut rows = instants.query([now.millis()])?;
    while let Some(row) = rows.next()? {
        let (due_at, holder): (i64, i64) = (row.get(0)?, row.get(1)?);
        let left = i64::try_from(numbers_max - numbers.len()).unwrap_or(i64::MAX);
        let mut found = of_holder.query((holder, due_at, left))?;
        while let Some(row) = found.next()? {
            numbers.push((Timestamp::from_millis(due_at), row::number_of(row.get(0)?)?));
        }
        if numbers.len() == numbers_max {
            break;
        }
    }
    Ok(numbers)
}
