//! Deliveries of notifications: to good, slow, dead and hostile receivers, and to mailboxes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use onhook_core::import::NewNumber;
use onhook_core::notify::subscription::Secret;
use onhook_server::mail::MailSettings;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::app::receiver::Receiver;
use crate::app::{
    App, IN_SERVICE, Names, POOL, Seed, account, basic, disconnects, get, number, post, wait_for, with_app,
    xml,
};

/// Subscribes, and returns the subscription's path.
async fn subscribe(app: &App, orders: &str, callback: &str) -> String {
    let body = format!(
        "<Subscription><OrderType>{orders}</OrderType><CallbackSubscription>{callback}</CallbackSubscription></Subscription>"
    );
    let made = app.send(post(account("/subscriptions"), body)).await.expect(201);
    app.path_of(made.header("location").unwrap())
}

fn url(receiver: &Receiver, path: &str) -> String {
    format!("<URL>{}</URL>", receiver.url(path))
}

const RETRY: &str = "<Delivery><Retry>true</Retry></Delivery>";

/// State, reason and outcomes of the only delivery, once it has ended or been tried so often.
async fn delivery(app: &App, subscription: &str, tries: usize) -> (String, Option<String>, Vec<String>) {
    wait_for("a delivery's end", async || {
        let log = app.send(get(format!("{subscription}/deliveries"))).await.expect(200);
        let state = log.element("State")?.to_owned();
        let outcomes: Vec<String> = log.elements("Outcome").into_iter().map(str::to_owned).collect();
        (state != "WAITING" || (tries > 0 && outcomes.len() >= tries))
            .then(|| (state, log.element("Reason").map(str::to_owned), outcomes))
    })
    .await
}

#[tokio::test]
async fn each_order_s_end_is_notified_once_in_the_api_s_words() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        let disconnected = subscribe(app, "disconnects", &url(&receiver, "/ok/disconnects")).await;
        let ordered = subscribe(
            app,
            "orders",
            &format!("{}<NumberFormat>E164</NumberFormat>", url(&receiver, "/ok/orders")),
        )
        .await;
        let posts = [
            (
                disconnects(""),
                xml::disconnect_with(
                    "<name>n</name><CustomerOrderId>mine 1</CustomerOrderId>",
                    &[IN_SERVICE[0], IN_SERVICE[1]],
                    "",
                ),
            ),
            (disconnects(""), xml::disconnect(&[IN_SERVICE[2], POOL])),
            (disconnects(""), xml::disconnect(&[POOL])),
            (account("/orders"), xml::order(app.site, &[POOL])),
            (account("/orders"), xml::order(app.site, &["5405514342"])),
        ];
        let mut told = String::new();
        let mut names = Names::default();
        for (path, body) in posts {
            let at = if path.ends_with("orders") { "/ok/orders" } else { "/ok/disconnects" };
            let before = receiver.at(at).len();
            let (_, order) = app.place(post(path, body)).await;
            let ended = app.ended(get(&order)).await;
            let seen = receiver.wait(at, before + 1).await.pop().unwrap();
            assert_eq!(seen.element("OrderId"), order.rsplit('/').next());
            assert_eq!(seen.element("Status"), ended.element("OrderStatus"));
            let subscription = if at == "/ok/orders" { &ordered } else { &disconnected };
            assert_eq!(seen.element("SubscriptionId"), subscription.rsplit('/').next());
            // The order's history says the same.
            let history = app.send(get(format!("{order}/history"))).await.expect(200);
            assert_eq!(seen.element("Message"), history.element("Note"));
            assert_eq!(seen.element("LastModifiedDate"), history.element("OrderDate"));
            told += &names.redact(&seen.text());
            told += "\n\n";
        }
        insta::assert_snapshot!("told", told);
        // Nothing is delivered twice: each delivery has ended.
        for subscription in [&disconnected, &ordered] {
            let log = wait_for("all to end", async || {
                let log = app.send(get(format!("{subscription}/deliveries"))).await;
                log.elements("State").iter().all(|state| *state == "DELIVERED").then_some(log)
            })
            .await;
            assert!(log.elements("Outcome").iter().all(|outcome| *outcome == "http 200"));
        }
        let all: Vec<_> =
            receiver.at("/ok/orders").into_iter().chain(receiver.at("/ok/disconnects")).collect();
        let ids: HashSet<_> = all.iter().map(|seen| seen.header("webhook-id").unwrap()).collect();
        assert_eq!((all.len(), ids.len()), (5, 5));
        assert!(all.iter().all(|seen| seen.header("authorization").is_none()));
        let metrics = app.send(get("/metrics")).await;
        assert!(
            metrics.text().contains("onhook_deliveries_total{outcome=\"delivered\"}"),
            "{}",
            metrics.text()
        );
        assert!(metrics.text().contains("onhook_deliveries_waiting 0"));
    })
    .await;
}

