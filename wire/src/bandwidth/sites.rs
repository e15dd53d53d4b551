//! An account and its sites (contract §6).

use onhook_core::account::details::{
    Address, AddressPart, SITE_DESCRIPTION_MAX, SiteChange, SiteDetails, TEXT_MAX, is_site_name, is_site_text,
};
use onhook_core::account::{Account, Class, Peer, Site};
use onhook_core::ids::SiteId;

use crate::error::{Family, Problem, cut};
use crate::text::xml::{Document, Element};

/// The root of a request.
pub const REQUEST: &str = "Site";
/// The form of errors about the account.
pub const ACCOUNT_FAMILY: Family = Family::Response("AccountResponse");
/// The form of errors about a site.
pub const SITE_FAMILY: Family = Family::Response("SiteResponse");

/// Returns the answer with what is known of an account. There are no tiers of numbers here, so all are of the first.
#[must_use]
pub fn account(account: &Account) -> String {
    let class = match account.class {
        Class::Residential => "Residential",
        Class::Business => "Business",
        Class::Unknown => "Unknown",
    };
    let mut out = Document::new();
    out.open("AccountResponse").open("Account").leaf_display("AccountId", account.id);
    out.leaf("CompanyName", &account.name).leaf("AccountType", class);
    out.open("Tiers").leaf("Tier", "0").close("Tiers");
    out.close("Account").close("AccountResponse");
    out.finish()
}

/// A site in a list, as it is shown.
#[derive(Clone, Debug)]
pub struct Listed<'a> {
    /// The site.
    pub site: &'a Site,
    /// The account's details of it. `None` in a summary.
    pub details: Option<&'a SiteDetails>,
    /// How many numbers are in service there, if asked for.
    pub numbers: Option<u64>,
    /// Its peers, if asked for.
    pub peers: Option<Vec<&'a Peer>>,
}

/// Returns the answer with the account's sites. No source shows what counts and peers look like. They are written as in
/// other replies.
#[must_use]
pub fn sites<'a>(sites: impl IntoIterator<Item = Listed<'a>>) -> String {
    let mut out = Document::new();
    out.open("SitesResponse").open("Sites");
    for Listed { site, details, numbers, peers } in sites {
        out.open("Site");
        write_name(&mut out, site, details);
        if let Some(numbers) = numbers {
            out.leaf_display("TelephoneNumberCount", numbers);
        }
        if let Some(peers) = peers {
            out.open("SipPeers");
            for peer in peers {
                out.open("SipPeer").leaf_display("PeerId", peer.id).leaf("PeerName", &peer.name);
                out.leaf_display("IsDefaultPeer", peer.is_default).close("SipPeer");
            }
            out.close("SipPeers");
        }
        out.close("Site");
    }
    out.close("Sites").close("SitesResponse");
    out.finish()
}

/// Returns the answer with one site and its details.
#[must_use]
pub fn site(site: &Site, details: &SiteDetails) -> String {
    let SiteDetails { customer_provided_id, customer_name, address, .. } = details;
    let mut out = Document::new();
    out.open("SiteResponse").open("Site");
    write_name(&mut out, site, Some(details));
    write_text(&mut out, "CustomerProvidedID", customer_provided_id.as_deref());
    write_text(&mut out, "CustomerName", customer_name.as_deref());
    if let Some(address) = address {
        out.open("Address");
        for (part, text) in address {
            out.leaf(part.word(), text);
        }
        out.close("Address");
    }
    out.close("Site").close("SiteResponse");
    out.finish()
}

fn write_name(out: &mut Document, site: &Site, details: Option<&SiteDetails>) {
    out.leaf_display("Id", site.id).leaf("Name", &site.name);
    write_text(out, "Description", details.and_then(|details| details.description.as_deref()));
}

pub(crate) fn write_text(out: &mut Document, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        out.leaf(name, text);
    }
}

/// Returns the answer with the count of a site's numbers.
#[must_use]
pub fn site_total(count: u64) -> String {
    let mut out = Document::new();
    out.open("SiteTNsResponse").open("SiteTNs").leaf_display("TotalCount", count);
    out.close("SiteTNs").close("SiteTNsResponse");
    out.finish()
}

