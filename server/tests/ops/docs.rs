//! The documents of the APIs: what is in them is sound, and it is what the routes say.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use onhook_server::Route;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::app::{App, Seed, Who, get, with_app};

const DOCUMENTS: [&str; 2] = ["/ops/openapi.json", "/ops/openapi/bandwidth.json"];
const PAGES: [&str; 2] = ["/ops/docs", "/ops/docs/bandwidth"];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn document(app: &App, path: &str) -> Value {
    let reply = app.send(get(path).by(Who::Nobody)).await.expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    serde_json::from_slice(&reply.body).unwrap()
}

/// Returns what a value is, or what it refers to.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let Some(reference) = value.get("$ref") else { return value };
    let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
    let found = pointer.and_then(|pointer| document.pointer(pointer));
    found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// Asserts that every reference leads somewhere, and that nothing is null but in examples.
fn no_loose_end(document: &Value, value: &Value) {
    assert!(!value.is_null(), "null in a document");
    resolved(document, value);
    let told = value.as_object().into_iter().flatten().filter(|(name, _)| *name != "example");
    told.for_each(|(_, inside)| no_loose_end(document, inside));
    value.as_array().into_iter().flatten().for_each(|inside| no_loose_end(document, inside));
}

/// Returns the path, the method and the operation of each operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item)| -> Vec<(&str, &str, &Value)> {
        let (path, item): (&String, &Value) = (path, item);
        let found = METHODS.iter().filter_map(|method| Some((path.as_str(), *method, item.get(method)?)));
        found.collect()
    };
    paths.iter().flat_map(of).collect()
}

fn names<'d>(document: &'d Value, parameters: &'d Value, at: &str) -> Vec<&'d str> {
    let parameters = parameters.as_array().into_iter().flatten().map(|told| resolved(document, told));
    let parameters = parameters.filter(|told| told["in"] == at);
    parameters
        .map(|told| {
            assert!(told["schema"].is_object() && told["description"].is_string(), "{told}");
            assert!(at != "path" || told["required"] == true, "{told}");
            told["name"].as_str().unwrap()
        })
        .collect()
}

fn sound_content(document: &Value, body: &Value) {
    for (kind, shown) in resolved(document, body)["content"].as_object().into_iter().flatten() {
        assert!(kind.split('/').count() == 2 && !kind.contains(';'), "{kind}");
        assert!(shown.get("example").is_some_and(|example| example != ""), "{kind}: {shown}");
    }
}

#[tokio::test]
async fn the_documents_are_sound() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        for path in DOCUMENTS {
            let document = document(app, path).await;
            assert_eq!(document["openapi"], "3.1.0");
            assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
            no_loose_end(&document, &document);
            let tags: BTreeSet<&str> = document["tags"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tag| tag["name"].as_str().unwrap())
                .collect();
            let mut ids = BTreeSet::new();
            for (path, method, operation) in operations(&document) {
                let cell = format!("{method} {path}");
                let id = operation["operationId"].as_str().unwrap();
                assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{id}");
                assert!(ids.insert(id), "two operations are called {id}");
                for tag in operation["tags"].as_array().unwrap() {
                    assert!(tags.contains(tag.as_str().unwrap()), "{cell}: {tag}");
                }
                let in_path: Vec<&str> =
                    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
                let told = &document["paths"][path]["parameters"];
                assert_eq!(names(&document, told, "path"), in_path, "{cell}: the door knows each name");
                let query = names(&document, &operation["parameters"], "query");
                let once: BTreeSet<String> = query.iter().map(|name| name.to_lowercase()).collect();
                assert_eq!(once.len(), query.len(), "{cell}: a parameter stands twice");
                let responses = operation["responses"].as_object().unwrap();
                assert!(!responses.is_empty(), "{cell}");
                for (status, response) in responses {
                    let status: u16 = status.parse().unwrap();
                    assert!((100..600).contains(&status), "{cell}");
                    assert!(resolved(&document, response)["description"].is_string(), "{cell} {status}");
                    sound_content(&document, response);
                }
                if let Some(body) = operation.get("requestBody") {
                    sound_content(&document, body);
                    assert!(method != "get" && body["content"].is_object(), "{cell}");
                }
            }
        }
    })
    .await;
}

