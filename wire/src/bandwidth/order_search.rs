//! The forms in which a number order can search (contract §3.1): their fields, and the problems of wrong values.
//!
//! Not here: orders that name their numbers, and the rest of an order (`orders`).

use onhook_core::geo;
use onhook_core::geo::BadCriterion;
use onhook_core::order::search::{self, Criteria, TollFree, Vanity};
use onhook_core::order::{NUMBERS_MAX, Search, SearchForm};

use super::flag;
use crate::error::{Problem, cut};
use crate::text::xml::{Document, Element};

/// A form: its element, and its fields in the order in which they are repeated.
#[derive(Debug)]
struct Shape {
    form: SearchForm,
    element: &'static str,
    fields: &'static [&'static str],
}

#[rustfmt::skip]
const SHAPES: [Shape; 10] = [
    Shape { form: SearchForm::AreaCode,         element: "AreaCodeSearchAndOrderType",         fields: &["AreaCode", "Quantity"] },
    Shape { form: SearchForm::RateCenter,       element: "RateCenterSearchAndOrderType",       fields: &["RateCenter", "State", "Quantity", "EnableLCA"] },
    Shape { form: SearchForm::NpaNxx,           element: "NPANXXSearchAndOrderType",           fields: &["NpaNxx", "EnableTNDetail", "EnableLCA", "Quantity"] },
    Shape { form: SearchForm::TollFreeVanity,   element: "TollFreeVanitySearchAndOrderType",   fields: &["TollFreeVanity", "Quantity"] },
    Shape { form: SearchForm::TollFreeWildChar, element: "TollFreeWildCharSearchAndOrderType", fields: &["TollFreeWildCardPattern", "Quantity"] },
    Shape { form: SearchForm::State,            element: "StateSearchAndOrderType",            fields: &["State", "Quantity"] },
    Shape { form: SearchForm::City,             element: "CitySearchAndOrderType",             fields: &["City", "State", "Quantity"] },
    Shape { form: SearchForm::Zip,              element: "ZIPSearchAndOrderType",              fields: &["Zip", "Quantity"] },
    Shape { form: SearchForm::Lata,             element: "LATASearchAndOrderType",             fields: &["Lata", "Quantity"] },
    Shape { form: SearchForm::Combined,         element: "CombinedSearchAndOrderType",         fields: &[
        "AreaCode", "RateCenter", "State", "NpaNxx", "NpaNxxX", "Lata", "City", "Zip", "LocalVanity", "EndsIn",
        "EnableLCA", "Quantity",
    ] },
];

/// Returns the name of a form's element.
#[must_use]
pub fn element(form: SearchForm) -> &'static str {
    SHAPES.iter().find(|shape| shape.form == form).map_or("", |shape| shape.element)
}

/// A form as it was sent: read, not yet checked.
#[derive(Clone, Debug)]
pub(crate) struct Sent<'a> {
    shape: &'static Shape,
    fields: Vec<(&'static str, &'a str)>,
}

impl<'a> Sent<'a> {
    /// Returns every form in an order.
    ///
    /// # Errors
    /// A form or a value that is repeated.
    pub(crate) fn read(order: &'a Element<'_>) -> Result<Vec<Self>, Problem> {
        let mut sent = Vec::new();
        for shape in &SHAPES {
            let Some(element) = order.child(shape.element)? else { continue };
            let mut fields = Vec::new();
            for name in shape.fields {
                fields.extend(element.value(name)?.map(|text| (*name, text)));
            }
            sent.push(Self { shape, fields });
        }
        Ok(sent)
    }

    /// Repeats the form, as far as it was understood.
    pub(crate) fn echo(&self, out: &mut Document) {
        out.element(self.shape.element, |out| {
            for (name, text) in &self.fields {
                out.leaf(name, &cut(text));
            }
        });
    }

