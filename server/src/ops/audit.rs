//! The seals over the events, and their export.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use onhook_core::audit::chain::Seal;
use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_store::audit::exported;
use serde_json::{Value, json};

use super::door::{self, OpsProblem};
use super::listing::parsed;
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

/// Most seals on a page.
const SEALS_MAX: usize = 1_000;

/// The type of an export.
const NDJSON: &str = "application/x-ndjson";

/// The form of a seal.
const SEAL: Shape = Shape::json(
    r#"{"type": "object", "required": ["batch", "first", "last", "sealed_at", "root", "previous", "hash"],
        "properties": {"batch": {"type": "string"}, "first": {"type": "string"}, "last": {"type": "string"},
        "sealed_at": {"type": "string", "format": "date-time"}, "root": {"type": "string"},
        "previous": {"type": "string"}, "hash": {"type": "string"}}}"#,
    r#"{"batch": "1", "first": "1", "last": "2", "sealed_at": "2026-11-24T03:49:04.153Z",
        "root": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "previous": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "hash": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"}"#,
);
/// The form of a page of seals.
const SEALS: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
/// The form of an export.
const EXPORT: Shape = Shape {
    content_type: NDJSON,
    schema: "",
    example: concat!(
        r#"{"event":{"position":"1","seq":"1","kind":"account_created"},"digest":"sha256:9d1c"}"#,
        "\n",
        r#"{"seal":{"batch":"1","first":"1","last":"1","hash":"sha256:6f2c"}}"#,
        "\n"
    ),
};

pub(crate) fn routes() -> Vec<Route> {
    let after_batch = [Parameter::new("after", Form::Text("0"), "only seals behind this one, by its batch")];
    let after = [Parameter::new("after", Form::Text("0"), "only seals that reach behind this position")];
    let head = Doc::new("Shows the last seal: an anchor, if it is noted elsewhere.", Told::ok(SEAL));
    let head = head.or(Told::new(404, "Nothing has been sealed yet."));
    let seals = Doc::new("Lists seals, in their order.", Told::ok(SEALS)).query(&after_batch);
    let export = Doc::new(
        "Exports sealed events with their digests, each batch followed by its seal, as lines of JSON.",
        Told::ok(EXPORT),
    )
    .query(&after);
    let (get, operator) = (Method::GET, Needs::Operator);
    vec![
        door::route(get.clone(), "/ops/v1/audit/head", operator, head, show_head),
        door::route(get.clone(), "/ops/v1/audit/seals", operator, seals, list),
        door::route(get, "/ops/v1/audit/export", operator, export, export_all),
    ]
}

async fn show_head(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    let none = || OpsProblem::new(Code::NotFound, "nothing has been sealed yet: events are within a second");
    let head = app.store.head().await?.ok_or_else(none)?;
    Ok(Reply::json(StatusCode::OK, &head.shown()))
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let after: u64 = parsed(&call, "after", "a seal's batch")?.unwrap_or(0);
    let mut seals = app.store.seals(after, SEALS_MAX + 1).await?;
    let more = seals.len() > SEALS_MAX;
    seals.truncate(SEALS_MAX);
    let next = seals.last().filter(|_| more).map(|seal| seal.batch.to_string());
    let items: Vec<Value> = seals.iter().map(Seal::shown).collect();
    Ok(Reply::json(StatusCode::OK, &json!({ "items": items, "next": next })))
}

/// Streams what is sealed when the export begins. Nothing is held meanwhile: each batch is read by itself.
async fn export_all(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let after: u64 = parsed(&call, "after", "a position")?.unwrap_or(0);
    let end = app.store.head().await?.map_or(0, |head| head.last);
    let deed = Deed::by(&call.doer(app.clock.now()), DeedKind::Exported).with("what", "events");
    let deed = deed.with("after", after.to_string()).with("until", end.to_string());
    app.store.write_deeds(vec![deed]).await?;
    let parts = futures_util::stream::unfold((app, after), move |(app, after)| async move {
        if after >= end || app.is_stopping() {
            return None;
        }
        match exported(&*app.store, after).await {
            Ok(Some((text, seal))) => Some((Ok(Bytes::from(text)), (app, seal.last))),
            Ok(None) => None,
            Err(error) => Some((Err(std::io::Error::other(error)), (app, end))), // which cuts the connection
        }
    });
    Ok(Reply::streamed(NDJSON, parts))
}
