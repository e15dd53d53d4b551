//! Acts of people on numbers: loaded, planned and written in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::{AreaId, OrderId, OrderSeq};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::number::Number;
use onhook_core::order::act::Act;
use onhook_core::order::plan::TwoPerson;
use onhook_core::order::{NewOrder, Order};
use onhook_core::time::Timestamp;

use super::accounts::{account_with_premises, lock_account, must_exist};
use super::areas::areas_named;
use super::batch::{apply_numbers, numbers_of};
use super::deeds::write_deeds;
use super::entries::{histories, lock_numbers};
use super::exchanges::exchanges_of;
use super::intake::{insert, next_orders};
use super::numbers::facts_of;
use super::once::once;
use super::open::PostgresStore;
use super::orders::order_by_id;
use super::plan_rows::{around, insert_plan, lock_counted, new_id, note_undoing};
use super::premises::in_service;
use super::random::random_uuid;
use super::step::apply as apply_step;
use super::telling::subscribers_of;
use super::transaction::transaction;
use crate::contract::acts::{Acted, Acts, Asked, Undone};
use crate::contract::once::Once;
use crate::contract::plans::NewPlan;
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::plan::acts::{
    self as plan, Loaded, NotApplied, NotUndone, Writes, apply, area, holder, names_place, undoing,
};
use crate::plan::batch::Numbers;
use crate::plan::plans::{applied, done, keep, undone, waits};
use crate::plan::step;
use crate::{Result, StoreError};

async fn act(
    client: &Client,
    ids: &OrderIds,
    asked: &Asked,
    hash: Option<&str>,
    now: Timestamp,
    policy: &Policy,
) -> Result<Acted> {
    if asked.act.is_order() {
        return Err(StoreError::Conflict("this act becomes an order".into()));
    }
    let loaded = load(client, ids, asked).await?;
    if TwoPerson::may_be_needed(&asked.act) {
        let around = around(client, &asked.act, &asked.author.user, now).await?;
        if let Some(plan) = waits(new_id(ids)?, asked, &loaded, around, policy, now) {
            let made = insert_plan(client, &plan, now).await?;
            return Ok(if made { Acted::Waits(Box::new(plan)) } else { Acted::TooMany });
        }
    }
    match apply(asked, loaded, hash, None, policy, now) {
        Ok((plan, Writes::Events(writes))) => {
            apply_numbers(client, writes).await?;
            let number = match asked.numbers[..] {
                [_] => facts_of(client, &asked.numbers).await?.pop().map(Box::new),
                _ => None,
            };
            Ok(Acted::Done { plan, number })
        }
        Ok((_, Writes::Order(_))) => Err(corrupt("an act without an order has one")),
        Err(NotApplied::Changed(plan)) => Ok(Acted::Changed(*plan)),
        Err(NotApplied::Nothing(plan)) => Ok(Acted::Nothing(*plan)),
    }
}

/// Undoes an order.
async fn undo(
    client: &Client,
    ids: &OrderIds,
    (id, partial): (OrderId, bool),
    author: Author,
    now: Timestamp,
    policy: &Policy,
) -> Result<Undone> {
    let order = order_by_id(client, ids, id).await?;
    let plan = new_id(ids)?;
    let Some(asked) = order.and_then(|order| undoing(&order, author, plan, now)) else {
        return Ok(Undone::NotUndoable);
    };
    let loaded = load(client, ids, &asked).await?;
    let around = around(client, &asked.act, &asked.author.user, now).await?;
    let new = NewPlan { asked, target: undone(id), series: None, reported: Vec::new() };
    let seqs = next_orders(client, 1).await?;
    let seq = *seqs.first().ok_or_else(|| corrupt("an order has no sequence number"))?;
    match plan::undo(&new.asked, loaded, partial, (seq, ids.id(seq)), policy, now) {
        Ok((shown, writes)) => {
            let order = Box::new(run(client, ids, seq, *writes).await?);
            let kept = keep(plan, &new, &shown, around);
            let kept = done(kept, &new.asked.author, Some((order.id, order.status)), now);
            insert_plan(client, &kept, now).await?;
            let deed = applied(&kept, &new.asked.author, Some(seq), now);
            write_deeds(client, &[deed]).await?;
            Ok(Undone::Done { plan: shown, order, kept: plan })
        }
        Err(NotUndone::Incomplete(shown)) => {
            let kept = keep(plan, &new, &shown, around);
            let made = insert_plan(client, &kept, now).await?;
            Ok(if made { Undone::Incomplete(Box::new(kept)) } else { Undone::TooMany })
        }
        Err(NotUndone::Nothing(shown)) => Ok(Undone::Nothing(shown)),
        Err(NotUndone::NotUndoable) => Ok(Undone::NotUndoable),
    }
}

