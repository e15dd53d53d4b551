//! Orders: accepted, run and changed in a transaction (load, plan, apply), and listed.

use std::collections::HashSet;
use std::sync::Arc;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::{AccountId, OrderId, OrderSeq};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::order::amend::Amendment;
use onhook_core::order::{HistoryLine, Kind, NewOrder, Order, Summary};
use onhook_core::time::Timestamp;
use tokio_postgres::Row;

use super::accounts::lock_account;
use super::batch::areas_of;
use super::entries::lock_numbers;
use super::exchanges::exchanges_of;
use super::open::PostgresStore;
use super::order_rows::{ORDER_COLUMNS, add_line, read_order, update_orders};
use super::row::{account_of, get, limit, order_id, pages_before, small, time};
use super::statement::{Value, row, rows};
use super::step::{Queues, Run, run_orders};
use super::telling::{apply_notifications, end_bound, subscribers_of};
use super::transaction::{reading, transaction};
use crate::Result;
use crate::codes::{kind_code, status_code, status_of};
use crate::contract::orders::{
    Accepted, Amended, NewNote, Note, ORDER_LOOKS_MAX, OrderFilter, OrderQuery, Orders, Script, StepReport,
    Steps,
};
use crate::contract::page::{LIST_MAX, Page, Start};
use crate::order_ids::OrderIds;
use crate::plan::amendments::{Loaded, Writes, amendment};
use crate::plan::step::OrderWrite;
use crate::plan::tell::{About, tell};

/// Changes a waiting order, as a client asks.
async fn amend_order(
    client: &Client,
    ids: &OrderIds,
    (account, id): (AccountId, OrderId),
    asked: &Amendment,
    user: &str,
    now: Timestamp,
) -> Result<Amended> {
    lock_account(client, account).await?;
    let Some(order) = order(client, ids, account, Kind::Number, id).await? else {
        return Ok(Amended::NoOrder);
    };
    let numbers = lock_numbers(client, &order.taken).await?;
    let areas = areas_of(client, &numbers).await?;
    let entries = numbers.into_iter().map(|row| (row.entry.number, row.entry)).collect();
    let exchanges = exchanges_of(client, &order.taken).await?;
    let subscribers = subscribers_of(client, &[account]).await?.remove(&account).unwrap_or_default();
    let loaded = Loaded { order, entries, areas, exchanges, subscribers };
    let Ok(Writes { order: write, difference, notifications }) = amendment(loaded, asked, now) else {
        return Ok(Amended::NotWaiting);
    };
    update_orders(client, std::slice::from_ref(&write)).await?;
    apply_notifications(client, ids, &notifications).await?;
    let OrderWrite { after, .. } = write;
    if after.status.is_final() {
        end_bound(client, &[(account, after.seq)]).await?;
    }
    if let Some(difference) = difference {
        add_line(client, &after, Some(user), Some(&difference)).await?;
    }
    Ok(Amended::Done(Box::new(after)))
}

/// Writes a note, and notifies the order's subscribers if it is a new one.
async fn write_note(
    client: &Client,
    ids: &OrderIds,
    (account, kind, id): (AccountId, Kind, OrderId),
    replaces: Option<i64>,
    note: &NewNote,
) -> Result<Option<i64>> {
    lock_account(client, account).await?;
    let Some(order) = order_seq(client, ids, account, kind, id).await? else { return Ok(None) };
    let NewNote { user, text, at } = note;
    let written = match replaces {
        None => {
            let sql =
                "INSERT INTO note (order_seq, user_name, text, at) VALUES ($1, $2, $3, $4) RETURNING id";
            row(client, sql, &[&order.0, user, text, &at.millis()]).await?
        }
        Some(note) => {
            let sql = "UPDATE note SET user_name = $1, text = $2, at = $3 WHERE id = $4 AND order_seq = $5
                       RETURNING id";
            row(client, sql, &[user, text, &at.millis(), &note, &order.0]).await?
        }
    };
    let written: Option<i64> = written.map(|row| get(&row, 0)).transpose()?;
    if let (Some(note), None) = (written, replaces) {
        let found = row(client, "SELECT status FROM orders WHERE seq = $1", &[&order.0]).await?;
        let Some(found) = found else { return Ok(None) };
        let about = About { account, kind, order, status: status_of(small(&found, 0)?)? };
        let mut subscribers = subscribers_of(client, &[account]).await?.remove(&account).unwrap_or_default();
        let notifications = tell(&mut subscribers, about, Some((note, text)), *at);
        apply_notifications(client, ids, &notifications).await?;
    }
    Ok(written)
}

