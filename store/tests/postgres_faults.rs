//! The store in a PostgreSQL database whose connections are cut, whose transactions are broken off, and whose nodes are
//! late.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests say why they are skipped")]

mod good;
mod openers;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use onhook_cluster::shared;
use onhook_cluster::wire::{At, Cut, Gate, Wire};
use onhook_core::ids::SubscriptionSeq;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::notify::notification::{Attempt, Next, Outcome};
use onhook_core::number::Number;
use onhook_core::order::{Kind, NewOrder, Status};
use onhook_core::time::DAY_MS;
use onhook_store::audit::{seal_next, verify};
use onhook_store::conformance::Opener;
use onhook_store::contract::audit::SEALER;
use onhook_store::contract::deliveries::{Deliveries, DueLimits};
use onhook_store::contract::imports::Imports;
use onhook_store::contract::leases::{LeaseToken, Leases};
use onhook_store::contract::numbers::Numbers;
use onhook_store::contract::orders::Orders;
use onhook_store::contract::subscriptions::Subscriptions;
use onhook_store::contract::upkeep::Upkeep;
use onhook_store::postgres::PostgresStore;
use onhook_store::{Store, StoreError};
use tokio_postgres::{Client, NoTls};

use good::{account, new_order, new_subscription, now, number, put_ten_in_service};

/// How long a lease lasts here: longer than any test.
const LONG: Duration = Duration::from_hours(1);

/// Sessions of this database that wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";

const LIMITS: DueLimits = DueLimits { subscriptions: 10, single: 10, daily: 10 };

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Returns the number that a query counts.
async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Waits until something is so. Five minutes are only the bound of a test that hangs.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let is_so = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(5), is_so).await.unwrap();
}

/// Returns the address of a database through a proxy.
fn through(wire: &Wire, url: &str) -> String {
    let (_, name) = url.rsplit_once('/').unwrap();
    format!("postgres://{}@{}/{name}?sslmode=disable", onhook_cluster::NAME, wire.address())
}

fn attempt() -> Attempt {
    let (target, outcome) = ("ops@example.com".into(), Outcome::Mailed);
    Attempt { target, at: now(), took_ms: 1, outcome, answer: None, retry_after_ms: None }
}

/// Cuts connections at certain messages.
#[derive(Default)]
struct Knife {
    /// How many messages there were.
    messages: AtomicU64,
    /// At which messages it cuts, and how.
    at: Mutex<Vec<(u64, Cut)>>,
}

impl Knife {
    fn judge(&self) -> Option<Cut> {
        let message = self.messages.fetch_add(1, Ordering::SeqCst);
        let mut at = self.at.lock().unwrap();
        let found = at.iter().position(|(at, _)| *at == message)?;
        Some(at.swap_remove(found).1)
    }

    /// Cuts at the messages so many after this moment.
    fn cut(&self, after: &[u64], cut: Cut) {
        let first = self.messages.load(Ordering::SeqCst);
        *self.at.lock().unwrap() = after.iter().map(|after| (first + after, cut)).collect();
    }
}

/// A store with many numbers in service, a subscriber and two leases.
struct Lives {
    store: PostgresStore,
    node: LeaseToken,
    sealer: LeaseToken,
    lived: u64,
}

/// Numbers of these orders. The first ones are those of [`number`].
const NUMBERS: u64 = 5_000;

impl Lives {
    async fn begin(store: PostgresStore) -> Self {
        put_ten_in_service(&store).await;
        let new = |n| NewNumber {
            state: State::InService,
            account: Some(account()),
            ..NewNumber::available(nth(n))
        };
        let numbers = (0..NUMBERS).map(move |n| (n, Ok(new(n))));
        store.import(Box::new(numbers), Intake::of("more"), now(), Arc::default()).await.unwrap();
        store.subscribe(new_subscription(), now()).await.unwrap();
        let [node, sealer] = ["node", SEALER].map(|name| store.take_lease(name, LONG));
        let (node, sealer) = (node.await.unwrap().unwrap(), sealer.await.unwrap().unwrap());
        while seal_next(&store, sealer, now()).await.unwrap() > 0 {}
        Self { store, node, sealer, lived: 0 }
    }

