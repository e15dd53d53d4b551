//! What is asked of a plan: the act with its parameters, and the numbers, by themselves, by an order or by a filter.

use std::collections::HashSet;

use onhook_core::geo;
use onhook_core::ids::{AccountId, AreaId, OrderId};
use onhook_core::lifecycle::diagram::State;
use onhook_core::number::Number;
use onhook_core::order::act::{Act, Correction, Later, Leaving, Restored, undoable};
use onhook_core::order::{
    CUSTOMER_ORDER_ID_MAX, DISCONNECT_NAME_MAX, NUMBERS_MAX, ORDER_NAME_MAX, Order, Protected,
};
use onhook_store::contract::numbers::NumberFilter;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::body;
use super::door::OpsProblem;
use super::numbers::number;
use super::problem::Code;
use crate::app::App;
use crate::http::auth::Caller;
use crate::http::refusal::Refusal;

/// How far the numbers beyond a plan are counted.
const COUNTED_MAX: u64 = 1_000_000;
/// Least digits of a prefix, with the country code.
const PREFIX_MIN: usize = 4;

/// The numbers of a plan, as they are asked for. Exactly one is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) numbers: Option<Vec<String>>,
    pub(super) order: Option<String>,
    pub(super) filter: Option<Filter>,
}

/// Numbers by what is known of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    account: Option<String>,
    site: Option<String>,
    peer: Option<String>,
    state: Option<String>,
    area: Option<String>,
    prefix: Option<String>,
    until: Option<String>,
    locked: Option<bool>,
    kept: Option<bool>,
    after: Option<String>,
}

