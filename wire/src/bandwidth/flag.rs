//! True and false in elements and parameters, and the problem of any other text.

use crate::error::{Problem, cut};
pub(super) use crate::text::flag::parse;
use crate::text::xml::Element;

/// The words that an error names. The figures 1 and 0 are accepted too.
const VALID: &[&str] = &["true", "false"];

/// Returns the boolean value of a text. `name` is named in the error.
///
/// # Errors
/// [`Problem::Value`] for any other text, including an empty one.
pub(crate) fn read(name: &'static str, text: &str) -> Result<bool, Problem> {
    parse(text).ok_or_else(|| Problem::Value(name, cut(text), VALID))
}

/// Returns the boolean value of the only child of that name. `None` if it is absent or empty, so this is not for
/// children whose default is true.
///
/// # Errors
/// [`Problem::Value`] for any other text, and what [`Element::filled`] refuses.
pub(crate) fn child(parent: &Element<'_>, name: &'static str) -> Result<Option<bool>, Problem> {
    parent.filled(name)?.map(|text| read(name, text)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_no_truth() {
        assert_eq!(read("Retry", ""), Err(Problem::Value("Retry", String::new(), VALID)));
    }
}
