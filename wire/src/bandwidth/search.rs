//! Searches of the pool (contract §4.1).

use onhook_core::area_codes;
use onhook_core::geo::{BadCriterion, city_name, lata, leading, region, zip};
use onhook_core::locality::Locality;
use onhook_core::number::Number;
use onhook_core::order::search::{Criteria, TollFree, Vanity, keys, toll_free_pattern};

use super::dialect::Dialect;
use super::query::Query;
use crate::error::{Criterion, Family, Problem};
use crate::text::xml::Document;

/// The form of this resource's errors.
pub const FAMILY: Family = Family::Search("SearchResult");
/// Most numbers that a search returns, which is also the default.
pub const QUANTITY_MAX: u32 = 5_000;

/// The orders in which a search can be sorted, and how many leading digits each compares.
const ORDERS: [(&str, usize); 4] = [("fullNumber", 10), ("npaNxxx", 7), ("npaNxx", 6), ("areaCode", 3)];

/// Most characters of a vendor's name.
pub const VENDOR_NAME_MAX: usize = 50;
/// The highest tier.
pub const TIER_MAX: u8 = 5;

/// The vendor of the numbers, as the details of searches and orders show it. The API's readers want all three fields.
/// They mean nothing here, and an operator chooses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// The vendor's id.
    pub id: u32,
    /// The vendor's name, 1 to [`VENDOR_NAME_MAX`] characters, none of them a control character.
    pub name: String,
    /// The tier of the numbers, 0 to [`TIER_MAX`].
    pub tier: u8,
}

impl Default for Vendor {
    /// Returns the vendor in the samples of the API's documents.
    fn default() -> Self {
        Self { id: 49, name: "Bandwidth CLEC".into(), tier: 0 }
    }
}

/// Whose numbers are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// The pool's numbers.
    None,
    /// The account's own protected numbers.
    Only,
    /// Both.
    Mixed,
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Criteria for the numbers.
    pub criteria: Criteria,
    /// Whose numbers are searched.
    pub protected: Protected,
    /// Most numbers.
    pub quantity: u32,
    /// True if each number is shown with where it lies.
    pub details: bool,
    /// How many leading digits the found numbers are sorted by. They were chosen at random before.
    pub ordered_by: Option<usize>,
}

/// Reads a search.
///
/// # Errors
/// A filter of a wrong form, or filters that exclude each other.
pub fn read(query: &Query) -> Result<Search, Problem> {
    let area_code = match query.get("areaCode")?.map(|text| leading(text, 3)).transpose() {
        Err(BadCriterion::Length) => return Err(Problem::SearchAreaCode),
        other => other.map_err(|_| Problem::Criterion(Criterion::AreaCode))?,
    };
    let exchange = query.leading("npaNxx", 6, |_| Problem::Criterion(Criterion::Digits))?;
    let block = query.leading("npaNxxx", 7, |_| Problem::Criterion(Criterion::Digits))?;
    let prefix = match [area_code, exchange, block].into_iter().flatten().collect::<Vec<_>>()[..] {
        [] => None,
        [ref one] => Some(one.clone()),
        _ => return Err(Problem::SearchForm(COMBINATION)),
    };
    let value = |name, form: fn(&str) -> Result<String, BadCriterion>, wrong| {
        let text = query.get(name)?;
        text.map(|text| form(text).map_err(|_| Problem::Criterion(wrong))).transpose()
    };
    let toll_free_vanity = value("tollFreeVanity", keys, Criterion::TollFreeVanity)?;
    let toll_free_pattern = value("tollFreeWildCardPattern", toll_free_pattern, Criterion::TollFreePattern)?;
    let toll_free = match (toll_free_vanity, toll_free_pattern) {
        (None, None) => None,
        (Some(digits), None) => Some(TollFree::Vanity(digits)),
        (None, Some(pattern)) => Some(TollFree::Pattern(pattern)),
        _ => return Err(Problem::SearchForm(COMBINATION)),
    };
    let ends_in = query.get("endsIn")?.map(|_| query.flag("endsIn", false)).transpose()?;
    let vanity = match query.get("localVanity")? {
        None if ends_in.is_some() => return Err(Problem::SearchForm(ENDS_IN)),
        None => None,
        Some(text) => {
            let digits = keys(text).map_err(|_| Problem::SearchForm(VANITY))?;
            Some(Vanity { digits, at_end: ends_in.unwrap_or(false) })
        }
    };
    let criteria = Criteria {
        prefix,
        region: value("state", region, Criterion::State)?,
        rate_center: value("rateCenter", city_name, Criterion::RateCenter)?,
        city: value("city", city_name, Criterion::City)?,
        lata: value("lata", lata, Criterion::Lata)?,
        zip: value("zip", zip, Criterion::Zip)?,
        vanity,
        toll_free,
    };
    if criteria.region.as_deref().is_some_and(|region| !area_codes::is_region(region)) {
        return Err(Problem::Criterion(Criterion::State));
    }
    if (criteria.rate_center.is_some() || criteria.city.is_some()) && criteria.region.is_none() {
        return Err(Problem::SearchAlso("State"));
    }
    if criteria.toll_free.is_some()
        && (Criteria { toll_free: None, ..criteria.clone() }) != Criteria::default()
    {
        return Err(Problem::SearchForm(COMBINATION));
    }
    let ordered_by = match query.get("orderBy")? {
        None => None,
        Some(text) => match ORDERS.iter().find(|(order, _)| order.eq_ignore_ascii_case(text)) {
            Some(_) if criteria.toll_free.is_some() => return Err(Problem::OrderBy),
            Some((_, digits)) => Some(*digits),
            None => return Err(Problem::OrderByValue),
        },
    };
    let protected = match query.get("protected")?.map(str::to_ascii_uppercase).as_deref() {
        None | Some("NONE") => Protected::None,
        Some("ONLY") => Protected::Only,
        Some("MIXED") => Protected::Mixed,
        Some(_) => return Err(Problem::Inventory),
    };
    // A search of the account's own numbers needs no criterion. A search of the pool needs one.
    if criteria.is_empty() && protected != Protected::Only {
        return Err(Problem::Search);
    }
    // onhook does not know which rate centers are local to each other, so a search is never widened.
    query.flag("LCA", true)?;
    // A toll-free number has no locality: the API's two searches for them return plain lists, whatever is asked.
    let details = query.flag("enableTNDetail", false)? && criteria.toll_free.is_none();
    Ok(Search {
        criteria,
        protected,
        quantity: query.size("quantity", QUANTITY_MAX, QUANTITY_MAX)?,
        details,
        ordered_by,
    })
}

const COMBINATION: &str = "The combination of search criteria is unsupported.";
const ENDS_IN: &str = "Ends In is meaningless without Local Vanity";
const VANITY: &str = "The localVanity value should contain 3 or more digits";

/// Returns the answer with the found numbers. If there are none, it is an empty `SearchResult`.
#[must_use]
pub fn found(dialect: Dialect, vendor: &Vendor, search: &Search, numbers: &[(Number, Locality)]) -> String {
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
            detail(&mut out, dialect, vendor, *number, locality);
            out.close("TelephoneNumberDetail");
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

/// Writes a number with its vendor and what is known of where it lies.
pub(crate) fn detail(
    out: &mut Document,
    dialect: Dialect,
    vendor: &Vendor,
    number: Number,
    locality: &Locality,
) {
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
    out.leaf("FullNumber", &dialect.number(number)).leaf_display("Tier", vendor.tier);
    out.leaf_display("VendorId", vendor.id).leaf("VendorName", &vendor.name);
}
