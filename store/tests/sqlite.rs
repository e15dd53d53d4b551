//! The embedded store: the suite of all stores, and tests of its own.

#![allow(clippy::unwrap_used, reason = "tests")]

mod good;
mod openers;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onhook_core::ids::{AccountId, SubscriptionSeq};
use onhook_core::import::{BadLine, Intake, NewNumber};
use onhook_core::order::{Kind, Refusal, Status};
use onhook_store::audit::seal_all;
use onhook_store::contract::audit::Audit;
use onhook_store::contract::backups::Backups;
use onhook_store::contract::deliveries::{Deliveries, DueLimits};
use onhook_store::contract::imports::{Imports, Lines};
use onhook_store::contract::leases::Leases;
use onhook_store::contract::numbers::Numbers;
use onhook_store::contract::orders::Orders;
use onhook_store::contract::premises::SitesAndPeers;
use onhook_store::contract::subscriptions::Subscriptions;
use onhook_store::contract::upkeep::Upkeep;
use onhook_store::sqlite::{FILE, OpenError, SqliteStore, schema};
use onhook_store::{Cause, StoreError, Unwritable};

use good::{
    DAMAGE, UNDER_A_SEAL, assert_found, assert_seals_are_followed, fill, new_order, new_subscription, now,
    number, put_ten_in_service,
};

mod conforms {
    use super::*;
    onhook_store::conformance!(openers::folder());
}

fn open(folder: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(folder)
}

async fn ten_in_service(folder: &Path) -> SqliteStore {
    let store = open(folder).unwrap();
    put_ten_in_service(&store).await;
    store
}

#[test]
fn the_engine_s_version_loses_no_commits() {
    assert!(rusqlite::version_number() >= schema::ENGINE_MIN, "{}", rusqlite::version());
}

#[test]
fn a_second_process_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let Err(error) = open(folder.path()) else { panic!("opened twice") };
    assert!(matches!(error, OpenError::InUse(_)));
    assert!(error.to_string().contains("in use by another onhook"), "{error}");
    drop(first);
    open(folder.path()).unwrap();
}

/// A power cut leaves the database and its log as they are. After the commits, the log's file has the zeros that were
/// added ahead.
#[tokio::test]
async fn commits_are_found_in_a_log_file_that_is_longer() {
    let folder = tempfile::tempdir().unwrap();
    let store = ten_in_service(folder.path()).await;
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(store.accept(new_order(&[number(n % 10)])).await.unwrap().id);
    }
    let cut = tempfile::tempdir().unwrap();
    let log = format!("{FILE}-wal");
    for file in [FILE, &log] {
        std::fs::copy(folder.path().join(file), cut.path().join(file)).unwrap();
    }
    store.close().await;
    let log = std::fs::read(cut.path().join(log)).unwrap();
    assert!(log.ends_with(&[0; 4_096]), "the file is no longer than what is in it");
    let store = open(cut.path()).unwrap();
    let account = AccountId::new(1).unwrap();
    for id in ids {
        assert!(store.order(account, Kind::Disconnect, id).await.unwrap().is_some(), "order {id} is gone");
    }
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
    store.close().await;
}

/// No disk has as much free space as this test reserves.
#[tokio::test]
async fn on_a_full_disk_new_orders_are_refused_and_accepted_ones_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = ten_in_service(folder.path()).await;
    let taken = store.accept(new_order(&[number(1)])).await.unwrap().id;
    store.close().await;
    let store = SqliteStore::open_keeping(folder.path(), Some(u64::MAX)).unwrap();
    let full = |error: StoreError| match error {
        StoreError::Unwritable(why @ Unwritable::Full { .. }) => why.to_string(),
        other => panic!("{other:?}"),
    };
    let said = full(store.healthy().unwrap_err());
    assert!(said.starts_with(&format!("the disk of {} is full: ", folder.path().display())), "{said}");
    full(store.accept(new_order(&[number(2)])).await.unwrap_err());
    let account = AccountId::new(1).unwrap();
    full(store.create_site(account, "another".into(), now()).await.unwrap_err());
    let now = good::now();
    assert_eq!(store.run_orders(now, 10, 10, Arc::default()).await.unwrap().ended.len(), 1);
    let lease = store.take_lease("release", Duration::from_secs(60)).await.unwrap().unwrap();
    store.release(lease, now, 10, Arc::default()).await.unwrap();
    let order = store.order(account, Kind::Disconnect, taken).await.unwrap().unwrap();
    assert_eq!(order.status, Status::Complete);
    assert_eq!(store.writes().failed[0], (Cause::DiskFull, 2));
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
    store.close().await;
    let store = open(folder.path()).unwrap();
    store.healthy().unwrap();
    store.accept(new_order(&[number(2)])).await.unwrap();
    assert_eq!(store.writes().failed[0], (Cause::DiskFull, 0));
}

