//! Plans at the operations API: shown, applied, approved and withdrawn.

use onhook_core::import::NewNumber;
use onhook_core::lifecycle::diagram::State;
use onhook_server::demo_data::{self, APPROVER};
use serde_json::{Value, json};

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOUR, NEIGHBOURS, POOL, Reply, Seed, Who, account, disconnects, get,
    patch, post, replies, talk, with_app, xml,
};

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn send(path: impl Into<String>, body: &Value) -> Call {
    post(path.into(), body.to_string()).content_type("application/json")
}

fn e164(digits: &str) -> String {
    format!("+1{digits}")
}

fn body(act: &str, numbers: &[&str]) -> Value {
    let numbers: Vec<String> = numbers.iter().map(|digits| e164(digits)).collect();
    json!({ "act": act, "account": ACCOUNT.to_string(), "target": { "numbers": numbers }, "reason": "a reason" })
}

fn plan(body: &Value) -> Call {
    send("/ops/v1/plans", body)
}

async fn made(app: &App, body: &Value) -> Value {
    read(&app.send(plan(body).by(Who::Operator)).await.expect(201))
}

fn step(plan: &Value, step: &str, body: &Value) -> Call {
    send(format!("/ops/v1/plans/{}/{step}", plan["id"].as_str().unwrap()), body).by(Who::Operator)
}

fn apply(plan: &Value) -> Call {
    step(plan, "apply", &json!({ "hash": plan["hash"] }))
}

fn approve(plan: &Value, apply: bool) -> Call {
    step(plan, "approve", &json!({ "hash": plan["hash"], "reason": "it is right", "apply": apply }))
}

async fn number(app: &App, digits: &str) -> Value {
    read(&app.send(get(format!("/ops/v1/numbers/{digits}")).by(Who::Operator)).await.expect(200))
}

async fn events(app: &App, digits: &str) -> Vec<Value> {
    let path = format!("/ops/v1/numbers/{digits}/history");
    read(&app.send(get(path).by(Who::Operator)).await.expect(200))["items"].as_array().unwrap().clone()
}

/// Asserts that a call is refused, and returns the problem.
async fn refused(app: &App, call: Call, status: u16, code: &str) -> Value {
    let problem = read(&app.send(call).await.expect(status));
    assert_eq!(problem["code"], code, "{problem}");
    problem
}

