//! CSV files to import: opening them, finding their columns, and naming their bad lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use onhook_core::import::{BadLine, BadLines};
use onhook_store::StoreError;
use onhook_store::contract::imports::Imported;

use crate::exit::Exit;
use crate::terminal::{Terminal, Unit, count};

/// Most bytes of a record: many times some hundred ZIP codes and names.
const RECORD_MAX: usize = 1 << 16;
/// Most bytes that are read without the end of a record. A quotation mark that is never closed includes all that
/// follows it.
const UNENDED_MAX: u64 = 1 << 18;

/// A file, and the bar that shows how much of it has been read.
pub(super) struct CsvFile {
    input: Box<dyn Read + Send>,
    pub(super) bar: indicatif::ProgressBar,
}

impl CsvFile {
    /// Opens a file, or standard input for `-`, and skips its byte order mark.
    pub(super) fn open(path: &Path, terminal: &Terminal) -> anyhow::Result<Self> {
        let (input, size): (Box<dyn Read + Send>, _) = if path == Path::new("-") {
            (Box::new(std::io::stdin()), None)
        } else {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
            (Box::new(file), size)
        };
        let bar = terminal.bar(&Unit::Bytes, size);
        let mut input = BufReader::with_capacity(1 << 20, bar.wrap_read(input));
        let mut first = Vec::new();
        input.by_ref().take(4).read_to_end(&mut first).context("the first line cannot be read")?;
        let text = without_mark(&first)?.to_vec();
        Ok(Self { input: Box::new(Cursor::new(text).chain(input)), bar })
    }
}

/// Returns the first bytes of a file without UTF-8's byte order mark.
fn without_mark(first: &[u8]) -> anyhow::Result<&[u8]> {
    let other = match first {
        [0xFF, 0xFE, 0, 0] | [0, 0, 0xFE, 0xFF] | [0, 0, 0, _] | [_, 0, 0, 0] => Some("UTF-32"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..] => Some("UTF-16"),
        _ => None,
    };
    if let Some(encoding) = other {
        anyhow::bail!("the file is {encoding}: save it as UTF-8");
    }
    Ok(first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first))
}

/// The columns of a file, each with its position in a line.
pub(super) struct Columns<const N: usize>([Option<usize>; N]);

impl<const N: usize> Columns<N> {
    pub(super) fn has(&self, column: usize) -> bool {
        self.0[column].is_some()
    }
}

/// The content of each record, or what is wrong with it, with the line on which it begins.
type Lines<T> = Box<dyn Iterator<Item = (u64, Result<T, BadLine>)> + Send>;

/// Returns the records of a file, each with the line on which it begins. `line` makes a record from its fields; an
/// empty field is absent. The first record names some of the columns in `names`, and `enough` checks them.
pub(super) fn read<T: 'static, const N: usize>(
    file: &mut CsvFile,
    names: [&'static str; N],
    enough: impl FnOnce(&Columns<N>) -> anyhow::Result<()>,
    line: impl for<'a> Fn(&dyn Fn(usize) -> Option<&'a str>) -> Result<T, BadLine> + Send + 'static,
) -> anyhow::Result<Lines<T>> {
    let starts = Arc::new(Mutex::new(Starts::default()));
    let input = std::mem::replace(&mut file.input, Box::new(std::io::empty()));
    let input = LineEnds::new(input, starts.clone());
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(input);
    let header = reader.headers().context("the first line cannot be read")?.clone();
    anyhow::ensure!(!header.is_empty(), "the file is empty; its first line names the columns");
    let mut columns = Columns([None; N]);
    for (at, name) in header.iter().enumerate() {
        let name = name.to_ascii_lowercase();
        let column = names.iter().position(|column| *column == name).with_context(|| {
            format!(
                "the first line names the columns, parted by commas, and there is no column {name:?}; there are {}",
                names.join(", ")
            )
        })?;
        anyhow::ensure!(columns.0[column].replace(at).is_none(), "the first line names column {name} twice");
    }
    enough(&columns)?;
    let mut record = csv::StringRecord::new();
    Ok(Box::new(std::iter::from_fn(move || {
        let from = reader.position().byte();
        let read = reader.read_record(&mut record);
        let at = lock(&starts).line_from(from);
        match read {
            Ok(false) => None,
            Ok(true) if record.as_slice().len() > RECORD_MAX => Some((at, Err(too_long()))),
            Ok(true) => {
                let field = |column: usize| {
                    columns.0[column].and_then(|at| record.get(at)).filter(|text| !text.is_empty())
                };
                Some((at, line(&field)))
            }
            Err(error) => Some((at, Err(unreadable(&error)))),
        }
    })))
}

