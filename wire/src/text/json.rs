//! JSON in the second dialect (contract: decision 16 and §8.1).
//!
//! Each document is read and written once, as XML, by its resource's file. JSON is another spelling of the same
//! documents, and this file is its dictionary: [`to_xml`] turns a JSON request into XML, and [`from_xml`] turns an XML
//! answer into JSON. The rule: a name is the element's with a small first letter, the root's name is not written, and a
//! list is always an array, even of one or none. The tables hold the exceptions. If no source shows a JSON form, the
//! rule alone decides.
//!
//! Not here: the dialect of a request, or the form that its client wants to read. The HTTP side knows these.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserializer, Serialize, Serializer};

use crate::text::guard::{self, DEPTH_MAX, ELEMENTS_MAX, Excerpt, Malformed};
use crate::text::xml::{self, Document, Element};

/// A name that does not follow the rule.
struct Name {
    xml: &'static str,
    json: &'static str,
    /// The element in which it is called that; everywhere when empty. What is within one comes first.
    within: &'static str,
    /// Whether a request may call it that. An answer always does.
    asked: bool,
}

#[rustfmt::skip]
const NAMES: &[Name] = &[
    Name { xml: "SipPeerId",                          json: "locationId",          within: "MoveTnsOrder", asked: true },
    Name { xml: "TelephoneNumbers",                   json: "phoneNumbers",        within: "MoveTnsOrder", asked: true },
    Name { xml: "FullNumber",                         json: "phoneNumbers",        within: "SipPeerTelephoneNumbers", asked: true },
    Name { xml: "Tn",                                 json: "phoneNumbers",        within: "TnList",       asked: true },
    Name { xml: "TelephoneNumberList",                json: "phoneNumbers",        within: "",             asked: true },
    Name { xml: "DisconnectTelephoneNumberOrderType", json: "disconnectOrderType", within: "",             asked: true },
    Name { xml: "SiteId",                             json: "subAccountId",        within: "",             asked: true },
    Name { xml: "PeerId",                             json: "locationId",          within: "",             asked: true },
    Name { xml: "URL",                                json: "url",                 within: "",             asked: true },
    Name { xml: "LATA",                               json: "LATA",                within: "",             asked: false },
    Name { xml: "NPA-NXX",                            json: "npaNxx",              within: "",             asked: false },
    Name { xml: "OrderHistoryWrapper",                json: "orderHistory",        within: "",             asked: false },
];

/// Lists that an answer repeats under a name that older readers look for: the element, the list in it, and that name.
const AGAIN: &[(&str, &str, &str)] = &[("SearchResult", "TelephoneNumberList", "telephoneNumberList")];

/// In an `Order` the type is a value of `orderType`, not a name: `"orderType":{"type":"…", …}`.
const ORDER: &str = "Order";
const ORDER_TYPE: &str = "orderType";
const TYPE: &str = "type";
/// The element of each type of number order, and its word in JSON.
const ORDER_TYPES: &[(&str, &str)] = &[
    ("ExistingTelephoneNumberOrderType", "existingPhoneNumberOrderType"),
    ("AreaCodeSearchAndOrderType", "areaCodeSearchAndOrderType"),
    ("RateCenterSearchAndOrderType", "rateCenterSearchAndOrderType"),
    ("NPANXXSearchAndOrderType", "npaNxxSearchAndOrderType"),
    ("TollFreeVanitySearchAndOrderType", "tollFreeVanitySearchAndOrderType"),
    ("TollFreeWildCharSearchAndOrderType", "tollFreeWildCharSearchAndOrderType"),
    ("StateSearchAndOrderType", "stateSearchAndOrderType"),
    ("CitySearchAndOrderType", "citySearchAndOrderType"),
    ("ZIPSearchAndOrderType", "zipSearchAndOrderType"),
    ("LATASearchAndOrderType", "lataSearchAndOrderType"),
    ("CombinedSearchAndOrderType", "combinedSearchAndOrderType"),
];

