//! `onhook report`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use onhook_core::job::Kind;
use onhook_core::report::ReportKind;
use onhook_core::report::months::Month;
use onhook_core::report::nruf::Level;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

use super::export::save;
use crate::client::{Ask, escaped};
use crate::config::{File, word};
use crate::exit::Exit;
use crate::jobs::ended;
use crate::output::written;
use crate::session::{Changing, Common, Session, text};
use crate::table::Column;
use crate::terminal::{Terminal, Unit, count};

/// What a list of blocks shows.
const BLOCKS: [Column; 12] = [
    ("BLOCK", "/block"),
    ("RATE CENTER", "/rate_center"),
    ("ASSIGNED", "/assigned"),
    ("INTERMEDIATE", "/intermediate"),
    ("RESERVED", "/reserved"),
    ("AGING", "/aging"),
    ("AVAILABLE", "/available"),
    ("PORTED OUT", "/ported_out"),
    ("TAKEN %", "/contamination_percent"),
    ("FOOTPRINT", "/footprint"),
    ("DRAIN", "/drain"),
    ("CANDIDATE", "/candidate"),
];

/// What a list of reports shows.
const REPORTS: [Column; 6] = [
    ("REPORT", "/id"),
    ("PERIOD", "/period"),
    ("STATE", "/state"),
    ("ROWS", "/counts/rows"),
    ("MADE", "/made_at"),
    ("HANDED IN", "/submitted_at"),
];

/// What a list of numbers that are left out shows.
const LEFT_OUT: [Column; 2] = [("NUMBER", "/number"), ("WHY", "/why")];

/// Make the reports that regulators ask for
#[derive(clap::Subcommand)]
pub(crate) enum Report {
    #[command(subcommand)]
    Rnd(Rnd),
    Nruf(Nruf),
    List(List),
    Blocks(Blocks),
}

/// Report a month's disconnects to the Reassigned Numbers Database
#[derive(clap::Subcommand)]
pub(crate) enum Rnd {
    Make(Make),
    Show(Show),
    Files(Files),
    Confirm(Confirm),
}

/// Make a month's report, or find it if it is there. Nothing changes by that
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook report rnd make 2026-11 --company ACME1 --data-dir /var/lib/onhook"
)]
pub(crate) struct Make {
    /// The month on whose 15th it is due
    period: Month,
    /// Who reports: 3 to 10 letters and digits [default: rnd_company of the configuration]
    #[arg(long)]
    company: Option<String>,
    /// The last event that counts, by its position [default: the newest]
    #[arg(long, value_name = "POSITION")]
    as_of: Option<u64>,
    #[command(flatten)]
    common: Common,
}

/// Show a report, and the numbers that it leaves out with the reason of each
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook report rnd show rnd-2026-11-ACME1-9d1c2f3a4b5c \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Show {
    /// The report's id
    report: String,
    #[command(flatten)]
    common: Common,
}

/// Write a report's files, each with its hash, and a summary of the report
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook report rnd files rnd-2026-11-ACME1-9d1c2f3a4b5c --out november \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Files {
    /// The report's id
    report: String,
    /// The folder to write them to. It is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// Say that a report was handed in: what it has is in no later report
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook report rnd confirm rnd-2026-11-ACME1-9d1c2f3a4b5c \\\n    --submitted-at 2026-11-15T09:00:00Z --reason uploaded \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Confirm {
    /// The report's id
    report: String,
    /// When it was handed in
    #[arg(long, value_name = "INSTANT")]
    submitted_at: Timestamp,
    #[command(flatten)]
    changing: Changing,
}

/// Report how numbers were used at an instant (NRUF, FCC Form 502), and write its files
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook report nruf --level code --out nruf --data-dir /var/lib/onhook")]
pub(crate) struct Nruf {
    /// A day, which means its end, or an instant [default: now]
    #[arg(long, value_name = "DAY")]
    as_of: Option<String>,
    /// What a line counts: a block of a thousand numbers, or a code of ten thousand
    #[arg(long, default_value = "block", value_parser = word(Level::ALL, Level::word))]
    level: Level,
    /// The folder to write them to. It is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// List reports, newest first, also those that are being made
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook report list --kind rnd --period 2026-11 --data-dir /var/lib/onhook"
)]
pub(crate) struct List {
    /// Only reports of disconnects, or only those of number use
    #[arg(long, value_parser = word(ReportKind::ALL, ReportKind::word))]
    kind: Option<ReportKind>,
    /// Only reports of disconnects of this month
    #[arg(long, value_name = "MONTH")]
    period: Option<Month>,
    #[command(flatten)]
    common: Common,
}

