//! Makes a router from routes, with the gate in front of every handler.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::door::Door;
use super::gate;
use super::harm::Seen;
use super::meter::Meter;
use super::path::{ROOT, Sent};
use super::refusal::Refusal;
use super::route::Route;
use crate::app::App;

/// A function that returns the door for an unknown path.
pub(crate) type Lost = fn(path: &str) -> Arc<dyn Door>;

/// Returns the router of these routes. Two routes with the same method and path end the program at start.
pub(crate) fn router(app: &Arc<App>, routes: Vec<Route>, lost: Lost) -> axum::Router {
    let mut router = axum::Router::new();
    for route in routes {
        // Without an emulator there is nothing at the root, for nobody.
        if route.path == "/" && route.emulator && !app.settings.emulator {
            continue;
        }
        let path = if route.api { format!("{ROOT}{}", route.path) } else { route.path.to_owned() };
        router = router.route(&path, serve(app.clone(), route));
    }
    let app = app.clone();
    router.fallback(async move |request: Request| -> Response {
        let sent: Option<&Sent> = request.extensions().get();
        let seen =
            sent.filter(|sent| sent.prefix.is_some()).map(|sent| Seen::of(&app, None, Some(sent), &request));
        let prefix = request.extensions().get().and_then(|sent: &Sent| sent.prefix);
        let door = lost(request.uri().path());
        let form = door.form(prefix, request.headers());
        let reply = gate::in_form(&*door, form, door.refuse(Refusal::NoResource));
        if let Some(seen) = seen {
            seen.keep(&app, &reply);
        }
        reply.into()
    })
}

fn serve(app: Arc<App>, route: Route) -> MethodRouter {
    let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::TRACE);
    let served = Arc::new((route, Meter::default()));
    on(filter, move |request: Request| {
        let (app, served) = (app.clone(), served.clone());
        async move {
            let (route, meter) = &*served;
            let begun = Instant::now();
            let reply = gate::answer(&app, route, request).await;
            meter.measure(route, reply.status(), begun.elapsed());
            Response::from(reply)
        }
    })
}
