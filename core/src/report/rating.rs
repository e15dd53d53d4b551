//! Which account pays for a call that was made, and for how many of its seconds.

use crate::ids::AccountId;
use crate::lifecycle::diagram::{NoSuchStep, State};
use crate::lifecycle::history::History;
use crate::report::billing::{Period, aged, periods};
use crate::time::Timestamp;
use crate::words::words;

words! {
    /// Why a call is charged, or why it is not.
    Why {
        /// The number was in service when the call was answered.
        Charged = "charged",
        /// The number was aging: its account gave it up, and nobody else has it.
        Aging = "aging",
        /// The number is here and was in nobody's service.
        NotInService = "not_in_service",
        /// The number is not here, or was imported after the call.
        UnknownNumber = "unknown_number",
        /// The record has no instant of an answer.
        NotAnswered = "not_answered",
        /// The record cannot be read, or says that the call was answered at an instant that lies ahead.
        BadLine = "bad_line",
    }
}

/// What a call costs, to whom and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rated {
    /// Who pays. `None`: nobody.
    pub account: Option<AccountId>,
    /// For how many whole seconds. `None` if the record has no duration.
    pub seconds: Option<u64>,
    /// Why.
    pub why: Why,
}

impl Rated {
    /// Returns a call for which nobody pays: 0 seconds.
    #[must_use]
    pub fn free(why: Why) -> Self {
        Self { account: None, seconds: Some(0), why }
    }
}

/// What is charged for a number and when: all that rating needs of its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charges {
    /// When it was imported.
    pub imported_at: Timestamp,
    /// For which times who pays, oldest first.
    pub periods: Vec<Period>,
    /// The times for which it aged, oldest first: from the first millisecond up to but not including the second.
    pub aged: Vec<(Timestamp, Option<Timestamp>)>,
}

impl Charges {
    /// Returns what is charged for a number with this history.
    ///
    /// # Errors
    /// [`NoSuchStep`] if an event cannot follow the one before it.
    pub fn of(history: &History) -> Result<Self, NoSuchStep> {
        let History { origin, imported_at, events, .. } = history;
        let periods = periods(origin, *imported_at, events)?;
        Ok(Self { imported_at: *imported_at, periods, aged: aged(origin, *imported_at, events)? })
    }

    /// Returns what is charged for a number to which nothing has happened since its import.
    /// `holder` is the account in whose inventory it is.
    #[must_use]
    pub fn untouched(state: State, holder: Option<AccountId>, imported_at: Timestamp) -> Self {
        let mut charges = Self { imported_at, ..Self::default() };
        match state {
            State::InService => {
                charges.periods.extend(holder.map(|account| Period {
                    account,
                    from: imported_at,
                    until: None,
                }));
            }
            State::Aging => charges.aged.push((imported_at, None)),
            _ => {}
        }
        charges
    }
}

/// Rates a call to a number that was answered at `answered` and lasted `seconds`. `charges` is `None` for a number that
/// is not here. `now` is an instant up to which they are known.
///
/// A call that was answered later than now is not charged: an open period says nothing of the time ahead. Else the instant
/// of the answer decides who pays. A call that lasts beyond the end of that account's period is charged up to the end, in
/// whole seconds, rounded down: what is left of a second is not charged to someone who has left.
#[must_use]
pub fn rate(charges: Option<&Charges>, answered: Timestamp, seconds: Option<u64>, now: Timestamp) -> Rated {
    if answered > now {
        return Rated::free(Why::BadLine);
    }
    let Some(charges) = charges.filter(|charges| charges.imported_at <= answered) else {
        return Rated::free(Why::UnknownNumber);
    };
    if let Some(period) = charges.periods.iter().rev().find(|period| period.covers(answered)) {
        let most = period.until.map(|until| u64::try_from(until.since(answered) / 1_000).unwrap_or_default());
        let charged = seconds.map(|seconds| most.map_or(seconds, |most| seconds.min(most)));
        return Rated { account: Some(period.account), seconds: charged, why: Why::Charged };
    }
    let covers = |(from, until): &(Timestamp, Option<Timestamp>)| {
        *from <= answered && until.is_none_or(|until| answered < until)
    };
    let why = if charges.aged.iter().any(covers) { Why::Aging } else { Why::NotInService };
    Rated::free(why)
}

