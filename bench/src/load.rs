//! The load generator: keep-alive connections that each send the next request after the answer to the last.
//!
//! It shares the machine with the server it measures, so it does little: it sends a request from a buffer, and reads
//! an answer until its `Content-Length` is complete. It runs on one thread, and is the same for both sides of every
//! comparison. Requests at a fixed pace have a thread for each connection.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::measure::{Measured, Tally};

/// A refused connection waits this long, so that refusals don't take the server's cores.
const PAUSE: Duration = Duration::from_millis(10);
/// A server that is silent for longer than this has failed the measurement.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const HEADERS_MAX: usize = 64;
const ANSWER_MAX: usize = 16 << 20;

/// Sends requests over `connections` connections for `time`, and waits for the last answers.
///
/// `requests(connection, n, buffer)` makes `buffer` the n-th request of a connection, or reports that there are no
/// more. The buffer still holds the request before. Only answers of 2xx count as done.
pub(crate) async fn run<R>(
    addr: SocketAddr,
    connections: usize,
    time: Duration,
    requests: R,
) -> Result<Measured>
where
    R: Fn(usize, u64, &mut Vec<u8>) -> bool + Clone + Send + 'static,
{
    run_on(&[addr], connections, time, requests).await
}

/// As [`run`], with the connections dealt out to several servers.
pub(crate) async fn run_on<R>(
    addrs: &[SocketAddr],
    connections: usize,
    time: Duration,
    requests: R,
) -> Result<Measured>
where
    R: Fn(usize, u64, &mut Vec<u8>) -> bool + Clone + Send + 'static,
{
    let streams = open(addrs, connections).await?;
    let started = Instant::now();
    let end = started + time;
    let mut running = JoinSet::new(); // dropping it ends them all
    for (index, stream) in streams.into_iter().enumerate() {
        let requests = requests.clone();
        running.spawn(drive(stream, end, move |n, buffer| requests(index, n, buffer)));
    }
    ended(running, started, time).await.with_context(|| format!("asking {addrs:?}"))
}

/// Opens connections, dealt out to these servers.
async fn open(addrs: &[SocketAddr], connections: usize) -> Result<Vec<Connection>> {
    let mut streams = Vec::with_capacity(connections);
    for addr in addrs.iter().cycle().take(connections) {
        streams.push(Connection::open(*addr).await?);
    }
    Ok(streams)
}

/// Waits until all connections have done what they do for `time`, and returns what they have measured.
async fn ended(mut running: JoinSet<Result<Tally>>, started: Instant, time: Duration) -> Result<Measured> {
    let mut tallies = Vec::with_capacity(running.len());
    while let Some(tally) = timeout(time + SILENCE_MAX, running.join_next())
        .await
        .with_context(|| format!("no answer for {SILENCE_MAX:?}"))?
    {
        tallies.push(tally??);
    }
    Ok(Measured::new(started, &tallies))
}

/// As [`run`], with `per_second` requests a second over all connections, each sent at its own time. A request that has
/// to wait because the answer before it is late counts from its time.
pub(crate) async fn run_paced<R>(
    addr: SocketAddr,
    connections: usize,
    per_second: u32,
    time: Duration,
    requests: R,
) -> Result<Measured>
where
    R: Fn(usize, u64, &mut Vec<u8>) -> bool + Clone + Send + 'static,
{
    let apart = Duration::from_secs(1) / per_second;
    let every = apart * u32::try_from(connections)?;
    let clients = (0..connections).map(|_| Client::open(addr)).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let mut running = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        let requests = requests.clone();
        let first = started + apart * u32::try_from(index)?;
        let next = move |n, buffer: &mut Vec<u8>| requests(index, n, buffer);
        running.spawn_blocking(move || client.ask(first, every, started + time, next));
    }
    ended(running, started, time).await
}

/// A connection that a thread of its own serves. The system wakes the thread when a request is due or an answer is
/// there. With the runtime's timers, all that is due within a millisecond would be sent at once, and an answer would wait
/// until the one thread has read those before it: that would measure the generator.
struct Client {
    stream: std::net::TcpStream,
    received: Vec<u8>,
}

