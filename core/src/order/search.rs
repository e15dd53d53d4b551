//! The criteria of a search, or of an order that searches.
//!
//! Not here: where a number lies (`locality`), or how a store finds the numbers that fit.

use crate::geo::BadCriterion;
use crate::ids::AccountId;
use crate::locality::Locality;
use crate::number::{Number, TOLL_FREE};

/// What numbers a search wants. A number must meet every criterion that is set. Empty criteria match every number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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
    /// Digits that a local number must spell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vanity: Option<Vanity>,
    /// Toll-free numbers, and which of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toll_free: Option<TollFree>,
}

impl Criteria {
    /// Returns criteria for all numbers that begin with these digits.
    #[must_use]
    pub fn prefix(digits: &str) -> Self {
        Self { prefix: Some(digits.to_owned()), ..Self::default() }
    }

    /// Returns whether no criterion is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether waiting for more such numbers makes no sense: they are wanted by exchange, by block or by what
    /// they spell (contract: error 5522).
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.prefix.as_ref().is_some_and(|digits| digits.len() > 3)
            || self.vanity.is_some()
            || matches!(self.toll_free, Some(TollFree::Vanity(_)))
    }

    /// Returns whether a number with this locality meets the criteria.
    #[must_use]
    pub fn fits(&self, number: Number, locality: &Locality) -> bool {
        let by_digits = match number.npa_nxx() {
            Some(npa_nxx) => {
                self.spans(npa_nxx).iter().any(|(first, end)| (*first..*end).contains(&number.digits()))
            }
            None => self.prefix.is_none() && self.vanity.is_none() && self.toll_free.is_none(),
        };
        by_digits && self.lies(locality)
    }

    /// Returns whether this locality meets the criteria.
    #[must_use]
    pub fn lies(&self, locality: &Locality) -> bool {
        let same = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        same(&self.region, &locality.region)
            && same(&self.rate_center, &locality.rate_center)
            && same(&self.city, &locality.city)
            && same(&self.lata, &locality.lata)
            && self.zip.as_ref().is_none_or(|zip| locality.zips.contains(zip))
    }

    /// Returns the numbers of an exchange whose digits meet the criteria, as spans: [`Number::digits`] of the first
    /// and one past the last. Spans are in order and do not touch. The whole exchange is one span.
    #[must_use]
    pub fn spans(&self, npa_nxx: u32) -> Vec<(u64, u64)> {
        let first = 10_000_000_000 + u64::from(npa_nxx) * 10_000;
        let npa = u16::try_from(npa_nxx / 1_000).unwrap_or_default();
        let toll_free = TOLL_FREE.contains(&npa);
        let (wanted, at_end) = match (&self.vanity, &self.toll_free) {
            (Some(_), Some(_)) => return Vec::new(), // no number is both
            (Some(_), _) if toll_free => return Vec::new(),
            (Some(vanity), _) => (Some(vanity.digits.as_str()), vanity.at_end),
            (None, Some(_)) if !toll_free => return Vec::new(),
            (None, Some(TollFree::Pattern(pattern))) if !fits(pattern, &npa.to_string()) => {
                return Vec::new();
            }
            (None, Some(TollFree::Vanity(digits))) => (Some(digits.as_str()), false),
            (None, _) => (None, false),
        };
        let (lowest, highest) = match &self.prefix {
            None => (first, first + 10_000),
            Some(prefix) => match Number::nanp_range(prefix) {
                None => return Vec::new(),
                Some((lowest, highest)) => (lowest.max(first), highest.min(first + 10_000)),
            },
        };
        let spelled = wanted.map_or(vec![(0, 10_000)], |digits| spelled(npa_nxx % 1_000, digits, at_end));
        let mut spans: Vec<(u64, u64)> = Vec::new();
        for (from, until) in spelled {
            let (from, until) = ((first + from).max(lowest), (first + until).min(highest));
            match spans.last_mut() {
                _ if from >= until => {}
                Some(last) if from <= last.1 => last.1 = last.1.max(until),
                _ => spans.push((from, until)),
            }
        }
        spans
    }
}

