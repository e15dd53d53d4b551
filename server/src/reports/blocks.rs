//! Blocks of a thousand numbers: how they are used now, and what an operator has said of them. They lie in any country of
//! the North American plan.

use std::collections::BTreeMap;

use onhook_core::account::AccountKind;
use onhook_core::area_codes;
use onhook_core::ids::AccountId;
use onhook_core::report::Known;
use onhook_core::report::nruf::{Block, Category, FOOTPRINTS_MAX, Level, Use, footprint_warning};
use onhook_core::setting::ReportSettings;
use onhook_core::time::Timestamp;
use onhook_store::contract::reports::{Marks, Wanted};
use onhook_store::{Result, Store};
use serde_json::{Value, json};

use super::NANP;
use super::nruf::{Counting, Used, decimal, others_now};

/// Most pages of numbers that one list of blocks reads. It then returns fewer blocks, and where to go on.
const PAGES_MAX: usize = 500;

/// Which blocks are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Only blocks of this area code.
    pub(crate) npa: Option<u16>,
    /// Only blocks in this rate center.
    pub(crate) rate_center: Option<String>,
    /// Only blocks that are to be given back, or only others.
    pub(crate) candidate: Option<bool>,
}

/// Returns blocks behind one, by digits, and the last one that was looked at if there may be more.
pub(crate) async fn list(
    store: &dyn Store,
    filter: &Filter,
    after: Option<Block>,
    size: usize,
    (now, settings): (Timestamp, &ReportSettings),
) -> Result<(Vec<Value>, Option<Block>)> {
    let (mut first, mut end) = NANP;
    if let Some(npa) = filter.npa {
        (first, end) = span(npa);
    }
    if let Some(block) = after {
        first = first.max(block.range().1);
    }
    let kinds = others_now(store).await?;
    let known = Known::all();
    let wanted = Wanted::Use { at: now, to: known.last() };
    let counting = counting(now, &known, &kinds, settings);
    let (mut found, mut next, mut pages) = (Vec::new(), Some(first), 0);
    let mut used = Used::default();
    while let Some(from) = next {
        let page = store.lives(wanted, (from, end)).await?;
        next = page.next;
        pages += 1;
        for life in &page.lives {
            used.count(life, &counting)?;
        }
        // The last block may go on in the next page.
        let going_on = next.and_then(|digits| Block::from_digits(digits / 1_000 % 10_000_000));
        let mut whole = Used::default();
        std::mem::swap(&mut whole, &mut used);
        if let Some(block) = going_on.filter(|block| block.range().0 < next.unwrap_or_default()) {
            used = whole.split_off(block);
        }
        whole.locate(store).await?;
        let marks = marks(store, &whole.lines).await?;
        for (block, of) in &whole.lines {
            let marks = marks.get(block).copied().unwrap_or_default();
            let rate_center = of.lies.as_ref().and_then(|(_, rate_center)| rate_center.as_deref());
            let candidate = of.is_candidate(marks.footprint, settings.nruf_donate_percent);
            if filter.rate_center.as_deref().is_none_or(|wanted| Some(wanted) == rate_center)
                && filter.candidate.is_none_or(|wanted| wanted == candidate)
            {
                if found.len() == size {
                    return Ok((found, last(&whole, *block).or(after)));
                }
                found.push(shown(*block, of, marks, settings));
            }
        }
        if pages >= PAGES_MAX && next.is_some() {
            let seen = whole.lines.keys().next_back().copied();
            if seen.is_some() {
                return Ok((found, seen));
            }
        }
    }
    Ok((found, None))
}

/// Returns the digits of an area code's first number, and one past those of its last, with the country code.
fn span(npa: u16) -> (u64, u64) {
    let first = 10_000_000_000 + u64::from(npa) * 10_000_000;
    (first, first + 10_000_000)
}

/// Returns how the numbers of blocks are counted now.
fn counting<'a>(
    now: Timestamp,
    known: &'a Known,
    kinds: &'a BTreeMap<AccountId, AccountKind>,
    settings: &ReportSettings,
) -> Counting<'a> {
    Counting {
        at: now,
        known,
        level: Level::Block,
        blocks: Block::is_geographic,
        kinds,
        ported_out: settings.nruf_ported_out,
        npa_table: area_codes::VERSION,
    }
}

