//! A call of every route, made from its description, and the objects that its path leads to.

use std::sync::atomic::{AtomicU32, Ordering};

use onhook_core::account::user::Rights;
use onhook_core::account::{AccountKind, Class};
use onhook_core::ids::AccountId;
use onhook_core::import::NewNumber;
use onhook_core::job::{Kind, State};
use onhook_core::lifecycle::diagram;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::notify::notification::DeliveryState;
use onhook_core::notify::subscription::{
    Digest, Email, EventType, NewSubscription, OrderType, Receiver, Subject,
};
use onhook_core::order;
use onhook_core::report::months::Month;
use onhook_core::time::TimeZone;
use onhook_server::demo_data::APPROVER;
use onhook_server::{PREFIXES, Route};
use onhook_store::contract::accounts::NewAccount;
use onhook_store::contract::deliveries::DeliveryFilter;
use onhook_store::contract::jobs::{NewJob, Noted};
use onhook_store::contract::orders::NewNote;
use onhook_store::contract::subscriptions::Subscribed;

use super::{
    ACCOUNT, App, Call, IN_SERVICE, SOON, Who, account, delete, get, now, number, patch, post, put, wait_for,
    xml,
};

/// A number that ages.
const AGING: &str = "9195551101";
/// Numbers that come back by an undo, each of another order.
const UNDONE: [&str; 3] = ["9195551102", "9195551103", "9195551104"];
/// A number in the pool that is reserved for the guide's account.
const RESERVED: &str = "4155550100";
/// A number that is locked by a plan.
const PLANNED: &str = "9195551105";
/// A number that a plan purges.
const PURGED: &str = "9195551106";
/// The hash that examples show.
const A_HASH: &str = "sha256:9d1c0000000000000000000000000000000000000000000000000000000000aa";
/// The id that examples show.
const AN_ID: &str = "6d7da966-e071-4741-b31c-1d8932f4b8da";
/// The hash of a file that examples show.
const FILE_HASH: &str = "9d1c2f3a4b5c0000000000000000000000000000000000000000000000000000";
const APPLICATION: &str =
    "<Application><ServiceType>Voice-V2</ServiceType><AppName>An application</AppName></Application>";
/// An account without numbers.
const EMPTY: u32 = 9_900_500;
/// Where snapshots are, and the one that these calls go back to.
const SNAPSHOTS: &str = "/ops/v1/emulator/snapshots";
const KEPT: &str = "kept";
/// How many pool numbers have been reserved.
static FREE: AtomicU32 = AtomicU32::new(0);

/// The objects that fill the paths' parameters: the guide's account's site and peer, and an order of each kind with a
/// note.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) disconnect: String,
    order: String,
    /// Disconnect orders that have not been undone: an order is undone once.
    undoable: Vec<String>,
    /// An order that moved a number.
    moved: String,
    /// A number order that waits for numbers.
    waiting: String,
    note: String,
    order_note: String,
    reservation: String,
    site: String,
    peer: String,
    user: String,
    subscription: String,
    application: String,
    /// A delivery that has ended.
    delivery: String,
    /// A report, one of its files, and that file's hash.
    report: String,
    report_file: String,
    report_hash: String,
    /// Plans with their hashes: to lock a number, to purge one, and two that are withdrawn, of an orderer and an admin.
    plans: [(String, String); 4],
    fault: String,
    /// Jobs that have ended.
    check: String,
    backup: String,
    import: String,
}

impl Objects {
    /// Returns objects that may be removed: a site without peers, a peer beside the default one, a user, a reservation,
    /// a subscription, an application.
    pub(crate) async fn spare(app: &App, like: &Objects, route: &Route) -> Objects {
        let (guide, store) = (ACCOUNT.to_string().parse().unwrap(), &app.parts.store);
        let site = store.create_site(guide, "Spare site".into(), now()).await.unwrap();
        let peer =
            store.create_peer(guide, app.site.to_string().parse().unwrap(), "Spare peer".into(), now()).await;
        let user = unused_name();
        let reader = store.user(Who::Reader.user()).await.unwrap().unwrap();
        let (name, account, role, password_hash) =
            (user.clone(), reader.account, reader.role, reader.password_hash);
        store
            .create_user(
                onhook_store::contract::users::NewUser {
                    name,
                    account,
                    role,
                    rights: Rights::NONE,
                    password_hash,
                },
                now(),
            )
            .await
            .unwrap();
        // There are not so many free numbers that each route can have one.
        let reservation = if route.path.contains("{reservation}") {
            reserve(app, &free()).await
        } else {
            like.reservation.clone()
        };
        let (site, peer) = (site.id.to_string(), peer.unwrap().id.to_string());
        let subscription = subscription(app).await;
        let application = application(app).await;
        let fault = fault(app).await;
        Objects { fault, site, peer, user, reservation, subscription, application, ..like.clone() }
    }

