//! Requests with a key: done once, with the reply that is kept in the same transaction.

use std::sync::Arc;

use onhook_core::lifecycle::provenance::Author;
use onhook_core::order::act::Act;
use onhook_core::time::{DAY_MS, Timestamp};

use super::fixtures::{at, clean, disconnect, number, order, policy, run_all, seeded};
use crate::conformance::Opener;
use crate::contract::acts::{Acted, Asked, Undone};
use crate::contract::once::{KEPT_MS, Kept, Once, RepliesMax, Reply, SURE_MS};
use crate::{Result, Store, StoreError};

/// Returns a key of a user, whose request was sent at `now`.
fn key(user: &str, key: &str, now: Timestamp) -> Once<Acted> {
    let render = |done: &Acted| {
        let Acted::Done { number: Some(facts), .. } = done else { return None };
        let body = format!("{} locked: {}", facts.entry.number, facts.entry.locked);
        Some(Reply { status: 200, location: None, body })
    };
    Once { user: user.into(), key: key.into(), digest: [7; 32], at: now, render: Arc::new(render) }
}

async fn lock(store: &dyn Store, n: u64, key: Once<Acted>) -> Result<Acted> {
    let asked = Asked {
        act: Act::Lock,
        account: None,
        numbers: vec![number(n)],
        remaining: 0,
        author: Author::from(&*key.user),
        made_at: key.at,
        expires_at: key.at,
    };
    let now = key.at;
    store.act(asked, None, Some(key), now, policy()).await
}

/// Locks a number that is not locked.
async fn locked(store: &dyn Store, n: u64, key: Once<Acted>) {
    let done = lock(store, n, key).await.expect("written");
    assert!(matches!(done, Acted::Done { .. }), "{done:?}");
}

async fn kept(store: &dyn Store, user: &str, key: &str) -> Option<Kept> {
    store.reply(user, key).await.expect("read")
}

cases! { ($) once conformance_once:
    /// An act and the reply to it are written together, and not again under the same key.
    async fn a_request_with_a_key_is_done_once(opener) {
        let (store, ..) = seeded(opener).await;
        locked(&*store, 0, key("a", "k", at(1))).await;
        store.close().await;
        let store = opener.open().await;
        let body = format!("{} locked: true", number(0));
        let reply = Reply { status: 200, location: None, body };
        assert_eq!(kept(&*store, "a", "k").await, Some(Kept { digest: [7; 32], reply }));
        let again = lock(&*store, 1, key("a", "k", at(2))).await;
        assert!(matches!(again, Err(StoreError::KeyTaken)), "{again:?}");
        let facts = store.facts(number(1)).await.expect("read").expect("there");
        assert!(!facts.entry.locked, "nothing was done under a key that is taken");
        // A refusal keeps nothing, so that the key is free afterwards. Others have keys of their own.
        let refused = lock(&*store, 0, key("b", "k", at(3))).await.expect("tried");
        assert!(matches!(refused, Acted::Nothing(_)), "{refused:?}");
        assert_eq!(kept(&*store, "b", "k").await, None);
        locked(&*store, 1, key("b", "k", at(4))).await;
        clean(&*store).await;
    }

    /// An undo keeps where its order is.
    async fn an_undo_with_a_key_is_done_once(opener) {
        let (store, ..) = seeded(opener).await;
        let id = store.accept(order(1, 1, disconnect([0, 1]))).await.expect("accepted").id;
        run_all(&*store, at(10)).await;
        let render = |done: &Undone| {
            let Undone::Done { order, .. } = done else { return None };
            Some(Reply { status: 201, location: Some(order.id.to_string()), body: String::new() })
        };
        let (user, digest, at_20) = ("a".to_owned(), [1; 32], at(20));
        let key = Once { user, key: "k".into(), digest, at: at_20, render: Arc::new(render) };
        let undo = async || store.undo(id, false, "a".into(), Some(key.clone()), at_20, policy()).await;
        let Undone::Done { order: back, .. } = undo().await.expect("written") else { panic!("not done") };
        let again = undo().await;
        assert!(matches!(again, Err(StoreError::KeyTaken)), "{again:?}");
        let Kept { reply, .. } = kept(&*store, "a", "k").await.expect("kept");
        assert_eq!((reply.status, reply.location), (201, Some(back.id.to_string())));
        clean(&*store).await;
    }

    /// Of many with one key on two handles, one is done.
    async fn of_requests_with_one_key_at_once_one_is_done(opener) {
        let (store, ..) = seeded(opener).await;
        store.close().await;
        let (one, two) = opener.open_twice().await;
        for n in 0..8 {
            let (first, second) = tokio::join!(
                lock(&*one, n, key("a", &n.to_string(), at(1))),
                lock(&*two, 9 - n % 2, key("a", &n.to_string(), at(1)))
            );
            let taken = [&first, &second].iter().filter(|done| matches!(done, Err(StoreError::KeyTaken))).count();
            let refused = [&first, &second].iter().filter(|done| matches!(done, Ok(Acted::Nothing(_)))).count();
            // A refusal frees the key, so that the other one may still be done.
            assert_eq!(taken + refused, 1, "{first:?} {second:?}");
            assert!(kept(&*two, "a", &n.to_string()).await.is_some());
        }
        clean(&*one).await;
    }

    /// A reply is forgotten when it is old, or when there are too many; never one that is young. Then no more are taken.
    async fn old_replies_are_forgotten(opener) {
        let (store, ..) = seeded(opener).await;
        for n in 0..4 {
            let sent = at(i64::try_from(n).expect("few") * DAY_MS);
            locked(&*store, n, key("a", &n.to_string(), sent)).await;
        }
        let forget = async |now: Timestamp, kept: u64, forgotten: usize| {
            store.forget_replies(now, RepliesMax { kept, forgotten }).await.expect("written")
        };
        let there = async || {
            let mut there = Vec::new();
            for n in 0..6 {
                there.extend(kept(&*store, "a", &n.to_string()).await.map(|_| n));
            }
            there
        };
        assert_eq!(forget(at(KEPT_MS - 1), 10, 10).await, 0);
        assert_eq!(forget(at(KEPT_MS), 10, 10).await, 1);
        assert_eq!(there().await, [1, 2, 3]);
        let day_3 = 3 * DAY_MS;
        assert_eq!(forget(at(day_3), 2, 0).await, 0, "as many as were asked for");
        let full = lock(&*store, 5, key("a", "5", at(day_3))).await;
        assert!(matches!(full, Err(StoreError::Full)), "{full:?}");
        assert_eq!(forget(at(day_3), 2, 10).await, 1);
        assert_eq!(there().await, [2, 3]);
        locked(&*store, 5, key("a", "5", at(day_3))).await;
        assert_eq!(forget(at(day_3 + SURE_MS - 1), 1, 10).await, 1, "one of three is not young");
        assert_eq!(there().await, [3, 5]);
        let full = lock(&*store, 4, key("a", "4", at(day_3))).await;
        assert!(matches!(full, Err(StoreError::Full)), "{full:?}");
        assert_eq!(forget(at(day_3 + SURE_MS), 1, 10).await, 1);
        assert_eq!(there().await, [5]);
        locked(&*store, 4, key("a", "4", at(day_3))).await;
        clean(&*store).await;
    }
}
