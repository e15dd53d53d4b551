//! What is written of what was done to accounts, users, sites and peers: the deeds of the acts in this crate.

use onhook_core::account::details::{PeerDetails, SiteDetails};
use onhook_core::account::{Account, Peer, Site};
use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::lifecycle::provenance::Doer;
use serde_json::{Value, json};

use super::users::Write;
use crate::contract::users::{NewUser, User};

/// Returns the making of an account.
#[must_use]
pub fn account_created(account: &Account, doer: &Doer) -> Deed {
    let Account { id, name, kind, class, .. } = account;
    let after = json!({"id": id.to_string(), "name": name, "kind": kind.word(), "class": class.word()});
    Deed::by(doer, DeedKind::AccountCreated).about(*id).changed(Value::Null, after)
}

/// Returns the making of a user.
#[must_use]
pub fn user_created(user: &NewUser, doer: &Doer) -> Deed {
    let NewUser { name, account, role, .. } = user;
    let account_id = account.map(|account| account.to_string());
    let after = json!({"name": name, "account": account_id, "role": role.word()});
    Deed::by(doer, DeedKind::UserCreated).about(*account).changed(Value::Null, after)
}

/// Returns the change or removal of a user. Of another password it says that it is another one.
#[must_use]
pub fn user_changed(before: &User, write: &Write, doer: &Doer) -> Deed {
    let User { name, account, role, password_hash, .. } = before;
    let account_id = account.map(|account| account.to_string());
    let was = json!({"name": name, "account": account_id, "role": role.word()});
    match write {
        Write::Remove => Deed::by(doer, DeedKind::UserRemoved).about(*account).changed(was, Value::Null),
        Write::Set { password_hash: hash, role } => {
            let is = json!({"name": name, "account": account_id, "role": role.word()});
            Deed::by(doer, DeedKind::UserChanged)
                .about(*account)
                .changed(was, is)
                .with("password_changed", hash != password_hash)
        }
    }
}

fn site_shown((site, details): &(Site, SiteDetails)) -> Value {
    let Site { id, name, is_default, .. } = site;
    json!({"id": id.to_string(), "name": name, "is_default": is_default, "details": details})
}

/// Returns the making, change or removal of a site. It was or is no more where one side is `None`.
#[must_use]
pub fn site(before: Option<&(Site, SiteDetails)>, after: Option<&(Site, SiteDetails)>, doer: &Doer) -> Deed {
    let kinds = (DeedKind::SiteCreated, DeedKind::SiteChanged, DeedKind::SiteRemoved);
    let account = before.or(after).map(|(site, _)| site.account);
    Deed::by(doer, kind(before, after, kinds))
        .about(account)
        .changed(before.map_or(Value::Null, site_shown), after.map_or(Value::Null, site_shown))
}

fn peer_shown((peer, details): &(Peer, PeerDetails)) -> Value {
    let Peer { id, site, name, is_default, .. } = peer;
    json!({
        "id": id.to_string(), "site": site.to_string(), "name": name, "is_default": is_default, "details": details,
    })
}

/// Returns the making, change or removal of a peer. It was or is no more where one side is `None`.
#[must_use]
pub fn peer(before: Option<&(Peer, PeerDetails)>, after: Option<&(Peer, PeerDetails)>, doer: &Doer) -> Deed {
    let kinds = (DeedKind::PeerCreated, DeedKind::PeerChanged, DeedKind::PeerRemoved);
    let account = before.or(after).map(|(peer, _)| peer.account);
    Deed::by(doer, kind(before, after, kinds))
        .about(account)
        .changed(before.map_or(Value::Null, peer_shown), after.map_or(Value::Null, peer_shown))
}

fn kind<T>(
    before: Option<&T>,
    after: Option<&T>,
    (created, changed, removed): (DeedKind, DeedKind, DeedKind),
) -> DeedKind {
    match (before, after) {
        (None, _) => created,
        (Some(_), Some(_)) => changed,
        (Some(_), None) => removed,
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::account::Role;
    use onhook_core::ids::AccountId;
    use onhook_core::time::Timestamp;

    use super::*;

    #[test]
    fn no_deed_shows_a_password() {
        let (name, account, role) = ("orders".to_owned(), AccountId::new(1), Role::Order);
        let hash = "$argon2id$secret".to_owned();
        let doer = Doer::offline(Timestamp::from_millis(0));
        let new = NewUser { name: name.clone(), account, role, password_hash: hash.clone() };
        let user = User { name, account, role, password_hash: hash, generation: 0 };
        let other = Write::Set { password_hash: "$argon2id$secret2".into(), role: Role::Read };
        let deeds = [
            user_created(&new, &doer),
            user_changed(&user, &other, &doer),
            user_changed(&user, &Write::Remove, &doer),
        ];
        for deed in &deeds {
            assert!(!deed.detail.to_string().contains("secret"), "{deed:?}");
        }
        let [_, changed, _] = deeds;
        let both = json!({"before": {"name": "orders", "role": "order"}, "after": {"name": "orders", "role": "read"},
                          "password_changed": true});
        assert_eq!(changed.detail, both);
    }
}
