//! The applications of an account, and the ones that its peers name.

use onhook_core::account::application::{
    Application, ApplicationChange, CALLBACK_TYPE_MAX, CALLBACK_TYPES_MAX, Details, NAME_MAX, NewApplication,
    SETTING_MAX, Service, Setting,
};
use onhook_core::account::{Peer, Site};
use onhook_core::ids::ApplicationId;

use super::sites::{text, write_text};
use crate::error::{Family, Problem, cut};
use crate::text::xml::{Document, Element};

/// The root of a request.
pub const REQUEST: &str = "Application";
/// The form of errors about an application.
pub const FAMILY: Family = Family::Response("ApplicationProvisioningResponse");
/// The form of errors about the peers of an application.
pub const PEERS_FAMILY: Family = Family::Response("AssociatedSipPeersResponse");

/// Returns the answer with the applications of an account.
#[must_use]
pub fn list(applications: &[Application]) -> String {
    let mut out = Document::new();
    out.open("ApplicationProvisioningResponse").open("ApplicationList");
    for application in applications {
        write(&mut out, application);
    }
    out.close("ApplicationList").close("ApplicationProvisioningResponse");
    out.finish()
}

/// Returns the answer with one application.
#[must_use]
pub fn one(application: &Application) -> String {
    let mut out = Document::new();
    out.open("ApplicationProvisioningResponse");
    write(&mut out, application);
    out.close("ApplicationProvisioningResponse");
    out.finish()
}

fn write(out: &mut Document, application: &Application) {
    let Application { id, service, name, details, .. } = application;
    out.open("Application").leaf_display("ApplicationId", id).leaf("ServiceType", service.word());
    out.leaf("AppName", name);
    for (setting, text) in &details.settings {
        if setting.is_credentials() {
            out.open(setting.word()).leaf("UserId", text).close(setting.word());
        } else {
            out.leaf(setting.word(), text);
        }
    }
    if !details.callback_types.is_empty() {
        out.open("RequestedCallbackTypes");
        for callback_type in &details.callback_types {
            out.leaf("CallbackType", callback_type);
        }
        out.close("RequestedCallbackTypes");
    }
    out.close("Application");
}

/// Returns the answer with the peers that name an application.
#[must_use]
pub fn peers(peers: &[(Site, Peer)]) -> String {
    let mut out = Document::new();
    out.open("AssociatedSipPeersResponse").open("AssociatedSipPeers");
    for (site, peer) in peers {
        out.open("AssociatedSipPeer").leaf_display("SiteId", site.id).leaf("SiteName", &site.name);
        out.leaf_display("PeerId", peer.id).leaf("PeerName", &peer.name).close("AssociatedSipPeer");
    }
    out.close("AssociatedSipPeers").close("AssociatedSipPeersResponse");
    out.finish()
}

/// Reads an application to be made.
///
/// # Errors
/// Another root, an id, no `ServiceType` or no such one, no `AppName`, and as [`change`].
pub fn new(root: &Element<'_>) -> Result<NewApplication, Problem> {
    let service = service(root)?.ok_or(Problem::Required("ServiceType"))?;
    let mut name = String::new();
    let mut details = Details::default();
    read(root, None, true)?.onto(&mut name, &mut details);
    Ok(NewApplication { service, name, details })
}

/// Reads a change of the application `kept`. With `whole`, what the document leaves out is removed.
///
/// # Errors
/// Another root, another id or service, a whole application without `AppName`, a text that is too long or has several
/// lines, too many types of callbacks.
pub fn change(root: &Element<'_>, kept: &Application, whole: bool) -> Result<ApplicationChange, Problem> {
    match service(root)? {
        Some(other) if other != kept.service => Err(Problem::NotAllowed("Another ServiceType")),
        _ => read(root, Some(kept.id), whole),
    }
}

