//! Plans: made, applied, approved and withdrawn, each in one transaction. The plan's row is locked first, then accounts,
//! then numbers by their digits.

use std::collections::HashMap;
use std::sync::Arc;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::{OrderId, PlanId};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::order::plan::KeptPlan;
use onhook_core::time::Timestamp;

use super::acts::{load, run};
use super::batch::apply_numbers;
use super::deeds::write_deeds;
use super::intake::next_orders;
use super::once::once;
use super::open::PostgresStore;
use super::plan_rows::{self as rows, around, insert_plan, new_id, update_plan};
use super::transaction::{reading, transaction};
use super::users::unchanged_user;
use crate::Result;
use crate::contract::once::Once;
use crate::contract::plans::{
    Approving, NewPlan, PlanApplied, PlanApproved, PlanFilter, PlanMade, PlanWithdrawn, Plans,
};
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::plan::acts::Writes;
use crate::plan::plans::{self as plan, applied as deed_of, apply, approve, asked, settled, withdraw};

async fn make(
    client: &Client,
    ids: &OrderIds,
    new: &NewPlan,
    now: Timestamp,
    policy: &Policy,
) -> Result<PlanMade> {
    let loaded = load(client, ids, &new.asked).await?;
    let around = around(client, &new.asked.act, &new.asked.author.user, now).await?;
    let plan = plan::make(new_id(ids)?, new, &loaded, around, policy, now);
    let made = insert_plan(client, &plan, now).await?;
    Ok(if made { PlanMade::Made(Box::new(plan)) } else { PlanMade::TooMany })
}

/// Who applies a plan, and the hash of what they have seen of it.
struct Applying<'a> {
    hash: &'a str,
    author: Author,
}

async fn apply_found(
    client: &Client,
    ids: &OrderIds,
    kept: KeptPlan,
    Applying { hash, author }: Applying<'_>,
    now: Timestamp,
    policy: &Policy,
) -> Result<PlanApplied> {
    if let Some(settled) = settled(&kept, hash, now) {
        return Ok(settled);
    }
    let asked = asked(&kept, author);
    let loaded = load(client, ids, &asked).await?;
    let around = around(client, &asked.act, &asked.author.user, now).await?;
    let of_order = if asked.act.is_order() {
        let seqs = next_orders(client, 1).await?;
        let seq = *seqs.first().ok_or_else(|| corrupt("an order has no sequence number"))?;
        Some((seq, ids.id(seq)))
    } else {
        None
    };
    let (applied, writes) = apply(kept, &asked, loaded, (hash, of_order), around, policy, now);
    if let PlanApplied::Done { plan, .. }
    | PlanApplied::Changed { plan, .. }
    | PlanApplied::Nothing(plan)
    | PlanApplied::ApprovalNeeded(plan) = &applied
    {
        update_plan(client, plan).await?;
    }
    match (writes, of_order) {
        (Some(Writes::Events(writes)), _) => {
            apply_numbers(client, writes).await?;
        }
        (Some(Writes::Order(writes)), Some((seq, _))) => {
            run(client, ids, seq, *writes).await?;
        }
        (Some(Writes::Order(_)), None) => return Err(corrupt("an order has no sequence number")),
        (None, _) => {}
    }
    if let PlanApplied::Done { plan, .. } = &applied {
        let deed = deed_of(plan, &asked.author, of_order.map(|(seq, _)| seq), now);
        write_deeds(client, &[deed]).await?;
    }
    Ok(applied)
}

async fn apply_plan(
    client: &Client,
    ids: &OrderIds,
    id: PlanId,
    applying: Applying<'_>,
    now: Timestamp,
    policy: &Policy,
) -> Result<PlanApplied> {
    match rows::plan(client, id, true).await? {
        Some(kept) => apply_found(client, ids, kept, applying, now, policy).await,
        None => Ok(PlanApplied::Missing),
    }
}

async fn approve_plan(
    client: &Client,
    ids: &OrderIds,
    id: PlanId,
    approving: &Approving,
    now: Timestamp,
    policy: &Policy,
) -> Result<PlanApproved> {
    let Some(kept) = rows::plan(client, id, true).await? else { return Ok(PlanApproved::Missing) };
    let user = unchanged_user(client, &approving.author.user).await?;
    let (kept, deed) = match approve(kept, approving, user.as_ref(), now) {
        Ok(approved) => approved,
        Err(not) => return Ok(not),
    };
    if let Some(deed) = deed {
        update_plan(client, &kept).await?;
        write_deeds(client, &[deed]).await?;
    }
    if approving.apply {
        let applying = Applying { hash: &approving.hash, author: approving.author.clone() };
        return apply_found(client, ids, kept, applying, now, policy).await.map(PlanApproved::Applied);
    }
    Ok(PlanApproved::Done(Box::new(kept)))
}

async fn withdraw_plan(
    client: &Client,
    id: PlanId,
    author: &Author,
    now: Timestamp,
) -> Result<PlanWithdrawn> {
    let Some(kept) = rows::plan(client, id, true).await? else { return Ok(PlanWithdrawn::Missing) };
    let withdrawn = withdraw(kept, author, now);
    if let PlanWithdrawn::Done(plan) = &withdrawn {
        update_plan(client, plan).await?;
    }
    Ok(withdrawn)
}

#[async_trait]
impl Plans for PostgresStore {
    async fn make_plan(
        &self,
        new: NewPlan,
        key: Option<Once<PlanMade>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<PlanMade> {
        transaction!(self, tx => {
            once(&tx, key.as_ref(), make(&tx, &self.ids, &new, now, &policy)).await
        })
    }

    async fn plan(&self, id: PlanId) -> Result<Option<KeptPlan>> {
        reading!(self, client => rows::plan(&client, id, false).await)
    }

    async fn plans(
        &self,
        filter: PlanFilter,
        before: Option<i64>,
        size: usize,
        now: Timestamp,
    ) -> Result<Vec<(i64, KeptPlan)>> {
        reading!(self, client => rows::plans(&client, &filter, before, size, now).await)
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
        transaction!(self, tx => {
            let applying = Applying { hash: &hash, author: author.clone() };
            let apply = apply_plan(&tx, &self.ids, id, applying, now, &policy);
            once(&tx, key.as_ref(), apply).await
        })
    }

    async fn approve_plan(
        &self,
        id: PlanId,
        approving: Approving,
        key: Option<Once<PlanApproved>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<PlanApproved> {
        transaction!(self, tx => {
            let approve = approve_plan(&tx, &self.ids, id, &approving, now, &policy);
            once(&tx, key.as_ref(), approve).await
        })
    }

    async fn withdraw_plan(
        &self,
        id: PlanId,
        author: Author,
        key: Option<Once<PlanWithdrawn>>,
        now: Timestamp,
    ) -> Result<PlanWithdrawn> {
        transaction!(self, tx => once(&tx, key.as_ref(), withdraw_plan(&tx, id, &author, now)).await)
    }

    async fn forget_plans(&self, now: Timestamp, most: usize) -> Result<usize> {
        transaction!(self, tx => rows::forget(&tx, now, most).await)
    }

    async fn undone_by(&self, orders: Vec<OrderId>) -> Result<HashMap<OrderId, Vec<OrderId>>> {
        reading!(self, client => rows::undone_by(&client, &self.ids, &orders).await)
    }
}
