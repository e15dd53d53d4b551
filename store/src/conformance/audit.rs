//! The audit trail.

use onhook_core::account::Role;
use onhook_core::account::details::{PeerChange, SiteChange};
use onhook_core::account::user::{Asker, Rights};
use onhook_core::audit::chain::Seal;
use onhook_core::audit::deed::{Deed, DeedKind, Recorded};
use onhook_core::audit::digest::Digest;
use onhook_core::audit::line::LineFilter;
use onhook_core::audit::verify::{Anchor, Fault, FaultKind};
use onhook_core::ids::{EventSeq, OrderSeq, PlanId};
use onhook_core::import::Intake;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::provenance::{Author, Credential, Doer, Provenance};
use onhook_core::locality::Exchange;
use serde_json::json;

use super::fixtures::{
    LONG, account, at, clean, disconnect, doer, lines, number, order, policy, run_all, seed, seeded,
};
use crate::StoreError;
use crate::audit::{Lookout, feed, known, positions, seal_all, seal_next, verify};
use crate::conformance::Opener;
use crate::contract::audit::{Late, SEALER, Sealed, Unsealed};
use crate::contract::premises::Removed;
use crate::contract::users::{NewUser, UserChange, UserChanged};

cases! { ($) audit conformance_audit:
    /// What is done to accounts, users, sites and peers, and each import, is written down with who did it. What is
    /// refused is not.
    async fn what_the_house_did_is_written_down(opener) {
        let (store, one, _) = seeded(opener).await;
        let kinds = async |after: EventSeq| {
            let deeds = store.deeds(after, 1_000).await.expect("read");
            let kinds: Vec<_> = deeds.iter().map(|found| (found.deed.kind, found.deed.account.map(|a| a.get()))).collect();
            (kinds, deeds.last().map_or(after, |found| found.seq))
        };
        use DeedKind as K;
        let (seeds, last) = kinds(EventSeq(0)).await;
        let of = |id| [(K::AccountCreated, Some(id)), (K::SiteCreated, Some(id)), (K::PeerCreated, Some(id))];
        assert_eq!(seeds, [&of(1)[..], &of(2), &[(K::Imported, None)]].concat());

        let under = Provenance {
            credential: Some(Credential::Basic),
            address: Some("192.0.2.1".into()),
            reason: Some("a reason".into()),
            plan: None,
        };
        let by = Doer { author: Author { user: "admin".into(), under: under.clone() }, now: at(5) };
        let new = NewUser { name: "admin".into(), account: Some(account(1)), role: Role::Admin, rights: Rights::NONE, password_hash: "$x".into() };
        store.create_user(new.clone(), at(4)).await.expect("made");
        assert!(store.create_user(new.clone(), at(4)).await.is_err());
        let reader = NewUser { name: "reader".into(), role: Role::Read, ..new };
        assert_eq!(store.make_user(Asker::User(by.author.user.clone()), reader, None, by.clone()).await.expect("tried"), UserChanged::Done);
        let asker = || Asker::User("admin".into());
        let set = UserChange::Set { password_hash: Some("$y".into()), role: Some(Role::Order), rights: None };
        assert_eq!(store.change_user(asker(), "reader".into(), set, by.clone()).await.expect("tried"), UserChanged::Done);
        assert_ne!(store.change_user(asker(), "admin".into(), UserChange::Removed, by.clone()).await.expect("tried"), UserChanged::Done);
        assert_eq!(store.change_user(asker(), "reader".into(), UserChange::Removed, by.clone()).await.expect("tried"), UserChanged::Done);
        let (site, _) = store.add_site(account(1), SiteChange::named("new".into()), by.clone()).await.expect("made");
        store.change_site(account(1), site.id, SiteChange::named("other".into()), by.clone()).await.expect("changed").expect("there");
        assert!(store.make_default_site(account(1), site.id, by.clone()).await.expect("tried"));
        assert!(store.make_default_site(account(1), one, by.clone()).await.expect("tried"));
        let (peer, _) = store.add_peer(account(1), site.id, PeerChange::named("a peer".into()), by.clone()).await.expect("made");
        let wants = PeerChange { is_default: Some(true), ..PeerChange::default() };
        store.change_peer(account(1), site.id, peer.id, wants, by.clone()).await.expect("changed").expect("there");
        assert_ne!(store.remove_site(account(1), site.id, by.clone()).await.expect("tried"), Removed::Gone);
        assert_eq!(store.remove_peer(account(1), site.id, peer.id, by.clone()).await.expect("tried"), Removed::Gone);
        assert_eq!(store.remove_site(account(1), site.id, by.clone()).await.expect("tried"), Removed::Gone);
        let raleigh = Exchange {
            npa_nxx: 919_555, region: "NC".into(), rate_center: "RALEIGH".into(), name: "Raleigh".into(),
            lata: None, city: None, zips: Vec::new(),
        };
        let exchange = || Box::new([(1, Ok(raleigh.clone()))].into_iter());
        store.import_exchanges(exchange(), doer(6)).await.expect("imported");
        let (done, _) = kinds(last).await;
        let done: Vec<_> = done.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(done, [
            K::UserCreated, K::UserCreated, K::UserChanged, K::UserRemoved, K::SiteCreated, K::SiteChanged, K::SiteChanged,
            K::SiteChanged, K::PeerCreated, K::PeerChanged, K::PeerRemoved, K::SiteRemoved, K::Imported,
        ]);
        let deeds = store.deeds(last, 1_000).await.expect("read");
        assert_eq!((deeds[0].deed.user.as_deref(), &deeds[0].deed.under), (Some("machine"), &doer(0).author.under));
        assert_eq!((deeds[1].deed.user.as_deref(), &deeds[1].deed.under, deeds[1].deed.at), (Some("admin"), &under, at(5)));
        let changed = json!({"before": {"name": "reader", "role": "read"}, "after": {"name": "reader", "role": "order"}, "password_changed": true});
        assert_eq!(deeds[2].deed.detail, changed);
        let id = site.id.to_string();
        assert_eq!(deeds[5].deed.detail, json!({"before": {"id": id, "name": "new"}, "after": {"id": id, "name": "other"}}));
        store.close().await;
        clean(&*opener.open().await).await;
    }

    /// A deed is read as it was written. Its order's events are those of numbers alone.
    async fn a_deed_is_read_as_it_was_written(opener) {
        let (store, ..) = seeded(opener).await;
        let last = store.deeds(EventSeq(0), 1_000).await.expect("read").last().expect("some").seq;
        let plan = PlanId(uuid::Uuid::from_u128(7));
        let one = Deed::by(&doer(7), DeedKind::OrderCancelled).about(account(1)).order(OrderSeq(1)).plan(plan).with("n", 5);
        let other = Deed::by_itself(at(8), DeedKind::OrderExpired);
        store.write_deeds(vec![one.clone(), other.clone()]).await.expect("written");
        store.write_deeds(Vec::new()).await.expect("nothing to write");
        let read: Vec<Deed> = store.deeds(last, 10).await.expect("read").into_iter().map(|Recorded { deed, .. }| deed).collect();
        assert_eq!(read, [one, other]);
        assert_eq!(store.deeds(last, 1).await.expect("read").len(), 1);
        store.import(lines(Vec::new()), Intake::of("none"), at(9), policy()).await.expect("imported");
        clean(&*store).await;
    }

    /// Positions are 1, 2, 3 … in the order of the events, without a gap, under seals that verify. What has no position
    /// yet is counted, and gets the next ones.
    async fn every_event_gets_one_position_under_a_seal(opener) {
        let (store, ..) = seeded(opener).await;
        assert_eq!(store.head().await.expect("read"), None);
        let waiting = store.unsealed_count().await.expect("read");
        assert_eq!(waiting, 7);
        let lease = store.take_lease(SEALER, LONG).await.expect("tried").expect("free");
        assert_eq!(seal_next(&*store, lease, at(1)).await.expect("sealed"), 7);
        assert_eq!(seal_next(&*store, lease, at(1)).await.expect("nothing to seal"), 0);
        store.accept(order(10, 1, disconnect([0, 1, 2]))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        assert_eq!(store.unsealed_count().await.expect("read"), 3);
        assert_eq!(seal_next(&*store, lease, at(11)).await.expect("sealed"), 3);
        store.end_lease(SEALER, lease).await.expect("ended");
        let none = LineFilter::default();
        let whole = feed(&*store, 0, 100, &none).await.expect("read");
        assert_eq!(whole.lines.iter().map(|(position, _)| *position).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        assert_eq!((whole.next, whole.seen), (None, 10));
        let some = feed(&*store, 2, 3, &none).await.expect("read");
        assert_eq!((some.lines.len(), some.next), (3, Some(5)));
        let narrow = LineFilter { kinds: vec!["disconnected".into()], account: Some(account(1)), ..LineFilter::default() };
        let found = feed(&*store, 0, 2, &narrow).await.expect("read");
        assert_eq!((found.lines[0].0, found.lines.len(), found.next), (8, 2, Some(9)));
        let line = &found.lines[0].1;
        assert_eq!((line.number, line.user.as_deref(), line.states), (Some(number(0)), Some("username"), Some((State::InService, State::Aging))));
        assert!(line.detail["hold"].is_object() && line.detail["origin"].is_object(), "{}", line.detail);
        let of = positions(&*store, [line.seq]).await.expect("read");
        assert_eq!(of.get(&line.seq), Some(&8));
        let seals = store.seals(0, 10).await.expect("read");
        assert_eq!(seals.iter().map(|seal| (seal.first, seal.last)).collect::<Vec<_>>(), [(1, 7), (8, 10)]);
        assert_eq!((seals[1].previous, store.head().await.expect("read")), (seals[0].hash, Some(seals[1])));
        let anchors = seals.iter().map(|seal| Anchor { position: seal.last, hash: seal.hash }).collect();
        let verified = verify(&*store, anchors).await.expect("verified");
        assert_eq!((verified.faults, verified.events, verified.seals, verified.unsealed), (Vec::new(), 10, 2, 0));
        let later = Anchor { position: 11, hash: seals[1].hash };
        let cut = verify(&*store, vec![later]).await.expect("verified");
        assert_eq!(cut.faults, [Fault { position: 11, kind: FaultKind::CutOff }]);
        store.close().await;
        clean(&*opener.open().await).await;
    }

    /// As of a position those events are known that have one up to it, in whatever order their sequence numbers are.
    async fn what_is_known_as_of_a_position_goes_by_positions(opener) {
        let (store, ..) = seeded(opener).await;
        seal_all(&*store, at(1)).await.expect("sealed");
        let before = store.head().await.expect("read");
        for n in [1, 2] {
            store.accept(order(10, 1, disconnect([n]))).await.expect("accepted");
            run_all(&*store, at(10)).await;
        }
        let Unsealed { seqs, marks, .. } = store.unsealed(8).await.expect("read");
        let [one, two] = [seqs[0], seqs[1]];
        assert_eq!(store.late(7, two).await.expect("read"), Late { events: vec![one, two], looked: 7 }, "they have none yet");
        // The later one by sequence number gets the earlier position.
        let lines = store.lines(vec![one, two]).await.expect("read");
        let others: Vec<EventSeq> =
            store.seqs(EventSeq(0), 100).await.expect("read").into_iter().step_by(2).collect();
        let shown = store.lines(others.clone()).await.expect("read");
        assert_eq!(shown.iter().map(|line| line.seq).collect::<Vec<_>>(), others, "and none of those between");
        let digests: Vec<Digest> =
            (8..).zip(lines.iter().rev()).map(|(at, line)| line.digest(at).expect("a form")).collect();
        let seal = Seal::over(before.as_ref(), &digests, at(11));
        let lease = store.take_lease(SEALER, LONG).await.expect("tried").expect("free");
        store.seal(lease, Sealed { seal, seqs: vec![two, one], digests }, marks).await.expect("sealed");
        store.end_lease(SEALER, lease).await.expect("ended");
        let seventh = store.last_sealed(7).await.expect("read");
        let known_at = async |position| {
            let known = known(&*store, position).await.expect("read");
            (known.has(seventh), known.has(one), known.has(two))
        };
        assert_eq!(known_at(0).await, (false, false, false));
        assert_eq!(known_at(6).await, (false, false, false), "the seventh is the one before");
        assert_eq!(known_at(7).await, (true, false, false));
        assert_eq!(known_at(8).await, (true, false, true));
        assert_eq!(known_at(9).await, (true, true, true));
        assert_eq!(known_at(99).await, (true, true, true));
        let late = async |position, to| {
            let Late { events, looked } = store.late(position, to).await.expect("read");
            (events, looked)
        };
        assert_eq!(late(7, two).await, (vec![two, one], 9));
        assert_eq!(late(7, one).await, (vec![one], 9), "none that is later by sequence number");
        assert_eq!((late(8, two).await, late(9, two).await), ((vec![one], 9), (vec![], 9)));
        // Who reads on from there is told of it once, and of nothing that is later by sequence number, too.
        let mut lookout = Lookout::new(8, two);
        assert_eq!(lookout.late(&*store).await.expect("read"), [one]);
        store.accept(order(12, 1, disconnect([3]))).await.expect("accepted");
        run_all(&*store, at(12)).await;
        assert_eq!(lookout.late(&*store).await.expect("read"), []);
        let three = store.unsealed_seqs().await.expect("read")[0];
        assert_eq!((late(8, two).await, late(8, three).await.0.len()), ((vec![one], 9), 2), "it has none yet");
        seal_all(&*store, at(13)).await.expect("sealed");
        assert_eq!(lookout.late(&*store).await.expect("read"), []);
        // As of an old position it stays what it was, however many events have got one since.
        assert_eq!((late(7, two).await, late(8, two).await), ((vec![two, one], 10), (vec![one], 10)));
        assert_eq!((late(8, three).await, late(9, three).await), ((vec![one, three], 10), (vec![three], 10)));
        assert_eq!((late(6, seventh).await, late(0, EventSeq(0)).await), ((vec![seventh], 10), (vec![], 10)));
        assert_eq!((known_at(7).await, known_at(8).await), ((true, false, false), (true, false, true)));
        assert_eq!(verify(&*store, Vec::new()).await.expect("verified").faults, []);
        clean(&*store).await;
    }

    /// Of two sealers one gives the positions. A lease that is over gives none.
    async fn two_sealers_never_give_the_same_position(opener) {
        let (one, other) = opener.open_twice().await;
        seed(&*one).await;
        let lost = one.take_lease(SEALER, LONG).await.expect("tried").expect("free");
        one.end_lease(SEALER, lost).await.expect("ended");
        let late = seal_next(&*one, lost, at(1)).await;
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
        let lease = other.take_lease(SEALER, LONG).await.expect("tried").expect("free");
        let waiting = other.unsealed(1).await.expect("read");
        assert_eq!(seal_next(&*other, lease, at(1)).await.expect("sealed"), waiting.seqs.len());
        // It read what waited before the other one sealed that.
        for before in [None, other.head().await.expect("read")] {
            let Unsealed { seqs, digests, marks } = waiting.clone();
            let sealed = Sealed { seal: Seal::over(before.as_ref(), &digests, at(1)), seqs, digests };
            let twice = one.seal(lease, sealed, marks).await;
            assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
        }
        assert_eq!(one.head().await.expect("read").map(|seal| seal.last), Some(7));
        clean(&*one).await;
        other.close().await;
    }

    /// Sixteen writers, a sealer, and a reader that goes on behind the last position it has: it gets every event once.
    async fn a_reader_that_follows_gets_every_event_once(opener) {
        const WRITERS: u64 = 16;
        const EACH: u64 = 10;
        let (store, ..) = seeded(opener).await;
        let writers: Vec<_> = (0..WRITERS).map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    let deed = Deed::by_itself(at(0), DeedKind::Exported).with("writer", writer).with("n", n);
                    store.write_deeds(vec![deed]).await.expect("written");
                }
            })
        }).collect();
        let sealer = store.clone();
        let all = 7 + WRITERS * EACH;
        let sealing = tokio::spawn(async move {
            let lease = sealer.take_lease(SEALER, LONG).await.expect("tried").expect("free");
            let mut sealed = 0;
            while sealed < all {
                sealed += u64::try_from(seal_next(&*sealer, lease, at(1)).await.expect("sealed")).expect("few");
                tokio::task::yield_now().await;
            }
        });
        let (mut after, mut seen) = (0, Vec::new());
        while after < all {
            let page = feed(&*store, after, 20, &LineFilter::default()).await.expect("read");
            for (position, line) in page.lines {
                assert_eq!(position, after + 1, "there is no gap");
                after = position;
                seen.push(line.seq);
            }
            tokio::task::yield_now().await;
        }
        for writer in writers {
            writer.await.expect("written");
        }
        sealing.await.expect("sealed");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(u64::try_from(seen.len()).expect("few"), all);
        clean(&*store).await;
    }
}
