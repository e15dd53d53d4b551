//! Disconnect orders, as the guide and the contract have them.

use crate::app::{
    ACCOUNT, App, IN_SERVICE, NEIGHBOUR, NEIGHBOURS, NO_NUMBER, Names, POOL, Seed, Who, disconnects, get,
    now, post, put, with_app, xml,
};

/// The guide's request, character for character.
const GUIDE_REQUEST: &str = r#"<?xml version="1.0"?>
<DisconnectTelephoneNumberOrder>
<name>training run</name>
<DisconnectTelephoneNumberOrderType>
<TelephoneNumberList>
<TelephoneNumber>5405514342</TelephoneNumber>
<TelephoneNumber>7034343704</TelephoneNumber>
</TelephoneNumberList>
</DisconnectTelephoneNumberOrderType>
</DisconnectTelephoneNumberOrder>
"#;

/// Its answer.
const GUIDE_RECEIVED: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<DisconnectTelephoneNumberOrderResponse>
<orderRequest>
<Name>training run</Name>
<OrderCreateDate>{time}</OrderCreateDate>
<id>{uuid}</id>
<DisconnectTelephoneNumberOrderType>
<TelephoneNumberList>
<TelephoneNumber>5405514342</TelephoneNumber>
<TelephoneNumber>7034343704</TelephoneNumber>
</TelephoneNumberList>
<DisconnectMode>normal</DisconnectMode>
</DisconnectTelephoneNumberOrderType>
</orderRequest>
<OrderStatus>RECEIVED</OrderStatus>
</DisconnectTelephoneNumberOrderResponse>
"#;

/// What the guide shows once the order has run.
const GUIDE_COMPLETE: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<DisconnectTelephoneNumberOrderResponse>
<DisconnectedTelephoneNumberList>
<TelephoneNumber>5405514342</TelephoneNumber>
<TelephoneNumber>7034343704</TelephoneNumber>
</DisconnectedTelephoneNumberList>
<ErrorList/>
<orderRequest>
<Name>training run</Name>
<OrderCreateDate>{time}</OrderCreateDate>
<id>{uuid}</id>
<DisconnectTelephoneNumberOrderType>
<TelephoneNumberList>
<TelephoneNumber>5405514342</TelephoneNumber>
<TelephoneNumber>7034343704</TelephoneNumber>
</TelephoneNumberList>
<DisconnectMode>normal</DisconnectMode>
</DisconnectTelephoneNumberOrderType>
</orderRequest>
<OrderStatus>COMPLETE</OrderStatus>
</DisconnectTelephoneNumberOrderResponse>
"#;

/// The guide's two exchanges under a prefix: the answers as golden files have them.
async fn guide_under(app: &App, prefix: &str) -> (String, String) {
    let request = post(format!("{prefix}/accounts/9900000/disconnects"), GUIDE_REQUEST)
        .without("Authorization")
        .header("Authorization", "Basic dXNlcm5hbWU6cGFzc3dvcmQ=");
    let (received, path) = app.place(request).await;
    let id = path.strip_prefix(&format!("{prefix}/accounts/9900000/disconnects/")).unwrap();
    assert_eq!(received.element("id"), Some(id));
    let fetched = app.ended(get(path)).await;
    (received.golden(app), fetched.golden(app))
}

#[tokio::test]
async fn the_guide_s_two_exchanges_are_answered_to_the_letter() {
    with_app(Seed::two_accounts(), async |app| {
        let (_, path) = app.place(post(disconnects(""), GUIDE_REQUEST)).await;
        let complete = app.ended(get(&path)).await;
        // The same order again, for its first answer: its numbers are gone, which is not judged yet.
        let received = app.send(post(disconnects(""), GUIDE_REQUEST)).await.expect(201);
        for (reply, guide) in [(received, GUIDE_RECEIVED), (complete, GUIDE_COMPLETE)] {
            let told = Names::default().redact(reply.text());
            assert_eq!(told, guide.replace('\n', ""));
            assert_eq!(reply.header("content-type"), Some("application/xml; charset=utf-8"));
        }
    })
    .await;
}

#[tokio::test]
async fn the_first_version_has_five_prefixes_and_one_answer() {
    let mut first = None;
    for prefix in ["/api", "/api/v1", "/api/v1.0", "/v1.0", "/v1"] {
        with_app(Seed::two_accounts(), async |app| {
            let (received, fetched) = guide_under(app, prefix).await;
            let location = format!("location: {{base}}{prefix}/accounts/");
            assert!(received.contains(&location), "{received}");
            let told = (received.replace(&location, "location: {base}/api/accounts/"), fetched);
            assert_eq!(*first.get_or_insert_with(|| told.clone()), told, "under {prefix}");
        })
        .await;
    }
    let (received, fetched) = first.unwrap();
    insta::assert_snapshot!("guide_received", received);
    insta::assert_snapshot!("guide_complete", fetched);
}

