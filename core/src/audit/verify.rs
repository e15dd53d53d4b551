//! What is wrong with sealed events: each fault has the position of an event, and one of five words.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::chain::{SEALED_MAX, Seal};
use super::digest::Digest;
use super::line::digest;
use crate::words::words;

/// Most faults that are kept.
pub const FAULTS_MAX: usize = 1_000;

/// Most changed events under one seal among which it is looked for those that have changed places.
const MOVED_MAX: usize = 100;

words! {
    /// What happened to an event after it was sealed.
    FaultKind {
        /// It says something else, or its digest or its seal does.
        Changed = "changed",
        /// It is gone.
        Missing = "missing",
        /// It stands where another one stood.
        Moved = "moved",
        /// It was not there when the others were sealed.
        Added = "added",
        /// All from here on are gone.
        CutOff = "cut off",
    }
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The position of the event. Of one that was added without a position, that of the event before it.
    pub position: u64,
    /// What happened to it.
    pub kind: FaultKind,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.position, self.kind)
    }
}

/// An event as it is found: in the order of the file, or of the store's positions.
#[derive(Clone, Debug)]
pub struct Found {
    /// The digest that is kept with it.
    pub kept: Digest,
    /// The event as it is shown. `None` if it cannot be read.
    pub shown: Option<Value>,
}

/// What somebody noted of the audit trail elsewhere: the hash of the seal that ends at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The last position under the seal.
    pub position: u64,
    /// The seal's hash.
    pub hash: Digest,
}

impl std::str::FromStr for Anchor {
    type Err = NoAnchor;

    fn from_str(text: &str) -> Result<Self, NoAnchor> {
        let (position, hash) = text.split_once(':').ok_or(NoAnchor)?;
        let position = position.parse().map_err(|_| NoAnchor)?;
        Ok(Self { position, hash: hash.parse().map_err(|_| NoAnchor)? })
    }
}

/// The text is not an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an anchor is a position, a colon, and the hash of the seal that ends there: 1250:sha256:…")]
pub struct NoAnchor;

/// A verification under way: seals and the events under them are fed in turn.
#[derive(Debug, Default)]
pub struct Verifier {
    anchors: Vec<Anchor>,
    last: Option<Seal>,
    /// Events under the seals so far, as they should be.
    pub events: u64,
    /// Seals so far.
    pub seals: u64,
    faults: Vec<Fault>,
}

impl Verifier {
    /// Begins. What is cut off at the end is seen by anchors alone.
    #[must_use]
    pub fn new(anchors: Vec<Anchor>) -> Self {
        Self { anchors, ..Self::default() }
    }

    /// Begins behind a seal that is trusted.
    #[must_use]
    pub fn behind(seal: Option<Seal>, anchors: Vec<Anchor>) -> Self {
        Self { last: seal, anchors, ..Self::default() }
    }

    /// Returns the last seal so far.
    #[must_use]
    pub fn head(&self) -> Option<&Seal> {
        self.last.as_ref()
    }

