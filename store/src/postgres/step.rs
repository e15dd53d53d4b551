//! A step of orders: claims accounts whose orders wait, loads what the plan needs, and writes what it says.
//!
//! A step that runs an account's orders holds the lock of the account's row in `queue`. Other steps skip that account
//! and run others, on this node or another. So an account's orders run one after another.
//!
//! Locks are taken in this order, so that no two nodes wait for each other: the mark of the orders that wait for
//! numbers, accounts, numbers by their digits, drawn numbers (those that others have are skipped), counts by their keys.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::client::Client;
use onhook_core::ids::{AccountId, OrderSeq};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::number::Number;
use onhook_core::order::search::{Criteria, Inventory};
use onhook_core::order::{Kind, Order, Request};
use onhook_core::time::Timestamp;
use tokio_postgres::Row;
use tracing::error;

use super::accounts::accounts_with_premises;
use super::batch::{apply_numbers, numbers_of};
use super::entries::{NUMBER_COLUMNS, NumberRow, lock_numbers};
use super::exchanges::exchanges_of;
use super::hands::Hand;
use super::order_rows::{ORDER_COLUMNS, add_waiting_lines, read_order, update_orders};
use super::pool::{draw, lots};
use super::row::{account_of, all_digits, get, limit, small};
use super::statement::{NOW, Value, execute, row, rows, together};
use super::telling::{apply_notifications, end_bound, subscribers_of};
use crate::Result;
use crate::contract::leases::NODE;
use crate::contract::orders::{Script, StepReport};
use crate::contract::pool::PoolQuery;
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::plan::draw::numbers_in;
use crate::plan::step::{Loaded, WORK_MAX, Waiting, Writes, step};
use crate::plan::turns::{Backlog, Queued, Turns, enough};

/// The column after those of [`ORDER_COLUMNS`]: how often judging the order has panicked.
const ATTEMPTS: usize = 19;

/// Most orders waiting for numbers in one step.
const BACK_ORDERS_MAX: usize = 64;

/// Most accounts in one step.
const ACCOUNTS_MAX: usize = 64;

/// What waits to be run.
pub(super) struct Queues {
    /// The accounts with orders that have not run, in the order of their turns.
    pub(super) waiting: Vec<Backlog>,
    /// True if orders that wait for numbers are to be tried, since the pool has grown.
    pub(super) back: bool,
    /// How many nodes there are.
    pub(super) nodes: usize,
}

impl Queues {
    /// Looks what waits, without a lock. It counts the orders of the first [`ACCOUNTS_MAX`] accounts, of each at most
    /// `orders_max`: no step takes more accounts, however many wait. It counts none of those that steps of this node
    /// `have`: thousands may wait there, and this step leaves them alone.
    pub(super) async fn look(client: &Client, orders_max: usize, have: &HashSet<AccountId>) -> Result<Self> {
        // A skip scan: the waiting orders of one account, however many, cost one seek and those that are counted.
        let waiting = format!(
            "WITH RECURSIVE waiting (account) AS (
                 (SELECT account FROM orders WHERE status = 0 ORDER BY account LIMIT 1)
                 UNION ALL
                 SELECT (SELECT o.account FROM orders o
                         WHERE o.status = 0 AND o.account > w.account ORDER BY o.account LIMIT 1)
                 FROM waiting w WHERE w.account IS NOT NULL
             )
             SELECT w.account, f.orders, f.numbers,
                    (SELECT count(*) FROM lease WHERE name LIKE '{NODE}%' AND until > {NOW})
             FROM (SELECT account, account <> ALL ($2) AS free,
                          row_number() OVER (ORDER BY account = ANY ($2), q.turn, account) AS place
                   FROM waiting JOIN queue q USING (account)) w
             CROSS JOIN LATERAL (SELECT count(*) AS orders, coalesce(sum(numbers), 0)::bigint AS numbers
                                 FROM (SELECT numbers FROM orders
                                       WHERE account = w.account AND status = 0 AND w.free
                                             AND w.place <= {ACCOUNTS_MAX}
                                       ORDER BY seq LIMIT $1) o) f
             ORDER BY w.place"
        );
        let back = "SELECT EXISTS (SELECT 1 FROM orders WHERE status = 4)
                        AND ((SELECT value FROM counter WHERE name = 'back_orders_after') >= 0
                             OR (SELECT value FROM counter WHERE name = 'back_orders_tried')
                                <> (SELECT value FROM counter WHERE name = 'pool_grown'))";
        let most = limit(orders_max);
        let have: Vec<i64> = have.iter().map(|account| account.get().into()).collect();
        let values: [&dyn Value; 2] = [&most, &have];
        let (found, back) = together!(rows(client, &waiting, &values), row(client, back, &[]))?;
        let backlog = |row: &Row| {
            Ok(Backlog { account: account_of(row, 0)?, orders: small(row, 1)?, numbers: small(row, 2)? })
        };
        let back = back.ok_or_else(|| corrupt("a query without a row"))?;
        Ok(Self {
            waiting: found.iter().map(backlog).collect::<Result<_>>()?,
            back: get::<Option<bool>>(&back, 0)?.unwrap_or(false),
            nodes: found.first().map_or(Ok(1), |row| small::<usize>(row, 3))?.max(1),
        })
    }
}

