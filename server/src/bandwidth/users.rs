//! Users: who signs in to an account, and what they may do.
//!
//! Bandwidth's documents show how users are listed and how a password is changed. Making, changing and removing users
//! over HTTP is beyond its API.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::Role;
use onhook_core::account::user::{Asker, Rights, UserRefusal, folded};
use onhook_core::ids::AccountId;
use onhook_store::StoreError;
use onhook_store::contract::page::LIST_MAX;
use onhook_store::contract::users::{NewUser, User, UserChange, UserChanged};
use onhook_wire::error::{Problem, cut};
use onhook_wire::query::encode;
use onhook_wire::users::{self, FAMILY, LIST_FAMILY};
use tracing::info;

use super::call::Call;
use super::door::{Route, example};
use super::paging::{self, parsed};
use super::reply::{created, store_problem};
use crate::app::App;
use crate::http::auth::{Refused, is_token};
use crate::http::doc::{Doc, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

/// The refusal of a token where a password is needed.
const PASSWORD_NEEDED: Told =
    Told::new(403, "The caller may not do this, or has signed in with a token instead of a password.");

pub(crate) fn routes() -> Vec<Route> {
    let (read, admin) = (Needs::Account(Role::Read), Needs::Account(Role::Admin));
    let (one, many) = ((Group::Free, FAMILY), (Group::Free, LIST_FAMILY));
    vec![
        Route::get(
            "/accounts/{account}/users",
            read,
            many,
            Doc::new("Lists the account's users.", Told::ok(example!("users"))),
            list,
        ),
        Route::post(
            "/accounts/{account}/users",
            admin,
            one,
            Doc::new(
                "Makes a user of the account, who may do no more than the caller.",
                Told::made(example!("user")),
            )
            .or(PASSWORD_NEEDED),
            create,
        )
        .takes(users::REQUEST, example!("user_request")),
        Route::get(
            "/accounts/{account}/users/{user}",
            read,
            one,
            Doc::new("Shows a user.", Told::ok(example!("user"))),
            show,
        ),
        Route::put(
            "/accounts/{account}/users/{user}",
            admin,
            one,
            Doc::new("Gives a user another password, another role, or both.", Told::ok(example!("user")))
                .or(PASSWORD_NEEDED),
            change,
        )
        .takes(users::REQUEST, example!("user_change")),
        Route::delete(
            "/accounts/{account}/users/{user}",
            admin,
            one,
            Doc::new("Removes a user, but not the last administrator.", Told::DONE).or(PASSWORD_NEEDED),
            remove,
        ),
        Route::get(
            "/users",
            Needs::Caller,
            many,
            Doc::new(
                "Lists the users of the caller's account, or for an operator of the account that is named.",
                Told::ok(example!("users")),
            )
            .query(&[paging::ACCOUNT])
            .strangers(403),
            list_own,
        ),
        Route::put(
            "/users/{user}/password",
            Needs::Caller,
            one,
            Doc::new("Gives the caller, or a user of the caller's account, another password.", Told::DONE)
                .or(PASSWORD_NEEDED),
            change_password,
        )
        .takes(users::REQUEST, example!("user_password")),
    ]
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    of(&app, call.account()?).await
}

/// Returns the users of the caller's account, or for an operator those of the named account.
async fn list_own(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let named: Option<AccountId> = parsed(&call.query, "accountId")?;
    let account = match (call.caller.account, named) {
        (Some(own), Some(named)) if own != named => return Err(Problem::NotYourAccount(named.to_string())),
        (Some(own), _) => own,
        (None, Some(named)) => named,
        (None, None) => return Err(Problem::Required("accountId")),
    };
    of(&app, account).await
}

async fn of(app: &App, account: AccountId) -> Result<Reply, Problem> {
    let found = app.store.users_of(account).await.map_err(store_problem)?;
    let shown = found.iter().map(|user| (user.name.as_str(), user.role));
    Ok(Reply::xml(StatusCode::OK, users::list(shown)))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let user = find(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, users::one(&user.name, user.role)))
}

/// Makes a user of the account. The user may do no more than the caller, and is no operator.
async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    by_password(&call)?;
    let account = call.account()?;
    let said = users::read(&*call.document()?)?;
    let name = said.name.ok_or(Problem::Required("Username"))?;
    let password = said.password.ok_or(Problem::Required("Password"))?;
    let role = said.role.ok_or(Problem::Required("Roles"))?;
    let password_hash = hash(&app, password).await?;
    let rights = Rights::NONE;
    let user = NewUser { name: name.clone(), account: Some(account), role, rights, password_hash };
    let made = app.store.make_user(call.asker(), user, None, call.doer(app.clock.now())).await;
    let made = made.map_err(|error| match error {
        StoreError::Conflict(_) => Problem::Exists(cut(&name)),
        error => store_problem(error),
    })?;
    if let UserChanged::Refused(why) = made {
        return Err(refused(why));
    }
    info!(user.name = name, user.by = &*call.caller.user, "user {name} was made, role {role}");
    let (base, prefix) = (&app.public_url, call.prefix.text);
    let location = format!("{base}{prefix}/accounts/{account}/users/{}", encode(&name));
    Ok(created(&location, users::one(&name, role)))
}

