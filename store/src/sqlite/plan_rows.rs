//! The rows of plans, and what they need of other rows.

use std::collections::HashMap;

use onhook_core::ids::{OrderId, OrderSeq, PlanId};
use onhook_core::order::act::Act;
use onhook_core::order::plan::{KEPT_MS, KeptPlan, UNLOCKS_IN_MS, too_many};
use onhook_core::order::{NewOrder, Request};
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::row::{limit, list, of};
use super::settings::chosen;
use super::tables::Tables;
use crate::Result;
use crate::columns::{PlanColumns, in_state, plan_of};
use crate::contract::page::LIST_MAX;
use crate::contract::plans::PlanFilter;
use crate::order_ids::OrderIds;
use crate::plan::plans::Around;

/// Returns the id of a new plan.
pub(super) fn new_id(ids: &OrderIds) -> Result<PlanId> {
    Ok(PlanId(ids.chance.uuid()?))
}

/// Returns what the plan of an act needs beside what the act loads. `user` is who does it.
pub(super) fn around(connection: &Connection, act: &Act, user: &str, now: Timestamp) -> Result<Around> {
    let unlocked: i64 = if matches!(act, Act::Unlock) {
        let sql = "SELECT count(*) FROM event WHERE substr(detail, 1, 11) = '{\"Unlocked\"' AND actor = ? AND at > ?";
        let since = now.plus_millis(-UNLOCKS_IN_MS).millis();
        connection.prepare_cached(sql)?.query_row((user, since), |row| row.get(0))?
    } else {
        0
    };
    Ok(Around::of(unlocked.unsigned_abs(), &chosen(connection)?))
}

/// Writes a new plan. Returns false, and writes nothing, if it is open and there are too many open plans.
pub(super) fn insert_plan(tables: &Tables<'_>, plan: &KeptPlan, now: Timestamp) -> Result<bool> {
    let columns = PlanColumns::of(plan)?;
    if columns.state == 0 {
        let sql = "SELECT count(*) FILTER (WHERE maker = ?), count(*) FROM plan
                   WHERE state = 0 AND expires_at > ?";
        let (own, all): (i64, i64) = tables
            .connection
            .prepare_cached(sql)?
            .query_row((columns.maker, now.millis()), |row| Ok((row.get(0)?, row.get(1)?)))?;
        if too_many(own.unsigned_abs(), all.unsigned_abs()) {
            return Ok(false);
        }
    }
    let seq: i64 = tables
        .connection
        .prepare_cached(
            "INSERT INTO plan (id, act, account, series, maker, state, two_persons, approved, made_at, expires_at, body)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
        )?
        .query_row(
            (
                plan.id.0.as_bytes(),
                columns.act,
                columns.account,
                columns.series,
                columns.maker,
                columns.state,
                columns.two_persons,
                columns.approved,
                columns.made_at,
                columns.expires_at,
                columns.body,
            ),
            |row| row.get(0),
        )?;
    tables
        .connection
        .prepare_cached("INSERT INTO plan_decisions (plan, decisions) VALUES (?, ?)")?
        .execute((seq, columns.decisions))?;
    Ok(true)
}

/// Writes what became of a plan.
pub(super) fn update_plan(tables: &Tables<'_>, plan: &KeptPlan) -> Result<()> {
    let columns = PlanColumns::of(plan)?;
    tables
        .connection
        .prepare_cached(
            "UPDATE plan SET state = ?, two_persons = ?, approved = ?, expires_at = ?, body = ? WHERE id = ?",
        )?
        .execute((
            columns.state,
            columns.two_persons,
            columns.approved,
            columns.expires_at,
            columns.body,
            plan.id.0.as_bytes(),
        ))?;
    tables
        .connection
        .prepare_cached(
            "UPDATE plan_decisions SET decisions = ?1
             WHERE plan = (SELECT seq FROM plan WHERE id = ?2) AND decisions <> ?1",
        )?
        .execute((columns.decisions, plan.id.0.as_bytes()))?;
    Ok(())
}

