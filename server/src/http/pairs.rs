//! Names and values of a query or a form: `a=b&c=d`, percent-encoded.

/// Returns the pairs, decoded, in the order in which they were sent.
pub(crate) fn decoded(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        // A plus sign is kept at the beginning of a telephone number. Elsewhere it is a space.
        let spaced = match text.strip_prefix('+') {
            Some(rest) => format!("+{}", rest.replace('+', " ")),
            None => text.replace('+', " "),
        };
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}
