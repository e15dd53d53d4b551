//! Names and values of a query or a form: `a=b&c=d`, percent-encoded.

/// Returns the pairs, decoded, in the order in which they were sent.
pub(crate) fn decoded(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        // A plus sign is kept at the beginning of a telephone number. Elsewhere it is a space.
        let spaced = match text.strip_prefix('+') {
            Some(rest) => format!("+{}", rest.replace('+', " ")),
            None => text.replace('+', " "),
        };
        // What is no text is shown as such. A database takes no NUL for text either.
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().replace('\0', "\u{fffd}")
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_and_hold_no_nul() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("a%20b=c+d", "a b", "c d"),
            ("n=+1540", "n", "+1540"),
            ("a", "a", ""),
            ("a=b%00c", "a", "b\u{fffd}c"),
            ("a=%ff", "a", "\u{fffd}"),
        ] {
            assert_eq!(decoded(text), [(key.to_owned(), value.to_owned())], "{text}");
        }
        assert_eq!(decoded("&&"), []);
    }
}
