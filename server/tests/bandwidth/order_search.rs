//! Number orders that search, and those that wait for numbers. In area code 336 the pool has one number.

use onhook_core::import::NewNumber;

use crate::app::{NEIGHBOUR, POOL, Seed, Who, account, get, number, post, put, with_app, xml};

fn orders() -> String {
    account("/orders")
}

fn area_code(quantity: u32) -> String {
    format!("<AreaCode>336</AreaCode><Quantity>{quantity}</Quantity>")
}

#[tokio::test]
async fn a_search_is_an_order_for_what_it_finds() {
    with_app(Seed::two_accounts(), async |app| {
        let body = xml::search(app.site, "AreaCode", &area_code(1), false);
        let (received, path) = app.place(post(orders(), body)).await;
        golden!(app, "received", received);
        golden!(app, "complete", app.ended(get(&path)).await);
        golden!(app, "complete_v2", app.send(get(path.replace("/api/", "/api/v2/"))).await);
        assert_eq!(app.send(get(format!("/api/tns/{POOL}"))).await.element("Status"), Some("Inservice"));
        golden!(app, "tns", app.send(get(format!("{path}/tns"))).await);

        let body = xml::search(app.site, "NPANXX", "<NpaNxx>212555</NpaNxx><Quantity>7</Quantity>", false);
        let (_, path) = app.place(post(orders(), body)).await;
        let complete = app.ended(get(&path)).await;
        assert_eq!(complete.element("OrderStatus"), Some("COMPLETE"));
        let mut numbers = complete.elements("FullNumber");
        assert!(numbers.iter().all(|number| number.starts_with("212555")), "{numbers:?}");
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 7);
        let listed = app.send(get(orders())).await.expect(200);
        assert_eq!(listed.elements("CountOfTNs"), ["7", "1"]);
    })
    .await;
}

#[tokio::test]
async fn a_search_that_finds_too_little_does_what_it_was_asked_to() {
    with_app(Seed::two_accounts(), async |app| {
        let all_or_none = xml::search(app.site, "AreaCode", &area_code(2), false)
            .replace("<SiteId>", "<PartialAllowed>false</PartialAllowed><SiteId>");
        let (_, path) = app.place(post(orders(), all_or_none)).await;
        golden!(app, "failed", app.ended(get(&path)).await);
        let (_, path) =
            app.place(post(orders(), xml::search(app.site, "AreaCode", &area_code(2), false))).await;
        golden!(app, "partial", app.ended(get(&path)).await);
        golden!(app, "partial_totals", app.send(get(format!("{path}/totals"))).await);
        // The pool has none left.
        let (_, path) =
            app.place(post(orders(), xml::search(app.site, "AreaCode", &area_code(1), false))).await;
        let failed = app.ended(get(&path)).await;
        assert_eq!((failed.element("OrderStatus"), failed.code()), (Some("FAILED"), Some(5018)));
    })
    .await;
}

#[tokio::test]
async fn a_back_order_waits_until_its_numbers_appear() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let (_, path) =
            app.place(post(orders(), xml::search(app.site, "AreaCode", &area_code(2), true))).await;
        golden!(app, "backordered", app.ended(get(&path)).await);
        let reply = app.send(get(format!("{}?status=backordered", orders()))).await;
        assert_eq!(reply.elements("OrderStatus"), ["BACKORDERED"]);
        let mine = "<Order><CustomerOrderId>mine</CustomerOrderId></Order>";
        golden!(app, "amended", app.send(put(&path, mine)).await);
        golden!(app, "backordered_history", app.send(get(format!("{path}/history"))).await);
        app.import(vec![NewNumber::available(number("3365550101"))]).await;
        let complete = crate::app::wait_for("the back order's end", async || {
            let reply = app.send(get(&path)).await.expect(200);
            (reply.element("OrderStatus") != Some("BACKORDERED")).then_some(reply)
        })
        .await;
        golden!(app, "filled", complete);
        golden!(app, "filled_history", app.send(get(format!("{path}/history"))).await);
        let reply = app.send(put(&path, "<Order><CloseOrder>true</CloseOrder></Order>")).await;
        assert_eq!(reply.error(), (400, Some(5060), "Only Backordered order can be closed."));
    })
    .await;
}