/// Elements that hold only elements of one name. Each is an array.
const LISTS: &[(&str, &str)] = &[
    ("ApplicationList", "Application"),
    ("AssociatedSipPeers", "AssociatedSipPeer"),
    ("AvailableNpaNxxList", "AvailableNpaNxx"),
    ("Cities", "City"),
    ("CompletedNumbers", "TelephoneNumber"),
    ("CompletedTelephoneNumbers", "TelephoneNumber"),
    ("DisconnectedTelephoneNumberList", "TelephoneNumber"),
    ("ErrorList", "Error"),
    ("Errors", "Error"),
    ("FailedNumbers", "FullNumber"),
    ("ImpactedTelephoneNumbers", "TelephoneNumber"),
    ("ListofNPANXX", "NPANXX"),
    ("Notes", "Note"),
    ("NpaNxxXs", "NpaNxxX"),
    ("OrderHistoryWrapper", "OrderHistory"),
    ("RCs", "RC"),
    ("RateCenters", "RateCenter"),
    ("RequestedCallbackTypes", "CallbackType"),
    ("ReservationIdList", "ReservationId"),
    ("Roles", "Role"),
    ("ServiceTypes", "ServiceType"),
    ("SipPeerTelephoneNumbers", "SipPeerTelephoneNumber"),
    ("SipPeers", "SipPeer"),
    ("Sites", "Site"),
    ("SmsHosts", "Host"),
    ("Subscriptions", "Subscription"),
    ("TelephoneDetailsReports", "TelephoneDetailsReport"),
    ("TelephoneNumberDetailList", "TelephoneNumberDetail"),
    ("TelephoneNumberList", "TelephoneNumber"),
    ("TelephoneNumberStatuses", "TelephoneNumberStatus"),
    ("TelephoneNumbers", "TelephoneNumber"),
    ("TerminationHosts", "TerminationHost"),
    ("Tiers", "Tier"),
    ("TnAttributes", "TnAttribute"),
    ("Users", "User"),
    ("VoiceHostGroups", "VoiceHostGroup"),
    ("VoiceHosts", "Host"),
    ("ZipCodes", "ZipCode"),
];

/// Elements that a request repeats without a wrapper: the parent, and the element.
const REPEATED: &[(&str, &str)] = &[("SipPeerTelephoneNumbers", "FullNumber"), ("TnList", "Tn")];

/// Elements that hold a list and something else: the element, the repeated element, and the element that shows that a
/// list is meant even if it is empty.
const PAGES: &[(&str, &str, &str)] = &[
    ("CoveredRateCenters", "CoveredRateCenter", "Links"),
    ("ListOrderIdUserIdDate", "OrderIdUserIdDate", "Links"),
    ("MoveTnsOrders", "MoveTnsOrderSummary", "TotalCount"),
    ("TelephoneNumbers", "TelephoneNumber", "Count"),
];

/// Elements that hold others, unless they are empty.
const OBJECTS: &[&str] = &["ApplicationsSettings", "Links", "TelephoneNumberDetails"];

/// Elements whose text is a whole number. An identifier is text even if it is all digits.
const NUMBERS: &[&str] = &[
    "AvailableNumberCount",
    "Code",
    "CompletedQuantity",
    "Count",
    "CountOfTNs",
    "ErrorCode",
    "Expiry",
    "FailedQuantity",
    "LATA",
    "Lata",
    "PendingQuantity",
    "Quantity",
    "ReservationExpires",
    "ResultCount",
    "SipPeerTelephoneNumbersCount",
    "TelephoneNumberCount",
    "Tier",
    "TotalCount",
    "VendorId",
];

/// Elements whose text is true or false.
const TRUTHS: &[&str] = &[
    "AutoActivate",
    "BackOrderRequested",
    "CloseOrder",
    "EnableLCA",
    "EnableTNDetail",
    "IsDefaultPeer",
    "OnNetVendor",
    "PartialAllowed",
];

/// Returns the element that a list repeats. `None` if it is no list.
fn repeated(wrapper: &str) -> Option<&'static str> {
    LISTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(wrapper)).map(|(_, child)| *child)
}

/// Whether an array is made of what this element has more than one of.
#[must_use]
pub fn is_list(parent: &str, child: &str) -> bool {
    repeated(parent) == Some(child) || PAGES.iter().any(|(name, one, _)| (*name, *one) == (parent, child))
}

/// Returns an XML answer of this program in JSON.
///
/// # Errors
/// If it is no document that [`Document`] wrote.
pub fn from_xml(document: &str) -> Result<String, Malformed> {
    let root = xml::parse_own(document)?;
    let root = Shown { element: &root, parent: "", is_root: true };
    serde_json::to_string(&root).map_err(|error| Malformed::Json(error.to_string()))
}

