//! Where a number lies. Its own area counts first, then its exchange, then its area code.
//!
//! An operator loads the exchanges. Without them a number has only a state or province, unless its import named a
//! rate center.
//!
//! Not here: the area whose demand a number counts for (`lifecycle::area`, fixed by an import), or where each area code
//! lies (`area_codes`).

use crate::area_codes;
use crate::geo;
use crate::geo::{BadCriterion, CITY_NAME_MAX};
use crate::import::BadLine;
use crate::lifecycle::area::AreaName;
use crate::name::{self, BadName};
use crate::number::Number;

/// Most ZIP codes of one exchange.
pub const ZIPS_MAX: usize = 500;

/// Returns the name of a rate center or a city in a file, in upper case.
///
/// # Errors
/// [`BadName`].
pub fn city_or_rate_center(text: &str) -> Result<String, BadName> {
    let text = text.trim();
    name::check(text, CITY_NAME_MAX)?;
    Ok(text.to_uppercase())
}

/// An exchange, as an operator's file describes it. All of it lies in one rate center, even if carriers share its
/// blocks of a thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Area code and exchange, six digits.
    pub npa_nxx: u32,
    /// State or province, two letters, upper case.
    pub region: String,
    /// The rate center's abbreviation, upper case.
    pub rate_center: String,
    /// The rate center's name, upper case. Its abbreviation if the file has no name.
    pub name: String,
    /// The LATA, three or five digits.
    pub lata: Option<String>,
    /// The city, upper case.
    pub city: Option<String>,
    /// The ZIP codes that it serves, five digits each.
    pub zips: Vec<String>,
}

/// A line of an operator's file of exchanges, as it was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeLine<'a> {
    /// Area code and exchange.
    pub npa_nxx: &'a str,
    /// State or province.
    pub state: &'a str,
    /// The rate center's abbreviation.
    pub rate_center: &'a str,
    /// The rate center's name, if the file has it.
    pub name: Option<&'a str>,
    /// The LATA, if the file has it.
    pub lata: Option<&'a str>,
    /// The city, if the file has it.
    pub city: Option<&'a str>,
    /// ZIP codes, separated by spaces
    pub zips: Option<&'a str>,
}

/// Returns a field unless it is empty.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

impl Exchange {
    /// Returns the exchange that a line describes.
    ///
    /// # Errors
    /// [`BadLine`]: the first field that has a wrong form, or names something that does not exist.
    pub fn read(line: &ExchangeLine<'_>) -> Result<Self, BadLine> {
        type Form = fn(&str) -> Result<String, BadCriterion>;
        let check =
            |column, text: &str, form: Form| form(text).map_err(|why| BadLine::field(column, text, why));
        let named =
            |column, text: &str| city_or_rate_center(text).map_err(|why| BadLine::field(column, text, why));
        let npa_nxx = check("npa_nxx", line.npa_nxx, |text| geo::leading(text, 6))?;
        let rate_center = named("rate_center", line.rate_center)?;
        let mut zips = Vec::new();
        for zip in line.zips.unwrap_or_default().split_ascii_whitespace() {
            let zip = check("zip", zip, geo::zip)?;
            if zips.len() == ZIPS_MAX {
                return Err(BadLine::field("zip", &zip, format!("an exchange has at most {ZIPS_MAX}")));
            }
            if !zips.contains(&zip) {
                zips.push(zip);
            }
        }
        Ok(Self {
            npa_nxx: npa_nxx.parse().unwrap_or_default(),
            region: check("state", line.state, |text| {
                let region = geo::region(text)?;
                if area_codes::is_region(&region) { Ok(region) } else { Err(BadCriterion::Unknown) }
            })?,
            name: match given(line.name) {
                Some(name) => named("rate_center_name", name)?,
                None => rate_center.clone(),
            },
            rate_center,
            lata: given(line.lata).map(|text| check("lata", text, geo::lata)).transpose()?,
            city: given(line.city).map(|text| named("city", text)).transpose()?,
            zips,
        })
    }

    /// Returns whether the exchange lies in a number's area. If not, it says nothing about the number: an import knows
    /// its numbers better.
    #[must_use]
    pub fn agrees(&self, area: &AreaName) -> bool {
        area.region().is_none_or(|region| region == self.region)
            && area.rate_center().is_none_or(|name| name == self.rate_center)
    }
}

/// Where a number lies, as it is shown and searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// State or province, two letters.
    pub region: Option<String>,
    /// The rate center's abbreviation.
    pub rate_center: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The LATA.
    pub lata: Option<String>,
    /// The ZIP codes of its exchange.
    pub zips: Vec<String>,
}

impl Locality {
    /// Returns where a number of this area and exchange lies.
    #[must_use]
    pub fn of(number: Number, area: &AreaName, exchange: Option<&Exchange>) -> Self {
        let exchange = exchange.filter(|exchange| exchange.agrees(area));
        let region = area
            .region()
            .or(exchange.map(|exchange| exchange.region.as_str()))
            .or_else(|| area_codes::region(number));
        let rate_center = area.rate_center().or(exchange.map(|exchange| exchange.rate_center.as_str()));
        Self {
            region: region.map(str::to_owned),
            rate_center: rate_center.map(str::to_owned),
            city: exchange.and_then(|exchange| exchange.city.clone()),
            lata: exchange.and_then(|exchange| exchange.lata.clone()),
            zips: exchange.map(|exchange| exchange.zips.clone()).unwrap_or_default(),
        }
    }
}

