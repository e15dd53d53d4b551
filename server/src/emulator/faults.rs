//! Faults on demand: which rule acts on a request or on a delivery, and what it does.
//!
//! A fault refuses, delays or loses an answer, or fails numbers that would have gone. It has no rule of its own about
//! numbers and moves none.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onhook_core::ids::AccountId;
use onhook_core::notify::notification::DeliveryFailure;
use onhook_core::number::Number;
use onhook_core::order::Refusal;
use serde_json::Value;

/// Most keys under which an answer was lost. Beyond them the oldest is forgotten.
const LOST_MAX: usize = 10_000;
/// Most rules at once.
pub(crate) const RULES_MAX: usize = 1_000;

/// What a receiver does instead of being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deaf {
    /// It cannot be reached, or breaks off.
    Fails(DeliveryFailure),
    /// It answers with this status.
    Answers(u16),
}

/// What is staged for the order that a request makes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Staging {
    /// Numbers that fail, and why. `None` is each number of the order.
    pub(crate) numbers: Vec<(Option<Number>, Refusal)>,
    /// What its receivers do at their first attempt.
    pub(crate) told: Option<Deaf>,
}

/// What is done to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Nothing but a delay.
    Late,
    /// It is refused before anything is written.
    Refused(Answer),
    /// It is done, and then answered so.
    AnsweredAfter(Answer),
    /// The connection is cut before it is done.
    LostBefore,
    /// It is done, and then the connection is cut.
    LostAfter,
    /// Its numbers, or those of the rule, fail with this reason.
    Numbers(Refusal),
    /// A receiver is not asked.
    Receiver(Deaf),
}

/// An answer on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// The API's code. `None` for the usual text of the status.
    pub(crate) code: Option<u16>,
    /// More headers: name and value.
    pub(crate) headers: Vec<(String, String)>,
}

impl Answer {
    /// Returns an answer without more headers.
    pub(crate) fn of(status: u16, code: Option<u16>) -> Self {
        Self { status, code, headers: Vec::new() }
    }
}

/// On which requests or deliveries a rule acts: those for which all that is given holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Match {
    /// The method.
    pub(crate) method: Option<String>,
    /// The path without prefix, in lower case, with `*` for a part.
    pub(crate) path: Option<String>,
    /// The account in the path.
    pub(crate) account: Option<AccountId>,
    /// A number that the path or the body names.
    pub(crate) number: Option<Number>,
    /// The beginning of a receiver's URL, or a mailbox.
    pub(crate) receiver: Option<String>,
    /// How likely it acts, from 0 to 1.
    pub(crate) probability: Option<f64>,
    /// How often it acts.
    pub(crate) count: Option<u32>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deed {
    /// What is done.
    pub(crate) harm: Harm,
    /// How much later the answer is given.
    pub(crate) delay: Duration,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Its id.
    pub(crate) id: u64,
    /// On what it acts.
    pub(crate) on: Match,
    /// What it does.
    pub(crate) deed: Deed,
    /// How often it has acted.
    pub(crate) hits: u64,
    /// The document that it was made from.
    pub(crate) told: Value,
}

/// A request, as rules see it.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    /// Its method.
    pub(crate) method: &'a str,
    /// Its path without prefix, in lower case.
    pub(crate) path: &'a str,
    /// The account in its path.
    pub(crate) account: Option<AccountId>,
    /// The numbers that its path and its body name.
    pub(crate) numbers: &'a [Number],
}

/// The rules of an emulator.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    rules: Vec<Rule>,
    last: u64,
    seed: u64,
    drawn: u64,
    /// The accounts and keys of requests that were done and whose answer was lost, the latest last.
    lost: VecDeque<(AccountId, Vec<u8>)>,
}

impl Inside {
    /// Returns a number from 0 to 1. The same seed gives the same ones again.
    fn draw(&mut self) -> f64 {
        self.drawn += 1;
        let mut digest = blake3::Hasher::new();
        digest.update(&self.seed.to_le_bytes()).update(&self.drawn.to_le_bytes());
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&digest.finalize().as_bytes()[..4]);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }

    /// Returns what the first rule that fits does, and counts it.
    fn first(&mut self, fits: impl Fn(&Rule) -> bool) -> Option<(u64, Match, Deed)> {
        for n in 0..self.rules.len() {
            let rule = &self.rules[n];
            let spent = rule.on.count.is_some_and(|count| rule.hits >= u64::from(count));
            if spent || !fits(rule) {
                continue;
            }
            let probability = rule.on.probability;
            if probability.is_some_and(|probability| self.draw() >= probability) {
                continue;
            }
            let rule = &mut self.rules[n];
            rule.hits += 1;
            return Some((rule.id, rule.on.clone(), rule.deed.clone()));
        }
        None
    }
}

