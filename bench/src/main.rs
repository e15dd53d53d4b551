//! Measures onhook beside the other side, in one run on one machine, and writes down the ratios.
//!
//! The measurements: the durable accept of a POST beside a server that does nothing with it; orders from POST to
//! COMPLETE, with a data folder and with a PostgreSQL database, beside PostgreSQL with one transaction an order; two
//! nodes on one database beside one node; a failover of the database; the last page of an account's numbers beside the first; reports over all
//! numbers; requests beside jobs; what a switch and a bill ask; and the emulator. Absolute figures depend on the machine. A ratio measured in one run can be measured
//! again elsewhere.
//!
//! Not here: tests of what onhook does, and the rules of a number's life. A run leaves only `docs/benchmarks.md`
//! behind, also if it fails or is interrupted.
#![expect(clippy::print_stderr, reason = "a benchmark says how far it is")]

mod calls;
mod child;
mod cost;
mod echo;
mod emulator;
mod failover;
mod far;
mod jobs;
mod load;
mod machine;
mod measure;
mod numbers;
mod onhook;
mod post;
mod postgres;
mod report;
mod scale;
mod simulation;

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use onhook_cluster::Binaries;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::child::Running;
use crate::cost::Cost;
use crate::failover::Failover;
use crate::measure::Measured;
use crate::numbers::{Accounts, Draw};
use crate::onhook::Home;
use crate::post::Template;
use crate::postgres::{Postgres, Server};
use crate::report::{
    Calls, CallsRound, Costs, Jobs, Lists, Nodes, NodesRound, OnhookOrders, Orders, OrdersRound, Pages,
    Report, Reports, Round, thousands,
};

/// The allocator that onhook ships with. The other side uses it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of the accept, each with both sides; the median counts. There are many short rounds, because a shared
/// machine's speed changes within seconds, and both sides of a round should meet the same speed.
const ACCEPT_ROUNDS: usize = 15;
/// A round of the accept lasts this part of a measurement.
const ACCEPT_PART: f64 = 0.2;
/// Rounds of the orders.
const ORDERS_ROUNDS: usize = 9;
/// A round of the orders lasts this part of a measurement: long enough that the wait for the last order's end is a
/// small part of it.
const ORDERS_PART: f64 = 0.4;
/// Rounds of one node and two nodes.
const NODES_ROUNDS: usize = 5;
/// Rounds of one node and two nodes on a database that is far away.
const FAR_ROUNDS: usize = 3;
/// Rounds of a failover.
const FAILOVER_ROUNDS: usize = 3;
/// How much later every answer of that database is there.
const FAR: Duration = Duration::from_millis(10);
/// Connections to its nodes, at least: each waits longer for its answer.
const FAR_CONNECTIONS: usize = 512;
/// The accounts whose orders several nodes run. Those of one account run on one node at a time.
const NODES_ACCOUNTS: Accounts = Accounts(32);
/// Numbers that are imported while accepts are measured.
const IMPORTED: u64 = 1_000_000;
/// Rounds of orders without jobs and beside them.
const JOBS_ROUNDS: usize = 5;
/// The slowest hundredth of a second's answers is much by chance.
const CALLS_ROUNDS: usize = 9;
/// Load that is sent before a measurement of many requests and not counted, while connections, caches and allocators
/// settle.
const WARM_UP: Duration = Duration::from_secs(1);
/// A machine with more load than this before the run is not idle.
const LOAD_MAX: f64 = 0.3;
/// Numbers on a page of a list: the API's own figure.
const PAGE: u64 = 300;
/// Connections that ask for pages: reads do not need many at once.
const PAGE_CONNECTIONS: usize = 4;
/// The accept does not read numbers. These give its store a realistic shape.
const ACCEPT_NUMBERS: u64 = 10_000;

/// Measure onhook beside the other side and write the ratios to docs/benchmarks.md
#[derive(Parser)]
#[command(name = "onhook-bench", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    child: Option<ChildCommand>,
    #[command(flatten)]
    plan: Plan,
}

