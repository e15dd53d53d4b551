//! What the log must not hold: a password, a credential, a whole telephone number.

use onhook_core::account::user::Rights;
use onhook_core::import::NewNumber;

use crate::app::{Seed, Who, account, basic, disconnects, get, log, number, post, put, with_app, xml};

/// Numbers that no other test uses, so that only this test can bring them into the log.
const NUMBERS: [&str; 3] = ["2525550177", "2525550178", "2525550179"];
const PASSWORD: &str = "canary-correct-horse";
const WRONG: &str = "canary-battery-staple";
const NEW: &str = "canary-new-password";
const IN_THE_WRONG_FIELD: &str = "canary-in-the-wrong-field";

#[tokio::test]
async fn the_log_has_no_secret_and_no_whole_number() {
    with_app(Seed::two_accounts(), async |app| {
        let hash = onhook_server::auth::hash_password(PASSWORD).unwrap();
        let account_id = onhook_core::ids::AccountId::new(crate::app::ACCOUNT);
        let user = onhook_store::contract::users::NewUser {
            name: "canary".into(),
            account: account_id,
            role: onhook_core::account::Role::Order,
            rights: Rights::NONE,
            password_hash: hash.clone(),
        };
        app.parts.store.create_user(user, crate::app::now()).await.unwrap();
        let numbers = NUMBERS.map(|digits| NewNumber::available(number(digits)));
        app.import(numbers.into()).await;
        let good = basic("canary", PASSWORD);
        let call = |call: crate::app::Call| call.by(Who::Nobody).header("Authorization", &good);

        let (_, order) = app.place(call(post(account("/orders"), xml::order(app.site, &NUMBERS)))).await;
        app.ended(call(get(order))).await;
        let unread = "<name>n</name><CanaryWish>TRUE</CanaryWish><Canary.2525550179/>";
        let body = xml::disconnect_with(unread, &[NUMBERS[0], "3365550199"], "");
        let (_, order) = app.place(call(post(disconnects(""), body))).await;
        app.ended(call(get(order))).await;
        for (path, status) in [
            (format!("/api/tns/{}", NUMBERS[0]), 200),
            (format!("/api/tns/{}/tndetails", NUMBERS[1]), 200),
            (account(&format!("/inserviceNumbers/{}", NUMBERS[1])), 200),
            (account(&format!("/inserviceNumbers?page={}", NUMBERS[1])), 200),
            (format!("/api/nothing/{}", NUMBERS[0]), 404),
        ] {
            app.send(call(get(path))).await.expect(status);
        }
        app.send(call(post(disconnects(""), xml::disconnect(&[NUMBERS[0], NUMBERS[0]])))).await.expect(400);
        app.send(call(post(disconnects(""), format!("<a>{}</b>", NUMBERS[0])))).await.expect(400);
        let wrong = get(disconnects("")).by(Who::Nobody).header("Authorization", &basic("canary", WRONG));
        app.send(wrong).await.expect(401);
        let misplaced =
            get(disconnects("")).by(Who::Nobody).header("Authorization", &basic(IN_THE_WRONG_FIELD, "x"));
        app.send(misplaced).await.expect(401);
        let form = post("/api/v1/oauth2/token", "grant_type=client_credentials")
            .content_type("application/x-www-form-urlencoded");
        let reply = app.send(call(form)).await.expect(200);
        let token = reply.text().split('"').nth(3).unwrap().to_owned();
        let with_token =
            get(disconnects("")).by(Who::Nobody).header("Authorization", &format!("Bearer {token}"));
        app.send(with_token).await.expect(200);
        app.send(call(put("/api/users/canary/password", format!("<Password>{NEW}</Password>"))))
            .await
            .expect(200);
        let broken = get(format!("/api/tns/{}", NUMBERS[0])).header("X", "a\0b");
        app.send(broken).await.expect(400);
        app.stop().await;

        let log = log::text();
        // The log does tell what happened.
        assert!(log.contains("route=\"/accounts/{account}/disconnects\""), "{log}");
        assert!(log.contains("1 of 2 numbers failed"), "{log}");
        assert!(log.contains("were passed over: CanaryWish, Canary.##########"), "{log}");
        assert!(log.contains("user canary has another password"), "{log}");
        let encoded =
            [good.as_str(), &basic("canary", WRONG)].map(|value| value["Basic ".len()..].to_owned());
        let encoded_known = "dXNlcm5hbWU6cGFzc3dvcmQ=";
        assert!(log.contains("a sign-in failed: canary, from 127.0.0.1"), "{log}");
        let secrets = [
            PASSWORD,
            WRONG,
            NEW,
            IN_THE_WRONG_FIELD,
            &token,
            hash.as_str(),
            &encoded[0],
            &encoded[1],
            encoded_known,
        ];
        for secret in secrets.into_iter().chain(NUMBERS) {
            let found: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
            assert!(found.is_empty(), "{secret}: {found:#?}");
        }
    })
    .await;
}
