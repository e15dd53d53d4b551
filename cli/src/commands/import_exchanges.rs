//! `onhook import-exchanges`.

use std::path::PathBuf;

use onhook_core::import::BadLine;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::{Exchange, ExchangeLine};

use super::csv_file::{self, Columns, CsvFile};
use crate::config::File;
use crate::exit::Exit;
use crate::target::{WrittenTarget, close_sealed, now};
use crate::terminal::{Terminal, count};

/// The columns of the file.
const COLUMNS: [&str; 9] =
    ["npa_nxx", "npa", "nxx", "state", "rate_center", "rate_center_name", "lata", "city", "zip"];

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
        let lines = csv_file::read(&mut file, COLUMNS, enough, line)?;
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

fn enough(columns: &Columns<{ COLUMNS.len() }>) -> anyhow::Result<()> {
    let [npa_nxx, npa, nxx, state, rate_center] = [0, 1, 2, 3, 4].map(|column| columns.has(column));
    anyhow::ensure!(
        npa_nxx != (npa && nxx) && npa == nxx,
        "the first line names the columns: npa_nxx is wanted, or npa and nxx"
    );
    anyhow::ensure!(state, "the first line names the columns, and column state is missing");
    anyhow::ensure!(rate_center, "the first line names the columns, and column rate_center is missing");
    Ok(())
}

fn line<'a>(field: &dyn Fn(usize) -> Option<&'a str>) -> Result<Exchange, BadLine> {
    let parts = format!("{}{}", field(1).unwrap_or_default(), field(2).unwrap_or_default());
    let line = ExchangeLine {
        // LERG-like files also write 919-555.
        npa_nxx: &field(0).map_or(parts, |text| text.replace('-', "")),
        state: field(3).unwrap_or_default(),
        rate_center: field(4).unwrap_or_default(),
        name: field(5),
        lata: field(6),
        city: field(7),
        zips: field(8),
    };
    Exchange::read(&line)
}
