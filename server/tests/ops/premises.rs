//! Sites and peers at the operations API.

use serde_json::{Value, json};

use crate::app::{ACCOUNT, App, Call, NEIGHBOUR, Seed, Who, delete, get, patch, post, with_app};

async fn asked(app: &App, call: Call, status: u16) -> Value {
    serde_json::from_slice(&app.send(call).await.expect(status).body).unwrap()
}

fn sent(call: Call) -> Call {
    call.content_type("application/json").by(Who::Admin)
}

async fn made(app: &App, path: &str, body: &Value) -> Value {
    let made = app.send(sent(post(path, body.to_string()))).await.expect(201);
    let location = made.header("location").unwrap().to_owned();
    let made: Value = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(asked(app, get(location), 200).await, made);
    made
}

#[tokio::test]
async fn sites_and_peers_are_made_changed_and_removed() {
    with_app(Seed::two_accounts(), async |app| {
        let body = json!({
            "name": "Another site", "description": "The second", "address": { "city": "Raleigh", "state_code": "NC" },
            "reason": "a new office",
        });
        let site = made(app, "/ops/v1/sites", &body).await;
        assert_eq!((&site["account"], &site["is_default"]), (&json!(ACCOUNT.to_string()), &json!(false)));
        assert_eq!(site["address"], body["address"]);
        let path = format!("/ops/v1/sites/{}", site["id"].as_str().unwrap());
        let change = |body: &Value| sent(patch(&path, body.to_string()));
        let cleared = json!({ "address": null, "description": "", "is_default": true, "reason": "r" });
        let changed = asked(app, change(&cleared), 200).await;
        assert_eq!((&changed["address"], &changed["description"], &changed["is_default"]), (&Value::Null, &Value::Null, &json!(true)));
        let first = asked(app, get(format!("/ops/v1/sites/{}", app.site)), 200).await;
        assert_eq!(first["is_default"], false, "another one is the default now");
        for (body, code) in [
            (json!({ "name": "R&D", "reason": "r" }), "bad_value"),
            (json!({ "address": { "town": "Raleigh" }, "reason": "r" }), "unknown_field"),
            (json!({ "account": NEIGHBOUR.to_string(), "reason": "r" }), "unknown_field"),
        ] {
            assert_eq!(asked(app, change(&body), 400).await["code"], code, "{body}");
        }
        let body = json!({
            "site": site["id"], "name": "Another peer", "voice_hosts": [{ "name": "sip.example.com", "port": 5060 }],
            "reason": "a gateway",
        });
        let peer = made(app, "/ops/v1/peers", &body).await;
        assert_eq!((&peer["voice_hosts"], &peer["is_default"]), (&body["voice_hosts"], &json!(true)));
        let at = format!("/ops/v1/peers?site={}", site["id"].as_str().unwrap());
        assert_eq!(asked(app, get(at), 200).await["items"], json!([peer]));
        assert_eq!(asked(app, get("/ops/v1/sites"), 200).await["items"].as_array().unwrap().len(), 2);
        assert_eq!(asked(app, get("/ops/v1/sites").by(Who::Operator), 200).await["items"].as_array().unwrap().len(), 3);
        // What is in use stays, and why is said.
        let remove = |path: &str| delete(format!("{path}?reason=it+is+gone"));
        let main = format!("/ops/v1/peers/{}", app.peer);
        for (call, why) in [(remove(&path), "peers"), (remove(&main), "numbers")] {
            let refused = asked(app, call, 409).await;
            assert_eq!((&refused["code"], &refused["why"]), (&json!("has_numbers"), &json!(why)));
        }
        app.send(remove(&format!("/ops/v1/peers/{}", peer["id"].as_str().unwrap()))).await.expect(204);
        assert_eq!(asked(app, remove(&path), 409).await["why"], "default");
        let first = format!("/ops/v1/sites/{}", app.site);
        let again = json!({ "is_default": true, "reason": "r" });
        app.send(sent(patch(first, again.to_string()))).await.expect(200);
        app.send(remove(&path)).await.expect(204);
        assert_eq!(asked(app, get(&path), 404).await["code"], "not_found");
        // Another account's are as ones that do not exist.
        let theirs = format!("/ops/v1/sites/{}", app.neighbours_site);
        assert_eq!(asked(app, get(&theirs), 404).await, asked(app, get("/ops/v1/sites/99999"), 404).await);
        app.send(remove(&theirs)).await.expect(404);
        app.send(sent(patch(&theirs, again.to_string()))).await.expect(404);
    })
    .await;
}
