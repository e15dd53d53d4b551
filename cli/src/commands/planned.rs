//! Acts on numbers by a plan: it is made, shown, and applied exactly as it was shown.

use std::io::BufRead;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use onhook_core::ids::{AccountId, OrderId};
use onhook_core::number::Number;
use onhook_core::order::NUMBERS_MAX;
use serde_json::{Map, Value, json};

use crate::client::{Ask, escaped, refused_line};
use crate::exit::Exit;
use crate::session::{Session, asked, text};
use crate::table::Column;
use crate::terminal::count;

/// Items that are asked for at once.
const PAGE: u16 = 1_000;
/// What would happen to each number.
const COLUMNS: [Column; 7] = [
    ("NUMBER", "/number"),
    ("OUTCOME", "/outcome"),
    ("WHY", "/why"),
    ("BEFORE", "/before"),
    ("AFTER", "/after"),
    ("DAYS", "/days"),
    ("RELEASE", "/release_at"),
];
/// Numbers that are shown before a plan is applied.
const SHOWN: usize = 10;

/// How the numbers of an act are named: in exactly one way.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The numbers: ten digits, or + and E.164. - reads them from standard input, one a line
    #[arg(value_name = "NUMBER")]
    numbers: Vec<Named>,
    /// The numbers of this file, one a line
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// The numbers that went by this order
    #[arg(long, value_name = "ID")]
    order: Option<OrderId>,
    /// The numbers for which this holds, such as site=1; may be said again. The keys are account, site, peer, state,
    /// area, prefix, until, locked, kept and after
    #[arg(long, value_name = "KEY=VALUE", value_parser = condition)]
    filter: Vec<(String, Value)>,
}

/// Which numbers an act is about, and who has agreed to it.
#[derive(clap::Args)]
pub(crate) struct Targets {
    #[command(flatten)]
    which: Which,
    /// Go on with the next numbers of the filter until there are none, 5000 at a time
    #[arg(long, requires = "filter")]
    all: bool,
    /// Whose numbers they are
    #[arg(long)]
    account: Option<AccountId>,
    /// Do not ask, if no number is refused
    #[arg(long)]
    yes: bool,
    /// Do not ask, and leave out the numbers that are refused
    #[arg(long)]
    partial: bool,
}

/// A number, or where numbers are read.
#[derive(Clone, Debug)]
enum Named {
    Number(Number),
    Input,
}

impl FromStr for Named {
    type Err = onhook_core::number::NumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" { Ok(Self::Input) } else { text.parse().map(Self::Number) }
    }
}

/// Reads a condition of a filter. Which keys there are, the API knows.
fn condition(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("it is a key and its value, such as site=1")?;
    let value = match value {
        "true" => json!(true),
        "false" => json!(false),
        value => json!(value),
    };
    Ok((key.to_owned(), value))
}

/// An act that is planned.
pub(crate) struct Planned {
    /// Its word.
    pub(crate) act: &'static str,
    /// What is particular to it.
    pub(crate) params: Map<String, Value>,
}

impl Targets {
    /// Returns the number if exactly one is named, and nothing else is said.
    pub(crate) fn single(&self) -> Option<Number> {
        let plain = self.account.is_none() && !self.partial && !self.all;
        match self.which.numbers.as_slice() {
            [Named::Number(number)] if plain => Some(*number),
            _ => None,
        }
    }

    /// Returns the targets of the plans, and whether the last one is a filter that goes on.
    fn targets(&self) -> anyhow::Result<Vec<Value>> {
        if let Some(order) = self.which.order {
            return Ok(vec![json!({ "order": order.to_string() })]);
        }
        if !self.which.filter.is_empty() {
            let mut filter = Map::new();
            for (key, value) in &self.which.filter {
                anyhow::ensure!(
                    filter.insert(key.clone(), value.clone()).is_none(),
                    "the filter says {key} twice"
                );
            }
            return Ok(vec![json!({ "filter": filter })]);
        }
        let mut numbers = Vec::new();
        for named in &self.which.numbers {
            match named {
                Named::Number(number) => numbers.push(*number),
                Named::Input => read(&mut std::io::stdin().lock(), "standard input", &mut numbers)?,
            }
        }
        if let Some(path) = &self.which.file {
            let name = path.display().to_string();
            let file = std::fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
            read(&mut std::io::BufReader::new(file), &name, &mut numbers)?;
        }
        anyhow::ensure!(!numbers.is_empty(), "there is no number");
        let all = numbers.chunks(NUMBERS_MAX);
        let named = |numbers: &[Number]| numbers.iter().map(Number::to_string).collect::<Vec<_>>();
        Ok(all.map(|numbers| json!({ "numbers": named(numbers) })).collect())
    }
}

