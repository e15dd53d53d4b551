//! Orders that move numbers to another site or peer of their account.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::Role;
use onhook_core::order::{Kind, Request};
use onhook_wire::error::Problem;
use onhook_wire::moves::{self, FAMILY, REQUEST};

use super::call::Call;
use super::door::{Route, example};
use super::order::{self, PAST_PLAIN};
use super::paging;
use super::reply::created;
use crate::app::App;
use crate::http::doc::{Doc, Told};
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
        Route::post(
            "/accounts/{account}/movetns",
            order,
            (Group::Order, FAMILY),
            Doc::new(
                "Takes an order that moves numbers to another site or SIP peer of the account.",
                Told::made(example!("move_received")),
            )
            .keyed()
            .or(order::KEY_REUSED),
            create,
        )
        .takes(REQUEST, example!("move_request")),
        Route::get(
            "/accounts/{account}/movetns",
            read,
            past,
            Doc::new("Lists the account's move orders, the newest first.", Told::ok(example!("moves")))
                .query(&order::filters(KIND))
                .query(&paging::pages(SIZE_MAX)),
            |app, call| order::list(app, call, KIND, SIZE_MAX),
        ),
        Route::get(
            "/accounts/{account}/movetns/{order}",
            read,
            past,
            Doc::new("Shows a move order.", Told::ok(example!("move"))),
            show,
        ),
        Route::get(
            "/accounts/{account}/movetns/{order}/history",
            read,
            PAST_PLAIN,
            Doc::new("Shows what became of a move order, and when.", Told::ok(example!("order_history"))),
            |app, call| order::history(app, call, KIND),
        ),
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
    let order = order::read(&app, &call, KIND).await?;
    Ok(Reply::xml(StatusCode::OK, moves::show(&order, call.prefix.dialect)?))
}
