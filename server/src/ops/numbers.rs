//! Numbers: found, shown, with their history and the periods that are charged.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::account::Role;
use onhook_core::account::user::Right;
use onhook_core::ids::{AreaId, EventSeq};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::history::Moment;
use onhook_core::number::Number;
use onhook_core::report::billing::periods;
use onhook_core::report::changed_hands::{ChangedHands, changed_hands};
use onhook_core::time::Timestamp;
use onhook_core::view::{View, may_see_past, view};
use onhook_store::audit;
use onhook_store::contract::numbers::{Facts, NumberFilter, NumberHistory};
use onhook_wire::ops::numbers;
use serde_json::{Value, json};

use super::body;
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, parsed, value};
use super::problem::Code;
use crate::app::App;
use crate::http::auth::Caller;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

/// The form of a page of numbers.
const LIST: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
/// The form of a number.
pub(super) const NUMBER: Shape = Shape::json(
    r#"{"type": "object", "required": ["number", "state"], "properties": {
        "number": {"type": "string"}, "state": {"type": "string"}, "since": {"type": "string"},
        "account": {"type": ["string", "null"]}, "former_account": {"type": ["string", "null"]},
        "site": {"type": ["string", "null"]}, "peer": {"type": ["string", "null"]},
        "area": {"type": "object"}, "rate_center": {"type": ["string", "null"]},
        "region": {"type": ["string", "null"]}, "protected": {"type": "boolean"},
        "ported_in": {"type": "boolean"}, "locked": {"type": "boolean"}, "kept": {"type": ["object", "null"]},
        "release_at": {"type": ["string", "null"]}, "floor_at": {"type": ["string", "null"]},
        "home": {"type": ["string", "null"]}, "past_ceiling": {"type": "boolean"},
        "hold": {"type": ["object", "null"]}, "why": {"type": "string"}, "order": {"type": ["string", "null"]}}}"#,
    r#"{"number": "+15405514342", "state": "InService", "since": "2026-11-24T03:49:04.153Z", "account": "9900000",
        "former_account": null, "site": "1", "peer": "1", "area": {"id": "1", "name": "540 (VA)"},
        "rate_center": null, "region": "VA", "protected": false, "ported_in": false, "locked": false,
        "kept": null, "release_at": null, "floor_at": null, "home": null, "past_ceiling": false, "hold": null,
        "why": "+15405514342 is in service at site 1 of account 9900000", "order": null}"#,
);

/// The form of a number's explanation.
const EXPLANATION: Shape = Shape::json(
    r#"{"type": "object", "required": ["number", "sentence", "events"], "properties": {
        "number": {"type": "string"}, "state": {"type": "string"}, "since": {"type": "string"},
        "account": {"type": ["integer", "null"]}, "reconnectable_until": {"type": ["string", "null"]},
        "hold": {"type": ["object", "null"]}, "sentence": {"type": "string"},
        "imported_at": {"type": ["string", "null"]}, "events": {"type": "array", "items": {"type": "object"}}}}"#,
    r#"{"number": "+15405514342", "state": "InService", "since": "2026-11-24T03:49:04.153Z", "account": 9900000,
        "reconnectable_until": null, "hold": null,
        "sentence": "+15405514342 is in service on account 9900000, site 1, since 2026-11-24T03:49:04.153Z.",
        "imported_at": "2026-11-24T03:49:04.153Z", "events": []}"#,
);
/// The form of the answer whether a number has changed hands.
const HANDS: Shape = Shape::json(
    r#"{"type": "object", "required": ["number", "since", "as_of", "answer"], "properties": {
        "number": {"type": "string"}, "since": {"type": "string"}, "as_of": {"type": "string"},
        "answer": {"enum": ["yes", "no", "no_data"]}}}"#,
    r#"{"number": "+15405514342", "since": "2026-01-01T00:00:00.000Z", "as_of": "2026-11-24T03:49:04.153Z",
        "answer": "no"}"#,
);
/// Since when a number may have changed hands.
const SINCE: Parameter = Parameter {
    required: true,
    ..Parameter::new("since", Form::Text("2026-01-01T00:00:00.000Z"), "the instant from which on it is asked")
};

/// What the list is narrowed by.
const FILTERS: [Parameter; 10] = [
    Parameter::new("state", Form::Text("InService,Aging"), "only numbers in one of these states"),
    Parameter::new("account", Form::Text("9900000"), "only numbers of this account, aging ones too"),
    Parameter::new("site", Form::Text("1"), "only numbers at this site, or that aged from there"),
    Parameter::new("peer", Form::Text("1"), "only numbers at this peer, or that aged from there"),
    Parameter::new("area", Form::Text("1"), "only numbers of the area with this id"),
    Parameter::new("prefix", Form::Text("1540555"), "only numbers that begin with these digits"),
    Parameter::new(
        "until",
        Form::Text("2027-01-01T00:00:00.000Z"),
        "only numbers released before this instant",
    ),
    Parameter::new("locked", Form::Flag, "only numbers that are locked, or only others"),
    Parameter::new("kept", Form::Flag, "only numbers that an operator keeps from release, or only others"),
    Parameter::new("protected", Form::Flag, "only numbers that are protected, or only others"),
];

