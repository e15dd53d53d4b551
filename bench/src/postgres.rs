//! The other side of the orders: PostgreSQL with the plain design of a competent engineer.
//!
//! An order locks its two numbers, makes them aging, and writes an event for each and its own row: six prepared
//! statements over a Unix socket. There is no index that the measured work doesn't need, and nothing that a plain
//! design would leave out. Everything is durable at each commit.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt as _;
use onhook_cluster::{Binaries, Cluster, NAME, Settings};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, Statement};
use uuid::Uuid;

use crate::cost::{Cost, Counters};
use crate::measure::{Measured, Tally};
use crate::numbers::{self, Accounts, Draw};
use crate::post;

/// The server's settings beside those that make each commit durable.
const SETTINGS: [(&str, &str); 7] = [
    ("shared_buffers", "1GB"),
    ("max_wal_size", "16GB"),
    ("checkpoint_timeout", "1h"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_connections", "100"),
    ("maintenance_work_mem", "512MB"),
];

const SCHEMA: &str = "
    create table numbers (
        number bigint not null, state text not null, account bigint, site integer, peer integer,
        area integer not null, release_at timestamptz, last_event bigint
    ) with (fillfactor = 90); -- room to update a row where it lies
    create table orders (
        id bigserial primary key, uuid uuid not null unique, account bigint not null,
        received_at timestamptz not null, payload text not null, status text not null
    );
    create table events (
        id bigserial primary key, number bigint not null, at timestamptz not null,
        kind text not null, order_id bigint not null
    );";

/// The indexes for the questions that onhook answers from an index: an account's numbers, the numbers due for release,
/// an account's orders, a number's history.
const INDEXES: &str = "
    alter table numbers add primary key (number);
    create index on numbers (account, number);
    create index on numbers (release_at, number) where state = 'aging';
    create index on orders (account, id);
    create index on events (number, id);";

/// The numbers of sessions that the calibration tries for the best throughput, and how long each is tried.
const SESSIONS: [usize; 4] = [8, 16, 32, 64];
const CALIBRATION: Duration = Duration::from_secs(2);
const SILENCE_MAX: Duration = Duration::from_secs(30);
const CHUNK: usize = 256 << 10;

/// A filled cluster, and the state of its measurements.
pub(crate) struct Postgres {
    server: Server,
    calibration: Vec<(usize, f64)>,
    sessions: usize,
    /// The numbers that are left for each way.
    one: Arc<Draw>,
    two: Arc<Draw>,
    /// How many orders it has run.
    orders: u64,
}

/// One round of PostgreSQL.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    /// An order accepted and run in one transaction.
    pub(crate) one_transaction: Measured,
    /// An order accepted in one transaction and run in a second.
    pub(crate) two_transactions: Measured,
}

impl Round {
    /// Returns the faster of the two ways.
    pub(crate) fn best(&self) -> &Measured {
        let (one, two) = (&self.one_transaction, &self.two_transactions);
        if one.per_second() < two.per_second() { two } else { one }
    }
}

/// Facts about the PostgreSQL that was measured.
pub(crate) struct Facts {
    /// Its version.
    pub(crate) version: String,
    /// The settings that decide what a commit means and costs, as the server reports them.
    pub(crate) settings: Vec<(String, String)>,
    /// Orders a second for each number of sessions, in the calibration.
    calibration: Vec<(usize, f64)>,
    /// The number of sessions in the measurements: the best of the calibration.
    sessions: usize,
    /// Whether the numbers ran out before the time.
    pub(crate) ran_out: bool,
}

