//! A server for a test: it is started by [`with_app`], called with [`Call`]s, then stopped and checked.

pub(crate) mod calls;
#[macro_use]
mod golden;
mod home;
mod http;
pub(crate) mod log;
pub(crate) mod receiver;
pub(crate) mod xml;

use onhook_core::account::user::Rights;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onhook_core::account::{AccountKind, Class, Role};
use onhook_core::ids::AccountId;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::number::Number;
use onhook_core::setting::{ReportSettings, Setting};
use onhook_core::time::Timestamp;
use onhook_server::http::socket::Socket;
use onhook_server::mail::MailSettings;
use onhook_server::{Server, Settings, Source, demo_data};
use onhook_store::Store;
use onhook_store::contract::accounts::NewAccount;
use onhook_store::contract::users::NewUser;
use onhook_wire::search::Vendor;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

pub(crate) use golden::Names;
use home::Home;
pub(crate) use http::{Call, Reply, delete, get, head, patch, post, put, read_all, replies, talk};

/// How long a test waits for anything that the server does by itself.
pub(crate) const SOON: Duration = Duration::from_mins(1);
/// How long a poll waits between looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The guide's account.
pub(crate) const ACCOUNT: u32 = demo_data::ACCOUNT;
/// Another account.
pub(crate) const NEIGHBOUR: u32 = 9_900_001;

/// Numbers in service on the guide's account besides the guide's two numbers, by digits.
pub(crate) const IN_SERVICE: [&str; 3] = ["9195551001", "9195551002", "9195551003"];
/// A number in service on the neighbour's account.
pub(crate) const NEIGHBOURS: &str = "9195552001";
/// A number in the pool, the only one of its area code.
pub(crate) const POOL: &str = "3365550100";
/// A number that is in no store.
pub(crate) const NO_NUMBER: &str = "3365550199";

/// A caller. All passwords are the guide's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// No credentials at all.
    Nobody,
    /// The guide's user with another password.
    WrongPassword,
    /// A user who may read on the guide's account.
    Reader,
    /// A user who may place orders there.
    Orderer,
    /// The guide's user, an administrator of its account.
    Admin,
    /// An administrator of another account.
    Neighbour,
    /// An operator.
    Operator,
}

impl Who {
    pub(crate) const ALL: [Who; 7] = [
        Who::Nobody,
        Who::WrongPassword,
        Who::Reader,
        Who::Orderer,
        Who::Admin,
        Who::Neighbour,
        Who::Operator,
    ];

    pub(crate) fn user(self) -> &'static str {
        match self {
            Who::Nobody => "",
            Who::WrongPassword | Who::Admin => demo_data::USER,
            Who::Reader => "reader",
            Who::Orderer => "orderer",
            Who::Neighbour => "neighbour",
            Who::Operator => demo_data::OPERATOR,
        }
    }

    /// Returns the value of an `Authorization` header.
    fn authorization(self) -> Option<String> {
        let password = if self == Who::WrongPassword { "passw0rd" } else { demo_data::PASSWORD };
        (self != Who::Nobody).then(|| basic(self.user(), password))
    }
}

/// Returns the value of an `Authorization` header for name and password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// What a server starts with: the emulator's account and numbers, a second account, a user with each role.
#[derive(Clone)]
pub(crate) struct Seed(Settings);

impl Seed {
    /// Returns a seed of two accounts without a rate limit.
    pub(crate) fn two_accounts() -> Self {
        Self(Settings { rate_limit: None, ..Settings::default() })
    }

    /// Makes the server an emulator, whose clock can be moved.
    pub(crate) fn emulator(self) -> Self {
        Self(Settings { emulator: true, ..self.0 })
    }

    /// Makes the server trust its clock at start.
    pub(crate) fn trust_clock(self) -> Self {
        Self(Settings { trust_clock: true, ..self.0 })
    }

    /// Sets a limit of requests a second for each account and group.
    pub(crate) fn rate_limit(self, per_second: u32) -> Self {
        Self(Settings { rate_limit: NonZeroU32::new(per_second), ..self.0 })
    }

    /// Sets the operator's time zone.
    pub(crate) fn time_zone(self, name: &str) -> Self {
        Self(Settings { policy: Policy::new(Vec::new(), name).unwrap().into(), ..self.0 })
    }

    /// Says that these settings are given at start, and where.
    pub(crate) fn configured(self, settings: &[(Setting, Source)]) -> Self {
        Self(Settings { configured: settings.iter().copied().collect(), ..self.0 })
    }

