//! [`ReadCache`]: values that were read lately, of what is below the write layer.
//!
//! # Role
//! A value in a segment is two cache misses away that wait for one another, and some hundred instructions,
//! so that the processor overlaps little of it with the next read. Here it is one miss away. Values are
//! copied, with their keys: those of states whose keys and values have fixed widths into [`slots`], others and
//! longer ones into [`packed`] sets. Lists and what is longer than such a set stay where they are.
//!
//! # Invariants
//! R1. What is here is what the levels below the write layer say of the entry, at any time: nothing at all,
//!     or its value. Whoever changes what they say empties it ([`clear`](ReadCache::clear)): a layer that is
//!     sealed, and so gets below, and the rewriting of a state.
//! R2. A checkpoint that is confirmed puts a segment below the layer, but changes nothing of what is below
//!     entries that the layer is silent about: where the segment says something new, the layer has an entry
//!     or a mark of a removal, and keeps it until it is sealed. It is asked first, so that what is here
//!     about those entries is not seen before it is emptied. The end of a spill and a merge put a segment
//!     where those are that say the same.
//! R3. It is asked after the layer and its marks, and holds only what was found below them.
//! R4. Absence is not remembered.

mod buffer;
mod packed;
mod slots;
mod tier;

use alluvium_state_api::schema::{CodecSchema, KeySpace, StateKind, StateMeta};
use alluvium_state_api::{Slot, StateKey};

use buffer::Found;
use packed::Packed;
use slots::Slots;
use tier::{Mark, Tier};

/// Entries of fixed widths of which fewer have room in a set are packed.
const LEAST_WAYS: usize = 3;

/// An odd number whose bits look random: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where the entries of a state are.
#[derive(Clone, Copy, Debug)]
struct State {
    number: u8,
    home: Home,
}

/// A tier.
#[derive(Clone, Copy, Debug)]
enum Home {
    /// The one with this index, for keys and values of certain widths.
    Fixed(usize),
    Packed,
}

/// Where an entry is, if it is there. Good until something is added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    set: usize,
    mark: Mark,
    home: Home,
}

/// Where a value is; good until something is added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    found: Found,
    home: Home,
}

/// Values that were read lately; see the module's page.
#[derive(Debug)]
pub(crate) struct ReadCache {
    bytes: usize,
    /// By slot; none where values are not kept.
    states: Vec<Option<State>>,
    fixed: Vec<Tier<Slots, { slots::SET }>>,
    /// The widths of keys and values in `fixed`.
    widths: Vec<(usize, usize)>,
    packed: Tier<Packed, { packed::SET }>,
}

