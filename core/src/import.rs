//! Which lines of an import become numbers, and how bad lines are counted and shown.
//!
//! Not here: how a file is read (`cli`), or which numbers exist already (`store`).

use std::fmt;

use crate::account::{NoPlace, Place, Premises};
use crate::ids::{AccountId, AreaId, PeerId, SiteId};
use crate::lifecycle::diagram::State;
use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::event::{Change, Transition};
use crate::lifecycle::history::{History, Rest};
use crate::lifecycle::policy::Policy;
use crate::lifecycle::provenance::Author;
use crate::number::{Number, NumberError};
use crate::time::Timestamp;
use crate::words::UnknownWord;

/// Reads a number as people and their spreadsheets write it. Besides the forms that [`Number`] itself reads, it may
/// have parentheses, hyphens, dots and spaces between its groups, such as `(540) 555-0102`.
///
/// This is for files only. Requests write a number as the API says.
///
/// # Errors
/// [`BadNumber::Spreadsheet`] for a number that a spreadsheet has changed, else [`BadNumber::Form`].
///
/// ```
/// use onhook_core::import::{BadNumber, number};
/// assert_eq!(number("+1 (540) 551-4342"), "5405514342".parse().map_err(BadNumber::Form));
/// assert_eq!(number("5.41E+09"), Err(BadNumber::Spreadsheet));
/// ```
pub fn number(text: &str) -> Result<Number, BadNumber> {
    let text = text.trim();
    if is_spreadsheets(text) {
        return Err(BadNumber::Spreadsheet);
    }
    let (plus, rest) = text.strip_prefix('+').map_or((false, text), |rest| (true, rest));
    let groups: Vec<&str> = rest.split(is_between).filter(|group| !group.is_empty()).collect();
    // Groups as in 1 540 555 0102. Without a plus, no other grouping is a North American number.
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let grouped = plus || matches!(lengths[..], [3, 3, 4] | [1, 3, 3, 4] | [3, 7] | [6, 4] | [1, 10]);
    let digits = if groups.len() > 1 && grouped { groups.concat() } else { rest.to_owned() };
    let plus = if plus { "+" } else { "" };
    Ok(format!("{plus}{digits}").parse()?)
}

/// Returns whether a character separates the groups of a number on paper. Hyphens are ASCII's, Unicode's and the
/// non-breaking one, spaces ASCII's and the no-break one.
fn is_between(c: char) -> bool {
    matches!(c, '(' | ')' | '-' | '.' | ' ' | '\u{a0}' | '\u{2010}' | '\u{2011}')
}

/// Returns whether a spreadsheet wrote this for a number that it took for a quantity: `5.41E+09`, `5405550110.0`; or
/// marked the number as text: `'5405550110`, `="5405550110"`.
fn is_spreadsheets(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if text.starts_with(['\'', '\u{2019}', '=']) {
        return true;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Some((mantissa, exponent)) = text.split_once(['e', 'E']) {
        let (whole, part) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
        return digits(whole) && digits(part) && digits(exponent.strip_prefix('+').unwrap_or(exponent));
    }
    match text.split_once('.') {
        Some((whole, part)) => whole.len() > 6 && digits(whole) && part.bytes().all(|b| b == b'0'),
        None => false,
    }
}

/// Why a field of a file is not a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// A spreadsheet has changed it.
    #[error("a spreadsheet has changed the number: format the column as text and fill it in again")]
    Spreadsheet,
    /// It does not have the form of a number.
    #[error(transparent)]
    Form(#[from] NumberError),
}

/// Reads a state, in capitals or not.
///
/// # Errors
/// The valid words.
pub fn state(text: &str) -> Result<State, UnknownWord> {
    let named = State::ALL.iter().find(|state| state.word().eq_ignore_ascii_case(text));
    named.copied().map_or_else(|| text.parse(), Ok)
}

/// How a file is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// The name of the file, for the audit trail.
    pub source: String,
    /// True if good lines are imported although others are bad.
    pub partial: bool,
    /// True if aging numbers are imported whose release is past.
    pub past_releases: bool,
    /// Who imports it, and under what.
    pub author: Author,
}

impl Intake {
    /// Returns an intake on the machine itself that writes all lines or none.
    pub fn of(source: impl Into<String>) -> Self {
        let (partial, past_releases) = (false, false);
        Self { source: source.into(), partial, past_releases, author: Author::offline() }
    }
}

