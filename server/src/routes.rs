//! Every route of onhook, and the door for an unknown path.

use std::sync::Arc;

use crate::http::book::{Book, Chapter};
use crate::http::door::Door;
use crate::http::route::Route;
use crate::{bandwidth, ops};

/// Returns every route.
#[must_use]
pub fn all() -> Vec<Route> {
    let books = [bandwidth_book(), operations_book()];
    books.into_iter().flat_map(|book| book.chapters).flat_map(|chapter| chapter.routes).collect()
}

/// Returns the book of Bandwidth's API.
fn bandwidth_book() -> Book {
    let api = [
        ("Applications", bandwidth::applications::routes()),
        ("Disconnect orders", bandwidth::disconnects::routes()),
        ("Number orders", bandwidth::orders::routes()),
        ("Move orders", bandwidth::moves::routes()),
        ("Lists of numbers", bandwidth::inventory::routes()),
        ("Rate centers and cities", bandwidth::localities::routes()),
        ("Reservations", bandwidth::reservations::routes()),
        ("SIP peers", bandwidth::peers::routes()),
        ("Searches", bandwidth::search::routes()),
        ("Account and sites", bandwidth::sites::routes()),
        ("Subscriptions", bandwidth::subscriptions::routes()),
        ("Single numbers", bandwidth::tns::routes()),
        ("Users", bandwidth::users::routes()),
    ];
    let api = api
        .into_iter()
        .map(|(heading, routes)| Chapter { heading, routes: routes.into_iter().map(Route::from).collect() });
    let others =
        [("Tokens", bandwidth::tokens::routes()), ("Voice configuration", bandwidth::voice::routes())];
    bandwidth::door::book(api.chain(others.map(chapter)).collect())
}

/// Returns the book of the server's own routes.
fn operations_book() -> Book {
    let chapters = [
        ("Health", ops::health::routes()),
        ("Numbers", ops::numbers::routes()),
        ("Orders", ops::orders::routes()),
        ("Acts on numbers", ops::acts::routes()),
        ("Plans", ops::plans::routes()),
        ("Calls", [ops::calls::routes(), ops::rate::routes()].concat()),
        ("Areas", ops::areas::routes()),
        ("Forecast", ops::forecast::routes()),
        ("Accounts", ops::accounts::routes()),
        ("Users", ops::users::routes()),
        ("Sites and peers", ops::premises::routes()),
        ("Deliveries", ops::deliveries::routes()),
        ("Settings", ops::settings::routes()),
        ("Events", ops::events::routes()),
        ("Audit", ops::audit::routes()),
        ("Reports", ops::reports::routes()),
        ("Blocks of numbers", ops::blocks::routes()),
        ("Checks", ops::checks::routes()),
        ("Backups", ops::backups::routes()),
        ("Exports", ops::exports::routes()),
        ("Imports", ops::imports::routes()),
        ("Problems", ops::problems::routes()),
        ("Documents", ops::docs::routes(operations_book, bandwidth_book)),
        ("Emulator", ops::emulator::routes()),
    ];
    ops::door::book(chapters.map(chapter).into())
}

fn chapter((heading, routes): (&'static str, Vec<Route>)) -> Chapter {
    Chapter { heading, routes }
}

/// Returns the door that refuses an unknown path. The server's own routes lie under `/ops`.
pub(crate) fn lost(path: &str) -> Arc<dyn Door> {
    if path.split('/').nth(1).is_some_and(|first| first.eq_ignore_ascii_case("ops")) {
        Arc::new(ops::door::Ops)
    } else {
        Arc::new(bandwidth::door::Bandwidth::GENERIC)
    }
}

/// Returns the operations' door, for an unknown path where nothing else is served.
pub(crate) fn no_operation(_path: &str) -> Arc<dyn Door> {
    Arc::new(ops::door::Ops)
}
