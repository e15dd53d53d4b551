//! Imports: a file of numbers or exchanges that is read while it arrives, checked whole, and then written.

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use onhook_core::audit::digest::Digest;
use onhook_core::job::{Kind, State};
use onhook_store::contract::jobs::{Job, JobId, NewJob};
use onhook_store::contract::leases::LeaseToken;
use onhook_wire::ops::{exchange_file, number_file};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::body;
use super::door::{self, OpsProblem};
use super::jobs::{self, LIST};
use super::listing::{PAGES, Page, parsed, value};
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::incoming::Reading;
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::lease::{Lease, RECEIVING};
use crate::staged::Staged;

/// Most bytes of a file.
const BYTES_MAX: u64 = 4 << 30;
/// Most lines of a file.
const LINES_MAX: u64 = 20_000_000;
/// Bytes of a part that is staged.
const PART: usize = 1 << 18;
/// How long a request waits for the lease under which files arrive: nobody has it unless another file arrives.
const LEASE_WAIT: Duration = Duration::from_secs(2);
/// How often it is looked whether an import was cancelled while its file arrives.
const LOOK: Duration = Duration::from_secs(1);

/// The form of a file.
const FILE: Shape = Shape::of("text/csv", "number,state\n2025550143,Available\n");
/// The form of an import.
const IMPORT: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "state", "lines", "good", "bad", "written", "partial"], "properties": {
        "id": {"type": "string"},
        "state": {"type": "string", "enum": ["receiving", "checking", "writing", "done", "refused", "cancelled"]},
        "made_at": {"type": "string"}, "ended_at": {"type": ["string", "null"]}, "by": {"type": "object"},
        "reason": {"type": ["string", "null"]}, "kind": {"type": "string", "enum": ["numbers", "exchanges"]},
        "lines": {"type": "integer"}, "good": {"type": "integer"}, "bad": {"type": "integer"},
        "restored": {"type": "integer"}, "written": {"type": "integer"}, "partial": {"type": "boolean"},
        "dry_run": {"type": "boolean"}, "sha256": {"type": ["string", "null"]}}}"#,
    r#"{"id": "7", "state": "checking", "made_at": "2026-11-24T03:49:04.152Z", "ended_at": null,
        "by": {"user": "operator", "credential": "basic", "address": "127.0.0.1"}, "reason": "our first block",
        "kind": "numbers", "lines": 300, "good": 0, "bad": 0, "restored": 0, "written": 0, "partial": false, "dry_run": false,
        "sha256": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#,
);
/// The form of an import with what is wrong with its lines.
const WHOLE: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "state", "lines", "good", "bad", "written", "bad_kinds"], "properties": {
        "id": {"type": "string"},
        "state": {"type": "string", "enum": ["receiving", "checking", "writing", "done", "refused", "cancelled"]},
        "made_at": {"type": "string"}, "ended_at": {"type": ["string", "null"]}, "by": {"type": "object"},
        "reason": {"type": ["string", "null"]}, "kind": {"type": "string", "enum": ["numbers", "exchanges"]},
        "lines": {"type": "integer"}, "good": {"type": "integer"}, "bad": {"type": "integer"},
        "restored": {"type": "integer"}, "written": {"type": "integer"}, "partial": {"type": "boolean"},
        "dry_run": {"type": "boolean"}, "sha256": {"type": ["string", "null"]},
        "bad_kinds": {"type": "array", "items": {"type": "object"}}, "bad_others": {"type": "integer"}}}"#,
    r#"{"id": "7", "state": "refused", "made_at": "2026-11-24T03:49:04.152Z", "ended_at": "2026-11-24T03:49:05.153Z",
        "by": {"user": "operator", "credential": "basic", "address": "127.0.0.1"}, "reason": "our first block",
        "kind": "numbers", "lines": 300, "good": 299, "bad": 1, "restored": 0, "written": 0, "partial": false,
        "dry_run": false, "sha256": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "bad_kinds": [{"what": "the number is here already", "lines": 1,
            "first": [{"line": 2, "detail": "+15405550100 is here already"}]}], "bad_others": 0}"#,
);
const ASKED: [Parameter; 5] = [
    Parameter::new("kind", Form::Word(&["numbers", "exchanges"]), "what the file has").required(),
    Parameter::new("partial", Form::Flag, "whether good lines are taken though others are bad"),
    Parameter::new("dry_run", Form::Flag, "whether the lines are checked and not written"),
    Parameter::new("past_releases", Form::Flag, "whether aging numbers are taken whose release is past"),
    Parameter::new("reason", Form::Text("migration"), "why, in 1 to 500 characters").required(),
];

