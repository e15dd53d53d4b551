//! Sites and peers of accounts.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use onhook_core::account::Role;
use onhook_core::account::details::{PeerDetails, SiteDetails};
use onhook_core::account::premises::Stays;
use onhook_core::account::{Peer, Site};
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_store::contract::premises::Removed;
use onhook_wire::ops::premises::{PeerSaid, SiteSaid, peer, site};
use serde_json::json;

use super::body;
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, parsed, value};
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

const SITES: &str = "/ops/v1/sites";
const ONE_SITE: &str = "/ops/v1/sites/{site}";
const PEERS: &str = "/ops/v1/peers";
const ONE_PEER: &str = "/ops/v1/peers/{peer}";

/// The form of a site.
const SITE: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "account", "name", "is_default"], "properties": {
        "id": {"type": "string"}, "account": {"type": "string"}, "name": {"type": "string"},
        "is_default": {"type": "boolean"}, "description": {"type": ["string", "null"]},
        "customer_provided_id": {"type": ["string", "null"]}, "customer_name": {"type": ["string", "null"]},
        "address": {"type": ["object", "null"]}}}"#,
    r#"{"id": "1", "account": "9900000", "name": "Main site", "is_default": true, "description": null,
        "customer_provided_id": null, "customer_name": null, "address": null}"#,
);
/// The form of a new site.
const NEW_SITE: Shape = Shape::json(
    r#"{"type": "object", "required": ["name", "reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}, "account": {"type": "string"},
        "name": {"type": "string", "minLength": 1, "maxLength": 50}, "is_default": {"type": "boolean"},
        "description": {"type": ["string", "null"], "maxLength": 250},
        "customer_provided_id": {"type": ["string", "null"]}, "customer_name": {"type": ["string", "null"]},
        "address": {"type": ["object", "null"]}}}"#,
    r#"{"reason": "a new office", "account": "9900000", "name": "Another site",
        "address": {"house_number": "1", "street_name": "Main", "city": "Raleigh", "state_code": "NC"}}"#,
);
/// The form of a change of a site.
const SITE_CHANGE: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "name": {"type": "string", "minLength": 1, "maxLength": 50}, "is_default": {"type": "boolean"},
        "description": {"type": ["string", "null"], "maxLength": 250},
        "customer_provided_id": {"type": ["string", "null"]}, "customer_name": {"type": ["string", "null"]},
        "address": {"type": ["object", "null"]}}}"#,
    r#"{"reason": "it has moved", "description": "The first one"}"#,
);
/// The form of a peer.
const PEER: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "account", "site", "name", "is_default"], "properties": {
        "id": {"type": "string"}, "account": {"type": "string"}, "site": {"type": "string"},
        "name": {"type": "string"}, "is_default": {"type": "boolean"},
        "description": {"type": ["string", "null"]}, "short_messaging_protocol": {"type": ["string", "null"]},
        "voice_hosts": {"type": "array"}, "voice_host_groups": {"type": "array"}, "sms_hosts": {"type": "array"},
        "termination_hosts": {"type": "array"}, "calling_name": {"type": ["object", "null"]}}}"#,
    r#"{"id": "1", "account": "9900000", "site": "1", "name": "Main peer", "is_default": true, "description": null,
        "short_messaging_protocol": null, "voice_hosts": [], "voice_host_groups": [], "sms_hosts": [],
        "termination_hosts": [], "calling_name": null}"#,
);
/// The form of a new peer.
const NEW_PEER: Shape = Shape::json(
    r#"{"type": "object", "required": ["site", "name", "reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}, "account": {"type": "string"},
        "site": {"type": "string"}, "name": {"type": "string", "minLength": 1, "maxLength": 50},
        "is_default": {"type": "boolean"}, "description": {"type": ["string", "null"]},
        "short_messaging_protocol": {"type": ["string", "null"]}, "voice_hosts": {"type": ["array", "null"]},
        "voice_host_groups": {"type": ["array", "null"]}, "sms_hosts": {"type": ["array", "null"]},
        "termination_hosts": {"type": ["array", "null"]}, "calling_name": {"type": ["object", "null"]}}}"#,
    r#"{"reason": "a second gateway", "account": "9900000", "site": "1", "name": "Another peer",
        "voice_hosts": [{"name": "sip.example.com", "port": 5060}]}"#,
);
/// The form of a change of a peer.
const PEER_CHANGE: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500},
        "name": {"type": "string", "minLength": 1, "maxLength": 50},
        "is_default": {"type": "boolean"}, "description": {"type": ["string", "null"]},
        "short_messaging_protocol": {"type": ["string", "null"]}, "voice_hosts": {"type": ["array", "null"]},
        "voice_host_groups": {"type": ["array", "null"]}, "sms_hosts": {"type": ["array", "null"]},
        "termination_hosts": {"type": ["array", "null"]}, "calling_name": {"type": ["object", "null"]}}}"#,
    r#"{"reason": "another protocol", "short_messaging_protocol": "SIP"}"#,
);
const ACCOUNT: Parameter = Parameter::new("account", Form::Text("9900000"), "only those of this account");
const SITE_ONLY: Parameter = Parameter::new("site", Form::Text("1"), "only those under this site");
/// A refusal to remove something.
const STAYS: Told = Told::new(
    409,
    "Numbers are in service there, or it has peers, or it is the default and there are others: `why` says which.",
);

