//! `onhook import`.

use std::path::PathBuf;

use onhook_core::import::{self, BadLine, Intake, NewNumber};
use onhook_core::lifecycle::diagram::State;
use onhook_core::locality;

use super::csv_file::{self, Columns, CsvFile};
use crate::config::File;
use crate::exit::Exit;
use crate::target::{WrittenTarget, close_sealed, now, policy};
use crate::terminal::{Terminal, count};

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
/// Numbers may be written as people write them, such as (540) 555-0102. A number that has left this system is
/// taken back, with its history. One bad line leaves everything as it was, unless --partial is given; bad
/// lines are counted by what is wrong with them, and the first of each kind are named.
///
/// Exit status: 0 all lines are in, 1 some were bad, 2 it could not be done.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook import numbers.csv --data-dir /var/lib/onhook")]
pub(crate) struct Import {
    /// The file; - reads standard input
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    target: WrittenTarget,
    /// Take the good lines in even when there are bad ones
    #[arg(long)]
    partial: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Take aging numbers though their release_at is past; they are released when the server starts
    #[arg(long)]
    past_releases: bool,
}

impl Import {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { partial, dry_run, past_releases, .. } = self;
        let source = self.file.display().to_string();
        let mut file = CsvFile::open(&self.file, terminal)?;
        let lines = csv_file::read(&mut file, COLUMNS, enough, line)?;
        let policy = policy(config)?;
        let (store, _empty) = self.target.open_for_import(config, dry_run).await?;
        let intake = Intake { partial, past_releases, dry_run, ..Intake::of(source) };
        let done = store.import(lines, intake, now(), policy).await;
        if dry_run {
            store.close().await;
        } else {
            close_sealed(&*store).await;
        }
        file.bar.finish_and_clear();
        csv_file::tell(terminal, done, dry_run, |imported| {
            let back = match imported.restored {
                0 => String::new(),
                restored => format!("{} taken back, ", count(restored, "number")),
            };
            let (numbers, lines) = (count(imported.numbers, "number"), count(imported.bad.count(), "line"));
            format!("{numbers} imported, {back}{lines} refused")
        })
    }
}

fn enough(columns: &Columns<{ COLUMNS.len() }>) -> anyhow::Result<()> {
    anyhow::ensure!(columns.has(0), "the first line names the columns, and column number is missing");
    Ok(())
}

fn line<'a>(field: &dyn Fn(usize) -> Option<&'a str>) -> Result<NewNumber, BadLine> {
    fn read<'a, T, E: std::fmt::Display>(
        field: &dyn Fn(usize) -> Option<&'a str>,
        column: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, BadLine> {
        let Some(text) = field(column) else { return Ok(None) };
        parse(text).map(Some).map_err(|why| BadLine::field(COLUMNS[column], text, why))
    }
    let flag = |text: &str| match text.to_ascii_lowercase().as_str() {
        "false" | "0" | "no" => Ok(false),
        "true" | "1" | "yes" => Ok(true),
        _ => Err("it is true or false"),
    };
    let rate_center = read(field, 5, locality::city_or_rate_center)?;
    let region = read(field, 6, |text| {
        let fits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
        if fits { Ok(text.to_owned()) } else { Err("it has two letters") }
    })?;
    if let (Some(rate_center), None) = (&rate_center, &region) {
        // Names of rate centers repeat from state to state, so a name without a state would not be stored.
        return Err(BadLine::field(COLUMNS[5], rate_center, "it needs region"));
    }
    Ok(NewNumber {
        number: read(field, 0, import::number)?
            .ok_or_else(|| BadLine::Form("there is no number".to_owned()))?,
        state: read(field, 1, import::state)?.unwrap_or(State::Available),
        account: read(field, 2, str::parse)?,
        site: read(field, 3, str::parse)?,
        peer: read(field, 4, str::parse)?,
        rate_center,
        region,
        protected: read(field, 7, flag)?.unwrap_or_default(),
        ported_in: read(field, 8, flag)?.unwrap_or_default(),
        former_account: read(field, 9, str::parse)?,
        release_at: read(field, 10, |text| {
            text.parse().map_err(|_| "it is an instant such as 2027-02-23T00:00:00Z")
        })?,
    })
}