/// Which orders a step may run, and by which rules.
pub(super) struct Run<'a> {
    /// The accounts with orders that wait.
    pub(super) queues: &'a Queues,
    /// Where the accounts are noted that the step has claimed.
    pub(super) hand: &'a Hand<'a>,
    /// Most orders.
    pub(super) orders_max: usize,
    /// Most numbers of them.
    pub(super) numbers_max: usize,
    pub(super) policy: &'a Policy,
    pub(super) script: Option<Arc<dyn Script>>,
}

/// Runs orders that wait: loads what they need, asks the plan, and writes what it says.
pub(super) async fn run_orders(
    client: &Client,
    ids: &OrderIds,
    now: Timestamp,
    run: Run<'_>,
) -> Result<StepReport> {
    let Run { queues, hand, orders_max, numbers_max, policy, script } = run;
    let back = if queues.back { BackOrders::claim(client).await? } else { BackOrders::NONE };
    let Claimed { turns, mut queues, full, busy } = claim_turns(client, queues, orders_max).await?;
    hand.take(queues.iter().map(|(account, _)| *account).collect());
    let mut turns = turns;
    let taken = turns.take(orders_max, numbers_max);
    let seqs: Vec<OrderSeq> = taken.iter().map(|(_, queued)| queued.seq).collect();
    let new = received(client, &seqs).await?;
    let back_seqs: Vec<OrderSeq> = back.orders.iter().map(|waiting| waiting.order.seq).collect();
    let loaded = load(client, &back.orders, new).await?;
    let writes = step(Loaded { script, ..loaded }, policy, now);
    let (back_judged, new_judged) = (writes.back_orders_judged, writes.new_judged);
    let again: HashSet<OrderSeq> = writes.panicked.iter().chain(&writes.waiting).copied().collect();
    // Orders that were not judged, that wait, or whose judging panicked, are the first of the next step.
    let left = taken.into_iter().enumerate();
    let left = left.filter(|(index, (_, queued))| *index >= new_judged || again.contains(&queued.seq));
    turns.put_back(left.map(|(_, left)| left));
    // A step of nothing but panics and orders that wait is not followed at once by another one.
    let more = back.more || full || turns.len() > again.len();
    for (account, earned) in turns.round() {
        queues.retain(|queue| queue.0 != account); // those that stay have no more orders
        queues.push((account, earned));
    }
    let (report, (), ()) = together!(
        apply(client, ids, writes),
        write_turns(client, &queues, &turns, now),
        back.looked_at(client, &back_seqs, back_judged),
    )?;
    Ok(StepReport { more: report.more || more, busy: busy || back.busy, ..report })
}

/// The accounts whose orders a step may run.
#[derive(Default)]
struct Claimed {
    turns: Turns,
    /// The accounts, each with the numbers that it has earned.
    queues: Vec<(AccountId, usize)>,
    /// True if there may be more.
    full: bool,
    /// True if another step may run the orders of some.
    busy: bool,
}

