//! Which documents are read and which are refused, seen from outside: a corpus of names, bytes and
//! expectations, and what must hold for any bytes at all.

use onhook_wire::guard::{ATTRIBUTES_MAX, DEPTH_MAX, ELEMENTS_MAX, Malformed, NAME_MAX, VALUE_MAX};
use onhook_wire::xml::{Document, Element, parse};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// The order of the vendor's guide, as its clients send it.
const ORDER: &str = concat!(
    "<?xml version=\"1.0\"?>\n",
    "<DisconnectTelephoneNumberOrder>\n",
    "<name>training run</name>\n",
    "<DisconnectTelephoneNumberOrderType>\n",
    "<TelephoneNumberList>\n",
    "<TelephoneNumber>5405514342</TelephoneNumber>\n",
    "<TelephoneNumber>7034343704</TelephoneNumber>\n",
    "</TelephoneNumberList>\n",
    "</DisconnectTelephoneNumberOrderType>\n",
    "</DisconnectTelephoneNumberOrder>",
);

/// What the number in the one `<n>` of these documents is: 2055551212, whatever is around it.
#[test]
fn documents_as_clients_write_them_are_read() {
    const N: &str = "<r><n>2055551212</n></r>";
    #[rustfmt::skip]
    let corpus: Vec<(&str, String)> = vec![
        ("no declaration",            N.into()),
        ("byte order mark",           format!("\u{FEFF}{N}")),
        ("mark and declaration",      format!("\u{FEFF}<?xml version=\"1.0\" encoding=\"UTF-8\"?>{N}")),
        ("declaration of PHP",        format!("<?xml version=\"1.0\"?>\n{N}\n")),
        ("declaration of Python",     format!("<?xml version='1.0' encoding='UTF-8'?>\n{N}")),
        ("declaration of C#",         format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n{N}")),
        ("declaration of Java",       format!("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>{N}")),
        ("declaration, wide",         format!("<?xml version = '1.0'\n encoding\t=\t'uTf-8' standalone = 'no' ?>{N}")),
        ("declared ASCII",            format!("<?xml version=\"1.0\" encoding=\"us-ascii\"?>{N}")),
        ("a later XML 1",             format!("<?xml version=\"1.17\"?>{N}")),
        ("pretty printed",            "<r>\n    <n>2055551212</n>\n</r>\n".into()),
        ("carriage returns",          "<r>\r\n\t<n>\r\n2055551212\r\n\t</n>\r\n</r>\r\n".into()),
        ("white space around text",   "<r><n>\n  2055551212\t </n></r>".into()),
        ("namespace declarations",    "<r xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd='http://www.w3.org/2001/XMLSchema'><n>2055551212</n></r>".into()),
        ("schema location",           "<r xsi:schemaLocation=\"urn:r http://localhost:1/r.xsd\"><n>2055551212</n></r>".into()),
        ("default namespace",         "<r xmlns=\"urn:x\"><n>2055551212</n></r>".into()),
        ("prefixes",                  "<x:r xmlns:x=\"urn:x\"><x:n>2055551212</x:n></x:r>".into()),
        ("attributes",                "<r a='\"' b=\"'\" c = \"a>b &lt;&#60;\"\n><n d=\"\" >2055551212</n ></r\n>".into()),
        ("CDATA",                     "<r><n><![CDATA[2055551212]]></n></r>".into()),
        ("text and CDATA",            "<r><n>205<![CDATA[555]]>12<![CDATA[]]>12</n></r>".into()),
        ("character references",      "<r><n>2055551&#50;1&#x32;</n></r>".into()),
        ("leading zeros",             "<r><n>205555121&#x000000000000000032;</n></r>".into()),
        ("comments",                  "<!-- a --><r><!-- <b> & --><n>205<!---->5551212</n></r><!-- - -->\n".into()),
        ("processing instructions",   "<?xml-stylesheet href=\"file:///etc/passwd\"?><r><?a?><n>205<?b <c> & ?>5551212</n></r><?d ??>".into()),
        ("XInclude stays inert",      "<r><xi:include href=\"file:///etc/passwd\"/><n>2055551212</n></r>".into()),
        ("the name in capitals",      "<R><N>2055551212</N></R>".into()),
        ("another one that is nil",   "<r><n xsi:nil=\"true\"/><n>2055551212</n></r>".into()),
        ("other elements around",     "<r><_o-ther.1/><n>2055551212</n><m/></r>".into()),
    ];
    for (name, document) in &corpus {
        let root = parse(document.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(root.is("r"), "{name}");
        assert_eq!(root.value("n"), Ok(Some("2055551212")), "{name}");
    }
}

/// The word is the name of the [`Malformed`] that says why.
#[test]
fn documents_that_break_a_rule_are_refused() {
    let laughs = format!(
        "<!DOCTYPE r [<!ENTITY a 'ha'>{}]><r>&j;</r>",
        ('b'..='j').map(|c| format!("<!ENTITY {c} '&a;&a;&a;&a;&a;'>")).collect::<String>()
    );
    let nested = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
    let attributes =
        |count: usize| format!("<r{}/>", (0..count).map(|i| format!(" a{i}=''")).collect::<String>());
    #[rustfmt::skip]
    let corpus: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing",                        "".into(), "NoRoot"),
        ("only white space",               " \t\r\n".into(), "NoRoot"),
        ("only a mark",                    "\u{FEFF}".into(), "NoRoot"),
        ("only a declaration",             "<?xml version='1.0'?>".into(), "NoRoot"),
        ("only a comment",                 "<!-- r -->".into(), "NoRoot"),
        ("JSON",                           "{'a': 1}".into(), "Junk"),
        ("UTF-7",                          "+ADw-r+AD4-".into(), "Junk"),

        ("empty DOCTYPE",                  "<!DOCTYPE r><r/>".into(), "Doctype"),
        ("DOCTYPE with a system id",       "<!DOCTYPE r SYSTEM 'http://localhost:1/r.dtd'><r/>".into(), "Doctype"),
        ("DOCTYPE with a public id",       "<!DOCTYPE r PUBLIC '-//x' 'ftp://localhost:1/r'><r/>".into(), "Doctype"),
        ("external entity",                "<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><r>&x;</r>".into(), "Doctype"),
        ("parameter entity",               "<!DOCTYPE r [<!ENTITY % p SYSTEM 'gopher://localhost:1'> %p;]><r/>".into(), "Doctype"),
        ("billion laughs",                 laughs.into(), "Doctype"),
        ("lower-case doctype",             "<!doctype r><r/>".into(), "Doctype"),
        ("DOCTYPE without a name",         "<!DOCTYPE><r/>".into(), "Doctype"),
        ("DOCTYPE cut off",                "<!DOCTYPE r [<!ENTITY".into(), "Doctype"),
        ("DOCTYPE behind the root",        "<r/><!DOCTYPE r>".into(), "Doctype"),
        ("DOCTYPE within the root",        "<r><!DOCTYPE r></r>".into(), "Doctype"),
        ("undefined entity",               "<r>&x;</r>".into(), "Entity"),
        ("entity of HTML",                 "<r>&nbsp;</r>".into(), "Entity"),
        ("entity in another case",         "<r>&AMP;</r>".into(), "Entity"),
        ("undefined entity, attribute",    "<r a='&x;'/>".into(), "Entity"),
        ("ampersand",                      "<r>R&D</r>".into(), "Ampersand"),
        ("ampersand before a semicolon",   "<r>R & D;</r>".into(), "Entity"),
        ("ampersand, attribute",           "<r a='R&D'/>".into(), "Ampersand"),
        ("reference outside the root",     "&#32;<r/>".into(), "Junk"),

        ("two roots",                      "<r/><r/>".into(), "SecondRoot"),
        ("two roots, spaced",              "<r></r>\n<r></r>".into(), "SecondRoot"),
        ("text behind the root",           "<r/>x".into(), "Junk"),
        ("text before the root",           "x<r/>".into(), "Junk"),
        ("blank of Unicode",               "<r/>\u{A0}".into(), "Junk"),
        ("CDATA behind the root",          "<r/><![CDATA[ ]]>".into(), "Junk"),
        ("two marks",                      "\u{FEFF}\u{FEFF}<r/>".into(), "Junk"),
        ("not closed",                     "<r><a></a>".into(), "Truncated"),
        ("not closed at all",              "<r><a>".into(), "Truncated"),
        ("closed too early",               "<r><a></r>".into(), "Mismatch"),
        ("closed in another case",         "<r></R>".into(), "Mismatch"),
        ("closed with another prefix",     "<a:r xmlns:a='x' xmlns:b='x'></b:r>".into(), "Mismatch"),
        ("closed with an attribute",       "<r></r a=''>".into(), "Mismatch"),
        ("closed with a space before",     "<r></ r>".into(), "Mismatch"),
        ("closed twice",                   "<r></r></r>".into(), "Unopened"),
        ("closed first",                   "</r>".into(), "Unopened"),

        ("NUL",                            "<r>\0</r>".into(), "Character"),
        ("NUL behind the root",            "<r/>\0".into(), "Character"),
        ("backspace",                      "<r>\u{8}</r>".into(), "Character"),
        ("escape in an attribute",         "<r a='\u{1B}'/>".into(), "Character"),
        ("form feed in a comment",         "<r><!-- \u{C} --></r>".into(), "Character"),
        ("U+FFFE",                         "<r>\u{FFFE}</r>".into(), "Character"),
        ("U+FFFF in CDATA",                "<r><![CDATA[\u{FFFF}]]></r>".into(), "Character"),
        ("reference to NUL",               "<r>&#0;</r>".into(), "Reference"),
        ("reference to backspace",         "<r>&#x8;</r>".into(), "Reference"),
        ("reference to a lone surrogate",  "<r>&#xD800;</r>".into(), "Reference"),
        ("reference to U+FFFF",            "<r>&#65535;</r>".into(), "Reference"),
        ("reference beyond Unicode",       "<r>&#x110000;</r>".into(), "Reference"),
        ("reference beyond 32 bits",       "<r>&#4294967344;</r>".into(), "Reference"),
        ("reference with a sign",          "<r>&#+48;</r>".into(), "Reference"),
        ("reference with a space",         "<r>&# 48;</r>".into(), "Reference"),
        ("reference with capital X",       "<r>&#X30;</r>".into(), "Reference"),
        ("reference without digits",       "<r>&#;</r>".into(), "Reference"),
        ("reference without hex digits",   "<r>&#x;</r>".into(), "Reference"),
        ("reference, attribute",           "<r a='&#1;'/>".into(), "Reference"),

        ("invalid UTF-8",                  b"<r>\xFF</r>".into(), "NotUtf8"),
        ("overlong UTF-8",                 b"<r>\xC0\xAF</r>".into(), "NotUtf8"),
        ("surrogate as UTF-8",             b"<r>\xED\xA0\x80</r>".into(), "NotUtf8"),
        ("Latin-1",                        b"<r>caf\xE9</r>".into(), "NotUtf8"),
        ("EBCDIC",                         b"\x4C\x99\x61\x6E".into(), "NotUtf8"),
        ("UTF-16 with a mark, little",     utf16("\u{FEFF}<r/>", u16::to_le_bytes), "Encoding"),
        ("UTF-16 with a mark, big",        utf16("\u{FEFF}<r/>", u16::to_be_bytes), "Encoding"),
        ("UTF-16, little",                 utf16("<r/>", u16::to_le_bytes), "Encoding"),
        ("UTF-16, big",                    utf16("<r/>", u16::to_be_bytes), "Encoding"),
        ("UTF-16 declared",                "<?xml version='1.0' encoding='utf-16'?><r/>".into(), "Encoding"),
        ("ISO-8859-1 declared",            "<?xml version='1.0' encoding='ISO-8859-1'?><r/>".into(), "Encoding"),
        ("no encoding declared",           "<?xml version='1.0' encoding=''?><r/>".into(), "Encoding"),
        ("ASCII declared, not sent",       "<?xml version='1.0' encoding='US-ASCII'?><r>é</r>".into(), "Encoding"),
        ("ASCII declared, with a mark",    "\u{FEFF}<?xml version='1.0' encoding='US-ASCII'?><r/>".into(), "Encoding"),

        ("declaration behind white space", "\n<?xml version='1.0'?><r/>".into(), "Declaration"),
        ("declaration behind the root",    "<r/><?xml version='1.0'?>".into(), "Declaration"),
        ("two declarations",               "<?xml version='1.0'?><?xml version='1.0'?><r/>".into(), "Declaration"),
        ("declaration in capitals",        "<?XML version='1.0'?><r/>".into(), "Declaration"),
        ("declaration without version",    "<?xml encoding='UTF-8'?><r/>".into(), "Declaration"),
        ("declaration with nothing",       "<?xml?><r/>".into(), "Declaration"),
        ("declaration in another order",   "<?xml version='1.0' standalone='yes' encoding='UTF-8'?><r/>".into(), "Declaration"),
        ("declaration with more",          "<?xml version='1.0' lang='en'?><r/>".into(), "Declaration"),
        ("declaration without quotes",     "<?xml version=1.0?><r/>".into(), "Declaration"),
        ("declaration run together",       "<?xml version='1.0'encoding='UTF-8'?><r/>".into(), "Declaration"),
        ("declaration with one too many",  "<?xml version='1.0' encoding='UTF-8' standalone='no' lang='en'?><r/>".into(), "Declaration"),
        ("XML 1 and a half",               "<?xml version='1.5b'?><r/>".into(), "Declaration"),
        ("XML 2",                          "<?xml version='2.0'?><r/>".into(), "Declaration"),
        ("XML 1 without a minor",          "<?xml version='1.'?><r/>".into(), "Declaration"),
        ("standalone perhaps",             "<?xml version='1.0' standalone='maybe'?><r/>".into(), "Declaration"),

        ("depth",                          nested(DEPTH_MAX + 1).into(), "Depth"),
        ("depth, last one empty",          nested(DEPTH_MAX).replace("<a></a>", "<a><b/></a>").into(), "Depth"),
        ("a million levels",               "<a>".repeat(1_000_000).into(), "Depth"),
        ("attributes",                     attributes(ATTRIBUTES_MAX + 1).into(), "TooManyAttributes"),
        ("80,000 attributes",              attributes(80_000).into(), "TooManyAttributes"),
        ("10,000 namespaces",              attributes(10_000).replace(" a", " xmlns:a").into(), "TooManyAttributes"),
        ("long value",                     format!("<r a='{}'/>", "v".repeat(VALUE_MAX + 1)).into(), "ValueTooLong"),
        ("long element name",              format!("<{}/>", "n".repeat(NAME_MAX + 1)).into(), "NameTooLong"),
        ("long attribute name",            format!("<r {}=''/>", "n".repeat(NAME_MAX + 1)).into(), "NameTooLong"),
        ("elements",                       format!("<r>{}</r>", "<a/>".repeat(ELEMENTS_MAX)).into(), "TooManyElements"),

        ("nil with a number",              "<r><n xsi:nil='true'>2055551212</n></r>".into(), "Nil"),
        ("nil with an element",            "<r><n nil='1'><a/></n></r>".into(), "Nil"),
        ("nil at the root",                "<r nil='1'/>".into(), "NoRoot"),

        ("attribute twice",                "<r a='1' a='2'/>".into(), "DuplicateAttribute"),
        ("namespace twice",                "<r xmlns:a='1' xmlns:a='1'/>".into(), "DuplicateAttribute"),
        ("attribute without quotes",       "<r a=1/>".into(), "Syntax"),
        ("attribute without value",        "<r a/>".into(), "Syntax"),
        ("attribute without name",         "<r ='1'/>".into(), "Name"),
        ("attributes run together",        "<r a='1'b='2'/>".into(), "Syntax"),
        ("attribute with <",               "<r a='<'/>".into(), "Syntax"),
        ("attribute name in two words",    "<r a b='1'/>".into(), "Name"),
        ("attribute not closed",           "<r a='1/>".into(), "Truncated"),
        ("tag within a tag",               "<r <a/>".into(), "Syntax"),
        ("]]> in text",                    "<r>]]></r>".into(), "Syntax"),
        ("CDATA in lower case",            "<r><![cdata[x]]></r>".into(), "Syntax"),
        ("CDATA not closed",               "<r><![CDATA[x]]</r>".into(), "Truncated"),
        ("-- in a comment",                "<r><!-- a -- b --></r>".into(), "Syntax"),
        ("comment that ends in --->",      "<r><!-- a ---></r>".into(), "Syntax"),
        ("comment of three hyphens",       "<r><!---></r>".into(), "Truncated"),
        ("comment not closed",             "<r><!-- </r>".into(), "Truncated"),
        ("instruction without target",     "<r><? a?></r>".into(), "Name"),
        ("instruction not closed",         "<r><?a></r>".into(), "Truncated"),
        ("unknown markup",                 "<r><!ELEMENT r></r>".into(), "Syntax"),
        ("no name",                        "<>".into(), "Name"),
        ("space before the name",          "< r/>".into(), "Name"),
        ("slash within the tag",           "<r/ >".into(), "Name"),
        ("digit first",                    "<1r/>".into(), "Name"),
        ("two colons",                     "<a:b:c/>".into(), "Name"),
        ("no prefix before the colon",     "<:a/>".into(), "Name"),
        ("nothing behind the colon",       "<a:/>".into(), "Name"),
        ("NUL in a name",                  "<r\0/>".into(), "Character"),
        ("name beyond ASCII",              "<r\u{2160}/>".into(), "Name"),
    ];
    for (name, document, reason) in &corpus {
        let refusal = parse(document).expect_err(name);
        let variant = format!("{refusal:?}");
        assert_eq!(variant.split([' ', '(', '{']).next(), Some(*reason), "{name}: {refusal}");
    }
}

fn utf16(document: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    document.encode_utf16().flat_map(order).collect()
}

#[test]
fn every_limit_may_be_reached() {
    let name = "n".repeat(NAME_MAX);
    let attributes: String = (0..ATTRIBUTES_MAX).map(|i| format!(" a{i}=\"\"")).collect();
    for document in [
        format!("{}{}", "<a>".repeat(DEPTH_MAX), "</a>".repeat(DEPTH_MAX)),
        format!("<r>{}</r>", "<a/>".repeat(ELEMENTS_MAX - 1)),
        format!("<r{attributes}/>"),
        format!("<{name} {name}=\"{}\"></{name}>", "v".repeat(VALUE_MAX)),
    ] {
        parse(document.as_bytes()).expect("within the limits");
    }
}

#[test]
fn an_order_of_5900_numbers_is_read_to_its_end() {
    let number = "<TelephoneNumber>2055551212</TelephoneNumber>";
    let order =
        ORDER.replace("<TelephoneNumberList>", &format!("<TelephoneNumberList>{}", number.repeat(5_900)));
    let order = parse(order.as_bytes()).expect("few enough elements");
    let list = order
        .child("DisconnectTelephoneNumberOrderType")
        .and_then(|kind| kind.expect("an order has a type").child("TelephoneNumberList"))
        .expect("no duplicates")
        .expect("a type has a list");
    assert_eq!(list.children_of("TelephoneNumber").count(), 5_902);
}

#[test]
fn an_order_cut_short_anywhere_is_refused() {
    let decorated = ORDER
        .replace(
            "<?xml version=\"1.0\"?>",
            "\u{FEFF}<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- é --><?p i?>",
        )
        .replace("training run", "<![CDATA[ê]]> &amp; run&#48;")
        .replace("<TelephoneNumberList>", "<Empty xmlns:x='u' /><TelephoneNumberList>");
    for whole in [ORDER, &decorated] {
        parse(whole.as_bytes()).expect("the whole order is fine");
        for cut in 0..whole.len() {
            assert!(parse(&whole.as_bytes()[..cut]).is_err(), "cut at byte {cut} of {whole}");
        }
    }
}

/// Writes a tree again; what is around an element's children comes before them.
fn written(root: &Element<'_>) -> String {
    fn write(document: &mut Document, element: &Element<'_>) {
        document.open(element.name).text(element.content());
        element.children.iter().for_each(|child| write(document, child));
        document.close(element.name);
    }
    let mut document = Document::new();
    write(&mut document, root);
    document.finish()
}

/// Pieces that documents are made of, some of them broken; a row of them is a document more often than
/// random bytes are.
fn piece() -> impl Strategy<Value = &'static str> {
    #[rustfmt::skip]
    let pieces = vec![
        "<a>", "</a>", "<b>", "</b>", "<x:a>", "</x:a>", "<c/>", "<a b='1'>", "<a x:nil='1'>", "<c nil='true'/>", "<a b='&#9;' c=\"\" >", "<a b=1>", "<a",
        "<", "</", "/>", ">", "text", "é😀", " ", "\n", "\r\n", "\r", "\0", "\u{FEFF}", "\u{FFFF}", "\"", "'", "=",
        "&amp;", "&lt;", "&#13;", "&#x10FFFF;", "&#0;", "&x;", "&", ";", "<![CDATA[", "]]>", "<![CDATA[<&>]]>",
        "<!--", "-->", "<!-- c -->", "--", "<?p i?>", "<?", "?>", "<?xml version='1.0'?>", "<!DOCTYPE a>",
    ];
    prop::sample::select(pieces)
}

