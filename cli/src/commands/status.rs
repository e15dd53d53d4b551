//! `onhook status`.

use std::time::Duration;

use onhook_core::ids::OrderId;
use onhook_core::order::Status;
use serde_json::{Value, json};

use crate::client::Ask;
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Common, Session, text};
use crate::table::Column;
use crate::terminal::{Terminal, count};

/// How long to wait between looks at first. Each wait is longer than the one before it, up to the most.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(2);
/// Outcomes that are asked for at once.
const PAGE: u16 = 1_000;
/// What became of each number.
const COLUMNS: [Column; 4] =
    [("NUMBER", "/number"), ("OUTCOME", "/outcome"), ("CODE", "/code"), ("WHY", "/detail")];

/// Show an order, and what became of each of its numbers
///
/// Exit status: 0 it is COMPLETE, or waits; 1 it is PARTIAL or FAILED, or there is no such order; 2 it could
/// not be read.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook status 744f1d16-d3a5-43b3-ab97-4c3b19fc0b7a --wait \\\n    --data-dir /var/lib/onhook"
)]
pub(crate) struct StatusOf {
    /// The order's id
    order: OrderId,
    /// Wait until it has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    common: Common,
}

impl StatusOf {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { order, wait, common } = self;
        common.run(config, terminal, async |session| show(session, order, wait).await).await
    }
}

async fn show(session: &mut Session<'_>, order: OrderId, wait: bool) -> anyhow::Result<Exit> {
    let ask = Ask::get(&format!("orders/{order}"));
    let first = |ask: &Ask| ask.clone().with("limit", Some(PAGE));
    let mut look = FIRST_LOOK;
    let mut page = session.ask(&first(&ask)).await?;
    while wait && !has_ended(&page) {
        anyhow::ensure!(
            !session.is_offline(),
            "order {order} waits for a server: none has the data, and none runs orders"
        );
        tokio::time::sleep(look).await;
        look = (look * 2).min(LOOK_MAX);
        page = session.ask(&first(&ask)).await?;
    }
    let mut outcomes: Vec<Value> = items(&page);
    while let Some(next) = page["next"].as_str().map(str::to_owned) {
        page = session.ask(&first(&ask).with("cursor", Some(next))).await?;
        outcomes.extend(items(&page));
    }
    if session.is_json() {
        page["outcomes"] = json!(outcomes);
        session.terminal.line(&page.to_string())?;
    } else {
        for line in summary(&page) {
            session.terminal.line(&line)?;
        }
        session.items(&COLUMNS, &outcomes, true)?;
    }
    let well = !matches!(status(&page), Some(Status::Partial | Status::Failed));
    Ok(if well { Exit::Done } else { Exit::NotWell })
}

fn items(page: &Value) -> Vec<Value> {
    page["outcomes"].as_array().cloned().unwrap_or_default()
}

fn status(order: &Value) -> Option<Status> {
    order["status"].as_str().and_then(|word| word.parse().ok())
}

fn has_ended(order: &Value) -> bool {
    status(order).is_none_or(Status::is_final)
}

/// Returns an order in a few lines.
fn summary(order: &Value) -> Vec<String> {
    let of = |at: &str| text(order, at);
    let waiting = order["waiting"].as_str().map(|what| format!(", waits for: {what}")).unwrap_or_default();
    let mut lines = vec![
        format!("order {}: {} of account {}", of("/id"), of("/kind"), of("/account")),
        format!("  {}{waiting}", of("/status")),
        format!("  made {} by {}, changed {}", of("/created_at"), of("/by/user"), of("/changed_at")),
    ];
    for (what, at) in [("name", "/name"), ("reason", "/reason"), ("undo of", "/undo_of")] {
        lines.extend(order.pointer(at).and_then(Value::as_str).map(|said| format!("  {what}: {said}")));
    }
    let number = |at: &str| order.pointer(at).and_then(Value::as_u64).unwrap_or_default();
    lines.push(format!(
        "  {}: {} went, {} failed",
        count(number("/counts/numbers"), "number"),
        number("/counts/went"),
        number("/counts/failed")
    ));
    lines
}