/// Claims accounts with orders that have not run, those whose turn is first: as many as fill a step, and at most this
/// node's share, so that others run theirs at the same time.
async fn claim_turns(client: &Client, queues: &Queues, orders_max: usize) -> Result<Claimed> {
    let Queues { waiting, nodes, .. } = queues;
    if waiting.is_empty() {
        return Ok(Claimed::default());
    }
    let fill = enough(waiting, orders_max);
    let others = fill < waiting.len();
    let most = fill.min(waiting.len().div_ceil(*nodes)).min(ACCOUNTS_MAX);
    let free: Vec<i64> = waiting.iter().map(|backlog| backlog.account.get().into()).collect();
    let sql = "SELECT account, earned FROM queue WHERE account = ANY($1) ORDER BY turn, account LIMIT $2
               FOR UPDATE SKIP LOCKED";
    let mut queues = Vec::new();
    for row in &rows(client, sql, &[&free, &limit(most)]).await? {
        queues.push((account_of(row, 0)?, small::<usize>(row, 1)?));
    }
    let claimed: Vec<i64> = queues.iter().map(|(account, _)| account.get().into()).collect();
    let sql = "SELECT o.account, o.seq, o.numbers FROM unnest($1::bigint[]) AS claimed (account)
               CROSS JOIN LATERAL (SELECT account, seq, numbers FROM orders
                                   WHERE account = claimed.account AND status = 0 ORDER BY seq LIMIT $2) o";
    let mut orders: HashMap<AccountId, Vec<Queued>> = HashMap::new();
    for row in &rows(client, sql, &[&claimed, &limit(orders_max)]).await? {
        let queued = Queued::new(OrderSeq(get(row, 1)?), small(row, 2)?);
        orders.entry(account_of(row, 0)?).or_default().push(queued);
    }
    let full = orders.values().any(|orders| orders.len() == orders_max);
    let turns = Turns::of(
        queues
            .iter()
            .map(|(account, earned)| (*account, *earned, orders.remove(account).unwrap_or_default())),
    );
    let turns = if others { turns.beside_others() } else { turns };
    // Those that are left are for the next step, unless another one has them.
    let full = full || queues.len() == most && (others || most == ACCOUNTS_MAX);
    let busy = queues.len() < waiting.len().min(ACCOUNTS_MAX);
    Ok(Claimed { turns, queues, full, busy })
}

/// Writes when the claimed accounts had their turn, and what they have earned.
async fn write_turns(
    client: &Client,
    queues: &[(AccountId, usize)],
    turns: &Turns,
    now: Timestamp,
) -> Result<()> {
    if queues.is_empty() {
        return Ok(());
    }
    let first = now.millis().saturating_mul(1_000);
    let accounts: Vec<i64> = queues.iter().map(|(account, _)| account.get().into()).collect();
    let numbers = (first..).take(queues.len()).collect::<Vec<i64>>();
    // An account without orders saves nothing.
    let earned: Vec<i64> = queues
        .iter()
        .map(|(account, earned)| if turns.waiting_of(*account) == 0 { 0 } else { limit(*earned) })
        .collect();
    let sql = "UPDATE queue SET turn = u.turn, earned = u.earned
               FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (account, turn, earned)
               WHERE queue.account = u.account";
    execute(client, sql, &[&accounts, &numbers, &earned]).await?;
    Ok(())
}

/// Returns the orders with these sequence numbers, in their order. None of them has run.
async fn received(client: &Client, seqs: &[OrderSeq]) -> Result<Vec<Waiting>> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
    let sql = format!(
        "SELECT {ORDER_COLUMNS}, attempts FROM orders WHERE seq = ANY($1) AND status = 0 ORDER BY seq"
    );
    let found = rows(client, &sql, &[&wanted]).await?;
    if found.len() != seqs.len() {
        return Err(corrupt(format!(
            "of {} orders that have not run, {} are there",
            seqs.len(),
            found.len()
        )));
    }
    found.iter().map(|row| Ok(Waiting { order: read_order(row)?, attempts: small(row, ATTEMPTS)? })).collect()
}

