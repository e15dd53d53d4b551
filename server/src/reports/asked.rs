//! A report that is asked for, whichever it is: what the job of making it has to know.

use std::sync::Arc;

use onhook_core::report::ReportKind;
use onhook_store::contract::reports::Report;
use onhook_store::{Result, Store};
use serde_json::{Value, json};

use super::{Progress, nruf, rnd};

/// A report that is asked for.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    /// One for the Reassigned Numbers Database.
    Rnd(rnd::Asked),
    /// One of how numbers are used.
    Nruf(nruf::Asked),
}

impl Asked {
    /// Returns what is told of it before it is made.
    pub(crate) fn told(&self) -> Value {
        match self {
            Asked::Rnd(rnd::Asked { period, company, as_of, .. }) => json!({
                "kind": ReportKind::Rnd.word(), "period": period.to_string(), "company": company,
                "as_of": as_of.to_string(),
            }),
            Asked::Nruf(nruf::Asked { named, at, level, as_of, .. }) => json!({
                "kind": ReportKind::Nruf.word(), "as_of": named, "at": at.to_string(), "level": level.word(),
                "position": as_of.to_string(),
            }),
        }
    }

    /// Makes the report. It is not kept yet.
    pub(crate) async fn make(&self, store: &dyn Store, progress: Arc<Progress>) -> Result<Report> {
        match self {
            Asked::Rnd(asked) => rnd::make(store, asked, progress).await,
            Asked::Nruf(asked) => nruf::make(store, asked, progress).await,
        }
    }
}
