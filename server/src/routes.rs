//! Every route of onhook, and the door for an unknown path.

use std::sync::Arc;

use crate::http::door::Door;
use crate::http::route::Route;
use crate::{bandwidth, ops};

/// Returns every route.
#[must_use]
pub fn all() -> Vec<Route> {
    let api = [
        bandwidth::applications::routes(),
        bandwidth::disconnects::routes(),
        bandwidth::orders::routes(),
        bandwidth::moves::routes(),
        bandwidth::inventory::routes(),
        bandwidth::localities::routes(),
        bandwidth::reservations::routes(),
        bandwidth::peers::routes(),
        bandwidth::search::routes(),
        bandwidth::sites::routes(),
        bandwidth::subscriptions::routes(),
        bandwidth::tns::routes(),
        bandwidth::users::routes(),
    ];
    let others = [
        bandwidth::tokens::routes(),
        bandwidth::voice::routes(),
        ops::health::routes(),
        ops::emulator::routes(),
    ];
    api.into_iter().flatten().map(Route::from).chain(others.into_iter().flatten()).collect()
}

/// Returns the door that refuses an unknown path. The server's own routes lie under `/ops`.
pub(crate) fn lost(path: &str) -> Arc<dyn Door> {
    if path.split('/').nth(1).is_some_and(|first| first.eq_ignore_ascii_case("ops")) {
        Arc::new(ops::door::Ops)
    } else {
        Arc::new(bandwidth::door::Bandwidth::GENERIC)
    }
}
