//! Moving everything from one store to another: what there is to move as plain rows, and the trait.
//!
//! A row is a list of values under the names in [`TABLES`]. Each store knows where it has them. What a store has beside
//! that it can make again, such as an index of what is due.

use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::time::Timestamp;

use crate::Result;
use crate::chance::{Chance, of_seed};
use crate::contract::jobs::JobId;
use crate::order_ids::OrderIds;

/// The name under which a target notes that it does not have everything yet. No command but the move itself uses such
/// a store.
pub(crate) const MARK: &str = "migration";

/// A value of a row.
#[derive(Clone, Debug, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number; 0 or 1 for false and true.
    Whole(i64),
    /// A number with a fraction.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes, also those of a UUID.
    Bytes(Vec<u8>),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
            Self::Bytes(value) => write!(f, "{} bytes", value.len()),
        }
    }
}

/// The values of a row, in the order of its table's columns.
pub type Row = Vec<Value>;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// [`Value::Whole`].
    Whole,
    /// [`Value::Whole`] that is 0 or 1.
    Flag,
    /// [`Value::Real`].
    Real,
    /// [`Value::Text`].
    Text,
    /// [`Value::Bytes`].
    Bytes,
    /// [`Value::Bytes`] of a UUID.
    Id,
}

/// Rows of one kind.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What one of its rows is called.
    pub thing: &'static str,
    /// How many of its columns, from the first, tell its rows apart. They hold whole numbers or texts.
    pub key: usize,
    /// Most rows that are read or written together. Long rows have fewer.
    pub page: usize,
    /// Its columns.
    pub columns: &'static [(&'static str, Type)],
}

use Type::{Bytes, Flag, Id, Real, Text, Whole};

/// Rows on a page of short rows.
const SHORT: usize = 5_000;

/// Rows on a page of rows that may have the 5,000 numbers of an order.
const LONG: usize = 250;

/// Rows on a page of seals, each of which may name 10,000 events.
const SEALS: usize = 10;

/// The keys of order ids and tokens.
pub(crate) const KEYS: Table =
    Table { name: "secret", thing: "key", key: 1, page: SHORT, columns: &[("key", Text), ("value", Bytes)] };

/// The names of [`KEYS`].
pub(crate) const KEY_NAMES: [&str; 2] = ["order_key", "token_key"];

/// The name of the table of events.
const EVENT: &str = "event";

/// The name of the table of seals.
const SEAL: &str = "seal";

/// The names of columns that say when something happened.
const HAPPENED: [&str; 9] = [
    "at",
    "changed_at",
    "confirmed_at",
    "created_at",
    "demand_at",
    "ended_at",
    "made_at",
    "replayed_at",
    "submitted_at",
];

/// What is remembered of the clock and of the subscribers that were told.
pub(crate) const SETTINGS: Table = Table {
    name: "setting",
    thing: "setting",
    key: 1,
    page: SHORT,
    columns: &[("name", Text), ("value", Whole)],
};

/// The names of [`SETTINGS`].
pub(crate) const SETTING_NAMES: [&str; 4] = ["last_seen", "unseen_ms", "clock_moved_ms", "told_from"];

const fn table(
    name: &'static str,
    thing: &'static str,
    (key, page): (usize, usize),
    columns: &'static [(&'static str, Type)],
) -> Table {
    Table { name, thing, key, page, columns }
}

