//! Finds where a request ends and the next one begins (RFC 9112), before hyper does.
//!
//! Two readers of one connection, such as a proxy and this server, must agree on that, or a request can be hidden in
//! the body of another. hyper forgives what readers disagree about: a `Content-Length` beside a `Transfer-Encoding`, a
//! repeated `chunked`, lines that end without a carriage return. A handler can no longer see them. So the bytes are
//! followed on their way to hyper. If a head is ambiguous, one byte of it is replaced by one that no request may have:
//! hyper answers 400 and ends the connection. It gets none of the bytes after that.
//!
//! The farewell is here too, because only this file knows what was left unread. A connection that is closed while its
//! client still sends is reset, and the client may never see the answer.
//!
//! Not here: headers that do not frame a request (`listen` looks at `Host`), and the bounds of a head (hyper's).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A byte that is allowed in no head, no chunk size and no end of a chunk.
const REFUSED: u8 = 0;
/// Most bytes of a line that are kept. Every line that frames a body is shorter, unless it is padded.
const LINE_MAX: usize = 64;
/// How long the server reads on after the last answer while a client still sends.
const FAREWELL_WAIT: Duration = Duration::from_secs(1);
/// Most bytes that are read and dropped in that time.
const FAREWELL_MAX: usize = 16 << 20;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// A line of a head, or an empty line before it.
    Head,
    /// A body with so many bytes left, at least one.
    Body(u64),
    /// The line with a chunk's size.
    ChunkSize,
    /// A chunk with so many bytes left, at least one.
    Chunk(u64),
    /// The end of the line after a chunk.
    ChunkEnd,
    /// A line after the last chunk.
    Trailers,
    /// Nothing. The bytes before it could be read in two ways.
    Refused,
}

/// What a head has said about its body so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// True if its first line was read.
    begun: bool,
    length: Option<u64>,
    chunked: bool,
    ambiguous: bool,
}

/// Follows the bytes of a connection.
#[derive(Debug)]
struct Framing {
    at: At,
    head: Head,
    /// The first bytes of the line that is being read.
    line: Vec<u8>,
    /// How many bytes the line has so far.
    line_bytes: usize,
    /// The last byte of the line.
    last: u8,
}

impl Framing {
    fn new() -> Self {
        Self { at: At::Head, head: Head::default(), line: Vec::new(), line_bytes: 0, last: 0 }
    }

    /// Returns whether all bytes so far were whole requests.
    fn is_between_requests(&self) -> bool {
        self.at == At::Head && !self.head.begun && self.line_bytes == 0
    }

    /// Follows the next bytes. Returns the position of the byte that must not be passed on as it is, if there is one.
    /// After that, nothing more is followed.
    fn follow(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut position = 0;
        while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
            match self.at {
                At::Refused => return Some(position),
                At::Body(left) => {
                    let (passed, left) = pass(rest, left);
                    self.at = if left == 0 { At::Head } else { At::Body(left) };
                    position += passed;
                }
                At::Chunk(left) => {
                    let (passed, left) = pass(rest, left);
                    self.at = if left == 0 { At::ChunkEnd } else { At::Chunk(left) };
                    position += passed;
                }
                At::Head | At::ChunkSize | At::ChunkEnd | At::Trailers => {
                    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                        self.keep(rest);
                        return None;
                    };
                    self.keep(&rest[..end]);
                    position += end + 1;
                    self.at = if self.last == b'\r' { self.after_line() } else { At::Refused };
                    (self.line_bytes, self.last) = (0, 0);
                    self.line.clear();
                    if self.at == At::Refused {
                        return Some(position - 1);
                    }
                }
            }
        }
        None
    }

    /// Adds a part to the current line.
    fn keep(&mut self, part: &[u8]) {
        let room = LINE_MAX - self.line.len();
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        self.line_bytes += part.len();
        self.last = part.last().copied().unwrap_or(self.last);
    }

    /// Returns what follows the line that has just ended in a carriage return and a line feed.
    fn after_line(&mut self) -> At {
        let is_empty = self.line_bytes == 1;
        match self.at {
            At::Head if is_empty && self.head.begun => self.after_head(),
            At::Head if is_empty => At::Head, // an empty line before a request is nothing
            At::Head if self.head.begun => {
                self.header();
                At::Head
            }
            At::Head => {
                self.head.begun = true;
                At::Head
            }
            At::ChunkSize => match chunk_size(&self.line) {
                Some(0) => At::Trailers,
                Some(size) => At::Chunk(size),
                None => At::Refused,
            },
            At::ChunkEnd if is_empty => At::ChunkSize,
            At::Trailers if is_empty => At::Head,
            At::Trailers => At::Trailers,
            At::ChunkEnd | At::Body(_) | At::Chunk(_) | At::Refused => At::Refused,
        }
    }

    /// Notes what a header says about the body.
    fn header(&mut self) {
        let Some(colon) = self.line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (&self.line[..colon], self.line[colon + 1..].trim_ascii());
        let is_whole = self.line_bytes <= LINE_MAX;
        let head = &mut self.head;
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            head.ambiguous |= head.chunked || !is_whole || !value.eq_ignore_ascii_case(b"chunked");
            head.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let length = str::from_utf8(value).ok().filter(|_| digits && is_whole);
            let length: Option<u64> = length.and_then(|value| value.parse().ok());
            head.ambiguous |= head.length.is_some() || length.is_none();
            head.length = length;
        }
    }

    /// Returns what follows the head that has just ended.
    fn after_head(&mut self) -> At {
        match std::mem::take(&mut self.head) {
            Head { ambiguous: true, .. } | Head { chunked: true, length: Some(_), .. } => At::Refused,
            Head { chunked: true, .. } => At::ChunkSize,
            Head { length: Some(length @ 1..), .. } => At::Body(length),
            Head { .. } => At::Head,
        }
    }
}

