//! The account, its sites and its peers, and the numbers of each.

use onhook_core::account::AccountId;

use crate::app::{
    ACCOUNT, App, IN_SERVICE, NEIGHBOURS, NO_NUMBER, POOL, Seed, account, get, post, with_app, xml,
};

/// No site's and no peer's id.
const NO_ID: &str = "4294967295";

fn sites(rest: &str) -> String {
    account(&format!("/sites{rest}"))
}

/// A second site with two peers, and a number at the one that is not its default: ids of site and peers.
async fn second_site(app: &App) -> (String, String, String) {
    let guide = AccountId::new(ACCOUNT).unwrap();
    let store = &app.parts.store;
    let site = store.create_site(guide, "Sales & support".into()).await.unwrap();
    let first = store.create_peer(guide, site.id, "First peer".into()).await.unwrap();
    let other = store.create_peer(guide, site.id, "Other peer".into()).await.unwrap();
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
async fn a_site_s_peers_are_shown() {
    with_app(Seed::two_accounts(), async |app| {
        let (site, first, _) = second_site(app).await;
        golden!(app, "peers", app.send(get(sites(&format!("/{site}/sippeers")))).await);
        golden!(app, "peer", app.send(get(sites(&format!("/{site}/sippeers/{first}")))).await);
        golden!(app, "peer_unknown", app.send(get(sites(&format!("/{site}/sippeers/{NO_ID}")))).await);
        // A peer is at its own site only.
        let elsewhere = app.send(get(sites(&format!("/{site}/sippeers/{}", app.peer)))).await;
        assert_eq!((elsewhere.status, elsewhere.code()), (404, Some(13563)));
        // A site may have none.
        let guide = AccountId::new(ACCOUNT).unwrap();
        let empty = app.parts.store.create_site(guide, "Empty site".into()).await.unwrap();
        golden!(app, "peers_none", app.send(get(sites(&format!("/{}/sippeers", empty.id)))).await);
    })
    .await;
}

#[tokio::test]
async fn what_is_in_service_at_a_site_is_listed_and_counted() {
    with_app(Seed::two_accounts(), async |app| {
        let (second, _, _) = second_site(app).await;
        // What ages is not in service any more.
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

#[tokio::test]
async fn what_is_in_service_at_a_peer_is_listed_and_counted() {
    with_app(Seed::two_accounts(), async |app| {
        let (second, default, other) = second_site(app).await;
        app.disconnect(&[IN_SERVICE[0]]).await;
        let first = sites(&format!("/{}/sippeers/{}", app.site, app.peer));
        golden!(app, "peer_numbers", app.send(get(format!("{first}/tns"))).await);
        golden!(app, "peer_total", app.send(get(format!("{first}/totaltns"))).await);
        golden!(app, "peer_number", app.send(get(format!("{first}/tns/5405514342"))).await);
        let second = sites(&format!("/{second}/sippeers"));
        golden!(app, "peer_numbers_none", app.send(get(format!("{second}/{default}/tns"))).await);
        let v2 = format!("{second}/{other}/tns").replace("/api", "/api/v2");
        golden!(app, "peer_numbers_v2", app.send(get(&v2)).await);
        golden!(app, "peer_number_v2", app.send(get(format!("{v2}/%2B1{POOL}"))).await);

        let page = app.send(get(format!("{first}/tns?page=1&size=3"))).await.expect(200);
        golden!(app, "peer_numbers_page", page);
        let page = app.send(get(app.path_of_link(page.element("next").unwrap()))).await.expect(200);
        assert_eq!((page.elements("FullNumber"), page.element("next")), (vec![IN_SERVICE[2]], None));
        let size = app.send(get(format!("{first}/tns?size=5001"))).await;
        assert_eq!(size.error(), (400, Some(1006), "size must be between 1 and 5000 (bounds are included)"));

        // One that is at another peer, ages, is another account's or nobody's is not at this one.
        for number in [POOL, IN_SERVICE[0], NEIGHBOURS, NO_NUMBER] {
            let reply = app.send(get(format!("{first}/tns/{number}"))).await.expect(404);
            let root = "<SipPeerTelephoneNumbersResponse><ResponseStatus><ErrorCode>";
            assert!(reply.text().contains(root), "{}", reply.text());
            let unknown = app.send(get(format!("{first}/tns/2012035013"))).await;
            assert_eq!(reply.text().replace(number, "2012035013"), unknown.text());
        }
        for rest in ["/tns", "/totaltns", "/tns/5405514342"] {
            let reply = app.send(get(format!("{second}/{NO_ID}{rest}"))).await;
            assert_eq!((reply.status, reply.code()), (404, Some(13563)), "{rest}");
        }
    })
    .await;
}
