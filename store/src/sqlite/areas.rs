//! Areas: their names and their ids.

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

/// All areas, as the writer remembers them.
pub(super) struct KnownAreas {
    pub(super) by_id: HashMap<AreaId, Area>,
    ids: HashMap<AreaName, AreaId>,
    /// The largest id. In data that was moved from a database some below it are missing.
    last: AreaId,
}

impl KnownAreas {
    pub(super) fn load(connection: &Connection) -> Result<Self> {
        let by_id: HashMap<AreaId, Area> = areas(connection)?.into_iter().collect();
        let ids = by_id.iter().map(|(id, area)| (area.name.key(), *id)).collect();
        let last = by_id.keys().copied().max().unwrap_or(AreaId(0));
        Ok(Self { by_id, ids, last })
    }

    /// Returns the area of that name. Makes it if it is new.
    pub(super) fn id_of(&mut self, connection: &Connection, name: AreaName) -> Result<AreaId> {
        if let Some(id) = self.ids.get(&name.key()).copied() {
            return self.learn_region(connection, id, &name).map(|()| id);
        }
        let id = AreaId(self.last.0.checked_add(1).ok_or_else(|| corrupt("too many areas"))?);
        connection
            .prepare_cached("INSERT INTO area (id, name, supply, demand, demand_at) VALUES (?, ?, 0, 0, 0)")?
            .execute((id.0, serde_json::to_string(&name)?))?;
        if let AreaName::RateCenter { region, rate_center } = &name {
            connection
                .prepare_cached(
                    "INSERT INTO rate_center (region, abbreviation, name) VALUES (?1, ?2, ?2)
                     ON CONFLICT DO NOTHING",
                )?
                .execute((region, rate_center))?;
        }
        self.by_id.insert(id, Area { name: name.clone(), supply: 0, demand: Demand::default() });
        self.ids.insert(name.key(), id);
        self.last = id;
        Ok(id)
    }

    /// Adds the region to an area without one: an area of a prefix is one area, whether or not each import gives its
    /// region.
    fn learn_region(&mut self, connection: &Connection, id: AreaId, name: &AreaName) -> Result<()> {
        let area = self.by_id.get_mut(&id).ok_or_else(|| corrupt("an area is missing"))?;
        if area.name.region().is_some() || name.region().is_none() {
            return Ok(());
        }
        area.name = name.clone();
        connection
            .prepare_cached("UPDATE area SET name = ? WHERE id = ?")?
            .execute((serde_json::to_string(name)?, id.0))?;
        Ok(())
    }
}
