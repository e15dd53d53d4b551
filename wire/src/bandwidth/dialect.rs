//! The two dialects of the API: v1 and v2 (contract: decision 11 and §8).

use onhook_core::number::Number;
use onhook_core::order::Mode;

/// The dialect of a request, by its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Ten digits, an order needs a name, modes in lower case.
    V1,
    /// E.164, names optional, modes in upper case.
    V2,
}

impl Dialect {
    /// Returns a number as this dialect prints it. A number outside the North American plan is E.164 in both.
    #[must_use]
    pub fn number(self, number: Number) -> String {
        match (self, number.ten_digits()) {
            (Dialect::V1, Some(ten)) => ten,
            _ => number.to_string(),
        }
    }

    /// Returns a disconnect mode as this dialect prints it.
    #[must_use]
    pub fn mode(self, mode: Mode) -> &'static str {
        match (self, mode) {
            (Dialect::V1, mode) => mode.word(),
            (Dialect::V2, Mode::Normal) => "NORMAL",
            (Dialect::V2, Mode::SoftRemove) => "SOFT-REMOVE",
            (Dialect::V2, Mode::Purge) => "PURGE",
        }
    }
}
