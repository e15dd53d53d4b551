//! Users at the operations API, and what their rights are good for.

use serde_json::{Value, json};

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOUR, Seed, Who, basic, delete, get, patch, post, with_app,
};

const USERS: &str = "/ops/v1/users";
const PASSWORD: &str = "correct horse battery";

fn of(name: &str) -> String {
    format!("{USERS}/{name}")
}

fn sent(call: Call, who: Who) -> Call {
    call.content_type("application/json").by(who)
}

fn make(body: &Value, who: Who) -> Call {
    sent(post(USERS, body.to_string()), who)
}

fn change(name: &str, body: &Value, who: Who) -> Call {
    sent(patch(of(name), body.to_string()), who)
}

fn new(name: &str, role: &str) -> Value {
    json!({ "name": name, "password": PASSWORD, "role": role, "reason": "a new program" })
}

async fn asked(app: &App, call: Call, status: u16) -> Value {
    serde_json::from_slice(&app.send(call).await.expect(status).body).unwrap()
}

async fn refused(app: &App, call: Call, status: u16, code: &str) {
    let problem = asked(app, call, status).await;
    assert_eq!(problem["code"], code, "{problem}");
}

/// Returns the call as one of a user with this name.
fn as_user(call: Call, name: &str) -> Call {
    call.by(Who::Nobody).header("Authorization", &basic(name, PASSWORD))
}

