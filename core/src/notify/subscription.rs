//! Who wants to be told of what: subscriptions as a client makes them.
//!
//! Not here: what is told to whom (`notification`), where a callback may lead (`server::callback`), or how
//! a subscription is written (`wire`).

use std::fmt;

use crate::ids::{AccountId, OrderId, SubscriptionId, SubscriptionSeq};
use crate::order::Kind;
use crate::time::Timestamp;
use crate::words::words;

/// Most subscriptions of one account.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
/// How long a callback subscription lives when nothing is said, in seconds.
pub const EXPIRY_S: i64 = 86_400;
/// Most characters of a callback's URL.
pub const URL_MAX: usize = 2_048;
/// Most bytes of a callback's user name, and of its password.
pub const CREDENTIAL_MAX: usize = 255;
/// Most characters of a receiver's certificate, as it is sent.
pub const PUBLIC_KEY_MAX: usize = 16_384;
/// Most characters of an e-mail address (RFC 5321, 4.5.3.1.3).
pub const EMAIL_MAX: usize = 254;

words! {
    /// What kinds of orders a client may subscribe to (contract: error 14500). Only the first two exist
    /// here; a subscription to another one is kept, and nothing ever happens that it would be told of.
    OrderType {
        /// Disconnect orders.
        Disconnects = "disconnects",
        /// Number orders.
        Orders = "orders",
        /// Numbers that come from another carrier.
        PortIns = "portins",
        /// Numbers that go to another carrier.
        PortOuts = "portouts",
        /// Numbers that move between accounts.
        ImportToAccounts = "importToAccounts",
        /// Directory listings.
        Dldas = "dldas",
        /// Local service requests.
        LsrOrders = "lsrorders",
        /// Emergency addresses.
        E911s = "e911s",
        /// Options of numbers.
        TnOptions = "tnoptions",
        /// Numbers hosted elsewhere.
        ExternalTns = "externalTns",
        /// Line information.
        Lidbs = "lidbs",
        /// Many numbers that come from another carrier.
        BulkPortIns = "bulkPortins",
        /// Imported numbers.
        ImportTnOrders = "importtnorders",
        /// Imported numbers that leave.
        RemoveImportedTnOrders = "removeImportedTnOrders",
        /// Customer service records.
        Csrs = "csrs",
        /// Groups of emergency endpoints.
        EmergencyEndpointGroup = "emergencyEndpointGroup",
        /// Groups who are told of emergency calls.
        EmergencyNotificationGroup = "emergencyNotificationGroup",
        /// Checks of toll-free numbers before they are ported.
        TollFreePortingValidations = "tollFreePortingValidations",
    }
}

impl OrderType {
    /// The kind of order that it stands for, if onhook has it.
    #[must_use]
    pub fn kind(self) -> Option<Kind> {
        match self {
            OrderType::Disconnects => Some(Kind::Disconnect),
            OrderType::Orders => Some(Kind::Number),
            _ => None,
        }
    }

    /// The word for a kind of order, if one can be subscribed to.
    #[must_use]
    pub fn of(kind: Kind) -> Option<Self> {
        OrderType::ALL.iter().copied().find(|orders| orders.kind() == Some(kind))
    }
}

words! {
    /// What else a client may subscribe to (contract: error 14507). It never happens here.
    EventType {
        /// A number's messages no longer arrive.
        MessagingLost = "MESSAGING_LOST",
    }
}

words! {
    /// How numbers are written in a notification.
    NumberFormat {
        /// Ten digits.
        Legacy = "LEGACY",
        /// E.164, with the plus.
        E164 = "E164",
    }
}

words! {
    /// How often mails are sent.
    Digest {
        /// One for each notification.
        None = "NONE",
        /// One for all of a day.
        Daily = "DAILY",
    }
}

/// What must not be seen: its `Debug` is three asterisks, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into keeping.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for who sends or stores it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Orders of a type: all of the account's, or one.
    Orders(OrderType, Option<OrderId>),
    /// An event.
    Event(EventType),
}

/// Name and password that a receiver asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name; no colon, since the first one ends it.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A URL that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The URL, as it was sent.
    pub url: String,
    /// What it is sent once it asks for it.
    pub credentials: Option<Credentials>,
    /// The certificate whose key the receiver must have, in base64 as it was sent.
    pub public_key: Option<String>,
    /// How numbers are written.
    pub format: NumberFormat,
    /// Whether a delivery that failed is tried again. (Beyond the API.)
    pub retry: bool,
    /// The secret that deliveries are signed with. (Beyond the API.)
    pub signing: Option<Secret>,
}

/// An address that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The address.
    pub address: String,
    /// How often.
    pub digest: Digest,
}

/// Whoever is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A URL.
    Callback(Callback),
    /// A mailbox.
    Email(Email),
}

impl Receiver {
    /// Where it is: the URL, or the address. Two subscriptions of an account to the same thing there are
    /// one too many.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Receiver::Callback(callback) => &callback.url,
            Receiver::Email(email) => &email.address,
        }
    }

    /// Whether notifications are gathered for a day.
    #[must_use]
    pub fn is_daily(&self) -> bool {
        matches!(self, Receiver::Email(Email { digest: Digest::Daily, .. }))
    }

    /// Whether a delivery that failed is tried again. Mail always is, as mail is.
    #[must_use]
    pub fn retries(&self) -> bool {
        match self {
            Receiver::Callback(callback) => callback.retry,
            Receiver::Email(_) => true,
        }
    }
}

/// A subscription that has been checked and is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// Whose.
    pub account: AccountId,
    /// What it is about.
    pub subject: Subject,
    /// Whoever is told.
    pub receiver: Receiver,
    /// When it ends; mail has no end.
    pub expires_at: Option<Timestamp>,
}

/// A subscription as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its place.
    pub seq: SubscriptionSeq,
    /// Its id.
    pub id: SubscriptionId,
    /// Whose.
    pub account: AccountId,
    /// What it is about.
    pub subject: Subject,
    /// Whoever is told.
    pub receiver: Receiver,
    /// When it ends; mail has no end.
    pub expires_at: Option<Timestamp>,
    /// Whether its receiver has said that it is gone for good; nothing more is told then.
    pub disabled: bool,
    /// What came of the last delivery, in a few words.
    pub last: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show() {
        let credentials = Credentials { username: "superuser".into(), password: Secret::new("s3cure") };
        let shown = format!("{credentials:?}");
        assert_eq!(shown, "Credentials { username: \"superuser\", password: *** }");
        assert_eq!(credentials.password.expose(), "s3cure");
    }

    #[test]
    fn only_two_order_types_stand_for_orders_here() {
        let here: Vec<_> = OrderType::ALL.iter().filter(|kind| kind.kind().is_some()).collect();
        assert_eq!(here, [&OrderType::Disconnects, &OrderType::Orders]);
        assert_eq!(OrderType::ALL.len(), 18, "as many as the text of error 14500 names");
        assert_eq!(OrderType::of(Kind::Disconnect), Some(OrderType::Disconnects));
        assert_eq!(OrderType::of(Kind::Number), Some(OrderType::Orders));
        assert_eq!(OrderType::of(Kind::Move), None);
    }
}
