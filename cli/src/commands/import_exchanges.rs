//! `onhook import-exchanges`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use anyhow::Context;
use onhook_core::locality::{Exchange, ExchangeLine};
use onhook_store::{ExchangeLines, Store, StoreError};

use super::DataDir;
use super::import::{name_bad_lines, unreadable};
use crate::Exit;
use crate::terminal::Terminal;

/// The columns of the file.
const COLUMNS: [&str; 9] =
    ["npa_nxx", "npa", "nxx", "state", "rate_center", "rate_center_name", "lata", "city", "zip"];
/// Most bytes of one line: some hundred ZIP codes and names many times over.
const LINE_MAX: usize = 1 << 16;

/// Take in what exchanges are known for, from a CSV file
///
/// The first line names the columns: npa_nxx, or npa and nxx; state, rate_center; and where you have them
/// rate_center_name, lata, city, zip (several codes, parted by spaces). An exchange that is in the store
/// gives way to the file's. One bad line leaves everything as it was; each bad line is named.
///
/// Exit status: 0 all lines are in, 1 some were bad, 2 it could not be done.
///
/// Example: onhook import-exchanges exchanges.csv --data-dir /var/lib/onhook
#[derive(clap::Args)]
pub(crate) struct ImportExchanges {
    /// The file; - reads standard input
    file: PathBuf,
    #[command(flatten)]
    data_dir: DataDir,
}

impl ImportExchanges {
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
        let done = store.import_exchanges(lines).await;
        store.close().await;
        bar.finish_and_clear();
        match done {
            Ok(imported) => {
                terminal.line(&format!("{} exchanges imported", imported.numbers))?;
                Ok(Exit::Done)
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

/// The lines of a file as exchanges, with the line that each stands in.
fn read(input: impl Read + Send + 'static) -> anyhow::Result<ExchangeLines> {
    let input = ShortLines { input, length: 0 };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(input);
    let header = reader.headers().context("the first line cannot be read")?.clone();
    let mut places = [None; COLUMNS.len()];
    for (at, name) in header.iter().enumerate() {
        let name = name.trim_start_matches('\u{feff}').to_ascii_lowercase();
        let column = COLUMNS.iter().position(|column| *column == name).with_context(|| {
            format!(
                "the first line names the columns, parted by commas, and there is no column {name:?}; there are {}",
                COLUMNS.join(", ")
            )
        })?;
        anyhow::ensure!(places[column].replace(at).is_none(), "the first line names column {name} twice");
    }
    let [npa_nxx, npa, nxx, state, rate_center, ..] = places;
    anyhow::ensure!(
        npa_nxx.is_some() != (npa.is_some() && nxx.is_some()) && npa.is_some() == nxx.is_some(),
        "the first line names the columns: npa_nxx is wanted, or npa and nxx"
    );
    anyhow::ensure!(state.is_some(), "the first line names the columns, and column state is missing");
    anyhow::ensure!(
        rate_center.is_some(),
        "the first line names the columns, and column rate_center is missing"
    );
    let mut fallback = 1;
    Ok(Box::new(reader.into_records().map(move |record| match record {
        Ok(record) => {
            fallback = record.position().map_or(fallback + 1, csv::Position::line);
            let field = |column: usize| places[column].and_then(|at| record.get(at));
            (fallback, line(field))
        }
        Err(error) => {
            fallback = error.position().map_or(fallback + 1, csv::Position::line);
            (fallback, Err(unreadable(&error)))
        }
    })))
}

fn line<'a>(field: impl Fn(usize) -> Option<&'a str>) -> Result<Exchange, String> {
    let parts = format!("{}{}", field(1).unwrap_or_default(), field(2).unwrap_or_default());
    let line = ExchangeLine {
        // As LERG-like files write it too: 919-555.
        npa_nxx: &field(0).map_or(parts, |text| text.replace('-', "")),
        state: field(3).unwrap_or_default(),
        rate_center: field(4).unwrap_or_default(),
        name: field(5),
        lata: field(6),
        city: field(7),
        zips: field(8),
    };
    Exchange::read(&line).map_err(|bad| bad.to_string())
}

/// A reader that gives up when a line does not end.
struct ShortLines<R> {
    input: R,
    length: usize,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        for byte in &buffer[..read] {
            self.length = if *byte == b'\n' { 0 } else { self.length + 1 };
            if self.length > LINE_MAX {
                return Err(std::io::Error::other(format!("a line is longer than {LINE_MAX} bytes")));
            }
        }
        Ok(read)
    }
}
