//! Tells what about the store's database may cost a promise: once when it appears, once when it is gone, and in a gauge.

use std::sync::Arc;
use std::time::Duration;

use onhook_store::Result;
use onhook_store::contract::upkeep::Weakness;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::store_log;

/// How often the store is asked. It asks its database once a minute, so this costs nothing.
const POLL: Duration = Duration::from_secs(5);

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut known = Vec::new();
    while !stop.is_cancelled() {
        if let Err(error) = look(&app, &mut known).await {
            store_log::failed("what the database may lose could not be asked", &error);
        }
        stop.run_until_cancelled(tokio::time::sleep(POLL)).await;
    }
}

/// Asks the store, and tells what is new since `known`.
async fn look(app: &App, known: &mut Vec<Weakness>) -> Result<()> {
    let found = app.store.durability().await?;
    app.compare_clocks(&found);
    tell(known, &found);
    *known = found;
    Ok(())
}

/// Logs what has appeared and what is gone, and sets the gauge of each kind.
fn tell(known: &[Weakness], found: &[Weakness]) {
    for kind in Weakness::KINDS {
        let of_kind = |all: &[Weakness]| all.iter().copied().find(|weakness| weakness.kind() == kind);
        let (before, now) = (of_kind(known), of_kind(found));
        match (before, now) {
            (None, Some(weakness)) => warn!(weakness.kind = kind, "{weakness}"),
            (Some(_), None) => info!(weakness.kind = kind, "the database's weakness {kind} is gone"),
            _ => {}
        }
        metrics::gauge!("onhook_store_weakness", "kind" => kind).set(if now.is_some() { 1.0 } else { 0.0 });
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::clock::ClockState;
    use onhook_store::contract::upkeep::Upkeep;
    use onhook_store::sqlite::SqliteStore;

    use super::*;
    use crate::settings::Settings;
    use crate::work::logged;

    #[test]
    fn a_weakness_is_told_once_when_it_appears_and_once_when_it_is_gone() {
        let log = logged(|| {
            let clock = |ms| Weakness::ClockOff { ms };
            tell(&[], &[Weakness::FsyncOff]);
            tell(&[Weakness::FsyncOff], &[Weakness::FsyncOff, clock(2_000)]);
            tell(&[Weakness::FsyncOff, clock(2_000)], &[Weakness::FsyncOff, clock(2_100)]);
            tell(&[Weakness::FsyncOff, clock(2_100)], &[clock(2_100)]);
        });
        let told: Vec<(&str, bool)> = log.lines().map(|line| (line.trim(), line.contains("fsync"))).collect();
        assert!(
            matches!(&told[..], [(fsync, true), (clock, false), (gone, true)]
                if fsync.starts_with("WARN") && fsync.contains("Set fsync to on")
                    && clock.starts_with("WARN") && clock.contains("2000 ms ahead of this machine's")
                    && gone.starts_with("INFO") && gone.contains("weakness fsync is gone")),
            "{log}"
        );
    }

    #[tokio::test]
    async fn a_clock_more_than_five_seconds_from_the_databases_takes_no_orders_and_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let app = App::new(store.clone(), Settings::default(), "http://127.0.0.1".into()).await.unwrap();
        let usable = |app: &App| (app.believed_now().is_some(), app.sure_now().is_some());
        assert_eq!((usable(&app), app.not_ready()), ((true, true), None));
        app.compare_clocks(&[Weakness::FsyncOff, Weakness::ClockOff { ms: 5_000 }]);
        assert_eq!((usable(&app), app.not_ready()), ((true, true), None));

        app.compare_clocks(&[Weakness::FsyncOff, Weakness::ClockOff { ms: 6_000 }]);
        assert_eq!(app.clock_state(), ClockState::Apart { by_ms: -6_000 });
        assert_eq!(usable(&app), (false, false));
        assert_eq!(app.not_ready().as_deref(), Some("the clock is 6 seconds behind the database's"));
        app.remember_clock().await.unwrap();
        assert_eq!(store.clock().await.unwrap().0, None);

        look(&app, &mut Vec::new()).await.unwrap(); // this store has no database whose clock could differ
        assert_eq!((usable(&app), app.not_ready()), ((true, true), None));
        app.remember_clock().await.unwrap();
        assert!(store.clock().await.unwrap().0.is_some());
        store.close().await;
    }
}