impl ReadCache {
    /// A cache of at most so many bytes; without any it keeps nothing.
    pub(crate) fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let packed = Tier::new(Packed::new());
        Self { bytes, states: Vec::new(), fixed: Vec::new(), widths: Vec::new(), packed }
    }

    /// Takes up a state of the store. Tiers share the memory equally.
    pub(crate) fn add_state(&mut self, slot: Slot, meta: &StateMeta, space: &KeySpace) {
        if self.states.len() <= slot.index() {
            self.states.resize(slot.index() + 1, None);
        }
        let Ok(number) = u8::try_from(slot.index()) else {
            return;
        };
        if meta.kind == StateKind::List || self.bytes == 0 {
            return;
        }
        let home = self.home_of(meta, space);
        if let Some(state) = self.states.get_mut(slot.index()) {
            *state = Some(State { number, home });
        }
        let is_packed = |state: &State| matches!(state.home, Home::Packed);
        let packed = self.states.iter().flatten().any(is_packed);
        let share = self.bytes / (self.fixed.len() + usize::from(packed)).max(1);
        self.fixed.iter_mut().for_each(|tier| tier.limit(share));
        self.packed.limit(if packed { share } else { 0 });
    }

    fn home_of(&mut self, meta: &StateMeta, space: &KeySpace) -> Home {
        let Some((key, value)) = widths(meta, space)
            .filter(|(key, value)| slots::ways(key.saturating_add(*value)) >= LEAST_WAYS)
        else {
            return Home::Packed;
        };
        if let Some(index) = self.widths.iter().position(|widths| *widths == (key, value)) {
            return Home::Fixed(index);
        }
        self.widths.push((key, value));
        self.fixed.push(Tier::new(Slots::new(key, value)));
        Home::Fixed(self.fixed.len() - 1)
    }

    /// Where an entry would be, if it is kept; loading that begins, so that it is there when it is asked for.
    #[inline]
    pub(crate) fn spot(&self, slot: Slot, key: &StateKey<'_>) -> Option<Spot> {
        let State { number, home } = (*self.states.get(slot.index())?)?;
        let (hash, mark) = address(number, key);
        let set = match home {
            Home::Fixed(index) => self.fixed.get(index)?.set_of(hash)?,
            Home::Packed => self.packed.set_of(hash)?,
        };
        Some(Spot { set, mark, home })
    }

    /// The value of an entry.
    #[inline]
    pub(crate) fn find(&mut self, spot: Option<Spot>, key: &StateKey<'_>) -> Option<Hit> {
        let Spot { set, mark, home } = spot?;
        let found = match home {
            Home::Fixed(index) => self.fixed.get_mut(index)?.find(set, mark, key.bytes()),
            Home::Packed => self.packed.find(set, mark, key.bytes()),
        };
        Some(Hit { found: found?, home })
    }

    /// Whether an entry is there.
    #[inline]
    pub(crate) fn holds(&self, spot: Option<Spot>, key: &StateKey<'_>) -> bool {
        spot.is_some_and(|Spot { set, mark, home }| match home {
            Home::Fixed(index) => {
                self.fixed.get(index).is_some_and(|tier| tier.holds(set, mark, key.bytes()))
            }
            Home::Packed => self.packed.holds(set, mark, key.bytes()),
        })
    }

    /// The value that was found.
    #[expect(clippy::inline_always, reason = "a call would be a tenth of a read")]
    #[inline(always)]
    pub(crate) fn lend(&self, Hit { found, home }: Hit) -> &[u8] {
        match home {
            Home::Fixed(index) => self.fixed.get(index).map_or(&[], |tier| tier.lend(found)),
            Home::Packed => self.packed.lend(found),
        }
    }

    /// Takes up a value that was not found here, and was found below (R3).
    pub(crate) fn add(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) {
        let Some(State { number, home }) = self.states.get(slot.index()).copied().flatten() else {
            return;
        };
        let (hash, mark) = address(number, key);
        match home {
            Home::Fixed(index) => {
                if let Some(tier) = self.fixed.get_mut(index) {
                    tier.add(hash, mark, key.bytes(), value);
                }
            }
            Home::Packed => self.packed.add(hash, mark, key.bytes(), value),
        }
    }

    /// Forgets everything (R1). Costs a step per tier.
    pub(crate) fn clear(&mut self) {
        self.fixed.iter_mut().for_each(Tier::clear);
        self.packed.clear();
    }

    /// Bytes of memory.
    pub(crate) fn held_bytes(&self) -> u64 {
        let fixed = self.fixed.iter().map(Tier::held_bytes);
        fixed.fold(self.packed.held_bytes(), u64::saturating_add)
    }

    /// How often a value was found, and how often not.
    pub(crate) fn hits_and_misses(&self) -> (u64, u64) {
        let fixed = self.fixed.iter().map(Tier::hits_and_misses);
        let add = |sum: (u64, u64), one: (u64, u64)| (sum.0 + one.0, sum.1 + one.1);
        fixed.fold(self.packed.hits_and_misses(), add)
    }
}

/// Bytes of an entry's key and of its value, where these are the same for all.
fn widths(meta: &StateMeta, space: &KeySpace) -> Option<(usize, usize)> {
    let width = |codec: &CodecSchema| codec.width.and_then(|width| usize::try_from(width).ok());
    let part = |codec: &Option<CodecSchema>| codec.as_ref().map_or(Some(0), width);
    let keys = [width(&space.identity().codec)?, part(&meta.namespace)?, part(&meta.map_key)?];
    let key = keys.into_iter().fold(0, usize::saturating_add);
    Some((key, width(&meta.value)?.saturating_add(meta.stamp_bytes())))
}

/// What decides where an entry of the state with this number is.
#[inline]
fn address(state: u8, key: &StateKey<'_>) -> (u64, Mark) {
    let word = match key.bytes().try_into() {
        Ok(word) => u64::from_le_bytes(word),
        Err(_) => key.entry_hash(),
    };
    let hash = mixed(word);
    let [tag, ..] = hash.to_le_bytes();
    let mark = Mark { state, tag: tag ^ state };
    (hash ^ u64::from(state).wrapping_mul(MULTIPLIER), mark)
}

/// Mixes the bits of a word, so that all of them are those of a hash.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "both halves are meant")]
const fn mixed(word: u64) -> u64 {
    let product = (word as u128) * (MULTIPLIER as u128);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests;
