//! The accept loop.
//!
//! `axum::serve` gives no way to bound how long a client takes for its headers, nor how many are there:
//! so the loop is our own, on hyper, with a limit for each.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::framing::Followed;
use super::path::{self, Prefixes, Sent};
use super::reply::Reply;

/// How long a client may take for a request's head, and how long an idle connection stays.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// Most bytes of a request's head.
const HEAD_MAX: usize = 32 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 100;
/// Most bytes of a request's target.
const TARGET_MAX: usize = 8 * 1024;
/// How long a client may take to read more of an answer.
const READ_WAIT: Duration = Duration::from_secs(30);
/// How long requests under way may take to end once the server stops.
const DRAIN_WAIT: Duration = Duration::from_secs(20);
/// How long a connection that is idle when the server stops stays open: a request may be on its way.
const LINGER: Duration = Duration::from_millis(250);

/// What is in front of the routes: the router, and the prefixes that the API has.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) router: axum::Router,
    pub(crate) prefixes: Prefixes,
}

/// Takes connections, at most so many at once, until it is stopped and the requests under way have ended.
pub(crate) async fn accept(listener: TcpListener, front: Front, connections: usize, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    // From when on answers end their connections. Not before connections are refused: a client that is sent away
    // comes again at once, and one that comes in the very moment is reset.
    let shut = CancellationToken::new();
    loop {
        // A slot first: a client that comes when all are taken waits in the system's queue.
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = slots.clone().acquire_owned() => slot,
        };
        let Ok(slot) = slot else { break };
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            },
        };
        serve(stream, peer, slot, front.clone(), &graceful, shut.clone());
    }
    // The system has told those in its queue that they are connected: they are taken before others are refused.
    if let Ok(listener) = listener.into_std() {
        while let Ok(slot) = slots.clone().try_acquire_owned()
            && let Ok((stream, peer)) = listener.accept()
            && stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            serve(stream, peer, slot, front.clone(), &graceful, shut.clone());
        }
    }
    shut.cancel();
    // Each answer now says that it is its connection's last. To close a connection under a request that is
    // on its way would leave a client in doubt, so that idle ones are given a moment: until all slots are free.
    let all = slots.acquire_many(u32::try_from(connections).unwrap_or(u32::MAX));
    let _ = tokio::time::timeout(LINGER, all).await;
    if tokio::time::timeout(DRAIN_WAIT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in {DRAIN_WAIT:?}");
    }
}

/// A connection that broke while it was made is nobody's fault; when the system is out of something, a
/// short pause lets it recover instead of spinning.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind as Kind;
    if matches!(error.kind(), Kind::ConnectionRefused | Kind::ConnectionAborted | Kind::ConnectionReset) {
        return;
    }
    tracing::error!(%error, "cannot take connections: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
    front: Front,
    graceful: &GracefulShutdown,
    shut: CancellationToken,
) {
    // Answers are small and whole: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(READ_WAIT));
    let service = service_fn(move |request| {
        let (front, shut) = (front.clone(), shut.clone());
        async move {
            let mut answer = answer(front, peer, request).await?;
            if shut.is_cancelled() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_MAX)
        .max_header_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        // Some clients keep an answer's headers by their names as these come, and look for `Location`.
        .title_case_headers(true)
        // Who has sent a whole request may say that it was the last one, and is answered. One that is gone costs
        // what its request costs: a handler has an end.
        .half_close(true)
        .serve_connection(TokioIo::new(Followed::new(Box::pin(stream))), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended: {error}");
        }
        drop(slot);
    });
}

/// Whether a request names its host once, as RFC 9112 (3.2) has it; one of HTTP/1.0 need not.
fn names_its_host<B>(request: &Request<B>) -> bool {
    match request.headers().get_all(header::HOST).iter().count() {
        0 => request.version() < Version::HTTP_11,
        hosts => hosts == 1,
    }
}

async fn answer(
    front: Front,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_MAX {
        return Ok(Reply::empty(StatusCode::URI_TOO_LONG).into());
    }
    if !names_its_host(&request) {
        return Ok(Reply::empty(StatusCode::BAD_REQUEST).with(header::CONNECTION, "close").into());
    }
    let mut request = request.map(Body::new);
    let uri = request.uri().clone();
    let found = path::split(front.prefixes, uri.path());
    if let Some((_, Cow::Owned(inside))) = &found {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        match Uri::try_from(format!("{inside}{query}")) {
            Ok(inside) => *request.uri_mut() = inside,
            Err(_) => return Ok(Reply::empty(StatusCode::BAD_REQUEST).into()),
        }
    }
    let prefix = found.map(|(prefix, _)| prefix);
    request.extensions_mut().insert(Sent { uri, prefix, from: peer.ip() });
    front.router.oneshot(request).await
}
