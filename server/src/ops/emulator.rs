//! The emulator's clock, and the mail that it keeps.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::time::{DAY_MS, Timestamp};
use onhook_wire::error::{Problem, cut};
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::mail::Mail;
use crate::reply::{Reply, store_problem};
use crate::route::{Call, Needs, Route};
use crate::work::deliveries::expire_subscriptions;

/// The furthest that the clock moves at once: a hundred years.
const ADVANCE_MS_MAX: i64 = 36_525 * DAY_MS;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::ops(Method::GET, "/ops/v1/emulator/clock", Needs::Operator, show),
        Route::ops(Method::POST, "/ops/v1/emulator/clock", Needs::Operator, change),
        Route::ops(Method::GET, "/ops/v1/emulator/mail", Needs::Operator, mail),
        Route::ops(Method::DELETE, "/ops/v1/emulator/mail", Needs::Operator, forget_mail),
    ]
}

/// By how much to move it, or to which instant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    advance_days: Option<i64>,
    advance_ms: Option<i64>,
    set: Option<String>,
}

/// What time it is, and how far it has been moved.
async fn show(app: Arc<App>, _call: Call) -> Result<Reply, Problem> {
    match app.settings.emulator {
        true => Ok(Reply::json(StatusCode::OK, &time(&app))),
        false => Err(Problem::NoResource),
    }
}

/// Moves the clock ahead. The law is not moved: what is released has aged as long as it must, by it.
async fn change(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    if !app.settings.emulator {
        return Err(Problem::NoResource);
    }
    let change: Change = match serde_json::from_slice(&call.body) {
        Ok(change) => change,
        Err(error) => return Err(wrong(&error.to_string())),
    };
    let by_ms = match change {
        Change { advance_days: Some(days), advance_ms: None, set: None } => days.saturating_mul(DAY_MS),
        Change { advance_days: None, advance_ms: Some(by_ms), set: None } => by_ms,
        Change { advance_days: None, advance_ms: None, set: Some(text) } => match text.parse::<Timestamp>() {
            Ok(to) => to.since(app.clock.now()),
            Err(error) => return Err(wrong(&error.to_string())),
        },
        _ => return Err(wrong("say one of advance_days, advance_ms and set")),
    };
    if !(0..=ADVANCE_MS_MAX).contains(&by_ms) {
        return Err(wrong("the clock moves ahead only, at most 36525 days at once"));
    }
    // What has ended by now is not counted. Before the clock moves, so that the worker finds none of the others.
    let now = app.clock.now();
    expire_subscriptions(&app, now).await.map_err(store_problem)?;
    let ended = expire_subscriptions(&app, now.plus_millis(by_ms)).await.map_err(store_problem)?;
    app.clock.advance(by_ms);
    app.remember_clock().await.map_err(store_problem)?;
    app.clock_bell.notify_one();
    app.deliveries_bell.notify_one();
    let mut body = time(&app);
    body["subscriptions_ended"] = json!(ended);
    Ok(Reply::json(StatusCode::OK, &body))
}

/// The mail that was kept instead of being sent, the newest first; with `to` that to one address.
async fn mail(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    if !app.settings.emulator {
        return Err(Problem::NoResource);
    }
    if let Some((other, _)) = call.query.filters().iter().find(|(key, _)| key != "to") {
        return Err(wrong(&format!("no parameter is called {}; there is: to", cut(other))));
    }
    let to = call.query.get("to")?;
    let found = app.mailer.as_ref().map(|mailer| mailer.caught(to)).unwrap_or_default();
    let shown = |Mail { to, subject, body, at }| {
        let at = at.to_string();
        json!({ "to": to, "subject": subject, "body": body, "at": at })
    };
    let items: Vec<_> = found.into_iter().map(shown).collect();
    Ok(Reply::json(StatusCode::OK, &json!({ "items": items })))
}

/// Forgets the mail that was kept.
async fn forget_mail(app: Arc<App>, _call: Call) -> Result<Reply, Problem> {
    if !app.settings.emulator {
        return Err(Problem::NoResource);
    }
    if let Some(mailer) = &app.mailer {
        mailer.forget();
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn time(app: &App) -> serde_json::Value {
    json!({ "now": app.clock.now().to_string(), "moved_ms": app.clock.moved_ms() })
}

fn wrong(detail: &str) -> Problem {
    Problem::Refused(detail.to_owned())
}
