//! The emulator's clock: what time it is, and how it is moved.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::time::{DAY_MS, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::control::{get, of, post, shown};
use crate::app::App;
use crate::emulator::Move;
use crate::emulator::ran::Counts;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::Route;
use crate::ops::door::OpsProblem;
use crate::ops::problem::Code;
use crate::ops::{body, listing};
use crate::work::moves::{self, Stuck};

const PATH: &str = "/ops/v1/emulator/clock";
/// Most that the clock moves at once: a hundred years.
const ADVANCE_MS_MAX: i64 = 36_525 * DAY_MS;
/// Most times as fast as the system's that the clock goes.
pub(super) const RATE_MAX: f64 = 1_000_000.0;
/// Seconds that a move takes at most if the request does not say how many.
const SECONDS: u32 = 60;
/// Most seconds that a move takes.
const SECONDS_MAX: u32 = 600;
/// How long a move may take.
const TIMEOUT: Parameter = Parameter::new(
    "timeout_seconds",
    Form::Whole(1, SECONDS_MAX),
    "how long the move may take, 60 if it is not there",
);

/// The shape of the time.
pub(super) const TIME: Shape = Shape::json(
    r#"{"type": "object", "required": ["now", "moved_ms", "rate"], "properties": {
        "now": {"type": "string", "format": "date-time"}, "moved_ms": {"type": "integer"},
        "rate": {"type": "number"}}}"#,
    r#"{"moved_ms": 86400000, "now": "2027-01-01T00:00:00.000Z", "rate": 1.0}"#,
);
/// The shape of a change of the time.
const CHANGE: Shape = Shape::json(
    r#"{"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "properties": {
        "advance_days": {"type": "integer", "minimum": 0, "maximum": 36525},
        "advance_ms": {"type": "integer", "minimum": 0},
        "set": {"type": "string", "format": "date-time"},
        "rate": {"type": "number", "minimum": 0, "maximum": 1000000}}}"#,
    r#"{"advance_ms": 1000}"#,
);
/// The shape of the time after a change.
const CHANGED: Shape = Shape::json(
    r#"{"type": "object", "required": ["now", "moved_ms", "rate", "settled", "ran", "waiting", "subscriptions_ended"],
        "properties": {
        "now": {"type": "string", "format": "date-time"}, "moved_ms": {"type": "integer"},
        "rate": {"type": "number"}, "settled": {"type": "boolean"},
        "ran": {"type": "object", "properties": {
            "orders": {"type": "integer"}, "expired": {"type": "integer"}, "reservations": {"type": "integer"},
            "released": {"type": "integer"}, "notices": {"type": "integer"}, "deliveries": {"type": "integer"}}},
        "waiting": {"type": "object", "properties": {
            "reads": {"type": "integer"}, "held": {"type": "integer"}, "frozen": {"type": "integer"},
            "kept": {"type": "integer"}, "capped": {"type": "integer"}}},
        "subscriptions_ended": {"type": "integer", "minimum": 0}}}"#,
    r#"{"moved_ms": 86400000, "now": "2027-01-01T00:00:00.000Z",
        "ran": {"deliveries": 2, "expired": 0, "notices": 0, "orders": 1, "released": 1, "reservations": 0},
        "rate": 1.0, "settled": true, "subscriptions_ended": 0,
        "waiting": {"capped": 0, "frozen": 0, "held": 0, "kept": 0, "reads": 0}}"#,
);

pub(super) fn routes() -> Vec<Route> {
    let show_doc = Doc::new(
        "Shows what time it is on the emulator, how far its clock has been moved, in milliseconds, and how fast it goes.",
        Told::ok(TIME),
    );
    let change_doc = Doc::new(
        "Moves the emulator's clock ahead, by days, by milliseconds or to an instant, and runs on the way what is due, \
         each thing at its own instant. Or sets how many times as fast as the system's it goes.",
        Told::ok(CHANGED),
    )
    .takes(CHANGE)
    .query(&[TIMEOUT])
    .or(Told::new(504, "Something due did not end in time: `not_settled`. The same request again goes on."));
    vec![get(PATH, show_doc, show), post(PATH, change_doc, change).patient()]
}

