//! Long work lets short work go first.

/// Lets threads go first that wait for this one's processor.
///
/// A thread that computes for long keeps its processor until the system's next tick, some milliseconds later, even if an
/// answer to a request waits for it. So work that may be long calls this often. It costs a fraction of a microsecond if
/// no thread waits.
pub(super) fn step_aside() {
    #[cfg(test)]
    TIMES.with(|times| times.set(times.get() + 1));
    std::thread::yield_now();
}

#[cfg(test)]
thread_local! {
    static TIMES: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Returns how often this thread has stepped aside.
#[cfg(test)]
pub(super) fn times() -> u32 {
    TIMES.get()
}