#[tokio::test]
async fn the_second_version_prints_e164_upper_case_modes_and_a_reason() {
    with_app(Seed::two_accounts(), async |app| {
        let (received, fetched) = guide_under(app, "/api/v2").await;
        insta::assert_snapshot!("guide_received_v2", received);
        insta::assert_snapshot!("guide_complete_v2", fetched);
    })
    .await;
}

#[tokio::test]
async fn links_are_built_from_the_public_url_and_never_from_the_request() {
    with_app(Seed::two_accounts().public_url("https://numbers.example:8443"), async |app| {
        let call = post(disconnects(""), GUIDE_REQUEST)
            .without("Host")
            .header("Host", "evil.example")
            .header("X-Forwarded-Host", "evil.example")
            .header("X-Forwarded-Proto", "gopher");
        let reply = app.send(call).await.expect(201);
        let location = reply.header("location").unwrap();
        let base = "https://numbers.example:8443/api/accounts/9900000/disconnects/";
        assert!(location.starts_with(base), "{location}");
        let list = app.send(get(disconnects(""))).await.expect(200);
        let first = list.element("first").unwrap();
        let link = "https://numbers.example:8443/v1.0/accounts/9900000/disconnects?page=1&amp;size=300";
        assert_eq!(first, format!("Link=&lt;{link}&gt;;rel=\"first\";"));
    })
    .await;
}

#[tokio::test]
async fn a_partial_order_says_which_numbers_did_not_go() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers = [NEIGHBOURS, "5405514342", POOL, NO_NUMBER, "7034343704"];
        let path = app.disconnect(&numbers).await;
        golden!(app, "partial", app.send(get(&path)).await);
        golden!(app, "partial_v2", app.send(get(path.replace("/api/", "/api/v2/"))).await);
    })
    .await;
}

#[tokio::test]
async fn another_account_s_number_a_pool_number_and_no_number_fail_alike() {
    with_app(Seed::two_accounts(), async |app| {
        let mut told = Vec::new();
        for number in [NEIGHBOURS, POOL, NO_NUMBER] {
            let path = app.disconnect(&[number]).await;
            told.push(app.send(get(path)).await.golden(app).replace(number, "{number}"));
        }
        insta::assert_snapshot!("failed", told[0]);
        assert!(told.iter().all(|text| *text == told[0]), "{told:#?}");
    })
    .await;
}

#[tokio::test]
async fn names_are_spelled_in_two_ways_and_elements_stand_in_any_order() {
    with_app(Seed::two_accounts(), async |app| {
        let list = "<TelephoneNumberList><TelephoneNumber>\n 5405514342 \t</TelephoneNumber></TelephoneNumberList>";
        let ordered = format!(
            "<DisconnectTelephoneNumberOrder><name>x</name><DisconnectTelephoneNumberOrderType>{list}\
             <DisconnectMode>normal</DisconnectMode><Protected>UNCHANGED</Protected>\
             </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
        );
        let shuffled = format!(
            "<DisconnectTelephoneNumberOrder><DisconnectTelephoneNumberOrderType><Protected>unchanged</Protected>\
             <DisconnectMode>NORMAL</DisconnectMode><Unknown><a/></Unknown>{list}\
             </DisconnectTelephoneNumberOrderType><Name>x</Name></DisconnectTelephoneNumberOrder>"
        );
        let mut told = Vec::new();
        for body in [ordered, shuffled] {
            told.push(app.send(post(disconnects(""), body)).await.expect(201).golden(app));
        }
        assert_eq!(told[0], told[1]);
        insta::assert_snapshot!("protected_is_echoed_when_sent", told[0]);
    })
    .await;
}

#[tokio::test]
async fn a_customer_order_id_stands_in_for_a_name() {
    with_app(Seed::two_accounts(), async |app| {
        let id = "<CustomerOrderId>My OrderId-1</CustomerOrderId>";
        let (received, path) =
            app.place(post(disconnects(""), xml::disconnect_with(id, &["5405514342"], ""))).await;
        golden!(app, "customer_order_id", received);
        let shown = app.ended(get(path)).await;
        assert_eq!((shown.element("CustomerOrderId"), shown.element("Name")), (Some("My OrderId-1"), None));
        let both = "<name>n</name><CustomerOrderId>c</CustomerOrderId>";
        let (received, _) =
            app.place(post(disconnects(""), xml::disconnect_with(both, &["5405514342"], ""))).await;
        assert_eq!((received.element("CustomerOrderId"), received.element("Name")), (Some("c"), Some("n")));
    })
    .await;
}

