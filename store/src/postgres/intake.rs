//! Orders on their way into the database: those that wait together go in one statement, to which the end of its
//! transaction is tied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::client::{Client, Names, begin};
use onhook_core::ids::{OrderId, OrderSeq, SiteId};
use onhook_core::order::{NewOrder, Status};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::connect::{Connections, connection};
use super::health::Health;
use super::random::random_uuid;
use super::row::{get, order_id};
use super::statement::{Value, often, often_and_commit, rows};
use super::tries::{Tries, is_lost, is_of_a_value, settle, unknown};
use super::waiting::Waiting;
use crate::codes::{kind_code, status_code};
use crate::columns::UnderColumns;
use crate::contract::orders::Accepted;
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::{Result, StoreError};

/// Most orders in one statement.
const TOGETHER_MAX: usize = 512;

/// Most orders that wait for their statement.
const QUEUE_MAX: usize = 8_192;

/// How long a transaction may be idle between its beginning and its statement.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Statements under way at once.
const AT_ONCE: usize = 2;

/// An order that waits, and whom to answer.
struct Arrival {
    order: Arc<NewOrder>,
    /// Its request, as it is stored.
    request: String,
    reply: oneshot::Sender<Result<Accepted>>,
    _counted: Counted,
}

/// Counts an order from its arrival until it is answered.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(queued: &watch::Sender<usize>) -> Self {
        queued.send_modify(|count| *count += 1);
        Self(queued.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Where orders wait to be written.
pub(super) struct Intake {
    queue: mpsc::Sender<Arrival>,
    queued: watch::Sender<usize>,
    /// Set when nothing more is taken.
    closed: AtomicBool,
    waiting: Arc<Waiting>,
    health: Arc<Health>,
}

impl Intake {
    /// Starts writing what arrives. It ends when the store is dropped.
    pub(super) fn start(
        pool: Connections,
        names: Arc<Names>,
        ids: Arc<OrderIds>,
        health: Arc<Health>,
    ) -> Self {
        let (queue, arrivals) = mpsc::channel(QUEUE_MAX);
        let waiting = Arc::new(Waiting::default());
        tokio::spawn(write_all(arrivals, Writing { pool, names, ids, health: health.clone() }));
        Self { queue, queued: watch::Sender::new(0), closed: AtomicBool::new(false), waiting, health }
    }

    /// Returns how many orders wait.
    pub(super) fn queued(&self) -> usize {
        *self.queued.borrow()
    }

    /// Takes nothing more, and returns when everything that waits is answered.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let _ = self.queued.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Makes an order durable.
    pub(super) async fn accept(
        &self,
        order: Arc<NewOrder>,
        request: String,
        pool: &Connections,
    ) -> Result<Accepted> {
        self.health.not_silent()?;
        self.waiting.look(pool).await?;
        if self.waiting.is_full(order.account) {
            return Err(StoreError::Full);
        }
        let (reply, answer) = oneshot::channel();
        let counted = Counted::new(&self.queued);
        // Looked at when it is counted: one that arrives while the store is closed is refused or waited for.
        if self.closed.load(Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        let sent = self.queue.try_send(Arrival { order, request, reply, _counted: counted });
        match sent {
            Ok(()) => answer.await.unwrap_or(Err(StoreError::Closed)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(StoreError::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreError::Closed),
        }
    }
}

/// What it takes to write orders.
#[derive(Clone)]
struct Writing {
    pool: Connections,
    names: Arc<Names>,
    ids: Arc<OrderIds>,
    health: Arc<Health>,
}

/// Writes what arrives. What could panic runs in tasks of its own. Here orders are only handed on, so nobody has to begin
/// this again.
///
/// While orders are being written, others are begun only if there are as many: each statement and
/// its commit cost about the same for few orders and for many.
async fn write_all(mut arrivals: mpsc::Receiver<Arrival>, writing: Writing) {
    let (mut some, mut open) = (Vec::with_capacity(TOGETHER_MAX), true);
    let (mut running, mut under_way) = (JoinSet::new(), 0_usize);
    while open || !some.is_empty() || !running.is_empty() {
        let room = TOGETHER_MAX - some.len();
        tokio::select! {
            Some(ended) = running.join_next() => {
                // Of one that panicked it is not known how many there were, and the estimate is only of what is worth it.
                under_way = ended.map_or(0, |orders: usize| under_way.saturating_sub(orders));
            }
            more = arrivals.recv_many(&mut some, room), if open && room > 0 && running.len() < AT_ONCE => {
                open = more > 0;
            }
        }
        let worth = some.len() >= under_way;
        if !some.is_empty() && (running.is_empty() || running.len() < AT_ONCE && worth) {
            let (together, writing) = (std::mem::take(&mut some), writing.clone());
            let orders = together.len();
            under_way += orders;
            running.spawn(async move {
                writing.write(together).await;
                orders
            });
        }
    }
}

impl Writing {
    /// Writes orders together, and answers each.
    async fn write(&self, arrivals: Vec<Arrival>) {
        let (mut tries, mut written) = (Tries::default(), None);
        let done = loop {
            let done = self.attempt(&arrivals, &mut written).await;
            if let Some(done) = tries.after(done).await {
                break done;
            }
        };
        // Which order it is that the database cannot take shows when each is written alone.
        if written.is_none() && arrivals.len() > 1 && matches!(&done, Err(error) if is_of_a_value(error)) {
            for arrival in arrivals {
                Box::pin(self.write(vec![arrival])).await;
            }
            return;
        }
        let done = done.map_err(|error| if written.is_some() { unknown(&error) } else { error });
        self.health.note(&done);
        match done {
            Ok(accepted) => {
                for (arrival, accepted) in arrivals.into_iter().zip(accepted) {
                    let _ = arrival.reply.send(accepted);
                }
            }
            Err(error) => {
                for arrival in arrivals {
                    let _ = arrival.reply.send(Err(again(&error)));
                }
            }
        }
    }

    /// Begins a transaction, and returns `count` new sequence numbers of orders, ascending.
    async fn begin(&self, client: &mut Client, count: usize) -> Result<Vec<OrderSeq>> {
        let sql =
            format!("{}; SELECT nextval('order_seq') FROM generate_series(1, {count})", begin(IDLE_MAX));
        let found = self.names.begin(client, &sql).await?;
        let seq =
            |text: &String| text.parse().map(OrderSeq).map_err(|_| corrupt("a sequence without numbers"));
        let mut seqs = found.iter().map(seq).collect::<Result<Vec<_>>>()?;
        seqs.sort_unstable();
        Ok(seqs)
    }

    /// Writes the orders, unless an earlier attempt has: then its answer is all that is missing.
    async fn attempt(
        &self,
        arrivals: &[Arrival],
        written: &mut Option<Written>,
    ) -> Result<Vec<Result<Accepted>>> {
        let mut client = connection(&self.pool).await?;
        let Written { seqs, new } = match written {
            Some(written) => written,
            None => {
                let begun = self.begin(&mut client, arrivals.len()).await;
                let seqs = match begun {
                    Ok(seqs) => seqs,
                    Err(error) => {
                        client.close(); // a transaction may have begun
                        return Err(error);
                    }
                };
                let mark = random_uuid()?;
                let orders: Vec<(&NewOrder, &str)> =
                    arrivals.iter().map(|arrival| (&*arrival.order, arrival.request.as_str())).collect();
                let commit = self.health.commit();
                let new = insert(&client, &self.ids, &orders, &seqs, mark, true).await;
                commit.ended(&new);
                match new {
                    Ok(new) => {
                        client.end_names();
                        written.insert(Written { seqs, new: Some(new) })
                    }
                    Err(error) => {
                        self.names.look_at(&client, &error);
                        client.close();
                        // The database's own refusal means that nothing was written. Else it has to be asked.
                        if !is_lost(&error) || !settle(&self.pool, mark).await? {
                            return Err(error);
                        }
                        let written = written.insert(Written { seqs, new: None });
                        client = connection(&self.pool).await?;
                        written
                    }
                }
            }
        };
        answers(&client, &self.ids, arrivals, seqs, new.as_deref()).await
    }
}

/// What a statement has written: it must not be written again.
struct Written {
    /// The sequence numbers of the orders, one for each arrival.
    seqs: Vec<OrderSeq>,
    /// Those that are new. `None` if that has to be read.
    new: Option<Vec<OrderSeq>>,
}

/// Returns `count` new sequence numbers of orders, ascending.
pub(super) async fn next_orders(client: &Client, count: usize) -> Result<Vec<OrderSeq>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let found = rows(client, "SELECT nextval('order_seq') FROM generate_series(1, $1)", &[&count]).await?;
    let mut seqs = found.iter().map(|row| get(row, 0).map(OrderSeq)).collect::<Result<Vec<_>>>()?;
    seqs.sort_unstable();
    Ok(seqs)
}

/// Writes orders, each with its request as it is stored, and the keys of those that have one. An order whose key is known
/// already is left out. If this `ends` the transaction, COMMIT goes with it. Returns the sequence numbers of those that were
/// written.
pub(super) async fn insert(
    client: &Client,
    ids: &OrderIds,
    orders: &[(&NewOrder, &str)],
    seqs: &[OrderSeq],
    mark: uuid::Uuid,
    ends: bool,
) -> Result<Vec<OrderSeq>> {
    let (mut uuids, mut accounts, mut kinds, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut users, mut names, mut customer_ids, mut sites) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut numbers, mut requests, mut keys, mut digests) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut credentials, mut addresses, mut reasons, mut plans) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((order, request), seq) in orders.iter().zip(seqs) {
        uuids.push(ids.id(*seq).0);
        accounts.push(i64::from(order.account.get()));
        kinds.push(i64::from(kind_code(order.request.kind())));
        times.push(order.created_at.millis());
        users.push(order.user.as_str());
        names.push(order.name.as_deref());
        customer_ids.push(order.customer_order_id.as_deref());
        sites.push(order.request.site().map(SiteId::get).map(i64::from));
        numbers.push(i64::try_from(order.request.quantity()).unwrap_or(i64::MAX));
        requests.push(*request);
        keys.push(order.key.as_ref().map(|key| key.key.as_str()));
        digests.push(order.key.as_ref().map(|key| key.digest.to_vec()));
        let UnderColumns { credential, address, reason, plan } = UnderColumns::of(&order.under);
        credentials.push(credential.map(i64::from));
        addresses.push(address);
        reasons.push(reason);
        plans.push(plan);
    }
    let seqs: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
    let received = i64::from(status_code(Status::Received));
    let sql = "WITH given AS (
                   SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[],
                                        $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[],
                                        $11::text[], $12::text[], $13::bytea[], $16::bigint[], $17::text[], $18::text[],
                                        $19::uuid[])
                       AS u (seq, id, account, kind, created_at, user_name, name, customer_order_id, site, numbers,
                             request, key, digest, credential, address, reason, plan)
               ), keyed AS (
                   INSERT INTO idempotency (account, key, digest, order_seq)
                   SELECT account, key, digest, seq FROM given WHERE key IS NOT NULL ORDER BY seq
                   ON CONFLICT (account, key) DO NOTHING RETURNING order_seq
               ), marked AS (
                   INSERT INTO committed (id, at) VALUES ($14, (extract(epoch FROM now()) * 1000)::bigint)
               )
               INSERT INTO orders (seq, id, account, kind, status, attempts, created_at, changed_at, user_name, name,
                                   customer_order_id, site, numbers, request, credential, address, reason, plan)
               SELECT seq, id, account, kind, $15, 0, created_at, created_at, user_name, name, customer_order_id,
                      site, numbers, request, credential, address, reason, plan
               FROM given WHERE key IS NULL OR seq IN (SELECT order_seq FROM keyed)
               RETURNING seq";
    let values: [&dyn Value; 19] = [
        &seqs,
        &uuids,
        &accounts,
        &kinds,
        &times,
        &users,
        &names,
        &customer_ids,
        &sites,
        &numbers,
        &requests,
        &keys,
        &digests,
        &mark,
        &received,
        &credentials,
        &addresses,
        &reasons,
        &plans,
    ];
    let written = if ends {
        often_and_commit(client, sql, &values).await?
    } else {
        often(client, sql, &values).await?
    };
    written.iter().map(|row| get(row, 0).map(OrderSeq)).collect()
}

