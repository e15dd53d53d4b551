//! The page that a run writes. Every figure on it comes from the run.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::calls::{self, Rated};
use crate::cost::Cost;
use crate::emulator::{self, Emulated};
use crate::failover::Failover;
use crate::measure::{Measured, float};
use crate::onhook::Home;
use crate::postgres;

/// The expected ratio of the accept to the echo.
const ACCEPT_GOAL: f64 = 0.5;
/// The expected ratio of the orders to PostgreSQL.
const ORDERS_GOAL: f64 = 5.0;

/// The expected ratio of the orders to PostgreSQL, if the data is in PostgreSQL.
const POSTGRES_STORE_GOAL: f64 = 3.0;
/// The expected ratio of two nodes to one.
const NODES_GOAL: f64 = 1.5;
/// The part of the machine's cores that is busy when they are what a measurement waits for.
const BUSY: f64 = 0.85;

/// Most by which an import may slow the slowest hundredth of accepts.
const IMPORT_GOAL: f64 = 3.0;
/// How long the undo of the largest order may take.
const UNDO_GOAL: Duration = Duration::from_secs(10);

/// The expected ratio of a list's last page to its first: the same, except for chance.
const LISTS_GOAL: f64 = 0.9;

/// The numbers that the goals of reports and of rating are for. Reports are to read so many in a minute.
const MANY: u64 = 10_000_000;

/// The longest that the slowest hundredth of answers to a switch may take.
const CALLS_GOAL: Duration = Duration::from_millis(1);
/// Call records a second.
const RATE_GOAL: f64 = 500_000.0;
/// MiB of memory that a server which rates a file may have.
const MEMORY_GOAL: f64 = 256.0;

/// All results of one run. A side that failed has its reason.
pub(crate) struct Report {
    /// The command line of the program.
    pub(crate) command: String,
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Where onhook has its data in the parts that do not say it.
    pub(crate) store: Home,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    pub(crate) numbers: u64,
    /// The echo and onhook, round by round.
    pub(crate) accept: Option<Vec<Round>>,
    /// PostgreSQL and onhook, round by round.
    pub(crate) orders: Option<Result<Orders>>,
    /// The same with onhook's data in PostgreSQL.
    pub(crate) postgres_store: Option<Result<Orders>>,
    /// One node and two.
    pub(crate) nodes: Option<Result<Nodes>>,
    /// Failovers of the database.
    pub(crate) failover: Option<Result<Vec<Failover>>>,
    /// First and last pages.
    pub(crate) lists: Option<Result<Lists>>,
    /// Reports over all numbers.
    pub(crate) reports: Option<Result<Reports>>,
    /// Requests beside jobs.
    pub(crate) jobs: Option<Result<Jobs>>,
    /// What a switch and a bill ask.
    pub(crate) calls: Option<Result<Calls>>,
    /// The emulator.
    pub(crate) emulator: Option<Result<Emulated>>,
}

/// What a switch and a bill ask.
pub(crate) struct Calls {
    /// Where calls go, round by round.
    pub(crate) rounds: Vec<CallsRound>,
    /// A file of call records.
    pub(crate) rated: Rated,
    /// Whether the numbers of orders ran out before the time.
    pub(crate) ran_out: bool,
}

pub(crate) struct CallsRound {
    /// A server that does nothing.
    pub(crate) echo: Measured,
    /// onhook, without other requests.
    pub(crate) idle: Measured,
    /// The same beside orders at a fixed pace, and these.
    pub(crate) steady: (Measured, OnhookOrders),
    /// The same beside as many orders as two connections send, and these.
    pub(crate) eager: (Measured, OnhookOrders),
}

