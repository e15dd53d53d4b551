//! Starts and stops the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, Response};
use onhook_core::job::Kind;
use onhook_store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::app::App;
use crate::bandwidth::prefix;
use crate::http::listen::{self, Front};
use crate::http::origin::Origin;
use crate::http::socket::{Place, Socket};
use crate::http::{connections, router};
use crate::settings::Settings;
use crate::work::reset;
use crate::{metrics, routes, work};

/// Most connections to the machine's socket that are open at once. More wait to be taken.
const SOCKET_CONNECTIONS: usize = 64;
/// How the paths begin that the machine's socket serves.
const MACHINE_PATHS: &str = "/ops/";
/// How long a server may take to stop. Requests have their own bound within it; a store may hang.
const STOP_MAX: Duration = Duration::from_secs(25);

/// A running server.
pub struct Server {
    /// The address it listens on.
    pub address: SocketAddr,
    /// Its parts.
    pub app: Arc<App>,
    stop: CancellationToken,
    accepting: JoinSet<()>,
    workers: JoinSet<()>,
    socket: Option<Place>,
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
    if let Some(emulator) = &app.emulator {
        let image = Arc::new(app.store.image().await?);
        // Data in which something has happened is older than this server.
        if image.rows("orders") == 0 {
            emulator.begin_with(image);
        }
        if let Some(seed) = app.settings.id_seed {
            reset::reset(&app, emulator, reset::Begin { seed: Some(seed), now: None, rate: 1.0 }).await?;
        }
    }
    let stop = CancellationToken::new();
    let mut workers = JoinSet::new();
    work::start::all(&app, &stop, &mut workers);
    let router = router::router(&app, routes::all(), routes::lost);
    let front = Front { router, prefixes: prefix::TEXTS };
    let mut accepting = JoinSet::new();
    accepting.spawn(listen::accept(listener, front, connections, stop.clone()));
    Ok(Server { address, app, stop, accepting, workers, socket: None })
}

/// Returns what answers someone on the machine itself: the operations API alone.
fn machine_front(app: &Arc<App>) -> Front {
    let mut served = routes::all();
    served.retain(|route| route.path.starts_with(MACHINE_PATHS));
    Front { router: router::router(app, served, routes::no_operation), prefixes: &[] }
}

impl Server {
    /// Answers at this socket, too. Who opens it is the operator, without signing in.
    pub fn serve_socket(&mut self, socket: Socket) {
        let Socket { listener, place } = socket;
        let front = machine_front(&self.app);
        self.accepting.spawn(listen::accept(listener, front, SOCKET_CONNECTIONS, self.stop.clone()));
        self.socket = Some(place);
    }

    /// Stops the server in order: it is no longer ready, it takes no new connections, requests under way end, the
    /// workers end their step, waiting writes are written, the store closes. What has not ended within [`STOP_MAX`] is
    /// broken off, as in a crash, and the log says so.
    pub async fn stop(mut self) {
        self.app.stop();
        self.stop.cancel();
        drop(self.socket.take()); // nobody connects any more
        let mut left = "requests";
        let in_order = async {
            while self.accepting.join_next().await.is_some() {}
            left = "workers";
            while self.workers.join_next().await.is_some() {}
            left = "writes";
            self.app.store.close().await;
        };
        if timeout(STOP_MAX, in_order).await.is_err() {
            error!(
                left,
                "the server has not ended in {STOP_MAX:?}: its {left} are broken off. Does the store hang?"
            );
        }
    }
}

/// The operations API without a server: it answers in this process, on data that no server has.
pub struct Offline {
    front: Front,
    app: Arc<App>,
    stop: CancellationToken,
    /// What does jobs.
    workers: JoinSet<()>,
    /// Whether something may have been written.
    has_written: AtomicBool,
}

/// Paths whose reading is written down.
const READING_WRITES: [&str; 2] = ["/ops/v1/exports/", "/ops/v1/audit/export"];

impl Offline {
    /// Returns one that answers from this store. Nothing is done by itself: no order runs, and nobody is told anything.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn new(
        store: Arc<dyn Store>,
        settings: Settings,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut app = App::new(store, settings, String::new()).await?;
        app.alone = app.store.folder().is_some();
        let app = Arc::new(app);
        let front = machine_front(&app);
        let (stop, workers, has_written) = (CancellationToken::new(), JoinSet::new(), AtomicBool::new(false));
        Ok(Self { front, app, stop, workers, has_written })
    }

    /// Answers a request. The store notes the time of one that may write, as it does while a server runs: a wrong clock
    /// now would otherwise go unseen at the next start.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD)
            && !READING_WRITES.iter().any(|path| request.uri().path().starts_with(path));
        if !reads {
            self.has_written.store(true, Ordering::Relaxed);
            if let Err(error) = self.app.remember_clock().await {
                tracing::warn!(%error, "the time of this use cannot be noted: {error}");
            }
        }
        self.front.clone().answer(Origin::Process, request).await
    }

    /// Does the jobs of a kind, also those that a server has left, until it is closed.
    pub fn do_jobs(&mut self, kind: Kind) {
        let (app, stop) = (self.app.clone(), self.stop.clone());
        self.workers.spawn(work::jobs::kept_of_kind(app, stop, kind));
    }

    /// Returns the store, for what is no matter of the API.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.app.store
    }

    /// Seals what was written, and closes the store. What could not be sealed gets its seal from the next server.
    pub async fn close(mut self) {
        self.app.stop();
        self.stop.cancel();
        while self.workers.join_next().await.is_some() {}
        if self.has_written.load(Ordering::Relaxed)
            && let Err(error) = onhook_store::audit::seal_all(&*self.app.store, self.app.clock.now()).await
        {
            tracing::debug!(%error, "what was written is not sealed yet: {error}");
        }
        self.app.store.close().await;
    }
}
