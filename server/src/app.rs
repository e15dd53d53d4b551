//! The server's shared parts, which every handler and worker holds.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use onhook_core::clock::ClockState;
use onhook_core::setting::Values;
use onhook_core::time::Timestamp;
use onhook_store::chance::Chance;
use onhook_store::contract::settings::Chosen;
use onhook_store::contract::upkeep::Weakness;
use onhook_store::{Store, StoreError};
use tokio::sync::{Notify, watch};
use tracing::info;

use crate::callback::target::Target;
use crate::callback::{Callbacks, Rules};
use crate::clock::Clock;
use crate::emulator::Emulator;
use crate::http::auth::Auth;
use crate::limits::Limits;
use crate::mail::Mailer;
use crate::rating_place::Place;
use crate::settings::Settings;
use crate::streams::Streams;
use crate::under_way::UnderWay;
use crate::waiting::DeliveriesWaiting;
use crate::watch::Watch;
use crate::{metrics, store_log};

/// The server's parts, shared by all handlers and workers.
pub struct App {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Clock,
    /// Checks who is calling.
    pub auth: Arc<Auth>,
    /// How often each account may ask.
    pub limits: Limits,
    /// The settings given at start.
    pub settings: Settings,
    /// The settings that operators change, as this server goes by them.
    values: watch::Sender<Arc<Values>>,
    /// Base of `Location` headers and links.
    pub public_url: String,
    /// Checks the URLs of subscriptions, and sends notifications to them.
    pub callbacks: Callbacks,
    /// Sends mail if a mail server is configured, or keeps it on an emulator.
    pub(crate) mailer: Option<Mailer>,
    /// Rings when an order was accepted.
    pub orders_bell: Notify,
    /// Rings when there is something to deliver.
    pub deliveries_bell: Notify,
    /// Changes when there is a job to do, of whatever kind.
    pub jobs_bell: watch::Sender<()>,
    /// Rings when the clock was moved.
    pub clock_bell: Notify,
    /// Rings when a report was made or handed in.
    pub(crate) reports_bell: Notify,
    /// Requests with a key that are under way.
    pub(crate) under_way: UnderWay,
    /// Taken while a file of call records is rated: one at a time.
    pub(crate) rating: Arc<Place>,
    /// The last position of the audit trail, as far as this node knows.
    pub(crate) sealed: watch::Sender<u64>,
    /// How many notifications wait, as they were counted last.
    pub(crate) deliveries_waiting: DeliveriesWaiting,
    /// The streams of events that are open.
    pub(crate) streams: Streams,
    /// What only an emulator has.
    pub(crate) emulator: Option<Emulator>,
    /// Whether this process answers only a command, and no server runs on its data folder.
    pub(crate) alone: bool,
    stopping: AtomicBool,
    watch: Watch,
    /// Whether the log has said that the store takes no writes.
    store_unwell: AtomicBool,
}

/// The path of an emulator's receiver, up to its name.
const RECEIVER: &str = "/ops/v1/emulator/receiver/";

impl App {
    /// Joins the parts. `public_url` is used if the settings name none.
    ///
    /// # Errors
    /// If the system has no random numbers, or the store cannot be read.
    pub async fn new(
        store: Arc<dyn Store>,
        settings: Settings,
        public_url: String,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let (seen, moved_ms) = store.clock().await?;
        let clock = Clock::new(if settings.emulator { moved_ms } else { 0 });
        let database_ahead_ms = Weakness::clock_ahead_ms(&store.durability().await?);
        let watch = Watch::new(&settings, seen, database_ahead_ms, &clock);
        let public_url = settings.public_url.clone().unwrap_or(public_url);
        let own_url = Target::parse(&public_url).map(|own| (own.host, own.port));
        let loopback = settings.emulator || settings.callbacks.loopback;
        let receiver = settings.emulator.then_some(RECEIVER);
        let rules = Rules { loopback, own_url, receiver, ..settings.callbacks.clone() };
        let emulator = settings.emulator.then(|| Emulator::new(settings.magic));
        if let Some(emulator) = &emulator {
            store.follow(emulator.scripts.script());
        }
        let values = settings.values(&store.chosen().await?);
        let limits = Limits::new(NonZeroU32::new(values.rate_limit), NonZeroU32::new(values.shown_limit));
        let auth = Arc::new(Auth::new(store.token_key(), settings.rate_limit.is_some())?);
        Ok(Self {
            store,
            clock,
            auth,
            limits,
            values: watch::Sender::new(Arc::new(values)),
            public_url,
            callbacks: Callbacks::new(rules, settings.network.clone()),
            mailer: Mailer::by(settings.mail.as_ref(), settings.emulator)?,
            emulator,
            settings,
            orders_bell: Notify::new(),
            deliveries_bell: Notify::new(),
            jobs_bell: watch::Sender::new(()),
            clock_bell: Notify::new(),
            reports_bell: Notify::new(),
            under_way: UnderWay::default(),
            rating: Arc::default(),
            sealed: watch::Sender::new(0),
            deliveries_waiting: DeliveriesWaiting::default(),
            streams: Streams::default(),
            alone: false,
            stopping: AtomicBool::new(false),
            watch,
            store_unwell: AtomicBool::new(false),
        })
    }

