//! The emulator's clock, and the mail that it keeps.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::time::{DAY_MS, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::body;
use super::door::{self, OpsProblem};
use crate::app::App;
use crate::expiry::expire_subscriptions;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::mail::Mail;

/// Most that the clock moves at once: a hundred years.
const ADVANCE_MS_MAX: i64 = 36_525 * DAY_MS;

/// The shape of the time.
const TIME: Shape = Shape::json(
    r#"{"type": "object", "required": ["now", "moved_ms"], "properties": {
        "now": {"type": "string", "format": "date-time"}, "moved_ms": {"type": "integer"}}}"#,
    r#"{"now": "2027-01-01T00:00:00.000Z", "moved_ms": 86400000}"#,
);
/// The shape of a change of the time.
const CHANGE: Shape = Shape::json(
    r#"{"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "properties": {
        "advance_days": {"type": "integer", "minimum": 0, "maximum": 36525},
        "advance_ms": {"type": "integer", "minimum": 0},
        "set": {"type": "string", "format": "date-time"}}}"#,
    r#"{"advance_ms": 1000}"#,
);
/// The shape of the time after a change.
const CHANGED: Shape = Shape::json(
    r#"{"type": "object", "required": ["now", "moved_ms", "subscriptions_ended"], "properties": {
        "now": {"type": "string", "format": "date-time"}, "moved_ms": {"type": "integer"},
        "subscriptions_ended": {"type": "integer", "minimum": 0}}}"#,
    r#"{"now": "2027-01-01T00:00:00.000Z", "moved_ms": 86400000, "subscriptions_ended": 0}"#,
);
/// The shape of the kept mail.
const MAIL: Shape = Shape::json(
    r#"{"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": {
        "type": "object", "required": ["to", "subject", "body", "at"], "properties": {
            "to": {"type": "string"}, "subject": {"type": "string"}, "body": {"type": "string"},
            "at": {"type": "string", "format": "date-time"}}}}}}"#,
    r#"{"items": []}"#,
);
/// The filter of the kept mail.
const TO: Parameter = Parameter::new("to", Form::Text("nobody@example.com"), "only mail to this address");

pub(crate) fn routes() -> Vec<Route> {
    let show_doc = Doc::new(
        "Shows what time it is on the emulator, and how far its clock has been moved, in milliseconds.",
        Told::ok(TIME),
    );
    let change_doc = Doc::new(
        "Moves the emulator's clock ahead, by days, by milliseconds or to an instant.",
        Told::ok(CHANGED),
    )
    .takes(CHANGE);
    let mail_doc = Doc::new(
        "Shows the mail that the emulator kept instead of sending it, the newest first.",
        Told::ok(MAIL),
    )
    .query(&[TO]);
    let forget_doc = Doc::new("Forgets the mail that the emulator kept.", Told::GONE);
    let (clock, mailbox, operator) = ("/ops/v1/emulator/clock", "/ops/v1/emulator/mail", Needs::Operator);
    let routes = [
        door::route(Method::GET, clock, operator, show_doc, show),
        door::route(Method::POST, clock, operator, change_doc, change),
        door::route(Method::GET, mailbox, operator, mail_doc, mail),
        door::route(Method::DELETE, mailbox, operator, forget_doc, forget_mail),
    ];
    routes.into_iter().map(Route::of_emulator).collect()
}

/// How far to move the clock, or to which instant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    advance_days: Option<i64>,
    advance_ms: Option<i64>,
    set: Option<String>,
}

/// Returns the time now, and how far the clock has been moved.
async fn show(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    Ok(Reply::json(StatusCode::OK, &time(&app)))
}

/// Moves the clock ahead. The aging periods do not change: by the moved clock, a released number has aged as long as it
/// must.
async fn change(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let change: Change = body::read(&call)?;
    let by_ms = match change {
        Change { advance_days: Some(days), advance_ms: None, set: None } => days.saturating_mul(DAY_MS),
        Change { advance_days: None, advance_ms: Some(by_ms), set: None } => by_ms,
        Change { advance_days: None, advance_ms: None, set: Some(text) } => match text.parse::<Timestamp>() {
            Ok(to) => to.since(app.clock.now()),
            Err(error) => return Err(OpsProblem::wrong(error.to_string())),
        },
        _ => return Err(OpsProblem::wrong("say one of advance_days, advance_ms and set")),
    };
    if !(0..=ADVANCE_MS_MAX).contains(&by_ms) {
        return Err(OpsProblem::wrong("the clock moves ahead only, at most 36525 days at once"));
    }
    // Subscriptions that have ended by now are not counted. They end before the clock moves, so that the worker finds
    // none of the others.
    let now = app.clock.now();
    expire_subscriptions(&app, now).await.map_err(Refusal::by_store)?;
    let ended = expire_subscriptions(&app, now.plus_millis(by_ms)).await.map_err(Refusal::by_store)?;
    app.clock.advance(by_ms);
    app.remember_clock().await.map_err(Refusal::by_store)?;
    app.clock_bell.notify_one();
    app.deliveries_bell.notify_one();
    let mut body = time(&app);
    body["subscriptions_ended"] = json!(ended);
    Ok(Reply::json(StatusCode::OK, &body))
}

/// Returns the mail that was kept instead of being sent, newest first. With `to`, only the mail to that address.
async fn mail(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let to = call.pairs.iter().find(|(name, _)| name == "to").map(|(_, to)| to.trim());
    let to = to.filter(|to| !to.is_empty());
    let found = app.mailer.as_ref().map(|mailer| mailer.caught(to)).unwrap_or_default();
    let shown = |Mail { to, subject, body, at }| {
        let at = at.to_string();
        json!({ "to": to, "subject": subject, "body": body, "at": at })
    };
    let items: Vec<_> = found.into_iter().map(shown).collect();
    Ok(Reply::json(StatusCode::OK, &json!({ "items": items })))
}

/// Forgets the kept mail.
async fn forget_mail(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    if let Some(mailer) = &app.mailer {
        mailer.forget();
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn time(app: &App) -> serde_json::Value {
    json!({ "now": app.clock.now().to_string(), "moved_ms": app.clock.moved_ms() })
}