/// How long reports over all numbers took.
pub(crate) struct Reports {
    /// How many numbers had been disconnected before.
    pub(crate) disconnected: u64,
    /// Each report's name, and how long it took.
    pub(crate) took: Vec<(&'static str, Duration)>,
}

/// Requests without jobs and beside them.
pub(crate) struct Jobs {
    /// Numbers of the import.
    pub(crate) imported: u64,
    /// Accepts while nothing else is done.
    pub(crate) idle: Measured,
    /// Accepts while the numbers are imported.
    pub(crate) busy: Measured,
    /// How many numbers an order had that was undone, and how long that took at most.
    pub(crate) undone: (u64, Duration),
    /// Orders without jobs, and beside an export, a check and a backup in turn.
    pub(crate) rounds: Vec<(OnhookOrders, OnhookOrders)>,
    /// Whether the numbers ran out before the time.
    pub(crate) ran_out: bool,
}

pub(crate) struct Lists {
    /// Numbers on a page.
    pub(crate) size: u64,
    pub(crate) connections: usize,
    pub(crate) pages: Vec<Pages>,
}

/// Three pages of one list.
pub(crate) struct Pages {
    pub(crate) list: String,
    pub(crate) first: Measured,
    /// The last page, asked for as its link does: by its first number.
    pub(crate) last: Measured,
    /// The last page, asked for by its page number.
    pub(crate) last_by_number: Measured,
}

pub(crate) struct Round {
    pub(crate) echo: Result<Measured>,
    pub(crate) onhook: Result<Measured>,
}

pub(crate) struct Orders {
    pub(crate) postgres: postgres::Facts,
    pub(crate) rounds: Vec<OrdersRound>,
    /// What an order costs, if onhook's data is in PostgreSQL too.
    pub(crate) costs: Option<Costs>,
    /// Whether a side's numbers ran out before the time.
    pub(crate) ran_out: bool,
}

pub(crate) struct OrdersRound {
    pub(crate) postgres: postgres::Round,
    pub(crate) onhook: OnhookOrders,
}

impl OrdersRound {
    /// Returns how much faster onhook was than the faster way of PostgreSQL.
    fn ratio(&self) -> f64 {
        self.onhook.per_second() / self.postgres.best().per_second()
    }
}

/// What orders cost each side, and how many they were.
pub(crate) struct Costs {
    pub(crate) onhook: Cost,
    pub(crate) onhook_orders: u64,
    pub(crate) postgres: Cost,
    pub(crate) postgres_orders: u64,
}

/// One node and two nodes on one database.
pub(crate) struct Nodes {
    pub(crate) version: String,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) rounds: Vec<NodesRound>,
    /// One more round, in which the statements were counted.
    pub(crate) costs: NodesRound,
    /// How much later the answers of a database are that is far away, how many connections asked its nodes, and their
    /// rounds.
    pub(crate) far: Duration,
    pub(crate) far_connections: usize,
    pub(crate) far_rounds: Vec<NodesRound>,
    /// How many accounts' orders they run.
    pub(crate) accounts: u64,
    /// Whether the numbers ran out before the time.
    pub(crate) ran_out: bool,
}

pub(crate) struct NodesRound {
    pub(crate) one: (Cost, OnhookOrders),
    pub(crate) two: (Cost, OnhookOrders),
}

impl NodesRound {
    /// Returns how many orders a second one node or both ran.
    pub(crate) fn rate(&self, nodes: usize) -> f64 {
        let (_, orders) = if nodes == 1 { &self.one } else { &self.two };
        orders.per_second()
    }

    fn ratio(&self) -> f64 {
        self.rate(2) / self.rate(1)
    }
}

pub(crate) struct OnhookOrders {
    /// The POSTs.
    pub(crate) posts: Measured,
    /// From the first POST until the last order was seen COMPLETE.
    pub(crate) elapsed: Duration,
}

impl OnhookOrders {
    pub(crate) fn per_second(&self) -> f64 {
        crate::measure::float(self.posts.done) / self.elapsed.as_secs_f64()
    }
}

