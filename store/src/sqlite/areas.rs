//! Areas: their names, and the ids that stand for them.

use std::collections::HashMap;

use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::{Area, AreaName, Demand};
use onhook_core::time::Timestamp;
use rusqlite::Connection;

use super::row::list;
use crate::Result;
use crate::error::corrupt;

pub(super) fn area(row: &rusqlite::Row<'_>) -> Result<(AreaId, Area)> {
    let name: String = row.get(1)?;
    let area = Area {
        name: serde_json::from_str(&name)?,
        supply: row.get::<_, i64>(2)?.try_into().map_err(|_| corrupt("an area's supply is negative"))?,
        demand: Demand { per_day: row.get(3)?, at: Timestamp::from_millis(row.get(4)?) },
    };
    Ok((AreaId(row.get(0)?), area))
}

/// The names of areas, each read once.
#[derive(Default)]
pub(super) struct Names(HashMap<AreaId, AreaName>);

impl Names {
    pub(super) fn of(&mut self, connection: &Connection, id: AreaId) -> Result<&AreaName> {
        match self.0.entry(id) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                Ok(unknown.insert(area_name(connection, id)?))
            }
        }
    }
}

pub(super) fn area_name(connection: &Connection, id: AreaId) -> Result<AreaName> {
    let name: String = connection
        .prepare_cached("SELECT name FROM area WHERE id = ?")?
        .query_row([id.0], |row| row.get(0))?;
    Ok(serde_json::from_str(&name)?)
}

pub(super) fn areas(connection: &Connection) -> Result<Vec<(AreaId, Area)>> {
    list(connection, "SELECT id, name, supply, demand, demand_at FROM area ORDER BY id", Vec::new(), area)
}
