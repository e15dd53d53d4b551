//! What a store sees of its database's state. Without PostgreSQL these tests pass, and say that they were skipped.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests say why they are skipped")]

use std::time::Duration;

use onhook_cluster::{Binaries, Cluster, Mode, Settings};
use onhook_core::clock::Seen;
use onhook_core::time::Timestamp;
use onhook_store::StoreError;
use onhook_store::contract::leases::Leases;
use onhook_store::contract::upkeep::{Upkeep, Weakness};
use onhook_store::postgres::PostgresStore;

/// Returns PostgreSQL's programs, or says why there are none.
fn binaries() -> Option<Binaries> {
    Binaries::find().inspect_err(|why| println!("skipped: {why:#}")).ok()
}

async fn weaknesses(cluster: &Cluster) -> Vec<Weakness> {
    PostgresStore::open(&cluster.url()).await.unwrap().durability().await.unwrap()
}

#[tokio::test]
async fn settings_that_may_lose_commits_are_found_when_the_store_is_opened() {
    let Some(binaries) = binaries() else { return };
    let cluster = Cluster::start(&binaries, Settings::quick()).unwrap();
    assert_eq!(weaknesses(&cluster).await, [Weakness::FsyncOff, Weakness::FullPageWritesOff]);
    let cluster = Cluster::start(&binaries, Settings::durable()).unwrap();
    assert_eq!(weaknesses(&cluster).await, []);
    let _standby = cluster.standby("one").unwrap();
    assert_eq!(weaknesses(&cluster).await, [Weakness::AsynchronousStandby]);
    for word in ["local", "remote_write"] {
        let settings = Settings::durable().with("synchronous_commit", word);
        let cluster = Cluster::start(&binaries, settings.with("synchronous_standby_names", "one")).unwrap();
        let _standby = cluster.standby("one").unwrap();
        assert_eq!(weaknesses(&cluster).await, [Weakness::SynchronousCommitOff], "{word}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named_with_what_to_do() {
    let Some(binaries) = binaries() else { return };
    let cluster = Cluster::start(&binaries, Settings::quick()).unwrap();
    let (client, connection) = tokio_postgres::connect(&cluster.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("CREATE ROLE guest LOGIN; REVOKE CREATE ON SCHEMA public FROM public")
        .await
        .unwrap();
    let at = format!("127.0.0.1:{}", cluster.port());
    let mut told = Vec::new();
    for (user, server, database) in [
        ("onhook", at.as_str(), "absent"),
        ("stranger", &at, "onhook"),
        ("guest", &at, "onhook"),
        ("onhook", "127.0.0.1:1", "onhook"),
        ("onhook", "onhook.invalid", "onhook"),
    ] {
        let url = format!("postgres://{user}:hidden@{server}/{database}?sslmode=disable");
        let why = PostgresStore::open(&url).await.map(drop).unwrap_err().to_string();
        assert!(!why.contains("hidden"), "{why}");
        let server = if server.contains(':') { server.to_owned() } else { format!("{server}:5432") };
        let begins = format!("the database {database} at {server} cannot be used: ");
        told.push(why.strip_prefix(&begins).unwrap_or_else(|| panic!("{why}")).to_owned());
    }
    for (told, wanted) in told.iter().zip([
        ". Make it: CREATE DATABASE",
        ". Is the user right, and does pg_hba.conf let it in from here?",
        ". Let onhook's user own the database",
        "Connection refused",
        ". Is the server's name right? In a URL, the characters /, @ and : of a password",
    ]) {
        assert!(told.contains(wanted), "{told}");
    }
}

#[tokio::test]
async fn a_store_is_healthy_again_when_its_database_is_without_a_write_of_its_caller() {
    let Some(binaries) = binaries() else { return };
    let mut cluster = Cluster::start(&binaries, Settings::quick()).unwrap();
    let store = PostgresStore::open(&cluster.url()).await.unwrap();
    let seen = Seen { last: Timestamp::from_millis(1), unseen_ms: 0 };
    store.remember_clock(seen, 0).await.unwrap();
    store.healthy().unwrap();
    cluster.stop(Mode::Immediate).unwrap();
    let failed = store.remember_clock(seen, 0).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unwritable(_)), "{failed:?}");
    store.healthy().unwrap_err();
    cluster.start_again().unwrap();
    // The store itself looks once a second; an hour is only the bound of a test that hangs.
    let healthy = async {
        while store.healthy().is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3_600), healthy).await.unwrap();
}

#[tokio::test]
async fn a_lease_that_ran_out_is_another_node_s_and_its_token_is_larger() {
    let Some(binaries) = binaries() else { return };
    let cluster = Cluster::start(&binaries, Settings::quick()).unwrap();
    let one = PostgresStore::open(&cluster.url()).await.unwrap();
    let other = PostgresStore::open(&cluster.url()).await.unwrap();
    let long = Duration::from_secs(3_600);
    let first = one.take_lease("release", Duration::ZERO).await.unwrap().unwrap();
    let second = other.take_lease("release", long).await.unwrap().unwrap();
    assert!(second > first);
    assert_eq!(one.take_lease("release", long).await.unwrap(), None);
    assert!(!one.renew_lease("release", first, long).await.unwrap());
    one.end_lease("release", first).await.unwrap();
    assert!(other.renew_lease("release", second, long).await.unwrap());
    other.end_lease("release", second).await.unwrap();
    assert!(one.take_lease("release", long).await.unwrap().unwrap() > second);
    other.close().await;
    assert!(matches!(other.take_lease("x", long).await, Err(StoreError::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_make_the_tables_of_a_new_database_once() {
    let Some(binaries) = binaries() else { return };
    let cluster = Cluster::start(&binaries, Settings::quick()).unwrap();
    for _ in 0..5 {
        let url = cluster.fresh_database().unwrap();
        let opened: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { PostgresStore::open(&url).await })
            })
            .collect();
        for opened in opened {
            opened.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_database_s_clock_that_is_wrong_is_found_when_the_store_is_opened() {
    let Some(binaries) = binaries() else { return };
    let cluster = Cluster::start(&binaries, Settings::durable()).unwrap();
    let (client, connection) = tokio_postgres::connect(&cluster.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // Stands before the system's function of this name in the search path.
    let sql = "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
               $$ SELECT pg_catalog.clock_timestamp() - interval '1 hour' $$;
               ALTER DATABASE onhook SET search_path = public, pg_catalog";
    client.batch_execute(sql).await.unwrap();
    let found = weaknesses(&cluster).await;
    assert!(matches!(&found[..], [Weakness::ClockOff { ms: -3_605_000..=-3_595_000 }]), "{found:?}");
    assert_eq!(found.iter().map(|weakness| weakness.kind()).collect::<Vec<_>>(), ["clock"]);
    assert!(Weakness::clock_ahead_ms(&found) < -3_000_000);
}
