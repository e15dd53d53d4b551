//! Accounts: made, shown, changed, closed and reopened by operators.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use onhook_core::account::change::{AccountAct, AccountChange, Holdings};
use onhook_core::account::{Account, AccountKind, Class, Role};
use onhook_core::ids::AccountId;
use onhook_core::name::{self, ACCOUNT_NAME_MAX};
use onhook_store::StoreError;
use onhook_store::contract::accounts::{Altered, Held, NewAccount};
use onhook_wire::ops::accounts::{account, stays_open};
use serde::Deserialize;

use super::body::{self, Said, Why};
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page};
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

const ONE: &str = "/ops/v1/accounts/{account}";

/// The form of an account.
const ACCOUNT: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "name", "state", "numbers"], "properties": {
        "id": {"type": "string"}, "name": {"type": "string"},
        "kind": {"enum": ["end-user", "carrier", "reseller"]},
        "class": {"enum": ["residential", "business", "unknown"]}, "state": {"enum": ["open", "closed"]},
        "cancel_window_seconds": {"type": ["integer", "null"]}, "reports_rnd": {"type": "boolean"},
        "legal_name": {"type": ["string", "null"]}, "created_at": {"type": "string"},
        "numbers": {"type": "object"}}}"#,
    r#"{"id": "9900000", "name": "The guide's account", "kind": "end-user", "class": "unknown", "state": "open",
        "cancel_window_seconds": null, "reports_rnd": true, "legal_name": null,
        "created_at": "2026-11-24T03:49:04.152Z",
        "numbers": {"InService": 2, "Aging": 0, "Reserved": 0, "Protected": 0}}"#,
);
/// The form of a new account.
const NEW: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "name", "reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}, "id": {"type": "string"},
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "kind": {"enum": ["end-user", "carrier", "reseller"]},
        "class": {"enum": ["residential", "business", "unknown"]}}}"#,
    r#"{"reason": "a new customer", "id": "9900002", "name": "Another account", "kind": "end-user",
        "class": "business"}"#,
);
/// The form of a change.
const CHANGE: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "kind": {"enum": ["end-user", "carrier", "reseller"]},
        "class": {"enum": ["residential", "business", "unknown"]},
        "cancel_window_seconds": {"type": ["integer", "null"], "minimum": 0, "maximum": 86400},
        "reports_rnd": {"type": "boolean"}, "legal_name": {"type": ["string", "null"], "maxLength": 255}}}"#,
    r#"{"reason": "it has moved", "class": "unknown", "legal_name": "The guide's account, Inc."}"#,
);
/// A refusal to close an account.
const STAYS_OPEN: Told = Told::new(
    409,
    "The account has numbers in service, reserved or protected, or orders that have not ended: `numbers` counts them. \
     Nothing was done.",
);

pub(crate) fn routes() -> Vec<Route> {
    let list_doc = Doc::new("Lists accounts, by id.", Told::ok(body::LIST)).query(&PAGES);
    let make_doc = Doc::new("Makes an account.", Told::made(ACCOUNT))
        .takes(NEW)
        .or(Told::new(409, "There is or was an account with this id. Nothing was done."));
    let show_doc = Doc::new("Shows an account, with how many numbers it has.", Told::ok(ACCOUNT));
    let change_doc = Doc::new(
        "Changes an account: what the body leaves out stays, null clears. Kind and class hold for what happens later.",
        Told::ok(ACCOUNT),
    )
    .takes(CHANGE);
    let close_doc = Doc::new(
        "Closes an account: nobody signs in to it, no number becomes its own, and those that age run out.",
        Told::ok(ACCOUNT),
    )
    .takes(body::WHY)
    .or(STAYS_OPEN);
    let reopen_doc = Doc::new("Opens a closed account again.", Told::ok(ACCOUNT)).takes(body::WHY);
    let (get, post, operator) = (Method::GET, Method::POST, Needs::Operator);
    vec![
        door::route(get.clone(), "/ops/v1/accounts", operator, list_doc, list),
        door::route(post.clone(), "/ops/v1/accounts", operator, make_doc, make),
        door::route(get, ONE, Needs::Account(Role::Read), show_doc, show),
        door::route(Method::PATCH, ONE, operator, change_doc, change),
        door::route(post.clone(), "/ops/v1/accounts/{account}/close", operator, close_doc, close),
        door::route(post, "/ops/v1/accounts/{account}/reopen", operator, reopen_doc, reopen),
    ]
}

/// Returns the account in a path that only operators ask.
fn account_of(call: &Call) -> Result<AccountId, OpsProblem> {
    call.param("account").parse().map_err(|_| Refusal::NoResource.into())
}