impl Report {
    /// Returns what went wrong, if anything did.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (index, round) in self.accept.iter().flatten().enumerate() {
            let round_name = index + 1;
            failures.extend(
                round.echo.as_ref().err().map(|error| format!("accept, echo, round {round_name}: {error:#}")),
            );
            failures.extend(
                round
                    .onhook
                    .as_ref()
                    .err()
                    .map(|error| format!("accept, onhook, round {round_name}: {error:#}")),
            );
        }
        if let Some(Err(error)) = &self.orders {
            failures.push(format!("orders: {error:#}"));
        }
        if let Some(Err(error)) = &self.postgres_store {
            failures.push(format!("orders in PostgreSQL: {error:#}"));
        }
        if let Some(Err(error)) = &self.nodes {
            failures.push(format!("nodes: {error:#}"));
        }
        if let Some(Err(error)) = &self.failover {
            failures.push(format!("failover: {error:#}"));
        }
        if let Some(Err(error)) = &self.lists {
            failures.push(format!("lists: {error:#}"));
        }
        if let Some(Err(error)) = &self.reports {
            failures.push(format!("reports: {error:#}"));
        }
        if let Some(Err(error)) = &self.jobs {
            failures.push(format!("jobs: {error:#}"));
        }
        if let Some(Err(error)) = &self.calls {
            failures.push(format!("calls: {error:#}"));
        }
        if let Some(Err(error)) = &self.emulator {
            failures.push(format!("emulator: {error:#}"));
        }
        failures
    }

    /// Writes the page to `path`.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, self.page()?).with_context(|| format!("writing {}", path.display()))
    }

    fn page(&self) -> Result<String> {
        let mut page = String::new();
        writeln!(
            page,
            "# Benchmarks\n\n\
             onhook beside the other side, both measured in one run on one machine, so that the ratios \
             mean something on yours. This page is written by the run; do not edit it:\n\n\
             ```sh\n{}\n```\n\n\
             | machine | |\n|---|---|",
            self.command
        )?;
        for (name, value) in &self.facts {
            writeln!(page, "| {name} | {value} |")?;
        }
        let of_orders = [&self.orders, &self.postgres_store].into_iter().flatten().flatten();
        let of_nodes = self.nodes.iter().flatten().map(|nodes| &nodes.version);
        if let Some(version) = of_orders.map(|orders| &orders.postgres.version).chain(of_nodes).next() {
            writeln!(page, "| PostgreSQL | {version} |")?;
        }
        if self.store == Home::Database {
            writeln!(page, "| onhook's data | in a PostgreSQL database in every part |")?;
        }
        writeln!(
            page,
            "\nServers and load generator share the cores. The generator is the same for both sides: \
             {} keep-alive connections on one thread, each sending its next request when it has the \
             answer to the last. Each server is a process of its own, and only one is measured at a \
             time. Only 2xx counts.",
            self.connections
        )?;
        if let Some(rounds) = &self.accept {
            self.accept(&mut page, rounds)?;
        }
        if let Some(Ok(orders)) = &self.orders {
            writeln!(page, "\n## An order from POST to COMPLETE\n")?;
            self.orders(&mut page, orders, ORDERS_GOAL)?;
        }
        if let Some(Ok(orders)) = &self.postgres_store {
            writeln!(page, "\n## An order from POST to COMPLETE, with the data in PostgreSQL\n")?;
            self.orders(&mut page, orders, POSTGRES_STORE_GOAL)?;
        }
        if let Some(Ok(nodes)) = &self.nodes {
            self.nodes(&mut page, nodes)?;
        }
        if let Some(Ok(failovers)) = &self.failover {
            failover(&mut page, failovers)?;
        }
        if let Some(Ok(lists)) = &self.lists {
            self.lists(&mut page, lists)?;
        }
        if let Some(Ok(reports)) = &self.reports {
            self.reports(&mut page, reports)?;
        }
        if let Some(Ok(jobs)) = &self.jobs {
            self.jobs(&mut page, jobs)?;
        }
        if let Some(Ok(calls)) = &self.calls {
            self.calls(&mut page, calls)?;
        }
        if let Some(Ok(emulated)) = &self.emulator {
            emulator(&mut page, emulated)?;
        }
        Ok(page)
    }

    fn accept(&self, page: &mut String, rounds: &[Round]) -> Result<()> {
        let ratio = |round: &Round| match round {
            Round { echo: Ok(echo), onhook: Ok(onhook) } => Some(onhook.per_second() / echo.per_second()),
            _ => None,
        };
        let mut by_ratio: Vec<&Round> = rounds.iter().collect();
        by_ratio.sort_by(|one, other| {
            let order = |round| ratio(round).unwrap_or_default();
            order(one).total_cmp(&order(other))
        });
        let median = by_ratio.get(by_ratio.len() / 2).context("at least one round")?;
        writeln!(page, "\n## A durable accept over HTTP\n\n{}", verdict(ratio(median), ACCEPT_GOAL))?;
        writeln!(
            page,
            "\nThe guide's POST of a disconnect order. onhook authenticates it, checks it, and answers 201 \
             once the order is on disk. The other side is a bare axum server that reads the body, parses \
             nothing, stores nothing and answers as much: what the stack under onhook can do at most.\n"
        )?;
        http_header(page)?;
        http_row(page, "onhook, durable", ratio(median), &median.onhook)?;
        http_row(page, "axum, nothing done", Some(1.0), &median.echo)?;
        let all: Vec<String> = rounds.iter().map(|round| times(ratio(round))).collect();
        writeln!(
            page,
            "\nThe table shows the median of {} rounds of {:.1} s for each side, in turn ({}). Each \
             round starts both servers afresh, and counts after a second.",
            rounds.len(),
            median.onhook.as_ref().map_or(0.0, |onhook| onhook.elapsed.as_secs_f64()),
            all.join(", ")
        )?;
        Ok(())
    }

    fn orders(&self, page: &mut String, orders: &Orders, goal: f64) -> Result<()> {
        let Orders { postgres, rounds, costs, ran_out } = orders;
        let mut by_ratio: Vec<&OrdersRound> = rounds.iter().collect();
        by_ratio.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
        let median = by_ratio.get(by_ratio.len() / 2).context("at least one round")?;
        let ratio = Some(median.ratio());
        writeln!(page, "{}", verdict(ratio, goal))?;
        let where_to = if costs.is_some() {
            " Its data is in a database of the same PostgreSQL, with the same settings, which it asks over TCP; the \
             other side uses a Unix socket."
        } else {
            ""
        };
        writeln!(
            page,
            "\nDisconnect orders of two random numbers each, of {} numbers in service; no number comes \
             twice, so every order really disconnects. onhook takes them over HTTP, with \
             authentication and XML, and the clock stops when the last of them is COMPLETE.{where_to} \
             The other side is PostgreSQL over its own protocol, with prepared statements, without HTTP \
             or XML: lock both numbers, insert the order and two events, update the numbers. Once in one \
             transaction an order, once as onhook does it, accepted in one and run in a second. The ratio \
             is to the faster of the two.\n",
            thousands(self.numbers),
        )?;
        writeln!(page, "| | ratio | orders/s | p50 | p99 | orders |\n|---|---:|---:|---:|---:|---:|")?;
        let OrdersRound { onhook, postgres: theirs } = median;
        let base = theirs.best().per_second();
        for (name, rate, measured, mark) in [
            ("onhook, POST to COMPLETE", onhook.per_second(), onhook.posts, " ¹"),
            (
                "PostgreSQL, one transaction an order",
                theirs.one_transaction.per_second(),
                theirs.one_transaction,
                "",
            ),
            (
                "PostgreSQL, two transactions an order",
                theirs.two_transactions.per_second(),
                theirs.two_transactions,
                "",
            ),
        ] {
            let Measured { done, p50, p99, .. } = measured;
            let ratio = times(Some(rate / base));
            let ratio = if mark.is_empty() { ratio } else { format!("**{ratio}**") };
            let (rate, p50, p99) = (whole(rate), millis(p50), millis(p99));
            writeln!(
                page,
                "| {name} | {ratio} | {rate} | {p50}{mark} | {p99}{mark} | {} |",
                thousands(done)
            )?;
        }
        writeln!(
            page,
            "\n¹ of the POST, which answers when the order is durable: {} a second, {} refused. The last \
             order was COMPLETE {:.1} s after the first POST.",
            whole(onhook.posts.per_second()),
            thousands(onhook.posts.errors),
            onhook.elapsed.as_secs_f64()
        )?;
        let all: Vec<String> = rounds.iter().map(|round| times(Some(round.ratio()))).collect();
        writeln!(
            page,
            "\nThe table shows the median of {} rounds of {:.1} s for each row, in turn ({}). Both servers \
             run all the time, and rest while the other is measured.",
            rounds.len(),
            onhook.posts.elapsed.as_secs_f64(),
            all.join(", ")
        )?;
        if let Some(costs) = costs {
            let Costs { onhook, onhook_orders, postgres, postgres_orders } = costs;
            let plain = "PostgreSQL, one transaction an order";
            cost_rows(page, &[("onhook", onhook, *onhook_orders), (plain, postgres, *postgres_orders)])?;
        }
        let settings = set(&postgres.settings);
        writeln!(page, "\nPostgreSQL ran with {} and {settings}.", postgres.calibrated())?;
        if *ran_out {
            writeln!(page, "\nThe numbers ran out before the time did; the rates count the time used.")?;
        }
        Ok(())
    }
}