/// Returns the JSON name of an element in an answer.
fn answered<'a>(parent: &str, name: &'a str) -> Cow<'a, str> {
    let row = NAMES.iter().find(|row| row.xml == name && (row.within.is_empty() || row.within == parent));
    row.map_or_else(|| with_first(name, |c| c.to_ascii_lowercase()), |row| Cow::Borrowed(row.json))
}

/// Returns the name that a client uses for an element in JSON.
#[must_use]
pub fn key(name: &str) -> Cow<'_, str> {
    answered("", name)
}

fn with_first(name: &str, change: impl FnOnce(char) -> char) -> Cow<'_, str> {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => Cow::Owned(change(first).to_string() + letters.as_str()),
        None => Cow::Borrowed(name),
    }
}

/// An element on its way into an answer.
struct Shown<'s, 'e> {
    element: &'s Element<'e>,
    parent: &'s str,
    is_root: bool,
}

impl<'s, 'e> Shown<'s, 'e> {
    fn of(parent: &'s Element<'e>, element: &'s Element<'e>) -> Self {
        Self { element, parent: parent.name, is_root: false }
    }

    /// Returns whether it is an array of its children.
    fn is_array(&self) -> bool {
        repeated(self.element.name)
            .is_some_and(|child| self.element.children.iter().all(|element| element.name == child))
    }

    /// Returns the word of an order's type, if it is one.
    fn order_type(&self) -> Option<&'static str> {
        let row =
            ORDER_TYPES.iter().filter(|_| self.parent == ORDER).find(|(name, _)| *name == self.element.name);
        row.map(|(_, word)| *word)
    }
}

impl Serialize for Shown<'_, '_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Element { name, children, .. } = self.element;
        let text = self.element.content();
        match self.order_type() {
            _ if self.is_array() && self.is_root => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry(&answered("", name), &All(self.element, children.iter().collect()))?;
                map.end()
            }
            _ if self.is_array() => All(self.element, children.iter().collect()).serialize(to),
            None if children.is_empty() && !self.is_root && !OBJECTS.contains(name) => {
                match (
                    NUMBERS.contains(name),
                    text.parse::<i64>(),
                    TRUTHS.contains(name),
                    text.parse::<bool>(),
                ) {
                    (true, Ok(number), ..) => to.serialize_i64(number),
                    (_, _, true, Ok(truth)) => to.serialize_bool(truth),
                    _ => to.serialize_str(text),
                }
            }
            order_type => {
                let mut map = to.serialize_map(None)?;
                if let Some(word) = order_type {
                    map.serialize_entry("type", word)?;
                }
                self.write_children(&mut map)?;
                map.end()
            }
        }
    }
}

impl Shown<'_, '_> {
    /// Writes its children, each name once. Repeated ones become an array at the position of the first.
    fn write_children<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let Element { name, children, .. } = self.element;
        let mut seen: Vec<&str> = Vec::new();
        for child in children {
            if seen.contains(&child.name) {
                continue;
            }
            seen.push(child.name);
            let shown = Shown::of(self.element, child);
            let key =
                if shown.order_type().is_some() { ORDER_TYPE.into() } else { answered(name, child.name) };
            // Only elements that are known to repeat are looked for again. The others are there once.
            if is_list(name, child.name) {
                let same = children.iter().filter(|other| other.name == child.name).collect();
                map.serialize_entry(&key, &All(self.element, same))?;
            } else {
                map.serialize_entry(&key, &shown)?;
            }
            let again = AGAIN.iter().find(|(parent, one, _)| (parent, one) == (name, &child.name));
            if let Some((.., key)) = again {
                map.serialize_entry(key, &shown)?;
            }
        }
        for (_, child, beside) in PAGES.iter().filter(|(page, ..)| page == name) {
            if seen.contains(beside) && !seen.contains(child) {
                map.serialize_entry(&answered(name, child), &[(); 0])?;
            }
        }
        Ok(())
    }
}

/// Elements of one name, in an array.
struct All<'s, 'e>(&'s Element<'e>, Vec<&'s Element<'e>>);

impl Serialize for All<'_, '_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(parent, elements) = self;
        let mut sequence = to.serialize_seq(Some(elements.len()))?;
        for element in elements {
            sequence.serialize_element(&Shown::of(parent, element))?;
        }
        sequence.end()
    }
}