pub(crate) fn routes() -> Vec<Route> {
    let list_doc = Doc::new("Lists numbers, by digits.", Told::ok(LIST)).query(&FILTERS).query(&PAGES);
    let show_doc =
        Doc::new("Shows a number: where it is, until when, and why.", Told::ok(NUMBER)).strangers(404);
    let history_doc = Doc::new("Shows what happened to a number, oldest first.", Told::ok(LIST))
        .query(&PAGES)
        .strangers(404);
    let periods_doc =
        Doc::new("Shows the periods for which accounts pay for a number, oldest first.", Told::ok(LIST))
            .query(&PAGES)
            .strangers(404);
    let explained_doc = Doc::new(
        "Says where a number is, why, and what happened to it, in sentences.",
        Told::ok(EXPLANATION),
    )
    .strangers(404);
    let hands_doc = Doc::new("Tells whether a number has changed hands since an instant.", Told::ok(HANDS))
        .query(&[SINCE])
        .strangers(404);
    let (get, caller) = (Method::GET, Needs::Caller);
    vec![
        door::route(get.clone(), "/ops/v1/numbers", caller, list_doc, list),
        door::route(get.clone(), "/ops/v1/numbers/{number}", caller, show_doc, show),
        door::route(get.clone(), "/ops/v1/numbers/{number}/history", caller, history_doc, history),
        door::route(get.clone(), "/ops/v1/numbers/{number}/explanation", caller, explained_doc, explained),
        door::route(get.clone(), "/ops/v1/numbers/{number}/periods", caller, periods_doc, billed),
        door::route(get, "/ops/v1/numbers/{number}/changed-hands", caller, hands_doc, hands),
    ]
}

/// Reads a telephone number: E.164 with its plus sign, or ten digits.
pub(super) fn number(text: &str) -> Result<Number, OpsProblem> {
    let form = |text: &&str| text.len() == 10 || text.starts_with('+');
    let number = Some(text).filter(form).and_then(|text| text.parse().ok());
    number
        .ok_or_else(|| OpsProblem::new(Code::BadNumber, "a number is written as +15405550100 or 5405550100"))
}

/// Reads the number in the path.
pub(super) fn number_of(call: &Call) -> Result<Number, OpsProblem> {
    number(call.param("number"))
}

pub(super) fn not_here() -> OpsProblem {
    OpsProblem::new(Code::NumberNotFound, "the number is not in this store")
}

/// Returns a number's details as its caller may see them.
pub(super) fn shown(app: &App, caller: &Caller, facts: &Facts) -> Option<Value> {
    let order = facts.order.as_ref().map(|(id, ..)| *id);
    match view(&facts.entry, caller.account, caller.role) {
        View::Whole => Some(numbers::number(&facts.history, &facts.area, order, app.clock.now())),
        View::Public => Some(numbers::public(&facts.entry, &facts.area)),
        View::Nothing => None,
    }
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let facts = app.store.facts(number_of(&call)?).await?.ok_or_else(not_here)?;
    let shown = shown(&app, &call.caller, &facts).ok_or_else(not_here)?;
    Ok(Reply::json(StatusCode::OK, &shown))
}

/// Reads the filter of a list. A caller with an account gets its own numbers.
fn filter(call: &Call) -> Result<NumberFilter, OpsProblem> {
    let account = body::account(&call.caller, "account", value(call, "account"))?;
    let states = value(call, "state").map_or(Ok(Vec::new()), |text| {
        let words = text.split(',').map(str::parse::<State>);
        words.collect::<Result<Vec<_>, _>>()
    });
    let prefix = value(call, "prefix").map(|prefix| prefix.trim_start_matches('+').to_owned());
    if let Some(prefix) = &prefix
        && (prefix.is_empty() || prefix.len() > 15 || !prefix.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(OpsProblem::wrong("prefix is 1 to 15 digits, with the country code"));
    }
    Ok(NumberFilter {
        account,
        states: states.map_err(|_| OpsProblem::wrong("state is one or more of the states, with commas"))?,
        site: parsed(call, "site", "a site's id")?,
        peer: parsed(call, "peer", "a peer's id")?,
        area: parsed(call, "area", "an area's id")?.map(AreaId),
        prefix,
        until: parsed(call, "until", "an instant such as 2027-01-01T00:00:00.000Z")?,
        locked: parsed(call, "locked", "true or false")?,
        kept: parsed(call, "kept", "true or false")?,
        protected: parsed(call, "protected", "true or false")?,
    })
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let filter = filter(&call)?;
    let page = Page::read(&app, &call, "numbers")?;
    let after: Option<Number> = page.after.as_deref().and_then(|key| key.parse().ok());
    let found = app.store.find(filter, after, page.limit).await?;
    let facts = app.store.facts_of(found.numbers).await?;
    let items = facts.iter().filter_map(|facts| shown(&app, &call.caller, facts)).collect();
    let document = page.document(items, found.next.map(|number| number.to_string()));
    Ok(Reply::json(StatusCode::OK, &document))
}

