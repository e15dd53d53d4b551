//! Users: who signs in to an account, and what they may do.

use onhook_core::account::user::Rights;
use std::sync::Arc;

use onhook_core::account::Role;
use onhook_core::ids::AccountId;
use onhook_server::auth::hash_password;
use onhook_store::contract::users::NewUser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::{
    ACCOUNT, App, Call, NEIGHBOUR, Seed, Who, account, basic, delete, disconnects, get, now, post, put,
    wait_for, with_app, xml,
};

fn users(rest: &str) -> String {
    account(&format!("/users{rest}"))
}

fn user(name: &str, password: &str, role: &str) -> String {
    format!(
        "<User><Username>{name}</Username><Password>{password}</Password><Roles><Role><RoleName>{role}\
         </RoleName></Role></Roles></User>"
    )
}

fn role(role: &str) -> String {
    format!("<User><Roles><Role><RoleName>{role}</RoleName></Role></Roles></User>")
}

fn password(password: &str) -> String {
    format!("<User><Password>{password}</Password></User>")
}

/// Returns the call, made by a user of a test's own.
fn by(call: Call, name: &str, password: &str) -> Call {
    call.by(Who::Nobody).header("Authorization", &basic(name, password))
}

async fn names(app: &App) -> Vec<String> {
    let listed = app.send(get(users(""))).await.expect(200);
    listed.elements("Username").into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_user_is_made_changed_and_removed() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "users", app.send(get(users("")).by(Who::Reader)).await);
        assert_eq!(
            app.send(get("/api/users").by(Who::Reader)).await.expect(200).text(),
            app.send(get(users(""))).await.expect(200).text()
        );
        // A name may hold characters that a path must encode, and its case does not matter.
        let made = app.send(post(users(""), user("B\u{FC}ro/B", "correct horse", "read"))).await.expect(201);
        golden!(app, "user_made", made);
        let path = app.path_of(made.header("location").unwrap());
        golden!(app, "user", app.send(get(&path)).await);
        let shown = app.send(get(path.replace("/B", "/b"))).await.expect(200);
        assert_eq!(shown.element("Username"), Some("B\u{FC}ro/B"));
        let taken = app.send(post(users(""), user("b\u{DC}RO/b", "correct horse", "read"))).await;
        assert_eq!(taken.error(), (409, Some(1015), "Entry for b\u{DC}RO/b already exists"));
        let order = || post(disconnects(""), xml::disconnect(&["5405514342"]));
        let signed = |call: Call, password| by(call, "B\u{FC}ro/B", password);
        app.send(signed(get(disconnects("")), "correct horse")).await.expect(200);
        app.send(signed(order(), "correct horse")).await.expect(403);

        // Another role and another password hold from the next request on.
        let changed = app.send(put(&path, role("order"))).await;
        golden!(app, "user_changed", changed);
        app.send(signed(order(), "correct horse")).await.expect(201);
        let body = "<User><Password>battery staple</Password></User>";
        app.send(put(&path, body)).await.expect(200);
        app.send(signed(get(disconnects("")), "correct horse")).await.expect(401);
        app.send(signed(get(disconnects("")), "battery staple")).await.expect(200);

        golden!(app, "user_removed", app.send(delete(&path)).await);
        app.send(signed(get(disconnects("")), "battery staple")).await.expect(401);
        assert_eq!(app.send(delete(&path)).await.error().1, Some(4019));
        assert_eq!(names(app).await, ["orderer", "reader", "username"]);
    })
    .await;
}

