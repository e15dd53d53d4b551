//! Backups: copies of the data folder that are made while the server runs.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::job::{Kind, State};
use onhook_store::contract::jobs::Job;
use serde::Deserialize;
use serde_json::{Value, json};

use super::door::{self, OpsProblem};
use super::jobs::{self, LIST, TOO_MANY};
use super::listing::PAGES;
use super::{body, checks};
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

/// Most characters of a backup's name.
const NAME_MAX: usize = 64;

/// The form of what is asked.
const ASKED: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 64},
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}}}"#,
    r#"{"name": "nightly", "reason": "each night"}"#,
);
/// The form of a backup.
const BACKUP: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "state", "path", "bytes", "sha256", "position"], "properties": {
        "id": {"type": "string"}, "state": {"type": "string", "enum": ["waiting", "running", "done", "failed"]},
        "made_at": {"type": "string"}, "ended_at": {"type": ["string", "null"]}, "by": {"type": "object"},
        "reason": {"type": ["string", "null"]}, "name": {"type": "string"}, "path": {"type": ["string", "null"]},
        "bytes": {"type": ["integer", "null"]}, "sha256": {"type": ["string", "null"]},
        "position": {"type": ["string", "null"]}, "why": {"type": ["string", "null"]}}}"#,
    r#"{"id": "1", "state": "waiting", "made_at": "2026-11-24T03:49:04.152Z", "ended_at": null,
        "by": {"user": "operator", "credential": "basic", "address": "127.0.0.1"}, "reason": "each night",
        "name": "nightly", "path": null, "bytes": null, "sha256": null, "position": null, "why": null}"#,
);
/// The refusal of a store in a database, or of one job too many.
const NOT_HERE: Told = Told::new(
    409,
    "The store is in a database, which has tools of its own; or too many wait. Nothing was done.",
);

pub(crate) fn routes() -> Vec<Route> {
    let make_doc =
        Doc::new("Begins a backup of the data folder, while the server runs.", jobs::taken(BACKUP))
            .takes(ASKED)
            .or(NOT_HERE);
    let list_doc = Doc::new("Lists backups, the newest first.", Told::ok(LIST)).query(&PAGES);
    let show_doc = Doc::new("Shows a backup.", Told::ok(BACKUP));
    let verify_doc = Doc::new("Begins a deep check of a backup.", jobs::taken(checks::CHECK)).or(TOO_MANY);
    let operator = Needs::Operator;
    vec![
        door::route(Method::POST, "/ops/v1/backups", operator, make_doc, make),
        door::route(Method::GET, "/ops/v1/backups", operator, list_doc, list),
        door::route(Method::GET, "/ops/v1/backups/{backup}", operator, show_doc, show_one),
        door::route(Method::POST, "/ops/v1/backups/{backup}/verify", operator, verify_doc, verify),
    ]
}

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: Option<String>,
    reason: Option<String>,
}

fn shown(job: &Job) -> Value {
    let mut shown = jobs::common(job);
    shown["name"] = job.asked["name"].clone();
    for key in ["path", "bytes", "sha256", "position", "why"] {
        shown[key] = job.found[key].clone();
    }
    shown
}

async fn make(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Asked { name, reason } = body::read(&call)?;
    let author = body::author(&call, reason.as_deref())?;
    let name = name.unwrap_or_else(|| "backup".to_owned());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
        let detail = format!("name is 1 to {NAME_MAX} letters, digits, hyphens and underscores");
        return Err(body::wrong("/name", detail));
    }
    if app.store.folder().is_none() {
        return Err(jobs::use_the_database());
    }
    jobs::take(&app, &call, Kind::Backup, author, json!({ "name": name }), shown).await
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    jobs::list(&app, &call, Kind::Backup, shown).await
}

async fn show_one(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let job = jobs::job_of(&app, &call, Kind::Backup, "backup").await?;
    Ok(Reply::json(StatusCode::OK, &shown(&job)))
}

async fn verify(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let job = jobs::job_of(&app, &call, Kind::Backup, "backup").await?;
    if job.state != State::Done {
        return Err(OpsProblem::wrong("the backup is not done: there is nothing to verify"));
    }
    let asked = json!({ "deep": true, "backup": job.id.0.to_string() });
    jobs::take(&app, &call, Kind::Check, call.author(), asked, checks::shown).await
}
