//! Keys and sequences of accesses, determined by a seed.
//!
//! Key number `i` is a bijective mix of `i`: keys do not repeat, look random to any hash function, and
//! need no table to be found again.

/// `SplitMix64`'s output function: a bijection of 64-bit numbers.
#[inline]
pub const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The key with this number.
#[inline]
pub const fn key(number: u64) -> u64 {
    mix(number ^ 0x616c_6c75_7669_756d)
}

/// Uniformly random numbers below a bound, determined by a seed.
#[derive(Clone, Debug)]
pub struct Uniform {
    state: u64,
    bound: u64,
}

impl Uniform {
    /// Numbers below `bound`.
    pub const fn new(bound: u64, seed: u64) -> Self {
        Self { state: mix(seed), bound }
    }
}

impl Iterator for Uniform {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let wide = u128::from(mix(self.state)) * u128::from(self.bound);
        u64::try_from(wide >> 64).ok()
    }
}

/// `count` keys of a table with `keys` keys, each equally likely.
pub fn accesses(keys: u64, count: usize, seed: u64) -> Vec<u64> {
    Uniform::new(keys, seed).take(count).map(key).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_do_not_repeat_and_accesses_hit_them() {
        let keys: HashSet<u64> = (0..10_000).map(key).collect();
        assert_eq!(keys.len(), 10_000);
        let seen: HashSet<u64> = accesses(10_000, 100_000, 1).into_iter().collect();
        assert!(seen.is_subset(&keys) && seen.len() > 9_900);
        assert_eq!(accesses(10, 10, 1), accesses(10, 10, 1));
        assert_ne!(accesses(10_000, 10, 1), accesses(10_000, 10, 2));
    }
}