// Orders.

async fn order(
    client: &Client,
    ids: &OrderIds,
    account: AccountId,
    kind: Kind,
    id: OrderId,
) -> Result<Option<Order>> {
    let Some(seq) = ids.seq(id) else { return Ok(None) };
    let sql = format!(
        "SELECT {ORDER_COLUMNS} FROM orders WHERE seq = $1 AND id = $2 AND account = $3 AND kind = $4"
    );
    let values: [&dyn Value; 4] = [&seq.0, &id.0, &i64::from(account.get()), &i64::from(kind_code(kind))];
    row(client, &sql, &values).await?.as_ref().map(read_order).transpose()
}

/// Returns an order by its id alone.
pub(super) async fn order_by_id(client: &Client, ids: &OrderIds, id: OrderId) -> Result<Option<Order>> {
    let Some(seq) = ids.seq(id) else { return Ok(None) };
    let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE seq = $1 AND id = $2");
    row(client, &sql, &[&seq.0, &id.0]).await?.as_ref().map(read_order).transpose()
}

/// Rows that one search of several reads together.
const LOOKS: usize = 500;

/// Returns orders that a filter means, newest first: reads rows in their order, some at a time, and judges each.
async fn find_orders(
    client: &Client,
    ids: &OrderIds,
    filter: &OrderFilter,
    after: Option<OrderId>,
    size: usize,
) -> Result<(Vec<Order>, Option<OrderId>)> {
    let before = after.map_or(Some(OrderSeq(i64::MAX)), |id| ids.seq(id));
    let Some(OrderSeq(mut before)) = before else { return Ok((Vec::new(), None)) };
    let narrow = filter.account.zip(filter.kind);
    let account = narrow.map(|(account, _)| i64::from(account.get()));
    let kind = narrow.map(|(_, kind)| i64::from(kind_code(kind)));
    let narrowed = if narrow.is_some() {
        "account = $3 AND kind = $4"
    } else {
        "$3::bigint IS NULL AND $4::bigint IS NULL"
    };
    let sql = format!(
        "SELECT {ORDER_COLUMNS} FROM orders WHERE seq < $1 AND {narrowed} ORDER BY seq DESC LIMIT $2"
    );
    let (mut found, mut looks): (Vec<Order>, usize) = (Vec::new(), 0);
    loop {
        let read = rows(client, &sql, &[&before, &limit(LOOKS), &account, &kind]).await?;
        for row in &read {
            let order = read_order(row)?;
            before = order.seq.0;
            looks += 1;
            let id = order.id;
            if filter.fits(&order) {
                if found.len() == size {
                    let last = found.last().map(|order| order.id);
                    return Ok((found, last));
                }
                found.push(order);
            }
            if looks == ORDER_LOOKS_MAX {
                return Ok((found, Some(id)));
            }
        }
        if read.len() < LOOKS {
            return Ok((found, None));
        }
    }
}

/// Returns an order's sequence number, without reading its numbers.
pub(super) async fn order_seq(
    client: &Client,
    ids: &OrderIds,
    account: AccountId,
    kind: Kind,
    id: OrderId,
) -> Result<Option<OrderSeq>> {
    let Some(seq) = ids.seq(id) else { return Ok(None) };
    let sql = "SELECT seq FROM orders WHERE seq = $1 AND id = $2 AND account = $3 AND kind = $4";
    let values: [&dyn Value; 4] = [&seq.0, &id.0, &i64::from(account.get()), &i64::from(kind_code(kind))];
    row(client, sql, &values).await?.map(|row| get(&row, 0).map(OrderSeq)).transpose()
}

