//! One command line everywhere: by the socket of a running server, over the network, and on the data without a server.

mod program;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use program::{
    ACCOUNT, Client, Folder, Said, command, copy_to, disconnected, file, is_there, not_done, onhook,
    redacted, refused, run, two_accounts, why,
};
use serde_json::Value;

/// Ways to reach the same data.
enum Way<'a> {
    /// By what names the data: a folder's server is asked by its socket.
    Data(&'a Folder),
    /// Over the network, as the documented operator.
    Network(SocketAddr),
    /// By a socket at a path.
    Socket(&'a Path),
}

impl Way<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        match self {
            Way::Data(folder) => command.args(folder.named()),
            Way::Network(address) => {
                command.args(["--server", &format!("http://{address}")]);
                command.env("ONHOOK_USER", "operator").env("ONHOOK_PASSWORD", "password")
            }
            Way::Socket(path) => command.arg("--socket").arg(path),
        };
        command
    }

    fn says(&self, arguments: &[&str]) -> Said {
        run(&mut self.command(arguments), b"")
    }

    fn done(&self, arguments: &[&str]) -> String {
        let said = self.says(arguments);
        assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{arguments:?} said {}", said.answer);
        said.answer
    }
}

fn answers(code: i32, answer: &str, remarks: &str) -> Said {
    Said { code, answer: answer.into(), remarks: remarks.into() }
}

/// Does every act on single numbers, and returns all that was said.
fn acts(way: &Way<'_>, aging: &str) -> String {
    let mut all = String::new();
    let kept_until = "2099-03-01T00:00:00.000Z";
    for arguments in [
        &["lock", "7034343704", "--reason", "it is printed on our vans"][..],
        &["lock", "7034343704", "--reason", "it is printed on our vans"],
        &["explain", "7034343704"],
        &["unlock", "7034343704", "--reason", "the vans are sold"],
        &["extend", aging, "--days", "3", "--reason", "a waiver"],
        &["extend", aging, "--days", "3", "--past-ceiling", "--reason", "a waiver"],
        &["keep", aging, "--until", kept_until, "--reason", "a dispute"],
        &["unkeep", aging, "--reason", "it is settled"],
        &["unkeep", aging, "--reason", "it is settled"],
        &["lock", "2125559999", "--reason", "none"],
        &["unlock", "7034343704", "--reason", " "],
    ] {
        let Said { code, answer, remarks } = way.says(arguments);
        all += &format!("{} -> {code}\n{answer}{remarks}", arguments[..2].join(" "));
    }
    redacted(&all)
}

#[test]
fn commands_say_the_same_on_data_by_a_socket_and_over_the_network() {
    let said = |serve: bool, by: &dyn Fn(&Folder, SocketAddr) -> String| {
        let folder = Folder::of_the_guide();
        let mut server = folder.emulator();
        let address = server.listening();
        disconnected(&mut Client::of(address), ACCOUNT, "5405514342");
        if !serve {
            assert!(server.terminate().success());
        }
        by(&folder, address)
    };
    let offline = said(false, &|folder, _| acts(&Way::Data(folder), "5405514342"));
    let by_name = said(true, &|folder, _| acts(&Way::Data(folder), "5405514342"));
    let network = said(true, &|_, address| acts(&Way::Network(address), "5405514342"));
    insta::assert_snapshot!("acts", offline);
    assert_eq!(by_name, offline);
    assert_eq!(network.replace("user operator", "user machine"), offline);
}

