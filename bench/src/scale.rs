//! What a larger system needs: costs that are measured on a small one, a plain model of the rest, and a simulation.
//!
//! The measurement: a cluster is filled by the store's own import, a server runs on it, and orders of two numbers go
//! from POST to COMPLETE. Then bytes, log, statements and processor time are divided by what was done. The model
//! multiplies them, and names what runs out first. The simulation says how long orders wait for their turn.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use onhook_cluster::{Binaries, Cluster, Settings};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::numbers::{Accounts, Draw};
use crate::post::Template;
use crate::report::thousands;
use crate::simulation::{System, with_enough_nodes};
use crate::{load, machine, onhook};

/// The clock's ticks in a second, which Linux has fixed for what it shows of processes.
const TICKS: f64 = 100.0;
/// Orders that are sent before those that are counted.
const WARM_UP: Duration = Duration::from_secs(2);

/// Measure what an order and a number cost in PostgreSQL, and write what larger systems need
#[derive(clap::Args)]
pub(crate) struct Scale {
    /// How many numbers are loaded
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    numbers: u64,
    /// How long orders are sent
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// How many HTTP connections send them
    #[arg(long, value_name = "C", default_value_t = 64)]
    connections: usize,
    /// Where the temporary data goes: a folder on a disk, not in memory [default: the system's]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The page to write
    #[arg(long, value_name = "FILE", default_value = "docs/capacity.md")]
    out: PathBuf,
}

/// What was measured.
struct Costs {
    version: String,
    numbers: u64,
    /// Bytes a number has, with its indexes.
    bytes_a_number: f64,
    /// Numbers imported a second.
    imported_a_second: f64,
    /// Bytes of the log for each imported number.
    log_a_number: f64,
    orders: u64,
    orders_a_second: f64,
    statements: f64,
    commits: f64,
    log_an_order: f64,
    /// Images of whole pages in the log: one for each page that is changed for the first time after a checkpoint.
    images_an_order: f64,
    /// Bytes that the tables and indexes grew by.
    bytes_an_order: f64,
    /// Seconds of a processor.
    database: f64,
    node: f64,
    /// The part of the database's work on an order that is done until it is accepted.
    accept_part: f64,
}

/// What the machines of the model are.
const NODE_CORES: f64 = 8.0;
const DATABASE_CORES: f64 = 64.0;
/// The part of the cores that is busy at most, so that a burst or the loss of a machine has room.
const BUSY: f64 = 0.6;
/// The log that one server writes and sends to a standby, in bytes a second.
const LOG_MAX: f64 = 300e6;
/// The disk of one server.
const DISK_MAX: f64 = 16e12;
/// Orders in a year for each number: each has two numbers, so a number is in two of them.
const ORDERS_A_YEAR: f64 = 1.0;

/// What a system of this size needs.
struct Needs {
    nodes: f64,
    cores: f64,
    /// How long an order waits for a core of the database on average, in seconds, if there are as many.
    waits: f64,
    log: f64,
    numbers_disk: f64,
    orders_disk: f64,
    /// How many databases of the model's size, and what asks for that many.
    databases: f64,
    bottleneck: &'static str,
}

fn needs(costs: &Costs, numbers: f64, rate: f64) -> Needs {
    let cores = (rate * costs.database / BUSY).ceil().max(2.0);
    let log = rate * costs.log_an_order;
    let numbers_disk = numbers * costs.bytes_a_number;
    let orders_disk = numbers * ORDERS_A_YEAR * costs.bytes_an_order;
    let parts = [
        (cores / DATABASE_CORES, "cores of the database"),
        (log / LOG_MAX, "its log"),
        ((numbers_disk + orders_disk) / DISK_MAX, "its disk, for a year of orders"),
        (0.0, "none"),
    ];
    let (most, name) =
        parts.into_iter().fold((0.0, "none"), |most, part| if part.0 > most.0 { part } else { most });
    Needs {
        nodes: (rate * costs.node / BUSY / NODE_CORES).ceil().max(2.0),
        cores,
        waits: waits(rate * costs.database, cores, costs.database),
        log,
        numbers_disk,
        orders_disk,
        databases: most.ceil().max(1.0),
        bottleneck: name,
    }
}