/// Reads numbers, one a line. Empty lines are passed over.
fn read(from: &mut impl BufRead, name: &str, numbers: &mut Vec<Number>) -> anyhow::Result<()> {
    for (line, text) in (1..).zip(from.lines()) {
        let text = text.with_context(|| format!("cannot read {name}"))?;
        let text = text.trim();
        if !text.is_empty() {
            numbers.push(text.parse().with_context(|| format!("line {line} of {name}: {text:?}"))?);
        }
    }
    Ok(())
}

impl Planned {
    /// Makes a plan for some numbers, shows it, and applies it if that is wanted. More numbers than one plan holds become
    /// a series of plans.
    pub(crate) async fn run(self, session: &mut Session<'_>, targets: Targets) -> anyhow::Result<Exit> {
        anyhow::ensure!(
            targets.yes || targets.partial || session.may_ask(),
            "say --yes to apply the plan if no number is refused, or --partial to leave refused ones out"
        );
        anyhow::ensure!(
            !targets.all || !targets.which.filter.is_empty(),
            "--all goes on with a --filter: there is none"
        );
        let mut left = std::collections::VecDeque::from(targets.targets()?);
        let series = (left.len() > 1 || targets.all).then(|| {
            format!("{} {}", self.act, uuid::Uuid::new_v4().simple()).chars().take(50).collect::<String>()
        });
        let mut consent = Consent { yes: targets.yes, partial: targets.partial, given: false };
        let mut exit = Exit::Done;
        while let Some(target) = left.pop_front() {
            let mut body = session.why();
            body["act"] = json!(self.act);
            body["params"] = json!(self.params);
            body["target"] = target.clone();
            if let Some(account) = targets.account {
                body["account"] = json!(account.to_string());
            }
            if let Some(series) = &series {
                body["series"] = json!(series);
            }
            let plan = session.ask(&Ask::post("plans", body)).await?;
            match apply(session, &plan, &mut consent).await? {
                Outcome::Applied(Exit::Done) => {}
                Outcome::Applied(Exit::NotWell) => exit = Exit::NotWell,
                Outcome::Nothing if consent.partial => exit = Exit::NotWell,
                Outcome::Nothing | Outcome::Stopped => return Ok(Exit::NotWell),
            }
            let remaining = plan["counts"]["remaining"].as_u64().unwrap_or_default();
            if remaining > 0 && !targets.all {
                session
                    .terminal
                    .remark(&format!("{} remain: say --all to go on", count(remaining, "number")));
            } else if remaining > 0 {
                let mut next = target;
                next["filter"]["after"] = json!(last(session, &plan).await?);
                left.push_back(next);
            }
        }
        Ok(exit)
    }
}

/// Returns the last number of a plan.
async fn last(session: &mut Session<'_>, plan: &Value) -> anyhow::Result<String> {
    let ask = Ask::get(&format!("plans/{}/items", escaped(&text(plan, "/id")))).with("limit", Some(PAGE));
    let mut page = session.ask(&ask).await?;
    while let Some(next) = page["next"].as_str().map(str::to_owned) {
        page = session.ask(&ask.clone().with("cursor", Some(next))).await?;
    }
    let last = page["items"].as_array().and_then(|items| items.last()).map(|item| text(item, "/number"));
    last.context("a plan without numbers has others behind it")
}

/// Whether a person has agreed.
struct Consent {
    /// If no number is refused.
    yes: bool,
    /// Also if some are.
    partial: bool,
    /// Once, for this plan and those that follow it.
    given: bool,
}

/// What became of a plan.
enum Outcome {
    /// It was applied.
    Applied(Exit),
    /// No number goes.
    Nothing,
    /// It was not applied.
    Stopped,
}

