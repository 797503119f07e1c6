//! [`Walk`]: the entries of one state in order, through an iterator of the database.
//!
//! # Invariants
//! W1. Chunks are passed over: what is visited are entries.
//! W2. An iterator that ends because of an error is an error, never an end.

use std::ops::ControlFlow;

use alluvium_state_api::{Elements, EntryKey, Error, KeyGroup, KeyGroupRange, Result};

use crate::address::{PREFIX_BYTES, StateId, prefix, successor};
use crate::database::RawIterator;
use crate::failure::failed;
use crate::list::Head;

/// Chunks that are passed over one by one; more of them by a seek.
const MOST_STEPS: u64 = 8;

/// The entries of a state in some key groups; see the module's page.
pub(crate) struct Walk<'a> {
    iterator: RawIterator<'a>,
    state: StateId,
    group: KeyGroup,
    end: u16,
    /// Whether the iterator stands in `group`.
    placed: bool,
    from: Vec<u8>,
}

impl<'a> Walk<'a> {
    /// From the entries of `range.start()` whose bytes are at least `from` on.
    pub(crate) fn new(
        iterator: RawIterator<'a>,
        state: StateId,
        range: KeyGroupRange,
        from: Vec<u8>,
    ) -> Self {
        let group = KeyGroup::new(range.start());
        Self { iterator, state, group, end: range.end(), placed: false, from }
    }

    /// The iterator may end here: above all key groups of `range`.
    pub(crate) fn bound(range: KeyGroupRange) -> Vec<u8> {
        range.end().to_be_bytes().to_vec()
    }

    /// Goes to the next entry, which may be the one where it stands; `false` at the end.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn find(&mut self) -> Result<bool> {
        while self.group.index() < self.end {
            let prefix = prefix(self.group, self.state);
            if !self.placed {
                let from = std::mem::take(&mut self.from);
                self.iterator.seek([&prefix[..], &from].concat());
                self.placed = true;
            }
            let Some(key) = self.iterator.key() else {
                check(&self.iterator)?;
                return Ok(false);
            };
            if key.starts_with(&prefix) {
                return Ok(true);
            }
            // Nothing more in this key group, nor in those up to where the next key is.
            let next = key.first_chunk().map_or(u16::MAX, |group| u16::from_be_bytes(*group));
            self.group = KeyGroup::new(next.max(self.group.index().saturating_add(1)));
            self.placed = false;
        }
        Ok(false)
    }

    /// The entry where it stands, after [`find`](Self::find) said that there is one: key group, bytes of the
    /// entry, what is stored.
    pub(crate) fn entry(&self) -> Result<(KeyGroup, &[u8], &[u8])> {
        let (Some(key), Some(stored)) = (self.iterator.key(), self.iterator.value()) else {
            return Err(Error::bug("a walk does not stand at an entry"));
        };
        Ok((self.group, key.get(PREFIX_BYTES..).unwrap_or_default(), stored))
    }

    /// Past an entry without chunks.
    pub(crate) fn step(&mut self) {
        self.iterator.next();
    }

    /// Past the list at this address, without its elements (W1); it has a head unless it is short.
    pub(crate) fn skip_list(&mut self, address: &[u8], head: Option<Head>) {
        let head = head.unwrap_or_default();
        if head.chunks > MOST_STEPS {
            self.iterator.seek(successor(address));
            return;
        }
        for _ in 0..=head.chunks {
            if self.iterator.valid() {
                self.iterator.next();
            }
        }
    }

    /// Past the list at whose head it stands, with its elements.
    ///
    /// # Errors
    /// What the visitor returns; `Corrupted` where chunks and head differ.
    pub(crate) fn read_list(
        &mut self,
        address: &[u8],
        head: Head,
        visit: &mut dyn FnMut(u64, Elements<'_>) -> Result<()>,
    ) -> Result<()> {
        self.iterator.next();
        let mut seen = 0;
        let flow = chunks(&mut self.iterator, address, |elements| {
            visit(seen, elements)?;
            seen = seen.saturating_add(elements.count());
            Ok(ControlFlow::Continue(()))
        })?;
        debug_assert!(flow.is_continue());
        check_count(head.elements, seen)
    }
}

/// Visits the chunks of the list at `address` from where an iterator stands.
///
/// # Errors
/// What the visitor returns; those of the database; `Corrupted` for a chunk that is none.
pub(crate) fn chunks(
    iterator: &mut RawIterator<'_>,
    address: &[u8],
    mut visit: impl FnMut(Elements<'_>) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    while let Some((key, chunk)) = iterator.item() {
        if !key.starts_with(address) {
            return Ok(ControlFlow::Continue(()));
        }
        if visit(Elements::parse(chunk)?)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        iterator.next();
    }
    check(iterator)?;
    Ok(ControlFlow::Continue(()))
}

/// Compares the elements that were read with those that a head counts.
///
/// # Errors
/// `Corrupted`.
pub(crate) fn check_count(recorded: u64, seen: u64) -> Result<()> {
    if seen == recorded {
        return Ok(());
    }
    let text = format!("a list has {seen} elements instead of the recorded {recorded}");
    Err(Error::corrupted(text))
}

/// Whether an iterator ended because there was no more (W2).
///
/// # Errors
/// Those of the database.
pub(crate) fn check(iterator: &RawIterator<'_>) -> Result<()> {
    iterator.status().map_err(|error| failed("iterate", error))
}

/// A key that outlives the place it came from.
#[derive(Debug, Default)]
pub(crate) struct OwnedKey {
    bytes: Vec<u8>,
    key_end: usize,
    namespace_end: usize,
}

impl OwnedKey {
    /// Copies a key.
    pub(crate) fn set(&mut self, entry: EntryKey<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(entry.bytes());
        (self.key_end, self.namespace_end) = (entry.key_end(), entry.namespace_end());
    }

    /// The key.
    pub(crate) fn get(&self) -> Result<EntryKey<'_>> {
        EntryKey::new(&self.bytes, self.key_end, self.namespace_end)
    }
}