    /// Returns the search.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn check(&self, back_order: bool) -> Result<Search, Problem> {
        let form = self.shape.form;
        for name in ["EnableLCA", "EnableTNDetail"] {
            self.get(name).map(|text| flag::read(name, text)).transpose()?;
        }
        if form == SearchForm::AreaCode && (self.get("AreaCode").is_none() || self.get("Quantity").is_none())
        {
            return Err(Problem::AreaCodeForm);
        }
        if form == SearchForm::TollFreeVanity
            && (self.get("TollFreeVanity").is_none() || self.get("Quantity").is_none())
        {
            return Err(Problem::VanityForm);
        }
        let criteria = self.criteria()?;
        if criteria.is_empty() {
            return Err(match self.shape.fields.first() {
                Some(only) if form != SearchForm::Combined => Problem::NoCriterion(only),
                _ => Problem::NoCriteria,
            });
        }
        if back_order && criteria.is_narrow() {
            return Err(Problem::BackOrder);
        }
        let quantity = quantity(self.get("Quantity"))?;
        let sent = self.fields.iter().map(|(name, text)| ((*name).to_owned(), cut(text))).collect();
        Ok(Search { form, sent, criteria, quantity, back_order })
    }

    /// Returns the text of a field, if it has one.
    fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(key, text)| *key == name && !text.is_empty()).map(|(_, text)| *text)
    }

    fn criteria(&self) -> Result<Criteria, Problem> {
        let leading: Vec<(&'static str, usize, &str)> = [("AreaCode", 3), ("NpaNxx", 6), ("NpaNxxX", 7)]
            .into_iter()
            .filter_map(|(name, length)| Some((name, length, self.get(name)?)))
            .collect();
        let prefix = match leading[..] {
            [] => None,
            [(name, length, text)] => {
                Some(geo::leading(text, length).map_err(|bad| wrong_digits(name, length, text, bad))?)
            }
            _ => return Err(Problem::Combination),
        };
        let value = |name, check: fn(&str) -> Result<String, BadCriterion>, wrong: fn(String) -> Problem| {
            self.get(name).map(|text| check(text).map_err(|_| wrong(cut(text)))).transpose()
        };
        let region = value("State", geo::region, Problem::StateCode)?;
        let rate_center = value("RateCenter", geo::city_name, Problem::RateCenterCode)?;
        let city = value("City", geo::city_name, Problem::CityName)?;
        if (rate_center.is_some() || city.is_some()) && region.is_none() {
            return Err(Problem::AlsoNeeded("State"));
        }
        let ends_in = self.get("EndsIn").map(|text| flag::read("EndsIn", text)).transpose()?;
        let vanity = match value("LocalVanity", search::keys, Problem::LocalVanity)? {
            None if ends_in.is_some() => return Err(Problem::EndsIn),
            None => None,
            Some(digits) => Some(Vanity { digits, at_end: ends_in.unwrap_or(false) }),
        };
        if vanity.is_some() && prefix.as_ref().is_none_or(|digits| digits.len() != 3) {
            return Err(Problem::AlsoNeeded("AreaCode"));
        }
        let spelled = self.get("TollFreeVanity").map(|text| {
            search::keys(text).map(TollFree::Vanity).map_err(|bad| match bad {
                BadCriterion::Length => Problem::CriterionLength("TollFreeVanity", "4 to 7"),
                _ => Problem::NotAlphanumeric("TollFreeVanity"),
            })
        });
        let pattern = self.get("TollFreeWildCardPattern").map(|text| {
            search::toll_free_pattern(text).map(TollFree::Pattern).map_err(|_| Problem::WildCard)
        });
        Ok(Criteria {
            prefix,
            region,
            rate_center,
            city,
            lata: value("Lata", geo::lata, Problem::LataCode)?,
            zip: value("Zip", geo::zip, Problem::ZipCode)?,
            vanity,
            toll_free: spelled.or(pattern).transpose()?,
        })
    }
}

/// Returns how many numbers an order wants.
fn quantity(text: Option<&str>) -> Result<usize, Problem> {
    let text = text.ok_or(Problem::Required("Quantity"))?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::Quantity(cut(text)));
    }
    text.parse().ok().filter(|n| (1..=NUMBERS_MAX).contains(n)).ok_or(Problem::QuantityRange)
}

