//! Whether a connection leads to the database itself, or to a pooler in between.
//!
//! A database tells each client which process serves it, for cancellations. A pooler gives that process to others as well,
//! so it tells a number of its own. Such a number is not that of the process which answers.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, SimpleQueryMessage};

/// What a server answers that speaks TLS.
const SPEAKS_TLS: u8 = b'S';

/// Returns whether a connection leads to the database itself. False if that cannot be found out.
pub(super) async fn is_direct(connection: &tokio_postgres::Client) -> bool {
    let told = told(&connection.cancel_token()).await;
    let answers = connection.simple_query("SELECT pg_backend_pid()").await.unwrap_or_default();
    let answers = answers.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i32>().ok(),
        _ => None,
    });
    told.is_some() && told == answers
}

/// Returns the process that a connection was told of. A cancellation names it, before its key.
async fn told(session: &CancelToken) -> Option<i32> {
    let mut sent = Vec::new();
    session.cancel_query_raw(Kept(&mut sent), Plain).await.ok()?;
    let (_, process) = sent.split_last_chunk::<4>().and_then(|(sent, _key)| sent.split_last_chunk::<4>())?;
    Some(i32::from_be_bytes(*process))
}

/// Keeps what is sent, and sends it nowhere.
struct Kept<'a>(&'a mut Vec<u8>);

impl AsyncRead for Kept<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buffer.put_slice(&[SPEAKS_TLS]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Kept<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl TlsStream for Kept<'_> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// TLS that changes nothing.
struct Plain;

impl<'a> TlsConnect<Kept<'a>> for Plain {
    type Stream = Kept<'a>;
    type Error = io::Error;
    type Future = Ready<io::Result<Kept<'a>>>;

    fn connect(self, stream: Kept<'a>) -> Self::Future {
        ready(Ok(stream))
    }
}
