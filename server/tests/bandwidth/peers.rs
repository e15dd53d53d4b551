//! A site's peers, and the numbers of each.

use onhook_core::ids::AccountId;
use onhook_core::lifecycle::event::{By, Change};

use super::sites::{NO_ID, second_site, sites};
use crate::app::{
    ACCOUNT, App, IN_SERVICE, NEIGHBOURS, NO_NUMBER, POOL, Seed, Who, account, delete, get, number, post,
    put, with_app, xml,
};

#[tokio::test]
async fn a_site_s_peers_are_shown() {
    with_app(Seed::two_accounts(), async |app| {
        let (site, first, _) = second_site(app).await;
        golden!(app, "peers", app.send(get(sites(&format!("/{site}/sippeers")))).await);
        golden!(app, "peer", app.send(get(sites(&format!("/{site}/sippeers/{first}")))).await);
        golden!(app, "peer_unknown", app.send(get(sites(&format!("/{site}/sippeers/{NO_ID}")))).await);
        // A peer is at its own site only.
        let elsewhere = app.send(get(sites(&format!("/{site}/sippeers/{}", app.peer)))).await;
        assert_eq!((elsewhere.status, elsewhere.code()), (400, Some(13563)));
        // A site may have none.
        let guide = AccountId::new(ACCOUNT).unwrap();
        let empty = app.parts.store.create_site(guide, "Empty site".into(), crate::app::now()).await.unwrap();
        golden!(app, "peers_none", app.send(get(sites(&format!("/{}/sippeers", empty.id)))).await);
    })
    .await;
}

#[tokio::test]
async fn numbers_in_service_at_a_peer_are_listed_and_counted() {
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

        // A number that is at another peer, is aging, is another account's or nobody's is not at this peer.
        for number in [POOL, IN_SERVICE[0], NEIGHBOURS, NO_NUMBER] {
            let reply = app.send(get(format!("{first}/tns/{number}"))).await.expect(404);
            let text = format!(
                "Telephone number {number} does not exist on Account {ACCOUNT}, Site {}, and Sip Peer {}",
                app.site, app.peer
            );
            assert_eq!(reply.error(), (404, Some(13536), text.as_str()));
            let unknown = app.send(get(format!("{first}/tns/2012035013"))).await;
            assert_eq!(reply.text().replace(number, "2012035013"), unknown.text());
        }
        for rest in ["/tns", "/totaltns", "/tns/5405514342"] {
            let reply = app.send(get(format!("{second}/{NO_ID}{rest}"))).await;
            assert_eq!((reply.status, reply.code()), (400, Some(13563)), "{rest}");
        }
    })
    .await;
}

/// A peer as one client's sample sends it: each host in a wrapper of its own.
const PEER: &str = "<SipPeer><PeerName>SIP Peer 1</PeerName><Description>Sip Peer 1 description</Description>\
    <IsDefaultPeer>true</IsDefaultPeer><ShortMessagingProtocol>SMPP</ShortMessagingProtocol>\
    <SiteId>1</SiteId><VoiceHosts><Host><HostName>sip1.example.com</HostName></Host></VoiceHosts>\
    <VoiceHosts><Host><HostName>sip2.example.com</HostName><Port>5070</Port></Host></VoiceHosts>\
    <VoiceHostGroups><VoiceHostGroup><Host><HostName>sip3.example.com</HostName></Host></VoiceHostGroup>\
    </VoiceHostGroups><SmsHosts><Host><HostName>sms.example.com</HostName></Host></SmsHosts>\
    <TerminationHosts><TerminationHost><HostName>out.example.com</HostName><Port>5060</Port>\
    <CustomerTrafficAllowed>DOMESTIC</CustomerTrafficAllowed><DataAllowed>true</DataAllowed>\
    </TerminationHost></TerminationHosts><CallingName><Display>true</Display><Enforced>false</Enforced>\
    </CallingName></SipPeer>";

fn peers(app: &App, rest: &str) -> String {
    sites(&format!("/{}/sippeers{rest}", app.site))
}