impl Client {
    fn open(addr: SocketAddr) -> Result<Self> {
        let stream = std::net::TcpStream::connect(addr).with_context(|| format!("connecting to {addr}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self { stream, received: Vec::with_capacity(8 << 10) })
    }

    /// Sends a request at `due` and then one `every` so often, until `end`.
    fn ask(
        mut self,
        mut due: Instant,
        every: Duration,
        end: Instant,
        next: impl Fn(u64, &mut Vec<u8>) -> bool,
    ) -> Result<Tally> {
        let (mut tally, mut request, mut n) = (Tally::new(), Vec::new(), 0);
        while due < end && next(n, &mut request) {
            let wait = due.saturating_duration_since(Instant::now());
            let sent = if wait.is_zero() {
                due
            } else {
                std::thread::sleep(wait);
                Instant::now()
            };
            let (status, body) = self.exchange(&request)?;
            if (200..300).contains(&status) {
                tally.answered(body);
                tally.done(sent.elapsed());
            } else {
                tally.error();
            }
            (due, n) = (due + every, n + 1);
        }
        Ok(tally)
    }

    /// Sends one request and reads its whole answer. Returns its status and the length of its body.
    fn exchange(&mut self, request: &[u8]) -> Result<(u16, usize)> {
        self.stream.write_all(request)?;
        self.received.clear();
        let mut part = [0; 4 << 10];
        loop {
            let length = self.stream.read(&mut part)?;
            ensure!(length > 0, "the server closed the connection");
            self.received.extend_from_slice(&part[..length]);
            let Some(head) = head(&self.received)? else { continue };
            if self.received.len() >= head.length + head.body_length {
                ensure!(head.keep_alive, "the server closes connections");
                return Ok((head.status, head.body_length));
            }
        }
    }
}

async fn drive(
    mut connection: Connection,
    end: Instant,
    next: impl Fn(u64, &mut Vec<u8>) -> bool,
) -> Result<Tally> {
    let mut tally = Tally::new();
    let mut request = Vec::new();
    let mut n = 0;
    let mut now = Instant::now();
    while now < end && next(n, &mut request) {
        let answer = connection.exchange(&request).await;
        let then = std::mem::replace(&mut now, Instant::now());
        n += 1;
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) => {
                tally.done(now - then);
                tally.answered(answer.body.len());
                if !answer.keep_alive {
                    connection = Connection::open(connection.addr).await?;
                }
            }
            Ok(Answer { keep_alive, .. }) => {
                tally.error();
                sleep(PAUSE).await;
                if !keep_alive {
                    connection = Connection::open(connection.addr).await?;
                }
                now = Instant::now();
            }
            Err(_) => {
                tally.error();
                sleep(PAUSE).await;
                connection = Connection::open(connection.addr).await?;
                now = Instant::now();
            }
        }
    }
    Ok(tally)
}

/// Sends one request again and again over each of these connections, until `ended`. Returns when the answers of 2xx were
/// there, in order.
pub(crate) async fn answered(
    addr: SocketAddr,
    connections: usize,
    request: Arc<[u8]>,
    ended: Arc<AtomicBool>,
) -> Result<Vec<Instant>> {
    let mut running = JoinSet::new();
    for _ in 0..connections {
        let (request, ended) = (request.clone(), ended.clone());
        running.spawn(async move {
            let (mut connection, mut done) = (Connection::open(addr).await?, Vec::new());
            while !ended.load(Ordering::Relaxed) {
                let answer = timeout(SILENCE_MAX, connection.exchange(&request)).await;
                match answer {
                    Ok(Ok(Answer { status: 200..300, keep_alive: true, .. })) => done.push(Instant::now()),
                    _ => {
                        sleep(PAUSE).await;
                        connection = Connection::open(addr).await?;
                    }
                }
            }
            anyhow::Ok(done)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = running.join_next().await {
        all.extend(done??);
    }
    all.sort_unstable();
    Ok(all)
}

/// Sends one GET and returns its status and body.
pub(crate) async fn get(addr: SocketAddr, path: &str) -> Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    let mut connection = Connection::open(addr).await?;
    let answer = timeout(SILENCE_MAX, connection.exchange(request.as_bytes())).await??;
    Ok((answer.status, String::from_utf8(answer.body.to_vec())?))
}

struct Connection {
    addr: SocketAddr,
    stream: TcpStream,
    received: Vec<u8>,
}

struct Answer<'a> {
    status: u16,
    keep_alive: bool,
    body: &'a [u8],
}

impl Connection {
    async fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await.with_context(|| format!("connecting to {addr}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { addr, stream, received: Vec::with_capacity(8 << 10) })
    }

    /// Sends one request and reads its whole answer.
    async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            self.receive().await?;
            if let Some(head) = head(&self.received)? {
                break head;
            }
        };
        while self.received.len() < head.length + head.body_length {
            self.receive().await?;
        }
        let body = &self.received[head.length..];
        ensure!(body.len() == head.body_length, "more came than was asked for");
        Ok(Answer { status: head.status, keep_alive: head.keep_alive, body })
    }

    async fn receive(&mut self) -> Result<()> {
        self.received.reserve(4 << 10);
        ensure!(self.stream.read_buf(&mut self.received).await? > 0, "the server closed the connection");
        ensure!(self.received.len() <= ANSWER_MAX, "the answer is over {ANSWER_MAX} bytes long");
        Ok(())
    }
}

struct Head {
    status: u16,
    length: usize,
    body_length: usize,
    keep_alive: bool,
}

/// Returns the head of an answer, once it is complete.
fn head(received: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(received)? else { return Ok(None) };
    let status = response.code.context("no status")?;
    let mut body_length = (status == 204).then_some(0);
    let mut keep_alive = true;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            body_length = Some(std::str::from_utf8(header.value)?.trim().parse()?);
        } else if header.name.eq_ignore_ascii_case("connection") {
            keep_alive = !header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let Some(body_length) = body_length else { bail!("the load generator needs a Content-Length") };
    Ok(Some(Head { status, length, body_length, keep_alive }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_long_the_answer_is() {
        let bytes = b"HTTP/1.1 201 Created\r\nLocation: /x\r\ncontent-length: 3\r\n\r\nabc";
        let head = head(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.body_length, head.keep_alive), (201, 3, true));
        assert_eq!(&bytes[head.length..], b"abc");
    }

    #[test]
    fn half_a_head_is_not_a_head() {
        assert!(head(b"HTTP/1.1 201 Created\r\nLoc").unwrap().is_none());
    }

    #[test]
    fn an_answer_of_unknown_length_is_an_error() {
        assert!(head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn a_closing_server_is_heard() {
        let head = head(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert!(!head.unwrap().unwrap().keep_alive);
    }
}
