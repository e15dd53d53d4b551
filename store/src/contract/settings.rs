//! What an operator has set while the server runs: results, and the trait.

use async_trait::async_trait;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::setting::{Changes, Setting, Values};
use onhook_core::time::Timestamp;
use serde_json::Value;

use crate::Result;

/// A setting that an operator has set.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The setting.
    pub setting: Setting,
    /// Its value.
    pub value: Value,
    /// When it was set.
    pub at: Timestamp,
    /// Who set it.
    pub by: String,
}

/// What an operator has set while the server runs. Every node on a store goes by the same settings.
#[async_trait]
pub trait Settings: Send + Sync {
    /// Returns what has been set, by name. Names that this version does not know are left out.
    async fn chosen(&self) -> Result<Vec<Chosen>>;

    /// Returns all settings: what has been set, and else the defaults.
    async fn setting_values(&self) -> Result<Values> {
        let chosen = self.chosen().await?;
        Ok(Values::of(chosen.iter().map(|chosen| (chosen.setting, &chosen.value))))
    }

    /// Changes settings, all or none. The values have been checked.
    async fn change_settings(&self, changes: Changes, doer: Doer) -> Result<()>;
}
