//! `onhook migrate` as an operator uses it: killed and run again, refused, and there and back.

#![expect(clippy::print_stdout, reason = "tests say why they are skipped")]

mod program;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use onhook_cluster::{Binaries, Cluster, NAME, Settings};
use onhook_store::contract::transfer::Transfer;
use onhook_store::postgres::PostgresStore;
use program::{Folder, HEADER, PATIENCE, Said, Server, command, file, onhook, refused, run};

/// Enough numbers that a migration takes longer than it takes to notice it.
const NUMBERS: u64 = 20_000;
/// The first of them.
const FIRST: u64 = 9_195_560_000;

const UNFINISHED: &str = "holds an unfinished migration: run onhook migrate again with the same --from";

/// Returns a cluster, or says why there is none.
fn cluster() -> Option<Cluster> {
    let binaries = Binaries::find().inspect_err(|why| println!("skipped: {why:#}")).ok()?;
    Some(Cluster::start(&binaries, Settings::quick()).expect("PostgreSQL starts"))
}

/// Makes a folder with two accounts, a user and many numbers.
fn filled() -> Option<Folder> {
    let folder = Folder::on_disk()?.with_two_accounts();
    let user =
        ["admin", "user", "create", "username", "--password-stdin", "--role", "order", "--account", "7"];
    assert_eq!(folder.onhook_reading(&user, b"correct horse").code, 0);
    let line = |n: u64| match n % 2 {
        0 => format!("{},Available,,,,,NC,,,,\n", FIRST + n),
        _ => format!("{},InService,9900000,1,1,,NC,,,,\n", FIRST + n),
    };
    let lines: String = (0..NUMBERS).map(line).collect();
    let path = file(&folder, "numbers.csv", &format!("{HEADER}\n{lines}"));
    folder.done(&["import", &path]);
    Some(folder)
}

fn migrate(from: &str, to: &str) -> Said {
    onhook(&["migrate", "--from", from, "--to", to])
}

/// Runs a command on the data at `home`, which is a folder or a database.
fn on(home: &str, arguments: &[&str]) -> Said {
    let flag = if home.starts_with("postgres://") { "--database-url" } else { "--data-dir" };
    onhook(&[arguments, &[flag, home]].concat())
}

fn begun(from: &str, to: &str) -> Child {
    let mut migrate = command(&["migrate", "--from", from, "--to", to]);
    migrate.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("it starts")
}