/// Returns what a measurement waited for, as far as the processors' time tells.
pub(crate) fn bottleneck(cost: &Cost) -> String {
    let cores = |time: Duration| time.as_secs_f64() / cost.elapsed.as_secs_f64();
    let (busy, idle) = (cores(cost.database + cost.nodes + cost.generator), cores(cost.idle));
    let each = |time: Duration| format!("{:.2}", cores(time));
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let all = float(u64::try_from(count).unwrap_or(u64::MAX));
    let what = if busy >= BUSY * all {
        "The cores are the bottleneck: a second node has none that the first had not"
    } else if busy + idle < BUSY * all {
        "Other work took the rest of the cores: measure again on an idle machine"
    } else {
        "The cores are not the bottleneck: the nodes wait for the database's answers, disk and locks"
    };
    format!(
        "With two nodes {busy:.2} of {count} cores were busy with that (PostgreSQL {}, the nodes {}, the generator {}), and \
         {idle:.2} had nothing to do. {what}.",
        each(cost.database),
        each(cost.nodes),
        each(cost.generator)
    )
}

/// Writes what an order costs each side: its name, what all its orders cost, and how many they were.
fn cost_rows(page: &mut String, costs: &[(&str, &Cost, u64)]) -> Result<()> {
    writeln!(
        page,
        "\nWhat an order costs, in one more round of each in which PostgreSQL counted the statements:\n\n\
         | | statements | transactions that write | log | PostgreSQL's processors | onhook's processors |\n\
         |---|---:|---:|---:|---:|---:|"
    )?;
    for &(name, cost, orders) in costs {
        let each = |count: u64| format!("{:.2}", float(count) / float(orders));
        let time = |time: Duration| format!("{:.0} µs", time.as_secs_f64() * 1e6 / float(orders));
        writeln!(
            page,
            "| {name} | {} | {} | {} B | {} | {} |",
            cost.statements.map_or_else(|| "–".to_owned(), each),
            each(cost.transactions),
            whole(float(cost.log_bytes) / float(orders)),
            time(cost.database),
            if cost.nodes.is_zero() { "–".to_owned() } else { time(cost.nodes) },
        )?;
    }
    Ok(())
}