#[derive(clap::Args)]
struct Plan {
    /// How many numbers the orders are drawn from; 10000000 is the larger run
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    numbers: u64,
    /// How long each measurement lasts; the rounds of those that have some are shorter
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// How many HTTP connections the load generator keeps busy
    #[arg(long, value_name = "C", default_value_t = 64, value_parser = connections)]
    connections: usize,
    /// Where the temporary data goes: a folder on a disk, not in memory [default: the system's]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where PostgreSQL's server programs are [default: ONHOOK_POSTGRES_BIN, or the newest in /usr/lib/postgresql]
    #[arg(long, value_name = "DIR")]
    postgres_bin: Option<PathBuf>,
    /// The page to write; with --only it holds those parts alone
    #[arg(long, value_name = "FILE", default_value = "docs/benchmarks.md")]
    out: PathBuf,
    /// Run this part only; can be given more than once
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Where onhook has its data in accept, lists, reports, jobs and calls; the other parts say it by their names
    #[arg(long, value_name = "STORE", default_value = "folder")]
    store: Home,
}

impl Plan {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Finds PostgreSQL's programs.
    fn postgres(&self) -> Result<Binaries> {
        postgres::binaries(self.postgres_bin.clone())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The durable accept of a POST, beside a server that does nothing with it
    Accept,
    /// Orders from POST to COMPLETE, beside PostgreSQL
    Orders,
    /// Orders from POST to COMPLETE with the data in a PostgreSQL database, beside PostgreSQL
    PostgresStore,
    /// Orders of two nodes on one database, beside those of one node
    Nodes,
    /// How long no order is accepted while the database fails over to its standby
    Failover,
    /// The last page of an account's numbers, beside the first
    Lists,
    /// Reports for regulators over all numbers
    Reports,
    /// Requests beside an import, and orders beside exports, checks and backups
    Jobs,
    /// Where calls go, beside running orders, and who pays for a file of call records
    Calls,
    /// The emulator: its start, a reset, and three months
    Emulator,
}

#[derive(Subcommand)]
enum ChildCommand {
    #[command(hide = true)]
    ServeEcho,
    #[command(hide = true)]
    FillOnhook { home: OsString, numbers: u64, accounts: u64 },
    #[command(hide = true)]
    ServeOnhook { home: OsString },
    #[command(hide = true)]
    ServeEmulator,
    /// Measures what a number and an order cost in PostgreSQL, and models what larger systems need
    Scale(scale::Scale),
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=1_024).contains(&count) => Ok(count),
        _ => Err("a count from 1 to 1024".to_owned()),
    }
}

fn main() -> Result<()> {
    let Arguments { child, plan } = Arguments::parse();
    let larger = match child {
        None => None,
        Some(ChildCommand::Scale(larger)) => Some(larger),
        Some(child) => return serve(child),
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut signals = Vec::new();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            signals.push(signal(kind)?);
        }
        let [interrupt, terminate, hangup] = &mut signals[..] else { bail!("three signals were asked for") };
        // The loser of the race is dropped, with every process and folder that it made.
        let measured = async {
            match &larger {
                Some(larger) => scale::run(larger, &command()).await,
                None => measure(&plan).await,
            }
        };
        tokio::select! {
            done = measured => done,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("told to end"),
            _ = hangup.recv() => bail!("the terminal is gone"),
        }
    })
}

/// Does a child's work. An error is reported to the parent.
fn serve(child: ChildCommand) -> Result<()> {
    let done = match child {
        ChildCommand::ServeEcho => echo::serve(),
        ChildCommand::FillOnhook { home, numbers, accounts } => {
            onhook::fill(&home, numbers, Accounts(accounts)).and_then(|()| child::say("done"))
        }
        ChildCommand::ServeOnhook { home } => onhook::serve(&home),
        ChildCommand::ServeEmulator => {
            onhook::runtime().and_then(|runtime| runtime.block_on(emulator::serve()))
        }
        ChildCommand::Scale(_) => Ok(()), // no child's work
    };
    done.or_else(|error| child::say(format_args!("{error:#}")))
}

