//! JSON bodies of the operations API. An unknown key is refused: a typing error must never widen an act.

use serde::de::DeserializeOwned;

use super::door::OpsProblem;
use super::problem::Code;
use crate::http::call::Call;

/// Reads a body. Its type says which keys there are (`deny_unknown_fields`).
pub(super) fn read<T: DeserializeOwned>(call: &Call) -> Result<T, OpsProblem> {
    serde_json::from_slice(&call.body).map_err(|error| {
        let detail = error.to_string();
        let code = if !error.is_data() {
            Code::BadJson
        } else if detail.starts_with("unknown field") {
            Code::UnknownField
        } else {
            Code::BadValue
        };
        OpsProblem::new(code, detail)
    })
}