fn shown((one, holdings): &Held) -> Reply {
    Reply::json(StatusCode::OK, &account(one, holdings))
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let page = Page::read(&app, &call, "accounts")?;
    let after = page.after.as_deref().and_then(|key| key.parse().ok());
    let mut found = app.store.accounts_held(after, page.limit.saturating_add(1)).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|(one, _)| one.id.to_string());
    let items = found.iter().map(|(one, holdings)| account(one, holdings)).collect();
    Ok(Reply::json(StatusCode::OK, &page.document(items, next)))
}

/// A new account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    reason: Option<String>,
    id: Option<String>,
    name: Option<String>,
    kind: Option<AccountKind>,
    class: Option<Class>,
}

async fn make(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let New { reason, id, name, kind, class } = body::read(&call)?;
    let doer = body::doer(&app, &call, reason.as_deref())?;
    let wrong_id = || body::wrong("/id", "id is a whole number from 1 to 4294967295, as a text".into());
    let id: AccountId = id.and_then(|id| id.parse().ok()).ok_or_else(wrong_id)?;
    let name = name.ok_or_else(|| body::wrong("/name", "an account has a name".into()))?;
    name::check(&name, ACCOUNT_NAME_MAX).map_err(|bad| body::wrong("/name", bad.to_string()))?;
    let (kind, class) = (kind.unwrap_or(AccountKind::EndUser), class.unwrap_or(Class::Unknown));
    let reply = |made: &Account| {
        let reply = Reply::json(StatusCode::CREATED, &account(made, &Holdings::default()));
        reply.with(header::LOCATION, &format!("/ops/v1/accounts/{}", made.id))
    };
    let once = call.once(doer.now, move |made: &Account| Some(reply(made)));
    let made = app.store.make_account(NewAccount { id, name, kind, class }, once, doer).await;
    let made = made.map_err(|error| match error {
        StoreError::Conflict(why) => OpsProblem::new(Code::AccountExists, why),
        error => error.into(),
    })?;
    Ok(reply(&made))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let found = app.store.account_held(account_of(&call)?).await?;
    Ok(shown(&found.ok_or(Refusal::NoResource)?))
}

/// A change of an account. A key that is null clears.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    reason: Option<String>,
    #[serde(default)]
    name: Said<String>,
    #[serde(default)]
    kind: Said<AccountKind>,
    #[serde(default)]
    class: Said<Class>,
    #[serde(default)]
    cancel_window_seconds: Said<u32>,
    #[serde(default)]
    reports_rnd: Said<bool>,
    #[serde(default)]
    legal_name: Said<String>,
}

async fn change(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Change { reason, name, kind, class, cancel_window_seconds, reports_rnd, legal_name } =
        body::read(&call)?;
    let change = AccountChange {
        name: name.value("/name")?,
        kind: kind.value("/kind")?,
        class: class.value("/class")?,
        cancel_window_seconds: cancel_window_seconds.said(),
        // Nothing said is as at the beginning: the operator reports.
        reports_rnd: reports_rnd.said().map(|said| said.unwrap_or(true)),
        legal_name: legal_name.said(),
    };
    change.check().map_err(|(at, rule)| body::wrong(&format!("/{at}"), rule))?;
    alter(&app, &call, AccountAct::Change(change), reason).await
}

async fn close(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Why { reason } = body::read(&call)?;
    let reply = alter(&app, &call, AccountAct::Close, reason).await?;
    end_sign_ins(&app, account_of(&call)?).await;
    Ok(reply)
}

async fn reopen(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Why { reason } = body::read(&call)?;
    let reply = alter(&app, &call, AccountAct::Reopen, reason).await?;
    end_sign_ins(&app, account_of(&call)?).await;
    Ok(reply)
}

/// Does an act on the account in the path, and returns the account as it then is.
async fn alter(
    app: &Arc<App>,
    call: &Call,
    act: AccountAct,
    reason: Option<String>,
) -> Result<Reply, OpsProblem> {
    let id = account_of(call)?;
    let doer = body::doer(app, call, reason.as_deref())?;
    let once = call.once(doer.now, |altered: &Altered| match altered {
        Altered::Done(held) => Some(shown(held)),
        Altered::Unknown | Altered::StaysOpen(_) => None,
    });
    let altered = app.store.alter_account(id, act, once, doer).await.map_err(|error| match error {
        StoreError::Conflict(why) => OpsProblem::new(Code::ImportRunning, why),
        error => error.into(),
    })?;
    match altered {
        Altered::Done(held) => Ok(shown(&held)),
        Altered::Unknown => Err(Refusal::NoResource.into()),
        Altered::StaysOpen(why) => {
            let (detail, counts) = stays_open(&why);
            Err(OpsProblem::new(Code::AccountHasNumbers, detail).with("numbers", counts))
        }
    }
}

/// Forgets what is remembered of an account's users: whether they may sign in has changed. Other nodes look within two
/// seconds, and so does this one if its store cannot be read now.
async fn end_sign_ins(app: &App, account: AccountId) {
    for user in app.store.users_of(account).await.unwrap_or_default() {
        app.auth.forget(&user.name);
    }
}
