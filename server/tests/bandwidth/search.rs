//! What is in the pool.

use crate::app::{POOL, Seed, account, get, post, with_app, xml};

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

        // What is taken is no longer found.
        let (_, order) = app.place(post(account("/orders"), xml::order(app.site, &[POOL]))).await;
        app.ended(get(order)).await;
        let none = app.send(get(available("?areaCode=336"))).await;
        assert!(none.text().ends_with("<SearchResult/>"), "{}", none.text());
    })
    .await;
}

#[tokio::test]
async fn what_ages_is_not_in_the_pool() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&["5405514342"]).await;
        let found = app.send(get(available("?areaCode=540"))).await;
        assert!(!found.elements("TelephoneNumber").contains(&"5405514342"));
    })
    .await;
}

#[tokio::test]
async fn a_search_is_asked_for_in_words_that_it_knows() {
    with_app(Seed::two_accounts(), async |app| {
        let length =
            "The length of the search criteria 'Area Code' is not valid, the acceptable length is 3 characters.";
        let (area_code, digits) = (
            "Please verify that your Area Code search input parameters are correct.",
            "Please verify that your NPA, NPA-NXX, or NPA-NXX-X search input parameters are correct.",
        );
        let unsupported = "Provided search criteria are unsupported or are not valid";
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
            ("?areaCode=919&zip=27606", 4010, unsupported),
            ("?areaCode=919&npaNxx=919355", 4010, unsupported),
            ("?areaCode=919&orderBy=fullnumber", 4021, "The orderBy parameter is not supported for specified search criteria"),
            ("?areaCode=919&orderBy=price", 4020, "Please verify that your orderBy search query parameter is correct. Valid values are: fullNumber,npaNxxx,npaNxx,areaCode"),
            ("?areaCode=919&protected=only", 4010, unsupported),
            ("?areaCode=919&protected=yes", 4022, "Please verify that your protected search query parameter is correct. Valid values are: NONE, ONLY, MIXED"),
            ("?areaCode=919&quantity=many", 1014, "many is not a valid number"),
            ("", 4010, "Provided search criteria are unsupported or are not valid"),
            ("?zip=27606", 4010, "Provided search criteria are unsupported or are not valid"),
            ("?areaCode=919&quantity=0", 1006, quantity),
            ("?areaCode=919&quantity=5001", 1006, quantity),
            ("?areaCode=919&areacode=919", 1009, "'areaCode' is duplicated"),
            ("?areaCode=919&enableTNDetail=1", 1008, "'1' is not a valid value"),
        ] {
            let reply = app.send(get(available(query))).await;
            assert_eq!(reply.error(), (400, Some(code), text), "{query}");
        }
        golden!(app, "refused_4010", app.send(get(available("?areaCode=9"))).await);
    })
    .await;
}
