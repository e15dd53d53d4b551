//! True and false in elements and parameters, and what is wrong with another text.

use crate::error::{Problem, cut};
pub(super) use crate::text::flag::parse;
use crate::text::xml::Element;

/// The words that an error names. The figures 1 and 0 are taken beside them.
const VALID: &[&str] = &["true", "false"];

/// The truth that the value of this name stands for.
///
/// # Errors
/// [`Problem::Value`] for any other text, an empty one too.
pub(crate) fn read(name: &'static str, text: &str) -> Result<bool, Problem> {
    parse(text).ok_or_else(|| Problem::Value(name, cut(text), VALID))
}

/// The truth that the only child of that name stands for; none when it is absent or empty, so this is not for
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
