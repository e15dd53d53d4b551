//! No number of a request is passed over.
//!
//! An element that no reader knows is passed over, but a number in one would be lost in silence: a client would
//! take an order for done that left some numbers out. So nothing but numbers may stand in a list of them, and a
//! number may stand nowhere else.

use onhook_core::number::Number;

use crate::error::Problem;
use crate::text::xml::Element;

/// The names that this API and its clients have for numbers and for lists of them.
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

/// Makes sure that no number stands where nobody has read it: beside a list, under another name in it, or as bare
/// text. To be asked once all that will be read of a document has been; `wanted` is the element that a number
/// belongs into.
///
/// # Errors
/// [`Problem::Stray`] with the name of the element that was passed over.
pub(crate) fn all_read(element: &Element<'_>, wanted: &'static str) -> Result<(), Problem> {
    let stray = |element: &Element<'_>| Err(Problem::Stray(element.name.to_owned(), wanted));
    // What was read as a text has nothing else in it.
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

/// Whether an element that nobody knows has a number in it: what reads as one, or any text under a name of one.
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
