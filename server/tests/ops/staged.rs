//! The emulator's faults, its pace, its log of requests and its callbacks.

use serde_json::{Value, json};

use crate::app::{
    App, Call, Reply, Seed, Who, account, basic, delete, disconnects, get, number, post, put, talk, wait_for,
    with_app, xml,
};

const FAULTS: &str = "/ops/v1/emulator/faults";
const REQUESTS: &str = "/ops/v1/emulator/requests";
const CALLBACKS: &str = "/ops/v1/emulator/callbacks";
const PACE: &str = "/ops/v1/emulator/pace";
const CLOCK: &str = "/ops/v1/emulator/clock";
const MAIL: &str = "/ops/v1/emulator/mail";

fn control(path: &str, body: &Value) -> Call {
    post(path, body.to_string()).content_type("application/json").by(Who::Operator)
}

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

async fn rule(app: &App, on: Value, deed: Value) -> Value {
    json_of(&app.send(control(FAULTS, &json!({ "match": on, "do": deed }))).await.expect(201))
}

async fn shown(app: &App, path: &str) -> Value {
    json_of(&app.send(get(path).by(Who::Operator)).await.expect(200))
}

fn order(numbers: &[&str]) -> Call {
    post(disconnects(""), xml::disconnect(numbers))
}

/// Sends a call whose connection is cut, and asserts that nothing comes back.
async fn lost(app: &App, call: Call) {
    let raw = talk(app.address, call.from, &call.bytes()).await;
    assert!(raw.is_empty(), "no answer: {}", String::from_utf8_lossy(&raw));
}

/// Returns the codes with which numbers of an order failed, when it has ended.
async fn codes(app: &App, call: Call) -> (String, Vec<String>) {
    let (_, path) = app.place(call).await;
    let ended = app.ended(get(path)).await;
    let status = ended.element("OrderStatus").or(ended.element("ProcessingStatus")).unwrap().to_owned();
    let codes = [ended.elements("Code"), ended.elements("ErrorCode")].concat();
    (status, codes.into_iter().map(str::to_owned).collect())
}

#[tokio::test]
async fn a_rule_refuses_as_often_as_it_says_and_nothing_is_written() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let before = app.counts().await;
        let made = rule(
            app,
            json!({ "method": "POST", "path": "/accounts/*/disconnects", "account": "9900000", "count": 1 }),
            json!({ "reply": { "status": 503, "code": null, "headers": { "Retry-After": "7" } } }),
        )
        .await;
        let refused = app.send(order(&["5405514342"])).await.expect(503);
        assert_eq!(refused.header("retry-after"), Some("7"));
        assert_eq!(app.counts().await, before);
        app.send(get(disconnects(""))).await.expect(200);
        app.disconnect(&["5405514342"]).await;
        let all = shown(app, FAULTS).await;
        assert_eq!((&all["items"][0]["id"], &all["items"][0]["hits"]), (&made["id"], &1.into()));
        app.send(delete(format!("{FAULTS}/1")).by(Who::Operator)).await.expect(204);
        app.send(delete(format!("{FAULTS}/1")).by(Who::Operator)).await.expect(404);
        rule(app, json!({}), json!({ "reply": { "status": 400, "code": 5012 } })).await;
        golden!(app, "refused_with_a_code", app.send(order(&["5405514342"])).await);
        golden!(app, "refused_another_form", app.send(get("/api/tns/5405514342")).await);
        // The server's own routes have no faults.
        assert_eq!(shown(app, FAULTS).await["items"].as_array().unwrap().len(), 1);
        app.send(delete(FAULTS).by(Who::Operator)).await.expect(204);
        assert_eq!(shown(app, FAULTS).await, json!({ "items": [], "next": null }));
    })
    .await;
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_answered_under_its_key() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        for (deed, number) in [("after", "5405514342"), ("before", "7034343704")] {
            let before = app.counts().await.0;
            rule(app, json!({ "method": "POST", "count": 1 }), json!({ "drop": deed })).await;
            let keyed = || order(&[number]).header("Idempotency-Key", number);
            lost(app, keyed()).await;
            let written = app.counts().await.0 - before;
            assert_eq!(written, u64::from(deed == "after"), "{deed}");
            let again = app.send(keyed()).await.expect(201);
            assert_eq!(app.counts().await.0 - before, 1, "{deed}: one order");
            app.ended(get(app.path_of(again.header("location").unwrap()))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_asks_for_its_own_fault_and_a_misspelt_one_is_refused() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let wish = |word: &str| order(&["5405514342"]).header("Prefer", &format!("onhook-fault={word}"));
        let busy = app.send(wish("503")).await.expect(503);
        assert_eq!(busy.header("preference-applied"), Some("onhook-fault=503"));
        golden!(app, "wish_with_a_code", app.send(wish("400-5012+delay-1")).await);
        lost(app, wish("drop")).await;
        assert_eq!(app.counts().await.0, 0);
        golden!(app, "wish_misspelt", app.send(wish("5o3")).await);
        app.send(wish("503+nothing")).await.expect(400);
        assert_eq!(codes(app, wish("number-5003")).await, ("FAILED".into(), vec!["5003".into()]));
        let there = app.send(get("/api/tns/5405514342")).await;
        assert_eq!(there.element("Status"), Some("Inservice"), "no number moved");
        lost(app, wish("drop-after")).await;
        assert_eq!(app.counts().await.0, 2);
    })
    .await;
    with_app(Seed::two_accounts(), async |app| {
        let call = order(&["5405514342"]).header("Prefer", "onhook-fault=503");
        assert_eq!(app.send(call).await.expect(201).header("preference-applied"), None);
    })
    .await;
}

