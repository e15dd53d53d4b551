//! `onhook import-exchanges`.

use std::path::PathBuf;

use onhook_wire::ops::exchange_file;
use serde_json::Value;

use super::file_import::FileImport;
use crate::config::File;
use crate::exit::Exit;
use crate::session::Changing;
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
#[command(
    after_help = "Example:\n  onhook import-exchanges exchanges.csv --reason \"this month's\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct ImportExchanges {
    /// The file; - reads standard input
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    changing: Changing,
}

impl ImportExchanges {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let import = FileImport {
            path: self.file,
            kind: "exchanges",
            flags: self.dry_run.then_some("dry_run").into_iter().collect(),
            head: |file| exchange_file::read(file).map(drop),
        };
        let taken = if self.dry_run { "good" } else { "written" };
        let told = |import: &Value| {
            format!("{} imported", count(import[taken].as_u64().unwrap_or_default(), "exchange"))
        };
        import.run(self.changing, config, terminal, told).await
    }
}