/// A mapped file cannot grow on a full disk, and writing to it can end the process.
#[tokio::test]
async fn the_log_s_index_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = ten_in_service(folder.path()).await;
    assert!(folder.path().join(format!("{FILE}-wal")).exists());
    assert!(!folder.path().join(format!("{FILE}-shm")).exists());
    store.close().await;
    assert!(!folder.path().join(format!("{FILE}-wal")).exists(), "the log was not written home");
}

#[test]
fn a_newer_schema_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let path = folder.path().join(FILE);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let Err(OpenError::Database(error)) = open(folder.path()) else { panic!("opened a newer schema") };
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("schema 99") && cause.contains("knows schemas up to"), "{cause}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// A store of the first schema: an account, a site with a peer, two numbers in service at the peer and one at no peer.
const FIRST_SCHEMA: &str = "
    INSERT INTO account (id, name, kind, class, created_at) VALUES (1, 'one', 'end-user', 'unknown', 0);
    INSERT INTO site (account, name, is_default) VALUES (1, 'a site', 1);
    INSERT INTO peer (account, site, name, is_default) VALUES (1, 1, 'a peer', 1);
    INSERT INTO area VALUES (1, '{\"Prefix\":{\"prefix\":\"919\"}}', 0, 0, 0);
    INSERT INTO event (seq, at, kind, detail) VALUES (1, 0, 'imported', '{\"numbers\":3}');
    INSERT INTO meta VALUES ('imports', '[1]');
    INSERT INTO number VALUES (19195550101, 2, 1, 1, 1, 1, 0, NULL, 1, NULL, NULL);
    INSERT INTO number VALUES (19195550102, 2, 1, 1, 1, 1, 0, NULL, 1, NULL, NULL);
    INSERT INTO number VALUES (19195550103, 2, 1, 1, NULL, 1, 0, NULL, 1, NULL, NULL);
    INSERT INTO tally VALUES (1, 2, 3);
    PRAGMA user_version = 1;";

#[tokio::test]
async fn a_store_of_the_first_schema_is_brought_to_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    old.execute_batch(include_str!("../src/sqlite/schema_1.sql")).unwrap();
    old.execute_batch(FIRST_SCHEMA).unwrap();
    drop(old);
    let store = open(folder.path()).unwrap();
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
    let account = AccountId::new(1).unwrap();
    let (site, peer) = (store.sites(None).await.unwrap()[0].id, store.peers(None).await.unwrap()[0].id);
    assert_eq!(store.in_service(account).await.unwrap(), [(site, None, 1), (site, Some(peer), 2)]);
    store.accept(new_order(&[number(1), number(3)])).await.unwrap();
    store.run_orders(now(), 10, 10, Arc::default()).await.unwrap();
    assert_eq!(store.in_service(account).await.unwrap(), [(site, Some(peer), 1)]);
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
}