fn set(settings: &[(String, String)]) -> String {
    let settings: Vec<String> = settings.iter().map(|(name, value)| format!("`{name} = {value}`")).collect();
    settings.join(", ")
}

/// Writes how long no order was accepted in failovers.
fn failover(page: &mut String, rounds: &[Failover]) -> Result<()> {
    let mut by_gap = rounds.to_vec();
    by_gap.sort_by_key(|round| round.gap);
    let median = by_gap.get(by_gap.len() / 2).context("at least one round")?;
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let all: Vec<String> = rounds.iter().map(|round| seconds(round.gap)).collect();
    writeln!(
        page,
        "\n## A failover\n\n**{}** from the crash of the primary until an order is accepted again\n\n\
         The database has a synchronous standby. Its primary is killed under orders, and the standby is promoted at once; who \
         decides on that, and how fast, is not in the figure. PostgreSQL takes {} of it until the standby takes writes. The \
         row is the median of {} rounds ({}).",
        seconds(median.gap),
        seconds(median.promotion),
        rounds.len(),
        all.join(", ")
    )?;
    Ok(())
}

/// Returns the round in the middle, by its ratio.
fn median(rounds: &[NodesRound]) -> Option<&NodesRound> {
    let mut by_ratio: Vec<&NodesRound> = rounds.iter().collect();
    by_ratio.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    by_ratio.get(by_ratio.len() / 2).copied()
}

