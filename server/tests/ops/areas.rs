//! Areas with their supply and demand, and what the coming days bring.

use serde_json::{Value, json};

use crate::app::{App, Call, IN_SERVICE, Reply, Seed, Who, get, post, with_app};

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

async fn asked(app: &App, call: Call) -> Value {
    json_of(&app.send(call.by(Who::Operator)).await.expect(200))
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().unwrap()
}

#[tokio::test]
async fn an_area_shows_supply_demand_and_how_long_its_numbers_would_age_now() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0], IN_SERVICE[1]]).await;
        let listed = asked(app, get("/ops/v1/areas?prefix=%2B1919&region=NC&sort=aging")).await;
        let raleigh = &items(&listed)[0];
        assert_eq!(raleigh["name"], "RALEIGH, NC", "{listed}");
        let path = format!("/ops/v1/areas/{}", raleigh["id"].as_str().unwrap());
        let area = asked(app, get(path.as_str())).await;
        assert_eq!(&area, raleigh);
        let number = asked(app, get(format!("/ops/v1/numbers/{}", IN_SERVICE[0]))).await;
        assert_eq!((&area["aging"], &area["next_release_at"]), (&json!(2), &number["release_at"]));
        let holds = json!([{ "profile": "us", "class": "residential", "days": 90 },
                           { "profile": "us", "class": "business", "days": 365 },
                           { "profile": "us", "class": "unknown", "days": 90 }]);
        assert_eq!((&area["hold_now"], &area["days_of_supply"]), (&holds, &Value::Null));
        let curve = asked(app, get(path.clone() + "?curve=true")).await;
        assert_eq!(curve["curve"].as_array().unwrap().len(), 101);
        assert_eq!(curve["curve"][100], json!({ "days_of_supply": 365.0, "days": 90 }));
        // What others hold is no account's business.
        let seen = json_of(&app.send(get(path)).await.expect(200));
        let keys: Vec<&String> = seen.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["hold_now", "id", "name", "rate_center", "region"]);
        app.send(get("/ops/v1/areas?sort=aging")).await.expect(403);
        app.send(get("/ops/v1/areas?sort=size")).await.expect(400);
        for unknown in ["4000000000", "99999999999", "RALEIGH"] {
            app.send(get(format!("/ops/v1/areas/{unknown}"))).await.expect(404);
        }
        let walked = asked(app, get("/ops/v1/areas?limit=1")).await;
        let next = format!("/ops/v1/areas?limit=1000&cursor={}", walked["next"].as_str().unwrap());
        let whole = asked(app, get("/ops/v1/areas?limit=1000")).await;
        let rest = asked(app, get(next)).await;
        assert_eq!([items(&walked), items(&rest)].concat(), items(&whole));
    })
    .await;
}

#[tokio::test]
async fn a_forecast_counts_each_number_on_its_day_where_it_goes() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0], IN_SERVICE[1]]).await;
        app.disconnect(&["5405514342"]).await;
        let number = asked(app, get(format!("/ops/v1/numbers/{}", IN_SERVICE[0]))).await;
        let day = number["release_at"].as_str().unwrap()[..10].to_owned();
        let next: onhook_core::time::Date = day.parse().unwrap();
        let next = next.tomorrow().unwrap();
        let keep =
            post(format!("/ops/v1/numbers/{}/keep", IN_SERVICE[1]), r#"{"reason": "a dispute is open"}"#);
        app.send(keep.content_type("application/json").by(Who::Operator)).await.expect(200);

        let of = |query: &str| get(format!("/ops/v1/forecast?from={day}&until={next}{query}"));
        let told = |area: Value, to_pool: u32, kept: u32, by_day: bool| {
            json!({ "day": by_day.then_some(&day), "area": area, "numbers": to_pool, "to_pool": to_pool,
                    "to_owner": 0, "away": 0, "kept": kept })
        };
        let shown = asked(app, of("")).await;
        assert_eq!(items(&shown), [told(Value::Null, 2, 1, true)]);
        let raleigh = &number["area"]["id"];
        let both = asked(app, of("&by=day,area")).await;
        assert!(items(&both).contains(&told(raleigh.clone(), 1, 1, true)), "{both}");
        let area = asked(app, of(&format!("&by=area&area={}", raleigh.as_str().unwrap()))).await;
        assert_eq!(items(&area), [told(raleigh.clone(), 1, 1, false)]);
        // The pages of the longest list are the list.
        let first = asked(app, of("&by=day,area&limit=1")).await;
        let rest = of(&format!("&by=day,area&limit=1&cursor={}", first["next"].as_str().unwrap()));
        assert_eq!([items(&first), items(&asked(app, rest).await)].concat(), items(&both));
        // An account sees its own.
        for (who, query, numbers) in
            [(Who::Admin, "", 2), (Who::Neighbour, "", 0), (Who::Operator, "&account=9900001", 0)]
        {
            let seen = json_of(&app.send(of(query).by(who)).await.expect(200));
            assert_eq!(seen["items"][0]["numbers"], numbers, "{who:?}");
        }
        app.send(of("&account=9900001")).await.expect(403);
        let usual = asked(app, get("/ops/v1/forecast?limit=1000")).await;
        assert_eq!(items(&usual).len(), 90);
        for wrong in
            ["from=2026-01-01&until=2027-02-06", "from=2026-01-02&until=2026-01-02", "from=today", "by=week"]
        {
            app.send(get(format!("/ops/v1/forecast?{wrong}"))).await.expect(400);
        }
    })
    .await;
}

#[tokio::test]
async fn an_explanation_is_told_to_those_who_hold_the_number() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        let path = format!("/ops/v1/numbers/{}/explanation", IN_SERVICE[0]);
        let told = asked(app, get(path.as_str())).await;
        let sentence = told["sentence"].as_str().unwrap();
        assert!(sentence.starts_with("+19195551001 is aging since "), "{sentence}");
        assert!(
            told["events"][0]["what"].as_str().unwrap().starts_with("disconnected; held 90 days"),
            "{told}"
        );
        assert_eq!(json_of(&app.send(get(path.as_str())).await.expect(200)), told);
        app.send(get(path).by(Who::Neighbour)).await.expect(404);
        // Nobody learns how long a number of the pool has been free.
        app.send(get(format!("/ops/v1/numbers/{}/explanation", crate::app::POOL))).await.expect(404);
    })
    .await;
}
