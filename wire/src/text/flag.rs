//! True and false, as clients write them in elements, in JSON and in parameters.
//!
//! XML Schema's boolean is written in four ways, and some clients write it in capitals. An empty text is not a boolean.
//! One client writes false that way: if the default is true, an empty text must not be taken for absent.

/// Returns the boolean value of a text: `true`, `1`, `false` or `0`, in any case.
pub(crate) fn parse(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
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
    }
}
