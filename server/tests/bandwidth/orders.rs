//! Number orders for existing numbers: from the pool, and back from aging.

use onhook_core::import::NewNumber;
use onhook_core::locality::{Exchange, ExchangeLine};

use crate::app::{
    ACCOUNT, App, IN_SERVICE, NEIGHBOUR, NEIGHBOURS, NO_NUMBER, POOL, Reply, Seed, Who, account, get, number,
    post, put, with_app, xml,
};

fn orders() -> String {
    account("/orders")
}

/// Places an order, waits for its end, and returns the order and its path.
async fn ended(app: &App, body: String) -> (Reply, String) {
    let (_, path) = app.place(post(orders(), body)).await;
    (app.ended(get(&path)).await, path)
}

#[tokio::test]
async fn a_pool_number_goes_into_service() {
    with_app(Seed::two_accounts(), async |app| {
        let more = format!(
            "<SiteId>{}</SiteId><PeerId>{}</PeerId><PartialAllowed>true</PartialAllowed>\
             <BackOrderRequested>false</BackOrderRequested><CustomerOrderId>mine</CustomerOrderId>\
             <TnAttributes><TnAttribute>Protected</TnAttribute></TnAttributes>",
            app.site, app.peer
        );
        let (received, path) = app.place(post(orders(), xml::order_with(&more, &[POOL]))).await;
        golden!(app, "received", received);
        golden!(app, "complete", app.ended(get(&path)).await);
        golden!(app, "complete_v2", app.send(get(path.replace("/api/", "/api/v2/"))).await);
        let number = app.send(get(format!("/api/tns/{POOL}"))).await;
        assert_eq!(number.element("Status"), Some("Inservice"));
        assert_eq!(Some(path.rsplit('/').next().unwrap()), number.element("OrderId"));
    })
    .await;
}

#[tokio::test]
async fn an_ended_order_names_the_peer_that_its_numbers_went_to() {
    with_app(Seed::two_accounts(), async |app| {
        let (guide, site) = (ACCOUNT.to_string().parse().unwrap(), app.site.to_string().parse().unwrap());
        let second = app
            .parts
            .store
            .create_peer(guide, site, "Second peer".into(), crate::app::now())
            .await
            .unwrap()
            .id;
        let peer = app.peer.to_string();
        let (received, path) = app.place(post(orders(), xml::order(app.site, &[POOL]))).await;
        assert_eq!(received.element("PeerId"), None);
        let order = app.ended(get(&path)).await;
        let at = format!("</OrderCreateDate><PeerId>{peer}</PeerId><BackOrderRequested>");
        assert!(order.text().contains(&at), "{}", order.text());
        // An order that searches, and one whose numbers did not go.
        let fields = "<AreaCode>212</AreaCode><Quantity>2</Quantity>";
        let (order, _) = ended(app, xml::search(app.site, "AreaCode", fields, false)).await;
        assert_eq!(order.element("PeerId"), Some(&*peer));
        let (order, _) = ended(app, xml::order(app.site, &[NO_NUMBER])).await;
        assert_eq!((order.element("OrderStatus"), order.element("PeerId")), (Some("FAILED"), None));

        // A number that is taken back goes to the peer that it had.
        let named = format!("<SiteId>{}</SiteId><PeerId>{second}</PeerId>", app.site);
        let (order, _) = ended(app, xml::order_with(&named, &["7035550100"])).await;
        assert_eq!(order.element("PeerId"), Some(&*second.to_string()));
        app.disconnect(&["7035550100"]).await;
        let (order, _) = ended(app, xml::order(app.site, &["7035550100"])).await;
        assert_eq!(order.element("PeerId"), Some(&*second.to_string()));
        // Where the numbers went to several, no peer is named.
        app.disconnect(&["7035550100"]).await;
        let (order, _) = ended(app, xml::order(app.site, &["7035550100", "7035550101"])).await;
        assert_eq!((order.element("OrderStatus"), order.element("PeerId")), (Some("COMPLETE"), None));
    })
    .await;
}

