//! Accounts, sites and peers.

use onhook_core::account::details::{AddressPart, Host, PeerChange, SiteChange};
use onhook_core::account::premises::Stays;
use onhook_core::account::user::Rights;
use onhook_core::account::{AccountKind, Class, Role};

use super::fixtures::{account, at, clean, disconnect, doer, order, run_all, seeded};
use crate::StoreError;
use crate::conformance::Opener;
use crate::contract::accounts::NewAccount;
use crate::contract::premises::Removed;
use crate::contract::users::{NewUser, User};

cases! { ($) premises conformance_premises:
    /// Accounts, sites and peers are there once. The first site and peer are the defaults.
    async fn accounts_sites_peers_and_users_are_kept(opener) {
        let (store, one, _) = seeded(opener).await;
        let again = NewAccount { id: account(1), name: "again".into(), kind: AccountKind::Carrier, class: Class::Business };
        assert!(matches!(store.create_account(again, doer(1)).await, Err(StoreError::Conflict(_))));
        let second = store.create_site(account(1), "another".into(), at(0)).await.expect("made");
        assert!(!second.is_default);
        assert!(matches!(store.create_site(account(9), "none".into(), at(0)).await, Err(StoreError::Conflict(_))));
        assert!(matches!(store.create_peer(account(2), one, "none".into(), at(0)).await, Err(StoreError::Conflict(_))));
        let new = NewUser { name: "Username".into(), account: Some(account(1)), role: Role::Order, rights: Rights::NONE, password_hash: "$argon2id$x".into() };
        store.create_user(new.clone(), at(0)).await.expect("made");
        // A name in other letter case is the same user.
        for name in ["Username", "username", "USERNAME"] {
            let again = NewUser { name: name.into(), ..new.clone() };
            assert!(matches!(store.create_user(again, at(0)).await, Err(StoreError::Conflict(_))), "{name}");
        }
        let (made, key) = (store.user("Username").await.expect("read").expect("there"), store.token_key());
        let wanted = User {
            name: new.name, account: new.account, role: new.role, rights: new.rights, password_hash: new.password_hash,
            created_at: made.created_at, is_closed: false, generation: made.generation,
        };
        assert_eq!(made, wanted);
        store.close().await;
        let store = opener.open().await;
        assert_eq!(store.token_key(), key);
        for name in ["Username", "username", "USERNAME"] {
            assert_eq!(store.user(name).await.expect("read").as_ref(), Some(&made), "{name}");
        }
        assert_eq!(store.user("usernames").await.expect("read"), None);
        assert_eq!(store.users().await.expect("read"), [made]);
        assert_eq!(store.accounts().await.expect("read").len(), 2);
        assert_eq!(store.sites(Some(account(1))).await.expect("read").iter().map(|s| s.is_default).collect::<Vec<_>>(), [true, false]);
        assert_eq!(store.peers(None).await.expect("read").len(), 2);
        clean(&*store).await;
    }

    /// Details are there after reopening. A change leaves what it does not name, and removes what it sets to empty.
    async fn what_is_said_of_sites_and_peers_is_kept(opener) {
        let (store, one, two) = seeded(opener).await;
        let address = [(AddressPart::City, "Raleigh".to_owned()), (AddressPart::Zip, "27609".to_owned())].into();
        let said = SiteChange { description: Some("The first".into()), address: Some(address), ..SiteChange::named("Sales".into()) };
        let (site, details) = store.add_site(account(1), said, doer(0)).await.expect("made");
        let host = |name: &str| Host { name: name.into(), port: Some(5_060) };
        let said = PeerChange { voice_hosts: Some(vec![host("sip.example.com")]), sms_hosts: Some(vec![host("sms.example.com")]), ..PeerChange::named("East".into()) };
        let (peer, peer_details) = store.add_peer(account(1), site.id, said, doer(0)).await.expect("made");
        store.close().await;
        let store = opener.open().await;
        assert_eq!(store.sites_in_full(account(1), Some(site.id)).await.expect("read"), [(site.clone(), details.clone())]);
        assert_eq!(store.peers_in_full(account(1), site.id, None).await.expect("read"), [(peer.clone(), peer_details.clone())]);
        assert_eq!(store.sites_in_full(account(1), None).await.expect("read").len(), 2);

        let change = SiteChange { description: Some(String::new()), customer_name: Some("A customer".into()), ..SiteChange::default() };
        let (changed, changed_details) = store.change_site(account(1), site.id, change, doer(0)).await.expect("changed").expect("there");
        assert_eq!((changed.name.as_str(), changed_details.description), ("Sales", None));
        assert_eq!((changed_details.customer_name.as_deref(), &changed_details.address), (Some("A customer"), &details.address));
        let change = PeerChange { sms_hosts: Some(Vec::new()), ..PeerChange::named("West".into()) };
        let (changed, changed_details) = store.change_peer(account(1), site.id, peer.id, change, doer(0)).await.expect("changed").expect("there");
        assert_eq!((changed.name.as_str(), changed_details.sms_hosts), ("West", Vec::new()));
        assert_eq!(changed_details.voice_hosts, peer_details.voice_hosts);

        // Another account's are not found, and a peer is only at its own site.
        let nothing = SiteChange::default;
        assert!(store.change_site(account(2), site.id, nothing(), doer(0)).await.expect("tried").is_none());
        assert!(store.sites_in_full(account(2), Some(site.id)).await.expect("read").is_empty());
        for (who, at) in [(1, one), (2, site.id), (2, two)] {
            assert!(store.change_peer(account(who), at, peer.id, PeerChange::default(), doer(0)).await.expect("tried").is_none());
            assert!(store.peers_in_full(account(who), at, Some(peer.id)).await.expect("read").is_empty());
        }
        clean(&*store).await;
    }

    /// A peer's details have a limit, in one change or in many, and so have those of all peers of an account.
    async fn what_is_said_of_peers_is_bounded(opener) {
        let (store, one, _) = seeded(opener).await;
        let hosts = |count| Some(vec![Host { name: "h".repeat(250), port: Some(5_060) }; count]);
        let said = |count| PeerChange { voice_hosts: hosts(count), ..PeerChange::named("a peer".into()) };
        assert!(matches!(store.add_peer(account(1), one, said(100), doer(0)).await, Err(StoreError::Conflict(_))));
        let (peer, details) = store.add_peer(account(1), one, said(40), doer(0)).await.expect("made");
        let more = PeerChange { sms_hosts: hosts(40), is_default: Some(true), ..PeerChange::default() };
        assert!(matches!(store.change_peer(account(1), one, peer.id, more, doer(0)).await, Err(StoreError::Conflict(_))));
        assert_eq!(store.peers_in_full(account(1), one, Some(peer.id)).await.expect("read"), [(peer.clone(), details)]);
        // As many as there is room for. A change that shortens details always fits, and makes room.
        let mut kept = 1;
        let refused = loop {
            match store.add_peer(account(1), one, said(50), doer(0)).await {
                Ok(_) => kept += 1,
                Err(error) => break error,
            }
            assert!(kept < 400, "no end");
        };
        assert!(matches!(refused, StoreError::Conflict(_)), "{refused:?}");
        assert!(kept > 250, "{kept}");
        store.add_peer(account(1), one, PeerChange::named("a peer".into()), doer(0)).await.expect("made");
        let less = PeerChange { voice_hosts: Some(Vec::new()), ..PeerChange::default() };
        store.change_peer(account(1), one, peer.id, less, doer(0)).await.expect("changed").expect("there");
        store.add_peer(account(1), one, said(30), doer(0)).await.expect("made");
        clean(&*store).await;
    }

    /// The first peer is the default, whatever it asks for. A later one becomes the default if it asks for it. No
    /// peer just stops being the default. Sites are alike.
    async fn a_site_with_peers_has_one_default_peer(opener) {
        let (store, one, _) = seeded(opener).await;
        let defaults = async || store.peers(Some(account(1))).await.expect("read").iter().map(|p| p.is_default).collect::<Vec<_>>();
        let wants = |is_default| PeerChange { is_default, ..PeerChange::named("a peer".into()) };
        let (second, _) = store.add_peer(account(1), one, wants(Some(false)), doer(0)).await.expect("made");
        assert_eq!(defaults().await, [true, false]);
        let (third, _) = store.add_peer(account(1), one, wants(Some(true)), doer(0)).await.expect("made");
        assert!(third.is_default);
        assert_eq!(defaults().await, [false, false, true]);
        store.change_peer(account(1), one, third.id, wants(Some(false)), doer(0)).await.expect("changed").expect("there");
        assert_eq!(defaults().await, [false, false, true]);
        store.change_peer(account(1), one, second.id, wants(Some(true)), doer(0)).await.expect("changed").expect("there");
        assert_eq!(defaults().await, [false, true, false]);

        let other = store.create_site(account(1), "another".into(), at(0)).await.expect("made");
        let (alone, _) = store.add_peer(account(1), other.id, wants(Some(false)), doer(0)).await.expect("made");
        assert!(alone.is_default, "the only peer is the default");
        assert!(store.make_default_site(account(1), other.id, doer(0)).await.expect("tried"));
        assert!(!store.make_default_site(account(2), other.id, doer(0)).await.expect("tried"));
        let sites = store.sites(Some(account(1))).await.expect("read");
        assert_eq!(sites.iter().map(|s| s.is_default).collect::<Vec<_>>(), [false, true]);
        clean(&*store).await;
    }

    /// A site or peer stays if numbers are in service there or others depend on it. The rest can be removed, once.
    async fn sites_and_peers_that_are_needed_stay(opener) {
        let (store, one, two) = seeded(opener).await;
        let peer = store.peers(Some(account(1))).await.expect("read")[0].id;
        let other = store.create_site(account(1), "another".into(), at(0)).await.expect("made").id;
        let other_peer = store.create_peer(account(1), other, "a peer".into(), at(0)).await.expect("made").id;
        let remove = async |site| store.remove_site(account(1), site, doer(0)).await.expect("tried");
        let remove_peer = async |site, peer| store.remove_peer(account(1), site, peer, doer(0)).await.expect("tried");
        assert_eq!(remove_peer(one, peer).await, Removed::Stays(Stays::Numbers));
        assert_eq!(remove_peer(other, peer).await, Removed::Unknown);
        assert_eq!(remove_peer(two, peer).await, Removed::Unknown);
        assert_eq!(remove(one).await, Removed::Stays(Stays::Peers));
        assert_eq!(remove(other).await, Removed::Stays(Stays::Peers));
        assert_eq!(remove(two).await, Removed::Unknown, "another account's");
        assert_eq!(remove_peer(other, other_peer).await, Removed::Gone);
        assert_eq!(remove_peer(other, other_peer).await, Removed::Unknown);

        store.accept(order(1, 1, disconnect(0..10))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        let second = store.create_peer(account(1), one, "a second peer".into(), at(0)).await.expect("made").id;
        assert_eq!(remove_peer(one, peer).await, Removed::Stays(Stays::Default));
        assert_eq!(remove_peer(one, second).await, Removed::Gone);
        assert_eq!(remove_peer(one, peer).await, Removed::Gone, "what ages keeps nothing");
        assert_eq!(remove(one).await, Removed::Stays(Stays::Default));
        assert_eq!(remove(other).await, Removed::Gone);
        assert_eq!(remove(one).await, Removed::Gone, "the last one may go");
        assert!(store.sites(Some(account(1))).await.expect("read").is_empty());
        clean(&*store).await;
    }
}
