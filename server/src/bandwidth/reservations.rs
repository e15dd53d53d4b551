//! Reservations: a pool number is held for an account for four hours.

use std::sync::Arc;

use http::{StatusCode, header};
use onhook_core::account::Role;
use onhook_core::ids::ReservationId;
use onhook_core::reservation::{HELD_MS, NotReserved, Reservation};
use onhook_store::contract::reservations::Reserved;
use onhook_wire::error::{Problem, cut};
use onhook_wire::reservations::{self, FAMILY, REQUEST};

use super::call::Call;
use super::door::{Route, example};
use super::reply::store_problem;
use crate::app::App;
use crate::http::doc::{Doc, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

pub(crate) fn routes() -> Vec<Route> {
    let (read, order) = (Needs::Account(Role::Read), Needs::Account(Role::Order));
    let (make, look) = ((Group::Order, FAMILY), (Group::Free, FAMILY));
    vec![
        Route::post(
            "/accounts/{account}/tnreservation",
            order,
            make,
            Doc::new("Holds a number of the pool for the account for four hours.", Told::MADE),
            create,
        )
        .takes(REQUEST, example!("reservation_request")),
        Route::get(
            "/accounts/{account}/tnreservation/{reservation}",
            read,
            look,
            Doc::new("Shows a reservation.", Told::ok(example!("reservation"))),
            show,
        ),
        Route::delete(
            "/accounts/{account}/tnreservation/{reservation}",
            order,
            make,
            Doc::new("Gives a reserved number back.", Told::ok(example!("reservation"))),
            cancel,
        ),
    ]
}

/// Holds a number: 201, the reservation's location, no body.
async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let account = call.account()?;
    let number = reservations::read(&*call.document()?)?;
    let now = app.believed_now().ok_or(Problem::Clock)?; // its end is an instant, and a wrong one would stay
    let id = ReservationId(app.uuid().map_err(store_problem)?);
    let wanted = Reservation { id, account, number, until: now.plus_millis(HELD_MS) };
    let reserved = app.store.reserve(wanted, call.author(), now, app.settings.policy.clone());
    match reserved.await.map_err(store_problem)? {
        Reserved::Done => {
            let (base, prefix) = (&app.public_url, call.prefix.text);
            let location = format!("{base}{prefix}/accounts/{account}/TnReservation/{id}");
            Ok(Reply::empty(StatusCode::CREATED).with(header::LOCATION, &location))
        }
        Reserved::Refused(NotReserved::Unavailable) => {
            Err(Problem::NotReserved(call.prefix.dialect.number(number)))
        }
        Reserved::Refused(NotReserved::TooMany) => Err(Problem::ReservationLimit(account.get())),
    }
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let found = app.store.reservation(call.account()?, id(&call)?).await.map_err(store_problem)?;
    shown(&app, &call, found)
}

/// Gives the number back, and returns the reservation.
async fn cancel(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (account, author) = (call.account()?, call.author());
    let found = app
        .store
        .cancel_reservation(account, id(&call)?, author, app.clock.now(), app.settings.policy.clone())
        .await;
    app.orders_bell.notify_one(); // some order may wait for it
    shown(&app, &call, found.map_err(store_problem)?)
}

fn shown(app: &App, call: &Call, found: Option<Reservation>) -> Result<Reply, Problem> {
    let found = found.ok_or_else(|| missing(call))?;
    Ok(Reply::xml(StatusCode::OK, reservations::show(call.prefix.dialect, &found, app.clock.now())))
}

fn id(call: &Call) -> Result<ReservationId, Problem> {
    call.param("reservation").parse().map_err(|_| missing(call))
}

fn missing(call: &Call) -> Problem {
    let account = call.account.map_or(0, onhook_core::ids::AccountId::get);
    Problem::NoReservation(cut(call.param("reservation")), account)
}
