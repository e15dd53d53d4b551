//! Routes as data: what is asked, who may, in which form it is refused, and who answers.
//!
//! The fold that builds the router puts the checks in front of every handler, always in the same order:
//! who is it, may they, how often, how large, which form, whole document; then the handler reads the
//! content. A route that does not say who may cannot be written down, and the authorisation test walks
//! this list.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use onhook_core::account::Role;
use onhook_core::ids::AccountId;
use onhook_wire::dialect::Dialect;
use onhook_wire::error::{Family, Problem};
use onhook_wire::guard::Malformed;
use onhook_wire::json;
use onhook_wire::query::Query;
use onhook_wire::xml;

use crate::App;
use crate::accept::Form;
use crate::auth::{Caller, Refused};
use crate::path::{API, PREFIXES, Prefix, Sent};
use crate::posted::{PassedOver, Posted};
use crate::reply::{Reply, store_problem};

/// Most bytes of a body (contract: decision 12).
pub const BODY_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// How long a handler may take.
const HANDLER_WAIT: Duration = Duration::from_secs(30);

/// What a caller needs to be let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: anyone may ask.
    Nothing,
    /// To be signed in; the handler shows a caller only what is theirs.
    Caller,
    /// The path's account to be theirs, with this role at least. An operator has every account.
    Account(Role),
    /// To run the server.
    Operator,
}

/// In which form a route takes a body, and refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// The API's XML; where the root of a document is named, in v2 also the JSON that stands for it.
    Xml(Option<&'static str>),
    /// JSON; it refuses with problem documents.
    Json,
    /// A form, as OAuth2 has it; it refuses in OAuth2's words.
    Form,
}

impl Takes {
    /// The content types that it takes, and how a client is told of them.
    fn kinds(self, dialect: Dialect) -> (&'static [&'static str], &'static str) {
        match (self, dialect) {
            (Takes::Xml(Some(_)), Dialect::V2) => {
                (&["application/xml", "text/xml", "application/json"], "application/xml or application/json")
            }
            (Takes::Xml(Some(_)), Dialect::V1) => {
                (&["application/xml", "text/xml"], "application/xml, or JSON to /api/v2")
            }
            (Takes::Xml(None), _) => (&["application/xml", "text/xml"], "application/xml"),
            (Takes::Json, _) => (&[JSON], JSON),
            (Takes::Form, _) => (&[FORM], FORM),
        }
    }
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Routes whose requests are counted together when an account's rate is limited (contract §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// New number orders.
    Order,
    /// New disconnect orders.
    Disconnect,
    /// Searches of the pool.
    Search,
    /// What happened to orders and numbers.
    History,
    /// Numbers in service.
    InService,
    /// Subscriptions.
    Subscription,
    /// Not limited.
    Free,
}

/// A request that has passed all that stands before the handler.
#[derive(Debug)]
pub struct Call {
    /// Who asks; a caller without a name where a route needs nothing.
    pub caller: Caller,
    /// The path's account, where it has one.
    pub account: Option<AccountId>,
    /// The prefix that it came under.
    pub prefix: Prefix,
    /// The address that it came from.
    pub from: IpAddr,
    /// The path's parts by name, decoded, in the case in which they were sent.
    pub params: Vec<(&'static str, String)>,
    /// What stands behind the path.
    pub query: Query,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as it was sent; empty for what is only read.
    pub body: Bytes,
    /// The XML document that a body in JSON stands for.
    translated: Option<Result<String, Malformed>>,
    /// Where it is noted what of the document was passed over, if anybody is to be told.
    passed_over: Option<Arc<PassedOver>>,
}

impl Call {
    /// The path's account.
    ///
    /// # Errors
    /// `NoResource` when the route has none.
    pub fn account(&self) -> Result<AccountId, Problem> {
        self.account.ok_or(Problem::NoResource)
    }

    /// A part of the path.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// The document in its body, whether that is XML or JSON.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn document(&self) -> Result<Posted<'_>, Malformed> {
        let root = match &self.translated {
            None => xml::parse(&self.body),
            Some(Ok(document)) => xml::parse(document.as_bytes()),
            Some(Err(malformed)) => Err(malformed.clone()),
        };
        Ok(Posted::new(root?, self.translated.is_some(), self.passed_over.as_deref()))
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;
type Handler = Arc<dyn Fn(Arc<App>, Call) -> Answer + Send + Sync>;

/// One route.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, without a prefix; `{account}` is the account whose it is.
    pub path: &'static str,
    /// Who may.
    pub needs: Needs,
    /// In which form it is refused.
    pub family: Family,
    /// With which others its requests are counted.
    pub group: Group,
    /// Whether it is part of the API with its prefixes.
    pub api: bool,
    /// In which form it takes a body.
    pub takes: Takes,
    handler: Handler,
}

impl Route {
    /// A route of the API that shows something.
    pub fn get<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        (group, family): (Group, Family),
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        let handler: Handler = Arc::new(move |app, call| Box::pin(handler(app, call)));
        let takes = Takes::Xml(None);
        Self { method: Method::GET, path, needs, family, group, api: true, takes, handler }
    }

