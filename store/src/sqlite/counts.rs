//! The counts that are stored beside the numbers. A plan says how they change.

use onhook_core::ids::{AccountId, PeerId};
use rusqlite::{Connection, ToSql};

use super::tables::Tables;
use crate::Result;
use crate::codes::state_code;
use crate::error::corrupt;
use crate::plan::counts::Counts;

/// Adds the changes to the counts.
pub(super) fn apply_counts(tables: &mut Tables<'_>, counts: Counts) -> Result<()> {
    let Counts { by_account, due, in_service, stock, areas } = counts;
    let connection = tables.connection;
    let mut tally = connection.prepare_cached(
        "INSERT INTO tally (account, state, numbers) VALUES (?, ?, ?)
         ON CONFLICT (account, state) DO UPDATE SET numbers = numbers + excluded.numbers",
    )?;
    let of = |holder: Option<AccountId>| holder.map_or(0, AccountId::get);
    for ((holder, state), by) in by_account.into_iter().filter(|(_, by)| *by != 0) {
        tally.execute((of(holder), state_code(state), by))?;
    }
    add_up(
        connection,
        "INSERT INTO due (due_at, holder, numbers) VALUES (?, ?, ?)
         ON CONFLICT (due_at, holder) DO UPDATE SET numbers = numbers + excluded.numbers
         RETURNING numbers",
        "DELETE FROM due WHERE due_at = ? AND holder = ? AND numbers = 0",
        due.into_iter().map(|((due_at, holder), by)| ((due_at.millis(), of(holder)), by)),
    )?;
    add_up(
        connection,
        "INSERT INTO in_service (site, peer, numbers) VALUES (?, ?, ?)
         ON CONFLICT (site, peer) DO UPDATE SET numbers = numbers + excluded.numbers
         RETURNING numbers",
        "DELETE FROM in_service WHERE site = ? AND peer = ? AND numbers = 0",
        in_service.into_iter().map(|((site, peer), by)| ((site.get(), peer.map_or(0, PeerId::get)), by)),
    )?;
    add_up(
        connection,
        "INSERT INTO stock (npa_nxx, area, numbers) VALUES (?, ?, ?)
         ON CONFLICT (npa_nxx, area) DO UPDATE SET numbers = numbers + excluded.numbers
         RETURNING numbers",
        "DELETE FROM stock WHERE npa_nxx = ? AND area = ? AND numbers = 0",
        stock.into_iter().map(|((npa_nxx, area), by)| ((npa_nxx, area.0), by)),
    )?;
    let mut update = connection
        .prepare_cached("UPDATE area SET supply = supply + ?, demand = ?, demand_at = ? WHERE id = ?")?;
    for (id, change) in areas {
        let area =
            tables.cached.areas.by_id.get_mut(&id).ok_or_else(|| corrupt(format!("no area {}", id.0)))?;
        area.change(&change);
        update.execute((change.supply, area.demand.per_day, area.demand.at.millis(), id.0))?;
    }
    Ok(())
}

/// Adds to counts with a key of two columns, and deletes those that become zero.
fn add_up<A: ToSql + Copy, B: ToSql + Copy>(
    connection: &Connection,
    add: &str,
    remove: &str,
    changes: impl IntoIterator<Item = ((A, B), i64)>,
) -> Result<()> {
    let mut add = connection.prepare_cached(add)?;
    let mut remove = connection.prepare_cached(remove)?;
    for ((one, two), by) in changes.into_iter().filter(|(_, by)| *by != 0) {
        let numbers: i64 = add.query_row((one, two, by), |row| row.get(0))?;
        if numbers == 0 {
            remove.execute((one, two))?;
        }
    }
    Ok(())
}
