//! The mail that the emulator keeps.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use super::control::{delete, get, shown};
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::Route;
use crate::mail::Mail;
use crate::ops::door::OpsProblem;

const PATH: &str = "/ops/v1/emulator/mail";

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

pub(super) fn routes() -> Vec<Route> {
    let show = Doc::new(
        "Shows the mail that the emulator kept instead of sending it, the newest first.",
        Told::ok(MAIL),
    )
    .query(&[TO]);
    let forget = Doc::new("Forgets the mail that the emulator kept.", Told::GONE);
    vec![get(PATH, show, mail), delete(PATH, forget, forget_mail)]
}

/// Returns the mail that was kept instead of being sent, newest first. With `to`, only the mail to that address.
async fn mail(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let to = call.pairs.iter().find(|(name, _)| name == "to").map(|(_, to)| to.trim());
    let to = to.filter(|to| !to.is_empty());
    let found = app.mailer.as_ref().map(|mailer| mailer.caught(to)).unwrap_or_default();
    let one = |Mail { to, subject, body, at }| {
        let at = at.to_string();
        json!({ "to": to, "subject": subject, "body": body, "at": at })
    };
    let items: Vec<_> = found.into_iter().map(one).collect();
    Ok(shown(&json!({ "items": items })))
}

/// Forgets the kept mail.
async fn forget_mail(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    if let Some(mailer) = &app.mailer {
        mailer.forget();
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
