//! `onhook import-exchanges`.

use std::path::PathBuf;

use onhook_core::lifecycle::provenance::Doer;
use onhook_wire::ops::exchange_file;

use super::csv_file::{self, CsvFile};
use crate::config::File;
use crate::exit::Exit;
use crate::target::{WrittenTarget, close_sealed, now};
use crate::terminal::{Terminal, count};

/// Take in what exchanges are known for, from a CSV file
///
/// The first line names the columns: npa_nxx, or npa and nxx; state, rate_center; and where you have them
/// rate_center_name, lata, city, zip (several codes, parted by spaces). An exchange that is in the store
/// gives way to the file's. One bad line leaves everything as it was; bad lines are counted by what
/// is wrong with them, and the first of each kind are named.
///
/// Exit status: 0 all lines are in, 1 some were bad, 2 it could not be done.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook import-exchanges exchanges.csv --data-dir /var/lib/onhook")]
pub(crate) struct ImportExchanges {
    /// The file; - reads standard input
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    target: WrittenTarget,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl ImportExchanges {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let mut file = CsvFile::open(&self.file, terminal)?;
        let lines = exchange_file::read(file.input())?;
        let (store, _empty) = self.target.open_for_import(config, self.dry_run).await?;
        let done = store.import_exchanges(lines, self.dry_run, Doer::offline(now())).await;
        if self.dry_run {
            store.close().await;
        } else {
            close_sealed(&*store).await;
        }
        file.bar.finish_and_clear();
        csv_file::tell(terminal, done, self.dry_run, |imported| {
            format!("{} imported", count(imported.numbers, "exchange"))
        })
    }
}
