//! Rate centers and cities that an operator's file of exchanges or an import has named.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use onhook_core::order::search::Criteria;
use onhook_store::contract::exchanges::{RateCenter, RateCenterQuery};
use onhook_store::contract::page::LIST_MAX;
use onhook_store::contract::pool::Stock;
use onhook_wire::error::Problem;
use onhook_wire::localities::{
    self, CITIES_FAMILY, COVERED_FAMILY, Embed, RATE_CENTERS_FAMILY, RateCenter as Shown,
};
use onhook_wire::query::Links;

use super::call::Call;
use super::door::{Route, example};
use super::paging;
use super::reply::store_problem;
use crate::app::App;
use crate::http::doc::{Doc, Form, Parameter, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

/// The state whose places are listed, and which of them.
const PLACES: [Parameter; 3] = [
    Parameter::new("state", Form::Text("NC"), "the state").required(),
    Parameter::new("available", Form::Flag, "only places with numbers in the pool, counted"),
    Parameter::new("supported", Form::Flag, "changes nothing: only places that are known here are listed"),
];
/// What rate centers are searched by.
const COVERED: [Parameter; 11] = [
    Parameter::new("name", Form::Text("RALEIGH"), "only the rate center with this name"),
    Parameter::new("abbreviation", Form::Text("RALEIGH"), "only the rate center with this abbreviation"),
    Parameter::new("state", Form::Text("NC"), "only rate centers in this state"),
    Parameter::new("city", Form::Text("RALEIGH"), "only rate centers with this city"),
    Parameter::new("lata", Form::Text("426"), "only rate centers in this LATA"),
    Parameter::new("zip", Form::Text("27601"), "only rate centers with this ZIP code"),
    Parameter::new("npa", Form::Digits(3, "919"), "only rate centers with this area code"),
    Parameter::new("npaNxx", Form::Digits(6, "919555"), "only rate centers with this exchange"),
    Parameter::new("npaNxxX", Form::Digits(7, "9195550"), "only rate centers with this block"),
    Parameter::new("tier", Form::Word(&["0", "1", "2", "3", "4", "5"]), "only this tier: none has one"),
    Parameter::new("page", Form::Whole(1, u32::MAX), "the page's number"),
];
/// What is shown with a rate center.
const EMBED: Parameter = Parameter::new(
    "embed",
    Form::Word(&[
        "ZipCodes",
        "Cities",
        "NpaNxxX",
        "AvailableNumberCount",
        "LimitedAvailableNumberCount",
        "Vendors",
    ]),
    "what is shown with each rate center; it may be repeated, and commas separate values too",
);

pub(crate) fn routes() -> Vec<Route> {
    let counted = |family| (Group::Search, family);
    vec![
        Route::get(
            "/ratecenters",
            Needs::Caller,
            counted(RATE_CENTERS_FAMILY),
            Doc::new("Lists the rate centers of a state.", Told::ok(example!("rate_centers"))).query(&PLACES),
            rate_centers,
        ),
        Route::get(
            "/cities",
            Needs::Caller,
            counted(CITIES_FAMILY),
            Doc::new("Lists the cities of a state.", Told::ok(example!("cities"))).query(&PLACES),
            cities,
        ),
        Route::get(
            "/coveredratecenters",
            Needs::Caller,
            counted(COVERED_FAMILY),
            Doc::new(
                "Lists rate centers with what is known of each.",
                Told::ok(example!("covered_rate_centers")),
            )
            .query(&COVERED)
            .query(&[paging::size(localities::SIZE_MAX), EMBED]),
            covered,
        ),
        Route::get(
            "/coveredratecenters/{ratecenter}",
            Needs::Caller,
            counted(COVERED_FAMILY),
            Doc::new(
                "Shows a rate center with what is known of it.",
                Told::ok(example!("covered_rate_center")),
            ),
            covered_one,
        ),
    ]
}

/// Returns the rate centers of a state.
async fn rate_centers(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let wanted = localities::read_state(&call.query)?;
    let criteria = Criteria { region: Some(wanted.region), ..Criteria::default() };
    let query = RateCenterQuery { criteria: criteria.clone(), name: None, from: 1, size: LIST_MAX };
    let page = app.store.rate_centers(query).await.map_err(store_problem)?;
    let mut found: BTreeMap<String, (String, Option<u64>)> =
        page.items.into_iter().map(|r| (r.abbreviation, (r.name, None))).collect();
    if wanted.available {
        for Stock { numbers, locality, .. } in app.store.stock(criteria).await.map_err(store_problem)? {
            let Some(rate_center) = locality.rate_center else { continue };
            let (_, count) = found.entry(rate_center.clone()).or_insert((rate_center, None));
            *count = Some(count.unwrap_or(0) + numbers);
        }
        found.retain(|_, (_, count)| count.is_some());
    }
    Ok(Reply::xml(StatusCode::OK, localities::rate_centers(&found)))
}

/// Returns the cities of a state.
async fn cities(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let wanted = localities::read_state(&call.query)?;
    let criteria = Criteria { region: Some(wanted.region), ..Criteria::default() };
    let mut found: BTreeMap<(String, String), Option<u64>> = BTreeMap::new();
    if wanted.available {
        for Stock { numbers, locality, .. } in app.store.stock(criteria).await.map_err(store_problem)? {
            if let (Some(city), Some(rate_center)) = (locality.city, locality.rate_center) {
                let count = found.entry((city, rate_center)).or_default();
                *count = Some(count.unwrap_or(0) + numbers);
            }
        }
    } else {
        for exchange in app.store.exchanges(criteria).await.map_err(store_problem)? {
            found.extend(exchange.city.map(|city| ((city, exchange.rate_center), None)));
        }
    }
    Ok(Reply::xml(StatusCode::OK, localities::cities(&found)))
}

/// Returns a page of rate centers with what is known of each.
async fn covered(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let wanted = localities::read_covered(&call.query)?;
    let size = if wanted.none { 0 } else { usize::try_from(wanted.size).unwrap_or(usize::MAX) };
    let query =
        RateCenterQuery { criteria: wanted.criteria.clone(), name: wanted.name, from: wanted.from, size };
    let mut page = app.store.rate_centers(query).await.map_err(store_problem)?;
    if wanted.none {
        (page.total, page.next) = (0, None);
    }
    let stock = if wanted.embed.count && !page.items.is_empty() {
        counted(&app, &wanted.criteria, &page.items).await?
    } else {
        BTreeMap::new()
    };
    let told: Vec<Shown<'_>> = page.items.iter().map(|r| told(r, wanted.embed, &stock)).collect();
    let links = Links {
        list: format!("{}{}/coveredRateCenters", app.public_url, call.prefix.for_links()),
        filters: call.query.filters(),
        size: wanted.size,
        next: page.next.map(|id| id.to_string()),
    };
    Ok(Reply::xml(StatusCode::OK, localities::covered(&told, wanted.embed, page.total, &links)))
}

/// Returns one rate center with all that is known of it.
async fn covered_one(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let id = call.param("ratecenter").parse::<u32>().map_err(|_| Problem::NoResource)?;
    let query = RateCenterQuery { criteria: Criteria::default(), name: None, from: id, size: 1 };
    let page = app.store.rate_centers(query).await.map_err(store_problem)?;
    let found = page.items.first().filter(|rate_center| rate_center.id == id).ok_or(Problem::NoResource)?;
    let embed = Embed { zips: true, cities: true, blocks: true, count: true };
    let stock = counted(&app, &Criteria::default(), &page.items).await?;
    Ok(Reply::xml(StatusCode::OK, localities::covered_one(&told(found, embed, &stock), embed)))
}

/// Returns how many numbers of the pool each of these rate centers has, by state and abbreviation.
async fn counted(
    app: &App,
    criteria: &Criteria,
    rate_centers: &[RateCenter],
) -> Result<BTreeMap<(String, String), u64>, Problem> {
    let mut counts = BTreeMap::new();
    // Within one state the pool is read once. A page across states reads it once for each rate center.
    let wanted: Vec<Criteria> = match &criteria.region {
        Some(region) => vec![Criteria { region: Some(region.clone()), ..Criteria::default() }],
        None => rate_centers
            .iter()
            .map(|r| Criteria {
                region: Some(r.region.clone()),
                rate_center: Some(r.abbreviation.clone()),
                ..Criteria::default()
            })
            .collect(),
    };
    for criteria in wanted {
        for Stock { numbers, locality, .. } in app.store.stock(criteria).await.map_err(store_problem)? {
            if let (Some(region), Some(rate_center)) = (locality.region, locality.rate_center) {
                *counts.entry((region, rate_center)).or_default() += numbers;
            }
        }
    }
    Ok(counts)
}

fn told<'a>(rate_center: &'a RateCenter, embed: Embed, stock: &BTreeMap<(String, String), u64>) -> Shown<'a> {
    let key = (rate_center.region.clone(), rate_center.abbreviation.clone());
    Shown {
        id: rate_center.id,
        name: &rate_center.name,
        abbreviation: &rate_center.abbreviation,
        region: &rate_center.region,
        exchanges: &rate_center.exchanges,
        numbers: embed.count.then(|| stock.get(&key).copied().unwrap_or(0)),
    }
}
