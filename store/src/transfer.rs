//! Moving everything from one store to another: the order of things, where to go on after a break, and the proof that
//! both sides are equal.
//!
//! [`apart`] sees to it that there are two stores. [`copy`] moves what is not there yet: the rows, and the file of an import
//! that has not ended. Then the target is opened again,
//! since a store reads its keys when it is opened. [`compare`] reads both sides row by row, and [`end`] makes the target a
//! store like any other.

use std::io::Read;
use std::time::Duration;

use onhook_core::audit::digest::Digest;
use onhook_core::job::{Kind, State};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::contract::jobs::JobId;
use crate::contract::transfer::{KEYS, Marks, Row, SETTINGS, TABLES, Table, Transfer, Value};
use crate::contract::upkeep::{Progress, Watch};
use crate::{Store, StoreError};

/// Why something was not moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// This program does not move all that a store has.
    #[error("this onhook does not move {}: nothing was written", .0.join(", "))]
    LeftOut(Vec<String>),
    /// Servers run on the source.
    #[error("a server runs on the source and holds {}: {STOP}", leases(.0))]
    SourceInUse(Vec<String>),
    /// Servers run on the target.
    #[error("a server runs on the target and holds {}: {STOP}", leases(.0))]
    TargetInUse(Vec<String>),
    /// Both sides are one store.
    #[error("source and target are the same database: nothing was moved. Name another target")]
    Same,
    /// The target has data of its own.
    #[error("the target is not empty: it has {rows} rows of kind {table}. Start with an empty one")]
    NotEmpty {
        /// The first kind of which it has some.
        table: &'static str,
        /// How many.
        rows: u64,
    },
    /// The target has a part of another source.
    #[error("the target holds an unfinished migration from another source. Start with an empty one")]
    OtherSource,
    /// The source is not what it was when the migration began.
    #[error(
        "the source has changed since the migration began: let nothing write to it, and start again with an empty target"
    )]
    Changed,
    /// The target has a mark that this program cannot read.
    #[error("the target holds a migration that this onhook did not begin. Start with an empty one")]
    Mark,
    /// The two sides differ.
    #[error(
        "source and target differ: the first difference is {thing} {key}. Start again with an empty target"
    )]
    Differ {
        /// What differs.
        thing: &'static str,
        /// Its key.
        key: String,
    },
    /// A store failed.
    #[error("the {side} failed")]
    Store {
        /// Which one.
        side: &'static str,
        /// Why.
        #[source]
        error: StoreError,
    },
}

/// What to do about servers that run.
const STOP: &str = "stop every server there (SIGTERM; the leases of one that crashed end by themselves within seconds), \
                    then run this again";

fn leases(names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("the lease{plural} {}", names.join(", "))
}

/// What was found equal on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equal {
    /// The kind of rows, as in [`TABLES`].
    pub table: &'static str,
    /// How many there are.
    pub rows: u64,
    /// The SHA-256 of the rows in the order of their keys, in hexadecimal.
    pub digest: String,
}

/// How far a migration got, as the target notes it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Mark {
    source: Stamp,
    /// The kind under way. `None` when all rows are there.
    table: Option<String>,
    /// The key of the last row of that kind that is there.
    after: Option<Vec<Value>>,
    /// How many rows of all kinds are there.
    rows: u64,
}

/// Which store it is, and in which state.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Stamp {
    /// The digest of its keys.
    keys: String,
    /// The digest of its settings and of the numbers drawn. Every command that writes and every server change some.
    state: String,
}

/// Feeds rows to a digest. Each value has its kind and its length before it.
fn feed(digest: &mut Sha256, row: &[Value]) {
    for value in row {
        let (kind, number, bytes): (u8, [u8; 8], &[u8]) = match value {
            Value::Null => (0, [0; 8], &[]),
            Value::Whole(value) => (1, value.to_be_bytes(), &[]),
            Value::Real(value) => (2, value.to_be_bytes(), &[]),
            Value::Text(text) => (3, length(text.len()), text.as_bytes()),
            Value::Bytes(bytes) => (4, length(bytes.len()), bytes),
        };
        digest.update([kind]);
        digest.update(number);
        digest.update(bytes);
    }
}

