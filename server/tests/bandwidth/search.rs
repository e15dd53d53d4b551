//! Searches of the pool.

use onhook_core::ids::AccountId;
use onhook_core::import::NewNumber;
use onhook_core::lifecycle::diagram::State;
use onhook_wire::search::Vendor;

use crate::app::{NEIGHBOUR, POOL, Seed, Who, account, get, number, post, with_app, xml};

fn available(query: &str) -> String {
    account(&format!("/availableNumbers{query}"))
}

#[tokio::test]
async fn the_pool_is_searched_by_area_code() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "found", app.send(get(available("?areaCode=336"))).await);
        golden!(app, "found_details", app.send(get(available("?areaCode=336&enableTNDetail=true"))).await);
        let v2 = available("?areaCode=336").replace("/api/", "/api/v2/");
        golden!(app, "found_v2", app.send(get(v2)).await);
        golden!(app, "found_nothing", app.send(get(available("?areaCode=201"))).await);

        let some = app.send(get(available("?areacode=212&quantity=7"))).await.expect(200);
        let numbers = some.elements("TelephoneNumber");
        assert_eq!((numbers.len(), some.element("ResultCount")), (7, Some("7")));
        assert!(numbers.iter().all(|number| number.starts_with("21255501")), "{numbers:?}");
        let all = app.send(get(available("?areacode=212"))).await;
        assert_eq!(all.element("ResultCount"), Some("50"));

        // A taken number is no longer found.
        let (_, order) = app.place(post(account("/orders"), xml::order(app.site, &[POOL]))).await;
        app.ended(get(order)).await;
        let none = app.send(get(available("?areaCode=336"))).await;
        assert!(none.text().ends_with("<SearchResult/>"), "{}", none.text());
    })
    .await;
}

#[tokio::test]
async fn an_aging_number_is_not_in_the_pool() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&["5405514342"]).await;
        let found = app.send(get(available("?areaCode=540"))).await;
        assert!(!found.elements("TelephoneNumber").contains(&"5405514342"));
    })
    .await;
}

#[tokio::test]
async fn the_pool_is_searched_by_locality_and_by_what_a_number_spells() {
    with_app(Seed::two_accounts(), async |app| {
        let find = async |query: &str| {
            let reply = app.send(get(available(query))).await.expect(200);
            reply.elements("TelephoneNumber").iter().map(|number| (*number).to_owned()).collect::<Vec<_>>()
        };
        for (query, count, first) in [
            ("?state=NC", 51, ""),
            ("?state=va", 100, ""),
            ("?state=NC&areaCode=919", 50, "91955501"),
            ("?city=raleigh&state=NC", 50, "91955501"),
            ("?city=RALEIGH&state=VA", 0, ""),
            ("?rateCenter=Greensboro&state=NC", 1, "3365550100"),
            ("?rateCenter=RALEIGH&state=NC&LCA=false", 50, "91955501"),
            ("?lata=722", 50, "41555501"),
            ("?zip=27601", 50, "91955501"),
            ("?zip=27601-1234", 50, "91955501"),
            ("?zip=27699", 0, ""),
            ("?npaNxxx=9195550", 50, "91955501"),
            ("?localVanity=50107", 5, ""),
            ("?localVanity=50107&areaCode=212", 1, "2125550107"),
            ("?localVanity=0133&endsIn=true&state=VA", 2, ""),
            ("?localVanity=0133&endsIn=false&areaCode=540", 1, "5405550133"),
            ("?localVanity=5550107&lata=426", 1, "9195550107"),
            ("?tollFreeWildCardPattern=8**", 50, "80055501"),
            ("?tollFreeWildCardPattern=88*", 0, ""),
            ("?tollFreeVanity=5550149", 1, "8005550149"),
            ("?protected=ONLY", 0, ""),
        ] {
            let found = find(query).await;
            assert_eq!(found.len(), count, "{query}");
            assert!(found.iter().all(|number| number.starts_with(first)), "{query}: {found:?}");
        }
        // Numbers come in random order, unless a client asks for a sorted list. They are still chosen at random then.
        let (one, other) = (find("?areaCode=212").await, find("?areaCode=212").await);
        assert_ne!(one, other);
        let ordered = find("?state=VA&orderBy=fullNumber&quantity=20").await;
        assert!(ordered.is_sorted() && ordered.len() == 20, "{ordered:?}");
        assert_ne!(ordered, find("?state=VA&orderBy=fullNumber&quantity=20").await);
        let by_code = find("?state=VA&orderBy=areaCode").await;
        assert!(by_code.iter().map(|number| &number[..3]).is_sorted() && !by_code.is_sorted(), "{by_code:?}");
        let detailed = available("?zip=27601&localVanity=50107&enableTNDetail=true");
        golden!(app, "found_by_place", app.send(get(detailed)).await);
    })
    .await;
}

