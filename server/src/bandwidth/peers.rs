//! A site's peers, and the numbers of each.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::details::PeerDetails;
use onhook_core::account::{NoPlace, Peer, Role, Site};
use onhook_core::ids::PeerId;
use onhook_core::lifecycle::diagram::State;
use onhook_store::contract::numbers::{Destination, NumberQuery, NumbersMoved};
use onhook_wire::error::{Problem, cut};
use onhook_wire::peers::{self, FAMILY, NUMBERS_FAMILY};

use super::call::Call;
use super::door::{Route, example};
use super::reply::{conflict, created, store_problem};
use super::{order, paging, sites, tns};
use crate::app::App;
use crate::http::doc::{Doc, Form, Parameter, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

/// Numbers on a page of a peer's by default.
const SIZE: u32 = 5_000;
/// Most numbers on such a page. One client asks for this many by itself.
const SIZE_MAX: u32 = 50_000;

/// The page of a peer's numbers.
const NUMBERS: [Parameter; 3] = [
    paging::pages(SIZE_MAX)[0],
    paging::pages(SIZE_MAX)[1],
    Parameter::new("includeAttributes", Form::Flag, "changes nothing: numbers have no attributes here"),
];

pub(crate) fn routes() -> Vec<Route> {
    let (read, order, admin) =
        (Needs::Account(Role::Read), Needs::Account(Role::Order), Needs::Account(Role::Admin));
    let peer = (Group::Free, FAMILY);
    let (numbers, moved) = ((Group::InService, NUMBERS_FAMILY), (Group::Order, NUMBERS_FAMILY));
    vec![
        Route::get(
            "/accounts/{account}/sites/{site}/sippeers",
            read,
            peer,
            Doc::new("Lists the SIP peers of a site.", Told::ok(example!("peers"))),
            list,
        ),
        Route::post(
            "/accounts/{account}/sites/{site}/sippeers",
            admin,
            peer,
            Doc::new("Makes a SIP peer under a site.", Told::made(example!("peer"))),
            create,
        )
        .takes(peers::REQUEST, example!("peer_request")),
        Route::get(
            "/accounts/{account}/sites/{site}/sippeers/{peer}",
            read,
            peer,
            Doc::new("Shows a SIP peer.", Told::ok(example!("peer"))),
            show,
        ),
        Route::put(
            "/accounts/{account}/sites/{site}/sippeers/{peer}",
            admin,
            peer,
            Doc::new("Changes a SIP peer: what the document leaves out stays.", Told::ok(example!("peer"))),
            change,
        )
        .takes(peers::REQUEST, example!("peer_request")),
        Route::delete(
            "/accounts/{account}/sites/{site}/sippeers/{peer}",
            admin,
            peer,
            Doc::new("Removes a SIP peer at which nothing is in service.", Told::DONE).or(sites::STAYS),
            remove,
        ),
        Route::get(
            "/accounts/{account}/sites/{site}/sippeers/{peer}/totaltns",
            read,
            numbers,
            Doc::new("Counts the numbers in service at a SIP peer.", Told::ok(example!("peer_total"))),
            total,
        ),
        Route::get(
            "/accounts/{account}/sites/{site}/sippeers/{peer}/tns",
            read,
            numbers,
            Doc::new("Lists the numbers in service at a SIP peer.", Told::ok(example!("peer_numbers")))
                .query(&NUMBERS),
            list_numbers,
        ),
        Route::get(
            "/accounts/{account}/sites/{site}/sippeers/{peer}/tns/{number}",
            read,
            numbers,
            Doc::new(
                "Shows a number, if it is in service at the SIP peer.",
                Told::ok(example!("peer_number")),
            ),
            number,
        ),
        Route::post(
            "/accounts/{account}/sites/{site}/sippeers/{peer}/movetns",
            order,
            moved,
            Doc::new("Moves numbers to a SIP peer at once, all or none.", Told::DONE),
            move_numbers,
        )
        .takes(peers::MOVED, example!("peer_move")),
    ]
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, _) = sites::find(&app, &call).await?;
    let found = app.store.peers_in_full(site.account, site.id, None).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, peers::list(&found)))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (_, peer, details) = find(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, peers::one(&peer, &details)))
}

async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, _) = sites::find(&app, &call).await?;
    let said = peers::read(&*call.document()?, None)?;
    let made = app.store.add_peer(site.account, site.id, said, call.doer(app.clock.now())).await;
    let (peer, details) = made.map_err(conflict)?;
    let (base, prefix, account) = (&app.public_url, call.prefix.text, site.account);
    let location = format!("{base}{prefix}/accounts/{account}/sites/{}/sippeers/{}", site.id, peer.id);
    Ok(created(&location, peers::one(&peer, &details)))
}

