//! Every command as a user types it: its answer, its errors, and its exit status.

mod program;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use program::{
    ACCOUNT, Client, Folder, HEADER, Said, Server, command, copy_to, disconnected, file, is_there, not_done,
    onhook, redacted, refused, run, two_accounts, why,
};

/// One number or more in each state, as export writes them. Account 9900000 has site 1 with peers 1 and 2, and site 2.
/// Account 7 has site 3.
const ALL_STATES: &str = "\
2125550001,Available,,,,,NY,,,,
2125550002,Available,,,,\"NEW YORK, ZONE 1\",NY,,,,
2125550003,Reserved,9900000,,,NWYRCYZN01,NY,,,,2099-01-01T00:00:00.000Z
2125550004,InService,9900000,1,1,NWYRCYZN01,NY,,,,
2125550005,InService,9900000,1,2,NWYRCYZN01,NY,true,,,
2125550006,InService,9900000,2,,,NY,,true,,
2125550007,Aging,,1,1,NWYRCYZN01,NY,,,9900000,2099-03-01T00:00:00.000Z
2125550008,Aging,,3,,,NY,true,true,7,2099-03-01T05:06:07.089Z
2125550009,Protected,7,,,,NY,true,,,
2125550010,Administrative,,,,,NY,,,,
2125550011,Removed,,,,,NY,true,true,,
+442071838750,InService,7,3,,,,,,,
";

#[test]
fn an_export_can_be_imported_and_exports_the_same_bytes() {
    let (first, second) = (two_accounts(), two_accounts());
    let numbers = format!("{HEADER}\n{ALL_STATES}");
    let said = first.onhook_reading(&["import", "-"], numbers.as_bytes());
    let twelve = "12 numbers imported, 0 lines refused\n";
    assert_eq!(said, Said { code: 0, answer: twelve.into(), remarks: String::new() });

    let exported = first.done(&["export"]);
    assert_eq!(exported, numbers);
    let exported = file(&second, "numbers.csv", &exported);
    assert_eq!(second.done(&["import", &exported]), twelve);
    assert_eq!(second.done(&["export"]), numbers);
    for folder in [first, second] {
        assert_eq!(folder.done(&["check", "--deep"]), "12 numbers, 9 events, 0 orders: nothing is wrong\n");
    }
}

#[test]
fn numbers_of_an_owner_or_another_carrier_are_never_in_the_pool() {
    let folder = two_accounts();
    let lines = format!(
        "{HEADER}\n2125550001,Available,,,,,,true,,,\n2125550002,Available,,,,,,,true,,\n\
         8005550100,InService,9900000,,,,,true,,,\n2125550003,Protected,9900000,,,,,,,,\n"
    );
    let said = folder.onhook_reading(&["import", "-", "--partial"], lines.as_bytes());
    assert_eq!(said.code, 1);
    for why in
        ["line 2: Available takes no protected", "line 3: Available takes no ported_in", "line 4: toll-free"]
    {
        assert!(said.remarks.contains(why), "{why}: {}", said.remarks);
    }
    // A number in its owner's inventory is protected, even if the line says otherwise.
    assert!(folder.done(&["export"]).contains("2125550003,Protected,9900000,,,,NY,true,,,"));
}

#[test]
fn exchanges_are_imported_all_or_none_and_bad_lines_are_named() {
    let folder = two_accounts();
    let import = |text: &str| folder.onhook_reading(&["import-exchanges", "-"], text.as_bytes());
    let bad = "npa_nxx,state,rate_center,lata,city,zip\n919-555,NC,RALEIGH,426,RALEIGH,27601 27602\n\
               919155,NC,RALEIGH,,,\n919556,XX,RALEIGH,,,\n919557,NC,,,,\n919555,NC,RALEIGH,,,\n919558,NC,A,4,,\n\
               919559,NC,A,,,2760\n919560\n";
    let said = import(bad);
    assert_eq!((said.code, said.answer.as_str()), (1, "nothing imported, 7 lines are bad\n"));
    insta::assert_snapshot!("bad_exchanges", said.remarks);

    let good = "NPA,NXX,State,Rate_Center,Rate_Center_Name\n919,555,nc,Wkeforest,Wake Forest\n";
    let done = Said { code: 0, answer: "1 exchange imported\n".into(), remarks: String::new() };
    assert_eq!(import(good), done);
    assert_eq!(import(good), done, "what is there gives way");
    // A number without a rate center or region gets those of its exchange, or the region of its area code.
    let numbers = b"number\n9195550100\n2125550001\n8005550100\n";
    assert_eq!(folder.onhook_reading(&["import", "-"], numbers).code, 0);
    let rows = "2125550001,Available,,,,,NY,,,,\n8005550100,Available,,,,,,,,,\n9195550100,Available,,,,WKEFOREST,NC,,,,\n";
    assert_eq!(folder.done(&["export"]), format!("{HEADER}\n{rows}"));

    for (text, remark) in [
        ("npa_nxx,state\n", "column rate_center is missing"),
        ("npa_nxx,rate_center\n", "column state is missing"),
        ("npa,state,rate_center\n", "npa_nxx is wanted, or npa and nxx"),
        ("npa_nxx,npa,nxx,state,rate_center\n", "npa_nxx is wanted, or npa and nxx"),
        ("npa_nxx,state,rate_center,ocn\n", "there is no column \"ocn\""),
        ("", "the file is empty"),
    ] {
        refused(&import(text), remark);
    }
    let endless = format!("npa_nxx,state,rate_center\n919555,NC,{}\n", "A".repeat(70_000));
    let said = import(&endless);
    assert_eq!(said.code, 1);
    assert!(said.remarks.contains("a line is longer than 65536 bytes"), "{}", said.remarks);
}

#[test]
fn columns_may_come_in_any_order_and_fields_be_left_out() {
    let folder = two_accounts();
    // A file as a spreadsheet saves it: a byte order mark, capitals, carriage returns, blanks.
    let said = folder.onhook_reading(
        &["import", "-"],
        b"\xEF\xBB\xBFRegion,Number,State,Account,Protected\r\nny, 2125550001 ,,,\r\nNY,+12125550002,InService,9900000,Yes\r\n",
    );
    assert_eq!(said.code, 0, "{said:?}");
    let rows = "2125550001,Available,,,,,NY,,,,\n2125550002,InService,9900000,1,1,,NY,true,,,\n";
    assert_eq!(folder.done(&["export"]), format!("{HEADER}\n{rows}"));
}

#[test]
fn bad_lines_are_named_by_kind_and_only_partial_imports_the_good_ones() {
    let folder = two_accounts();
    let path = file(
        &folder,
        "numbers.csv",
        &[
            HEADER,
            "2125550001,,,,,,,,,,",
            "2125550,,,,,,,,,,",
            "2.12556E+09,,,,,,,,,,",
            ",,,,,,,,,,",
            "2125550003,Asleep,,,,,,,,,",
            "2125550003,InService,,,,,,,,,",
            "2125550003,InService,8,,,,,,,,",
            "2125550003,InService,9900000,3,,,,,,,",
            "2125550003,InService,9900000,2,1,,,,,,",
            "2125550003,Available,9900000,,,,,,,,",
            "2125550003,Aging,,,,,,,,9900000,",
            "2125550003,Aging,,,,,,,,9900000,tomorrow",
            "2125550003,Reserved,nobody,,,,,,,,2099-01-01T00:00:00Z",
            "2125550003,,,,,,,perhaps,,,",
            "2125550003,,,,,NWYRCYZN01,,,,,",
            "2125550003,,,,,NWYRCYZN01,New York,,,,",
            "2125550003,,,",
            "2125550001,,,,,,,,,,",
            "2125550004,,,,,,,,,,",
        ]
        .join("\n"),
    );
    let said = folder.onhook(&["import", &path]);
    assert_eq!((said.code, said.answer.as_str()), (1, "nothing imported, 17 lines are bad\n"));
    insta::assert_snapshot!("bad_lines", said.remarks);
    assert_eq!(folder.done(&["export"]), format!("{HEADER}\n"));
    assert_eq!(folder.done(&["check", "--deep"]), "0 numbers, 8 events, 0 orders: nothing is wrong\n");

    let partial = folder.onhook(&["import", &path, "--partial"]);
    assert_eq!((partial.code, partial.answer.as_str()), (1, "2 numbers imported, 17 lines refused\n"));
    assert_eq!(partial.remarks, said.remarks);
    let rows = "2125550001,Available,,,,,NY,,,,\n2125550004,Available,,,,,NY,,,,\n";
    assert_eq!(folder.done(&["export"]), format!("{HEADER}\n{rows}"));
    assert_eq!(folder.done(&["check", "--deep"]), "2 numbers, 10 events, 0 orders: nothing is wrong\n");

    let again = folder.onhook_reading(&["import", "-"], b"number\n2125550001\n");
    assert_eq!((again.code, again.remarks.as_str()), (1, "line 2: +12125550001 is here already\n"));
}