/// Everything that moves. A row refers only to rows of tables before its own, beside a number's events to their orders.
pub const TABLES: &[Table] = &[
    KEYS,
    SETTINGS,
    table(
        "account",
        "account",
        (1, SHORT),
        &[
            ("id", Whole),
            ("name", Text),
            ("kind", Text),
            ("class", Text),
            ("created_at", Whole),
            ("state", Text),
            ("cancel_window_seconds", Whole),
            ("reports_rnd", Flag),
            ("legal_name", Text),
        ],
    ),
    table(
        "chosen",
        "chosen setting",
        (1, SHORT),
        &[("name", Text), ("value", Text), ("at", Whole), ("author", Text)],
    ),
    table(
        "site",
        "site",
        (1, SHORT),
        &[("id", Whole), ("account", Whole), ("name", Text), ("is_default", Flag), ("details", Text)],
    ),
    table(
        "peer",
        "peer",
        (1, SHORT),
        &[
            ("id", Whole),
            ("account", Whole),
            ("site", Whole),
            ("name", Text),
            ("is_default", Flag),
            ("details", Text),
        ],
    ),
    table(
        "users",
        "user",
        (1, SHORT),
        &[
            ("folded", Text),
            ("name", Text),
            ("account", Whole),
            ("role", Text),
            ("password_hash", Text),
            ("generation", Whole),
            ("rights", Whole),
            ("created_at", Whole),
        ],
    ),
    table(
        "area",
        "area",
        (1, SHORT),
        &[("id", Whole), ("name", Text), ("supply", Whole), ("demand", Real), ("demand_at", Whole)],
    ),
    table(
        "rate_center",
        "rate center",
        (1, SHORT),
        &[("id", Whole), ("region", Text), ("abbreviation", Text), ("name", Text)],
    ),
    table(
        "exchange",
        "exchange",
        (1, SHORT),
        &[("npa_nxx", Whole), ("rate_center", Whole), ("lata", Text), ("city", Text), ("zips", Text)],
    ),
    table("exchange_zip", "zip code of an exchange", (2, SHORT), &[("zip", Text), ("npa_nxx", Whole)]),
    table(
        "application",
        "application",
        (1, SHORT),
        &[
            ("seq", Whole),
            ("id", Id),
            ("account", Whole),
            ("service", Text),
            ("name", Text),
            ("details", Text),
        ],
    ),
    table(
        "peer_application",
        "application of a peer",
        (2, SHORT),
        &[("peer", Whole), ("service", Text), ("application", Whole)],
    ),
    table(
        EVENT,
        "event",
        (1, SHORT),
        &[
            ("seq", Whole),
            ("number", Whole),
            ("prev", Whole),
            ("at", Whole),
            ("order_seq", Whole),
            ("actor", Text),
            ("detail", Text),
            ("origin", Text),
            ("credential", Whole),
            ("address", Text),
            ("reason", Text),
            ("plan", Id),
            ("kind", Text),
            ("account", Whole),
            ("state_before", Whole),
            ("state_after", Whole),
        ],
    ),
    table(
        SEAL,
        "seal",
        (1, SEALS),
        &[
            ("batch", Whole),
            ("first_position", Whole),
            ("last_position", Whole),
            ("sealed_at", Whole),
            ("root", Bytes),
            ("previous", Bytes),
            ("hash", Bytes),
            ("min_seq", Whole),
            ("max_seq", Whole),
            ("highest_seq", Whole),
            ("seqs", Bytes),
            ("digests", Bytes),
        ],
    ),
    table(
        "number",
        "number",
        (1, SHORT),
        &[
            ("number", Whole),
            ("state", Whole),
            ("holder", Whole),
            ("site", Whole),
            ("peer", Whole),
            ("area", Whole),
            ("flags", Whole),
            ("due_at", Whole),
            ("last_event", Whole),
            ("release_at", Whole),
            ("kept_until", Whole),
        ],
    ),
    table(
        "reservation",
        "reservation",
        (1, SHORT),
        &[("number", Whole), ("id", Id), ("account", Whole), ("until", Whole)],
    ),
    table(
        "report",
        "report",
        (1, LONG),
        &[
            ("id", Text),
            ("kind", Text),
            ("company", Text),
            ("period", Text),
            ("as_of", Whole),
            ("made_at", Whole),
            ("shown", Text),
            ("made_with", Text),
            ("confirmed_seq", Whole),
            ("confirmed_at", Whole),
            ("submitted_at", Whole),
        ],
    ),
    table(
        "block",
        "block of a thousand numbers",
        (1, SHORT),
        &[("block", Whole), ("drain", Flag), ("footprint", Flag)],
    ),
    table(
        "tally",
        "count of an account's numbers",
        (2, SHORT),
        &[("account", Whole), ("state", Whole), ("numbers", Whole)],
    ),
    table(
        "in_service",
        "count of a peer's numbers",
        (2, SHORT),
        &[("site", Whole), ("peer", Whole), ("numbers", Whole)],
    ),
    table(
        "stock",
        "count of an exchange's numbers",
        (2, SHORT),
        &[("npa_nxx", Whole), ("area", Whole), ("numbers", Whole)],
    ),
    table(
        "orders",
        "order",
        (1, LONG),
        &[
            ("seq", Whole),
            ("id", Id),
            ("account", Whole),
            ("kind", Whole),
            ("status", Whole),
            ("attempts", Whole),
            ("created_at", Whole),
            ("changed_at", Whole),
            ("user_name", Text),
            ("name", Text),
            ("customer_order_id", Text),
            ("site", Whole),
            ("numbers", Whole),
            ("request", Text),
            ("failed", Text),
            ("taken", Text),
            ("refused", Text),
            ("peers", Text),
            ("origin", Text),
            ("credential", Whole),
            ("address", Text),
            ("reason", Text),
            ("plan", Id),
        ],
    ),
    table(
        "order_line",
        "line of an order",
        (1, LONG),
        &[
            ("id", Whole),
            ("order_seq", Whole),
            ("at", Whole),
            ("author", Text),
            ("status", Whole),
            ("taken", Whole),
            ("difference", Text),
        ],
    ),
    table(
        "note",
        "note",
        (1, LONG),
        &[("id", Whole), ("order_seq", Whole), ("user_name", Text), ("text", Text), ("at", Whole)],
    ),
    table(
        "idempotency",
        "idempotency key",
        (2, SHORT),
        &[("account", Whole), ("key", Text), ("digest", Bytes), ("order_seq", Whole)],
    ),
    table("undoing", "undoing of an order", (2, SHORT), &[("order_seq", Whole), ("by_order", Whole)]),
    table(
        "plan",
        "plan",
        (1, LONG),
        &[
            ("seq", Whole),
            ("id", Id),
            ("act", Text),
            ("account", Whole),
            ("series", Text),
            ("maker", Text),
            ("state", Whole),
            ("two_persons", Flag),
            ("approved", Flag),
            ("made_at", Whole),
            ("expires_at", Whole),
            ("body", Text),
        ],
    ),
    table("plan_decisions", "plan's decisions", (1, LONG), &[("plan", Whole), ("decisions", Text)]),
    table(
        "kept_reply",
        "reply to a request with a key",
        (2, LONG),
        &[
            ("user_name", Text),
            ("key", Text),
            ("digest", Bytes),
            ("at", Whole),
            ("status", Whole),
            ("location", Text),
            ("body", Text),
        ],
    ),
    table(
        "subscription",
        "subscription",
        (1, LONG),
        &[
            ("seq", Whole),
            ("id", Id),
            ("account", Whole),
            ("order_type", Text),
            ("order_seq", Whole),
            ("event_type", Text),
            ("url", Text),
            ("username", Text),
            ("password", Text),
            ("public_key", Text),
            ("number_format", Text),
            ("retry", Flag),
            ("signing", Text),
            ("email", Text),
            ("digest", Text),
            ("expires_at", Whole),
            ("after_order", Whole),
            ("over", Flag),
            ("disabled", Flag),
            ("last", Text),
        ],
    ),
    table(
        "notification",
        "notification",
        (1, LONG),
        &[
            ("seq", Whole),
            ("id", Id),
            ("subscription", Whole),
            ("order_seq", Whole),
            ("status", Whole),
            ("note", Whole),
            ("text", Text),
            ("at", Whole),
            ("standing", Whole),
            ("due_at", Whole),
            ("attempts", Whole),
            ("reason", Text),
            ("ended_at", Whole),
            ("claim", Whole),
            ("replay_of", Whole),
            ("replayed_at", Whole),
        ],
    ),
    table(
        "attempt",
        "attempt",
        (2, SHORT),
        &[("notification", Whole), ("n", Whole), ("at", Whole), ("took_ms", Whole), ("outcome", Text)],
    ),
    table(
        "job",
        "job",
        (1, LONG),
        &[
            ("id", Whole),
            ("kind", Text),
            ("state", Text),
            ("made_at", Whole),
            ("ended_at", Whole),
            ("user_name", Text),
            ("credential", Whole),
            ("address", Text),
            ("reason", Text),
            ("asked", Text),
            ("found", Text),
        ],
    ),
    table(
        "bad_line",
        "bad line of an import",
        (2, SHORT),
        &[("job", Whole), ("line", Whole), ("detail", Text)],
    ),
];