/// List blocks of a thousand numbers with their use
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook report blocks --candidate true --data-dir /var/lib/onhook")]
pub(crate) struct Blocks {
    /// Only blocks of this area code
    #[arg(long)]
    npa: Option<u16>,
    /// Only blocks in this rate center
    #[arg(long)]
    rate_center: Option<String>,
    /// Only blocks that are to be given back, or only others
    #[arg(long, value_name = "BOOL")]
    candidate: Option<bool>,
    #[command(flatten)]
    common: Common,
}

impl Report {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match self {
            Report::Rnd(Rnd::Make(make)) => make.run(config, terminal).await,
            Report::Rnd(Rnd::Show(show)) => show.run(config, terminal).await,
            Report::Rnd(Rnd::Files(files)) => files.run(config, terminal).await,
            Report::Rnd(Rnd::Confirm(confirm)) => confirm.run(config, terminal).await,
            Report::Nruf(nruf) => nruf.run(config, terminal).await,
            Report::List(list) => list.run(config, terminal).await,
            Report::Blocks(blocks) => blocks.run(config, terminal).await,
        }
    }
}

impl Make {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { period, company, as_of, common } = self;
        let as_of = as_of.map(|position| position.to_string());
        let body = json!({ "period": period.to_string(), "company": company, "as_of": as_of });
        common
            .run(config, terminal, async |session| {
                let made = made(session, "reports/rnd", body).await?;
                session.tell(&made, told)?;
                Ok(Exit::Done)
            })
            .await
    }
}

impl Show {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { report, common } = self;
        let path = format!("reports/{}", escaped(&report));
        common
            .run(config, terminal, async |session| {
                let shown = session.ask(&Ask::get(&path)).await?;
                of_disconnects(&shown)?;
                session.tell(&shown, told)?;
                if shown["state"] != "ready" {
                    return Ok(Exit::Done);
                }
                session.list(&Ask::get(&format!("{path}/left-out")).long(), &LEFT_OUT, None).await
            })
            .await
    }
}

impl Files {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { report, out, common } = self;
        common
            .run(config, terminal, async |session| {
                let report = session.ask(&Ask::get(&format!("reports/{}", escaped(&report)))).await?;
                write(session, &report, &out).await
            })
            .await
    }
}

impl Confirm {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { report, submitted_at, changing } = self;
        let path = format!("reports/{}", escaped(&report));
        changing
            .run(config, terminal, async |session| {
                let made = session.ask(&Ask::get(&path)).await?;
                of_disconnects(&made)?;
                let mut body = session.why();
                body["submitted_at"] = json!(submitted_at.to_string());
                body["sha256"] = files(&made).map(|file| file["sha256"].clone()).collect();
                session.show(&Ask::post(&format!("{path}/confirm"), body), told).await?;
                Ok(Exit::Done)
            })
            .await
    }
}

impl Nruf {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { as_of, level, out, common } = self;
        let body = json!({ "as_of": as_of, "level": level.word() });
        common
            .run(config, terminal, async |session| {
                let made = made(session, "reports/nruf", body).await?;
                write(session, &made, &out).await
            })
            .await
    }
}

impl List {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let ask = Ask::get("reports").with("kind", self.kind).with("period", self.period);
        self.common.run(config, terminal, async |session| session.list(&ask, &REPORTS, None).await).await
    }
}

