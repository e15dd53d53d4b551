//! What is wrong with a JSON body, in words of JSON: which key, by its path, and what belongs there.
//!
//! Not here: what values mean, which is for those who read the body.

use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Error, Value};
use serde_path_to_error::{Path, Segment};

use super::door::{NAME_MAX, OpsProblem};
use super::problem::Code;

/// Reads a body. It is an object.
///
/// # Errors
/// `bad_json`, `bad_value`, or `unknown_field` for a key that its type does not have (`deny_unknown_fields`).
pub(super) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, OpsProblem> {
    // A list of an object's values in the right order would be read, too.
    if bytes.trim_ascii_start().first().is_some_and(|byte| *byte != b'{')
        && serde_json::from_slice::<Value>(bytes).is_ok()
    {
        return Err(OpsProblem::in_body(Code::BadValue, "", "the body is an object".into()));
    }
    let mut reader = Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader);
    let error = match read {
        Ok(value) => return reader.end().map(|()| value).map_err(|error| no_json(bytes, &error)),
        Err(error) => error,
    };
    match serde_json::from_slice::<Value>(bytes) {
        Err(why) => Err(no_json(bytes, &why)),
        Ok(_) => Err(misread("", error.path(), error.inner())),
    }
}

/// Reads a part of a body, which stands there at `at`.
///
/// # Errors
/// As [`body`].
pub(super) fn part<T: DeserializeOwned>(at: &str, part: Value) -> Result<T, OpsProblem> {
    serde_path_to_error::deserialize(part).map_err(|error| misread(at, error.path(), error.inner()))
}

/// Returns the problem of a body that is no JSON.
fn no_json(bytes: &[u8], error: &Error) -> OpsProblem {
    let detail = if bytes.trim_ascii().is_empty() {
        "the body is empty".to_owned()
    } else if error.is_eof() {
        "the body ends before its JSON does".to_owned()
    } else {
        format!("the body stops being JSON at line {}, column {}", error.line(), error.column())
    };
    OpsProblem::new(Code::BadJson, detail)
}

/// Returns the problem of JSON that is not what belongs there. `within` is where the part that was read stands.
fn misread(within: &str, path: &Path, error: &Error) -> OpsProblem {
    let told = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let told = told.strip_suffix(&place).unwrap_or(&told);
    let mut at = pointer(within, path);
    let first_name = || told.split('`').nth(1).unwrap_or_default();
    if told.starts_with("unknown field ") {
        let keys = names(told);
        let known = if keys.is_empty() { "there is none".to_owned() } else { format!("there is: {keys}") };
        let detail = format!("no key is called {at}; {known}");
        return OpsProblem::in_body(Code::UnknownField, &at, detail);
    }
    let what = if told.starts_with("missing field ") {
        add(&mut at, first_name());
        "is missing".to_owned()
    } else if told.starts_with("duplicate field ") {
        add(&mut at, first_name());
        "is there twice".to_owned()
    } else if told.starts_with("unknown variant ") {
        format!("is one of {}", names(told))
    } else {
        format!("is {}", expected(told))
    };
    let subject = if at.is_empty() { "the body" } else { &at };
    let detail = format!("{subject} {what}");
    OpsProblem::in_body(Code::BadValue, &at, detail)
}

/// Returns a path as a JSON pointer. A name of the request is cut.
fn pointer(within: &str, path: &Path) -> String {
    let mut at = within.to_owned();
    for segment in path {
        match segment {
            Segment::Seq { index } => add(&mut at, &index.to_string()),
            Segment::Map { key } => add(&mut at, key),
            Segment::Enum { variant } => add(&mut at, variant),
            Segment::Unknown => {}
        }
    }
    at
}

fn add(at: &mut String, key: &str) {
    let shown: String = key.chars().take(NAME_MAX).collect();
    at.push('/');
    at.push_str(&shown.replace('~', "~0").replace('/', "~1"));
}

/// Returns the names that were expected.
fn names(told: &str) -> String {
    let expected = told.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
    expected.split('`').skip(1).step_by(2).collect::<Vec<_>>().join(", ")
}

/// Returns what was expected, in words of JSON.
fn expected(told: &str) -> &'static str {
    match told.rsplit_once(", expected ").map_or("", |(_, expected)| expected) {
        "a string" | "a borrowed string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 on",
        "i64" => "a whole number",
        "f64" => "a number",
        "a map" => "an object",
        text if text.starts_with("struct ") => "an object",
        // One of several words was to be there.
        _ => "a text with one of the words that the documentation lists",
    }
}
