//! Health and metrics: whether the server is alive, whether it should be sent requests, and what it has counted.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::door::{self, OpsProblem};
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::metrics::{float, rendered};
use crate::store_log;

pub(crate) fn routes() -> Vec<Route> {
    let anyone = Needs::Nothing;
    let alive_doc = Doc::new("Answers as long as the process does.", Told::ok(Shape::text("ok\n")));
    let ready_doc = Doc::new("Says whether requests may be sent.", Told::ok(Shape::text("ready\n")))
        .or(Told::new(503, "Requests should go elsewhere. The body says why.")
            .with(Shape::text("stopping\n")));
    let measured_doc = Doc::new(
        "Shows the metrics in the form of Prometheus.",
        Told::ok(Shape::text("onhook_orders_waiting 0\n")),
    );
    vec![
        door::route(Method::GET, "/healthz", anyone, alive_doc, alive),
        door::route(Method::GET, "/readyz", anyone, ready_doc, ready),
        door::route(Method::GET, "/metrics", anyone, measured_doc, measured),
    ]
}

/// Returns 200 as long as the process answers. It does not ask the store.
async fn alive(_app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    Ok(Reply::text(StatusCode::OK, "ok\n"))
}

/// Returns 200 if requests may be sent, otherwise 503 and the reason.
async fn ready(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    match app.not_ready() {
        None => Ok(Reply::text(StatusCode::OK, "ready\n")),
        Some(why) => Ok(Reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))),
    }
}

/// Returns the metrics in the form of Prometheus. What this process knows by itself is there while the store is not: then
/// it is needed most.
async fn measured(app: Arc<App>, _call: Call) -> Result<Reply, OpsProblem> {
    let writes = app.store.writes();
    metrics::gauge!("onhook_writer_queue").set(float(u64::try_from(writes.queue).unwrap_or(u64::MAX)));
    for (cause, failed) in writes.failed {
        metrics::counter!("onhook_commits_failed_total", "cause" => cause.word()).absolute(failed);
    }
    for (worker, times) in writes.restarted {
        metrics::counter!("onhook_workers_restarted_total", "worker" => worker).absolute(times);
    }
    let clock = app.clock_state();
    let waits_ms = clock.release_waits_ms().unsigned_abs();
    metrics::gauge!("onhook_clock_jumped").set(if clock.is_believed() { 0.0 } else { 1.0 });
    metrics::gauge!("onhook_clock_trusted").set(if app.settings.trust_clock { 1.0 } else { 0.0 });
    metrics::gauge!("onhook_release_wait_seconds").set(float(waits_ms) / 1_000.0);
    let stored = stored(&app).await;
    metrics::gauge!("onhook_store_up").set(if stored.is_ok() { 1.0 } else { 0.0 });
    if let Err(error) = stored {
        store_log::failed("the store's part of the metrics is as it was", &error);
    }
    Ok(Reply::text(StatusCode::OK, rendered()))
}

/// Measures what is in the store.
async fn stored(app: &App) -> onhook_store::Result<()> {
    let now = app.clock.now();
    let totals = app.store.totals(now).await?;
    for (state, numbers) in totals.by_state {
        metrics::gauge!("onhook_numbers", "state" => state.word()).set(float(numbers));
    }
    metrics::gauge!("onhook_orders_waiting").set(float(totals.waiting));
    let (deliveries, ago) = app.deliveries_waiting.shown(&app.store).await?;
    metrics::gauge!("onhook_deliveries_waiting").set(float(deliveries));
    metrics::gauge!("onhook_deliveries_waiting_age_seconds").set(ago.as_secs_f64());
    let oldest_ms = totals.oldest_waiting.map_or(0, |at| now.since(at).max(0));
    metrics::gauge!("onhook_oldest_order_waiting_seconds").set(float(oldest_ms.unsigned_abs()) / 1_000.0);
    metrics::gauge!("onhook_releases_due").set(float(totals.due));
    metrics::gauge!("onhook_plans_waiting_for_approval").set(float(totals.plans_waiting));
    let (unsealed, head) = (app.store.unsealed_count().await?, app.store.head().await?);
    metrics::gauge!("onhook_audit_unsealed_events").set(float(unsealed));
    metrics::gauge!("onhook_audit_position").set(float(head.map_or(0, |head| head.last)));
    Ok(())
}
