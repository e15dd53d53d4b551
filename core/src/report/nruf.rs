//! How numbers are used, by blocks of a thousand or by codes of ten thousand, in the six categories of 47 CFR
//! 52.15(f)(1), at an instant.
//!
//! Not here: what of a block is set by an operator.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::account::AccountKind;
use crate::area_codes::{self, Service};
use crate::ids::{AccountId, EventSeq};
use crate::lifecycle::diagram::NoSuchStep;
use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::event::Change;
use crate::lifecycle::history::History;
use crate::number::Number;
use crate::report::Known;
use crate::time::{DAY_MS, Timestamp};
use crate::words::words;

/// A number that is held for someone is available again after so many days.
pub const RESERVED_DAYS: i64 = 180;

/// Blocks with at most so many percent of their numbers taken are to be given back, unless it is set otherwise.
pub const DONATE_PERCENT: u8 = 10;

words! {
    /// What a number is counted as: one of these.
    Category {
        /// With an end user.
        Assigned = "assigned",
        /// With a carrier or reseller, for its own end users.
        Intermediate = "intermediate",
        /// Held for someone.
        Reserved = "reserved",
        /// Disconnected, and not to be given out yet.
        Aging = "aging",
        /// Used by the operator.
        Administrative = "administrative",
        /// None of these.
        Available = "available",
    }
}

words! {
    /// What a line counts.
    Level {
        /// A thousand numbers.
        Block = "block",
        /// Ten thousand.
        Code = "code",
    }
}

words! {
    /// What a number is counted as that went to another carrier.
    PortedOut {
        /// Nothing.
        LeftOut = "left_out",
        /// Assigned, as 47 CFR 52.15(f) has it: the holder of its block goes on to report it.
        Assigned = "assigned",
    }
}

/// A number at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Then {
    /// The number then.
    pub entry: Entry,
    /// Since when it was in its state.
    pub since: Timestamp,
    /// True if it came into its state by going to another carrier.
    pub ported_out: bool,
}

impl Then {
    /// Returns whether it is a number of the one who reports that another carrier serves.
    #[must_use]
    pub fn is_served_elsewhere(&self) -> bool {
        self.ported_out && !self.entry.ported_in
    }
}

/// Returns a number as it was at an instant, as the events that are `known` tell. `None` before its import. A number
/// that went to another carrier is gone from the instant on at which it went, even if that was written down later.
/// `import` is the event by which it was imported.
///
/// # Errors
/// [`NoSuchStep`] if an event cannot follow the one before it.
pub fn then(
    history: &History,
    import: EventSeq,
    known: &Known,
    at: Timestamp,
) -> Result<Option<Then>, NoSuchStep> {
    if !known.has(import) {
        return Ok(None);
    }
    let (mut then, mut since, mut ported_out) = (None, None, false);
    for moment in history.moments()? {
        let from = match moment.event.map(|event| &event.change) {
            Some(Change::PortedOut { at }) => (*at).min(moment.from),
            _ => moment.from,
        };
        let is_known = moment.event.is_none_or(|event| known.has(event.seq));
        if moment.event.is_none_or(|event| event.change.changes_state()) {
            since = Some(from);
            ported_out = moment.event.is_some_and(|event| matches!(event.change, Change::PortedOut { .. }));
        }
        if is_known && from <= at {
            then = since.map(|since| Then { entry: moment.entry, since, ported_out });
        }
    }
    Ok(then)
}

/// Returns what a number is counted as at `at`. `None` if it is no number of the one who reports: it has left, or
/// belongs to another carrier's block. `kind` tells what an account is, `ported_out` what a number counts as that went to
/// another carrier.
#[must_use]
pub fn category(
    then: &Then,
    at: Timestamp,
    ported_out: PortedOut,
    kind: impl Fn(AccountId) -> AccountKind,
) -> Option<Category> {
    if then.entry.ported_in {
        return None;
    }
    let held = || match at.since(then.since) <= RESERVED_DAYS * DAY_MS {
        true => Category::Reserved,
        false => Category::Available,
    };
    let for_others = |account| kind(account) != AccountKind::EndUser;
    Some(match then.entry.standing {
        Standing::InService { place } if for_others(place.account) => Category::Intermediate,
        Standing::InService { .. } => Category::Assigned,
        Standing::Protected { account } if for_others(account) => Category::Intermediate,
        Standing::Protected { .. } | Standing::Reserved { .. } => held(),
        Standing::Aging { .. } => Category::Aging,
        Standing::Administrative => Category::Administrative,
        Standing::Available => Category::Available,
        Standing::Removed if ported_out == PortedOut::Assigned && then.is_served_elsewhere() => {
            Category::Assigned
        }
        Standing::Removed => return None,
    })
}

