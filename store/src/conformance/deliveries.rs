//! Notifications and their deliveries.

use onhook_core::ids::{NotificationSeq, SubscriptionSeq};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::notify::notification::{
    Attempt, DeliveryFailure, DeliveryState as Notified, KEPT_MS, Next, Outcome, WAITING_MAX,
};
use onhook_core::notify::subscription::{
    Digest, Email, EventType, NewSubscription, OrderType, Receiver, Subject,
};
use onhook_core::order::{Kind, Status};
use onhook_core::time::DAY_MS;

use super::fixtures::{
    DISCONNECTS, LONG, NOON, account, activate, at, attempt, clean, disconnect, due, everything, limits, log,
    node_lease, note, number, order, policy, run_all, seed, seeded, subscribe, subscription,
};
use crate::StoreError;
use crate::conformance::Opener;
use crate::contract::deliveries::{Delivery, DeliveryFilter, DeliveryPage, Due, DuePage, Replayed, Sending};

cases! { ($) deliveries conformance_deliveries:
    /// Each subscription has one notification for each event of its own account and type.
    async fn each_subscriber_is_told_once_of_what_it_asked_for(opener) {
        let (store, one, _) = seeded(opener).await;
        let all = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        let again = subscribe(&*store, subscription(1, DISCONNECTS, "https://b", DAY_MS), 1).await;
        let numbers = subscribe(&*store, subscription(1, Subject::Orders(OrderType::Orders, None), "https://a", DAY_MS), 1).await;
        let ported = subscribe(&*store, subscription(1, Subject::Orders(OrderType::PortIns, None), "https://a", DAY_MS), 1).await;
        let event = subscribe(&*store, subscription(1, Subject::Event(EventType::MessagingLost), "https://a", DAY_MS), 1).await;
        let theirs = subscribe(&*store, subscription(2, DISCONNECTS, "https://a", DAY_MS), 1).await;
        let first = store.accept(order(2, 1, disconnect([1, 2]))).await.expect("accepted").id;
        store.accept(order(3, 1, disconnect([2, 99]))).await.expect("accepted");
        store.accept(order(4, 1, activate([1], one))).await.expect("accepted");
        let noted = store.write_note(account(1), Kind::Disconnect, first, None, note("early", 5)).await.expect("written");
        let step = store.run_orders(at(10), 100, 1_000, policy()).await.expect("run");
        assert_eq!(step.told, 5);
        store.write_note(account(1), Kind::Disconnect, first, noted, note("early, better said", 11)).await.expect("written");
        store.write_note(account(1), Kind::Disconnect, first, None, note("late", 12)).await.expect("written");
        let told = |log: Vec<Delivery>| log.into_iter().rev().map(|d| (d.status, d.note, d.order == first)).collect::<Vec<_>>();
        let wanted = [
            (Status::Received, true, true), (Status::Complete, false, true), (Status::Failed, false, false), (Status::Complete, true, true),
        ];
        assert_eq!(told(log(&*store, &all).await), wanted);
        assert_eq!(told(log(&*store, &again).await), wanted);
        assert_eq!(told(log(&*store, &numbers).await), [(Status::Complete, false, false)]);
        for nothing in [&ported, &event, &theirs] {
            assert!(log(&*store, nothing).await.is_empty(), "{nothing:?}");
        }
        assert_eq!(store.deliveries_waiting().await.expect("read"), 9);
        let ids: std::collections::HashSet<_> = log(&*store, &all).await.iter().chain(&log(&*store, &again).await).map(|d| d.id).collect();
        assert_eq!(ids.len(), 8, "each has an id of its own");
        let lease = node_lease(&*store).await;
        let due = due(&*store, lease, 20).await;
        let ready = store.ready(all.seq, due[0].notifications.clone()).await.expect("read").expect("there");
        assert_eq!(ready.subscription, all);
        assert_eq!(ready.notifications.iter().map(|n| n.note.as_deref()).collect::<Vec<_>>(), [Some("early"), None, None, Some("late")]);
        assert_eq!(ready.notifications[1].order.done().collect::<Vec<_>>(), [number(1), number(2)]);
        clean(&*store).await;
    }

    /// A notification stays due until an attempt is recorded, and then follows the recorded outcome.
    async fn what_is_due_waits_until_it_is_recorded(opener) {
        let (store, ..) = seeded(opener).await;
        let lease = node_lease(&*store).await;
        let made = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        let other = subscribe(&*store, subscription(1, DISCONNECTS, "https://b", DAY_MS), 1).await;
        for n in [1, 2, 3] {
            store.accept(order(2, 1, disconnect([n]))).await.expect("accepted");
        }
        run_all(&*store, at(10)).await;
        let found = due(&*store, lease, 10).await;
        assert_eq!(found.iter().map(|d| (d.subscription, d.account, d.target.as_str(), d.daily, d.notifications.len())).collect::<Vec<_>>(),
            [(made.seq, account(1), "https://a", false, 3), (other.seq, account(1), "https://b", false, 3)]);
        assert_eq!(due(&*store, lease, 9).await, []);
        let DuePage { due: few, next } = store.claim(lease, at(10), SubscriptionSeq(0), limits(1, 2, 2)).await.expect("read");
        assert_eq!((few.len(), few[0].notifications.as_slice(), next), (1, &found[0].notifications[..2], Some(made.seq)));
        let DuePage { due: rest, next } = store.claim(lease, at(10), made.seq, limits(5, 2, 2)).await.expect("read");
        assert_eq!((rest.len(), rest[0].subscription, next), (1, other.seq, None));
        store.end_lease("node", lease).await.expect("ended");
        store.close().await;
        let store = opener.open().await;
        let lease = node_lease(&*store).await;
        assert_eq!(due(&*store, lease, 10).await, found, "the same after reopening");
        let [first, second, third] = found[0].notifications[..] else { panic!() };
        let before: Vec<_> = log(&*store, &made).await.iter().map(|d| d.id).collect();
        store.record(lease, attempt(20, Outcome::Answered(503)), vec![(first, Next::Again(at(500)))]).await.expect("kept");
        store.record(lease, attempt(21, Outcome::Answered(200)), vec![(second, Next::Delivered)]).await.expect("kept");
        store.record(lease, attempt(22, Outcome::Failed(DeliveryFailure::Timeout)), vec![(third, Next::GiveUp)]).await.expect("kept");
        // A second outcome of an ended notification changes nothing, nor does one of an unknown notification.
        store.record(lease, attempt(23, Outcome::Answered(500)), vec![(second, Next::GiveUp), (NotificationSeq(9_999), Next::GiveUp)]).await.expect("kept");
        assert_eq!(due(&*store, lease, 499).await.iter().map(|d| d.subscription).collect::<Vec<_>>(), [other.seq]);
        assert_eq!(due(&*store, lease, 500).await[0].notifications, [first]);
        let shown = log(&*store, &made).await;
        assert_eq!(shown.iter().map(|d| (d.standing, d.due_at, d.reason.as_deref())).collect::<Vec<_>>(), [
            (Notified::GivenUp, None, Some("timeout")), (Notified::Delivered, None, None), (Notified::Waiting, Some(at(500)), None),
        ]);
        let attempts = |d: &Delivery| d.attempts.iter().map(|a| (a.at, a.took_ms, a.outcome.clone())).collect::<Vec<_>>();
        assert_eq!(attempts(&shown[2]), [(at(20), 5, "http 503".into())]);
        assert_eq!(attempts(&shown[1]), [(at(21), 5, "http 200".into())]);
        store.record(lease, attempt(510, Outcome::Answered(200)), vec![(first, Next::Delivered)]).await.expect("kept");
        let shown = log(&*store, &made).await;
        assert_eq!(attempts(&shown[2]).len(), 2);
        assert_eq!(shown.iter().map(|d| d.id).collect::<Vec<_>>(), before, "ids stay");
        let DeliveryPage { deliveries: page, total } = store.deliveries(account(1), made.id, 2, 2).await.expect("read").expect("there");
        assert_eq!((page.len(), total, &page[0]), (1, 3, &shown[2]));
        assert_eq!(store.deliveries(account(2), made.id, 1, 10).await.expect("read"), None);
        let known = store.subscription(account(1), made.id, at(511)).await.expect("read").expect("there");
        assert_eq!(known.last.as_deref(), Some("200 OK"));
        clean(&*store).await;
    }

    /// Two nodes look at once. Each notification is claimed by one of them.
    async fn each_notification_is_claimed_once(opener) {
        let (one, other) = opener.open_twice().await;
        seed(&*one).await;
        for url in ["https://a", "https://b"] {
            subscribe(&*one, subscription(1, DISCONNECTS, url, DAY_MS), 1).await;
        }
        for n in 1..=5 {
            one.accept(order(2, 1, disconnect([n]))).await.expect("accepted");
        }
        run_all(&*one, at(10)).await;
        let first = one.take_lease("node-1", LONG).await.expect("tried").expect("free");
        let second = other.take_lease("node-2", LONG).await.expect("tried").expect("free");
        let (mine, theirs) = tokio::join!(due(&*one, first, 10), due(&*other, second, 10));
        let mut claimed: Vec<_> = mine.iter().chain(&theirs).flat_map(|due| due.notifications.clone()).collect();
        claimed.sort_unstable();
        claimed.dedup();
        assert_eq!(claimed.len(), 10);
        let held = |found: &[Due]| found.iter().map(|due| due.notifications.len()).sum::<usize>();
        assert_eq!(held(&mine) + held(&theirs), 10, "none is claimed twice");
        assert_eq!((due(&*one, first, 10).await, due(&*other, second, 10).await), (mine, theirs), "claims stay");
        clean(&*one).await;
    }

    /// What a node has claimed is another's once its lease is over, or once it has recorded that it is to be tried again.
    /// What it says after that is not heard.
    async fn a_claim_ends_with_its_lease(opener) {
        let (one, other) = opener.open_twice().await;
        seed(&*one).await;
        let made = subscribe(&*one, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        for n in [1, 2, 3] {
            one.accept(order(2, 1, disconnect([n]))).await.expect("accepted");
        }
        run_all(&*one, at(10)).await;
        let first = one.take_lease("node-1", LONG).await.expect("tried").expect("free");
        let second = other.take_lease("node-2", LONG).await.expect("tried").expect("free");
        let [a, b, c] = due(&*one, first, 10).await[0].notifications[..] else { panic!("three are due") };
        assert_eq!(due(&*other, second, 10).await, []);
        other.record(second, attempt(11, Outcome::Answered(200)), vec![(b, Next::Delivered)]).await.expect("tried");
        one.record(first, attempt(11, Outcome::Answered(503)), vec![(a, Next::Again(at(20)))]).await.expect("kept");
        assert_eq!(due(&*other, second, 20).await[0].notifications, [a], "it is no longer claimed");
        assert_eq!(due(&*one, first, 20).await[0].notifications, [b, c], "not even the first one may take it back");

        one.end_lease("node-1", first).await.expect("ended");
        let late = one.claim(first, at(20), SubscriptionSeq(0), limits(5, 5, 5)).await;
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
        let late = one.record(first, attempt(21, Outcome::Answered(200)), vec![(b, Next::Delivered)]).await;
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
        assert_eq!(due(&*other, second, 20).await[0].notifications, [b, c, a], "by when they are due");
        other.record(second, attempt(22, Outcome::Answered(200)), vec![(c, Next::Delivered)]).await.expect("kept");
        let shown = log(&*other, &made).await;
        assert_eq!(shown.iter().map(|d| (d.standing, d.attempts.len())).collect::<Vec<_>>(),
            [(Notified::Delivered, 1), (Notified::Waiting, 0), (Notified::Waiting, 1)], "newest first");
        let third = one.take_lease("node-1", LONG).await.expect("tried").expect("free");
        assert_eq!(due(&*one, third, 20).await, [], "a new lease has no claims of the old one");
        clean(&*one).await;
    }

    /// Notifications for a daily mail are due together, when the day has ended.
    async fn a_day_s_mail_is_due_at_its_end(opener) {
        let (store, ..) = seeded(opener).await;
        let lease = node_lease(&*store).await;
        let email = |digest| Receiver::Email(Email { address: "ops@example.com".into(), digest });
        let new = |digest, subject| NewSubscription { account: account(1), subject, receiver: email(digest), expires_at: None };
        let daily = subscribe(&*store, new(Digest::Daily, DISCONNECTS), 1).await;
        assert_eq!(store.subscription(account(1), daily.id, at(2)).await.expect("read"), Some(daily.clone()));
        for n in [1, 2, 3] {
            store.accept(order(n, 1, disconnect([n.unsigned_abs()]))).await.expect("accepted");
            run_all(&*store, at(n * 1_000)).await;
        }
        let end = NOON.div_euclid(DAY_MS) * DAY_MS + DAY_MS - NOON;
        assert_eq!(due(&*store, lease, end - 1).await, []);
        let found = due(&*store, lease, end).await;
        assert_eq!((found.len(), found[0].daily, found[0].notifications.len()), (1, true, 3));
        let what = found[0].notifications.iter().map(|seq| (*seq, Next::Delivered)).collect();
        store.record(lease, attempt(end, Outcome::Mailed), what).await.expect("kept");
        assert!(log(&*store, &daily).await.iter().all(|d| d.standing == Notified::Delivered && d.attempts.len() == 1));
        clean(&*store).await;
    }

    /// A receiver that is gone for good is told nothing more until its subscription is replaced. No receiver has more
    /// waiting notifications than the bound.
    async fn a_receiver_that_is_gone_is_told_nothing_more(opener) {
        let (store, ..) = seeded(opener).await;
        let lease = node_lease(&*store).await;
        let made = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        for n in [1, 2] {
            store.accept(order(2, 1, disconnect([n]))).await.expect("accepted");
        }
        run_all(&*store, at(10)).await;
        let first = due(&*store, lease, 10).await[0].notifications[0];
        store.record(lease, attempt(11, Outcome::Answered(410)), vec![(first, Next::Disable)]).await.expect("kept");
        assert_eq!(due(&*store, lease, DAY_MS).await, []);
        let reasons: Vec<_> = log(&*store, &made).await.into_iter().map(|d| d.reason.expect("given up")).collect();
        assert_eq!(reasons, ["the receiver is gone for good", "http 410"]);
        let known = store.subscription(account(1), made.id, at(12)).await.expect("read").expect("there");
        assert!(known.disabled);
        store.accept(order(12, 1, disconnect([3]))).await.expect("accepted");
        run_all(&*store, at(13)).await;
        assert_eq!(log(&*store, &made).await.len(), 2);
        store.resubscribe(made.id, subscription(1, DISCONNECTS, "https://a", DAY_MS), at(14)).await.expect("written");
        store.accept(order(15, 1, disconnect([4]))).await.expect("accepted");
        run_all(&*store, at(16)).await;
        assert_eq!(log(&*store, &made).await.len(), 3);
        let mut callers = tokio::task::JoinSet::new();
        for n in 0..WAITING_MAX + 3 {
            let store = store.clone();
            callers.spawn(async move { store.accept(order(17, 1, disconnect([50 + n % 9]))).await });
            if callers.len() == 500 {
                let first = callers.join_next().await.expect("some").expect("it ends");
                first.expect("accepted");
            }
        }
        callers.join_all().await;
        while store.run_orders(at(18), 1_000, 5_000, policy()).await.expect("run").more {}
        assert_eq!(store.deliveries_waiting().await.expect("read"), WAITING_MAX);
        clean(&*store).await;
    }

    /// The URL changed during the attempt: a 410 from the old receiver does not disable the new one, which is told
    /// everything.
    async fn a_receiver_that_is_gone_speaks_for_itself_alone(opener) {
        let (store, ..) = seeded(opener).await;
        let lease = node_lease(&*store).await;
        let made = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        for n in [1, 2] {
            store.accept(order(2, 1, disconnect([n]))).await.expect("accepted");
        }
        run_all(&*store, at(10)).await;
        let waiting = due(&*store, lease, 10).await.remove(0).notifications;
        store.resubscribe(made.id, subscription(1, DISCONNECTS, "https://b", DAY_MS), at(11)).await.expect("written");
        store.record(lease, attempt(12, Outcome::Answered(410)), vec![(waiting[0], Next::Disable)]).await.expect("kept");
        let found = due(&*store, lease, 17).await.remove(0);
        assert_eq!((found.target.as_str(), found.notifications), ("https://b", vec![waiting[1], waiting[0]]));
        assert_eq!(log(&*store, &made).await[1].attempts.len(), 1);
        assert!(!store.subscription(account(1), made.id, at(17)).await.expect("read").expect("there").disabled);
        let gone = Attempt { target: "https://b".into(), ..attempt(18, Outcome::Answered(410)) };
        store.record(lease, gone, vec![(waiting[0], Next::Disable)]).await.expect("kept");
        assert!(store.subscription(account(1), made.id, at(19)).await.expect("read").expect("there").disabled);
        clean(&*store).await;
    }

    /// Subscriptions end in turn, however many before them have ended and left a log.
    async fn ended_subscriptions_are_forgotten_in_turn(opener) {
        let (store, ..) = seeded(opener).await;
        let told = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", 20), 1).await;
        let also = subscribe(&*store, subscription(1, DISCONNECTS, "https://b", 20), 1).await;
        store.accept(order(2, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let untold = subscribe(&*store, subscription(1, DISCONNECTS, "https://c", 20), 11).await;
        let lasting = subscribe(&*store, subscription(1, DISCONNECTS, "https://d", DAY_MS), 11).await;
        let mut forgotten = 0;
        for n in 20..28 {
            store.expire_subscriptions(at(n), 1).await.expect("ended");
            forgotten += store.forget_deliveries(at(n), 1).await.expect("forgot");
        }
        assert_eq!(forgotten, 1);
        assert_eq!(store.deliveries(account(1), untold.id, 1, 10).await.expect("read"), None);
        for kept in [&told, &also] {
            assert_eq!(log(&*store, kept).await.len(), 1);
        }
        assert_eq!(store.subscriptions(everything(1, 28)).await.expect("read"), [lasting]);
        clean(&*store).await;
    }

    /// Deliveries that ended long ago are forgotten, and ended subscriptions with them. Waiting ones are not.
    async fn old_deliveries_are_forgotten(opener) {
        let (store, ..) = seeded(opener).await;
        let lease = node_lease(&*store).await;
        let brief = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", 20), 1).await;
        let lasting = subscribe(&*store, subscription(1, DISCONNECTS, "https://b", 2 * KEPT_MS), 1).await;
        store.accept(order(2, 1, disconnect([1]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let found = due(&*store, lease, 10).await;
        store.record(lease, attempt(11, Outcome::Answered(200)), vec![(found[0].notifications[0], Next::Delivered)]).await.expect("kept");
        assert_eq!(store.forget_deliveries(at(KEPT_MS), 100).await.expect("forgot"), 0);
        clean(&*store).await;
        assert_eq!(store.expire_subscriptions(at(19), 100).await.expect("ended"), []);
        assert_eq!(store.expire_subscriptions(at(20), 100).await.expect("ended"), [(brief.id, account(1))]);
        assert_eq!(store.expire_subscriptions(at(20), 100).await.expect("ended"), [], "it has ended once");
        assert_eq!(store.forget_deliveries(at(KEPT_MS + 17), 100).await.expect("forgot"), 2);
        assert_eq!(store.deliveries(account(1), brief.id, 1, 10).await.expect("read"), None);
        assert_eq!(log(&*store, &lasting).await.len(), 1, "it still waits");
        store.record(lease, attempt(KEPT_MS + 18, Outcome::Answered(200)), vec![(found[1].notifications[0], Next::Delivered)]).await.expect("kept");
        assert_eq!(store.expire_subscriptions(at(2 * KEPT_MS), 100).await.expect("ended"), [(lasting.id, account(1))]);
        assert_eq!(store.forget_deliveries(at(2 * KEPT_MS + 24), 100).await.expect("forgot"), 2, "its subscription has ended, too");
        clean(&*store).await;
    }

    /// Under the same message id, with attempts of its own. What waits is only due now.
    async fn a_delivery_is_made_again_when_a_person_asks(opener) {
        let (store, ..) = seeded(opener).await;
        let of = subscribe(&*store, subscription(1, DISCONNECTS, "https://a", DAY_MS), 1).await;
        subscribe(&*store, subscription(2, DISCONNECTS, "https://b", DAY_MS), 1).await;
        let id = store.accept(order(2, 1, disconnect([1]))).await.expect("accepted").id;
        store.accept(order(2, 2, disconnect([11]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let lease = node_lease(&*store).await;
        let seq = due(&*store, lease, 20).await.remove(0).notifications.remove(0);
        let replay = async |seq, account, n| store.replay(seq, account, None, Doer::offline(at(n))).await.expect("tried");
        for other in [Some(account(2)), Some(account(9))] {
            assert_eq!(replay(seq, other, 21).await, Replayed::Unknown);
        }
        assert_eq!(replay(NotificationSeq(99), None, 21).await, Replayed::Unknown);
        // It waits for its second attempt in an hour: a person moves that to now.
        let again = Next::Again(at(3_600_000));
        store.record(lease, attempt(22, Outcome::Answered(500)), vec![(seq, again)]).await.expect("kept");
        let Replayed::Moved(moved) = replay(seq, Some(account(1)), 23).await else { panic!("not moved") };
        assert_eq!((moved.seq, moved.delivery.due_at, moved.replay_of), (seq, Some(at(23)), None));
        let claimed = due(&*store, lease, 24).await;
        assert_eq!(claimed[0].notifications, [seq]);
        store.record(lease, attempt(25, Outcome::Answered(200)), vec![(seq, Next::Delivered)]).await.expect("kept");
        // Now it has ended, and there is another one.
        let Replayed::Made(made) = replay(seq, None, 26).await else { panic!("not made") };
        assert_ne!(made.seq, seq);
        assert_eq!((made.replay_of, made.delivery.id, made.delivery.order), (Some(seq), moved.delivery.id, id));
        let full = store.delivery(made.seq, Some(account(1))).await.expect("read").expect("there");
        let (subscription, told) = full.told.expect("there");
        assert_eq!((subscription.id, told.at, told.attempts, told.replayed_at), (of.id, moved.delivery.at, 0, Some(at(26))));
        assert_eq!(due(&*store, lease, 27).await[0].notifications, [made.seq]);
        store.record(lease, attempt(28, Outcome::Answered(500)), vec![(made.seq, Next::GiveUp)]).await.expect("kept");
        let first = store.delivery(seq, None).await.expect("read").expect("there").sending.delivery;
        assert_eq!(first.attempts.iter().map(|one| &*one.outcome).collect::<Vec<_>>(), ["http 500", "http 200"]);
        // Newest first, and by each filter.
        let find = async |filter: DeliveryFilter, after, size| store.find_deliveries(filter, after, size).await.expect("read");
        let seqs = |found: &[Sending]| found.iter().map(|one| one.seq).collect::<Vec<_>>();
        let one = DeliveryFilter { account: Some(account(1)), ..DeliveryFilter::default() };
        let (found, next) = find(one.clone(), None, 10).await;
        assert_eq!((seqs(&found), next), (vec![made.seq, seq], None));
        let (found, next) = find(one.clone(), None, 1).await;
        assert_eq!((seqs(&found), next), (vec![made.seq], Some(made.seq)));
        assert_eq!(seqs(&find(one.clone(), next, 1).await.0), [seq]);
        assert_eq!(find(DeliveryFilter::default(), None, 10).await.0.len(), 3);
        for (filter, wanted) in [
            (DeliveryFilter { standing: Some(Notified::GivenUp), ..one.clone() }, vec![made.seq]),
            (DeliveryFilter { order: Some(id), ..one.clone() }, vec![made.seq, seq]),
            (DeliveryFilter { note: Some(true), ..one.clone() }, vec![]),
            (DeliveryFilter { receiver: Some("https://".into()), ..one.clone() }, vec![made.seq, seq]),
            (DeliveryFilter { receiver: Some("https://b".into()), ..one.clone() }, vec![]),
        ] {
            assert_eq!(seqs(&find(filter.clone(), None, 10).await.0), wanted, "{filter:?}");
        }
        // After its subscription there is nobody to deliver it to.
        assert!(store.unsubscribe(account(1), of.id, at(30)).await.expect("removed"));
        assert_eq!(replay(seq, None, 31).await, Replayed::NoReceiver);
        let alone = store.delivery(seq, None).await.expect("read").expect("there");
        assert_eq!((alone.sending.receiver, alone.told), (None, None));
        clean(&*store).await;
    }
}
