//! Nodes on one database: how the tests start them, send them orders, and do them harm.

pub(crate) mod dice;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod receiver;
pub(crate) mod sql;
pub(crate) mod wire;

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use onhook_cluster::{Binaries, Cluster, NAME, Settings};

use self::receiver::{Told, receiver};
use self::sql::Sql;
use crate::program::{Client, PATIENCE, Said, Server, command, run, why};

/// The accounts that send orders.
pub(crate) const ACCOUNTS: [u32; 3] = [9_900_000, 7, 8];
/// Numbers that an account's clients compete for.
pub(crate) const NUMBERS: u64 = 120;
/// The first of an account's numbers; the next account's are a thousand later.
pub(crate) const FIRST: u64 = 9_195_560_000;
/// The first of the pool's numbers.
const POOL_FIRST: u64 = 2_065_560_000;
const POOL: u64 = 2_000;
/// How long a node's lease lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// How long after the end of a node's lease others may take to have done its work.
pub(crate) const AFTER_LEASE: Duration = Duration::from_secs(2);
/// The password of all users.
pub(crate) const PASSWORD: &str = "correct horse";

/// Returns the name of an account's user.
pub(crate) fn user_of(account: u32) -> String {
    format!("user-{account}")
}

/// Returns the header that signs a user in.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// Tests measure time here, and harm a whole machine's work. One runs at a time.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns PostgreSQL's programs. `None` where they are missing, which is said.
pub(crate) fn programs() -> Option<Binaries> {
    match Binaries::find() {
        Ok(binaries) => Some(binaries),
        Err(why) => {
            println!("skipped: {why:#}");
            None
        }
    }
}

/// Returns the cluster that tests share, whose database `onhook` is ready to be copied. `None` where PostgreSQL's
/// programs are missing.
pub(crate) fn shared() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&programs()?, quick()).expect("a cluster");
        prepare(&cluster.url());
        Some(cluster)
    });
    cluster.as_ref()
}

/// Returns settings for clusters.
pub(crate) fn quick() -> Settings {
    Settings::quick().with("max_connections", "200")
}

fn onhook(url: &str, arguments: &[&str], input: &[u8]) -> Said {
    run(command(arguments).args(why(arguments)).args(["--database-url", url]), input)
}

/// Runs a command on the database, and returns what it answered.
pub(crate) fn done(url: &str, arguments: &[&str], input: &[u8]) -> String {
    let said = onhook(url, arguments, input);
    assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
    said.answer
}

/// Fills a database with the accounts and their numbers, and makes a user of the database for each node.
pub(crate) fn prepare(url: &str) {
    let mut lines = "number,state,account,region\n".to_owned();
    for (at, account) in (0..).zip(ACCOUNTS) {
        let (id, user) = (account.to_string(), user_of(account));
        done(url, &["admin", "account", "create", &id, "--name", &user], b"");
        done(url, &["admin", "site", "create", "--account", &id, "--name", "Main site"], b"");
        let site = (at + 1).to_string();
        done(
            url,
            &["admin", "peer", "create", "--account", &id, "--site", &site, "--name", "Main peer"],
            b"",
        );
        let arguments =
            ["admin", "user", "create", &user, "--account", &id, "--role", "admin", "--password-stdin"];
        done(url, &arguments, PASSWORD.as_bytes());
        for n in 0..NUMBERS {
            lines += &format!("{},InService,{account},NC\n", FIRST + at * 1_000 + n);
        }
    }
    for n in 0..POOL {
        lines += &format!("{},Available,,WA\n", POOL_FIRST + n);
    }
    done(url, &["import", "-"], lines.as_bytes());
    let sql = Sql::of(url);
    for n in 0..4 {
        sql.run(&format!("CREATE ROLE node_{n} SUPERUSER LOGIN"));
    }
}

/// The nodes' addresses, and whether the test is over.
#[derive(Default)]
pub(crate) struct World {
    addresses: Mutex<Vec<Option<SocketAddr>>>,
    pub(crate) over: AtomicBool,
}

impl World {
    /// Notes where a node is. `None` if clients should not ask it.
    pub(crate) fn is_at(&self, node: usize, address: Option<SocketAddr>) {
        let mut addresses = self.addresses.lock().expect("whole");
        if addresses.len() <= node {
            addresses.resize(node + 1, None);
        }
        addresses[node] = address;
    }

    /// Returns where each node is.
    pub(crate) fn known(&self) -> Vec<Option<SocketAddr>> {
        self.addresses.lock().expect("whole").clone()
    }

