//! Acts of people on numbers: loaded, planned and written in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::{AreaId, OrderId, OrderSeq};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::number::Number;
use onhook_core::order::act::Act;
use onhook_core::order::plan::TwoPerson;
use onhook_core::order::{NewOrder, Order};
use onhook_core::time::Timestamp;

use super::accounts::{account_with_premises, must_exist};
use super::batch::{apply_numbers, known, with_areas};
use super::deeds::write_deeds;
use super::entries::{history, number_rows};
use super::exchanges::exchanges_of;
use super::numbers::facts;
use super::once::once;
use super::open::SqliteStore;
use super::order_rows::insert_order;
use super::orders::order_by_id;
use super::plan_rows::{around, insert_plan, new_id, note_undoing};
use super::premises::in_service;
use super::step::apply as apply_step;
use super::tables::Tables;
use crate::contract::acts::{Acted, Acts, Asked, Undone};
use crate::contract::once::Once;
use crate::contract::plans::NewPlan;
use crate::error::corrupt;
use crate::plan::acts::{
    self as plan, Loaded, NotApplied, NotUndone, Writes, apply, area, holder, names_place, undoing,
};
use crate::plan::batch::Numbers;
use crate::plan::plans::{applied, done, keep, undone, waits};
use crate::plan::step;
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
    if TwoPerson::may_be_needed(&asked.act) {
        let around = around(tables.connection, &asked.act, &asked.author.user, now)?;
        if let Some(plan) = waits(new_id(tables.ids)?, asked, &loaded, around, policy, now) {
            let made = insert_plan(tables, &plan, now)?;
            return Ok(if made { Acted::Waits(Box::new(plan)) } else { Acted::TooMany });
        }
    }
    match apply(asked, loaded, hash, None, policy, now) {
        Ok((plan, Writes::Events(writes))) => {
            apply_numbers(tables, writes)?;
            let number = match asked.numbers[..] {
                [number] => facts(tables.connection, number)?.map(Box::new),
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
fn undo(
    tables: &mut Tables<'_>,
    id: OrderId,
    partial: bool,
    author: Author,
    now: Timestamp,
    policy: &Policy,
) -> Result<Undone> {
    let order = order_by_id(tables.connection, tables.ids, id)?;
    let plan = new_id(tables.ids)?;
    let Some(asked) = order.and_then(|order| undoing(&order, author, plan, now)) else {
        return Ok(Undone::NotUndoable);
    };
    let loaded = load(tables, &asked)?;
    let around = around(tables.connection, &asked.act, &asked.author.user, now)?;
    let new = NewPlan { asked, target: undone(id), series: None, reported: Vec::new() };
    let seq = OrderSeq(tables.cached.last_order().0 + 1);
    match plan::undo(&new.asked, loaded, partial, (seq, tables.ids.id(seq)), policy, now) {
        Ok((shown, writes)) => {
            let order = Box::new(run(tables, *writes)?);
            let kept = keep(plan, &new, &shown, around);
            let kept = done(kept, &new.asked.author, Some((order.id, order.status)), now);
            insert_plan(tables, &kept, now)?;
            write_deeds(tables, &[applied(&kept, &new.asked.author, Some(seq), now)])?;
            Ok(Undone::Done { plan: shown, order, kept: plan })
        }
        Err(NotUndone::Incomplete(shown)) => {
            let kept = keep(plan, &new, &shown, around);
            let made = insert_plan(tables, &kept, now)?;
            Ok(if made { Undone::Incomplete(Box::new(kept)) } else { Undone::TooMany })
        }
        Err(NotUndone::Nothing(shown)) => Ok(Undone::Nothing(shown)),
        Err(NotUndone::NotUndoable) => Ok(Undone::NotUndoable),
    }
}

/// Writes an order that has run at once, and returns it.
pub(super) fn run(tables: &mut Tables<'_>, (new, writes): (NewOrder, step::Writes)) -> Result<Order> {
    let ended = writes.orders.first().map(|write| write.after.clone());
    let order = ended.ok_or_else(|| corrupt("an order of an act was not judged"))?;
    let seq = tables.cached.next_order();
    insert_order(tables, seq, &new, &serde_json::to_string(&new.request)?)?;
    note_undoing(tables, seq, &new)?;
    apply_step(tables, writes)?;
    Ok(order)
}

pub(super) fn load(tables: &mut Tables<'_>, asked: &Asked) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    if let Some(account) = asked.account {
        let (account, premises) = must_exist(tables, account)?;
        for (site, _, numbers) in in_service(tables.connection, account.id)? {
            *loaded.in_service.entry(site).or_default() += numbers;
        }
        (loaded.account, loaded.premises) = (Some(account), Some(premises));
    }
    if let Some(holder) = holder(&asked.act) {
        let found = account_with_premises(tables.connection, holder)?;
        let open = found.filter(|(account, _)| !account.is_closed());
        loaded.premises = open.map(|(_, premises)| premises);
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
    if let Act::Undo { order } = asked.act {
        loaded.undone = tables.ids.seq(order);
        loaded.exchanges = exchanges_of(tables.connection, &asked.numbers)?;
    }
    if let Some(account) = asked.account.filter(|_| asked.act.is_order()) {
        loaded.subscribers = tables.cached.subscribers.get(&account).cloned().unwrap_or_default();
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
        key: Option<Once<Acted>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Acted> {
        let act = move |tables: &mut Tables<'_>| act(tables, &asked, hash.as_deref(), now, &policy);
        self.writer.write(move |tables| once(tables, key.as_ref(), act)).await
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
        let undo = move |tables: &mut Tables<'_>| undo(tables, order, partial, author, now, &policy);
        self.writer.write(move |tables| once(tables, key.as_ref(), undo)).await
    }
}
