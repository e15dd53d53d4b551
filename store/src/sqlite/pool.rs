//! Searches of the pool and of protected inventories.
//!
//! All pool numbers of one exchange and area have the same locality: they are a *lot*. The store counts the numbers of
//! each lot. A search reads lots first, lets `core` say which of them match, draws how many numbers to take from each,
//! and reads only those numbers. Its cost depends on the lots of the locality that is searched and on the quantity,
//! not on the size of the pool.
//!
//! Chance alone decides which numbers are returned, and in which order. So nobody can browse for numbers that were
//! just given up.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use onhook_core::area_codes;
use onhook_core::ids::{AccountId, AreaId};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::locality::Locality;
use onhook_core::number::{Number, TOLL_FREE};
use onhook_core::order::search::{Criteria, Inventory, fits};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::areas::Names;
use super::entries::{NUMBER_COLUMNS, NumberRow};
use super::exchanges::{EXCHANGE_COLUMNS, Localities, exchange};
use super::open::SqliteStore;
use crate::Result;
use crate::contract::pool::{Pool, PoolQuery, Stock};
use crate::error::corrupt;

/// Most lots that one search reads: all area codes together have about as many exchanges in service.
const LOTS_MAX: usize = 200_000;

/// Most work of a search that does not know beforehand how many numbers of a lot match: numbers read, and [`SEEK`]
/// more for each seek in the table. It does not find what lies beyond.
const LOOKS_MAX: u64 = 1_000_000;

/// The cost of a seek in the table, in numbers read.
const SEEK: u64 = 20;

/// Most protected numbers that one search reads.
const PROTECTED_MAX: usize = 100_000;

/// The position of a number in its exchange's part of the pool: the second column of `number_pool`.
const SCATTERED: &str = "(number % 10000) * (number % 10000) % 10007 * (number % 10000) % 10007";

/// How many positions there are.
const SCATTER: u64 = 10_007;

/// Pool numbers of one exchange and area, which have the same locality.
pub(super) struct Lot {
    npa_nxx: u32,
    area: AreaId,
    numbers: u64,
    locality: Locality,
}

/// Returns numbers that match a query, at most as many as it wants.
fn pool(connection: &Connection, query: &PoolQuery) -> Result<Vec<(Entry, Locality)>> {
    let mut dice = Dice(query.seed);
    let mut found = match query.inventory {
        Inventory::Pool | Inventory::Both(_) => {
            of_pool(connection, &lots(connection, &query.criteria)?, query, &mut dice)?
        }
        Inventory::Protected(_) => Vec::new(),
    };
    if let Inventory::Protected(account) | Inventory::Both(account) = query.inventory {
        found.extend(of_protected(connection, query, account, &mut dice)?);
    }
    dice.shuffle(&mut found);
    found.truncate(query.size);
    Ok(found.into_iter().map(|(row, locality)| (row.entry, locality)).collect())
}

/// Returns the pool numbers of each matching exchange, in the order of the exchanges. Criteria for digits after the
/// exchange are ignored.
fn stock(connection: &Connection, criteria: &Criteria) -> Result<Vec<Stock>> {
    let lots = lots(connection, criteria)?.into_iter();
    Ok(lots.map(|Lot { npa_nxx, numbers, locality, .. }| Stock { npa_nxx, numbers, locality }).collect())
}

/// Returns pool numbers that match a query, from these lots, at most as many as it wants.
pub(super) fn draw(connection: &Connection, lots: &[Lot], query: &PoolQuery) -> Result<Vec<NumberRow>> {
    let mut dice = Dice(query.seed);
    let mut found = of_pool(connection, lots, query, &mut dice)?;
    dice.shuffle(&mut found);
    found.truncate(query.size);
    Ok(found.into_iter().map(|(row, _)| row).collect())
}

/// Returns how many pool numbers some lots have.
pub(super) fn numbers_in(lots: &[Lot]) -> u64 {
    lots.iter().map(|lot| lot.numbers).sum()
}

