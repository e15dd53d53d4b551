//! `onhook explain`.

use onhook_core::lifecycle::diagram::Home;
use onhook_core::lifecycle::entry::Standing;
use onhook_core::lifecycle::event::{By, Change, Event};
use onhook_core::number::Number;
use onhook_store::{Facts, History, Store};
use serde_json::json;

use super::DataDir;
use crate::Exit;
use crate::config::File;
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
    data_dir: DataDir,
    /// Answer with one JSON document
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let store = self.data_dir.open(config)?;
        let facts = store.facts(self.number).await?;
        let history = store.history(self.number).await?;
        store.close().await;
        let (Some(facts), Some(history)) = (facts, history) else {
            terminal.remark(&format!("{} is not in this store", self.number));
            return Ok(Exit::NotWell);
        };
        if self.json {
            terminal.line(&as_json(&facts, &history).to_string())?;
        } else {
            terminal.line(&sentence(&facts))?;
            terminal.line(&format!("  {}  imported", facts.imported_at))?;
            for event in &history.events {
                terminal.line(&format!("  {}  {} (by {})", event.at, what(event), by(&history, event)))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Where a number is and why, in one sentence.
pub(super) fn sentence(facts: &Facts) -> String {
    let Facts { entry, since, .. } = facts;
    let number = entry.number;
    match &entry.standing {
        Standing::Available => format!("{number} is in the pool since {since}: anyone may take it."),
        Standing::Reserved { account, until } => {
            format!("{number} is reserved for account {account} since {since}, until {until}.")
        }
        Standing::InService { place } => {
            format!(
                "{number} is in service on account {}, site {}, since {since}.",
                place.account, place.site
            )
        }
        Standing::Aging { former, release_at, .. } => {
            let then = match entry.home() {
                Home::Pool => "then it goes to the pool",
                Home::Owner => "then it goes to its owner's own inventory",
                Home::Away => "then it leaves this system",
            };
            let why = match &facts.hold {
                Some(hold) => format!("It is held {}.", hold.sentence()),
                None => "It came aging with an import.".to_owned(),
            };
            format!(
                "{number} is aging since {since}: account {} may reconnect it until {release_at}, {then}. {why}",
                former.account
            )
        }
        Standing::Protected { account } => {
            format!("{number} is in the own inventory of account {account} since {since}.")
        }
        Standing::Administrative => format!("{number} is kept by the operator since {since}."),
        Standing::Removed => format!("{number} has left this system at {since}."),
    }
}

/// Who made an event: an order by its id, a user by name, or time.
fn by(history: &History, event: &Event) -> String {
    match &event.by {
        By::Order(seq) => match history.orders.get(seq) {
            Some(order) => format!("order {}", order.id),
            None => "an order".into(),
        },
        By::User(name) => format!("user {name}"),
        By::Time => "time".into(),
        By::Import => "an import".into(),
    }
}

fn what(event: &Event) -> String {
    match &event.change {
        Change::Reserved { account, until } => format!("reserved for account {account} until {until}"),
        Change::Unreserved => "its reservation ended".into(),
        Change::Activated { place, .. } => {
            format!("activated on account {}, site {}", place.account, place.site)
        }
        Change::Disconnected { hold, .. } => format!("disconnected; held {}", hold.sentence()),
        Change::Reconnected { place, .. } => {
            format!("reconnected on account {}, site {}", place.account, place.site)
        }
        Change::Released { home } => match home {
            Home::Pool => "released to the pool".into(),
            Home::Owner => "released to its owner's own inventory".into(),
            Home::Away => "released from this system".into(),
        },
        Change::Purged { .. } => "purged".into(),
        Change::Extended { release_at, reason } => format!("hold extended until {release_at}: {reason}"),
        Change::Locked { reason } => format!("locked: {reason}"),
        Change::Unlocked { reason } => format!("unlocked: {reason}"),
        Change::Moved { place } => match place.peer {
            Some(peer) => format!("moved to site {}, peer {peer}", place.site),
            None => format!("moved to site {}", place.site),
        },
        Change::Restored { standing, .. } => match standing.place() {
            Some(place) => {
                format!(
                    "taken back as {} of account {}, site {}",
                    standing.state(),
                    place.account,
                    place.site
                )
            }
            None => format!("taken back as {}", standing.state()),
        },
    }
}

fn as_json(facts: &Facts, history: &History) -> serde_json::Value {
    let events: Vec<_> = history
        .events
        .iter()
        .map(|e| json!({ "at": e.at.to_string(), "by": by(history, e), "what": what(e) }))
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
