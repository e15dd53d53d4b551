//! `onhook import`.

use std::path::PathBuf;

use onhook_core::import::Intake;
use onhook_wire::ops::number_file;

use super::csv_file::{self, CsvFile};
use crate::config::File;
use crate::exit::Exit;
use crate::target::{WrittenTarget, close_sealed, now, policy};
use crate::terminal::{Terminal, count};

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
        let lines = number_file::read(file.input())?;
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
