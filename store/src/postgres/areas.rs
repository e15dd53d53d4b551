//! Areas: their names and their ids.

use std::collections::{BTreeMap, HashMap};

use super::client::Client;
use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::{Area, AreaName, Demand};
use tokio_postgres::Row;

use super::row::{get, small, time};
use super::statement::{execute, rows};
use crate::Result;
use crate::error::corrupt;

/// Reads the columns id, name, supply, demand, demand_at.
pub(super) fn read_area(row: &Row) -> Result<(AreaId, Area)> {
    let supply = small(row, 2).map_err(|_| corrupt("an area's supply is negative"))?;
    let area = Area {
        name: serde_json::from_str(get(row, 1)?)?,
        supply,
        demand: Demand { per_day: get(row, 3)?, at: time(row, 4)? },
    };
    Ok((AreaId(small(row, 0)?), area))
}

/// Returns the names of some areas.
pub(super) async fn area_names(
    client: &Client,
    ids: impl IntoIterator<Item = AreaId>,
) -> Result<HashMap<AreaId, AreaName>> {
    let mut ids: Vec<i64> = ids.into_iter().map(|id| id.0.into()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = rows(client, "SELECT id, name FROM area WHERE id = ANY($1)", &[&ids]).await?;
    found.iter().map(|row| Ok((AreaId(small(row, 0)?), serde_json::from_str(get(row, 1)?)?))).collect()
}

/// Returns all areas, in the order of their ids.
pub(super) async fn areas(client: &Client) -> Result<Vec<(AreaId, Area)>> {
    let sql = "SELECT id, name, supply, demand, demand_at FROM area ORDER BY id";
    rows(client, sql, &[]).await?.iter().map(read_area).collect()
}

/// Returns the areas of these names, by the part of a name by which areas differ. Makes those that are new, and adds
/// the region to an area without one. Areas that stay as they are are not locked.
pub(super) async fn areas_named(
    client: &Client,
    names: &[AreaName],
) -> Result<HashMap<AreaName, (AreaId, Area)>> {
    // A name with a region stands before the same one without.
    let mut wanted: BTreeMap<AreaName, &AreaName> = BTreeMap::new();
    for name in names {
        let known = wanted.entry(name.key()).or_insert(name);
        if known.region().is_none() {
            *known = name;
        }
    }
    let mut found = areas_with(client, &wanted.keys().collect::<Vec<_>>()).await?;
    wanted.retain(|key, name| {
        let region = found.get(key).map(|(_, area)| area.name.region());
        region.is_none_or(|region| region.is_none() && name.region().is_some())
    });
    if !wanted.is_empty() {
        make_areas(client, &wanted).await?;
        found.extend(areas_with(client, &wanted.keys().collect::<Vec<_>>()).await?);
    }
    Ok(found)
}

async fn areas_with(client: &Client, keys: &[&AreaName]) -> Result<HashMap<AreaName, (AreaId, Area)>> {
    let keys = keys.iter().map(serde_json::to_string).collect::<serde_json::Result<Vec<String>>>()?;
    let sql = "SELECT id, name, supply, demand, demand_at FROM area WHERE key = ANY($1)";
    let found = rows(client, sql, &[&keys]).await?;
    found.iter().map(|row| read_area(row).map(|(id, area)| (area.name.key(), (id, area)))).collect()
}

async fn make_areas(client: &Client, wanted: &BTreeMap<AreaName, &AreaName>) -> Result<()> {
    let (mut keys, mut whole, mut regions, mut rate_centers) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (key, name) in wanted {
        keys.push(serde_json::to_string(key)?);
        whole.push(serde_json::to_string(name)?);
        regions.push(name.region());
        rate_centers.push(name.rate_center());
    }
    let sql = "INSERT INTO area (key, name, region, rate_center, supply, demand, demand_at)
               SELECT u.key, u.name, u.region, u.rate_center, 0, 0, 0
               FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u (key, name, region, rate_center)
               ORDER BY u.key
               ON CONFLICT (key) DO UPDATE SET name = excluded.name, region = excluded.region
               WHERE area.region IS NULL AND excluded.region IS NOT NULL";
    execute(client, sql, &[&keys, &whole, &regions, &rate_centers]).await?;
    let of_rate_centers = regions.into_iter().zip(rate_centers);
    let of_rate_centers = of_rate_centers.filter_map(|(region, name)| Some((region?, name?, name?)));
    add_rate_centers(client, &of_rate_centers.collect::<Vec<_>>()).await
}

/// Adds those rate centers that are new: region, abbreviation and name of each. Their ids go on from the last one. So
/// only an import may add some: one runs at a time.
pub(super) async fn add_rate_centers(client: &Client, new: &[(&str, &str, &str)]) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let regions: Vec<&str> = new.iter().map(|(region, ..)| *region).collect();
    let abbreviations: Vec<&str> = new.iter().map(|(_, abbreviation, _)| *abbreviation).collect();
    let names: Vec<&str> = new.iter().map(|(.., name)| *name).collect();
    let sql = "INSERT INTO rate_center (id, region, abbreviation, name)
               SELECT (SELECT coalesce(max(id), 0) FROM rate_center) + row_number() OVER (ORDER BY u.n),
                      u.region, u.abbreviation, u.name
               FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS u (region, abbreviation, name, n)
               WHERE NOT EXISTS (SELECT 1 FROM rate_center r
                                 WHERE r.region = u.region AND r.abbreviation = u.abbreviation)";
    execute(client, sql, &[&regions, &abbreviations, &names]).await?;
    Ok(())
}
