//! The last requests to Bandwidth's API, with their replies, as a developer looks at them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use onhook_core::ids::AccountId;
use onhook_core::time::Timestamp;
use serde_json::{Map, Value, json};

/// Most requests that are kept.
const REQUESTS_MAX: usize = 10_000;
/// Most bytes that they take.
const BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// Most bytes of a body that are kept.
const BODY_MAX: usize = 64 * 1_024;
/// What stands instead of a secret.
const HIDDEN: &str = "***";
/// Headers that are not shown.
const SECRET_HEADERS: [&str; 4] = ["authorization", "cookie", "set-cookie", "proxy-authorization"];
/// Elements, keys and form fields that are not shown.
const SECRET_NAMES: [&str; 4] = ["password", "secret", "client_secret", "access_token"];

/// A request and its reply.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its id: 1 is the first since the start or reset.
    pub(crate) id: u64,
    /// When it arrived, by the emulator's clock.
    pub(crate) at: Timestamp,
    /// How long its answer took.
    pub(crate) took_ms: u64,
    /// Its method.
    pub(crate) method: String,
    /// Its path as it was sent, with its query.
    pub(crate) path: String,
    /// Its path without prefix, in lower case.
    pub(crate) inside: String,
    /// The route. `None` if it led nowhere.
    pub(crate) route: Option<&'static str>,
    /// Who asked.
    pub(crate) user: Option<String>,
    /// The account in its path.
    pub(crate) account: Option<AccountId>,
    /// The numbers that it names.
    pub(crate) numbers: Vec<onhook_core::number::Number>,
    /// The status of the reply.
    pub(crate) status: u16,
    /// The request: headers, and body.
    pub(crate) request: (Map<String, Value>, String),
    /// The reply: headers, and body.
    pub(crate) reply: (Map<String, Value>, String),
    /// The order that it made or asked for.
    pub(crate) order: Option<String>,
    /// The fault that acted on it.
    pub(crate) fault: Option<String>,
}

impl Entry {
    fn bytes(&self) -> usize {
        let headers = |map: &Map<String, Value>| {
            map.iter().map(|(name, value)| name.len() + value.to_string().len()).sum::<usize>()
        };
        let side = |(map, body): &(Map<String, Value>, String)| headers(map) + body.len();
        self.path.len() + side(&self.request) + side(&self.reply) + 256
    }

    /// Returns it as a document.
    pub(crate) fn document(&self) -> Value {
        let side =
            |(headers, body): &(Map<String, Value>, String)| json!({ "headers": headers, "body": body });
        json!({
            "id": self.id.to_string(), "at": self.at.to_string(), "took_ms": self.took_ms, "method": self.method,
            "path": self.path, "route": self.route, "user": self.user, "status": self.status,
            "request": side(&self.request), "reply": side(&self.reply), "order": self.order, "fault": self.fault,
        })
    }
}

/// The requests that are kept, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    kept: VecDeque<Entry>,
    bytes: usize,
    last: u64,
}

impl Requests {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a request. The oldest ones go when there are too many.
    pub(crate) fn keep(&self, mut entry: Entry) {
        let mut inside = self.inside();
        inside.last += 1;
        entry.id = inside.last;
        inside.bytes += entry.bytes();
        inside.kept.push_back(entry);
        while inside.kept.len() > REQUESTS_MAX || inside.bytes > BYTES_MAX {
            let Some(oldest) = inside.kept.pop_front() else { break };
            inside.bytes -= oldest.bytes();
        }
    }

    /// Returns the requests that are meant, newest first, at most `size`, from before the one with the id `before`.
    pub(crate) fn find(
        &self,
        before: Option<u64>,
        size: usize,
        is_meant: impl Fn(&Entry) -> bool,
    ) -> Vec<Entry> {
        let inside = self.inside();
        let newest = inside.kept.iter().rev();
        let behind = newest.filter(|entry| before.is_none_or(|before| entry.id < before));
        behind.filter(|entry| is_meant(entry)).take(size).cloned().collect()
    }

    /// Counts the requests that are meant.
    pub(crate) fn count(&self, is_meant: impl Fn(&Entry) -> bool) -> usize {
        self.inside().kept.iter().filter(|entry| is_meant(entry)).count()
    }

