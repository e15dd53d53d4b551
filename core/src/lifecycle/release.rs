//! What time alone does to a number: aging ends, and reservations expire.
//!
//! Not here: when aging ends (`hold`), or whether the clock can be believed (`clock`).

use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::event::{Change, Transition};
use crate::time::Timestamp;

/// Returns what time does to a number at `now`: a release, or the end of a reservation. `None` if it is not due, or if
/// an operator keeps it.
#[must_use]
pub fn due(entry: &Entry, now: Timestamp) -> Option<Transition> {
    entry.standing.due_at().filter(|due_at| *due_at <= now)?;
    let change = match entry.standing {
        Standing::Aging { .. } => Change::Released { home: entry.home() },
        _ => Change::Unreserved,
    };
    Transition::of(entry, change).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Place;
    use crate::ids::AreaId;
    use crate::ids::{AccountId, SiteId};
    use crate::lifecycle::diagram::{Home, State};
    use crate::time::Timestamp;

    fn aging(release_at: i64) -> Entry {
        let account = AccountId::new(7).unwrap();
        let former = Place { account, site: SiteId::new(1).unwrap(), peer: None };
        Entry {
            number: "9195550100".parse().unwrap(),
            standing: Standing::Aging {
                former,
                release_at: Timestamp::from_millis(release_at),
                leaves: false,
                kept: None,
            },
            area: AreaId(1),
            protected: false,
            ported_in: false,
            locked: false,
        }
    }

    #[test]
    fn nothing_is_released_a_millisecond_early() {
        let entry = aging(1_000);
        assert_eq!(due(&entry, Timestamp::from_millis(999)), None);
        assert_eq!(due(&entry, Timestamp::from_millis(1_000)).unwrap().after.state(), State::Available);
    }

    #[test]
    fn a_kept_number_is_passed_over_until_the_keep_ends() {
        let kept = |until: Option<i64>| {
            let until = until.map(Timestamp::from_millis);
            Transition::of(&aging(1_000), Change::Kept { until }).unwrap().after
        };
        let due_at = |entry: &Entry, at| due(entry, Timestamp::from_millis(at)).is_some();
        assert!(!due_at(&kept(None), i64::MAX - 1));
        assert!(!due_at(&kept(Some(1_500)), 1_499) && due_at(&kept(Some(1_500)), 1_500));
        assert!(!due_at(&kept(Some(500)), 999) && due_at(&kept(Some(500)), 1_000));
        assert!(due_at(&Transition::of(&kept(None), Change::Unkept).unwrap().after, 1_000));
    }

    #[test]
    fn each_number_goes_where_it_belongs() {
        let leaves = |mut e: Entry| {
            let Standing::Aging { former, release_at, .. } = e.standing else { unreachable!() };
            e.standing = Standing::Aging { former, release_at, leaves: true, kept: None };
            e
        };
        for (entry, home, state) in [
            (aging(0), Home::Pool, State::Available),
            (Entry { protected: true, ..aging(0) }, Home::Owner, State::Protected),
            (Entry { ported_in: true, protected: true, ..aging(0) }, Home::Away, State::Removed),
            (leaves(aging(0)), Home::Away, State::Removed),
            (leaves(Entry { protected: true, ..aging(0) }), Home::Away, State::Removed),
        ] {
            let step = due(&entry, Timestamp::from_millis(0)).unwrap();
            assert_eq!((step.change, step.after.state()), (Change::Released { home }, state));
        }
    }
}
