//! The account, its sites and its peers, and the numbers of each.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::{Account, Peer, Premises, Role, Site};
use onhook_core::lifecycle::State;
use onhook_store::NumberQuery;
use onhook_wire::error::{Problem, cut};
use onhook_wire::sites::{self, ACCOUNT_FAMILY, NUMBERS_FAMILY, PEER_FAMILY, SITE_FAMILY};

use super::order;
use super::tns::find;
use crate::App;
use crate::reply::{Reply, store_problem};
use crate::route::{Call, Group, Needs, Route};

/// Numbers on a page of a peer's: when nothing is said, and at most.
const SIZE: u32 = 5_000;

pub(crate) fn routes() -> Vec<Route> {
    let read = Needs::Account(Role::Read);
    let (account, site, peer) =
        ((Group::Free, ACCOUNT_FAMILY), (Group::Free, SITE_FAMILY), (Group::Free, PEER_FAMILY));
    let numbers = (Group::InService, NUMBERS_FAMILY);
    vec![
        Route::get("/accounts/{account}", read, account, show_account),
        Route::get("/accounts/{account}/sites", read, site, list_sites),
        Route::get("/accounts/{account}/sites/{site}", read, site, show_site),
        Route::get("/accounts/{account}/sites/{site}/totaltns", read, site, site_total),
        Route::get("/accounts/{account}/sites/{site}/sippeers", read, peer, list_peers),
        Route::get("/accounts/{account}/sites/{site}/sippeers/{peer}", read, peer, show_peer),
        Route::get("/accounts/{account}/sites/{site}/sippeers/{peer}/totaltns", read, numbers, peer_total),
        Route::get("/accounts/{account}/sites/{site}/sippeers/{peer}/tns", read, numbers, list_numbers),
        Route::get(
            "/accounts/{account}/sites/{site}/sippeers/{peer}/tns/{number}",
            read,
            numbers,
            show_number,
        ),
    ]
}

async fn show_account(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (account, _) = home(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, sites::account(&account)))
}

async fn list_sites(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (_, premises) = home(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, sites::sites(&premises.sites)))
}

async fn show_site(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (_, premises) = home(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, sites::site(&site_of(&premises, &call)?)))
}

async fn list_peers(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (_, premises) = home(&app, &call).await?;
    let site = site_of(&premises, &call)?;
    let peers: Vec<Peer> = premises.peers.into_iter().filter(|peer| peer.site == site.id).collect();
    Ok(Reply::xml(StatusCode::OK, sites::peers(&peers)))
}

async fn show_peer(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (_, premises) = home(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, sites::peer(&peer_of(&premises, &call)?)))
}

/// How many numbers are in service at a site.
async fn site_total(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (account, premises) = home(&app, &call).await?;
    let site = site_of(&premises, &call)?;
    let query = NumberQuery { site: Some(site.id), ..NumberQuery::all(account.id, &[State::InService]) };
    let count = app.store.count(query).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, sites::site_total(count)))
}

/// How many numbers are in service at a peer.
async fn peer_total(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (account, premises) = home(&app, &call).await?;
    let count =
        app.store.count(at_peer(&account, &peer_of(&premises, &call)?)).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, sites::peer_total(count)))
}

/// A page of the numbers that are in service at a peer.
async fn list_numbers(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (account, premises) = home(&app, &call).await?;
    let peer = peer_of(&premises, &call)?;
    let size = call.query.size("size", SIZE, SIZE)?;
    let query = NumberQuery {
        start: order::start(call.query.number_page()?),
        size: usize::try_from(size).unwrap_or(usize::MAX),
        ..at_peer(&account, &peer)
    };
    let page = app.store.numbers(query).await.map_err(store_problem)?;
    let dialect = call.prefix.dialect;
    let segment = format!("sites/{}/sippeers/{}/tns", peer.site, peer.id);
    let links = order::links(&app, &call, &segment, size, page.next.map(|number| dialect.number(number)))?;
    Ok(Reply::xml(StatusCode::OK, sites::numbers(dialect, &page.items, &links)))
}

/// A number, if it is in service at the peer.
async fn show_number(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (account, premises) = home(&app, &call).await?;
    let peer = peer_of(&premises, &call)?;
    let elsewhere = || {
        let (site, peer) = (peer.site.to_string(), peer.id.to_string());
        Problem::NotAtPeer(cut(call.param("number")), account.id.to_string(), site, peer)
    };
    let facts = find(&app, &call).await.map_err(|problem| match problem {
        Problem::NoNumber(_) => elsewhere(),
        other => other,
    })?;
    let place = facts.entry.standing.place().filter(|_| facts.entry.state() == State::InService);
    match place.is_some_and(|place| place.account == account.id && place.peer == Some(peer.id)) {
        true => Ok(Reply::xml(StatusCode::OK, sites::number(call.prefix.dialect, facts.entry.number))),
        false => Err(elsewhere()),
    }
}

fn at_peer(account: &Account, peer: &Peer) -> NumberQuery {
    let (site, peer) = (Some(peer.site), Some(peer.id));
    NumberQuery { site, peer, ..NumberQuery::all(account.id, &[State::InService]) }
}

async fn home(app: &App, call: &Call) -> Result<(Account, Premises), Problem> {
    let found = app.store.account(call.account()?).await.map_err(store_problem)?;
    found.ok_or(Problem::NoResource)
}

fn site_of(premises: &Premises, call: &Call) -> Result<Site, Problem> {
    let text = call.param("site");
    let found = premises.sites.iter().find(|site| text.parse() == Ok(site.id));
    found.cloned().ok_or_else(|| Problem::NoSite(cut(text)))
}

fn peer_of(premises: &Premises, call: &Call) -> Result<Peer, Problem> {
    let site = site_of(premises, call)?;
    let text = call.param("peer");
    let found = premises.peers.iter().find(|peer| peer.site == site.id && text.parse() == Ok(peer.id));
    found.cloned().ok_or_else(|| Problem::NoPeer(cut(text)))
}