fn of_pool(
    connection: &Connection,
    lots: &[Lot],
    query: &PoolQuery,
    dice: &mut Dice,
) -> Result<Vec<(NumberRow, Locality)>> {
    let spans: Vec<_> = lots.iter().map(|lot| query.criteria.spans(lot.npa_nxx)).collect();
    let whole = |spans: &[(u64, u64)]| matches!(spans, [(first, end)] if end - first == 10_000);
    let mut found = Vec::new();
    if spans.iter().all(|spans| whole(spans)) {
        let counts: Vec<u64> = lots.iter().map(|lot| lot.numbers).collect();
        for (lot, wanted) in dice.draw(&counts, query.size) {
            let lot = &lots[lot];
            draw_from(connection, lot, wanted, dice.roll() % SCATTER, &mut found)?;
        }
    } else {
        let mut lots: Vec<&Lot> = lots.iter().collect();
        dice.shuffle(&mut lots);
        let mut looks = 0;
        for lot in lots {
            for (first, end) in query.criteria.spans(lot.npa_nxx) {
                looks += SEEK + end - first;
                let sql = format!(
                    "SELECT {NUMBER_COLUMNS} FROM number WHERE number >= ? AND number < ? AND state = 0 AND +area = ?"
                );
                let values = [integer(first), integer(end), integer(lot.area.0.into())];
                read(connection, &sql, values, lot, &mut found)?;
            }
            if found.len() >= query.size || looks >= LOOKS_MAX {
                break;
            }
        }
    }
    found.retain(|(row, locality)| query.criteria.fits(row.entry.number, locality));
    Ok(found)
}

