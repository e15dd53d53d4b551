//! Rights: every route, under every prefix, for every kind of caller.

use std::collections::BTreeSet;

use onhook_core::account::Role;
use onhook_server::http::route::Needs;
use onhook_server::{PREFIXES, Route};

use crate::app::calls::{Objects, all, call, objects, path, send_keeping};
use crate::app::{
    ACCOUNT, Call, IN_SERVICE, NEIGHBOUR, NEIGHBOURS, NO_NUMBER, Reply, Seed, Who, account, delete,
    disconnects, get, head, post, put, with_app, xml,
};

/// What a route answers to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    status: u16,
    /// The code of a refusal.
    code: Option<u16>,
    /// True if there is no body.
    silent: bool,
}

/// A route whose handler decides what the rights in its description do not say.
struct Exception {
    route: &'static str,
    why: &'static str,
    verdict: fn(Who) -> Verdict,
}

const EXCEPTIONS: [Exception; 3] = [
    Exception {
        route: "POST /oauth2/token",
        why: "the handler checks name and password itself, and refuses them in OAuth2's words",
        verdict: |who| match who {
            Who::Nobody | Who::WrongPassword => Verdict { status: 401, code: None, silent: false },
            _ => Verdict { status: 200, code: None, silent: false },
        },
    },
    Exception {
        route: "GET /v2/accounts/{account}/voiceConfigurationPackages",
        why: NO_PACKAGES,
        verdict: no_packages,
    },
    Exception {
        route: "POST /v2/accounts/{account}/voiceConfigurationPackages",
        why: NO_PACKAGES,
        verdict: no_packages,
    },
];
const NO_PACKAGES: &str = "no account has any, so everyone who is signed in is refused without a body";

fn no_packages(who: Who) -> Verdict {
    let status = if matches!(who, Who::Nobody | Who::WrongPassword) { 401 } else { 403 };
    Verdict { status, code: None, silent: true }
}

/// Returns what a route answers to a caller, by the rights in its description.
fn verdict(route: &Route, who: Who) -> Verdict {
    let name = route.name();
    if let Some(exception) = EXCEPTIONS.iter().find(|exception| exception.route == name) {
        return (exception.verdict)(who);
    }
    let good = route.doc.good();
    let good = Verdict { status: good.status, code: None, silent: good.body.is_none() };
    // Problems of the server's own routes have no codes.
    let refused = |status, code| Verdict { status, code: Some(code).filter(|_| route.api), silent: false };
    let role = match who {
        Who::Nobody | Who::WrongPassword if route.needs == Needs::Nothing => return good,
        Who::Nobody | Who::WrongPassword => return Verdict { status: 401, code: None, silent: true },
        Who::Reader => Role::Read,
        Who::Orderer => Role::Order,
        Who::Admin | Who::Neighbour => Role::Admin,
        Who::Operator => Role::Operator,
    };
    match (route.needs, who) {
        // Nobody is on the machine itself who asks over the network.
        (Needs::Machine, _) => refused(403, 1001),
        (Needs::Nothing, _) | (_, Who::Operator) => good,
        // None of these users has an extra right.
        (Needs::Operator | Needs::Right(..), _) => refused(403, 1001),
        (Needs::Account(_), Who::Neighbour) => refused(403, 5051),
        (Needs::Account(needed), _) if role < needed => refused(403, 1001),
        (Needs::Account(_), _) => good,
        (Needs::Role(needed), _) if role < needed => refused(403, 1001),
        // A stranger is not told whether the number is there, but may be told that the account is not theirs.
        (Needs::Caller | Needs::Role(_), Who::Neighbour) => match route.doc.strangers {
            None => good,
            Some(404) => refused(404, 15506),
            Some(status) => refused(status, 5051),
        },
        (Needs::Caller | Needs::Role(_), _) => good,
    }
}

