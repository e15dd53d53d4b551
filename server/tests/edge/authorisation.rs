//! Rights: every route, under every prefix, for every kind of caller.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use onhook_core::notify::subscription::{Digest, Email, EventType, NewSubscription, Receiver, Subject};
use onhook_server::{PREFIXES, Route};
use onhook_store::contract::subscriptions::Subscribed;

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOUR, NEIGHBOURS, NO_NUMBER, Reply, Seed, Who, account, delete,
    disconnects, get, head, now, patch, post, put, with_app, xml,
};

/// A number in the pool that is reserved for the guide's account.
const RESERVED: &str = "4155550100";
const APPLICATION: &str =
    "<Application><ServiceType>Voice-V2</ServiceType><AppName>An application</AppName></Application>";
/// How many pool numbers have been reserved.
static FREE: AtomicU32 = AtomicU32::new(0);

/// The callers that may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Every caller.
    Anyone,
    /// Callers who are signed in. Other accounts get the answer that it does not exist.
    SignedIn,
    /// Callers who are signed in. Other accounts find nothing.
    Seekers,
    /// Callers who may look at the account.
    Readers,
    /// Callers who may place orders for the account.
    Orderers,
    /// Administrators of the account.
    Admins,
    /// Callers with name and password, which the route checks itself.
    Clients,
    /// Operators.
    Operators,
    /// No caller: everyone who is signed in is refused without a body.
    Nobody,
}

/// The body that a route is sent.
#[derive(Clone, Copy, Debug)]
enum Body {
    None,
    Disconnect,
    Order,
    Note,
    Lookup,
    Amendment,
    MoveOrder,
    Reservation,
    /// The example in the route's description.
    Described,
    Json,
    Site,
    Peer,
    Move,
    User,
    Role,
    Password,
    Grant,
    Subscription,
    Application,
    /// A peer's setting that names no application.
    Named,
}

