//! What is in the pool (contract §4.1).

use onhook_core::locality::Locality;
use onhook_core::number::Number;
use onhook_core::search::{
    BadCriterion, Criteria, keys, lata, leading, place, region, toll_free_pattern, zip,
};

use crate::dialect::Dialect;
use crate::error::{Criterion, Family, Problem};
use crate::query::Query;
use crate::xml::Document;

/// The form of this resource's errors.
pub const FAMILY: Family = Family::Search("SearchResult");
/// Most numbers that a search gives, and how many it gives when nothing is said.
pub const QUANTITY_MAX: u32 = 5_000;

/// Filters of the API that onhook has no data for, or does not search by, each with its form.
const NOT_SEARCHED: [(&str, Form); 9] = [
    ("city", |text| place(text).map_err(|_| Criterion::City)),
    ("endsIn", |text| Ok(text.to_owned())),
    ("lata", |text| lata(text).map_err(|_| Criterion::Lata)),
    ("localVanity", |text| Ok(text.to_owned())),
    ("rateCenter", |text| place(text).map_err(|_| Criterion::RateCenter)),
    ("state", |text| region(text).map_err(|_| Criterion::State)),
    ("tollFreeVanity", |text| keys(text).map_err(|_| Criterion::TollFreeVanity)),
    ("tollFreeWildCardPattern", |text| toll_free_pattern(text).map_err(|_| Criterion::TollFreePattern)),
    ("zip", |text| zip(text).map_err(|_| Criterion::Zip)),
];

/// Orders that a search can have.
const ORDERS: [&str; 4] = ["fullNumber", "npaNxxx", "npaNxx", "areaCode"];

type Form = fn(&str) -> Result<String, Criterion>;

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What the numbers have to be like.
    pub criteria: Criteria,
    /// Most numbers.
    pub quantity: u32,
    /// Whether each number comes with its place.
    pub details: bool,
}

/// Reads a search.
///
/// # Errors
/// When it is by something else: a filter that is not applied must not look as if it were.
pub fn read(query: &Query) -> Result<Search, Problem> {
    let area_code = match query.get("areaCode")?.map(|text| leading(text, 3)).transpose() {
        Err(BadCriterion::Length) => return Err(Problem::SearchAreaCode),
        other => other.map_err(|_| Problem::Criterion(Criterion::AreaCode))?,
    };
    let exchange = query.leading("npaNxx", 6, |_| Problem::Criterion(Criterion::Digits))?;
    let block = query.leading("npaNxxx", 7, |_| Problem::Criterion(Criterion::Digits))?;
    let mut searched = true;
    for (name, form) in NOT_SEARCHED {
        if let Some(text) = query.get(name)? {
            form(text).map_err(Problem::Criterion)?;
            searched = false;
        }
    }
    match query.get("orderBy")? {
        None => {}
        Some(text) if ORDERS.iter().any(|order| order.eq_ignore_ascii_case(text)) => {
            return Err(Problem::OrderBy);
        }
        Some(_) => return Err(Problem::OrderByValue),
    }
    match query.get("protected")?.map(str::to_ascii_uppercase).as_deref() {
        None | Some("NONE") => {}
        Some("ONLY" | "MIXED") => searched = false,
        Some(_) => return Err(Problem::Inventory),
    }
    // By one thing, and by nothing that would look as if it were applied.
    let prefix = match [&area_code, &exchange, &block].into_iter().flatten().collect::<Vec<_>>()[..] {
        [one] if searched => one,
        _ => return Err(Problem::Search),
    };
    Ok(Search {
        criteria: Criteria::prefix(prefix),
        quantity: query.size("quantity", QUANTITY_MAX, QUANTITY_MAX)?,
        details: query.flag("enableTNDetail", false)?,
    })
}

/// What was found; an empty `SearchResult` when nothing was.
#[must_use]
pub fn found(dialect: Dialect, search: &Search, numbers: &[(Number, Locality)]) -> String {
    let mut out = Document::new();
    if numbers.is_empty() {
        out.empty("SearchResult");
        return out.finish();
    }
    out.open("SearchResult").leaf_display("ResultCount", numbers.len());
    if search.details {
        out.open("TelephoneNumberDetailList");
        for (number, locality) in numbers {
            out.open("TelephoneNumberDetail");
            for (name, value) in [
                ("City", &locality.city),
                ("LATA", &locality.lata),
                ("RateCenter", &locality.rate_center),
                ("State", &locality.region),
            ] {
                if let Some(value) = value {
                    out.leaf(name, value);
                }
            }
            out.leaf("FullNumber", &dialect.number(*number)).close("TelephoneNumberDetail");
        }
        out.close("TelephoneNumberDetailList");
    } else {
        out.open("TelephoneNumberList");
        for (number, _) in numbers {
            out.leaf("TelephoneNumber", &dialect.number(*number));
        }
        out.close("TelephoneNumberList");
    }
    out.close("SearchResult");
    out.finish()
}
