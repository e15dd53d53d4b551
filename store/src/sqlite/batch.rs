//! The numbers that one step works on: loaded together, changed in memory, saved together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use onhook_core::ids::{AccountId, EventSeq};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::{By, Transition};
use onhook_core::number::Number;
use onhook_core::order::search::{Criteria, Inventory};
use onhook_core::order::{Order, Request};
use onhook_core::time::Timestamp;

use super::counts::Counts;
use super::entries::{NumberRow, number_row, put_event};
use super::pool::{Lot, draw, lots, numbers_in};
use super::tables::Tables;
use crate::Result;
use crate::contract::pool::PoolQuery;
use crate::error::corrupt;

/// The numbers that one step works on: loaded together, changed in memory, saved together.
pub(super) struct Batch {
    pub(super) entries: HashMap<Number, Entry>,
    last_events: HashMap<Number, EventSeq>,
    /// Numbers that changed, with the holder that their row has.
    changed: BTreeMap<Number, Option<AccountId>>,
    /// Those of them that were in the pool, as they still are on disk.
    taken: HashSet<Number>,
    /// The lots that searches have found, which stand on disk until all is saved.
    lots: HashMap<Criteria, Rc<Vec<Lot>>>,
    counts: Counts,
}

impl Batch {
    pub(super) fn load(tables: &Tables<'_>, numbers: impl Iterator<Item = Number>) -> Result<Self> {
        let numbers: BTreeSet<Number> = numbers.collect();
        let entries = HashMap::with_capacity(numbers.len());
        let last_events = HashMap::with_capacity(numbers.len());
        let mut batch = Self {
            entries,
            last_events,
            changed: BTreeMap::new(),
            taken: HashSet::new(),
            lots: HashMap::new(),
            counts: Counts::default(),
        };
        for number in numbers {
            batch.add(tables, number)?;
        }
        Ok(batch)
    }

    fn add(&mut self, tables: &Tables<'_>, number: Number) -> Result<()> {
        if let Some(NumberRow { entry, last_event }) = number_row(tables.connection, number)? {
            self.entries.insert(number, entry);
            self.last_events.insert(number, last_event);
        }
        Ok(())
    }

    /// Pool numbers that fit what an order searches for, as many as it still wants, and how much was looked at.
    /// What the orders before it took is still in the pool on disk, so that more are looked for than are wanted.
    pub(super) fn find(&mut self, tables: &Tables<'_>, order: &Order) -> Result<(Vec<Entry>, usize)> {
        let (Request::Activate(activate), Some(search)) = (&order.request, order.request.search()) else {
            return Ok((Vec::new(), 0));
        };
        let mut work = 0;
        let lots = match self.lots.entry(search.criteria.clone()) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut().clone(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let lots = Rc::new(lots(tables.connection, &search.criteria)?);
                work += lots.len();
                new.insert(lots).clone()
            }
        };
        let left = search.quantity.saturating_sub(order.taken.len());
        let there = usize::try_from(numbers_in(&lots)).unwrap_or(usize::MAX);
        if there == 0 || (there < left && !activate.partial_allowed) {
            return Ok((Vec::new(), work + 1)); // certainly too few
        }
        let query = PoolQuery {
            criteria: search.criteria.clone(),
            inventory: Inventory::Pool,
            size: left + self.taken.len(),
            seed: order.id.0.as_u64_pair().1,
        };
        let mut found = Vec::with_capacity(left.min(there));
        for entry in draw(tables.connection, &lots, &query)? {
            work += 1;
            if found.len() == left {
                break;
            }
            if !self.taken.contains(&entry.number) {
                self.add(tables, entry.number)?;
                found.push(entry);
            }
        }
        Ok((found, work))
    }

    /// The numbers as they are now; those that do not exist are absent.
    pub(super) fn entries(&self) -> &HashMap<Number, Entry> {
        &self.entries
    }

    /// Writes the event and takes the change into account; the number's row follows with [`Batch::save`].
    pub(super) fn apply(
        &mut self,
        tables: &mut Tables<'_>,
        moved: &Transition,
        by: &By,
        at: Timestamp,
    ) -> Result<()> {
        let Transition { before, after, .. } = moved;
        let prev = self.last_events.get(&after.number);
        let prev = *prev.ok_or_else(|| corrupt(format!("{} was not loaded", after.number)))?;
        self.last_events.insert(after.number, put_event(tables, moved, prev, by, at)?);
        if before.state() == State::Available {
            self.taken.insert(before.number);
        }
        self.counts.change(before, after);
        self.entries.insert(after.number, *after);
        self.changed.entry(after.number).or_insert(before.standing.holder());
        Ok(())
    }

    /// Writes the rows of the numbers that changed, in the order of their digits, and the counts.
    pub(super) fn save(self, tables: &mut Tables<'_>) -> Result<()> {
        // Naming a column in an update touches each index that has it, whether or not its value changes. A
        // disconnect leaves the holder as it is, and the index of holders is the largest there is.
        let mut same_holder = tables.connection.prepare_cached(
            "UPDATE number SET state = ?2, site = ?3, peer = ?4, flags = ?5, due_at = ?6, last_event = ?7
             WHERE number = ?1",
        )?;
        let mut other_holder = tables.connection.prepare_cached(
            "UPDATE number SET state = ?2, holder = ?3, site = ?4, peer = ?5, flags = ?6, due_at = ?7, last_event = ?8
             WHERE number = ?1",
        )?;
        for (number, holder) in self.changed {
            let row = NumberRow { entry: self.entries[&number], last_event: self.last_events[&number] };
            if row.entry.standing.holder() == holder {
                same_holder.execute(row.values_but_holder())?;
            } else {
                other_holder.execute(row.values_but_area())?;
            }
        }
        self.counts.write(tables.connection, tables.cached)
    }
}
