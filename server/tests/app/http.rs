//! HTTP by hand: a request is sent byte for byte as a test writes it, and an answer is kept as it arrived.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::{SOON, Who};

/// A request. By default the guide's user sends it, with the headers that a good client adds.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The address it is sent from: any address of this machine.
    pub(crate) from: Ipv4Addr,
}

fn call(method: &'static str, path: impl Into<String>, body: Option<Vec<u8>>) -> Call {
    let mut headers = vec![("Host".to_owned(), "onhook.test".to_owned())];
    if let Some(body) = &body {
        headers.push(("Content-Type".to_owned(), "application/xml; charset=utf-8".to_owned()));
        headers.push(("Content-Length".to_owned(), body.len().to_string()));
    }
    headers.push(("Connection".to_owned(), "close".to_owned()));
    let from = Ipv4Addr::LOCALHOST;
    Call { method, path: path.into(), headers, body: body.unwrap_or_default(), from }.by(Who::Admin)
}

pub(crate) fn get(path: impl Into<String>) -> Call {
    call("GET", path, None)
}

pub(crate) fn head(path: impl Into<String>) -> Call {
    call("HEAD", path, None)
}

pub(crate) fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Call {
    call("POST", path, Some(body.into()))
}

pub(crate) fn put(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Call {
    call("PUT", path, Some(body.into()))
}

pub(crate) fn patch(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Call {
    call("PATCH", path, Some(body.into()))
}

pub(crate) fn delete(path: impl Into<String>) -> Call {
    call("DELETE", path, None)
}

impl Call {
    /// Returns the request, sent by another caller.
    pub(crate) fn by(self, who: Who) -> Self {
        let call = self.without("Authorization");
        match who.authorization() {
            Some(value) => call.header("Authorization", &value),
            None => call,
        }
    }

    /// Returns the request by the user of this name, with the guide's password.
    pub(crate) fn named(self, user: &str) -> Self {
        let password = onhook_server::demo_data::PASSWORD;
        self.without("Authorization").header("Authorization", &super::basic(user, password))
    }

    /// Returns the request with one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the request without the headers of this name.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(have, _)| !have.eq_ignore_ascii_case(name));
        self
    }

    /// Returns the request with this content type and no other.
    pub(crate) fn content_type(self, value: &str) -> Self {
        self.without("Content-Type").header("Content-Type", value)
    }

    /// Returns the request, sent from the n-th address of this machine, so that the tries of others do not count for
    /// it.
    pub(crate) fn at_address(mut self, n: u16) -> Self {
        let [high, low] = n.to_be_bytes();
        self.from = Ipv4Addr::new(127, 1, high, low);
        self
    }

    /// Returns the head as it is sent, with the empty line that ends it.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    /// Returns the whole request as it is sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head().into_bytes(), self.body.clone()].concat()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Returns the answer if it has this status. Fails otherwise.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Returns the value of a header, which must not be repeated.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(have, _)| have == name);
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice");
        first
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Returns the texts of all elements of this name that have no children, in the document's order.
    pub(crate) fn elements(&self, name: &str) -> Vec<&str> {
        let (start, end) = (format!("<{name}>"), format!("</{name}>"));
        let pieces = self.text().split(&start).skip(1);
        pieces.map(|piece| piece.split_once(&end).unwrap().0).collect()
    }

    /// Returns the text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> Option<&str> {
        self.elements(name).first().copied()
    }

    /// Returns the code of an error in any form.
    pub(crate) fn code(&self) -> Option<u16> {
        self.element("Code").or(self.element("ErrorCode")).map(|code| code.parse().unwrap())
    }

    /// Returns status, code and description of an error.
    pub(crate) fn error(&self) -> (u16, Option<u16>, &str) {
        (self.status, self.code(), self.element("Description").unwrap_or_default())
    }

    /// Returns the answer without its date, so that it can be compared with another one.
    pub(crate) fn without_date(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "date");
        self
    }
}

/// Sends bytes over a connection of its own, and reads until the other side ends it.
pub(crate) async fn talk(to: SocketAddr, from: Ipv4Addr, bytes: &[u8]) -> Vec<u8> {
    let socket = TcpSocket::new_v4().unwrap();
    if from != Ipv4Addr::LOCALHOST {
        socket.bind(SocketAddr::from((from, 0))).unwrap();
    }
    let mut stream = socket.connect(to).await.unwrap();
    // A server that has heard enough may close before it has heard everything.
    let _ = stream.write_all(bytes).await;
    read_all(&mut stream).await
}

/// Reads until the other side ends the connection, in order or not.
pub(crate) async fn read_all(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut raw = Vec::new();
    let reading = async { while stream.read_buf(&mut raw).await.is_ok_and(|bytes| bytes > 0) {} };
    tokio::time::timeout(SOON, reading).await.expect("the server ends the connection");
    raw
}

/// Returns the answers on a connection, one after another.
pub(crate) fn replies(raw: &[u8], to_head: bool) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut rest = raw;
    while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = std::str::from_utf8(&rest[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        rest = &rest[end + 4..];
        let body = if !to_head && header("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            let (body, after) = chunks(rest);
            rest = after;
            body
        } else {
            let length = header("content-length").map_or(0, |value| value.parse().unwrap());
            let body = if to_head { rest } else { rest.get(..length).expect("the whole body") };
            rest = &rest[body.len()..];
            body.to_vec()
        };
        replies.push(Reply { status, headers, body });
    }
    assert!(rest.is_empty(), "{:?} after the last answer", String::from_utf8_lossy(rest));
    replies
}

/// Returns a body that was sent in chunks, and what follows it. Fails if it was cut off.
fn chunks(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n").expect("the whole body");
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let chunk = rest.get(line + 2..line + 2 + length).expect("the whole body");
        rest = &rest[line + 2 + length + 2..];
        if length == 0 {
            return (body, rest);
        }
        body.extend(chunk);
    }
}
