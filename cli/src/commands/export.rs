//! `onhook export`.

use onhook_core::geo::CITY_NAME_MAX;
use onhook_core::ids::{AccountId, PeerId, SiteId};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::name;

use super::import::COLUMNS;
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
            let page = store.export(after, PAGE).await?;
            for (entry, area) in &page {
                out.write_record(record(entry, area))?;
            }
            bar.inc(u64::try_from(page.len()).unwrap_or_default());
            match page.last() {
                Some((entry, _)) => after = Some(entry.number),
                None => break,
            }
        }
        out.flush()?;
        bar.finish_and_clear();
        store.close().await;
        Ok(Exit::Done)
    }
}

/// Makes a name safe for a spreadsheet: a name that an import would refuse gets a quote, so that it is no formula.
fn harmless(name: &str) -> String {
    if name::check(name, CITY_NAME_MAX).is_ok() { name.to_owned() } else { format!("'{name}") }
}

fn record(entry: &Entry, area: &AreaName) -> [String; COLUMNS.len()] {
    let text = |value: Option<u32>| value.map(|id| id.to_string()).unwrap_or_default();
    let flag = |on: bool| if on { "true" } else { "" }.to_owned();
    let holder = entry.standing.holder().map(AccountId::get);
    let aging = entry.state() == State::Aging;
    let place = entry.standing.place();
    [
        entry.number.ten_digits().unwrap_or_else(|| entry.number.to_string()),
        entry.state().word().to_owned(),
        text(holder.filter(|_| !aging)),
        text(place.map(|p| SiteId::get(p.site))),
        text(place.and_then(|p| p.peer).map(PeerId::get)),
        area.rate_center().map(harmless).unwrap_or_default(),
        area.region().unwrap_or_default().to_owned(),
        flag(entry.protected),
        flag(entry.ported_in),
        text(holder.filter(|_| aging)),
        entry.standing.ends_at().map(|at| at.to_string()).unwrap_or_default(),
    ]
}
