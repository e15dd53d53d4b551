-- onhook on YugabyteDB: what to run after onhook has made its tables, while they are empty:
--   ysqlsh --dbname=onhook --file=yugabyte.sql
--
-- Held against YugabyteDB's documentation (docs.yugabyte.com/stable, read in November 2026: data sharding, tablet splitting,
-- the grammar of CREATE INDEX, primary keys, CREATE SEQUENCE, isolation levels, explicit locking, transactional DDL) and
-- NEVER RUN. A test runs it on PostgreSQL without SPLIT, HASH and ASC: names and columns are those of onhook's tables.
-- docs/scaling.md says more.
--
-- Before the first start of onhook, on all servers:
--   --yb_enable_read_committed_isolation=true   or READ COMMITTED, which onhook asks for, means REPEATABLE READ
--   --ysql_sequence_cache_minval=0              or each session takes 100 values of a sequence in advance
-- The second is a must, not a matter of speed. A later event of a number, and a later holder of a lease, has the larger
-- value; with values taken in advance a later one can be smaller.
--
-- DDL is not undone with its transaction there (transactional DDL is in early access). So let the first start of a new
-- version be one node alone, and if it breaks off on a new database, drop the database and make it again.
--
-- The first column of a key is hashed unless it says ASC. That spreads rows, and is right for keys that are looked up one
-- by one. Where onhook reads a range, it has to be ASC, or each such read asks every tablet. A range on what only grows
-- has one busy tablet at its end: these are small indexes, from which rows are soon removed, except due.

-- Numbers are read in ranges, and spread by themselves: area codes differ. A key that is added to a table begins as one
-- tablet: only CREATE TABLE and CREATE INDEX can say where to split. YugabyteDB splits it as it grows
-- (enable_automatic_tablet_splitting, which is on by default).
ALTER TABLE number DROP CONSTRAINT number_pkey;
ALTER TABLE number ADD PRIMARY KEY (number ASC);
ALTER TABLE due DROP CONSTRAINT due_pkey;
ALTER TABLE due ADD PRIMARY KEY (due_at ASC, number ASC);
DROP INDEX number_holder;
CREATE INDEX number_holder ON number (holder ASC, number ASC)
    SPLIT AT VALUES ((1000), (1000000), (9000000)) WHERE holder IS NOT NULL;
DROP INDEX number_protected;
CREATE INDEX number_protected ON number (holder HASH, number ASC) WHERE offered = 4;
-- number_pool stays hashed: it is looked up by a whole value. So do event and orders, which are mostly: each order writes both, and
-- by ranges all of that would go to one tablet. What reads them in their order asks every tablet and sorts: `onhook audit
-- verify`, `onhook check --deep`, and an operator's list of all accounts' orders.

-- Seals, which one node writes and all read from the newest or the oldest on.
ALTER TABLE seal DROP CONSTRAINT seal_pkey;
ALTER TABLE seal ADD PRIMARY KEY (batch ASC);
ALTER TABLE seal DROP CONSTRAINT seal_last_position_key;
CREATE UNIQUE INDEX seal_last_position_key ON seal (last_position ASC);
DROP INDEX seal_seq;
CREATE INDEX seal_seq ON seal (max_seq ASC, min_seq ASC);
DROP INDEX seal_position;
CREATE INDEX seal_position ON seal (last_position ASC, min_seq ASC, max_seq ASC);
ALTER TABLE unsealed DROP CONSTRAINT unsealed_pkey;
ALTER TABLE unsealed ADD PRIMARY KEY (seq ASC);

-- What is read from its oldest on.
DROP INDEX orders_back;
CREATE INDEX orders_back ON orders (seq ASC) WHERE status = 4;
DROP INDEX orders_waiting;
CREATE INDEX orders_waiting ON orders (account ASC, seq ASC) WHERE status = 0;
DROP INDEX notification_waiting;
CREATE INDEX notification_waiting ON notification (subscription ASC, due_at ASC, seq ASC) WHERE standing = 0;
DROP INDEX notification_oldest;
CREATE INDEX notification_oldest ON notification (subscription ASC, seq ASC) WHERE standing = 0;
DROP INDEX notification_ended;
CREATE INDEX notification_ended ON notification (ended_at ASC) WHERE standing <> 0;
DROP INDEX subscription_expires;
CREATE INDEX subscription_expires ON subscription (expires_at ASC) WHERE NOT over AND expires_at IS NOT NULL;
DROP INDEX subscription_over;
CREATE INDEX subscription_over ON subscription (seq ASC) WHERE over;
DROP INDEX committed_at;
CREATE INDEX committed_at ON committed (at ASC);
DROP INDEX kept_reply_at;
CREATE INDEX kept_reply_at ON kept_reply (at ASC, user_name ASC, key ASC);
DROP INDEX number_kept;
CREATE INDEX number_kept ON number (release_at ASC) WHERE release_at IS NOT NULL;
DROP INDEX plan_open;
CREATE INDEX plan_open ON plan (expires_at ASC, maker ASC) WHERE state = 0;
DROP INDEX plan_made;
CREATE INDEX plan_made ON plan (made_at ASC);
DROP INDEX report_made;
CREATE INDEX report_made ON report (made_at ASC, id ASC);

-- What is read in its order, page by page.
ALTER TABLE plan DROP CONSTRAINT plan_pkey;
ALTER TABLE plan ADD PRIMARY KEY (seq ASC);
ALTER TABLE subscription DROP CONSTRAINT subscription_pkey;
ALTER TABLE subscription ADD PRIMARY KEY (seq ASC);
ALTER TABLE block DROP CONSTRAINT block_pkey;
ALTER TABLE block ADD PRIMARY KEY (block ASC);

-- A search reads the exchanges of an area code.
ALTER TABLE stock DROP CONSTRAINT stock_pkey;
ALTER TABLE stock ADD PRIMARY KEY (npa_nxx ASC, area ASC);