/// Writes the round in the middle, what it waited for, and the ratios of all.
fn node_rows(page: &mut String, rounds: &[NodesRound]) -> Result<()> {
    let median = median(rounds).context("at least one round")?;
    writeln!(
        page,
        "| | ratio | orders/s | p50 | p99 | PostgreSQL's cores | the nodes' cores | the generator's cores | log |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )?;
    for (name, (cost, orders)) in [("one node", &median.one), ("two nodes", &median.two)] {
        let cores = |time: Duration| format!("{:.2}", time.as_secs_f64() / cost.elapsed.as_secs_f64());
        writeln!(
            page,
            "| {name} | **{}** | {} | {} | {} | {} | {} | {} | {:.1} MB/s |",
            times(Some(orders.per_second() / median.rate(1))),
            whole(orders.per_second()),
            millis(orders.posts.p50),
            millis(orders.posts.p99),
            cores(cost.database),
            cores(cost.nodes),
            cores(cost.generator),
            float(cost.log_bytes) / 1e6 / cost.elapsed.as_secs_f64()
        )?;
    }
    let all: Vec<String> = rounds.iter().map(|round| times(Some(round.ratio()))).collect();
    writeln!(
        page,
        "\n{} The table shows the median of {} rounds of {:.1} s for each row, in turn ({}).",
        bottleneck(&median.two.0),
        rounds.len(),
        median.one.1.posts.elapsed.as_secs_f64(),
        all.join(", ")
    )?;
    Ok(())
}

impl Report {
    fn nodes(&self, page: &mut String, nodes: &Nodes) -> Result<()> {
        let Nodes { settings, rounds, costs, far, far_connections, far_rounds, accounts, ran_out, .. } =
            nodes;
        let ratio = |rounds: &[NodesRound]| median(rounds).map(NodesRound::ratio);
        writeln!(page, "\n## Two nodes on one database\n\n{}", verdict(ratio(rounds), NODES_GOAL))?;
        writeln!(
            page,
            "\nOrders as above, to one node, and to two nodes that share a PostgreSQL database of {} numbers. \
             {accounts} accounts take turns: an account's orders run on one node at a time. A column of processors \
             says how many cores were busy with that.\n",
            thousands(self.numbers)
        )?;
        node_rows(page, rounds)?;
        let of = |(cost, orders): &'_ (Cost, OnhookOrders)| (*cost, orders.posts.done);
        let ((one, of_one), (two, of_two)) = (of(&costs.one), of(&costs.two));
        cost_rows(page, &[("one node", &one, of_one), ("two nodes", &two, of_two)])?;
        writeln!(
            page,
            "\nThe same with {far_connections} connections and a database that is far away, as where nodes have \
             machines of their own: each of its answers is there {} later. **{}**\n",
            millis(*far),
            times(ratio(far_rounds))
        )?;
        node_rows(page, far_rounds)?;
        writeln!(
            page,
            "\nEach round starts its nodes afresh, and counts after a second. PostgreSQL ran with {}.",
            set(settings)
        )?;
        if *ran_out {
            writeln!(page, "\nThe numbers ran out before the time did; the rates count the time used.")?;
        }
        Ok(())
    }

    fn jobs(&self, page: &mut String, jobs: &Jobs) -> Result<()> {
        let Jobs { imported, idle, busy, undone: (numbers, undone), rounds, ran_out } = jobs;
        let slower = busy.p99.as_secs_f64() / idle.p99.as_secs_f64();
        let met = if slower <= IMPORT_GOAL { "met" } else { "missed" };
        writeln!(
            page,
            "\n## Beside an import and other jobs\n\n**{slower:.2} ×** the p99 of an accept beside an import (goal: at \
             most {IMPORT_GOAL} ×, {met})\n\n\
             A store of {} numbers takes the guide's POST, first with nothing else to do, then while a file of {} \
             numbers is written.\n",
            thousands(self.numbers),
            thousands(*imported)
        )?;
        http_header(page)?;
        http_row(page, "idle", Some(1.0), &Ok(*idle))?;
        http_row(page, "beside the import", Some(busy.per_second() / idle.per_second()), &Ok(*busy))?;
        writeln!(
            page,
            "\nAn order that has disconnected {} numbers is undone in **{:.2} s** at most, in {} rounds (goal: at most \
             {} s, {}).",
            thousands(*numbers),
            undone.as_secs_f64(),
            rounds.len(),
            UNDO_GOAL.as_secs(),
            if *undone <= UNDO_GOAL { "met" } else { "missed" }
        )?;
        let mut ratios: Vec<f64> =
            rounds.iter().map(|(without, with)| with.per_second() / without.per_second()).collect();
        ratios.sort_by(f64::total_cmp);
        let all: Vec<String> = rounds
            .iter()
            .map(|(without, with)| {
                format!("{} and {}", whole(without.per_second()), whole(with.per_second()))
            })
            .collect();
        writeln!(
            page,
            "\nOrders from POST to COMPLETE, a second, without jobs and while all numbers are exported, checked deeply \
             and backed up, one after the other: {}. Of the ratios the median is **{}**.{}",
            all.join("; "),
            times(ratios.get(ratios.len() / 2).copied()),
            if *ran_out { " The numbers ran out before the time." } else { "" }
        )?;
        Ok(())
    }

    fn calls(&self, page: &mut String, calls: &Calls) -> Result<()> {
        let Calls { rounds, rated, ran_out } = calls;
        let median = |of: fn(&CallsRound) -> &Measured| {
            let mut by_slowest: Vec<&CallsRound> = rounds.iter().collect();
            by_slowest.sort_by_key(|round| of(round).p99);
            by_slowest.get(by_slowest.len() / 2).copied().context("at least one round")
        };
        let echo = median(|round| &round.echo)?.echo;
        let idle = median(|round| &round.idle)?.idle;
        let (steady, orders) = &median(|round| &round.steady.0)?.steady;
        let (eager, eager_orders) = &median(|round| &round.eager.0)?.eager;
        let met = if steady.p99 <= CALLS_GOAL { "met" } else { "missed" };
        writeln!(
            page,
            "\n## Where a call goes, and who pays\n\n**{}** the p99 of an answer to a switch, at {} questions a second \
             beside {} orders a second (goal: at most {}, {met})\n\n\
             A switch asks of {} numbers in a random order. Each question is sent at its own time; one that has to wait for \
             a late answer counts from its time. Orders of two numbers run beside it from POST to COMPLETE: first each at \
             its own time, too, then as many as two connections send one after the other, which takes all that this machine \
             has. The other side is a bare axum server that looks nothing up and answers as much: its slowest answers are \
             those for which the machine itself had no time. The ratio is of the p99.\n",
            millis(steady.p99),
            thousands(calls::PER_SECOND.into()),
            whole(orders.per_second()),
            millis(CALLS_GOAL),
            thousands(self.numbers)
        )?;
        http_header(page)?;
        let ratio = |measured: &Measured| Some(measured.p99.as_secs_f64() / echo.p99.as_secs_f64());
        let beside =
            |orders: &OnhookOrders| format!("onhook, beside {} orders/s", whole(orders.per_second()));
        for (name, measured) in [
            ("axum, nothing done".to_owned(), echo),
            ("onhook, without orders".to_owned(), idle),
            (beside(orders), *steady),
            (beside(eager_orders), *eager),
        ] {
            http_row(page, &name, ratio(&measured), &Ok(measured))?;
        }
        let all: Vec<String> = rounds
            .iter()
            .map(|round| {
                format!(
                    "{} / {} / {} / {}",
                    millis(round.echo.p99),
                    millis(round.idle.p99),
                    millis(round.steady.0.p99),
                    millis(round.eager.0.p99)
                )
            })
            .collect();
        writeln!(
            page,
            "\nEach row is the median by its p99 of {} rounds of {:.1} s, in turn ({}).{}",
            rounds.len(),
            steady.elapsed.as_secs_f64(),
            all.join(", "),
            if *ran_out { " The numbers of orders ran out before the time." } else { "" }
        )?;
        let rate = float(calls::RECORDS) / rated.took.as_secs_f64();
        let memory = float(rated.memory) / 1024.0;
        let within = if memory <= MEMORY_GOAL { "met" } else { "missed" };
        writeln!(
            page,
            "\n{} call records ({:.0} MB) of random numbers were rated in {:.1} s: **{} a second** ({} to a goal of {}). \
             The file was written, sent, rated and read back on the same cores. The server had {memory:.0} MiB of memory at \
             most meanwhile, the store's pages among them (goal: at most {MEMORY_GOAL}, {within}). The goals are for {} \
             numbers.{}",
            thousands(calls::RECORDS),
            float(rated.bytes) / 1e6,
            rated.took.as_secs_f64(),
            whole(rate),
            times(Some(rate / RATE_GOAL)),
            whole(RATE_GOAL),
            thousands(MANY),
            self.of_many()
        )?;
        Ok(())
    }

    /// Says where figures of many numbers are, if these are of fewer.
    fn of_many(&self) -> &'static str {
        if self.numbers < MANY { " [Another page](benchmarks-ten-million.md) has that many." } else { "" }
    }

    fn lists(&self, page: &mut String, lists: &Lists) -> Result<()> {
        let ratio = |page: &Measured, first: &Measured| Some(page.per_second() / first.per_second());
        let worst =
            lists.pages.iter().filter_map(|pages| ratio(&pages.last, &pages.first)).min_by(f64::total_cmp);
        writeln!(page, "\n## The last page of a list\n\n{}", verdict(worst, LISTS_GOAL))?;
        writeln!(
            page,
            "\nAn account has {} numbers in service, {} on a page, {} connections ask. The last page's link \
             names its first number, and costs what the first page does. Some clients count pages instead: \
             then those before are walked over in the index.\n",
            thousands(self.numbers),
            lists.size,
            lists.connections
        )?;
        http_header(page)?;
        for Pages { list, first, last, last_by_number } in &lists.pages {
            for (what, one) in [
                ("first page", first),
                ("last page, by its link", last),
                ("last page, by its count", last_by_number),
            ] {
                http_row(page, &format!("`{list}`, {what}"), ratio(one, first), &Ok(*one))?;
            }
        }
        writeln!(page, "\n{} s for each, after a second that is not counted.", self.seconds)?;
        Ok(())
    }
}

