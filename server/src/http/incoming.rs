//! A request's body that a handler reads while it arrives.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;

use super::refusal::Refusal;

/// How long a client may take to send more of a body.
const MORE_WAIT: Duration = Duration::from_secs(30);

/// A body that arrives. It has no limit of its own: a handler that reads it counts what it takes.
#[derive(Default)]
pub struct Incoming(Mutex<Option<Body>>);

impl Incoming {
    /// Returns a body that is still to be read.
    pub(crate) fn new(body: Body) -> Self {
        Self(Mutex::new(Some(body)))
    }

    /// Returns the body for one reader. A second one reads an empty body.
    pub fn read(&self) -> Reading {
        Reading(self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default())
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

/// A body that is being read.
pub struct Reading(Body);

impl Reading {
    /// Returns the next part of the body, or `None` at its end.
    ///
    /// # Errors
    /// The refusal of a body that was cut off, or of which nothing came for 30 seconds.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = tokio::time::timeout(MORE_WAIT, self.0.frame()).await;
            match frame.map_err(|_| Refusal::BodyTimeout)? {
                None => return Ok(None),
                Some(Err(_)) => return Err(Refusal::BadRequest("the body was cut off".into())),
                Some(Ok(frame)) => {
                    // Trailers are no part of it.
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;
    use crate::http::reply::Reply;

    fn parts(cut: bool) -> Vec<io::Result<Bytes>> {
        let mut parts = vec![Ok(Bytes::from("5405550100\n")), Ok(Bytes::from("5405550101\n"))];
        if cut {
            parts.push(Err(io::ErrorKind::ConnectionReset.into()));
        }
        parts
    }

    #[tokio::test]
    async fn a_body_is_read_in_parts_and_once() {
        let incoming = Incoming::new(Body::from_stream(stream::iter(parts(false))));
        let mut reading = incoming.read();
        assert_eq!(reading.next().await.unwrap().as_deref(), Some("5405550100\n".as_bytes()));
        assert_eq!(reading.next().await.unwrap().as_deref(), Some("5405550101\n".as_bytes()));
        assert_eq!(reading.next().await.unwrap(), None);
        assert_eq!(incoming.read().next().await.unwrap(), None, "it is read already");
    }

    #[tokio::test]
    async fn a_body_that_is_cut_off_is_told_from_one_that_ends() {
        let incoming = Incoming::new(Body::from_stream(stream::iter(parts(true))));
        let mut reading = incoming.read();
        assert!(reading.next().await.unwrap().is_some());
        assert!(reading.next().await.unwrap().is_some());
        assert!(matches!(reading.next().await, Err(Refusal::BadRequest(_))));
        let reply: http::Response<Body> = Reply::streamed("text/csv", stream::iter(parts(true))).into();
        assert!(reply.into_body().collect().await.is_err());
    }
}