/// The table: a route's name, who may use it, the status for these callers, and the body that is sent.
#[rustfmt::skip]
const ROUTES: &[(&str, May, u16, Body)] = &[
    ("POST /accounts/{account}/disconnects",                              May::Orderers,  201, Body::Disconnect),
    ("GET /accounts/{account}/disconnects",                               May::Readers,   200, Body::None),
    ("GET /accounts/{account}/disconnects/totals",                        May::Readers,   200, Body::None),
    ("GET /accounts/{account}/disconnects/{order}",                       May::Readers,   200, Body::None),
    ("GET /accounts/{account}/disconnects/{order}/history",               May::Readers,   200, Body::None),
    ("GET /accounts/{account}/disconnects/{order}/notes",                 May::Readers,   200, Body::None),
    ("POST /accounts/{account}/disconnects/{order}/notes",                May::Orderers,  201, Body::Note),
    ("PUT /accounts/{account}/disconnects/{order}/notes/{note}",          May::Orderers,  200, Body::Note),
    ("POST /accounts/{account}/orders",                                   May::Orderers,  201, Body::Order),
    ("GET /accounts/{account}/orders",                                    May::Readers,   200, Body::None),
    ("GET /accounts/{account}/orders/totals",                             May::Readers,   200, Body::None),
    ("GET /accounts/{account}/orders/{order}",                            May::Readers,   200, Body::None),
    ("PUT /accounts/{account}/orders/{order}",                            May::Orderers,  200, Body::Amendment),
    ("GET /accounts/{account}/orders/{order}/history",                    May::Readers,   200, Body::None),
    ("GET /accounts/{account}/orders/{order}/tns",                        May::Readers,   200, Body::None),
    ("GET /accounts/{account}/orders/{order}/areacodes",                  May::Readers,   200, Body::None),
    ("GET /accounts/{account}/orders/{order}/npanxx",                     May::Readers,   200, Body::None),
    ("GET /accounts/{account}/orders/{order}/totals",                     May::Readers,   200, Body::None),
    ("GET /accounts/{account}/orders/{order}/notes",                      May::Readers,   200, Body::None),
    ("POST /accounts/{account}/orders/{order}/notes",                     May::Orderers,  201, Body::Note),
    ("PUT /accounts/{account}/orders/{order}/notes/{note}",               May::Orderers,  200, Body::Note),
    ("POST /accounts/{account}/movetns",                                  May::Orderers,  201, Body::MoveOrder),
    ("GET /accounts/{account}/movetns",                                   May::Readers,   200, Body::None),
    ("GET /accounts/{account}/movetns/{order}",                           May::Readers,   200, Body::None),
    ("GET /accounts/{account}/movetns/{order}/history",                   May::Readers,   200, Body::None),
    ("GET /accounts/{account}/discnumbers",                               May::Readers,   200, Body::None),
    ("GET /accounts/{account}/discnumbers/totals",                        May::Readers,   200, Body::None),
    ("GET /accounts/{account}/inservicenumbers",                          May::Readers,   200, Body::None),
    ("GET /accounts/{account}/inservicenumbers/totals",                   May::Readers,   200, Body::None),
    ("GET /accounts/{account}/inservicenumbers/{number}",                 May::Readers,   200, Body::None),
    ("GET /accounts/{account}/availablenumbers",                          May::Readers,   200, Body::None),
    ("GET /accounts/{account}/availablenpanxx",                           May::Readers,   200, Body::None),
    ("GET /ratecenters",                                                  May::Seekers,   200, Body::None),
    ("GET /cities",                                                       May::Seekers,   200, Body::None),
    ("GET /coveredratecenters",                                           May::Seekers,   200, Body::None),
    ("GET /coveredratecenters/{ratecenter}",                              May::Seekers,   200, Body::None),
    ("GET /accounts/{account}",                                           May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites",                                     May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}",                              May::Readers,   200, Body::None),
    ("POST /accounts/{account}/sites",                                    May::Admins,    201, Body::Site),
    ("PUT /accounts/{account}/sites/{site}",                              May::Admins,    200, Body::Site),
    ("DELETE /accounts/{account}/sites/{site}",                           May::Admins,    200, Body::None),
    ("GET /accounts/{account}/sites/{site}/totaltns",                     May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}/inservicenumbers",             May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}/inservicenumbers/totals",      May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}/orders",                       May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}/orders/{order}",               May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}/orders/{order}/tns",           May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}/sippeers",                     May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}/sippeers/{peer}",              May::Readers,   200, Body::None),
    ("POST /accounts/{account}/sites/{site}/sippeers",                    May::Admins,    201, Body::Peer),
    ("PUT /accounts/{account}/sites/{site}/sippeers/{peer}",              May::Admins,    200, Body::Peer),
    ("DELETE /accounts/{account}/sites/{site}/sippeers/{peer}",           May::Admins,    200, Body::None),
    ("POST /accounts/{account}/sites/{site}/sippeers/{peer}/movetns",     May::Orderers,  200, Body::Move),
    ("GET /accounts/{account}/sites/{site}/sippeers/{peer}/totaltns",     May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}/sippeers/{peer}/tns",          May::Readers,   200, Body::None),
    ("GET /accounts/{account}/sites/{site}/sippeers/{peer}/tns/{number}", May::Readers,   200, Body::None),
    ("GET /accounts/{account}/users",                                     May::Readers,   200, Body::None),
    ("POST /accounts/{account}/users",                                    May::Admins,    201, Body::User),
    ("GET /accounts/{account}/users/{user}",                              May::Readers,   200, Body::None),
    ("PUT /accounts/{account}/users/{user}",                              May::Admins,    200, Body::Role),
    ("DELETE /accounts/{account}/users/{user}",                           May::Admins,    200, Body::None),
    ("GET /users",                                                        May::Readers,   200, Body::None),
    ("PUT /users/{user}/password",                                        May::Seekers,   200, Body::Password),
    ("POST /oauth2/token",                                                May::Clients,   200, Body::Grant),
    ("GET /accounts/{account}/subscriptions",                             May::Readers,   200, Body::None),
    ("POST /accounts/{account}/subscriptions",                            May::Admins,    201, Body::Subscription),
    ("GET /accounts/{account}/subscriptions/{subscription}",              May::Readers,   200, Body::None),
    ("PUT /accounts/{account}/subscriptions/{subscription}",              May::Admins,    200, Body::Subscription),
    ("DELETE /accounts/{account}/subscriptions/{subscription}",           May::Admins,    200, Body::None),
    ("GET /accounts/{account}/subscriptions/{subscription}/deliveries",   May::Readers,   200, Body::None),
    ("GET /accounts/{account}/applications",                              May::Readers,   200, Body::None),
    ("POST /accounts/{account}/applications",                             May::Admins,    201, Body::Application),
    ("GET /accounts/{account}/applications/{application}",                May::Readers,   200, Body::None),
    ("PUT /accounts/{account}/applications/{application}",                May::Admins,    200, Body::Application),
    ("PATCH /accounts/{account}/applications/{application}",              May::Admins,    200, Body::Application),
    ("DELETE /accounts/{account}/applications/{application}",             May::Admins,    200, Body::None),
    ("GET /accounts/{account}/applications/{application}/associatedsippeers", May::Readers, 200, Body::None),
    ("GET /accounts/{account}/sites/{site}/sippeers/{peer}/products/messaging/applicationsettings", May::Readers, 200, Body::None),
    ("PUT /accounts/{account}/sites/{site}/sippeers/{peer}/products/messaging/applicationsettings", May::Admins, 200, Body::Named),
    ("GET /accounts/{account}/sites/{site}/sippeers/{peer}/products/origination/settings", May::Readers, 200, Body::None),
    ("PUT /accounts/{account}/sites/{site}/sippeers/{peer}/products/origination/settings", May::Admins, 200, Body::Named),
    ("POST /accounts/{account}/sites/{site}/sippeers/{peer}/products/origination/settings", May::Admins, 201, Body::Named),
    ("GET /accounts/{account}/sites/{site}/sippeers/{peer}/products/termination/settings", May::Readers, 200, Body::None),
    ("PUT /accounts/{account}/sites/{site}/sippeers/{peer}/products/termination/settings", May::Admins, 200, Body::Named),
    ("POST /accounts/{account}/sites/{site}/sippeers/{peer}/products/termination/settings", May::Admins, 201, Body::Named),
    ("GET /tns",                                                          May::Readers,   200, Body::None),
    ("POST /tns",                                                         May::Seekers,   200, Body::Lookup),
    ("GET /tns/{number}",                                                 May::SignedIn,  200, Body::None),
    ("GET /tns/{number}/tndetails",                                       May::SignedIn,  200, Body::None),
    ("GET /tns/{number}/sites",                                           May::SignedIn,  200, Body::None),
    ("GET /tns/{number}/sippeers",                                        May::SignedIn,  200, Body::None),
    ("GET /tns/{number}/ratecenter",                                      May::SignedIn,  200, Body::None),
    ("GET /tns/{number}/lata",                                            May::SignedIn,  200, Body::None),
    ("GET /tns/{number}/lca",                                             May::SignedIn,  200, Body::None),
    ("GET /tns/{number}/tnreservation",                                   May::SignedIn,  200, Body::None),
    ("GET /tns/{number}/history",                                         May::SignedIn,  200, Body::None),
    ("POST /accounts/{account}/tnreservation",                            May::Orderers,  201, Body::Reservation),
    ("GET /accounts/{account}/tnreservation/{reservation}",               May::Readers,   200, Body::None),
    ("DELETE /accounts/{account}/tnreservation/{reservation}",            May::Orderers,  200, Body::None),
    ("GET /v2/accounts/{account}/voiceConfigurationPackages",             May::Nobody,    403, Body::None),
    ("POST /v2/accounts/{account}/voiceConfigurationPackages",            May::Nobody,    403, Body::Json),
    ("GET /healthz",                                                      May::Anyone,    200, Body::None),
    ("GET /readyz",                                                       May::Anyone,    200, Body::None),
    ("GET /metrics",                                                      May::Anyone,    200, Body::None),
    ("GET /ops/v1/emulator/clock",                                        May::Operators, 200, Body::None),
    ("POST /ops/v1/emulator/clock",                                       May::Operators, 200, Body::Described),
    ("GET /ops/v1/emulator/mail",                                         May::Operators, 200, Body::None),
    ("DELETE /ops/v1/emulator/mail",                                      May::Operators, 204, Body::None),
];