/// Returns a JSON request as the XML document with this root. The document must then pass the guard like any other.
///
/// # Errors
/// If it is no JSON, no object, has a repeated key, a number that is not whole, or more than a document may have.
pub fn to_xml(root: &str, body: &[u8]) -> Result<String, Malformed> {
    let refused = RefCell::new(None);
    let reader = Reader { depth: 0, values: &RefCell::new(0), refused: &refused };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = reader.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    let value = read.map_err(|error| refused.take().unwrap_or_else(|| Malformed::Json(error.to_string())))?;
    let Value::Object(members) = value else {
        return Err(Malformed::Json("the document is no JSON object".into()));
    };
    let mut out = Document::new();
    out.open(root);
    for (key, value) in &members {
        write(&mut out, root, key, value)?;
    }
    out.close(root);
    Ok(out.finish())
}

/// A value that was read. Numbers and booleans are already the text that they are in XML.
enum Value {
    Nothing,
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// Returns the name of the element that a request's key means, whatever the case of its letters.
fn asked<'a>(parent: &str, key: &'a str) -> Cow<'a, str> {
    let here = |row: &Name| row.within.is_empty() || row.within.eq_ignore_ascii_case(parent);
    let fits = |row: &&Name| row.asked && row.json.eq_ignore_ascii_case(key) && here(row);
    let row = NAMES.iter().find(fits);
    row.map_or_else(|| with_first(key, |c| c.to_ascii_uppercase()), |row| Cow::Borrowed(row.xml))
}

fn write(out: &mut Document, parent: &str, key: &str, value: &Value) -> Result<(), Malformed> {
    if parent == ORDER
        && key.eq_ignore_ascii_case(ORDER_TYPE)
        && let Value::Object(members) = value
        && let Some(name) = order_type(members)
    {
        out.open(name);
        for (key, value) in members.iter().filter(|(key, _)| !key.eq_ignore_ascii_case(TYPE)) {
            write(out, name, key, value)?;
        }
        out.close(name);
        return Ok(());
    }
    write_element(out, parent, &asked(parent, key), value)
}

/// Returns the element of an order's type, if the type is known.
fn order_type(members: &[(String, Value)]) -> Option<&'static str> {
    let (_, word) = members.iter().find(|(key, _)| key.eq_ignore_ascii_case(TYPE))?;
    let Value::Text(word) = word else { return None };
    ORDER_TYPES.iter().find(|(_, known)| known == word).map(|(name, _)| *name)
}

fn write_element(out: &mut Document, parent: &str, name: &str, value: &Value) -> Result<(), Malformed> {
    // A key that is no valid element name is never read. It stays in the document, so that a number in it is not passed
    // over.
    let fits = guard::is_name(name) && name.len() <= guard::NAME_MAX;
    let name = if fits { name } else { INSIDE };
    match (value, repeated(name)) {
        (Value::Nothing, _) => {}
        // A text where a list is wanted is a list of one, and an empty text an empty list.
        (Value::Text(text), Some(child)) if !text.is_empty() => {
            out.open(name);
            write_element(out, name, child, value)?;
            out.close(name);
        }
        (Value::Text(text), _) => {
            if let Some(c) = text.chars().find(|c| !guard::is_character(*c)) {
                let code = u32::from(c);
                return Err(Malformed::Json(format!("the character U+{code:04X} is not accepted in a text")));
            }
            out.leaf(name, text);
        }
        (Value::Object(members), _) => {
            out.open(name);
            if members.is_empty() && repeated(name).is_none() {
                out.empty(INSIDE);
            }
            for (key, value) in members {
                write(out, name, key, value)?;
            }
            out.close(name);
        }
        (Value::List(values), Some(child)) => {
            out.open(name);
            write_all(out, name, child, values)?;
            out.close(name);
        }
        (Value::List(values), None) if repeats(parent, name, values) => {
            write_all(out, parent, name, values)?;
        }
        (Value::List(values), None) => {
            out.open(name);
            if values.is_empty() {
                out.empty(INSIDE);
            }
            write_all(out, name, INSIDE, values)?;
            out.close(name);
        }
    }
    Ok(())
}

/// An element that nobody reads: no name of the API is like it. Within the element of an array or of an empty object
/// it keeps that from reading as a text. A key that no element could be called becomes one.
pub const INSIDE: &str = "_";

