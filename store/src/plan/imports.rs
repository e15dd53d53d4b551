//! An import of numbers: which lines are taken and as what, and which are refused and why.

use std::collections::HashMap;

use onhook_core::account::Premises;
use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::audit::digest::Digest;
use onhook_core::ids::{AccountId, AreaId};
use onhook_core::import::{BadLine, Intake, NewNumber, restore};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::{By, Transition};
use onhook_core::lifecycle::history::History;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::{self, Exchange};
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::batch::{Batch, NumberWrites, Numbers};
use crate::contract::imports::{Imported, Line, Looked};

/// An import under way, some lines at a time.
#[derive(Debug)]
pub struct Import {
    at: Timestamp,
    past_releases: bool,
    /// The numbers brought so far, each with its line: some twenty bytes a number.
    seen: HashMap<Number, u64>,
    /// Over the entries that were taken, each as JSON and a line feed, in the order of their lines.
    digest: Sha256,
    /// The result so far.
    pub imported: Imported,
}

/// What the plan of some lines needs.
#[derive(Debug)]
pub struct Loaded<'a> {
    /// The numbers of these lines that are in the store.
    pub there: Numbers,
    /// The histories of those that have left.
    pub gone: HashMap<Number, History>,
    /// The sites and peers of their accounts. An account that does not exist or is closed is absent.
    pub premises: &'a HashMap<AccountId, Premises>,
    /// The area of each readable line, in the order of the lines: see [`area`]. These areas are among those of `there`.
    pub area_ids: Vec<AreaId>,
}

/// What some lines write, all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Writes {
    /// The numbers that are new. The import is their last event, and nothing has happened since.
    pub new: Vec<Entry>,
    /// The numbers that had left and are back, and the changes of all counts.
    pub numbers: NumberWrites,
}

/// The check of an import's lines, before any of them is written.
#[derive(Debug)]
pub struct Checking {
    at: Timestamp,
    past_releases: bool,
    /// The numbers of good lines so far, each with its line: some twenty bytes a number.
    seen: HashMap<Number, u64>,
    /// How many numbers are new.
    pub numbers: u64,
    /// How many removed numbers come back.
    pub restored: u64,
}

impl Checking {
    /// Begins a check at `at`. With `past_releases`, an aging number may already be due.
    #[must_use]
    pub fn new(at: Timestamp, past_releases: bool) -> Self {
        Self { at, past_releases, seen: HashMap::new(), numbers: 0, restored: 0 }
    }

    /// Checks the next lines, against the store and the lines before them. Returns those that are bad.
    pub fn check(&mut self, lines: Vec<Line>, looked: &Looked, policy: &Policy) -> Vec<(u64, BadLine)> {
        let mut bad = Vec::new();
        for (line, new) in lines {
            match new.and_then(|new| self.judge(&new, looked, policy)) {
                Ok(number) => {
                    self.seen.insert(number, line);
                }
                Err(why) => bad.push((line, why)),
            }
        }
        bad
    }

    fn judge(&mut self, new: &NewNumber, looked: &Looked, policy: &Policy) -> Result<Number, BadLine> {
        if let Some(first) = self.seen.get(&new.number) {
            return Err(BadLine::Twice { what: new.number.to_string(), first: *first });
        }
        let premises = new.holder().and_then(|account| looked.premises.get(&account));
        let released_from = (!self.past_releases).then_some(self.at);
        // Its area has no say in whether it is taken, and is made when it is written.
        let area = looked.there.get(&new.number).map_or(AreaId(0), |before| before.area);
        let entry = new.entry(area, premises, released_from, policy)?;
        match looked.there.get(&new.number) {
            None => self.numbers += 1,
            Some(_) => {
                back(&entry, &looked.gone, policy, self.at)?;
                self.restored += 1;
            }
        }
        Ok(new.number)
    }
}