#[tokio::test]
async fn a_rule_fails_single_numbers() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        rule(app, json!({ "number": "+15405514342" }), json!({ "number": { "code": "5086" } })).await;
        let both = codes(app, order(&["5405514342", "7034343704"])).await;
        assert_eq!(both, ("PARTIAL".into(), vec!["5086".into()]));
        let history = app.parts.store.history(number("5405514342")).await.unwrap().unwrap().history;
        assert!(history.events.is_empty(), "it did not move: {:?}", history.events);
    })
    .await;
}

#[tokio::test]
async fn magic_numbers_do_what_their_list_says() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let one = |code: &str| ("FAILED".to_owned(), vec![code.to_owned()]);
        for (last, code) in [("70", "5006"), ("71", "5006"), ("72", "5003"), ("73", "5007"), ("74", "5086")] {
            assert_eq!(codes(app, order(&[&format!("54055501{last}")])).await, one(code), "{last}");
        }
        for (last, code) in [("75", "5005"), ("76", "5016"), ("77", "5020"), ("78", "5023")] {
            let call = post(account("/orders"), xml::order(app.site, &[&format!("54055501{last}")]));
            assert_eq!(codes(app, call).await, one(code), "{last}");
        }
        let moved = post(account("/moveTns"), xml::move_order(app.site, &["5405550179"]));
        assert_eq!(codes(app, moved).await, one("5076"));
        let locked = codes(app, order(&["5405514342", "5405550171"])).await;
        assert_eq!(locked, ("PARTIAL".into(), vec!["5006".into()]));
        for (last, status) in [("80", 400), ("81", 429), ("82", 500), ("83", 503), ("84", 504), ("85", 504)] {
            app.send(get(format!("/api/tns/54055501{last}"))).await.expect(status);
        }
        let written = async |digits: &str| {
            let before = app.counts().await.0;
            let call = order(&[digits]);
            let raw = talk(app.address, call.from, &call.bytes()).await;
            (app.counts().await.0 - before, raw.is_empty())
        };
        assert_eq!(written("5405550184").await, (1, false));
        assert_eq!(written("5405550185").await, (0, false));
        assert_eq!(written("5405550186").await, (0, true));
        assert_eq!(written("5405550187").await, (1, true));
        let listed = shown(app, &format!("{FAULTS}?built_in=true")).await;
        insta::assert_snapshot!("magic_numbers", serde_json::to_string_pretty(&listed).unwrap());
    })
    .await;
    with_app(Seed::two_accounts(), async |app| {
        app.send(get("/api/tns/5405550183")).await.expect(404);
        assert_eq!(codes(app, order(&["5405550172"])).await.1, ["5006"]);
    })
    .await;
}

#[tokio::test]
async fn what_was_done_is_answered_when_it_is_sent_again_under_its_key() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        // 504 and a cut connection by magic numbers, then a rule without an end.
        for digits in ["5405550184", "5405550187", "5405514342"] {
            if digits == "5405514342" {
                rule(app, json!({ "number": digits }), json!({ "drop": "after" })).await;
            }
            let before = app.counts().await.0;
            let keyed = || order(&[digits]).header("Idempotency-Key", digits);
            let raw = talk(app.address, keyed().from, &keyed().bytes()).await;
            assert_eq!(raw.is_empty(), digits != "5405550184", "{digits}");
            let again = app.send(keyed()).await.expect(201);
            assert_eq!(app.counts().await.0 - before, 1, "{digits}: one order");
            app.ended(get(app.path_of(again.header("location").unwrap()))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn magic_numbers_let_an_order_wait_and_an_answer_be_late() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let status = async |path: &str| {
            app.send(get(path)).await.expect(200).element("OrderStatus").unwrap().to_owned()
        };
        let (_, path) = app.place(order(&["5405550190"])).await;
        for _ in 0..3 {
            assert_eq!(status(&path).await, "RECEIVED");
        }
        assert_eq!(status(&path).await, "FAILED", "it is not there");
        app.send(control(CLOCK, &json!({ "rate": 0 }))).await.expect(200);
        let (_, path) = app.place(order(&["5405550191"])).await;
        app.advance(59_999).await;
        assert_eq!(status(&path).await, "RECEIVED");
        app.advance(1).await;
        assert_eq!(status(&path).await, "FAILED");
        app.send(get("/api/tns/5405550192")).await.expect(404);
        let entry = &shown(app, &format!("{REQUESTS}?number=5405550192")).await["items"][0];
        assert!(entry["took_ms"].as_u64() >= Some(5_000), "{entry}");
    })
    .await;
}

