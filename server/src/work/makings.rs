//! Makes a report that was asked for.
//!
//! What it is made as of was settled when it was asked for. So a node that takes it over makes the same.

use std::sync::Arc;

use onhook_core::job::State;
use onhook_store::contract::jobs::Job;
use onhook_store::contract::leases::LeaseToken;
use onhook_store::contract::reports::Kept;
use onhook_store::{Result, StoreError};
use serde_json::json;
use tracing::info;

use super::noted::{may_pass, note, noting};
use crate::app::App;
use crate::reports::asked::Asked;
use crate::reports::{Progress, rnd};
use crate::store_log;

/// Makes the report of a job, and keeps it.
pub(super) async fn step(app: &Arc<App>, token: LeaseToken, job: Job) -> Result<bool> {
    let progress = Arc::new(Progress::default());
    let made = noting(app, token, job.id, || progress.told(), made(app, &job, progress.clone())).await?;
    let mut found = progress.told();
    let state = match made {
        Ok(Kept { report, is_new }) => {
            info!(report.id = report.id, "the report {} is made", report.id);
            found["report"] = json!(report.id);
            found["is_new"] = json!(is_new);
            State::Done
        }
        Err(error) if may_pass(&error) => return Err(error),
        Err(error) => {
            store_log::failed("a report could not be made", &error);
            found["why"] = json!(error.why());
            State::Failed
        }
    };
    note(app, token, job.id, state, found).await?;
    app.reports_bell.notify_one();
    Ok(true)
}

async fn made(app: &App, job: &Job, progress: Arc<Progress>) -> Result<Kept> {
    let asked: Asked = serde_json::from_value(job.asked["with"].clone())
        .map_err(|error| StoreError::Broken(Box::new(error)))?;
    let report = asked.make(&*app.store, progress).await?;
    let old = app.store.report(report.id.clone()).await?;
    let renew = match &old {
        Some(old) => rnd::renews(&report, old)?,
        None => false,
    };
    app.store.keep_report(report, renew).await
}