    /// A route of the API that makes something.
    pub fn post<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::POST, ..Self::get(path, needs, counted, handler) }
    }

    /// A route of the API that writes something again.
    pub fn put<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::PUT, ..Self::get(path, needs, counted, handler) }
    }

    /// A route of the API that writes a part of something again.
    pub fn patch<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::PATCH, ..Self::get(path, needs, counted, handler) }
    }

    /// A route of the API that takes something away.
    pub fn delete<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        path: &'static str,
        needs: Needs,
        counted: (Group, Family),
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::DELETE, ..Self::get(path, needs, counted, handler) }
    }

    /// A route of the server itself, outside of the API.
    pub fn ops<F: Future<Output = Result<Reply, Problem>> + Send + 'static>(
        method: Method,
        path: &'static str,
        needs: Needs,
        handler: impl Fn(Arc<App>, Call) -> F + Send + Sync + 'static,
    ) -> Self {
        let counted = (Group::Free, Family::GENERIC);
        Self { method, api: false, takes: Takes::Json, ..Self::get(path, needs, counted, handler) }
    }

    /// The same route, which takes a form.
    #[must_use]
    pub fn with_a_form(self) -> Self {
        Self { takes: Takes::Form, ..self }
    }

    /// Taking a document with this root.
    #[must_use]
    pub fn takes(self, root: &'static str) -> Self {
        Self { takes: Takes::Xml(Some(root)), ..self }
    }

    /// What is wrong, in the form of this route: of its resource, or a problem document.
    fn refuse(&self, problem: &Problem) -> Reply {
        match self.takes {
            Takes::Xml(_) => Reply::problem(self.family, problem),
            Takes::Json => Reply::problem_document(problem),
            Takes::Form => Reply::oauth_problem(problem),
        }
    }

    /// What it is called in metrics and tests.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The router of all routes. Two that claim the same method and path end the program at start.
pub(crate) fn router(app: &Arc<App>) -> axum::Router {
    let mut router = axum::Router::new();
    for route in crate::routes() {
        let path = if route.api { format!("{API}{}", route.path) } else { route.path.to_owned() };
        router = router.route(&path, serve(app.clone(), route));
    }
    router.fallback(async |request: Request| -> Response {
        let prefix = request.extensions().get().and_then(|sent: &Sent| sent.prefix);
        if is_under_ops(request.uri().path()) {
            return Reply::problem_document(&Problem::NoResource).into();
        }
        let form = Form::wanted(prefix, request.headers());
        Reply::problem(Family::GENERIC, &Problem::NoResource).in_form(form).into()
    })
}

/// Whether a path that leads nowhere lies where the server's own routes are, which refuse with problem documents.
fn is_under_ops(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|first| first.eq_ignore_ascii_case("ops"))
}

fn serve(app: Arc<App>, route: Route) -> MethodRouter {
    let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::TRACE);
    let served = Arc::new((route, Meter::default()));
    on(filter, move |request: Request| {
        let (app, served) = (app.clone(), served.clone());
        async move {
            let (route, meter) = &*served;
            let begun = Instant::now();
            let reply = answer(&app, route, request).await;
            meter.measure(route, reply.status(), begun.elapsed());
            Response::from(reply)
        }
    })
}

/// Statuses that are counted each for itself. Any other is counted as `other`, so that there is an end to them.
const STATUSES: [u16; 19] =
    [200, 201, 202, 204, 304, 400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 500, 503, 504];

/// What is counted of a route's requests. Each count is looked up when it is first needed: a route that nobody
/// asks is not shown.
#[derive(Default)]
struct Meter {
    requests: [OnceLock<metrics::Counter>; STATUSES.len() + 1],
    seconds: OnceLock<metrics::Histogram>,
}