#[tokio::test]
async fn what_chance_decides_repeats_with_its_seed() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let mut runs = Vec::new();
        for id_seed in [1, 1, 2] {
            app.send(control(RESET, &json!({ "id_seed": id_seed }))).await.expect(200);
            rule(app, json!({ "probability": 0.5 }), json!({ "reply": { "status": 503 } })).await;
            let mut statuses = Vec::new();
            for _ in 0..32 {
                statuses.push(app.send(get("/api/tns/5405514342")).await.status);
            }
            assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
            runs.push(statuses);
        }
        assert!(runs[0] == runs[1] && runs[0] != runs[2], "{runs:?}");
    })
    .await;
}

#[tokio::test]
async fn an_order_waits_until_it_was_read_or_its_time_has_come() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let pace =
            |body: Value| put(PACE, body.to_string()).content_type("application/json").by(Who::Operator);
        app.send(pace(json!({ "mode": "after_reads", "reads": 2, "account": "9900000" }))).await.expect(200);
        let (_, path) = app.place(order(&["5405514342"])).await;
        let clock =
            app.send(control("/ops/v1/emulator/clock", &json!({ "advance_days": 1 }))).await.expect(200);
        assert_eq!(json_of(&clock)["waiting"]["reads"], 1);
        let mut seen = Vec::new();
        for _ in 0..3 {
            app.send(get(disconnects(""))).await.expect(200);
            let status = app.send(get(&path)).await.expect(200).element("OrderStatus").unwrap().to_owned();
            seen.push(status);
        }
        assert_eq!(seen, ["RECEIVED", "RECEIVED", "COMPLETE"]);
        app.send(pace(json!({ "mode": "after_ms", "ms": 60_000 }))).await.expect(200);
        golden!(app, "pace", app.send(get(PACE).by(Who::Operator)).await);
        let (_, path) = app.place(order(&["7034343704"])).await;
        let status =
            async || app.send(get(&path)).await.expect(200).element("OrderStatus").unwrap().to_owned();
        assert_eq!(status().await, "RECEIVED");
        app.advance(60_000).await;
        assert_eq!(status().await, "COMPLETE");
        for wrong in
            [json!({ "mode": "later" }), json!({ "mode": "after_ms" }), json!({ "mode": "at_once", "ms": 1 })]
        {
            app.send(pace(wrong)).await.expect(400);
        }
    })
    .await;
}

#[tokio::test]
async fn requests_are_kept_with_their_replies_and_without_secrets() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let path = app.disconnect(&["5405514342"]).await;
        let id = path.rsplit('/').next().unwrap().to_owned();
        app.send(get("/api/nothing/here")).await.expect(404);
        app.send(get("/api/tns/5405514342").by(Who::Nobody)).await.expect(401);
        app.send(get("/healthz").by(Who::Nobody)).await.expect(200);
        let made =
            shown(app, &format!("{REQUESTS}?method=POST&path=/accounts/*/disconnects&order={id}")).await;
        let entry = &made["items"][0];
        assert_eq!(
            (&entry["status"], &entry["user"], &entry["order"]),
            (&201.into(), &"username".into(), &id.clone().into())
        );
        assert_eq!(entry["request"]["headers"]["authorization"], "***");
        assert!(entry["request"]["body"].as_str().unwrap().contains("5405514342"), "{entry}");
        assert!(entry["reply"]["body"].as_str().unwrap().contains("RECEIVED"), "{entry}");
        let count =
            async |query: &str| shown(app, &format!("{REQUESTS}/count?{query}")).await["count"].as_u64();
        assert_eq!(count("status=404").await, Some(1));
        assert_eq!(count("status=401").await, Some(1));
        assert_eq!(count("account=9900000&number=5405514342").await, Some(1));
        assert_eq!(count("contains=nowhere").await, Some(0));
        assert_eq!(count("path=/healthz").await, Some(0));
        let all = count("").await.unwrap();
        let first = shown(app, &format!("{REQUESTS}?limit=1")).await;
        let next = first["next"].as_str().unwrap();
        let second = shown(app, &format!("{REQUESTS}?limit=1&cursor={next}")).await;
        assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
        assert_eq!(count("").await, Some(all), "looking is not logged");
        app.send(delete(REQUESTS).by(Who::Operator)).await.expect(204);
        assert_eq!(count("").await, Some(0));
        rule(app, json!({}), json!({ "delay_ms": 1 })).await;
        app.send(get("/api/tns/5405514342")).await.expect(200);
        let last = shown(app, REQUESTS).await;
        assert_eq!(last["items"][0]["fault"], "rule 1");
    })
    .await;
}

