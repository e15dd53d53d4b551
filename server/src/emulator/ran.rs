//! How much the workers have done: a move of the clock tells what ran on its way.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[doc = $meaning:literal])+ $name:ident,)+) => {
        /// What the workers have done since the start.
        #[derive(Debug, Default)]
        pub(crate) struct Ran {
            $($(#[doc = $meaning])+ pub(crate) $name: Count,)+
        }

        /// How much was done.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Counts {
            $($(#[doc = $meaning])+ pub(crate) $name: u64,)+
        }

        impl Ran {
            /// Returns how much was done so far.
            pub(crate) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.0.load(Ordering::Acquire),)+ }
            }
        }

        impl Counts {
            /// Returns how much was done since.
            pub(crate) fn since(self, before: Self) -> Self {
                Self { $($name: self.$name.saturating_sub(before.$name),)+ }
            }
        }
    };
}

counts! {
    /// Orders that ended.
    orders,
    /// Reservations that ended.
    reservations,
    /// Numbers whose aging ended.
    released,
    /// Attempts to tell a subscriber.
    deliveries,
    /// Subscriptions whose time was over.
    subscriptions,
}

/// A count.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Counts so many more.
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::AcqRel);
    }
}
