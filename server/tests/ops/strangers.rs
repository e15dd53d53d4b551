//! Another account at the operations API: it looks like one that does not exist, wherever a request names it.
//!
//! The calls are made from the routes' descriptions, so that a new route is among them.

use onhook_server::Route;
use serde_json::Value;

use crate::app::calls::{Objects, all, call, objects, path};
use crate::app::{ACCOUNT, App, Call, NEIGHBOUR, Seed, Who, patch, post, put, with_app};

/// Where a request can name an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Path,
    Query,
    Body,
}

/// Returns where a route's requests can name an account.
fn places(route: &Route) -> Vec<Place> {
    let in_body = route.doc.request.is_some_and(|shape| {
        let schema: Value = serde_json::from_str(shape.schema).unwrap_or_default();
        schema["properties"].get("account").is_some()
    });
    let in_query = route.doc.query.iter().any(|told| told.name == "account");
    let in_path = route.path.contains("{account}");
    [(in_path, Place::Path), (in_query, Place::Query), (in_body, Place::Body)]
        .into_iter()
        .filter_map(|(there, place)| there.then_some(place))
        .collect()
}

/// Returns a call of a route that names an account in one place.
fn naming(route: &Route, place: Place, account: &str, objects: &Objects, who: Who) -> Call {
    let own = ACCOUNT.to_string();
    let mut path = path(route, objects, if place == Place::Path { account } else { &own }, who);
    if place == Place::Query {
        path += &format!("?account={account}");
    }
    let call = call(route, objects, path, who);
    if place == Place::Body {
        let mut body: Value = serde_json::from_slice(&call.body).expect("JSON");
        body["account"] = account.into();
        let send = match call.method {
            "PATCH" => patch,
            "PUT" => put,
            _ => post,
        };
        return send(call.path, body.to_string()).content_type("application/json").by(who);
    }
    call
}

async fn told(app: &App, call: Call) -> (u16, Vec<(String, String)>, String) {
    let reply = app.send(call).await.without_date();
    (reply.status, reply.headers.clone(), reply.text().to_owned())
}

#[tokio::test]
async fn another_account_is_as_one_that_does_not_exist_wherever_it_is_named() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        let before = app.counts().await;
        let mut named = Vec::new();
        for (route, _) in all().into_iter().filter(|(route, _)| route.path.starts_with("/ops/v1/")) {
            for place in places(&route) {
                for who in [Who::Reader, Who::Orderer, Who::Admin] {
                    let theirs = naming(&route, place, &NEIGHBOUR.to_string(), &objects, who);
                    let theirs = told(app, theirs).await;
                    let cell = format!("{} in its {place:?} as {who:?}", route.name());
                    assert!([403, 404].contains(&theirs.0), "{cell}: {theirs:?}");
                    for nobodys in ["9900777", "1", "4294967295", "4294967296", "0", "x"] {
                        let nobodys = naming(&route, place, nobodys, &objects, who);
                        assert_eq!(told(app, nobodys).await, theirs, "{cell}");
                    }
                }
                named.push((route.name(), place));
            }
        }
        for wanted in [
            ("GET /ops/v1/numbers", Place::Query),
            ("GET /ops/v1/orders", Place::Query),
            ("GET /ops/v1/deliveries", Place::Query),
            ("GET /ops/v1/accounts/{account}", Place::Path),
        ] {
            assert!(named.contains(&(wanted.0.to_owned(), wanted.1)), "{wanted:?} is not among {named:?}");
        }
        assert_eq!(app.counts().await, before);
    })
    .await;
}
