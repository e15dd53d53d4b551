//! OAuth2 client credentials (RFC 6749, 4.4): a token for a user's name and password.

use std::sync::Arc;

use http::{StatusCode, header};
use onhook_wire::error::{Family, Problem};
use serde_json::json;

use crate::App;
use crate::auth::{Refused, TOKEN_LASTS_S};
use crate::reply::Reply;
use crate::route::{CHALLENGE, Call, Group, Needs, Route, decode_query, too_many};

/// Longest form, in bytes.
const FORM_MAX: usize = 4 * 1_024;

pub(crate) fn routes() -> Vec<Route> {
    let plain = (Group::Free, Family::GENERIC);
    // It asks for the credentials itself, since it refuses them in words of its own.
    vec![Route::post("/oauth2/token", Needs::Nothing, plain, issue).with_a_form()]
}

/// A token for a user who signs in with name and password.
async fn issue(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    match grant(&call) {
        Ok(()) => {}
        Err(error) => return Ok(refuse(StatusCode::BAD_REQUEST, error)),
    }
    match app.auth.issue(&app.store, &call.headers, call.from, app.clock.for_sign_in()).await {
        Ok(token) => {
            let body = json!({ "access_token": token, "expires_in": TOKEN_LASTS_S, "token_type": "Bearer" });
            Ok(kept_by_nobody(Reply::json(StatusCode::OK, &body)))
        }
        Err(Refused::Unknown(_)) => {
            let reply = refuse(StatusCode::UNAUTHORIZED, "invalid_client");
            Ok(reply.with(header::WWW_AUTHENTICATE, CHALLENGE))
        }
        Err(Refused::Twice) => Ok(refuse(StatusCode::BAD_REQUEST, "invalid_request")),
        Err(Refused::TooMany(wait)) => Ok(too_many(&app, wait.as_secs().saturating_add(1))),
        Err(Refused::Busy) => Err(Problem::Busy),
        Err(Refused::Failed(problem)) => Err(problem),
    }
}

/// Whether the form asks for what there is.
fn grant(call: &Call) -> Result<(), &'static str> {
    let form = std::str::from_utf8(&call.body).map_err(|_| "invalid_request")?;
    if form.len() > FORM_MAX {
        return Err("invalid_request");
    }
    let pairs = decode_query(form);
    let mut grants = pairs.iter().filter(|(name, _)| name == "grant_type").map(|(_, value)| value.as_str());
    match (grants.next(), grants.next()) {
        (Some("client_credentials"), None) => Ok(()),
        (Some(_), None) => Err("unsupported_grant_type"),
        _ => Err("invalid_request"),
    }
}

fn refuse(status: StatusCode, error: &str) -> Reply {
    kept_by_nobody(Reply::json(status, &json!({ "error": error })))
}

fn kept_by_nobody(reply: Reply) -> Reply {
    reply.with(header::CACHE_CONTROL, "no-store")
}