impl Faults {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule behind the others. `None` if there are as many as may be.
    pub(crate) fn add(&self, on: Match, deed: Deed, told: Value) -> Option<Rule> {
        let mut inside = self.inside();
        if inside.rules.len() >= RULES_MAX {
            return None;
        }
        inside.last += 1;
        let rule = Rule { id: inside.last, on, deed, hits: 0, told };
        inside.rules.push(rule.clone());
        Some(rule)
    }

    /// Returns all rules, in the order in which they are looked at.
    pub(crate) fn all(&self) -> Vec<Rule> {
        self.inside().rules.clone()
    }

    /// Removes a rule. Returns whether it was there.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut inside = self.inside();
        let before = inside.rules.len();
        inside.rules.retain(|rule| rule.id != id);
        inside.rules.len() < before
    }

    /// Removes all rules. With a seed, what is drawn after it repeats.
    pub(crate) fn forget(&self, seed: Option<u64>) {
        let mut inside = self.inside();
        let seed = seed.unwrap_or(inside.seed);
        *inside = Inside { seed, ..Inside::default() };
    }

    /// Removes all rules, and no more.
    pub(crate) fn clear(&self) {
        self.inside().rules.clear();
    }

    /// Returns whether the answer to an account's request under this key was lost before, and notes that it is now. The
    /// request that is sent again is answered.
    pub(crate) fn was_lost(&self, account: AccountId, key: &[u8]) -> bool {
        let mut inside = self.inside();
        if inside.lost.iter().any(|(of, known)| *of == account && known == key) {
            return true;
        }
        if inside.lost.len() >= LOST_MAX {
            inside.lost.pop_front();
        }
        inside.lost.push_back((account, key.to_owned()));
        false
    }

    /// Returns the rule that acts on a request, by its id, with what it matches and does.
    pub(crate) fn on_request(&self, asked: &Asked<'_>) -> Option<(u64, Match, Deed)> {
        self.inside().first(|rule| rule.on.receiver.is_none() && fits(&rule.on, asked))
    }

    /// Returns what a rule does to a delivery to this URL or mailbox.
    pub(crate) fn on_delivery(&self, target: &str) -> Option<(u64, Deed)> {
        let mut inside = self.inside();
        let found = inside.first(|rule| {
            let receiver = rule.on.receiver.as_ref();
            receiver.is_some_and(|receiver| target.starts_with(receiver.as_str()))
        });
        found.map(|(id, _, deed)| (id, deed))
    }
}

/// Returns whether a rule is about a request.
fn fits(on: &Match, asked: &Asked<'_>) -> bool {
    on.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(asked.method))
        && on.path.as_deref().is_none_or(|pattern| is_path(pattern, asked.path))
        && on.account.is_none_or(|account| asked.account == Some(account))
        && on.number.is_none_or(|number| asked.numbers.contains(&number))
}

/// Returns whether a path is as a pattern says, in which `*` stands for a part.
pub(crate) fn is_path(pattern: &str, path: &str) -> bool {
    let parts =
        |text: &str| text.trim_matches('/').split('/').map(str::to_ascii_lowercase).collect::<Vec<_>>();
    let (pattern, path) = (parts(pattern), parts(path));
    pattern.len() == path.len() && pattern.iter().zip(&path).all(|(wanted, is)| wanted == "*" || wanted == is)
}

/// Returns the numbers that a path and a body name: what stands alone and is a telephone number, each once.
pub(crate) fn named(path: &str, body: &str) -> Vec<Number> {
    let mut found = Vec::new();
    let alone = |c: char| !(c.is_alphanumeric() || matches!(c, '+' | '-' | '_' | '.'));
    for word in path.split('/').chain(body.split(alone)) {
        let word = word.replace("%2B", "+").replace("%2b", "+");
        let digits = word.strip_prefix('+').unwrap_or(&word);
        if digits.len() < 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let number = word.parse::<Number>().or_else(|_| format!("+{digits}").parse());
        if let Ok(number) = number
            && !found.contains(&number)
        {
            found.push(number);
        }
    }
    found
}