/// Returns the problem with leading digits, in the words of an order's errors.
fn wrong_digits(name: &'static str, length: usize, text: &str, bad: BadCriterion) -> Problem {
    let in_words = match name {
        "AreaCode" => "Area Code",
        other => other,
    };
    let digits = text.as_bytes();
    match bad {
        BadCriterion::Length => Problem::CriterionLength(
            in_words,
            if length == 3 {
                "3"
            } else if length == 6 {
                "6"
            } else {
                "7"
            },
        ),
        BadCriterion::Characters => Problem::CriterionParse(in_words),
        BadCriterion::Unknown
            if matches!(digits[0], b'0' | b'1') || text.starts_with("37") || text.starts_with("96") =>
        {
            Problem::AreaCodeStart
        }
        BadCriterion::Unknown if digits[1] == b'9' => Problem::AreaCodeSecond,
        BadCriterion::Unknown if &digits[1..3] == b"11" => Problem::AreaCodeEnd,
        BadCriterion::Unknown if digits.get(3).is_some_and(|d| matches!(d, b'0' | b'1')) => {
            Problem::ExchangeStart
        }
        BadCriterion::Unknown => Problem::CriterionParse(in_words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::xml;

    fn check(form: &str, back_order: bool) -> Result<Search, Problem> {
        let document = format!("<Order>{form}</Order>");
        let root = xml::parse(document.as_bytes()).unwrap();
        let sent = Sent::read(&root).unwrap();
        assert_eq!(sent.len(), 1, "{form}");
        sent[0].check(back_order)
    }

    fn form(element: &str, fields: &str) -> String {
        format!("<{element}>{fields}<Quantity>2</Quantity></{element}>")
    }

    #[test]
    fn each_form_is_a_search() {
        let prefix = Criteria::prefix;
        let some = |text: &str| Some(text.to_owned());
        let none = Criteria::default;
        for (element, fields, criteria) in [
            ("AreaCodeSearchAndOrderType", "<AreaCode>919</AreaCode>", prefix("919")),
            (
                "NPANXXSearchAndOrderType",
                "<NpaNxx>919355</NpaNxx><EnableLCA>false</EnableLCA>",
                prefix("919355"),
            ),
            (
                "RateCenterSearchAndOrderType",
                "<RateCenter>cary</RateCenter><State>nc</State>",
                Criteria { rate_center: some("CARY"), region: some("NC"), ..none() },
            ),
            ("StateSearchAndOrderType", "<State>NC</State>", Criteria { region: some("NC"), ..none() }),
            (
                "CitySearchAndOrderType",
                "<City>Raleigh</City><State>NC</State>",
                Criteria { city: some("RALEIGH"), region: some("NC"), ..none() },
            ),
            ("ZIPSearchAndOrderType", "<Zip>27606-1234</Zip>", Criteria { zip: some("27606"), ..none() }),
            ("LATASearchAndOrderType", "<LATA>426</LATA>", Criteria { lata: some("426"), ..none() }),
            (
                "TollFreeVanitySearchAndOrderType",
                "<TollFreeVanity>newcars</TollFreeVanity>",
                Criteria { toll_free: Some(TollFree::Vanity("6392277".into())), ..none() },
            ),
            (
                "TollFreeWildCharSearchAndOrderType",
                "<TollFreeWildCardPattern>8**</TollFreeWildCardPattern>",
                Criteria { toll_free: Some(TollFree::Pattern("8**".into())), ..none() },
            ),
            (
                "CombinedSearchAndOrderType",
                "<AreaCode>919</AreaCode><LocalVanity>1234</LocalVanity><EndsIn>true</EndsIn>",
                Criteria { vanity: Some(Vanity { digits: "1234".into(), at_end: true }), ..prefix("919") },
            ),
        ] {
            let search = check(&form(element, fields), false).unwrap();
            assert_eq!((search.criteria, search.quantity), (criteria, 2), "{element}");
            assert_eq!(super::element(search.form), element);
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_an_order() {
        let area = |text: &str| form("AreaCodeSearchAndOrderType", &format!("<AreaCode>{text}</AreaCode>"));
        let quantity = |text: &str| {
            format!(
                "<StateSearchAndOrderType><State>NC</State><Quantity>{text}</Quantity></StateSearchAndOrderType>"
            )
        };
        let combined = |fields: &str| form("CombinedSearchAndOrderType", fields);
        for (sent, problem) in [
            (area("91"), Problem::CriterionLength("Area Code", "3")),
            (area("9x9"), Problem::CriterionParse("Area Code")),
            (area("119"), Problem::AreaCodeStart),
            (area("295"), Problem::AreaCodeSecond),
            (area("911"), Problem::AreaCodeEnd),
            (area(""), Problem::AreaCodeForm),
            (form("NPANXXSearchAndOrderType", "<NpaNxx>919055</NpaNxx>"), Problem::ExchangeStart),
            (form("NPANXXSearchAndOrderType", ""), Problem::NoCriterion("NpaNxx")),
            (form("StateSearchAndOrderType", "<State>North</State>"), Problem::StateCode("North".into())),
            (
                form("RateCenterSearchAndOrderType", "<RateCenter>CARY</RateCenter>"),
                Problem::AlsoNeeded("State"),
            ),
            (form("CitySearchAndOrderType", "<City>CARY</City>"), Problem::AlsoNeeded("State")),
            (form("ZIPSearchAndOrderType", "<Zip>2760</Zip>"), Problem::ZipCode("2760".into())),
            (form("LATASearchAndOrderType", "<Lata>x</Lata>"), Problem::LataCode("x".into())),
            (
                form(
                    "TollFreeWildCharSearchAndOrderType",
                    "<TollFreeWildCardPattern>9*</TollFreeWildCardPattern>",
                ),
                Problem::WildCard,
            ),
            (form("TollFreeVanitySearchAndOrderType", ""), Problem::VanityForm),
            (
                form("TollFreeVanitySearchAndOrderType", "<TollFreeVanity>abc</TollFreeVanity>"),
                Problem::CriterionLength("TollFreeVanity", "4 to 7"),
            ),
            (combined(""), Problem::NoCriteria),
            (combined("<AreaCode>919</AreaCode><NpaNxx>919355</NpaNxx>"), Problem::Combination),
            (combined("<AreaCode>919</AreaCode><EndsIn>true</EndsIn>"), Problem::EndsIn),
            (combined("<LocalVanity>1234</LocalVanity>"), Problem::AlsoNeeded("AreaCode")),
            (
                combined("<AreaCode>919</AreaCode><EnableLCA>x</EnableLCA>"),
                Problem::Value("EnableLCA", "x".into(), &["true", "false"]),
            ),
            (quantity(""), Problem::Required("Quantity")),
            (quantity("-1"), Problem::Quantity("-1".into())),
            (quantity("0"), Problem::QuantityRange),
            (quantity("5001"), Problem::QuantityRange),
        ] {
            assert_eq!(check(&sent, false).unwrap_err(), problem, "{sent}");
        }
        let narrow = form("NPANXXSearchAndOrderType", "<NpaNxx>919355</NpaNxx>");
        assert_eq!(check(&narrow, true).unwrap_err(), Problem::BackOrder);
        assert!(check(&area("919"), true).unwrap().back_order);
    }
}
