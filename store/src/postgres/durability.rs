//! What about the database may cost a promise: settings that lose commits, and clocks that differ.

use std::time::{SystemTime, UNIX_EPOCH};

use super::client::Client;
use onhook_core::time::Timestamp;
use tokio::time::Instant;

use super::row::get;
use super::statement::{NOW, row, rows};
use crate::Result;
use crate::contract::upkeep::Weakness;

/// By how many milliseconds the clocks may differ.
const CLOCK_OFF_MS_MAX: i64 = 1_000;

/// What a database says of itself. `None` if it does not know the setting, or it means nothing there.
#[derive(Clone, Debug, Default)]
struct Settings {
    synchronous_commit: Option<String>,
    fsync: Option<String>,
    full_page_writes: Option<String>,
    synchronous_standby_names: Option<String>,
    /// Standbys that follow it now.
    standbys: i64,
}

impl Settings {
    fn weaknesses(&self) -> Vec<Weakness> {
        let is = |setting: &Option<String>, words: &[&str]| {
            setting.as_deref().is_some_and(|word| words.contains(&word.trim()))
        };
        let mut found = Vec::new();
        // With `remote_write` a standby has given the commit to its system, and not yet to its disk.
        let names_standbys =
            self.synchronous_standby_names.as_deref().is_some_and(|names| !names.trim().is_empty());
        let waits_for_writes = names_standbys && is(&self.synchronous_commit, &["remote_write"]);
        if waits_for_writes || is(&self.synchronous_commit, &["off", "local"]) {
            found.push(Weakness::SynchronousCommitOff);
        }
        if self.standbys > 0 && is(&self.synchronous_standby_names, &[""]) {
            found.push(Weakness::AsynchronousStandby);
        }
        if is(&self.fsync, &["off"]) {
            found.push(Weakness::FsyncOff);
        }
        if is(&self.full_page_writes, &["off"]) {
            found.push(Weakness::FullPageWritesOff);
        }
        found
    }
}

/// Returns the weakness of a database's clock. It was read at some moment between two readings of this machine's,
/// `took_ms` apart, the first of which was `before`. Of the differences that this leaves open, the smallest counts, so
/// that a slow answer is not taken for a wrong clock.
fn of_clock(before: Timestamp, took_ms: i64, database: Timestamp) -> Option<Weakness> {
    let half = took_ms / 2;
    let middle_ms = database.since(before.plus_millis(half));
    let least_ms = middle_ms.saturating_abs().saturating_sub(half).max(0);
    let ms = least_ms.saturating_mul(middle_ms.signum());
    (least_ms > CLOCK_OFF_MS_MAX).then_some(Weakness::ClockOff { ms })
}

/// Returns what about the database may cost a promise now.
pub(super) async fn weaknesses(client: &Client) -> Result<Vec<Weakness>> {
    let mut found = settings(client).await?.weaknesses();
    found.extend(clock(client).await?);
    Ok(found)
}

async fn settings(client: &Client) -> Result<Settings> {
    let version = row(client, "SELECT version()", &[]).await?;
    let version: String = version.map_or(Ok(String::new()), |row| get(&row, 0))?;
    if ["-YB-", "CockroachDB"].iter().any(|name| version.contains(name)) {
        return Ok(Settings::default()); // each commit is on the disks of several machines, whatever the settings
    }
    // Aurora has no disk of its own to force anything to.
    let sql = "SELECT current_setting('synchronous_commit', true), current_setting('synchronous_standby_names', true),
                      CASE WHEN aurora.here THEN NULL ELSE current_setting('fsync', true) END,
                      CASE WHEN aurora.here THEN NULL ELSE current_setting('full_page_writes', true) END
               FROM (SELECT EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'aurora_version') AS here) aurora";
    let Some(row) = row(client, sql, &[]).await? else { return Ok(Settings::default()) };
    Ok(Settings {
        synchronous_commit: get(&row, 0)?,
        synchronous_standby_names: get(&row, 1)?,
        fsync: get(&row, 2)?,
        full_page_writes: get(&row, 3)?,
        standbys: standbys(client).await,
    })
}

