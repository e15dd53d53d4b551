//! True and false, as clients write them in elements, in JSON and behind a path.
//!
//! XML Schema's boolean is written in four ways, and some clients write it in capitals. An empty text is none of
//! them. One client writes false so: where the default is true, an empty text must not be taken for absent.

use crate::error::{Problem, cut};
use crate::xml::Element;

/// The words that an error names. The figures 1 and 0 are taken beside them.
const VALID: &[&str] = &["true", "false"];

/// The truth that a text stands for: `true`, `1`, `false` or `0`, in any case.
pub(crate) fn parse(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

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
    fn four_spellings_in_any_case_are_a_truth_and_nothing_else_is() {
        for (text, truth) in [
            ("true", Some(true)),
            ("TRUE", Some(true)),
            ("1", Some(true)),
            ("False", Some(false)),
            ("0", Some(false)),
            ("", None),
            (" true", None),
            ("yes", None),
            ("01", None),
            ("2", None),
            ("ｔrue", None),
        ] {
            assert_eq!(parse(text), truth, "{text:?}");
        }
        assert_eq!(read("Retry", ""), Err(Problem::Value("Retry", String::new(), VALID)));
    }
}
