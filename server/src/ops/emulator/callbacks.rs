//! Callbacks that were sent, and a receiver of the emulator's own.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use serde_json::json;

use super::control::{get, of, shown};
use crate::app::App;
use crate::emulator::callbacks::Told as Callback;
use crate::emulator::requests::{headers_of, shown as without_secrets};
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::door::{Door, Takes};
use crate::http::refusal::Refusal;
use crate::http::reply::{JSON, Reply};
use crate::http::route::{Needs, Route};
use crate::ops::door::{self, Ops, OpsProblem};
use crate::ops::listing::{PAGES, Page, value};

const PATH: &str = "/ops/v1/emulator/callbacks";
const RECEIVER: &str = "/ops/v1/emulator/receiver/{name}";

const FILTERS: [Parameter; 2] = [
    Parameter::new("order", Form::Uuid, "only callbacks about this order"),
    Parameter::new("receiver", Form::Text("http://127.0.0.1:3000/"), "only receivers whose URL begins so"),
];

/// The shape of the callbacks.
const CALLBACKS: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object", "properties": {
            "id": {"type": "string"}, "at": {"type": "string", "format": "date-time"},
            "receiver": {"type": "string"}, "order": {"type": ["string", "null"]}, "headers": {"type": "object"},
            "body": {"type": "string"}, "outcome": {"type": "string"}, "status": {"type": ["integer", "null"]},
            "fault": {"type": ["string", "null"]}}}},
        "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
const TAKEN: Shape = Shape::json(
    r#"{"type": "object", "required": ["received"], "properties": {"received": {"type": "boolean"}}}"#,
    r#"{"received": true}"#,
);
/// Anything that a callback may be.
const ANYTHING: Shape = Shape::of("application/xml; charset=utf-8", "<Notification/>");

pub(super) fn routes() -> Vec<Route> {
    let list_doc = Doc::new(
        "Lists the attempts to tell receivers, with headers and bodies, the newest first. What others sent to the \
         emulator's own receiver is in it, too.",
        Told::ok(CALLBACKS),
    )
    .query(&FILTERS)
    .query(&PAGES);
    let receive_doc = Doc::new(
        "Takes a callback, whatever it says. A subscription may name this path of the emulator itself.",
        Told::ok(TAKEN),
    )
    .takes(ANYTHING);
    let receiver = door::route(Method::POST, RECEIVER, Needs::Nothing, receive_doc, receive);
    vec![get(PATH, list_doc, list), Route { door: Arc::new(Receiver), ..receiver }]
}

/// The door of the receiver, which takes every usual type.
#[derive(Clone, Copy, Debug)]
struct Receiver;

impl Door for Receiver {
    fn takes(&self, prefix: Option<&'static str>) -> Takes {
        let types = &["application/xml", "text/xml", JSON, "text/plain", "application/x-www-form-urlencoded"];
        Takes { types, untyped_xml: true, ..Ops.takes(prefix) }
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        Ops.refuse(refusal)
    }

    fn parameter(&self, name: &str) -> Option<Parameter> {
        Ops.parameter(name)
    }
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let page = Page::read(&app, &call, "callbacks")?;
    let before = page.after.as_ref().and_then(|id| id.parse().ok());
    let order = value(&call, "order").map(str::to_ascii_lowercase);
    let receiver = value(&call, "receiver").map(str::to_owned);
    let fits = |told: &Callback| {
        order.as_ref().is_none_or(|order| told.order.as_ref() == Some(order))
            && receiver.as_ref().is_none_or(|receiver| told.receiver.starts_with(receiver.as_str()))
    };
    let mut found = of(&app)?.callbacks.find(before, page.limit.saturating_add(1), fits);
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|(id, _)| id.to_string());
    Ok(shown(&page.document(found.iter().map(|(id, told)| told.document(*id)).collect(), next)))
}

/// Takes a callback. The emulator's own are in the list already, as they were sent.
async fn receive(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let agent =
        call.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    if !agent.starts_with("onhook/") {
        of(&app)?.callbacks.keep(Callback {
            at: app.clock.now(),
            receiver: format!("{}{}", app.public_url, RECEIVER.replace("{name}", call.param("name"))),
            order: None,
            headers: headers_of(&call.headers),
            body: without_secrets(&call.body),
            outcome: "received".to_owned(),
            status: Some(200),
            fault: None,
        });
    }
    Ok(Reply::json(StatusCode::OK, &json!({ "received": true })))
}
