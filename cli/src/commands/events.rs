//! `onhook events` and `onhook changed-hands`.

use onhook_core::ids::{AccountId, OrderId};
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use serde_json::Value;

use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Common, text};
use crate::table::Column;
use crate::terminal::Terminal;

/// Events that are asked for at once.
const PAGE: u16 = 1_000;
/// How many seconds the server waits for an event before it answers that there is none.
const WAIT_S: u16 = 30;
/// What a list of events shows.
const COLUMNS: [Column; 8] = [
    ("POSITION", "/position"),
    ("AT", "/at"),
    ("KIND", "/kind"),
    ("NUMBER", "/number"),
    ("ACCOUNT", "/account"),
    ("BY", "/by/user"),
    ("ORDER", "/order"),
    ("REASON", "/reason"),
];

/// List what happened, in the order of its positions
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook events --kind disconnected --data-dir /var/lib/onhook")]
pub(crate) struct Events {
    /// Only events after this position
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Go on as events happen, until it is stopped
    #[arg(long)]
    follow: bool,
    /// Only events of this kind, such as disconnected
    #[arg(long, value_hint = clap::ValueHint::Other)]
    kind: Option<String>,
    /// Only events of this number
    #[arg(long)]
    number: Option<Number>,
    /// Only events of this account
    #[arg(long)]
    account: Option<AccountId>,
    /// Only events of this order
    #[arg(long, value_name = "ID")]
    order: Option<OrderId>,
    /// Only events under this plan
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
    /// Only events at this instant or later
    #[arg(long, value_name = "INSTANT")]
    from: Option<Timestamp>,
    /// Only events before this instant
    #[arg(long, value_name = "INSTANT")]
    until: Option<Timestamp>,
    #[command(flatten)]
    common: Common,
}

impl Events {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { mut after, follow, kind, number, account, order, plan, from, until, common } = self;
        let ask = Ask::get("events")
            .with("kind", kind)
            .with("number", number)
            .with("account", account)
            .with("order", order)
            .with("plan", plan)
            .with("from", from)
            .with("until", until)
            .with("limit", Some(PAGE))
            .with("wait_seconds", follow.then_some(WAIT_S));
        common
            .run(config, terminal, async |session| {
                anyhow::ensure!(
                    !(follow && session.is_offline()),
                    "no server has the data, so nothing happens: leave --follow out"
                );
                let mut first = true;
                loop {
                    let page = session.ask(&ask.clone().with("after", after)).await?;
                    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
                    session.items(&COLUMNS, items, first)?;
                    first &= items.is_empty();
                    let last = items.last().and_then(|item| item["position"].as_str());
                    after = last.and_then(|position| position.parse().ok()).or(after);
                    if page["next"].is_null() && !follow {
                        return Ok(Exit::Done);
                    }
                }
            })
            .await
    }
}

/// Say whether a number has another user than it had at an instant: yes, no or no_data
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook changed-hands 5405514342 --since 2026-01-01T00:00:00Z \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct ChangedHands {
    /// The number: ten digits, or + and E.164
    number: Number,
    /// The instant
    #[arg(long, value_name = "INSTANT")]
    since: Timestamp,
    #[command(flatten)]
    common: Common,
}

impl ChangedHands {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let path = format!("numbers/{}/changed-hands", escaped(&self.number.to_string()));
        let ask = Ask::get(&path).with("since", Some(self.since));
        let lines = |told: &Value| vec![text(told, "/answer")];
        let shown = async |session: &mut crate::session::Session<'_>| {
            session.show(&ask, lines).await.map(|_| Exit::Done)
        };
        self.common.run(config, terminal, shown).await
    }
}
