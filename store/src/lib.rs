//! What onhook remembers.
//!
//! [`Store`] is the contract: what a caller may rely on. [`sqlite`] keeps it in a folder on this
//! machine. [`conformance`] is the suite that every store passes. A store loads, asks `core`, and
//! saves; no rule of a number's life stands here.

pub mod conformance;
pub mod sqlite;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::application::{Application, ApplicationChange, NewApplication, NotNamed, Service};
use onhook_core::account::details::{PeerChange, PeerDetails, SiteChange, SiteDetails};
use onhook_core::account::premises::Stays;
use onhook_core::account::user::{Asker, Person, UserRefusal};
use onhook_core::account::{Account, AccountKind, Class, NoPlace, Peer, Premises, Role, Site};
use onhook_core::check::Finding;
use onhook_core::clock::Seen;
use onhook_core::ids::ApplicationId;
use onhook_core::ids::AreaId;
use onhook_core::ids::ReservationId;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::ids::{MessageId, NotificationSeq};
use onhook_core::ids::{OrderId, OrderSeq};
use onhook_core::ids::{SubscriptionId, SubscriptionSeq};
use onhook_core::import::{BadLine, BadLines, Intake, NewNumber};
use onhook_core::lifecycle::area::{Area, AreaName};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::Event;
use onhook_core::lifecycle::hold::Hold;
use onhook_core::locality::{Exchange, Locality};
use onhook_core::notify::notification::{Attempt, DeliveryState, Next, Notification};
use onhook_core::notify::subscription::{NewSubscription, OrderType, Subscription};
use onhook_core::number::Number;
use onhook_core::order::amend::{Amendment, NotWaiting};
use onhook_core::order::search::{Criteria, Inventory};
use onhook_core::order::{Kind, Line, NewOrder, Order, Status, Summary};
use onhook_core::reservation::{NotReserved, Reservation};
use onhook_core::time::Timestamp;

/// Why a store did not do what it was asked; each variant wants another reaction.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written, the queue is full: try later.
    #[error("the write queue is full")]
    Full,
    /// Nothing was written: the disk, or what is before it, takes no writes. The store goes on by itself when
    /// that has passed.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// The store is closed or closing; nothing was written.
    #[error("the store is closed")]
    Closed,
    /// The idempotency key was used for another request; nothing was written.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// What is to be made exists, or what it needs does not; nothing was written. Says which.
    #[error("{0}")]
    Conflict(String),
    /// An import had bad lines and was not to be partial; nothing was written. Says which.
    #[error("nothing was imported, bad lines: {}", .0.count())]
    Import(BadLines),
    /// It failed. Unless the operation only reads, whether it was written is not known.
    #[error("the store failed")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why nothing can be written for now, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// There is no room, or less than is to be kept free.
    #[error(
        "the disk of {} is full: {} are free, and {} have to be. Delete or move other files, or make it larger",
        folder.display(), mib(*free), mib(*needed)
    )]
    Full {
        /// The data folder.
        folder: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be free before anything new is taken.
        needed: u64,
    },
    /// The user that the process runs as may have no more of the disk.
    #[error("the disk of {} is full for this user, whose quota is used up: raise the quota", folder.display())]
    Quota {
        /// The data folder.
        folder: PathBuf,
    },
    /// The file system or the database file may only be read.
    #[error(
        "{} is not writable: the file system is mounted read-only, or onhook.db may not be written by this user. \
         The system's log says why a file system was made read-only",
        folder.display()
    )]
    ReadOnly {
        /// The data folder.
        folder: PathBuf,
    },
    /// Another program has the database.
    #[error("the database in {} is locked by another program: end that one", folder.display())]
    Locked {
        /// The data folder.
        folder: PathBuf,
    },
    /// A large list is sorted in a file for a moment, and there is no room for it.
    #[error("the disk for temporary files (TMPDIR, or /var/tmp) is full: make room there")]
    Temporary,
    /// The engine could not begin, or gave up before it had written anything for good.
    #[error("the database in {} cannot be written: {why}", folder.display())]
    Engine {
        /// The data folder.
        folder: PathBuf,
        /// What the engine says.
        why: String,
    },
}