impl Postgres {
    /// Sets up a cluster in `dir`, fills it, and finds its best number of sessions.
    pub(crate) async fn start(binaries: &Binaries, dir: &Path, numbers: u64) -> Result<Self> {
        let server = Server::start(binaries, dir)?;
        server.fill(numbers).await?;

        let part = |percent| Arc::new(Draw::part(numbers, Accounts(1), percent));
        let mut calibration = Vec::new();
        let mut orders = 0;
        for (sessions, percent) in SESSIONS.into_iter().zip([0..5, 5..10, 10..15, 15..20]) {
            let measured = server.measure(Way::OneTransaction, sessions, part(percent), CALIBRATION).await?;
            eprintln!("  PostgreSQL, {sessions} sessions: {:.0} orders/s", measured.per_second());
            calibration.push((sessions, measured.per_second()));
            orders += measured.done;
        }
        let &(sessions, _) = calibration
            .iter()
            .max_by(|one, other| one.1.total_cmp(&other.1))
            .context("at least one number of sessions was tried")?;
        Ok(Self { server, calibration, sessions, one: part(50..100), two: part(20..50), orders })
    }

    /// Measures both ways of running an order, each for `time`.
    pub(crate) async fn round(&mut self, time: Duration) -> Result<Round> {
        let (server, sessions) = (&self.server, self.sessions);
        let two_transactions =
            server.measure(Way::TwoTransactions, sessions, Arc::clone(&self.two), time).await?;
        let one_transaction =
            server.measure(Way::OneTransaction, sessions, Arc::clone(&self.one), time).await?;
        self.orders += two_transactions.done + one_transaction.done;
        Ok(Round { one_transaction, two_transactions })
    }

    /// Returns the cluster, in which onhook can have a database too.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Runs orders in one transaction each for `time`, with their statements counted, and returns what they cost and
    /// how many they were.
    pub(crate) async fn cost(&mut self, time: Duration) -> Result<(Cost, u64)> {
        self.server.count_statements(&self.server.0.url()).await?;
        let before = self.server.counters(&self.server.0.url(), &[]).await?;
        let draw = Arc::clone(&self.one);
        let measured = self.server.measure(Way::OneTransaction, self.sessions, draw, time).await?;
        self.orders += measured.done;
        let cost = self.server.counters(&self.server.0.url(), &[]).await?.since(&before)?;
        Ok((cost, measured.done))
    }

    /// Checks that the orders were really run, and stops the cluster.
    pub(crate) async fn finish(self) -> Result<Facts> {
        self.server.verify(self.orders).await?;
        let (version, settings) = self.server.describe().await?;
        let ran_out = self.one.ran_out() || self.two.ran_out();
        Ok(Facts { version, settings, calibration: self.calibration, sessions: self.sessions, ran_out })
    }
}

/// How an order is written.
#[derive(Clone, Copy)]
enum Way {
    OneTransaction,
    TwoTransactions,
}

async fn connect_to(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection); // ends with the client, whose calls report its errors
    Ok(client)
}

/// The cluster, and what the benchmark does with it.
pub(crate) struct Server(Cluster);

impl Server {
    /// Sets up a cluster in `dir`. This takes a second or two and is waited for even after an interrupt: half a
    /// cluster, with a process still writing to it, would be hard to remove.
    pub(crate) fn start(binaries: &Binaries, dir: &Path) -> Result<Self> {
        let settings = Settings::durable().within(dir);
        let settings = SETTINGS.iter().fold(settings, |settings, (name, value)| settings.with(name, value));
        // What counts statements is not everywhere, and is off but where they are counted.
        let counting = settings.clone().with("shared_preload_libraries", "pg_stat_statements");
        let counting = counting.with("compute_query_id", "off");
        Cluster::start(binaries, counting).or_else(|_| Cluster::start(binaries, settings)).map(Self)
    }

