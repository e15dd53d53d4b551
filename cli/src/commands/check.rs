//! `onhook check`.

use std::sync::Arc;

use onhook_store::contract::upkeep::Progress;
use serde_json::json;

use crate::config::File;
use crate::exit::Exit;
use crate::target::Target;
use crate::terminal::{Terminal, Unit, count};

/// What to do about findings.
const TO_DO: &str = "What to do: do not start the server on this folder. Keep a copy of it as it is, and go back to \
                     the newest backup in which `onhook check --deep` finds nothing.";

/// Prove that what is stored is right
///
/// Compares every count with a recount; with --deep, folds every number's events again and compares the
/// result with its state, and every order with its events. Reads only.
///
/// Exit status: 0 nothing is wrong, 1 something is, 2 it could not be checked.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook check --deep --data-dir /var/lib/onhook")]
pub(crate) struct Check {
    #[command(flatten)]
    target: Target,
    /// Look at every number, event and order
    #[arg(long)]
    deep: bool,
    /// Answer with one JSON document
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let store = self.target.open(config).await?;
        let bar = terminal.bar(&Unit::Of("numbers and orders"), Some(0));
        let shown = bar.clone();
        let watch = move |at: Progress| {
            shown.set_length(at.total);
            shown.set_position(at.done);
        };
        let report = store.check_watched(self.deep, Arc::new(watch)).await?;
        bar.finish_and_clear();
        store.close().await;
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        if self.json {
            let answer = json!({
                "deep": self.deep, "numbers": report.numbers, "events": report.events, "orders": report.orders,
                "findings": findings,
            });
            terminal.line(&answer.to_string())?;
        } else {
            for finding in &findings {
                terminal.line(finding)?;
            }
            let found = if findings.is_empty() {
                "nothing is wrong".to_owned()
            } else {
                terminal.line(TO_DO)?;
                count(u64::try_from(findings.len()).unwrap_or(u64::MAX), "finding")
            };
            terminal.line(&format!(
                "{}, {}, {}: {found}",
                count(report.numbers, "number"),
                count(report.events, "event"),
                count(report.orders, "order")
            ))?;
        }
        Ok(if findings.is_empty() { Exit::Done } else { Exit::NotWell })
    }
}
