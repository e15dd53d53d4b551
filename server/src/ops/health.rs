//! Is it alive, should it be sent requests, and how much of what has it done.

use std::sync::{Arc, OnceLock};

use http::{Method, StatusCode};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use onhook_wire::error::Problem;

use crate::App;
use crate::reply::{Reply, store_problem};
use crate::route::{Call, Needs, Route};

/// Upper bounds of the buckets of histograms, in seconds.
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Sets the process's recorder up, once.
pub(crate) fn install_metrics() {
    METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).ok()?;
        let recorder = builder.install_recorder().ok();
        describe_clock();
        recorder
    });
}

/// Says what is measured of the clock, and of what goes by it.
fn describe_clock() {
    metrics::describe_gauge!("onhook_clock_trusted", "1 if the server was started with --trust-clock.");
    metrics::describe_gauge!("onhook_releases_due", "Numbers whose time has come and that still wait.");
    metrics::describe_gauge!(
        "onhook_release_wait_seconds",
        metrics::Unit::Seconds,
        "How long releases wait after the start, until the clock is sure."
    );
    metrics::describe_counter!(
        "onhook_subscriptions_ended_total",
        "Subscriptions whose time (Expiry) is over."
    );
}

/// Lets the recorder take in what has gathered; without it, what is measured only grows.
pub(crate) fn tidy_metrics() {
    if let Some(Some(metrics)) = METRICS.get() {
        metrics.run_upkeep();
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::ops(Method::GET, "/healthz", Needs::Nothing, alive),
        Route::ops(Method::GET, "/readyz", Needs::Nothing, ready),
        Route::ops(Method::GET, "/metrics", Needs::Nothing, measured),
    ]
}

/// 200 as long as the process answers; asks nothing of the store.
async fn alive(_app: Arc<App>, _call: Call) -> Result<Reply, Problem> {
    Ok(Reply::text(StatusCode::OK, "ok\n"))
}

/// 200 when requests may be sent, 503 and the reason when not.
async fn ready(app: Arc<App>, _call: Call) -> Result<Reply, Problem> {
    match app.not_ready() {
        None => Ok(Reply::text(StatusCode::OK, "ready\n")),
        Some(why) => Ok(Reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))),
    }
}

/// Metrics in the form of Prometheus.
async fn measured(app: Arc<App>, _call: Call) -> Result<Reply, Problem> {
    let totals = app.store.totals(app.clock.now()).await.map_err(store_problem)?;
    for (state, numbers) in totals.by_state {
        metrics::gauge!("onhook_numbers", "state" => state.word()).set(float(numbers));
    }
    metrics::gauge!("onhook_orders_waiting").set(float(totals.waiting));
    metrics::gauge!("onhook_deliveries_waiting").set(float(totals.deliveries));
    metrics::gauge!("onhook_writer_queue").set(float(u64::try_from(totals.queue).unwrap_or(u64::MAX)));
    let oldest_ms = totals.oldest_waiting.map_or(0, |at| app.clock.now().since(at).max(0));
    metrics::gauge!("onhook_oldest_order_waiting_seconds").set(float(oldest_ms.unsigned_abs()) / 1_000.0);
    let clock = app.clock_state();
    let waits_ms = clock.release_waits_ms().unsigned_abs();
    metrics::gauge!("onhook_clock_jumped").set(if clock.is_believed() { 0.0 } else { 1.0 });
    metrics::gauge!("onhook_clock_trusted").set(if app.settings.trust_clock { 1.0 } else { 0.0 });
    metrics::gauge!("onhook_releases_due").set(float(totals.due));
    metrics::gauge!("onhook_release_wait_seconds").set(float(waits_ms) / 1_000.0);
    let rendered = METRICS.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default();
    Ok(Reply::text(StatusCode::OK, rendered))
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a gauge may lose the last digits of 2^53"
)]
fn float(value: u64) -> f64 {
    value as f64
}
