//! The counts that are stored beside the numbers. A plan says how they change, and the changes add up in the database.
//!
//! Counts are written last in a transaction and in the order of their keys: several nodes write the same ones.

use super::client::Client;
use onhook_core::ids::{AccountId, AreaId, PeerId};
use onhook_core::lifecycle::area::AreaChange;

use super::statement::{Value, execute, often, together};
use crate::Result;
use crate::codes::state_code;
use crate::plan::counts::Counts;

/// Adds the changes to the counts.
pub(super) async fn apply_counts(client: &Client, counts: Counts) -> Result<()> {
    let Counts { by_account, in_service, stock, areas, due: _ } = counts;
    let of = |holder: Option<AccountId>| i64::from(holder.map_or(0, AccountId::get));
    let tally =
        by_account.into_iter().map(|((holder, state), by)| ((of(holder), state_code(state).into()), by));
    let in_service = in_service
        .into_iter()
        .map(|((site, peer), by)| ((site.get().into(), peer.map_or(0, PeerId::get).into()), by));
    let stock = stock.into_iter().map(|((npa_nxx, area), by)| ((npa_nxx.into(), area.0.into()), by));
    together!(
        add_up(client, "tally", "account", "state", tally),
        add_up(client, "in_service", "site", "peer", in_service),
        add_up(client, "stock", "npa_nxx", "area", stock),
        add_to_areas(client, areas),
    )?;
    Ok(())
}

/// Adds the changes to the supply and the demand of areas.
async fn add_to_areas(client: &Client, areas: impl IntoIterator<Item = (AreaId, AreaChange)>) -> Result<()> {
    let (mut ids, mut supplies, mut demands, mut ats, mut half_lives) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, change) in areas {
        ids.push(i64::from(id.0));
        supplies.push(change.supply);
        demands.push(change.demand.per_day);
        ats.push(change.demand.at.millis());
        // A change without demand decays nothing.
        half_lives.push(if change.half_life_days > 0.0 { change.half_life_days } else { 1.0 });
    }
    if !ids.is_empty() {
        // As `Demand::plus` does it: both are carried to the later of their instants, and added. After 200 half-lives
        // nothing that counts is left, and the database refuses to compute what is too small for a float.
        let sql = "UPDATE area SET supply = area.supply + u.supply,
               demand = CASE WHEN u.demand = 0 THEN area.demand ELSE
                   area.demand * power(0.5, least(200, greatest(u.at - area.demand_at, 0) / (86400000.0 * u.half_life)))
                   + u.demand * power(0.5, least(200, greatest(area.demand_at - u.at, 0) / (86400000.0 * u.half_life))) END,
               demand_at = CASE WHEN u.demand = 0 THEN area.demand_at ELSE greatest(area.demand_at, u.at) END
             FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::bigint[], $5::float8[])
                  AS u (id, supply, demand, at, half_life)
             WHERE area.id = u.id";
        let values: [&dyn Value; 5] = [&ids, &supplies, &demands, &ats, &half_lives];
        together!(lock_areas(client, &ids), execute(client, sql, &values))?;
    }
    Ok(())
}

/// Locks areas in the order of their ids, which an update of several alone does not promise.
async fn lock_areas(client: &Client, ids: &Vec<i64>) -> Result<()> {
    execute(client, "SELECT 1 FROM area WHERE id = ANY($1) ORDER BY id FOR UPDATE", &[ids]).await?;
    Ok(())
}

/// Adds to counts with a key of two columns. A count that becomes zero stays.
async fn add_up(
    client: &Client,
    table: &str,
    one: &str,
    two: &str,
    changes: impl Iterator<Item = ((i64, i64), i64)>,
) -> Result<()> {
    let mut changes: Vec<_> = changes.filter(|(_, by)| *by != 0).collect();
    if changes.is_empty() {
        return Ok(());
    }
    changes.sort_unstable();
    let ones: Vec<i64> = changes.iter().map(|((one, _), _)| *one).collect();
    let twos: Vec<i64> = changes.iter().map(|((_, two), _)| *two).collect();
    let bys: Vec<i64> = changes.iter().map(|(_, by)| *by).collect();
    let sql = format!(
        "INSERT INTO {table} ({one}, {two}, numbers)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (one, two, numbers) ORDER BY 1, 2
         ON CONFLICT ({one}, {two}) DO UPDATE SET numbers = {table}.numbers + excluded.numbers"
    );
    often(client, &sql, &[&ones, &twos, &bys]).await?;
    Ok(())
}
