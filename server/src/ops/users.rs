//! Users: who signs in, and what they may do.
//!
//! An account's administrators make and change its users, operators those of every account. Operators themselves are
//! made, changed and removed on the machine itself. The rules are `core`'s, asked in the transaction that writes.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use onhook_core::account::Role;
use onhook_core::account::user::{
    NAME_RULE, PASSWORD_RULE, Right, Rights, UserRefusal, folded, is_name, is_password,
};
use onhook_core::lifecycle::provenance::Doer;
use onhook_store::StoreError;
use onhook_store::contract::page::LIST_MAX;
use onhook_store::contract::users::{NewUser, User, UserChange, UserChanged};
use onhook_wire::ops::users::user as shown_as;
use onhook_wire::query::encode;
use serde::Deserialize;
use serde_json::Value;
use tracing::info;

use super::body::{self, Said};
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, value};
use super::problem::Code;
use crate::app::App;
use crate::http::auth::Refused;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

const ONE: &str = "/ops/v1/users/{user}";

/// The form of a user.
const USER: Shape = Shape::json(
    r#"{"type": "object", "required": ["name", "account", "role", "rights", "created_at"], "properties": {
        "name": {"type": "string"}, "account": {"type": ["string", "null"]},
        "role": {"enum": ["read", "order", "admin", "operator"]},
        "rights": {"type": "array", "items": {"enum": ["unlock", "calls", "changed_hands"]}},
        "created_at": {"type": "string"}}}"#,
    r#"{"name": "orders", "account": "9900000", "role": "order", "rights": ["unlock"],
        "created_at": "2026-11-24T03:49:04.152Z"}"#,
);
/// The form of a new user.
const NEW: Shape = Shape::json(
    r#"{"type": "object", "required": ["name", "password", "role", "reason"], "additionalProperties": false,
        "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "name": {"type": "string", "minLength": 1, "maxLength": 255},
        "password": {"type": "string", "minLength": 8, "maxLength": 1024},
        "account": {"type": ["string", "null"]}, "role": {"enum": ["read", "order", "admin", "operator"]},
        "rights": {"type": "array", "items": {"enum": ["unlock", "calls", "changed_hands"]}}}}"#,
    r#"{"reason": "a program of theirs", "name": "orders", "password": "correct horse battery",
        "account": "9900000", "role": "order", "rights": []}"#,
);
/// The form of a change.
const CHANGE: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "password": {"type": "string", "minLength": 8, "maxLength": 1024},
        "role": {"enum": ["read", "order", "admin", "operator"]},
        "rights": {"type": "array", "items": {"enum": ["unlock", "calls", "changed_hands"]}}}}"#,
    r#"{"reason": "they only read from now on", "role": "read"}"#,
);
const ACCOUNT: Parameter = Parameter::new("account", Form::Text("9900000"), "only users of this account");
/// The refusal of a token, and what the rules refuse.
const FORBIDDEN: Told = Told::new(
    403,
    "The caller may not do this (`forbidden`), signed in with a token (`password_needed`), or would give themselves a \
     right (`same_person`).",
);
/// A refusal by the state of the account's users.
const CONFLICT: Told = Told::new(
    409,
    "It is the account's only administrator (`last_admin`), or the name is taken (`user_exists`).",
);

pub(crate) fn routes() -> Vec<Route> {
    let list_doc = Doc::new("Lists users, by name.", Told::ok(body::LIST)).query(&[ACCOUNT]).query(&PAGES);
    let make_doc = Doc::new(
        "Makes a user, who may do no more than the caller. Operators are made on the machine itself alone.",
        Told::made(USER),
    )
    .takes(NEW)
    .or(FORBIDDEN)
    .or(CONFLICT)
    .strangers(403);
    let show_doc = Doc::new("Shows a user.", Told::ok(USER)).strangers(404);
    let change_doc = Doc::new(
        "Gives a user another password, role or rights: what the body leaves out stays. It holds from the next request \
         on, on other servers of the database within two seconds.",
        Told::ok(USER),
    )
    .takes(CHANGE)
    .or(FORBIDDEN)
    .or(CONFLICT)
    .strangers(404);
    let remove_doc = Doc::new("Removes a user, but not the last administrator.", Told::GONE)
        .query(&[body::REASON])
        .or(FORBIDDEN)
        .or(CONFLICT)
        .strangers(404);
    let (get, admin) = (Method::GET, Needs::Role(Role::Admin));
    vec![
        door::route(get.clone(), "/ops/v1/users", Needs::Caller, list_doc, list),
        door::route(Method::POST, "/ops/v1/users", admin, make_doc, make),
        door::route(get, ONE, Needs::Caller, show_doc, show),
        door::route(Method::PATCH, ONE, admin, change_doc, change),
        door::route(Method::DELETE, ONE, admin, remove_doc, remove),
    ]
}

fn shown(user: &User) -> Value {
    shown_as(&user.name, user.account, user.role, user.rights, user.created_at)
}

/// Returns the user in a path, if its caller may see it.
async fn find(app: &App, call: &Call) -> Result<User, OpsProblem> {
    let found = app.store.user(call.param("user")).await?;
    let seen = found.filter(|user| call.caller.account.is_none_or(|own| user.account == Some(own)));
    seen.ok_or_else(|| Refusal::NoResource.into())
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let account = body::account(&call.caller, "account", value(&call, "account"))?;
    let page = Page::read(&app, &call, "users")?;
    let after = page.after.as_deref().map(folded);
    let mut found = match account {
        Some(account) => app.store.users_of(account).await?,
        None => app.store.users().await?,
    };
    found.retain(|user| after.as_ref().is_none_or(|after| folded(&user.name) > *after));
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|user| user.name.clone());
    Ok(Reply::json(StatusCode::OK, &page.document(found.iter().map(shown).collect(), next)))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    Ok(Reply::json(StatusCode::OK, &shown(&find(&app, &call).await?)))
}

