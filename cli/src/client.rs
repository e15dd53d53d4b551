//! The client of the operations API: requests, their replies, and what is wrong in plain words.
//!
//! Not here: where the server is (`reach`).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, BodyStream};
use onhook_core::job::Kind;
use onhook_core::notify::subscription::Secret;
use onhook_server::Offline;
use onhook_store::Store;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde_json::Value;

use crate::target::Home;

/// How long a connection may take to be made.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// How long an answer may take: longer than the server lets any request take.
const ANSWER_WAIT: Duration = Duration::from_secs(75);
/// How long a body may take that is sent and answered while it is read.
const STREAM_WAIT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long to wait before a request is sent again whose answer was lost. Then it is given up.
const AGAIN: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];
/// Most bytes of an answer that is read whole.
const ANSWER_MAX: usize = 64 << 20;
/// What is escaped in a part of a path and in a query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The header that says how many numbers an export has.
const NUMBERS: &str = "Onhook-Numbers";
/// The header of a request that may be sent twice and is done once.
const KEY: &str = "Idempotency-Key";

/// A body that is sent while it is read.
pub(crate) type Upload = BoxStream<'static, io::Result<Bytes>>;
/// A body that is read while it arrives, with what comes behind it.
pub(crate) type Download = BoxStream<'static, anyhow::Result<Arrived>>;

/// A part of a body that arrived.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// Bytes of it.
    Part(Bytes),
    /// What comes behind it.
    Trailers(HeaderMap),
}

/// How requests travel.
enum Link {
    /// To a server, over the network or by its socket.
    Server {
        /// The connections.
        connections: reqwest::Client,
        /// What paths are appended to.
        base: String,
        /// User and password. None are needed at a socket.
        signed: Option<(String, Secret)>,
        /// The server as a person calls it.
        name: String,
    },
    /// Nowhere: this process answers.
    Offline(Box<Offline>),
}

/// A client of the operations API.
pub(crate) struct Client {
    link: Link,
    /// The data from which this process answers: what is in memory goes with it.
    _home: Option<Home>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    /// Under this key it is done once, however often it is sent.
    key: Option<String>,
    /// True if its answer may take as long as a file.
    is_long: bool,
}

impl Ask {
    fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: format!("/ops/v1/{path}"),
            query: Vec::new(),
            body: None,
            key: None,
            is_long: false,
        }
    }

    /// Returns a request for what is at a path under `/ops/v1/`.
    pub(crate) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    /// Returns a request that does something. It has a key of its own.
    pub(crate) fn post(path: &str, body: Value) -> Self {
        let key = Some(uuid::Uuid::new_v4().to_string());
        Self { body: Some(body), key, ..Self::new(Method::POST, path) }
    }

    /// Returns a request that changes what the body names.
    pub(crate) fn patch(path: &str, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PATCH, path) }
    }

    /// Returns a request that makes something as the body says.
    pub(crate) fn put(path: &str, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, path) }
    }

    /// Returns a request that removes something.
    pub(crate) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Returns the request as one whose answer may take as long as a file: for that all numbers are read.
    pub(crate) fn long(self) -> Self {
        Self { is_long: true, ..self }
    }

    /// Returns the request with a parameter, if there is a value.
    pub(crate) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Returns the path with its query.
    fn target(&self) -> String {
        let pairs: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        if pairs.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, pairs.join("&")) }
    }
}

/// Returns a text as a part of a path or query.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// An answer as it arrived.
#[derive(Debug)]
struct Answer {
    status: u16,
    is_problem: bool,
    retry_after: Option<String>,
    body: Bytes,
}

/// A refusal, as the API tells it.
#[derive(Debug)]
pub(crate) struct Problem {
    status: u16,
    code: Option<String>,
    sentence: String,
    document: Option<Value>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// Reads a refusal. One without a document is told by its status.
    fn of(answer: &Answer, name: &str) -> Self {
        let document: Option<Value> =
            if answer.is_problem { serde_json::from_slice(&answer.body).ok() } else { None };
        let text = |key: &str| document.as_ref().and_then(|document| document[key].as_str());
        let sentence = match (text("title"), text("detail"), answer.status) {
            // The server says the same of every path, so that nobody learns what is there.
            (Some(_), _, 404) if text("code") == Some("not_found") => {
                "there is nothing of that name, or you may not see it".to_owned()
            }
            (Some(title), Some(detail), _) if detail.is_empty() || detail.eq_ignore_ascii_case(title) => {
                title.to_owned()
            }
            (Some(title), Some(detail), _) => format!("{title}: {detail}"),
            (_, _, 401) => format!("{name} does not know this user with this password"),
            (_, _, 429) => {
                let wait = answer.retry_after.as_deref().unwrap_or("a few");
                format!("{name} was asked too often: try again in {wait} seconds")
            }
            (_, _, status) => format!("{name} answered {status}: is it an onhook?"),
        };
        let code = text("code").map(str::to_owned);
        Self { status: answer.status, code, sentence, document }
    }

