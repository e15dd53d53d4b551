//! Exchanges and rate centers from an operator's file, and the locality of a number by them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::{Area, AreaName};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::{Exchange, Locality};
use onhook_core::number::Number;
use onhook_core::order::search::Criteria;
use tokio_postgres::Row;

use super::areas::{add_rate_centers, area_names, areas};
use super::deeds::write_deeds;
use super::entries::number_rows;
use super::lines::Chunks;
use super::open::PostgresStore;
use super::row::{get, limit, small};
use super::statement::{Value, execute, row, rows};
use super::transaction::reading;
use crate::Result;
use crate::contract::exchanges::{EXCHANGES_MAX, ExchangeLines, Exchanges, RateCenter, RateCenterQuery};
use crate::contract::imports::Imported;
use crate::contract::page::Page;
use crate::error::corrupt;
use crate::plan::exchanges::{Import, RateCenterWrite, rate_center};

/// Lines of an import that are read, planned and written together.
const LINES: usize = 2_000;

/// The columns that [`exchange`] reads, of `exchange e` and `rate_center r`.
pub(super) const EXCHANGE_COLUMNS: &str =
    "e.npa_nxx, r.region, r.abbreviation, r.name, e.lata, e.city, e.zips";

/// Reads an exchange, from the column `at` on. `None` if an outer join found none.
pub(super) fn exchange(row: &Row, at: usize) -> Result<Option<Exchange>> {
    if get::<Option<i64>>(row, at)?.is_none() {
        return Ok(None);
    }
    let zips: &str = get(row, at + 6)?;
    Ok(Some(Exchange {
        npa_nxx: small(row, at)?,
        region: get(row, at + 1)?,
        rate_center: get(row, at + 2)?,
        name: get(row, at + 3)?,
        lata: get(row, at + 4)?,
        city: get(row, at + 5)?,
        zips: zips.split_ascii_whitespace().map(str::to_owned).collect(),
    }))
}

/// Returns the known exchanges of some numbers, by their six digits.
pub(super) async fn exchanges_of(client: &Client, numbers: &[Number]) -> Result<HashMap<u32, Exchange>> {
    let npa_nxxs: BTreeSet<u32> = numbers.iter().filter_map(|number| number.npa_nxx()).collect();
    if npa_nxxs.is_empty() {
        return Ok(HashMap::new());
    }
    let npa_nxxs: Vec<i64> = npa_nxxs.into_iter().map(i64::from).collect();
    let sql = format!(
        "SELECT {EXCHANGE_COLUMNS} FROM exchange e JOIN rate_center r ON r.id = e.rate_center
         WHERE e.npa_nxx = ANY($1)"
    );
    let found = rows(client, &sql, &[&npa_nxxs]).await?;
    let exchanges = found.iter().filter_map(|row| exchange(row, 0).transpose());
    exchanges.map(|exchange| exchange.map(|exchange| (exchange.npa_nxx, exchange))).collect()
}

/// Returns the part after WHERE that finds exchanges by criteria, of `exchange e` and `rate_center r`, and adds its
/// values.
fn wanted<'a>(
    criteria: &'a Criteria,
    digits: Option<&'a (i64, i64)>,
    values: &mut Vec<&'a dyn Value>,
) -> String {
    let mut sql = String::from("true");
    for (condition, value) in [
        ("r.region =", &criteria.region),
        ("r.abbreviation =", &criteria.rate_center),
        ("e.city =", &criteria.city),
        ("e.lata =", &criteria.lata),
        ("EXISTS (SELECT 1 FROM exchange_zip z WHERE z.npa_nxx = e.npa_nxx AND z.zip =", &criteria.zip),
    ] {
        if let Some(value) = value {
            values.push(value);
            let end = if condition.contains('(') { ")" } else { "" };
            sql += &format!(" AND {condition} ${}{end}", values.len());
        }
    }
    if let Some((first, end)) = digits {
        values.push(first);
        values.push(end);
        sql += &format!(" AND e.npa_nxx >= ${} AND e.npa_nxx < ${}", values.len() - 1, values.len());
    }
    sql
}

