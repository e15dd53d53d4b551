//! Where a call to a number goes, and who pays for it.

use onhook_core::ids::PeerId;
use onhook_core::lifecycle::diagram::State;
use onhook_core::number::Number;
use onhook_core::report::calls::Routing;
use onhook_core::setting::CallsAging;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

/// Returns where a call to `number` at `at` goes, as a switch reads it. `aging` is what a call to an aging number gets.
#[must_use]
pub fn call(number: Number, at: Timestamp, routing: &Routing, aging: CallsAging) -> Value {
    let codes = match (routing.deliver, routing.state) {
        (Some(_), _) => None,
        (None, Some(State::Aging)) => Some(aging),
        (None, _) => Some(CallsAging::UNALLOCATED),
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
        "sip_code": codes.map(|codes| codes.sip_code),
        "q850_cause": codes.map(|codes| codes.q850_cause),
        "chargeable": routing.deliver.map(|place| json!({ "account": place.account.to_string() })),
        "why": routing.why,
    })
}