fn subscribe(url: &str) -> Call {
    let body = format!(
        "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription><URL>{url}</URL>\
         <Expiry>31536000</Expiry><Delivery><Retry>true</Retry></Delivery></CallbackSubscription></Subscription>"
    );
    post(account("/subscriptions"), body)
}

#[tokio::test]
async fn the_emulator_has_a_receiver_and_shows_what_was_sent() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let url = format!("{}/ops/v1/emulator/receiver/mine", app.base());
        app.send(subscribe(&url)).await.expect(201);
        // Nothing else of this server can be called back.
        for other in
            ["/ops/v1/emulator/receiver/", "/ops/v1/emulator/receiver/a/b", "/ops/v1/emulator/clock", "/"]
        {
            let refused = app.send(subscribe(&format!("{}{other}", app.base()))).await;
            assert_eq!(refused.status, 400, "{other}: {}", refused.text());
        }
        let path = app.disconnect(&["5405514342"]).await;
        let id = path.rsplit('/').next().unwrap();
        let of_order = format!("{CALLBACKS}?order={id}&receiver={url}");
        let told = wait_for("a callback", async || {
            let found = shown(app, &of_order).await;
            (!found["items"].as_array().unwrap().is_empty()).then_some(found)
        })
        .await;
        let one = &told["items"][0];
        assert_eq!((&one["status"], &one["fault"]), (&200.into(), &Value::Null));
        assert!(one["body"].as_str().unwrap().contains("<Status>COMPLETE</Status>"), "{one}");
        assert_eq!(one["headers"]["content-type"], "application/xml; charset=utf-8");
        assert_eq!(told["items"].as_array().unwrap().len(), 1, "once");
        let other =
            post("/ops/v1/emulator/receiver/mine", "<a/>").by(Who::Nobody).header("User-Agent", "curl");
        app.send(other).await.expect(200);
        assert_eq!(shown(app, CALLBACKS).await["items"][0]["outcome"], "received");
    })
    .await;
}

#[tokio::test]
async fn a_receiver_fails_on_demand_and_is_told_again() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let url = format!("{}/ops/v1/emulator/receiver/mine", app.base());
        app.send(subscribe(&url)).await.expect(201);
        rule(app, json!({ "receiver": url, "count": 2 }), json!({ "receiver": 500 })).await;
        app.disconnect(&["5405514342"]).await;
        app.advance(86_400_000).await;
        let told = shown(app, CALLBACKS).await;
        let statuses: Vec<_> =
            told["items"].as_array().unwrap().iter().rev().map(|one| one["status"].clone()).collect();
        assert_eq!(statuses, [500, 500, 200]);
        // 0195: the first telling times out. 0196: none arrives.
        app.disconnect(&["5405550195"]).await;
        app.advance(86_400_000).await;
        let outcomes = async |from: usize| -> Vec<String> {
            let told = shown(app, CALLBACKS).await;
            let all = told["items"].as_array().unwrap().iter().rev().skip(from);
            all.map(|one| one["outcome"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(outcomes(3).await, ["timeout", "http 200"]);
        app.disconnect(&["5405550196"]).await;
        app.advance(2 * 86_400_000).await;
        let refused = outcomes(5).await;
        assert!(refused.len() > 3 && refused.iter().all(|outcome| outcome == "refused"), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_receiver_or_a_mailbox_fails_in_each_way() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let url = format!("{}/ops/v1/emulator/receiver/mine", app.base());
        app.send(subscribe(&url)).await.expect(201);
        for (receiver, outcome) in [
            (json!("timeout"), "timeout"),
            (json!("refused"), "refused"),
            (json!("tls"), "tls"),
            (json!(404), "http 404"),
        ] {
            rule(
                app,
                json!({ "receiver": &url[..url.len() - 4], "count": 1 }),
                json!({ "receiver": receiver }),
            )
            .await;
            app.disconnect(&["5405514342"]).await;
            app.send(control(CLOCK, &json!({ "advance_ms": 0 }))).await.expect(200);
            let told = shown(app, &format!("{CALLBACKS}?limit=1")).await;
            assert_eq!(told["items"][0]["outcome"], outcome, "{told}");
        }
        // A single order's own, at the first attempt.
        for (word, outcome) in [("receiver-timeout", "timeout"), ("receiver-500", "http 500")] {
            let wish = order(&["7034343704"]).header("Prefer", &format!("onhook-fault={word}"));
            let (_, path) = app.place(wish).await;
            app.ended(get(&path)).await;
            app.advance(86_400_000).await;
            let of_order = format!("{CALLBACKS}?order={}", path.rsplit('/').next().unwrap());
            let told = shown(app, &of_order).await;
            let outcomes: Vec<_> =
                told["items"].as_array().unwrap().iter().rev().map(|one| one["outcome"].clone()).collect();
            assert_eq!(outcomes, [outcome, "http 200"], "{word}");
        }
        let mailed = "<Subscription><OrderType>disconnects</OrderType><EmailSubscription>\
                      <Email>a@example.com</Email></EmailSubscription></Subscription>";
        app.send(post(account("/subscriptions"), mailed)).await.expect(201);
        rule(app, json!({ "receiver": "a@example.com" }), json!({ "receiver": "refused" })).await;
        app.disconnect(&["9195551001"]).await;
        app.send(control(CLOCK, &json!({ "advance_ms": 0 }))).await.expect(200);
        assert_eq!(shown(app, MAIL).await["items"], json!([]), "nothing is sent");
        let rules = shown(app, FAULTS).await;
        assert_eq!(rules["items"].as_array().unwrap().last().unwrap()["hits"], 1, "{rules}");
    })
    .await;
}

#[tokio::test]
async fn requests_are_listed_from_an_instant_on() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        app.send(get("/api/tns/5405514342")).await.expect(200);
        let day = json_of(&app.send(control(CLOCK, &json!({ "advance_days": 1 }))).await.expect(200));
        let since = format!("{REQUESTS}/count?since={}", day["now"].as_str().unwrap());
        assert_eq!(shown(app, &since).await["count"], 0);
        app.send(get("/api/tns/7034343704")).await.expect(200);
        assert_eq!(shown(app, &since).await["count"], 1);
        let long = "x".repeat(100_000);
        let body = xml::disconnect_with(&format!("<name>{long}</name>"), &["5405514342"], "");
        app.send(post(disconnects(""), body)).await;
        let kept = shown(app, &format!("{REQUESTS}?limit=1")).await;
        assert_eq!(kept["items"][0]["request"]["body"].as_str().unwrap().len(), 65_536);
    })
    .await;
}