/// Begins a migration, kills it while it writes, and shows that nothing else uses the target until it is run again.
fn killed_and_run_again(from: &str, to: &str) {
    let mut child = begun(from, to);
    let waiting = Instant::now();
    let writes = || {
        if to.starts_with("postgres://") {
            return on(to, &["check"]).remarks.contains(UNFINISHED);
        }
        // Another process cannot look into the folder: the log grows with the first pages.
        let log = std::fs::metadata(Path::new(to).join("onhook.db-wal"));
        log.is_ok_and(|log| log.len() > 1 << 20)
    };
    while !writes() {
        assert!(waiting.elapsed() < PATIENCE, "nothing is moved");
        assert_eq!(child.try_wait().expect("it is ours"), None, "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it runs");
    assert!(!child.wait().expect("it ends").success(), "it was done before it was killed");
    for arguments in [
        &["check"][..],
        &["export"],
        &["admin", "user", "list"],
        &["serve", "--listen", "127.0.0.1:0", "--log", "off"],
    ] {
        refused(&on(to, arguments), UNFINISHED);
    }
    let said = migrate(from, to);
    let wanted = format!(
        "{NUMBERS} numbers, 9 events, 0 orders, 2 accounts, 1 user, 0 subscriptions moved from {from} to {to}: both sides \
         are equal\n"
    );
    assert_eq!(said, Said { code: 0, answer: wanted, remarks: String::new() });
    let said = on(to, &["check", "--deep"]);
    assert_eq!(said.answer, format!("{NUMBERS} numbers, 9 events, 0 orders: nothing is wrong\n"), "{said:?}");
    refused(&migrate(from, to), "the target is not empty");
}

#[test]
fn a_migration_that_is_killed_goes_on_from_folder_to_folder() {
    let (Some(first), Some(last)) = (filled(), Folder::on_disk()) else { return };
    killed_and_run_again(&first.data(), &last.data());
    assert!(first.done(&["export"]) == last.done(&["export"]), "the exports differ");
}

#[test]
fn a_migration_that_is_killed_goes_on_to_a_database_and_back() {
    let Some(cluster) = cluster() else { return };
    let (Some(first), Some(last)) = (filled(), Folder::on_disk()) else { return };
    killed_and_run_again(&first.data(), &cluster.url());
    killed_and_run_again(&cluster.url(), &last.data());
    assert!(first.done(&["export"]) == last.done(&["export"]), "the exports differ");
}

#[test]
fn a_folder_with_a_server_and_a_target_with_data_are_refused() {
    let (Some(folder), Some(empty)) = (Folder::on_disk(), Folder::on_disk()) else { return };
    let mut server = folder.emulator();
    server.listening();
    refused(&migrate(&folder.data(), &empty.data()), "is in use by another onhook: stop that one first");
    assert!(server.terminate().success());
    let Some(full) = Folder::on_disk().map(Folder::with_two_accounts) else { return };
    refused(&migrate(&folder.data(), &full.data()), "the target is not empty: it has 2 rows of kind account");
    refused(&migrate(&empty.data(), &full.data()), "there is no onhook data in");
    let said = onhook(&["migrate", "--json", "--from", &folder.data(), "--to", &empty.data()]);
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{}", said.answer);
    let answer: serde_json::Value = serde_json::from_str(&said.answer).expect("it is JSON");
    for kind in ["number", "event", "orders", "users", "subscription"] {
        let digest = answer["equal"][kind]["sha256"].as_str().expect("there is a digest");
        assert_eq!(digest.len(), 64, "{digest}");
    }
    assert_eq!(answer["equal"]["account"]["rows"], 1);
    // What was an emulator's is one there, too: its clock and its passwords have moved.
    let mut server = empty.emulator();
    server.listening();
    assert!(server.terminate().success());
}

#[test]
fn a_mistyped_address_is_refused_and_no_folder_is_made_of_it() {
    let (Some(folder), Some(empty)) = (Folder::on_disk().map(Folder::with_two_accounts), Folder::on_disk())
    else {
        return;
    };
    let here = tempfile::tempdir().expect("a folder");
    let said = |from: &str, to: &str| {
        let mut migrate = command(&["migrate", "--from", from, "--to", to]);
        run(migrate.current_dir(here.path()), b"")
    };
    for (flag, said) in [
        ("--to", said(&folder.data(), "postgress://onhook:hidden@127.0.0.1/x")),
        ("--from", said("postgress://onhook:hidden@127.0.0.1/x", &folder.data())),
    ] {
        refused(
            &said,
            &format!("onhook: {flag}: an address that begins with postgress:// is none of a PostgreSQL"),
        );
        assert!(!said.remarks.contains("hidden"), "{said:?}");
    }
    let made: Vec<_> = std::fs::read_dir(here.path()).expect("it is there").collect();
    assert!(made.is_empty(), "{made:?}");
    refused(&said(&empty.data(), &folder.data()), ": is --from right?");
    // As PostgreSQL's own programs take an address.
    let Some(cluster) = cluster() else { return };
    let names = format!("host=127.0.0.1 port={} user={NAME} dbname={NAME}", cluster.port());
    let said = said(&folder.data(), &names);
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{}", said.answer);
    assert_eq!(on(&cluster.url(), &["admin", "account", "list"]).answer.lines().count(), 3);
}

#[test]
fn a_move_to_itself_is_refused_by_whatever_address_and_leaves_no_mark() {
    let Some(folder) = Folder::on_disk().map(Folder::with_two_accounts) else { return };
    let twice = format!("{}/../{}", folder.data(), folder.data().rsplit('/').next().expect("a name"));
    refused(&migrate(&folder.data(), &twice), "--from and --to are the same folder: nothing was moved");
    let Some(cluster) = cluster() else { return };
    let url = cluster.url();
    assert_eq!(migrate(&folder.data(), &url).code, 0);
    let by_name = url.replace("127.0.0.1", "localhost");
    let by_socket = format!("host={} port={} user={NAME}", cluster.socket().display(), cluster.port());
    for other in [&url, &by_name, &by_socket] {
        refused(&migrate(&url, other), "source and target are the same database: nothing was moved");
        assert_eq!(on(&url, &["check"]).code, 0, "{other}");
    }
}

#[test]
fn a_database_with_a_server_is_refused_until_the_server_has_stopped() {
    let Some(cluster) = cluster() else { return };
    let Some(folder) = Folder::on_disk() else { return };
    let url = cluster.url();
    let log = std::fs::File::create(folder.path("log")).expect("a log");
    let mut serve = command(&["serve", "--emulator", "--listen", "127.0.0.1:0", "--database-url", &url]);
    let mut server = Server::start(serve.stderr(log));
    server.listening();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = PostgresStore::open(&url).await.expect("the database is there");
        let waiting = Instant::now();
        while store.held_leases().await.expect("read").is_empty() {
            assert!(waiting.elapsed() < PATIENCE, "the server takes no lease");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let said = migrate(&url, &folder.data());
    refused(&said, "a server runs on the source and holds the lease");
    refused(&said, "stop every server there");
    let Some(another) = Folder::on_disk().map(Folder::with_two_accounts) else { return };
    refused(&migrate(&another.data(), &url), "a server runs on the target and holds the lease");
    assert!(server.terminate().success());
    let said = run(&mut command(&["migrate", "--from", &url, "--to", &folder.data()]), b"");
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{}", said.answer);
    let said = migrate(&url, "postgres://nobody:hidden@127.0.0.1:1/nothing");
    refused(
        &said,
        "--to: the database nothing at 127.0.0.1:1 cannot be used: error connecting to server: Connection",
    );
    assert!(!said.remarks.contains("hidden"), "{said:?}");
}
