//! Numbers of an account, and one number in detail (contract §2).

use onhook_core::account::{AccountId, PeerId, SiteId};
use onhook_core::hold::AreaName;
use onhook_core::lifecycle::{Entry, State};
use onhook_core::number::Number;
use onhook_core::order::{Kind, OrderId};
use onhook_core::time::Timestamp;

use crate::dialect::Dialect;
use crate::error::Family;
use crate::query::Links;
use crate::xml::Document;

/// The form of errors of the lists.
pub const LIST_FAMILY: Family = Family::Response("TNs");
/// The form of errors about one number.
pub const NUMBER_FAMILY: Family = Family::Response("TelephoneNumberResponse");

/// A state as the API spells it. Numbers that the operator keeps are in no inventory: to a client they
/// read as removed.
#[must_use]
pub fn status(state: State) -> &'static str {
    match state {
        // A protected number is available, to its owner only.
        State::Available | State::Protected => "Available",
        State::Reserved => "Reserved",
        State::InService => "Inservice",
        State::Aging => "Aging",
        State::Administrative | State::Removed => "Removed",
    }
}

/// A page of a list of numbers.
#[must_use]
pub fn list(dialect: Dialect, numbers: &[Number], total: u64, links: &Links) -> String {
    let mut out = Document::new();
    out.open("TNs").leaf_display("TotalCount", total);
    links.write(&mut out);
    out.open("TelephoneNumbers").leaf_display("Count", numbers.len());
    for number in numbers {
        out.leaf("TelephoneNumber", &dialect.number(*number));
    }
    out.close("TelephoneNumbers").close("TNs");
    out.finish()
}

/// How many numbers there are.
#[must_use]
pub fn quantity(count: u64) -> String {
    let mut out = Document::new();
    out.open("Quantity").leaf_display("Count", count).close("Quantity");
    out.finish()
}

/// What may be told of a number.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// The number now.
    pub entry: &'a Entry,
    /// Its area.
    pub area: &'a AreaName,
    /// Its account, site and peer; only for those who may know.
    pub holder: Option<Holder<'a>>,
}

/// Whose a number is, for the account itself.
#[derive(Clone, Debug)]
pub struct Holder<'a> {
    /// The account.
    pub account: AccountId,
    /// The site and its name.
    pub site: Option<(SiteId, Option<&'a str>)>,
    /// The peer, its name, and whether it is the site's default one.
    pub peer: Option<(PeerId, Option<&'a str>, bool)>,
    /// When its state began.
    pub since: Timestamp,
    /// When it last entered service.
    pub in_service_at: Option<Timestamp>,
    /// The last order that changed it.
    pub order: Option<(OrderId, Kind, Timestamp)>,
}

/// One number: the answer of `/tns/{tn}`.
#[must_use]
pub fn number(dialect: Dialect, shown: &Shown<'_>) -> String {
    let Shown { entry, holder, .. } = shown;
    let mut out = Document::new();
    out.open("TelephoneNumberResponse").leaf("TelephoneNumber", &dialect.number(entry.number));
    out.leaf("Status", status(entry.state()));
    if let Some(holder) = holder {
        out.leaf_display("LastModifiedDate", holder.since);
        if let Some((id, kind, created_at)) = holder.order {
            let order_type = match kind {
                Kind::Disconnect => "DISCONNECT_NUMBER_ORDER",
                Kind::Number => "NEW_NUMBER_ORDER",
            };
            out.leaf_display("OrderCreateDate", created_at).leaf_display("OrderId", id);
            out.leaf("OrderType", order_type);
        }
        if let Some(at) = holder.in_service_at {
            out.leaf_display("InServiceDate", at);
        }
        if let Some((site, _)) = holder.site {
            out.leaf_display("SiteId", site);
        }
        out.leaf_display("AccountId", holder.account);
    }
    out.close("TelephoneNumberResponse");
    out.finish()
}

/// One number in detail: the answer of `/tns/{tn}/tndetails`. What has no value is left out.
#[must_use]
pub fn details(dialect: Dialect, shown: &Shown<'_>) -> String {
    let Shown { entry, area, holder } = shown;
    let mut out = Document::new();
    out.open("TelephoneNumberResponse").open("TelephoneNumberDetails");
    if let Some(state) = area.region() {
        out.leaf("State", state);
    }
    out.leaf("FullNumber", &dialect.number(entry.number));
    if let Some(rate_center) = area.rate_center() {
        out.leaf("RateCenter", rate_center);
    }
    out.leaf("Status", status(entry.state()));
    if let Some(holder) = holder {
        out.leaf_display("AccountId", holder.account);
        if let Some((id, name)) = holder.site {
            out.open("Site").leaf_display("Id", id).leaf("Name", name.unwrap_or_default()).close("Site");
        }
        if let Some((id, name, is_default)) = holder.peer {
            out.open("SipPeer").leaf_display("PeerId", id).leaf("PeerName", name.unwrap_or_default());
            out.leaf_display("IsDefaultPeer", is_default).close("SipPeer");
        }
        out.leaf_display("LastModified", holder.since);
        if let Some(at) = holder.in_service_at {
            out.leaf_display("InServiceDate", at);
        }
        out.element("TnAttributes", |out| {
            if entry.protected {
                out.leaf("TnAttribute", "Protected");
            }
        });
    }
    out.close("TelephoneNumberDetails").close("TelephoneNumberResponse");
    out.finish()
}