#[tokio::test]
async fn a_plan_is_shown_applied_and_applied_once() {
    with_app(Seed::two_accounts(), async |app| {
        let [first, second, _] = IN_SERVICE;
        let before = app.counts().await;
        let reply = app.send(plan(&body("disconnect", &[first, second])).by(Who::Operator)).await.expect(201);
        let shown = read(&reply);
        assert_eq!(
            reply.header("location"),
            Some(&*format!("/ops/v1/plans/{}", shown["id"].as_str().unwrap()))
        );
        assert_eq!(shown["counts"], json!({ "named": 2, "go": 2, "refused": 0, "remaining": 0 }));
        assert_eq!(shown["params"], json!({ "mode": "normal", "protected": "UNCHANGED" }));
        assert_eq!(
            shown["made_by"],
            json!({ "user": "operator", "credential": "basic", "address": "127.0.0.1" })
        );
        assert_eq!(
            (&shown["state"], &shown["order"], &shown["next"]),
            (&"open".into(), &Value::Null, &Value::Null)
        );
        let item = &shown["items"][0];
        assert_eq!(
            (&item["number"], &item["before"], &item["after"]),
            (&e164(first).into(), &"InService".into(), &"Aging".into())
        );
        assert_eq!(
            (&item["outcome"], &item["days"], &item["home"]),
            (&"goes".into(), &90.into(), &"pool".into())
        );
        assert_eq!(shown["holds"][0]["numbers"], 2);
        assert_eq!(shown["brake"], json!({ "on": false, "held": false, "used": 0, "allowance": null }));
        assert_eq!(app.counts().await, before, "it changes nothing");
        assert_eq!(
            app.send(get(format!("/api/tns/{first}"))).await.expect(200).element("Status"),
            Some("Inservice")
        );
        let again = made(app, &body("disconnect", &[second, first])).await;
        assert_ne!(again["id"], shown["id"]);
        assert_eq!(again["hash"], shown["hash"]);

        let done = read(&app.send(apply(&shown)).await.expect(200));
        assert_eq!(
            (&done["plan"], &done["state"], &done["went"]),
            (&shown["id"], &"applied".into(), &2.into())
        );
        assert_eq!((&done["order"]["status"], &done["order"]["waiting"]), (&"COMPLETE".into(), &Value::Null));
        for digits in [first, second] {
            assert_eq!(number(app, digits).await["state"], "Aging");
            let event = events(app, digits).await.pop().unwrap();
            assert_eq!(
                (&event["kind"], &event["plan"], &event["reason"]),
                (&"disconnected".into(), &shown["id"], &"a reason".into())
            );
            assert_eq!(
                event["by"],
                json!({ "kind": "order", "user": "operator", "credential": "basic", "address": "127.0.0.1" })
            );
        }
        let counts = app.counts().await;
        assert_eq!(read(&app.send(apply(&shown)).await.expect(200)), done, "again it is the same order");
        assert_eq!(app.counts().await, counts);
        // The order is one of the account, on both doors.
        let id = done["order"]["id"].as_str().unwrap();
        let order = read(&app.send(get(format!("/ops/v1/orders/{id}"))).await.expect(200));
        assert_eq!((&order["plan"], &order["reason"]), (&shown["id"], &"a reason".into()));
        assert_eq!(order["by"], json!({ "user": "operator", "credential": "basic", "address": null }));
        let listed = read(
            &app.send(get(format!("/ops/v1/orders?plan={}", shown["id"].as_str().unwrap())))
                .await
                .expect(200),
        );
        assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &id.into()));
        let wire = app.send(get(disconnects(&format!("/{id}")))).await.expect(200);
        assert_eq!(wire.element("OrderStatus"), Some("COMPLETE"));
        assert_eq!(app.send(get(disconnects(""))).await.expect(200).element("userId"), Some("operator"));
        let listed = read(&app.send(get("/ops/v1/plans?state=applied")).await.expect(200));
        assert_eq!(listed["items"][0]["order"]["id"], id);
        assert!(listed["items"][0].get("items").is_none());
        let after = read(
            &app.send(get(format!("/ops/v1/plans/{}", again["id"].as_str().unwrap()))).await.expect(200),
        );
        assert_eq!((&after["state"], &after["made_by"]["address"]), (&"open".into(), &Value::Null));
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_would_do_something_else_says_what_has_changed() {
    with_app(Seed::two_accounts(), async |app| {
        let [first, second, _] = IN_SERVICE;
        let shown = made(app, &body("disconnect", &[first, second])).await;
        app.disconnect(&[second]).await;
        let problem = refused(app, apply(&shown), 409, "plan_changed").await;
        assert_eq!((&problem["changed_count"], problem["changed"].as_array().unwrap().len()), (&1.into(), 1));
        let changed = &problem["changed"][0];
        assert_eq!(changed["number"], e164(second));
        assert_eq!(
            (&changed["planned"]["outcome"], &changed["now"]),
            (&"goes".into(), &json!({ "outcome": "refused", "why": "not_in_service" }))
        );
        assert_eq!(problem["instance"], format!("/ops/v1/plans/{}/apply", shown["id"].as_str().unwrap()));
        assert_eq!(number(app, first).await["state"], "InService");
        let now = json!({ "id": shown["id"], "hash": problem["hash"] });
        let done = read(&app.send(apply(&now)).await.expect(200));
        assert_eq!(done["went"], 1);
        assert_eq!(number(app, first).await["state"], "Aging");
        refused(app, apply(&shown), 409, "plan_over").await;
        let wrong = json!({ "id": shown["id"], "hash": "sha256:0" });
        refused(app, apply(&wrong), 422, "wrong_hash").await;
        let none = made(app, &body("disconnect", &[first, second])).await;
        assert_eq!(refused(app, apply(&none), 409, "nothing_to_do").await["counts"]["refused"], 2);
    })
    .await;
}

#[tokio::test]
async fn a_plan_is_over_after_half_an_hour_or_when_it_is_withdrawn() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let late = made(app, &body("disconnect", &IN_SERVICE[..1])).await;
        app.advance(31 * 60_000).await;
        refused(app, apply(&late), 409, "plan_over").await;
        let back = read(&app.send(plan(&body("lock", &IN_SERVICE[..1])).by(Who::Orderer)).await.expect(201));
        let why = json!({ "reason": "no more" });
        refused(app, step(&back, "withdraw", &why).by(Who::Admin), 403, "forbidden").await;
        let shown = read(&app.send(step(&back, "withdraw", &why).by(Who::Orderer)).await.expect(200));
        assert_eq!(shown["state"], "withdrawn");
        refused(app, apply(&back), 409, "plan_over").await;
        refused(app, step(&late, "withdraw", &why), 409, "plan_over").await;
        let listed = async |query: &str| {
            let list =
                read(&app.send(get(format!("/ops/v1/plans{query}")).by(Who::Operator)).await.expect(200));
            list["items"].as_array().unwrap().iter().map(|plan| plan["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(listed("").await, [back["id"].clone(), late["id"].clone()]);
        assert_eq!(listed("?state=expired").await, [late["id"].clone()]);
        assert_eq!(listed("?act=lock").await, [back["id"].clone()]);
        let page = read(&app.send(get("/ops/v1/plans?limit=1").by(Who::Operator)).await.expect(200));
        let next = page["next"].as_str().unwrap();
        assert_eq!(listed(&format!("?limit=1&cursor={next}")).await, [late["id"].clone()]);
    })
    .await;
}

#[tokio::test]
async fn a_typing_error_plans_nothing() {
    with_app(Seed::two_accounts(), async |app| {
        let with = |key: &str, value: Value| {
            let mut body = body("disconnect", &IN_SERVICE[..1]);
            body[key] = value;
            body
        };
        let filter = |filter: Value| with("target", json!({ "filter": filter }));
        let many: Vec<String> = (0..5_001).map(|n| format!("+1919555{n:04}")).collect();
        let twice = [IN_SERVICE[0], &e164(IN_SERVICE[0])];
        for (body, status, code) in [
            (filter(json!({})), 422, "filter_too_wide"),
            (filter(json!({ "state": "InService", "locked": false })), 422, "filter_too_wide"),
            (filter(json!({ "sit": "1" })), 400, "unknown_field"),
            (filter(json!({ "prefix": "191" })), 400, "bad_value"),
            (filter(json!({ "site": "1", "state": "inservice" })), 400, "bad_value"),
            (filter(json!({ "site": 1 })), 400, "bad_value"),
            (with("reson", json!("r")), 400, "unknown_field"),
            (with("reason", Value::Null), 400, "reason_required"),
            (with("act", json!("disconect")), 400, "bad_value"),
            (with("params", json!({ "mod": "normal" })), 400, "unknown_field"),
            (with("params", json!({ "mode": "purge" })), 400, "bad_value"),
            (with("params", json!({ "name": "n".repeat(51) })), 400, "bad_value"),
            (with("series", json!("s".repeat(51))), 400, "bad_value"),
            (with("account", Value::Null), 400, "bad_value"),
            (with("target", json!({})), 400, "bad_value"),
            (with("target", json!({ "numbers": [] })), 400, "bad_value"),
            (with("target", json!({ "numbers": ["1"] })), 400, "bad_number"),
            (with("target", json!({ "numbers": many })), 422, "too_many_numbers"),
            (with("target", json!({ "numbers": twice })), 422, "duplicate_number"),
            (with("target", json!({ "order": "1" })), 404, "not_found"),
            (
                with("target", json!({ "numbers": [IN_SERVICE[0]], "filter": { "site": "1" } })),
                400,
                "bad_value",
            ),
        ] {
            refused(app, plan(&body).by(Who::Operator), status, code).await;
        }
        let mut to = body("move", &IN_SERVICE[..1]);
        to["params"] = json!({ "site": app.neighbours_site.to_string() });
        let problem = refused(app, plan(&to).by(Who::Operator), 400, "bad_value").await;
        assert_eq!(problem["errors"][0]["at"], "/params/site");
        let listed = read(&app.send(get("/ops/v1/plans").by(Who::Operator)).await.expect(200));
        assert_eq!(listed["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_filter_means_the_first_numbers_and_says_how_many_remain() {
    with_app(Seed::two_accounts(), async |app| {
        let more = (0..5_010).map(|n| NewNumber {
            state: State::InService,
            account: Some(ACCOUNT.to_string().parse().unwrap()),
            ..NewNumber::available(format!("252555{n:04}").parse().unwrap())
        });
        app.import(more.collect()).await;
        let ask = |filter: Value| {
            let mut body = body("disconnect", &[]);
            (body["target"], body["series"]) = (json!({ "filter": filter }), json!("s"));
            body
        };
        let first = made(app, &ask(json!({ "prefix": "+1252" }))).await;
        assert_eq!(first["counts"], json!({ "named": 5_000, "go": 5_000, "refused": 0, "remaining": 10 }));
        assert_eq!(
            (first["items"].as_array().unwrap().len(), &first["target"]),
            (100, &json!({ "filter": { "prefix": "+1252" } }))
        );
        let path = format!("/ops/v1/plans/{}/items", first["id"].as_str().unwrap());
        let page = async |query: &str| {
            read(&app.send(get(path.clone() + query).by(Who::Operator)).await.expect(200))
        };
        let second = page(&format!("?cursor={}", first["next"].as_str().unwrap())).await;
        assert_eq!(second["items"][0]["number"], "+12525550100");
        assert_eq!(page("?outcome=refused").await["items"], json!([]));
        assert_eq!(page("?outcome=goes&limit=1").await["items"][0]["number"], "+12525550000");
        // An order of 5,000 numbers, and its undoing: every field is as before.
        let fields = async |digits: &str| {
            let mut number = number(app, digits).await;
            for other in ["since", "order", "why"] {
                number.as_object_mut().unwrap().remove(other);
            }
            number
        };
        let before = [fields("2525550000").await, fields("2525554999").await];
        let done = read(&app.send(apply(&first)).await.expect(200));
        assert_eq!(done["went"], 5_000);
        let rest = made(app, &ask(json!({ "prefix": "1252", "after": "+12525554999" }))).await;
        assert_eq!(rest["counts"], json!({ "named": 10, "go": 10, "refused": 0, "remaining": 0 }));
        let id = done["order"]["id"].as_str().unwrap();
        let back = send(format!("/ops/v1/orders/{id}/undo"), &json!({ "reason": "r" }));
        let undone = read(&app.send(back).await.expect(201));
        assert_eq!((&undone["went"], &undone["refused"]), (&5_000.into(), &json!([])));
        assert_eq!([fields("2525550000").await, fields("2525554999").await], before);
        let order = read(&app.send(get(format!("/ops/v1/orders/{id}"))).await.expect(200));
        assert_eq!(order["undone_by"], json!([undone["order"]["id"]]));
        let of = read(
            &app.send(get(format!("/ops/v1/plans/{}", undone["plan"].as_str().unwrap()))).await.expect(200),
        );
        assert_eq!(
            (&of["act"], &of["state"], &of["target"]),
            (&"undo".into(), &"applied".into(), &json!({ "order": id }))
        );
        // A site is enough, and the state that the act needs is added.
        let aging = made(app, &ask(json!({ "site": app.site.to_string(), "state": "Aging" }))).await;
        assert_eq!(aging["counts"]["named"], 0);
        let listed = read(&app.send(get("/ops/v1/plans?series=s").by(Who::Operator)).await.expect(200));
        assert_eq!(listed["items"].as_array().unwrap().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn an_incomplete_undo_is_a_plan_for_the_rest() {
    with_app(Seed::two_accounts(), async |app| {
        let [first, second, _] = IN_SERVICE;
        let order = app.disconnect(&[first, second]).await;
        let (_, back) = app.place(post(account("/orders"), xml::order(app.site, &[second]))).await;
        app.ended(get(&back)).await;
        let id = order.rsplit('/').next().unwrap();
        let undo = send(format!("/ops/v1/orders/{id}/undo"), &json!({ "reason": "r" })).by(Who::Orderer);
        let problem = refused(app, undo, 409, "undo_incomplete").await;
        assert_eq!(number(app, first).await["state"], "Aging");
        let plan = json!({ "id": problem["plan"], "hash": problem["hash"] });
        let done = read(&app.send(apply(&plan).by(Who::Orderer)).await.expect(200));
        assert_eq!((&done["went"], &done["order"]["status"]), (&1.into(), &"COMPLETE".into()));
        assert_eq!(number(app, first).await["state"], "InService");
    })
    .await;
}

#[tokio::test]
async fn a_purge_needs_two_persons() {
    with_app(Seed::two_accounts(), async |app| {
        let [purged, locked, _] = IN_SERVICE;
        let shown = made(app, &body("purge", &[purged])).await;
        assert_eq!(shown["approvals"], json!({ "needed": 1, "given": [] }));
        refused(app, apply(&shown), 409, "approval_needed").await;
        refused(app, approve(&shown, false), 403, "same_person").await;
        refused(app, approve(&shown, false).by(Who::Admin), 403, "forbidden").await;
        let wrong = json!({ "hash": "sha256:0", "reason": "r" });
        refused(app, step(&shown, "approve", &wrong).named(APPROVER), 422, "wrong_hash").await;
        let secret = post("/api/v1/oauth2/token", "grant_type=client_credentials");
        let secret = read(
            &app.send(secret.content_type("application/x-www-form-urlencoded").named(APPROVER))
                .await
                .expect(200),
        );
        let bearer = format!("Bearer {}", secret["access_token"].as_str().unwrap());
        let by_token = approve(&shown, false).by(Who::Nobody).header("Authorization", &bearer);
        refused(app, by_token, 403, "password_needed").await;
        let metrics = app.send(get("/metrics").by(Who::Operator)).await.expect(200);
        assert!(metrics.text().contains("onhook_plans_waiting_for_approval"));
        let approved = read(&app.send(approve(&shown, false).named(APPROVER)).await.expect(200));
        assert_eq!(approved["approvals"]["given"][0]["user"], APPROVER);
        assert_eq!(read(&app.send(approve(&shown, false).named(APPROVER)).await.expect(200)), approved);
        app.send(apply(&shown)).await.expect(200);
        assert_eq!(number(app, purged).await["state"], "Removed");
        let lock = made(app, &body("lock", &[locked])).await;
        refused(app, approve(&lock, false).named(APPROVER), 409, "no_approval_needed").await;
    })
    .await;
}

#[tokio::test]
async fn a_number_is_released_early_when_two_agree_and_not_before_its_floor() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let digits = IN_SERVICE[0];
        app.disconnect(&[digits]).await;
        let floor = number(app, digits).await["floor_at"].as_str().unwrap().to_owned();
        let release =
            |body: Value| send(format!("/ops/v1/numbers/{digits}/release"), &body).by(Who::Operator);
        let soon = release(json!({ "reason": "r", "release_at": "2026-01-01T00:00:00.000Z" }));
        let problem = refused(app, soon, 409, "refused").await;
        assert_eq!((&problem["why"], &problem["floor_at"]), (&"under_floor".into(), &floor.clone().into()));
        let reply = app.send(release(json!({ "reason": "r" }))).await.expect(202);
        let shown = read(&reply);
        assert_eq!(
            reply.header("location"),
            Some(&*format!("/ops/v1/plans/{}", shown["id"].as_str().unwrap()))
        );
        assert_eq!((&shown["act"], &shown["approvals"]["needed"]), (&"release_early".into(), &1.into()));
        let approved = read(&app.send(approve(&shown, true).named(APPROVER)).await.expect(200));
        assert_eq!((&approved["state"], &approved["order"]), (&"applied".into(), &Value::Null));
        assert_eq!(number(app, digits).await["release_at"], floor);
        let floor: onhook_core::time::Timestamp = floor.parse().unwrap();
        let now = read(&app.send(get("/ops/v1/emulator/clock").by(Who::Operator)).await.expect(200));
        let now: onhook_core::time::Timestamp = now["now"].as_str().unwrap().parse().unwrap();
        app.advance(floor.since(now) - 60_000).await;
        assert_eq!(number(app, digits).await["state"], "Aging");
        app.advance(60_000).await;
        let released = async || (number(app, digits).await["state"] == "Available").then_some(());
        crate::app::wait_for("the release", released).await;
        let kinds: Vec<Value> = events(app, digits).await.iter().map(|event| event["kind"].clone()).collect();
        assert_eq!(kinds, ["disconnected", "shortened", "released"]);
        let shortened = events(app, digits).await.remove(1);
        assert_eq!((&shortened["plan"], &shortened["by"]["user"]), (&shown["id"], &APPROVER.into()));
    })
    .await;
}

#[tokio::test]
async fn a_purged_number_goes_to_nobody_new_before_its_floor() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let digits = IN_SERVICE[0];
        let purge =
            xml::disconnect_with("<name>gone</name>", &[digits], "<DisconnectMode>purge</DisconnectMode>");
        let (_, path) = app.place(post(disconnects(""), purge).by(Who::Operator)).await;
        app.ended(get(&path)).await;
        let restore = |params: &Value| {
            let target = json!({ "numbers": [e164(digits)] });
            json!({ "act": "restore", "target": target, "params": params, "reason": "won back" })
        };
        let (pool, own) = (
            json!({ "state": "Available" }),
            json!({ "state": "InService", "account": ACCOUNT.to_string() }),
        );
        let shown = made(app, &restore(&pool)).await;
        assert_eq!(shown["refused"], json!([{ "why": "under_floor", "numbers": 1 }]), "{shown}");
        let explanation = async || {
            let told = get(format!("/ops/v1/numbers/{digits}/explanation")).by(Who::Operator);
            read(&app.send(told).await.expect(200))["sentence"].as_str().unwrap().to_owned()
        };
        let sentence = explanation().await;
        assert!(
            sentence.ends_with(&format!("it only goes back to account {ACCOUNT}, or ages for it.")),
            "{sentence}"
        );
        assert_eq!(made(app, &restore(&own)).await["counts"]["go"], 1);
        app.advance(47 * onhook_core::time::DAY_MS).await;
        let shown = made(app, &restore(&pool)).await;
        app.send(apply(&shown)).await.expect(200);
        assert_eq!(number(app, digits).await["state"], "Available");
        assert!(explanation().await.contains("is in the pool"));
    })
    .await;
}

#[tokio::test]
async fn an_eleventh_unlock_of_a_day_waits_for_a_second_person() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers: Vec<String> = (0..12).map(|n| format!("25255501{n:02}")).collect();
        let digits: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let guide = Some(ACCOUNT.to_string().parse().unwrap());
        let new = |digits: &&str| NewNumber {
            state: State::InService,
            account: guide,
            ..NewNumber::available(digits.parse().unwrap())
        };
        app.import(digits.iter().map(new).collect()).await;
        let lock = made(app, &body("lock", &digits)).await;
        app.send(apply(&lock)).await.expect(200);
        let all = made(app, &body("unlock", &digits)).await;
        assert_eq!(all["approvals"]["needed"], 1);
        let most = made(app, &body("unlock", &digits[..10])).await;
        app.send(apply(&most)).await.expect(200);
        let why = json!({ "reason": "r" });
        let unlock = |digits: &str| send(format!("/ops/v1/numbers/{digits}/unlock"), &why);
        let waits = read(&app.send(unlock(digits[10]).by(Who::Operator)).await.expect(202));
        assert_eq!(
            (&waits["act"], number(app, digits[10]).await["locked"].clone()),
            (&"unlock".into(), true.into())
        );
        app.send(unlock(digits[11]).named(APPROVER)).await.expect(200);
        app.send(approve(&waits, true).named(APPROVER)).await.expect(200);
        assert_eq!(number(app, digits[10]).await["locked"], false);
    })
    .await;
}

