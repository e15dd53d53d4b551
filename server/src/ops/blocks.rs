//! Blocks of a thousand numbers: how they are used, and what an operator says of them.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::report::nruf::Block;
use onhook_store::contract::reports::Marking;
use serde::Deserialize;
use serde_json::json;

use super::body;
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, parsed, value};
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::reports::blocks::{self, Filter};

const LIST: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
const BLOCK: Shape = Shape::json(
    r#"{"type": "object", "required": ["block", "warnings"], "properties": {
        "block": {"type": "string"}, "rate_center": {"type": ["string", "null"]}, "assigned": {"type": "integer"},
        "intermediate": {"type": "integer"}, "reserved": {"type": "integer"}, "aging": {"type": "integer"},
        "administrative": {"type": "integer"}, "available": {"type": "integer"}, "not_held": {"type": "integer"},
        "ported_out": {"type": "integer"},
        "contamination_percent": {"type": "number"}, "in_service": {"type": "boolean"},
        "footprint": {"type": "boolean"}, "drain": {"type": "boolean"}, "candidate": {"type": "boolean"},
        "warnings": {"type": "array", "items": {"type": "object", "required": ["code", "block", "detail"],
            "properties": {"code": {"enum": ["several_footprints", "no_rate_center"]}, "block": {"type": "string"},
                "detail": {"type": "string"}}}}}}"#,
    r#"{"block": "540-555-0", "rate_center": "ROANOKE", "assigned": 2, "intermediate": 0, "reserved": 0, "aging": 1,
        "administrative": 0, "available": 50, "not_held": 947, "ported_out": 0, "contamination_percent": 0.3,
        "in_service": true, "footprint": true, "drain": false, "candidate": false, "warnings": [{
            "code": "several_footprints", "block": "540-555-0",
            "detail": "540-555-1 is kept for ROANOKE, too: one block of a rate center can be kept"}]}"#,
);
const MARKING: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "drain": {"type": "boolean"}, "footprint": {"type": "boolean"},
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}}}"#,
    r#"{"drain": false, "footprint": true, "reason": "the only one in this rate center"}"#,
);
const FILTERS: [Parameter; 3] = [
    Parameter::new("npa", Form::Text("540"), "only blocks of this area code"),
    Parameter::new("rate_center", Form::Text("ROANOKE"), "only blocks in this rate center"),
    Parameter::new("candidate", Form::Flag, "only blocks that are to be given back, or only others"),
];

pub(crate) fn routes() -> Vec<Route> {
    let list_doc = Doc::new("Lists blocks of numbers with their use now, by digits.", Told::ok(LIST))
        .query(&FILTERS)
        .query(&PAGES);
    let mark_doc = Doc::new(
        "Says whether a block is drained, and whether it is kept. What is left out is not so. A second block that is kept \
         for one rate center is named in the warnings.",
        Told::ok(BLOCK),
    )
    .takes(MARKING);
    vec![
        door::route(Method::GET, "/ops/v1/blocks", Needs::Operator, list_doc, list),
        door::route(Method::PUT, "/ops/v1/blocks/{block}", Needs::Operator, mark_doc, mark),
    ]
}

/// What is said of a block. It says all: what is left out is not so.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    drain: bool,
    #[serde(default)]
    footprint: bool,
    reason: Option<String>,
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let npa = parsed::<u16>(&call, "npa", "an area code, three digits")?;
    if npa.is_some_and(|npa| !(200..1_000).contains(&npa)) {
        return Err(OpsProblem::wrong("npa is an area code, three digits"));
    }
    let filter = Filter {
        npa,
        rate_center: value(&call, "rate_center").map(str::to_uppercase),
        candidate: parsed(&call, "candidate", "true or false")?,
    };
    let page = Page::read(&app, &call, "blocks")?;
    let after: Option<Block> = page.after.as_deref().and_then(|key| Block::from_digits(key.parse().ok()?));
    let settings = app.values().reports.clone();
    let when = (app.clock.now(), &settings);
    let (items, next) = blocks::list(&*app.store, &filter, after, page.limit, when).await?;
    let next = next.map(|block| block.digits().to_string());
    Ok(Reply::json(StatusCode::OK, &page.document(items, next)))
}

async fn mark(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let block: Block =
        call.param("block").parse().map_err(|error| OpsProblem::new(Code::BadValue, format!("{error}")))?;
    let Said { drain, footprint, reason } = body::read(&call)?;
    let author = body::author(&call, reason.as_deref())?;
    let now = app.believed_now().ok_or_else(body::clock)?;
    let settings = app.values().reports.clone();
    let when = (now, &settings);
    blocks::one(&*app.store, block, when).await?.ok_or(Refusal::NoResource)?;
    let said = Marking { drain: Some(drain), footprint: Some(footprint) };
    app.store.mark_block(block, said, author, now).await?;
    app.orders_bell.notify_one(); // an order may wait for a number of a block that was drained
    let mut shown = blocks::one(&*app.store, block, when).await?.ok_or(Refusal::NoResource)?;
    // It is looked for when the mark is written: of two at once, one at least sees the other.
    shown["warnings"] = json!(blocks::warnings(&*app.store, block, when).await?);
    Ok(Reply::json(StatusCode::OK, &shown))
}
