//! Call records as switches write them: CSV, of which a few columns are read. Each line goes out as it came, with three
//! columns more.
//!
//! The lines of a file are cut into pieces of whole records, so that pieces can be read side by side.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use onhook_core::number::Number;
use onhook_core::report::rating::{Charges, Rated, Why, rate, rate_in_doubt};
use onhook_core::time::Timestamp;

use super::faults::{Fault, Faults};

/// Most bytes of a record. The first line of a longer one goes out as a line that cannot be read.
pub const RECORD_MAX: usize = 64 << 10;
/// Bytes of a piece, about. The more numbers are looked up in the order of their digits, the more of them lie side by
/// side.
const PIECE: usize = 8 << 20;
/// Records of a piece, at most: each takes some two hundred bytes of memory while it is rated.
const PIECE_RECORDS: usize = 1 << 17;
/// The byte-order mark, with which some programs begin a file.
const MARK: &[u8] = b"\xEF\xBB\xBF";
/// An afternoon's instant without seconds, by which patterns are tried: 2023-11-14T22:13:00Z.
const WHOLE_MINUTE: jiff::Timestamp = jiff::Timestamp::constant(1_699_999_980, 0);
/// The columns that are added.
const ADDED: [&str; 3] = ["onhook_account", "onhook_charged_seconds", "onhook_why"];

/// A column of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The column at this place, from 0.
    At(usize),
    /// The column with this name in the header.
    Named(String),
}

impl Column {
    /// Returns the column that a text names: a number is its place, from 1, and anything else its name.
    #[must_use]
    pub fn named(text: &str) -> Self {
        match text.parse::<usize>().ok().and_then(|place| place.checked_sub(1)) {
            Some(place) => Self::At(place),
            None => Self::Named(text.to_owned()),
        }
    }
}

/// How instants are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// As RFC 3339 has them, with their offset.
    Rfc3339,
    /// In seconds since 1970, with or without a fraction.
    Unix,
    /// In milliseconds since 1970.
    UnixMs,
    /// By a pattern, as strftime has it, in the layout's time zone unless the pattern names one.
    Pattern(String),
}

impl TimeForm {
    /// Returns the form that a text names: `rfc3339`, `unix`, `unix_ms`, or a pattern. `None` for a pattern by which no
    /// date with its time can be read.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let form = match text {
            "rfc3339" => Self::Rfc3339,
            "unix" => Self::Unix,
            "unix_ms" => Self::UnixMs,
            pattern => Self::Pattern(pattern.to_owned()),
        };
        form.is_read_back().then_some(form)
    }

    /// Returns true if an instant that is written in this form is read as itself. A pattern without seconds may pass.
    fn is_read_back(&self) -> bool {
        let Self::Pattern(pattern) = self else { return true };
        let at = jiff::ZonedDateTime::new(WHOLE_MINUTE, TimeZone::UTC);
        let written = jiff::fmt::strtime::format(pattern, &at).ok();
        let read = written.ok_or(Fault::Time).and_then(|written| self.read(&written, &TimeZone::UTC));
        read == Ok(Answered::Once(Timestamp::from_millis(WHOLE_MINUTE.as_millisecond())))
    }

    /// Returns when a call was answered.
    ///
    /// # Errors
    /// What is wrong with a text of another form, or with a time that no clock showed.
    fn read(&self, text: &str, zone: &TimeZone) -> Result<Answered, Fault> {
        let millis = match self {
            Self::Rfc3339 => text.parse::<jiff::Timestamp>().map_err(|_| Fault::Time)?.as_millisecond(),
            Self::Unix => seconds_of(text).ok_or(Fault::Time)?,
            Self::UnixMs => counted(text).ok_or(Fault::Time)?,
            Self::Pattern(pattern) => {
                let parts = jiff::fmt::strtime::parse(pattern, text).map_err(|_| Fault::Time)?;
                match (parts.to_timestamp(), parts.iana_time_zone()) {
                    (Ok(at), _) => at.as_millisecond(),
                    (Err(_), named) => {
                        let shown = parts.to_datetime().map_err(|_| Fault::Time)?;
                        let named = named.map(TimeZone::get).transpose().map_err(|_| Fault::Time)?;
                        return local(shown, named.as_ref().unwrap_or(zone));
                    }
                }
            }
        };
        // Beyond the years that can be written, no call was made.
        jiff::Timestamp::from_millisecond(millis).map_err(|_| Fault::Time)?;
        Ok(Answered::Once(Timestamp::from_millis(millis)))
    }
}

/// Returns seconds with a fraction as milliseconds.
fn seconds_of(text: &str) -> Option<i64> {
    let (whole, fraction) = fraction_of(text)?;
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    counted(whole)?.checked_mul(1_000)?.checked_add(fraction.parse().ok()?)
}

/// Returns true if a time is how a call that was not answered is written. It is empty, or each of its digits is 0: switches
/// that count from 1970 write 0, and databases write `0000-00-00 00:00:00`.
fn is_unanswered(time: &str) -> bool {
    time.bytes().all(|byte| b"0-+:./ TZ".contains(&byte)) && (time.is_empty() || time.contains('0'))
}

/// Returns how much was counted since 1970. `None` if there is a sign: no call was answered earlier.
fn counted(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// When a call was answered, as its record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    /// At this instant.
    Once(Timestamp),
    /// At one of these instants: the clock was set back between them.
    Either([Timestamp; 2]),
}

/// Returns when a clock on the wall showed a local time.
///
/// # Errors
/// The fault of a time beyond the years that can be written, and of one that the clock never showed: it was set forward.
fn local(shown: DateTime, zone: &TimeZone) -> Result<Answered, Fault> {
    let at = |offset: jiff::tz::Offset| {
        let at = offset.to_timestamp(shown).map_err(|_| Fault::Time)?;
        Ok(Timestamp::from_millis(at.as_millisecond()))
    };
    match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } => Ok(Answered::Once(at(offset)?)),
        AmbiguousOffset::Gap { .. } => Err(Fault::Skipped),
        AmbiguousOffset::Fold { before, after } => Ok(Answered::Either([at(before)?, at(after)?])),
    }
}

/// Returns a number's part before its point, and the digits after it, of which there may be none.
fn fraction_of(text: &str) -> Option<(&str, &str)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    fraction.bytes().all(|byte| byte.is_ascii_digit()).then_some((whole, fraction))
}

/// Which columns of a file are read, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The number that was called.
    pub number: Column,
    /// The instant of the answer.
    pub time: Column,
    /// For how many seconds they spoke.
    pub seconds: Option<Column>,
    /// True if the first line names the columns.
    pub header: bool,
    /// What stands between two columns.
    pub delimiter: u8,
    /// How instants are written.
    pub form: TimeForm,
    /// The time zone of instants that name none.
    pub zone: TimeZone,
}

impl Layout {
    /// Returns the layout of a switch's file, whose instants name no time zone. `None` for a name that is not known.
    ///
    /// - `asterisk`: `Master.csv` as its `cdr_csv` module writes it (columns of its sample `cdr.conf`).
    /// - `freeswitch`: `mod_cdr_csv` with the template `example` of its sample configuration.
    #[must_use]
    pub fn preset(name: &str, zone: TimeZone) -> Option<Self> {
        let (number, time, seconds) = match name {
            "asterisk" => (3, 11, 14),
            "freeswitch" => (3, 6, 9),
            _ => return None,
        };
        Some(Self {
            number: Column::At(number - 1),
            time: Column::At(time - 1),
            seconds: Some(Column::At(seconds - 1)),
            header: false,
            delimiter: b',',
            form: TimeForm::Pattern("%Y-%m-%d %H:%M:%S".to_owned()),
            zone,
        })
    }

