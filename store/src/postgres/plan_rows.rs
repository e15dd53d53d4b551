//! The rows of plans, and what they need of other rows.

use std::collections::HashMap;

use super::client::Client;
use onhook_core::ids::{OrderId, OrderSeq, PlanId};
use onhook_core::order::act::Act;
use onhook_core::order::plan::{KEPT_MS, KeptPlan, UNLOCKS_IN_MS, too_many};
use onhook_core::order::{NewOrder, Request};
use onhook_core::time::Timestamp;

use super::row::{get, limit};
use super::settings::chosen;
use super::statement::{Value, execute, row, rows};
use crate::Result;
use crate::columns::{PlanColumns, in_state, plan_of};
use crate::contract::plans::PlanFilter;
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::plan::plans::Around;

/// Returns the id of a new plan.
pub(super) fn new_id(ids: &OrderIds) -> Result<PlanId> {
    Ok(PlanId(ids.chance.uuid()?))
}

/// Locks what an act needs that is counted over all numbers, before accounts and numbers are locked. The row of
/// operators stands for all unlocks, so that no two of them are counted without one another.
pub(super) async fn lock_counted(client: &Client, act: &Act) -> Result<()> {
    if matches!(act, Act::Unlock) {
        execute(client, "SELECT 1 FROM queue WHERE account = 0 FOR UPDATE", &[]).await?;
    }
    Ok(())
}

/// Returns what the plan of an act needs beside what the act loads. `user` is who does it.
pub(super) async fn around(client: &Client, act: &Act, user: &str, now: Timestamp) -> Result<Around> {
    let unlocked: i64 = if matches!(act, Act::Unlock) {
        let sql =
            "SELECT count(*) FROM event WHERE left(detail, 11) = '{\"Unlocked\"' AND actor = $1 AND at > $2";
        let since = now.plus_millis(-UNLOCKS_IN_MS).millis();
        row(client, sql, &[&user, &since]).await?.map_or(Ok(0), |row| get(&row, 0))?
    } else {
        0
    };
    Ok(Around::of(unlocked.unsigned_abs(), &chosen(client).await?))
}

/// Writes a new plan. Returns false, and writes nothing, if it is open and there are too many open plans.
pub(super) async fn insert_plan(client: &Client, plan: &KeptPlan, now: Timestamp) -> Result<bool> {
    let columns = PlanColumns::of(plan)?;
    if columns.state == 0 {
        let sql = "SELECT count(*) FILTER (WHERE maker = $1), count(*) FROM plan
                   WHERE state = 0 AND expires_at > $2";
        let found = row(client, sql, &[&columns.maker, &now.millis()]).await?;
        let found = found.ok_or_else(|| corrupt("a count is missing"))?;
        let (own, all): (i64, i64) = (get(&found, 0)?, get(&found, 1)?);
        if too_many(own.unsigned_abs(), all.unsigned_abs()) {
            return Ok(false);
        }
    }
    let sql = "WITH made AS (
                   INSERT INTO plan (id, act, account, series, maker, state, two_persons, approved, made_at,
                                     expires_at, body)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING seq
               ) INSERT INTO plan_decisions (plan, decisions) SELECT seq, $12 FROM made";
    let values: [&dyn Value; 12] = [
        &plan.id.0,
        &columns.act,
        &columns.account,
        &columns.series,
        &columns.maker,
        &columns.state,
        &columns.two_persons,
        &columns.approved,
        &columns.made_at,
        &columns.expires_at,
        &columns.body,
        &columns.decisions,
    ];
    execute(client, sql, &values).await?;
    Ok(true)
}

/// Writes what became of a plan.
pub(super) async fn update_plan(client: &Client, plan: &KeptPlan) -> Result<()> {
    let columns = PlanColumns::of(plan)?;
    let sql = "UPDATE plan SET state = $1, two_persons = $2, approved = $3, expires_at = $4, body = $5 WHERE id = $6";
    let values: [&dyn Value; 6] = [
        &columns.state,
        &columns.two_persons,
        &columns.approved,
        &columns.expires_at,
        &columns.body,
        &plan.id.0,
    ];
    execute(client, sql, &values).await?;
    let sql = "UPDATE plan_decisions SET decisions = $1
               WHERE plan = (SELECT seq FROM plan WHERE id = $2) AND decisions <> $1";
    execute(client, sql, &[&columns.decisions, &plan.id.0]).await?;
    Ok(())
}

