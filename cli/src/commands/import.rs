//! `onhook import`.

use std::path::PathBuf;

use onhook_core::import::NewNumber;
use onhook_core::lifecycle::State;
use onhook_store::Store;

use super::csv_file::{self, Columns, CsvFile, name_bad_lines, refused};
use super::{WrittenDir, now};
use crate::Exit;
use crate::terminal::Terminal;

/// The columns of the file that import reads and export writes.
pub(super) const COLUMNS: [&str; 11] = [
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

/// Take numbers in from a CSV file
///
/// The first line names the columns: number, state, account, site, peer, rate_center, region, protected,
/// ported_in, former_account, release_at. Only number is required; a number without a state is Available.
/// One bad line leaves everything as it was, unless --partial is given; each bad line is named.
///
/// Exit status: 0 all lines are in, 1 some were bad, 2 it could not be done.
///
/// Example: onhook import numbers.csv --data-dir /var/lib/onhook
#[derive(clap::Args)]
pub(crate) struct Import {
    /// The file; - reads standard input
    file: PathBuf,
    #[command(flatten)]
    data_dir: WrittenDir,
    /// Take the good lines in even when there are bad ones
    #[arg(long)]
    partial: bool,
}

impl Import {
    pub(crate) async fn run(self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let source = self.file.display().to_string();
        let mut file = CsvFile::open(&self.file, terminal)?;
        let lines = csv_file::read(&mut file, COLUMNS, enough, line)?;
        let store = self.data_dir.open_or_make().await?;
        let done = store.import(lines, source, self.partial, now()).await;
        store.close().await;
        file.bar.finish_and_clear();
        match done {
            Ok(imported) => {
                name_bad_lines(terminal, &imported);
                terminal.line(&format!(
                    "{} numbers imported, {} lines refused",
                    imported.numbers, imported.bad_count
                ))?;
                Ok(if imported.bad_count == 0 { Exit::Done } else { Exit::NotWell })
            }
            Err(error) => refused(terminal, error),
        }
    }
}

fn enough(columns: &Columns<{ COLUMNS.len() }>) -> anyhow::Result<()> {
    anyhow::ensure!(columns.has(0), "the first line names the columns, and column number is missing");
    Ok(())
}

fn line<'a>(field: &dyn Fn(usize) -> Option<&'a str>) -> Result<NewNumber, String> {
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        column: usize,
        text: Option<&str>,
    ) -> Result<Option<T>, String> {
        text.map(|text| text.parse().map_err(|why| format!("{} {text:?}: {why}", COLUMNS[column])))
            .transpose()
    }
    let flag = |column: usize| match field(column).map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "0" | "no") => Ok(false),
        Some("true" | "1" | "yes") => Ok(true),
        Some(other) => Err(format!("{} {other:?}: it is true or false", COLUMNS[column])),
    };
    let (rate_center, region) = (field(5), field(6));
    if let Some(region) = region.filter(|r| r.len() != 2 || !r.bytes().all(|b| b.is_ascii_alphabetic())) {
        return Err(format!("region {region:?}: it has two letters"));
    }
    if let (Some(rate_center), None) = (rate_center, region) {
        // Names of rate centers repeat from state to state: without one it would not be kept.
        return Err(format!("rate_center {rate_center:?} needs region"));
    }
    Ok(NewNumber {
        number: parsed(0, field(0))?.ok_or("there is no number")?,
        state: parsed(1, field(1))?.unwrap_or(State::Available),
        account: parsed(2, field(2))?,
        site: parsed(3, field(3))?,
        peer: parsed(4, field(4))?,
        rate_center: rate_center.map(str::to_owned),
        region: region.map(str::to_owned),
        protected: flag(7)?,
        ported_in: flag(8)?,
        former_account: parsed(9, field(9))?,
        release_at: match field(10) {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                format!("release_at {text:?}: it is an instant such as 2027-02-23T00:00:00Z")
            })?),
        },
    })
}