/// Returns the status that a caller gets.
fn answer(may: May, good: u16, who: Who) -> u16 {
    let let_through = match (may, who) {
        (May::Anyone, _) => true,
        (_, Who::Nobody | Who::WrongPassword) => return 401,
        (May::Nobody, _) => false,
        (May::SignedIn, Who::Neighbour) => return 404,
        (May::SignedIn | May::Seekers | May::Clients, _) => true,
        (_, Who::Operator) => true,
        (May::Operators, _) | (_, Who::Neighbour) => false,
        (May::Readers, _) => true,
        (May::Orderers, Who::Orderer | Who::Admin) => true,
        (May::Admins, Who::Admin) => true,
        (May::Orderers | May::Admins, _) => false,
    };
    if let_through { good } else { 403 }
}

/// Returns the code of a refusal.
fn code(may: May, who: Who) -> Option<u16> {
    match (may, who) {
        (_, Who::Nobody | Who::WrongPassword) => None,
        // Problems of the server's own routes have no codes.
        (May::Operators | May::Nobody, _) => None,
        (May::SignedIn, _) => Some(15506),
        (May::Readers | May::Orderers | May::Admins, Who::Neighbour) => Some(5051),
        _ => Some(1001),
    }
}

#[test]
fn the_table_and_the_routes_are_the_same_list() {
    let routes: BTreeSet<String> = onhook_server::routes().iter().map(Route::name).collect();
    let rows: BTreeSet<String> = ROUTES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(rows.len(), ROUTES.len(), "a route stands twice in ROUTES of {}", file!());
    let untested: Vec<_> = routes.difference(&rows).collect();
    assert!(
        untested.is_empty(),
        "nobody has said who may use {untested:?}: add a row for each to ROUTES of {}, with who may and the \
         answer to those who may; if its path has a part that no other route has, give it a value in `path`",
        file!()
    );
    let gone: Vec<_> = rows.difference(&routes).collect();
    assert!(gone.is_empty(), "no such route {gone:?}: take the rows out of ROUTES of {}", file!());
}

