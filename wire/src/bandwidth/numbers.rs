//! No number of a request is passed over.
//!
//! Unknown elements are passed over, but a number in one would be lost in silence: a client would believe that an order
//! had done numbers that it left out. So a list of numbers may hold nothing but numbers, and a number may be nowhere
//! else.

use onhook_core::number::Number;

use crate::error::Problem;
use crate::text::xml::Element;

/// The names that this API and its clients use for numbers and for lists of them.
const NAMES: [&str; 11] = [
    "TelephoneNumber",
    "TelephoneNumberList",
    "TelephoneNumbers",
    "PhoneNumber",
    "PhoneNumberList",
    "PhoneNumbers",
    "SipPeerTelephoneNumbers",
    "FullNumber",
    "Tn",
    "TnList",
    "Tns",
];

/// Checks that no number is left unread: beside a list, under another name in it, or as bare text. Call it after
/// everything else of the document has been read. `wanted` is the element that a number belongs in.
///
/// # Errors
/// [`Problem::Stray`] with the name of the element that was passed over.
pub(crate) fn all_read(element: &Element<'_>, wanted: &'static str) -> Result<(), Problem> {
    let stray = |element: &Element<'_>| Err(Problem::Stray(element.name.to_owned(), wanted));
    // An element that was read as a text has nothing else in it.
    if element.is_read() {
        return Ok(());
    }
    let is_list = is_named(element);
    let text = element.content();
    if has_number(text) || (is_list && !text.trim().is_empty()) {
        return stray(element);
    }
    for child in &element.children {
        if child.is_found() {
            all_read(child, wanted)?;
        } else if is_list || holds_number(child) {
            return stray(child);
        }
    }
    Ok(())
}

fn is_named(element: &Element<'_>) -> bool {
    NAMES.iter().any(|name| element.is(name))
}

/// Returns whether an unknown element holds a number: a text that reads as one, or any text under the name of one.
fn holds_number(element: &Element<'_>) -> bool {
    (is_named(element) && says_something(element))
        || has_number(element.content())
        || element.children.iter().any(holds_number)
}

fn says_something(element: &Element<'_>) -> bool {
    !element.content().trim().is_empty() || element.children.iter().any(says_something)
}

fn has_number(text: &str) -> bool {
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    words.any(|word| word.parse::<Number>().is_ok())
}
