//! Exchanges and areas.

use std::collections::BTreeMap;

use onhook_core::import::{BadLine, Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::locality::Exchange;
use onhook_core::number::Number;
use onhook_core::order::search::{Criteria, Inventory};
use onhook_core::time::DAY_MS;

use super::fixtures::{
    activate, all, at, clean, disconnect, doer, lines, number, order, policy, release, run_all, seeded,
};
use crate::StoreError;
use crate::conformance::Opener;
use crate::contract::exchanges::RateCenterQuery;
use crate::contract::numbers::NumberQuery;
use crate::contract::page::Start;
use crate::contract::pool::PoolQuery;

cases! { ($) exchanges conformance_exchanges:
    /// An operator's exchanges are imported all or none. They decide where numbers are shown and found, and the areas
    /// of numbers imported later. Numbers already there keep their areas.
    async fn exchanges_say_where_numbers_lie_and_where_new_ones_belong(opener) {
        let (store, ..) = seeded(opener).await;
        let text = |text: &str| Some(text.to_owned());
        let exchange = |npa_nxx, region: &str, rate_center: &str, zips: &[&str]| Exchange {
            npa_nxx, region: region.into(), rate_center: rate_center.into(), name: rate_center.into(),
            lata: text("426"), city: text("THE CITY"), zips: zips.iter().map(|zip| (*zip).to_owned()).collect(),
        };
        let lines = |exchanges: Vec<Exchange>| -> crate::contract::exchanges::ExchangeLines {
            Box::new((2..).zip(exchanges.into_iter().map(Ok)))
        };
        let (raleigh, cary) = (exchange(919_555, "NC", "RALEIGH", &["27601", "27602"]), exchange(919_666, "NC", "CARY", &[]));
        let twice = vec![raleigh.clone(), cary.clone(), raleigh.clone()];
        match store.import_exchanges(lines(twice), doer(0)).await {
            Err(StoreError::Import(bad)) => {
                let [kind] = bad.kinds() else { panic!("{bad:?}") };
                let what = "exchange 919555".to_owned();
                assert_eq!(kind.first, [(4, BadLine::Twice { what, first: 2 })]);
            }
            other => panic!("{other:?}"),
        }
        let nowhere: Vec<Exchange> = Vec::new();
        assert_eq!(store.exchanges(Criteria::default()).await.expect("read"), nowhere);

        let by = |field: &str| Criteria {
            rate_center: (field == "rate_center").then(|| "RALEIGH".into()), city: (field == "city").then(|| "THE CITY".into()),
            lata: (field == "lata").then(|| "426".into()), zip: (field == "zip").then(|| "27602".into()), ..Criteria::default()
        };
        let fields = ["rate_center", "city", "lata", "zip"];
        let found = async |criteria: Criteria| {
            let query = PoolQuery { criteria, inventory: Inventory::Pool, size: 100, seed: 1 };
            store.pool(query).await.expect("read").len()
        };
        for field in fields {
            assert_eq!(found(by(field)).await, 0, "{field}");
        }
        assert_eq!(store.import_exchanges(lines(vec![raleigh.clone(), cary.clone()]), doer(0)).await.expect("imported").numbers, 2);
        for field in fields {
            assert_eq!(found(by(field)).await, 30, "{field}");
            let of_account = NumberQuery {
                region: text("nc"), rate_center: by(field).rate_center, city: by(field).city, lata: by(field).lata,
                ..all(1, &[State::InService], Start::Page(1), 4)
            };
            let page = store.numbers(of_account.clone()).await.expect("read");
            assert_eq!((page.items.len(), page.total, page.next), (4, 10, Some(number(4))), "{field}");
            assert_eq!(store.count(NumberQuery { lata: text("224"), ..of_account }).await.expect("read"), 0);
        }
        // Numbers already there keep their area, new ones get that of their exchange.
        let late = Number::from_digits(19_196_660_100).expect("valid");
        let far = Number::from_digits(19_195_559_999).expect("valid");
        let elsewhere = NewNumber { region: text("VA"), rate_center: text("ROANOKE"), ..NewNumber::available(far) };
        store.import(self::lines(vec![NewNumber::available(late), elsewhere]), Intake::of("late"), at(1), policy()).await.expect("imported");
        let area = async |number| store.facts(number).await.expect("read").expect("there");
        assert_eq!(area(number(20)).await.area.to_string(), "919 (NC)");
        assert_eq!(area(number(20)).await.locality.rate_center.as_deref(), Some("RALEIGH"));
        assert_eq!(area(late).await.area.to_string(), "CARY, NC");
        assert_eq!(area(far).await.locality.city, None, "its import knows better where it is");
        assert_eq!(found(by("city")).await, 31);
        let unknown = Number::from_digits(19_196_660_199).expect("valid");
        let asked = vec![late, unknown, number(0), far];
        let told = store.localities(asked).await.expect("read");
        let told: Vec<_> = told.iter().map(|(number, l)| (*number, l.rate_center.as_deref())).collect();
        assert_eq!(told, [(late, Some("CARY")), (number(0), Some("RALEIGH")), (far, Some("ROANOKE"))]);
        // In areas that are told, which may be those of before.
        let areas = store.areas().await.expect("read");
        let called = |name: &str| areas.iter().find(|(_, area)| area.name.to_string() == name).expect("there").0;
        let told = store.localities_in(vec![(far, called("CARY, NC")), (far, called("919 (NC)")), (late, called("ROANOKE, VA"))]);
        let told: Vec<_> = told.await.expect("read").into_iter().map(|l| l.rate_center.expect("one")).collect();
        assert_eq!(told, ["CARY", "RALEIGH", "ROANOKE"]);

        let page = async |from, size, criteria| {
            let query = RateCenterQuery { criteria, name: None, from, size };
            store.rate_centers(query).await.expect("read")
        };
        let some = page(1, 2, Criteria::default()).await;
        let names: Vec<_> = some.items.iter().map(|r| (r.id, r.abbreviation.as_str(), r.exchanges.len())).collect();
        assert_eq!((names, some.total, some.next), (vec![(1, "RALEIGH", 1), (2, "CARY", 1)], 3, Some(3)));
        let rest = page(3, 2, Criteria::default()).await;
        assert_eq!((rest.items[0].abbreviation.as_str(), rest.items[0].exchanges.len(), rest.next), ("ROANOKE", 0, None));
        assert_eq!(page(1, 5, by("zip")).await.items.len(), 1);
        assert_eq!(store.exchanges(Criteria::prefix("919666")).await.expect("read"), [cary]);

        // The same exchange again replaces the known one.
        let moved = Exchange { name: "WAKE FOREST TOWN".into(), ..exchange(919_555, "NC", "WAKEFOREST", &["27587"]) };
        store.import_exchanges(lines(vec![moved.clone()]), doer(0)).await.expect("imported");
        assert_eq!((found(by("zip")).await, found(by("rate_center")).await), (0, 0));
        let names = page(4, 1, Criteria::default()).await;
        assert_eq!((names.items[0].name.as_str(), &names.items[0].exchanges), ("WAKE FOREST TOWN", &vec![moved]));
        clean(&*store).await;
    }

    /// Supply counts the pool; demand counts activations from it, not reconnects.
    async fn a_disconnect_raises_nothing_and_a_release_raises_the_supply(opener) {
        let (store, one, _) = seeded(opener).await;
        let area = async || store.areas().await.expect("read").into_iter().map(|(_, a)| a).collect::<Vec<_>>();
        let figures = |areas: Vec<onhook_core::lifecycle::area::Area>| -> BTreeMap<String, (u64, bool)> {
            areas.into_iter().map(|a| (a.name.to_string(), (a.supply, a.demand.per_day > 0.0))).collect()
        };
        assert_eq!(figures(area().await)["919 (NC)"], (30, false));
        store.accept(order(1, 1, disconnect([1, 2]))).await.expect("accepted");
        store.accept(order(2, 1, activate([1], one))).await.expect("accepted");
        run_all(&*store, at(10)).await;
        assert_eq!(figures(area().await)["919 (NC)"], (30, false));
        release(&*store, at(100 * DAY_MS), 10).await;
        assert_eq!(figures(area().await)["919 (NC)"], (31, false));
        store.accept(order(3, 1, activate([20, 2], one))).await.expect("accepted");
        run_all(&*store, at(100 * DAY_MS)).await;
        assert_eq!(figures(area().await)["919 (NC)"], (29, true));
        store.close().await;
        let store = opener.open().await;
        assert_eq!(figures(store.areas().await.expect("read").into_iter().map(|(_, a)| a).collect())["919 (NC)"], (29, true));
        clean(&*store).await;
    }
}