/// Returns the area of a line's number. `exchanges` are the known exchanges of the lines' numbers, by their six
/// digits.
#[must_use]
pub fn area(new: &NewNumber, exchanges: &HashMap<u32, Exchange>) -> AreaName {
    let exchange = new.number.npa_nxx().and_then(|npa_nxx| exchanges.get(&npa_nxx));
    // A line that names its rate center needs no exchange.
    let exchange = exchange.filter(|_| new.rate_center.is_none());
    locality::area(new.number, new.region.as_deref(), new.rate_center.as_deref(), exchange)
}

/// Returns what becomes of a number that is there already, if a line describes it as `entry`. `gone` are the histories of
/// those that have left.
fn back(
    entry: &Entry,
    gone: &HashMap<Number, History>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Transition, BadLine> {
    restore(gone.get(&entry.number).ok_or(BadLine::Exists(entry.number))?, entry, policy, now)
}

/// The result of a good line.
enum Judged {
    /// The number is new.
    New,
    /// The number had left and is taken back.
    Restored,
}

impl Import {
    /// Begins an import at `now`. With `past_releases`, an aging number may already be due.
    #[must_use]
    pub fn new(now: Timestamp, past_releases: bool) -> Self {
        Self {
            at: now,
            past_releases,
            seen: HashMap::new(),
            digest: Sha256::new(),
            imported: Imported::default(),
        }
    }

    /// Returns when the import happens: at the time it began with, or at the latest event of the numbers so far.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns the import as a deed, by `intake`.
    #[must_use]
    pub fn deed(&self, intake: &Intake) -> Deed {
        let Imported { numbers, restored, .. } = self.imported;
        let doer = Doer { author: intake.author.clone(), now: self.at };
        Deed::by(&doer, DeedKind::Imported)
            .with("source", &*intake.source)
            .with("numbers", numbers)
            .with("restored", restored)
            .with("lines", Digest(self.digest.clone().finalize().into()).to_string())
    }

    /// Plans the next lines. Each is a number, or why it cannot be read.
    pub fn plan(&mut self, lines: Vec<Line>, loaded: Loaded<'_>, policy: &Policy) -> Writes {
        let Loaded { there, gone, premises, area_ids } = loaded;
        let mut batch = Batch::new(policy, there, self.at);
        self.at = batch.at();
        let mut new_ones = Vec::with_capacity(lines.len());
        let mut area_ids = area_ids.into_iter();
        for (line, new) in lines {
            let judged = new.and_then(|new| {
                let area = area_ids.next().expect("an area was loaded for each line that can be read");
                self.judge(&new, area, (premises, &gone), policy, &mut batch)
            });
            match judged {
                Err(bad) => self.imported.bad.note(line, bad),
                Ok((entry, judged)) => {
                    self.seen.insert(entry.number, line);
                    if let Ok(text) = serde_json::to_string(&entry) {
                        self.digest.update(text);
                        self.digest.update("\n");
                    }
                    match judged {
                        Judged::New => {
                            self.imported.numbers += 1;
                            new_ones.push(entry);
                        }
                        Judged::Restored => self.imported.restored += 1,
                    }
                }
            }
        }
        Writes { new: new_ones, numbers: batch.finish() }
    }

    fn judge(
        &self,
        new: &NewNumber,
        area: AreaId,
        (premises, gone): (&HashMap<AccountId, Premises>, &HashMap<Number, History>),
        policy: &Policy,
        batch: &mut Batch<'_>,
    ) -> Result<(Entry, Judged), BadLine> {
        if let Some(first) = self.seen.get(&new.number) {
            return Err(BadLine::Twice { what: new.number.to_string(), first: *first });
        }
        let premises = new.holder().and_then(|account| premises.get(&account));
        // Unless past releases are taken, aging numbers with a release before the import are refused.
        let released_from = (!self.past_releases).then_some(self.at);
        let entry = new.entry(area, premises, released_from, policy)?;
        match batch.entries().get(&new.number) {
            None => {
                batch.add(&entry);
                Ok((entry, Judged::New))
            }
            Some(_) => {
                let back = back(&entry, gone, policy, batch.at())?;
                batch.apply(back, By::Import);
                Ok((entry, Judged::Restored))
            }
        }
    }
}
