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
//! R3. It is asked after the layer and its marks, and holds only what was found below them. Where keys and values
//!     have 8 bytes, it is asked first: of such a state, what it has is what the layer says, where that has an entry
//!     or a mark, as whoever writes or marks it there tells ([`told`](ReadCache::told)). It forgets
//!     the entry then, unless it has copies of the layer's entries ([`copies`]).
//! R4. Absence is not remembered.

mod buffer;
mod copies;
mod packed;
mod slots;
mod tier;

use alluvium_state_api::schema::{CodecSchema, KeySpace, StateKind, StateMeta};
use alluvium_state_api::{Slot, StateKey};

use buffer::Found;
use copies::Copies;
use packed::Packed;
use slots::Slots;
use tier::{Mark, Tier};

/// Bytes of the commonest keys and values.
const EIGHT: usize = 8;

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
    /// That of keys and values of 8 bytes, without namespaces and map keys.
    Eights,
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

/// A state whose keys and values have 8 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfEights(u8);

/// Values that were read lately; see the module's page.
#[derive(Debug)]
pub(crate) struct ReadCache {
    bytes: usize,
    /// By slot; none where values are not kept.
    states: Vec<Option<State>>,
    eights: Tier<Slots>,
    fixed: Vec<Tier<Slots>>,
    /// The widths of keys and values in `fixed`.
    widths: Vec<(usize, usize)>,
    packed: Tier<Packed>,
    copies: Copies,
    lent: [u8; 8],
}

