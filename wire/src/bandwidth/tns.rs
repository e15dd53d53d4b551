//! A single number, and lists of numbers with what is known of each (contract §2.3 to §2.6).

use onhook_core::ids::OrderId;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::locality::Locality;
use onhook_core::number::Number;
use onhook_core::order::Kind;
use onhook_core::time::Timestamp;

use super::dialect::Dialect;
use super::numbers;
use super::query::{Links, Query};
use crate::error::{Family, NO_NUMBERS, NOT_FOUND, Problem, cut};
use crate::text::xml::{Document, Element};

/// The root of a request.
pub const REQUEST: &str = "TnList";
/// The form of errors about one number.
pub const FAMILY: Family = Family::Response("TelephoneNumberResponse");
/// The form of errors of the list.
pub const LIST_FAMILY: Family = Family::Response("TelephoneNumbersResponse");
/// Numbers on a page by default.
pub const SIZE: u32 = 500;
/// Most numbers on a page, and most numbers in one look-up.
pub const SIZE_MAX: u32 = 2_500;

/// Returns a state as the API spells it. Numbers that the operator keeps are in no inventory: clients see them as
/// removed.
#[must_use]
pub fn status(state: State) -> &'static str {
    match state {
        // A protected number is available only to its owner.
        State::Available | State::Protected => "Available",
        State::Reserved => "Reserved",
        State::InService => "Inservice",
        State::Aging => "Aging",
        State::Administrative | State::Removed => "Removed",
    }
}

/// Returns the states that a list is filtered by. Without a filter they are all states in an account's inventory
/// (contract: decision 20). A status that no number here ever has matches none.
///
/// # Errors
/// [`Problem::NumberStatus`] for a word that is no status.
pub fn states(query: &Query) -> Result<Vec<State>, Problem> {
    let Some(text) = query.get("status")? else {
        return Ok(vec![State::InService, State::Reserved, State::Protected, State::Aging]);
    };
    let mut states = Vec::new();
    for word in text.split(',').map(|word| word.trim().to_ascii_lowercase()) {
        match word.as_str() {
            "inservice" => states.push(State::InService),
            "aging" => states.push(State::Aging),
            "reserved" => states.push(State::Reserved),
            "available" => states.push(State::Protected),
            "inaccount" | "disconnected" | "portinpendingfoc" | "portout" | "removed" | "eliminated"
            | "statusunchanged" => {}
            _ => return Err(Problem::NumberStatus),
        }
    }
    Ok(states)
}

/// Filters that cannot be combined with a time of change or a service.
const ALONE: [&str; 11] = [
    "state",
    "host",
    "city",
    "rateCenter",
    "tier",
    "lata",
    "protected",
    "fullNumber",
    "npa",
    "npaNxx",
    "npaNxxX",
];

/// Returns the days from `modifiedDateFrom` to `modifiedDateTo` (yy-MM-dd, both included) in which a number came into
/// its state.
///
/// # Errors
/// A wrong date, or another filter beside them.
pub fn modified(query: &Query) -> Result<Option<(Timestamp, Timestamp)>, Problem> {
    let days = query.days("modifiedDateFrom", "modifiedDateTo")?;
    let mut beside = Vec::new();
    for name in ALONE {
        beside.extend(query.get(name)?.map(|_| name));
    }
    if days.is_some() && !beside.is_empty() {
        Err(Problem::ModifiedWith(beside.join(", ")))
    } else {
        Ok(days)
    }
}

/// Refuses a filter by service: the service of a number is not known here, and the filter must not seem to have been
/// applied.
///
/// # Errors
/// [`Problem::ByService`], [`Problem::ServiceWith`] beside filters that it excludes, or [`Problem::Service`] for
/// an unknown service.
pub fn by_service(query: &Query) -> Result<(), Problem> {
    let Some(text) = query.get("service")? else { return Ok(()) };
    let known = ["E911", "Voice", "Hosted_E911"];
    match text.split(',').find(|word| !known.iter().any(|known| known.eq_ignore_ascii_case(word.trim()))) {
        Some(other) => Err(Problem::Service(cut(other))),
        None => {
            let times = ["modifiedDateFrom", "modifiedDateTo", "siteId", "sippeerId", "status"];
            for name in ALONE.into_iter().take(7).chain(times) {
                if query.get(name)?.is_some() {
                    return Err(Problem::ServiceWith(cut(text)));
                }
            }
            Err(Problem::ByService)
        }
    }
}

