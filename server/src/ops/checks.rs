//! Checks: the proof that what is stored is right, while the server runs.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::job::Kind;
use onhook_store::contract::jobs::Job;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use super::door::{self, OpsProblem};
use super::jobs::{self, LIST, TOO_MANY};
use super::listing::{PAGES, Page};
use super::numbers::paged;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

/// The form of what is asked.
const ASKED: Shape = Shape::json(
    r#"{"type": "object", "additionalProperties": false, "properties": {"deep": {"type": "boolean"}}}"#,
    r#"{"deep": true}"#,
);
/// The form of a check.
pub(super) const CHECK: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "state"], "properties": {
        "id": {"type": "string"}, "state": {"type": "string", "enum": ["waiting", "running", "done", "failed"]},
        "made_at": {"type": "string"}, "ended_at": {"type": ["string", "null"]}, "by": {"type": "object"},
        "reason": {"type": ["string", "null"]}, "deep": {"type": "boolean"},
        "backup": {"type": ["string", "null"]}, "done": {"type": "integer"}, "total": {"type": "integer"},
        "numbers": {"type": ["integer", "null"]}, "events": {"type": ["integer", "null"]},
        "orders": {"type": ["integer", "null"]}, "found": {"type": ["integer", "null"]},
        "why": {"type": ["string", "null"]}}}"#,
    r#"{"id": "1", "state": "waiting", "made_at": "2026-11-24T03:49:04.152Z", "ended_at": null,
        "by": {"user": "operator", "credential": "basic", "address": "127.0.0.1"}, "reason": null, "deep": true,
        "backup": null, "done": 0, "total": 0, "numbers": null, "events": null, "orders": null, "found": null,
        "why": null}"#,
);
/// The form of a check with its findings.
const WHOLE: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "state", "findings", "next"], "properties": {
        "id": {"type": "string"}, "state": {"type": "string"}, "made_at": {"type": "string"},
        "ended_at": {"type": ["string", "null"]}, "by": {"type": "object"}, "reason": {"type": ["string", "null"]},
        "deep": {"type": "boolean"}, "backup": {"type": ["string", "null"]}, "done": {"type": "integer"},
        "total": {"type": "integer"}, "numbers": {"type": ["integer", "null"]},
        "events": {"type": ["integer", "null"]}, "orders": {"type": ["integer", "null"]},
        "found": {"type": ["integer", "null"]}, "why": {"type": ["string", "null"]},
        "findings": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"id": "1", "state": "done", "made_at": "2026-11-24T03:49:04.152Z", "ended_at": "2026-11-24T03:49:05.153Z",
        "by": {"user": "operator", "credential": "basic", "address": "127.0.0.1"}, "reason": null, "deep": true,
        "backup": null, "done": 302, "total": 302, "numbers": 302, "events": 1, "orders": 0, "found": 0, "why": null,
        "findings": [], "next": null}"#,
);

pub(crate) fn routes() -> Vec<Route> {
    let make_doc = Doc::new("Begins a check of what is stored, while the server runs.", jobs::taken(CHECK))
        .takes(ASKED)
        .or(TOO_MANY);
    let list_doc = Doc::new("Lists checks, the newest first.", Told::ok(LIST)).query(&PAGES);
    let show_doc = Doc::new("Shows a check, with what it found.", Told::ok(WHOLE)).query(&PAGES);
    let operator = Needs::Operator;
    vec![
        door::route(Method::POST, "/ops/v1/checks", operator, make_doc, make),
        door::route(Method::GET, "/ops/v1/checks", operator, list_doc, list),
        door::route(Method::GET, "/ops/v1/checks/{check}", operator, show_doc, show),
    ]
}

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    deep: bool,
}

/// Returns what is shown of a check, without its findings.
pub(super) fn shown(job: &Job) -> Value {
    let mut shown = jobs::common(job);
    let found = &job.found;
    shown["deep"] = json!(job.asked["deep"].as_bool().unwrap_or(false));
    shown["backup"] = job.asked["backup"].clone();
    for key in ["done", "total"] {
        shown[key] = json!(found[key].as_u64().unwrap_or(0));
    }
    for key in ["numbers", "events", "orders", "why"] {
        shown[key] = found[key].clone();
    }
    shown["found"] = json!(found["findings"].as_array().map(Vec::len));
    shown
}

async fn make(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Asked { deep } = body::read(&call)?;
    let asked = json!({ "deep": deep, "backup": null });
    jobs::take(&app, &call, Kind::Check, call.author(), asked, shown).await
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    jobs::list(&app, &call, Kind::Check, shown).await
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let job = jobs::job_of(&app, &call, Kind::Check, "check").await?;
    let page = Page::read(&app, &call, &format!("findings of {}", job.id.0))?;
    let findings = job.found["findings"].as_array().cloned().unwrap_or_default();
    let findings = findings.into_iter().enumerate().map(|(index, finding)| (index.to_string(), finding));
    let mut whole = shown(&job);
    if let Value::Object(page) = paged(&page, findings.collect()) {
        for (key, value) in page {
            whole[if key == "items" { "findings" } else { "next" }] = value;
        }
    }
    Ok(Reply::json(StatusCode::OK, &whole))
}
