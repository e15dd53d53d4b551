//! Orders that are undone at the operations API.

use serde_json::{Value, json};

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NO_NUMBER, Reply, Seed, Who, account, disconnects, get, post, with_app,
    xml,
};

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn undo(order: &str, body: &Value) -> Call {
    let id = order.rsplit('/').next().unwrap();
    post(format!("/ops/v1/orders/{id}/undo"), body.to_string()).content_type("application/json")
}

fn why() -> Value {
    json!({ "reason": "the wrong numbers" })
}

async fn number(app: &App, digits: &str) -> Value {
    read(&app.send(get(format!("/ops/v1/numbers/{digits}"))).await.expect(200))
}

/// Asserts that an undo is refused, and returns the problem.
async fn refused(app: &App, call: Call, status: u16, code: &str) -> Value {
    let problem = read(&app.send(call).await.expect(status));
    assert_eq!(problem["code"], code, "{problem}");
    problem
}

#[tokio::test]
async fn an_undone_order_leaves_each_number_where_it_was() {
    with_app(Seed::two_accounts(), async |app| {
        let [first, second, _] = IN_SERVICE;
        let guide = ACCOUNT.to_string().parse().unwrap();
        let site = app.parts.store.create_site(guide, "Another".into(), crate::app::now()).await.unwrap().id;
        app.parts.store.create_peer(guide, site, "Its peer".into(), crate::app::now()).await.unwrap();
        let site: u32 = site.to_string().parse().unwrap();
        let (_, moved) = app.place(post(account("/moveTns"), xml::move_order(site, &[second]))).await;
        app.ended(get(&moved)).await;
        // What an undo has to give back. When it entered its state, and by which order, is another matter.
        let kept = async |digits: &str| {
            let mut number = number(app, digits).await;
            for other in ["since", "order", "why"] {
                number.as_object_mut().unwrap().remove(other);
            }
            number
        };
        let before = [kept(first).await, kept(second).await];
        assert_ne!(before[0]["site"], before[1]["site"]);
        let body = xml::disconnect_with("<name>n</name>", &[first, second], "<Protected>TRUE</Protected>");
        let (_, order) = app.place(post(disconnects(""), body)).await;
        app.ended(get(&order)).await;
        assert_eq!(number(app, first).await["protected"], true);
        let reply = app.send(undo(&order, &why()).by(Who::Orderer)).await.expect(201);
        let done = read(&reply);
        assert_eq!((&done["went"], &done["refused"]), (&2.into(), &json!([])));
        assert_eq!(done["order"]["status"], "COMPLETE");
        assert_eq!([kept(first).await, kept(second).await], before);
        // It is one number order, with a name that says what it undid.
        let location = reply.header("location").unwrap().to_owned();
        let shown = read(&app.send(get(location)).await.expect(200));
        assert_eq!((&shown["id"], &shown["kind"]), (&done["order"]["id"], &"number".into()));
        let undone = order.rsplit('/').next().unwrap();
        assert_eq!(
            (&shown["name"], &shown["undo_of"]),
            (&format!("undo of {undone}").into(), &undone.into())
        );
        assert_eq!(
            (&shown["reason"], &shown["by"]["user"]),
            (&"the wrong numbers".into(), &"orderer".into())
        );
        let by_wire = account(&format!("/orders/{}", done["order"]["id"].as_str().unwrap()));
        assert_eq!(app.send(get(by_wire)).await.expect(200).element("OrderStatus"), Some("COMPLETE"));
        let path = format!("/ops/v1/numbers/{first}/history");
        let history = read(&app.send(get(path)).await.expect(200));
        let last = history["items"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["kind"], &last["reason"]), (&"reconnected".into(), &"the wrong numbers".into()));
        let problem = refused(app, undo(&order, &why()), 409, "nothing_to_do").await;
        assert_eq!(problem["refused"], json!([{ "why": "reconnected", "numbers": 2 }]));
    })
    .await;
}

#[tokio::test]
async fn an_order_is_undone_in_part_only_if_that_is_asked_for() {
    with_app(Seed::two_accounts(), async |app| {
        let [first, second, _] = IN_SERVICE;
        let order = app.disconnect(&[first, second]).await;
        let (_, back) = app.place(post(account("/orders"), xml::order(app.site, &[second]))).await;
        app.ended(get(&back)).await;
        let problem = refused(app, undo(&order, &why()), 409, "undo_incomplete").await;
        assert_eq!(problem["counts"], json!({ "named": 2, "go": 1, "refused": 1, "remaining": 0 }));
        assert_eq!(problem["refused"], json!([{ "why": "reconnected", "numbers": 1 }]));
        assert_eq!(number(app, first).await["state"], "Aging", "nothing was done");
        let part = undo(&order, &json!({ "reason": "r", "partial": true }));
        let done = read(&app.send(part).await.expect(201));
        assert_eq!((&done["went"], &done["refused"]), (&1.into(), &problem["refused"]));
        assert_eq!(number(app, first).await["state"], "InService");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_disconnect_or_another_s_is_not_undone() {
    with_app(Seed::two_accounts(), async |app| {
        let order = app.disconnect(&[IN_SERVICE[0]]).await;
        let (_, back) = app.place(post(account("/orders"), xml::order(app.site, &[IN_SERVICE[0]]))).await;
        app.ended(get(&back)).await;
        let failed = app.disconnect(&[NO_NUMBER]).await;
        for none in [&back, &failed] {
            refused(app, undo(none, &why()), 409, "not_undoable").await;
        }
        let unknown = undo("00000000-0000-4000-8000-000000000000", &why()).by(Who::Neighbour);
        let unknown = app.send(unknown).await.expect(404);
        let foreign = app.send(undo(&order, &why()).by(Who::Neighbour)).await.expect(404);
        assert_eq!(foreign.text(), unknown.text());
        refused(app, undo(&order, &why()).by(Who::Reader), 403, "forbidden").await;
        refused(app, undo(&order, &json!({})), 400, "reason_required").await;
        refused(app, undo(&order, &json!({ "reason": "r", "partail": true })), 400, "unknown_field").await;
    })
    .await;
}
