//! Jobs of a running program: an import goes on after the program was killed in the middle, so does the making of a report,
//! and a backup of a program under load is put into a new folder.

mod program;

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onhook_core::job::{Kind, State};
use onhook_core::time::Timestamp;
use onhook_store::Store;
use onhook_store::contract::jobs::{NewJob, Noted};
use onhook_store::postgres::PostgresStore;
use onhook_store::sqlite::SqliteStore;
use program::{ACCOUNT, Client, Folder, PATIENCE, onhook};

/// The emulator's operator.
const OPERATOR: &str = "Basic b3BlcmF0b3I6cGFzc3dvcmQ=";
/// Lines of the import: many pieces.
const LINES: u64 = 20_000;
/// The first number of the import.
const FIRST: u64 = 4_155_600_000;

fn operator(address: SocketAddr) -> Client {
    Client::signed(address, OPERATOR)
}

/// Returns the value of a key in a JSON object. The objects here are flat enough.
fn value(body: &str, key: &str) -> String {
    let value: serde_json::Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    value[key].as_str().map_or_else(|| value[key].to_string(), str::to_owned)
}

/// Looks at a job again and again until it is as wanted, and returns it.
fn wait_for(address: SocketAddr, path: &str, wanted: impl Fn(&str) -> bool) -> String {
    let begun = Instant::now();
    let mut client = operator(address);
    loop {
        let body = client.send("GET", path, "", "").expect("an answer").body;
        if wanted(&body) {
            return body;
        }
        assert!(begun.elapsed() < PATIENCE, "{path} is {body}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Disconnects the guide's number or takes it back, once.
fn order(client: &mut Client, site: u32, turn: u64) -> bool {
    let list = "<TelephoneNumberList><TelephoneNumber>5405514342</TelephoneNumber></TelephoneNumberList>";
    let (path, body) = if turn.is_multiple_of(2) {
        let body = format!(
            "<DisconnectTelephoneNumberOrder><name>{turn}</name><DisconnectTelephoneNumberOrderType>{list}\
             </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
        );
        ("disconnects", body)
    } else {
        let body = format!(
            "<Order><Name>{turn}</Name><ExistingTelephoneNumberOrderType>{list}</ExistingTelephoneNumberOrderType>\
             <SiteId>{site}</SiteId></Order>"
        );
        ("orders", body)
    };
    let sent = client.send("POST", &format!("/api/accounts/{ACCOUNT}/{path}"), "", &body);
    sent.is_ok_and(|answer| answer.status == 201)
}

/// Sends orders until it is told to stop, while `meanwhile` is done. Returns what that returned, and how many orders were
/// accepted.
fn under_orders<T>(address: SocketAddr, meanwhile: impl FnOnce(&AtomicU64) -> T) -> (T, u64) {
    let (stop, accepted) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::of(address);
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                if order(&mut client, 1, turn) {
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let done = meanwhile(&accepted);
        stop.store(true, Ordering::Relaxed);
        done
    });
    (done, accepted.load(Ordering::Relaxed))
}

/// What was changed by hand under a seal is found while the server works.
#[test]
fn a_check_of_a_server_follows_the_seals() {
    let Some(folder) = Folder::on_disk().map(Folder::with_the_guide) else { return };
    let check = || {
        let mut server = folder.emulator();
        let address = server.listening();
        wait_for(address, "/ops/v1/audit/head", |body| body.contains("\"last\":\""));
        let made = operator(address)
            .send_typed("POST", "/ops/v1/checks", "", "application/json", r#"{"deep": true}"#)
            .expect("an answer");
        assert_eq!(made.status, 202, "{}", made.body);
        let path = format!("/ops/v1/checks/{}", value(&made.body, "id"));
        let done = wait_for(address, &path, |body| value(body, "ended_at") != "null");
        value(&done, "findings")
    };
    assert_eq!(check(), "[]");
    let file = std::path::Path::new(&folder.data()).join("onhook.db");
    let database = rusqlite::Connection::open(file).expect("opened");
    database.execute_batch("UPDATE event SET reason = 'another' WHERE seq = 1").expect("changed");
    drop(database);
    assert_eq!(check(), r#"[{"at":"position 1","what":"the event is changed since it was sealed"}]"#);
}

#[test]
fn an_import_that_was_killed_while_it_wrote_is_whole_after_the_next_start() {
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    let address = server.listening();
    let file: String = (0..LINES).map(|n| format!("{}\n", FIRST + n)).collect();
    // One bad line, and nothing of it is there.
    let import = |file: &str| {
        let path = "/ops/v1/imports?kind=numbers&reason=migration";
        let made = operator(address).send_typed("POST", path, "", "text/csv", file).expect("an answer");
        assert_eq!(made.status, 202, "{}", made.body);
        format!("/ops/v1/imports/{}", value(&made.body, "id"))
    };
    let bad = import(&format!("number\n{file}123\n"));
    let refused = wait_for(address, &bad, |body| value(body, "ended_at") != "null");
    assert_eq!(
        (value(&refused, "state"), value(&refused, "bad"), value(&refused, "written")),
        ("refused".into(), "1".into(), "0".into())
    );
    let gone = operator(address).send("GET", &format!("/ops/v1/numbers/{FIRST}"), "", "").expect("an answer");
    assert_eq!(gone.status, 404, "{}", gone.body);
    // Killed in the middle of writing, while orders run.
    let path = import(&format!("number\n{file}"));
    let (job, orders) = under_orders(address, |accepted| {
        let before = accepted.load(Ordering::Relaxed);
        wait_for(address, &path, |body| {
            value(body, "state") == "writing"
                && value(body, "written") != "0"
                && accepted.load(Ordering::Relaxed) > before + 5
        })
    });
    assert!(value(&job, "written").parse::<u64>().expect("a count") < LINES, "it was too quick: {job}");
    server.kill();
    assert!(orders > 5, "orders ran meanwhile: {orders}");
    let mut server = folder.emulator();
    let address = server.listening();
    let done = wait_for(address, &path, |body| value(body, "state") == "done");
    assert_eq!(value(&done, "written"), LINES.to_string());
    let last = FIRST + LINES - 1;
    for number in [FIRST, last] {
        let found =
            operator(address).send("GET", &format!("/ops/v1/numbers/{number}"), "", "").expect("an answer");
        assert_eq!(found.status, 200, "{}", found.body);
    }
    assert!(server.terminate().success(), "{}", folder.log());
    let checked = folder.done(&["check", "--deep"]);
    assert!(checked.contains("nothing is wrong"), "{checked}");
}

#[test]
fn an_import_that_had_not_ended_goes_on_where_everything_was_moved_to() {
    let (folder, target) = (Folder::of_the_guide(), Folder::new());
    let mut server = folder.emulator();
    let address = server.listening();
    let file: String = (0..LINES).map(|n| format!("{}\n", FIRST + n)).collect();
    let path = "/ops/v1/imports?kind=numbers&reason=migration";
    let made = operator(address)
        .send_typed("POST", path, "", "text/csv", &format!("number\n{file}"))
        .expect("an answer");
    assert_eq!(made.status, 202, "{}", made.body);
    let id = writing(address);
    assert!(server.terminate().success(), "{}", folder.log());
    let [[_, from], [_, to]] = [folder.named(), target.named()];
    let said = onhook(&["migrate", "--from", &from, "--to", &to]);
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{said:?}");
    let mut server = target.emulator();
    let address = server.listening();
    let path = format!("/ops/v1/imports/{id}");
    let done = wait_for(address, &path, |body| value(body, "ended_at") != "null");
    assert_eq!((value(&done, "state"), value(&done, "written")), ("done".into(), LINES.to_string()));
    let last = format!("/ops/v1/numbers/{}", FIRST + LINES - 1);
    assert_eq!(operator(address).send("GET", &last, "", "").expect("an answer").status, 200);
    assert!(server.terminate().success(), "{}", target.log());
}

#[test]
fn a_backup_under_load_is_restored_to_a_new_folder() {
    let Some(folder) = Folder::on_disk().map(Folder::with_the_guide) else { return };
    let mut server = folder.emulator();
    let address = server.listening();
    let (path, _) = under_orders(address, |accepted| {
        while accepted.load(Ordering::Relaxed) < 20 {
            std::thread::sleep(Duration::from_millis(2));
        }
        let asked = r#"{"name": "nightly", "reason": "each night"}"#;
        let made = operator(address)
            .send_typed("POST", "/ops/v1/backups", "tonight", "application/json", asked)
            .expect("an answer");
        assert_eq!(made.status, 202, "{}", made.body);
        let path = format!("/ops/v1/backups/{}", value(&made.body, "id"));
        let done = wait_for(address, &path, |body| value(body, "ended_at") != "null");
        assert_eq!(value(&done, "state"), "done", "{done}");
        value(&done, "path")
    });
    assert!(server.terminate().success(), "{}", folder.log());
    let new = folder.path("restored");
    let new = new.to_str().expect("it is UTF-8");
    let said = onhook(&["restore", &path, "--data-dir", new]);
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{said:?}");
    assert!(said.answer.contains("numbers restored to"), "{}", said.answer);
    let checked = onhook(&["check", "--deep", "--data-dir", new]);
    assert!(checked.answer.contains("nothing is wrong"), "{checked:?}");
    // Nothing is overwritten, and only a backup is restored.
    let again = onhook(&["restore", &path, "--data-dir", new]);
    program::refused(&again, "is not empty");
    let other = folder.path("other");
    let other = other.to_str().expect("it is UTF-8");
    program::refused(&onhook(&["restore", &folder.data(), "--data-dir", other]), "is no backup");
    let database = std::path::Path::new(&path).join("onhook.db");
    let mut bytes = std::fs::read(&database).expect("a backup");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    std::fs::write(&database, bytes).expect("room for it");
    program::refused(&onhook(&["restore", &path, "--data-dir", other]), "is not what it was");
    assert!(!program::is_there(std::path::Path::new(other).join("onhook.db")), "no data that was damaged");
}

/// Returns the newest import.
fn newest(address: SocketAddr) -> Option<String> {
    let page = operator(address).send("GET", "/ops/v1/imports?limit=1", "", "").expect("an answer").body;
    let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
    page["items"].get(0).map(serde_json::Value::to_string)
}

/// Waits until the newest import is being written, and returns its id.
fn writing(address: SocketAddr) -> String {
    let begun = Instant::now();
    loop {
        if let Some(import) = newest(address).filter(|import| value(import, "state") == "writing") {
            assert!(value(&import, "written").parse::<u64>().expect("a count") < LINES, "it was too quick");
            return value(&import, "id");
        }
        assert!(begun.elapsed() < PATIENCE, "nothing is written");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_command_imports_into_a_running_server_and_finds_an_import_again_that_it_left() {
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    let address = server.listening();
    let lines = |from: u64| (0..LINES).map(|n| format!("{}\n", from + n)).collect::<String>();
    let [first, second] = [FIRST, FIRST + 100_000]
        .map(|from| program::file(&folder, &format!("{from}.csv"), &format!("number\n{}", lines(from))));
    let way = ["--server", &format!("http://{address}")];
    let import = |file: &str, more: &[&str]| {
        let mut command = program::command(&[&["import", file, "--reason", "r"], more, &way].concat());
        command.env("ONHOOK_USER", "operator").env("ONHOOK_PASSWORD", "password");
        command
    };
    // What is wrong is said as without a server, and nothing is there.
    let bad = program::file(&folder, "bad.csv", &format!("number\n{FIRST}\n123\n124\n"));
    let said = program::run(&mut import(&bad, &[]), b"");
    assert_eq!((said.code, said.answer.as_str()), (1, "nothing imported, 2 lines are bad\n"), "{said:?}");
    let told = "2 lines: number: 3 digits: ten, or `+` and 8 to 15, are wanted\n  line 3: number \"123\": ";
    assert!(said.remarks.starts_with(told), "{said:?}");
    let said = program::run(&mut import(&bad, &["--partial", "--dry-run"]), b"");
    assert_eq!(
        (said.code, said.answer.as_str()),
        (1, "dry run, nothing is written: 1 number imported, 2 lines refused\n")
    );
    let said = program::run(&mut import("-", &[]), b"colour\n");
    program::refused(&said, "there is no column \"colour\"");
    // The command is killed while the server writes. Run again, it waits for the same import.
    let mut left =
        import(&first, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let id = writing(address);
    left.kill().expect("it runs");
    left.wait().expect("it ends");
    let (said, orders) = under_orders(address, |_| program::run(&mut import(&first, &[]), b""));
    assert_eq!((said.code, said.answer), (0, format!("{LINES} numbers imported, 0 lines refused\n")));
    assert_eq!(said.remarks, format!("import {id} has this file already, and goes on\n"));
    assert!(orders > 0, "no order ran meanwhile");
    // Another file waits for its turn, here through standard input.
    let mut left =
        import(&second, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let id = writing(address);
    let said = program::run(&mut import("-", &[]), format!("number\n{}\n", FIRST + 200_000).as_bytes());
    assert_eq!((said.code, said.answer.as_str()), (0, "1 number imported, 0 lines refused\n"), "{said:?}");
    assert_eq!(said.remarks, format!("import {id} is under way: this one begins when it has ended\n"));
    assert!(left.wait().expect("it ends").success());
    // By the data folder the same, with exchanges.
    let exchanges = b"npa_nxx,state,rate_center\n540555,VA,ROANOKE\n";
    let said = folder.onhook_reading(&["import-exchanges", "-"], exchanges);
    assert_eq!((said.code, said.answer.as_str()), (0, "1 exchange imported\n"), "{said:?}");
    assert!(server.terminate().success(), "{}", folder.log());
    assert!(folder.done(&["check", "--deep"]).ends_with(": nothing is wrong\n"));
}

#[test]
fn an_import_that_a_command_has_left_without_a_server_is_finished_by_the_next_one() {
    let Some(folder) = Folder::on_disk().map(Folder::with_two_accounts) else { return };
    let lines: String = (0..4 * LINES).map(|n| format!("{}\n", FIRST + n)).collect();
    let file = program::file(&folder, "numbers.csv", &format!("number\n{lines}"));
    let mut import = program::command(&["import", &file, "--reason", "r", "--data-dir", &folder.data()]);
    let mut left = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let begun = Instant::now();
    let staged = std::path::Path::new(&folder.data()).join("imports");
    while !std::fs::read_dir(&staged).is_ok_and(|mut files| files.next().is_some()) {
        assert!(begun.elapsed() < PATIENCE, "the file does not arrive");
        std::thread::sleep(Duration::from_millis(1));
    }
    left.kill().expect("it runs");
    left.wait().expect("it ends");
    let said = folder.onhook(&["import", &file]);
    // All lines are in, by whichever of the two.
    let numbers = folder.done(&["check", "--deep"]);
    assert!(numbers.starts_with(&format!("{} numbers, ", 4 * LINES)), "{numbers}, {said:?}");
    assert!(numbers.ends_with(": nothing is wrong\n"), "{numbers}");
}

/// Opens the data of a folder that no program has.
async fn store_of(folder: &Folder) -> Box<dyn Store> {
    match folder.named() {
        [flag, url] if flag == "--database-url" => Box::new(PostgresStore::open(&url).await.expect("opened")),
        [_, path] => Box::new(SqliteStore::open(path.as_ref()).expect("opened")),
    }
}

/// A command that is killed while it makes a report leaves it to the next one that asks for the same.
#[tokio::test]
async fn a_report_that_a_command_has_left_without_a_server_is_made_by_the_next_one() {
    let folder = Folder::new().with_two_accounts();
    let make = |company: &str| {
        let made = folder.done(&["report", "rnd", "make", "2026-11", "--company", company, "--json"]);
        serde_json::from_str::<serde_json::Value>(&made).expect("JSON")
    };
    let first = make("ACME1");
    assert_eq!(first["state"], "ready", "{first}");
    // As a command leaves it: it was asked for when there was no event yet.
    let store = store_of(&folder).await;
    let makings = store.jobs(Kind::Report, None, 10).await.expect("read");
    let asked = makings[0].asked.to_string().replace("ACME1", "ACME2");
    let mut asked: serde_json::Value = serde_json::from_str(&asked).expect("JSON");
    asked["with"]["rnd"]["as_of"] = 0.into();
    let new = NewJob { kind: Kind::Report, author: "machine".into(), asked };
    let left = store.add_job(new, None, Timestamp::default()).await.expect("written").expect("taken");
    let lease = store.take_lease("a command", Duration::from_secs(1)).await.expect("tried").expect("free");
    let half = Noted::new(State::Running, serde_json::json!({ "done": 1, "total": 9 }), Timestamp::default());
    assert!(store.note_job(lease, left.id, half).await.expect("noted"));
    store.close().await;
    drop(store);
    let made = make("ACME2");
    assert_eq!((&made["state"], &made["as_of"]), (&"ready".into(), &"0".into()), "{made}");
    assert_ne!(first["as_of"], "0");
    let store = store_of(&folder).await;
    let makings = store.jobs(Kind::Report, None, 10).await.expect("read");
    let states: Vec<State> = makings.iter().map(|making| making.state).collect();
    assert_eq!((makings[0].id, states), (left.id, vec![State::Done; 2]), "it was not made twice");
    store.close().await;
}
