//! Number orders: an account activates numbers by name or by a search, or takes back a number it had before.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::Role;
use onhook_core::order::{Kind, Request, Wanted};
use onhook_store::contract::orders::Amended;
use onhook_wire::error::Problem;
use onhook_wire::lists::{self, By};
use onhook_wire::notes;
use onhook_wire::orders::{self, Details, Draft, FAMILY, Post};

use super::call::Call;
use super::door::{Route, example};
use super::order::{self, PAST_PLAIN};
use super::paging;
use super::reply::{created, refused, store_problem};
use crate::app::App;
use crate::http::doc::{Doc, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

const KIND: Kind = Kind::Number;
/// Most orders on a page.
const SIZE_MAX: u32 = 1_000;

pub(crate) fn routes() -> Vec<Route> {
    let (read, order) = (Needs::Account(Role::Read), Needs::Account(Role::Order));
    let past = (Group::History, FAMILY);
    let (past_notes, new_notes) = ((Group::History, notes::FAMILY), (Group::Order, notes::FAMILY));
    vec![
        Route::post(
            "/accounts/{account}/orders",
            order,
            (Group::Order, FAMILY),
            Doc::new(
                "Takes an order for numbers, by name or by a search.",
                Told::made(example!("order_received")),
            )
            .keyed()
            .or(order::KEY_REUSED),
            create,
        )
        .takes(orders::REQUEST, example!("order_request")),
        Route::get(
            "/accounts/{account}/orders",
            read,
            past,
            Doc::new("Lists the account's number orders, the newest first.", Told::ok(example!("orders")))
                .query(&order::filters(KIND))
                .query(&paging::pages(SIZE_MAX)),
            |app, call| order::list(app, call, KIND, SIZE_MAX),
        ),
        Route::get(
            "/accounts/{account}/orders/totals",
            read,
            past,
            Doc::new("Counts the account's number orders.", Told::ok(example!("order_count")))
                .query(&order::filters(KIND)),
            |app, call| order::totals(app, call, KIND),
        ),
        Route::get(
            "/accounts/{account}/orders/{order}",
            read,
            past,
            Doc::new(
                "Shows a number order, with the numbers that it has brought.",
                Told::ok(example!("order")),
            )
            .query(&[order::DETAIL]),
            show,
        ),
        Route::put(
            "/accounts/{account}/orders/{order}",
            order,
            (Group::Order, FAMILY),
            Doc::new(
                "Changes a number order that waits for numbers, or closes it.",
                Told::ok(example!("order_amended")),
            ),
            amend,
        )
        .takes(orders::REQUEST, example!("order_amendment")),
        Route::get(
            "/accounts/{account}/orders/{order}/history",
            read,
            PAST_PLAIN,
            Doc::new("Shows what became of a number order, and when.", Told::ok(example!("order_history"))),
            |app, call| order::history(app, call, KIND),
        ),
        Route::get(
            "/accounts/{account}/orders/{order}/tns",
            read,
            past,
            Doc::new("Lists the numbers that an order has brought.", Told::ok(example!("order_numbers"))),
            numbers,
        ),
        Route::get(
            "/accounts/{account}/orders/{order}/areacodes",
            read,
            past,
            Doc::new(
                "Counts the numbers that an order has brought, by area code.",
                Told::ok(example!("order_area_codes")),
            ),
            |app, call| report(app, call, By::AreaCode),
        ),
        Route::get(
            "/accounts/{account}/orders/{order}/npanxx",
            read,
            past,
            Doc::new(
                "Counts the numbers that an order has brought, by exchange.",
                Told::ok(example!("order_exchanges")),
            ),
            |app, call| report(app, call, By::Exchange),
        ),
        Route::get(
            "/accounts/{account}/orders/{order}/totals",
            read,
            past,
            Doc::new("Counts the numbers that an order has brought.", Told::ok(example!("order_total"))),
            |app, call| report(app, call, By::Nothing),
        ),
        Route::get(
            "/accounts/{account}/orders/{order}/notes",
            read,
            past_notes,
            Doc::new("Lists the notes of a number order.", Told::ok(example!("notes"))),
            |app, call| order::notes(app, call, KIND),
        ),
        Route::post(
            "/accounts/{account}/orders/{order}/notes",
            order,
            new_notes,
            Doc::new("Adds a note to a number order.", Told::MADE),
            |app, call| order::write_note(app, call, KIND),
        )
        .takes(notes::REQUEST, example!("note_request")),
        Route::put(
            "/accounts/{account}/orders/{order}/notes/{note}",
            order,
            new_notes,
            Doc::new("Replaces a note of a number order.", Told::DONE),
            |app, call| order::write_note(app, call, KIND),
        )
        .takes(notes::REQUEST, example!("note_request")),
        Route::get(
            "/accounts/{account}/sites/{site}/orders",
            read,
            past,
            Doc::new("Lists the number orders for a site, the newest first.", Told::ok(example!("orders")))
                .query(&order::filters(KIND))
                .query(&paging::pages(SIZE_MAX)),
            |app, call| order::list(app, call, KIND, SIZE_MAX),
        ),
        Route::get(
            "/accounts/{account}/sites/{site}/orders/{order}",
            read,
            past,
            Doc::new("Shows a number order for a site.", Told::ok(example!("order"))).query(&[order::DETAIL]),
            show,
        ),
        Route::get(
            "/accounts/{account}/sites/{site}/orders/{order}/tns",
            read,
            past,
            Doc::new(
                "Lists the numbers that an order for a site has brought.",
                Told::ok(example!("order_numbers")),
            ),
            numbers,
        ),
    ]
}

/// Accepts an order: 201 once it is durable. The site and peer must be the account's now, and its reservations must
/// still hold. Whether the numbers can be had is checked when it runs.
async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let root = order::document(&call)?;
    let draft = Draft::read(&root)?;
    let dialect = call.prefix.dialect;
    let post = match judged(&app, &call, &draft).await {
        Ok(post) => post,
        Err(problem) => return Ok(refused(&problem, draft.refused(&problem, app.clock.now()))),
    };
    let request = Request::Activate(post.activate);
    let accepted = order::accept(&app, &call, post.name, post.customer_order_id, request).await?;
    let body = orders::received(accepted.id, &accepted.order, dialect)?;
    Ok(created(&accepted.location, body))
}

