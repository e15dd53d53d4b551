//! Reports of how numbers are used, as of an instant.

use std::collections::BTreeMap;
use std::sync::Arc;

use onhook_core::account::{Account, AccountKind};
use onhook_core::area_codes;
use onhook_core::audit::digest::Digest;
use onhook_core::ids::{AccountId, AreaId};
use onhook_core::number::Number;
use onhook_core::report::nruf::{
    Block, Category, CenterUse, Counts, HEADER, Level, Lies, PortedOut, Then, Use, Warning, category, line,
    then, unknown, warnings,
};
use onhook_core::report::{Known, ReportKind};
use onhook_core::time::Timestamp;
use onhook_store::contract::reports::{Life, Report, Wanted};
use onhook_store::{Result, Store, StoreError, audit};
use serde_json::{Value, json};

use super::{NANP, Progress, Walk, accounts, before_later, impossible, known_by};

/// Numbers whose localities are read together.
const PLACES: usize = 1_000;
/// Most lines that are kept with a report: some ten megabytes. Those of a longer one are counted again for each file.
const LINES_MAX: usize = 100_000;
/// Warnings that a report shows. All are in its JSON file.
const WARNINGS_MAX: usize = 1_000;

/// A report that is asked for.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Asked {
    /// The instant as it was named: a day or an instant.
    pub(crate) named: String,
    /// The instant.
    pub(crate) at: Timestamp,
    /// What a line counts.
    pub(crate) level: Level,
    /// The last position that counts.
    pub(crate) as_of: u64,
    /// The time.
    pub(crate) now: Timestamp,
    /// The carrier's code.
    pub(crate) ocn: String,
    /// What a number is counted as that went to another carrier.
    #[serde(default = "left_out")]
    pub(crate) ported_out: PortedOut,
}

/// Returns how numbers were counted that went to another carrier, before a report said so.
fn left_out() -> PortedOut {
    PortedOut::LeftOut
}

/// Returns the version of the table of area codes that a report was made with, before a report said so.
fn npa_table() -> String {
    area_codes::VERSION.to_owned()
}

/// What the files of a report are made from beside events: it is kept with the report.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct MadeWith {
    at: Timestamp,
    named: String,
    level: Level,
    ocn: String,
    #[serde(default = "left_out")]
    ported_out: PortedOut,
    /// The version of the table of area codes.
    #[serde(default = "npa_table")]
    npa_table: String,
    /// What the accounts are that are no end users.
    kinds: BTreeMap<AccountId, AccountKind>,
    /// The names of accounts that serve others with numbers.
    names: BTreeMap<AccountId, String>,
    /// Where blocks lie, by the first seven digits: state and rate center, and whether in several. Empty if the lines are
    /// kept.
    places: BTreeMap<u32, (Option<String>, Option<String>, bool)>,
    /// The lines, so that no file of the report reads a number. `None` if there are too many, or the report is an old one.
    #[serde(default)]
    lines: Option<Lines>,
    /// How the numbers of rate centers are used. `None` in an old report, whose files do not tell it.
    #[serde(default)]
    centers: Option<Vec<(Lies, CenterUse)>>,
}

/// The lines of a report as they are kept, by the first seven digits.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Lines {
    used: BTreeMap<u32, Use>,
    unknown: BTreeMap<u32, u32>,
}

impl Lines {
    /// Returns the lines of a report. `None` if they are more than `most`.
    fn of(used: &Used, most: usize) -> Option<Self> {
        (used.lines.len() + used.unknown.len() <= most).then(|| Self {
            used: used.lines.iter().map(|(block, used)| (block.digits(), used.clone())).collect(),
            unknown: used.unknown.iter().map(|(block, numbers)| (block.digits(), *numbers)).collect(),
        })
    }

    /// Returns how blocks were used.
    fn used(&self) -> Used {
        let block = |digits: &u32| Block::from_digits(u64::from(*digits));
        Used {
            lines: self
                .used
                .iter()
                .filter_map(|(digits, used)| Some((block(digits)?, used.clone())))
                .collect(),
            unknown: self
                .unknown
                .iter()
                .filter_map(|(digits, numbers)| Some((block(digits)?, *numbers)))
                .collect(),
            spots: BTreeMap::new(),
        }
    }
}