async fn measure(plan: &Plan) -> Result<()> {
    let runs = |part| plan.only.is_empty() || plan.only.contains(&part);
    let on_postgres = [Part::Orders, Part::PostgresStore, Part::Nodes, Part::Failover];
    let postgres = match on_postgres.into_iter().any(runs) {
        true => Some(plan.postgres()?),
        false => None,
    };
    let parent = plan.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = TempDir::with_prefix_in("onhook-bench-", &parent)
        .with_context(|| format!("making a folder in {}", parent.display()))?;
    machine::ensure_disk(dir.path())?;
    if let Some(load) = machine::load().filter(|load| *load > LOAD_MAX) {
        eprintln!("other work runs on this machine (load {load}): the figures will be worth little");
    }
    // PostgreSQL's user has a folder in this one.
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711))?;

    let before = machine::Taken::now();
    let mut report = Report {
        command: command(),
        facts: machine::facts(dir.path())?,
        store: plan.store,
        connections: plan.connections,
        seconds: plan.seconds,
        numbers: plan.numbers,
        accept: None,
        orders: None,
        postgres_store: None,
        nodes: None,
        failover: None,
        lists: None,
        reports: None,
        jobs: None,
        calls: None,
        emulator: None,
    };
    if runs(Part::Accept) {
        report.accept = Some(accept(plan, dir.path()).await);
    }
    if let Some(binaries) = postgres {
        if runs(Part::Orders) {
            report.orders = Some(orders(plan, &binaries, dir.path(), Home::Folder).await);
        }
        if runs(Part::PostgresStore) {
            report.postgres_store = Some(orders(plan, &binaries, dir.path(), Home::Database).await);
        }
        if runs(Part::Nodes) {
            report.nodes = Some(nodes(plan, &binaries, dir.path()).await);
        }
        if runs(Part::Failover) {
            report.failover = Some(failovers(&binaries, dir.path()).await);
        }
    }
    if runs(Part::Lists) {
        report.lists = Some(lists(plan, dir.path()).await);
    }
    if runs(Part::Reports) {
        report.reports = Some(reports(plan, dir.path()).await);
    }
    if runs(Part::Jobs) {
        report.jobs = Some(jobs(plan, dir.path()).await);
    }
    if runs(Part::Calls) {
        report.calls = Some(calls(plan, dir.path()).await);
    }
    if runs(Part::Emulator) {
        eprintln!("emulator");
        report.emulator = Some(emulator::run().await);
    }
    report.facts.extend(machine::Taken::now().since(before));
    report.write(&plan.out)?;
    eprintln!("written: {}", plan.out.display());
    let failures = report.failures();
    if failures.is_empty() { Ok(()) } else { bail!("not everything was measured:\n{}", failures.join("\n")) }
}

/// Returns the command line of the program, so that it can be typed again.
fn command() -> String {
    let mut words = vec!["cargo run --profile dist -p onhook-bench".to_owned()];
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.is_empty() {
        words.push("--".to_owned());
    }
    words.extend(arguments);
    words.join(" ")
}

async fn accept(plan: &Plan, dir: &Path) -> Vec<Round> {
    let mut rounds = Vec::with_capacity(ACCEPT_ROUNDS);
    for number in 1..=ACCEPT_ROUNDS {
        let echo = accept_echo(plan).await;
        say(&format!("accept, round {number}, echo"), &echo);
        let onhook = accept_onhook(plan, dir).await;
        say(&format!("accept, round {number}, onhook"), &onhook);
        rounds.push(Round { echo, onhook });
    }
    rounds
}

async fn accept_echo(plan: &Plan) -> Result<Measured> {
    let echo = echo::spawn().await?;
    accept_at(plan, echo.addr).await
}

async fn accept_onhook(plan: &Plan, dir: &Path) -> Result<Measured> {
    let data = Data::fill(plan, dir, ACCEPT_NUMBERS).await?;
    let onhook = onhook::spawn_node(&data.home).await?;
    accept_at(plan, onhook.addr).await
}

async fn accept_at(plan: &Plan, addr: std::net::SocketAddr) -> Result<Measured> {
    let request: Arc<[u8]> = post::request(addr, post::GUIDE).into();
    let same = move |_connection, _n, buffer: &mut Vec<u8>| {
        if buffer.is_empty() {
            buffer.extend_from_slice(&request);
        }
        true
    };
    load::run(addr, plan.connections, WARM_UP, same.clone()).await?;
    load::run(addr, plan.connections, plan.time().mul_f64(ACCEPT_PART), same).await
}

/// A store of one account, filled.
struct Data {
    home: OsString,
    /// What it is in.
    _server: Option<Server>,
    _folder: TempDir,
}

impl Data {
    /// Fills a store of the kind that the plan names.
    async fn fill(plan: &Plan, dir: &Path, numbers: u64) -> Result<Self> {
        let folder = cluster_folder(dir)?;
        let (server, home): (_, OsString) = match plan.store {
            Home::Folder => (None, folder.path().into()),
            Home::Database => {
                let server = Server::start(&plan.postgres()?, folder.path())?;
                let url = server.new_database()?;
                (Some(server), url.into())
            }
        };
        onhook::spawn_fill(&home, numbers, Accounts(1)).await?;
        if let Some((server, url)) = server.as_ref().zip(home.to_str()) {
            server.settle(url).await?;
        }
        Ok(Self { home, _server: server, _folder: folder })
    }
}

