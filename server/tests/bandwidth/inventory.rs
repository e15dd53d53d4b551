//! Lists and counts of an account's numbers.

use onhook_core::ids::AccountId;
use onhook_core::import::NewNumber;
use onhook_core::lifecycle::diagram::State;
use onhook_core::number::Number;

use crate::app::{
    ACCOUNT, App, IN_SERVICE, NEIGHBOURS, NO_NUMBER, POOL, Seed, Who, account, get, post, with_app, xml,
};

#[tokio::test]
async fn disconnected_numbers_are_listed_until_they_are_taken_back() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "discnumbers_none", app.send(get(account("/discnumbers"))).await);
        app.disconnect(&["7034343704", "5405514342", NEIGHBOURS]).await;
        golden!(app, "discnumbers", app.send(get(account("/discnumbers"))).await);
        golden!(app, "discnumbers_totals", app.send(get(account("/discnumbers/totals"))).await);
        golden!(app, "discnumbers_v2", app.send(get("/api/v2/accounts/9900000/discnumbers")).await);

        let first = app.send(get(account("/discnumbers?size=1"))).await;
        assert_eq!(
            (first.elements("TelephoneNumber"), first.element("Count")),
            (vec!["5405514342"], Some("1"))
        );
        assert_eq!(first.element("TotalCount"), Some("2"));
        let next = first.element("next").unwrap();
        let link = "/v1.0/accounts/9900000/discnumbers?page=7034343704&amp;size=1";
        assert_eq!(next, format!("Link=&lt;{}{link}&gt;;rel=\"next\";", app.base()));
        let second = app.send(get(link.replace("&amp;", "&"))).await;
        assert_eq!((second.elements("TelephoneNumber"), second.element("next")), (vec!["7034343704"], None));

        let body = xml::order(app.site, &["5405514342"]);
        let (_, order) = app.place(post(account("/orders"), body)).await;
        app.ended(get(order)).await;
        assert_eq!(numbers(app, "/discnumbers").await, ["7034343704"]);
        assert_eq!(app.send(get(account("/discnumbers/totals"))).await.element("Count"), Some("1"));
        // The neighbour's number was named in the order, and stayed where it was.
        let theirs = app.send(get("/api/accounts/9900001/discnumbers").by(Who::Neighbour)).await;
        assert_eq!(theirs.element("TotalCount"), Some("0"));
    })
    .await;
}

#[tokio::test]
async fn disconnected_numbers_are_filtered_by_the_day() {
    with_app(Seed::two_accounts(), async |app| {
        let order = app.disconnect(&["5405514342"]).await;
        let shown = app.send(get("/api/tns/5405514342")).await;
        let day = &shown.element("LastModifiedDate").unwrap()[2..10];
        for list in ["/discnumbers", "/discnumbers/totals"] {
            for (query, count) in [
                (format!("?startdate={day}&enddate={day}"), "1"),
                ("?startdate=01-01-01&enddate=01-12-31".into(), "0"),
            ] {
                let reply = app.send(get(account(&format!("{list}{query}")))).await.expect(200);
                assert_eq!(reply.element("Count"), Some(count), "{list}{query} {order}");
            }
            let reply = app.send(get(account(&format!("{list}?startdate=01-01-01")))).await;
            assert_eq!(reply.error(), (400, Some(15508), "'startdate' and 'enddate' must be used together"));
        }
    })
    .await;
}

