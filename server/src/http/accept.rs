//! The form in which a client wants its answer (contract: decision 16).
//!
//! If a door offers JSON beside XML, a client gets JSON if it prefers JSON to XML, or wants both equally and names JSON
//! first. All others get XML, also clients without an `Accept` header. No client is refused for what it accepts.

use http::{HeaderMap, header};

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The form in which it was made: there is no choice.
    Fixed,
    /// XML, although JSON could have been asked for.
    Xml,
    /// JSON.
    Json,
}

impl Form {
    /// Returns the form that these headers ask for, if there is a choice.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        if prefers_json(headers) { Form::Json } else { Form::Xml }
    }
}

/// How much a client wants a type: its weight, whether the type itself is named, and the position in the header.
#[derive(Clone, Copy, Debug)]
struct Preference {
    weight: f32,
    named: bool,
    position: usize,
}

fn prefers_json(headers: &HeaderMap) -> bool {
    let ranges: Vec<(String, f32)> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(range)
        .collect();
    let json = preference(&ranges, "application/json");
    let xml = [preference(&ranges, "application/xml"), preference(&ranges, "text/xml")];
    let Some(json) = json.filter(|json| json.weight > 0.0) else { return false };
    xml.into_iter().flatten().all(|xml| {
        let first = json.named && (!xml.named || json.position < xml.position);
        json.weight > xml.weight || (json.weight >= xml.weight && first)
    })
}

/// Returns one range of an `Accept` header, such as `application/*;q=0.5`. `None` if it cannot be read.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    let weight =
        parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("q"));
    let weight = weight.map_or(Ok(1.0), |(_, weight)| weight.trim().parse()).ok()?;
    (0.0..=1.0).contains(&weight).then_some((kind, weight))
}

/// Returns how much a type is wanted, by the most exact range that covers it.
fn preference(ranges: &[(String, f32)], kind: &str) -> Option<Preference> {
    let group = format!("{}/*", kind.split('/').next().unwrap_or_default());
    [kind, &group, "*/*"].into_iter().find_map(|wanted| {
        let position = ranges.iter().position(|(range, _)| range == wanted)?;
        Some(Preference { weight: ranges[position].1, named: wanted == kind, position })
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
}
