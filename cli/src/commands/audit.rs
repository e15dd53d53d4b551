//! `onhook audit`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use futures_util::StreamExt;
use onhook_core::audit::chain::{SEALED_MAX, Seal};
use onhook_core::audit::verify::{Anchor, Found, Verifier};
use onhook_store::audit::{Verified, verify};
use serde_json::{Value, json};

use super::export::save;
use crate::client::Ask;
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Common, Recorded, Session, text};
use crate::terminal::{Terminal, Unit, count};

/// Most bytes of a line of an export.
const LINE_MAX: usize = 16 << 20;

/// Verify, export and anchor the audit trail
#[derive(clap::Subcommand)]
#[command(after_help = "Example:\n  onhook audit verify --data-dir /var/lib/onhook")]
pub(crate) enum Audit {
    /// Prove that no event was changed, removed, moved or added since it was sealed
    ///
    /// A server that has the data is asked for all of it; without one the command reads it itself, and a file
    /// needs none. Prints a line for each fault: the position of an event, and what happened to it.
    ///
    /// Exit status: 0 nothing is wrong, 1 something is, 2 it could not be verified.
    #[command(after_help = "Example:\n  onhook audit verify --data-dir /var/lib/onhook")]
    Verify {
        /// Verify an export instead; - reads standard input
        #[arg(long, value_hint = clap::ValueHint::FilePath,
            conflicts_with_all = ["server", "socket", "data_dir", "database_url"])]
        file: Option<PathBuf>,
        /// A seal that was noted elsewhere: only by one is it seen that events were cut off at the end
        #[arg(long, value_name = "POSITION:HASH")]
        anchor: Vec<Anchor>,
        #[command(flatten)]
        common: Common,
    },
    /// Show the last seal, to be noted elsewhere
    #[command(after_help = "Example:\n  onhook audit head --data-dir /var/lib/onhook")]
    Head {
        #[command(flatten)]
        common: Common,
    },
    /// Write all sealed events as lines of JSON
    #[command(after_help = "Example:\n  onhook audit export --out events.ndjson --data-dir /var/lib/onhook")]
    Export {
        /// The file to write, which gets its name when it is whole [default: standard output]
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Begin with the seal that reaches behind this position
        #[arg(long, default_value_t = 0, value_name = "POSITION")]
        after: u64,
        #[command(flatten)]
        recorded: Recorded,
    },
}

impl Audit {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Verify { file: Some(file), anchor, common } => {
                let (verified, behind) = of_file(&file, anchor.clone())?;
                tell(terminal, common.is_json(), &verified, (&anchor, behind))
            }
            Self::Verify { common, anchor, file: None } => {
                let verified = async |session: &mut Session<'_>| {
                    let verified = match session.store() {
                        Some(store) => verify(&*store, anchor.clone()).await?,
                        None => of_server(session, anchor.clone()).await?,
                    };
                    let json = session.is_json();
                    tell(session.terminal, json, &verified, (&anchor, 0))
                };
                common.run(config, terminal, verified).await
            }
            Self::Head { common } => {
                let shown = async |session: &mut Session<'_>| {
                    let lines = |head: &Value| vec![head.to_string()];
                    session.show(&Ask::get("audit/head"), lines).await.map(|_| Exit::Done)
                };
                common.run(config, terminal, shown).await
            }
            Self::Export { out, after, recorded } => {
                let exported = async |session: &mut Session<'_>| {
                    let total = session.ask(&Ask::get("audit/head")).await.ok();
                    let total = total.and_then(|head| text(&head, "/last").parse::<u64>().ok());
                    let total = total.map(|last| last.saturating_sub(after));
                    let ask = Ask::get("audit/export").with("after", Some(after));
                    save(session, &ask, out.as_deref(), (Unit::Of("events and seals"), total)).await?;
                    Ok(Exit::Done)
                };
                recorded.run(config, terminal, exported).await
            }
        }
    }
}

/// Prints what was found. `behind` is the position behind which an export begins.
fn tell(
    terminal: &mut Terminal,
    json: bool,
    verified: &Verified,
    (anchors, behind): (&[Anchor], u64),
) -> anyhow::Result<Exit> {
    let Verified { faults, events, seals, head, unsealed } = verified;
    let exit = if faults.is_empty() { Exit::Done } else { Exit::NotWell };
    if json {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let head = head.map(|head| head.shown());
        let told = json!({
            "behind": behind.to_string(), "events": events, "seals": seals, "unsealed": unsealed,
            "anchors": anchors.len(), "faults": faults, "head": head,
        });
        terminal.line(&told.to_string())?;
        return Ok(exit);
    }
    for fault in faults {
        terminal.line(&fault.to_string())?;
    }
    if behind > 0 {
        terminal
            .line(&format!("the export begins behind position {behind}: what is before was not looked at"))?;
    }
    if *unsealed > 0 {
        terminal.line(&format!("not sealed yet: {}", count(*unsealed, "event")))?;
    }
    if anchors.is_empty() {
        terminal.line("without --anchor it is not seen whether events were cut off at the end")?;
    }
    let found = if faults.is_empty() {
        "nothing is wrong".to_owned()
    } else {
        count(u64::try_from(faults.len()).unwrap_or(u64::MAX), "fault")
    };
    let head = head.map_or_else(String::new, |head| format!(", head {}", head.hash));
    terminal.line(&format!("{} in {}: {found}{head}", count(*events, "event"), count(*seals, "seal")))?;
    Ok(exit)
}