#[tokio::test]
async fn everybody_chooses_their_own_password() {
    with_app(Seed::two_accounts(), async |app| {
        let own = |who: Who| format!("/v1.0/users/{}/password", who.user());
        let changed = app.send(put(own(Who::Reader), password("correct horse")).by(Who::Reader)).await;
        golden!(app, "password_changed", changed);
        app.send(get(disconnects("")).by(Who::Reader)).await.expect(401);
        app.send(by(get(disconnects("")), "reader", "correct horse")).await.expect(200);
        // An operator has no account, and can change its password all the same.
        app.send(put(own(Who::Operator), password("correct horse")).by(Who::Operator)).await.expect(200);
        app.send(by(get("/api/users?accountId=9900000"), "operator", "correct horse")).await.expect(200);
        // Others cannot change this user's password.
        let theirs = app.send(put(own(Who::Admin), password("correct horse")).by(Who::Orderer)).await;
        assert_eq!(theirs.error(), (403, Some(1001), "Access Denied"));
        for name in ["neighbour", "operator", "nobody"] {
            for who in [Who::Orderer, Who::Admin] {
                let path = format!("/api/users/{name}/password");
                let reply = app.send(put(path, password("correct horse")).by(who)).await;
                assert_eq!(reply.error(), (404, Some(4019), "Unknown userId"), "{name} as {who:?}");
            }
        }
        // One client sends the password alone, as the root.
        let alone = "<Password>correct horse</Password>";
        app.send(put(own(Who::Neighbour), alone).by(Who::Neighbour)).await.expect(200);
        // An administrator may change passwords on the account.
        app.send(put(own(Who::Orderer), password("correct horse"))).await.expect(200);
        app.send(by(get(disconnects("")), "orderer", "correct horse")).await.expect(200);
        for (body, code) in [
            (password("short"), 1012),
            (password(&"a".repeat(1_025)), 1011),
            (password("two\nlines here"), 1019),
            ("<User/>".into(), 1003),
            ("<Site/>".into(), 1019),
        ] {
            let reply = app.send(put(own(Who::Admin), body)).await;
            assert_eq!((reply.status, reply.code()), (400, Some(code)));
        }
        app.send(get(disconnects(""))).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn nobody_gives_rights_that_they_lack() {
    with_app(Seed::two_accounts(), async |app| {
        let before = app.parts.store.users().await.unwrap();
        for call in [
            post(users(""), user("root", "correct horse", "operator")),
            post(users(""), user("root", "correct horse", "operator")).by(Who::Operator),
            put(users("/reader"), role("operator")),
            put(users("/username"), role("operator")),
            put(users("/reader"), role("operator")).by(Who::Operator),
            put(users("/reader"), role("admin")).by(Who::Reader),
            put(users("/orderer"), role("admin")).by(Who::Orderer),
            post(users(""), user("root", "correct horse", "admin")).by(Who::Orderer),
            delete(users("/username")).by(Who::Orderer),
        ] {
            assert_eq!(app.send(call.clone()).await.error(), (403, Some(1001), "Access Denied"), "{call:?}");
        }
        // Operators and another account's users are not users of this account for any caller.
        for name in ["operator", "neighbour", "nobody"] {
            for who in [Who::Admin, Who::Operator] {
                let path = users(&format!("/{name}"));
                for call in [get(&path), put(&path, role("read")), delete(&path)] {
                    let reply = app.send(call.by(who)).await;
                    assert_eq!(reply.error(), (404, Some(4019), "Unknown userId"), "{name} as {who:?}");
                }
            }
        }
        let theirs = format!("/api/accounts/{NEIGHBOUR}/users/neighbour");
        assert_eq!(app.send(delete(theirs)).await.error().1, Some(5051));
        let taken = app.send(post(users(""), user("operator", "correct horse", "read"))).await;
        assert_eq!(taken.error(), (409, Some(1015), "Entry for operator already exists"));
        for (body, code) in [
            ("<User/>".to_owned(), 1003),
            (user("a:b", "correct horse", "read"), 1008),
            (user("..", "correct horse", "read"), 1008),
            (user("a\u{202E}b", "correct horse", "read"), 1008),
            (user("a", "short", "read"), 1012),
            (user("a", "correct horse", "ROLE_USER"), 1008),
        ] {
            assert_eq!(app.send(post(users(""), body)).await.error().1, Some(code));
        }
        let renamed = app.send(put(users("/reader"), user("other", "correct horse", "read"))).await;
        assert_eq!(renamed.error().1, Some(4020));
        assert_eq!(app.send(get("/api/users?accountId=9900001")).await.error().1, Some(5051));
        assert_eq!(app.send(get("/api/users").by(Who::Operator)).await.error().1, Some(1003));
        assert_eq!(app.parts.store.users().await.unwrap(), before);
    })
    .await;
}

#[tokio::test]
async fn an_account_keeps_its_last_administrator() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "last_admin", app.send(delete(users("/username"))).await);
        assert_eq!(app.send(put(users("/username"), role("order"))).await.status, 409);
        app.send(put(users("/reader"), role("admin"))).await.expect(200);
        app.send(put(users("/username"), role("order"))).await.expect(200);
        // From the next request on they have only that role.
        assert_eq!(app.send(delete(users("/reader"))).await.error().1, Some(1001));
        app.send(delete(users("/reader")).by(Who::Operator)).await.expect(200);
        assert_eq!(names(app).await, ["orderer", "username"]);
    })
    .await;
}

