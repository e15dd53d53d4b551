//! Lists and counts of an account's numbers.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::Role;
use onhook_core::lifecycle::diagram::State;
use onhook_store::contract::numbers::NumberQuery;
use onhook_wire::error::Problem;
use onhook_wire::inventory::{self, LIST_FAMILY};
use onhook_wire::tns::FAMILY as NUMBER_FAMILY;

use super::call::Call;
use super::door::{Route, example};
use super::paging;
use super::reply::store_problem;
use super::tns::{find, no_number};
use crate::app::App;
use crate::http::doc::{Doc, Form, Parameter, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

/// Numbers on a page by default.
const SIZE: u32 = 500;
/// Most numbers on a page.
const SIZE_MAX: u32 = 5_000;

/// A list of numbers: its path segment, and the state of its numbers.
#[derive(Clone, Copy)]
struct List {
    segment: &'static str,
    state: State,
}

/// Numbers that the account has disconnected and can still take back (contract: decision 20).
const GONE: List = List { segment: "discnumbers", state: State::Aging };
/// Numbers in service.
const SERVICE: List = List { segment: "inserviceNumbers", state: State::InService };

/// What a list or count of numbers is filtered by.
const FILTERS: [Parameter; 10] = [
    Parameter::new("areaCode", Form::Digits(3, "540"), "only numbers of this area code"),
    Parameter::new("npaNxx", Form::Digits(6, "540551"), "only numbers of this exchange"),
    Parameter::new("npaNxxx", Form::Digits(7, "5405514"), "only numbers of this block"),
    Parameter::new("state", Form::Text("NC"), "only numbers of this state"),
    Parameter::new("rateCenter", Form::Text("RALEIGH"), "only numbers of this rate center, beside a state"),
    Parameter::new("city", Form::Text("RALEIGH"), "only numbers of this city"),
    Parameter::new("lata", Form::Text("426"), "only numbers of this LATA"),
    Parameter::new("tier", Form::Text("0"), "only numbers of this tier: none has one"),
    paging::DAYS[0],
    paging::DAYS[1],
];

pub(crate) fn routes() -> Vec<Route> {
    let read = Needs::Account(Role::Read);
    let (past, now) = ((Group::History, LIST_FAMILY), (Group::InService, LIST_FAMILY));
    let one = (Group::History, NUMBER_FAMILY);
    vec![
        Route::get(
            "/accounts/{account}/discnumbers",
            read,
            past,
            Doc::new(
                "Lists the numbers that the account has disconnected and can still take back.",
                Told::ok(example!("numbers")),
            )
            .query(&FILTERS)
            .query(&paging::pages(SIZE_MAX)),
            |app, call| list(app, call, GONE),
        ),
        Route::get(
            "/accounts/{account}/discnumbers/totals",
            read,
            past,
            Doc::new(
                "Counts the numbers that the account has disconnected and can still take back.",
                Told::ok(example!("number_count")),
            )
            .query(&FILTERS),
            |app, call| totals(app, call, GONE),
        ),
        Route::get(
            "/accounts/{account}/inservicenumbers",
            read,
            now,
            Doc::new("Lists the account's numbers in service.", Told::ok(example!("numbers")))
                .query(&FILTERS)
                .query(&paging::pages(SIZE_MAX)),
            |app, call| list(app, call, SERVICE),
        ),
        Route::get(
            "/accounts/{account}/inservicenumbers/totals",
            read,
            now,
            Doc::new("Counts the account's numbers in service.", Told::ok(example!("number_count")))
                .query(&FILTERS),
            |app, call| totals(app, call, SERVICE),
        ),
        Route::get(
            "/accounts/{account}/inservicenumbers/{number}",
            read,
            one,
            Doc::new(
                "Says whether a number is in service on the account.",
                Told::new(200, "It is in service."),
            )
            .or(Told::new(404, "It is not in service on this account.")),
            is_in_service,
        ),
        Route::get(
            "/accounts/{account}/sites/{site}/inservicenumbers",
            read,
            now,
            Doc::new("Lists the numbers in service at a site.", Told::ok(example!("numbers")))
                .query(&FILTERS)
                .query(&paging::pages(SIZE_MAX)),
            |app, call| list(app, call, SERVICE),
        ),
        Route::get(
            "/accounts/{account}/sites/{site}/inservicenumbers/totals",
            read,
            now,
            Doc::new("Counts the numbers in service at a site.", Told::ok(example!("number_count")))
                .query(&FILTERS),
            |app, call| totals(app, call, SERVICE),
        ),
    ]
}

/// Returns a page of the account's numbers.
async fn list(app: Arc<App>, call: Call, what: List) -> Result<Reply, Problem> {
    let size = call.query.size("size", SIZE, SIZE_MAX)?;
    let start = paging::start(call.query.number_page()?);
    let size_max = usize::try_from(size).unwrap_or(usize::MAX);
    let wanted = NumberQuery { start, size: size_max, ..query(&call, what)? };
    let page = app.store.numbers(wanted).await.map_err(store_problem)?;
    let dialect = call.prefix.dialect;
    let next = page.next.map(|number| dialect.number(number));
    let segment = match call.param("site") {
        "" => what.segment.to_owned(),
        site => format!("sites/{site}/{}", what.segment),
    };
    let links = paging::links(&app, &call, &segment, size, next)?;
    Ok(Reply::xml(StatusCode::OK, inventory::list(dialect, &page.items, page.total, &links)))
}

/// Returns how many such numbers the account has.
async fn totals(app: Arc<App>, call: Call, what: List) -> Result<Reply, Problem> {
    let count = app.store.count(query(&call, what)?).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, inventory::quantity(count)))
}

/// Returns the query for numbers that match a request's filters, from the first one on.
fn query(call: &Call, what: List) -> Result<NumberQuery, Problem> {
    let query = &call.query;
    let area_code = query.leading("areacode", 3, Problem::AreaCode)?;
    let exchange = query.leading("npanxx", 6, Problem::Exchange)?;
    let block = query.leading("npanxxx", 7, Problem::Block)?;
    let (region, rate_center) = (query.region()?, query.rate_center()?);
    if rate_center.is_some() && region.is_none() {
        return Err(Problem::Pair("ratecenter", "state"));
    }
    // Tiers are not known here: no number has one.
    let states = if query.get("tier")?.is_some() { Vec::new() } else { vec![what.state] };
    Ok(NumberQuery {
        site: paging::site(call)?,
        prefix: block.or(exchange).or(area_code),
        region: region.map(str::to_owned),
        rate_center: rate_center.map(str::to_owned),
        city: query.city()?,
        lata: query.lata()?,
        since: query.dates()?,
        ..NumberQuery::all(call.account()?, &states)
    })
}

/// Returns 200 without a body if the number is in service on the account, otherwise 404.
async fn is_in_service(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let account = call.account()?;
    let facts = find(&app, &call).await?;
    if facts.entry.state() == State::InService && facts.entry.standing.holder() == Some(account) {
        Ok(Reply::empty(StatusCode::OK))
    } else {
        Err(no_number(&call))
    }
}