/// A new user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    reason: Option<String>,
    name: Option<String>,
    password: Option<String>,
    account: Option<String>,
    role: Option<Role>,
    #[serde(default)]
    rights: Vec<Right>,
}

/// Returns the hash of a new password.
async fn hash(app: &App, password: String) -> Result<String, OpsProblem> {
    if !is_password(&password) {
        return Err(body::wrong("/password", PASSWORD_RULE.into()));
    }
    app.auth.hash(password).await.map_err(|refused| match refused {
        Refused::Failed(refusal) => refusal.into(),
        _ => Refusal::Busy.into(),
    })
}

async fn make(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let New { reason, name, password, account, role, rights } = body::read(&call)?;
    body::by_password(&call)?;
    let account = body::account(&call.caller, "/account", account.as_deref())?;
    let doer = body::doer(&app, &call, reason.as_deref())?;
    let missing = |at: &str| body::wrong(at, "it is missing".into());
    let name = name.ok_or_else(|| missing("/name"))?;
    if !is_name(&name) {
        return Err(body::wrong("/name", NAME_RULE.into()));
    }
    let role = role.ok_or_else(|| missing("/role"))?;
    let password_hash = hash(&app, password.ok_or_else(|| missing("/password"))?).await?;
    let rights: Rights = rights.into_iter().collect();
    let reply = {
        let (name, now) = (name.clone(), doer.now);
        move || {
            let reply = Reply::json(StatusCode::CREATED, &shown_as(&name, account, role, rights, now));
            reply.with(header::LOCATION, &format!("/ops/v1/users/{}", encode(&name)))
        }
    };
    let once = call.once(doer.now, {
        let reply = reply.clone();
        move |made: &UserChanged| (*made == UserChanged::Done).then(&reply)
    });
    let new = NewUser { name: name.clone(), account, role, rights, password_hash };
    let made = app.store.make_user(call.asker(), new, once, doer).await;
    match made.map_err(|error| conflict(error, account.is_some()))? {
        UserChanged::Done => {
            info!(user.name = name, user.by = &*call.caller.user, "user {name} was made, role {role}");
            Ok(reply())
        }
        UserChanged::Refused(why) => Err(refused(why)),
    }
}

/// Returns the problem of a user who cannot be made: the name is taken, or there is no such account.
fn conflict(error: StoreError, has_account: bool) -> OpsProblem {
    match error {
        StoreError::Conflict(why) if has_account && why.starts_with("no account") => {
            body::wrong("/account", why)
        }
        StoreError::Conflict(why) => OpsProblem::new(Code::UserExists, why),
        error => error.into(),
    }
}

/// A change of a user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    reason: Option<String>,
    #[serde(default)]
    password: Said<String>,
    #[serde(default)]
    role: Said<Role>,
    #[serde(default)]
    rights: Said<Vec<Right>>,
}

async fn change(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Change { reason, password, role, rights } = body::read(&call)?;
    body::by_password(&call)?;
    let doer = body::doer(&app, &call, reason.as_deref())?;
    let user = find(&app, &call).await?;
    let password_hash = match password.value("/password")? {
        Some(password) => Some(hash(&app, password).await?),
        None => None,
    };
    let rights = rights.value("/rights")?.map(|rights| rights.into_iter().collect());
    let change = UserChange::Set { password_hash, role: role.value("/role")?, rights };
    write(&app, &call, user.name, change, doer).await?;
    Ok(Reply::json(StatusCode::OK, &shown(&find(&app, &call).await?)))
}

async fn remove(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    body::by_password(&call)?;
    let doer = body::doer(&app, &call, value(&call, "reason"))?;
    let user = find(&app, &call).await?;
    write(&app, &call, user.name, UserChange::Removed, doer).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Changes a user, and forgets what was remembered of it, so that the change holds from the next request on. It runs in
/// a task of its own, since the client may hang up in between.
async fn write(
    app: &Arc<App>,
    call: &Call,
    name: String,
    change: UserChange,
    doer: Doer,
) -> Result<(), OpsProblem> {
    let (app, asker, by) = (app.clone(), call.asker(), call.caller.user.clone());
    let task = tokio::spawn(async move {
        let changed = app.store.change_user(asker, name.clone(), change, doer).await;
        match changed {
            Ok(UserChanged::Done) => {
                app.auth.forget(&name);
                info!(user.name = name, user.by = &*by, "user {name} was changed or removed");
            }
            Err(StoreError::Broken(_)) => app.auth.forget(&name), // it may have been written
            Ok(UserChanged::Refused(_)) | Err(_) => {}
        }
        changed
    });
    match task.await.map_err(|_| Refusal::Failed)?? {
        UserChanged::Done => Ok(()),
        UserChanged::Refused(why) => Err(refused(why)),
    }
}

fn refused(why: UserRefusal) -> OpsProblem {
    match why {
        UserRefusal::NoUser => Refusal::NoResource.into(),
        UserRefusal::Forbidden => Refusal::Denied.into(),
        UserRefusal::Misfit => body::wrong(
            "/role",
            "an operator has no account and all rights, and every other user has an account".into(),
        ),
        UserRefusal::SamePerson => OpsProblem::new(Code::SamePerson, "nobody gives themselves a right"),
        UserRefusal::LastAdmin => OpsProblem::new(
            Code::LastAdmin,
            "the user is the only administrator of the account: make another one first",
        ),
        UserRefusal::Full => {
            body::wrong("/account", format!("the account has {LIST_MAX} users, and that is the most"))
        }
    }
}
