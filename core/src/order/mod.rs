//! What a client asks for, and what became of it, number by number.
//!
//! Not here: how an order is judged (`decide`), or written as a document (`wire`).

pub mod act;
pub mod amend;
pub mod decide;
pub mod decided;
pub mod move_all;
pub mod plan;
pub mod search;

use crate::account::{NoPlace, Role};
use crate::ids::{AccountId, OrderId, OrderSeq, PeerId, ReservationId, SiteId};
use crate::lifecycle::provenance::Provenance;
use crate::locality::Locality;
use crate::number::Number;
use crate::order::search::Criteria;
use crate::time::Timestamp;
use crate::words::words;

/// Most numbers in one order (contract: error 5095).
pub const NUMBERS_MAX: usize = 5_000;
/// Most characters of a disconnect order's name (contract: error 1011).
pub const DISCONNECT_NAME_MAX: usize = 50;
/// Most characters of a number order's name. The documents say 50. Clients send more, and an order
/// must not fail because of its label.
pub const ORDER_NAME_MAX: usize = 255;
/// Most characters of a customer's order id (contract: error 5052).
pub const CUSTOMER_ORDER_ID_MAX: usize = 40;
/// Most characters of a reason for disconnecting.
pub const REASON_MAX: usize = 50;
/// Most characters of a note.
pub const NOTE_MAX: usize = 500;
/// Most characters of an idempotency key.
pub const KEY_MAX: usize = 255;
/// How often an order may crash its worker before it is set aside as FAILED.
pub const ATTEMPTS_MAX: u8 = 5;

words! {
    /// The kinds of orders.
    Kind {
        /// In service → aging.
        Disconnect = "disconnect",
        /// Pool, reservation, protected inventory or aging → in service.
        Number = "number",
        /// In service → in service, at another site or peer of its account.
        Move = "move",
    }
}

words! {
    /// The status of an order. All but the first two are final.
    Status {
        /// Accepted, not yet run.
        Received = "RECEIVED",
        /// It has run, found too few numbers, and waits for more.
        Backordered = "BACKORDERED",
        /// All of its numbers changed.
        Complete = "COMPLETE",
        /// Some changed.
        Partial = "PARTIAL",
        /// None changed.
        Failed = "FAILED",
    }
}

impl Status {
    /// Returns whether it is final: it never changes again.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Status::Received | Status::Backordered)
    }
}

words! {
    /// What an order waits for that has not ended.
    Waiting {
        /// Its turn.
        Run = "run",
        /// Numbers that come into the pool.
        Numbers = "numbers",
    }
}

impl Waiting {
    /// Returns the status of the orders that wait for this.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Waiting::Run => Status::Received,
            Waiting::Numbers => Status::Backordered,
        }
    }

    /// Returns what an order in a status waits for. `None` if it has ended.
    #[must_use]
    pub fn of(status: Status) -> Option<Self> {
        Self::ALL.iter().copied().find(|waiting| waiting.status() == status)
    }
}

words! {
    /// What a disconnect order does with its numbers (contract: decision 13).
    Mode {
        /// They age, then return to the pool, or to their owner if protected.
        Normal = "normal",
        /// They age, then leave the system.
        SoftRemove = "soft-remove",
        /// They leave the system at once.
        Purge = "purge",
    }
}

impl Mode {
    /// Returns the least role that may ask for it.
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
    /// Returns the flag's new value. `None` leaves the flag.
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
    /// The numbers, in the client's order, none twice.
    pub numbers: Vec<Number>,
    /// What it does with them.
    pub mode: Mode,
    /// What it does with their protected flag. `None` if the client did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Protected>,
    /// Why, in the client's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a number order asks: to put numbers into service, new ones or reconnected ones.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Activate {
    /// Which numbers.
    pub wanted: Wanted,
    /// The site they go to.
    pub site: SiteId,
    /// The peer. `None` is the site's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    /// True if some numbers may change although others fail.
    pub partial_allowed: bool,
    /// True if the numbers get the protected flag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// Set if the numbers go back where they were, each to its own site and peer. Then only aging numbers go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Box<Back>>,
}

