//! Settings at the operations API, and the limit of its requests.

use std::collections::BTreeMap;

use onhook_core::lifecycle::provenance::Doer;
use onhook_core::setting::{Changes, Setting};
use onhook_core::time::Timestamp;
use onhook_server::Source;
use serde_json::{Value, json};

use crate::app::{
    App, Call, IN_SERVICE, POOL, Seed, Who, disconnects, get, now, patch, post, wait_for, with_app, xml,
};

async fn settings(app: &App) -> BTreeMap<String, Value> {
    let reply = app.send(get("/ops/v1/settings").by(Who::Operator)).await.expect(200);
    let page: Value = serde_json::from_slice(&reply.body).unwrap();
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| (item["key"].as_str().unwrap().to_owned(), item.clone())).collect()
}

fn change(values: &Value) -> Call {
    let body = json!({ "values": values, "reason": "it is needed" });
    patch("/ops/v1/settings", body.to_string()).content_type("application/json").by(Who::Operator)
}

async fn refused(app: &App, values: &Value, status: u16, code: &str) -> Value {
    let problem = app.send(change(values)).await.expect(status);
    let problem: Value = serde_json::from_slice(&problem.body).unwrap();
    assert_eq!(problem["code"], code, "{problem}");
    problem
}

#[tokio::test]
async fn settings_are_changed_all_or_none_and_say_who_set_them() {
    with_app(Seed::two_accounts(), async |app| {
        let before = settings(app).await;
        assert_eq!(before.len(), Setting::ALL.len());
        let untouched = json!({
            "key": "plan_expires_seconds", "value": 1800, "set_by": "default", "set_at": null, "changeable": true,
            "warning": null,
        });
        assert_eq!(before["plan_expires_seconds"], untouched);
        // What nothing goes by says so.
        for key in ["held_days", "cancel_window_seconds", "two_person"] {
            assert!(before[key]["warning"].as_str().unwrap().contains("in this version"), "{key}");
        }
        assert!(before["wire_purge"]["warning"].as_str().unwrap().contains("at once"));
        app.send(change(&json!({ "held_days": 30, "cancel_window_seconds": 600 }))).await.expect(200);
        let after = settings(app).await;
        assert_eq!((&after["held_days"]["value"], &after["held_days"]["set_by"]), (&json!(30), &json!("operator")));
        assert!(after["held_days"]["set_at"].is_string());
        assert_eq!(after["cancel_window_seconds"]["value"], 600);
        // One that is wrong takes the others with it.
        let problem = refused(app, &json!({ "held_days": 5, "plan_expires_seconds": 1 }), 400, "bad_value").await;
        assert_eq!(problem["errors"][0]["at"], "/values/plan_expires_seconds");
        refused(app, &json!({ "held_days": 5, "held_dyas": 6 }), 400, "unknown_field").await;
        refused(app, &json!({}), 400, "bad_value").await;
        // The second person is switched off on the machine itself alone.
        let two_person = json!({ "purge": false, "release_early": true, "unlock_over": null, "held": true });
        refused(app, &json!({ "two_person": two_person, "held_days": 5 }), 403, "forbidden").await;
        refused(app, &json!({ "wire_purge": "refuse" }), 403, "forbidden").await;
        assert_eq!(settings(app).await, after);
        app.send(change(&json!({ "held_days": null, "cancel_window_seconds": null }))).await.expect(200);
        assert_eq!(settings(app).await, before);
        for who in [Who::Reader, Who::Admin] {
            app.send(get("/ops/v1/settings").by(who)).await.expect(403);
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_changes_no_setting() {
    with_app(Seed::two_accounts(), async |app| {
        let form = post("/api/v1/oauth2/token", "grant_type=client_credentials")
            .content_type("application/x-www-form-urlencoded");
        let issued = app.send(form.by(Who::Operator)).await.expect(200);
        let issued: Value = serde_json::from_slice(&issued.body).unwrap();
        let token = format!("Bearer {}", issued["access_token"].as_str().unwrap());
        let call = change(&json!({ "held_days": 30 })).by(Who::Nobody).header("Authorization", &token);
        let problem: Value = serde_json::from_slice(&app.send(call).await.expect(403).body).unwrap();
        assert_eq!(problem["code"], "password_needed");
        app.send(get("/ops/v1/settings").by(Who::Nobody).header("Authorization", &token)).await.expect(200);
        assert_eq!(settings(app).await["held_days"]["value"], 14);
    })
    .await;
}

#[tokio::test]
async fn what_the_configuration_sets_stays() {
    let seed = Seed::two_accounts()
        .configured(&[(Setting::RateLimit, Source::Flag), (Setting::ShownLimit, Source::File)]);
    with_app(seed, async |app| {
        let shown = settings(app).await;
        for (key, source) in [("rate_limit", "flag"), ("shown_limit", "file")] {
            assert_eq!(
                (&shown[key]["set_by"], &shown[key]["changeable"]),
                (&json!(source), &json!(false)),
                "{key}"
            );
            refused(app, &json!({ key: 5, "held_days": 5 }), 409, "set_by_configuration").await;
        }
        assert_eq!(settings(app).await, shown);
    })
    .await;
}

/// Asks again and again, and returns whether a request was refused as one too many.
async fn is_limited(app: &App, who: Who) -> bool {
    for _ in 0..20 {
        if app.send(get("/ops/v1/numbers?limit=1").by(who)).await.status == 429 {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn an_account_s_requests_are_limited_at_once_and_an_operator_s_are_not() {
    with_app(Seed::two_accounts(), async |app| {
        assert!(!is_limited(app, Who::Reader).await);
        app.send(change(&json!({ "rate_limit": 1 }))).await.expect(200);
        assert!(is_limited(app, Who::Reader).await);
        assert!(!is_limited(app, Who::Operator).await);
        // Its other groups are counted apart.
        app.send(get("/ops/docs").by(Who::Nobody)).await.expect(200);
        app.send(change(&json!({ "rate_limit": null }))).await.expect(200);
        assert!(!is_limited(app, Who::Reader).await);
    })
    .await;
}

#[tokio::test]
async fn a_change_on_another_node_holds_here_soon() {
    with_app(Seed::two_accounts(), async |app| {
        let changes = Changes::from([(Setting::RateLimit, Some(json!(1)))]);
        let doer = Doer::offline(now());
        app.parts.store.change_settings(changes, doer).await.unwrap();
        wait_for("the limit", async || is_limited(app, Who::Reader).await.then_some(())).await;
    })
    .await;
}

#[tokio::test]
async fn a_plan_can_be_applied_as_long_as_an_operator_has_said() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let plan = async || {
            let asked =
                json!({ "act": "lock", "target": { "numbers": [IN_SERVICE[0]] }, "reason": "it is printed" });
            let made =
                post("/ops/v1/plans", asked.to_string()).content_type("application/json").by(Who::Operator);
            let made = app.send(made).await.expect(201);
            serde_json::from_slice::<Value>(&made.body).unwrap()
        };
        app.send(change(&json!({ "plan_expires_seconds": 60 }))).await.expect(200);
        let plan = plan().await;
        let at = |key: &str| plan[key].as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(at("expires_at").since(at("made_at")), 60_000);
        app.advance(60_000).await;
        let apply = json!({ "hash": plan["hash"] }).to_string();
        let path = format!("/ops/v1/plans/{}/apply", plan["id"].as_str().unwrap());
        let applied = app.send(post(&path, apply).content_type("application/json").by(Who::Operator)).await;
        let problem: Value = serde_json::from_slice(&applied.expect(409).body).unwrap();
        assert_eq!(problem["code"], "plan_over");
    })
    .await;
}

#[tokio::test]
async fn a_switch_is_told_of_an_aging_number_what_an_operator_has_chosen() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&IN_SERVICE[..1]).await;
        let told = async |number: &str| {
            let reply = app.send(get(format!("/ops/v1/calls/{number}")).by(Who::Operator)).await.expect(200);
            let told: Value = serde_json::from_slice(&reply.body).unwrap();
            (told["sip_code"].clone(), told["q850_cause"].clone())
        };
        assert_eq!(told(IN_SERVICE[0]).await, (json!(404), json!(1)));
        let gone = json!({ "sip_code": 410, "q850_cause": 22 });
        app.send(change(&json!({ "calls_aging": gone }))).await.expect(200);
        assert_eq!(told(IN_SERVICE[0]).await, (json!(410), json!(22)));
        assert_eq!(told(POOL).await, (json!(404), json!(1)), "it is vacant otherwise");
        assert_eq!(told(IN_SERVICE[1]).await, (Value::Null, Value::Null));
    })
    .await;
}

#[tokio::test]
async fn an_order_that_purges_is_refused_if_the_machine_s_owner_says_so() {
    with_app(Seed::two_accounts(), async |app| {
        let refuse = Changes::from([(Setting::WirePurge, Some(json!("refuse")))]);
        let doer = Doer::offline(now());
        app.parts.store.change_settings(refuse, doer).await.unwrap();
        let mode = "<DisconnectMode>purge</DisconnectMode>";
        // A number that is none of the account's is not purged by an order that was taken before.
        let purge = xml::disconnect_with("<name>gone</name>", &[POOL], mode);
        let refused = wait_for("the refusal", async || {
            let reply = app.send(post(disconnects(""), purge.clone()).by(Who::Operator)).await;
            (reply.status == 400).then_some(reply)
        });
        assert_eq!(refused.await.code(), Some(5085));
        app.disconnect(&IN_SERVICE[..1]).await;
    })
    .await;
}