/// A number as a line of an import describes it. Only `number` is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNumber {
    /// The number.
    pub number: Number,
    /// Its state; `Available` by default.
    pub state: State,
    /// Its owner or holder, if its state has one.
    pub account: Option<AccountId>,
    /// Its site. If absent, the account's default one.
    pub site: Option<SiteId>,
    /// Its peer. If absent, the site's default one.
    pub peer: Option<PeerId>,
    /// Its rate center.
    pub rate_center: Option<String>,
    /// Its state or province, two letters.
    pub region: Option<String>,
    /// True if it goes to its owner's inventory after aging.
    pub protected: bool,
    /// True if it belongs to another carrier's pool.
    pub ported_in: bool,
    /// Who may reconnect it, if it is aging.
    pub former_account: Option<AccountId>,
    /// When it is released, if it is aging, or when its reservation ends.
    pub release_at: Option<Timestamp>,
}

impl NewNumber {
    /// Returns a pool number with nothing else known about it.
    #[must_use]
    pub fn available(number: Number) -> Self {
        Self {
            number,
            state: State::Available,
            account: None,
            site: None,
            peer: None,
            rate_center: None,
            region: None,
            protected: false,
            ported_in: false,
            former_account: None,
            release_at: None,
        }
    }

    /// Returns the account whose sites and peers [`NewNumber::entry`] needs.
    #[must_use]
    pub fn holder(&self) -> Option<AccountId> {
        match self.state {
            State::Aging => self.former_account,
            _ => self.account,
        }
    }

    /// Returns the number that the line describes, in its area. `premises` are those of its holder, `None` if there
    /// is no such account. An aging number whose release is before `released_from` is refused.
    ///
    /// # Errors
    /// [`BadLine`] says what is missing, or what does not fit the state or the number.
    pub fn entry(
        &self,
        area: AreaId,
        premises: Option<&Premises>,
        released_from: Option<Timestamp>,
        policy: &Policy,
    ) -> Result<Entry, BadLine> {
        let standing = self.standing(premises, policy.profile(self.number).leaves)?;
        if let Standing::Aging { release_at, .. } = standing
            && released_from.is_some_and(|from| release_at < from)
        {
            return Err(BadLine::PastRelease(release_at));
        }
        // A number in an owner's own inventory is protected.
        let protected = self.protected || self.state == State::Protected;
        if protected && self.number.is_toll_free() {
            return Err(BadLine::TollFree);
        }
        let (number, ported_in) = (self.number, self.ported_in);
        Ok(Entry { number, standing, area, protected, ported_in, locked: false })
    }

    /// Returns the standing that the line describes. `premises` are those of its holder, `None` if there is no such
    /// account. `leaves` says whether an aging number goes out of this system.
    ///
    /// # Errors
    /// [`BadLine`] says what is missing, or what does not fit the state.
    fn standing(&self, premises: Option<&Premises>, leaves: bool) -> Result<Standing, BadLine> {
        let state = self.state;
        Ok(match state {
            State::Available | State::Administrative | State::Removed => {
                // A protected number belongs to its owner, a ported-in one to another carrier. Neither is ever
                // in this pool.
                let pool = state == State::Available;
                surplus(
                    state,
                    &[("protected", pool && self.protected), ("ported_in", pool && self.ported_in)],
                )?;
                surplus(
                    state,
                    &[
                        ("account", self.account.is_some()),
                        ("former_account", self.former_account.is_some()),
                        ("release_at", self.release_at.is_some()),
                        ("site", self.site.is_some()),
                        ("peer", self.peer.is_some()),
                    ],
                )?;
                match state {
                    State::Available => Standing::Available,
                    State::Administrative => Standing::Administrative,
                    _ => Standing::Removed,
                }
            }
            State::Reserved => {
                surplus(
                    state,
                    &[
                        ("former_account", self.former_account.is_some()),
                        ("site", self.site.is_some()),
                        ("peer", self.peer.is_some()),
                    ],
                )?;
                let until = self.release_at.ok_or(BadLine::Missing { state, column: "release_at" })?;
                Standing::Reserved { account: self.known_holder("account", premises)?.0, until }
            }
            State::Protected => {
                surplus(
                    state,
                    &[
                        ("former_account", self.former_account.is_some()),
                        ("release_at", self.release_at.is_some()),
                        ("site", self.site.is_some()),
                        ("peer", self.peer.is_some()),
                    ],
                )?;
                Standing::Protected { account: self.known_holder("account", premises)?.0 }
            }
            State::InService => {
                surplus(
                    state,
                    &[
                        ("former_account", self.former_account.is_some()),
                        ("release_at", self.release_at.is_some()),
                    ],
                )?;
                Standing::InService { place: self.place("account", premises)? }
            }
            State::Aging => {
                surplus(state, &[("account", self.account.is_some())])?;
                let release_at = self.release_at.ok_or(BadLine::Missing { state, column: "release_at" })?;
                Standing::Aging {
                    former: self.place("former_account", premises)?,
                    release_at,
                    leaves,
                    kept: None,
                }
            }
        })
    }

