//! What the documents of orders share: an order's names, its numbers, and how both are repeated.

use std::collections::HashSet;

use onhook_core::number::Number;
use onhook_core::order::{CUSTOMER_ORDER_ID_MAX, NUMBERS_MAX};

use crate::error::{Problem, beginning, cut};
use crate::text::xml::{Document, Element};

/// The element of a number in a list.
pub(crate) const LISTED: &str = "TelephoneNumber";

/// Returns the numbers under `TelephoneNumberList`, as sent. `None` if there is no list.
pub(crate) fn numbers_of<'a>(parent: &'a Element<'_>) -> Result<Option<Vec<&'a str>>, Problem> {
    let list = parent.child("TelephoneNumberList")?;
    Ok(list.map(|list| list.texts_of(LISTED)).transpose()?)
}

/// Checks the client's names for an order: a name with a limited length, and an id.
pub(crate) fn check_names(
    name: Option<&str>,
    name_max: usize,
    customer_order_id: Option<&str>,
) -> Result<(), Problem> {
    match name.filter(|name| !name.is_empty()) {
        Some(name) if name.chars().count() > name_max => return Err(Problem::TooLong("Name", name_max)),
        Some(name) if name.chars().any(char::is_control) => {
            return Err(Problem::BadRequest("a name has no control characters".into()));
        }
        _ => {}
    }
    let fits = |id: &str| {
        (1..=CUSTOMER_ORDER_ID_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b' ')
    };
    match customer_order_id {
        Some(id) if !fits(id) => Err(Problem::CustomerOrderId),
        _ => Ok(()),
    }
}

/// Returns the numbers of an order: at least one, not too many, each a number, none twice, all of one plan.
pub(crate) fn check_numbers(texts: Option<&[&str]>) -> Result<Vec<Number>, Problem> {
    let texts = texts.ok_or(Problem::NoList)?;
    if texts.is_empty() {
        return Err(Problem::EmptyList);
    }
    if texts.len() > NUMBERS_MAX {
        return Err(Problem::TooManyNumbers(NUMBERS_MAX));
    }
    let number = |text: &&str| {
        text.parse().map_err(|_| match text.trim() {
            "" => Problem::NumberRequired,
            _ => Problem::Number(cut(text)),
        })
    };
    let numbers = texts.iter().map(number).collect::<Result<Vec<Number>, Problem>>()?;
    no_number_twice(texts, &numbers)?;
    if numbers.iter().any(|n| n.is_nanp() != numbers[0].is_nanp()) {
        return Err(Problem::MixedNumbers);
    }
    Ok(numbers)
}

/// Refuses a repeated number. The error names it as it was sent the second time.
pub(crate) fn no_number_twice(texts: &[&str], numbers: &[Number]) -> Result<(), Problem> {
    let mut seen = HashSet::with_capacity(numbers.len());
    match texts.iter().zip(numbers).find(|(_, number)| !seen.insert(**number)) {
        Some((text, _)) => Err(Problem::DuplicateNumbers(cut(text))),
        None => Ok(()),
    }
}

/// Repeats the client's names for an order. A name that is too long is cut.
pub(crate) fn echo_names(
    out: &mut Document,
    name: Option<&str>,
    name_max: usize,
    customer_order_id: Option<&str>,
) {
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        out.leaf("Name", beginning(name, name_max));
    }
    if let Some(id) = customer_order_id {
        out.leaf("CustomerOrderId", beginning(id, CUSTOMER_ORDER_ID_MAX));
    }
}

/// Repeats the numbers as sent: at most as many as an order takes, each cut to a few characters.
pub(crate) fn echo_numbers(out: &mut Document, numbers: Option<&[&str]>) {
    if let Some(numbers) = numbers {
        out.open("TelephoneNumberList");
        for number in numbers.iter().take(NUMBERS_MAX) {
            out.leaf("TelephoneNumber", &cut(number));
        }
        out.close("TelephoneNumberList");
    }
}
