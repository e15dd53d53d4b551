//! Imports of numbers from an operator: one transaction, some lines at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::Premises;
use onhook_core::ids::{AccountId, EventSeq};
use onhook_core::import::Intake;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::locality::Exchange;
use onhook_core::time::Timestamp;

use super::accounts::account_with_premises;
use super::batch::{apply_numbers, known, with_areas};
use super::deeds::write_deed;
use super::entries::{NUMBER_COLUMNS, NumberRow};
use super::exchanges::exchange_of;
use super::open::SqliteStore;
use super::tables::Tables;
use crate::contract::imports::{Imported, Imports, Line, Lines};
use crate::error::corrupt;
use crate::plan::imports::{Import, Loaded, area};
use crate::{Result, StoreError};

/// Lines that are loaded, planned and written together.
const LINES: usize = 1_000;

fn import(
    tables: &mut Tables<'_>,
    lines: Lines,
    intake: &Intake,
    now: Timestamp,
    policy: &Policy,
) -> Result<Imported> {
    let event = tables.cached.next_events(1);
    let mut import = Import::new(now, intake.past_releases);
    let mut known = Background::default();
    let mut some = Vec::with_capacity(LINES);
    for line in lines {
        some.push(line);
        if some.len() == LINES {
            take(tables, &mut import, std::mem::take(&mut some), &mut known, (event, policy))?;
        }
    }
    take(tables, &mut import, some, &mut known, (event, policy))?;
    let deed = import.deed(intake);
    let imported = import.imported;
    if imported.bad.count() > 0 && !intake.partial {
        return Err(StoreError::Import(imported.bad));
    }
    write_deed(tables, event, &deed)?;
    Ok(imported)
}

/// What the lines of an import share, each read once.
#[derive(Default)]
struct Background {
    premises: HashMap<AccountId, Premises>,
    exchanges: HashMap<u32, Exchange>,
    looked_up: (HashSet<AccountId>, HashSet<u32>),
}

/// Loads what some lines need, asks the plan, and writes what it says.
fn take(
    tables: &mut Tables<'_>,
    import: &mut Import,
    lines: Vec<Line>,
    background: &mut Background,
    (event, policy): (EventSeq, &Policy),
) -> Result<()> {
    let Background { premises, exchanges, looked_up } = background;
    let readable = || lines.iter().filter_map(|(_, new)| new.as_ref().ok());
    for new in readable() {
        if let Some(account) = new.holder().filter(|account| looked_up.0.insert(*account)) {
            let home = account_with_premises(tables.connection, account)?;
            let open = home.filter(|(account, _)| !account.is_closed());
            premises.extend(open.map(|(_, theirs)| (account, theirs)));
        }
        if let Some(npa_nxx) = new.number.npa_nxx().filter(|npa_nxx| looked_up.1.insert(*npa_nxx)) {
            exchanges.extend(exchange_of(tables.connection, npa_nxx)?.map(|exchange| (npa_nxx, exchange)));
        }
    }
    let mut there = with_areas(tables, known(tables, readable().map(|new| new.number))?);
    let mut area_ids = Vec::with_capacity(lines.len());
    for new in readable() {
        let id = tables.cached.areas.id_of(tables.connection, area(new, exchanges))?;
        let area = tables.cached.areas.by_id.get(&id).ok_or_else(|| corrupt("an area is missing"))?;
        there.areas.entry(id).or_insert_with(|| area.clone());
        area_ids.push(id);
    }
    let writes = import.plan(lines, Loaded { there, premises, area_ids }, policy);
    let mut insert = tables.connection.prepare_cached(&format!(
        "INSERT INTO number ({NUMBER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ))?;
    for entry in writes.new {
        insert.execute(NumberRow { entry, last_event: event, untouched: true }.values())?;
    }
    drop(insert);
    apply_numbers(tables, writes.numbers)?;
    Ok(())
}

#[async_trait]
impl Imports for SqliteStore {
    async fn import(
        &self,
        lines: Lines,
        intake: Intake,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Imported> {
        self.write_unless(intake.dry_run, move |tables| import(tables, lines, &intake, now, &policy)).await
    }
}
