//! Randomness, injected: file names, attempt ids and hash seeds come from here.
//!
//! # Role
//! [`OsRandomness`] is for production: unpredictable, different in every process. It is no source
//! of cryptographic keys. [`SeededRandomness`] repeats a run from its seed.
//!
//! # Invariants
//! 1. Two calls on the same or on different [`OsRandomness`] values do not repeat, but by chance.
//! 2. The sequence of a [`SeededRandomness`] is part of its contract (`SplitMix64`), so that a seed
//!    printed by one version reproduces the run in the next.
//!
//! ```
//! use alluvium_state_api::random::{Randomness, SeededRandomness};
//!
//! let (a, b) = (SeededRandomness::new(7), SeededRandomness::new(7));
//! assert_eq!(a.next_u128(), b.next_u128());
//! ```

use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random numbers, shared between threads.
pub trait Randomness: Debug + Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;

    /// 128 random bits.
    fn next_u128(&self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }
}

/// Randomness seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandomness;

impl Randomness for OsRandomness {
    /// A fresh `RandomState` has keys of its own; the process id parts a forked child.
    #[expect(clippy::disallowed_types, reason = "wanted is its seed, not a stable algorithm")]
    fn next_u64(&self) -> u64 {
        let mut hasher = std::hash::RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        hasher.finish()
    }
}

/// `SplitMix64` from a seed: the same seed gives the same numbers.
#[derive(Debug)]
pub struct SeededRandomness {
    state: AtomicU64,
}

impl SeededRandomness {
    /// A sequence determined by `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }
}

impl Randomness for SeededRandomness {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn splitmix_is_the_published_sequence() {
        let random = SeededRandomness::new(1_234_567);
        let got: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        let want =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(got, want);
    }

    #[test]
    fn os_randomness_does_not_repeat() {
        let seen: BTreeSet<u128> = (0..1_000).map(|_| OsRandomness.next_u128()).collect();
        assert_eq!(seen.len(), 1_000);
    }
}