#[tokio::test]
async fn a_back_order_names_its_peer_once_it_has_ended() {
    with_app(Seed::two_accounts(), async |app| {
        // The pool has one number of this area code.
        let fields = "<AreaCode>336</AreaCode><Quantity>2</Quantity>";
        let (order, path) = ended(app, xml::search(app.site, "AreaCode", fields, true)).await;
        assert_eq!((order.element("OrderStatus"), order.element("PeerId")), (Some("BACKORDERED"), None));
        app.send(put(&path, "<Order><CloseOrder>true</CloseOrder></Order>")).await.expect(200);
        let order = app.send(get(&path)).await.expect(200);
        assert_eq!(order.element("OrderStatus"), Some("PARTIAL"));
        assert_eq!(order.element("PeerId"), Some(&*app.peer.to_string()));
        let history = app.send(get(format!("{path}/history"))).await.expect(200);
        let notes = history.elements("Note");
        assert_eq!(notes.last(), Some(&"Created a new number order for 1 number from GREENSBORO, NC"));
    })
    .await;
}

#[tokio::test]
async fn an_order_says_where_its_numbers_are_from() {
    with_app(Seed::two_accounts(), async |app| {
        app.import(vec![NewNumber::available(number("2065550100"))]).await;
        for (numbers, told) in [
            (&["5405550100"][..], "1 number from ROANOKE, VA"),
            (&["5405550102", "5405550101"], "2 numbers from ROANOKE, VA"),
            (&["9195550100", "5405550103", NO_NUMBER], "2 numbers from ROANOKE, VA and others"),
            (&["2065550100"], "1 number from Unknown RC, WA"),
            (&["8005550100"], "1 number from Unknown RC, Unknown State"),
            (&["9195550101", "8005550101"], "2 numbers from Unknown RC, Unknown State and others"),
        ] {
            let (_, path) = ended(app, xml::order(app.site, numbers)).await;
            let history = app.send(get(format!("{path}/history"))).await.expect(200);
            let told = format!("Created a new number order for {told}");
            assert_eq!(history.element("Note"), Some(&*told), "{numbers:?}");
        }
        // It is what was known when the order ended.
        let (_, path) = ended(app, xml::order(app.site, &["4155550100"])).await;
        let line = ExchangeLine {
            npa_nxx: "415555",
            state: "CA",
            rate_center: "SAUSALITO",
            ..ExchangeLine::default()
        };
        let lines = Box::new([(1, Ok(Exchange::read(&line).unwrap()))].into_iter());
        app.parts
            .store
            .import_exchanges(lines, onhook_core::lifecycle::provenance::Doer::offline(crate::app::now()))
            .await
            .unwrap();
        let history = app.send(get(format!("{path}/history"))).await.expect(200);
        let told = "Created a new number order for 1 number from SNFC CNTRL, CA";
        assert_eq!(history.element("Note"), Some(told));
    })
    .await;
}

#[tokio::test]
async fn the_numbers_of_an_order_are_shown_in_detail_when_that_is_asked_for() {
    with_app(Seed::two_accounts(), async |app| {
        let body = xml::order(app.site, &["5405550100", "8005550100", POOL, NO_NUMBER]);
        let (plain, path) = ended(app, body).await;
        golden!(app, "tndetail", app.send(get(format!("{path}?tndetail=true"))).await);
        let json = get(format!("{path}?tnDetail=true").replace("/api/", "/api/v2/"));
        golden!(app, "tndetail_json", app.send(json.header("Accept", "application/json")).await);
        for query in ["?tndetail=false", "?tndetail="] {
            assert_eq!(app.send(get(format!("{path}{query}"))).await.text(), plain.text(), "{query}");
        }
        let at_its_site =
            format!("{path}?tndetail=true").replace("/orders", &format!("/sites/{}/orders", app.site));
        let shown = app.send(get(at_its_site)).await.expect(200);
        assert_eq!(shown.elements("RateCenter"), ["ROANOKE", "GREENSBORO"]);
    })
    .await;
}

