//! Codecs: how keys, namespaces, map keys and values become bytes.
//!
//! A codec is a zero-sized marker type; which one a state uses is part of its descriptor's type.
//!
//! | codec | for | properties |
//! |---|---|---|
//! | [`Native`] | integers, floats, `bool`, `char`, strings, bytes, arrays, `Option`, tuples | sorts like the value, fixed width where the type has one, borrows strings and bytes |
//! | [`Postcard`] | any serde type | compact; not ordered |
//! | [`Upgrade`] | a type that changed | reads old values, writes new ones, migrates on restore |
//!
//! Every type has two encodings. The *plain* one ([`Encode`]) is for what stands last or alone:
//! values, elements, map keys. The *key* one ([`EncodeKey`]) is prefix-free, for what has something
//! behind it: keys, namespaces, all but the last field of a tuple. Both are deterministic: equal
//! values have equal bytes, on every machine, for ever.
//!
//! ```
//! use alluvium_state_api::codec::{Codec, Encode, Native};
//!
//! # fn main() -> alluvium_state_api::Result<()> {
//! let mut bytes = Vec::new();
//! Native::encode("élan", &mut bytes)?;
//! let view: &str = <Native as Codec<String>>::view(&bytes)?;      // borrowed, not allocated
//! assert_eq!(view, "élan");
//! # Ok(())
//! # }
//! ```

mod composite;
mod fixed;
mod postcard;
mod text;
mod upgrade;

pub use postcard::Postcard;
pub use upgrade::Upgrade;

use crate::schema::{CodecSchema, Compatibility};
use crate::{Error, Result};

/// The default codec: order-preserving encodings of the standard types.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

/// Encodes borrowed or owned forms of a value: `str` and `String` have the same bytes.
pub trait Encode<Q: ?Sized>: 'static {
    /// Appends the plain encoding of `value` to `out`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for values that have no encoding.
    fn encode(value: &Q, out: &mut Vec<u8>) -> Result<()>;

    /// The same encoding, where it is so short that it needs no buffer. Whether it is depends on the
    /// type alone.
    #[inline]
    fn short(_: &Q) -> Option<ShortKey> {
        None
    }
}

/// Encodes values so that no encoding is a prefix of another one.
pub trait EncodeKey<Q: ?Sized>: 'static {
    /// Appends the prefix-free encoding of `value` to `out`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for values that have no encoding.
    fn encode_key(value: &Q, out: &mut Vec<u8>) -> Result<()>;

    /// The same encoding, where it is so short that it needs no buffer. Whether it is depends on the
    /// type alone.
    #[inline]
    fn short_key(_: &Q) -> Option<ShortKey> {
        None
    }
}

/// An encoded key or value of at most 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortKey {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl ShortKey {
    /// The most bytes.
    pub(crate) const MAX: usize = 8;

    /// These bytes; `None` if there are more than 8.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "at most 8")]
    pub fn new(key: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..key.len())?.copy_from_slice(key);
        Some(Self { bytes, len: key.len() as u8 })
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// A word that begins with the bytes, and how many they are.
    #[inline]
    pub(crate) fn into_parts(self) -> ([u8; Self::MAX], usize) {
        (self.bytes, usize::from(self.len))
    }
}

/// Encodes and decodes values of type `T`.
///
/// Implementations must round-trip (`decode(encode(x)) == x`), be deterministic, and treat bytes as
/// hostile: any input gives a value or an error of kind `Corrupted`, never a panic, and never an
/// allocation out of proportion to the input.
pub trait Codec<T>: Encode<T> {
    /// What reading without a copy yields: `&str` for `String`, `T` itself for small types.
    type View<'a>;

    /// The identity of this codec for `T`, as recorded in snapshots.
    fn schema() -> CodecSchema;

    /// Reads `bytes`, borrowing what can be borrowed.
    ///
    /// # Errors
    /// [`Corrupted`](crate::ErrorKind::Corrupted) if they are no encoding.
    fn view(bytes: &[u8]) -> Result<Self::View<'_>>;

    /// Reads an owned value.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    fn decode(bytes: &[u8]) -> Result<T>;

    /// Reads into an existing value, whose memory may be reused.
    ///
    /// # Errors
    /// As [`view`](Self::view); `target` may then hold anything.
    fn decode_into(bytes: &[u8], target: &mut T) -> Result<()> {
        *target = Self::decode(bytes)?;
        Ok(())
    }

    /// May bytes that were written under `previous` be used?
    fn resolve(previous: &CodecSchema) -> Compatibility {
        let current = Self::schema();
        if *previous == current {
            Compatibility::AsIs
        } else {
            Compatibility::Incompatible(format!("written as {previous}, read as {current}"))
        }
    }

    /// Rewrites one value from `previous` to the current schema. Called only where
    /// [`resolve`](Self::resolve) answers `AfterMigration`.
    ///
    /// # Errors
    /// [`Incompatible`](crate::ErrorKind::Incompatible) or `Corrupted`.
    fn migrate(previous: &CodecSchema, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let _ = (bytes, out);
        Err(Error::incompatible(format!("no migration from {previous} to {}", Self::schema())))
    }
}

/// A codec whose key encoding is prefix-free and self-delimiting, as keys and namespaces need.
pub trait KeyCodec<T>: Codec<T> + EncodeKey<T> {
    /// The identity of the key encoding.
    fn key_schema() -> CodecSchema;

    /// Reads a key that stands at the beginning of `bytes`; also returns what follows it.
    ///
    /// # Errors
    /// [`Corrupted`](crate::ErrorKind::Corrupted) if the bytes do not begin with an encoding.
    fn decode_key(bytes: &[u8]) -> Result<(T, &[u8])>;
}

/// The schema of a native type: `shape` as named here, `width` where fixed.
pub(crate) const fn native_schema(
    shape: std::borrow::Cow<'static, str>,
    width: Option<u32>,
) -> CodecSchema {
    CodecSchema { codec: std::borrow::Cow::Borrowed("native"), version: 1, shape, width }
}

#[cold]
pub(crate) fn malformed(shape: &str, found: usize) -> Error {
    Error::corrupted(format!("{found} bytes are no encoding of {shape}"))
}

#[cfg(test)]
mod tests;