#[tokio::test]
async fn a_back_order_that_is_closed_ends_with_what_it_has() {
    with_app(Seed::two_accounts(), async |app| {
        for (site, quantity, status) in [(app.site, 2, "PARTIAL"), (app.site, 3, "FAILED")] {
            let body = xml::search(site, "AreaCode", &area_code(quantity), true);
            let (_, path) = app.place(post(orders(), body)).await;
            app.ended(get(&path)).await;
            let theirs = path.replace("9900000", &NEIGHBOUR.to_string());
            let close = "<Order><CloseOrder>true</CloseOrder></Order>";
            let reply = app.send(put(theirs, close).by(Who::Neighbour)).await;
            assert_eq!(reply.error(), (404, Some(5061), "Order ID is invalid."));
            app.send(put(&path, close)).await.expect(200);
            let closed = app.send(get(&path)).await;
            assert_eq!(closed.element("OrderStatus"), Some(status));
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_search_is_answered_with_its_code_and_makes_no_order() {
    with_app(Seed::two_accounts(), async |app| {
        let search = |form: &str, fields: &str| xml::search(app.site, form, fields, false);
        let two = search("AreaCode", &area_code(1)).replace("<SiteId>", "<StateSearchAndOrderType/><SiteId>");
        let protected = search("TollFreeWildChar", "<TollFreeWildCardPattern>8**</TollFreeWildCardPattern><Quantity>1</Quantity>")
            .replace("<SiteId>", "<TnAttributes><TnAttribute>Protected</TnAttribute></TnAttributes><SiteId>");
        let narrow = xml::search(app.site, "NPANXX", "<NpaNxx>336555</NpaNxx><Quantity>1</Quantity>", true);
        let before = app.counts().await;
        for (body, code, text) in [
            (
                search("AreaCode", "<AreaCode>336</AreaCode>"),
                5198,
                "AreaCodeSearchAndOrderType requires both AreaCode and Quantity values.",
            ),
            (
                search("AreaCode", "<AreaCode>336</AreaCode><Quantity>5001</Quantity>"),
                5215,
                "The quantity specified in the order is not valid or exceeds the maximum value of 5000",
            ),
            (
                search("TollFreeVanity", "<Quantity>1</Quantity>"),
                5199,
                "TollFreeVanitySearchAndOrderType requires both TollFreeVanity and Quantity values.",
            ),
            (
                search("AreaCode", "<AreaCode>911</AreaCode><Quantity>1</Quantity>"),
                5002,
                "The area code of telephone numbers can not end with 11.",
            ),
            (
                search("Combined", "<Quantity>1</Quantity>"),
                5002,
                "Unable to perform search. Please, provide some search criteria",
            ),
            (search("ZIP", "<Quantity>1</Quantity>"), 5224, "The search criteria 'Zip' cannot be empty"),
            (search("State", "<State>NC</State><Quantity>some</Quantity>"), 5009, "The quantity specified some is invalid."),
            (
                protected,
                5101,
                "'Protected' telephone number attribute is not applicable for toll-free search and order criteria.",
            ),
            (
                narrow,
                5522,
                "Backorders are not compatible with Specific TN, NPANXX, NPANXXX, TollFree Vanity or Local Vanity orders",
            ),
            (two, 5087, "The input order type is not a valid entry."),
        ] {
            let reply = app.send(post(orders(), body.as_str())).await;
            assert_eq!(reply.error(), (400, Some(code), text), "{body}");
        }
        assert_eq!(app.counts().await, before);
        let reply = app.send(post(orders(), search("AreaCode", "<AreaCode>36</AreaCode><Quantity>1</Quantity>"))).await;
        golden!(app, "refused", reply);
    })
    .await;
}

#[tokio::test]
async fn the_orders_of_a_site_are_posted_and_shown_under_it() {
    with_app(Seed::two_accounts(), async |app| {
        let (_, path) = app.place(post(orders(), xml::order(app.site, &[POOL]))).await;
        app.ended(get(&path)).await;
        let id = path.rsplit('/').next().unwrap();
        let at = |site: u32, rest: &str| account(&format!("/sites/{site}/orders{rest}"));
        golden!(app, "site_list", app.send(get(at(app.site, "?page=1&size=30"))).await);
        assert_eq!(
            app.send(get(at(app.site, &format!("/{id}")))).await.text(),
            app.send(get(&path)).await.text()
        );
        assert_eq!(
            app.send(get(at(app.site, &format!("/{id}/tns")))).await.elements("TelephoneNumber"),
            [POOL]
        );
        let elsewhere = app.send(get(at(app.neighbours_site, ""))).await.expect(200);
        assert_eq!(elsewhere.element("TotalCount"), Some("0"));
        let elsewhere = app.send(get(at(app.neighbours_site, &format!("/{id}")))).await;
        assert_eq!(elsewhere.error(), (404, Some(5061), "Order ID is invalid."));
    })
    .await;
}
