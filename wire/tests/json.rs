//! JSON from anyone becomes a document or is refused, and nothing else happens.

use onhook_wire::guard::Malformed;
use onhook_wire::json::{from_xml, to_xml};
use onhook_wire::xml::{self, Document};
use proptest::prelude::*;

/// A document made from a request passes the guard, or one of the guard's limits refuses it.
fn is_sound(root: &str, body: &[u8]) {
    if let Ok(document) = to_xml(root, body) {
        match xml::parse(document.as_bytes()) {
            Ok(element) => assert_eq!(element.name, root),
            Err(
                Malformed::Depth { .. } | Malformed::TooManyElements { .. } | Malformed::NameTooLong { .. },
            ) => {}
            Err(other) => panic!("{other}: {document}"),
        }
    }
}

/// Text that is nearly JSON of the kind that clients send.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "null",
        "true",
        "1",
        "-1",
        "1.5",
        "1e9",
        "\\u0000",
        "\\ud83d",
        "\\",
        "\"orderType\"",
        "\"type\"",
        "\"existingPhoneNumberOrderType\"",
        "\"phoneNumbers\"",
        "\"disconnectOrderType\"",
        "\"subAccountId\"",
        "\"a b\"",
        "\"é\"",
        "\"<x>\"",
        "\"]]>\"",
        " ",
        "\u{FEFF}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        is_sound("Order", &body);
    }

    #[test]
    fn any_row_of_pieces_is_read_or_refused(body in pieces()) {
        is_sound("Order", body.as_bytes());
        is_sound("Order", format!("{{\"orderType\":{body}}}").as_bytes());
        is_sound("TnList", format!("{{\"phoneNumbers\":[{body}]}}").as_bytes());
    }

    #[test]
    fn any_text_arrives_but_for_what_xml_cannot_hold(text in any::<String>()) {
        let body = serde_json::json!({ "description": text }).to_string();
        match to_xml("Note", body.as_bytes()) {
            Ok(document) => {
                let note = xml::parse(document.as_bytes()).unwrap();
                prop_assert_eq!(note.child("Description").unwrap().unwrap().content(), text.as_str());
            }
            Err(refused) => prop_assert!(refused.to_string().contains("is not accepted in a text"), "{refused}"),
        }
    }

    #[test]
    fn any_answer_is_json_that_says_the_same(text in any::<String>()) {
        let mut document = Document::new();
        document.open("NoteResponse").leaf("Description", &text).close("NoteResponse");
        let document = document.finish();
        let said: serde_json::Value = serde_json::from_str(&from_xml(&document).unwrap()).unwrap();
        let read = xml::parse(document.as_bytes()).unwrap();
        let read = read.child("Description").unwrap().unwrap();
        prop_assert_eq!(said["description"].as_str(), Some(read.content()));
    }

    #[test]
    fn whatever_a_refusal_quotes_it_stays_short(body in any::<String>()) {
        let key = serde_json::json!(body).to_string();
        let refused = to_xml("Note", format!("{{{key}:1,{key}:2}}").as_bytes()).unwrap_err();
        prop_assert!(matches!(refused, Malformed::DuplicateKey(_)));
        prop_assert!(refused.to_string().len() < 100, "{}", refused);
    }
}