/// Shows a plan, asks if need be, and applies it.
async fn apply(session: &mut Session<'_>, plan: &Value, consent: &mut Consent) -> anyhow::Result<Outcome> {
    let number = |at: &str| plan.pointer(at).and_then(Value::as_u64).unwrap_or_default();
    let (go, refused, needed) =
        (number("/counts/go"), number("/counts/refused"), number("/approvals/needed"));
    for line in summary(plan) {
        session.terminal.remark(&line);
    }
    let id = text(plan, "/id");
    if go == 0 {
        session.terminal.remark("no number goes: nothing was done");
        return Ok(Outcome::Nothing);
    }
    if needed
        > plan["approvals"]["given"].as_array().map_or(0, |given| u64::try_from(given.len()).unwrap_or(0))
    {
        session.terminal.remark(&format!("another person is to agree: onhook plans approve {id}"));
        return Ok(Outcome::Stopped);
    }
    let agreed = consent.partial || (consent.given || consent.yes) && refused == 0;
    if !agreed {
        let question = format!("Do this to {}? [y/N] ", count(go, "number"));
        let answer = if consent.yes { None } else { asked(&question) };
        if !answer.is_some_and(|answer| matches!(answer.to_lowercase().as_str(), "y" | "yes")) {
            let how = if refused > 0 {
                "say --partial to leave out what is refused"
            } else {
                "it stays open for a while"
            };
            session.terminal.remark(&format!("plan {id} was not applied: {how}"));
            return Ok(Outcome::Stopped);
        }
    }
    consent.given = true;
    applied(session, &id, &text(plan, "/hash"), refused == 0).await.map(Outcome::Applied)
}

/// Applies a plan of which a person has seen this hash, and tells what came of it.
pub(crate) async fn applied(
    session: &mut Session<'_>,
    id: &str,
    hash: &str,
    whole: bool,
) -> anyhow::Result<Exit> {
    let ask = Ask::post(&format!("plans/{}/apply", escaped(id)), json!({ "hash": hash }));
    let done = session
        .show(&ask, |done| {
            let went = count(done["went"].as_u64().unwrap_or_default(), "number");
            let order = match done["order"]["id"].as_str() {
                Some(order) => format!(", by order {order}, which is {}", text(done, "/order/status")),
                None => String::new(),
            };
            let held = match done["order"]["waiting"].as_str() {
                Some(waiting) => format!(" and waits: {waiting}"),
                None => String::new(),
            };
            vec![format!("{went} done{order}{held}")]
        })
        .await?;
    let waits = !done["order"]["waiting"].is_null();
    Ok(if whole && !waits { Exit::Done } else { Exit::NotWell })
}

/// Returns a plan in a few lines.
pub(crate) fn summary(plan: &Value) -> Vec<String> {
    let number = |at: &str| plan.pointer(at).and_then(Value::as_u64).unwrap_or_default();
    let list = |at: &str| plan[at].as_array().cloned().unwrap_or_default();
    let mut lines = vec![format!(
        "{}: {} of {} go, plan {}",
        text(plan, "/act"),
        number("/counts/go"),
        count(number("/counts/named"), "number"),
        text(plan, "/id")
    )];
    for hold in list("holds") {
        lines.push(format!(
            "  {}: {} days, until {} ({}, {})",
            count(hold["numbers"].as_u64().unwrap_or_default(), "number"),
            text(&hold, "/days"),
            text(&hold, "/release_at"),
            text(&hold, "/profile"),
            text(&hold, "/class")
        ));
    }
    lines.extend(list("refused").iter().filter_map(refused_line).map(|line| format!("{line}, refused")));
    lines.extend(list("warnings").iter().map(|warning| format!("  mind: {}", text(warning, "/detail"))));
    let remaining = number("/counts/remaining");
    if remaining > 0 {
        lines.push(format!("  {} more are not in this plan", count(remaining, "number")));
    }
    let going = list("items").into_iter().filter(|item| item["outcome"] == "goes");
    let shown: Vec<String> = going.take(SHOWN).map(|item| text(&item, "/number")).collect();
    if !shown.is_empty() {
        let more = if number("/counts/go") > u64::try_from(SHOWN).unwrap_or(0) { " …" } else { "" };
        lines.push(format!("  {}{more}", shown.join(" ")));
    }
    lines
}

/// Shows what would happen to each number of a plan.
pub(crate) async fn items(session: &mut Session<'_>, id: &str) -> anyhow::Result<Exit> {
    session.list(&Ask::get(&format!("plans/{}/items", escaped(id))), &COLUMNS, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_key_and_a_value() {
        assert_eq!(condition("site=1"), Ok(("site".into(), json!("1"))));
        assert_eq!(condition("locked=false"), Ok(("locked".into(), json!(false))));
        assert!(condition("site").is_err());
    }

    #[test]
    fn numbers_are_read_one_a_line() {
        let mut numbers = Vec::new();
        read(&mut "5405514342\n\n +15405550100 \n".as_bytes(), "f", &mut numbers).unwrap();
        assert_eq!(
            numbers.iter().map(Number::to_string).collect::<Vec<_>>(),
            ["+15405514342", "+15405550100"]
        );
        let error = read(&mut "5405514342\n911\n".as_bytes(), "f", &mut numbers).unwrap_err();
        assert!(format!("{error:#}").starts_with("line 2 of f: \"911\": 3 digits"), "{error:#}");
    }
}
