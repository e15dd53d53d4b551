//! Does jobs: checks, backups, imports and reports, one of a kind at a time on all nodes together.
//!
//! The node that holds the lease for a kind does its jobs, the oldest first. A node that stops leaves its job to the next
//! one: a check, a backup and a report begin anew, and an import goes on where it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::job::{Kind, State};
use onhook_core::lifecycle::provenance::Doer;
use onhook_store::contract::backups::Copied;
use onhook_store::contract::jobs::{Job, JobId, Noted};
use onhook_store::contract::leases::LeaseToken;
use onhook_store::contract::upkeep::{Progress, Report};
use onhook_store::{Result, StoreError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::noted::{may_pass, note, noting, now};
use super::{imports, makings};
use crate::app::App;
use crate::kept::kept;
use crate::lease::Lease;
use crate::store_log;

/// How long a worker sleeps when nobody rings.
const POLL: Duration = Duration::from_secs(1);

/// Does the jobs of one kind, and goes on after a panic.
pub(crate) async fn kept_of_kind(app: Arc<App>, stop: CancellationToken, kind: Kind) {
    kept(&format!("jobs of kind {kind}"), stop.clone(), || of_kind(app.clone(), stop.clone(), kind)).await;
}

/// Does the jobs of one kind.
async fn of_kind(app: Arc<App>, stop: CancellationToken, kind: Kind) {
    let gauge = metrics::gauge!("onhook_jobs_running", "kind" => kind.word());
    gauge.set(0.0);
    let mut bell = app.jobs_bell.subscribe();
    while !stop.is_cancelled() {
        bell.mark_unchanged();
        let next = app.store.next_job(kind).await;
        if let Ok(Some(_)) = next {
            // Most of the time there is no job, and then no lease is renewed either.
            let mut lease = Lease::keep(app.clone(), format!("jobs of kind {kind}"), |_| true);
            stop.run_until_cancelled(under_lease(&app, kind, &mut lease, &gauge)).await;
            gauge.set(0.0);
            lease.end().await;
        } else if let Err(error) = next {
            store_log::failed("a job cannot be looked for", &error);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = bell.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Does jobs until there are none, or until something keeps them from being done.
async fn under_lease(app: &Arc<App>, kind: Kind, lease: &mut Lease, gauge: &metrics::Gauge) {
    let token = loop {
        match lease.token() {
            Some(token) => break token,
            None => tokio::select! {
                () = lease.changed() => {}
                () = tokio::time::sleep(POLL) => return, // another node does them
            },
        }
    };
    gauge.set(1.0);
    loop {
        let done = match app.store.next_job(kind).await {
            Ok(None) => return,
            Ok(Some(job)) => step(app, token, job).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(true) => {}
            Ok(false) | Err(StoreError::LeaseLost | StoreError::Closed) => return,
            Err(error) => {
                store_log::failed(&format!("the {kind} cannot go on, and is tried again"), &error);
                return;
            }
        }
    }
}

/// Does a job, or a part of it. Returns false if it has to wait.
async fn step(app: &Arc<App>, token: LeaseToken, job: Job) -> Result<bool> {
    match job.kind {
        Kind::Check => check(app, token, job).await,
        Kind::Backup => back_up(app, token, job).await,
        Kind::Import => imports::step(app, token, job).await,
        Kind::Report => makings::step(app, token, job).await,
    }
}

async fn check(app: &Arc<App>, token: LeaseToken, job: Job) -> Result<bool> {
    let (done, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let seen = (done.clone(), total.clone());
    let watch = Arc::new(move |at: Progress| {
        seen.0.store(at.done, Ordering::Relaxed);
        seen.1.store(at.total, Ordering::Relaxed);
    });
    let progress = || json!({ "done": done.load(Ordering::Relaxed), "total": total.load(Ordering::Relaxed) });
    let deep = job.asked["deep"].as_bool().unwrap_or(false);
    let checking = async {
        match job.asked["backup"].as_str().map(str::parse) {
            None => app.store.check_beside(deep, watch).await,
            Some(Ok(id)) => match backup(app, JobId(id)).await? {
                Some(copy) => app.store.check_backup(copy, watch).await,
                None => Err(StoreError::Conflict("the backup is not known".to_owned())),
            },
            Some(Err(_)) => Err(StoreError::Conflict("the backup is not known".to_owned())),
        }
    };
    let checked = noting(app, token, job.id, progress, checking).await?;
    let Report { findings, numbers, events, orders } = match checked {
        Ok(report) => report,
        // An import is being written: the check waits for its end.
        Err(StoreError::Conflict(_)) if job.asked["backup"].is_null() => return Ok(false),
        Err(error) if may_pass(&error) => return Err(error),
        Err(error) => {
            store_log::failed("a check failed", &error);
            let mut found = progress();
            found["why"] = json!(error.why());
            return note(app, token, job.id, State::Failed, found).await.map(|_| true);
        }
    };
    let mut found = progress();
    let shown: Vec<Value> = findings.iter().map(|one| json!({ "at": one.at, "what": one.what })).collect();
    for (key, value) in [
        ("numbers", json!(numbers)),
        ("events", json!(events)),
        ("orders", json!(orders)),
        ("findings", json!(shown)),
    ] {
        found[key] = value;
    }
    if findings.is_empty() {
        info!(check.id = job.id.0, numbers, "check {} found nothing wrong", job.id.0);
    } else {
        let count = findings.len();
        warn!(
            check.id = job.id.0,
            findings = count,
            "check {} found {count} things that are wrong: GET /ops/v1/checks/{} names them",
            job.id.0,
            job.id.0
        );
    }
    note(app, token, job.id, State::Done, found).await.map(|_| true)
}

/// Returns a backup that is done.
async fn backup(app: &App, id: JobId) -> Result<Option<Copied>> {
    let Some(job) = app.store.job(Kind::Backup, id).await? else { return Ok(None) };
    let text = |key: &str| job.found[key].as_str().map(str::to_owned);
    let position = text("position").and_then(|position| position.parse().ok()).unwrap_or_default();
    Ok(text("path")
        .zip(text("sha256"))
        .zip(job.found["bytes"].as_u64())
        .map(|((path, sha256), bytes)| Copied { folder: path.into(), bytes, sha256, position }))
}

async fn back_up(app: &Arc<App>, token: LeaseToken, job: Job) -> Result<bool> {
    note(app, token, job.id, State::Running, json!({})).await?;
    let own = app.store.folder().map(|folder| folder.join("backups"));
    let Some(within) = app.settings.backup_dir.clone().or(own) else {
        let why = json!({ "why": "the store is in a database" });
        return note(app, token, job.id, State::Failed, why).await.map(|_| true);
    };
    let name = format!("{}-{}", job.asked["name"].as_str().unwrap_or("backup"), job.id.0);
    let doer = Doer { author: job.author.clone(), now: now(app) };
    let (state, found, deed) = match app.store.back_up(within, name).await {
        Ok(Copied { folder, bytes, sha256, position }) => {
            info!(backup.id = job.id.0, bytes, "backup {} is complete: {}", job.id.0, folder.display());
            let path = folder.display().to_string();
            let position = (position > 0).then(|| position.to_string());
            let found = json!({ "path": path, "bytes": bytes, "sha256": &sha256, "position": position });
            let deed = Deed::by(&doer, DeedKind::BackupMade).with("backup", job.id.0.to_string());
            (State::Done, found, Some(deed.with("bytes", bytes).with("sha256", sha256)))
        }
        Err(error) if may_pass(&error) => return Err(error),
        Err(error) => {
            store_log::failed("a backup failed", &error);
            (State::Failed, json!({ "why": error.why() }), None)
        }
    };
    app.store.note_job(token, job.id, Noted { state, found, at: now(app), deed }).await.map(|_| true)
}
