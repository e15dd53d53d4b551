//! What the kinds of orders share: accepting, lists and notes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{StatusCode, header};
use onhook_core::account::NoPlace;
use onhook_core::ids::{OrderId, PeerId, SiteId};
use onhook_core::order::{
    IdempotencyKey, KEY_MAX, Kind, NUMBERS_MAX, NewOrder, Order, Request, Status, Summary,
};
use onhook_store::StoreError;
use onhook_store::contract::orders::{NewNote, OrderQuery};
use onhook_store::contract::page::{Page, Start};
use onhook_wire::error::{Family, Problem, cut};
use onhook_wire::guard::Malformed;
use onhook_wire::{lists, moves, notes};

use super::call::Call;
use super::paging;
use super::posted::Posted;
use super::reply::store_problem;
use crate::app::App;
use crate::http::call::KEY;
use crate::http::doc::{Form, Parameter, Told};
use crate::http::reply::Reply;
use crate::limits::Group;

/// The group of histories, which are refused in the general form.
pub(crate) const PAST_PLAIN: (Group, Family) = (Group::History, Family::GENERIC);

/// Room for most addresses of orders, so that an address is allocated once.
const LOCATION_BYTES: usize = 160;

/// How long an emulator lets a client wait for an order that it has read often enough, and how often it looks.
const READ_WAIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Elements on a page of a list by default.
const SIZE: u32 = 300;

/// Whether an order is shown in detail.
pub(crate) const DETAIL: Parameter =
    Parameter::new("tndetail", Form::Flag, "shows the place and vendor of each number of a number order");
/// The refusal of an idempotency key.
pub(crate) const KEY_REUSED: Told = Told::new(422, "The Idempotency-Key was sent with another order before.");

/// Returns the filters of a list or count of orders.
pub(crate) fn filters(kind: Kind) -> [Parameter; 5] {
    let status = match kind {
        Kind::Number => Form::Word(&["COMPLETE", "PARTIAL", "FAILED", "BACKORDERED"]),
        Kind::Disconnect | Kind::Move => Form::Word(&["COMPLETE", "PARTIAL", "FAILED"]),
    };
    let [from, to] = paging::DAYS;
    [
        Parameter::new("status", status, "only orders with this status"),
        Parameter::new("userId", Form::Text("username"), "only orders of this user"),
        Parameter::new("customerOrderId", Form::Text("mine"), "only orders that their client calls so"),
        from,
        to,
    ]
}

/// Returns the resource's name in paths.
fn segment(kind: Kind) -> &'static str {
    match kind {
        Kind::Disconnect => "disconnects",
        Kind::Number => "orders",
        Kind::Move => "moveTns",
    }
}

/// Makes a checked request durable, rings the worker and returns the order with its location.
pub(crate) async fn accept(
    app: &App,
    call: &Call,
    name: Option<String>,
    customer_order_id: Option<String>,
    request: Request,
) -> Result<Accepted, Problem> {
    let account = call.account()?;
    let kind = request.kind();
    let reason = match &request {
        Request::Disconnect(disconnect) => disconnect.reason.as_deref(),
        Request::Activate(_) | Request::Move(_) => None,
    };
    let stage = match &app.emulator {
        Some(emulator) => Some((emulator, emulator.scripts.accepting().await)),
        None => None,
    };
    let created_at = app.believed_now().ok_or(Problem::Clock)?;
    let mut order = Arc::new(NewOrder {
        account,
        user: call.caller.user.to_string(),
        under: call.under(reason),
        name,
        customer_order_id,
        created_at,
        request,
        key: idempotency_key(call, kind)?,
    });
    let accepted = app.store.accept(order.clone()).await.map_err(|error| match (error, &order.key) {
        (StoreError::KeyReused, Some(key)) => Problem::KeyReused(cut(&key.key)),
        (error, _) => store_problem(error),
    })?;
    if let Some((emulator, accepting)) = stage {
        let plan = emulator.plan(&order.request, &call.staging);
        emulator.scripts.stage(accepted.id, account, plan, created_at);
        drop(accepting);
    }
    app.orders_bell.notify_one();
    if accepted.again {
        let first = app.store.order(account, kind, accepted.id).await.map_err(store_problem)?;
        Arc::make_mut(&mut order).created_at = first.ok_or(Problem::Internal)?.created_at;
    }
    let (base, prefix, segment, id) = (&app.public_url, call.prefix.text, segment(kind), accepted.id);
    let mut location = String::with_capacity(LOCATION_BYTES);
    write!(location, "{base}{prefix}/accounts/{account}/{segment}/{id}").map_err(|_| Problem::Internal)?;
    Ok(Accepted { id, order, location })
}