/// What may be shown of a number.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// The number now.
    pub entry: &'a Entry,
    /// Where it lies.
    pub locality: &'a Locality,
    /// Its account, site and peer, if the caller may see them.
    pub holder: Option<Holder<'a>>,
}

/// The holder of a number, as the account itself sees it.
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

/// Returns the answer of `/tns/{tn}`: one number.
#[must_use]
pub fn number(dialect: Dialect, shown: &Shown<'_>) -> String {
    let Shown { entry, holder, .. } = shown;
    let mut out = Document::new();
    out.open("TelephoneNumberResponse").leaf("TelephoneNumber", &dialect.number(entry.number));
    out.leaf("Status", status(entry.state()));
    if let Some(holder) = holder {
        out.leaf_display("LastModifiedDate", holder.since);
        if let Some((id, kind, created_at)) = holder.order {
            out.leaf_display("OrderCreateDate", created_at).leaf_display("OrderId", id);
            out.leaf("OrderType", order_type(kind));
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

/// Returns the answer of `/tns/{tn}/tndetails`: one number in detail. What has no value is left out.
#[must_use]
pub fn details(dialect: Dialect, shown: &Shown<'_>) -> String {
    let Shown { entry, locality, holder } = shown;
    let mut out = Document::new();
    out.open("TelephoneNumberResponse").open("TelephoneNumberDetails");
    write_public(&mut out, dialect, entry, locality);
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

/// Returns the answer with a page of numbers, each with what is known of it.
#[must_use]
pub fn list(dialect: Dialect, numbers: &[Shown<'_>], total: u64, links: &Links) -> String {
    document(dialect, numbers, total, |out| links.write(out), |_| {})
}

/// Reads the numbers of a look-up, as sent.
///
/// # Errors
/// Another root, a list that is empty or too long, or another element than `Tn` in it.
pub fn lookup<'a>(root: &'a Element<'_>) -> Result<Vec<&'a str>, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::BadRequest("the root element is TnList".into()));
    }
    let numbers = root.texts_of("Tn")?;
    numbers::all_read(root, "Tn")?;
    let max = usize::try_from(SIZE_MAX).unwrap_or(usize::MAX);
    match numbers.len() {
        0 => Err(Problem::NoLookup),
        count if count > max => Err(Problem::TooManyLookups(max)),
        _ => Ok(numbers),
    }
}

/// Returns the answer to a look-up: the found numbers, the texts that are no numbers, and the numbers that the caller
/// does not have. `here` is the address that was asked.
#[must_use]
pub fn looked_up(
    dialect: Dialect,
    found: &[Shown<'_>],
    wrong: &[&str],
    missing: &[Number],
    here: &str,
) -> String {
    let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
    let links = |out: &mut Document| {
        out.open("Links").leaf("first", &format!("Link=<{here}>;rel=\"first\";")).close("Links");
    };
    document(dialect, found, total, links, |out| {
        if wrong.is_empty() && missing.is_empty() {
            return;
        }
        out.open("ErrorList");
        let wrong: Vec<String> = wrong.iter().map(|text| cut(text)).collect();
        let missing: Vec<String> = missing.iter().map(|number| dialect.number(*number)).collect();
        for ((code, text), numbers) in [(NO_NUMBERS, wrong), (NOT_FOUND, missing)] {
            if numbers.is_empty() {
                continue;
            }
            out.open("Error").leaf_display("Code", code).leaf("Description", text).open("TelephoneNumbers");
            for number in numbers {
                out.leaf("TelephoneNumber", &number);
            }
            out.close("TelephoneNumbers").close("Error");
        }
        out.close("ErrorList");
    })
}

fn document(
    dialect: Dialect,
    numbers: &[Shown<'_>],
    total: u64,
    links: impl FnOnce(&mut Document),
    more: impl FnOnce(&mut Document),
) -> String {
    let mut out = Document::new();
    out.open("TelephoneNumbersResponse").leaf_display("TelephoneNumberCount", total);
    links(&mut out);
    out.open("TelephoneNumbers");
    for Shown { entry, locality, holder } in numbers {
        out.open("TelephoneNumber");
        write_public(&mut out, dialect, entry, locality);
        if let Some(holder) = holder {
            out.leaf_display("AccountId", holder.account).leaf_display("LastModified", holder.since);
            if let Some(at) = holder.in_service_at {
                out.leaf_display("InServiceDate", at);
            }
        }
        out.close("TelephoneNumber");
    }
    out.close("TelephoneNumbers");
    more(&mut out);
    out.close("TelephoneNumbersResponse");
    out.finish()
}

/// Writes what every caller who may see a number may know of it.
fn write_public(out: &mut Document, dialect: Dialect, entry: &Entry, locality: &Locality) {
    for (name, value) in [("City", &locality.city), ("Lata", &locality.lata), ("State", &locality.region)] {
        if let Some(value) = value {
            out.leaf(name, value);
        }
    }
    out.leaf("FullNumber", &dialect.number(entry.number));
    if let Some(rate_center) = &locality.rate_center {
        out.leaf("RateCenter", rate_center);
    }
    out.leaf("Status", status(entry.state()));
}

fn order_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Disconnect => "DISCONNECT_NUMBER_ORDER",
        Kind::Number => "NEW_NUMBER_ORDER",
        Kind::Move => "MOVE_TN_ORDER",
    }
}

/// One state that a number had, and its cause.
#[derive(Clone, Debug)]
pub struct Past<'a> {
    /// The account in whose inventory it was then.
    pub account: Option<AccountId>,
    /// When it came into the state.
    pub at: Timestamp,
    /// The state.
    pub state: State,
    /// The order that caused it: its id, its kind and when it arrived.
    pub order: Option<(OrderId, Kind, Timestamp)>,
    /// The user who caused it.
    pub user: Option<&'a str>,
}

/// Returns the answer of `/tns/{tn}/history`: the states that a number had, oldest first.
#[must_use]
pub fn history(past: &[Past<'_>]) -> String {
    let mut out = Document::new();
    out.open("TelephoneNumberResponse").element("TelephoneNumberStatuses", |out| {
        for Past { account, at, state, order, user } in past {
            out.open("TelephoneNumberStatus");
            if let Some(account) = account {
                out.leaf_display("AccountId", account);
            }
            out.leaf_display("LastModifiedDate", at);
            if let Some((id, _, created_at)) = order {
                out.leaf_display("OrderCreateDate", created_at).leaf_display("OrderId", id);
            }
            out.leaf("Status", status(*state));
            if let Some(user) = user {
                out.leaf("UserId", user);
            }
            if let Some((_, kind, _)) = order {
                out.leaf("OrderType", order_type(*kind));
            }
            out.close("TelephoneNumberStatus");
        }
    });
    out.close("TelephoneNumberResponse");
    out.finish()
}

/// Returns the answer of `/tns/{tn}/sites`: a number's site.
#[must_use]
pub fn site(id: SiteId, name: &str) -> String {
    let mut out = Document::new();
    out.open("Site").leaf_display("Id", id).leaf("Name", name).close("Site");
    out.finish()
}

/// Returns the answer of `/tns/{tn}/sippeers`: a number's peer.
#[must_use]
pub fn peer(id: PeerId, name: &str) -> String {
    let mut out = Document::new();
    out.open("SipPeer").leaf_display("Id", id).leaf("Name", name).close("SipPeer");
    out.finish()
}

/// Returns the answer of `/tns/{tn}/lata`: a number's LATA.
#[must_use]
pub fn lata(lata: &str) -> String {
    let mut out = Document::new();
    out.open("TelephoneNumberResponse").open("TelephoneNumberDetails").leaf("Lata", lata);
    out.close("TelephoneNumberDetails").close("TelephoneNumberResponse");
    out.finish()
}

/// Returns the answer of `/tns/{tn}/ratecenter`: a number's rate center.
#[must_use]
pub fn rate_center(region: &str, rate_center: &str) -> String {
    let mut out = Document::new();
    out.open("TelephoneNumberResponse").open("TelephoneNumberDetails").leaf("State", region);
    out.leaf("RateCenter", rate_center).close("TelephoneNumberDetails").close("TelephoneNumberResponse");
    out.finish()
}
