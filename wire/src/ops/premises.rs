//! Sites and peers: what is said of them, and how they are shown. Names are the API's in snake case.

use std::collections::BTreeMap;

use onhook_core::account::details::{
    Address, AddressPart, CallingName, Host, PeerChange, PeerDetails, SiteChange, SiteDetails,
    TerminationHost,
};
use onhook_core::account::{Peer, Site};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Returns the name of a part of an address in snake case.
fn part_name(part: AddressPart) -> String {
    let mut name = String::new();
    for (index, letter) in part.word().chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// What is said of a site. What is left out stays, an empty text and null remove.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSaid {
    /// Why.
    pub reason: Option<String>,
    /// The account, if the caller has none.
    pub account: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// True if it is to be the default.
    pub is_default: Option<bool>,
    /// What it is for.
    #[serde(default, deserialize_with = "cleared")]
    pub description: Option<String>,
    /// The account's own id for it.
    #[serde(default, deserialize_with = "cleared")]
    pub customer_provided_id: Option<String>,
    /// The name of the customer whose site it is.
    #[serde(default, deserialize_with = "cleared")]
    pub customer_name: Option<String>,
    /// Where it is.
    #[serde(default, deserialize_with = "cleared")]
    pub address: Option<BTreeMap<String, String>>,
}

/// What is said of a peer. What is left out stays; an empty text, an empty list and null remove.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSaid {
    /// Why.
    pub reason: Option<String>,
    /// The account, if the caller has none.
    pub account: Option<String>,
    /// The site. A peer stays where it is.
    pub site: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// True if it is to be the default.
    pub is_default: Option<bool>,
    /// What it is for.
    #[serde(default, deserialize_with = "cleared")]
    pub description: Option<String>,
    /// The protocol of messages.
    #[serde(default, deserialize_with = "cleared")]
    pub short_messaging_protocol: Option<String>,
    /// Hosts for incoming calls.
    #[serde(default, deserialize_with = "cleared")]
    pub voice_hosts: Option<Vec<SaidHost>>,
    /// Groups of hosts for incoming calls.
    #[serde(default, deserialize_with = "cleared")]
    pub voice_host_groups: Option<Vec<Vec<SaidHost>>>,
    /// Hosts for incoming messages.
    #[serde(default, deserialize_with = "cleared")]
    pub sms_hosts: Option<Vec<SaidHost>>,
    /// Hosts for outgoing calls.
    #[serde(default, deserialize_with = "cleared")]
    pub termination_hosts: Option<Vec<SaidTerminationHost>>,
    /// The display of callers' names.
    #[serde(default, deserialize_with = "cleared")]
    pub calling_name: Option<SaidCallingName>,
}

/// A host.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidHost {
    name: String,
    port: Option<u16>,
}

/// A host for calls out of a peer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidTerminationHost {
    name: String,
    port: Option<u16>,
    customer_traffic_allowed: Option<String>,
    data_allowed: Option<bool>,
}

/// The display of callers' names.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidCallingName {
    display: Option<bool>,
    enforced: Option<bool>,
}

/// Reads a value, and null as what removes it.
fn cleared<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    Option::<T>::deserialize(value).map(|value| Some(value.unwrap_or_default()))
}

impl From<SaidHost> for Host {
    fn from(SaidHost { name, port }: SaidHost) -> Self {
        Host { name, port }
    }
}

fn hosts(said: Vec<SaidHost>) -> Vec<Host> {
    said.into_iter().map(Host::from).collect()
}

impl SiteSaid {
    /// Returns the change of the site.
    ///
    /// # Errors
    /// The part of an address that nothing is known of.
    pub fn change(self) -> Result<SiteChange, String> {
        let address: Option<Result<Address, String>> = self.address.map(|said| {
            let mut address = Address::new();
            for (name, text) in said {
                let part = AddressPart::ALL.iter().copied().find(|part| part_name(*part) == name);
                address.insert(part.ok_or(name)?, text);
            }
            Ok(address)
        });
        Ok(SiteChange {
            name: self.name,
            is_default: self.is_default,
            description: self.description,
            customer_provided_id: self.customer_provided_id,
            customer_name: self.customer_name,
            address: address.transpose()?,
        })
    }
}

