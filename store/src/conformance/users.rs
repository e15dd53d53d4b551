//! Users.

use onhook_core::account::Role;
use onhook_core::account::user::Rights;
use onhook_core::account::user::{Asker, Person, UserRefusal};
use onhook_core::ids::AccountId;

use super::fixtures::{account, asked_by, at, clean, doer, seeded};
use crate::StoreError;
use crate::conformance::Opener;
use crate::contract::users::{NewUser, UserChange, UserChanged};

cases! { ($) users conformance_users:
    /// Allowed changes of a user are made, others are not. An account keeps its last administrator.
    async fn users_change_and_go_as_far_as_they_may(opener) {
        let (store, ..) = seeded(opener).await;
        let user = |name: &str, account_id, role| NewUser {
            name: name.into(), account: AccountId::new(account_id), role, rights: Rights::NONE, password_hash: format!("$argon2id${name}"),
        };
        for (name, account_id, role) in [
            ("admin", 1, Role::Admin), ("second", 1, Role::Admin), ("reader", 1, Role::Read),
            ("neighbour", 2, Role::Admin), ("operator", 0, Role::Operator),
        ] {
            store.create_user(user(name, account_id, role), at(0)).await.expect("made");
        }
        let names = async || store.users_of(account(1)).await.expect("read").into_iter().map(|u| u.name).collect::<Vec<_>>();
        assert_eq!(names().await, ["admin", "reader", "second"]);
        let person = async |name: &str| store.user(name).await.expect("read").expect("there").person();
        let admin = person("admin").await;
        let role = |role| UserChange::Set { password_hash: None, role: Some(role), rights: None };
        let password = |hash: &str| UserChange::Set { password_hash: Some(hash.into()), role: None, rights: None };
        let change = async |asker: &Person, name: &str, change| store.change_user(Asker::User(asker.name.clone()), name.into(), change, doer(0)).await.expect("tried");
        for name in ["neighbour", "operator", "nobody"] {
            for change_to in [role(Role::Read), password("x"), UserChange::Removed] {
                assert_eq!(change(&admin, name, change_to).await, UserChanged::Refused(UserRefusal::NoUser), "{name}");
            }
        }
        assert_eq!(change(&admin, "reader", role(Role::Operator)).await, UserChanged::Refused(UserRefusal::Forbidden));
        // The password may be changed, the role may not: neither is.
        let both = UserChange::Set { password_hash: Some("x".into()), role: Some(Role::Operator), rights: None };
        let read = async || store.user("reader").await.expect("read").expect("there");
        let before = read().await;
        assert_eq!(change(&admin, "reader", both).await, UserChanged::Refused(UserRefusal::Forbidden));
        assert_eq!(read().await, before);
        // Each change makes another generation, even one that restores the old values. So does a new user of the same
        // name.
        let mut generations = vec![before.generation];
        for change_to in [role(Role::Order), role(Role::Read), role(Role::Order), password("$argon2id$other")] {
            assert_eq!(change(&admin, "READER", change_to).await, UserChanged::Done);
            generations.push(read().await.generation);
        }
        let reader = read().await;
        assert_eq!((reader.role, reader.password_hash.as_str()), (Role::Order, "$argon2id$other"));
        for _ in 0..2 {
            store.create_user(user("Other", 1, Role::Read), at(0)).await.expect("made");
            generations.push(store.user("other").await.expect("read").expect("there").generation);
            assert_eq!(change(&admin, "oTHER", UserChange::Removed).await, UserChanged::Done);
        }
        generations.sort_unstable();
        generations.dedup();
        assert_eq!(generations.len(), 7);

        // Two who remove each other at the same time: one is left.
        let second = person("second").await;
        let (one, other) = tokio::join!(change(&admin, "second", UserChange::Removed), change(&second, "admin", UserChange::Removed));
        assert!(matches!((one, other), (UserChanged::Done, UserChanged::Refused(UserRefusal::Forbidden)) | (UserChanged::Refused(UserRefusal::Forbidden), UserChanged::Done)), "{one:?} {other:?}");
        let left = store.users_of(account(1)).await.expect("read").into_iter().find(|u| u.role == Role::Admin).expect("one");
        assert_eq!(change(&left.person(), &left.name, role(Role::Read)).await, UserChanged::Refused(UserRefusal::LastAdmin));
        assert_eq!(store.change_user(Asker::AtTheMachine, left.name, UserChange::Removed, doer(0)).await.expect("tried"), UserChanged::Done);
        store.close().await;
        let store = opener.open().await;
        assert_eq!(store.users_of(account(1)).await.expect("read"), [reader]);
        clean(&*store).await;
    }

    /// An asker's rights are those at the time of the change, not of the request.
    async fn who_is_an_administrator_no_more_changes_no_users(opener) {
        let (store, ..) = seeded(opener).await;
        let user = |name: &str, role| NewUser {
            name: name.into(), account: Some(account(1)), role, rights: Rights::NONE, password_hash: format!("$argon2id${name}"),
        };
        for (name, role) in [("admin", Role::Admin), ("demoted", Role::Order), ("reader", Role::Read)] {
            store.create_user(user(name, role), at(0)).await.expect("made");
        }
        let before = store.users().await.expect("read");
        for asker in ["demoted", "gone"] {
            let made = store.make_user(Asker::User(asker.into()), user("new", Role::Read), None, asked_by(asker)).await.expect("tried");
            assert_eq!(made, UserChanged::Refused(UserRefusal::Forbidden), "{asker}");
            let promoted = UserChange::Set { password_hash: None, role: Some(Role::Admin), rights: None };
            for change in [promoted, UserChange::Removed] {
                let changed = store.change_user(Asker::User(asker.into()), "reader".into(), change, doer(0)).await.expect("tried");
                assert_eq!(changed, UserChanged::Refused(UserRefusal::Forbidden), "{asker}");
            }
        }
        assert_eq!(store.users().await.expect("read"), before);
        // An administrator gives no role above their own, and makes no user of another account.
        let elsewhere = NewUser { account: Some(account(2)), ..user("new", Role::Read) };
        for new in [NewUser { account: None, ..user("new", Role::Operator) }, elsewhere] {
            assert_eq!(store.make_user(Asker::User("admin".into()), new, None, asked_by("admin")).await.expect("tried"), UserChanged::Refused(UserRefusal::Forbidden));
        }
        assert_eq!(store.make_user(Asker::User("admin".into()), user("new", Role::Admin), None, asked_by("admin")).await.expect("tried"), UserChanged::Done);
        assert!(matches!(store.make_user(Asker::User("admin".into()), user("new", Role::Read), None, asked_by("admin")).await, Err(StoreError::Conflict(_))));
        store.close().await;
        let store = opener.open().await;
        let new = store.user("new").await.expect("read").expect("there");
        assert_eq!((new.role, new.password_hash.as_str()), (Role::Admin, "$argon2id$new"));
        clean(&*store).await;
    }
}
