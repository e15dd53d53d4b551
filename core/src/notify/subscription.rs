//! Who wants to be told what: subscriptions as a client makes them.
//!
//! Not here: which events are told (`notification`), which URLs are allowed (`server::callback`), or how a subscription
//! is written as a document (`wire`).

use std::fmt;

use crate::ids::{AccountId, OrderId, SubscriptionId, SubscriptionSeq};
use crate::order::Kind;
use crate::time::Timestamp;
use crate::words::words;

/// Most subscriptions of one account.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
/// How long a callback subscription lasts by default, in seconds.
pub const EXPIRY_S: i64 = 86_400;
/// Most characters of a callback's URL.
pub const URL_MAX: usize = 2_048;
/// Most bytes of a callback's user name, and of its password.
pub const CREDENTIAL_MAX: usize = 255;
/// Most characters of a receiver's certificate, as sent.
pub const PUBLIC_KEY_MAX: usize = 16_384;
/// Most characters of an e-mail address (RFC 5321, 4.5.3.1.3).
pub const EMAIL_MAX: usize = 254;

words! {
    /// The types of orders that a client may subscribe to (contract: error 14500). Only the first two exist here. A
    /// subscription to another type is kept, but never told anything.
    OrderType {
        /// Disconnect orders.
        Disconnects = "disconnects",
        /// Number orders.
        Orders = "orders",
        /// Numbers ported in from another carrier.
        PortIns = "portins",
        /// Numbers ported out to another carrier.
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
        /// Many numbers ported in from another carrier.
        BulkPortIns = "bulkPortins",
        /// Imported numbers.
        ImportTnOrders = "importtnorders",
        /// Imported numbers that leave.
        RemoveImportedTnOrders = "removeImportedTnOrders",
        /// Customer service records.
        Csrs = "csrs",
        /// Groups of emergency endpoints.
        EmergencyEndpointGroup = "emergencyEndpointGroup",
        /// Groups that are told of emergency calls.
        EmergencyNotificationGroup = "emergencyNotificationGroup",
        /// Checks of toll-free numbers before they are ported.
        TollFreePortingValidations = "tollFreePortingValidations",
    }
}

impl OrderType {
    /// Returns the kind of order that it names, if onhook has it.
    #[must_use]
    pub fn kind(self) -> Option<Kind> {
        match self {
            OrderType::Disconnects => Some(Kind::Disconnect),
            OrderType::Orders => Some(Kind::Number),
            _ => None,
        }
    }

    /// Returns the type for a kind of order, if clients can subscribe to it.
    #[must_use]
    pub fn of(kind: Kind) -> Option<Self> {
        OrderType::ALL.iter().copied().find(|orders| orders.kind() == Some(kind))
    }
}

words! {
    /// The events that a client may subscribe to (contract: error 14507). They never happen here.
    EventType {
        /// A number's messages no longer arrive.
        MessagingLost = "MESSAGING_LOST",
    }
}

words! {
    /// The form of numbers in a notification.
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
        /// One mail for each notification.
        None = "NONE",
        /// One mail for all notifications of a day.
        Daily = "DAILY",
    }
}

/// A secret text. Its `Debug` is three asterisks, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes a text secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself, to send or store it.
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
    /// Orders of a type: all of the account, or only one.
    Orders(OrderType, Option<OrderId>),
    /// An event.
    Event(EventType),
}

impl Subject {
    /// Returns the type and the id of the order that it names.
    #[must_use]
    pub fn named_order(&self) -> Option<(OrderType, OrderId)> {
        match *self {
            Subject::Orders(orders, order) => Some((orders, order?)),
            Subject::Event(_) => None,
        }
    }
}

/// The name and password for a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name. It has no colon, since a colon ends it.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A receiver behind a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The URL, as sent.
    pub url: String,
    /// Sent after the receiver asks for them.
    pub credentials: Option<Credentials>,
    /// The certificate whose key the receiver must have, in base64 as sent.
    pub public_key: Option<String>,
    /// The form of numbers.
    pub format: NumberFormat,
    /// True if a failed delivery is tried again. (Beyond the API.)
    pub retry: bool,
    /// The secret that signs deliveries. (Beyond the API.)
    pub signing: Option<Secret>,
}

/// A receiver behind an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The address.
    pub address: String,
    /// How often mails are sent.
    pub digest: Digest,
}

/// Where notifications are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A URL.
    Callback(Callback),
    /// A mailbox.
    Email(Email),
}

impl Receiver {
    /// Returns the URL or the address. An account has at most one subscription about the same subject to each.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Receiver::Callback(callback) => &callback.url,
            Receiver::Email(email) => &email.address,
        }
    }

    /// Returns whether notifications are gathered for a day.
    #[must_use]
    pub fn is_daily(&self) -> bool {
        matches!(self, Receiver::Email(Email { digest: Digest::Daily, .. }))
    }

    /// Returns whether a failed delivery is tried again. Mail always is.
    #[must_use]
    pub fn retries(&self) -> bool {
        match self {
            Receiver::Callback(callback) => callback.retry,
            Receiver::Email(_) => true,
        }
    }
}

/// A checked subscription to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// Its account.
    pub account: AccountId,
    /// What it is about.
    pub subject: Subject,
    /// Where its notifications are sent.
    pub receiver: Receiver,
    /// When it ends. Mail subscriptions have no end.
    pub expires_at: Option<Timestamp>,
}

/// A subscription as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its sequence number.
    pub seq: SubscriptionSeq,
    /// Its id.
    pub id: SubscriptionId,
    /// Its account.
    pub account: AccountId,
    /// What it is about.
    pub subject: Subject,
    /// Where its notifications are sent.
    pub receiver: Receiver,
    /// When it ends. Mail subscriptions have no end.
    pub expires_at: Option<Timestamp>,
    /// True if its receiver is gone for good. It is told nothing more.
    pub disabled: bool,
    /// The outcome of the last delivery, in a few words.
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
