//! Checks and writes the lines of a file that was taken.
//!
//! Each line is checked before the first is written. Writing goes on in small pieces with pauses between them, so that
//! orders go on. What is noted with each piece says where the next one begins, on any node.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::import::{BadLine, BadLines, NewNumber};
use onhook_core::job::{Kind, State};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::Exchange;
use onhook_store::contract::imports::{Looked, Piece};
use onhook_store::contract::jobs::{Job, JobId, Noted};
use onhook_store::contract::leases::LeaseToken;
use onhook_store::plan::{exchanges, imports};
use onhook_store::{Result, StoreError};
use onhook_wire::ops::{exchange_file, number_file};
use onhook_wire::records::{BadHead, Records};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::noted::{note, now};
use crate::app::App;
use crate::lease::RECEIVING;
use crate::staged::Staged;

/// Lines that are read and checked together.
const LINES: usize = 5_000;
/// Lines that are written in one transaction of a store in a folder, whose orders wait for it.
const PIECE_ALONE: usize = 250;
/// Lines that are written in one transaction of a database.
const PIECE_SHARED: usize = 5_000;
/// The longest pause between two pieces.
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// Bad lines that are read together.
const BAD_LINES: usize = 10_000;

/// What an import has found so far, as it is kept with its job. What is not known yet is left out.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Found {
    /// Lines of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    good: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bad: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bad_kinds: Option<Vec<BadKind>>,
    /// Bad lines of further kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    bad_others: Option<u64>,
    /// Numbers that had left, and come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<u64>,
    /// New numbers that are not written yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_come: Option<u64>,
    /// Lines that are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<u64>,
    /// The last line of the last piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_line: Option<u64>,
    /// The event of the import, which the store notes when writing begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<i64>,
    /// What was noted of the file when it arrived.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A kind of bad lines.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct BadKind {
    what: String,
    lines: u64,
    /// The first of them.
    first: Vec<BadOne>,
}

/// A bad line, and what is wrong with it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct BadOne {
    line: u64,
    detail: String,
}

impl Found {
    /// Reads what a job has found.
    ///
    /// # Errors
    /// `Broken` if it is not of this form.
    fn of(job: &Job) -> Result<Self> {
        let nothing = job.found.is_null();
        if nothing {
            return Ok(Self::default());
        }
        Self::deserialize(&job.found).map_err(|error| StoreError::Broken(error.into()))
    }

    /// Returns it as it is kept.
    fn kept(&self) -> Value {
        json!(self)
    }
}

/// Takes an import one state further. Returns false if it has to wait.
pub(super) async fn step(app: &Arc<App>, token: LeaseToken, job: Job) -> Result<bool> {
    match job.state {
        State::Receiving => abandoned(app, &job).await,
        _ if app.believed_now().is_none() => Ok(false), // nothing is written while the clock cannot be believed
        State::Checking => check(app, token, job).await.map(|()| true),
        State::Writing => write(app, token, job).await.map(|()| true),
        _ => Ok(false),
    }
}

/// Ends an import whose file does not arrive any more: its receiver's lease is free.
async fn abandoned(app: &App, job: &Job) -> Result<bool> {
    let Some(receiving) = app.store.take_lease(RECEIVING, app.settings.lease).await? else {
        return Ok(false);
    };
    app.store.cancel_job(Kind::Import, job.id, now(app)).await?;
    app.store.end_lease(RECEIVING, receiving).await?;
    app.store.tidy_staging().await?;
    Ok(true)
}

/// A record of the file.
enum Record {
    Number(NewNumber),
    Exchange(Exchange),
}

type Line = (u64, std::result::Result<Record, BadLine>);

