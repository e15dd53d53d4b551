//! Reports that are being made: asked for, waited for, shown.
//!
//! A report is made by a job, since it may take longer than a request. Until it is there it has the id of its making, and
//! under that it is found for good while the making is remembered.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::job::{Kind, MAKINGS_MAX, State, WAITING_MAX};
use onhook_store::contract::jobs::{Job, JobId, NewJob};
use onhook_store::contract::reports::{Kept, Report};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::door::OpsProblem;
use super::jobs::{accepted, not_taken};
use super::listing::whole;
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::reports::asked::Asked;
use crate::store_log;

/// How long a request waits for its report at most, in seconds. It is made on.
pub(super) const WAIT_MAX: u32 = 50;
/// How soon it is looked first whether a report is made.
const LOOK_FIRST: Duration = Duration::from_millis(5);
/// How soon at most: each time later.
const LOOK_LAST: Duration = Duration::from_millis(200);
/// How the id of a making begins.
const MAKING: &str = "making-";

/// How long a request waits.
pub(super) const WAIT: [Parameter; 1] = [Parameter::new(
    "wait_seconds",
    Form::UpTo(WAIT_MAX),
    "how many seconds to wait for the report at most, 50 if it is not there",
)];
/// A report that takes longer than a request waits.
pub(super) const BEING_MADE: Told = Told::new(
    202,
    "It is still being made. The header Location has the address where it is found, and the same request finds it, too.",
)
.with(Shape::json(
    r#"{"type": "object", "required": ["id", "kind", "state", "progress"], "properties": {
        "id": {"type": "string"}, "kind": {"enum": ["rnd", "nruf"]}, "state": {"enum": ["making", "failed"]},
        "progress": {"type": "object"}, "why": {"type": ["string", "null"]}, "asked_at": {"type": "string"},
        "company": {"type": "string"}, "period": {"type": "string"}, "as_of": {"type": "string"},
        "at": {"type": "string"}, "level": {"enum": ["block", "code"]}, "position": {"type": "string"}}}"#,
    r#"{"id": "making-17", "kind": "rnd", "state": "making", "progress": {"done": 12000000, "total": 50000000},
        "why": null, "asked_at": "2026-12-15T08:00:00.000Z", "period": "2026-12", "company": "ACME1",
        "as_of": "1250"}"#,
));

/// Returns a making as it is shown while there is no report.
pub(super) fn shown(job: &Job) -> Value {
    let asked: Option<Asked> = serde_json::from_value(job.asked["with"].clone()).ok();
    let mut told = asked.map_or_else(|| json!({ "kind": null }), |asked| asked.told());
    let done = |key: &str| job.found[key].as_u64().unwrap_or(0);
    for (key, value) in [
        ("id", json!(id(job))),
        ("state", json!(if job.state == State::Failed { "failed" } else { "making" })),
        ("progress", json!({ "done": done("done"), "total": done("total") })),
        ("why", job.found["why"].clone()),
        ("asked_at", json!(job.made_at.to_string())),
    ] {
        told[key] = value;
    }
    told
}

/// Returns the id of a making.
pub(super) fn id(job: &Job) -> String {
    format!("{MAKING}{}", job.id.0)
}

/// Returns the makings that have not become reports: those under way, and those that failed.
pub(super) async fn unmade(app: &App) -> onhook_store::Result<Vec<Job>> {
    let most = 2 * (MAKINGS_MAX + WAITING_MAX + 1); // all of them, also if some have ended since the last was taken
    let mut found = app.store.jobs(Kind::Report, None, most).await?;
    found.retain(|job| job.state != State::Done);
    Ok(found)
}

/// What an id leads to.
pub(super) enum Found {
    /// A report.
    Report(Report),
    /// A making that has not become one.
    Making(Job),
}

/// Returns what an id leads to. The id of a making that is done leads to its report.
pub(super) async fn found(app: &App, id: &str) -> Result<Found, OpsProblem> {
    let nothing = || OpsProblem::from(Refusal::NoResource);
    let Some(making) = id.strip_prefix(MAKING) else {
        let report = app.store.report(id.to_owned()).await?;
        return Ok(Found::Report(report.ok_or_else(nothing)?));
    };
    let making = JobId(making.parse().map_err(|_| nothing())?);
    let job = app.store.job(Kind::Report, making).await?.ok_or_else(nothing)?;
    if job.state != State::Done {
        return Ok(Found::Making(job));
    }
    let report = report_of(app, &job).await?;
    if !job.is_told()
        && let Err(error) = app.store.tell_job(Kind::Report, job.id, None).await
    {
        // It is shown all the same. The same request gets it once more.
        store_log::failed("it could not be noted that a report was shown", &error);
    }
    Ok(Found::Report(report))
}

/// Returns the report that a making has made.
async fn report_of(app: &App, job: &Job) -> Result<Report, OpsProblem> {
    let id = job.found["report"].as_str().unwrap_or_default().to_owned();
    let report = app.store.report(id).await?;
    report.ok_or_else(|| Refusal::NoResource.into())
}

/// Asks for a report, or joins the making of the same one, and waits for it. `request` is what was asked, by which
/// requests are the same; `begun` is when the request arrived, and `made` makes the reply to a report.
pub(super) async fn ask(
    app: &Arc<App>,
    call: &Call,
    (request, asked): (Value, Asked),
    begun: Instant,
    made: fn(&Kept) -> Reply,
) -> Result<Reply, OpsProblem> {
    let wait = whole(call, WAIT[0].name, 0, WAIT_MAX)?.unwrap_or(WAIT_MAX);
    let asked = json!({ "request": request, "with": asked });
    let new = NewJob { kind: Kind::Report, author: call.author(), asked };
    let now = app.clock.now();
    let taken = app.store.add_job(new, None, now).await?.map_err(not_taken)?;
    app.jobs_bell.send_replace(());
    let job = ended(app, taken, begun + Duration::from_secs(wait.into())).await?;
    match job.state {
        State::Done => {
            let is_new = job.found["is_new"] == true;
            let kept = Kept { report: report_of(app, &job).await?, is_new };
            let reply = made(&kept);
            // The key is kept with the reply that ends it: under one whose request was not answered so, it goes on.
            let once = call.once(now, move |_: &Option<Job>| Some(made(&kept)));
            app.store.tell_job(Kind::Report, job.id, once).await?;
            Ok(reply)
        }
        State::Failed => {
            let why = job.found["why"].as_str().unwrap_or_default();
            Err(OpsProblem::new(Code::Internal, format!("the report could not be made: {why}")))
        }
        _ => Ok(accepted("", &job, shown)),
    }
}

/// Waits until a making has ended, or until an instant, and returns it as it then is. It may go on after that.
async fn ended(app: &App, mut job: Job, until: Instant) -> Result<Job, OpsProblem> {
    let mut pause = LOOK_FIRST;
    while !job.state.is_final() && Instant::now() < until && !app.is_stopping() {
        tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
        pause = (pause * 2).min(LOOK_LAST);
        let found = app.store.job(Kind::Report, job.id).await?;
        job = found.ok_or(Refusal::NoResource)?; // an emulator's store may be put back
    }
    Ok(job)
}