    /// Returns a reader of the file's records. `first` is its first line, which names the columns if the layout says so.
    ///
    /// # Errors
    /// What is said of a column that is not there.
    pub fn reader(&self, first: &[u8]) -> Result<Reader, String> {
        let mut names = Vec::new();
        if self.header {
            let first = first.strip_prefix(MARK).unwrap_or(first);
            let read = Splitter::new(first, self.delimiter).record(|_, field| {
                names.push(String::from_utf8_lossy(&field.bytes(first)).trim().to_owned());
            });
            if read == Some(false) {
                return Err(format!("the header has {}", Fault::Misquoted.sentence()));
            }
        }
        let place = |column: &Column| match column {
            Column::At(place) if self.header && *place >= names.len() => {
                Err(format!("the header has {} columns, and no column {}", names.len(), place + 1))
            }
            Column::At(place) => Ok(*place),
            Column::Named(name) => {
                let place = names.iter().position(|named| named == name);
                place.ok_or_else(|| format!("the header has no column {name}"))
            }
        };
        let seconds = self.seconds.as_ref().map(place).transpose()?;
        let columns = [Some(place(&self.number)?), Some(place(&self.time)?), seconds];
        Ok(Reader { columns, layout: self.clone() })
    }

    /// Returns a header as it goes out.
    #[must_use]
    pub fn header(&self, line: &[u8]) -> Vec<u8> {
        let (line, end) = parted(line);
        let mut out = line.to_vec();
        for name in ADDED {
            out.push(self.delimiter);
            out.extend(name.bytes());
        }
        out.extend(end);
        out
    }
}

/// A field of a record: where it stands, without its quotes.
#[derive(Clone, Copy, Debug)]
struct Field {
    from: usize,
    until: usize,
    /// True if quotes in it are doubled.
    doubled: bool,
}

impl Field {
    /// Returns what the field says. `bytes` are those of which it is a part.
    fn bytes(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let bytes = bytes.get(self.from..self.until).unwrap_or_default();
        if !self.doubled {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes.iter();
        while let Some(byte) = rest.next() {
            out.push(*byte);
            if *byte == b'"' {
                rest.next();
            }
        }
        Cow::Owned(out)
    }
}

/// Splits bytes into records, and records into fields.
///
/// A quote opens at the beginning of a field only, and is doubled within quotes. Lines end with a line feed, a carriage
/// return, or both. Empty lines are no records. Of a record whose quotes are wrong the first line is one that cannot be
/// read, and the next line is a record again.
struct Splitter<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    at: usize,
    /// The last line that began within quotes which turned out to be wrong. Quotes that hold the beginning of an earlier
    /// line end in the same way.
    wrong: usize,
}

impl<'a> Splitter<'a> {
    fn new(bytes: &'a [u8], delimiter: u8) -> Self {
        Self { bytes, delimiter, at: 0, wrong: 0 }
    }

    /// Goes to the end of the next record, and tells each of its fields with its place. Returns false if its quotes are
    /// wrong, and `None` if there is no further record.
    fn record(&mut self, mut each: impl FnMut(usize, Field)) -> Option<bool> {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        self.at += self.bytes.get(self.at..)?.iter().position(|byte| !is_end(byte))?;
        let begin = self.at;
        for place in 0.. {
            let Some((field, after)) = self.field() else {
                self.at = begin + line_end(self.bytes.get(begin..).unwrap_or_default());
                return Some(false);
            };
            each(place, field);
            self.at = after + 1;
            match self.bytes.get(after) {
                Some(b'\r') => self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n')),
                Some(b'\n') => {}
                Some(_) => continue,
                None => self.at = after,
            }
            break;
        }
        Some(true)
    }

    /// Returns the field that begins here, and where it ends: at a delimiter, a line's end, or the end of all. `None` if its
    /// quotes are wrong: one that is not doubled has something else behind it, or none closes the field.
    fn field(&mut self) -> Option<(Field, usize)> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.first() != Some(&b'"') {
            let length = memchr::memchr3(self.delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
            let until = self.at + length;
            return Some((Field { from: self.at, until, doubled: false }, until));
        }
        let (from, mut at, mut doubled, mut line) = (self.at + 1, self.at + 1, false, 0);
        while let Some(mark) = memchr::memchr2(b'"', b'\n', self.bytes.get(at..).unwrap_or_default()) {
            let mark = at + mark;
            at = mark + 1;
            if self.bytes.get(mark) == Some(&b'\n') {
                if at <= self.wrong {
                    return None;
                }
                line = at;
                continue;
            }
            match self.bytes.get(at) {
                Some(b'"') => (at, doubled) = (at + 1, true),
                Some(follows) if !matches!(follows, b'\r' | b'\n') && *follows != self.delimiter => break,
                _ => return Some((Field { from, until: mark, doubled }, at)),
            }
        }
        self.wrong = self.wrong.max(line);
        None
    }
}

/// Returns the length of the first line here, with its line feed.
fn line_end(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

/// A call of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It was answered.
    Call(Number, Answered, Option<u64>),
    /// It was answered at a short code, which is no number that could be held here.
    ShortCode(Answered),
    /// It was not answered.
    NotAnswered,
    /// The record cannot be read.
    Bad(Fault),
}

/// Reads the records of a file.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Where the number, the time and the seconds are.
    columns: [Option<usize>; 3],
    layout: Layout,
}

/// The records of a piece.
#[derive(Debug)]
pub struct Records {
    piece: Vec<u8>,
    /// Where each record ends, its line's end included, and what it says.
    records: Vec<(usize, Told)>,
    /// Of each call, the place of its number among the numbers that were called.
    called: Vec<usize>,
}

/// A part of a file as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its bytes.
    pub out: Vec<u8>,
    /// How many lines of the file end in it.
    pub lines: u64,
    /// What is wrong with those of its lines that cannot be read.
    pub faults: Faults,
}

impl Written {
    /// Returns bytes that go out as they came.
    #[must_use]
    pub fn bare(out: Vec<u8>) -> Self {
        Self { lines: lines(&out), out, faults: Faults::default() }
    }
}

impl Reader {
    /// Reads the records of a piece. Returns the numbers that were called as well, in the order of their digits, each
    /// once.
    #[must_use]
    pub fn read(&self, piece: Vec<u8>) -> (Records, Vec<Number>) {
        let lines = memchr::memchr_iter(b'\n', &piece).count();
        let mut records = Vec::with_capacity(lines + 1);
        let mut splitter = Splitter::new(&piece, self.layout.delimiter);
        loop {
            let mut columns = [None; 3];
            let read = splitter.record(|place, field| {
                for (wanted, column) in self.columns.iter().zip(&mut columns) {
                    if *wanted == Some(place) {
                        *column = Some(field);
                    }
                }
            });
            let Some(read) = read else { break };
            let told = if read { self.judge(&piece, columns) } else { Err(Fault::Misquoted) };
            records.push((splitter.at, told.unwrap_or_else(Told::Bad)));
        }
        let (numbers, called) = numbers(&records);
        (Records { piece, records, called }, numbers)
    }

    /// Returns what a record says. `columns` are its number, its time and its seconds in `piece`, as far as it has them.
    fn judge(&self, piece: &[u8], columns: [Option<Field>; 3]) -> Result<Told, Fault> {
        for (wanted, column) in self.columns.iter().zip(&columns) {
            if wanted.is_some() && column.is_none() {
                return Err(Fault::Fields);
            }
        }
        let [number, time, seconds] = columns.map(|column| column.map(|column| column.bytes(piece)));
        let [number, time, seconds] =
            [(&number, Fault::Number), (&time, Fault::Time), (&seconds, Fault::Seconds)].map(
                |(column, fault)| {
                    let text = column.as_ref().map(|column| str::from_utf8(column).map(str::trim));
                    text.transpose().map_err(|_| fault)
                },
            );
        let (number, time, seconds) = (number?.unwrap_or_default(), time?.unwrap_or_default(), seconds?);
        if is_unanswered(time) {
            return Ok(Told::NotAnswered);
        }
        let whole = |seconds: &str| fraction_of(seconds)?.0.parse::<u64>().ok();
        let seconds = seconds.map(|seconds| whole(seconds).ok_or(Fault::Seconds)).transpose()?;
        let called = number_of(number);
        if called.is_none() && !is_short_code(number) {
            return Err(Fault::Number);
        }
        let answered = self.layout.form.read(time, &self.layout.zone)?;
        Ok(called.map_or(Told::ShortCode(answered), |called| Told::Call(called, answered, seconds)))
    }

