//! Subscriptions.

use onhook_core::ids::OrderId;
use onhook_core::notify::subscription::{NewSubscription, OrderType, Receiver, SUBSCRIPTIONS_MAX, Subject};
use onhook_core::order::Status;
use onhook_core::time::DAY_MS;

use super::fixtures::{
    DISCONNECTS, account, at, clean, disconnect, due, everything, log, node_lease, order, run_all, seeded,
    subscribe, subscription,
};
use crate::conformance::Opener;
use crate::contract::subscriptions::{Subscribed, SubscriptionQuery};

cases! { ($) subscriptions conformance_subscriptions:
    /// Only its account finds a subscription. It is replaced as a whole, and its waiting notifications end with it. A
    /// second one like it, or one too many, is refused.
    async fn a_subscription_is_written_again_and_removed(opener) {
        let (store, ..) = seeded(opener).await;
        let made = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        let same = store.subscribe(subscription(1, DISCONNECTS, "https://a", 2 * DAY_MS), at(2)).await.expect("tried");
        assert_eq!(same, Subscribed::Duplicate);
        assert_eq!(store.subscription(account(1), made.id, at(2)).await.expect("read"), Some(made.clone()));
        assert_eq!(store.subscription(account(2), made.id, at(2)).await.expect("read"), None);
        let Receiver::Callback(callback) = &made.receiver else { panic!("{made:?}") };
        assert_eq!(callback.credentials.as_ref().expect("kept").password.expose(), "s3cure");
        store.close().await;
        let store = opener.open().await;
        store.accept(order(3, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        assert_eq!(log(&*store, &made).await.len(), 1, "it is told after reopening, too");

        let other = subscription(1, Subject::Orders(OrderType::Orders, None), "https://b", 3 * DAY_MS);
        let foreign = NewSubscription { account: account(2), ..other.clone() };
        assert_eq!(store.resubscribe(made.id, foreign, at(11)).await.expect("tried"), Subscribed::Missing);
        let Subscribed::Made(written) = store.resubscribe(made.id, other.clone(), at(11)).await.expect("written") else { panic!() };
        assert_eq!((written.id, written.seq), (made.id, made.seq));
        assert_eq!((&written.subject, &written.receiver, written.expires_at), (&other.subject, &other.receiver, other.expires_at));
        let Subscribed::Made(_) = store.resubscribe(made.id, other, at(12)).await.expect("written") else { panic!("it is no duplicate of itself") };
        store.accept(order(13, 1, disconnect([2]))).await.expect("accepted");
        run_all(&*store, at(14)).await;
        assert_eq!(log(&*store, &made).await.len(), 1);
        let listed = store.subscriptions(SubscriptionQuery { orders: Some(OrderType::Disconnects), ..everything(1, 15) }).await.expect("read");
        assert_eq!(listed, []);
        assert_eq!(store.subscriptions(everything(1, 15)).await.expect("read"), [*written]);

        assert!(!store.unsubscribe(account(2), made.id, at(16)).await.expect("tried"));
        assert!(store.unsubscribe(account(1), made.id, at(16)).await.expect("removed"));
        assert!(!store.unsubscribe(account(1), made.id, at(16)).await.expect("tried"));
        assert_eq!(store.deliveries(account(1), made.id, 1, 10).await.expect("read"), None);
        assert_eq!((due(&*store, node_lease(&*store).await, DAY_MS).await, store.deliveries_waiting().await.expect("read")), (vec![], 0));
        for n in 0..SUBSCRIPTIONS_MAX {
            subscribe(&*store, subscription(1, DISCONNECTS, &format!("https://{n}"), DAY_MS), 17).await;
        }
        let more = store.subscribe(subscription(1, DISCONNECTS, "https://more", DAY_MS), at(18)).await.expect("tried");
        assert_eq!(more, Subscribed::TooMany);
        clean(&*store).await;
    }

    /// A subscription about one order is told of its end, even if made after it, and then ends. An expired one is told
    /// nothing more and is not listed.
    async fn a_subscription_ends_with_its_order_and_with_its_time(opener) {
        let (store, ..) = seeded(opener).await;
        let id = store.accept(order(1, 1, disconnect([1]))).await.expect("accepted").id;
        let other = store.accept(order(2, 1, disconnect([2]))).await.expect("accepted").id;
        let theirs = store.accept(order(2, 2, disconnect([12]))).await.expect("accepted").id;
        let bound = |id| Subject::Orders(OrderType::Disconnects, Some(id));
        let one = subscribe(&*store, subscription(1, bound(id), "https://a", DAY_MS), 3).await;
        assert_eq!(one.subject, bound(id));
        let unknown = OrderId(uuid::Uuid::from_u128(0x4000_8000_0000_0000_0002));
        let numbers = Subject::Orders(OrderType::Orders, Some(id));
        let ported = Subject::Orders(OrderType::PortIns, Some(id));
        for wrong in [bound(theirs), bound(unknown), numbers, ported] {
            let tried = store.subscribe(subscription(1, wrong, "https://a", DAY_MS), at(3)).await.expect("tried");
            assert_eq!(tried, Subscribed::NoOrder, "{wrong:?}");
        }
        let brief = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", 10), 3).await;
        let of_order = SubscriptionQuery { order: Some(id), ..everything(1, 4) };
        assert_eq!(store.subscriptions(of_order).await.expect("read"), std::slice::from_ref(&one));
        assert_eq!(store.subscriptions(everything(1, 9)).await.expect("read").len(), 2);
        assert_eq!(store.subscriptions(everything(1, 10)).await.expect("read"), std::slice::from_ref(&one));
        run_all(&*store, at(10)).await;
        assert_eq!(store.subscriptions(everything(1, 10)).await.expect("read"), []);
        assert_eq!(store.subscription(account(1), one.id, at(11)).await.expect("read"), None);
        assert_eq!((log(&*store, &one).await.len(), log(&*store, &brief).await.len()), (1, 0));
        assert_eq!(log(&*store, &one).await[0].order, id);
        let late = subscribe(&*store, subscription(1, bound(other), "https://a", DAY_MS), 12).await;
        assert_eq!(log(&*store, &late).await.iter().map(|d| (d.order, d.status)).collect::<Vec<_>>(), [(other, Status::Complete)]);
        assert_eq!(store.subscription(account(1), late.id, at(12)).await.expect("read"), None);
        // Notifications written before are still delivered.
        assert_eq!(due(&*store, node_lease(&*store).await, 12).await.iter().map(|d| d.subscription).collect::<Vec<_>>(), [one.seq, late.seq]);
        clean(&*store).await;
    }
}
