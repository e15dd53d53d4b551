//! The account and its sites.

use std::collections::HashMap;
use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::details::SiteDetails;
use onhook_core::account::premises::Stays;
use onhook_core::account::{Peer, Role, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::diagram::State;
use onhook_store::contract::numbers::NumberQuery;
use onhook_store::contract::premises::Removed;
use onhook_wire::error::{Problem, cut};
use onhook_wire::sites::{self, ACCOUNT_FAMILY, Listed, SITE_FAMILY};

use super::call::Call;
use super::door::{Route, example};
use super::reply::{conflict, created, store_problem};
use crate::app::App;
use crate::http::doc::{Doc, Form, Parameter, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

/// What is shown of the sites in a list.
const DETAILS: [Parameter; 3] = [
    Parameter::new("tnCounts", Form::Flag, "counts the numbers in service at each site"),
    Parameter::new("sipPeerDetails", Form::Flag, "shows the SIP peers of each site"),
    Parameter::new("summary", Form::Flag, "shows only id and name"),
];
/// The refusal to remove a site or peer.
pub(crate) const STAYS: Told =
    Told::new(409, "Something is under it or in service at it, or it is the default.");

pub(crate) fn routes() -> Vec<Route> {
    let (read, admin) = (Needs::Account(Role::Read), Needs::Account(Role::Admin));
    let (account, site) = ((Group::Free, ACCOUNT_FAMILY), (Group::Free, SITE_FAMILY));
    vec![
        Route::get(
            "/accounts/{account}",
            read,
            account,
            Doc::new("Shows the account.", Told::ok(example!("account"))),
            show_account,
        ),
        Route::get(
            "/accounts/{account}/sites",
            read,
            site,
            Doc::new("Lists the account's sites.", Told::ok(example!("sites"))).query(&DETAILS),
            list,
        ),
        Route::post(
            "/accounts/{account}/sites",
            admin,
            site,
            Doc::new("Makes a site.", Told::made(example!("site"))),
            create,
        )
        .takes(sites::REQUEST, example!("site_request")),
        Route::get(
            "/accounts/{account}/sites/{site}",
            read,
            site,
            Doc::new("Shows a site.", Told::ok(example!("site"))),
            show,
        ),
        Route::put(
            "/accounts/{account}/sites/{site}",
            admin,
            site,
            Doc::new("Changes a site: what the document leaves out stays.", Told::ok(example!("site"))),
            change,
        )
        .takes(sites::REQUEST, example!("site_request")),
        Route::delete(
            "/accounts/{account}/sites/{site}",
            admin,
            site,
            Doc::new("Removes a site without SIP peers at which nothing is in service.", Told::DONE)
                .or(STAYS),
            remove,
        ),
        Route::get(
            "/accounts/{account}/sites/{site}/totaltns",
            read,
            site,
            Doc::new("Counts the numbers in service at a site.", Told::ok(example!("site_total"))),
            total,
        ),
    ]
}

async fn show_account(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let found = app.store.account(call.account()?).await.map_err(store_problem)?;
    let (account, _) = found.ok_or(Problem::NoResource)?;
    Ok(Reply::xml(StatusCode::OK, sites::account(&account)))
}

/// Returns the account's sites. `tnCounts` adds how many numbers are in service at each, and `sipPeerDetails` its
/// peers. `summary` leaves only id and name.
async fn list(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let account = call.account()?;
    let counted = call.query.flag("tnCounts", false)?;
    let with_peers = call.query.flag("sipPeerDetails", false)?;
    let summary = call.query.flag("summary", false)?;
    let found = app.store.sites_in_full(account, None).await.map_err(store_problem)?;
    let in_service =
        if counted { app.store.in_service(account).await.map_err(store_problem)? } else { Vec::new() };
    let peers: Vec<Peer> =
        if with_peers { app.store.peers(Some(account)).await.map_err(store_problem)? } else { Vec::new() };
    let mut at: HashMap<SiteId, Vec<&Peer>> = HashMap::new();
    for peer in &peers {
        at.entry(peer.site).or_default().push(peer);
    }
    let mut counts: HashMap<SiteId, u64> = HashMap::new();
    for (site, _, numbers) in in_service {
        *counts.entry(site).or_default() += numbers;
    }
    let shown = found.iter().map(|(site, details)| Listed {
        site,
        details: (!summary).then_some(details),
        numbers: counted.then(|| counts.get(&site.id).copied().unwrap_or_default()),
        peers: with_peers.then(|| at.remove(&site.id).unwrap_or_default()),
    });
    Ok(Reply::xml(StatusCode::OK, sites::sites(shown)))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, details) = find(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, sites::site(&site, &details)))
}

async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let account = call.account()?;
    let said = sites::read(&*call.document()?, None)?;
    let (site, details) =
        app.store.add_site(account, said, call.doer(app.clock.now())).await.map_err(conflict)?;
    let (base, prefix) = (&app.public_url, call.prefix.text);
    let location = format!("{base}{prefix}/accounts/{account}/sites/{}", site.id);
    Ok(created(&location, sites::site(&site, &details)))
}

/// Changes a site. What the document leaves out stays.
async fn change(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, _) = find(&app, &call).await?;
    let said = sites::read(&*call.document()?, Some((site.id, &site.name)))?;
    let changed = app
        .store
        .change_site(site.account, site.id, said, call.doer(app.clock.now()))
        .await
        .map_err(conflict)?;
    let (site, details) = changed.ok_or_else(|| unknown(&call))?;
    Ok(Reply::xml(StatusCode::OK, sites::site(&site, &details)))
}

async fn remove(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let account = call.account()?;
    let removed = app
        .store
        .remove_site(account, id(&call)?, call.doer(app.clock.now()))
        .await
        .map_err(store_problem)?;
    gone(removed, "site", || unknown(&call))
}

/// Returns how many numbers are in service at a site.
async fn total(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, _) = find(&app, &call).await?;
    let count = app.store.count(in_service_at(&site, None)).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, sites::site_total(count)))
}

/// Returns the query for numbers in service at a site, or at one of its peers.
pub(crate) fn in_service_at(site: &Site, peer: Option<PeerId>) -> NumberQuery {
    NumberQuery { site: Some(site.id), peer, ..NumberQuery::all(site.account, &[State::InService]) }
}

/// Returns the site that the path names.
pub(crate) async fn find(app: &App, call: &Call) -> Result<(Site, SiteDetails), Problem> {
    let account: AccountId = call.account()?;
    let found = app.store.sites_in_full(account, Some(id(call)?)).await.map_err(store_problem)?.pop();
    found.ok_or_else(|| unknown(call))
}

fn id(call: &Call) -> Result<SiteId, Problem> {
    call.param("site").parse().map_err(|_| unknown(call))
}

fn unknown(call: &Call) -> Problem {
    Problem::NoSite(cut(call.param("site")))
}

/// Returns the answer for the removal of a site or peer.
pub(crate) fn gone(
    removed: Removed,
    what: &str,
    unknown: impl FnOnce() -> Problem,
) -> Result<Reply, Problem> {
    let why = match removed {
        Removed::Gone => return Ok(Reply::empty(StatusCode::OK)),
        Removed::Unknown => return Err(unknown()),
        Removed::Stays(why) => why,
    };
    Err(Problem::Conflict(match why {
        Stays::Peers => format!("The {what} has SIP peers. Delete them first."),
        Stays::Numbers => {
            format!("Telephone numbers are in service at the {what}. Move or disconnect them first.")
        }
        Stays::Default => format!("The {what} is the default one. Make another the default first."),
    }))
}
