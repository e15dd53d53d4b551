//! `onhook undo`.

use onhook_core::ids::OrderId;
use serde_json::{Value, json};

use crate::client::{Ask, refused_line};
use crate::config::File;
use crate::exit::Exit;
use crate::session::{Changing, text};
use crate::terminal::{Terminal, count};

/// Undo a disconnect order: each number goes back where it was
///
/// Either all numbers come back that the order took, or none; with --partial those that can. Exit status: 0 all
/// are back; 1 some are not, or it was refused; 2 it could not be done.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook undo 744f1d16-d3a5-43b3-ab97-4c3b19fc0b7a \\\n    --reason \"the wrong site was disconnected\" --data-dir /var/lib/onhook"
)]
pub(crate) struct Undo {
    /// The order's id
    order: OrderId,
    /// Take those back that can come back, though others cannot
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    changing: Changing,
}

impl Undo {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Self { order, partial, changing } = self;
        changing
            .run(config, terminal, async |session| {
                let mut body = session.why();
                body["partial"] = json!(partial);
                let ask = Ask::post(&format!("orders/{order}/undo"), body);
                let done = session.show(&ask, |done| told(order, done)).await?;
                let all = done["refused"].as_array().is_none_or(Vec::is_empty);
                Ok(if all { Exit::Done } else { Exit::NotWell })
            })
            .await
    }
}

/// Returns what came of it, a line each.
fn told(order: OrderId, done: &Value) -> Vec<String> {
    let went = count(done["went"].as_u64().unwrap_or_default(), "number");
    let first = format!("{went} of order {order} back where they were, by order {}", text(done, "/order/id"));
    let refused = done["refused"].as_array().into_iter().flatten().filter_map(refused_line);
    std::iter::once(first).chain(refused).collect()
}