    /// Returns its code, if it has one.
    pub(crate) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns its document, if it has one.
    pub(crate) fn document(&self) -> Option<&Value> {
        self.document.as_ref()
    }

    /// Returns whether there is nothing at the path.
    pub(crate) fn is_missing(&self) -> bool {
        self.status == 404
    }

    /// Returns whether it may be answered otherwise after a while: the server is busy, or is being started again.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }

    /// Returns whether what was asked could have been done, and the rules or the rights of the one who asks refuse it.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.status, 403 | 404 | 409)
    }

    /// Returns what more the document says, a line each: how many numbers are refused for which reason, and which are
    /// no more as they were planned.
    pub(crate) fn lines(&self) -> Vec<String> {
        let list = |key: &str| self.document.as_ref().and_then(|document| document[key].as_array());
        let refused = list("refused").into_iter().flatten().filter_map(refused_line);
        let changed = list("changed").into_iter().flatten().filter_map(changed_line);
        refused.chain(changed).collect()
    }
}

/// Returns how many numbers are refused for which reason, in a line.
pub(crate) fn refused_line(refused: &Value) -> Option<String> {
    let numbers = refused["numbers"].as_u64()?;
    let why = refused["why"].as_str()?.replace('_', " ");
    Some(format!("  {}: {why}", crate::terminal::count(numbers, "number")))
}

/// Returns what was planned of a number, and what would happen now, in a line.
fn changed_line(changed: &Value) -> Option<String> {
    let said = |decided: &Value| match (decided["outcome"].as_str(), decided["why"].as_str()) {
        (Some("refused"), Some(why)) => format!("refused, {}", why.replace('_', " ")),
        (Some(outcome), _) => outcome.to_owned(),
        (None, _) => "no longer meant".to_owned(),
    };
    let (planned, now) = (said(&changed["planned"]), said(&changed["now"]));
    Some(format!("  {}: planned {planned}, now {now}", changed["number"].as_str()?))
}

impl Client {
    fn of_server(link: Link) -> Self {
        Self { link, _home: None }
    }

    /// Returns a client of this process, which answers from the data there.
    pub(crate) fn of_this_process(offline: Offline, home: Home) -> Self {
        Self { link: Link::Offline(Box::new(offline)), _home: Some(home) }
    }

    /// Returns a client of the server that has this socket.
    pub(crate) fn by_socket(path: &Path) -> anyhow::Result<Self> {
        let connections = connections(reqwest::Client::builder().unix_socket(path))?;
        let name = format!("the server at {}", path.display());
        Ok(Self::of_server(Link::Server {
            connections,
            base: "http://onhook".to_owned(),
            signed: None,
            name,
        }))
    }

