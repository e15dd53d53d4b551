//! The emulator's clock, and how time changes a number.

use onhook_core::ids::AccountId;
use onhook_core::import::NewNumber;
use onhook_core::lifecycle::diagram::State;
use onhook_core::time::{DAY_MS, Timestamp};

use crate::app::{
    ACCOUNT, App, Call, POOL, Reply, Seed, Who, account, delete, disconnects, get, log, number, post,
    wait_for, with_app, xml,
};

const CLOCK: &str = "/ops/v1/emulator/clock";
const MAIL: &str = "/ops/v1/emulator/mail";

fn change(body: impl Into<Vec<u8>>) -> Call {
    post(CLOCK, body).content_type("application/json").by(Who::Operator)
}

async fn move_to(app: &App, time: Timestamp) {
    app.send(change(format!(r#"{{"set": "{time}"}}"#))).await.expect(200);
}

fn told(reply: &Reply) -> (Timestamp, i64) {
    let value: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    (value["now"].as_str().unwrap().parse().unwrap(), value["moved_ms"].as_i64().unwrap())
}

#[tokio::test]
async fn without_an_emulator_the_clock_cannot_be_moved() {
    with_app(Seed::two_accounts(), async |app| {
        let before = app.parts.clock.moved_ms();
        golden!(app, "no_such_clock", app.send(get(CLOCK).by(Who::Operator)).await);
        app.send(change(r#"{"advance_days": 1}"#)).await.expect(404);
        assert_eq!(app.parts.clock.moved_ms(), before);
    })
    .await;
}

#[tokio::test]
async fn the_clock_moves_ahead_only() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let (now, moved) = told(&app.send(get(CLOCK).by(Who::Operator)).await.expect(200));
        assert_eq!(moved, 0);
        for (body, moved) in [
            (r#"{"advance_days": 1}"#.to_owned(), DAY_MS),
            (r#"{"advance_ms": 500}"#.to_owned(), DAY_MS + 500),
            (r#"{"advance_ms": 0}"#.to_owned(), DAY_MS + 500),
        ] {
            let reply = app.send(change(body.as_str())).await.expect(200);
            assert_eq!(reply.header("content-type"), Some("application/json"));
            let (at, so_far) = told(&reply);
            assert_eq!(so_far, moved, "{body}");
            assert!(at.since(now) >= moved, "{body}: {at}");
        }
        let set = told(&app.send(get(CLOCK).by(Who::Operator)).await).0.plus_millis(10 * DAY_MS);
        move_to(app, set).await;
        let (at, moved) = told(&app.send(get(CLOCK).by(Who::Operator)).await);
        assert!((0..DAY_MS).contains(&at.since(set)), "{at}, set to {set}");
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"advance_ms": -1}"#,
            r#"{"advance_days": -1}"#,
            r#"{"advance_days": 36526}"#,
            r#"{"advance_days": 9223372036854775807}"#,
            r#"{"advance_days": 1, "advance_ms": 1}"#,
            r#"{"advance_days": 1, "back": true}"#,
            r#"{"set": "yesterday"}"#,
            r#"{"set": "2018-01-23T21:00:23.802Z"}"#,
            r#"{"advance_days": "1"}"#,
        ] {
            let reply = app.send(change(wrong)).await.expect(400);
            assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{wrong}");
            let value: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            let code = value["code"].as_str().unwrap_or_default();
            assert!(
                value["status"] == 400 && ["bad_json", "bad_value", "unknown_field"].contains(&code),
                "{wrong}: {value}"
            );
        }
        assert_eq!(told(&app.send(get(CLOCK).by(Who::Operator)).await).1, moved);
        // A form on another site can send these types with the user's own credentials.
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", ""]
        {
            app.send(change(r#"{"advance_days": 1}"#).content_type(kind)).await.expect(415);
        }
        app.send(change(r#"{"advance_days": 1}"#).without("Content-Type")).await.expect(415);
        assert_eq!(told(&app.send(get(CLOCK).by(Who::Operator)).await).1, moved);
        golden!(app, "not_json", app.send(change("").content_type("text/plain")).await);
        golden!(app, "moves_ahead_only", app.send(change(r#"{"advance_ms": -1}"#)).await);
    })
    .await;
}

/// By default a subscription ends after a day, long before most numbers are released.
#[tokio::test]
async fn subscriptions_that_end_as_the_clock_moves_are_counted() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let subscribe = async |url: &str, more: &str| {
            let body = format!(
                "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription>\
                 <URL>http://127.0.0.1:3000/{url}</URL>{more}</CallbackSubscription></Subscription>"
            );
            app.send(post(account("/subscriptions"), body)).await.expect(201);
        };
        subscribe("a_day", "").await;
        subscribe("a_year", "<Expiry>31536000</Expiry>").await;
        let ended = async |body: &str| {
            let reply = app.send(change(body)).await.expect(200);
            let value: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            value["subscriptions_ended"].as_u64()
        };
        assert_eq!(ended(r#"{"advance_ms": 80000000}"#).await, Some(0));
        assert_eq!(ended(r#"{"advance_days": 91}"#).await, Some(1));
        assert_eq!(ended(r#"{"advance_days": 91}"#).await, Some(0), "it ends once");
        let shown = app.send(get(CLOCK).by(Who::Operator)).await;
        assert!(!shown.text().contains("subscriptions_ended"), "{}", shown.text());
        let left = app.send(get(account("/subscriptions"))).await.expect(200);
        assert_eq!(left.elements("URL"), ["http://127.0.0.1:3000/a_year"]);
        assert!(log::text().contains("a subscription ended: its time (Expiry) is over"));
        let metrics = app.send(get("/metrics").by(Who::Nobody)).await;
        assert!(metrics.text().contains("\nonhook_subscriptions_ended_total "), "{}", metrics.text());
    })
    .await;
}

/// Returns the reply to a change of the clock that succeeds.
async fn changed(app: &App, body: &str) -> serde_json::Value {
    serde_json::from_slice(&app.send(change(body)).await.expect(200).body).unwrap()
}

fn at(value: &serde_json::Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// A number that ages until an instant.
fn aging(digits: &str, release_at: Timestamp) -> NewNumber {
    NewNumber {
        state: State::Aging,
        former_account: AccountId::new(ACCOUNT),
        release_at: Some(release_at),
        ..NewNumber::available(number(digits))
    }
}

#[tokio::test]
async fn each_thing_runs_at_its_own_instant_and_the_reply_follows_when_nothing_due_is_left() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let now = at(&serde_json::from_slice::<serde_json::Value>(
            &app.send(get(CLOCK).by(Who::Operator)).await.expect(200).body,
        )
        .unwrap()["now"]);
        let instants = [3, 1, 2].map(|days| now.plus_millis(days * DAY_MS + 12_345));
        let numbers = ["2525550101", "2525550102", "2525550103"];
        let lines = numbers.iter().zip(instants).map(|(digits, at)| aging(digits, at)).collect();
        app.import(lines).await;
        let reserved = xml::reservation("4155550101");
        app.send(post(account("/tnreservation"), reserved)).await.expect(201);
        let reply = changed(app, r#"{"advance_days": 91}"#).await;
        assert_eq!((&reply["settled"], &reply["moved_ms"]), (&true.into(), &(91 * DAY_MS).into()));
        assert_eq!((&reply["ran"]["released"], &reply["ran"]["reservations"]), (&3.into(), &1.into()));
        for (digits, due) in numbers.iter().zip(instants) {
            let history = app.parts.store.history(number(digits)).await.unwrap().unwrap().history;
            assert_eq!(history.events.last().unwrap().at, due, "{digits} is released at its own instant");
        }
        let again = changed(app, r#"{"advance_days": 91}"#).await;
        assert_eq!(again["ran"]["released"], 0);
    })
    .await;
}

/// Imports numbers of an area code that age until an instant each, `apart_ms` from one to the next.
async fn many_aging(app: &App, area: u64, count: u64, apart_ms: i64) -> Vec<(String, Timestamp)> {
    let now = told(&app.send(get(CLOCK).by(Who::Operator)).await.expect(200)).0.plus_millis(DAY_MS);
    let each = (0..count).map(|n| {
        // Not in the order of their digits.
        let digits = area * 10_000_000 + 5_550_000 + (n * 7) % 100;
        (digits.to_string(), now.plus_millis(i64::try_from(n).unwrap() * apart_ms))
    });
    let all: Vec<(String, Timestamp)> = each.collect();
    app.import(all.iter().map(|(digits, at)| aging(digits, *at)).collect()).await;
    all
}

/// Returns when a number's last change happened, and the place of that among all events.
async fn last_change(app: &App, digits: &str) -> (Timestamp, i64) {
    let history = app.parts.store.history(number(digits)).await.unwrap().unwrap().history;
    let last = history.events.last().unwrap();
    (last.at, last.seq.0)
}

#[tokio::test]
async fn instants_that_are_passed_at_once_are_each_number_s_own() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let numbers = many_aging(app, 252, 90, 60_001).await;
        // Something else comes due in between, and a reservation is over at the instant of a release.
        let body = "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription>\
                    <URL>http://127.0.0.1:3000/a</URL><Expiry>88000</Expiry></CallbackSubscription></Subscription>";
        app.send(post(account("/subscriptions"), body)).await.expect(201);
        let reserved = NewNumber {
            state: State::Reserved,
            account: AccountId::new(ACCOUNT),
            release_at: Some(numbers[50].1),
            ..NewNumber::available(number("2525550199"))
        };
        app.import(vec![reserved]).await;
        let reply = changed(app, r#"{"advance_days": 2}"#).await;
        let ran = &reply["ran"];
        assert_eq!((&ran["released"], &ran["reservations"], &reply["subscriptions_ended"]), (&90.into(), &1.into(), &1.into()));
        let mut seqs = Vec::new();
        for (digits, due) in &numbers {
            let (at, seq) = last_change(app, digits).await;
            assert_eq!(at, *due, "{digits} is released at its own instant");
            seqs.push(seq);
        }
        let (at, seq) = last_change(app, "2525550199").await;
        assert_eq!((at, seq), (numbers[50].1, seqs[50] - 1), "what was reserved is first");
        assert!(seqs.is_sorted(), "{seqs:?}");
    })
    .await;
}

#[tokio::test]
async fn an_order_that_waits_gets_its_number_at_the_instant_at_which_that_is_free() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let search =
            xml::search(app.site, "AreaCode", "<AreaCode>252</AreaCode><Quantity>1</Quantity>", true);
        let (_, order) = app.place(post(account("/orders"), search)).await;
        wait_for("a waiting order", async || {
            let status = app.send(get(&order)).await.element("OrderStatus").map(str::to_owned);
            (status.as_deref() == Some("BACKORDERED")).then_some(())
        })
        .await;
        let others = many_aging(app, 336, 20, DAY_MS / 4).await;
        let wanted = many_aging(app, 252, 2, 2 * DAY_MS).await;
        changed(app, r#"{"advance_days": 30}"#).await;
        assert_eq!(app.send(get(&order)).await.element("OrderStatus"), Some("COMPLETE"));
        for (at, (digits, due)) in wanted.iter().enumerate() {
            let history = app.parts.store.history(number(digits)).await.unwrap().unwrap().history;
            let instants: Vec<Timestamp> = history.events.iter().map(|event| event.at).collect();
            assert_eq!(
                instants,
                vec![*due; if at == 0 { 2 } else { 1 }],
                "{digits} is free, and taken at once"
            );
        }
        for (digits, due) in &others {
            assert_eq!(last_change(app, digits).await.0, *due, "{digits}");
        }
    })
    .await;
}

#[tokio::test]
async fn moves_that_are_asked_for_at_once_are_made_one_after_another() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let numbers = many_aging(app, 252, 30, DAY_MS / 10).await;
        let day = || app.send(change(r#"{"advance_days": 2}"#));
        let (one, other) = tokio::join!(day(), day());
        let mut moved = [told(&one.expect(200)).1, told(&other.expect(200)).1];
        moved.sort_unstable();
        assert_eq!(moved, [2 * DAY_MS, 4 * DAY_MS]);
        for (digits, due) in &numbers {
            assert_eq!(last_change(app, digits).await.0, *due, "{digits}");
        }
        for wrong in ["0", "601", "a_minute", "-1"] {
            let call = post(format!("{CLOCK}?timeout_seconds={wrong}"), r#"{"advance_days": 1}"#);
            app.send(call.content_type("application/json").by(Who::Operator)).await.expect(400);
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_accepted_has_run_when_a_move_is_answered() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let (_, path) = app.place(post(disconnects(""), xml::disconnect(&["5405514342"]))).await;
        let reply = changed(app, r#"{"advance_days": 91}"#).await;
        assert_eq!(reply["settled"], true);
        let order = app.send(get(path)).await.expect(200);
        assert_eq!(order.element("OrderStatus"), Some("COMPLETE"));
        assert_eq!(status(app, "5405514342", Who::Admin).await, "Available");
        let shown = changed(app, r#"{"advance_ms": 0}"#).await;
        insta::assert_snapshot!("moved_nothing", format!("{} {}", shown["ran"], shown["waiting"]));
    })
    .await;
}

#[tokio::test]
async fn a_clock_stands_still_and_goes_on() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let stopped = changed(app, r#"{"rate": 0}"#).await;
        let read = async || -> serde_json::Value {
            serde_json::from_slice(&app.send(get(CLOCK).by(Who::Operator)).await.expect(200).body).unwrap()
        };
        let shown = read().await;
        assert_eq!((&shown["now"], &shown["rate"]), (&stopped["now"], &0.0.into()));
        assert_eq!(read().await["now"], stopped["now"], "it stands still");
        let moved = changed(app, r#"{"advance_ms": 5000}"#).await;
        assert_eq!(at(&moved["now"]).since(at(&stopped["now"])), 5_000);
        assert_eq!(changed(app, r#"{"rate": 1000000}"#).await["rate"], 1_000_000.0);
        wait_for("an hour", async || {
            (at(&read().await["now"]).since(at(&moved["now"])) > 3_600_000).then_some(())
        })
        .await;
        for wrong in [r#"{"rate": -1}"#, r#"{"rate": 1000001}"#, r#"{"rate": 1, "advance_ms": 1}"#] {
            app.send(change(wrong)).await.expect(400);
        }
    })
    .await;
}

#[tokio::test]
async fn a_move_that_is_sent_again_under_its_key_moves_once() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let keyed = |body: &str| change(body).header("Idempotency-Key", "once");
        let first = app.send(keyed(r#"{"advance_days": 1}"#)).await.expect(200);
        let again = app.send(keyed(r#"{"advance_days": 1}"#)).await.expect(200);
        assert_eq!((again.text(), again.header("idempotency-replayed")), (first.text(), Some("true")));
        assert_eq!(first.header("idempotency-replayed"), None);
        golden!(app, "key_reused", app.send(keyed(r#"{"advance_days": 2}"#)).await);
        assert_eq!(told(&app.send(get(CLOCK).by(Who::Operator)).await).1, DAY_MS);
        app.send(change("{}").header("Idempotency-Key", "a b")).await.expect(400);
    })
    .await;
}

#[tokio::test]
async fn a_move_that_did_not_settle_in_time_goes_on_when_it_is_asked_for_again() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        // A receiver that takes connections and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let body = format!(
            "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription><URL>{url}</URL>             <Expiry>31536000</Expiry></CallbackSubscription></Subscription>"
        );
        app.send(post(account("/subscriptions"), body)).await.expect(201);
        app.disconnect(&["5405514342"]).await;
        let begun = told(&app.send(get(CLOCK).by(Who::Operator)).await).0;
        let ask = || {
            post(format!("{CLOCK}?timeout_seconds=1"), r#"{"advance_days": 1}"#)
                .content_type("application/json")
                .by(Who::Operator)
        };
        let reply = app.send(ask()).await.expect(504);
        let value: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(value["code"], "not_settled");
        drop(silent); // from now on it refuses
        let settled = wait_for("the end of the move", async || {
            let reply = app.send(ask()).await;
            (reply.status == 200).then_some(reply)
        })
        .await;
        let passed = told(&settled).0.since(begun);
        assert!((DAY_MS..2 * DAY_MS).contains(&passed), "the day is not added again: {passed}");
    })
    .await;
}

async fn status(app: &App, digits: &str, who: Who) -> String {
    let reply = app.send(get(format!("/api/tns/{digits}")).by(who)).await;
    reply.element("Status").unwrap_or_default().to_owned()
}

/// Returns when an aging number is to be released.
async fn release_at(app: &App, digits: &str) -> Timestamp {
    app.parts.store.facts(number(digits)).await.unwrap().unwrap().entry.standing.due_at().unwrap()
}

#[tokio::test]
async fn a_number_goes_to_the_pool_at_its_time_and_not_before() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        app.disconnect(&["5405514342"]).await;
        let due = release_at(app, "5405514342").await;
        let facts = app.parts.store.facts(number("5405514342")).await.unwrap().unwrap();
        assert!(due.since(facts.since) >= 45 * DAY_MS, "the law's floor: {due}");

        // Another number that is due a little earlier shows when the release worker has looked.
        let earlier = NewNumber {
            state: State::Aging,
            former_account: AccountId::new(ACCOUNT),
            release_at: Some(due.plus_millis(-61_000)),
            ..NewNumber::available(number("2525550101"))
        };
        app.import(vec![earlier]).await;
        move_to(app, due.plus_millis(-60_000)).await;
        wait_for("the earlier release", async || {
            (status(app, "2525550101", Who::Admin).await == "Available").then_some(())
        })
        .await;
        assert_eq!(status(app, "5405514342", Who::Admin).await, "Aging");
        assert_eq!(status(app, "5405514342", Who::Neighbour).await, "");

        move_to(app, due).await;
        wait_for("the release", async || {
            (status(app, "5405514342", Who::Admin).await == "Available").then_some(())
        })
        .await;
        let history = app.parts.store.history(number("5405514342")).await.unwrap().unwrap().history;
        let released = history.events.last().unwrap();
        assert!(released.at >= due, "released at {}, due at {due}", released.at);

        // Nobody learns whose it was or when it was released, not even the former account.
        golden!(app, "released", app.send(get("/api/tns/5405514342")).await);
        let details = app.send(get("/api/tns/5405514342/tndetails")).await;
        golden!(app, "released_details", details);
        for who in [Who::Neighbour, Who::Reader] {
            assert_eq!(app.send(get("/api/tns/5405514342/tndetails").by(who)).await.text(), details.text());
        }
        let found = app.send(get(account("/availableNumbers?areaCode=540"))).await;
        assert!(found.elements("TelephoneNumber").contains(&"5405514342"));
        let none = app.send(get(account("/discnumbers"))).await;
        assert_eq!(none.element("TotalCount"), Some("0"));
        // Now another account may order it.
        let order = post("/api/accounts/9900001/orders", xml::order(app.neighbours_site, &["5405514342"]));
        let (_, path) = app.place(order.by(Who::Neighbour)).await;
        assert_eq!(app.ended(get(path).by(Who::Neighbour)).await.element("OrderStatus"), Some("COMPLETE"));
        assert_eq!(status(app, "5405514342", Who::Admin).await, "");
    })
    .await;
}

#[tokio::test]
async fn a_number_that_was_taken_back_is_not_released() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        app.disconnect(&["5405514342", "7034343704"]).await;
        let due = release_at(app, "5405514342").await.max(release_at(app, "7034343704").await);
        let (_, order) = app.place(post(account("/orders"), xml::order(app.site, &["5405514342"]))).await;
        app.ended(get(order)).await;
        move_to(app, due).await;
        wait_for("the release", async || {
            (status(app, "7034343704", Who::Admin).await == "Available").then_some(())
        })
        .await;
        assert_eq!(status(app, "5405514342", Who::Admin).await, "Inservice");
    })
    .await;
}

#[tokio::test]
async fn a_mode_and_a_protection_say_where_a_number_goes() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let behind =
            |text: &str| post(account("/disconnects"), xml::disconnect_with("<name>x</name>", &[text], ""));
        let order = |number: &str, more: &str| {
            post(account("/disconnects"), xml::disconnect_with("<name>x</name>", &[number], more))
        };
        let mut due = Timestamp::from_millis(0);
        for call in [
            behind("5405514342"),
            order("7034343704", "<Protected>TRUE</Protected>"),
            order("9195551001", "<DisconnectMode>soft-remove</DisconnectMode>"),
        ] {
            let (_, path) = app.place(call).await;
            let ended = app.ended(get(path)).await;
            let digits = ended.element("TelephoneNumber").unwrap();
            assert_eq!(status(app, digits, Who::Admin).await, "Aging");
            due = due.max(release_at(app, digits).await);
        }
        let purge = order("9195551002", "<DisconnectMode>purge</DisconnectMode>").by(Who::Operator);
        let (_, path) = app.place(purge).await;
        app.ended(get(path)).await;
        assert_eq!(status(app, "9195551002", Who::Operator).await, "Removed");
        assert_eq!(status(app, "9195551002", Who::Admin).await, "");

        move_to(app, due).await;
        wait_for("the releases", async || {
            let aging = app.send(get(account("/discnumbers/totals"))).await;
            (aging.element("Count") == Some("0")).then_some(())
        })
        .await;
        // A number that anyone may order, one that only its owner may order, and one that nobody may order.
        for (digits, owner, stranger) in [
            ("5405514342", "Available", "Available"),
            ("7034343704", "Available", ""),
            ("9195551001", "", ""),
        ] {
            assert_eq!(status(app, digits, Who::Admin).await, owner, "{digits}");
            assert_eq!(status(app, digits, Who::Neighbour).await, stranger, "{digits}");
        }
        assert_eq!(status(app, POOL, Who::Neighbour).await, "Available");
    })
    .await;
}

#[tokio::test]
async fn the_emulator_names_what_nothing_has_read() {
    const UNREAD: &str = "onhook-unread";
    let body = |names: &str| xml::disconnect_with(names, &["5405514342"], "<protect>TRUE</protect>");
    let misspelt = body("<name>n</name><UNCHANGED>TRUE</UNCHANGED>");
    with_app(Seed::two_accounts().emulator(), async |app| {
        let reply = app.send(post(disconnects(""), misspelt.as_str())).await.expect(201);
        assert_eq!(reply.header(UNREAD), Some("UNCHANGED, protect"));
        let json = r#"{"siteId":1,"customerOrderID":"c","phoneNumber":"","unchanged":[true],"disconnectOrderType":{"phoneNumbers":["7034343704"]}}"#;
        let call = post("/api/v2/accounts/9900000/disconnects", json).content_type("application/json");
        assert_eq!(app.send(call).await.expect(201).header(UNREAD), Some("subAccountId, phoneNumber, unchanged"));
        // If all was read, there is no header. A refused document may not have been read to its end.
        let good = xml::disconnect(&["5405514342"]);
        assert_eq!(app.send(post(disconnects(""), good)).await.expect(201).header(UNREAD), None);
        assert_eq!(app.send(post(disconnects(""), body("<UNCHANGED/>"))).await.expect(400).header(UNREAD), None);
        for (path, body, unread) in [
            (account("/sites"), "<Site><Name>s</Name><Colour>red</Colour></Site>", "Colour"),
            (account("/sites/1/sippeers"), "<SipPeer><PeerName>p</PeerName><CallingName><a/></CallingName></SipPeer>", "a"),
            ("/api/accounts/9900000/tnreservation".into(), "<Reservation><ReservedTn>2125550101</ReservedTn><b/></Reservation>", "b"),
        ] {
            assert_eq!(app.send(post(path, body)).await.expect(201).header(UNREAD), Some(unread), "{body}");
        }
    })
    .await;
    with_app(Seed::two_accounts(), async |app| {
        let reply = app.send(post(disconnects(""), misspelt.as_str())).await.expect(201);
        assert_eq!(reply.header(UNREAD), None);
    })
    .await;
}

#[tokio::test]
async fn without_a_mail_server_mail_is_kept_and_shown() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let mails = async |query: &str| {
            let reply = app.send(get(format!("{MAIL}{query}")).by(Who::Operator)).await.expect(200);
            serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()["items"]
                .as_array()
                .unwrap()
                .clone()
        };
        golden!(app, "mail_none", app.send(get(MAIL).by(Who::Operator)).await);
        for (address, digest) in [("each@example.com", "NONE"), ("daily@example.com", "DAILY")] {
            let body = format!(
                "<Subscription><OrderType>disconnects</OrderType><EmailSubscription><Email>{address}</Email>\
                 <DigestRequested>{digest}</DigestRequested></EmailSubscription></Subscription>"
            );
            app.send(post(account("/subscriptions"), body)).await.expect(201);
        }
        app.disconnect(&["5405514342"]).await;
        wait_for("a mail", async || (mails("").await.len() == 1).then_some(())).await;
        golden!(app, "mail", app.send(get(MAIL).by(Who::Operator)).await);
        app.advance(DAY_MS).await;
        wait_for("the day's mail", async || (mails("").await.len() == 2).then_some(())).await;
        // Mails are listed newest first, and dated by the moved clock.
        let all = mails("").await;
        assert_eq!((&all[0]["to"], &all[1]["to"]), (&"daily@example.com".into(), &"each@example.com".into()));
        let at = |mail: &serde_json::Value| mail["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(at(&all[0]).millis() % DAY_MS, 0, "at its own instant, midnight: {all:?}");
        assert!(at(&all[0]) > at(&all[1]), "{all:?}");
        assert_eq!(mails("?to=Each@example.com").await, all[1..]);
        assert!(mails("?to=nobody@example.com").await.is_empty());
        golden!(
            app,
            "mail_parameter",
            app.send(get(format!("{MAIL}?too=a@example.com")).by(Who::Operator)).await
        );
        app.send(get(format!("{MAIL}?to=a@example.com&to=b@example.com")).by(Who::Operator))
            .await
            .expect(400);
        let forgotten = app.send(delete(MAIL).by(Who::Operator)).await.expect(204);
        assert!(forgotten.body.is_empty());
        assert!(mails("").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn without_an_emulator_no_mail_is_kept() {
    with_app(Seed::two_accounts(), async |app| {
        app.send(get(MAIL).by(Who::Operator)).await.expect(404);
        app.send(delete(MAIL).by(Who::Operator)).await.expect(404);
        let body = "<Subscription><OrderType>disconnects</OrderType><EmailSubscription>\
                    <Email>ops@example.com</Email></EmailSubscription></Subscription>";
        let refused = app.send(post(account("/subscriptions"), body)).await;
        assert_eq!(refused.error(), (400, Some(1005), "EmailSubscription is not allowed"));
    })
    .await;
}