/// Bytes as a person reads them, in MiB.
fn mib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Why a write was not done, for the count of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The disk is full.
    DiskFull,
    /// The database may not be written, or another program has it.
    NotWritable,
    /// Too many writes waited already.
    QueueFull,
    /// The disk failed, or what is on it makes no sense.
    Io,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 4] = [Cause::DiskFull, Cause::NotWritable, Cause::QueueFull, Cause::Io];

    /// A word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Cause::DiskFull => "disk_full",
            Cause::NotWritable => "not_writable",
            Cause::QueueFull => "queue_full",
            Cause::Io => "io",
        }
    }
}

impl Unwritable {
    /// What it counts as.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Unwritable::Full { .. } | Unwritable::Quota { .. } | Unwritable::Temporary => Cause::DiskFull,
            Unwritable::ReadOnly { .. } | Unwritable::Locked { .. } => Cause::NotWritable,
            Unwritable::Engine { .. } => Cause::Io,
        }
    }
}

/// What a store's operations give.
pub type Result<T> = std::result::Result<T, StoreError>;

/// An order that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The order's id: its own, or that of the first order under the same key.
    pub id: OrderId,
    /// Whether an earlier request under the same key had made it.
    pub again: bool,
}

/// What one step of a worker did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The orders that ended, with how many of their numbers went and did not.
    pub ended: Vec<Ended>,
    /// How many numbers changed.
    pub numbers: usize,
    /// How many notifications were written.
    pub told: usize,
    /// Whether there was more to do than the step's bound allowed.
    pub more: bool,
}

/// An order that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub id: OrderId,
    /// How.
    pub status: Status,
    /// How many numbers it is about.
    pub total: usize,
    /// How many of them did not go.
    pub failed: usize,
}

/// Where a page of a list begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start<T> {
    /// With the n-th page of this size, counted from 1.
    Page(u32),
    /// With this item.
    At(T),
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// What is on it.
    pub items: Vec<T>,
    /// How many items all pages have together.
    pub total: u64,
    /// Where the next page begins, if there is one.
    pub next: Option<C>,
}

/// Which orders of an account.
#[derive(Clone, Debug)]
pub struct OrderQuery {
    /// Whose.
    pub account: AccountId,
    /// Of which kind.
    pub kind: Kind,
    /// Only in this status.
    pub status: Option<Status>,
    /// Only those whose numbers go to this site.
    pub site: Option<SiteId>,
    /// Only by this user.
    pub user: Option<String>,
    /// Only with this customer order id.
    pub customer_order_id: Option<String>,
    /// Only those that arrived from the first instant on, before the second.
    pub created: Option<(Timestamp, Timestamp)>,
    /// Where the page begins; newest orders come first.
    pub start: Start<OrderId>,
    /// Most items.
    pub size: usize,
}

/// Which numbers of an account.
#[derive(Clone, Debug)]
pub struct NumberQuery {
    /// In whose inventory.
    pub account: AccountId,
    /// In one of these states.
    pub states: Vec<State>,
    /// Only at this site.
    pub site: Option<SiteId>,
    /// Only at this peer.
    pub peer: Option<PeerId>,
    /// Only those whose protected flag is so.
    pub protected: Option<bool>,
    /// Only those that begin with these digits, without the country code.
    pub prefix: Option<String>,
    /// Only in this region (state or province).
    pub region: Option<String>,
    /// Only in this rate center.
    pub rate_center: Option<String>,
    /// Only in this city.
    pub city: Option<String>,
    /// Only in this LATA.
    pub lata: Option<String>,
    /// Only those whose state began from the first instant on, before the second.
    pub since: Option<(Timestamp, Timestamp)>,
    /// Where the page begins; in the order of the digits.
    pub start: Start<Number>,
    /// Most items.
    pub size: usize,
}

impl NumberQuery {
    /// All numbers of an account in some states, from the first one on; a page of none.
    #[must_use]
    pub fn all(account: AccountId, states: &[State]) -> Self {
        Self {
            account,
            states: states.to_vec(),
            site: None,
            peer: None,
            protected: None,
            prefix: None,
            region: None,
            rate_center: None,
            city: None,
            lata: None,
            since: None,
            start: Start::Page(1),
            size: 0,
        }
    }
}

