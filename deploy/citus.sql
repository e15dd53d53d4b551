-- onhook on Citus: what to run after onhook has made its tables, on the coordinator, while they are empty:
--   psql --dbname=onhook --file=citus.sql
--
-- Held against Citus' documentation (docs.citusdata.com: 11.3 and "stable", SQL support and workarounds; utility functions;
-- FAQ) and NEVER RUN. A test runs it on PostgreSQL with a function that only looks for the column: names and columns are
-- those of onhook's tables. docs/scaling.md says more.
--
-- What the documentation demands:
--   * a primary key or a unique index contains the distribution column;
--   * SELECT … FOR UPDATE, and so SKIP LOCKED, works in queries of a single shard only;
--   * recursive queries work in queries of a single shard only, correlated ones (LATERAL) on the distribution column only;
--   * functions in an UPDATE are not volatile (clock_timestamp is);
--   * an INSERT has no subqueries in its values.
--
-- What follows for onhook's own statements: an order locks its numbers (number = ANY … FOR UPDATE), a step locks accounts
-- (queue … SKIP LOCKED) and a delivery locks notifications, each of any number of shards; a number's history is read by a
-- recursive query over event. So number, due, event, orders, queue, notification, subscription, area, tally, stock, lease,
-- committed and counter cannot be distributed today. They stay ordinary tables of the coordinator, where every statement
-- runs as on PostgreSQL. These are the large tables: with this version of onhook, Citus does not spread the load.
--
-- What can go: the tables below, each of which is written row by row and read by one order or one notification.

ALTER TABLE note DROP CONSTRAINT note_pkey, ADD PRIMARY KEY (order_seq, id);
SELECT create_distributed_table('note', 'order_seq');

ALTER TABLE order_line DROP CONSTRAINT order_line_pkey, ADD PRIMARY KEY (order_seq, id);
SELECT create_distributed_table('order_line', 'order_seq', colocate_with => 'note');

SELECT create_distributed_table('attempt', 'notification');
