//! The forms of geographical names and codes, as a client or a file may write them.
//!
//! Not here: which of them exist (`area_codes`), or where a number lies (`locality`).

/// Why a text is not a valid criterion. The caller knows which criterion it was, and words the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCriterion {
    /// Its length is wrong.
    #[error("it has another length")]
    Length,
    /// It has characters that are not allowed.
    #[error("it has characters that do not belong there")]
    Characters,
    /// Its form is right, but nothing has this name or code.
    #[error("there is no such thing")]
    Unknown,
}

/// Longest name of a city or rate center, in characters.
pub const CITY_NAME_MAX: usize = 50;

/// Returns `text` if it is digits of one of these lengths.
fn digits(text: &str, lengths: &[usize]) -> Result<String, BadCriterion> {
    match text {
        _ if !text.bytes().all(|b| b.is_ascii_digit()) => Err(BadCriterion::Characters),
        _ if !lengths.contains(&text.len()) => Err(BadCriterion::Length),
        _ => Ok(text.to_owned()),
    }
}

/// Returns the first `length` digits of a number of the North American plan: an area code and what follows it.
///
/// # Errors
/// [`BadCriterion`]; `Unknown` if no number begins with them.
pub fn leading(text: &str, length: usize) -> Result<String, BadCriterion> {
    let digits = digits(text, &[length])?;
    let whole = format!("{digits}{}", &"2000000"[digits.len().saturating_sub(3).min(7)..]);
    match whole.parse::<crate::number::Number>() {
        Ok(_) => Ok(digits),
        Err(_) => Err(BadCriterion::Unknown),
    }
}

/// Returns the two letters of a state or province, in upper case. It need not exist.
///
/// # Errors
/// [`BadCriterion`].
pub fn region(text: &str) -> Result<String, BadCriterion> {
    match text {
        _ if !text.bytes().all(|b| b.is_ascii_alphabetic()) => Err(BadCriterion::Characters),
        _ if text.len() != 2 => Err(BadCriterion::Length),
        _ => Ok(text.to_ascii_uppercase()),
    }
}

/// Returns the name of a city or rate center, in upper case. It need not exist.
///
/// # Errors
/// [`BadCriterion`].
pub fn city_name(text: &str) -> Result<String, BadCriterion> {
    match text.trim() {
        "" => Err(BadCriterion::Length),
        text if text.chars().count() > CITY_NAME_MAX => Err(BadCriterion::Length),
        text if text.chars().any(char::is_control) => Err(BadCriterion::Characters),
        text => Ok(text.to_uppercase()),
    }
}

/// Returns a LATA: three digits, or five if it is divided.
///
/// # Errors
/// [`BadCriterion`].
pub fn lata(text: &str) -> Result<String, BadCriterion> {
    digits(text, &[3, 5])
}

/// Returns a ZIP code of five digits: of nine, the first five.
///
/// # Errors
/// [`BadCriterion`].
pub fn zip(text: &str) -> Result<String, BadCriterion> {
    match text.split_once('-') {
        None => digits(text, &[5]),
        Some((first, last)) => digits(last, &[4]).and_then(|_| digits(first, &[5])),
    }
}