#[test]
fn who_may_do_what_is_this_table() {
    let mut table = Who::ALL.map(|who| format!("{:<14}", format!("{who:?}"))).concat() + "\n";
    for (route, _) in all() {
        table += &Who::ALL.map(|who| format!("{:<14}", verdict(&route, who).status)).concat();
        table += &format!("{}\n", route.name());
    }
    insta::assert_snapshot!("rights", table);
}

#[test]
fn every_exception_is_a_route() {
    let names: BTreeSet<String> = onhook_server::routes().iter().map(Route::name).collect();
    for Exception { route, why, .. } in EXCEPTIONS {
        assert!(names.contains(route), "no such route {route} ({why}): take it out of EXCEPTIONS");
    }
}

#[tokio::test]
async fn every_route_serves_the_callers_that_it_names_under_every_prefix() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        let mut address = 0;
        let mut cells = 0;
        // Refused callers ask first, so that nothing changes while it is counted.
        for denied in [true, false] {
            let before = app.counts().await;
            for (route, prefixes) in all() {
                for prefix in prefixes {
                    for who in Who::ALL {
                        let Verdict { status, code, silent } = verdict(&route, who);
                        if (status >= 400) != denied {
                            continue;
                        }
                        // A store in a database is backed up by other means.
                        let elsewhere = route.name() == "POST /ops/v1/backups" && !app.one_writer;
                        let status = if elsewhere && status == 202 { 409 } else { status };
                        // What is removed must exist for each caller who may remove it.
                        let objects = if !denied && route.method == "DELETE" {
                            Objects::spare(app, &objects, &route).await.at(&route, app)
                        } else {
                            objects.clone()
                        };
                        let path = format!("{prefix}{}", path(&route, &objects, &ACCOUNT.to_string(), who));
                        let mut call = call(&route, &objects, path, who);
                        if who == Who::WrongPassword {
                            // One address has ten wrong tries a minute, and one name has sixty.
                            address += 1;
                            call = call.at_address(address);
                            app.parts.auth.forget(who.user());
                        }
                        let reply = send_keeping(app, &route, call).await;
                        let cell = format!("{} under {prefix:?} as {who:?}: {}", route.name(), reply.text());
                        assert_eq!(reply.status, status, "{cell}");
                        if denied {
                            assert_eq!(reply.code(), code, "{cell}");
                            assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{cell}");
                            assert_eq!(reply.body.is_empty(), silent, "{cell}");
                        }
                        cells += 1;
                    }
                }
            }
            if denied {
                assert_eq!(app.counts().await, before, "somebody was turned away and left something behind");
            }
        }
        assert_eq!(cells, all().iter().map(|(.., prefixes)| prefixes.len() * Who::ALL.len()).sum::<usize>());
        let notes = app.send(get(disconnects(&format!("/{}/notes", objects.disconnect)))).await;
        // The order's own note, and one from each prefix and each of the three callers who may write one.
        assert_eq!(notes.elements("Note").len(), 1 + PREFIXES.len() * 3);
    })
    .await;
}