    fn known_holder<'p>(
        &self,
        column: &'static str,
        premises: Option<&'p Premises>,
    ) -> Result<(AccountId, &'p Premises), BadLine> {
        let holder = self.holder().ok_or(BadLine::Missing { state: self.state, column })?;
        Ok((holder, premises.ok_or(BadLine::NoAccount(holder))?))
    }

    fn place(&self, column: &'static str, premises: Option<&Premises>) -> Result<Place, BadLine> {
        let (account, premises) = self.known_holder(column, premises)?;
        let site = match self.site {
            Some(site) => site,
            None => premises.sites.iter().find(|s| s.is_default).ok_or(BadLine::NoSite(account))?.id,
        };
        match premises.place(account, site, self.peer) {
            Ok(place) => Ok(place),
            Err(NoPlace::DefaultPeer) => Ok(Place { account, site, peer: None }),
            Err(NoPlace::Site) => Err(BadLine::NoSite(account)),
            Err(NoPlace::Peer) => Err(BadLine::NoPeer(site)),
        }
    }
}

/// Returns what an import of `entry` at `now` does to a number that the store has already: a removed number is taken back
/// and keeps its history.
///
/// # Errors
/// [`BadLine::Exists`] for any other number; [`BadLine::UnderFloor`] if somebody new could have it too soon after it left
/// service; [`BadLine::Form`] if its history is no life of a number.
pub fn restore(
    before: &History,
    entry: &Entry,
    policy: &Policy,
    now: Timestamp,
) -> Result<Transition, BadLine> {
    let Entry { standing, area, protected, ported_in, .. } = *entry;
    let change = Change::Restored { standing, area, protected, ported_in };
    let number = entry.number;
    let back = Transition::of(&before.entry, change).map_err(|_| BadLine::Exists(number))?;
    let rest = before.rest(policy).map_err(|error| BadLine::Form(error.to_string()))?;
    match rest.filter(|rest| now < rest.until && !rest.allows(&standing)) {
        Some(Rest { account, until }) => Err(BadLine::UnderFloor { number, account, until }),
        None => Ok(back),
    }
}

/// Refuses the first column with a value that the state does not have.
fn surplus(state: State, columns: &[(&'static str, bool)]) -> Result<(), BadLine> {
    match columns.iter().find(|(_, given)| *given) {
        Some((column, _)) => Err(BadLine::Surplus { state, column }),
        None => Ok(()),
    }
}

/// Why a line cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// A field has a value that its column does not take.
    #[error("{column} {text:?}: {why}")]
    Field {
        /// The column.
        column: &'static str,
        /// The value, cut.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The line as a whole cannot be read, and why.
    #[error("{0}")]
    Form(String),
    /// The state needs this column.
    #[error("{state} needs {column}")]
    Missing {
        /// The line's state.
        state: State,
        /// The column.
        column: &'static str,
    },
    /// The state does not take this column.
    #[error("{state} takes no {column}")]
    Surplus {
        /// The line's state.
        state: State,
        /// The column.
        column: &'static str,
    },
    /// The account does not exist, or is closed.
    #[error("no open account {0}")]
    NoAccount(AccountId),
    /// The account has no such site, or no default one.
    #[error("account {0} has no such site, or no default one")]
    NoSite(AccountId),
    /// The site has no such peer.
    #[error("site {0} has no such peer")]
    NoPeer(SiteId),
    /// A toll-free number cannot be protected.
    #[error("toll-free numbers cannot be protected")]
    TollFree,
    /// Its release is past: the number would be released at once.
    #[error(
        "release_at {0} is past, so that the number would be released at once (--past-releases takes it)"
    )]
    PastRelease(Timestamp),
    /// The number is in the store already.
    #[error("{0} is here already")]
    Exists(Number),
    /// Somebody new could have the number too soon after it left service.
    #[error(
        "{number} left service so lately that until {until} it only goes back to account {account}, or ages for it \
         until then"
    )]
    UnderFloor {
        /// The number.
        number: Number,
        /// The account that had it.
        account: AccountId,
        /// From when anyone may have it.
        until: Timestamp,
    },
    /// An earlier line of the same file has it.
    #[error("{what} stands twice, first on line {first}")]
    Twice {
        /// The number or the exchange.
        what: String,
        /// The earlier line.
        first: u64,
    },
}

