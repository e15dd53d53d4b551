//! How long new orders stay RECEIVED.

use std::sync::Arc;

use http::Method;
use onhook_core::ids::AccountId;
use onhook_core::time::DAY_MS;
use serde::Deserialize;
use serde_json::{Value, json};

use super::control::{get, of, shown};
use crate::app::App;
use crate::emulator::scripts::Wait;
use crate::http::call::Call;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::ops::body;
use crate::ops::door::{self, OpsProblem};

const PATH: &str = "/ops/v1/emulator/pace";
/// Most milliseconds that orders wait: a hundred years.
const MS_MAX: i64 = 36_525 * DAY_MS;
/// Most reads for which orders wait.
const READS_MAX: u32 = 1_000;

/// The shape of the pace.
const PACE: Shape = Shape::json(
    r#"{"type": "object", "additionalProperties": false, "required": ["mode"], "properties": {
        "mode": {"type": "string", "enum": ["at_once", "after_ms", "after_reads"]},
        "ms": {"type": ["integer", "null"], "minimum": 0}, "reads": {"type": ["integer", "null"], "minimum": 0},
        "account": {"type": ["string", "null"]}}}"#,
    r#"{"account": null, "mode": "at_once", "ms": null, "reads": null}"#,
);
const PACES: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [{"account": null, "mode": "at_once", "ms": null, "reads": null}], "next": null}"#,
);

pub(super) fn routes() -> Vec<Route> {
    let set_doc = Doc::new(
        "Sets how long new orders stay RECEIVED: not at all, for some milliseconds of the clock, or until they have been \
         read so often. With an account, only its orders.",
        Told::ok(PACE),
    )
    .takes(PACE);
    let show_doc = Doc::new("Shows how long new orders stay RECEIVED.", Told::ok(PACES));
    vec![door::route(Method::PUT, PATH, Needs::Operator, set_doc, set), get(PATH, show_doc, show)]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pace {
    mode: String,
    ms: Option<i64>,
    reads: Option<u32>,
    account: Option<String>,
}

async fn set(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Pace { mode, ms, reads, account } = body::read(&call)?;
    let wait = match (&*mode, ms, reads) {
        ("at_once", None, None) => Wait::AtOnce,
        ("after_ms", Some(ms), None) if (0..=MS_MAX).contains(&ms) => Wait::Ms(ms),
        ("after_reads", None, Some(reads)) if reads <= READS_MAX => Wait::Reads(reads),
        _ => {
            let detail =
                "mode is at_once, after_ms with ms, or after_reads with at most 1000 reads".to_owned();
            return Err(body::wrong("/mode", detail));
        }
    };
    let account = account.map(|text| text.parse::<AccountId>()).transpose();
    let account = account.map_err(|_| body::wrong("/account", "account is an id such as 9900000".into()))?;
    of(&app)?.scripts.set_pace(account, wait);
    Ok(shown(&document(account, wait)))
}

async fn show(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    let pace = of(&app)?.scripts.pace();
    let mut accounts: Vec<_> = pace.accounts.into_iter().collect();
    accounts.sort_by_key(|(account, _)| account.get());
    let mut items = vec![document(None, pace.all)];
    items.extend(accounts.into_iter().map(|(account, wait)| document(Some(account), wait)));
    Ok(shown(&json!({ "items": items, "next": null })))
}

fn document(account: Option<AccountId>, wait: Wait) -> Value {
    let (mode, ms, reads) = match wait {
        Wait::AtOnce => ("at_once", None, None),
        Wait::Ms(ms) => ("after_ms", Some(ms), None),
        Wait::Reads(reads) => ("after_reads", None, Some(reads)),
    };
    json!({ "mode": mode, "ms": ms, "reads": reads, "account": account.map(|account| account.to_string()) })
}