pub(crate) fn routes() -> Vec<Route> {
    let list = |summary| Doc::new(summary, Told::ok(body::LIST));
    let sites_doc = list("Lists sites, by id.").query(&[ACCOUNT]).query(&PAGES);
    let peers_doc = list("Lists peers, by id.").query(&[ACCOUNT, SITE_ONLY]).query(&PAGES);
    let make = |summary, made, takes| Doc::new(summary, Told::made(made)).takes(takes).strangers(403);
    let new_site = make("Makes a site. The first one of an account is its default.", SITE, NEW_SITE);
    let new_peer = make("Makes a peer under a site. The first one there is its default.", PEER, NEW_PEER);
    let one = |summary, shape| Doc::new(summary, Told::ok(shape)).strangers(404);
    let change_site_doc =
        one("Changes a site: what the body leaves out stays, null removes.", SITE).takes(SITE_CHANGE);
    let change_peer_doc =
        one("Changes a peer: what the body leaves out stays, null removes.", PEER).takes(PEER_CHANGE);
    let remove = |summary| Doc::new(summary, Told::GONE).query(&[body::REASON]).or(STAYS).strangers(404);
    let remove_site_doc = remove("Removes a site without peers at which nothing is in service.");
    let remove_peer_doc = remove("Removes a peer at which nothing is in service.");
    let (caller, admin) = (Needs::Caller, Needs::Role(Role::Admin));
    let (get, post) = (Method::GET, Method::POST);
    vec![
        door::route(get.clone(), SITES, caller, sites_doc, list_sites),
        door::route(post.clone(), SITES, admin, new_site, make_site),
        door::route(get.clone(), ONE_SITE, caller, one("Shows a site.", SITE), show_site),
        door::route(Method::PATCH, ONE_SITE, admin, change_site_doc, change_site),
        door::route(Method::DELETE, ONE_SITE, admin, remove_site_doc, remove_site),
        door::route(get.clone(), PEERS, caller, peers_doc, list_peers),
        door::route(post, PEERS, admin, new_peer, make_peer),
        door::route(get, ONE_PEER, caller, one("Shows a peer.", PEER), show_peer),
        door::route(Method::PATCH, ONE_PEER, admin, change_peer_doc, change_peer),
        door::route(Method::DELETE, ONE_PEER, admin, remove_peer_doc, remove_peer),
    ]
}

/// Returns the account of something that is made.
fn account_of(call: &Call, named: Option<&str>) -> Result<AccountId, OpsProblem> {
    body::account(&call.caller, "/account", named)?
        .ok_or_else(|| body::wrong("/account", "an operator says which account it is for".into()))
}

/// Returns something in a path, if its caller may see it.
fn seen<T>(call: &Call, found: Option<T>, account: impl Fn(&T) -> AccountId) -> Result<T, OpsProblem> {
    let own = |found: &T| call.caller.account.is_none_or(|own| own == account(found));
    found.filter(own).ok_or_else(|| Refusal::NoResource.into())
}

async fn site_of(app: &App, call: &Call) -> Result<(Site, SiteDetails), OpsProblem> {
    let id: SiteId = call.param("site").parse().map_err(|_| Refusal::NoResource)?;
    seen(call, app.store.any_site(id).await?, |(site, _)| site.account)
}

async fn peer_of(app: &App, call: &Call) -> Result<(Peer, PeerDetails), OpsProblem> {
    let id: PeerId = call.param("peer").parse().map_err(|_| Refusal::NoResource)?;
    seen(call, app.store.any_peer(id).await?, |(peer, _)| peer.account)
}

async fn list_sites(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let account = body::account(&call.caller, "account", value(&call, "account"))?;
    let page = Page::read(&app, &call, "sites")?;
    let after = page.after.as_deref().and_then(|key| key.parse().ok());
    let mut found = app.store.sites_behind(account, after, page.limit.saturating_add(1)).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|(site, _)| site.id.to_string());
    Ok(Reply::json(StatusCode::OK, &page.document(found.iter().map(site).collect(), next)))
}

async fn list_peers(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let account = body::account(&call.caller, "account", value(&call, "account"))?;
    let at: Option<SiteId> = parsed(&call, "site", "a site's id")?;
    let page = Page::read(&app, &call, "peers")?;
    let after = page.after.as_deref().and_then(|key| key.parse().ok());
    let mut found = app.store.peers_behind((account, at), after, page.limit.saturating_add(1)).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|(peer, _)| peer.id.to_string());
    Ok(Reply::json(StatusCode::OK, &page.document(found.iter().map(peer).collect(), next)))
}