pub(crate) fn routes() -> Vec<Route> {
    let make_doc =
        Doc::new("Takes in a file of numbers or exchanges, while the server runs.", jobs::taken(IMPORT))
            .query(&ASKED)
            .takes(FILE)
            .or(Told::new(409, "Another import is under way. Nothing was taken."));
    let list_doc = Doc::new("Lists imports, the newest first.", Told::ok(LIST)).query(&PAGES);
    let show_doc = Doc::new("Shows how far an import is, and what is wrong with its lines.", Told::ok(WHOLE));
    let bad_doc =
        Doc::new("Lists the lines of an import that cannot be taken.", Told::ok(LIST)).query(&PAGES);
    let cancel_doc = Doc::new("Ends an import of which nothing is written yet.", Told::GONE)
        .query(&[Parameter::new("reason", Form::Text("mistake"), "why, in 1 to 500 characters").required()])
        .or(Told::new(409, "Its lines are being written, or it has ended."));
    let operator = Needs::Operator;
    vec![
        door::route(Method::POST, "/ops/v1/imports", operator, make_doc, make).streaming(),
        door::route(Method::GET, "/ops/v1/imports", operator, list_doc, list),
        door::route(Method::GET, "/ops/v1/imports/{import}", operator, show_doc, show),
        door::route(Method::GET, "/ops/v1/imports/{import}/bad-lines", operator, bad_doc, bad_lines),
        door::route(Method::DELETE, "/ops/v1/imports/{import}", operator, cancel_doc, cancel),
    ]
}

fn shown(job: &Job) -> Value {
    let mut shown = jobs::common(job);
    shown["kind"] = job.asked["kind"].clone();
    for key in ["lines", "good", "bad", "restored", "written"] {
        shown[key] = json!(job.found[key].as_u64().unwrap_or(0));
    }
    for key in ["partial", "dry_run"] {
        shown[key] = json!(job.asked[key].as_bool().unwrap_or(false));
    }
    shown["sha256"] = job.found["sha256"].clone();
    shown
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    jobs::list(&app, &call, Kind::Import, shown).await
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let job = jobs::job_of(&app, &call, Kind::Import, "import").await?;
    let mut whole = shown(&job);
    whole["bad_kinds"] = json!(job.found["bad_kinds"].as_array().cloned().unwrap_or_default());
    whole["bad_others"] = json!(job.found["bad_others"].as_u64().unwrap_or(0));
    Ok(Reply::json(StatusCode::OK, &whole))
}

async fn bad_lines(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let job = jobs::job_of(&app, &call, Kind::Import, "import").await?;
    let page = Page::read(&app, &call, &format!("bad lines of {}", job.id.0))?;
    let after = page.after.as_deref().and_then(|key| key.parse().ok()).unwrap_or(0);
    let mut found = app.store.bad_lines(job.id, after, page.limit.saturating_add(1)).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().filter(|_| more).map(|(line, _)| line.to_string());
    let items = found.iter().map(|(line, detail)| json!({ "line": line, "detail": detail })).collect();
    Ok(Reply::json(StatusCode::OK, &page.document(items, next)))
}

async fn cancel(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let job = jobs::job_of(&app, &call, Kind::Import, "import").await?;
    body::author(&call, value(&call, "reason"))?;
    let now = app.believed_now().ok_or_else(body::clock)?;
    match app.store.cancel_job(Kind::Import, job.id, now).await? {
        Some((_, true)) => {
            app.jobs_bell.send_replace(());
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
        Some((job, false)) if job.state == State::Cancelled => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Some((job, false)) => {
            let detail = format!("the import is {}: it cannot be cancelled any more", job.state);
            Err(OpsProblem::new(Code::Refused, detail))
        }
        None => Err(Refusal::NoResource.into()),
    }
}

async fn make(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let kind = value(&call, "kind").filter(|kind| ["numbers", "exchanges"].contains(kind));
    let kind = kind.ok_or_else(|| OpsProblem::wrong("kind is numbers or exchanges"))?.to_owned();
    let mut asked: BTreeMap<&str, Value> = BTreeMap::new();
    for name in ["partial", "dry_run", "past_releases"] {
        asked.insert(name, json!(parsed::<bool>(&call, name, "true or false")?.unwrap_or(false)));
    }
    asked.insert("kind", json!(kind));
    let author = body::author(&call, value(&call, "reason"))?;
    let now = app.believed_now().ok_or_else(body::clock)?;
    let declared =
        call.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > BYTES_MAX) {
        return Err(too_large());
    }
    let mut lease = Lease::keep(app.clone(), RECEIVING.to_owned(), |_| true);
    let token = tokio::time::timeout(LEASE_WAIT, async {
        loop {
            match lease.token() {
                Some(token) => break token,
                None => lease.changed().await,
            }
        }
    });
    let Ok(token) = token.await else {
        return Err(jobs::not_taken(onhook_core::job::NotTaken::ImportRunning));
    };
    let new = NewJob { kind: Kind::Import, author, asked: json!(asked) };
    let done = match app.store.add_job(new, None, now).await? {
        Err(why) => Err(jobs::not_taken(why)),
        Ok(job) => {
            let done = receive(&app, &call, token, job.id, &kind).await;
            if done.is_err() {
                app.store.cancel_job(Kind::Import, job.id, now).await?;
                app.store.tidy_staging().await?;
            }
            done
        }
    };
    lease.end().await;
    app.jobs_bell.send_replace(());
    done
}

