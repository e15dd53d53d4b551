//! Searches of the pool, and of an account's protected inventory.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::Role;
use onhook_core::order::search::Inventory;
use onhook_store::contract::pool::PoolQuery;
use onhook_wire::error::{Problem, cut};
use onhook_wire::localities::{self, Available, EXCHANGES_FAMILY, EXCHANGES_MAX};
use onhook_wire::search::{self, FAMILY, Protected};

use super::call::Call;
use super::door::{Route, example};
use super::reply::store_problem;
use crate::app::App;
use crate::http::doc::{Doc, Form, Parameter, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

/// What numbers are searched by, and how they are shown.
const CRITERIA: [Parameter; 17] = [
    Parameter::new("areaCode", Form::Digits(3, "919"), "only numbers of this area code"),
    Parameter::new("npaNxx", Form::Digits(6, "919555"), "only numbers of this exchange"),
    Parameter::new("npaNxxx", Form::Digits(7, "9195550"), "only numbers of this block"),
    Parameter::new("state", Form::Text("NC"), "only numbers of this state"),
    Parameter::new("rateCenter", Form::Text("RALEIGH"), "only numbers of this rate center, beside a state"),
    Parameter::new("city", Form::Text("RALEIGH"), "only numbers of this city, beside a state"),
    Parameter::new("lata", Form::Text("426"), "only numbers of this LATA"),
    Parameter::new("zip", Form::Text("27601"), "only numbers of this ZIP code"),
    Parameter::new("localVanity", Form::Text("TREE"), "only numbers that spell this"),
    Parameter::new("endsIn", Form::Flag, "whether localVanity must be at the end"),
    Parameter::new("tollFreeVanity", Form::Text("FLOWERS"), "only toll-free numbers that spell this"),
    Parameter::new(
        "tollFreeWildCardPattern",
        Form::Text("88*"),
        "only toll-free numbers of these area codes",
    ),
    Parameter::new(
        "protected",
        Form::Word(&["NONE", "ONLY", "MIXED"]),
        "whether the account's protected numbers are searched",
    ),
    Parameter::new(
        "orderBy",
        Form::Word(&["fullNumber", "npaNxxx", "npaNxx", "areaCode"]),
        "what the numbers are sorted by",
    ),
    Parameter::new("enableTNDetail", Form::Flag, "shows the place and vendor of each number"),
    Parameter::new("LCA", Form::Flag, "changes nothing: a search is never widened"),
    Parameter::new("quantity", Form::Whole(1, search::QUANTITY_MAX), "most numbers that are shown"),
];
/// What exchanges are searched by: an area code, a state, or both.
const EXCHANGES: [Parameter; 3] = [
    Parameter::new("areaCode", Form::Digits(3, "919"), "only exchanges of this area code"),
    Parameter::new("state", Form::Text("NC"), "only exchanges in this state"),
    Parameter::new("quantity", Form::Whole(1, 10_000), "only exchanges with so many numbers in the pool"),
];

pub(crate) fn routes() -> Vec<Route> {
    let read = Needs::Account(Role::Read);
    let exchanges_counted = (Group::Search, EXCHANGES_FAMILY);
    vec![
        Route::get(
            "/accounts/{account}/availablenumbers",
            read,
            (Group::Search, FAMILY),
            Doc::new("Searches the pool, or the account's protected numbers.", Told::ok(example!("found")))
                .query(&CRITERIA),
            available,
        ),
        Route::get(
            "/accounts/{account}/availablenpanxx",
            read,
            exchanges_counted,
            Doc::new("Lists exchanges with numbers in the pool.", Told::ok(example!("exchanges")))
                .query(&EXCHANGES),
            exchanges,
        ),
    ]
}

/// Returns numbers that the account may take. They are chosen at random, so that their order tells nothing about them.
/// If the client wants them ordered, they are sorted after that.
async fn available(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let wanted = search::read(&call.query)?;
    let account = call.account()?;
    let query = PoolQuery {
        criteria: wanted.criteria.clone(),
        inventory: match wanted.protected {
            Protected::None => Inventory::Pool,
            Protected::Only => Inventory::Protected(account),
            Protected::Mixed => Inventory::Both(account),
        },
        size: usize::try_from(wanted.quantity).unwrap_or(usize::MAX),
        seed: app.uuid().map_err(store_problem)?.as_u64_pair().0,
    };
    let found = app.store.pool(query).await.map_err(store_problem)?;
    let strangers = u32::try_from(found.iter().filter(|(e, _)| e.standing.holder().is_none()).count());
    if call.caller.account.is_some()
        && let Some(seconds) = app.limits.shown(account, strangers.unwrap_or(u32::MAX))
    {
        return Ok(Reply::too_many(app.clock.wall(), seconds));
    }
    let mut found: Vec<_> = found.into_iter().map(|(entry, locality)| (entry.number, locality)).collect();
    if let Some(digits) = wanted.ordered_by {
        found.sort_by_cached_key(|(number, _)| {
            number.ten_digits().map(|ten| ten.chars().take(digits).collect::<String>())
        });
    }
    let body = search::found(call.prefix.dialect, &app.settings.vendor, &wanted, &found);
    Ok(Reply::xml(StatusCode::OK, body))
}

/// Returns exchanges with numbers in the pool, and how many each has.
async fn exchanges(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (criteria, quantity) = localities::read_exchanges(&call.query)?;
    let area_code = criteria.prefix.clone();
    let stock = app.store.stock(criteria).await.map_err(store_problem)?;
    if let (true, Some(area_code)) = (stock.is_empty(), area_code) {
        return Err(Problem::NoAreaCode(cut(&area_code)));
    }
    let found: Vec<Available<'_>> = stock
        .iter()
        .filter(|lot| lot.numbers >= quantity.into())
        .take(EXCHANGES_MAX)
        .map(|lot| Available {
            npa_nxx: lot.npa_nxx,
            city: lot.locality.city.as_deref(),
            region: lot.locality.region.as_deref(),
            numbers: lot.numbers,
        })
        .collect();
    Ok(Reply::xml(StatusCode::OK, localities::exchanges(&found)))
}
