//! Files that are imported: sent while they are read, and waited for.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use futures_util::StreamExt;
use onhook_core::audit::digest::Digest;
use onhook_core::job::Kind;
use onhook_wire::records::BadHead;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::ReaderStream;

use crate::client::{Ask, escaped};
use crate::config::File;
use crate::exit::Exit;
use crate::jobs::ended;
use crate::reach::Absent;
use crate::session::{Changing, Session, text};
use crate::stop::Stop;
use crate::terminal::{Terminal, Unit, count};

/// The type of the files.
const CSV: &str = "text/csv";
/// Bytes that are read at once.
const PART: usize = 256 << 10;
/// Bytes of a file in which its first line is looked for, before any of it is sent.
const HEAD: usize = 128 << 10;

/// A file to import.
pub(super) struct FileImport {
    /// The file; `-` is standard input.
    pub(super) path: PathBuf,
    /// What it has, as the API says it.
    pub(super) kind: &'static str,
    /// Flags that are given.
    pub(super) flags: Vec<&'static str>,
    /// Reads its first line.
    pub(super) head: fn(Box<dyn Read + Send>) -> Result<(), BadHead>,
}

/// A file that was opened.
struct Opened {
    begin: Bytes,
    rest: Box<dyn AsyncRead + Send + Unpin>,
    size: Option<u64>,
}

impl FileImport {
    /// Imports the file, and tells what came of it. `done` says what was imported.
    pub(super) async fn run(
        self,
        changing: Changing,
        config: &File,
        terminal: &mut Terminal,
        done: impl FnOnce(&Value) -> String,
    ) -> anyhow::Result<Exit> {
        let opened = self.open().await?;
        // A dry run keeps nothing, and makes no folder.
        let absent = if self.is_dry() { Absent::StoodIn } else { Absent::Made };
        let imported = async |session: &mut Session<'_>| {
            let import = self.take(session, opened).await?;
            self.tell(session, &import, done)
        };
        changing.run_on(absent, config, terminal, imported).await
    }

    fn is_dry(&self) -> bool {
        self.flags.contains(&"dry_run")
    }

    fn is_piped(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Opens the file, and looks at its first line: nothing is made or sent if that is wrong.
    async fn open(&self) -> anyhow::Result<Opened> {
        let (mut rest, size): (Box<dyn AsyncRead + Send + Unpin>, _) = if self.is_piped() {
            (Box::new(tokio::io::stdin()), None)
        } else {
            let file = tokio::fs::File::open(&self.path).await;
            let file = file.with_context(|| format!("cannot read {}", self.path.display()))?;
            let size = file.metadata().await.ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
            (Box::new(file), size)
        };
        let mut begin = Vec::new();
        let limit = u64::try_from(HEAD)?;
        (&mut rest).take(limit).read_to_end(&mut begin).await.context("the first line cannot be read")?;
        let begin = Bytes::from(begin);
        (self.head)(Box::new(Cursor::new(begin.clone())))?;
        Ok(Opened { begin, rest, size })
    }

    /// Sends the file, and waits until the import has ended.
    async fn take(&self, session: &mut Session<'_>, opened: Opened) -> anyhow::Result<Value> {
        let mut stop = Stop::listen()?;
        let earlier = tokio::select! {
            earlier = self.earlier(session) => earlier?,
            () = stop.asked() => anyhow::bail!("interrupted: nothing was imported"),
        };
        let taken = match earlier {
            Some(same) => same,
            None => tokio::select! {
                taken = self.send(session, opened) => taken?,
                () = stop.asked() => anyhow::bail!("interrupted: nothing was imported"),
            },
        };
        let id = text(&taken, "/id");
        let bar = session.terminal.bar(&Unit::Of("lines"), taken["lines"].as_u64());
        let mut state = String::new();
        let seen = |import: &Value| {
            let now = text(import, "/state");
            if now != state {
                bar.reset(); // each state has a rate of its own
                state = now;
            }
            let number = |key: &str| import[key].as_u64().unwrap_or_default();
            bar.set_length(number("lines"));
            let writes = ["writing", "done"].contains(&state.as_str());
            bar.set_position(if writes { number("written") } else { number("good") + number("bad") });
        };
        let path = format!("imports/{}", escaped(&id));
        let import = tokio::select! {
            import = ended(session, Kind::Import, &path, seen) => Some(import?),
            () = stop.asked() => None,
        };
        bar.finish_and_clear();
        match import {
            Some(import) => Ok(import),
            None => {
                let cancel = Ask::delete(&path).with("reason", Some("interrupted"));
                session.ask(&cancel).await.with_context(|| {
                    format!("interrupted, but import {id} goes on: look at it at /ops/v1/imports/{id}")
                })?;
                anyhow::bail!("interrupted: nothing was imported")
            }
        }
    }

    /// Waits for an import that is under way: only one is at a time. Returns it if it is of the same file, which was
    /// sent before.
    async fn earlier(&self, session: &mut Session<'_>) -> anyhow::Result<Option<Value>> {
        let page = session.ask(&Ask::get("imports").with("limit", Some(1))).await?;
        let Some(under_way) = page["items"].get(0).filter(|import| import["ended_at"].is_null()) else {
            return Ok(None);
        };
        let id = text(under_way, "/id");
        let flag = |name: &str| self.flags.contains(&name);
        let same = under_way["kind"] == self.kind
            && ["partial", "dry_run"].into_iter().all(|name| under_way[name] == flag(name))
            && under_way["sha256"].is_string()
            && !self.is_piped()
            && under_way["sha256"] == *digest(&self.path).await?;
        if same {
            session.terminal.remark(&format!("import {id} has this file already, and goes on"));
            return Ok(Some(under_way.clone()));
        }
        session.terminal.remark(&format!("import {id} is under way: this one begins when it has ended"));
        ended(session, Kind::Import, &format!("imports/{}", escaped(&id)), |_| {}).await?;
        Ok(None)
    }

    async fn send(&self, session: &mut Session<'_>, opened: Opened) -> anyhow::Result<Value> {
        let Opened { begin, rest, size } = opened;
        let bar = session.terminal.bar(&Unit::Bytes, size);
        let read = bar.clone();
        let begin = futures_util::stream::once(std::future::ready(Ok(begin)));
        let body = begin.chain(ReaderStream::with_capacity(rest, PART)).inspect(move |part| {
            if let Ok(part) = part {
                read.inc(u64::try_from(part.len()).unwrap_or_default());
            }
        });
        let mut ask =
            Ask::post("imports", Value::Null).with("kind", Some(self.kind)).with("reason", session.reason());
        for flag in &self.flags {
            ask = ask.with(flag, Some(true));
        }
        let (_, mut reply) = session.stream(&ask, Some((CSV, body.boxed()))).await?;
        let mut document = Vec::new();
        while let Some(part) = reply.next().await {
            document.extend_from_slice(&part?);
        }
        bar.finish_and_clear();
        serde_json::from_slice(&document).context("the server sent no JSON")
    }

    /// Tells what was wrong with which lines, and what was imported.
    fn tell(
        &self,
        session: &mut Session<'_>,
        import: &Value,
        done: impl FnOnce(&Value) -> String,
    ) -> anyhow::Result<Exit> {
        name_bad_lines(session.terminal, import);
        let bad = import["bad"].as_u64().unwrap_or_default();
        let refused = import["state"] == "refused";
        let ended = refused || import["state"] == "done";
        anyhow::ensure!(ended, "import {} was cancelled: nothing was imported", text(import, "/id"));
        let dry = if self.is_dry() { "dry run, nothing is written: " } else { "" };
        session.tell(import, |import| {
            vec![if refused {
                let are = if bad == 1 { "is" } else { "are" };
                format!("{dry}nothing imported, {} {are} bad", count(bad, "line"))
            } else {
                format!("{dry}{}", done(import))
            }]
        })?;
        Ok(if bad == 0 { Exit::Done } else { Exit::NotWell })
    }
}

