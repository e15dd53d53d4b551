//! What a client asks for, and what became of it, number by number.
//!
//! Not here: how an order is judged (`decide`) or written (`wire`).

use std::fmt;
use std::str::FromStr;

use crate::account::{AccountId, NoPlace, PeerId, Role, SiteId, words};
use crate::number::Number;
use crate::time::Timestamp;

/// Most numbers in one order (contract: error 5095).
pub const NUMBERS_MAX: usize = 5_000;
/// Most characters of an order's name (contract: error 1011).
pub const NAME_MAX: usize = 50;
/// Most characters of a customer's order id (contract: error 5052).
pub const CUSTOMER_ORDER_ID_MAX: usize = 40;
/// Most characters of a reason for disconnecting.
pub const REASON_MAX: usize = 50;
/// Most characters of a note.
pub const NOTE_MAX: usize = 500;
/// Most characters of an idempotency key.
pub const KEY_MAX: usize = 255;
/// How often an order may bring its worker down before it is set aside as FAILED.
pub const ATTEMPTS_MAX: u8 = 5;

/// An order's id on the wire: a version 4 UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub uuid::Uuid);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for OrderId {
    type Err = uuid::Error;

    /// Only the form with hyphens, 36 characters.
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        match text.len() {
            36 => text.parse().map(Self),
            _ => "".parse().map(Self),
        }
    }
}

/// An order's place among all orders of a store: what its events point to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderSeq(pub i64);

words! {
    /// The two kinds of orders.
    Kind {
        /// In service → aging.
        Disconnect = "disconnect",
        /// Pool, reservation, protected inventory or aging → in service.
        Number = "number",
    }
}

words! {
    /// Where an order stands. The last three never change.
    Status {
        /// Accepted, not yet run.
        Received = "RECEIVED",
        /// All of its numbers went.
        Complete = "COMPLETE",
        /// Some went.
        Partial = "PARTIAL",
        /// None went.
        Failed = "FAILED",
    }
}

words! {
    /// What a disconnect order does with its numbers (contract: decision 13).
    Mode {
        /// They age, then return to the pool, or to the owner if protected.
        Normal = "normal",
        /// They age, then leave the system.
        SoftRemove = "soft-remove",
        /// They leave the system at once.
        Purge = "purge",
    }
}

impl Mode {
    /// The least role that may ask for it.
    #[must_use]
    pub fn needs(self) -> Role {
        match self {
            Mode::Normal | Mode::SoftRemove => Role::Order,
            Mode::Purge => Role::Operator,
        }
    }
}

words! {
    /// What a disconnect order does with the protected flag.
    Protected {
        /// Sets it.
        True = "TRUE",
        /// Clears it.
        False = "FALSE",
        /// Leaves it.
        Unchanged = "UNCHANGED",
    }
}

impl Protected {
    /// The flag's new value, if it gets one.
    #[must_use]
    pub fn value(self) -> Option<bool> {
        match self {
            Protected::True => Some(true),
            Protected::False => Some(false),
            Protected::Unchanged => None,
        }
    }
}

/// What a disconnect order asks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Disconnect {
    /// Which numbers, in the client's order, none twice.
    pub numbers: Vec<Number>,
    /// What becomes of them.
    pub mode: Mode,
    /// What becomes of their protected flag; none when the client did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Protected>,
    /// Why, in the client's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What an order for existing numbers asks: to activate them, or to reconnect them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Activate {
    /// Which numbers, in the client's order, none twice.
    pub numbers: Vec<Number>,
    /// The site that they go to.
    pub site: SiteId,
    /// The peer; the site's default one when the client did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    /// Whether some may go when others cannot.
    pub partial_allowed: bool,
    /// Whether the numbers get the protected flag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
}

/// What an order asks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Request {
    /// A disconnect order.
    Disconnect(Disconnect),
    /// A number order that names its numbers.
    Activate(Activate),
}

