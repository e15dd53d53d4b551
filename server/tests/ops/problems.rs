//! The pages of problems.

use serde_json::{Value, json};

use crate::app::{Seed, Who, get, post, put, with_app};

#[tokio::test]
async fn a_problem_leads_to_a_page_that_says_what_it_means() {
    with_app(Seed::two_accounts(), async |app| {
        let reply = app.send(get("/ops/v1/numbers?nothing=1")).await.expect(400);
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let page = app.send(get(problem["type"].as_str().unwrap()).by(Who::Nobody)).await.expect(200);
        assert!(page.text().contains(problem["title"].as_str().unwrap()), "{}", page.text());
        app.send(get("/ops/problems/no_such_code").by(Who::Nobody)).await.expect(404);
    })
    .await;
}

/// Who sent a body knows JSON, and not the language that onhook is written in.
#[tokio::test]
async fn a_wrong_body_is_told_by_its_key_and_what_belongs_there() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let (plans, users, checks) = ("/ops/v1/plans", "/ops/v1/users", "/ops/v1/checks");
        let (faults, long) = ("/ops/v1/emulator/faults", "k".repeat(1_000));
        let status = |status: &str| format!(r#"{{"match": {{}}, "do": {{"reply": {{"status": {status}}}}}}}"#);
        for (path, body, code, at, detail) in [
            (plans, "", "bad_json", None, "the body is empty"),
            (plans, "{\"act\": ", "bad_json", None, "the body ends before its JSON does"),
            (plans, "{\n\"act\": lock}", "bad_json", None, "the body stops being JSON at line 2, column 8"),
            (plans, "{} {}", "bad_json", None, "the body stops being JSON at line 1, column 4"),
            (plans, "[\"lock\"]", "bad_value", Some(""), "the body is an object"),
            (plans, r#"{"act": {}}"#, "bad_value", Some("/act"), "/act is a text"),
            (plans, r#"{"target": 1}"#, "bad_value", Some("/target"), "/target is an object"),
            (plans, r#"{"params": "x"}"#, "bad_value", Some("/params"), "/params is an object"),
            (plans, r#"{"target": {"numbers": {}}}"#, "bad_value", Some("/target/numbers"), "/target/numbers is a list"),
            (
                plans,
                r#"{"target": {"numbers": ["+15405550100", 1]}}"#,
                "bad_value",
                Some("/target/numbers/1"),
                "/target/numbers/1 is a text",
            ),
            (
                plans,
                r#"{"act": "lock", "act": "lock"}"#,
                "bad_value",
                Some("/act"),
                "/act is there twice",
            ),
            (
                plans,
                r#"{"act": "lock", "target": {"order": "1", "a/b~": 1}}"#,
                "unknown_field",
                Some("/target/a~1b~0"),
                "no key is called /target/a~1b~0; there is: numbers, order, filter",
            ),
            (
                plans,
                r#"{"act": "extend", "target": {"numbers": ["9195551001"]}, "params": {"days": 65536}, "reason": "r"}"#,
                "bad_value",
                Some("/params/days"),
                "/params/days is a whole number from 0 to 65535",
            ),
            (
                plans,
                r#"{"act": "disconnect", "target": {"numbers": ["9195551001"]}, "params": {"mode": 1}, "reason": "r"}"#,
                "bad_value",
                Some("/params/mode"),
                "/params/mode is a text with one of the words that the documentation lists",
            ),
            (
                plans,
                r#"{"act": "disconnect", "target": {"numbers": ["9195551001"]}, "params": {"mode": "x, expected `y`"}, "reason": "r"}"#,
                "bad_value",
                Some("/params/mode"),
                "/params/mode is one of normal, soft-remove",
            ),
            (
                plans,
                r#"{"act": "lock", "target": {"numbers": ["9195551001"]}, "params": {"days": 1}, "reason": "r"}"#,
                "unknown_field",
                Some("/params/days"),
                "no key is called /params/days; there is none",
            ),
            (users, r#"{"role": "boss"}"#, "bad_value", Some("/role"), "/role is one of read, order, admin, operator"),
            (
                users,
                r#"{"role": 1}"#,
                "bad_value",
                Some("/role"),
                "/role is a text with one of the words that the documentation lists",
            ),
            (users, r#"{"rights": ["unlock", "x"]}"#, "bad_value", Some("/rights/1"), "/rights/1 is one of unlock, calls, changed_hands"),
            (checks, r#"{"deep": 1}"#, "bad_value", Some("/deep"), "/deep is true or false"),
            (
                checks,
                &format!(r#"{{"{long}": 1}}"#),
                "unknown_field",
                Some(&*format!("/{}", &long[..40])),
                &format!("no key is called /{}; there is: deep", &long[..40]),
            ),
            (faults, "{}", "bad_value", Some("/do"), "/do is missing"),
            (faults, &status("65536"), "bad_value", Some("/do/reply/status"), "/do/reply/status is a whole number from 0 to 65535"),
            (faults, &status("{}"), "bad_value", Some("/do/reply/status"), "/do/reply/status is a whole number from 0 to 65535"),
            (
                faults,
                r#"{"match": {"probability": "x"}, "do": {}}"#,
                "bad_value",
                Some("/match/probability"),
                "/match/probability is a number",
            ),
            (
                faults,
                r#"{"match": {"count": -1}, "do": {}}"#,
                "bad_value",
                Some("/match/count"),
                "/match/count is a whole number from 0 to 4294967295",
            ),
            (
                faults,
                r#"{"do": {"delay_ms": -1}}"#,
                "bad_value",
                Some("/do/delay_ms"),
                "/do/delay_ms is a whole number from 0 on",
            ),
        ] {
            let call = post(path, body.to_owned()).content_type("application/json").by(Who::Operator);
            let problem: Value = serde_json::from_slice(&app.send(call).await.expect(400).body).unwrap();
            let told = (problem["code"].as_str(), problem["detail"].as_str(), problem["errors"].clone());
            let errors = at.map_or(Value::Null, |at| json!([{ "at": at, "detail": detail }]));
            assert_eq!(told, (Some(code), Some(detail), errors), "{body}");
        }
        let pace = put("/ops/v1/emulator/pace", r#"{"mode": "by_time", "ms": 1.5}"#);
        let pace = pace.content_type("application/json").by(Who::Operator);
        let problem: Value = serde_json::from_slice(&app.send(pace).await.expect(400).body).unwrap();
        assert_eq!(problem["detail"], "/ms is a whole number");
    })
    .await;
}
