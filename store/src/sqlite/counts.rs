//! Counts that are kept beside the numbers: gathered by a job, then written once.

use std::collections::{BTreeMap, BTreeSet};

use onhook_core::ids::{AccountId, AreaId, PeerId};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::{Entry, Standing};
use rusqlite::{Connection, ToSql};

use super::cached::Cached;
use crate::Result;
use crate::codes::state_code;
use crate::error::corrupt;

/// What a job changes in the counts that are kept: gathered, then written once.
#[derive(Default)]
pub(super) struct Counts {
    by_account: BTreeMap<(u32, u8), i64>,
    due: BTreeMap<(i64, u32), i64>,
    in_service: BTreeMap<(u32, u32), i64>,
    stock: BTreeMap<(u32, AreaId), i64>,
    areas: BTreeSet<AreaId>,
}

impl Counts {
    /// A number that is new in the store.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.count(entry, 1);
        self.areas.insert(entry.area);
    }

    /// A number that changed.
    pub(super) fn change(&mut self, before: &Entry, after: &Entry) {
        self.count(before, -1);
        self.count(after, 1);
        if [before.state(), after.state()].contains(&State::Available) || after.state() == State::InService {
            self.areas.insert(after.area);
        }
    }

    fn count(&mut self, entry: &Entry, by: i64) {
        let account = entry.standing.holder().map_or(0, AccountId::get);
        *self.by_account.entry((account, state_code(entry.state()))).or_default() += by;
        if let Some(due_at) = entry.standing.due_at() {
            *self.due.entry((due_at.millis(), account)).or_default() += by;
        }
        if let (State::Available, Some(npa_nxx)) = (entry.state(), entry.number.npa_nxx()) {
            *self.stock.entry((npa_nxx, entry.area)).or_default() += by;
        }
        if let Standing::InService { place } = entry.standing {
            let peer = place.peer.map_or(0, PeerId::get);
            *self.in_service.entry((place.site.get(), peer)).or_default() += by;
        }
    }

    pub(super) fn write(self, connection: &Connection, cached: &Cached) -> Result<()> {
        let mut tally = connection.prepare_cached(
            "INSERT INTO tally (account, state, numbers) VALUES (?, ?, ?)
             ON CONFLICT (account, state) DO UPDATE SET numbers = numbers + excluded.numbers",
        )?;
        for ((account, state), by) in self.by_account.into_iter().filter(|(_, by)| *by != 0) {
            tally.execute((account, state, by))?;
        }
        add_up(
            connection,
            "INSERT INTO due (due_at, holder, numbers) VALUES (?, ?, ?)
             ON CONFLICT (due_at, holder) DO UPDATE SET numbers = numbers + excluded.numbers
             RETURNING numbers",
            "DELETE FROM due WHERE due_at = ? AND holder = ? AND numbers = 0",
            self.due,
        )?;
        add_up(
            connection,
            "INSERT INTO in_service (site, peer, numbers) VALUES (?, ?, ?)
             ON CONFLICT (site, peer) DO UPDATE SET numbers = numbers + excluded.numbers
             RETURNING numbers",
            "DELETE FROM in_service WHERE site = ? AND peer = ? AND numbers = 0",
            self.in_service,
        )?;
        add_up(
            connection,
            "INSERT INTO stock (npa_nxx, area, numbers) VALUES (?, ?, ?)
             ON CONFLICT (npa_nxx, area) DO UPDATE SET numbers = numbers + excluded.numbers
             RETURNING numbers",
            "DELETE FROM stock WHERE npa_nxx = ? AND area = ? AND numbers = 0",
            self.stock.into_iter().map(|((npa_nxx, area), by)| ((npa_nxx, area.0), by)),
        )?;
        let mut update = connection
            .prepare_cached("UPDATE area SET supply = ?, demand = ?, demand_at = ? WHERE id = ?")?;
        for id in self.areas {
            let area = cached.areas.by_id.get(&id).ok_or_else(|| corrupt(format!("no area {}", id.0)))?;
            let supply = i64::try_from(area.supply).unwrap_or(i64::MAX);
            update.execute((supply, area.demand.per_day, area.demand.at.millis(), id.0))?;
        }
        Ok(())
    }
}

/// Adds to counts, which are kept by two columns, and removes those that come to nothing.
fn add_up<A: ToSql + Copy, B: ToSql + Copy>(
    connection: &Connection,
    add: &str,
    remove: &str,
    changes: impl IntoIterator<Item = ((A, B), i64)>,
) -> Result<()> {
    let mut add = connection.prepare_cached(add)?;
    let mut remove = connection.prepare_cached(remove)?;
    for ((one, two), by) in changes.into_iter().filter(|(_, by)| *by != 0) {
        let numbers: i64 = add.query_row((one, two, by), |row| row.get(0))?;
        if numbers == 0 {
            remove.execute((one, two))?;
        }
    }
    Ok(())
}