/// A line says only that it is bad. The summary says what is wrong, with a server and without one.
#[test]
fn bad_lines_of_call_records_are_counted_by_what_is_wrong() {
    let folder = Folder::of_the_guide();
    let calls = "called,answered,seconds\n12x,2024-01-01T00:00:00Z,1\n5405514342,2024-01-01,1\n\n5405514342,soon,1\n\
        5405514342,2024-01-01T00:00:00Z,x\n5405514342\n5405514342,9000-01-01T00:00:00Z,1\n5405514342,,0\n";
    let calls = file(&folder, "calls.csv", calls);
    let rate = ["rate", "--number", "called", "--time", "2", "--seconds", "3", &calls];
    let said = folder.onhook(&rate);
    assert_eq!(said.code, 1);
    insta::assert_snapshot!(said.remarks);
    let mut server = folder.emulator();
    server.listening();
    assert_eq!(folder.onhook(&rate), said, "a server rates");
}

/// Nothing is written of a file of which no line could be read.
#[test]
fn call_records_are_not_rated_by_a_layout_that_reads_nothing() {
    let folder = Folder::of_the_guide();
    let calls = file(&folder, "calls.csv", "called,answered\n5405514342,0\n");
    let rate = |more: &[&str]| folder.onhook(&[&["rate", "--number", "1", &calls], more].concat());
    for (more, wrong) in [
        (&["--time", "2", "--time-format", "unixms"][..], "time_format is rfc3339, unix, unix_ms"),
        (&["--time", "3"], "the header has 2 columns, and no column 3"),
    ] {
        refused(&rate(more), wrong);
    }
    assert_eq!(rate(&["--time", "2", "--time-format", "unix"]).code, 0);
}

/// A file is named, or standard input is, or there is none. What cannot be read is told without a word of the server.
#[test]
fn call_records_come_from_a_file_or_standard_input() {
    let folder = Folder::of_the_guide();
    let calls = "called,answered,seconds\n5405514342,2024-01-01T00:00:00Z,1\n";
    let path = file(&folder, "calls.csv", calls);
    fn rate<'a>(of: &[&'a str]) -> Vec<&'a str> {
        [&["rate", "--number", "1", "--time", "2", "--seconds", "3"], of].concat()
    }
    let of_file = folder.onhook(&rate(&[&path])).answer;
    assert_eq!(of_file.lines().count(), 2);
    for from in [&["-"][..], &[]] {
        let said = folder.onhook_reading(&rate(from), calls.as_bytes());
        assert_eq!((said.code, said.answer), (0, of_file.clone()), "{from:?}");
    }
    let said = folder.onhook_reading(&rate(&["-"]), b"\x1F\x8B\x08\x00");
    refused(&said, "it is compressed with gzip: unpack it first, as gunzip -c does");
    let said = folder.onhook(&rate(&[env!("CARGO_MANIFEST_DIR")]));
    refused(&said, "it is a folder");
    assert!(!said.remarks.contains("http"), "{said:?}");
}

#[test]
fn a_thousand_bad_lines_of_a_kind_are_counted_and_the_first_named() {
    let folder = two_accounts();
    let said = folder.onhook_reading(&["import", "-"], format!("number\n{}", "1\n".repeat(1_003)).as_bytes());
    assert_eq!((said.code, said.answer.as_str()), (1, "nothing imported, 1003 lines are bad\n"));
    let why = "number \"1\": 1 digit: ten, or `+` and 8 to 15, are wanted";
    let wanted = format!(
        "1003 lines: number: 1 digit: ten, or `+` and 8 to 15, are wanted\n  line 2: {why}\n  line 3: {why}\n  \
         line 4: {why}\n  … and 1000 more\n"
    );
    assert_eq!(said.remarks, wanted);
}

#[test]
fn a_file_whose_first_line_is_wrong_is_refused_before_anything_is_made() {
    let Some(folder) = Folder::on_disk() else { return };
    for (text, remark) in [
        (&b""[..], "onhook: the file is empty; its first line names the columns\n"),
        (b"number,colour\n", "there is no column \"colour\"; there are number, state, account, "),
        (b"2125550001\n2125550002\n", "the first line names the columns, parted by commas, and there is no"),
        (b"number;state\n", "there is no column \"number;state\""),
        (b"number,state,number\n", "the first line names column number twice"),
        (b"state,account\n", "column number is missing"),
        (b"number,\xFF\n", "the first line cannot be read"),
        (b"\xFF\xFEn\0u\0m\0", "the file is UTF-16: save it as UTF-8\n"),
        (b"\xFE\xFF\0n\0u\0m", "the file is UTF-16: save it as UTF-8\n"),
        (b"n\0u\0m\0b\0e\0r\0\n\0", "the file is UTF-16: save it as UTF-8\n"),
        (b"\0n\0u\0m\0b\0e\0r\0\n", "the file is UTF-16: save it as UTF-8\n"),
        (b"\xFF\xFE\0\0n\0\0\0", "the file is UTF-32: save it as UTF-8\n"),
    ] {
        refused(&folder.onhook_reading(&["import", "-"], text), remark);
    }
    refused(
        &folder.onhook(&["import", "/nowhere/numbers.csv"]),
        "cannot read /nowhere/numbers.csv: No such file",
    );
    refused(&folder.onhook(&["import", "/"]), "the first line cannot be read: ");
    assert!(!is_there(folder.data()), "a folder was made");
}

#[test]
fn accounts_sites_peers_and_users_are_made_and_listed() {
    let folder = two_accounts();
    let mut listed = folder.done(&["admin", "account", "list"]);
    for of in ["site", "peer"] {
        listed += &folder.done(&["admin", of, "list"]);
        listed += &folder.done(&["admin", of, "list", "--account", "7"]);
    }

    for (name, role, account) in [
        ("reader", "read", "7"),
        ("orderer", "order", "7"),
        ("boss", "admin", "9900000"),
        ("root", "operator", ""),
    ] {
        let mut arguments = vec!["admin", "user", "create", name, "--role", role, "--password-stdin"];
        if !account.is_empty() {
            arguments.extend(["--account", account]);
        }
        let said = folder.onhook_reading(&arguments, b"correct horse\n");
        assert_eq!(said, Said { code: 0, answer: format!("user {name}\n"), remarks: String::new() });
    }
    listed += &folder.done(&["admin", "user", "list"]);
    listed += &folder.done(&["admin", "user", "list", "--account", "7"]);
    listed += &folder.done(&["admin", "account", "show", "7"]);
    insta::assert_snapshot!("admin_lists", listed);
    let json = folder.done(&["admin", "site", "list", "--account", "7", "--json"]);
    let site: serde_json::Value = serde_json::from_str(&json).expect("one line of JSON");
    assert_eq!((&site["id"], &site["is_default"]), (&"3".into(), &true.into()), "{json}");
}