/// Returns how many standbys follow the database. A user without the right to see more sees no state of them, but that
/// they are there. Who reads a logical slot is no standby. 0 if the database does not tell.
async fn standbys(client: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_replication r
               WHERE coalesce(r.state, 'streaming') IN ('streaming', 'catchup')
                 AND r.pid NOT IN (SELECT active_pid FROM pg_replication_slots
                                   WHERE slot_type = 'logical' AND active_pid IS NOT NULL)";
    let found = rows(client, sql, &[]).await.unwrap_or_default();
    found.first().map_or(0, |row| get(row, 0).unwrap_or(0))
}

async fn clock(client: &Client) -> Result<Option<Weakness>> {
    let (before, start) = (system_time(), Instant::now());
    let found = row(client, &format!("SELECT {NOW}"), &[]).await?;
    let took_ms = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
    let Some(database) = found.map(|row| get(&row, 0)).transpose()? else { return Ok(None) };
    Ok(of_clock(before, took_ms, Timestamp::from_millis(database)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this machine's own clock is compared, nothing is decided by it"
)]
fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durable() -> Settings {
        let on = || Some("on".to_owned());
        let names = Some(String::new());
        Settings {
            synchronous_commit: on(),
            fsync: on(),
            full_page_writes: on(),
            synchronous_standby_names: names,
            standbys: 0,
        }
    }

    #[test]
    fn a_database_that_may_lose_commits_is_weak_and_one_that_does_not_tell_is_not() {
        assert_eq!(durable().weaknesses(), []);
        assert_eq!(Settings { standbys: 2, ..Settings::default() }.weaknesses(), []);
        let off = || Some("off".to_owned());
        for word in ["off", "local"] {
            let weak = Settings { synchronous_commit: Some(word.to_owned()), ..durable() };
            assert_eq!(weak.weaknesses(), [Weakness::SynchronousCommitOff], "{word}");
        }
        let written = || Settings { synchronous_commit: Some("remote_write".to_owned()), ..durable() };
        assert_eq!(written().weaknesses(), [], "the commit is on the disk, and no standby is waited for");
        let weak = Settings { synchronous_standby_names: Some("a".to_owned()), ..written() };
        assert_eq!(weak.weaknesses(), [Weakness::SynchronousCommitOff]);
        assert_eq!(Settings { fsync: off(), ..durable() }.weaknesses(), [Weakness::FsyncOff]);
        let weak = Settings { full_page_writes: off(), ..durable() };
        assert_eq!(weak.weaknesses(), [Weakness::FullPageWritesOff]);
        let mut standby = Settings { standbys: 1, ..durable() };
        assert_eq!(standby.weaknesses(), [Weakness::AsynchronousStandby]);
        standby.synchronous_standby_names = Some("ANY 1 (a, b)".to_owned());
        assert_eq!(standby.weaknesses(), []);
    }

    #[test]
    fn a_clock_that_is_more_than_a_second_off_is_seen_whatever_the_round_trip() {
        let before = Timestamp::from_millis(10_000);
        let off = |took_ms, database| of_clock(before, took_ms, Timestamp::from_millis(database));
        assert_eq!((off(0, 11_000), off(0, 9_000)), (None, None));
        assert_eq!(off(0, 11_001), Some(Weakness::ClockOff { ms: 1_001 }));
        assert_eq!(off(200, 8_999), Some(Weakness::ClockOff { ms: -1_001 }));
        assert_eq!(off(200, 9_000), None, "it may have been read at the very start");
        assert_eq!(off(4_000, 15_000), None, "it may have been read at the very end");
        assert_eq!(
            off(8_000, 20_000),
            Some(Weakness::ClockOff { ms: 2_000 }),
            "at least, had it been at the end"
        );
        let behind = Weakness::ClockOff { ms: -1_101 }.to_string();
        assert!(behind.starts_with("the database's clock is 1101 ms behind this machine's"), "{behind}");
    }
}
