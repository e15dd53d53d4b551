//! The feed of events, its seals and their export, at the operations API.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::app::{App, Call, IN_SERVICE, Reply, Seed, Who, disconnects, get, post, wait_for, with_app, xml};

const EVENTS: &str = "/ops/v1/events";

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn as_operator(path: impl Into<String>) -> Call {
    get(path.into()).by(Who::Operator)
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

/// Returns the whole page of events that a query finds, once it has so many.
async fn events(app: &App, query: &str, least: usize) -> Value {
    wait_for("the seals", async || {
        let page = read(&app.send(as_operator(format!("{EVENTS}?limit=1000&{query}"))).await.expect(200));
        (items(&page).len() >= least).then_some(page)
    })
    .await
}

#[tokio::test]
async fn a_reader_that_follows_gets_each_event_once_while_sixteen_write() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers: Vec<String> = (0..16).map(|n| format!("91955530{n:02}")).collect();
        let new = numbers.iter().map(|digits| onhook_core::import::NewNumber {
            state: onhook_core::lifecycle::diagram::State::InService,
            account: Some(crate::app::ACCOUNT.to_string().parse().unwrap()),
            ..onhook_core::import::NewNumber::available(crate::app::number(digits))
        });
        app.import(new.collect()).await;
        let writers = async {
            let orders = numbers.iter().map(async |digits| {
                app.place(post(disconnects(""), xml::disconnect(&[digits.as_str()]))).await;
            });
            futures_util::future::join_all(orders).await;
        };
        let reader = async {
            let (mut after, mut seen) = (0_u64, Vec::new());
            while seen.iter().filter(|kind| **kind == "disconnected").count() < numbers.len() {
                let path = format!("{EVENTS}?after={after}&limit=3&wait_seconds=5");
                for event in items(&read(&app.send(as_operator(path)).await.expect(200))) {
                    let position: u64 = event["position"].as_str().unwrap().parse().unwrap();
                    assert_eq!(position, after + 1, "there is no gap: {event}");
                    after = position;
                    seen.push(event["kind"].as_str().unwrap().to_owned());
                }
            }
        };
        tokio::join!(writers, reader);
    })
    .await;
}

#[tokio::test]
async fn events_are_narrowed_and_an_account_sees_its_own() {
    with_app(Seed::two_accounts(), async |app| {
        let order = app.disconnect(&[IN_SERVICE[0]]).await;
        let order = order.rsplit('/').next().unwrap();
        let reason = json!({ "reason": "vans" }).to_string();
        let lock = post(format!("/ops/v1/numbers/{}/lock", IN_SERVICE[1]), reason).by(Who::Operator);
        app.send(lock.content_type("application/json")).await.expect(200);
        let all = events(app, "kind=disconnected,locked", 2).await;
        let (disconnected, locked) = (&items(&all)[0], &items(&all)[1]);
        assert_eq!(
            (&disconnected["order"], &disconnected["number"]),
            (&order.into(), &format!("+1{}", IN_SERVICE[0]).into())
        );
        for query in [
            format!("order={order}"),
            format!("number={}&kind=disconnected", IN_SERVICE[0]),
            format!("number=%2B1{}", IN_SERVICE[0]),
            format!("account=9900000&kind=disconnected&from={}", disconnected["at"].as_str().unwrap()),
        ] {
            assert_eq!(items(&events(app, &query, 1).await), std::slice::from_ref(disconnected), "{query}");
        }
        let past = format!("until={}&kind=disconnected", disconnected["at"].as_str().unwrap());
        assert!(items(&events(app, &past, 0).await).is_empty());
        // The history shows the same, and the account no address of the operator.
        let history = read(
            &app.send(as_operator(format!("/ops/v1/numbers/{}/history", IN_SERVICE[0]))).await.expect(200),
        );
        assert_eq!(items(&history), std::slice::from_ref(disconnected));
        let own =
            read(&app.send(get(format!("{EVENTS}?kind=locked,imported")).by(Who::Reader)).await.expect(200));
        assert_eq!((items(&own).len(), &items(&own)[0]["position"]), (1, &locked["position"]));
        assert_eq!(
            (&locked["by"]["address"], &items(&own)[0]["by"]["address"]),
            (&"127.0.0.1".into(), &Value::Null)
        );
        let foreign = read(
            &app.send(get(format!("{EVENTS}?kind=locked,disconnected")).by(Who::Neighbour)).await.expect(200),
        );
        assert_eq!((items(&foreign).len(), &foreign["next"]), (0, &Value::Null));
        app.send(get(format!("{EVENTS}?account=9900000")).by(Who::Neighbour)).await.expect(403);
        for wrong in ["kind=made", "number=1", "wait_seconds=31", "limit=0", "after=-1", "from=now"] {
            app.send(as_operator(format!("{EVENTS}?{wrong}"))).await.expect(400);
        }
    })
    .await;
}

