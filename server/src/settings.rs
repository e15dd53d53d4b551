//! What is set at start.

use std::num::NonZeroU32;

use onhook_core::clock::RELEASE_WAIT_MS;
use onhook_wire::search::Vendor;

use crate::callback::{Reach, Rules};
use crate::mail::MailSettings;

/// What is set at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base of `Location` headers and links, without a slash at its end; the listening address when
    /// nothing is said. Never taken from a request.
    pub public_url: Option<String>,
    /// Requests a second that one account has in each group of routes; no limit when nothing is said.
    pub rate_limit: Option<NonZeroU32>,
    /// Numbers of the pool that searches show one account in an hour; no limit when nothing is said.
    pub shown_limit: Option<NonZeroU32>,
    /// Whose the numbers are, as details of searches and orders say it.
    pub vendor: Vendor,
    /// Connections that are open at once; more wait to be taken.
    pub connections_max: usize,
    /// Whether the emulator's controls are there, and the clock can be moved.
    pub emulator: bool,
    /// Whether the system's clock is believed at start, however far it is from the store's last use.
    pub trust_clock: bool,
    /// For how many milliseconds releases wait after a start when much time has passed unseen.
    pub release_wait_ms: i64,
    /// Which callbacks are allowed beyond the public internet over TLS.
    pub callbacks: Rules,
    /// The network that they go over.
    pub network: Reach,
    /// The mail server. Without one nobody can subscribe by mail, but on an emulator, which keeps the mail.
    pub mail: Option<MailSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            rate_limit: NonZeroU32::new(1_000),
            shown_limit: NonZeroU32::new(50_000),
            vendor: Vendor::default(),
            connections_max: 4_096,
            emulator: false,
            trust_clock: false,
            release_wait_ms: RELEASE_WAIT_MS,
            callbacks: Rules::default(),
            network: Reach::default(),
            mail: None,
        }
    }
}
