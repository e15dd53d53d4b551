//! A step of orders: loads what the plan needs, and writes what it says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use onhook_core::ids::OrderSeq;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::number::Number;
use onhook_core::order::search::{Criteria, Inventory};
use onhook_core::order::{Kind, Order, Request, Status};
use onhook_core::time::Timestamp;
use tracing::error;

use super::accounts::account_with_premises;
use super::batch::{apply_numbers, known, with_areas};
use super::exchanges::exchanges_of;
use super::order_rows::{ORDER_COLUMNS, ORDERS, add_line, read_order, update_order};
use super::pool::{draw, lots};
use super::tables::Tables;
use super::telling::{apply_notifications, end_bound};
use crate::Result;
use crate::contract::orders::{Script, StepReport};
use crate::contract::pool::PoolQuery;
use crate::error::corrupt;
use crate::plan::batch::Known;
use crate::plan::draw::numbers_in;
use crate::plan::step::{Loaded, OrderWrite, WORK_MAX, Waiting, Writes, step};

/// The column after those of [`ORDER_COLUMNS`]: how often judging the order has panicked.
const ATTEMPTS: usize = 19;

/// Most orders waiting for numbers in one step.
const BACK_ORDERS_MAX: usize = 64;

/// Runs orders that wait: loads what they need, asks the plan, and writes what it says.
pub(super) fn run_orders(
    tables: &mut Tables<'_>,
    now: Timestamp,
    orders_max: usize,
    numbers_max: usize,
    policy: &Policy,
    script: Option<Arc<dyn Script>>,
) -> Result<StepReport> {
    let some_wait = tables.cached.back_orders.after.is_some();
    let (back_orders, more_back) = back_orders(tables)?;
    let taken = tables.cached.turns.take(orders_max, numbers_max);
    let seqs: Vec<OrderSeq> = taken.iter().map(|(_, queued)| queued.seq).collect();
    let new = received(tables, &seqs)?;
    let back_seqs: Vec<OrderSeq> = back_orders.iter().map(|waiting| waiting.order.seq).collect();
    let loaded = load(tables, back_orders, new)?;
    let writes = step(Loaded { script, ..loaded }, policy, now);
    let (back_judged, new_judged) = (writes.back_orders_judged, writes.new_judged);
    let again: HashSet<OrderSeq> = writes.panicked.iter().chain(&writes.waiting).copied().collect();
    let mut report = apply(tables, writes)?;
    // Orders that were not judged, that wait, or whose judging panicked, are the first of the next step.
    let left = taken.into_iter().enumerate();
    let left = left.filter(|(index, (_, queued))| *index >= new_judged || again.contains(&queued.seq));
    tables.cached.turns.put_back(left.map(|(_, left)| left));
    // A step of nothing but panics and orders that wait is not followed at once by another one.
    report.more |= more_back || (tables.cached.turns.len() > again.len());
    // Every order up to the first that waits has run.
    let run_to =
        tables.cached.turns.first().map_or(tables.cached.last_order(), |first| OrderSeq(first.0 - 1));
    tables.cached.set_run_to(tables.connection, run_to)?;
    // Noted only now: an order whose outcome was not written has not been tried.
    match back_seqs.get(..back_judged).and_then(<[_]>::last) {
        Some(last) => {
            let all = back_judged == back_seqs.len() && !more_back;
            tables.cached.back_orders.looked_at((!all).then_some(*last));
        }
        None if some_wait && back_seqs.is_empty() => tables.cached.back_orders.looked_at(None),
        None => {}
    }
    Ok(report)
}

/// Returns the orders with these sequence numbers, which ascend. None of these orders has run.
fn received(tables: &Tables<'_>, seqs: &[OrderSeq]) -> Result<Vec<Waiting>> {
    // They have no outcome yet, so it is not read.
    let mut statement = tables.connection.prepare_cached(&format!(
        "SELECT {ORDER_COLUMNS}, attempts
         FROM (SELECT *, NULL AS failed, NULL AS taken, NULL AS refused, NULL AS peers, NULL AS origin FROM orders)
         WHERE seq BETWEEN ? AND ? AND status = 0 ORDER BY seq"
    ))?;
    let mut found = Vec::with_capacity(seqs.len());
    // Orders with consecutive numbers are read together.
    for run in seqs.chunk_by(|one, next| next.0 == one.0 + 1) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let mut rows = statement.query((first.0, last.0))?;
        while let Some(row) = rows.next()? {
            found.push(Waiting { order: read_order(row)?, attempts: row.get(ATTEMPTS)? });
        }
    }
    if found.len() != seqs.len() {
        return Err(corrupt(format!(
            "of {} orders that have not run, {} are there",
            seqs.len(),
            found.len()
        )));
    }
    Ok(found)
}

/// Returns the next orders that wait for numbers, oldest first, if the pool has grown since they were last tried, and
/// whether there are more.
fn back_orders(tables: &Tables<'_>) -> Result<(Vec<Waiting>, bool)> {
    let Some(after) = tables.cached.back_orders.after else { return Ok((Vec::new(), false)) };
    let mut statement = tables.connection.prepare_cached(&format!(
        "SELECT {ORDER_COLUMNS}, attempts FROM {ORDERS} WHERE status = 4 AND seq > ? ORDER BY seq LIMIT ?"
    ))?;
    let mut rows = statement.query((after.0, i64::try_from(BACK_ORDERS_MAX).unwrap_or(i64::MAX)))?;
    let (mut orders, mut wanted) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let order = read_order(row)?;
        wanted += order.request.quantity().saturating_sub(order.taken.len());
        if !orders.is_empty() && wanted > WORK_MAX {
            return Ok((orders, true));
        }
        orders.push(Waiting { order, attempts: row.get(ATTEMPTS)? });
    }
    let more = orders.len() == BACK_ORDERS_MAX;
    Ok((orders, more))
}

