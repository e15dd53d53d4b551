//! Acts on many numbers: the plan is shown, and done exactly as it was shown, or not at all.

mod program;

use program::{Folder, Said, file, onhook, redacted, refused};
use serde_json::Value;

const WHY: [&str; 2] = ["--reason", "the site was closed"];

/// Runs a command on the documented data, with a reason.
fn act(folder: &Folder, arguments: &[&str]) -> Said {
    folder.onhook(&[arguments, &WHY[..]].concat())
}

fn plan(folder: &Folder, act: &str) -> Value {
    let plans = folder.done(&["plans", "list", "--act", act, "--json"]);
    serde_json::from_str(plans.lines().next().expect("a plan")).expect("JSON")
}

#[test]
fn numbers_are_disconnected_and_put_back_by_plans_that_were_shown() {
    let folder = Folder::of_the_guide();
    let both = ["--account", "9900000", "--filter", "site=1"];
    // Without a terminal, somebody must have agreed before.
    let nobody = act(&folder, &[&["disconnect"], &both[..]].concat());
    refused(&nobody, "say --yes to apply the plan if no number is refused, or --partial");
    let all = act(&folder, &["lock", "5405514342", "--all", "--yes"]);
    refused(&all, "--all goes on with a --filter: there is none");
    assert_eq!(act(&folder, &["lock", "7034343704"]).code, 0);
    let unlocked = act(&folder, &["disconnect", "--account", "9900000", "5405514342", "7034343704", "--yes"]);
    assert_eq!((unlocked.code, unlocked.answer.as_str()), (1, ""), "{unlocked:?}");
    assert!(unlocked.remarks.contains("  1 number: locked, refused\n"), "{unlocked:?}");
    assert!(
        unlocked.remarks.ends_with("was not applied: say --partial to leave out what is refused\n"),
        "{unlocked:?}"
    );

    let done = act(&folder, &[&["disconnect", "--partial"], &both[..]].concat());
    assert_eq!(done.code, 1, "not all went: {done:?}");
    // In the last half hour of a day this is said, too.
    let remarks = done.remarks.replace("  mind: the release day changes before this plan ends\n", "");
    insta::assert_snapshot!("disconnect", redacted(&format!("{}{remarks}", done.answer)));
    let numbers = file(&folder, "numbers.txt", "5405514342\n\n");
    let back = act(&folder, &["reconnect", "--account", "9900000", "--file", &numbers, "--yes", "--json"]);
    let reply: Value = serde_json::from_str(&back.answer).expect("JSON");
    assert_eq!(
        (back.code, reply["went"].as_u64(), reply["order"]["status"].as_str()),
        (0, Some(1), Some("COMPLETE"))
    );
    let applied = folder.done(&["plans", "list", "--state", "applied", "--json"]);
    assert_eq!(applied.lines().count(), 2, "a single lock needs none");
    assert!(folder.done(&["check", "--deep"]).ends_with("nothing is wrong\n"));
}

#[test]
fn a_filter_is_worked_off_in_a_series_of_plans() {
    let folder = Folder::of_the_guide();
    let lines: String = (0..5_003).map(|n| format!("212666{n:04},InService,9900000\n")).collect();
    let said = folder.onhook_reading(&["import", "-"], format!("number,state,account\n{lines}").as_bytes());
    assert_eq!(said.code, 0, "{said:?}");
    let once = act(&folder, &["lock", "--filter", "prefix=1212666", "--yes"]);
    assert!(once.remarks.ends_with("3 numbers remain: say --all to go on\n"), "{once:?}");
    let rest = act(&folder, &["lock", "--filter", "prefix=1212666", "--all", "--partial"]);
    assert!(rest.answer.ends_with("3 numbers done\n"), "{rest:?}");
    assert_eq!(folder.done(&["numbers", "--prefix", "1212666", "--locked", "false"]), "");
    let series = plan(&folder, "lock")["series"].as_str().map(str::to_owned).expect("a label");
    assert!(series.starts_with("lock "), "{series}");
}

#[test]
fn what_two_persons_must_agree_to_waits_for_the_other() {
    let folder = Folder::of_the_guide();
    let mut server = folder.emulator();
    let address = format!("http://{}", server.listening());
    let by = |user: &str, arguments: &[&str]| {
        let mut command = program::command(&[arguments, &["--server", &address]].concat());
        command.env("ONHOOK_USER", user).env("ONHOOK_PASSWORD", "password");
        program::run(&mut command, b"")
    };
    let purge = ["purge", "5405514342", "--account", "9900000", "--yes", "--reason", "it never was ours"];
    let said = by("operator", &purge);
    assert_eq!((said.code, said.answer.as_str()), (1, ""), "{said:?}");
    let listed = by("operator", &["plans", "list", "--state", "open", "--json"]).answer;
    let plan: Value = serde_json::from_str(listed.trim_end()).expect("one plan");
    let id = plan["id"].as_str().expect("an id");
    assert!(
        said.remarks.ends_with(&format!("another person is to agree: onhook plans approve {id}\n")),
        "{said:?}"
    );
    let approve = ["plans", "approve", id, "--reason", "seen and agreed"];
    let same = by("operator", &approve);
    assert_eq!(same.code, 1, "{same:?}");
    let other = by("approver", &approve);
    assert_eq!((other.code, other.remarks.as_str()), (0, ""), "{other:?}");
    let shown = by("operator", &["plans", "show", id]);
    assert!(shown.answer.contains("\n  approvals: 1 of 1\n"), "{shown:?}");
    assert_eq!(by("operator", &["plans", "apply", id]).code, 0);
    let explained = by("operator", &["explain", "5405514342"]).answer;
    assert!(explained.starts_with("+15405514342 has left this system"), "{explained}");
    let late = by("operator", &["plans", "withdraw", id, "--reason", "too late"]);
    assert_eq!(late.code, 1, "{late:?}");
    assert!(server.terminate().success());
}

#[test]
fn exactly_one_way_says_which_numbers() {
    for (arguments, remark) in [
        (&["lock"][..], "<NUMBER|--file <FILE>|--order <ID>|--filter <KEY=VALUE>>"),
        (&["lock", "5405514342", "--filter", "site=1"], "cannot be used with"),
        (&["lock", "--filter", "site"], "it is a key and its value, such as site=1"),
        (&["lock", "911"], "3 digits: ten, or `+` and 8 to 15, are wanted"),
    ] {
        refused(&onhook(&[arguments, &["--data-dir", "d", "--reason", "r"]].concat()), remark);
    }
}
