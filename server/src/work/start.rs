//! Starts the workers of a server.

use std::sync::Arc;

use onhook_core::job::Kind;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{deliveries, jobs, nodes, orders, owed, release, seals, settings, weaknesses};
use crate::app::App;
use crate::kept::kept;

/// Starts all workers. Each begins again if it panics, and none of them brings another one down.
pub(crate) fn all(app: &Arc<App>, stop: &CancellationToken, workers: &mut JoinSet<()>) {
    macro_rules! start {
        ($($worker:ident),+) => { $({
            let (app, ends) = (app.clone(), stop.clone());
            let run = move || $worker::run(app.clone(), ends.clone());
            workers.spawn(kept(stringify!($worker), stop.clone(), run));
        })+ };
    }
    start!(orders, release, deliveries, settings, seals, weaknesses, owed, nodes);
    for kind in Kind::ALL {
        workers.spawn(jobs::kept_of_kind(app.clone(), stop.clone(), *kind));
    }
}