fn too_long() -> BadLine {
    BadLine::Form(format!("a line is longer than {RECORD_MAX} bytes: is a quotation mark not closed?"))
}

fn unreadable(error: &csv::Error) -> BadLine {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            BadLine::Form(format!("{}, and the first line names {expected_len}", count(*len, "field")))
        }
        csv::ErrorKind::Utf8 { .. } => BadLine::Form("it is not UTF-8: save the file as UTF-8".to_owned()),
        csv::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge => too_long(),
        csv::ErrorKind::Io(error) => BadLine::Form(format!("cannot be read: {error}")),
        _ => BadLine::Form(error.to_string()),
    }
}

/// Prints what is wrong with the refused lines: how many of each kind, and the first of them.
pub(super) fn name_bad_lines(terminal: &Terminal, bad: &BadLines) {
    for kind in bad.kinds() {
        let of_many = kind.count > 1;
        if of_many {
            terminal.remark(&format!("{}: {}", count(kind.count, "line"), kind.what));
        }
        for (line, why) in &kind.first {
            terminal.remark(&format!("{}line {line}: {why}", if of_many { "  " } else { "" }));
        }
        let named = u64::try_from(kind.first.len()).unwrap_or(u64::MAX);
        if kind.count > named {
            terminal.remark(&format!("  … and {} more", kind.count - named));
        }
    }
    if bad.others() > 0 {
        terminal.remark(&format!("{}: bad in yet other ways", count(bad.others(), "line")));
    }
}

/// Prints what a command did with its file, or would do, in one line after the bad lines. `done` names what was
/// imported.
pub(super) fn tell(
    terminal: &mut Terminal,
    result: Result<Imported, StoreError>,
    dry_run: bool,
    done: impl FnOnce(&Imported) -> String,
) -> anyhow::Result<Exit> {
    let (bad, told) = match result {
        Ok(imported) => {
            let told = done(&imported);
            (imported.bad, told)
        }
        Err(StoreError::Import(bad)) => {
            let lines = count(bad.count(), "line");
            let are = if bad.count() == 1 { "is" } else { "are" };
            (bad, format!("nothing imported, {lines} {are} bad"))
        }
        Err(error) => return Err(error.into()),
    };
    name_bad_lines(terminal, &bad);
    let dry = if dry_run { "dry run, nothing is written: " } else { "" };
    terminal.line(&format!("{dry}{told}"))?;
    Ok(if bad.count() == 0 { Exit::Done } else { Exit::NotWell })
}

/// Where lines that are not empty begin, of those that have been read and not yet reported.
#[derive(Default)]
struct Starts {
    /// The first byte of each line, and its number, counted from 1.
    lines: VecDeque<(u64, u64)>,
    /// The byte of the last call of `line_from`.
    asked: u64,
    /// The last line that was reported.
    told: u64,
}

impl Starts {
    /// Returns the line of the first record at or after this byte. Empty lines before it do not belong to it.
    fn line_from(&mut self, byte: u64) -> u64 {
        self.asked = byte;
        while self.lines.front().is_some_and(|(start, _)| *start < byte) {
            self.lines.pop_front();
        }
        self.told = self.lines.front().map_or(self.told, |(_, line)| *line);
        self.told
    }
}

fn lock(starts: &Mutex<Starts>) -> std::sync::MutexGuard<'_, Starts> {
    starts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reader that turns each line end (LF, CRLF or a lone CR) into one line feed, and notes where lines begin. It fails
/// if a record does not end.
struct LineEnds<R> {
    input: R,
    starts: Arc<Mutex<Starts>>,
    after_return: bool,
    at_start: bool,
    line: u64,
    given: u64,
}

impl<R> LineEnds<R> {
    fn new(input: R, starts: Arc<Mutex<Starts>>) -> Self {
        Self { input, starts, after_return: false, at_start: true, line: 1, given: 0 }
    }
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = self.input.read(buffer)?;
            if read == 0 {
                return Ok(0);
            }
            let mut starts = lock(&self.starts);
            let mut kept = 0;
            for at in 0..read {
                let byte = buffer[at];
                if std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n' {
                    continue;
                }
                if matches!(byte, b'\r' | b'\n') {
                    buffer[kept] = b'\n';
                    self.line += 1;
                    self.at_start = true;
                } else {
                    buffer[kept] = byte;
                    if std::mem::replace(&mut self.at_start, false) {
                        starts.lines.push_back((self.given, self.line));
                    }
                }
                kept += 1;
                self.given += 1;
            }
            if self.given - starts.asked > UNENDED_MAX {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}
