//! One attempt: it resolves once, connects to an address that passed, sends, and reads a little of the answer.

use std::pin::pin;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use onhook_core::notify::notification::DeliveryFailure;
use onhook_core::notify::subscription::Credentials;
use onhook_core::time::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Callbacks;
use super::target::{Scheme, Target};
use super::tls;

/// Longest time an attempt may take as a whole.
const ATTEMPT_WAIT: Duration = Duration::from_secs(15);
/// Longest time one address may take to accept a connection if the host has others.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Longest time to wait for the rest of an answer after its status.
const BODY_WAIT: Duration = Duration::from_secs(3);
/// Most bytes that are read of an answer's head, and of its body.
const HEAD_MAX: usize = 16 * 1024;
const BODY_MAX: usize = 48 * 1024;
/// Most headers of an answer.
const HEADERS_MAX: usize = 100;
/// Most characters of an answer that are kept.
const SAID_MAX: usize = 200;
/// Most addresses of a host that are tried.
const TRIES_MAX: usize = 4;

/// A message and its receiver.
pub(crate) struct Message<'a> {
    pub(crate) url: &'a str,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: String,
    pub(crate) credentials: Option<&'a Credentials>,
    pub(crate) public_key: Option<&'a str>,
}

/// The answer of a receiver.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status and the beginning of the body, on one line.
    pub(crate) said: String,
    pub(crate) retry_after_ms: Option<i64>,
}

impl Callbacks {
    /// Sends a message without credentials, and once more with them if the receiver asks for them.
    pub(crate) async fn send(
        &self,
        message: &Message<'_>,
        now: Timestamp,
    ) -> Result<Answer, DeliveryFailure> {
        let attempt = async {
            let target = Target::parse(message.url).ok_or(DeliveryFailure::Blocked)?;
            let addresses = self.addresses(&target).await?;
            let first = self.exchange(&target, &addresses, message, None, now).await?;
            match (first, message.credentials) {
                ((_, true), Some(credentials)) => {
                    let again = self.exchange(&target, &addresses, message, Some(credentials), now).await?;
                    Ok(again.0)
                }
                ((answer, _), _) => Ok(answer),
            }
        };
        tokio::time::timeout(ATTEMPT_WAIT, attempt).await.unwrap_or(Err(DeliveryFailure::Timeout))
    }

    /// Makes one request. Returns the answer, and whether it asks for a password.
    async fn exchange(
        &self,
        target: &Target,
        addresses: &[std::net::SocketAddr],
        message: &Message<'_>,
        credentials: Option<&Credentials>,
        now: Timestamp,
    ) -> Result<(Answer, bool), DeliveryFailure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(target.path.as_str())
            .header(header::HOST, target.authority())
            .header(header::USER_AGENT, concat!("onhook/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, message.content_type)
            .header(header::CONNECTION, "close");
        for (name, value) in &message.headers {
            request = request.header(name, value);
        }
        if let Some(Credentials { username, password }) = credentials {
            let pair = format!("{username}:{}", password.expose());
            let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            let mut value = HeaderValue::try_from(value).map_err(|_| DeliveryFailure::Internal)?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let body = Full::new(Bytes::from(message.body.clone()));
        let request = request.body(body).map_err(|_| DeliveryFailure::Internal)?;
        let stream = self.connect(addresses).await?;
        match (target.scheme, message.public_key) {
            (Scheme::Http, None) => speak(stream, request, now).await,
            // Plain HTTP has no certificate that could have the key.
            (Scheme::Http, Some(_)) => Err(DeliveryFailure::Tls),
            (Scheme::Https, key) => {
                let key = match key {
                    None => None,
                    Some(text) => Some(tls::public_key(text).ok_or(DeliveryFailure::Tls)?),
                };
                let stream = self.tls.speak(stream, &target.host, key).await?;
                speak(stream, request, now).await
            }
        }
    }

    /// Returns a connection to the first address that takes one.
    async fn connect(&self, addresses: &[std::net::SocketAddr]) -> Result<TcpStream, DeliveryFailure> {
        let mut trouble = DeliveryFailure::Refused;
        for address in addresses.iter().take(TRIES_MAX) {
            match tokio::time::timeout(CONNECT_WAIT, self.network.connect(*address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
                    trouble = DeliveryFailure::Timeout
                }
                Ok(Err(_)) => trouble = DeliveryFailure::Refused,
                Err(_) => trouble = DeliveryFailure::Timeout,
            }
        }
        Err(trouble)
    }
}

/// Sends a request over a connection of its own and reads a little of the answer.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    now: Timestamp,
) -> Result<(Answer, bool), DeliveryFailure> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| DeliveryFailure::Broken)?;
    let mut connection = pin!(connection);
    let mut exchange = pin!(async {
        let response = sender.send_request(request).await.map_err(|_| DeliveryFailure::Broken)?;
        Ok(read(response, now).await)
    });
    let mut over = false;
    loop {
        tokio::select! {
            answer = &mut exchange => return answer,
            // What has arrived is read all the same.
            _ = &mut connection, if !over => over = true,
        }
    }
}

async fn read(response: Response<Incoming>, now: Timestamp) -> (Answer, bool) {
    let (head, mut body) = response.into_parts();
    let mut said = match head.status.canonical_reason() {
        Some(reason) => format!("{} {reason}", head.status.as_u16()),
        None => head.status.as_u16().to_string(),
    };
    let challenged = head.status == StatusCode::UNAUTHORIZED
        && head.headers.get_all(header::WWW_AUTHENTICATE).iter().any(|value| {
            value.to_str().is_ok_and(|text| {
                text.split(',').any(|part| {
                    part.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
                })
            })
        });
    let mut text = Vec::new();
    let reading = async {
        while text.len() < BODY_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Ok(data) = frame.into_data() {
                text.extend_from_slice(&data[..data.len().min(BODY_MAX - text.len())]);
            }
        }
    };
    // The status decides, even if the rest of the answer does not arrive.
    let _ = tokio::time::timeout(BODY_WAIT, reading).await;
    // A redirect is not followed, and its body is not kept.
    if !head.status.is_redirection() {
        let words = String::from_utf8_lossy(&text);
        let line: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let line: String = line.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect();
        if !line.is_empty() {
            said = format!("{said}: {line}");
        }
    }
    let retry_after_ms = head.headers.get(header::RETRY_AFTER).and_then(|value| retry_after(value, now));
    (Answer { status: head.status.as_u16(), said, retry_after_ms }, challenged)
}

/// Returns how long a receiver asks to be left alone. It names seconds or a date.
fn retry_after(value: &HeaderValue, now: Timestamp) -> Option<i64> {
    let text = value.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(i64::from(seconds) * 1_000),
        Err(_) => Timestamp::from_http_date(text).map(|at| at.since(now).max(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_be_left_alone_is_seconds_or_a_date() {
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        for (text, wanted) in [
            ("5", Some(5_000)),
            (" 120 ", Some(120_000)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37_000)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(retry_after(&HeaderValue::from_static(text), now), wanted, "{text}");
        }
    }
}
