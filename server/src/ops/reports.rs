//! Reports for regulators: made, shown, read, and noted as handed in.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::{Method, StatusCode, header};
use onhook_core::audit::digest::Digest;
use onhook_core::ids::EventSeq;
use onhook_core::number::Number;
use onhook_core::report::ReportKind;
use onhook_core::report::months::Month;
use onhook_core::report::nruf::Level;
use onhook_core::report::rnd_file::is_company;
use onhook_core::time::{DAY_MS, Date, Timestamp};
use onhook_store::contract::reports::{CONFIRMED_MAX, Confirmed, Kept, Report, ReportFilter, Submitted};
use onhook_store::{StoreError, audit};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::body::{self, wrong};
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, day, parsed};
use super::makings::{self, BEING_MADE, Found, WAIT, WAIT_MAX};
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::lease::PAUSE_MAX;
use crate::reports::asked::Asked;
use crate::reports::{Writing, nruf, rnd, writing};
use crate::store_log;

/// How long it takes at most, once a lease is over, until another node has it and has used it.
const TAKEOVER: Duration = PAUSE_MAX.saturating_mul(2);
/// How often a report looks whether what has just happened has its position, if nothing is announced.
const POSITION_LOOK: Duration = Duration::from_millis(100);
/// How often a report is judged anew while others are confirmed.
const CONFIRM_TRIES: usize = 10;
/// The type of the files.
const CSV: &str = "text/csv";
/// Parts of a file that wait to be sent.
const PARTS: usize = 4;