fn length(bytes: usize) -> [u8; 8] {
    u64::try_from(bytes).unwrap_or(u64::MAX).to_be_bytes()
}

fn of_source(error: StoreError) -> TransferError {
    TransferError::Store { side: "source", error }
}

fn of_target(error: StoreError) -> TransferError {
    TransferError::Store { side: "target", error }
}

async fn stamp(store: &dyn Transfer) -> Result<Stamp, StoreError> {
    let digest = async |table, more: &[Value]| -> Result<String, StoreError> {
        let mut digest = Sha256::new();
        for row in store.page(table, None).await? {
            feed(&mut digest, &row);
        }
        feed(&mut digest, more);
        Ok(Digest::from(digest).hex())
    };
    let drawn: Vec<Value> = store.drawn().await?.into_iter().map(Value::Whole).collect();
    Ok(Stamp { keys: digest(&KEYS, &[]).await?, state: digest(&SETTINGS, &drawn).await? })
}

/// Refuses stores on which servers run.
async fn alone(source: &dyn Transfer, target: &dyn Transfer) -> Result<(), TransferError> {
    let held = source.held_leases().await.map_err(of_source)?;
    if !held.is_empty() {
        return Err(TransferError::SourceInUse(held));
    }
    let held = target.held_leases().await.map_err(of_target)?;
    if held.is_empty() { Ok(()) } else { Err(TransferError::TargetInUse(held)) }
}

/// How often it is looked whether a server was started meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks again and again whether a server was started: what it changes would be found at the end, after hours.
struct Lookout(Instant);

impl Lookout {
    fn new() -> Self {
        Self(Instant::now())
    }

    /// Refuses to go on if a server runs on either side. Looks at most every [`LOOK_EVERY`].
    async fn look(&mut self, source: &dyn Transfer, target: &dyn Transfer) -> Result<(), TransferError> {
        if self.0.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        alone(source, target).await?;
        self.0 = Instant::now();
        Ok(())
    }
}

/// The lease that is taken on the target to see whether it is the source's, too, and how long it lasts if nobody ends it.
const APART: (&str, Duration) = ("migrate", Duration::from_secs(10));

/// Refuses to move a store to itself, whatever the addresses of the two say: what is written to the target for a moment
/// must not be seen in the source. Nothing else is written.
///
/// # Errors
/// [`TransferError`].
pub async fn apart(source: &dyn Store, target: &dyn Store) -> Result<(), TransferError> {
    let keys = stamp(source).await.map_err(of_source)?.keys;
    if keys != stamp(target).await.map_err(of_target)?.keys {
        return Ok(()); // one store has one set of keys
    }
    alone(source, target).await?;
    let Some(lease) = target.take_lease(APART.0, APART.1).await.map_err(of_target)? else {
        return Err(TransferError::TargetInUse(vec![APART.0.to_owned()]));
    };
    let held = source.held_leases().await.map_err(of_source);
    target.end_lease(APART.0, lease).await.map_err(of_target)?;
    if held?.iter().any(|name| name == APART.0) { Err(TransferError::Same) } else { Ok(()) }
}

/// Returns how many rows a store has.
async fn all_rows(store: &dyn Transfer) -> Result<u64, StoreError> {
    let mut rows = 0;
    for table in TABLES {
        rows += store.rows(table).await?;
    }
    Ok(rows)
}

fn text(mark: &Mark) -> Result<String, TransferError> {
    serde_json::to_string(mark).map_err(|error| of_target(error.into()))
}