    /// Returns a client of a server, as this user.
    pub(crate) fn by_network(url: &Url, user: String, password: Secret) -> anyhow::Result<Self> {
        let connections = connections(reqwest::Client::builder())?;
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self::of_server(Link::Server {
            connections,
            name: base.clone(),
            base,
            signed: Some((user, password)),
        }))
    }

    /// Returns whether this process answers, because no server has the data.
    pub(crate) fn is_offline(&self) -> bool {
        matches!(self.link, Link::Offline(..))
    }

    /// Closes what is open.
    pub(crate) async fn close(self) {
        if let Link::Offline(offline) = self.link {
            offline.close().await;
        }
    }

    /// Sends a request, and returns the document of its reply. Null if it has none.
    ///
    /// # Errors
    /// [`Problem`] if it was refused.
    pub(crate) async fn ask(&self, ask: &Ask) -> anyhow::Result<Value> {
        let body = self.bytes(ask).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).with_context(|| format!("{} sent no JSON", self.name()))
    }

    /// Sends a request, and returns the reply's body as it is.
    ///
    /// # Errors
    /// [`Problem`] if it was refused.
    async fn bytes(&self, ask: &Ask) -> anyhow::Result<Bytes> {
        let answer = self.answer(ask).await?;
        if !(200..300).contains(&answer.status) {
            return Err(Problem::of(&answer, self.name()).into());
        }
        Ok(answer.body)
    }

    /// Sends a request, with a body while that is read, and returns the reply's body while it arrives, and how many
    /// numbers are in it, if the reply says so. It is sent once: what was read of a body is gone.
    ///
    /// # Errors
    /// [`Problem`] if it was refused.
    pub(crate) async fn stream(
        &self,
        ask: &Ask,
        upload: Option<(&'static str, Upload)>,
    ) -> anyhow::Result<(Option<u64>, Download)> {
        match &self.link {
            Link::Offline(offline) => {
                let request = request_here(ask);
                let request = match upload {
                    Some((of_type, body)) => {
                        let request = request.header(header::CONTENT_TYPE, of_type);
                        request.body(axum::body::Body::from_stream(body))
                    }
                    None => request.body(axum::body::Body::empty()),
                };
                let response = offline.answer(request?).await;
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                let body = response.into_body();
                if !(200..300).contains(&status) {
                    let body = body.collect().await.context("the answer was cut off")?.to_bytes();
                    return Err(Problem::of(&Answer::of(status, &headers, body), self.name()).into());
                }
                Ok((numbers(&headers), arriving(body)))
            }
            Link::Server { connections, base, signed, name } => {
                let mut request = request(connections, base, signed.as_ref(), ask).timeout(STREAM_WAIT);
                request = request.header(header::TE, "trailers");
                if let Some((of_type, body)) = upload {
                    request =
                        request.header(header::CONTENT_TYPE, of_type).body(reqwest::Body::wrap_stream(body));
                }
                let response = request.send().await.map_err(reqwest::Error::without_url);
                let response = response.with_context(|| format!("cannot ask {name}"))?;
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                if !(200..300).contains(&status) {
                    let body = response.bytes().await.context("the answer was cut off")?;
                    return Err(Problem::of(&Answer::of(status, &headers, body), name).into());
                }
                let body = http::Response::<reqwest::Body>::from(response).into_body();
                Ok((numbers(&headers), arriving(body)))
            }
        }
    }

    /// Returns the data from which this process answers. `None` if a server answers.
    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        match &self.link {
            Link::Offline(offline) => Some(offline.store().clone()),
            Link::Server { .. } => None,
        }
    }

    /// Lets this process do the jobs of a kind, if no server does.
    pub(crate) fn do_jobs(&mut self, kind: Kind) {
        if let Link::Offline(offline) = &mut self.link {
            offline.do_jobs(kind);
        }
    }

    fn name(&self) -> &str {
        match &self.link {
            Link::Server { name, .. } => name,
            Link::Offline(..) => "onhook",
        }
    }

    async fn answer(&self, ask: &Ask) -> anyhow::Result<Answer> {
        match &self.link {
            Link::Offline(offline) => answer_here(offline, ask).await,
            Link::Server { connections, base, signed, name } => {
                let mut waits = AGAIN.iter();
                let mut sent = false;
                loop {
                    let error = match send(connections, base, signed.as_ref(), ask).await {
                        // It was there when it was sent first: that one removed it.
                        Ok(answer) if sent && ask.method == Method::DELETE && answer.status == 404 => {
                            return Ok(Answer { status: 204, body: Bytes::new(), ..answer });
                        }
                        Ok(answer) => return Ok(answer),
                        Err(error) => error,
                    };
                    // A server that was never reached is not there. One that was is perhaps being started again: with
                    // the same key, a request is done once.
                    sent |= !error.is_connect();
                    let again = sent && !error.is_timeout() && !error.is_builder();
                    match waits.next().filter(|_| again) {
                        Some(wait) => tokio::time::sleep(*wait).await,
                        None if error.is_timeout() && sent => {
                            anyhow::bail!(
                                "{name} did not answer in time: whether it was done is not known. Look, or ask again"
                            )
                        }
                        None if sent => {
                            return Err(anyhow::Error::from(error.without_url()).context(format!(
                                "{name} ended the connection: whether it was done is not known"
                            )));
                        }
                        None => {
                            let error = anyhow::Error::from(error.without_url());
                            return Err(error.context(format!("cannot reach {name}")));
                        }
                    }
                }
            }
        }
    }
}

