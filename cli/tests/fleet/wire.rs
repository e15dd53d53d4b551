//! A proxy between a node and the database that cuts connections around the end of a transaction.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::dice::Dice;

/// What the proxy has cut, and whether it cuts now.
pub(crate) struct Cuts {
    on: AtomicBool,
    /// Set if the first question after orders were written is cut, and nothing else.
    only_after: AtomicBool,
    /// Before a COMMIT, or a statement that commits by itself, had reached the database.
    before: AtomicU64,
    /// After the database had done it, before the node had its answer.
    between: AtomicU64,
    /// At the node's next question after its orders were written.
    after: AtomicU64,
    dice: Mutex<Dice>,
}

impl Cuts {
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

    fn coin(&self) -> bool {
        self.dice.lock().expect("whole").once_in(2)
    }
}

/// Starts a proxy to this port of the loopback address. It ends with the process.
pub(crate) fn wire(to: u16, seed: u64) -> (SocketAddr, Arc<Cuts>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let cuts = Arc::new(Cuts {
        on: AtomicBool::new(false),
        only_after: AtomicBool::new(false),
        before: AtomicU64::new(0),
        between: AtomicU64::new(0),
        after: AtomicU64::new(0),
        dice: Mutex::new(Dice::of(seed, 77, 0)),
    });
    let kept = cuts.clone();
    std::thread::spawn(move || {
        for node in listener.incoming().flatten() {
            let Ok(database) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let _ = node.set_nodelay(true).and_then(|()| database.set_nodelay(true));
            let same = |stream: &TcpStream| stream.try_clone().expect("a second handle");
            let broken = Arc::new(AtomicBool::new(false));
            let (back, gone, cuts) = ((same(&database), same(&node)), broken.clone(), kept.clone());
            std::thread::spawn(move || asks(node, database, &cuts, &gone));
            std::thread::spawn(move || answers(back.0, back.1, &broken));
        }
    });
    (address, cuts)
}

fn asks(mut node: TcpStream, mut database: TcpStream, cuts: &Cuts, broken: &AtomicBool) {
    let mut bytes = vec![0; 1 << 18];
    while let Ok(length @ 1..) = node.read(&mut bytes) {
        let sent = &bytes[..length];
        let has = |text: &str| sent.windows(text.len()).any(|window| window == text.as_bytes());
        let ends = has("; COMMIT") || has("INSERT INTO idempotency");
        let settles = !ends && has("INSERT INTO committed");
        if has("SELECT k.digest") && cuts.cuts(2) {
            cuts.after.fetch_add(1, Ordering::Relaxed);
            break;
        }
        let everywhere = !cuts.only_after.load(Ordering::Relaxed);
        if everywhere && (ends && cuts.cuts(8) || settles && cuts.cuts(3)) {
            if cuts.coin() {
                cuts.before.fetch_add(1, Ordering::Relaxed);
                break;
            }
            cuts.between.fetch_add(1, Ordering::Relaxed);
            broken.store(true, Ordering::SeqCst); // its answer is thrown away
        }
        if database.write_all(sent).is_err() {
            break;
        }
    }
    close(&node, &database);
}

fn answers(mut database: TcpStream, mut node: TcpStream, broken: &AtomicBool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = database.read(&mut bytes) {
        if broken.load(Ordering::SeqCst) || node.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    close(&node, &database);
}

fn close(node: &TcpStream, database: &TcpStream) {
    // Both fail only if they are closed already.
    let _ = node.shutdown(Shutdown::Both);
    let _ = database.shutdown(Shutdown::Both);
}