/// Returns the mark of the target. Gives it one if it is empty.
async fn begun(target: &dyn Transfer, source: Stamp) -> Result<Mark, TransferError> {
    if let Some(mark) = target.mark().await.map_err(of_target)? {
        let mark: Mark = serde_json::from_str(&mark).map_err(|_| TransferError::Mark)?;
        return match mark.source {
            Stamp { ref keys, .. } if *keys != source.keys => Err(TransferError::OtherSource),
            ref known if *known != source => Err(TransferError::Changed),
            _ => Ok(mark),
        };
    }
    for table in TABLES.iter().filter(|table| ![KEYS.name, SETTINGS.name].contains(&table.name)) {
        let rows = target.rows(table).await.map_err(of_target)?;
        if rows > 0 {
            return Err(TransferError::NotEmpty { table: table.name, rows });
        }
    }
    let table = TABLES.first().map(|table| table.name.to_owned());
    let mark = Mark { source, table, after: None, rows: 0 };
    target.begin_transfer(text(&mark)?).await.map_err(of_target)?;
    Ok(mark)
}

/// Bytes of an import's file that are read together.
const PART: u64 = 1 << 20;

/// The file of an import.
type File = Box<dyn Read + Send>;

/// Returns the import that has a whole file and has not ended. A file that was still arriving ends with its request.
async fn import_with_file(store: &dyn Store) -> Result<Option<JobId>, StoreError> {
    let job = store.next_job(Kind::Import).await?;
    Ok(job.filter(|job| job.state != State::Receiving).map(|job| job.id))
}

/// Reads the next part of a file. It is empty at the end.
async fn next_part(mut file: File) -> Result<(File, Vec<u8>), StoreError> {
    let read = spawn_blocking(move || {
        let mut part = Vec::new();
        (&mut file).take(PART).read_to_end(&mut part).map(|_| (file, part))
    });
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| StoreError::Broken(error);
    read.await.map_err(|error| broken(error.into()))?.map_err(|error| broken(error.into()))
}

/// Moves the file of an import that has not ended, from its beginning: the target goes on with it. Its job is among the
/// rows.
async fn move_file(source: &dyn Store, target: &dyn Store) -> Result<(), TransferError> {
    let Some(job) = import_with_file(source).await.map_err(of_source)? else { return Ok(()) };
    let mut file = source.staging(job).await.map_err(of_source)?;
    for number in 0.. {
        let (rest, part) = next_part(file).await.map_err(of_source)?;
        if part.is_empty() && number > 0 {
            break;
        }
        target.write_staging(job, number, part).await.map_err(of_target)?;
        file = rest;
    }
    Ok(())
}

/// Sees to it that the file of an import that has not ended is the same on both sides.
async fn same_file(source: &dyn Store, target: &dyn Store) -> Result<(), TransferError> {
    let Some(job) = import_with_file(source).await.map_err(of_source)? else { return Ok(()) };
    let mut ours = source.staging(job).await.map_err(of_source)?;
    let mut theirs = target.staging(job).await.map_err(of_target)?;
    loop {
        let (our_rest, our_part) = next_part(ours).await.map_err(of_source)?;
        let (their_rest, their_part) = next_part(theirs).await.map_err(of_target)?;
        if our_part != their_part {
            return Err(TransferError::Differ { thing: "the file of import", key: job.0.to_string() });
        }
        if our_part.is_empty() {
            return Ok(());
        }
        (ours, theirs) = (our_rest, their_rest);
    }
}

