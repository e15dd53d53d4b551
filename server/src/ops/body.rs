//! JSON bodies of the operations API. An unknown key is refused: a typing error must never widen an act.

use onhook_core::lifecycle::provenance::{Author, REASON_MAX};
use onhook_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::door::OpsProblem;
use super::problem::Code;
use crate::http::call::Call;

/// Reads a body. Its type says which keys there are (`deny_unknown_fields`).
pub(super) fn read<T: DeserializeOwned>(call: &Call) -> Result<T, OpsProblem> {
    serde_json::from_slice(&call.body).map_err(|error| problem(&error))
}

/// Reads a part of a body, which says by its type which keys there are.
pub(super) fn of<T: DeserializeOwned>(part: serde_json::Value) -> Result<T, OpsProblem> {
    serde_json::from_value(part).map_err(|error| problem(&error))
}

fn problem(error: &serde_json::Error) -> OpsProblem {
    let detail = error.to_string();
    let code = if !error.is_data() {
        Code::BadJson
    } else if detail.starts_with("unknown field") {
        Code::UnknownField
    } else {
        Code::BadValue
    };
    OpsProblem::new(code, detail)
}

/// Returns the caller of an act, with under what and why it acts.
///
/// # Errors
/// `reason_required` if it does not say why, and `bad_value` if it says so in too many characters, or in control
/// characters.
pub(super) fn author(call: &Call, reason: Option<&str>) -> Result<Author, OpsProblem> {
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    let missing = || OpsProblem::new(Code::ReasonRequired, "say why, as reason");
    let reason = reason.ok_or_else(missing)?;
    if reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
        let detail = format!("reason is 1 to {REASON_MAX} characters, none of them a control character");
        return Err(wrong("/reason", detail));
    }
    Ok(Author { user: call.caller.user.to_string(), under: call.under(Some(reason)) })
}

/// Reads an instant of a body. `at` is where it stands there.
pub(super) fn instant(at: &str, text: Option<&str>) -> Result<Option<Timestamp>, OpsProblem> {
    let wrong = |_| wrong(at, format!("{at} is an instant such as 2027-01-01T00:00:00.000Z"));
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// Returns the problem of a value of a body that is not allowed. `at` is where it stands there.
pub(super) fn wrong(at: &str, detail: String) -> OpsProblem {
    let errors = json!([{ "at": at, "detail": &detail }]);
    OpsProblem::wrong(detail).with("errors", errors)
}

/// Returns the problem of a clock that cannot be believed.
pub(super) fn clock() -> OpsProblem {
    OpsProblem::new(Code::ClockNotBelieved, "the clock cannot be believed, so nothing was written")
}

/// Returns the problem of too many open plans.
pub(super) fn too_many() -> OpsProblem {
    OpsProblem::new(Code::TooManyPlans, "apply or withdraw some of the open plans first")
}
