//! Deliveries at the operations API.

use serde_json::{Value, json};

use crate::app::receiver::Receiver;
use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOUR, Seed, Who, account, delete, get, post, wait_for, with_app,
};

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

async fn list(app: &App, query: &str, who: Who) -> Vec<Value> {
    let reply = app.send(get(format!("/ops/v1/deliveries?{query}")).by(who)).await.expect(200);
    read(&reply.body)["items"].as_array().unwrap().clone()
}

fn replay(id: &str) -> Call {
    let why = json!({ "reason": "their server was broken" });
    post(format!("/ops/v1/deliveries/{id}/replay"), why.to_string())
        .content_type("application/json")
        .by(Who::Admin)
}

/// Subscribes to disconnects, and returns the subscription's path.
async fn subscribe(app: &App, url: &str) -> String {
    let body = format!(
        "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription><URL>{url}</URL></CallbackSubscription></Subscription>"
    );
    let made = app.send(post(account("/subscriptions"), body)).await.expect(201);
    app.path_of(made.header("location").unwrap())
}

/// Waits until nothing waits to be delivered.
async fn delivered(app: &App) {
    wait_for("the ends of deliveries", async || {
        list(app, "state=WAITING", Who::Operator).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_delivery_is_made_again_under_the_same_message_id() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        let url = receiver.url("/ok/told");
        let subscription = subscribe(app, &url).await;
        let order = app.disconnect(&[IN_SERVICE[0]]).await;
        let first = receiver.wait("/ok/told", 1).await.remove(0);
        delivered(app).await;
        let found = list(app, "", Who::Admin).await;
        let [one] = found.as_slice() else { panic!("{found:?}") };
        let id = one["id"].as_str().unwrap();
        assert_eq!(one["message_id"], first.header("webhook-id").unwrap());
        assert_eq!(
            (&one["state"], &one["about"], &one["receiver"]),
            (&json!("DELIVERED"), &json!("status"), &json!(url))
        );
        assert_eq!((&one["account"], &one["replay_of"]), (&json!(ACCOUNT.to_string()), &Value::Null));
        assert_eq!(one["order"], order.rsplit('/').next().unwrap());
        let shown = read(&app.send(get(format!("/ops/v1/deliveries/{id}"))).await.expect(200).body);
        assert_eq!(shown["attempts"][0]["outcome"], "http 200");
        assert_eq!(shown["body"], first.body);

        let made = app.send(replay(id)).await.expect(201);
        let location = made.header("location").unwrap().to_owned();
        let made = read(&made.body);
        assert_eq!((&made["replay_of"], &made["message_id"]), (&json!(id), &one["message_id"]));
        let second = receiver.wait("/ok/told", 2).await.remove(1);
        assert_eq!((second.header("webhook-id"), &second.body), (first.header("webhook-id"), &first.body));
        delivered(app).await;
        let shown = read(&app.send(get(location)).await.expect(200).body);
        assert_eq!((&shown["state"], shown["attempts"].as_array().unwrap().len()), (&json!("DELIVERED"), 1));
        assert_eq!(list(app, "", Who::Operator).await.len(), 2);

        // Another account's delivery is as one that does not exist.
        for path in [
            format!("/ops/v1/deliveries/{id}"),
            "/ops/v1/deliveries/999999".into(),
            "/ops/v1/deliveries/x".into(),
        ] {
            let reply = app.send(get(path).by(Who::Neighbour)).await.expect(404);
            assert_eq!(read(&reply.body)["code"], "not_found");
        }
        app.send(replay(id).by(Who::Neighbour)).await.expect(404);
        app.send(replay(id).by(Who::Orderer)).await.expect(403);
        assert!(list(app, "", Who::Neighbour).await.is_empty());
        app.send(get(format!("/ops/v1/deliveries?account={NEIGHBOUR}")).by(Who::Admin)).await.expect(403);

        app.send(delete(subscription)).await.expect(200);
        let refused = read(&app.send(replay(id)).await.expect(409).body);
        assert_eq!((&refused["code"], &refused["why"]), (&json!("refused"), &json!("receiver_gone")));
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_its_next_attempt_is_only_due_now() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        let body = format!(
            "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription><URL>{}</URL><Delivery><Retry>true\
             </Retry></Delivery></CallbackSubscription></Subscription>",
            receiver.url("/500/told")
        );
        app.send(post(account("/subscriptions"), body)).await.expect(201);
        app.disconnect(&[IN_SERVICE[0]]).await;
        let id = wait_for("an attempt", async || {
            let found = list(app, "state=WAITING", Who::Admin).await;
            let id = found.first()?["id"].as_str()?.to_owned();
            let shown = read(&app.send(get(format!("/ops/v1/deliveries/{id}"))).await.expect(200).body);
            (!shown["attempts"].as_array()?.is_empty()).then_some(id)
        })
        .await;
        let before = receiver.at("/500/told").len();
        let moved = read(&app.send(replay(&id)).await.expect(200).body);
        assert_eq!((&moved["id"], &moved["replay_of"]), (&json!(id), &Value::Null));
        receiver.wait("/500/told", before + 1).await;
        assert_eq!(list(app, "", Who::Admin).await.len(), 1, "nothing new is made");
    })
    .await;
}
