//! `onhook explain`.

use onhook_core::lifecycle::entry::Standing;
use onhook_core::lifecycle::event::{By, Event};
use onhook_core::lifecycle::explain;
use onhook_core::number::Number;
use onhook_store::contract::numbers::{Facts, NumberHistory};
use serde_json::json;

use crate::config::File;
use crate::exit::Exit;
use crate::target::Target;
use crate::terminal::Terminal;

/// Say where a number is, why, since when and until when
///
/// Exit status: 0 found, 1 not in this store, 2 it could not be read.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook explain 5405514342 --data-dir /var/lib/onhook")]
pub(crate) struct Explain {
    /// The number: ten digits, or + and E.164
    number: Number,
    #[command(flatten)]
    target: Target,
    /// Answer with one JSON document
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let store = self.target.open(config).await?;
        let facts = store.facts(self.number).await?;
        let told = store.history(self.number).await?;
        store.close().await;
        let (Some(facts), Some(told)) = (facts, told) else {
            terminal.remark(&format!("{} is not in this store", self.number));
            return Ok(Exit::NotWell);
        };
        if self.json {
            terminal.line(&as_json(&facts, &told).to_string())?;
        } else {
            terminal.line(&sentence(&facts))?;
            terminal.line(&format!("  {}  imported", facts.imported_at))?;
            for event in &told.history.events {
                terminal.line(&format!(
                    "  {}  {} (by {})",
                    event.at,
                    explain::what(&event.change),
                    by(&told, event)
                ))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Returns where a number is and why, in one sentence.
pub(super) fn sentence(facts: &Facts) -> String {
    explain::sentence(&facts.entry, facts.since, facts.hold.as_ref())
}

/// Returns who made an event.
fn by(told: &NumberHistory, event: &Event) -> String {
    let order = match &event.by {
        By::Order(seq) => told.orders.get(seq).map(|order| order.id),
        _ => None,
    };
    explain::by(&event.by, order)
}

fn as_json(facts: &Facts, told: &NumberHistory) -> serde_json::Value {
    let events: Vec<_> = told
        .history
        .events
        .iter()
        .map(|e| json!({ "at": e.at.to_string(), "by": by(told, e), "what": explain::what(&e.change) }))
        .collect();
    let hold = facts.hold.as_ref().map(|hold| {
        let mut shown = json!(hold);
        shown["release_at"] = json!(hold.release_at.to_string());
        shown
    });
    json!({
        "number": facts.entry.number.to_string(),
        "state": facts.entry.state().word(),
        "since": facts.since.to_string(),
        "account": facts.entry.standing.holder(),
        "reconnectable_until": match facts.entry.standing {
            Standing::Aging { release_at, .. } => Some(release_at.to_string()),
            _ => None,
        },
        "hold": hold,
        "sentence": sentence(facts),
        "imported_at": facts.imported_at.to_string(),
        "events": events,
    })
}