/// What each store draws numbers from, by the table that gets them. Leases draw from one without a table that moves.
pub const SEQUENCES: [&str; 13] = [
    "orders",
    "event",
    "lease",
    "site",
    "peer",
    "area",
    "order_line",
    "note",
    "application",
    "subscription",
    "notification",
    "plan",
    "job",
];

/// The mark of a store that does not have everything yet: what it was, and what it is to be.
#[derive(Clone, Debug)]
pub struct Marks {
    /// The mark that the store must have.
    pub before: String,
    /// The mark that it gets in the same transaction.
    pub after: String,
}

/// Everything in a store at one moment: the rows of [`TABLES`], and what was drawn from [`SEQUENCES`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// The rows of each of [`TABLES`].
    pub(crate) tables: Vec<Vec<Row>>,
    /// The last number that was drawn from each of [`SEQUENCES`], in their order.
    pub(crate) drawn: Vec<i64>,
}

impl Image {
    /// Returns the image of a store without anything but keys.
    #[must_use]
    pub fn empty(&self) -> Self {
        let keys = |(table, rows): (&Table, &Vec<Row>)| {
            if table.name == KEYS.name { rows.clone() } else { Vec::new() }
        };
        Self { tables: TABLES.iter().zip(&self.tables).map(keys).collect(), drawn: vec![0; SEQUENCES.len()] }
    }