#[tokio::test]
async fn an_administrator_who_may_unlock_agrees_to_unlocks_of_the_own_account() {
    with_app(Seed::two_accounts(), async |app| {
        let right = json!({ "rights": ["unlock"], "reason": "they guard their own numbers" });
        let right = patch(format!("/ops/v1/users/{}", Who::Admin.user()), right.to_string());
        app.send(right.content_type("application/json").by(Who::Operator)).await.expect(200);
        for (name, account, rights) in [
            ("second", ACCOUNT, json!(["unlock"])),
            ("without", ACCOUNT, json!([])),
            ("stranger", NEIGHBOUR, json!(["unlock"])),
        ] {
            let user = json!({
                "name": name, "account": account.to_string(), "role": "admin", "rights": rights,
                "password": demo_data::PASSWORD, "reason": "a second person",
            });
            app.send(send("/ops/v1/users", &user).by(Who::Operator)).await.expect(201);
        }
        let numbers: Vec<String> = (0..11).map(|n| format!("25255501{n:02}")).collect();
        let digits: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let new = |digits: &&str| NewNumber {
            state: State::InService,
            account: Some(ACCOUNT.to_string().parse().unwrap()),
            ..NewNumber::available(digits.parse().unwrap())
        };
        app.import(digits.iter().map(new).collect()).await;
        let lock = made(app, &body("lock", &digits)).await;
        app.send(apply(&lock)).await.expect(200);
        let planned = read(&app.send(plan(&body("unlock", &digits)).by(Who::Admin)).await.expect(201));
        assert_eq!(planned["approvals"]["needed"], 1);
        refused(app, apply(&planned).by(Who::Admin), 409, "approval_needed").await;
        refused(app, approve(&planned, false).by(Who::Admin), 403, "same_person").await;
        refused(app, approve(&planned, false).named("without"), 403, "forbidden").await;
        refused(app, approve(&planned, false).named("stranger"), 404, "not_found").await;
        // The second person of an account agrees to nothing that is for operators.
        let purge = made(app, &body("purge", &digits[..1])).await;
        refused(app, approve(&purge, false).named("second"), 403, "forbidden").await;
        app.send(approve(&planned, false).named("second")).await.expect(200);
        let done = read(&app.send(apply(&planned).by(Who::Admin)).await.expect(200));
        assert_eq!(done["went"], 11);
        assert_eq!(number(app, digits[0]).await["locked"], false);
    })
    .await;
}

