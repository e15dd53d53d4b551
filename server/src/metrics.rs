//! The process's metrics, each with its kind and description.
//!
//! Each metric is counted where it happens, and has its row here.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use onhook_core::time::Timestamp;

/// Upper bounds of the buckets of histograms, in seconds.
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Every metric, its kind and its description.
const METERS: [(Kind, &str, &str); 33] = [
    (
        Kind::Counter,
        "onhook_http_requests_total",
        "Requests that were answered, by route, method and status.",
    ),
    (
        Kind::Histogram,
        "onhook_http_request_seconds",
        "How long an answer took, in seconds, by route and method.",
    ),
    (Kind::Counter, "onhook_orders_ended_total", "Orders that ended, by status."),
    (Kind::Counter, "onhook_deliveries_total", "Attempts to tell a subscriber, by outcome."),
    (Kind::Gauge, "onhook_deliveries_waiting", "Notifications that wait to be delivered."),
    (
        Kind::Gauge,
        "onhook_deliveries_waiting_age_seconds",
        "How long ago they were counted, in seconds: a large store counts them less often.",
    ),
    (
        Kind::Counter,
        "onhook_numbers_released_total",
        "Numbers that time has moved on, ended reservations too.",
    ),
    (Kind::Counter, "onhook_password_checks_total", "Passwords that were hashed to check them."),
    (Kind::Counter, "onhook_sign_ins_failed_total", "Requests that were not signed in, by reason."),
    (
        Kind::Counter,
        "onhook_sign_ins_held_up_total",
        "How often a name, an address, or a name from an address ran out of tries.",
    ),
    (Kind::Counter, "onhook_commits_failed_total", "Writes that were refused or failed, by cause."),
    (Kind::Gauge, "onhook_numbers", "Numbers, by state."),
    (Kind::Gauge, "onhook_orders_waiting", "Orders that were accepted and have not been run."),
    (
        Kind::Gauge,
        "onhook_oldest_order_waiting_seconds",
        "How long the oldest of them has waited, in seconds.",
    ),
    (Kind::Gauge, "onhook_writer_queue", "Jobs that wait for the writer."),
    (
        Kind::Gauge,
        "onhook_store_up",
        "1 if the store was read for these metrics, else 0: what is stored is then as it was before.",
    ),
    (
        Kind::Gauge,
        "onhook_store_weakness",
        "1 while the store's database may lose what was promised, by kind of weakness.",
    ),
    (
        Kind::Gauge,
        "onhook_settings_differ",
        "1 while another node of the database goes by other settings, else 0.",
    ),
    (Kind::Gauge, "onhook_clock_jumped", "1 while the clock is not believed, else 0."),
    (Kind::Gauge, "onhook_clock_trusted", "1 if the server was started with --trust-clock."),
    (Kind::Gauge, "onhook_releases_due", "Numbers whose time has come and that still wait."),
    (Kind::Gauge, "onhook_plans_waiting_for_approval", "Plans that wait for a second person."),
    (
        Kind::Gauge,
        "onhook_release_wait_seconds",
        "How long releases wait after the start, until the clock is sure, in seconds.",
    ),
    (Kind::Counter, "onhook_subscriptions_ended_total", "Subscriptions whose time (Expiry) is over."),
    (Kind::Gauge, "onhook_audit_unsealed_events", "Events that have no position in the audit trail yet."),
    (Kind::Gauge, "onhook_audit_position", "The last position of the audit trail."),
    (Kind::Gauge, "onhook_rnd_unreported", "Permanent disconnects that no report has which was handed in."),
    (Kind::Gauge, "onhook_rnd_oldest_unreported_days", "How many days ago the oldest of them was."),
    (
        Kind::Gauge,
        "onhook_rnd_due_days",
        "Days until the first report of disconnects is due that was not handed in, negative if it is late.",
    ),
    (
        Kind::Counter,
        "onhook_workers_restarted_total",
        "How often something in the background was broken off by a fault of onhook and begun again, by worker.",
    ),
    (Kind::Gauge, "onhook_jobs_running", "1 while this server does a job of the kind, else 0."),
    (Kind::Gauge, "onhook_build_info", "Always 1; the label says the version."),
    (Kind::Gauge, "process_start_time_seconds", "When the server started, in seconds since 1970."),
];

/// The kind of a metric.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Installs the process's recorder, once. `started_at` is the system's time.
pub(crate) fn install(started_at: Timestamp) {
    METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).ok()?;
        let metrics = builder.install_recorder().ok()?;
        for (kind, name, help) in METERS {
            match kind {
                Kind::Counter => metrics::describe_counter!(name, help),
                Kind::Gauge => metrics::describe_gauge!(name, help),
                Kind::Histogram => metrics::describe_histogram!(name, help),
            }
        }
        metrics::gauge!("onhook_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let started_ms = started_at.millis().unsigned_abs();
        metrics::gauge!("process_start_time_seconds").set(float(started_ms) / 1_000.0);
        Some(metrics)
    });
}

/// Lets the recorder process gathered measurements. Without this, they only grow.
pub(crate) fn tidy() {
    if let Some(Some(metrics)) = METRICS.get() {
        metrics.run_upkeep();
    }
}

/// Returns all metrics in the form of Prometheus. Without a recorder there are none.
pub(crate) fn rendered() -> String {
    METRICS.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
}

/// Returns a number in the type of a gauge.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a gauge may lose the last digits of 2^53"
)]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}
