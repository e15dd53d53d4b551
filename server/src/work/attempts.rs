//! One attempt to notify a subscriber, and its record.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::ids::{MessageId, NotificationSeq, SubscriptionId, SubscriptionSeq};
use onhook_core::notify::notification::{Attempt, Next, next};
use onhook_core::notify::subscription::Receiver;
use onhook_store::StoreError;
use onhook_store::contract::deliveries::Ready;
use onhook_store::contract::leases::LeaseToken;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::messages;
use crate::app::App;
use crate::store_log;

/// Most notifications in one daily mail.
pub(super) const DAILY_MAX: usize = 1_000;
/// How long to wait after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes one attempt under a lease, and records it.
pub(super) async fn deliver(
    app: Arc<App>,
    lease: LeaseToken,
    subscription: SubscriptionSeq,
    notifications: Vec<NotificationSeq>,
) {
    let Ready { subscription, mut notifications } = match app.store.ready(subscription, notifications).await {
        Ok(Some(ready)) if !ready.notifications.is_empty() => ready,
        Ok(_) => return, // removed in the meantime
        Err(error) => {
            warn!(%error, "a notification could not be read: {error}");
            tokio::time::sleep(PAUSE).await;
            return;
        }
    };
    notifications.truncate(together(&subscription.receiver));
    let Some(first) = notifications.first() else { return };
    let (at, begun) = (app.clock.now(), Instant::now());
    let target = subscription.receiver.target().to_owned();
    let n = first.attempts.saturating_add(1);
    let deaf = app.emulator.as_ref().and_then(|emulator| emulator.deaf(&target, first.order.id, n));
    let tried = match &subscription.receiver {
        Receiver::Callback(callback) if deaf.is_some() => {
            messages::unsent(&app, subscription.id, callback, first, deaf)
        }
        Receiver::Callback(callback) => messages::call(&app, subscription.id, callback, first).await,
        Receiver::Email(email) => match deaf {
            Some((deaf, _)) => messages::of(deaf),
            None => messages::mail(&app, subscription.id, &email.address, first, &notifications).await,
        },
    };
    let took_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
    let (outcome, answer, retry_after_ms) = tried;
    let attempt = Attempt { target, at, took_ms, outcome, answer, retry_after_ms };
    let (retries, daily) = (subscription.receiver.retries(), subscription.receiver.is_daily());
    let what: Vec<(NotificationSeq, Next)> = notifications
        .iter()
        .map(|told| {
            let (n, since) = (told.attempts.saturating_add(1), told.due_since(daily));
            (told.seq, next(retries, &attempt, n, since, jitter()))
        })
        .collect();
    for (told, (_, next)) in notifications.iter().zip(&what) {
        tell_of(&told.id, &subscription.id, &attempt, next);
    }
    record(&app, lease, attempt, what).await;
    if let Some(emulator) = &app.emulator {
        emulator.ran.deliveries.add(1);
    }
}

/// Returns how many notifications a receiver takes at once. A day's notifications may have been gathered for a mailbox
/// that has since become a URL. Then the others wait for their turn.
fn together(receiver: &Receiver) -> usize {
    match receiver {
        Receiver::Callback(_) => 1,
        Receiver::Email(_) => DAILY_MAX,
    }
}

/// Records the result of an attempt. While the store is busy it tries again: a receiver that was notified must not be
/// notified again just for that.
async fn record(app: &App, lease: LeaseToken, attempt: Attempt, what: Vec<(NotificationSeq, Next)>) {
    loop {
        match app.store.record(lease, attempt.clone(), what.clone()).await {
            // After a lost lease the notifications are another node's, which tells the receiver again.
            Ok(()) | Err(StoreError::Closed | StoreError::LeaseLost) => return,
            Err(error) => {
                store_log::failed("a delivery could not be recorded", &error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn tell_of(id: &MessageId, subscription: &SubscriptionId, attempt: &Attempt, next: &Next) {
    let word = match next {
        Next::Delivered => "delivered",
        Next::Again(_) => "again",
        Next::GiveUp => "given_up",
        Next::Disable => "disabled",
    };
    metrics::counter!("onhook_deliveries_total", "outcome" => word).increment(1);
    let outcome = &attempt.outcome;
    match next {
        Next::Delivered => {
            debug!(message.id = %id, subscription.id = %subscription, "a notification was delivered")
        }
        _ => info!(
            message.id = %id, subscription.id = %subscription, delivery.outcome = %outcome, delivery.next = word,
            "a notification was not delivered: {outcome}"
        ),
    }
}

/// Returns a random number from 0 to 1,000.
fn jitter() -> u32 {
    getrandom::u32().map_or(1_000, |drawn| drawn % 1_001)
}

#[cfg(test)]
mod tests {
    use onhook_core::notify::subscription::{Callback, Digest, Email, NumberFormat};

    use super::*;

    #[test]
    fn a_url_is_told_one_by_one_though_a_day_was_gathered() {
        let callback = Callback {
            url: "https://example.com/".into(),
            credentials: None,
            public_key: None,
            format: NumberFormat::Legacy,
            retry: false,
            signing: None,
        };
        let email = Email { address: "ops@example.com".into(), digest: Digest::Daily };
        assert_eq!(together(&Receiver::Callback(callback)), 1);
        assert_eq!(together(&Receiver::Email(email)), DAILY_MAX);
    }
}
