//! Exchanges and rate centers from an operator's file, and the locality of a number by them.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::Area;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::{Exchange, Locality};
use onhook_core::number::Number;
use onhook_core::order::search::Criteria;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::areas::{Names, areas};
use super::deeds::write_deeds;
use super::entries::number_row;
use super::open::SqliteStore;
use super::tables::Tables;
use crate::Result;
use crate::contract::exchanges::{EXCHANGES_MAX, ExchangeLines, Exchanges, RateCenter, RateCenterQuery};
use crate::contract::imports::Imported;
use crate::contract::page::Page;
use crate::plan::exchanges::{self as plan, Import, RateCenterWrite};

/// The columns that [`exchange`] reads, of `exchange e` and `rate_center r`.
pub(super) const EXCHANGE_COLUMNS: &str =
    "e.npa_nxx, r.region, r.abbreviation, r.name, e.lata, e.city, e.zips";

/// Reads an exchange, from the column `at` on. `None` if an outer join found none.
pub(super) fn exchange(row: &Row<'_>, at: usize) -> Result<Option<Exchange>> {
    let Some(npa_nxx) = row.get(at)? else { return Ok(None) };
    let zips: String = row.get(at + 6)?;
    Ok(Some(Exchange {
        npa_nxx,
        region: row.get(at + 1)?,
        rate_center: row.get(at + 2)?,
        name: row.get(at + 3)?,
        lata: row.get(at + 4)?,
        city: row.get(at + 5)?,
        zips: zips.split_ascii_whitespace().map(str::to_owned).collect(),
    }))
}

/// Returns the exchange with these six digits.
pub(super) fn exchange_of(connection: &Connection, npa_nxx: u32) -> Result<Option<Exchange>> {
    let sql = format!(
        "SELECT {EXCHANGE_COLUMNS} FROM exchange e JOIN rate_center r ON r.id = e.rate_center WHERE e.npa_nxx = ?"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([npa_nxx])?;
    match rows.next()? {
        Some(row) => exchange(row, 0),
        None => Ok(None),
    }
}

/// Returns the known exchanges of some numbers, by their six digits.
pub(super) fn exchanges_of<'a>(
    connection: &Connection,
    numbers: impl IntoIterator<Item = &'a Number>,
) -> Result<HashMap<u32, Exchange>> {
    let npa_nxxs: HashSet<u32> = numbers.into_iter().filter_map(|number| number.npa_nxx()).collect();
    let mut found = HashMap::with_capacity(npa_nxxs.len());
    for npa_nxx in npa_nxxs {
        if let Some(exchange) = exchange_of(connection, npa_nxx)? {
            found.insert(npa_nxx, exchange);
        }
    }
    Ok(found)
}

/// Returns the part after WHERE that finds exchanges by criteria, of `exchange e` and `rate_center r`.
fn wanted(criteria: &Criteria) -> (String, Vec<Value>) {
    let (mut sql, mut values) = (String::from("1"), Vec::new());
    for (condition, value) in [
        ("r.region = ?", &criteria.region),
        ("r.abbreviation = ?", &criteria.rate_center),
        ("e.city = ?", &criteria.city),
        ("e.lata = ?", &criteria.lata),
        ("e.npa_nxx IN (SELECT npa_nxx FROM exchange_zip WHERE zip = ?)", &criteria.zip),
    ] {
        if let Some(value) = value {
            sql += " AND ";
            sql += condition;
            values.push(Value::Text(value.clone()));
        }
    }
    if let Some((first, end)) = criteria.prefix.as_deref().and_then(Number::nanp_range) {
        sql += " AND e.npa_nxx >= ? AND e.npa_nxx < ?";
        for bound in [first / 10_000 - 1_000_000, end.div_ceil(10_000) - 1_000_000] {
            values.push(Value::Integer(i64::try_from(bound).unwrap_or(i64::MAX)));
        }
    }
    (sql, values)
}

/// Returns the exchanges that match, in the order of their digits.
fn exchanges(connection: &Connection, criteria: &Criteria) -> Result<Vec<Exchange>> {
    let (wanted, values) = wanted(criteria);
    let sql = format!(
        "SELECT {EXCHANGE_COLUMNS} FROM exchange e JOIN rate_center r ON r.id = e.rate_center
         WHERE {wanted} ORDER BY e.npa_nxx LIMIT {EXCHANGES_MAX}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(exchange(row, 0)?);
    }
    Ok(found)
}