#[tokio::test]
async fn a_rule_that_says_too_little_or_too_much_is_refused() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        for (status, body) in [
            (400, json!({})),
            (400, json!({ "do": {} })),
            (400, json!({ "do": { "drop": "before", "reply": { "status": 503 } } })),
            (400, json!({ "do": { "reply": { "status": 200 } } })),
            (422, json!({ "do": { "reply": { "status": 400, "code": 1 } } })),
            (422, json!({ "do": { "number": { "code": "1" } } })),
            (400, json!({ "do": { "drop": "sometimes" } })),
            (400, json!({ "do": { "delay_ms": 60_001 } })),
            (400, json!({ "do": { "receiver": "deaf" } })),
            (400, json!({ "match": { "receiver": "http://a/" }, "do": { "drop": "before" } })),
            (400, json!({ "match": { "count": 0 }, "do": { "drop": "before" } })),
            (400, json!({ "match": { "probability": 2 }, "do": { "drop": "before" } })),
            (400, json!({ "match": { "paths": "/" }, "do": { "drop": "before" } })),
        ] {
            let reply = app.send(control(FAULTS, &body)).await;
            assert_eq!(reply.status, status, "{body}: {}", reply.text());
        }
        assert_eq!(shown(app, FAULTS).await["items"], json!([]));
    })
    .await;
}

const RESET: &str = "/ops/v1/emulator/reset";
const SNAPSHOTS: &str = "/ops/v1/emulator/snapshots";

/// Sends ten requests, and returns their replies, each with status, headers and body.
async fn ten(app: &App) -> Vec<String> {
    let mut replies = Vec::new();
    let mut send = async |call: Call| {
        let reply = app.send(call).await.without_date();
        replies.push(format!("{} {:?} {}", reply.status, reply.headers, reply.text()));
        reply
    };
    let made = send(order(&["5405514342", "7034343704"])).await;
    let path = app.path_of(made.header("location").unwrap());
    for _ in 0..3 {
        send(get(&path)).await;
    }
    send(get(account("/availableNumbers?areaCode=540&quantity=5"))).await;
    let signed = "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription>\
                  <URL>http://127.0.0.1:3000/a</URL><Delivery><Sign>true</Sign></Delivery></CallbackSubscription></Subscription>";
    send(post(account("/subscriptions"), signed)).await;
    send(post(account("/tnreservation"), xml::reservation("4155550100"))).await;
    send(get(disconnects(""))).await;
    send(get("/api/tns/5405514342")).await;
    send(get("/ops/v1/emulator/clock").by(Who::Operator)).await;
    replies
}

