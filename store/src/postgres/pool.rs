//! Searches of the pool and of protected inventories: `plan::draw` says where to look, and what to take.

use std::collections::HashMap;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::{AccountId, AreaId};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::locality::Locality;
use onhook_core::order::search::{Criteria, Inventory};
use tokio_postgres::Row;

use super::areas::area_names;
use super::entries::{NUMBER_COLUMNS, NumberRow};
use super::exchanges::{EXCHANGE_COLUMNS, Localities, exchange, spot};
use super::open::PostgresStore;
use super::row::{get, limit, small};
use super::statement::{Value, rows};
use super::transaction::reading;
use crate::Result;
use crate::contract::pool::{Pool, PoolQuery, Stock};
use crate::error::corrupt;
use crate::plan::draw::{
    self as plan, Dice, Draw, LOOKS_MAX, Lot, Lots, PROTECTED_MAX, Share, Source, Span, protected_spans,
    sources,
};

/// The position of a number in its exchange's part of the pool: the second column of `number_pool`.
const SCATTERED: &str = "((number % 10000) * (number % 10000) % 10007 * (number % 10000) % 10007)";

/// A condition that a number is in no block that is drained.
const NOT_DRAINED: &str = "NOT EXISTS (SELECT 1 FROM block b
                                       WHERE b.drain AND (10000000 + b.block) * 1000 = number - number % 1000)";

/// The column after those of [`NUMBER_COLUMNS`]: which of the lots a number is in.
const LOT: usize = 12;

/// Looks of the spans that one statement reads.
const LOOKS: u64 = 20_000;

/// Protected numbers that one statement reads.
const PROTECTED: usize = 1_000;

/// Returns numbers that match a query, at most as many as it wants.
async fn pool(client: &Client, query: &PoolQuery) -> Result<Vec<(Entry, Locality)>> {
    let mut dice = Dice::new(query.seed);
    let mut found = match query.inventory {
        Inventory::Pool | Inventory::Both(_) => {
            let lots = lots(client, &query.criteria).await?;
            let found = of_pool(client, &lots, query, &mut dice).await?.into_iter();
            found.filter_map(|(row, lot)| Some((row, lots.get(lot)?.locality.clone()))).collect()
        }
        Inventory::Protected(_) => Vec::new(),
    };
    if let Inventory::Protected(account) | Inventory::Both(account) = query.inventory {
        found.extend(of_protected(client, query, account, &mut dice).await?);
    }
    let chosen = dice.choose(found, query.size).into_iter();
    Ok(chosen.map(|(row, locality)| (row.entry, locality)).collect())
}

/// Returns pool numbers that match a query, from these lots, at most as many as it wants.
pub(super) async fn draw(client: &Client, lots: &[Lot], query: &PoolQuery) -> Result<Vec<NumberRow>> {
    let mut dice = Dice::new(query.seed);
    let found = of_pool(client, lots, query, &mut dice).await?;
    Ok(dice.choose(found, query.size).into_iter().map(|(row, _)| row).collect())
}

/// Returns pool numbers that match, each with its lot: the n-th of these, from 0.
async fn of_pool(
    client: &Client,
    lots: &[Lot],
    query: &PoolQuery,
    dice: &mut Dice,
) -> Result<Vec<(NumberRow, usize)>> {
    let mut found = match plan::draw(lots, query, dice) {
        Draw::Shares(shares) => read_shares(client, lots, &shares).await?,
        Draw::Spans(spans) => {
            let (mut found, mut all_looks) = (Vec::new(), 0);
            let mut left = spans.as_slice();
            while !left.is_empty() && found.len() < query.size && all_looks < LOOKS_MAX {
                let (mut size, mut looks) = (0, 0);
                while let Some(span) = left.get(size).filter(|_| looks < LOOKS) {
                    looks += span.looks();
                    size += 1;
                }
                let (some, rest) = left.split_at(size);
                read_spans(client, lots, some, &mut found).await?;
                all_looks += looks;
                left = rest;
            }
            found
        }
    };
    found.retain(|(row, lot)| {
        lots.get(*lot).is_some_and(|lot| query.criteria.fits(row.entry.number, &lot.locality))
    });
    Ok(found)
}

