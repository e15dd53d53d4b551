//! Starts and stops the server.

use std::net::SocketAddr;
use std::sync::Arc;

use onhook_store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::bandwidth::prefix;
use crate::http::listen::{self, Front};
use crate::http::{connections, router};
use crate::settings::Settings;
use crate::{metrics, routes, work};

/// A running server.
pub struct Server {
    /// The address it listens on.
    pub address: SocketAddr,
    /// Its parts.
    pub app: Arc<App>,
    stop: CancellationToken,
    accepting: tokio::task::JoinHandle<()>,
    workers: JoinSet<()>,
}

/// Starts a server on a bound socket. It answers as soon as this returns.
///
/// # Errors
/// If the socket cannot be used or the store cannot be read.
pub async fn start(
    listener: TcpListener,
    store: Arc<dyn Store>,
    mut settings: Settings,
) -> Result<Server, Box<dyn std::error::Error + Send + Sync>> {
    let address = listener.local_addr()?;
    let connections = connections::fitting_files(settings.connections_max);
    settings.callbacks.own = Some(address);
    let app = Arc::new(App::new(store, settings, format!("http://{address}")).await?);
    metrics::install(app.clock.wall());
    let stop = CancellationToken::new();
    let mut workers = JoinSet::new();
    workers.spawn(work::orders::run(app.clone(), stop.clone()));
    workers.spawn(work::release::run(app.clone(), stop.clone()));
    workers.spawn(work::deliveries::run(app.clone(), stop.clone()));
    workers.spawn(work::weaknesses::run(app.clone(), stop.clone()));
    let router = router::router(&app, routes::all(), routes::lost);
    let front = Front { router, prefixes: prefix::TEXTS };
    let accepting = tokio::spawn(listen::accept(listener, front, connections, stop.clone()));
    Ok(Server { address, app, stop, accepting, workers })
}

impl Server {
    /// Stops the server in order: it is no longer ready, it takes no new connections, requests under way end, the
    /// workers end their step, waiting writes are written, the store closes.
    pub async fn stop(mut self) {
        self.app.stop();
        self.stop.cancel();
        let _ = self.accepting.await;
        while self.workers.join_next().await.is_some() {}
        self.app.store.close().await;
    }
}
