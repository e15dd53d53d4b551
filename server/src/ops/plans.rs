//! Plans: acts on many numbers, shown before they are done. What was shown is done exactly, or nothing.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use onhook_core::account::Role;
use onhook_core::account::user::Right;
use onhook_core::ids::PlanId;
use onhook_core::order::act::Act;
use onhook_core::order::plan::{KeptPlan, NotApproved, PlanState, SERIES_MAX, may_approve, may_plan};
use onhook_core::time::Timestamp;
use onhook_store::contract::acts::Asked;
use onhook_store::contract::plans::{
    Approving, NewPlan, PlanApplied, PlanApproved, PlanFilter, PlanMade, PlanWithdrawn,
};
use onhook_wire::ops::{acts, plans};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asked::{self, Numbers, Target};
use super::body::{self, too_many};
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, parsed, value};
use super::numbers::paged;
use super::problem::Code;
use crate::app::App;
use crate::http::auth::{Caller, is_token};
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::reports::rnd;

/// Most numbers in the reply to a plan that would do something else now.
const CHANGED_MAX: usize = 100;

const LIST: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
/// The form of a plan.
pub(super) const PLAN: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "act", "state", "hash", "counts", "items", "next"], "properties": {
        "id": {"type": "string"}, "act": {"type": "string"}, "account": {"type": ["string", "null"]},
        "state": {"type": "string"}, "series": {"type": ["string", "null"]}, "reason": {"type": ["string", "null"]},
        "target": {"type": "object"}, "params": {"type": "object"}, "made_at": {"type": "string"},
        "made_by": {"type": "object"}, "expires_at": {"type": "string"}, "hash": {"type": "string"},
        "counts": {"type": "object"}, "refused": {"type": "array", "items": {"type": "object"}},
        "holds": {"type": "array", "items": {"type": "object"}}, "brake": {"type": "object"},
        "approvals": {"type": "object"}, "warnings": {"type": "array", "items": {"type": "object"}},
        "order": {"type": ["object", "null"]}, "items": {"type": "array", "items": {"type": "object"}},
        "next": {"type": ["string", "null"]}}}"#,
    r#"{"id": "1f6c3a52-7a3e-4c1b-9d2e-0c5b8f1e2a77", "act": "disconnect", "account": "9900000", "state": "open",
        "series": null, "reason": "the site was closed", "target": {"numbers": ["+15405514342"]},
        "params": {"mode": "normal", "protected": "UNCHANGED"}, "made_at": "2026-11-24T03:49:04.152Z",
        "made_by": {"user": "operator", "credential": "basic", "address": "127.0.0.1"},
        "expires_at": "2026-11-24T04:19:04.152Z", "hash": "sha256:9d1c0000000000000000000000000000000000000000000000000000000000aa",
        "counts": {"named": 1, "go": 1, "refused": 0, "remaining": 0}, "refused": [],
        "holds": [{"profile": "us", "class": "unknown", "days": 90, "numbers": 1, "release_at": "2027-02-23T00:00:00.000Z"}],
        "brake": {"on": false, "held": false, "used": 0, "allowance": null},
        "approvals": {"needed": 0, "given": []}, "warnings": [], "order": null,
        "items": [{"number": "+15405514342", "outcome": "goes", "before": "InService", "after": "Aging", "days": 90,
            "release_at": "2027-02-23T00:00:00.000Z", "home": "pool", "site": "1", "peer": "1"}], "next": null}"#,
);
/// The form of a body that asks for a plan.
const NEW: Shape = Shape::json(
    r#"{"type": "object", "required": ["act", "target", "reason"], "additionalProperties": false, "properties": {
        "act": {"type": "string"}, "account": {"type": "string"},
        "target": {"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "properties": {
            "numbers": {"type": "array", "items": {"type": "string"}, "maxItems": 5000}, "order": {"type": "string"},
            "filter": {"type": "object"}}},
        "params": {"type": "object"}, "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "series": {"type": "string", "maxLength": 50}}}"#,
    r#"{"act": "disconnect", "account": "9900000", "target": {"numbers": ["+15405514342"]},
        "params": {"mode": "normal"}, "reason": "the site was closed", "series": "site-1"}"#,
);
/// The form of a body that applies a plan.
const APPLY: Shape = Shape::json(
    r#"{"type": "object", "required": ["hash"], "additionalProperties": false, "properties": {
        "hash": {"type": "string"}}}"#,
    r#"{"hash": "sha256:9d1c0000000000000000000000000000000000000000000000000000000000aa"}"#,
);
/// The form of what was done by a plan.
const APPLIED: Shape = Shape::json(
    r#"{"type": "object", "required": ["plan", "state", "applied_at", "went", "order"], "properties": {
        "plan": {"type": "string"}, "state": {"type": "string"}, "applied_at": {"type": "string"},
        "went": {"type": "integer"}, "order": {"type": ["object", "null"]}}}"#,
    r#"{"plan": "1f6c3a52-7a3e-4c1b-9d2e-0c5b8f1e2a77", "state": "applied", "applied_at": "2026-11-24T03:49:34.000Z",
        "went": 1, "order": {"id": "744f1d16-d3a5-43b3-ab97-4c3b19fc0b7a", "status": "COMPLETE", "waiting": null}}"#,
);
/// The form of a body that approves a plan.
const APPROVE: Shape = Shape::json(
    r#"{"type": "object", "required": ["hash", "reason"], "additionalProperties": false, "properties": {
        "hash": {"type": "string"}, "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "apply": {"type": "boolean"}}}"#,
    r#"{"hash": "sha256:9d1c0000000000000000000000000000000000000000000000000000000000aa",
        "reason": "the contract has ended", "apply": false}"#,
);
/// The form of a body that says no more than why.
const WHY: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}}}"#,
    r#"{"reason": "the site stays open"}"#,
);
const NOT_APPLIED: Told = Told::new(
    409,
    "It would do something else now, or may not be applied: `code` says which. Nothing was done.",
);
const NOT_MADE: Told = Told::new(409, "There are too many open plans, or the order cannot be undone.");
const NO_ORDER: Told = Told::new(404, "The order whose numbers are meant does not exist.");
const NOT_APPROVED: Told =
    Told::new(409, "Nobody has to approve it, or it is over, or says something else now. Nothing was done.");