/// Runs rounds of orders on both sides. Both servers run all the time, and one rests while the other is measured.
async fn orders(plan: &Plan, binaries: &Binaries, dir: &Path, home: Home) -> Result<Orders> {
    eprintln!("orders, {} numbers", thousands(plan.numbers));
    let (postgres_dir, onhook_dir) = (cluster_folder(dir)?, TempDir::new_in(dir)?);
    let mut postgres = Postgres::start(binaries, postgres_dir.path(), plan.numbers).await?;
    let home: OsString = match home {
        Home::Folder => onhook_dir.path().into(),
        Home::Database => postgres.server().new_database()?.into(),
    };
    let url = home.to_str().filter(|home| home.starts_with("postgres://"));
    onhook::spawn_fill(&home, plan.numbers, Accounts(1)).await?;
    let load = OrdersLoad::new(plan, Accounts(1));
    if let Some(url) = url {
        postgres.server().settle(url).await?;
    }
    let onhook = onhook::spawn_node(&home).await?;
    let (mut rounds, mut posted) = (Vec::with_capacity(ORDERS_ROUNDS), 0);
    for number in 1..=ORDERS_ROUNDS {
        let postgres = postgres.round(load.time).await?;
        let onhook = load.run(std::slice::from_ref(&onhook), posted).await?;
        posted += onhook.posts.done;
        let round = OrdersRound { postgres, onhook };
        eprintln!(
            "  round {number}: PostgreSQL {:.0}/s, onhook {:.0}/s",
            round.postgres.best().per_second(),
            round.onhook.per_second()
        );
        rounds.push(round);
    }
    drop(onhook);
    let costs = match url {
        Some(url) => Some(costs(&mut postgres, url, &load).await?),
        None => None,
    };
    let postgres = postgres.finish().await?;
    let ran_out = load.draw.ran_out() || postgres.ran_out;
    Ok(Orders { postgres, rounds, costs, ran_out })
}

/// Measures once more what an order costs on both sides, with the statements counted.
async fn costs(postgres: &mut Postgres, url: &str, load: &OrdersLoad) -> Result<Costs> {
    postgres.server().count_statements(url).await?;
    let nodes = [onhook::spawn_node(url).await?];
    let (onhook, orders) = load.run_counted(postgres.server(), url, &nodes, 0).await?;
    drop(nodes);
    let (theirs, their_orders) = postgres.cost(load.time).await?;
    Ok(Costs { onhook, onhook_orders: orders.posts.done, postgres: theirs, postgres_orders: their_orders })
}

/// Runs rounds of orders with one node and with two nodes on one database, in turn.
async fn nodes(plan: &Plan, binaries: &Binaries, dir: &Path) -> Result<Nodes> {
    eprintln!("nodes, {} numbers", thousands(plan.numbers));
    let dir = cluster_folder(dir)?;
    let server = Server::start(binaries, dir.path())?;
    let url = server.new_database()?;
    onhook::spawn_fill(&url, plan.numbers, NODES_ACCOUNTS).await?;
    let load = OrdersLoad::new(plan, NODES_ACCOUNTS);
    server.settle(&url).await?;
    let rounds = node_rounds(&load, &server, (&url, &url), NODES_ROUNDS).await?;
    server.count_statements(&url).await?;
    let urls = (url.as_str(), url.as_str());
    let costs =
        NodesRound { one: load.nodes(&server, urls, 1).await?, two: load.nodes(&server, urls, 2).await? };
    let far = far::start(server.address(), FAR).await?;
    let through = server.url_at(&url, far.addr);
    let load = OrdersLoad { connections: load.connections.max(FAR_CONNECTIONS), ..load };
    eprintln!("  every answer of the database {FAR:?} later");
    let far_rounds = node_rounds(&load, &server, (&url, &through), FAR_ROUNDS).await?;
    let (version, settings) = server.describe().await?;
    Ok(Nodes {
        version,
        settings,
        rounds,
        costs,
        far: FAR,
        far_connections: load.connections,
        far_rounds,
        accounts: NODES_ACCOUNTS.0,
        ran_out: load.draw.ran_out(),
    })
}

