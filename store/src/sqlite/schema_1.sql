CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

-- state: open or closed; cancel_window_seconds: null where the setting of all accounts holds
CREATE TABLE account (
    id                    INTEGER PRIMARY KEY,
    name                  TEXT NOT NULL,
    kind                  TEXT NOT NULL,
    class                 TEXT NOT NULL,
    created_at            INTEGER NOT NULL,
    state                 TEXT NOT NULL DEFAULT 'open',
    cancel_window_seconds INTEGER,
    reports_rnd           INTEGER NOT NULL DEFAULT 1,
    legal_name            TEXT
) STRICT;

-- what an operator has set while the server runs: the value as JSON, when, and by whom
CREATE TABLE chosen (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL,
    at     INTEGER NOT NULL,
    author TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE site (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    INTEGER NOT NULL REFERENCES account,
    name       TEXT NOT NULL,
    is_default INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX site_default ON site (account) WHERE is_default;
CREATE INDEX site_account ON site (account);

CREATE TABLE peer (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    INTEGER NOT NULL REFERENCES account,
    site       INTEGER NOT NULL REFERENCES site,
    name       TEXT NOT NULL,
    is_default INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX peer_default ON peer (site) WHERE is_default;
CREATE INDEX peer_account ON peer (account);

-- folded: the name without regard to case, which is what it is looked up by
-- generation: drawn when the user is made and at each change
-- rights: 1 unlock, 2 calls, 4 changed_hands
CREATE TABLE user (
    folded        TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    account       INTEGER REFERENCES account,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    generation    INTEGER NOT NULL,
    rights        INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- name: the area's name as JSON
CREATE TABLE area (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    supply    INTEGER NOT NULL,
    demand    REAL NOT NULL,
    demand_at INTEGER NOT NULL
) STRICT;

-- state: 0 Available, 1 Reserved, 2 InService, 3 Aging, 4 Protected, 5 Administrative, 6 Removed
-- holder: the account in whose inventory it shows; of an aging number the former account
-- flags: 1 protected, 2 ported in, 4 locked, 8 leaves the system after aging, 32 kept by an operator
-- due_at: the end of aging or of the reservation; of a kept number the end of the keep, if that is later (at the end of
-- all time if nobody has said when)
-- release_at, kept_until: of a kept number alone: the end of its hold, and of the keep
-- last_event: the event that made the row what it is; an import's while nothing else has happened
CREATE TABLE number (
    number     INTEGER PRIMARY KEY,
    state      INTEGER NOT NULL CHECK (state BETWEEN 0 AND 6),
    holder     INTEGER,
    site       INTEGER,
    peer       INTEGER,
    area       INTEGER NOT NULL,
    flags      INTEGER NOT NULL,
    due_at     INTEGER,
    last_event INTEGER NOT NULL,
    release_at INTEGER,
    kept_until INTEGER,
    CHECK ((holder IS NOT NULL) = (state BETWEEN 1 AND 4)),
    CHECK ((site IS NOT NULL) = (state IN (2, 3))),
    CHECK ((due_at IS NOT NULL) = (state IN (1, 3)))
) STRICT;
CREATE INDEX number_holder ON number (holder, number) WHERE holder IS NOT NULL;
CREATE INDEX number_due ON number (holder, due_at, number) WHERE due_at IS NOT NULL;
CREATE INDEX number_kept ON number (release_at) WHERE release_at IS NOT NULL;
-- by area code (with the country code), and within it scattered: cubes modulo the prime 10000019 put
-- neighbours far apart and in no order, so that reading on tells nothing of blocks or of what is new
CREATE INDEX number_pool ON number (number / 10000000, (number % 10000000) * (number % 10000000) % 10000019 * (number % 10000000) % 10000019)
    WHERE state = 0;

-- number, prev: null on what is no change of a single number; an import is one event for all its numbers
-- kind: of such an event. A number's event says it in its detail
-- account: whom it is about; state_before, state_after: the number's
-- detail: the change as JSON; origin: on a number's first event, the entry as it was imported
-- credential (0 basic, 1 token, 2 socket, 3 session, 4 offline), address, reason, plan: under what a person did it; an
-- order's event leaves that to the order
CREATE TABLE event (
    seq        INTEGER PRIMARY KEY,
    number     INTEGER,
    prev       INTEGER,
    at         INTEGER NOT NULL,
    order_seq  INTEGER,
    actor      TEXT,
    detail     TEXT NOT NULL,
    origin     TEXT,
    credential INTEGER,
    address    TEXT,
    reason     TEXT,
    plan       BLOB,
    kind       TEXT,
    account    INTEGER,
    state_before INTEGER,
    state_after  INTEGER
) STRICT;

-- seals over events, each behind the one before: positions, the events that have them, by sequence number, and their
-- digests. seqs: 8 bytes each, the highest byte first; digests: 32 bytes each; both in the order of the positions
-- highest_seq: the largest max_seq up to this seal, so that nobody goes through all before it
CREATE TABLE seal (
    batch          INTEGER PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL UNIQUE,
    sealed_at      INTEGER NOT NULL,
    root           BLOB NOT NULL,
    previous       BLOB NOT NULL,
    hash           BLOB NOT NULL,
    min_seq        INTEGER NOT NULL,
    max_seq        INTEGER NOT NULL,
    highest_seq    INTEGER NOT NULL,
    seqs           BLOB NOT NULL,
    digests        BLOB NOT NULL
) STRICT;
CREATE INDEX seal_seq ON seal (max_seq, min_seq);
-- which events have a position up to one
CREATE INDEX seal_position ON seal (last_position, min_seq, max_seq);

-- who unlocked numbers lately
CREATE INDEX event_unlocked ON event (actor, at) WHERE substr(detail, 1, 11) = '{"Unlocked"';
-- what was changed of accounts
CREATE INDEX event_account_changed ON event (seq) WHERE kind = 'account_changed';

-- how many numbers of a holder are due at an instant: what release goes by
CREATE TABLE due (
    due_at  INTEGER NOT NULL,
    holder  INTEGER NOT NULL,
    numbers INTEGER NOT NULL,
    PRIMARY KEY (due_at, holder)
) STRICT, WITHOUT ROWID;

-- id: see order_ids.rs; seq is found from it without an index
-- kind: 0 disconnect, 1 number, 2 move; status: 0 RECEIVED, 1 COMPLETE, 2 PARTIAL, 3 FAILED, 4 BACKORDERED
-- site: where the numbers of a number order go; numbers: how many it is about
-- request: JSON; credential, address, reason, plan: as those of an event
CREATE TABLE orders (
    seq               INTEGER PRIMARY KEY,
    id                BLOB NOT NULL,
    account           INTEGER NOT NULL,
    kind              INTEGER NOT NULL,
    status            INTEGER NOT NULL CHECK (status BETWEEN 0 AND 4),
    attempts          INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    changed_at        INTEGER NOT NULL,
    user              TEXT NOT NULL,
    name              TEXT,
    customer_order_id TEXT,
    site              INTEGER,
    numbers           INTEGER NOT NULL,
    request           TEXT NOT NULL,
    credential        INTEGER,
    address           TEXT,
    reason            TEXT,
    plan              BLOB
) STRICT;
CREATE INDEX orders_account ON orders (account, kind, seq);
CREATE INDEX orders_site ON orders (site, seq) WHERE site IS NOT NULL;
CREATE INDEX orders_back ON orders (seq) WHERE status = 4;

-- what came of an order beside its status, when there is something to say; JSON. Apart from the order, whose
-- row so keeps its size: one that grew would split the page it is on
CREATE TABLE outcome (
    order_seq INTEGER PRIMARY KEY,
    failed    TEXT,
    taken     TEXT,
    refused   TEXT,
    peers     TEXT,
    origin    TEXT
) STRICT;

-- what has happened to an order beside its end: that it waits for numbers, or was changed by a client
-- author: null for the server itself
CREATE TABLE order_line (
    id         INTEGER PRIMARY KEY,
    order_seq  INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    author     TEXT,
    status     INTEGER NOT NULL,
    taken      INTEGER NOT NULL,
    difference TEXT
) STRICT;
CREATE INDEX order_line_order ON order_line (order_seq);

-- the last reservation of a number; it stands while the number is held for that account until then
CREATE TABLE reservation (
    number  INTEGER PRIMARY KEY,
    id      BLOB NOT NULL UNIQUE,
    account INTEGER NOT NULL,
    until   INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
    account   INTEGER NOT NULL,
    key       TEXT NOT NULL,
    digest    BLOB NOT NULL,
    order_seq INTEGER NOT NULL,
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;

-- a plan of an act on numbers; act: its word
-- state: 0 open, 1 applied, 2 withdrawn; approved: whether a second person has agreed to it as it is
-- body: all of it as JSON, but what is decided of each number
CREATE TABLE plan (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL UNIQUE,
    act         TEXT NOT NULL,
    account     INTEGER,
    series      TEXT,
    maker       TEXT NOT NULL,
    state       INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    two_persons INTEGER NOT NULL,
    approved    INTEGER NOT NULL,
    made_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX plan_account ON plan (account, seq);
CREATE INDEX plan_series ON plan (series, seq) WHERE series IS NOT NULL;
CREATE INDEX plan_open ON plan (expires_at, maker) WHERE state = 0;
CREATE INDEX plan_made ON plan (made_at);

-- what is decided of each number of a plan, as JSON
CREATE TABLE plan_decisions (
    plan      INTEGER PRIMARY KEY,
    decisions TEXT NOT NULL
) STRICT;

-- which disconnect order was undone by which number order
CREATE TABLE undoing (
    order_seq INTEGER NOT NULL,
    by_order  INTEGER NOT NULL,
    PRIMARY KEY (order_seq, by_order)
) STRICT, WITHOUT ROWID;

-- the reply to a request with a key at the operations API
CREATE TABLE kept_reply (
    user_name TEXT NOT NULL,
    key       TEXT NOT NULL,
    digest    BLOB NOT NULL,
    at        INTEGER NOT NULL,
    status    INTEGER NOT NULL,
    location  TEXT,
    body      TEXT NOT NULL,
    PRIMARY KEY (user_name, key)
) STRICT;
CREATE INDEX kept_reply_at ON kept_reply (at, user_name, key);

CREATE TABLE note (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    order_seq INTEGER NOT NULL,
    user      TEXT NOT NULL,
    text      TEXT NOT NULL,
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX note_order ON note (order_seq);

-- who does alone what one node does at a time, and until when in milliseconds of the engine's clock
CREATE TABLE lease (
    name  TEXT PRIMARY KEY,
    token INTEGER NOT NULL UNIQUE,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- id: see server/reports; company, period: of a report of disconnects; as_of: the last event that it knows
-- shown: what is told of it, as JSON; made_with: what its files are made from again beside events, as JSON
-- confirmed_seq: the event by which it was confirmed
CREATE TABLE report (
    id            TEXT PRIMARY KEY,
    kind          TEXT NOT NULL,
    company       TEXT,
    period        TEXT,
    as_of         INTEGER NOT NULL,
    made_at       INTEGER NOT NULL,
    shown         TEXT NOT NULL,
    made_with     TEXT NOT NULL,
    confirmed_seq INTEGER,
    confirmed_at  INTEGER,
    submitted_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX report_made ON report (made_at, id);

-- blocks of a thousand, seven digits, of which an operator has said something
-- drain: searches take nothing from it; footprint: it is kept for its rate center
CREATE TABLE block (
    block     INTEGER PRIMARY KEY,
    drain     INTEGER NOT NULL,
    footprint INTEGER NOT NULL
) STRICT;

-- how many numbers an account (0: nobody) has in each state
CREATE TABLE tally (
    account INTEGER NOT NULL,
    state   INTEGER NOT NULL,
    numbers INTEGER NOT NULL,
    PRIMARY KEY (account, state)
) STRICT, WITHOUT ROWID;

-- work that outlasts a request; kind and state: words
-- user, credential, address, reason: who asked for it, as those of an event
-- asked: what it is to do, found: what is known so far, or what came of it; both as JSON
CREATE TABLE job (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL,
    state      TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    ended_at   INTEGER,
    user       TEXT NOT NULL,
    credential INTEGER,
    address    TEXT,
    reason     TEXT,
    asked      TEXT NOT NULL,
    found      TEXT NOT NULL
) STRICT;
CREATE INDEX job_kind ON job (kind, id);
CREATE INDEX job_open ON job (kind, id) WHERE ended_at IS NULL;

-- the lines of an import that cannot be taken, and why
CREATE TABLE bad_line (
    job    INTEGER NOT NULL,
    line   INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (job, line)
) STRICT, WITHOUT ROWID;
