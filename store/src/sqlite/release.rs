//! Numbers that move on since their time has come.

use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::release::due;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;

use super::batch::Batch;
use super::row;
use super::tables::Tables;
use crate::Result;
use crate::contract::orders::StepReport;

/// Moves on the numbers whose time has come, earliest first.
pub(super) fn release(tables: &mut Tables<'_>, now: Timestamp, numbers_max: usize) -> Result<StepReport> {
    // Not the store's time: if that is ahead, the caller's clock has been set back, and early is worse.
    let clock = now;
    let at = tables.cached.now(now);
    let numbers = due_numbers(tables, clock, numbers_max)?;
    let mut batch = Batch::load(tables, numbers.iter().copied())?;
    let mut step = StepReport { more: numbers.len() == numbers_max, ..StepReport::default() };
    for number in numbers {
        if let Some(moved) = batch.entries.get(&number).and_then(|entry| due(entry, clock)) {
            batch.apply(tables, &moved, &By::Time, at)?;
            step.numbers += 1;
        }
    }
    batch.save(tables)?;
    Ok(step)
}

/// Numbers that are due at `now`, earliest first: the instants and holders that have some, then the
/// numbers of each.
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
