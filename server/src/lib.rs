//! onhook over HTTP.
//!
//! [`listen`] takes connections, [`path`] finds the dialect, [`route`] says who may do what and puts that
//! check in front of every handler; the handlers are in `bandwidth` (one room a resource) and `ops`. What
//! is accepted is run by the workers in `work`, which tell subscribers by [`callback`] and [`mail`]. No SQL stands here, and no rule of a number's life.

mod accept;
pub mod app;
pub mod auth;
mod bandwidth;
pub mod callback;
pub mod clock;
pub mod emulator;
mod files;
mod framing;
pub mod listen;
pub mod mail;
mod ops;
pub mod path;
pub mod posted;
pub mod reply;
pub mod route;
mod trouble;
mod work;

pub use app::{App, Settings};
pub use listen::{Server, start};
pub use route::{Route, Takes};

/// Every route that onhook answers.
#[must_use]
pub fn routes() -> Vec<Route> {
    [
        bandwidth::applications::routes(),
        bandwidth::disconnects::routes(),
        bandwidth::orders::routes(),
        bandwidth::moves::routes(),
        bandwidth::inventory::routes(),
        bandwidth::places::routes(),
        bandwidth::reservations::routes(),
        bandwidth::peers::routes(),
        bandwidth::search::routes(),
        bandwidth::sites::routes(),
        bandwidth::subscriptions::routes(),
        bandwidth::tns::routes(),
        bandwidth::tokens::routes(),
        bandwidth::users::routes(),
        bandwidth::voice::routes(),
        ops::health::routes(),
        ops::emulator::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
