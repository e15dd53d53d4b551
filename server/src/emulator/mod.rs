//! What only an emulator has: what its workers have done, and where its clock is going.
//!
//! Not here: the routes that show and change it (`ops/emulator`).

pub(crate) mod callbacks;
pub(crate) mod faults;
pub(crate) mod magic;
pub(crate) mod ran;
pub(crate) mod requests;
pub(crate) mod scripts;

use std::sync::{Arc, Mutex, PoisonError};

use onhook_core::ids::OrderId;
use onhook_core::order::Request;
use onhook_core::time::Timestamp;
use onhook_store::chance::Chance;
use onhook_store::contract::leases::LeaseToken;
use onhook_store::contract::transfer::Image;
use tokio::sync::watch;

use self::callbacks::Callbacks;
use self::faults::{Deaf, Deed, Faults, Harm, Staging};
use self::magic::Magic;
use self::ran::Ran;
use self::requests::Requests;
use self::scripts::{Plan, Scripts};

/// The parts of an emulator.
#[derive(Debug)]
pub(crate) struct Emulator {
    /// What the workers have done so far.
    pub(crate) ran: Ran,
    /// Held while the clock is moved, with the move that did not reach its goal.
    pub(crate) moving: tokio::sync::Mutex<Option<Unfinished>>,
    /// True if magic numbers do something.
    pub(crate) magic: bool,
    /// The rules for faults.
    pub(crate) faults: Faults,
    /// What is staged for single orders.
    pub(crate) scripts: Scripts,
    /// The last requests.
    pub(crate) requests: Requests,
    /// The last callbacks.
    pub(crate) callbacks: Callbacks,
    /// How often everything was put back. A stream that began before ends, and leases are taken again.
    pub(crate) age: watch::Sender<u64>,
    /// Held for reading while a request that may write is answered, and for writing while a file is added: what was
    /// written meanwhile would be lost if it were taken back.
    pub(crate) quiet: tokio::sync::RwLock<()>,
    /// Where ids and secrets come from that the store does not make.
    pub(crate) chance: Chance,
    /// What a reset goes back to. `None` if the data was older than the server, until the first reset.
    pub(crate) seed: Mutex<Option<Arc<Image>>>,
    /// What was kept to go back to.
    pub(crate) snapshots: Mutex<Vec<Snapshot>>,
    lease: Mutex<Option<LeaseToken>>,
}

/// A state to go back to.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Its name.
    pub(crate) name: String,
    /// When it was made, by the emulator's clock.
    pub(crate) at: Timestamp,
    /// How fast the clock went.
    pub(crate) rate: f64,
    /// Everything in the store.
    pub(crate) image: Arc<Image>,
}

/// A move of the clock that did not reach its goal in time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unfinished {
    /// What was asked for.
    pub(crate) asked: Move,
    /// Where it leads.
    pub(crate) goal: Timestamp,
}

/// A move of the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Move {
    /// By so many milliseconds.
    By(i64),
    /// To an instant.
    To(Timestamp),
}

impl Emulator {
    /// Returns the parts of an emulator that has just started.
    pub(crate) fn new(magic: bool) -> Self {
        Self {
            ran: Ran::default(),
            moving: tokio::sync::Mutex::default(),
            magic,
            faults: Faults::default(),
            scripts: Scripts::default(),
            requests: Requests::default(),
            callbacks: Callbacks::default(),
            age: watch::Sender::new(0),
            quiet: tokio::sync::RwLock::default(),
            chance: Chance::default(),
            seed: Mutex::default(),
            snapshots: Mutex::default(),
            lease: Mutex::default(),
        }
    }

    /// Returns what is staged for a new order: by its magic numbers, and by the faults of its request.
    pub(crate) fn plan(&self, request: &Request, staging: &Staging) -> Plan {
        let mut plan = Plan { told: staging.told.map(|deaf| (deaf, true)), ..Plan::default() };
        for number in request.numbers() {
            match magic::of(*number).filter(|_| self.magic) {
                Some(Magic::Fails(kind, why)) if kind == request.kind() => {
                    plan.refused.insert(*number, why);
                }
                Some(Magic::Waits(wait)) => plan.wait = Some(wait),
                Some(Magic::Told(deaf, first)) => plan.told = plan.told.or(Some((deaf, first))),
                _ => {}
            }
            for (only, why) in &staging.numbers {
                if only.is_none_or(|only| only == *number) {
                    plan.refused.insert(*number, *why);
                }
            }
        }
        plan
    }

    /// Returns what a receiver does instead of being told of an order at attempt `n`, from 1, and which fault says so.
    pub(crate) fn deaf(&self, target: &str, order: OrderId, n: u32) -> Option<(Deaf, String)> {
        if let Some(deaf) = self.scripts.told(order, n) {
            return Some((deaf, "the order's".to_owned()));
        }
        match self.faults.on_delivery(target)? {
            (id, Deed { harm: Harm::Receiver(deaf), .. }) => Some((deaf, format!("rule {id}"))),
            _ => None,
        }
    }

    /// Notes what a reset goes back to.
    pub(crate) fn begin_with(&self, image: Arc<Image>) {
        *self.seed.lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
    }

    /// Lets streams end, and leases be taken again, after everything in the store was put back.
    pub(crate) fn begin_anew(&self) {
        self.age.send_modify(|age| *age += 1);
    }

    /// Forgets what has happened: faults, pace, requests and callbacks. With a seed, chance repeats.
    pub(crate) fn forget(&self, seed: Option<u64>) {
        self.faults.forget(seed);
        self.scripts.forget();
        self.requests.forget();
        self.callbacks.forget();
        if let Some(seed) = seed {
            self.chance.seed(seed);
        }
    }

    /// Notes the lease under which numbers are released now.
    pub(crate) fn set_lease(&self, lease: Option<LeaseToken>) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    /// Returns the lease under which numbers are released.
    pub(crate) fn lease(&self) -> Option<LeaseToken> {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
