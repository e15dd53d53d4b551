//! Areas: supply and demand, and how long numbers that are disconnected now would age.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::account::Class;
use onhook_core::area_codes::beginnings;
use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::Area;
use onhook_core::lifecycle::hold::{Outlook, curve, outlook};
use onhook_core::time::Timestamp;
use onhook_store::contract::numbers::Aging;
use onhook_wire::ops::areas;
use serde_json::Value;

use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, parsed, value};
use super::numbers::paged;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

const LIST: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
const AREA: Shape = Shape::json(
    r#"{"type": "object", "required": ["id", "name", "region", "rate_center", "hold_now"], "properties": {
        "id": {"type": "string"}, "name": {"type": "string"}, "region": {"type": ["string", "null"]},
        "rate_center": {"type": ["string", "null"]}, "supply": {"type": "integer"},
        "demand_per_day": {"type": "number"}, "days_of_supply": {"type": ["number", "null"]},
        "aging": {"type": "integer"}, "next_release_at": {"type": ["string", "null"]},
        "hold_now": {"type": "array", "items": {"type": "object"}},
        "curve": {"type": "array", "items": {"type": "object"}}}}"#,
    r#"{"id": "1", "name": "540 (VA)", "region": "VA", "rate_center": null, "supply": 50, "demand_per_day": 0.0,
        "days_of_supply": null, "aging": 2, "next_release_at": "2027-02-23T00:00:00.000Z",
        "hold_now": [{"profile": "us", "class": "residential", "days": 90}],
        "curve": [{"days_of_supply": 0.0, "days": 45}, {"days_of_supply": 365.0, "days": 90}]}"#,
);

const FILTERS: [Parameter; 3] = [
    Parameter::new("prefix", Form::Text("1540"), "only areas with numbers that begin with these digits"),
    Parameter::new("region", Form::Text("VA"), "only areas of this state or province"),
    Parameter::new(
        "sort",
        Form::Word(&["name", "days_of_supply", "aging"]),
        "by name, from the scarcest on, or from the one with the most aging numbers on; operators alone may sort by others \
         than the name",
    ),
];
const CURVE: Parameter =
    Parameter::new("curve", Form::Flag, "true: with 101 points, how long numbers age by days of supply");

pub(crate) fn routes() -> Vec<Route> {
    let list_doc = Doc::new(
        "Lists areas. Operators see supply, demand and aging numbers, others how long numbers age there.",
        Told::ok(LIST),
    );
    let list_doc = list_doc.query(&FILTERS).query(&PAGES);
    let show_doc = Doc::new("Shows an area.", Told::ok(AREA)).query(&[CURVE]);
    vec![
        door::route(Method::GET, "/ops/v1/areas", Needs::Caller, list_doc, list),
        door::route(Method::GET, "/ops/v1/areas/{area}", Needs::Caller, show_doc, show),
    ]
}

/// An area with all that is told of it.
struct Seen {
    id: AreaId,
    area: Area,
    outlook: Outlook,
    aging: Option<Aging>,
}

impl Seen {
    fn new(app: &App, (id, area): (AreaId, Area), aging: &BTreeMap<AreaId, Aging>) -> Self {
        let outlook = outlook(&app.settings.policy, &area, app.clock.now());
        Self { outlook, aging: aging.get(&id).copied(), id, area }
    }

    /// Returns it as its caller may see it: what others hold is told to operators alone.
    fn shown(&self, to_operator: bool) -> Value {
        let Self { id, area, outlook, aging } = self;
        if !to_operator {
            return areas::public(*id, area, outlook);
        }
        let next = aging.map(|aging| aging.next_at).filter(|at| *at != Timestamp::MAX);
        areas::area(*id, area, outlook, (aging.map_or(0, |aging| aging.numbers), next))
    }

    fn fits(&self, prefix: Option<&str>, region: Option<&str>) -> bool {
        let name = &self.area.name;
        let begin = |wanted: &str| {
            let found = beginnings(name.region(), name.rate_center(), name.prefix());
            found.iter().any(|digits| digits.starts_with(wanted) || wanted.starts_with(digits))
        };
        prefix.is_none_or(begin)
            && region
                .is_none_or(|wanted| name.region().is_some_and(|region| region.eq_ignore_ascii_case(wanted)))
    }
}

/// Returns the aging numbers of all areas, if the caller may know of them.
async fn aging(app: &App, call: &Call) -> Result<BTreeMap<AreaId, Aging>, OpsProblem> {
    if call.caller.account.is_some() { Ok(BTreeMap::new()) } else { Ok(app.store.aging().await?) }
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let to_operator = call.caller.account.is_none();
    let sort = value(&call, "sort").unwrap_or("name");
    if !["name", "days_of_supply", "aging"].contains(&sort) {
        return Err(OpsProblem::wrong("sort is name, days_of_supply or aging"));
    }
    if sort != "name" && !to_operator {
        return Err(Refusal::Denied.into()); // the order would tell of others
    }
    let prefix = value(&call, "prefix").map(|prefix| prefix.trim_start_matches('+'));
    let page = Page::read(&app, &call, "areas")?;
    let aging = aging(&app, &call).await?;
    let all = app.store.areas().await?.into_iter().map(|found| Seen::new(&app, found, &aging));
    let mut found: Vec<Seen> = all.filter(|seen| seen.fits(prefix, value(&call, "region"))).collect();
    match sort {
        "days_of_supply" => found.sort_by(|a, b| {
            let supply = |seen: &Seen| seen.outlook.days_of_supply.unwrap_or(f64::INFINITY);
            supply(a).total_cmp(&supply(b)).then(a.id.cmp(&b.id))
        }),
        "aging" => found
            .sort_by_key(|seen| (std::cmp::Reverse(seen.aging.map_or(0, |aging| aging.numbers)), seen.id)),
        _ => found.sort_by_cached_key(|seen| (seen.area.name.to_string(), seen.id)),
    }
    let items = found.iter().map(|seen| (seen.id.0.to_string(), seen.shown(to_operator))).collect();
    Ok(Reply::json(StatusCode::OK, &paged(&page, items)))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let nothing = || OpsProblem::from(Refusal::NoResource);
    let id = AreaId(call.param("area").parse().map_err(|_| nothing())?);
    let with_curve: Option<bool> = parsed(&call, "curve", "true or false")?;
    let found = app.store.areas().await?.into_iter().find(|(found, _)| *found == id).ok_or_else(nothing)?;
    let seen = Seen::new(&app, found, &aging(&app, &call).await?);
    let mut shown = seen.shown(call.caller.account.is_none());
    if with_curve == Some(true)
        && let Some(profile) = app.settings.policy.profiles_of(&seen.area.name).first()
    {
        shown["curve"] = areas::curve(&curve(profile, Class::Unknown));
    }
    Ok(Reply::json(StatusCode::OK, &shown))
}
