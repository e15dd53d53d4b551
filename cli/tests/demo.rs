//! `onhook demo` shows a number's life, against a real server.

#![expect(clippy::print_stdout, reason = "a test says why it is skipped")]

mod program;

use program::{Said, onhook, redacted, refused};

/// Runs the demonstration once, on any port and on the store that tests run on.
fn once() -> Said {
    match onhook_cluster::chosen_database().expect("a database") {
        Some(url) => onhook(&["demo", "--once", "--listen", "127.0.0.1:0", "--database-url", &url]),
        None => onhook(&["demo", "--once", "--listen", "127.0.0.1:0"]),
    }
}

#[test]
fn the_demonstration_tells_the_whole_story_and_ends() {
    let said = once();
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{said:?}");
    for told in [
        "=== 1. A client disconnects two numbers",
        "<OrderStatus>RECEIVED</OrderStatus>",
        "=== 2. It reads the order back",
        "<OrderStatus>COMPLETE</OrderStatus>",
        "=== 3. Where the numbers are now, and until when they can be reconnected",
        "It is held 90 days, until ",
        "profile us holds 45 days where numbers are scarce",
        "=== 4. The account takes one of them back",
        "<Status>Inservice</Status>",
        "=== 5. 91 days later",
        "<Status>Available</Status>",
    ] {
        assert!(said.answer.contains(told), "it does not tell {told:?}:\n{}", said.answer);
    }
    insta::assert_snapshot!("demo", redacted(&said.answer));
}

#[test]
fn the_demonstration_takes_another_port_when_its_own_is_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let said = onhook(&["demo", "--once", "--listen", &address]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.answer.contains(&format!("location: http://{address}/")), "{}", said.answer);
}

#[test]
fn the_demonstration_is_for_this_machine_only() {
    let said = onhook(&["demo", "--once", "--listen", "0.0.0.0:0"]);
    assert_eq!((said.code, said.answer.as_str()), (2, ""));
    assert_eq!(said.remarks, "onhook: the demonstration listens on a loopback address only\n");
}

/// Its passwords are known to everybody, and it moves the clock.
#[test]
fn the_demonstration_is_told_in_an_empty_database_and_in_no_other() {
    let cluster = match onhook_cluster::shared() {
        Ok(cluster) => cluster,
        Err(why) => return println!("skipped: {why:#}"),
    };
    let url = cluster.fresh_database().expect("a database");
    let demo = ["demo", "--once", "--listen", "127.0.0.1:0", "--database-url", &url];
    let said = onhook(&demo);
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{said:?}");
    insta::assert_snapshot!("demo", redacted(&said.answer));
    let before = onhook(&["export", "--database-url", &url]);
    assert!(before.answer.contains("5405514342,InService,9900000,"), "{before:?}");

    refused(&onhook(&demo), "has accounts or users already: give the demonstration an empty database\n");
    assert_eq!(onhook(&["export", "--database-url", &url]), before);
}
