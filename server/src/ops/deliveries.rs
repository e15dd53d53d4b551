//! Deliveries to subscribers: found, shown with their attempts, and made again.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use onhook_core::account::Role;
use onhook_core::ids::NotificationSeq;
use onhook_store::contract::deliveries::{DeliveryFilter, Replayed, Sending, SendingInFull};
use onhook_wire::ops::deliveries::{self, Shown};
use serde_json::{Value, json};

use super::body::{self, Why};
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, parsed, value};
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

/// What a list has of each delivery.
const LISTED: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "message_id", "account", "state"], "properties": {
        "id": {"type": "string"}, "message_id": {"type": "string"}, "account": {"type": "string"},
        "about": {"enum": ["status", "note"]}, "order": {"type": "string"}, "order_status": {"type": "string"},
        "at": {"type": "string"}, "receiver": {"type": ["string", "null"]},
        "state": {"enum": ["WAITING", "DELIVERED", "GIVEN_UP"]}, "reason": {"type": ["string", "null"]},
        "next_attempt_at": {"type": ["string", "null"]}, "replay_of": {"type": ["string", "null"]}}}"#,
    r#"{"id": "2", "message_id": "6d7da966-e071-4741-b31c-1d8932f4b8da", "account": "9900000", "about": "status",
        "order": "744f1d16-d3a5-43b3-ab97-4c3b19fc0b7a", "order_status": "COMPLETE",
        "at": "2026-11-24T03:49:04.153Z", "receiver": "https://example.net/told", "state": "WAITING",
        "reason": null, "next_attempt_at": "2026-11-24T04:49:04.153Z", "replay_of": "1"}"#,
);
/// The form of a delivery.
const ONE: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "message_id", "account", "state", "attempts", "body"], "properties": {
        "id": {"type": "string"}, "message_id": {"type": "string"}, "account": {"type": "string"},
        "about": {"enum": ["status", "note"]}, "order": {"type": "string"}, "order_status": {"type": "string"},
        "at": {"type": "string"}, "receiver": {"type": ["string", "null"]},
        "state": {"enum": ["WAITING", "DELIVERED", "GIVEN_UP"]}, "reason": {"type": ["string", "null"]},
        "next_attempt_at": {"type": ["string", "null"]}, "replay_of": {"type": ["string", "null"]},
        "attempts": {"type": "array", "items": {"type": "object"}}, "body": {"type": ["string", "null"]}}}"#,
    r#"{"id": "1", "message_id": "6d7da966-e071-4741-b31c-1d8932f4b8da", "account": "9900000", "about": "status",
        "order": "744f1d16-d3a5-43b3-ab97-4c3b19fc0b7a", "order_status": "COMPLETE",
        "at": "2026-11-24T03:49:04.153Z", "receiver": "https://example.net/told", "state": "GIVEN_UP",
        "reason": "http 500", "next_attempt_at": null, "replay_of": null,
        "attempts": [{"at": "2026-11-24T03:49:04.160Z", "took_ms": 12, "outcome": "http 500"}],
        "body": "<Notification>…</Notification>"}"#,
);
const FILTERS: [Parameter; 5] = [
    Parameter::new("account", Form::Text("9900000"), "only those of this account's subscriptions"),
    Parameter::new("state", Form::Word(&["WAITING", "DELIVERED", "GIVEN_UP"]), "only those in this state"),
    Parameter::new("order", Form::Uuid, "only those about this order"),
    Parameter::new("about", Form::Word(&["status", "note"]), "only those about this"),
    Parameter::new(
        "receiver",
        Form::Text("https://example.net/"),
        "only those to a URL that begins so, or to this mailbox",
    ),
];
/// A refusal to deliver again.
const NO_RECEIVER: Told =
    Told::new(409, "The subscription was removed, or its receiver is gone for good. Nothing was done.");

