//! Orders that move numbers within their account.

use onhook_core::ids::AccountId;

use crate::app::{
    ACCOUNT, IN_SERVICE, NEIGHBOURS, NO_NUMBER, Seed, account, disconnects, get, post, with_app, xml,
};

fn moves() -> String {
    account("/moveTns")
}

#[tokio::test]
async fn numbers_move_to_another_site_and_stay_in_service() {
    with_app(Seed::two_accounts(), async |app| {
        let (guide, store) = (ACCOUNT.to_string().parse::<AccountId>().unwrap(), &app.parts.store);
        let site = store.create_site(guide, "Second site".into(), crate::app::now()).await.unwrap().id;
        store.create_peer(guide, site, "Second peer".into(), crate::app::now()).await.unwrap();
        let site: u32 = site.get();
        let since = async || {
            let number = app.send(get(format!("/api/tns/{}", IN_SERVICE[0]))).await;
            (
                number.element("SiteId").unwrap().to_owned(),
                number.element("InServiceDate").unwrap().to_owned(),
            )
        };
        let before = since().await;
        let numbers = [IN_SERVICE[0], IN_SERVICE[1], NEIGHBOURS, NO_NUMBER];
        let (received, path) = app.place(post(moves(), xml::move_order(site, &numbers))).await;
        golden!(app, "received", received);
        let ended = app.ended(get(&path)).await;
        golden!(app, "partial", ended);
        golden!(app, "partial_v2", app.send(get(path.replace("/api/", "/api/v2/"))).await);
        golden!(app, "history", app.send(get(format!("{path}/history"))).await);
        golden!(app, "list", app.send(get(moves())).await);
        let after = since().await;
        assert_eq!(after, (site.to_string(), before.1), "it has been in service all the while");
        let elsewhere = app.send(get(path.replace("moveTns", "orders"))).await;
        assert_eq!(elsewhere.error(), (404, Some(5061), "Order ID is invalid."));
        // A number that ages is not moved.
        app.disconnect(&[IN_SERVICE[0]]).await;
        let (_, path) = app.place(post(moves(), xml::move_order(app.site, &[IN_SERVICE[0]]))).await;
        let failed = app.ended(get(&path)).await;
        assert_eq!(
            (failed.element("ProcessingStatus"), failed.element("ErrorCode")),
            (Some("FAILED"), Some("5076"))
        );
        assert_eq!(app.send(get(disconnects("/totals"))).await.element("TotalCount"), Some("1"));
    })
    .await;
}

#[tokio::test]
async fn a_wrong_move_is_answered_with_its_code_and_makes_no_order() {
    with_app(Seed::two_accounts(), async |app| {
        let good = xml::move_order(app.site, &[IN_SERVICE[0]]);
        let site = format!("<SiteId>{}</SiteId>", app.site);
        let before = app.counts().await;
        for (body, code) in [
            (good.replace("MoveTnsOrder>", "Order>"), 1019),
            (good.replace(&site, ""), 5022),
            (xml::move_order(app.neighbours_site, &[IN_SERVICE[0]]), 5016),
            (good.replace(&site, &format!("{site}<SipPeerId>4294967295</SipPeerId>")), 5023),
            (good.replace(&site, &format!("{site}<SourceAccountId>9900001</SourceAccountId>")), 5221),
            (xml::move_order(app.site, &[]), 5212),
            (xml::move_order(app.site, &["12"]), 5070),
            (good.replace("mine", "<"), 1019),
            (good.replace(&site, &format!("{site}<Tn>{}</Tn>", IN_SERVICE[1])), 5001),
            (good.replace("</TelephoneNumbers>", "9195551002</TelephoneNumbers>"), 5001),
            (
                good.replace("</TelephoneNumbers>", "<FullNumber>9195551002</FullNumber></TelephoneNumbers>"),
                5001,
            ),
        ] {
            let reply = app.send(post(moves(), body.as_str())).await;
            assert_eq!((reply.status, reply.code()), (400, Some(code)), "{body}");
        }
        assert_eq!(app.counts().await, before);
    })
    .await;
}