    /// Makes a database for onhook, and returns its URL.
    pub(crate) fn new_database(&self) -> Result<String> {
        self.0.fresh_database()
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.0.port()))
    }

    /// Returns the URL of a database of this cluster at another address that leads to it.
    pub(crate) fn url_at(&self, url: &str, addr: SocketAddr) -> String {
        url.replace(&self.address().to_string(), &addr.to_string())
    }

    /// Does for a filled database what a server does for itself in the first minutes.
    pub(crate) async fn settle(&self, url: &str) -> Result<()> {
        let client = connect_to(&url.parse()?).await?;
        client.batch_execute("vacuum analyze").await?;
        client.batch_execute("checkpoint").await?;
        Ok(())
    }

    /// Counts the statements of sessions that begin from now on in a database, if the server can.
    pub(crate) async fn count_statements(&self, url: &str) -> Result<()> {
        let config: Config = url.parse()?;
        let client = connect_to(&config).await?;
        if client.batch_execute("create extension if not exists pg_stat_statements").await.is_ok() {
            let name = config.get_dbname().context("the database has a name")?;
            client.batch_execute(&format!("alter database {name} set compute_query_id = 'on'")).await?;
        }
        Ok(())
    }

    /// Reads the counters of a database, and of the processes of the cluster and of servers.
    pub(crate) async fn counters(&self, url: &str, nodes: &[u32]) -> Result<Counters> {
        let client = connect_to(&url.parse()?).await?;
        Counters::read(&client, self.0.process().context("the cluster runs")?, nodes).await
    }

    async fn connect(&self) -> Result<Client> {
        let mut config = Config::new();
        config.host_path(self.0.socket()).port(self.0.port()).user(NAME).dbname(NAME);
        connect_to(&config).await
    }

    /// Makes the tables and copies the first `count` numbers in, all in service.
    async fn fill(&self, count: u64) -> Result<()> {
        let mut client = self.connect().await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute(SCHEMA).await?;
        // Frozen, and in the transaction that makes the table, so that it is loaded without a log.
        let copy = transaction
            .copy_in::<_, Bytes>(
                "copy numbers (number, state, account, site, peer, area) from stdin (freeze)",
            )
            .await?;
        let mut copy = std::pin::pin!(copy);
        let mut chunk = Vec::with_capacity(CHUNK + 100);
        for number in numbers::ascending(count) {
            let (account, area) = (post::ACCOUNT, numbers::area(number));
            writeln!(chunk, "{number}\tin service\t{account}\t1\t1\t{area}")?;
            if chunk.len() >= CHUNK {
                copy.send(BytesMut::from(&*chunk).freeze()).await?;
                chunk.clear();
            }
        }
        copy.send(chunk.into()).await?;
        ensure!(copy.finish().await? == count, "not every number was copied");
        transaction.batch_execute(INDEXES).await?;
        transaction.commit().await?;
        client.batch_execute("vacuum analyze").await?;
        client.batch_execute("checkpoint").await?;
        Ok(())
    }

    /// Runs orders in `sessions` sessions until the time is over or the numbers run out.
    async fn measure(&self, way: Way, sessions: usize, draw: Arc<Draw>, time: Duration) -> Result<Measured> {
        let mut ready = Vec::with_capacity(sessions);
        for _ in 0..sessions {
            ready.push(Session::new(self.connect().await?).await?);
        }
        let started = Instant::now();
        let end = started + time;
        let mut running = JoinSet::new();
        for mut session in ready {
            let draw = Arc::clone(&draw);
            running.spawn(async move {
                let mut tally = Tally::new();
                while Instant::now() < end
                    && let Some(pair) = draw.pair()
                {
                    let began = Instant::now();
                    session.order(way, pair.numbers).await?;
                    tally.done(began.elapsed());
                }
                anyhow::Ok(tally)
            });
        }
        let mut tallies = Vec::with_capacity(sessions);
        while let Some(tally) = timeout(time + SILENCE_MAX, running.join_next()).await? {
            tallies.push(tally??);
        }
        Ok(Measured::new(started, &tallies))
    }

    /// Checks that the measured orders are stored with all that belongs to them.
    async fn verify(&self, orders: u64) -> Result<()> {
        let counts = "select (select count(*) from orders where status = 'COMPLETE'), \
                      (select count(*) from events), \
                      (select count(*) from numbers where state = 'aging' and last_event is not null)";
        let row = self.connect().await?.query_one(counts, &[]).await?;
        let found: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
        let expected = [orders, 2 * orders, 2 * orders].map(i64::try_from);
        ensure!(found.map(Ok) == expected, "orders, events, aging numbers: {found:?}, not {expected:?}");
        Ok(())
    }

    /// Returns the server's version, and the settings that decide what a commit means and costs.
    pub(crate) async fn describe(&self) -> Result<(String, Vec<(String, String)>)> {
        let client = self.connect().await?;
        let version = client.query_one("show server_version", &[]).await?.get(0);
        let mut settings = Vec::new();
        for name in ["fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers"] {
            let value = client.query_one("select current_setting($1)", &[&name]).await?.get(0);
            settings.push((name.to_owned(), value));
        }
        Ok((version, settings))
    }
}