/// Makes, changes and removes what an account has, and returns all that was said. Ids are the store's own.
fn administered(way: &Way<'_>) -> String {
    let mut all = String::new();
    for arguments in [
        &["account", "create", "9900001", "--name", "Another account", "--class", "business"][..],
        &["account", "create", "9900001", "--name", "Another account"],
        &["account", "change", "9900001", "--legal-name", "Another account, Inc.", "--reports-rnd", "false"],
        &["account", "close", "9900000"],
        &["site", "create", "--account", "9900001", "--name", "Its site", "--description", "the first one"],
        &["site", "create", "--account", "9900009", "--name", "A site"],
        &["site", "create", "--account", "9900001", "--name", "Its site's"],
        &["site", "default", "2", "--account", "9900000"],
        &["peer", "create", "--account", "9900001", "--site", "2", "--name", "Its peer"],
        &["peer", "remove", "1", "--account", "9900000", "--site", "1"],
        &["user", "create", "another", "--account", "9900001", "--role", "admin", "--password-stdin"],
        &["user", "create", "another", "--account", "9900001", "--role", "read", "--password-stdin"],
        &["user", "role", "another", "read"],
        &["user", "rights", "another", "calls"],
        &["user", "password", "another", "--password-stdin"],
        &["user", "list", "--account", "9900001"],
        &["user", "remove", "another"],
        &["user", "remove", "another"],
        &["account", "close", "9900001"],
        &["account", "show", "9900001"],
        &["account", "reopen", "9900001"],
        &["account", "change", "9900001", "--legal-name", "", "--reports-rnd", "true"],
        &["peer", "list", "--account", "9900001"],
        &["site", "list", "--account", "9900001"],
    ] {
        let arguments = [&["admin"], arguments].concat();
        let mut command = way.command(&arguments);
        let Said { code, answer, remarks } = run(command.args(why(&arguments)), b"correct horse");
        all += &format!("{} -> {code}\n{answer}{remarks}", arguments[1..3].join(" "));
    }
    all
}

#[test]
fn accounts_sites_peers_and_users_are_administered_the_same_with_a_server_and_without() {
    let without = administered(&Way::Data(&Folder::of_the_guide()));
    insta::assert_snapshot!("administered", without);
    let folder = Folder::of_the_guide();
    let socket = folder.path("s");
    let mut server =
        folder.serve(&["--emulator", "--rate-limit", "0", "--socket", socket.to_str().expect("UTF-8")]);
    server.listening();
    assert_eq!(administered(&Way::Socket(&socket)), without);
    assert!(server.terminate().success());
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    assert_eq!(administered(&Way::Network(server.listening())), without);
    assert!(server.terminate().success());
    let checked = folder.done(&["check", "--deep"]);
    assert_eq!(checked.rsplit(": ").next(), Some("nothing is wrong\n"));
}

