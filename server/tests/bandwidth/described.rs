//! The API's routes do what their descriptions say.

use std::collections::BTreeSet;

use onhook_server::Route;
use onhook_server::http::doc::Form;
use onhook_wire::json;
use onhook_wire::xml::{Element, parse};

use crate::app::calls::{Objects, call, objects, path};
use crate::app::{ACCOUNT, Seed, Who, get, with_app};

fn api() -> impl Iterator<Item = Route> {
    onhook_server::routes().into_iter().filter(|route| route.api && route.path != "/oauth2/token")
}

/// Returns the paths of all elements of a document, from its root.
fn paths(document: &str) -> BTreeSet<String> {
    fn gather(at: &str, element: &Element<'_>, paths: &mut BTreeSet<String>) {
        let at = format!("{at}/{}", element.name);
        element.children.iter().for_each(|child| gather(&at, child, paths));
        paths.insert(at);
    }
    let mut found = BTreeSet::new();
    gather("", &parse(document.as_bytes()).expect(document), &mut found);
    found
}

#[test]
fn a_request_s_example_is_the_document_that_its_route_takes() {
    for route in api() {
        let root = route.doc.request.map(|shape| parse(shape.example.as_bytes()).expect(shape.example).name);
        assert_eq!(root, route.document, "{}", route.name());
    }
}

#[tokio::test]
async fn a_reply_holds_nothing_that_its_example_does_not_show() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        for route in api() {
            let name = route.name();
            let objects = if route.method == "DELETE" {
                Objects::spare(app, &objects, &route).await.at(&route, app)
            } else {
                objects.clone()
            };
            let path = format!("/api{}", path(&route, &objects, &ACCOUNT.to_string(), Who::Admin));
            let reply = app.send(call(&route, &objects, path, Who::Admin)).await;
            let good = route.doc.good();
            assert_eq!(reply.status, good.status, "{name}: {}", reply.text());
            assert_eq!(reply.header("location").is_some(), good.meaning.contains("Location"), "{name}");
            let Some(shape) = good.body else {
                assert_eq!(reply.text(), "", "{name}: describe its body");
                continue;
            };
            assert_eq!(reply.header("content-type"), Some(shape.content_type), "{name}");
            let (told, shown) = (paths(reply.text()), paths(shape.example));
            let more: Vec<_> = told.difference(&shown).collect();
            assert!(more.is_empty(), "{name}: {more:?} are not in the example: {}", reply.text());
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_s_example_is_taken_in_json_too() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        for route in api().filter(|route| route.doc.request.is_some()) {
            let path = format!("/api/v2{}", path(&route, &objects, &ACCOUNT.to_string(), Who::Admin));
            let mut call = call(&route, &objects, path, Who::Admin);
            let body: String = String::from_utf8(call.body).unwrap().lines().map(str::trim).collect();
            call.body = json::from_xml(&body).unwrap().into_bytes();
            let length = call.body.len().to_string();
            let call = call.content_type("application/json").without("Content-Length");
            let reply = app.send(call.header("Content-Length", &length)).await;
            assert_eq!(reply.status, route.doc.good().status, "{}: {}", route.name(), reply.text());
        }
    })
    .await;
}

#[tokio::test]
async fn a_described_parameter_is_read() {
    with_app(Seed::two_accounts(), async |app| {
        let objects = objects(app).await;
        let mut tried = 0;
        for route in api() {
            let path = format!("/api{}", path(&route, &objects, &ACCOUNT.to_string(), Who::Admin));
            for told in &route.doc.query {
                // A text may be any.
                if matches!(told.form, Form::Text(_)) || path.contains(&format!("?{}=", told.name)) {
                    continue;
                }
                let sign = if path.contains('?') { '&' } else { '?' };
                let reply = app.send(get(format!("{path}{sign}{}=x", told.name))).await;
                assert_eq!(reply.status, 400, "{} {}: {}", route.name(), told.name, reply.text());
                tried += 1;
            }
        }
        assert!(tried > 50, "{tried} parameters");
    })
    .await;
}