/// Returns the exchanges that the criteria's prefix allows: the first, and one past the last.
fn exchanges_with(criteria: &Criteria) -> Option<(i64, i64)> {
    let (first, end) = criteria.prefix.as_deref().and_then(Number::nanp_range)?;
    let bound = |bound: u64| i64::try_from(bound).unwrap_or(i64::MAX);
    Some((bound(first / 10_000 - 1_000_000), bound(end.div_ceil(10_000) - 1_000_000)))
}

/// Returns the exchanges that match, in the order of their digits.
async fn exchanges(client: &Client, criteria: &Criteria) -> Result<Vec<Exchange>> {
    let digits = exchanges_with(criteria);
    let mut values = Vec::new();
    let wanted = wanted(criteria, digits.as_ref(), &mut values);
    let sql = format!(
        "SELECT {EXCHANGE_COLUMNS} FROM exchange e JOIN rate_center r ON r.id = e.rate_center
         WHERE {wanted} ORDER BY e.npa_nxx LIMIT {EXCHANGES_MAX}"
    );
    let found = rows(client, &sql, &values).await?;
    found.iter().filter_map(|row| exchange(row, 0).transpose()).collect()
}

/// Returns a page of rate centers, each with its exchanges: together at most [`EXCHANGES_MAX`] exchanges.
async fn rate_centers(client: &Client, query: &RateCenterQuery) -> Result<Page<RateCenter, u32>> {
    let digits = exchanges_with(&query.criteria);
    let mut values = Vec::new();
    let mut wanted = wanted(&query.criteria, digits.as_ref(), &mut values);
    if let Some(name) = &query.name {
        values.push(name);
        wanted += &format!(" AND r.name = ${}", values.len());
    }
    let from = "rate_center r LEFT JOIN exchange e ON e.rate_center = r.id";
    let count = format!("SELECT count(DISTINCT r.id) FROM {from} WHERE {wanted}");
    let total = row(client, &count, &values).await?.map(|row| get::<i64>(&row, 0)).transpose()?;
    let (first, size) = (i64::from(query.from), limit(query.size.saturating_add(1)));
    values.push(&first);
    values.push(&size);
    let sql = format!(
        "SELECT DISTINCT r.id, r.region, r.abbreviation, r.name FROM {from}
         WHERE {wanted} AND r.id >= ${} ORDER BY r.id LIMIT ${}",
        values.len() - 1,
        values.len()
    );
    let found = rows(client, &sql, &values).await?;
    let ids = found.iter().map(|row| get(row, 0)).collect::<Result<Vec<i64>>>()?;
    let mut exchanges = exchanges_in(client, &ids).await?;
    let mut items = Vec::new();
    let (mut next, mut left) = (None, EXCHANGES_MAX);
    for row in &found {
        let id = small(row, 0)?;
        if items.len() == query.size || left == 0 {
            next = Some(id);
            break;
        }
        let mut exchanges = exchanges.remove(&id).unwrap_or_default();
        exchanges.truncate(left);
        left -= exchanges.len();
        let (region, abbreviation, name) = (get(row, 1)?, get(row, 2)?, get(row, 3)?);
        items.push(RateCenter { id, region, abbreviation, name, exchanges });
    }
    Ok(Page { items, total: total.unwrap_or(0).unsigned_abs(), next })
}

/// Returns the exchanges of rate centers, at most [`EXCHANGES_MAX`], and at least all those of the first ones.
async fn exchanges_in(client: &Client, rate_centers: &Vec<i64>) -> Result<HashMap<u32, Vec<Exchange>>> {
    let sql = format!(
        "SELECT {EXCHANGE_COLUMNS}, r.id FROM exchange e JOIN rate_center r ON r.id = e.rate_center
         WHERE e.rate_center = ANY($1) ORDER BY r.id, e.npa_nxx LIMIT {EXCHANGES_MAX}"
    );
    let mut found: HashMap<u32, Vec<Exchange>> = HashMap::new();
    for row in &rows(client, &sql, &[rate_centers]).await? {
        found.entry(small(row, 7)?).or_default().extend(exchange(row, 0)?);
    }
    Ok(found)
}

