//! Counts of requests.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};

use super::route::Route;

/// Statuses that are counted separately. All others are counted as `other`, so that the number of counts is limited.
const STATUSES: [u16; 19] =
    [200, 201, 202, 204, 304, 400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 500, 503, 504];

/// The counts of a route's requests. Each count is looked up when it is first needed, so a route without requests is
/// not shown.
#[derive(Default)]
pub(super) struct Meter {
    requests: [OnceLock<metrics::Counter>; STATUSES.len() + 1],
    seconds: OnceLock<metrics::Histogram>,
}

impl Meter {
    pub(super) fn measure(&self, route: &Route, status: StatusCode, took: Duration) {
        let known = STATUSES.iter().position(|known| *known == status.as_u16());
        let method = match route.method {
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "GET",
        };
        let path = route.path;
        let requests = self.requests[known.unwrap_or(STATUSES.len())].get_or_init(|| {
            let status = known.map_or("other".to_owned(), |_| status.as_u16().to_string());
            metrics::counter!("onhook_http_requests_total", "route" => path, "method" => method, "status" => status)
        });
        requests.increment(1);
        let seconds = self.seconds.get_or_init(
            || metrics::histogram!("onhook_http_request_seconds", "route" => path, "method" => method),
        );
        seconds.record(took);
        // The route is logged, not the path: a path may hold a telephone number.
        tracing::debug!(
            route = path,
            method,
            status = status.as_u16(),
            took_us = took.as_micros(),
            "request"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_counted_by_its_status() {
        for row in onhook_wire::error::explained::problems() {
            let status = row.what.row().status;
            assert!(STATUSES.contains(&status), "{status} would be counted as another");
        }
    }
}
