//! How the bits of a key's hash are spent.
//!
//! # Role
//! The layers above hand in XXH3 of the key bytes. It is public and unseeded, so whoever chooses
//! the keys could aim at one shard; [`Seed::mix`] folds a secret into it with one multiplication.
//! The mixed value is cut into three disjoint fields, so that knowing the shard of a key says
//! nothing about its group or its tag:
//!
//! | bits   | use                                                      |
//! |--------|----------------------------------------------------------|
//! | 0..8   | tag, kept beside the slots ([`Hash::needle`])               |
//! | 8..32  | home group inside the shard, as a fraction ([`Hash::group`]) |
//! | 32..56 | shard, lowest bit first ([`Hash::route`])                |
//! | 56..64 | nothing: a key that stores its hash needs only 7 bytes   |
//!
//! # Invariants
//! H1. [`Hash::group`] is monotone in its fraction, whatever the number of groups. A rebuilt or
//!     split block is therefore filled almost sequentially.
//! H2. The slot that a key prefers in its group comes from the tag: keys with the same preference
//!     are told apart by the rest of it, and others by all of it.

#![expect(
    clippy::cast_possible_truncation,
    reason = "cutting a hash into fields is what this is for"
)]

use super::tags::Needle;

/// Bits of the mixed hash that choose a shard.
pub(super) const ROUTE_BITS: u32 = 24;

/// Secret of one table, against keys chosen to collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed {
    add: u64,
    multiply: u64,
}

impl Seed {
    /// A seed from two numbers, which should be unpredictable to whoever chooses the keys.
    pub(crate) const fn new(first: u64, second: u64) -> Self {
        Self { add: first, multiply: second | 1 }
    }

    /// Mixes the secret into a key's hash.
    #[inline]
    pub(super) fn mix(self, hash: u64) -> Hash {
        let wide = u128::from(hash ^ self.add).wrapping_mul(u128::from(self.multiply));
        Hash((wide as u64) ^ ((wide >> 64) as u64))
    }
}

/// A key's hash after [`Seed::mix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(u64);

impl Hash {
    /// The tag that stands beside the slot.
    #[inline]
    pub(super) fn needle(self) -> Needle {
        Needle::new(self.0 as u8)
    }

    /// A number below 16 that agrees for keys of equal tag.
    #[inline]
    pub(super) fn nibble(self) -> usize {
        (self.0 >> 4) as usize & 0xf
    }

    /// Home group among `groups` groups (H1); less than `groups` if that is not 0.
    #[inline]
    pub(super) fn group(self, groups: u32) -> usize {
        let fraction = (self.0 >> 8) & 0xff_ffff;
        (fraction.wrapping_mul(u64::from(groups)) >> 24) as usize
    }

    /// As [`group`](Self::group), times 32: in one step less for who wants the distance of a group's head.
    #[inline]
    pub(super) fn group_times_32(self, groups: u32) -> usize {
        let fraction = (self.0 as u32) >> 8;
        (u64::from(fraction).wrapping_mul(u64::from(groups)) >> 19) as usize & !31
    }

    /// The bits that choose a shard: the lowest [`ROUTE_BITS`] of this.
    #[inline]
    pub(super) fn route(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The seven bytes that matter.
    #[inline]
    pub(super) fn to_bytes(self) -> [u8; 7] {
        let mut bytes = [0; 7];
        bytes.copy_from_slice(self.0.to_le_bytes().split_at(7).0);
        bytes
    }

    /// The shard's number among `2^n`, times 16; `mask` is `2^n - 1`, times 16.
    #[inline]
    pub(super) fn route_times_16(self, mask: u32) -> usize {
        ((self.0 >> 28) as u32 & mask) as usize
    }

    /// What [`to_bytes`](Self::to_bytes) came from, but for the unused bits.
    #[inline]
    pub(super) fn from_bytes(bytes: [u8; 7]) -> Self {
        let mut all = [0; 8];
        all.split_at_mut(7).0.copy_from_slice(&bytes);
        Self(u64::from_le_bytes(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_fields_are_the_fields_times_their_scale() {
        let seed = Seed::new(1, 2);
        for number in 0..1000 {
            let hash = seed.mix(number);
            for groups in [1, 2, 3, 250, 1 << 20] {
                assert_eq!(hash.group_times_32(groups), hash.group(groups) * 32);
            }
            for depth in [0, 1, 9, ROUTE_BITS] {
                let mask = (1 << depth) - 1;
                assert_eq!(hash.route_times_16(mask * 16), (hash.route() & mask) as usize * 16);
            }
        }
    }
}
