//! Plans: made, applied, approved and withdrawn, each in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::{OrderId, OrderSeq, PlanId};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::order::plan::KeptPlan;
use onhook_core::time::Timestamp;

use super::acts::{load, run};
use super::batch::apply_numbers;
use super::deeds::write_deeds;
use super::once::once;
use super::open::SqliteStore;
use super::plan_rows::{self as rows, around, insert_plan, new_id, update_plan};
use super::tables::Tables;
use super::users::user;
use crate::Result;
use crate::contract::once::Once;
use crate::contract::plans::{
    Approving, NewPlan, PlanApplied, PlanApproved, PlanFilter, PlanMade, PlanWithdrawn, Plans,
};
use crate::plan::acts::Writes;
use crate::plan::plans::{self as plan, applied as deed_of, apply, approve, asked, settled, withdraw};

fn make(tables: &mut Tables<'_>, new: &NewPlan, now: Timestamp, policy: &Policy) -> Result<PlanMade> {
    let loaded = load(tables, &new.asked)?;
    let around = around(tables.connection, &new.asked.act, &new.asked.author.user, now)?;
    let plan = plan::make(new_id(tables.ids)?, new, &loaded, around, policy, now);
    let made = insert_plan(tables, &plan, now)?;
    Ok(if made { PlanMade::Made(Box::new(plan)) } else { PlanMade::TooMany })
}

fn apply_found(
    tables: &mut Tables<'_>,
    kept: KeptPlan,
    hash: &str,
    author: Author,
    now: Timestamp,
    policy: &Policy,
) -> Result<PlanApplied> {
    if let Some(settled) = settled(&kept, hash, now) {
        return Ok(settled);
    }
    let asked = asked(&kept, author);
    let loaded = load(tables, &asked)?;
    let around = around(tables.connection, &asked.act, &asked.author.user, now)?;
    let ids = asked.act.is_order().then(|| {
        let seq = OrderSeq(tables.cached.last_order().0 + 1);
        (seq, tables.ids.id(seq))
    });
    let (applied, writes) = apply(kept, &asked, loaded, (hash, ids), around, policy, now);
    if let PlanApplied::Done { plan, .. }
    | PlanApplied::Changed { plan, .. }
    | PlanApplied::Nothing(plan)
    | PlanApplied::ApprovalNeeded(plan) = &applied
    {
        update_plan(tables, plan)?;
    }
    match writes {
        Some(Writes::Events(writes)) => {
            apply_numbers(tables, writes)?;
        }
        Some(Writes::Order(writes)) => {
            run(tables, *writes)?;
        }
        None => {}
    }
    if let PlanApplied::Done { plan, .. } = &applied {
        write_deeds(tables, &[deed_of(plan, &asked.author, ids.map(|(seq, _)| seq), now)])?;
    }
    Ok(applied)
}

fn approve_found(
    tables: &mut Tables<'_>,
    id: PlanId,
    approving: &Approving,
    now: Timestamp,
    policy: &Policy,
) -> Result<PlanApproved> {
    let Some(kept) = rows::plan(tables.connection, id)? else { return Ok(PlanApproved::Missing) };
    let user = user(tables.connection, &approving.author.user)?;
    let (kept, deed) = match approve(kept, approving, user.as_ref(), now) {
        Ok(approved) => approved,
        Err(not) => return Ok(not),
    };
    if let Some(deed) = deed {
        update_plan(tables, &kept)?;
        write_deeds(tables, &[deed])?;
    }
    if approving.apply {
        let Approving { hash, author, .. } = approving;
        return apply_found(tables, kept, hash, author.clone(), now, policy).map(PlanApproved::Applied);
    }
    Ok(PlanApproved::Done(Box::new(kept)))
}

fn withdraw_found(
    tables: &mut Tables<'_>,
    id: PlanId,
    author: &Author,
    now: Timestamp,
) -> Result<PlanWithdrawn> {
    let Some(kept) = rows::plan(tables.connection, id)? else { return Ok(PlanWithdrawn::Missing) };
    let withdrawn = withdraw(kept, author, now);
    if let PlanWithdrawn::Done(plan) = &withdrawn {
        update_plan(tables, plan)?;
    }
    Ok(withdrawn)
}

#[async_trait]
impl Plans for SqliteStore {
    async fn make_plan(
        &self,
        new: NewPlan,
        key: Option<Once<PlanMade>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<PlanMade> {
        let make = move |tables: &mut Tables<'_>| make(tables, &new, now, &policy);
        self.writer.write(move |tables| once(tables, key.as_ref(), make)).await
    }

    async fn plan(&self, id: PlanId) -> Result<Option<KeptPlan>> {
        self.readers.read(move |connection| rows::plan(connection, id)).await
    }

    async fn plans(
        &self,
        filter: PlanFilter,
        before: Option<i64>,
        size: usize,
        now: Timestamp,
    ) -> Result<Vec<(i64, KeptPlan)>> {
        self.readers.read(move |connection| rows::plans(connection, &filter, before, size, now)).await
    }

    async fn apply_plan(
        &self,
        id: PlanId,
        hash: String,
        author: Author,
        key: Option<Once<PlanApplied>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<PlanApplied> {
        let apply = move |tables: &mut Tables<'_>| match rows::plan(tables.connection, id)? {
            Some(kept) => apply_found(tables, kept, &hash, author, now, &policy),
            None => Ok(PlanApplied::Missing),
        };
        self.writer.write(move |tables| once(tables, key.as_ref(), apply)).await
    }

    async fn approve_plan(
        &self,
        id: PlanId,
        approving: Approving,
        key: Option<Once<PlanApproved>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<PlanApproved> {
        let approve = move |tables: &mut Tables<'_>| approve_found(tables, id, &approving, now, &policy);
        self.writer.write(move |tables| once(tables, key.as_ref(), approve)).await
    }

    async fn withdraw_plan(
        &self,
        id: PlanId,
        author: Author,
        key: Option<Once<PlanWithdrawn>>,
        now: Timestamp,
    ) -> Result<PlanWithdrawn> {
        let withdraw = move |tables: &mut Tables<'_>| withdraw_found(tables, id, &author, now);
        self.writer.write(move |tables| once(tables, key.as_ref(), withdraw)).await
    }

    async fn forget_plans(&self, now: Timestamp, most: usize) -> Result<usize> {
        self.writer.write_own(move |tables| rows::forget(tables, now, most)).await
    }

    async fn undone_by(&self, orders: Vec<OrderId>) -> Result<HashMap<OrderId, Vec<OrderId>>> {
        let ids = self.ids.clone();
        self.readers.read(move |connection| rows::undone_by(connection, &ids, &orders)).await
    }
}