impl Meter {
    fn measure(&self, route: &Route, status: StatusCode, took: Duration) {
        let known = STATUSES.iter().position(|known| *known == status.as_u16());
        let method = match route.method {
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "GET",
        };
        let path = route.path;
        let requests = self.requests[known.unwrap_or(STATUSES.len())].get_or_init(|| {
            let status = known.map_or("other".to_owned(), |_| status.as_u16().to_string());
            metrics::counter!("onhook_http_requests_total", "route" => path, "method" => method, "status" => status)
        });
        requests.increment(1);
        let seconds = self.seconds.get_or_init(
            || metrics::histogram!("onhook_http_request_seconds", "route" => path, "method" => method),
        );
        seconds.record(took);
        // The route, not the path: a path may hold a telephone number.
        tracing::debug!(
            route = path,
            method,
            status = status.as_u16(),
            took_us = took.as_micros(),
            "request"
        );
    }
}

async fn answer(app: &Arc<App>, route: &Route, mut request: Request) -> Reply {
    let sent = request.extensions_mut().remove::<Sent>();
    let prefix = sent.as_ref().and_then(|sent| sent.prefix);
    let form = Form::wanted(prefix, request.headers());
    let reply = tokio::time::timeout(HANDLER_WAIT + BODY_WAIT, checked(app, route, sent, request)).await;
    match reply {
        Ok(Ok(reply) | Err(reply)) => reply.in_form(form),
        Err(_) => route.refuse(&Problem::Timeout).in_form(form),
    }
}

/// The checks, in the order of the contract, then the handler.
async fn checked(
    app: &Arc<App>,
    route: &Route,
    sent: Option<Sent>,
    request: Request,
) -> Result<Reply, Reply> {
    let refuse = |problem: Problem| route.refuse(&problem);
    let (parts, body) = request.into_parts();
    // A part that is no text leads nowhere; that is said after signing in, as of any other.
    let params = sent.as_ref().and_then(|sent| sent.parts(route.path)).unwrap_or_default();
    let from = sent.as_ref().map_or(IpAddr::from([127, 0, 0, 1]), |sent| sent.from);
    let prefix = sent.and_then(|sent| sent.prefix).unwrap_or(PREFIXES[3]);
    let caller = match route.needs {
        Needs::Nothing => Caller { user: "".into(), account: None, role: Role::Read },
        _ => app
            .auth
            .sign_in(&app.store, &parts.headers, from, app.clock.for_sign_in())
            .await
            .map_err(|refused| not_signed_in(app, route, refused))?,
    };
    let account_text = params.iter().find(|(key, _)| *key == "account").map(|(_, value)| value.as_str());
    let account = may(app, route, &caller, account_text).await.map_err(refuse)?;
    if let Some(account) = account.or(caller.account)
        && let Some(seconds) = app.over_limit(account, route.group).filter(|_| route.group != Group::Free)
    {
        return Err(too_many(app, seconds));
    }
    let body = match route.method {
        Method::POST | Method::PUT | Method::PATCH => {
            read_body(&parts.headers, body, route.takes, prefix.dialect).await.map_err(refuse)?
        }
        _ => Bytes::new(),
    };
    let pairs = parts.uri.query().map(decode_query).unwrap_or_default();
    let is_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(|named| is_of(named, JSON));
    let translated = match route.takes {
        Takes::Xml(Some(root)) if is_json => Some(json::to_xml(root, &body)),
        _ => None,
    };
    let (query, headers) = (Query::new(pairs), parts.headers);
    let told = app.settings.emulator || tracing::enabled!(tracing::Level::DEBUG);
    let passed_over = told.then(Arc::<PassedOver>::default);
    let passed = passed_over.clone();
    let call = Call { caller, account, prefix, from, params, query, headers, body, translated, passed_over };
    let reply = (route.handler)(app.clone(), call).await.map_err(refuse)?;
    Ok(match passed.as_ref().and_then(|passed| passed.names()) {
        // Of a document that was refused, reading may have ended early.
        Some(names) if reply.status().is_success() => tell_unread(app, route, reply, names),
        _ => reply,
    })
}

/// Header of the emulator's answers: what of a document was passed over.
const UNREAD: HeaderName = HeaderName::from_static("onhook-unread");

/// Names what of a document was passed over: in the log, and to a developer in the answer.
fn tell_unread(app: &App, route: &Route, reply: Reply, names: &str) -> Reply {
    tracing::debug!(
        route = route.path,
        unread = names,
        "elements that nothing reads were passed over: {names}"
    );
    match app.settings.emulator {
        true => reply.with(UNREAD, names),
        false => reply,
    }
}

/// What somebody is told who has to sign in.
pub(crate) const CHALLENGE: &str = "Basic realm=\"onhook\"";

