//! What every handler and worker holds.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use onhook_core::account::AccountId;
use onhook_core::release::{Clock as ClockState, ClockGuard};
use onhook_store::Store;
use tokio::sync::Notify;
use tracing::{error, info};

use crate::auth::Auth;
use crate::callback::target::Target;
use crate::callback::{Callbacks, Reach, Rules};
use crate::clock::Clock;
use crate::mail::{MailSettings, Mailer};
use crate::route::Group;

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
    /// Connections that are open at once; more wait to be taken.
    pub connections_max: usize,
    /// Whether the emulator's controls are there, and the clock can be moved.
    pub emulator: bool,
    /// Whether the system's clock is believed at start, however far it is from the store's last use.
    pub trust_clock: bool,
    /// Which callbacks are allowed beyond the public internet over TLS.
    pub callbacks: Rules,
    /// The network that they go over.
    pub network: Reach,
    /// The mail server; without one nobody can subscribe by mail.
    pub mail: Option<MailSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            rate_limit: NonZeroU32::new(1_000),
            shown_limit: NonZeroU32::new(50_000),
            connections_max: 4_096,
            emulator: false,
            trust_clock: false,
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
    /// Whether it was not believed at start, which only a person's word changes.
    for_good: bool,
}

/// The server's parts, shared by all that runs in it.
pub struct App {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// Who is calling.
    pub auth: Auth,
    /// What was set at start.
    pub settings: Settings,
    /// Base of `Location` headers and links.
    pub public_url: String,
    /// Judges the URLs of subscriptions, and tells them.
    pub callbacks: Callbacks,
    /// Tells mailboxes, where a mail server is configured.
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
        let (last_seen, moved_ms) = store.clock().await?;
        let clock = Clock::new(if settings.emulator { moved_ms } else { 0 });
        let (wall, steady_ms) = (clock.wall(), clock.steady_ms());
        let at_start = match settings.emulator || settings.trust_clock {
            true => ClockState::Steady,
            false => onhook_core::release::at_start(last_seen, wall),
        };
        let for_good = at_start != ClockState::Steady;
        if let ClockState::Jumped { by_ms } = at_start {
            error!(
                clock.by_ms = by_ms,
                "the clock is {} hours from the store's last use: no order is taken or run and nothing is \
                 released until the server is started again with --trust-clock",
                by_ms / 3_600_000
            );
        }
        let public_url = settings.public_url.clone().unwrap_or(public_url);
        let own_url = Target::parse(&public_url).map(|own| (own.host, own.port));
        let loopback = settings.emulator || settings.callbacks.loopback;
        let rules = Rules { loopback, own_url, ..settings.callbacks.clone() };
        Ok(Self {
            store,
            clock,
            auth: Auth::new()?,
            public_url,
            callbacks: Callbacks::new(rules, settings.network.clone()),
            mailer: settings.mail.as_ref().map(Mailer::new).transpose()?,
            limits: settings.rate_limit.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            shown: settings.shown_limit.map(|most| (most, RateLimiter::keyed(Quota::per_hour(most)))),
            settings,
            orders_bell: Notify::new(),
            deliveries_bell: Notify::new(),
            clock_bell: Notify::new(),
            stopping: AtomicBool::new(false),
            watch: Mutex::new(Watch { guard: ClockGuard::new(wall, steady_ms), state: at_start, for_good }),
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
    pub fn not_ready(&self) -> Option<&'static str> {
        if self.stopping.load(Ordering::Acquire) {
            return Some("stopping");
        }
        if self.store.healthy().is_err() {
            return Some("the store takes no writes");
        }
        (!self.clock_is_steady()).then_some("the clock cannot be believed")
    }

    /// What is thought of the system's clock, after a look at it. While it cannot be believed, no order is
    /// taken or run and nothing is released: a wrong time would be kept for ever. The emulator's clock is
    /// there to be moved, and its machine may sleep.
    pub fn clock_state(&self) -> ClockState {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.for_good || self.settings.emulator {
            return watch.state;
        }
        let state = watch.guard.look(self.clock.wall(), self.clock.steady_ms());
        match (watch.state, state) {
            (ClockState::Steady, ClockState::Jumped { by_ms }) => {
                error!(
                    clock.by_ms = by_ms,
                    "the clock jumped by {by_ms} ms: everything waits until it is back"
                );
            }
            (ClockState::Jumped { .. }, ClockState::Steady) => info!("the clock is back, work goes on"),
            _ => {}
        }
        watch.state = state;
        state
    }

    /// Whether the clock can be believed.
    #[must_use]
    pub fn clock_is_steady(&self) -> bool {
        self.clock_state() == ClockState::Steady
    }

    /// Lets go of what is no longer needed to count.
    pub(crate) fn tidy(&self) {
        if let Some(limits) = &self.limits {
            limits.retain_recent();
        }
        if let Some((_, shown)) = &self.shown {
            shown.retain_recent();
        }
        crate::ops::health::tidy_metrics();
    }
}
