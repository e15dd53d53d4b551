//! The parameters of a request: names without regard to case, pages, sizes and dates.

use onhook_core::geo;
use onhook_core::ids::OrderId;
use onhook_core::number::Number;
use onhook_core::time::{Date, TimeZone, Timestamp};

use super::flag;
use crate::error::{Problem, cut};

/// The beginning of a page, as a client gives it: its number from 1, or the id of its first element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page<T> {
    /// The n-th page.
    Number(u32),
    /// The page that begins with this element.
    At(T),
}

/// The parameters of a request, decoded.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Returns these parameters as a query, in the order in which they were sent.
    #[must_use]
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// Returns all parameters except those that choose a page.
    #[must_use]
    pub fn filters(&self) -> Vec<(String, String)> {
        let paging = |key: &str| key.eq_ignore_ascii_case("page") || key.eq_ignore_ascii_case("size");
        self.0.iter().filter(|(key, _)| !paging(key)).cloned().collect()
    }

    /// Returns the value of a parameter, trimmed. `None` if it is absent or empty.
    ///
    /// # Errors
    /// [`Problem::Twice`] if it is repeated.
    pub fn get(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let mut values =
            self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Problem::Twice(name)),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// Returns every value of a parameter that may be repeated. Commas separate values too.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.0.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        values.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Returns how many elements a page may have, from 1 to `max`. It is `default` if the parameter is absent.
    ///
    /// # Errors
    /// [`Problem::Between`], [`Problem::NotANumber`].
    pub fn size(&self, name: &'static str, default: u32, max: u32) -> Result<u32, Problem> {
        match self.get(name)? {
            None => Ok(default),
            Some(text) => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                if !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(Problem::NotANumber(name, cut(text)));
                }
                whole(text).filter(|size| (1..=max).contains(size)).ok_or(Problem::Between(name, 1, max))
            }
        }
    }

    /// Returns the beginning of a page of orders.
    ///
    /// # Errors
    /// [`Problem::Uuid`] for a text that is neither a page's number nor an order's id.
    pub fn order_page(&self) -> Result<Page<OrderId>, Problem> {
        match self.get("page")? {
            None => Ok(Page::Number(1)),
            Some(text) => match (page_number(text), text.parse()) {
                (Some(page), _) => Ok(Page::Number(page)),
                (None, Ok(id)) => Ok(Page::At(id)),
                (None, Err(_)) => Err(Problem::Uuid("page", cut(text))),
            },
        }
    }

    /// Returns the beginning of a page of numbers.
    ///
    /// # Errors
    /// [`Problem::Page`] for a text that is neither a page's number nor a telephone number.
    pub fn number_page(&self) -> Result<Page<Number>, Problem> {
        match self.get("page")? {
            None => Ok(Page::Number(1)),
            // Decoders of forms read a `+` in a query as a space.
            Some(text) => match (page_number(text), text.parse()) {
                (Some(page), _) => Ok(Page::Number(page)),
                (None, Ok(number)) => Ok(Page::At(number)),
                (None, Err(_)) => Err(Problem::Page(cut(text))),
            },
        }
    }

    /// Returns the days from `startdate` to `enddate` (yy-MM-dd, both included, in UTC) as a half-open range.
    ///
    /// # Errors
    /// If only one is given, one is no date, or they are the wrong way round.
    pub fn dates(&self) -> Result<Option<(Timestamp, Timestamp)>, Problem> {
        self.days("startdate", "enddate")
    }

    /// Returns the days between two other parameters, as [`Query::dates`] does.
    ///
    /// # Errors
    /// As [`Query::dates`].
    pub fn days(
        &self,
        from: &'static str,
        to: &'static str,
    ) -> Result<Option<(Timestamp, Timestamp)>, Problem> {
        let (start, end) = match (self.get(from)?, self.get(to)?) {
            (None, None) => return Ok(None),
            (Some(start), Some(end)) => (start, end),
            _ => return Err(Problem::Pair(from, to)),
        };
        let (first, last) = (date(start)?, date(end)?);
        if first > last {
            return Err(Problem::DateRange(start.into(), end.into()));
        }
        let after = last.tomorrow().map_err(|_| Problem::Date(cut(end)))?;
        let zone = TimeZone::UTC;
        Ok(Some((Timestamp::start_of(first, &zone), Timestamp::start_of(after, &zone))))
    }

    /// Returns the first digits, a fixed number of them, by which a list of numbers is filtered.
    ///
    /// # Errors
    /// The problem that `wrong` returns, for a value that no number begins with.
    pub fn leading(
        &self,
        name: &'static str,
        length: usize,
        wrong: impl FnOnce(String) -> Problem,
    ) -> Result<Option<String>, Problem> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        geo::leading(text, length).map(Some).map_err(|_| wrong(cut(text)))
    }

    /// Returns the state that a list is filtered by.
    ///
    /// # Errors
    /// [`Problem::Value`].
    pub fn region(&self) -> Result<Option<&str>, Problem> {
        match self.get("state")? {
            Some(text) if geo::region(text).is_err() => Err(Problem::Value("state", cut(text), &[])),
            other => Ok(other),
        }
    }

    /// Returns the rate center that a list is filtered by.
    ///
    /// # Errors
    /// [`Problem::RateCenter`].
    pub fn rate_center(&self) -> Result<Option<&str>, Problem> {
        match self.get("ratecenter")? {
            Some(text) if geo::city_name(text).is_err() => Err(Problem::RateCenter(cut(text))),
            other => Ok(other),
        }
    }

    /// Returns the city that a list is filtered by, in upper case.
    ///
    /// # Errors
    /// [`Problem::Value`].
    pub fn city(&self) -> Result<Option<String>, Problem> {
        self.formed("city", geo::city_name)
    }

    /// Returns the LATA that a list is filtered by.
    ///
    /// # Errors
    /// [`Problem::Value`].
    pub fn lata(&self) -> Result<Option<String>, Problem> {
        self.formed("lata", geo::lata)
    }

    fn formed<E>(
        &self,
        name: &'static str,
        form: fn(&str) -> Result<String, E>,
    ) -> Result<Option<String>, Problem> {
        let read = |text| form(text).map_err(|_| Problem::Value(name, cut(text), &[]));
        self.get(name)?.map(read).transpose()
    }

    /// Returns the value of a boolean parameter, or `default` if it is absent.
    ///
    /// # Errors
    /// [`Problem::Value`].
    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool, Problem> {
        match self.get(name)? {
            None => Ok(default),
            Some(text) => flag::read(name, text),
        }
    }
}

fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Returns a page's number. It has at most seven digits: longer ones are telephone numbers.
fn page_number(text: &str) -> Option<u32> {
    whole(text).filter(|page| *page >= 1 && text.len() <= 7)
}

/// Returns the date of a text in the form `yy-MM-dd`, a day of this century.
fn date(text: &str) -> Result<Date, Problem> {
    let wrong = || Problem::Date(cut(text));
    let parts: Vec<&str> = text.split('-').collect();
    let &[year, month, day] = parts.as_slice() else { return Err(wrong()) };
    let two = |part: &str| -> Option<i16> {
        (part.len() == 2).then(|| whole(part)).flatten().and_then(|value| i16::try_from(value).ok())
    };
    let (year, month, day) = (two(year), two(month), two(day));
    let part = |value: Option<i16>| value.and_then(|value| i8::try_from(value).ok()).ok_or_else(wrong);
    let (year, month, day) = (2_000 + year.ok_or_else(wrong)?, part(month)?, part(day)?);
    Date::new(year, month, day).map_err(|_| Problem::NoSuchDay(cut(text)))
}

/// The links of a list: to its beginning, and to the next page.
#[derive(Clone, Debug)]
pub struct Links {
    /// Address of the list without its query, such as `https://numbers.example/v1.0/accounts/1/orders`.
    pub list: String,
    /// The parameters of the request except `page` and `size`, decoded.
    pub filters: Vec<(String, String)>,
    /// Elements on a page.
    pub size: u32,
    /// The id of the next page's first element.
    pub next: Option<String>,
}