/// Verifies an export. Returns what was found, and the position behind which it begins.
fn of_file(path: &Path, anchors: Vec<Anchor>) -> anyhow::Result<(Verified, u64)> {
    let mut reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Box::new(BufReader::new(file))
    };
    let mut lines = Lines::new(anchors);
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            break;
        }
        lines.read(part)?;
        let length = part.len();
        reader.consume(length);
    }
    lines.end()
}

/// Verifies what a server exports.
async fn of_server(session: &mut Session<'_>, anchors: Vec<Anchor>) -> anyhow::Result<Verified> {
    let (_, mut parts) = session.stream(&Ask::get("audit/export"), None).await?;
    let mut lines = Lines::new(anchors);
    let bar = session.terminal.bar(&Unit::Of("events and seals"), None);
    while let Some(part) = parts.next().await {
        lines.read(&part?)?;
        bar.set_position(lines.number);
    }
    bar.finish_and_clear();
    lines.end().map(|(verified, _)| verified)
}

/// The lines of an export, as they are read.
struct Lines {
    anchors: Vec<Anchor>,
    verifier: Option<Verifier>,
    /// Those behind the last seal.
    events: Vec<(u64, Option<Found>)>,
    /// The position behind which the export begins.
    behind: u64,
    /// How many lines were read.
    number: u64,
    /// A line of which only the beginning is there.
    begun: Vec<u8>,
}

impl Lines {
    fn new(anchors: Vec<Anchor>) -> Self {
        Self { anchors, verifier: None, events: Vec::new(), behind: 0, number: 0, begun: Vec::new() }
    }

    /// Reads the next bytes.
    fn read(&mut self, part: &[u8]) -> anyhow::Result<()> {
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            anyhow::ensure!(
                self.begun.len() <= LINE_MAX,
                "line {} of the export is too long",
                self.number + 1
            );
            if self.begun.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                self.line(&line)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.number += 1;
        let number = self.number;
        let wrong = || format!("line {number} of the export is neither an event nor a seal");
        let read: Value = serde_json::from_slice(line).with_context(wrong)?;
        if let Some(seal) = read.get("seal") {
            let seal = Seal::read(seal).with_context(wrong)?;
            let verifier = self.verifier.get_or_insert_with(|| {
                self.behind = seal.first.saturating_sub(1);
                Verifier::behind(before(&seal), self.anchors.clone())
            });
            verifier.seal(&seal, &std::mem::take(&mut self.events));
            return Ok(());
        }
        let event = read.get("event").with_context(wrong)?;
        let key = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
        let kept = key(&read, "digest").and_then(|text| text.parse().ok()).with_context(wrong)?;
        let position = key(event, "position").and_then(|text| text.parse().ok()).with_context(wrong)?;
        self.events.push((position, Some(Found { kept, shown: Some(event.clone()) })));
        // A seal covers fewer: lines without one are not kept.
        anyhow::ensure!(
            self.events.len() <= 2 * SEALED_MAX,
            "line {number}: the seal of the events before it is missing"
        );
        Ok(())
    }

    /// Returns what was found, and the position behind which the export begins.
    fn end(mut self) -> anyhow::Result<(Verified, u64)> {
        let last = std::mem::take(&mut self.begun);
        if !last.is_empty() {
            self.line(&last)?;
        }
        let verifier = self.verifier.unwrap_or_else(|| Verifier::new(self.anchors));
        let (count, seals, head) = (verifier.events, verifier.seals, verifier.head().copied());
        let unsealed = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        let faults = verifier.finish();
        Ok((Verified { faults, events: count, seals, head, unsealed }, self.behind))
    }
}

/// Returns a seal in the place of the one before an export's first, which names it. `None` if that is the first of all.
fn before(seal: &Seal) -> Option<Seal> {
    let batch = seal.batch.checked_sub(1).filter(|batch| *batch > 0)?;
    Some(Seal { batch, last: seal.first.saturating_sub(1), hash: seal.previous, ..*seal })
}
