//! `onhook import`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use anyhow::Context;
use onhook_core::import::NewNumber;
use onhook_core::lifecycle::State;
use onhook_store::{Imported, Lines, Store, StoreError};

use super::{DataDir, now};
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
    data_dir: DataDir,
    /// Take the good lines in even when there are bad ones
    #[arg(long)]
    partial: bool,
}

impl Import {
    pub(crate) async fn run(self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let source = self.file.display().to_string();
        let (input, size): (Box<dyn Read + Send>, _) = match source.as_str() {
            "-" => (Box::new(std::io::stdin()), None),
            _ => {
                let file = File::open(&self.file).with_context(|| format!("cannot read {source}"))?;
                let size = file.metadata().ok().map(|meta| meta.len());
                (Box::new(file), size)
            }
        };
        let bar = terminal.bar(size);
        let lines = read(BufReader::with_capacity(1 << 20, bar.wrap_read(input)))?;
        let store = self.data_dir.open_or_make()?;
        let done = store.import(lines, source, self.partial, now()).await;
        store.close().await;
        bar.finish_and_clear();
        match done {
            Ok(imported) => {
                name_bad_lines(terminal, &imported);
                terminal.line(&format!(
                    "{} numbers imported, {} lines refused",
                    imported.numbers, imported.bad_count
                ))?;
                Ok(if imported.bad_count == 0 { Exit::Done } else { Exit::NotWell })
            }
            Err(StoreError::Import(bad)) => {
                name_bad_lines(terminal, &bad);
                terminal.line(&format!("nothing imported, {} lines are bad", bad.bad_count))?;
                Ok(Exit::NotWell)
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn name_bad_lines(terminal: &Terminal, imported: &Imported) {
    for (line, why) in &imported.bad {
        terminal.remark(&format!("line {line}: {why}"));
    }
    let named = u64::try_from(imported.bad.len()).unwrap_or(u64::MAX);
    if imported.bad_count > named {
        terminal.remark(&format!("… and {} more", imported.bad_count - named));
    }
}

/// The lines of a file as numbers, with the line that each stands in.
fn read(input: impl Read + Send + 'static) -> anyhow::Result<Lines> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(input);
    let header = reader.headers().context("the first line cannot be read")?.clone();
    anyhow::ensure!(!header.is_empty(), "the file is empty; its first line names the columns");
    let mut places = [None; COLUMNS.len()];
    for (at, name) in header.iter().enumerate() {
        let name = name.trim_start_matches('\u{feff}').to_ascii_lowercase();
        let column = COLUMNS.iter().position(|column| *column == name);
        let column = column.with_context(|| {
            format!(
                "the first line names the columns, parted by commas, and there is no column {name:?}; there are {}",
                COLUMNS.join(", ")
            )
        })?;
        anyhow::ensure!(places[column].replace(at).is_none(), "the first line names column {name} twice");
    }
    anyhow::ensure!(places[0].is_some(), "the first line names the columns, and column number is missing");
    let mut fallback = 1;
    Ok(Box::new(reader.into_records().map(move |record| match record {
        Ok(record) => {
            fallback = record.position().map_or(fallback + 1, csv::Position::line);
            let field =
                |column: usize| places[column].and_then(|at| record.get(at)).filter(|text| !text.is_empty());
            (fallback, line(field))
        }
        Err(error) => {
            fallback = error.position().map_or(fallback + 1, csv::Position::line);
            (fallback, Err(unreadable(&error)))
        }
    })))
}

pub(super) fn unreadable(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields, and the first line names {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        csv::ErrorKind::Io(error) => format!("cannot be read: {error}"),
        _ => error.to_string(),
    }
}

fn line<'a>(field: impl Fn(usize) -> Option<&'a str>) -> Result<NewNumber, String> {
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
