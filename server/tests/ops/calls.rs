//! Where calls go and who pays for them: one at a time, and a file of records.

use jiff::tz::TimeZone;
use onhook_core::time::DAY_MS;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOURS, NO_NUMBER, POOL, Reply, Seed, Who, account, get, patch, post,
    with_app, xml,
};

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn call_to(digits: &str, at: Option<Timestamp>) -> Call {
    get(match at {
        Some(at) => format!("/ops/v1/calls/{digits}?at={at}"),
        None => format!("/ops/v1/calls/{digits}"),
    })
}

/// Returns when a number was disconnected and when it was reconnected.
async fn away_and_back(app: &App, digits: &str) -> (Timestamp, Timestamp) {
    app.advance(60_000).await; // it has been in service for a while
    app.disconnect(&[digits]).await;
    app.advance(60_500).await;
    let (_, order) = app.place(post(account("/orders"), xml::order(app.site, &[digits]))).await;
    app.ended(get(&order)).await;
    let history = json_of(&app.send(get(format!("/ops/v1/numbers/{digits}/history"))).await.expect(200));
    let at = |index: usize| history["items"][index]["at"].as_str().unwrap().parse().unwrap();
    (at(0), at(1))
}

/// The instant of the disconnect is free, and that of the reconnect is charged again.
#[tokio::test]
async fn a_call_is_charged_to_the_millisecond() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let number = IN_SERVICE[0];
        let (gone, back) = away_and_back(app, number).await;
        let payer = json!({ "account": ACCOUNT.to_string() });
        for (at, state, chargeable) in [
            (gone.plus_millis(-1), "InService", &payer),
            (gone, "Aging", &Value::Null),
            (back.plus_millis(-1), "Aging", &Value::Null),
            (back, "InService", &payer),
        ] {
            for who in [Who::Operator, Who::Reader] {
                let told = json_of(&app.send(call_to(number, Some(at)).by(who)).await.expect(200));
                assert_eq!(
                    (told["state"].as_str(), &told["chargeable"]),
                    (Some(state), chargeable),
                    "{told}"
                );
            }
        }
        let vacant = json_of(&app.send(call_to(number, Some(gone))).await);
        assert_eq!(
            (&vacant["treatment"], &vacant["sip_code"], &vacant["q850_cause"], &vacant["deliver"]),
            (&json!("vacant"), &json!(404), &json!(1), &Value::Null)
        );
        let now = json_of(&app.send(call_to(number, None)).await);
        let place = json!({
            "account": ACCOUNT.to_string(), "site": app.site.to_string(), "peer": app.peer.to_string()
        });
        assert_eq!((&now["deliver"], &now["sip_code"]), (&place, &Value::Null));
        let ahead = app.send(call_to(number, Some(back.plus_millis(86_400_000)))).await.expect(422);
        assert_eq!(json_of(&ahead)["code"], "at_in_future");
    })
    .await;
}

/// A bill that was made stays as it was: a number that went to another carrier is paid for until that is written down.
#[tokio::test]
async fn a_port_that_is_told_late_changes_no_bill() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let number = IN_SERVICE[0];
        let now = async || {
            let clock = json_of(&app.send(get("/ops/v1/emulator/clock").by(Who::Operator)).await.expect(200));
            clock["now"].as_str().unwrap().parse::<Timestamp>().unwrap()
        };
        let periods = async || {
            let path = format!("/ops/v1/numbers/{number}/periods");
            json_of(&app.send(get(path).by(Who::Operator)).await.expect(200))["items"].clone()
        };
        app.advance(60_000).await;
        let went = now().await;
        app.advance(60_000).await;
        let bill = (now().await, periods().await);
        app.advance(60_000).await;
        let send = async |path: String, body: Value| {
            json_of(&app.send(post(path, body.to_string()).content_type("application/json").by(Who::Operator)).await)
        };
        let asked = json!({ "act": "port_out", "target": { "numbers": [number] }, "params": { "at": went.to_string() },
                            "reason": "we were told days later" });
        let plan = send("/ops/v1/plans".into(), asked).await;
        let apply = format!("/ops/v1/plans/{}/apply", plan["id"].as_str().unwrap());
        assert_eq!(send(apply, json!({ "hash": plan["hash"] })).await["went"], 1);
        let history = json_of(&app.send(get(format!("/ops/v1/numbers/{number}/history"))).await.expect(200));
        let event = &history["items"][0];
        assert_eq!((&event["kind"], &event["detail"]["at"]), (&json!("ported_out"), &json!(went.millis())));
        let written: Timestamp = event["at"].as_str().unwrap().parse().unwrap();
        assert!(written > bill.0);
        let mut billed = bill.1;
        assert_eq!(billed[0]["until"], Value::Null);
        billed[0]["until"] = json!(written.to_string());
        assert_eq!(periods().await, billed);
        for (at, chargeable) in [
            (went, json!({ "account": ACCOUNT.to_string() })),
            (bill.0, json!({ "account": ACCOUNT.to_string() })),
            (written, Value::Null),
        ] {
            let told = json_of(&app.send(call_to(number, Some(at)).by(Who::Operator)).await.expect(200));
            assert_eq!(told["chargeable"], chargeable, "{told}");
        }
        let lines = format!("{number},{went},60\n{number},{written},60\n");
        let rate = post("/ops/v1/rate?number=1&time=2&seconds=3&no_header=true".to_owned(), lines);
        let rated = app.send(rate.content_type("text/csv").by(Who::Operator)).await.expect(200);
        let rated: Vec<&str> = rated.text().lines().map(|line| line.rsplit(',').next().unwrap()).collect();
        assert_eq!(rated, ["charged", "not_in_service"]);
    })
    .await;
}