/// Returns the SHA-256 of a file, as an import shows it.
async fn digest(path: &Path) -> anyhow::Result<String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        let (mut file, mut sha256) = (std::fs::File::open(&path)?, Sha256::new());
        let mut part = vec![0; PART];
        loop {
            match file.read(&mut part)? {
                0 => return Ok(Digest::from(sha256).to_string()),
                length => sha256.update(&part[..length]),
            }
        }
    });
    read.await?.context("the file cannot be read")
}

/// Tells what is wrong with the refused lines: how many of each kind, and the first of them.
fn name_bad_lines(terminal: &Terminal, import: &Value) {
    for kind in import["bad_kinds"].as_array().into_iter().flatten() {
        let lines = kind["lines"].as_u64().unwrap_or_default();
        let first = kind["first"].as_array().map_or(&[][..], Vec::as_slice);
        if lines > 1 {
            terminal.remark(&format!("{}: {}", count(lines, "line"), text(kind, "/what")));
        }
        let indent = if lines > 1 { "  " } else { "" };
        for line in first {
            terminal.remark(&format!("{indent}line {}: {}", text(line, "/line"), text(line, "/detail")));
        }
        let named = u64::try_from(first.len()).unwrap_or(u64::MAX);
        if lines > named {
            terminal.remark(&format!("  … and {} more", lines - named));
        }
    }
    let others = import["bad_others"].as_u64().unwrap_or_default();
    if others > 0 {
        terminal.remark(&format!("{}: bad in yet other ways", count(others, "line")));
    }
}