#[tokio::test]
async fn a_peer_is_made_changed_and_removed() {
    with_app(Seed::two_accounts(), async |app| {
        let made = app.send(post(peers(app, ""), PEER)).await.expect(201);
        golden!(app, "peer_made", made);
        let path = app.path_of(made.header("location").unwrap());
        assert_eq!(app.send(get(&path)).await.expect(200).text(), made.text());
        // It wanted to be the default one: the other no longer is.
        let listed = app.send(get(peers(app, ""))).await.expect(200);
        assert_eq!(listed.elements("IsDefaultPeer"), ["false", "true"]);

        // Absent settings stay. A default peer stays the default until another one is.
        let body = "<SipPeer><PeerName>Test Sip Peer</PeerName><IsDefaultPeer>false</IsDefaultPeer>\
                    <VoiceHosts/><CallingName/></SipPeer>";
        golden!(app, "peer_changed", app.send(put(&path, body)).await);
        let wanted = "<SipPeer><IsDefaultPeer>true</IsDefaultPeer></SipPeer>";
        golden!(app, "peer_default", app.send(delete(&path)).await);
        app.send(put(peers(app, &format!("/{}", app.peer)), wanted)).await.expect(200);
        assert_eq!(app.send(get(&path)).await.expect(200).element("IsDefaultPeer"), Some("false"));

        golden!(app, "peer_removed", app.send(delete(&path)).await);
        for call in [get(&path), delete(&path), put(&path, "<SipPeer/>")] {
            let reply = app.send(call).await;
            assert_eq!((reply.status, reply.code()), (400, Some(13563)));
        }
        golden!(app, "peer_with_numbers", app.send(delete(peers(app, &format!("/{}", app.peer)))).await);
    })
    .await;
}

#[tokio::test]
async fn an_invalid_peer_is_refused_and_changes_nothing() {
    with_app(Seed::two_accounts(), async |app| {
        let before = app.send(get(peers(app, ""))).await.expect(200);
        let own = peers(app, &format!("/{}", app.peer));
        let host = "<Host><HostName>a.example.com</HostName></Host>";
        for (inner, code) in [
            (format!("<PeerName>{}</PeerName>", "a".repeat(51)), 1011),
            ("<PeerName/>".into(), 1003),
            ("<PeerName>a</PeerName><PeerId>77</PeerId>".into(), 4020),
            ("<PeerName>a</PeerName><IsDefaultPeer>2</IsDefaultPeer>".into(), 1008),
            (format!("<PeerName>a</PeerName><SmsHosts>{}</SmsHosts>", host.repeat(101)), 1019),
        ] {
            let body = format!("<SipPeer>{inner}</SipPeer>");
            for call in [post(peers(app, ""), body.as_str()), put(&own, body.as_str())] {
                let reply = app.send(call).await;
                assert_eq!((reply.status, reply.code()), (400, Some(code)), "{inner}");
            }
        }
        assert_eq!(app.send(post(peers(app, ""), "<SipPeer/>")).await.error().1, Some(1003));
        let nowhere = app.send(post(sites("/3014/sippeers"), PEER)).await;
        assert_eq!(nowhere.error(), (404, Some(12016), "Site '3014' does not exist"));
        assert_eq!(app.send(get(peers(app, ""))).await.expect(200).text(), before.text());
    })
    .await;
}

#[tokio::test]
async fn a_peer_with_too_many_settings_is_refused_and_changes_nothing() {
    with_app(Seed::two_accounts(), async |app| {
        let hosts = |list: &str, count: usize| {
            let host = format!("<Host><HostName>{}</HostName></Host>", "h".repeat(250));
            format!("<{list}>{}</{list}>", host.repeat(count))
        };
        let peer = |inner: &str| format!("<SipPeer><PeerName>East</PeerName>{inner}</SipPeer>");
        let before = app.send(get(peers(app, ""))).await.expect(200).text().to_owned();
        let too_much = app.send(post(peers(app, ""), peer(&hosts("VoiceHosts", 100)))).await;
        golden!(app, "peer_too_long", too_much);
        assert_eq!(app.send(get(peers(app, ""))).await.text(), before);
        let own = peers(app, &format!("/{}", app.peer));
        app.send(put(&own, peer(&hosts("VoiceHosts", 40)))).await.expect(200);
        let before = app.send(get(&own)).await.expect(200).text().to_owned();
        assert_eq!(app.send(put(&own, peer(&hosts("SmsHosts", 40)))).await.status, 409);
        assert_eq!(app.send(get(&own)).await.text(), before);
    })
    .await;
}

#[tokio::test]
async fn a_peer_s_numbers_come_on_pages_of_up_to_50000() {
    with_app(Seed::two_accounts(), async |app| {
        let path = peers(app, &format!("/{}/tns", app.peer));
        let page = app.send(get(format!("{path}?size=50000"))).await.expect(200);
        assert_eq!(page.elements("FullNumber").len(), 5);
        let text = "size must be between 1 and 50000 (bounds are included)";
        for size in [0, 50_001] {
            let reply = app.send(get(format!("{path}?size={size}"))).await;
            assert_eq!(reply.error(), (400, Some(1006), text), "{size}");
        }
    })
    .await;
}

