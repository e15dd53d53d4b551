//! The feed of events: by pages, or as a stream of server-sent events.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use onhook_core::account::Role;
use onhook_core::audit::deed::DeedKind;
use onhook_core::audit::line::{Line, LineFilter};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::event::EventKind;
use onhook_core::number::Number;
use onhook_store::audit::{Feed, feed};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::body;
use super::door::{self, OpsProblem};
use super::listing::{parsed, value, whole};
use super::problem::Code;
use crate::app::App;
use crate::http::auth::Caller;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::streams::Open;

/// Events on a page if the request does not say how many.
const LIMIT: u32 = 100;

/// Most events on a page.
const LIMIT_MAX: u32 = 1_000;

/// Longest that a request waits for an event, in seconds.
const WAIT_MAX: u32 = 30;

/// How often a stream without events says that it is there, and looks whether its user still may have it.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// The type of a stream.
const EVENT_STREAM: &str = "text/event-stream";

/// The header by which a stream goes on.
const LAST_EVENT_ID: &str = "last-event-id";

/// The form of a page of events.
const FEED: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object", "required": ["position", "seq", "at", "kind"]}},
        "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);

/// Where a page begins, and what it is narrowed by.
const QUERY: [Parameter; 10] = [
    Parameter::new("after", Form::Text("0"), "only events behind this position"),
    Parameter::new("limit", Form::Whole(1, LIMIT_MAX), "most events on the page, 100 if it is not there"),
    Parameter::new("kind", Form::Text("disconnected,released"), "only events of one of these kinds"),
    Parameter::new("number", Form::Phone, "only events of this number"),
    Parameter::new("account", Form::Text("9900000"), "only events about this account"),
    Parameter::new("order", Form::Uuid, "only events of this order"),
    Parameter::new("plan", Form::Uuid, "only events under this plan"),
    Parameter::new("from", Form::Text("2026-01-01T00:00:00.000Z"), "only what happened from then on"),
    Parameter::new("until", Form::Text("2099-01-01T00:00:00.000Z"), "only what happened before then"),
    Parameter::new("wait_seconds", Form::Whole(0, WAIT_MAX), "how long to wait if there is no event yet"),
];

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new(
        "Shows events by position, each once and without a gap; with Accept: text/event-stream as a stream.",
        Told::ok(FEED),
    )
    .query(&QUERY);
    vec![door::route(Method::GET, "/ops/v1/events", Needs::Caller, doc, show)]
}

/// Who reads events.
struct Reader {
    user: String,
    account: Option<AccountId>,
    role: Role,
}

impl Reader {
    fn of(caller: &Caller) -> Self {
        Self { user: caller.user.to_string(), account: caller.account, role: caller.role }
    }

    fn shown(&self, position: u64, line: &Line) -> Value {
        if self.role == Role::Operator {
            line.shown(Some(position))
        } else {
            line.shown_to(Some(position), &self.user)
        }
    }

    /// Returns whether this is still a user with these rights. A stream lasts longer than a request.
    async fn still_may(&self, app: &App) -> bool {
        match app.store.user(&self.user).await {
            Ok(user) => user.is_some_and(|user| (user.account, user.role) == (self.account, self.role)),
            Err(_) => true, // the next look tells
        }
    }
}

/// Reads a number in the query, where a plus sign may have become a space.
fn number(call: &Call) -> Result<Option<Number>, OpsProblem> {
    let Some(text) = value(call, "number") else { return Ok(None) };
    let text = text.strip_prefix(' ').map_or_else(|| text.to_owned(), |digits| format!("+{digits}"));
    let form = text.len() == 10 || text.starts_with('+');
    let number = Some(text).filter(|_| form).and_then(|text| text.parse().ok());
    let wrong = || OpsProblem::new(Code::BadNumber, "a number is written as +15405550100 or 5405550100");
    number.map(Some).ok_or_else(wrong)
}

