//! A site's peers and their numbers (contract §6).

use onhook_core::account::Peer;
use onhook_core::account::details::{
    CallingName, HOSTS_MAX, Host, PEER_NAME_MAX, PeerChange, PeerDetails, TEXT_MAX, TerminationHost,
};
use onhook_core::ids::PeerId;
use onhook_core::number::Number;
use onhook_core::order::NUMBERS_MAX;

use super::dialect::Dialect;
use super::flag;
use super::numbers;
use super::order_form::no_number_twice;
use super::query::Links;
use super::sites::{own_id, text, write_text};
use crate::error::{Family, Problem, cut};
use crate::text::xml::{Document, Element};

/// The root of a request.
pub const REQUEST: &str = "SipPeer";
/// The root of a request to move numbers.
pub const MOVED: &str = "SipPeerTelephoneNumbers";
/// The form of errors about a peer.
pub const FAMILY: Family = Family::Response("SipPeerResponse");
/// The form of errors about a peer's numbers.
pub const NUMBERS_FAMILY: Family = Family::Response("SipPeerTelephoneNumbersResponse");

/// Returns the answer with a site's peers.
#[must_use]
pub fn list(peers: &[(Peer, PeerDetails)]) -> String {
    let mut out = Document::new();
    out.open("TNSipPeersResponse").open("SipPeers");
    for (peer, details) in peers {
        write(&mut out, peer, details);
    }
    out.close("SipPeers").close("TNSipPeersResponse");
    out.finish()
}

/// Returns the answer with one peer.
#[must_use]
pub fn one(peer: &Peer, details: &PeerDetails) -> String {
    let mut out = Document::new();
    out.open("SipPeerResponse");
    write(&mut out, peer, details);
    out.close("SipPeerResponse");
    out.finish()
}

fn write(out: &mut Document, peer: &Peer, details: &PeerDetails) {
    out.open("SipPeer").leaf_display("PeerId", peer.id).leaf("PeerName", &peer.name);
    write_text(out, "Description", details.description.as_deref());
    out.leaf_display("IsDefaultPeer", peer.is_default);
    write_text(out, "ShortMessagingProtocol", details.short_messaging_protocol.as_deref());
    wrapped(out, "VoiceHosts", &details.voice_hosts, write_host);
    wrapped(out, "VoiceHostGroups", &details.voice_host_groups, |out, group| {
        wrapped(out, "VoiceHostGroup", group, write_host);
    });
    wrapped(out, "SmsHosts", &details.sms_hosts, write_host);
    wrapped(out, "TerminationHosts", &details.termination_hosts, |out, host| {
        out.open("TerminationHost");
        write_name_and_port(out, &host.host);
        write_text(out, "CustomerTrafficAllowed", host.customer_traffic_allowed.as_deref());
        write_flag(out, "DataAllowed", host.data_allowed);
        out.close("TerminationHost");
    });
    if let Some(CallingName { display, enforced }) = details.calling_name {
        out.open("CallingName");
        write_flag(out, "Display", display);
        write_flag(out, "Enforced", enforced);
        out.close("CallingName");
    }
    out.close("SipPeer");
}

/// Writes a list in its wrapper. The wrapper is written even if the list is empty.
fn wrapped<T>(out: &mut Document, name: &str, items: &[T], write: impl Fn(&mut Document, &T)) {
    if items.is_empty() {
        out.empty(name);
        return;
    }
    out.open(name);
    for item in items {
        write(out, item);
    }
    out.close(name);
}

fn write_host(out: &mut Document, host: &Host) {
    out.open("Host");
    write_name_and_port(out, host);
    out.close("Host");
}

fn write_name_and_port(out: &mut Document, host: &Host) {
    out.leaf("HostName", &host.name);
    if let Some(port) = host.port {
        out.leaf_display("Port", port);
    }
}

fn write_flag(out: &mut Document, name: &str, flag: Option<bool>) {
    if let Some(flag) = flag {
        out.leaf_display(name, flag);
    }
}

