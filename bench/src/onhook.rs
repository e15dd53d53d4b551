//! onhook's side: a data folder or a database full of numbers, servers on it, and the progress of their orders.

use onhook_core::account::user::Rights;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use onhook_core::account::{AccountKind, Class, Role};
use onhook_core::ids::AccountId;
use onhook_core::import::{BadLine, Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::number::Number;
use onhook_server::Settings;
use onhook_server::auth::hash_password;
use onhook_server::clock::Clock;
use onhook_store::Store;
use onhook_store::contract::accounts::NewAccount;
use onhook_store::contract::users::NewUser;
use onhook_store::postgres::PostgresStore;
use onhook_store::sqlite::SqliteStore;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::child::{self, Running};
use crate::numbers::{self, Accounts};
use crate::{load, post};

/// Filling a hundred million numbers may take a while.
const FILL_MAX: Duration = Duration::from_secs(3_600);
const START_MAX: Duration = Duration::from_secs(60);
/// The measurement is given up if the backlog stands still for this long.
const STANDSTILL_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// The server's counter of ended orders, by their status.
const ENDED: &str = "onhook_orders_ended_total";

/// Where onhook has its data.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Home {
    /// In a folder
    Folder,
    /// In a PostgreSQL database: of the cluster that onhook is measured beside, or of one of its own
    #[value(name = "postgres")]
    Database,
}

/// Fills a data folder or a database, in a separate process.
pub(crate) async fn spawn_fill(home: impl AsRef<OsStr>, numbers: u64, accounts: Accounts) -> Result<()> {
    let (count, accounts) = (numbers.to_string(), accounts.0.to_string());
    let arguments = [OsStr::new("fill-onhook"), home.as_ref(), OsStr::new(&count), OsStr::new(&accounts)];
    child::run(&arguments, FILL_MAX).await
}

/// Starts a server on a filled data folder or database, as a separate process.
pub(crate) async fn spawn_node(home: impl AsRef<OsStr>) -> Result<Running> {
    child::serve(&[OsStr::new("serve-onhook"), home.as_ref()], START_MAX).await
}

/// Opens the store in the database at a URL, or else in a folder.
async fn open(home: &OsStr) -> Result<Arc<dyn Store>> {
    match home.to_str().filter(|home| home.starts_with("postgres://")) {
        Some(url) => Ok(Arc::new(PostgresStore::open(url).await?)),
        None => Ok(Arc::new(SqliteStore::open(Path::new(home))?)),
    }
}

/// Does the filling child's work: stores `numbers::ascending(numbers)` and `post::GUIDE`, in service at the one site
/// and peer of their account, and the guide's user. If there are several accounts, that is an operator, who has all.
pub(crate) fn fill(home: &OsStr, numbers: u64, accounts: Accounts) -> Result<()> {
    runtime()?.block_on(async {
        let store = open(home).await?;
        let now = Clock::new(0).now();
        let ids: Vec<AccountId> = (post::ACCOUNT..post::ACCOUNT + accounts.0)
            .map(|id| u32::try_from(id).ok().and_then(AccountId::new).context("no account id"))
            .collect::<Result<_>>()?;
        for id in &ids {
            let (id, kind, class) = (*id, AccountKind::EndUser, Class::Unknown);
            let account = NewAccount { id, name: "the benchmark".into(), kind, class };
            store.create_account(account, Doer::offline(now)).await?;
            let site = store.create_site(id, "its site".into(), now).await?;
            store.create_peer(id, site.id, "its peer".into(), now).await?;
        }
        let password_hash = hash_password("password").map_err(|error| anyhow!("{error}"))?;
        let (account, role) = match ids[..] {
            [only] => (Some(only), Role::Order),
            _ => (None, Role::Operator),
        };
        let operator = NewUser {
            name: post::OPERATOR.into(),
            account: None,
            role: Role::Operator,
            rights: Rights::NONE,
            password_hash: password_hash.clone(),
        };
        let user = NewUser { name: "username".into(), account, role, rights: Rights::NONE, password_hash };
        for user in [user, operator] {
            store.create_user(user, now).await?;
        }
        let guide = post::GUIDE.into_iter().map(|number| (0, number));
        let all = numbers::indexes_ascending(numbers).map(move |index| {
            (usize::try_from(accounts.of(index)).unwrap_or_default(), numbers::number_at(index))
        });
        let all = guide.chain(all).map(move |(account, ten_digits)| {
            let number =
                Number::from_digits(10_000_000_000 + ten_digits).map_err(|e| BadLine::Form(e.to_string()))?;
            let account = ids.get(account).copied();
            Ok(NewNumber { state: State::InService, account, ..NewNumber::available(number) })
        });
        let imported =
            store.import(Box::new((1..).zip(all)), Intake::of("the benchmark"), now, Arc::default()).await?;
        ensure!(imported.numbers == numbers + 2, "{} numbers were imported", imported.numbers);
        store.close().await;
        Ok(())
    })
}

/// Does the serving child's work: runs the server as shipped, on a port that the system chooses, except for the limit
/// of an account's rate.
pub(crate) fn serve(home: &OsStr) -> Result<()> {
    runtime()?.block_on(async {
        let store = open(home).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let settings = Settings { rate_limit: None, ..Settings::default() };
        let server = onhook_server::start(listener, store, settings).await.map_err(|e| anyhow!(e))?;
        child::say(server.address)?;
        child::parent_ended().await;
        server.stop().await;
        Ok(())
    })
}

pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Returns how many orders have ended COMPLETE since the servers started.
async fn all_of(addrs: &[SocketAddr]) -> Result<u64> {
    let mut sum = 0;
    for addr in addrs {
        sum += complete(*addr).await.context("asking how many orders are COMPLETE")?;
    }
    Ok(sum)
}

/// Returns how many orders have ended COMPLETE since the server started.
async fn complete(addr: SocketAddr) -> Result<u64> {
    let (status, text) = load::get(addr, "/metrics").await?;
    ensure!(status == 200, "/metrics answered {status}");
    let ended = |status| sample(&text, ENDED, &format!("status=\"{status}\""));
    let other = ended("PARTIAL") + ended("FAILED");
    ensure!(other == 0, "{other} orders did not end COMPLETE");
    Ok(ended("COMPLETE"))
}

/// Waits until the servers have run `expected` orders since they started, together, and each is COMPLETE. Returns when
/// that was seen.
pub(crate) async fn all_complete(addrs: &[SocketAddr], expected: u64) -> Result<Instant> {
    let (mut best, mut moved) = (0, Instant::now());
    loop {
        let complete = all_of(addrs).await?;
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

/// Returns the sum of a counter's samples that carry `label`, in Prometheus' text format. 0 if there are none, because
/// a counter appears with its first count.
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