    /// Returns a line, or the end of one, that cannot be read, as it goes out.
    #[must_use]
    pub fn bad_line(&self, fault: Fault, line: &[u8]) -> Written {
        let mut faults = Faults::default();
        faults.note(fault, || 1);
        let lines = lines(line);
        let (line, end) = parted(line);
        let mut out = line.to_vec();
        self.add(&mut out, Rated::free(Why::BadLine), end);
        Written { out, lines, faults }
    }

    /// Writes a piece with what each of its calls costs. `charges` has what is charged for each number that
    /// [`Reader::read`] has returned, up to `now` at least.
    #[must_use]
    pub fn rated(&self, records: &Records, charges: &[Option<Arc<Charges>>], now: Timestamp) -> Written {
        let mut out = Vec::with_capacity(records.piece.len() + records.records.len() * 32);
        let mut faults = Faults::default();
        let (mut from, mut called) = (0, records.called.iter());
        for (end, read) in &records.records {
            let begin = from;
            let (line, line_end) = parted(records.piece.get(begin..*end).unwrap_or_default());
            from = *end;
            out.extend(line);
            let (rated, fault) = match read {
                Told::Call(_, answered, seconds) => {
                    let charges = called.next().and_then(|at| charges.get(*at)?.as_deref());
                    rated_at(*answered, charges, *seconds, now)
                }
                Told::ShortCode(answered) => rated_at(*answered, None, None, now),
                Told::NotAnswered => (Rated::free(Why::NotAnswered), Fault::Time),
                Told::Bad(fault) => (Rated::free(Why::BadLine), *fault),
            };
            if rated.why == Why::BadLine {
                // Empty lines before it are no part of it.
                let empty = line.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                faults.note(fault, || 1 + lines(records.piece.get(..begin + empty).unwrap_or_default()));
            }
            self.add(&mut out, rated, line_end);
        }
        out.extend(records.piece.get(from..).unwrap_or_default()); // empty lines at the end
        Written { out, lines: lines(&records.piece), faults }
    }

    fn add(&self, out: &mut Vec<u8>, rated: Rated, end: &[u8]) {
        use std::io::Write;
        let account = rated.account.map(|account| u64::from(account.get()));
        for value in [account, rated.seconds] {
            out.push(self.layout.delimiter);
            if let Some(value) = value {
                let _ = write!(out, "{value}"); // a Vec takes everything
            }
        }
        out.push(self.layout.delimiter);
        out.extend_from_slice(rated.why.word().as_bytes());
        out.extend_from_slice(end);
    }
}

/// Returns what a call costs, and what is wrong with it if that cannot be told.
fn rated_at(
    answered: Answered,
    charges: Option<&Charges>,
    seconds: Option<u64>,
    now: Timestamp,
) -> (Rated, Fault) {
    match answered {
        Answered::Once(at) => (rate(charges, at, seconds, now), Fault::Ahead),
        Answered::Either(at) => {
            let fault = if at.iter().any(|at| *at > now) { Fault::Ahead } else { Fault::Twice };
            (rate_in_doubt(charges, at, seconds, now), fault)
        }
    }
}

/// Returns the numbers that were called, in the order of their digits, each once, and for each call the place of its
/// number among them.
fn numbers(records: &[(usize, Told)]) -> (Vec<Number>, Vec<usize>) {
    let numbers = records.iter().filter_map(|(_, read)| match read {
        Told::Call(number, ..) => Some(*number),
        _ => None,
    });
    let mut calls = Vec::with_capacity(records.len());
    calls.extend(numbers.zip(0_usize..));
    calls.sort_unstable();
    let (mut numbers, mut called) = (Vec::with_capacity(calls.len()), vec![0; calls.len()]);
    for (number, call) in calls {
        if numbers.last() != Some(&number) {
            numbers.push(number);
        }
        if let Some(place) = called.get_mut(call) {
            *place = numbers.len() - 1;
        }
    }
    (numbers, called)
}

/// Returns true if there are carriage returns that end lines without a line feed, as far as a header may reach.
fn has_bare_ends(bytes: &[u8]) -> bool {
    let follows = bytes.iter().skip(1).map(Some).chain([None]);
    let mut quoted = false;
    bytes.iter().zip(follows).take(RECORD_MAX).any(|(byte, follows)| {
        quoted ^= *byte == b'"';
        *byte == b'\r' && !quoted && follows != Some(&b'\n')
    })
}

/// Returns how many lines end here.
fn lines(bytes: &[u8]) -> u64 {
    u64::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(u64::MAX)
}

/// Returns a line without its end, and its end. A line without one gets a line feed. Empty lines before it stay.
fn parted(line: &[u8]) -> (&[u8], &[u8]) {
    let end = [&b"\r\n"[..], b"\n", b"\r"].into_iter().find(|end| line.ends_with(end));
    end.map_or((line, b"\n"), |end| line.split_at(line.len() - end.len()))
}

/// Returns the number that a switch wrote: E.164 with or without its plus sign, ten digits, `011` or `00` before a country
/// code, with a prefix such as `*67`, with dashes, dots, brackets and blanks. Or as the user of a SIP or tel address, with a
/// password or parameters, and in angle brackets, with or without a name before them. `None` for a short code and
/// anything else.
#[must_use]
pub fn number_of(text: &str) -> Option<Number> {
    let text = user_of(text)?;
    let text = match text.strip_prefix('*') {
        Some(code) => code.get(2..)?,
        None => text,
    };
    let (plus, text) = text.strip_prefix('+').map_or((false, text), |rest| (true, rest));
    let written = || text.bytes().filter(|byte| !matches!(byte, b'-' | b'.' | b' ' | b'(' | b')'));
    let outward =
        ["011", "00"].iter().find(|prefix| !plus && written().take(prefix.len()).eq(prefix.bytes()));
    let (mut digits, mut length) = (0_u64, 0_u32);
    for byte in written().skip(outward.map_or(0, |prefix| prefix.len())) {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        digits = digits.checked_mul(10)?.checked_add(digit)?;
        length += 1;
        // A country's code does not begin with 0.
        if digits == 0 {
            return None;
        }
    }
    let international = plus || outward.is_some();
    let digits = if length == 10 && !international { digits + 10_000_000_000 } else { digits };
    // Without a sign that it is one, so many digits are a number with its country's code, and fewer a local one.
    Number::from_digits(digits).ok().filter(|_| international || length >= 10)
}

