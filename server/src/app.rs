//! What every handler and worker holds.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use onhook_core::clock::{ClockGuard, ClockState, RELEASE_WAIT_MS, Seen};
use onhook_core::ids::AccountId;
use onhook_core::time::{Timestamp, in_words};
use onhook_store::{Store, StoreError};
use onhook_wire::search::Vendor;
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::auth::Auth;
use crate::callback::target::Target;
use crate::callback::{Callbacks, Reach, Rules};
use crate::clock::Clock;
use crate::mail::{MailSettings, Mailer};
use crate::route::Group;
use crate::trouble;

/// What is set at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base of `Location` headers and links, without a slash at its end; the listening address when
    /// nothing is said. Never taken from a request.
    pub public_url: Option<String>,
    /// Requests a second that one account has in each group of routes; no limit when nothing is said.
    pub rate_limit: Option<NonZeroU32>,
    /// Numbers of the pool that searches show one account in an hour; no limit when nothing is said.
    pub shown_limit: Option<NonZeroU32>,
    /// Whose the numbers are, as details of searches and orders say it.
    pub vendor: Vendor,
    /// Connections that are open at once; more wait to be taken.
    pub connections_max: usize,
    /// Whether the emulator's controls are there, and the clock can be moved.
    pub emulator: bool,
    /// Whether the system's clock is believed at start, however far it is from the store's last use.
    pub trust_clock: bool,
    /// For how many milliseconds releases wait after a start when much time has passed unseen.
    pub release_wait_ms: i64,
    /// Which callbacks are allowed beyond the public internet over TLS.
    pub callbacks: Rules,
    /// The network that they go over.
    pub network: Reach,
    /// The mail server. Without one nobody can subscribe by mail, but on an emulator, which keeps the mail.
    pub mail: Option<MailSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            rate_limit: NonZeroU32::new(1_000),
            shown_limit: NonZeroU32::new(50_000),
            vendor: Vendor::default(),
            connections_max: 4_096,
            emulator: false,
            trust_clock: false,
            release_wait_ms: RELEASE_WAIT_MS,
            callbacks: Rules::default(),
            network: Reach::default(),
            mail: None,
        }
    }
}

/// The clock's guard, and what it said last.
struct Watch {
    guard: ClockGuard,
    state: ClockState,
}

/// The server's parts, shared by all that runs in it.
pub struct App {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// Who is calling.
    pub auth: Arc<Auth>,
    /// What was set at start.
    pub settings: Settings,
    /// Base of `Location` headers and links.
    pub public_url: String,
    /// Judges the URLs of subscriptions, and tells them.
    pub callbacks: Callbacks,
    /// Tells mailboxes, where a mail server is configured, or keeps the mail on an emulator.
    pub(crate) mailer: Option<Mailer>,
    /// Rings when an order was accepted.
    pub orders_bell: Notify,
    /// Rings when something is to be delivered.
    pub deliveries_bell: Notify,
    /// Rings when the clock was moved.
    pub clock_bell: Notify,
    limits: Option<DefaultKeyedRateLimiter<(AccountId, Group)>>,
    shown: Option<(NonZeroU32, DefaultKeyedRateLimiter<AccountId>)>,
    stopping: AtomicBool,
    watch: Mutex<Watch>,
    /// Whether the log has said that the store takes no writes.
    store_unwell: AtomicBool,
}

impl App {
    /// Puts the parts together. `public_url` stands where the settings name none.
    ///
    /// # Errors
    /// When the system has no random numbers, or the store cannot be read.
    pub async fn new(
        store: Arc<dyn Store>,
        settings: Settings,
        public_url: String,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let (seen, moved_ms) = store.clock().await?;
        let clock = Clock::new(if settings.emulator { moved_ms } else { 0 });
        let now = clock.reading();
        let mut guard = if settings.emulator || settings.trust_clock {
            ClockGuard::trusting(now)
        } else {
            ClockGuard::new(seen, now, settings.release_wait_ms)
        };
        let state = guard.look(now);
        tell_of(ClockState::Steady, state);
        let public_url = settings.public_url.clone().unwrap_or(public_url);
        let own_url = Target::parse(&public_url).map(|own| (own.host, own.port));
        let loopback = settings.emulator || settings.callbacks.loopback;
        let rules = Rules { loopback, own_url, ..settings.callbacks.clone() };
        let auth = Arc::new(Auth::new(store.token_key(), settings.rate_limit.is_some())?);
        Ok(Self {
            store,
            clock,
            auth,
            public_url,
            callbacks: Callbacks::new(rules, settings.network.clone()),
            mailer: Mailer::by(settings.mail.as_ref(), settings.emulator)?,
            limits: settings.rate_limit.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            shown: settings.shown_limit.map(|most| (most, RateLimiter::keyed(Quota::per_hour(most)))),
            settings,
            orders_bell: Notify::new(),
            deliveries_bell: Notify::new(),
            clock_bell: Notify::new(),
            stopping: AtomicBool::new(false),
            watch: Mutex::new(Watch { guard, state }),
            store_unwell: AtomicBool::new(false),
        })
    }