#[tokio::test]
async fn an_aging_number_goes_back_to_its_former_account_and_to_no_other() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        let theirs = format!("/api/accounts/{NEIGHBOUR}/orders");
        let body = xml::order(app.neighbours_site, &[IN_SERVICE[0]]);
        let (_, refused) = app.place(post(&theirs, body).by(Who::Neighbour)).await;
        let refused = app.ended(get(refused).by(Who::Neighbour)).await;
        golden!(app, "failed", refused);
        // The neighbour gets the same answer for a number that never existed.
        let body = xml::order(app.neighbours_site, &[NO_NUMBER]);
        let (_, unknown) = app.place(post(&theirs, body).by(Who::Neighbour)).await;
        let unknown = app.ended(get(unknown).by(Who::Neighbour)).await;
        let same_area = |text: String| text.replace(NO_NUMBER, IN_SERVICE[0]);
        assert_eq!(same_area(unknown.golden(app)), refused.golden(app));

        let (_, back) = app.place(post(orders(), xml::order(app.site, &[IN_SERVICE[0]]))).await;
        golden!(app, "reconnected", app.ended(get(back)).await);
        let number = app.send(get(format!("/api/tns/{}", IN_SERVICE[0]))).await;
        assert_eq!(number.element("Status"), Some("Inservice"));
    })
    .await;
}

#[tokio::test]
async fn an_order_is_partial_unless_it_must_be_whole() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers = [NEIGHBOURS, POOL, NO_NUMBER];
        let all_or_none = format!("<SiteId>{}</SiteId><PartialAllowed>False</PartialAllowed>", app.site);
        let (_, path) = app.place(post(orders(), xml::order_with(&all_or_none, &numbers))).await;
        golden!(app, "all_or_none", app.ended(get(path)).await);
        assert_eq!(app.send(get(format!("/api/tns/{POOL}"))).await.element("Status"), Some("Available"));

        let (_, path) = app.place(post(orders(), xml::order(app.site, &numbers))).await;
        golden!(app, "partial", app.ended(get(path)).await);
        assert_eq!(app.send(get(format!("/api/tns/{POOL}"))).await.element("Status"), Some("Inservice"));
        // Nobody can order a number in service, not even its own account.
        let (_, path) = app.place(post(orders(), xml::order(app.site, &[POOL]))).await;
        assert_eq!(app.ended(get(path)).await.code(), Some(5005));
    })
    .await;
}

