//! What the writer remembers between transactions, so that it need not be read again: counters, areas and subscribers.
//! It always equals what is on disk. It is loaded again when a job is undone.

use std::collections::HashMap;

use onhook_core::ids::{AccountId, EventSeq, OrderSeq, SubscriptionSeq};
use onhook_core::notify::notification::{Subscriber, SubscriptionFilter};
use onhook_core::notify::subscription::OrderType;
use onhook_core::time::Timestamp;
use rusqlite::Connection;

use super::areas::KnownAreas;
use super::row;
use crate::Result;
use crate::plan::turns::{Queued, Turns};

pub(super) struct Cached {
    last_event: EventSeq,
    last_order: OrderSeq,
    /// Every order up to and including this one has run. An index of waiting orders would change twice for each order.
    run_to: OrderSeq,
    /// The orders that have not run yet.
    pub(super) turns: Turns,
    /// The latest time that anything in the store carries. Time does not run backwards in this store.
    last_at: Timestamp,
    pub(super) areas: KnownAreas,
    pub(super) back_orders: BackOrders,
    /// Live subscriptions that can still get a notification. Accounts without any are absent.
    pub(super) subscribers: HashMap<AccountId, Vec<Subscriber>>,
    /// The subscription after which the next search for ended ones begins.
    pub(super) tidied: SubscriptionSeq,
}

/// How far the orders that wait for numbers have been tried since the pool last grew. After a start this is not known,
/// so all are tried.
pub(super) struct BackOrders {
    /// The order after which to go on. `None` if all have been tried with the pool as it is.
    pub(super) after: Option<OrderSeq>,
    /// Whether the pool has grown since the first of them was tried.
    again: bool,
}

impl BackOrders {
    const FIRST: OrderSeq = OrderSeq(0);

    /// Notes that the pool has grown.
    pub(super) fn pool_grew(&mut self) {
        match self.after {
            None => self.after = Some(Self::FIRST),
            Some(_) => self.again = true,
        }
    }

    /// Notes that they have been tried up to `last`, or all of them.
    pub(super) fn looked_at(&mut self, last: Option<OrderSeq>) {
        self.after = last.or_else(|| std::mem::take(&mut self.again).then_some(Self::FIRST));
    }
}

impl Cached {
    pub(super) fn load(connection: &Connection) -> Result<Self> {
        let one = |sql: &str| -> Result<i64> { Ok(connection.query_row(sql, [], |row| row.get(0))?) };
        let mut subscribers: HashMap<AccountId, Vec<Subscriber>> = HashMap::new();
        for (account, subscriber) in load_subscribers(connection)? {
            subscribers.entry(account).or_default().push(subscriber);
        }
        Ok(Self {
            last_event: EventSeq(one("SELECT coalesce(max(seq), 0) FROM event")?),
            last_order: OrderSeq(one("SELECT coalesce(max(seq), 0) FROM orders")?),
            run_to: run_to(connection)?,
            turns: load_turns(connection)?,
            last_at: last_at(connection)?.unwrap_or_default(),
            areas: KnownAreas::load(connection)?,
            back_orders: BackOrders { after: Some(BackOrders::FIRST), again: false },
            subscribers,
            tidied: SubscriptionSeq(0),
        })
    }

    /// Returns the first of `count` sequence numbers of events.
    pub(super) fn next_events(&mut self, count: usize) -> EventSeq {
        let first = EventSeq(self.last_event.0 + 1);
        self.last_event.0 += i64::try_from(count).unwrap_or(i64::MAX);
        first
    }

    pub(super) fn next_order(&mut self) -> OrderSeq {
        self.last_order.0 += 1;
        self.last_order
    }

    pub(super) fn last_order(&self) -> OrderSeq {
        self.last_order
    }

    /// Notes that every order up to and including `last` has run.
    pub(super) fn set_run_to(&mut self, connection: &Connection, last: OrderSeq) -> Result<()> {
        if last > self.run_to {
            row::set_meta(connection, "run_to", last.0)?;
            self.run_to = last;
        }
        Ok(())
    }

