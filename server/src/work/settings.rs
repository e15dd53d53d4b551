//! Goes by the settings that operators change on any server of the database.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store_log;

/// How often the store is asked. Within two seconds of a change every server goes by it.
const POLL: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match app.store.chosen().await {
            Ok(chosen) => app.go_by(&chosen),
            Err(error) => {
                store_log::failed("the settings could not be read", &error);
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(POLL)).await;
    }
}