#[tokio::test]
async fn after_a_reset_with_a_seed_the_same_requests_have_the_same_replies() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let begin = json!({ "id_seed": 42, "now": "2026-01-01T00:00:00.000Z", "rate": 0 });
        let pace = json!({ "mode": "after_reads", "reads": 2 }).to_string();
        let mut runs = Vec::new();
        for _ in 0..2 {
            app.send(control(RESET, &begin)).await.expect(200);
            let call = put(PACE, pace.clone()).content_type("application/json").by(Who::Operator);
            app.send(call).await.expect(200);
            runs.push(ten(app).await);
        }
        let statuses: Vec<&str> = runs[0].iter().map(|reply| &reply[..3]).collect();
        assert_eq!(statuses, ["201", "200", "200", "200", "200", "201", "201", "200", "200", "200"]);
        let is_received = |reply: &String| reply.contains("RECEIVED");
        assert_eq!(runs[0][1..4].iter().map(is_received).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(runs[0], runs[1]);
        app.send(control(RESET, &json!({ "id_seed": 43, "now": "2026-01-01T00:00:00.000Z", "rate": 0 })))
            .await;
        assert_ne!(runs[0][0], ten(app).await[0], "another seed gives other ids");
        app.send(control(RESET, &json!({ "rate": -1 }))).await.expect(400);
        app.send(control(RESET, &json!({ "seed": 1 }))).await.expect(400);
    })
    .await;
}

#[tokio::test]
async fn a_reset_takes_everything_back() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let before = app.counts().await;
        let url = format!("{}/ops/v1/emulator/receiver/mine", app.base());
        app.send(subscribe(&url)).await.expect(201);
        rule(app, json!({ "path": "/no/such/path" }), json!({ "drop": "before" })).await;
        let path = app.disconnect(&["5405514342"]).await;
        app.send(control("/ops/v1/emulator/clock", &json!({ "advance_days": 91 }))).await.expect(200);
        app.send(control(RESET, &json!({}))).await.expect(200);
        assert_eq!(app.counts().await, before);
        app.send(get(path)).await.expect(404);
        assert_eq!(app.send(get("/api/tns/5405514342")).await.element("Status"), Some("Inservice"));
        for list in [FAULTS, REQUESTS, CALLBACKS] {
            let items = shown(app, list).await["items"].as_array().unwrap().len();
            assert!(items <= usize::from(list == REQUESTS) * 2, "{list}: {items}");
        }
        assert_eq!(shown(app, "/ops/v1/emulator/clock").await["moved_ms"], 0);
        // What is done after it is whole.
        app.disconnect(&["5405514342", "7034343704"]).await;
        app.send(control("/ops/v1/emulator/clock", &json!({ "advance_days": 91 }))).await.expect(200);
        assert_eq!(app.send(get("/api/tns/5405514342")).await.element("Status"), Some("Available"));
    })
    .await;
}

#[tokio::test]
async fn a_reset_forgets_pace_mail_keys_and_events() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let positions = async || {
            let page = shown(app, "/ops/v1/events?limit=1000").await;
            page["items"].as_array().unwrap().iter().map(|item| item["position"].clone()).collect::<Vec<_>>()
        };
        app.send(control(RESET, &json!({}))).await.expect(200);
        let sealed = wait_for("the seed's events", async || {
            let found = positions().await;
            (!found.is_empty()).then_some(found)
        })
        .await;
        let keyed = || control(CLOCK, &json!({ "advance_days": 1 })).header("Idempotency-Key", "once");
        let order_keyed = |digits: &str| order(&[digits]).header("Idempotency-Key", "once");
        let pace = put(PACE, json!({ "mode": "after_reads", "reads": 9 }).to_string());
        let mailed = "<Subscription><OrderType>disconnects</OrderType><EmailSubscription>\
                      <Email>a@example.com</Email></EmailSubscription></Subscription>";
        app.send(post(account("/subscriptions"), mailed)).await.expect(201);
        app.disconnect(&["7034343704"]).await;
        app.send(keyed()).await.expect(200);
        app.send(order_keyed("5405514342")).await.expect(201);
        assert_eq!(shown(app, MAIL).await["items"].as_array().unwrap().len(), 1);
        app.send(pace.content_type("application/json").by(Who::Operator)).await.expect(200);
        app.send(control(RESET, &json!({}))).await.expect(200);
        assert_eq!(
            shown(app, PACE).await["items"],
            json!([{ "account": null, "mode": "at_once", "ms": null, "reads": null }])
        );
        assert_eq!(shown(app, MAIL).await["items"], json!([]));
        assert_eq!(app.send(keyed()).await.expect(200).header("idempotency-replayed"), None);
        app.send(order_keyed("7034343704")).await.expect(201); // the key is free
        app.send(control(RESET, &json!({}))).await.expect(200);
        wait_for("the seed's events alone", async || (positions().await == sealed).then_some(())).await;
    })
    .await;
}

