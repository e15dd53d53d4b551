//! The applications of an account: the URLs to which a carrier would report its calls and messages.
//!
//! They are only records. onhook makes no call and sends no message, so it never requests an application's URL. A peer
//! names at most one application for each service.

use std::collections::BTreeMap;

use crate::account::premises::Stays;
use crate::ids::{AccountId, ApplicationId};
use crate::words::words;

/// Most applications of an account.
pub const APPLICATIONS_MAX: usize = 1_000;
/// Most characters of an application's name.
pub const NAME_MAX: usize = 250;
/// Most characters of a setting. The longest ones are URLs.
pub const SETTING_MAX: usize = 2_048;
/// Most callback types of an application.
pub const CALLBACK_TYPES_MAX: usize = 20;
/// Most characters of a callback type.
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
    /// A setting of an application, by its name on the wire, in the order in which settings are written.
    Setting {
        /// The URL for messages, as documents of 2018 call it.
        CallbackUrl = "CallbackUrl",
        /// The same under another name.
        MsgCallbackUrl = "MsgCallbackUrl",
        /// The URL for messages that arrive.
        InboundCallbackUrl = "InboundCallbackUrl",
        /// The user name for that URL.
        InboundCallbackCreds = "InboundCallbackCreds",
        /// The URL for what became of messages.
        OutboundCallbackUrl = "OutboundCallbackUrl",
        /// The user name for that URL.
        OutboundCallbackCreds = "OutboundCallbackCreds",
        /// The URL for calls that arrive.
        CallInitiatedCallbackUrl = "CallInitiatedCallbackUrl",
        /// The HTTP method for that URL.
        CallInitiatedMethod = "CallInitiatedMethod",
        /// The URL for the end of calls.
        CallStatusCallbackUrl = "CallStatusCallbackUrl",
        /// The HTTP method for that URL.
        CallStatusMethod = "CallStatusMethod",
        /// The URL for calls when the first one fails.
        CallInitiatedFallbackUrl = "CallInitiatedFallbackUrl",
        /// The HTTP method for that URL.
        CallInitiatedFallbackMethod = "CallInitiatedFallbackMethod",
        /// The user name for that URL.
        CallInitiatedFallbackCreds = "CallInitiatedFallbackCreds",
        /// The user name for the other URLs.
        CallbackCreds = "CallbackCreds",
    }
}

impl Setting {
    /// Returns whether it is a user name. The password beside it is not kept: onhook never signs in there.
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

/// An application's settings, besides its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Details {
    /// The settings, as they were sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<Setting, String>,
    /// Its callback types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callback_types: Vec<String>,
}

/// An application to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApplication {
    /// What it is for. This never changes.
    pub service: Service,
    /// Its name. It need not be unique.
    pub name: String,
    /// Its settings.
    pub details: Details,
}

/// An application of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Its account.
    pub account: AccountId,
    /// What it is for.
    pub service: Service,
    /// Its name.
    pub name: String,
    /// Its settings.
    pub details: Details,
}

/// A change of an application. `None` leaves a value as it is, an empty text removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationChange {
    /// Its name.
    pub name: Option<String>,
    /// The settings that change.
    pub settings: BTreeMap<Setting, String>,
    /// Its callback types.
    pub callback_types: Option<Vec<String>>,
    /// True if settings that are not named are removed.
    pub whole: bool,
}

impl ApplicationChange {
    /// Applies the change.
    pub fn onto(self, name: &mut String, details: &mut Details) {
        if self.whole {
            *details = Details::default();
        }
        if let Some(new) = self.name {
            *name = new;
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

/// Checks that an application may be removed, if `peers` peers name it.
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
    /// It is for another service.
    Service(Service),
}

/// Checks that a peer may name an application for a service. `found` is `None` if the account has no such application.
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

    fn kept(settings: &[(Setting, &str)]) -> BTreeMap<Setting, String> {
        settings.iter().map(|(setting, text)| (*setting, (*text).to_owned())).collect()
    }

    #[test]
    fn a_change_in_part_leaves_the_rest_and_a_whole_one_takes_it_away() {
        let before = Details {
            settings: kept(&[(Setting::CallbackUrl, "https://a.example.com"), (Setting::CallbackCreds, "a")]),
            callback_types: vec!["message-failed".into()],
        };
        let change = |settings: &[(Setting, &str)], whole| {
            let (mut name, mut details) = ("App".to_owned(), before.clone());
            let settings = kept(settings);
            ApplicationChange { settings, whole, ..ApplicationChange::default() }
                .onto(&mut name, &mut details);
            assert_eq!(name, "App");
            details
        };
        let only = kept(&[(Setting::CallbackCreds, "b")]);
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