/// Most characters of a field that are shown.
const TOLD_MAX: usize = 40;

impl BadLine {
    /// Returns what is wrong with a field.
    pub fn field(column: &'static str, text: &str, why: impl fmt::Display) -> Self {
        Self::Field { column, text: text.chars().take(TOLD_MAX).collect(), why: why.to_string() }
    }

    /// Returns what is wrong, without the line's own values: the same text for all lines of one kind.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Field { column, why, .. } => format!("{column}: {why}"),
            Self::NoAccount(_) => "there is no such account, or it is closed".to_owned(),
            Self::NoSite(_) => "the account has no such site, or no default one".to_owned(),
            Self::NoPeer(_) => "the site has no such peer".to_owned(),
            Self::PastRelease(_) => "release_at is past".to_owned(),
            Self::Exists(_) => "the number is here already".to_owned(),
            Self::UnderFloor { .. } => "somebody new could have the number too soon".to_owned(),
            Self::Twice { .. } => "an earlier line says it already".to_owned(),
            Self::Form(_) | Self::Missing { .. } | Self::Surplus { .. } | Self::TollFree => self.to_string(),
        }
    }
}

/// Most kinds of bad lines that are counted apart.
pub const KINDS_MAX: usize = 50;
/// Most lines of a kind that are kept to be shown.
pub const KIND_LINES_MAX: usize = 3;

/// The refused lines of an import, by what is wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadLines {
    kinds: Vec<BadKind>,
    others: u64,
}

/// Lines with the same mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKind {
    /// The mistake, as [`BadLine::kind`] says it.
    pub what: String,
    /// How many lines.
    pub count: u64,
    /// The first of them, each with the number of the line that it begins on; at most [`KIND_LINES_MAX`].
    pub first: Vec<(u64, BadLine)>,
}

impl BadLines {
    /// Counts a refused line.
    pub fn note(&mut self, line: u64, bad: BadLine) {
        let what = bad.kind();
        match self.kinds.iter().position(|kind| kind.what == what) {
            Some(known) => {
                let kind = &mut self.kinds[known];
                kind.count += 1;
                if kind.first.len() < KIND_LINES_MAX {
                    kind.first.push((line, bad));
                }
            }
            None if self.kinds.len() < KINDS_MAX => {
                self.kinds.push(BadKind { what, count: 1, first: vec![(line, bad)] });
            }
            None => self.others += 1,
        }
    }

