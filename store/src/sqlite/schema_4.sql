-- order_type: none where it is about an event; order_seq: of this order alone
-- password, signing: as they are, since they are sent and signed with; the file is its owner's alone
-- expires_at: none for mail
-- after_order: it is told of every order behind this sequence number, and perhaps of earlier ones
-- over: its order or its time has ended; disabled: its receiver is gone for good
-- last: what came of the last delivery
CREATE TABLE subscription (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            BLOB NOT NULL UNIQUE,
    account       INTEGER NOT NULL,
    order_type    TEXT,
    order_seq     INTEGER,
    event_type    TEXT,
    url           TEXT,
    username      TEXT,
    password      TEXT,
    public_key    TEXT,
    number_format TEXT,
    retry         INTEGER,
    signing       TEXT,
    email         TEXT,
    digest        TEXT,
    expires_at    INTEGER,
    after_order   INTEGER NOT NULL,
    over          INTEGER NOT NULL DEFAULT 0,
    disabled      INTEGER NOT NULL DEFAULT 0,
    last          TEXT,
    CHECK ((order_type IS NULL) <> (event_type IS NULL)),
    CHECK ((url IS NULL) <> (email IS NULL)),
    CHECK ((username IS NULL) = (password IS NULL))
) STRICT;
-- Whoever subscribes to each order has many that are over, and few that are not.
CREATE INDEX subscription_account ON subscription (account) WHERE over = 0;
CREATE INDEX subscription_order ON subscription (order_seq) WHERE over = 0 AND order_seq IS NOT NULL;
CREATE INDEX subscription_expires ON subscription (expires_at) WHERE over = 0 AND expires_at IS NOT NULL;
CREATE INDEX subscription_over ON subscription (over) WHERE over = 1;

-- status: the order's when it happened; note: a note's id, 0 when it is about the status
-- standing: 0 WAITING, 1 DELIVERED, 2 GIVEN_UP
-- replay_of: the notification that this one delivers again, under the same id, since a person asked for it at
-- replayed_at
-- claim: the lease under which it is being delivered; none before, and none once an attempt is recorded
CREATE TABLE notification (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL,
    subscription INTEGER NOT NULL,
    order_seq    INTEGER NOT NULL,
    status       INTEGER NOT NULL,
    note         INTEGER NOT NULL,
    text         TEXT,
    at           INTEGER NOT NULL,
    standing     INTEGER NOT NULL CHECK (standing BETWEEN 0 AND 2),
    due_at       INTEGER,
    attempts     INTEGER NOT NULL,
    reason       TEXT,
    ended_at     INTEGER,
    claim        INTEGER,
    replay_of    INTEGER,
    replayed_at  INTEGER,
    CHECK ((due_at IS NOT NULL) = (standing = 0)),
    CHECK ((ended_at IS NULL) = (standing = 0)),
    CHECK ((reason IS NOT NULL) = (standing = 2)),
    CHECK ((text IS NULL) = (note = 0))
) STRICT;
CREATE UNIQUE INDEX notification_once ON notification (subscription, order_seq, status, note)
    WHERE replay_of IS NULL;
CREATE INDEX notification_waiting ON notification (subscription, due_at, seq) WHERE standing = 0;
CREATE INDEX notification_oldest ON notification (subscription, seq) WHERE standing = 0;
CREATE INDEX notification_ended ON notification (ended_at) WHERE standing <> 0;
CREATE INDEX notification_log ON notification (subscription, seq);

CREATE TABLE attempt (
    notification INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    took_ms      INTEGER NOT NULL,
    outcome      TEXT NOT NULL,
    PRIMARY KEY (notification, n)
) STRICT, WITHOUT ROWID;
