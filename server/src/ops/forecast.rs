//! What the coming days bring: how many numbers end their aging, and where they go.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_core::ids::{AccountId, AreaId};
use onhook_core::lifecycle::forecast::{DAYS_MAX, Day, Forecast, days};
use onhook_core::time::{Date, Timestamp};
use onhook_wire::ops::areas;

use super::body;
use super::door::{self, OpsProblem};
use super::listing::{PAGES, Page, parsed, value};
use super::numbers::paged;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};

/// Days of a forecast that does not say until when.
const DAYS: usize = 90;

const LIST: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [{"day": "2027-02-23", "area": null, "numbers": 2, "to_pool": 1, "to_owner": 0, "away": 1, "kept": 0}],
        "next": null}"#,
);
const QUERY: [Parameter; 5] = [
    Parameter::new("from", Form::Text("2027-01-01"), "the first day, today if it is not there"),
    Parameter::new("until", Form::Text("2027-02-01"), "the day after the last one, at most 400 days later"),
    Parameter::new(
        "by",
        Form::Word(&["day", "area", "day,area"]),
        "an item for each day, for each area that has any, or for each area that has any on a day",
    ),
    Parameter::new("area", Form::Text("1"), "only numbers of the area with this id"),
    Parameter::new("account", Form::Text("9900000"), "only numbers that this account gave up"),
];

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new(
        "Tells how many numbers end their aging on which day, and where they go. Kept numbers stand beside them.",
        Told::ok(LIST),
    );
    let doc = doc.query(&QUERY).query(&PAGES);
    vec![door::route(Method::GET, "/ops/v1/forecast", Needs::Caller, doc, forecast)]
}

/// Whose numbers, and where.
#[derive(Clone, Copy)]
struct Of {
    account: Option<AccountId>,
    area: Option<AreaId>,
}

impl Of {
    /// Returns what a day brings to each area.
    async fn on(self, app: &App, day: &Day) -> Result<BTreeMap<AreaId, Forecast>, OpsProblem> {
        let mut areas: BTreeMap<AreaId, Forecast> = BTreeMap::new();
        for ending in app.store.endings((day.from, day.until), self.account, self.area).await? {
            let one = Forecast::of(ending.home, ending.stays, ending.numbers);
            areas.entry(ending.area).or_default().add(one);
        }
        Ok(areas)
    }
}

async fn forecast(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let account = body::account(&call.caller, "account", value(&call, "account"))?;
    let area = parsed(&call, "area", "an area's id")?.map(AreaId);
    let of = Of { account, area };
    let by = value(&call, "by").unwrap_or("day");
    let days = days_of(&app, &call)?;
    let page = Page::read(&app, &call, "forecast")?;
    let document = match by {
        "day" => {
            let after: Option<Date> = page.after.as_deref().and_then(|key| key.parse().ok());
            let begin = days.partition_point(|day| after.is_some_and(|after| day.date <= after));
            let shown: Vec<Day> = days[begin..].iter().copied().take(page.limit).collect();
            let mut items = Vec::new();
            for day in &shown {
                let mut all = Forecast::default();
                of.on(&app, day).await?.into_values().for_each(|one| all.add(one));
                items.push(areas::forecast(Some(day.date), None, &all));
            }
            let more = begin + shown.len() < days.len();
            page.document(items, shown.last().map(|day| day.date.to_string()).filter(|_| more))
        }
        "area" => {
            let mut all: BTreeMap<AreaId, Forecast> = BTreeMap::new();
            for day in &days {
                for (area, one) in of.on(&app, day).await? {
                    all.entry(area).or_default().add(one);
                }
            }
            let items =
                all.iter().map(|(area, one)| (area.0.to_string(), areas::forecast(None, Some(*area), one)));
            paged(&page, items.collect())
        }
        "day,area" => {
            let after = page.after.as_deref().and_then(|key| {
                let (day, area) = key.split_once(' ')?;
                Some((day.parse::<Date>().ok()?, AreaId(area.parse().ok()?)))
            });
            let mut items = Vec::new();
            let begin = days.partition_point(|day| after.is_some_and(|(after, _)| day.date < after));
            for day in &days[begin..] {
                for (area, one) in of.on(&app, day).await? {
                    if after.is_none_or(|after| (day.date, area) > after) {
                        let key = format!("{} {}", day.date, area.0);
                        items.push((key, areas::forecast(Some(day.date), Some(area), &one)));
                    }
                }
                if items.len() > page.limit {
                    break;
                }
            }
            let more = items.len() > page.limit;
            items.truncate(page.limit);
            let next = items.last().map(|(key, _)| key.clone()).filter(|_| more);
            page.document(items.into_iter().map(|(_, item)| item).collect(), next)
        }
        _ => return Err(OpsProblem::wrong("by is day, area or day,area")),
    };
    Ok(Reply::json(StatusCode::OK, &document))
}

/// Returns the days that are asked for.
fn days_of(app: &App, call: &Call) -> Result<Vec<Day>, OpsProblem> {
    let zone = app.settings.policy.zone();
    let from: Option<Date> = parsed(call, "from", "a day such as 2027-01-01")?;
    let until: Option<Date> = parsed(call, "until", "a day such as 2027-01-01")?;
    let from = from.unwrap_or_else(|| app.clock.now().date_in(zone));
    let until = until.unwrap_or_else(|| {
        let span = i64::try_from(DAYS).unwrap_or_default() * onhook_core::time::DAY_MS;
        // Noon, so that a day of 23 or 25 hours makes no difference.
        Timestamp::start_of(from, zone).plus_millis(span + onhook_core::time::DAY_MS / 2).date_in(zone)
    });
    days(from, until, zone).ok_or_else(|| {
        OpsProblem::wrong(format!("until is a day after from, and at most {DAYS_MAX} days after it"))
    })
}
