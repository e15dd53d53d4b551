//! A server whose clock is far from the store's last use: what it does, and what it says.

use std::sync::Arc;

use onhook_core::clock::Seen;
use onhook_core::ids::AccountId;
use onhook_core::import::{Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::time::DAY_MS;
use onhook_store::Store;

use crate::app::{
    ACCOUNT, App, POOL, Seed, Who, account, disconnects, get, now, number, post, put, wait_for, with_app_on,
    xml,
};

/// An aging number that has been due since yesterday.
const DUE: &str = "2525550101";

/// Makes a store that was last in use this long ago, and has a number that is due.
async fn last_used(store: &dyn Store, ago_ms: i64) {
    let due = NewNumber {
        state: State::Aging,
        former_account: AccountId::new(ACCOUNT),
        release_at: Some(now().plus_millis(-DAY_MS)),
        ..NewNumber::available(number(DUE))
    };
    let intake = Intake { past_releases: true, ..Intake::of("a test") };
    store.import(Box::new([(1, Ok(due))].into_iter()), intake, now(), Arc::default()).await.unwrap();
    let seen = Seen { last: now().plus_millis(-ago_ms), unseen_ms: 0 };
    store.remember_clock(seen, 0).await.unwrap();
}

async fn metrics(app: &App, line: &str) -> bool {
    let metrics = app.send(get("/metrics").by(Who::Nobody)).await.expect(200);
    metrics.text().lines().any(|found| found == line)
}

#[tokio::test]
async fn while_the_clock_is_not_believed_a_client_is_told_to_wait_a_minute() {
    with_app_on(
        Seed::two_accounts(),
        async |store| last_used(store, 20 * DAY_MS).await,
        async |app| {
            let before = app.counts().await;
            let order = app.send(post(disconnects(""), xml::disconnect(&["5405514342"]))).await;
            golden!(app, "not_believed", order);
            let peer = account(&format!("/sites/{}/sippeers/{}/movetns", app.site, app.peer));
            let numbers =
                "<SipPeerTelephoneNumbers><FullNumber>5405514342</FullNumber></SipPeerTelephoneNumbers>";
            for call in [
                post(account("/orders"), xml::order(app.site, &[POOL])),
                post(account("/tnreservation"), xml::reservation(POOL)),
                post(peer, numbers),
            ] {
                let reply = app.send(call).await.expect(503);
                assert_eq!(reply.header("retry-after"), Some("60"));
            }
            golden!(app, "not_ready", app.send(get("/readyz").by(Who::Nobody)).await);
            assert_eq!(app.counts().await, before);
            // Reading goes on, and so does everything that does not use the clock.
            app.send(get(account("/sites"))).await.expect(200);
            let site = "<Site><Name>Renamed</Name></Site>";
            app.send(put(account(&format!("/sites/{}", app.site)), site)).await.expect(200);
            for line in ["onhook_clock_jumped 1", "onhook_releases_due 1", "onhook_release_wait_seconds 0"] {
                assert!(metrics(app, line).await, "{line}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn after_a_weekend_orders_are_taken_and_run_and_releases_wait() {
    with_app_on(
        Seed::two_accounts(),
        async |store| last_used(store, 3 * DAY_MS).await,
        async |app| {
            app.send(get("/readyz").by(Who::Nobody)).await.expect(200);
            app.disconnect(&["5405514342"]).await;
            for line in ["onhook_clock_jumped 0", "onhook_releases_due 1", "onhook_clock_trusted 0"] {
                assert!(metrics(app, line).await, "{line}");
            }
            assert!(!metrics(app, "onhook_release_wait_seconds 0").await);
            let help = "# HELP onhook_releases_due Numbers whose time has come and that still wait.";
            assert!(metrics(app, help).await);
            let facts = app.parts.store.facts(number(DUE)).await.unwrap().unwrap();
            assert_eq!(facts.entry.state(), State::Aging);
        },
    )
    .await;
}

#[tokio::test]
async fn after_any_time_off_a_person_can_confirm_the_clock() {
    let trusting = Seed::two_accounts().trust_clock();
    with_app_on(
        trusting,
        async |store| last_used(store, 40 * DAY_MS).await,
        async |app| {
            wait_for("the release", async || {
                let facts = app.parts.store.facts(number(DUE)).await.unwrap().unwrap();
                (facts.entry.state() == State::Available).then_some(())
            })
            .await;
            assert!(metrics(app, "onhook_clock_trusted 1").await);
            assert!(metrics(app, "onhook_releases_due 0").await);
        },
    )
    .await;
}

#[tokio::test]
async fn a_person_confirms_the_clock_of_a_running_server() {
    with_app_on(
        Seed::two_accounts(),
        async |store| last_used(store, 40 * DAY_MS).await,
        async |app| {
            app.send(get("/readyz").by(Who::Nobody)).await.expect(503);
            let trust = || {
                let call = post("/ops/v1/clock/trust", r#"{"reason": "NTP says the same"}"#);
                call.content_type("application/json")
            };
            app.send(trust().by(Who::Admin)).await.expect(403);
            let reply = app.send(trust().by(Who::Operator)).await.expect(200);
            let reply: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(reply["believed"], true, "{reply}");
            app.send(get("/readyz").by(Who::Nobody)).await.expect(200);
            app.disconnect(&["5405514342"]).await;
            wait_for("the release", async || {
                let facts = app.parts.store.facts(number(DUE)).await.unwrap().unwrap();
                (facts.entry.state() == State::Available).then_some(())
            })
            .await;
        },
    )
    .await;
}