/// A block of a thousand numbers: area code, exchange, and the first digit of the line. Seven digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(u32);

/// A text that names no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a block is written as 540-555-0")]
pub struct NoBlock;

impl Block {
    /// Returns the block of a North American number. `None` for others.
    #[must_use]
    pub fn of(number: Number) -> Option<Self> {
        Self::from_digits(number.is_nanp().then_some(number.digits() / 1_000 % 10_000_000)?)
    }

    /// Returns the block of these seven digits.
    #[must_use]
    pub fn from_digits(digits: u64) -> Option<Self> {
        u32::try_from(digits).ok().filter(|digits| (2_000_000..10_000_000).contains(digits)).map(Self)
    }

    /// Returns its seven digits.
    #[must_use]
    pub fn digits(self) -> u32 {
        self.0
    }

    /// Returns the digits of its first number, and one past those of its last, with the country code.
    #[must_use]
    pub fn range(self) -> (u64, u64) {
        let first = 10_000_000_000 + u64::from(self.0) * 1_000;
        (first, first + 1_000)
    }

    /// Returns its area code.
    #[must_use]
    pub fn npa(self) -> u16 {
        u16::try_from(self.0 / 10_000).unwrap_or_default()
    }

    /// Returns area code and exchange, six digits.
    #[must_use]
    pub fn npa_nxx(self) -> u32 {
        self.0 / 10
    }

    /// Returns whether its use is reported: it lies in the United States, by this version of the table of area codes.
    /// `None` if its area code is not in that table.
    #[must_use]
    pub fn is_reported(self, table: &str) -> Option<bool> {
        self.lies_in(table, |country| country == "US")
    }

    /// Returns whether it lies in any country of the North American plan, by this version of the table of area codes.
    /// `None` if its area code is not in that table.
    #[must_use]
    pub fn is_geographic(self, table: &str) -> Option<bool> {
        self.lies_in(table, |_| true)
    }

    fn lies_in(self, table: &str, is_one: impl Fn(&str) -> bool) -> Option<bool> {
        match area_codes::service_in(self.npa(), table) {
            Some(Service::Geographic { country, .. }) => Some(is_one(country)),
            Some(Service::TollFree | Service::NonGeographic) => Some(false),
            None => area_codes::is_set_aside(self.npa()).then_some(false),
        }
    }

    /// Returns area code, exchange and first digit as texts. A code has no such digit.
    #[must_use]
    pub fn parts(self, level: Level) -> [String; 3] {
        let digit = match level {
            Level::Block => (self.0 % 10).to_string(),
            Level::Code => String::new(),
        };
        [format!("{:03}", self.npa()), format!("{:03}", self.npa_nxx() % 1_000), digit]
    }

    /// Returns the first block of its line at this level.
    #[must_use]
    pub fn line(self, level: Level) -> Self {
        match level {
            Level::Block => self,
            Level::Code => Self(self.0 - self.0 % 10),
        }
    }

    /// Returns its name in a line at this level: `540-555-0` or `540-555`.
    #[must_use]
    pub fn name(self, level: Level) -> String {
        let [npa, nxx, digit] = self.parts(level);
        match level {
            Level::Block => format!("{npa}-{nxx}-{digit}"),
            Level::Code => format!("{npa}-{nxx}"),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name(Level::Block))
    }
}

impl FromStr for Block {
    type Err = NoBlock;

    fn from_str(text: &str) -> Result<Self, NoBlock> {
        let bytes = text.as_bytes();
        if bytes.len() != 9 || bytes[3] != b'-' || bytes[7] != b'-' {
            return Err(NoBlock);
        }
        let digits = text.replace('-', "");
        if digits.len() != 7 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoBlock);
        }
        // Its first number must be one, or there is no such block.
        let number: Number = format!("{digits}000").parse().map_err(|_| NoBlock)?;
        Self::of(number).ok_or(NoBlock)
    }
}

impl Level {
    /// Returns how many numbers a line has in all.
    #[must_use]
    pub fn size(self) -> u32 {
        match self {
            Level::Block => 1_000,
            Level::Code => 10_000,
        }
    }
}

/// How many numbers there are of each category.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts(BTreeMap<Category, u32>);

impl Counts {
    /// Counts so many numbers more of a category.
    pub fn add(&mut self, category: Category, numbers: u32) {
        *self.0.entry(category).or_default() += numbers;
    }

    /// Returns how many numbers of a category there are.
    #[must_use]
    pub fn of(&self, category: Category) -> u32 {
        self.0.get(&category).copied().unwrap_or(0)
    }

    /// Returns how many numbers there are in all.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.values().sum()
    }
}

/// A state or province and a rate center, as far as they are known.
pub type Lies = (Option<String>, Option<String>);

