//! Accounts at the operations API.

use serde_json::{Value, json};

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOUR, NEIGHBOURS, POOL, Seed, Who, account, delete, disconnects,
    get, patch, post, wait_for, with_app, xml,
};

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

fn of_operator(call: Call) -> Call {
    call.content_type("application/json").by(Who::Operator)
}

/// Sends a call as an operator, and returns the document of the reply.
async fn asked(app: &App, call: Call, status: u16) -> Value {
    read(&app.send(call).await.expect(status).body)
}

fn path(id: u32, act: &str) -> String {
    format!("/ops/v1/accounts/{id}{act}")
}

async fn close(app: &App, id: u32, status: u16) -> Value {
    let why = json!({ "reason": "the customer has left" });
    asked(app, of_operator(post(path(id, "/close"), why.to_string())), status).await
}

#[tokio::test]
async fn an_account_is_made_changed_and_shown() {
    with_app(Seed::two_accounts(), async |app| {
        let new =
            json!({ "id": "9900700", "name": "A new account", "class": "business", "reason": "a customer" });
        let make = || of_operator(post("/ops/v1/accounts", new.to_string()));
        let made = app.send(make()).await.expect(201);
        assert_eq!(made.header("location"), Some("/ops/v1/accounts/9900700"));
        let shown = asked(app, get(path(9_900_700, "")).by(Who::Operator), 200).await;
        assert_eq!(read(&made.body), shown);
        assert_eq!(
            (&shown["kind"], &shown["class"], &shown["state"]),
            (&json!("end-user"), &json!("business"), &json!("open"))
        );
        let none = json!({ "InService": 0, "Aging": 0, "Reserved": 0, "Protected": 0 });
        assert_eq!(shown["numbers"], none);
        assert_eq!(asked(app, make(), 409).await["code"], "account_exists");
        let change = json!({
            "name": "Another name", "cancel_window_seconds": 600, "reports_rnd": false,
            "legal_name": "Another name, Inc.", "reason": "a new contract",
        });
        let changed = asked(app, of_operator(patch(path(9_900_700, ""), change.to_string())), 200).await;
        for key in ["name", "cancel_window_seconds", "reports_rnd", "legal_name"] {
            assert_eq!(changed[key], change[key], "{key}");
        }
        assert_eq!(changed["class"], "business", "what is not named stays");
        let cleared = json!({ "cancel_window_seconds": null, "legal_name": null, "reason": "r" });
        let cleared = asked(app, of_operator(patch(path(9_900_700, ""), cleared.to_string())), 200).await;
        assert_eq!((&cleared["cancel_window_seconds"], &cleared["legal_name"]), (&Value::Null, &Value::Null));
        for (wrong, code, at) in [
            (json!({ "reason": "r", "name": "=1" }), "bad_value", "/name"),
            (json!({ "reason": "r", "name": null }), "bad_value", "/name"),
            (
                json!({ "reason": "r", "cancel_window_seconds": 86_401 }),
                "bad_value",
                "/cancel_window_seconds",
            ),
            (json!({ "name": "A name" }), "reason_required", ""),
            (json!({ "reason": "r", "nmae": "A name" }), "unknown_field", "/nmae"),
        ] {
            let refused = asked(app, of_operator(patch(path(9_900_700, ""), wrong.to_string())), 400).await;
            assert_eq!(refused["code"], code, "{wrong}");
            assert_eq!(refused["errors"][0]["at"].as_str().unwrap_or_default(), at, "{wrong}");
        }
        let page = asked(app, get("/ops/v1/accounts?limit=2").by(Who::Operator), 200).await;
        assert_eq!(page["items"][0]["numbers"]["InService"], 5);
        let next = format!("/ops/v1/accounts?limit=2&cursor={}", page["next"].as_str().unwrap());
        let rest = asked(app, get(next).by(Who::Operator), 200).await;
        assert_eq!((&rest["items"][0], &rest["next"]), (&cleared, &Value::Null));
        // A user sees the own account, and no list.
        let own = asked(app, get(path(ACCOUNT, "")).by(Who::Reader), 200).await;
        assert_eq!(own["id"], ACCOUNT.to_string());
        app.send(get("/ops/v1/accounts").by(Who::Admin)).await.expect(403);
        app.send(get(path(9_900_799, "")).by(Who::Operator)).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn a_closed_account_is_nobody_s_and_gets_no_number_until_it_is_reopened() {
    with_app(Seed::two_accounts(), async |app| {
        let refused = close(app, NEIGHBOUR, 409).await;
        assert_eq!(refused["code"], "account_has_numbers");
        let counts =
            json!({ "InService": 1, "Aging": 0, "Reserved": 0, "Protected": 0, "waiting_orders": 0 });
        assert_eq!(refused["numbers"], counts);
        let theirs = |rest: &str| format!("/api/accounts/{NEIGHBOUR}{rest}");
        let order = post(theirs("/disconnects"), xml::disconnect(&[NEIGHBOURS])).by(Who::Neighbour);
        let order = app.place(order).await.1;
        app.ended(get(order).by(Who::Neighbour)).await;
        // A reserved number keeps it open.
        let reserved = post(theirs("/tnreservation"), xml::reservation(POOL)).by(Who::Neighbour);
        let reserved = app.send(reserved).await.expect(201);
        let reserved = app.path_of(reserved.header("location").unwrap());
        assert_eq!(close(app, NEIGHBOUR, 409).await["numbers"]["Reserved"], 1);
        app.send(delete(reserved).by(Who::Neighbour)).await.expect(200);
        let token = {
            let form = post("/api/v1/oauth2/token", "grant_type=client_credentials")
                .content_type("application/x-www-form-urlencoded");
            let issued = app.send(form.by(Who::Neighbour)).await.expect(200);
            read(&issued.body)["access_token"].as_str().unwrap().to_owned()
        };
        let with_token =
            || get(theirs("/sites")).by(Who::Nobody).header("Authorization", &format!("Bearer {token}"));
        app.send(with_token()).await.expect(200);
        let closed = close(app, NEIGHBOUR, 200).await;
        assert_eq!((&closed["state"], &closed["numbers"]["Aging"]), (&json!("closed"), &json!(1)));
        assert_eq!(close(app, NEIGHBOUR, 200).await, closed, "twice is once");
        // Nobody signs in, neither with a password that was good a moment ago, nor with a token.
        app.send(get(theirs("/sites")).by(Who::Neighbour)).await.expect(401);
        app.send(with_token()).await.expect(401);
        // An operator acts on it, but no number becomes its own.
        let site = app.neighbours_site;
        for numbers in [[NEIGHBOURS], [POOL]] {
            let order = post(theirs("/orders"), xml::order(site, &numbers)).by(Who::Operator);
            let order = app.place(order).await.1;
            let order = app.ended(get(order).by(Who::Operator)).await;
            assert_eq!(order.element("OrderStatus"), Some("FAILED"), "{}", order.text());
        }
        let again = json!({ "id": NEIGHBOUR.to_string(), "name": "again", "reason": "r" });
        let again = asked(app, of_operator(post("/ops/v1/accounts", again.to_string())), 409).await;
        assert_eq!(again["code"], "account_exists", "an id is never used again");
        let why = json!({ "reason": "they are back" });
        let reopened = asked(app, of_operator(post(path(NEIGHBOUR, "/reopen"), why.to_string())), 200).await;
        assert_eq!(reopened["state"], "open");
        app.send(get(theirs("/sites")).by(Who::Neighbour)).await.expect(200);
        let order =
            app.place(post(theirs("/orders"), xml::order(site, &[NEIGHBOURS])).by(Who::Neighbour)).await.1;
        let order = app.ended(get(order).by(Who::Neighbour)).await;
        assert_eq!(order.element("OrderStatus"), Some("COMPLETE"), "{}", order.text());
    })
    .await;
}

#[tokio::test]
async fn an_account_with_an_order_that_waits_stays_open() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[&IN_SERVICE[..], &["5405514342", "7034343704"]].concat()).await;
        let waits = xml::search(app.site, "AreaCode", "<AreaCode>336</AreaCode><Quantity>2</Quantity>", true);
        let waits = app.place(post(account("/orders"), waits)).await.1;
        wait_for("the order to wait", async || {
            let order = app.send(get(&waits)).await.expect(200);
            (order.element("OrderStatus") == Some("BACKORDERED")).then_some(())
        })
        .await;
        let refused = close(app, ACCOUNT, 409).await;
        // A search that may wait in part has taken what there was.
        assert_eq!(refused["numbers"]["waiting_orders"], 1, "{refused}");
        app.send(get(disconnects(""))).await.expect(200);
    })
    .await;
}
