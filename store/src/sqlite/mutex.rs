//! Locks that a panic does not poison.

/// Locks, even if a thread panicked while it held the lock: the content is an `Option` that is whole at any time.
pub(super) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
