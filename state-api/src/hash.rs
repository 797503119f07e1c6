//! Which key group a key belongs to: placement hashes with frozen algorithms.
//!
//! A [`KeyHash`] yields the *placement value*, 32 bits, before the modulo of
//! [`MaxParallelism::group_of`](crate::MaxParallelism::group_of). Its identity is recorded in every
//! snapshot; a snapshot placed by another hash is refused, since its keys would be looked for in
//! the wrong place. Two are provided:
//!
//! * [`StableHash`], the default: the upper half of XXH3-64 (seed 0) of the encoded key. It works
//!   for every key type and is the cheapest, because the same XXH3-64 is the table hash.
//! * [`FlinkHash`]: the murmur mix of the key's Java `hashCode`, so that keys land in the key group
//!   in which Apache Flink puts them (`KeyGroupRangeAssignment`, `MathUtils.murmurHash`).
//!
//! ```
//! use alluvium_state_api::{FlinkHash, KeyHash, MaxParallelism};
//!
//! let placement = <FlinkHash as KeyHash<str>>::placement("hello", &[], 0);
//! assert_eq!(placement, 1_715_862_179);
//! assert_eq!(MaxParallelism::new(128).unwrap().group_of(placement).index(), 35);
//! ```

use xxhash_rust::xxh3::xxh3_64;

/// The 64-bit hash of encoded key bytes: XXH3-64, seed 0. Never changes.
///
/// Keys of eight bytes get code of their own, without a look at the length: half the instructions.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    match <&[u8; 8]>::try_from(bytes) {
        Ok(bytes) => xxh3_64(bytes),
        Err(_) => hash_any(bytes),
    }
}

#[inline(never)]
fn hash_any(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Mixes further bytes (namespace, map key) into the hash of a key.
#[inline]
pub fn hash_with_suffix(hash: u64, suffix: &[u8]) -> u64 {
    let product = u128::from(hash ^ xxh3_64(suffix)) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
    #[expect(clippy::cast_possible_truncation, reason = "both halves of the product are used")]
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high.rotate_left(32)
}

/// Yields the placement value of keys of type `K`. Implementations are frozen: the result for a
/// given key may never change, or restored state is looked for in the wrong key group.
pub trait KeyHash<K: ?Sized>: 'static {
    /// The name and version recorded in snapshots, such as `xxh3/1`.
    const ID: &'static str;

    /// The placement value of `key`, whose prefix-free encoding is `encoded` with
    /// [`hash_bytes`]`(encoded) == hash`.
    fn placement(key: &K, encoded: &[u8], hash: u64) -> u32;
}

/// The default placement: the upper 32 bits of XXH3-64 of the encoded key.
#[derive(Clone, Copy, Debug, Default)]
pub struct StableHash;

impl<K: ?Sized> KeyHash<K> for StableHash {
    const ID: &'static str = "xxh3/1";

    #[inline]
    fn placement(_: &K, _: &[u8], hash: u64) -> u32 {
        stable_placement(hash)
    }
}

/// The placement value of [`StableHash`] for a key whose [`hash_bytes`] is `hash`.
#[inline]
pub const fn stable_placement(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Flink's placement: murmur of the Java hash code.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlinkHash;

impl<K: JavaHash + ?Sized> KeyHash<K> for FlinkHash {
    const ID: &'static str = "flink-murmur/1";

    #[inline]
    fn placement(key: &K, _: &[u8], _: u64) -> u32 {
        flink_murmur(key.java_hash())
    }
}

/// Flink's `MathUtils.murmurHash`: `MurmurHash3` of one 4-byte block, made non-negative the way Flink
/// does it (`i32::MIN` becomes 0).
#[inline]
pub const fn flink_murmur(code: i32) -> u32 {
    let mut h = code.cast_unsigned().wrapping_mul(0xcc9e_2d51).rotate_left(15);
    h = h.wrapping_mul(0x1b87_3593).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    h ^= 4;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^= h >> 16;
    match h.cast_signed() {
        i32::MIN => 0,
        signed => signed.unsigned_abs(),
    }
}

/// The Java `hashCode` of the type's Java counterpart.
///
/// Unsigned integers count as the Java value of the same numeric value where it fits (`u8` and
/// `u16`: `short` and `char`) and of the same bits otherwise (`u32`: `int`, `u64`: `long`).
pub trait JavaHash {
    /// `hashCode()` as Java computes it.
    fn java_hash(&self) -> i32;
}

macro_rules! java_hash {
    ($($type:ty: $self:ident => $code:expr;)*) => {
        $(impl JavaHash for $type {
            #[inline]
            fn java_hash(&self) -> i32 {
                let $self = *self;
                $code
            }
        })*
    };
}

java_hash! {
    i8: value => i32::from(value);
    i16: value => i32::from(value);
    i32: value => value;
    i64: value => fold_long(value.cast_unsigned());
    u8: value => i32::from(value);
    u16: value => i32::from(value);
    u32: value => value.cast_signed();
    u64: value => fold_long(value);
    bool: value => if value { 1231 } else { 1237 };
    f32: value => if value.is_nan() { 0x7fc0_0000 } else { value.to_bits().cast_signed() };
    f64: value => fold_long(if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() });
}

#[expect(clippy::cast_possible_truncation, reason = "Long.hashCode keeps the low word")]
const fn fold_long(bits: u64) -> i32 {
    ((bits ^ (bits >> 32)) as u32).cast_signed()
}

fn polynomial(start: i32, codes: impl Iterator<Item = i32>) -> i32 {
    codes.fold(start, |hash, code| hash.wrapping_mul(31).wrapping_add(code))
}

impl JavaHash for str {
    fn java_hash(&self) -> i32 {
        polynomial(0, self.encode_utf16().map(i32::from))
    }
}

/// `Arrays.hashCode(byte[])`.
impl JavaHash for [u8] {
    fn java_hash(&self) -> i32 {
        polynomial(1, self.iter().map(|byte| i32::from(byte.cast_signed())))
    }
}

macro_rules! java_hash_forward {
    ($($type:ty => $target:ty;)*) => {
        $(impl JavaHash for $type {
            fn java_hash(&self) -> i32 {
                <$target as JavaHash>::java_hash(self)
            }
        })*
    };
}

java_hash_forward! {
    String => str;
    Box<str> => str;
    Vec<u8> => [u8];
    Box<[u8]> => [u8];
}

/// Flink's `Tuple2` and wider: `31 * h + hashCode` over the fields, beginning with the first.
macro_rules! java_hash_tuple {
    ($first:ident $(, $rest:ident)*) => {
        impl<$first: JavaHash, $($rest: JavaHash),*> JavaHash for ($first, $($rest,)*) {
            #[expect(non_snake_case, reason = "fields are named like their types")]
            fn java_hash(&self) -> i32 {
                let ($first, $($rest,)*) = self;
                polynomial($first.java_hash(), [$($rest.java_hash()),*].into_iter())
            }
        }
    };
}

java_hash_tuple!(A, B);
java_hash_tuple!(A, B, C);
java_hash_tuple!(A, B, C, D);

#[cfg(test)]
mod tests;