/// How numbers are counted.
pub(crate) struct Counting<'a> {
    /// The instant.
    pub(crate) at: Timestamp,
    /// The events that count.
    pub(crate) known: &'a Known,
    /// What a line counts.
    pub(crate) level: Level,
    /// Whether a block counts, by a version of the table of area codes. `None` if its area code is not there.
    pub(crate) blocks: fn(Block, &str) -> Option<bool>,
    /// What the accounts are that are no end users.
    pub(crate) kinds: &'a BTreeMap<AccountId, AccountKind>,
    /// What a number is counted as that went to another carrier.
    pub(crate) ported_out: PortedOut,
    /// The version of the table of area codes.
    pub(crate) npa_table: &'a str,
}

/// How the blocks of a span are used.
#[derive(Default)]
pub(crate) struct Used {
    /// By block or code.
    pub(crate) lines: BTreeMap<Block, Use>,
    /// How many numbers are left out because their area code is unknown, by block or code.
    unknown: BTreeMap<Block, u32>,
    /// The numbers of each area in each line: they lie at one place.
    spots: BTreeMap<(Block, AreaId), Spot>,
}

/// The numbers of an area in a line.
struct Spot {
    /// One of them.
    number: Number,
    /// How many there are of each category.
    counts: Counts,
    /// Where they lie, once that is noted.
    place: Lies,
}

impl Used {
    /// Counts a number, if its block counts.
    pub(crate) fn count(&mut self, life: &Life, counting: &Counting<'_>) -> Result<()> {
        let Counting { at, known, level, blocks, kinds, ported_out, npa_table } = counting;
        let Some(block) = Block::of(life.entry.number) else { return Ok(()) };
        let is_counted = blocks(block, npa_table);
        if is_counted == Some(false) {
            return Ok(());
        }
        let then = match &life.history {
            Some(history) => then(history, life.import(), known, *at).map_err(impossible)?,
            None => Some(Then { entry: life.entry, since: life.at, ported_out: false }),
        };
        let Some(then) = then else { return Ok(()) };
        let kind = |account| kinds.get(&account).copied().unwrap_or(AccountKind::EndUser);
        let category = category(&then, *at, *ported_out, kind);
        let line = block.line(*level);
        if is_counted.is_none() && category.is_some() {
            *self.unknown.entry(line).or_default() += 1;
        }
        if is_counted.is_none() || category.is_none() && !then.is_served_elsewhere() {
            return Ok(());
        }
        self.lines.entry(line).or_default().add(&then, category);
        let number = then.entry.number;
        let new = || Spot { number, counts: Counts::default(), place: Lies::default() };
        let spot = self.spots.entry((line, then.entry.area)).or_insert_with(new);
        if let Some(category) = category {
            spot.counts.add(category, 1);
        }
        Ok(())
    }

    /// Takes a line away, as one that goes on.
    pub(crate) fn split_off(&mut self, block: Block) -> Self {
        let lines = self.lines.split_off(&block);
        let spots = self.spots.split_off(&(block, AreaId(0)));
        Self { lines, spots, ..Self::default() }
    }

    /// Notes where the lines lie: in the areas that their numbers had then.
    pub(crate) async fn locate(&mut self, store: &dyn Store) -> Result<()> {
        let mut spots: Vec<(&(Block, AreaId), &mut Spot)> = self.spots.iter_mut().collect();
        for some in spots.chunks_mut(PLACES) {
            let areas = some.iter().map(|((_, area), spot)| (spot.number, *area)).collect();
            let found = store.localities_in(areas).await?;
            for (((block, _), spot), place) in some.iter_mut().zip(found) {
                if let Some(used) = self.lines.get_mut(block) {
                    used.lies(spot.number, place.region.as_deref(), place.rate_center.as_deref());
                    spot.place = (place.region, place.rate_center);
                }
            }
        }
        Ok(())
    }