/// Writes an order that has run at once, and returns it.
pub(super) async fn run(
    client: &Client,
    ids: &OrderIds,
    seq: OrderSeq,
    (new, writes): (NewOrder, step::Writes),
) -> Result<Order> {
    let ended = writes.orders.first().map(|write| write.after.clone());
    let order = ended.ok_or_else(|| corrupt("an order of an act was not judged"))?;
    let request = serde_json::to_string(&new.request)?;
    // The transaction has a mark of its own. Nobody asks for this one.
    insert(client, ids, &[(&new, &request)], &[seq], random_uuid()?, false).await?;
    note_undoing(client, ids, seq, &new).await?;
    apply_step(client, ids, writes).await?;
    Ok(order)
}

/// Locks and loads what the plan needs: accounts, then numbers by their digits.
pub(super) async fn load(client: &Client, ids: &OrderIds, asked: &Asked) -> Result<Loaded> {
    lock_counted(client, &asked.act).await?;
    let mut loaded = Loaded::default();
    if let Some(account) = asked.account {
        let (account, premises) = must_exist(client, account).await?;
        for (site, _, numbers) in in_service(client, account.id).await? {
            *loaded.in_service.entry(site).or_default() += numbers;
        }
        (loaded.account, loaded.premises) = (Some(account), Some(premises));
    }
    if let Some(holder) = holder(&asked.act) {
        lock_account(client, holder).await?;
        let open = account_with_premises(client, holder).await?.filter(|(account, _)| !account.is_closed());
        loaded.premises = open.map(|(_, premises)| premises);
    }
    let rows = lock_numbers(client, &asked.numbers).await?;
    if asked.act.needs_histories() {
        for (number, history) in histories(client, &rows).await? {
            loaded.histories.insert(number, history?);
        }
    }
    loaded.numbers = numbers_of(client, rows).await?;
    if names_place(&asked.act) {
        loaded.places = places(client, &asked.act, &mut loaded.numbers).await?;
    }
    if let Act::Undo { order } = asked.act {
        loaded.undone = ids.seq(order);
        loaded.exchanges = exchanges_of(client, &asked.numbers).await?;
    }
    if let Some(account) = asked.account.filter(|_| asked.act.is_order()) {
        loaded.subscribers = subscribers_of(client, &[account]).await?.remove(&account).unwrap_or_default();
    }
    Ok(loaded)
}

/// Returns the area of each number where the act says that it lies, and loads these areas.
async fn places(client: &Client, act: &Act, numbers: &mut Numbers) -> Result<HashMap<Number, AreaId>> {
    let there: Vec<Number> = numbers.known.iter().map(|known| known.entry.number).collect();
    let exchanges = exchanges_of(client, &there).await?;
    let mut named: Vec<(Number, AreaName)> = Vec::with_capacity(there.len());
    for known in &numbers.known {
        let now = numbers.areas.get(&known.entry.area).map(|area| &area.name);
        let name = area(act, &known.entry, now, &exchanges);
        named.extend(name.map(|name| (known.entry.number, name)));
    }
    let names: Vec<AreaName> = named.iter().map(|(_, name)| name.clone()).collect();
    let known = areas_named(client, &names).await?;
    let mut places = HashMap::with_capacity(named.len());
    for (number, name) in named {
        let (id, area) = known.get(&name.key()).ok_or_else(|| corrupt("an area is missing"))?;
        numbers.areas.entry(*id).or_insert_with(|| area.clone());
        places.insert(number, *id);
    }
    Ok(places)
}

#[async_trait]
impl Acts for PostgresStore {
    async fn act(
        &self,
        asked: Asked,
        hash: Option<String>,
        key: Option<Once<Acted>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Acted> {
        transaction!(self, tx => {
            let act = act(&tx, &self.ids, &asked, hash.as_deref(), now, &policy);
            once(&tx, key.as_ref(), act).await
        })
    }

    async fn undo(
        &self,
        order: OrderId,
        partial: bool,
        author: Author,
        key: Option<Once<Undone>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Undone> {
        transaction!(self, tx => {
            let undo = undo(&tx, &self.ids, (order, partial), author.clone(), now, &policy);
            once(&tx, key.as_ref(), undo).await
        })
    }
}