/// Returns a plan.
pub(super) fn plan(connection: &Connection, id: PlanId) -> Result<Option<KeptPlan>> {
    let sql = "SELECT p.body, d.decisions FROM plan p JOIN plan_decisions d ON d.plan = p.seq WHERE p.id = ?";
    let found: Option<(String, String)> = connection
        .prepare_cached(sql)?
        .query_row([id.0.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(body, decisions)| plan_of(&body, Some(&decisions))).transpose()
}

/// Returns plans that a filter means, the newest first.
pub(super) fn plans(
    connection: &Connection,
    filter: &PlanFilter,
    before: Option<i64>,
    size: usize,
    now: Timestamp,
) -> Result<Vec<(i64, KeptPlan)>> {
    let mut wanted = "seq < ?".to_owned();
    let mut values = vec![Value::Integer(before.unwrap_or(i64::MAX))];
    let texts = [("act", filter.act.as_ref()), ("series", filter.series.as_ref())];
    for (column, text) in texts.into_iter().filter_map(|(column, text)| Some((column, text?))) {
        wanted += &format!(" AND {column} = ?");
        values.push(Value::Text(text.clone()));
    }
    if let Some(account) = filter.account {
        wanted += " AND account = ?";
        values.push(of(account));
    }
    if let Some(state) = filter.state {
        wanted += &format!(" AND {}", in_state(state, &now.millis().to_string()));
    }
    values.push(limit(size));
    let sql = format!("SELECT seq, body FROM plan WHERE {wanted} ORDER BY seq DESC LIMIT ?");
    list(connection, &sql, values, |row| {
        let body: String = row.get(1)?;
        Ok((row.get(0)?, plan_of(&body, None)?))
    })
}

/// Forgets old plans.
pub(super) fn forget(tables: &Tables<'_>, now: Timestamp, most: usize) -> Result<usize> {
    let until = now.plus_millis(-KEPT_MS).millis();
    let old = "SELECT seq FROM plan WHERE made_at <= ? ORDER BY made_at, seq LIMIT ?";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let sql = format!("DELETE FROM plan_decisions WHERE plan IN ({old})");
    tables.connection.prepare_cached(&sql)?.execute((until, most))?;
    let sql = format!("DELETE FROM plan WHERE seq IN ({old})");
    Ok(tables.connection.prepare_cached(&sql)?.execute((until, most))?)
}

/// Notes that a number order undoes a disconnect order, if it does.
pub(super) fn note_undoing(tables: &Tables<'_>, by: OrderSeq, new: &NewOrder) -> Result<()> {
    let Request::Activate(activate) = &new.request else { return Ok(()) };
    let undone = activate.back.as_ref().and_then(|back| back.undo_of).and_then(|id| tables.ids.seq(id));
    if let Some(undone) = undone {
        let sql = "INSERT INTO undoing (order_seq, by_order) VALUES (?, ?)";
        tables.connection.prepare_cached(sql)?.execute((undone.0, by.0))?;
    }
    Ok(())
}

/// Returns the number orders by which disconnect orders were undone, the oldest first.
pub(super) fn undone_by(
    connection: &Connection,
    ids: &OrderIds,
    orders: &[OrderId],
) -> Result<HashMap<OrderId, Vec<OrderId>>> {
    let sql = "SELECT by_order FROM undoing WHERE order_seq = ? ORDER BY by_order LIMIT ?";
    let mut undone = HashMap::new();
    for order in orders {
        let Some(seq) = ids.seq(*order) else { continue };
        let by = list(connection, sql, vec![Value::Integer(seq.0), limit(LIST_MAX)], |row| {
            Ok(ids.id(OrderSeq(row.get(0)?)))
        })?;
        if !by.is_empty() {
            undone.insert(*order, by);
        }
    }
    Ok(undone)
}
