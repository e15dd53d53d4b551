//! Settings at the operations API, and the limit of its requests.

use std::collections::BTreeMap;

use onhook_core::setting::Setting;
use onhook_server::Source;
use serde_json::{Value, json};

use crate::app::{App, Call, Seed, Who, get, patch, post, wait_for, with_app};

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
            "key": "held_days", "value": 14, "set_by": "default", "set_at": null, "changeable": true, "warning": null,
        });
        assert_eq!(before["held_days"], untouched);
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
        refused(app, &json!({ "wire_purge": "hold" }), 403, "forbidden").await;
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
        let changes = onhook_core::setting::Changes::from([(Setting::RateLimit, Some(json!(1)))]);
        let doer = onhook_core::lifecycle::provenance::Doer::offline(crate::app::now());
        app.parts.store.change_settings(changes, doer).await.unwrap();
        wait_for("the limit", async || is_limited(app, Who::Reader).await.then_some(())).await;
    })
    .await;
}
