//! The audit trail.

use onhook_core::account::Role;
use onhook_core::account::details::{PeerChange, SiteChange};
use onhook_core::account::user::{Asker, Rights};
use onhook_core::audit::deed::{Deed, DeedKind, Recorded};
use onhook_core::ids::{EventSeq, OrderSeq, PlanId};
use onhook_core::import::Intake;
use onhook_core::lifecycle::provenance::{Author, Credential, Doer, Provenance};
use onhook_core::locality::Exchange;
use serde_json::json;

use super::fixtures::{account, at, clean, doer, lines, policy, seeded};
use crate::conformance::Opener;
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
        store.import_exchanges(exchange(), true, doer(6)).await.expect("it says what would be");
        store.import_exchanges(exchange(), false, doer(6)).await.expect("imported");
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
}