/// What one request asks for itself, in the header `Prefer`.
///
/// # Errors
/// A word that is none.
pub(crate) fn preferred(word: &str) -> Result<Deed, ()> {
    let late = |delay| Ok(Deed { harm: Harm::Late, delay });
    let at_once = |harm| Ok(Deed { harm, delay: Duration::ZERO });
    let status = |text: &str| match text.parse::<u16>() {
        Ok(status) if text.len() == 3 && (400..=599).contains(&status) => Ok(status),
        _ => Err(()),
    };
    if let Some(ms) = word.strip_prefix("delay-") {
        return match ms.parse::<u64>() {
            Ok(ms) if ms <= DELAY_MS_MAX && ms.to_string() == *word.trim_start_matches("delay-") => {
                late(Duration::from_millis(ms))
            }
            _ => Err(()),
        };
    }
    if let Some(code) = word.strip_prefix("number-") {
        let why = code.parse().ok().and_then(onhook_wire::error::explained::refusal_of).ok_or(())?;
        return at_once(Harm::Numbers(why));
    }
    if let Some(how) = word.strip_prefix("receiver-") {
        return at_once(Harm::Receiver(deaf(how).ok_or(())?));
    }
    match word {
        "drop" => at_once(Harm::LostBefore),
        "drop-after" => at_once(Harm::LostAfter),
        _ => {
            let (status, code) = match word.split_once('-') {
                Some((text, code)) => (status(text)?, Some(code.parse().map_err(|_| ())?)),
                None => (status(word)?, None),
            };
            onhook_wire::error::explained::on_demand(status, code).ok_or(())?;
            at_once(Harm::Refused(Answer::of(status, code)))
        }
    }
}

/// Most milliseconds by which an answer is late.
pub(crate) const DELAY_MS_MAX: u64 = 60_000;

/// Reads what a receiver does instead of being asked.
pub(crate) fn deaf(how: &str) -> Option<Deaf> {
    match how {
        "timeout" => Some(Deaf::Fails(DeliveryFailure::Timeout)),
        "refused" => Some(Deaf::Fails(DeliveryFailure::Refused)),
        "tls" => Some(Deaf::Fails(DeliveryFailure::Tls)),
        status => status.parse().ok().filter(|status| (100..=599).contains(status)).map(Deaf::Answers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_where_they_stand_alone() {
        let body = "<a>5405550181</a><b>+17035550182</b>{\"n\":\"9195550183\"} \
                    744f1d16-d3a5-43b3-ab97-540555018100 order-5405550184 12345678";
        let found: Vec<String> =
            named("/tns/4155550180/history", body).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["+14155550180", "+15405550181", "+17035550182", "+19195550183"]);
    }

    #[test]
    fn a_star_stands_for_one_part() {
        for (pattern, path, fits) in [
            ("/accounts/*/disconnects", "/accounts/9900000/disconnects", true),
            ("/Accounts/*/Disconnects/", "/accounts/9900000/disconnects", true),
            ("/accounts/*/disconnects", "/accounts/9900000/disconnects/1", false),
            ("/accounts/*", "/accounts/9900000/disconnects", false),
            ("/tns/*", "/accounts/1", false),
        ] {
            assert_eq!(is_path(pattern, path), fits, "{pattern} {path}");
        }
    }

    #[test]
    fn a_rule_acts_as_often_as_it_says_and_the_first_one_that_fits() {
        let faults = Faults::default();
        let deed = |status| Deed { harm: Harm::Refused(Answer::of(status, None)), delay: Duration::ZERO };
        faults.add(Match { count: Some(1), ..Match::default() }, deed(503), Value::Null).unwrap();
        faults.add(Match { method: Some("GET".into()), ..Match::default() }, deed(500), Value::Null).unwrap();
        let asked = Asked { method: "GET", path: "/tns", account: None, numbers: &[] };
        let acts = |asked: &Asked<'_>| faults.on_request(asked).map(|(_, _, deed)| deed);
        assert_eq!((acts(&asked), acts(&asked)), (Some(deed(503)), Some(deed(500))));
        assert_eq!(acts(&Asked { method: "POST", ..asked.clone() }), None);
        assert_eq!(faults.all().iter().map(|rule| rule.hits).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn what_is_drawn_repeats_with_its_seed() {
        let drawn = |seed| {
            let mut inside = Inside { seed, ..Inside::default() };
            [inside.draw(), inside.draw(), inside.draw()]
        };
        assert_eq!(drawn(42), drawn(42));
        assert_ne!(drawn(42), drawn(43));
        assert!(drawn(42).iter().all(|drawn| (0.0..1.0).contains(drawn)));
    }

    #[test]
    fn a_misspelt_wish_is_none() {
        for word in [
            "503",
            "400-5012",
            "delay-2000",
            "drop",
            "drop-after",
            "number-5003",
            "receiver-timeout",
            "receiver-500",
        ] {
            assert!(preferred(word).is_ok(), "{word}");
        }
        for word in [
            "",
            "53",
            "200",
            "503x",
            "400-1",
            "delay-",
            "delay-60001",
            "delay-01",
            "dropped",
            "number-1",
            "receiver-",
            "receiver-9",
        ] {
            assert!(preferred(word).is_err(), "{word}");
        }
    }
}
