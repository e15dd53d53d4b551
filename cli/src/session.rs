//! A command's talk with onhook: what it asks, and how the answers are shown.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use onhook_core::job::Kind;
use onhook_store::Store;
use serde_json::{Value, json};

use crate::client::{Arrived, Ask, Client, Download, Problem, Upload};
use crate::config::File;
use crate::exit::Exit;
use crate::reach::{Absent, Opening, Reach};
use crate::table::{Column, cell, table};
use crate::terminal::Terminal;

/// Items of a list that are asked for at once.
const PAGE: u16 = 1_000;

/// What every command that talks to onhook takes.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// Answer in the API's JSON, a list with one item a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// What every command takes that only reads, and is recorded all the same.
#[derive(clap::Args)]
pub(crate) struct Recorded {
    /// Believe the system's clock though it is far from the data's last use, where no server has the data
    #[arg(long)]
    trust_clock: bool,
    #[command(flatten)]
    common: Common,
}

/// What every command takes that says why.
#[derive(clap::Args)]
pub(crate) struct Reasoned {
    /// Why, for those who look for it later: 1 to 500 characters. Asked for at a terminal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// What every command takes that changes something.
#[derive(clap::Args)]
pub(crate) struct Changing {
    /// Believe the system's clock though it is far from the data's last use, where no server has the data
    #[arg(long)]
    trust_clock: bool,
    #[command(flatten)]
    reasoned: Reasoned,
}

/// A talk with onhook.
pub(crate) struct Session<'a> {
    client: Client,
    json: bool,
    /// Why something is changed.
    reason: String,
    pub(crate) terminal: &'a mut Terminal,
}

