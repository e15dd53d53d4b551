//! Orders of all kinds: listed, shown with what became of each number, and undone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use http::{Method, StatusCode, header};
use onhook_core::account::Role;
use onhook_core::ids::{OrderId, PlanId};
use onhook_core::order::act::Refused;
use onhook_core::order::{Order, Status, Waiting};
use onhook_store::contract::acts::{Plan, Tally, Undone};
use onhook_store::contract::orders::OrderFilter;
use onhook_wire::ops::{acts, orders};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, parsed, value};
use super::numbers::paged;
use super::problem::Code;
use crate::app::App;
use crate::http::auth::Caller;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

const LIST: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
const ORDER: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "kind", "status", "outcomes", "next"], "properties": {
        "id": {"type": "string"}, "kind": {"type": "string"}, "account": {"type": "string"},
        "status": {"type": "string"}, "waiting": {"type": ["string", "null"]},
        "runs_at": {"type": ["string", "null"]}, "name": {"type": ["string", "null"]},
        "customer_order_id": {"type": ["string", "null"]}, "mode": {"type": ["string", "null"]},
        "protected": {"type": ["string", "null"]}, "created_at": {"type": "string"},
        "changed_at": {"type": "string"}, "by": {"type": "object"}, "reason": {"type": ["string", "null"]},
        "plan": {"type": ["string", "null"]}, "undo_of": {"type": ["string", "null"]},
        "undone_by": {"type": "array", "items": {"type": "string"}}, "counts": {"type": "object"}, "outcomes": {"type": "array", "items": {"type": "object"}},
        "next": {"type": ["string", "null"]}}}"#,
    r#"{"id": "744f1d16-d3a5-43b3-ab97-4c3b19fc0b7a", "kind": "disconnect", "account": "9900000",
        "status": "COMPLETE", "waiting": null, "runs_at": null, "name": "training run", "customer_order_id": null,
        "mode": "normal", "protected": null, "created_at": "2026-11-24T03:49:04.152Z",
        "changed_at": "2026-11-24T03:49:04.153Z", "by": {"user": "username", "credential": "basic", "address": "127.0.0.1"}, "reason": null,
        "plan": null, "undo_of": null, "undone_by": [], "counts": {"numbers": 1, "went": 1, "failed": 0},
        "outcomes": [{"number": "+15405514342", "outcome": "went"}], "next": null}"#,
);

/// The form of a body that asks to undo an order.
const UNDO: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}, "partial": {"type": "boolean"}}}"#,
    r#"{"reason": "the wrong site was disconnected", "partial": false}"#,
);
/// The form of what came of undoing.
const UNDONE: Shape = Shape::json(
    r#"{"type": "object", "required": ["plan", "order", "went", "refused"], "properties": {
        "plan": {"type": "string"}, "order": {"type": "object"}, "went": {"type": "integer"},
        "refused": {"type": "array", "items": {"type": "object"}}}}"#,
    r#"{"plan": "1f6c3a52-7a3e-4c1b-9d2e-0c5b8f1e2a77", "order": {"id": "6d7da966-e071-4741-b31c-1d8932f4b8da", "status": "COMPLETE"}, "went": 2, "refused": []}"#,
);
/// A refusal to undo an order.
const NOT_UNDONE: Told =
    Told::new(409, "It cannot be undone, or not whole, or there is nothing left to undo. Nothing was done.");

const FILTERS: [Parameter; 8] = [
    Parameter::new("account", Form::Text("9900000"), "only orders of this account"),
    Parameter::new("kind", Form::Word(&["disconnect", "number", "move"]), "only orders of this kind"),
    Parameter::new("status", Form::Text("COMPLETE"), "only orders in this status"),
    Parameter::new(
        "waiting",
        Form::Word(&["run", "numbers"]),
        "only orders that wait for their turn, or for numbers",
    ),
    Parameter::new("user", Form::Text("username"), "only orders of this user"),
    Parameter::new("plan", Form::Uuid, "only the order of this plan"),
    Parameter::new(
        "created_from",
        Form::Text("2026-11-01T00:00:00.000Z"),
        "only orders that arrived then or later",
    ),
    Parameter::new(
        "created_until",
        Form::Text("2026-12-01T00:00:00.000Z"),
        "only orders that arrived before",
    ),
];

pub(crate) fn routes() -> Vec<Route> {
    let list_doc = Doc::new("Lists orders, the newest first.", Told::ok(LIST)).query(&FILTERS).query(&PAGES);
    let show_doc = Doc::new("Shows an order, with what became of each of its numbers.", Told::ok(ORDER))
        .query(&PAGES)
        .strangers(404);
    let undo_doc = Doc::new(
        "Undoes a disconnect order: each number goes back where it was, by an order that has ended with the reply.",
        Told::made(UNDONE),
    )
    .takes(UNDO)
    .or(NOT_UNDONE)
    .strangers(404);
    let orderer = Needs::Role(Role::Order);
    vec![
        door::route(Method::GET, "/ops/v1/orders", Needs::Caller, list_doc, list),
        door::route(Method::GET, "/ops/v1/orders/{order}", Needs::Caller, show_doc, show),
        door::route(Method::POST, "/ops/v1/orders/{order}/undo", orderer, undo_doc, undo),
    ]
}