    /// Returns how the numbers of rate centers are used, once it is noted where the lines lie.
    fn centers(&self, level: Level) -> Vec<(Lies, CenterUse)> {
        let mut centers: BTreeMap<Lies, CenterUse> = BTreeMap::new();
        for ((block, _), spot) in &self.spots {
            let is_whole = self.lines.get(block).is_some_and(|used| used.not_held(level) == 0);
            centers.entry(spot.place.clone()).or_default().add(&spot.counts, is_whole);
        }
        centers.into_iter().filter(|(_, used)| used.counts.total() > 0).collect()
    }
}

/// What the accounts are that are no end users, and their names in reports.
type Others = (BTreeMap<AccountId, AccountKind>, BTreeMap<AccountId, String>);

/// Returns what the accounts are now that are no end users.
pub(crate) async fn others_now(store: &dyn Store) -> Result<BTreeMap<AccountId, AccountKind>> {
    Ok(others(&store.accounts().await?).0)
}

/// Returns what the accounts were at an instant that were no end users, under the names that they have now.
async fn others_at(store: &dyn Store, at: Timestamp) -> Result<Others> {
    let accounts = accounts(store).await?;
    Ok(others(&before_later(accounts, |change| change.deed.at > at)?))
}

fn others(accounts: &[Account]) -> Others {
    let others = accounts.iter().filter(|account| account.kind != AccountKind::EndUser);
    let named = |account: &Account| account.legal_name.as_ref().unwrap_or(&account.name).clone();
    others.map(|account| ((account.id, account.kind), (account.id, named(account)))).unzip()
}

async fn used(
    store: &dyn Store,
    as_of: u64,
    with: &MadeWith,
    progress: Option<Arc<Progress>>,
) -> Result<Used> {
    let mut used = Used::default();
    let mut known = audit::known(store, as_of).await?;
    let to = known.last();
    let mut walk = Walk::new(store, Wanted::Use { at: with.at, to }, NANP, (as_of, to)).counted(progress);
    while let Some(lives) = walk.page(&mut [&mut known]).await? {
        let counting = Counting {
            at: with.at,
            known: &known,
            level: with.level,
            blocks: Block::is_reported,
            kinds: &with.kinds,
            ported_out: with.ported_out,
            npa_table: &with.npa_table,
        };
        for life in &lives {
            used.count(life, &counting)?;
        }
    }
    Ok(used)
}

/// Returns the values of a line or of all of them, by category.
fn counts(of: impl Fn(Category) -> u64) -> serde_json::Map<String, Value> {
    Category::ALL.iter().map(|category| (category.word().to_owned(), json!(of(*category)))).collect()
}

/// A report that was counted.
struct Counted {
    /// Its two files, each with its name.
    files: [(String, String); 2],
    /// How many lines it has.
    rows: usize,
    /// How many numbers of each category it has, and in all.
    totals: serde_json::Map<String, Value>,
    /// What a person should look at.
    warned: Vec<Value>,
}

