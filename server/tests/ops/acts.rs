//! Acts on one number at the operations API.

use serde_json::{Value, json};

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOURS, NO_NUMBER, POOL, Reply, Seed, Who, disconnects, get, post,
    replies, talk, with_app, xml,
};

const DAY_MS: i64 = 86_400_000;

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn one(digits: &str) -> String {
    format!("/ops/v1/numbers/%2B1{digits}")
}

fn act(digits: &str, act: &str, body: &Value) -> Call {
    let path = format!("{}/{act}", one(digits));
    post(path, body.to_string()).content_type("application/json").by(Who::Operator)
}

async fn number(app: &App, digits: &str) -> Value {
    read(&app.send(get(one(digits)).by(Who::Operator)).await.expect(200))
}

/// Asserts that an act is refused, and returns the problem.
async fn refused(app: &App, call: Call, status: u16, code: &str) -> Value {
    let problem = read(&app.send(call).await.expect(status));
    assert_eq!(problem["code"], code, "{problem}");
    problem
}

#[tokio::test]
async fn a_locked_number_is_disconnected_by_nobody() {
    with_app(Seed::two_accounts(), async |app| {
        let [locked, other, _] = IN_SERVICE;
        let why = json!({ "reason": "it is printed on our vans" });
        let shown = read(&app.send(act(locked, "lock", &why).by(Who::Orderer)).await.expect(200));
        assert_eq!((&shown["locked"], &shown["state"]), (&true.into(), &"InService".into()));
        assert_eq!(shown, number(app, locked).await, "the reply is the number as it is shown");
        let problem = refused(app, act(locked, "lock", &why), 409, "refused").await;
        assert_eq!(problem["why"], "already_so");
        let (_, order) = app.place(post(disconnects(""), xml::disconnect(&[locked, other]))).await;
        let order = app.ended(get(order)).await;
        assert_eq!(order.element("OrderStatus"), Some("PARTIAL"));
        assert_eq!(order.element("Code"), Some("5006"), "{}", order.text());
        assert!(order.element("Description").unwrap().contains("locked"), "{}", order.text());
        // Who may lock may not unlock.
        for who in [Who::Orderer, Who::Admin] {
            refused(app, act(locked, "unlock", &why).by(who), 403, "forbidden").await;
        }
        let why = json!({ "reason": "the vans are sold" });
        let shown = read(&app.send(act(locked, "unlock", &why)).await.expect(200));
        assert_eq!(shown["locked"], false);
        app.disconnect(&[locked]).await;
        assert_eq!(number(app, locked).await["state"], "Aging");
    })
    .await;
}

#[tokio::test]
async fn a_history_says_who_acted_from_where_and_why() {
    with_app(Seed::two_accounts(), async |app| {
        let why = |reason: &str| json!({ "reason": reason });
        app.send(act(IN_SERVICE[0], "lock", &why("first")).by(Who::Orderer)).await.expect(200);
        app.send(act(IN_SERVICE[0], "unlock", &why("second"))).await.expect(200);
        app.disconnect(&[IN_SERVICE[0]]).await;
        let history = async |who: Who| {
            let path = one(IN_SERVICE[0]) + "/history";
            read(&app.send(get(path).by(who)).await.expect(200))["items"].clone()
        };
        let operators = history(Who::Operator).await;
        let by = |user: &str| {
            json!({ "kind": "user", "user": user, "credential": "basic", "address": "127.0.0.1" })
        };
        assert_eq!((&operators[0]["kind"], &operators[1]["kind"]), (&"locked".into(), &"unlocked".into()));
        assert_eq!(operators[0]["by"], by(Who::Orderer.user()));
        assert_eq!(operators[1]["by"], by(Who::Operator.user()));
        assert_eq!((&operators[0]["reason"], &operators[1]["reason"]), (&"first".into(), &"second".into()));
        // The event of an order has this of its order.
        let by = json!({ "kind": "order", "user": "username", "credential": "basic", "address": "127.0.0.1" });
        assert_eq!(operators[2]["by"], by);
        // An account does not learn the address of an operator.
        let own = history(Who::Orderer).await;
        assert_eq!((&own[0]["by"]["address"], &own[1]["by"]["address"]), (&"127.0.0.1".into(), &Value::Null));
        assert_eq!((&own[1]["by"]["user"], &own[1]["reason"]), (&"operator".into(), &"second".into()));
    })
    .await;
}