/// Returns the order in the path, if its caller may see it.
async fn order_of(app: &App, call: &Call) -> Result<Order, OpsProblem> {
    let nothing = || OpsProblem::from(Refusal::NoResource);
    let id: OrderId = call.param("order").parse().map_err(|_| nothing())?;
    let order = app.store.order_by_id(id).await?.ok_or_else(nothing)?;
    if call.caller.account.is_some_and(|own| own != order.account) { Err(nothing()) } else { Ok(order) }
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let account = body::account(&call.caller, "account", value(&call, "account"))?;
    let waiting: Option<Waiting> = parsed(&call, "waiting", "run or numbers")?;
    let status: Option<Status> = parsed(&call, "status", "a status of orders")?;
    let filter = OrderFilter {
        account,
        kind: parsed(&call, "kind", "disconnect, number or move")?,
        status: status.or(waiting.map(Waiting::status)),
        user: parsed(&call, "user", "a user's name")?,
        plan: parsed(&call, "plan", "a plan's id")?,
        created_from: parsed(&call, "created_from", "an instant such as 2027-01-01T00:00:00.000Z")?,
        created_until: parsed(&call, "created_until", "an instant such as 2027-01-01T00:00:00.000Z")?,
    };
    let page = Page::read(&app, &call, "orders")?;
    if status.zip(waiting).is_some_and(|(status, waiting)| status != waiting.status()) {
        return Ok(Reply::json(StatusCode::OK, &page.document(Vec::new(), None)));
    }
    let after: Option<OrderId> = page.after.as_deref().and_then(|key| key.parse().ok());
    let (found, next) = app.store.find_orders(filter, after, page.limit).await?;
    let ids = found.iter().map(|order| order.id).collect();
    let undone = app.store.undone_by(ids).await?;
    let items = found.iter().map(|order| shown(order, &undone, &call.caller)).collect();
    Ok(Reply::json(StatusCode::OK, &page.document(items, next.map(|id| id.to_string()))))
}

/// Returns an order as its caller sees it, without its numbers.
fn shown(order: &Order, undone: &HashMap<OrderId, Vec<OrderId>>, caller: &Caller) -> Value {
    let by = undone.get(&order.id).map_or(&[][..], Vec::as_slice);
    orders::order(order, by, caller.role == Role::Operator || *caller.user == *order.user)
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let order = order_of(&app, &call).await?;
    let page = Page::read(&app, &call, &format!("outcomes of {}", order.id))?;
    let outcomes = orders::outcomes(&order).into_iter();
    let outcomes = outcomes.map(|(number, shown)| (number.to_string(), shown)).collect();
    let undone = app.store.undone_by(vec![order.id]).await?;
    let mut shown = shown(&order, &undone, &call.caller);
    if let Value::Object(page) = paged(&page, outcomes) {
        shown["outcomes"] = page.get("items").cloned().unwrap_or_default();
        shown["next"] = page.get("next").cloned().unwrap_or_default();
    }
    Ok(Reply::json(StatusCode::OK, &shown))
}

/// What is asked of an order that is to be undone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Undo {
    reason: Option<String>,
    #[serde(default)]
    partial: bool,
}

async fn undo(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Undo { reason, partial } = body::read(&call)?;
    let author = body::author(&call, reason.as_deref())?;
    let id = order_of(&app, &call).await?.id;
    let now = app.believed_now().ok_or_else(body::clock)?;
    let once = call.once(now, |done: &Undone| match done {
        Undone::Done { plan, order, kept } => Some(undone(*kept, plan, order)),
        _ => None,
    });
    match app.store.undo(id, partial, author, once, now, app.settings.policy.clone()).await? {
        Undone::Done { plan, order, kept } => {
            app.deliveries_bell.notify_one();
            metrics::counter!("onhook_orders_ended_total", "status" => order.status.word()).increment(1);
            Ok(undone(kept, &plan, &order))
        }
        Undone::Incomplete(plan) => {
            let Tally { named, refused, .. } = plan.counts;
            let detail = format!("{refused} of {named} numbers cannot come back");
            Err(not_undone(Code::UndoIncomplete, detail, plan.counts, &plan.refused)
                .with("plan", json!(plan.id.to_string()))
                .with("hash", json!(plan.hash)))
        }
        Undone::Nothing(plan) => {
            let detail = "no number of the order can come back".into();
            Err(not_undone(Code::NothingToDo, detail, plan.counts, &plan.refused))
        }
        Undone::TooMany => Err(body::too_many()),
        Undone::NotUndoable => {
            let detail = "it is no disconnect order that has ended with numbers, or it purged them";
            Err(OpsProblem::new(Code::NotUndoable, detail))
        }
    }
}

/// Returns the reply to an undo that was done, by this order.
fn undone(kept: PlanId, plan: &Plan, order: &Order) -> Reply {
    let reply = Reply::json(StatusCode::CREATED, &acts::undone(kept, order, &plan.refused));
    reply.with(header::LOCATION, &format!("/ops/v1/orders/{}", order.id))
}

/// Returns why an order is not undone, with how many numbers go and do not go.
fn not_undone(code: Code, detail: String, counts: Tally, refused: &BTreeMap<Refused, usize>) -> OpsProblem {
    OpsProblem::new(code, detail).with("counts", json!(counts)).with("refused", acts::refusals(refused))
}
