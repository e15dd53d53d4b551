//! Files of comma-separated values: finding their columns, and reading them record by record.

use std::collections::VecDeque;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use onhook_core::import::BadLine;

/// Most bytes of a record: many times some hundred ZIP codes and names.
const RECORD_MAX: usize = 1 << 16;
/// Most bytes that are read without the end of a record. A quotation mark that is never closed includes all that
/// follows it.
const UNENDED_MAX: u64 = 1 << 18;

/// Why nothing of a file can be read. It says so in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadHead(pub String);

/// Refuses a file with this sentence, unless it fits.
pub(crate) fn ensure(fits: bool, why: &str) -> Result<(), BadHead> {
    if fits { Ok(()) } else { Err(BadHead(why.to_owned())) }
}

/// Returns the first bytes of a file without UTF-8's byte order mark.
fn without_mark(first: &[u8]) -> Result<&[u8], BadHead> {
    let other = match first {
        [0xFF, 0xFE, 0, 0] | [0, 0, 0xFE, 0xFF] | [0, 0, 0, _] | [_, 0, 0, 0] => Some("UTF-32"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..] => Some("UTF-16"),
        _ => None,
    };
    if let Some(encoding) = other {
        return Err(BadHead(format!("the file is {encoding}: save it as UTF-8")));
    }
    Ok(first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first))
}

/// The columns of a file, each with its position in a line.
pub struct Columns<const N: usize>([Option<usize>; N]);

impl<const N: usize> Columns<N> {
    /// True if the file has this column.
    #[must_use]
    pub fn has(&self, column: usize) -> bool {
        self.0[column].is_some()
    }
}

/// The content of each record, or what is wrong with it, with the line on which it begins.
pub type Records<T> = Box<dyn Iterator<Item = (u64, Result<T, BadLine>)> + Send>;

/// Returns the records of a file, each with the line on which it begins. `line` makes a record from its fields; an
/// empty field is absent. The first record names some of the columns in `names`, and `enough` checks them.
///
/// # Errors
/// [`BadHead`] if the file is not UTF-8, or its first line is not as it must be.
pub fn read<T: 'static, const N: usize>(
    mut input: impl Read + Send + 'static,
    names: [&'static str; N],
    enough: impl FnOnce(&Columns<N>) -> Result<(), BadHead>,
    line: impl for<'a> Fn(&dyn Fn(usize) -> Option<&'a str>) -> Result<T, BadLine> + Send + 'static,
) -> Result<Records<T>, BadHead> {
    let unreadable_head =
        |why: &dyn std::fmt::Display| BadHead(format!("the first line cannot be read: {why}"));
    let mut first = Vec::new();
    input.by_ref().take(4).read_to_end(&mut first).map_err(|error| unreadable_head(&error))?;
    let text = without_mark(&first)?.to_vec();
    let starts = Arc::new(Mutex::new(Starts::default()));
    let input = LineEnds::new(Cursor::new(text).chain(input), starts.clone());
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(input);
    let header = reader.headers().map_err(|error| unreadable_head(&error))?.clone();
    ensure(!header.is_empty(), "the file is empty; its first line names the columns")?;
    let mut columns = Columns([None; N]);
    for (at, name) in header.iter().enumerate() {
        let name = name.to_ascii_lowercase();
        let column = names.iter().position(|column| *column == name).ok_or_else(|| {
            BadHead(format!(
                "the first line names the columns, parted by commas, and there is no column {name:?}; there are {}",
                names.join(", ")
            ))
        })?;
        if columns.0[column].replace(at).is_some() {
            return Err(BadHead(format!("the first line names column {name} twice")));
        }
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

/// Returns a line of a file with these fields, with its line feed.
#[must_use]
pub fn written<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (at, field) in fields.into_iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) || field.starts_with(' ') || field.ends_with(' ') {
            line.push('"');
            line.push_str(&field.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(field);
        }
    }
    line.push('\n');
    line
}

fn too_long() -> BadLine {
    BadLine::Form(format!("a line is longer than {RECORD_MAX} bytes: is a quotation mark not closed?"))
}

fn unreadable(error: &csv::Error) -> BadLine {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let fields = if *len == 1 { "1 field".to_owned() } else { format!("{len} fields") };
            BadLine::Form(format!("{fields}, and the first line names {expected_len}"))
        }
        csv::ErrorKind::Utf8 { .. } => BadLine::Form("it is not UTF-8: save the file as UTF-8".to_owned()),
        csv::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge => too_long(),
        csv::ErrorKind::Io(error) => BadLine::Form(format!("cannot be read: {error}")),
        _ => BadLine::Form(error.to_string()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn all<'a>(field: &dyn Fn(usize) -> Option<&'a str>) -> Result<[String; 5], BadLine> {
        Ok([0, 1, 2, 3, 4].map(|column| field(column).unwrap_or_default().to_owned()))
    }

    #[test]
    fn a_line_that_was_written_is_read_again() {
        let fields = ["a", "b, c", "say \"d\"", " e ", ""];
        let file = format!("one,two,three,four,five\n{}", written(fields));
        let names = ["one", "two", "three", "four", "five"];
        let mut records = read(Cursor::new(file), names, |_| Ok(()), all).unwrap();
        assert_eq!(records.next(), Some((2, Ok(["a", "b, c", "say \"d\"", "e", ""].map(str::to_owned)))));
        assert_eq!(records.next(), None);
    }
}