/// Gives a user another password, another role, or both.
async fn change(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    by_password(&call)?;
    let user = find(&app, &call).await?;
    let said = users::read(&*call.document()?)?;
    if said.name.is_some_and(|name| folded(&name) != folded(&user.name)) {
        return Err(Problem::IdNotAllowed);
    }
    let password_hash = match said.password {
        Some(password) => Some(hash(&app, password).await?),
        None => None,
    };
    write(&app, &call, &user.name, UserChange::Set { password_hash, role: said.role, rights: None }).await?;
    let user = find(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, users::one(&user.name, user.role)))
}

async fn remove(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    by_password(&call)?;
    let user = find(&app, &call).await?;
    write(&app, &call, &user.name, UserChange::Removed).await?;
    Ok(Reply::empty(StatusCode::OK))
}

/// Gives a user another password: the caller, or a user of the caller's account if the caller may do that.
async fn change_password(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    by_password(&call)?;
    let name = call.param("user");
    let password = users::read_password(&*call.document()?)?;
    let hash = hash(&app, password).await?;
    write(&app, &call, name, UserChange::Set { password_hash: Some(hash), role: None, rights: None }).await?;
    Ok(Reply::empty(StatusCode::OK))
}

/// Refuses a token. A stolen token must be good for an hour, not for ever. So it sets no password, makes no user who
/// would outlast it, and changes no role.
fn by_password(call: &Call) -> Result<(), Problem> {
    if is_token(&call.headers) { Err(Problem::AccessDenied) } else { Ok(()) }
}

/// Returns the hash of a user's new password.
async fn hash(app: &App, password: String) -> Result<String, Problem> {
    app.auth.hash(password).await.map_err(|refused| match refused {
        Refused::Failed(refusal) => refusal.into(),
        _ => Problem::Busy,
    })
}

/// Changes a user, and forgets what was remembered of it, so that the change holds from the next request on. It runs in
/// a task of its own, since the client may hang up in between.
async fn write(app: &Arc<App>, call: &Call, name: &str, change: UserChange) -> Result<(), Problem> {
    let (doer, by) = (call.doer(app.clock.now()), call.caller.user.clone());
    let (app, name) = (app.clone(), name.to_owned());
    let task = tokio::spawn(async move {
        let what = what(&change);
        let changed = app.store.change_user(Asker::User(by.to_string()), name.clone(), change, doer).await;
        match changed {
            Ok(UserChanged::Done) => {
                app.auth.forget(&name);
                info!(user.name = name, user.by = &*by, "user {name} {what}");
            }
            Err(StoreError::Broken(_)) => app.auth.forget(&name), // it may have been written
            Ok(UserChanged::Refused(_)) | Err(_) => {} // nobody was changed, and whose name this is is none of the caller's
        }
        changed
    });
    let changed = task.await.map_err(|_| Problem::Internal)?;
    match changed.map_err(store_problem)? {
        UserChanged::Done => Ok(()),
        UserChanged::Refused(why) => Err(refused(why)),
    }
}

/// Returns the log's text for a change.
fn what(change: &UserChange) -> String {
    match change {
        UserChange::Removed => "was removed".to_owned(),
        UserChange::Set { password_hash, role, .. } => {
            let password = password_hash.as_ref().map(|_| "has another password".to_owned());
            let role = role.map(|role| format!("has the role {role}"));
            password.into_iter().chain(role).collect::<Vec<_>>().join(" and ")
        }
    }
}

/// Returns the user that the path names, if it belongs to the path's account.
async fn find(app: &App, call: &Call) -> Result<User, Problem> {
    let account = call.account()?;
    let found = app.store.user(call.param("user")).await.map_err(store_problem)?;
    found.filter(|user| user.account == Some(account)).ok_or(Problem::NoUser)
}

fn refused(why: UserRefusal) -> Problem {
    match why {
        UserRefusal::NoUser => Problem::NoUser,
        UserRefusal::Forbidden | UserRefusal::Misfit | UserRefusal::SamePerson => Problem::AccessDenied,
        UserRefusal::Full => {
            Problem::Conflict(format!("the account has {LIST_MAX} users, and that is the most"))
        }
        UserRefusal::LastAdmin => Problem::Conflict(
            "The user is the only administrator of the account. Make another one first.".into(),
        ),
    }
}