    /// Returns the image as one of `now`, for a clock that goes back there, if nothing has happened to its numbers yet: what
    /// happened later happened then. Seals are left out with it, and are made again. Any other image stays as it is, since
    /// time runs forward for each number.
    #[must_use]
    pub fn not_after(mut self, now: Timestamp) -> Self {
        let column = |table: &Table, name| table.columns.iter().position(|(column, _)| *column == name);
        let of_number = |(table, rows): (&Table, &Vec<Row>)| {
            let at = column(table, "number").filter(|_| table.name == EVENT);
            at.is_some_and(|at| rows.iter().any(|row| row.get(at) != Some(&Value::Null)))
        };
        if TABLES.iter().zip(&self.tables).any(of_number) {
            return self;
        }
        let mut some_later = false;
        for (table, rows) in TABLES.iter().zip(&mut self.tables) {
            for at in HAPPENED.iter().filter_map(|name| column(table, name)) {
                for value in rows.iter_mut().filter_map(|row| row.get_mut(at)) {
                    if matches!(value, Value::Whole(then) if *then > now.millis()) {
                        *value = Value::Whole(now.millis());
                        some_later = true;
                    }
                }
            }
        }
        let seals = TABLES.iter().zip(&mut self.tables).find(|(table, _)| some_later && table.name == SEAL);
        if let Some((_, seals)) = seals {
            seals.clear();
        }
        self
    }

    /// Returns how many rows a table has.
    #[must_use]
    pub fn rows(&self, name: &str) -> usize {
        let of_table = TABLES.iter().zip(&self.tables).find(|(table, _)| table.name == name);
        of_table.map_or(0, |(_, rows)| rows.len())
    }

    /// Returns the key of orders' ids.
    pub(crate) fn order_key(&self) -> Option<[u8; 16]> {
        let keys = TABLES.iter().zip(&self.tables).find(|(table, _)| table.name == KEYS.name)?.1;
        let key = keys.iter().find(|row| row.first() == Some(&Value::Text(KEY_NAMES[0].to_owned())))?;
        match key.get(1)? {
            Value::Bytes(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        }
    }

    /// Returns the image with another key of orders' ids.
    pub(crate) fn with_order_key(mut self, key: [u8; 16]) -> Self {
        for (table, rows) in TABLES.iter().zip(&mut self.tables) {
            if table.name == KEYS.name {
                rows.retain(|row| row.first() != Some(&Value::Text(KEY_NAMES[0].to_owned())));
                rows.push(vec![Value::Text(KEY_NAMES[0].to_owned()), Value::Bytes(key.to_vec())]);
            }
        }
        self
    }

    /// Returns the image with another generation of each user, so that tokens end.
    pub(crate) fn with_generations(mut self, mut next: impl FnMut() -> Result<i64>) -> Result<Self> {
        for (table, rows) in TABLES.iter().zip(&mut self.tables) {
            let Some(at) = table.columns.iter().position(|(name, _)| *name == "generation") else { continue };
            for row in rows {
                if let Some(value) = row.get_mut(at) {
                    *value = Value::Whole(next()?);
                }
            }
        }
        Ok(self)
    }
}

/// Moving everything from one store to another. What is read stays as it is: the caller sees to it that nothing else
/// writes meanwhile, and compares at the end.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Returns what the store has and [`TABLES`] do not, neither can be made again from them: columns, settings and
    /// sequences. Empty unless this program has forgotten something.
    async fn left_out(&self) -> Result<Vec<String>>;

