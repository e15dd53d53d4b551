//! Measures what is still to be reported: each hour, and when a report was made or handed in.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::metrics::float;
use crate::reports::rnd::{Owed, owed};
use crate::store_log;

/// How long the worker sleeps.
const EVERY: Duration = Duration::from_hours(1);

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let measured = tokio::select! {
            () = stop.cancelled() => return,
            measured = owed(&*app.store, app.settings.policy.zone(), app.clock.now()) => measured,
        };
        match measured {
            Ok(found) => set(found),
            Err(error) => {
                store_log::failed("what is to be reported cannot be counted", &error);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.reports_bell.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn set(Owed { numbers, oldest_days, due_days }: Owed) {
    let days = |days: i64| if days < 0 { -float(days.unsigned_abs()) } else { float(days.unsigned_abs()) };
    metrics::gauge!("onhook_rnd_unreported").set(float(numbers));
    metrics::gauge!("onhook_rnd_oldest_unreported_days").set(days(oldest_days));
    metrics::gauge!("onhook_rnd_due_days").set(days(due_days));
}