/// Returns a page of rate centers, each with its exchanges: together at most [`EXCHANGES_MAX`] exchanges.
fn rate_centers(connection: &Connection, query: &RateCenterQuery) -> Result<Page<RateCenter, u32>> {
    let (mut wanted, mut values) = wanted(&query.criteria);
    if let Some(name) = &query.name {
        wanted += " AND r.name = ?";
        values.push(Value::Text(name.clone()));
    }
    let from = "rate_center r LEFT JOIN exchange e ON e.rate_center = r.id";
    let total: i64 = connection
        .prepare_cached(&format!("SELECT count(DISTINCT r.id) FROM {from} WHERE {wanted}"))?
        .query_row(params_from_iter(&values), |row| row.get(0))?;
    let limit = i64::try_from(query.size.saturating_add(1)).unwrap_or(i64::MAX);
    values.extend([Value::Integer(query.from.into()), Value::Integer(limit)]);
    let sql = format!(
        "SELECT DISTINCT r.id, r.region, r.abbreviation, r.name FROM {from}
         WHERE {wanted} AND r.id >= ? ORDER BY r.id LIMIT ?"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut items = Vec::new();
    let (mut next, mut left) = (None, EXCHANGES_MAX);
    while let Some(row) = rows.next()? {
        let (id, region, abbreviation, name) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if items.len() == query.size || left == 0 {
            next = Some(id);
            break;
        }
        let exchanges = exchanges_in(connection, id, left)?;
        left -= exchanges.len();
        items.push(RateCenter { id, region, abbreviation, name, exchanges });
    }
    Ok(Page { items, total: total.unsigned_abs(), next })
}

fn exchanges_in(connection: &Connection, rate_center: u32, most: usize) -> Result<Vec<Exchange>> {
    let sql = format!(
        "SELECT {EXCHANGE_COLUMNS} FROM exchange e JOIN rate_center r ON r.id = e.rate_center
         WHERE r.id = ? ORDER BY e.npa_nxx LIMIT ?"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((rate_center, i64::try_from(most).unwrap_or(i64::MAX)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(exchange(row, 0)?);
    }
    Ok(found)
}

/// Imports exchanges, all or none.
fn import_exchanges(tables: &mut Tables<'_>, lines: ExchangeLines, doer: &Doer) -> Result<Imported> {
    let mut import = Import::default();
    for (line, exchange) in lines {
        if let Some(exchange) = import.take(line, exchange) {
            put_exchange(tables, &exchange)?;
        }
    }
    let deed = import.deed(doer);
    let imported = import.finish()?;
    write_deeds(tables, &[deed])?;
    tables.cached.back_orders.pool_grew();
    Ok(imported)
}

pub(super) fn put_exchange(tables: &mut Tables<'_>, exchange: &Exchange) -> Result<()> {
    let id = put_rate_center(tables.connection, exchange)?;
    let Exchange { npa_nxx, lata, city, zips, .. } = exchange;
    tables
        .connection
        .prepare_cached(
            "INSERT INTO exchange (npa_nxx, rate_center, lata, city, zips) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (npa_nxx) DO UPDATE SET rate_center = excluded.rate_center, lata = excluded.lata,
                                                 city = excluded.city, zips = excluded.zips",
        )?
        .execute((npa_nxx, id, lata, city, zips.join(" ")))?;
    tables.connection.prepare_cached("DELETE FROM exchange_zip WHERE npa_nxx = ?")?.execute([npa_nxx])?;
    let mut put =
        tables.connection.prepare_cached("INSERT INTO exchange_zip (zip, npa_nxx) VALUES (?, ?)")?;
    for zip in zips {
        put.execute((zip, npa_nxx))?;
    }
    Ok(())
}

/// Writes an exchange's rate center as a plan says, and returns its id.
fn put_rate_center(connection: &Connection, exchange: &Exchange) -> Result<u32> {
    let Exchange { region, rate_center, name, .. } = exchange;
    let known: Option<(u32, String)> = connection
        .prepare_cached("SELECT id, name FROM rate_center WHERE region = ? AND abbreviation = ?")?
        .query_row((region, rate_center), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let known = known.as_ref().map(|(id, name)| (*id, name.as_str()));
    match plan::rate_center(known, exchange) {
        RateCenterWrite::Keep(id) => Ok(id),
        RateCenterWrite::Rename(id) => {
            connection.prepare_cached("UPDATE rate_center SET name = ? WHERE id = ?")?.execute((name, id))?;
            Ok(id)
        }
        RateCenterWrite::New => Ok(connection
            .prepare_cached(
                "INSERT INTO rate_center (region, abbreviation, name) VALUES (?, ?, ?) RETURNING id",
            )?
            .query_row((region, rate_center, name), |row| row.get(0))?),
    }
}

/// Localities of numbers, with each area and exchange read once.
pub(super) struct Localities<'a> {
    connection: &'a Connection,
    names: Names,
    exchanges: HashMap<u32, Option<Exchange>>,
}

impl<'a> Localities<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, names: Names::default(), exchanges: HashMap::new() }
    }

    /// Returns the locality of a number.
    pub(super) fn of(&mut self, entry: &Entry) -> Result<Locality> {
        self.at(entry.number, entry.area)
    }

    /// Returns the locality of a number of an area.
    pub(super) fn at(&mut self, number: Number, area: AreaId) -> Result<Locality> {
        let exchange = match number.npa_nxx() {
            None => None,
            Some(npa_nxx) => match self.exchanges.entry(npa_nxx) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut().as_ref(),
                std::collections::hash_map::Entry::Vacant(unknown) => {
                    unknown.insert(exchange_of(self.connection, npa_nxx)?).as_ref()
                }
            },
        };
        let name = self.names.of(self.connection, area)?;
        Ok(Locality::of(number, name, exchange))
    }
}

/// Returns the localities of numbers. Numbers that do not exist are left out.
pub(super) fn localities(connection: &Connection, numbers: &[Number]) -> Result<Vec<(Number, Locality)>> {
    let mut localities = Localities::new(connection);
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        if let Some(row) = number_row(connection, *number)? {
            found.push((*number, localities.of(&row.entry)?));
        }
    }
    Ok(found)
}

#[async_trait]
impl Exchanges for SqliteStore {
    async fn exchanges(&self, criteria: Criteria) -> Result<Vec<Exchange>> {
        self.readers.read(move |connection| exchanges(connection, &criteria)).await
    }

    async fn rate_centers(&self, query: RateCenterQuery) -> Result<Page<RateCenter, u32>> {
        self.readers.read(move |connection| rate_centers(connection, &query)).await
    }

    async fn import_exchanges(&self, lines: ExchangeLines, doer: Doer) -> Result<Imported> {
        self.writer.write(move |tables| import_exchanges(tables, lines, &doer)).await
    }

    async fn areas(&self) -> Result<Vec<(AreaId, Area)>> {
        self.readers.read(areas).await
    }
}