/// Makes connections with the bounds of this client. A redirection is no answer: the password would go elsewhere.
fn connections(builder: reqwest::ClientBuilder) -> anyhow::Result<reqwest::Client> {
    let builder = builder
        .user_agent(concat!("onhook/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_WAIT)
        .timeout(ANSWER_WAIT);
    builder.build().context("cannot make a client")
}

/// Returns a body's parts as they arrive.
fn arriving<B>(body: B) -> Download
where
    B: axum::body::HttpBody<Data = Bytes, Error: Into<anyhow::Error>> + Send + 'static,
{
    let frames = BodyStream::new(body).map(|frame| {
        let frame = frame.map_err(|error| error.into().context("the answer was cut off"))?;
        Ok(match frame.into_data() {
            Ok(part) => Arrived::Part(part),
            Err(frame) => Arrived::Trailers(frame.into_trailers().unwrap_or_default()),
        })
    });
    frames.boxed()
}

/// Returns how many numbers there are, if a reply says so.
fn numbers(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(NUMBERS)?.to_str().ok()?.parse().ok()
}

/// Returns a request to a server without its body.
fn request(
    connections: &reqwest::Client,
    base: &str,
    signed: Option<&(String, Secret)>,
    ask: &Ask,
) -> reqwest::RequestBuilder {
    let mut request = connections.request(ask.method.clone(), format!("{base}{}", ask.target()));
    if ask.is_long {
        request = request.timeout(STREAM_WAIT);
    }
    match signed {
        Some((user, password)) => request.basic_auth(user, Some(password.expose())),
        None => request,
    }
}

/// Returns a request to this process without its body.
fn request_here(ask: &Ask) -> http::request::Builder {
    let request = http::Request::builder().method(ask.method.clone()).uri(ask.target());
    request.header(header::HOST, "onhook")
}

async fn send(
    connections: &reqwest::Client,
    base: &str,
    signed: Option<&(String, Secret)>,
    ask: &Ask,
) -> reqwest::Result<Answer> {
    let mut request = request(connections, base, signed, ask);
    if let Some(key) = &ask.key {
        request = request.header(KEY, key);
    }
    if let Some(body) = &ask.body {
        request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
    }
    let mut response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await? {
        if body.len() + part.len() > ANSWER_MAX {
            break;
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer::of(status, &headers, body.into()))
}

async fn answer_here(offline: &Offline, ask: &Ask) -> anyhow::Result<Answer> {
    let mut request = request_here(ask);
    if let Some(key) = &ask.key {
        request = request.header(KEY, key);
    }
    let body = match &ask.body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            axum::body::Body::from(body.to_string())
        }
        None => axum::body::Body::empty(),
    };
    let response = offline.answer(request.body(body)?).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await.context("the answer was cut off")?.to_bytes();
    Ok(Answer::of(status, &headers, body))
}

impl Answer {
    fn of(status: u16, headers: &http::HeaderMap, body: Bytes) -> Self {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let is_problem =
            text(header::CONTENT_TYPE).is_some_and(|of_type| of_type.starts_with("application/problem+json"));
        Self { status, is_problem, retry_after: text(header::RETRY_AFTER).map(str::to_owned), body }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(status: u16, document: Option<&Value>) -> Problem {
        let body = document.map(Value::to_string).unwrap_or_default().into();
        Problem::of(&Answer { status, is_problem: document.is_some(), retry_after: None, body }, "it")
    }

    #[test]
    fn a_refusal_is_one_plain_sentence() {
        let told = |document: &Value| problem(409, Some(document)).to_string();
        assert_eq!(
            told(&json!({ "title": "The number refuses this", "detail": "the number is locked" })),
            "The number refuses this: the number is locked"
        );
        assert_eq!(told(&json!({ "title": "The same", "detail": "the same" })), "The same");
        let nothing =
            json!({ "code": "not_found", "title": "There is nothing here", "detail": "no resource" });
        assert_eq!(
            problem(404, Some(&nothing)).to_string(),
            "there is nothing of that name, or you may not see it"
        );
        assert_eq!(problem(401, None).to_string(), "it does not know this user with this password");
        assert_eq!(problem(502, None).to_string(), "it answered 502: is it an onhook?");
        assert_eq!((problem(409, None).is_refusal(), problem(503, None).is_refusal()), (true, false));
    }

    #[test]
    fn what_a_refusal_counts_is_told_a_line_each() {
        let refused =
            json!([{ "why": "disconnected_again", "numbers": 1 }, { "why": "released", "numbers": 2 }]);
        let lines = problem(409, Some(&json!({ "title": "t", "refused": refused }))).lines();
        assert_eq!(lines, ["  1 number: disconnected again", "  2 numbers: released"]);
    }

    #[test]
    fn a_path_and_a_query_carry_any_text() {
        assert_eq!(escaped("+15405514342 a/b?&=ü"), "%2B15405514342%20a%2Fb%3F%26%3D%C3%BC");
        let ask = Ask::get("numbers").with("state", Some("Aging")).with("site", None::<u32>);
        assert_eq!(ask.target(), "/ops/v1/numbers?state=Aging");
        assert_ne!(Ask::post("x", Value::Null).key, Ask::post("x", Value::Null).key);
    }
}
