//! What is done with the audit trail of any store: sealing it, reading it by position, and verifying it.
//!
//! Each read is short, and the next one begins behind it: no snapshot is held.

use std::collections::HashMap;
use std::time::Duration;

use onhook_core::audit::chain::{SEALED_MAX, Seal};
use onhook_core::audit::digest::Digest;
use onhook_core::audit::line::{Line, LineFilter};
use onhook_core::audit::verify::{Anchor, FAULTS_MAX, Fault, FaultKind, Found, Verifier};
use onhook_core::check::Finding;
use onhook_core::ids::EventSeq;
use onhook_core::report::Known;
use onhook_core::time::Timestamp;
use serde_json::json;

use crate::contract::audit::{Audit, Late, SEALER, Sealed, Unsealed};
use crate::contract::leases::{LeaseToken, Leases};
use crate::contract::upkeep::Report;
use crate::{Result, StoreError};

/// Most events that one page of the feed looks at. It tells where it stopped.
pub const LOOKS_MAX: usize = 10_000;

/// Seals that are read together.
const SEALS: usize = 4;

/// Events that are read together.
const LINES: usize = 1_000;

/// How long an offline command has the sealer's lease at a time.
pub const LEASE: Duration = Duration::from_secs(10);

/// Gives positions to events that have none, at most [`SEALED_MAX`], and seals them. Returns how many there were.
///
/// # Errors
/// As [`Audit::seal`].
pub async fn seal_next<S: Audit + ?Sized>(store: &S, lease: LeaseToken, now: Timestamp) -> Result<usize> {
    let before = store.head().await?;
    let first = before.map_or(1, |seal| seal.last + 1);
    let Unsealed { seqs, digests, marks } = store.unsealed(first).await?;
    if seqs.is_empty() {
        return Ok(0);
    }
    let sealed_at = before.map_or(now, |before| now.max(before.sealed_at));
    let seal = Seal::over(before.as_ref(), &digests, sealed_at);
    let count = seqs.len();
    store.seal(lease, Sealed { seal, seqs, digests }, marks).await?;
    Ok(count)
}

/// Seals what an offline command wrote. Does nothing if a server has the sealer's lease: it does that itself.
///
/// # Errors
/// If the store fails.
pub async fn seal_all<S: Audit + Leases + ?Sized>(store: &S, now: Timestamp) -> Result<()> {
    if store.unsealed_count().await? == 0 {
        return Ok(());
    }
    let Some(lease) = store.take_lease(SEALER, LEASE).await? else { return Ok(()) };
    let mut left = 1;
    while left > 0 && store.renew_lease(SEALER, lease, LEASE).await? {
        left = seal_next(store, lease, now).await?;
    }
    store.end_lease(SEALER, lease).await
}

/// A page of the feed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feed {
    /// The events that fit, each with its position.
    pub lines: Vec<(u64, Line)>,
    /// The last position that was looked at, if there is more behind it.
    pub next: Option<u64>,
    /// The last position that was looked at.
    pub seen: u64,
}

/// Returns events behind a position that fit a filter, at most `size`. It looks at [`LOOKS_MAX`] events at most, so it
/// may return fewer, and tells where to go on.
///
/// # Errors
/// If the store fails.
pub async fn feed<S: Audit + ?Sized>(
    store: &S,
    after: u64,
    size: usize,
    filter: &LineFilter,
) -> Result<Feed> {
    let mut feed = Feed::default();
    let (mut at, mut looked) = (after, 0);
    loop {
        let page = store.sealed(at, SEALS).await?;
        let Some(last) = page.last().map(|sealed| sealed.seal.last) else {
            feed.seen = at;
            return Ok(feed);
        };
        let wanted: Vec<(u64, EventSeq)> = page
            .iter()
            .flat_map(|sealed| (sealed.seal.first..).zip(&sealed.seqs))
            .filter(|(position, _)| *position > at)
            .map(|(position, seq)| (position, *seq))
            .collect();
        // A page without a filter reads no more than it shows.
        for chunk in wanted.chunks(LINES.min(size.max(1))) {
            let mut lines = by_seq(store.lines(chunk.iter().map(|(_, seq)| *seq).collect()).await?);
            for (position, seq) in chunk {
                if feed.lines.len() >= size || looked >= LOOKS_MAX {
                    (feed.next, feed.seen) = (Some(at), at);
                    return Ok(feed);
                }
                (at, looked) = (*position, looked + 1);
                if let Some(line) = lines.remove(seq).filter(|line| filter.fits(line)) {
                    feed.lines.push((*position, line));
                }
            }
        }
        at = at.max(last);
    }
}

fn by_seq(lines: Vec<Line>) -> HashMap<EventSeq, Line> {
    lines.into_iter().map(|line| (line.seq, line)).collect()
}