async fn show_site(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    Ok(Reply::json(StatusCode::OK, &site(&site_of(&app, &call).await?)))
}

async fn show_peer(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    Ok(Reply::json(StatusCode::OK, &peer(&peer_of(&app, &call).await?)))
}

/// Returns the problem of a value that is not allowed.
fn not_allowed((at, rule): (&'static str, String)) -> OpsProblem {
    body::wrong(&format!("/{at}"), rule)
}

fn unknown_part(name: &str) -> OpsProblem {
    OpsProblem::new(
        Code::UnknownField,
        format!("an address has no {}", name.chars().take(40).collect::<String>()),
    )
}

async fn make_site(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let said: SiteSaid = body::read(&call)?;
    let account = account_of(&call, said.account.as_deref())?;
    let doer = body::doer(&app, &call, said.reason.as_deref())?;
    let change = said.change().map_err(|name| unknown_part(&name))?;
    if change.name.is_none() {
        return Err(body::wrong("/name", "a site has a name".into()));
    }
    change.check().map_err(not_allowed)?;
    let reply = |made: &(Site, SiteDetails)| {
        let reply = Reply::json(StatusCode::CREATED, &site(made));
        reply.with(header::LOCATION, &format!("{SITES}/{}", made.0.id))
    };
    let once = call.once(doer.now, move |made| Some(reply(made)));
    Ok(reply(&app.store.make_site(account, change, once, doer).await?))
}

async fn make_peer(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let said: PeerSaid = body::read(&call)?;
    let account = account_of(&call, said.account.as_deref())?;
    let doer = body::doer(&app, &call, said.reason.as_deref())?;
    let no_site = || body::wrong("/site", "site is the id of a site of the account".into());
    let at: SiteId = said.site.as_deref().and_then(|id| id.parse().ok()).ok_or_else(no_site)?;
    let change = said.change();
    if change.name.is_none() {
        return Err(body::wrong("/name", "a peer has a name".into()));
    }
    change.check().map_err(not_allowed)?;
    let reply = |made: &(Peer, PeerDetails)| {
        let reply = Reply::json(StatusCode::CREATED, &peer(made));
        reply.with(header::LOCATION, &format!("{PEERS}/{}", made.0.id))
    };
    let once = call.once(doer.now, move |made| Some(reply(made)));
    Ok(reply(&app.store.make_peer((account, at), change, once, doer).await?))
}

async fn change_site(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let said: SiteSaid = body::read(&call)?;
    if said.account.is_some() {
        return Err(OpsProblem::new(Code::UnknownField, "a site stays with its account"));
    }
    let doer = body::doer(&app, &call, said.reason.as_deref())?;
    let (Site { id, account, .. }, _) = site_of(&app, &call).await?;
    let change = said.change().map_err(|name| unknown_part(&name))?;
    change.check().map_err(not_allowed)?;
    let changed = app.store.change_site(account, id, change, doer).await?;
    Ok(Reply::json(StatusCode::OK, &site(&changed.ok_or(Refusal::NoResource)?)))
}

async fn change_peer(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let said: PeerSaid = body::read(&call)?;
    if said.account.is_some() || said.site.is_some() {
        return Err(OpsProblem::new(Code::UnknownField, "a peer stays with its account, and under its site"));
    }
    let doer = body::doer(&app, &call, said.reason.as_deref())?;
    let (Peer { id, account, site, .. }, _) = peer_of(&app, &call).await?;
    let change = said.change();
    change.check().map_err(not_allowed)?;
    let changed = app.store.change_peer(account, site, id, change, doer).await?;
    Ok(Reply::json(StatusCode::OK, &peer(&changed.ok_or(Refusal::NoResource)?)))
}

async fn remove_site(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let doer = body::doer(&app, &call, value(&call, "reason"))?;
    let (Site { id, account, .. }, _) = site_of(&app, &call).await?;
    gone(app.store.remove_site(account, id, doer).await?)
}

async fn remove_peer(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let doer = body::doer(&app, &call, value(&call, "reason"))?;
    let (Peer { id, account, site, .. }, _) = peer_of(&app, &call).await?;
    gone(app.store.remove_peer(account, site, id, doer).await?)
}

/// Returns the reply to a removal.
fn gone(removed: Removed) -> Result<Reply, OpsProblem> {
    let (why, detail) = match removed {
        Removed::Gone => return Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Removed::Unknown => return Err(Refusal::NoResource.into()),
        Removed::Stays(Stays::Numbers) => {
            ("numbers", "numbers are in service there: move or disconnect them first")
        }
        Removed::Stays(Stays::Peers) => ("peers", "it has peers: remove them first"),
        Removed::Stays(Stays::Default) => {
            ("default", "it is the default one: make another the default first")
        }
    };
    Err(OpsProblem::new(Code::HasNumbers, detail).with("why", json!(why)))
}