/// What the server does once under a key is described so, and nothing else.
#[tokio::test]
async fn the_documents_say_which_requests_are_done_once() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        for (path, least) in DOCUMENTS.into_iter().zip([20, 3]) {
            let document = document(app, path).await;
            let mut keyed = 0;
            for (path, method, operation) in operations(&document) {
                let takes = names(&document, &operation["parameters"], "header") == ["Idempotency-Key"];
                keyed += usize::from(takes);
                let whole = !["/ops/v1/imports", "/ops/v1/rate", "/ops/v1/emulator/seed"].contains(&path);
                let wanted = method == "post" && path.starts_with("/ops/v1/") && whole;
                let receiver = path.starts_with("/ops/v1/emulator/receiver/");
                assert!(!path.starts_with("/ops") || takes == (wanted && !receiver), "{method} {path}");
                assert!(!takes || operation["responses"].get("422").is_some(), "{method} {path}");
            }
            assert!(keyed >= least, "{path}: {keyed}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_route_is_in_one_of_the_documents() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let mut told = Vec::new();
        for path in DOCUMENTS {
            let document = document(app, path).await;
            told.extend(
                operations(&document)
                    .iter()
                    .map(|(path, method, _)| format!("{} {path}", method.to_uppercase())),
            );
        }
        let mut routes: Vec<String> = onhook_server::routes().iter().map(Route::name).collect();
        told.sort();
        routes.sort();
        assert_eq!(told, routes);
    })
    .await;
}

#[test]
fn every_route_says_what_it_does_in_a_sentence() {
    for route in onhook_server::routes() {
        let (name, summary) = (route.name(), route.doc.summary);
        assert!(summary.ends_with('.') && summary.lines().count() == 1, "{name}: {summary}");
        let first = summary.split(' ').next().unwrap();
        assert!(first.ends_with('s') && first.starts_with(char::is_uppercase), "{name}: {summary}");
        let explained = |part| route.door.parameter(part);
        let in_path = route
            .parameters()
            .map(|part| explained(part).unwrap_or_else(|| panic!("{name}: have its door explain {part}")));
        for told in route.doc.query.iter().copied().chain(in_path) {
            assert!(!told.meaning.ends_with('.') && !told.meaning.is_empty(), "{name}: {}", told.name);
        }
    }
}

#[tokio::test]
async fn only_an_emulator_has_the_emulator_s_routes_in_its_document() {
    let emulators = async |app: &App| {
        let document = document(app, DOCUMENTS[0]).await;
        let page = app.send(get(PAGES[0])).await;
        let routes = operations(&document).iter().filter(|(path, ..)| path.contains("/emulator/")).count();
        (routes, page.text().contains("/ops/v1/emulator/"))
    };
    with_app(Seed::two_accounts(), async |app| assert_eq!(emulators(app).await, (0, false))).await;
    with_app(Seed::two_accounts().emulator(), async |app| assert_eq!(emulators(app).await, (21, true))).await;
}

#[tokio::test]
async fn an_operation_looks_like_this() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        for (name, path, route, method) in [
            ("operation_ops", DOCUMENTS[0], "/ops/v1/emulator/clock", "post"),
            ("operation_bandwidth", DOCUMENTS[1], "/accounts/{account}/disconnects", "post"),
        ] {
            let document = document(app, path).await;
            let shown = serde_json::to_string_pretty(&document["paths"][route][method]).unwrap();
            insta::assert_snapshot!(name, shown);
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_needs_no_script_and_nothing_from_elsewhere() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let mut shown = String::new();
        for path in PAGES {
            let reply = app.send(get(path).by(Who::Nobody)).await.expect(200);
            let page = reply.text();
            assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
            let digest = STANDARD.encode(Sha256::digest(style));
            let policy = format!(
                "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'"
            );
            assert_eq!(reply.header("content-security-policy"), Some(policy.as_str()));
            for never in ["<script", "<link", "<img", " src=", " style=", " onclick=", "url(", "@import"] {
                assert!(!page.contains(never), "{path} has {never}");
            }
            for address in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                let found = match address.strip_prefix('#') {
                    Some(id) => page.contains(&format!("id=\"{id}\"")),
                    None => app.send(get(address).by(Who::Nobody)).await.status == 200,
                };
                assert!(found, "{path}: {address} leads nowhere");
            }
            shown += page;
        }
        for route in onhook_server::routes() {
            assert!(shown.contains(&format!("<section id=\"{}\"", route.id())), "{}", route.name());
        }
        assert!(shown.contains("&lt;TelephoneNumber&gt;5405514342&lt;/TelephoneNumber&gt;"));
    })
    .await;
}