const OVER: Told = Told::new(409, "It was applied, or its time is over.");
const WRONG: Told = Told::new(422, "The hash is none that this plan has had.");
const WRONG_TARGET: Told =
    Told::new(422, "There are too many numbers, or one twice, or the filter is too wide.");

const FILTERS: [Parameter; 4] = [
    Parameter::new(
        "state",
        Form::Word(&["open", "applied", "expired", "withdrawn"]),
        "only plans in this state",
    ),
    Parameter::new("act", Form::Text("disconnect"), "only plans of this act"),
    Parameter::new("account", Form::Text("9900000"), "only plans about this account's numbers"),
    Parameter::new("series", Form::Text("site-1"), "only plans of this series"),
];
const OUTCOME: Parameter =
    Parameter::new("outcome", Form::Word(&["goes", "refused"]), "only numbers of which this is decided");

pub(crate) fn routes() -> Vec<Route> {
    let make_doc = Doc::new("Plans an act on numbers, and changes none of them.", Told::made(PLAN))
        .takes(NEW)
        .or(NOT_MADE)
        .or(NO_ORDER)
        .or(WRONG_TARGET)
        .strangers(403);
    let list_doc = Doc::new("Lists plans, the newest first.", Told::ok(LIST)).query(&FILTERS).query(&PAGES);
    let show_doc = Doc::new("Shows a plan, with its first numbers.", Told::ok(PLAN)).strangers(404);
    let items_doc = Doc::new("Shows what is decided of each number of a plan, by digits.", Told::ok(LIST))
        .query(&[OUTCOME])
        .query(&PAGES)
        .strangers(404);
    let apply_doc = Doc::new("Does exactly what a plan with this hash says, or nothing.", Told::ok(APPLIED))
        .takes(APPLY)
        .or(NOT_APPLIED)
        .or(WRONG)
        .strangers(404);
    let approve_doc =
        Doc::new("Agrees to a plan as its second person, and applies it if asked to.", Told::ok(PLAN))
            .takes(APPROVE)
            .or(NOT_APPROVED)
            .or(WRONG)
            .strangers(404);
    let withdraw_doc = Doc::new("Takes a plan back.", Told::ok(PLAN)).takes(WHY).or(OVER).strangers(404);
    let (get, post) = (Method::GET, Method::POST);
    let (caller, orderer) = (Needs::Caller, Needs::Role(Role::Order));
    let second = Needs::Right(Role::Admin, Right::Unlock);
    vec![
        door::route(post.clone(), "/ops/v1/plans", orderer, make_doc, make),
        door::route(get.clone(), "/ops/v1/plans", caller, list_doc, list),
        door::route(get.clone(), "/ops/v1/plans/{plan}", caller, show_doc, show),
        door::route(get, "/ops/v1/plans/{plan}/items", caller, items_doc, items),
        door::route(post.clone(), "/ops/v1/plans/{plan}/apply", orderer, apply_doc, apply),
        door::route(post.clone(), "/ops/v1/plans/{plan}/approve", second, approve_doc, approve),
        door::route(post, "/ops/v1/plans/{plan}/withdraw", orderer, withdraw_doc, withdraw),
    ]
}

