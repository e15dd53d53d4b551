//! Numbers of one transaction: loaded as a plan needs them, written as it says.

use std::collections::HashMap;

use onhook_core::ids::{AccountId, EventSeq};
use onhook_core::number::Number;
use rusqlite::params;

use super::counts::apply_counts;
use super::entries::{NumberRow, number_rows};
use super::row::digits_of;
use super::tables::Tables;
use crate::Result;
use crate::codes::state_code;
use crate::columns::{UnderColumns, by_columns};
use crate::plan::batch::{Known, NewEvent, NumberWrite, NumberWrites, Numbers, Prev};

/// Returns those of the numbers that exist, in the order of their digits.
pub(super) fn known(tables: &Tables<'_>, numbers: impl IntoIterator<Item = Number>) -> Result<Vec<Known>> {
    let mut numbers: Vec<Number> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let rows = number_rows(tables.connection, numbers)?;
    Ok(rows.into_iter().map(NumberRow::known).collect())
}

/// Returns numbers with their areas. An area can be missing only in a store that was tampered with. Then the orders
/// that need it fail, not all.
pub(super) fn with_areas(tables: &Tables<'_>, known: Vec<Known>) -> Numbers {
    let mut areas = HashMap::new();
    for Known { entry, .. } in &known {
        if let Some(area) = tables.cached.areas.by_id.get(&entry.area) {
            areas.entry(entry.area).or_insert_with(|| area.clone());
        }
    }
    Numbers { known, areas, latest: tables.cached.latest() }
}

/// Writes what happened to numbers: events, rows, counts. Returns how many changed.
pub(super) fn apply_numbers(tables: &mut Tables<'_>, writes: NumberWrites) -> Result<usize> {
    let NumberWrites { events, numbers, counts, pool_grew } = writes;
    let first = tables.cached.next_events(events.len());
    if let Some(last) = events.last() {
        tables.cached.saw(last.at);
    }
    let seq = |index: usize| EventSeq(first.0 + i64::try_from(index).unwrap_or(i64::MAX));
    let mut insert = tables.connection.prepare_cached(
        "INSERT INTO event (seq, number, prev, at, order_seq, actor, detail, origin, credential, address, reason, plan,
                            account, state_before, state_after)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for (index, event) in events.iter().enumerate() {
        let NewEvent { number, prev, at, change, by, under, origin, account, states } = event;
        let prev = match prev {
            Prev::Stored(prev) => *prev,
            Prev::New(index) => seq(*index),
        };
        let (order, actor) = by_columns(by);
        let UnderColumns { credential, address, reason, plan } = UnderColumns::of(under);
        insert.execute(params![
            seq(index).0,
            digits_of(*number),
            prev.0,
            at.millis(),
            order,
            actor,
            serde_json::to_string(change)?,
            origin.as_ref().map(serde_json::to_string).transpose()?,
            credential,
            address,
            reason,
            plan.as_ref().map(uuid::Uuid::as_bytes),
            account.map(AccountId::get),
            state_code(states.0),
            state_code(states.1),
        ])?;
    }
    // SQLite updates every index on a column that an update names, even if the value stays. A disconnect keeps the
    // holder, and the index of holders is the largest.
    let mut same_holder = tables.connection.prepare_cached(
        "UPDATE number SET state = ?2, site = ?3, peer = ?4, flags = ?5, due_at = ?6, last_event = ?7,
                           release_at = ?8, kept_until = ?9
         WHERE number = ?1",
    )?;
    let mut other_holder = tables.connection.prepare_cached(
        "UPDATE number SET state = ?2, holder = ?3, site = ?4, peer = ?5, area = ?6, flags = ?7, due_at = ?8,
                           last_event = ?9, release_at = ?10, kept_until = ?11
         WHERE number = ?1",
    )?;
    let changed = numbers.len();
    for write in numbers {
        let NumberWrite { entry, before, last_event } = write;
        let row = NumberRow { entry, last_event: seq(last_event), untouched: false };
        if entry.standing.holder() == before.standing.holder() && entry.area == before.area {
            same_holder.execute(row.values_but_holder())?;
        } else {
            other_holder.execute(row.values())?;
        }
    }
    drop((insert, same_holder, other_holder));
    apply_counts(tables, counts)?;
    if pool_grew {
        tables.cached.back_orders.pool_grew();
    }
    Ok(changed)
}