/// How the numbers of a block or code are used. What is nothing is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Use {
    /// How many numbers of it are held here.
    #[serde(skip_serializing_if = "is_nothing")]
    pub counts: Counts,
    /// The accounts that have intermediate numbers of it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub assignees: BTreeSet<AccountId>,
    /// How many numbers are held longer than [`RESERVED_DAYS`]: they are counted as available.
    #[serde(skip_serializing_if = "is_nothing")]
    pub held_too_long: u32,
    /// How many numbers went to another carrier.
    #[serde(skip_serializing_if = "is_nothing")]
    pub ported_out: u32,
    /// How many of these are in no category.
    #[serde(skip_serializing_if = "is_nothing")]
    not_counted: u32,
    /// True if one of its numbers is with an end user here.
    #[serde(skip_serializing_if = "is_nothing")]
    in_service: bool,
    /// Where its first number by digits lies: state or province, and rate center.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lies: Option<Lies>,
    /// The number that lies there.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Number>,
    /// True if its numbers lie in several rate centers.
    #[serde(skip_serializing_if = "is_nothing")]
    pub scattered: bool,
}

impl Use {
    /// Counts a number. One that went to another carrier may have no category.
    pub fn add(&mut self, then: &Then, category: Option<Category>) {
        let elsewhere = then.is_served_elsewhere();
        self.ported_out += u32::from(elsewhere);
        let Some(category) = category else {
            self.not_counted += u32::from(elsewhere);
            return;
        };
        self.counts.add(category, 1);
        self.in_service |= category == Category::Assigned && !elsewhere;
        match (category, then.entry.standing) {
            (Category::Intermediate, standing) => self.assignees.extend(standing.holder()),
            (Category::Available, Standing::Protected { .. } | Standing::Reserved { .. }) => {
                self.held_too_long += 1;
            }
            _ => {}
        }
    }

    /// Notes where one of its numbers lies. In whatever order they are noted, the first one by digits names it.
    pub fn lies(&mut self, number: Number, region: Option<&str>, rate_center: Option<&str>) {
        self.scattered |= self.lies.as_ref().is_some_and(|(_, named)| named.as_deref() != rate_center);
        if self.first.is_none_or(|first| number < first) {
            self.lies = Some((region.map(str::to_owned), rate_center.map(str::to_owned)));
            self.first = Some(number);
        }
    }

    /// Returns how many of its numbers are not held here.
    #[must_use]
    pub fn not_held(&self, level: Level) -> u32 {
        level.size().saturating_sub(self.counts.total())
    }

    /// Returns the share of assigned numbers, in tenths of a percent, rounded. `None` if not all numbers are held here:
    /// the form asks for the share of all, and what the others are is not known.
    #[must_use]
    pub fn utilization(&self, level: Level) -> Option<u32> {
        (self.not_held(level) == 0)
            .then(|| per_mille(self.counts.of(Category::Assigned), self.counts.total()))
    }

    /// Returns how many of its numbers are taken: held here and not available, or gone to another carrier.
    fn taken(&self) -> u32 {
        self.counts.total() - self.counts.of(Category::Available) + self.not_counted
    }

    /// Returns the share of a block's numbers that are taken, in tenths of a percent, rounded.
    #[must_use]
    pub fn contamination(&self) -> u32 {
        per_mille(self.taken(), Level::Block.size())
    }

    /// Returns whether a block is in service: one of its numbers is with an end user here.
    #[must_use]
    pub fn in_service(&self) -> bool {
        self.in_service
    }

    /// Returns whether a block is to be given back: few of its numbers are taken, and it is not the one that is kept for
    /// its rate center.
    #[must_use]
    pub fn is_candidate(&self, footprint: bool, donate_percent: u8) -> bool {
        !footprint && self.taken() * 100 <= u32::from(donate_percent) * Level::Block.size()
    }
}

/// Returns whether a value is what it is where nothing was counted.
fn is_nothing<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How the numbers of a rate center are used.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CenterUse {
    /// How many numbers of it are held here.
    pub counts: Counts,
    /// True if numbers of its blocks or codes are not held here.
    not_whole: bool,
}

impl CenterUse {
    /// Counts the numbers of a block or code that lie there. `is_whole`: all of its numbers are held here.
    pub fn add(&mut self, counts: &Counts, is_whole: bool) {
        for (category, numbers) in &counts.0 {
            self.counts.add(*category, *numbers);
        }
        self.not_whole |= !is_whole;
    }

    /// Returns the share of assigned numbers, in tenths of a percent, rounded. `None` if not all numbers of its blocks or
    /// codes are held here.
    #[must_use]
    pub fn utilization(&self) -> Option<u32> {
        (!self.not_whole && self.counts.total() > 0)
            .then(|| per_mille(self.counts.of(Category::Assigned), self.counts.total()))
    }
}