/// Returns a plan. With `lock`, nobody else changes it before the transaction ends.
pub(super) async fn plan(client: &Client, id: PlanId, lock: bool) -> Result<Option<KeptPlan>> {
    if lock {
        execute(client, "SELECT 1 FROM plan WHERE id = $1 FOR UPDATE", &[&id.0]).await?;
    }
    let sql =
        "SELECT p.body, d.decisions FROM plan p JOIN plan_decisions d ON d.plan = p.seq WHERE p.id = $1";
    let found = row(client, sql, &[&id.0]).await?;
    found.map(|row| plan_of(get(&row, 0)?, Some(get(&row, 1)?))).transpose()
}

/// Returns plans that a filter means, the newest first.
pub(super) async fn plans(
    client: &Client,
    filter: &PlanFilter,
    before: Option<i64>,
    size: usize,
    now: Timestamp,
) -> Result<Vec<(i64, KeptPlan)>> {
    let before = before.unwrap_or(i64::MAX);
    let account = filter.account.map(|account| i64::from(account.get()));
    let mut wanted = "seq < $1".to_owned();
    let mut values: Vec<&dyn Value> = vec![&before];
    let conditions: [(&str, Option<&dyn Value>); 3] = [
        ("act", filter.act.as_ref().map(|value| -> &dyn Value { value })),
        ("series", filter.series.as_ref().map(|value| -> &dyn Value { value })),
        ("account", account.as_ref().map(|value| -> &dyn Value { value })),
    ];
    for (column, value) in conditions {
        if let Some(value) = value {
            values.push(value);
            wanted += &format!(" AND {column} = ${}", values.len());
        }
    }
    if let Some(state) = filter.state {
        wanted += &format!(" AND {}", in_state(state, &now.millis().to_string()));
    }
    let size = limit(size);
    values.push(&size);
    let sql = format!("SELECT seq, body FROM plan WHERE {wanted} ORDER BY seq DESC LIMIT ${}", values.len());
    let found = rows(client, &sql, &values).await?;
    found.iter().map(|row| Ok((get(row, 0)?, plan_of(get(row, 1)?, None)?))).collect()
}

/// Forgets old plans.
pub(super) async fn forget(client: &Client, now: Timestamp, most: usize) -> Result<usize> {
    let sql = "WITH gone AS (
                   DELETE FROM plan WHERE seq IN (
                       SELECT seq FROM plan WHERE made_at <= $1 ORDER BY made_at, seq LIMIT $2
                   ) RETURNING seq
               ) DELETE FROM plan_decisions WHERE plan IN (SELECT seq FROM gone)";
    let until = now.plus_millis(-KEPT_MS).millis();
    let gone = execute(client, sql, &[&until, &limit(most)]).await?;
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}

/// Notes that a number order undoes a disconnect order, if it does.
pub(super) async fn note_undoing(
    client: &Client,
    ids: &OrderIds,
    by: OrderSeq,
    new: &NewOrder,
) -> Result<()> {
    let Request::Activate(activate) = &new.request else { return Ok(()) };
    let undone = activate.back.as_ref().and_then(|back| back.undo_of).and_then(|id| ids.seq(id));
    if let Some(undone) = undone {
        let sql = "INSERT INTO undoing (order_seq, by_order) VALUES ($1, $2)";
        execute(client, sql, &[&undone.0, &by.0]).await?;
    }
    Ok(())
}

/// Returns the number orders by which disconnect orders were undone, the oldest first.
pub(super) async fn undone_by(
    client: &Client,
    ids: &OrderIds,
    orders: &[OrderId],
) -> Result<HashMap<OrderId, Vec<OrderId>>> {
    let seqs: Vec<i64> = orders.iter().filter_map(|order| ids.seq(*order)).map(|seq| seq.0).collect();
    let sql = "SELECT order_seq, by_order FROM undoing WHERE order_seq = ANY($1) ORDER BY by_order";
    let mut undone: HashMap<OrderId, Vec<OrderId>> = HashMap::new();
    for row in &rows(client, sql, &[&seqs]).await? {
        let (order, by) = (ids.id(OrderSeq(get(row, 0)?)), ids.id(OrderSeq(get(row, 1)?)));
        undone.entry(order).or_default().push(by);
    }
    Ok(undone)
}