/// Which numbers of the pool.
#[derive(Clone, Debug)]
pub struct PoolQuery {
    /// What they have to be like.
    pub criteria: Criteria,
    /// Whose they may be.
    pub inventory: Inventory,
    /// Most numbers.
    pub size: usize,
    /// What the order of the result comes from. It never follows the digits or the age of a number,
    /// so that nobody can browse for what was just given up.
    pub seed: u64,
}

/// Pool numbers of an exchange that lie in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Area code and exchange, six digits.
    pub npa_nxx: u32,
    /// How many.
    pub numbers: u64,
    /// Where.
    pub locality: Locality,
}

/// A number with what led there, for whoever asks about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The number now.
    pub entry: Entry,
    /// Its area.
    pub area: AreaName,
    /// Where it lies.
    pub locality: Locality,
    /// When it came into its state.
    pub since: Timestamp,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// When it last entered service, if it is in service or aging.
    pub in_service_at: Option<Timestamp>,
    /// The hold, if it is aging after a disconnect here.
    pub hold: Option<Hold>,
    /// The last order that changed it.
    pub order: Option<(OrderId, Kind, Timestamp)>,
    /// Its site's name.
    pub site_name: Option<String>,
    /// Its peer's name, and whether it is the site's default one.
    pub peer_name: Option<(String, bool)>,
}

/// A number as an import brought it, and what happened since.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The number now.
    pub entry: Entry,
    /// The number as it was imported.
    pub origin: Entry,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// Its events since, oldest first.
    pub events: Vec<Event>,
    /// The orders that made them.
    pub orders: BTreeMap<OrderSeq, OrderMark>,
}

/// What is told of an order beside what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderMark {
    /// Its id.
    pub id: OrderId,
    /// Its kind.
    pub kind: Kind,
    /// Who sent it.
    pub user: String,
    /// When it arrived.
    pub created_at: Timestamp,
}

/// A user to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The name that it signs in with: one of `onhook_core::account::user::is_name`.
    pub name: String,
    /// Its account; none for an operator of the server.
    pub account: Option<AccountId>,
    /// What it may do.
    pub role: Role,
    /// Its password as an argon2id hash in PHC form.
    pub password_hash: String,
}

/// A user as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name that it signs in with, as it was written when the user was made.
    pub name: String,
    /// Its account; none for an operator of the server.
    pub account: Option<AccountId>,
    /// What it may do.
    pub role: Role,
    /// Its password as an argon2id hash in PHC form.
    pub password_hash: String,
    /// A random number that is drawn when the user is made and at each change. What was issued under another one
    /// has ended.
    pub generation: i64,
}

impl User {
    /// The same without the password.
    #[must_use]
    pub fn person(&self) -> Person {
        Person { name: self.name.clone(), account: self.account, role: self.role }
    }
}

/// What is to become of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// It has another password or another role; none leaves as it is.
    Said {
        /// The password, as [`User::password_hash`].
        password_hash: Option<String>,
        /// The role.
        role: Option<Role>,
    },
    /// It is a user no more.
    Removed,
}

/// What became of a site, a peer or an application that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Gone,
    /// The account has none of that id.
    Unknown,
    /// It is there, and why.
    Stays(Stays),
}

/// What became of numbers that were to go to another site and peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relocated {
    /// They are there; so many were elsewhere.
    Done(usize),
    /// None went: there is no such place.
    NoPlace(NoPlace),
    /// None went: these are not in service on the account.
    NotInService(Vec<Number>),
}

/// An account that is to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// What it is to the number plan.
    pub kind: AccountKind,
    /// Whose lines its numbers are.
    pub class: Class,
}

/// A note on an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: i64,
    /// Who wrote it.
    pub user: String,
    /// What.
    pub text: String,
    /// When it was last written.
    pub at: Timestamp,
}

/// What became of a subscription that was to be made or written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// It is on disk.
    Made(Box<Subscription>),
    /// The account has one about the same thing to the same receiver; nothing was written.
    Duplicate,
    /// The account has as many as it may; nothing was written.
    TooMany,
    /// The account has no such order of that type; nothing was written.
    NoOrder,
    /// There is none to be written again.
    Missing,
}

