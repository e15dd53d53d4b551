//! Numbers at the operations API: found, shown, with their history and what is charged.

use serde_json::Value;

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOURS, NO_NUMBER, POOL, Reply, Seed, Who, get, with_app,
};

fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn one(digits: &str) -> String {
    format!("/ops/v1/numbers/%2B1{digits}")
}

async fn items(app: &App, call: Call) -> Vec<String> {
    let reply = json(&app.send(call).await.expect(200));
    reply["items"].as_array().unwrap().iter().map(|n| n["number"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_number_says_where_it_is_and_until_when() {
    with_app(Seed::two_accounts(), async |app| {
        let number = json(&app.send(get(one(IN_SERVICE[0]))).await.expect(200));
        assert_eq!(
            (&number["state"], &number["account"], &number["former_account"], &number["release_at"]),
            (&"InService".into(), &ACCOUNT.to_string().into(), &Value::Null, &Value::Null)
        );
        app.disconnect(&[IN_SERVICE[0]]).await;
        // Ten digits are the same number.
        let number = json(&app.send(get(format!("/ops/v1/numbers/{}", IN_SERVICE[0]))).await.expect(200));
        assert_eq!(
            (&number["state"], &number["account"], &number["former_account"], &number["home"]),
            (&"Aging".into(), &Value::Null, &ACCOUNT.to_string().into(), &"pool".into())
        );
        let at = |key: &str| number[key].as_str().unwrap().to_owned();
        assert!(at("since") < at("floor_at") && at("floor_at") < at("release_at"), "{number}");
        assert_eq!(number["hold"]["days"], 90);
        assert!(at("why").starts_with("held 90 days, until "), "{number}");
    })
    .await;
}

#[tokio::test]
async fn a_number_is_shown_to_those_who_may_see_it() {
    with_app(Seed::two_accounts(), async |app| {
        for (digits, who, status) in [
            (IN_SERVICE[0], Who::Reader, 200),
            (IN_SERVICE[0], Who::Operator, 200),
            (IN_SERVICE[0], Who::Neighbour, 404),
            (NEIGHBOURS, Who::Admin, 404),
            (POOL, Who::Neighbour, 200),
            (NO_NUMBER, Who::Operator, 404),
        ] {
            app.send(get(one(digits)).by(who)).await.expect(status);
        }
        let pool = json(&app.send(get(one(POOL))).await);
        assert_eq!(pool.get("since"), None, "nobody learns how long it has been free");
        let unknown = app.send(get(one(NO_NUMBER))).await;
        let foreign = app.send(get(one(NEIGHBOURS))).await;
        assert_eq!(unknown.text(), foreign.text());
        assert_eq!(json(&unknown)["code"], "number_not_found");
        for wrong in ["555", "abc", "+1", "15405514342"] {
            let reply = app.send(get(format!("/ops/v1/numbers/{wrong}"))).await.expect(400);
            assert_eq!(json(&reply)["code"], "bad_number", "{wrong}");
        }
    })
    .await;
}

#[tokio::test]
async fn numbers_are_found_by_what_is_known_of_them() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[1]]).await;
        let path = |query: &str| get(format!("/ops/v1/numbers?{query}"));
        let number = |digits: &str| format!("+1{digits}");
        assert_eq!(items(app, path("state=Aging")).await, [number(IN_SERVICE[1])]);
        assert_eq!(
            items(app, path("prefix=1919555&state=InService")).await,
            [number(IN_SERVICE[0]), number(IN_SERVICE[2])]
        );
        let neighbours = path("prefix=1919555&state=InService,Aging&account=9900001").by(Who::Operator);
        assert_eq!(items(app, neighbours).await, [number(NEIGHBOURS)]);
        app.send(path("account=9900001")).await.expect(403);
        for (query, code) in [
            ("stat=Aging", "unknown_parameter"),
            ("state=Aging&state=InService", "unknown_parameter"),
            ("state=Old", "bad_value"),
            ("limit=0", "bad_value"),
            ("limit=1001", "bad_value"),
            ("prefix=54o", "bad_value"),
            ("cursor=AAAA", "bad_cursor"),
        ] {
            let reply = app.send(path(query)).await.expect(400);
            assert_eq!(json(&reply)["code"], code, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_walk_over_pages_has_every_number_once() {
    with_app(Seed::two_accounts(), async |app| {
        let whole = items(app, get("/ops/v1/numbers?limit=1000").by(Who::Operator)).await;
        let (mut walked, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/ops/v1/numbers?limit=7{cursor}");
            let page = json(&app.send(get(path).by(Who::Operator)).await.expect(200));
            let items = page["items"].as_array().unwrap();
            walked.extend(items.iter().map(|n| n["number"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(walked, whole);
        // A cursor is another list's, another filter's and another caller's no cursor.
        for (path, who) in [
            (format!("/ops/v1/orders?limit=7{cursor}"), Who::Operator),
            (format!("/ops/v1/numbers?limit=7&state=InService{cursor}"), Who::Operator),
            (format!("/ops/v1/numbers?limit=7{cursor}"), Who::Admin),
        ] {
            let reply = app.send(get(path.as_str()).by(who)).await.expect(400);
            assert_eq!(json(&reply)["code"], "bad_cursor", "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_history_says_what_happened_and_who_did_it() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let order = app.disconnect(&[IN_SERVICE[0]]).await;
        let order = order.rsplit('/').next().unwrap().to_owned();
        let history = json(&app.send(get(one(IN_SERVICE[0]) + "/history")).await.expect(200));
        let [event] = history["items"].as_array().unwrap().as_slice() else { panic!("{history}") };
        assert_eq!(
            (&event["kind"], &event["before"], &event["after"], &event["by"]["kind"], &event["by"]["user"]),
            (
                &"disconnected".into(),
                &"InService".into(),
                &"Aging".into(),
                &"order".into(),
                &"username".into()
            )
        );
        assert_eq!((event["order"].as_str(), &event["detail"]["hold"]["days"]), (Some(&*order), &90.into()));
        let periods = json(&app.send(get(one(IN_SERVICE[0]) + "/periods")).await.expect(200));
        let [period] = periods["items"].as_array().unwrap().as_slice() else { panic!("{periods}") };
        assert_eq!(period["until"], event["at"], "the period ends with the disconnect, to the millisecond");
        app.advance(91 * 86_400_000).await;
        // Once it is in the pool, its former account sees its own part of the past, and others none.
        let path = one(IN_SERVICE[0]) + "/history";
        let kinds = async |who: Who| {
            let history = json(&app.send(get(path.as_str()).by(who)).await);
            history["items"].as_array().map(Vec::len)
        };
        let released = async || (kinds(Who::Operator).await == Some(2)).then_some(());
        crate::app::wait_for("the release", released).await;
        assert_eq!((kinds(Who::Admin).await, kinds(Who::Neighbour).await), (Some(2), None));
    })
    .await;
}
