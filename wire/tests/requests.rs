//! Requests as real clients write them: what is read, and what is refused rather than passed over.

#![allow(clippy::unwrap_used, reason = "tests")]

use onhook_core::account::Role;
use onhook_core::ids::AccountId;
use onhook_core::notify::subscription::Receiver;
use onhook_core::number::Number;
use onhook_core::order::{Protected, Wanted};
use onhook_wire::dialect::Dialect;
use onhook_wire::error::{Problem, Row};
use onhook_wire::query::Query;
use onhook_wire::xml::{Element, parse};
use onhook_wire::{
    disconnects, json, localities, moves, notes, order_search, orders, peers, reservations, search, sites,
    subscriptions, tns, users,
};

/// The guide's two numbers.
const ONE: &str = "5405514342";
const OTHER: &str = "7034343704";

type Read<T> = Result<T, Row>;

/// Reads a document in XML, or in JSON if it begins with a brace.
fn read<T>(root: &str, document: &str, reader: impl FnOnce(&Element<'_>) -> Result<T, Problem>) -> Read<T> {
    let translated = if document.starts_with('{') {
        json::to_xml(root, document.as_bytes()).map_err(Problem::from).map_err(|p| p.row())?
    } else {
        document.to_owned()
    };
    let root = parse(translated.as_bytes()).map_err(Problem::from).map_err(|p| p.row())?;
    reader(&root).map_err(|problem| problem.row())
}

fn disconnect(document: &str) -> Read<disconnects::Post> {
    read(disconnects::REQUEST, document, |root| {
        disconnects::Draft::read(root)?.check(Dialect::V2, Role::Order)
    })
}

/// A disconnect of the first number, with more of the order and more in its type.
fn disconnect_with(more: &str, in_type: &str) -> Read<disconnects::Post> {
    disconnect(&format!(
        "<DisconnectTelephoneNumberOrder xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">{more}\
         <DisconnectTelephoneNumberOrderType><TelephoneNumberList><TelephoneNumber>{ONE}</TelephoneNumber>\
         </TelephoneNumberList>{in_type}</DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
    ))
}

/// A disconnect whose list holds this.
fn disconnect_of(list: &str) -> Read<disconnects::Post> {
    disconnect(&format!(
        "<DisconnectTelephoneNumberOrder><DisconnectTelephoneNumberOrderType><TelephoneNumberList>{list}\
         </TelephoneNumberList></DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
    ))
}

fn order(document: &str) -> Read<orders::Post> {
    read(orders::REQUEST, document, |root| orders::Draft::read(root)?.check())
}

/// An order of the first number, with more of the order and more in its type.
fn order_with(more: &str, in_type: &str) -> Read<orders::Post> {
    order(&format!(
        "<Order xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\"><SiteId>1</SiteId>{more}\
         <ExistingTelephoneNumberOrderType><TelephoneNumberList><TelephoneNumber>{ONE}</TelephoneNumber>\
         </TelephoneNumberList>{in_type}</ExistingTelephoneNumberOrderType></Order>"
    ))
}

fn moved(document: &str) -> Read<moves::Post> {
    read(moves::REQUEST, document, |root| moves::read(root, AccountId::new(9_900_000).unwrap()))
}

fn lookup(document: &str) -> Read<Vec<String>> {
    read(tns::REQUEST, document, |root| Ok(tns::lookup(root)?.into_iter().map(str::to_owned).collect()))
}

fn to_peer(document: &str) -> Read<Vec<Number>> {
    read(peers::MOVED, document, peers::to_move)
}

fn peer(document: &str) -> Read<onhook_core::account::details::PeerChange> {
    read(peers::REQUEST, document, |root| peers::read(root, None))
}

fn site(document: &str) -> Read<onhook_core::account::details::SiteChange> {
    read(sites::REQUEST, document, |root| sites::read(root, None))
}

fn user(document: &str) -> Read<users::Said> {
    read(users::REQUEST, document, users::read)
}

fn subscription(document: &str) -> Read<subscriptions::Post> {
    read(subscriptions::REQUEST, document, subscriptions::Post::read)
}

fn note(document: &str) -> Read<String> {
    read(notes::REQUEST, document, |root| notes::read(root, "username"))
}

fn query(text: &str) -> Query {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    Query::new(text.split('&').map(pair).collect())
}

fn code<T: std::fmt::Debug>(read: Read<T>) -> u16 {
    read.unwrap_err().code.unwrap()
}

fn numbers(digits: &[&str]) -> Vec<Number> {
    digits.iter().map(|digits| digits.parse().unwrap()).collect()
}

#[test]
fn true_and_false_are_written_in_four_ways_everywhere() {
    for (text, truth) in [
        ("true", true),
        ("TRUE", true),
        ("True", true),
        ("1", true),
        ("false", false),
        ("False", false),
        ("0", false),
    ] {
        let default =
            peer(&format!("<SipPeer><PeerName>n</PeerName><IsDefaultPeer>{text}</IsDefaultPeer></SipPeer>"));
        assert_eq!(default.unwrap().is_default, Some(truth), "{text}");
        let calling = peer(&format!(
            "<SipPeer><PeerName>n</PeerName><CallingName><Display>{text}</Display></CallingName></SipPeer>"
        ));
        assert_eq!(calling.unwrap().calling_name.unwrap().display, Some(truth), "{text}");
        let partial = order_with(&format!("<PartialAllowed>{text}</PartialAllowed>"), "").unwrap();
        assert_eq!(partial.activate.partial_allowed, truth, "{text}");
        let protected = disconnect_with("", &format!("<Protected>{text}</Protected>")).unwrap();
        assert_eq!(protected.disconnect.protected.and_then(Protected::value), Some(truth), "{text}");
        let retry = subscription(&format!(
            "<Subscription><OrderType>orders</OrderType><CallbackSubscription><URL>https://example.com/</URL>\
             <Delivery><Sign>{text}</Sign></Delivery></CallbackSubscription></Subscription>"
        ));
        assert_eq!(retry.unwrap().sign, truth, "{text}");
        let amendment = format!("<Order><CloseOrder>{text}</CloseOrder></Order>");
        assert_eq!(read("Order", &amendment, orders::read_amendment).unwrap().close, truth, "{text}");
        let found = order(&format!(
            "<Order><SiteId>1</SiteId><BackOrderRequested>{text}</BackOrderRequested><CombinedSearchAndOrderType>\
             <AreaCode>540</AreaCode><Quantity>1</Quantity><EnableLCA>{text}</EnableLCA></CombinedSearchAndOrderType></Order>"
        ));
        let Wanted::Found(search) = found.unwrap().activate.wanted else { panic!("{text}") };
        assert_eq!(search.back_order, truth, "{text}");
        let ends_in = order(&format!(
            "<Order><SiteId>1</SiteId><CombinedSearchAndOrderType><AreaCode>540</AreaCode><LocalVanity>1234</LocalVanity>\
             <EndsIn>{text}</EndsIn><Quantity>1</Quantity></CombinedSearchAndOrderType></Order>"
        ));
        let Wanted::Found(search) = ends_in.unwrap().activate.wanted else { panic!("{text}") };
        assert_eq!(search.criteria.vanity.unwrap().at_end, truth, "{text}");
        let found = search::read(&query(&format!("areaCode=540&enableTNDetail={text}&LCA={text}"))).unwrap();
        assert_eq!(found.details, truth, "{text}");
        assert_eq!(
            localities::read_state(&query(&format!("state=VA&available={text}"))).unwrap().available,
            truth,
            "{text}"
        );
    }
    for (value, truth) in
        [("true", true), ("1", true), ("\"1\"", true), ("false", false), ("0", false), ("\"0\"", false)]
    {
        let body = format!(
            r#"{{"subAccountId":1,"partialAllowed":{value},"orderType":{{"type":"existingPhoneNumberOrderType","phoneNumbers":["{ONE}"]}}}}"#
        );
        assert_eq!(order(&body).unwrap().activate.partial_allowed, truth, "{value}");
    }
}

#[test]
fn an_empty_partial_allowed_is_not_the_default() {
    // One library writes false as an empty element: taken for absent, it would allow what it forbids.
    for empty in
        ["<PartialAllowed/>", "<PartialAllowed></PartialAllowed>", "<partialallowed> </partialallowed>"]
    {
        assert_eq!(code(order_with(empty, "")), 5217, "{empty}");
    }
    assert_eq!(code(order_with("<PartialAllowed>perhaps</PartialAllowed>", "")), 5217);
    assert_eq!(code(disconnect_with("", "<Protected/>")), 5108);
}

#[test]
fn a_wrong_value_is_told_with_its_name_and_what_is_valid() {
    let truths = "Valid values are: true, false";
    let said = |read: Row| (read.code.unwrap(), read.text);
    let asked = |text: &str| search::read(&query(text)).unwrap_err().row();
    let callback = |inner: &str| {
        subscription(&format!(
            "<Subscription><OrderType>orders</OrderType><CallbackSubscription><URL>https://example.com/</URL>{inner}\
             </CallbackSubscription></Subscription>"
        ))
        .unwrap_err()
    };
    let role = "<User><Roles><Role><RoleName>ROLE_USER</RoleName></Role></Roles></User>";
    let bad_order = |inner: &str| order_with(inner, "").unwrap_err();
    let reservation = "<ReservationIdList><ReservationId>x</ReservationId></ReservationIdList>";
    for (row, code, text) in [
        (asked("areaCode=540&endsIn=0123"), 1008, format!("endsIn: '0123' is not a valid value. {truths}")),
        (asked("areaCode=540&LCA=2"), 1008, format!("LCA: '2' is not a valid value. {truths}")),
        (asked("areaCode=540&quantity=many"), 1014, "quantity: many is not a valid number".into()),
        (query("page=x").order_page().unwrap_err().row(), 1008, "page: 'x' is not a valid UUID".into()),
        (query("state=N1").region().unwrap_err().row(), 1008, "state: 'N1' is not a valid value".into()),
        (query("lata=x").lata().unwrap_err().row(), 1008, "lata: 'x' is not a valid value".into()),
        (
            peer("<SipPeer><PeerName>n</PeerName><IsDefaultPeer>perhaps</IsDefaultPeer></SipPeer>")
                .unwrap_err(),
            1008,
            format!("IsDefaultPeer: 'perhaps' is not a valid value. {truths}"),
        ),
        (
            bad_order("<BackOrderRequested>perhaps</BackOrderRequested>"),
            1008,
            format!("BackOrderRequested: 'perhaps' is not a valid value. {truths}"),
        ),
        (order_with("", reservation).unwrap_err(), 1008, "ReservationId: 'x' is not a valid UUID".into()),
        (
            callback("<NumberFormat>x</NumberFormat>"),
            1008,
            "NumberFormat: 'x' is not a valid value. Valid values are: LEGACY, E164".into(),
        ),
        (
            user(role).unwrap_err(),
            1008,
            "RoleName: 'ROLE_USER' is not a valid value. Valid values are: read, order, admin, operator"
                .into(),
        ),
        (
            note("<Note><UserId>other</UserId></Note>").unwrap_err(),
            1008,
            "UserId: 'other' is not a valid value".into(),
        ),
        (
            subscription("<Subscription><OrderType>orders</OrderType><OrderId>x</OrderId></Subscription>")
                .unwrap_err(),
            1008,
            "OrderId: 'x' is not a valid UUID".into(),
        ),
    ] {
        assert_eq!(said(row), (code, text));
    }
}

#[test]
fn a_name_counts_whatever_the_case_of_its_letters() {
    let protected = |post: disconnects::Post| post.disconnect.protected;
    for wish in ["<protected>TRUE</protected>", "<PROTECTED>true</PROTECTED>"] {
        assert_eq!(disconnect_with("", wish).map(protected), Ok(Some(Protected::True)), "{wish}");
    }
    let shouted = format!(
        "<disconnecttelephonenumberorder><NAME>n</NAME><disconnecttelephonenumberordertype><TELEPHONENUMBERLIST>\
         <telephoneNumber>{ONE}</telephoneNumber></TELEPHONENUMBERLIST><disconnectMode>soft-remove</disconnectMode>\
         </disconnecttelephonenumberordertype></disconnecttelephonenumberorder>"
    );
    let post = disconnect(&shouted).unwrap();
    assert_eq!((post.name.as_deref(), post.disconnect.numbers), (Some("n"), numbers(&[ONE])));
    let json = format!(
        r#"{{"CustomerOrderID":"c","DisconnectOrderType":{{"disconnectmode":"soft-remove","PROTECTED":true,"phonenumbers":["{ONE}"]}}}}"#
    );
    let post = disconnect(&json).unwrap();
    assert_eq!(
        (post.customer_order_id.as_deref(), post.disconnect.protected),
        (Some("c"), Some(Protected::True))
    );

    let post = order_with(
        "<PeerID>2</PeerID><partialAllowed>false</partialAllowed><tnAttributes><tnAttribute>Protected</tnAttribute></tnAttributes>",
        "",
    );
    let activate = post.unwrap().activate;
    assert_eq!(
        (activate.peer.map(|peer| peer.get()), activate.partial_allowed, activate.protected),
        (Some(2), false, true)
    );
    let json = format!(
        r#"{{"subaccountid":1,"LocationID":2,"ordertype":{{"Type":"existingPhoneNumberOrderType","PhoneNumbers":["{ONE}"]}},"tnattributes":["Protected"]}}"#
    );
    let activate = order(&json).unwrap().activate;
    assert_eq!((activate.peer.map(|peer| peer.get()), activate.protected), (Some(2), true));

    let post = moved(&format!(
        "<movetnsorder><siteId>1</siteId><sippeerid>2</sippeerid><telephonenumbers><telephonenumber>{ONE}</telephonenumber></telephonenumbers></movetnsorder>"
    ));
    assert_eq!(post.unwrap().move_numbers.peer.map(|peer| peer.get()), Some(2));
    let json = format!(r#"{{"SubAccountId":1,"locationID":2,"phonenumbers":["{ONE}"]}}"#);
    assert_eq!(moved(&json).unwrap().move_numbers.peer.map(|peer| peer.get()), Some(2));
    assert_eq!(lookup(&format!("<tnlist><TN>{ONE}</TN></tnlist>")), Ok(vec![ONE.to_owned()]));
    assert_eq!(to_peer("<siptest/>").unwrap_err().status, 400);
    assert_eq!(
        to_peer(&format!(
            "<sipPeerTelephoneNumbers><fullNumber>{ONE}</fullNumber></sipPeerTelephoneNumbers>"
        )),
        Ok(numbers(&[ONE]))
    );
    let made = peer("<sippeer><peername>n</peername><isDefaultPeer>true</isDefaultPeer></sippeer>").unwrap();
    assert_eq!(made.is_default, Some(true));
    let made = site("<site><name>n</name><address><city>Roanoke</city></address></site>").unwrap();
    assert_eq!(made.address.unwrap().len(), 1);
    let said = user("<user><userName>n</userName><password>a long one</password></user>").unwrap();
    assert_eq!(said.password.as_deref(), Some("a long one"));
    assert_eq!(
        read("User", "<password>a long one</password>", users::read_password),
        Ok("a long one".into())
    );
    assert_eq!(note("<note><userid>username</userid><DESCRIPTION>n</DESCRIPTION></note>"), Ok("n".into()));
    let held = read(
        "Reservation",
        &format!("<reservation><reservedTN>{ONE}</reservedTN></reservation>"),
        reservations::read,
    );
    assert_eq!(held, Ok(ONE.parse().unwrap()));
    let post = subscription(
        "<subscription><ordertype>orders</ordertype><callbackSubscription><url>https://example.com/</url><expiry>60</expiry>\
         <callbackCredentials><basicAuthentication><username>a</username><password>b</password></basicAuthentication>\
         </callbackCredentials></callbackSubscription></subscription>",
    );
    let post = post.unwrap();
    let Receiver::Callback(callback) = post.receiver else { panic!() };
    assert_eq!((post.expiry_s, callback.credentials.is_some()), (Some(60), true));
}

#[test]
fn one_name_in_two_spellings_is_there_twice() {
    for twice in [
        disconnect_with("", "<Protected>TRUE</Protected><protected>FALSE</protected>"),
        disconnect_with("<Name>a</Name><name>a</name>", ""),
        disconnect(&format!(
            r#"{{"disconnectOrderType":{{"phoneNumbers":["{ONE}"],"phonenumbers":["{OTHER}"]}}}}"#
        )),
        disconnect(&format!(
            r#"{{"disconnectOrderType":{{"phoneNumbers":["{ONE}"],"telephoneNumberList":["{OTHER}"]}}}}"#
        )),
        disconnect(&format!(
            r#"{{"name":"a","NAME":"b","disconnectOrderType":{{"phoneNumbers":["{ONE}"]}}}}"#
        )),
    ] {
        assert_eq!(code(twice), 1009);
    }
    let both = r#"{"subAccountId":1,"orderType":{"type":"existingPhoneNumberOrderType","phoneNumbers":["5405514342"]},"ordertype":{"type":"stateSearchAndOrderType"}}"#;
    assert_eq!(code(order(both)), 1009);
    let both = r#"{"orderType":{"type":"existingPhoneNumberOrderType","Type":"stateSearchAndOrderType","phoneNumbers":["5405514342"]}}"#;
    assert_eq!(code(order(both)), 1009);
}

#[test]
fn what_is_nil_is_not_there() {
    for nil in ["nil=\"true\"", "xsi:nil='1'", "i:nil=\"TRUE\"", "a=\"b\" xsi:nil=\"true\""] {
        let element = |name: &str| format!("<{name} {nil}/>");
        let open = |name: &str| format!("<{name} {nil}>\n</{name}>");
        let writers: [&dyn Fn(&str) -> String; 2] = [&element, &open];
        for write in writers {
            let partial = order_with(&write("PartialAllowed"), "").unwrap();
            assert!(partial.activate.partial_allowed, "{nil}");
            let post = disconnect_with("", &(write("Protected") + &write("DisconnectMode"))).unwrap();
            assert_eq!(post.disconnect.protected, None, "{nil}");
            assert!(order_with(&write("StateSearchAndOrderType"), "").is_ok(), "{nil}");
            assert_eq!(
                disconnect_of(&format!(
                    "<TelephoneNumber>{ONE}</TelephoneNumber>{}",
                    write("TelephoneNumber")
                ))
                .unwrap()
                .disconnect
                .numbers
                .len(),
                1
            );
            let post = subscription(&format!(
                "<Subscription><OrderType>orders</OrderType><CallbackSubscription><URL>https://example.com/</URL>\
                 </CallbackSubscription>{}</Subscription>",
                write("EmailSubscription")
            ));
            assert!(post.is_ok(), "{nil}");
        }
    }
    // What is not nil is there.
    for not in
        ["nil=\"false\"", "xsi:nil='0'", "xsi:nillable='true'", "nil=\"\"", "nil='yes'", "xmlns:nil='true'"]
    {
        assert_eq!(code(order_with(&format!("<PartialAllowed {not}/>"), "")), 5217, "{not}");
    }
    // An element that says that it is nothing, and holds something, contradicts itself.
    for both in ["<TelephoneNumber nil='true'>7034343704</TelephoneNumber>", "<a xsi:nil='1'><b/></a>"] {
        assert_eq!(
            code(disconnect_of(&format!("<TelephoneNumber>{ONE}</TelephoneNumber>{both}"))),
            1019,
            "{both}"
        );
    }
    assert!(parse(b"<Order xsi:nil='true'/>").is_err());
}

#[test]
fn no_number_is_passed_over() {
    let number = format!("<TelephoneNumber>{OTHER}</TelephoneNumber>");
    let listed = format!("<TelephoneNumber>{ONE}</TelephoneNumber>");
    let list = format!("<TelephoneNumberList>{number}</TelephoneNumberList>");
    let stray = |read: Row, name: &str| {
        assert_eq!((read.status, read.code), (400, Some(5001)), "{name}: {read:?}");
        assert!(read.text.contains(&format!("'{name}'")), "{name}: {read:?}");
    };
    for (more, name) in [
        (number.clone(), "TelephoneNumber"),
        (list.clone(), "TelephoneNumberList"),
        (format!("<Tn>{OTHER}</Tn>"), "Tn"),
        (format!("<FullNumber>{OTHER}</FullNumber>"), "FullNumber"),
        (format!("<Whatever>{OTHER}</Whatever>"), "Whatever"),
        (format!("<Whatever><a>+1{OTHER}</a></Whatever>"), "Whatever"),
        ("<telephoneNumber>703-434-3704</telephoneNumber>".into(), "telephoneNumber"),
        ("<PhoneNumbers><Item>703-434-3704</Item></PhoneNumbers>".into(), "PhoneNumbers"),
    ] {
        stray(disconnect_with(&more, "").unwrap_err(), name);
        stray(order_with(&more, "").unwrap_err(), name);
        if name != "TelephoneNumberList" {
            stray(disconnect_with("", &more).unwrap_err(), name);
            stray(order_with("", &more).unwrap_err(), name);
        }
    }
    for name in ["Tn", "FullNumber", "PhoneNumber", "Telephone_Number", "UNCHANGED"] {
        for inside in [OTHER, "703-434-3704", ""] {
            stray(disconnect_of(&format!("{listed}<{name}>{inside}</{name}>")).unwrap_err(), name);
        }
    }
    stray(disconnect_of(&format!("{listed}{OTHER}")).unwrap_err(), "TelephoneNumberList");
    stray(disconnect_of(&format!("{listed}, 703-434-3704")).unwrap_err(), "TelephoneNumberList");
    stray(disconnect_with(OTHER, "").unwrap_err(), "DisconnectTelephoneNumberOrder");
    stray(disconnect_with("", OTHER).unwrap_err(), "DisconnectTelephoneNumberOrderType");
    stray(order_with(&format!("{OTHER},"), "").unwrap_err(), "Order");
    let search = format!(
        "<Order><SiteId>1</SiteId><StateSearchAndOrderType><State>VA</State><Quantity>1</Quantity>{number}</StateSearchAndOrderType></Order>"
    );
    stray(order(&search).unwrap_err(), "TelephoneNumber");
    let order_type = format!(r#""disconnectOrderType":{{"phoneNumbers":["{ONE}"]}}"#);
    for (beside, name) in [
        (format!(r#""phoneNumbers":["{OTHER}"]"#), "TelephoneNumberList"),
        (format!(r#""telephoneNumber":"{OTHER}""#), "TelephoneNumber"),
        (format!(r#""whatever":[{OTHER}]"#), "Whatever"),
        (format!(r#""phone numbers":["{OTHER}"]"#), "_"),
    ] {
        stray(disconnect(&format!("{{{order_type},{beside}}}")).unwrap_err(), name);
    }
    for unknown in
        [r#"{"type":"another","phoneNumbers":["7034343704"]}"#, r#"["7034343704"]"#, r#""7034343704""#]
    {
        let both = format!(
            r#"{{"subAccountId":1,"existingTelephoneNumberOrderType":{{"phoneNumbers":["{ONE}"]}},"orderType":{unknown}}}"#
        );
        assert_eq!(code(order(&both)), 5001, "{unknown}");
    }
    let one = |inner: &str| {
        moved(&format!(
            "<MoveTnsOrder><SiteId>1</SiteId><TelephoneNumbers>{listed}</TelephoneNumbers>{inner}</MoveTnsOrder>"
        ))
    };
    stray(one(&number).unwrap_err(), "TelephoneNumber");
    stray(one(&list).unwrap_err(), "TelephoneNumberList");
    stray(one(OTHER).unwrap_err(), "MoveTnsOrder");
    stray(one(&format!("<TelephoneNumbers><Tn>{OTHER}</Tn></TelephoneNumbers>")).unwrap_err(), "Tn");
    assert_eq!(
        one(&format!("<TelephoneNumbers>{number}</TelephoneNumbers>")).unwrap().move_numbers.numbers.len(),
        2
    );
    let look = |inner: &str| lookup(&format!("<TnList><Tn>{ONE}</Tn>{inner}</TnList>"));
    stray(look(&number).unwrap_err(), "TelephoneNumber");
    stray(look(OTHER).unwrap_err(), "TnList");
    stray(look("<Tns><Tn>7034343704</Tn></Tns>").unwrap_err(), "Tns");
    let to = |inner: &str| {
        to_peer(&format!(
            "<SipPeerTelephoneNumbers><FullNumber>{ONE}</FullNumber>{inner}</SipPeerTelephoneNumbers>"
        ))
    };
    stray(
        to(&format!("<SipPeerTelephoneNumber><FullNumber>{OTHER}</FullNumber></SipPeerTelephoneNumber>"))
            .unwrap_err(),
        "SipPeerTelephoneNumber",
    );
    stray(to(OTHER).unwrap_err(), "SipPeerTelephoneNumbers");

    // What is no number is passed over, as ever.
    for harmless in [
        "<UNCHANGED>TRUE</UNCHANGED>",
        "<OrderCreateDate>2026-11-26T14:30:00.000Z</OrderCreateDate>",
        "<AccountId>9900000</AccountId>",
        "<TelephoneNumberDetails/>",
        "<FullNumber/>",
        "<Tn> </Tn>",
        "<a>b<c>d</c>e</a>",
        "some text",
    ] {
        assert!(disconnect_with(harmless, "").is_ok(), "{harmless}");
        assert!(order_with(harmless, "").is_ok(), "{harmless}");
    }
}

#[test]
fn an_element_within_a_value_is_refused() {
    let why = |read: Row, name: &str| {
        assert_eq!((read.status, read.code), (400, Some(1019)), "{read:?}");
        assert!(read.text.contains(name), "{read:?}");
    };
    why(
        disconnect_of("<TelephoneNumber>919<b>5</b>3000010</TelephoneNumber>").unwrap_err(),
        "TelephoneNumber",
    );
    why(disconnect_with("<Name>a<b>c</b></Name>", "").unwrap_err(), "Name");
    why(disconnect_with("", "<Protected><x/>TRUE</Protected>").unwrap_err(), "Protected");
    why(order_with("<SiteName/><PeerId>1<a/></PeerId>", "").unwrap_err(), "PeerId");
    why(lookup("<TnList><Tn>540551<b/>4342</Tn></TnList>").unwrap_err(), "Tn");
    why(
        to_peer("<SipPeerTelephoneNumbers><FullNumber><a/></FullNumber></SipPeerTelephoneNumbers>")
            .unwrap_err(),
        "FullNumber",
    );
    why(user("<User><Password>a long <b>one</b></Password></User>").unwrap_err(), "Password");
    why(
        read("User", "<Password>a long <b>one</b></Password>", users::read_password).unwrap_err(),
        "Password",
    );
    why(
        note("<Note><UserId>username</UserId><Description>a<br/>b</Description></Note>").unwrap_err(),
        "Description",
    );
    why(site("<Site><Name>a</Name><Address><City>b<c/></City></Address></Site>").unwrap_err(), "City");
    // In JSON, an object or an array where a text is wanted.
    for value in [r#"{"a":1}"#, "{}", "[]", r#"["a"]"#, r#"["a","b"]"#, r#"[{"a":1}]"#] {
        let body = format!(r#"{{"name":{value},"disconnectOrderType":{{"phoneNumbers":["{ONE}"]}}}}"#);
        why(disconnect(&body).unwrap_err(), "Name");
        let body =
            format!(r#"{{"disconnectOrderType":{{"phoneNumbers":["{ONE}"],"disconnectMode":{value}}}}}"#);
        why(disconnect(&body).unwrap_err(), "DisconnectMode");
    }
    let body = format!(r#"{{"disconnectOrderType":{{"phoneNumbers":["{ONE}",{{"a":1}}]}}}}"#);
    why(disconnect(&body).unwrap_err(), "TelephoneNumber");
    // Of what no one reads, any value is passed over.
    for value in [r#"{"a":1}"#, "[]", r#"["a"]"#, "[1,2]"] {
        let body = format!(r#"{{"tags":{value},"disconnectOrderType":{{"phoneNumbers":["{ONE}"]}}}}"#);
        assert!(disconnect(&body).is_ok(), "{value}");
    }
}

#[test]
fn a_text_where_a_list_of_texts_is_wanted_is_a_list_of_one() {
    let body = format!(r#"{{"disconnectOrderType":{{"phoneNumbers":"+1{ONE}"}}}}"#);
    assert_eq!(disconnect(&body).unwrap().disconnect.numbers, numbers(&[ONE]));
    let body = format!(
        r#"{{"subAccountId":1,"tnAttributes":"Protected","orderType":{{"type":"existingPhoneNumberOrderType","phoneNumbers":{ONE}}}}}"#
    );
    let activate = order(&body).unwrap().activate;
    assert_eq!((activate.protected, activate.wanted), (true, Wanted::named(numbers(&[ONE]))));
    assert_eq!(
        moved(&format!(r#"{{"subAccountId":1,"phoneNumbers":"{ONE}"}}"#)).unwrap().move_numbers.numbers.len(),
        1
    );
    assert_eq!(lookup(&format!(r#"{{"phoneNumbers":"{ONE}"}}"#)), Ok(vec![ONE.to_owned()]));
    assert_eq!(to_peer(&format!(r#"{{"phoneNumbers":"{ONE}"}}"#)), Ok(numbers(&[ONE])));
    // An empty text is an empty list.
    assert_eq!(code(disconnect(r#"{"disconnectOrderType":{"phoneNumbers":""}}"#)), 5212);
}

#[test]
fn white_space_around_a_number_is_no_part_of_it() {
    for blank in ["\u{A0}", " \u{2003}", "\u{202F}\n", "\u{3000}\t"] {
        let number = format!("{blank}{ONE}{blank}");
        let wanted = numbers(&[ONE]);
        let post = disconnect_of(&format!("<TelephoneNumber>{number}</TelephoneNumber>"));
        assert_eq!(post.map(|post| post.disconnect.numbers), Ok(wanted.clone()), "{blank:?}");
        let json = serde_json::json!({"disconnectOrderType": {"phoneNumbers": [number]}}).to_string();
        assert_eq!(disconnect(&json).map(|post| post.disconnect.numbers), Ok(wanted.clone()), "{blank:?}");
        let body =
            format!("<SipPeerTelephoneNumbers><FullNumber>{number}</FullNumber></SipPeerTelephoneNumbers>");
        assert_eq!(to_peer(&body), Ok(wanted), "{blank:?}");
        assert_eq!(number.parse::<Number>(), ONE.parse(), "{blank:?}");
        assert_eq!(
            code(disconnect_of(&format!("<TelephoneNumber>{blank}</TelephoneNumber>"))),
            5073,
            "{blank:?}"
        );
    }
    assert_eq!(code(disconnect_of("<TelephoneNumber>540\u{A0}551\u{A0}4342</TelephoneNumber>")), 5070);
    assert_eq!(code(disconnect_of("<TelephoneNumber>５４０５５１４３４２</TelephoneNumber>")), 5070);
}

#[test]
fn a_number_order_has_a_longer_name_than_a_disconnect() {
    let name = |length: usize| format!("<Name>{}</Name>", "é".repeat(length));
    assert_eq!(order_with(&name(255), "").unwrap().name.map(|name| name.chars().count()), Some(255));
    assert_eq!(order_with(&name(256), "").unwrap_err().text, "Name is too long. Max length 255 characters");
    assert!(disconnect_with(&name(50), "").is_ok());
    assert_eq!(
        disconnect_with(&name(51), "").unwrap_err().text,
        "Name is too long. Max length 50 characters"
    );
    let amendment =
        |length| read("Order", &format!("<Order>{}</Order>", name(length)), orders::read_amendment);
    assert!(amendment(255).is_ok());
    assert_eq!(code(amendment(256)), 1011);
}

#[test]
fn a_missing_name_is_told_with_what_stands_for_it() {
    let document = "<DisconnectTelephoneNumberOrder/>";
    let refused = read(disconnects::REQUEST, document, |root| {
        disconnects::Draft::read(root)?.check(Dialect::V1, Role::Order)
    });
    let row = refused.unwrap_err();
    assert_eq!((row.code, row.text.as_str()), (Some(1003), "Name or CustomerOrderId is required"));
}

#[test]
fn every_search_form_reads_its_fields_whatever_their_case() {
    assert_eq!(order_search::element(onhook_core::order::SearchForm::Lata), "LATASearchAndOrderType");
    for lata in ["Lata", "LATA", "lata"] {
        let found = order(&format!(
            "<Order><SiteId>1</SiteId><lataSearchAndOrderType><{lata}>244</{lata}><quantity>1</quantity></lataSearchAndOrderType></Order>"
        ));
        let Wanted::Found(search) = found.unwrap().activate.wanted else { panic!("{lata}") };
        assert_eq!(search.criteria.lata.as_deref(), Some("244"), "{lata}");
    }
}