impl PeerSaid {
    /// Returns the change of the peer.
    #[must_use]
    pub fn change(self) -> PeerChange {
        let termination = |said: SaidTerminationHost| {
            let SaidTerminationHost { name, port, customer_traffic_allowed, data_allowed } = said;
            TerminationHost { host: Host { name, port }, customer_traffic_allowed, data_allowed }
        };
        PeerChange {
            name: self.name,
            is_default: self.is_default,
            description: self.description,
            short_messaging_protocol: self.short_messaging_protocol,
            voice_hosts: self.voice_hosts.map(hosts),
            voice_host_groups: self.voice_host_groups.map(|groups| groups.into_iter().map(hosts).collect()),
            sms_hosts: self.sms_hosts.map(hosts),
            termination_hosts: self.termination_hosts.map(|said| said.into_iter().map(termination).collect()),
            calling_name: self
                .calling_name
                .map(|SaidCallingName { display, enforced }| CallingName { display, enforced }),
        }
    }
}

/// Returns a site.
#[must_use]
pub fn site((site, details): &(Site, SiteDetails)) -> Value {
    let SiteDetails { description, customer_provided_id, customer_name, address } = details;
    let address = address.as_ref().map(|address| {
        let parts = address.iter().map(|(part, text)| (part_name(*part), json!(text)));
        Value::Object(parts.collect::<Map<_, _>>())
    });
    json!({
        "id": site.id.to_string(),
        "account": site.account.to_string(),
        "name": site.name,
        "is_default": site.is_default,
        "description": description,
        "customer_provided_id": customer_provided_id,
        "customer_name": customer_name,
        "address": address,
    })
}

fn host_shown(host: &Host) -> Value {
    json!({ "name": host.name, "port": host.port })
}

/// Returns a peer.
#[must_use]
pub fn peer((peer, details): &(Peer, PeerDetails)) -> Value {
    let shown = |hosts: &[Host]| hosts.iter().map(host_shown).collect::<Value>();
    let PeerDetails { description, short_messaging_protocol, .. } = details;
    let termination = details.termination_hosts.iter().map(|one| {
        let mut shown = host_shown(&one.host);
        shown["customer_traffic_allowed"] = json!(one.customer_traffic_allowed);
        shown["data_allowed"] = json!(one.data_allowed);
        shown
    });
    json!({
        "id": peer.id.to_string(),
        "account": peer.account.to_string(),
        "site": peer.site.to_string(),
        "name": peer.name,
        "is_default": peer.is_default,
        "description": description,
        "short_messaging_protocol": short_messaging_protocol,
        "voice_hosts": shown(&details.voice_hosts),
        "voice_host_groups": details.voice_host_groups.iter().map(|group| shown(group)).collect::<Value>(),
        "sms_hosts": shown(&details.sms_hosts),
        "termination_hosts": termination.collect::<Value>(),
        "calling_name": details.calling_name.map(|CallingName { display, enforced }| {
            json!({ "display": display, "enforced": enforced })
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_address_are_the_api_s_in_snake_case() {
        let names: Vec<String> = AddressPart::ALL.iter().map(|part| part_name(*part)).collect();
        for name in ["house_number", "street_name", "address_line2", "state_code", "zip", "plus_four"] {
            assert!(names.contains(&name.to_owned()), "{name} is not among {names:?}");
        }
        let said = |text: &str| serde_json::from_str::<SiteSaid>(text).unwrap().change();
        let change =
            said(r#"{"address": {"city": "Raleigh", "state_code": "NC"}, "description": null}"#).unwrap();
        assert_eq!(change.address.unwrap()[&AddressPart::City], "Raleigh");
        assert_eq!(change.description.as_deref(), Some(""), "null removes");
        assert_eq!(said(r#"{"address": {"town": "Raleigh"}}"#), Err("town".to_owned()));
    }

    #[test]
    fn a_peer_is_shown_as_it_was_said() {
        let text = r#"{"name": "a", "voice_hosts": [{"name": "a.example.com", "port": 5060}],
            "termination_hosts": [{"name": "b.example.com", "data_allowed": true}], "calling_name": {"display": true}}"#;
        let change = serde_json::from_str::<PeerSaid>(text).unwrap().change();
        let (mut name, mut details) = (String::new(), PeerDetails::default());
        change.onto(&mut name, &mut details);
        let (id, account, site) = ("1".parse().unwrap(), "1".parse().unwrap(), "1".parse().unwrap());
        let shown = peer(&(Peer { id, account, site, name, is_default: true }, details));
        assert_eq!(shown["voice_hosts"], json!([{ "name": "a.example.com", "port": 5060 }]));
        assert_eq!(shown["termination_hosts"][0]["data_allowed"], true);
        assert_eq!(shown["calling_name"], json!({ "display": true, "enforced": null }));
        assert!(serde_json::from_str::<PeerSaid>(r#"{"voice_hosts": [{"host": "a"}]}"#).is_err());
    }
}