    /// Lets an order live: it is accepted, runs once, its subscriber is told once, and its events are sealed.
    async fn live(&mut self) {
        let (store, first) = (&self.store, 2 * self.lived);
        self.lived += 1;
        let id = store.accept(new_order(&[nth(first), nth(first + 1)])).await.unwrap().id;
        assert!(store.renew_lease("node", self.node, LONG).await.unwrap());
        let mut ended = Vec::new();
        loop {
            let step = store.run_orders(now(), 10, 10, Arc::default()).await.unwrap();
            ended.extend(step.ended.into_iter().map(|order| (order.id, order.status)));
            // The database may not have noticed yet that the connection is cut on which the account is locked.
            if !step.more && !step.busy {
                break;
            }
        }
        assert_eq!(ended, [(id, Status::Complete)]);
        let due = store.claim(self.node, now(), SubscriptionSeq(0), LIMITS).await.unwrap().due.remove(0);
        let [seq] = due.notifications[..] else { panic!("one is due: {due:?}") };
        let ready = store.ready(due.subscription, vec![seq]).await.unwrap().unwrap();
        assert_eq!(ready.notifications[0].order.id, id);
        store.record(self.node, attempt(), vec![(seq, Next::Delivered)]).await.unwrap();
        assert_eq!(seal_next(store, self.sealer, now()).await.unwrap(), 2);
        let order = store.order(account(), Kind::Disconnect, id).await.unwrap().unwrap();
        assert_eq!(order.status, Status::Complete);
    }

    /// Looks at all that has lived.
    async fn check(&self, url: &str) {
        let client = connect(url).await;
        for (what, sql) in [
            ("orders", "SELECT count(*) FROM orders WHERE status = 1"),
            ("all orders", "SELECT count(*) FROM orders"),
            ("requests", "SELECT count(DISTINCT request) FROM orders"),
            ("delivered", "SELECT count(*) FROM notification WHERE standing = 1"),
            ("notifications", "SELECT count(*) FROM notification"),
            ("attempts", "SELECT count(*) FROM attempt"),
            ("pairs of events", "SELECT count(*) / 2 FROM event WHERE number IS NOT NULL"),
        ] {
            assert_eq!(count(&client, sql).await.unsigned_abs(), self.lived, "{what}");
        }
        assert_eq!(self.store.check(true).await.unwrap().findings, vec![]);
        assert_eq!(verify(&self.store, Vec::new()).await.unwrap().faults, []);
    }
}

fn nth(n: u64) -> Number {
    Number::from_digits(12_125_550_000 + n).unwrap()
}

/// An order, from its arrival to its seal, while its connection is cut at each message in turn: before it, within it,
/// before its answer and within that; by an end and by a reset. Half of the time the next connection is cut, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_can_be_cut_at_any_message_of_an_order_s_life() {
    let Some(fresh) = openers::database() else { return };
    let knife = Arc::new(Knife::default());
    let judging = knife.clone();
    let wire = Wire::start(shared().unwrap().port(), move |_| judging.judge()).unwrap();
    let store = PostgresStore::open(&through(&wire, &fresh.0)).await.unwrap();
    let mut lives = Lives::begin(store).await;
    lives.live().await; // the first one prepares statements
    let first = knife.messages.load(Ordering::SeqCst);
    lives.live().await;
    let messages = knife.messages.load(Ordering::SeqCst) - first;
    assert!(messages > 30, "{messages}");
    let mut cuts = 0;
    for message in 0..messages {
        for (turn, at) in (message..).zip([At::Before, At::Within, At::BeforeAnswer, At::WithinAnswer]) {
            let cut = Cut { at, reset: turn % 2 == 0 };
            // A new connection begins with one message.
            let both = [message, message + 2];
            knife.cut(if turn % 4 < 2 { &both[..1] } else { &both }, cut);
            tokio::time::timeout(Duration::from_secs(60), lives.live())
                .await
                .unwrap_or_else(|_| panic!("no end after a cut at message {message}: {cut:?}"));
            let left = std::mem::take(&mut *knife.at.lock().unwrap()).len();
            cuts += (if turn % 4 < 2 { 1 } else { 2 }) - left;
        }
    }
    println!("{messages} messages, {cuts} cuts, {} orders", lives.lived);
    assert!(cuts > 4 * 30, "{cuts}");
    lives.check(&fresh.0).await;
}

