//! `onhook export`.

use onhook_store::contract::numbers::NumberFilter;
use onhook_wire::ops::number_file::{COLUMNS, record};

use crate::config::File;
use crate::exit::Exit;
use crate::target::{Target, now};
use crate::terminal::{Terminal, Unit};

/// Numbers that are read at once.
const PAGE: usize = 10_000;

/// Write all numbers as CSV, in the form that import reads
///
/// A number that is soft-removed is written like any aging one: an import does not know that it was to
/// leave.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook export --data-dir /var/lib/onhook > numbers.csv")]
pub(crate) struct Export {
    #[command(flatten)]
    target: Target,
}

impl Export {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let store = self.target.open(config).await?;
        let bar = if terminal.is_watched() {
            indicatif::ProgressBar::hidden()
        } else {
            let total = store.totals(now()).await?.by_state.iter().map(|(_, numbers)| numbers).sum();
            terminal.bar(&Unit::Of("numbers"), Some(total))
        };
        let mut out = csv::Writer::from_writer(std::io::BufWriter::new(terminal.stream()));
        out.write_record(COLUMNS)?;
        let mut after = None;
        loop {
            let page = store.export(NumberFilter::default(), after, PAGE).await?;
            for (entry, area) in &page.numbers {
                out.write_record(record(entry, area))?;
            }
            bar.inc(u64::try_from(page.numbers.len()).unwrap_or_default());
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        out.flush()?;
        bar.finish_and_clear();
        store.close().await;
        Ok(Exit::Done)
    }
}