/// The lines of a job's file, which a thread of its own reads, some ahead.
struct Lines {
    read: mpsc::Receiver<Result<Vec<Line>>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    /// Returns the next lines. `None` after the last.
    ///
    /// # Errors
    /// That of the store, if it cannot give the file to its end.
    async fn next(&mut self) -> Result<Option<Vec<Line>>> {
        if let Some(lines) = self.read.recv().await {
            return lines.map(Some);
        }
        if let Some(reader) = self.reader.take() {
            reader.await.map_err(|error| StoreError::Broken(Box::new(error)))?;
        }
        Ok(None)
    }
}

/// Begins to read a job's file, `size` lines at a time.
async fn read(app: &App, job: &Job, size: usize) -> Result<Lines> {
    let file = app.store.staging(job.id).await?;
    lines_of(file, job.asked["kind"] == "exchanges", size).await
}

async fn lines_of(file: Box<dyn Read + Send>, exchanges: bool, size: usize) -> Result<Lines> {
    let (file, broken) = Staged::new(file);
    let opened = tokio::task::spawn_blocking(move || -> std::result::Result<Records<Record>, BadHead> {
        fn of<T: 'static>(records: Records<T>, into: fn(T) -> Record) -> Records<Record> {
            Box::new(records.map(move |(line, record)| (line, record.map(into))))
        }
        if exchanges {
            exchange_file::read(file).map(|records| of(records, Record::Exchange))
        } else {
            number_file::read(file).map(|records| of(records, Record::Number))
        }
    });
    let opened = opened.await.map_err(|error| StoreError::Broken(Box::new(error)))?;
    broken.check()?;
    let mut records = opened.map_err(|why| StoreError::Broken(Box::new(why)))?.fuse();
    let (to, read) = mpsc::channel(1);
    let reader = tokio::task::spawn_blocking(move || {
        loop {
            let some: Vec<Line> = records.by_ref().take(size).collect();
            if let Err(error) = broken.check() {
                let _ = to.blocking_send(Err(error)); // where nobody reads, nobody misses it
                return;
            }
            if some.is_empty() || to.blocking_send(Ok(some)).is_err() {
                return;
            }
        }
    });
    Ok(Lines { read, reader: Some(reader) })
}

/// The check of a file's lines.
enum Checking {
    Numbers(imports::Checking),
    Exchanges(exchanges::Import),
}

async fn check(app: &Arc<App>, token: LeaseToken, job: Job) -> Result<()> {
    app.store.tidy_staging().await?; // also what an import left that was cancelled
    app.store.forget_bad_lines(token, job.id).await?; // the check may begin anew
    let flag = |name: &str| job.asked[name].as_bool().unwrap_or(false);
    let mut checking = if job.asked["kind"] == "exchanges" {
        Checking::Exchanges(exchanges::Import::default())
    } else {
        Checking::Numbers(imports::Checking::new(now(app), flag("past_releases")))
    };
    let mut lines = read(app, &job, LINES).await?;
    let (mut good, mut bad, mut kinds) = (0_u64, 0_u64, BadLines::default());
    let mut found = Found::of(&job)?;
    while let Some(some) = lines.next().await? {
        let count = some.len();
        let wrong = judge(app, &mut checking, some).await?;
        bad += u64::try_from(wrong.len()).unwrap_or(u64::MAX);
        good += u64::try_from(count - wrong.len()).unwrap_or(u64::MAX);
        (found.good, found.bad) = (Some(good), Some(bad));
        let told = wrong.iter().map(|(line, why)| (*line, why.to_string())).collect();
        wrong.into_iter().for_each(|(line, why)| kinds.note(line, why));
        let noted = Noted::new(State::Checking, found.kept(), now(app));
        if !app.store.note_bad_lines(token, job.id, told, noted).await? {
            return app.store.tidy_staging().await; // it was cancelled
        }
    }
    found.lines = Some(good + bad);
    (found.good, found.bad) = (Some(good), Some(bad));
    (found.bad_kinds, found.bad_others) = (Some(kinds_of(&kinds)), Some(kinds.others()));
    if let Checking::Numbers(checking) = &checking {
        found.restored = Some(checking.restored);
    }
    let ended = match (bad > 0 && !flag("partial"), flag("dry_run")) {
        (true, _) => Some(State::Refused),
        (false, true) => Some(State::Done),
        (false, false) => None,
    };
    if let Some(state) = ended {
        info!(
            import.id = job.id.0,
            good, bad, "import {} was checked: {good} good and {bad} bad lines", job.id.0
        );
        note(app, token, job.id, state, found.kept()).await?;
        return app.store.tidy_staging().await;
    }
    let doer = Doer { author: job.author.clone(), now: now(app) };
    let deed = match &checking {
        Checking::Exchanges(checking) => checking.deed(&doer),
        Checking::Numbers(checking) => {
            found.to_come = Some(checking.numbers);
            let deed = Deed::by(&doer, DeedKind::Imported).with("source", format!("import {}", job.id.0));
            let deed = deed.with("numbers", checking.numbers).with("restored", checking.restored);
            deed.with("lines", found.rest.get("sha256").cloned().unwrap_or_default())
        }
    };
    found.written = Some(0);
    app.store.begin_writing(token, job.id, deed, found.kept()).await?;
    Ok(())
}