/// A plan that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    act: Option<String>,
    account: Option<String>,
    target: Option<Target>,
    #[serde(default)]
    params: Map<String, Value>,
    reason: Option<String>,
    series: Option<String>,
}

/// A plan that is to be applied.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Apply {
    hash: Option<String>,
}

/// A plan that is approved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    hash: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    apply: bool,
}

/// A body that says no more than why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: Option<String>,
}

/// Returns whether a caller may unlock numbers.
fn unlocks(caller: &Caller) -> bool {
    caller.has(Right::Unlock)
}

/// Returns whether a caller may see the address of a user.
fn sees_address(caller: &Caller, user: &str) -> bool {
    caller.role == Role::Operator || *caller.user == *user
}

/// Returns a plan as its caller sees it, with its first numbers.
pub(super) fn document(app: &Arc<App>, caller: &Caller, plan: &KeptPlan, now: Timestamp) -> Value {
    let page = Page::first(app, caller, &numbers_of(plan));
    let items =
        plan.decisions.iter().map(|(number, decided)| (number.to_string(), plans::item(number, decided)));
    // One more than the page has tells whether there are more.
    let items = items.take(page.limit + 1).collect();
    let mut document = plans::plan(plan, now, |user| sees_address(caller, user));
    if let Value::Object(page) = paged(&page, items) {
        document["items"] = page.get("items").cloned().unwrap_or_default();
        document["next"] = page.get("next").cloned().unwrap_or_default();
    }
    document
}

/// Returns the name of the list of a plan's numbers, to which its cursors belong.
fn numbers_of(plan: &KeptPlan) -> String {
    format!("numbers of plan {}", plan.id)
}

/// Returns the reply with a new plan.
pub(super) fn made(
    app: &Arc<App>,
    caller: &Caller,
    status: StatusCode,
    plan: &KeptPlan,
    now: Timestamp,
) -> Reply {
    let reply = Reply::json(status, &document(app, caller, plan, now));
    reply.with(header::LOCATION, &format!("/ops/v1/plans/{}", plan.id))
}

async fn make(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let New { act: word, account, target, params, reason, series } = body::read(&call)?;
    let author = body::author(&call, reason.as_deref())?;
    let needed = |at: &str| body::wrong(at, format!("{at} is needed"));
    let word = word.ok_or_else(|| needed("/act"))?;
    let target = target.ok_or_else(|| needed("/target"))?;
    let series = asked::named("/series", series, SERIES_MAX)?;
    let mut account = body::account(&call.caller, "/account", account.as_deref())?;
    let now = app.believed_now().ok_or_else(body::clock)?;
    let order = match &target.order {
        Some(id) => Some(asked::order(&app, id, &call.caller).await?),
        None => None,
    };
    let act = asked::act(&word, params, order.as_ref(), now)?;
    if !may_plan(&act, call.caller.role, unlocks(&call.caller)) {
        return Err(Refusal::Denied.into());
    }
    if let (Some(order), "undo") = (&order, word.as_str()) {
        account = Some(order.account);
    }
    if act.is_order() && account.is_none() {
        return Err(needed("/account"));
    }
    asked::place(&app, &act, account).await?;
    let Numbers { numbers, remaining } = match (&target.numbers, &order, &target.filter) {
        (Some(numbers), None, None) => asked::numbers(numbers)?,
        (None, Some(order), None) => asked::of_order(&word, order)?,
        (None, None, Some(filter)) => match asked::filter(filter, &act, account, &call.caller)? {
            Some((filter, after)) => asked::found(&app, filter, after).await?,
            None => Numbers { numbers: Vec::new(), remaining: 0 },
        },
        _ => return Err(body::wrong("/target", "target is one of numbers, order and filter".into())),
    };
    let sent: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let target = sent.get("target").cloned().unwrap_or_default();
    let reported = match &act {
        Act::Undo { .. } => rnd::reported(&*app.store, &numbers).await?,
        _ => Vec::new(),
    };
    let asked = Asked { act, account, numbers, remaining, author, made_at: now, expires_at: now };
    let reply = {
        let (app, caller) = (app.clone(), call.caller.clone());
        move |done: &PlanMade| match done {
            PlanMade::Made(plan) => Some(made(&app, &caller, StatusCode::CREATED, plan, now)),
            PlanMade::TooMany => None,
        }
    };
    let (new, once) = (NewPlan { asked, target, series, reported }, call.once(now, reply.clone()));
    let done = app.store.make_plan(new, once, now, app.settings.policy.clone()).await?;
    reply(&done).ok_or_else(too_many)
}