async fn numbers(app: &App, list: &str) -> Vec<String> {
    let reply = app.send(get(account(list))).await.expect(200);
    reply.elements("TelephoneNumber").into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn numbers_in_service_are_filtered_by_locality() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "in_service", app.send(get(account("/inserviceNumbers"))).await);
        golden!(app, "in_service_totals", app.send(get(account("/inserviceNumbers/totals"))).await);
        golden!(app, "in_service_page", app.send(get(account("/inserviceNumbers?size=2&state=NC"))).await);
        let all = ["5405514342", "7034343704", IN_SERVICE[0], IN_SERVICE[1], IN_SERVICE[2]];
        for (query, found) in [
            ("", &all[..]),
            ("?areacode=540", &all[..1]),
            ("?areaCode=919", &all[2..]),
            ("?areacode=212", &[]),
            ("?npanxx=703434", &all[1..2]),
            ("?npaNxx=703435", &[]),
            ("?state=VA", &all[..2]),
            ("?state=NC&ratecenter=RALEIGH", &all[2..4]),
            ("?state=NC&rateCenter=CARY", &all[4..]),
            ("?state=VA&ratecenter=CARY", &[]),
            ("?state=NC&areacode=540", &[]),
            ("?lata=426", &all[2..4]),
            ("?city=raleigh", &all[2..4]),
            ("?city=raleigh&areaCode=540", &[]),
            ("?tier=0", &[]),
            ("?startdate=01-01-01&enddate=01-12-31", &[]),
            ("?page=7034343704&size=2", &all[1..3]),
            ("?page=%2B17034343704&size=1", &all[1..2]),
            ("?page=2&size=3", &all[3..]),
            ("?page=9&size=3", &[]),
        ] {
            assert_eq!(numbers(app, &format!("/inserviceNumbers{query}")).await, found, "{query}");
            if !query.contains("page") {
                let totals = app.send(get(account(&format!("/inserviceNumbers/totals{query}")))).await;
                assert_eq!(totals.element("Count"), Some(found.len().to_string().as_str()), "{query}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_has_500_numbers_by_default() {
    with_app(Seed::two_accounts(), async |app| {
        let many = (0..1_195).map(|n| NewNumber {
            state: State::InService,
            account: AccountId::new(ACCOUNT),
            ..NewNumber::available(Number::from_digits(16_145_551_000 + n).unwrap())
        });
        app.import(many.collect()).await;
        let site = format!("/sites/{}/inserviceNumbers", app.site);
        for list in ["/inserviceNumbers", &site] {
            for prefix in ["/api/", "/api/v2/"] {
                let page = |n| get(account(&format!("{list}?page={n}")).replace("/api/", prefix));
                let mut counts = Vec::new();
                for n in 1..=3 {
                    let page = app.send(page(n)).await.expect(200);
                    assert_eq!(page.element("TotalCount"), Some("1200"));
                    counts.push(page.element("Count").unwrap().to_owned());
                }
                assert_eq!(counts, ["500", "500", "200"], "{prefix}{list}");
            }
        }
        let gone = app.send(get(account("/discnumbers"))).await.expect(200);
        assert!(gone.text().contains("page=1&amp;size=500"), "{}", gone.text());
    })
    .await;
}

#[tokio::test]
async fn a_list_of_numbers_refuses_invalid_parameters() {
    with_app(Seed::two_accounts(), async |app| {
        let page = |text: &str| format!("The page '{text}' is invalid. Page must be a 10 digit phone number");
        for list in ["/inserviceNumbers", "/discnumbers"] {
            for (query, code, text) in [
                ("?page=x", 15516, page("x")),
                ("?page=0", 15516, page("0")),
                ("?page=5401114342", 15516, page("5401114342")),
                ("?size=5001", 1006, "size must be between 1 and 5000 (bounds are included)".into()),
                ("?size=0", 1006, "size must be between 1 and 5000 (bounds are included)".into()),
                ("?size=some", 1014, "size: some is not a valid number".into()),
                ("?areacode=54", 15510, "The NPA '54' is invalid".into()),
                ("?areacode=54x", 15510, "The NPA '54x' is invalid".into()),
                ("?areacode=911", 15510, "The NPA '911' is invalid".into()),
                ("?npanxx=54055", 15511, "The NPA_NXX '54055' is invalid".into()),
                ("?npaNxxX=540551", 15512, "The NPA_NXX_X '540551' is invalid".into()),
                ("?state=Virginia", 1008, "state: 'Virginia' is not a valid value".into()),
                ("?state=NC&ratecenter=CA%07RY", 15514, "The Rate Center 'CARY' is invalid".into()),
                ("?ratecenter=CARY", 15508, "'ratecenter' and 'state' must be used together".into()),
                ("?enddate=22-10-31", 15508, "'startdate' and 'enddate' must be used together".into()),
            ] {
                let reply = app.send(get(account(&format!("{list}{query}")))).await;
                assert_eq!(reply.error(), (400, Some(code), text.as_str()), "{list}{query}");
            }
        }
        golden!(app, "list_refused", app.send(get(account("/discnumbers?size=0"))).await);
    })
    .await;
}

#[tokio::test]
async fn one_number_is_in_service_or_not_found() {
    with_app(Seed::two_accounts(), async |app| {
        let of = |number: &str| get(account(&format!("/inserviceNumbers/{number}")));
        for number in ["5405514342", "15405514342", "+15405514342", "%2B15405514342"] {
            let reply = app.send(of(number)).await.expect(200);
            assert_eq!((reply.body.len(), reply.header("content-type")), (0, None), "{number}");
        }
        app.disconnect(&["5405514342"]).await;
        let mut told = Vec::new();
        for number in ["5405514342", NEIGHBOURS, POOL, NO_NUMBER] {
            let reply = app.send(of(number)).await.expect(404).without_date();
            told.push((reply.headers.clone(), reply.text().replace(number, "{number}")));
        }
        assert!(told.iter().all(|other| *other == told[0]), "{told:#?}");
        golden!(app, "not_in_service", app.send(of(POOL)).await);
    })
    .await;
}
