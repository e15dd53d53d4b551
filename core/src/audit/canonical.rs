//! The canonical form of JSON by RFC 8785: what a digest of an event is of.
//!
//! The library that knows the whole RFC reads and sorts the names of each object anew, and took longer than all the rest
//! of sealing. Events need little of it: their names are ASCII and sorted, and their integers are exact.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// From here on, not every integer is a double, which is how RFC 8785 writes numbers.
const EXACT: u64 = 1 << 53;

/// Writes JSON without spaces, and doubles as ECMAScript does. Integers, and what is escaped in a string, are the same in
/// RFC 8785 as in `serde_json`.
struct Canonical;

impl Formatter for Canonical {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }
}

/// Returns whether a value has names that are sorted as they are, and numbers that [`Canonical`] writes.
pub(super) fn is_plain(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number <= EXACT,
            (None, Some(number)) => number.unsigned_abs() <= EXACT,
            (None, None) => number.as_f64().is_some_and(f64::is_finite),
        },
        Value::Array(values) => values.iter().all(is_plain),
        Value::Object(named) => named.iter().all(|(name, value)| name.is_ascii() && is_plain(value)),
    }
}

/// Returns the canonical form of a value by RFC 8785. `None` for a value that has none.
pub(super) fn canonical(value: &Value) -> Option<Vec<u8>> {
    if is_plain(value) { written(value) } else { serde_json_canonicalizer::to_vec(value).ok() }
}

/// Returns a value as it is: with its names in the order in which it tells them, which the caller knows to be sorted.
pub(super) fn written(value: &impl Serialize) -> Option<Vec<u8>> {
    let mut written = Vec::with_capacity(1024);
    value.serialize(&mut Serializer::with_formatter(&mut written, Canonical)).ok()?;
    Some(written)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Number, json};

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let numbers = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            (EXACT - 2..EXACT + 2).prop_map(Value::from),
            any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        ];
        let leaves = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            numbers,
            any::<String>().prop_map(Value::from),
            "[\u{0}-\u{7f}]{0,8}".prop_map(Value::from),
        ];
        leaves.prop_recursive(4, 24, 6, |inner| {
            let names = prop_oneof!["[a-z_]{1,8}", "[\u{0}-\u{7f}]{0,4}", any::<String>()];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(names, inner, 0..6)
                    .prop_map(|named| Value::Object(named.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_form_of_any_value_is_that_of_the_library(value in values()) {
            let expected = serde_json_canonicalizer::to_vec(&value).unwrap();
            prop_assert_eq!(
                String::from_utf8(canonical(&value).unwrap()).unwrap(),
                String::from_utf8(expected).unwrap()
            );
        }
    }

    #[test]
    fn names_beyond_ascii_and_inexact_integers_are_not_plain() {
        for value in
            [json!({ "é": 1 }), json!([{ "a": { "\u{e000}": 1 } }]), json!(EXACT + 1), json!(i64::MIN)]
        {
            assert!(!is_plain(&value), "{value}");
        }
        assert!(is_plain(&json!({ "at": "é", "demand": 0.1, "n": [EXACT, -1, null, true] })));
    }
}