/// Runs rounds with one node and with two nodes, in turn. The database is asked for its counters at the first URL, and by
/// the nodes at the second.
async fn node_rounds(
    load: &OrdersLoad,
    server: &Server,
    urls: (&str, &str),
    count: usize,
) -> Result<Vec<NodesRound>> {
    let mut rounds = Vec::with_capacity(count);
    for number in 1..=count {
        let one = load.nodes(server, urls, 1).await?;
        let two = load.nodes(server, urls, 2).await?;
        let round = NodesRound { one, two };
        eprintln!("  round {number}: one node {:.0}/s, two nodes {:.0}/s", round.rate(1), round.rate(2));
        eprintln!("    {}", report::bottleneck(&round.two.0));
        rounds.push(round);
    }
    Ok(rounds)
}

/// Fails over several times.
async fn failovers(binaries: &Binaries, dir: &Path) -> Result<Vec<Failover>> {
    eprintln!("failover");
    let mut rounds = Vec::with_capacity(FAILOVER_ROUNDS);
    for number in 1..=FAILOVER_ROUNDS {
        let round = failover::run(binaries, dir).await?;
        eprintln!("  round {number}: promoted after {:?}, an order after {:?}", round.promotion, round.gap);
        rounds.push(round);
    }
    Ok(rounds)
}

/// Makes a folder for a cluster, whose user has to get there.
fn cluster_folder(dir: &Path) -> Result<TempDir> {
    let folder = TempDir::new_in(dir)?;
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
    Ok(folder)
}

/// The orders of one filled store, each of two numbers that no other has.
struct OrdersLoad {
    connections: usize,
    /// Orders a second over all connections, each at its own time. `None` if each connection sends the next as soon as
    /// it has an answer.
    per_second: Option<u32>,
    time: Duration,
    draw: Arc<Draw>,
}

impl OrdersLoad {
    fn new(plan: &Plan, accounts: Accounts) -> Self {
        let draw = Arc::new(Draw::part(plan.numbers, accounts, 0..100));
        Self { connections: plan.connections, per_second: None, time: plan.time().mul_f64(ORDERS_PART), draw }
    }

    /// Sends orders for a round's time to nodes that have completed `posted` orders since their start, and waits until
    /// all are COMPLETE.
    async fn run(&self, nodes: &[Running], posted: u64) -> Result<OnhookOrders> {
        self.run_for(self.time, nodes, posted).await
    }

    async fn run_for(&self, time: Duration, nodes: &[Running], posted: u64) -> Result<OnhookOrders> {
        let addrs: Vec<_> = nodes.iter().map(|node| node.addr).collect();
        let templates: Arc<[Template]> = addrs.iter().map(|addr| Template::new(*addr)).collect();
        let draw = Arc::clone(&self.draw);
        let order = move |connection: usize, _n, buffer: &mut Vec<u8>| {
            let template = &templates[connection % templates.len()];
            draw.pair().map(|pair| template.write(buffer, pair)).is_some()
        };
        let posts = match (self.per_second, &addrs[..]) {
            (Some(per_second), [addr]) => {
                load::run_paced(*addr, self.connections, per_second, time, order).await?
            }
            (Some(_), _) => bail!("orders at a fixed pace go to one node"),
            (None, _) => load::run_on(&addrs, self.connections, time, order).await?,
        };
        let ended = onhook::all_complete(&addrs, posted + posts.done).await?;
        Ok(OnhookOrders { posts, elapsed: ended - posts.started })
    }

    /// As [`OrdersLoad::run`], and returns what that cost.
    async fn run_counted(
        &self,
        server: &Server,
        url: &str,
        nodes: &[Running],
        posted: u64,
    ) -> Result<(Cost, OnhookOrders)> {
        let processes: Vec<u32> = nodes.iter().map(Running::process).collect();
        let before = server.counters(url, &processes).await?;
        let orders = self.run(nodes, posted).await?;
        Ok((server.counters(url, &processes).await?.since(&before)?, orders))
    }

    /// Starts nodes, lets them settle, runs a round on them, and stops them.
    async fn nodes(
        &self,
        server: &Server,
        (url, of_nodes): (&str, &str),
        count: usize,
    ) -> Result<(Cost, OnhookOrders)> {
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            nodes.push(onhook::spawn_node(of_nodes).await?);
        }
        let first = self.run_for(WARM_UP, &nodes, 0).await?;
        self.run_counted(server, url, &nodes, first.posts.done).await
    }
}