#[test]
fn who_may_do_what_is_this_table() {
    let mut table = Who::ALL.map(|who| format!("{:<14}", format!("{who:?}"))).concat() + "\n";
    for (route, may, good, ..) in all() {
        table += &Who::ALL.map(|who| format!("{:<14}", answer(may, good, who))).concat();
        table += &format!("{}\n", route.name());
    }
    insta::assert_snapshot!("rights", table);
}

/// The objects that fill the paths' parameters: the guide's account's site and peer, and an order of each kind with a
/// note.
#[derive(Clone)]
struct Objects {
    disconnect: String,
    order: String,
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
}

impl Objects {
    /// Returns objects that may be removed: a site without peers, a peer beside the default one, a user, a reservation,
    /// a subscription, an application.
    async fn spare(app: &App, like: &Objects) -> Objects {
        let (guide, store) = (ACCOUNT.to_string().parse().unwrap(), &app.parts.store);
        let site = store.create_site(guide, "Spare site".into()).await.unwrap();
        let peer = store.create_peer(guide, app.site.to_string().parse().unwrap(), "Spare peer".into()).await;
        let user = unused_name();
        let reader = store.user(Who::Reader.user()).await.unwrap().unwrap();
        let (name, account, role, password_hash) =
            (user.clone(), reader.account, reader.role, reader.password_hash);
        store
            .create_user(onhook_store::contract::users::NewUser { name, account, role, password_hash })
            .await
            .unwrap();
        let reservation = reserve(app, &free()).await;
        let (site, peer) = (site.id.to_string(), peer.unwrap().id.to_string());
        let subscription = subscription(app).await;
        let application = application(app).await;
        Objects { site, peer, user, reservation, subscription, application, ..like.clone() }
    }

