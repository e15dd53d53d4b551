//! Subscriptions: how they are made, shown, replaced and removed.

use crate::app::receiver::Receiver;
use crate::app::{App, NEIGHBOUR, Reply, Seed, Who, account, delete, get, post, put, wait_for, with_app};

fn subscriptions(rest: &str) -> String {
    account(&format!("/subscriptions{rest}"))
}

/// The contract's example.
const EXAMPLE: &str = "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription>\
    <URL>http://127.0.0.1:8087/path/BandwidthHandler</URL><Expiry>3122064000</Expiry><CallbackCredentials>\
    <BasicAuthentication><Username>superuser</Username><Password>s3cure</Password></BasicAuthentication>\
    </CallbackCredentials><NumberFormat>LEGACY</NumberFormat></CallbackSubscription></Subscription>";

/// With the seconds that are left, which must be some less than these, replaced.
#[track_caller]
fn redacted(mut reply: Reply, seconds: i64) -> Reply {
    let left: i64 = reply.element("Expiry").unwrap().parse().unwrap();
    assert!((seconds - 60..=seconds).contains(&left), "{left}");
    reply.body = reply.text().replace(&format!("<Expiry>{left}<"), "<Expiry>{seconds}<").into_bytes();
    reply
}

async fn subscribe(app: &App, body: &str) -> String {
    let made = app.send(post(subscriptions(""), body)).await.expect(201);
    app.path_of(made.header("location").unwrap())
}

