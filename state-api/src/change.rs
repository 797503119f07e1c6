//! What becomes of an entry that is read, changed and written in one probe.

use crate::Result;
use crate::codec::{Encode, ShortKey};
use crate::state::called_twice;

/// What a [`Modify`](crate::Modify) closure decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The entry stays as it is.
    Keep,
    /// The entry's value becomes what was written to the output buffer.
    Put,
    /// The entry goes away.
    Remove,
}

/// Where a closure of [`KeyedStore::modify_with`](crate::KeyedStore::modify_with) puts a new value. A short
/// one never gets to the buffer: on its way through it a number would be stored, loaded, and compared with
/// widths that the compiler knows.
///
/// ```
/// use alluvium_state_api::NewValue;
/// use alluvium_state_api::codec::Native;
///
/// let mut buffer = Vec::new();
/// let mut new = NewValue::new(&mut buffer);
/// new.set::<Native, _>(&7_u64)?;
/// assert_eq!(new.fixed(), Some(7_u64.to_be_bytes()));
/// new.set::<Native, _>(&[1_u8; 100][..])?;
/// assert!(new.bytes().len() >= 100);
/// # Ok::<(), alluvium_state_api::Error>(())
/// ```
#[derive(Debug)]
pub struct NewValue<'b> {
    buffer: &'b mut Vec<u8>,
    word: [u8; ShortKey::MAX],
    /// How many bytes of the word are the value; more than there are if it is in the buffer.
    len: usize,
}

impl<'b> NewValue<'b> {
    /// None yet; this buffer is used again for a long one.
    #[inline]
    pub fn new(buffer: &'b mut Vec<u8>) -> Self {
        Self { buffer, word: [0; ShortKey::MAX], len: usize::MAX }
    }

    /// Encodes the value.
    ///
    /// # Errors
    /// As [`Encode::encode`].
    #[inline]
    pub fn set<C: Encode<Q>, Q: ?Sized>(&mut self, value: &Q) -> Result<()> {
        if let Some(short) = C::short(value) {
            (self.word, self.len) = short.into_parts();
            return Ok(());
        }
        self.with_buffer(|buffer| C::encode(value, buffer))
    }

    /// Lets `encode` write the value to the buffer, which is empty.
    ///
    /// # Errors
    /// What `encode` returns.
    #[inline]
    pub fn with_buffer<R>(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.len = usize::MAX;
        self.buffer.clear();
        encode(self.buffer)
    }

    /// The value, if it has `N` bytes.
    #[inline]
    pub fn fixed<const N: usize>(&self) -> Option<[u8; N]> {
        self.bytes().try_into().ok()
    }

    /// The value.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.word.get(..self.len).unwrap_or(self.buffer)
    }

    /// The [`Modify`](crate::Modify) closure that calls `change`, once.
    #[inline]
    pub fn modify<F>(change: F) -> impl FnMut(Option<&[u8]>, &mut Vec<u8>) -> Result<Change>
    where
        F: FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
    {
        let mut change = Some(change);
        move |old, out| {
            let change = change.take().ok_or_else(called_twice)?;
            let mut new = NewValue::new(out);
            let decided = change(old, &mut new)?;
            new.finish();
            Ok(decided)
        }
    }

    /// Moves a short value to the buffer, too.
    #[inline]
    pub fn finish(self) {
        if let Some(short) = self.word.get(..self.len) {
            self.buffer.clear();
            self.buffer.extend_from_slice(short);
        }
    }
}