/// Returns how many of `bytes` belong to a body or chunk with `left` bytes left, and how many are left then.
fn pass(bytes: &[u8], left: u64) -> (usize, u64) {
    match usize::try_from(left) {
        Ok(left) if left <= bytes.len() => (left, 0),
        _ => (bytes.len(), left - u64::try_from(bytes.len()).unwrap_or(left)),
    }
}

/// Returns the size in a chunk's line. The rest of the line does not affect the length.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let behind = line.get(digits)?;
    let fits = (1..=16).contains(&digits) && matches!(behind, b'\r' | b';' | b' ' | b'\t');
    u64::from_str_radix(str::from_utf8(&line[..digits]).ok().filter(|_| fits)?, 16).ok()
}

/// A connection whose requests are followed. At its end the client is heard out.
pub(crate) struct Followed<S> {
    stream: S,
    framing: Framing,
    farewell: Option<Farewell>,
}

/// The end of a connection: nothing more is written, and bytes that still arrive are dropped.
struct Farewell {
    over: Pin<Box<Sleep>>,
    bytes_left: usize,
    /// True if there is reason to wait for more bytes.
    still_sends: bool,
}

impl<S> Followed<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, framing: Framing::new(), farewell: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Followed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.framing.at == At::Refused {
            return Poll::Ready(Ok(())); // to hyper, the client sends no more
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if let Some(position) = this.framing.follow(&buf.filled()[before..]) {
            let position = before + position;
            buf.filled_mut()[position] = REFUSED;
            buf.set_filled(position + 1);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Followed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// Ends writing. A client in the middle of a request is then heard out for a while: if closed at once, the
    /// connection would be reset, and the answer lost.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let farewell = match &mut this.farewell {
            Some(farewell) => farewell,
            none => {
                ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                none.insert(Farewell {
                    over: Box::pin(tokio::time::sleep_until(Instant::now() + FAREWELL_WAIT)),
                    bytes_left: FAREWELL_MAX,
                    still_sends: !this.framing.is_between_requests(),
                })
            }
        };
        let mut scrap = [0; 16 << 10];
        while farewell.bytes_left > 0 {
            let mut buf = ReadBuf::new(&mut scrap);
            match Pin::new(&mut this.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    farewell.bytes_left = farewell.bytes_left.saturating_sub(buf.filled().len());
                    farewell.still_sends = true;
                }
                Poll::Ready(_) => break,
                Poll::Pending if farewell.still_sends => {
                    ready!(farewell.over.as_mut().poll(cx));
                    break;
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Follows the bytes in parts of this size. Returns the framing, or how many bytes were passed on as they are.
    fn passed(bytes: &[u8], size: usize) -> Result<Framing, usize> {
        let mut framing = Framing::new();
        for (number, part) in bytes.chunks(size).enumerate() {
            if let Some(position) = framing.follow(part) {
                return Err(number * size + position);
            }
        }
        Ok(framing)
    }

    #[test]
    fn a_request_is_followed_however_its_bytes_come() {
        let lengths = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\n\n\r\n:";
        let chunks = "POST /a HTTP/1.1\r\ntransfer-ENCODING:chunked\r\n\r\n3;x=\"y\"\r\n\n\n\n\r\n0002 \r\n\r\n\r\n0\r\nA: b\r\n\r\n";
        let get = "\r\n\r\nGET / HTTP/1.1\r\nContent-Length: 000\r\nX: a:b\r\n\r\n";
        let whole = format!("{lengths}{chunks}{get}{lengths}{get}");
        for size in 1..whole.len() {
            let framing = passed(whole.as_bytes(), size).unwrap();
            assert!(framing.is_between_requests(), "{size}: {framing:?}");
            // In the middle of a request, there are more bytes to come.
            let framing = passed(&whole.as_bytes()[..whole.len() - 1], size).unwrap();
            assert!(!framing.is_between_requests(), "{size}: {framing:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_stopped_however_its_bytes_come() {
        let padding = " ".repeat(LINE_MAX);
        let post = |headers: &str| format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
        let chunks = |chunks: &str| format!("{}{chunks}", post("Transfer-Encoding: chunked"));
        for bytes in [
            post("Content-Length: 5\r\nTransfer-Encoding: chunked"),
            post("Transfer-Encoding: chunked\r\ncontent-length: 5"),
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            post("Transfer-Encoding: gzip, chunked"),
            post("Transfer-Encoding: chunked, chunked"),
            post("Transfer-Encoding: chunked;q=1"),
            post("Transfer-Encoding:"),
            post(&format!("Transfer-Encoding: {padding}chunked")),
            post(&format!("Content-Length: 1{padding}")),
            post("Content-Length: 5\r\nContent-Length: 5"),
            post("Content-Length: +5"),
            post("Content-Length: 18446744073709551616"),
            post("X: a\nContent-Length: 5"),
            "GET / HTTP/1.1\n".into(),
            "GET / HTTP/1.1\r\nHost: a\r\n\n".into(),
            "\n".into(),
            chunks("\r\n"),
            chunks("5\n"),
            chunks("x\r\n"),
            chunks("-1\r\n"),
            chunks("11111111111111111\r\n"),
            chunks("5x\r\n"),
            chunks("1\r\nabc\r\n"),
            chunks("0\r\nA: b\n"),
        ] {
            // The last byte of these bytes is the one that is stopped.
            for size in 1..=bytes.len() {
                let more = format!("{bytes}GET / HTTP/1.1\r\n\r\n");
                let line = bytes.find("a\nC").map_or(bytes.len() - 1, |a| a + 1);
                assert_eq!(passed(more.as_bytes(), size).err(), Some(line), "{bytes:?} by {size}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_still_sends_is_heard_out_for_a_while_and_no_longer() {
        let unread = b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n";
        let ended = async |first: &[u8], then: &[u8], stays: bool| {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            let mut server = Followed::new(server);
            client.write_all(first).await.unwrap();
            let mut read = vec![0; first.len()];
            server.read_exact(&mut read).await.unwrap();
            client.write_all(then).await.unwrap();
            let kept = stays.then_some(client);
            let begun = Instant::now();
            server.shutdown().await.unwrap();
            drop(kept);
            begun.elapsed()
        };
        // After whole requests, or when the client is gone, there is nothing to wait for.
        assert_eq!(ended(b"", b"", true).await, Duration::ZERO);
        assert_eq!(ended(b"GET / HTTP/1.1\r\n\r\n", b"", true).await, Duration::ZERO);
        assert_eq!(ended(unread, b"a part", false).await, Duration::ZERO);
        // Something is still on its way.
        for (first, then) in [(&unread[..], &b""[..]), (unread, b"a part"), (b"", b"GET"), (b"GE", b"")] {
            let took = ended(first, then, true).await;
            assert!((FAREWELL_WAIT..FAREWELL_WAIT * 2).contains(&took), "{took:?}");
        }
        // The client is not read without an end.
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut server = Followed::new(server);
        client.write_all(unread).await.unwrap();
        server.read_exact(&mut vec![0; unread.len()]).await.unwrap();
        let sending = async {
            let mut sent = 0;
            while let Ok(bytes) = client.write(&[b'x'; 1 << 16]).await {
                sent += bytes;
            }
            sent
        };
        let ending = async {
            server.shutdown().await.unwrap();
            drop(server);
        };
        let (sent, ()) = tokio::join!(sending, ending);
        assert!((FAREWELL_MAX..FAREWELL_MAX + (2 << 20)).contains(&sent), "{sent}");
    }
}
