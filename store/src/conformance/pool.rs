//! Searches of the pool.

use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::locality::Locality;
use onhook_core::number::Number;
use onhook_core::order::search::{Criteria, Inventory, TollFree, Vanity};

use super::fixtures::{account, activate, at, clean, lines, number, order, policy, run_all, seeded};
use crate::conformance::Opener;
use crate::contract::numbers::NumberFilter;
use crate::contract::pool::PoolQuery;

cases! { ($) pool conformance_pool:
    /// A search finds pool numbers of its area code, each once, in an order that depends on the seed.
    async fn the_pool_hands_out_what_is_asked_and_no_more(opener) {
        let (store, ..) = seeded(opener).await;
        let search = async |prefix: &str, size, seed| {
            let found = store.pool(PoolQuery { criteria: Criteria::prefix(prefix), inventory: Inventory::Pool, size, seed }).await.expect("read");
            found.into_iter().map(|(entry, _)| entry.number).collect::<Vec<Number>>()
        };
        let everything = search("919", 100, 1).await;
        let mut sorted = everything.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (20..50).map(number).collect::<Vec<_>>());
        assert_ne!(everything, sorted, "not in the order of the digits");
        assert_ne!(everything, search("919", 100, 2).await);
        assert_eq!(search("919", 4, 1).await.len(), 4);
        assert!(search("540", 4, 1).await.is_empty());
        let more = (1_000..9_000).map(|n| NewNumber::available(Number::from_digits(19_196_660_000 + n).expect("valid")));
        store.import(lines(more.collect()), Intake::of("more"), at(1), policy()).await.expect("imported");
        let mut many = search("919", 50, 3).await;
        assert_eq!(many.len(), 50);
        many.sort_unstable();
        many.dedup();
        assert_eq!(many.len(), 50, "each once");
        clean(&*store).await;
    }

    /// Each criterion finds the numbers that fit by `core`, with any seed, and each inventory finds its own. Taken
    /// numbers are not found.
    async fn a_search_finds_all_that_fits_and_nothing_else(opener) {
        let (store, site, _) = seeded(opener).await;
        let place = |digits: u64, region: &str, rate_center: Option<&str>| NewNumber {
            region: Some(region.into()), rate_center: rate_center.map(str::to_owned),
            ..NewNumber::available(Number::from_digits(digits).expect("valid"))
        };
        let mut more: Vec<NewNumber> = (0..40).map(|n| place(12_125_550_100 + n, "NY", None)).collect();
        more.extend((0..40).map(|n| place(17_035_550_100 + n, "VA", Some("ARLINGTON"))));
        more.extend((40..60).map(|n| place(17_035_550_100 + n, "VA", Some("FAIRFAX"))));
        more.extend((0..20).map(|n| place(19_105_550_100 + n, "VA", None))); // not where its code lies
        for npa in [800, 888, 877, 540] {
            let first = 10_005_550_100 + npa * 10_000_000;
            more.extend((0..20).map(|n| NewNumber::available(Number::from_digits(first + n).expect("valid"))));
        }
        more.extend((150..160).map(|n| NewNumber {
            state: State::Protected, account: Some(account(1)), ..NewNumber::available(number(n))
        }));
        let foreign = "+33140289562".parse().expect("valid");
        more.push(NewNumber::available(foreign));
        store.import(lines(more), Intake::of("more"), at(1), policy()).await.expect("imported");

        let mut wanted = vec![Criteria::default()];
        wanted.extend(["919", "703555", "7035550", "9195551", "800", "201"].map(Criteria::prefix));
        let text = |text: &str| Some(text.to_owned());
        for region in ["NC", "VA", "NY", "CA"] {
            wanted.push(Criteria { region: text(region), ..Criteria::default() });
            wanted.push(Criteria { region: text(region), rate_center: text("ARLINGTON"), ..Criteria::default() });
            wanted.push(Criteria { region: text(region), ..Criteria::prefix("703") });
        }
        for (digits, at_end) in [("5501", false), ("0123", true), ("5550110", false), ("5012", false)] {
            let vanity = Some(Vanity { digits: digits.into(), at_end });
            wanted.push(Criteria { vanity: vanity.clone(), ..Criteria::default() });
            wanted.push(Criteria { vanity: vanity.clone(), ..Criteria::prefix("919") });
            wanted.push(Criteria { vanity, region: text("VA"), ..Criteria::default() });
        }
        let toll_free = ["8**", "80*", "888"].map(|pattern| TollFree::Pattern(pattern.into()));
        wanted.extend(toll_free.into_iter().chain([TollFree::Vanity("5550".into())])
            .map(|toll_free| Criteria { toll_free: Some(toll_free), ..Criteria::default() }));
        wanted.push(Criteria { city: text("RALEIGH"), ..Criteria::default() });
        wanted.push(Criteria { lata: text("426"), ..Criteria::default() });
        wanted.push(Criteria { zip: text("27601"), ..Criteria::default() });

        let held = store.export(NumberFilter::default(), None, 1_000).await.expect("read").numbers;
        let (pool, own) = (Inventory::Pool, Inventory::Protected(account(1)));
        for criteria in wanted {
            let there = |states: &[State]| -> Vec<Number> {
                let fit = held.iter().filter(|(entry, name)| {
                    states.contains(&entry.state()) && entry.number.is_nanp()
                        && criteria.fits(entry.number, &Locality::of(entry.number, name, None))
                });
                fit.map(|(entry, _)| entry.number).collect()
            };
            let search = async |inventory, size, seed| {
                let query = PoolQuery { criteria: criteria.clone(), inventory, size, seed };
                let found = store.pool(query).await.expect("read").into_iter();
                found.map(|(entry, _)| entry.number).collect::<Vec<Number>>()
            };
            for (inventory, states) in [
                (pool, vec![State::Available]), (own, vec![State::Protected]),
                (Inventory::Both(account(1)), vec![State::Available, State::Protected]),
                (Inventory::Protected(account(2)), vec![]),
            ] {
                let there = there(&states);
                let mut found = search(inventory, 1_000, 7).await;
                assert!(found.len() < 15 || found != there, "{criteria:?} in the order of the digits");
                assert!(found.len() < 15 || found != search(inventory, 1_000, 8).await, "{criteria:?}");
                found.sort_unstable();
                assert_eq!(found, there, "{criteria:?} {inventory:?}");
                let some = search(inventory, 3, 9).await;
                assert_eq!(some.len(), there.len().min(3), "{criteria:?}");
                assert!(some.iter().all(|number| there.contains(number)), "{criteria:?}");
            }
            let counted: u64 = store.stock(criteria.clone()).await.expect("read").iter().map(|s| s.numbers).sum();
            let fit = u64::try_from(there(&[State::Available]).len()).expect("few");
            assert!(counted >= fit, "{criteria:?}");
        }
        let of = |region: &str| Criteria { region: text(region), ..Criteria::default() };
        let stock = store.stock(of("VA")).await.expect("read");
        let stock: Vec<_> = stock.iter().map(|s| (s.npa_nxx, s.numbers, s.locality.rate_center.as_deref())).collect();
        let wanted = [(540_555, 20, None), (703_555, 40, Some("ARLINGTON")), (703_555, 20, Some("FAIRFAX")), (910_555, 20, None)];
        assert_eq!(stock, wanted);
        store.accept(order(2, 1, activate(20..50, site))).await.expect("accepted");
        run_all(&*store, at(2)).await;
        assert_eq!(store.stock(of("NC")).await.expect("read"), []);
        let query = PoolQuery { criteria: of("NC"), inventory: pool, size: 10, seed: 1 };
        assert_eq!(store.pool(query).await.expect("read"), []);
        clean(&*store).await;
    }
}
