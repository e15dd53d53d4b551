//! Delivers notifications: a bell wakes it, and in case a ring is lost it looks every second.
//!
//! What is due stays due in the store until an attempt at it has been recorded, so that one that was begun
//! when the process died is made again, under the same id. That this process has it in hand is remembered
//! here alone: nobody else has the folder.
//!
//! Many are under way at once, but only so many for one subscription, one place and one account, so that a
//! receiver that is slow or dead keeps nobody else waiting.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use onhook_core::ids::{AccountId, MessageId, NotificationSeq, SubscriptionId, SubscriptionSeq};
use onhook_core::notify::notification::{Attempt, Next, Notification, Outcome, Trouble, due_at, next};
use onhook_core::notify::subscription::{Callback, Receiver, Secret};
use onhook_core::time::Timestamp;
use onhook_store::contract::deliveries::{Due, DueLimits, DuePage, Ready};
use onhook_store::{Result, StoreError};
use onhook_wire::notifications;
use sha2::Sha256;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::callback::send::Message;
use crate::callback::target::Target;
use crate::{App, trouble};

/// Most deliveries under way: all, of one account, to one place, of one subscription.
const ALL_MAX: usize = 128;
const ACCOUNT_MAX: usize = 32;
/// Of one account, once half of all places are taken: what is left is for the others.
const ACCOUNT_MAX_CROWDED: usize = 8;
const CITY_NAME_MAX: usize = 4;
const SUBSCRIPTION_MAX: usize = 2;
/// Most subscriptions that are looked at in one read, and most reads of one step.
const LOOK_MAX: usize = 64;
const LOOKS_MAX: usize = 32;
/// Most notifications in one mail of a day.
const DAILY_MAX: usize = 1_000;
/// How long it sleeps when nobody rings.
const POLL: Duration = Duration::from_secs(1);
/// How long deliveries under way may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(2);
/// How often what is old is forgotten, and how much at once.
const TIDY_EVERY: Duration = Duration::from_secs(60);
const TIDY_MAX: usize = 1_000;
/// How many times in a row, while there is more.
const TIDY_ROUNDS_MAX: usize = 50;
/// What a signing secret begins with (Standard Webhooks).
const SECRET_PREFIX: &str = "whsec_";

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut under_way = UnderWay::default();
    let mut tidied: Option<Instant> = None;
    while !stop.is_cancelled() {
        if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            tidied = Some(Instant::now());
            if let Some(Err(error)) = stop.run_until_cancelled(tidy_all(&app)).await {
                trouble::store_failed("old deliveries could not be forgotten", &error);
            }
        }
        if let Err(error) = under_way.begin(&app).await {
            trouble::store_failed("deliveries could not be begun", &error);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.deliveries_bell.notified() => {} // keeps one ring that came while we worked
            () = under_way.one_ended(), if !under_way.is_empty() => {}
            () = tokio::time::sleep(POLL) => {}      // a lost ring costs a second, not a notification
        }
    }
    // What does not end in time is not recorded, and is made again at the next start.
    let ending = async {
        while !under_way.is_empty() {
            under_way.one_ended().await;
        }
    };
    let _ = tokio::time::timeout(GRACE, ending).await;
}

/// Ends and forgets what is over by now, unless the clock may be wrong: neither comes back.
pub(crate) async fn tidy_all(app: &App) -> Result<()> {
    let Some(now) = app.sure_now() else { return Ok(()) };
    expire_subscriptions(app, now).await?;
    tidy(|| app.store.forget_deliveries(now, TIDY_MAX)).await
}

/// Forgets until there is nothing more, or for so many rounds: more may be written in a minute than one holds.
async fn tidy<F: Future<Output = Result<usize>>>(mut forget: impl FnMut() -> F) -> Result<()> {
    for _ in 0..TIDY_ROUNDS_MAX {
        if forget().await? < TIDY_MAX {
            break;
        }
    }
    Ok(())
}

/// Ends the subscriptions whose time is over at `now`, and returns how many, within a bound.
pub(crate) async fn expire_subscriptions(app: &App, now: Timestamp) -> Result<usize> {
    let mut all = 0;
    for _ in 0..TIDY_ROUNDS_MAX {
        let ended = app.store.expire_subscriptions(now, TIDY_MAX).await?;
        for (id, account) in &ended {
            info!(
                subscription.id = %id, account = account.get(),
                "a subscription ended: its time (Expiry) is over, and it is told nothing more"
            );
        }
        metrics::counter!("onhook_subscriptions_ended_total")
            .increment(u64::try_from(ended.len()).unwrap_or(u64::MAX));
        all += ended.len();
        if ended.len() < TIDY_MAX {
            break;
        }
    }
    Ok(all)
}

