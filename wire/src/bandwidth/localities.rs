//! Exchanges, rate centers and cities (contract §4.2, and the clients' fixtures).

use std::collections::{BTreeMap, BTreeSet};

use onhook_core::area_codes;
use onhook_core::geo::{city_name, lata, region, zip};
use onhook_core::locality::Exchange;
use onhook_core::order::search::Criteria;

use super::query::{Links, Query};
use crate::error::{Criterion, Family, Problem, cut};
use crate::text::xml::Document;

/// The form of errors of the list of exchanges.
pub const EXCHANGES_FAMILY: Family = Family::Search("SearchResultForAvailableNpaNxx");
/// The form of errors of the list of rate centers.
pub const RATE_CENTERS_FAMILY: Family = Family::Search("RateCenterResponse");
/// The form of errors of the list of cities.
pub const CITIES_FAMILY: Family = Family::Search("CityResponse");
/// The form of errors of covered rate centers.
pub const COVERED_FAMILY: Family = Family::Search("CoveredRateCenters");
/// Most exchanges in one answer.
pub const EXCHANGES_MAX: usize = 5_000;
/// Rate centers on a page by default.
pub const SIZE: u32 = 500;
/// Most rate centers on a page.
pub const SIZE_MAX: u32 = 1_000;

fn value(
    query: &Query,
    name: &'static str,
    form: fn(&str) -> Result<String, onhook_core::geo::BadCriterion>,
    wrong: Criterion,
) -> Result<Option<String>, Problem> {
    query.get(name)?.map(|text| form(text).map_err(|_| Problem::Criterion(wrong))).transpose()
}

fn known_region(query: &Query) -> Result<Option<String>, Problem> {
    let region = value(query, "state", region, Criterion::State)?;
    match region {
        Some(region) if !area_codes::is_region(&region) => Err(Problem::Criterion(Criterion::State)),
        other => Ok(other),
    }
}

/// Reads a search for exchanges of the pool, and how many numbers each must have.
///
/// # Errors
/// A wrong value, or no criterion.
pub fn read_exchanges(query: &Query) -> Result<(Criteria, u32), Problem> {
    let prefix = query.leading("areaCode", 3, |text| Problem::NoAreaCode(cut(&text)))?;
    let region = known_region(query)?;
    if prefix.is_none() && region.is_none() {
        return Err(Problem::Search);
    }
    Ok((Criteria { prefix, region, ..Criteria::default() }, query.size("quantity", 1, 10_000)?))
}

/// An exchange of the pool, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available<'a> {
    /// Area code and exchange.
    pub npa_nxx: u32,
    /// Its city, if it is known.
    pub city: Option<&'a str>,
    /// Its state or province, if it is known.
    pub region: Option<&'a str>,
    /// How many of its numbers are in the pool.
    pub numbers: u64,
}

/// Returns the answer with exchanges that have numbers in the pool.
#[must_use]
pub fn exchanges(found: &[Available<'_>]) -> String {
    let mut out = Document::new();
    out.open("SearchResultForAvailableNpaNxx").element("AvailableNpaNxxList", |out| {
        for exchange in found {
            out.open("AvailableNpaNxx");
            if let Some(city) = exchange.city {
                out.leaf("City", city);
            }
            out.leaf_display("Npa", exchange.npa_nxx / 1_000);
            out.leaf("Nxx", &format!("{:03}", exchange.npa_nxx % 1_000));
            out.leaf_display("Quantity", exchange.numbers);
            if let Some(region) = exchange.region {
                out.leaf("State", region);
            }
            out.close("AvailableNpaNxx");
        }
    });
    out.close("SearchResultForAvailableNpaNxx");
    out.finish()
}

/// A query for the rate centers or cities of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InState {
    /// The state or province.
    pub region: String,
    /// True to list only those with numbers in the pool, with their count.
    pub available: bool,
}

/// Reads a query for rate centers or cities. `supported` changes nothing: each one known here is served here.
///
/// # Errors
/// No state, or a wrong value.
pub fn read_state(query: &Query) -> Result<InState, Problem> {
    query.flag("supported", false)?;
    let region = known_region(query)?.ok_or(Problem::Criterion(Criterion::State))?;
    Ok(InState { region, available: query.flag("available", false)? })
}