/// Draws `wanted` numbers of a lot, from a position in its scattered order on, and then from its start.
fn draw_from(
    connection: &Connection,
    lot: &Lot,
    wanted: usize,
    from: u64,
    found: &mut Vec<(NumberRow, Locality)>,
) -> Result<()> {
    let enough = found.len() + wanted;
    for compare in [">=", "<"] {
        let sql = format!(
            "SELECT {NUMBER_COLUMNS} FROM number INDEXED BY number_pool
             WHERE state = 0 AND number / 10000 = ? AND {SCATTERED} {compare} ? AND +area = ?
             ORDER BY {SCATTERED} LIMIT ?"
        );
        let left = u64::try_from(enough.saturating_sub(found.len())).unwrap_or(u64::MAX);
        let exchange = 1_000_000 + u64::from(lot.npa_nxx);
        let values = [integer(exchange), integer(from), integer(lot.area.0.into()), integer(left)];
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
    let prefix = query.criteria.prefix.as_deref();
    let range = prefix.map_or(Some((0, i64::MAX.unsigned_abs())), Number::nanp_range);
    let Some((first, end)) = range else { return Ok(Vec::new()) };
    let wide = prefix.is_none();
    let from =
        if wide { 12_000_000_000 + dice.roll() % 8_000_000_000 } else { first + dice.roll() % (end - first) };
    let sql = format!(
        "SELECT {NUMBER_COLUMNS} FROM number WHERE state = 4 AND holder = ? AND number >= ? AND number < ?
         ORDER BY number"
    );
    let mut localities = Localities::new(connection);
    let (mut found, mut looks) = (Vec::new(), 0);
    for (low, high) in [(from, end), (first, from)] {
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

/// Returns the lots that match, found by the narrowest criterion.
pub(super) fn lots(connection: &Connection, criteria: &Criteria) -> Result<Vec<Lot>> {
    let text = |text: &str| Value::Text(text.to_owned());
    let range = |prefix: &str| {
        let (first, end) = Number::nanp_range(prefix)?;
        // A longer prefix is part of one exchange.
        let (first, end) = (first / 10_000 - 1_000_000, end.div_ceil(10_000) - 1_000_000);
        let sql = "SELECT npa_nxx, area, numbers FROM stock WHERE npa_nxx >= ? AND npa_nxx < ?";
        Some((sql, vec![integer(first), integer(end)]))
    };
    let mut sources: Vec<(&str, Vec<Value>)> = Vec::new();
    if let Some(prefix) = &criteria.prefix {
        sources.extend(range(prefix));
    } else if criteria.toll_free.is_some() {
        let pattern = match &criteria.toll_free {
            Some(onhook_core::order::search::TollFree::Pattern(pattern)) => pattern.as_str(),
            _ => "***",
        };
        let codes = TOLL_FREE.iter().map(ToString::to_string).filter(|npa| fits(pattern, npa));
        sources.extend(codes.filter_map(|npa| range(&npa)));
    } else if let Some(zip) = &criteria.zip {
        let sql = "SELECT s.npa_nxx, s.area, s.numbers FROM exchange_zip z JOIN stock s USING (npa_nxx)
                   WHERE z.zip = ?";
        sources.push((sql, vec![text(zip)]));
    } else if let Some(city) = &criteria.city {
        let sql = "SELECT s.npa_nxx, s.area, s.numbers FROM exchange e JOIN stock s USING (npa_nxx)
                   WHERE e.city = ?";
        sources.push((sql, vec![text(city)]));
    } else if let Some(rate_center) = &criteria.rate_center {
        let of_area = "SELECT s.npa_nxx, s.area, s.numbers FROM area a JOIN stock s ON s.area = a.id
                       WHERE a.rate_center = ?";
        let of_exchange = "SELECT s.npa_nxx, s.area, s.numbers FROM rate_center r
                           JOIN exchange e ON e.rate_center = r.id JOIN stock s USING (npa_nxx)
                           WHERE r.abbreviation = ?";
        sources.extend([of_area, of_exchange].map(|sql| (sql, vec![text(rate_center)])));
    } else if let Some(lata) = &criteria.lata {
        let sql = "SELECT s.npa_nxx, s.area, s.numbers FROM exchange e JOIN stock s USING (npa_nxx)
                   WHERE e.lata = ?";
        sources.push((sql, vec![text(lata)]));
    } else if let Some(region) = &criteria.region {
        let of_area = "SELECT s.npa_nxx, s.area, s.numbers FROM area a JOIN stock s ON s.area = a.id
                       WHERE a.region = ?";
        let of_exchange = "SELECT s.npa_nxx, s.area, s.numbers FROM rate_center r
                           JOIN exchange e ON e.rate_center = r.id JOIN stock s USING (npa_nxx)
                           WHERE r.region = ?";
        sources.extend([of_area, of_exchange].map(|sql| (sql, vec![text(region)])));
        sources.extend(area_codes::area_codes(region).iter().filter_map(|npa| range(&npa.to_string())));
    } else {
        sources.push(("SELECT npa_nxx, area, numbers FROM stock", Vec::new()));
    }
    let mut lots: BTreeMap<(u32, AreaId), Lot> = BTreeMap::new();
    let mut names = Names::default();
    for (sql, mut values) in sources {
        let left = u64::try_from(LOTS_MAX - lots.len()).unwrap_or_default();
        values.push(integer(left));
        let sql = format!(
            "SELECT s.npa_nxx, s.area, s.numbers, {} FROM ({sql} LIMIT ?) s
             LEFT JOIN exchange e ON e.npa_nxx = s.npa_nxx LEFT JOIN rate_center r ON r.id = e.rate_center",
            EXCHANGE_COLUMNS,
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let key = (row.get(0)?, AreaId(row.get(1)?));
            if lots.contains_key(&key) {
                continue;
            }
            if let Some(lot) = lot(connection, key, row, criteria, &mut names)? {
                lots.insert(key, lot);
            }
        }
    }
    Ok(lots.into_values().collect())
}

/// Returns a row's lot, if it matches.
fn lot(
    connection: &Connection,
    (npa_nxx, area): (u32, AreaId),
    row: &Row<'_>,
    criteria: &Criteria,
    names: &mut Names,
) -> Result<Option<Lot>> {
    if criteria.spans(npa_nxx).is_empty() {
        return Ok(None);
    }
    let numbers: i64 = row.get(2)?;
    let exchange = exchange(row, 3)?;
    let any = Number::from_digits(10_000_000_000 + u64::from(npa_nxx) * 10_000);
    let any = any.map_err(|error| corrupt(error.to_string()))?;
    let locality = Locality::of(any, names.of(connection, area)?, exchange.as_ref());
    let fits = criteria.lies(&locality);
    Ok(fits.then_some(Lot { npa_nxx, area, numbers: numbers.unsigned_abs(), locality }))
}

fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// SplitMix64 (Steele, Lea, Flood 2014): good enough that the order tells nothing.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let sides = u64::try_from(last).unwrap_or(u64::MAX) + 1;
            items.swap(last, usize::try_from(self.roll() % sides).unwrap_or(last));
        }
    }

    /// Draws how many of `wanted` things to take from which heap, each thing as likely as any other (Floyd's
    /// sampling). Heaps that give none are left out.
    fn draw(&mut self, heaps: &[u64], wanted: usize) -> Vec<(usize, usize)> {
        let total: u64 = heaps.iter().sum();
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        if wanted >= total {
            let all = heaps.iter().map(|heap| usize::try_from(*heap).unwrap_or(usize::MAX));
            return all.enumerate().filter(|(_, heap)| *heap > 0).collect();
        }
        let mut drawn = BTreeSet::new();
        for last in total - wanted..total {
            let one = self.roll() % (last + 1);
            if !drawn.insert(one) {
                drawn.insert(last);
            }
        }
        let mut drawn = drawn.into_iter().peekable();
        let (mut end, mut shares) = (0, Vec::new());
        for (heap, size) in heaps.iter().enumerate() {
            end += size;
            let mut share = 0;
            while drawn.next_if(|one| *one < end).is_some() {
                share += 1;
            }
            if share > 0 {
                shares.push((heap, share));
            }
        }
        shares
    }
}

#[async_trait]
impl Pool for SqliteStore {
    async fn pool(&self, query: PoolQuery) -> Result<Vec<(Entry, Locality)>> {
        self.readers.read(move |connection| pool(connection, &query)).await
    }

    async fn stock(&self, criteria: Criteria) -> Result<Vec<Stock>> {
        self.readers.read(move |connection| stock(connection, &criteria)).await
    }
}