    /// Forgets all requests.
    pub(crate) fn forget(&self) {
        *self.inside() = Inside::default();
    }

    /// Forgets the requests, but not how many there were.
    pub(crate) fn clear(&self) {
        let mut inside = self.inside();
        *inside = Inside { last: inside.last, ..Inside::default() };
    }
}

/// Returns headers as a document, without secrets.
pub(crate) fn headers<'a>(all: impl Iterator<Item = (&'a str, &'a [u8])>) -> Map<String, Value> {
    let mut shown: Map<String, Value> = Map::new();
    for (name, value) in all {
        let text = String::from_utf8_lossy(value).into_owned();
        let value = if SECRET_HEADERS.contains(&name) { HIDDEN.to_owned() } else { text };
        match shown.get_mut(name) {
            Some(Value::String(before)) => *before = format!("{before}, {value}"),
            _ => drop(shown.insert(name.to_owned(), Value::String(value))),
        }
    }
    shown
}

/// Returns a request's headers as a document.
pub(crate) fn headers_of(all: &HeaderMap) -> Map<String, Value> {
    headers(all.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

/// Returns a body as text, cut to its bound, without secrets: those in XML elements, JSON strings and form fields.
pub(crate) fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(BODY_MAX)]);
    let (mut out, mut rest) = (String::with_capacity(text.len()), &*text);
    while let Some((before, name, behind)) = next_secret(rest) {
        out += before;
        out += name;
        out += behind.0;
        out += HIDDEN;
        rest = behind.1;
    }
    out + rest
}

/// Returns the first secret in a text: what is before its name, its name, what leads to its value, and what is behind it.
fn next_secret(text: &str) -> Option<(&str, &str, (&str, &str))> {
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    loop {
        let found =
            SECRET_NAMES.iter().filter_map(|name| Some((from + lower.get(from..)?.find(name)?, name.len())));
        let (at, length) = found.min_by_key(|(at, length)| (*at, std::cmp::Reverse(*length)))?;
        let behind = &text[at + length..];
        let lead = if behind.starts_with('>') || behind.starts_with('=') {
            1
        } else if let Some(after) = behind.strip_prefix('"') {
            let value =
                after.trim_start().strip_prefix(':').map(str::trim_start).and_then(|v| v.strip_prefix('"'));
            value.map_or(0, |value| behind.len() - value.len())
        } else {
            0
        };
        // The end of an element, and a name within another one, are no secrets.
        if lead > 0 && !text[..at].ends_with('/') {
            let (lead_text, value) = behind.split_at(lead);
            let ends: &[char] = match lead_text.chars().next() {
                Some('>') => &['<'],
                Some('=') => &['&', '\n'],
                _ => &['"'],
            };
            let end = end_of(value, ends);
            return Some((&text[..at], &text[at..at + length], (lead_text, &value[end..])));
        }
        from = at + length;
    }
}

/// Returns where a value ends. A character behind a backslash does not end it.
fn end_of(value: &str, ends: &[char]) -> usize {
    let mut escaped = false;
    for (at, c) in value.char_indices() {
        if !escaped && ends.contains(&c) {
            return at;
        }
        escaped = c == '\\' && !escaped;
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_kept() {
        for (body, kept) in [
            (
                "<User><Password>p&amp;w</Password><Name>n</Name></User>",
                "<User><Password>***</Password><Name>n</Name></User>",
            ),
            (r#"{"password": "a\"b", "name": "n"}"#, r#"{"password": "***", "name": "n"}"#),
            (
                "grant_type=client_credentials&client_secret=abc&x=1",
                "grant_type=client_credentials&client_secret=***&x=1",
            ),
            (
                r#"{"access_token":"x.y","token_type":"bearer"}"#,
                r#"{"access_token":"***","token_type":"bearer"}"#,
            ),
            ("<Secret>whsec</Secret>", "<Secret>***</Secret>"),
            ("no secret here: password", "no secret here: password"),
        ] {
            assert_eq!(shown(body.as_bytes()), kept);
        }
        let mut map = HeaderMap::new();
        map.insert("authorization", "Basic abc".parse().unwrap());
        map.insert("accept", "text/xml".parse().unwrap());
        assert_eq!(Value::Object(headers_of(&map)), json!({ "accept": "text/xml", "authorization": "***" }));
    }
}