/// Reads shares of lots, each from a position in its scattered order on, and what is missing then from its start.
async fn read_shares(client: &Client, lots: &[Lot], shares: &[Share]) -> Result<Vec<(NumberRow, usize)>> {
    let mut found = Vec::new();
    let mut missing: Vec<(Share, &Lot)> =
        shares.iter().filter_map(|share| Some((*share, lots.get(share.lot)?))).collect();
    for compare in [">=", "<"] {
        let Some(most) = missing.iter().map(|(share, _)| share.numbers).max() else { break };
        let (mut ids, mut exchanges, mut areas, mut froms) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (share, lot) in &missing {
            ids.push(limit(share.lot));
            exchanges.push((1_000_000 + i64::from(lot.npa_nxx)) * 10_000);
            areas.push(i64::from(lot.area.0));
            froms.push(integer(share.from));
        }
        // The limit is the same for all, since some databases know no other one here.
        let sql = format!(
            "SELECT {NUMBER_COLUMNS}, d.lot
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS d (lot, exchange, in_area, low)
             CROSS JOIN LATERAL (SELECT {NUMBER_COLUMNS}, {SCATTERED} AS spot FROM number
                                 WHERE offered = 0 AND number - number % 10000 = d.exchange AND area = d.in_area
                                   AND {SCATTERED} {compare} d.low AND {NOT_DRAINED}
                                 ORDER BY {SCATTERED} LIMIT $5) n
             ORDER BY d.lot, n.spot"
        );
        let values: [&dyn Value; 5] = [&ids, &exchanges, &areas, &froms, &limit(most)];
        let mut left: HashMap<usize, usize> =
            missing.iter().map(|(share, _)| (share.lot, share.numbers)).collect();
        for row in &rows(client, &sql, &values).await? {
            let (number, lot) = read(row)?;
            if let Some(left) = left.get_mut(&lot).filter(|left| **left > 0) {
                *left -= 1;
                found.push((number, lot));
            }
        }
        for (share, _) in &mut missing {
            share.numbers = left.get(&share.lot).copied().unwrap_or(0);
        }
        missing.retain(|(share, _)| share.numbers > 0);
    }
    Ok(found)
}

async fn read_spans(
    client: &Client,
    lots: &[Lot],
    spans: &[Span],
    found: &mut Vec<(NumberRow, usize)>,
) -> Result<()> {
    let (mut ids, mut areas, mut firsts, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for span in spans {
        let Some(lot) = lots.get(span.lot) else { continue };
        ids.push(limit(span.lot));
        areas.push(i64::from(lot.area.0));
        firsts.push(integer(span.first));
        ends.push(integer(span.end));
    }
    let sql = format!(
        "SELECT {NUMBER_COLUMNS}, d.lot
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS d (lot, in_area, low, high)
         JOIN number n ON n.number >= d.low AND n.number < d.high AND n.area = d.in_area
         WHERE n.state = 0 AND {NOT_DRAINED} ORDER BY number"
    );
    for row in &rows(client, &sql, &[&ids, &areas, &firsts, &ends]).await? {
        found.push(read(row)?);
    }
    Ok(())
}

fn read(row: &Row) -> Result<(NumberRow, usize)> {
    Ok((NumberRow::read(row)?, small(row, LOT)?))
}

/// Returns an account's protected numbers that match, from a random one on, and then from the first.
async fn of_protected(
    client: &Client,
    query: &PoolQuery,
    account: AccountId,
    dice: &mut Dice,
) -> Result<Vec<(NumberRow, Locality)>> {
    let sql = format!(
        "SELECT {NUMBER_COLUMNS} FROM number WHERE offered = 4 AND holder = $1 AND number >= $2 AND number < $3
         ORDER BY number LIMIT $4"
    );
    let mut localities = Localities::default();
    let (mut found, mut looks) = (Vec::new(), 0);
    for (low, high) in protected_spans(&query.criteria, dice).into_iter().flatten() {
        let mut low = integer(low);
        loop {
            let values: [&dyn Value; 4] =
                [&i64::from(account.get()), &low, &integer(high), &limit(PROTECTED)];
            let some = rows(client, &sql, &values).await?;
            let read = some.iter().map(NumberRow::read).collect::<Result<Vec<_>>>()?;
            localities.learn(client, &read.iter().map(|row| spot(&row.entry)).collect::<Vec<_>>()).await?;
            for row in read {
                if found.len() >= query.size || looks >= PROTECTED_MAX {
                    return Ok(found);
                }
                looks += 1;
                let locality = localities.at(spot(&row.entry))?;
                if query.criteria.fits(row.entry.number, &locality) {
                    found.push((row, locality));
                }
            }
            match some.last() {
                Some(last) if some.len() == PROTECTED => low = get::<i64>(last, 0)? + 1,
                _ => break,
            }
        }
    }
    Ok(found)
}

/// Returns the lots that match.
pub(super) async fn lots(client: &Client, criteria: &Criteria) -> Result<Vec<Lot>> {
    let mut lots = Lots::new(criteria);
    for source in sources(criteria) {
        let (sql, given) = of_source(source);
        let mut values: Vec<&dyn Value> = given.iter().map(Given::value).collect();
        let left = limit(lots.left());
        values.push(&left);
        let sql = format!(
            "SELECT s.npa_nxx, s.area, s.numbers - CASE
                 WHEN EXISTS (SELECT 1 FROM block b WHERE b.drain
                              AND b.block >= s.npa_nxx * 10 AND b.block < s.npa_nxx * 10 + 10)
                 THEN (SELECT count(*) FROM block b JOIN number n
                       ON n.number >= (10000000 + b.block) * 1000 AND n.number < (10000001 + b.block) * 1000
                       WHERE b.drain AND b.block >= s.npa_nxx * 10 AND b.block < s.npa_nxx * 10 + 10
                         AND n.state = 0 AND n.area = s.area)
                 ELSE 0 END,
                 {EXCHANGE_COLUMNS}
             FROM ({sql} AND s.numbers > 0 LIMIT ${}) s
             LEFT JOIN exchange e ON e.npa_nxx = s.npa_nxx LEFT JOIN rate_center r ON r.id = e.rate_center",
            values.len()
        );
        let mut found = Vec::new();
        for row in &rows(client, &sql, &values).await? {
            let (npa_nxx, area) = (small(row, 0)?, AreaId(small(row, 1)?));
            if lots.wants(npa_nxx, area) {
                found.push(((npa_nxx, area), get::<i64>(row, 2)?.unsigned_abs(), exchange(row, 3)?));
            }
        }
        let names = area_names(client, found.iter().map(|((_, area), ..)| *area)).await?;
        for (key, numbers, exchange) in found {
            let name = names.get(&key.1).ok_or_else(|| corrupt("an area is missing"))?;
            lots.add(key, numbers, name, exchange.as_ref())?;
        }
    }
    Ok(lots.finish())
}

/// A value that a source gives to its query.
enum Given<'a> {
    Text(&'a str),
    Whole(i64),
}

impl Given<'_> {
    fn value(&self) -> &dyn Value {
        match self {
            Given::Text(text) => text,
            Given::Whole(number) => number,
        }
    }
}

