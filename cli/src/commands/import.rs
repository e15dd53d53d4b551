//! `onhook import`.

use std::path::PathBuf;

use onhook_wire::ops::number_file;
use serde_json::Value;

use super::file_import::FileImport;
use crate::config::File;
use crate::exit::Exit;
use crate::session::Changing;
use crate::terminal::{Terminal, count};

/// Take numbers in from a CSV file
///
/// The first line names the columns: number, state, account, site, peer, rate_center, region, protected,
/// ported_in, former_account, release_at. Only number is required; a number without a state is Available.
/// Numbers may be written as people write them, such as (540) 555-0102. A number that has left this system is
/// taken back, with its history. One bad line leaves everything as it was, unless --partial is given; bad
/// lines are counted by what is wrong with them, and the first of each kind are named.
///
/// A server takes them in while orders go on. If it or this command ends in the middle, nothing is written, or
/// the server goes on when it is there again: run the command again to wait for it.
///
/// Exit status: 0 all lines are in, 1 some were bad, 2 it could not be done.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook import numbers.csv --reason \"our first block\" \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct Import {
    /// The file; - reads standard input
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// Take the good lines in even when there are bad ones
    #[arg(long)]
    partial: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Take aging numbers though their release_at is past; they are released when the server starts
    #[arg(long)]
    past_releases: bool,
    #[command(flatten)]
    changing: Changing,
}

impl Import {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let flags =
            [("partial", self.partial), ("dry_run", self.dry_run), ("past_releases", self.past_releases)];
        let import = FileImport {
            path: self.file,
            kind: "numbers",
            flags: flags.into_iter().filter_map(|(name, given)| given.then_some(name)).collect(),
            head: |file| number_file::read(file).map(drop),
        };
        let dry = self.dry_run;
        let told = |import: &Value| {
            let number = |key: &str| import[key].as_u64().unwrap_or_default();
            let restored = number("restored");
            let taken = number(if dry { "good" } else { "written" }).saturating_sub(restored);
            let back = match restored {
                0 => String::new(),
                restored => format!("{} taken back, ", count(restored, "number")),
            };
            format!("{} imported, {back}{} refused", count(taken, "number"), count(number("bad"), "line"))
        };
        import.run(self.changing, config, terminal, told).await
    }
}
