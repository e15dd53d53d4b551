//! What an operator changes of an account, and when it may be closed.
//!
//! Class and kind hold for what happens later: what an account had before keeps its hold and its place in reports
//! (`report::accounts`).

use crate::account::{Account, AccountKind, AccountState, Class};
use crate::name::{self, ACCOUNT_NAME_MAX};

/// Most seconds that an account's disconnect orders wait before they run: a day.
pub const CANCEL_WINDOW_SECONDS_MAX: u32 = 86_400;
/// Most characters of an account's legal name.
pub const LEGAL_NAME_MAX: usize = 255;

/// How many numbers an account has, by what they are to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// In service.
    pub in_service: u64,
    /// Aging, with this account as the former one.
    pub aging: u64,
    /// Held by reservations.
    pub reserved: u64,
    /// In the account's own inventory.
    pub protected: u64,
}

/// What an operator does to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountAct {
    /// Change what is said of it.
    Change(AccountChange),
    /// Close it: nobody signs in any more, and its aging numbers run out.
    Close,
    /// Open it again.
    Reopen,
}

/// A change of an account. `None` leaves a value as it is; the inner `None` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Its name.
    pub name: Option<String>,
    /// Its role in the number plan.
    pub kind: Option<AccountKind>,
    /// Whose lines its numbers are.
    pub class: Option<Class>,
    /// How many seconds its disconnect orders wait.
    pub cancel_window_seconds: Option<Option<u32>>,
    /// Whether the server's operator reports its disconnects.
    pub reports_rnd: Option<bool>,
    /// Its name in reports.
    pub legal_name: Option<Option<String>>,
}

impl AccountChange {
    /// Checks the values.
    ///
    /// # Errors
    /// The name of the first value that is not allowed, and what is allowed there.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(name) = &self.name {
            name::check(name, ACCOUNT_NAME_MAX).map_err(|bad| ("name", bad.to_string()))?;
        }
        if let Some(Some(name)) = &self.legal_name {
            name::check(name, LEGAL_NAME_MAX).map_err(|bad| ("legal_name", bad.to_string()))?;
        }
        match self.cancel_window_seconds {
            Some(Some(seconds)) if seconds > CANCEL_WINDOW_SECONDS_MAX => {
                let rule = format!("it is null, or a whole number from 0 to {CANCEL_WINDOW_SECONDS_MAX}");
                Err(("cancel_window_seconds", rule))
            }
            _ => Ok(()),
        }
    }

    fn onto(self, account: &mut Account) {
        let Self { name, kind, class, cancel_window_seconds, reports_rnd, legal_name } = self;
        account.name = name.unwrap_or(std::mem::take(&mut account.name));
        account.kind = kind.unwrap_or(account.kind);
        account.class = class.unwrap_or(account.class);
        account.cancel_window_seconds = cancel_window_seconds.unwrap_or(account.cancel_window_seconds);
        account.reports_rnd = reports_rnd.unwrap_or(account.reports_rnd);
        account.legal_name = legal_name.unwrap_or(account.legal_name.take());
    }
}

/// Why an account stays open: it has numbers, or orders that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaysOpen {
    /// Its numbers.
    pub holdings: Holdings,
    /// How many of its orders have not ended.
    pub orders: u64,
}

/// Returns an account after an act. It has these numbers, and `orders` orders that have not ended. Numbers that age do
/// not keep it open: they run out.
///
/// # Errors
/// [`StaysOpen`] if it is to be closed and may not be.
pub fn alter(
    account: Account,
    act: AccountAct,
    holdings: Holdings,
    orders: u64,
) -> Result<Account, StaysOpen> {
    let mut after = account;
    match act {
        AccountAct::Change(change) => change.onto(&mut after),
        AccountAct::Reopen => after.state = AccountState::Open,
        AccountAct::Close => {
            let Holdings { in_service, reserved, protected, .. } = holdings;
            if !after.is_closed() && [in_service, reserved, protected, orders] != [0; 4] {
                return Err(StaysOpen { holdings, orders });
            }
            after.state = AccountState::Closed;
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AccountId;
    use crate::time::Timestamp;

    fn account() -> Account {
        let id = AccountId::new(1).unwrap();
        Account::new(id, "An account".into(), AccountKind::EndUser, Class::Unknown, Timestamp::default())
    }

    #[test]
    fn an_account_with_numbers_or_orders_stays_open_and_aging_ones_run_out() {
        let close = |holdings, orders| alter(account(), AccountAct::Close, holdings, orders);
        let none = Holdings::default();
        for (holdings, orders) in [
            (Holdings { in_service: 1, ..none }, 0),
            (Holdings { reserved: 1, ..none }, 0),
            (Holdings { protected: 1, ..none }, 0),
            (none, 1),
        ] {
            assert_eq!(close(holdings, orders), Err(StaysOpen { holdings, orders }));
        }
        let closed = close(Holdings { aging: 5, ..none }, 0).unwrap();
        assert!(closed.is_closed());
        assert_eq!(alter(closed.clone(), AccountAct::Close, none, 3), Ok(closed.clone()), "twice is once");
        assert_eq!(alter(closed, AccountAct::Reopen, none, 0), Ok(account()));
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name_and_clears_what_it_says_is_nothing() {
        let change = |change| alter(account(), AccountAct::Change(change), Holdings::default(), 0).unwrap();
        assert_eq!(change(AccountChange::default()), account());
        let named = AccountChange {
            name: Some("Another name".into()),
            cancel_window_seconds: Some(Some(600)),
            legal_name: Some(Some("Another name, Inc.".into())),
            reports_rnd: Some(false),
            ..AccountChange::default()
        };
        let after = change(named);
        assert_eq!(
            (&*after.name, after.cancel_window_seconds, after.reports_rnd),
            ("Another name", Some(600), false)
        );
        let cleared = AccountChange {
            cancel_window_seconds: Some(None),
            legal_name: Some(None),
            ..AccountChange::default()
        };
        let after = alter(after, AccountAct::Change(cleared), Holdings::default(), 0).unwrap();
        assert_eq!((after.cancel_window_seconds, after.legal_name), (None, None));
    }

    #[test]
    fn a_value_that_is_not_allowed_is_named() {
        let fault = |change: AccountChange| change.check().err().map(|(at, _)| at);
        let window = |seconds| AccountChange {
            cancel_window_seconds: Some(Some(seconds)),
            ..AccountChange::default()
        };
        assert_eq!(fault(window(86_400)), None);
        assert_eq!(fault(window(86_401)), Some("cancel_window_seconds"));
        assert_eq!(
            fault(AccountChange { name: Some("=1".into()), ..AccountChange::default() }),
            Some("name")
        );
        let legal_name = Some(Some("a".repeat(256)));
        assert_eq!(fault(AccountChange { legal_name, ..AccountChange::default() }), Some("legal_name"));
    }
}