#[tokio::test]
async fn a_change_is_made_although_its_client_hangs_up() {
    with_app(Seed::two_accounts(), async |app| {
        let knock = || get(disconnects("")).by(Who::Reader);
        app.send(knock()).await.expect(200);
        if !app.one_writer {
            return; // nothing that a test can do without SQL makes a removal wait
        }
        // The writer is at work on something that lasts, so that the removal waits in its queue.
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let store = app.parts.store.clone();
        let lasting = tokio::spawn(async move {
            let lines = std::iter::from_fn(move || {
                begun.send(()).unwrap();
                let _ = released.recv();
                None
            });
            store
                .import(Box::new(lines), onhook_core::import::Intake::of("nothing"), now(), Arc::default())
                .await
                .unwrap();
        });
        tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
        let mut line = TcpStream::connect(app.address).await.unwrap();
        line.write_all(&delete(users("/reader")).bytes()).await.unwrap();
        wait_for("the removal to wait", async || (app.parts.store.writes().queue == 1).then_some(())).await;
        drop(line);
        for _ in 0..5 {
            app.send(knock()).await.expect(200); // it has not been done yet
        }
        release.send(()).unwrap();
        lasting.await.unwrap();
        wait_for("the removal", async || {
            app.parts.store.user("reader").await.unwrap().is_none().then_some(())
        })
        .await;
        // What was remembered of them would let them in for another minute.
        wait_for("a refusal", async || (app.send(knock()).await.status == 401).then_some(())).await;
    })
    .await;
}

#[tokio::test]
async fn a_removed_user_is_refused_although_the_password_was_remembered() {
    with_app(Seed::two_accounts(), async |app| {
        let hash = hash_password("correct horse").unwrap();
        for round in 0..3 {
            let name = format!("user{round}");
            let user = NewUser {
                name: name.clone(),
                account: AccountId::new(ACCOUNT),
                role: Role::Read,
                rights: Rights::NONE,
                password_hash: hash.clone(),
            };
            app.parts.store.create_user(user, crate::app::now()).await.unwrap();
            // They send requests all the time while they are removed.
            let mut asking = tokio::task::JoinSet::new();
            for _ in 0..4 {
                let call = by(get(disconnects("")), &name, "correct horse");
                let address = app.address;
                asking.spawn(async move {
                    for _ in 0..20 {
                        crate::app::talk(address, call.from, &call.bytes()).await;
                    }
                });
            }
            app.send(delete(users(&format!("/{name}")))).await.expect(200);
            let reply = app.send(by(get(disconnects("")), &name, "correct horse").at_address(round)).await;
            assert_eq!(reply.status, 401);
            asking.join_all().await;
            let reply =
                app.send(by(get(disconnects("")), &name, "correct horse").at_address(100 + round)).await;
            assert_eq!(reply.status, 401);
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_change_ends_no_tokens() {
    with_app(Seed::two_accounts(), async |app| {
        let form = "application/x-www-form-urlencoded";
        let grant = post("/api/v1/oauth2/token", "grant_type=client_credentials").content_type(form);
        let reply = app.send(grant.by(Who::Neighbour)).await.expect(200);
        let reply: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let token = format!("Bearer {}", reply["access_token"].as_str().unwrap());
        let theirs = format!("/api/accounts/{NEIGHBOUR}");
        let knock = || get(&theirs).by(Who::Nobody).header("Authorization", &token);
        app.send(knock()).await.expect(200);
        let change = || put("/api/users/neighbour/password", password("correct horse"));
        for who in [Who::Reader, Who::Admin] {
            assert_eq!(app.send(change().by(who)).await.status, 404);
            app.send(knock()).await.expect(200);
        }
        // A change that is made ends them.
        app.send(change().by(Who::Neighbour)).await.expect(200);
        app.send(knock()).await.expect(401);
    })
    .await;
}

#[tokio::test]
async fn a_request_fails_when_its_user_s_role_changes_meanwhile() {
    with_app(Seed::two_accounts(), async |app| {
        for (name, end) in
            [("second", delete(users("/second"))), ("third", put(users("/third"), role("order")))]
        {
            app.send(post(users(""), user(name, "correct horse", "admin"))).await.expect(201);
            let mut under_way = Vec::new();
            for call in
                [post(users(""), user("new", "correct horse", "admin")), put(users("/reader"), role("admin"))]
            {
                let call = by(call, name, "correct horse").header("Expect", "100-continue");
                let mut line = TcpStream::connect(app.address).await.unwrap();
                line.write_all(call.head().as_bytes()).await.unwrap();
                // They are signed in when the server asks for the body.
                let mut asked = [0; 25];
                line.read_exact(&mut asked).await.unwrap();
                assert_eq!(asked, *b"HTTP/1.1 100 Continue\r\n\r\n");
                under_way.push((line, call.body));
            }
            app.send(end).await.expect(200);
            for (mut line, body) in under_way {
                line.write_all(&body).await.unwrap();
                let mut answer = [0; 13];
                line.read_exact(&mut answer).await.unwrap();
                assert_eq!(answer, *b"HTTP/1.1 403 ", "{name}");
            }
        }
        assert_eq!(names(app).await, ["orderer", "reader", "third", "username"]);
        assert_eq!(app.send(get(users("/reader"))).await.expect(200).elements("RoleName"), ["read"]);
    })
    .await;
}
