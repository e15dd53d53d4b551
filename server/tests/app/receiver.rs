//! A receiver of callbacks that behaves as the path says, and keeps the requests it got.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::wait_for;

/// A request that the receiver got.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Returns the text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    }

    /// Returns the request as text for a golden file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("POST {}\n", self.path);
        for (name, value) in
            self.headers.iter().filter(|(name, _)| name != "host" && name != "content-length")
        {
            text += &format!("{name}: {value}\n");
        }
        let text = text.replace(env!("CARGO_PKG_VERSION"), "{version}");
        format!("{text}\n{}", self.body.replace("><", ">\n<"))
    }
}

/// A running receiver. It ends with the test.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let all = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, all.clone()));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the requests to a path so far.
    pub(crate) fn at(&self, path: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|seen| seen.path == path).cloned().collect()
    }

    /// Waits for `count` requests to a path, and returns them.
    pub(crate) async fn wait(&self, path: &str, count: usize) -> Vec<Seen> {
        wait_for(path, async || Some(self.at(path)).filter(|seen| seen.len() >= count)).await
    }
}

async fn serve(mut stream: TcpStream, all: Arc<Mutex<Vec<Seen>>>) {
    let mut raw = Vec::new();
    let end = loop {
        if let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut raw).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
    let mut body = raw.split_off(end + 4);
    while body.len() < length {
        assert!(stream.read_buf(&mut body).await.unwrap() > 0);
    }
    let seen = Seen { path, headers, body: String::from_utf8(body).unwrap() };
    let (path, authorization) = (seen.path.clone(), seen.header("authorization").map(str::to_owned));
    let before = {
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.iter().filter(|seen| seen.path == path).count();
        all.push(seen);
        before
    };
    let kind = path.split('/').nth(1).unwrap_or_default().to_owned();
    let answer = match kind.as_str() {
        "ok" => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "said" => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthank you".to_owned(),
        "created" => "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "500" => "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops".to_owned(),
        "410" => "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "429" => {
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        "302" => {
            "HTTP/1.1 302 Found\r\nLocation: /ok/redirected\r\nContent-Length: 6\r\n\r\nsecret".to_owned()
        }
        // The third answer and later ones are good.
        "mends" if before < 2 => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "mends" => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "challenge" if authorization.is_none() => {
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"
                .to_owned()
        }
        "challenge" => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "digest" => {
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        "noise" => "220 mail.example.com ready\r\n\r\n".to_owned(),
        "endless" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while stream.write_all(format!("1000\r\n{}\r\n", "x".repeat(4096)).as_bytes()).await.is_ok() {}
            return;
        }
        "reset" => {
            let _ = stream.set_zero_linger();
            return;
        }
        // It sends until the other side has had enough.
        _ => {
            while stream.read_buf(&mut Vec::with_capacity(64)).await.unwrap_or(0) > 0 {}
            return;
        }
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