    /// Returns the objects for a route. For a peer's path, the site is that of the peers.
    fn at(&self, route: &Route, app: &App) -> Objects {
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

async fn objects(app: &App) -> Objects {
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
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
    Objects {
        subscription: subscription(app).await,
        application: application(app).await,
        disconnect: id(&disconnect),
        order: id(&order),
        moved: id(&moved),
        waiting: id(&waiting),
        reservation: reserve(app, RESERVED).await,
        note: note(&disconnect).await,
        order_note: note(&order).await,
        site: app.site.to_string(),
        peer: app.peer.to_string(),
        user: Who::Reader.user().to_owned(),
    }
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

/// Returns an address that nothing else in this process has.
fn next_address() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("{}@example.com", LAST.fetch_add(1, Ordering::Relaxed))
}

/// Returns a route's path with its parameters filled in, so that it leads to something.
fn path(route: &Route, objects: &Objects, account: &str, who: Who) -> String {
    let (order, note) = if route.path.contains("/orders/") {
        (&objects.order, &objects.order_note)
    } else {
        (&objects.disconnect, &objects.note)
    };
    let order =
        if route.name() == "PUT /accounts/{account}/orders/{order}" { &objects.waiting } else { order };
    let order = if route.path.contains("/movetns/") { &objects.moved } else { order };
    let number = if route.path == "/tns/{number}/tnreservation" { RESERVED } else { IN_SERVICE[0] };
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
        .replace("{number}", number)
        .replace("/users/{user}/password", &format!("/users/{own}/password"))
        .replace("{user}", &objects.user)
        .replace("{subscription}", &objects.subscription)
        .replace("{application}", &objects.application);
    assert!(!path.contains('{'), "{}: give each part of its path a value here", route.name());
    match route.name().as_str() {
        // A search needs a criterion, and an operator must name the account.
        "GET /accounts/{account}/availablenumbers" => path + "?areaCode=336",
        "GET /accounts/{account}/availablenpanxx" | "GET /ratecenters" | "GET /cities" => path + "?state=NC",
        "GET /tns" | "GET /users" => format!("{path}?accountId={account}"),
        _ => path,
    }
}

fn call(app: &App, route: &Route, path: String, body: Body, who: Who) -> Call {
    let body = match body {
        Body::None => String::new(),
        Body::Disconnect => xml::disconnect(&["7034343704"]),
        Body::Order => xml::order(app.site, &["7034343704"]),
        Body::Note => xml::note(who.user(), "a note"),
        Body::MoveOrder => xml::move_order(app.site, &[IN_SERVICE[0]]),
        Body::Amendment => "<Order><CustomerOrderId>mine</CustomerOrderId></Order>".to_owned(),
        Body::Reservation => xml::reservation(&free()),
        Body::Lookup => format!("<TnList><Tn>{}</Tn></TnList>", IN_SERVICE[0]),
        Body::Described => match route.doc.and_then(|doc| doc.request) {
            Some(shape) => shape.example.to_owned(),
            None => panic!("{} describes no request", route.name()),
        },
        Body::Json => "{}".to_owned(),
        Body::Site => "<Site><Name>A site</Name></Site>".to_owned(),
        Body::Peer => "<SipPeer><PeerName>A peer</PeerName></SipPeer>".to_owned(),
        Body::Move => format!(
            "<SipPeerTelephoneNumbers><FullNumber>{}</FullNumber></SipPeerTelephoneNumbers>",
            IN_SERVICE[0]
        ),
        Body::User => format!(
            "<User><Username>{}</Username><Password>password</Password><Roles><Role><RoleName>read</RoleName>\
             </Role></Roles></User>",
            unused_name()
        ),
        Body::Role => "<User><Roles><Role><RoleName>read</RoleName></Role></Roles></User>".to_owned(),
        Body::Password => "<User><Password>password</Password></User>".to_owned(),
        Body::Grant => "grant_type=client_credentials".to_owned(),
        Body::Subscription => format!(
            "<Subscription><OrderType>portins</OrderType><CallbackSubscription><URL>http://127.0.0.1/{}</URL>\
             </CallbackSubscription></Subscription>",
            next_address()
        ),
        Body::Application => APPLICATION.to_owned(),
        Body::Named => {
            let Some(root) = route.document else { panic!("{} takes no document", route.name()) };
            format!("<{root}>REMOVE</{root}>")
        }
    };
    let call = match route.method.as_str() {
        "GET" => get(path),
        "POST" => post(path, body),
        "PUT" => put(path, body),
        "PATCH" => patch(path, body),
        "DELETE" => delete(path),
        other => panic!("teach this test to send a {other}"),
    };
    let takes = route.door.takes(None);
    let call =
        if takes.untyped_xml || call.body.is_empty() { call } else { call.content_type(takes.types[0]) };
    call.by(who)
}

/// Returns every route with its row, and the prefixes under which it answers.
fn all() -> Vec<(Route, May, u16, Body, Vec<&'static str>)> {
    onhook_server::routes()
        .into_iter()
        .filter_map(|route| {
            let name = route.name();
            let &(_, may, good, body) = ROUTES.iter().find(|(row, ..)| *row == name)?;
            let prefixes = if route.api { PREFIXES.map(|prefix| prefix.text).to_vec() } else { vec![""] };
            Some((route, may, good, body, prefixes))
        })
        .collect()
}

#[tokio::test]
async fn every_route_serves_the_callers_of_its_row_under_every_prefix() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        let mut address = 0;
        let mut cells = 0;
        // Refused callers ask first, so that nothing changes while it is counted.
        for denied in [true, false] {
            let before = app.counts().await;
            for (route, may, good, body, prefixes) in all() {
                for prefix in prefixes {
                    for who in Who::ALL {
                        let status = answer(may, good, who);
                        if (status >= 400) != denied {
                            continue;
                        }
                        // What is removed must exist for each caller who may remove it.
                        let objects = if !denied && route.method == "DELETE" {
                            Objects::spare(app, &objects).await.at(&route, app)
                        } else {
                            objects.clone()
                        };
                        let path = format!("{prefix}{}", path(&route, &objects, &ACCOUNT.to_string(), who));
                        let mut call = call(app, &route, path, body, who);
                        if who == Who::WrongPassword {
                            // One address has ten wrong tries a minute, and one name has sixty.
                            address += 1;
                            call = call.at_address(address);
                            app.parts.auth.forget(who.user());
                        }
                        let reply = app.send(call).await;
                        let cell = format!("{} under {prefix:?} as {who:?}: {}", route.name(), reply.text());
                        assert_eq!(reply.status, status, "{cell}");
                        if denied {
                            assert_eq!(reply.code(), code(may, who), "{cell}");
                            assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{cell}");
                            let silent = may == May::Nobody || (status == 401 && may != May::Clients);
                            assert_eq!(reply.body.is_empty(), silent, "{cell}");
                        }
                        cells += 1;
                    }
                }
            }
            if denied {
                assert_eq!(app.counts().await, before, "somebody was turned away and left something behind");
            }
        }
        assert_eq!(cells, all().iter().map(|(.., prefixes)| prefixes.len() * Who::ALL.len()).sum::<usize>());
        let notes = app.send(get(disconnects(&format!("/{}/notes", objects.disconnect)))).await;
        // The order's own note, and one from each prefix and each of the three callers who may write one.
        assert_eq!(notes.elements("Note").len(), 1 + PREFIXES.len() * 3);
    })
    .await;
}

