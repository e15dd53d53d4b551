//! `onhook audit`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use onhook_core::audit::chain::{SEALED_MAX, Seal};
use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::audit::verify::{Anchor, Found, Verifier};
use onhook_core::lifecycle::provenance::Doer;
use onhook_store::audit::{Verified, exported, seal_all, verify};
use serde_json::Value;

use crate::config::File;
use crate::exit::Exit;
use crate::target::{Target, WrittenTarget, now};
use crate::terminal::{Terminal, count};

/// Most bytes of a line of an export.
const LINE_MAX: u64 = 16 << 20;

/// Verify, export and anchor the audit trail
#[derive(clap::Subcommand)]
#[command(after_help = "Example:\n  onhook audit verify --data-dir /var/lib/onhook")]
pub(crate) enum Audit {
    /// Prove that no event was changed, removed, moved or added since it was sealed
    ///
    /// Needs no server. Prints a line for each fault: the position of an event, and what happened to it.
    ///
    /// Exit status: 0 nothing is wrong, 1 something is, 2 it could not be verified.
    #[command(after_help = "Example:\n  onhook audit verify --data-dir /var/lib/onhook")]
    Verify {
        #[command(flatten)]
        target: Target,
        /// Verify an export instead; - reads standard input
        #[arg(long, value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["data_dir", "database_url"])]
        file: Option<PathBuf>,
        /// A seal that was noted elsewhere: only by one is it seen that events were cut off at the end
        #[arg(long, value_name = "POSITION:HASH")]
        anchor: Vec<Anchor>,
    },
    /// Show the last seal, to be noted elsewhere
    #[command(after_help = "Example:\n  onhook audit head --data-dir /var/lib/onhook")]
    Head {
        #[command(flatten)]
        target: Target,
    },
    /// Write all sealed events to standard output, as lines of JSON
    #[command(after_help = "Example:\n  onhook audit export --data-dir /var/lib/onhook > events.ndjson")]
    Export {
        #[command(flatten)]
        target: WrittenTarget,
        /// Begin with the seal that reaches behind this position
        #[arg(long, default_value_t = 0, value_name = "POSITION")]
        after: u64,
    },
}

impl Audit {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Self::Verify { file: Some(file), anchor, .. } => {
                let (verified, behind) = of_file(&file, anchor.clone())?;
                tell(terminal, &verified, &anchor, behind)
            }
            Self::Verify { target, anchor, file: None } => {
                let store = target.open(config).await?;
                let verified = verify(&*store, anchor.clone()).await?;
                store.close().await;
                tell(terminal, &verified, &anchor, 0)
            }
            Self::Head { target } => {
                let store = target.open(config).await?;
                let head = store.head().await?;
                store.close().await;
                let head = head.context("nothing has been sealed yet")?;
                terminal.line(&head.shown().to_string())?;
                Ok(Exit::Done)
            }
            Self::Export { target, after } => {
                let store = target.open(config).await?;
                let deed = Deed::by(&Doer::offline(now()), DeedKind::Exported).with("what", "events");
                store.write_deeds(vec![deed.with("after", after.to_string())]).await?;
                seal_all(&*store, now()).await?;
                let end = store.head().await?.map_or(0, |head| head.last);
                let mut at = after;
                while at < end {
                    let Some((text, seal)) = exported(&*store, at).await? else { break };
                    terminal.stream().write_all(text.as_bytes())?;
                    at = seal.last;
                }
                store.close().await;
                Ok(Exit::Done)
            }
        }
    }
}

/// Prints what was found. `behind` is the position behind which an export begins.
fn tell(
    terminal: &mut Terminal,
    verified: &Verified,
    anchors: &[Anchor],
    behind: u64,
) -> anyhow::Result<Exit> {
    let Verified { faults, events, seals, head, unsealed } = verified;
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
    Ok(if faults.is_empty() { Exit::Done } else { Exit::NotWell })
}

/// Verifies an export. Returns what was found, and the position behind which it begins.
fn of_file(path: &Path, anchors: Vec<Anchor>) -> anyhow::Result<(Verified, u64)> {
    let mut reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Box::new(BufReader::new(file))
    };
    let mut verifier: Option<Verifier> = None;
    let mut events: Vec<(u64, Option<Found>)> = Vec::new();
    let mut behind = 0;
    for number in 1_u64.. {
        let mut line = String::new();
        if std::io::Read::take(&mut reader, LINE_MAX).read_line(&mut line)? == 0 {
            break;
        }
        let wrong = || format!("line {number} of the export is neither an event nor a seal");
        let read: Value = serde_json::from_str(&line).with_context(wrong)?;
        if let Some(seal) = read.get("seal") {
            let seal = Seal::read(seal).with_context(wrong)?;
            let verifier = verifier.get_or_insert_with(|| {
                behind = seal.first.saturating_sub(1);
                Verifier::behind(before(&seal), anchors.clone())
            });
            verifier.seal(&seal, &std::mem::take(&mut events));
        } else {
            let event = read.get("event").with_context(wrong)?;
            let key = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
            let kept = key(&read, "digest").and_then(|text| text.parse().ok()).with_context(wrong)?;
            let position = key(event, "position").and_then(|text| text.parse().ok()).with_context(wrong)?;
            events.push((position, Some(Found { kept, shown: Some(event.clone()) })));
            // A seal covers fewer: lines without one are not kept.
            anyhow::ensure!(
                events.len() <= 2 * SEALED_MAX,
                "line {number}: the seal of the events before it is missing"
            );
        }
    }
    let verifier = verifier.unwrap_or_else(|| Verifier::new(anchors));
    let (count, seals, head) = (verifier.events, verifier.seals, verifier.head().copied());
    let unsealed = u64::try_from(events.len()).unwrap_or(u64::MAX);
    let faults = verifier.finish();
    Ok((Verified { faults, events: count, seals, head, unsealed }, behind))
}

/// Returns a seal in the place of the one before an export's first, which names it. `None` if that is the first of all.
fn before(seal: &Seal) -> Option<Seal> {
    let batch = seal.batch.checked_sub(1).filter(|batch| *batch > 0)?;
    Some(Seal { batch, last: seal.first.saturating_sub(1), hash: seal.previous, ..*seal })
}
