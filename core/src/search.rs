//! What a search, or an order that searches, wants of the pool.
//!
//! Not here: where a number lies (`hold`'s areas, and what an operator imports about them), or how a
//! store finds what fits.

use crate::account::AccountId;

/// What numbers have to be like. Everything that is given must hold; of one that gives nothing, every
/// number is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Criteria {
    /// The first digits, without the country code: an area code (3), an exchange (6) or a block (7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// State or province, two letters, upper case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The rate center's abbreviation, upper case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_center: Option<String>,
    /// The city, upper case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// The LATA, three or five digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lata: Option<String>,
    /// The ZIP code, five digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zip: Option<String>,
    /// Digits that a local number spells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vanity: Option<Vanity>,
    /// Toll-free numbers, and which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toll_free: Option<TollFree>,
}

impl Criteria {
    /// All numbers that begin with these digits.
    #[must_use]
    pub fn prefix(digits: &str) -> Self {
        Self { prefix: Some(digits.to_owned()), ..Self::default() }
    }

    /// Whether nothing is wanted in particular.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the numbers are named so narrowly that waiting for more of them makes no sense: by exchange,
    /// block or what they spell (contract: error 5522).
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.prefix.as_ref().is_some_and(|digits| digits.len() > 3)
            || self.vanity.is_some()
            || matches!(self.toll_free, Some(TollFree::Vanity(_)))
    }
}

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
pub const PLACE_MAX: usize = 50;

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
pub fn place(text: &str) -> Result<String, BadCriterion> {
    match text.trim() {
        "" => Err(BadCriterion::Length),
        text if text.chars().count() > PLACE_MAX => Err(BadCriterion::Length),
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

/// The digits on whose keys the letters stand (ITU-T E.161); four to seven of them.
///
/// # Errors
/// [`BadCriterion`].
pub fn keys(text: &str) -> Result<String, BadCriterion> {
    let key = |c: u8| match c.to_ascii_uppercase() {
        b'0'..=b'9' => Some(char::from(c)),
        b'A'..=b'C' => Some('2'),
        b'D'..=b'F' => Some('3'),
        b'G'..=b'I' => Some('4'),
        b'J'..=b'L' => Some('5'),
        b'M'..=b'O' => Some('6'),
        b'P'..=b'S' => Some('7'),
        b'T'..=b'V' => Some('8'),
        b'W'..=b'Z' => Some('9'),
        _ => None,
    };
    let digits = text.bytes().map(key).collect::<Option<String>>().ok_or(BadCriterion::Characters)?;
    match digits.len() {
        4..=7 => Ok(digits),
        _ => Err(BadCriterion::Length),
    }
}

/// A pattern of toll-free area codes: `8**`, `80*`, `87*` and their like, or one of them, `888`.
///
/// # Errors
/// [`BadCriterion`]; `Unknown` where no toll-free area code fits.
pub fn toll_free_pattern(text: &str) -> Result<String, BadCriterion> {
    match text {
        _ if !text.bytes().all(|b| b.is_ascii_digit() || b == b'*') => Err(BadCriterion::Characters),
        _ if text.len() != 3 => Err(BadCriterion::Length),
        _ if !crate::number::TOLL_FREE.iter().any(|npa| fits(text, &npa.to_string())) => {
            Err(BadCriterion::Unknown)
        }
        _ => Ok(text.to_owned()),
    }
}

/// Whether digits fit a pattern of the same length in which `*` is any digit.
#[must_use]
pub fn fits(pattern: &str, digits: &str) -> bool {
    pattern.len() == digits.len() && pattern.bytes().zip(digits.bytes()).all(|(p, d)| p == b'*' || p == d)
}

/// Digits that a number spells, after its area code.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Vanity {
    /// Four to seven digits; letters are already the digits of their keys.
    pub digits: String,
    /// Whether they stand at the number's end, and not just anywhere in it.
    pub at_end: bool,
}

/// Which toll-free numbers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum TollFree {
    /// By area code, `*` for any digit: `8**`, `80*`, `888`.
    Pattern(String),
    /// By the digits that it spells after the area code, four to seven.
    Vanity(String),
}

/// Whose numbers are looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inventory {
    /// Everybody's: the pool.
    Pool,
    /// An account's protected numbers.
    Protected(AccountId),
    /// Both.
    Both(AccountId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_have_a_form() {
        use BadCriterion::{Characters, Length, Unknown};
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(leading("919", 3), ok("919"));
        assert_eq!(leading("919355", 6), ok("919355"));
        assert_eq!(leading("9193551", 7), ok("9193551"));
        assert_eq!(leading("91", 3), Err(Length));
        assert_eq!(leading("9x9", 3), Err(Characters));
        for text in ["119", "911", "299", "96１"] {
            assert!(leading(text, 3).is_err(), "{text}");
        }
        assert_eq!(leading("919055", 6), Err(Unknown));
        assert_eq!(region("nc"), ok("NC"));
        assert_eq!((region("N"), region("N1")), (Err(Length), Err(Characters)));
        assert_eq!(place(" New York "), ok("NEW YORK"));
        assert_eq!((place(""), place("a\u{7}")), (Err(Length), Err(Characters)));
        assert_eq!((lata("224"), lata("22401"), lata("2240")), (ok("224"), ok("22401"), Err(Length)));
        assert_eq!(
            (zip("27606"), zip("27606-1234"), zip("27606-12")),
            (ok("27606"), ok("27606"), Err(Length))
        );
        assert_eq!(
            (keys("NEWCAR"), keys("2bad"), keys("abc"), keys("a-bc")),
            (ok("639227"), ok("2223"), Err(Length), Err(Characters))
        );
        assert_eq!((toll_free_pattern("8**"), toll_free_pattern("87*")), (ok("8**"), ok("87*")));
        assert_eq!((toll_free_pattern("9**"), toll_free_pattern("88")), (Err(Unknown), Err(Length)));
    }
}
