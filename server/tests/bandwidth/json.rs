//! The second version in JSON: asked, answered, and refused.

use onhook_server::Route;
use onhook_wire::{json, xml as wire};

use crate::app::{
    App, Call, IN_SERVICE, NO_NUMBER, POOL, Reply, Seed, Who, get, post, put, wait_for, with_app, xml,
};

const ACCOUNT: &str = "/api/v2/accounts/9900000";

fn v2(rest: &str) -> String {
    format!("{ACCOUNT}{rest}")
}

/// Sends JSON and asks for JSON.
fn in_json(path: &str, body: &str) -> Call {
    post(path, body).content_type("application/json").header("Accept", "application/json")
}

/// Asks for JSON.
fn for_json(path: &str) -> Call {
    get(path).header("Accept", "application/json")
}

/// Waits until the order has ended, and returns it in JSON.
async fn ended(app: &App, path: &str) -> Reply {
    wait_for("an order's end", async || {
        let reply = app.send(for_json(path)).await.expect(200);
        (!reply.text().contains(r#""orderStatus":"RECEIVED""#)).then_some(reply)
    })
    .await
}

#[tokio::test]
async fn a_disconnect_in_json_is_a_disconnect() {
    with_app(Seed::two_accounts(), async |app| {
        let body = r#"{"customerOrderId":"optional","disconnectOrderType":{"disconnectMode":"NORMAL","protected":"UNCHANGED","disconnectReason":"moved","phoneNumbers":["+15405514342",17034343704]}}"#;
        let (received, path) = app.place(in_json(&v2("/disconnects"), body)).await;
        golden!(app, "disconnect_received", received);
        golden!(app, "disconnect_complete", ended(app, &path).await);
        // The same order, requested without an `Accept` header: XML.
        let fetched = app.send(get(&path)).await.expect(200);
        assert_eq!(fetched.header("content-type"), Some("application/xml; charset=utf-8"));
        assert_eq!(fetched.elements("TelephoneNumber").len(), 4);

        let body = format!(r#"{{"disconnectOrderType":{{"phoneNumbers":["{}","{NO_NUMBER}"]}}}}"#, IN_SERVICE[0]);
        let (_, path) = app.place(in_json(&v2("/disconnects"), &body)).await;
        golden!(app, "disconnect_partial", ended(app, &path).await);
        golden!(app, "disconnect_history", app.send(for_json(&format!("{path}/history"))).await);
        golden!(app, "disconnect_list", app.send(for_json(&v2("/disconnects?size=1"))).await);
        golden!(app, "disconnect_totals", app.send(for_json(&v2("/disconnects/totals"))).await);
        golden!(app, "disconnect_list_empty", app.send(for_json(&v2("/disconnects?status=failed"))).await);
    })
    .await;
}

#[tokio::test]
async fn json_without_an_accept_header_is_answered_in_xml() {
    with_app(Seed::two_accounts(), async |app| {
        let body = r#"{"disconnectOrderType":{"disconnectMode":"NORMAL","phoneNumbers":["+15405514342"]}}"#;
        let bare = || post(v2("/disconnects"), body).content_type("application/json");
        golden!(app, "answered_in_xml", app.send(bare()).await.expect(201));
        for (accept, kind) in [
            ("*/*", "application/xml; charset=utf-8"),
            ("application/xml", "application/xml; charset=utf-8"),
            ("application/json;q=0.5, text/xml", "application/xml; charset=utf-8"),
            ("text/html", "application/xml; charset=utf-8"),
            ("application/json", "application/json"),
            ("application/json, text/plain, */*", "application/json"),
        ] {
            let reply = app.send(bare().header("Accept", accept)).await.expect(201);
            assert_eq!(
                (reply.header("content-type"), reply.header("vary")),
                (Some(kind), Some("Accept")),
                "{accept}"
            );
            let reply = app.send(get(v2("/nothing")).header("Accept", accept)).await.expect(404);
            assert_eq!(
                (reply.header("content-type"), reply.header("vary")),
                (Some(kind), Some("Accept")),
                "{accept}"
            );
        }
        // An answer without a body has none in JSON either. HEAD gives GET's headers.
        let nobody = app.send(for_json(&v2("/disconnects")).by(Who::Nobody)).await;
        assert_eq!((nobody.status, nobody.body.len()), (401, 0));
        let head = crate::app::head(v2("/disconnects")).header("Accept", "application/json");
        assert_eq!(app.send(head).await.header("content-type"), Some("application/json"));
    })
    .await;
}

#[tokio::test]
async fn the_first_version_neither_reads_nor_writes_json() {
    with_app(Seed::two_accounts(), async |app| {
        let body = r#"{"name":"n","disconnectOrderType":{"phoneNumbers":["5405514342"]}}"#;
        let before = app.counts().await;
        for prefix in ["/api", "/api/v1", "/api/v1.0", "/v1.0", "/v1"] {
            let path = format!("{prefix}/accounts/9900000/disconnects");
            let refused = app.send(in_json(&path, body)).await.expect(415);
            assert!(
                refused.text().contains("send application/xml, or JSON to /api/v2<"),
                "{}",
                refused.text()
            );
            for reply in [refused, app.send(for_json(&path)).await.expect(200)] {
                assert_eq!(reply.header("content-type"), Some("application/xml; charset=utf-8"), "{prefix}");
                assert_eq!(reply.header("vary"), None, "{prefix}");
            }
        }
        assert_eq!(app.counts().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_number_order_in_json_is_a_number_order() {
    with_app(Seed::two_accounts(), async |app| {
        let (site, peer) = (app.site, app.peer);
        let body = format!(
            r#"{{"customerOrderId":"c-1","name":"back","orderType":{{"type":"existingPhoneNumberOrderType","phoneNumbers":["{POOL}","{NO_NUMBER}"]}},"subAccountId":{site},"locationId":"{peer}","partialAllowed":true,"backOrderRequested":false,"tnAttributes":["Protected"]}}"#
        );
        let (received, path) = app.place(in_json(&v2("/orders"), &body)).await;
        golden!(app, "order_received", received);
        golden!(app, "order_partial", ended(app, &path).await);
        golden!(app, "order_tns", app.send(for_json(&format!("{path}/tns"))).await);
        golden!(app, "order_area_codes", app.send(for_json(&format!("{path}/areaCodes"))).await);
        golden!(app, "order_npa_nxx", app.send(for_json(&format!("{path}/npaNxx"))).await);
        golden!(app, "order_list", app.send(for_json(&v2("/orders"))).await);

        // An unknown type is refused.
        let body = format!(r#"{{"orderType":{{"type":"wishfulOrderType"}},"subAccountId":"{site}"}}"#);
        golden!(app, "order_refused", app.send(in_json(&v2("/orders"), &body)).await);
    })
    .await;
}

#[tokio::test]
async fn every_way_to_order_has_a_type_in_json() {
    with_app(Seed::two_accounts(), async |app| {
        let site = app.site;
        for (word, element, fields) in [
            ("areaCodeSearchAndOrderType", "AreaCodeSearchAndOrderType", r#""areaCode":"206""#),
            ("rateCenterSearchAndOrderType", "RateCenterSearchAndOrderType", r#""rateCenter":"CARY","state":"NC","enableLCA":false"#),
            ("npaNxxSearchAndOrderType", "NPANXXSearchAndOrderType", r#""npaNxx":"206555","enableTNDetail":true"#),
            ("tollFreeVanitySearchAndOrderType", "TollFreeVanitySearchAndOrderType", r#""tollFreeVanity":"NEWCAR""#),
            ("tollFreeWildCharSearchAndOrderType", "TollFreeWildCharSearchAndOrderType", r#""tollFreeWildCardPattern":"8**""#),
            ("stateSearchAndOrderType", "StateSearchAndOrderType", r#""state":"WY""#),
            ("citySearchAndOrderType", "CitySearchAndOrderType", r#""city":"CARY","state":"NC""#),
            ("zipSearchAndOrderType", "ZIPSearchAndOrderType", r#""zip":27606"#),
            ("lataSearchAndOrderType", "LATASearchAndOrderType", r#""lata":426"#),
            ("combinedSearchAndOrderType", "CombinedSearchAndOrderType", r#""areaCode":"206","lata":"426""#),
        ] {
            let body = format!(
                r#"{{"orderType":{{"type":"{word}","quantity":1,{fields}}},"subAccountId":"{site}"}}"#
            );
            let (received, path) = app.place(in_json(&v2("/orders"), &body)).await;
            let echoed = format!(r#""orderType":{{"type":"{word}""#);
            assert!(received.text().contains(&echoed), "{}", received.text());
            assert!(received.text().contains(r#""quantity":1"#), "{}", received.text());
            let in_xml = app.ended(get(path)).await;
            assert!(in_xml.text().contains(&format!("<{element}>")), "{}", in_xml.text());
        }
        // A search that lacks something is refused as in XML.
        let body = format!(r#"{{"orderType":{{"type":"areaCodeSearchAndOrderType"}},"subAccountId":"{site}"}}"#);
        golden!(app, "order_by_nothing", app.send(in_json(&v2("/orders"), &body)).await);
        // A back order waits, and is amended in JSON, too.
        let body = format!(
            r#"{{"name":"later","orderType":{{"type":"combinedSearchAndOrderType","quantity":2,"areaCode":"206","state":"WA"}},"subAccountId":"{site}","backOrderRequested":true,"partialAllowed":false}}"#
        );
        let (_, path) = app.place(in_json(&v2("/orders"), &body)).await;
        app.ended(get(&path)).await;
        golden!(app, "order_waiting", app.send(for_json(&path)).await);
        let close = put(&path, r#"{"customerOrderId":"c-2","closeOrder":true}"#).content_type("application/json");
        golden!(app, "order_closed", app.send(close.header("Accept", "application/json")).await);
        golden!(app, "order_list_closed", app.send(for_json(&v2("/orders?customerOrderId=c-2"))).await);
    })
    .await;
}

#[tokio::test]
async fn a_number_is_reserved_and_ordered_in_json() {
    with_app(Seed::two_accounts(), async |app| {
        let body = format!(r#"{{"reservedTn":"{POOL}"}}"#);
        let made = app.send(in_json(&v2("/tnreservation"), &body)).await.expect(201);
        let path = app.path_of(made.header("location").unwrap());
        let shown = app.send(for_json(&path)).await.expect(200);
        let json: serde_json::Value = serde_json::from_slice(&shown.body).unwrap();
        assert_eq!(json["reservation"]["reservedTn"], "+13365550100", "{json}");
        assert!(json["reservation"]["reservationExpires"].is_i64(), "{json}");
        golden!(app, "reservation_refused", app.send(in_json(&v2("/tnreservation"), &body)).await);
        let id = path.rsplit('/').next().unwrap();
        let body = format!(
            r#"{{"orderType":{{"type":"existingPhoneNumberOrderType","phoneNumbers":["{POOL}"],"reservationIdList":["{id}"]}},"subAccountId":{}}}"#,
            app.site
        );
        let (_, path) = app.place(in_json(&v2("/orders"), &body)).await;
        golden!(app, "order_reserved", ended(app, &path).await);
    })
    .await;
}

#[tokio::test]
async fn notes_and_lookups_are_read_in_json() {
    with_app(Seed::two_accounts(), async |app| {
        let order = app.disconnect(&["5405514342"]).await.replace("/api/", "/api/v2/");
        let notes = format!("{order}/notes");
        golden!(app, "notes_none", app.send(for_json(&notes)).await);
        let body = r#"{"userId":"username","description":"R&D \u00e9 <b>"}"#;
        let added = app.send(in_json(&notes, body)).await.expect(201);
        let note = app.path_of(added.header("location").unwrap());
        assert_eq!((added.body.len(), added.header("content-type")), (0, None));
        let again = put(note, body.replace("<b>", "<i>")).content_type("application/json");
        app.send(again).await.expect(200);
        let text = app.send(for_json(&notes)).await.expect(200);
        assert!(text.text().contains(r#""userId":"username","description":"R&D é <i>""#), "{}", text.text());
        golden!(app, "note_refused", app.send(in_json(&notes, r#"{"description":"x"}"#)).await);

        let body = format!(r#"{{"phoneNumbers":["{}","5405514342","{NO_NUMBER}","12"]}}"#, IN_SERVICE[0]);
        golden!(app, "lookup", app.send(in_json("/api/v2/tns", &body)).await);
        golden!(app, "lookup_refused", app.send(in_json("/api/v2/tns", r#"{"phoneNumbers":[]}"#)).await);
    })
    .await;
}

#[tokio::test]
async fn searches_lists_and_numbers_are_shown_in_json() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        let (site, peer) = (app.site, app.peer);
        for (name, path) in [
            ("found", v2("/availableNumbers?areaCode=336")),
            ("found_details", v2("/availableNumbers?areaCode=336&enableTNDetail=true")),
            ("found_nothing", v2("/availableNumbers?areaCode=201")),
            ("search_refused", v2("/availableNumbers?areaCode=9")),
            ("discnumbers", v2("/discnumbers")),
            ("discnumbers_totals", v2("/discnumbers/totals")),
            ("in_service_none", v2("/inserviceNumbers?npanxx=212555")),
            ("in_service_page", v2("/inserviceNumbers?size=1")),
            ("tns_page", "/api/v2/tns?page=1&size=1&npa=919".into()),
            ("tns_refused", "/api/v2/tns?npa=9".into()),
            ("tn", format!("/api/v2/tns/{}", IN_SERVICE[0])),
            ("tn_details", format!("/api/v2/tns/{}/tndetails", IN_SERVICE[1])),
            ("tn_unknown", format!("/api/v2/tns/{NO_NUMBER}")),
            ("account", v2("")),
            ("sites", v2("/sites")),
            ("site_total", v2(&format!("/sites/{site}/totaltns"))),
            ("peers", v2(&format!("/sites/{site}/sippeers"))),
            ("peer_numbers", v2(&format!("/sites/{site}/sippeers/{peer}/tns?size=2"))),
            ("another_account_s", "/api/v2/accounts/9900001/disconnects".into()),
        ] {
            golden!(app, name, app.send(for_json(&path)).await);
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_document_in_json_is_refused_as_in_xml_and_makes_no_order() {
    with_app(Seed::two_accounts(), async |app| {
        let before = app.counts().await;
        let bad = "Bad request encountered. Please check your request and try again. (";
        let order = |numbers: &str| format!(r#"{{"disconnectOrderType":{{"phoneNumbers":{numbers}}}}}"#);
        let many = |count: u64| {
            let numbers: Vec<String> = (0..count).map(|n| format!("\"{}\"", 5_402_000_000 + n)).collect();
            order(&format!("[{}]", numbers.join(",")))
        };
        for (body, code, text) in [
            (String::new(), 1019, bad),
            ("<DisconnectTelephoneNumberOrder/>".into(), 1019, bad),
            ("[]".into(), 1019, bad),
            (order(r#"["5405514342"]"#) + "x", 1019, bad),
            (order("[NaN]"), 1019, bad),
            (order("[5405514342.0]"), 1019, bad),
            (order(r#"["\ud800"]"#), 1019, bad),
            (order(r#"[["5405514342"]]"#), 1019, bad),
            ("{\"a\":".repeat(17) + "1" + &"}".repeat(17), 1019, bad),
            ("{".repeat(100_000), 1019, bad),
            (
                r#"{"customerOrderId":"a","customerOrderId":"b"}"#.into(),
                1009,
                "'customerOrderId' is duplicated",
            ),
            (r#"{"name":"a","Name":"b"}"#.into(), 1009, "'Name' is duplicated"),
            (r#"{"disconnectOrderType":{"type":1,"Type":2}}"#.into(), 1009, "'Type' is duplicated"),
            ("{}".into(), 5001, "Invalid input telephone number list"),
            (
                r#"{"disconnectOrderType":{"phoneNumbers":["5405514342"]},"phoneNumbers":["7034343704"]}"#.into(),
                5001,
                "Invalid input telephone number list (what stands in 'TelephoneNumberList' would be passed over",
            ),
            (r#"{"name":{"a":1},"disconnectOrderType":{"phoneNumbers":["5405514342"]}}"#.into(), 1019, bad),
            (r#"{"name":["a"],"disconnectOrderType":{"phoneNumbers":["5405514342"]}}"#.into(), 1019, bad),
            (order("null"), 5001, "Invalid input telephone number list"),
            (order("[]"), 5212, "The input list of telephone numbers is null or empty."),
            (order(r#"[""]"#), 5073, "Telephone number is required."),
            (order("[12]"), 5070, "Telephone number is invalid."),
            (
                order("[5405514342,\"+15405514342\"]"),
                5093,
                "Order cannot contain duplicate telephone numbers",
            ),
            (many(5_001), 5095, "The count of telephone numbers in order exceeds the maximum size of 5000"),
            (many(20_000), 5095, "The count of telephone numbers in order exceeds the maximum size of 5000"),
        ] {
            let call = in_json(&v2("/disconnects"), &body).without("Accept");
            let (status, told, said) = {
                let reply = app.send(call).await;
                (reply.status, reply.code(), reply.element("Description").unwrap_or_default().to_owned())
            };
            assert_eq!(
                (status, told),
                (400, Some(code)),
                "{}: {said}",
                body.chars().take(80).collect::<String>()
            );
            assert!(said.starts_with(text), "{said}");
        }
        for kind in ["application/json; charset=utf-16", "text/json", "application/problem+json"] {
            let call = post(v2("/disconnects"), order("[\"5405514342\"]")).content_type(kind);
            app.send(call).await.expect(415);
        }
        let untyped = post(v2("/disconnects"), order("[\"5405514342\"]")).without("Content-Type");
        golden!(app, "not_typed", app.send(untyped.header("Accept", "application/json")).await);
        golden!(app, "duplicate_key", app.send(in_json(&v2("/disconnects"), r#"{"a":1,"a":2}"#)).await);
        golden!(app, "wrong_number", app.send(in_json(&v2("/disconnects"), &order("[12]"))).await);
        assert_eq!(app.counts().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_key_belongs_to_the_bytes_that_were_sent() {
    with_app(Seed::two_accounts(), async |app| {
        let json = r#"{"disconnectOrderType":{"phoneNumbers":["+15405514342"]}}"#;
        let with_key = |call: Call| call.header("Idempotency-Key", "one");
        let first = app.send(with_key(in_json(&v2("/disconnects"), json))).await.expect(201);
        let again = app.send(with_key(in_json(&v2("/disconnects"), json))).await.expect(201);
        assert_eq!(again.text(), first.text());
        let in_xml = app.send(with_key(post(v2("/disconnects"), xml::disconnect(&["5405514342"])))).await;
        assert_eq!((in_xml.status, in_xml.code()), (422, Some(1009)));
        let spaced = app.send(with_key(in_json(&v2("/disconnects"), &format!(" {json}")))).await.expect(422);
        golden!(app, "key_reused", spaced);
    })
    .await;
}

#[tokio::test]
async fn an_order_of_five_thousand_numbers_is_shown_whole() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers: Vec<String> = (0..5_000).map(|n| (5_402_000_000_u64 + n).to_string()).collect();
        let body = format!(r#"{{"disconnectOrderType":{{"phoneNumbers":["{}"]}}}}"#, numbers.join("\",\""));
        let (_, path) = app.place(in_json(&v2("/disconnects"), &body)).await;
        let failed = ended(app, &path).await;
        assert_eq!(failed.header("content-type"), Some("application/json"));
        assert_eq!(failed.text().matches("\"code\":5006").count(), 5_000);
    })
    .await;
}

#[test]
fn every_route_with_a_body_names_its_document() {
    let silent = |route: &Route| {
        route.api
            && matches!(route.method.as_str(), "POST" | "PUT" | "PATCH")
            && route.door.takes(None).untyped_xml
            && route.document.is_none()
    };
    let silent: Vec<_> =
        onhook_server::routes().iter().filter(|route| silent(route)).map(Route::name).collect();
    assert!(
        silent.is_empty(),
        "JSON is refused by {silent:?}: say which root they take, with `Route::takes`"
    );
}

/// A repeated element of an answer is an array in JSON, even if it appears once: the dictionary must know every list
/// in the API's golden files.
#[test]
fn every_list_in_an_answer_is_an_array_in_json() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bandwidth/snapshots");
    let (mut documents, mut lists) = (0, 0);
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // The clients' exchanges repeat answers that have a file of their own.
        let Some(start) = text.find("<?xml").filter(|_| !text.contains("\n> ")) else { continue };
        documents += 1;
        let root = wire::parse(&text.as_bytes()[start..]).unwrap();
        let mut waiting = vec![&root];
        while let Some(element) = waiting.pop() {
            for child in &element.children {
                let repeated = element.children_of(child.name).count() > 1;
                lists += usize::from(repeated);
                assert!(
                    !repeated || json::is_list(element.name, child.name),
                    "{}: add {} of {} to the lists in wire/src/text/json.rs",
                    path.display(),
                    child.name,
                    element.name
                );
                waiting.push(child);
            }
        }
    }
    assert!(documents > 50 && lists > 50, "{documents} documents, {lists} in lists");
}