#[tokio::test]
async fn subscribers_hear_of_a_back_order_when_it_begins_to_wait_and_when_it_ends() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        subscribe(app, "orders", &url(&receiver, "/ok/orders")).await;
        // The pool has one number of this area code.
        let fields = "<AreaCode>336</AreaCode><Quantity>3</Quantity>";
        let (_, path) =
            app.place(post(account("/orders"), xml::search(app.site, "AreaCode", fields, true))).await;
        receiver.wait("/ok/orders", 1).await;
        for more in ["3365550101", "3365550102"] {
            app.import(vec![NewNumber::available(number(more))]).await;
            wait_for("the number to be taken", async || {
                let order = app.send(get(&path)).await.expect(200);
                order.elements("FullNumber").contains(&more).then_some(())
            })
            .await;
        }
        let told = receiver.wait("/ok/orders", 2).await;
        let said =
            |element| told.iter().map(|seen| seen.element(element).map(str::to_owned)).collect::<Vec<_>>();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(said("Status"), [some("BACKORDERED"), some("COMPLETE")]);
        assert_eq!(said("Message")[0], some("Order backordered - awaiting additional numbers"));
        assert_eq!(said("CompletedTelephoneNumbers")[0], None, "it has not ended");
    })
    .await;
}

#[tokio::test]
async fn subscribers_hear_of_a_note_and_a_subscription_to_one_order_ends_with_it() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        let order = app.disconnect(&["5405514342"]).await;
        let id = order.rsplit('/').next().unwrap();
        let all = subscribe(app, "disconnects", &url(&receiver, "/ok/all")).await;
        app.send(post(format!("{order}/notes"), xml::note("username", "told &amp; kept"))).await.expect(201);
        let seen = receiver.wait("/ok/all", 1).await.pop().unwrap();
        insta::assert_snapshot!("note", Names::default().redact(&seen.text()));
        // The order had ended before. Its end is still delivered, and the subscription ends.
        let body = format!(
            "<Subscription><OrderType>disconnects</OrderType><OrderId>{id}</OrderId><CallbackSubscription>{}\
             </CallbackSubscription></Subscription>",
            url(&receiver, "/ok/late")
        );
        let made = app.send(post(account("/subscriptions"), body)).await.expect(201);
        let late = app.path_of(made.header("location").unwrap());
        let seen = receiver.wait("/ok/late", 1).await.pop().unwrap();
        assert_eq!((seen.element("OrderId"), seen.element("Status")), (Some(id), Some("COMPLETE")));
        app.send(get(&late)).await.expect(404);
        let listed = app.send(get(account("/subscriptions"))).await;
        assert_eq!(listed.elements("SubscriptionId"), [all.rsplit('/').next().unwrap()]);
        assert_eq!(delivery(app, &late, 0).await.0, "DELIVERED", "its log stays");
    })
    .await;
}

