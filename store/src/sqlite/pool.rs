//! Searches of the pool and of protected inventories: `plan::draw` says where to look, and what to take.

use async_trait::async_trait;
use onhook_core::ids::{AccountId, AreaId};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::locality::Locality;
use onhook_core::order::search::{Criteria, Inventory};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::areas::Names;
use super::entries::{NUMBER_COLUMNS, NumberRow};
use super::exchanges::{EXCHANGE_COLUMNS, Localities, exchange};
use super::open::SqliteStore;
use crate::Result;
use crate::contract::pool::{Pool, PoolQuery, Stock};
use crate::plan::draw::{
    self as plan, Dice, Draw, LOOKS_MAX, Lot, Lots, PROTECTED_MAX, Share, Source, Span, protected_spans,
    sources,
};

/// The position of a number in its exchange's part of the pool: the second column of `number_pool`.
const SCATTERED: &str = "(number % 10000) * (number % 10000) % 10007 * (number % 10000) % 10007";

/// A condition that a number is in no block that is drained.
const NOT_DRAINED: &str =
    "NOT EXISTS (SELECT 1 FROM block b WHERE b.block = number / 1000 - 10000000 AND b.drain = 1)";

/// Returns numbers that match a query, at most as many as it wants.
fn pool(connection: &Connection, query: &PoolQuery) -> Result<Vec<(Entry, Locality)>> {
    let mut dice = Dice::new(query.seed);
    let mut found = match query.inventory {
        Inventory::Pool | Inventory::Both(_) => {
            of_pool(connection, &lots(connection, &query.criteria)?, query, &mut dice)?
        }
        Inventory::Protected(_) => Vec::new(),
    };
    if let Inventory::Protected(account) | Inventory::Both(account) = query.inventory {
        found.extend(of_protected(connection, query, account, &mut dice)?);
    }
    let chosen = dice.choose(found, query.size).into_iter();
    Ok(chosen.map(|(row, locality)| (row.entry, locality)).collect())
}

/// Returns pool numbers that match a query, from these lots, at most as many as it wants.
pub(super) fn draw(connection: &Connection, lots: &[Lot], query: &PoolQuery) -> Result<Vec<NumberRow>> {
    let mut dice = Dice::new(query.seed);
    let found = of_pool(connection, lots, query, &mut dice)?;
    Ok(dice.choose(found, query.size).into_iter().map(|(row, _)| row).collect())
}

fn of_pool(
    connection: &Connection,
    lots: &[Lot],
    query: &PoolQuery,
    dice: &mut Dice,
) -> Result<Vec<(NumberRow, Locality)>> {
    let mut found = Vec::new();
    match plan::draw(lots, query, dice) {
        Draw::Shares(shares) => {
            for share in shares {
                read_share(connection, &lots[share.lot], share, &mut found)?;
            }
        }
        Draw::Spans(spans) => {
            let mut looks = 0;
            for of_lot in spans.chunk_by(|one, other| one.lot == other.lot) {
                for span in of_lot {
                    looks += span.looks();
                    read_span(connection, &lots[span.lot], *span, &mut found)?;
                }
                if found.len() >= query.size || looks >= LOOKS_MAX {
                    break;
                }
            }
        }
    }
    found.retain(|(row, locality)| query.criteria.fits(row.entry.number, locality));
    Ok(found)
}

fn read_span(
    connection: &Connection,
    lot: &Lot,
    span: Span,
    found: &mut Vec<(NumberRow, Locality)>,
) -> Result<()> {
    let sql = format!(
        "SELECT {NUMBER_COLUMNS} FROM number
         WHERE number >= ? AND number < ? AND state = 0 AND +area = ? AND {NOT_DRAINED}"
    );
    read(connection, &sql, [integer(span.first), integer(span.end), integer(lot.area.0.into())], lot, found)
}

/// Reads a share of a lot, from a position in its scattered order on, and then from its start.
fn read_share(
    connection: &Connection,
    lot: &Lot,
    share: Share,
    found: &mut Vec<(NumberRow, Locality)>,
) -> Result<()> {
    let enough = found.len() + share.numbers;
    for compare in [">=", "<"] {
        let sql = format!(
            "SELECT {NUMBER_COLUMNS} FROM number INDEXED BY number_pool
             WHERE state = 0 AND number / 10000 = ? AND {SCATTERED} {compare} ? AND +area = ?
               AND {NOT_DRAINED}
             ORDER BY {SCATTERED} LIMIT ?"
        );
        let left = u64::try_from(enough.saturating_sub(found.len())).unwrap_or(u64::MAX);
        let exchange = 1_000_000 + u64::from(lot.npa_nxx);
        let values = [integer(exchange), integer(share.from), integer(lot.area.0.into()), integer(left)];
        read(connection, &sql, values, lot, found)?;
        if found.len() >= enough {
            break;
        }
    }
    Ok(())
}

fn read(
    connection: &Connection,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
    lot: &Lot,
    found: &mut Vec<(NumberRow, Locality)>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        found.push((NumberRow::read(row)?, lot.locality.clone()));
    }
    Ok(())
}