const REPORT: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "kind", "state"], "properties": {
        "id": {"type": "string"}, "kind": {"enum": ["rnd", "nruf"]}, "state": {"enum": ["making", "ready", "failed"]},
        "progress": {"type": "object"}, "why": {"type": ["string", "null"]}, "asked_at": {"type": "string"},
        "company": {"type": "string"}, "period": {"type": "string"}, "cutoff": {"type": "string"},
        "cutoff_ahead": {"enum": [true]}, "as_of": {"type": "string"}, "made_at": {"type": "string"},
        "counts": {"type": "object"},
        "files": {"type": "array", "items": {"type": "object"}}, "form": {"type": "string"},
        "nothing_to_report": {"type": "boolean"}, "npa_table": {"type": "string"},
        "confirmed_at": {"type": ["string", "null"]}, "submitted_at": {"type": ["string", "null"]}}}"#,
    r#"{"id": "rnd-2026-12-ACME1-9d1c2f3a4b5c", "kind": "rnd", "state": "ready", "company": "ACME1",
        "period": "2026-12", "cutoff": "2026-12-14", "as_of": "1250", "made_at": "2026-12-15T08:00:00.000Z",
        "counts": {"rows": 1, "left_out": 1, "left_out_by_reason": {"reconnected": 1}},
        "files": [{"name": "ACME1_202612.csv", "rows": 1,
                   "sha256": "9d1c2f3a4b5c0000000000000000000000000000000000000000000000000000"}],
        "form": "rnd-unverified", "nothing_to_report": false, "npa_table": "2026-11", "confirmed_at": null,
        "submitted_at": null}"#,
);
const USE: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "kind", "state"], "properties": {
        "id": {"type": "string"}, "kind": {"enum": ["nruf"]}, "state": {"enum": ["ready"]},
        "as_of": {"type": "string"}, "at": {"type": "string"}, "level": {"enum": ["block", "code"]},
        "position": {"type": "string"}, "made_at": {"type": "string"}, "counts": {"type": "object"},
        "files": {"type": "array", "items": {"type": "object"}}, "npa_table": {"type": "string"},
        "warnings": {"type": "array", "items": {"type": "object"}}, "warnings_total": {"type": "integer"},
        "confirmed_at": {"type": ["string", "null"]}, "submitted_at": {"type": ["string", "null"]}}}"#,
    r#"{"id": "nruf-2026-12-31-block-9d1c2f3a4b5c", "kind": "nruf", "state": "ready", "as_of": "2026-12-31",
        "at": "2026-12-31T23:59:59.999Z", "level": "block", "position": "1250", "made_at": "2027-01-04T08:00:00.000Z",
        "counts": {"lines": 1, "numbers": 53, "assigned": 2, "intermediate": 0, "reserved": 0, "aging": 1,
                   "administrative": 0, "available": 50},
        "files": [{"name": "nruf_2026-12-31.csv", "rows": 1,
                   "sha256": "9d1c2f3a4b5c0000000000000000000000000000000000000000000000000000"}],
        "warnings": [{"code": "not_held", "block": "540-555-0", "detail": "947 of 1000 numbers are not held here"}],
        "warnings_total": 1, "npa_table": "2026-11", "confirmed_at": null, "submitted_at": null}"#,
);
const LIST: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
const FILE: Shape = Shape::of(CSV, "CompanyID,TN,DisconnectDate,BatchID\r\nACME1,5405514342,2026-12-03,\r\n");
const ASK_RND: Shape = Shape::json(
    r#"{"type": "object", "required": ["period"], "additionalProperties": false, "properties": {
        "period": {"type": "string"}, "company": {"type": ["string", "null"]},
        "as_of": {"type": ["string", "null"]}}}"#,
    r#"{"period": "2026-12", "company": "ACME1", "as_of": null}"#,
);
const ASK_USE: Shape = Shape::json(
    r#"{"type": "object", "additionalProperties": false, "properties": {
        "as_of": {"type": ["string", "null"]}, "level": {"enum": ["block", "code"]}}}"#,
    r#"{"as_of": null, "level": "block"}"#,
);
const CONFIRM: Shape = Shape::json(
    r#"{"type": "object", "required": ["submitted_at", "sha256", "reason"], "additionalProperties": false,
        "properties": {"submitted_at": {"type": "string", "format": "date-time"},
        "sha256": {"type": "array", "items": {"type": "string"}},
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}}}"#,
    r#"{"submitted_at": "2026-11-20T09:00:00.000Z",
        "sha256": ["9d1c2f3a4b5c0000000000000000000000000000000000000000000000000000"],
        "reason": "uploaded to the database"}"#,
);
const WHICH: [Parameter; 2] = [
    Parameter::new("kind", Form::Word(&["rnd", "nruf"]), "only reports of this kind"),
    Parameter::new("period", Form::Text("2026-12"), "only reports of disconnects of this month"),
];
/// A report that is not taken.
const NOT_TAKEN: Told = Told::new(
    409,
    "Too many reports wait to be made, or it would have a part of an import that is being written.",
);