    /// Returns the names of the leases that servers hold now.
    async fn held_leases(&self) -> Result<Vec<String>>;

    /// Returns how many rows a table has.
    async fn rows(&self, table: &'static Table) -> Result<u64>;

    /// Returns the rows of a table behind a key, in the order of their keys, at most a page. Texts are ordered by their
    /// bytes.
    async fn page(&self, table: &'static Table, after: Option<Vec<Value>>) -> Result<Vec<Row>>;

    /// Returns the last number that was drawn from each of [`SEQUENCES`], 0 if none was.
    async fn drawn(&self) -> Result<Vec<i64>>;

    /// Returns the mark, if the store does not have everything yet.
    async fn mark(&self) -> Result<Option<String>>;

    /// Marks a store that has nothing but keys and settings, and forgets its settings.
    ///
    /// # Errors
    /// `Conflict` if it has a mark.
    async fn begin_transfer(&self, mark: String) -> Result<()>;

    /// Writes new rows of a table, and the next mark, in one transaction.
    ///
    /// # Errors
    /// `Conflict` if the store has another mark.
    async fn write_page(&self, table: &'static Table, rows: Vec<Row>, marks: Marks) -> Result<()>;

    /// Writes a part of the file of an import whose job was moved. It is on disk when this returns. The parts come in
    /// order, and the first one, 0, begins the file anew.
    async fn write_staging(&self, job: JobId, part: u32, bytes: Vec<u8>) -> Result<()>;

    /// Makes what is not moved, and lets each of [`SEQUENCES`] go on behind `drawn`. Nothing is visible to the open store:
    /// it has to be opened again.
    ///
    /// # Errors
    /// `Conflict` if the store has another mark.
    async fn complete_transfer(&self, drawn: Vec<i64>, marks: Marks) -> Result<()>;

    /// Returns everything as it is at one moment.
    async fn image(&self) -> Result<Image>;

    /// Makes everything as it was, in an open store, at once. Tokens that were given end, and so do all leases: what their
    /// holders read before is not written after it. With a seed, the ids and secrets that are made after it repeat.
    async fn put_back(&self, image: Arc<Image>, seed: Option<u64>) -> Result<()>;

    /// Takes the mark away: the store has everything.
    ///
    /// # Errors
    /// `Conflict` if the store has another mark.
    async fn end_transfer(&self, mark: String) -> Result<()>;
}

/// Returns the image as it is written: with a key that the seed stands for, and with new generations of users.
pub(crate) fn prepared(image: &Image, seed: Option<u64>) -> Result<Image> {
    let image = image.clone().with_generations(|| Ok(i64::from_le_bytes(Chance::default().bytes()?)))?;
    Ok(match seed {
        None => image,
        Some(seed) => {
            let mut key = [0; 16];
            key.copy_from_slice(&of_seed(seed, "order key", 0)[..16]);
            image.with_order_key(key)
        }
    })
}

/// Lets ids go on as an image says that was put back.
pub(crate) fn go_on(ids: &OrderIds, image: &Image, seed: Option<u64>) {
    let drawn = seed.map(|seed| {
        let mut drawn = [0; 9];
        drawn.copy_from_slice(&of_seed(seed, "start", 0)[..9]);
        ids.chance.seed(seed);
        drawn
    });
    if let Some(key) = image.order_key() {
        ids.set_key(key, drawn);
    }
}
