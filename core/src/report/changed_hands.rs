//! Whether a number has changed hands since an instant: whether a caller who knew its subscriber then may still reach
//! them there.

use crate::ids::AccountId;
use crate::lifecycle::diagram::{NoSuchStep, State};
use crate::lifecycle::entry::Entry;
use crate::lifecycle::history::History;
use crate::time::Timestamp;
use crate::words::words;

words! {
    /// Whether a number has changed hands.
    ChangedHands {
        /// Somebody has given it up since, or somebody has it who had not.
        Yes = "yes",
        /// The same account has it all the time, or nobody has had it.
        No = "no",
        /// That is not known: the number is not here, or was not yet.
        NoData = "no_data",
    }
}

/// Returns the account that has a number in service.
fn served(entry: &Entry) -> Option<AccountId> {
    let place = entry.standing.place().filter(|_| entry.state() == State::InService);
    place.map(|place| place.account)
}

/// Returns whether a number has changed hands since an instant. An account that gave it up and got it back before
/// anyone else had it has it as before. A number that ages now has been given up.
///
/// # Errors
/// [`NoSuchStep`] if its history is not one.
pub fn changed_hands(history: &History, since: Timestamp) -> Result<ChangedHands, NoSuchStep> {
    if since < history.imported_at {
        return Ok(ChangedHands::NoData);
    }
    let moments = history.moments()?;
    let first = moments.iter().rposition(|moment| moment.from <= since).unwrap_or(0);
    let had = moments.get(first).and_then(|moment| served(&moment.entry));
    let mut later = moments.iter().skip(first).filter_map(|moment| served(&moment.entry));
    let others = later.any(|account| Some(account) != had);
    let now = &history.entry;
    let gone = had.is_some() && served(now) != had;
    let aging = now.state() == State::Aging;
    Ok(if others || gone || aging { ChangedHands::Yes } else { ChangedHands::No })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::account::Place;
    use crate::ids::{AreaId, EventSeq, SiteId};
    use crate::lifecycle::diagram::Home;
    use crate::lifecycle::entry::Standing;
    use crate::lifecycle::event::{By, Change, Event, apply};
    use crate::lifecycle::hold::Hold;
    use crate::lifecycle::provenance::Provenance;

    fn account(id: u32) -> AccountId {
        AccountId::new(id).unwrap()
    }

    fn place(id: u32) -> Place {
        Place { account: account(id), site: SiteId::new(1).unwrap(), peer: None }
    }

    fn change(step: u8) -> Change {
        let hold = Hold::until(Timestamp::from_millis(1_000));
        match step {
            0 => Change::Disconnected { hold, leaves: false, protected: None },
            1 => Change::Reconnected { place: place(1), protected: None },
            2 => Change::Released { home: Home::Pool },
            3 => Change::Activated { place: place(2), protected: None },
            4 => Change::Activated { place: place(1), protected: None },
            _ => Change::Moved { place: place(1) },
        }
    }

    /// A number in service on account 1 from 0 on, and at 10, 20, 30 … those of the steps that can follow.
    fn life(steps: &[u8]) -> History {
        let number = "5405514342".parse().unwrap();
        let standing = Standing::InService { place: place(1) };
        let (protected, ported_in, locked) = (false, false, false);
        let origin = Entry { number, standing, area: AreaId(1), protected, ported_in, locked };
        let (mut entry, mut events) = (origin, Vec::new());
        for step in steps {
            let change = change(*step);
            let reconnects = matches!(change, Change::Reconnected { .. } | Change::Moved { .. });
            let theirs = entry.standing.holder() == Some(account(1));
            let Ok(after) = apply(&entry, &change) else { continue };
            if reconnects && !theirs {
                continue;
            }
            entry = after;
            let n = i64::try_from(events.len()).unwrap() + 1;
            let (seq, prev, at) = (EventSeq(n + 1), EventSeq(n), Timestamp::from_millis(n * 10));
            let (by, under) = (By::Time, Provenance::default());
            events.push(Event { seq, number, prev, at, change, by, under, origin: None });
        }
        History { entry, origin, imported_at: Timestamp::from_millis(0), events }
    }

    #[test]
    fn who_comes_back_before_another_has_it_has_it_as_before() {
        use ChangedHands::{No, NoData, Yes};
        let asked = |steps: &[u8], since| changed_hands(&life(steps), Timestamp::from_millis(since)).unwrap();
        assert_eq!((asked(&[], -1), asked(&[], 0)), (NoData, No));
        assert_eq!((asked(&[0], 9), asked(&[0], 10)), (Yes, Yes), "it ages");
        assert_eq!((asked(&[0, 1], 5), asked(&[0, 1], 15), asked(&[0, 1], 20)), (No, Yes, No));
        assert_eq!((asked(&[0, 2], 5), asked(&[0, 2], 15)), (Yes, No), "nobody has had it since");
        assert_eq!((asked(&[0, 2, 4], 5), asked(&[0, 2, 4], 25), asked(&[0, 2, 4], 30)), (No, Yes, No));
        assert_eq!((asked(&[0, 2, 3], 5), asked(&[0, 2, 3], 25), asked(&[0, 2, 3], 35)), (Yes, Yes, No));
        assert_eq!(asked(&[0, 2, 3, 0, 2, 4], 5), Yes, "another one had it in between");
        assert_eq!(asked(&[5], 5), No, "a move is in the same hands");
    }

    proptest! {
        /// The answer agrees with one that looks at every instant.
        #[test]
        fn the_answer_is_that_of_one_who_watched(steps in prop::collection::vec(0_u8..6, 0..12), since in -5_i64..130) {
            let life = life(&steps);
            let at = |millis| life.at(Timestamp::from_millis(millis)).unwrap();
            let end = 130;
            let wanted = match at(since) {
                None => ChangedHands::NoData,
                Some(then) => {
                    let had = served(&then);
                    let another = (since..=end).any(|t| {
                        let now = at(t).and_then(|entry| served(&entry));
                        now.is_some() && now != had
                    });
                    let last = at(end).unwrap();
                    let has = served(&last);
                    let same = !another && last.state() != State::Aging && (had.is_none() || has == had);
                    if same { ChangedHands::No } else { ChangedHands::Yes }
                }
            };
            prop_assert_eq!(changed_hands(&life, Timestamp::from_millis(since)).unwrap(), wanted);
        }
    }
}
