//! Settings given at start.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use onhook_core::clock::RELEASE_WAIT_MS;
use onhook_core::lifecycle::policy::Policy;
use onhook_wire::search::Vendor;

use crate::callback::{Reach, Rules};
use crate::mail::MailSettings;
use crate::reports::ReportSettings;

/// Settings given at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base of `Location` headers and links, without a slash at its end. It is never taken from a request. `None` is
    /// the listening address.
    pub public_url: Option<String>,
    /// Most requests a second of one account in each group of routes. `None` is no limit.
    pub rate_limit: Option<NonZeroU32>,
    /// Most numbers of the pool that searches show one account in an hour. `None` is no limit.
    pub shown_limit: Option<NonZeroU32>,
    /// The vendor of the numbers, as shown in the details of searches and orders.
    pub vendor: Vendor,
    /// Most connections that are open at once. More wait to be taken.
    pub connections_max: usize,
    /// True if the emulator's controls exist and the clock can be moved.
    pub emulator: bool,
    /// True if magic numbers do something on an emulator.
    pub magic: bool,
    /// From what an emulator makes ids and secrets, so that they repeat. `None` is the system's chance.
    pub id_seed: Option<u64>,
    /// True if the system's clock is believed at start, however far it is from the store's last use.
    pub trust_clock: bool,
    /// How long releases wait after a start when much time has passed unseen, in milliseconds.
    pub release_wait_ms: i64,
    /// How long a lease lasts: so long does the work of a node that died wait for another one. It is renewed at a third
    /// of that.
    pub lease: Duration,
    /// The folder for backups. `None` is `backups` in the data folder.
    pub backup_dir: Option<PathBuf>,
    /// What decides how long numbers age.
    pub policy: Arc<Policy>,
    /// The callbacks that are allowed beyond the public internet over TLS.
    pub callbacks: Rules,
    /// The network that callbacks use.
    pub network: Reach,
    /// How reports for regulators are made.
    pub reports: ReportSettings,
    /// The mail server. Without one nobody can subscribe by mail, except on an emulator, which keeps the mail.
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
            magic: true,
            id_seed: None,
            trust_clock: false,
            release_wait_ms: RELEASE_WAIT_MS,
            lease: Duration::from_secs(10),
            backup_dir: None,
            policy: Arc::default(),
            callbacks: Rules::default(),
            network: Reach::default(),
            reports: ReportSettings::default(),
            mail: None,
        }
    }
}
