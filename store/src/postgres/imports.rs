//! Imports of numbers from an operator: one transaction, some lines at a time.
//!
//! An import may take minutes, and other nodes work meanwhile. So it locks what they share only at its end: accounts,
//! to see that their sites and peers still stand, and then the counts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::Premises;
use onhook_core::ids::{AccountId, AreaId};
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::area::{Area, AreaName};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::locality::Exchange;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use tokio_postgres::Client;

use super::accounts::{accounts_with_premises, lock_accounts};
use super::areas::areas_named;
use super::batch::{Columns, apply_numbers, next_events, numbers_of};
use super::deeds::write_deed;
use super::entries::{NumberRow, lock_numbers, number_rows};
use super::exchanges::exchanges_of;
use super::lines::Chunks;
use super::open::PostgresStore;
use super::statement::execute;
use crate::columns::NumberColumns;
use crate::contract::imports::{Imported, Imports, Line, Lines};
use crate::error::corrupt;
use crate::plan::batch::NumberWrites;
use crate::plan::imports::{Import, Loaded, area};
use crate::{Result, StoreError};

/// Lines that are loaded, planned and written together.
const LINES: usize = 5_000;

async fn import(
    client: &Client,
    lines: Lines,
    intake: &Intake,
    now: Timestamp,
    policy: &Policy,
) -> Result<Imported> {
    let event = next_events(client, 1).await?.pop().ok_or_else(|| corrupt("no number for an event"))?;
    let mut import = Import::new(now, intake.past_releases);
    let mut background = Background::default();
    let mut counted = NumberWrites::default();
    let mut chunks = Chunks::read(lines, LINES);
    while let Some(some) = chunks.next().await? {
        background.learn(client, &some).await?;
        let loaded = load(client, &some, &background).await?;
        let writes = import.plan(some, loaded, policy);
        let mut columns = Columns::default();
        for entry in &writes.new {
            columns.push(&NumberColumns::of(entry, true), event, import.at());
        }
        columns.insert(client).await?;
        let NumberWrites { events, numbers, counts, pool_grew } = writes.numbers;
        apply_numbers(client, NumberWrites { events, numbers, ..NumberWrites::default() }).await?;
        counted.counts.append(counts);
        counted.counts.due.clear(); // this store keeps no such counts, and they may be as many as the lines
        counted.pool_grew |= pool_grew;
    }
    let (at, deed) = (import.at(), import.deed(intake));
    let imported = import.imported;
    if imported.bad.count() > 0 && !intake.partial {
        return Err(StoreError::Import(imported.bad));
    }
    write_deed(client, event, &deed).await?;
    if at > now {
        // A number that had left did so after `now`, by another clock. What was brought before it was seen is no earlier.
        let sql = "UPDATE number SET at = $1 WHERE last_event = $2 AND at < $1";
        execute(client, sql, &[&at.millis(), &event.0]).await?;
    }
    background.still_stands(client).await?;
    apply_numbers(client, counted).await?;
    Ok(imported)
}

fn readable(lines: &[Line]) -> impl Iterator<Item = &NewNumber> {
    lines.iter().filter_map(|(_, new)| new.as_ref().ok())
}

/// What the lines of an import share, each read once.
#[derive(Default)]
struct Background {
    premises: HashMap<AccountId, Premises>,
    exchanges: HashMap<u32, Exchange>,
    /// By the part of a name by which areas differ.
    areas: HashMap<AreaName, (AreaId, Area)>,
    looked_up: (HashSet<AccountId>, HashSet<u32>),
}

impl Background {
    /// Reads what some lines need, and makes their areas.
    async fn learn(&mut self, client: &Client, lines: &[Line]) -> Result<()> {
        let (accounts, npa_nxxs) = &mut self.looked_up;
        let accounts: Vec<AccountId> = readable(lines)
            .filter_map(NewNumber::holder)
            .filter(|account| accounts.insert(*account))
            .collect();
        let numbers: Vec<Number> = readable(lines)
            .map(|new| new.number)
            .filter(|number| number.npa_nxx().is_some_and(|npa_nxx| npa_nxxs.insert(npa_nxx)))
            .collect();
        let found = accounts_with_premises(client, &accounts).await?;
        let open = found.into_iter().filter(|(_, (account, _))| !account.is_closed());
        self.premises.extend(open.map(|(account, (_, theirs))| (account, theirs)));
        self.exchanges.extend(exchanges_of(client, &numbers).await?);
        let mut names: HashSet<AreaName> = readable(lines).map(|new| area(new, &self.exchanges)).collect();
        names.retain(|name| {
            let region = self.areas.get(&name.key()).map(|(_, area)| area.name.region());
            region.is_none_or(|region| region.is_none() && name.region().is_some())
        });
        let names: Vec<AreaName> = names.into_iter().collect();
        if !names.is_empty() {
            self.areas.extend(areas_named(client, &names).await?);
        }
        Ok(())
    }

    /// Locks the accounts of the lines.
    ///
    /// # Errors
    /// `Conflict` if a site or peer is gone that an account had when it was read.
    async fn still_stands(&self, client: &Client) -> Result<()> {
        let accounts: Vec<AccountId> = self.premises.keys().copied().collect();
        lock_accounts(client, &accounts).await?;
        let now = accounts_with_premises(client, &accounts).await?;
        for (account, was) in &self.premises {
            let still = now.get(account).is_some_and(|(account, is)| {
                !account.is_closed()
                    && was.sites.iter().all(|site| is.sites.iter().any(|other| other.id == site.id))
                    && was.peers.iter().all(|peer| {
                        is.peers.iter().any(|other| (other.id, other.site) == (peer.id, peer.site))
                    })
            });
            if !still {
                return Err(StoreError::Conflict(format!(
                    "nothing was imported: account {account} was closed meanwhile, or a site or peer of it deleted. Import again"
                )));
            }
        }
        Ok(())
    }
}

/// Loads what the plan of some lines needs. Numbers that had left are locked: they may be taken back.
async fn load<'a>(client: &Client, lines: &[Line], background: &'a Background) -> Result<Loaded<'a>> {
    let numbers: Vec<Number> = readable(lines).map(|new| new.number).collect();
    let mut found = number_rows(client, &numbers).await?;
    let gone = |row: &NumberRow| row.entry.state() == State::Removed;
    let removed: Vec<Number> = found.iter().filter(|row| gone(row)).map(|row| row.entry.number).collect();
    found.retain(|row| !gone(row));
    found.extend(lock_numbers(client, &removed).await?);
    let mut there = numbers_of(client, found).await?;
    let mut area_ids = Vec::with_capacity(lines.len());
    for new in readable(lines) {
        let known = background.areas.get(&area(new, &background.exchanges).key());
        let (id, area) = known.ok_or_else(|| corrupt("an area is missing"))?;
        there.areas.entry(*id).or_insert_with(|| area.clone());
        area_ids.push(*id);
    }
    Ok(Loaded { there, premises: &background.premises, area_ids })
}

#[async_trait]
impl Imports for PostgresStore {
    async fn import(
        &self,
        lines: Lines,
        intake: Intake,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Imported> {
        let tx = self.begin_import().await?;
        let done = import(&tx, lines, &intake, now, &policy).await;
        self.end_import(tx, done, intake.dry_run).await
    }
}