/// How aging numbers go back where they were.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Back {
    /// The disconnect order that is undone by it, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_of: Option<OrderId>,
    /// The numbers whose protected flag was set before, and is not now: by digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<Number>,
    /// The numbers whose protected flag was not set before, and is now: by digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unprotect: Vec<Number>,
}

impl Back {
    /// Returns what becomes of a number's protected flag. `None` leaves it.
    fn protected(&self, number: Number) -> Option<bool> {
        let among = |numbers: &[Number]| numbers.binary_search(&number).is_ok();
        if among(&self.protect) {
            Some(true)
        } else if among(&self.unprotect) {
            Some(false)
        } else {
            None
        }
    }
}

/// Which numbers a number order asks for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Wanted {
    /// These.
    Named {
        /// The numbers, in the client's order, none twice. Those of its reservations are last.
        numbers: Vec<Number>,
        /// The reservations through which some of them were named.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reservations: Vec<ReservationId>,
    },
    /// Numbers of the pool.
    Found(Box<Search>),
}

impl Wanted {
    /// Returns these numbers, none of them named by a reservation.
    #[must_use]
    pub fn named(numbers: Vec<Number>) -> Self {
        Wanted::Named { numbers, reservations: Vec::new() }
    }
}

/// Which numbers of the pool an order takes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Search {
    /// The API's form in which it was sent.
    pub form: SearchForm,
    /// The fields of that form as they were sent. Replies repeat them.
    pub sent: Vec<(String, String)>,
    /// The criteria that numbers must meet.
    pub criteria: Criteria,
    /// How many, from 1 to [`NUMBERS_MAX`].
    pub quantity: usize,
    /// True if it waits for more when there are too few.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back_order: bool,
}

words! {
    /// The forms in which an order can search (contract §3.1).
    SearchForm {
        /// By area code.
        AreaCode = "area-code",
        /// By rate center and state.
        RateCenter = "rate-center",
        /// By area code and exchange.
        NpaNxx = "npa-nxx",
        /// Toll-free, by what they spell.
        TollFreeVanity = "toll-free-vanity",
        /// Toll-free, by a pattern of area codes.
        TollFreeWildChar = "toll-free-wild-char",
        /// By state.
        State = "state",
        /// By city and state.
        City = "city",
        /// By ZIP code.
        Zip = "zip",
        /// By LATA.
        Lata = "lata",
        /// By several of these.
        Combined = "combined",
    }
}

/// What a move order asks: its numbers go to another site or peer, and stay in service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MoveNumbers {
    /// The numbers, in the client's order, none twice.
    pub numbers: Vec<Number>,
    /// The site they go to.
    pub site: SiteId,
    /// The peer. `None` is the site's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
}

/// What an order asks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Request {
    /// A disconnect order.
    Disconnect(Disconnect),
    /// A number order.
    Activate(Activate),
    /// A move order. Its stored form keeps the name that it had first.
    #[serde(rename = "Relocate")]
    Move(MoveNumbers),
}

impl Request {
    /// Returns its kind of order.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Request::Disconnect(_) => Kind::Disconnect,
            Request::Activate(_) => Kind::Number,
            Request::Move(_) => Kind::Move,
        }
    }

    /// Returns the numbers that it names, in the client's order. Empty if it searches.
    #[must_use]
    pub fn numbers(&self) -> &[Number] {
        match self {
            Request::Disconnect(disconnect) => &disconnect.numbers,
            Request::Move(to_move) => &to_move.numbers,
            Request::Activate(Activate { wanted: Wanted::Named { numbers, .. }, .. }) => numbers,
            Request::Activate(Activate { wanted: Wanted::Found(_), .. }) => &[],
        }
    }

    /// Returns its search, if it searches.
    #[must_use]
    pub fn search(&self) -> Option<&Search> {
        match self {
            Request::Activate(Activate { wanted: Wanted::Found(search), .. }) => Some(search),
            _ => None,
        }
    }

    /// Returns how many numbers it is about.
    #[must_use]
    pub fn quantity(&self) -> usize {
        self.search().map_or(self.numbers().len(), |search| search.quantity)
    }

    /// Returns the site that its numbers go to.
    #[must_use]
    pub fn site(&self) -> Option<SiteId> {
        match self {
            Request::Activate(activate) => Some(activate.site),
            Request::Move(to_move) => Some(to_move.site),
            Request::Disconnect(_) => None,
        }
    }
}