/// Returns a report from how blocks are used.
fn counted(used: &Used, with: &MadeWith) -> Counted {
    let warning = |block: Block, (code, detail): (Warning, String)| json!({ "code": code.word(), "block": block.name(with.level), "detail": detail });
    let mut csv = HEADER.to_owned();
    let (mut lines, mut warned) = (Vec::new(), Vec::new());
    let mut totals = BTreeMap::new();
    for (block, used) in &used.lines {
        warned.extend(warnings(used, with.level).into_iter().map(|found| warning(*block, found)));
        if used.counts.total() == 0 {
            continue; // all its numbers are another carrier's
        }
        let names: Vec<String> = used
            .assignees
            .iter()
            .map(|account| with.names.get(account).cloned().unwrap_or_else(|| account.to_string()))
            .collect();
        csv += &line(&with.ocn, *block, with.level, used, &names);
        let (region, rate_center) = used.lies.clone().unwrap_or_default();
        let [npa, nxx, digit] = block.parts(with.level);
        let mut told = counts(|category| u64::from(used.counts.of(category)));
        for (key, value) in [
            ("block", json!(block.name(with.level))),
            ("npa", json!(npa)),
            ("nxx", json!(nxx)),
            ("x", json!(digit)),
            ("region", json!(region)),
            ("rate_center", json!(rate_center)),
            ("total", json!(used.counts.total())),
            ("not_held", json!(used.not_held(with.level))),
            ("utilization_percent", used.utilization(with.level).map_or(Value::Null, decimal)),
            ("assignees", json!(names)),
        ] {
            told.insert(key.to_owned(), value);
        }
        lines.push(Value::Object(told));
        for category in Category::ALL {
            *totals.entry(*category).or_insert(0_u64) += u64::from(used.counts.of(*category));
        }
    }
    warned.extend(used.unknown.iter().map(|(block, numbers)| warning(*block, unknown(*numbers))));
    let mut sums = counts(|category| totals.get(&category).copied().unwrap_or(0));
    sums.insert("numbers".into(), json!(totals.values().sum::<u64>()));
    let rows = lines.len();
    let mut document = json!({
        "as_of": with.named,
        "at": with.at.to_string(),
        "level": with.level.word(),
        "lines": lines,
        "totals": sums,
        "warnings": warned,
    });
    if let Some(centers) = &with.centers {
        let told = centers.iter().map(|((region, rate_center), used)| {
            let mut told = counts(|category| u64::from(used.counts.of(category)));
            for (key, value) in [
                ("region", json!(region)),
                ("rate_center", json!(rate_center)),
                ("total", json!(used.counts.total())),
                ("utilization_percent", used.utilization().map_or(Value::Null, decimal)),
            ] {
                told.insert(key.to_owned(), value);
            }
            Value::Object(told)
        });
        document["rate_centers"] = told.collect();
    }
    // Blocks and codes of one day go to one folder.
    let of_codes = if with.level == Level::Code { "_code" } else { "" };
    let name = format!("nruf_{}{of_codes}", with.named.replace(':', ""));
    let files = [(format!("{name}.csv"), csv), (format!("{name}.json"), format!("{document}\n"))];
    Counted { files, rows, totals: sums, warned }
}

/// Returns tenths of a percent as a number of JSON.
pub(crate) fn decimal(per_mille: u32) -> Value {
    json!(f64::from(per_mille) / 10.0)
}

/// Makes a report. It is not kept yet.
pub(super) async fn make(store: &dyn Store, asked: &Asked, progress: Arc<Progress>) -> Result<Report> {
    let Asked { named, at, level, as_of, now, ocn, ported_out } = asked;
    progress.begin(store, *now).await?;
    let (kinds, names) = others_at(store, *at).await?;
    let mut with = MadeWith {
        at: *at,
        named: named.clone(),
        level: *level,
        ocn: ocn.clone(),
        ported_out: *ported_out,
        npa_table: npa_table(),
        kinds,
        names,
        places: BTreeMap::new(),
        lines: None,
        centers: None,
    };
    let mut used = used(store, *as_of, &with, Some(progress)).await?;
    used.locate(store).await?;
    let place = |(block, used): (&Block, &Use)| {
        let (region, rate_center) = used.lies.clone().unwrap_or_default();
        (block.digits(), (region, rate_center, used.scattered))
    };
    with.centers = Some(used.centers(*level));
    with.lines = Lines::of(&used, LINES_MAX);
    if with.lines.is_none() {
        with.places = used.lines.iter().map(place).collect();
    }
    let Counted { files, rows, mut totals, warned } = counted(&used, &with);
    let hashes: Vec<String> = files.iter().map(|(_, file)| Digest::of(file).hex()).collect();
    totals.insert("lines".into(), json!(rows));
    let shown = json!({
        "as_of": named,
        "at": at.to_string(),
        "level": level.word(),
        "npa_table": with.npa_table,
        "counts": totals,
        "files": files.iter().zip(&hashes).map(|((name, _), hash)| {
            json!({ "name": name, "rows": rows, "sha256": hash })
        }).collect::<Vec<_>>(),
        "warnings_total": warned.len(),
        "warnings": warned.iter().take(WARNINGS_MAX).collect::<Vec<_>>(),
    });
    Ok(Report {
        id: format!("nruf-{}-{level}-{}", named.replace(':', ""), known_by(&hashes)),
        kind: ReportKind::Nruf,
        company: None,
        period: None,
        as_of: *as_of,
        made_at: *now,
        shown,
        made_with: serde_json::to_value(&with).map_err(|error| StoreError::Broken(Box::new(error)))?,
        confirmed: None,
    })
}

