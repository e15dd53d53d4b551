//! A telephone number, checked once, when it is read.
//!
//! Not here: what state a number is in (`lifecycle`), or how it is printed in a document (`wire`).

use std::fmt;
use std::str::FromStr;

/// Fewest digits of an E.164 number that onhook takes, country code included.
pub const DIGITS_MIN: usize = 8;
/// Most digits of an E.164 number (ITU-T E.164, 6.2.1).
pub const DIGITS_MAX: usize = 15;

/// First number of the North American plan, as an integer of eleven digits.
const NANP_FIRST: u64 = 12_000_000_000;
/// One past the last number of the North American plan.
const NANP_END: u64 = 20_000_000_000;

/// The area codes of toll-free numbers in the North American plan.
pub const TOLL_FREE: [u16; 7] = [800, 833, 844, 855, 866, 877, 888];

/// A telephone number in E.164. It is always valid.
///
/// Numbers are ordered by their digits, so those of an area code are next to each other.
///
/// ```
/// use onhook_core::number::Number;
/// let number: Number = "5405514342".parse().unwrap();
/// assert_eq!(number, "+15405514342".parse().unwrap());
/// assert_eq!(number.to_string(), "+15405514342");
/// assert_eq!(number.ten_digits().as_deref(), Some("5405514342"));
/// assert_eq!(number.masked().to_string(), "***4342");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Number(u64); // digits without the `+`; private, so that each one is checked

/// Why a text is not a telephone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Something other than ASCII digits after an optional `+`.
    #[error("only ASCII digits, after an optional `+`")]
    NotDigits,
    /// Too few or too many digits.
    #[error("{}: ten, or `+` and {DIGITS_MIN} to {DIGITS_MAX}, are wanted", digits(.0))]
    Length(usize),
    /// An E.164 number cannot begin with 0.
    #[error("a country code cannot begin with 0")]
    CountryCode,
    /// The area code cannot exist in the North American plan.
    #[error("no area code {0}: it begins with 2 to 9, its second digit is not 9 and it does not end in 11")]
    AreaCode(u64),
    /// The exchange cannot exist in the North American plan.
    #[error("no exchange {0}: it begins with 2 to 9 and does not end in 11")]
    Exchange(u64),
}

fn digits(count: &usize) -> String {
    if *count == 1 { "1 digit".to_owned() } else { format!("{count} digits") }
}

impl Number {
    /// Returns the number with these digits, country code included, no `+`.
    ///
    /// # Errors
    /// [`NumberError`] if no telephone number has these digits.
    pub fn from_digits(digits: u64) -> Result<Self, NumberError> {
        let length = digits.checked_ilog10().map_or(1, |log| log + 1);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(DIGITS_MIN..=DIGITS_MAX).contains(&length) {
            return Err(NumberError::Length(length));
        }
        if leading_digit(digits) == 1 {
            check_nanp(digits, length)?;
        }
        Ok(Self(digits))
    }

    /// Returns the digits without the `+`, as an integer. A store keeps this.
    #[must_use]
    pub fn digits(self) -> u64 {
        self.0
    }

    /// Returns whether the number belongs to the North American plan (country code 1).
    #[must_use]
    pub fn is_nanp(self) -> bool {
        (NANP_FIRST..NANP_END).contains(&self.0)
    }

    /// Returns the ten digits of a North American number. `None` for others.
    #[must_use]
    pub fn ten_digits(self) -> Option<String> {
        self.is_nanp().then(|| format!("{:010}", self.0 - 10_000_000_000))
    }

    /// Returns the area code (NPA) of a North American number. `None` for others.
    #[must_use]
    pub fn area_code(self) -> Option<u16> {
        self.is_nanp().then(|| u16::try_from(self.0 / 10_000_000 % 1_000).unwrap_or_default())
    }

    /// Returns area code and exchange (NPA-NXX), six digits, of a North American number. `None` for others.
    #[must_use]
    pub fn npa_nxx(self) -> Option<u32> {
        self.is_nanp().then(|| u32::try_from(self.0 / 10_000 % 1_000_000).unwrap_or_default())
    }

    /// Returns whether callers pay nothing: 800, 833, 844, 855, 866, 877, 888.
    #[must_use]
    pub fn is_toll_free(self) -> bool {
        self.area_code().is_some_and(|npa| TOLL_FREE.contains(&npa))
    }

    /// Returns the number with only its last four digits shown: for logs.
    #[must_use]
    pub fn masked(self) -> Masked {
        Masked(self)
    }

    /// Returns the range of all North American numbers that begin with `prefix`, as [`Number::digits`] of the first and
    /// one past the last. `prefix` has 1 to 10 digits, without the country code; `None` for anything else.
    #[must_use]
    pub fn nanp_range(prefix: &str) -> Option<(u64, u64)> {
        let length = prefix.len();
        if !(1..=10).contains(&length) || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let span = 10_u64.pow(u32::try_from(10 - length).ok()?);
        let first = 10_000_000_000 + prefix.parse::<u64>().ok()? * span;
        Some((first, first + span))
    }
}