/// Reads the settings of a new site, or of the site with the id and name `kept`. Absent elements set nothing.
///
/// # Errors
/// Another root, a new site without a name, another id, a text that is too long or has forbidden characters.
pub fn read(root: &Element<'_>, kept: Option<(SiteId, &str)>) -> Result<SiteChange, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::BadRequest("the root element is Site".into()));
    }
    own_id(root, "Id", kept.map(|(id, _)| id.get()))?;
    let name = match root.value("Name")? {
        None if kept.is_some() => None,
        None | Some("") => return Err(Problem::Required("Name")),
        // A site that an operator made may have a name that is not allowed here. It can be changed without a new name.
        Some(name) if kept.is_some_and(|(_, now)| now == name) => None,
        Some(name) if !is_site_name(name) => return Err(Problem::SiteName),
        Some(name) => Some(name.to_owned()),
    };
    let description = match root.value("Description")? {
        Some(text) if text.len() > SITE_DESCRIPTION_MAX || !is_site_text(text) => {
            return Err(Problem::SiteDescription);
        }
        text => text.map(str::to_owned),
    };
    Ok(SiteChange {
        is_default: None,
        name,
        description,
        customer_provided_id: text(root, "CustomerProvidedID", TEXT_MAX)?,
        customer_name: text(root, "CustomerName", TEXT_MAX)?,
        address: root.child("Address")?.map(address).transpose()?,
    })
}

fn address(element: &Element<'_>) -> Result<Address, Problem> {
    let mut address = Address::new();
    for part in AddressPart::ALL {
        if let Some(text) = text(element, part.word(), TEXT_MAX)?.filter(|text| !text.is_empty()) {
            address.insert(*part, text);
        }
    }
    Ok(address)
}

/// Refuses an id in a document, unless it is the id of the thing that is changed: clients send back all that they got.
pub(crate) fn own_id(root: &Element<'_>, name: &'static str, own: Option<u32>) -> Result<(), Problem> {
    match root.filled(name)? {
        Some(text) if own.map(|id| id.to_string()).as_deref() != Some(text) => Err(Problem::IdNotAllowed),
        _ => Ok(()),
    }
}

/// Returns the text of an element. It must be on one line and have at most `max` characters.
pub(crate) fn text(root: &Element<'_>, name: &'static str, max: usize) -> Result<Option<String>, Problem> {
    match root.value(name)? {
        Some(text) if text.chars().count() > max => Err(Problem::TooLong(name, max)),
        Some(text) if text.contains(char::is_control) => Err(Problem::Value(name, cut(text), &[])),
        text => Ok(text.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::xml::parse;

    fn read_new(inner: &str) -> Result<SiteChange, Problem> {
        read(&parse(format!("<Site>{inner}</Site>").as_bytes()).unwrap(), None)
    }

    #[test]
    fn a_site_is_read_with_its_address() {
        let change = read_new(
            "<Name> Test Site </Name><CustomerName>R&amp;D</CustomerName><Address><City>Raleigh</City>\
             <HouseNumber>1</HouseNumber><County/><Planet>Earth</Planet></Address>",
        );
        let change = change.unwrap();
        assert_eq!(
            (change.name.as_deref(), change.customer_name.as_deref()),
            (Some("Test Site"), Some("R&D"))
        );
        let parts: Vec<_> = change.address.unwrap().into_iter().collect();
        assert_eq!(parts, [(AddressPart::HouseNumber, "1".into()), (AddressPart::City, "Raleigh".into())]);
        assert_eq!(change.description, None);
    }

    #[test]
    fn what_a_site_must_not_be_called_is_refused() {
        let long = "a".repeat(251);
        for (inner, problem) in [
            ("", Problem::Required("Name")),
            ("<Name/>", Problem::Required("Name")),
            ("<Name>R&amp;D</Name>", Problem::SiteName),
            (&format!("<Name>{}</Name>", "a".repeat(51)), Problem::SiteName),
            ("<Name>a</Name><Description>R&amp;D</Description>", Problem::SiteDescription),
            (&format!("<Name>a</Name><Description>{long}</Description>"), Problem::SiteDescription),
            ("<Name>a</Name><Id>7</Id>", Problem::IdNotAllowed),
            ("<Name>a</Name><Name>b</Name>", Problem::Twice("Name")),
            (
                &format!("<Name>a</Name><CustomerName>{long}</CustomerName>"),
                Problem::TooLong("CustomerName", 250),
            ),
            (
                "<Name>a</Name><Address><City>a&#10;b</City></Address>",
                Problem::Value("City", "a\nb".into(), &[]),
            ),
        ] {
            assert_eq!(read_new(inner), Err(problem), "{inner}");
        }
    }

    #[test]
    fn a_site_that_is_changed_may_keep_its_name_and_say_its_id() {
        let kept = Some((SiteId::new(7).unwrap(), "R&D"));
        let change = |inner: &str| read(&parse(format!("<Site>{inner}</Site>").as_bytes()).unwrap(), kept);
        assert_eq!(change("<Id>7</Id><Name>R&amp;D</Name>"), Ok(SiteChange::default()));
        assert_eq!(change("<Id>8</Id>"), Err(Problem::IdNotAllowed));
        assert_eq!(change("<Name></Name>"), Err(Problem::Required("Name")));
        assert_eq!(change("<Name>R&amp;E</Name>"), Err(Problem::SiteName));
        let cleared = SiteChange { description: Some(String::new()), ..SiteChange::default() };
        assert_eq!(change("<Description/>"), Ok(cleared));
    }
}