#[tokio::test]
async fn credentials_are_sent_once_they_are_asked_for_and_not_before() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        let credentials = "<CallbackCredentials><BasicAuthentication><Username>superuser</Username><Password>s3cure</Password>\
            </BasicAuthentication></CallbackCredentials>";
        let with = |path| format!("{}{credentials}", url(&receiver, path));
        let good = subscribe(app, "disconnects", &with("/challenge")).await;
        let other = subscribe(app, "disconnects", &with("/digest")).await;
        let open = subscribe(app, "disconnects", &with("/ok")).await;
        let none = subscribe(app, "disconnects", &url(&receiver, "/challenge/none")).await;
        app.disconnect(&["5405514342"]).await;
        assert_eq!(delivery(app, &good, 0).await, ("DELIVERED".into(), None, vec!["http 200".into()]));
        let seen = receiver.at("/challenge");
        let sent: Vec<_> = seen.iter().map(|seen| seen.header("authorization")).collect();
        assert_eq!(sent, [None, Some(basic("superuser", "s3cure").as_str())]);
        assert_eq!(seen[0].body, seen[1].body);
        assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
        for (subscription, path) in [(&other, "/digest"), (&none, "/challenge/none")] {
            assert_eq!(delivery(app, subscription, 0).await, ("GIVEN_UP".into(), Some("http 401".into()), vec!["http 401".into()]));
            assert_eq!(receiver.at(path).len(), 1);
        }
        assert_eq!(delivery(app, &open, 0).await.0, "DELIVERED");
        assert_eq!(receiver.at("/ok")[0].header("authorization"), None);
    })
    .await;
}