/// A client's mark for "the same request again". One account has one order for each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key as sent, 1 to 255 visible ASCII characters.
    pub key: String,
    /// A digest of the request's kind and body, to notice another request with the same key.
    pub digest: [u8; 32],
}

/// An order that has been checked and is to be made durable. The store gives it its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Its account.
    pub account: AccountId,
    /// Who sent it.
    pub user: String,
    /// Under what. On the wire the reason is the client's reason for disconnecting.
    pub under: Provenance,
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
    /// Its sequence number.
    pub seq: OrderSeq,
    /// Its id.
    pub id: OrderId,
    /// Its account.
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
    /// Its status.
    pub status: Status,
    /// The named numbers that failed, and why. Once the order has ended, all others have changed.
    pub failed: Vec<Failure>,
    /// The numbers taken so far by an order that searches.
    pub taken: Vec<Number>,
    /// Why an order that searches took no more, if another reason than too few numbers stopped it.
    pub refused: Option<Refusal>,
    /// For a number order that named no peer: the peers that its numbers went to, each once, in the order of their ids.
    /// `None` is first if some went to a site without a peer.
    pub peers: Vec<Option<PeerId>>,
    /// Where the numbers of a number order are from, once it has ended with any.
    pub origin: Option<Origin>,
    /// Under what it was sent. Its events leave that to it.
    pub under: Provenance,
}

impl Order {
    /// Returns the peer of a number order: the one it named, or once it has ended, the one that its numbers went to.
    /// `None` if they went to several.
    #[must_use]
    pub fn peer(&self) -> Option<PeerId> {
        let Request::Activate(activate) = &self.request else { return None };
        let went_to = match self.peers[..] {
            [one] if self.status.is_final() => one,
            _ => None,
        };
        activate.peer.or(went_to)
    }

    /// Returns the numbers that changed, in the client's order. An order that names its numbers has none before it has
    /// ended.
    pub fn done(&self) -> impl Iterator<Item = Number> {
        let ended = self.status.is_final();
        let failed: std::collections::HashSet<Number> = self.failed.iter().map(|f| f.number).collect();
        let named = self.request.numbers().iter().copied().filter(move |n| ended && !failed.contains(n));
        named.chain(self.taken.iter().copied())
    }
}

/// Where the numbers of an order are from: the locality of the first number by digits, as known when the order ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// The rate center's abbreviation, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_center: Option<String>,
    /// The state or province, two letters, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// True if other numbers are from elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub others: bool,
}

impl Origin {
    /// Returns the origin of numbers with these localities, in the order of their digits. `None` if there are none.
    #[must_use]
    pub fn of(localities: &[Locality]) -> Option<Self> {
        let Locality { rate_center, region, .. } = localities.first()?;
        let others =
            localities.iter().any(|other| (&other.rate_center, &other.region) != (rate_center, region));
        Some(Self { rate_center: rate_center.clone(), region: region.clone(), others })
    }
}

/// One line of an order's history, before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// When it happened.
    pub at: Timestamp,
    /// The user who did it. `None` is the server itself.
    pub author: Option<String>,
    /// The order's status then.
    pub status: Status,
    /// How many numbers the order had then.
    pub taken: usize,
    /// What a client changed in it, in words, if a client did.
    pub difference: Option<String>,
}