/// The numbers of a plan, and how many more were asked for.
pub(super) struct Numbers {
    pub(super) numbers: Vec<Number>,
    pub(super) remaining: u64,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Disconnecting {
    mode: Leaving,
    protected: Option<Protected>,
    name: Option<String>,
    customer_order_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Named {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moving {
    site: Option<String>,
    peer: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Extending {
    release_at: Option<String>,
    days: Option<u16>,
    past_ceiling: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keeping {
    until: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Porting {
    at: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Releasing {
    release_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restoring {
    state: Option<State>,
    account: Option<String>,
    former_account: Option<String>,
    site: Option<String>,
    peer: Option<String>,
    release_at: Option<String>,
    region: Option<String>,
    rate_center: Option<String>,
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    ported_in: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Correcting {
    rate_center: Option<String>,
    region: Option<String>,
    ported_in: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Reads an id of a body. `at` is where it stands there.
pub(super) fn id<T: std::str::FromStr>(at: &str, text: Option<&str>) -> Result<Option<T>, OpsProblem> {
    let wrong = |_| body::wrong(at, format!("{at} is an id in quotes"));
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// Checks a name of at most so many characters.
pub(super) fn named(at: &str, name: Option<String>, most: usize) -> Result<Option<String>, OpsProblem> {
    let fits =
        |name: &String| (1..=most).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    match name {
        Some(name) if !fits(&name) => {
            Err(body::wrong(at, format!("{at} is 1 to {most} characters, none of them a control character")))
        }
        name => Ok(name),
    }
}

fn customer_order_id(text: Option<String>) -> Result<Option<String>, OpsProblem> {
    let fits = |id: &String| {
        (1..=CUSTOMER_ORDER_ID_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b' ')
    };
    match text {
        Some(id) if !fits(&id) => {
            let most = CUSTOMER_ORDER_ID_MAX;
            let detail = format!("customer_order_id is 1 to {most} letters, digits, blanks and hyphens");
            Err(body::wrong("/params/customer_order_id", detail))
        }
        id => Ok(id),
    }
}

fn region(text: Option<String>) -> Result<Option<String>, OpsProblem> {
    let wrong = |_| body::wrong("/params/region", "region is a state or province, two letters".into());
    text.map(|text| geo::region(&text).map_err(wrong)).transpose()
}

fn rate_center(text: Option<String>) -> Result<Option<String>, OpsProblem> {
    let wrong = |_| body::wrong("/params/rate_center", "rate_center is a rate center's name".into());
    text.map(|text| geo::city_name(&text).map_err(wrong)).transpose()
}

/// Reads the new end of a hold. `at` is where its keys stand in the body.
pub(super) fn later(at: &str, extending: &Extending) -> Result<Act, OpsProblem> {
    let Extending { release_at, days, past_ceiling } = extending;
    let until = match (body::instant(&format!("{at}/release_at"), release_at.as_deref())?, *days) {
        (Some(at), None) => Later::ReleaseAt(at),
        (None, Some(days)) => Later::Days(days),
        _ => return Err(OpsProblem::wrong("say one of release_at and days")),
    };
    Ok(Act::Extend { until, past_ceiling: *past_ceiling })
}

/// Reads an act by its word, with its parameters. `order` is the order that is undone, if one is.
pub(super) fn act(
    word: &str,
    params: Map<String, Value>,
    order: Option<&Order>,
    now: onhook_core::time::Timestamp,
) -> Result<Act, OpsProblem> {
    let params = Value::Object(params);
    let none = |act: Act, params: Value| body::of::<Nothing>("/params", params).map(|Nothing {}| act);
    match word {
        "disconnect" => {
            let Disconnecting { mode, protected, name, customer_order_id: id } = body::of("/params", params)?;
            Ok(Act::Disconnect {
                mode,
                protected: protected.unwrap_or(Protected::Unchanged),
                name: named("/params/name", name, DISCONNECT_NAME_MAX)?,
                customer_order_id: customer_order_id(id)?,
            })
        }
        "purge" => {
            let Named { name } = body::of("/params", params)?;
            Ok(Act::Purge { name: named("/params/name", name, DISCONNECT_NAME_MAX)? })
        }
        "reconnect" => {
            let Named { name } = body::of("/params", params)?;
            Ok(Act::Reconnect { name: named("/params/name", name, ORDER_NAME_MAX)? })
        }
        "undo" => {
            let needed = || body::wrong("/target/order", "undo is of an order".into());
            let order = order.ok_or_else(needed)?.id;
            none(Act::Undo { order }, params)
        }
        "move" => {
            let Moving { site, peer } = body::of("/params", params)?;
            let site = id("/params/site", site.as_deref())?;
            let site = site.ok_or_else(|| body::wrong("/params/site", "site is needed".into()))?;
            Ok(Act::Move { site, peer: id("/params/peer", peer.as_deref())? })
        }
        "lock" => none(Act::Lock, params),
        "unlock" => none(Act::Unlock, params),
        "extend" => later("/params", &body::of("/params", params)?),
        "keep" => {
            let Keeping { until } = body::of("/params", params)?;
            Ok(Act::Keep { until: body::instant("/params/until", until.as_deref())? })
        }
        "unkeep" => none(Act::Unkeep, params),
        "set_aside" => none(Act::SetAside, params),
        "put_back" => none(Act::PutBack, params),
        "port_out" => {
            let Porting { at } = body::of("/params", params)?;
            let at = body::instant("/params/at", at.as_deref())?;
            if at.is_some_and(|at| at > now) {
                return Err(body::wrong("/params/at", "at is not ahead of now".into()));
            }
            Ok(Act::PortOut { at })
        }
        "restore" => restore(body::of("/params", params)?),
        "correct" => {
            let Correcting { rate_center: center, region: state, ported_in } = body::of("/params", params)?;
            let correction =
                Correction { rate_center: rate_center(center)?, region: region(state)?, ported_in };
            if correction == Correction::default() {
                return Err(OpsProblem::wrong("say what is corrected: rate_center, region or ported_in"));
            }
            Ok(Act::Correct(correction))
        }
        "release_early" => {
            let Releasing { release_at } = body::of("/params", params)?;
            Ok(Act::ReleaseEarly { release_at: body::instant("/params/release_at", release_at.as_deref())? })
        }
        _ => Err(body::wrong("/act", "act is none of the acts".into())),
    }
}

fn restore(asked: Restoring) -> Result<Act, OpsProblem> {
    let needed = || body::wrong("/params/state", "state is needed".into());
    Ok(Act::Restore(Restored {
        state: asked.state.ok_or_else(needed)?,
        account: id("/params/account", asked.account.as_deref())?,
        former_account: id("/params/former_account", asked.former_account.as_deref())?,
        site: id("/params/site", asked.site.as_deref())?,
        peer: id("/params/peer", asked.peer.as_deref())?,
        release_at: body::instant("/params/release_at", asked.release_at.as_deref())?,
        region: region(asked.region)?,
        rate_center: rate_center(asked.rate_center)?,
        protected: asked.protected,
        ported_in: asked.ported_in,
    }))
}

/// Returns numbers that were named, by digits.
pub(super) fn numbers(texts: &[String]) -> Result<Numbers, OpsProblem> {
    if texts.is_empty() {
        return Err(body::wrong("/target/numbers", "numbers has one number at least".into()));
    }
    if texts.len() > NUMBERS_MAX {
        let detail = format!("a plan has at most {NUMBERS_MAX} numbers");
        return Err(OpsProblem::new(Code::TooManyNumbers, detail));
    }
    let mut numbers = texts.iter().map(|text| number(text)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::with_capacity(numbers.len());
    if let Some(twice) = numbers.iter().find(|number| !seen.insert(**number)) {
        return Err(OpsProblem::new(Code::DuplicateNumber, format!("{twice} is there twice")));
    }
    numbers.sort_unstable();
    Ok(Numbers { numbers, remaining: 0 })
}

/// Returns the numbers that went by an order, by digits.
pub(super) fn of_order(act: &str, order: &Order) -> Result<Numbers, OpsProblem> {
    let mut numbers: Vec<Number> = if act == "undo" {
        let detail = "it is no disconnect order that has ended with numbers, or it purged them";
        undoable(order).ok_or_else(|| OpsProblem::new(Code::NotUndoable, detail))?
    } else {
        order.done().collect()
    };
    numbers.sort_unstable();
    Ok(Numbers { numbers, remaining: 0 })
}

/// Returns the states of the numbers that an act takes. Empty for all.
fn states(act: &Act) -> &'static [State] {
    match act {
        Act::Disconnect { .. } | Act::Purge { .. } | Act::Move { .. } => &[State::InService],
        Act::Lock | Act::Unlock => &[State::InService],
        Act::Reconnect { .. } | Act::Undo { .. } | Act::Extend { .. } => &[State::Aging],
        Act::Keep { .. } | Act::Unkeep | Act::ReleaseEarly { .. } => &[State::Aging],
        Act::SetAside => &[State::Available],
        Act::PutBack => &[State::Administrative],
        Act::PortOut { .. } => &[State::InService, State::Aging],
        Act::Restore(_) => &[State::Removed],
        Act::Correct(_) => &[],
    }
}

/// Reads a filter: which numbers it means, and the number behind which they begin. `account` is the account of the
/// plan, if it has one.
pub(super) fn filter(
    filter: &Filter,
    act: &Act,
    account: Option<AccountId>,
    caller: &Caller,
) -> Result<Option<(NumberFilter, Option<Number>)>, OpsProblem> {
    let at = |key: &str| format!("/target/filter/{key}");
    let named = body::account(caller, &at("account"), filter.account.as_deref())?;
    let prefix = filter.prefix.as_deref().map(|prefix| prefix.trim_start_matches('+'));
    let narrow = [&filter.account, &filter.site, &filter.peer, &filter.area, &filter.prefix];
    if narrow.iter().all(|part| part.is_none()) {
        let detail = "a filter has one of account, site, peer, area and prefix at least";
        return Err(OpsProblem::new(Code::FilterTooWide, detail));
    }
    if let Some(prefix) = prefix
        && (!(PREFIX_MIN..=15).contains(&prefix.len()) || !prefix.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let detail = format!("prefix is {PREFIX_MIN} to 15 digits, with the country code");
        return Err(body::wrong(&at("prefix"), detail));
    }
    let wrong = |_| body::wrong(&at("state"), "state is one or more of the states, with commas".into());
    let asked = filter.state.as_deref().map_or(Ok(Vec::new()), |text| {
        text.split(',').map(str::parse::<State>).collect::<Result<Vec<_>, _>>().map_err(wrong)
    })?;
    let taken = states(act);
    let states: Vec<State> = match (asked.is_empty(), taken.is_empty()) {
        (_, true) => asked,
        (true, false) => taken.to_vec(),
        (false, false) => asked.into_iter().filter(|state| taken.contains(state)).collect(),
    };
    // The filter's account and the plan's may be two. Then there is no such number, and none in any state.
    if (states.is_empty() && !taken.is_empty()) || account.zip(named).is_some_and(|(one, other)| one != other)
    {
        return Ok(None);
    }
    let after = filter.after.as_deref().map(number).transpose()?;
    let wanted = NumberFilter {
        account: account.or(named),
        states,
        site: id(&at("site"), filter.site.as_deref())?,
        peer: id(&at("peer"), filter.peer.as_deref())?,
        area: id(&at("area"), filter.area.as_deref())?.map(AreaId),
        prefix: prefix.map(str::to_owned),
        until: body::instant(&at("until"), filter.until.as_deref())?,
        locked: filter.locked,
        kept: filter.kept,
        protected: None,
    };
    Ok(Some((wanted, after)))
}

/// Looks for the numbers that a filter means: the first by digits, and how many more there are. Each look is short, so
/// that nothing has to be kept for it while others write.
pub(super) async fn found(
    app: &App,
    filter: NumberFilter,
    mut after: Option<Number>,
) -> Result<Numbers, OpsProblem> {
    let (mut numbers, mut remaining) = (Vec::new(), 0);
    loop {
        let left = NUMBERS_MAX - numbers.len();
        let most = if left > 0 { left } else { NUMBERS_MAX };
        let found = app.store.find(filter.clone(), after, most).await?;
        if left > 0 {
            numbers.extend(found.numbers);
        } else {
            remaining += u64::try_from(found.numbers.len()).unwrap_or(u64::MAX);
        }
        after = found.next;
        if after.is_none() || remaining >= COUNTED_MAX {
            return Ok(Numbers { numbers, remaining: remaining.min(COUNTED_MAX) });
        }
    }
}

/// Returns the order of a target, if its caller may see it.
pub(super) async fn order(app: &App, text: &str, caller: &Caller) -> Result<Order, OpsProblem> {
    let nothing = || OpsProblem::from(Refusal::NoResource);
    let id: OrderId = text.parse().map_err(|_| nothing())?;
    let order = app.store.order_by_id(id).await?.ok_or_else(nothing)?;
    if caller.account.is_some_and(|own| own != order.account) { Err(nothing()) } else { Ok(order) }
}

/// Checks the place of a move: the account has it.
pub(super) async fn place(app: &App, act: &Act, account: Option<AccountId>) -> Result<(), OpsProblem> {
    let (Act::Move { site, peer }, Some(account)) = (act, account) else { return Ok(()) };
    let Some((_, premises)) = app.store.account(account).await? else { return Ok(()) };
    if !premises.sites.iter().any(|one| one.id == *site) {
        return Err(body::wrong("/params/site", "the account has no such site".into()));
    }
    let there = |peer| premises.peers.iter().any(|one| one.id == peer && one.site == *site);
    match peer {
        Some(peer) if !there(*peer) => Err(body::wrong("/params/peer", "the site has no such peer".into())),
        _ => Ok(()),
    }
}