    /// Sets how reports for regulators are made.
    pub(crate) fn reports(self, reports: ReportSettings) -> Self {
        Self(Settings { reports, ..self.0 })
    }

    /// Sets a mail server.
    pub(crate) fn mail(self, mail: MailSettings) -> Self {
        Self(Settings { mail: Some(mail), ..self.0 })
    }

    /// Sets a limit of pool numbers an hour that searches show one account.
    pub(crate) fn shown_limit(self, per_hour: u32) -> Self {
        Self(Settings { shown_limit: NonZeroU32::new(per_hour), ..self.0 })
    }

    /// Sets the vendor of the numbers.
    pub(crate) fn vendor(self, vendor: Vendor) -> Self {
        Self(Settings { vendor, ..self.0 })
    }

    /// Sets a public base URL that is not the listening address.
    pub(crate) fn public_url(self, url: &str) -> Self {
        Self(Settings { public_url: Some(url.to_owned()), ..self.0 })
    }
}

/// A running server.
pub(crate) struct App {
    /// The address it listens on.
    pub(crate) address: SocketAddr,
    /// Its parts, for checks of what a client cannot see.
    pub(crate) parts: Arc<onhook_server::App>,
    /// The guide's site.
    pub(crate) site: u32,
    /// The guide's peer.
    pub(crate) peer: u32,
    /// The neighbour's site.
    pub(crate) neighbours_site: u32,
    /// Whether all writes wait for one writer in this process: in a folder, and not in a database.
    pub(crate) one_writer: bool,
    server: Mutex<Option<Server>>,
}

/// Starts a server on a store of its own, runs the test, stops the server, and checks that every invariant of
/// the store holds.
pub(crate) async fn with_app(seed: Seed, test: impl AsyncFnOnce(&App)) {
    with_app_on(seed, async |_| {}, test).await;
}

/// Runs a test as [`with_app`] does, but changes the store before the server starts.
pub(crate) async fn with_app_on(
    seed: Seed,
    prepare: impl AsyncFnOnce(&dyn Store),
    test: impl AsyncFnOnce(&App),
) {
    log::capture();
    let home = Home::new();
    let store = home.open().await;
    let (site, peer, neighbours_site) = fill(&*store).await;
    prepare(&*store).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = onhook_server::start(listener, store, seed.0).await.unwrap();
    let app = App {
        address: server.address,
        parts: server.app.clone(),
        site,
        peer,
        neighbours_site,
        one_writer: home.has_one_writer(),
        server: Mutex::new(Some(server)),
    };
    test(&app).await;
    app.stop().await;
    drop(app);
    let report = home.open().await.check(true).await.unwrap();
    assert!(report.findings.is_empty(), "the checker found {:#?}", report.findings);
}

async fn fill(store: &dyn Store) -> (u32, u32, u32) {
    let now = now();
    assert!(demo_data::seed(store, now, Arc::default()).await.unwrap());
    let (guide, neighbour) = (AccountId::new(ACCOUNT).unwrap(), AccountId::new(NEIGHBOUR).unwrap());
    let account = NewAccount {
        id: neighbour,
        name: "The neighbour's account".into(),
        kind: AccountKind::EndUser,
        class: Class::Unknown,
    };
    store.create_account(account, onhook_core::lifecycle::provenance::Doer::offline(now)).await.unwrap();
    let neighbours_site = store.create_site(neighbour, "Neighbour's site".into(), now).await.unwrap();
    store.create_peer(neighbour, neighbours_site.id, "Neighbour's peer".into(), now).await.unwrap();
    // All passwords are the same, so one hash does for all: hashing is slow on purpose.
    let password_hash = store.user(demo_data::USER).await.unwrap().unwrap().password_hash;
    for (who, account, role) in [
        (Who::Reader, guide, Role::Read),
        (Who::Orderer, guide, Role::Order),
        (Who::Neighbour, neighbour, Role::Admin),
    ] {
        let user = NewUser {
            name: who.user().into(),
            account: Some(account),
            role,
            rights: Rights::NONE,
            password_hash: password_hash.clone(),
        };
        store.create_user(user, now).await.unwrap();
    }
    let place = |number: &str, rate_center: &str, account| NewNumber {
        state: State::InService,
        account: Some(account),
        ..located(number, rate_center)
    };
    let mut numbers: Vec<NewNumber> = IN_SERVICE.map(|number| place(number, "RALEIGH", guide)).into();
    numbers[2].rate_center = Some("CARY".into());
    numbers.push(place(NEIGHBOURS, "RALEIGH", neighbour));
    numbers.push(located(POOL, "GREENSBORO"));
    import(store, numbers).await;
    let (_, premises) = store.account(guide).await.unwrap().unwrap();
    let plain = |id: String| id.parse().unwrap();
    (
        plain(premises.sites[0].id.to_string()),
        plain(premises.peers[0].id.to_string()),
        plain(neighbours_site.id.to_string()),
    )
}

