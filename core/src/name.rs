//! Which names a rate center, a city, a site, a peer or an account may have.
//!
//! Names are exported to files, and a spreadsheet takes a field that begins with `=`, `@`, `+` or `-` for a formula.
//!
//! Not here: the narrower rules of the API for names in requests (`premises`, `wire`).

/// Most characters of an account's name.
pub const ACCOUNT_NAME_MAX: usize = 100;

/// Characters that a formula begins with.
const FORMULA: [char; 4] = ['=', '@', '+', '-'];

/// Why a text is not a valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It is empty or too long.
    #[error("a name has 1 to {0} characters")]
    Length(usize),
    /// It has control characters or line breaks.
    #[error("a name has no control characters and no line breaks")]
    Control,
    /// It begins like a formula.
    #[error("a name begins with none of = @ + -, which a spreadsheet would take for a formula")]
    Formula,
}

/// Checks a name of at most `most` characters.
///
/// # Errors
/// [`BadName`] says what is wrong with it.
///
/// ```
/// use onhook_core::name::{BadName, check};
/// assert_eq!(check("Wake Forest", 50), Ok(()));
/// assert_eq!(check("=1+1", 50), Err(BadName::Formula));
/// ```
pub fn check(text: &str, most: usize) -> Result<(), BadName> {
    if !(1..=most).contains(&text.chars().count()) {
        return Err(BadName::Length(most));
    }
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(BadName::Control);
    }
    if text.starts_with(FORMULA) {
        return Err(BadName::Formula);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_bounded_length_and_no_formula() {
        for good in ["A", "St. John's", "Wake-Forest", "ZONE 1 = 2", "Nørrebro", &"x".repeat(50)] {
            assert_eq!(check(good, 50), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", BadName::Length(50)),
            (&"x".repeat(51), BadName::Length(50)),
            (&"x".repeat(300), BadName::Length(50)),
            ("a\nb", BadName::Control),
            ("a\rb", BadName::Control),
            ("a\tb", BadName::Control),
            ("a\u{7f}b", BadName::Control),
            ("a\u{85}b", BadName::Control),
            ("a\u{2028}b", BadName::Control),
            ("=1+1", BadName::Formula),
            ("@SUM(A1)", BadName::Formula),
            ("+1", BadName::Formula),
            ("-1", BadName::Formula),
        ] {
            assert_eq!(check(bad, 50), Err(why), "{bad:?}");
        }
    }
}