impl Common {
    /// Returns whether the answer is to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Refuses `--json` for a command whose answer is CSV. It hides the flag in its help.
    pub(crate) fn answers_csv(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.json, "the answer is CSV and there is no JSON of it: leave --json out");
        Ok(())
    }

    /// Connects, and runs a command that reads.
    pub(crate) async fn run(
        self,
        file: &File,
        terminal: &mut Terminal,
        command: impl AsyncFnOnce(&mut Session<'_>) -> anyhow::Result<Exit>,
    ) -> anyhow::Result<Exit> {
        self.with(file, terminal, String::new(), Opening::default(), command).await
    }

    async fn with(
        self,
        file: &File,
        terminal: &mut Terminal,
        reason: String,
        how: Opening,
        command: impl AsyncFnOnce(&mut Session<'_>) -> anyhow::Result<Exit>,
    ) -> anyhow::Result<Exit> {
        let client = self.reach.connect(file, how).await?;
        let mut session = Session { client, json: self.json, reason, terminal };
        let done = command(&mut session).await;
        let done = session.told(done);
        session.client.close().await;
        done
    }
}

impl Changing {
    /// Asks why if need be, connects, and runs a command that changes something.
    pub(crate) async fn run(
        self,
        file: &File,
        terminal: &mut Terminal,
        command: impl AsyncFnOnce(&mut Session<'_>) -> anyhow::Result<Exit>,
    ) -> anyhow::Result<Exit> {
        self.run_on(Absent::Refused, file, terminal, command).await
    }

    /// Does the same. `absent` says what becomes of data that are not there.
    pub(crate) async fn run_on(
        self,
        absent: Absent,
        file: &File,
        terminal: &mut Terminal,
        command: impl AsyncFnOnce(&mut Session<'_>) -> anyhow::Result<Exit>,
    ) -> anyhow::Result<Exit> {
        let how = Opening { writes: true, trust_clock: self.trust_clock, absent };
        self.reasoned.run(how, file, terminal, command).await
    }
}

impl Recorded {
    /// Refuses `--json` for a command whose answer is CSV. It hides the flag in its help.
    pub(crate) fn answers_csv(&self) -> anyhow::Result<()> {
        self.common.answers_csv()
    }

    /// Connects, and runs a command.
    pub(crate) async fn run(
        self,
        file: &File,
        terminal: &mut Terminal,
        command: impl AsyncFnOnce(&mut Session<'_>) -> anyhow::Result<Exit>,
    ) -> anyhow::Result<Exit> {
        let how = Opening { writes: true, trust_clock: self.trust_clock, absent: Absent::Refused };
        self.common.with(file, terminal, String::new(), how, command).await
    }
}

impl Reasoned {
    /// Asks why if need be, connects, and runs a command.
    pub(crate) async fn run(
        self,
        how: Opening,
        file: &File,
        terminal: &mut Terminal,
        command: impl AsyncFnOnce(&mut Session<'_>) -> anyhow::Result<Exit>,
    ) -> anyhow::Result<Exit> {
        let reason = match self.reason {
            Some(reason) => reason,
            None => asked("Reason: ").context("say why: --reason TEXT")?,
        };
        self.common.with(file, terminal, reason, how, command).await
    }
}

/// Asks a question at the terminal. `None` if there is nobody to ask.
pub(crate) fn asked(question: &str) -> Option<String> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    let _ = std::io::Write::write_all(&mut std::io::stderr(), question.as_bytes());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}

impl Session<'_> {
    /// Returns whether this process answers, because no server has the data.
    pub(crate) fn is_offline(&self) -> bool {
        self.client.is_offline()
    }

    /// Returns whether there is somebody to ask.
    pub(crate) fn may_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Returns whether the answer is to be the API's JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns why something is changed, as the beginning of a request's body.
    pub(crate) fn why(&self) -> Value {
        json!({ "reason": self.reason })
    }

    /// Returns why something is changed, for a request that has no body.
    pub(crate) fn reason(&self) -> Option<String> {
        Some(self.reason.clone())
    }

    /// Returns the data, if this process answers because no server has them: for what is no matter of the API.
    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        self.client.store()
    }

    /// Lets this process do the jobs of a kind, if no server does.
    pub(crate) fn do_jobs(&mut self, kind: Kind) {
        self.client.do_jobs(kind);
    }

    /// Asks for a document.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> anyhow::Result<Value> {
        self.client.ask(ask).await
    }

    /// Sends a request, with a body while that is read, and returns the reply's body while it arrives, and how many
    /// numbers are in it, if the reply says so.
    pub(crate) async fn stream(
        &mut self,
        ask: &Ask,
        upload: Option<(&'static str, Upload)>,
    ) -> anyhow::Result<(Option<u64>, BoxStream<'static, anyhow::Result<Bytes>>)> {
        let (numbers, arriving) = self.client.stream(ask, upload).await?;
        let parts = arriving.filter_map(|arrived| async {
            match arrived {
                Ok(Arrived::Part(part)) => Some(Ok(part)),
                Ok(Arrived::Trailers(_)) => None,
                Err(error) => Some(Err(error)),
            }
        });
        Ok((numbers, parts.boxed()))
    }

    /// Sends a request with a body while that is read, and returns the reply's body while it arrives, with what comes
    /// behind it.
    pub(crate) async fn exchange(
        &mut self,
        ask: &Ask,
        of_type: &'static str,
        upload: Upload,
    ) -> anyhow::Result<Download> {
        Ok(self.client.stream(ask, Some((of_type, upload))).await?.1)
    }

    /// Asks for a document, and shows it: as JSON, or in the lines that `lines` makes of it. Returns the document.
    pub(crate) async fn show(
        &mut self,
        ask: &Ask,
        lines: impl FnOnce(&Value) -> Vec<String>,
    ) -> anyhow::Result<Value> {
        let shown = self.ask(ask).await?;
        self.tell(&shown, lines)?;
        Ok(shown)
    }

    /// Shows a document: as JSON, unless there is none, or in the lines that `lines` makes of it.
    pub(crate) fn tell(
        &mut self,
        shown: &Value,
        lines: impl FnOnce(&Value) -> Vec<String>,
    ) -> anyhow::Result<()> {
        if !self.json {
            for line in lines(shown) {
                self.terminal.line(&line)?;
            }
        } else if !shown.is_null() {
            self.terminal.line(&shown.to_string())?;
        }
        Ok(())
    }

    /// Asks for a list page by page, and shows its items as they arrive: at most `most` of them.
    pub(crate) async fn list(
        &mut self,
        ask: &Ask,
        columns: &[Column],
        most: Option<usize>,
    ) -> anyhow::Result<Exit> {
        let mut left = most.unwrap_or(usize::MAX);
        let mut cursor = None;
        let mut begun = false;
        loop {
            let limit = usize::from(PAGE).min(left).max(1);
            let page = ask.clone().with("limit", Some(limit)).with("cursor", cursor);
            let page = self.ask(&page).await?;
            let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
            self.items(columns, items, !begun)?;
            begun |= !items.is_empty();
            left = left.saturating_sub(items.len());
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() || left == 0 {
                return Ok(Exit::Done);
            }
        }
    }

    /// Shows items: as JSON, one a line, or as a table, with its headings if they are the first.
    pub(crate) fn items(&mut self, columns: &[Column], items: &[Value], first: bool) -> anyhow::Result<()> {
        if self.json {
            for item in items {
                self.terminal.line(&item.to_string())?;
            }
        } else if !items.is_empty() {
            self.terminal.line(&table(columns, items, first, self.terminal.width()))?;
        }
        Ok(())
    }

    /// Shows a refusal as JSON, if that is wanted, beside the sentence that every error gets.
    fn told(&mut self, done: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        if let Err(error) = &done
            && self.json
            && let Some(document) = error.downcast_ref::<Problem>().and_then(Problem::document)
        {
            self.terminal.line(&document.to_string())?;
        }
        done
    }
}

/// Returns a key's value of a document as text.
pub(crate) fn text(document: &Value, at: &str) -> String {
    cell(document.pointer(at).unwrap_or(&Value::Null))
}

/// Names what there is not, where the API only says that there is nothing at a path.
pub(crate) fn named_if_missing<T>(
    done: anyhow::Result<T>,
    what: impl FnOnce() -> String,
) -> anyhow::Result<T> {
    let missing = |error: &anyhow::Error| error.downcast_ref::<Problem>().is_some_and(Problem::is_missing);
    match done {
        Err(error) if missing(&error) => Err(error.context(what())),
        done => done,
    }
}
