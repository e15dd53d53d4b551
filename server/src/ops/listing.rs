//! Pages of lists: how many items, from which on, and the cursor that leads to the next page.
//!
//! A cursor belongs to its list, its filters and its caller. It holds the key of the last item, and a code by which
//! another one, or one that was changed, is refused.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onhook_core::time::Date;
use serde_json::{Value, json};

use super::door::OpsProblem;
use super::problem::Code;
use crate::app::App;
use crate::http::auth::Caller;
use crate::http::call::Call;
use crate::http::doc::{Form, Parameter};

/// Items on a page if the request does not say how many.
const LIMIT: usize = 100;

/// Most items on a page.
const LIMIT_MAX: u32 = 1_000;

/// Bytes of a cursor's code.
const CODE: usize = 16;

/// The parameters of every list.
pub(super) const PAGES: [Parameter; 2] = [
    Parameter::new("limit", Form::Whole(1, LIMIT_MAX), "most items on the page, 100 if it is not there"),
    Parameter::new("cursor", Form::Cursor, "where the page begins: `next` of the page before it"),
];

/// A page that is asked for.
pub(super) struct Page {
    app: Arc<App>,
    /// What a cursor of this list, these filters and this caller is made with.
    list: String,
    /// Most items.
    pub(super) limit: usize,
    /// The key of the last item of the page before.
    pub(super) after: Option<String>,
}

impl Page {
    /// Returns the first page of a list without filters.
    pub(super) fn first(app: &Arc<App>, caller: &Caller, name: &str) -> Self {
        let filters: [(&str, &str); 0] = [];
        let list = json!([name, &*caller.user, filters]).to_string();
        Self { app: app.clone(), list, limit: LIMIT, after: None }
    }

    /// Reads which page of a list is asked for. `name` is the list's, without its filters.
    pub(super) fn read(app: &Arc<App>, call: &Call, name: &str) -> Result<Self, OpsProblem> {
        let mut filters: Vec<&(String, String)> =
            call.pairs.iter().filter(|(name, _)| name != "limit" && name != "cursor").collect();
        filters.sort();
        let list = json!([name, &*call.caller.user, filters]).to_string();
        let limit = match value(call, "limit") {
            None => LIMIT,
            Some(text) => match text.parse::<u32>() {
                Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => usize::try_from(limit).unwrap_or(LIMIT),
                _ => return Err(OpsProblem::wrong(format!("limit is a number from 1 to {LIMIT_MAX}"))),
            },
        };
        let mut page = Self { app: app.clone(), list, limit, after: None };
        if let Some(cursor) = value(call, "cursor").filter(|cursor| !cursor.is_empty()) {
            let key = page.key(cursor);
            let wrong = || OpsProblem::new(Code::BadCursor, "the cursor is not of this list, or was changed");
            page.after = Some(key.ok_or_else(wrong)?);
        }
        Ok(page)
    }

    /// Returns the document of the page with these items. `next` is the key of the last one, if there are more.
    pub(super) fn document(&self, items: Vec<Value>, next: Option<String>) -> Value {
        json!({ "items": items, "next": next.map(|key| self.cursor(&key)) })
    }

    fn cursor(&self, key: &str) -> String {
        let mut bytes = self.code(key).to_vec();
        bytes.extend(key.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the key that a cursor of this list holds.
    fn key(&self, cursor: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (code, key) = bytes.split_at_checked(CODE)?;
        let key = str::from_utf8(key).ok()?;
        (code == self.code(key)).then(|| key.to_owned())
    }

    fn code(&self, key: &str) -> [u8; CODE] {
        let text = json!(["cursor", self.list, key]).to_string();
        let digest = blake3::keyed_hash(&self.app.store.token_key(), text.as_bytes());
        let mut code = [0; CODE];
        code.copy_from_slice(&digest.as_bytes()[..CODE]);
        code
    }
}

/// Returns the value of a parameter of the query.
pub(super) fn value<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Returns the day that a text is, and nothing more: an instant is none.
pub(super) fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == "2027-01-01".len())
}

/// Reads the value of a parameter. `what` says what it is.
pub(super) fn parsed<T: std::str::FromStr>(
    call: &Call,
    name: &'static str,
    what: &str,
) -> Result<Option<T>, OpsProblem> {
    let Some(text) = value(call, name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let detail = format!("{name} is {what}");
        OpsProblem::wrong(detail.clone()).with("errors", json!([{ "at": name, "detail": detail }]))
    })
}

/// Reads a whole number of the query within bounds.
pub(super) fn whole(
    call: &Call,
    name: &'static str,
    least: u32,
    most: u32,
) -> Result<Option<u32>, OpsProblem> {
    let what = format!("a number from {least} to {most}");
    let read: Option<u32> = parsed(call, name, &what)?;
    if read.is_none_or(|read| (least..=most).contains(&read)) {
        Ok(read)
    } else {
        Err(OpsProblem::wrong(format!("{name} is {what}")))
    }
}