/// Returns the query for the lots of a source, up to the end of its conditions.
fn of_source(source: Source<'_>) -> (&'static str, Vec<Given<'_>>) {
    match source {
        Source::Exchanges(first, end) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM stock s WHERE s.npa_nxx >= $1 AND s.npa_nxx < $2",
            vec![Given::Whole(integer(first)), Given::Whole(integer(end))],
        ),
        Source::Zip(zip) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM exchange_zip z JOIN stock s ON s.npa_nxx = z.npa_nxx
             WHERE z.zip = $1",
            vec![Given::Text(zip)],
        ),
        Source::City(city) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM exchange e JOIN stock s ON s.npa_nxx = e.npa_nxx
             WHERE e.city = $1",
            vec![Given::Text(city)],
        ),
        Source::Lata(lata) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM exchange e JOIN stock s ON s.npa_nxx = e.npa_nxx
             WHERE e.lata = $1",
            vec![Given::Text(lata)],
        ),
        Source::AreasOfRateCenter(rate_center) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM area a JOIN stock s ON s.area = a.id
             WHERE a.rate_center = $1",
            vec![Given::Text(rate_center)],
        ),
        Source::ExchangesOfRateCenter(rate_center) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM rate_center r JOIN exchange e ON e.rate_center = r.id
             JOIN stock s ON s.npa_nxx = e.npa_nxx WHERE r.abbreviation = $1",
            vec![Given::Text(rate_center)],
        ),
        Source::AreasOfRegion(region) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM area a JOIN stock s ON s.area = a.id
             WHERE a.region = $1",
            vec![Given::Text(region)],
        ),
        Source::ExchangesOfRegion(region) => (
            "SELECT s.npa_nxx, s.area, s.numbers FROM rate_center r JOIN exchange e ON e.rate_center = r.id
             JOIN stock s ON s.npa_nxx = e.npa_nxx WHERE r.region = $1",
            vec![Given::Text(region)],
        ),
        Source::All => ("SELECT s.npa_nxx, s.area, s.numbers FROM stock s WHERE true", Vec::new()),
    }
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[async_trait]
impl Pool for PostgresStore {
    async fn pool(&self, query: PoolQuery) -> Result<Vec<(Entry, Locality)>> {
        reading!(self, client => pool(&client, &query).await)
    }

    /// Criteria for digits after the exchange are ignored.
    async fn stock(&self, criteria: Criteria) -> Result<Vec<Stock>> {
        reading!(self, client => lots(&client, &criteria).await.map(plan::stock))
    }
}
