//! Acts of people on one number, which are done at once: a lock, a longer hold, a keep, and their ends.
//!
//! Who may lock may not unlock: a stolen password of an account must not open what somebody guards. That takes a right
//! of its own, which nobody gives themselves.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::account::Role;
use onhook_core::account::user::Right;
use onhook_core::order::act::{Act, Judged, Later, Refused};
use onhook_store::contract::acts::{Acted, Asked, Plan};
use onhook_store::contract::numbers::Facts;
use onhook_wire::ops::acts::sentence;
use serde::Deserialize;
use serde_json::json;

use super::body::{self, WHY, Why};
use super::door::{self, OpsProblem};
use super::numbers::{NUMBER, not_here, number_of, shown};
use super::plans::{self, PLAN};
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

/// The form of a longer hold.
const EXTENSION: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "release_at": {"type": "string", "format": "date-time"},
        "days": {"type": "integer", "minimum": 1, "maximum": 65535}, "past_ceiling": {"type": "boolean"}}}"#,
    r#"{"reason": "a waiver after a disaster", "days": 30, "past_ceiling": true}"#,
);
/// The form of a keep.
const KEEP: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "until": {"type": ["string", "null"], "format": "date-time"}}}"#,
    r#"{"reason": "a dispute about it is open", "until": null}"#,
);

/// The form of an early release.
const RELEASE: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "release_at": {"type": ["string", "null"], "format": "date-time"}}}"#,
    r#"{"reason": "the customer asked for it in writing", "release_at": null}"#,
);

/// A refusal by the rules of a number's life.
const REFUSED: Told = Told::new(409, "The number refuses this: `why` says the reason. Nothing was done.");

pub(crate) fn routes() -> Vec<Route> {
    let act = |summary, body| Doc::new(summary, Told::ok(NUMBER)).takes(body).or(REFUSED).strangers(404);
    let lock_doc = act("Locks a number in service: no disconnect takes it.", WHY);
    let unlock_doc = act("Ends a number's lock.", WHY);
    let extend_doc = act("Lets an aging number age longer, to an instant or by days.", EXTENSION);
    let keep_doc = act("Keeps an aging number from release, however long it has aged.", KEEP);
    let unkeep_doc = act("Ends a number's keep.", WHY);
    let release_doc = Doc::new(
        "Lets an aging number age less long, down to its floor, when a second person agrees.",
        Told::new(202, "The plan waits for a second person.").with(PLAN),
    )
    .takes(RELEASE)
    .or(Told::ok(NUMBER))
    .or(REFUSED)
    .strangers(404);
    let unlock_doc = unlock_doc.or(Told::new(202, "The plan waits for a second person.").with(PLAN));
    let (post, unlocker) = (Method::POST, Needs::Right(Role::Order, Right::Unlock));
    vec![
        door::route(post.clone(), "/ops/v1/numbers/{number}/lock", Needs::Role(Role::Order), lock_doc, lock),
        door::route(post.clone(), "/ops/v1/numbers/{number}/unlock", unlocker, unlock_doc, unlock),
        door::route(post.clone(), "/ops/v1/numbers/{number}/extend", Needs::Operator, extend_doc, extend),
        door::route(post.clone(), "/ops/v1/numbers/{number}/keep", Needs::Operator, keep_doc, keep),
        door::route(post.clone(), "/ops/v1/numbers/{number}/unkeep", Needs::Operator, unkeep_doc, unkeep),
        door::route(post, "/ops/v1/numbers/{number}/release", Needs::Operator, release_doc, release),
    ]
}

/// A longer hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    reason: Option<String>,
    release_at: Option<String>,
    days: Option<u16>,
    #[serde(default)]
    past_ceiling: bool,
}

/// A keep.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keep {
    reason: Option<String>,
    until: Option<String>,
}

/// An early release.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    reason: Option<String>,
    release_at: Option<String>,
}

async fn lock(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Why { reason } = body::read(&call)?;
    act(app, call, Act::Lock, reason).await
}

async fn unlock(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Why { reason } = body::read(&call)?;
    act(app, call, Act::Unlock, reason).await
}

async fn extend(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Extension { reason, release_at, days, past_ceiling } = body::read(&call)?;
    let until = match (body::instant("/release_at", release_at.as_deref())?, days) {
        (Some(at), None) => Later::ReleaseAt(at),
        (None, Some(days)) => Later::Days(days),
        _ => return Err(OpsProblem::wrong("say one of release_at and days")),
    };
    act(app, call, Act::Extend { until, past_ceiling }, reason).await
}

async fn keep(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Keep { reason, until } = body::read(&call)?;
    let until = body::instant("/until", until.as_deref())?;
    act(app, call, Act::Keep { until }, reason).await
}

async fn unkeep(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Why { reason } = body::read(&call)?;
    act(app, call, Act::Unkeep, reason).await
}

async fn release(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Release { reason, release_at } = body::read(&call)?;
    let release_at = body::instant("/release_at", release_at.as_deref())?;
    act(app, call, Act::ReleaseEarly { release_at }, reason).await
}

/// Does an act on the number in the path, and returns the number as it then is.
async fn act(app: Arc<App>, call: Call, act: Act, reason: Option<String>) -> Result<Reply, OpsProblem> {
    let number = number_of(&call)?;
    let author = body::author(&call, reason.as_deref())?;
    let facts = app.store.facts(number).await?.ok_or_else(not_here)?;
    shown(&app, &call.caller, &facts).ok_or_else(not_here)?;
    let now = app.believed_now().ok_or_else(body::clock)?;
    let (account, numbers) = (call.caller.account, vec![number]);
    let asked = Asked { act, account, numbers, remaining: 0, author, made_at: now, expires_at: now };
    let made = {
        let (app, caller) = (app.clone(), call.caller.clone());
        move |done: &Acted| match done {
            Acted::Done { number, .. } => {
                let shown = shown(&app, &caller, number.as_deref()?)?;
                Some(Reply::json(StatusCode::OK, &shown))
            }
            Acted::Waits(plan) => Some(plans::made(&app, &caller, StatusCode::ACCEPTED, plan, now)),
            _ => None,
        }
    };
    let once = call.once(now, made.clone());
    match app.store.act(asked, None, once, now, app.settings.policy.clone()).await? {
        Acted::Nothing(plan) | Acted::Changed(plan) => Err(refused(&plan, &facts)),
        Acted::TooMany => Err(body::too_many()),
        done @ (Acted::Done { .. } | Acted::Waits(_)) => made(&done).ok_or_else(not_here),
    }
}

/// Returns why the only number of an act does not go.
fn refused(plan: &Plan, facts: &Facts) -> OpsProblem {
    let why = plan.items.iter().find_map(|Judged { outcome, .. }| outcome.as_ref().err());
    let Some(why) = why else { return OpsProblem::new(Code::Internal, "nothing was done") };
    let problem = OpsProblem::new(Code::Refused, sentence(*why)).with("why", json!(why.word()));
    match facts.history.floor_at() {
        Some(floor) if *why == Refused::UnderFloor => problem.with("floor_at", json!(floor.to_string())),
        _ => problem,
    }
}
