//! What is in the pool (contract §4.1).

use onhook_core::hold::AreaName;
use onhook_core::number::Number;
use onhook_core::search::Criteria;

use crate::dialect::Dialect;
use crate::error::{Family, Problem};
use crate::query::Query;
use crate::xml::Document;

/// The form of this resource's errors.
pub const FAMILY: Family = Family::Search("SearchResult");
/// Most numbers that a search gives, and how many it gives when nothing is said.
pub const QUANTITY_MAX: u32 = 5_000;

/// Filters of the API that onhook has no data for, or does not search by.
const NOT_SEARCHED: [&str; 9] = [
    "city",
    "endsIn",
    "lata",
    "localVanity",
    "rateCenter",
    "state",
    "tollFreeVanity",
    "tollFreeWildCardPattern",
    "zip",
];

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
    let area_code = query.digits("areaCode", 3..=3, |_| Problem::SearchAreaCode)?;
    let exchange = query.digits("npaNxx", 6..=6, |_| Problem::Search)?;
    let seven = query.digits("npaNxxx", 7..=7, |_| Problem::Search)?;
    let prefix = match [area_code, exchange, seven].into_iter().flatten().collect::<Vec<_>>()[..] {
        [one] => one,
        _ => return Err(Problem::Search), // none, or some that exclude each other
    };
    for name in NOT_SEARCHED {
        if query.get(name)?.is_some() {
            return Err(Problem::Search);
        }
    }
    if query.get("orderBy")?.is_some() {
        return Err(Problem::OrderBy);
    }
    if query.get("protected")?.is_some_and(|value| !value.eq_ignore_ascii_case("NONE")) {
        return Err(Problem::Search);
    }
    Ok(Search {
        criteria: Criteria::prefix(prefix),
        quantity: query.size("quantity", QUANTITY_MAX, QUANTITY_MAX)?,
        details: query.flag("enableTNDetail", false)?,
    })
}

/// What was found; an empty `SearchResult` when nothing was.
#[must_use]
pub fn found(dialect: Dialect, search: &Search, numbers: &[(Number, AreaName)]) -> String {
    let mut out = Document::new();
    if numbers.is_empty() {
        out.empty("SearchResult");
        return out.finish();
    }
    out.open("SearchResult").leaf_display("ResultCount", numbers.len());
    if search.details {
        out.open("TelephoneNumberDetailList");
        for (number, area) in numbers {
            out.open("TelephoneNumberDetail");
            if let Some(rate_center) = area.rate_center() {
                out.leaf("RateCenter", rate_center);
            }
            if let Some(region) = area.region() {
                out.leaf("State", region);
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