impl Report {
    fn reports(&self, page: &mut String, reports: &Reports) -> Result<()> {
        let rate = |time: &Duration| float(self.numbers) / float(MANY) * 60.0 / time.as_secs_f64();
        let worst = reports.took.iter().map(|(_, time)| rate(time)).min_by(f64::total_cmp);
        writeln!(page, "\n## Reports over all numbers\n\n{}", verdict(worst, 1.0))?;
        writeln!(
            page,
            "\nOf {} numbers, {} were disconnected before. The goal is {} numbers in a minute; the ratio is to \
             that.{}\n\n| | ratio | seconds |\n|---|---:|---:|",
            thousands(self.numbers),
            thousands(reports.disconnected),
            thousands(MANY),
            self.of_many()
        )?;
        for (name, time) in &reports.took {
            writeln!(page, "| {name} | **{}** | {:.2} |", times(Some(rate(time))), time.as_secs_f64())?;
        }
        Ok(())
    }
}

fn emulator(page: &mut String, emulated: &Emulated) -> Result<()> {
    let Emulated { start, reset, orders, apart } = emulated;
    writeln!(page, "\n## The emulator\n\n| | goal | ms | |\n|---|---:|---:|---|")?;
    let numbers = thousands(emulator::NUMBERS);
    for (what, goal, took) in [
        ("from the start of its process to its first answer".to_owned(), 300, start),
        ("a reset to the documented account".to_owned(), 50, reset),
        (format!("91 days, with {numbers} numbers of two orders"), 2_000, orders),
        (format!("91 days, with {numbers} numbers that each have an instant of their own"), 2_000, apart),
    ] {
        let met = if *took <= Duration::from_millis(goal) { "met" } else { "missed" };
        writeln!(page, "| {what} | {} | **{:.0}** | {met} |", thousands(goal), took.as_secs_f64() * 1e3)?;
    }
    Ok(())
}

