//! Where a call to a number goes, and who pays for it: what a switch asks for each call.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::account::Role;
use onhook_core::account::user::Right;
use onhook_core::report::calls::{Routing, routing};
use onhook_core::time::Timestamp;
use onhook_wire::ops::calls::call as shown;
use onhook_wire::ops::records::number_of;

use super::door::{self, OpsProblem};
use super::listing::parsed;
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

/// The form of the answer.
const CALL: Shape = Shape::json(
    r#"{"type": "object", "required": ["number", "at", "state", "treatment", "deliver", "sip_code", "q850_cause",
        "chargeable", "why"], "properties": {
        "number": {"type": "string"}, "at": {"type": "string", "format": "date-time"},
        "state": {"type": ["string", "null"]}, "treatment": {"enum": ["deliver", "vacant"]},
        "deliver": {"type": ["object", "null"]}, "sip_code": {"type": ["integer", "null"]},
        "q850_cause": {"type": ["integer", "null"]}, "chargeable": {"type": ["object", "null"]},
        "why": {"type": "string"}}}"#,
    r#"{"number": "+15405514342", "at": "2026-11-24T03:49:04.153Z", "state": "Aging", "treatment": "vacant",
        "deliver": null, "sip_code": 404, "q850_cause": 1, "chargeable": null,
        "why": "it ages since 2026-11-24T03:49:04.153Z: calls to it are charged to nobody"}"#,
);

pub(crate) fn routes() -> Vec<Route> {
    const AT: Parameter = Parameter::new(
        "at",
        Form::Text("2026-11-24T03:49:04.153Z"),
        "the instant of the call, now if it is not there",
    );
    let summary = "Says where a call to a number goes, and who pays for it. The number may have each form of call records.";
    let doc = Doc::new(summary, Told::ok(CALL))
        .query(&[AT])
        .or(Told::new(422, "The instant lies ahead."))
        .strangers(200);
    // A switch asks for each call. Its connections bound how often, as each answers one question at a time.
    vec![
        door::route(Method::GET, "/ops/v1/calls/{number}", Needs::Caller, doc, route)
            .uncounted_with(Right::Calls),
    ]
}

async fn route(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let bad =
        || OpsProblem::new(Code::BadNumber, "no telephone number: write it as +15405550100 or 5405550100");
    let number = number_of(call.param("number")).ok_or_else(bad)?;
    let now = app.clock.now();
    let at: Timestamp = parsed(&call, "at", "an instant such as 2026-11-24T03:49:04.153Z")?.unwrap_or(now);
    if at > now {
        return Err(OpsProblem::new(Code::AtInFuture, format!("{at} lies ahead: it is {now}")));
    }
    // Who has the right asks of any number, as an operator does.
    let any = call.caller.has(Right::Calls);
    let (account, role) = if any { (None, Role::Operator) } else { (call.caller.account, call.caller.role) };
    let routing = match app.store.history(number).await? {
        Some(life) => {
            routing(&life.history, at, account, role).map_err(|_| OpsProblem::from(Refusal::Failed))?
        }
        None => Routing::unknown(),
    };
    Ok(Reply::json(StatusCode::OK, &shown(number, at, &routing, app.values().calls_aging)))
}