/// Whether an array stands for several elements of this name: where a request may repeat it, and where objects are
/// in the array, which could be no text.
fn repeats(parent: &str, name: &str, values: &[Value]) -> bool {
    let known = REPEATED
        .iter()
        .any(|(list, one)| list.eq_ignore_ascii_case(parent) && one.eq_ignore_ascii_case(name));
    let within = repeated(parent).is_some_and(|one| one.eq_ignore_ascii_case(name));
    known || within || values.iter().any(|value| matches!(value, Value::Object(_)))
}

fn write_all(out: &mut Document, parent: &str, name: &str, values: &[Value]) -> Result<(), Malformed> {
    for value in values {
        match value {
            Value::List(_) | Value::Nothing => {
                return Err(Malformed::Json("an array holds an array or null".into()));
            }
            _ => write_element(out, parent, name, value)?,
        }
    }
    Ok(())
}

/// Reads one value, and counts what it has read, since a stranger's document is not trusted.
#[derive(Clone, Copy)]
struct Reader<'r> {
    /// How many objects and arrays the value is in.
    depth: usize,
    values: &'r RefCell<usize>,
    /// Why reading was given up. The reader's own error can only be a text.
    refused: &'r RefCell<Option<Malformed>>,
}

impl Reader<'_> {
    fn refuse<E: serde::de::Error>(&self, why: Malformed) -> E {
        let error = E::custom(&why);
        *self.refused.borrow_mut() = Some(why);
        error
    }

    /// Returns the reader one level deeper.
    fn inside<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth < DEPTH_MAX {
            Ok(Self { depth: self.depth + 1, ..*self })
        } else {
            Err(self.refuse(Malformed::Depth { max: DEPTH_MAX }))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        *self.values.borrow_mut() += 1;
        if *self.values.borrow() > ELEMENTS_MAX {
            return Err(self.refuse(Malformed::TooManyElements { max: ELEMENTS_MAX }));
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Text(truth.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value, E> {
        Err(self.refuse(Malformed::Json("a number is not whole, or too large".into())))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut values = Vec::new();
        while let Some(value) = from.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut keys = std::collections::HashSet::new();
        while let Some(key) = from.next_key::<String>()? {
            if !keys.insert(key.to_ascii_lowercase()) {
                return Err(self.refuse(Malformed::DuplicateKey(Excerpt::of(&key))));
            }
            let value = from.next_value_seed(inside)?;
            members.push((key, value));
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;

    fn answer(document: &str) -> String {
        from_xml(&format!("{DECLARATION}{document}")).unwrap()
    }

    fn request(root: &str, body: &str) -> String {
        to_xml(root, body.as_bytes()).unwrap().strip_prefix(DECLARATION).unwrap().to_owned()
    }

    #[test]
    fn an_answer_is_spelled_like_this() {
        for (xml, json) in [
            ("<SearchResult/>", "{}"),
            (
                "<SearchResult><ResultCount>1</ResultCount><TelephoneNumberList>\
                 <TelephoneNumber>+14354776112</TelephoneNumber></TelephoneNumberList></SearchResult>",
                r#"{"resultCount":1,"phoneNumbers":["+14354776112"],"telephoneNumberList":["+14354776112"]}"#,
            ),
            (
                "<SearchResult><ResultCount>1</ResultCount><TelephoneNumberDetailList><TelephoneNumberDetail>\
                 <CountryCodeA3>USA</CountryCodeA3><LATA>426</LATA><FullNumber>+19193716651</FullNumber>\
                 <Tier>0</Tier><VendorId>49</VendorId></TelephoneNumberDetail></TelephoneNumberDetailList></SearchResult>",
                r#"{"resultCount":1,"telephoneNumberDetailList":[{"countryCodeA3":"USA","LATA":426,"fullNumber":"+19193716651","tier":0,"vendorId":49}]}"#,
            ),
            (
                "<SearchResult><Error><Code>4010</Code><Description>R&amp;D \"x\"</Description></Error></SearchResult>",
                r#"{"error":{"code":4010,"description":"R&D \"x\""}}"#,
            ),
            ("<Notes></Notes>", r#"{"notes":[]}"#),
            (
                "<Notes><Note><Id>87037</Id><Description>1</Description></Note></Notes>",
                r#"{"notes":[{"id":"87037","description":"1"}]}"#,
            ),
            ("<OrderHistoryWrapper></OrderHistoryWrapper>", r#"{"orderHistory":[]}"#),
            (
                "<OrderResponse><ErrorList/><Order><ExistingTelephoneNumberOrderType/>\
                 <BackOrderRequested>false</BackOrderRequested><Name>true</Name><SiteId>7</SiteId><PeerId>8</PeerId>\
                 </Order></OrderResponse>",
                r#"{"errorList":[],"order":{"orderType":{"type":"existingPhoneNumberOrderType"},"backOrderRequested":false,"name":"true","subAccountId":"7","locationId":"8"}}"#,
            ),
            (
                "<TNs><TotalCount>0</TotalCount><Links><first>a</first></Links><TelephoneNumbers><Count>0</Count>\
                 </TelephoneNumbers></TNs>",
                r#"{"totalCount":0,"links":{"first":"a"},"telephoneNumbers":{"count":0,"telephoneNumber":[]}}"#,
            ),
            (
                "<W><ListOrderIdUserIdDate><TotalCount>1</TotalCount><Links></Links><OrderIdUserIdDate><OrderId>x\
                 </OrderId><TelephoneNumberDetails/></OrderIdUserIdDate></ListOrderIdUserIdDate></W>",
                r#"{"listOrderIdUserIdDate":{"totalCount":1,"links":{},"orderIdUserIdDate":[{"orderId":"x","telephoneNumberDetails":{}}]}}"#,
            ),
            (
                "<W><ListOrderIdUserIdDate><TotalCount>3</TotalCount></ListOrderIdUserIdDate></W>",
                r#"{"listOrderIdUserIdDate":{"totalCount":3}}"#,
            ),
            ("<Quantity><Count>4</Count></Quantity>", r#"{"count":4}"#),
            ("<Quantity><Count>many</Count></Quantity>", r#"{"count":"many"}"#),
        ] {
            assert_eq!(answer(xml), json);
        }
    }

    #[test]
    fn an_answer_may_be_longer_than_a_request() {
        let number = "<TelephoneNumber>1</TelephoneNumber>".repeat(ELEMENTS_MAX + 1);
        let json = answer(&format!("<TelephoneNumberList>{number}</TelephoneNumberList>"));
        assert_eq!(json.matches("\"1\"").count(), ELEMENTS_MAX + 1);
    }

    #[test]
    fn a_request_stands_for_a_document() {
        for (root, json, xml) in [
            (
                "DisconnectTelephoneNumberOrder",
                r#"{"customerOrderId":"c","disconnectOrderType":{"disconnectMode":"NORMAL","protected":"UNCHANGED","phoneNumbers":["+15405514342",17034343704]}}"#,
                "<CustomerOrderId>c</CustomerOrderId><DisconnectTelephoneNumberOrderType>\
                 <DisconnectMode>NORMAL</DisconnectMode><Protected>UNCHANGED</Protected><TelephoneNumberList>\
                 <TelephoneNumber>+15405514342</TelephoneNumber><TelephoneNumber>17034343704</TelephoneNumber>\
                 </TelephoneNumberList></DisconnectTelephoneNumberOrderType>",
            ),
            (
                "Order",
                r#"{"orderType":{"phoneNumbers":[],"type":"existingPhoneNumberOrderType"},"subAccountId":21391,"locationId":"1","partialAllowed":true,"tnAttributes":["Protected"],"customerOrderId":null}"#,
                "<ExistingTelephoneNumberOrderType><TelephoneNumberList></TelephoneNumberList>\
                 </ExistingTelephoneNumberOrderType><SiteId>21391</SiteId><PeerId>1</PeerId><PartialAllowed>true</PartialAllowed>\
                 <TnAttributes><TnAttribute>Protected</TnAttribute></TnAttributes>",
            ),
            // An unknown type is an element like any other, so what it holds stays visible.
            (
                "Order",
                r#"{"orderType":{"type":"another","phoneNumbers":["1"]},"name":"a"}"#,
                "<OrderType><Type>another</Type><TelephoneNumberList><TelephoneNumber>1</TelephoneNumber>\
                 </TelephoneNumberList></OrderType><Name>a</Name>",
            ),
            (
                "Order",
                r#"{"ordertype":{"Type":"existingPhoneNumberOrderType","PHONENUMBERS":[]}}"#,
                "<ExistingTelephoneNumberOrderType><TelephoneNumberList></TelephoneNumberList></ExistingTelephoneNumberOrderType>",
            ),
            // A text is a list of one, and what is no text does not read as one.
            (
                "Order",
                r#"{"tnattributes":"Protected","reservationIdList":""}"#,
                "<Tnattributes><TnAttribute>Protected</TnAttribute></Tnattributes><ReservationIdList></ReservationIdList>",
            ),
            (
                "Note",
                r#"{"a":["b",1],"c":[],"d":{},"e":[{"f":1},{}]}"#,
                "<A><_>b</_><_>1</_></A><C><_/></C><D><_/></D><E><F>1</F></E><E><_/></E>",
            ),
            (
                "Subscription",
                r#"{"orderType":"disconnects","callbackSubscription":{"url":"https://example.com/?a&b","expiry":60}}"#,
                "<OrderType>disconnects</OrderType><CallbackSubscription><URL>https://example.com/?a&amp;b</URL>\
                 <Expiry>60</Expiry></CallbackSubscription>",
            ),
            ("TnList", r#"{"phoneNumbers":["1"],"tn":["2","3"]}"#, "<Tn>1</Tn><Tn>2</Tn><Tn>3</Tn>"),
            (
                "MoveTnsOrder",
                r#"{"subAccountId":33376,"locationId":1127896,"phoneNumbers":["+15405514342"]}"#,
                "<SiteId>33376</SiteId><SipPeerId>1127896</SipPeerId><TelephoneNumbers>\
                 <TelephoneNumber>+15405514342</TelephoneNumber></TelephoneNumbers>",
            ),
            ("Reservation", r#"{"reservedTn":"+15405514342"}"#, "<ReservedTn>+15405514342</ReservedTn>"),
            // What could be no element's name stands where nobody reads it.
            (
                "Note",
                r#"{"":1,"a b":{"c":1},"<x>":"y","é":2,"x:y":[3],"userId":"u","n m":null}"#,
                "<_>1</_><_><C>1</C></_><_>y</_><_>2</_><_><_>3</_></_><UserId>u</UserId>",
            ),
            ("Note", "{}", ""),
        ] {
            assert_eq!(request(root, json), format!("<{root}>{xml}</{root}>"), "{json}");
        }
    }

    #[test]
    fn every_order_type_has_its_element() {
        for (element, word) in ORDER_TYPES {
            let made = request("Order", &format!(r#"{{"orderType":{{"type":"{word}","quantity":1}}}}"#));
            assert!(made.starts_with(&format!("<Order><{element}>")), "{made}");
            let told = answer(&made);
            assert!(told.starts_with(&format!(r#"{{"orderType":{{"type":"{word}""#)), "{told}");
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let why = |body: &str| to_xml("Note", body.as_bytes()).unwrap_err().to_string();
        for body in [
            "",
            "[]",
            "\"a\"",
            "1",
            "null",
            "{",
            "{}{}",
            "{} x",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":NaN}",
            "{\"a\":\"\u{1}\"}",
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\u0000"}"#,
            "{\"a\":1.5}",
            "{\"a\":1e3}",
            "{\"a\":[[1]]}",
            "{\"a\":[null]}",
            "\u{FEFF}{}",
            "<Note/>",
            "/**/{}",
            "{\"a\":01}",
        ] {
            assert!(matches!(to_xml("Note", body.as_bytes()), Err(Malformed::Json(_))), "{body}");
        }
        assert!(to_xml("Note", b"{\"a\":\"\xFF\"}").is_err());
        assert_eq!(why(r#"{"a":1,"b":{"c":1,"c":2}}"#), "the key c is there twice");
        let deep = |levels: usize| "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
        assert!(to_xml("Note", deep(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(why(&deep(DEPTH_MAX + 1)), "elements are nested deeper than 16 levels");
        assert_eq!(why(&"{\"a\":[".repeat(100_000)), "elements are nested deeper than 16 levels");
        let many = |values: usize| format!("{{\"a\":[{}1]}}", "1,".repeat(values - 3));
        assert!(to_xml("Note", many(ELEMENTS_MAX).as_bytes()).is_ok());
        assert_eq!(why(&many(ELEMENTS_MAX + 1)), "the document has more than 6000 elements");
    }
}