/// Returns the plan in the path, if its caller may see it.
async fn plan_of(app: &App, call: &Call) -> Result<KeptPlan, OpsProblem> {
    let nothing = || OpsProblem::from(Refusal::NoResource);
    let id: PlanId = call.param("plan").parse().map_err(|_| nothing())?;
    let plan = app.store.plan(id).await?.ok_or_else(nothing)?;
    let own = call.caller.account;
    if own.is_some() && own != plan.account { Err(nothing()) } else { Ok(plan) }
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let filter = PlanFilter {
        account: body::account(&call.caller, "account", value(&call, "account"))?,
        act: value(&call, "act").map(str::to_owned),
        state: parsed(&call, "state", "open, applied, expired or withdrawn")?,
        series: value(&call, "series").map(str::to_owned),
    };
    let page = Page::read(&app, &call, "plans")?;
    let before: Option<i64> = page.after.as_deref().and_then(|key| key.parse().ok());
    let now = app.clock.now();
    let mut found = app.store.plans(filter, before, page.limit + 1, now).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().map(|(seq, _)| seq.to_string()).filter(|_| more);
    let caller = &call.caller;
    let items = found.iter().map(|(_, plan)| plans::plan(plan, now, |user| sees_address(caller, user)));
    Ok(Reply::json(StatusCode::OK, &page.document(items.collect(), next)))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let plan = plan_of(&app, &call).await?;
    Ok(Reply::json(StatusCode::OK, &document(&app, &call.caller, &plan, app.clock.now())))
}

async fn items(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let plan = plan_of(&app, &call).await?;
    let goes = match value(&call, "outcome") {
        None => None,
        Some("goes") => Some(true),
        Some("refused") => Some(false),
        Some(_) => return Err(body::wrong("outcome", "outcome is goes or refused".into())),
    };
    let page = Page::read(&app, &call, &numbers_of(&plan))?;
    let wanted = plan.decisions.iter().filter(|(_, decided)| goes.is_none_or(|goes| decided.goes() == goes));
    let items = wanted.map(|(number, decided)| (number.to_string(), plans::item(number, decided))).collect();
    Ok(Reply::json(StatusCode::OK, &paged(&page, items)))
}

/// Returns the reply to a plan that was applied. `None` if it was not.
fn done_by(applied: &PlanApplied) -> Option<Reply> {
    match applied {
        PlanApplied::Done { plan, .. } => Some(Reply::json(StatusCode::OK, &plans::applied(plan))),
        _ => None,
    }
}

/// Tells the workers and the meters of an order that ended with a plan.
fn tell(app: &App, applied: &PlanApplied) {
    if let PlanApplied::Done { plan, again: false } = applied
        && let Some((_, status)) = plan.done.as_ref().and_then(|done| done.order)
    {
        app.deliveries_bell.notify_one();
        metrics::counter!("onhook_orders_ended_total", "status" => status.word()).increment(1);
    }
    if matches!(applied, PlanApplied::Done { again: false, .. }) {
        app.orders_bell.notify_one(); // an order may wait for a number that is in the pool now
    }
}

/// Returns why a plan was not applied.
fn not_applied(applied: &PlanApplied) -> OpsProblem {
    match applied {
        PlanApplied::Changed { plan, otherwise } => {
            let (count, all) = (otherwise.len(), plan.counts.named);
            let shown = otherwise.get(..CHANGED_MAX.min(count)).unwrap_or_default();
            OpsProblem::new(Code::PlanChanged, format!("{count} of {all} numbers have changed"))
                .with("hash", json!(plan.hash))
                .with("changed_count", json!(count))
                .with("changed", plans::changed(shown))
        }
        PlanApplied::Nothing(plan) => OpsProblem::new(Code::NothingToDo, "no number of the plan goes")
            .with("counts", plans::counts(plan))
            .with("refused", acts::refusals(&plan.refused)),
        PlanApplied::ApprovalNeeded(plan) => {
            let detail = format!("another person than {} has to approve it first", plan.made.user);
            OpsProblem::new(Code::ApprovalNeeded, detail)
        }
        PlanApplied::Over(plan) => over(plan),
        PlanApplied::WrongHash => OpsProblem::new(Code::WrongHash, "the plan never had this hash"),
        PlanApplied::Missing => Refusal::NoResource.into(),
        PlanApplied::Done { .. } => OpsProblem::new(Code::Internal, "it was done"),
    }
}