fn located(digits: &str, rate_center: &str) -> NewNumber {
    NewNumber {
        region: Some("NC".into()),
        rate_center: Some(rate_center.into()),
        ..NewNumber::available(number(digits))
    }
}

async fn import(store: &dyn Store, numbers: Vec<NewNumber>) {
    let lines = Box::new((1..).zip(numbers.into_iter().map(Ok)));
    store.import(lines, Intake::of("a test"), now(), Arc::default()).await.unwrap();
}

/// Returns a number from its ten digits.
pub(crate) fn number(digits: &str) -> Number {
    digits.parse().unwrap()
}

/// Returns the time outside every server.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// Looks again and again until there is something to see. Fails if that takes too long.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < SOON, "{what}: not within {SOON:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl App {
    /// Returns the server's address as it is in links.
    pub(crate) fn base(&self) -> &str {
        &self.parts.public_url
    }

    /// Sends one request over a connection of its own and reads the answer to its end.
    pub(crate) async fn send(&self, call: Call) -> Reply {
        let raw = talk(self.address, call.from, &call.bytes()).await;
        let mut replies = replies(&raw, call.method == "HEAD");
        assert_eq!(replies.len(), 1, "one answer to {call:?}: {}", String::from_utf8_lossy(&raw));
        replies.remove(0)
    }

    /// Returns the path of an address from the server, which a client would ask next.
    pub(crate) fn path_of(&self, address: &str) -> String {
        address.strip_prefix(self.base()).unwrap_or_else(|| panic!("{address} is not ours")).to_owned()
    }

    /// Returns the path of a list's link, as clients extract it.
    pub(crate) fn path_of_link(&self, link: &str) -> String {
        let link = link.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let address = link.split_once('<').unwrap().1.split_once('>').unwrap().0;
        self.path_of(address)
    }

    /// Places an order, and returns the answer and the order's path.
    pub(crate) async fn place(&self, call: Call) -> (Reply, String) {
        let reply = self.send(call).await.expect(201);
        let path = self.path_of(reply.header("location").unwrap());
        (reply, path)
    }

    /// Disconnects numbers of the guide's account, waits for the order's end, and returns its path.
    pub(crate) async fn disconnect(&self, numbers: &[&str]) -> String {
        let (_, path) = self.place(post(disconnects(""), xml::disconnect(numbers))).await;
        self.ended(get(&path)).await;
        path
    }

    /// Waits until the order that the call asks for has ended, and returns it.
    pub(crate) async fn ended(&self, call: Call) -> Reply {
        wait_for("an order's end", async || {
            let reply = self.send(call.clone()).await.expect(200);
            let status = reply.element("OrderStatus").or(reply.element("ProcessingStatus"));
            (status.unwrap() != "RECEIVED").then_some(reply)
        })
        .await
    }

    /// Returns how many orders and events there are.
    pub(crate) async fn counts(&self) -> (u64, u64) {
        let report = self.parts.store.check(false).await.unwrap();
        (report.orders, report.events)
    }

    /// Moves the emulator's clock ahead.
    pub(crate) async fn advance(&self, by_ms: i64) {
        let call = post("/ops/v1/emulator/clock", format!("{{\"advance_ms\": {by_ms}}}"));
        self.send(call.content_type("application/json").by(Who::Operator)).await.expect(200);
    }

    /// Imports numbers without the API.
    pub(crate) async fn import(&self, numbers: Vec<NewNumber>) {
        import(&*self.parts.store, numbers).await;
    }

    /// Lets the server answer at a socket, too.
    pub(crate) async fn serve_socket(&self, socket: Socket) {
        self.server.lock().await.as_mut().expect("it runs").serve_socket(socket);
    }

    /// Stops the server in order. The second time there is nothing left to stop.
    pub(crate) async fn stop(&self) {
        let server = self.server.lock().await.take();
        if let Some(server) = server {
            tokio::time::timeout(SOON, server.stop()).await.expect("the server stops soon");
        }
    }
}

/// Returns a path of the guide's account.
pub(crate) fn account(rest: &str) -> String {
    format!("/api/accounts/{ACCOUNT}{rest}")
}

/// Returns a path among the disconnect orders of the guide's account.
pub(crate) fn disconnects(rest: &str) -> String {
    account(&format!("/disconnects{rest}"))
}
