//! Orders that are undone at the operations API.

use std::collections::HashSet;

use onhook_core::import::NewNumber;
use onhook_core::lifecycle::diagram::State;
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

/// Returns what an undo has to give back. When it entered its state, and by which order, is another matter.
fn kept(number: &Value) -> Value {
    let mut number = number.clone();
    for other in ["since", "order", "why"] {
        number.as_object_mut().unwrap().remove(other);
    }
    number
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
        let kept = async |digits: &str| kept(&number(app, digits).await);
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

/// As many numbers as an order can have, at two sites and their peers, in two areas, protected or not, ported in or not.
/// Their order protects all of them.
#[tokio::test]
async fn an_undo_of_the_largest_order_restores_every_field_of_each_number() {
    const NUMBERS: usize = onhook_core::order::NUMBERS_MAX;
    with_app(Seed::two_accounts(), async |app| {
        let guide = ACCOUNT.to_string().parse().unwrap();
        let site = app.parts.store.create_site(guide, "Another".into(), crate::app::now()).await.unwrap().id;
        let peer =
            app.parts.store.create_peer(guide, site, "Its peer".into(), crate::app::now()).await.unwrap();
        let digits: Vec<String> = (0..NUMBERS).map(|n| format!("919557{n:04}")).collect();
        let lines = digits.iter().enumerate().map(|(n, digits)| NewNumber {
            state: State::InService,
            account: Some(guide),
            site: n.is_multiple_of(2).then_some(site),
            peer: n.is_multiple_of(2).then_some(peer.id),
            protected: n.is_multiple_of(3),
            ported_in: n.is_multiple_of(5),
            region: Some("NC".into()),
            rate_center: Some(if n.is_multiple_of(7) { "CARY" } else { "RALEIGH" }.into()),
            ..NewNumber::available(crate::app::number(digits))
        });
        app.import(lines.collect()).await;
        let all = async || {
            let (mut all, mut cursor) = (Vec::with_capacity(NUMBERS), String::new());
            loop {
                let call = get(format!("/ops/v1/numbers?prefix=1919557&limit=1000{cursor}"));
                let page = read(&app.send(call.by(Who::Operator)).await.expect(200));
                all.extend(page["items"].as_array().unwrap().iter().map(kept));
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return all,
                }
            }
        };
        let before = all().await;
        assert_eq!(before.len(), NUMBERS);
        for (field, values) in
            [("site", 2), ("peer", 2), ("protected", 2), ("ported_in", 2), ("rate_center", 2), ("state", 1)]
        {
            let different: HashSet<String> = before.iter().map(|number| number[field].to_string()).collect();
            assert_eq!(different.len(), values, "{field}: {different:?}");
        }
        let numbers: Vec<&str> = digits.iter().map(String::as_str).collect();
        let body = xml::disconnect_with("<name>n</name>", &numbers, "<Protected>TRUE</Protected>");
        let (_, order) = app.place(post(disconnects(""), body)).await;
        let ended = app.ended(get(&order)).await;
        assert_eq!(ended.element("OrderStatus"), Some("COMPLETE"));
        let aging = all().await;
        assert!(aging.iter().all(|number| number["state"] == "Aging" && number["protected"] == true));
        let done = read(&app.send(undo(&order, &why()).by(Who::Orderer)).await.expect(201));
        assert_eq!((&done["went"], &done["refused"]), (&NUMBERS.into(), &json!([])));
        let after = all().await;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(after, before);
        }
        assert_eq!(after.len(), NUMBERS);
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
