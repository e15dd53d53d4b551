//! Faults on demand around a handler, and the log of requests: a layer that only an emulator has.
//!
//! It stands behind the gate. So a fault acts on a request that would have been answered, and never gives a caller what
//! the gate refuses. What it does is decided in `emulator`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use http::{HeaderMap, HeaderName};
use onhook_core::ids::OrderId;

use super::call::{Call, KEY};
use super::path::{ROOT, Sent};
use super::reply::Reply;
use super::route::Route;
use crate::app::App;
use crate::emulator::faults::{Answer, Asked, Deed, Harm, named, preferred};
use crate::emulator::magic::{self, Magic};
use crate::emulator::requests::{Entry, headers, headers_of, shown};

/// The header by which a request asks for faults.
const PREFER: &str = "prefer";
/// Its word for them.
const WISH: &str = "onhook-fault";
/// The header that says which wishes were granted.
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Code of a value that is none.
const NO_VALUE: u16 = 1008;
/// Seconds after which a client that asked too often on demand may ask again.
const RETRY_AFTER_S: u64 = 1;

/// What is seen of a request on its way, for the log. `None` on a server that is no emulator.
pub(super) struct Seen(Option<(Entry, Instant)>);

impl Seen {
    /// Begins to look at a request.
    pub(super) fn of(app: &App, route: Option<&Route>, sent: Option<&Sent>, request: &Request) -> Self {
        let is_logged = route.is_none_or(|route| route.api || route.path.starts_with("/v2/"));
        if app.emulator.is_none() || !is_logged {
            return Self(None);
        }
        let uri = sent.map_or(request.uri(), |sent| &sent.uri);
        let inside = request.uri().path();
        let entry = Entry {
            id: 0,
            at: app.clock.now(),
            took_ms: 0,
            method: request.method().to_string(),
            path: uri.path_and_query().map_or_else(String::new, ToString::to_string),
            inside: inside.strip_prefix(ROOT).unwrap_or(inside).to_owned(),
            route: route.map(|route| route.path),
            user: None,
            account: None,
            numbers: Vec::new(),
            status: 0,
            request: (headers_of(request.headers()), String::new()),
            reply: Default::default(),
            order: None,
            fault: None,
        };
        Self(Some((entry, Instant::now())))
    }

    /// Notes who asks for what.
    pub(super) fn call(&mut self, call: &Call, path: &str) {
        let Some((entry, _)) = &mut self.0 else { return };
        entry.user = Some(call.caller.user.to_string()).filter(|user| !user.is_empty());
        entry.account = call.account;
        entry.request.1 = shown(&call.body);
        entry.numbers = named(path, &String::from_utf8_lossy(&call.body));
    }

    fn fault(&mut self, fault: String) {
        if let Some((entry, _)) = &mut self.0 {
            entry.fault = Some(fault);
        }
    }

    /// Keeps the request with its reply.
    pub(super) fn keep(self, app: &App, reply: &Reply) {
        let (Some((mut entry, begun)), Some(emulator)) = (self.0, &app.emulator) else { return };
        entry.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        entry.status = reply.status().as_u16();
        let told = reply.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        entry.reply = (headers(told), shown(reply.bytes().unwrap_or_default()));
        let location = entry.reply.0.get("location").and_then(|value| value.as_str());
        let about_order = ["/disconnects", "/orders", "/movetns"];
        if entry.route.is_some_and(|route| about_order.iter().any(|part| route.contains(part))) {
            let parts =
                location.into_iter().chain([entry.path.as_str()]).flat_map(|text| text.split(['/', '?']));
            let order = parts.filter(|text| text.len() == 36).find(|text| text.parse::<OrderId>().is_ok());
            entry.order = order.map(str::to_ascii_lowercase);
        }
        emulator.requests.keep(entry);
    }
}

/// What acts on a request.
struct Acting {
    deeds: Vec<Deed>,
    /// The number that a rule is about.
    number: Option<onhook_core::number::Number>,
    /// What the log says of it.
    told: String,
    /// The wishes that were granted.
    applied: Option<String>,
}

