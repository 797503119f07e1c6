//! What the backend gets in place of its own `sync`: Loom's atomics, mutexes and waiting.

pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub(crate) use loom::thread::yield_now;

/// So few that chunks are full often.
pub(crate) const LOG_CHUNK: usize = 1;

/// Loom's, but for the exchange.
#[derive(Debug)]
pub(crate) struct AtomicBool(loom::sync::atomic::AtomicBool);

impl AtomicBool {
    pub(crate) fn new(value: bool) -> Self {
        Self(loom::sync::atomic::AtomicBool::new(value))
    }

    pub(crate) fn load(&self, ordering: Ordering) -> bool {
        self.0.load(ordering)
    }

    pub(crate) fn store(&self, value: bool, ordering: Ordering) {
        self.0.store(value, ordering);
    }

    /// An exchange that stores nothing where that would change nothing. Loom may order a plain store
    /// before an exchange that read what was there before it, which C11 forbids, and would then lose
    /// the release of a lock that somebody else tries to take.
    pub(crate) fn swap(&self, value: bool, ordering: Ordering) -> bool {
        let exchanged = self.0.compare_exchange(!value, value, ordering, Ordering::Relaxed);
        exchanged.unwrap_or_else(|unchanged| unchanged)
    }
}

/// A mutex with the interface of `parking_lot`'s.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Lets others run: time does not pass in a model.
pub(crate) fn sleep(_: std::time::Duration) {
    yield_now();
}