fn service(root: &Element<'_>) -> Result<Option<Service>, Problem> {
    const VALID: &[&str] = &[Service::Voice.word(), Service::Messaging.word()];
    let wrong = |text: &str| Problem::Value("ServiceType", cut(text), VALID);
    let said = root.filled("ServiceType")?;
    said.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

fn read(root: &Element<'_>, kept: Option<ApplicationId>, whole: bool) -> Result<ApplicationChange, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::BadRequest("the root element is Application".into()));
    }
    let own = |text: &str| kept.is_some_and(|kept| text.parse() == Ok(kept));
    if root.filled("ApplicationId")?.is_some_and(|text| !own(text)) {
        return Err(Problem::IdNotAllowed);
    }
    let name = match text(root, "AppName", NAME_MAX)? {
        Some(name) if name.is_empty() => return Err(Problem::Required("AppName")),
        None if whole => return Err(Problem::Required("AppName")),
        name => name,
    };
    let mut change = ApplicationChange { name, whole, ..ApplicationChange::default() };
    for setting in Setting::ALL {
        let said = match root.child(setting.word())? {
            None => continue,
            Some(creds) if setting.is_credentials() => text(creds, "UserId", SETTING_MAX)?,
            Some(_) => text(root, setting.word(), SETTING_MAX)?,
        };
        change.settings.insert(*setting, said.unwrap_or_default());
    }
    change.callback_types = root.child("RequestedCallbackTypes")?.map(callback_types).transpose()?;
    Ok(change)
}

fn callback_types(wrapper: &Element<'_>) -> Result<Vec<String>, Problem> {
    let types = wrapper.texts_of("CallbackType")?;
    if types.len() > CALLBACK_TYPES_MAX {
        return Err(Problem::BadRequest(format!("more than {CALLBACK_TYPES_MAX} in RequestedCallbackTypes")));
    }
    for text in &types {
        if text.chars().count() > CALLBACK_TYPE_MAX || text.contains(char::is_control) {
            return Err(Problem::Value("CallbackType", cut(text), &[]));
        }
    }
    Ok(types.into_iter().map(str::to_owned).collect())
}

/// The settings of a peer that name an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settings {
    /// The application that is told of its messages.
    Messaging,
    /// The application that is told of its calls, in the settings of incoming ones.
    Origination,
    /// The application that is told of its calls, in the settings of outgoing ones. It is always the same as for
    /// incoming ones.
    Termination,
}

impl Settings {
    /// Returns the service that a named application must have.
    #[must_use]
    pub const fn service(self) -> Service {
        match self {
            Settings::Messaging => Service::Messaging,
            Settings::Origination | Settings::Termination => Service::Voice,
        }
    }

    /// Returns the root of a request, and the root of an answer.
    const fn roots(self) -> (&'static str, &'static str) {
        match self {
            Settings::Messaging => ("ApplicationsSettings", "ApplicationsSettingsResponse"),
            Settings::Origination => ("SipPeerOriginationSettings", "SipPeerOriginationSettingsResponse"),
            Settings::Termination => ("SipPeerTerminationSettings", "SipPeerTerminationSettingsResponse"),
        }
    }