/// Returns true if a switch wrote a short code: three to six digits, such as `911`, or a star and two to six, such as `*98`.
fn is_short_code(text: &str) -> bool {
    let Some(user) = user_of(text) else { return false };
    let (digits, fewest) = user.strip_prefix('*').map_or((user, 3), |code| (code, 2));
    (fewest..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns who is called, as a switch wrote it: the text, or the user of a SIP or tel address. `None` for an angle bracket
/// that is not closed.
fn user_of(text: &str) -> Option<&str> {
    let address = match text.rsplit_once('<') {
        Some((_, address)) => address.split_once('>')?.0.trim(),
        None => text.trim(),
    };
    let user = ["sip:", "sips:", "tel:"].iter().find_map(|scheme| {
        let (head, rest) = address.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let user = user.unwrap_or(address);
    // A colon without a host behind it is no password's.
    let user = user.split_once('@').map_or(user, |(user, _)| user.split(':').next().unwrap_or_default());
    Some(user.split(';').next().unwrap_or_default().trim())
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Whole records.
    Records(Vec<u8>),
    /// Bytes that go out as they came: a byte-order mark, or the beginning of a line that cannot be read.
    Bare(Vec<u8>),
    /// A line that cannot be read, or its end.
    BadLine(Fault, Vec<u8>),
}

/// How far a record was looked through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Scan {
    /// Up to where.
    at: usize,
    /// True within quotes.
    quoted: bool,
    /// Just after the last quote that ended a field's quotes. Another quote here is a doubled one.
    closed: usize,
    /// Where the record begins, if a carriage return alone ended the one before it within the same line.
    begun: usize,
    /// True behind a quote that may not stand where it does, up to the end of the line: quotes hold nothing there.
    misquoted: bool,
}

impl Scan {
    fn moved(self, bytes: usize) -> Self {
        let moved = |at: usize| at.saturating_sub(bytes);
        Self { at: moved(self.at), closed: moved(self.closed), begun: moved(self.begun), ..self }
    }
}

/// Cuts a file that arrives in parts into pieces. What goes out does not depend on the parts.
///
/// Quotes are those of the reader of records: they open at the beginning of a field only.
#[derive(Clone, Debug)]
pub struct Cutter {
    delimiter: u8,
    /// Bytes of a piece, about, and most bytes of a record.
    sizes: (usize, usize),
    pending: Vec<u8>,
    /// True once the file's first bytes are behind.
    begun: bool,
    scan: Scan,
    /// The last line of `pending` that begins within quotes.
    quoted_line: usize,
    /// The end of the last scan that found no end of a record, and the last line within quotes before it. A scan that is
    /// within quotes at an earlier line ends there as well, so it goes on there.
    failed: (usize, Scan),
    /// Up to where `pending` has whole records, and how many lines these are.
    whole: usize,
    lines: usize,
    /// Within a line that cannot be read: why.
    bad: Option<Fault>,
}

impl Cutter {
    /// Returns a cutter of a file with this character between two columns.
    #[must_use]
    pub fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            sizes: (PIECE, RECORD_MAX),
            pending: Vec::new(),
            begun: false,
            scan: Scan::default(),
            quoted_line: 0,
            failed: (0, Scan::default()),
            whole: 0,
            lines: 0,
            bad: None,
        }
    }

    /// Takes the next part of the file.
    pub fn add(&mut self, part: &[u8]) {
        self.pending.extend_from_slice(part);
    }

    /// Returns whether enough of the file is there to tell that it is text. `ended` says that nothing more follows.
    ///
    /// # Errors
    /// What the file is instead, by its first two bytes: those of gzip (RFC 1952, section 2.3.1), or of UTF-16.
    pub fn is_text(&self, ended: bool) -> Result<bool, &'static str> {
        match self.pending.first_chunk() {
            Some([0x1F, 0x8B]) => Err("it is compressed with gzip: unpack it first, as gunzip -c does"),
            Some([0xFE, 0xFF] | [0xFF, 0xFE]) => Err("it is written in UTF-16: write it in UTF-8"),
            found => Ok(found.is_some() || ended),
        }
    }

    /// Returns the file's header with its end, once it is there: its first record. `ended` says that nothing more follows.
    ///
    /// # Errors
    /// What is wrong with a file that begins with no header.
    pub fn header(&mut self, ended: bool) -> Result<Option<Vec<u8>>, &'static str> {
        let mark = if self.pending.starts_with(MARK) { MARK.len() } else { 0 };
        if !ended && self.pending.len() < MARK.len() {
            return Ok(None);
        }
        if !self.begun {
            self.begun = true;
            (self.whole, self.scan.at) = (mark, mark);
        }
        let piece = std::mem::replace(&mut self.sizes.0, 1);
        let found = self.looked_through();
        self.sizes.0 = piece;
        let too_long = self.pending.len() - self.whole > self.sizes.1;
        if !found && !too_long && !ended {
            return Ok(None);
        }
        let end = if found { self.whole } else { self.pending.len() };
        let header = self.pending.get(..end).unwrap_or_default();
        if has_bare_ends(header) {
            return Err("its lines end with a carriage return alone: let them end with a line feed");
        }
        if !found && self.scan.quoted {
            return Err("the header has quotes that are never closed");
        }
        if !found && too_long {
            return Err("the header is longer than 64 KiB");
        }
        let header = self.pending.drain(..end).collect();
        self.gone(end);
        Ok(Some(header))
    }

    /// Returns the next piece, if there is one. `ended` says that nothing more follows.
    #[must_use]
    pub fn next(&mut self, ended: bool) -> Option<Piece> {
        if !self.begun {
            if !ended && self.pending.len() < MARK.len() && MARK.starts_with(&self.pending) {
                return None;
            }
            self.begun = true;
            if self.pending.starts_with(MARK) {
                return Some(Piece::Bare(self.pending.drain(..MARK.len()).collect()));
            }
        }
        if let Some(fault) = self.bad {
            return self.rest_of_bad(fault, ended);
        }
        if self.looked_through() {
            return Some(self.records());
        }
        // A quote that is never closed would hold everything that follows.
        if self.pending.len() - self.whole > self.sizes.1 || (ended && self.scan.quoted) {
            let fault = if self.scan.quoted { Fault::Quotes } else { Fault::Long };
            self.failed = (self.quoted_line, self.scan);
            self.scan = Scan { at: self.whole, ..Scan::default() };
            self.bad = Some(fault);
            return if self.whole > 0 { Some(self.records()) } else { self.rest_of_bad(fault, ended) };
        }
        if ended {
            self.whole = self.pending.len();
        }
        (ended && self.whole > 0).then(|| self.records())
    }

    /// Looks for the ends of records, as far as the bytes go or a record may. Returns true for a full piece.
    fn looked_through(&mut self) -> bool {
        let (piece, record) = self.sizes;
        let scan = &mut self.scan;
        let mut from = scan.at;
        let mut marks = memchr::memchr2_iter(b'"', b'\n', self.pending.get(from..).unwrap_or_default());
        while let Some(at) = marks.next().map(|at| from + at) {
            if at - self.whole > record {
                scan.at = at;
                return false;
            }
            if !scan.quoted && !scan.misquoted && scan.closed > self.whole {
                let follows = self.pending.get(scan.closed);
                scan.misquoted = follows
                    .is_some_and(|byte| *byte != self.delimiter && !matches!(byte, b'"' | b'\r' | b'\n'));
                // The first line of the record is a bad one, and the next line a record again.
                let begun = scan.begun.max(self.whole);
                let held = self.pending.get(begun..scan.closed).filter(|_| scan.misquoted);
                if let Some(line) = held.and_then(|held| memchr::memchr(b'\n', held)) {
                    if self.quoted_line > self.failed.0 {
                        self.failed = (self.quoted_line, Scan { at, misquoted: false, ..*scan });
                    }
                    self.whole = begun + line + 1;
                    self.lines += 1;
                    *scan = Scan { at: self.whole, ..Scan::default() };
                    if self.whole >= piece || self.lines >= PIECE_RECORDS {
                        return true;
                    }
                    from = self.whole;
                    marks = memchr::memchr2_iter(b'"', b'\n', self.pending.get(from..).unwrap_or_default());
                    continue;
                }
            }
            if self.pending.get(at) == Some(&b'"') {
                let before = at.checked_sub(1).and_then(|before| self.pending.get(before));
                if scan.misquoted {
                    continue;
                }
                if scan.quoted {
                    (scan.quoted, scan.closed) = (false, at + 1);
                } else {
                    scan.quoted = at == self.whole
                        || at == scan.closed
                        || before.is_some_and(|before| *before == self.delimiter || *before == b'\r');
                    // Only of a record with line ends its beginning is asked for.
                    if scan.quoted && self.quoted_line > self.whole {
                        let between = self.pending.get(scan.closed.max(self.whole)..at);
                        if between.is_some_and(|between| memchr::memchr(b'\r', between).is_some()) {
                            scan.begun = at;
                        }
                    }
                }
            } else if !scan.quoted {
                scan.misquoted = false;
                self.whole = at + 1;
                self.lines += 1;
                if self.whole >= piece || self.lines >= PIECE_RECORDS {
                    scan.at = at + 1;
                    return true;
                }
            } else if at < self.failed.0 {
                (self.quoted_line, *scan) = self.failed;
                from = scan.at;
                marks = memchr::memchr2_iter(b'"', b'\n', self.pending.get(from..).unwrap_or_default());
            } else {
                self.quoted_line = at + 1;
            }
        }
        scan.at = self.pending.len();
        false
    }

    fn records(&mut self) -> Piece {
        let mut rest = Vec::with_capacity(PIECE + RECORD_MAX);
        rest.extend_from_slice(self.pending.get(self.whole..).unwrap_or_default());
        self.pending.truncate(self.whole);
        let records = std::mem::replace(&mut self.pending, rest);
        self.gone(self.whole);
        Piece::Records(records)
    }

    /// Returns more of a line that cannot be read: up to its end.
    fn rest_of_bad(&mut self, fault: Fault, ended: bool) -> Option<Piece> {
        let end = memchr::memchr(b'\n', &self.pending).map(|at| at + 1);
        if let Some(end) = end.or(ended.then_some(self.pending.len())) {
            self.bad = None;
            let line = self.pending.drain(..end).collect();
            self.gone(end);
            return Some(Piece::BadLine(fault, line));
        }
        // What may be the first character of the line's end waits for the second.
        let end = self.pending.len() - usize::from(self.pending.ends_with(b"\r"));
        let part: Vec<u8> = self.pending.drain(..end).collect();
        self.gone(end);
        (!part.is_empty()).then_some(Piece::Bare(part))
    }

    /// Makes places in `pending` again after its first bytes have gone.
    fn gone(&mut self, bytes: usize) {
        self.scan = self.scan.moved(bytes);
        self.failed = (self.failed.0.saturating_sub(bytes), self.failed.1.moved(bytes));
        self.quoted_line = self.quoted_line.saturating_sub(bytes);
        (self.whole, self.lines) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::ids::AccountId;
    use onhook_core::lifecycle::diagram::State;
    use onhook_core::report::billing::Period;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_switches_write_them() {
        let number = number_of("+15405550100");
        assert!(number.is_some());
        for text in [
            "5405550100",
            "15405550100",
            "*675405550100",
            "*6715405550100",
            " 540-555-0100 ",
            "(540) 555-0100",
            "1.540.555.0100",
            "sip:+15405550100@203.0.113.1:5060;transport=udp",
            "SIP:5405550100@example.com",
            "tel:+1-540-555-0100",
            "tel:+15405550100;phone-context=example.com",
            "<sip:+15405550100@203.0.113.1>",
            "<tel:+1-540-555-0100>;party=called",
            "\"Joe <6>\" <sip:5405550100@example.com:5060>;tag=1",
            "Joe <sips:15405550100;npdi@example.com>",
            "sip:5405550100:secret@example.com",
            "01115405550100",
            "011 1 540-555-0100",
        ] {
            assert_eq!(number_of(text), number, "{text}");
        }
        for text in [
            "",
            "101",
            "911",
            "s",
            "*67",
            "*6",
            "540555010",
            "155405550100",
            "1234567890123456",
            "0442079460100",
            "000442079460100",
            "+1540555010",
            "54055501oo",
            "+",
            "011",
            "0115550100",
            "+01115405550100",
            "5405550100:5060",
            "<5405550100",
            "Joe 5405550100",
            "sip:911@example.com",
        ] {
            assert_eq!(number_of(text), None, "{text}");
        }
        for text in [
            "+442079460100",
            "442079460100",
            "011442079460100",
            "00442079460100",
            "sip:00-44-20-7946-0100@example.com",
            "sip:011-44-20-7946-0100@example.com",
        ] {
            let number = number_of(text).map(|number| number.to_string());
            assert_eq!(number.as_deref(), Some("+442079460100"), "{text}");
        }
    }

    /// Calls to other countries and to short codes are in every file of a switch: they are nobody's here, and no fault.
    #[test]
    fn what_is_dialled_abroad_and_short_is_an_unknown_number() {
        let reader = Layout::preset("freeswitch", TimeZone::UTC).unwrap().reader(b"").unwrap();
        let why = |called: &str, time: &str, seconds: &str| {
            let line = format!(",,{called},,,{time},,,{seconds}\n");
            let (records, numbers) = reader.read(line.into_bytes());
            let out = reader.rated(&records, &vec![None; numbers.len()], NOW).out;
            let out = String::from_utf8(out).unwrap();
            out.trim_end().split(',').skip(9).collect::<Vec<_>>().join(" ")
        };
        let time = "2026-03-02 09:59:00";
        for called in [
            "442079460100",
            "00442079460100",
            "011442079460100",
            "911",
            "101",
            "123456",
            "*98",
            "sip:911@host",
        ] {
            assert_eq!(why(called, time, "60"), " 0 unknown_number", "{called}");
            assert_eq!(why(called, "2097-01-01 00:00:00", "60"), " 0 bad_line", "{called}");
            assert_eq!(why(called, time, "x"), " 0 bad_line", "{called}");
            assert_eq!(why(called, "", ""), " 0 not_answered", "{called}");
        }
        for called in ["", "s", "11", "*9", "5550100", "*1234567", "91 1", "1234567890123456"] {
            assert_eq!(why(called, time, "60"), " 0 bad_line", "{called}");
        }
    }

    #[test]
    fn instants_are_read_in_each_form() {
        let (utc, zone) = (TimeZone::UTC, TimeZone::get("America/New_York").unwrap());
        let wanted = Ok(Answered::Once(Timestamp::from_millis(1_700_000_000_000)));
        for (form, text, zone) in [
            ("rfc3339", "2023-11-14T22:13:20Z", &utc),
            ("unix", "1700000000", &utc),
            ("unix", "1700000000.0004", &utc),
            ("unix", "1700000000.", &utc),
            ("unix_ms", "1700000000000", &utc),
            ("%Y-%m-%d %H:%M:%S", "2023-11-14 22:13:20", &utc),
            ("%Y-%m-%d %H:%M:%S", "2023-11-14 17:13:20", &zone),
            ("%Y-%m-%d %H:%M:%S %z", "2023-11-14 23:13:20 +0100", &zone),
        ] {
            assert_eq!(TimeForm::named(form).unwrap().read(text, zone), wanted, "{form} {text}");
        }
        for (form, text) in [
            ("unix", "1e9"),
            ("unix", "1700000000.000x"),
            ("unix", "-1.5"),
            ("unix", "+1700000000"),
            ("unix", ".5"),
            ("unix_ms", "-1500"),
            ("unix_ms", "9223372036854775807"),
            ("rfc3339", "yesterday"),
            ("rfc3339", "2023-11-14T22:13:20"),
        ] {
            assert_eq!(TimeForm::named(form).unwrap().read(text, &utc), Err(Fault::Time), "{form} {text}");
        }
    }

    /// What can be read by no pattern is refused before a line is rated by it.
    #[test]
    fn a_pattern_is_one_by_which_a_date_with_its_time_is_read() {
        for pattern in ["%Y-%m-%d %H:%M", "%d/%b/%y %I:%M:%S %p", "%s", "%FT%T%z", "%F %T[%Q]", "%F %T%.f"] {
            assert!(TimeForm::named(pattern).is_some(), "{pattern}");
        }
        for pattern in ["", "unixms", "%Q", "%Y-%", "%F", "%T", "%F %H", "%F %I:%M", "%F %T %Z", "%c", "%!"] {
            assert_eq!(TimeForm::named(pattern), None, "{pattern}");
        }
        let (form, berlin) = (TimeForm::named("%F %T %Q").unwrap(), "2023-11-14 23:13:00 Europe/Berlin");
        let wanted = Answered::Once(Timestamp::from_millis(WHOLE_MINUTE.as_millisecond()));
        assert_eq!(form.read(berlin, &TimeZone::UTC), Ok(wanted), "the zone that it names goes before");
    }

    /// New York's clocks skip an hour in March and show one twice in November. An hour that never was is no time; of an
    /// hour that was twice, the call is charged if it does not matter which it was.
    #[test]
    fn an_hour_that_clocks_skip_or_show_twice_charges_nobody_in_doubt() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let instant = |text: &str| {
            let at: jiff::Timestamp = text.parse().unwrap();
            Timestamp::from_millis(at.as_millisecond())
        };
        let period = |account, from: &str, until: Option<&str>| Period {
            account: AccountId::new(account).unwrap(),
            from: instant(from),
            until: until.map(instant),
        };
        let (first, changed) = ("2031-01-01T00:00:00Z", "2031-11-02T05:45:00Z"); // 01:45, the first time
        let imported_at = instant(first);
        let kept = Charges { imported_at, periods: vec![period(9, first, None)], aged: Vec::new() };
        let ended = Charges {
            periods: vec![period(9, first, Some(changed))],
            aged: vec![(instant(changed), None)],
            ..kept.clone()
        };
        let passed_on = Charges {
            periods: vec![period(9, first, Some(changed)), period(8, changed, None)],
            ..kept.clone()
        };
        for preset in ["asterisk", "freeswitch"] {
            let layout = Layout { seconds: None, ..Layout::preset(preset, zone.clone()).unwrap() };
            let reader = layout.reader(b"").unwrap();
            for (shown, charges, wanted) in [
                ("2031-03-09 01:59:59", &kept, "9,,charged"),
                ("2031-03-09 02:30:00", &kept, ",0,bad_line"),
                ("2031-03-09 03:00:00", &kept, "9,,charged"),
                ("2031-11-02 01:30:00", &kept, "9,,charged"),
                ("2031-11-02 00:59:59", &ended, "9,,charged"),
                ("2031-11-02 01:30:00", &ended, ",0,aging"),
                ("2031-11-02 01:50:00", &ended, ",0,aging"),
                ("2031-11-02 01:30:00", &passed_on, ",0,bad_line"),
                ("2031-11-02 01:50:00", &passed_on, "8,,charged"),
            ] {
                let (Column::At(number), Column::At(time)) = (&layout.number, &layout.time) else { panic!() };
                let mut fields = vec![""; time + 1];
                (fields[*number], fields[*time]) = ("5405550100", shown);
                let (records, _) = reader.read(fields.join(",").into_bytes());
                let out = reader.rated(&records, &[Some(Arc::new(charges.clone()))], NOW).out;
                let out = String::from_utf8(out).unwrap();
                assert!(out.ends_with(&format!("{shown},{wanted}\n")), "{preset}: {out}, not {wanted}");
            }
        }
    }

    /// An instant after all of these calls.
    const NOW: Timestamp = Timestamp::from_millis(4_000_000_000_000);

    fn layout() -> Layout {
        let column = Column::named;
        Layout {
            number: column("called"),
            time: column("answer"),
            seconds: Some(column("3")),
            header: true,
            delimiter: b',',
            form: TimeForm::UnixMs,
            zone: TimeZone::UTC,
        }
    }

    fn charges() -> Vec<Option<Arc<Charges>>> {
        let period = |from, until| Period {
            account: AccountId::new(9_900_000).unwrap(),
            from: Timestamp::from_millis(from),
            until: Some(Timestamp::from_millis(until)),
        };
        let charges = Charges {
            imported_at: Timestamp::from_millis(0),
            periods: vec![period(0, 10_000)],
            aged: vec![(Timestamp::from_millis(10_000), None)],
        };
        vec![Some(Arc::new(charges)), None]
    }

    #[test]
    fn each_line_goes_out_as_it_came_with_what_it_costs() {
        let reader = layout().reader(b"called,answer,spoken\r\n").unwrap();
        let piece = b"5405550100,9000,60\r\n\n\"540-555-0100\",10000,60,\"a \"\"note\"\"\nof two lines\"\n\
            5405550101,1,1\n5405550100,,0\n5405550100,0,0\nnobody,1,1\n5405550100,1\n5405550100,1,x\n\
            5405550100,9000,1.xyz\r5405550100,9000,0.9\n\n\n";
        let (records, numbers) = reader.read(piece.to_vec());
        assert_eq!(numbers, ["5405550100", "5405550101"].map(|number| number_of(number).unwrap()));
        let out = String::from_utf8(reader.rated(&records, &charges(), NOW).out).unwrap();
        insta::assert_snapshot!(out.replace('\r', "[CR]"), @r#"
        5405550100,9000,60,9900000,1,charged[CR]

        "540-555-0100",10000,60,"a ""note""
        of two lines",,0,aging
        5405550101,1,1,,0,unknown_number
        5405550100,,0,,0,not_answered
        5405550100,0,0,,0,not_answered
        nobody,1,1,,0,bad_line
        5405550100,1,,0,bad_line
        5405550100,1,x,,0,bad_line
        5405550100,9000,1.xyz,,0,bad_line[CR]5405550100,9000,0.9,9900000,0,charged
        "#);
        assert!(out.ends_with("charged\n\n\n"), "empty lines go through: {out:?}");
        let header = String::from_utf8(layout().header(b"called,answer,spoken\r\n")).unwrap();
        assert_eq!(header, "called,answer,spoken,onhook_account,onhook_charged_seconds,onhook_why\r\n");
        assert!(
            String::from_utf8(reader.bad_line(Fault::Long, b"x\r\n").out).unwrap().ends_with("bad_line\r\n")
        );
        assert!(
            String::from_utf8(reader.bad_line(Fault::Long, b"x").out).unwrap().ends_with("bad_line\n"),
            "the last line"
        );
        let refused = |header: &[u8]| layout().reader(header).unwrap_err();
        assert_eq!(refused(b"number,answer,spoken\n"), "the header has no column called");
        assert_eq!(refused(b"called,answer\n"), "the header has 2 columns, and no column 3");
        assert!(
            Layout { header: false, number: Column::At(9), ..layout() }.reader(b"").is_err(),
            "time by name"
        );
    }

    /// Databases write a time that there is not with zeros.
    #[test]
    fn a_time_of_zeros_is_no_answer() {
        for time in ["", "0", "0.000", "0000-00-00 00:00:00", "0000-00-00T00:00:00.000Z", "00/00/0000 00:00"]
        {
            assert!(is_unanswered(time), "{time}");
        }
        for time in ["-", "NULL0", "0000-00-00 00:00:01", "2000-01-01 00:00:00", "0x0"] {
            assert!(!is_unanswered(time), "{time}");
        }
        let reader = Layout::preset("freeswitch", TimeZone::UTC).unwrap().reader(b"").unwrap();
        let (records, _) = reader.read(b",,5405550100,,,0000-00-00 00:00:00,,,0\n".to_vec());
        assert!(
            String::from_utf8(reader.rated(&records, &[], NOW).out).unwrap().ends_with(",,0,not_answered\n")
        );
    }

    /// A header is a record: its quotes hold line ends. Whatever its parts, it is cut the same.
    #[test]
    fn a_header_is_cut_as_a_record_is() {
        let header = |file: &str, part: usize| {
            let mut cutter = Cutter::new(b',');
            let mut parts = file.as_bytes().chunks(part).peekable();
            loop {
                cutter.add(parts.next().unwrap_or_default());
                let ended = parts.peek().is_none();
                if let Some(header) = cutter.header(ended)? {
                    let rest: Vec<u8> = cutter.pending.into_iter().chain(parts.flatten().copied()).collect();
                    assert_eq!(
                        format!("{}{}", String::from_utf8_lossy(&header), String::from_utf8_lossy(&rest)),
                        file
                    );
                    return Ok::<_, &str>(header.len());
                }
                assert!(!ended);
            }
        };
        let long = "x".repeat(RECORD_MAX + 1);
        for part in [1, 2, 7, 1 << 20] {
            for first in
                ["a,b\n", "a,b\r\n", "\u{feff}\"a\nb\",c\n", "\"a\rb\",\"c \"\"d\"\"\n\"\n", "\n", "a \"b\n"]
            {
                assert_eq!(header(&format!("{first}1,2\n\"3\n"), part), Ok(first.len()), "{first:?} {part}");
            }
            assert_eq!((header("a,b", part), header("", part)), (Ok(3), Ok(0)));
            for (file, wrong) in [
                ("a,b\r1,2\r", "carriage return"),
                ("a,b\r", "carriage return"),
                ("\"a\",\"b\"\r\"1\",\"2\"\r", "carriage return"),
                ("a,\"b\"\r1,2\n", "carriage return"),
                (&format!("a,b\r{long}"), "carriage return"),
                (&format!("a,b{long}\n"), "longer"),
                (&format!("a,\"b{long}\"\n"), "never closed"),
                ("a,\"b\n1,2\n", "never closed"),
            ] {
                assert!(header(file, part).unwrap_err().contains(wrong), "{wrong} {part}");
            }
        }
    }

    /// A number that is called again is asked for once, and its calls have its price, wherever they stand.
    #[test]
    fn calls_to_a_number_that_come_back_have_its_price() {
        let reader = layout().reader(b"called,answer,spoken\n").unwrap();
        let digits = [3, 0, 2, 3, 1, 0, 0, 3].map(|last| 5_405_550_100_u64 + last);
        let piece: String = digits.iter().map(|number| format!("{number},5,1\n,,0\n")).collect();
        let (records, numbers) = reader.read(piece.into_bytes());
        let of = |digits: u64| AccountId::new(u32::try_from(digits % 10).unwrap() + 1).unwrap();
        assert_eq!(
            numbers,
            [0, 1, 2, 3].map(|last| number_of(&format!("{}", 5_405_550_100_u64 + last)).unwrap())
        );
        let charges: Vec<_> = numbers
            .iter()
            .map(|number| {
                let at = Timestamp::from_millis(0);
                Some(Arc::new(Charges::untouched(State::InService, Some(of(number.digits())), at)))
            })
            .collect();
        let out = String::from_utf8(reader.rated(&records, &charges, NOW).out).unwrap();
        let wanted: String = digits
            .iter()
            .map(|number| format!("{number},5,1,{},1,charged\n,,0,,0,not_answered\n", of(*number).get()))
            .collect();
        assert_eq!(out, wanted);
    }

    /// However short its lines: what a piece takes of memory while it is rated depends on its records.
    #[test]
    fn a_piece_has_few_records_as_well_as_few_bytes() {
        let file = "\"a\nb\"\n".repeat(PIECE_RECORDS * 5 / 2);
        let pieces = cut(file.as_bytes(), 1 << 16);
        let lines = |piece: &Piece| bytes(piece).iter().filter(|byte| **byte == b'\n').count();
        let lines: Vec<_> = pieces.iter().map(lines).collect();
        assert_eq!(lines, [2 * PIECE_RECORDS, 2 * PIECE_RECORDS, PIECE_RECORDS]);
    }

    #[test]
    fn what_is_no_text_is_told_by_its_first_two_bytes() {
        let told = |parts: &[&[u8]], ended| {
            let mut cutter = Cutter::new(b',');
            parts.iter().for_each(|part| cutter.add(part));
            cutter.is_text(ended)
        };
        for (parts, wrong) in [
            (&[&[0x1F_u8, 0x8B, 8][..]][..], "gzip"),
            (&[&[0x1F], &[0x8B]], "gzip"),
            (&[&[0xFF, 0xFE, b'a', 0]], "UTF-16"),
            (&[&[0xFE, 0xFF, 0, b'a']], "UTF-16"),
        ] {
            assert!(told(parts, false).is_err_and(|told| told.contains(wrong)), "{parts:?}");
        }
        assert_eq!((told(&[&[0x1F]], false), told(&[&[0x1F]], true)), (Ok(false), Ok(true)), "one byte");
        assert_eq!(
            (told(&[], false), told(&[], true), told(&[b"a,b"], false)),
            (Ok(false), Ok(true), Ok(true))
        );
        assert_eq!(told(&[MARK], false), Ok(true));
    }

    /// Cuts a file that arrives in parts of these sizes, in turn.
    fn cut_by(mut cutter: Cutter, file: &[u8], parts: &[usize]) -> Vec<Piece> {
        let (mut rest, mut pieces) = (file, Vec::new());
        for size in parts.iter().cycle() {
            let (part, more) = rest.split_at(rest.len().min(*size.max(&1)));
            cutter.add(part);
            rest = more;
            while let Some(piece) = cutter.next(rest.is_empty()) {
                pieces.push(piece);
            }
            if rest.is_empty() {
                break;
            }
        }
        pieces
    }

    fn cut(file: &[u8], part: usize) -> Vec<Piece> {
        cut_by(Cutter::new(b','), file, &[part])
    }

    fn bytes(piece: &Piece) -> &[u8] {
        match piece {
            Piece::Records(bytes) | Piece::Bare(bytes) | Piece::BadLine(_, bytes) => bytes,
        }
    }

    /// Returns a file as it goes out, where every number is unknown, and what is wrong with its lines.
    fn written(reader: &Reader, pieces: Vec<Piece>) -> (String, Faults) {
        let (mut out, mut lines, mut faults) = (Vec::new(), 0, Faults::default());
        for piece in pieces {
            let written = match piece {
                Piece::Records(records) => {
                    let (records, numbers) = reader.read(records);
                    reader.rated(&records, &vec![None; numbers.len()], NOW)
                }
                Piece::Bare(bytes) => Written::bare(bytes),
                Piece::BadLine(fault, line) => reader.bad_line(fault, &line),
            };
            out.extend(written.out);
            faults.append(lines, &written.faults);
            lines += written.lines;
        }
        (String::from_utf8_lossy(&out).into_owned(), faults)
    }

    fn out(reader: &Reader, pieces: Vec<Piece>) -> String {
        written(reader, pieces).0
    }

    /// However the file arrives and is cut, a line has its place in it.
    #[test]
    fn faults_are_counted_with_the_first_line_of_each() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let layout = Layout::preset("freeswitch", zone).unwrap();
        let reader = layout.reader(b"").unwrap();
        let row = |number: &str, time: &str, seconds: &str| format!(",,{number},,,{time},,,{seconds}\n");
        let (number, time) = ("5405550100", "2026-03-02 09:59:00");
        let file = [
            row(number, time, "1"),
            "\n\n".to_owned(),
            row("s", time, "1"), // line 4
            row(number, "yesterday", "1"),
            row(number, "2031-03-09 02:30:00", "1"),
            row(number, "2097-01-01 00:00:00", "1"),
            "\"of two\nlines\",,,\n".to_owned(), // line 8
            row(number, time, "x"),              // line 10
            row("s", time, "1"),
            format!("{}\n", "x".repeat(2 * RECORD_MAX)),
            row(number, "tomorrow", "1"),
            format!("\"{}", row(number, time, "1")), // line 14
            row(number, time, "1"),
        ];
        for (piece, part) in [(PIECE, 1_000), (1, 100_000), (60, 7)] {
            let cutter = Cutter { sizes: (piece, RECORD_MAX), ..Cutter::new(b',') };
            let (out, faults) = written(&reader, cut_by(cutter, file.concat().as_bytes(), &[part]));
            assert_eq!(out.matches("bad_line").count(), 10, "{out}");
            let wanted = "fields=1@8, number=2@4, time=2@5, skipped=1@6, ahead=1@7, seconds=1@10, long=1@12, quotes=1@14";
            assert_eq!(faults.trailer().unwrap(), wanted, "{piece} {part}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_goes_by_and_the_next_is_read() {
        let filler = "5405550100,1,1\n".repeat(RECORD_MAX / 10);
        let file = format!("5405550100,2,2\n\"never closed,1,1\n{filler}");
        let pieces = cut(file.as_bytes(), 10_000);
        assert_eq!(pieces[0], Piece::Records(b"5405550100,2,2\n".to_vec()));
        assert_eq!(pieces[1], Piece::BadLine(Fault::Quotes, b"\"never closed,1,1\n".to_vec()));
        assert!(matches!(pieces[2], Piece::Records(_)));
        let long = format!("{}\n5405550100,1,1\n", "x".repeat(3 * RECORD_MAX));
        let pieces = cut(long.as_bytes(), 4_096);
        assert!(pieces.iter().all(|piece| bytes(piece).len() <= RECORD_MAX + 4_096));
        assert_eq!(pieces.last(), Some(&Piece::Records(b"5405550100,1,1\n".to_vec())));
        assert_eq!(pieces.iter().filter(|piece| matches!(piece, Piece::BadLine(Fault::Long, _))).count(), 1);
    }

    /// A quote that is never closed makes one line unreadable, wherever in the file: not those that follow.
    #[test]
    fn a_quote_that_is_never_closed_is_one_bad_line() {
        let mut layout = layout();
        (layout.number, layout.header) = (Column::At(0), false);
        (layout.time, layout.seconds) = (Column::At(1), Some(Column::At(2)));
        let reader = layout.reader(b"").unwrap();
        for bad in [3, 2_991, 3_000] {
            let line = |at| format!("5405550100,{at},5,{}\n", if at == bad { "\"oops" } else { "x" });
            let file: String = (1..=3_000).map(line).collect();
            let out = out(&reader, cut(file.as_bytes(), 10_000));
            let whys: Vec<&str> = out.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
            assert_eq!(whys.len(), 3_000);
            let bad_lines: Vec<usize> = (1..=3_000).filter(|at| whys[at - 1] == "bad_line").collect();
            assert_eq!(bad_lines, [bad]);
        }
    }

    /// A quote opens at the beginning of a field only: one in a caller's name holds nothing.
    #[test]
    fn a_quote_within_a_field_holds_no_further_lines() {
        let reader = Layout::preset("freeswitch", TimeZone::UTC).unwrap().reader(b"").unwrap();
        let row = |name: &str| format!("{name},\"4045550199\",\"5405550100\",,,2026-03-02 09:59:00,,,5\n");
        let plain = row("Joe").repeat(3_000);
        for name in ["Joe 6\" pipe", "6\"\" pipe", "\"\"", "x\" y\" z"] {
            let out = out(&reader, cut(format!("{}{plain}", row(name)).as_bytes(), 10_000));
            assert_eq!(out.lines().filter(|line| line.ends_with("unknown_number")).count(), 3_001, "{name}");
        }
    }

    /// The lines of a file that is hard to cut, and how it arrives.
    fn hard_files() -> impl Strategy<Value = (String, Vec<usize>)> {
        let line = prop::collection::vec(
            prop::sample::select(vec![
                "5405550100",
                "1",
                ",",
                "\"",
                "\"\"",
                ",\"",
                "\",",
                "\r",
                "\u{feff}",
                "x",
            ]),
            0..9,
        );
        let lines = prop::collection::vec((line, prop::sample::select(vec!["\n", "\r\n", ""])), 0..30);
        let file = lines
            .prop_map(|lines| lines.into_iter().map(|(line, end)| line.concat() + end).collect::<String>());
        (file, prop::collection::vec(1_usize..40, 1..9))
    }

    /// Returns the fields of each record. `None` is one whose quotes are wrong.
    fn split(bytes: &[u8]) -> Vec<Option<Vec<Vec<u8>>>> {
        let (mut splitter, mut records) = (Splitter::new(bytes, b','), Vec::new());
        loop {
            let mut fields = Vec::new();
            let read = splitter.record(|_, field| fields.push(field.bytes(bytes).into_owned()));
            let Some(read) = read else { return records };
            records.push(read.then_some(fields));
        }
    }

    /// A line of FreeSWITCH, with quotes around all that it has. It doubles none in a caller's name.
    fn quoted_line(name: &str, called: &str) -> String {
        let time = "2026-03-02 09:59:00";
        format!(
            "\"{name}\",\"4045550198\",\"{called}\",\"default\",\"{time}\",\"{time}\",\"{time}\",\"90\",\"60\"\n"
        )
    }

    /// Names of callers, and whether a record can be read that has the name between quotes.
    fn names() -> impl Strategy<Value = (&'static str, bool)> {
        prop::sample::select(vec![
            ("", true),
            ("Joe", true),
            ("Big, Al", true),
            ("the \"\"Big\"\", Al", true),
            ("Al \"Big, Al\" Smith", false),
            ("Al \"Big, Al\"", false),
            ("\"Big, Al\" Smith", false),
            ("6\" pipe", false),
            ("Al\" x, y", false),
            ("Al\"", false),
            ("\"Al", false),
        ])
    }

    proptest! {
        /// A caller's name with quotes that are not doubled would move the columns behind it, and another number would be
        /// charged. However the file is cut, such a line is a bad one, and those beside it are what they are alone.
        #[test]
        fn a_line_with_wrong_quotes_charges_nobody_and_harms_no_other(
            named in prop::collection::vec(names(), 1..40),
            part in 1_usize..200,
            piece in 1_usize..2_000,
        ) {
            let reader = Layout::preset("freeswitch", TimeZone::UTC).unwrap().reader(b"").unwrap();
            let file: String = named.iter().map(|(name, _)| quoted_line(name, "5405550100")).collect();
            let cutter = Cutter { sizes: (piece, RECORD_MAX), ..Cutter::new(b',') };
            let in_service = Charges::untouched(State::InService, AccountId::new(1), Timestamp::from_millis(0));
            let (in_service, now) = (Some(Arc::new(in_service)), Timestamp::from_millis(i64::MAX));
            let mut out = Vec::new();
            for piece in cut_by(cutter, file.as_bytes(), &[part]) {
                out.extend(match piece {
                    Piece::Records(records) => {
                        let (records, numbers) = reader.read(records);
                        prop_assert!(numbers.iter().all(|number| *number == number_of("5405550100").unwrap()));
                        reader.rated(&records, &vec![in_service.clone(); numbers.len()], now).out
                    }
                    Piece::Bare(bytes) => bytes,
                    Piece::BadLine(fault, line) => reader.bad_line(fault, &line).out,
                });
            }
            let out = String::from_utf8(out).unwrap();
            prop_assert_eq!(out.lines().count(), named.len());
            for (line, (name, is_good)) in out.lines().zip(&named) {
                let row = quoted_line(name, "5405550100");
                let ends = if *is_good { "1,60,charged" } else { ",0,bad_line" };
                prop_assert_eq!(line, format!("{},{ends}", row.trim_end()));
            }
        }

        /// As long as no quotes are wrong, records are those of a reader of CSV.
        #[test]
        fn records_are_split_as_csv_is((file, _) in hard_files()) {
            let file = file.trim_start_matches('\u{feff}');
            let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file.as_bytes());
            let wanted = reader.into_byte_records().map(|read| read.unwrap().iter().map(<[u8]>::to_vec).collect());
            let wanted: Vec<Option<Vec<Vec<u8>>>> = wanted.map(Some).collect();
            let found = split(file.as_bytes());
            let right = found.iter().position(Option::is_none);
            prop_assert_eq!(&found[..right.unwrap_or(found.len())], &wanted[..right.unwrap_or(wanted.len())]);
        }

        /// Whatever the parts in which a file arrives, and the pieces: nothing is lost, no record is cut, and the same
        /// goes out as for the whole file.
        #[test]
        fn pieces_are_the_file((file, parts) in hard_files(), piece in 1_usize..60, record in 8_usize..60) {
            let mut layout = layout();
            (layout.number, layout.time, layout.header) = (Column::At(0), Column::At(1), false);
            let reader = layout.reader(b"").unwrap();
            let cutter = |piece| Cutter { sizes: (piece, record), ..Cutter::new(b',') };
            let pieces = cut_by(cutter(piece), file.as_bytes(), &parts);
            prop_assert_eq!(pieces.iter().flat_map(bytes).copied().collect::<Vec<u8>>(), file.as_bytes());
            for records in &pieces {
                if let Piece::Records(records) = records {
                    let probed = [&**records, b"\nlast"].concat();
                    let last = split(&probed).pop().unwrap();
                    prop_assert_eq!(last, Some(vec![b"last".to_vec()]), "a record is cut");
                }
            }
            let whole = cut_by(cutter(usize::MAX), file.as_bytes(), &[file.len()]);
            prop_assert_eq!(written(&reader, pieces), written(&reader, whole));
        }
    }
}