#[tokio::test]
async fn only_200_is_acceptance_and_no_redirect_is_followed() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        let refused = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
        let mut subscriptions = HashMap::new();
        for path in ["/said", "/created", "/500", "/410", "/429", "/302", "/endless", "/reset", "/noise"] {
            subscriptions.insert(path, subscribe(app, "disconnects", &url(&receiver, path)).await);
        }
        subscriptions
            .insert("refused", subscribe(app, "disconnects", &format!("<URL>http://{refused}/</URL>")).await);
        app.disconnect(&["5405514342"]).await;
        for (path, state, outcome, status) in [
            ("/said", "DELIVERED", "http 200", "200 OK: thank you"),
            ("/created", "GIVEN_UP", "http 201", "201 Created"),
            ("/500", "GIVEN_UP", "http 500", "500 Internal Server Error: oops"),
            ("/410", "GIVEN_UP", "http 410", "410 Gone"),
            ("/429", "GIVEN_UP", "http 429", "429 Too Many Requests"),
            ("/302", "GIVEN_UP", "http 302", "302 Found"),
            ("/endless", "DELIVERED", "http 200", "200 OK: xxx"),
            ("/reset", "GIVEN_UP", "broken", "broken"),
            ("/noise", "GIVEN_UP", "broken", "broken"),
            ("refused", "GIVEN_UP", "refused", "refused"),
        ] {
            let (got, reason, outcomes) = delivery(app, &subscriptions[path], 0).await;
            assert_eq!((got.as_str(), outcomes), (state, vec![outcome.to_owned()]), "{path}");
            assert_eq!(reason.as_deref(), (state == "GIVEN_UP").then_some(outcome), "{path}");
            let shown = app.send(get(&subscriptions[path])).await.expect(200);
            let said = shown.element("Status").unwrap();
            assert!(said.starts_with(status) && said.chars().count() < 250, "{path}: {said}");
            assert!(!said.contains("secret"));
        }
        assert!(receiver.at("/ok/redirected").is_empty());
        for path in ["/500", "/410", "/429", "/302", "/created"] {
            assert_eq!(receiver.at(path).len(), 1, "{path}: not again unless that was asked for");
        }
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let (hanging, good) = (Receiver::start().await, Receiver::start().await);
        // More than may be under way to one receiver, so that some of them wait for the others.
        let mut stuck = Vec::new();
        for n in 0..8 {
            stuck.push(subscribe(app, "disconnects", &url(&hanging, &format!("/hang/{n}"))).await);
        }
        let other = subscribe(app, "disconnects", &url(&good, "/ok")).await;
        let mut orders = Vec::new();
        for number in ["5405514342", "7034343704", IN_SERVICE[0], IN_SERVICE[1], IN_SERVICE[2]] {
            orders.push(app.disconnect(&[number]).await);
        }
        let seen = good.wait("/ok", orders.len()).await;
        assert_eq!(seen.len(), orders.len());
        // None of those that hang has ended yet, and as many are under way as one receiver may have.
        for subscription in &stuck {
            let log = app.send(get(format!("{subscription}/deliveries"))).await.expect(200);
            assert!(log.elements("Outcome").is_empty(), "{}", log.text());
            assert_eq!(log.elements("State"), vec!["WAITING"; orders.len()]);
        }
        let begun: usize = (0..8).map(|n| hanging.at(&format!("/hang/{n}")).len()).sum();
        assert!((1..=4).contains(&begun), "{begun}");
        let log = wait_for("the others' log", async || {
            let log = app.send(get(format!("{other}/deliveries"))).await;
            log.elements("State").iter().all(|state| *state == "DELIVERED").then_some(log)
        })
        .await;
        assert_eq!(log.elements("State").len(), orders.len());
        // The server does not wait for them when it stops, and they are still due.
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_failed_delivery_is_repeated_under_the_same_id() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        let mends = subscribe(app, "disconnects", &format!("{}{RETRY}", url(&receiver, "/mends"))).await;
        let later = subscribe(app, "disconnects", &format!("{}{RETRY}", url(&receiver, "/429"))).await;
        let gone = subscribe(app, "disconnects", &format!("{}{RETRY}", url(&receiver, "/410"))).await;
        let never = subscribe(app, "disconnects", &format!("{}{RETRY}", url(&receiver, "/500"))).await;
        app.disconnect(&["5405514342"]).await;
        delivery(app, &mends, 1).await;
        app.advance(5_000).await;
        delivery(app, &mends, 2).await;
        app.advance(15_000).await;
        let (state, reason, outcomes) = delivery(app, &mends, 0).await;
        assert_eq!((state.as_str(), reason), ("DELIVERED", None));
        assert_eq!(outcomes, ["http 503", "http 503", "http 200"]);
        let seen = receiver.at("/mends");
        let ids: HashSet<_> =
            seen.iter().map(|seen| (seen.header("webhook-id").unwrap(), &seen.body)).collect();
        assert_eq!((seen.len(), ids.len()), (3, 1));

        // The receiver asked to be left alone for an hour.
        assert_eq!(delivery(app, &later, 1).await.2, ["http 429"]);
        assert_eq!(receiver.at("/429").len(), 1);
        app.advance(3_600_000).await;
        receiver.wait("/429", 2).await;

        let (state, reason, _) = delivery(app, &gone, 0).await;
        assert_eq!((state.as_str(), reason.as_deref()), ("GIVEN_UP", Some("http 410")));
        let shown = app.send(get(&gone)).await.expect(200);
        assert_eq!(shown.element("Disabled"), Some("true"));
        app.disconnect(&["7034343704"]).await;
        let log = app.send(get(format!("{gone}/deliveries"))).await;
        assert_eq!(log.element("TotalCount"), Some("1"));

        // It ends after so many attempts, or so long.
        for tries in 2.. {
            app.advance(6 * 3_600_000).await;
            let log = app.send(get(format!("{never}/deliveries"))).await;
            if !log.elements("State").contains(&"WAITING") {
                break;
            }
            assert!(tries < 50);
        }
        let log = app.send(get(format!("{never}/deliveries"))).await;
        assert!(log.elements("State").iter().all(|state| *state == "GIVEN_UP"));
        assert!(log.elements("Reason").iter().all(|reason| *reason == "http 500"));
    })
    .await;
}

