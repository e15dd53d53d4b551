//! Tokens for name and password.

use crate::app::{
    Call, Reply, Seed, Who, account, basic, delete, disconnects, get, now, post, put, with_app, xml,
};

const FORM: &str = "application/x-www-form-urlencoded";

fn ask(form: &str) -> Call {
    post("/api/v1/oauth2/token", form).content_type(FORM)
}

fn grant() -> Call {
    ask("grant_type=client_credentials")
}

fn with_token(call: Call, token: &str) -> Call {
    call.by(Who::Nobody).header("Authorization", &format!("Bearer {token}"))
}

fn token(reply: &Reply) -> String {
    let reply: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    reply["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_accepted_wherever_name_and_password_are() {
    with_app(Seed::two_accounts(), async |app| {
        for path in
            ["/api/v1/oauth2/token", "/api/v2/oauth2/token", "/api/oauth2/token", "/v1.0/oauth2/token"]
        {
            let call = post(path, "grant_type=client_credentials&scope=").content_type(FORM);
            let reply = app.send(call.by(Who::Orderer)).await.expect(200);
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            let secret = token(&reply);
            let hidden = Reply { body: reply.text().replace(&secret, "{token}").into(), ..reply.clone() };
            golden!(app, "token", hidden);
            app.send(with_token(get(account("")), &secret)).await.expect(200);
            app.send(with_token(get("/api/tns/5405514342"), &secret)).await.expect(200);
            app.send(with_token(post(disconnects(""), xml::disconnect(&["5405514342"])), &secret))
                .await
                .expect(201);
            // It has the user's rights and no more.
            let body = "<Site><Name>a</Name></Site>";
            let reply = app.send(with_token(post(account("/sites"), body), &secret)).await;
            assert_eq!(reply.error(), (403, Some(1001), "Access Denied"));
            app.send(with_token(get("/api/accounts/9900001"), &secret)).await.expect(403);
        }
    })
    .await;
}

/// Returns the claims of a token, as a client reads them.
fn claims(token: &str) -> serde_json::Value {
    use base64::Engine;
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn a_token_tells_its_client_the_account_and_the_roles() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        for (who, accounts, role) in [
            (Who::Reader, &["9900000"][..], "Numbers - Read"),
            (Who::Orderer, &["9900000"], "Numbers - Order"),
            (Who::Admin, &["9900000"], "Numbers - Admin"),
            (Who::Operator, &[], "Numbers - Operator"),
        ] {
            let token = token(&app.send(grant().by(who)).await.expect(200));
            let claims = claims(&token);
            assert_eq!(claims["sub"], who.user());
            assert_eq!(claims["accounts"], serde_json::json!(accounts));
            assert_eq!(claims["roles"], serde_json::json!([role]));
            assert_eq!(claims["express"], false);
            let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
            let now = now().millis() / 1_000;
            assert!((now - 60..=now).contains(&iat) && exp == iat + 3_600, "{claims}, now {now}");
        }
        // A client counts the hour by its own clock, which the emulator's has nothing to do with.
        let token = token(&app.send(grant()).await.expect(200));
        app.advance(91 * 24 * 3_600_000).await;
        app.send(with_token(get(account("")), &token)).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_token_is_good_after_a_restart_and_for_another_server_on_the_store() {
    with_app(Seed::two_accounts(), async |app| {
        let token = token(&app.send(grant()).await.expect(200));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = onhook_server::Settings::default();
        let another = onhook_server::start(listener, app.parts.store.clone(), settings).await.unwrap();
        let call = with_token(get(account("")), &token);
        let raw = crate::app::talk(another.address, call.from, &call.bytes()).await;
        assert_eq!(crate::app::replies(&raw, false)[0].status, 200);
        another.stop().await;
    })
    .await;
}

#[tokio::test]
async fn invalid_credentials_get_no_token() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "invalid_client", app.send(grant().by(Who::WrongPassword)).await);
        let nobody = app.send(grant().by(Who::Nobody)).await.expect(401);
        assert_eq!(nobody.text(), r#"{"error":"invalid_client"}"#);
        // A token cannot be used to get another, so that it ends after an hour.
        let own = token(&app.send(grant()).await.expect(200));
        app.send(with_token(grant(), &own)).await.expect(401);
        golden!(
            app,
            "unsupported_grant_type",
            app.send(ask("grant_type=password&username=a&password=b")).await
        );
        for form in
            ["", "grant_type", "scope=a", "grant_type=client_credentials&grant_type=client_credentials"]
        {
            let reply = app.send(ask(form)).await;
            let error = if form == "grant_type" { "unsupported_grant_type" } else { "invalid_request" };
            assert_eq!(
                (reply.status, reply.text()),
                (400, format!(r#"{{"error":"{error}"}}"#).as_str()),
                "{form}"
            );
        }
        let long = format!("grant_type=client_credentials&scope={}", "a".repeat(5_000));
        assert_eq!(app.send(ask(&long)).await.status, 400);
        golden!(app, "no_form", app.send(post("/api/v1/oauth2/token", "<a/>")).await);
        let twice = app.send(grant().header("Authorization", &basic("reader", "password"))).await;
        assert_eq!((twice.status, twice.text()), (400, r#"{"error":"invalid_request"}"#));
        // Wrong tries count as they do everywhere.
        for _ in 0..10 {
            app.send(grant().by(Who::WrongPassword).at_address(7)).await;
        }
        app.send(grant().by(Who::WrongPassword).at_address(7)).await.expect(429);
    })
    .await;
}

#[tokio::test]
async fn an_invalid_token_is_refused_with_the_challenge() {
    with_app(Seed::two_accounts(), async |app| {
        let good = token(&app.send(grant()).await.expect(200));
        let shorter = &good[..good.len() - 1];
        let (longer, unsigned) = ("a".repeat(3_000), &good[..=good.rfind('.').unwrap()]);
        for wrong in ["", "x", shorter, unsigned, &good.to_ascii_uppercase(), &format!("{good}="), &longer] {
            let reply = app.send(with_token(get(account("")), wrong)).await;
            assert_eq!((reply.status, reply.body.len()), (401, 0), "{wrong}");
            assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"onhook\""));
        }
        app.send(with_token(get(account("")), &good)).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_token_ends_when_its_user_s_password_role_or_account_changes() {
    with_app(Seed::two_accounts(), async |app| {
        let of = async |who| token(&app.send(grant().by(who)).await.expect(200));
        let (reader, orderer, admin) = (of(Who::Reader).await, of(Who::Orderer).await, of(Who::Admin).await);
        let knock = async |token: &str| app.send(with_token(get(account("")), token)).await.status;
        // A token cannot change what would end it, or make a user that outlives it.
        let new = "<User><Password>correct horse</Password></User>";
        let role =
            |name: &str| format!("<User><Roles><Role><RoleName>{name}</RoleName></Role></Roles></User>");
        let user = role("admin")
            .replace("<User>", "<User><Username>backdoor</Username><Password>correct horse</Password>");
        let before = app.parts.store.users().await.unwrap();
        for call in [
            put("/api/users/username/password", new),
            put("/api/users/reader/password", new),
            put(account("/users/username"), new),
            put(account("/users/reader"), role("admin")),
            post(account("/users"), user),
            delete(account("/users/reader")),
        ] {
            let reply = app.send(with_token(call.clone(), &admin)).await;
            assert_eq!(reply.error(), (403, Some(1001), "Access Denied"), "{call:?}");
        }
        assert_eq!(app.parts.store.users().await.unwrap(), before);
        app.send(with_token(get(account("/users")), &admin)).await.expect(200);
        let body = "<User><Password>correct horse</Password></User>";
        app.send(put("/api/users/reader/password", body).by(Who::Reader)).await.expect(200);
        assert_eq!((knock(&reader).await, knock(&orderer).await), (401, 200));
        app.send(put(account("/users/orderer"), role("read"))).await.expect(200);
        assert_eq!(knock(&orderer).await, 401);
        let again = of(Who::Orderer).await;
        app.send(delete(account("/users/orderer"))).await.expect(200);
        assert_eq!((knock(&again).await, knock(&admin).await), (401, 200));
    })
    .await;
}