/// Returns the lines of an exchange (its last four digits) whose numbers have these four to seven digits somewhere
/// after the area code, or only at the end. Each span is its first and one past its last line, in order.
fn spelled(nxx: u32, digits: &str, at_end: bool) -> Vec<(u64, u64)> {
    if !(4..=7).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let nxx = format!("{nxx:03}");
    let last = 7 - digits.len();
    let mut spans = Vec::new();
    for offset in if at_end { last..=last } else { 0..=last } {
        // Digits that fall in the exchange must be its own. Four or more digits always reach its end.
        let (of_exchange, of_line) = digits.split_at(3 - offset.min(3));
        if nxx[offset.min(3)..] != *of_exchange {
            continue;
        }
        let free = 10_u64.pow(u32::try_from(4 - of_line.len()).unwrap_or_default());
        let from = of_line.parse::<u64>().unwrap_or_default() * free;
        spans.push((from, from + free));
    }
    spans.sort_unstable();
    spans
}

/// Returns four to seven digits for a text: each letter becomes the digit of its key (ITU-T E.161).
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

/// Reads a pattern of toll-free area codes, such as `8**`, `80*`, or a single one, `888`.
///
/// # Errors
/// [`BadCriterion`]; `Unknown` if no toll-free area code fits.
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

/// Returns whether digits fit a pattern of the same length, in which `*` is any digit.
#[must_use]
pub fn fits(pattern: &str, digits: &str) -> bool {
    pattern.len() == digits.len() && pattern.bytes().zip(digits.bytes()).all(|(p, d)| p == b'*' || p == d)
}

/// Digits that a number spells after its area code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Vanity {
    /// Four to seven digits; letters are already the digits of their keys.
    pub digits: String,
    /// True if the number must end with them.
    pub at_end: bool,
}

/// Which toll-free numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum TollFree {
    /// By area code, `*` for any digit: `8**`, `80*`, `888`.
    Pattern(String),
    /// By the digits that they spell after the area code, four to seven.
    Vanity(String),
}

/// Whose numbers are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inventory {
    /// The pool.
    Pool,
    /// An account's protected numbers.
    Protected(AccountId),
    /// Both.
    Both(AccountId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::{city_name, lata, leading, region, zip};

    #[test]
    fn spans_are_the_numbers_that_spell_it_and_no_others() {
        let digits = |text: &str, at_end| Criteria {
            vanity: Some(Vanity { digits: text.into(), at_end }),
            ..Criteria::default()
        };
        let nowhere = Locality::default();
        // Each number of a few exchanges, against the plain meaning of the words.
        for npa_nxx in [919_555, 919_225, 336_522, 800_555] {
            for (text, at_end) in [
                ("5555", false),
                ("5555", true),
                ("2255", false),
                ("5522", false),
                ("55501", false),
                ("555010", false),
                ("5550100", false),
                ("2525", true),
                ("25250", true),
                ("522525", true),
            ] {
                let criteria = digits(text, at_end);
                for line in 0..10_000 {
                    let number = Number::from_digits(10_000_000_000 + npa_nxx * 10_000 + line).unwrap();
                    let seven = &number.ten_digits().unwrap()[3..];
                    let has = if at_end { seven.ends_with(text) } else { seven.contains(text) };
                    assert_eq!(
                        criteria.fits(number, &nowhere),
                        has && !number.is_toll_free(),
                        "{number} {text}"
                    );
                }
            }
        }
        assert_eq!(digits("5555", false).spans(919_555), [(19_195_555_000, 19_195_556_000)]);
        assert_eq!(Criteria::default().spans(919_555), [(19_195_550_000, 19_195_560_000)]);
        assert_eq!(Criteria::prefix("9195551").spans(919_555), [(19_195_551_000, 19_195_552_000)]);
        assert!(Criteria::prefix("919").spans(336_555).is_empty());
        let toll_free = |wanted| Criteria { toll_free: Some(wanted), ..Criteria::default() };
        let pattern = |text: &str| toll_free(TollFree::Pattern(text.into()));
        assert_eq!(pattern("8**").spans(888_555).len(), 1);
        assert!(pattern("80*").spans(888_555).is_empty() && pattern("8**").spans(919_555).is_empty());
        assert_eq!(toll_free(TollFree::Vanity("5550".into())).spans(888_555).len(), 4);
    }

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
        assert_eq!(city_name(" New York "), ok("NEW YORK"));
        assert_eq!((city_name(""), city_name("a\u{7}")), (Err(Length), Err(Characters)));
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
