//! Acts of people on numbers: loaded, planned and written in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::AreaId;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::number::Number;
use onhook_core::order::act::Act;
use onhook_core::time::Timestamp;

use super::accounts::{account_with_premises, must_exist};
use super::batch::{apply_numbers, known, with_areas};
use super::entries::{history, number_rows};
use super::exchanges::exchanges_of;
use super::open::SqliteStore;
use super::premises::in_service;
use super::tables::Tables;
use crate::contract::acts::{Acted, Acts, Asked};
use crate::error::corrupt;
use crate::plan::acts::{Loaded, NotApplied, Writes, apply, area, holder, names_place};
use crate::plan::batch::Numbers;
use crate::{Result, StoreError};

fn act(
    tables: &mut Tables<'_>,
    asked: &Asked,
    hash: Option<&str>,
    now: Timestamp,
    policy: &Policy,
) -> Result<Acted> {
    if asked.act.is_order() {
        return Err(StoreError::Conflict("this act becomes an order".into()));
    }
    let loaded = load(tables, asked)?;
    match apply(asked, loaded, hash, None, policy, now) {
        Ok((plan, Writes::Events(writes))) => {
            apply_numbers(tables, writes)?;
            Ok(Acted::Done(plan))
        }
        Ok((_, Writes::Order(_))) => Err(corrupt("an act without an order has one")),
        Err(NotApplied::Changed(plan)) => Ok(Acted::Changed(*plan)),
        Err(NotApplied::Nothing(plan)) => Ok(Acted::Nothing(*plan)),
    }
}

fn load(tables: &mut Tables<'_>, asked: &Asked) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    if let Some(account) = asked.account {
        let (account, premises) = must_exist(tables, account)?;
        for (site, _, numbers) in in_service(tables.connection, account.id)? {
            *loaded.in_service.entry(site).or_default() += numbers;
        }
        (loaded.account, loaded.premises) = (Some(account), Some(premises));
    }
    if let Some(holder) = holder(&asked.act) {
        loaded.premises = account_with_premises(tables.connection, holder)?.map(|(_, premises)| premises);
    }
    loaded.numbers = with_areas(tables, known(tables, asked.numbers.iter().copied())?);
    if asked.act.needs_histories() {
        for row in number_rows(tables.connection, asked.numbers.clone())? {
            loaded.histories.insert(row.entry.number, history(tables.connection, &row)?);
        }
    }
    if names_place(&asked.act) {
        loaded.places = places(tables, &asked.act, &mut loaded.numbers)?;
    }
    Ok(loaded)
}

/// Returns the area of each number where the act says that it lies, and loads these areas.
fn places(tables: &mut Tables<'_>, act: &Act, numbers: &mut Numbers) -> Result<HashMap<Number, AreaId>> {
    let named: Vec<_> = numbers.known.iter().map(|known| known.entry).collect();
    let exchanges = exchanges_of(tables.connection, named.iter().map(|entry| &entry.number))?;
    let mut places = HashMap::new();
    for entry in named {
        let now = numbers.areas.get(&entry.area).map(|area| area.name.clone());
        let Some(name) = area(act, &entry, now.as_ref(), &exchanges) else { continue };
        let id = tables.cached.areas.id_of(tables.connection, name)?;
        let area = tables.cached.areas.by_id.get(&id).ok_or_else(|| corrupt("an area is missing"))?;
        numbers.areas.entry(id).or_insert_with(|| area.clone());
        places.insert(entry.number, id);
    }
    Ok(places)
}

#[async_trait]
impl Acts for SqliteStore {
    async fn act(
        &self,
        asked: Asked,
        hash: Option<String>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Acted> {
        self.writer.write(move |tables| act(tables, &asked, hash.as_deref(), now, &policy)).await
    }
}