/// Returns what is wrong with lines: of each kind how many there are, and the first of them.
fn kinds_of(bad: &BadLines) -> Vec<BadKind> {
    let first = |(line, why): &(u64, BadLine)| BadOne { line: *line, detail: why.to_string() };
    let kinds = bad.kinds().iter().map(|kind| {
        let first = kind.first.iter().map(first).collect();
        BadKind { what: kind.what.clone(), lines: kind.count, first }
    });
    kinds.collect()
}

/// Returns those of the lines that are bad.
async fn judge(app: &App, checking: &mut Checking, lines: Vec<Line>) -> Result<Vec<(u64, BadLine)>> {
    match checking {
        Checking::Exchanges(checking) => {
            let judged = lines.into_iter().filter_map(|(line, record)| {
                let exchange = record.map(|record| match record {
                    Record::Exchange(exchange) => Some(exchange),
                    Record::Number(_) => None,
                });
                match exchange {
                    Ok(Some(exchange)) => checking.judge(line, &exchange).err().map(|why| (line, why)),
                    Ok(None) => None,
                    Err(why) => Some((line, why)),
                }
            });
            Ok(judged.collect())
        }
        Checking::Numbers(checking) => {
            let mut all = Vec::with_capacity(lines.len());
            for (line, record) in lines {
                match record {
                    Ok(Record::Number(new)) => all.push((line, Ok(new))),
                    Ok(Record::Exchange(_)) => {}
                    Err(why) => all.push((line, Err(why))),
                }
            }
            let numbers = all.iter().filter_map(|(_, new)| new.as_ref().ok().cloned()).collect();
            let looked = app.store.look_up(numbers).await?;
            Ok(checking.check(all, &looked, &app.settings.policy))
        }
    }
}

/// Returns the bad lines of an import.
async fn bad_lines(app: &App, id: JobId) -> Result<HashSet<u64>> {
    let (mut all, mut after) = (HashSet::new(), 0);
    loop {
        let some = app.store.bad_lines(id, after, BAD_LINES).await?;
        let Some((last, _)) = some.last() else { return Ok(all) };
        after = *last;
        all.extend(some.into_iter().map(|(line, _)| line));
    }
}