/// Returns the order as the store takes it, if its form is good and everything it names exists.
async fn judged(app: &App, call: &Call, draft: &Draft<'_>) -> Result<Post, Problem> {
    let mut post = draft.check()?;
    order::place_exists(app, call, post.activate.site, post.activate.peer).await?;
    if let Wanted::Named { numbers, reservations } = &mut post.activate.wanted {
        let account = call.account()?;
        for id in reservations {
            let found = app.store.reservation(account, *id).await.map_err(store_problem)?;
            let unknown = || Problem::UnknownReservation(id.to_string(), account.get());
            let number = found.ok_or_else(unknown)?.number;
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    Ok(post)
}

/// Changes an order that waits for numbers, or closes it.
async fn amend(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let amendment = orders::read_amendment(&*call.document()?)?;
    let (account, id, user) = (call.account()?, order::order_id(&call)?, call.caller.user.to_string());
    let amended = app.store.amend_order(account, id, amendment, user, app.clock.now()).await;
    app.deliveries_bell.notify_one(); // closing it is an end that subscribers are told of
    match amended.map_err(store_problem)? {
        Amended::NoOrder => Err(Problem::NoOrder),
        Amended::NotWaiting => Err(Problem::NotBackordered),
        Amended::Done(_) => Ok(Reply::xml(StatusCode::OK, orders::amended())),
    }
}

/// Returns one order. With `tndetail`, each number has its locality and vendor.
async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let in_detail = call.query.flag("tndetail", false)?;
    let order = order::read(&app, &call, KIND).await?;
    let details = if in_detail {
        let localities = app.store.localities(order.done().collect()).await.map_err(store_problem)?;
        Some(Details { vendor: app.settings.vendor.clone(), localities: localities.into_iter().collect() })
    } else {
        None
    };
    Ok(Reply::xml(StatusCode::OK, orders::show(&order, call.prefix.dialect, details.as_ref())?))
}

/// Returns the numbers that an order has brought.
async fn numbers(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let order = order::find(&app, &call, KIND).await?;
    let done: Vec<_> = order.done().collect();
    Ok(Reply::xml(StatusCode::OK, lists::numbers(call.prefix.dialect, &done)))
}

/// Returns how many numbers an order has brought, and where.
async fn report(app: Arc<App>, call: Call, by: By) -> Result<Reply, Problem> {
    let order = order::find(&app, &call, KIND).await?;
    let done: Vec<_> = order.done().collect();
    Ok(Reply::xml(StatusCode::OK, lists::report(&done, by)))
}