/// Which subscriptions of an account; only those that have not ended.
#[derive(Clone, Debug)]
pub struct SubscriptionQuery {
    /// Whose.
    pub account: AccountId,
    /// Only about orders of this type.
    pub orders: Option<OrderType>,
    /// Only about this order.
    pub order: Option<OrderId>,
    /// What time it is.
    pub now: Timestamp,
}

/// What a subscription is to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub subscription: SubscriptionSeq,
    /// Whose.
    pub account: AccountId,
    /// Its URL or address.
    pub target: String,
    /// Whether all of it goes at once.
    pub daily: bool,
    /// Its notifications that are due, oldest first, at least one.
    pub notifications: Vec<NotificationSeq>,
}

/// Notifications that are to be delivered, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// Whoever is told.
    pub subscription: Subscription,
    /// What; those that no longer wait are absent.
    pub notifications: Vec<Notification>,
}

/// A notification in the log of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: MessageId,
    /// The order that it is about.
    pub order: OrderId,
    /// Of which type.
    pub orders: OrderType,
    /// The order's status when it happened.
    pub status: Status,
    /// Whether it is about a note.
    pub note: bool,
    /// When it happened.
    pub at: Timestamp,
    /// Where it stands.
    pub standing: DeliveryState,
    /// While it waits: when it is tried next.
    pub due_at: Option<Timestamp>,
    /// Why it was given up.
    pub reason: Option<String>,
    /// The attempts at it, oldest first.
    pub attempts: Vec<Logged>,
}

/// An attempt in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// How it ended, in a word or two.
    pub outcome: String,
}

/// The numbers that an import reads, one after another, with the line each begins on.
pub type Lines = Box<dyn Iterator<Item = (u64, std::result::Result<NewNumber, BadLine>)> + Send>;

/// What an import did, or without being written would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many numbers or exchanges are in the store now that were not before; of exchanges, those too that
    /// gave way.
    pub numbers: u64,
    /// How many numbers that had left are back.
    pub restored: u64,
    /// The lines that were refused.
    pub bad: BadLines,
}

/// The exchanges that an import reads, one after another, with the line each begins on.
pub type ExchangeLines = Box<dyn Iterator<Item = (u64, std::result::Result<Exchange, BadLine>)> + Send>;

/// Which rate centers.
#[derive(Clone, Debug, Default)]
pub struct RateCenterQuery {
    /// With an exchange that is like this; the state and the rate center's abbreviation are its own.
    pub criteria: Criteria,
    /// Only of this name.
    pub name: Option<String>,
    /// From this id on; the first one has 1.
    pub from: u32,
    /// Most rate centers.
    pub size: usize,
}

/// A rate center, with what is known of its exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateCenter {
    /// Its id, which stays.
    pub id: u32,
    /// State or province.
    pub region: String,
    /// Its abbreviation.
    pub abbreviation: String,
    /// Its name.
    pub name: String,
    /// Its exchanges.
    pub exchanges: Vec<Exchange>,
}

/// Most exchanges that a store lists at once.
pub const EXCHANGES_MAX: usize = 50_000;
/// Most users, sites or peers that a store lists at once.
pub const LIST_MAX: usize = 10_000;

/// What the checker found and how far it looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What must not be; at most a thousand.
    pub findings: Vec<Finding>,
    /// Numbers in the store.
    pub numbers: u64,
    /// Events in the audit trail.
    pub events: u64,
    /// Orders in the store.
    pub orders: u64,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Numbers and orders that were looked at.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

/// Who is told how far a check is, now and then.
pub type Watch = Arc<dyn Fn(Progress) + Send + Sync>;

/// How much stands where, for metrics and the start page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Numbers by state.
    pub by_state: Vec<(State, u64)>,
    /// Orders that wait to be run.
    pub waiting: u64,
    /// When the oldest of them arrived.
    pub oldest_waiting: Option<Timestamp>,
    /// Commands that wait for the writer.
    pub queue: usize,
    /// Notifications that wait to be delivered.
    pub deliveries: u64,
    /// Numbers whose time has come, and that have not been moved on yet.
    pub due: u64,
    /// Writes that were refused or failed since the store was opened, by cause.
    pub failed: Vec<(Cause, u64)>,
}

