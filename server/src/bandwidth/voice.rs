//! Voice configuration packages: no account here has any. Calls are routed by sites and peers.
//!
//! The vendor's command line learns that from a 403. It asks under the root of the host, outside the prefixes of the
//! API, where refusals are those of the server's own routes.

use http::{Method, StatusCode};

use crate::http::doc::{Doc, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::ops::door;

const PACKAGES: &str = "/v2/accounts/{account}/voiceConfigurationPackages";

pub(crate) fn routes() -> Vec<Route> {
    [Method::GET, Method::POST].into_iter().map(not_here).collect()
}

/// Returns a route that answers 403 without a body, whatever the account.
fn not_here(method: Method) -> Route {
    let none = Told::new(403, "The account has no voice configuration packages.");
    let doc = Doc::new("Says that no account has voice configuration packages.", none);
    let doc = if method == Method::POST { doc.takes(Shape::json("", "{}")) } else { doc };
    door::route(method, PACKAGES, Needs::Caller, doc, async |_app, _call| {
        Ok(Reply::empty(StatusCode::FORBIDDEN))
    })
}