    /// Returns the objects for a route. For a peer's path, the site is that of the peers.
    pub(crate) fn at(&self, route: &Route, app: &App) -> Objects {
        if route.path.contains("{peer}") {
            Objects { site: app.site.to_string(), ..self.clone() }
        } else {
            self.clone()
        }
    }
}

/// Returns a user's name that nobody has yet.
fn unused_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("spare{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Returns an account's id that no account has yet.
fn unused_account() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(EMPTY + 1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Returns the query without which a route of the server itself refuses.
fn required(route: &Route) -> String {
    let required = route.doc.query.iter().filter(|told| told.required && !route.api);
    let required: Vec<_> =
        required.map(|told| format!("{}={}", told.name, told.form.example().replace(' ', "+"))).collect();
    if required.is_empty() { String::new() } else { format!("?{}", required.join("&")) }
}

pub(crate) async fn objects(app: &App) -> Objects {
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    app.import([&[AGING, PLANNED, PURGED], &UNDONE[..]].concat().into_iter().map(in_service).collect()).await;
    app.disconnect(&[AGING]).await;
    let mut undoable = Vec::new();
    for number in UNDONE {
        undoable.push(id(&app.disconnect(&[number]).await));
    }
    let disconnect = app.disconnect(&["5405514342"]).await;
    let (_, order) = app.place(post(account("/orders"), xml::order(app.site, &["5405514342"]))).await;
    app.ended(get(&order)).await;
    let waiting = xml::search(app.site, "AreaCode", "<AreaCode>336</AreaCode><Quantity>2</Quantity>", true);
    let (_, waiting) = app.place(post(account("/orders"), waiting)).await;
    app.ended(get(&waiting)).await;
    let moved = app.place(post(account("/moveTns"), xml::move_order(app.site, &[IN_SERVICE[0]]))).await.1;
    app.ended(get(&moved)).await;
    let note = async |order: &str| {
        let added = app.send(post(format!("{order}/notes"), xml::note("username", "a note"))).await;
        id(added.expect(201).header("location").unwrap())
    };
    let (report, report_file, report_hash) = report(app).await;
    let waiting = id(&waiting);
    empty_account(app).await;
    Objects {
        report,
        report_file,
        report_hash,
        subscription: subscription(app).await,
        application: application(app).await,
        delivery: delivery(app, &waiting).await,
        fault: fault(app).await,
        disconnect: id(&disconnect),
        order: id(&order),
        undoable,
        moved: id(&moved),
        waiting,
        reservation: reserve(app, RESERVED).await,
        note: note(&disconnect).await,
        order_note: note(&order).await,
        site: app.site.to_string(),
        peer: app.peer.to_string(),
        user: Who::Reader.user().to_owned(),
        check: job(app, Kind::Check).await,
        backup: job(app, Kind::Backup).await,
        import: job(app, Kind::Import).await,
        plans: [
            plan(app, Who::Orderer.user(), "lock", PLANNED).await,
            plan(app, APPROVER, "purge", PURGED).await,
            plan(app, Who::Orderer.user(), "lock", PURGED).await,
            plan(app, Who::Admin.user(), "lock", PURGED).await,
        ],
    }
}

/// Plans an act of a user on a number of the guide's account, and returns the plan's id and its hash.
async fn plan(app: &App, user: &str, act: &str, number: &str) -> (String, String) {
    let target = serde_json::json!({ "numbers": [number] });
    let body =
        serde_json::json!({ "act": act, "account": ACCOUNT.to_string(), "target": target, "reason": "r" });
    let call = post("/ops/v1/plans", body.to_string()).content_type("application/json").named(user);
    let made: serde_json::Value = serde_json::from_slice(&app.send(call).await.expect(201).body).unwrap();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    (text("id"), text("hash"))
}

/// Makes a job that has ended, and returns its id.
async fn job(app: &App, kind: Kind) -> String {
    let store = &app.parts.store;
    // While the lease is held, no worker does it.
    let lease =
        store.take_lease(&format!("jobs of kind {kind}"), SOON).await.unwrap().expect("nobody has it");
    let author = Who::Operator.user().into();
    let new = NewJob {
        kind,
        author,
        asked: serde_json::json!({ "name": "nightly", "deep": true, "backup": null }),
    };
    let id = store.add_job(new, None, now()).await.unwrap().unwrap().id;
    let found = serde_json::json!({ "path": "/nowhere", "bytes": 1, "sha256": "00", "position": null });
    for state in [State::Running, State::Done] {
        let noted = Noted::new(state, found.clone(), now());
        store.note_job(lease, id, noted).await.unwrap();
    }
    store.cancel_job(kind, id, now()).await.unwrap();
    store.end_lease(&format!("jobs of kind {kind}"), lease).await.unwrap();
    id.0.to_string()
}

/// Returns a number in service on the guide's account.
fn in_service(digits: &str) -> NewNumber {
    let account = Some(ACCOUNT.to_string().parse().unwrap());
    NewNumber { state: diagram::State::InService, account, ..NewNumber::available(number(digits)) }
}

/// Returns a pool number that nobody has reserved, from one area code after the other.
fn free() -> String {
    let count = FREE.fetch_add(1, Ordering::Relaxed);
    let area_code = ["212", "703", "540", "919"][usize::try_from(count / 50).unwrap()];
    format!("{area_code}55501{:02}", count % 50)
}

async fn reserve(app: &App, number: &str) -> String {
    let made = app.send(post(account("/tnreservation"), xml::reservation(number))).await.expect(201);
    made.header("location").unwrap().rsplit('/').next().unwrap().to_owned()
}

/// Makes an application of the guide's account, and returns its id.
async fn application(app: &App) -> String {
    let made = app.send(post(account("/applications"), APPLICATION)).await.expect(201);
    made.header("location").unwrap().rsplit('/').next().unwrap().to_owned()
}

/// Makes an account that has nothing.
async fn empty_account(app: &App) {
    let new = NewAccount {
        id: AccountId::new(EMPTY).unwrap(),
        name: "An empty account".into(),
        kind: AccountKind::EndUser,
        class: Class::Unknown,
    };
    app.parts.store.create_account(new, Doer::offline(now())).await.unwrap();
}

/// Makes a delivery about a note on an order that waits, and returns its id once it has ended. The subscription is told of
/// nothing else.
async fn delivery(app: &App, waiting: &str) -> String {
    let (guide, store) = (ACCOUNT.to_string().parse().unwrap(), &app.parts.store);
    let order = waiting.parse().unwrap();
    let new = NewSubscription {
        account: guide,
        subject: Subject::Orders(OrderType::Orders, Some(order)),
        receiver: Receiver::Email(Email { address: next_address(), digest: Digest::None }),
        expires_at: None,
    };
    let subscribed = store.subscribe(new, now()).await.unwrap();
    assert!(matches!(subscribed, Subscribed::Made(_)), "{subscribed:?}");
    let note = NewNote { user: Who::Admin.user().into(), text: "told of".into(), at: now() };
    store.write_note(guide, order::Kind::Number, order, None, note).await.unwrap();
    app.parts.deliveries_bell.notify_one();
    wait_for("the end of a delivery", async || {
        let filter = DeliveryFilter { order: Some(order), ..DeliveryFilter::default() };
        let (found, _) = store.find_deliveries(filter, None, 1).await.unwrap();
        let ended = found.first().filter(|one| one.delivery.standing != DeliveryState::Waiting);
        ended.map(|one| one.seq.0.to_string())
    })
    .await
}

/// Makes a rule for a fault that acts on nothing, and returns its id.
async fn fault(app: &App) -> String {
    let body = r#"{"match": {"path": "/no/such/path"}, "do": {"drop": "before"}}"#;
    let call = post("/ops/v1/emulator/faults", body).content_type("application/json").by(Who::Operator);
    let made = app.send(call).await;
    made.header("location").unwrap_or("/0").rsplit('/').next().unwrap().to_owned()
}

/// Sends a call of a route. What it takes back is there again afterwards, for the calls that follow.
pub(crate) async fn send_keeping(app: &App, route: &Route, call: Call) -> super::Reply {
    if !route.path.starts_with(SNAPSHOTS) && route.path != "/ops/v1/emulator/reset" {
        return app.send(call).await;
    }
    let operator = |call: Call| app.send(call.content_type("application/json").by(Who::Operator));
    operator(post(SNAPSHOTS, format!(r#"{{"name": "{KEPT}"}}"#))).await;
    let reply = app.send(call).await;
    operator(post(format!("{SNAPSHOTS}/{KEPT}/restore"), "{}")).await;
    for name in [KEPT, "before"] {
        app.send(delete(format!("{SNAPSHOTS}/{name}")).by(Who::Operator)).await;
    }
    reply
}

/// Makes a subscription of the guide's account to something that never happens, and returns its id.
async fn subscription(app: &App) -> String {
    let new = NewSubscription {
        account: ACCOUNT.to_string().parse().unwrap(),
        subject: Subject::Event(EventType::MessagingLost),
        receiver: Receiver::Email(Email { address: next_address(), digest: Digest::None }),
        expires_at: None,
    };
    match app.parts.store.subscribe(new, now()).await.unwrap() {
        Subscribed::Made(made) => made.id.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Makes a report with a row, of a company that no other test has. Returns its id, its file's name and hash.
async fn report(app: &App) -> (String, String, String) {
    let month = Month::reporting(now().date_in(&TimeZone::UTC), 14);
    let body = format!(r#"{{"period": "{month}", "company": "OBJECT1"}}"#);
    let call = post("/ops/v1/reports/rnd", body).content_type("application/json").by(Who::Operator);
    let made = app.send(call).await.expect(201);
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let file = &made["files"][0];
    (text(&made["id"]), text(&file["name"]), text(&file["sha256"]))
}

/// Returns an address that nothing else in this process has.
fn next_address() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("{}@example.com", LAST.fetch_add(1, Ordering::Relaxed))
}

/// Returns a route's path with its parameters filled in, so that it leads to something.
pub(crate) fn path(route: &Route, objects: &Objects, account: &str, who: Who) -> String {
    let (order, note) = if route.path.contains("/orders/") {
        (&objects.order, &objects.order_note)
    } else {
        (&objects.disconnect, &objects.note)
    };
    let order =
        if route.name() == "PUT /accounts/{account}/orders/{order}" { &objects.waiting } else { order };
    let order = match (route.path, who) {
        ("/ops/v1/orders/{order}/undo", Who::Orderer) => &objects.undoable[0],
        ("/ops/v1/orders/{order}/undo", Who::Operator) => &objects.undoable[2],
        ("/ops/v1/orders/{order}/undo", _) => &objects.undoable[1],
        _ => order,
    };
    let order = if route.path.contains("/movetns/") { &objects.moved } else { order };
    // A number is locked once, so each caller locks another one.
    let lockable = match who {
        Who::Orderer => IN_SERVICE[0],
        Who::Operator => IN_SERVICE[2],
        _ => IN_SERVICE[1],
    };
    let number = match route.path {
        "/tns/{number}/tnreservation" => RESERVED,
        "/ops/v1/numbers/{number}/lock" | "/ops/v1/numbers/{number}/unlock" => lockable,
        "/ops/v1/numbers/{number}/extend" | "/ops/v1/numbers/{number}/keep" => AGING,
        "/ops/v1/numbers/{number}/unkeep" | "/ops/v1/numbers/{number}/release" => AGING,
        _ => IN_SERVICE[0],
    };
    // The guide's account has numbers, so it stays open.
    let guide = account == ACCOUNT.to_string() && route.path.starts_with("/ops/v1/accounts/{account}/");
    let empty = EMPTY.to_string();
    let account = if guide { &empty } else { account };
    let own = if who == Who::Nobody { Who::Reader.user() } else { who.user() };
    let path = route
        .path
        .replace("{reservation}", &objects.reservation)
        .replace("{site}", &objects.site)
        .replace("{peer}", &objects.peer)
        .replace("{account}", account)
        .replace("{order}", order)
        .replace("{note}", note)
        .replace("{ratecenter}", "1")
        .replace("{code}", "bad_value")
        .replace("{area}", "1")
        .replace("{delivery}", &objects.delivery)
        .replace("{report}", &objects.report)
        .replace("{file}", &objects.report_file)
        .replace("{block}", "919-555-1")
        .replace("{fault}", &objects.fault)
        .replace("{snapshot}", KEPT)
        .replace("{name}", "mine")
        .replace("{number}", number)
        .replace("/users/{user}/password", &format!("/users/{own}/password"))
        .replace("{user}", &objects.user)
        .replace("{subscription}", &objects.subscription)
        .replace("{application}", &objects.application)
        .replace("{check}", &objects.check)
        .replace("{backup}", &objects.backup)
        .replace("{import}", &objects.import)
        .replace("{plan}", &plan_for(route, objects, who).0);
    assert!(!path.contains('{'), "{}: give each part of its path a value here", route.name());
    match route.name().as_str() {
        // A search needs a criterion, and an operator must name the account.
        "GET /accounts/{account}/availablenumbers" => path + "?areaCode=336",
        "GET /accounts/{account}/availablenpanxx" | "GET /ratecenters" | "GET /cities" => path + "?state=NC",
        "GET /ops/v1/numbers/{number}/changed-hands" => path + "?since=2026-01-01T00:00:00.000Z",
        "POST /ops/v1/rate" => path + "?number=called&time=answered",
        "GET /tns" | "GET /users" => format!("{path}?accountId={account}"),
        _ => path,
    }
}

/// Returns the plan for a route: one that its caller may apply, approve or withdraw.
fn plan_for<'a>(route: &Route, objects: &'a Objects, who: Who) -> &'a (String, String) {
    let [lock, purge, orderers, admins] = &objects.plans;
    match route.path {
        "/ops/v1/plans/{plan}/approve" => purge,
        "/ops/v1/plans/{plan}/withdraw" if who == Who::Orderer => orderers,
        "/ops/v1/plans/{plan}/withdraw" => admins,
        _ => lock,
    }
}

/// Returns a call of a route with the body in its description. What can be there only once is another one each time,
/// and a note is its author's.
pub(crate) fn call(route: &Route, objects: &Objects, path: String, who: Who) -> Call {
    let mut body = route.doc.request.map_or(String::new(), |shape| shape.example.to_owned());
    let name = route.name();
    if name == "POST /ops/v1/accounts" {
        body = body.replace("9900002", &unused_account().to_string());
    }
    if name == "POST /ops/v1/users" {
        body = body.replace("\"orders\"", &format!("\"{}\"", unused_name()));
    }
    if name == "POST /ops/v1/emulator/seed" {
        body = format!("accounts: [{{id: {}, name: Another account}}]", unused_account());
    }
    let path = if path.contains('?') { path } else { path + &required(route) };
    type Made<'a> = &'a dyn Fn() -> String;
    let replaced: [(&str, &str, Made<'_>); 12] = [
        ("/reports/{report}/confirm", FILE_HASH, &|| objects.report_hash.clone()),
        // No report was handed in before it was made.
        ("/reports/{report}/confirm", "2026-11-20T09:00:00.000Z", &|| now().to_string()),
        ("/notes", Who::Admin.user(), &|| who.user().to_owned()),
        ("POST /accounts/{account}/tnreservation", RESERVED, &free),
        ("POST /accounts/{account}/users", Who::Reader.user(), &unused_name),
        ("/subscriptions", "/told", &|| format!("/{}", next_address())),
        // A subscription that is told nothing delivers nothing while others are counted.
        ("/subscriptions", "disconnects", &|| "portins".to_owned()),
        // The only application is not for messages.
        ("messaging/applicationsettings", AN_ID, &|| "REMOVE".to_owned()),
        ("nation/settings", AN_ID, &|| objects.application.clone()),
        ("/plans/{plan}/apply", A_HASH, &|| plan_for(route, objects, who).1.clone()),
        ("/plans/{plan}/approve", A_HASH, &|| plan_for(route, objects, who).1.clone()),
        // The guide's first number comes and goes in these tests.
        ("movetns", "5405514342", &|| IN_SERVICE[0].to_owned()),
    ];
    for (of, said, instead) in replaced {
        if name.contains(of) && !body.is_empty() {
            assert!(body.contains(said), "{name} does not say {said} in its description: {body}");
            body = body.replace(said, &instead());
        }
    }
    // These say in the query what others say in the body.
    let asked = match name.as_str() {
        "POST /ops/v1/imports" => "kind=numbers&reason=migration",
        "DELETE /ops/v1/imports/{import}" => "reason=mistake",
        _ => "",
    };
    let path = if asked.is_empty() || path.contains('?') { path } else { format!("{path}?{asked}") };
    let call = match route.method.as_str() {
        "GET" => get(path),
        "POST" => post(path, body),
        "PUT" => put(path, body),
        "PATCH" => patch(path, body),
        "DELETE" => delete(path),
        other => panic!("teach this test to send a {other}"),
    };
    let call = match route.doc.request {
        Some(shape) => call.content_type(shape.content_type),
        // The operations API takes JSON alone, also where it takes nothing.
        None if !route.api => call.content_type("application/json"),
        None => call,
    };
    call.by(who)
}

/// Returns every route with the prefixes under which it answers.
pub(crate) fn all() -> Vec<(Route, Vec<&'static str>)> {
    onhook_server::routes()
        .into_iter()
        .map(|route| {
            let prefixes = if route.api { PREFIXES.map(|prefix| prefix.text).to_vec() } else { vec![""] };
            (route, prefixes)
        })
        .collect()
}