#[tokio::test]
async fn after_a_reset_to_the_past_a_number_is_free_91_days_later() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let begin = json!({ "now": "2020-01-01T00:00:00.000Z", "rate": 0 });
        app.send(control(RESET, &begin)).await.expect(200);
        let path = app.disconnect(&["5405514342"]).await;
        let order = app.send(get(path)).await.expect(200);
        assert_eq!(order.element("OrderCreateDate"), Some("2020-01-01T00:00:00.000Z"));
        let moved = app.send(control(CLOCK, &json!({ "advance_days": 91 }))).await.expect(200);
        assert_eq!(json_of(&moved)["ran"]["released"], 1);
        let history = app.parts.store.history(number("5405514342")).await.unwrap().unwrap().history;
        let instants: Vec<String> = history.events.iter().map(|event| event.at.to_string()).collect();
        assert_eq!(instants[0], "2020-01-01T00:00:00.000Z");
    })
    .await;
}

#[tokio::test]
async fn there_are_at_most_twenty_snapshots() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        for n in 0..20 {
            app.send(control(SNAPSHOTS, &json!({ "name": format!("s{n}") }))).await.expect(201);
        }
        app.send(control(SNAPSHOTS, &json!({ "name": "one more" }))).await.expect(400);
        app.send(control(SNAPSHOTS, &json!({ "name": "s20" }))).await.expect(400);
        app.send(delete(format!("{SNAPSHOTS}/s7")).by(Who::Operator)).await.expect(204);
        app.send(control(SNAPSHOTS, &json!({ "name": "s20" }))).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_is_gone_back_to() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let path = app.disconnect(&["5405514342"]).await;
        let keep = || control(SNAPSHOTS, &json!({ "name": "before" }));
        let made = json_of(&app.send(keep()).await.expect(201));
        assert_eq!(made["orders"], 1);
        app.send(keep()).await.expect(409);
        app.send(control("/ops/v1/emulator/clock", &json!({ "advance_days": 91 }))).await.expect(200);
        let status = async || {
            let reply = app.send(get("/api/tns/5405514342")).await;
            reply.element("Status").map(str::to_owned)
        };
        assert_eq!(status().await.as_deref(), Some("Available"));
        let back = app.send(control(&format!("{SNAPSHOTS}/before/restore"), &json!({}))).await.expect(200);
        assert_eq!(status().await.as_deref(), Some("Aging"));
        let since = |text: &Value| text.as_str().unwrap().parse::<onhook_core::time::Timestamp>().unwrap();
        assert!(
            since(&json_of(&back)["now"]).since(since(&made["at"])) < 86_400_000,
            "the clock went back, too"
        );
        app.send(get(&path)).await.expect(200);
        assert_eq!(shown(app, SNAPSHOTS).await["items"].as_array().unwrap().len(), 1);
        app.send(delete(format!("{SNAPSHOTS}/before")).by(Who::Operator)).await.expect(204);
        app.send(control(&format!("{SNAPSHOTS}/before/restore"), &json!({}))).await.expect(404);
        app.send(control(SNAPSHOTS, &json!({ "name": "a b" }))).await.expect(400);
    })
    .await;
}

#[tokio::test]
async fn tokens_end_at_a_reset() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let grant = post("/api/v1/oauth2/token", "grant_type=client_credentials");
        let reply = app.send(grant.content_type("application/x-www-form-urlencoded")).await.expect(200);
        let token = json_of(&reply)["access_token"].as_str().unwrap().to_owned();
        let ask =
            || get("/api/tns/5405514342").by(Who::Nobody).header("Authorization", &format!("Bearer {token}"));
        app.send(ask()).await.expect(200);
        app.send(control(RESET, &json!({}))).await.expect(200);
        app.send(ask()).await.expect(401);
    })
    .await;
}

#[tokio::test]
async fn the_emulator_has_a_page_whose_buttons_no_other_page_presses() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        app.disconnect(&["5405514342"]).await;
        let page = app.send(get("/").by(Who::Operator)).await.expect(200);
        for part in ["91 days", "COMPLETE", "/api/accounts/9900000/disconnects", "InService", "<script>"] {
            assert!(page.text().contains(part), "{part}: {}", page.text());
        }
        let press =
            |body: &str| post("/", body).content_type("application/x-www-form-urlencoded").by(Who::Operator);
        app.send(press("days=91").header("Origin", "http://example.com")).await.expect(403);
        assert_eq!(shown(app, "/ops/v1/emulator/clock").await["moved_ms"], 0);
        let pressed = app.send(press("days=91").header("Sec-Fetch-Site", "same-origin")).await.expect(303);
        assert_eq!(pressed.header("location"), Some("/"));
        assert_eq!(app.send(get("/api/tns/5405514342")).await.element("Status"), Some("Available"));
        app.send(press("reset=1")).await.expect(303);
        assert_eq!(app.send(get("/api/tns/5405514342")).await.element("Status"), Some("Inservice"));
        app.send(press("nothing=1")).await.expect(400);
        app.send(get("/")).await.expect(403);
        app.send(get("/").by(Who::Nobody)).await.expect(401);
    })
    .await;
    with_app(Seed::two_accounts(), async |app| {
        app.send(get("/").by(Who::Nobody)).await.expect(404);
    })
    .await;
}