/// The orders that wait for numbers, as far as this step tries them.
struct BackOrders {
    orders: Vec<Waiting>,
    more: bool,
    /// True if another step tries them.
    busy: bool,
    /// How far they had been tried before, and how far these go, if this node holds the mark of that.
    mark: Option<(i64, i64)>,
}

impl BackOrders {
    const NONE: Self = Self { orders: Vec::new(), more: false, busy: false, mark: None };

    /// Claims the next orders that wait for numbers, oldest first, if the pool has grown since they were last tried.
    /// Only one step tries them at a time. It may not see that the pool grows meanwhile, so others look again.
    async fn claim(client: &Client) -> Result<Self> {
        let sql = "SELECT value FROM counter WHERE name = 'back_orders_after' FOR UPDATE SKIP LOCKED";
        let Some(after) = row(client, sql, &[]).await? else {
            return Ok(Self { busy: true, ..Self::NONE });
        };
        let mut after: i64 = get(&after, 0)?;
        if after < 0 {
            // The mark is set before the orders are tried. What comes into the pool later is a reason to try again.
            let sql = "UPDATE counter SET value = (SELECT value FROM counter WHERE name = 'pool_grown')
                       WHERE name = 'back_orders_tried'
                         AND value <> (SELECT value FROM counter WHERE name = 'pool_grown')";
            if execute(client, sql, &[]).await? == 0 {
                return Ok(Self::NONE);
            }
            after = 0;
        }
        let sql = "SELECT seq, account FROM orders WHERE status = 4 AND seq > $1 ORDER BY seq LIMIT $2";
        let found = rows(client, sql, &[&after, &limit(BACK_ORDERS_MAX)]).await?;
        let seqs: Vec<i64> = found.iter().map(|row| get(row, 0)).collect::<Result<_>>()?;
        let accounts: Vec<i64> = found.iter().map(|row| get(row, 1)).collect::<Result<_>>()?;
        let sql = "SELECT 1 FROM queue WHERE account = ANY($1) ORDER BY account FOR UPDATE";
        execute(client, sql, &[&accounts]).await?;
        // Read only now: another node may have run or changed one of them while this one waited for its account.
        let sql = format!(
            "SELECT {ORDER_COLUMNS}, attempts FROM orders WHERE seq = ANY($1) AND status = 4 ORDER BY seq"
        );
        let (mut orders, mut wanted) = (Vec::new(), 0);
        let (mut more, mut last) = (seqs.len() == BACK_ORDERS_MAX, seqs.last().copied().unwrap_or(after));
        for row in &rows(client, &sql, &[&seqs]).await? {
            let order = read_order(row)?;
            wanted += order.request.quantity().saturating_sub(order.taken.len());
            if !orders.is_empty() && wanted > WORK_MAX {
                (more, last) = (true, order.seq.0 - 1);
                break;
            }
            orders.push(Waiting { order, attempts: small(row, ATTEMPTS)? });
        }
        Ok(Self { orders, more, busy: false, mark: Some((after, last)) })
    }

    /// Notes how far they have been tried: the first `judged` of these.
    async fn looked_at(&self, client: &Client, seqs: &[OrderSeq], judged: usize) -> Result<()> {
        let Some((first, last)) = self.mark else { return Ok(()) };
        let after = if judged < seqs.len() {
            seqs.get(..judged).and_then(<[_]>::last).map_or(first, |seq| seq.0)
        } else if self.more {
            last
        } else {
            -1
        };
        execute(client, "UPDATE counter SET value = $1 WHERE name = 'back_orders_after'", &[&after]).await?;
        Ok(())
    }
}