#[tokio::test]
async fn an_aging_number_ages_longer_and_never_shorter() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        let extend = |body: Value| act(IN_SERVICE[0], "extend", &body);
        let problem = refused(app, extend(json!({ "reason": "r", "days": 1 })), 409, "refused").await;
        assert_eq!(problem["why"], "past_ceiling");
        let before = number(app, IN_SERVICE[0]).await;
        let body = json!({ "reason": "r", "days": 1, "past_ceiling": true });
        let after = read(&app.send(extend(body)).await.expect(200));
        assert!(before["release_at"].as_str() < after["release_at"].as_str(), "{after}");
        assert_eq!((&after["hold"], &after["past_ceiling"]), (&before["hold"], &true.into()));
        let at = |text: &str| json!({ "reason": "r", "release_at": text, "past_ceiling": true });
        let same = at(after["release_at"].as_str().unwrap());
        assert_eq!(refused(app, extend(same), 409, "refused").await["why"], "not_later");
        let later = read(&app.send(extend(at("2099-03-01T00:00:00.000Z"))).await.expect(200));
        assert_eq!(later["release_at"], "2099-03-01T00:00:00.000Z");
        for wrong in [
            json!({ "reason": "r" }),
            json!({ "reason": "r", "days": 1, "release_at": "2099-03-02T00:00:00.000Z" }),
            at("tomorrow"),
            json!({ "reason": "r", "days": -1 }),
        ] {
            refused(app, extend(wrong), 400, "bad_value").await;
        }
        let in_service = act(IN_SERVICE[1], "extend", &json!({ "reason": "r", "days": 1 }));
        assert_eq!(refused(app, in_service, 409, "refused").await["why"], "not_aging");
    })
    .await;
}

#[tokio::test]
async fn a_kept_number_is_released_when_nobody_keeps_it_any_more() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        app.disconnect(&IN_SERVICE[..2]).await;
        let [kept, other, _] = IN_SERVICE;
        let why = json!({ "reason": "a dispute about it is open" });
        let shown = read(&app.send(act(kept, "keep", &why)).await.expect(200));
        assert_eq!(
            (&shown["kept"]["reason"], &shown["kept"]["until"]),
            (&"a dispute about it is open".into(), &Value::Null)
        );
        app.advance(400 * DAY_MS).await;
        let released = async |digits: &str| {
            let state = number(app, digits).await["state"].clone();
            (state == "Available").then_some(())
        };
        // Both are due. That the other one has been released shows that releases have passed this one over.
        crate::app::wait_for("the other one's release", async || released(other).await).await;
        assert_eq!(number(app, kept).await["state"], "Aging");
        let shown = read(&app.send(act(kept, "unkeep", &why)).await.expect(200));
        assert_eq!(shown["kept"], Value::Null);
        app.advance(1).await;
        crate::app::wait_for("its release", async || released(kept).await).await;
    })
    .await;
}

#[tokio::test]
async fn an_act_says_why_and_a_typing_error_does_nothing() {
    with_app(Seed::two_accounts(), async |app| {
        let lock = |body: &Value| act(IN_SERVICE[0], "lock", body).by(Who::Orderer);
        for (body, code) in [
            (json!({}), "reason_required"),
            (json!({ "reason": "" }), "reason_required"),
            (json!({ "reason": null }), "reason_required"),
            (json!({ "reason": "a\nb" }), "bad_value"),
            (json!({ "reason": "r".repeat(501) }), "bad_value"),
            (json!({ "reason": "r", "until": null }), "unknown_field"),
            (json!("r"), "bad_value"),
        ] {
            refused(app, lock(&body), 400, code).await;
        }
        let before = number(app, IN_SERVICE[0]).await;
        assert_eq!(before["locked"], false);
        app.send(lock(&json!({ "reason": "r".repeat(500) }))).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn an_account_locks_its_own_numbers_only() {
    with_app(Seed::two_accounts(), async |app| {
        let why = json!({ "reason": "r" });
        let unknown = app.send(act(NO_NUMBER, "lock", &why).by(Who::Admin)).await.expect(404);
        let foreign = app.send(act(NEIGHBOURS, "lock", &why).by(Who::Admin)).await.expect(404);
        assert_eq!(unknown.text(), foreign.text());
        assert_eq!(read(&foreign)["code"], "number_not_found");
        refused(app, act(IN_SERVICE[0], "lock", &why).by(Who::Reader), 403, "forbidden").await;
        for who in [Who::Admin, Who::Operator] {
            let problem = refused(app, act(POOL, "lock", &why).by(who), 409, "refused").await;
            assert_eq!(problem["why"], "not_in_service");
        }
        let shown = read(&app.send(act(NEIGHBOURS, "lock", &why)).await.expect(200));
        assert_ne!(shown["account"], ACCOUNT.to_string());
        assert_eq!(shown["locked"], true, "an operator has every account's numbers");
    })
    .await;
}

#[tokio::test]
async fn a_number_is_locked_or_aging_and_never_both() {
    with_app(Seed::two_accounts(), async |app| {
        let why = json!({ "reason": "r" });
        for digits in IN_SERVICE {
            let calls = (0..4).flat_map(|_| {
                let lock = act(digits, "lock", &why).by(Who::Orderer);
                [lock, post(disconnects(""), xml::disconnect(&[digits]))]
            });
            let mut sent = tokio::task::JoinSet::new();
            for call in calls {
                let address = app.address;
                sent.spawn(async move { replies(&talk(address, call.from, &call.bytes()).await, false) });
            }
            let replies: Vec<Reply> = sent.join_all().await.into_iter().flatten().collect();
            let locks = replies.iter().filter(|reply| reply.status == 200).count();
            let orders = replies.iter().filter(|reply| reply.status == 201);
            for order in orders {
                app.ended(get(app.path_of(order.header("location").unwrap()))).await;
            }
            let shown = number(app, digits).await;
            assert_eq!(shown["locked"] == true, locks == 1, "{shown}");
            assert_eq!(shown["state"], if locks == 1 { "InService" } else { "Aging" });
        }
    })
    .await;
}
