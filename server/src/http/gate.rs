//! The checks before every handler, always in the same order: who is calling, may they, how often, how large, which
//! form. A request that does not pass is refused in the words of the route's door.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use onhook_core::account::Role;
use onhook_core::account::user::Rights;
use onhook_core::ids::AccountId;

use super::accept::Form;
use super::auth::{Caller, Refused};
use super::call::{Call, RequestKey};
use super::door::{Door, Takes};
use super::harm::{self, Seen};
use super::incoming::Incoming;
use super::origin::Origin;
use super::pairs;
use super::path::{ROOT, Sent};
use super::refusal::Refusal;
use super::reply::Reply;
use super::route::{Needs, Route};
use crate::app::App;
use crate::emulator::faults::{DELAY_MS_MAX, Staging};
use crate::limits::Group;

/// Most bytes of a body (contract: decision 12).
pub const BODY_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// How long a handler may take.
const HANDLER_WAIT: Duration = Duration::from_secs(30);
/// Most characters that are repeated of an account that is not the caller's.
const ACCOUNT_MAX: usize = 40;

/// Answers a request: the checks, then the handler, in the form that the client wants.
pub(super) async fn answer(app: &Arc<App>, route: &Route, mut request: Request) -> Reply {
    let sent = request.extensions_mut().remove::<Sent>();
    let form = route.door.form(sent.as_ref().and_then(|sent| sent.prefix), request.headers());
    let mut seen = Seen::of(app, Some(route), sent.as_ref(), &request);
    let answering = checked(app, route, sent, request, &mut seen);
    let reply = if route.streaming || route.patient {
        Ok(answering.await) // its handler bounds what it waits for
    } else {
        tokio::time::timeout(HANDLER_WAIT + BODY_WAIT + late(app), answering).await
    };
    let reply = match reply {
        Ok(Ok(reply) | Err(reply)) => reply,
        Err(_) => route.door.refuse(Refusal::Timeout),
    };
    let reply = in_form(&*route.door, form, reply);
    seen.keep(app, &reply);
    reply
}

/// Returns how much later an emulator answers on demand.
fn late(app: &App) -> Duration {
    if app.emulator.is_some() { Duration::from_millis(DELAY_MS_MAX) } else { Duration::ZERO }
}

/// Returns a reply in the form that its client wants.
pub(super) fn in_form(door: &dyn Door, form: Form, reply: Reply) -> Reply {
    match form {
        Form::Fixed => reply,
        Form::Xml => reply.with(header::VARY, "Accept"),
        Form::Json => door.made_json(reply).with(header::VARY, "Accept"),
    }
}

/// Runs the checks, in the order of the contract, then the handler.
async fn checked(
    app: &Arc<App>,
    route: &Route,
    sent: Option<Sent>,
    request: Request,
    seen: &mut Seen,
) -> Result<Reply, Reply> {
    let refuse = |refusal: Refusal| route.door.refuse(refusal);
    let (parts, body) = request.into_parts();
    // A parameter that is not text leads nowhere. As for any other such path, the refusal follows only after signing
    // in.
    let params = sent.as_ref().and_then(|sent| sent.parts(route.path)).unwrap_or_default();
    let from = sent.as_ref().map_or(Origin::Network(Ipv4Addr::LOCALHOST.into()), |sent| sent.from);
    let prefix = sent.and_then(|sent| sent.prefix);
    let caller = match (route.needs, from) {
        (Needs::Nothing, _) => Caller::user("".into(), None, Role::Read, Rights::NONE),
        (_, Origin::Socket(_) | Origin::Process) => Caller::at_the_machine(),
        (_, Origin::Network(address)) => app
            .auth
            .sign_in(&app.store, &parts.headers, address, app.clock.for_sign_in())
            .await
            .map_err(|refused| not_signed_in(app, &*route.door, refused))?,
    };
    let account_text = params.iter().find(|(key, _)| *key == "account").map(|(_, value)| value.as_str());
    let account = may(app, route, &caller, account_text).await.map_err(refuse)?;
    // At the operations API, an operator's requests are no account's, whichever account they are about.
    let counted = if route.group == Group::Ops { caller.account } else { account.or(caller.account) };
    let uncounted = route.uncounted.is_some_and(|right| caller.has(right));
    if let Some(account) = counted.filter(|_| !uncounted)
        && let Some(seconds) = app.limits.request(account, route.group)
    {
        return Err(route.door.too_many(app.clock.wall(), seconds));
    }
    let (body, incoming) = match route.method {
        Method::POST | Method::PUT | Method::PATCH if route.streaming => {
            let wanted = route.doc.request.map_or("", |shape| shape.content_type);
            check_coding(&parts.headers).map_err(refuse)?;
            let other = route.doc.other.map_or(wanted, |shape| shape.content_type);
            check_type(&parts.headers, &[wanted, other], wanted, false).map_err(refuse)?;
            (Bytes::new(), Incoming::new(body))
        }
        Method::POST | Method::PUT | Method::PATCH => {
            let whole = read_body(&parts.headers, body, route.door.takes(prefix)).await;
            (whole.map_err(refuse)?, Incoming::default())
        }
        _ => (Bytes::new(), Incoming::default()),
    };
    let key = if route.api || !route.takes_key() {
        None
    } else {
        RequestKey::read(&parts.headers, &parts.method, &parts.uri, &body).map_err(refuse)?
    };
    let pairs = parts.uri.query().map(pairs::decoded).unwrap_or_default();
    let (headers, staging) = (parts.headers, Staging::default());
    let call = Call { caller, account, prefix, from, params, pairs, headers, body, incoming, key, staging };
    let path = parts.uri.path();
    Ok(harm::handle(app, route, call, path.strip_prefix(ROOT).unwrap_or(path), seen).await)
}

