//! The accept loop.
//!
//! `axum::serve` cannot limit how long a client takes for its headers, or how many clients there are. So the loop is
//! our own, on hyper, with a limit for each.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::framing::Followed;
use super::origin::Origin;
use super::path::{self, Prefixes, Sent};
use super::reply::{Cut, Reply};

/// How long a client may take for a request's head, and how long an idle connection stays open.
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
/// How long an idle connection stays open after the server stops: a request may be on its way.
const LINGER: Duration = Duration::from_millis(250);

/// What the accept loop passes requests to: the router, and the API's prefixes.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) router: axum::Router,
    pub(crate) prefixes: Prefixes,
}

impl Front {
    /// Answers a request from there.
    pub(crate) async fn answer(self, from: Origin, request: Request<Body>) -> Response<Body> {
        match answer(self, from, request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// What connections are taken from.
pub(crate) trait Source: Sized + Send {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Send + 'static;

    /// Waits for the next connection.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Origin)>> + Send;

    /// Returns the connections in the system's queue: their clients have been told that they are connected.
    fn queued(self) -> impl Iterator<Item = (Self::Stream, Origin)> + Send;
}

impl Source for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Origin)> {
        let (stream, peer) = self.accept().await?;
        // Answers are small and sent whole. Waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        Ok((stream, Origin::Network(peer.ip())))
    }

    fn queued(self) -> impl Iterator<Item = (TcpStream, Origin)> + Send {
        let listener = self.into_std().ok();
        std::iter::from_fn(move || {
            let (stream, peer) = listener.as_ref()?.accept().ok()?;
            stream.set_nonblocking(true).ok()?;
            let stream = TcpStream::from_std(stream).ok()?;
            let _ = stream.set_nodelay(true);
            Some((stream, Origin::Network(peer.ip())))
        })
    }
}

impl Source for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Origin)> {
        let (stream, _) = self.accept().await?;
        let from = Origin::Socket(stream.peer_cred()?.uid());
        Ok((stream, from))
    }

    fn queued(self) -> impl Iterator<Item = (UnixStream, Origin)> + Send {
        let listener = self.into_std().ok();
        std::iter::from_fn(move || {
            let (stream, _) = listener.as_ref()?.accept().ok()?;
            stream.set_nonblocking(true).ok()?;
            let stream = UnixStream::from_std(stream).ok()?;
            let from = Origin::Socket(stream.peer_cred().ok()?.uid());
            Some((stream, from))
        })
    }
}
/// The end of a connection on whose last request no answer is given, as an emulator was asked for.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no answer was given, on demand")]
struct Unanswered;

/// Takes connections, at most `connections` at once, until it is stopped and the requests under way have ended.
pub(crate) async fn accept<S: Source>(source: S, front: Front, connections: usize, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    // Cancelled when answers begin to end their connections. That must not be before new connections are refused: a
    // client that is sent away connects again at once, and a connection in that very moment is reset.
    let shut = CancellationToken::new();
    loop {
        // A slot is taken first. When all are taken, a client waits in the system's queue.
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = slots.clone().acquire_owned() => slot,
        };
        let Ok(slot) = slot else { break };
        let (stream, from) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = source.next() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            },
        };
        serve(stream, from, slot, front.clone(), &graceful, shut.clone());
    }
    // The clients in the system's queue are taken before others are refused.
    {
        let mut queued = source.queued();
        while let Ok(slot) = slots.clone().try_acquire_owned()
            && let Some((stream, from)) = queued.next()
        {
            serve(stream, from, slot, front.clone(), &graceful, shut.clone());
        }
    }
    shut.cancel();
    // Each answer now says that it is its connection's last. Closing a connection while a request is on its way would
    // leave the client in doubt. So idle connections are given a moment, until all slots are free.
    let all = slots.acquire_many(u32::try_from(connections).unwrap_or(u32::MAX));
    let _ = tokio::time::timeout(LINGER, all).await;
    if tokio::time::timeout(DRAIN_WAIT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in {DRAIN_WAIT:?}");
    }
}

/// Pauses after an error that means the system is out of something, so that it recovers instead of spinning. A
/// connection that broke while it was made needs no pause.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind as Kind;
    if matches!(error.kind(), Kind::ConnectionRefused | Kind::ConnectionAborted | Kind::ConnectionReset) {
        return;
    }
    tracing::error!(%error, "cannot take connections: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    from: Origin,
    slot: OwnedSemaphorePermit,
    front: Front,
    graceful: &GracefulShutdown,
    shut: CancellationToken,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(READ_WAIT));
    let service = service_fn(move |request: Request<Incoming>| {
        let (front, shut) = (front.clone(), shut.clone());
        async move {
            let answered = answer(front, from, request.map(Body::new)).await;
            let mut answer = answered.unwrap_or_else(|never| match never {});
            if answer.extensions().get::<Cut>().is_some() {
                return Err(Unanswered);
            }
            if shut.is_cancelled() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_MAX)
        .max_header_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        // Some clients keep header names as they are sent, and look for `Location`.
        .title_case_headers(true)
        // A client that has sent a whole request may close its side, and is answered. A client that is gone costs no
        // more than its request: a handler has an end.
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

/// Returns whether a request names its host once, as RFC 9112 (3.2) requires. A request of HTTP/1.0 need not.
fn names_its_host<B>(request: &Request<B>) -> bool {
    match request.headers().get_all(header::HOST).iter().count() {
        0 => request.version() < Version::HTTP_11,
        hosts => hosts == 1,
    }
}

async fn answer(
    front: Front,
    from: Origin,
    mut request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_MAX {
        return Ok(Reply::empty(StatusCode::URI_TOO_LONG).into());
    }
    if !names_its_host(&request) {
        return Ok(Reply::empty(StatusCode::BAD_REQUEST).with(header::CONNECTION, "close").into());
    }
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
    request.extensions_mut().insert(Sent { uri, prefix, from });
    front.router.oneshot(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock stands still, and goes on only while something is waited for.
    #[tokio::test(start_paused = true)]
    async fn a_stop_without_connections_waits_for_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Front { router: axum::Router::new(), prefixes: &[] };
        let stop = CancellationToken::new();
        stop.cancel();
        let begun = tokio::time::Instant::now();
        accept(listener, front, 4, stop).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
