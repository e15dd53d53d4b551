//! One number, and numbers with what is known of each.

use onhook_core::ids::AccountId;
use onhook_core::import::NewNumber;
use onhook_core::lifecycle::diagram::State;

use crate::app::{
    ACCOUNT, App, Call, IN_SERVICE, NEIGHBOUR, NEIGHBOURS, NO_NUMBER, POOL, Reply, Seed, Who, account, get,
    now, number, post, with_app, xml,
};

/// A number that some tests reserve for the guide's account.
const RESERVED: &str = "2525550101";
/// A number in its protected inventory.
const PROTECTED: &str = "2525550102";

fn tns(query: &str) -> Call {
    get(format!("/api/tns{query}"))
}

fn lookup(numbers: &[&str]) -> Call {
    post("/api/tns", xml::lookup(numbers))
}

/// Brings the account one number of each state that its inventory has.
async fn one_of_each_state(app: &App) {
    let guide = AccountId::new(ACCOUNT);
    app.disconnect(&[IN_SERVICE[0]]).await;
    app.import(vec![
        NewNumber {
            state: State::Reserved,
            account: guide,
            release_at: Some(now().plus_millis(3_600_000)),
            ..NewNumber::available(number(RESERVED))
        },
        NewNumber { state: State::Protected, account: guide, ..NewNumber::available(number(PROTECTED)) },
    ])
    .await;
}

