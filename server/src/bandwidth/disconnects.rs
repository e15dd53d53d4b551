//! Disconnect orders.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::Role;
use onhook_core::order::{Kind, Request};
use onhook_wire::disconnects::{self, Draft, FAMILY, Post};
use onhook_wire::error::Problem;
use onhook_wire::notes;

use super::call::Call;
use super::door::{Route, example};
use super::order::{self, PAST_PLAIN};
use super::paging;
use super::reply::{created, refused};
use crate::app::App;
use crate::http::doc::{Doc, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

const KIND: Kind = Kind::Disconnect;
/// Most orders on a page.
const SIZE_MAX: u32 = 5_000;

pub(crate) fn routes() -> Vec<Route> {
    let (read, order) = (Needs::Account(Role::Read), Needs::Account(Role::Order));
    let past = (Group::History, FAMILY);
    let (past_notes, new_notes) = ((Group::History, notes::FAMILY), (Group::Disconnect, notes::FAMILY));
    vec![
        Route::post(
            "/accounts/{account}/disconnects",
            order,
            (Group::Disconnect, FAMILY),
            Doc::new(
                "Takes a disconnect order, which runs at once.",
                Told::made(example!("disconnect_received")),
            )
            .keyed()
            .or(order::KEY_REUSED),
            create,
        )
        .takes(disconnects::REQUEST, example!("disconnect_request")),
        Route::get(
            "/accounts/{account}/disconnects",
            read,
            past,
            Doc::new(
                "Lists the account's disconnect orders, the newest first.",
                Told::ok(example!("disconnects")),
            )
            .query(&order::filters(KIND))
            .query(&paging::pages(SIZE_MAX)),
            |app, call| order::list(app, call, KIND, SIZE_MAX),
        ),
        Route::get(
            "/accounts/{account}/disconnects/totals",
            read,
            past,
            Doc::new("Counts the account's disconnect orders.", Told::ok(example!("order_count")))
                .query(&order::filters(KIND)),
            |app, call| order::totals(app, call, KIND),
        ),
        Route::get(
            "/accounts/{account}/disconnects/{order}",
            read,
            past,
            Doc::new(
                "Shows a disconnect order, with the outcome of each number.",
                Told::ok(example!("disconnect")),
            )
            .query(&[order::DETAIL]),
            show,
        ),
        Route::get(
            "/accounts/{account}/disconnects/{order}/history",
            read,
            PAST_PLAIN,
            Doc::new(
                "Shows what became of a disconnect order, and when.",
                Told::ok(example!("order_history")),
            ),
            |app, call| order::history(app, call, KIND),
        ),
        Route::get(
            "/accounts/{account}/disconnects/{order}/notes",
            read,
            past_notes,
            Doc::new("Lists the notes of a disconnect order.", Told::ok(example!("notes"))),
            |app, call| order::notes(app, call, KIND),
        ),
        Route::post(
            "/accounts/{account}/disconnects/{order}/notes",
            order,
            new_notes,
            Doc::new("Adds a note to a disconnect order.", Told::MADE),
            |app, call| order::write_note(app, call, KIND),
        )
        .takes(notes::REQUEST, example!("note_request")),
        Route::put(
            "/accounts/{account}/disconnects/{order}/notes/{note}",
            order,
            new_notes,
            Doc::new("Replaces a note of a disconnect order.", Told::DONE),
            |app, call| order::write_note(app, call, KIND),
        )
        .takes(notes::REQUEST, example!("note_request")),
    ]
}

/// Accepts a disconnect order: 201 once it is durable. The owner of the numbers is checked when it runs.
async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let root = order::document(&call)?;
    let draft = Draft::read(&root)?;
    let dialect = call.prefix.dialect;
    let purges = app.values().wire_purge;
    let taken =
        |post: Post| if purges.takes(post.disconnect.mode) { Ok(post) } else { Err(Problem::ModeForbidden) };
    let post = match draft.check(dialect, call.caller.role).and_then(taken) {
        Ok(post) => post,
        Err(problem) => return Ok(refused(&problem, draft.refused(&problem, app.clock.now()))),
    };
    let request = Request::Disconnect(post.disconnect);
    let accepted = order::accept(&app, &call, post.name, post.customer_order_id, request).await?;
    let body = disconnects::received(accepted.id, &accepted.order, dialect)?;
    Ok(created(&accepted.location, body))
}

/// Returns one order. `tndetail` is accepted and changes nothing: no source shows more detail.
async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    call.query.flag("tndetail", false)?;
    let order = order::read(&app, &call, KIND).await?;
    Ok(Reply::xml(StatusCode::OK, disconnects::show(&order, call.prefix.dialect)?))
}