/// A number that is another's looks to an account like one that is not here.
#[tokio::test]
async fn another_account_s_number_is_unknown() {
    with_app(Seed::two_accounts(), async |app| {
        let told = async |digits: &str, who| {
            let mut told = json_of(&app.send(call_to(digits, None).by(who)).await.expect(200));
            told["number"].take();
            told["at"].take();
            told
        };
        let unknown = told(NO_NUMBER, Who::Admin).await;
        assert_eq!((&unknown["state"], &unknown["treatment"]), (&Value::Null, &json!("vacant")));
        for digits in [NEIGHBOURS, POOL] {
            assert_eq!(told(digits, Who::Admin).await, unknown, "{digits}");
        }
        assert_eq!(told(NEIGHBOURS, Who::Operator).await["state"], "InService");
        assert_eq!(told(POOL, Who::Operator).await["state"], "Available");
    })
    .await;
}

/// A switch asks for the number as it came, and only a number that is none is refused for good: 400.
#[tokio::test]
async fn a_switch_asks_for_numbers_as_it_has_them() {
    with_app(Seed::two_accounts(), async |app| {
        let number = IN_SERVICE[0];
        for form in [
            format!("1{number}"),
            format!("+1{number}"),
            format!("%2B1{number}"),
            format!("1-{}-{}-{}", &number[..3], &number[3..6], &number[6..]),
            format!("sip:{number}:x@192.0.2.1"),
            format!("%3Csip:{number}@192.0.2.1%3E"),
        ] {
            let told = json_of(&app.send(call_to(&form, None).by(Who::Operator)).await.expect(200));
            assert_eq!(
                (&told["number"], &told["state"]),
                (&json!(format!("+1{number}")), &json!("InService")),
                "{form}"
            );
        }
        for none in ["911", "s", "155405550100"] {
            let refused = app.send(call_to(none, None).by(Who::Operator)).await.expect(400);
            assert_eq!(json_of(&refused)["code"], "bad_number", "{none}");
        }
        // The other routes stay as they are.
        app.send(get(format!("/ops/v1/numbers/1{number}")).by(Who::Operator)).await.expect(400);
    })
    .await;
}

/// A switch has as many questions as calls. Users without the right are counted as everywhere, and other routes, too.
#[tokio::test]
async fn a_switch_s_questions_are_not_limited_a_second() {
    with_app(Seed::two_accounts().rate_limit(2), async |app| {
        let right = |rights: Value| {
            let body = json!({ "rights": rights, "reason": "a switch" }).to_string();
            let path = format!("/ops/v1/users/{}", Who::Reader.user());
            patch(path, body).content_type("application/json").by(Who::Operator)
        };
        app.send(right(json!(["calls"]))).await.expect(200);
        let ask = || call_to(IN_SERVICE[0], None).by(Who::Reader);
        for _ in 0..50 {
            app.send(ask()).await.expect(200);
        }
        let too_many = async |call: &dyn Fn() -> Call| {
            for _ in 0..50 {
                if app.send(call()).await.status == 429 {
                    return true;
                }
            }
            false
        };
        assert!(too_many(&|| get(format!("/ops/v1/numbers/{}", IN_SERVICE[0])).by(Who::Reader)).await);
        app.send(ask()).await.expect(200);
        assert!(too_many(&|| call_to(IN_SERVICE[0], None).by(Who::Admin)).await);
    })
    .await;
}