#[tokio::test]
async fn an_account_s_inventory_is_listed_by_state() {
    with_app(Seed::two_accounts(), async |app| {
        one_of_each_state(app).await;
        golden!(app, "list", app.send(tns("")).await);
        golden!(app, "list_v2", app.send(get("/api/v2/tns?status=Aging")).await);
        golden!(app, "list_none", app.send(tns("?status=Disconnected")).await);
        let in_service = ["5405514342", "7034343704", IN_SERVICE[1], IN_SERVICE[2]];
        for (query, found) in [
            ("?status=Inservice", &in_service[..]),
            ("?status=INSERVICE", &in_service[..]),
            ("?status=Aging", &[IN_SERVICE[0]]),
            ("?status=Reserved", &[RESERVED]),
            // Numbers available to one account only are its protected ones.
            ("?status=Available", &[PROTECTED]),
            ("?status=Reserved,Aging", &[RESERVED, IN_SERVICE[0]]),
            ("?Status=reserved%2C%20available", &[RESERVED, PROTECTED]),
            ("?status=Inservice,InAccount", &in_service[..]),
            ("?status=InAccount,PortInPendingFoc,PortOut,Removed,Eliminated,StatusUnchanged", &[]),
        ] {
            let reply = app.send(tns(query)).await.expect(200);
            assert_eq!(reply.elements("FullNumber"), found, "{query}");
            let count = found.len().to_string();
            assert_eq!(reply.element("TelephoneNumberCount"), Some(count.as_str()), "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn numbers_are_found_by_what_is_known_of_them() {
    with_app(Seed::two_accounts(), async |app| {
        let guide = AccountId::new(ACCOUNT).unwrap();
        let second =
            app.parts.store.create_site(guide, "Second site".into(), crate::app::now()).await.unwrap();
        let peer = app
            .parts
            .store
            .create_peer(guide, second.id, "Second peer".into(), crate::app::now())
            .await
            .unwrap();
        let more = format!(
            "<SiteId>{}</SiteId><TnAttributes><TnAttribute>Protected</TnAttribute></TnAttributes>",
            second.id
        );
        let (_, order) = app.place(post(account("/orders"), xml::order_with(&more, &[POOL]))).await;
        app.ended(get(order)).await;

        let all = [POOL, "5405514342", "7034343704", IN_SERVICE[0], IN_SERVICE[1], IN_SERVICE[2]];
        for (query, found) in [
            ("", &all[..]),
            ("?npa=919", &all[3..]),
            ("?NPA=212", &[]),
            ("?npaNxx=703434", &all[2..3]),
            ("?npanxx=703435", &[]),
            ("?npaNxxX=9195551", &all[3..]),
            ("?npaNxxX=9195552", &[]),
            ("?fullNumber=5405514342", &all[1..2]),
            ("?fullnumber=15405514342", &all[1..2]),
            ("?fullNumber=%2B15405514342", &all[1..2]),
            (&format!("?fullNumber={NO_NUMBER}"), &[]),
            (&format!("?siteId={}", app.site), &all[1..]),
            (&format!("?siteId={}", second.id), &all[..1]),
            ("?siteId=4294967295", &[]),
            (&format!("?sippeerId={}", app.peer), &all[1..]),
            (&format!("?sipPeerId={}", peer.id), &all[..1]),
            (&format!("?siteId={}&npa=540", app.site), &all[1..2]),
            ("?state=VA", &all[1..3]),
            ("?rateCenter=CARY", &all[5..]),
            ("?state=NC&rateCenter=RALEIGH", &all[3..5]),
            ("?state=VA&rateCenter=RALEIGH", &[]),
            ("?protected=true", &all[..1]),
            ("?protected=False", &all[1..]),
            // A city is that of the exchange, unless an import knows better.
            ("?city=Raleigh", &all[3..5]),
            ("?state=NC&lata=426", &all[3..5]),
            ("?city=CARY", &[]),
            ("?lata=224", &[]),
            ("?modifiedDateFrom=01-01-01&modifiedDateTo=98-12-31", &all[..]),
            ("?modifiedDateFrom=01-01-01&modifiedDateTo=01-12-31&status=Inservice", &[]),
            // Nothing is known of these here.
            ("?tier=0", &[]),
            ("?host=192.0.2.1", &[]),
            // The account itself and a parameter without a value filter nothing.
            ("?accountId=9900000", &all[..]),
            ("?npa=&status=&accountId=", &all[..]),
        ] {
            let reply = app.send(tns(query)).await.expect(200);
            assert_eq!(reply.elements("FullNumber"), found, "{query}");
        }
        // An operator names the account.
        let told = app.send(tns("?accountId=9900000")).await;
        let operator = app.send(tns("?accountId=9900000").by(Who::Operator)).await;
        assert_eq!(operator.expect(200).text(), told.text());
        let theirs = app.send(tns("?accountId=9900001").by(Who::Operator)).await.expect(200);
        assert_eq!(theirs.elements("FullNumber"), [NEIGHBOURS]);
    })
    .await;
}

#[tokio::test]
async fn an_operator_finds_numbers_by_site_and_by_peer_of_an_account() {
    with_app(Seed::two_accounts(), async |app| {
        let operator = async |query: &str| app.send(tns(query).by(Who::Operator)).await;
        let (site, peer) = (app.site, app.peer);
        let all = ["5405514342", "7034343704", IN_SERVICE[0], IN_SERVICE[1], IN_SERVICE[2]];
        for query in [
            format!("?accountId={ACCOUNT}&siteId={site}"),
            format!("?accountId={ACCOUNT}&sippeerId={peer}"),
            format!("?sipPeerId={peer}&accountId={ACCOUNT}&npa="),
        ] {
            assert_eq!(operator(&query).await.expect(200).elements("FullNumber"), all, "{query}");
        }
        // A site is looked for only at the named account.
        let elsewhere = format!("?accountId={NEIGHBOUR}&siteId={site}");
        assert_eq!(operator(&elsewhere).await.expect(200).element("TelephoneNumberCount"), Some("0"));
        let alone = operator(&format!("?siteId={site}")).await;
        assert_eq!(alone.error(), (400, Some(1003), "accountId is required"));
        let both = operator(&format!("?accountId={ACCOUNT}&siteId={site}&sippeerId={peer}")).await;
        assert_eq!((both.status, both.code()), (400, Some(15507)));
    })
    .await;
}

#[tokio::test]
async fn numbers_come_page_by_page() {
    with_app(Seed::two_accounts(), async |app| {
        let all = ["5405514342", "7034343704", IN_SERVICE[0], IN_SERVICE[1], IN_SERVICE[2]];
        golden!(app, "list_page", app.send(tns("?page=1&size=2&status=Inservice")).await);
        for prefix in ["/api", "/api/v2"] {
            let (mut found, mut pages) = (Vec::new(), Vec::new());
            let mut path = Some(format!("{prefix}/tns?page=1&size=2&status=Inservice,Aging"));
            while let Some(this) = path {
                let reply = app.send(get(&this)).await.expect(200);
                assert_eq!(reply.element("TelephoneNumberCount"), Some("5"), "{this}");
                let numbers = reply.elements("FullNumber");
                found.extend(numbers.iter().map(|number| number.trim_start_matches("+1").to_owned()));
                pages.push(numbers.len());
                path = reply.element("next").map(|link| app.path_of_link(link));
            }
            assert_eq!((found, pages), (all.map(str::to_owned).to_vec(), vec![2, 2, 1]), "{prefix}");
        }
        // Some clients count pages instead.
        for (query, found) in [
            ("?page=2&size=2", &all[2..4]),
            ("?page=3&size=2", &all[4..]),
            ("?page=4&size=2", &[]),
            ("?page=7034343704&size=2", &all[1..3]),
            ("?page=%2B17034343704&size=1", &all[1..2]),
            ("?size=2500", &all[..]),
        ] {
            let reply = app.send(tns(query)).await.expect(200);
            assert_eq!(reply.elements("FullNumber"), found, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_inventory_refuses_invalid_parameters() {
    with_app(Seed::two_accounts(), async |app| {
        let size = (1006, "size must be between 1 and 2500 (bounds are included)");
        let status = "Invalid 'status'. Valid values: Available, Inservice, Disconnected, Aging, \
                      PortInPendingFoc, PortOut, Reserved, Removed, Eliminated, StatusUnchanged";
        let one_of_three =
            (15507, "'accountId', 'siteId', 'sippeerId' are mutually exclusive. Provide at most one.");
        for (query, (code, text)) in [
            ("?size=2501", size),
            ("?size=0", size),
            ("?page=x", (15516, "The page 'x' is invalid. Page must be a 10 digit phone number")),
            ("?status=Live", (15519, status)),
            ("?status=Inservice,Live", (15519, status)),
            ("?status=Inservice&Status=Aging", (1009, "'status' is duplicated")),
            ("?accountId=9900000&siteId=1", one_of_three),
            ("?accountId=9900000&sippeerId=1", one_of_three),
            ("?siteId=1&sipPeerId=1", one_of_three),
            ("?siteId=x", (1008, "siteId: 'x' is not a valid value")),
            ("?fullNumber=540551434", (12512, "Telephone number '540551434' is not valid")),
            ("?npa=54", (15510, "The NPA '54' is invalid")),
            ("?npa=540551", (15510, "The NPA '540551' is invalid")),
            ("?npaNxx=9192384", (15511, "The NPA_NXX '9192384' is invalid")),
            ("?npaNxxx=919238", (15512, "The NPA_NXX_X '919238' is invalid")),
            ("?state=N1", (1008, "state: 'N1' is not a valid value")),
            ("?rateCenter=%01", (15514, "The Rate Center '' is invalid")),
            ("?service=Voice,E911", (15623, "The service type query parameter is not supported.")),
            ("?service=Voice,Fax", (15621, "The service type 'Fax' is invalid")),
            ("?service=Voice&npa=919&city=CARY", (15622, "Query parameters: lastModifiedDateFrom, lastModifiedDateTo, state, host, city, rateCenter, tier, lata, protected, siteId, sippeerId, status, cannot be combined with service =Voice")),
            ("?modifiedDateFrom=22-10-31", (15508, "'modifiedDateFrom' and 'modifiedDateTo' must be used together")),
            ("?modifiedDateFrom=22-10-31&modifiedDateTo=22-10-30", (15501, "Invalid date range. Start date 22-10-31 must be before end date 22-10-30")),
            ("?modifiedDateFrom=22-10-31&modifiedDateTo=22-10-31&state=NC&npa=919", (15515, "Query parameters: state, npa cannot be combined with [modifiedDateFrom, modifiedDateTo]")),
            ("?protected=maybe", (1008, "protected: 'maybe' is not a valid value. Valid values are: true, false")),
        ] {
            let reply = app.send(tns(query)).await;
            assert_eq!(reply.error(), (400, Some(code), text), "{query}");
        }
        golden!(app, "list_refused", app.send(tns("?status=Live")).await);
        golden!(app, "list_of_another_account", app.send(tns("?accountId=9900001")).await);
        golden!(app, "list_of_nobody", app.send(tns("").by(Who::Operator)).await);
    })
    .await;
}

#[tokio::test]
async fn numbers_are_looked_up() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&[IN_SERVICE[0]]).await;
        golden!(app, "lookup", app.send(lookup(&[IN_SERVICE[1], "5405514342", IN_SERVICE[0], POOL])).await);
        let some = ["111111111111", "5405514342", NEIGHBOURS, "x", NO_NUMBER];
        golden!(app, "lookup_of_some", app.send(lookup(&some)).await);
        golden!(app, "lookup_of_none", app.send(lookup(&[NO_NUMBER])).await);
        let v2 = post("/api/v2/tns", xml::lookup(&["+15405514342", NO_NUMBER]));
        golden!(app, "lookup_v2", app.send(v2).await);
        // A number is one number, however it is written and however often.
        let again = app.send(lookup(&["5405514342", "15405514342", " +15405514342 ", "5405514342"])).await;
        assert_eq!(again.expect(200).elements("FullNumber"), ["5405514342"]);
        let operators = app.send(lookup(&[NEIGHBOURS, "5405514342"]).by(Who::Operator)).await.expect(200);
        assert_eq!(operators.elements("AccountId").len(), 2);
        assert_eq!(operators.code(), None);
    })
    .await;
}

#[tokio::test]
async fn a_lookup_has_one_number_at_least_and_2500_at_most() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers: Vec<String> = (0..2_501).map(|n| (5_402_000_000_u64 + n).to_string()).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let most = app.send(lookup(&numbers[..2_500])).await.expect(200);
        assert_eq!(most.elements("TelephoneNumber").len(), 2_500);
        let root =
            "Bad request encountered. Please check your request and try again. (the root element is TnList)";
        let stray = |name| match name {
            "TnList" => (5001, "Invalid input telephone number list (what stands in 'TnList' would be passed over: put each number into a Tn of the list)"),
            _ => (5001, "Invalid input telephone number list (what stands in 'FullNumber' would be passed over: put each number into a Tn of the list)"),
        };
        for (body, (code, text)) in [
            (
                xml::lookup(&numbers),
                (15607, "The count of Telephone numbers in POST body exceeds the maximum size of 2500"),
            ),
            (xml::lookup(&[]), (15611, "List of telephone numbers is required")),
            ("<TnList/>".into(), (15611, "List of telephone numbers is required")),
            ("<TNs/>".into(), (1019, root)),
            ("<TnList><Tn>5405514342</Tn><FullNumber>7034343704</FullNumber></TnList>".into(), stray("FullNumber")),
            ("<TnList><Tn>5405514342</Tn>7034343704</TnList>".into(), stray("TnList")),
        ] {
            let reply = app.send(post("/api/tns", body.as_str())).await;
            assert_eq!(reply.error(), (400, Some(code), text), "{}", &body[..body.len().min(80)]);
        }
        golden!(app, "lookup_too_long", app.send(lookup(&numbers)).await);
        golden!(app, "lookup_empty", app.send(lookup(&[])).await);
    })
    .await;
}

#[tokio::test]
async fn a_number_s_site_peer_and_rate_center_are_shown() {
    with_app(Seed::two_accounts(), async |app| {
        let of = |number: &str, rest: &str| get(format!("{}/{rest}", tn(number)));
        golden!(app, "site", app.send(of(IN_SERVICE[2], "sites")).await);
        golden!(app, "peer", app.send(of(IN_SERVICE[2], "sippeers")).await);
        golden!(app, "rate_center", app.send(of(IN_SERVICE[2], "ratecenter")).await);
        // A pool number has a rate center too, but no site.
        golden!(app, "no_site", app.send(of(POOL, "sites")).await);
        assert_eq!(app.send(of(POOL, "sippeers")).await.error(), (404, None, "The resource does not exist"));
        let greensboro = app.send(of(POOL, "rateCenter")).await.expect(200);
        assert_eq!(greensboro.element("RateCenter"), Some("GREENSBORO"));
        // The rate center of the guide's numbers is not known.
        golden!(app, "no_rate_center", app.send(of("5405514342", "ratecenter")).await);
        golden!(app, "lata", app.send(of(IN_SERVICE[0], "lata")).await);
        golden!(app, "lca", app.send(of(IN_SERVICE[0], "lca")).await);
        for (number, rest) in
            [("5405514342", "lata"), ("5405514342", "lca"), (IN_SERVICE[2], "lata"), (POOL, "lca")]
        {
            let nothing = app.send(of(number, rest)).await;
            assert_eq!(nothing.error(), (404, None, "The resource does not exist"), "{number} {rest}");
        }
        for rest in ["sites", "sippeers", "ratecenter", "lata", "lca"] {
            let wrong = app.send(of("5409114342", rest)).await;
            assert_eq!(wrong.error(), (400, Some(12512), "Telephone number '5409114342' is not valid"));
        }
    })
    .await;
}

fn tn(number: &str) -> String {
    format!("/api/tns/{number}")
}

#[tokio::test]
async fn an_account_sees_all_of_its_own_numbers() {
    with_app(Seed::two_accounts(), async |app| {
        let details = |number: &str| get(format!("{}/tndetails", tn(number)));
        golden!(app, "own_in_service", app.send(get(tn(IN_SERVICE[0]))).await);
        golden!(app, "own_in_service_details", app.send(details(IN_SERVICE[0])).await);
        app.disconnect(&[IN_SERVICE[0]]).await;
        golden!(app, "own_aging", app.send(get(tn(IN_SERVICE[0]))).await);
        golden!(app, "own_aging_details", app.send(details(IN_SERVICE[0])).await);
        let (_, order) = app.place(post(account("/orders"), xml::order(app.site, &[POOL]))).await;
        app.ended(get(order)).await;
        golden!(app, "own_ordered", app.send(get(tn(POOL))).await);
        golden!(
            app,
            "own_in_service_v2",
            app.send(get(tn("%2B19195551002").replace("/api", "/api/v2"))).await
        );
        // An operator sees as much.
        let told = app.send(get(tn(POOL))).await;
        assert_eq!(app.send(get(tn(POOL)).by(Who::Operator)).await.text(), told.text());
        assert_eq!(app.send(get(tn(POOL)).by(Who::Reader)).await.text(), told.text());
    })
    .await;
}

#[tokio::test]
async fn other_accounts_see_only_what_is_public_of_a_pool_number() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "pool", app.send(get(tn(POOL))).await);
        golden!(app, "pool_details", app.send(get(format!("{}/tndetails", tn(POOL)))).await);
    })
    .await;
}

