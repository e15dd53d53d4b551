//! Clusters that are really started. Without PostgreSQL these tests pass, and say that they were skipped.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests say why they are skipped")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use onhook_cluster::{Binaries, Cluster, Mode, Settings};
use tokio_postgres::{Client, NoTls};

/// Returns PostgreSQL's programs, or says why there are none.
fn binaries() -> Option<Binaries> {
    match Binaries::find() {
        Ok(binaries) => Some(binaries),
        Err(why) => {
            println!("skipped: {why:#}");
            None
        }
    }
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection); // ends with the client, whose calls report its errors
    Ok(client)
}

/// Writes, and fails where a standby that never confirms would let it wait for ever.
async fn write(client: &Client, statements: &str) {
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, client.batch_execute(statements)).await.expect("it is confirmed").unwrap();
}

async fn text(client: &Client, query: &str) -> String {
    client.query_one(query, &[]).await.unwrap().get(0)
}

async fn count(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_cluster_starts_stops_and_starts_again_with_its_data() {
    let Some(binaries) = binaries() else { return };
    let mut cluster = Cluster::start(&binaries, Settings::quick().with("work_mem", "5MB")).unwrap();
    assert_eq!(cluster.url(), format!("postgres://onhook@127.0.0.1:{}/onhook", cluster.port()));
    let client = connect(&cluster.url()).await.unwrap();
    let settings =
        "select concat_ws(' ', current_setting('fsync'), current_setting('work_mem'), current_user)";
    assert_eq!(text(&client, settings).await, "off 5MB onhook");
    client.batch_execute("create table numbers (number bigint)").await.unwrap();

    let url = cluster.url();
    for mode in [Mode::Immediate, Mode::Fast, Mode::Smart] {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute("insert into numbers values (5405514342)").await.unwrap();
        // Only this mode waits for clients.
        if mode == Mode::Smart {
            drop(client);
            connection.await.unwrap().unwrap();
        }
        cluster.stop(mode).unwrap();
        assert!(connect(&url).await.is_err(), "{mode:?}");
        assert_eq!(cluster.stop(mode).unwrap_err().to_string(), "the cluster is stopped already");
        cluster.start_again().unwrap();
        assert_eq!(cluster.start_again().unwrap_err().to_string(), "the cluster runs: stop it first");
    }
    assert_eq!(cluster.url(), url);
    let mut by_socket = tokio_postgres::Config::new();
    by_socket.host_path(cluster.socket()).port(cluster.port()).user("onhook").dbname("onhook");
    let (client, connection) = by_socket.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(count(&client, "select count(*) from numbers").await, 3);

    let folder = cluster.socket().to_owned();
    drop(cluster);
    assert!(connect(&url).await.is_err());
    assert!(!folder.exists());
}

#[tokio::test]
async fn every_fresh_database_is_new_and_empty() {
    let Some(binaries) = binaries() else { return };
    let cluster = Cluster::start(&binaries, Settings::quick()).unwrap();
    let mut urls: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| cluster.fresh_database().unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for url in &urls {
        let client = connect(url).await.unwrap();
        client.batch_execute("create table numbers (number bigint)").await.unwrap();
    }
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), 4);
}

#[tokio::test]
async fn a_promoted_standby_has_what_the_primary_answered() {
    let Some(binaries) = binaries() else { return };
    let settings = Settings::durable().with("synchronous_standby_names", "second");
    let mut primary = Cluster::start(&binaries, settings).unwrap();
    assert!(primary.standby("a b").is_err());
    let standby = primary.standby("second").unwrap();
    assert!(standby.fresh_database().is_err());

    let client = connect(&primary.url()).await.unwrap();
    // This is answered only because the standby has it too.
    write(&client, "create table numbers (number bigint)").await;
    write(&client, "insert into numbers values (5405514342)").await;
    let follows = "select concat_ws(' ', application_name, state, sync_state) from pg_stat_replication";
    assert_eq!(text(&client, follows).await, "second streaming sync");
    let fresh = primary.fresh_database().unwrap();
    primary.stop(Mode::Immediate).unwrap();

    let client = connect(&standby.url()).await.unwrap();
    assert!(client.batch_execute("insert into numbers values (7034343704)").await.is_err());
    standby.promote().unwrap();
    write(&client, "insert into numbers values (7034343704)").await;
    assert_eq!(count(&client, "select count(*) from numbers").await, 2);
    assert_eq!(text(&client, "show fsync").await, "on");
    assert_ne!(standby.fresh_database().unwrap(), fresh);
}

#[test]
fn a_cluster_that_cannot_start_says_why() {
    let Some(binaries) = binaries() else { return };
    let error = Cluster::start(&binaries, Settings::quick().with("no_such_setting", "1")).err().unwrap();
    assert!(
        error.to_string().contains("unrecognized configuration parameter \"no_such_setting\""),
        "{error}"
    );
}

/// The program of the next test, which runs this file again with this variable set.
const KILLED: &str = "ONHOOK_CLUSTER_TEST_KILLED";

#[test]
fn a_killed_process_takes_its_clusters_with_it() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let Some(binaries) = binaries() else { return };
    if std::env::var_os(KILLED).is_some() {
        // The thread that starts a cluster may end before the process does.
        let cluster = std::thread::spawn(move || Cluster::start(&binaries, Settings::quick()).unwrap());
        let cluster = cluster.join().unwrap();
        println!("\nserves {}", cluster.socket().display());
        loop {
            std::thread::park();
        }
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_process_takes_its_clusters_with_it", "--nocapture"])
        .env(KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let folder = lines.find_map(|line| line.strip_prefix("serves ").map(PathBuf::from)).unwrap();
    let server = first_line(&folder.join("data/postmaster.pid"));
    assert!(Path::new("/proc").join(&server).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    // Nobody tells of the guard's end: it is looked for until it is there.
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    while folder.exists() || Path::new("/proc").join(&server).exists() {
        assert!(std::time::Instant::now() < patience, "{} is still there", folder.display());
        std::thread::yield_now();
    }
}

fn first_line(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned()
}