/// A well-formed element, as text.
fn well_formed() -> impl Strategy<Value = String> {
    let content = prop::sample::select(vec![
        "text",
        " ",
        "\r\n",
        "\r",
        "&amp;",
        "&lt;&#13;&quot;",
        "<![CDATA[<&>]]>",
        "<!-- c -->",
        "<?p i?>",
        "]]&gt;",
        "é😀",
    ]);
    let leaf = prop::collection::vec(content, 0..4).prop_map(|pieces| pieces.concat());
    leaf.prop_recursive(6, 40, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "x:a", "Long.Name-1_"]);
        prop::collection::vec((name, inner, prop::bool::ANY), 0..4).prop_map(|children| {
            let child = |(name, inside, empty)| {
                if empty { format!("{inside}<{name} q='1'/>") } else { format!("<{name}>{inside}</{name}>") }
            };
            children.into_iter().map(child).collect()
        })
    })
    .prop_map(|inside| format!("<?xml version='1.0'?><root>{inside}</root>"))
}

/// What must hold whatever the bytes are.
fn judge(bytes: &[u8]) {
    match parse(bytes) {
        Ok(root) => {
            let again = written(&root);
            assert_eq!(parse(again.as_bytes()).as_ref(), Ok(&root), "{again}");
        }
        Err(refusal) => show(&refusal),
    }
}