fn not_signed_in(app: &App, door: &dyn Door, refused: Refused) -> Reply {
    match refused {
        Refused::Unknown(_) => door.challenge(),
        Refused::Twice => door.refuse(Refusal::BadRequest("two Authorization headers".into())),
        Refused::TooMany(wait) => door.too_many(app.clock.wall(), wait.as_secs().saturating_add(1)),
        Refused::Busy => door.refuse(Refusal::Busy),
        Refused::Failed(refusal) => door.refuse(refusal),
    }
}

/// Returns the path's account, if the caller may do this there. It does not reveal whether another account exists.
async fn may(
    app: &App,
    route: &Route,
    caller: &Caller,
    account: Option<&str>,
) -> Result<Option<AccountId>, Refusal> {
    match route.needs {
        Needs::Nothing | Needs::Caller => Ok(None),
        Needs::Role(role) if caller.role >= role => Ok(None),
        Needs::Operator if caller.role == Role::Operator => Ok(None),
        Needs::Right(role, right) if caller.role >= role && caller.has(right) => Ok(None),
        Needs::Machine if caller.at_machine => Ok(None),
        Needs::Role(_) | Needs::Operator | Needs::Right(..) | Needs::Machine => Err(Refusal::Denied),
        Needs::Account(role) => {
            let text = account.unwrap_or_default();
            let foreign = || Refusal::NotYourAccount(text.chars().take(ACCOUNT_MAX).collect());
            let account: AccountId = text.parse().map_err(|_| foreign())?;
            match (caller.account, caller.role) {
                (Some(own), _) if own != account => Err(foreign()),
                (Some(_), has) if has < role => Err(Refusal::Denied),
                (Some(_), _) => Ok(Some(account)),
                (None, Role::Operator) => match app.store.has_account(account).await {
                    Ok(true) => Ok(Some(account)),
                    Ok(false) => Err(Refusal::NoResource),
                    Err(error) => Err(Refusal::by_store(error)),
                },
                (None, _) => Err(foreign()),
            }
        }
    }
}

/// Reads a body of an allowed type whole, within its bounds.
async fn read_body(headers: &HeaderMap, body: axum::body::Body, takes: Takes) -> Result<Bytes, Refusal> {
    check_coding(headers)?;
    if let Some(declared) = headers.get(header::CONTENT_LENGTH)
        && declared
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .is_some_and(|length: u64| length > u64::try_from(BODY_MAX).unwrap_or(u64::MAX))
    {
        return Err(Refusal::BodyTooLarge(BODY_MAX));
    }
    // One client names no type for its XML.
    check_type(headers, takes.types, takes.wanted, takes.untyped_xml)?;
    let whole = tokio::time::timeout(BODY_WAIT, Limited::new(body, BODY_MAX).collect()).await;
    let body = match whole {
        Err(_) => return Err(Refusal::BodyTimeout),
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Refusal::BodyTooLarge(BODY_MAX)),
        Ok(Err(_)) => return Err(Refusal::BadRequest("the body was cut off".into())),
    };
    let named = headers.get(header::CONTENT_TYPE);
    // One client names no type. Its documents are recognised by their first character.
    let looks_like_xml = body.trim_ascii_start().starts_with(b"<") || body.starts_with(b"\xEF\xBB\xBF");
    if named.is_none() && !looks_like_xml { Err(Refusal::ContentType(takes.wanted)) } else { Ok(body) }
}

/// Refuses a body that is compressed, or coded in another way.
fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => Err(Refusal::ContentType("no content coding")),
        _ => Ok(()),
    }
}

/// Refuses a body of another type than these. A form on another site can send other types with the user's own credentials,
/// but not JSON.
fn check_type(
    headers: &HeaderMap,
    types: &[&str],
    wanted: &'static str,
    untyped: bool,
) -> Result<(), Refusal> {
    let named = headers.get(header::CONTENT_TYPE);
    let fits = named.map_or(untyped, |named| types.iter().any(|wanted| is_of(named, wanted)));
    if fits { Ok(()) } else { Err(Refusal::ContentType(wanted)) }
}

/// Returns true if a content type is this one, in a supported character set.
pub(crate) fn is_of(value: &HeaderValue, wanted: &str) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let charset_fits = parts
        .filter_map(|part| part.strip_prefix("charset=").map(str::to_owned))
        .all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
    kind == wanted && charset_fits
}