#[tokio::test]
async fn a_signature_can_be_checked_with_the_secret() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let receiver = Receiver::start().await;
        let body = format!(
            "<Subscription><OrderType>disconnects</OrderType><CallbackSubscription>{}<Delivery><Sign>true</Sign></Delivery>\
             </CallbackSubscription></Subscription>",
            url(&receiver, "/ok")
        );
        let made = app.send(post(account("/subscriptions"), body)).await.expect(201);
        let secret = made.element("Secret").unwrap().to_owned();
        app.disconnect(&["5405514342"]).await;
        let seen = receiver.wait("/ok", 1).await.pop().unwrap();
        let base64 = base64::engine::general_purpose::STANDARD;
        let key = base64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let (id, at) = (seen.header("webhook-id").unwrap(), seen.header("webhook-timestamp").unwrap());
        let signature = |id: &str, at: &str, body: &str| {
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
            for part in [id, ".", at, ".", body] {
                mac.update(part.as_bytes());
            }
            format!("v1,{}", base64.encode(mac.finalize().into_bytes()))
        };
        assert_eq!(seen.header("webhook-signature"), Some(signature(id, at, &seen.body).as_str()));
        assert_ne!(seen.header("webhook-signature"), Some(signature(id, at, &seen.body.replace("COMPLETE", "FAILED")).as_str()));
        let age = crate::app::now().millis() / 1_000 - at.parse::<i64>().unwrap();
        assert!((0..=60).contains(&age), "{age}");
        let log = crate::app::log::text();
        assert!(!log.contains(&secret), "the secret is in the log");
    })
    .await;
}

#[tokio::test]
async fn a_receiver_must_have_the_key_that_its_subscription_names() {
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    with_app(Seed::two_accounts().emulator(), async |app| {
        let certified = || rcgen::generate_simple_self_signed(["receiver.example.com".to_owned()]).unwrap();
        let (right, wrong) = (certified(), certified());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![right.cert.der().clone()],
                PrivateKeyDer::try_from(right.signing_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut line = String::new();
                let _ = BufReader::new(&mut stream).read_line(&mut line).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        });
        let key = |der: &[u8]| base64::engine::general_purpose::STANDARD.encode(der);
        let with = |path: &str, key: &str| {
            format!("<URL>https://{address}/{path}</URL><CallbackCredentials><PublicKey>{key}</PublicKey></CallbackCredentials>")
        };
        let good = subscribe(app, "disconnects", &with("a", &key(right.cert.der()))).await;
        let bad = subscribe(app, "disconnects", &with("b", &key(wrong.cert.der()))).await;
        let unknown = subscribe(app, "disconnects", &format!("<URL>https://{address}/c</URL>")).await;
        app.disconnect(&["5405514342"]).await;
        assert_eq!(delivery(app, &good, 0).await.2, ["http 200"]);
        assert_eq!(delivery(app, &bad, 0).await.2, ["tls"]);
        assert_eq!(delivery(app, &unknown, 0).await.2, ["tls"], "no authority knows it");
        let plain = format!("<Subscription><OrderType>orders</OrderType><CallbackSubscription>{}</CallbackSubscription></Subscription>",
            with("a", &key(right.cert.der())).replace("https:", "http:"));
        let reply = app.send(post(account("/subscriptions"), plain)).await;
        assert_eq!((reply.status, reply.code()), (400, Some(14506)));
    })
    .await;
}

/// A mail server that takes mails except those for `refused@example.com`, and accepts no password.
async fn mail_server() -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mails: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = mails.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                stream.write_all(b"220 mail.example.com\r\n").await.unwrap();
                let (mut line, mut mail) = (String::new(), String::new());
                while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                    let answer: &[u8] =
                        match line.split([' ', ':', '\r']).next().unwrap().to_ascii_uppercase().as_str() {
                            "EHLO" => b"250-mail.example.com\r\n250 AUTH PLAIN\r\n",
                            "AUTH" => b"535 5.7.8 authentication failed\r\n",
                            "RCPT" if line.contains("refused@") => b"550 no such mailbox\r\n",
                            "QUIT" => b"221 bye\r\n",
                            "DATA" => {
                                stream.write_all(b"354 go on\r\n").await.unwrap();
                                loop {
                                    line.clear();
                                    stream.read_line(&mut line).await.unwrap();
                                    if line == ".\r\n" {
                                        break;
                                    }
                                    mail += &line;
                                }
                                kept.lock().unwrap().push(std::mem::take(&mut mail));
                                b"250 taken\r\n"
                            }
                            _ => b"250 ok\r\n",
                        };
                    stream.write_all(answer).await.unwrap();
                    line.clear();
                }
            });
        }
    });
    (address, mails)
}