/// Returns tenths of a percent as they are written: `12.3`.
#[must_use]
pub fn percent(per_mille: u32) -> String {
    format!("{}.{}", per_mille / 10, per_mille % 10)
}

fn per_mille(part: u32, whole: u32) -> u32 {
    if whole == 0 {
        return 0;
    }
    let rounded = (u64::from(part) * 2_000 + u64::from(whole)) / (u64::from(whole) * 2);
    u32::try_from(rounded).unwrap_or(u32::MAX)
}

words! {
    /// What a person should look at before a report is filed.
    Warning {
        /// Not all numbers of a block or code are held here, and the form wants all of them.
        NotHeld = "not_held",
        /// Its rate center is not known.
        NoRateCenter = "no_rate_center",
        /// Its numbers lie in several rate centers, and the form takes one.
        SeveralRateCenters = "several_rate_centers",
        /// Numbers are held for someone longer than they may: they are counted as available.
        HeldTooLong = "held_too_long",
        /// Numbers went to another carrier and are not counted, though the form counts them as assigned.
        PortedOut = "ported_out",
        /// The area code of numbers is unknown, so that they stand in no line.
        UnknownNpa = "unknown_npa",
        /// Another block is kept for the same rate center, and one may be.
        SeveralFootprints = "several_footprints",
    }
}

/// Returns what is to be looked at where so many numbers are left out because their area code is unknown.
#[must_use]
pub fn unknown(numbers: u32) -> (Warning, String) {
    let detail = format!("{numbers} numbers are left out: their area code is not in the table");
    (Warning::UnknownNpa, detail)
}

/// Most footprints of one state or province that are compared with a new one. None has half as many rate centers.
pub const FOOTPRINTS_MAX: usize = 5_000;

/// Returns what is to be looked at where a block is kept for its rate center. `lies` is where it lies, `other` another block
/// that is kept for the same one.
#[must_use]
pub fn footprint_warning(lies: &Lies, other: Option<Block>) -> Option<(Warning, String)> {
    let Some(rate_center) = &lies.1 else {
        let detail = "its rate center is not known, so nobody can say whether another block is kept for it";
        return Some((Warning::NoRateCenter, detail.into()));
    };
    let detail = format!("{} is kept for {rate_center}, too: one block of a rate center can be kept", other?);
    Some((Warning::SeveralFootprints, detail))
}

/// Returns what is to be looked at in a line, with details in sentences without their ends. A line without numbers is in
/// no file, so only those that went to another carrier matter.
#[must_use]
pub fn warnings(used: &Use, level: Level) -> Vec<(Warning, String)> {
    let mut found = Vec::new();
    if used.not_counted > 0 {
        let detail = format!(
            "{} of its numbers went to another carrier: the form counts them as assigned",
            used.not_counted
        );
        found.push((Warning::PortedOut, detail));
    }
    if used.counts.total() == 0 {
        return found;
    }
    if used.not_held(level) > 0 {
        let detail = format!("{} of {} numbers are not held here", used.not_held(level), level.size());
        found.push((Warning::NotHeld, detail));
    }
    if used.lies.as_ref().is_none_or(|(_, rate_center)| rate_center.is_none()) {
        found.push((Warning::NoRateCenter, "its rate center is not known".into()));
    }
    if used.scattered {
        let detail = "its numbers lie in several rate centers; the first number's is named".into();
        found.push((Warning::SeveralRateCenters, detail));
    }
    if used.held_too_long > 0 {
        let detail = format!(
            "{} numbers are held for someone longer than {RESERVED_DAYS} days, and counted as available",
            used.held_too_long
        );
        found.push((Warning::HeldTooLong, detail));
    }
    found
}

/// The first line of the file.
pub const HEADER: &str = "OCN,NPA,NXX,X,RateCenter,State,Assigned,Intermediate,Reserved,Aging,Admin,Available,Total,\
                          UtilizationPct,Assignees\r\n";

/// Returns a line of the file. `names` are those of the accounts with intermediate numbers.
#[must_use]
pub fn line(ocn: &str, block: Block, level: Level, used: &Use, names: &[String]) -> String {
    let [npa, nxx, digit] = block.parts(level);
    let (region, rate_center) = used.lies.clone().unwrap_or_default();
    let mut fields = vec![ocn.to_owned(), npa, nxx, digit];
    fields.push(field(&rate_center.unwrap_or_default()));
    fields.push(field(&region.unwrap_or_default()));
    fields.extend(Category::ALL.iter().map(|category| used.counts.of(*category).to_string()));
    fields.push(used.counts.total().to_string());
    fields.push(used.utilization(level).map(percent).unwrap_or_default());
    fields.push(field(&names.join("; ")));
    format!("{}\r\n", fields.join(","))
}

/// Returns a field, in quotes if it needs them.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
