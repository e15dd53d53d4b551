//! A proxy before a server: it shows what clients ask, message by message, and cuts their connections where it is told to,
//! or holds messages back.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Requests for another protocol that a client may send before it begins: encryption, and cancellation.
const BEFORE_BEGIN: std::ops::RangeInclusive<u32> = 80_877_102..=80_877_104;

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before the message has reached the server.
    Before,
    /// When half of the message has.
    Within,
    /// When the server has the message, before its answer.
    BeforeAnswer,
    /// In the middle of the answer.
    WithinAnswer,
}

/// Where and how a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where.
    pub at: At,
    /// Whether both ends are told that the connection does not exist (RST), instead of its end. What was sent and not
    /// read is lost then.
    pub reset: bool,
}

/// A proxy. It ends with the process.
pub struct Wire {
    address: SocketAddr,
    links: Arc<Mutex<Vec<Weak<Link>>>>,
}

/// A client's connection, and the proxy's own to the server.
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// How the answers are cut, once they are.
    answers: Mutex<Option<Cut>>,
    /// Set when both ends are told that the connection does not exist.
    reset: AtomicBool,
}

impl Wire {
    /// Starts a proxy to a port of the loopback address. `judge` is given each message: what a client sends before it waits
    /// for an answer. While it does not return, that client's message is on its way.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(to: u16, judge: impl Fn(&[u8]) -> Option<Cut> + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let wire = Self { address: listener.local_addr()?, links: Arc::default() };
        let (links, judge) = (wire.links.clone(), Arc::new(judge));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
                let (answers, reset) = (Mutex::new(None), AtomicBool::new(false));
                let link = Arc::new(Link { client, server, answers, reset });
                let mut links = whole(&links);
                links.retain(|link| link.strong_count() > 0);
                links.push(Arc::downgrade(&link));
                drop(links);
                let (judge, back) = (judge.clone(), link.clone());
                std::thread::spawn(move || asks(&link, &*judge));
                std::thread::spawn(move || answers_of(&back));
            }
        });
        Ok(wire)
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets some of the open connections, at whatever they are: `choose` is given how many there are, and returns which
    /// one, from 0. Returns how many were reset.
    pub fn reset(&self, some: usize, mut choose: impl FnMut(usize) -> usize) -> usize {
        let mut links: Vec<Arc<Link>> = whole(&self.links).iter().filter_map(Weak::upgrade).collect();
        let mut count = 0;
        while count < some && !links.is_empty() {
            let at = choose(links.len());
            links.swap_remove(at).end(true);
            count += 1;
        }
        count
    }
}

impl Link {
    /// Ends both connections.
    fn end(&self, reset: bool) {
        let how = if self.reset.fetch_or(reset, Ordering::SeqCst) || reset {
            for end in [&self.client, &self.server] {
                // It fails only on a connection that is closed.
                let _ = rustix::net::sockopt::set_socket_linger(end, Some(Duration::ZERO));
            }
            Shutdown::Read // says nothing to the other ends, but ends the threads that hold this one
        } else {
            Shutdown::Both
        };
        // Both fail only if they are closed already.
        let _ = self.client.shutdown(how);
        let _ = self.server.shutdown(how);
    }
}

/// Passes on what a client asks.
fn asks(link: &Link, judge: &(dyn Fn(&[u8]) -> Option<Cut> + Send + Sync)) {
    let mut messages = Messages { from: BufReader::new(&link.client), begun: false };
    let mut reset = false;
    while let Ok(message) = messages.next() {
        let cut = judge(&message);
        let (sent, goes_on) = match cut {
            None => (message.len(), true),
            Some(Cut { at: At::Before, .. }) => (0, false),
            Some(Cut { at: At::Within, .. }) => (message.len() / 2, false),
            Some(cut) => {
                *whole(&link.answers) = Some(cut);
                (message.len(), true)
            }
        };
        reset = cut.is_some_and(|cut| cut.reset);
        let sent = message.get(..sent).unwrap_or_default();
        if (&link.server).write_all(sent).is_err() || !goes_on {
            break;
        }
    }
    link.end(reset);
}

/// Passes on what a server answers.
fn answers_of(link: &Link) {
    let mut bytes = vec![0; 1 << 16];
    let mut reset = false;
    while let Ok(length @ 1..) = (&link.server).read(&mut bytes) {
        let cut = *whole(&link.answers);
        let sent = match cut {
            None => length,
            Some(Cut { at: At::WithinAnswer, .. }) => length / 2,
            Some(_) => 0,
        };
        reset = cut.is_some_and(|cut| cut.reset);
        let sent = bytes.get(..sent).unwrap_or_default();
        if (&link.client).write_all(sent).is_err() || cut.is_some() {
            break;
        }
    }
    link.end(reset);
}

/// What a client sends, in parts.
struct Messages<'a> {
    from: BufReader<&'a TcpStream>,
    /// Set when the session has begun.
    begun: bool,
}

impl Messages<'_> {
    /// Returns the next part after which a client waits for an answer.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        if !self.begun {
            self.part(&mut message)?;
            let code = message.get(4..8).and_then(|code| code.try_into().ok()).map_or(0, u32::from_be_bytes);
            self.begun = !BEFORE_BEGIN.contains(&code);
            return Ok(message);
        }
        loop {
            let mut kind = [0];
            self.from.read_exact(&mut kind)?;
            message.extend(kind);
            self.part(&mut message)?;
            // To be parsed, bound, described, executed or closed: what goes on until the server is to say how it went.
            if !b"PBDEC".contains(&kind[0]) {
                return Ok(message);
            }
        }
    }

    /// Reads what says its own length.
    fn part(&mut self, message: &mut Vec<u8>) -> io::Result<()> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length)?;
        message.extend(length);
        let rest = u64::from(u32::from_be_bytes(length).saturating_sub(4));
        let read = (&mut self.from).take(rest).read_to_end(message)?;
        if u64::try_from(read).is_ok_and(|read| read == rest) {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// Where messages wait that have certain texts. A judge lets them [`Gate::pass`].
#[derive(Default)]
pub struct Gate {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The texts.
    held: Vec<String>,
    /// How many messages wait.
    count: usize,
    /// How often those that waited were let go.
    turns: u64,
}

impl Gate {
    /// Holds messages with this text from now on.
    pub fn hold(&self, text: &str) {
        whole(&self.waiting).held.push(text.to_owned());
    }

    /// Returns how many messages wait.
    pub fn held(&self) -> usize {
        whole(&self.waiting).count
    }

    /// Lets those go that wait now. Later ones are held.
    pub fn let_go(&self) {
        let mut waiting = whole(&self.waiting);
        (waiting.turns, waiting.count) = (waiting.turns + 1, 0);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Lets those go that wait, and holds no others.
    pub fn open(&self) {
        whole(&self.waiting).held.clear();
        self.let_go();
    }

    /// Returns when the message may go.
    pub fn pass(&self, message: &[u8]) {
        let mut waiting = whole(&self.waiting);
        let has = |text: &String| message.windows(text.len()).any(|window| window == text.as_bytes());
        if !waiting.held.iter().any(has) {
            return;
        }
        let turn = waiting.turns;
        waiting.count += 1;
        while waiting.turns == turn {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