/// Leaves out what cannot be written any more though it was good when it was checked, and notes it as bad: a number that
/// had left may have come back meanwhile by another act.
async fn leave_out(
    app: &App,
    token: LeaseToken,
    id: JobId,
    numbers: &mut Vec<(u64, NewNumber)>,
    looked: &Looked,
    found: &mut Found,
) -> Result<()> {
    // An aging number may be due since the check.
    let mut checking = imports::Checking::new(now(app), true);
    let lines = numbers.iter().map(|(line, new)| (*line, Ok(new.clone()))).collect();
    let late = checking.check(lines, looked, &app.settings.policy);
    if late.is_empty() {
        return Ok(());
    }
    let lines: HashSet<u64> = late.iter().map(|(line, _)| *line).collect();
    let told = late.iter().map(|(line, why)| (*line, why.to_string())).collect();
    let mut kinds = BadLines::default();
    late.into_iter().for_each(|(line, why)| kinds.note(line, why));
    let more = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    found.good = Some(found.good.unwrap_or(0).saturating_sub(more));
    found.bad = Some(found.bad.unwrap_or(0).saturating_add(more));
    found.restored = Some(found.restored.unwrap_or(0).saturating_sub(more));
    if let Some(known) = &mut found.bad_kinds {
        known.extend(kinds_of(&kinds));
    }
    warn!(
        import.id = id.0,
        lines = lines.len(),
        "lines of import {} that were good are bad now: they are left out",
        id.0
    );
    app.store.note_bad_lines(token, id, told, Noted::new(State::Writing, found.kept(), now(app))).await?;
    numbers.retain(|(line, _)| !lines.contains(line));
    Ok(())
}