/// Makes a file of a report again.
pub(crate) async fn file(store: &dyn Store, report: &Report, place: usize) -> Result<String> {
    let with: MadeWith = serde_json::from_value(report.made_with.clone())
        .map_err(|error| StoreError::Broken(Box::new(error)))?;
    if let Some(lines) = &with.lines {
        let [csv, document] = counted(&lines.used(), &with).files;
        return Ok(if place == 0 { csv.1 } else { document.1 });
    }
    let mut used = used(store, report.as_of, &with, None).await?;
    for (block, used) in &mut used.lines {
        if let Some((region, rate_center, scattered)) = with.places.get(&block.digits()) {
            used.lies = Some((region.clone(), rate_center.clone()));
            used.scattered = *scattered;
        }
    }
    let [csv, document] = counted(&used, &with).files;
    Ok(if place == 0 { csv.1 } else { document.1 })
}

#[cfg(test)]
mod tests {
    use onhook_core::import::{Intake, NewNumber};
    use onhook_core::lifecycle::diagram::State;
    use onhook_store::contract::audit::Audit;
    use onhook_store::contract::imports::Imports;
    use onhook_store::contract::upkeep::Upkeep;
    use onhook_store::sqlite::SqliteStore;

    use super::*;

    /// A file of a report is asked for as often as somebody likes, and reading all numbers takes long.
    #[tokio::test]
    async fn the_files_of_a_report_are_made_without_its_numbers_unless_it_has_too_many_lines() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = SqliteStore::open(folder.path()).unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        // Two blocks, one of them whole, and one of an area code that is unknown.
        let numbers = (0..1_010).map(|n| 15_405_550_000 + n).chain([14_465_550_100]);
        let lines = numbers.map(|digits| {
            let state = if digits % 4 == 0 { State::Administrative } else { State::Available };
            let number = Number::from_digits(digits).unwrap();
            (digits, Ok(NewNumber { state, ..NewNumber::available(number) }))
        });
        let lines = Box::new(lines.collect::<Vec<_>>().into_iter());
        store.import(lines, Intake::of("a test"), now, Arc::default()).await.unwrap();
        onhook_store::audit::seal_all(&store, now).await.unwrap();
        let as_of = store.head().await.unwrap().map_or(0, |head| head.last);
        let asked = Asked {
            named: "2027-01-15".into(),
            at: now,
            level: Level::Block,
            as_of,
            now,
            ocn: "9A99".into(),
            ported_out: PortedOut::LeftOut,
        };
        let report = make(&store, &asked, Arc::default()).await.unwrap();
        let files = async |store: &SqliteStore, report: &Report| {
            let csv = file(store, report, 0).await.unwrap();
            (csv, file(store, report, 1).await.unwrap())
        };
        let made = files(&store, &report).await;
        let hashes: Vec<String> = [&made.0, &made.1].map(|file| Digest::of(file).hex()).into();
        let told: Vec<&str> = report.shown["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["sha256"].as_str().unwrap())
            .collect();
        assert_eq!(told, hashes);
        assert_eq!(report.shown["counts"]["numbers"], 1_010);
        assert!(made.1.contains("unknown_npa"), "{}", made.1);
        let empty = SqliteStore::open(other.path()).unwrap();
        assert_eq!(files(&empty, &report).await, made, "no number was read");
        // One with too many lines is counted again, and is the same.
        let with: MadeWith = serde_json::from_value(report.made_with.clone()).unwrap();
        let lines = with.lines.clone().unwrap();
        assert!(Lines::of(&lines.used(), 3).is_some() && Lines::of(&lines.used(), 2).is_none());
        let place = |(digits, used): (&u32, &Use)| {
            let (region, rate_center) = used.lies.clone().unwrap_or_default();
            (*digits, (region, rate_center, used.scattered))
        };
        let long = MadeWith { places: lines.used.iter().map(place).collect(), lines: None, ..with };
        let long = Report { made_with: serde_json::to_value(long).unwrap(), ..report };
        assert_eq!(files(&store, &long).await, made);
        assert_ne!(files(&empty, &long).await, made);
        store.close().await;
        empty.close().await;
    }
}