pub(crate) fn routes() -> Vec<Route> {
    let list_doc = Doc::new("Lists deliveries to subscribers, the newest first.", Told::ok(body::LIST))
        .query(&FILTERS)
        .query(&PAGES);
    let show_doc =
        Doc::new("Shows a delivery, with its attempts and what is sent.", Told::ok(ONE)).strangers(404);
    let replay_doc = Doc::new(
        "Delivers again what was delivered or given up, under the same message id: receivers that have seen it pass over \
         it. What still waits is only due now: 200, and nothing new is made.",
        Told::made(LISTED),
    )
    .takes(body::WHY)
    .or(NO_RECEIVER)
    .strangers(404);
    vec![
        door::route(Method::GET, "/ops/v1/deliveries", Needs::Caller, list_doc, list),
        door::route(Method::GET, "/ops/v1/deliveries/{delivery}", Needs::Caller, show_doc, show),
        door::route(
            Method::POST,
            "/ops/v1/deliveries/{delivery}/replay",
            Needs::Role(Role::Admin),
            replay_doc,
            replay,
        ),
    ]
}

fn shown(sending: &Sending) -> Value {
    let Sending { seq, account, receiver, replay_of, delivery, .. } = sending;
    deliveries::delivery(&Shown {
        seq: *seq,
        message: delivery.id,
        account: *account,
        note: delivery.note,
        order: delivery.order,
        status: delivery.status,
        at: delivery.at,
        receiver: receiver.as_deref(),
        state: delivery.standing,
        reason: delivery.reason.as_deref(),
        due_at: delivery.due_at,
        replay_of: *replay_of,
    })
}

/// Reads the delivery in a path. One that cannot be is as one that is not there.
fn seq_of(call: &Call) -> Result<NotificationSeq, OpsProblem> {
    call.param("delivery").parse().map(NotificationSeq).map_err(|_| Refusal::NoResource.into())
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let filter = DeliveryFilter {
        account: body::account(&call.caller, "account", value(&call, "account"))?,
        standing: parsed(&call, "state", "WAITING, DELIVERED or GIVEN_UP")?,
        order: parsed(&call, "order", "an order's id")?,
        note: match value(&call, "about") {
            None => None,
            Some(word) if word == deliveries::about(true) => Some(true),
            Some(word) if word == deliveries::about(false) => Some(false),
            Some(_) => return Err(body::wrong("about", "about is status or note".into())),
        },
        receiver: value(&call, "receiver").map(str::to_owned),
    };
    let page = Page::read(&app, &call, "deliveries")?;
    let after = page.after.as_deref().and_then(|key| key.parse().ok()).map(NotificationSeq);
    let (found, next) = app.store.find_deliveries(filter, after, page.limit).await?;
    let items = found.iter().map(shown).collect();
    Ok(Reply::json(StatusCode::OK, &page.document(items, next.map(|seq| seq.0.to_string()))))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let found = app.store.delivery(seq_of(&call)?, call.caller.account).await?;
    let SendingInFull { sending, told } = found.ok_or(Refusal::NoResource)?;
    let mut document = shown(&sending);
    let attempts = sending.delivery.attempts.iter();
    let attempts = attempts.map(|one| deliveries::attempt(one.at, one.took_ms, &one.outcome));
    document["attempts"] = attempts.collect();
    document["body"] = json!(told.map(|(subscription, told)| deliveries::body(&subscription, &told)));
    Ok(Reply::json(StatusCode::OK, &document))
}

async fn replay(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Why { reason } = body::read(&call)?;
    let seq = seq_of(&call)?;
    let doer = body::doer(&app, &call, reason.as_deref())?;
    let once = call.once(doer.now, replayed);
    let done = app.store.replay(seq, call.caller.account, once, doer).await?;
    if let Some(reply) = replayed(&done) {
        app.deliveries_bell.notify_one();
        return Ok(reply);
    }
    if done == Replayed::Unknown {
        return Err(Refusal::NoResource.into());
    }
    let detail = "its subscription was removed, or its receiver is gone for good: subscribe again";
    Err(OpsProblem::new(Code::Refused, detail).with("why", json!("receiver_gone")))
}

/// Returns the reply to a delivery that is made again.
fn replayed(done: &Replayed) -> Option<Reply> {
    match done {
        Replayed::Made(made) => {
            let location = format!("/ops/v1/deliveries/{}", made.seq.0);
            Some(Reply::json(StatusCode::CREATED, &shown(made)).with(header::LOCATION, &location))
        }
        Replayed::Moved(moved) => Some(Reply::json(StatusCode::OK, &shown(moved))),
        Replayed::Unknown | Replayed::NoReceiver => None,
    }
}