#[test]
fn what_cannot_be_created_is_refused_with_the_reason() {
    let folder = two_accounts();
    for (arguments, remark) in [
        (&["admin", "account", "create", "8", "--name", ""][..], "a name has 1 to 100 characters"),
        (&["admin", "account", "create", "8", "--name", "a\nb"], "no control characters"),
        (&["admin", "site", "create", "--account", "8", "--name", "Site"], "account 8"),
        (&["admin", "peer", "create", "--account", "7", "--site", "1", "--name", "Peer"], "site 1"),
    ] {
        refused(&folder.onhook(arguments), remark);
    }
    let again = ["admin", "account", "create", "7", "--name", "Again"];
    not_done(&folder.onhook(&again), "account 7");
    let user = |name: &str, more: &[&str], password: &[u8]| {
        let arguments = [&["admin", "user", "create", name, "--password-stdin"], more].concat();
        folder.onhook_reading(&arguments, password)
    };
    let good = b"correct horse".as_slice();
    let order = ["--role", "order", "--account", "7"];
    for (name, more, password, remark) in [
        ("u", &["--role", "order"][..], good, "a user of role order has an account: say --account ID"),
        (
            "u",
            &["--role", "operator", "--account", "7"],
            good,
            "an operator has no account: leave --account out",
        ),
        ("u", &["--role", "order", "--account", "8"], good, "account 8"),
        ("u", &["--role", "boss"], good, "[possible values: read, order, admin, operator]"),
        ("u:v", &order, good, "no colon"),
        ("", &order, good, "1 to 255 bytes"),
        ("..", &order, good, "not . or .."),
        ("u\u{202E}v", &order, good, "no control or format characters"),
        ("u", &order, b"", "a password has 8 to 1024 bytes"),
        ("u", &order, b"seven77\n", "a password has 8 to 1024 bytes"),
        ("u", &order, &[b'p'; 1_025], "a password has 8 to 1024 bytes"),
        ("u", &order, b"correct\nhorse", "a password is one line"),
        ("u", &order, b"correct \xFF horse", "cannot read the password"),
    ] {
        refused(&user(name, more, password), remark);
    }
    assert_eq!(folder.done(&["admin", "user", "list"]), "");
    assert_eq!(user("u", &order, b"eight888\r\n").code, 0);
    not_done(&user("u", &order, good), "user u exists");
    not_done(&user("U", &order, good), "user U exists");
    assert_eq!(user("v", &order, &[b'p'; 1_024]).code, 0);
}

#[test]
fn a_folder_in_use_or_without_data_is_refused_with_the_reason() {
    let Some(folder) = Folder::on_disk() else { return };
    let on_data = [
        &["check"][..],
        &["export"],
        &["explain", "5405514342"],
        &["admin", "user", "list"],
        &["admin", "site", "create", "--account", "7", "--name", "Site"],
    ];
    for arguments in on_data {
        let remark = format!("onhook: there is no onhook data in {}: is --data-dir right?\n", folder.data());
        refused(&folder.onhook(arguments), &remark);
    }
    assert!(!is_there(folder.data()), "a folder was made");

    let mut server = folder.emulator();
    server.listening();
    let remark = "is in use by another onhook: stop that one first\n";
    refused(&folder.onhook(&["serve", "--listen", "127.0.0.1:0"]), remark);
    assert!(server.terminate().success());
    assert_eq!(folder.onhook(&["check", "--deep"]).code, 0);
}

/// Another command may have the folder for a moment. A server has it for as long as it runs, and answers.
#[test]
fn a_command_waits_a_moment_for_a_folder_that_another_one_has() {
    let Some(folder) = Folder::on_disk().map(Folder::with_two_accounts) else { return };
    let lock = std::fs::File::open(Path::new(&folder.data()).join("onhook.lock")).expect("there is data");
    lock.lock().expect("nobody has it");
    let refused = folder.onhook(&["admin", "account", "list"]);
    assert_eq!(refused.code, 2);
    assert!(refused.remarks.contains("does not answer at"), "{}", refused.remarks);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| folder.onhook(&["admin", "account", "list"]));
        std::thread::sleep(std::time::Duration::from_millis(500)); // it waits longer, and passes if it did not begin
        lock.unlock().expect("it is ours");
        assert_eq!(waits.join().expect("it ends").code, 0);
    });
}