#[tokio::test]
async fn who_may_plan_what_and_who_sees_it() {
    with_app(Seed::two_accounts(), async |app| {
        let [first, ..] = IN_SERVICE;
        let by = |act: &str, who: Who| plan(&body(act, &[first])).by(who);
        for act in ["purge", "unlock", "keep", "set_aside", "port_out", "release_early"] {
            refused(app, by(act, Who::Admin), 403, "forbidden").await;
        }
        refused(app, by("lock", Who::Reader), 403, "forbidden").await;
        refused(app, by("lock", Who::Neighbour), 403, "forbidden").await;
        let mut foreign = body("lock", &[first]);
        foreign["account"] = Value::Null;
        foreign["target"] = json!({ "filter": { "account": "9900777" } });
        let unknown = app.send(plan(&foreign).by(Who::Admin)).await.expect(403);
        foreign["target"] = json!({ "filter": { "account": "9900001" } });
        assert_eq!(app.send(plan(&foreign).by(Who::Admin)).await.expect(403).text(), unknown.text());
        // An account is the caller's own, and its numbers alone go.
        let mut mine = body("lock", &[first, NEIGHBOURS, POOL]);
        mine["account"] = Value::Null;
        let shown = read(&app.send(plan(&mine).by(Who::Orderer)).await.expect(201));
        assert_eq!((&shown["account"], &shown["counts"]["go"]), (&ACCOUNT.to_string().into(), &1.into()));
        assert_eq!(shown["refused"], json!([{ "why": "not_in_service", "numbers": 2 }]));
        let path = format!("/ops/v1/plans/{}", shown["id"].as_str().unwrap());
        app.send(get(&path).by(Who::Reader)).await.expect(200);
        let foreign = app.send(get(&path).by(Who::Neighbour)).await.expect(404);
        let unknown =
            app.send(get("/ops/v1/plans/1f6c3a52-7a3e-4c1b-9d2e-0c5b8f1e2a77").by(Who::Neighbour)).await;
        assert_eq!(foreign.text(), unknown.expect(404).text());
        refused(app, apply(&shown).by(Who::Neighbour), 404, "not_found").await;
        refused(app, apply(&shown).by(Who::Reader), 403, "forbidden").await;
        let purge = made(app, &body("purge", &[first])).await;
        refused(app, apply(&purge).by(Who::Admin), 403, "forbidden").await;
        let list = read(&app.send(get("/ops/v1/plans").by(Who::Neighbour)).await.expect(200));
        assert_eq!(list["items"], json!([]));
        app.send(apply(&shown).by(Who::Orderer)).await.expect(200);
        assert_eq!(number(app, first).await["locked"], true);
    })
    .await;
}

#[tokio::test]
async fn a_plan_is_made_and_applied_once_under_its_keys() {
    with_app(Seed::two_accounts(), async |app| {
        let ask = || plan(&body("lock", &IN_SERVICE)).by(Who::Operator).header("Idempotency-Key", "make");
        let shown = app.send(ask()).await.expect(201);
        let again = app.send(ask()).await.expect(201);
        assert_eq!((again.text(), again.header("location")), (shown.text(), shown.header("location")));
        let shown = read(&shown);
        let mut sent = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (address, call) = (app.address, apply(&shown));
            sent.spawn(async move { replies(&talk(address, call.from, &call.bytes()).await, false) });
        }
        let replies: Vec<Reply> = sent.join_all().await.into_iter().flatten().collect();
        assert!(replies.iter().all(|reply| reply.status == 200 && reply.text() == replies[0].text()));
        for digits in IN_SERVICE {
            assert_eq!(events(app, digits).await.len(), 1);
        }
    })
    .await;
}