/// How many deliveries are under way: all, and those of one account, to one place, of one subscription.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    all: usize,
    account: usize,
    place: usize,
    subscription: usize,
}

impl Crowd {
    /// Whether one more may begin.
    fn has_room(self) -> bool {
        let account_max = if self.all < ALL_MAX / 2 { ACCOUNT_MAX } else { ACCOUNT_MAX_CROWDED };
        self.all < ALL_MAX
            && self.account < account_max
            && self.place < CITY_NAME_MAX
            && self.subscription < SUBSCRIPTION_MAX
    }
}

/// What one delivery occupies.
struct Slot {
    subscription: SubscriptionSeq,
    account: AccountId,
    place: String,
    notifications: Vec<NotificationSeq>,
}

/// The deliveries that have been begun.
#[derive(Default)]
struct UnderWay {
    jobs: JoinSet<()>,
    slots: HashMap<Id, Slot>,
    notifications: HashSet<NotificationSeq>,
    by_subscription: HashMap<SubscriptionSeq, usize>,
    by_account: HashMap<AccountId, usize>,
    by_place: HashMap<String, usize>,
    /// The subscription behind which the next look begins, so that all have their turn.
    after: Option<SubscriptionSeq>,
}

impl UnderWay {
    fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Begins what is due, as far as there is room.
    async fn begin(&mut self, app: &Arc<App>) -> Result<()> {
        let now = app.clock.now();
        for _ in 0..LOOKS_MAX {
            if self.jobs.len() >= ALL_MAX {
                return Ok(());
            }
            let after = self.after.unwrap_or(SubscriptionSeq(0));
            // Twice as many as may be under way: those that are come first.
            let limits =
                DueLimits { subscriptions: LOOK_MAX, single: 2 * SUBSCRIPTION_MAX, daily: DAILY_MAX };
            let DuePage { due, next } = app.store.due(now, after, limits).await?;
            for one in due {
                self.begin_one(app, &one);
            }
            self.after = next;
            if next.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn begin_one(&mut self, app: &Arc<App>, due: &Due) {
        let place = Target::parse(&due.target).map_or_else(|| "mail".to_owned(), |target| target.place());
        let waiting = due.notifications.iter().copied().filter(|seq| !self.notifications.contains(seq));
        let parts: Vec<Vec<NotificationSeq>> = match due.daily {
            true => vec![waiting.collect()],
            false => waiting.map(|seq| vec![seq]).collect(),
        };
        for notifications in parts.into_iter().filter(|part| !part.is_empty()) {
            let crowd = Crowd {
                all: self.jobs.len(),
                account: count(&self.by_account, &due.account),
                place: count(&self.by_place, &place),
                subscription: count(&self.by_subscription, &due.subscription),
            };
            if !crowd.has_room() {
                return;
            }
            let (subscription, account) = (due.subscription, due.account);
            let job = deliver(app.clone(), subscription, notifications.clone());
            let id = self.jobs.spawn(job).id();
            self.notifications.extend(&notifications);
            *self.by_subscription.entry(subscription).or_default() += 1;
            *self.by_account.entry(account).or_default() += 1;
            *self.by_place.entry(place.clone()).or_default() += 1;
            self.slots.insert(id, Slot { subscription, account, place: place.clone(), notifications });
        }
    }

    /// Waits for one to end, and makes room.
    async fn one_ended(&mut self) {
        let ended = match self.jobs.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                warn!(%error, "a delivery broke off: {error}");
                // It keeps its place for a while, since it would break off again.
                if let Some(slot) = self.slots.remove(&error.id()) {
                    let id = self.jobs.spawn(tokio::time::sleep(POLL)).id();
                    self.slots.insert(id, slot);
                }
                return;
            }
            None => return,
        };
        let Some(slot) = self.slots.remove(&ended) else { return };
        for seq in &slot.notifications {
            self.notifications.remove(seq);
        }
        leave(&mut self.by_subscription, &slot.subscription);
        leave(&mut self.by_account, &slot.account);
        leave(&mut self.by_place, &slot.place);
    }
}

