//! Measures what is still to be reported: each hour, and soon after a report was made or handed in. The holder of one
//! lease does it for all nodes, since it reads every number that has left service.

use std::sync::Arc;
use std::time::Duration;

use onhook_store::Result;
use onhook_store::contract::leases::LeaseToken;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::lease::Lease;
use crate::metrics::float;
use crate::reports::rnd::{Owed, owed};
use crate::store_log;

/// How often it is measured though no report was handed in.
const EVERY: Duration = Duration::from_hours(1);
/// How often the worker looks whether a report was handed in on another node.
const POLL: Duration = Duration::from_mins(1);

/// What was measured last: when, and with which reports handed in.
struct Measured {
    at: Instant,
    handed_in: Vec<String>,
}

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut lease = Lease::keep(app.clone(), "what is to be reported".to_owned(), |_| true);
    let mut last = None;
    while !stop.is_cancelled() {
        let looked = tokio::select! {
            () = stop.cancelled() => break,
            looked = look(&app, lease.token(), &mut last) => looked,
        };
        if let Err(error) = looked {
            store_log::failed("what is to be reported cannot be counted", &error);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.reports_bell.notified() => {}
            () = lease.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    lease.end().await;
}

/// Measures if it is this node's turn, and if it was not done lately with the same reports. Returns whether it was.
async fn look(app: &App, lease: Option<LeaseToken>, last: &mut Option<Measured>) -> Result<bool> {
    if lease.is_none() {
        if last.take().is_some() {
            show([f64::NAN; 3]); // another node's figures are not known here
        }
        return Ok(false);
    }
    let confirmed = app.store.confirmed_reports(None).await?;
    let handed_in: Vec<String> = confirmed.into_iter().map(|report| report.id).collect();
    let same = |last: &Measured| last.at.elapsed() < EVERY && last.handed_in == handed_in;
    if last.as_ref().is_some_and(same) {
        return Ok(false);
    }
    let at = Instant::now();
    let days = (app.settings.policy.zone(), app.values().reports.rnd_form.cutoff_day);
    let Owed { numbers, oldest_days, due_days } = owed(&*app.store, days, app.clock.now()).await?;
    let days = |days: i64| if days < 0 { -float(days.unsigned_abs()) } else { float(days.unsigned_abs()) };
    show([float(numbers), days(oldest_days), days(due_days)]);
    *last = Some(Measured { at, handed_in });
    Ok(true)
}

fn show([unreported, oldest_days, due_days]: [f64; 3]) {
    metrics::gauge!("onhook_rnd_unreported").set(unreported);
    metrics::gauge!("onhook_rnd_oldest_unreported_days").set(oldest_days);
    metrics::gauge!("onhook_rnd_due_days").set(due_days);
}

#[cfg(test)]
mod tests {
    use onhook_store::sqlite::SqliteStore;

    use super::*;
    use crate::settings::Settings;

    /// The clock stands still, and goes to the next deadline whenever nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn the_holder_of_the_lease_measures_each_hour_and_nobody_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let app = App::new(store.clone(), Settings::default(), "http://127.0.0.1".into()).await.unwrap();
        let (held, mut last) = (Some(LeaseToken(1)), None);
        let mut found = Vec::new();
        for (lease, minutes) in [(None, 0), (held, 0), (held, 59), (held, 1), (None, 0), (held, 0)] {
            tokio::time::advance(Duration::from_mins(minutes)).await;
            found.push(look(&app, lease, &mut last).await.unwrap());
        }
        assert_eq!(found, [false, true, false, true, false, true]);
        app.store.close().await;
    }
}