/// Returns a number's life, if its caller may see any of it.
async fn life(app: &App, call: &Call) -> Result<NumberHistory, OpsProblem> {
    let life = app.store.history(number_of(call)?).await?.ok_or_else(not_here)?;
    let Caller { account, role, .. } = &call.caller;
    let moments = life.history.moments().map_err(|_| Refusal::Failed)?;
    let seen = moments.iter().any(|moment| may_see_past(&moment.entry, *account, *role));
    if seen { Ok(life) } else { Err(not_here()) }
}

async fn history(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let page = Page::read(&app, &call, &format!("history of {}", number_of(&call)?))?;
    let NumberHistory { history, .. } = life(&app, &call).await?;
    let Caller { account, role, user, .. } = &call.caller;
    let moments = history.moments().map_err(|_| Refusal::Failed)?;
    // An account sees what it did, and what was done to what it held.
    let seen = |entry| may_see_past(entry, *account, *role);
    let pairs = moments.windows(2).filter(|pair| pair.iter().any(|moment| seen(&moment.entry)));
    let seqs: Vec<EventSeq> = pairs.filter_map(|pair| Some(pair.last()?.event?.seq)).collect();
    let positions = audit::positions(&*app.store, seqs.iter().copied()).await?;
    let lines = app.store.lines(seqs).await?;
    let items = lines.iter().map(|line| {
        let position = positions.get(&line.seq).copied();
        let shown = match role {
            Role::Operator => line.shown(position),
            _ => line.shown_to(position, user), // no address of an operator
        };
        (line.seq.0.to_string(), shown)
    });
    let items = items.collect();
    Ok(Reply::json(StatusCode::OK, &paged(&page, items)))
}

async fn explained(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let NumberHistory { history, orders } =
        app.store.history(number_of(&call)?).await?.ok_or_else(not_here)?;
    let Caller { account, role, .. } = call.caller;
    if view(&history.entry, account, role) != View::Whole {
        return Err(not_here());
    }
    let moments = history.moments().map_err(|_| Refusal::Failed)?;
    let sees = |moment: &Moment<'_>| may_see_past(&moment.entry, account, role);
    let mut events = Vec::new();
    for pair in moments.windows(2) {
        let [before, after] = pair else { continue };
        let Some(event) = after.event.filter(|_| sees(before) || sees(after)) else { continue };
        let order = match event.by {
            By::Order(seq) => orders.get(&seq).map(|mark| mark.id),
            _ => None,
        };
        events.push((event, order));
    }
    let imported_at = moments.first().filter(|first| sees(first)).map(|_| history.imported_at);
    let rest = history.rest(&app.settings.policy).map_err(|_| Refusal::Failed)?;
    let rest = rest.filter(|rest| app.clock.now() < rest.until);
    Ok(Reply::json(StatusCode::OK, &numbers::explanation(&history, rest.as_ref(), imported_at, &events)))
}

/// Tells whether a number has changed hands. Of a number that is not here an operator learns that nothing is known.
async fn hands(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let number = number_of(&call)?;
    let required = || OpsProblem::wrong("since is required: an instant such as 2027-01-01T00:00:00.000Z");
    let since: Timestamp =
        parsed(&call, SINCE.name, "an instant such as 2027-01-01T00:00:00.000Z")?.ok_or_else(required)?;
    let known = if call.caller.has(Right::ChangedHands) {
        app.store.history(number).await?
    } else {
        Some(life(&app, &call).await?)
    };
    let answer = match known {
        Some(life) => changed_hands(&life.history, since).map_err(|_| Refusal::Failed)?,
        None => ChangedHands::NoData,
    };
    let (number, as_of) = (number.to_string(), app.clock.now().to_string());
    let document =
        json!({ "number": number, "since": since.to_string(), "as_of": as_of, "answer": answer.word() });
    Ok(Reply::json(StatusCode::OK, &document))
}

async fn billed(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let page = Page::read(&app, &call, &format!("periods of {}", number_of(&call)?))?;
    let history = life(&app, &call).await?.history;
    let periods =
        periods(&history.origin, history.imported_at, &history.events).map_err(|_| Refusal::Failed)?;
    let own = periods.iter().filter(|period| call.caller.account.is_none_or(|own| period.account == own));
    let items = own.map(|period| (period.from.millis().to_string(), numbers::period(period))).collect();
    Ok(Reply::json(StatusCode::OK, &paged(&page, items)))
}

/// Returns the page of a list that was read whole. Each item has a key, by which pages go on.
pub(super) fn paged(page: &Page, items: Vec<(String, Value)>) -> Value {
    let first = match &page.after {
        None => 0,
        Some(after) => items.iter().position(|(key, _)| key == after).map_or(items.len(), |at| at + 1),
    };
    let left = items.len().saturating_sub(first);
    let shown: Vec<_> = items.into_iter().skip(first).take(page.limit).collect();
    let next = shown.last().map(|(key, _)| key.clone()).filter(|_| left > page.limit);
    page.document(shown.into_iter().map(|(_, shown)| shown).collect(), next)
}
