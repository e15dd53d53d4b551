//! Locks that a panic does not poison.

/// The lock, even when a thread panicked while it held it: what is in there is an `Option` that is
/// whole at any time.
pub(super) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
