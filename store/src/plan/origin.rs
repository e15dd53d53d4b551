//! Where the numbers of an order are from.

use std::collections::{HashMap, HashSet};

use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::Area;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::locality::{Exchange, Locality};
use onhook_core::number::Number;
use onhook_core::order::{Kind, Order, Origin};

/// Returns where the numbers of a number order are from. They must be among `entries` with their areas. `None` before
/// the order has ended, and for orders of other kinds.
#[must_use]
pub fn origin(
    order: &Order,
    entries: &HashMap<Number, Entry>,
    areas: &HashMap<AreaId, Area>,
    exchanges: &HashMap<u32, Exchange>,
) -> Option<Origin> {
    if order.request.kind() != Kind::Number || !order.status.is_final() {
        return None;
    }
    let mut numbers: Vec<Number> = order.done().collect();
    numbers.sort_unstable();
    let (mut seen, mut places) = (HashSet::new(), Vec::new());
    for number in numbers {
        let Some(area) = entries.get(&number).map(|entry| entry.area) else { continue };
        if seen.insert((number.npa_nxx(), area)) {
            let exchange = number.npa_nxx().and_then(|npa_nxx| exchanges.get(&npa_nxx));
            places.push(Locality::of(number, &areas[&area].name, exchange));
        }
    }
    Origin::of(&places)
}
