//! An account, its sites and its peers (contract §6).

use onhook_core::account::{Account, Peer, Site};
use onhook_core::number::Number;

use crate::dialect::Dialect;
use crate::error::Family;
use crate::query::Links;
use crate::xml::Document;

/// The form of errors about the account.
pub const ACCOUNT_FAMILY: Family = Family::Response("AccountResponse");
/// The form of errors about a site.
pub const SITE_FAMILY: Family = Family::Response("SiteResponse");
/// The form of errors about a peer.
pub const PEER_FAMILY: Family = Family::Response("SipPeerResponse");
/// The form of errors about a peer's numbers.
pub const NUMBERS_FAMILY: Family = Family::Response("SipPeerTelephoneNumbersResponse");

/// The account.
#[must_use]
pub fn account(account: &Account) -> String {
    let mut out = Document::new();
    out.open("AccountResponse").open("Account").leaf_display("AccountId", account.id);
    out.leaf("CompanyName", &account.name).leaf("AccountType", account.class.word());
    out.close("Account").close("AccountResponse");
    out.finish()
}

/// The account's sites.
#[must_use]
pub fn sites(sites: &[Site]) -> String {
    let mut out = Document::new();
    out.open("SitesResponse").open("Sites");
    for one in sites {
        write_site(&mut out, one);
    }
    out.close("Sites").close("SitesResponse");
    out.finish()
}

/// One site.
#[must_use]
pub fn site(site: &Site) -> String {
    let mut out = Document::new();
    out.open("SiteResponse");
    write_site(&mut out, site);
    out.close("SiteResponse");
    out.finish()
}

fn write_site(out: &mut Document, site: &Site) {
    out.open("Site").leaf_display("Id", site.id).leaf("Name", &site.name).close("Site");
}

/// A site's peers.
#[must_use]
pub fn peers(peers: &[Peer]) -> String {
    let mut out = Document::new();
    out.open("TNSipPeersResponse").open("SipPeers");
    for one in peers {
        write_peer(&mut out, one);
    }
    out.close("SipPeers").close("TNSipPeersResponse");
    out.finish()
}

/// One peer.
#[must_use]
pub fn peer(peer: &Peer) -> String {
    let mut out = Document::new();
    out.open("SipPeerResponse");
    write_peer(&mut out, peer);
    out.close("SipPeerResponse");
    out.finish()
}

fn write_peer(out: &mut Document, peer: &Peer) {
    out.open("SipPeer").leaf_display("PeerId", peer.id).leaf("PeerName", &peer.name);
    out.leaf_display("IsDefaultPeer", peer.is_default).close("SipPeer");
}

/// How many numbers a site has.
#[must_use]
pub fn site_total(count: u64) -> String {
    let mut out = Document::new();
    out.open("SiteTNsResponse").open("SiteTNs").leaf_display("TotalCount", count);
    out.close("SiteTNs").close("SiteTNsResponse");
    out.finish()
}

/// How many numbers a peer has; the element's name is there twice, as the API has it.
#[must_use]
pub fn peer_total(count: u64) -> String {
    let mut out = Document::new();
    out.open("SipPeerTelephoneNumbersCountResponse").open("SipPeerTelephoneNumbersCount");
    out.leaf_display("SipPeerTelephoneNumbersCount", count);
    out.close("SipPeerTelephoneNumbersCount").close("SipPeerTelephoneNumbersCountResponse");
    out.finish()
}

/// A page of a peer's numbers.
#[must_use]
pub fn numbers(dialect: Dialect, numbers: &[Number], links: &Links) -> String {
    let mut out = Document::new();
    out.open("SipPeerTelephoneNumbersResponse");
    links.write(&mut out);
    out.open("SipPeerTelephoneNumbers");
    for number in numbers {
        write_number(&mut out, dialect, *number);
    }
    out.close("SipPeerTelephoneNumbers").close("SipPeerTelephoneNumbersResponse");
    out.finish()
}

/// One of a peer's numbers.
#[must_use]
pub fn number(dialect: Dialect, number: Number) -> String {
    let mut out = Document::new();
    out.open("SipPeerTelephoneNumberResponse");
    write_number(&mut out, dialect, number);
    out.close("SipPeerTelephoneNumberResponse");
    out.finish()
}

fn write_number(out: &mut Document, dialect: Dialect, number: Number) {
    out.open("SipPeerTelephoneNumber").leaf("FullNumber", &dialect.number(number));
    out.close("SipPeerTelephoneNumber");
}