/// A place where numbers, orders and events are kept. What it must hold:
///
/// - What an operation that writes has answered with `Ok` survives any crash.
/// - A decision is written whole or not at all: entry, event, outcome and counts together.
/// - Time in the store does not run backwards: an event's time is never before the one before it,
///   whatever clock the caller had.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes an order durable; whoever sent it needs it for the answer. The same key again, with the same
    /// digest, gives the first order.
    ///
    /// # Errors
    /// `Full`, `Unwritable`: nothing was written, try later. `KeyReused`. `Broken`: unknown whether it was written;
    /// ask again with the key.
    async fn accept(&self, order: Arc<NewOrder>) -> Result<Accepted>;

    /// Runs orders that wait, oldest first, at most so many and at most so many numbers (but at least
    /// one order); then, if the pool has grown, some of those that wait for numbers. Each order's effects are whole or absent; whoever else runs orders on this store
    /// never runs one of them too.
    async fn run_orders(&self, now: Timestamp, orders_max: usize, numbers_max: usize) -> Result<Step>;

    /// Moves on, at most so many, the numbers whose time has come: aging ones and reservations.
    async fn release(&self, now: Timestamp, numbers_max: usize) -> Result<Step>;

    /// An order of an account, by its id.
    async fn order(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Order>>;

    /// Orders of an account, newest first.
    async fn orders(&self, query: OrderQuery) -> Result<Page<Summary, OrderId>>;

    /// Notes of an order, oldest first; none when there is no such order.
    async fn notes(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Vec<Note>>>;

    /// Adds a note to an order, or writes note `replaces` again, and gives its id; none when there is
    /// no such order or note.
    async fn write_note(
        &self,
        account: AccountId,
        kind: Kind,
        id: OrderId,
        replaces: Option<i64>,
        note: (String, String, Timestamp),
    ) -> Result<Option<i64>>;

    /// Changes a number order that waits for numbers; none when there is no such order.
    async fn amend_order(
        &self,
        account: AccountId,
        id: OrderId,
        amendment: Amendment,
        user: String,
        now: Timestamp,
    ) -> Result<Option<std::result::Result<Order, NotWaiting>>>;

    /// What has happened to an order beside its end, oldest first; none when there is no such order.
    async fn order_lines(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Vec<Line>>>;

    /// Holds a number for an account.
    async fn reserve(
        &self,
        wanted: Reservation,
        user: String,
        now: Timestamp,
    ) -> Result<std::result::Result<(), NotReserved>>;

    /// A reservation of an account, while it stands.
    async fn reservation(&self, account: AccountId, id: ReservationId) -> Result<Option<Reservation>>;

    /// The reservation that holds a number, if it is this account's; for none, whosever it is.
    async fn reservation_of(&self, account: Option<AccountId>, number: Number)
    -> Result<Option<Reservation>>;

    /// Gives a number back, and says which; none when the account has no such reservation that stands.
    async fn cancel_reservation(
        &self,
        account: AccountId,
        id: ReservationId,
        user: String,
        now: Timestamp,
    ) -> Result<Option<Reservation>>;
    /// Makes a subscription. From then on each thing that happens to an order of its account, and that it
    /// asks for, has one notification, written together with what happened. One about an order that has
    /// ended is told so at once, and is over.
    async fn subscribe(&self, new: NewSubscription, now: Timestamp) -> Result<Subscribed>;

    /// Writes a subscription again, as a whole; one that was disabled is told again.
    async fn resubscribe(
        &self,
        id: SubscriptionId,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed>;

    /// Removes a subscription and gives up what it has not been told yet; whether there was one.
    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId, now: Timestamp) -> Result<bool>;

    /// A subscription of an account that has not ended.
    async fn subscription(
        &self,
        account: AccountId,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Option<Subscription>>;

    /// Subscriptions of an account, oldest first.
    async fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Subscription>>;

    /// What is due for subscriptions behind a place, at most so many subscriptions, and for each at most
    /// `each_max.0` notifications, or `each_max.1` where a day's are gathered; and where to go on, if there
    /// may be more.
    async fn due(
        &self,
        now: Timestamp,
        after: SubscriptionSeq,
        subscriptions_max: usize,
        each_max: (usize, usize),
    ) -> Result<(Vec<Due>, Option<SubscriptionSeq>)>;

    /// All that is said in these notifications of a subscription; none when it is gone.
    async fn ready(
        &self,
        subscription: SubscriptionSeq,
        notifications: Vec<NotificationSeq>,
    ) -> Result<Option<Ready>>;

    /// Keeps an attempt in the log of each notification that it carried, with what follows for each. One
    /// that is not kept, since the process ended, is made again: its notification still waits.
    async fn record(&self, attempt: Attempt, what: Vec<(NotificationSeq, Next)>) -> Result<()>;

    /// A page (from 1) of the log of a subscription's deliveries, newest first, and how many there are; none
    /// when the account has no such subscription. The log of one that has ended stays for a while.
    async fn deliveries(
        &self,
        account: AccountId,
        id: SubscriptionId,
        page: u32,
        size: usize,
    ) -> Result<Option<(Vec<Delivery>, u64)>>;

    /// Ends subscriptions whose time is over at `now`, at most so many, and returns them.
    async fn expire_subscriptions(
        &self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<(SubscriptionId, AccountId)>>;

    /// Forgets, at most so many each, deliveries that ended a month before `now`, and subscriptions that have
    /// ended and have no deliveries; how many.
    async fn forget_deliveries(&self, now: Timestamp, most: usize) -> Result<usize>;

    /// One number with what led there.
    async fn facts(&self, number: Number) -> Result<Option<Facts>>;

    /// Some numbers with what led there; those that do not exist are left out.
    async fn facts_of(&self, numbers: Vec<Number>) -> Result<Vec<Facts>>;

    /// Where numbers lie, in the order in which they are given; those that do not exist are left out.
    async fn localities(&self, numbers: Vec<Number>) -> Result<Vec<(Number, Locality)>>;

    /// One number's whole history.
    async fn history(&self, number: Number) -> Result<Option<History>>;

    /// Numbers in an account's inventory.
    async fn numbers(&self, query: NumberQuery) -> Result<Page<Number, Number>>;

    /// How many numbers a query finds; its page is of no account.
    async fn count(&self, query: NumberQuery) -> Result<u64>;

    /// Numbers of the pool, or of a protected inventory, each with where it lies: all that fit if there are
    /// no more than wanted, else some of them, by chance. A search for what numbers spell looks at a bounded
    /// part of a large pool only.
    async fn pool(&self, query: PoolQuery) -> Result<Vec<(Entry, Locality)>>;

    /// How many pool numbers there are of each exchange that fits, in the order of the exchanges; one that
    /// lies in several places, by what imports said of its numbers, stands there for each.
    async fn stock(&self, criteria: Criteria) -> Result<Vec<Stock>>;

    /// Exchanges that an operator's file described and that fit, in the order of their digits, at most
    /// [`EXCHANGES_MAX`].
    async fn exchanges(&self, criteria: Criteria) -> Result<Vec<Exchange>>;

    /// Rate centers that an operator's file or an import of numbers named, in the order of their ids.
    async fn rate_centers(&self, query: RateCenterQuery) -> Result<Page<RateCenter, u32>>;

    /// Takes exchanges in, all in one transaction; what was known of the same exchange gives way. What a
    /// number's area is stays as it is. With `dry_run` nothing is written.
    ///
    /// # Errors
    /// `Import` when a line is bad or an exchange stands twice; nothing was written.
    async fn import_exchanges(&self, lines: ExchangeLines, dry_run: bool) -> Result<Imported>;

    /// Every area with its supply and demand.
    async fn areas(&self) -> Result<Vec<(AreaId, Area)>>;

    /// Makes an account.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    async fn create_account(&self, account: NewAccount, now: Timestamp) -> Result<Account>;

    /// Makes a site; the first one of an account is its default.
    ///
    /// # Errors
    /// `Conflict` when there is no such account, it has as many as it may, or more is said than there is room
    /// for.
    async fn add_site(&self, account: AccountId, site: SiteChange) -> Result<(Site, SiteDetails)>;

    /// Makes a site of which nothing but its name is said.
    ///
    /// # Errors
    /// As [`Store::add_site`].
    async fn create_site(&self, account: AccountId, name: String) -> Result<Site> {
        self.add_site(account, SiteChange::named(name)).await.map(|(site, _)| site)
    }

    /// Says something else of a site; none when the account has no such site.
    ///
    /// # Errors
    /// `Conflict` when it is more than there is room for.
    async fn change_site(
        &self,
        account: AccountId,
        id: SiteId,
        change: SiteChange,
    ) -> Result<Option<(Site, SiteDetails)>>;

    /// Takes a site away, unless it is needed.
    ///
    /// # Errors
    /// `Conflict` when there is no such account.
    async fn remove_site(&self, account: AccountId, id: SiteId) -> Result<Removed>;

    /// Makes another site of the account its default; false when it has no such site.
    ///
    /// # Errors
    /// `Conflict` when there is no such account.
    async fn make_default_site(&self, account: AccountId, id: SiteId) -> Result<bool>;

    /// Makes a peer; the first one of a site is its default, and a later one that wants to be takes its place.
    ///
    /// # Errors
    /// `Conflict` when the account has no such site, or as many peers as it may, or more is said than there is
    /// room for.
    async fn add_peer(
        &self,
        account: AccountId,
        site: SiteId,
        peer: PeerChange,
    ) -> Result<(Peer, PeerDetails)>;

    /// Makes a peer of which nothing but its name is said.
    ///
    /// # Errors
    /// As [`Store::add_peer`].
    async fn create_peer(&self, account: AccountId, site: SiteId, name: String) -> Result<Peer> {
        self.add_peer(account, site, PeerChange::named(name)).await.map(|(peer, _)| peer)
    }

    /// Says something else of a peer; none when the site has no such peer.
    ///
    /// # Errors
    /// `Conflict` when it is more than there is room for.
    async fn change_peer(
        &self,
        account: AccountId,
        site: SiteId,
        id: PeerId,
        change: PeerChange,
    ) -> Result<Option<(Peer, PeerDetails)>>;

    /// Takes a peer away, unless it is needed.
    ///
    /// # Errors
    /// `Conflict` when there is no such account.
    async fn remove_peer(&self, account: AccountId, site: SiteId, id: PeerId) -> Result<Removed>;

    /// Moves numbers that are in service on the account to a site and peer of it, all or none, at the word
    /// of `user`.
    ///
    /// # Errors
    /// `Conflict` when there is no such account.
    async fn relocate(
        &self,
        account: AccountId,
        place: (SiteId, PeerId),
        numbers: Vec<Number>,
        user: String,
        now: Timestamp,
    ) -> Result<Relocated>;

    /// Makes an application.
    ///
    /// # Errors
    /// `Conflict` when there is no such account, it has as many as it may, or more is said than there is room
    /// for.
    async fn add_application(&self, account: AccountId, new: NewApplication) -> Result<Application>;

    /// Says something else of an application; none when the account has no such application.
    ///
    /// # Errors
    /// `Conflict` when it is more than there is room for.
    async fn change_application(
        &self,
        account: AccountId,
        id: ApplicationId,
        change: ApplicationChange,
    ) -> Result<Option<Application>>;

    /// Takes an application away, unless a peer names it.
    async fn remove_application(&self, account: AccountId, id: ApplicationId) -> Result<Removed>;

    /// The applications of an account, or one of them, oldest first.
    async fn applications(&self, account: AccountId, only: Option<ApplicationId>)
    -> Result<Vec<Application>>;

    /// Has a peer name an application for a service, or none.
    async fn name_application(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
        application: Option<ApplicationId>,
    ) -> Result<std::result::Result<(), NotNamed>>;

    /// The application that a peer of the account names for a service.
    async fn application_of(
        &self,
        account: AccountId,
        peer: PeerId,
        service: Service,
    ) -> Result<Option<ApplicationId>>;

    /// The peers of an account that name an application, each with its site, in the order of their ids.
    async fn peers_with(&self, account: AccountId, application: ApplicationId) -> Result<Vec<(Site, Peer)>>;

    /// Makes a user at the word of whoever has the machine.
    ///
    /// # Errors
    /// `Conflict` when there is no such account, or another user has the name, which is compared without regard to
    /// case.
    async fn create_user(&self, user: NewUser) -> Result<()>;

    /// Makes a user at the word of another one; what they may is judged with the users as they are then. An
    /// account has at most [`LIST_MAX`].
    ///
    /// # Errors
    /// As [`Store::create_user`].
    async fn make_user(&self, asker: String, user: NewUser) -> Result<std::result::Result<(), UserRefusal>>;

    /// Changes a user, or takes it away, at the word of `asker`; what may be done is judged with the users as
    /// they are then, the asker among them.
    async fn change_user(
        &self,
        asker: Asker,
        name: String,
        change: UserChange,
    ) -> Result<std::result::Result<(), UserRefusal>>;

    /// A user, by name, without regard to case.
    async fn user(&self, name: &str) -> Result<Option<User>>;

    /// The key that signs tokens. It is made once and kept, so that all who share the store have the same.
    fn token_key(&self) -> [u8; 32];

    /// An account with its sites and peers.
    async fn account(&self, id: AccountId) -> Result<Option<(Account, Premises)>>;

    /// All accounts.
    async fn accounts(&self) -> Result<Vec<Account>>;

    /// All sites, or those of an account.
    async fn sites(&self, account: Option<AccountId>) -> Result<Vec<Site>>;

    /// All peers, or those of an account.
    async fn peers(&self, account: Option<AccountId>) -> Result<Vec<Peer>>;

    /// The sites of an account, or one of them, with what is said of each.
    async fn sites_in_full(
        &self,
        account: AccountId,
        only: Option<SiteId>,
    ) -> Result<Vec<(Site, SiteDetails)>>;

    /// The peers of a site, or one of them, with what is said of each.
    async fn peers_in_full(
        &self,
        account: AccountId,
        site: SiteId,
        only: Option<PeerId>,
    ) -> Result<Vec<(Peer, PeerDetails)>>;

    /// How many numbers are in service at each site and peer of an account that has some; the peer is none
    /// where they are at none of the site's.
    async fn in_service(&self, account: AccountId) -> Result<Vec<(SiteId, Option<PeerId>, u64)>>;

    /// All users.
    async fn users(&self) -> Result<Vec<User>>;

    /// The users of an account, by name, at most [`LIST_MAX`].
    async fn users_of(&self, account: AccountId) -> Result<Vec<User>>;

    /// Takes numbers in, all in one transaction. One that had left is taken back, by an event of its own. Bad
    /// lines are left out where the intake is partial.
    ///
    /// # Errors
    /// `Import` when a line is bad and the intake is not partial; nothing was written.
    async fn import(&self, lines: Lines, intake: Intake, now: Timestamp) -> Result<Imported>;

    /// So many numbers after one, in the order of their digits: for an export.
    async fn export(&self, after: Option<Number>, size: usize) -> Result<Vec<(Entry, AreaName)>>;

    /// Proves the invariants; `deep` folds every number's events again.
    async fn check(&self, deep: bool) -> Result<Report> {
        self.check_watched(deep, Arc::new(|_| {})).await
    }

    /// The same, and tells `watch` how far it is.
    async fn check_watched(&self, deep: bool, watch: Watch) -> Result<Report>;

    /// What stands where, at `now`.
    async fn totals(&self, now: Timestamp) -> Result<Totals>;

    /// Keeps when the store was in use and what had passed unseen until then, and how far the emulator's clock
    /// has been moved (milliseconds).
    async fn remember_clock(&self, seen: Seen, moved_ms: i64) -> Result<()>;

    /// Returns what was remembered of the clock, and how far the emulator's had been moved. Where nothing was,
    /// the newest order or event is the last use; none in a store that has neither.
    async fn clock(&self) -> Result<(Option<Seen>, i64)>;

    /// Whether it takes writes: `Ok`, `Unwritable` when it does not for now, `Broken` when it never will again.
    fn healthy(&self) -> Result<()>;

    /// Ends it: what waits is written, then everything is closed.
    async fn close(&self);
}
