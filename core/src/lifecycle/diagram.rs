//! The states of a number and what may follow what.
//!
//! [`transition`] answers "can this follow that at all". Orders, release, import and the checker all ask it.
//! Not here: whether an account may do it, and when (`order::decide`).

use crate::words::words;

words! {
    /// Where a number is in its life.
    State {
        /// In the public pool.
        Available = "Available",
        /// Held for an account until its reservation ends.
        Reserved = "Reserved",
        /// With a subscriber.
        InService = "InService",
        /// Disconnected and resting; only its former account may take it.
        Aging = "Aging",
        /// In its owner's own inventory, never in the pool.
        Protected = "Protected",
        /// Kept by the operator: test numbers, numbers taken out of use.
        Administrative = "Administrative",
        /// Gone. Its row stays for the audit trail.
        Removed = "Removed",
    }
}

words! {
    /// Where a number goes after aging.
    Home {
        /// To anyone: `Available`.
        Pool = "pool",
        /// To its former account's own inventory: `Protected`.
        Owner = "owner",
        /// Out of this system: `Removed`.
        Away = "away",
    }
}

impl Home {
    /// Returns where a number goes after aging: ported-in and soft-removed numbers leave, protected ones go to their
    /// owner, the rest to the pool.
    #[must_use]
    pub fn of(ported_in: bool, leaves: bool, protected: bool) -> Self {
        if ported_in || leaves {
            Home::Away
        } else if protected {
            Home::Owner
        } else {
            Home::Pool
        }
    }
}

/// One arrow of the diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// An account holds a pool number for a while.
    Reserve,
    /// A reservation expires or is cancelled.
    Unreserve,
    /// A number enters service.
    Activate,
    /// A number leaves service and begins to age.
    Disconnect,
    /// The former account takes an aging number back.
    Reconnect,
    /// The end of aging.
    Release(Home),
    /// A number leaves service and the system at once.
    Purge,
    /// An operator lets a number age longer.
    Extend,
    /// An operator guards a number in service against disconnecting.
    Lock,
    /// An operator takes that guard away.
    Unlock,
    /// A number in service goes to another site or peer of its account.
    Move,
    /// A removed number is imported again, in this state.
    Restore(State),
    /// An operator lets a number age less long.
    Shorten,
    /// An operator keeps an aging number from release.
    Keep,
    /// An operator no longer does.
    Unkeep,
    /// An operator takes a number out of the pool.
    SetAside,
    /// An operator puts it back into the pool.
    PutBack,
    /// A number goes to another carrier, with its subscriber.
    PortOut,
    /// An operator corrects what an import said of where a number lies or belongs.
    Correct,
}

impl Step {
    /// Every step, in the order of the declaration.
    pub const ALL: &'static [Step] = &[
        Step::Reserve,
        Step::Unreserve,
        Step::Activate,
        Step::Disconnect,
        Step::Reconnect,
        Step::Release(Home::Pool),
        Step::Release(Home::Owner),
        Step::Release(Home::Away),
        Step::Purge,
        Step::Extend,
        Step::Lock,
        Step::Unlock,
        Step::Move,
        Step::Restore(State::Available),
        Step::Restore(State::Reserved),
        Step::Restore(State::InService),
        Step::Restore(State::Aging),
        Step::Restore(State::Protected),
        Step::Restore(State::Administrative),
        Step::Restore(State::Removed),
        Step::Shorten,
        Step::Keep,
        Step::Unkeep,
        Step::SetAside,
        Step::PutBack,
        Step::PortOut,
        Step::Correct,
    ];

    /// Returns whether a number goes on in the state in which it was.
    #[must_use]
    pub fn stays(self) -> bool {
        match self {
            Step::Extend | Step::Shorten | Step::Keep | Step::Unkeep => true,
            Step::Lock | Step::Unlock | Step::Move | Step::Correct => true,
            Step::Reserve | Step::Unreserve | Step::Activate | Step::Disconnect | Step::Reconnect => false,
            Step::Release(_) | Step::Purge | Step::SetAside | Step::PutBack | Step::PortOut => false,
            Step::Restore(_) => false,
        }
    }
}

impl std::fmt::Display for Step {
    /// Writes it as a noun: "a release to the pool".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Step::Reserve => "a reservation",
            Step::Unreserve => "the end of a reservation",
            Step::Activate => "an activation",
            Step::Disconnect => "a disconnect",
            Step::Reconnect => "a reconnect",
            Step::Release(Home::Pool) => "a release to the pool",
            Step::Release(Home::Owner) => "a release to its owner",
            Step::Release(Home::Away) => "a release out of the system",
            Step::Purge => "a purge",
            Step::Extend => "a longer hold",
            Step::Lock => "a lock",
            Step::Unlock => "the end of a lock",
            Step::Move => "a move",
            Step::Shorten => "a shorter hold",
            Step::Keep => "a keep",
            Step::Unkeep => "the end of a keep",
            Step::SetAside => "a setting aside",
            Step::PutBack => "a return to the pool",
            Step::PortOut => "a port to another carrier",
            Step::Correct => "a correction",
            Step::Restore(state) => return write!(f, "an import as {state}"),
        })
    }
}

/// The diagram has no such step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step} cannot follow {from}")]
pub struct NoSuchStep {
    /// The state before.
    pub from: State,
    /// The step.
    pub step: Step,
}

/// Returns the state after a step. The whole diagram, one line an arrow.
///
/// # Errors
/// [`NoSuchStep`] if the diagram has no such arrow.
#[rustfmt::skip]
pub fn transition(from: State, step: Step) -> Result<State, NoSuchStep> {
    use {Home as H, State as S, Step as T};
    match (from, step) {
        (S::Available,                              T::Reserve)           => Ok(S::Reserved),
        (S::Reserved,                               T::Unreserve)         => Ok(S::Available),
        (S::Available | S::Reserved | S::Protected, T::Activate)          => Ok(S::InService),
        (S::InService,                              T::Disconnect)        => Ok(S::Aging),
        (S::InService,                              T::Purge)             => Ok(S::Removed),
        (S::InService,                              T::Lock | T::Unlock)  => Ok(S::InService),
        (S::InService,                              T::Move)              => Ok(S::InService),
        (S::Aging,                                  T::Reconnect)         => Ok(S::InService),
        (S::Aging,                                  T::Extend)            => Ok(S::Aging),
        (S::Aging,                                  T::Shorten)           => Ok(S::Aging),
        (S::Aging,                                  T::Keep | T::Unkeep)  => Ok(S::Aging),
        (S::Aging,                                  T::Release(H::Pool))  => Ok(S::Available),
        (S::Aging,                                  T::Release(H::Owner)) => Ok(S::Protected),
        (S::Aging,                                  T::Release(H::Away))  => Ok(S::Removed),
        (S::Available,                              T::SetAside)          => Ok(S::Administrative),
        (S::Administrative,                         T::PutBack)           => Ok(S::Available),
        (S::InService | S::Aging,                   T::PortOut)           => Ok(S::Removed),
        (state,                                     T::Correct)           => Ok(state),
        (S::Removed,                                T::Restore(to)) if to != S::Removed => Ok(to),
        (from, step) => Err(NoSuchStep { from, step }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagram_is_this_grid() {
        let mut grid = String::new();
        for step in Step::ALL {
            grid += &format!("{step:?}\n");
            for from in State::ALL {
                if let Ok(to) = transition(*from, *step) {
                    assert_eq!(step.stays(), to == *from, "{step:?}");
                    grid += &format!("    {from} -> {to}\n");
                }
            }
        }
        insta::assert_snapshot!("diagram", grid);
    }
}