/// A switch writes the hours of its clock on the wall: they are the operator's, unless the request says whose.
#[tokio::test]
async fn instants_that_name_no_zone_are_the_operator_s() {
    with_app(Seed::two_accounts().emulator().time_zone("America/New_York"), async |app| {
        let number = IN_SERVICE[0];
        app.advance(DAY_MS).await;
        let (gone, _) = away_and_back(app, number).await;
        let rated = async |zone: Option<&str>, more: &str| {
            let read = TimeZone::get(zone.unwrap_or("America/New_York")).unwrap();
            let at = jiff::Timestamp::from_millisecond(gone.plus_millis(1_000).millis()).unwrap();
            let wall = read.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string();
            let line = format!("a,b,{number},,,,,,,,{wall},,,60\n");
            let zone = zone.map_or_else(String::new, |zone| format!("&time_zone={zone}"));
            let rate = post(format!("/ops/v1/rate?preset=asterisk{more}{zone}"), line);
            let out = app.send(rate.content_type("text/csv").by(Who::Operator)).await.expect(200);
            out.text().trim().rsplit(',').next().unwrap().to_owned()
        };
        let pattern = "&time_format=%25Y-%25m-%25d+%25H:%25M:%25S";
        for (zone, more) in
            [(None, ""), (Some("Asia/Kolkata"), ""), (None, pattern), (Some("Asia/Kolkata"), pattern)]
        {
            assert_eq!(rated(zone, more).await, "aging", "{zone:?} {more}");
        }
        assert_eq!(rated(None, "&time_format=rfc3339").await, "bad_line", "there is no offset");
    })
    .await;
}

#[tokio::test]
async fn a_file_of_records_comes_back_with_what_each_call_costs() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let number = IN_SERVICE[0];
        let (gone, back) = away_and_back(app, number).await;
        let lines = [
            (format!("+1{number},{},60", gone.plus_millis(-2_500)), format!("{ACCOUNT},2,charged")),
            (format!("{number},{gone},60"), ",0,aging".to_owned()),
            (format!("sip:{number}@192.0.2.1,{back},60"), format!("{ACCOUNT},60,charged")),
            (format!("{POOL},{back},60"), ",0,not_in_service".to_owned()),
            (format!("{NO_NUMBER},{back},60"), ",0,unknown_number".to_owned()),
            (format!("{number},2020-01-01T00:00:00Z,60"), ",0,unknown_number".to_owned()),
            (format!("{number},,0"), ",0,not_answered".to_owned()),
            (format!("{number},yesterday,0"), ",0,bad_line".to_owned()),
            (format!("{number},{},60", back.plus_millis(DAY_MS)), ",0,bad_line".to_owned()),
        ];
        let sent: String = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
        let wanted: String = lines.iter().map(|(line, rated)| format!("{line},{rated}\n")).collect();
        let rate = |query: &str, body: String| {
            post(format!("/ops/v1/rate?{query}"), body).content_type("text/csv").by(Who::Operator)
        };
        let header = "called,answered,spoken\n";
        let out = app
            .send(rate("number=called&time=answered&seconds=3", format!("{header}{sent}")))
            .await
            .expect(200);
        let added = "called,answered,spoken,onhook_account,onhook_charged_seconds,onhook_why\n";
        assert_eq!(out.text(), format!("{added}{wanted}"));
        let out = app.send(rate("number=1&time=2&seconds=3&no_header=true", sent.clone())).await.expect(200);
        assert_eq!(out.text(), wanted);
        for (query, status, code) in [
            ("number=1", 400, "bad_value"),
            ("preset=nobody", 400, "bad_value"),
            ("number=callee&time=2", 400, "bad_value"),
            ("number=1&time=2&time_zone=Nowhere", 400, "bad_value"),
            ("number=1&time=2&time_format=unixms", 400, "bad_value"),
            ("number=1&time=2&time_format=%25Y-%25", 400, "bad_value"),
            ("number=1&time=4", 400, "bad_value"),
            ("numbers=1&time=2", 400, "unknown_parameter"),
        ] {
            let refused = app.send(rate(query, format!("{header}{sent}"))).await.expect(status);
            assert_eq!(json_of(&refused)["code"], code, "{query}");
        }
        // By the emulator's clock, that call lies behind a day later.
        app.advance(DAY_MS).await;
        let late = format!("{number},{},60", back.plus_millis(DAY_MS));
        let out = app.send(rate("number=1&time=2&seconds=3&no_header=true", late.clone())).await.expect(200);
        assert_eq!(out.text(), format!("{late},{ACCOUNT},60,charged\n"));
        // The place is free again, whatever became of the others.
        app.send(rate("number=1&time=2", header.to_owned())).await.expect(200);
    })
    .await;
}
