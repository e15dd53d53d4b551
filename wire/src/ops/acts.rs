//! Acts of people on numbers: why a number does not go.

use onhook_core::order::act::Refused;

/// Returns why an act does not change a number, in a sentence.
#[must_use]
pub fn sentence(why: Refused) -> &'static str {
    match why {
        Refused::NotInService => "the number is not in service on this account",
        Refused::NotAging => "the number is not aging, or not with this account as its former one",
        Refused::Locked => "the number is locked",
        Refused::AlreadySo => "the number is so already",
        Refused::TollFreeProtected => "a toll-free number cannot be protected",
        Refused::NoSite => "the account has no such site",
        Refused::NoPeer => "the site has no such peer",
        Refused::NoDefaultPeer => "the site has no default peer",
        Refused::NotLater => "the new end is not later than the one that the number has",
        Refused::PastCeiling => {
            "the number would age longer than its profile allows: say past_ceiling if it is to"
        }
        Refused::UnderFloor => "somebody new could have the number too soon",
        Refused::FloorUnknown => "nobody knows when the number was disconnected, so its floor is unknown",
        Refused::Kept => "the number is kept from release",
        Refused::Released => "the number has been released since, or has left",
        Refused::Reconnected => "the number has been reconnected since",
        Refused::DisconnectedAgain => "the number has been reconnected since, and disconnected again",
        Refused::WrongState => "the number is in a state from which this does not lead on",
    }
}
