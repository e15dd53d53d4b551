//! Settings that operators change while the server runs, and a person's word for the clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::setting::{self, Changes, Setting};
use onhook_store::contract::settings::Chosen;
use onhook_wire::ops::settings::setting as shown;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::info;

use super::body::{self, Why};
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page};
use super::numbers::paged;
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

/// The form of a change.
const CHANGE: Shape = Shape::json(
    r#"{"type": "object", "required": ["values", "reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}, "values": {"type": "object"}}}"#,
    r#"{"reason": "large plans are read by several people", "values": {"plan_expires_seconds": 7200}}"#,
);
/// The form of a clock.
const CLOCK: Shape = Shape::json(
    r#"{"type": "object", "required": ["believed", "state", "now"], "properties": {
        "believed": {"type": "boolean"}, "state": {"type": "string"}, "now": {"type": "string"}}}"#,
    r#"{"believed": true, "state": "the clock is right", "now": "2026-11-24T03:49:04.152Z"}"#,
);

pub(crate) fn routes() -> Vec<Route> {
    let list_doc = Doc::new(
        "Lists the settings that operators change while the server runs, by key: each with its value, and who has set it.",
        Told::ok(body::LIST),
    )
    .query(&PAGES);
    let change_doc = Doc::new(
        "Changes settings, all or none. Null takes a setting back to its default. Every server on the database goes by \
         them within two seconds. two_person and wire_purge are changed on the machine itself alone.",
        Told::ok(body::LIST),
    )
    .takes(CHANGE)
    .or(Told::new(409, "The configuration sets one of them. Nothing was changed."));
    let trust_doc = Doc::new(
        "Believes this machine's clock, though it is far from the store's last use or has jumped: a person has looked.",
        Told::ok(CLOCK),
    )
    .takes(body::WHY);
    let operator = Needs::Operator;
    vec![
        door::route(Method::GET, "/ops/v1/settings", operator, list_doc, list),
        door::route(Method::PATCH, "/ops/v1/settings", operator, change_doc, change),
        door::route(Method::POST, "/ops/v1/clock/trust", operator, trust_doc, trust),
    ]
}

/// Returns the page of the settings as they hold on this server.
fn page(app: &App, page: &Page, chosen: &[Chosen]) -> Reply {
    let configured = &app.settings.configured;
    let values = app.settings.values(chosen);
    let by_key: BTreeMap<&str, Setting> =
        Setting::ALL.iter().map(|setting| (setting.word(), *setting)).collect();
    let items = by_key.into_iter().map(|(key, setting)| {
        let chosen = chosen.iter().find(|chosen| chosen.setting == setting);
        let item = match (configured.get(&setting), chosen) {
            (Some(source), _) => shown(setting, &values, source.word(), None, false),
            (None, Some(chosen)) => shown(setting, &values, "operator", Some(chosen.at), true),
            (None, None) => shown(setting, &values, "default", None, true),
        };
        (key.to_owned(), item)
    });
    Reply::json(StatusCode::OK, &paged(page, items.collect()))
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let asked = Page::read(&app, &call, "settings")?;
    let chosen = app.store.chosen().await?;
    Ok(page(&app, &asked, &chosen))
}

/// A change of settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    reason: Option<String>,
    #[serde(default)]
    values: BTreeMap<String, Value>,
}

/// Reads which settings change: null takes a choice back.
fn changes(values: BTreeMap<String, Value>) -> Result<Changes, OpsProblem> {
    let mut changes = Changes::new();
    for (key, value) in values {
        let unknown = || {
            let shown: String = key.chars().take(door::NAME_MAX).collect();
            OpsProblem::new(Code::UnknownField, format!("no setting is called {shown}"))
        };
        let setting: Setting = key.parse().map_err(|_| unknown())?;
        changes.insert(setting, Some(value).filter(|value| !value.is_null()));
    }
    Ok(changes)
}

async fn change(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    body::by_password(&call)?;
    let Change { reason, values } = body::read(&call)?;
    let changes = changes(values)?;
    if changes.is_empty() {
        return Err(body::wrong("/values", "values names at least one setting".into()));
    }
    let doer = body::doer(&app, &call, reason.as_deref())?;
    let alone = |setting: Setting| {
        OpsProblem::new(Code::Forbidden, format!("{setting} is changed on the machine itself alone"))
    };
    setting::may_change(&changes, call.caller.at_machine).map_err(alone)?;
    setting::check(&changes).map_err(|(setting, rule)| {
        body::wrong(&format!("/values/{setting}"), format!("{setting}: {rule}"))
    })?;
    if let Some((setting, source)) = changes.keys().find_map(|key| app.settings.configured.get_key_value(key))
    {
        let detail = format!("{setting} is set by a {source} of this server");
        return Err(OpsProblem::new(Code::SetByConfiguration, detail));
    }
    setting::check_form(&changes, &app.values())
        .map_err(|(setting, told)| body::wrong(&format!("/values/{setting}"), told))?;
    let names: Vec<&str> = changes.keys().map(|setting| setting.word()).collect();
    let names = names.join(", ");
    app.store.change_settings(changes, doer).await?;
    info!(user.by = &*call.caller.user, settings = names, "settings were changed: {names}");
    let chosen = app.store.chosen().await?;
    app.go_by(&chosen);
    let asked = Page::read(&app, &call, "settings")?;
    Ok(page(&app, &asked, &chosen))
}

async fn trust(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let Why { reason } = body::read(&call)?;
    let author = body::author(&call, reason.as_deref())?;
    let doer = Doer { author, now: app.clock.now() };
    app.store.write_deeds(vec![Deed::by(&doer, DeedKind::ClockTrusted)]).await?;
    app.trust_clock();
    info!(user.by = doer.author.user, "the clock is trusted, since a person has looked at it");
    app.remember_clock().await.map_err(Refusal::by_store)?;
    app.orders_bell.notify_one();
    app.clock_bell.notify_one();
    let state = app.clock_state();
    let believed = state.is_believed();
    let body =
        json!({ "believed": believed, "state": state.to_string(), "now": app.clock.now().to_string() });
    Ok(Reply::json(StatusCode::OK, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_unknown_is_named_and_null_takes_a_choice_back() {
        let read = |text: &str| changes(serde_json::from_str(text).unwrap());
        let found = read(r#"{"held_days": 3, "wire_purge": null}"#).unwrap();
        let wanted = Changes::from([(Setting::HeldDays, Some(json!(3))), (Setting::WirePurge, None)]);
        assert_eq!(found, wanted);
        assert!(read(r#"{"held_day": 3}"#).is_err());
    }
}
