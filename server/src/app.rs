//! What every handler and worker holds: the parts, joined.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use onhook_core::clock::ClockState;
use onhook_core::time::Timestamp;
use onhook_store::{Store, StoreError};
use tokio::sync::Notify;
use tracing::info;

use crate::callback::target::Target;
use crate::callback::{Callbacks, Rules};
use crate::clock::Clock;
use crate::http::auth::Auth;
use crate::limits::Limits;
use crate::mail::Mailer;
use crate::settings::Settings;
use crate::watch::Watch;
use crate::{metrics, store_log};

/// The server's parts, shared by all that runs in it.
pub struct App {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// Who is calling.
    pub auth: Arc<Auth>,
    /// How often each account may ask.
    pub limits: Limits,
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
    stopping: AtomicBool,
    watch: Watch,
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
        let watch = Watch::new(&settings, seen, &clock);
        let public_url = settings.public_url.clone().unwrap_or(public_url);
        let own_url = Target::parse(&public_url).map(|own| (own.host, own.port));
        let loopback = settings.emulator || settings.callbacks.loopback;
        let rules = Rules { loopback, own_url, ..settings.callbacks.clone() };
        let auth = Arc::new(Auth::new(store.token_key(), settings.rate_limit.is_some())?);
        Ok(Self {
            store,
            clock,
            auth,
            limits: Limits::new(settings.rate_limit, settings.shown_limit),
            public_url,
            callbacks: Callbacks::new(rules, settings.network.clone()),
            mailer: Mailer::by(settings.mail.as_ref(), settings.emulator)?,
            settings,
            orders_bell: Notify::new(),
            deliveries_bell: Notify::new(),
            clock_bell: Notify::new(),
            stopping: AtomicBool::new(false),
            watch,
            store_unwell: AtomicBool::new(false),
        })
    }

    /// Says that the server is about to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Returns why the server should be sent no requests; nothing when it should.
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
                let logged = store_log::failed("nothing new is taken", &error);
                self.store_unwell.store(logged, Ordering::Relaxed);
            }
            Ok(()) if unwell => {
                info!("the store takes writes again");
                self.store_unwell.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Returns what is thought of the system's clock, after a look at it.
    pub fn clock_state(&self) -> ClockState {
        self.watch.state(&self.clock)
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
        match self.watch.seen(&self.clock) {
            Some(seen) => self.store.remember_clock(seen, self.clock.moved_ms()).await,
            None => Ok(()),
        }
    }

    /// Lets go of what is no longer needed to count.
    pub(crate) fn tidy(&self) {
        self.limits.tidy();
        self.auth.tidy(Instant::now());
        metrics::tidy();
    }
}
