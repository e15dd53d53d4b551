//! The details of sites and peers, besides their names.
//!
//! Hosts, protocols and addresses are kept and returned. No call depends on them.

use std::collections::BTreeMap;

use crate::words::words;

/// Most characters of a site's name (contract: error 4015).
pub const SITE_NAME_MAX: usize = 50;
/// Most characters of a site's description (contract: error 4016).
pub const SITE_DESCRIPTION_MAX: usize = 250;
/// Most characters of a peer's name.
pub const PEER_NAME_MAX: usize = 50;
/// Most characters of any other text of a site or a peer.
pub const TEXT_MAX: usize = 250;
/// Most hosts in each list of a peer.
pub const HOSTS_MAX: usize = 100;
/// Most bytes of the details of one site or peer, as stored.
pub const DETAILS_MAX: usize = 16 * 1_024;
/// Most bytes of the details of all sites of an account, and of all its peers: a list of them is one reply.
pub const ALL_DETAILS_MAX: usize = 4 * 1_024 * 1_024;

/// Returns whether a site's name or description has only the characters that the API allows.
#[must_use]
pub fn is_site_text(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b' '))
}

/// Returns whether a site may have this name.
#[must_use]
pub fn is_site_name(name: &str) -> bool {
    (1..=SITE_NAME_MAX).contains(&name.len()) && is_site_text(name)
}

words! {
    /// A part of an address, by its name on the wire, in the order in which parts are written.
    AddressPart {
        /// Before the street's name.
        HouseNumber = "HouseNumber",
        /// Before the house number.
        HousePrefix = "HousePrefix",
        /// After the house number.
        HouseSuffix = "HouseSuffix",
        /// A point of the compass before the street's name.
        PreDirectional = "PreDirectional",
        /// The street.
        StreetName = "StreetName",
        /// The kind of street.
        StreetSuffix = "StreetSuffix",
        /// A point of the compass after the street's name.
        PostDirectional = "PostDirectional",
        /// A second line.
        AddressLine2 = "AddressLine2",
        /// The city.
        City = "City",
        /// The state or province, two letters.
        StateCode = "StateCode",
        /// The postal code.
        Zip = "Zip",
        /// Four more digits of it.
        PlusFour = "PlusFour",
        /// The county.
        County = "County",
        /// The country.
        Country = "Country",
        /// The kind of address: Service, Billing, …
        AddressType = "AddressType",
    }
}

/// An address: the parts that were given.
pub type Address = BTreeMap<AddressPart, String>;

/// The details of a site, besides its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SiteDetails {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The account's own id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_provided_id: Option<String>,
    /// The name of the customer whose site it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// A change of a site. `None` leaves a value as it is, an empty text or address removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteChange {
    /// Its name. A new site needs one.
    pub name: Option<String>,
    /// True if it should be its account's default. A default site that says false stays it, as a default peer does.
    pub is_default: Option<bool>,
    /// What it is for.
    pub description: Option<String>,
    /// The account's own id for it.
    pub customer_provided_id: Option<String>,
    /// The name of the customer whose site it is.
    pub customer_name: Option<String>,
    /// Where it is.
    pub address: Option<Address>,
}

impl SiteChange {
    /// Returns a change of the name alone.
    #[must_use]
    pub fn named(name: String) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    /// Checks the values. A change that leaves the name out keeps it.
    ///
    /// # Errors
    /// The name of the first value that is not allowed, and what is allowed there.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.name.as_deref().is_some_and(|name| !is_site_name(name)) {
            let rule = format!("it is 1 to {SITE_NAME_MAX} letters, digits, dots, dashes and spaces");
            return Err(("name", rule));
        }
        if let Some(text) = &self.description
            && (text.len() > SITE_DESCRIPTION_MAX || !is_site_text(text))
        {
            let rule =
                format!("it is at most {SITE_DESCRIPTION_MAX} letters, digits, dots, dashes and spaces");
            return Err(("description", rule));
        }
        check_text("customer_provided_id", self.customer_provided_id.as_deref())?;
        check_text("customer_name", self.customer_name.as_deref())?;
        self.address.iter().flatten().try_for_each(|(_, text)| check_text("address", Some(text)))
    }

    /// Applies the change, except for `is_default`: that concerns the account's other sites too.
    pub fn onto(self, name: &mut String, details: &mut SiteDetails) {
        replace(name, self.name);
        replace_text(&mut details.description, self.description);
        replace_text(&mut details.customer_provided_id, self.customer_provided_id);
        replace_text(&mut details.customer_name, self.customer_name);
        if let Some(address) = self.address {
            details.address = Some(address).filter(|address| !address.is_empty());
        }
    }
}