#[tokio::test]
async fn an_export_is_verified_by_the_rules_that_are_written_down() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        events(app, "kind=disconnected", 1).await;
        let head = read(&app.send(as_operator("/ops/v1/audit/head")).await.expect(200));
        let export = app.send(as_operator("/ops/v1/audit/export")).await.expect(200);
        assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
        let sha256 = |bytes: &[u8]| -> [u8; 32] { Sha256::digest(bytes).into() };
        let hex = |bytes: [u8; 32]| {
            bytes.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
        };
        let (mut digests, mut previous, mut position) = (Vec::new(), hex([0; 32]), 0_u64);
        for line in export.text().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line.get("event").is_some() {
                position += 1;
                assert_eq!(line["event"]["position"], position.to_string());
                // Keys are in order and no number has a fraction that is written otherwise, but for 0.0.
                let text = line["event"].to_string().replace(":0.0,", ":0,");
                let digest = sha256(text.as_bytes());
                assert_eq!(line["digest"], hex(digest), "{text}");
                digests.extend(digest);
                continue;
            }
            let seal = &line["seal"];
            let of = |key: &str| seal[key].as_str().unwrap();
            assert_eq!(
                (of("root"), of("previous"), of("last")),
                (&*hex(sha256(&digests)), &*previous, &*position.to_string())
            );
            let text = ["batch", "first", "last", "sealed_at", "root", "previous"].map(of).join("\n");
            previous = hex(sha256(format!("onhook-seal-1\n{text}\n").as_bytes()));
            assert_eq!(of("hash"), previous);
            digests.clear();
        }
        assert_eq!(head["hash"], previous);
        let seals = read(&app.send(as_operator("/ops/v1/audit/seals")).await.expect(200));
        assert!(items(&seals).contains(&head));
        let exported = events(app, "kind=exported", 1).await;
        let (by, detail) = (&items(&exported)[0]["by"]["user"], &items(&exported)[0]["detail"]);
        assert_eq!((by, &detail["what"]), (&"operator".into(), &"events".into()));
        app.send(get("/ops/v1/audit/head").by(Who::Admin)).await.expect(403);
        let metrics = app.send(as_operator("/metrics")).await;
        assert!(
            metrics.text().contains("onhook_audit_position") || metrics.status != 200,
            "{}",
            metrics.text()
        );
    })
    .await;
}

#[tokio::test]
async fn a_number_has_changed_hands_since_or_not() {
    with_app(Seed::two_accounts(), async |app| {
        let answer = async |digits: &str, since: &str, who: Who| {
            let path = format!("/ops/v1/numbers/{digits}/changed-hands?since={since}");
            read(&app.send(get(path).by(who)).await)
        };
        let now = app.parts.clock.now().to_string();
        let said = answer(IN_SERVICE[0], &now, Who::Operator).await;
        assert_eq!((&said["answer"], &said["since"]), (&"no".into(), &now.clone().into()));
        app.disconnect(&[IN_SERVICE[0]]).await;
        assert_eq!(answer(IN_SERVICE[0], &now, Who::Reader).await["answer"], "yes");
        assert_eq!(answer(IN_SERVICE[0], "2020-01-01T00:00:00Z", Who::Operator).await["answer"], "no_data");
        assert_eq!(answer("2125550199", &now, Who::Operator).await["answer"], "no_data");
        for digits in [IN_SERVICE[0], "2125550199"] {
            assert_eq!(answer(digits, &now, Who::Neighbour).await["code"], "number_not_found");
        }
        let path = format!("/ops/v1/numbers/{}/changed-hands", IN_SERVICE[0]);
        app.send(as_operator(path)).await.expect(400);
    })
    .await;
}