#[test]
fn a_folder_without_data_is_an_error_where_data_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(SqliteStore::open_if_there(folder.path()), Err(OpenError::Missing(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Damage that only this store's tables can have, or only in its SQL.
const OWN_DAMAGE: [(&str, &str); 4] = [
    ("UPDATE orders SET status = 0", "before the orders that will be run"),
    ("INSERT INTO outcome (order_seq) VALUES (99)", "has an outcome, but is missing"),
    ("UPDATE due SET numbers = 7", ": the kept count is 7, and there are 2"),
    (
        "INSERT INTO user (folded, name, account, role, password_hash, generation, created_at)
         VALUES ('a', 'a', 1, 'operator', '', 0, 0)",
        "its role does not go with its account",
    ),
];

#[tokio::test]
async fn the_checker_sees_what_was_tampered_with() {
    for (change, found) in DAMAGE.into_iter().chain(OWN_DAMAGE) {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        fill(&store).await;
        store.close().await;
        drop(store);
        let database = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
        database.execute_batch(&format!("PRAGMA foreign_keys = OFF; {change}")).unwrap();
        drop(database);
        assert_found(&open(folder.path()).unwrap(), change, found).await;
    }
}

#[tokio::test]
async fn an_order_that_brings_the_worker_down_is_set_aside_and_the_others_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = ten_in_service(folder.path()).await;
    store.close().await;
    drop(store);
    // The area does not exist, so judging this number panics.
    let sql = "UPDATE number SET area = 77 WHERE number = 19195550101";
    rusqlite::Connection::open(folder.path().join(FILE)).unwrap().execute_batch(sql).unwrap();
    let store = open(folder.path()).unwrap();
    let id = store.accept(new_order(&[number(1)])).await.unwrap().id;
    store.accept(new_order(&[number(2)])).await.unwrap();
    let now = good::now();
    let mut ended = Vec::new();
    for _ in 0..5 {
        ended.extend(
            store.run_orders(now, 10, 10, Arc::default()).await.unwrap().ended.into_iter().map(|e| e.status),
        );
    }
    assert_eq!(ended, [Status::Complete, Status::Failed]);
    let order = store.order(AccountId::new(1).unwrap(), Kind::Disconnect, id).await.unwrap().unwrap();
    assert_eq!(order.failed[0].why, Refusal::SetAside);
}

#[tokio::test]
async fn an_order_is_written_although_its_caller_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(ten_in_service(folder.path()).await);
    let accepting = store.clone();
    let task = tokio::spawn(async move { accepting.accept(new_order(&[number(1)])).await });
    task.abort();
    let _ = task.await;
    // Either it never got to the queue or it is whole. The next order is not affected.
    store.accept(new_order(&[number(2)])).await.unwrap();
    while store.run_orders(now(), 10, 10, Arc::default()).await.unwrap().more {}
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
}

#[tokio::test]
async fn a_write_that_fails_halfway_undoes_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = ten_in_service(folder.path()).await;
    let now = good::now();
    let import = |lines: Lines| store.import(lines, Intake::of("more"), now, Arc::default());
    let (release, released) = std::sync::mpsc::channel();
    let first = std::iter::once_with(move || {
        released.recv().unwrap();
        (1, Ok(NewNumber::available(number(20))))
    });
    let halfway =
        vec![(1, Ok(NewNumber::available(number(21)))), (2, Err(BadLine::Form("no number".to_owned())))];
    // They are queued in this order while the first import holds the writer. The accept before the failing import
    // shares the first one's transaction, the accept after it does not.
    let (first, before, halfway, behind, _) = tokio::join!(
        import(Box::new(first)),
        store.accept(new_order(&[number(1)])),
        import(Box::new(halfway.into_iter())),
        store.accept(new_order(&[number(2)])),
        async { release.send(()).unwrap() },
    );
    assert!(matches!(halfway, Err(StoreError::Import(_))), "{halfway:?}");
    assert_eq!(first.unwrap().numbers, 1);
    for accepted in [before, behind] {
        let (account, id) = (AccountId::new(1).unwrap(), accepted.unwrap().id);
        assert!(store.order(account, Kind::Disconnect, id).await.unwrap().is_some());
    }
    assert!(store.facts(number(20)).await.unwrap().is_some());
    assert!(store.facts(number(21)).await.unwrap().is_none());
    assert_eq!(store.check(true).await.unwrap().findings, vec![]);
}

/// No other process has the folder, so a server that crashed need not wait for its own leases.
#[tokio::test]
async fn leases_of_a_process_that_died_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let now = good::now();
    let store = ten_in_service(folder.path()).await;
    store.subscribe(new_subscription(), now).await.unwrap();
    store.accept(new_order(&[number(1)])).await.unwrap();
    store.run_orders(now, 10, 10, Arc::default()).await.unwrap();
    let limits = DueLimits { subscriptions: 10, single: 10, daily: 10 };
    let long = Duration::from_secs(3_600);
    let first = store.take_lease("node", long).await.unwrap().unwrap();
    let claimed = store.claim(first, now, SubscriptionSeq(0), limits).await.unwrap();
    assert_eq!(claimed.due.len(), 1);
    store.close().await; // the leases stay, as after a crash
    drop(store);
    let store = open(folder.path()).unwrap();
    let second = store.take_lease("node", long).await.unwrap().unwrap();
    assert!(second > first);
    assert_eq!(store.claim(second, now, SubscriptionSeq(0), limits).await.unwrap(), claimed);
}

#[tokio::test]
async fn a_deep_check_beside_others_follows_the_seals() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    fill(&store).await;
    seal_all(&store, now()).await.unwrap();
    assert_eq!(store.check_beside(true, Arc::new(|_| ())).await.unwrap().findings, vec![]);
    store.close().await;
    drop(store);
    rusqlite::Connection::open(folder.path().join(FILE)).unwrap().execute_batch(UNDER_A_SEAL).unwrap();
    let store = open(folder.path()).unwrap();
    assert_seals_are_followed(&store).await;
    store.close().await;
}

/// What was damaged before a backup is in it as it was, so the digest of the copy tells nothing of it.
#[tokio::test]
async fn a_backup_says_how_far_it_goes_and_its_check_follows_the_seals() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    fill(&store).await;
    seal_all(&store, now()).await.unwrap();
    let last = store.head().await.unwrap().unwrap().last;
    store.close().await;
    drop(store);
    let within = folder.path().join("backups");
    for (name, change, findings) in [("well", "", 0), ("changed", UNDER_A_SEAL, 1)] {
        let database = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
        database.execute_batch(change).unwrap();
        drop(database);
        let store = open(folder.path()).unwrap();
        let copied = store.back_up(within.clone(), name.to_owned()).await.unwrap();
        assert_eq!(copied.position, last, "{name}");
        let report = store.check_backup(copied, Arc::new(|_| ())).await.unwrap();
        assert_eq!(report.findings.len(), findings, "{name}: {:?}", report.findings);
        assert!(report.findings.iter().all(|found| found.what.ends_with("changed since it was sealed")));
        store.close().await;
    }
}
