//! Where a call to a number goes, and who pays for it.

use onhook_core::ids::PeerId;
use onhook_core::lifecycle::diagram::State;
use onhook_core::number::Number;
use onhook_core::report::calls::Routing;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

/// What a switch answers where a number is vacant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacant {
    /// The SIP status and Q.850 cause of an aging number.
    pub aging: (u16, u8),
}

impl Default for Vacant {
    /// An aging number is answered as one that was never given out: some networks take 410 for "try elsewhere".
    fn default() -> Self {
        Self { aging: UNALLOCATED }
    }
}

/// 404 Not Found, and "unallocated (unassigned) number" (RFC 3398, 8.2.6.1).
const UNALLOCATED: (u16, u8) = (404, 1);

/// Returns where a call to `number` at `at` goes, as a switch reads it.
#[must_use]
pub fn call(number: Number, at: Timestamp, routing: &Routing, vacant: Vacant) -> Value {
    let codes = match (routing.deliver, routing.state) {
        (Some(_), _) => None,
        (None, Some(State::Aging)) => Some(vacant.aging),
        (None, _) => Some(UNALLOCATED),
    };
    let deliver = routing.deliver.map(|place| {
        json!({
            "account": place.account.to_string(),
            "site": place.site.to_string(),
            "peer": place.peer.as_ref().map(PeerId::to_string),
        })
    });
    json!({
        "number": number.to_string(),
        "at": at.to_string(),
        "state": routing.state.map(|state| state.word()),
        "treatment": if deliver.is_some() { "deliver" } else { "vacant" },
        "deliver": deliver,
        "sip_code": codes.map(|(sip, _)| sip),
        "q850_cause": codes.map(|(_, cause)| cause),
        "chargeable": routing.deliver.map(|place| json!({ "account": place.account.to_string() })),
        "why": routing.why,
    })
}
