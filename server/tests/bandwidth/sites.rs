//! The account and its sites.

use onhook_core::ids::AccountId;

use crate::app::{ACCOUNT, App, IN_SERVICE, POOL, Seed, Who, account, delete, get, post, put, with_app, xml};

/// An id that no site and no peer has.
pub(crate) const NO_ID: &str = "4294967295";

pub(crate) fn sites(rest: &str) -> String {
    account(&format!("/sites{rest}"))
}

/// Makes a second site with two peers, and a number at the one that is not the default. Returns the ids of site and
/// peers.
pub(crate) async fn second_site(app: &App) -> (String, String, String) {
    let guide = AccountId::new(ACCOUNT).unwrap();
    let store = &app.parts.store;
    let site = store.create_site(guide, "Sales & support".into(), crate::app::now()).await.unwrap();
    let first = store.create_peer(guide, site.id, "First peer".into(), crate::app::now()).await.unwrap();
    let other = store.create_peer(guide, site.id, "Other peer".into(), crate::app::now()).await.unwrap();
    let more = format!("<SiteId>{}</SiteId><PeerId>{}</PeerId>", site.id, other.id);
    let (_, order) = app.place(post(account("/orders"), xml::order_with(&more, &[POOL]))).await;
    assert_eq!(app.ended(get(order)).await.element("OrderStatus"), Some("COMPLETE"));
    (site.id.to_string(), first.id.to_string(), other.id.to_string())
}

