//! Checks and writes the lines of a file that was taken.
//!
//! Each line is checked before the first is written. Writing goes on in small pieces with pauses between them, so that
//! orders go on. What is noted with each piece says where the next one begins, on any node.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::import::{BadLine, BadLines, NewNumber};
use onhook_core::job::{Kind, State};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::Exchange;
use onhook_store::contract::imports::Piece;
use onhook_store::contract::jobs::{Job, JobId, Noted};
use onhook_store::contract::leases::LeaseToken;
use onhook_store::plan::{exchanges, imports};
use onhook_store::{Result, StoreError};
use onhook_wire::ops::{exchange_file, number_file};
use onhook_wire::records::{BadHead, Records};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::info;

use super::noted::{note, now};
use crate::app::App;
use crate::lease::RECEIVING;

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

/// Begins to read a job's file on a thread of its own, some lines ahead.
async fn read(app: &App, job: &Job, size: usize) -> Result<mpsc::Receiver<Vec<Line>>> {
    let file = app.store.staging(job.id).await?;
    let exchanges = job.asked["kind"] == "exchanges";
    let (to, lines) = mpsc::channel(1);
    let unreadable = |why: BadHead| StoreError::Broken(Box::new(why));
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
    let mut records = opened.map_err(unreadable)?.fuse();
    tokio::task::spawn_blocking(move || {
        loop {
            let some: Vec<Line> = records.by_ref().take(size).collect();
            if some.is_empty() || to.blocking_send(some).is_err() {
                return;
            }
        }
    });
    Ok(lines)
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
    let mut found = job.found.clone();
    while let Some(some) = lines.recv().await {
        let count = some.len();
        let wrong = judge(app, &mut checking, some).await?;
        bad += u64::try_from(wrong.len()).unwrap_or(u64::MAX);
        good += u64::try_from(count - wrong.len()).unwrap_or(u64::MAX);
        (found["good"], found["bad"]) = (json!(good), json!(bad));
        let told = wrong.iter().map(|(line, why)| (*line, why.to_string())).collect();
        wrong.into_iter().for_each(|(line, why)| kinds.note(line, why));
        if !app.store.note_bad_lines(token, job.id, told, found.clone()).await? {
            return app.store.tidy_staging().await; // it was cancelled
        }
    }
    found["lines"] = json!(good + bad);
    found["good"] = json!(good);
    found["bad"] = json!(bad);
    found["bad_kinds"] = kinds_of(&kinds);
    found["bad_others"] = json!(kinds.others());
    if let Checking::Numbers(checking) = &checking {
        found["restored"] = json!(checking.restored);
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
        note(app, token, job.id, state, found).await?;
        return app.store.tidy_staging().await;
    }
    let doer = Doer { author: job.author.clone(), now: now(app) };
    let deed = match &checking {
        Checking::Exchanges(checking) => checking.deed(&doer),
        Checking::Numbers(checking) => {
            found["to_come"] = json!(checking.numbers);
            let deed = Deed::by(&doer, DeedKind::Imported).with("source", format!("import {}", job.id.0));
            let deed = deed.with("numbers", checking.numbers).with("restored", checking.restored);
            deed.with("lines", found["sha256"].clone())
        }
    };
    found["written"] = json!(0);
    app.store.begin_writing(token, job.id, deed, found).await?;
    Ok(())
}

/// Returns what is wrong with lines: of each kind how many there are, and the first of them.
fn kinds_of(bad: &BadLines) -> Value {
    let first = |(line, why): &(u64, BadLine)| json!({ "line": line, "detail": why.to_string() });
    let kinds = bad.kinds().iter().map(|kind| {
        let first: Vec<Value> = kind.first.iter().map(first).collect();
        json!({ "what": kind.what, "lines": kind.count, "first": first })
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

async fn write(app: &Arc<App>, token: LeaseToken, job: Job) -> Result<()> {
    // Where nobody serves, nobody waits for a piece.
    let unhurried = !app.alone;
    let size = if unhurried && app.store.folder().is_some() { PIECE_ALONE } else { PIECE_SHARED };
    let bad = bad_lines(app, job.id).await?;
    let event = job.found["event"].as_i64().unwrap_or(0);
    let mut found = job.found.clone();
    let number = |found: &Value, key: &str| found[key].as_u64().unwrap_or(0);
    let resumed_after = number(&found, "last_line");
    let mut lines = read(app, &job, LINES).await?;
    while let Some(some) = lines.recv().await {
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
                    Err(_) => {} // it is among the bad lines
                }
            }
            let count = u64::try_from(numbers.len() + exchanges.len()).unwrap_or(u64::MAX);
            let new = match app.store.look_up(numbers.iter().map(|(_, new)| new.clone()).collect()).await {
                Ok(looked) => {
                    numbers.iter().filter(|(_, new)| !looked.there.contains_key(&new.number)).count()
                }
                Err(error) => return Err(error),
            };
            let new = u64::try_from(new).unwrap_or(u64::MAX);
            found["written"] = json!(number(&found, "written").saturating_add(count));
            found["to_come"] = json!(number(&found, "to_come").saturating_sub(new));
            found["last_line"] = json!(to);
            let piece =
                if exchanges.is_empty() { Piece::Numbers(numbers) } else { Piece::Exchanges(exchanges) };
            let policy = app.settings.policy.clone();
            let noted = Noted::new(State::Writing, found.clone(), now(app));
            app.store.write_piece(token, job.id, piece, event, noted, policy).await?;
            app.orders_bell.notify_one(); // an order may wait for one of them
            if unhurried {
                tokio::time::sleep(begun.elapsed().min(PAUSE_MAX)).await;
            }
        }
    }
    let written = number(&found, "written");
    info!(import.id = job.id.0, written, "import {} is done: {written} lines are written", job.id.0);
    note(app, token, job.id, State::Done, found).await?;
    app.store.tidy_staging().await
}