#[tokio::test]
async fn a_search_for_toll_free_numbers_is_answered_without_details() {
    with_app(Seed::two_accounts(), async |app| {
        for by in ["tollFreeWildCardPattern=80*", "tollFreeVanity=5550149"] {
            let query = format!("?{by}&quantity=1&enableTNDetail=true");
            let asked = app.send(get(available(&query))).await.expect(200);
            assert_eq!(asked.elements("TelephoneNumber").len(), 1, "{}", asked.text());
            assert!(!asked.text().contains("Detail"), "{}", asked.text());
            let v2 = available(&query).replace("/api/", "/api/v2/");
            let json = app.send(get(v2).header("Accept", "application/json")).await.expect(200);
            assert!(json.text().contains(r#""phoneNumbers":["+1800"#), "{}", json.text());
        }
        let refused = app.send(get(available("?tollFreeVanity=5550149&enableTNDetail=maybe"))).await;
        assert_eq!((refused.status, refused.code()), (400, Some(1008)));
    })
    .await;
}

#[tokio::test]
async fn an_operator_names_the_account_of_a_search() {
    let vendor = Vendor { id: 7, name: "R&D".into(), tier: 3 };
    with_app(Seed::two_accounts().vendor(vendor), async |app| {
        let found = app.send(get(available("?areaCode=336&enableTNDetail=true"))).await.expect(200);
        let told =
            "<Tier>3</Tier><VendorId>7</VendorId><VendorName>R&amp;D</VendorName></TelephoneNumberDetail>";
        assert!(found.text().contains(told), "{}", found.text());
        let (_, order) = app.place(post(account("/orders"), xml::order(app.site, &[POOL]))).await;
        app.ended(get(&order)).await;
        let order = app.send(get(format!("{order}?tndetail=true"))).await.expect(200);
        let told = "<Tier>3</Tier><VendorId>7</VendorId><VendorName>R&amp;D</VendorName></TelephoneNumber>";
        assert!(order.text().contains(told), "{}", order.text());
    })
    .await;
}

#[tokio::test]
async fn an_account_finds_its_own_protected_numbers_and_no_others() {
    with_app(Seed::two_accounts(), async |app| {
        let own = NewNumber {
            state: State::Protected,
            account: AccountId::new(9_900_000),
            ..NewNumber::available(number("5405514343"))
        };
        app.import(vec![own]).await;
        let found = |query: &str| get(available(query));
        let own = app.send(found("?protected=ONLY")).await.expect(200);
        assert_eq!(own.elements("TelephoneNumber"), ["5405514343"]);
        let mixed = app.send(found("?npaNxx=540551&protected=MIXED")).await.expect(200);
        assert_eq!(mixed.elements("TelephoneNumber"), ["5405514343"]);
        let none = app.send(found("?npaNxx=540551")).await.expect(200);
        assert!(none.elements("TelephoneNumber").is_empty());
        let theirs = available("?npaNxx=540551&protected=MIXED").replace("9900000", &NEIGHBOUR.to_string());
        let theirs = app.send(get(theirs).by(Who::Neighbour)).await.expect(200);
        assert!(theirs.elements("TelephoneNumber").is_empty());
    })
    .await;
}

#[tokio::test]
async fn nobody_is_shown_the_whole_pool_in_an_hour() {
    with_app(Seed::two_accounts().shown_limit(60), async |app| {
        let search = |query: &str| get(available(query));
        app.send(search("?areaCode=212")).await.expect(200);
        // A search that finds nothing counts as showing nothing.
        for _ in 0..5 {
            app.send(search("?areaCode=201")).await.expect(200);
        }
        let refused = app.send(search("?areaCode=703")).await;
        assert_eq!((refused.status, refused.text()), (429, ""));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3_600).contains(&wait), "{wait}");
        assert!(refused.header("x-ratelimit-reset").is_some());
        app.send(search("?areaCode=703&quantity=5")).await.expect(200);
        // Each account is counted separately, and an operator is not counted.
        let theirs = available("?areaCode=703").replace("9900000", &NEIGHBOUR.to_string());
        app.send(get(theirs).by(Who::Neighbour)).await.expect(200);
        app.send(search("?areaCode=703").by(Who::Operator)).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn the_pool_is_counted_by_exchange() {
    with_app(Seed::two_accounts(), async |app| {
        let exchanges = |query: &str| get(account(&format!("/availableNpaNxx{query}")));
        golden!(app, "exchanges", app.send(exchanges("?state=NC")).await);
        let many = app.send(exchanges("?state=NC&areaCode=919&quantity=50")).await.expect(200);
        assert_eq!(many.elements("Nxx"), ["555"]);
        golden!(app, "exchanges_none", app.send(exchanges("?state=NC&quantity=51")).await);
        golden!(app, "exchanges_refused", app.send(exchanges("?areaCode=433")).await);
        for (query, code, text) in [
            ("", 4010, "Provided search criteria are unsupported or are not valid"),
            ("?state=XX", 4006, "Please verify that your State search input parameters are correct."),
            (
                "?areaCode=91",
                4000,
                "The area code specified 91 is not present as a valid entry in our system",
            ),
            ("?state=NC&quantity=0", 1006, "quantity must be between 1 and 10000 (bounds are included)"),
        ] {
            let reply = app.send(exchanges(query)).await;
            assert_eq!(reply.error(), (400, Some(code), text), "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_refuses_invalid_parameters() {
    with_app(Seed::two_accounts(), async |app| {
        let length =
            "The length of the search criteria 'Area Code' is not valid, the acceptable length is 3 characters.";
        let (area_code, digits) = (
            "Please verify that your Area Code search input parameters are correct.",
            "Please verify that your NPA, NPA-NXX, or NPA-NXX-X search input parameters are correct.",
        );
        let unsupported = "Provided search criteria are unsupported or are not valid";
        let combination = "The combination of search criteria is unsupported.";
        let vanity = "The localVanity value should contain 3 or more digits";
        let also = "Please also specify State to search by current criteria.";
        let state = "Please verify that your State search input parameters are correct.";
        let quantity = "quantity must be between 1 and 5000 (bounds are included)";
        for (query, code, text) in [
            ("?areaCode=9", 4010, length),
            ("?areaCode=9190", 4010, length),
            ("?areaCode=91x", 4000, area_code),
            ("?areaCode=911", 4000, area_code),
            ("?npaNxx=91935", 4002, digits),
            ("?npaNxx=919135&zip=x", 4002, digits),
            ("?npaNxxx=919355x", 4002, digits),
            ("?rateCenter=%01", 4001, "Please verify that your Rate Center search input parameters are correct."),
            ("?tollFreeVanity=abc", 4003, "Please verify that your Toll Free Vanity search input parameters are correct."),
            ("?tollFreeWildCardPattern=9**", 4004, "Please verify that your Toll Free Wild Card search input parameters are correct."),
            ("?city=%01", 4005, "Please verify that your City search input parameters are correct."),
            ("?state=Carolina", 4006, "Please verify that your State search input parameters are correct."),
            ("?areaCode=919&zip=2760", 4007, "Please verify that your Zip Code search input parameters are correct."),
            ("?lata=2240", 4008, "Please verify that your LATA search input parameters are correct."),
            ("?state=XX", 4006, state),
            ("?areaCode=919&npaNxx=919355", 4010, combination),
            ("?npaNxx=919355&npaNxxx=9193551", 4010, combination),
            ("?tollFreeVanity=2bad&tollFreeWildCardPattern=8**", 4010, combination),
            ("?tollFreeWildCardPattern=8**&state=NC", 4010, combination),
            ("?tollFreeVanity=2bad&areaCode=800", 4010, combination),
            ("?rateCenter=RALEIGH", 4010, also),
            ("?city=Raleigh&zip=27601", 4010, also),
            ("?areaCode=919&endsIn=true", 4010, "Ends In is meaningless without Local Vanity"),
            ("?areaCode=919&localVanity=abc", 4010, vanity),
            ("?areaCode=919&localVanity=2+bad", 4010, vanity),
            ("?areaCode=919&localVanity=55501&endsIn=maybe", 1008, "endsIn: 'maybe' is not a valid value. Valid values are: true, false"),
            ("?areaCode=919&LCA=maybe", 1008, "LCA: 'maybe' is not a valid value. Valid values are: true, false"),
            ("?protected=MIXED", 4010, unsupported),
            ("?tollFreeWildCardPattern=8**&orderBy=fullnumber", 4021, "The orderBy parameter is not supported for specified search criteria"),
            ("?areaCode=919&orderBy=price", 4020, "Please verify that your orderBy search query parameter is correct. Valid values are: fullNumber,npaNxxx,npaNxx,areaCode"),
            ("?areaCode=919&protected=yes", 4022, "Please verify that your protected search query parameter is correct. Valid values are: NONE, ONLY, MIXED"),
            ("?areaCode=919&quantity=many", 1014, "quantity: many is not a valid number"),
            ("", 4010, "Provided search criteria are unsupported or are not valid"),
            ("?areaCode=919&quantity=0", 1006, quantity),
            ("?areaCode=919&quantity=5001", 1006, quantity),
            ("?areaCode=919&areacode=919", 1009, "'areaCode' is duplicated"),
            ("?areaCode=919&enableTNDetail=2", 1008, "enableTNDetail: '2' is not a valid value. Valid values are: true, false"),
        ] {
            let reply = app.send(get(available(query))).await;
            assert_eq!(reply.error(), (400, Some(code), text), "{query}");
        }
        golden!(app, "refused_4010", app.send(get(available("?areaCode=9"))).await);
    })
    .await;
}
