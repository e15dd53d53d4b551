//! The forms of geographical names and codes, as a client or a file may write them.
//!
//! Not here: which of them exist (`area_codes`), or where a number lies (`locality`).

/// Why a text is no criterion. Which one was meant, and in which words it is told, is for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCriterion {
    /// It has another length.
    #[error("it has another length")]
    Length,
    /// It has characters that do not belong there.
    #[error("it has characters that do not belong there")]
    Characters,
    /// It has the right form, but there is no such thing.
    #[error("there is no such thing")]
    Unknown,
}

/// Longest name of a city or rate center, in characters.
pub const CITY_NAME_MAX: usize = 50;

/// Digits of one of these lengths.
fn digits(text: &str, lengths: &[usize]) -> Result<String, BadCriterion> {
    match text {
        _ if !text.bytes().all(|b| b.is_ascii_digit()) => Err(BadCriterion::Characters),
        _ if !lengths.contains(&text.len()) => Err(BadCriterion::Length),
        _ => Ok(text.to_owned()),
    }
}

/// The first digits of a number of the North American plan: an area code and what follows, so many digits.
///
/// # Errors
/// [`BadCriterion`]; `Unknown` where no number begins so.
pub fn leading(text: &str, length: usize) -> Result<String, BadCriterion> {
    let digits = digits(text, &[length])?;
    let whole = format!("{digits}{}", &"2000000"[digits.len().saturating_sub(3).min(7)..]);
    match whole.parse::<crate::number::Number>() {
        Ok(_) => Ok(digits),
        Err(_) => Err(BadCriterion::Unknown),
    }
}

/// A state or province by its two letters, in upper case.
///
/// # Errors
/// [`BadCriterion`]. Whether there is one of that name is not asked.
pub fn region(text: &str) -> Result<String, BadCriterion> {
    match text {
        _ if !text.bytes().all(|b| b.is_ascii_alphabetic()) => Err(BadCriterion::Characters),
        _ if text.len() != 2 => Err(BadCriterion::Length),
        _ => Ok(text.to_ascii_uppercase()),
    }
}

/// A city's or rate center's name, in upper case.
///
/// # Errors
/// [`BadCriterion`]. Whether there is one of that name is not asked.
pub fn city_name(text: &str) -> Result<String, BadCriterion> {
    match text.trim() {
        "" => Err(BadCriterion::Length),
        text if text.chars().count() > CITY_NAME_MAX => Err(BadCriterion::Length),
        text if text.chars().any(char::is_control) => Err(BadCriterion::Characters),
        text => Ok(text.to_uppercase()),
    }
}

/// A LATA: three digits, or five where it is divided.
///
/// # Errors
/// [`BadCriterion`].
pub fn lata(text: &str) -> Result<String, BadCriterion> {
    digits(text, &[3, 5])
}

/// A ZIP code: five digits, of nine the first five.
///
/// # Errors
/// [`BadCriterion`].
pub fn zip(text: &str) -> Result<String, BadCriterion> {
    match text.split_once('-') {
        None => digits(text, &[5]),
        Some((first, last)) => digits(last, &[4]).and_then(|_| digits(first, &[5])),
    }
}
