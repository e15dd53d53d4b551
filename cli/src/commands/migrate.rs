//! `onhook migrate`.

use std::sync::Arc;

use anyhow::Context;
use indicatif::ProgressBar;
use onhook_store::audit::seal_all;
use onhook_store::contract::upkeep::{Progress, Watch};
use onhook_store::transfer::{Equal, apart, compare, copy, end};
use serde_json::json;

use crate::exit::Exit;
use crate::target::{Home, now};
use crate::terminal::{Terminal, Unit, count};

/// The flags that name the two sides.
const FROM: &str = "--from";
const TO: &str = "--to";
/// What to do about findings.
const TO_DO: &str = "What to do: the source has the same faults, and the target stays unfinished. Go back to the newest \
                     backup of the source in which `onhook check --deep` finds nothing, and move that to an empty target.";

/// Move everything between a folder and a database
///
/// Moves accounts, users, numbers, events, orders, subscriptions and all else, with their ids and keys, so that clients
/// see no difference. An import that has not ended goes on at the target. No server may run on either side. The source
/// stays as it is, but for the seals of its last events. The target must be empty, or hold what an earlier run moved
/// there from the same source: then this run goes on where that one stopped. Every other command refuses the target
/// until then. At the end `check --deep` runs on the target, and both sides are compared row by row.
///
/// Exit status: 0 moved and equal, 1 the check found something wrong, 2 it could not be done.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  onhook migrate --from /var/lib/onhook --to postgres://db.example.com/onhook"
)]
pub(crate) struct Migrate {
    /// Where the data is: a folder, or the address of a database
    #[arg(long, value_name = "DIR|URL", env = "ONHOOK_MIGRATE_FROM", hide_env_values = true)]
    from: String,
    /// Where it goes: a folder, which is made if it is not there, or the address of a database
    #[arg(long, value_name = "DIR|URL", env = "ONHOOK_MIGRATE_TO", hide_env_values = true)]
    to: String,
    /// Answer with one JSON document: the rows of each kind, and their digest
    #[arg(long)]
    json: bool,
}

impl Migrate {
    pub(crate) async fn run(self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let from = Home::named(&self.from, FROM, "ONHOOK_MIGRATE_FROM")?;
        let to = Home::named(&self.to, TO, "ONHOOK_MIGRATE_TO")?;
        anyhow::ensure!(
            !is_same_folder(&from, &to),
            "{FROM} and {TO} are the same folder: nothing was moved"
        );
        let source = from.open_to_read(FROM).await?;
        let target = to.open_for_transfer().await?;
        let what = || format!("cannot move {from} to {to}");
        apart(&*source, &*target).await.with_context(what)?;
        // What has no position yet is found again by its sequence number alone, once it is moved.
        seal_all(&*source, now()).await.with_context(what)?;
        let (bar, watch) = watched(terminal, "rows moved");
        copy(&*source, &*target, &watch).await.with_context(what)?;
        bar.finish_and_clear();
        target.close().await; // its keys are read when it is opened

        let target = to.open_for_transfer().await?;
        let (bar, watch) = watched(terminal, "numbers and orders checked");
        let report = target.check_watched(true, watch).await.with_context(what)?;
        bar.finish_and_clear();
        if !report.findings.is_empty() {
            for finding in &report.findings {
                terminal.line(&finding.to_string())?;
            }
            terminal.line(TO_DO)?;
            return Ok(Exit::NotWell);
        }
        let (bar, watch) = watched(terminal, "rows compared");
        let equal = compare(&*source, &*target, &watch).await.with_context(what)?;
        bar.finish_and_clear();
        end(&*target).await.with_context(what)?;
        target.close().await;
        source.close().await;
        if self.json {
            let kind = |of: &Equal| (of.table.to_owned(), json!({ "rows": of.rows, "sha256": of.digest }));
            let kinds: serde_json::Map<String, serde_json::Value> = equal.iter().map(kind).collect();
            let answer = json!({ "from": from.to_string(), "to": to.to_string(), "equal": kinds });
            terminal.line(&answer.to_string())?;
        } else {
            terminal.line(&format!("{} moved from {from} to {to}: both sides are equal", told(&equal)))?;
        }
        Ok(Exit::Done)
    }
}

/// Returns whether both are one folder, also by two paths. Of two addresses only the databases themselves can tell.
fn is_same_folder(from: &Home, to: &Home) -> bool {
    let (Home::Folder(from), Home::Folder(to)) = (from, to) else { return false };
    matches!((from.canonicalize(), to.canonicalize()), (Ok(from), Ok(to)) if from == to)
}

/// Returns how much was moved, in words.
fn told(equal: &[Equal]) -> String {
    let rows = |table: &str| equal.iter().filter(|of| of.table == table).map(|of| of.rows).sum::<u64>();
    let kinds = [
        ("number", "number"),
        ("event", "event"),
        ("orders", "order"),
        ("account", "account"),
        ("users", "user"),
        ("subscription", "subscription"),
    ];
    kinds.map(|(table, thing)| count(rows(table), thing)).join(", ")
}

/// Returns a bar, and a function that moves it, or tells a log how far it is.
fn watched(terminal: &Terminal, what: &'static str) -> (ProgressBar, Watch) {
    let bar = terminal.bar(&Unit::Of(what), Some(0));
    let (shown, told) = (bar.clone(), terminal.told(what));
    let watch = move |at: Progress| {
        told(at.done, at.total);
        let begins = shown.length() == Some(0);
        shown.set_length(at.total);
        shown.set_position(at.done);
        if begins {
            shown.reset_eta(); // what an earlier run did says nothing of the rate
        }
    };
    (bar, Arc::new(watch))
}
