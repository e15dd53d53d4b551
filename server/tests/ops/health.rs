//! Is it alive, should it be sent requests, and how much of what has it done.

use crate::app::{Seed, Who, get, with_app};

#[tokio::test]
async fn it_says_whether_it_lives_and_whether_it_is_ready() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "alive", app.send(get("/healthz").by(Who::Nobody)).await);
        golden!(app, "ready", app.send(get("/readyz").by(Who::Nobody)).await);
        app.parts.stop();
        golden!(app, "stopping", app.send(get("/readyz").by(Who::Nobody)).await);
        app.send(get("/healthz").by(Who::Nobody)).await.expect(200);
        // They have no prefix.
        app.send(get("/api/healthz").by(Who::Nobody)).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn metrics_name_what_is_counted_and_no_number() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&["5405514342", "3365550199"]).await;
        let metrics = app.send(get("/metrics").by(Who::Nobody)).await.expect(200);
        let text = metrics.text();
        for sample in [
            "onhook_numbers{state=\"Aging\"} ",
            "onhook_numbers{state=\"InService\"} ",
            "onhook_orders_waiting ",
            "onhook_writer_queue ",
            "onhook_oldest_order_waiting_seconds ",
            "onhook_clock_jumped 0",
            "onhook_password_checks_total ",
            "onhook_orders_ended_total{status=\"PARTIAL\"} ",
            "onhook_http_requests_total{route=\"/accounts/{account}/disconnects\",method=\"POST\",status=\"2xx\"} ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(sample)), "{sample}\n{text}");
        }
        // Names and labels: a measured value has whatever digits it has.
        let names = text.lines().filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name);
        for name in names {
            for number in ["5405514342", "3365550199", "9900000"] {
                assert!(!name.contains(number), "{number} in {name}");
            }
        }
    })
    .await;
}