/// Loads all that the plan of these orders may ask for.
async fn load(client: &Client, back: &[Waiting], new: Vec<Waiting>) -> Result<Loaded> {
    let back_orders = back.to_vec();
    let orders = || back_orders.iter().chain(&new).map(|waiting| &waiting.order);
    let ids: HashSet<AccountId> = orders().map(|order| order.account).collect();
    let ids: Vec<AccountId> = ids.into_iter().collect();
    // A number order's end also tells where its numbers are from, including those it took in earlier steps.
    let named: Vec<Number> =
        orders().flat_map(|order| order.request.numbers().iter().chain(&order.taken)).copied().collect();
    let (accounts, subscribers, mut rows) = together!(
        accounts_with_premises(client, &ids),
        subscribers_of(client, &ids),
        lock_numbers(client, &named),
    )?;
    let all: Vec<&Order> = orders().collect();
    let (drawn, found) = candidates(client, &all).await?;
    for row in drawn.into_values() {
        if rows.binary_search_by_key(&row.entry.number, |there| there.entry.number).is_err() {
            rows.push(row);
        }
    }
    let of_number_orders = orders().filter(|order| order.request.kind() == Kind::Number);
    let of_number_orders = of_number_orders.flat_map(|order| {
        let found = order.request.search().and_then(|search| found.get(&search.criteria));
        order.request.numbers().iter().chain(&order.taken).chain(found.into_iter().flatten())
    });
    let of_number_orders: Vec<Number> = of_number_orders.copied().collect();
    let (exchanges, numbers) = together!(exchanges_of(client, &of_number_orders), numbers_of(client, rows))?;
    Ok(Loaded { back_orders, new, accounts, numbers, exchanges, found, subscribers, script: None })
}

/// Returns pool numbers for the searches of some orders, locked, and which of them match which search, in the order
/// drawn. Each search gets as many as all of them want together, since another search may take what it found. Numbers
/// that another transaction has locked are left out.
async fn candidates(
    client: &Client,
    orders: &[&Order],
) -> Result<(BTreeMap<Number, NumberRow>, HashMap<Criteria, Vec<Number>>)> {
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
        let lots = lots(client, criteria).await?;
        let there = usize::try_from(numbers_in(&lots)).unwrap_or(usize::MAX);
        let same = searches.iter().filter(|(other, ..)| other == criteria);
        // Skips searches that cannot fill any of their all-or-nothing orders.
        let any = same.clone().any(|(_, left, partial_allowed, _)| *partial_allowed || there >= *left);
        let mut numbers = Vec::new();
        if there > 0 && any {
            let (criteria, inventory) = ((*criteria).clone(), Inventory::Pool);
            let query = PoolQuery { criteria, inventory, size: wanted, seed: *seed };
            let chosen: Vec<Number> =
                draw(client, &lots, &query).await?.into_iter().map(|row| row.entry.number).collect();
            let mut locked = lock_free(client, &chosen).await?;
            for number in chosen {
                if let Some(row) = locked.remove(&number) {
                    numbers.push(number);
                    drawn.insert(number, row);
                }
            }
        }
        found.insert((*criteria).clone(), numbers);
    }
    Ok((drawn, found))
}

/// Locks those of the numbers that are in the pool and that no other transaction has locked, and returns them.
async fn lock_free(client: &Client, numbers: &[Number]) -> Result<HashMap<Number, NumberRow>> {
    let sql = format!(
        "SELECT {NUMBER_COLUMNS} FROM number WHERE number = ANY($1) AND state = 0 ORDER BY number FOR UPDATE SKIP LOCKED"
    );
    let found = rows(client, &sql, &[&all_digits(numbers.iter().copied())]).await?;
    found.iter().map(|row| NumberRow::read(row).map(|row| (row.entry.number, row))).collect()
}

/// Writes what the plan says.
pub(super) async fn apply(client: &Client, ids: &OrderIds, writes: Writes) -> Result<StepReport> {
    together!(
        update_orders(client, &writes.orders),
        add_waiting_lines(client, &writes.orders),
        count_panics(client, &writes.panicked),
        apply_notifications(client, ids, &writes.notifications),
        end_bound(client, &writes.ended),
        apply_numbers(client, writes.numbers),
    )?;
    Ok(writes.report)
}

/// Counts one more attempt of each order whose judging has panicked.
async fn count_panics(client: &Client, panicked: &[OrderSeq]) -> Result<()> {
    if panicked.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = panicked.iter().map(|seq| seq.0).collect();
    execute(client, "UPDATE orders SET attempts = attempts + 1 WHERE seq = ANY($1)", &[&seqs]).await?;
    for seq in seqs {
        error!(order.seq = seq, "judging an order panicked; it is tried again, and at last set aside");
    }
    Ok(())
}
