//! Workers, which run without a request: they run accepted orders, release aged numbers, deliver notifications, seal
//! events, do jobs, and tell of what a database may lose and by which settings nodes differ.

mod attempts;
pub(crate) mod deliveries;
mod imports;
pub(crate) mod jobs;
mod makings;
mod messages;
pub(crate) mod moves;
mod nodes;
mod noted;
pub(crate) mod orders;
pub(crate) mod owed;
pub(crate) mod release;
pub(crate) mod reset;
pub(crate) mod seals;
pub(crate) mod settings;
pub(crate) mod start;
pub(crate) mod weaknesses;

/// Returns what is logged meanwhile, a line each, without the time.
#[cfg(test)]
fn logged(work: impl FnOnce()) -> String {
    use std::sync::{Arc, Mutex, PoisonError};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let kept = Kept::default();
    let log = kept.clone();
    let subscriber =
        tracing_subscriber::fmt().with_writer(move || log.clone()).with_ansi(false).without_time().finish();
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
}