/// Returns the lines of an export of the next seal that reaches behind a position, each as JSON with a line feed, and the
/// seal: its events with their digests, then itself. `None` if there is none yet.
///
/// # Errors
/// If the store fails, or an event under the seal cannot be read.
pub async fn exported<S: Audit + ?Sized>(store: &S, after: u64) -> Result<Option<(String, Seal)>> {
    let Some(sealed) = store.sealed(after, 1).await?.pop() else { return Ok(None) };
    let mut text = String::new();
    let mut write = |line: &serde_json::Value| {
        text.push_str(&line.to_string());
        text.push('\n');
    };
    let events: Vec<(u64, (&EventSeq, &Digest))> =
        (sealed.seal.first..).zip(sealed.seqs.iter().zip(&sealed.digests)).collect();
    for chunk in events.chunks(LINES) {
        let mut lines = by_seq(store.lines(chunk.iter().map(|(_, (seq, _))| **seq).collect()).await?);
        for (position, (seq, kept)) in chunk {
            // One that is gone is missing in the export too, and a verification of that says so.
            if let Some(line) = lines.remove(seq) {
                write(&json!({"event": line.shown(Some(*position)), "digest": kept.to_string()}));
            }
        }
    }
    write(&json!({"seal": sealed.seal.shown()}));
    Ok(Some((text, sealed.seal)))
}

/// Returns the positions of events that have one.
///
/// # Errors
/// If the store fails.
pub async fn positions<S: Audit + ?Sized>(
    store: &S,
    events: impl IntoIterator<Item = EventSeq>,
) -> Result<HashMap<EventSeq, u64>> {
    let mut found: HashMap<EventSeq, u64> = HashMap::new();
    for event in events {
        if !found.contains_key(&event)
            && let Some(sealed) = store.sealed_with(event).await?
        {
            let positions = (sealed.seal.first..).zip(sealed.seqs);
            found.extend(positions.map(|(position, seq)| (seq, position)));
        }
    }
    Ok(found)
}

/// Returns which events have a position up to this one: for reports, which are the same for ever as of a position.
/// Positions that do not exist yet know all events that have one.
///
/// # Errors
/// If the store fails.
pub async fn known<S: Audit + ?Sized>(store: &S, position: u64) -> Result<Known> {
    let partial = match position.checked_sub(1) {
        None => None,
        Some(before) => store.sealed(before, 1).await?.pop(),
    };
    let before = partial.as_ref().map_or(position, |sealed| sealed.seal.first - 1);
    let mut last = store.last_sealed(before).await?;
    if let Some(sealed) = partial {
        let named = (sealed.seal.first..).zip(&sealed.seqs).filter(|(at, _)| *at <= position);
        last = named.map(|(_, seq)| *seq).max().map_or(last, |own| own.max(last));
    }
    let mut known = Known::to(last);
    known.without(&store.late(position, last).await?.events);
    Ok(known)
}

/// Keeps what reports know true while numbers are read: an event that is committed late, and read, was no part of it.
#[derive(Debug)]
pub struct Lookout {
    looked: u64,
    to: EventSeq,
}

impl Lookout {
    /// Begins for reports that know nothing behind this position, and no event later than `to` by sequence number.
    #[must_use]
    pub fn new(position: u64, to: EventSeq) -> Self {
        Self { looked: position, to }
    }

    /// Returns events that were committed late, and that may have been read since it was asked last.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn late<S: Audit + ?Sized>(&mut self, store: &S) -> Result<Vec<EventSeq>> {
        let Late { events, looked } = store.late(self.looked, self.to).await?;
        self.looked = looked;
        Ok(events)
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The faults, by position.
    pub faults: Vec<Fault>,
    /// Events under seals.
    pub events: u64,
    /// Seals.
    pub seals: u64,
    /// The last seal.
    pub head: Option<Seal>,
    /// Events that have no position yet.
    pub unsealed: u64,
}

/// Verifies what is stored: every seal, every event under one, and that no event is there beside them.
///
/// # Errors
/// If the store fails.
pub async fn verify<S: Audit + ?Sized>(store: &S, anchors: Vec<Anchor>) -> Result<Verified> {
    let mut verifier = Verifier::new(anchors);
    let mut named = Bits::default();
    // What is written meanwhile gets seals that are not looked at, so it is noted first.
    let end = store.head().await?.map_or(0, |head| head.last);
    let newest = store.unsealed_seqs().await?;
    let mut at = 0;
    while at < end {
        let page = store.sealed(at, SEALS).await?;
        let Some(last) = page.last().map(|sealed| sealed.seal.last) else { break };
        for sealed in page.iter().filter(|sealed| sealed.seal.first <= end) {
            sealed.seqs.iter().for_each(|seq| named.set(*seq));
            verifier.seal(&sealed.seal, &under(store, sealed).await?);
        }
        at = last.max(at + 1);
    }
    newest.iter().for_each(|seq| named.set(*seq));
    added(store, &named, &mut verifier).await?;
    let (events, seals, head) = (verifier.events, verifier.seals, verifier.head().copied());
    let unsealed = u64::try_from(newest.len()).unwrap_or(u64::MAX);
    Ok(Verified { faults: verifier.finish(), events, seals, head, unsealed })
}

