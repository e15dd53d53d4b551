//! The audit trail at the command line: verified in a folder and in an export, after real damage to either.

mod program;

use std::path::Path;

use program::{Folder, HEADER, Said, file};

/// Two accounts and some numbers, by commands that each seal what they wrote.
fn folder() -> Option<Folder> {
    let folder = Folder::on_disk()?.with_two_accounts();
    let numbers = format!("{HEADER}\n2125550001,Available,,,,,NY,,,,\n2125550002,Available,,,,,NY,,,,\n");
    assert_eq!(folder.onhook_reading(&["import", "-"], numbers.as_bytes()).code, 0);
    Some(folder)
}

fn tamper(folder: &Folder, sql: &str) {
    let database = rusqlite::Connection::open(Path::new(&folder.data()).join("onhook.db")).expect("opened");
    database.execute_batch(sql).expect("tampered");
}

/// Asserts that a verification finds faults, each on a line of its own.
fn finds(said: &Said, faults: &[&str]) {
    assert_eq!(said.code, 1, "{said:?}");
    let lines: Vec<&str> = said.answer.lines().collect();
    assert_eq!(&lines[..faults.len()], faults, "{said:?}");
}

#[test]
fn a_folder_is_verified_and_each_damage_is_named() {
    let verify = ["audit", "verify"];
    let Some(well) = folder() else { return };
    let said = well.onhook(&verify);
    assert!(said.code == 0 && said.answer.contains(": nothing is wrong, head sha256:"), "{said:?}");
    let head: serde_json::Value = serde_json::from_str(&well.done(&["audit", "head"])).expect("JSON");
    let anchor =
        format!("{}:{}", head["last"].as_str().expect("a position"), head["hash"].as_str().expect("a hash"));
    assert_eq!(well.onhook(&["audit", "verify", "--anchor", &anchor]).code, 0);
    for (sql, faults) in [
        ("UPDATE event SET reason = 'another' WHERE seq = 2", &["2: changed"][..]),
        ("UPDATE event SET detail = '{' WHERE seq = 3", &["3: changed"]),
        ("DELETE FROM event WHERE seq = 2", &["2: missing"]),
        (
            "UPDATE event SET seq = -1 WHERE seq = 1; UPDATE event SET seq = 1 WHERE seq = 2;
             UPDATE event SET seq = 2 WHERE seq = -1",
            &["1: changed", "2: changed"], // each is under a seal of its own
        ),
        ("INSERT INTO event (seq, at, detail, kind) VALUES (-5, 0, '{}', 'exported')", &["0: added"]),
        ("DELETE FROM seal WHERE batch = 2", &["1: added", "2: missing"]),
    ] {
        let Some(folder) = folder() else { return };
        tamper(&folder, sql);
        finds(&folder.onhook(&verify), faults);
        assert_eq!(folder.onhook(&["check", "--deep"]).code, 1, "{sql}");
    }
    // What is cut off is not missed, unless its seal was noted.
    let cut = "DELETE FROM seal WHERE batch = (SELECT max(batch) FROM seal);
               DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)";
    tamper(
        &well,
        &format!(
            "{cut}; DELETE FROM number; DELETE FROM tally; UPDATE area SET supply = 0; DELETE FROM stock"
        ),
    );
    assert_eq!(well.onhook(&verify).code, 0);
    let said = well.onhook(&["audit", "verify", "--anchor", &anchor]);
    assert_eq!(said.code, 1);
    assert!(said.answer.lines().next().is_some_and(|line| line.ends_with(": cut off")), "{said:?}");
}

#[test]
fn an_export_is_verified_without_a_folder() {
    let Some(folder) = folder() else { return };
    let export = folder.done(&["audit", "export"]);
    let lines: Vec<&str> = export.lines().collect();
    let verified = |text: &str, more: &[&str]| {
        let path = file(&folder, "events.ndjson", text);
        program::onhook(&[&["audit", "verify", "--file", &path][..], more].concat())
    };
    let said = verified(&export, &[]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.answer.contains("without --anchor"), "{said:?}");
    let head: serde_json::Value = serde_json::from_str::<serde_json::Value>(lines.last().expect("a seal"))
        .expect("JSON")["seal"]
        .clone();
    let anchor =
        format!("{}:{}", head["last"].as_str().expect("a position"), head["hash"].as_str().expect("a hash"));
    assert_eq!(verified(&export, &["--anchor", &anchor]).code, 0);
    let changed = export.replacen("\"kind\":\"account_created\"", "\"kind\":\"account_creatad\"", 1);
    finds(&verified(&changed, &[]), &["1: changed"]);
    let events: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains("\"event\"")).collect();
    let without: Vec<&str> =
        lines.iter().copied().enumerate().filter(|(at, _)| *at != events[1]).map(|(_, line)| line).collect();
    finds(&verified(&(without.join("\n") + "\n"), &[]), &["2: missing"]);
    let mut swapped = lines.clone();
    swapped.swap(events[0], events[1]);
    finds(&verified(&(swapped.join("\n") + "\n"), &[]), &["1: moved", "2: moved"]);
    // Without its tail it is whole, but for an anchor.
    let seals: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("{\"seal\"")).collect();
    let cut = lines[..=seals[seals.len() - 2]].join("\n") + "\n";
    assert_eq!(verified(&cut, &[]).code, 0);
    let said = verified(&cut, &["--anchor", &anchor]);
    assert_eq!(said.code, 1);
    assert!(said.answer.lines().next().is_some_and(|line| line.ends_with(": cut off")), "{said:?}");
    assert_eq!(verified("no export\n", &[]).code, 2);
}
