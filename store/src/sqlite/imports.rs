//! Numbers that an operator brings: all in one transaction.

use std::collections::HashMap;

use async_trait::async_trait;
use onhook_core::account::Premises;
use onhook_core::ids::{AccountId, EventSeq};
use onhook_core::import::{self, BadLine, Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::event::{By, Transition};
use onhook_core::locality;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;

use super::accounts::account_with_premises;
use super::counts::Counts;
use super::entries::{NumberRow, number_row, put_event};
use super::exchanges::exchange_of;
use super::open::SqliteStore;
use super::tables::Tables;
use crate::contract::imports::{Imported, Imports, Lines};
use crate::error::corrupt;
use crate::{Result, StoreError};

const INSERT_NUMBER: &str =
    "INSERT INTO number (number, state, holder, site, peer, area, flags, due_at, last_event)
                             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

fn import(tables: &mut Tables<'_>, lines: Lines, intake: &Intake, now: Timestamp) -> Result<Imported> {
    let at = tables.cached.now(now);
    let mut import = Import {
        event: tables.cached.next_event(),
        at,
        released_from: (!intake.past_releases).then_some(at),
        accounts: HashMap::new(),
        counts: Counts::default(),
        seen: HashMap::new(),
    };
    let mut imported = Imported::default();
    for (line, new) in lines {
        let taken = match new {
            Ok(new) => import_one(tables, &new, line, &mut import)?,
            Err(bad) => Err(bad),
        };
        match taken {
            Ok(Taken::New) => imported.numbers += 1,
            Ok(Taken::Back) => imported.restored += 1,
            Err(bad) => imported.bad.note(line, bad),
        }
    }
    if imported.bad.count() > 0 && !intake.partial {
        return Err(StoreError::Import(imported.bad));
    }
    let Import { event, counts, .. } = import;
    counts.write(tables.connection, tables.cached)?;
    let detail = serde_json::json!({ "Imported": {
        "numbers": imported.numbers, "restored": imported.restored, "source": intake.source,
    } });
    tables.connection.prepare_cached("INSERT INTO event (seq, at, detail) VALUES (?, ?, ?)")?.execute((
        event.0,
        at.millis(),
        detail.to_string(),
    ))?;
    tables.cached.add_import(tables.connection, event)?;
    Ok(imported)
}

fn import_one(
    tables: &mut Tables<'_>,
    new: &NewNumber,
    line: u64,
    import: &mut Import,
) -> Result<std::result::Result<Taken, BadLine>> {
    if let Some(first) = import.seen.get(&new.number) {
        return Ok(Err(BadLine::Twice { what: new.number.to_string(), first: *first }));
    }
    let premises = match new.holder() {
        None => None,
        Some(account) => match import.accounts.entry(account) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut().as_ref(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                let found = account_with_premises(tables.connection, account)?;
                unknown.insert(found.map(|(_, premises)| premises)).as_ref()
            }
        },
    };
    let exchange = match new.number.npa_nxx() {
        // A line that names its rate center needs no other word.
        Some(npa_nxx) if new.rate_center.is_none() => exchange_of(tables.connection, npa_nxx)?,
        _ => None,
    };
    let (region, rate_center) = (new.region.as_deref(), new.rate_center.as_deref());
    let area = locality::area(new.number, region, rate_center, exchange.as_ref());
    let area = tables.cached.areas.id_of(tables.connection, area)?;
    let entry = match new.entry(area, premises, import.released_from) {
        Ok(entry) => entry,
        Err(bad) => return Ok(Err(bad)),
    };
    let made = tables
        .connection
        .prepare_cached(&format!("{INSERT_NUMBER} ON CONFLICT DO NOTHING"))?
        .execute(NumberRow { entry, last_event: import.event }.values())?;
    let taken = if made == 0 {
        let there = number_row(tables.connection, new.number)?;
        let there = there.ok_or_else(|| corrupt(format!("{} is missing", new.number)))?;
        match import::restore(&there.entry, &entry) {
            Ok(moved) => take_back(tables, &moved, there.last_event, import)?,
            Err(bad) => return Ok(Err(bad)),
        }
        Taken::Back
    } else {
        import.counts.add(&entry);
        if entry.state() == State::Available {
            let area = tables.cached.areas.by_id.get_mut(&entry.area);
            area.ok_or_else(|| corrupt("an area is missing"))?.supply += 1;
            tables.cached.back_orders.pool_grew();
        }
        Taken::New
    };
    import.seen.insert(new.number, line);
    Ok(Ok(taken))
}

/// Takes a number back that had left, into the area that the import puts it in.
fn take_back(tables: &mut Tables<'_>, moved: &Transition, prev: EventSeq, import: &mut Import) -> Result<()> {
    let last_event = put_event(tables, moved, prev, &By::Import, import.at)?;
    tables
        .connection
        .prepare_cached(
            "UPDATE number SET state = ?2, holder = ?3, site = ?4, peer = ?5, area = ?6, flags = ?7,
                               due_at = ?8, last_event = ?9
             WHERE number = ?1",
        )?
        .execute(NumberRow { entry: moved.after, last_event }.values())?;
    import.counts.change(&moved.before, &moved.after);
    Ok(())
}

/// What an import knows while it goes through its lines.
struct Import {
    event: EventSeq,
    at: Timestamp,
    /// Aging numbers whose release is before it are refused.
    released_from: Option<Timestamp>,
    accounts: HashMap<AccountId, Option<Premises>>,
    counts: Counts,
    /// The numbers that it brought, each with its line: some twenty bytes a number.
    seen: HashMap<Number, u64>,
}

/// What became of a line that is good.
enum Taken {
    /// Its number is new.
    New,
    /// Its number had left and is back.
    Back,
}

#[async_trait]
impl Imports for SqliteStore {
    async fn import(&self, lines: Lines, intake: Intake, now: Timestamp) -> Result<Imported> {
        self.write_unless(intake.dry_run, move |tables| import(tables, lines, &intake, now)).await
    }
}