/// Reads the settings of a new peer, or of the peer with the id and name `kept`. Absent elements set nothing.
///
/// # Errors
/// Another root, a new peer without a name, another id, too many hosts, a host without a name, a text that is too long,
/// a wrong flag or port.
pub fn read(root: &Element<'_>, kept: Option<(PeerId, &str)>) -> Result<PeerChange, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::BadRequest("the root element is SipPeer".into()));
    }
    own_id(root, "PeerId", kept.map(|(id, _)| id.get()))?;
    let kept = kept.map(|(_, name)| name);
    let name = match root.value("PeerName")? {
        None if kept.is_some() => None,
        None | Some("") => return Err(Problem::Required("PeerName")),
        Some(name) if kept == Some(name) => None,
        Some(_) => text(root, "PeerName", PEER_NAME_MAX)?,
    };
    Ok(PeerChange {
        name,
        is_default: flag::child(root, "IsDefaultPeer")?,
        description: text(root, "Description", TEXT_MAX)?,
        short_messaging_protocol: text(root, "ShortMessagingProtocol", TEXT_MAX)?,
        voice_hosts: hosts(root, "VoiceHosts", |wrapper| listed(wrapper, "Host", host))?,
        voice_host_groups: hosts(root, "VoiceHostGroups", |wrapper| {
            listed(wrapper, "VoiceHostGroup", |group| {
                let hosts = listed(group, "Host", host)?;
                few("VoiceHostGroup", hosts)
            })
        })?,
        sms_hosts: hosts(root, "SmsHosts", |wrapper| listed(wrapper, "Host", host))?,
        termination_hosts: hosts(root, "TerminationHosts", |wrapper| {
            listed(wrapper, "TerminationHost", termination_host)
        })?,
        calling_name: root.child("CallingName")?.map(calling_name).transpose()?,
    })
}

/// Reads a list of hosts. One client sends each host in a wrapper of its own.
fn hosts<T>(
    root: &Element<'_>,
    name: &'static str,
    read: impl Fn(&Element<'_>) -> Result<Vec<T>, Problem>,
) -> Result<Option<Vec<T>>, Problem> {
    let mut all = None;
    for wrapper in root.children_of(name) {
        all.get_or_insert_with(Vec::new).extend(read(wrapper)?);
    }
    all.map(|all| few(name, all)).transpose()
}

fn listed<T>(
    wrapper: &Element<'_>,
    name: &'static str,
    read: impl Fn(&Element<'_>) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    wrapper.children_of(name).map(read).collect()
}

fn few<T>(name: &str, hosts: Vec<T>) -> Result<Vec<T>, Problem> {
    if hosts.len() <= HOSTS_MAX {
        Ok(hosts)
    } else {
        Err(Problem::BadRequest(format!("more than {HOSTS_MAX} in {name}")))
    }
}

fn host(element: &Element<'_>) -> Result<Host, Problem> {
    let name = text(element, "HostName", TEXT_MAX)?.filter(|name| !name.is_empty());
    let port = match element.filled("Port")? {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::Value("Port", cut(text), &[]))?),
    };
    Ok(Host { name: name.ok_or(Problem::Required("HostName"))?, port })
}

fn termination_host(element: &Element<'_>) -> Result<TerminationHost, Problem> {
    let traffic = text(element, "CustomerTrafficAllowed", TEXT_MAX)?.filter(|text| !text.is_empty());
    let data_allowed = flag::child(element, "DataAllowed")?;
    Ok(TerminationHost { host: host(element)?, customer_traffic_allowed: traffic, data_allowed })
}

fn calling_name(element: &Element<'_>) -> Result<CallingName, Problem> {
    Ok(CallingName { display: flag::child(element, "Display")?, enforced: flag::child(element, "Enforced")? })
}

/// Reads the numbers to be moved to a peer.
///
/// # Errors
/// Another root, no number, too many numbers, a repeated or wrong number, or another element than `FullNumber`.
pub fn to_move(root: &Element<'_>) -> Result<Vec<Number>, Problem> {
    if !root.is(MOVED) {
        return Err(Problem::BadRequest("the root element is SipPeerTelephoneNumbers".into()));
    }
    let sent = root.texts_of("FullNumber")?;
    numbers::all_read(root, "FullNumber")?;
    match sent.len() {
        0 => return Err(Problem::NoLookup),
        count if count > NUMBERS_MAX => return Err(Problem::TooManyNumbers(NUMBERS_MAX)),
        _ => {}
    }
    let numbers: Vec<Number> = sent
        .iter()
        .map(|text| text.parse().map_err(|_| Problem::PathNumber(cut(text))))
        .collect::<Result<_, _>>()?;
    no_number_twice(&sent, &numbers)?;
    Ok(numbers)
}

