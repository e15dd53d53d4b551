//! Settings given at start.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use onhook_core::clock::RELEASE_WAIT_MS;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::setting::{ReportSettings, Setting, Values};
use onhook_store::contract::settings::Chosen;
use onhook_wire::search::Vendor;

use crate::callback::{Reach, Rules};
use crate::mail::MailSettings;

/// Where a setting was given at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the configuration file.
    File,
    /// In a variable.
    Variable,
    /// In a flag.
    Flag,
}

impl Source {
    /// Returns its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Source::File => "file",
            Source::Variable => "variable",
            Source::Flag => "flag",
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

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
    /// Those of the settings which operators change while the server runs that were given at start, and where: they win.
    pub configured: BTreeMap<Setting, Source>,
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
            configured: BTreeMap::new(),
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

impl Settings {
    /// Returns the settings by which this server goes: those given at start, else what an operator has chosen, else the
    /// defaults of this server.
    #[must_use]
    pub fn values(&self, chosen: &[Chosen]) -> Values {
        let configured = |setting| self.configured.contains_key(&setting);
        let chosen = chosen.iter().filter(|chosen| !configured(chosen.setting));
        let mut values = Values {
            rate_limit: self.rate_limit.map_or(0, NonZeroU32::get),
            shown_limit: self.shown_limit.map_or(0, NonZeroU32::get),
            reports: self.reports.clone(),
            ..Values::default()
        };
        for Chosen { setting, value, .. } in chosen {
            // A value that another version has written and this one cannot read is passed over.
            let _ = values.set(*setting, value);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::time::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_given_at_start_wins_and_what_is_not_chosen_is_this_server_s_default() {
        let chosen =
            |setting, value| Chosen { setting, value, at: Timestamp::default(), by: "operator".into() };
        let chosen = [chosen(Setting::RateLimit, json!(5)), chosen(Setting::HeldDays, json!(3))];
        let emulator = Settings { shown_limit: None, ..Settings::default() };
        let values = emulator.values(&chosen);
        assert_eq!((values.rate_limit, values.held_days, values.shown_limit), (5, 3, 0));
        let configured = BTreeMap::from([(Setting::RateLimit, Source::Flag)]);
        let given = Settings { rate_limit: NonZeroU32::new(7), configured, ..Settings::default() };
        assert_eq!((given.values(&chosen).rate_limit, given.values(&[]).held_days), (7, 14));
    }
}
