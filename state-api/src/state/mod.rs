//! The kinds of state as traits, and the views that implement them over any store.
//!
//! Operators are written against the traits ([`ValueState`], [`ListState`], [`ReducingState`],
//! [`AggregatingState`], [`MapState`]), so that their logic can be tested with a plain double and no
//! backend. The views ([`ValueView`] and so on) come from a
//! [`KeyContext`](crate::KeyContext) and live for one access path: they borrow the backend.
//!
//! Null rules are Flink's with `Option` for null: empty states read as `None` (lists and maps as
//! empty), setting `None` clears, a state that was cleared is as if it had never been written.

mod aggregating;
mod list;
mod map;
mod reducing;
mod value;

pub use aggregating::{Aggregate, AggregatingState, AggregatingView};
pub use list::{ListState, ListView};
pub(crate) use map::MapAddress;
pub use map::{MapState, MapView};
pub use reducing::{ReducingState, ReducingView};
pub use value::{ValueState, ValueView};

use crate::codec::ShortKey;
use crate::descriptor::StateToken;
use crate::key::{EntryKey, Placed, StateKey};
use crate::store::{KeyedStore, Slot};
use crate::{Error, Result};

/// What every view holds: the store, the entry's address, a buffer for encoding.
///
/// Views copy the word and make the key from the copy before they pass it to the store: a view whose
/// parts are pointed to lies in memory as a whole.
#[derive(Debug)]
pub(crate) struct Access<'c, S> {
    pub(crate) store: &'c mut S,
    pub(crate) address: Address<'c>,
    /// The bytes of a short key.
    pub(crate) word: [u8; ShortKey::MAX],
    pub(crate) buffers: &'c mut Buffers,
    pub(crate) token: StateToken,
    pub(crate) backend: u32,
}

/// The address of an entry but for the bytes of a short key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'c> {
    /// Key and namespace, if the key is not short.
    pub(crate) bytes: &'c [u8],
    /// How many bytes of the word are the key, if it is short.
    pub(crate) short: Option<usize>,
    pub(crate) key_end: usize,
    pub(crate) placed: &'c Placed,
}

impl<'c> Address<'c> {
    /// The address; a short key's bytes are in `word`.
    #[expect(clippy::inline_always, reason = "so that a short key's length is a constant")]
    #[inline(always)]
    pub(crate) fn key<'k>(self, word: &'k [u8; ShortKey::MAX]) -> StateKey<'k>
    where
        'c: 'k,
    {
        let bytes = match self.short {
            Some(len) => word.get(..len).unwrap_or(word),
            None => self.bytes,
        };
        StateKey::placed(EntryKey::trusted(bytes, self.key_end), self.placed)
    }
}

/// Reusable buffers of a backend, so that no access allocates after warm-up.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) value: Vec<u8>,
    pub(crate) elements: crate::ElementsBuffer,
    pub(crate) batch: crate::KeyBatchBuffer,
}

impl<S: KeyedStore> Access<'_, S> {
    /// The slot, once it is certain that the handle belongs to this backend.
    #[inline]
    pub(crate) fn slot(&self) -> Result<Slot> {
        check_token(self.token, self.backend)
    }
}

/// Refuses a handle of another backend.
#[inline]
pub(crate) fn check_token(token: StateToken, backend: u32) -> Result<Slot> {
    if token.backend == backend { Ok(token.slot) } else { Err(foreign_handle()) }
}

#[cold]
fn foreign_handle() -> Error {
    Error::invalid_input(
        "the handle belongs to another backend; open the descriptor on the backend that is used",
    )
}

#[cold]
pub(crate) fn called_twice() -> Error {
    Error::bug("the store called a modify closure more than once")
}
