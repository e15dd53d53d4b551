//! onhook's side: a data folder full of numbers, a server on it, and how far its orders are.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::sleep;

use crate::child::{self, Running};
use crate::load;

/// Filling a hundred million numbers may take a while.
const FILL_MAX: Duration = Duration::from_secs(3_600);
const START_MAX: Duration = Duration::from_secs(60);
/// How long the backlog may stand still before the measurement is given up.
const STANDSTILL_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// The server's counter of orders that have ended, by their status.
const ENDED: &str = "onhook_orders_ended_total";

/// Fills the data folder `dir` with `numbers` numbers in service and the guide's two, and starts a
/// server on it as a process of its own.
pub(crate) async fn spawn(dir: &Path, numbers: u64) -> Result<Running> {
    let count = numbers.to_string();
    let dir = dir.as_os_str();
    child::run(&[OsStr::new("fill-onhook"), dir, OsStr::new(&count)], FILL_MAX).await?;
    child::serve(&[OsStr::new("serve-onhook"), dir], START_MAX).await
}

/// The filling child's work: `numbers::ascending(numbers)` and `post::GUIDE`, in service at the one
/// site and peer of `post::ACCOUNT`, and the guide's user.
pub(crate) fn fill(_dir: &Path, _numbers: u64) -> Result<()> {
    bail!("not wired yet")
}

/// The serving child's work: the server as it is shipped, on a port of the system's choice.
pub(crate) fn serve(_dir: &Path) -> Result<()> {
    bail!("not wired yet")
}

/// How many orders have ended COMPLETE since the server started.
pub(crate) async fn complete(addr: SocketAddr) -> Result<u64> {
    let (status, text) = load::get(addr, "/metrics").await?;
    ensure!(status == 200, "/metrics answered {status}");
    let ended = |status| sample(&text, ENDED, &format!("status=\"{status}\""));
    let other = ended("PARTIAL") + ended("FAILED");
    ensure!(other == 0, "{other} orders did not end COMPLETE");
    Ok(ended("COMPLETE"))
}

/// Waits until `expected` orders are COMPLETE; answers when that was seen.
pub(crate) async fn all_complete(addr: SocketAddr, expected: u64) -> Result<Instant> {
    let (mut best, mut moved) = (0, Instant::now());
    loop {
        let complete = complete(addr).await.context("asking how many orders are COMPLETE")?;
        let now = Instant::now();
        if complete >= expected {
            return Ok(now);
        }
        if complete > best {
            (best, moved) = (complete, now);
        }
        ensure!(
            now - moved < STANDSTILL_MAX,
            "{complete} of {expected} orders are COMPLETE, and no more for {STANDSTILL_MAX:?}"
        );
        sleep(POLL).await;
    }
}

/// The sum of a counter's samples that carry `label`, in Prometheus' text format; 0 when there are
/// none, for a counter appears with its first count.
fn sample(text: &str, name: &str, label: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "))
        .filter(|(labels, _)| labels.split(',').any(|one| one == label))
        .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_their_label() {
        let text = "# TYPE onhook_orders_ended_total counter\n\
                    onhook_orders_ended_total{kind=\"disconnect\",status=\"COMPLETE\"} 40\n\
                    onhook_orders_ended_total{kind=\"number\",status=\"COMPLETE\"} 2\n\
                    onhook_orders_ended_total{kind=\"number\",status=\"FAILED\"} 7\n\
                    onhook_orders_ended_total_of_another_name{status=\"COMPLETE\"} 100\n";
        let ended = |status: &str| sample(text, ENDED, &format!("status=\"{status}\""));
        assert_eq!([ended("COMPLETE"), ended("FAILED"), ended("PARTIAL")], [42, 7, 0]);
    }
}