/// Returns the problem of a plan that has ended.
fn over(plan: &KeptPlan) -> OpsProblem {
    let why = match plan.ended {
        Some((PlanState::Applied, _)) => "it was applied",
        Some(_) => "it was withdrawn",
        None => "its time is over: make another one",
    };
    OpsProblem::new(Code::PlanOver, why)
}

fn hash_of(hash: Option<String>) -> Result<String, OpsProblem> {
    hash.ok_or_else(|| body::wrong("/hash", "hash is that of the plan as it was shown".into()))
}

async fn apply(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Apply { hash } = body::read(&call)?;
    let hash = hash_of(hash)?;
    let plan = plan_of(&app, &call).await?;
    if !may_plan(&plan.act, call.caller.role, unlocks(&call.caller)) {
        return Err(Refusal::Denied.into());
    }
    let now = app.believed_now().ok_or_else(body::clock)?;
    let once = call.once(now, done_by);
    let policy = app.settings.policy.clone();
    let applied = app.store.apply_plan(plan.id, hash, call.author(), once, now, policy).await?;
    tell(&app, &applied);
    done_by(&applied).ok_or_else(|| not_applied(&applied))
}

async fn approve(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Approve { hash, reason, apply } = body::read(&call)?;
    let author = body::author(&call, reason.as_deref())?;
    let hash = hash_of(hash)?;
    let plan = plan_of(&app, &call).await?;
    if !may_approve(&plan.act, call.caller.role, unlocks(&call.caller)) {
        return Err(Refusal::Denied.into());
    }
    if is_token(&call.headers) {
        return Err(OpsProblem::new(
            Code::PasswordNeeded,
            "a token does not approve: send name and password",
        ));
    }
    let now = app.believed_now().ok_or_else(body::clock)?;
    let reply = {
        let (app, caller) = (app.clone(), call.caller.clone());
        move |done: &PlanApproved| match done {
            PlanApproved::Done(plan) | PlanApproved::Applied(PlanApplied::Done { plan, .. }) => {
                Some(Reply::json(StatusCode::OK, &document(&app, &caller, plan, now)))
            }
            _ => None,
        }
    };
    let (approving, once) = (Approving { hash, author, apply }, call.once(now, reply.clone()));
    let approved = app.store.approve_plan(plan.id, approving, once, now, app.settings.policy.clone()).await?;
    if let PlanApproved::Applied(applied) = &approved {
        tell(&app, applied);
    }
    reply(&approved).ok_or_else(|| not_approved(&approved))
}

/// Returns why a plan was not approved.
fn not_approved(approved: &PlanApproved) -> OpsProblem {
    match approved {
        PlanApproved::Refused(NotApproved::WrongHash, _) => not_applied(&PlanApplied::WrongHash),
        PlanApproved::Refused(NotApproved::Changed, plan) => {
            let detail = "it says something else now: look at it again";
            OpsProblem::new(Code::PlanChanged, detail).with("hash", json!(plan.hash))
        }
        PlanApproved::Refused(NotApproved::Over, plan) => over(plan),
        PlanApproved::Refused(NotApproved::NotNeeded, _) => {
            OpsProblem::new(Code::NoApprovalNeeded, "its maker may apply it alone")
        }
        PlanApproved::Refused(NotApproved::SamePerson, plan) => OpsProblem::new(
            Code::SamePerson,
            format!("{} made it: another person has to approve it", plan.made.user),
        ),
        PlanApproved::Refused(NotApproved::NotAllowed, _) => Refusal::Denied.into(),
        PlanApproved::Applied(applied) => not_applied(applied),
        PlanApproved::Missing | PlanApproved::Done(_) => Refusal::NoResource.into(),
    }
}

async fn withdraw(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Why { reason } = body::read(&call)?;
    let author = body::author(&call, reason.as_deref())?;
    let plan = plan_of(&app, &call).await?;
    if call.caller.role != Role::Operator && *call.caller.user != *plan.made.user {
        return Err(Refusal::Denied.into());
    }
    let now = app.believed_now().ok_or_else(body::clock)?;
    let reply = {
        let (app, caller) = (app.clone(), call.caller.clone());
        move |done: &PlanWithdrawn| match done {
            PlanWithdrawn::Done(plan) => {
                Some(Reply::json(StatusCode::OK, &document(&app, &caller, plan, now)))
            }
            _ => None,
        }
    };
    let once = call.once(now, reply.clone());
    let withdrawn = app.store.withdraw_plan(plan.id, author, once, now).await?;
    reply(&withdrawn).ok_or_else(|| match &withdrawn {
        PlanWithdrawn::Over(plan) => over(plan),
        _ => Refusal::NoResource.into(),
    })
}
