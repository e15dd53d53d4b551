//! Orders of all kinds: listed, and one with what became of each number.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::ids::OrderId;
use onhook_store::contract::orders::OrderFilter;
use onhook_wire::ops::orders;
use serde_json::Value;

use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, parsed};
use super::numbers::paged;
use crate::app::App;
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
        "counts": {"type": "object"}, "outcomes": {"type": "array", "items": {"type": "object"}},
        "next": {"type": ["string", "null"]}}}"#,
    r#"{"id": "744f1d16-d3a5-43b3-ab97-4c3b19fc0b7a", "kind": "disconnect", "account": "9900000",
        "status": "COMPLETE", "waiting": null, "runs_at": null, "name": "training run", "customer_order_id": null,
        "mode": "normal", "protected": null, "created_at": "2026-11-24T03:49:04.152Z",
        "changed_at": "2026-11-24T03:49:04.153Z", "by": {"user": "username"}, "reason": null,
        "counts": {"numbers": 1, "went": 1, "failed": 0},
        "outcomes": [{"number": "+15405514342", "outcome": "went"}], "next": null}"#,
);

const FILTERS: [Parameter; 6] = [
    Parameter::new("account", Form::Text("9900000"), "only orders of this account"),
    Parameter::new("kind", Form::Word(&["disconnect", "number", "move"]), "only orders of this kind"),
    Parameter::new("status", Form::Text("COMPLETE"), "only orders in this status"),
    Parameter::new("user", Form::Text("username"), "only orders of this user"),
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
    vec![
        door::route(Method::GET, "/ops/v1/orders", Needs::Caller, list_doc, list),
        door::route(Method::GET, "/ops/v1/orders/{order}", Needs::Caller, show_doc, show),
    ]
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let named = parsed(&call, "account", "an account's id")?;
    if let (Some(own), Some(named)) = (call.caller.account, named)
        && own != named
    {
        return Err(Refusal::Denied.into());
    }
    let filter = OrderFilter {
        account: call.caller.account.or(named),
        kind: parsed(&call, "kind", "disconnect, number or move")?,
        status: parsed(&call, "status", "a status of orders")?,
        user: parsed(&call, "user", "a user's name")?,
        created_from: parsed(&call, "created_from", "an instant such as 2027-01-01T00:00:00.000Z")?,
        created_until: parsed(&call, "created_until", "an instant such as 2027-01-01T00:00:00.000Z")?,
    };
    let page = Page::read(&app, &call, "orders")?;
    let after: Option<OrderId> = page.after.as_deref().and_then(|key| key.parse().ok());
    let (found, next) = app.store.find_orders(filter, after, page.limit).await?;
    let items = found.iter().map(orders::order).collect();
    Ok(Reply::json(StatusCode::OK, &page.document(items, next.map(|id| id.to_string()))))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let nothing = || OpsProblem::from(Refusal::NoResource);
    let id: OrderId = call.param("order").parse().map_err(|_| nothing())?;
    let page = Page::read(&app, &call, &format!("outcomes of {id}"))?;
    let order = app.store.order_by_id(id).await?.ok_or_else(nothing)?;
    if call.caller.account.is_some_and(|own| own != order.account) {
        return Err(nothing());
    }
    let outcomes = orders::outcomes(&order).into_iter();
    let outcomes = outcomes.map(|(number, shown)| (number.to_string(), shown)).collect();
    let mut shown = orders::order(&order);
    if let Value::Object(page) = paged(&page, outcomes) {
        shown["outcomes"] = page.get("items").cloned().unwrap_or_default();
        shown["next"] = page.get("next").cloned().unwrap_or_default();
    }
    Ok(Reply::json(StatusCode::OK, &shown))
}
