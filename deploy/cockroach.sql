-- onhook on CockroachDB. Held against CockroachDB's documentation (v25.2: READ COMMITTED transactions, CREATE SEQUENCE,
-- CREATE INDEX, ALTER TABLE, session variables) and NEVER RUN. A test runs it on PostgreSQL without what is CockroachDB's
-- own: names and columns are those of onhook's tables. docs/scaling.md says more.
--
-- Before the first start of onhook:
--   ALTER DATABASE onhook SET default_transaction_isolation = 'read committed';
-- Transactions are SERIALIZABLE by default. onhook asks for READ COMMITTED and takes the locks it needs; this is for its
-- single statements. Where the cluster setting sql.txn.read_committed_isolation.enabled is off, all runs as SERIALIZABLE:
-- onhook tries again when it is told to, and gets slower.
--
-- Since v25.1 a schema change commits the transaction before it (autocommit_before_ddl). So let the first start of a new
-- version be one node alone, and if it breaks off on a new database, drop the database and make it again.
--
-- Sequences keep their default, CACHE 1. Do not give them a cache: a later event of a number, and a later holder of a
-- lease, has the larger value. Each value is a write that is replicated, and all writes of a sequence meet in one range.
-- An order takes one value of order_seq and one of event_seq for each of its numbers: this is what runs out first.
--
-- The rest is run after onhook has made its tables, while they are empty:
--   cockroach sql --database=onhook --file=cockroach.sql

-- Keys that only grow: rows would all be written to the last range. CockroachDB keeps an old key as an index, which would be
-- written there still, unless the new one has the same columns: as here.
ALTER TABLE event ALTER PRIMARY KEY USING COLUMNS (seq) USING HASH WITH (bucket_count = 16);
ALTER TABLE orders ALTER PRIMARY KEY USING COLUMNS (seq) USING HASH WITH (bucket_count = 16);
ALTER TABLE order_line ALTER PRIMARY KEY USING COLUMNS (id) USING HASH WITH (bucket_count = 16);
ALTER TABLE notification ALTER PRIMARY KEY USING COLUMNS (seq) USING HASH WITH (bucket_count = 16);

-- Indexes on times, which only grow too. They are read from their beginning, which asks each bucket once.
ALTER TABLE due ALTER PRIMARY KEY USING COLUMNS (due_at, number) USING HASH WITH (bucket_count = 16);
DROP INDEX committed_at;
CREATE INDEX committed_at ON committed (at) USING HASH WITH (bucket_count = 16);
DROP INDEX notification_ended;
CREATE INDEX notification_ended ON notification (ended_at) USING HASH WITH (bucket_count = 16) WHERE standing <> 0;

-- Numbers spread by themselves, since area codes differ. Split them before a large import; later it happens by itself.
ALTER TABLE number SPLIT AT VALUES
    (12500000000), (13500000000), (14500000000), (15500000000), (16500000000), (17500000000), (18500000000);
