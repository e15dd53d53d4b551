//! Jobs: work that outlasts a request. Which kinds there are, how many wait, and how they end.
//!
//! Not here: what a job does, or who runs it.

use crate::time::Timestamp;
use crate::words::words;

words! {
    /// What a job does.
    Kind {
        /// It proves that what is stored is right.
        Check = "check",
        /// It copies the whole store while it is in use.
        Backup = "backup",
        /// It takes in numbers or exchanges from a file.
        Import = "import",
        /// It makes a report for regulators.
        Report = "report",
    }
}

words! {
    /// How far a job is.
    State {
        /// It waits for its turn.
        Waiting = "waiting",
        /// It is under way.
        Running = "running",
        /// The file of an import arrives.
        Receiving = "receiving",
        /// The lines of an import are checked. Nothing of it is written yet.
        Checking = "checking",
        /// The lines of an import are written.
        Writing = "writing",
        /// It has done what it was to do.
        Done = "done",
        /// An import had bad lines, and nothing of it was written.
        Refused = "refused",
        /// It was ended before it had written anything.
        Cancelled = "cancelled",
        /// It could not be done.
        Failed = "failed",
    }
}

/// Most jobs of a kind that wait while one runs.
pub const WAITING_MAX: usize = 10;
/// Most makings of reports that are remembered after their end. Of more the oldest are forgotten.
pub const MAKINGS_MAX: usize = 100;
/// How long after its end a making of a report is what the same request gets, if nobody was told what came of it: an hour.
pub const UNTOLD_MS: i64 = 3_600_000;

/// Why a job is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// As many wait as may wait.
    #[error("one runs, and {WAITING_MAX} wait")]
    TooMany,
    /// An import is under way. Imports do not wait for each other.
    #[error("another import is under way")]
    ImportRunning,
}

impl Kind {
    /// Returns the state in which a job begins.
    #[must_use]
    pub fn first(self) -> State {
        match self {
            Kind::Check | Kind::Backup | Kind::Report => State::Waiting,
            Kind::Import => State::Receiving,
        }
    }

    /// Returns whether one more job may be taken while `open` jobs of its kind have not ended.
    ///
    /// # Errors
    /// [`NotTaken`] says why it is not.
    pub fn may_take(self, open: usize) -> Result<(), NotTaken> {
        match self {
            Kind::Import if open > 0 => Err(NotTaken::ImportRunning),
            Kind::Check | Kind::Backup | Kind::Report if open > WAITING_MAX => Err(NotTaken::TooMany),
            _ => Ok(()),
        }
    }
}

/// Returns whether the making of a report answers the same request at `now`: it has not ended, or it has made the report a
/// short while ago and nobody was `told` that. One that failed is made again.
#[must_use]
pub fn answers_again(state: State, ended_at: Option<Timestamp>, told: bool, now: Timestamp) -> bool {
    match ended_at {
        None => true,
        Some(ended_at) => state == State::Done && !told && now.since(ended_at) <= UNTOLD_MS,
    }
}

impl State {
    /// True if the job has ended.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, State::Done | State::Refused | State::Cancelled | State::Failed)
    }

    /// True if a person may still end the job: nothing of it is written yet.
    #[must_use]
    pub fn may_be_cancelled(self) -> bool {
        matches!(self, State::Receiving | State::Checking)
    }

    /// True if a job may go from this state to `next`. A job that has ended stays as it is.
    #[must_use]
    pub fn leads_to(self, next: State) -> bool {
        match self {
            State::Waiting => matches!(next, State::Waiting | State::Running | State::Failed),
            State::Running => matches!(next, State::Running | State::Done | State::Failed),
            State::Receiving => matches!(next, State::Receiving | State::Checking | State::Cancelled),
            State::Checking => {
                matches!(
                    next,
                    State::Checking | State::Writing | State::Done | State::Refused | State::Cancelled
                )
            }
            State::Writing => matches!(next, State::Writing | State::Done),
            State::Done | State::Refused | State::Cancelled | State::Failed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_runs_ten_wait_and_an_import_does_not_wait() {
        for kind in [Kind::Check, Kind::Backup, Kind::Report] {
            assert_eq!(kind.may_take(WAITING_MAX), Ok(()));
            assert_eq!(kind.may_take(WAITING_MAX + 1), Err(NotTaken::TooMany));
        }
        assert_eq!(Kind::Import.may_take(0), Ok(()));
        assert_eq!(Kind::Import.may_take(1), Err(NotTaken::ImportRunning));
    }

    #[test]
    fn a_request_joins_the_making_of_its_report_until_somebody_was_told_of_it() {
        let ended = |millis| Some(Timestamp::from_millis(millis));
        let now = Timestamp::from_millis(UNTOLD_MS);
        for (state, ended_at, told, answers) in [
            (State::Waiting, None, false, true),
            (State::Running, None, false, true),
            (State::Done, ended(0), false, true),
            (State::Done, ended(-1), false, false),
            (State::Done, ended(0), true, false),
            (State::Failed, ended(0), false, false),
        ] {
            assert_eq!(answers_again(state, ended_at, told, now), answers, "{state} {ended_at:?} {told}");
        }
    }

    #[test]
    fn what_has_ended_or_is_being_written_is_not_cancelled() {
        for state in State::ALL {
            assert_eq!(
                state.may_be_cancelled(),
                state.leads_to(State::Cancelled),
                "{state}: a person may do what may happen"
            );
            assert_eq!(state.is_final(), State::ALL.iter().all(|next| !state.leads_to(*next)), "{state}");
        }
    }
}
