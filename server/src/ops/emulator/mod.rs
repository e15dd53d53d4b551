//! The emulator's controls. Only a server with `--emulator` has them.

mod callbacks;
mod clock;
mod control;
mod faults;
mod mail;
mod pace;
mod page;
mod requests;
mod reset;
mod seed;

use crate::http::route::Route;

/// Returns the routes of all controls.
pub(crate) fn routes() -> Vec<Route> {
    let routes = [
        clock::routes(),
        faults::routes(),
        pace::routes(),
        requests::routes(),
        mail::routes(),
        callbacks::routes(),
        reset::routes(),
        seed::routes(),
        page::routes(),
    ];
    routes.into_iter().flatten().map(Route::of_emulator).collect()
}
