//! `onhook check`.

use onhook_store::Store;
use serde_json::json;

use super::DataDir;
use crate::Exit;
use crate::terminal::Terminal;

/// Prove that what is stored is right
///
/// Compares every count with a recount; with --deep, folds every number's events again and compares the
/// result with its state, and every order with its events. Reads only.
///
/// Exit status: 0 nothing is wrong, 1 something is, 2 it could not be checked.
///
/// Example: onhook check --deep --data-dir /var/lib/onhook
#[derive(clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    data_dir: DataDir,
    /// Look at every number, event and order
    #[arg(long)]
    deep: bool,
    /// Answer with one JSON document
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) async fn run(self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let store = self.data_dir.open()?;
        let report = store.check(self.deep).await?;
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
                format!("{} findings", findings.len())
            };
            terminal.line(&format!(
                "{} numbers, {} events, {} orders: {found}",
                report.numbers, report.events, report.orders
            ))?;
        }
        Ok(if findings.is_empty() { Exit::Done } else { Exit::NotWell })
    }
}
