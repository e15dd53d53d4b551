//! In which form a client wants its answer (contract: decision 16).
//!
//! v1 answers XML, whatever is asked. v2 answers JSON to those who want it more than XML, or as much and
//! name it first; to all others, and to whoever says nothing, XML. Nobody is refused for what they accept.

use http::{HeaderMap, header};
use onhook_wire::dialect::Dialect;

use crate::path::Prefix;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it was made: there is no choice.
    Fixed,
    /// XML, where JSON could have been asked for.
    Xml,
    /// JSON.
    Json,
}

impl Form {
    /// The form for a request under this prefix, if it is one of the API's.
    pub(crate) fn wanted(prefix: Option<Prefix>, headers: &HeaderMap) -> Self {
        match prefix.map(|prefix| prefix.dialect) {
            None | Some(Dialect::V1) => Form::Fixed,
            Some(Dialect::V2) if prefers_json(headers) => Form::Json,
            Some(Dialect::V2) => Form::Xml,
        }
    }
}

/// How much a client wants a type: its weight, whether it names the type itself, and where it says so.
#[derive(Clone, Copy, Debug)]
struct Wish {
    weight: f32,
    named: bool,
    place: usize,
}

fn prefers_json(headers: &HeaderMap) -> bool {
    let ranges: Vec<(String, f32)> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(range)
        .collect();
    let json = wish(&ranges, "application/json");
    let xml = [wish(&ranges, "application/xml"), wish(&ranges, "text/xml")];
    let Some(json) = json.filter(|json| json.weight > 0.0) else { return false };
    xml.into_iter().flatten().all(|xml| {
        let first = json.named && (!xml.named || json.place < xml.place);
        json.weight > xml.weight || (json.weight >= xml.weight && first)
    })
}

/// One range of an `Accept` header, such as `application/*;q=0.5`. What cannot be read is not there.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    let weight =
        parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("q"));
    let weight = weight.map_or(Ok(1.0), |(_, weight)| weight.trim().parse()).ok()?;
    (0.0..=1.0).contains(&weight).then_some((kind, weight))
}

/// The most exact range that covers a type.
fn wish(ranges: &[(String, f32)], kind: &str) -> Option<Wish> {
    let group = format!("{}/*", kind.split('/').next().unwrap_or_default());
    [kind, &group, "*/*"].into_iter().find_map(|wanted| {
        let place = ranges.iter().position(|(range, _)| range == wanted)?;
        Some(Wish { weight: ranges[place].1, named: wanted == kind, place })
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for (accept, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json, text/plain, */*", true),
            ("*/*, application/json", true),
            ("application/json, application/xml", true),
            ("application/xml;q=0.9, application/json", true),
            ("application/json;q=0.1", true),
            ("application/json, application/xml;q=2", true),
            ("", false),
            ("*/*", false),
            ("application/*", false),
            ("text/html", false),
            ("application/xml", false),
            ("text/xml, application/json", false),
            ("application/xml, application/json", false),
            ("application/json;q=0.5, application/xml", false),
            ("application/json;q=0.5, */*", false),
            ("application/json;q=0", false),
            ("application/json;q=x", false),
            ("application/json;q=NaN", false),
            ("application/problem+json", false),
            (",;,=", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            assert_eq!(prefers_json(&headers), json, "{accept:?}");
        }
        assert!(!prefers_json(&HeaderMap::new()));
        let mut two = HeaderMap::new();
        two.append(header::ACCEPT, HeaderValue::from_static("application/xml;q=0.5"));
        two.append(header::ACCEPT, HeaderValue::from_static("application/json"));
        assert!(prefers_json(&two));
    }

    #[test]
    fn only_the_second_dialect_has_a_choice() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        for prefix in crate::path::PREFIXES {
            let form = if prefix.text == "/api/v2" { Form::Json } else { Form::Fixed };
            assert_eq!(Form::wanted(Some(prefix), &headers), form, "{}", prefix.text);
        }
        assert_eq!(Form::wanted(None, &headers), Form::Fixed);
    }
}
