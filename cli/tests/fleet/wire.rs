//! A proxy between a node and the database that cuts connections around the end of a transaction, or resets them at any
//! instant.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

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
    links: Mutex<Vec<Weak<Link>>>,
}

/// A connection of a node, and the proxy's own to the database.
struct Link {
    node: TcpStream,
    database: TcpStream,
    /// Set when answers are thrown away.
    broken: AtomicBool,
    /// Set when both ends are told that the connection does not exist, instead of its end.
    reset: AtomicBool,
}

impl Link {
    fn end(&self) {
        if !self.reset.load(Ordering::SeqCst) {
            self.close(Shutdown::Both);
        }
    }

    fn close(&self, how: Shutdown) {
        // Both fail only if they are closed already.
        let _ = self.node.shutdown(how);
        let _ = self.database.shutdown(how);
    }
}

impl Cuts {
    /// Resets some open connections at whatever they are. What was sent and not read is lost. Returns how many.
    pub(crate) fn reset(&self, some: usize) -> u64 {
        let mut links: Vec<Arc<Link>> =
            self.links.lock().expect("whole").iter().filter_map(Weak::upgrade).collect();
        let mut count = 0;
        while count < some && !links.is_empty() {
            let at = self.dice.lock().expect("whole").below(u64::try_from(links.len()).expect("few"));
            let link = links.swap_remove(usize::try_from(at).expect("few"));
            for end in [&link.node, &link.database] {
                rustix::net::sockopt::set_socket_linger(end, Some(Duration::ZERO)).expect("it is open");
            }
            link.reset.store(true, Ordering::SeqCst);
            link.close(Shutdown::Read); // says nothing to the other ends, but ends the threads that hold this one
            count += 1;
        }
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
        links: Mutex::default(),
    });
    let kept = cuts.clone();
    std::thread::spawn(move || {
        for node in listener.incoming().flatten() {
            let Ok(database) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let _ = node.set_nodelay(true).and_then(|()| database.set_nodelay(true));
            let (broken, reset) = (AtomicBool::new(false), AtomicBool::new(false));
            let link = Arc::new(Link { node, database, broken, reset });
            let mut links = kept.links.lock().expect("whole");
            links.retain(|link| link.strong_count() > 0);
            links.push(Arc::downgrade(&link));
            drop(links);
            let (cuts, back) = (kept.clone(), link.clone());
            std::thread::spawn(move || asks(&link, &cuts));
            std::thread::spawn(move || answers(&back));
        }
    });
    (address, cuts)
}

fn asks(link: &Link, cuts: &Cuts) {
    let mut bytes = vec![0; 1 << 18];
    while let Ok(length @ 1..) = (&link.node).read(&mut bytes) {
        let sent = &bytes[..length];
        let has = |text: &str| sent.windows(text.len()).any(|window| window == text.as_bytes());
        let ends = has("COMMIT\0");
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
            link.broken.store(true, Ordering::SeqCst); // its answer is thrown away
        }
        if (&link.database).write_all(sent).is_err() {
            break;
        }
    }
    link.end();
}

fn answers(link: &Link) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = (&link.database).read(&mut bytes) {
        if link.broken.load(Ordering::SeqCst) || (&link.node).write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    link.end();
}