    /// The root of a request.
    #[must_use]
    pub const fn request(self) -> &'static str {
        self.roots().0
    }

    /// Returns the form of errors.
    #[must_use]
    pub const fn family(self) -> Family {
        Family::Response(self.roots().1)
    }

    /// Returns the application that a peer should name. `None` if it should name none: for messages the request has the
    /// word REMOVE, for calls it has no application.
    ///
    /// # Errors
    /// Another root, messages without an application, a text that is no id of an application.
    pub fn read(self, root: &Element<'_>) -> Result<Option<ApplicationId>, Problem> {
        let of_messages = self == Settings::Messaging;
        // One client writes the name without its first s.
        let is_request = root.is(self.request()) || (of_messages && root.is("ApplicationSettings"));
        if !is_request {
            return Err(Problem::BadRequest(format!("the root element is {}", self.request())));
        }
        let said = if of_messages {
            if root.children.is_empty() && root.text()? == "REMOVE" {
                return Ok(None);
            }
            let said = root.filled("HttpMessagingV2AppId")?;
            // JSON has no other field for the word.
            Some(said.ok_or(Problem::Required("HttpMessagingV2AppId"))?).filter(|text| *text != "REMOVE")
        } else {
            let settings = root.child("HttpSettings")?;
            let said = settings.map(|settings| settings.filled("HttpVoiceV2AppId")).transpose()?;
            said.flatten()
        };
        said.map(|text| text.parse().map_err(|_| Problem::NoApplication(cut(text)))).transpose()
    }

    /// Returns the answer with the application that a peer names.
    #[must_use]
    pub fn write(self, application: Option<ApplicationId>) -> String {
        let (root, response) = self.roots();
        let id = application.map(|id| id.to_string());
        let mut out = Document::new();
        out.open(response).open(root);
        if self == Settings::Messaging {
            write_text(&mut out, "HttpMessagingV2AppId", id.as_deref());
        } else {
            out.leaf("VoiceProtocol", if id.is_some() { "HTTP" } else { "SIP" });
            if let Some(id) = id {
                out.open("HttpSettings").leaf("HttpVoiceV2AppId", &id).close("HttpSettings");
            }
        }
        out.close(root).close(response);
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::ids::AccountId;

    use super::*;
    use crate::text::xml::parse;

    const ID: &str = "d775585a-ed5b-4a49-8b96-f68c0a993ebe";
    const OTHER: &str = "2b6f1443-2b7e-4649-ac28-9c3a723d12f9";

    fn read_new(inner: &str) -> Result<NewApplication, Problem> {
        new(&parse(format!("<Application>{inner}</Application>").as_bytes()).unwrap())
    }

    #[test]
    fn what_is_said_is_kept_as_sent_but_for_passwords() {
        let sent = "<CallInitiatedCallbackUrl> https://example.com/a?b=1&amp;c=2 </CallInitiatedCallbackUrl>\
                    <CallbackCreds><UserId>a</UserId><Password>secret</Password></CallbackCreds>\
                    <RequestedCallbackTypes><CallbackType>message-failed</CallbackType>\
                    <CallbackType>message-sending</CallbackType></RequestedCallbackTypes>";
        let made = read_new(&format!("<ServiceType>Voice-V2</ServiceType><AppName>R&amp;D</AppName>{sent}"));
        let NewApplication { service, name, details } = made.unwrap();
        assert_eq!((service, &*name), (Service::Voice, "R&D"));
        let (id, account) = (ID.parse().unwrap(), AccountId::new(1).unwrap());
        let written = one(&Application { id, account, service, name, details });
        let (start, end) = ("<AppName>R&amp;D</AppName>", "</Application></ApplicationProvisioningResponse>");
        let (_, rest) = written.split_once(start).unwrap();
        assert_eq!(
            rest.strip_suffix(end).unwrap(),
            sent.replace(" https", "https").replace("2 <", "2<").replace("<Password>secret</Password>", "")
        );
    }

    #[test]
    fn what_an_application_cannot_be_is_refused() {
        let voice = |more: &str| format!("<ServiceType>Voice-V2</ServiceType><AppName>a</AppName>{more}");
        let long = "a".repeat(2_049);
        for (inner, problem) in [
            ("<AppName>a</AppName>".to_owned(), Problem::Required("ServiceType")),
            (
                "<ServiceType>Fax-V2</ServiceType><AppName>a</AppName>".into(),
                Problem::Value("ServiceType", "Fax-V2".into(), &["Voice-V2", "Messaging-V2"]),
            ),
            ("<ServiceType>Voice-V2</ServiceType>".into(), Problem::Required("AppName")),
            ("<ServiceType>Voice-V2</ServiceType><AppName/>".into(), Problem::Required("AppName")),
            (voice(&format!("<ApplicationId>{ID}</ApplicationId>")), Problem::IdNotAllowed),
            (
                voice(&format!("<CallbackUrl>{long}</CallbackUrl>")),
                Problem::TooLong("CallbackUrl", SETTING_MAX),
            ),
            (
                voice("<CallStatusMethod>a&#10;b</CallStatusMethod>"),
                Problem::Value("CallStatusMethod", "a\nb".into(), &[]),
            ),
            (voice("<CallbackCreds/><CallbackCreds/>"), Problem::Twice("CallbackCreds")),
            (
                voice(&format!(
                    "<RequestedCallbackTypes>{}</RequestedCallbackTypes>",
                    "<CallbackType>a</CallbackType>".repeat(21)
                )),
                Problem::BadRequest("more than 20 in RequestedCallbackTypes".into()),
            ),
        ] {
            assert_eq!(read_new(&inner), Err(problem), "{inner}");
        }
    }

    #[test]
    fn a_change_keeps_the_id_and_the_service() {
        let kept = Application {
            id: ID.parse().unwrap(),
            account: AccountId::new(1).unwrap(),
            service: Service::Messaging,
            name: "a".into(),
            details: Details::default(),
        };
        let change = |inner: &str, whole| {
            let document = format!("<Application>{inner}</Application>");
            change(&parse(document.as_bytes()).unwrap(), &kept, whole)
        };
        let same = format!("<ApplicationId>{ID}</ApplicationId><ServiceType>Messaging-V2</ServiceType>");
        assert_eq!(change(&same, false), Ok(ApplicationChange::default()));
        assert_eq!(change(&same, true), Err(Problem::Required("AppName")));
        let other = format!("<ApplicationId>{OTHER}</ApplicationId>");
        assert_eq!(change(&other, false), Err(Problem::IdNotAllowed));
        let other = "<ServiceType>Voice-V2</ServiceType>";
        assert_eq!(change(other, false), Err(Problem::NotAllowed("Another ServiceType")));
        let cleared = change("<CallbackCreds/><MsgCallbackUrl></MsgCallbackUrl>", false).unwrap();
        assert_eq!(cleared.settings.values().collect::<Vec<_>>(), ["", ""]);
    }

    #[test]
    fn a_peer_names_an_application_or_none() {
        let read = |settings: Settings, document: &str| settings.read(&parse(document.as_bytes()).unwrap());
        let id = Ok(Some(ID.parse().unwrap()));
        for (settings, document, named) in [
            (
                Settings::Messaging,
                format!(
                    "<ApplicationsSettings><HttpMessagingV2AppId>{ID}</HttpMessagingV2AppId></ApplicationsSettings>"
                ),
                id.clone(),
            ),
            (
                Settings::Messaging,
                format!(
                    "<ApplicationSettings><HttpMessagingV2AppId>{ID}</HttpMessagingV2AppId></ApplicationSettings>"
                ),
                id.clone(),
            ),
            (Settings::Messaging, "<ApplicationsSettings>REMOVE</ApplicationsSettings>".into(), Ok(None)),
            (
                Settings::Messaging,
                "<ApplicationsSettings/>".into(),
                Err(Problem::Required("HttpMessagingV2AppId")),
            ),
            (
                Settings::Origination,
                format!(
                    "<SipPeerOriginationSettings><VoiceProtocol>HTTP</VoiceProtocol><HttpSettings>\
                     <HttpVoiceV2AppId>{ID}</HttpVoiceV2AppId></HttpSettings></SipPeerOriginationSettings>"
                ),
                id,
            ),
            (
                Settings::Termination,
                "<SipPeerTerminationSettings><VoiceProtocol>SIP</VoiceProtocol></SipPeerTerminationSettings>"
                    .into(),
                Ok(None),
            ),
            (
                Settings::Termination,
                "<SipPeerOriginationSettings/>".into(),
                Err(Problem::BadRequest("the root element is SipPeerTerminationSettings".into())),
            ),
            (
                Settings::Messaging,
                "<ApplicationsSettings><HttpMessagingV2AppId>1</HttpMessagingV2AppId></ApplicationsSettings>"
                    .into(),
                Err(Problem::NoApplication("1".into())),
            ),
        ] {
            assert_eq!(read(settings, &document), named, "{document}");
        }
    }
}
