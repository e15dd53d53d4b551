//! Leases.

use std::time::Duration;

use super::fixtures::LONG;
use crate::Store;
use crate::conformance::Opener;
use crate::contract::leases::LeaseToken;

async fn take(store: &dyn Store, name: &str, lasts: Duration) -> Option<LeaseToken> {
    store.take_lease(name, lasts).await.expect("tried")
}

async fn renew(store: &dyn Store, name: &str, token: LeaseToken, lasts: Duration) -> bool {
    store.renew_lease(name, token, lasts).await.expect("tried")
}

cases! { ($) leases conformance_leases:
    /// Nobody else takes a lease that lasts, nor renews it, nor ends it.
    async fn a_lease_has_one_holder(opener) {
        let (one, other) = opener.open_twice().await;
        let first = take(&*one, "a", LONG).await.expect("free");
        assert_eq!((take(&*other, "a", LONG).await, take(&*one, "a", LONG).await), (None, None));
        let apart = take(&*other, "b", LONG).await.expect("each name is a lease of its own");
        assert!(apart > first);
        assert!(renew(&*one, "a", first, LONG).await);
        assert!(!renew(&*other, "a", apart, LONG).await && !renew(&*one, "b", first, LONG).await);
        other.end_lease("a", apart).await.expect("tried");
        assert_eq!(take(&*other, "a", LONG).await, None, "it was not the holder that ended it");
        one.end_lease("a", first).await.expect("ended");
        let second = take(&*other, "a", LONG).await.expect("free again");
        assert!(second > apart);
        assert!(!renew(&*one, "a", first, LONG).await);
        one.end_lease("a", first).await.expect("tried");
        assert_eq!(take(&*one, "a", LONG).await, None, "the former holder ends nothing");
    }

    /// Many handles take a lease at once, and one of them has it.
    async fn a_lease_that_many_want_at_once_is_one_node_s(opener) {
        let (one, other) = opener.open_twice().await;
        let mut wanting = tokio::task::JoinSet::new();
        for n in 0..16 {
            let store = if n % 2 == 0 { one.clone() } else { other.clone() };
            wanting.spawn(async move { take(&*store, "a", LONG).await });
        }
        assert_eq!(wanting.join_all().await.into_iter().flatten().count(), 1);
    }

    /// It cannot be renewed, and the next one takes it.
    async fn a_lease_that_has_run_out_is_free(opener) {
        let (one, other) = opener.open_twice().await;
        let first = take(&*one, "a", Duration::ZERO).await.expect("free");
        assert!(!renew(&*one, "a", first, LONG).await);
        let second = take(&*other, "a", LONG).await.expect("free");
        assert!(second > first);
        assert!(renew(&*other, "a", second, Duration::ZERO).await);
        assert!(take(&*one, "a", LONG).await.expect("free") > second);
    }

    /// No token is drawn twice, so that a claim of an old one is never taken for one of a new one.
    async fn tokens_grow_over_restarts(opener) {
        let store = opener.open().await;
        let first = take(&*store, "a", LONG).await.expect("free");
        store.end_lease("a", first).await.expect("ended");
        store.close().await;
        let store = opener.open().await;
        assert!(take(&*store, "a", LONG).await.expect("free") > first);
    }
}