/// Returns an account's protected numbers that match, from a random one on, and then from the first.
fn of_protected(
    connection: &Connection,
    query: &PoolQuery,
    account: AccountId,
    dice: &mut Dice,
) -> Result<Vec<(NumberRow, Locality)>> {
    let sql = format!(
        "SELECT {NUMBER_COLUMNS} FROM number WHERE state = 4 AND holder = ? AND number >= ? AND number < ?
         ORDER BY number"
    );
    let mut localities = Localities::new(connection);
    let (mut found, mut looks) = (Vec::new(), 0);
    for (low, high) in protected_spans(&query.criteria, dice).into_iter().flatten() {
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query([integer(account.get().into()), integer(low), integer(high)])?;
        while let Some(row) = rows.next()? {
            if found.len() >= query.size || looks >= PROTECTED_MAX {
                return Ok(found);
            }
            looks += 1;
            let row = NumberRow::read(row)?;
            let locality = localities.of(&row.entry)?;
            if query.criteria.fits(row.entry.number, &locality) {
                found.push((row, locality));
            }
        }
    }
    Ok(found)
}

/// Returns the lots that match.
pub(super) fn lots(connection: &Connection, criteria: &Criteria) -> Result<Vec<Lot>> {
    let mut lots = Lots::new(criteria);
    let mut names = Names::default();
    for source in sources(criteria) {
        let (sql, mut values) = of_source(source);
        values.push(integer(u64::try_from(lots.left()).unwrap_or_default()));
        let sql = format!(
            "SELECT s.npa_nxx, s.area, s.numbers - CASE
                 WHEN EXISTS (SELECT 1 FROM block b WHERE b.drain = 1
                              AND b.block >= s.npa_nxx * 10 AND b.block < s.npa_nxx * 10 + 10)
                 THEN (SELECT count(*) FROM block b JOIN number n
                       ON n.number >= (10000000 + b.block) * 1000 AND n.number < (10000001 + b.block) * 1000
                       WHERE b.drain = 1 AND b.block >= s.npa_nxx * 10 AND b.block < s.npa_nxx * 10 + 10
                         AND n.state = 0 AND +n.area = s.area)
                 ELSE 0 END,
                 {EXCHANGE_COLUMNS} FROM ({sql} LIMIT ?) s
             LEFT JOIN exchange e ON e.npa_nxx = s.npa_nxx LEFT JOIN rate_center r ON r.id = e.rate_center"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let (npa_nxx, area) = (row.get(0)?, AreaId(row.get(1)?));
            if lots.wants(npa_nxx, area) {
                let numbers: i64 = row.get(2)?;
                let name = names.of(connection, area)?;
                lots.add((npa_nxx, area), numbers.unsigned_abs(), name, exchange(row, 3)?.as_ref())?;
            }
        }
    }
    Ok(lots.finish())
}

/// Returns the query for the lots of a source.
fn of_source(source: Source<'_>) -> (&'static str, Vec<Value>) {
    let text = |text: &str| vec![Value::Text(text.to_owned())];
    match source {
        Source::Exchanges(first, end) => (
            "SELECT npa_nxx, area, numbers FROM stock WHERE npa_nxx >= ? AND npa_nxx < ?",
            vec![integer(first), integer(end)],
        ),
        Source::Zip(zip) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM exchange_zip z JOIN stock s USING (npa_nxx)
             WHERE z.zip = ?",
            text(zip),
        ),
        Source::City(city) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM exchange e JOIN stock s USING (npa_nxx) WHERE e.city = ?",
            text(city),
        ),
        Source::Lata(lata) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM exchange e JOIN stock s USING (npa_nxx) WHERE e.lata = ?",
            text(lata),
        ),
        Source::AreasOfRateCenter(rate_center) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM area a JOIN stock s ON s.area = a.id
             WHERE a.rate_center = ?",
            text(rate_center),
        ),
        Source::ExchangesOfRateCenter(rate_center) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM rate_center r
             JOIN exchange e ON e.rate_center = r.id JOIN stock s USING (npa_nxx) WHERE r.abbreviation = ?",
            text(rate_center),
        ),
        Source::AreasOfRegion(region) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM area a JOIN stock s ON s.area = a.id
             WHERE a.region = ?",
            text(region),
        ),
        Source::ExchangesOfRegion(region) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM rate_center r
             JOIN exchange e ON e.rate_center = r.id JOIN stock s USING (npa_nxx) WHERE r.region = ?",
            text(region),
        ),
        Source::All => ("SELECT npa_nxx, area, numbers FROM stock", Vec::new()),
    }
}

fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

#[async_trait]
impl Pool for SqliteStore {
    async fn pool(&self, query: PoolQuery) -> Result<Vec<(Entry, Locality)>> {
        self.readers.read(move |connection| pool(connection, &query)).await
    }

    /// Criteria for digits after the exchange are ignored.
    async fn stock(&self, criteria: Criteria) -> Result<Vec<Stock>> {
        self.readers.read(move |connection| lots(connection, &criteria).map(plan::stock)).await
    }
}
