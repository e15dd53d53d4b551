//! An API's book as an OpenAPI 3.1 document.
//!
//! The document is plain JSON: descriptions already hold JSON Schemas, XML has none to derive, and nothing here needs
//! more than a few objects. What a door refuses is not written down but asked of the door.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::book::Book;
use super::doc::{Form, KEY, Media, Parameter, Told};
use super::refusal::Refusal;
use super::route::{Needs, Route};

/// How a key can be refused.
const KEYS: [(&str, &str); 2] =
    [("409", "A request under this key is under way."), ("422", "Another request was done under this key.")];

/// The version of OpenAPI.
const VERSION: &str = "3.1.0";

/// Returns the document of a book.
pub(crate) fn document(book: &Book) -> Value {
    let mut shared = Shared::default();
    let mut paths: Map<String, Value> = Map::new();
    let mut tags = Vec::new();
    for chapter in &book.chapters {
        tags.push(json!({ "name": chapter.heading }));
        for route in &chapter.routes {
            let path = paths.entry(route.path).or_insert_with(|| path(route, &mut shared));
            path[route.method.as_str().to_ascii_lowercase()] = operation(route, chapter.heading, &mut shared);
        }
    }
    let servers: Vec<Value> =
        book.servers.iter().map(|(url, meaning)| json!({ "url": url, "description": meaning })).collect();
    json!({
        "openapi": VERSION,
        "info": { "title": book.title, "version": env!("CARGO_PKG_VERSION"), "description": book.about },
        "servers": servers,
        "security": [{ "basic": [] }, { "token": [] }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic", "description": "A user's name and password." },
                "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "A token from POST /oauth2/token. It stands for name and password for an hour.",
                },
            },
            "parameters": shared.parameters,
            "responses": shared.responses,
        },
    })
}

/// The parts that many operations refer to.
#[derive(Default)]
struct Shared {
    parameters: Map<String, Value>,
    responses: Map<String, Value>,
}

impl Shared {
    /// Keeps a part, and returns a reference to it. Another part of this name gets a number.
    fn keep(kind: &str, parts: &mut Map<String, Value>, name: &str, part: Value) -> Value {
        let names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}_{n}")));
        for name in names {
            let kept = parts.entry(&*name).or_insert_with(|| part.clone());
            if *kept == part {
                return json!({ "$ref": format!("#/components/{kind}/{name}") });
            }
        }
        part
    }

    fn parameter(&mut self, name: &str, part: Value) -> Value {
        Self::keep("parameters", &mut self.parameters, name, part)
    }

    fn response(&mut self, name: &str, part: Value) -> Value {
        Self::keep("responses", &mut self.responses, name, part)
    }
}

/// Returns a path with what all its operations share.
fn path(route: &Route, shared: &mut Shared) -> Value {
    let mut path = json!({});
    let parameters: Vec<Value> = route
        .parameters()
        .filter_map(|name| route.door.parameter(name))
        .map(|told| shared.parameter(told.name, parameter("path", &told)))
        .collect();
    if !parameters.is_empty() {
        path["parameters"] = json!(parameters);
    }
    if !route.api {
        path["servers"] = json!([{ "url": "/", "description": "The host, without a prefix." }]);
    }
    path
}

fn parameter(at: &str, told: &Parameter) -> Value {
    json!({
        "name": told.name, "in": at, "required": told.required || at == "path", "description": told.meaning,
        "schema": told.form.schema(),
    })
}

fn operation(route: &Route, tag: &str, shared: &mut Shared) -> Value {
    let doc = &route.doc;
    let mut operation = json!({
        "operationId": route.id(), "tags": [tag], "summary": doc.summary, "description": who(route),
        "responses": responses(route, shared),
    });
    let query = doc.query.iter().map(|told| parameter("query", told));
    let key = route.takes_key().then(|| shared.parameter(KEY.name, parameter("header", &KEY)));
    let parameters: Vec<Value> = query.chain(key).collect();
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(shape) = doc.request {
        let mut media = route.door.media(shape);
        media.extend(doc.other.map(|other| route.door.media(other)).into_iter().flatten());
        operation["requestBody"] = json!({ "required": true, "content": content(media) });
    }
    if route.needs == Needs::Nothing {
        // A handler that answers 401 by itself asks for name and password.
        let by_handler = doc.replies.iter().any(|told| told.status == 401);
        operation["security"] = if by_handler { json!([{ "basic": [] }]) } else { json!([]) };
    }
    operation
}