/// Moves what the target does not have yet. It must be empty, or hold an unfinished migration from this source. `watch`
/// is called with the progress in rows. Afterwards the target has to be opened again.
///
/// # Errors
/// [`TransferError`]. What was moved stays, and the next call goes on there.
pub async fn copy(source: &dyn Store, target: &dyn Store, watch: &Watch) -> Result<(), TransferError> {
    let left = [source.left_out().await.map_err(of_source)?, target.left_out().await.map_err(of_target)?];
    if let Some(left) = left.into_iter().find(|left| !left.is_empty()) {
        return Err(TransferError::LeftOut(left));
    }
    alone(source, target).await?;
    let mut mark = begun(target, stamp(source).await.map_err(of_source)?).await?;
    let Some(first) = mark.table.clone() else { return Ok(()) };
    let first = TABLES.iter().position(|table| table.name == first).ok_or(TransferError::Mark)?;
    let total = all_rows(source).await.map_err(of_source)?;
    let mut written = text(&mark)?;
    watch(Progress { done: mark.rows, total });
    let mut lookout = Lookout::new();
    for table in TABLES.iter().skip(first) {
        loop {
            lookout.look(source, target).await?;
            let rows = source.page(table, mark.after.take()).await.map_err(of_source)?;
            let Some(last) = rows.last() else { break };
            mark.rows += count(rows.len());
            mark.table = Some(table.name.to_owned());
            mark.after = Some(key(table, last).to_vec());
            let marks = Marks { before: written, after: text(&mark)? };
            written = marks.after.clone();
            target.write_page(table, rows, marks).await.map_err(of_target)?;
            watch(Progress { done: mark.rows, total });
        }
    }
    move_file(source, target).await?;
    (mark.table, mark.after) = (None, None);
    let drawn = source.drawn().await.map_err(of_source)?;
    let marks = Marks { before: written, after: text(&mark)? };
    target.complete_transfer(drawn, marks).await.map_err(of_target)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

fn key<'a>(table: &Table, row: &'a Row) -> &'a [Value] {
    row.get(..table.key).unwrap_or(row)
}

/// Compares both sides row by row, and sees to it that the source is what it was and that no server runs on either.
/// `watch` is called with the progress in rows. Returns what is equal, for each of [`TABLES`].
///
/// # Errors
/// [`TransferError`], with the first difference if there is one.
pub async fn compare(
    source: &dyn Store,
    target: &dyn Store,
    watch: &Watch,
) -> Result<Vec<Equal>, TransferError> {
    let total = all_rows(source).await.map_err(of_source)?;
    let (mut done, mut equal, mut lookout) = (0, Vec::new(), Lookout::new());
    for table in TABLES {
        let (mut after, mut digest, mut rows) = (None, Sha256::new(), 0);
        loop {
            lookout.look(source, target).await?;
            let ours = source.page(table, after.clone()).await.map_err(of_source)?;
            let theirs = target.page(table, after).await.map_err(of_target)?;
            if let Some(key) = first_difference(table, &ours, &theirs) {
                alone(source, target).await?; // a server that was started is the reason
                let key = key.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                return Err(TransferError::Differ { thing: table.thing, key });
            }
            theirs.iter().for_each(|row| feed(&mut digest, row));
            rows += count(theirs.len());
            done += count(theirs.len());
            watch(Progress { done, total });
            let Some(last) = theirs.last() else { break };
            after = Some(key(table, last).to_vec());
        }
        equal.push(Equal { table: table.name, rows, digest: Digest::from(digest).hex() });
    }
    same_file(source, target).await?;
    let mark = target.mark().await.map_err(of_target)?.ok_or(TransferError::Mark)?;
    let mark: Mark = serde_json::from_str(&mark).map_err(|_| TransferError::Mark)?;
    if mark.source != stamp(source).await.map_err(of_source)? {
        return Err(TransferError::Changed);
    }
    alone(source, target).await?;
    Ok(equal)
}

/// Returns the first key at which two pages differ.
fn first_difference<'a>(table: &Table, ours: &'a [Row], theirs: &'a [Row]) -> Option<&'a [Value]> {
    let both = ours.iter().zip(theirs).find(|(ours, theirs)| ours != theirs);
    let pair = match both {
        Some((ours, theirs)) => [Some(ours), Some(theirs)],
        None => [ours.get(theirs.len()), theirs.get(ours.len())],
    };
    let keys = pair.into_iter().flatten().map(|row| key(table, row));
    keys.min_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal))
}

/// Makes the target a store like any other. The last step, after [`compare`].
///
/// # Errors
/// [`TransferError`].
pub async fn end(target: &dyn Transfer) -> Result<(), TransferError> {
    let mark = target.mark().await.map_err(of_target)?.ok_or(TransferError::Mark)?;
    target.end_transfer(mark).await.map_err(of_target)
}
