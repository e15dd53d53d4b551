//! Rules for faults on demand.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, header};
use onhook_core::number::Number;
use onhook_wire::error::explained;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control::{delete, get, of, post, shown};
use crate::app::App;
use crate::emulator::faults::{Answer, DELAY_MS_MAX, Deed, Harm, Match, RULES_MAX, Rule, deaf};
use crate::emulator::magic;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::Route;
use crate::ops::door::OpsProblem;
use crate::ops::problem::Code;
use crate::ops::{body, listing};

const PATH: &str = "/ops/v1/emulator/faults";
/// Most requests on which a rule acts.
const COUNT_MAX: u32 = 1_000_000;
/// Whether the magic numbers are listed.
const BUILT_IN: Parameter = Parameter::new("built_in", Form::Flag, "lists the magic numbers instead");

/// The shape of a rule.
const RULE: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "match", "do", "hits"], "properties": {
        "id": {"type": "string"}, "match": {"type": "object"}, "do": {"type": "object"},
        "hits": {"type": "integer"}}}"#,
    r#"{"do": {"reply": {"status": 503}}, "hits": 0, "id": "1", "match": {"count": 1, "path": "/no/such/path"}}"#,
);
/// The shape of all rules.
const RULES: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
/// The shape of a new rule.
const NEW: Shape = Shape::json(
    r#"{"type": "object", "additionalProperties": false, "required": ["do"], "properties": {
        "match": {"type": "object", "additionalProperties": false, "properties": {
            "method": {"type": "string"}, "path": {"type": "string"}, "account": {"type": "string"},
            "number": {"type": "string"}, "receiver": {"type": "string"},
            "probability": {"type": "number", "minimum": 0, "maximum": 1},
            "count": {"type": "integer", "minimum": 1, "maximum": 1000000}}},
        "do": {"type": "object", "additionalProperties": false, "minProperties": 1, "properties": {
            "reply": {"type": "object", "additionalProperties": false, "required": ["status"], "properties": {
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "code": {"type": ["integer", "null"]}, "headers": {"type": "object"}}},
            "drop": {"type": "string", "enum": ["before", "after"]},
            "number": {"type": "object", "additionalProperties": false, "required": ["code"], "properties": {
                "code": {"type": "string"}}},
            "receiver": {"type": ["string", "integer"]},
            "delay_ms": {"type": "integer", "minimum": 0, "maximum": 60000}}}}}"#,
    r#"{"match": {"path": "/no/such/path", "count": 1}, "do": {"reply": {"status": 503}}}"#,
);