/// How far to move the clock, to which instant, or how fast it goes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    advance_days: Option<i64>,
    advance_ms: Option<i64>,
    set: Option<String>,
    rate: Option<f64>,
}

/// What is asked of the clock.
enum Asked {
    Move(Move),
    Rate(f64),
}

/// Returns the time now, how far the clock has been moved, and how fast it goes.
async fn show(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    Ok(shown(&time(&app)))
}

/// Moves the clock ahead. The aging periods do not change: by the moved clock, a released number has aged as long as it
/// must.
async fn change(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let asked = asked(&app, body::read(&call)?)?;
    let seconds = listing::parsed(&call, "timeout_seconds", "a number of seconds from 1 to 600")?;
    let seconds: u32 = seconds.unwrap_or(SECONDS);
    if !(1..=SECONDS_MAX).contains(&seconds) {
        return Err(OpsProblem::wrong("timeout_seconds is a number from 1 to 600"));
    }
    let until = Instant::now() + Duration::from_secs(seconds.into());
    let ran = match asked {
        Asked::Rate(rate) => {
            app.clock.set_rate(rate);
            app.remember_clock().await.map_err(Refusal::by_store)?;
            Counts::default()
        }
        Asked::Move(by) => match moves::advance(&app, of(&app)?, by, until).await {
            Ok(ran) => ran,
            Err(Stuck::NotSettled) => {
                let detail = format!(
                    "something due did not end within {seconds} s; the clock stands at {}",
                    app.clock.now()
                );
                return Err(OpsProblem::new(Code::NotSettled, detail));
            }
            Err(Stuck::Store(error)) => return Err(error.into()),
        },
    };
    let mut body = time(&app);
    body["settled"] = json!(true);
    body["ran"] = json!({
        "orders": ran.orders, "expired": 0, "reservations": ran.reservations, "released": ran.released,
        "notices": 0, "deliveries": ran.deliveries,
    });
    let reads = of(&app)?.scripts.reads();
    let kept = app.store.kept(app.clock.now()).await.map_err(Refusal::by_store)?;
    body["waiting"] = json!({ "reads": reads, "held": 0, "frozen": 0, "kept": kept, "capped": 0 });
    body["subscriptions_ended"] = json!(ran.subscriptions);
    Ok(shown(&body))
}

/// Returns what is asked, if it is allowed.
fn asked(app: &App, change: Change) -> Result<Asked, OpsProblem> {
    let by = |by_ms| (Move::By(by_ms), by_ms);
    let (asked, by_ms) = match change {
        Change { advance_days: Some(days), advance_ms: None, set: None, rate: None } => {
            by(days.saturating_mul(DAY_MS))
        }
        Change { advance_days: None, advance_ms: Some(by_ms), set: None, rate: None } => by(by_ms),
        Change { advance_days: None, advance_ms: None, set: Some(text), rate: None } => {
            match text.parse::<Timestamp>() {
                Ok(to) => (Move::To(to), to.since(app.clock.now())),
                Err(error) => return Err(OpsProblem::wrong(error.to_string())),
            }
        }
        Change { advance_days: None, advance_ms: None, set: None, rate: Some(rate) } => {
            if !(0.0..=RATE_MAX).contains(&rate) {
                return Err(OpsProblem::wrong("rate is a number from 0 to 1000000"));
            }
            return Ok(Asked::Rate(rate));
        }
        _ => return Err(OpsProblem::wrong("say one of advance_days, advance_ms, set and rate")),
    };
    if !(0..=ADVANCE_MS_MAX).contains(&by_ms) {
        return Err(OpsProblem::wrong("the clock moves ahead only, at most 36525 days at once"));
    }
    Ok(Asked::Move(asked))
}

pub(super) fn time(app: &App) -> Value {
    json!({ "now": app.clock.now().to_string(), "moved_ms": app.clock.moved_ms(), "rate": app.clock.rate() })
}
