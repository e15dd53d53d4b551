//! The suite that every store passes. A store adds one line to its tests: `conformance!(Opener)`. The cases are here,
//! one file a resource. Every case runs: `cases!` makes both the function and the test that calls it.
//!
//! A case opens its own store, uses it only through [`Store`], and ends with the checker.

use std::sync::Arc;

use async_trait::async_trait;

use crate::Store;

/// Opens the same store again and again.
#[async_trait]
pub trait Opener: Send + Sync {
    /// Opens the store as it was left.
    async fn open(&self) -> Arc<dyn Store>;

    /// Opens the store as it was left, also while it does not have everything that is moved there.
    async fn open_for_transfer(&self) -> Arc<dyn Store>;

    /// Opens the store as it was left, with two handles side by side, as two nodes have.
    async fn open_twice(&self) -> (Arc<dyn Store>, Arc<dyn Store>);

    /// Returns whether the same acts get the same sequence numbers again. A transaction that is broken off and run again
    /// uses up some.
    fn repeats(&self) -> bool {
        true
    }
}

/// Makes a function of each case of a file, and a macro that makes a test of each. The caller passes the dollar, which
/// the inner macro needs.
macro_rules! cases {
    (($d:tt) $file:ident $tests:ident: $($(#[$doc:meta])* async fn $name:ident($opener:ident) $body:block)+) => {
        $(
            $(#[$doc])*
            ///
            /// # Panics
            /// If the store does not conform.
            pub async fn $name($opener: &dyn Opener) $body
        )+

        /// Makes a test of each case of one file, as a part of `conformance!`.
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $tests {
            ($d fresh:expr) => { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::conformance::$file::$name(&$d fresh).await;
                }
            )+ };
        }
    };
}

/// Declares the files with cases, and makes `conformance!` of them.
macro_rules! suite {
    (($d:tt) $($file:ident $tests:ident)+) => {
        $(pub mod $file;)+

        /// Makes a test of each case for the store that `$fresh` (an expression) opens.
        #[macro_export]
        macro_rules! conformance {
            ($d fresh:expr) => { $($crate::$tests!($d fresh);)+ };
        }
    };
}

mod fixtures;
pub mod transfer;

suite! { ($)
    accounts conformance_accounts
    orders conformance_orders
    numbers conformance_numbers
    acts conformance_acts
    plans conformance_plans
    once conformance_once
    pool conformance_pool
    imports conformance_imports
    exchanges conformance_exchanges
    premises conformance_premises
    applications conformance_applications
    users conformance_users
    reservations conformance_reservations
    subscriptions conformance_subscriptions
    deliveries conformance_deliveries
    audit conformance_audit
    settings conformance_settings
    leases conformance_leases
    reports conformance_reports
    jobs conformance_jobs
    upkeep conformance_upkeep
    several_nodes conformance_several_nodes
}