/// Imports exchanges, all or none.
async fn import_exchanges(
    client: &Client,
    (lines, idle_max): (ExchangeLines, Duration),
    doer: &Doer,
) -> Result<Imported> {
    let mut import = Import::default();
    let mut chunks = Chunks::read(lines, LINES, idle_max);
    while let Some(lines) = chunks.next(client).await? {
        let taken = lines.into_iter().filter_map(|(line, exchange)| import.take(line, exchange));
        put_exchanges(client, &taken.collect::<Vec<_>>()).await?;
    }
    let deed = import.deed(doer);
    let imported = import.finish()?;
    write_deeds(client, &[deed]).await?;
    execute(client, "UPDATE counter SET value = value + 1 WHERE name = 'pool_grown'", &[]).await?;
    Ok(imported)
}

pub(super) async fn put_exchanges(client: &Client, exchanges: &[Exchange]) -> Result<()> {
    let rate_centers = put_rate_centers(client, exchanges).await?;
    let (mut npa_nxxs, mut ids, mut latas, mut cities, mut all_zips) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut zips, mut zips_of) = (Vec::new(), Vec::new());
    for (exchange, rate_center) in exchanges.iter().zip(rate_centers) {
        npa_nxxs.push(i64::from(exchange.npa_nxx));
        ids.push(i64::from(rate_center));
        latas.push(exchange.lata.as_deref());
        cities.push(exchange.city.as_deref());
        all_zips.push(exchange.zips.join(" "));
        for zip in &exchange.zips {
            zips.push(zip.as_str());
            zips_of.push(i64::from(exchange.npa_nxx));
        }
    }
    let sql = "INSERT INTO exchange (npa_nxx, rate_center, lata, city, zips)
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[])
               ON CONFLICT (npa_nxx) DO UPDATE SET rate_center = excluded.rate_center, lata = excluded.lata,
                                                   city = excluded.city, zips = excluded.zips";
    execute(client, sql, &[&npa_nxxs, &ids, &latas, &cities, &all_zips]).await?;
    execute(client, "DELETE FROM exchange_zip WHERE npa_nxx = ANY($1)", &[&npa_nxxs]).await?;
    let sql = "INSERT INTO exchange_zip (zip, npa_nxx) SELECT * FROM unnest($1::text[], $2::bigint[])";
    execute(client, sql, &[&zips, &zips_of]).await?;
    Ok(())
}

/// Returns a rate center's region and abbreviation, from an exchange of it.
fn key(exchange: &Exchange) -> (String, String) {
    (exchange.region.clone(), exchange.rate_center.clone())
}

/// Returns the known rate centers of exchanges: id and name, by region and abbreviation.
async fn rate_centers_of(
    client: &Client,
    exchanges: &[Exchange],
) -> Result<HashMap<(String, String), (u32, String)>> {
    let (regions, abbreviations): (Vec<String>, Vec<String>) =
        exchanges.iter().map(key).collect::<BTreeSet<_>>().into_iter().unzip();
    let sql = "SELECT r.region, r.abbreviation, r.id, r.name FROM rate_center r
               JOIN unnest($1::text[], $2::text[]) AS u (region, abbreviation)
                 ON r.region = u.region AND r.abbreviation = u.abbreviation";
    let found = rows(client, sql, &[&regions, &abbreviations]).await?;
    found.iter().map(|row| Ok(((get(row, 0)?, get(row, 1)?), (small(row, 2)?, get(row, 3)?)))).collect()
}

