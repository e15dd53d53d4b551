//! How values are written in what is kept: the numbers that stand for states, kinds of orders, statuses and states of
//! notifications, and details as JSON.

use onhook_core::account::change::Holdings;
use onhook_core::account::user::Rights;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::provenance::Credential;
use onhook_core::notify::notification::DeliveryState;
use onhook_core::order::{Kind, Status};

use crate::Result;
use crate::error::corrupt;

pub(crate) fn state_code(state: State) -> u8 {
    match state {
        State::Available => 0,
        State::Reserved => 1,
        State::InService => 2,
        State::Aging => 3,
        State::Protected => 4,
        State::Administrative => 5,
        State::Removed => 6,
    }
}

pub(crate) fn state_of(code: u8) -> Result<State> {
    let found = State::ALL.iter().find(|state| state_code(**state) == code);
    found.copied().ok_or_else(|| corrupt(format!("no state {code}")))
}

/// Reads a user's rights.
pub(crate) fn rights_of(bits: u8) -> Result<Rights> {
    Rights::of_bits(bits).ok_or_else(|| corrupt(format!("no rights {bits}")))
}

/// Returns how many numbers an account has, from how many it has in each state.
pub(crate) fn holdings(tally: impl IntoIterator<Item = (State, u64)>) -> Holdings {
    let mut holdings = Holdings::default();
    for (state, numbers) in tally {
        match state {
            State::InService => holdings.in_service = numbers,
            State::Aging => holdings.aging = numbers,
            State::Reserved => holdings.reserved = numbers,
            State::Protected => holdings.protected = numbers,
            State::Available | State::Administrative | State::Removed => {}
        }
    }
    holdings
}

pub(crate) fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Disconnect => 0,
        Kind::Number => 1,
        Kind::Move => 2,
    }
}

pub(crate) fn kind_of(code: u8) -> Result<Kind> {
    let found = Kind::ALL.iter().find(|kind| kind_code(**kind) == code);
    found.copied().ok_or_else(|| corrupt(format!("no kind of order {code}")))
}

pub(crate) fn status_code(status: Status) -> u8 {
    match status {
        Status::Received => 0,
        Status::Complete => 1,
        Status::Partial => 2,
        Status::Failed => 3,
        Status::Backordered => 4,
    }
}

pub(crate) fn status_of(code: u8) -> Result<Status> {
    let found = Status::ALL.iter().find(|status| status_code(**status) == code);
    found.copied().ok_or_else(|| corrupt(format!("no order status {code}")))
}

pub(crate) fn standing_code(standing: DeliveryState) -> u8 {
    match standing {
        DeliveryState::Waiting => 0,
        DeliveryState::Delivered => 1,
        DeliveryState::GivenUp => 2,
    }
}

pub(crate) fn standing_of(code: u8) -> Result<DeliveryState> {
    let found = DeliveryState::ALL.iter().find(|standing| standing_code(**standing) == code);
    found.copied().ok_or_else(|| corrupt(format!("no standing {code}")))
}

pub(crate) fn credential_code(credential: Credential) -> u8 {
    match credential {
        Credential::Basic => 0,
        Credential::Token => 1,
        Credential::Socket => 2,
        Credential::Session => 3,
        Credential::Offline => 4,
    }
}

pub(crate) fn credential_of(code: u8) -> Result<Credential> {
    let found = Credential::ALL.iter().find(|credential| credential_code(**credential) == code);
    found.copied().ok_or_else(|| corrupt(format!("no kind of credential {code}")))
}

/// Returns details as they are stored: `None` if nothing is said.
pub(crate) fn said<T: serde::Serialize + Default + PartialEq>(details: &T) -> Result<Option<String>> {
    if *details == T::default() { Ok(None) } else { Ok(Some(serde_json::to_string(details)?)) }
}

/// Reads details as they are stored.
pub(crate) fn details<T: serde::de::DeserializeOwned + Default>(text: Option<String>) -> Result<T> {
    match text {
        None => Ok(T::default()),
        Some(text) => Ok(serde_json::from_str(&text)?),
    }
}