/// Returns whether the account has the site that an order names, and the peer under it.
pub(crate) async fn place_exists(
    app: &App,
    call: &Call,
    site: SiteId,
    peer: Option<PeerId>,
) -> Result<(), Problem> {
    let account = call.account()?;
    let found = app.store.account(account).await.map_err(store_problem)?;
    let (_, premises) = found.ok_or(Problem::NoResource)?;
    match premises.place(account, site, peer) {
        Ok(_) => Ok(()),
        Err(NoPlace::Site) => Err(Problem::Site),
        Err(NoPlace::Peer) => Err(Problem::Peer),
        Err(NoPlace::DefaultPeer) => Err(Problem::NoDefaultPeer),
    }
}

/// An order on disk, and its location.
pub(crate) struct Accepted {
    pub(crate) id: OrderId,
    pub(crate) order: Arc<NewOrder>,
    pub(crate) location: String,
}

/// Returns the document of an order or a move. A document with too many elements has too many numbers.
pub(crate) fn document(call: &Call) -> Result<Posted<'_>, Problem> {
    call.document().map_err(|malformed| match malformed {
        Malformed::TooManyElements { .. } => Problem::TooManyNumbers(NUMBERS_MAX),
        other => other.into(),
    })
}

/// Returns the client's key, bare or in quotes, with a digest of what is sent under it.
fn idempotency_key(call: &Call, kind: Kind) -> Result<Option<IdempotencyKey>, Problem> {
    let mut sent = call.headers.get_all(KEY).iter();
    let Some(header) = sent.next() else { return Ok(None) };
    let wrong = || Problem::BadRequest(format!("an Idempotency-Key has 1 to {KEY_MAX} visible characters"));
    let text = header.to_str().map_err(|_| wrong())?.trim();
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let visible = key.bytes().all(|b| (0x20..0x7F).contains(&b));
    if sent.next().is_some() || !(1..=KEY_MAX).contains(&key.len()) || !visible {
        return Err(wrong());
    }
    let mut digest = blake3::Hasher::new();
    digest.update(kind.word().as_bytes()).update(&[0]).update(call.prefix.text.as_bytes()).update(&[0]);
    digest.update(&call.body);
    Ok(Some(IdempotencyKey { key: key.to_owned(), digest: *digest.finalize().as_bytes() }))
}

/// Returns the order that the path names.
pub(crate) async fn find(app: &App, call: &Call, kind: Kind) -> Result<Order, Problem> {
    let id = order_id(call)?;
    let found = app.store.order(call.account()?, kind, id).await.map_err(store_problem)?;
    let site = paging::site(call)?;
    found.filter(|order| site.is_none() || order.request.site() == site).ok_or(Problem::NoOrder)
}

/// Returns the order that the path names, for a client that looks whether it has ended. An emulator counts these reads.
pub(crate) async fn read(app: &App, call: &Call, kind: Kind) -> Result<Order, Problem> {
    let order = find(app, call, kind).await?;
    match &app.emulator {
        Some(emulator) if emulator.scripts.read(order.id) => {
            let until = Instant::now() + READ_WAIT;
            let mut order = order;
            while order.status == Status::Received && Instant::now() < until {
                app.orders_bell.notify_one();
                tokio::time::sleep(LOOK_EVERY).await;
                order = find(app, call, kind).await?;
            }
            Ok(order)
        }
        _ => Ok(order),
    }
}

pub(crate) fn order_id(call: &Call) -> Result<OrderId, Problem> {
    let text = call.param("order");
    text.parse().map_err(|_| Problem::Uuid("OrderId", cut(text)))
}