#[tokio::test]
async fn an_account_and_its_sites_are_shown() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "account", app.send(get(account(""))).await);
        second_site(app).await;
        golden!(app, "sites", app.send(get(sites(""))).await);
        golden!(app, "site", app.send(get(sites(&format!("/{}", app.site)))).await);
        golden!(app, "site_unknown", app.send(get(sites("/3014"))).await);
        for wrong in [NO_ID, "x", "0", "-1", "4294967296"] {
            let text = format!("Site '{wrong}' does not exist");
            for rest in ["", "/totaltns", "/sippeers", "/sippeers/1", "/sippeers/1/tns"] {
                let reply = app.send(get(sites(&format!("/{wrong}{rest}")))).await;
                assert_eq!(reply.error(), (404, Some(12016), text.as_str()), "{wrong}{rest}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn numbers_in_service_at_a_site_are_listed_and_counted() {
    with_app(Seed::two_accounts(), async |app| {
        let (second, _, _) = second_site(app).await;
        // An aging number is not in service any more.
        app.disconnect(&[IN_SERVICE[0]]).await;
        let at = |site: &str, rest: &str| get(sites(&format!("/{site}{rest}")));
        golden!(app, "in_service", app.send(at(&second, "/inserviceNumbers")).await);
        golden!(app, "in_service_totals", app.send(at(&second, "/inserviceNumbers/totals")).await);
        golden!(app, "site_total", app.send(at(&second, "/totaltns")).await);
        let first = app.site.to_string();
        let page = app.send(at(&first, "/inserviceNumbers?size=1&areaCode=919")).await.expect(200);
        golden!(app, "in_service_page", page);
        let page = app.send(get(app.path_of_link(page.element("next").unwrap()))).await.expect(200);
        assert_eq!((page.elements("TelephoneNumber"), page.element("next")), (vec![IN_SERVICE[2]], None));
        let count = async |rest: &str, element: &str| {
            app.send(at(&first, rest)).await.expect(200).element(element).unwrap().to_owned()
        };
        assert_eq!(count("/inserviceNumbers/totals", "Count").await, "4");
        assert_eq!(count("/inserviceNumbers/totals?npaNxx=703434", "Count").await, "1");
        assert_eq!(count("/totaltns", "TotalCount").await, "4");
    })
    .await;
}

const ADDRESS: &str = "<Address><HouseNumber>900</HouseNumber><StreetName>Main Campus Drive</StreetName>\
    <City>Raleigh</City><StateCode>NC</StateCode><Zip>27615</Zip><Country>United States</Country>\
    <AddressType>Service</AddressType></Address>";

#[tokio::test]
async fn a_site_is_made_changed_and_removed() {
    with_app(Seed::two_accounts(), async |app| {
        // The body is a client's sample. Unknown elements are passed over.
        let body = format!(
            "<Site><Name>Test Site</Name><Description>A Site Description</Description><CustomerName>R&amp;D\
             </CustomerName><CustomerProvidedID>c-1</CustomerProvidedID>{ADDRESS}<Colour>red</Colour></Site>"
        );
        let made = app.send(post(sites(""), body)).await.expect(201);
        golden!(app, "site_made", made);
        let path = app.path_of(made.header("location").unwrap());
        assert_eq!(app.send(get(&path)).await.expect(200).text(), made.text());

        // One client sends only what changes, another sends all that it got.
        let changed = app.send(put(&path, "<Site><Name>Other Site</Name></Site>")).await;
        golden!(app, "site_changed", changed);
        let id = made.element("Id").unwrap();
        let all = format!("<Site><Id>{id}</Id><Name>Other Site</Name><Description/>{ADDRESS}</Site>");
        let cleared = app.send(put(&path, all)).await.expect(200);
        assert_eq!((cleared.element("Description"), cleared.element("Zip")), (None, Some("27615")));
        assert_eq!(app.send(get(&path)).await.expect(200).text(), cleared.text());

        golden!(app, "site_removed", app.send(delete(&path)).await);
        assert_eq!(app.send(get(&path)).await.error().1, Some(12016));
        assert_eq!(app.send(delete(&path)).await.error().1, Some(12016));
        let body = "<Site><Name>a</Name></Site>";
        assert_eq!(app.send(put(&path, body)).await.error().1, Some(12016));
    })
    .await;
}

#[tokio::test]
async fn an_invalid_site_is_refused_and_changes_nothing() {
    with_app(Seed::two_accounts(), async |app| {
        let before = app.send(get(sites(""))).await.expect(200);
        let named = |more: &str| format!("<Site><Name>a</Name>{more}</Site>");
        for (body, code, text) in [
            ("<Site/>".to_owned(), 1003, "Name is required"),
            (
                "<Site><Name>R&amp;D</Name></Site>".into(),
                4015,
                "A site name can have max length of 50 chars and can only contain chars from the set \
                 [a-zA-Z0-9.-] and empty space",
            ),
            (
                named("<Description>(a)</Description>"),
                4016,
                "A site description can have max length of 250 chars and can only contain chars from the set \
                 [a-zA-Z0-9.-] and empty space",
            ),
            (named("<Id>77</Id>"), 4020, "The Id field is not allowed for this operation"),
            (named("<Name>b</Name>"), 1009, "'Name' is duplicated"),
            (
                named(&format!("<CustomerName>{}</CustomerName>", "a".repeat(251))),
                1011,
                "CustomerName is too long. Max length 250 characters",
            ),
        ] {
            let made = app.send(post(sites(""), body.as_str())).await;
            assert_eq!(made.error(), (400, Some(code), text), "{body}");
            if body != "<Site/>" {
                let changed = app.send(put(sites(&format!("/{}", app.site)), body.as_str())).await;
                assert_eq!(changed.error(), (400, Some(code), text), "{body}");
            }
        }
        golden!(app, "site_refused", app.send(post(sites(""), "<Site/>")).await);
        for body in ["<Peer/>", "", "<Site>", "{}"] {
            assert_eq!(app.send(post(sites(""), body)).await.error().1, Some(1019), "{body}");
        }
        assert_eq!(app.send(get(sites(""))).await.expect(200).text(), before.text());
    })
    .await;
}

#[tokio::test]
async fn a_site_in_use_is_not_removed() {
    with_app(Seed::two_accounts(), async |app| {
        let first = sites(&format!("/{}", app.site));
        golden!(app, "site_with_peers", app.send(delete(&first)).await);
        let made = app.send(post(sites(""), "<Site><Name>Empty</Name></Site>")).await.expect(201);
        let empty = app.path_of(made.header("location").unwrap());
        // Its numbers gone and its peer removed, the default site stays while there is another.
        app.disconnect(&["5405514342", "7034343704", IN_SERVICE[0], IN_SERVICE[1], IN_SERVICE[2]]).await;
        app.send(delete(format!("{first}/sippeers/{}", app.peer))).await.expect(200);
        golden!(app, "site_default", app.send(delete(&first)).await);
        app.send(delete(&empty)).await.expect(200);
        app.send(delete(&first)).await.expect(200);
        assert_eq!(app.send(get(sites(""))).await.expect(200).elements("Id"), [""; 0]);
        // The next new site is the default again.
        app.send(post(sites(""), "<Site><Name>New</Name></Site>")).await.expect(201);
        let stored = app.parts.store.sites(AccountId::new(ACCOUNT)).await.unwrap();
        assert_eq!(stored.iter().map(|site| site.is_default).collect::<Vec<_>>(), [true]);
    })
    .await;
}

#[tokio::test]
async fn a_list_of_sites_has_the_details_that_are_asked_for() {
    with_app(Seed::two_accounts(), async |app| {
        second_site(app).await;
        let body = "<Site><Name>Third</Name><Description>With words</Description></Site>";
        app.send(post(sites(""), body)).await.expect(201);
        let asked = "?tnCounts=true&sipPeerDetails=true";
        golden!(app, "sites_in_detail", app.send(get(sites(asked)).by(Who::Reader)).await);
        golden!(app, "sites_in_short", app.send(get(sites("?summary=true"))).await);
        assert_eq!(app.send(get(sites("?tnCounts=perhaps"))).await.error().1, Some(1008));
    })
    .await;
}
