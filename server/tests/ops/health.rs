//! Health and metrics: whether the server is alive, whether it should be sent requests, and what it has counted.

use crate::app::{Seed, Who, disconnects, get, post, with_app};

#[tokio::test]
async fn health_says_whether_the_server_is_alive_and_ready() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "alive", app.send(get("/healthz").by(Who::Nobody)).await);
        golden!(app, "ready", app.send(get("/readyz").by(Who::Nobody)).await);
        app.parts.stop();
        golden!(app, "stopping", app.send(get("/readyz").by(Who::Nobody)).await);
        app.send(get("/healthz").by(Who::Nobody)).await.expect(200);
        // The server's own routes have no prefix.
        app.send(get("/api/healthz").by(Who::Nobody)).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn metrics_name_what_is_counted_and_no_number() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&["5405514342", "3365550199"]).await;
        app.send(get(disconnects("")).by(Who::Nobody)).await.expect(401);
        app.send(post(disconnects(""), "{}").content_type("text/plain")).await.expect(415);
        let metrics = app.send(get("/metrics").by(Who::Nobody)).await.expect(200);
        let text = metrics.text();
        for sample in [
            "onhook_numbers{state=\"Aging\"} ",
            "onhook_numbers{state=\"InService\"} ",
            "onhook_orders_waiting ",
            "onhook_writer_queue ",
            "onhook_store_up 1",
            "onhook_oldest_order_waiting_seconds ",
            "onhook_clock_jumped 0",
            "onhook_store_weakness{kind=\"synchronous_commit\"} 0",
            "onhook_password_checks_total ",
            "onhook_orders_ended_total{status=\"PARTIAL\"} ",
            "onhook_http_requests_total{route=\"/accounts/{account}/disconnects\",method=\"POST\",status=\"201\"} ",
            "onhook_http_requests_total{route=\"/accounts/{account}/disconnects\",method=\"GET\",status=\"401\"} ",
            "onhook_http_requests_total{route=\"/accounts/{account}/disconnects\",method=\"POST\",status=\"415\"} ",
            concat!("onhook_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "process_start_time_seconds ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(sample)), "{sample}\n{text}");
        }
        // Each metric has a description.
        for kind in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let help = format!("# HELP {} ", kind.split_once(' ').unwrap().0);
            assert!(text.lines().any(|line| line.starts_with(&help)), "{help}\n{text}");
        }
        let started = text.lines().find_map(|line| line.strip_prefix("process_start_time_seconds "));
        let started: f64 = started.unwrap().parse().unwrap();
        assert!((1.7e9..1e12).contains(&started), "{started}");
        // Only names and labels are checked: a measured value may have any digits.
        let names = text.lines().filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name);
        for name in names {
            for number in ["5405514342", "3365550199", "9900000"] {
                assert!(!name.contains(number), "{number} in {name}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_path_under_ops_is_answered_with_a_problem_document() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "nothing_there", app.send(get("/ops/v1/nothing")).await);
        for path in ["/ops", "/ops/", "/ops/v2/emulator/clock", "/ops/v1/emulator", "/OPS/v1/x"] {
            let reply = app.send(get(path)).await.expect(404);
            assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{path}");
        }
        let reply = app.send(get("/opsx")).await.expect(404);
        assert_eq!(reply.header("content-type"), Some("application/xml; charset=utf-8"));
    })
    .await;
}
