//! Numbers of an account, and one number in detail.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::account::Role;
use onhook_core::lifecycle::State;
use onhook_core::number::Number;
use onhook_store::{Facts, NumberQuery, Start};
use onhook_wire::error::{Problem, cut};
use onhook_wire::inventory::{self, Holder, LIST_FAMILY, NUMBER_FAMILY, Shown};

use super::order;
use crate::App;
use crate::auth::Caller;
use crate::reply::{Reply, store_problem};
use crate::route::{Call, Group, Needs, Route};

/// Numbers on a page when nothing is said.
const SIZE: u32 = 300;
/// Most numbers on a page.
const SIZE_MAX: u32 = 5_000;

/// A list of numbers: where it stands, and in which state its numbers are.
#[derive(Clone, Copy)]
struct List {
    segment: &'static str,
    state: State,
}

/// Numbers that the account has disconnected and could still take back (contract: decision 20).
const GONE: List = List { segment: "discnumbers", state: State::Aging };
/// Numbers in service.
const SERVICE: List = List { segment: "inserviceNumbers", state: State::InService };

pub(crate) fn routes() -> Vec<Route> {
    let read = Needs::Account(Role::Read);
    let get = || Method::GET;
    vec![
        Route::api(
            get(),
            "/accounts/{account}/discnumbers",
            read,
            Group::History,
            LIST_FAMILY,
            |app, call| list(app, call, GONE),
        ),
        Route::api(
            get(),
            "/accounts/{account}/discnumbers/totals",
            read,
            Group::History,
            LIST_FAMILY,
            |app, call| totals(app, call, GONE),
        ),
        Route::api(
            get(),
            "/accounts/{account}/inservicenumbers",
            read,
            Group::InService,
            LIST_FAMILY,
            |app, call| list(app, call, SERVICE),
        ),
        Route::api(
            get(),
            "/accounts/{account}/inservicenumbers/totals",
            read,
            Group::InService,
            LIST_FAMILY,
            |app, call| totals(app, call, SERVICE),
        ),
        Route::api(
            get(),
            "/accounts/{account}/inservicenumbers/{number}",
            read,
            Group::InService,
            NUMBER_FAMILY,
            is_in_service,
        ),
        Route::api(get(), "/tns/{number}", Needs::Caller, Group::History, NUMBER_FAMILY, number),
        Route::api(get(), "/tns/{number}/tndetails", Needs::Caller, Group::History, NUMBER_FAMILY, details),
    ]
}

/// A page of the account's numbers.
async fn list(app: Arc<App>, call: Call, what: List) -> Result<Reply, Problem> {
    let size = call.query.size("size", SIZE, SIZE_MAX)?;
    let start = order::start(call.query.number_page()?);
    let size_max = usize::try_from(size).unwrap_or(usize::MAX);
    let wanted = NumberQuery { start, size: size_max, ..query(&call, what)? };
    let page = app.store.numbers(wanted).await.map_err(store_problem)?;
    let dialect = call.prefix.dialect;
    let next = page.next.map(|number| dialect.number(number));
    let filters = ["areacode", "npanxx", "state", "ratecenter", "startdate", "enddate"];
    let links = order::links(&app, &call, what.segment, &filters, size, next)?;
    Ok(Reply::xml(StatusCode::OK, inventory::list(dialect, &page.items, page.total, &links)))
}

/// How many such numbers the account has.
async fn totals(app: Arc<App>, call: Call, what: List) -> Result<Reply, Problem> {
    let count = app.store.count(query(&call, what)?).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, inventory::quantity(count)))
}

/// The numbers that a request's filters find, from the first one on.
fn query(call: &Call, what: List) -> Result<NumberQuery, Problem> {
    let query = &call.query;
    let area_code = query.digits("areacode", 3..=3, |text| Problem::Value(cut(text)))?;
    let exchange = query.digits("npanxx", 6..=6, |text| Problem::Value(cut(text)))?;
    let (region, rate_center) = (query.get("state")?, query.get("ratecenter")?);
    if rate_center.is_some() && region.is_none() {
        return Err(Problem::Pair("ratecenter", "state"));
    }
    Ok(NumberQuery {
        account: call.account()?,
        states: vec![what.state],
        site: None,
        prefix: exchange.or(area_code).map(str::to_owned),
        region: region.map(str::to_owned),
        rate_center: rate_center.map(str::to_owned),
        since: query.dates()?,
        start: Start::Page(1),
        size: 0,
    })
}

/// 200 without a body if the number is in service on the account, 404 if not.
async fn is_in_service(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let account = call.account()?;
    let facts = find(&app, &call).await?;
    match facts.entry.state() == State::InService && facts.entry.standing.holder() == Some(account) {
        true => Ok(Reply::empty(StatusCode::OK)),
        false => Err(no_number(&call)),
    }
}

/// One number.
async fn number(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    let shown = shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    Ok(Reply::xml(StatusCode::OK, inventory::number(call.prefix.dialect, &shown)))
}

/// One number in detail.
async fn details(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    let shown = shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    Ok(Reply::xml(StatusCode::OK, inventory::details(call.prefix.dialect, &shown)))
}

async fn find(app: &App, call: &Call) -> Result<Facts, Problem> {
    let text = call.param("number");
    let number: Number = text.parse().map_err(|_| Problem::PathNumber(cut(text)))?;
    app.store.facts(number).await.map_err(store_problem)?.ok_or_else(|| no_number(call))
}

fn no_number(call: &Call) -> Problem {
    Problem::NoNumber(cut(call.param("number")))
}

/// What a caller may see of a number: all of their own, of a pool number only what is public, of others
/// nothing. An operator sees everything.
fn shown<'a>(facts: &'a Facts, caller: &Caller) -> Option<Shown<'a>> {
    let entry = &facts.entry;
    let holder = entry.standing.holder();
    let theirs = holder.is_some() && (caller.account == holder || caller.role == Role::Operator);
    if !theirs && entry.state() != State::Available && caller.role != Role::Operator {
        return None;
    }
    let place = entry.standing.place();
    let holder = holder.filter(|_| theirs).map(|account| Holder {
        account,
        site: place.map(|place| (place.site, facts.site_name.as_deref())),
        peer: place.and_then(|place| place.peer).map(|peer| {
            let (name, is_default) =
                facts.peer_name.as_ref().map_or((None, false), |(name, d)| (Some(name.as_str()), *d));
            (peer, name, is_default)
        }),
        since: facts.since,
        in_service_at: facts.in_service_at,
        order: facts.order,
    });
    Some(Shown { entry, area: &facts.area, holder })
}