#[tokio::test]
async fn users_are_made_changed_and_removed_as_far_as_the_rules_go() {
    with_app(Seed::two_accounts(), async |app| {
        let made = app.send(make(&new("orders", "order"), Who::Admin)).await.expect(201);
        assert_eq!(made.header("location"), Some("/ops/v1/users/orders"));
        let made: Value = serde_json::from_slice(&made.body).unwrap();
        assert_eq!((&made["account"], &made["rights"]), (&json!(ACCOUNT.to_string()), &json!([])));
        assert_eq!(asked(app, get(of("ORDERS")).by(Who::Reader), 200).await, made);
        app.send(as_user(get("/ops/v1/numbers"), "orders")).await.expect(200);
        refused(app, make(&new("Orders", "order"), Who::Admin), 409, "user_exists").await;
        let mut theirs = new("theirs", "read");
        theirs["account"] = json!(NEIGHBOUR.to_string());
        refused(app, make(&theirs, Who::Admin), 403, "forbidden").await;
        app.send(make(&theirs, Who::Operator)).await.expect(201);
        for call in
            [get(of("theirs")).by(Who::Admin), change("theirs", &json!({ "reason": "r" }), Who::Admin)]
        {
            refused(app, call, 404, "not_found").await;
        }
        for (body, code, at) in [
            (new("machine", "read"), "bad_value", "/name"),
            (new("a:b", "read"), "bad_value", "/name"),
            (
                json!({ "name": "a", "password": "short", "role": "read", "reason": "r" }),
                "bad_value",
                "/password",
            ),
            (json!({ "name": "a", "password": PASSWORD, "reason": "r" }), "bad_value", "/role"),
            (json!({ "name": "a", "password": PASSWORD, "role": "read" }), "reason_required", ""),
        ] {
            let problem = asked(app, make(&body, Who::Admin), 400).await;
            assert_eq!(
                (problem["code"].as_str(), problem["errors"][0]["at"].as_str().unwrap_or_default()),
                (Some(code), at)
            );
        }
        let role = json!({ "role": "read", "password": "another long password", "reason": "r" });
        assert_eq!(asked(app, change("orders", &role, Who::Admin), 200).await["role"], "read");
        app.send(as_user(get("/ops/v1/numbers"), "orders")).await.expect(401);
        refused(
            app,
            change("username", &json!({ "role": "read", "reason": "r" }), Who::Admin),
            409,
            "last_admin",
        )
        .await;
        refused(app, change("orders", &role, Who::Reader), 403, "forbidden").await;
        let gone = |name: &str, who| delete(format!("{}?reason=gone", of(name))).by(who);
        refused(app, delete(of("orders")).by(Who::Admin), 400, "reason_required").await;
        refused(app, gone("theirs", Who::Admin), 404, "not_found").await;
        app.send(gone("orders", Who::Admin)).await.expect(204);
        refused(app, get(of("orders")).by(Who::Admin), 404, "not_found").await;
        let page = asked(app, get(format!("{USERS}?limit=2")).by(Who::Admin), 200).await;
        let names: Vec<&str> =
            page["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["orderer", "reader"]);
        let next = format!("{USERS}?limit=2&cursor={}", page["next"].as_str().unwrap());
        let page = asked(app, get(next).by(Who::Admin), 200).await;
        assert_eq!((&page["items"][0]["name"], &page["next"]), (&json!("username"), &Value::Null));
        assert_eq!(asked(app, get(USERS).by(Who::Operator), 200).await["items"].as_array().unwrap().len(), 7);
    })
    .await;
}

#[tokio::test]
async fn operators_are_made_on_the_machine_alone_and_keep_their_own_passwords() {
    with_app(Seed::two_accounts(), async |app| {
        for who in [Who::Admin, Who::Operator] {
            let mut operator = new("second", "operator");
            operator["account"] = Value::Null;
            refused(app, make(&operator, who), 403, "forbidden").await;
        }
        let store = &app.parts.store;
        let first = store.user("operator").await.unwrap().unwrap();
        let second = onhook_store::contract::users::NewUser {
            name: "second".into(),
            account: None,
            role: first.role,
            rights: first.rights,
            password_hash: onhook_server::auth::hash_password(PASSWORD).unwrap(),
        };
        store.create_user(second, crate::app::now()).await.unwrap();
        let password = json!({ "password": "another long password", "reason": "r" });
        refused(app, change("second", &password, Who::Operator), 403, "forbidden").await;
        let gone = delete(format!("{}?reason=gone", of("second"))).by(Who::Operator);
        refused(app, gone, 403, "forbidden").await;
        let own = as_user(sent(patch(of("second"), password.to_string()), Who::Nobody), "second");
        app.send(own).await.expect(200);
        app.send(as_user(get(USERS), "second")).await.expect(401);
    })
    .await;
}

#[tokio::test]
async fn who_has_the_right_unlocks_and_nobody_gives_it_to_themselves() {
    with_app(Seed::two_accounts(), async |app| {
        let why = json!({ "reason": "it is printed on our vans" });
        let act = |act: &str, who| {
            sent(post(format!("/ops/v1/numbers/{}/{act}", IN_SERVICE[0]), why.to_string()), who)
        };
        app.send(act("lock", Who::Orderer)).await.expect(200);
        refused(app, act("unlock", Who::Admin), 403, "forbidden").await;
        let rights = |rights: &[&str]| json!({ "rights": rights, "reason": "they guard their own numbers" });
        refused(app, change("username", &rights(&["unlock"]), Who::Admin), 403, "same_person").await;
        refused(app, change("orderer", &rights(&["calls"]), Who::Admin), 403, "forbidden").await;
        let given = asked(app, change("orderer", &rights(&["unlock"]), Who::Admin), 200).await;
        assert_eq!(given["rights"], json!(["unlock"]));
        let shown = asked(app, act("unlock", Who::Orderer), 200).await;
        assert_eq!(shown["locked"], false);
        // The right holds for a plan, too.
        app.send(act("lock", Who::Orderer)).await.expect(200);
        let plan = json!({ "act": "unlock", "target": { "numbers": [IN_SERVICE[0]] }, "reason": "r" });
        let planned = |who| sent(post("/ops/v1/plans", plan.to_string()), who);
        refused(app, planned(Who::Admin), 403, "forbidden").await;
        asked(app, planned(Who::Orderer), 201).await;
        app.send(act("unlock", Who::Orderer)).await.expect(200);
        // An operator gives any, and an administrator takes any away.
        app.send(change("orderer", &rights(&["unlock", "calls"]), Who::Operator)).await.expect(200);
        app.send(change("orderer", &rights(&[]), Who::Admin)).await.expect(200);
        app.send(act("lock", Who::Orderer)).await.expect(200);
        refused(app, act("unlock", Who::Orderer), 403, "forbidden").await;
        app.send(act("unlock", Who::Operator)).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn whether_any_number_has_changed_hands_is_told_to_who_has_the_right() {
    with_app(Seed::two_accounts(), async |app| {
        let path = format!("/ops/v1/numbers/{}/changed-hands?since={}", IN_SERVICE[0], crate::app::now());
        let asking = || get(path.as_str()).by(Who::Neighbour);
        refused(app, asking(), 404, "number_not_found").await;
        let given = json!({ "rights": ["changed_hands"], "reason": "they call many people" });
        app.send(change(Who::Neighbour.user(), &given, Who::Operator)).await.expect(200);
        assert_eq!(asked(app, asking(), 200).await["answer"], "no");
    })
    .await;
}

#[tokio::test]
async fn a_token_changes_no_user() {
    with_app(Seed::two_accounts(), async |app| {
        let form = post("/api/v1/oauth2/token", "grant_type=client_credentials")
            .content_type("application/x-www-form-urlencoded");
        let issued = asked(app, form.by(Who::Admin), 200).await;
        let token = format!("Bearer {}", issued["access_token"].as_str().unwrap());
        let with_token = |call: Call| call.by(Who::Nobody).header("Authorization", &token);
        for call in [
            make(&new("orders", "order"), Who::Admin),
            change("reader", &json!({ "role": "order", "reason": "r" }), Who::Admin),
            delete(format!("{}?reason=gone", of("reader"))),
        ] {
            refused(app, with_token(call), 403, "password_needed").await;
        }
        app.send(with_token(get(USERS))).await.expect(200);
    })
    .await;
}
