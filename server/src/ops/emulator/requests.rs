//! The log of requests to Bandwidth's API.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::ids::AccountId;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use serde_json::json;

use super::control::{delete, get, of, shown};
use crate::app::App;
use crate::emulator::faults::is_path;
use crate::emulator::requests::Entry;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::Route;
use crate::ops::door::OpsProblem;
use crate::ops::listing::{PAGES, Page, parsed, value};

const PATH: &str = "/ops/v1/emulator/requests";

/// The filters.
const FILTERS: [Parameter; 8] = [
    Parameter::new("method", Form::Text("POST"), "only requests with this method"),
    Parameter::new("path", Form::Text("/no/such/path"), "only this path without prefix, with `*` for a part"),
    Parameter::new("status", Form::Whole(100, 599), "only requests that were answered with this status"),
    Parameter::new("account", Form::Text("9900000"), "only requests with this account in their path"),
    Parameter::new("number", Form::Phone, "only requests that name this number"),
    Parameter::new(
        "contains",
        Form::Text("COMPLETE"),
        "only requests with this text in a body or in the path",
    ),
    Parameter::new("order", Form::Uuid, "only requests that made this order or asked for it"),
    Parameter::new("since", Form::Text("2027-01-01T00:00:00.000Z"), "only requests from this instant on"),
];

/// The shape of the log.
const LOG: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object", "properties": {
            "id": {"type": "string"}, "at": {"type": "string", "format": "date-time"},
            "took_ms": {"type": "integer"}, "method": {"type": "string"}, "path": {"type": "string"},
            "route": {"type": ["string", "null"]}, "user": {"type": ["string", "null"]},
            "status": {"type": "integer"}, "request": {"type": "object"}, "reply": {"type": "object"},
            "order": {"type": ["string", "null"]}, "fault": {"type": ["string", "null"]}}}},
        "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
const COUNT: Shape = Shape::json(
    r#"{"type": "object", "required": ["count"], "properties": {"count": {"type": "integer"}}}"#,
    r#"{"count": 1}"#,
);

pub(super) fn routes() -> Vec<Route> {
    let list_doc = Doc::new(
        "Lists the last requests to the Phone Number API with their replies, the newest first. Passwords and secrets are \
         not in it.",
        Told::ok(LOG),
    )
    .query(&FILTERS)
    .query(&PAGES);
    let count_doc =
        Doc::new("Counts the last requests to the Phone Number API.", Told::ok(COUNT)).query(&FILTERS);
    let clear_doc = Doc::new("Forgets the requests so far.", Told::GONE);
    vec![
        get(PATH, list_doc, list),
        get("/ops/v1/emulator/requests/count", count_doc, count),
        delete(PATH, clear_doc, clear),
    ]
}

/// Which requests are meant.
struct Meant {
    method: Option<String>,
    path: Option<String>,
    status: Option<u16>,
    account: Option<AccountId>,
    number: Option<Number>,
    contains: Option<String>,
    order: Option<String>,
    since: Option<Timestamp>,
}

impl Meant {
    fn read(call: &Call) -> Result<Self, OpsProblem> {
        let text = |name| value(call, name).map(str::to_owned);
        Ok(Self {
            method: text("method"),
            path: text("path"),
            status: parsed(call, "status", "a status such as 503")?,
            account: parsed(call, "account", "an account's id, digits such as 9900000")?,
            number: parsed(call, "number", "a telephone number")?,
            contains: text("contains"),
            order: text("order").map(|order| order.to_ascii_lowercase()),
            since: parsed(call, "since", "an instant such as 2027-01-01T00:00:00.000Z")?,
        })
    }

    fn fits(&self, entry: &Entry) -> bool {
        let Self { method, path, status, account, number, contains, order, since } = self;
        let inside = |text: &String| {
            [&entry.request.1, &entry.reply.1, &entry.path].iter().any(|part| part.contains(text.as_str()))
        };
        method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&entry.method))
            && path.as_ref().is_none_or(|path| is_path(path, &entry.inside))
            && status.is_none_or(|status| status == entry.status)
            && account.is_none_or(|account| entry.account == Some(account))
            && number.is_none_or(|number| entry.numbers.contains(&number))
            && contains.as_ref().is_none_or(inside)
            && order.as_ref().is_none_or(|order| entry.order.as_ref() == Some(order))
            && since.is_none_or(|since| entry.at >= since)
    }
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let (meant, page) = (Meant::read(&call)?, Page::read(&app, &call, "requests")?);
    let before = page.after.as_ref().and_then(|id| id.parse().ok());
    let mut found = of(&app)?.requests.find(before, page.limit.saturating_add(1), |entry| meant.fits(entry));
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|entry| entry.id.to_string());
    Ok(shown(&page.document(found.iter().map(Entry::document).collect(), next)))
}

async fn count(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let meant = Meant::read(&call)?;
    Ok(shown(&json!({ "count": of(&app)?.requests.count(|entry| meant.fits(entry)) })))
}

async fn clear(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    of(&app)?.requests.clear();
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