/// Adds to a check's report what is wrong with the audit trail. An engine that finds its file broken is enough, and so
/// are [`FAULTS_MAX`] findings.
///
/// # Errors
/// If the store fails.
pub(crate) async fn verified<S: Audit + ?Sized>(store: &S, mut report: Report) -> Result<Report> {
    let left = FAULTS_MAX.saturating_sub(report.findings.len());
    if left > 0 {
        for fault in verify(store, Vec::new()).await?.faults.into_iter().take(left) {
            let what = format!("the event is {} since it was sealed", fault.kind);
            report.findings.push(Finding::new(format!("position {}", fault.position), what));
        }
    }
    Ok(report)
}

/// Returns the events under a seal as they are stored now.
async fn under<S: Audit + ?Sized>(store: &S, sealed: &Sealed) -> Result<Vec<(u64, Option<Found>)>> {
    let mut found = Vec::with_capacity(sealed.seqs.len());
    let events: Vec<(u64, (&EventSeq, &Digest))> =
        (sealed.seal.first..).zip(sealed.seqs.iter().zip(&sealed.digests)).collect();
    for chunk in events.chunks(LINES) {
        let seqs: Vec<EventSeq> = chunk.iter().map(|(_, (seq, _))| **seq).collect();
        let (lines, unreadable) = readable(store, seqs).await?;
        let mut lines = by_seq(lines);
        for (position, (seq, kept)) in chunk {
            let event = match lines.remove(seq) {
                Some(line) => Some(Found { kept: **kept, shown: Some(line.shown(Some(*position))) }),
                None if unreadable.contains(*seq) => Some(Found { kept: **kept, shown: None }),
                None => None,
            };
            found.push((*position, event));
        }
    }
    Ok(found)
}

/// Returns the events that can be read, and the others that are there.
async fn readable<S: Audit + ?Sized>(store: &S, seqs: Vec<EventSeq>) -> Result<(Vec<Line>, Vec<EventSeq>)> {
    match store.lines(seqs.clone()).await {
        Ok(lines) => return Ok((lines, Vec::new())),
        Err(StoreError::Broken(_)) => {}
        Err(error) => return Err(error),
    }
    let (mut lines, mut unreadable) = (Vec::new(), Vec::new());
    for seq in seqs {
        match store.lines(vec![seq]).await {
            Ok(found) => lines.extend(found),
            Err(StoreError::Broken(_)) => unreadable.push(seq),
            Err(error) => return Err(error),
        }
    }
    Ok((lines, unreadable))
}

/// Finds events that no seal names, though they are no newer than the newest ones that wait for one.
async fn added<S: Audit + ?Sized>(store: &S, named: &Bits, verifier: &mut Verifier) -> Result<()> {
    let mut at = EventSeq(i64::MIN);
    let mut before = None;
    let mut strays = Vec::new();
    while strays.len() < FAULTS_MAX {
        let page = store.seqs(at, SEALED_MAX).await?;
        let Some(last) = page.last() else { break };
        for seq in &page {
            if named.has(*seq) {
                before = Some(*seq);
            } else if seq.0 <= named.highest {
                strays.push((*seq, before));
            }
        }
        at = *last;
    }
    if strays.is_empty() {
        return Ok(());
    }
    // One that was committed late is among those that wait by now, or under a newer seal.
    let waiting = store.unsealed_seqs().await?;
    for (seq, before) in strays {
        if waiting.contains(&seq) || store.sealed_with(seq).await?.is_some() {
            continue;
        }
        let position = match before {
            Some(before) => positions(store, [before]).await?.get(&before).copied(),
            None => None,
        };
        verifier.note(position.unwrap_or(0), FaultKind::Added);
    }
    Ok(())
}

/// A set of sequence numbers, a bit each.
#[derive(Default)]
struct Bits {
    words: Vec<u64>,
    highest: i64,
}

impl Bits {
    fn place(seq: EventSeq) -> Option<(usize, u64)> {
        let at = u64::try_from(seq.0).ok()?;
        Some((usize::try_from(at / 64).ok()?, 1 << (at % 64)))
    }

    fn set(&mut self, seq: EventSeq) {
        let Some((word, bit)) = Self::place(seq) else { return };
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
        self.highest = self.highest.max(seq.0);
    }

    fn has(&self, seq: EventSeq) -> bool {
        Self::place(seq).is_some_and(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }
}
