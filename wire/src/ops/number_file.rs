//! The file of numbers: an import reads it, and an export writes it.

use std::io::Read;

use onhook_core::geo::CITY_NAME_MAX;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::import::{self, BadLine, NewNumber};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::{locality, name};

use crate::text::records::{self, BadHead, Records};

/// The columns of the file that import reads and export writes.
pub const COLUMNS: [&str; 11] = [
    "number",
    "state",
    "account",
    "site",
    "peer",
    "rate_center",
    "region",
    "protected",
    "ported_in",
    "former_account",
    "release_at",
];

/// Returns the numbers of a file.
///
/// # Errors
/// [`BadHead`] if its first line is not as it must be.
pub fn read(input: impl Read + Send + 'static) -> Result<Records<NewNumber>, BadHead> {
    let missing = "the first line names the columns, and column number is missing";
    records::read(input, COLUMNS, |columns| records::ensure(columns.has(0), missing), line)
}

/// Reads a record.
pub(super) fn line<'a>(field: &dyn Fn(usize) -> Option<&'a str>) -> Result<NewNumber, BadLine> {
    fn read<'a, T, E: std::fmt::Display>(
        field: &dyn Fn(usize) -> Option<&'a str>,
        column: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, BadLine> {
        let Some(text) = field(column) else { return Ok(None) };
        parse(text).map(Some).map_err(|why| BadLine::field(COLUMNS[column], text, why))
    }
    let flag = |text: &str| match text.to_ascii_lowercase().as_str() {
        "false" | "0" | "no" => Ok(false),
        "true" | "1" | "yes" => Ok(true),
        _ => Err("it is true or false"),
    };
    let rate_center = read(field, 5, locality::city_or_rate_center)?;
    let region = read(field, 6, |text| {
        let fits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
        if fits { Ok(text.to_owned()) } else { Err("it has two letters") }
    })?;
    if let (Some(rate_center), None) = (&rate_center, &region) {
        // Names of rate centers repeat from state to state, so a name without a state would not be stored.
        return Err(BadLine::field(COLUMNS[5], rate_center, "it needs region"));
    }
    Ok(NewNumber {
        number: read(field, 0, import::number)?
            .ok_or_else(|| BadLine::Form("there is no number".to_owned()))?,
        state: read(field, 1, import::state)?.unwrap_or(State::Available),
        account: read(field, 2, str::parse)?,
        site: read(field, 3, str::parse)?,
        peer: read(field, 4, str::parse)?,
        rate_center,
        region,
        protected: read(field, 7, flag)?.unwrap_or_default(),
        ported_in: read(field, 8, flag)?.unwrap_or_default(),
        former_account: read(field, 9, str::parse)?,
        release_at: read(field, 10, |text| {
            text.parse().map_err(|_| "it is an instant such as 2027-02-23T00:00:00Z")
        })?,
    })
}

/// Makes a name safe for a spreadsheet: a name that an import would refuse gets a quote, so that it is no formula.
fn harmless(name: &str) -> String {
    if name::check(name, CITY_NAME_MAX).is_ok() { name.to_owned() } else { format!("'{name}") }
}

/// Returns a number as a line of the file has it. A number that is soft-removed is like any aging one: an import does
/// not know that it was to leave.
#[must_use]
pub fn record(entry: &Entry, area: &AreaName) -> [String; COLUMNS.len()] {
    let text = |value: Option<u32>| value.map(|id| id.to_string()).unwrap_or_default();
    let flag = |on: bool| if on { "true" } else { "" }.to_owned();
    let holder = entry.standing.holder().map(AccountId::get);
    let aging = entry.state() == State::Aging;
    let place = entry.standing.place();
    [
        entry.number.ten_digits().unwrap_or_else(|| entry.number.to_string()),
        entry.state().word().to_owned(),
        text(holder.filter(|_| !aging)),
        text(place.map(|p| SiteId::get(p.site))),
        text(place.and_then(|p| p.peer).map(PeerId::get)),
        area.rate_center().map(harmless).unwrap_or_default(),
        area.region().unwrap_or_default().to_owned(),
        flag(entry.protected),
        flag(entry.ported_in),
        text(holder.filter(|_| aging)),
        entry.standing.ends_at().map(|at| at.to_string()).unwrap_or_default(),
    ]
}
