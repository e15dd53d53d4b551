//! What is written of what was done to accounts, users, sites and peers: the deeds of the acts in this crate.

use onhook_core::account::change::AccountAct;
use onhook_core::account::details::{PeerDetails, SiteDetails};
use onhook_core::account::user::{Right, Rights};
use onhook_core::account::{Account, Peer, Role, Site};
use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::ids::{AccountId, NotificationSeq};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::setting::{Changes, Setting};
use serde_json::{Map, Value, json};

use super::users::Write;
use crate::contract::deliveries::Sending;
use crate::contract::settings::Chosen;
use crate::contract::users::{NewUser, User};

/// Returns the making of an account.
#[must_use]
pub fn account_created(account: &Account, doer: &Doer) -> Deed {
    Deed::by(doer, DeedKind::AccountCreated).about(account.id).changed(Value::Null, account_shown(account))
}

fn account_shown(account: &Account) -> Value {
    let Account { id, name, kind, class, state, cancel_window_seconds, reports_rnd, legal_name, .. } =
        account;
    json!({
        "id": id.to_string(), "name": name, "kind": kind.word(), "class": class.word(), "state": state.word(),
        "cancel_window_seconds": cancel_window_seconds, "reports_rnd": reports_rnd, "legal_name": legal_name,
    })
}

/// Returns the change, closing or reopening of an account. `None` if it is as before.
#[must_use]
pub fn account_altered(before: &Account, after: &Account, act: &AccountAct, doer: &Doer) -> Option<Deed> {
    let kind = match act {
        AccountAct::Change(_) => DeedKind::AccountChanged,
        AccountAct::Close => DeedKind::AccountClosed,
        AccountAct::Reopen => DeedKind::AccountReopened,
    };
    let deed = Deed::by(doer, kind).about(before.id).changed(account_shown(before), account_shown(after));
    (before != after).then_some(deed)
}

/// Returns the change of settings: what each was and is, null where the default holds.
#[must_use]
pub fn settings_changed(before: &[Chosen], changes: &Changes, doer: &Doer) -> Deed {
    let was = |setting: &Setting| before.iter().find(|chosen| chosen.setting == *setting);
    let (mut earlier, mut later) = (Map::new(), Map::new());
    for (setting, value) in changes {
        let was = was(setting).map_or(Value::Null, |chosen| chosen.value.clone());
        earlier.insert(setting.word().to_owned(), was);
        later.insert(setting.word().to_owned(), value.clone().unwrap_or_default());
    }
    Deed::by(doer, DeedKind::SettingsChanged).changed(Value::Object(earlier), Value::Object(later))
}

/// Returns that a delivery is made again. `made` is the new one, if there is a new one.
#[must_use]
pub fn delivery_replayed(of: &Sending, made: Option<NotificationSeq>, doer: &Doer) -> Deed {
    Deed::by(doer, DeedKind::DeliveryReplayed)
        .about(of.account)
        .with("delivery", of.seq.0.to_string())
        .with("message_id", of.delivery.id.to_string())
        .with("order", of.delivery.order.to_string())
        .with("made", made.map(|seq| seq.0.to_string()))
}

/// Returns the making of a user.
#[must_use]
pub fn user_created(user: &NewUser, doer: &Doer) -> Deed {
    let NewUser { name, account, role, rights, .. } = user;
    let after = user_shown(name, *account, *role, *rights);
    Deed::by(doer, DeedKind::UserCreated).about(*account).changed(Value::Null, after)
}

/// Returns the change or removal of a user. Of another password it says that it is another one.
#[must_use]
pub fn user_changed(before: &User, write: &Write, doer: &Doer) -> Deed {
    let User { name, account, role, rights, password_hash, .. } = before;
    let was = user_shown(name, *account, *role, *rights);
    match write {
        Write::Remove => Deed::by(doer, DeedKind::UserRemoved).about(*account).changed(was, Value::Null),
        Write::Set { password_hash: hash, role, rights } => {
            let is = user_shown(name, *account, *role, *rights);
            Deed::by(doer, DeedKind::UserChanged)
                .about(*account)
                .changed(was, is)
                .with("password_changed", hash != password_hash)
        }
    }
}

fn user_shown(name: &str, account: Option<AccountId>, role: Role, rights: Rights) -> Value {
    let account = account.map(|account| account.to_string());
    let rights: Vec<&str> = rights.iter().map(Right::word).collect();
    json!({"name": name, "account": account, "role": role.word(), "rights": rights})
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
    use onhook_core::time::Timestamp;

    use super::*;

    #[test]
    fn no_deed_shows_a_password() {
        let (name, account, role) = ("orders".to_owned(), AccountId::new(1), Role::Order);
        let hash = "$argon2id$secret".to_owned();
        let doer = Doer::offline(Timestamp::from_millis(0));
        let rights = Rights::NONE;
        let new = NewUser { name: name.clone(), account, role, rights, password_hash: hash.clone() };
        let (created_at, is_closed, generation) = (Timestamp::default(), false, 0);
        let password_hash = hash;
        let user = User { name, account, role, rights, password_hash, created_at, is_closed, generation };
        let other = Write::Set { password_hash: "$argon2id$secret2".into(), role: Role::Read, rights };
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