/// A host from or to which calls or messages of a peer go.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Host {
    /// Its name or address, as sent.
    pub name: String,
    /// Its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A host for calls out of a peer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TerminationHost {
    /// The host.
    #[serde(flatten)]
    pub host: Host,
    /// The destinations that its calls may have: DOMESTIC, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_traffic_allowed: Option<String>,
    /// True if it may send data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_allowed: Option<bool>,
}

/// The display of callers' names at a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CallingName {
    /// True if names are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<bool>,
    /// True if a number cannot choose otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforced: Option<bool>,
}

/// The details of a peer, besides its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PeerDetails {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The protocol of messages: SIP, SMPP, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_messaging_protocol: Option<String>,
    /// Hosts for incoming calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voice_hosts: Vec<Host>,
    /// Groups of hosts for incoming calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voice_host_groups: Vec<Vec<Host>>,
    /// Hosts for incoming messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sms_hosts: Vec<Host>,
    /// Hosts for outgoing calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub termination_hosts: Vec<TerminationHost>,
    /// The display of callers' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calling_name: Option<CallingName>,
}

/// A change of a peer. `None` leaves a value as it is, an empty text or list removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerChange {
    /// Its name. A new peer needs one.
    pub name: Option<String>,
    /// True if it should be its site's default: see [`is_default`].
    pub is_default: Option<bool>,
    /// What it is for.
    pub description: Option<String>,
    /// The protocol of messages.
    pub short_messaging_protocol: Option<String>,
    /// Hosts for incoming calls.
    pub voice_hosts: Option<Vec<Host>>,
    /// Groups of hosts for incoming calls.
    pub voice_host_groups: Option<Vec<Vec<Host>>>,
    /// Hosts for incoming messages.
    pub sms_hosts: Option<Vec<Host>>,
    /// Hosts for outgoing calls.
    pub termination_hosts: Option<Vec<TerminationHost>>,
    /// The display of callers' names.
    pub calling_name: Option<CallingName>,
}

impl PeerChange {
    /// Returns a change of the name alone.
    #[must_use]
    pub fn named(name: String) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    /// Checks the values. A change that leaves the name out keeps it.
    ///
    /// # Errors
    /// The name of the first value that is not allowed, and what is allowed there.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(name) = &self.name {
            crate::name::check(name, PEER_NAME_MAX).map_err(|bad| ("name", bad.to_string()))?;
        }
        check_text("description", self.description.as_deref())?;
        check_text("short_messaging_protocol", self.short_messaging_protocol.as_deref())?;
        check_hosts("voice_hosts", self.voice_hosts.iter().flatten())?;
        check_hosts("sms_hosts", self.sms_hosts.iter().flatten())?;
        let groups = self.voice_host_groups.as_deref().unwrap_or_default();
        if groups.len() > HOSTS_MAX {
            return Err(("voice_host_groups", format!("it has at most {HOSTS_MAX} groups")));
        }
        groups.iter().try_for_each(|group| check_hosts("voice_host_groups", group))?;
        let hosts = self.termination_hosts.as_deref().unwrap_or_default();
        check_hosts("termination_hosts", hosts.iter().map(|host| &host.host))?;
        let mut traffic = hosts.iter().filter_map(|host| host.customer_traffic_allowed.as_deref());
        traffic.try_for_each(|text| check_text("termination_hosts", Some(text)))
    }

    /// Applies the change, except for `is_default`: that concerns the site's other peers too.
    pub fn onto(self, name: &mut String, details: &mut PeerDetails) {
        replace(name, self.name);
        replace_text(&mut details.description, self.description);
        replace_text(&mut details.short_messaging_protocol, self.short_messaging_protocol);
        replace(&mut details.voice_hosts, self.voice_hosts);
        replace(&mut details.voice_host_groups, self.voice_host_groups);
        replace(&mut details.sms_hosts, self.sms_hosts);
        replace(&mut details.termination_hosts, self.termination_hosts);
        if self.calling_name.is_some() {
            details.calling_name = self.calling_name.filter(|name| *name != CallingName::default());
        }
    }
}