fn count<K: Eq + Hash>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or(0)
}

fn leave<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// One attempt, and its record.
async fn deliver(app: Arc<App>, subscription: SubscriptionSeq, notifications: Vec<NotificationSeq>) {
    let Ready { subscription, mut notifications } = match app.store.ready(subscription, notifications).await {
        Ok(Some(ready)) if !ready.notifications.is_empty() => ready,
        Ok(_) => return, // removed in the meantime
        Err(error) => {
            warn!(%error, "a notification could not be read: {error}");
            tokio::time::sleep(POLL).await;
            return;
        }
    };
    notifications.truncate(together(&subscription.receiver));
    let Some(first) = notifications.first() else { return };
    let (at, begun) = (app.clock.now(), Instant::now());
    let tried = match &subscription.receiver {
        Receiver::Callback(callback) => call(&app, subscription.id, callback, first).await,
        Receiver::Email(email) => mail(&app, subscription.id, &email.address, first, &notifications).await,
    };
    let took_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
    let (outcome, said, retry_after_ms) = tried;
    let target = subscription.receiver.target().to_owned();
    let attempt = Attempt { target, at, took_ms, outcome, said, retry_after_ms };
    let (retries, daily) = (subscription.receiver.retries(), subscription.receiver.is_daily());
    let what: Vec<(NotificationSeq, Next)> = notifications
        .iter()
        .map(|told| {
            let (n, since) = (told.attempts.saturating_add(1), due_at(daily, told.at));
            (told.seq, next(retries, &attempt, n, since, jitter()))
        })
        .collect();
    for (told, (_, next)) in notifications.iter().zip(&what) {
        tell_of(&told.id, &subscription.id, &attempt, next);
    }
    record(&app, attempt, what).await;
}

/// How many notifications it takes at once. A day's may have been gathered for a mailbox that has become a URL
/// since: the others wait for their turn.
fn together(receiver: &Receiver) -> usize {
    match receiver {
        Receiver::Callback(_) => 1,
        Receiver::Email(_) => DAILY_MAX,
    }
}