#[tokio::test]
async fn a_subscription_is_made_shown_written_again_and_removed() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        golden!(app, "none", app.send(get(subscriptions(""))).await);
        let made = app.send(post(subscriptions(""), EXAMPLE)).await;
        golden!(app, "created", made.clone());
        let path = app.path_of(made.header("location").unwrap());
        golden!(app, "one", redacted(app.send(get(&path).by(Who::Reader)).await, 3_122_064_000));
        golden!(app, "list", redacted(app.send(get(subscriptions(""))).await, 3_122_064_000));
        golden!(app, "duplicate", app.send(post(subscriptions(""), EXAMPLE)).await);

        let other = "<Subscription><OrderType>ORDERS</OrderType><CallbackSubscription><User>ignored</User>\
            <URL>http://127.0.0.1:8087/other</URL><NumberFormat>E164</NumberFormat></CallbackSubscription></Subscription>";
        golden!(app, "replaced", app.send(put(&path, other)).await);
        golden!(app, "one_replaced", redacted(app.send(get(&path)).await, 86_400));
        golden!(app, "deliveries_none", app.send(get(format!("{path}/deliveries"))).await);
        golden!(app, "removed", app.send(delete(&path)).await);
        let unknown = subscriptions("/6d7da966-e071-4741-b31c-1d8932f4b8da");
        golden!(app, "not_found", app.send(get(&unknown)).await);
        golden!(app, "malformed_id", app.send(get(subscriptions("/1"))).await);
        for call in [
            get(&path), put(&path, other), delete(&path), get(format!("{path}/deliveries")),
            put(&unknown, other), delete(&unknown), get(format!("{unknown}/deliveries")),
        ] {
            let reply = app.send(call.clone()).await;
            assert_eq!((reply.status, reply.code()), (404, Some(16000)), "{call:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_is_narrowed_by_type_and_order() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        subscribe(app, EXAMPLE).await;
        subscribe(app, &EXAMPLE.replace("disconnects<", "orders<")).await;
        subscribe(app, &EXAMPLE.replace("disconnects<", "portins<")).await;
        let event =
            EXAMPLE.replace("<OrderType>disconnects</OrderType>", "<EventType>messaging_lost</EventType>");
        subscribe(app, &event).await;
        let found = async |query: &str| {
            let reply = app.send(get(subscriptions(query))).await.expect(200);
            assert_eq!(
                reply.text().contains("<Subscriptions/>"),
                reply.elements("SubscriptionId").is_empty()
            );
            let types = reply.elements("OrderType").into_iter().chain(reply.elements("EventType"));
            types.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(found("").await, ["disconnects", "orders", "portins", "MESSAGING_LOST"]);
        assert_eq!(found("?orderType=Orders").await, ["orders"]);
        assert_eq!(found("?orderType=lidbs").await, [""; 0]);
        assert_eq!(found("?orderId=6d7da966-e071-4741-b31c-1d8932f4b8da").await, [""; 0]);
        let wrong = app.send(get(subscriptions("?orderType=x"))).await;
        assert_eq!((wrong.status, wrong.code()), (400, Some(14500)));
        let wrong = app.send(get(subscriptions("?orderId=x"))).await;
        assert_eq!(wrong.error(), (400, Some(1008), "orderId: 'x' is not a valid UUID"));
        let theirs =
            app.send(get(format!("/api/accounts/{NEIGHBOUR}/subscriptions")).by(Who::Neighbour)).await;
        assert_eq!(theirs.expect(200).elements("SubscriptionId"), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_invalid_subscription_is_refused_in_the_api_s_words() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let with = |from: &str, to: &str| {
            let body = EXAMPLE.replace(from, to);
            assert_ne!(body, EXAMPLE, "{from}");
            body
        };
        let url = "http://127.0.0.1:8087/path/BandwidthHandler";
        let key = |key: &str| with("</BasicAuthentication>", &format!("</BasicAuthentication><PublicKey>{key}</PublicKey>"));
        let disconnect = app.disconnect(&["5405514342"]).await;
        let id = disconnect.rsplit('/').next().unwrap();
        let of_order = |orders: &str, id: &str| with("disconnects</OrderType>", &format!("{orders}</OrderType><OrderId>{id}</OrderId>"));
        let unknown = "6d7da966-e071-4741-b31c-1d8932f4b8da";
        let mail = "<Subscription><OrderType>orders</OrderType><EmailSubscription><Email>ops</Email></EmailSubscription></Subscription>";
        for (body, status, code, text) in [
            (with("disconnects<", "x<"), 400, 14500, "Incorrect order type. Valid values: portins, portouts, orders, disconnects, importToAccounts, dldas, lsrorders, e911s, tnoptions, externalTns, lidbs, bulkPortins, importtnorders, removeImportedTnOrders, csrs, emergencyEndpointGroup, emergencyNotificationGroup, tollFreePortingValidations".to_owned()),
            (with("CallbackSubscription>", "X>"), 400, 14501, "Subscription object is invalid".into()),
            (with(url, ""), 400, 14503, "Callback URL is empty".into()),
            (key("!!"), 400, 14504, "We couldn't read your provided certificate. Please encode your .DER/.CER/.CRT public key with a Base64 encoder and try again.".into()),
            (key("bm8gY2VydGlmaWNhdGU="), 400, 14504, "We couldn't read your provided certificate. Please encode your .DER/.CER/.CRT public key with a Base64 encoder and try again.".into()),
            (with("s3cure", " "), 400, 14505, "Basic authentication must contain both a non-blank username and password".into()),
            (with(url, "http://10.0.0.1/"), 400, 14506, "Callback URL is invalid".into()),
            (with(url, "https://no-such-host.invalid/"), 400, 14506, "Callback URL is invalid".into()),
            (with(url, app.base()), 400, 14506, "Callback URL is invalid".into()),
            (with("<OrderType>disconnects</OrderType>", "<EventType>X</EventType>"), 400, 14507, "Incorrect event type. Valid values: MESSAGING_LOST".into()),
            (with("<OrderType>disconnects</OrderType>", ""), 400, 14508, "OrderType or EventType should be specified.".into()),
            (of_order("disconnects", unknown), 404, 16005, format!("Order {unknown} of type disconnects not found")),
            (of_order("orders", id), 404, 16005, format!("Order {id} of type orders not found")),
            (of_order("portins", id), 404, 16005, format!("Order {id} of type portins not found")),
            (of_order("disconnects", "x"), 400, 1008, "OrderId: 'x' is not a valid UUID".into()),
            (with("3122064000", "soon"), 400, 1002, "Expiry must be a non-negative number".into()),
            (with("3122064000", "0"), 400, 1004, "Expiry is too small. Must be greater than 0".into()),
            (with("LEGACY", "x"), 400, 1008, "NumberFormat: 'x' is not a valid value. Valid values are: LEGACY, E164".into()),
            (mail.to_owned(), 400, 14501, "Subscription object is invalid".into()),
            ("<Other/>".to_owned(), 400, 1019, "Bad request encountered. Please check your request and try again. (the root element is Subscription)".into()),
        ] {
            let reply = app.send(post(subscriptions(""), body.as_str())).await;
            assert_eq!(reply.error(), (status, Some(code), text.as_str()), "{body}");
            let root = format!("<SubscriptionsResponse><ResponseStatus><ErrorCode>{code}</ErrorCode><Description>");
            assert!(reply.text().contains(&root), "{}", reply.text());
        }
        golden!(app, "refused_14506", app.send(post(subscriptions(""), with(url, "file:///etc/passwd"))).await);
        assert!(app.send(get(subscriptions(""))).await.text().contains("<Subscriptions/>"));
        // A replaced subscription is checked again.
        let path = subscribe(app, EXAMPLE).await;
        let reply = app.send(put(&path, with(url, "http://10.0.0.1/"))).await;
        assert_eq!((reply.status, reply.code()), (400, Some(14506)));
        subscribe(app, &with(url, "http://127.0.0.1:8087/other")).await;
        let reply = app.send(put(&path, with(url, "http://127.0.0.1:8087/other"))).await;
        assert_eq!(reply.error(), (409, Some(16008), "Duplicate subscription already exists"));
    })
    .await;
}

#[tokio::test]
async fn outside_the_emulator_this_machine_is_refused_as_a_receiver() {
    with_app(Seed::two_accounts(), async |app| {
        let reply = app.send(post(subscriptions(""), EXAMPLE)).await;
        assert_eq!(reply.error(), (400, Some(14506), "Callback URL is invalid"));
    })
    .await;
}

#[tokio::test]
async fn a_signing_secret_is_shown_once_and_stays() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let more = "</NumberFormat><Delivery><Retry>true</Retry><Sign>true</Sign></Delivery>";
        let signed = EXAMPLE.replace("</NumberFormat>", more);
        let mut made = redacted(app.send(post(subscriptions(""), signed.as_str())).await, 3_122_064_000);
        let secret = made.element("Secret").unwrap().to_owned();
        assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
        made.body = made.text().replace(&secret, "{secret}").into_bytes();
        golden!(app, "created_signed", made.clone());
        let path = app.path_of(made.header("location").unwrap());
        golden!(app, "one_signed", redacted(app.send(get(&path)).await, 3_122_064_000));
        golden!(app, "replaced_signed", app.send(put(&path, signed.as_str())).await);
        // A secret that is removed and made again is another one.
        app.send(put(&path, EXAMPLE)).await.expect(200);
        assert_eq!(app.send(get(&path)).await.element("Sign"), None);
        let again = app.send(put(&path, signed.as_str())).await.expect(200);
        assert_ne!(again.element("Secret").unwrap(), secret);
    })
    .await;
}