/// Returns the answer to each order. `written` are the orders that were written; `None` if that has to be read.
async fn answers(
    client: &Client,
    ids: &OrderIds,
    arrivals: &[Arrival],
    seqs: &[OrderSeq],
    written: Option<&[OrderSeq]>,
) -> Result<Vec<Result<Accepted>>> {
    let written = match written {
        Some(written) => written.to_vec(),
        None => {
            let wanted: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
            let found = rows(client, "SELECT seq FROM orders WHERE seq = ANY($1)", &[&wanted]).await?;
            found.iter().map(|row| get(row, 0).map(OrderSeq)).collect::<Result<_>>()?
        }
    };
    let written: std::collections::HashSet<OrderSeq> = written.into_iter().collect();
    let mut answers = Vec::with_capacity(arrivals.len());
    for (Arrival { order, .. }, seq) in arrivals.iter().zip(seqs) {
        answers.push(match &order.key {
            _ if written.contains(seq) => Ok(Accepted { id: ids.id(*seq), again: false }),
            Some(key) => known(client, order, &key.key, &key.digest[..]).await?,
            None => Err(corrupt("an order was not written")),
        });
    }
    Ok(answers)
}

/// Returns the answer to an order whose key is known.
async fn known(client: &Client, order: &NewOrder, key: &str, digest: &[u8]) -> Result<Result<Accepted>> {
    let sql = "SELECT k.digest, o.id FROM idempotency k JOIN orders o ON o.seq = k.order_seq
               WHERE k.account = $1 AND k.key = $2";
    let found = rows(client, sql, &[&i64::from(order.account.get()), &key]).await?;
    let found = found.first().ok_or_else(|| corrupt("a key without its order"))?;
    let first: OrderId = order_id(found, 1)?;
    Ok(if get::<Vec<u8>>(found, 0)? == digest {
        Ok(Accepted { id: first, again: true })
    } else {
        Err(StoreError::KeyReused)
    })
}

/// Returns an error once more, for another caller.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unwritable(why) => why.clone().into(),
        StoreError::Full => StoreError::Full,
        StoreError::Closed => StoreError::Closed,
        error => corrupt(error.why()),
    }
}