    /// Notes a fault. Those beyond [`FAULTS_MAX`] are dropped.
    pub fn note(&mut self, position: u64, kind: FaultKind) {
        let fault = Fault { position, kind };
        if self.faults.len() < FAULTS_MAX && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Verifies the next seal, and the events that stand under it, each with its position, in the order in which they
    /// are found.
    pub fn seal(&mut self, seal: &Seal, events: &[(u64, Option<Found>)]) {
        let (batch, end, previous) =
            self.last.map_or((0, 0, Digest::default()), |last| (last.batch, last.last, last.hash));
        let faults = self.faults.len();
        if seal.first > seal.last || seal.last - seal.first >= u64::try_from(SEALED_MAX).unwrap_or(u64::MAX) {
            self.note(seal.first, FaultKind::Changed);
            return;
        }
        if seal.first > end + 1 {
            self.note(end + 1, FaultKind::Missing); // with its seal
        } else if seal.first <= end || seal.batch <= batch {
            self.note(seal.first, FaultKind::Moved);
        }
        self.events_of(seal, events);
        let linked = seal.previous == previous && seal.batch == batch + 1;
        let whole = seal.computed_hash() == seal.hash;
        // What is wrong with its events is said already, and a gap before it explains that it names another seal.
        if self.faults.len() == faults && !(linked && whole) {
            self.note(seal.last, FaultKind::Changed);
        }
        for anchor in self.anchors.clone() {
            let ends_here = anchor.position == seal.last && anchor.hash != seal.hash;
            let within = (seal.first..seal.last).contains(&anchor.position);
            if ends_here || within {
                self.note(anchor.position, FaultKind::Changed);
            }
        }
        self.events += seal.last - seal.first + 1;
        self.seals += 1;
        self.last = Some(*seal);
    }

    fn events_of(&mut self, seal: &Seal, events: &[(u64, Option<Found>)]) {
        let faults = self.faults.len();
        let mut there: HashMap<u64, Digest> = HashMap::with_capacity(events.len());
        let mut changed: Vec<(u64, &Found)> = Vec::new();
        let mut highest = 0;
        for (position, found) in events {
            if !(seal.first..=seal.last).contains(position) || there.contains_key(position) {
                self.note(*position, FaultKind::Added);
                continue;
            }
            let Some(found) = found else { continue };
            there.insert(*position, found.kept);
            if *position < highest {
                self.note(*position, FaultKind::Moved);
            }
            highest = highest.max(*position);
            if found.shown.as_ref().and_then(digest) != Some(found.kept) {
                changed.push((*position, found));
            }
        }
        for (position, found) in &changed {
            let others = changed.iter().filter(|(other, _)| other != position).take(MOVED_MAX);
            let was_there = |(other, at): &(u64, &Found)| is_of(found, *other, at);
            let moved = changed.len() <= MOVED_MAX && others.into_iter().any(was_there);
            self.note(*position, if moved { FaultKind::Moved } else { FaultKind::Changed });
        }
        for position in (seal.first..=seal.last).filter(|position| !there.contains_key(position)) {
            self.note(position, FaultKind::Missing);
        }
        if self.faults.len() == faults {
            let digests: Vec<Digest> =
                (seal.first..=seal.last).filter_map(|position| there.get(&position).copied()).collect();
            if Digest::of_all(&digests) != seal.root {
                self.note(seal.first, FaultKind::Changed); // with its digest: it is one of those under the seal
            }
        }
    }

    /// Ends the verification, and returns the faults by position.
    #[must_use]
    pub fn finish(mut self) -> Vec<Fault> {
        let end = self.last.map_or(0, |last| last.last);
        if self.anchors.iter().any(|anchor| anchor.position > end) {
            self.note(end + 1, FaultKind::CutOff);
        }
        // One that is missing in its place and was found in another has moved.
        let (mut moved, mut faults) = (Vec::new(), std::mem::take(&mut self.faults));
        for fault in &faults {
            let added = Fault { kind: FaultKind::Added, ..*fault };
            if fault.kind == FaultKind::Missing && faults.contains(&added) {
                moved.push(Fault { kind: FaultKind::Moved, ..*fault });
            }
        }
        faults.retain(|fault| {
            let (there, gone) = (fault.kind == FaultKind::Added, fault.kind == FaultKind::Missing);
            !((there || gone) && moved.iter().any(|moved| moved.position == fault.position))
        });
        faults.extend(moved);
        faults.sort_unstable();
        faults
    }
}

/// Returns whether an event is the one that was sealed at `position`, where `there` stands now.
fn is_of(found: &Found, position: u64, there: &Found) -> bool {
    let Some(mut shown) = found.shown.clone() else { return false };
    shown["position"] = json!(position.to_string());
    if digest(&shown) == Some(there.kept) {
        return true;
    }
    let Some(seq) = there.shown.as_ref().and_then(|there| there.get("seq")) else { return false };
    shown["seq"] = seq.clone();
    digest(&shown) == Some(there.kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    type Batch = (Seal, Vec<(u64, Option<Found>)>);

    /// Two seals, of three and two events.
    fn trail() -> Vec<Batch> {
        let mut last: Option<Seal> = None;
        let mut trail = Vec::new();
        for count in [3, 2] {
            let first = last.map_or(1, |seal: Seal| seal.last + 1);
            let found = |position: u64| {
                let shown = json!({"position": position.to_string(), "seq": (position + 7).to_string(), "n": position * 5});
                (position, Some(Found { kept: digest(&shown).unwrap(), shown: Some(shown) }))
            };
            let events: Vec<_> = (first..first + count).map(found).collect();
            let digests: Vec<Digest> =
                events.iter().filter_map(|(_, found)| Some(found.as_ref()?.kept)).collect();
            let seal = Seal::over(last.as_ref(), &digests, Timestamp::from_millis(0));
            last = Some(seal);
            trail.push((seal, events));
        }
        trail
    }

    fn faults(anchors: Vec<Anchor>, trail: &[Batch]) -> Vec<String> {
        let mut verifier = Verifier::new(anchors);
        for (seal, events) in trail {
            verifier.seal(seal, events);
        }
        verifier.finish().iter().map(ToString::to_string).collect()
    }

    fn after(change: impl FnOnce(&mut Vec<Batch>)) -> Vec<String> {
        let mut trail = trail();
        change(&mut trail);
        faults(Vec::new(), &trail)
    }

    #[test]
    fn each_fault_has_its_position_and_its_word() {
        let nothing: [&str; 0] = [];
        assert_eq!(after(|_| {}), nothing);
        let changed =
            after(|trail| trail[0].1[1].1.as_mut().unwrap().shown.as_mut().unwrap()["n"] = json!(1));
        assert_eq!(changed, ["2: changed"]);
        assert_eq!(after(|trail| trail[0].1[1].1.as_mut().unwrap().shown = None), ["2: changed"]);
        assert_eq!(after(|trail| trail[1].1[0].1 = None), ["4: missing"]);
        assert_eq!(after(|trail| drop(trail[0].1.remove(2))), ["3: missing"]);
        assert_eq!(after(|trail| trail[0].1.swap(0, 2)), ["1: moved", "2: moved"]);
        let swapped = after(|trail| {
            let events = &mut trail[0].1;
            let shown = |at: usize| events[at].1.as_ref().unwrap().shown.clone().unwrap();
            let (mut one, mut other) = (shown(0), shown(2));
            std::mem::swap(&mut one["n"], &mut other["n"]);
            events[0].1.as_mut().unwrap().shown = Some(one);
            events[2].1.as_mut().unwrap().shown = Some(other);
        });
        assert_eq!(swapped, ["1: moved", "3: moved"], "what they say has changed places");
        let twice = after(|trail| {
            let event = trail[0].1[0].clone();
            trail[1].1.push(event);
        });
        assert_eq!(twice, ["1: added"]);
        let across = after(|trail| {
            let (one, other) = (trail[0].1[2].clone(), trail[1].1[0].clone());
            (trail[0].1[2], trail[1].1[0]) = (other, one);
        });
        assert_eq!(across, ["3: moved", "4: moved"], "under the seals of each other");
        assert_eq!(after(|trail| drop(trail.remove(0))), ["1: missing"]);
        assert_eq!(after(|trail| trail.swap(0, 1)), ["1: missing", "1: moved"]);
        let with_digest = after(|trail| {
            let found = trail[1].1[1].1.as_mut().unwrap();
            found.shown.as_mut().unwrap()["n"] = json!(1);
            found.kept = digest(found.shown.as_ref().unwrap()).unwrap();
        });
        assert_eq!(with_digest, ["4: changed"], "the first one under the seal");
        assert_eq!(after(|trail| trail[0].0.sealed_at = Timestamp::from_millis(1)), ["3: changed"]);
    }

    #[test]
    fn what_is_cut_off_or_written_anew_is_seen_by_an_anchor_alone() {
        let whole = trail();
        let anchors: Vec<Anchor> =
            whole.iter().map(|(seal, _)| Anchor { position: seal.last, hash: seal.hash }).collect();
        let nothing: [&str; 0] = [];
        assert_eq!(faults(anchors.clone(), &whole), nothing);
        assert_eq!(faults(Vec::new(), &whole[..1]), nothing);
        assert_eq!(faults(anchors.clone(), &whole[..1]), ["4: cut off"]);
        let other = Anchor { hash: Digest::of("another"), ..anchors[0] };
        assert_eq!(faults(vec![other], &whole), ["3: changed"]);
        assert_eq!(faults(vec![Anchor { position: 2, ..anchors[0] }], &whole), ["2: changed"]);
        let text = format!("3:{}", anchors[0].hash);
        assert_eq!((text.parse(), "3".parse::<Anchor>()), (Ok(anchors[0]), Err(NoAnchor)));
    }
}
