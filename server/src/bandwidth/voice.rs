//! Voice configuration packages: no account here has any, its calls are routed by sites and peers.
//!
//! The vendor's command line learns that from a 403. It asks under the root of the host, outside of the prefixes of
//! the API.

use std::sync::Arc;

use http::{Method, StatusCode};
use onhook_wire::error::Problem;

use crate::App;
use crate::reply::Reply;
use crate::route::{Call, Needs, Route};

const PACKAGES: &str = "/v2/accounts/{account}/voiceConfigurationPackages";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::ops(Method::GET, PACKAGES, Needs::Caller, not_here),
        Route::ops(Method::POST, PACKAGES, Needs::Caller, not_here),
    ]
}

/// 403 without a body, whatever the account.
async fn not_here(_app: Arc<App>, _call: Call) -> Result<Reply, Problem> {
    Ok(Reply::empty(StatusCode::FORBIDDEN))
}