/// One connection with its statements prepared.
struct Session {
    client: Client,
    insert_order: Statement,
    lock_numbers: Statement,
    insert_events: Statement,
    update_numbers: Statement,
    complete_order: Statement,
}

impl Session {
    async fn new(client: Client) -> Result<Self> {
        Ok(Self {
            insert_order: client
                .prepare(
                    "insert into orders (uuid, account, received_at, payload, status) \
                     values ($1, $2, now(), $3, $4) returning id",
                )
                .await?,
            lock_numbers: client
                .prepare(
                    "select number, state, account from numbers where number = any($1) \
                     order by number for update",
                )
                .await?,
            insert_events: client
                .prepare(
                    "insert into events (number, at, kind, order_id) \
                     select number, now(), 'disconnect', $2 from unnest($1::bigint[]) as number \
                     returning id",
                )
                .await?,
            update_numbers: client
                .prepare(
                    "update numbers set state = 'aging', release_at = now() + interval '46 days', \
                     last_event = new.event \
                     from unnest($1::bigint[], $2::bigint[]) as new (number, event) \
                     where numbers.number = new.number",
                )
                .await?,
            complete_order: client.prepare("update orders set status = 'COMPLETE' where id = $1").await?,
            client,
        })
    }

    async fn order(&mut self, way: Way, numbers: [u64; 2]) -> Result<()> {
        let payload = post::body(numbers);
        let account = i64::try_from(post::ACCOUNT)?;
        let uuid = Uuid::new_v4();
        let accepted = match way {
            Way::OneTransaction => None,
            Way::TwoTransactions => {
                let row = self
                    .client
                    .query_one(&self.insert_order, &[&uuid, &account, &payload, &"RECEIVED"])
                    .await?;
                Some(row.get::<_, i64>(0))
            }
        };

        let numbers = numbers.map(i64::try_from).into_iter().collect::<Result<Vec<i64>, _>>()?;
        let transaction = self.client.transaction().await?;
        let rows = transaction.query(&self.lock_numbers, &[&numbers]).await?;
        let in_service = rows
            .iter()
            .filter(|row| row.get::<_, &str>(1) == "in service" && row.get::<_, i64>(2) == account);
        ensure!(in_service.count() == numbers.len(), "{numbers:?} are not all in service");
        let order = match accepted {
            Some(order) => order,
            None => transaction
                .query_one(&self.insert_order, &[&uuid, &account, &payload, &"COMPLETE"])
                .await?
                .get(0),
        };
        let events: Vec<i64> = transaction
            .query(&self.insert_events, &[&numbers, &order])
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let updated = transaction.execute(&self.update_numbers, &[&numbers, &events]).await?;
        ensure!(updated == 2, "{updated} numbers were updated");
        if accepted.is_some() {
            transaction.execute(&self.complete_order, &[&order]).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Returns PostgreSQL's programs: those in the given folder, or else those that are found.
pub(crate) fn binaries(given: Option<PathBuf>) -> Result<Binaries> {
    given.map_or_else(Binaries::find, Binaries::at)
}

impl Facts {
    /// Returns the calibration in words.
    pub(crate) fn calibrated(&self) -> String {
        let tried: Vec<String> =
            self.calibration.iter().map(|(sessions, rate)| format!("{sessions}: {rate:.0}")).collect();
        format!(
            "{} sessions, the best of a calibration (orders/s by sessions: {})",
            self.sessions,
            tried.join(", ")
        )
    }
}