#[tokio::test]
async fn another_account_s_number_is_a_number_that_does_not_exist() {
    with_app(Seed::two_accounts(), async |app| {
        // A disconnected number is still the account's.
        app.disconnect(&[IN_SERVICE[0]]).await;
        for rest in ["", "/tndetails", "/sites", "/sippeers", "/ratecenter", "/lata", "/lca"] {
            let told = async |number: &str, who| -> (u16, Vec<(String, String)>, String) {
                let reply: Reply = app.send(get(tn(number) + rest).by(who)).await.without_date();
                (reply.status, reply.headers.clone(), reply.text().replace(number, "{number}"))
            };
            let unknown = told(NO_NUMBER, Who::Neighbour).await;
            assert_eq!(unknown.0, 404);
            assert_eq!(told(IN_SERVICE[0], Who::Neighbour).await, unknown);
            assert_eq!(told(IN_SERVICE[1], Who::Neighbour).await, unknown);
            assert_eq!(told(NEIGHBOURS, Who::Admin).await, unknown);
            assert_eq!(told(NEIGHBOURS, Who::Operator).await.0, 200);
        }
        golden!(app, "unknown_number", app.send(get(tn(NO_NUMBER))).await);
        let wrong = app.send(get(tn("5409114342"))).await;
        assert_eq!(wrong.error(), (400, Some(12512), "Telephone number '5409114342' is not valid"));
    })
    .await;
}

#[tokio::test]
async fn a_number_s_history_shows_an_account_only_its_own_time() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        app.disconnect(&["5405514342"]).await;
        golden!(app, "history", app.send(get("/api/tns/5405514342/history")).await);
        app.advance(91 * 86_400_000).await;
        let released = crate::app::wait_for("the release", async || {
            let reply = app.send(get("/api/tns/5405514342/history").by(Who::Operator)).await;
            (reply.elements("Status").len() == 3).then_some(reply)
        })
        .await;
        assert_eq!(released.elements("Status"), ["Inservice", "Aging", "Available"]);
        // The number is available to anyone now, and nobody learns whose it was.
        let theirs = app.send(get("/api/tns/5405514342/history").by(Who::Neighbour)).await.expect(200);
        assert_eq!(theirs.elements("Status"), [""; 0]);
        let own = app.send(get("/api/tns/5405514342/history")).await.expect(200);
        assert_eq!(own.elements("Status"), ["Inservice", "Aging"]);
    })
    .await;
}