/// Returns a store whose messages to the database can be held.
async fn slow(url: &str) -> (PostgresStore, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let passing = gate.clone();
    let judge = move |message: &[u8]| {
        passing.pass(message);
        None
    };
    let wire = Wire::start(shared().unwrap().port(), judge).unwrap();
    (PostgresStore::open(&through(&wire, url)).await.unwrap(), gate)
}

/// Ends a lease, as if it had run out, and lets another node take it. Then lets the first one's message go.
async fn take_over(store: &PostgresStore, name: &str, of: LeaseToken, gate: &Gate) -> LeaseToken {
    until(async || gate.held() == 1).await;
    store.end_lease(name, of).await.unwrap();
    let taken = store.take_lease(name, LONG).await.unwrap().unwrap();
    gate.open();
    taken
}

/// A node that looked while it had the lease, and is late with what it writes then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_late_under_a_lease_that_another_node_has_is_refused() {
    let Some(fresh) = openers::database() else { return };
    let (one, gate) = slow(&fresh.0).await;
    let other = PostgresStore::open(&fresh.0).await.unwrap();
    put_ten_in_service(&other).await;
    other.subscribe(new_subscription(), now()).await.unwrap();
    other.accept(new_order(&[number(1), number(2)])).await.unwrap();
    other.run_orders(now(), 10, 10, Arc::default()).await.unwrap();

    let first = one.take_lease("release", LONG).await.unwrap().unwrap();
    let due = now().plus_millis(400 * DAY_MS);
    gate.hold("SELECT 1 FROM due WHERE due_at <=");
    let (late, second) =
        tokio::join!(one.release(first, due, 10, Arc::default()), take_over(&other, "release", first, &gate));
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    assert_eq!(other.release(second, due, 10, Arc::default()).await.unwrap().numbers, 2);

    let first = one.take_lease("node-1", LONG).await.unwrap().unwrap();
    gate.hold("FROM subscription s CROSS JOIN LATERAL");
    let (late, second) = tokio::join!(
        one.claim(first, now(), SubscriptionSeq(0), LIMITS),
        take_over(&other, "node-1", first, &gate)
    );
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    let claimed = other.claim(second, now(), SubscriptionSeq(0), LIMITS).await.unwrap().due;
    assert_eq!(claimed[0].notifications.len(), 1);
    assert_eq!(other.check(true).await.unwrap().findings, vec![]);
}

/// What has looked at its lease in its transaction keeps others from taking it until that has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_not_taken_while_something_is_written_under_it() {
    let Some(fresh) = openers::database() else { return };
    let one = PostgresStore::open(&fresh.0).await.unwrap();
    let other = PostgresStore::open(&fresh.0).await.unwrap();
    put_ten_in_service(&one).await;
    one.subscribe(new_subscription(), now()).await.unwrap();
    one.accept(new_order(&[number(1)])).await.unwrap();
    one.run_orders(now(), 10, 10, Arc::default()).await.unwrap();
    let first = one.take_lease("node-1", LONG).await.unwrap().unwrap();
    let claimed = one.claim(first, now(), SubscriptionSeq(0), LIMITS).await.unwrap().due.remove(0);
    let [seq] = claimed.notifications[..] else { panic!("one is due: {claimed:?}") };

    let (holder, look) = (connect(&fresh.0).await, connect(&fresh.0).await);
    holder.batch_execute("BEGIN; SELECT 1 FROM subscription FOR UPDATE").await.unwrap();
    let waits = async |like: &str| {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND wait_event_type = 'Lock' AND query LIKE $1";
        look.query_one(sql, &[&like]).await.unwrap().get::<_, i64>(0) > 0
    };
    let taken = AtomicBool::new(false);
    let take = async {
        until(async || waits("%FROM subscription%").await).await;
        look.batch_execute("UPDATE lease SET until = 0").await.unwrap();
        let second = other.take_lease("node-1", LONG).await.unwrap();
        taken.store(true, Ordering::SeqCst);
        second.unwrap()
    };
    let look_on = async {
        until(async || taken.load(Ordering::SeqCst) || waits("INSERT INTO lease%").await).await;
        assert!(!taken.load(Ordering::SeqCst), "the lease was taken in the middle of the record");
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (recorded, second, ()) =
        tokio::join!(one.record(first, attempt(), vec![(seq, Next::Delivered)]), take, look_on);
    recorded.unwrap();
    assert!(second > first);
    assert_eq!(count(&look, "SELECT count(*) FROM attempt").await, 1);
    assert_eq!(other.claim(second, now(), SubscriptionSeq(0), LIMITS).await.unwrap().due, []);
}