/// Measures the first and last pages of two lists of the account's numbers, on a server without other requests.
async fn lists(plan: &Plan, dir: &Path) -> Result<Lists> {
    eprintln!("lists, {} numbers", thousands(plan.numbers));
    let data = Data::fill(plan, dir, plan.numbers).await?;
    let onhook = onhook::spawn_node(&data.home).await?;
    let mut last = numbers::ascending(plan.numbers).skip(usize::try_from(plan.numbers - PAGE)?);
    let cursor = last.next().context("a page's worth of numbers")?.to_string();
    let number = plan.numbers.div_ceil(PAGE).to_string();
    let mut measured = Vec::new();
    for list in [format!("/accounts/{}/inserviceNumbers", post::ACCOUNT), "/tns".to_owned()] {
        let mut pages = Vec::new();
        for page in ["1", &cursor, &number] {
            let request: Arc<[u8]> = post::page(onhook.addr, &list, page, PAGE).into();
            let same = move |_connection, _n, buffer: &mut Vec<u8>| {
                if buffer.is_empty() {
                    buffer.extend_from_slice(&request);
                }
                true
            };
            load::run(onhook.addr, PAGE_CONNECTIONS, WARM_UP, same.clone()).await?;
            let asked = load::run(onhook.addr, PAGE_CONNECTIONS, plan.time(), same).await;
            say(&format!("  {list}, page {page}"), &asked);
            pages.push(asked?);
        }
        let [first, last, last_by_number] = pages[..] else { bail!("three pages were asked for") };
        measured.push(Pages { list, first, last, last_by_number });
    }
    Ok(Lists { size: PAGE, connections: PAGE_CONNECTIONS, pages: measured })
}

/// How long a report may take.
const REPORT_MAX: Duration = Duration::from_mins(10);