/// An order in a list, without its numbers and their outcomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: OrderId,
    /// Its account.
    pub account: AccountId,
    /// Who sent it.
    pub user: String,
    /// The client's own id for it.
    pub customer_order_id: Option<String>,
    /// When it arrived.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub changed_at: Timestamp,
    /// Its status.
    pub status: Status,
    /// How many numbers it is about.
    pub numbers: u32,
}

/// A number that failed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// The number.
    pub number: Number,
    /// The reason.
    pub why: Refusal,
}

/// Why a number failed. Its code and text are in `wire`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Refusal {
    /// Disconnect: it is not in service on this account. A pool number, another account's and one that does not exist
    /// are the same, so that nobody learns which.
    NotInService,
    /// Move: it is not in service on this account.
    NotMovable,
    /// Disconnect: an operator guards it.
    Locked,
    /// Toll-free numbers cannot be protected.
    TollFreeProtected,
    /// Activation: this account may not take it.
    Unavailable,
    /// Activation: the site is gone and the account has no default one.
    NoSite,
    /// Activation: the peer is gone.
    NoPeer,
    /// Activation: the site has no default peer.
    NoDefaultPeer,
    /// Activation: another number of the order failed, and the client wants all or none.
    AllOrNone,
    /// The order crashed its worker too often.
    SetAside,
    /// More was asked for than may be done.
    OverCapacity,
    /// The order waited too long.
    TimedOut,
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

/// Returns the final status of an order of `total` numbers, of which `failed` failed.
#[must_use]
pub fn ended(total: usize, failed: usize) -> Status {
    match failed {
        0 => Status::Complete,
        some if some < total => Status::Partial,
        _ => Status::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores hold orders in these forms. A name in them never changes.
    #[test]
    fn an_order_is_read_as_it_was_stored() {
        for stored in [
            r#"{"Disconnect":{"numbers":[15405514342],"mode":"normal"}}"#,
            r#"{"Activate":{"wanted":{"Named":{"numbers":[15405514342]}},"site":1,"partial_allowed":true}}"#,
            r#"{"Activate":{"wanted":{"Named":{"numbers":[15405514342]}},"site":1,"partial_allowed":true,"back":{"undo_of":"6d7da966-e071-4741-b31c-1d8932f4b8da","protect":[15405514342]}}}"#,
            r#"{"Relocate":{"numbers":[15405514342],"site":1,"peer":2}}"#,
        ] {
            let request: Request = serde_json::from_str(stored).unwrap();
            assert_eq!(serde_json::to_string(&request).unwrap(), stored);
        }
    }

    #[test]
    fn numbers_are_from_the_locality_of_the_first_of_them() {
        let locality = |rate_center: &str, region: &str, city: &str| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let (rate_center, region, city) = (text(rate_center), text(region), text(city));
            Locality { rate_center, region, city, ..Locality::default() }
        };
        let (roanoke, raleigh) = (locality("ROANOKE", "VA", ""), locality("RALEIGH", "NC", "RALEIGH"));
        let (virginia, nowhere) = (locality("", "VA", ""), locality("", "", ""));
        let same = locality("ROANOKE", "VA", "VINTON");
        let of = |localities: &[&Locality]| {
            let localities: Vec<Locality> = localities.iter().map(|one| (*one).clone()).collect();
            let Origin { rate_center, region, others } = Origin::of(&localities)?;
            Some((rate_center.unwrap_or_default(), region.unwrap_or_default(), others))
        };
        let text =
            |rate_center: &str, region: &str, others| Some((rate_center.into(), region.into(), others));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[&roanoke]), text("ROANOKE", "VA", false));
        assert_eq!(of(&[&roanoke, &same]), text("ROANOKE", "VA", false));
        assert_eq!(of(&[&roanoke, &raleigh, &roanoke]), text("ROANOKE", "VA", true));
        assert_eq!(of(&[&virginia, &roanoke]), text("", "VA", true));
        assert_eq!(of(&[&nowhere]), text("", "", false));
    }
}
