//! `onhook check`.

use std::sync::Arc;

use onhook_core::job::Kind;
use onhook_store::Store;
use onhook_store::contract::upkeep::{Progress, Report};
use serde_json::{Value, json};

use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::jobs::ended;
use crate::session::{Common, Session, text};
use crate::terminal::{Terminal, Unit, count};

/// Findings that are asked for at once.
const PAGE: u16 = 1_000;
/// What to do about findings.
const TO_DO: &str = "What to do: keep a copy of the data as they are, and go back to the newest backup in which \
                     `onhook check --deep` finds nothing.";

/// Prove that what is stored is right
///
/// Compares every count with a recount; with --deep, folds every number's events again and compares the
/// result with its state, and every order with its events. A server checks while it runs and orders go on.
/// Without one the command reads the data itself, asks SQLite about the file too, and writes nothing.
///
/// Exit status: 0 nothing is wrong, 1 something is, 2 it could not be checked.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook check --deep --data-dir /var/lib/onhook")]
pub(crate) struct Check {
    /// Look at every number, event and order
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    common: Common,
}

impl Check {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let deep = self.deep;
        let checked = async |session: &mut Session<'_>| {
            let report = match session.store() {
                Some(store) => own(session, &*store, deep).await?,
                None => {
                    let check = session.ask(&Ask::post("checks", json!({ "deep": deep }))).await?;
                    of_server(session, &check).await?
                }
            };
            tell(session, &report)
        };
        self.common.run(config, terminal, checked).await
    }
}

/// Checks a store that no server has, and returns what a server would tell.
async fn own(session: &mut Session<'_>, store: &dyn Store, deep: bool) -> anyhow::Result<Value> {
    let bar = session.terminal.bar(&Unit::Of("numbers and orders"), Some(0));
    let shown = bar.clone();
    let watch = move |at: Progress| {
        shown.set_length(at.total);
        shown.set_position(at.done);
    };
    let Report { findings, numbers, events, orders } = store.check_watched(deep, Arc::new(watch)).await?;
    bar.finish_and_clear();
    let findings: Vec<Value> = findings.iter().map(|one| json!({ "at": one.at, "what": one.what })).collect();
    Ok(json!({
        "state": "done", "deep": deep, "numbers": numbers, "events": events, "orders": orders,
        "found": findings.len(), "findings": findings, "next": null,
    }))
}

/// Waits for the end of a check that was made, and returns it with all findings.
pub(super) async fn of_server(session: &mut Session<'_>, check: &Value) -> anyhow::Result<Value> {
    let bar = session.terminal.bar(&Unit::Of("numbers and orders"), Some(0));
    let path = format!("checks/{}", escaped(&text(check, "/id")));
    let seen = |check: &Value| {
        bar.set_length(check["total"].as_u64().unwrap_or_default());
        bar.set_position(check["done"].as_u64().unwrap_or_default());
    };
    ended(session, Kind::Check, &path, seen).await?;
    bar.finish_and_clear();
    let ask = Ask::get(&path).with("limit", Some(PAGE));
    let mut whole = session.ask(&ask).await?;
    while let Some(next) = whole["next"].as_str().map(str::to_owned) {
        let mut page = session.ask(&ask.clone().with("cursor", Some(next))).await?;
        if let (Some(all), Some(more)) = (whole["findings"].as_array_mut(), page["findings"].as_array_mut()) {
            all.append(more);
        }
        whole["next"] = page["next"].take();
    }
    anyhow::ensure!(whole["state"] == "done", "the check could not be made: {}", text(&whole, "/why"));
    Ok(whole)
}

/// Shows a check, and returns whether it found anything.
pub(super) fn tell(session: &mut Session<'_>, check: &Value) -> anyhow::Result<Exit> {
    let findings = check["findings"].as_array().map_or(&[][..], Vec::as_slice);
    session.tell(check, |check| {
        let counted = |key: &str, of: &str| count(check[key].as_u64().unwrap_or_default(), of);
        let mut lines: Vec<String> =
            findings.iter().map(|one| format!("{}: {}", text(one, "/at"), text(one, "/what"))).collect();
        let found = if lines.is_empty() {
            "nothing is wrong".to_owned()
        } else {
            count(u64::try_from(lines.len()).unwrap_or(u64::MAX), "finding")
        };
        if !lines.is_empty() {
            lines.push(TO_DO.to_owned());
        }
        let (numbers, events) = (counted("numbers", "number"), counted("events", "event"));
        lines.push(format!("{numbers}, {events}, {}: {found}", counted("orders", "order")));
        lines
    })?;
    Ok(if findings.is_empty() { Exit::Done } else { Exit::NotWell })
}