/// Measures how long reports over all numbers take, after orders have disconnected some of them.
async fn reports(plan: &Plan, dir: &Path) -> Result<Reports> {
    eprintln!("reports, {} numbers", thousands(plan.numbers));
    let (data, load) = (Data::fill(plan, dir, plan.numbers).await?, OrdersLoad::new(plan, Accounts(1)));
    let onhook = onhook::spawn_node(&data.home).await?;
    let orders = load.run(std::slice::from_ref(&onhook), 0).await?;
    let mut took = Vec::new();
    for (name, kind, body) in [
        ("the use of numbers, by blocks", "nruf", r#"{"level": "block"}"#),
        ("a month's disconnects", "rnd", r#"{"period": "2099-12", "company": "BENCH1"}"#),
    ] {
        let request: Arc<[u8]> = post::report(onhook.addr, kind, body).into();
        let once = move |_connection, n, buffer: &mut Vec<u8>| {
            buffer.clear();
            buffer.extend_from_slice(&request);
            n == 0
        };
        let made = load::run(onhook.addr, 1, REPORT_MAX, once).await?;
        ensure!(made.done == 1, "no report of {name} was made");
        eprintln!("  {name}: {:?}", made.p50);
        took.push((name, made.p50));
    }
    Ok(Reports { disconnected: orders.posts.done * 2, took })
}

/// Numbers of an order that is undone: the most that one can have, or all that there are.
const UNDONE: u64 = 5_000;

/// Measures accepts without and beside an import, the undo of a large order, then orders without and beside exports, checks and backups.
async fn jobs(plan: &Plan, dir: &Path) -> Result<Jobs> {
    eprintln!("jobs, {} numbers", thousands(plan.numbers));
    let (data, load) = (Data::fill(plan, dir, plan.numbers).await?, OrdersLoad::new(plan, Accounts(1)));
    let onhook = onhook::spawn_node(&data.home).await?;
    let idle = accept_at(plan, onhook.addr).await;
    say("  accept, idle", &idle);
    let imported = (plan.numbers..).map(numbers::number_at).take(usize::try_from(IMPORTED)?);
    let import = jobs::import(onhook.addr, imported).await?;
    let busy = accept_at(plan, onhook.addr).await;
    say("  accept, beside an import", &busy);
    jobs::reaches(onhook.addr, &import, &["done"]).await?;
    let numbers: Vec<u64> = (0..UNDONE.min(plan.numbers)).map(numbers::number_at).collect();
    let mut undone = Duration::ZERO;
    for _ in 0..JOBS_ROUNDS {
        undone = undone.max(jobs::undo(onhook.addr, &numbers).await?);
    }
    eprintln!("  an order of {} numbers undone: {undone:?}", numbers.len());
    drop(onhook);
    let mut rounds = Vec::with_capacity(JOBS_ROUNDS);
    for number in 1..=JOBS_ROUNDS {
        // Each with a server of its own: one counts the orders since its start.
        let alone = [onhook::spawn_node(&data.home).await?];
        let without = load.run(&alone, 0).await?;
        drop(alone);
        let busy = [onhook::spawn_node(&data.home).await?];
        let with = tokio::select! {
            with = load.run(&busy, 0) => with?,
            failed = jobs::all_the_time(busy[0].addr) => bail!("a job failed: {failed:?}"),
        };
        drop(busy);
        eprintln!(
            "  round {number}: {:.0}/s alone, {:.0}/s beside jobs",
            without.per_second(),
            with.per_second()
        );
        rounds.push((without, with));
    }
    let ran_out = load.draw.ran_out();
    Ok(Jobs {
        imported: IMPORTED,
        idle: idle?,
        busy: busy?,
        undone: (UNDONE.min(plan.numbers), undone),
        rounds,
        ran_out,
    })
}

/// Orders a second that are sent while a switch asks, each at its own time: more in a minute than most carriers have
/// in a day.
const ORDERS_BESIDE: u32 = 1_000;
/// Connections that these come over.
const STEADY_CONNECTIONS: usize = 4;
/// Connections that each send the next order as soon as the last is accepted: this takes all of a small machine.
const EAGER_CONNECTIONS: usize = 2;

/// Measures a file of call records, then the answers to a switch without and beside orders, and those of a server that
/// does nothing.
async fn calls(plan: &Plan, dir: &Path) -> Result<Calls> {
    eprintln!("calls, {} numbers", thousands(plan.numbers));
    let data = Data::fill(plan, dir, plan.numbers).await?;
    let eager = OrdersLoad { connections: EAGER_CONNECTIONS, ..OrdersLoad::new(plan, Accounts(1)) };
    let steady = OrdersLoad {
        connections: STEADY_CONNECTIONS,
        per_second: Some(ORDERS_BESIDE),
        time: eager.time,
        draw: Arc::clone(&eager.draw),
    };
    let onhook = onhook::spawn_node(&data.home).await?;
    let echo = echo::spawn().await?;
    for addr in [echo.addr, onhook.addr] {
        calls::ask(addr, plan.numbers, WARM_UP).await?;
    }
    // Before the orders: each number is in service, so each call is charged.
    let rated = calls::rate(onhook.addr, onhook.process(), plan.numbers).await?;
    eprintln!("  {} call records: {:?}", thousands(calls::RECORDS), rated.took);
    let nodes = std::slice::from_ref(&onhook);
    let (mut rounds, mut posted) = (Vec::with_capacity(CALLS_ROUNDS), 0);
    for number in 1..=CALLS_ROUNDS {
        let echo = calls::ask(echo.addr, plan.numbers, eager.time).await?;
        let idle = calls::ask(onhook.addr, plan.numbers, eager.time).await?;
        let mut beside = Vec::with_capacity(2);
        for load in [&steady, &eager] {
            let asked = calls::ask(onhook.addr, plan.numbers, load.time);
            let (asked, orders) = tokio::try_join!(asked, load.run(nodes, posted))?;
            posted += orders.posts.done;
            eprintln!("  beside {:.0} orders/s: {:?}", orders.per_second(), asked.p99);
            beside.push((asked, orders));
        }
        let [steady, eager] = beside.try_into().map_err(|_| anyhow!("two loads"))?;
        let round = CallsRound { echo, idle, steady, eager };
        eprintln!("  round {number}, p99: axum {:?}, onhook {:?}", round.echo.p99, round.idle.p99);
        rounds.push(round);
    }
    let ran_out = eager.draw.ran_out();
    Ok(Calls { rounds, rated, ran_out })
}

fn say(what: &str, measured: &Result<Measured>) {
    match measured {
        Ok(measured) => eprintln!(
            "{what}: {:.0}/s, p50 {:?}, p99 {:?}, {} refused",
            measured.per_second(),
            measured.p50,
            measured.p99,
            measured.errors
        ),
        Err(error) => eprintln!("{what}: {error:#}"),
    }
}
