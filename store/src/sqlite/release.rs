//! Releases of numbers that are due.

use onhook_core::lifecycle::policy::Policy;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;

use super::batch::{apply_numbers, known, with_areas};
use super::row;
use super::tables::Tables;
use crate::Result;
use crate::contract::orders::StepReport;
use crate::plan::release;

/// Releases the numbers that are due, earliest first: loads them, asks the plan, and writes what it says.
pub(super) fn release(
    tables: &mut Tables<'_>,
    now: Timestamp,
    numbers_max: usize,
    policy: &Policy,
) -> Result<StepReport> {
    let due = due_numbers(tables, now, numbers_max)?;
    let more = due.len() == numbers_max;
    let numbers = with_areas(tables, known(tables, due)?);
    let (writes, reservations) = release::release(numbers, policy, now);
    let numbers = apply_numbers(tables, writes)?;
    Ok(StepReport { numbers, reservations, more, ..StepReport::default() })
}

/// Returns numbers that are due at `now`, earliest first. It reads the instants and holders that have due numbers,
/// then the numbers of each.
fn due_numbers(tables: &Tables<'_>, now: Timestamp, numbers_max: usize) -> Result<Vec<Number>> {
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
            numbers.push(row::number_of(row.get(0)?)?);
        }
        if numbers.len() == numbers_max {
            break;
        }
    }
    Ok(numbers)
}