const SEED: &str = "/ops/v1/emulator/seed";

fn seed(query: &str, of_type: &str, file: &str) -> Call {
    post(format!("{SEED}{query}"), file.to_owned()).content_type(of_type).by(Who::Operator)
}

#[tokio::test]
async fn a_seed_adds_all_that_a_file_has() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let file = "
accounts: [{id: 9900009, name: Ninth, class: business, sites: [{name: A site, peers: [{name: A peer}, {name: B}]}]}]
users: [{name: ninth, account: 9900009, role: order, password: correct horse}]
numbers:
  - {from: +19195550160, to: +19195550169, state: InService, account: 9900009, site: A site, peer: B}
  - {number: 9195550189}
";
        let added = json_of(&app.send(seed("", "application/yaml", file)).await.expect(200));
        assert_eq!(added, json!({ "accounts": 1, "users": 1, "numbers": 11 }));
        let call = shown(app, "/ops/v1/calls/9195550169").await;
        assert_eq!(call["deliver"]["account"], "9900009");
        let peers = shown(app, "/ops/v1/peers?account=9900009").await;
        let named = peers["items"].as_array().unwrap().iter().find(|peer| peer["id"] == call["deliver"]["peer"]).unwrap();
        assert_eq!(named["name"], "B");
        let own = get("/api/accounts/9900009/inserviceNumbers")
            .without("Authorization")
            .header("Authorization", &basic("ninth", "correct horse"));
        assert_eq!(app.send(own).await.element("TotalCount"), Some("10"));

        // Without `replace` a reset knows nothing of it.
        app.send(control(RESET, &json!({}))).await.expect(200);
        app.send(get("/ops/v1/numbers/9195550169").by(Who::Operator)).await.expect(404);
        app.send(seed("?replace=true", "application/yaml", file)).await.expect(200);
        app.send(control(RESET, &json!({}))).await.expect(200);
        app.send(get("/ops/v1/numbers/9195550169").by(Who::Operator)).await.expect(200);

        let file = "number,state,account\n9195550170,InService,9900009\n";
        let added = json_of(&app.send(seed("", "text/csv", file)).await.expect(200));
        assert_eq!(added["numbers"], 1);
    })
    .await;
}

#[tokio::test]
async fn a_seed_with_a_mistake_adds_nothing_and_names_its_place() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let before = app.counts().await;
        let generation = async || app.parts.store.user("username").await.unwrap().unwrap().generation;
        let generation_before = generation().await;
        let yaml = "application/yaml";
        let good = "accounts: [{id: 9900009, name: Ninth}]\n";
        for (of_type, file, at) in [
            (yaml, good.replace("Ninth", "\"\""), "/accounts/0/name"),
            (yaml, good.replace("9900009", "9900000"), "/accounts/0/id"),
            (
                yaml,
                format!("{good}users: [{{name: username, role: operator, password: password}}]"),
                "/users/0/name",
            ),
            (yaml, format!("{good}numbers: [{{number: 9195550160}}, {{number: 5405514342}}]"), "/numbers/1"),
            (yaml, format!("{good}numbers: [{{number: 9195550160, state: InService}}]"), "/numbers/0"),
            (
                yaml,
                format!("{good}numbers: [{{number: 9195550160, state: InService, account: 9900009, site: Nowhere}}]"),
                "/numbers/0/site",
            ),
            (
                yaml,
                format!("{good}users: [{{name: a, account: 9900009, role: read, password: password}}, {{name: A, account: 9900009, role: read, password: password}}]"),
                "/users/1/name",
            ),
            (yaml, format!("{good}users: [{{name: a, account: 9900010, role: read, password: password}}]"), "/users/0/account"),
            (yaml, format!("{good}numbers: [{{number: 9195550160}}, {{number: 9195550160}}]"), "/numbers/1"),
            (yaml, format!("{good}numbers: [{{number: 9195550160, state: InService, account: 9900010}}]"), "/numbers/0"),
            (yaml, "accounts: [".to_owned(), ""),
            ("text/csv", "number\n9195550160\n12\n".to_owned(), "line 3"),
            ("text/csv", "colour\nred\n".to_owned(), "line 1"),
        ] {
            let refused = json_of(&app.send(seed("", of_type, &file)).await.expect(400));
            assert_eq!(refused["errors"][0]["at"], at, "{file}: {refused}");
            assert_eq!(app.counts().await, before, "{file}");
        }
        assert_eq!(generation().await, generation_before, "nothing was taken back, which would end tokens");
        let long = format!("# {}\n{good}", "x".repeat(16 << 20));
        app.send(seed("", yaml, &long)).await.expect(413);
        app.send(seed("", "application/json", "{}")).await.expect(415);
        app.send(seed("?replace=perhaps", yaml, good)).await.expect(400);
        app.send(get("/ops/v1/accounts/9900009").by(Who::Operator)).await.expect(404);
    })
    .await;
}