async fn write(app: &Arc<App>, token: LeaseToken, job: Job) -> Result<()> {
    // Where nobody serves, nobody waits for a piece.
    let unhurried = !app.alone;
    let size = if unhurried && app.store.folder().is_some() { PIECE_ALONE } else { PIECE_SHARED };
    let bad = bad_lines(app, job.id).await?;
    let mut found = Found::of(&job)?;
    let event = found.event.unwrap_or(0);
    let resumed_after = found.last_line.unwrap_or(0);
    let mut lines = read(app, &job, LINES).await?;
    while let Some(some) = lines.next().await? {
        let mut left =
            some.into_iter().filter(|(line, _)| *line > resumed_after && !bad.contains(line)).peekable();
        while left.peek().is_some() {
            let begun = Instant::now();
            let (mut numbers, mut exchanges, mut to) = (Vec::new(), Vec::new(), 0);
            for (line, record) in left.by_ref().take(size) {
                to = line;
                match record {
                    Ok(Record::Number(new)) => numbers.push((line, new)),
                    Ok(Record::Exchange(exchange)) => exchanges.push(exchange),
                    Err(why) => {
                        let what =
                            format!("line {line} could be read when it was checked, and now not: {why}");
                        return Err(StoreError::Broken(what.into()));
                    }
                }
            }
            let looked = app.store.look_up(numbers.iter().map(|(_, new)| new.clone()).collect()).await?;
            leave_out(app, token, job.id, &mut numbers, &looked, &mut found).await?;
            let count = u64::try_from(numbers.len() + exchanges.len()).unwrap_or(u64::MAX);
            let new = numbers.iter().filter(|(_, new)| !looked.there.contains_key(&new.number)).count();
            let new = u64::try_from(new).unwrap_or(u64::MAX);
            found.written = Some(found.written.unwrap_or(0).saturating_add(count));
            found.to_come = Some(found.to_come.unwrap_or(0).saturating_sub(new));
            found.last_line = Some(to);
            let piece =
                if exchanges.is_empty() { Piece::Numbers(numbers) } else { Piece::Exchanges(exchanges) };
            let policy = app.settings.policy.clone();
            let noted = Noted::new(State::Writing, found.kept(), now(app));
            app.store.write_piece(token, job.id, piece, event, noted, policy).await?;
            app.orders_bell.notify_one(); // an order may wait for one of them
            if unhurried {
                tokio::time::sleep(begun.elapsed().min(PAUSE_MAX)).await;
            }
        }
    }
    let (written, good) = (found.written.unwrap_or(0), found.good.unwrap_or(0));
    if written != good {
        return Err(StoreError::Broken(format!("{written} lines are written, and {good} are good").into()));
    }
    info!(import.id = job.id.0, written, "import {} is done: {written} lines are written", job.id.0);
    note(app, token, job.id, State::Done, found.kept()).await?;
    app.store.tidy_staging().await
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use onhook_core::import::Intake;
    use onhook_core::lifecycle::provenance::Author;
    use onhook_core::time::Timestamp;
    use onhook_store::contract::imports::Imports;
    use onhook_store::contract::jobs::{Jobs, NewJob};
    use onhook_store::contract::leases::Leases;
    use onhook_store::contract::upkeep::Upkeep;
    use onhook_store::sqlite::SqliteStore;

    use super::*;
    use crate::settings::Settings;

    /// Gives what is before its end, and fails then, or panics.
    struct Torn(Cursor<Vec<u8>>, fn() -> std::io::Result<usize>);

    impl Read for Torn {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => (self.1)(),
                read => Ok(read),
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_the_store_cannot_give_whole_has_no_end_and_no_bad_line() {
        let text: String = (0..5).map(|n| format!("212555010{n}\n")).collect();
        let read = async |end: fn() -> std::io::Result<usize>| {
            let file = Torn(Cursor::new(format!("number\n{text}").into_bytes()), end);
            let mut lines = lines_of(Box::new(file), false, 2).await?;
            let mut good = 0;
            while let Some(some) = lines.next().await? {
                good += some.iter().filter(|(_, line)| line.is_ok()).count();
            }
            Ok::<_, StoreError>(good)
        };
        assert_eq!(read(|| Ok(0)).await.unwrap(), 5);
        assert!(matches!(read(|| Err(std::io::Error::other(StoreError::Full))).await, Err(StoreError::Full)));
        assert!(matches!(read(|| panic!("a test")).await, Err(StoreError::Broken(_))));
    }

    /// A number that had left came back by another act after its line was checked, and before it was to be written.
    #[tokio::test]
    async fn a_line_that_was_good_when_it_was_checked_is_left_out_if_it_is_bad_now() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let app =
            Arc::new(App::new(store.clone(), Settings::default(), "http://127.0.0.1".into()).await.unwrap());
        let here = NewNumber::available("2125550100".parse().unwrap());
        let here = Box::new([(2, Ok(here))].into_iter());
        store.import(here, Intake::of("a test"), now(&app), Arc::default()).await.unwrap();
        let author = Author::offline();
        let asked = json!({ "kind": "numbers" });
        let job = NewJob { kind: Kind::Import, author: author.clone(), asked };
        let job = store.add_job(job, None, now(&app)).await.unwrap().unwrap();
        let token = store.take_lease("jobs", Duration::from_mins(1)).await.unwrap().unwrap();
        store.stage(token, job.id, 0, b"number\n2125550100\n2125550101\n".to_vec()).await.unwrap();
        store.staged(token, job.id, json!({}), None).await.unwrap().unwrap();
        let doer = Doer { author, now: now(&app) };
        let deed = Deed::by(&doer, DeedKind::Imported).with("numbers", 1);
        let found = json!({ "good": 2, "bad": 0, "restored": 1, "to_come": 1, "bad_kinds": [] });
        store.begin_writing(token, job.id, deed, found).await.unwrap().unwrap();
        let job = store.job(Kind::Import, job.id).await.unwrap().unwrap();
        write(&app, token, job.clone()).await.unwrap();
        let job = store.job(Kind::Import, job.id).await.unwrap().unwrap();
        assert_eq!(job.state, State::Done);
        let found = ["good", "bad", "restored", "to_come", "written"].map(|key| job.found[key].as_u64());
        assert_eq!(found, [1, 1, 0, 0, 1].map(Some), "{}", job.found);
        assert_eq!(job.found["bad_kinds"][0]["what"], "the number is here already");
        let bad = store.bad_lines(job.id, 0, 10).await.unwrap();
        assert_eq!(bad, [(2, "+12125550100 is here already".to_owned())]);
        assert_eq!(store.check(true).await.unwrap().findings, []);
        assert!(job.ended_at.is_some_and(|at| at > Timestamp::default()));
        store.close().await;
    }
}