impl ReadCache {
    /// A cache of at most so many bytes; without any it keeps nothing.
    pub(crate) fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            bytes,
            states: Vec::new(),
            eights: Tier::new(Slots::new(EIGHT, EIGHT)),
            fixed: Vec::new(),
            widths: Vec::new(),
            packed: Tier::new(Packed::new()),
            copies: Copies::default(),
            lent: [0; 8],
        }
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
        let some =
            |is: fn(&Home) -> bool| self.states.iter().flatten().any(|state| is(&state.home));
        let eights = some(|home| matches!(home, Home::Eights));
        let packed = some(|home| matches!(home, Home::Packed));
        let tiers = self.fixed.len() + usize::from(eights) + usize::from(packed);
        let share = self.bytes / tiers.max(1);
        self.eights.limit(if eights { share } else { 0 });
        self.fixed.iter_mut().for_each(|tier| tier.limit(share));
        self.packed.limit(if packed { share } else { 0 });
    }

    fn home_of(&mut self, meta: &StateMeta, space: &KeySpace) -> Home {
        let Some((key, value)) = widths(meta, space)
            .filter(|(key, value)| key.saturating_add(*value) <= slots::MOST_BYTES)
        else {
            return Home::Packed;
        };
        let is_alone = meta.kind != StateKind::Map && meta.namespace.is_none();
        if (key, value) == (EIGHT, EIGHT) && is_alone {
            return Home::Eights;
        }
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
            Home::Eights => self.eights.set_of(hash, mark)?,
            Home::Fixed(index) => self.fixed.get(index)?.set_of(hash, mark)?,
            Home::Packed => self.packed.set_of(hash, mark)?,
        };
        Some(Spot { set, mark, home })
    }

    /// The value of an entry.
    #[inline]
    pub(crate) fn find(&mut self, spot: Option<Spot>, key: &StateKey<'_>) -> Option<Hit> {
        let Spot { set, mark, home } = spot?;
        let found = match home {
            Home::Eights => self.eights.find(set, mark, key.bytes()),
            Home::Fixed(index) => self.fixed.get_mut(index)?.find(set, mark, key.bytes()),
            Home::Packed => self.packed.find(set, mark, key.bytes()),
        };
        Some(Hit { found: found?, home })
    }

    /// Whether an entry is there.
    #[inline]
    pub(crate) fn holds(&self, spot: Option<Spot>, key: &StateKey<'_>) -> bool {
        spot.is_some_and(|Spot { set, mark, home }| match home {
            Home::Eights => self.eights.holds(set, mark, key.bytes()),
            Home::Fixed(index) => {
                self.fixed.get(index).is_some_and(|tier| tier.holds(set, mark, key.bytes()))
            }
            Home::Packed => self.packed.holds(set, mark, key.bytes()),
        })
    }

    /// The value that was found.
    #[inline]
    pub(crate) fn lend(&self, Hit { found, home }: Hit) -> &[u8] {
        match home {
            Home::Eights => self.eights.lend(found),
            Home::Fixed(index) => self.fixed.get(index).map_or(&[], |tier| tier.lend(found)),
            Home::Packed => self.packed.lend(found),
        }
    }

    /// A state whose keys and values have 8 bytes, without namespaces and map keys: what these are asked for by.
    #[inline]
    pub(crate) fn of_eights(&self, slot: Slot) -> Option<OfEights> {
        match self.states.get(slot.index()) {
            Some(Some(State { number, home: Home::Eights })) => Some(OfEights(*number)),
            _ => None,
        }
    }

    /// Asks the processor to load where a key of such a state would be.
    #[inline]
    pub(crate) fn prefetch_eight(&self, OfEights(number): OfEights, key: [u8; 8]) {
        let (hash, mark) = address_of_word(number, key);
        self.eights.prefetch(hash, mark);
    }

    /// Asks it to load where the value seems to be.
    #[inline]
    pub(crate) fn prefetch_slot_of_eight(&self, OfEights(number): OfEights, key: [u8; 8]) {
        let (hash, mark) = address_of_word(number, key);
        self.eights.prefetch_slot(hash, mark);
    }

    /// The value of a key of such a state, as a little-endian word, unless a closer look is needed
    /// ([`find`](Self::find)); for who expects it to be there. A hit counts, a miss does not.
    #[expect(clippy::inline_always, reason = "so that it travels in a register")]
    #[inline(always)]
    pub(crate) fn eight(&mut self, OfEights(number): OfEights, key: [u8; 8]) -> Option<u64> {
        let (hash, mark) = address_of_word(number, key);
        self.eights.prefetch(hash, mark);
        self.eights.eight(hash, mark, key)
    }

    /// The same for who asked for it ahead or does not expect it to be there: its slot is not asked for before its
    /// tag was seen.
    #[expect(clippy::inline_always, reason = "so that it travels in a register")]
    #[inline(always)]
    pub(crate) fn eight_if(&mut self, OfEights(number): OfEights, key: [u8; 8]) -> Option<u64> {
        let (hash, mark) = address_of_word(number, key);
        self.eights.eight(hash, mark, key)
    }

    /// The layer has another value of an entry now, or none: what is here of it becomes that or goes, if its
    /// state's keys and values have 8 bytes (R3).
    #[inline]
    pub(crate) fn told(&mut self, slot: Slot, key: &StateKey<'_>, value: Option<&[u8]>) {
        if let Some(OfEights(number)) = self.of_eights(slot)
            && let Ok(key) = key.bytes().try_into()
        {
            let (hash, mark) = address_of_word(number, key);
            match value.and_then(|value| value.try_into().ok()) {
                Some(value) if self.copies.are_made() => {
                    self.eights.overwrite(hash, mark, key, value);
                }
                _ => self.eights.forget(hash, mark, &key),
            }
        }
    }

    /// Whether there may be copies of the layer's entries.
    #[inline]
    pub(crate) fn makes_copies(&self) -> bool {
        self.copies.are_made()
    }

    /// The same, if the state's keys and values have 8 bytes.
    #[inline]
    pub(crate) fn copies_of(&self, slot: Slot) -> bool {
        self.copies.are_made() && self.of_eights(slot).is_some()
    }

    /// Whether there are copies of most of the layer's entries: it is not asked before an entry was not found here.
    #[inline]
    pub(crate) fn has_copies(&self) -> bool {
        self.copies.are_there()
    }

    /// An entry was not found here, and in the layer: that is counted, and it is copied where copies are made.
    #[inline]
    pub(crate) fn found_above(&mut self, state: OfEights, key: [u8; 8], value: u64) {
        self.copies.found_above();
        if self.copies.are_made() {
            self.copy(state, key, value);
        }
    }

    /// The same for who does not know whether the state's keys and values have 8 bytes.
    #[inline]
    pub(crate) fn copy_if_eight(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) {
        if let Some(state) = self.of_eights(slot)
            && let (Ok(key), Ok(value)) = (key.bytes().try_into(), value.try_into())
        {
            self.found_above(state, key, u64::from_le_bytes(value));
        }
    }

    #[inline(never)]
    fn copy(&mut self, OfEights(number): OfEights, key: [u8; 8], value: u64) {
        let (hash, mark) = address_of_word(number, key);
        if !self.eights.has(hash, mark, &key) {
            self.eights.add(hash, mark, &key, &value.to_le_bytes());
        }
    }

    /// Judges now and then whether copies of the layer's entries pay.
    pub(crate) fn judge_copies(&mut self) {
        if self.copies.judge(self.eights.counts()) {
            self.eights.clear();
        }
    }

    /// Lends a value that was found by [`eight`](Self::eight), or instead of it.
    #[inline]
    pub(crate) fn lend_eight(&mut self, value: u64) -> &[u8] {
        self.lent = value.to_le_bytes();
        &self.lent
    }

    /// Takes up a value that was not found here, and was found below (R3).
    pub(crate) fn add(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) {
        let Some(State { number, home }) = self.states.get(slot.index()).copied().flatten() else {
            return;
        };
        let (hash, mark) = address(number, key);
        match home {
            Home::Eights => self.eights.add(hash, mark, key.bytes(), value),
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
        self.copies.start_over();
        self.eights.clear();
        self.fixed.iter_mut().for_each(Tier::clear);
        self.packed.clear();
    }

    /// Bytes of memory.
    pub(crate) fn held_bytes(&self) -> u64 {
        let fixed = self.fixed.iter().chain([&self.eights]).map(Tier::held_bytes);
        fixed.fold(self.packed.held_bytes(), u64::saturating_add)
    }

    /// How often a value was found, and how often not.
    pub(crate) fn hits_and_misses(&self) -> (u64, u64) {
        let fixed = self.fixed.iter().chain([&self.eights]).map(Tier::hits_and_misses);
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
    match key.bytes().try_into() {
        Ok(word) => address_of_word(state, word),
        Err(_) => address_of_hash(state, key.entry_hash()),
    }
}

/// The same for a key of 8 bytes.
#[inline]
fn address_of_word(state: u8, key: [u8; 8]) -> (u64, Mark) {
    address_of_hash(state, u64::from_le_bytes(key))
}

#[inline]
fn address_of_hash(state: u8, hash: u64) -> (u64, Mark) {
    let hash = mixed(hash);
    let [tag, ..] = hash.to_le_bytes();
    #[expect(clippy::cast_possible_truncation, reason = "its lower half is meant")]
    let mark = Mark { state, tag: tag ^ state, rest: hash as u32 };
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
