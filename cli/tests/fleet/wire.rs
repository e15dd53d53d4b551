//! A proxy between a node and the database that cuts connections around the end of a transaction, resets them at any
//! instant, or holds messages back.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use onhook_cluster::wire::{At, Cut, Gate, Wire};

use super::dice::Dice;

/// What the proxy has cut, and whether it cuts now.
pub(crate) struct Cuts {
    on: AtomicBool,
    /// Set if the first question after orders were written is cut, and nothing else.
    only_after: AtomicBool,
    /// Before a COMMIT had reached the database.
    before: AtomicU64,
    /// After the database had done it, before the node had its answer.
    between: AtomicU64,
    /// At the node's next question after its orders were written.
    after: AtomicU64,
    dice: Mutex<Dice>,
    /// Where messages can be held.
    pub(crate) gate: Gate,
    wire: OnceLock<Wire>,
}

impl Cuts {
    /// Resets some open connections at whatever they are. What was sent and not read is lost. Returns how many.
    pub(crate) fn reset(&self, some: usize) -> u64 {
        let mut dice = self.dice.lock().expect("whole");
        let choose = |links| {
            let at = dice.below(u64::try_from(links).expect("few"));
            usize::try_from(at).expect("few")
        };
        let count = self.wire.get().expect("started").reset(some, choose);
        u64::try_from(count).expect("few")
    }

    /// Returns how often it has cut before, between and after.
    pub(crate) fn counted(&self) -> [u64; 3] {
        [&self.before, &self.between, &self.after].map(|count| count.load(Ordering::Relaxed))
    }

    /// Begins to cut, or stops it.
    pub(crate) fn cut(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Begins to cut at the first question after orders were written, and nowhere else.
    pub(crate) fn cut_after(&self) {
        self.only_after.store(true, Ordering::Relaxed);
        self.cut(true);
    }

    fn cuts(&self, once_in: u64) -> bool {
        self.on.load(Ordering::Relaxed) && self.dice.lock().expect("whole").once_in(once_in)
    }

    /// Says whether a connection is cut at this message.
    fn judge(&self, message: &[u8]) -> Option<Cut> {
        self.gate.pass(message);
        let has = |text: &str| message.windows(text.len()).any(|window| window == text.as_bytes());
        let (at, count) = if has("SELECT k.digest") && self.cuts(2) {
            (At::Before, &self.after)
        } else {
            let ends = has("COMMIT\0");
            let settles = !ends && has("INSERT INTO committed");
            let everywhere = !self.only_after.load(Ordering::Relaxed);
            let cuts = everywhere && (ends && self.cuts(8) || settles && self.cuts(3));
            if !cuts {
                return None;
            }
            let coin = self.dice.lock().expect("whole").once_in(2);
            if coin { (At::Before, &self.before) } else { (At::BeforeAnswer, &self.between) }
        };
        count.fetch_add(1, Ordering::Relaxed);
        Some(Cut { at, reset: false })
    }
}

/// Starts a proxy to this port of the loopback address. It ends with the process.
pub(crate) fn wire(to: u16, seed: u64) -> (SocketAddr, Arc<Cuts>) {
    let cuts = Arc::new(Cuts {
        on: AtomicBool::new(false),
        only_after: AtomicBool::new(false),
        before: AtomicU64::new(0),
        between: AtomicU64::new(0),
        after: AtomicU64::new(0),
        dice: Mutex::new(Dice::of(seed, 77, 0)),
        gate: Gate::default(),
        wire: OnceLock::new(),
    });
    let judging = cuts.clone();
    let wire = Wire::start(to, move |message| judging.judge(message)).expect("a port");
    let address = wire.address();
    assert!(cuts.wire.set(wire).is_ok(), "it was started once");
    (address, cuts)
}