#[tokio::test]
async fn a_wrong_request_is_answered_with_its_code_and_makes_no_order() {
    with_app(Seed::two_accounts(), async |app| {
        let site = format!("<SiteId>{}</SiteId>", app.site);
        let site = site.as_str();
        let order = |more: &str| xml::order_with(&format!("{site}{more}"), &[POOL]);
        let (no_site, wrong_site) = ((5022, "SiteId is a required field."), (5016, "The SiteId submitted is invalid."));
        let wrong_peer = (5023, "SIP peer submitted is invalid.");
        let other_type = (5087, "The input order type is not a valid entry.");
        let theirs = format!("<SiteId>{}</SiteId>", app.neighbours_site);
        let empty_type = "<ExistingTelephoneNumberOrderType/>";
        let before = app.counts().await;
        for (what, body, (code, text)) in [
            ("no site", xml::order_with("", &[POOL]), no_site),
            ("an empty site", xml::order_with("<SiteId/>", &[POOL]), no_site),
            ("no such site", xml::order_with("<SiteId>4294967295</SiteId>", &[POOL]), wrong_site),
            ("no site at all", xml::order_with("<SiteId>x</SiteId>", &[POOL]), wrong_site),
            ("another account's site", xml::order_with(&theirs, &[POOL]), wrong_site),
            ("no such peer", order("<PeerId>4294967295</PeerId>"), wrong_peer),
            ("no peer at all", order("<PeerId>x</PeerId>"), wrong_peer),
            ("no type", format!("<Order><Name>x</Name>{site}</Order>"), other_type),
            (
                "no list",
                format!("<Order><Name>x</Name>{site}{empty_type}</Order>"),
                (5001, "Invalid input telephone number list"),
            ),
            ("no number", xml::order(app.site, &[]), (5212, "The input list of telephone numbers is null or empty.")),
            ("a bad number", xml::order(app.site, &["888942232323"]), (5070, "Telephone number is invalid.")),
            (
                "a number twice",
                xml::order(app.site, &[POOL, POOL]),
                (5093, "Order cannot contain duplicate telephone numbers"),
            ),
            (
                "neither true nor false",
                order("<PartialAllowed>maybe</PartialAllowed>"),
                (5217, "The PartialAllowed value submitted is invalid."),
            ),
            (
                "a back order",
                order("<BackOrderRequested>true</BackOrderRequested>"),
                (5522, "Backorders are not compatible with Specific TN, NPANXX, NPANXXX, TollFree Vanity or Local Vanity orders"),
            ),
            (
                "a back order that is none",
                order("<BackOrderRequested>perhaps</BackOrderRequested>"),
                (1008, "BackOrderRequested: 'perhaps' is not a valid value. Valid values are: true, false"),
            ),
            (
                "an attribute twice",
                order("<TnAttributes><TnAttribute>Protected</TnAttribute><TnAttribute>protected</TnAttribute></TnAttributes>"),
                (5102, "Duplicate telephone number attribute 'protected'."),
            ),
            ("an empty number", xml::order(app.site, &[""]), (5073, "Telephone number is required.")),
            (
                "no such attribute",
                order("<TnAttributes><TnAttribute>Hosted</TnAttribute></TnAttributes>"),
                (5102, "Telephone number attribute 'Hosted' is invalid. Valid values: Protected"),
            ),
            (
                "a long name",
                format!("<Order><Name>{}</Name></Order>", "n".repeat(256)),
                (1011, "Name is too long. Max length 255 characters"),
            ),
            (
                "a number beside its type",
                order("<TelephoneNumber>2125550100</TelephoneNumber>"),
                (5001, "Invalid input telephone number list (what stands in 'TelephoneNumber' would be passed over: put each number into a TelephoneNumber of the list)"),
            ),
            ("two sites", xml::order_with(&site.repeat(2), &[POOL]), (1009, "'SiteId' is duplicated")),
            (
                "another root",
                "<DisconnectTelephoneNumberOrder/>".to_owned(),
                (1019, "Bad request encountered. Please check your request and try again. (the root element is Order)"),
            ),
        ] {
            let reply = app.send(post(orders(), body.as_str())).await;
            assert_eq!(reply.error(), (400, Some(code), text), "{what}: {body}");
            let beginning = format!("<OrderResponse><ErrorList><Error><Code>{code}</Code><Description>");
            assert!(reply.text().contains(&beginning), "{}", reply.text());
            assert_eq!((reply.header("location"), reply.element("OrderStatus")), (None, None), "{what}");
        }
        assert_eq!(app.counts().await, before);
        let twice = app.send(post(orders(), xml::order(app.site, &["3365550101", POOL, "+13365550100"]))).await;
        golden!(app, "refused_5093", twice);
        golden!(app, "refused_5016", app.send(post(orders(), xml::order(4_294_967_295, &[POOL]))).await);
    })
    .await;
}

#[tokio::test]
async fn orders_are_listed_with_their_own_spelling_of_an_id() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "list_empty", app.send(get(orders())).await);
        let (_, path) = app.place(post(orders(), xml::order(app.site, &[POOL]))).await;
        app.ended(get(&path)).await;
        app.disconnect(&["5405514342"]).await;
        golden!(app, "list", app.send(get(format!("{}?page=1&size=1000", orders()))).await);
        let reply = app.send(get(format!("{}?size=1001", orders()))).await;
        assert_eq!(reply.error(), (400, Some(1006), "size must be between 1 and 1000 (bounds are included)"));
        let reply = app.send(get(format!("{}?status=received", orders()))).await;
        let text = "Invalid 'status'. Valid values: complete, partial, failed, backordered";
        assert_eq!(reply.error(), (400, Some(15518), text));
        let reply = app.send(get(format!("{}?status=backordered", orders()))).await;
        assert_eq!((reply.status, reply.element("TotalCount")), (200, Some("0")));
    })
    .await;
}