/// Returns the answer with rate centers by abbreviation, each with its name and, if asked for, the count of its numbers
/// in the pool.
#[must_use]
pub fn rate_centers(found: &BTreeMap<String, (String, Option<u64>)>) -> String {
    let mut out = Document::new();
    out.open("RateCenterResponse").leaf_display("ResultCount", found.len());
    out.element("RateCenters", |out| {
        for (abbreviation, (name, count)) in found {
            out.open("RateCenter").leaf("Abbreviation", abbreviation).leaf("Name", name);
            if let Some(count) = count {
                out.leaf_display("AvailableNumberCount", count);
            }
            out.close("RateCenter");
        }
    });
    out.close("RateCenterResponse");
    out.finish()
}

/// Returns the answer with cities, each with its rate center's abbreviation and, if asked for, the count of its numbers
/// in the pool.
#[must_use]
pub fn cities(found: &BTreeMap<(String, String), Option<u64>>) -> String {
    let mut out = Document::new();
    out.open("CityResponse").leaf_display("ResultCount", found.len());
    out.element("Cities", |out| {
        for ((city, rate_center), count) in found {
            out.open("City").leaf("RcAbbreviation", rate_center).leaf("Name", city);
            if let Some(count) = count {
                out.leaf_display("AvailableNumberCount", count);
            }
            out.close("City");
        }
    });
    out.close("CityResponse");
    out.finish()
}

/// What is shown with each covered rate center.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embed {
    /// Its ZIP codes.
    pub zips: bool,
    /// Its cities.
    pub cities: bool,
    /// The blocks of a thousand numbers of its exchanges.
    pub blocks: bool,
    /// How many numbers it has in the pool.
    pub count: bool,
}

/// A query for covered rate centers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Criteria for them.
    pub criteria: Criteria,
    /// Their name.
    pub name: Option<String>,
    /// True if none can fit, since tiers are not known here.
    pub none: bool,
    /// What is shown with each.
    pub embed: Embed,
    /// The first id.
    pub from: u32,
    /// Most rate centers on the page.
    pub size: u32,
}

/// Reads a query for covered rate centers.
///
/// # Errors
/// A wrong value, or details that are not known here.
pub fn read_covered(query: &Query) -> Result<Covered, Problem> {
    let mut embed = Embed::default();
    let (mut local, mut npa) = (false, false);
    for word in query.all("embed") {
        match word.to_ascii_lowercase().as_str() {
            "zipcodes" => embed.zips = true,
            "cities" => embed.cities = true,
            "npanxxx" => embed.blocks = true,
            "availablenumbercount" | "limitedavailablenumbercount" => embed.count = true,
            "localratecenters" => local = true,
            "npa" => npa = true,
            "vendors" => {}
            _ => return Err(Problem::Embed),
        }
    }
    match () {
        () if local => return Err(Problem::EmbedLocal),
        () if npa && embed.blocks => return Err(Problem::EmbedNpa),
        () if npa => return Err(Problem::EmbedNpaAlone),
        () => {}
    }
    let digits = |name, length| query.leading(name, length, |_| Problem::Criterion(Criterion::Digits));
    // The longest prefix is enough. If it contradicts a shorter one, nothing fits.
    let prefixes: Vec<String> =
        [digits("npaNxxX", 7)?, digits("npaNxx", 6)?, digits("npa", 3)?].into_iter().flatten().collect();
    let apart = prefixes.iter().any(|prefix| !prefixes[0].starts_with(prefix));
    let tier = match query.get("tier")? {
        None => false,
        Some(text) if text.len() == 1 && matches!(text.as_bytes(), [b'0'..=b'5']) => true,
        Some(_) => return Err(Problem::TierValue),
    };
    let from = match query.get("page")? {
        None => 1,
        Some(text) => text.parse().ok().filter(|page| *page > 0).ok_or(Problem::RateCenterPage)?,
    };
    let criteria = Criteria {
        prefix: prefixes.into_iter().next().map(|prefix| prefix.chars().take(6).collect()),
        region: known_region(query)?,
        rate_center: value(query, "abbreviation", city_name, Criterion::RateCenter)?,
        city: value(query, "city", city_name, Criterion::City)?,
        lata: value(query, "lata", lata, Criterion::Lata)?,
        zip: value(query, "zip", zip, Criterion::Zip)?,
        ..Criteria::default()
    };
    let name = value(query, "name", city_name, Criterion::RateCenter)?;
    let size = query.size("size", SIZE, SIZE_MAX)?;
    Ok(Covered { criteria, name, none: tier || apart, embed, from, size })
}