fn leading_digit(digits: u64) -> u64 {
    digits.checked_ilog10().map_or(0, |log| digits / 10_u64.pow(log))
}

/// Checks NPA = [2-9][0-8]X and NXX = [2-9]XX, neither N11 (NANPA's numbering form; N9X is reserved for a longer
/// plan).
fn check_nanp(digits: u64, length: usize) -> Result<(), NumberError> {
    if length != 11 {
        return Err(NumberError::Length(length));
    }
    let npa = digits / 10_000_000 % 1_000;
    let nxx = digits / 10_000 % 1_000;
    if npa < 200 || npa % 100 == 11 || npa / 10 % 10 == 9 {
        return Err(NumberError::AreaCode(npa));
    }
    if nxx < 200 || nxx % 100 == 11 {
        return Err(NumberError::Exchange(nxx));
    }
    Ok(())
}

impl FromStr for Number {
    type Err = NumberError;

    /// Takes ten digits, `1` and ten digits, `+1` and ten digits, or `+` and another E.164 number. Unicode
    /// white space around them is ignored: spreadsheets leave no-break spaces there.
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let text = text.trim();
        let (plus, digits) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NumberError::NotDigits);
        }
        if digits.len() > DIGITS_MAX || digits.len() < DIGITS_MIN {
            return Err(NumberError::Length(digits.len()));
        }
        let value: u64 = digits.parse().map_err(|_| NumberError::NotDigits)?;
        match (plus, digits.len()) {
            (false, 10) => Self::from_digits(10_000_000_000 + value),
            (false, 11) if digits.starts_with('1') => Self::from_digits(value),
            (false, length) => Err(NumberError::Length(length)),
            (true, _) if digits.starts_with('0') => Err(NumberError::CountryCode),
            (true, _) => Self::from_digits(value),
        }
    }
}

impl TryFrom<u64> for Number {
    type Error = NumberError;
    fn try_from(digits: u64) -> Result<Self, NumberError> {
        Self::from_digits(digits)
    }
}

impl From<Number> for u64 {
    fn from(number: Number) -> u64 {
        number.0
    }
}

impl fmt::Display for Number {
    /// E.164, with the `+`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

/// A number of which only the last four digits show.
#[derive(Clone, Copy)]
pub struct Masked(Number);

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "***{:04}", self.0.0 % 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_in_the_forms_that_clients_send() {
        for (text, wanted) in [
            ("5405514342", "+15405514342"),
            ("15405514342", "+15405514342"),
            ("+15405514342", "+15405514342"),
            ("+33140289562", "+33140289562"),
            ("8005550100", "+18005550100"),
            (" 5405514342\n", "+15405514342"),
            ("\u{A0}+15405514342\u{202F}", "+15405514342"),
        ] {
            assert_eq!(text.parse::<Number>().map(|n| n.to_string()), Ok(wanted.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        use NumberError::*;
        for (text, why) in [
            ("", NotDigits),
            ("+", NotDigits),
            ("540551434", Length(9)),
            ("888942232323", Length(12)),
            ("25405514342", Length(11)),
            ("+1540551434", Length(10)),
            ("+154055143422", Length(12)),
            ("+1234567890123456", Length(16)),
            ("+0140289562", CountryCode),
            ("0405514342", AreaCode(40)),
            ("1405514342", AreaCode(140)),
            ("2115514342", AreaCode(211)),
            ("2905514342", AreaCode(290)),
            ("5401514342", Exchange(151)),
            ("5409114342", Exchange(911)),
            ("540-551-4342", NotDigits),
            ("+ 15405514342", NotDigits),
            ("540\u{A0}551\u{A0}4342", NotDigits),
            ("\u{A0}", NotDigits),
            ("٥٤٠٥٥١٤٣٤٢", NotDigits),
            ("５４０５５１４３４２", NotDigits),
            ("540551434a", NotDigits),
            ("++15405514342", NotDigits),
        ] {
            assert_eq!(text.parse::<Number>(), Err(why), "{text}");
        }
    }

    #[test]
    fn parts_of_a_number() {
        let number: Number = "9195550123".parse().unwrap();
        assert_eq!((number.area_code(), number.npa_nxx()), (Some(919), Some(919_555)));
        let french: Number = "+33140289562".parse().unwrap();
        assert_eq!((french.area_code(), french.ten_digits()), (None, None));
        assert!("8335550100".parse::<Number>().unwrap().is_toll_free());
        assert!(!number.is_toll_free());
        assert_eq!(Number::nanp_range("919"), Some((19_190_000_000, 19_200_000_000)));
        assert_eq!(Number::nanp_range("9x9"), None);
    }
}
