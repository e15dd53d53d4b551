//! Lists and counts of an account's numbers (contract §2.1 and §2.2).

use onhook_core::number::Number;

use super::dialect::Dialect;
use super::query::Links;
use crate::error::Family;
use crate::text::xml::Document;

/// The form of errors of the lists.
pub const LIST_FAMILY: Family = Family::Response("TNs");

/// Returns the answer with a page of a list of numbers.
#[must_use]
pub fn list(dialect: Dialect, numbers: &[Number], total: u64, links: &Links) -> String {
    let mut out = Document::new();
    out.open("TNs").leaf_display("TotalCount", total);
    links.write(&mut out);
    out.open("TelephoneNumbers").leaf_display("Count", numbers.len());
    for number in numbers {
        out.leaf("TelephoneNumber", &dialect.number(*number));
    }
    out.close("TelephoneNumbers").close("TNs");
    out.finish()
}

/// Returns the answer with the count of numbers.
#[must_use]
pub fn quantity(count: u64) -> String {
    let mut out = Document::new();
    out.open("Quantity").leaf_display("Count", count).close("Quantity");
    out.finish()
}
