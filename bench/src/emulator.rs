//! The emulator: from its start to its first answer, a reset, and three months of aging numbers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use onhook_server::clock::Clock;
use onhook_server::{Settings, demo_data};
use onhook_store::sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::child::{self, Running};
use crate::jobs::{ask, text};
use crate::{load, post};

/// How often the emulator is started, and how often it is reset.
const ROUNDS: usize = 9;
/// Numbers that age.
pub(crate) const NUMBERS: u64 = 10_000;
/// Most numbers of an order.
const ORDER: u64 = 5_000;
const START_MAX: Duration = Duration::from_secs(60);

/// What was measured.
pub(crate) struct Emulated {
    /// From the start of the process until it has answered, the median.
    pub(crate) start: Duration,
    /// A reset to the documented account, the median.
    pub(crate) reset: Duration,
    /// 91 days over numbers that two orders have disconnected.
    pub(crate) orders: Duration,
    /// 91 days over numbers that each have an instant of their own.
    pub(crate) apart: Duration,
}

/// Measures all of it.
pub(crate) async fn run() -> Result<Emulated> {
    let (mut starts, mut resets) = (Vec::new(), Vec::new());
    let mut kept = None;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let emulator = child::serve(&["serve-emulator".as_ref()], START_MAX).await?;
        let (status, _) = load::get(emulator.addr, "/readyz").await?;
        ensure!(status == 200, "a new emulator answered {status}");
        starts.push(begun.elapsed());
        kept = Some(emulator);
    }
    let emulator = kept.context("an emulator")?;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        control(&emulator, "reset", "application/json", "{}").await?;
        resets.push(begun.elapsed());
    }
    let orders = after_orders(&emulator).await?;
    control(&emulator, "reset", "application/json", "{}").await?;
    let apart = each_at_its_own(&emulator).await?;
    Ok(Emulated { start: median(starts), reset: median(resets), orders, apart })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Turns one of the emulator's controls.
async fn control(emulator: &Running, path: &str, of_type: &str, body: &str) -> Result<String> {
    let head = format!("POST /ops/v1/emulator/{path}");
    let (status, said) = ask(emulator.addr, &head, of_type, body.as_bytes()).await?;
    ensure!(status == 200, "{path} was answered with {status}: {said}");
    Ok(said)
}

/// Moves the clock by 91 days, and returns how long that took. All numbers are released meanwhile.
async fn advance(emulator: &Running) -> Result<Duration> {
    let begun = Instant::now();
    let moved =
        control(emulator, "clock?timeout_seconds=600", "application/json", r#"{"advance_days": 91}"#).await?;
    let took = begun.elapsed();
    ensure!(moved.contains(&format!("\"released\":{NUMBERS}")), "not all numbers were released: {moved}");
    Ok(took)
}

/// Returns the numbers, as ten digits.
fn numbers() -> impl Iterator<Item = u64> {
    crate::numbers::ascending(NUMBERS)
}

async fn after_orders(emulator: &Running) -> Result<Duration> {
    let mut seed = "number,state,account\n".to_owned();
    for number in numbers() {
        writeln!(seed, "{number:010},InService,{}", post::ACCOUNT)?;
    }
    control(emulator, "seed", "text/csv", &seed).await?;
    let all: Vec<u64> = numbers().collect();
    for part in all.chunks(usize::try_from(ORDER)?) {
        let order = post::order(part);
        let head = format!("POST /api/accounts/{}/disconnects", post::ACCOUNT);
        let (status, said) = ask(emulator.addr, &head, "application/xml", order.as_bytes()).await?;
        ensure!(status == 201, "an order was answered with {status}: {said}");
    }
    // What has not run yet runs first.
    advance(emulator).await
}

async fn each_at_its_own(emulator: &Running) -> Result<Duration> {
    let (_, clock) = ask(emulator.addr, "GET /ops/v1/emulator/clock", "text/plain", b"").await?;
    let now: jiff::Timestamp = text(&clock, "now").context("a clock without a time")?.parse()?;
    let mut seed = "number,state,former_account,release_at\n".to_owned();
    for (at, number) in numbers().enumerate() {
        let release = now + jiff::SignedDuration::from_mins(10 * i64::try_from(at)? + 60);
        let release = release.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
        writeln!(seed, "{number:010},Aging,{},{release}", post::ACCOUNT)?;
    }
    control(emulator, "seed", "text/csv", &seed).await?;
    advance(emulator).await
}

/// Does the child's work: an emulator in memory, with the documented account.
pub(crate) async fn serve() -> Result<()> {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = TempDir::with_prefix_in("onhook-bench-", parent)?;
    let store = Arc::new(SqliteStore::open(folder.path())?);
    let settings = Settings { emulator: true, rate_limit: None, shown_limit: None, ..Settings::default() };
    demo_data::seed(&*store, Clock::new(0).now(), settings.policy.clone()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = onhook_server::start(listener, store, settings).await.map_err(|error| anyhow!(error))?;
    child::say(server.address)?;
    child::parent_ended().await;
    server.stop().await;
    Ok(())
}
