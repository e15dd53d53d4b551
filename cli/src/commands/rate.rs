//! `onhook rate`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use onhook_wire::ops::faults::{Faults, TRAILER};
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::client::{Arrived, Ask};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Common, Session};
use crate::terminal::{Terminal, Unit, count};

/// Bytes that are read of a file at once.
const PART: usize = 256 << 10;
/// The type of call records.
const CSV: &str = "text/csv";

/// Say for each call of a file of call records who pays for it
///
/// Every line is written as it came, with three columns more: onhook_account, onhook_charged_seconds and
/// onhook_why, which is charged, aging, not_in_service, unknown_number, not_answered or bad_line. Flags go
/// before a preset. A summary on standard error counts the lines of each reason, and says what is wrong with
/// those that could not be read.
///
/// Exit status: 0 done, 1 done but some lines could not be read, 2 it could not be done.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook rate --preset asterisk Master.csv --data-dir /var/lib/onhook",
    mut_arg("json", |json| json.hide(true))
)]
pub(crate) struct Rate {
    /// The call records, CSV; standard input for -, or if no file is named
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Whose records they are: Asterisk's Master.csv, or the example template of FreeSWITCH's cdr_csv
    #[arg(long, value_parser = ["asterisk", "freeswitch"])]
    preset: Option<String>,
    /// The column of the number that was called, by name or from 1
    #[arg(long, value_name = "COLUMN", required_unless_present = "preset")]
    number: Option<String>,
    /// The column of the instant of the answer
    #[arg(long, value_name = "COLUMN", required_unless_present = "preset")]
    time: Option<String>,
    /// The column of the seconds that they spoke
    #[arg(long, value_name = "COLUMN")]
    seconds: Option<String>,
    /// The first line is a record and names no columns
    #[arg(long)]
    no_header: bool,
    /// What stands between two columns: one character, or tab
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// How instants are written: rfc3339 (with its offset), unix, unix_ms, or a strftime pattern
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<String>,
    /// The time zone of instants that name none [default: the operator's time_zone]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Rate {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        self.common.answers_csv()?;
        let ask = Ask::post("rate", Value::Null)
            .with("preset", self.preset)
            .with("number", self.number)
            .with("time", self.time)
            .with("seconds", self.seconds)
            .with("no_header", self.no_header.then_some(true))
            .with("delimiter", self.delimiter.as_deref())
            .with("time_format", self.time_format)
            .with("time_zone", self.time_zone);
        let delimiter = match self.delimiter.as_deref() {
            Some("tab") => b'\t',
            Some(text) => text.bytes().next().unwrap_or(b','),
            None => b',',
        };
        let file = self.file.as_deref().filter(|file| *file != Path::new("-"));
        let (file, total): (Box<dyn AsyncRead + Send + Unpin>, _) = match file {
            Some(path) => {
                let cannot = || format!("cannot read {}", path.display());
                let file = tokio::fs::File::open(path).await.with_context(cannot)?;
                let found = file.metadata().await.with_context(cannot)?;
                ensure!(!found.is_dir(), "{}: it is a folder", cannot());
                (Box::new(file), found.is_file().then_some(found.len()))
            }
            None => (Box::new(tokio::io::stdin()), None),
        };
        let rated = async |session: &mut Session<'_>| rate(session, &ask, file, total, delimiter).await;
        self.common.run(config, terminal, rated).await
    }
}

async fn rate(
    session: &mut Session<'_>,
    ask: &Ask,
    file: Box<dyn AsyncRead + Send + Unpin>,
    total: Option<u64>,
    delimiter: u8,
) -> anyhow::Result<Exit> {
    let bar = session.terminal.bar(&Unit::Bytes, total);
    let read = bar.clone();
    let body = ReaderStream::with_capacity(file, PART).inspect(move |part| {
        if let Ok(part) = part {
            read.inc(u64::try_from(part.len()).unwrap_or_default());
        }
    });
    let mut rated = session.exchange(ask, CSV, body.boxed()).await?;
    let mut reasons = Reasons { delimiter, last: Vec::new(), counts: BTreeMap::new() };
    let mut faults = Faults::default();
    while let Some(arrived) = rated.next().await {
        match arrived? {
            Arrived::Part(part) => {
                reasons.add(&part);
                session.terminal.stream().write_all(&part)?;
            }
            Arrived::Trailers(trailers) => {
                let told = trailers.get(TRAILER).and_then(|told| told.to_str().ok());
                faults = told.map(Faults::read).unwrap_or_default();
            }
        }
    }
    session.terminal.stream().flush()?;
    bar.finish_and_clear();
    for (why, lines) in &reasons.counts {
        session.terminal.remark(&format!("{}: {}", count(*lines, "line"), why.replace('_', " ")));
    }
    for (fault, lines, first) in faults.iter() {
        let first = if lines == 1 { format!("line {first}") } else { format!("the first is line {first}") };
        session.terminal.remark(&format!("  {}: {}, {first}", count(lines, "bad line"), fault.sentence()));
    }
    Ok(if reasons.counts.contains_key("bad_line") { Exit::NotWell } else { Exit::Done })
}

/// How many lines were rated for which reason: the last column of each.
struct Reasons {
    delimiter: u8,
    /// The end of a line so far: what follows the last delimiter.
    last: Vec<u8>,
    counts: BTreeMap<String, u64>,
}

impl Reasons {
    /// The words of reasons, none of them longer than this.
    const WORDS: [&str; 6] =
        ["charged", "aging", "not_in_service", "unknown_number", "not_answered", "bad_line"];

    fn add(&mut self, part: &[u8]) {
        for byte in part {
            match *byte {
                b'\r' | b'\n' => {
                    let word = Self::WORDS.iter().find(|word| word.as_bytes() == self.last);
                    if let Some(word) = word {
                        *self.counts.entry((*word).to_owned()).or_default() += 1;
                    }
                    self.last.clear();
                }
                byte if byte == self.delimiter => self.last.clear(),
                byte if self.last.len() < 16 => self.last.push(byte),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_their_reason_however_they_arrive() {
        let out =
            b"a,b,onhook_why\n1,9900000,60,charged\n1,,0,aging\r\n\n2,,0,bad_line\r3,9900000,5,charged\n";
        for size in 1..out.len() {
            let mut reasons = Reasons { delimiter: b',', last: Vec::new(), counts: BTreeMap::new() };
            out.chunks(size).for_each(|part| reasons.add(part));
            let counts: Vec<_> = reasons.counts.iter().map(|(why, lines)| (why.as_str(), *lines)).collect();
            assert_eq!(counts, [("aging", 1), ("bad_line", 1), ("charged", 2)], "{size}");
        }
    }
}
