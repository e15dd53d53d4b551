//! `onhook deliveries`.

use onhook_core::ids::{AccountId, OrderId};
use serde_json::Value;

use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Changing, Common, text};
use crate::table::Column;
use crate::terminal::Terminal;

/// What a list of deliveries shows.
const COLUMNS: [Column; 8] = [
    ("DELIVERY", "/id"),
    ("ACCOUNT", "/account"),
    ("ABOUT", "/about"),
    ("ORDER", "/order"),
    ("STATE", "/state"),
    ("RECEIVER", "/receiver"),
    ("NEXT", "/next_attempt_at"),
    ("WHY", "/reason"),
];
/// What a list of attempts shows.
const ATTEMPTS: [Column; 3] = [("AT", "/at"), ("MS", "/took_ms"), ("OUTCOME", "/outcome")];

/// List what subscribers are told, the newest first; show it, or tell it again
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Example:\n  onhook deliveries --state GIVEN_UP --data-dir /var/lib/onhook")]
pub(crate) struct Deliveries {
    #[command(subcommand)]
    act: Option<Act>,
    /// Only those of this account's subscriptions
    #[arg(long)]
    account: Option<AccountId>,
    /// Only those in this state
    #[arg(long, value_parser = ["WAITING", "DELIVERED", "GIVEN_UP"])]
    state: Option<String>,
    /// Only those about this order
    #[arg(long, value_name = "ID")]
    order: Option<OrderId>,
    /// Only those about this
    #[arg(long, value_parser = ["status", "note"])]
    about: Option<String>,
    /// Only those to a URL that begins so, or to this mailbox
    #[arg(long, value_name = "TEXT", value_hint = clap::ValueHint::Other)]
    receiver: Option<String>,
    /// Show at most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
pub(crate) enum Act {
    /// Show a delivery with its attempts, and what is told
    #[command(after_help = "Example:\n  onhook deliveries show 1 --data-dir /var/lib/onhook")]
    Show {
        /// The delivery's id
        delivery: String,
        #[command(flatten)]
        common: Common,
    },
    /// Tell it again, under the same message id: a receiver that has seen it passes over it
    ///
    /// What still waits is due at once.
    #[command(
        after_help = "Example:\n  onhook deliveries replay 1 --reason \"the receiver was down\" \\\n    --data-dir /var/lib/onhook"
    )]
    Replay {
        /// The delivery's id
        delivery: String,
        #[command(flatten)]
        changing: Changing,
    },
}

impl Deliveries {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { act, account, state, order, about, receiver, limit, common } = self;
        match act {
            None => {
                let ask = Ask::get("deliveries").with("account", account).with("state", state);
                let ask = ask.with("order", order).with("about", about).with("receiver", receiver);
                common.run(config, terminal, async |session| session.list(&ask, &COLUMNS, limit).await).await
            }
            Some(Act::Show { delivery, common }) => {
                let ask = Ask::get(&format!("deliveries/{}", escaped(&delivery)));
                common
                    .run(config, terminal, async |session| {
                        let shown = session.show(&ask, lines).await?;
                        if !session.is_json() {
                            let attempts = shown["attempts"].as_array().map_or(&[][..], Vec::as_slice);
                            session.items(&ATTEMPTS, attempts, true)?;
                        }
                        Ok(Exit::Done)
                    })
                    .await
            }
            Some(Act::Replay { delivery, changing }) => {
                changing
                    .run(config, terminal, async |session| {
                        let ask =
                            Ask::post(&format!("deliveries/{}/replay", escaped(&delivery)), session.why());
                        let told = |made: &Value| vec![format!("delivery {} is due now", text(made, "/id"))];
                        session.show(&ask, told).await?;
                        Ok(Exit::Done)
                    })
                    .await
            }
        }
    }
}

/// Returns a delivery in a few lines.
fn lines(delivery: &Value) -> Vec<String> {
    let of = |at: &str| text(delivery, at);
    vec![
        format!("delivery {}: {} of order {}, to {}", of("/id"), of("/about"), of("/order"), of("/receiver")),
        format!("  {}, why: {}, next attempt: {}", of("/state"), of("/reason"), of("/next_attempt_at")),
        format!("  {}", of("/body")),
    ]
}