/// Returns the block before one, so that a list can go on with it.
fn last(used: &Used, block: Block) -> Option<Block> {
    let before = used.lines.range(..block).next_back().map(|(before, _)| *before);
    before.or_else(|| Block::from_digits(u64::from(block.digits()).saturating_sub(1)))
}

async fn marks(store: &dyn Store, lines: &BTreeMap<Block, Use>) -> Result<BTreeMap<Block, Marks>> {
    let (Some((first, _)), Some((last, _))) = (lines.first_key_value(), lines.last_key_value()) else {
        return Ok(BTreeMap::new());
    };
    Ok(store.block_marks((first.range().0, last.range().1)).await?.into_iter().collect())
}

/// Returns a block, if numbers of it are held here.
pub(crate) async fn one(
    store: &dyn Store,
    block: Block,
    (now, settings): (Timestamp, &ReportSettings),
) -> Result<Option<Value>> {
    let kinds = others_now(store).await?;
    let known = Known::all();
    let Some(used) = used(store, block, &counting(now, &known, &kinds, settings)).await? else {
        return Ok(None);
    };
    let marks = store.block_marks(block.range()).await?.pop().map(|(_, marks)| marks).unwrap_or_default();
    Ok(Some(shown(block, &used, marks, settings)))
}

/// Returns what a person should look at in a block that was just marked.
pub(crate) async fn warnings(
    store: &dyn Store,
    block: Block,
    (now, settings): (Timestamp, &ReportSettings),
) -> Result<Vec<Value>> {
    if !store.block_marks(block.range()).await?.iter().any(|(_, marks)| marks.footprint) {
        return Ok(Vec::new());
    }
    let kinds = others_now(store).await?;
    let known = Known::all();
    let counting = counting(now, &known, &kinds, settings);
    let lies = used(store, block, &counting).await?.and_then(|used| used.lies).unwrap_or_default();
    let mut other = None;
    if lies.1.is_some() {
        for kept in footprints(store, block, lies.0.as_deref()).await? {
            if used(store, kept, &counting).await?.is_some_and(|used| used.lies.as_ref() == Some(&lies)) {
                other = Some(kept);
                break;
            }
        }
    }
    let told = footprint_warning(&lies, other);
    let told = told
        .map(|(code, detail)| json!({ "code": code.word(), "block": block.to_string(), "detail": detail }));
    Ok(told.into_iter().collect())
}

/// Returns the other blocks that are kept, of the area codes of a block's state or province.
async fn footprints(store: &dyn Store, block: Block, region: Option<&str>) -> Result<Vec<Block>> {
    let mut codes = area_codes::area_codes(region.unwrap_or_default()).to_vec();
    if !codes.contains(&block.npa()) {
        codes.push(block.npa());
    }
    let mut kept = Vec::new();
    for npa in codes {
        let marks = store.block_marks(span(npa)).await?;
        kept.extend(marks.iter().filter(|(of, marks)| marks.footprint && *of != block).map(|(of, _)| *of));
    }
    kept.truncate(FOOTPRINTS_MAX);
    Ok(kept)
}

/// Returns how a block is used and where it lies, if numbers of it are held here.
async fn used(store: &dyn Store, block: Block, counting: &Counting<'_>) -> Result<Option<Use>> {
    let mut used = Used::default();
    let (first, end) = block.range();
    let mut next = Some(first);
    while let Some(from) = next {
        let page =
            store.lives(Wanted::Use { at: counting.at, to: counting.known.last() }, (from, end)).await?;
        next = page.next;
        for life in &page.lives {
            used.count(life, counting)?;
        }
    }
    used.locate(store).await?;
    Ok(used.lines.remove(&block))
}

fn shown(block: Block, used: &Use, marks: Marks, settings: &ReportSettings) -> Value {
    let rate_center = used.lies.as_ref().and_then(|(_, rate_center)| rate_center.clone());
    let mut told = json!({
        "block": block.to_string(),
        "rate_center": rate_center,
        "ported_out": used.ported_out,
        "not_held": used.not_held(Level::Block),
        "contamination_percent": decimal(used.contamination()),
        "in_service": used.in_service(),
        "footprint": marks.footprint,
        "drain": marks.drain,
        "candidate": used.is_candidate(marks.footprint, settings.nruf_donate_percent),
    });
    for category in Category::ALL {
        told[category.word()] = json!(used.counts.of(*category));
    }
    told
}
