//! What every handler and worker holds.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use onhook_core::account::AccountId;
use onhook_core::release::Clock as ClockState;
use onhook_store::Store;
use tokio::sync::Notify;

use crate::auth::Auth;
use crate::clock::Clock;
use crate::route::Group;

/// What is set at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base of `Location` headers and links, without a slash at its end; the listening address when
    /// nothing is said. Never taken from a request.
    pub public_url: Option<String>,
    /// Requests a second that one account has in each group of routes; no limit when nothing is said.
    pub rate_limit: Option<NonZeroU32>,
    /// Connections that are open at once; more wait to be taken.
    pub connections_max: usize,
    /// Whether the emulator's controls are there, and the clock can be moved.
    pub emulator: bool,
    /// Whether the system's clock is believed at start, however far it is from the store's last use.
    pub trust_clock: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            rate_limit: NonZeroU32::new(1_000),
            connections_max: 4_096,
            emulator: false,
            trust_clock: false,
        }
    }
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
    /// Rings when an order was accepted.
    pub orders_bell: Notify,
    /// Rings when the clock was moved.
    pub clock_bell: Notify,
    limits: Option<DefaultKeyedRateLimiter<(AccountId, Group)>>,
    stopping: AtomicBool,
    clock_jumped: std::sync::Mutex<ClockState>,
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
        let at_start = match settings.emulator || settings.trust_clock {
            true => ClockState::Steady,
            false => onhook_core::release::at_start(last_seen, clock.wall()),
        };
        Ok(Self {
            store,
            clock,
            auth: Auth::new()?,
            public_url: settings.public_url.clone().unwrap_or(public_url),
            limits: settings.rate_limit.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            settings,
            orders_bell: Notify::new(),
            clock_bell: Notify::new(),
            stopping: AtomicBool::new(false),
            clock_jumped: std::sync::Mutex::new(at_start),
        })
    }

    /// Counts a request of an account; how many seconds to wait when it was one too many.
    pub(crate) fn over_limit(&self, account: AccountId, group: Group) -> Option<u64> {
        use governor::clock::Clock as _;
        let not_until = self.limits.as_ref()?.check_key(&(account, group)).err()?;
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
        self.store.healthy().is_err().then_some("the store takes no writes")
    }

    /// What is thought of the system's clock.
    #[must_use]
    pub fn clock_state(&self) -> ClockState {
        *self.clock_jumped.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn set_clock_state(&self, state: ClockState) {
        *self.clock_jumped.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = state;
    }

    /// Lets go of what is no longer needed to count.
    pub(crate) fn tidy(&self) {
        if let Some(limits) = &self.limits {
            limits.retain_recent();
        }
        crate::ops::health::tidy_metrics();
    }
}
