//! How long no order is accepted when the database's primary crashes and its synchronous standby takes over.
//!
//! Who decides on a promotion, and how fast, is the operator's choice: here it is asked for as soon as the primary is
//! gone. What is measured is what PostgreSQL and onhook add to that.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use onhook_cluster::{Binaries, Cluster, Mode, Settings};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::numbers::Accounts;
use crate::{load, onhook, post};

/// Numbers in service: a small system, since a failover does not read them.
const NUMBERS: u64 = 10_000;
/// Connections that send orders: one that has no answer must not hide that others have.
const CONNECTIONS: usize = 8;
/// How long orders are sent before the crash, and after the promotion.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(6);
/// The name under which the standby follows.
const STANDBY: &str = "b";

/// One failover.
#[derive(Clone, Copy)]
pub(crate) struct Failover {
    /// From the crash until the standby takes writes.
    pub(crate) promotion: Duration,
    /// From the crash until an order is accepted again.
    pub(crate) gap: Duration,
}

/// Fails over once.
pub(crate) async fn run(binaries: &Binaries, dir: &Path) -> Result<Failover> {
    let folder = TempDir::new_in(dir)?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    let named = format!("ANY 1 ({STANDBY})");
    let settings = Settings::durable().with("synchronous_standby_names", &named).within(folder.path());
    let mut primary = Cluster::start(binaries, settings)?;
    let standby = primary.standby(STANDBY)?;
    let (first, second) = (primary.port(), standby.port());
    let url = primary.url().replace(&format!(":{first}"), &format!(":{first},127.0.0.1:{second}"));
    onhook::spawn_fill(&url, NUMBERS, Accounts(1)).await?;
    let node = onhook::spawn_node(&url).await?;

    let ended = Arc::new(AtomicBool::new(false));
    let request: Arc<[u8]> = post::request(node.addr, post::GUIDE).into();
    let answered = tokio::spawn(load::answered(node.addr, CONNECTIONS, request, ended.clone()));
    sleep(BEFORE).await;
    let crashed = Instant::now();
    let promoted = spawn_blocking(move || {
        primary.stop(Mode::Immediate)?;
        standby.promote()?;
        anyhow::Ok((Instant::now(), primary, standby))
    });
    let (promoted, _primary, _standby) = promoted.await??;
    sleep(AFTER).await;
    ended.store(true, Ordering::Relaxed);
    let gap = longest(&answered.await??, crashed).context("no order was accepted after the promotion")?;
    Ok(Failover { promotion: promoted - crashed, gap })
}

/// Returns the longest time without an answer that ends after `from`, counted from then on. `None` if nothing was answered
/// after it. `answered` are the instants of answers, in order.
fn longest(answered: &[Instant], from: Instant) -> Option<Duration> {
    let after = answered.iter().filter(|at| **at > from);
    let mut last = from;
    after.map(|at| *at - std::mem::replace(&mut last, *at)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_without_an_answer_counts_from_the_crash_on() {
        let begun = Instant::now();
        let at = |seconds: &[u64]| -> Vec<Instant> {
            seconds.iter().map(|seconds| begun + Duration::from_secs(*seconds)).collect()
        };
        let from = begun + Duration::from_secs(10);
        let longest = |seconds: &[u64]| longest(&at(seconds), from).map(|gap| gap.as_secs());
        assert_eq!(longest(&[1, 9, 11, 13, 14]), Some(2));
        assert_eq!(longest(&[1, 14, 15]), Some(4));
        assert_eq!(longest(&[1, 9]), None);
    }
}