/// A database that breaks transactions off, at the statements that write. Each second time the transaction is in a deadlock
/// with another session, which the database ends by itself; the other times the code is that of a failed serialization,
/// which the level of these transactions does not have in PostgreSQL.
struct Rude {
    database: openers::Database,
    /// Set when it is.
    is_rude: AtomicBool,
    /// At which statement that writes, the n-th, it is rude.
    when: &'static str,
}

/// What breaks transactions off. An import of a file in one transaction is left alone, since it cannot be run again: its
/// lines have been read.
const BREAK_OFF: &str = "
    CREATE SEQUENCE writes;
    CREATE SEQUENCE breaks;
    CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        n bigint;
    BEGIN
        IF EXISTS (SELECT 1 FROM counter WHERE name = 'imports' AND xmax = pg_current_xact_id()::xid) THEN
            RETURN NULL;
        END IF;
        n := nextval('writes');
        IF NOT (WHEN_RUDE) THEN
            RETURN NULL;
        END IF;
        IF nextval('breaks') % 2 = 0 THEN
            RAISE 'on purpose' USING ERRCODE = '40001';
        END IF;
        -- The other session has the first lock and wants the second. This one looks for a deadlock soon.
        PERFORM set_config('deadlock_timeout', '2ms', true), set_config('lock_timeout', '0', true);
        PERFORM pg_advisory_xact_lock(2);
        -- Others may wait for the second lock, too. This one looks for a deadlock once, so it must be there by then.
        WHILE NOT EXISTS (SELECT 1 FROM pg_locks first JOIN pg_locks second USING (pid, database, locktype)
                          WHERE locktype = 'advisory' AND first.objid = 1 AND first.granted
                            AND second.objid = 2 AND NOT second.granted
                            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) LOOP
            PERFORM pg_sleep(0.001);
        END LOOP;
        PERFORM pg_advisory_xact_lock(1);
        RETURN NULL;
    END $$;
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tablename FROM pg_tables
                    WHERE schemaname = 'public' AND tablename NOT IN ('meta', 'schema_version', 'committed') LOOP
            EXECUTE format('CREATE TRIGGER break_off BEFORE INSERT OR UPDATE OR DELETE ON %I
                            FOR EACH STATEMENT EXECUTE FUNCTION break_off()', name);
        END LOOP;
    END $$;
    CREATE CONSTRAINT TRIGGER break_off AFTER INSERT ON committed DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION break_off();";

impl Rude {
    fn new(when: &'static str) -> Option<Self> {
        Some(Self { database: openers::database()?, is_rude: AtomicBool::new(false), when })
    }

    /// Lets the database be rude from now on.
    async fn begin(&self) {
        let client = connect(&self.database.0).await;
        client.batch_execute(&BREAK_OFF.replace("WHEN_RUDE", self.when)).await.unwrap();
        // It has the first lock before a transaction can want it, and goes on until the test ends.
        client.batch_execute("SET deadlock_timeout = '10min'; SELECT pg_advisory_lock(1)").await.unwrap();
        tokio::spawn(async move {
            let again = "SELECT pg_advisory_lock(2), pg_advisory_unlock(2)";
            loop {
                let sql =
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 2 AND granted
                           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
                match client.query_one(sql, &[]).await {
                    Ok(row) if row.get::<_, i64>(0) == 0 => {
                        tokio::time::sleep(Duration::from_millis(2)).await
                    }
                    Ok(_) => client.batch_execute(again).await.unwrap_or_default(),
                    Err(_) => return,
                }
            }
        });
    }

    /// Returns how often it broke transactions off. Each second time was a deadlock: without one it would wait for ever.
    async fn breaks(&self) -> i64 {
        let sql = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM breaks";
        count(&connect(&self.database.0).await, sql).await
    }

    async fn opened(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        if !self.is_rude.swap(true, Ordering::SeqCst) {
            self.begin().await;
        }
        store
    }
}

#[async_trait]
impl Opener for Rude {
    async fn open(&self) -> Arc<dyn Store> {
        self.opened(self.database.open().await).await
    }

    async fn open_for_transfer(&self) -> Arc<dyn Store> {
        self.opened(self.database.open_for_transfer().await).await
    }

    async fn open_twice(&self) -> (Arc<dyn Store>, Arc<dyn Store>) {
        let two = self.database.open_twice().await;
        (self.opened(two.0).await, two.1)
    }

    fn repeats(&self) -> bool {
        false
    }
}

/// The suite of all stores, on a database that breaks transactions off: each kind of them is run again, and nothing is done
/// twice.
mod conforms_though_transactions_are_broken_off {
    onhook_store::conformance!({
        // The first, second, fourth … so that a transaction with many of them gets through in the end, too.
        let Some(rude) = crate::Rude::new("n & (n - 1) = 0") else { return };
        rude
    });
}

/// An order, from its arrival to its seal, whose transactions are broken off at each statement that writes, in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transactions_of_an_order_s_life_can_be_broken_off_at_any_statement() {
    // No transaction has as many.
    let Some(rude) = Rude::new("n % 47 = 0") else { return };
    let store = PostgresStore::open(&rude.database.0).await.unwrap();
    let mut lives = Lives::begin(store).await;
    rude.begin().await;
    for _ in 0..150 {
        lives.live().await;
    }
    let breaks = rude.breaks().await;
    println!("{breaks} transactions broken off, half of them in a deadlock");
    assert!(breaks >= 30, "{breaks}");
    lives.check(&rude.database.0).await;
}