fn too_large() -> OpsProblem {
    let detail = format!("a file has at most {BYTES_MAX} bytes and {LINES_MAX} lines");
    OpsProblem::new(Code::BodyTooLarge, detail)
}

/// Counts lines that are not empty, whatever ends them.
#[derive(Default)]
struct Lines {
    count: u64,
    inside: bool,
}

impl Lines {
    fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let ends = matches!(byte, b'\n' | b'\r');
            if !ends && !self.inside {
                self.count += 1;
            }
            self.inside = !ends;
        }
    }
}

/// Stages the file as it arrives, and lets its lines be checked.
async fn receive(
    app: &Arc<App>,
    call: &Call,
    token: LeaseToken,
    id: JobId,
    kind: &str,
) -> Result<Reply, OpsProblem> {
    let mut body = call.incoming.read();
    let (mut bytes, mut lines, mut sha256) = (0_u64, Lines::default(), Sha256::new());
    let (mut part, mut gathered) = (0, Vec::with_capacity(PART));
    loop {
        let next = next_or_cancelled(app, id, &mut body).await?;
        if let Some(some) = &next {
            bytes += u64::try_from(some.len()).unwrap_or(u64::MAX);
            lines.read(some);
            if bytes > BYTES_MAX || lines.count.saturating_sub(1) > LINES_MAX {
                return Err(too_large());
            }
            sha256.update(some);
            gathered.extend_from_slice(some);
        }
        if gathered.len() >= PART || (next.is_none() && !gathered.is_empty()) {
            app.store.stage(token, id, part, std::mem::take(&mut gathered)).await?;
            part += 1;
        }
        if next.is_none() {
            break;
        }
    }
    let staged = if part == 0 { Box::new(io::empty()) } else { app.store.staging(id).await? };
    let (staged, broken) = Staged::new(staged);
    let head = head(kind, staged).await;
    broken.check()?;
    head?;
    let sha256 = Digest::from(sha256).to_string();
    let found = json!({ "lines": lines.count.saturating_sub(1), "sha256": sha256 });
    let base = app.public_url.clone();
    let now = app.believed_now().ok_or_else(body::clock)?;
    let reply = move |job: &Option<Job>| job.as_ref().map(|job| jobs::accepted(&base, job, shown));
    let once = call.once(now, reply.clone());
    let job = app.store.staged(token, id, found, once).await?;
    reply(&job).ok_or_else(cancelled)
}

fn cancelled() -> OpsProblem {
    OpsProblem::new(Code::Refused, "the import was cancelled while its file arrived")
}

/// Returns the next part of a file, or `None` at its end.
///
/// # Errors
/// The refusal of an import that was cancelled meanwhile: another one must not wait for a sender that says nothing.
async fn next_or_cancelled(app: &App, id: JobId, body: &mut Reading) -> Result<Option<Bytes>, OpsProblem> {
    let mut next = pin!(body.next());
    loop {
        tokio::select! {
            next = &mut next => return Ok(next?),
            () = tokio::time::sleep(LOOK) => {
                let job = app.store.job(Kind::Import, id).await?;
                if job.is_none_or(|job| job.state != State::Receiving) {
                    return Err(cancelled());
                }
            }
        }
    }
}

/// Checks the first line of a file.
async fn head(kind: &str, staged: Staged) -> Result<(), OpsProblem> {
    let exchanges = kind == "exchanges";
    let read = tokio::task::spawn_blocking(move || {
        if exchanges { exchange_file::read(staged).map(drop) } else { number_file::read(staged).map(drop) }
    });
    let read = read.await.map_err(|_| Refusal::Failed)?;
    read.map_err(|why| OpsProblem::wrong(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_whatever_ends_them_and_empty_ones_are_none() {
        for (text, count) in [("", 0), ("a", 1), ("a\nb", 2), ("a\r\nb\r\n", 2), ("a\rb\r\r\n\nc\n", 3)] {
            for size in 1..=text.len().max(1) {
                let mut lines = Lines::default();
                text.as_bytes().chunks(size).for_each(|part| lines.read(part));
                assert_eq!(lines.count, count, "{text:?} by {size}");
            }
        }
    }
}