impl Blocks {
    async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let ask = Ask::get("blocks")
            .with("npa", self.npa)
            .with("rate_center", self.rate_center)
            .with("candidate", self.candidate);
        self.common.run(config, terminal, async |session| session.list(&ask, &BLOCKS, None).await).await
    }
}

/// Asks for a report, and waits until it is made, however long that takes. Without a server this process makes it.
async fn made(session: &mut Session<'_>, path: &str, body: Value) -> anyhow::Result<Value> {
    let making = session.ask(&Ask::post(path, body).with("wait_seconds", Some(0))).await?;
    let path = format!("reports/{}", escaped(&text(&making, "/id")));
    let bar = session.terminal.bar(&Unit::Of("numbers"), Some(0));
    let seen = |making: &Value| {
        bar.set_length(making["progress"]["total"].as_u64().unwrap_or_default());
        bar.set_position(making["progress"]["done"].as_u64().unwrap_or_default());
    };
    let report = ended(session, Kind::Report, &path, seen).await?;
    bar.finish_and_clear();
    anyhow::ensure!(report["state"] == "ready", "the report could not be made: {}", text(&report, "/why"));
    Ok(report)
}

fn files(report: &Value) -> impl Iterator<Item = &Value> {
    report["files"].as_array().into_iter().flatten()
}

/// Checks that a report is one of disconnects.
fn of_disconnects(report: &Value) -> anyhow::Result<()> {
    let id = text(report, "/id");
    anyhow::ensure!(report["kind"] == "rnd", "{id} is a report of number use, not of disconnects");
    Ok(())
}

/// Returns a report in lines.
fn told(report: &Value) -> Vec<String> {
    match report["state"].as_str() {
        Some("making") => return vec![format!("{} is still being made", text(report, "/id"))],
        Some("failed") => {
            return vec![format!("{} could not be made: {}", text(report, "/id"), text(report, "/why"))];
        }
        _ => {}
    }
    let counts = &report["counts"];
    let rows = count(counts["rows"].as_u64().unwrap_or_default(), "row");
    let left_out = count(counts["left_out"].as_u64().unwrap_or_default(), "number");
    let mut lines = vec![format!(
        "{}: {rows}, {left_out} left out, as of {}",
        text(report, "/id"),
        text(report, "/as_of")
    )];
    if report["cutoff_ahead"] == true {
        let cutoff = text(report, "/cutoff");
        lines.push(format!(
            "it may lack what happened through {cutoff}: make it again after that day, as of the newest position"
        ));
    }
    if report["nothing_to_report"] == true {
        lines.push("there is nothing to report: confirm that on the database's website".to_owned());
    }
    lines.extend(files(report).map(|file| format!("{}  {}", text(file, "/sha256"), text(file, "/name"))));
    if let Some(at) = report["submitted_at"].as_str() {
        lines.push(format!("handed in at {at}"));
    }
    lines
}

/// Writes a report's files to a folder, beside each its hash, and the report itself.
async fn write(session: &mut Session<'_>, report: &Value, out: &Path) -> anyhow::Result<Exit> {
    anyhow::ensure!(report["state"] == "ready", "the report is not made yet: show it to see how far it is");
    let id = report["id"].as_str().context("the report has no id")?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for file in files(report) {
        let name = file["name"].as_str().filter(|name| !name.contains(['/', '\\']));
        let name = name.context("a file of the report has no name")?;
        let path = format!("reports/{}/files/{}", escaped(id), escaped(name));
        save(session, &Ask::get(&path), Some(&out.join(name)), (Unit::Of("rows"), file["rows"].as_u64()))
            .await?;
        let hash = format!("{}  {name}\n", text(file, "/sha256"));
        written(session.terminal, &out.join(format!("{name}.sha256")), hash.as_bytes())?;
    }
    written(session.terminal, &out.join(format!("{id}.json")), format!("{report:#}\n").as_bytes())?;
    let all = count(u64::try_from(files(report).count()).unwrap_or_default(), "file");
    if session.is_json() {
        session.terminal.line(&report.to_string())?;
    } else {
        session.terminal.line(&format!("{id}: {all} written to {}", out.display()))?;
    }
    Ok(Exit::Done)
}