/// Checks a text of a site or a peer.
fn check_text(at: &'static str, text: Option<&str>) -> Result<(), (&'static str, String)> {
    let good = |text: &str| text.chars().count() <= TEXT_MAX && !text.contains(char::is_control);
    let rule = || format!("it has at most {TEXT_MAX} characters, and no control characters");
    if text.is_none_or(good) { Ok(()) } else { Err((at, rule())) }
}

/// Checks a list of hosts.
fn check_hosts<'a>(
    at: &'static str,
    hosts: impl IntoIterator<Item = &'a Host>,
) -> Result<(), (&'static str, String)> {
    let mut count = 0;
    for host in hosts {
        count += 1;
        check_text(at, Some(&host.name))?;
        if host.name.is_empty() {
            return Err((at, "a host has a name".into()));
        }
    }
    if count > HOSTS_MAX { Err((at, format!("it has at most {HOSTS_MAX} hosts"))) } else { Ok(()) }
}

fn replace<T>(kept: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *kept = new;
    }
}

fn replace_text(kept: &mut Option<String>, new: Option<String>) {
    if let Some(new) = new {
        *kept = Some(new).filter(|text| !text.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays_and_what_is_empty_goes() {
        let (mut name, mut details) = ("Main site".to_owned(), SiteDetails::default());
        let change = SiteChange { description: Some("The first".into()), ..SiteChange::default() };
        change.onto(&mut name, &mut details);
        assert_eq!((name.as_str(), details.description.as_deref()), ("Main site", Some("The first")));
        let change = SiteChange { description: Some(String::new()), ..SiteChange::named("Other".into()) };
        change.onto(&mut name, &mut details);
        assert_eq!((name.as_str(), details.description), ("Other", None));
    }

    #[test]
    fn a_value_that_is_not_allowed_is_named() {
        let site = |change: SiteChange| change.check().err().map(|(at, _)| at);
        assert_eq!(site(SiteChange::named("Main site".into())), None);
        assert_eq!(site(SiteChange::named("R&D".into())), Some("name"));
        let address = Some(Address::from([(AddressPart::City, "a".repeat(251))]));
        assert_eq!(site(SiteChange { address, ..SiteChange::default() }), Some("address"));
        let peer = |change: PeerChange| change.check().err().map(|(at, _)| at);
        let host = |name: &str| Host { name: name.into(), port: None };
        assert_eq!(peer(PeerChange::named("=1".into())), Some("name"));
        let hosts = |hosts| PeerChange { sms_hosts: Some(hosts), ..PeerChange::default() };
        assert_eq!(peer(hosts(vec![host("a.example.com"); 100])), None);
        assert_eq!(peer(hosts(vec![host("a.example.com"); 101])), Some("sms_hosts"));
        assert_eq!(peer(hosts(vec![host("")])), Some("sms_hosts"));
        let groups = Some(vec![vec![host("a\nb")]]);
        assert_eq!(
            peer(PeerChange { voice_host_groups: groups, ..PeerChange::default() }),
            Some("voice_host_groups")
        );
    }

    #[test]
    fn site_names_are_what_the_api_allows() {
        for (name, good) in [
            ("Main site", true),
            ("a.b-c 9", true),
            ("", false),
            ("R&D", false),
            ("Zürich", false),
            (&"a".repeat(50), true),
            (&"a".repeat(51), false),
        ] {
            assert_eq!(is_site_name(name), good, "{name}");
        }
    }
}