    /// Announces that the server is about to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Returns whether the server is about to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Returns why the server should be sent no requests. `None` if it is ready for them.
    #[must_use]
    pub fn not_ready(&self) -> Option<Cow<'static, str>> {
        if self.is_stopping() {
            return Some("stopping".into());
        }
        match self.store.healthy() {
            Ok(()) => {}
            Err(StoreError::Unwritable(why)) => return Some(why.to_string().into()),
            Err(_) => return Some("the store takes no writes".into()),
        }
        match self.clock_state() {
            state @ ClockState::Apart { .. } => Some(state.to_string().into()),
            state => (!state.is_believed()).then_some("the clock cannot be believed".into()),
        }
    }

    /// Notes what the store found of its database: how far its clock is from this machine's.
    pub(crate) fn compare_clocks(&self, found: &[Weakness]) {
        self.watch.compared(Weakness::clock_ahead_ms(found));
    }

    /// Logs when the store stops taking writes, and when it takes them again, even if there are no writes.
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

    /// Goes by what operators have chosen, where this server's start says nothing else.
    pub(crate) fn go_by(&self, chosen: &[Chosen]) {
        let values = self.settings.values(chosen);
        self.limits.set(NonZeroU32::new(values.rate_limit), NonZeroU32::new(values.shown_limit));
        self.values.send_replace(Arc::new(values));
    }

    /// Returns the settings that operators change, as this server goes by them.
    pub(crate) fn values(&self) -> Arc<Values> {
        self.values.borrow().clone()
    }

    /// Believes the clock from now on: a person has looked at it.
    pub(crate) fn trust_clock(&self) {
        self.watch.trust(&self.clock);
    }

    /// Looks at the system's clock, and returns its state.
    pub fn clock_state(&self) -> ClockState {
        self.watch.state(&self.clock)
    }

    /// Returns the time now, for a record that keeps it for ever. `None` while the clock cannot be believed.
    #[must_use]
    pub fn believed_now(&self) -> Option<Timestamp> {
        // The time is read before the clock is checked, so that a reading that jumped is not used.
        let now = self.clock.now();
        self.clock_state().is_believed().then_some(now)
    }

    /// Returns the time now, for what cannot be undone: a release, the end of a subscription. `None` while the clock
    /// cannot be believed, and while releases wait.
    #[must_use]
    pub fn sure_now(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        (self.clock_state() == ClockState::Steady).then_some(now)
    }

    /// Tells the store that it is in use, unless the clock may still turn out to be wrong.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn remember_clock(&self) -> onhook_store::Result<()> {
        match self.watch.seen(&self.clock) {
            Some(seen) => self.store.remember_clock(seen, self.clock.ahead_ms()).await,
            None => Ok(()),
        }
    }

    /// Returns a random version 4 UUID, which repeats on an emulator with a seed.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn uuid(&self) -> onhook_store::Result<uuid::Uuid> {
        match &self.emulator {
            Some(emulator) => emulator.chance.uuid(),
            None => Ok(uuid::Uuid::new_v4()),
        }
    }

    /// Returns random bytes, which repeat on an emulator with a seed.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn random<const N: usize>(&self) -> onhook_store::Result<[u8; N]> {
        match &self.emulator {
            Some(emulator) => emulator.chance.bytes(),
            None => Chance::default().bytes(),
        }
    }

    /// Returns how often an emulator's data was put back. What was read before is of another time.
    pub(crate) fn age(&self) -> u64 {
        self.emulator.as_ref().map_or(0, |emulator| *emulator.age.borrow())
    }

    /// Forgets counts that are no longer needed.
    pub(crate) fn tidy(&self) {
        self.limits.tidy();
        self.auth.tidy(Instant::now());
        metrics::tidy();
    }
}
