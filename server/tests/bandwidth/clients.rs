//! Requests as Bandwidth's own client libraries send them, each by its habits.

use crate::app::{Seed, Who, account, basic, disconnects, get, post, with_app};

#[tokio::test]
async fn node_sends_pretty_printed_documents_with_a_small_name() {
    with_app(Seed::two_accounts(), async |app| {
        let body = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<DisconnectTelephoneNumberOrder>
  <name>training run</name>
  <DisconnectTelephoneNumberOrderType>
    <TelephoneNumberList>
      <TelephoneNumber>5405514342</TelephoneNumber>
      <TelephoneNumber>7034343704</TelephoneNumber>
    </TelephoneNumberList>
  </DisconnectTelephoneNumberOrderType>
</DisconnectTelephoneNumberOrder>"#;
        let (received, path) = app.place(post(disconnects(""), body).content_type("application/xml")).await;
        assert_eq!(received.element("Name"), Some("training run"));
        // Whatever the status, an error code in the body is an error to it: a good answer has none.
        let fetched = app.ended(get(path)).await;
        assert_eq!((fetched.element("OrderStatus"), fetched.code()), (Some("COMPLETE"), None));
    })
    .await;
}

#[tokio::test]
async fn c_sharp_declares_namespaces_and_starts_at_the_root() {
    with_app(Seed::two_accounts(), async |app| {
        let body = "\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n\
            <DisconnectTelephoneNumberOrder xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
            xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\r\n  <name>training run</name>\r\n  \
            <DisconnectTelephoneNumberOrderType>\r\n    <TelephoneNumberList>\r\n      \
            <TelephoneNumber>5405514342</TelephoneNumber>\r\n    </TelephoneNumberList>\r\n  \
            </DisconnectTelephoneNumberOrderType>\r\n</DisconnectTelephoneNumberOrder>";
        let call = post("/v1.0/accounts/9900000/disconnects", body).header("Accept", "application/xml");
        let (received, path) = app.place(call).await;
        assert!(path.starts_with("/v1.0/accounts/9900000/disconnects/"), "{path}");
        assert_eq!(app.ended(get(path)).await.element("OrderStatus"), Some("COMPLETE"));
        // Its deserializer knows bare names only.
        assert!(!received.text().contains("xmlns"), "{}", received.text());
    })
    .await;
}

#[tokio::test]
async fn python_sorts_its_elements_and_names_a_type_for_what_it_only_reads() {
    with_app(Seed::two_accounts(), async |app| {
        let body = "<?xml version='1.0' encoding='UTF-8'?>\n<DisconnectTelephoneNumberOrder>\
            <CustomerOrderId>id-1</CustomerOrderId><DisconnectTelephoneNumberOrderType>\
            <DisconnectMode>normal</DisconnectMode><TelephoneNumberList><TelephoneNumber>5405514342</TelephoneNumber>\
            <TelephoneNumber>7034343704</TelephoneNumber></TelephoneNumberList></DisconnectTelephoneNumberOrderType>\
            <Name>training run</Name></DisconnectTelephoneNumberOrder>";
        let call = post(disconnects(""), body).without("content-type").header("content-type", "application/xml");
        let (_, path) = app.place(call).await;
        let fetched = app.ended(get(path).header("content-type", "application/xml")).await;
        assert_eq!(fetched.element("OrderStatus"), Some("COMPLETE"));
        let listed = app.send(get(disconnects("?page=1&size=30")).header("content-type", "application/xml")).await;
        assert_eq!(listed.expect(200).element("TotalCount"), Some("1"));
    })
    .await;
}

#[tokio::test]
async fn php_spells_the_list_of_disconnected_numbers_its_own_way() {
    with_app(Seed::two_accounts(), async |app| {
        let body = "<?xml version=\"1.0\"?>\n<DisconnectTelephoneNumberOrder><name>n</name>\
            <CustomerOrderId>c</CustomerOrderId><DisconnectTelephoneNumberOrderType><TelephoneNumberList>\
            <TelephoneNumber>5405514342</TelephoneNumber></TelephoneNumberList>\
            </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>\n";
        let (_, path) = app.place(post(disconnects(""), body).content_type("application/xml")).await;
        app.ended(get(format!("{path}?tndetail=true"))).await;
        let numbers = app.send(get(account("/discNumbers"))).await.expect(200);
        assert_eq!(numbers.elements("TelephoneNumber"), ["5405514342"]);
        let totals = app.send(get(account("/discNumbers/totals"))).await.expect(200);
        assert_eq!(totals.element("Count"), Some("1"));
    })
    .await;
}

#[tokio::test]
async fn java_asks_without_credentials_first() {
    with_app(Seed::two_accounts(), async |app| {
        let body = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<DisconnectTelephoneNumberOrder>
    <Name>training run</Name>
    <DisconnectTelephoneNumberOrderType>
        <TelephoneNumberList>
            <TelephoneNumber>5405514342</TelephoneNumber>
        </TelephoneNumberList>
        <DisconnectMode>normal</DisconnectMode>
    </DisconnectTelephoneNumberOrderType>
</DisconnectTelephoneNumberOrder>"#;
        let call = post("/v1.0/accounts/9900000/disconnects", body).header("x-realm", "admin");
        let before = app.counts().await;
        golden!(app, "challenge", app.send(call.clone().by(Who::Nobody)).await);
        assert_eq!(app.counts().await, before);
        let (_, path) = app.place(call).await;
        let fetched = app.ended(get(path)).await;
        assert_eq!(fetched.elements("TelephoneNumber"), ["5405514342", "5405514342"]);
    })
    .await;
}

#[tokio::test]
async fn the_command_line_sends_no_name_and_e164() {
    with_app(Seed::two_accounts(), async |app| {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DisconnectTelephoneNumberOrder>\
            <DisconnectTelephoneNumberOrderType><TelephoneNumberList><TelephoneNumber>+19195551001</TelephoneNumber>\
            </TelephoneNumberList></DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>";
        let call = post("/api/v2/accounts/9900000/disconnects", body).content_type("application/xml");
        let (received, path) = app.place(call).await;
        golden!(app, "command_line", received);
        assert_eq!(app.ended(get(path)).await.element("OrderStatus"), Some("COMPLETE"));
    })
    .await;
}

#[tokio::test]
async fn a_type_may_be_left_out_where_the_document_speaks_for_itself() {
    with_app(Seed::two_accounts(), async |app| {
        let body = crate::app::xml::disconnect(&["5405514342"]);
        for start in ["", "\n  ", "\u{FEFF}", "<?xml version=\"1.0\"?>"] {
            let call = post(disconnects(""), format!("{start}{body}")).without("content-type");
            let reply = app.send(call).await;
            assert_eq!(reply.status, 201, "{start:?}: {}", reply.text());
        }
        for body in ["", "{}", "name=x"] {
            let reply = app.send(post(disconnects(""), body).without("content-type")).await;
            assert_eq!(reply.status, 415, "{body:?}");
        }
        // The scheme's case is of no account, and a colon belongs to the password.
        let lower = basic("username", "password").replace("Basic", "basic");
        let call = get(disconnects("")).by(Who::Nobody).header("authorization", &lower);
        app.send(call).await.expect(200);
    })
    .await;
}