/// Orders that wait together are written together. What the database says of one of them is no word about the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_database_refuses_is_refused_alone() {
    let Ok(cluster) = shared().inspect_err(|why| println!("skipped: {why:#}")) else { return };
    let url = cluster.fresh_database().unwrap();
    let store = Arc::new(PostgresStore::open(&url).await.unwrap());
    put_ten_in_service(&*store).await;
    let (sql, beside) = (connect(&url).await, connect(&url).await);
    sql.batch_execute("ALTER TABLE orders ADD CONSTRAINT unwanted CHECK (name <> 'unwanted')").await.unwrap();
    sql.batch_execute("BEGIN; LOCK TABLE orders IN SHARE MODE").await.unwrap();
    let accept = |name: &str| {
        let (store, mut order) = (store.clone(), NewOrder::clone(&new_order(&[number(1)])));
        order.name = Some(name.into());
        tokio::spawn(async move { store.accept(Arc::new(order)).await })
    };
    // Two statements wait for the table. The others wait together for one of them.
    let mut asked = Vec::new();
    for (name, waiting) in [("first", 1), ("second", 2)] {
        asked.push(accept(name));
        until(async || count(&beside, WAITING).await == waiting).await;
    }
    asked.extend(["third", "unwanted", "fourth"].map(accept));
    until(async || store.writes().queue == 5).await;
    sql.batch_execute("COMMIT").await.unwrap();
    let mut refused = Vec::new();
    for (place, asked) in asked.into_iter().enumerate() {
        if asked.await.unwrap().is_err() {
            refused.push(place);
        }
    }
    assert_eq!(refused, [3]);
    assert_eq!(count(&sql, "SELECT count(*) FROM orders").await, 4);
    store.close().await;
}
