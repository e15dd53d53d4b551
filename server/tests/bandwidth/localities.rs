//! Rate centers and cities.

use crate::app::{Seed, get, with_app};

#[tokio::test]
async fn rate_centers_and_cities_are_those_of_a_state() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "rate_centers", app.send(get("/api/rateCenters?state=NC")).await);
        golden!(
            app,
            "rate_centers_available",
            app.send(get("/api/rateCenters?state=NC&available=true")).await
        );
        golden!(app, "rate_centers_none", app.send(get("/api/rateCenters?state=HI")).await);
        golden!(app, "rate_centers_refused", app.send(get("/api/rateCenters")).await);
        golden!(app, "cities", app.send(get("/v1.0/cities?state=va&supported=true")).await);
        golden!(app, "cities_available", app.send(get("/api/cities?state=VA&available=true")).await);
        golden!(app, "cities_refused", app.send(get("/api/cities?state=XX")).await);
        let json = get("/api/v2/cities?state=VA").header("Accept", "application/json");
        golden!(app, "cities_json", app.send(json).await);
    })
    .await;
}

#[tokio::test]
async fn covered_rate_centers_are_filtered_paged_and_shown_with_what_is_asked() {
    with_app(Seed::two_accounts(), async |app| {
        let covered = |query: &str| get(format!("/api/coveredRateCenters{query}"));
        let all = "?zip=27601&embed=ZipCodes&embed=Cities&embed=NpaNxxX&embed=AvailableNumberCount";
        golden!(app, "covered", app.send(covered(all)).await);
        golden!(app, "covered_page", app.send(covered("?page=1&size=2")).await);
        golden!(app, "covered_one", app.send(get("/api/coveredRateCenters/5")).await);
        let json = get(format!("/api/v2/coveredRateCenters{all}")).header("Accept", "application/json");
        golden!(app, "covered_json", app.send(json).await);
        for (query, found) in [
            ("?state=NC", vec!["RALEIGH", "GREENSBORO", "CARY"]),
            ("?state=NC&abbreviation=cary", vec!["CARY"]),
            ("?name=New+York+City+Zone+01", vec!["NWYRCYZN01"]),
            ("?city=Raleigh", vec!["RALEIGH"]),
            ("?lata=722", vec!["SNFC CNTRL"]),
            ("?npa=540", vec!["ROANOKE"]),
            ("?npaNxx=540555&npa=540&embed=Vendors", vec!["ROANOKE"]),
            ("?npaNxx=540555&npa=703", vec![]),
            ("?npaNxxX=5405551", vec!["ROANOKE"]),
            ("?state=VA&tier=0", vec![]),
            ("?page=7", vec!["GREENSBORO"]),
        ] {
            let reply = app.send(covered(query)).await.expect(200);
            let mut told = reply.elements("Abbreviation");
            let mut found = found;
            told.sort_unstable();
            found.sort_unstable();
            assert_eq!(told, found, "{query}");
        }
        let embed = "Please verify that your Embed search query parameters are correct. Valid values are: AvailableNumberCount,Vendors,LimitedAvailableNumberCount,NpaNxxX,LocalRateCenters,Cities,Npa,ZipCodes";
        for (query, code, text) in [
            ("?embed=Everything", 4015, embed),
            ("?tier=6", 4016, "Please verify that your Tier search query parameters are correct. Valid values are: [0-5]"),
            ("?page=x", 4018, "Please verify that your PAGE search input parameter is correct."),
            ("?embed=LocalRateCenters", 4019, "Embed parameter LocalRateCenters is not supported for specified search criteria"),
            ("?embed=Npa&embed=NpaNxxX", 4025, "Embed parameter Npa cannot be used with embed parameter NpaNxxX."),
            ("?embed=Npa", 4026, "Embed parameter Npa cannot be used at this time."),
            ("?zip=1", 4007, "Please verify that your Zip Code search input parameters are correct."),
            ("?size=1001", 1006, "size must be between 1 and 1000 (bounds are included)"),
        ] {
            let reply = app.send(covered(query)).await;
            assert_eq!(reply.error(), (400, Some(code), text), "{query}");
        }
        let none = app.send(get("/api/coveredRateCenters/99")).await;
        assert_eq!((none.status, none.code()), (404, None));
    })
    .await;
}
