//! A receiver of notifications: slow, so that faults fall between a notification and its answer.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::http::{Message, header, read_message};

/// How long it takes to answer, in milliseconds.
const SLOW_MS: u64 = 20;

/// What it was told.
#[derive(Default)]
pub(crate) struct Told {
    /// How often each message id arrived.
    pub(crate) ids: Mutex<HashMap<String, u64>>,
    slow_ms: AtomicU64,
}

impl Told {
    /// Sets how long an answer takes. A long one holds what is under way.
    pub(crate) fn answers_after(&self, slow: Duration) {
        self.slow_ms.store(u64::try_from(slow.as_millis()).expect("short"), Ordering::Relaxed);
    }

    /// Answers as fast as at first.
    pub(crate) fn answers_soon(&self) {
        self.slow_ms.store(SLOW_MS, Ordering::Relaxed);
    }

    /// Returns how often a message arrived.
    pub(crate) fn times(&self, id: &str) -> u64 {
        self.ids.lock().expect("whole").get(id).copied().unwrap_or(0)
    }
}

/// Starts a receiver. It ends with the process.
pub(crate) fn receiver() -> (SocketAddr, Arc<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let told = Arc::new(Told::default());
    told.answers_soon();
    let kept = told.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kept = kept.clone();
            std::thread::spawn(move || serve(stream, &kept));
        }
    });
    (address, told)
}

fn serve(stream: TcpStream, told: &Told) -> Option<()> {
    let mut stream = BufReader::new(stream);
    while let Ok(Message { head, .. }) = read_message(&mut stream) {
        let id = header(&head, "webhook-id")?.to_owned();
        *told.ids.lock().expect("whole").entry(id).or_default() += 1;
        let mut waited = 0;
        while waited < told.slow_ms.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
            waited += 5;
        }
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
    Some(())
}