fn not_signed_in(app: &App, route: &Route, refused: Refused) -> Reply {
    match refused {
        Refused::Unknown(_) => {
            Reply::empty(StatusCode::UNAUTHORIZED).with(header::WWW_AUTHENTICATE, CHALLENGE)
        }
        Refused::Twice => route.refuse(&Problem::BadRequest("two Authorization headers".into())),
        Refused::TooMany(wait) => too_many(app, wait.as_secs().saturating_add(1)),
        Refused::Busy => route.refuse(&Problem::Busy),
        Refused::Failed(problem) => route.refuse(&problem),
    }
}

/// 429 as the API has it: no body, and when to come back, in seconds of the epoch.
pub(crate) fn too_many(app: &App, seconds: u64) -> Reply {
    let reset = app.clock.wall().millis() / 1_000 + i64::try_from(seconds).unwrap_or(i64::MAX / 2);
    Reply::empty(StatusCode::TOO_MANY_REQUESTS)
        .with(HeaderName::from_static("x-ratelimit-reset"), &reset.to_string())
        .with(header::RETRY_AFTER, &seconds.to_string())
}

/// The path's account, if the caller may do this there. Whether another's account exists is not told.
async fn may(
    app: &App,
    route: &Route,
    caller: &Caller,
    account: Option<&str>,
) -> Result<Option<AccountId>, Problem> {
    match route.needs {
        Needs::Nothing | Needs::Caller => Ok(None),
        Needs::Operator if caller.role == Role::Operator => Ok(None),
        Needs::Operator => Err(Problem::AccessDenied),
        Needs::Account(role) => {
            let text = account.unwrap_or_default();
            let foreign = || Problem::NotYourAccount(onhook_wire::error::cut(text));
            let account: AccountId = text.parse().map_err(|_| foreign())?;
            match (caller.account, caller.role) {
                (Some(own), _) if own != account => Err(foreign()),
                (Some(_), has) if has < role => Err(Problem::AccessDenied),
                (Some(_), _) => Ok(Some(account)),
                (None, Role::Operator) => match app.store.account(account).await {
                    Ok(Some(_)) => Ok(Some(account)),
                    Ok(None) => Err(Problem::NoResource),
                    Err(error) => Err(store_problem(error)),
                },
                (None, _) => Err(foreign()),
            }
        }
    }
}

/// Reads a body of an allowed type whole, within its bounds.
async fn read_body(
    headers: &HeaderMap,
    body: axum::body::Body,
    takes: Takes,
    dialect: Dialect,
) -> Result<Bytes, Problem> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Problem::ContentType("no content coding"));
    }
    if let Some(declared) = headers.get(header::CONTENT_LENGTH)
        && declared
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .is_some_and(|length: u64| length > u64::try_from(BODY_MAX).unwrap_or(u64::MAX))
    {
        return Err(Problem::BodyTooLarge(BODY_MAX));
    }
    let named = headers.get(header::CONTENT_TYPE);
    let (kinds, wanted) = takes.kinds(dialect);
    // One client names no type for its XML. A form on another site can send types of its own, with the user's
    // own credentials, but not JSON.
    let fits =
        named.map_or(matches!(takes, Takes::Xml(_)), |named| kinds.iter().any(|kind| is_of(named, kind)));
    if !fits {
        return Err(Problem::ContentType(wanted));
    }
    let whole = tokio::time::timeout(BODY_WAIT, Limited::new(body, BODY_MAX).collect()).await;
    let body = match whole {
        Err(_) => return Err(Problem::BodyTimeout),
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Problem::BodyTooLarge(BODY_MAX)),
        Ok(Err(_)) => return Err(Problem::BadRequest("the body was cut off".into())),
    };
    // One client names no type; its documents are known by their first character.
    let looks_like_xml = body.trim_ascii_start().starts_with(b"<") || body.starts_with(b"\xEF\xBB\xBF");
    match matches!(takes, Takes::Xml(_)) && named.is_none() && !looks_like_xml {
        true => Err(Problem::ContentType(wanted)),
        false => Ok(body),
    }
}

/// Whether a content type is this one, in a character set that is read.
fn is_of(value: &HeaderValue, wanted: &str) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let charset_fits = parts
        .filter_map(|part| part.strip_prefix("charset=").map(str::to_owned))
        .all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
    kind == wanted && charset_fits
}

pub(crate) fn decode_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        // A plus sign is kept where it begins a telephone number, and is a space elsewhere.
        let spaced = match text.strip_prefix('+') {
            Some(rest) => format!("+{}", rest.replace('+', " ")),
            None => text.replace('+', " "),
        };
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_counted_by_its_status() {
        for row in onhook_wire::explained::problems() {
            let status = row.what.row().status;
            assert!(STATUSES.contains(&status), "{status} would be counted as another");
        }
    }
}
