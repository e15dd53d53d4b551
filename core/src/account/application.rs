//! The applications of an account: where its calls and messages would be told to, as the account says.
//!
//! They are records and no more. Nothing here makes a call or sends a message, so that no URL of an
//! application is ever asked. A peer names at most one application for each service.

use std::collections::BTreeMap;

use crate::account::premises::Stays;
use crate::ids::{AccountId, ApplicationId};
use crate::words::words;

/// Most applications of an account.
pub const APPLICATIONS_MAX: usize = 1_000;
/// Most characters of an application's name.
pub const NAME_MAX: usize = 250;
/// Most characters of each setting; a URL is the longest.
pub const SETTING_MAX: usize = 2_048;
/// Most types of callbacks that an application asks for.
pub const CALLBACK_TYPES_MAX: usize = 20;
/// Most characters of a type of callbacks.
pub const CALLBACK_TYPE_MAX: usize = 50;

words! {
    /// What an application is for.
    Service {
        /// Calls.
        Voice = "Voice-V2",
        /// Messages.
        Messaging = "Messaging-V2",
    }
}

words! {
    /// What an account says of an application, by its name on the wire and in the order in which it is written.
    Setting {
        /// Where messages are told, in the words of 2018.
        CallbackUrl = "CallbackUrl",
        /// The same in other words.
        MsgCallbackUrl = "MsgCallbackUrl",
        /// Where messages that arrive are told.
        InboundCallbackUrl = "InboundCallbackUrl",
        /// Who signs in there: the name.
        InboundCallbackCreds = "InboundCallbackCreds",
        /// Where it is told what became of messages.
        OutboundCallbackUrl = "OutboundCallbackUrl",
        /// Who signs in there: the name.
        OutboundCallbackCreds = "OutboundCallbackCreds",
        /// Where calls that arrive are told.
        CallInitiatedCallbackUrl = "CallInitiatedCallbackUrl",
        /// By which method.
        CallInitiatedMethod = "CallInitiatedMethod",
        /// Where the end of calls is told.
        CallStatusCallbackUrl = "CallStatusCallbackUrl",
        /// By which method.
        CallStatusMethod = "CallStatusMethod",
        /// Where calls are told that could not be told before.
        CallInitiatedFallbackUrl = "CallInitiatedFallbackUrl",
        /// By which method.
        CallInitiatedFallbackMethod = "CallInitiatedFallbackMethod",
        /// Who signs in there: the name.
        CallInitiatedFallbackCreds = "CallInitiatedFallbackCreds",
        /// Who signs in at the other URLs: the name.
        CallbackCreds = "CallbackCreds",
    }
}

impl Setting {
    /// Whether it is the name that one signs in with. The password beside it is not kept: nothing here signs in.
    #[must_use]
    pub const fn is_credentials(self) -> bool {
        matches!(
            self,
            Setting::InboundCallbackCreds
                | Setting::OutboundCallbackCreds
                | Setting::CallInitiatedFallbackCreds
                | Setting::CallbackCreds
        )
    }
}

/// What an account says of an application besides its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Details {
    /// What was said, as it was sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<Setting, String>,
    /// Which callbacks it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callback_types: Vec<String>,
}

/// An application that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApplication {
    /// What it is for; that never changes.
    pub service: Service,
    /// Its name. Several may have the same.
    pub name: String,
    /// What else is said of it.
    pub details: Details,
}

/// An application of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is for.
    pub service: Service,
    /// Its name.
    pub name: String,
    /// What else is said of it.
    pub details: Details,
}

/// What is to be said of an application from now on. None leaves as it is, an empty text takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationChange {
    /// Its name.
    pub name: Option<String>,
    /// What it says of its settings.
    pub settings: BTreeMap<Setting, String>,
    /// Which callbacks it asks for.
    pub callback_types: Option<Vec<String>>,
    /// Whether what it leaves out is taken away.
    pub whole: bool,
}

impl ApplicationChange {
    /// Says it.
    pub fn onto(self, name: &mut String, details: &mut Details) {
        if self.whole {
            *details = Details::default();
        }
        if let Some(said) = self.name {
            *name = said;
        }
        for (setting, text) in self.settings {
            if text.is_empty() {
                details.settings.remove(&setting);
            } else {
                details.settings.insert(setting, text);
            }
        }
        if let Some(types) = self.callback_types {
            details.callback_types = types;
        }
    }
}

/// Whether an application may go that so many peers name.
///
/// # Errors
/// Why it stays.
pub fn may_remove(peers: u64) -> Result<(), Stays> {
    if peers > 0 { Err(Stays::Peers) } else { Ok(()) }
}

/// Why a peer cannot name an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNamed {
    /// The account has no such peer.
    NoPeer,
    /// The account has no such application.
    NoApplication,
    /// It is for something else.
    Service(Service),
}

/// Whether a peer may name this for a service; none when the account has no such application.
///
/// # Errors
/// Why it may not.
pub fn may_name(found: Option<&Application>, service: Service) -> Result<(), NotNamed> {
    match found {
        None => Err(NotNamed::NoApplication),
        Some(found) if found.service != service => Err(NotNamed::Service(found.service)),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(settings: &[(Setting, &str)]) -> BTreeMap<Setting, String> {
        settings.iter().map(|(setting, text)| (*setting, (*text).to_owned())).collect()
    }

    #[test]
    fn a_change_in_part_leaves_the_rest_and_a_whole_one_takes_it_away() {
        let before = Details {
            settings: said(&[(Setting::CallbackUrl, "https://a.example.com"), (Setting::CallbackCreds, "a")]),
            callback_types: vec!["message-failed".into()],
        };
        let change = |settings: &[(Setting, &str)], whole| {
            let (mut name, mut details) = ("App".to_owned(), before.clone());
            let settings = said(settings);
            ApplicationChange { settings, whole, ..ApplicationChange::default() }
                .onto(&mut name, &mut details);
            assert_eq!(name, "App");
            details
        };
        let only = said(&[(Setting::CallbackCreds, "b")]);
        assert_eq!(change(&[(Setting::CallbackCreds, "b")], true).settings, only);
        assert_eq!(change(&[(Setting::CallbackCreds, "b")], true).callback_types, [""; 0]);
        let part = change(&[(Setting::CallbackCreds, "b")], false);
        assert_eq!(part.settings[&Setting::CallbackUrl], "https://a.example.com");
        assert_eq!((&*part.settings[&Setting::CallbackCreds], part.callback_types.len()), ("b", 1));
        assert_eq!(change(&[(Setting::CallbackUrl, "")], false).settings.len(), 1);
    }

    #[test]
    fn an_application_that_a_peer_names_stays() {
        assert_eq!(may_remove(0), Ok(()));
        assert_eq!(may_remove(1), Err(Stays::Peers));
    }

    #[test]
    fn a_peer_names_an_application_for_what_it_is_for() {
        let application = Application {
            id: ApplicationId(uuid::Uuid::nil()),
            account: AccountId::new(1).unwrap(),
            service: Service::Voice,
            name: String::new(),
            details: Details::default(),
        };
        assert_eq!(may_name(Some(&application), Service::Voice), Ok(()));
        assert_eq!(may_name(Some(&application), Service::Messaging), Err(NotNamed::Service(Service::Voice)));
        assert_eq!(may_name(None, Service::Voice), Err(NotNamed::NoApplication));
    }
}
