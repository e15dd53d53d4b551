//! Applications.

use onhook_core::account::application::{
    ApplicationChange, Details, NewApplication, NotNamed, Service, Setting,
};
use onhook_core::account::premises::Stays;

use super::fixtures::{account, at, clean, doer, seeded};
use crate::StoreError;
use crate::conformance::Opener;
use crate::contract::applications::ApplicationNamed;
use crate::contract::premises::Removed;

cases! { ($) applications conformance_applications:
    async fn applications_are_kept_and_stay_while_a_peer_names_them(opener) {
        let (store, one, _) = seeded(opener).await;
        let new = |service, url: &str| NewApplication {
            service,
            name: "App".into(),
            details: Details { settings: [(Setting::CallbackUrl, url.to_owned())].into(), callback_types: vec!["message-failed".into()] },
        };
        let voice = store.add_application(account(1), new(Service::Voice, "https://a.example.com")).await.expect("made");
        let messaging = store.add_application(account(1), new(Service::Messaging, "https://b.example.com")).await.expect("made");
        let theirs = store.add_application(account(2), new(Service::Messaging, "https://c.example.com")).await.expect("made");
        assert!(matches!(store.add_application(account(9), new(Service::Voice, "")).await, Err(StoreError::Conflict(_))));
        let peer = store.peers_in_full(account(1), one, None).await.expect("read").pop().expect("one").0;
        let name = async |service, id| store.name_application(account(1), peer.id, service, id).await.expect("tried");
        assert_eq!(name(Service::Messaging, Some(messaging.id)).await, ApplicationNamed::Done);
        assert_eq!(name(Service::Messaging, Some(theirs.id)).await, ApplicationNamed::Refused(NotNamed::NoApplication));
        assert_eq!(name(Service::Messaging, Some(voice.id)).await, ApplicationNamed::Refused(NotNamed::Service(Service::Voice)));
        let foreign = store.name_application(account(2), peer.id, Service::Messaging, Some(theirs.id)).await.expect("tried");
        assert_eq!(foreign, ApplicationNamed::Refused(NotNamed::NoPeer));
        let change = ApplicationChange { name: Some("Another".into()), ..ApplicationChange::default() };
        let changed = store.change_application(account(1), voice.id, change.clone()).await.expect("changed").expect("there");
        assert_eq!((changed.name.as_str(), &changed.details), ("Another", &voice.details));
        assert_eq!(store.change_application(account(2), voice.id, change).await.expect("tried"), None);
        store.close().await;

        let store = opener.open().await;
        assert_eq!(store.applications(account(1), None).await.expect("read"), [changed.clone(), messaging.clone()]);
        assert_eq!(store.applications(account(1), Some(theirs.id)).await.expect("read"), []);
        let named = async |who, service| store.application_of(account(who), peer.id, service).await.expect("read");
        assert_eq!(named(1, Service::Messaging).await, Some(messaging.id));
        assert_eq!((named(1, Service::Voice).await, named(2, Service::Messaging).await), (None, None));
        let with = store.peers_with(account(1), messaging.id).await.expect("read");
        assert_eq!(with.iter().map(|(site, peer)| (site.id, peer.clone())).collect::<Vec<_>>(), [(one, peer.clone())]);
        assert_eq!(store.peers_with(account(2), messaging.id).await.expect("read"), []);
        let remove = async |who, id| store.remove_application(account(who), id).await.expect("tried");
        assert_eq!(remove(1, messaging.id).await, Removed::Stays(Stays::Peers));
        assert_eq!((remove(2, voice.id).await, remove(1, voice.id).await), (Removed::Unknown, Removed::Gone));
        assert_eq!(store.name_application(account(1), peer.id, Service::Messaging, None).await.expect("tried"), ApplicationNamed::Done);
        assert_eq!((remove(1, messaging.id).await, remove(1, messaging.id).await), (Removed::Gone, Removed::Unknown));
        assert_eq!(store.applications(account(1), None).await.expect("read"), []);
        clean(&*store).await;
    }

    async fn an_application_that_a_removed_peer_named_can_be_removed(opener) {
        let (store, one, _) = seeded(opener).await;
        let new = NewApplication { service: Service::Messaging, name: "App".into(), details: Details::default() };
        let app = store.add_application(account(1), new).await.expect("made");
        let peer = store.create_peer(account(1), one, "another".into(), at(0)).await.expect("made");
        let named = store.name_application(account(1), peer.id, Service::Messaging, Some(app.id)).await;
        assert_eq!(named.expect("tried"), ApplicationNamed::Done);
        let remove = async || store.remove_application(account(1), app.id).await.expect("tried");
        assert_eq!(remove().await, Removed::Stays(Stays::Peers));
        assert_eq!(store.remove_peer(account(1), one, peer.id, doer(0)).await.expect("tried"), Removed::Gone);
        assert_eq!(remove().await, Removed::Gone);
        clean(&*store).await;
    }
}