#[tokio::test]
async fn a_head_request_gets_the_status_of_a_get() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        for (route, _) in all().into_iter().filter(|(route, _)| route.method == "GET") {
            for who in Who::ALL.into_iter().filter(|who| *who != Who::WrongPassword) {
                let prefix = if route.api { "/api" } else { "" };
                let path = format!("{prefix}{}", path(&route, &objects, &ACCOUNT.to_string(), who));
                let asked = app.send(call(&route, &objects, path.clone(), who)).await;
                let reply = app.send(head(path).by(who)).await;
                assert_eq!(reply.status, verdict(&route, who).status, "HEAD {} as {who:?}", route.path);
                assert!(reply.body.is_empty(), "HEAD {} as {who:?}", route.path);
                assert_eq!(reply.header("content-type"), asked.header("content-type"), "{}", route.path);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn every_answer_of_the_second_version_can_be_had_in_json() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let objects = objects(app).await;
        for (route, _) in all().into_iter().filter(|(route, _)| route.api) {
            for who in [Who::Admin, Who::Neighbour, Who::Nobody] {
                let objects = if route.method == "DELETE" {
                    Objects::spare(app, &objects, &route).await.at(&route, app)
                } else {
                    objects.clone()
                };
                let path = format!("/api/v2{}", path(&route, &objects, &ACCOUNT.to_string(), who));
                let call = call(&route, &objects, path, who).header("Accept", "application/json");
                let reply = app.send(call).await;
                let cell = format!("{} as {who:?}: {}", route.name(), reply.text());
                assert_eq!(
                    (reply.status, reply.header("vary")),
                    (verdict(&route, who).status, Some("Accept")),
                    "{cell}"
                );
                if reply.body.is_empty() {
                    assert_eq!(reply.header("content-type"), None, "{cell}");
                } else {
                    assert_eq!(reply.header("content-type"), Some("application/json"), "{cell}");
                    let json: serde_json::Value = serde_json::from_slice(&reply.body).expect(&cell);
                    assert!(json.is_object(), "{cell}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn another_account_looks_like_one_that_does_not_exist() {
    with_app(Seed::two_accounts(), async |app| {
        let objects = objects(app).await;
        let neighbour = NEIGHBOUR.to_string();
        let before = app.counts().await;
        for (route, _) in all().into_iter().filter(|(route, _)| route.api && route.path.contains("{account}"))
        {
            for who in [Who::Reader, Who::Orderer, Who::Admin] {
                let told = async |account: &str| -> (u16, Vec<(String, String)>, String) {
                    let path = format!("/api{}", path(&route, &objects, account, who));
                    let reply = app.send(call(&route, &objects, path, who)).await.without_date();
                    let mut headers = reply.headers.clone();
                    headers.retain(|(name, _)| name != "content-length");
                    (reply.status, headers, reply.text().replace(&format!("'{account}'"), "'{account}'"))
                };
                let theirs = told(&neighbour).await;
                assert_eq!(theirs.0, 403, "{} as {who:?}", route.name());
                let text = "Not authorized to perform operation on the account '{account}'";
                assert!(theirs.2.contains(text), "{}", theirs.2);
                for nobodys in ["9900777", "1", "4294967295", "4294967296", "0", "x", "+9900000"] {
                    assert_eq!(told(nobodys).await, theirs, "{} as {who:?}, account {nobodys}", route.name());
                }
            }
        }
        assert_eq!(app.counts().await, before);
        // An operator has every account that exists, and no other.
        let reply = app.send(get("/api/accounts/9900777/disconnects").by(Who::Operator)).await;
        assert_eq!(reply.error(), (404, None, "The resource does not exist"));
    })
    .await;
}

#[tokio::test]
async fn a_refusal_has_the_form_of_the_requested_resource() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let theirs = |rest: &str| get(format!("/api/accounts/{NEIGHBOUR}{rest}"));
        golden!(app, "unauthorized", app.send(get(disconnects("")).by(Who::Nobody)).await);
        golden!(app, "another_account_s_disconnects", app.send(theirs("/disconnects")).await);
        golden!(app, "another_account_s_orders", app.send(theirs("/orders")).await);
        golden!(app, "another_account_s_numbers", app.send(theirs("/discnumbers")).await);
        golden!(app, "another_account_s_search", app.send(theirs("/availableNumbers?areaCode=919")).await);
        let body = xml::disconnect(&["5405514342"]);
        golden!(app, "role_too_low", app.send(post(disconnects(""), body).by(Who::Reader)).await);
        golden!(app, "not_an_operator", app.send(get("/ops/v1/emulator/clock")).await);
    })
    .await;
}

#[tokio::test]
async fn no_header_raises_a_caller_s_rights() {
    with_app(Seed::two_accounts(), async |app| {
        let body = xml::disconnect(&["5405514342"]);
        let theirs = format!("/api/accounts/{NEIGHBOUR}/disconnects");
        let before = app.counts().await;
        for (name, value) in [
            ("x-realm", "admin"),
            ("X-HTTP-Method-Override", "POST"),
            ("X-Original-URL", "/api/accounts/9900001/disconnects"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-User", "operator"),
        ] {
            for (call, status) in [
                (post(disconnects(""), body.as_str()).by(Who::Nobody), 401),
                (post(disconnects(""), body.as_str()).by(Who::Reader), 403),
                (post(&theirs, body.as_str()), 403),
                (get(disconnects("")), 200),
            ] {
                let reply: Reply = app.send(call.header(name, value)).await;
                assert_eq!(reply.status, status, "{name}: {value}");
            }
        }
        assert_eq!(app.counts().await, before);
    })
    .await;
}

#[tokio::test]
async fn no_spelling_of_a_path_avoids_the_checks() {
    with_app(Seed::two_accounts(), async |app| {
        let before = app.counts().await;
        for path in [
            "/API/V1.0/ACCOUNTS/9900001/DISCONNECTS",
            "/api/accounts/9900000/../9900001/disconnects",
            "/api/accounts/9900000%2F..%2F9900001/disconnects",
            "/api/accounts/%39900001/disconnects",
            "/api/accounts/9900001%00/disconnects",
            "/api/accounts/9900000;/disconnects",
            "/api//accounts/9900001/disconnects",
            "/api/accounts/9900001/disconnects/",
            "/api/api/accounts/9900001/disconnects",
            "/api/v1/api/accounts/9900001/disconnects",
        ] {
            let reply = app.send(post(path, xml::disconnect(&["5405514342"]))).await;
            assert!(
                [400, 403, 404, 405].contains(&reply.status),
                "{path}: {} {}",
                reply.status,
                reply.text()
            );
            let reply = app.send(get(path)).await;
            assert!([400, 403, 404].contains(&reply.status), "{path}: {} {}", reply.status, reply.text());
        }
        assert_eq!(app.counts().await, before);
    })
    .await;
}

#[tokio::test]
async fn another_account_s_site_peer_and_number_do_not_exist() {
    with_app(Seed::two_accounts(), async |app| {
        let neighbour = NEIGHBOUR.to_string().parse().unwrap();
        let (_, premises) = app.parts.store.account(neighbour).await.unwrap().unwrap();
        let (their_site, their_peer) = (app.neighbours_site.to_string(), premises.peers[0].id.to_string());
        let (site, peer, none) = (app.site.to_string(), app.peer.to_string(), "4294967295");
        let told = async |path: String, id: &str| -> (u16, String) {
            let reply = app.send(get(account(&path.replace("{id}", id)))).await;
            let text = reply.text().replace(&format!("'{id}'"), "'{id}'");
            let text = text.replace(&format!("number {id} "), "number {id} ");
            (reply.status, text.replace(&format!("/sites/{id}/"), "/sites/{id}/"))
        };
        for (path, theirs, none) in [
            ("/sites/{id}".to_owned(), their_site.as_str(), none),
            ("/sites/{id}/totaltns".into(), &their_site, none),
            ("/sites/{id}/inserviceNumbers".into(), &their_site, none),
            ("/sites/{id}/inserviceNumbers/totals".into(), &their_site, none),
            ("/sites/{id}/sippeers".into(), &their_site, none),
            (format!("/sites/{{id}}/sippeers/{their_peer}"), &their_site, none),
            (format!("/sites/{site}/sippeers/{{id}}"), &their_peer, none),
            (format!("/sites/{site}/sippeers/{{id}}/totaltns"), &their_peer, none),
            (format!("/sites/{site}/sippeers/{{id}}/tns"), &their_peer, none),
            (format!("/sites/{site}/sippeers/{peer}/tns/{{id}}"), NEIGHBOURS, NO_NUMBER),
            ("/users/{id}".into(), Who::Neighbour.user(), "nobody"),
            ("/users/{id}".into(), Who::Operator.user(), "nobody"),
        ] {
            let unknown = told(path.clone(), none).await;
            // A list is empty, and everything else is not found.
            let status = match path.as_str() {
                path if path.contains("inservice") => 200,
                // An unknown peer is refused with 400, an unknown number at a known peer with 404.
                path if path.contains("/sippeers/{id}") => 400,
                _ => 404,
            };
            assert_eq!(unknown.0, status, "{path}: {}", unknown.1);
            assert_eq!(told(path.clone(), theirs).await, unknown, "{path}");
        }
        // Another account's sites and peers cannot be changed, moved to or removed either.
        let (site_body, peer_body) =
            ("<Site><Name>a</Name></Site>", "<SipPeer><PeerName>a</PeerName></SipPeer>");
        let tried = async |call: Call, id: &str| -> (u16, String) {
            let reply = app.send(call).await;
            (reply.status, reply.text().replace(&format!("'{id}'"), "'{id}'"))
        };
        let to_move = format!(
            "<SipPeerTelephoneNumbers><FullNumber>{}</FullNumber></SipPeerTelephoneNumbers>",
            IN_SERVICE[0]
        );
        let at = |rest: String| account(&format!("/sites/{rest}"));
        let before = app.counts().await;
        type Tried<'a> = &'a dyn Fn(&str) -> Call;
        let tries: [(&str, Tried<'_>); 6] = [
            (&their_site, &|id| put(at(id.into()), site_body)),
            (&their_site, &|id| delete(at(id.into()))),
            (&their_site, &|id| post(at(format!("{id}/sippeers")), peer_body)),
            (&their_peer, &|id| put(at(format!("{site}/sippeers/{id}")), peer_body)),
            (&their_peer, &|id| delete(at(format!("{site}/sippeers/{id}")))),
            (&their_peer, &|id| post(at(format!("{site}/sippeers/{id}/movetns")), to_move.as_str())),
        ];
        for (theirs, call) in tries {
            let unknown = tried(call(none), none).await;
            assert!([400, 404].contains(&unknown.0), "{unknown:?}");
            assert_eq!(tried(call(theirs), theirs).await, unknown);
        }
        let in_their_site = at(format!("{their_site}/sippeers/{their_peer}/movetns"));
        assert_eq!(app.send(post(in_their_site, to_move.as_str())).await.error().1, Some(12016));
        assert_eq!(app.counts().await, before);
        let after = app.parts.store.account(neighbour).await.unwrap().unwrap().1;
        assert_eq!(after, premises, "nothing of theirs has changed");
        // In a look-up, another account's number cannot be found.
        let lookup = async |number: &str| {
            let reply = app.send(post("/api/tns", format!("<TnList><Tn>{number}</Tn></TnList>"))).await;
            reply.expect(200).text().replace(number, "{number}")
        };
        let unknown = lookup(NO_NUMBER).await;
        assert!(unknown.contains("<Code>15610</Code>"), "{unknown}");
        assert_eq!(lookup(NEIGHBOURS).await, unknown);
        // No filter leads to another account's numbers.
        let filters = [
            format!("siteId={their_site}"),
            format!("sippeerId={their_peer}"),
            format!("fullNumber={NEIGHBOURS}"),
        ];
        for filter in filters {
            let found = app.send(get(format!("/api/tns?{filter}"))).await.expect(200);
            assert_eq!(found.element("TelephoneNumberCount"), Some("0"), "{filter}");
        }
        let theirs = app.send(get(format!("/api/tns?accountId={NEIGHBOUR}"))).await.expect(403);
        let nobodys = app.send(get("/api/tns?accountId=9900777")).await.expect(403);
        assert_eq!(theirs.text().replace("9900001", ""), nobodys.text().replace("9900777", ""));
    })
    .await;
}