#[tokio::test]
async fn orders_are_counted() {
    with_app(Seed::two_accounts(), async |app| {
        for number in [POOL, NO_NUMBER] {
            let (_, path) = app.place(post(orders(), xml::order(app.site, &[number]))).await;
            app.ended(get(path)).await;
        }
        app.disconnect(&["5405514342"]).await;
        golden!(app, "totals", app.send(get(format!("{}/totals", orders()))).await);
        for (query, count) in [
            ("?status=complete", "1"),
            ("?status=FAILED", "1"),
            ("?status=partial", "0"),
            ("?status=backordered", "0"),
        ] {
            let reply = app.send(get(format!("{}/totals{query}", orders()))).await.expect(200);
            assert_eq!(reply.element("TotalCount"), Some(count), "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_order_s_history_says_how_it_ended() {
    with_app(Seed::two_accounts(), async |app| {
        for (name, numbers) in [
            ("history_complete", &[POOL][..]),
            ("history_partial", &["2125550100", NO_NUMBER]),
            ("history_failed", &[NEIGHBOURS, NO_NUMBER]),
        ] {
            let (_, path) = app.place(post(orders(), xml::order(app.site, numbers))).await;
            app.ended(get(&path)).await;
            golden!(app, name, app.send(get(format!("{path}/history"))).await);
        }
        let unknown = format!("{}/6d7da966-e071-4741-b31c-1d8932f4b8da/history", orders());
        golden!(app, "history_not_found", app.send(get(unknown)).await);
    })
    .await;
}

#[tokio::test]
async fn an_order_lists_the_numbers_that_it_brought() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers = [POOL, "8005550107", NO_NUMBER, "2125550101", "2125550100"];
        let (_, path) = app.place(post(orders(), xml::order(app.site, &numbers))).await;
        app.ended(get(&path)).await;
        let (_, failed) = app.place(post(orders(), xml::order(app.site, &[NO_NUMBER]))).await;
        app.ended(get(&failed)).await;
        for (report, name) in
            [("tns", "tns"), ("areaCodes", "area_codes"), ("npaNxx", "npa_nxx"), ("totals", "report_totals")]
        {
            golden!(app, name, app.send(get(format!("{path}/{report}"))).await);
        }
        golden!(app, "tns_v2", app.send(get(format!("{path}/tns").replace("/api/", "/api/v2/"))).await);
        golden!(app, "tns_none", app.send(get(format!("{failed}/tns"))).await);
        golden!(app, "area_codes_none", app.send(get(format!("{failed}/areaCodes"))).await);
        for report in ["tns", "areaCodes", "npaNxx", "totals"] {
            let unknown = format!("{}/6d7da966-e071-4741-b31c-1d8932f4b8da/{report}", orders());
            let reply = app.send(get(unknown)).await;
            assert_eq!(reply.error(), (404, Some(5061), "Order ID is invalid."), "{report}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_order_takes_notes() {
    with_app(Seed::two_accounts(), async |app| {
        let (_, path) = app.place(post(orders(), xml::order(app.site, &[POOL]))).await;
        let notes = format!("{path}/notes");
        let added = app.send(post(&notes, xml::note("username", "a note"))).await.expect(201);
        golden!(app, "note_added", added.clone().redacted_tail());
        let at = app.path_of(added.header("location").unwrap());
        assert!(at.starts_with(&notes), "{at}");
        let listed = app.send(get(&notes)).await.expect(200);
        assert_eq!(listed.elements("Description"), ["a note"]);
        assert!(at.ends_with(listed.element("Id").unwrap()), "{at}");

        golden!(app, "note_written_again", app.send(put(&at, xml::note("username", "another text"))).await);
        let again = app.send(get(&notes)).await.expect(200);
        assert_eq!(again.elements("Description"), ["another text"]);
        assert_eq!(again.element("Id"), listed.element("Id"));
        golden!(
            app,
            "note_unknown",
            app.send(put(format!("{notes}/999999"), xml::note("username", "x"))).await
        );
        // A disconnect order of the same account has no such note.
        let disconnect = app.disconnect(&["5405514342"]).await;
        let elsewhere = at.replace(&path, &disconnect);
        let reply = app.send(put(elsewhere, xml::note("username", "x"))).await;
        assert_eq!(reply.error(), (404, Some(5040), "Note not found."));
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_not_there_is_not_found() {
    with_app(Seed::two_accounts(), async |app| {
        let disconnect = app.disconnect(&["5405514342"]).await;
        let id = disconnect.rsplit('/').next().unwrap();
        for id in [id, "6d7da966-e071-4741-b31c-1d8932f4b8da"] {
            let reply = app.send(get(format!("{}/{id}", orders()))).await;
            assert_eq!(reply.error(), (404, Some(5061), "Order ID is invalid."));
        }
        golden!(app, "not_found", app.send(get(format!("{}/{id}", orders()))).await);
    })
    .await;
}
