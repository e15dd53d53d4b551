//! A database that is far away: a proxy to it that delivers every byte later.
//!
//! Nodes then wait for answers instead of for processors, as they do where each has a machine of its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

const CHUNK: usize = 64 << 10;
/// Chunks that may be on their way in one direction.
const CHUNKS_MAX: usize = 64;

/// The proxy. It ends when it is dropped.
pub(crate) struct Far {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    task: AbortHandle,
}

impl Drop for Far {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a proxy to an address. A question and its answer take `delay` longer there and back together.
pub(crate) async fn start(to: SocketAddr, delay: Duration) -> Result<Far> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let task = tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(to).await else { continue };
            if near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).is_err() {
                continue;
            }
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out, delay / 2));
            tokio::spawn(carry(far_in, near_out, delay / 2));
        }
    });
    Ok(Far { addr, task: task.abort_handle() })
}

/// Carries bytes in one direction, each for so long, until one end is closed.
async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    time: Duration,
) {
    let (sender, mut on_their_way) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let read = async move {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            if sender.send((Instant::now() + time, chunk[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((at, bytes)) = on_their_way.recv().await {
            sleep_until(at.into()).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_back_whole_and_not_before_their_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let delay = Duration::from_millis(20);
        let far = start(listener.local_addr().unwrap(), delay).await.unwrap();
        let mut near = TcpStream::connect(far.addr).await.unwrap();
        let (mut end, _) = listener.accept().await.unwrap();
        let (begun, mut answer) = (Instant::now(), [0; 5]);
        near.write_all(b"hello").await.unwrap();
        end.read_exact(&mut answer).await.unwrap();
        end.write_all(&answer).await.unwrap();
        near.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
        assert!(begun.elapsed() >= delay);
    }
}
