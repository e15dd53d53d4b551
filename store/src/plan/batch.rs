//! The numbers of one transaction: what they are, what happens to them, and what to write.
//!
//! Numbers are loaded together, changed one after another in memory, and written together, in the order of their
//! digits. There is no SQL here: a store loads [`Known`] numbers and writes [`NumberWrites`].

use std::collections::{BTreeMap, HashMap, HashSet};

use onhook_core::ids::{AccountId, AreaId, EventSeq};
use onhook_core::lifecycle::area::{Area, AreaChange};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::{By, Change, Transition};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::{Author, Provenance};
use onhook_core::number::Number;
use onhook_core::time::Timestamp;

use super::counts::Counts;

/// A number as stored, with what its next event needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The number now.
    pub entry: Entry,
    /// Its last event, or the import that brought it.
    pub last_event: EventSeq,
    /// True while nothing has happened since its import. Its next event then carries the entry as it was imported.
    pub untouched: bool,
}

/// The numbers of a transaction as stored, with what their next events need.
#[derive(Debug, Default)]
pub struct Numbers {
    /// The numbers that exist among those that were asked for.
    pub known: Vec<Known>,
    /// Their areas.
    pub areas: HashMap<AreaId, Area>,
    /// The time of the latest among the last events of these numbers, or any later time: nothing that happens to them
    /// now is before it.
    pub latest: Timestamp,
}

/// The event before another one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prev {
    /// It is in the store.
    Stored(EventSeq),
    /// It is the n-th event of the same [`NumberWrites`], from 0.
    New(usize),
}

/// An event to be written. The store gives it its sequence number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The number that it is about.
    pub number: Number,
    /// The number's event before this one.
    pub prev: Prev,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub change: Change,
    /// Who or what made it happen.
    pub by: By,
    /// Under what. An order's event says nothing here.
    pub under: Provenance,
    /// The entry as it was imported, on the first event after the import.
    pub origin: Option<Entry>,
    /// The account it is about: the one that has the number then, or else the one that had it before.
    pub account: Option<AccountId>,
    /// The number's state before and after.
    pub states: (State, State),
}

/// A number's row to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberWrite {
    /// The number as it will be.
    pub entry: Entry,
    /// The number as its row has it now. What stays, such as the holder of a number that is disconnected, need not be
    /// written, nor its index.
    pub before: Entry,
    /// Its last event: the n-th of the same [`NumberWrites`], from 0.
    pub last_event: usize,
}

/// What to write about numbers, all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NumberWrites {
    /// The events, in the order in which they happen.
    pub events: Vec<NewEvent>,
    /// The numbers that changed, in the order of their digits.
    pub numbers: Vec<NumberWrite>,
    /// The changes of counts, supply and demand.
    pub counts: Counts,
    /// True if a number came into the pool: waiting orders may find numbers now.
    pub pool_grew: bool,
}

/// The numbers of a batch: as they were loaded, and as they are after the changes so far.
pub struct Batch<'a> {
    policy: &'a Policy,
    at: Timestamp,
    entries: HashMap<Number, Entry>,
    prevs: HashMap<Number, (Prev, bool)>,
    areas: HashMap<AreaId, Area>,
    /// The numbers that changed, as their rows have them.
    changed: BTreeMap<Number, Entry>,
    taken: HashSet<Number>,
    writes: NumberWrites,
}

impl<'a> Batch<'a> {
    /// Begins with numbers as stored. All that happens to them happens at `now`, or at the time of the latest event so
    /// far if that is later: time runs forward for each number, whatever the clock did.
    #[must_use]
    pub fn new(policy: &'a Policy, numbers: Numbers, now: Timestamp) -> Self {
        let Numbers { known, areas, latest } = numbers;
        let mut batch = Self {
            policy,
            at: now.max(latest),
            entries: HashMap::with_capacity(known.len()),
            prevs: HashMap::with_capacity(known.len()),
            areas,
            changed: BTreeMap::new(),
            taken: HashSet::new(),
            writes: NumberWrites::default(),
        };
        for Known { entry, last_event, untouched } in known {
            batch.entries.insert(entry.number, entry);
            batch.prevs.insert(entry.number, (Prev::Stored(last_event), untouched));
        }
        batch
    }

    /// Lets everything from now on happen at a later instant. An earlier one changes nothing.
    pub fn go_on_to(&mut self, at: Timestamp) {
        self.at = self.at.max(at);
    }

    /// Returns when everything in this batch happens from now on.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns the numbers as they are now. A number that does not exist is absent.
    #[must_use]
    pub fn entries(&self) -> &HashMap<Number, Entry> {
        &self.entries
    }

    /// Returns the areas as they are now.
    #[must_use]
    pub fn areas(&self) -> &HashMap<AreaId, Area> {
        &self.areas
    }

    /// True if this batch has taken the number out of the pool. The store's rows do not show it yet.
    #[must_use]
    pub fn has_taken(&self, number: Number) -> bool {
        self.taken.contains(&number)
    }

    /// Counts a number that is new in the store. The caller writes its row.
    pub fn add(&mut self, entry: &Entry) {
        self.writes.counts.add(entry);
        self.writes.pool_grew |= entry.state() == State::Available;
    }

    /// Applies a transition to a loaded number.
    ///
    /// # Panics
    /// If the number or its area was not loaded: the plan must ask for all that it changes.
    pub fn apply(&mut self, transition: Transition, by: By) {
        self.happen(transition, by, Provenance::default());
    }

    /// Applies what a person or program does to a loaded number.
    ///
    /// # Panics
    /// As [`Batch::apply`].
    pub fn act(&mut self, transition: Transition, Author { user, under }: Author) {
        self.happen(transition, By::User(user), under);
    }

    fn happen(&mut self, transition: Transition, by: By, under: Provenance) {
        let Transition { change, before, after } = transition;
        let at = self.at;
        let number = after.number;
        let index = self.writes.events.len();
        let known = self.prevs.insert(number, (Prev::New(index), false));
        let (prev, untouched) = known.expect("a number that changes was loaded");
        let half_life_days = self.policy.profile(number).half_life_days;
        self.writes.counts.change(&before, &after);
        for (area, change) in AreaChange::of(&before, &after, at, half_life_days) {
            self.areas.get_mut(&area).expect("the area of each number was loaded").change(&change);
            self.writes.counts.areas.entry(area).or_default().add(&change);
        }
        self.writes.pool_grew |= before.state() != State::Available && after.state() == State::Available;
        if before.state() == State::Available {
            self.taken.insert(number);
        }
        self.changed.entry(number).or_insert(before);
        self.entries.insert(number, after);
        let origin = untouched.then_some(before);
        let account = after.standing.holder().or(before.standing.holder());
        let states = (before.state(), after.state());
        let event = NewEvent { number, prev, at, change, by, under, origin, account, states };
        self.writes.events.push(event);
    }

    /// Returns what to write.
    #[must_use]
    pub fn finish(self) -> NumberWrites {
        let Self { entries, prevs, changed, mut writes, .. } = self;
        writes.numbers = changed
            .into_iter()
            .filter_map(|(number, before)| match prevs[&number].0 {
                Prev::New(last_event) => Some(NumberWrite { entry: entries[&number], before, last_event }),
                Prev::Stored(_) => None,
            })
            .collect();
        writes
    }
}