#[tokio::test]
async fn a_mail_server_that_does_not_know_us_is_tried_again() {
    let (address, mails) = mail_server().await;
    let url = Secret::new(format!("smtp://user:wrong@{address}"));
    let mail = MailSettings { url, from: "onhook@example.net".into() };
    with_app(Seed::two_accounts().emulator().mail(mail), async |app| {
        let body = "<Subscription><OrderType>disconnects</OrderType><EmailSubscription>\
                    <Email>ops@example.com</Email><DigestRequested>NONE</DigestRequested>\
                    </EmailSubscription></Subscription>";
        let made = app.send(post(account("/subscriptions"), body)).await.expect(201);
        app.disconnect(&["5405514342"]).await;
        let tried = delivery(app, &app.path_of(made.header("location").unwrap()), 1).await;
        assert_eq!(tried, ("WAITING".into(), None, vec!["the mail server refused it for now".into()]));
        assert!(mails.lock().unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn mail_is_sent_at_once_or_once_a_day() {
    let (address, mails) = mail_server().await;
    let mail =
        MailSettings { url: Secret::new(format!("smtp://{address}")), from: "onhook@example.net".into() };
    with_app(Seed::two_accounts().emulator().mail(mail), async |app| {
        let subscribe = async |address: &str, digest: &str| {
            let body = format!(
                "<Subscription><OrderType>disconnects</OrderType><EmailSubscription><Email>{address}</Email>\
                 <DigestRequested>{digest}</DigestRequested></EmailSubscription></Subscription>"
            );
            let made = app.send(post(account("/subscriptions"), body)).await.expect(201);
            app.path_of(made.header("location").unwrap())
        };
        let each = subscribe("each@example.com", "NONE").await;
        let daily = subscribe("daily@example.com", "DAILY").await;
        let refused = subscribe("refused@example.com", "NONE").await;
        golden!(app, "mail_subscription", app.send(get(&daily)).await);
        let orders = [app.disconnect(&["5405514342"]).await, app.disconnect(&["7034343704", POOL]).await];
        let taken = async |count| {
            wait_for("mails", async || {
                Some(mails.lock().unwrap().clone()).filter(|mails| mails.len() >= count)
            })
            .await
        };
        let first = taken(2).await;
        assert_eq!(delivery(app, &refused, 0).await.1.as_deref(), Some("the mail server refused it"));
        for mail in &first {
            assert!(
                mail.contains("To: each@example.com\r\n") && mail.contains("From: onhook@example.net\r\n"),
                "{mail}"
            );
            assert!(mail.contains("Message-ID: <"), "{mail}");
        }
        for order in &orders {
            let id = order.rsplit('/').next().unwrap();
            assert_eq!(first.iter().filter(|mail| mail.contains(id)).count(), 1, "{first:?}");
        }
        assert!(
            first.iter().any(|mail| mail.contains("Disconnect successful.") && mail.contains("+15405514342"))
        );
        let log = app.send(get(format!("{daily}/deliveries"))).await;
        assert_eq!(log.elements("State"), ["WAITING", "WAITING"]);
        app.advance(onhook_core::time::DAY_MS).await;
        let all = taken(3).await;
        let digest = all.last().unwrap();
        assert!(
            digest.contains("To: daily@example.com\r\n")
                && digest.contains("Subject: 2 notifications of orders"),
            "{digest}"
        );
        assert!(orders.iter().all(|order| digest.contains(order.rsplit('/').next().unwrap())), "{digest}");
        for subscription in [&each, &daily] {
            let states = wait_for("all to end", async || {
                let log = app.send(get(format!("{subscription}/deliveries"))).await;
                (!log.elements("State").contains(&"WAITING")).then(|| log.elements("State").len())
            })
            .await;
            assert_eq!(states, 2);
        }
        assert_eq!(mails.lock().unwrap().len(), 3);
    })
    .await;
}