#[tokio::test]
async fn a_head_request_gets_the_status_of_a_get() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        for (route, may, good, body, _) in all().into_iter().filter(|(route, ..)| route.method == "GET") {
            for who in Who::ALL.into_iter().filter(|who| *who != Who::WrongPassword) {
                let prefix = if route.api { "/api" } else { "" };
                let path = format!("{prefix}{}", path(&route, &objects, &ACCOUNT.to_string(), who));
                let asked = app.send(call(app, &route, path.clone(), body, who)).await;
                let reply = app.send(head(path).by(who)).await;
                assert_eq!(reply.status, answer(may, good, who), "HEAD {} as {who:?}", route.path);
                assert!(reply.body.is_empty(), "HEAD {} as {who:?}", route.path);
                assert_eq!(reply.header("content-type"), asked.header("content-type"), "{}", route.path);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn every_answer_of_the_second_version_can_be_had_in_json() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        for (route, may, good, body, _) in all().into_iter().filter(|(route, ..)| route.api) {
            for who in [Who::Admin, Who::Neighbour, Who::Nobody] {
                let objects = if route.method == "DELETE" {
                    Objects::spare(app, &objects).await.at(&route, app)
                } else {
                    objects.clone()
                };
                let path = format!("/api/v2{}", path(&route, &objects, &ACCOUNT.to_string(), who));
                let call = call(app, &route, path, body, who).header("Accept", "application/json");
                let reply = app.send(call).await;
                let cell = format!("{} as {who:?}: {}", route.name(), reply.text());
                assert_eq!(
                    (reply.status, reply.header("vary")),
                    (answer(may, good, who), Some("Accept")),
                    "{cell}"
                );
                if reply.body.is_empty() {
                    assert_eq!(reply.header("content-type"), None, "{cell}");
                } else {
                    assert_eq!(reply.header("content-type"), Some("application/json"), "{cell}");
                    let json: serde_json::Value = serde_json::from_slice(&reply.body).expect(&cell);
                    assert!(json.is_object(), "{cell}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn another_account_looks_like_one_that_does_not_exist() {
    with_app(Seed::two_accounts(), async |app| {
        let objects = objects(app).await;
        let neighbour = NEIGHBOUR.to_string();
        let before = app.counts().await;
        for (route, .., body, _) in
            all().into_iter().filter(|(route, ..)| route.api && route.path.contains("{account}"))
        {
            for who in [Who::Reader, Who::Orderer, Who::Admin] {
                let told = async |account: &str| -> (u16, Vec<(String, String)>, String) {
                    let path = format!("/api{}", path(&route, &objects, account, who));
                    let reply = app.send(call(app, &route, path, body, who)).await.without_date();
                    let mut headers = reply.headers.clone();
                    headers.retain(|(name, _)| name != "content-length");
                    (reply.status, headers, reply.text().replace(&format!("'{account}'"), "'{account}'"))
                };
                let theirs = told(&neighbour).await;
                assert_eq!(theirs.0, 403, "{} as {who:?}", route.name());
                let text = "Not authorized to perform operation on the account '{account}'";
                assert!(theirs.2.contains(text), "{}", theirs.2);
                for nobodys in ["9900777", "1", "4294967295", "4294967296", "0", "x", "+9900000"] {
                    assert_eq!(told(nobodys).await, theirs, "{} as {who:?}, account {nobodys}", route.name());
                }
            }
        }
        assert_eq!(app.counts().await, before);
        // An operator has every account that exists, and no other.
        let reply = app.send(get("/api/accounts/9900777/disconnects").by(Who::Operator)).await;
        assert_eq!(reply.error(), (404, None, "The resource does not exist"));
    })
    .await;
}

#[tokio::test]
async fn a_refusal_has_the_form_of_the_requested_resource() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let theirs = |rest: &str| get(format!("/api/accounts/{NEIGHBOUR}{rest}"));
        golden!(app, "unauthorized", app.send(get(disconnects("")).by(Who::Nobody)).await);
        golden!(app, "another_account_s_disconnects", app.send(theirs("/disconnects")).await);
        golden!(app, "another_account_s_orders", app.send(theirs("/orders")).await);
        golden!(app, "another_account_s_numbers", app.send(theirs("/discnumbers")).await);
        golden!(app, "another_account_s_search", app.send(theirs("/availableNumbers?areaCode=919")).await);
        let body = xml::disconnect(&["5405514342"]);
        golden!(app, "role_too_low", app.send(post(disconnects(""), body).by(Who::Reader)).await);
        golden!(app, "not_an_operator", app.send(get("/ops/v1/emulator/clock")).await);
    })
    .await;
}

#[tokio::test]
async fn no_header_raises_a_caller_s_rights() {
    with_app(Seed::two_accounts(), async |app| {
        let body = xml::disconnect(&["5405514342"]);
        let theirs = format!("/api/accounts/{NEIGHBOUR}/disconnects");
        let before = app.counts().await;
        for (name, value) in [
            ("x-realm", "admin"),
            ("X-HTTP-Method-Override", "POST"),
            ("X-Original-URL", "/api/accounts/9900001/disconnects"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-User", "operator"),
        ] {
            for (call, status) in [
                (post(disconnects(""), body.as_str()).by(Who::Nobody), 401),
                (post(disconnects(""), body.as_str()).by(Who::Reader), 403),
                (post(&theirs, body.as_str()), 403),
                (get(disconnects("")), 200),
            ] {
                let reply: Reply = app.send(call.header(name, value)).await;
                assert_eq!(reply.status, status, "{name}: {value}");
            }
        }
        assert_eq!(app.counts().await, before);
    })
    .await;
}

#[tokio::test]
async fn no_spelling_of_a_path_avoids_the_checks() {
    with_app(Seed::two_accounts(), async |app| {
        let before = app.counts().await;
        for path in [
            "/API/V1.0/ACCOUNTS/9900001/DISCONNECTS",
            "/api/accounts/9900000/../9900001/disconnects",
            "/api/accounts/9900000%2F..%2F9900001/disconnects",
            "/api/accounts/%39900001/disconnects",
            "/api/accounts/9900001%00/disconnects",
            "/api/accounts/9900000;/disconnects",
            "/api//accounts/9900001/disconnects",
            "/api/accounts/9900001/disconnects/",
            "/api/api/accounts/9900001/disconnects",
            "/api/v1/api/accounts/9900001/disconnects",
        ] {
            let reply = app.send(post(path, xml::disconnect(&["5405514342"]))).await;
            assert!(
                [400, 403, 404, 405].contains(&reply.status),
                "{path}: {} {}",
                reply.status,
                reply.text()
            );
            let reply = app.send(get(path)).await;
            assert!([400, 403, 404].contains(&reply.status), "{path}: {} {}", reply.status, reply.text());
        }
        assert_eq!(app.counts().await, before);
    })
    .await;
}

#[tokio::test]
async fn another_account_s_site_peer_and_number_do_not_exist() {
    with_app(Seed::two_accounts(), async |app| {
        let neighbour = NEIGHBOUR.to_string().parse().unwrap();
        let (_, premises) = app.parts.store.account(neighbour).await.unwrap().unwrap();
        let (their_site, their_peer) = (app.neighbours_site.to_string(), premises.peers[0].id.to_string());
        let (site, peer, none) = (app.site.to_string(), app.peer.to_string(), "4294967295");
        let told = async |path: String, id: &str| -> (u16, String) {
            let reply = app.send(get(account(&path.replace("{id}", id)))).await;
            let text = reply.text().replace(&format!("'{id}'"), "'{id}'");
            let text = text.replace(&format!("number {id} "), "number {id} ");
            (reply.status, text.replace(&format!("/sites/{id}/"), "/sites/{id}/"))
        };
        for (path, theirs, none) in [
            ("/sites/{id}".to_owned(), their_site.as_str(), none),
            ("/sites/{id}/totaltns".into(), &their_site, none),
            ("/sites/{id}/inserviceNumbers".into(), &their_site, none),
            ("/sites/{id}/inserviceNumbers/totals".into(), &their_site, none),
            ("/sites/{id}/sippeers".into(), &their_site, none),
            (format!("/sites/{{id}}/sippeers/{their_peer}"), &their_site, none),
            (format!("/sites/{site}/sippeers/{{id}}"), &their_peer, none),
            (format!("/sites/{site}/sippeers/{{id}}/totaltns"), &their_peer, none),
            (format!("/sites/{site}/sippeers/{{id}}/tns"), &their_peer, none),
            (format!("/sites/{site}/sippeers/{peer}/tns/{{id}}"), NEIGHBOURS, NO_NUMBER),
            ("/users/{id}".into(), Who::Neighbour.user(), "nobody"),
            ("/users/{id}".into(), Who::Operator.user(), "nobody"),
        ] {
            let unknown = told(path.clone(), none).await;
            // A list is empty, and everything else is not found.
            let status = match path.as_str() {
                path if path.contains("inservice") => 200,
                // An unknown peer is refused with 400, an unknown number at a known peer with 404.
                path if path.contains("/sippeers/{id}") => 400,
                _ => 404,
            };
            assert_eq!(unknown.0, status, "{path}: {}", unknown.1);
            assert_eq!(told(path.clone(), theirs).await, unknown, "{path}");
        }
        // Another account's sites and peers cannot be changed, moved to or removed either.
        let (site_body, peer_body) =
            ("<Site><Name>a</Name></Site>", "<SipPeer><PeerName>a</PeerName></SipPeer>");
        let tried = async |call: Call, id: &str| -> (u16, String) {
            let reply = app.send(call).await;
            (reply.status, reply.text().replace(&format!("'{id}'"), "'{id}'"))
        };
        let to_move = format!(
            "<SipPeerTelephoneNumbers><FullNumber>{}</FullNumber></SipPeerTelephoneNumbers>",
            IN_SERVICE[0]
        );
        let at = |rest: String| account(&format!("/sites/{rest}"));
        let before = app.counts().await;
        type Tried<'a> = &'a dyn Fn(&str) -> Call;
        let tries: [(&str, Tried<'_>); 6] = [
            (&their_site, &|id| put(at(id.into()), site_body)),
            (&their_site, &|id| delete(at(id.into()))),
            (&their_site, &|id| post(at(format!("{id}/sippeers")), peer_body)),
            (&their_peer, &|id| put(at(format!("{site}/sippeers/{id}")), peer_body)),
            (&their_peer, &|id| delete(at(format!("{site}/sippeers/{id}")))),
            (&their_peer, &|id| post(at(format!("{site}/sippeers/{id}/movetns")), to_move.as_str())),
        ];
        for (theirs, call) in tries {
            let unknown = tried(call(none), none).await;
            assert!([400, 404].contains(&unknown.0), "{unknown:?}");
            assert_eq!(tried(call(theirs), theirs).await, unknown);
        }
        let in_their_site = at(format!("{their_site}/sippeers/{their_peer}/movetns"));
        assert_eq!(app.send(post(in_their_site, to_move.as_str())).await.error().1, Some(12016));
        assert_eq!(app.counts().await, before);
        let after = app.parts.store.account(neighbour).await.unwrap().unwrap().1;
        assert_eq!(after, premises, "nothing of theirs has changed");
        // In a look-up, another account's number cannot be found.
        let lookup = async |number: &str| {
            let reply = app.send(post("/api/tns", format!("<TnList><Tn>{number}</Tn></TnList>"))).await;
            reply.expect(200).text().replace(number, "{number}")
        };
        let unknown = lookup(NO_NUMBER).await;
        assert!(unknown.contains("<Code>15610</Code>"), "{unknown}");
        assert_eq!(lookup(NEIGHBOURS).await, unknown);
        // No filter leads to another account's numbers.
        let filters = [
            format!("siteId={their_site}"),
            format!("sippeerId={their_peer}"),
            format!("fullNumber={NEIGHBOURS}"),
        ];
        for filter in filters {
            let found = app.send(get(format!("/api/tns?{filter}"))).await.expect(200);
            assert_eq!(found.element("TelephoneNumberCount"), Some("0"), "{filter}");
        }
        let theirs = app.send(get(format!("/api/tns?accountId={NEIGHBOUR}"))).await.expect(403);
        let nobodys = app.send(get("/api/tns?accountId=9900777")).await.expect(403);
        assert_eq!(theirs.text().replace("9900001", ""), nobodys.text().replace("9900777", ""));
    })
    .await;
}