async fn orders(client: &Client, ids: &OrderIds, query: &OrderQuery) -> Result<Page<Summary, OrderId>> {
    let (account, kind) = (i64::from(query.account.get()), i64::from(kind_code(query.kind)));
    let status = query.status.map(|status| i64::from(status_code(status)));
    let site = query.site.map(|site| i64::from(site.get()));
    let created = query.created.map(|(from, until)| (from.millis(), until.millis()));
    let (from, until) = (created.map(|(from, _)| from), created.map(|(_, until)| until));
    let mut values: Vec<&dyn Value> = vec![&account, &kind];
    let mut wanted = "account = $1 AND kind = $2".to_owned();
    let conditions: [(&str, Option<&dyn Value>); 6] = [
        ("status =", status.as_ref().map(|value| -> &dyn Value { value })),
        ("site =", site.as_ref().map(|value| -> &dyn Value { value })),
        ("user_name =", query.user.as_ref().map(|value| -> &dyn Value { value })),
        ("customer_order_id =", query.customer_order_id.as_ref().map(|value| -> &dyn Value { value })),
        ("created_at >=", from.as_ref().map(|value| -> &dyn Value { value })),
        ("created_at <", until.as_ref().map(|value| -> &dyn Value { value })),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            values.push(value);
            wanted += &format!(" AND {condition} ${}", values.len());
        }
    }
    let count = format!("SELECT count(*) FROM orders WHERE {wanted}");
    let total = row(client, &count, &values).await?.map(|row| get::<i64>(&row, 0)).transpose()?;
    let total = total.unwrap_or(0).unsigned_abs();
    let mut first = i64::MAX;
    let skip = match &query.start {
        Start::Page(page) => pages_before(*page, query.size),
        Start::At(id) => {
            // An id of another account is an unknown id. Both give an empty page.
            let Some(at) = order_seq(client, ids, query.account, query.kind, *id).await? else {
                return Ok(Page { items: Vec::new(), total, next: None });
            };
            first = at.0;
            0
        }
    };
    let size = limit(query.size.saturating_add(1));
    let n = values.len();
    let sql = format!(
        "SELECT {SUMMARY_COLUMNS} FROM orders WHERE {wanted} AND seq <= ${} ORDER BY seq DESC LIMIT ${} OFFSET ${}",
        n + 1,
        n + 2,
        n + 3
    );
    values.push(&first);
    values.push(&size);
    values.push(&skip);
    let found = rows(client, &sql, &values).await?;
    let mut items = found.iter().map(read_summary).collect::<Result<Vec<_>>>()?;
    let next = (items.len() > query.size).then(|| items.pop()).flatten().map(|order| order.id);
    Ok(Page { items, total, next })
}

/// Returns the lines of an order's history, except its end.
async fn lines(client: &Client, order: OrderSeq) -> Result<Vec<HistoryLine>> {
    let sql = "SELECT at, author, status, taken, difference FROM order_line WHERE order_seq = $1
               ORDER BY id LIMIT $2";
    let found = rows(client, sql, &[&order.0, &limit(LIST_MAX)]).await?;
    let line = |row: &Row| {
        Ok(HistoryLine {
            at: time(row, 0)?,
            author: get(row, 1)?,
            status: status_of(small(row, 2)?)?,
            taken: small(row, 3)?,
            difference: get(row, 4)?,
        })
    };
    found.iter().map(line).collect()
}

async fn notes(client: &Client, order: OrderSeq) -> Result<Vec<Note>> {
    let sql = "SELECT id, user_name, text, at FROM note WHERE order_seq = $1 ORDER BY id LIMIT $2";
    let found = rows(client, sql, &[&order.0, &limit(LIST_MAX)]).await?;
    let note =
        |row: &Row| Ok(Note { id: get(row, 0)?, user: get(row, 1)?, text: get(row, 2)?, at: time(row, 3)? });
    found.iter().map(note).collect()
}