/// The next server would go by the time of an import under a wrong clock.
#[test]
fn a_command_that_writes_looks_at_the_clock_and_notes_the_time() {
    const DAY_MS: i64 = 86_400_000;
    let Some(folder) = Folder::on_disk().map(Folder::with_two_accounts) else { return };
    let database = || {
        let path = Path::new(&folder.data()).join("onhook.db");
        rusqlite::Connection::open(path).expect("a database")
    };
    let meta = |key: &str| -> Option<i64> {
        let value = database().query_row("SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0));
        value.ok()
    };
    let used = |ago_ms: i64| {
        let now = meta("last_seen").expect("each command notes the time");
        database()
            .execute("UPDATE meta SET value = ? WHERE key = 'last_seen'", [now - ago_ms])
            .expect("kept");
    };
    let import = |number: &str, more: &[&str]| {
        folder.onhook_reading(&[&["import", "-"], more].concat(), format!("number\n{number}\n").as_bytes())
    };
    let last = meta("last_seen");
    assert_eq!(import("2125550100", &[]).code, 0);
    assert!(meta("last_seen") > last, "an import, too");

    used(20 * DAY_MS);
    let site = ["admin", "site", "create", "--account", "7", "--name", "Another"];
    let said = "onhook: the clock is 20 days ahead of the store's last use: nothing was written. Set the machine's \
                clock right; if it is right, say --trust-clock";
    for said_no in [import("2125550101", &[]), folder.onhook(&site)] {
        refused(&said_no, said);
    }
    assert_eq!(
        folder.done(&["check"]),
        "1 number, 8 events, 0 orders: nothing is wrong\n",
        "reading goes on"
    );
    assert_eq!(import("2125550101", &["--trust-clock"]).code, 0);
    assert_eq!(folder.onhook(&site).code, 0, "the word counts from then on");
    // Unseen time adds up over several commands.
    for code in [0, 0, 2] {
        used(3 * DAY_MS);
        assert_eq!(folder.onhook(&site).code, code);
    }
    used(-3 * DAY_MS - 130 * 60_000);
    refused(&folder.onhook(&site), "the clock is 2 hours behind the store's last use");

    // If no time was noted, the newest event counts.
    database().execute_batch("DELETE FROM meta WHERE key IN ('last_seen', 'unseen_ms')").expect("forgotten");
    let past = "UPDATE event SET at = at - 30 * 86400000";
    database().execute_batch(past).expect("the events are older");
    refused(&import("2125550102", &[]), "the clock is 30 days ahead of the store's last use");
}

#[test]
fn check_finds_what_was_tampered_with() {
    let Some(folder) = Folder::on_disk().map(one_disconnected) else { return };
    let well = "302 numbers, 9 events, 1 order: nothing is wrong\n";
    assert_eq!(folder.done(&["check"]), well);
    assert_eq!(folder.done(&["check", "--deep"]), well);
    insta::assert_snapshot!("check_json", folder.done(&["check", "--deep", "--json"]));

    let database = Path::new(&folder.data()).join("onhook.db");
    let tamper = |sql: &str| {
        let connection = rusqlite::Connection::open(&database).expect("a database");
        connection.execute_batch(sql).expect("it can be changed");
    };
    let finds = |of: &[&str], what: &str, findings: &str| {
        let said = folder.onhook(of);
        assert_eq!((said.code, said.remarks.as_str()), (1, ""), "{}", said.answer);
        assert!(said.answer.contains(what) && said.answer.ends_with(findings), "{}", said.answer);
    };
    // An aging number is marked as protected. No count shows this, only its events.
    tamper("UPDATE number SET flags = 1 WHERE number = 15405514342");
    assert_eq!(folder.done(&["check"]), well);
    let flag = "+15405514342: its protected flag is set, and from its events follows not set\nWhat to do: ";
    finds(&["check", "--deep"], flag, "302 numbers, 9 events, 1 order: 1 finding\n");
    // Another number is moved to the pool.
    tamper("UPDATE number SET state = 0, holder = NULL, site = NULL, peer = NULL WHERE number = 17034343704");
    finds(
        &["check"],
        "numbers of account 9900000 in state InService: the kept count is 1, and there are 0",
        " findings\n",
    );
    let said = folder.onhook(&["check", "--deep", "--json"]);
    assert_eq!(said.code, 1);
    assert!(said.answer.contains("\"findings\":[{\""), "{}", said.answer);

    fs::write(&database, "this is no database, and it is long enough to be taken for one").expect("room");
    refused(&folder.onhook(&["check"]), "onhook: cannot open the database: ");
}

/// Puts the documented account there, whose number 5405514342 is aging.
fn one_disconnected(folder: Folder) -> Folder {
    let folder = folder.with_the_guide();
    let mut server = folder.emulator();
    disconnected(&mut Client::of(server.listening()), ACCOUNT, "5405514342");
    assert!(server.terminate().success());
    folder
}

#[test]
fn the_emulator_and_an_operator_s_data_are_kept_apart() {
    let folder = Folder::new();
    folder.done(&["admin", "account", "create", "7", "--name", "An operator's"]);
    refused(&folder.onhook(&["serve", "--emulator"]), "Give the emulator a folder or a database of its own");
    let documented = Folder::of_the_guide();
    refused(&documented.onhook(&["serve"]), "everybody knows its passwords");
}

#[test]
fn explain_says_where_a_number_is_and_why() {
    let folder = one_disconnected(Folder::new());
    insta::assert_snapshot!("explain_aging", redacted(&folder.done(&["explain", "5405514342"])));
    let json = folder.done(&["explain", "+15405514342", "--json"]);
    insta::assert_snapshot!("explain_json", in_lines(&redacted(&json)));
    insta::assert_snapshot!("explain_in_service", redacted(&folder.done(&["explain", "7034343704"])));
    insta::assert_snapshot!("explain_available", redacted(&folder.done(&["explain", "9195550100"])));

    let said = folder.onhook(&["explain", "2125559999"]);
    let remark = "+12125559999 is not in this store\n";
    assert_eq!(said, Said { code: 1, answer: String::new(), remarks: remark.into() });
    refused(&folder.onhook(&["explain", "540-551-4342"]), "only ASCII digits, after an optional `+`");
}

/// Formats a JSON document for people.
fn in_lines(document: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
    serde_json::to_string_pretty(&document).expect("text")
}

#[test]
fn serve_refuses_invalid_settings() {
    let Some(folder) = Folder::on_disk() else { return };
    let profile = "[[profiles]]\nname = \"us\"\nprefixes = [\"1\"]\nmin_days = 44\nmax_days = 90\n";
    for (number, (config, remark)) in [
        ("lisen = \"127.0.0.1:9080\"\n", "unknown field `lisen`, expected one of `listen`, `data_dir`"),
        ("listen = \"9080\"\n", "cannot be used: "),
        ("listen = \n", "cannot be used: "),
        (profile, "profile us: min_days is 44, under the floor of 45 days (47 CFR 52.15(f)(1)(ii))"),
        ("time_zone = \"Mars/Phobos\"\n", "no time zone Mars/Phobos"),
        ("release_wait = 1441\n", "release_wait is 1441: it is a number of minutes from 0 to 1440"),
        ("connections_max = 0\n", "connections_max is 0: it is a number from 1 to 1000000"),
        ("connections_max = 9000000000000000000\n", "it is a number from 1 to 1000000"),
        ("search_tier = 6\n", "search_tier is 6: it is a number from 0 to 5"),
        ("search_vendor_name = \"\"\n", "search_vendor_name is \"\": it is a text of 1 to 50 characters"),
        ("search_vendor_id = \"49\"\n", "cannot be used: "),
        ("public_url = \"numbers.example.net\"\n", "the public URL \"numbers.example.net\" is none"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = file(&folder, &format!("{number}.toml"), config);
        refused(&folder.onhook(&["serve", "--config", &path]), remark);
    }
    for (arguments, remark) in [
        (&["--listen", "0.0.0.0:0"][..], "put a proxy that speaks TLS in front and say --behind-proxy"),
        (&["--listen", "[::]:0"], "passwords would travel in the clear"),
        (&["--listen", "9080"], "it is an address and a port, such as 127.0.0.1:9080 or localhost:9080"),
        (&["--listen", "localhost"], "it is an address and a port"),
        (&["--listen", "http://localhost:9080"], "it is an address and a port"),
        (&["--config", "/nowhere/onhook.toml"], "cannot read /nowhere/onhook.toml: No such file"),
        (&["--time-zone", "Nowhere"], "no time zone Nowhere"),
        (&["--public-url", "https://exam ple.net"], "the public URL \"https://exam ple.net\" is none"),
        (&["--public-url", "ftp://example.net"], "such as https://numbers.example.net"),
        (&["--log", "onhook=loud"], "the log filter cannot be read"),
        (&["--rate-limit", "many"], "it is a whole number from 0 to 4294967295"),
        (&["--rate-limit", "-1"], "it is a whole number from 0 to 4294967295"),
        (&["--shown-limit", "-5"], "it is a whole number from 0 to 4294967295"),
        (&["--callback-port", "-5"], "it is a port, a whole number from 1 to 65535"),
        (&["--callback-port", "0"], "it is a port, a whole number from 1 to 65535"),
        (&["--search-vendor-name", "a\nb"], "it is a text of 1 to 50 characters"),
        (&["--search-tier", "256"], "256 is not in 0..=255"),
    ] {
        refused(&folder.onhook(&[&["serve"], arguments].concat()), remark);
    }
    refused(&onhook(&["serve"]), "say where the data is: --data-dir DIR");
    assert!(!is_there(folder.data()), "a folder was made");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    refused(
        &folder.onhook(&["serve", "--emulator", "--listen", &address]),
        &format!("cannot listen on {address}: "),
    );
}

#[test]
fn an_emulator_begins_with_a_seed_once() {
    let Some(folder) = Folder::on_disk() else { return };
    let seed =
        file(&folder, "seed.yaml", "numbers: [{number: 9195550189, state: InService, account: 9900000}]\n");
    let wrong = file(&folder, "wrong.yaml", "numbers: [{number: 5405514342}]\n");
    let serve = ["serve", "--emulator", "--listen", "127.0.0.1:0", "--seed"];
    refused(&folder.onhook(&[&serve[..], &["/nowhere.yaml"]].concat()), "/nowhere.yaml cannot be read");
    let Some(mistaken) = Folder::on_disk() else { return };
    refused(&mistaken.onhook(&[&serve[..], &[&wrong]].concat()), "/numbers/0");
    refused(&onhook(&["serve", "--seed", &seed]), "--emulator");

    let Some(with_seed) = Folder::on_disk() else { return };
    let mut server = with_seed.serve(&["--emulator", "--seed", &seed]);
    server.listening();
    assert!(with_seed.done(&["explain", "9195550189"]).contains("in service"));
    assert!(server.terminate().success());
    let mut again = with_seed.serve(&["--emulator", "--seed", &seed]);
    again.listening();
    assert!(with_seed.log().contains("has data already"), "{}", with_seed.log());
}

#[test]
fn an_ephemeral_emulator_needs_no_folder_and_leaves_none() {
    refused(&onhook(&["serve", "--ephemeral"]), "--emulator");
    refused(
        &onhook(&["serve", "--emulator", "--ephemeral", "--data-dir", "/nowhere"]),
        "cannot be used with",
    );
    let mut serve = command(&["serve", "--emulator", "--ephemeral", "--listen", "127.0.0.1:0"]);
    serve.env("ONHOOK_LOG", "info").env("ONHOOK_LOG_FORMAT", "text");
    let mut server = Server::start(&mut serve);
    let mut client = Client::of(server.listening());
    let found = client.send("GET", "/api/tns/5405514342", "", "").expect("an answer").body;
    assert!(found.contains("<Status>Inservice</Status>"), "{found}");
    let folder = folders_of(server.id());
    assert_eq!(folder.len(), 1, "{folder:?}");
    assert!(server.terminate().success());
    assert!(!folder[0].exists(), "it goes with the server");
}

/// Returns the temporary folders of data that a process with this id has made.
fn folders_of(process: u32) -> Vec<std::path::PathBuf> {
    let begin = format!("onhook-{process}-");
    let places = [std::path::PathBuf::from("/dev/shm"), std::env::temp_dir()];
    let entries = places.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begin)))
        .collect()
}

