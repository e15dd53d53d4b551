//! The file of exchanges, which an import reads.

use std::io::Read;

use onhook_core::import::BadLine;
use onhook_core::locality::{Exchange, ExchangeLine};

use crate::text::records::{self, BadHead, Columns, Records, ensure};

/// The columns of the file.
const COLUMNS: [&str; 9] =
    ["npa_nxx", "npa", "nxx", "state", "rate_center", "rate_center_name", "lata", "city", "zip"];

/// Returns the exchanges of a file.
///
/// # Errors
/// [`BadHead`] if its first line is not as it must be.
pub fn read(input: impl Read + Send + 'static) -> Result<Records<Exchange>, BadHead> {
    records::read(input, COLUMNS, enough, line)
}

fn enough(columns: &Columns<{ COLUMNS.len() }>) -> Result<(), BadHead> {
    let [npa_nxx, npa, nxx, state, rate_center] = [0, 1, 2, 3, 4].map(|column| columns.has(column));
    let digits = "the first line names the columns: npa_nxx is wanted, or npa and nxx";
    ensure(npa_nxx != (npa && nxx) && npa == nxx, digits)?;
    ensure(state, "the first line names the columns, and column state is missing")?;
    ensure(rate_center, "the first line names the columns, and column rate_center is missing")
}

fn line<'a>(field: &dyn Fn(usize) -> Option<&'a str>) -> Result<Exchange, BadLine> {
    let parts = format!("{}{}", field(1).unwrap_or_default(), field(2).unwrap_or_default());
    let line = ExchangeLine {
        // LERG-like files also write 919-555.
        npa_nxx: &field(0).map_or(parts, |text| text.replace('-', "")),
        state: field(3).unwrap_or_default(),
        rate_center: field(4).unwrap_or_default(),
        name: field(5),
        lata: field(6),
        city: field(7),
        zips: field(8),
    };
    Exchange::read(&line)
}
