//! All ids and sequence numbers: values without a rule, which every other file may name.
//!
//! Ids on the wire are small integers (accounts, sites, peers) or UUIDs (orders and what belongs to them).
//! Sequence numbers order the things of one kind in a store. They never leave it.

use std::fmt;
use std::str::FromStr;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u32);

        impl $name {
            /// Returns the id with this value. `None` for 0.
            #[must_use]
            pub const fn new(id: u32) -> Option<Self> {
                if id == 0 { None } else { Some(Self(id)) }
            }

            /// Returns the id as an integer.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads a decimal integer from 1 to 4,294,967,295, ASCII digits only.
            fn from_str(text: &str) -> Result<Self, IdError> {
                if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(IdError);
                }
                text.parse().ok().and_then(Self::new).ok_or(IdError)
            }
        }
    };
}

id! {
    /// A customer: the account in every path of the wire.
    AccountId
}
id! {
    /// A sub-account of an account: `SiteId` on the wire.
    SiteId
}
id! {
    /// A SIP location under a site: `PeerId` on the wire.
    PeerId
}

/// The text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a whole number from 1 to 4294967295")]
pub struct IdError;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            /// Reads the form with hyphens only, 36 characters, in any case.
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                if text.len() == 36 { text.parse().map(Self) } else { "".parse().map(Self) }
            }
        }
    };
}

uuid_id! {
    /// An order's id on the wire: a version 4 UUID.
    OrderId
}
uuid_id! {
    /// A reservation's id on the wire: a version 4 UUID.
    ReservationId
}
uuid_id! {
    /// A subscription's id on the wire: a version 4 UUID.
    SubscriptionId
}
uuid_id! {
    /// The id of a plan of an act on many numbers: a version 4 UUID.
    PlanId
}
uuid_id! {
    /// An application's id: a version 4 UUID.
    ApplicationId
}
uuid_id! {
    /// A notification's id, the same in every attempt to deliver it: a version 4 UUID.
    MessageId
}

macro_rules! seq {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);
    };
}

seq! {
    /// An order's sequence number: its events point to it. Later orders have larger ones.
    OrderSeq
}
seq! {
    /// An event's sequence number in the audit trail. Later events have larger ones.
    EventSeq
}
seq! {
    /// A subscription's sequence number. Later subscriptions have larger ones.
    SubscriptionSeq
}
seq! {
    /// A notification's sequence number. Later notifications have larger ones.
    NotificationSeq
}

/// An area's id in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct AreaId(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive_decimal_integers() {
        assert_eq!("9900000".parse::<AccountId>().unwrap().get(), 9_900_000);
        for text in ["", "0", "-1", "+1", "4294967296", "1x", "１"] {
            assert_eq!(text.parse::<AccountId>(), Err(IdError), "{text}");
        }
    }

    #[test]
    fn a_uuid_has_its_hyphens() {
        let text = "6d7da966-e071-4741-b31c-1d8932f4b8da";
        assert_eq!(text.parse::<OrderId>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<ReservationId>().unwrap().to_string(), text);
        for text in ["", "6d7da966e0714741b31c1d8932f4b8da", "{6d7da966-e071-4741-b31c-1d8932f4b8da}"] {
            assert!(text.parse::<SubscriptionId>().is_err(), "{text}");
        }
    }
}