impl Links {
    /// Writes the links as text in the form of a `Link` header, as the API does.
    pub(crate) fn write(&self, out: &mut crate::text::xml::Document) {
        out.open("Links");
        out.leaf("first", &self.link("1", "first"));
        if let Some(next) = &self.next {
            out.leaf("next", &self.link(next, "next"));
        }
        out.close("Links");
    }

    fn link(&self, page: &str, rel: &str) -> String {
        let mut query = format!("page={}&size={}", encode(page), self.size);
        for (key, value) in &self.filters {
            query += &format!("&{}={}", encode(key), encode(value));
        }
        format!("Link=<{}?{query}>;rel=\"{rel}\";", self.list)
    }
}

/// Percent-encodes all characters except unreserved ones (RFC 3986, 2.3).
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn pages_are_numbers_or_ids() {
        let page = |text| query(&[("page", text)]).number_page();
        assert_eq!(query(&[]).number_page(), Ok(Page::Number(1)));
        assert_eq!(page("3"), Ok(Page::Number(3)));
        assert_eq!(page("5405514342"), Ok(Page::At("5405514342".parse().unwrap())));
        assert_eq!(page("0"), Err(Problem::Page("0".into())));
        assert_eq!(page("x"), Err(Problem::Page("x".into())));
        let id = "6d7da966-e071-4741-b31c-1d8932f4b8da";
        assert_eq!(query(&[("PAGE", id)]).order_page(), Ok(Page::At(id.parse().unwrap())));
        assert_eq!(query(&[("page", "-1")]).order_page(), Err(Problem::Uuid("page", "-1".into())));
        assert_eq!(query(&[("page", "1"), ("Page", "2")]).order_page(), Err(Problem::Twice("page")));
    }

    #[test]
    fn sizes_have_bounds() {
        let size = |text| query(&[("size", text)]).size("size", 300, 5_000);
        assert_eq!(query(&[]).size("size", 300, 5_000), Ok(300));
        assert_eq!(size("5000"), Ok(5_000));
        for text in ["0", "5001", "-1", "9223372036854775808"] {
            assert_eq!(size(text), Err(Problem::Between("size", 1, 5_000)), "{text}");
        }
        for text in ["x", "1.5", "+1", "--1", "0x10", "１"] {
            assert_eq!(size(text), Err(Problem::NotANumber("size", text.into())), "{text}");
        }
    }

    #[test]
    fn dates_come_in_pairs_of_whole_days() {
        let dates = |start, end| query(&[("startdate", start), ("enddate", end)]).dates();
        let (from, until) = dates("22-10-31", "22-11-01").unwrap().unwrap();
        assert_eq!(from.to_string(), "2022-10-31T00:00:00.000Z");
        assert_eq!(until.to_string(), "2022-11-02T00:00:00.000Z");
        assert_eq!(query(&[("startdate", "22-10-31")]).dates(), Err(Problem::Pair("startdate", "enddate")));
        assert_eq!(
            dates("22-11-01", "22-10-31"),
            Err(Problem::DateRange("22-11-01".into(), "22-10-31".into()))
        );
        for text in ["2022-10-31", "22-1-1", "x", "22-10-3１", "22-10"] {
            assert_eq!(dates(text, "22-10-31"), Err(Problem::Date(text.into())), "{text}");
        }
        for text in ["22-13-01", "22-02-30", "22-00-10", "22-10-00"] {
            assert_eq!(dates(text, "22-10-31"), Err(Problem::NoSuchDay(text.into())), "{text}");
        }
    }

    #[test]
    fn links_keep_the_filters_and_cannot_be_broken_out_of() {
        let links = Links {
            list: "http://127.0.0.1:9080/v1.0/accounts/1/orders".into(),
            filters: vec![("userid".into(), "a>;\"&b".into())],
            size: 30,
            next: Some("+33140289562".into()),
        };
        let mut out = crate::text::xml::Document::new();
        links.write(&mut out);
        insta::assert_snapshot!("links", out.finish());
    }
}