/// Answers a call, with the faults that act on it.
pub(super) async fn handle(
    app: &Arc<App>,
    route: &Route,
    mut call: Call,
    path: &str,
    seen: &mut Seen,
) -> Reply {
    if app.emulator.is_none() || !route.api {
        return handled(app, route, call).await;
    }
    seen.call(&call, path);
    let acting = match acting(app, route, &call, path) {
        Ok(Some(acting)) => acting,
        Ok(None) => return handled(app, route, call).await,
        Err(word) => {
            let text = format!("{WISH}: '{word}' is not a valid value");
            return route
                .door
                .on_demand(400, Some(NO_VALUE), Some(text))
                .unwrap_or_else(|| Reply::empty(http::StatusCode::BAD_REQUEST));
        }
    };
    let Acting { deeds, number, told, applied } = acting;
    seen.fault(told);
    let delay: Duration = deeds.iter().map(|deed| deed.delay).sum();
    let (mut before, mut after) = (None, None);
    for deed in deeds {
        match deed.harm {
            Harm::Late => {}
            Harm::Refused(answer) => before = Some(answered(app, route, &answer)),
            Harm::LostBefore => before = Some(Reply::cut()),
            Harm::AnsweredAfter(answer) => after = Some(answered(app, route, &answer)),
            Harm::LostAfter => after = Some(Reply::cut()),
            Harm::Numbers(why) => call.staging.numbers.push((number, why)),
            Harm::Receiver(deaf) => call.staging.told = Some(deaf),
        }
    }
    let reply = match (before, after) {
        (Some(before), _) => before,
        (None, after) => {
            // A client sends a request again under its key to learn what became of it.
            let after = after.filter(|_| !was_lost(app, &call));
            let reply = handled(app, route, call).await;
            after.unwrap_or(reply)
        }
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match applied {
        Some(applied) => reply.with(APPLIED, &format!("{WISH}={applied}")),
        None => reply,
    }
}

/// Returns whether the answer to the same request was lost before, by its key, and notes that it is now.
fn was_lost(app: &App, call: &Call) -> bool {
    let key = call.headers.get(KEY).zip(call.account).zip(app.emulator.as_ref());
    key.is_some_and(|((key, account), emulator)| emulator.faults.was_lost(account, key.as_bytes()))
}

/// Answers a call. On an emulator, one that may write waits while a file is added, unless it is one of the emulator's own.
async fn handled(app: &Arc<App>, route: &Route, call: Call) -> Reply {
    let _quiet = match &app.emulator {
        // A body that is read while it arrives may take long.
        Some(emulator) if !route.method.is_safe() && !route.emulator && !route.streaming => {
            Some(emulator.quiet.read().await)
        }
        _ => None,
    };
    route.handle(app.clone(), call).await
}

/// Returns what acts on a request: its own wishes, else the first rule that fits, else a magic number that it names.
fn acting(app: &App, route: &Route, call: &Call, path: &str) -> Result<Option<Acting>, String> {
    let Some(emulator) = &app.emulator else { return Ok(None) };
    if let Some(wish) = wish(&call.headers) {
        let deeds = wish.split('+').map(|word| preferred(word).map_err(|()| word.chars().take(40).collect()));
        let deeds = deeds.collect::<Result<Vec<Deed>, String>>()?;
        let told = format!("Prefer: {WISH}={wish}");
        return Ok(Some(Acting { deeds, number: None, told, applied: Some(wish) }));
    }
    let numbers = named(path, &String::from_utf8_lossy(&call.body));
    let asked = Asked { method: route.method.as_str(), path, account: call.account, numbers: &numbers };
    if let Some((id, on, deed)) = emulator.faults.on_request(&asked) {
        let told = format!("rule {id}");
        return Ok(Some(Acting { deeds: vec![deed], number: on.number, told, applied: None }));
    }
    let magic = numbers.iter().filter(|_| emulator.magic).find_map(|number| match magic::of(*number) {
        Some(Magic::Request(deed)) => Some((*number, deed)),
        _ => None,
    });
    Ok(magic.map(|(number, deed)| Acting {
        deeds: vec![deed],
        number: None,
        told: format!("magic number {number}"),
        applied: None,
    }))
}

/// Returns the faults that a request asks for, if it does.
fn wish(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let words = lines.flat_map(|line| line.split([',', ';'])).map(str::trim);
    let mut wishes = words.filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        name.trim().eq_ignore_ascii_case(WISH).then(|| value.trim().trim_matches('"').to_owned())
    });
    wishes.next()
}

/// Returns an answer on demand, in the form of the route.
fn answered(app: &App, route: &Route, answer: &Answer) -> Reply {
    let reply = match (answer.status, answer.code) {
        (401, None) => route.door.challenge(),
        (429, None) => route.door.too_many(app.clock.wall(), RETRY_AFTER_S),
        (status, code) => route.door.on_demand(status, code, None).unwrap_or_else(|| {
            Reply::empty(
                http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR),
            )
        }),
    };
    answer.headers.iter().fold(reply, |reply, (name, value)| match HeaderName::try_from(name.as_str()) {
        Ok(name) => reply.with(name, value),
        Err(_) => reply,
    })
}