/// Rates a call whose answer may have been at either of two instants: a clock on the wall was set back between them.
///
/// If both cost the same, that is what the call costs. Else it is not charged: in doubt nobody pays. The reason is then
/// that of an instant for which nobody pays, or that the record cannot be read.
#[must_use]
pub fn rate_in_doubt(
    charges: Option<&Charges>,
    answered: [Timestamp; 2],
    seconds: Option<u64>,
    now: Timestamp,
) -> Rated {
    let [earlier, later] = answered.map(|answered| rate(charges, answered, seconds, now));
    if earlier == later {
        return earlier;
    }
    let free = [earlier, later].into_iter().find(|rated| rated.account.is_none());
    free.unwrap_or(Rated::free(Why::BadLine))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Imported at 1 s; in service until 10 s and from 20 s to 30.5 s; aged from 10 s to 20 s and from 30.5 s to 40 s.
    fn charges() -> Charges {
        let account = AccountId::new(1).unwrap();
        let period = |from, until| Period { account, from: at(from), until: Some(at(until)) };
        Charges {
            imported_at: at(1_000),
            periods: vec![period(1_000, 10_000), period(20_000, 30_500)],
            aged: vec![(at(10_000), Some(at(20_000))), (at(30_500), Some(at(40_000)))],
        }
    }

    #[test]
    fn the_answer_decides_who_pays_and_the_end_of_the_period_for_how_long() {
        let account = AccountId::new(1);
        for (answered, seconds, wanted, why) in [
            (1_000, 3, 3, Why::Charged),
            (9_001, 5, 0, Why::Charged),
            (9_000, 5, 1, Why::Charged),
            (20_000, 60, 10, Why::Charged),
            (29_999, 1, 0, Why::Charged),
            (10_000, 60, 0, Why::Aging),
            (19_999, 60, 0, Why::Aging),
            (40_000, 60, 0, Why::NotInService),
            (999, 60, 0, Why::UnknownNumber),
        ] {
            let rated = rate(Some(&charges()), at(answered), Some(seconds), at(50_000));
            let payer = account.filter(|_| why == Why::Charged);
            assert_eq!(rated, Rated { account: payer, seconds: Some(wanted), why }, "{answered}");
        }
        assert_eq!(rate(Some(&charges()), at(1_000), None, at(1_000)).seconds, None);
        assert_eq!(rate(None, at(1_000), Some(1), at(1_000)), Rated::free(Why::UnknownNumber));
    }

    /// Of two instants that cost the same it does not matter which it was. Else nobody pays.
    #[test]
    fn in_doubt_nobody_pays() {
        let mut charges = charges();
        let next = Period { account: AccountId::new(2).unwrap(), from: at(30_500), until: Some(at(40_000)) };
        let rated = |charges: &Charges, answered: [i64; 2], seconds| {
            rate_in_doubt(Some(charges), answered.map(at), Some(seconds), at(50_000))
        };
        let both = rate(Some(&charges), at(2_000), Some(3), at(50_000));
        assert_eq!((rated(&charges, [2_000, 5_000], 3), both.why), (both, Why::Charged));
        for (answered, why) in [
            ([9_000, 11_000], Why::Aging),
            ([19_000, 21_000], Why::Aging),
            ([999, 1_001], Why::UnknownNumber),
            ([29_000, 51_000], Why::BadLine),
            ([5_000, 9_000], Why::BadLine), // charged for another time
        ] {
            assert_eq!(rated(&charges, answered, 3), Rated::free(why), "{answered:?}");
        }
        charges.periods.push(next);
        assert_eq!(rated(&charges, [25_000, 35_000], 1), Rated::free(Why::BadLine), "two accounts");
    }

    #[test]
    fn an_open_period_charges_the_whole_call() {
        let account = AccountId::new(1).unwrap();
        let open = Period { account, from: at(0), until: None };
        let charges = Charges { imported_at: at(0), periods: vec![open], aged: Vec::new() };
        assert_eq!(rate(Some(&charges), at(5), Some(u64::MAX), at(5)).seconds, Some(u64::MAX));
    }

    /// What is ahead is not known yet: the same bill made later could say something else.
    #[test]
    fn a_call_that_lies_ahead_is_not_charged() {
        let open = Period { account: AccountId::new(1).unwrap(), from: at(0), until: None };
        let charges = Charges { imported_at: at(0), periods: vec![open], aged: Vec::new() };
        assert_eq!(rate(Some(&charges), at(6), Some(1), at(5)), Rated::free(Why::BadLine));
        assert_eq!(rate(None, at(6), Some(1), at(5)), Rated::free(Why::BadLine));
    }
}
