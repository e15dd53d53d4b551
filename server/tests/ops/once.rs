//! Requests with an `Idempotency-Key` at the operations API.

use serde_json::{Value, json};

use crate::app::{App, Call, IN_SERVICE, Reply, Seed, Who, post, replies, talk, with_app};

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn send(path: &str, key: &str, body: &Value) -> Call {
    post(path, body.to_string()).content_type("application/json").header("Idempotency-Key", key)
}

fn undo(order: &str, key: &str, body: &Value) -> Call {
    let id = order.rsplit('/').next().unwrap();
    send(&format!("/ops/v1/orders/{id}/undo"), key, body)
}

fn why() -> Value {
    json!({ "reason": "the wrong numbers" })
}

/// Asserts that a call is refused.
async fn refused(app: &App, call: Call, status: u16, code: &str) {
    let problem = read(&app.send(call).await.expect(status));
    assert_eq!(problem["code"], code, "{problem}");
}

#[tokio::test]
async fn an_undo_whose_answer_was_not_read_is_answered_again() {
    with_app(Seed::two_accounts(), async |app| {
        let order = app.disconnect(&IN_SERVICE[..2]).await;
        let first = app.send(undo(&order, "k", &why())).await.expect(201);
        assert_eq!(first.header("idempotency-replayed"), None);
        let before = app.counts().await;
        let again = app.send(undo(&order, "k", &why())).await.expect(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!((again.text(), again.header("location")), (first.text(), first.header("location")));
        assert_eq!(app.counts().await, before, "nothing more was done");
        let other = undo(&order, "k", &json!({ "reason": "another reason" }));
        refused(app, other, 422, "key_reused").await;
        // Another user's key is another one, and without a key there is nothing left to undo.
        refused(app, undo(&order, "k", &why()).by(Who::Orderer), 409, "nothing_to_do").await;
    })
    .await;
}

#[tokio::test]
async fn an_act_under_a_key_is_answered_as_it_was_then() {
    with_app(Seed::two_accounts(), async |app| {
        let act = |act: &str, key: &str| {
            send(&format!("/ops/v1/numbers/{}/{act}", IN_SERVICE[0]), key, &why()).by(Who::Operator)
        };
        let locked = app.send(act("lock", "one")).await.expect(200);
        app.send(act("unlock", "two")).await.expect(200);
        let again = app.send(act("lock", "one")).await.expect(200);
        assert_eq!((again.text(), &read(&again)["locked"]), (locked.text(), &true.into()));
        refused(app, act("unlock", "three"), 409, "refused").await;
        app.send(act("lock", "four")).await.expect(200);
        app.send(act("unlock", "three")).await.expect(200);
        refused(app, act("lock", "two"), 422, "key_reused").await;
    })
    .await;
}

#[tokio::test]
async fn of_the_same_request_sent_often_at_once_one_is_done() {
    with_app(Seed::two_accounts(), async |app| {
        let order = app.disconnect(&IN_SERVICE).await;
        let mut sent = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let (address, call) = (app.address, undo(&order, "k", &why()));
            sent.spawn(async move { replies(&talk(address, call.from, &call.bytes()).await, false) });
        }
        let replies: Vec<Reply> = sent.join_all().await.into_iter().flatten().collect();
        let done: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 201).collect();
        let fresh = done.iter().filter(|reply| reply.header("idempotency-replayed").is_none()).count();
        assert_eq!(fresh, 1);
        assert!(done.iter().all(|reply| reply.text() == done[0].text()));
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            assert_eq!(read(reply)["code"], "key_in_use", "{}", reply.text());
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_is_visible_and_not_too_long() {
    with_app(Seed::two_accounts(), async |app| {
        let path = format!("/ops/v1/numbers/{}/lock", IN_SERVICE[0]);
        for key in ["", "a b", "é", &"k".repeat(256)] {
            refused(app, send(&path, key, &why()), 400, "bad_value").await;
        }
        let twice = send(&path, "a", &why()).header("Idempotency-Key", "b");
        refused(app, twice, 400, "bad_value").await;
        app.send(send(&path, &"k".repeat(255), &why())).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn an_emulator_s_clock_moves_once_under_a_key() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let advance =
            |by: i64| send("/ops/v1/emulator/clock", "k", &json!({ "advance_ms": by })).by(Who::Operator);
        let moved = app.send(advance(60_000)).await.expect(200);
        let again = app.send(advance(60_000)).await.expect(200);
        assert_eq!((again.text(), again.header("idempotency-replayed")), (moved.text(), Some("true")));
        refused(app, advance(1), 422, "key_reused").await;
        let clock =
            read(&app.send(crate::app::get("/ops/v1/emulator/clock").by(Who::Operator)).await.expect(200));
        assert_eq!(clock["moved_ms"], 60_000);
    })
    .await;
}