/// Returns who may ask a route, in sentences.
pub(super) fn who(route: &Route) -> String {
    let mut text = route.needs.sentence();
    if let Some(status) = route.doc.strangers {
        text += &format!(" A caller of another account gets {status}.");
    }
    if route.emulator {
        text += " Only an emulator has it.";
    }
    text
}

fn responses(route: &Route, shared: &mut Shared) -> Map<String, Value> {
    let mut responses = Map::new();
    for Told { status, meaning, body } in &route.doc.replies {
        let mut told = json!({ "description": meaning });
        if let Some(shape) = body {
            told["content"] = content(route.door.media(*shape));
        }
        responses.insert(status.to_string(), told);
    }
    if route.takes_key() && !route.api {
        for (status, meaning) in KEYS {
            responses.entry(status).or_insert_with(|| json!({ "description": meaning }));
        }
    }
    for (status, refusal) in refusals(route) {
        let code = status.as_str();
        if !responses.contains_key(code) {
            let part = refused(route, status, refusal);
            responses.insert(code.to_owned(), shared.response(&format!("Refused{code}"), part));
        }
    }
    responses
}

/// Returns the statuses with which the gate and the door may refuse a route's requests. Those without a refusal have no
/// body.
pub(super) fn refusals(route: &Route) -> Vec<(StatusCode, Option<Refusal>)> {
    let mut found = Vec::new();
    let takes_body = route.doc.request.is_some();
    // A telephone number that is none is wrong at the operations API, and at Bandwidth's there is nothing under it.
    let phone = |name| route.door.parameter(name).is_some_and(|told| told.form == Form::Phone);
    let number = !route.api && route.parameters().any(phone);
    if takes_body || number || route.takes_key() || !route.doc.query.is_empty() {
        found.push(Refusal::BadRequest("what is wrong".into()));
    }
    match route.needs {
        Needs::Nothing | Needs::Caller => {}
        Needs::Account(_) => found.push(Refusal::NotYourAccount("9900001".into())),
        Needs::Role(_) | Needs::Operator | Needs::Right(..) | Needs::Machine => found.push(Refusal::Denied),
    }
    if route.path.contains('{') || route.emulator {
        found.push(Refusal::NoResource);
    }
    if takes_body {
        let types = route.door.takes(None).wanted;
        found.extend([
            Refusal::BodyTimeout,
            Refusal::BodyTooLarge(super::gate::BODY_MAX),
            Refusal::ContentType(types),
        ]);
    }
    found.extend([Refusal::Failed, Refusal::Busy, Refusal::Timeout]);
    let silent = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
    let silent = silent.into_iter().filter(|_| route.needs != Needs::Nothing).map(|status| (status, None));
    let mut all: Vec<_> =
        found.into_iter().map(|refusal| (refusal.status(), Some(refusal))).chain(silent).collect();
    all.sort_by_key(|(status, _)| *status);
    all
}

/// Returns the response for a refusal, as the route's door words it.
fn refused(route: &Route, status: StatusCode, refusal: Option<Refusal>) -> Value {
    let meaning = status.canonical_reason().unwrap_or("Refused");
    let mut told = json!({ "description": format!("{meaning}.") });
    let Some(refusal) = refusal else { return told };
    let plain = route.door.refuse(refusal.clone());
    let as_json = route.door.made_json(route.door.refuse(refusal));
    let mut content = Map::new();
    for (kind, body) in [&plain, &as_json].into_iter().filter_map(|reply| reply.content()) {
        let kind = kind.split(';').next().unwrap_or(kind);
        content.insert(kind.to_owned(), json!({ "example": example(kind.ends_with("json"), body) }));
    }
    told["content"] = content.into();
    told
}

fn content(media: Vec<Media>) -> Value {
    let shown = media.into_iter().map(|media| {
        let mut shown = json!({ "example": example(media.is_json(), &media.example) });
        if let Ok(schema) = serde_json::from_str::<Value>(media.schema) {
            shown["schema"] = schema;
        }
        (media.bare_type().to_owned(), shown)
    });
    Value::Object(shown.collect())
}

fn example(is_json: bool, text: &str) -> Value {
    let parsed = is_json.then(|| serde_json::from_str(text).ok()).flatten();
    parsed.unwrap_or_else(|| text.into())
}