#[test]
fn settings_the_clock_deliveries_and_events_are_looked_at_and_changed() {
    let looked = |way: &Way<'_>| {
        let mut all = String::new();
        for arguments in [
            &["settings", "set", "held_days=30", "wire_purge=hold", "--reason", "r"][..],
            &["settings", "set", "held_days=30", "--reason", "r"],
            &["settings", "set", "held_day=30", "--reason", "r"],
            &["settings", "set", "held_days=0", "--reason", "r"],
            &["settings", "set", "held_days", "--reason", "r"],
            &["deliveries", "--state", "GIVEN_UP"],
            &["deliveries", "show", "7"],
            &["deliveries", "replay", "7", "--reason", "r"],
            &["trust-clock", "--reason", "NTP says the same"],
            &["changed-hands", "5405514342", "--since", "2099-01-01T00:00:00Z"],
            &["changed-hands", "9195559999", "--since", "2020-01-01T00:00:00Z"],
            &["events", "--kind", "nothing"],
        ] {
            let Said { code, answer, remarks } = way.says(arguments);
            all += &format!("{} -> {code}\n{answer}{remarks}", arguments[..2].join(" "));
        }
        redacted(&all)
    };
    let folder = Folder::of_the_guide();
    let without = looked(&Way::Data(&folder));
    insta::assert_snapshot!("looked_at", without);
    let refused_there = "no server has the data, so nothing happens: leave --follow out";
    refused(&folder.onhook(&["events", "--follow"]), refused_there);
    let listed = folder.done(&["settings", "--json"]);
    let held = listed.lines().find(|line| line.contains("\"held_days\"")).expect("a setting");
    assert!(held.contains("\"value\":30") && held.contains("\"set_by\":\"operator\""), "{held}");
    let config = file(&folder, "onhook.toml", "rate_limit = 5\n");
    let set = folder.onhook(&["settings", "set", "rate_limit=7", "--reason", "r", "--config", &config]);
    not_done(&set, "The configuration sets this: rate_limit is set by a file of this server");

    let folder = Folder::of_the_guide();
    let socket = folder.path("s");
    let mut server = folder.serve(&["--emulator", "--socket", socket.to_str().expect("UTF-8")]);
    let address = server.listening();
    assert_eq!(looked(&Way::Socket(&socket)), without);
    // What happens meanwhile is told while it happens.
    let mut follow = Way::Network(address).command(&["events", "--follow", "--kind", "locked", "--json"]);
    let mut follow = follow.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    Way::Socket(&socket).done(&["lock", "5405514342", "--reason", "it is printed on our vans"]);
    let mut line = String::new();
    let mut lines = std::io::BufReader::new(follow.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut lines, &mut line).expect("an event");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((event["kind"].as_str(), event["number"].as_str()), (Some("locked"), Some("+15405514342")));
    follow.kill().expect("it runs");
    follow.wait().expect("it ends");
    let after = event["position"].as_str().expect("a position");
    assert_eq!(Way::Network(address).done(&["events", "--after", after, "--kind", "locked"]), "");
    assert!(server.terminate().success());
}

#[test]
fn a_running_server_is_checked_exported_backed_up_and_audited() {
    let Some(folder) = Folder::on_disk().map(Folder::with_the_guide) else { return };
    let named = folder.data();
    let without = [folder.done(&["export"]), folder.done(&["check", "--deep"])];
    let mut server = folder.emulator();
    let address = server.listening();
    for way in [Way::Data(&folder), Way::Network(address)] {
        assert_eq!(way.done(&["export"]), without[0]);
        let checked = way.done(&["check", "--deep"]);
        assert!(
            checked.starts_with("302 numbers, ") && checked.ends_with(": nothing is wrong\n"),
            "{checked}"
        );
    }
    let way = Way::Data(&folder);
    let periods = way.done(&["export", "periods", "--account", "9900000"]);
    assert_eq!(periods.lines().next(), Some("number,account,from,until"));
    // A day is its first instant, as the route has it.
    let narrowed = |option: &str, day: &str| way.done(&["export", "periods", option, day]);
    assert_eq!(narrowed("--from", "2020-01-01"), way.done(&["export", "periods"]));
    assert_eq!(narrowed("--until", "2020-01-01"), "number,account,from,until\n");
    assert_eq!(narrowed("--until", "2020-01-01T00:00:00.000Z"), narrowed("--until", "2020-01-01"));
    refused(
        &way.says(&["export", "periods", "--from", "yesterday"]),
        "it is a day such as 2027-01-01, or an instant",
    );
    refused(&way.says(&["export", "periods", "--prefix", "1540"]), "--state and --prefix are for numbers");
    // A file gets its name when it is whole, and one that cannot be made leaves nothing.
    let out = folder.path("out");
    fs::create_dir(&out).expect("room");
    let path = |name: &str| out.join(name).to_str().expect("UTF-8").to_owned();
    assert_eq!(way.done(&["export", "--out", &path("numbers.csv")]), "");
    assert_eq!(fs::read_to_string(path("numbers.csv")).expect("a file"), without[0]);
    refused(
        &way.says(&["export", "--prefix", "1540x", "--out", &path("none.csv")]),
        "prefix is 1 to 15 digits",
    );
    assert_eq!(way.done(&["audit", "export", "--out", &path("events.ndjson")]), "");
    let names: Vec<_> =
        fs::read_dir(&out).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let head: Value = serde_json::from_str(&way.done(&["audit", "head"])).expect("JSON");
    let anchor = format!("{}:{}", head["last"].as_str().expect("one"), head["hash"].as_str().expect("one"));
    for verified in [
        way.done(&["audit", "verify", "--anchor", &anchor]),
        onhook(&["audit", "verify", "--file", &path("events.ndjson")]).answer,
    ] {
        assert!(verified.contains(": nothing is wrong, head sha256:"), "{verified}");
    }
    // A backup is a folder that opens, and is verified.
    let backup = ["backup", "--name", "nightly", "--reason", "each night", "--json"];
    let made: Value = serde_json::from_str(&way.done(&backup)).expect("JSON");
    let (id, copy) = (made["id"].as_str().expect("an id"), made["path"].as_str().expect("a path"));
    assert!(copy.starts_with(&format!("{named}/backups/nightly-")), "{copy}");
    assert!(way.done(&["backup", "verify", id]).ends_with(": nothing is wrong\n"));
    assert!(way.done(&["backup", "list"]).contains(copy));
    let database = Path::new(copy).join("onhook.db");
    let mut bytes = fs::read(&database).expect("a backup");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    fs::write(&database, bytes).expect("room");
    let said = way.says(&["backup", "verify", id]);
    assert!(said.code != 0 && !said.answer.contains("nothing is wrong"), "{said:?}");
    refused(&way.says(&["backup", "--name", "../out", "--reason", "r"]), "name is 1 to 64 letters");
    not_done(&way.says(&["backup", "verify", "99"]), "there is nothing of that name");
    assert!(server.terminate().success());
    // Without a server the same is done by the command.
    let again = folder.done(&["backup", "--reason", "before the move"]);
    let copy = again.lines().next().expect("a path");
    let said = onhook(&["check", "--deep", "--data-dir", copy]);
    assert!(said.answer.ends_with(": nothing is wrong\n"), "{said:?}");
    assert_eq!(folder.done(&["check", "--deep"]).rsplit(": ").next(), Some("nothing is wrong\n"));
}

