//! Magic numbers: 555-0170 to 555-0196 of any area code, each with a fault of its own.

use std::time::Duration;

use onhook_core::notify::notification::DeliveryFailure;
use onhook_core::number::Number;
use onhook_core::order::{Kind, Refusal};

use super::faults::{Answer, Deaf, Deed, Harm};
use super::scripts::Wait;

/// What a magic number does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Magic {
    /// In an order of this kind it fails so.
    Fails(Kind, Refusal),
    /// The request that names it.
    Request(Deed),
    /// The order that names it waits.
    Waits(Wait),
    /// What is told of the order that names it: the first attempt alone, or each.
    Told(Deaf, bool),
}

/// Each magic number: its last four digits, what it does in words, and what it does.
pub(crate) fn all() -> Vec<(u16, &'static str, Magic)> {
    let fails = |kind, why| Magic::Fails(kind, why);
    let request = |harm| Magic::Request(Deed { harm, delay: Duration::ZERO });
    let refused = |status, code| Harm::Refused(Answer::of(status, code));
    let busy = Answer { headers: vec![("Retry-After".into(), "1".into())], ..Answer::of(503, None) };
    let (disconnect, number) = (Kind::Disconnect, Kind::Number);
    vec![
        (170, "a disconnect order: 5006, not yours", fails(disconnect, Refusal::NotInService)),
        (171, "a disconnect order: 5006, locked", fails(disconnect, Refusal::Locked)),
        (172, "a disconnect order: 5003", fails(disconnect, Refusal::SetAside)),
        (173, "a disconnect order: 5007", fails(disconnect, Refusal::OverCapacity)),
        (174, "a disconnect order: 5086", fails(disconnect, Refusal::TimedOut)),
        (175, "a number order: 5005", fails(number, Refusal::Unavailable)),
        (176, "a number order: 5016", fails(number, Refusal::NoSite)),
        (177, "a number order: 5020", fails(number, Refusal::NoDefaultPeer)),
        (178, "a number order: 5023", fails(number, Refusal::NoPeer)),
        (179, "a move: 5076", fails(Kind::Move, Refusal::NotMovable)),
        (180, "the request: 400 with 5012", request(refused(400, Some(5012)))),
        (181, "the request: 429", request(refused(429, None))),
        (182, "the request: 500 with 1000", request(refused(500, Some(1000)))),
        (183, "the request: 503 with Retry-After: 1", request(Harm::Refused(busy))),
        (184, "the request: 504, written", request(Harm::AnsweredAfter(Answer::of(504, None)))),
        (185, "the request: 504, not written", request(refused(504, None))),
        (186, "the request: dropped, not written", request(Harm::LostBefore)),
        (187, "the request: dropped, written", request(Harm::LostAfter)),
        (190, "an order: RECEIVED for 3 reads", Magic::Waits(Wait::Reads(3))),
        (191, "an order: RECEIVED for 60 s of the clock", Magic::Waits(Wait::Ms(60_000))),
        (
            192,
            "the request: answered after 5 s",
            Magic::Request(Deed { harm: Harm::Late, delay: Duration::from_secs(5) }),
        ),
        (
            195,
            "an order: the first telling of its end times out",
            Magic::Told(Deaf::Fails(DeliveryFailure::Timeout), true),
        ),
        (
            196,
            "an order: every telling of its end is refused",
            Magic::Told(Deaf::Fails(DeliveryFailure::Refused), false),
        ),
    ]
}

/// Returns what a number does, if it is a magic one.
pub(crate) fn of(number: Number) -> Option<Magic> {
    let digits = number.digits();
    if digits / 10_000_000_000 != 1 || digits / 10_000 % 1_000 != 555 {
        return None;
    }
    let last = u16::try_from(digits % 10_000).ok().filter(|last| (170..=196).contains(last))?;
    all().into_iter().find(|(known, ..)| *known == last).map(|(.., magic)| magic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_in_every_area_code_and_nowhere_else() {
        let is = |text: &str| of(text.parse().unwrap()).is_some();
        assert!(is("5405550170") && is("2125550196") && is("8005550181"));
        for other in ["5405550169", "5405550188", "5405560170", "+445405550170", "5405550100", "5405551170"] {
            assert!(!is(other), "{other}");
        }
    }
}
