//! Files of lines that are taken in: opened, their columns found, their bad lines named.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::Context;
use onhook_store::{Imported, StoreError};

use crate::Exit;
use crate::terminal::Terminal;

/// Most bytes of one line: some hundred ZIP codes and names many times over.
const LINE_MAX: usize = 1 << 16;

/// A file and the bar that shows how much of it has been read.
pub(super) struct CsvFile {
    input: Box<dyn Read + Send>,
    pub(super) bar: indicatif::ProgressBar,
}

impl CsvFile {
    /// The file, or standard input for `-`.
    pub(super) fn open(path: &Path, terminal: &Terminal) -> anyhow::Result<Self> {
        let (input, size): (Box<dyn Read + Send>, _) = if path == Path::new("-") {
            (Box::new(std::io::stdin()), None)
        } else {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            let size = file.metadata().ok().map(|meta| meta.len());
            (Box::new(file), size)
        };
        let bar = terminal.bar(size);
        let input = Box::new(BufReader::with_capacity(1 << 20, bar.wrap_read(input)));
        Ok(Self { input, bar })
    }
}

/// The columns that a file has, each with where it stands in a line.
pub(super) struct Columns<const N: usize>([Option<usize>; N]);

impl<const N: usize> Columns<N> {
    pub(super) fn has(&self, column: usize) -> bool {
        self.0[column].is_some()
    }
}

/// What is in each line, or what is wrong with it.
type Lines<T> = Box<dyn Iterator<Item = (u64, Result<T, String>)> + Send>;

/// The lines of a file as what `line` makes of their fields, each with the line that it stands in. A field that
/// is empty is absent. The first line names some of the columns `names`, which `enough` looks at.
pub(super) fn read<T: 'static, const N: usize>(
    file: &mut CsvFile,
    names: [&'static str; N],
    enough: impl FnOnce(&Columns<N>) -> anyhow::Result<()>,
    line: impl for<'a> Fn(&dyn Fn(usize) -> Option<&'a str>) -> Result<T, String> + Send + 'static,
) -> anyhow::Result<Lines<T>> {
    let input =
        ShortLines { input: std::mem::replace(&mut file.input, Box::new(std::io::empty())), length: 0 };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(input);
    let header = reader.headers().context("the first line cannot be read")?.clone();
    anyhow::ensure!(!header.is_empty(), "the file is empty; its first line names the columns");
    let mut columns = Columns([None; N]);
    for (at, name) in header.iter().enumerate() {
        let name = name.trim_start_matches('\u{feff}').to_ascii_lowercase();
        let column = names.iter().position(|column| *column == name).with_context(|| {
            format!(
                "the first line names the columns, parted by commas, and there is no column {name:?}; there are {}",
                names.join(", ")
            )
        })?;
        anyhow::ensure!(columns.0[column].replace(at).is_none(), "the first line names column {name} twice");
    }
    enough(&columns)?;
    let mut fallback = 1;
    Ok(Box::new(reader.into_records().map(move |record| match record {
        Ok(record) => {
            fallback = record.position().map_or(fallback + 1, csv::Position::line);
            let field = |column: usize| {
                columns.0[column].and_then(|at| record.get(at)).filter(|text| !text.is_empty())
            };
            (fallback, line(&field))
        }
        Err(error) => {
            fallback = error.position().map_or(fallback + 1, csv::Position::line);
            (fallback, Err(unreadable(&error)))
        }
    })))
}

/// Says what is wrong with the lines that were not taken in.
pub(super) fn name_bad_lines(terminal: &Terminal, imported: &Imported) {
    for (line, why) in &imported.bad {
        terminal.remark(&format!("line {line}: {why}"));
    }
    let named = u64::try_from(imported.bad.len()).unwrap_or(u64::MAX);
    if imported.bad_count > named {
        terminal.remark(&format!("… and {} more", imported.bad_count - named));
    }
}

/// How a command ends whose lines were refused; other errors are its own.
pub(super) fn refused(terminal: &mut Terminal, error: StoreError) -> anyhow::Result<Exit> {
    let StoreError::Import(bad) = error else { return Err(error.into()) };
    name_bad_lines(terminal, &bad);
    terminal.line(&format!("nothing imported, {} lines are bad", bad.bad_count))?;
    Ok(Exit::NotWell)
}

fn unreadable(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields, and the first line names {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        csv::ErrorKind::Io(error) => format!("cannot be read: {error}"),
        _ => error.to_string(),
    }
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