/// Reads what the events are narrowed by. A caller with an account gets events about it.
fn filter(call: &Call) -> Result<LineFilter, OpsProblem> {
    let account = body::account(&call.caller, "account", value(call, "account"))?;
    let kinds: Vec<String> =
        value(call, "kind").map_or_else(Vec::new, |text| text.split(',').map(str::to_owned).collect());
    let known = |kind: &String| kind.parse::<EventKind>().is_ok() || kind.parse::<DeedKind>().is_ok();
    if !kinds.iter().all(known) {
        return Err(OpsProblem::wrong("kind is one or more kinds of events, with commas"));
    }
    let instant = "an instant such as 2027-01-01T00:00:00.000Z";
    Ok(LineFilter {
        kinds,
        number: number(call)?,
        account,
        order: parsed(call, "order", "an order's id")?,
        plan: parsed(call, "plan", "a plan's id")?,
        from: parsed(call, "from", instant)?,
        until: parsed(call, "until", instant)?,
    })
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let filter = filter(&call)?;
    let after: u64 = parsed(&call, "after", "a position")?.unwrap_or(0);
    let limit = whole(&call, "limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    let wait = whole(&call, "wait_seconds", 0, WAIT_MAX)?.unwrap_or(0);
    let accepts = call.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let reader = Reader::of(&call.caller);
    if accepts.is_some_and(|accepts| accepts.to_ascii_lowercase().contains(EVENT_STREAM)) {
        let last = call.headers.get(LAST_EVENT_ID).map(|last| last.to_str().ok()?.trim().parse().ok());
        let wrong = || OpsProblem::wrong("Last-Event-ID is a position");
        let after = last.map_or(Ok(after), |last: Option<u64>| last.ok_or_else(wrong))?;
        return stream(app, reader, filter, after);
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = next(&app, after, limit, &filter, Duration::from_secs(wait.into())).await?;
    let items: Vec<Value> = page.lines.iter().map(|(position, line)| reader.shown(*position, line)).collect();
    let next = page.next.map(|next| next.to_string());
    Ok(Reply::json(StatusCode::OK, &json!({ "items": items, "next": next })))
}

/// Returns the next events behind a position, and waits for one if there is none.
async fn next(
    app: &App,
    after: u64,
    limit: usize,
    filter: &LineFilter,
    wait: Duration,
) -> Result<Feed, OpsProblem> {
    let until = Instant::now() + wait;
    let mut sealed = app.sealed.subscribe();
    let mut at = after;
    loop {
        sealed.borrow_and_update();
        let page = feed(&*app.store, at, limit, filter).await?;
        let left = until.saturating_duration_since(Instant::now());
        if !page.lines.is_empty() || left.is_zero() || app.is_stopping() {
            return Ok(page);
        }
        at = page.seen;
        if page.next.is_none() {
            let _ = timeout(left.min(Duration::from_secs(1)), sealed.changed()).await;
        }
    }
}

/// A stream of events under way.
struct Stream {
    app: Arc<App>,
    reader: Reader,
    filter: LineFilter,
    /// The last position that was looked at.
    at: u64,
    ready: VecDeque<Bytes>,
    sealed: watch::Receiver<u64>,
    looked_at: Instant,
    /// How often an emulator's data had been put back when it began.
    age: u64,
    /// Its place among the streams of the node.
    _open: Open,
}

fn stream(app: Arc<App>, reader: Reader, filter: LineFilter, after: u64) -> Result<Reply, OpsProblem> {
    let many = || OpsProblem::new(Code::TooManyStreams, "a user may have 10 streams, and a node 100");
    let open = app.streams.open(&reader.user).ok_or_else(many)?;
    let sealed = app.sealed.subscribe();
    let (ready, looked_at) = (VecDeque::from([Bytes::from_static(b":\n\n")]), Instant::now());
    let age = app.age();
    let stream = Stream { app, reader, filter, at: after, ready, sealed, looked_at, age, _open: open };
    let parts = futures_util::stream::unfold(stream, |mut stream| async move {
        let part = stream.part().await?;
        Some((part, stream))
    });
    Ok(Reply::streamed(EVENT_STREAM, parts).with(header::CACHE_CONTROL, "no-store"))
}

impl Stream {
    /// Returns what is sent next. `None` if the stream ends: the server stops, the user may no longer read it, or an
    /// emulator was put back.
    async fn part(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if self.app.age() != self.age {
                return None;
            }
            if let Some(part) = self.ready.pop_front() {
                return Some(Ok(part));
            }
            if self.app.is_stopping() {
                return None;
            }
            if self.looked_at.elapsed() >= COMMENT_EVERY {
                self.looked_at = Instant::now();
                if !self.reader.still_may(&self.app).await {
                    return None;
                }
                return Some(Ok(Bytes::from_static(b":\n\n")));
            }
            self.sealed.borrow_and_update();
            let size = usize::try_from(LIMIT).unwrap_or(usize::MAX);
            let page = match feed(&*self.app.store, self.at, size, &self.filter).await {
                Ok(page) => page,
                Err(error) => return Some(Err(io::Error::other(error))), // the client asks again
            };
            self.at = page.seen;
            for (position, line) in &page.lines {
                let mut text = String::new();
                let shown = self.reader.shown(*position, line);
                let _ = write!(text, "id: {position}\nevent: {}\ndata: {shown}\n\n", line.kind);
                self.ready.push_back(text.into());
            }
            if page.lines.is_empty() && page.next.is_none() {
                let _ = timeout(Duration::from_secs(1), self.sealed.changed()).await;
            }
        }
    }
}