/// Returns the answer with the count of a peer's numbers. Two clients read the count in a wrapper of this name.
#[must_use]
pub fn total(count: u64) -> String {
    let mut out = Document::new();
    out.open("SipPeerTelephoneNumbersCountResponse").open("SipPeerTelephoneNumbersCounts");
    out.leaf_display("SipPeerTelephoneNumbersCount", count);
    out.close("SipPeerTelephoneNumbersCounts").close("SipPeerTelephoneNumbersCountResponse");
    out.finish()
}

/// Returns the answer with a page of a peer's numbers.
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

/// Returns the answer with one of a peer's numbers.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::xml::parse;

    fn read_new(inner: &str) -> Result<PeerChange, Problem> {
        read(&parse(format!("<SipPeer>{inner}</SipPeer>").as_bytes()).unwrap(), None)
    }

    #[test]
    fn hosts_are_read_in_one_wrapper_or_in_one_each() {
        let together = "<VoiceHosts><Host><HostName>a.example.com</HostName><Port>5060</Port></Host>\
                        <Host><HostName>b.example.com</HostName></Host></VoiceHosts>";
        let each = "<VoiceHosts><Host><HostName>a.example.com</HostName><Port>5060</Port></Host></VoiceHosts>\
                    <VoiceHosts><Host><HostName>b.example.com</HostName></Host></VoiceHosts>";
        let hosts = |voice| read_new(&format!("<PeerName>a</PeerName>{voice}")).unwrap().voice_hosts.unwrap();
        assert_eq!(hosts(together), hosts(each));
        assert_eq!(hosts(together)[0].port, Some(5_060));
        assert_eq!(hosts("<VoiceHosts/>"), []);
        assert_eq!(read_new("<PeerName>a</PeerName>").unwrap(), PeerChange::named("a".into()));
    }

    #[test]
    fn what_a_peer_cannot_be_is_refused() {
        let named = |more: &str| format!("<PeerName>a</PeerName>{more}");
        let host = "<Host><HostName>a.example.com</HostName></Host>";
        for (inner, problem) in [
            (String::new(), Problem::Required("PeerName")),
            (format!("<PeerName>{}</PeerName>", "a".repeat(51)), Problem::TooLong("PeerName", 50)),
            (named("<PeerId>7</PeerId>"), Problem::IdNotAllowed),
            (
                named("<IsDefaultPeer>perhaps</IsDefaultPeer>"),
                Problem::Value("IsDefaultPeer", "perhaps".into(), &["true", "false"]),
            ),
            (named("<SmsHosts><Host/></SmsHosts>"), Problem::Required("HostName")),
            (
                named("<SmsHosts><Host><HostName>a</HostName><Port>65536</Port></Host></SmsHosts>"),
                Problem::Value("Port", "65536".into(), &[]),
            ),
            (
                named(&format!("<SmsHosts>{}</SmsHosts>", host.repeat(101))),
                Problem::BadRequest("more than 100 in SmsHosts".into()),
            ),
            (
                named(&format!(
                    "<VoiceHostGroups><VoiceHostGroup>{}</VoiceHostGroup></VoiceHostGroups>",
                    host.repeat(101)
                )),
                Problem::BadRequest("more than 100 in VoiceHostGroup".into()),
            ),
            (
                named("<CallingName><Display>2</Display></CallingName>"),
                Problem::Value("Display", "2".into(), &["true", "false"]),
            ),
        ] {
            assert_eq!(read_new(&inner), Err(problem), "{inner}");
        }
        assert_eq!(
            read_new(&named(&format!("<SmsHosts>{}</SmsHosts>", host.repeat(100)))).map(|_| ()),
            Ok(())
        );
    }

    #[test]
    fn numbers_to_move_are_named_once() {
        let read = |inner: &str| {
            let document = format!("<SipPeerTelephoneNumbers>{inner}</SipPeerTelephoneNumbers>");
            to_move(&parse(document.as_bytes()).unwrap())
        };
        let one = "<FullNumber>5405514342</FullNumber>";
        assert_eq!(read(&format!("{one}<FullNumber>+17034343704</FullNumber>")).unwrap().len(), 2);
        assert_eq!(read(""), Err(Problem::NoLookup));
        assert_eq!(read(&one.repeat(2)), Err(Problem::DuplicateNumbers("5405514342".into())));
        assert_eq!(read(&one.repeat(5_001)), Err(Problem::TooManyNumbers(5_000)));
        assert_eq!(read("<FullNumber>5405514</FullNumber>"), Err(Problem::PathNumber("5405514".into())));
    }
}
