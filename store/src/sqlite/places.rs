//! Exchanges and rate centers: what an operator's file says of them, and where a number lies by it.

use std::collections::HashMap;

use onhook_core::lifecycle::Entry;
use onhook_core::locality::{Exchange, Locality};
use rusqlite::{Connection, Row};

use super::pool::Names;
use crate::Result;

/// What [`exchange`] reads, of `exchange e` and `rate_center r`.
pub(super) const EXCHANGE_COLUMNS: &str =
    "e.npa_nxx, r.region, r.abbreviation, r.name, e.lata, e.city, e.zips";

/// An exchange, from the column `at` on; none where an outer join found none.
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

/// The exchange with these six digits.
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

/// Where numbers lie, with each area and exchange read once.
pub(super) struct Localities<'a> {
    connection: &'a Connection,
    names: Names,
    exchanges: HashMap<u32, Option<Exchange>>,
}

impl<'a> Localities<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, names: Names::default(), exchanges: HashMap::new() }
    }

    /// Where a number lies.
    pub(super) fn of(&mut self, entry: &Entry) -> Result<Locality> {
        let exchange = match entry.number.npa_nxx() {
            None => None,
            Some(npa_nxx) => match self.exchanges.entry(npa_nxx) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut().as_ref(),
                std::collections::hash_map::Entry::Vacant(unknown) => {
                    unknown.insert(exchange_of(self.connection, npa_nxx)?).as_ref()
                }
            },
        };
        let name = self.names.of(self.connection, entry.area)?;
        Ok(Locality::of(entry.number, name, exchange))
    }
}