#[tokio::test]
async fn the_sent_settings_of_the_numbers_are_echoed() {
    with_app(Seed::two_accounts(), async |app| {
        for (path, behind, mode, protected, reason) in [
            (disconnects(""), "", "normal", None, None),
            (disconnects(""), "<Protected>TRUE</Protected>", "normal", Some("TRUE"), None),
            (disconnects(""), "<Protected>false</Protected>", "normal", Some("FALSE"), None),
            (disconnects(""), "<DisconnectMode>Soft-Remove</DisconnectMode>", "soft-remove", None, None),
            (disconnects(""), "<DisconnectReason>moved</DisconnectReason>", "normal", None, None),
            ("/api/v2/accounts/9900000/disconnects".into(), "", "NORMAL", None, Some("UNSPECIFIED")),
            (
                "/api/v2/accounts/9900000/disconnects".into(),
                "<DisconnectReason>moved &amp; gone</DisconnectReason><DisconnectMode>soft-remove</DisconnectMode>",
                "SOFT-REMOVE",
                None,
                Some("moved &amp; gone"),
            ),
        ] {
            let body = xml::disconnect_with("<name>x</name>", &["5405514342"], behind);
            let (received, at) = app.place(post(&path, body)).await;
            let shown = app.ended(get(at)).await;
            for reply in [received, shown] {
                let told = ["DisconnectMode", "Protected", "DisconnectReason"].map(|name| reply.element(name));
                assert_eq!(told, [Some(mode), protected, reason], "{behind}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn every_echo_keeps_the_request_s_order() {
    with_app(Seed::two_accounts(), async |app| {
        let numbers = [IN_SERVICE[2], "5405514342", IN_SERVICE[0], "7034343704", IN_SERVICE[1]];
        let (received, path) = app.place(post(disconnects(""), xml::disconnect(&numbers))).await;
        assert_eq!(received.elements("TelephoneNumber"), numbers);
        assert_eq!(app.ended(get(path)).await.elements("TelephoneNumber"), [numbers, numbers].concat());
    })
    .await;
}

#[tokio::test]
async fn numbers_are_written_in_four_ways() {
    with_app(Seed::two_accounts(), async |app| {
        let sent = ["5405514342", "17034343704", "+19195551001", "9195551002"];
        let (received, _) = app.place(post(disconnects(""), xml::disconnect(&sent))).await;
        let ten = ["5405514342", "7034343704", "9195551001", "9195551002"];
        assert_eq!(received.elements("TelephoneNumber"), ten);
        // Abroad there are no ten digits to print.
        let (received, _) = app.place(post(disconnects(""), xml::disconnect(&["+33140289562"]))).await;
        assert_eq!(received.elements("TelephoneNumber"), ["+33140289562"]);
    })
    .await;
}

const NAMED: &str = "<name>x</name>";
const LIST_OF_ONE: &str =
    "<TelephoneNumberList><TelephoneNumber>5405514342</TelephoneNumber></TelephoneNumberList>";

fn with_number(text: &str) -> String {
    xml::disconnect_with(NAMED, &[text], "")
}

fn with(behind: &str) -> String {
    xml::disconnect_with(NAMED, &["5405514342"], behind)
}

fn with_names(names: &str) -> String {
    xml::disconnect_with(names, &["5405514342"], "")
}

fn of_type(inner: &str) -> String {
    let kind = "DisconnectTelephoneNumberOrderType";
    format!(
        "<DisconnectTelephoneNumberOrder>{NAMED}<{kind}>{inner}</{kind}></DisconnectTelephoneNumberOrder>"
    )
}

const NAME_REQUIRED: (u16, &str) = (1003, "Name or CustomerOrderId is required");
const CUSTOMER_ORDER_ID: (u16, &str) = (
    5052,
    "Customer order ID is invalid. Only alphanumeric values, dashes and spaces are allowed. Max length is 40 characters.",
);
const NO_LIST: (u16, &str) = (5001, "Invalid input telephone number list");
const EMPTY_LIST: (u16, &str) = (5212, "The input list of telephone numbers is null or empty.");
const BAD_NUMBER: (u16, &str) = (5070, "Telephone number is invalid.");
const NO_NUMBER_THERE: (u16, &str) = (5073, "Telephone number is required.");
const TWICE: (u16, &str) = (5093, "Order cannot contain duplicate telephone numbers");
const LONG_NAME: (u16, &str) = (1011, "Name is too long. Max length 50 characters");

fn stray(name: &str) -> String {
    format!(
        "Invalid input telephone number list (what stands in '{name}' would be passed over: put each number into a \
         TelephoneNumber of the list)"
    )
}

fn bad_request(why: &str) -> (u16, String) {
    (1019, format!("Bad request encountered. Please check your request and try again. ({why})"))
}

/// What is wrong with a request, and its answer. If two things are wrong, the row says which one is answered.
fn wrong_requests() -> Vec<(&'static str, Who, String, u16, String)> {
    let mut rows = Vec::new();
    let mut row = |what, body: String, (code, text): (u16, &str)| {
        rows.push((what, Who::Admin, body, code, text.to_owned()));
    };
    row("no name", with_names(""), NAME_REQUIRED);
    row("an empty name", with_names("<name/>"), NAME_REQUIRED);
    row("a blank name", with_names("<Name> \n </Name>"), NAME_REQUIRED);
    row("a name of 51", with_names(&format!("<name>{}</name>", "n".repeat(51))), LONG_NAME);
    row("51 of another script", with_names(&format!("<name>{}</name>", "ü".repeat(51))), LONG_NAME);
    row("no name, no list", "<DisconnectTelephoneNumberOrder/>".into(), NAME_REQUIRED);
    for id in ["a_b", "ä", "a.b", &"i".repeat(41)] {
        let names = format!("{NAMED}<CustomerOrderId>{id}</CustomerOrderId>");
        row("a customer order id", with_names(&names), CUSTOMER_ORDER_ID);
    }
    row(
        "no type",
        format!("<DisconnectTelephoneNumberOrder>{NAMED}</DisconnectTelephoneNumberOrder>"),
        NO_LIST,
    );
    row(
        "a list without its type",
        format!("<DisconnectTelephoneNumberOrder>{NAMED}{LIST_OF_ONE}</DisconnectTelephoneNumberOrder>"),
        NO_LIST,
    );
    for (what, body, name) in [
        (
            "a number beside the list",
            with("<TelephoneNumber>7034343704</TelephoneNumber>"),
            "TelephoneNumber",
        ),
        ("a second list", with_names(&format!("{NAMED}{LIST_OF_ONE}")), "TelephoneNumberList"),
        (
            "a number under another name",
            with_number("5405514342</TelephoneNumber><Tn>7034343704</Tn><TelephoneNumber>1"),
            "Tn",
        ),
        (
            "a number as text",
            with_number("5405514342</TelephoneNumber>7034343704<TelephoneNumber>1"),
            "TelephoneNumberList",
        ),
    ] {
        row(what, body, (5001, &stray(name)));
    }
    let within = bad_request("TelephoneNumber takes a text, with no element, object or array in it").1;
    row("an element in a number", with_number("919<b>5</b>3000010"), (1019, &within));
    row("no list", of_type(""), NO_LIST);
    row("an empty list", of_type("<TelephoneNumberList/>"), EMPTY_LIST);
    row(
        "an empty number",
        of_type("<TelephoneNumberList><TelephoneNumber> </TelephoneNumber></TelephoneNumberList>"),
        NO_NUMBER_THERE,
    );
    for number in [
        "540551434",
        "54055143422",
        "25405514342",
        "+1540551434",
        "540-551-4342",
        "(540) 551-4342",
        "540 551 4342",
        "5405514342x",
        "sip:5405514342",
        "0405514342",
        "1405514342",
        "9115514342",
        "2905514342",
        "5409114342",
        "5401514342",
        "888942232323",
        "+0123456789",
        "+1234567890123456",
        "５４０５５１４３４２",
        "٥٤٠٥٥١٤٣٤٢",
        "540\u{200B}5514342",
        "++15405514342",
    ] {
        row("a number", with_number(number), BAD_NUMBER);
    }
    row("a number twice", xml::disconnect(&["5405514342", "5405514342"]), TWICE);
    row("a number twice in two spellings", xml::disconnect(&["5405514342", "+15405514342"]), TWICE);
    row(
        "numbers of two plans",
        xml::disconnect(&["5405514342", "+33140289562"]),
        (5165, "A single order cannot contain a mix of NANP and International telephone numbers"),
    );
    row(
        "no such mode",
        with("<DisconnectMode>safe</DisconnectMode>"),
        (5084, "DisconnectMode 'safe' is invalid. Valid values are: normal, soft-remove, purge"),
    );
    row(
        "an empty mode",
        with("<DisconnectMode/>"),
        (5084, "DisconnectMode '' is invalid. Valid values are: normal, soft-remove, purge"),
    );
    row(
        "a mode that is markup",
        with("<DisconnectMode>&lt;b&gt;&amp;</DisconnectMode>"),
        (5084, "DisconnectMode '&lt;b&gt;&amp;' is invalid. Valid values are: normal, soft-remove, purge"),
    );
    row(
        "a mode for operators",
        with("<DisconnectMode>Purge</DisconnectMode>"),
        (5085, "Insufficient permissions for this DisconnectMode"),
    );
    row(
        "no such protection",
        with("<Protected>YES</Protected>"),
        (5108, "Protected attribute 'YES' is invalid. Valid values: TRUE, FALSE, UNCHANGED"),
    );
    row(
        "a long reason",
        with(&format!("<DisconnectReason>{}</DisconnectReason>", "r".repeat(51))),
        (1011, "DisconnectReason is too long. Max length 50 characters"),
    );
    row("no name and a bad number", xml::disconnect_with("", &["1"], ""), NAME_REQUIRED);
    row(
        "a bad number and a bad mode",
        xml::disconnect_with(NAMED, &["1"], "<DisconnectMode>x</DisconnectMode>"),
        BAD_NUMBER,
    );
    row(
        "a bad mode and a bad protection",
        with("<DisconnectMode>x</DisconnectMode><Protected>x</Protected>"),
        (5084, "DisconnectMode 'x' is invalid. Valid values are: normal, soft-remove, purge"),
    );
    for (what, body, twice) in [
        ("two names", with_names("<name>x</name><name>x</name>"), "Name"),
        ("two spellings of a name", with_names("<name>x</name><Name>x</Name>"), "Name"),
        (
            "two modes",
            with("<DisconnectMode>normal</DisconnectMode><DisconnectMode>normal</DisconnectMode>"),
            "DisconnectMode",
        ),
        ("two protections", with("<Protected>TRUE</Protected><Protected>FALSE</Protected>"), "Protected"),
        ("two lists", of_type(&LIST_OF_ONE.repeat(2)), "TelephoneNumberList"),
    ] {
        row(what, body, (1009, &format!("'{twice}' is duplicated")));
    }
    let malformed = [
        ("another root", "<Order/>", "the root element is DisconnectTelephoneNumberOrder"),
        ("nothing", "", "the document has no root element"),
        (
            "half a document",
            "<DisconnectTelephoneNumberOrder><name>",
            "the document ends before its root element does",
        ),
        ("a DOCTYPE", "<!DOCTYPE a []><DisconnectTelephoneNumberOrder/>", "a DOCTYPE is not accepted"),
    ];
    for (what, body, why) in malformed {
        let (code, text) = bad_request(why);
        rows.push((what, Who::Admin, body.to_owned(), code, text));
    }
    rows.push((
        "protection of what is purged",
        Who::Operator,
        with("<DisconnectMode>purge</DisconnectMode><Protected>TRUE</Protected>"),
        5109,
        "The Protected Telephone Numbers setting is incompatible with an obsolete or purge disconnect".into(),
    ));
    rows
}

#[tokio::test]
async fn a_wrong_request_is_answered_with_its_code_and_makes_no_order() {
    with_app(Seed::two_accounts(), async |app| {
        let before = app.counts().await;
        for (what, who, body, code, text) in wrong_requests() {
            let reply = app.send(post(disconnects(""), body.as_str()).by(who)).await;
            assert_eq!(reply.error(), (400, Some(code), text.as_str()), "{what}: {body}");
            // Clients find the error's parts by position.
            let beginning = format!(
                "<DisconnectTelephoneNumberOrderResponse><ErrorList><Error><Code>{code}</Code><Description>"
            );
            assert!(reply.text().contains(&beginning), "{}", reply.text());
            assert_eq!((reply.header("location"), reply.element("OrderStatus")), (None, None), "{what}");
            assert_eq!(reply.element("id"), None, "{what}");
        }
        assert_eq!(app.counts().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_repeats_the_request_as_far_as_it_goes() {
    with_app(Seed::two_accounts(), async |app| {
        let names = "<name>training run</name><CustomerOrderId>mine</CustomerOrderId>";
        let behind = "<Protected>&lt;YES&gt;</Protected>";
        let body = xml::disconnect_with(names, &["5405514342", "7034343704"], behind);
        golden!(app, "refused_5108", app.send(post(disconnects(""), body)).await);
        let body = xml::disconnect_with("<name>training run</name>", &["5405514342", "888942232323"], "");
        golden!(app, "refused_5070", app.send(post(disconnects(""), body)).await);
        golden!(app, "refused_1019", app.send(post(disconnects(""), "<Order/>")).await);
    })
    .await;
}

#[tokio::test]
async fn values_just_within_their_limits_are_accepted() {
    with_app(Seed::two_accounts(), async |app| {
        for (names, behind) in [
            (format!("<name>{}</name>", "ü".repeat(50)), String::new()),
            (format!("<CustomerOrderId>{}</CustomerOrderId>", "i".repeat(40)), String::new()),
            (NAMED.into(), format!("<DisconnectReason>{}</DisconnectReason>", "r".repeat(50))),
        ] {
            let body = xml::disconnect_with(&names, &["5405514342"], &behind);
            app.send(post(disconnects(""), body)).await.expect(201);
        }
        // Under the second version nobody needs a name.
        let nameless = xml::disconnect_with("", &["5405514342"], "");
        app.send(post("/api/v2/accounts/9900000/disconnects", nameless)).await.expect(201);
        // And an operator may purge.
        let purge = with("<DisconnectMode>PURGE</DisconnectMode><Protected>UNCHANGED</Protected>");
        app.send(post(disconnects(""), purge).by(Who::Operator)).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn orders_are_listed_newest_first_page_by_page() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "list_empty", app.send(get(disconnects(""))).await);
        let complete = app.disconnect(&["5405514342"]).await;
        let failed = app.disconnect(&[POOL, NO_NUMBER]).await;
        let names = "<CustomerOrderId>third</CustomerOrderId>";
        let call =
            post(disconnects(""), xml::disconnect_with(names, &["7034343704", POOL], "")).by(Who::Orderer);
        let (_, partial) = app.place(call).await;
        app.ended(get(&partial)).await;

        let newest_first = [&partial, &failed, &complete].map(|path| path.rsplit('/').next().unwrap());
        let page = app.send(get(disconnects("?page=1&size=2"))).await;
        golden!(app, "list_first_page", page);
        assert_eq!(page.elements("OrderId"), newest_first[..2]);
        let page = app.send(get(app.path_of_link(page.element("next").unwrap()))).await.expect(200);
        assert_eq!((page.elements("OrderId"), page.element("next")), (newest_first[2..].to_vec(), None));

        let day = app.send(get(disconnects(""))).await.elements("OrderDate")[0][2..10].to_owned();
        let last = app.send(get(disconnects(""))).await.elements("OrderDate")[2][2..10].to_owned();
        let dates = format!("startdate={last}&enddate={day}");
        for (query, found) in [
            ("", &newest_first[..]),
            ("?size=1", &newest_first[..1]),
            ("?page=2&size=1", &newest_first[1..2]),
            ("?page=3&size=2", &[]),
            ("?status=complete", &newest_first[2..]),
            ("?status=COMPLETE", &newest_first[2..]),
            ("?status=partial", &newest_first[..1]),
            ("?Status=failed&userid=username", &newest_first[1..2]),
            ("?userid=orderer", &newest_first[..1]),
            ("?userId=nobody", &[]),
            ("?customerOrderId=third", &newest_first[..1]),
            (&format!("?{dates}"), &newest_first[..]),
            (&format!("?{dates}&status=failed&size=5000"), &newest_first[1..2]),
            ("?startdate=01-01-01&enddate=01-01-02", &[]),
        ] {
            let list = app.send(get(disconnects(query))).await.expect(200);
            assert_eq!(list.elements("OrderId"), found, "{query}");
        }
        // A page keeps the filters of the list it belongs to.
        let page = app.send(get(disconnects(&format!("?{dates}&userid=username&size=1")))).await;
        assert_eq!(page.element("TotalCount"), Some("2"));
        let page = app.send(get(app.path_of_link(page.element("next").unwrap()))).await;
        assert_eq!(
            (page.elements("OrderId"), page.element("TotalCount")),
            (vec![newest_first[2]], Some("2"))
        );
    })
    .await;
}

#[tokio::test]
async fn orders_are_counted() {
    with_app(Seed::two_accounts(), async |app| {
        app.disconnect(&["5405514342"]).await;
        app.disconnect(&[POOL, NO_NUMBER]).await;
        golden!(app, "totals", app.send(get(disconnects("/totals"))).await);
        for (query, count) in
            [("?status=failed", "1"), ("?status=partial", "0"), ("?userid=username", "2"), ("?userid=x", "0")]
        {
            let reply = app.send(get(disconnects(&format!("/totals{query}")))).await.expect(200);
            assert_eq!(reply.element("TotalCount"), Some(count), "{query}");
        }
        let reply = app.send(get(disconnects("/totals?status=received"))).await;
        let text = "Invalid 'status'. Valid values: complete, partial, failed";
        assert_eq!(reply.error(), (400, Some(15532), text));
    })
    .await;
}

#[tokio::test]
async fn an_order_s_history_says_how_it_ended() {
    with_app(Seed::two_accounts(), async |app| {
        for (name, numbers) in [
            ("history_complete", &["5405514342"][..]),
            ("history_partial", &["7034343704", POOL]),
            ("history_failed", &[POOL, NO_NUMBER]),
        ] {
            let path = app.disconnect(numbers).await;
            golden!(app, name, app.send(get(format!("{path}/history"))).await);
        }
        let unknown = disconnects("/6d7da966-e071-4741-b31c-1d8932f4b8da/history");
        golden!(app, "history_not_found", app.send(get(unknown)).await);
        let wrong = app.send(get(disconnects("/x/history"))).await;
        assert_eq!(wrong.error(), (400, Some(1008), "OrderId: 'x' is not a valid UUID"));
    })
    .await;
}

#[tokio::test]
async fn a_list_refuses_invalid_parameters() {
    with_app(Seed::two_accounts(), async |app| {
        let size = (1006, "size must be between 1 and 5000 (bounds are included)");
        let status = (15532, "Invalid 'status'. Valid values: complete, partial, failed");
        for (query, (code, text)) in [
            ("?size=0", size),
            ("?size=5001", size),
            ("?size=-1", size),
            ("?size=ten", (1014, "size: ten is not a valid number")),
            ("?size=1.5", (1014, "size: 1.5 is not a valid number")),
            ("?page=x", (1008, "page: 'x' is not a valid UUID")),
            ("?page=0", (1008, "page: '0' is not a valid UUID")),
            ("?size=1&Size=2", (1009, "'size' is duplicated")),
            ("?status=received", status),
            ("?status=backordered", status),
            ("?startdate=22-10-31", (15508, "'startdate' and 'enddate' must be used together")),
            ("?enddate=22-10-31", (15508, "'startdate' and 'enddate' must be used together")),
            ("?startdate=2022-10-31&enddate=22-10-31", (1007, "2022-10-31 is not a valid date format.")),
            ("?startdate=22-02-30&enddate=22-10-31", (15503, "Valid date is required (22-02-30)")),
            (
                "?startdate=22-11-01&enddate=22-10-31",
                (15501, "Invalid date range. Start date 22-11-01 must be before end date 22-10-31"),
            ),
        ] {
            let reply = app.send(get(disconnects(query))).await;
            assert_eq!(reply.error(), (400, Some(code), text), "{query}");
        }
        golden!(app, "list_refused", app.send(get(disconnects("?size=0"))).await);
    })
    .await;
}

#[tokio::test]
async fn notes_are_written_read_and_written_again() {
    with_app(Seed::two_accounts(), async |app| {
        let order = app.disconnect(&["5405514342"]).await;
        let notes = format!("{order}/notes");
        golden!(app, "notes_none", app.send(get(&notes)).await);
        let added = app.send(post(&notes, xml::note("username", "This is a test note"))).await;
        golden!(app, "note_added", added.clone().redacted_tail());
        let at = app.path_of(added.header("location").unwrap());
        let id = at.strip_prefix(&format!("{notes}/")).unwrap();
        assert!(id.parse::<u32>().is_ok(), "{id}");
        app.send(post(&notes, xml::note("orderer", "R&amp;D")).by(Who::Orderer)).await.expect(201);
        let written = app.send(put(&at, xml::note("username", "another text"))).await;
        golden!(app, "note_written_again", written);
        let listed = app.send(get(&notes)).await;
        assert_eq!(listed.elements("Id")[0], id);
        assert_eq!(listed.elements("Description"), ["another text", "R&amp;D"]);
        assert_eq!(listed.elements("UserId"), ["username", "orderer"]);
        golden!(app, "notes_two", listed);
        // The longest note there is.
        app.send(post(&notes, xml::note("username", &"ü".repeat(500)))).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_note_is_answered_with_its_code() {
    with_app(Seed::two_accounts(), async |app| {
        let order = app.disconnect(&["5405514342"]).await;
        let other = app.disconnect(&["7034343704"]).await;
        let notes = format!("{order}/notes");
        let note = app.send(post(&notes, xml::note("username", "a note"))).await.expect(201);
        let note = app.path_of(note.header("location").unwrap());
        let long = xml::note("username", &"n".repeat(501));
        let (_, other_root) = bad_request("the root element is Note");
        for (what, body, (code, text)) in [
            ("nobody's", "<Note><Description>x</Description></Note>", (12501, "Username is required")),
            ("an empty user's", &xml::note("", "x"), (12501, "Username is required")),
            ("another user's", &xml::note("orderer", "x"), (1008, "UserId: 'orderer' is not a valid value")),
            ("no text", "<Note><UserId>username</UserId></Note>", (1003, "Description is required")),
            ("an empty text", &xml::note("username", " "), (1003, "Description is required")),
            ("a long text", &long, (1011, "Description is too long. Max length 500 characters")),
            ("another root", "<Order/>", (1019, &other_root)),
        ] {
            for call in [post(&notes, body), put(&note, body)] {
                let reply = app.send(call).await;
                assert_eq!(reply.error(), (400, Some(code), text), "{what}");
                assert!(
                    reply.text().contains("<NoteResponse><ResponseStatus><ErrorCode>"),
                    "{}",
                    reply.text()
                );
            }
        }
        golden!(app, "note_refused", app.send(post(&notes, xml::note("", "x"))).await);

        let good = xml::note("username", "x");
        let (no_note, no_order) =
            ((404, Some(5040), "Note not found."), (404, Some(5061), "Order ID is invalid."));
        let unknown = disconnects("/6d7da966-e071-4741-b31c-1d8932f4b8da/notes");
        for (call, error) in [
            (put(format!("{notes}/999999"), good.as_str()), no_note),
            (put(format!("{notes}/x"), good.as_str()), no_note),
            (put(note.replace(&order, &other), good.as_str()), no_note),
            (post(&unknown, good.as_str()), no_order),
            (get(&unknown), no_order),
        ] {
            let reply = app.send(call.clone()).await;
            assert_eq!(reply.error(), error, "{call:?}");
        }
        let listed = app.send(get(&notes)).await;
        assert_eq!(listed.elements("Description"), ["a note"]);
        assert_eq!(app.send(get(format!("{other}/notes"))).await.elements("Description").len(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_not_there_is_not_found() {
    with_app(Seed::two_accounts(), async |app| {
        let unknown = "6d7da966-e071-4741-b31c-1d8932f4b8da";
        let not_found = app.send(get(disconnects(&format!("/{unknown}")))).await;
        golden!(app, "not_found", not_found);

        // A number order, and another account's disconnect order, are as unknown as one that never existed.
        let body = xml::order(app.site, &[POOL]);
        let (_, number_order) = app.place(post(format!("/api/accounts/{ACCOUNT}/orders"), body)).await;
        let theirs = post(format!("/api/accounts/{NEIGHBOUR}/disconnects"), xml::disconnect(&[NEIGHBOURS]));
        let (_, theirs) = app.place(theirs.by(Who::Neighbour)).await;
        for path in [number_order, theirs] {
            let id = path.rsplit('/').next().unwrap();
            for rest in [format!("/{id}"), format!("/{id}/notes"), format!("?page={id}")] {
                let found = app.send(get(disconnects(&rest))).await.without_date();
                let never = app.send(get(disconnects(&rest.replace(id, unknown)))).await.without_date();
                let names = |reply: &crate::app::Reply| {
                    (reply.status, reply.text().replace(unknown, "").replace(id, ""))
                };
                assert_eq!(names(&found), names(&never), "{rest}");
                assert_eq!(found.headers, never.headers, "{rest}");
            }
        }
        for wrong in ["x", "6d7da966e0714741b31c1d8932f4b8da", "%7B6d7da966-e071-4741-b31c-1d8932f4b8da%7D"] {
            let reply = app.send(get(disconnects(&format!("/{wrong}")))).await;
            assert_eq!((reply.status, reply.code()), (400, Some(1008)), "{wrong}");
        }
        golden!(app, "malformed_id", app.send(get(disconnects("/x"))).await);
    })
    .await;
}

#[tokio::test]
async fn an_id_and_a_path_are_read_without_regard_to_case() {
    with_app(Seed::two_accounts(), async |app| {
        let path = app.disconnect(&["5405514342"]).await;
        let shouted = app.send(get(path.to_ascii_uppercase())).await.expect(200);
        assert_eq!(shouted.text(), app.send(get(&path)).await.text());
    })
    .await;
}

#[tokio::test]
async fn details_are_asked_for_with_true_or_false() {
    with_app(Seed::two_accounts(), async |app| {
        let path = app.disconnect(&["5405514342"]).await;
        let plain = app.send(get(&path)).await;
        for query in ["?tndetail=true", "?tnDetail=False", "?tndetail=1", "?tndetail="] {
            assert_eq!(app.send(get(format!("{path}{query}"))).await.text(), plain.text(), "{query}");
        }
        let reply = app.send(get(format!("{path}?tndetail=yes"))).await;
        assert_eq!(
            reply.error(),
            (400, Some(1008), "tndetail: 'yes' is not a valid value. Valid values are: true, false")
        );
    })
    .await;
}

#[tokio::test]
async fn a_path_that_is_no_resource_is_not_found() {
    with_app(Seed::two_accounts(), async |app| {
        for path in [
            "/",
            "/api",
            "/api/accounts",
            "/accounts/9900000/disconnects",
            "/v2/tns/5405514342",
            "/api/v3/tns/5405514342",
        ] {
            let reply = app.send(get(path)).await;
            assert_eq!((reply.status, reply.code()), (404, None), "{path}");
        }
        golden!(app, "no_resource", app.send(get("/api/nothing")).await);
    })
    .await;
}

#[tokio::test]
async fn an_order_s_time_is_the_time_it_was_sent() {
    with_app(Seed::two_accounts(), async |app| {
        let before = now();
        let received = app.send(post(disconnects(""), GUIDE_REQUEST)).await;
        let at = received.element("OrderCreateDate").unwrap().parse().unwrap();
        assert!(before <= at && at <= now(), "{before} <= {at}");
    })
    .await;
}