fn verdict(ratio: Option<f64>, goal: f64) -> String {
    let ratio = ratio.filter(|ratio| ratio.is_finite()); // a round in which the numbers had run out has none
    let met = match ratio {
        None => "not measured",
        Some(ratio) if ratio >= goal => "met",
        Some(_) => "missed",
    };
    format!("**{}** (goal: at least {goal} ×, {met})", times(ratio))
}

fn http_header(page: &mut String) -> Result<()> {
    writeln!(
        page,
        "| | ratio | requests/s | p50 | p99 | refused | answer |\n|---|---:|---:|---:|---:|---:|---:|"
    )?;
    Ok(())
}

fn http_row(page: &mut String, name: &str, ratio: Option<f64>, measured: &Result<Measured>) -> Result<()> {
    match measured {
        Ok(measured) => writeln!(
            page,
            "| {name} | **{}** | {} | {} | {} | {} | {} B |",
            times(ratio),
            whole(measured.per_second()),
            millis(measured.p50),
            millis(measured.p99),
            thousands(measured.errors),
            measured.answer_bytes
        )?,
        Err(error) => writeln!(page, "| {name} | – | {error:#} | – | – | – | – |")?,
    }
    Ok(())
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2} ×"))
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn whole(rate: f64) -> String {
    thousands(format!("{rate:.0}").parse().unwrap_or_default())
}

/// Returns a count with its thousands separated.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut apart = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (count, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(thousands(count), expected);
        }
    }

    #[test]
    fn the_bottleneck_is_where_the_processors_were() {
        let seconds = |nodes, idle| Cost {
            transactions: 0,
            statements: None,
            log_bytes: 0,
            database: Duration::ZERO,
            nodes: Duration::from_secs(nodes),
            generator: Duration::ZERO,
            idle: Duration::from_secs(idle),
            elapsed: Duration::from_secs(1),
        };
        let cores = u64::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
        assert!(bottleneck(&seconds(cores, 0)).contains("The cores are the bottleneck"));
        assert!(bottleneck(&seconds(0, 0)).contains("Other work took"));
        assert!(bottleneck(&seconds(0, cores)).contains("The cores are not the bottleneck"));
    }

    #[test]
    fn a_result_is_compared_with_its_goal() {
        assert_eq!(verdict(Some(0.5), 0.5), "**0.50 ×** (goal: at least 0.5 ×, met)");
        assert!(!verdict(Some(f64::NAN), 5.0).contains("missed"), "nothing was measured");
        assert_eq!(verdict(Some(4.9), 5.0), "**4.90 ×** (goal: at least 5 ×, missed)");
        assert_eq!(verdict(None, 5.0), "**–** (goal: at least 5 ×, not measured)");
    }
}