#[test]
fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
    let Some(folder) = Folder::on_disk() else { return };
    let config = "listen = \"127.0.0.1:1\"\ndata_dir = \"/nowhere\"\nrate_limit = 5\nsearch_vendor_id = 7\n\
                  search_vendor_name = \"the file's\"\nsearch_tier = 1\n";
    let config = file(&folder, "onhook.toml", config);
    let flags = ["--listen", "127.0.0.1:0", "--search-tier", "3", "--config", &config];
    let mut serve = command(&[&["serve", "--emulator"], &flags[..]].concat());
    serve.env("ONHOOK_LISTEN", "127.0.0.1:2").env("ONHOOK_DATA_DIR", folder.data()).env("ONHOOK_LOG", "off");
    serve.env("ONHOOK_SEARCH_VENDOR_NAME", "the variable's").env("ONHOOK_SEARCH_TIER", "2");
    let mut server = Server::start(&mut serve);
    let mut client = Client::of(server.listening());
    assert_eq!(client.send("GET", "/readyz", "", "").expect("an answer").status, 200);
    let search = "/api/accounts/9900000/availableNumbers?areaCode=919&quantity=1&enableTNDetail=true";
    let found = client.send("GET", search, "", "").expect("an answer").body;
    let vendor = "<Tier>3</Tier><VendorId>7</VendorId><VendorName>the variable's</VendorName>";
    assert!(found.contains(vendor), "{found}");
    assert!(server.terminate().success());
    assert!(is_there(folder.data()));
}

#[test]
fn serve_logs_its_settings_at_start() {
    let Some(folder) = Folder::on_disk() else { return };
    let mut server = folder.serve(&[]);
    let address = server.listening();
    assert!(server.terminate().success());
    let (log, version, data) = (folder.log(), env!("CARGO_PKG_VERSION"), folder.data());
    let line = format!("onhook {version} answers on {address} with the data in {data} (schema ");
    assert_eq!(log.matches(&line).count(), 1, "{log}");
    assert!(log.contains("; set beside the defaults: nothing"), "{log}");
    assert!(!log.contains("trust-clock"), "{log}");

    let config = file(&folder, "onhook.toml", "connections_max = 5000\ncallback_ports = [9443]\n");
    // As many open files as a careful system allows a process.
    let mut serve = std::process::Command::new("sh");
    serve.args(["-c", "ulimit -n 300; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_onhook"), "serve"]);
    serve.args(["--listen", "127.0.0.1:0", "--log-format", "text", "--config", &config, "--data-dir", &data]);
    serve.args(["--rate-limit", "0", "--trust-clock", "--behind-proxy", "--callback-allow", "10.1.0.0/16"]);
    serve
        .env("ONHOOK_SMTP_URL", "smtps://user:secret@mail.example.com")
        .env("ONHOOK_SMTP_FROM", "a@example.com");
    let log = fs::File::create(folder.path("second")).expect("a log");
    let mut server = Server::start(serve.stderr(log));
    server.listening();
    assert!(server.terminate().success());
    let log = fs::read_to_string(folder.path("second")).expect("a log");
    let set = "set beside the defaults: rate_limit=0, connections_max=5000, callback_allow=[10.1.0.0/16], \
               callback_ports=[9443], smtp_url, smtp_from=a@example.com, trust_clock, behind_proxy";
    assert!(log.contains(set), "{log}");
    assert!(!log.contains("secret"), "{log}");
    assert!(log.contains("at most 150 connections are open at once, 5000 are set"), "{log}");
    assert_eq!(log.matches("--trust-clock: this start does not ask").count(), 1, "{log}");
}

#[test]
fn every_command_takes_a_configuration_file() {
    let folder = two_accounts();
    let [flag, data] = folder.named();
    let setting = flag.trim_start_matches('-').replace('-', "_");
    let config = file(&folder, "onhook.toml", &format!("{setting} = {data:?}\n"));
    let numbers = file(&folder, "numbers.csv", "number\n2125550001\n");
    let exchanges = file(&folder, "exchanges.csv", "npa_nxx,state,rate_center\n212555,NY,NWYRCYZN01\n");
    for arguments in [
        &["import", &numbers][..],
        &["import-exchanges", &exchanges],
        &["export"],
        &["check", "--deep"],
        &["explain", "2125550001"],
        &["admin", "account", "list"],
        &["admin", "site", "create", "--account", "7", "--name", "Another"],
        &["admin", "peer", "list"],
        &["admin", "user", "list"],
        &["numbers"],
        &["orders"],
        &["completions", "bash"],
    ] {
        let said = onhook(&[arguments, why(arguments), &["--config", &config]].concat());
        assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{arguments:?}");
        let mut by_variable = command(&[arguments, why(arguments)].concat());
        let said = run(by_variable.env("ONHOOK_CONFIG", &config), b"");
        let again = arguments[0] == "import";
        assert_eq!(said.code, i32::from(again), "{arguments:?}: {said:?}");
    }
    // Every command uses the configuration, and reports what is wrong with it.
    let wrong = file(&folder, "wrong.toml", "time_zone = \"Mars/Phobos\"\n");
    refused(&folder.onhook(&["check", "--config", &wrong]), "no time zone Mars/Phobos");
    refused(&folder.onhook(&["export", "--config", "/nowhere.toml"]), "cannot read /nowhere.toml");
}

#[test]
fn a_name_is_an_address_to_listen_on() {
    let folder = Folder::new();
    let mut serve = command(&["serve", "--emulator", "--listen", "localhost:0"]);
    let mut server = Server::start(serve.args(folder.named()).env("ONHOOK_LOG", "off"));
    assert!(server.listening().ip().is_loopback());
    assert!(server.terminate().success());
    let config = file(&folder, "onhook.toml", "listen = \"localhost:0\"\n");
    let mut serve = command(&["serve", "--emulator", "--config", &config]);
    let mut server = Server::start(serve.args(folder.named()).env("ONHOOK_LOG", "off"));
    assert!(server.listening().ip().is_loopback());
    assert!(server.terminate().success());
}

#[test]
fn variables_that_are_no_settings_are_named() {
    let folder = two_accounts();
    let mut list = command(&["admin", "account", "list"]);
    list.args(folder.named())
        .env("ONHOOK_LISEN", "127.0.0.1:9080")
        .env("ONHOOK_FAVOURITE_COLOUR", "blue")
        .env("ONHOOK_LOG", "info");
    let said = run(&mut list, b"");
    let remarks = "onhook: the variable ONHOOK_FAVOURITE_COLOUR is ignored: onhook has no such setting\n\
                   onhook: the variable ONHOOK_LISEN is ignored: is ONHOOK_LISTEN meant?\n";
    assert_eq!((said.code, said.remarks.as_str()), (0, remarks));
}

/// Runs a command line on a terminal of its own, types `typed`, and returns what the terminal showed.
fn on_a_terminal(line: &str, typed: &str) -> Said {
    let mut script = std::process::Command::new("script");
    script.args(["--quiet", "--return", "--echo", "never", "--command", line, "/dev/null"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"ONHOOK_")) {
        script.env_remove(name);
    }
    run(&mut script, typed.as_bytes())
}

#[test]
fn a_password_is_asked_for_twice_on_a_terminal_and_does_not_show() {
    let folder = two_accounts();
    let bin = env!("CARGO_BIN_EXE_onhook");
    let create = |name: &str, typed: &str, more: &str| {
        let on = folder.named().join(" ");
        let create = format!("{bin} admin user create {name} --role order --account 7 --reason r {on}");
        on_a_terminal(&format!("{create}{more}"), typed)
    };
    for (name, more) in [("typed", ""), ("said", " --password-stdin")] {
        let said = create(name, "correct horse\ncorrect horse\n", more);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.answer.contains("Password: ") && said.answer.contains("The same again: "), "{said:?}");
        assert!(!said.answer.contains("horse"), "it shows: {said:?}");
    }
    let said = create("unsure", "correct horse\nbattery staple\n", "");
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.answer.contains("the two passwords differ"), "{said:?}");
    let listed = "USER   ACCOUNT  ROLE   RIGHTS\nsaid   7        order\ntyped  7        order\n";
    assert_eq!(folder.done(&["admin", "user", "list"]), listed);
    // Why is asked for, too, where there is somebody to ask. Nothing is coloured, whatever is wanted.
    let remove = format!("{bin} admin user remove said {}", folder.named().join(" "));
    let said = on_a_terminal(&format!("NO_COLOR=1 {remove}"), "they have left\n");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.answer.contains("Reason: ") && said.answer.contains("user said is removed"), "{said:?}");
    assert!(!said.answer.contains('\u{1b}'), "{said:?}");
    let wrong = format!("NO_COLOR=1 {bin} admin user remove --role x");
    assert!(!on_a_terminal(&wrong, "").answer.contains('\u{1b}'), "NO_COLOR");
}