/// The document that moves numbers.
fn to_move(numbers: &[&str]) -> String {
    let numbers: String = numbers.iter().map(|n| format!("<FullNumber>{n}</FullNumber>")).collect();
    format!("<SipPeerTelephoneNumbers>{numbers}</SipPeerTelephoneNumbers>")
}

#[tokio::test]
async fn numbers_move_to_another_peer_and_stay_in_service() {
    with_app(Seed::two_accounts(), async |app| {
        let (site, _, peer) = second_site(app).await;
        let there = sites(&format!("/{site}/sippeers/{peer}"));
        let before = app.send(get("/api/tns/5405514342")).await.expect(200);
        let body = to_move(&["5405514342", "+17034343704"]);
        golden!(app, "moved", app.send(post(format!("{there}/movetns"), body).by(Who::Orderer)).await);
        let listed = app.send(get(format!("{there}/tns"))).await.expect(200);
        assert_eq!(listed.elements("FullNumber"), [POOL, "5405514342", "7034343704"]);
        let total = app.send(get(format!("{there}/totaltns"))).await.expect(200);
        assert!(total.text().contains("<SipPeerTelephoneNumbersCount>3<"), "{}", total.text());
        // The beginning of its state is unchanged, and it is at another site.
        let after = app.send(get("/api/tns/5405514342")).await.expect(200);
        assert_eq!(
            after.text(),
            before
                .text()
                .replace(&format!("<SiteId>{}</SiteId>", app.site), &format!("<SiteId>{site}</SiteId>"))
        );
        let history = app.parts.store.history(number("5405514342")).await.unwrap().unwrap().history;
        let last = history.events.last().unwrap();
        assert_eq!(last.by, By::User(Who::Orderer.user().into()));
        assert!(matches!(last.change, Change::Moved { .. }));
        // It can be disconnected there, and a reconnect brings it back there.
        app.disconnect(&["5405514342"]).await;
        let more = format!("<SiteId>{site}</SiteId>");
        let (_, order) = app.place(post(account("/orders"), xml::order_with(&more, &["5405514342"]))).await;
        assert_eq!(app.ended(get(order)).await.element("OrderStatus"), Some("COMPLETE"));
        app.send(get(format!("{there}/tns/5405514342"))).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn numbers_that_cannot_all_move_do_not_move() {
    with_app(Seed::two_accounts(), async |app| {
        let (site, _, peer) = second_site(app).await;
        let there = sites(&format!("/{site}/sippeers/{peer}"));
        app.disconnect(&[IN_SERVICE[0]]).await;
        let before = app.counts().await;
        // Another account's number, an aging one, and an unknown one are refused alike.
        for wrong in [NEIGHBOURS, IN_SERVICE[0], NO_NUMBER] {
            let reply = app.send(post(format!("{there}/movetns"), to_move(&["5405514342", wrong]))).await;
            let text = format!("The telephone number '{wrong}' does not exist");
            assert_eq!(reply.error(), (404, Some(15506), text.as_str()));
        }
        golden!(app, "moved_none", app.send(post(format!("{there}/movetns"), to_move(&[NO_NUMBER]))).await);
        for (body, code) in [
            (to_move(&[]), 15611),
            (to_move(&["5405514342", "15405514342"]), 5093),
            (to_move(&["540551434"]), 12512),
            (to_move(&vec!["5405514342"; 5_001]), 5095),
            (to_move(&vec!["5405514342"; 6_001]), 5095),
            ("<TnList/>".into(), 1019),
        ] {
            let reply = app.send(post(format!("{there}/movetns"), body)).await;
            assert_eq!((reply.status, reply.code()), (400, Some(code)));
        }
        let body = to_move(&["5405514342"]);
        let nowhere = sites(&format!("/{site}/sippeers/{}/movetns", app.peer));
        assert_eq!(app.send(post(nowhere, body.as_str())).await.error().1, Some(13563));
        assert_eq!(app.counts().await, before);
        assert_eq!(app.send(get(format!("{there}/tns"))).await.expect(200).elements("FullNumber"), [POOL]);
        // A number that is moved to where it is does not change.
        let home = peers(app, &format!("/{}/movetns", app.peer));
        app.send(post(home, body)).await.expect(200);
        assert_eq!(app.counts().await, before);
    })
    .await;
}
