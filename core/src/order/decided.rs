//! What a plan says of each of its numbers, in a form that is short to keep: many numbers share one outcome.

use std::collections::HashMap;

use crate::ids::{PeerId, SiteId};
use crate::lifecycle::diagram::{Home, State};
use crate::number::Number;
use crate::order::act::{Judged, Refused};
use crate::time::Timestamp;

/// What is decided of a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// It goes.
    Goes(Going),
    /// It does not.
    Refused(Refused),
}

/// What happens to a number that goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Going {
    /// Its state before.
    pub before: State,
    /// Its state after.
    pub after: State,
    /// How many days it ages, if it is disconnected.
    pub days: Option<u16>,
    /// When it is released, if it ages afterwards.
    pub release_at: Option<Timestamp>,
    /// Where it then goes.
    pub home: Option<Home>,
    /// The site at which it is afterwards.
    pub site: Option<SiteId>,
    /// The peer at which it is afterwards.
    pub peer: Option<PeerId>,
    /// All that the hash of a decision counts.
    line: String,
}

impl From<&Judged> for Decided {
    fn from(judged: &Judged) -> Self {
        let goes = match &judged.outcome {
            Ok(goes) => goes,
            Err(why) => return Decided::Refused(*why),
        };
        let after = &goes.transition.after;
        let place = after.standing.place();
        Decided::Goes(Going {
            before: goes.transition.before.state(),
            after: after.state(),
            days: goes.days,
            release_at: goes.release_at,
            home: goes.home,
            site: place.map(|place| place.site),
            peer: place.and_then(|place| place.peer),
            line: goes.line(),
        })
    }
}

impl Decided {
    /// Returns whether another decision is equal, as the hash counts it.
    #[must_use]
    pub fn equals(&self, other: &Decided) -> bool {
        match (self, other) {
            (Decided::Goes(one), Decided::Goes(other)) => one.line == other.line,
            (Decided::Refused(one), Decided::Refused(other)) => one == other,
            _ => false,
        }
    }

    /// Returns whether the number goes.
    #[must_use]
    pub fn goes(&self) -> bool {
        matches!(self, Decided::Goes(_))
    }
}

/// What is decided of numbers, by digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decisions {
    outcomes: Vec<Decided>,
    numbers: Vec<(Number, usize)>,
}

/// A number about which another plan decides otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otherwise {
    /// The number.
    pub number: Number,
    /// What was decided.
    pub planned: Decided,
    /// What is decided now. `None` if it is in the plan no more.
    pub now: Option<Decided>,
}

impl Decisions {
    /// Returns what was judged.
    #[must_use]
    pub fn of(judged: &[Judged]) -> Self {
        let (mut decisions, mut known) = (Self::default(), HashMap::new());
        for one in judged {
            let decided = Decided::from(one);
            let at = *known.entry(decided).or_insert_with_key(|decided| {
                decisions.outcomes.push(decided.clone());
                decisions.outcomes.len() - 1
            });
            decisions.numbers.push((one.number, at));
        }
        decisions
    }

    /// Returns the numbers with what is decided of them, by digits.
    pub fn iter(&self) -> impl Iterator<Item = (Number, &Decided)> {
        self.numbers.iter().filter_map(|(number, at)| Some((*number, self.outcomes.get(*at)?)))
    }

    /// Returns the numbers, by digits.
    #[must_use]
    pub fn numbers(&self) -> Vec<Number> {
        self.numbers.iter().map(|(number, _)| *number).collect()
    }

    /// Returns the numbers about which `now` decides otherwise.
    #[must_use]
    pub fn otherwise(&self, now: &Decisions) -> Vec<Otherwise> {
        let others: HashMap<Number, &Decided> = now.iter().collect();
        let pairs = self.iter().map(|(number, planned)| (number, planned, others.get(&number).copied()));
        let differ = pairs.filter(|(_, planned, now)| now.is_none_or(|now| !planned.equals(now)));
        let otherwise = differ.map(|(number, planned, now)| {
            let (planned, now) = (planned.clone(), now.cloned());
            Otherwise { number, planned, now }
        });
        otherwise.collect()
    }
}
