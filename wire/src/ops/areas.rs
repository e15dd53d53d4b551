//! Areas with their supply and demand, and what the coming days bring.

use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::Area;
use onhook_core::lifecycle::forecast::Forecast;
use onhook_core::lifecycle::hold::Outlook;
use onhook_core::time::{Date, Timestamp};
use serde_json::{Value, json};

/// Returns an area as an account's users see it: what it is, and how long numbers there age now.
#[must_use]
pub fn public(id: AreaId, area: &Area, outlook: &Outlook) -> Value {
    let holds = outlook.holds.iter();
    let holds = holds
        .map(|(profile, class, days)| json!({ "profile": profile, "class": class.word(), "days": days }));
    json!({
        "id": id.0.to_string(),
        "name": area.name.to_string(),
        "region": area.name.region(),
        "rate_center": area.name.rate_center(),
        "hold_now": holds.collect::<Vec<_>>(),
    })
}

/// Returns an area as an operator sees it. `aging` is how many numbers age there, and when the first of them is released,
/// if any is.
#[must_use]
pub fn area(id: AreaId, area: &Area, outlook: &Outlook, aging: (u64, Option<Timestamp>)) -> Value {
    let mut shown = public(id, area, outlook);
    shown["supply"] = json!(area.supply);
    shown["demand_per_day"] = json!(outlook.demand_per_day);
    shown["days_of_supply"] = json!(outlook.days_of_supply);
    shown["aging"] = json!(aging.0);
    shown["next_release_at"] = json!(aging.1.map(|at| at.to_string()));
    shown
}

/// Returns the points of a curve: how long numbers age, by how long the supply lasts.
#[must_use]
pub fn curve(points: &[(f64, u16)]) -> Value {
    points.iter().map(|(supply, days)| json!({ "days_of_supply": supply, "days": days })).collect()
}

/// Returns what a day brings, or an area, or an area on a day.
#[must_use]
pub fn forecast(day: Option<Date>, area: Option<AreaId>, forecast: &Forecast) -> Value {
    json!({
        "day": day.map(|day| day.to_string()),
        "area": area.map(|area| area.0.to_string()),
        "numbers": forecast.numbers(),
        "to_pool": forecast.to_pool,
        "to_owner": forecast.to_owner,
        "away": forecast.away,
        "kept": forecast.kept,
    })
}