pub(super) fn routes() -> Vec<Route> {
    let make_doc = Doc::new(
        "Makes a rule: on which requests or deliveries it acts, and what it does. The first rule that fits acts.",
        Told::made(RULE),
    )
    .takes(NEW)
    .or(Told::new(422, "No reply and no number has that code: `unknown_code`."));
    let list_doc = Doc::new("Lists the rules, in the order in which they are looked at.", Told::ok(RULES))
        .query(&[BUILT_IN]);
    let remove_doc = Doc::new("Removes a rule.", Told::GONE);
    let clear_doc = Doc::new("Removes all rules.", Told::GONE);
    vec![
        post(PATH, make_doc, make),
        get(PATH, list_doc, list),
        delete("/ops/v1/emulator/faults/{fault}", remove_doc, remove),
        delete(PATH, clear_doc, clear),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    #[serde(default, rename = "match")]
    on: On,
    #[serde(rename = "do")]
    deed: Do,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct On {
    method: Option<String>,
    path: Option<String>,
    account: Option<String>,
    number: Option<String>,
    receiver: Option<String>,
    probability: Option<f64>,
    count: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Do {
    reply: Option<DoReply>,
    drop: Option<String>,
    number: Option<DoNumber>,
    receiver: Option<Value>,
    delay_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoReply {
    status: u16,
    code: Option<u16>,
    #[serde(default)]
    headers: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoNumber {
    code: String,
}

/// Makes a rule.
async fn make(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let New { on, deed } = body::read(&call)?;
    let told: Value = body::read(&call)?;
    let (on, deed) = (read_on(on)?, read_do(deed)?);
    match (&on.receiver, &deed.harm) {
        (Some(_), Harm::Receiver(_)) | (None, _) => {}
        (Some(_), _) => {
            return Err(body::wrong("/do", "a rule about a receiver says what the receiver does".into()));
        }
    }
    let full = || OpsProblem::wrong(format!("there are {RULES_MAX} rules already"));
    let rule = of(&app)?.faults.add(on, deed, told).ok_or_else(full)?;
    let location = format!("{}{PATH}/{}", app.public_url, rule.id);
    Ok(Reply::json(StatusCode::CREATED, &document(&rule)).with(header::LOCATION, &location))
}

fn read_on(on: On) -> Result<Match, OpsProblem> {
    let On { method, path, account, number, receiver, probability, count } = on;
    let method = method.map(|text| text.parse::<Method>().map(|method| method.to_string())).transpose();
    let method = method.map_err(|_| body::wrong("/match/method", "method is one such as POST".into()))?;
    if path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        return Err(body::wrong(
            "/match/path",
            "path is one without prefix such as /accounts/*/disconnects".into(),
        ));
    }
    let account = account.map(|text| text.parse()).transpose();
    let account =
        account.map_err(|_| body::wrong("/match/account", "account is an id such as 9900000".into()))?;
    let number = number.map(|text| text.parse::<Number>()).transpose();
    let number = number.map_err(|error| body::wrong("/match/number", format!("number: {error}")))?;
    if probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
        return Err(body::wrong("/match/probability", "probability is a number from 0 to 1".into()));
    }
    if count.is_some_and(|count| !(1..=COUNT_MAX).contains(&count)) {
        return Err(body::wrong("/match/count", format!("count is a number from 1 to {COUNT_MAX}")));
    }
    Ok(Match { method, path, account, number, receiver, probability, count })
}

fn read_do(deed: Do) -> Result<Deed, OpsProblem> {
    let Do { reply, drop, number, receiver, delay_ms } = deed;
    if delay_ms.is_some_and(|ms| ms > DELAY_MS_MAX) {
        return Err(body::wrong("/do/delay_ms", format!("delay_ms is a number from 0 to {DELAY_MS_MAX}")));
    }
    let harm = match (reply, drop.as_deref(), number, receiver) {
        (Some(reply), None, None, None) => Harm::Refused(read_reply(reply)?),
        (None, Some("before"), None, None) => Harm::LostBefore,
        (None, Some("after"), None, None) => Harm::LostAfter,
        (None, Some(_), None, None) => return Err(body::wrong("/do/drop", "drop is before or after".into())),
        (None, None, Some(number), None) => {
            let why = number.code.parse().ok().and_then(explained::refusal_of);
            Harm::Numbers(why.ok_or_else(|| unknown("no number fails with", &number.code))?)
        }
        (None, None, None, Some(how)) => {
            let how = how.as_str().map_or_else(|| how.to_string(), str::to_owned);
            let wrong =
                || body::wrong("/do/receiver", "receiver is timeout, refused, tls or a status".into());
            Harm::Receiver(deaf(&how).ok_or_else(wrong)?)
        }
        (None, None, None, None) if delay_ms.is_some() => Harm::Late,
        _ => {
            let detail = "say one of reply, drop, number and receiver, or delay_ms alone".to_owned();
            return Err(body::wrong("/do", detail));
        }
    };
    Ok(Deed { harm, delay: Duration::from_millis(delay_ms.unwrap_or(0)) })
}

fn read_reply(reply: DoReply) -> Result<Answer, OpsProblem> {
    let DoReply { status, code, headers } = reply;
    if !(400..=599).contains(&status) {
        return Err(body::wrong("/do/reply/status", "status is a number from 400 to 599".into()));
    }
    if let Some(code) = code {
        explained::on_demand(status, Some(code))
            .ok_or_else(|| unknown("no reply has the code", &code.to_string()))?;
    }
    let text = |(name, value): (String, Value)| match value {
        Value::String(value) => Ok((name, value)),
        _ => Err(body::wrong("/do/reply/headers", "headers have texts".into())),
    };
    Ok(Answer { status, code, headers: headers.into_iter().map(text).collect::<Result<_, _>>()? })
}

fn unknown(what: &str, code: &str) -> OpsProblem {
    let code: String = code.chars().take(40).collect();
    OpsProblem::new(Code::NotInTheApi, format!("{what} {code}"))
}

fn document(rule: &Rule) -> Value {
    let of_rule = |key: &str| rule.told.get(key).cloned().unwrap_or_else(|| json!({}));
    json!({ "id": rule.id.to_string(), "match": of_rule("match"), "do": of_rule("do"), "hits": rule.hits })
}

/// Returns all rules, or the magic numbers.
async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let emulator = of(&app)?;
    let items: Vec<Value> = if listing::parsed(&call, "built_in", "true or false")? == Some(true) {
        let all = if emulator.magic { magic::all() } else { Vec::new() };
        all.into_iter()
            .map(|(last, does, _)| json!({ "number": format!("555-{last:04}"), "does": does }))
            .collect()
    } else {
        emulator.faults.all().iter().map(document).collect()
    };
    Ok(shown(&json!({ "items": items, "next": null })))
}

async fn remove(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let id = call.param("fault").parse().ok();
    if id.is_some_and(|id| app.emulator.as_ref().is_some_and(|emulator| emulator.faults.remove(id))) {
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    } else {
        Err(OpsProblem::new(Code::NotFound, "there is no such rule"))
    }
}

async fn clear(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    of(&app)?.faults.clear();
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