/// Writes down what came of it; while the store is busy it tries again, since a receiver that was told must
/// not be told again for that.
async fn record(app: &App, attempt: Attempt, what: Vec<(NotificationSeq, Next)>) {
    loop {
        match app.store.record(attempt.clone(), what.clone()).await {
            Ok(()) => return,
            Err(StoreError::Closed) => return,
            Err(error) => {
                trouble::store_failed("a delivery could not be recorded", &error);
                tokio::time::sleep(POLL).await;
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

type Tried = (Outcome, Option<String>, Option<i64>);

fn failed(trouble: Trouble) -> Tried {
    (Outcome::Failed(trouble), None, None)
}

/// Tells a URL.
async fn call(app: &App, id: SubscriptionId, callback: &Callback, told: &Notification) -> Tried {
    let body = notifications::document(id, callback.format, told);
    let Some(headers) = headers(&told.id, app.clock.wall(), callback.signing.as_ref(), &body) else {
        return failed(Trouble::Internal);
    };
    let message = Message {
        url: &callback.url,
        content_type: notifications::CONTENT_TYPE,
        headers,
        body,
        credentials: callback.credentials.as_ref(),
        public_key: callback.public_key.as_deref(),
    };
    match app.callbacks.send(&message, app.clock.wall()).await {
        Ok(answer) => (Outcome::Answered(answer.status), Some(answer.said), answer.retry_after_ms),
        Err(trouble) => failed(trouble),
    }
}

/// The message's id, and where a secret is, time and signature (Standard Webhooks).
fn headers(
    id: &MessageId,
    now: Timestamp,
    signing: Option<&Secret>,
    body: &str,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let id = id.to_string();
    let mut headers = vec![(HeaderName::from_static("webhook-id"), HeaderValue::try_from(&id).ok()?)];
    if let Some(secret) = signing {
        let seconds = now.millis() / 1_000;
        let signature = sign(secret, &format!("{id}.{seconds}.{body}"))?;
        headers.push((HeaderName::from_static("webhook-timestamp"), HeaderValue::from(seconds)));
        headers.push((HeaderName::from_static("webhook-signature"), HeaderValue::try_from(signature).ok()?));
    }
    Some(headers)
}

fn sign(secret: &Secret, text: &str) -> Option<String> {
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64.decode(secret.expose().strip_prefix(SECRET_PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(text.as_bytes());
    Some(format!("v1,{}", base64.encode(mac.finalize().into_bytes())))
}

/// A new secret to sign with.
pub(crate) fn new_secret() -> std::result::Result<Secret, getrandom::Error> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let key = base64::engine::general_purpose::STANDARD.encode(key);
    Ok(Secret::new(format!("{SECRET_PREFIX}{key}")))
}

/// Tells a mailbox, all in one mail, which has the first one's id.
async fn mail(
    app: &App,
    id: SubscriptionId,
    address: &str,
    first: &Notification,
    told: &[Notification],
) -> Tried {
    let Some(mailer) = &app.mailer else { return failed(Trouble::NoMail) };
    let (subject, text) = (notifications::mail_subject(told), notifications::mail(id, told));
    match mailer.send(address, &first.id.to_string(), &subject, text, app.clock.now()).await {
        Ok(()) => (Outcome::Mailed, None, None),
        Err(trouble) => failed(trouble),
    }
}

/// From 0 to 1,000.
fn jitter() -> u32 {
    getrandom::u32().map_or(1_000, |drawn| drawn % 1_001)
}

#[cfg(test)]
mod tests {
    use onhook_core::notify::subscription::{Digest, Email, NumberFormat};

    use super::*;

    #[test]
    fn slow_receivers_of_four_accounts_leave_room_for_a_fifth() {
        let mut accounts = [0; 5];
        let mut begin = |n: usize| {
            let crowd = Crowd { all: accounts.iter().sum(), account: accounts[n], ..Crowd::default() };
            let room = crowd.has_room();
            accounts[n] += usize::from(room);
            room
        };
        for n in 0..4 {
            while begin(n) {}
        }
        assert!(begin(4));
        assert_eq!(accounts, [32, 32, 8, 8, 1]);
    }

    #[test]
    fn each_bound_is_one_of_its_own() {
        let has_room =
            |all, account, place, subscription| Crowd { all, account, place, subscription }.has_room();
        assert!(has_room(63, 31, 3, 1) && has_room(127, 7, 3, 1));
        for (all, account, place, subscription) in
            [(128, 0, 0, 0), (63, 32, 0, 0), (64, 8, 0, 0), (5, 5, 4, 0), (5, 5, 3, 2)]
        {
            assert!(!has_room(all, account, place, subscription), "{all} {account} {place} {subscription}");
        }
    }

    #[tokio::test]
    async fn it_forgets_until_there_is_nothing_more_but_not_for_ever() {
        for (found, rounds) in [(vec![3], 1), (vec![TIDY_MAX, TIDY_MAX + 1, 0], 3), (vec![TIDY_MAX; 60], 50)]
        {
            let mut counts = found.into_iter();
            let mut asked = 0;
            let forget = || {
                asked += 1;
                std::future::ready(Ok(counts.next().unwrap()))
            };
            tidy(forget).await.unwrap();
            assert_eq!(asked, rounds);
        }
    }

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

    #[tokio::test]
    async fn a_delivery_that_broke_off_is_not_begun_again_at_once() {
        let mut under_way = UnderWay::default();
        let (subscription, account) = (SubscriptionSeq(1), AccountId::new(1).unwrap());
        let (place, seq) = ("mail".to_owned(), NotificationSeq(1));
        let id = under_way.jobs.spawn(async { panic!("as a delivery might") }).id();
        under_way.notifications.insert(seq);
        under_way.by_account.insert(account, 1);
        under_way.slots.insert(id, Slot { subscription, account, place, notifications: vec![seq] });
        under_way.one_ended().await;
        assert!(under_way.notifications.contains(&seq) && !under_way.is_empty());
        assert_eq!(count(&under_way.by_account, &account), 1);
        under_way.one_ended().await;
        assert!(under_way.notifications.is_empty() && under_way.is_empty());
        assert_eq!(count(&under_way.by_account, &account), 0);
    }

    /// The example of the Standard Webhooks specification's reference libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let text = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        assert_eq!(sign(&secret, text).as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(sign(&Secret::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), text), None);
        assert_ne!(sign(&new_secret().unwrap(), text), sign(&new_secret().unwrap(), text));
    }
}
