//! Orders that move numbers to another site or peer of their account.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::Role;
use onhook_core::order::{Kind, Request};
use onhook_wire::error::Problem;
use onhook_wire::moves::{self, FAMILY, REQUEST};

use super::call::Call;
use super::door::Route;
use super::order::{self, PAST_PLAIN};
use super::reply::created;
use crate::app::App;
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

const KIND: Kind = Kind::Move;
/// Most orders on a page.
const SIZE_MAX: u32 = 1_000;

pub(crate) fn routes() -> Vec<Route> {
    let (read, order) = (Needs::Account(Role::Read), Needs::Account(Role::Order));
    let past = (Group::History, FAMILY);
    vec![
        Route::post("/accounts/{account}/movetns", order, (Group::Order, FAMILY), create).takes(REQUEST),
        Route::get("/accounts/{account}/movetns", read, past, |app, call| {
            order::list(app, call, KIND, SIZE_MAX)
        }),
        Route::get("/accounts/{account}/movetns/{order}", read, past, show),
        Route::get("/accounts/{account}/movetns/{order}/history", read, PAST_PLAIN, |app, call| {
            order::history(app, call, KIND)
        }),
    ]
}

/// Accepts an order: 201 once it is durable. The site and peer must be the account's now. The owner of the numbers is
/// checked when it runs.
async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let post = moves::read(&*order::document(&call)?, call.account()?)?;
    order::place_exists(&app, &call, post.move_numbers.site, post.move_numbers.peer).await?;
    let request = Request::Move(post.move_numbers);
    let accepted = order::accept(&app, &call, None, post.customer_order_id, request).await?;
    let body = moves::received(accepted.id, &accepted.order, call.prefix.dialect)?;
    Ok(created(&accepted.location, body))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let order = order::find(&app, &call, KIND).await?;
    Ok(Reply::xml(StatusCode::OK, moves::show(&order, call.prefix.dialect)?))
}
