//! Who may see which number, and how much of it. The API, the operations API and the pages all ask here.

use crate::account::Role;
use crate::ids::AccountId;
use crate::lifecycle::diagram::State;
use crate::lifecycle::entry::Entry;

/// How much of a number someone may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Everything: the caller holds the number, or is an operator.
    Whole,
    /// The public part of a pool number: the number, its state, where it lies.
    Public,
    /// Nothing, as for a number that does not exist.
    Nothing,
}

/// Returns how much of a number a caller with this account and role may see. An operator has no account.
#[must_use]
pub fn view(entry: &Entry, account: Option<AccountId>, role: Role) -> View {
    let holder = entry.standing.holder();
    if role == Role::Operator || (holder.is_some() && holder == account) {
        View::Whole
    } else if entry.state() == State::Available {
        View::Public
    } else {
        View::Nothing
    }
}

/// Returns whether a caller may know that a number once was in this state. An operator may know every state, others
/// only those in which they held the number.
#[must_use]
pub fn may_see_past(past: &Entry, account: Option<AccountId>, role: Role) -> bool {
    role == Role::Operator || (account.is_some() && past.standing.holder() == account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Place;
    use crate::ids::{AreaId, SiteId};
    use crate::lifecycle::entry::Standing;
    use crate::time::Timestamp;

    #[test]
    fn a_number_is_its_holder_s_and_the_pool_is_public() {
        let account = |id| AccountId::new(id).unwrap();
        let place = Place { account: account(1), site: SiteId::new(1).unwrap(), peer: None };
        let until = Timestamp::from_millis(0);
        let aging = Standing::Aging { former: place, release_at: until, leaves: false, kept: None };
        use View::{Nothing, Public, Whole};
        for (standing, own, other) in [
            (Standing::Available, Public, Public),
            (Standing::Reserved { account: account(1), until }, Whole, Nothing),
            (Standing::InService { place }, Whole, Nothing),
            (aging, Whole, Nothing),
            (Standing::Protected { account: account(1) }, Whole, Nothing),
            (Standing::Administrative, Nothing, Nothing),
            (Standing::Removed, Nothing, Nothing),
        ] {
            let number = "5405514342".parse().unwrap();
            let (protected, ported_in, locked) = (false, false, false);
            let entry = Entry { number, standing, area: AreaId(1), protected, ported_in, locked };
            assert_eq!(view(&entry, Some(account(1)), Role::Read), own, "{standing:?}");
            assert_eq!(view(&entry, Some(account(2)), Role::Admin), other, "{standing:?}");
            assert_eq!(view(&entry, None, Role::Operator), Whole, "{standing:?}");
            assert_eq!(may_see_past(&entry, Some(account(1)), Role::Read), own == Whole, "{standing:?}");
            assert!(!may_see_past(&entry, Some(account(2)), Role::Admin), "{standing:?}");
        }
    }
}