/// The columns that [`read_summary`] reads, in this order.
const SUMMARY_COLUMNS: &str =
    "id, account, status, created_at, changed_at, user_name, customer_order_id, numbers";

fn read_summary(row: &Row) -> Result<Summary> {
    Ok(Summary {
        id: order_id(row, 0)?,
        account: account_of(row, 1)?,
        status: status_of(small(row, 2)?)?,
        created_at: time(row, 3)?,
        changed_at: time(row, 4)?,
        user: get(row, 5)?,
        customer_order_id: get(row, 6)?,
        numbers: small(row, 7)?,
    })
}

#[async_trait]
impl Orders for PostgresStore {
    async fn accept(&self, order: Arc<NewOrder>) -> Result<Accepted> {
        let request = serde_json::to_string(&order.request)?;
        self.intake.accept(order, request, &self.pool).await
    }

    fn follow(&self, script: Arc<dyn Script>) {
        let _ = self.script.set(script); // the first one stays
    }

    fn pace(&self) -> Steps {
        self.hands.steps()
    }

    async fn run_orders(
        &self,
        now: Timestamp,
        orders_max: usize,
        numbers_max: usize,
        policy: Arc<Policy>,
    ) -> Result<StepReport> {
        let have = self.hands.have();
        let mut queues = reading!(self, client => Queues::look(&client, orders_max, &have).await)?;
        let all = queues.waiting.len();
        if all > 0 {
            self.hands.among(queues.nodes); // with nothing that waits they were not counted
        }
        let have: HashSet<AccountId> = self.hands.have().union(&have).copied().collect();
        queues.waiting.retain(|backlog| !have.contains(&backlog.account));
        let busy = queues.waiting.len() < all;
        if queues.waiting.is_empty() && !queues.back {
            return Ok(StepReport { busy, ..StepReport::default() });
        }
        let hand = self.hands.hand();
        let step = transaction!(self, often tx => {
            let script = self.script.get().cloned();
            let run = Run { queues: &queues, hand: &hand, orders_max, numbers_max, policy: &policy, script };
            run_orders(&tx, &self.ids, now, run).await
        })?;
        Ok(StepReport { busy: busy || step.busy, ..step })
    }

    async fn order(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Order>> {
        reading!(self, client => order(&client, &self.ids, account, kind, id).await)
    }

    async fn order_by_id(&self, id: OrderId) -> Result<Option<Order>> {
        reading!(self, client => order_by_id(&client, &self.ids, id).await)
    }

    async fn find_orders(
        &self,
        filter: OrderFilter,
        after: Option<OrderId>,
        size: usize,
    ) -> Result<(Vec<Order>, Option<OrderId>)> {
        reading!(self, client => find_orders(&client, &self.ids, &filter, after, size).await)
    }

    async fn orders(&self, query: OrderQuery) -> Result<Page<Summary, OrderId>> {
        reading!(self, client => orders(&client, &self.ids, &query).await)
    }

    async fn notes(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Vec<Note>>> {
        reading!(self, client => match order_seq(&client, &self.ids, account, kind, id).await {
            Ok(Some(order)) => notes(&client, order).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        })
    }

    async fn write_note(
        &self,
        account: AccountId,
        kind: Kind,
        id: OrderId,
        replaces: Option<i64>,
        note: NewNote,
    ) -> Result<Option<i64>> {
        transaction!(self, tx => write_note(&tx, &self.ids, (account, kind, id), replaces, &note).await)
    }

    async fn amend_order(
        &self,
        account: AccountId,
        id: OrderId,
        amendment: Amendment,
        user: String,
        now: Timestamp,
    ) -> Result<Amended> {
        transaction!(self, tx => amend_order(&tx, &self.ids, (account, id), &amendment, &user, now).await)
    }

    async fn order_history(
        &self,
        account: AccountId,
        kind: Kind,
        id: OrderId,
    ) -> Result<Option<Vec<HistoryLine>>> {
        reading!(self, client => match order_seq(&client, &self.ids, account, kind, id).await {
            Ok(Some(order)) => lines(&client, order).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        })
    }
}