impl Request {
    /// Which kind of order it makes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Request::Disconnect(_) => Kind::Disconnect,
            Request::Activate(_) => Kind::Number,
        }
    }

    /// The numbers that it names, in the client's order.
    #[must_use]
    pub fn numbers(&self) -> &[Number] {
        match self {
            Request::Disconnect(disconnect) => &disconnect.numbers,
            Request::Activate(activate) => &activate.numbers,
        }
    }
}

/// A client's word for "the same request again": of one account, one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key as sent, 1 to 255 visible ASCII characters.
    pub key: String,
    /// A digest of the request's kind and body, so that another request under the key is noticed.
    pub digest: [u8; 32],
}

/// An order that has been checked and waits to be made durable. Its id is the store's to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Whose.
    pub account: AccountId,
    /// Who sent it.
    pub user: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The client's own id for it.
    pub customer_order_id: Option<String>,
    /// When it arrived.
    pub created_at: Timestamp,
    /// What it asks.
    pub request: Request,
    /// The client's key against doing it twice.
    pub key: Option<IdempotencyKey>,
}

/// An order as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its place among all orders.
    pub seq: OrderSeq,
    /// Its id.
    pub id: OrderId,
    /// Whose.
    pub account: AccountId,
    /// Who sent it.
    pub user: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The client's own id for it.
    pub customer_order_id: Option<String>,
    /// When it arrived.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub changed_at: Timestamp,
    /// What it asks.
    pub request: Request,
    /// Where it stands.
    pub status: Status,
    /// The numbers that did not go, and why; the others went once the order has ended.
    pub failed: Vec<Failure>,
}

impl Order {
    /// The numbers that went, in the client's order; none before the order has ended.
    pub fn done(&self) -> impl Iterator<Item = Number> {
        let ended = self.status != Status::Received;
        let failed: std::collections::HashSet<Number> = self.failed.iter().map(|f| f.number).collect();
        self.request.numbers().iter().copied().filter(move |n| ended && !failed.contains(n))
    }
}

/// An order in a list: all but its numbers and their outcomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: OrderId,
    /// Whose.
    pub account: AccountId,
    /// Who sent it.
    pub user: String,
    /// The client's own id for it.
    pub customer_order_id: Option<String>,
    /// When it arrived.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub changed_at: Timestamp,
    /// Where it stands.
    pub status: Status,
    /// How many numbers it names.
    pub numbers: u32,
}

/// A number that did not go.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// Which.
    pub number: Number,
    /// Why.
    pub why: Refusal,
}

/// Why a number did not go. Its code and words are `wire`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Refusal {
    /// Disconnect: it is not in service on this account. The same for another account's number, a
    /// pool number and one that does not exist, so that nobody learns which it is.
    NotInService,
    /// Disconnect: an operator guards it.
    Locked,
    /// Toll-free numbers cannot be protected.
    TollFreeProtected,
    /// Activation: it is not this account's to take.
    Unavailable,
    /// Activation: the site is gone and the account has no default one.
    NoSite,
    /// Activation: the peer is gone.
    NoPeer,
    /// Activation: the site has no default peer.
    NoDefaultPeer,
    /// Activation: another number of the order could not go, and the client wants all or none.
    AllOrNone,
    /// The order brought its worker down too often.
    SetAside,
}

impl From<NoPlace> for Refusal {
    fn from(no: NoPlace) -> Self {
        match no {
            NoPlace::Site => Refusal::NoSite,
            NoPlace::Peer => Refusal::NoPeer,
            NoPlace::DefaultPeer => Refusal::NoDefaultPeer,
        }
    }
}

/// The status of an order of `total` numbers of which `failed` did not go.
#[must_use]
pub fn ended(total: usize, failed: usize) -> Status {
    match failed {
        0 => Status::Complete,
        some if some < total => Status::Partial,
        _ => Status::Failed,
    }
}