/// Returns a page of an account's orders of one kind.
pub(crate) async fn list(app: Arc<App>, call: Call, kind: Kind, size_max: u32) -> Result<Reply, Problem> {
    let size = call.query.size("size", SIZE, size_max)?;
    let Page { items, total, next } =
        page(&app, &call, kind, paging::start(call.query.order_page()?), size).await?;
    let segment = match call.param("site") {
        "" => segment(kind).to_owned(),
        site => format!("sites/{site}/{}", segment(kind)),
    };
    let links = paging::links(&app, &call, &segment, size, next.map(|id| id.to_string()))?;
    let body = match kind {
        Kind::Move => moves::list(&items, total, &links),
        Kind::Disconnect | Kind::Number => lists::orders(kind, &items, total, &links),
    };
    Ok(Reply::xml(StatusCode::OK, body))
}

/// Returns how many orders of one kind the account has.
pub(crate) async fn totals(app: Arc<App>, call: Call, kind: Kind) -> Result<Reply, Problem> {
    let page = page(&app, &call, kind, Start::Page(1), 0).await?;
    Ok(Reply::xml(StatusCode::OK, lists::totals(page.total)))
}

/// Returns the orders that match a request's filters.
async fn page(
    app: &App,
    call: &Call,
    kind: Kind,
    start: Start<OrderId>,
    size: u32,
) -> Result<Page<Summary, OrderId>, Problem> {
    let query = &call.query;
    let wanted = OrderQuery {
        account: call.account()?,
        kind,
        status: lists::status(query, kind)?,
        site: paging::site(call)?,
        user: query.get("userid")?.map(str::to_owned),
        customer_order_id: query.get("customerorderid")?.map(str::to_owned),
        created: query.dates()?,
        start,
        size: usize::try_from(size).unwrap_or(usize::MAX),
    };
    app.store.orders(wanted).await.map_err(store_problem)
}

/// Returns the notes of an order.
pub(crate) async fn notes(app: Arc<App>, call: Call, kind: Kind) -> Result<Reply, Problem> {
    let (account, id) = (call.account()?, order_id(&call)?);
    let found = app.store.notes(account, kind, id).await.map_err(store_problem)?.ok_or(Problem::NoOrder)?;
    let shown = found.iter().map(|note| (note.id, note.user.as_str(), note.text.as_str(), note.at));
    Ok(Reply::xml(StatusCode::OK, notes::list(shown)))
}

/// Adds a note to an order: 201, its location, no body. With a note in the path, replaces that note: 200.
pub(crate) async fn write_note(app: Arc<App>, call: Call, kind: Kind) -> Result<Reply, Problem> {
    let (account, id) = (call.account()?, order_id(&call)?);
    let root = call.document()?;
    let text = notes::read(&root, &call.caller.user)?;
    let note = NewNote { user: call.caller.user.to_string(), text, at: app.clock.now() };
    match call.param("note") {
        "" => {
            let added = app.store.write_note(account, kind, id, None, note).await.map_err(store_problem)?;
            let added = added.ok_or(Problem::NoOrder)?;
            app.deliveries_bell.notify_one();
            let (base, prefix, segment) = (&app.public_url, call.prefix.text, segment(kind));
            let location = format!("{base}{prefix}/accounts/{account}/{segment}/{id}/notes/{added}");
            Ok(Reply::empty(StatusCode::CREATED).with(header::LOCATION, &location))
        }
        replaces => {
            let replaces = replaces.parse().map_err(|_| Problem::NoNote)?;
            let written = app.store.write_note(account, kind, id, Some(replaces), note).await;
            written.map_err(store_problem)?.ok_or(Problem::NoNote)?;
            Ok(Reply::empty(StatusCode::OK))
        }
    }
}

/// Returns the history of an order. For an unknown order the answer has no code, as in the API.
pub(crate) async fn history(app: Arc<App>, call: Call, kind: Kind) -> Result<Reply, Problem> {
    let order = find(&app, &call, kind).await.map_err(|problem| match problem {
        Problem::NoOrder => Problem::NoResource,
        other => other,
    })?;
    let lines = app.store.order_history(order.account, kind, order.id).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, lists::history(&order, &lines.unwrap_or_default())))
}
