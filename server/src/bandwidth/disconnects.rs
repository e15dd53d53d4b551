//! Disconnect orders.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::account::Role;
use onhook_core::order::{Kind, Request};
use onhook_wire::disconnects::{self, Draft, FAMILY};
use onhook_wire::error::Problem;
use onhook_wire::{notes, xml};

use super::order;
use crate::App;
use crate::reply::Reply;
use crate::route::{Call, Group, Needs, Route};

/// Most orders on a page.
const SIZE_MAX: u32 = 5_000;

pub(crate) fn routes() -> Vec<Route> {
    use Needs::Account;
    let (post, get, put) = (Method::POST, Method::GET, Method::PUT);
    let notes_path = "/accounts/{account}/disconnects/{order}/notes";
    vec![
        Route::api(
            post.clone(),
            "/accounts/{account}/disconnects",
            Account(Role::Order),
            Group::Disconnect,
            FAMILY,
            create,
        ),
        Route::api(
            get.clone(),
            "/accounts/{account}/disconnects",
            Account(Role::Read),
            Group::History,
            FAMILY,
            list,
        ),
        Route::api(
            get.clone(),
            "/accounts/{account}/disconnects/{order}",
            Account(Role::Read),
            Group::History,
            FAMILY,
            show,
        ),
        Route::api(get, notes_path, Account(Role::Read), Group::History, notes::FAMILY, |app, call| {
            order::notes(app, call, Kind::Disconnect)
        }),
        Route::api(post, notes_path, Account(Role::Order), Group::Disconnect, notes::FAMILY, |app, call| {
            order::write_note(app, call, Kind::Disconnect)
        }),
        Route::api(
            put,
            "/accounts/{account}/disconnects/{order}/notes/{note}",
            Account(Role::Order),
            Group::Disconnect,
            notes::FAMILY,
            |app, call| order::write_note(app, call, Kind::Disconnect),
        ),
    ]
}

/// Accepts a disconnect order: 201 once it is durable. Whose the numbers are is judged when it runs.
async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let root = xml::parse(&call.body)?;
    let draft = Draft::read(&root)?;
    let dialect = call.prefix.dialect;
    let post = match draft.check(dialect, call.caller.role) {
        Ok(post) => post,
        Err(problem) => return Ok(Reply::refused(&problem, draft.refused(&problem, app.clock.now()))),
    };
    let request = Request::Disconnect(post.disconnect);
    let accepted = order::accept(&app, &call, post.name, post.customer_order_id, request).await?;
    let body = disconnects::received(accepted.id, &accepted.order, dialect)?;
    Ok(order::created(&accepted.location, body))
}

/// One order. `tndetail` is taken, and changes nothing: no source shows more detail.
async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    call.query.flag("tndetail", false)?;
    let order = order::find(&app, &call, Kind::Disconnect).await?;
    Ok(Reply::xml(StatusCode::OK, disconnects::show(&order, call.prefix.dialect)?))
}

/// The account's orders, newest first.
async fn list(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    order::list(app, call, Kind::Disconnect, SIZE_MAX).await
}
