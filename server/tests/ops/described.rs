//! The server's own routes do what their descriptions say.

use onhook_server::Route;
use onhook_server::http::doc::{Doc, Shape};
use serde_json::Value;

use crate::app::calls::{Objects, call, objects, path, send_keeping};
use crate::app::{ACCOUNT, Reply, Seed, Who, with_app};

/// Returns the names of an object's members.
fn names(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Asserts that an example has only members that its schema knows, and all that it requires.
fn example_fits(name: &str, shape: &Shape) {
    if shape.schema.is_empty() {
        return;
    }
    let (schema, example) = (json(shape.schema), json(shape.example));
    for member in names(&example) {
        assert!(schema["properties"].get(member).is_some(), "{name}: the schema has no {member}");
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        let required = required.as_str().expect("a name");
        assert!(example.get(required).is_some(), "{name}: the example has no {required}");
    }
}

/// Asserts that a reply is as its route describes it.
fn reply_fits(name: &str, doc: &Doc, reply: &Reply) {
    let good = doc.good();
    assert_eq!(reply.status, good.status, "{name}: {}", reply.text());
    let Some(shape) = good.body else {
        assert!(reply.body.is_empty(), "{name}: {}", reply.text());
        return;
    };
    assert_eq!(reply.header("content-type"), Some(shape.content_type), "{name}");
    if !shape.schema.is_empty() {
        // A member that can only be true is left out where it is not.
        let (schema, only_true) = (json(shape.schema), serde_json::json!([true]));
        let always = |object: &Value| -> Vec<String> {
            let kept =
                names(object).into_iter().filter(|name| schema["properties"][*name]["enum"] != only_true);
            kept.map(str::to_owned).collect()
        };
        assert_eq!(always(&json(reply.text())), always(&json(shape.example)), "{name}");
    }
}

#[tokio::test]
async fn every_route_of_the_server_is_as_described() {
    let routes: Vec<Route> = onhook_server::routes()
        .into_iter()
        .filter(|route| !route.api && !route.path.starts_with("/v2/"))
        .collect();
    assert!(routes.len() >= 7, "{} routes", routes.len());
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        for route in &routes {
            let name = route.name();
            let doc = &route.doc;
            let replies = doc.replies.iter().filter_map(|told| told.body.as_ref());
            doc.request.iter().chain(replies).for_each(|shape| example_fits(&name, shape));
            let query = doc.query.iter().map(|told| format!("{}={}", told.name, told.form.example()));
            // What is in use stays, so another one is removed.
            let objects = if route.method == "DELETE" {
                Objects::spare(app, &objects, route).await.at(route, app)
            } else {
                objects.clone()
            };
            let path = path(route, &objects, &ACCOUNT.to_string(), Who::Operator);
            let path = format!(
                "{}?{}",
                path.split('?').next().unwrap_or_default(),
                query.collect::<Vec<_>>().join("&")
            );
            let call = call(route, &objects, path, Who::Operator);
            if name == "POST /ops/v1/backups" && !app.one_writer {
                continue; // a store in a database is backed up by other means
            }
            reply_fits(&name, doc, &send_keeping(app, route, call).await);
        }
    })
    .await;
}
