//! The store in a PostgreSQL database: the suite of all stores, on a real cluster.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests say why they are skipped")]

mod openers;

mod conforms {
    onhook_store::conformance!({
        let Some(fresh) = crate::openers::database() else { return };
        fresh
    });
}