/// A refusal goes to a client and into a log: it must be short, and a line.
fn show(refusal: &Malformed) {
    let shown = refusal.to_string();
    assert!(shown.len() <= 200 && !shown.contains(char::is_control), "{shown:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        // A failing seed is kept beside this file and tried first from then on.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        judge(&bytes);
    }

    #[test]
    fn any_row_of_pieces_is_read_or_refused(pieces in prop::collection::vec(piece(), 0..16)) {
        judge(pieces.concat().as_bytes());
        judge(format!("<a>{}</a>", pieces.concat()).as_bytes());
    }

    #[test]
    fn an_order_with_one_byte_changed_is_read_or_refused(at in 0..ORDER.len(), byte in any::<u8>()) {
        let mut order = ORDER.as_bytes().to_vec();
        order[at] = byte;
        judge(&order);
    }

    #[test]
    fn what_is_read_and_written_reads_the_same(document in well_formed()) {
        let root = parse(document.as_bytes());
        prop_assert!(root.is_ok(), "{:?} for {}", root, document);
        judge(document.as_bytes());
    }

    #[test]
    fn any_text_arrives_but_for_what_xml_cannot_hold(text in prop::collection::vec(any::<char>(), 0..40)) {
        let text = String::from_iter(text);
        let mut document = Document::new();
        document.leaf("a", &text);
        let document = document.finish();
        let held = |c: &char| !matches!(c, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}');
        let expected: String = text.chars().filter(held).collect();
        prop_assert_eq!(parse(document.as_bytes()).map(|root| root.content().to_owned()), Ok(expected));
    }

    #[test]
    fn whatever_a_refusal_quotes_it_stays_one_short_line(name in "\\PC{0,90}|[\\x00-\\x1F\u{202E}a]{0,90}") {
        for document in [format!("<a></{name}>"), format!("<{name}/>"), format!("<a>&{name};</a>"),
                         format!("<?xml version='1.0' encoding='{name}'?><a/>"), format!("<a {name}='' {name}=''/>")] {
            judge(document.as_bytes());
        }
    }
}