pub(crate) fn routes() -> Vec<Route> {
    let (get, post, operator) = (Method::GET, Method::POST, Needs::Operator);
    let known = Told::new(200, "There is one with the same rows.");
    let rnd_doc =
        Doc::new("Makes a month's report of disconnects, or finds the same one.", Told::made(REPORT))
            .takes(ASK_RND)
            .query(&WAIT)
            .or(known.with(REPORT))
            .or(BEING_MADE)
            .or(NOT_TAKEN);
    let nruf_doc = Doc::new("Makes a report of how numbers were used at an instant.", Told::made(USE))
        .takes(ASK_USE)
        .query(&WAIT)
        .or(known.with(USE))
        .or(BEING_MADE)
        .or(NOT_TAKEN)
        .or(Told::new(422, "The instant lies ahead, or before the first import."));
    let list_doc = Doc::new(
        "Lists reports, newest first: also those that are being made, and those that could not be made.",
        Told::ok(LIST),
    )
    .query(&WHICH)
    .query(&PAGES);
    let show_doc = Doc::new(
        "Shows a report. One that is being made has an id of its own, which leads to the report when it is ready.",
        Told::ok(REPORT),
    );
    let file_doc = Doc::new("Returns a file of a report, the same bytes each time.", Told::ok(FILE));
    let left_doc =
        Doc::new("Lists the numbers that a report leaves out, each with its reason.", Told::ok(LIST))
            .query(&PAGES);
    let confirm_doc = Doc::new("Notes that a report of disconnects was handed in.", Told::ok(REPORT))
        .takes(CONFIRM)
        .or(Told::new(
            409,
            "Its files have other hashes, or it has to be made again, or too many are confirmed.",
        ))
        .or(Told::new(422, "Its month lies more than one ahead."));
    vec![
        door::route(post.clone(), "/ops/v1/reports/rnd", operator, rnd_doc, make_rnd),
        door::route(post.clone(), "/ops/v1/reports/nruf", operator, nruf_doc, make_nruf),
        door::route(get.clone(), "/ops/v1/reports", operator, list_doc, list),
        door::route(get.clone(), "/ops/v1/reports/{report}", operator, show_doc, show),
        door::route(get.clone(), "/ops/v1/reports/{report}/files/{file}", operator, file_doc, file)
            .streaming(),
        door::route(get, "/ops/v1/reports/{report}/left-out", operator, left_doc, left_out).streaming(),
        door::route(post, "/ops/v1/reports/{report}/confirm", operator, confirm_doc, confirm),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskRnd {
    period: String,
    company: Option<String>,
    as_of: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskUse {
    as_of: Option<String>,
    level: Option<Level>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    submitted_at: Option<String>,
    #[serde(default)]
    sha256: Vec<String>,
    reason: Option<String>,
}

/// Returns a report as it is shown.
fn shown(report: &Report) -> Value {
    let mut told = report.shown.clone();
    let confirmed = report.confirmed;
    for (key, value) in [
        ("id", json!(report.id)),
        ("kind", json!(report.kind.word())),
        ("state", json!("ready")),
        ("made_at", json!(report.made_at.to_string())),
        ("confirmed_at", json!(confirmed.map(|confirmed| confirmed.at.to_string()))),
        ("submitted_at", json!(confirmed.map(|confirmed| confirmed.submitted_at.to_string()))),
    ] {
        told[key] = value;
    }
    let position = report.as_of.to_string();
    match (report.period, &report.company) {
        (Some(period), Some(company)) => {
            told["period"] = json!(period.to_string());
            told["company"] = json!(company);
            told["as_of"] = json!(position);
        }
        _ => told["position"] = json!(position),
    }
    told
}

/// Returns the reply to a report that was made, or was there.
fn made(kept: &Kept) -> Reply {
    let status = if kept.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let reply = Reply::json(status, &shown(&kept.report));
    reply.with(header::LOCATION, &format!("/ops/v1/reports/{}", kept.report.id))
}

/// Returns how long a report waits at most for what has just happened to get its position: until another node does that
/// in the place of a node, or of a command, that stopped with its lease.
fn position_wait(app: &App) -> Duration {
    let whole = app.settings.lease.max(audit::LEASE) + TAKEOVER;
    whole.min(Duration::from_secs(WAIT_MAX.into())) // the request has its own end
}

/// Returns the last position, once all that has happened before has one.
///
/// # Errors
/// `Busy` if that is not so after `wait`. A report without it would be wrong, so there is none.
async fn newest(app: &App, wait: Duration) -> Result<u64, OpsProblem> {
    let until = Instant::now() + wait;
    let mut sealed = app.sealed.subscribe();
    let mut waiting = app.store.unsealed_seqs().await?;
    while !waiting.is_empty() {
        sealed.borrow_and_update();
        // Who has the lease does it. Nobody may have it any more, and a command has no worker.
        match audit::seal_all(&*app.store, app.clock.now()).await {
            Ok(()) | Err(StoreError::LeaseLost | StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let still: HashSet<EventSeq> = app.store.unsealed_seqs().await?.into_iter().collect();
        waiting.retain(|event| still.contains(event));
        if waiting.is_empty() {
            break;
        }
        if Instant::now() >= until || app.is_stopping() {
            return Err(OpsProblem::busy(
                "what was answered before has no position in the audit trail yet, so a report would lack it: ask again",
            ));
        }
        let _ = timeout(POSITION_LOOK, sealed.changed()).await;
    }
    Ok(app.store.head().await?.map_or(0, |head| head.last))
}

/// Reads a position of the events. Without one it is the newest.
async fn position(app: &App, text: Option<&str>) -> Result<u64, OpsProblem> {
    let Some(text) = text else { return newest(app, position_wait(app)).await };
    let given: u64 = text.parse().map_err(|_| wrong("/as_of", "as_of is a position such as 1250".into()))?;
    let newest = app.store.head().await?.map_or(0, |head| head.last);
    if given > newest {
        let detail = format!("as_of lies ahead: the newest position is {newest}");
        return Err(OpsProblem::new(Code::AtInFuture, detail));
    }
    Ok(given)
}

/// Returns the problem of what would have a part of an import. `instead` says what to do.
pub(super) fn import_writes(writing: &Writing, instead: &str) -> OpsProblem {
    let since = writing.since;
    let detail = format!(
        "an import has been writing since {since}: its numbers come one after another under one position; {instead}"
    );
    OpsProblem::new(Code::ImportRunning, detail)
}

/// Refuses a report that would have a part of an import: the position of the report is read before, and the report counts
/// no numbers that were imported after `until`.
async fn must_be_whole(app: &App, position: u64, until: Timestamp) -> Result<(), OpsProblem> {
    match writing(&*app.store).await? {
        Some(writing) if writing.is_known_at(position) && writing.since <= until => {
            Err(import_writes(&writing, "make the report when it has ended"))
        }
        _ => Ok(()),
    }
}

async fn make_rnd(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let begun = Instant::now();
    let AskRnd { period, company, as_of } = body::read(&call)?;
    let period: Month = period.parse().map_err(|error| wrong("/period", format!("period: {error}")))?;
    let settings = app.values().reports.clone();
    if let Some(told) = settings.rnd_form.mismatch() {
        return Err(OpsProblem::wrong(told));
    }
    let company = company.or(settings.rnd_company);
    let missing = || wrong("/company", "no company: say who reports, or set rnd_company".into());
    let company = company.ok_or_else(missing)?;
    if !is_company(&company) {
        return Err(wrong("/company", "a company is 3 to 10 letters and digits".into()));
    }
    let asked_as_of = as_of.clone();
    let as_of = position(&app, as_of.as_deref()).await?;
    must_be_whole(&app, as_of, Timestamp::MAX).await?;
    let now = app.believed_now().ok_or_else(body::clock)?;
    let (form, zone) = (settings.rnd_form, app.settings.policy.zone_name().to_owned());
    let request =
        json!({ "rnd": { "period": period, "company": company, "as_of": asked_as_of, "form": form } });
    let asked = Asked::Rnd(rnd::Asked { period, company, as_of, now, form, zone });
    makings::ask(&app, &call, (request, asked), begun, made).await
}

/// Reads a day, which means its end, or an instant. Without one it is now.
fn instant(app: &App, text: Option<&str>, now: Timestamp) -> Result<(String, Timestamp), OpsProblem> {
    let Some(text) = text else { return Ok((now.to_string(), now)) };
    let zone = app.settings.policy.zone();
    if let Some(day) = day(text) {
        let next = Timestamp::start_of(day.tomorrow().unwrap_or(Date::MAX), zone);
        return Ok((text.to_owned(), next.plus_millis(-1)));
    }
    let at: Timestamp = text
        .parse()
        .map_err(|_| wrong("/as_of", "as_of is a day such as 2026-12-31, or an instant".into()))?;
    Ok((at.to_string(), at))
}

async fn make_nruf(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let begun = Instant::now();
    let AskUse { as_of, level } = body::read(&call)?;
    let now = app.believed_now().ok_or_else(body::clock)?;
    let (named, at) = instant(&app, as_of.as_deref(), now)?;
    if at > now {
        return Err(OpsProblem::new(Code::AtInFuture, format!("{named} is not over yet")));
    }
    let first = app.store.first_import().await?;
    if first.is_none_or(|first| at < first) {
        let detail = format!("nothing was imported by {named}");
        return Err(OpsProblem::new(Code::BeforeFirstImport, detail));
    }
    let position = newest(&app, position_wait(&app)).await?;
    must_be_whole(&app, position, at).await?;
    let settings = app.values().reports.clone();
    let (ocn, ported_out) = (settings.nruf_ocn.unwrap_or_default(), settings.nruf_ported_out);
    let level = level.unwrap_or(Level::Block);
    let request = json!({ "nruf": { "as_of": as_of, "level": level, "ocn": ocn, "ported_out": ported_out } });
    let asked = Asked::Nruf(nruf::Asked { named, at, level, as_of: position, now, ocn, ported_out });
    makings::ask(&app, &call, (request, asked), begun, made).await
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let kind: Option<ReportKind> = parsed(&call, "kind", "rnd or nruf")?;
    let period: Option<Month> = parsed(&call, "period", "a month such as 2026-12")?;
    let page = Page::read(&app, &call, "reports")?;
    let after = page.after.as_deref().and_then(|key| {
        let (at, id) = key.split_once(' ')?;
        Some((Timestamp::from_millis(at.parse().ok()?), id.to_owned()))
    });
    // First what is being made: what becomes a report meanwhile is there twice rather than not at all.
    let unmade = makings::unmade(&app).await?;
    let fits = |shown: &Value| {
        kind.is_none_or(|kind| shown["kind"] == kind.word())
            && period.is_none_or(|period| shown["period"] == period.to_string())
    };
    let mut found: Vec<((Timestamp, String), Value)> =
        unmade.iter().map(|job| ((job.made_at, makings::id(job)), makings::shown(job))).collect();
    found.retain(|(key, shown)| after.as_ref().is_none_or(|after| key < after) && fits(shown));
    let filter = ReportFilter { kind, period };
    let reports = app.store.reports(filter, after, page.limit + 1).await?;
    found.extend(reports.iter().map(|report| ((report.made_at, report.id.clone()), shown(report))));
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|((at, id), _)| format!("{} {id}", at.millis()));
    let items = found.into_iter().map(|(_, shown)| shown).collect();
    Ok(Reply::json(StatusCode::OK, &page.document(items, next)))
}

/// Returns the report in the path. One that is not made yet has no files.
async fn named(app: &App, call: &Call) -> Result<Report, OpsProblem> {
    match makings::found(app, call.param("report")).await? {
        Found::Report(report) => Ok(report),
        Found::Making(_) => Err(Refusal::NoResource.into()),
    }
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let told = match makings::found(&app, call.param("report")).await? {
        Found::Report(report) => shown(&report),
        Found::Making(job) => makings::shown(&job),
    };
    Ok(Reply::json(StatusCode::OK, &told))
}

async fn file(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let report = named(&app, &call).await?;
    let files = report.shown["files"].as_array().cloned().unwrap_or_default();
    let place = files.iter().position(|file| file["name"] == call.param("file"));
    let place = place.ok_or(Refusal::NoResource)?;
    let wanted = files[place]["sha256"].as_str().unwrap_or_default().to_owned();
    if report.kind == ReportKind::Nruf {
        let made = nruf::file(&*app.store, &report, place).await?;
        if Digest::of(&made).hex() != wanted {
            return Err(differs(&report));
        }
        let kind = if place == 0 { CSV } else { crate::http::reply::JSON };
        return Ok(Reply::typed(StatusCode::OK, kind, made));
    }
    let (sender, made) = mpsc::channel(PARTS);
    let store = app.store.clone();
    let bytes = rnd::size(&report, place)?;
    let making = tokio::spawn(rnd::file(store, report, place, sender));
    let parts = parts(made, making, wanted);
    Ok(Reply::streamed(CSV, parts).with(header::CONTENT_LENGTH, &bytes.to_string()))
}

/// Returns the problem of a file that cannot be made as it was.
fn differs(report: &Report) -> OpsProblem {
    tracing::error!("the report {} cannot be made again as it was made: make a new one", report.id);
    OpsProblem::new(Code::ReportChanged, "the file cannot be made again as it was: make a new report")
}

/// Returns the parts of a file as they are made. If making fails, or the whole has another hash than it had, the last
/// part is an error: so the client learns that the file is not the one that it asked for.
fn parts(
    made: mpsc::Receiver<Vec<u8>>,
    making: JoinHandle<onhook_store::Result<()>>,
    wanted: String,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let begun = Some((made, making, Sha256::new(), wanted));
    stream::unfold(begun, |open| async {
        let (mut made, making, mut hash, wanted) = open?;
        if let Some(part) = made.recv().await {
            hash.update(&part);
            return Some((Ok(part.into()), Some((made, making, hash, wanted))));
        }
        let failed = match making.await {
            Ok(Ok(())) if Digest::from(hash).hex() == wanted => return None,
            Ok(Err(error)) => {
                store_log::failed("a report's file was cut off", &error);
                "it failed"
            }
            _ => {
                tracing::error!("a report's file cannot be made again as it was: make a new report");
                "it differs"
            }
        };
        Some((Err(io::Error::other(failed)), None))
    })
}

async fn left_out(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let report = named(&app, &call).await?;
    let page = Page::read(&app, &call, &format!("left out of {}", report.id))?;
    if report.kind != ReportKind::Rnd {
        return Ok(Reply::json(StatusCode::OK, &page.document(Vec::new(), None)));
    }
    let after: Option<Number> = page.after.as_deref().and_then(|key| key.parse().ok());
    let mut found = rnd::left_out(&*app.store, &report, after, page.limit + 1).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|(number, _)| number.to_string());
    let items = found.iter().map(|(number, why)| json!({ "number": number.to_string(), "why": why.word() }));
    Ok(Reply::json(StatusCode::OK, &page.document(items.collect(), next)))
}

async fn confirm(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Confirm { submitted_at, sha256, reason } = body::read(&call)?;
    let author = body::author(&call, reason.as_deref())?;
    let missing = || wrong("/submitted_at", "submitted_at is when the report was handed in".into());
    let submitted_at = body::instant("/submitted_at", submitted_at.as_deref())?.ok_or_else(missing)?;
    let now = app.believed_now().ok_or_else(body::clock)?;
    let latest = Month::of(now.date_in(app.settings.policy.zone())).next();
    if submitted_at.since(now) > DAY_MS {
        return Err(wrong("/submitted_at", "submitted_at lies ahead".into()));
    }
    let hash = |text: &String| text.trim_start_matches("sha256:").to_ascii_lowercase();
    let sha256: Vec<String> = sha256.iter().map(hash).collect();
    let once = call.once(now, |done: &Confirmed| match done {
        Confirmed::Done(report) => Some(Reply::json(StatusCode::OK, &shown(report))),
        _ => None,
    });
    let report = named(&app, &call).await?;
    if report.kind != ReportKind::Rnd {
        return Err(OpsProblem::wrong(format!(
            "{} is a report of number use, not of disconnects",
            report.id
        )));
    }
    if report.confirmed.is_none()
        && let Some(period) = report.period.filter(|period| *period > latest)
    {
        let detail =
            format!("the month {period} lies too far ahead: the last that can be handed in is {latest}");
        return Err(OpsProblem::new(Code::AtInFuture, detail));
    }
    let first_made_at = rnd::first_made_at(&report)?;
    if report.confirmed.is_none() && first_made_at.since(submitted_at) > DAY_MS {
        let detail =
            format!("submitted_at lies before the report's files were first made, at {first_made_at}");
        return Err(wrong("/submitted_at", detail));
    }
    for _ in 0..CONFIRM_TRIES {
        let (other, seen) = rnd::lists_the_same(&*app.store, &report).await?;
        if let Some(other) = other.filter(|_| report.confirmed.is_none()) {
            let detail = format!(
                "the report of {other} was confirmed after this one was made, and lists some of the same days: make \
                 this one again"
            );
            return Err(OpsProblem::new(Code::ReportChanged, detail));
        }
        let (id, sha256) = (report.id.clone(), sha256.clone());
        let submitted = Submitted { id, sha256, at: submitted_at, seen };
        match app.store.confirm_report(submitted, author.clone(), now, once.clone()).await? {
            Confirmed::Done(report) => {
                app.reports_bell.notify_one();
                return Ok(Reply::json(StatusCode::OK, &shown(&report)));
            }
            Confirmed::Changed => {
                let detail = "the report's files have other hashes";
                return Err(OpsProblem::new(Code::ReportChanged, detail));
            }
            Confirmed::NoReport => return Err(Refusal::NoResource.into()),
            Confirmed::TooMany => {
                let detail = format!("{CONFIRMED_MAX} reports were confirmed, and no more can be");
                return Err(OpsProblem::new(Code::Refused, detail));
            }
            Confirmed::Others => {} // it is judged again, by all of them
        }
    }
    Err(OpsProblem::busy("other reports are being confirmed: ask again"))
}

#[cfg(test)]
mod tests {
    use onhook_core::audit::deed::{Deed, DeedKind};
    use onhook_core::lifecycle::provenance::Doer;
    use onhook_store::contract::audit::{Audit, SEALER};
    use onhook_store::contract::leases::Leases;
    use onhook_store::contract::upkeep::Upkeep;
    use onhook_store::sqlite::SqliteStore;

    use super::*;
    use crate::settings::Settings;

    /// A node that stopped keeps its lease until that is over.
    #[tokio::test]
    async fn a_report_waits_for_what_was_answered_before_and_is_not_made_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let lease = audit::LEASE * 2;
        let settings = Settings { lease, ..Settings::default() };
        let app = App::new(store.clone(), settings, "http://127.0.0.1".into()).await.unwrap();
        assert!(position_wait(&app) > lease + PAUSE_MAX, "so late may another node take it");
        assert!(position_wait(&app) < Duration::from_secs(WAIT_MAX.into()), "a request ends before");
        assert_eq!(newest(&app, Duration::ZERO).await.unwrap(), 0, "nothing has happened yet");
        let deed = Deed::by(&Doer::offline(app.clock.now()), DeedKind::ClockTrusted);
        let stopped = store.take_lease(SEALER, Duration::from_hours(3)).await.unwrap().expect("free");
        store.write_deeds(vec![deed.clone()]).await.unwrap();
        let refused = newest(&app, POSITION_LOOK).await.expect_err("it has no position");
        let refused = format!("{refused:?}");
        assert!(refused.contains("Busy") && refused.contains("ask again"), "{refused}");
        store.end_lease(SEALER, stopped).await.unwrap();
        assert_eq!(newest(&app, Duration::ZERO).await.unwrap(), 1, "nobody else does it");
        // The lease is over in its time.
        store.take_lease(SEALER, POSITION_LOOK * 2).await.unwrap().expect("free");
        store.write_deeds(vec![deed]).await.unwrap();
        assert_eq!(newest(&app, position_wait(&app)).await.unwrap(), 2);
        app.stop();
        store.close().await;
    }
}