#[tokio::test]
async fn the_log_of_deliveries_is_shown() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        let url = "http://127.0.0.1:8087/path/BandwidthHandler";
        let path = subscribe(app, &EXAMPLE.replace(url, &receiver.url("/500"))).await;
        app.disconnect(&["5405514342"]).await;
        let log = wait_for("a delivery", async || {
            let log = app.send(get(format!("{path}/deliveries"))).await.expect(200);
            (log.element("State") != Some("WAITING")).then_some(log)
        })
        .await;
        let took = log.element("DurationMs").unwrap().to_owned();
        assert!(took.parse::<u32>().is_ok());
        let mut shown = log.clone();
        shown.body = log.text().replace(&format!("<DurationMs>{took}<"), "<DurationMs>{ms}<").into_bytes();
        golden!(app, "deliveries", shown);
        let one = redacted(app.send(get(&path)).await, 3_122_064_000);
        assert_eq!(one.element("Status"), Some("500 Internal Server Error: oops"));
        app.disconnect(&["7034343704"]).await;
        let second = app.send(get(format!("{path}/deliveries?page=2&size=1"))).await.expect(200);
        assert_eq!(second.element("TotalCount"), Some("2"));
        assert_eq!(second.elements("MessageId"), log.elements("MessageId"));
        for (wrong, code) in [("?size=0", 1006), ("?size=1001", 1006), ("?page=0", 1006), ("?page=x", 1014)] {
            let reply = app.send(get(format!("{path}/deliveries{wrong}"))).await;
            assert_eq!((reply.status, reply.code()), (400, Some(code)), "{wrong}");
        }
    })
    .await;
}
