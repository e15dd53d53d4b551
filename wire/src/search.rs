//! What is in the pool (contract §4.1).

use onhook_core::hold::AreaName;
use onhook_core::number::Number;

use crate::dialect::Dialect;
use crate::error::{Family, Problem};
use crate::query::Query;
use crate::xml::Document;

/// The form of this resource's errors.
pub const FAMILY: Family = Family::Search("SearchResult");
/// Most numbers that a search gives, and how many it gives when nothing is said.
pub const QUANTITY_MAX: u32 = 5_000;

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Three digits.
    pub area_code: String,
    /// Most numbers.
    pub quantity: u32,
    /// Whether each number comes with its place.
    pub details: bool,
}

/// Reads a search.
///
/// # Errors
/// When it is not by area code, or the area code cannot exist.
pub fn read(query: &Query) -> Result<Search, Problem> {
    let area_code = query.digits("areaCode", 3..=3, |_| Problem::SearchAreaCode)?.ok_or(Problem::Search)?;
    Ok(Search {
        area_code: area_code.to_owned(),
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