#[test]
fn a_long_command_shows_its_progress_only_on_a_terminal() {
    let folder = two_accounts();
    let bin = env!("CARGO_BIN_EXE_onhook");
    let numbers = file(&folder, "numbers.csv", "number\n2125550001\n2125550002\n");
    let exchanges = file(&folder, "exchanges.csv", "npa_nxx,state,rate_center\n212555,NY,NWYRCYZN01\n");
    for (line, shown) in [
        (format!("import {numbers} --reason r"), " of 29 B, "),
        (format!("import-exchanges {exchanges} --reason r"), " of 47 B, "),
        ("check --deep".to_owned(), " of 2 numbers and orders, "),
        (format!("export > {}", folder.path("out.csv").display()), " of 2 numbers, "),
    ] {
        let said = on_a_terminal(&format!("{bin} {line} {}", folder.named().join(" ")), "");
        assert_eq!(said.code, 0, "{line}: {said:?}");
        assert!(said.answer.contains(shown) && said.answer.contains("/s, "), "{line}: {said:?}");
        assert!(said.answer.contains(" left"), "{line}: {said:?}");
    }
    assert_eq!(folder.onhook(&["check", "--deep"]).remarks, "", "nobody looks");
}

#[cfg(unix)]
#[test]
fn an_error_names_the_owner_of_another_user_s_folder() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let Some(folder) = Folder::on_disk().map(Folder::with_two_accounts) else { return };
    let (above, data) = (folder.path(""), folder.path("data"));
    let owner = fs::metadata(&data).expect("it is there").uid();
    let root = owner == 0;
    let as_other = |arguments: &[&str]| {
        let mut command = command(arguments);
        if root {
            // Root may read everything. So another user runs the program, from a folder that it may read.
            let bin = folder.path("onhook");
            copy_to(&bin);
            command = std::process::Command::new(bin);
            command.args(arguments).uid(65_534).gid(65_534);
        }
        run(command.args(["--data-dir", &folder.data()]), b"number\n2125550001\n")
    };
    fs::set_permissions(&above, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::set_permissions(&data, fs::Permissions::from_mode(if root { 0o700 } else { 0 })).expect("it is ours");
    let said: Vec<Said> =
        [&["check"][..], &["export"], &["import", "-", "--reason", "r"], &["serve"]].map(as_other).into();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("it is ours");
    for said in said {
        let remark =
            format!("the data folder {} may not be used by this user: it belongs to ", folder.data());
        refused(&said, &remark);
        refused(&said, ". Run this as that user: sudo -u ");
        assert!(!root || said.remarks.contains("sudo -u root onhook"), "{said:?}");
    }
}

#[test]
fn an_emulator_gets_a_second_account_after_its_first_start() {
    let folder = Folder::new();
    let account = ["admin", "account", "create", "9900001", "--name", "Another account"];
    folder.emulator().listening();
    folder.done(&account);
    let site = ["admin", "site", "create", "--account", "9900001", "--name", "Its site"];
    assert_eq!(folder.done(&site), "site 2\n");
    let mut server = folder.emulator();
    server.listening();
    assert!(server.terminate().success());
    // The other way round: the folder is an operator's, and the error says what works.
    let first = Folder::new();
    first.done(&account);
    refused(&first.onhook(&["serve", "--emulator"]), "start it there once before you add accounts");
}

#[test]
fn serve_says_how_to_make_the_first_user() {
    let Some(folder) = Folder::on_disk() else { return };
    let mut server = folder.serve(&[]);
    server.listening();
    assert!(server.terminate().success());
    let data = folder.data();
    let (log, account) =
        (folder.log(), format!("onhook admin account create 1 --name \"My account\" --data-dir {data}\n"));
    assert!(log.contains("nobody can sign in yet") && log.contains(&account), "{log}");
}