/// Returns the area of a number that is imported: that of its line, else that of its exchange, else the state or
/// province of its area code.
#[must_use]
pub fn area(
    number: Number,
    region: Option<&str>,
    rate_center: Option<&str>,
    exchange: Option<&Exchange>,
) -> AreaName {
    let named = AreaName::of(number, region, rate_center);
    if named.rate_center().is_some() {
        return named;
    }
    match exchange.filter(|exchange| exchange.agrees(&named)) {
        Some(exchange) => AreaName::of(number, Some(&exchange.region), Some(&exchange.rate_center)),
        None if named.region().is_none() => AreaName::of(number, area_codes::region(number), None),
        None => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digits: &str) -> Number {
        digits.parse().unwrap()
    }

    fn raleigh() -> Exchange {
        Exchange {
            npa_nxx: 919_555,
            region: "NC".into(),
            rate_center: "RALEIGH".into(),
            name: "RALEIGH".into(),
            lata: Some("426".into()),
            city: Some("RALEIGH".into()),
            zips: vec!["27601".into()],
        }
    }

    #[test]
    fn a_line_is_an_exchange_when_each_of_its_fields_is_one() {
        let line = ExchangeLine {
            npa_nxx: "919555",
            state: "nc",
            rate_center: "Raleigh",
            name: None,
            lata: Some("426"),
            city: Some("raleigh"),
            zips: Some("27601 27601-1234"),
        };
        assert_eq!(Exchange::read(&line), Ok(raleigh()));
        #[rustfmt::skip]
        let table = [
            (ExchangeLine { npa_nxx: "919", ..line },         "npa_nxx \"919\": it has another length"),
            (ExchangeLine { npa_nxx: "919155", ..line },      "npa_nxx \"919155\": there is no such thing"),
            (ExchangeLine { npa_nxx: "9195551", ..line },     "npa_nxx \"9195551\": it has another length"),
            (ExchangeLine { state: "XX", ..line },            "state \"XX\": there is no such thing"),
            (ExchangeLine { rate_center: "", ..line },        "rate_center \"\": a name has 1 to 50 characters"),
            (ExchangeLine { city: Some("=1"), ..line },
             "city \"=1\": a name begins with none of = @ + -, which a spreadsheet would take for a formula"),
            (ExchangeLine { lata: Some("42"), ..line },       "lata \"42\": it has another length"),
            (ExchangeLine { zips: Some("27601 1"), ..line },  "zip \"1\": it has another length"),
        ];
        for (line, why) in table {
            assert_eq!(Exchange::read(&line).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn an_area_comes_from_the_line_then_the_exchange_then_the_plan() {
        let exchange = raleigh();
        let of = |region, rate_center, exchange| {
            area(number("9195550100"), region, rate_center, exchange).to_string()
        };
        #[rustfmt::skip]
        let table = [
            // the line says            the exchange     the area
            (Some("nc"), Some("cary"), Some(&exchange), "CARY, NC"),
            (Some("NC"), None,         Some(&exchange), "RALEIGH, NC"),
            (Some("VA"), None,         Some(&exchange), "919 (VA)"),
            (None,       None,         Some(&exchange), "RALEIGH, NC"),
            (None,       None,         None,            "919 (NC)"),
        ];
        for (region, rate_center, exchange, area) in table {
            assert_eq!(of(region, rate_center, exchange), area);
        }
        assert_eq!(area(number("9025550100"), None, None, None).to_string(), "902");
        assert_eq!(area(number("8005550100"), None, None, None).to_string(), "800");
        assert_eq!(area(number("+33140289562"), None, None, None).to_string(), "331");
    }

    #[test]
    fn a_locality_is_the_area_s_and_an_exchange_elsewhere_tells_nothing() {
        let exchange = raleigh();
        let of = |region, rate_center, exchange| {
            let number = number("9195550100");
            let l = Locality::of(number, &AreaName::of(number, region, rate_center), exchange);
            (l.region, l.rate_center, l.city, l.lata, l.zips.len())
        };
        let text = |text: &str| Some(text.to_owned());
        let whole = (text("NC"), text("RALEIGH"), text("RALEIGH"), text("426"), 1);
        assert_eq!(of(None, None, Some(&exchange)), whole);
        assert_eq!(of(Some("NC"), Some("RALEIGH"), Some(&exchange)), whole);
        assert_eq!(of(Some("NC"), Some("CARY"), Some(&exchange)), (text("NC"), text("CARY"), None, None, 0));
        assert_eq!(of(Some("VA"), None, Some(&exchange)), (text("VA"), None, None, None, 0));
        assert_eq!(of(None, None, None), (text("NC"), None, None, None, 0));
    }
}
