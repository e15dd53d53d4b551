//! What an operator has set.

use onhook_core::lifecycle::provenance::{Author, Doer, Provenance};
use onhook_core::setting::{Changes, Setting, Values};
use serde_json::json;

use super::fixtures::{at, clean, seeded};
use crate::conformance::Opener;
use crate::contract::settings::Chosen;

fn operator(n: i64) -> Doer {
    Doer { author: Author { user: "operator".into(), under: Provenance::default() }, now: at(n) }
}

cases! { ($) settings conformance_settings:
    /// On every node, and for good.
    async fn what_is_set_holds_on_every_node_until_it_is_taken_back(opener) {
        let (store, ..) = seeded(opener).await;
        assert_eq!((store.chosen().await.expect("read"), store.setting_values().await.expect("read")), (vec![], Values::default()));
        store.close().await;
        let (one, other) = opener.open_twice().await;
        let changes = Changes::from([
            (Setting::HeldDays, Some(json!(3))),
            (Setting::CancelWindowSeconds, Some(json!(600))),
            (Setting::NrufOcn, None),
        ]);
        one.change_settings(changes, operator(5)).await.expect("changed");
        let wanted = Values { held_days: 3, cancel_window_seconds: 600, ..Values::default() };
        assert_eq!(other.setting_values().await.expect("read"), wanted);
        let chosen = other.chosen().await.expect("read");
        let held = Chosen { setting: Setting::HeldDays, value: json!(3), at: at(5), by: "operator".into() };
        assert_eq!(chosen[1], held);
        let changes = Changes::from([(Setting::HeldDays, Some(json!(7))), (Setting::CancelWindowSeconds, None)]);
        other.change_settings(changes, operator(6)).await.expect("changed");
        let again = Values { held_days: 7, ..Values::default() };
        assert_eq!(one.setting_values().await.expect("read"), again);
        clean(&*one).await;
        one.close().await;
        other.close().await;
        let store = opener.open().await;
        assert_eq!(store.setting_values().await.expect("read"), again);
        clean(&*store).await;
    }
}
