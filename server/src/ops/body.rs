//! JSON bodies of the operations API. An unknown key is refused: a typing error must never widen an act.

use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::{Author, Doer, REASON_MAX};
use onhook_core::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::door::OpsProblem;
use super::misread;
use super::problem::Code;
use crate::app::App;
use crate::http::auth::{Caller, is_token};
use crate::http::call::Call;
use crate::http::doc::{Form, Parameter, Shape};
use crate::http::refusal::Refusal;

/// The form of a page of a list.
pub(super) const LIST: Shape = Shape::json(
    r#"{"type": "object", "required": ["items", "next"], "properties": {
        "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}}"#,
    r#"{"items": [], "next": null}"#,
);
/// The form of a body that says no more than why.
pub(super) const WHY: Shape = Shape::json(
    r#"{"type": "object", "required": ["reason"], "additionalProperties": false, "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": 500}}}"#,
    r#"{"reason": "it is printed on our vans"}"#,
);
/// Why, in a query: where a request has no body.
pub(super) const REASON: Parameter =
    Parameter::new("reason", Form::Text("gone"), "why, in 1 to 500 characters").required();

/// A body that says no more than why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    pub(super) reason: Option<String>,
}

/// A key of a body that changes something: left out, null, or a value.
#[derive(Debug)]
pub(super) struct Said<T>(Option<Option<T>>);

impl<T> Default for Said<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: serde::Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        Option::deserialize(value).map(|value| Self(Some(value)))
    }
}

impl<T> Said<T> {
    /// Returns what is said: `None` if the key is left out, and an inner `None` for null.
    pub(super) fn said(self) -> Option<Option<T>> {
        self.0
    }

    /// Returns the value of a key that cannot be null. `None` if it is left out.
    pub(super) fn value(self, at: &str) -> Result<Option<T>, OpsProblem> {
        match self.0 {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => Err(wrong(at, "it cannot be null".into())),
        }
    }
}

/// Returns the account that a request is about: the caller's, or for an operator the one that is named, if one is.
///
/// # Errors
/// `forbidden` if a caller with an account names another one. What is named is not looked at: the refusal is the same
/// whether it exists or not.
pub(super) fn account(
    caller: &Caller,
    at: &str,
    named: Option<&str>,
) -> Result<Option<AccountId>, OpsProblem> {
    let read = |text: &str| text.parse::<AccountId>();
    match (caller.account, named) {
        (Some(own), Some(text)) if read(text) != Ok(own) => Err(Refusal::Denied.into()),
        (Some(own), _) => Ok(Some(own)),
        (None, None) => Ok(None),
        (None, Some(text)) => match read(text) {
            Ok(account) => Ok(Some(account)),
            Err(_) => Err(wrong(at, "account is an account's id, digits such as 9900000".into())),
        },
    }
}

/// Refuses a token. A stolen token is good for an hour, and must not do what outlasts it.
pub(super) fn by_password(call: &Call) -> Result<(), OpsProblem> {
    if is_token(&call.headers) {
        return Err(OpsProblem::new(Code::PasswordNeeded, "sign in with name and password for this"));
    }
    Ok(())
}

/// Returns the caller of an act with under what and why it acts, and when.
///
/// # Errors
/// As [`author`], and `clock_not_believed`.
pub(super) fn doer(app: &App, call: &Call, reason: Option<&str>) -> Result<Doer, OpsProblem> {
    let author = author(call, reason)?;
    Ok(Doer { author, now: app.believed_now().ok_or_else(clock)? })
}

/// Reads a body. Its type says which keys there are (`deny_unknown_fields`).
pub(super) fn read<T: DeserializeOwned>(call: &Call) -> Result<T, OpsProblem> {
    misread::body(&call.body)
}

/// Reads a part of a body, which says by its type which keys there are. `at` is where it stands there.
pub(super) fn of<T: DeserializeOwned>(at: &str, part: serde_json::Value) -> Result<T, OpsProblem> {
    misread::part(at, part)
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
    OpsProblem::in_body(Code::BadValue, at, detail)
}

/// Returns the problem of a clock that cannot be believed.
pub(super) fn clock() -> OpsProblem {
    OpsProblem::new(Code::ClockNotBelieved, "the clock cannot be believed, so nothing was written")
}

/// Returns the problem of too many open plans.
pub(super) fn too_many() -> OpsProblem {
    OpsProblem::new(Code::TooManyPlans, "apply or withdraw some of the open plans first")
}