/// Sends a signal to a child, and returns how it ended and what it remarked.
fn signalled(child: std::process::Child, name: &str) -> (Option<i32>, String) {
    let sent = Command::new("sh").args(["-c", "kill -\"$1\" \"$0\"", &child.id().to_string(), name]).status();
    assert!(sent.expect("there is a shell").success());
    let ended = child.wait_with_output().expect("it ends");
    (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[test]
fn an_export_that_is_cut_off_or_interrupted_leaves_no_file() {
    const BEGUN: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nnumber\n\r\n";
    let Some(folder) = Folder::on_disk() else { return };
    let out = folder.path("out");
    fs::create_dir(&out).expect("room");
    let file = out.join("numbers.csv");
    let export = ["export", "--out", file.to_str().expect("UTF-8")];
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let way = Way::Network(listener.local_addr().expect("an address"));
    let files = || fs::read_dir(&out).expect("a folder").count();
    std::thread::scope(|scope| {
        scope.spawn(|| taken(&listener, BEGUN.as_bytes()));
        let cut = way.says(&export);
        refused(&cut, "the answer was cut off");
        assert_eq!(files(), 0, "{cut:?}");
    });
    let mut child = way.command(&export);
    let child = child.stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    let _held = held(&listener, BEGUN.as_bytes());
    let begun = std::time::Instant::now();
    while files() == 0 {
        assert!(begun.elapsed() < program::PATIENCE, "nothing is written");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let (code, remarks) = signalled(child, "INT");
    assert_eq!((code, remarks.as_str()), (Some(2), "onhook: interrupted: what was written is not whole\n"));
    assert_eq!(files(), 0);
}

#[test]
fn an_import_that_is_interrupted_while_its_file_arrives_is_none() {
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    let way = Way::Network(server.listening());
    let mut import = way.command(&["import", "-", "--reason", "r"]);
    let piped = std::process::Stdio::piped;
    let mut child = import.stdin(piped()).stdout(piped()).stderr(piped()).spawn().expect("it starts");
    let lines: String = (0..60_000).map(|n| format!("{}\n", 2_125_560_000_u64 + n)).collect();
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(format!("number\n{lines}").as_bytes()).expect("it reads");
    let (code, remarks) = signalled(child, "INT");
    assert_eq!((code, remarks.as_str()), (Some(2), "onhook: interrupted: nothing was imported\n"));
    drop(pipe);
    // Another one begins when this one is given up.
    let mut other = way.command(&["import", "-", "--reason", "r"]);
    let said = run(&mut other, b"number\n2135550101\n");
    assert_eq!((said.code, said.answer.as_str()), (0, "1 number imported, 0 lines refused\n"), "{said:?}");
    assert_eq!(way.done(&["numbers", "--prefix", "121256"]), "");
    assert!(server.terminate().success());
}

#[test]
fn the_first_user_of_all_is_made_where_there_is_nothing_yet() {
    let folder = Folder::new();
    let create = ["admin", "user", "create", "root", "--role", "operator", "--password-stdin"];
    let said = folder.onhook_reading(&create, b"correct horse");
    assert_eq!(said, answers(0, "user root\n", ""));
    let mut server = folder.serve(&[]);
    let address = format!("http://{}", server.listening());
    let mut asked = command(&["admin", "user", "list"]);
    asked.args(["--server", &address]);
    asked.env("ONHOOK_USER", "root").env("ONHOOK_PASSWORD", "correct horse");
    assert_eq!(
        run(&mut asked, b""),
        answers(0, "USER  ACCOUNT  ROLE      RIGHTS\nroot  -        operator\n", "")
    );
    // Operators are made on the machine alone: a stolen password must not make its own second person.
    let mut second = command(&["admin", "user", "create", "other", "--role", "operator", "--password-stdin"]);
    second.args(["--reason", "r", "--server", &address]);
    second.env("ONHOOK_USER", "root").env("ONHOOK_PASSWORD", "correct horse");
    not_done(&run(&mut second, b"battery staple"), "This is not allowed");
    assert!(server.terminate().success());
}

#[test]
fn an_order_is_listed_waited_for_and_undone() {
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    let address = server.listening();
    let path = disconnected(&mut Client::of(address), ACCOUNT, "5405514342");
    let order = path.rsplit('/').next().expect("an id");
    let way = Way::Network(address);
    insta::assert_snapshot!("status", redacted(&way.done(&["status", order, "--wait"])));
    let listed = way.done(&["orders", "--kind", "disconnect", "--account", "9900000"]);
    assert!(listed.starts_with("ORDER  ") && listed.contains(&format!("\n{order}  disconnect")), "{listed}");
    let undone = way.done(&["undo", order, "--reason", "the wrong site was disconnected"]);
    assert!(
        undone.starts_with(&format!("1 number of order {order} back where they were, by order ")),
        "{undone}"
    );
    let again = way.says(&["undo", order, "--reason", "once more"]);
    insta::assert_snapshot!(
        "undone_already",
        redacted(&format!("{}{}{}", again.code, again.answer, again.remarks))
    );
    // What became of it is a document for programs.
    let shown: Value = serde_json::from_str(&way.done(&["status", order, "--json"])).expect("JSON");
    assert_eq!(
        (shown["status"].as_str(), shown["outcomes"][0]["outcome"].as_str()),
        (Some("COMPLETE"), Some("went"))
    );
    let nobodys = "744f1d16-d3a5-43b3-ab97-4c3b19fc0b7a";
    let said = way.says(&["status", nobodys]);
    assert_eq!((said.code, said.answer.as_str()), (1, ""), "{said:?}");
    // An order that did not go is not all well.
    way.done(&["lock", "7034343704", "--reason", "it is printed on our vans"]);
    let path = disconnected(&mut Client::of(address), ACCOUNT, "7034343704");
    let said = way.says(&["status", path.rsplit('/').next().expect("an id")]);
    assert_eq!((said.code, said.remarks.as_str()), (1, ""));
    assert!(
        said.answer.contains("  FAILED\n") && said.answer.contains("since it is locked"),
        "{}",
        said.answer
    );
    let called = way.done(&["call", "5405514342"]);
    assert!(
        called.contains(": delivered to account 9900000, site 1, peer 1, charged to account 9900000\n"),
        "{called}"
    );
    assert!(server.terminate().success());
    assert_eq!(folder.done(&["check", "--deep"]).rsplit(": ").next(), Some("nothing is wrong\n"));
}

#[test]
fn supply_and_the_coming_days_are_shown() {
    let folder = Folder::of_the_guide();
    let areas = folder.done(&["areas", "--prefix", "1540"]);
    // The id is the store's own.
    let row = areas.lines().nth(1).unwrap_or_else(|| panic!("no area: {areas}"));
    let (id, row) = row.split_once(' ').expect("several columns");
    assert_eq!(
        row.trim_start(),
        "540 (VA)  50      0.0         -               0      -             90",
        "{areas}"
    );
    let shown = folder.done(&["areas", id, "--curve"]);
    assert!(shown.contains("PROFILE  CLASS        DAYS\nus       residential  90\n"), "{shown}");
    assert!(shown.contains("\n365.0           90"), "{shown}");
    let days = folder.done(&["forecast", "--from", "2027-01-01", "--until", "2027-01-03"]);
    insta::assert_snapshot!("forecast", days);
    let said = folder.onhook(&["forecast", "--from", "2027-01-01", "--until", "2029-01-01"]);
    refused(&said, "until is a day after from, and at most 400 days after it");
}

#[test]
fn a_list_is_a_table_for_people_and_lines_of_json_for_programs() {
    let folder = Folder::of_the_guide();
    let table = folder.done(&["numbers", "--account", "9900000"]);
    insta::assert_snapshot!("numbers", table);
    let lines = folder.done(&["numbers", "--json"]);
    let numbers: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(numbers.len(), 302);
    assert_eq!(folder.done(&["numbers", "--limit", "3", "--json"]).lines().count(), 3);
    assert_eq!(folder.done(&["numbers", "--state", "Aging"]), "");
    let said = folder.onhook(&["lock", "9195550100", "--reason", "r", "--json"]);
    let problem: Value = serde_json::from_str(&said.answer).expect("JSON");
    assert_eq!((said.code, problem["code"].as_str()), (1, Some("refused")), "{said:?}");
}

#[test]
fn a_list_of_several_pages_is_one_list() {
    let folder = two_accounts();
    let numbers: String = (0..1_002).map(|n| format!("212666{n:04}\n")).collect();
    assert_eq!(folder.onhook_reading(&["import", "-"], format!("number\n{numbers}").as_bytes()).code, 0);
    let table = folder.done(&["numbers"]);
    assert_eq!(table.lines().filter(|line| line.starts_with("+1212666")).count(), 1_002);
    assert_eq!(table.lines().count(), 1_003, "its headings are there once");
    assert_eq!(folder.done(&["numbers", "--json", "--limit", "1001"]).lines().count(), 1_001);
}

#[test]
fn a_killed_server_s_socket_is_in_nobody_s_way() {
    let Some(folder) = Folder::on_disk().map(Folder::with_the_guide) else { return };
    let mut server = folder.emulator();
    server.listening();
    server.kill();
    let socket = Path::new(&folder.data()).join("onhook.sock");
    assert!(is_there(&socket), "it is left behind");
    let lock = ["lock", "5405514342", "--reason", "it is printed on our vans"];
    assert_eq!(folder.done(&lock), "+15405514342 is locked\n");
    let mut server = folder.emulator();
    server.listening();
    assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);
    let unlock = ["unlock", "5405514342", "--reason", "the vans are sold"];
    assert_eq!(Way::Socket(&socket).done(&unlock), "+15405514342 is no longer locked\n");
    assert!(server.terminate().success());
    assert!(!is_there(&socket));
    refused(&Way::Socket(&socket).says(&unlock), "onhook: no server answers at the socket ");
    // Where it is known what the server would have, that is opened.
    let mut either = Way::Socket(&socket).command(&["explain", "5405514342"]);
    assert_eq!(run(either.args(folder.named()), b"").code, 0);
    assert_eq!(folder.done(&["check", "--deep"]).rsplit(": ").next(), Some("nothing is wrong\n"));
}

#[test]
fn a_server_on_any_store_has_a_socket_where_it_is_told() {
    let folder = Folder::of_the_guide();
    let socket = folder.path("s");
    let named = socket.to_str().expect("UTF-8").to_owned();
    let mut server = folder.serve(&["--emulator", "--socket", &named]);
    server.listening();
    let way = Way::Socket(&socket);
    assert_eq!(way.done(&["lock", "5405514342", "--reason", "r"]), "+15405514342 is locked\n");
    let other = Folder::of_the_guide();
    let mut second = command(&["serve", "--emulator", "--listen", "127.0.0.1:0", "--socket", &named]);
    refused(&run(second.args(other.named()), b""), &format!("another server has the socket {named}"));
    assert!(server.terminate().success());
    // A path that no system allows costs the socket alone.
    let long = folder.path(&"s".repeat(107));
    let mut server = folder.serve(&["--emulator", "--socket", long.to_str().expect("UTF-8")]);
    server.listening();
    assert!(server.terminate().success());
    assert!(
        folder.log().contains("bytes, and a socket's has at most 107. Say --socket PATH"),
        "{}",
        folder.log()
    );
}

#[test]
fn another_user_of_the_machine_is_kept_out() {
    use std::os::unix::process::CommandExt;
    let Some(folder) = Folder::on_disk().map(Folder::with_the_guide) else { return };
    let mut server = folder.emulator();
    server.listening();
    let socket = Path::new(&folder.data()).join("onhook.sock");
    if fs::metadata(&socket).is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) != 0) {
        return; // only root becomes another user
    }
    let bin = folder.path("onhook");
    copy_to(&bin);
    fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o755)).expect("it is ours");
    // Even where the folder lets others in.
    fs::set_permissions(folder.data(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut other = Command::new(bin);
    other.args(["numbers", "--data-dir", &folder.data()]).uid(65_534).gid(65_534);
    refused(&run(&mut other, b""), "may not be used by this user: it belongs to root");
    let mut other = Command::new(folder.path("onhook"));
    other.args(["numbers", "--socket"]).arg(&socket).uid(65_534).gid(65_534);
    refused(&run(&mut other, b""), "Permission denied");
}

#[test]
fn a_password_goes_only_where_it_may() {
    let Some(folder) = Folder::on_disk() else { return };
    let secret = file(&folder, "secret", "user = \"operator\"\npassword = \"pass phrase\"\n");
    let odd = file(&folder, "odd", "user = \"operator\"\npassword = pass phrase\n");
    let mode =
        |path: &str, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    mode(&secret, 0o640);
    mode(&odd, 0o600);
    let ask = |more: &[&str]| onhook(&[&["numbers"], more].concat());
    refused(&ask(&["--server", "https://127.0.0.1:1"]), "say who asks: ONHOOK_USER and ONHOOK_PASSWORD");
    let with = |file: &str, more: &[&str]| ask(&[&["--credentials", file], more].concat());
    refused(&with(&secret, &["--server", "https://127.0.0.1:1"]), "(mode 640): chmod 600 ");
    mode(&secret, 0o600);
    let said = with(&odd, &["--server", "https://127.0.0.1:1"]);
    refused(&said, "is to have two lines");
    assert!(!said.remarks.contains("phrase"), "{said:?}");
    for (server, remark) in [
        (
            "http://192.0.2.1:9",
            "would carry the password to another machine in the clear: use https, or say --insecure",
        ),
        ("https://operator:phrase@127.0.0.1:1", "a password in --server can be read by others"),
        ("ftp://127.0.0.1", "is no server"),
        ("numbers.example.net", "is no server"),
        ("https://127.0.0.1:1", "cannot reach https://127.0.0.1:1: "),
        ("http://127.0.0.1:1", "cannot reach http://127.0.0.1:1: "),
        ("http://[::1]:1", "cannot reach http://[::1]:1: "),
    ] {
        refused(&with(&secret, &["--server", server]), remark);
    }
    refused(
        &ask(&["--server", "http://127.0.0.1:1", "--data-dir", "d"]),
        "--server is one place, and --socket, --data-dir",
    );
}

#[test]
fn a_flag_goes_before_the_variable_of_another_place() {
    let folder = Folder::of_the_guide();
    let mut command = command(&["numbers", "--limit", "1"]);
    command.args(folder.named()).env("ONHOOK_SERVER", "https://127.0.0.1:1");
    let said = run(&mut command, b"");
    assert_eq!((said.code, said.remarks.as_str()), (0, ""));
}

#[test]
fn what_changes_something_says_why() {
    let folder = Folder::of_the_guide();
    refused(&folder.onhook(&["lock", "5405514342"]), "onhook: say why: --reason TEXT\n");
    let said = folder.onhook(&["lock", "5405514342", "--reason", " "]);
    assert_eq!(said, answers(2, "", "onhook: A reason is required: say why, as reason\n"));
}

/// Takes one request, and returns its head.
fn taken(listener: &TcpListener, answer: &[u8]) -> String {
    held(listener, answer).0
}

/// Takes one request, and returns its head and the connection, on which the answer may go on.
fn held(listener: &TcpListener, answer: &[u8]) -> (String, TcpStream) {
    let (mut stream, _) = listener.accept().expect("a client");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    stream.write_all(answer).expect("the client reads");
    (String::from_utf8(head).expect("a head is text").to_ascii_lowercase(), stream)
}

#[test]
fn a_request_whose_answer_is_lost_is_sent_again_under_the_same_key() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let heads = std::thread::spawn(move || {
        let lost = taken(&listener, b"");
        let body = "{\"number\":\"+15405514342\"}";
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        [lost, taken(&listener, answer.as_bytes())]
    });
    let said = Way::Network(address).done(&["lock", "5405514342", "--reason", "r"]);
    assert_eq!(said, "+15405514342 is locked\n");
    let heads = heads.join().expect("two requests");
    let key = |head: &str| {
        let line = head.lines().find(|line| line.starts_with("idempotency-key: ")).expect("a key");
        line.to_owned()
    };
    assert_eq!(key(&heads[0]), key(&heads[1]));
    assert!(heads[0].starts_with("post /ops/v1/numbers/%2b15405514342/lock http/1.1\r\n"), "{}", heads[0]);
}

#[test]
fn every_command_has_a_manual_page() {
    let Some(folder) = Folder::on_disk() else { return };
    let pages = folder.path("man1");
    let said = onhook(&["man", "--out", pages.to_str().expect("UTF-8")]);
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{}", said.answer);
    let page = |name: &str| fs::read_to_string(pages.join(name)).expect("a page");
    assert!(page("onhook.1").contains("onhook\\-lock(1)"), "{}", page("onhook.1"));
    let lock = page("onhook-lock.1");
    for part in ["\\-\\-reason", "onhook lock 5405514342 \\-\\-reason", "env: ONHOOK_DATA_DIR"] {
        assert!(lock.contains(part), "{part}: {lock}");
    }
    assert!(is_there(pages.join("onhook-admin-user-create.1")));
    assert!(!is_there(pages.join("onhook-help.1")));
}
