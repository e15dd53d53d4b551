//! OAuth2 client credentials (RFC 6749, 4.4): a token for a user's name and password.
//!
//! It has a door of its own under the prefixes of the API. The door takes a form and refuses in OAuth2's words.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;

use super::door::{form, parameter};
use crate::app::App;
use crate::http::accept::Form;
use crate::http::auth::{Refused, TOKEN_LASTS_S};
use crate::http::call::Call;
use crate::http::doc::{Doc, Parameter, Shape, Told};
use crate::http::door::{Door, Takes};
use crate::http::pairs;
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::limits::Group;

/// Longest form, in bytes.
const FORM_MAX: usize = 4 * 1_024;
/// The type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// OAuth2's door (RFC 6749, 5.2).
struct OAuth;

impl Door for OAuth {
    fn takes(&self, _prefix: Option<&'static str>) -> Takes {
        Takes { types: &[FORM], wanted: FORM, untyped_xml: false }
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        let status = refusal.status();
        let error = if status.is_client_error() { "invalid_request" } else { "temporarily_unavailable" };
        let body = json!({ "error": error, "error_description": refusal.sentence() });
        refusal.told_in(Reply::json(status, &body))
    }

    fn parameter(&self, name: &str) -> Option<Parameter> {
        parameter(name)
    }

    fn form(&self, prefix: Option<&'static str>, headers: &HeaderMap) -> Form {
        form(prefix, headers)
    }
}

const GRANT: Shape = Shape::of(FORM, "grant_type=client_credentials");
const TOKEN: Shape = Shape::json(
    r#"{"type": "object", "required": ["access_token", "expires_in", "token_type"], "properties": {
        "access_token": {"type": "string"}, "expires_in": {"type": "integer"}, "token_type": {"const": "Bearer"}}}"#,
    r#"{"access_token": "eyJhbGciOiJIUzI1NiJ9.e30.x", "expires_in": 3600, "token_type": "Bearer"}"#,
);
const REFUSED: Shape = Shape::json(
    r#"{"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}"#,
    r#"{"error": "invalid_client"}"#,
);

pub(crate) fn routes() -> Vec<Route> {
    let doc =
        Doc::new("Issues a token that stands for a user's name and password for an hour.", Told::ok(TOKEN))
            .takes(GRANT)
            .or(Told::new(400, "The form asks for something else than client_credentials.").with(REFUSED))
            .or(Told::new(401, "Name and password are not those of a user.").with(REFUSED))
            .or(Told::new(429, "Too many wrong passwords were tried. Retry-After says how long to wait."));
    vec![Route {
        method: Method::POST,
        path: "/oauth2/token",
        // The handler checks the credentials itself, since it refuses them in its own words.
        needs: Needs::Nothing,
        group: Group::Free,
        uncounted: None,
        api: true,
        door: Arc::new(OAuth),
        document: None,
        emulator: false,
        streaming: false,
        patient: false,
        doc,
        handler: Arc::new(|app, call| Box::pin(issue(app, call))),
    }]
}

/// Issues a token to a user who signs in with name and password.
async fn issue(app: Arc<App>, call: Call) -> Reply {
    if let Err(error) = grant(&call) {
        return refuse(StatusCode::BAD_REQUEST, error);
    }
    match app.auth.issue(&app.store, &call.headers, call.from.ip(), app.clock.for_sign_in()).await {
        Ok(token) => {
            let body = json!({ "access_token": token, "expires_in": TOKEN_LASTS_S, "token_type": "Bearer" });
            uncached(Reply::json(StatusCode::OK, &body))
        }
        Err(Refused::Unknown(_)) => refuse(StatusCode::UNAUTHORIZED, "invalid_client").challenging(),
        Err(Refused::Twice) => refuse(StatusCode::BAD_REQUEST, "invalid_request"),
        Err(Refused::TooMany(wait)) => Reply::too_many(app.clock.wall(), wait.as_secs().saturating_add(1)),
        Err(Refused::Busy) => OAuth.refuse(Refusal::Busy),
        Err(Refused::Failed(refusal)) => OAuth.refuse(refusal),
    }
}

/// Checks that the form asks for a supported grant.
fn grant(call: &Call) -> Result<(), &'static str> {
    let form = std::str::from_utf8(&call.body).map_err(|_| "invalid_request")?;
    if form.len() > FORM_MAX {
        return Err("invalid_request");
    }
    let pairs = pairs::decoded(form);
    let mut grants = pairs.iter().filter(|(name, _)| name == "grant_type").map(|(_, value)| value.as_str());
    match (grants.next(), grants.next()) {
        (Some("client_credentials"), None) => Ok(()),
        (Some(_), None) => Err("unsupported_grant_type"),
        _ => Err("invalid_request"),
    }
}

fn refuse(status: StatusCode, error: &str) -> Reply {
    uncached(Reply::json(status, &json!({ "error": error })))
}

/// Returns the reply with the header that keeps it out of every cache.
fn uncached(reply: Reply) -> Reply {
    reply.with(header::CACHE_CONTROL, "no-store")
}
