//! What is in the pool.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::Role;
use onhook_core::search::Inventory;
use onhook_store::PoolQuery;
use onhook_wire::error::Problem;
use onhook_wire::search::{self, FAMILY};

use crate::App;
use crate::reply::{Reply, store_problem};
use crate::route::{Call, Group, Needs, Route};

pub(crate) fn routes() -> Vec<Route> {
    let read = Needs::Account(Role::Read);
    vec![Route::get("/accounts/{account}/availablenumbers", read, (Group::Search, FAMILY), available)]
}

/// Numbers that anyone may take, in an order that tells nothing about them.
async fn available(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let wanted = search::read(&call.query)?;
    let size = usize::try_from(wanted.quantity).unwrap_or(usize::MAX);
    let seed = uuid::Uuid::new_v4().as_u64_pair().0;
    let query = PoolQuery { criteria: wanted.criteria.clone(), inventory: Inventory::Pool, size, seed };
    let found = app.store.pool(query).await.map_err(store_problem)?;
    let found: Vec<_> = found.into_iter().map(|(entry, locality)| (entry.number, locality)).collect();
    Ok(Reply::xml(StatusCode::OK, search::found(call.prefix.dialect, &wanted, &found)))
}
