//! Number orders for existing numbers: activation, and how a former account takes a number back.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::account::{NoPlace, Role};
use onhook_core::order::{Activate, Kind, Request};
use onhook_wire::error::Problem;
use onhook_wire::orders::{self, Draft, FAMILY};
use onhook_wire::{notes, xml};

use super::order;
use crate::App;
use crate::reply::{Reply, store_problem};
use crate::route::{Call, Group, Needs, Route};

/// Most orders on a page.
const SIZE_MAX: u32 = 1_000;

pub(crate) fn routes() -> Vec<Route> {
    use Needs::Account;
    let (post, get) = (Method::POST, Method::GET);
    let notes_path = "/accounts/{account}/orders/{order}/notes";
    vec![
        Route::api(
            post.clone(),
            "/accounts/{account}/orders",
            Account(Role::Order),
            Group::Order,
            FAMILY,
            create,
        ),
        Route::api(
            get.clone(),
            "/accounts/{account}/orders",
            Account(Role::Read),
            Group::History,
            FAMILY,
            list,
        ),
        Route::api(
            get.clone(),
            "/accounts/{account}/orders/{order}",
            Account(Role::Read),
            Group::History,
            FAMILY,
            show,
        ),
        Route::api(get, notes_path, Account(Role::Read), Group::History, notes::FAMILY, |app, call| {
            order::notes(app, call, Kind::Number)
        }),
        Route::api(post, notes_path, Account(Role::Order), Group::Order, notes::FAMILY, |app, call| {
            order::write_note(app, call, Kind::Number)
        }),
    ]
}

/// Accepts an order for numbers that it names: 201 once it is durable. The site and peer must be the
/// account's now; whether the numbers can be had is judged when it runs.
async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let root = xml::parse(&call.body)?;
    let draft = Draft::read(&root)?;
    let dialect = call.prefix.dialect;
    let checked = match draft.check(dialect) {
        Ok(post) => place_exists(&app, &call, &post.activate).await.map(|()| post),
        Err(problem) => Err(problem),
    };
    let post = match checked {
        Ok(post) => post,
        Err(problem) => return Ok(Reply::refused(&problem, draft.refused(&problem, app.clock.now()))),
    };
    let request = Request::Activate(post.activate);
    let accepted = order::accept(&app, &call, post.name, post.customer_order_id, request).await?;
    let body = orders::received(accepted.id, &accepted.order, dialect)?;
    Ok(order::created(&accepted.location, body))
}

async fn place_exists(app: &App, call: &Call, activate: &Activate) -> Result<(), Problem> {
    let account = call.account()?;
    let found = app.store.account(account).await.map_err(store_problem)?;
    let (_, premises) = found.ok_or(Problem::NoResource)?;
    match premises.place(account, activate.site, activate.peer) {
        Ok(_) => Ok(()),
        Err(NoPlace::Site) => Err(Problem::Site),
        Err(NoPlace::Peer) => Err(Problem::Peer),
        Err(NoPlace::DefaultPeer) => Err(Problem::NoDefaultPeer),
    }
}

/// One order. `tndetail` is taken, and changes nothing.
async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    call.query.flag("tndetail", false)?;
    let order = order::find(&app, &call, Kind::Number).await?;
    Ok(Reply::xml(StatusCode::OK, orders::show(&order, call.prefix.dialect)?))
}

/// The account's orders, newest first.
async fn list(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    order::list(app, call, Kind::Number, SIZE_MAX).await
}
