//! Orders at the operations API.

use serde_json::Value;

use crate::app::{
    ACCOUNT, IN_SERVICE, NO_NUMBER, Reply, Seed, Who, account, get, post, wait_for, with_app, xml,
};

fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn an_order_says_what_became_of_each_number() {
    with_app(Seed::two_accounts(), async |app| {
        let location = app.disconnect(&[IN_SERVICE[0], NO_NUMBER]).await;
        let id = location.rsplit('/').next().unwrap();
        let path = format!("/ops/v1/orders/{id}");
        let order = json(&app.send(get(path.as_str())).await.expect(200));
        assert_eq!(
            (&order["kind"], &order["status"], &order["account"], &order["waiting"], &order["by"]["user"]),
            (
                &"disconnect".into(),
                &"PARTIAL".into(),
                &ACCOUNT.to_string().into(),
                &Value::Null,
                &"username".into()
            )
        );
        assert_eq!(order["counts"], serde_json::json!({ "numbers": 2, "went": 1, "failed": 1 }));
        let [failed, went] = order["outcomes"].as_array().unwrap().as_slice() else { panic!("{order}") };
        assert_eq!((&failed["outcome"], &failed["code"]), (&"failed".into(), &"5006".into()));
        assert_eq!(went, &serde_json::json!({ "number": format!("+1{}", IN_SERVICE[0]), "outcome": "went" }));
        let page = json(&app.send(get(format!("{path}?limit=1"))).await.expect(200));
        let next = page["next"].as_str().unwrap();
        let rest = json(&app.send(get(format!("{path}?limit=1&cursor={next}"))).await.expect(200));
        assert_eq!((&rest["outcomes"][0], &rest["next"]), (went, &Value::Null));
        let foreign = app.send(get(path).by(Who::Neighbour)).await.expect(404);
        let unknown = "/ops/v1/orders/00000000-0000-4000-8000-000000000000";
        assert_eq!(foreign.text(), app.send(get(unknown).by(Who::Neighbour)).await.expect(404).text());
    })
    .await;
}

#[tokio::test]
async fn orders_are_listed_newest_first() {
    with_app(Seed::two_accounts(), async |app| {
        let mut ids = Vec::new();
        for digits in IN_SERVICE {
            ids.insert(0, app.disconnect(&[digits]).await.rsplit('/').next().unwrap().to_owned());
        }
        let listed = async |query: &str, who: Who| {
            let reply = app.send(get(format!("/ops/v1/orders?{query}")).by(who)).await.expect(200);
            let page = json(&reply);
            let id = |order: &Value| order["id"].as_str().unwrap().to_owned();
            (page["items"].as_array().unwrap().iter().map(id).collect::<Vec<_>>(), page["next"].clone())
        };
        assert_eq!(listed("", Who::Reader).await.0, ids);
        assert_eq!(listed("kind=disconnect&status=COMPLETE&account=9900000", Who::Operator).await.0, ids);
        assert!(listed("kind=number", Who::Admin).await.0.is_empty());
        assert!(listed("", Who::Neighbour).await.0.is_empty());
        for waiting in ["run", "numbers", "run&status=COMPLETE"] {
            assert!(listed(&format!("waiting={waiting}"), Who::Admin).await.0.is_empty(), "{waiting}");
        }
        let (first, next) = listed("limit=2", Who::Admin).await;
        let (rest, end) = listed(&format!("limit=2&cursor={}", next.as_str().unwrap()), Who::Admin).await;
        assert_eq!(([first, rest].concat(), end), (ids, Value::Null));
        app.send(get("/ops/v1/orders?account=9900001")).await.expect(403);
        app.send(get("/ops/v1/orders?waiting=held")).await.expect(400);
        let search =
            xml::search(app.site, "AreaCode", "<AreaCode>202</AreaCode><Quantity>1</Quantity>", true);
        let (_, order) = app.place(post(account("/orders"), search)).await;
        wait_for("a waiting order", async || {
            let status = app.send(get(&order)).await.element("OrderStatus").map(str::to_owned);
            (status.as_deref() == Some("BACKORDERED")).then_some(())
        })
        .await;
        let waits = [order.rsplit('/').next().unwrap().to_owned()];
        assert_eq!(listed("waiting=numbers", Who::Admin).await.0, waits);
        assert!(listed("waiting=run", Who::Admin).await.0.is_empty());
    })
    .await;
}