    /// Counts a request of an account; how many seconds to wait when it was one too many.
    pub(crate) fn over_limit(&self, account: AccountId, group: Group) -> Option<u64> {
        use governor::clock::Clock as _;
        let not_until = self.limits.as_ref()?.check_key(&(account, group)).err()?;
        let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
        Some(wait.as_secs().saturating_add(1))
    }

    /// Counts the pool numbers that an account is about to be shown; how many seconds to wait when they are
    /// too many, and are not to be shown. A search of more than an hour's number takes all of one.
    pub(crate) fn shown_too_many(&self, account: AccountId, numbers: u32) -> Option<u64> {
        use governor::clock::Clock as _;
        let (most, limit) = self.shown.as_ref()?;
        let numbers = NonZeroU32::new(numbers)?.min(*most);
        let not_until = limit.check_key_n(&account, numbers).ok()?.err()?;
        let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
        Some(wait.as_secs().saturating_add(1))
    }

    /// Says that the server is about to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Why the server should be sent no requests; nothing when it should.
    #[must_use]
    pub fn not_ready(&self) -> Option<Cow<'static, str>> {
        if self.stopping.load(Ordering::Acquire) {
            return Some("stopping".into());
        }
        match self.store.healthy() {
            Ok(()) => {}
            Err(StoreError::Unwritable(why)) => return Some(why.to_string().into()),
            Err(_) => return Some("the store takes no writes".into()),
        }
        (!self.clock_state().is_believed()).then_some("the clock cannot be believed".into())
    }

    /// Says it when the store takes no writes any more, and when it takes them again, also where nobody asks
    /// for any.
    pub(crate) fn watch_store(&self) {
        let unwell = self.store_unwell.load(Ordering::Relaxed);
        match self.store.healthy() {
            Err(error) if !unwell => {
                let said = trouble::store_failed("nothing new is taken", &error);
                self.store_unwell.store(said, Ordering::Relaxed);
            }
            Ok(()) if unwell => {
                info!("the store takes writes again");
                self.store_unwell.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// What is thought of the system's clock, after a look at it. While it cannot be believed, no order is
    /// taken or run and nothing is released: a wrong time would be kept for ever. The emulator's clock is
    /// there to be moved, and its machine may sleep.
    pub fn clock_state(&self) -> ClockState {
        if self.settings.emulator {
            return ClockState::Steady;
        }
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let state = watch.guard.look(self.clock.reading());
        tell_of(watch.state, state);
        watch.state = state;
        state
    }

    /// Returns what time it is, for what keeps it for ever. None while the clock cannot be believed.
    #[must_use]
    pub fn believed_now(&self) -> Option<Timestamp> {
        // Read before the look, so that a reading that jumped is not used.
        let now = self.clock.now();
        self.clock_state().is_believed().then_some(now)
    }

    /// Returns what time it is, for what nothing undoes: a release, the end of a subscription. None also while
    /// releases wait.
    #[must_use]
    pub fn sure_now(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        (self.clock_state() == ClockState::Steady).then_some(now)
    }

    /// Tells the store that it is in use, unless the clock may still turn out to be wrong.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn remember_clock(&self) -> onhook_store::Result<()> {
        let seen = if self.settings.emulator {
            Some(Seen { last: self.clock.wall(), unseen_ms: 0 })
        } else {
            let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.guard.remember(self.clock.reading())
        };
        match seen {
            Some(seen) => self.store.remember_clock(seen, self.clock.moved_ms()).await,
            None => Ok(()),
        }
    }

    /// Lets go of what is no longer needed to count.
    pub(crate) fn tidy(&self) {
        if let Some(limits) = &self.limits {
            limits.retain_recent();
        }
        if let Some((_, shown)) = &self.shown {
            shown.retain_recent();
        }
        self.auth.tidy(std::time::Instant::now());
        crate::ops::health::tidy_metrics();
    }
}

/// Says in the log what is thought of the clock, when it was something else before.
fn tell_of(before: ClockState, state: ClockState) {
    let kind = std::mem::discriminant;
    if kind(&before) == kind(&state) {
        return;
    }
    match state {
        ClockState::Steady if before.is_believed() => info!("the clock is right, numbers are released"),
        ClockState::Steady => info!("the clock is right again, orders and releases go on"),
        ClockState::Settling { left_ms } => warn!(
            clock.left_ms = left_ms,
            "much time has passed since the store's last use: orders are taken, nothing is released for {}, in \
             case the clock is wrong",
            in_words(left_ms)
        ),
        ClockState::Jumped { by_ms } => error!(
            clock.by_ms = by_ms,
            "{state}: no order is taken or run and nothing is released until it is back. If it is right, start \
             the server again"
        ),
        ClockState::Far { by_ms, unseen_ms } => error!(
            clock.by_ms = by_ms,
            clock.unseen_ms = unseen_ms,
            "{state}: no order is taken or run and nothing is released. Set the machine's clock right; if it is \
             right, start the server once with --trust-clock"
        ),
    }
}