/// Changes a peer. What the document leaves out stays.
async fn change(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, peer, _) = find(&app, &call).await?;
    let said = peers::read(&*call.document()?, Some((peer.id, &peer.name)))?;
    let changed =
        app.store.change_peer(site.account, site.id, peer.id, said, call.doer(app.clock.now())).await;
    let (peer, details) = changed.map_err(conflict)?.ok_or_else(|| unknown(&call))?;
    Ok(Reply::xml(StatusCode::OK, peers::one(&peer, &details)))
}

async fn remove(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, peer, _) = find(&app, &call).await?;
    let removed = app
        .store
        .remove_peer(site.account, site.id, peer.id, call.doer(app.clock.now()))
        .await
        .map_err(store_problem)?;
    sites::gone(removed, "SIP peer", || unknown(&call))
}

/// Returns how many numbers are in service at a peer.
async fn total(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, peer, _) = find(&app, &call).await?;
    let count = app.store.count(sites::in_service_at(&site, Some(peer.id))).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, peers::total(count)))
}

/// Returns a page of the numbers in service at a peer. `includeAttributes` is accepted and changes nothing.
async fn list_numbers(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, peer, _) = find(&app, &call).await?;
    call.query.flag("includeAttributes", false)?;
    let size = call.query.size("size", SIZE, SIZE_MAX)?;
    let query = NumberQuery {
        start: paging::start(call.query.number_page()?),
        size: usize::try_from(size).unwrap_or(usize::MAX),
        ..sites::in_service_at(&site, Some(peer.id))
    };
    let page = app.store.numbers(query).await.map_err(store_problem)?;
    let dialect = call.prefix.dialect;
    let segment = format!("sites/{}/sippeers/{}/tns", peer.site, peer.id);
    let links = paging::links(&app, &call, &segment, size, page.next.map(|number| dialect.number(number)))?;
    Ok(Reply::xml(StatusCode::OK, peers::numbers(dialect, &page.items, &links)))
}

/// Returns a number, if it is in service at the peer.
async fn number(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, peer, _) = find(&app, &call).await?;
    let elsewhere = || {
        let (account, site, peer) = (site.account.to_string(), site.id.to_string(), peer.id.to_string());
        Problem::NotAtPeer(cut(call.param("number")), account, site, peer)
    };
    let facts = tns::find(&app, &call).await.map_err(|problem| match problem {
        Problem::NoNumber(_) => elsewhere(),
        other => other,
    })?;
    let place = facts.entry.standing.place().filter(|_| facts.entry.state() == State::InService);
    if place.is_some_and(|place| place.account == site.account && place.peer == Some(peer.id)) {
        Ok(Reply::xml(StatusCode::OK, peers::number(call.prefix.dialect, facts.entry.number)))
    } else {
        Err(elsewhere())
    }
}

/// Moves numbers that are in service on the account to this site and peer, all or none.
async fn move_numbers(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (site, peer, _) = find(&app, &call).await?;
    let root = order::document(&call)?;
    let numbers = peers::to_move(&root)?;
    // As for orders, a wrong time would stay in the events for ever.
    let now = app.believed_now().ok_or(Problem::Clock)?;
    let (to, author) = (Destination { site: site.id, peer: peer.id }, call.author());
    let policy = app.settings.policy.clone();
    match app
        .store
        .move_numbers(site.account, to, numbers, author, now, policy)
        .await
        .map_err(store_problem)?
    {
        NumbersMoved::Done(_) => Ok(Reply::empty(StatusCode::OK)),
        NumbersMoved::NoPlace(NoPlace::Site) => Err(Problem::NoSite(cut(call.param("site")))),
        NumbersMoved::NoPlace(_) => Err(unknown(&call)),
        NumbersMoved::NotInService(missing) => {
            let first = missing.first().map(|number| call.prefix.dialect.number(*number));
            Err(Problem::NoNumber(first.unwrap_or_default()))
        }
    }
}

/// Returns the peer that the path names, and its site.
pub(crate) async fn find(app: &App, call: &Call) -> Result<(Site, Peer, PeerDetails), Problem> {
    let (site, _) = sites::find(app, call).await?;
    let id: PeerId = call.param("peer").parse().map_err(|_| unknown(call))?;
    let found = app.store.peers_in_full(site.account, site.id, Some(id)).await.map_err(store_problem)?.pop();
    let (peer, details) = found.ok_or_else(|| unknown(call))?;
    Ok((site, peer, details))
}

pub(crate) fn unknown(call: &Call) -> Problem {
    Problem::NoPeer(cut(call.param("peer")))
}