    /// Returns a live subscription of an account.
    pub(super) fn subscriber(&mut self, account: AccountId, seq: SubscriptionSeq) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(&account)?.iter_mut().find(|s| s.seq == seq)
    }

    /// Forgets a subscription that gets no more notifications.
    pub(super) fn forget_subscriber(&mut self, account: AccountId, seq: SubscriptionSeq) {
        if let Some(subscribers) = self.subscribers.get_mut(&account) {
            subscribers.retain(|s| s.seq != seq);
            if subscribers.is_empty() {
                self.subscribers.remove(&account);
            }
        }
    }

    /// Returns the caller's time, or the store's if that is later.
    pub(super) fn now(&mut self, now: Timestamp) -> Timestamp {
        self.saw(now);
        self.last_at
    }

    /// Returns the latest time that anything in the store carries: a plan needs that of its own numbers, and this one is
    /// at hand.
    pub(super) fn latest(&self) -> Timestamp {
        self.last_at
    }

    /// Notes that something in the store carries this time.
    pub(super) fn saw(&mut self, at: Timestamp) {
        self.last_at = self.last_at.max(at);
    }
}

/// Returns the time of the newest order or event. `None` in a store without any.
pub(super) fn last_at(connection: &Connection) -> Result<Option<Timestamp>> {
    let sql = "SELECT max(at) FROM (SELECT * FROM (SELECT at FROM event ORDER BY seq DESC LIMIT 1) UNION ALL
               SELECT * FROM (SELECT created_at FROM orders ORDER BY seq DESC LIMIT 1))";
    let at: Option<i64> = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(at.map(Timestamp::from_millis))
}

/// Returns the last order up to which every order has run, as stored.
pub(super) fn run_to(connection: &Connection) -> Result<OrderSeq> {
    Ok(OrderSeq(row::meta(connection, "run_to")?.unwrap_or(0)))
}

/// Returns the orders that have not run yet, in the order of their arrival.
fn load_turns(connection: &Connection) -> Result<Turns> {
    let mut turns = Turns::default();
    let mut statement = connection
        .prepare("SELECT seq, account, numbers FROM orders WHERE seq > ? AND status = 0 ORDER BY seq")?;
    let mut rows = statement.query([run_to(connection)?.0])?;
    while let Some(row) = rows.next()? {
        let numbers = usize::try_from(row.get::<_, u32>(2)?).unwrap_or(usize::MAX);
        turns.push(row::account_id(row.get(1)?)?, Queued::new(OrderSeq(row.get(0)?), numbers));
    }
    Ok(turns)
}

/// Returns all live subscriptions that can still get a notification, by account.
fn load_subscribers(connection: &Connection) -> Result<Vec<(AccountId, Subscriber)>> {
    let mut statement = connection.prepare(
        "SELECT s.account, s.seq, s.order_type, s.order_seq, s.expires_at, s.digest = 'DAILY',
                (SELECT count(*) FROM notification n WHERE n.subscription = s.seq AND n.standing = 0)
         FROM subscription s WHERE s.over = 0 AND s.disabled = 0 AND s.order_type IS NOT NULL ORDER BY s.seq",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let orders: OrderType = row::word(&row.get::<_, String>(2)?)?;
        if orders.kind().is_none() {
            continue;
        }
        let filter = SubscriptionFilter {
            orders,
            order: row.get::<_, Option<i64>>(3)?.map(OrderSeq),
            expires_at: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis),
        };
        let subscriber = Subscriber {
            seq: SubscriptionSeq(row.get(1)?),
            filter,
            daily: row.get::<_, Option<bool>>(5)?.unwrap_or(false),
            waiting: row.get::<_, i64>(6)?.unsigned_abs(),
        };
        found.push((row::account_id(row.get(0)?)?, subscriber));
    }
    Ok(found)
}