    /// Waits until a node can be asked, and returns where one is. `None` if the test is over.
    pub(crate) fn any(&self, dice: &mut dice::Dice) -> Option<SocketAddr> {
        while !self.over.load(Ordering::Relaxed) {
            let up: Vec<SocketAddr> = self.known().into_iter().flatten().collect();
            if !up.is_empty() {
                return Some(*dice.one_of(&up));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

/// A node.
struct Node {
    /// Where it finds the database.
    url: String,
    /// Where it listens.
    listen: String,
    /// The text of its configuration file.
    file: String,
    log: PathBuf,
    server: Option<Server>,
    address: Option<SocketAddr>,
    /// The name of the lease under which it claims deliveries.
    lease: String,
}

/// Nodes on one database, and a receiver that every account has subscribed.
pub(crate) struct Fleet {
    pub(crate) seed: u64,
    pub(crate) world: Arc<World>,
    pub(crate) sql: Sql,
    pub(crate) told: Arc<Told>,
    /// The database, for commands.
    pub(crate) url: String,
    port: u16,
    nodes: Vec<Node>,
    folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Fleet {
    /// Starts nodes on a new database of the shared cluster. `None` where PostgreSQL's programs are missing.
    pub(crate) fn of(nodes: usize) -> Option<Self> {
        let mut fleet = Self::without_nodes()?;
        let hosts = fleet.hosts();
        for _ in 0..nodes {
            fleet.add(&hosts);
        }
        fleet.subscribe();
        Some(fleet)
    }

    /// Makes a new database of the shared cluster, and starts no node.
    pub(crate) fn without_nodes() -> Option<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let turn = turn();
        let cluster = shared()?;
        let name = format!("fleet_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let server = format!("postgres://{NAME}@127.0.0.1:{}/postgres", cluster.port());
        Sql::of(&server).run(&format!("CREATE DATABASE {name} TEMPLATE {NAME}"));
        Some(Self::on(
            &format!("postgres://{NAME}@127.0.0.1:{}/{name}", cluster.port()),
            cluster.port(),
            turn,
        ))
    }

    /// Makes a fleet without nodes on a database that is prepared.
    pub(crate) fn on(url: &str, port: u16, turn: MutexGuard<'static, ()>) -> Self {
        let (seed, (receiver, told)) = (dice::seed(), receiver());
        println!("ONHOOK_SEED={seed}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("receiver"), receiver.to_string()).expect("room");
        let world = Arc::new(World::default());
        let sql = Sql::of(url);
        Self { seed, world, sql, told, url: url.to_owned(), port, nodes: Vec::new(), folder, _turn: turn }
    }

    /// Returns the database's host and port.
    pub(crate) fn hosts(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns a path in the fleet's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn receiver(&self) -> SocketAddr {
        let text = std::fs::read_to_string(self.path("receiver")).expect("written at first");
        text.parse().expect("an address")
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a node that finds the database at these hosts, and starts it.
    pub(crate) fn add(&mut self, hosts: &str) {
        self.add_by(&format!("node_{}", self.nodes.len()), hosts, "sslmode=disable");
    }

    /// Adds a node that signs in to the database as this user, with these parameters, and starts it.
    pub(crate) fn add_by(&mut self, user: &str, hosts: &str, parameters: &str) {
        let n = self.nodes.len();
        let (_, name) = self.url.rsplit_once('/').expect("it names a database");
        let url = format!("postgres://{user}@{hosts}/{name}?{parameters}");
        let log = self.path(&format!("log-{n}"));
        let listen = "127.0.0.1:0".to_owned();
        self.nodes.push(Node {
            url,
            listen,
            file: String::new(),
            log,
            server: None,
            address: None,
            lease: String::new(),
        });
        self.start(n);
    }

    /// Adds a node that has an address of the loopback to itself, and starts it. It keeps its port when it is started again.
    #[allow(dead_code, reason = "the tests of proxies use it")]
    pub(crate) fn add_at(&mut self, ip: &str) {
        self.add(&self.hosts());
        let n = self.len() - 1;
        self.terminate(n);
        self.nodes[n].listen = format!("{ip}:0");
        self.start(n);
        self.nodes[n].listen = self.address(n).to_string();
    }

    /// Starts a node, and waits until it answers and has its lease.
    pub(crate) fn start(&mut self, n: usize) {
        let leases = "SELECT name FROM lease WHERE name LIKE 'node-%'";
        let before = self.sql.texts(leases, &[]);
        let port = self.receiver().port().to_string();
        let lease_seconds = LEASE.as_secs().to_string();
        let node = &mut self.nodes[n];
        let mut command = command(&["serve", "--listen", &node.listen, "--log-format", "text"]);
        command.args(["--database-url", &node.url, "--rate-limit", "0", "--lease-seconds", &lease_seconds]);
        command.args(["--callback-http", "--callback-allow", "127.0.0.0/8", "--callback-port", &port]);
        command.args(["--log", "info,onhook_server::work=debug,onhook_store::postgres::tries=debug"]);
        let file = node.log.with_extension("toml");
        std::fs::write(&file, &node.file).expect("room for a file");
        command.env("ONHOOK_CONFIG", file);
        let log = OpenOptions::new().create(true).append(true).open(&node.log);
        let mut server = Server::start(command.stderr(log.expect("a log")));
        let address = server.listening();
        (node.server, node.address) = (Some(server), Some(address));
        let sql = &self.sql;
        let taken = || sql.texts(leases, &[]).into_iter().find(|name| !before.contains(name));
        node.lease = until("the node takes a lease", taken);
        self.world.is_at(n, Some(address));
    }

    /// Ends a node, and starts it with another configuration file.
    pub(crate) fn configure(&mut self, n: usize, file: &str) {
        self.terminate(n);
        self.nodes[n].file = file.to_owned();
        self.start(n);
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&mut self, n: usize) {
        self.world.is_at(n, None);
        self.nodes[n].server.take().expect("it runs").kill();
    }

    /// Ends a node with SIGTERM. Others are told when it has ended.
    pub(crate) fn terminate(&mut self, n: usize) {
        let mut server = self.nodes[n].server.take().expect("it runs");
        let status = server.terminate();
        self.world.is_at(n, None);
        assert!(status.success(), "{status}: {}", self.log(n));
    }

    /// Sends SIGSTOP or SIGCONT. Clients turn to other nodes while it is stopped.
    pub(crate) fn signal(&self, n: usize, name: &str) {
        let node = &self.nodes[n];
        node.server.as_ref().expect("it runs").signal(name);
        self.world.is_at(n, node.address.filter(|_| name == "CONT"));
    }

    /// Returns the name of a node's lease.
    pub(crate) fn lease(&self, n: usize) -> &str {
        &self.nodes[n].lease
    }

    pub(crate) fn address(&self, n: usize) -> SocketAddr {
        self.nodes[n].address.expect("it has been started")
    }

    /// Returns a node's log.
    pub(crate) fn log(&self, n: usize) -> String {
        std::fs::read_to_string(&self.nodes[n].log).unwrap_or_default()
    }

    /// Returns how many orders each node has run.
    pub(crate) fn ran(&self) -> Vec<usize> {
        (0..self.len()).map(|n| load::ended(&self.log(n)).count()).collect()
    }

    /// Subscribes the receiver to all orders of all accounts.
    pub(crate) fn subscribe(&self) {
        for account in ACCOUNTS {
            let mut client = Client::signed(self.address(0), &basic(&user_of(account), PASSWORD));
            for orders in ["disconnects", "orders"] {
                self.subscribe_at(&mut client, account, orders);
            }
        }
    }

    /// Subscribes the receiver to orders of an account. Returns the subscription's id.
    pub(crate) fn subscribe_at(&self, client: &mut Client, account: u32, orders: &str) -> String {
        let body = format!(
            "<Subscription><OrderType>{orders}</OrderType><CallbackSubscription>\
             <URL>http://{}/{orders}</URL></CallbackSubscription></Subscription>",
            self.receiver()
        );
        let made = client.send("POST", &format!("/api/accounts/{account}/subscriptions"), "", &body);
        let made = made.expect("an answer");
        assert_eq!(made.status, 201, "{}", made.body);
        made.location.expect("a Location").rsplit('/').next().expect("an id").to_owned()
    }

    /// Runs a command on the database.
    pub(crate) fn onhook(&self, arguments: &[&str], input: &[u8]) -> Said {
        onhook(&self.url, arguments, input)
    }
}

/// Waits until there is something. Looks every 10 ms.
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).0
}

/// Waits until there is something, at most so long. Returns how long it took, too.
pub(crate) fn within<T>(most: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> (T, Duration) {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return (found, begun.elapsed());
        }
        assert!(begun.elapsed() < most, "{what}: not within {most:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