/// Loads all that the plan of these orders may ask for.
fn load(tables: &Tables<'_>, back_orders: Vec<Waiting>, new: Vec<Waiting>) -> Result<Loaded> {
    let orders = || back_orders.iter().chain(&new).map(|waiting| &waiting.order);
    let mut accounts = HashMap::new();
    let mut subscribers = HashMap::new();
    let mut unknown = HashSet::new();
    for order in orders() {
        let account = order.account;
        if accounts.contains_key(&account) || unknown.contains(&account) {
            continue;
        }
        match account_with_premises(tables.connection, account)? {
            Some(home) => drop(accounts.insert(account, home)),
            None => drop(unknown.insert(account)),
        }
        if let Some(theirs) = tables.cached.subscribers.get(&account) {
            subscribers.insert(account, theirs.clone());
        }
    }
    let (drawn, found) = candidates(tables, orders())?;
    // A number order's end also tells where its numbers are from, including those it took in earlier steps.
    let named = orders().flat_map(|order| order.request.numbers().iter().chain(&order.taken));
    let mut numbers = known(tables, named.copied())?;
    let drawn: Vec<Known> = drawn
        .into_values()
        .filter(|known| {
            numbers.binary_search_by_key(&known.entry.number, |there| there.entry.number).is_err()
        })
        .collect();
    numbers.extend(drawn);
    let numbers = with_areas(tables, numbers);
    let of_number_orders = orders().filter(|order| order.request.kind() == Kind::Number);
    let of_number_orders = of_number_orders.flat_map(|order| {
        let found = order.request.search().and_then(|search| found.get(&search.criteria));
        order.request.numbers().iter().chain(&order.taken).chain(found.into_iter().flatten())
    });
    let exchanges = exchanges_of(tables.connection, of_number_orders)?;
    Ok(Loaded { back_orders, new, accounts, numbers, exchanges, found, subscribers, script: None })
}

/// Returns pool numbers for the searches of some orders, and which of them match which search, in the order drawn.
/// Each search gets as many as all of them want together, since another search may take what it found.
#[expect(clippy::type_complexity, reason = "two maps, taken apart at once")]
fn candidates<'a>(
    tables: &Tables<'_>,
    orders: impl Iterator<Item = &'a Order>,
) -> Result<(BTreeMap<Number, Known>, HashMap<Criteria, Vec<Number>>)> {
    let mut searches: Vec<(&Criteria, usize, bool, u64)> = Vec::new();
    for order in orders {
        let (Request::Activate(activate), Some(search)) = (&order.request, order.request.search()) else {
            continue;
        };
        let left = search.quantity.saturating_sub(order.taken.len());
        let seed = order.id.0.as_u64_pair().1;
        searches.push((&search.criteria, left, activate.partial_allowed, seed));
    }
    let wanted: usize = searches.iter().map(|(_, left, ..)| left).sum();
    let (mut drawn, mut found) = (BTreeMap::new(), HashMap::new());
    for (criteria, _, _, seed) in &searches {
        if found.contains_key(*criteria) {
            continue;
        }
        let lots = lots(tables.connection, criteria)?;
        let there = usize::try_from(numbers_in(&lots)).unwrap_or(usize::MAX);
        let same = searches.iter().filter(|(other, ..)| other == criteria);
        // Skips searches that cannot fill any of their all-or-nothing orders.
        let any = same.clone().any(|(_, left, partial_allowed, _)| *partial_allowed || there >= *left);
        let mut numbers = Vec::new();
        if there > 0 && any {
            let (criteria, inventory) = ((*criteria).clone(), Inventory::Pool);
            let query = PoolQuery { criteria, inventory, size: wanted, seed: *seed };
            for row in draw(tables.connection, &lots, &query)? {
                numbers.push(row.entry.number);
                drawn.insert(row.entry.number, row.known());
            }
        }
        found.insert((*criteria).clone(), numbers);
    }
    Ok((drawn, found))
}

/// Writes what the plan says.
pub(super) fn apply(tables: &mut Tables<'_>, writes: Writes) -> Result<StepReport> {
    for OrderWrite { before, after } in &writes.orders {
        tables.cached.saw(after.changed_at);
        update_order(tables, *before, after)?;
        if after.status == Status::Backordered {
            add_line(tables, after, None, None)?;
        }
    }
    for seq in &writes.panicked {
        let mut statement =
            tables.connection.prepare_cached("UPDATE orders SET attempts = attempts + 1 WHERE seq = ?")?;
        statement.execute([seq.0])?;
        error!(order.seq = seq.0, "judging an order panicked; it is tried again, and at last set aside");
    }
    apply_notifications(tables, &writes.notifications)?;
    for (account, order) in &writes.ended {
        end_bound(tables, *account, *order)?;
    }
    apply_numbers(tables, writes.numbers)?;
    Ok(writes.report)
}
