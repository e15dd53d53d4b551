//! What orders cost: transactions, statements and log of the database, and time of processors.
//!
//! The database's counters are read from it, the processors' from the system. Nothing is estimated.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio_postgres::Client;

/// The system counts processors' time in hundredths of a second, whatever its own clock does.
const TICK: Duration = Duration::from_millis(10);

/// Counters at one moment.
pub(crate) struct Counters {
    at: Instant,
    transactions: i64,
    /// `None` if the server does not count them.
    statements: Option<i64>,
    log_bytes: i64,
    database: Duration,
    nodes: Duration,
    generator: Duration,
    idle: Duration,
}

/// What was used between two moments.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Transactions that wrote.
    pub(crate) transactions: u64,
    /// Statements. `None` if the server does not count them.
    pub(crate) statements: Option<u64>,
    /// Bytes of the database's log.
    pub(crate) log_bytes: u64,
    /// Processors' time of the database's processes.
    pub(crate) database: Duration,
    /// Processors' time of the measured servers' processes.
    pub(crate) nodes: Duration,
    /// Processors' time of this process: it makes the load, and is the client of a database without a server.
    pub(crate) generator: Duration,
    /// Time of processors that had nothing to do, or waited for a disk.
    pub(crate) idle: Duration,
    /// The time between the two moments.
    pub(crate) elapsed: Duration,
}

impl Counters {
    /// Reads the counters: the database's over `client`, and those of its first process and of the servers.
    pub(crate) async fn read(client: &Client, database: u32, nodes: &[u32]) -> Result<Self> {
        let sql = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint, \
                   (pg_current_wal_lsn() - '0/0')::bigint";
        let row = client.query_one(sql, &[]).await?;
        let sql = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements";
        let statements = client.query_one(sql, &[]).await.ok().map(|row| row.get(0));
        let times = Times::read()?;
        Ok(Self {
            at: Instant::now(),
            transactions: row.get(0),
            statements,
            log_bytes: row.get(1),
            database: times.of(&[database]),
            nodes: times.of(nodes),
            generator: times.own(std::process::id()),
            idle: idle(&fs::read_to_string("/proc/stat")?).context("/proc/stat has another form")?,
        })
    }

    /// Returns what has been used since an earlier moment.
    pub(crate) fn since(&self, before: &Self) -> Result<Cost> {
        let count = |now: i64, then: i64| u64::try_from(now - then).context("a counter went back");
        let statements = self.statements.zip(before.statements).map(|(now, then)| count(now, then));
        Ok(Cost {
            transactions: count(self.transactions, before.transactions)?,
            statements: statements.transpose()?,
            log_bytes: count(self.log_bytes, before.log_bytes)?,
            database: self.database.saturating_sub(before.database),
            nodes: self.nodes.saturating_sub(before.nodes),
            generator: self.generator.saturating_sub(before.generator),
            idle: self.idle.saturating_sub(before.idle),
            elapsed: self.at - before.at,
        })
    }
}

/// The processors' time of every process, with the parent of each.
struct Times(HashMap<u32, (u32, Time)>);

#[derive(Clone, Copy)]
struct Time {
    own: Duration,
    /// Of its children that have ended.
    children: Duration,
}

impl Times {
    fn read() -> Result<Self> {
        let mut times = HashMap::new();
        for entry in fs::read_dir("/proc").context("reading /proc")?.flatten() {
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that has just ended has no time of its own any more.
            let found = fs::read_to_string(entry.path().join("stat")).ok();
            times.extend(found.and_then(|line| parse(&line)).map(|found| (process, found)));
        }
        Ok(Self(times))
    }

    fn own(&self, process: u32) -> Duration {
        self.0.get(&process).map_or(Duration::ZERO, |(_, time)| time.own)
    }

    /// Returns the time of processes and their children, also of those that have ended.
    fn of(&self, processes: &[u32]) -> Duration {
        let mut sum = Duration::ZERO;
        for process in processes {
            let Some((_, time)) = self.0.get(process) else { continue };
            sum += time.own + time.children;
            let children = self.0.iter().filter(|(_, (parent, _))| parent == process);
            sum += children.map(|(_, (_, time))| time.own + time.children).sum::<Duration>();
        }
        sum
    }
}

/// Reads how long all processors were idle or waited for a disk, from `/proc/stat`.
fn idle(text: &str) -> Option<Duration> {
    let fields: Vec<&str> = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace().collect();
    let ticks = |at: usize| -> Option<u64> { fields.get(at)?.parse().ok() };
    Some(Duration::from_millis(10 * (ticks(3)? + ticks(4)?)))
}

/// Reads the parent and the times in a line of `/proc/PID/stat`. The second field is a name in parentheses, which may
/// hold anything.
fn parse(line: &str) -> Option<(u32, Time)> {
    let (_, fields) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks =
        |at: usize| -> Option<Duration> { fields.get(at)?.parse::<u32>().ok().map(|ticks| TICK * ticks) };
    let time = Time { own: ticks(11)? + ticks(12)?, children: ticks(13)? + ticks(14)? };
    Some((fields.get(1)?.parse().ok()?, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_s_times_are_found_behind_any_name() {
        let line = "26 (a ) b) S 7 26 26 0 -1 4194304 100 0 0 0 150 50 3 2 20 0 1 0 5 6 7";
        let (parent, time) = parse(line).unwrap();
        assert_eq!(parent, 7);
        assert_eq!((time.own, time.children), (Duration::from_secs(2), Duration::from_millis(50)));
    }

    #[test]
    fn idle_is_the_fourth_and_fifth_figure() {
        assert_eq!(idle("cpu  1 2 3 400 100 6 7 8 9 10\ncpu0 1 2"), Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_process_counts_with_its_children_and_they_do_not_twice() {
        let time =
            |own, children| Time { own: Duration::from_secs(own), children: Duration::from_secs(children) };
        let times =
            Times(HashMap::from([(1, (0, time(1, 0))), (2, (1, time(10, 5))), (3, (2, time(100, 0)))]));
        assert_eq!(times.of(&[2]), Duration::from_secs(115));
        assert_eq!(times.own(2), Duration::from_secs(10));
        assert_eq!(times.of(&[9]), Duration::ZERO);
    }
}
