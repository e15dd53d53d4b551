//! What checks, backups and imports share: they are taken as jobs, listed and shown.

use std::sync::Arc;

use http::{StatusCode, header};
use onhook_core::job::{Kind, NotTaken};
use onhook_core::lifecycle::provenance::Author;
use onhook_store::contract::jobs::{Job, JobId, NewJob, Taken};
use onhook_wire::ops::jobs;
use serde_json::Value;

use super::door::OpsProblem;
use super::listing::Page;
use super::problem::Code;
use super::{body, door};
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;

/// The form of a page of jobs.
pub(super) const LIST: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
/// The refusal of one job too many.
pub(super) const TOO_MANY: Told = Told::new(409, "One job of the kind runs, and ten wait. Nothing was done.");

/// Returns the reply to a request that made a job.
pub(super) const fn taken(shape: Shape) -> Told {
    Told::new(202, "It is taken. The header Location has its address.").with(shape)
}

/// Makes what is shown of a job of one kind.
pub(super) type Show = fn(&Job) -> Value;

/// Returns what all jobs show.
pub(super) fn common(job: &Job) -> Value {
    jobs::job(job.id.0, job.state, (job.made_at, job.ended_at), &job.author)
}

/// Returns the path of the jobs of a kind.
fn path(kind: Kind) -> &'static str {
    match kind {
        Kind::Check => "/ops/v1/checks/",
        Kind::Backup => "/ops/v1/backups/",
        Kind::Import => "/ops/v1/imports/",
        Kind::Report => "/ops/v1/reports/making-",
    }
}

/// Returns the problem of a job that is not taken.
pub(super) fn not_taken(why: NotTaken) -> OpsProblem {
    let code = match why {
        NotTaken::TooMany => Code::TooManyJobs,
        NotTaken::ImportRunning => Code::ImportRunning,
    };
    OpsProblem::new(code, why.to_string())
}

/// Returns the reply that a job was taken.
pub(super) fn accepted(base: &str, job: &Job, show: Show) -> Reply {
    let location = format!("{base}{}{}", path(job.kind), job.id.0);
    Reply::json(StatusCode::ACCEPTED, &show(job)).with(header::LOCATION, &location)
}

/// Takes a job, and returns the reply that it was.
pub(super) async fn take(
    app: &App,
    call: &Call,
    kind: Kind,
    author: Author,
    asked: Value,
    show: Show,
) -> Result<Reply, OpsProblem> {
    let now = app.believed_now().ok_or_else(body::clock)?;
    let base = app.public_url.clone();
    let once = call.once(now, move |taken: &Taken| taken.as_ref().ok().map(|job| accepted(&base, job, show)));
    let taken = app.store.add_job(NewJob { kind, author, asked }, once, now).await?;
    let job = taken.map_err(not_taken)?;
    app.jobs_bell.send_replace(());
    Ok(accepted(&app.public_url, &job, show))
}

/// Returns the job in the path. `name` is the path's name for it.
pub(super) async fn job_of(app: &App, call: &Call, kind: Kind, name: &str) -> Result<Job, OpsProblem> {
    let nothing = || OpsProblem::from(Refusal::NoResource);
    let id = call.param(name).parse().map_err(|_| nothing())?;
    app.store.job(kind, JobId(id)).await?.ok_or_else(nothing)
}

/// Returns a page of the jobs of a kind, the newest first.
pub(super) async fn list(app: &Arc<App>, call: &Call, kind: Kind, show: Show) -> Result<Reply, OpsProblem> {
    let page = Page::read(app, call, kind.word())?;
    let before = page.after.as_deref().and_then(|key| key.parse().ok()).map(JobId);
    let mut found = app.store.jobs(kind, before, page.limit.saturating_add(1)).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|job| job.id.0.to_string());
    Ok(Reply::json(StatusCode::OK, &page.document(found.iter().map(show).collect(), next)))
}

/// Returns why there are no backups of a store in a database.
pub(super) fn use_the_database() -> OpsProblem {
    door::OpsProblem::new(
        Code::UseTheDatabase,
        "the store is in a database: back it up with the database's tools",
    )
}
