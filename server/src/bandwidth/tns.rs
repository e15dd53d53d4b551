//! A single number, and lists of numbers with what is known of each.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::history::Moment;
use onhook_core::locality::Locality;
use onhook_core::number::Number;
use onhook_core::order::search::Criteria;
use onhook_core::view::{View, may_see_past, view};
use onhook_store::contract::numbers::{Facts, NumberHistory, NumberQuery};
use onhook_wire::error::{Problem, cut};
use onhook_wire::localities;
use onhook_wire::query::Links;
use onhook_wire::reservations;
use onhook_wire::tns::{self, FAMILY, Holder, LIST_FAMILY, Past, Shown};

use super::call::Call;
use super::door::{Route, example};
use super::paging;
use super::reply::store_problem;
use crate::app::App;
use crate::http::auth::Caller;
use crate::http::doc::{Doc, Form, Parameter, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

/// What the caller's numbers are filtered by.
const FILTERS: [Parameter; 19] = [
    paging::ACCOUNT,
    Parameter::new("siteId", Form::Text("1"), "only numbers at this site"),
    Parameter::new("sippeerId", Form::Text("1"), "only numbers at this SIP peer"),
    Parameter::new("status", Form::Text("Inservice,Aging"), "only numbers with one of these statuses"),
    Parameter::new("fullNumber", Form::Phone, "only this number"),
    Parameter::new("npa", Form::Digits(3, "540"), "only numbers of this area code"),
    Parameter::new("npaNxx", Form::Digits(6, "540551"), "only numbers of this exchange"),
    Parameter::new("npaNxxX", Form::Digits(7, "5405514"), "only numbers of this block"),
    Parameter::new("state", Form::Text("NC"), "only numbers of this state"),
    Parameter::new("rateCenter", Form::Text("RALEIGH"), "only numbers of this rate center"),
    Parameter::new("city", Form::Text("RALEIGH"), "only numbers of this city"),
    Parameter::new("lata", Form::Text("426"), "only numbers of this LATA"),
    Parameter::new("protected", Form::Flag, "only numbers that are protected, or only others"),
    Parameter::new("tier", Form::Text("0"), "only numbers of this tier: none has one"),
    Parameter::new("host", Form::Text("192.0.2.1"), "only numbers with this host: none has one"),
    Parameter::new("modifiedDateFrom", Form::Day, "the first day on which a number came into its state"),
    Parameter::new("modifiedDateTo", Form::Day, "the last day on which a number came into its state"),
    paging::pages(tns::SIZE_MAX)[0],
    paging::pages(tns::SIZE_MAX)[1],
];

pub(crate) fn routes() -> Vec<Route> {
    let (one, many) = ((Group::History, FAMILY), (Group::History, LIST_FAMILY));
    vec![
        Route::get(
            "/tns",
            Needs::Caller,
            many,
            Doc::new(
                "Lists the caller's numbers, or for an operator those of the account that is named.",
                Told::ok(example!("tns")),
            )
            .query(&FILTERS)
            .strangers(403),
            list,
        ),
        Route::post(
            "/tns",
            Needs::Caller,
            many,
            Doc::new("Looks up the numbers that are named.", Told::ok(example!("tns"))),
            lookup,
        )
        .takes(tns::REQUEST, example!("lookup_request")),
        Route::get(
            "/tns/{number}",
            Needs::Caller,
            one,
            Doc::new("Shows a number.", Told::ok(example!("tn"))).strangers(404),
            number,
        ),
        Route::get(
            "/tns/{number}/tndetails",
            Needs::Caller,
            one,
            Doc::new("Shows a number in detail.", Told::ok(example!("tn_details"))).strangers(404),
            details,
        ),
        Route::get(
            "/tns/{number}/sites",
            Needs::Caller,
            one,
            Doc::new("Shows the site at which a number is in service.", Told::ok(example!("tn_site")))
                .strangers(404),
            site,
        ),
        Route::get(
            "/tns/{number}/sippeers",
            Needs::Caller,
            one,
            Doc::new("Shows the SIP peer at which a number is in service.", Told::ok(example!("tn_peer")))
                .strangers(404),
            peer,
        ),
        Route::get(
            "/tns/{number}/ratecenter",
            Needs::Caller,
            one,
            Doc::new("Shows the rate center of a number.", Told::ok(example!("tn_rate_center")))
                .strangers(404),
            rate_center,
        ),
        Route::get(
            "/tns/{number}/lata",
            Needs::Caller,
            one,
            Doc::new("Shows the LATA of a number.", Told::ok(example!("tn_lata"))).strangers(404),
            lata,
        ),
        Route::get(
            "/tns/{number}/lca",
            Needs::Caller,
            one,
            Doc::new(
                "Shows the exchanges that a number reaches as local calls.",
                Told::ok(example!("tn_local")),
            )
            .strangers(404),
            local,
        ),
        Route::get(
            "/tns/{number}/tnreservation",
            Needs::Caller,
            one,
            Doc::new(
                "Shows the reservation that holds a number, if it is the caller's.",
                Told::ok(example!("tn_reservation")),
            )
            .strangers(404),
            reservation,
        ),
        Route::get(
            "/tns/{number}/history",
            Needs::Caller,
            one,
            Doc::new(
                "Shows the states that a number had while it was the caller's.",
                Told::ok(example!("tn_history")),
            )
            .strangers(404),
            history,
        ),
    ]
}

/// Returns the caller's numbers, or for an operator those of the named account.
async fn list(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let size = call.query.size("size", tns::SIZE, tns::SIZE_MAX)?;
    let start = paging::start(call.query.number_page()?);
    let wanted = NumberQuery { start, size: usize::try_from(size).unwrap_or(usize::MAX), ..query(&call)? };
    let page = app.store.numbers(wanted).await.map_err(store_problem)?;
    let facts = app.store.facts_of(page.items).await.map_err(store_problem)?;
    let shown: Vec<Shown<'_>> = facts.iter().filter_map(|facts| shown(facts, &call.caller)).collect();
    let dialect = call.prefix.dialect;
    let links = Links {
        list: format!("{}{}/tns", app.public_url, call.prefix.for_links()),
        filters: call.query.filters(),
        size,
        next: page.next.map(|number| dialect.number(number)),
    };
    Ok(Reply::xml(StatusCode::OK, tns::list(dialect, &shown, page.total, &links)))
}

/// Returns the query for numbers that match a request's filters, from the first one on.
fn query(call: &Call) -> Result<NumberQuery, Problem> {
    let query = &call.query;
    let named: Option<AccountId> = paging::parsed(query, "accountId")?;
    let site: Option<SiteId> = paging::parsed(query, "siteId")?;
    let peer: Option<PeerId> = paging::parsed(query, "sippeerId")?;
    // Sites and peers belong to an account. An operator names the account beside them. For other callers it is their
    // own.
    let narrowed_by = [named.is_some() && call.caller.account.is_some(), site.is_some(), peer.is_some()];
    if narrowed_by.into_iter().filter(|given| *given).count() > 1 {
        return Err(Problem::OneOfAccountSitePeer);
    }
    let account = match (call.caller.account, named) {
        (Some(own), Some(named)) if own != named => return Err(Problem::NotYourAccount(named.to_string())),
        (Some(own), _) => own,
        (None, Some(named)) => named,
        (None, None) => return Err(Problem::Required("accountId")),
    };
    let full = match query.get("fullnumber")? {
        None => None,
        Some(text) => {
            let wrong = || Problem::PathNumber(cut(text));
            let number: Number = text.parse().map_err(|_| wrong())?;
            Some(number.ten_digits().ok_or_else(wrong)?)
        }
    };
    let (area_code, exchange) =
        (query.leading("npa", 3, Problem::AreaCode)?, query.leading("npanxx", 6, Problem::Exchange)?);
    let prefix = full.or(query.leading("npanxxx", 7, Problem::Block)?).or(exchange).or(area_code);
    let (region, rate_center) = (query.region()?, query.rate_center()?);
    tns::by_service(query)?;
    let since = tns::modified(query)?;
    // Filters by what is not known of any number here match none.
    let unknown = ["tier", "host"].into_iter().map(|name| query.get(name));
    let unknown = unknown.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().next().is_some();
    let states = if unknown { Vec::new() } else { tns::states(query)? };
    Ok(NumberQuery {
        site,
        peer,
        protected: match query.get("protected")? {
            None => None,
            Some(_) => Some(query.flag("protected", false)?),
        },
        prefix,
        region: region.map(str::to_owned),
        rate_center: rate_center.map(str::to_owned),
        city: query.city()?,
        lata: query.lata()?,
        since,
        ..NumberQuery::all(account, &states)
    })
}

/// Returns the numbers that the caller names.
async fn lookup(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let root = call.document()?;
    let (mut wrong, mut wanted) = (Vec::new(), Vec::new());
    for text in tns::lookup(&root)? {
        match text.parse::<Number>() {
            Ok(number) if !wanted.contains(&number) => wanted.push(number),
            Ok(_) => {}
            Err(_) => wrong.push(text),
        }
    }
    let facts = app.store.facts_of(wanted.clone()).await.map_err(store_problem)?;
    let found: Vec<Shown<'_>> = facts.iter().filter_map(|facts| shown(facts, &call.caller)).collect();
    let there: std::collections::HashSet<Number> = found.iter().map(|shown| shown.entry.number).collect();
    wanted.retain(|number| !there.contains(number));
    let here = format!("{}{}/tns", app.public_url, call.prefix.text);
    let body = tns::looked_up(call.prefix.dialect, &found, &wrong, &wanted, &here);
    Ok(Reply::xml(StatusCode::OK, body))
}

/// Returns the site where a number is delivered.
async fn site(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    let shown = shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    match shown.holder.and_then(|holder| holder.site) {
        Some((id, name)) => Ok(Reply::xml(StatusCode::OK, tns::site(id, name.unwrap_or_default()))),
        None => Err(Problem::NoResource),
    }
}

/// Returns the peer where a number is delivered.
async fn peer(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    let shown = shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    match shown.holder.and_then(|holder| holder.peer) {
        Some((id, name, _)) => Ok(Reply::xml(StatusCode::OK, tns::peer(id, name.unwrap_or_default()))),
        None => Err(Problem::NoResource),
    }
}

/// Returns the rate center of a number.
async fn rate_center(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    let shown = shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    match (&shown.locality.region, &shown.locality.rate_center) {
        (Some(region), Some(name)) => Ok(Reply::xml(StatusCode::OK, tns::rate_center(region, name))),
        _ => Err(Problem::NoResource),
    }
}

/// Returns the LATA of a number.
async fn lata(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    let shown = shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    match &shown.locality.lata {
        Some(lata) => Ok(Reply::xml(StatusCode::OK, tns::lata(lata))),
        None => Err(Problem::NoResource),
    }
}

/// Returns the exchanges that a number reaches as local calls: those of its rate center.
async fn local(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    let shown = shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    let Locality { region: Some(region), rate_center: Some(name), .. } = shown.locality else {
        return Err(Problem::NoResource);
    };
    let (region_wanted, rate_center) = (Some(region.clone()), Some(name.clone()));
    let wanted = Criteria { region: region_wanted, rate_center, ..Criteria::default() };
    let exchanges = app.store.exchanges(wanted).await.map_err(store_problem)?;
    if exchanges.is_empty() {
        return Err(Problem::NoResource);
    }
    Ok(Reply::xml(StatusCode::OK, localities::local(region, name, &exchanges)))
}

/// Returns the reservation that holds a number, if it is the caller's. Another account may have reserved the number
/// since it was looked up. An operator sees all reservations.
async fn reservation(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    let found =
        app.store.reservation_of(call.caller.account, facts.entry.number).await.map_err(store_problem)?;
    let found = found.ok_or(Problem::NoResource)?;
    Ok(Reply::xml(StatusCode::OK, reservations::of_number(call.prefix.dialect, &found, app.clock.now())))
}

/// Returns the states that a number had while it was the caller's. An operator sees all its states.
async fn history(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    let told = app.store.history(facts.entry.number).await.map_err(store_problem)?;
    let NumberHistory { history, orders } = told.ok_or_else(|| no_number(&call))?;
    let Caller { account, role, .. } = call.caller;
    let moments = history.moments().map_err(|_| Problem::Internal)?;
    let past: Vec<Past<'_>> = moments
        .iter()
        .filter(|moment| moment.event.is_none_or(|event| event.change.changes_state()))
        .filter(|moment| may_see_past(&moment.entry, account, role))
        .map(|Moment { from: at, entry, event }| {
            let (at, by) = (*at, event.map(|event| &event.by));
            let order = match by {
                Some(By::Order(seq)) => orders.get(seq),
                _ => None,
            };
            let user = match by {
                Some(By::User(name)) => Some(name.as_str()),
                _ => order.map(|order| order.user.as_str()),
            };
            Past {
                account: entry.standing.holder(),
                at,
                state: entry.state(),
                order: order.map(|order| (order.id, order.kind, order.created_at)),
                user,
            }
        })
        .collect();
    Ok(Reply::xml(StatusCode::OK, tns::history(&past)))
}

/// Returns one number.
async fn number(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    let shown = shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    Ok(Reply::xml(StatusCode::OK, tns::number(call.prefix.dialect, &shown)))
}

/// Returns one number in detail.
async fn details(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let facts = find(&app, &call).await?;
    let shown = shown(&facts, &call.caller).ok_or_else(|| no_number(&call))?;
    Ok(Reply::xml(StatusCode::OK, tns::details(call.prefix.dialect, &shown)))
}

pub(crate) async fn find(app: &App, call: &Call) -> Result<Facts, Problem> {
    let text = call.param("number");
    let number: Number = text.parse().map_err(|_| Problem::PathNumber(cut(text)))?;
    app.store.facts(number).await.map_err(store_problem)?.ok_or_else(|| no_number(call))
}

pub(crate) fn no_number(call: &Call) -> Problem {
    Problem::NoNumber(cut(call.param("number")))
}

/// Returns what a caller may see of a number.
fn shown<'a>(facts: &'a Facts, caller: &Caller) -> Option<Shown<'a>> {
    let entry = &facts.entry;
    let view = view(entry, caller.account, caller.role);
    if view == View::Nothing {
        return None;
    }
    let place = entry.standing.place();
    let holder = entry.standing.holder().filter(|_| view == View::Whole).map(|account| Holder {
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
    Some(Shown { entry, locality: &facts.locality, holder })
}