    /// Returns how many lines were refused.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.count).sum::<u64>() + self.others
    }

    /// Returns the kinds, in the order of their first lines; at most [`KINDS_MAX`].
    #[must_use]
    pub fn kinds(&self) -> &[BadKind] {
        &self.kinds
    }

    /// Returns how many lines are of other kinds, beyond [`KINDS_MAX`].
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::diagram::Home;

    #[test]
    fn a_number_is_read_as_people_write_it() {
        for text in [
            "(540) 555-0102",
            "540-555-0102",
            "540.555.0102",
            "540 555 0102",
            "1-540-555-0102",
            "+1 540 555 0102",
            "+1 (540) 555-0102",
            "540555-0102",
            "540\u{2011}555\u{a0}0102",
            " 5405550102 ",
            "15405550102",
            "+15405550102",
        ] {
            assert_eq!(number(text).map(|n| n.to_string()), Ok("+15405550102".to_owned()), "{text}");
        }
        assert_eq!(number("+44 20 7183 8750").map(|n| n.to_string()), Ok("+442071838750".to_owned()));
    }

    #[test]
    fn what_a_spreadsheet_made_of_a_number_is_told_from_what_is_none() {
        for text in [
            "5.41E+09",
            "5.41e9",
            "1.54056E+10",
            "5,41E+09",
            "5405550110.0",
            "15405550110.00",
            "+15405550110.0",
            "540555011.0",
            "'+15405550111",
            "\u{2019}5405550111",
            "=\"5405550111\"",
        ] {
            assert_eq!(number(text), Err(BadNumber::Spreadsheet), "{text}");
        }
        for text in
            ["", "n/a", "54-05-55-01-02", "5405550-110", "(540) 555-0102 x5", "540/555/0102", "--", "+"]
        {
            assert_eq!(number(text), Err(BadNumber::Form(NumberError::NotDigits)), "{text}");
        }
        assert_eq!(number("555-0102"), Err(BadNumber::Form(NumberError::NotDigits)));
        assert_eq!(number("040-555-0102"), Err(BadNumber::Form(NumberError::AreaCode(40))));
    }

    #[test]
    fn a_state_is_read_in_any_case() {
        assert_eq!(state("available"), Ok(State::Available));
        assert_eq!(state("INSERVICE"), Ok(State::InService));
        assert_eq!(state("Asleep").unwrap_err().valid.len(), State::ALL.len());
    }

    #[test]
    fn an_aging_number_whose_release_is_past_is_refused_where_that_is_asked() {
        let site = SiteId::new(1).unwrap();
        let account = AccountId::new(7).unwrap();
        let name = String::new();
        let sites = vec![crate::account::Site { id: site, account, name, is_default: true }];
        let premises = Premises { sites, peers: Vec::new() };
        let at = Timestamp::from_millis;
        let new = NewNumber {
            state: State::Aging,
            former_account: Some(account),
            release_at: Some(at(99)),
            ..NewNumber::available("5405514342".parse().unwrap())
        };
        let entry =
            |from| new.entry(AreaId(1), Some(&premises), from, &Policy::default()).map(|entry| entry.state());
        assert_eq!(entry(Some(at(100))), Err(BadLine::PastRelease(at(99))));
        assert_eq!(entry(Some(at(99))), Ok(State::Aging));
        assert_eq!(entry(None), Ok(State::Aging));
        for (number, wanted) in [("5405514342", Home::Pool), ("8005550199", Home::Away)] {
            let new = NewNumber { number: number.parse().unwrap(), ..new.clone() };
            let entry = new.entry(AreaId(1), Some(&premises), None, &Policy::default()).unwrap();
            assert_eq!(entry.home(), wanted);
        }
    }

    #[test]
    fn only_a_number_that_has_left_is_taken_back() {
        let there = |standing| Entry {
            number: "5405514342".parse().unwrap(),
            standing,
            area: AreaId(1),
            protected: true,
            ported_in: true,
            locked: false,
        };
        let account = AccountId::new(7).unwrap();
        let new = Entry { area: AreaId(2), ported_in: false, ..there(Standing::Protected { account }) };
        let back = |entry: Entry, new: &Entry| {
            let (imported_at, events) = (Timestamp::default(), Vec::new());
            let history = History { entry, origin: entry, imported_at, events };
            restore(&history, new, &Policy::default(), imported_at)
        };
        assert_eq!(back(there(Standing::Removed), &new).map(|step| step.after), Ok(new));
        for standing in [Standing::Available, Standing::Administrative, Standing::Protected { account }] {
            let before = there(standing);
            assert_eq!(back(before, &new), Err(BadLine::Exists(before.number)), "{standing:?}");
        }
        let removed = there(Standing::Removed);
        assert_eq!(back(removed, &removed), Err(BadLine::Exists(removed.number)), "it is here already");
    }

    #[test]
    fn bad_lines_are_counted_by_kind_and_the_first_of_each_kept() {
        let mut bad = BadLines::default();
        for line in 2..=1_001 {
            bad.note(line, BadLine::field("number", &line.to_string(), "too short"));
        }
        bad.note(1_002, BadLine::TollFree);
        let kinds: Vec<_> = bad.kinds().iter().map(|k| (k.what.as_str(), k.count, k.first.len())).collect();
        assert_eq!(kinds, [("number: too short", 1_000, 3), ("toll-free numbers cannot be protected", 1, 1)]);
        assert_eq!(bad.kinds()[0].first[1].0, 3);
        for kind in 0..60 {
            bad.note(2_000 + kind, BadLine::Form(kind.to_string()));
        }
        assert_eq!((bad.count(), bad.kinds().len(), bad.others()), (1_061, KINDS_MAX, 12));
    }
}