/// Returns how long work waits on average for one of `servers`, in seconds, by Erlang's formula. `offered` is how many
/// it keeps busy, `takes` how long it takes one.
fn waits(offered: f64, servers: f64, takes: f64) -> f64 {
    // The probability that all are busy, built up from one server on: B of n follows from B of n − 1.
    let (mut blocked, mut n) = (1.0, 1.0);
    while n <= servers {
        blocked = offered * blocked / (n + offered * blocked);
        n += 1.0;
    }
    let busy = offered / servers;
    let all_busy = blocked / (1.0 - busy * (1.0 - blocked));
    all_busy * takes / (servers - offered)
}

/// Returns the processor time that a process and its ended children have used, in seconds. 0 if it is gone.
fn used(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
    let ticks = fields.split(' ').skip(11).take(4).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// Returns the processor time of a server of PostgreSQL with all its processes, in seconds.
fn used_by_server(postmaster: u32) -> f64 {
    let children =
        fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
    let children = children.split(' ').filter_map(|child| child.parse().ok());
    used(postmaster) + children.map(used).sum::<f64>()
}

/// What a database has done so far.
struct Done {
    log: f64,
    commits: f64,
    statements: f64,
    images: f64,
    size: f64,
    /// Milliseconds in statements, and in those that accept orders.
    ran: f64,
    accepting: f64,
}

async fn value(client: &Client, sql: &str) -> Result<f64> {
    Ok(client.query_one(&format!("SELECT ({sql})::float8"), &[]).await?.try_get(0)?)
}

async fn done(client: &Client) -> Result<Done> {
    client.batch_execute("SELECT pg_stat_force_next_flush()").await?;
    Ok(Done {
        log: value(client, "SELECT pg_current_wal_insert_lsn() - '0/0'").await?,
        commits: value(client, "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
            .await?,
        statements: value(client, "SELECT sum(calls) FROM pg_stat_statements").await?,
        images: value(client, "SELECT sum(wal_fpi) FROM pg_stat_statements").await?,
        size: value(client, "SELECT pg_database_size(current_database())").await?,
        ran: value(client, "SELECT sum(total_exec_time) FROM pg_stat_statements").await?,
        accepting: value(
            client,
            "SELECT coalesce(sum(total_exec_time), 0) FROM pg_stat_statements WHERE query LIKE '%INSERT INTO orders%'",
        )
        .await?,
    })
}

async fn measure(plan: &Scale, dir: &Path) -> Result<Costs> {
    let settings = Settings::durable()
        .within(dir)
        .with("shared_buffers", "1GB")
        .with("max_wal_size", "8GB")
        .with("checkpoint_timeout", "1h")
        .with("shared_preload_libraries", "pg_stat_statements");
    let cluster = Cluster::start(&Binaries::find()?, settings)?;
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("CREATE EXTENSION pg_stat_statements").await?;
    let postmaster = fs::read_to_string(cluster.socket().join("data/postmaster.pid"))?;
    let postmaster = postmaster.lines().next().context("the server's process")?.trim().parse()?;
    let url = cluster.url();

    eprintln!("scale: importing {} numbers", thousands(plan.numbers));
    let (before, begun) = (done(&client).await?, Instant::now());
    onhook::spawn_fill(&url, plan.numbers, Accounts(1)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let numbers = crate::measure::float(plan.numbers);
    let filled = done(&client).await?;
    let bytes_a_number = value(&client, "SELECT pg_total_relation_size('number')").await? / numbers;

    client.batch_execute("VACUUM ANALYZE").await?;
    let node = onhook::spawn_node(&url).await?;
    let template = Arc::new(Template::new(node.addr));
    let draw = Arc::new(Draw::part(plan.numbers, Accounts(1), 0..100));
    let dealt = Arc::clone(&draw);
    let order = move |_connection, _n, buffer: &mut Vec<u8>| {
        dealt.pair().map(|pair| template.write(buffer, pair)).is_some()
    };
    let warm = load::run(node.addr, plan.connections, WARM_UP, order.clone()).await?;
    onhook::all_complete(&[node.addr], warm.done).await?;
    client.batch_execute("CHECKPOINT").await?;
    let (before_orders, database, of_node) =
        (done(&client).await?, used_by_server(postmaster), used(node.process()));
    let posts = load::run(node.addr, plan.connections, Duration::from_secs(plan.seconds), order).await?;
    let ended = onhook::all_complete(&[node.addr], warm.done + posts.done).await?;
    ensure!(!draw.ran_out(), "the numbers ran out: load more of them (--numbers)");
    let (database, of_node) = (used_by_server(postmaster) - database, used(node.process()) - of_node);
    let after = done(&client).await?;
    let version = client.query_one("SHOW server_version", &[]).await?.try_get(0)?;
    let orders = crate::measure::float(posts.done);
    Ok(Costs {
        version,
        numbers: plan.numbers,
        bytes_a_number,
        imported_a_second: numbers / seconds,
        log_a_number: (filled.log - before.log) / numbers,
        orders: posts.done,
        orders_a_second: orders / (ended - posts.started).as_secs_f64(),
        statements: (after.statements - before_orders.statements) / orders,
        commits: (after.commits - before_orders.commits) / orders,
        log_an_order: (after.log - before_orders.log) / orders,
        images_an_order: (after.images - before_orders.images) / orders,
        bytes_an_order: (after.size - before_orders.size) / orders,
        database: database / orders,
        node: of_node / orders,
        accept_part: (after.accepting - before_orders.accepting) / (after.ran - before_orders.ran),
    })
}

/// Measures, and writes the page.
pub(crate) async fn run(plan: &Scale, command: &str) -> Result<()> {
    let parent = plan.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = TempDir::with_prefix_in("onhook-scale-", &parent)?;
    machine::ensure_disk(dir.path())?;
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let facts = machine::facts(dir.path())?;
    let costs = measure(plan, dir.path()).await?;
    fs::write(&plan.out, page(command, &facts, &costs)?)
        .with_context(|| format!("writing {}", plan.out.display()))?;
    eprintln!("written: {}", plan.out.display());
    Ok(())
}

fn page(command: &str, facts: &[(&str, String)], costs: &Costs) -> Result<String> {
    let mut page = String::new();
    writeln!(
        page,
        "# What a larger system needs\n\nMeasured costs, and what follows from them by multiplication and by a simulation. \
         This page is written by a run; do not edit it:\n\n```sh\n{command}\n```\n\n| machine | |\n|---|---|"
    )?;
    for (name, value) in facts {
        writeln!(page, "| {name} | {value} |")?;
    }
    writeln!(
        page,
        "| PostgreSQL | {} |\n\n## Measured\n\nOne node, one account, one database without a standby, all on this \
         machine; {} numbers in service, loaded by `onhook import`'s own code; disconnect orders of two numbers, from \
         POST to COMPLETE.\n\n| cost | |\n|---|---:|",
        costs.version,
        thousands(costs.numbers)
    )?;
    let whole = |value: f64| thousands(format!("{value:.0}").parse().unwrap_or_default());
    for (name, value) in [
        ("disk of a number with its indexes", format!("{} B", whole(costs.bytes_a_number))),
        ("numbers imported in a second", whole(costs.imported_a_second)),
        ("log of an imported number", format!("{} B", whole(costs.log_a_number))),
        ("orders in the measurement", thousands(costs.orders)),
        ("orders of one account in a second, to COMPLETE", whole(costs.orders_a_second)),
        ("statements of an order", format!("{:.2}", costs.statements)),
        ("commits of an order", format!("{:.3}", costs.commits)),
        ("log of an order", format!("{} B", whole(costs.log_an_order))),
        ("images of whole pages in that", format!("{:.2}", costs.images_an_order)),
        (
            "disk of an order with its two events and their indexes",
            format!("{} B", whole(costs.bytes_an_order)),
        ),
        ("processor time of the database for an order", format!("{:.3} ms", costs.database * 1e3)),
        ("processor time of the node for an order", format!("{:.3} ms", costs.node * 1e3)),
        (
            "part of the statements' time until an order is accepted",
            format!("{:.0} %", costs.accept_part * 100.0),
        ),
    ] {
        writeln!(page, "| {name} | {value} |")?;
    }
    writeln!(
        page,
        "\nThe log has an image of each page that is changed for the first time after a checkpoint, up to 8 KiB each, and \
         the measurement begins with a checkpoint. Many orders between two checkpoints, of numbers near each other, share \
         pages and need less log; numbers that are far apart in a large table need as much or more.\n\n\
         ## Modelled\n\nNot measured: the costs above, multiplied. A node has {NODE_CORES} cores, a database up to \
         {DATABASE_CORES} cores, {} MB of log a second and {} TB of disk, and {:.0} % of the cores may be busy. In a \
         year there are as many orders as numbers, and each number is in two of them. The rate is that of a burst, such as \
         bulk disconnects: a column says how long a year's orders take at that rate. The wait is that for a core of the \
         database, by Erlang's formula; it leaves out disks, networks and rows that orders share. A cost that grows with the number \
         of rows, such as a deeper index, is not in it.\n\n| numbers | orders/s | nodes | cores of the database | \
         wait for a core | log | disk of numbers | disk of a year's orders | a year's orders take | databases | what asks for most |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        LOG_MAX / 1e6,
        DISK_MAX / 1e12,
        BUSY * 100.0
    )?;
    for (numbers, name) in [(1e6, "1 M"), (1e7, "10 M"), (1e8, "100 M"), (1e9, "1 G")] {
        for rate in [1e3, 1e4, 5e4] {
            let needs = needs(costs, numbers, rate);
            writeln!(
                page,
                "| {name} | {} | {:.0} | {:.0} | {:.3} ms | {:.1} MB/s | {:.1} GB | {:.3} TB | {} | {:.0} | {} |",
                whole(rate),
                needs.nodes,
                needs.cores,
                needs.waits * 1e3,
                needs.log / 1e6,
                needs.numbers_disk / 1e9,
                needs.orders_disk / 1e12,
                lasts(numbers * ORDERS_A_YEAR / rate),
                needs.databases,
                needs.bottleneck
            )?;
        }
    }
    let (day, rate) = (86_400.0, 5e4);
    writeln!(
        page,
        "\nA rate that goes on is another matter. {} orders a second for a whole day are {:.1} G orders, {:.1} TB of disk and \
         {:.1} TB of log: one database of this size is full after {:.1} days.",
        whole(rate),
        rate * day / 1e9,
        rate * day * costs.bytes_an_order / 1e12,
        rate * day * costs.log_an_order / 1e12,
        DISK_MAX / (rate * day * costs.bytes_an_order)
    )?;
    simulated(&mut page, costs)?;
    Ok(page)
}

/// Returns a time in seconds in the unit that fits it.
fn lasts(seconds: f64) -> String {
    match seconds {
        0.0..120.0 => format!("{seconds:.0} s"),
        120.0..7_200.0 => format!("{:.0} min", seconds / 60.0),
        7_200.0..172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

/// How long a step takes in any case: ten round trips of half a millisecond, and a commit on a standby's disk, too.
const ANY_STEP: Duration = Duration::from_millis(8);

fn simulated(page: &mut String, costs: &Costs) -> Result<()> {
    writeln!(
        page,
        "\n## Simulated\n\nNot measured: how long orders wait for their turn. Accounts send equally many orders, by chance. \
         Nodes run up to four steps each; a step takes the accounts that waited longest, up to 1,024 orders, and no account \
         is in two steps. A step takes {} ms for its round trips and its commit, then all of the node's time for its \
         orders, then its work in the database, which is one session's. The cores are those of the table above for a billion \
         numbers, and the nodes are two, or as many more as keep up. Twenty seconds are simulated, the last fifteen counted.\n\n| orders/s | accounts | nodes | cores of the \
         database | busy | from accept to COMPLETE: half of them within | 99 % within |\n|---:|---:|---:|---:|---:|---:|---:|",
        ANY_STEP.as_millis()
    )?;
    for rate in [1e3, 1e4, 5e4] {
        for accounts in [1, 10, 100, 1_000] {
            let cores = needs(costs, 1e9, rate).cores;
            let accept = costs.database * costs.accept_part;
            let (step, node, any_step) = (costs.database - accept, costs.node, ANY_STEP.as_secs_f64());
            let system = System { accounts, rate, nodes: 2, cores, accept, step, node, any_step };
            let (system, simulated) = with_enough_nodes(system);
            let waits = match simulated.falls_behind {
                true => "more come than end, however many nodes | –".to_owned(),
                false => format!("{:.0} ms | {:.0} ms", simulated.p50 * 1e3, simulated.p99 * 1e3),
            };
            writeln!(
                page,
                "| {} | {accounts} | {} | {cores:.0} | {:.1} | {waits} |",
                thousands(format!("{rate:.0}").parse()?),
                system.nodes,
                simulated.busy
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-3 * expected.abs().max(1e-9)
    }

    #[test]
    fn a_wait_is_erlang_s() {
        // One server: ρ / (1 − ρ) of the time that one takes.
        assert!(near(waits(0.5, 1.0, 1.0), 1.0));
        // Two servers that are half busy: all are busy for a third of the arrivals.
        assert!(near(waits(1.0, 2.0, 3.0), 1.0));
    }

    #[test]
    fn what_runs_out_first_is_named() {
        let costs = Costs {
            version: String::new(),
            numbers: 1,
            bytes_a_number: 500.0,
            imported_a_second: 1.0,
            log_a_number: 1.0,
            orders: 1,
            orders_a_second: 1.0,
            statements: 1.0,
            commits: 1.0,
            log_an_order: 3_000.0,
            images_an_order: 0.0,
            bytes_an_order: 0.0,
            database: 0.000_1,
            node: 0.000_06,
            accept_part: 0.2,
        };
        let small = needs(&costs, 1e6, 1e3);
        assert_eq!((small.nodes, small.cores, small.databases), (2.0, 2.0, 1.0));
        let large = needs(&costs, 1e9, 5e4);
        assert_eq!((large.nodes, large.cores, large.databases), (1.0_f64.max(2.0), 9.0, 1.0));
        assert_eq!(large.bottleneck, "its log");
        let costs = Costs { log_an_order: 30_000.0, ..costs };
        assert_eq!([90.0, 1_800.0, 7_200.0, 1e6].map(lasts), ["90 s", "30 min", "2 h", "12 days"]);
        assert_eq!(needs(&costs, 1e9, 5e4).databases, 5.0);
        let costs = Costs { database: 0.01, ..costs };
        assert_eq!(needs(&costs, 1e9, 5e4).bottleneck, "cores of the database");
    }

    #[test]
    fn a_process_has_used_time() {
        let own = std::process::id();
        let begun = used(own);
        while used(own) <= begun {
            std::hint::spin_loop();
        }
        assert!(used_by_server(own) >= used(own));
    }
}