/// Writes the rate centers of exchanges as a plan says, and returns the id of each exchange's.
async fn put_rate_centers(client: &Client, exchanges: &[Exchange]) -> Result<Vec<u32>> {
    let mut known = rate_centers_of(client, exchanges).await?;
    // The first exchange of a new one names it. Then all are known, and the others may only give them other names.
    let (mut new, mut seen) = (Vec::new(), HashSet::new());
    for exchange in exchanges {
        let there = known.get(&key(exchange)).map(|(id, name)| (*id, name.as_str()));
        if rate_center(there, exchange) == RateCenterWrite::New && seen.insert(key(exchange)) {
            new.push((exchange.region.as_str(), exchange.rate_center.as_str(), exchange.name.as_str()));
        }
    }
    if !new.is_empty() {
        add_rate_centers(client, &new).await?;
        known = rate_centers_of(client, exchanges).await?;
    }
    let (mut ids, mut renamed) = (Vec::with_capacity(exchanges.len()), HashMap::new());
    for exchange in exchanges {
        let (id, name) = known.get_mut(&key(exchange)).ok_or_else(|| corrupt("a rate center is missing"))?;
        if let RateCenterWrite::Rename(id) = rate_center(Some((*id, name)), exchange) {
            name.clone_from(&exchange.name);
            renamed.insert(i64::from(id), exchange.name.as_str());
        }
        ids.push(*id);
    }
    if !renamed.is_empty() {
        let (ids, names): (Vec<i64>, Vec<&str>) = renamed.into_iter().unzip();
        let sql = "UPDATE rate_center SET name = u.name FROM unnest($1::bigint[], $2::text[]) AS u (id, name)
                   WHERE rate_center.id = u.id";
        execute(client, sql, &[&ids, &names]).await?;
    }
    Ok(ids)
}

/// Returns what the locality of an entry's number follows from.
pub(super) fn spot(entry: &Entry) -> (Number, AreaId) {
    (entry.number, entry.area)
}

/// Localities of numbers, with each area and exchange read once.
#[derive(Default)]
pub(super) struct Localities {
    names: HashMap<AreaId, AreaName>,
    exchanges: HashMap<u32, Exchange>,
    looked_up: HashSet<u32>,
}

impl Localities {
    /// Reads what the localities of these numbers need.
    pub(super) async fn learn(&mut self, client: &Client, spots: &[(Number, AreaId)]) -> Result<()> {
        let unknown: BTreeSet<AreaId> =
            spots.iter().map(|(_, area)| *area).filter(|area| !self.names.contains_key(area)).collect();
        self.names.extend(area_names(client, unknown).await?);
        let numbers: Vec<Number> = spots.iter().map(|(number, _)| *number).collect();
        let new = |number: &Number| number.npa_nxx().is_some_and(|of| self.looked_up.insert(of));
        let numbers: Vec<Number> = numbers.into_iter().filter(new).collect();
        self.exchanges.extend(exchanges_of(client, &numbers).await?);
        Ok(())
    }

    /// Returns the locality of a number that was learned.
    pub(super) fn at(&self, (number, area): (Number, AreaId)) -> Result<Locality> {
        Ok(Locality::of(number, self.area(area)?, number.npa_nxx().and_then(|of| self.exchanges.get(&of))))
    }

    /// Returns the name of an area that was learned.
    pub(super) fn area(&self, area: AreaId) -> Result<&AreaName> {
        self.names.get(&area).ok_or_else(|| corrupt("an area is missing"))
    }
}

/// Returns the localities of numbers. Numbers that do not exist are left out.
pub(super) async fn localities(client: &Client, numbers: &[Number]) -> Result<Vec<(Number, Locality)>> {
    let found: HashMap<Number, (Number, AreaId)> =
        number_rows(client, numbers).await?.iter().map(|row| (row.entry.number, spot(&row.entry))).collect();
    let mut localities = Localities::default();
    localities.learn(client, &found.values().copied().collect::<Vec<_>>()).await?;
    let there = numbers.iter().filter_map(|number| found.get(number));
    there.map(|spot| Ok((spot.0, localities.at(*spot)?))).collect()
}

#[async_trait]
impl Exchanges for PostgresStore {
    async fn exchanges(&self, criteria: Criteria) -> Result<Vec<Exchange>> {
        reading!(self, client => exchanges(&client, &criteria).await)
    }

    async fn rate_centers(&self, query: RateCenterQuery) -> Result<Page<RateCenter, u32>> {
        reading!(self, client => rate_centers(&client, &query).await)
    }

    async fn import_exchanges(&self, lines: ExchangeLines, doer: Doer) -> Result<Imported> {
        let tx = self.begin_import().await?;
        let done = import_exchanges(&tx, (lines, self.idle_max), &doer).await;
        self.end_import(tx, done).await
    }

    async fn areas(&self) -> Result<Vec<(AreaId, Area)>> {
        reading!(self, client => areas(&client).await)
    }
}
