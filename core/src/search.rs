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
