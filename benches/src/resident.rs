//! Resident memory of this process as the kernel counts it: what belongs to the process alone, and what is
//! pages of mapped files, which the kernel takes back when it needs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Outcome;

/// Between two samples.
const PAUSE: Duration = Duration::from_millis(50);

/// Resident bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Memory of the process: `RssAnon`.
    pub anonymous: u64,
    /// Clean pages of mapped files, code included: `RssFile`.
    pub mapped: u64,
}

impl Resident {
    /// What is resident now.
    ///
    /// # Errors
    /// On a system without `/proc/self/status`.
    pub fn now() -> Outcome<Self> {
        Self::parse(&std::fs::read_to_string("/proc/self/status")?)
    }

    fn parse(status: &str) -> Outcome<Self> {
        let bytes = |name: &str| -> Outcome<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let kilobytes = kilobytes.ok_or_else(|| format!("the kernel tells no {name}"))?;
            Ok(kilobytes.trim().parse::<u64>()?.saturating_mul(1024))
        };
        Ok(Self { anonymous: bytes("RssAnon:")?, mapped: bytes("RssFile:")? })
    }
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    anonymous: AtomicU64,
    mapped: AtomicU64,
}

/// Samples what is resident until it is dropped, and keeps the highest.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Begins.
    ///
    /// # Errors
    /// Where there is no thread, or nothing to sample.
    pub fn start() -> Outcome<Self> {
        Resident::now()?;
        let shared = Arc::new(Shared::default());
        let samples = Arc::clone(&shared);
        let sample = move || {
            while !samples.stop.load(Ordering::Relaxed) {
                if let Ok(now) = Resident::now() {
                    samples.anonymous.fetch_max(now.anonymous, Ordering::Relaxed);
                    samples.mapped.fetch_max(now.mapped, Ordering::Relaxed);
                }
                thread::sleep(PAUSE);
            }
        };
        let thread = thread::Builder::new().name("sampler".to_owned()).spawn(sample)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The highest since the last call, each by itself.
    pub fn highest(&self) -> Resident {
        let take = |highest: &AtomicU64| highest.swap(0, Ordering::Relaxed);
        Resident { anonymous: take(&self.shared.anonymous), mapped: take(&self.shared.mapped) }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_in_kilobytes() {
        let status = "Name:\tx\nVmRSS:\t 9 kB\nRssAnon:\t   12 kB\nRssFile:\t 3 kB\n";
        let expected = Resident { anonymous: 12 << 10, mapped: 3 << 10 };
        assert_eq!(Resident::parse(status).unwrap(), expected);
        assert!(Resident::parse("RssAnon:\t   12 kB\n").is_err());
    }
}
