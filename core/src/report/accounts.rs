//! What accounts were before the changes that a report does not know.

use crate::account::Account;
use crate::audit::deed::Recorded;
use crate::words::UnknownWord;

/// Returns accounts as they were before some of their changes, as far as reports go by it: their kind, and whether they
/// report their own disconnects. `changes` are the deeds of changes of accounts in the order of their sequence numbers,
/// and `is_later` tells which of them do not count.
///
/// A name stays as it is now, so that a wrong one can be put right before a report is made.
///
/// # Errors
/// If a change names a kind that there is not.
pub fn before(
    mut accounts: Vec<Account>,
    changes: &[Recorded],
    is_later: impl Fn(&Recorded) -> bool,
) -> Result<Vec<Account>, UnknownWord> {
    for change in changes.iter().rev().filter(|change| is_later(change)) {
        let mut of_it = accounts.iter_mut().filter(|account| Some(account.id) == change.deed.account);
        let Some(account) = of_it.next() else { continue };
        let was = |key: &str| change.deed.detail.get("before").and_then(|before| before.get(key));
        if let Some(kind) = was("kind").and_then(|kind| kind.as_str()) {
            account.kind = kind.parse()?;
        }
        if let Some(reports_rnd) = was("reports_rnd").and_then(|reports| reports.as_bool()) {
            account.reports_rnd = reports_rnd;
        }
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::account::{AccountKind, Class};
    use crate::audit::deed::{Deed, DeedKind};
    use crate::ids::{AccountId, EventSeq};
    use crate::time::Timestamp;

    fn account(id: u32) -> Account {
        let id = AccountId::new(id).unwrap();
        Account::new(id, "An account".into(), AccountKind::Reseller, Class::Unknown, Timestamp::default())
    }

    fn change(seq: i64, of: u32, before: Value) -> Recorded {
        let deed = Deed::by_itself(Timestamp::from_millis(seq), DeedKind::AccountChanged);
        Recorded { seq: EventSeq(seq), deed: deed.about(AccountId::new(of)).with("before", before) }
    }

    #[test]
    fn what_was_changed_later_is_as_it_was_and_all_else_as_it_is() {
        let changes = [
            change(1, 1, json!({ "id": "1", "kind": "end-user" })),
            change(2, 1, json!({ "id": "1", "kind": "carrier", "reports_rnd": false, "class": "business" })),
            change(3, 2, json!({ "id": "2", "reports_rnd": false })),
            change(4, 1, json!({ "id": "1", "kind": "end-user", "name": "Another name" })),
            change(5, 3, json!({ "id": "3", "kind": "carrier" })),
        ];
        let as_of = |at: i64| {
            let of_both = vec![account(1), account(2)];
            let then =
                before(of_both, &changes, |change| change.deed.at > Timestamp::from_millis(at)).unwrap();
            assert_eq!([&*then[0].name, then[0].class.word()], ["An account", "unknown"]);
            [(then[0].kind, then[0].reports_rnd), (then[1].kind, then[1].reports_rnd)]
        };
        use AccountKind::{Carrier, EndUser, Reseller};
        assert_eq!(as_of(0), [(EndUser, false), (Reseller, false)]);
        assert_eq!(as_of(1), [(Carrier, false), (Reseller, false)]);
        assert_eq!(as_of(2), [(EndUser, true), (Reseller, false)]);
        assert_eq!(as_of(3), [(EndUser, true), (Reseller, true)]);
        assert_eq!(as_of(4), [(Reseller, true), (Reseller, true)], "as they are");
        assert!(before(vec![account(1)], &[change(1, 1, json!({ "kind": "king" }))], |_| true).is_err());
    }
}