#[test]
fn a_reader_that_closes_early_is_not_a_failure() {
    let folder = two_accounts();
    let numbers: String = (0..9_000).map(|n| format!("212666{n:04}\n")).collect();
    assert_eq!(folder.onhook_reading(&["import", "-"], format!("number\n{numbers}").as_bytes()).code, 0);
    let mut export = command(&["export"]);
    let mut child =
        export.args(folder.named()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut begin = [0; 6];
    child.stdout.take().expect("piped").read_exact(&mut begin).expect("an answer");
    assert_eq!(&begin, b"number");
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn wrong_usage_is_refused() {
    for (arguments, remark) in [
        (&[][..], "Usage: onhook [OPTIONS] <COMMAND>"),
        (&["hangup"], "unrecognized subcommand 'hangup'"),
        (&["chekc"], "a similar subcommand exists: 'check'"),
        (&["admin"], "Usage: onhook admin [OPTIONS] <COMMAND>"),
        (&["check"], "say where the data is: --data-dir DIR"),
        (&["check", "--depe", "--data-dir", "d"], "a similar argument exists: '--deep'"),
        (&["import", "--data-dir", "d"], "<FILE>"),
        (&["explain", "911", "--data-dir", "d"], "3 digits: ten, or `+` and 8 to 15, are wanted"),
        (&["explain", "0405514342", "--data-dir", "d"], "no area code 40"),
        (&["completions", "tcsh"], "[possible values: bash, elvish, fish, powershell, zsh]"),
        (&["admin", "account", "create", "Bob", "--name", "Bob", "--data-dir", "d"], "a whole number from 1"),
        (&["admin", "account", "create", "0", "--name", "Bob", "--data-dir", "d"], "a whole number from 1"),
        (
            &["admin", "account", "create", "1", "--name", "Bob", "--kind", "person", "--data-dir", "d"],
            "[possible values: end-user, carrier, reseller]",
        ),
        (
            &["admin", "user", "create", "bob", "--role", "read", "--account", "1", "--data-dir", "d"],
            "say --password-stdin",
        ),
        (&["admin", "site", "list", "--account", "-1", "--data-dir", "d"], "a whole number from 1"),
        (&["extend", "5405514342", "--reason", "r", "--data-dir", "d"], "--release-at <INSTANT>|--days <N>"),
        (&["status", "5", "--data-dir", "d"], "invalid value '5' for '<ORDER>'"),
        (&["numbers", "--state", "Old", "--data-dir", "d"], "Available, Reserved, InService, Aging"),
        (&["numbers"], "say where the data is: --data-dir DIR"),
        (&["serve", "--log-format", "yaml", "--data-dir", "d"], "[possible values: json, text]"),
        (&["export", "periods", "--json", "--data-dir", "d"], "the answer is CSV and there is no JSON of it"),
        (
            &["rate", "--preset", "asterisk", "--json", "--data-dir", "d"],
            "the answer is CSV and there is no JSON of it",
        ),
    ] {
        refused(&onhook(arguments), remark);
    }
}

#[test]
fn completions_are_printed_for_every_shell() {
    for (shell, mark) in [
        ("bash", "_onhook()"),
        ("elvish", "edit:completion"),
        ("fish", "complete -c onhook"),
        ("powershell", "Register-ArgumentCompleter"),
        ("zsh", "#compdef onhook"),
    ] {
        let said = onhook(&["completions", shell]);
        assert_eq!((said.code, said.remarks.as_str()), (0, ""));
        assert!(said.answer.contains(mark) && said.answer.contains("explain"), "{shell}: {}", said.answer);
    }
    // Values are completed, not files.
    let bash = onhook(&["completions", "bash"]).answer;
    for (option, values) in [
        ("--role)", "read order admin operator"),
        ("--kind)", "end-user carrier reseller"),
        ("--class)", "residential business unknown"),
    ] {
        let (_, after) = bash.split_once(option).unwrap_or_else(|| panic!("{option}"));
        let values = format!("compgen -W \"{values}\"");
        assert!(after.lines().nth(1).is_some_and(|line| line.contains(&values)), "{option}: {after:.200}");
    }
}

#[test]
fn the_version_is_printed() {
    assert_eq!(onhook(&["--version"]).answer, concat!("onhook ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// Returns every command with its help, found in the help itself.
fn all_help() -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![Vec::<String>::new()];
    while let Some(words) = waiting.pop() {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let said = onhook(&arguments);
        assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{arguments:?}");
        let listed = said.answer.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| !line.is_empty()) {
            let name = line.strip_prefix("  ").filter(|line| !line.starts_with(' '));
            let name = name.and_then(|line| line.split(' ').next()).filter(|name| *name != "help");
            waiting.extend(name.map(|name| [words.as_slice(), &[name.to_owned()]].concat()));
        }
        found.push((words, said.answer));
    }
    found
}

#[test]
fn the_help_of_every_command_is_the_one_that_was_read() {
    for (words, help) in all_help() {
        insta::assert_snapshot!([&["help".to_owned()], words.as_slice()].concat().join("_"), help);
    }
}

/// Returns the example in a command's help, as a user types it.
fn example(help: &str) -> Option<String> {
    let (_, example) = help.split_once("\nExample:\n")?;
    assert!(example.lines().all(|line| line.len() <= 80), "it breaks in a terminal: {example}");
    Some(example.trim().to_owned())
}

#[test]
fn the_example_in_the_help_of_every_command_runs() {
    let Some(folder) = Folder::on_disk() else { return };
    // The account of the examples stays empty, so that its site and peer can be removed.
    let numbers = "number,state,account,former_account,site,release_at\n5405514342,InService,7,,,\n\
                   7034343704,Aging,,7,2,2099-01-01T00:00:00Z\n5405550100,InService,7,,,\n\
                   7034343705,Aging,,7,2,2099-01-01T00:00:00Z\n";
    file(&folder, "numbers.csv", numbers);
    let call = "\"\",15405550199,15405514342,x,x,SIP/a,SIP/b,Dial,x,2020-01-01 00:00:00,2020-01-01 00:00:01,\
                2020-01-01 00:00:31,31,30,ANSWERED,x,1,x\n";
    file(&folder, "Master.csv", call);
    file(
        &folder,
        "seed.yaml",
        "numbers: [{from: 9195550160, to: 9195550169, state: InService, account: 9900000}]\n",
    );
    file(&folder, "exchanges.csv", "npa_nxx,state,rate_center\n540551,VA,ROANOKE\n");
    let bin = Path::new(env!("CARGO_BIN_EXE_onhook")).parent().expect("a folder").to_owned();
    let path = std::env::join_paths([bin, "/usr/bin".into(), "/bin".into()]).expect("a path");
    let mut left = all_help();
    left.retain(|(words, help)| {
        let has_commands = help.contains("\nCommands:\n");
        let example = example(help);
        assert!(has_commands || example.is_some(), "{words:?} has no example");
        example.is_some()
    });
    // In the order in which a user begins. Commands that are not named here run last.
    let order = [
        "account create",
        "site create",
        "peer create",
        "user create",
        "import",
        "import-exchanges",
        "export",
        "check",
        "backup",
        "backup verify",
        "explain",
        "lock",
        "unlock",
        "extend",
        "keep",
        "unkeep",
        "status",
        "undo",
        "move",
        "disconnect",
        "reconnect",
        "purge",
        "plans show",
        "plans apply",
        "plans approve",
        "plans withdraw",
        "release",
        "snapshot keep",
        "snapshot restore",
    ];
    // Two persons are needed for these, and one is there.
    let refused_to_one = ["purge", "plans apply", "plans approve", "release"];
    let not_there = ["deliveries show", "deliveries replay"]; // nobody has subscribed
    let mut made = None;
    let mut emulator = None;
    let at_last = [
        "user role",
        "user rights",
        "user password",
        "user remove",
        "peer remove",
        "site remove",
        "account close",
        "account reopen",
    ];
    left.sort_by_key(|(words, _)| {
        let index = |list: &[&str]| {
            list.iter().position(|o| format!(" {}", words.join(" ")).ends_with(&format!(" {o}")))
        };
        (index(&at_last).map_or(0, |index| index + 1), index(&order).unwrap_or(order.len()))
    });
    for (words, help) in left {
        let example = example(&help).expect("checked above");
        let line = example.replace("/var/lib/onhook", "data").replace("/etc/bash_completion.d/", "");
        let line = line.replace("postgres://db.example.com/onhook", "moved"); // no database is there
        let line = line.replace("/usr/local/share/man/", "");
        let line = match words[0].as_str() {
            "status" | "undo" => {
                let order = made.get_or_insert_with(|| disconnected_by(&folder, "seven:correct horse", 7));
                line.replace("744f1d16-d3a5-43b3-ab97-4c3b19fc0b7a", order)
            }
            "report" => {
                let make = ["report", "rnd", "make", "2026-11", "--company", "ACME1", "--json"];
                let made: serde_json::Value = serde_json::from_str(&folder.done(&make)).expect("JSON");
                // It was handed in when it was made.
                let line =
                    line.replace("2026-11-15T09:00:00Z", made["made_at"].as_str().expect("an instant"));
                line.replace("rnd-2026-11-ACME1-9d1c2f3a4b5c", made["id"].as_str().expect("an id"))
            }
            "backup" if line.contains("verify") => {
                let made = folder.done(&["backup", "list", "--json"]);
                let made: serde_json::Value =
                    serde_json::from_str(made.lines().next().expect("a backup")).expect("JSON");
                line.replace("verify 1", &format!("verify {}", made["id"].as_str().expect("an id")))
            }
            "plans" if line.contains("1f6c3a52") => {
                let plans = folder.done(&["plans", "list", "--act", "purge", "--json"]);
                let plan: serde_json::Value =
                    serde_json::from_str(plans.lines().next().expect("a plan")).expect("JSON");
                line.replace("1f6c3a52-7c0f-4f0e-9a51-3e8f6a3f7d21", plan["id"].as_str().expect("an id"))
            }
            // The numbers of the examples are at the sites of another account than the one that is emptied.
            "move" => line.replace("--account 9900000", "--account 7").replace("--site 1", "--site 3"),
            "emulator" => line.replace("./data", "./emulated"),
            "disconnect" | "reconnect" | "purge" => {
                line.replace("--account 9900000", "--account 7").replace("site=1", "site=2")
            }
            _ => line,
        };
        let mut shell = std::process::Command::new("sh");
        shell.current_dir(folder.path("")).env_clear().env("PATH", &path).env("PASSWORD", "correct horse");
        if words == ["serve"] {
            // The server keeps running, its port may be in use, and the emulator needs a folder of its own.
            let line = line.replace("./data", "./emulator");
            let mut server =
                Server::start(shell.args(["-c", &format!("exec {line} --listen 127.0.0.1:0 2>>log")]));
            server.listening();
            assert!(server.terminate().success());
            continue;
        }
        if words == ["import"] {
            folder.done(&["admin", "account", "create", "7", "--name", "Seven"]);
            for (site, name) in [("2", "Seven"), ("3", "Another of Seven")] {
                folder.done(&["admin", "site", "create", "--account", "7", "--name", name]);
                folder.done(&["admin", "peer", "create", "--account", "7", "--site", site, "--name", name]);
            }
            let user =
                ["admin", "user", "create", "seven", "--account", "7", "--role", "order", "--password-stdin"];
            assert_eq!(folder.onhook_reading(&user, b"correct horse").code, 0);
        }
        if words[0] == "emulator" {
            emulator.get_or_insert_with(|| {
                let line = "exec onhook serve --emulator --data-dir ./emulated --listen 127.0.0.1:0 2>>log";
                let mut serve = std::process::Command::new("sh");
                serve.current_dir(folder.path("")).env_clear().env("PATH", &path).args(["-c", line]);
                let mut server = Server::start(&mut serve);
                server.listening();
                server
            });
        }
        let named = words.join(" ");
        if named == "restore" {
            continue; // it needs a backup, which a server makes: the tests of jobs restore one
        }
        let said = run(shell.args(["-c", &line]), b"");
        if refused_to_one.contains(&named.as_str()) || not_there.contains(&named.as_str()) {
            assert_eq!(said.code, 1, "{line}: {said:?}");
        } else {
            let told = ["move", "disconnect", "reconnect", "rate"].contains(&named.as_str()); // the plan, or how many lines
            assert_eq!(said.code, 0, "{line}: {said:?}");
            assert!(told || said.remarks.is_empty(), "{line}: {said:?}");
        }
    }
    assert!(fs::read_to_string(folder.path("numbers.csv")).expect("it is there").contains("5405514342"));
}

/// Disconnects number 5405550100 of an account by HTTP, with this name and password, and returns the order's id.
fn disconnected_by(folder: &Folder, signed: &str, account: u32) -> String {
    let mut server = folder.serve(&[]);
    let authorization = format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(signed));
    let mut client = Client::signed(server.listening(), &authorization);
    let path = disconnected(&mut client, account, "5405550100");
    assert!(server.terminate().success());
    path.rsplit('/').next().expect("an id").to_owned()
}

#[test]
fn a_report_of_number_use_is_neither_shown_nor_confirmed_as_one_of_disconnects() {
    let folder = two_accounts();
    let csv = file(&folder, "numbers.csv", &format!("{HEADER}\n{ALL_STATES}"));
    folder.done(&["import", &csv, "--partial", "--reason", "a test"]);
    let made = folder.done(&["report", "nruf", "--out", &folder.path("use").display().to_string(), "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    let id = made["id"].as_str().expect("an id");
    let remark = format!("{id} is a report of number use, not of disconnects");
    refused(&folder.onhook(&["report", "rnd", "show", id]), &remark);
    let confirm = ["report", "rnd", "confirm", id, "--submitted-at", "2026-11-15T09:00:00Z", "--reason", "r"];
    refused(&folder.onhook(&confirm), &remark);
}

#[test]
fn reports_are_listed_by_kind_and_month() {
    let folder = two_accounts();
    let csv = file(&folder, "numbers.csv", &format!("{HEADER}\n{ALL_STATES}"));
    folder.done(&["import", &csv, "--partial", "--reason", "a test"]);
    let id = |args: &[&str]| -> String {
        let made = folder.done(&[args, &["--json"]].concat());
        let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
        made["id"].as_str().expect("an id").to_owned()
    };
    let month = |month: &str| id(&["report", "rnd", "make", month, "--company", "ACME1"]);
    let used = id(&["report", "nruf", "--out", &folder.path("use").display().to_string()]);
    let made = [used, month("2026-01"), month("2026-02")];
    for (filter, wanted) in [
        (vec![], vec![0, 1, 2]),
        (vec!["--kind", "nruf"], vec![0]),
        (vec!["--kind", "rnd"], vec![1, 2]),
        (vec!["--period", "2026-02"], vec![2]),
        (vec!["--kind", "rnd", "--period", "2026-01"], vec![1]),
    ] {
        let listed = folder.done(&[&["report", "list"], &*filter].concat());
        let found: Vec<usize> = (0..made.len()).filter(|at| listed.contains(&made[*at])).collect();
        assert_eq!(found, wanted, "{filter:?}: {listed}");
    }
}

#[test]
fn a_report_that_is_made_too_early_says_so() {
    let folder = two_accounts();
    let made = folder.done(&["report", "rnd", "make", "2199-01", "--company", "ACME1"]);
    let early = "it may lack what happened through 2199-01-14: make it again after that day, as of the newest position";
    assert_eq!(made.lines().filter(|line| *line == early).count(), 1, "{made}");
    let made = folder.done(&["report", "rnd", "make", "2026-01", "--company", "ACME1"]);
    assert!(!made.contains("make it again"), "{made}");
}

#[test]
fn only_sites_and_peers_that_are_not_in_use_are_removed() {
    let folder = two_accounts();
    let numbers = format!("{HEADER}\n2125550004,InService,9900000,1,1,,NY,,,,\n");
    assert_eq!(folder.onhook_reading(&["import", "-"], numbers.as_bytes()).code, 0);
    let peer = |verb: &str, id: &str| -> Said {
        folder.onhook(&["admin", "peer", verb, id, "--account", "9900000", "--site", "1"])
    };
    let site = |verb: &str, account: &str, id: &str| -> Said {
        folder.onhook(&["admin", "site", verb, id, "--account", account])
    };
    not_done(&peer("remove", "1"), "numbers are in service there");
    not_done(&peer("remove", "7"), "site 1 of account 9900000 has no peer 7");
    not_done(&site("remove", "9900000", "1"), "it has peers");
    refused(&site("remove", "9900000", "3"), "account 9900000 has no site 3");
    refused(&site("default", "7", "1"), "account 7 has no site 1");
    assert_eq!(peer("default", "2").answer, "peer 2 is the default of site 1\n");
    assert_eq!(site("default", "9900000", "2").answer, "site 2 is the default of account 9900000\n");
    let defaults = |of: &str| -> Vec<String> {
        let listed = folder.done(&["admin", of, "list", "--account", "9900000", "--json"]);
        let items = listed.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        let default = items.filter(|item: &serde_json::Value| item["is_default"] == true);
        default.map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!([defaults("site"), defaults("peer")], [["2"], ["2"]]);
    not_done(&site("remove", "9900000", "2"), "it is the default one");
    let change = |of: &str, more: &[&str]| {
        let change = ["admin", of, "change", "1", "--account", "9900000", "--name", "Another name"];
        folder.done(&[&change, more].concat())
    };
    assert_eq!(change("site", &[]), "site 1 is called Another name\n");
    assert_eq!(change("peer", &["--site", "1", "--description", "x"]), "peer 1 is called Another name\n");
    assert_eq!(site("remove", "7", "3").answer, "site 3 is removed\n", "the only one may go");
    assert_eq!(folder.done(&["check", "--deep"]), "1 number, 13 events, 0 orders: nothing is wrong\n");
}

#[test]
fn a_user_s_password_and_role_change_and_the_user_is_removed() {
    let folder = two_accounts();
    let create = |name: &str, more: &[&str]| {
        let arguments = [&["admin", "user", "create", name, "--password-stdin"], more].concat();
        assert_eq!(folder.onhook_reading(&arguments, b"correct horse").code, 0);
    };
    create("username", &["--role", "order", "--account", "7"]);
    create("root", &["--role", "operator"]);
    let password = ["admin", "user", "password", "username", "--password-stdin"];
    let said = folder.onhook_reading(&password, b"battery staple\n");
    assert_eq!((said.code, said.answer.as_str()), (0, "user username has another password\n"), "{said:?}");
    refused(&folder.onhook_reading(&password, b"short"), "a password has 8 to 1024 bytes");
    assert_eq!(
        folder.done(&["admin", "user", "role", "UserName", "admin"]),
        "user UserName has the role admin\n"
    );
    refused(&folder.onhook(&["admin", "user", "role", "username", "operator"]), "an operator has no account");
    refused(&folder.onhook(&["admin", "user", "role", "root", "admin"]), "an operator has no account");
    not_done(&folder.onhook(&["admin", "user", "remove", "nobody"]), "there is no user nobody");
    let rights = ["admin", "user", "rights", "username", "unlock", "calls"];
    assert_eq!(folder.done(&rights), "user username has the rights unlock, calls\n");
    assert_eq!(folder.done(&rights[..4]), "user username has no rights beside its role\n");
    assert_eq!(
        folder.done(&["admin", "user", "list"]),
        "USER      ACCOUNT  ROLE      RIGHTS\nroot      -        operator\nusername  7        admin\n"
    );
    assert_eq!(folder.done(&["admin", "user", "remove", "username"]), "user username is removed\n");
    assert_eq!(
        folder.done(&["admin", "user", "list"]),
        "USER  ACCOUNT  ROLE      RIGHTS\nroot  -        operator\n"
    );
}