/// A covered rate center, as it is shown.
#[derive(Clone, Debug)]
pub struct RateCenter<'a> {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: &'a str,
    /// Its abbreviation.
    pub abbreviation: &'a str,
    /// Its state or province.
    pub region: &'a str,
    /// Its exchanges.
    pub exchanges: &'a [Exchange],
    /// How many numbers it has in the pool, if asked for.
    pub numbers: Option<u64>,
}

/// Returns the answer with a page of covered rate centers.
#[must_use]
pub fn covered(found: &[RateCenter<'_>], embed: Embed, total: u64, links: &Links) -> String {
    let mut out = Document::new();
    out.open("CoveredRateCenters").leaf_display("TotalCount", total);
    links.write(&mut out);
    for rate_center in found {
        write_covered(&mut out, rate_center, embed);
    }
    out.close("CoveredRateCenters");
    out.finish()
}

/// Returns the answer with one covered rate center.
#[must_use]
pub fn covered_one(rate_center: &RateCenter<'_>, embed: Embed) -> String {
    let mut out = Document::new();
    write_covered(&mut out, rate_center, embed);
    out.finish()
}

fn write_covered(out: &mut Document, rate_center: &RateCenter<'_>, embed: Embed) {
    let RateCenter { id, name, abbreviation, region, exchanges, numbers } = rate_center;
    out.open("CoveredRateCenter").leaf("Name", name).leaf("Abbreviation", abbreviation).leaf("State", region);
    if let Some(lata) = exchanges.iter().find_map(|exchange| exchange.lata.as_deref()) {
        out.leaf("Lata", lata);
    }
    if let Some(numbers) = numbers {
        out.leaf_display("AvailableNumberCount", numbers);
    }
    let mut list = |wanted: bool, wrapper, name, values: BTreeSet<String>| {
        if wanted {
            out.element(wrapper, |out| {
                for value in &values {
                    out.leaf(name, value);
                }
            });
        }
    };
    let zips = exchanges.iter().flat_map(|exchange| exchange.zips.iter().cloned());
    list(embed.zips, "ZipCodes", "ZipCode", zips.collect());
    let cities = exchanges.iter().filter_map(|exchange| exchange.city.clone());
    list(embed.cities, "Cities", "City", cities.collect());
    // An exchange lies in its rate center with all of its ten blocks.
    let blocks = exchanges.iter().flat_map(|exchange| (0..10).map(|x| format!("{}{x}", exchange.npa_nxx)));
    list(embed.blocks, "NpaNxxXs", "NpaNxxX", if embed.blocks { blocks.collect() } else { BTreeSet::new() });
    out.leaf_display("Id", id).close("CoveredRateCenter");
}

/// Returns the answer with the exchanges that a number reaches as local calls, as far as they are known: those of its
/// own rate center.
#[must_use]
pub fn local(region: &str, rate_center: &str, exchanges: &[Exchange]) -> String {
    let mut out = Document::new();
    out.open("SearchResult").element("ListofNPANXX", |out| {
        for exchange in exchanges {
            out.leaf_display("NPANXX", exchange.npa_nxx);
        }
    });
    out.open("Location").open("RateCenters").leaf("State", region);
    out.open("RCs").leaf("RC", rate_center).close("RCs");
    out.close("RateCenters").close("Location").close("SearchResult");
    out.finish()
}
