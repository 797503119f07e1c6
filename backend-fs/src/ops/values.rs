//! Entries with one value: reading, writing, changing, singly and in batches.

use std::ops::ControlFlow;

use alluvium_state_api::{
    Change, KeyBatch, KeyedStore, ModifyEach, NewValue, Result, Slot, StateKey, VisitEach,
};

use crate::below::Below;
use crate::layer::Cover;
use crate::read_cache::{Hit, OfEights, ReadCache};
use crate::store::{FsStore, Parts};

impl FsStore {
    /// The value of a key, where both have 8 bytes, if it was read lately or is in the layer; in this order, as what was
    /// read lately has nothing but what the layer says, where that says anything (R3), and tells sooner.
    #[expect(clippy::inline_always, reason = "small but for its cold paths; registers, not memory")]
    #[inline(always)]
    pub(crate) fn get_eight(&mut self, slot: Slot, key: [u8; 8]) -> Option<u64> {
        let state = self.reads.of_eights(slot)?;
        if self.reads.has_copies() || !self.layer.may_have_values() {
            return self.reads.eight(state, key);
        }
        let layer = self.layer.main.eights(self.layer.slot(slot)?)?;
        layer.prefetch_all(key);
        if let Some(value) = self.reads.eight_if(state, key) {
            return Some(value);
        }
        let value = layer.get(key)?;
        self.reads.found_above(state, key, value);
        Some(value)
    }

    /// [`KeyedStore::get`] where there is something below the layer.
    #[inline(never)]
    pub(crate) fn get_value(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        let inner = self.inner(slot)?;
        let spot = self.reads.spot(slot, key);
        let may_have_values = self.layer.may_have_values();
        let (main, mut parts) = self.parts();
        if may_have_values && let Some(value) = main.get(inner, key)? {
            parts.below.reads.copy_if_eight(slot, key, value);
            return Ok(Some(value));
        }
        if parts.covers.may_hide(slot) && parts.covers.of(slot, key)? == Cover::Gone {
            return Ok(None);
        }
        if let Some(hit) = parts.below.reads.find(spot, key) {
            return Ok(Some(parts.below.reads.lend(hit)));
        }
        parts.below.read(slot, key)
    }

    /// [`KeyedStore::put`].
    pub(crate) fn put_value(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        let inner = self.inner(slot)?;
        self.layer.will_write();
        if !self.has_below {
            return self.layer.main.put(inner, key, value);
        }
        let put = self.layer.main.put(inner, key, value);
        self.reads.told(slot, key, put.is_ok().then_some(value));
        put
    }

    /// [`KeyedStore::remove`] of any entry but a list.
    pub(crate) fn remove_value(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        let inner = self.inner(slot)?;
        self.layer.main.remove(inner, key)?;
        if !self.has_below {
            return Ok(());
        }
        self.reads.told(slot, key, None);
        self.mark(slot, key)
    }

    /// [`KeyedStore::modify_with`].
    #[expect(clippy::inline_always, reason = "small but for its cold paths; registers, not memory")]
    #[inline(always)]
    pub(crate) fn modify_value<F>(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        change: F,
    ) -> Result<()>
    where
        F: FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
    {
        let inner = self.inner(slot)?;
        self.layer.will_write();
        if !self.has_below {
            return self.layer.main.modify_with(inner, key, change);
        }
        if let Ok(eight) = key.bytes().try_into()
            && !self.reads.makes_copies()
        {
            return match self.layer.main.modify_eight(inner, eight, change)? {
                ControlFlow::Break(Change::Remove) => self.mark(slot, &{ *key }),
                ControlFlow::Break(_) => Ok(()),
                ControlFlow::Continue(change) => self.modify_any(slot, inner, &{ *key }, change),
            };
        }
        self.modify_any(slot, inner, &{ *key }, change)
    }

    #[inline(never)]
    fn mark(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        self.layer.split().1.mark(slot, key)
    }

    /// [`KeyedStore::modify_with`] where there is something below the layer. Called and not compiled in.
    #[inline(never)]
    fn modify_any<F>(
        &mut self,
        slot: Slot,
        inner: Slot,
        key: &StateKey<'_>,
        change: F,
    ) -> Result<()>
    where
        F: FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
    {
        let copies = self.reads.copies_of(slot);
        let (main, mut parts) = self.parts();
        main.modify_with(inner, key, |above, new| {
            let tells = copies || above.is_none();
            let old = match above {
                Some(value) => Some(value),
                None => parts.value(slot, key)?,
            };
            let outcome = change(old, new)?;
            parts.settle(slot, key, tells, (outcome, new.bytes()))?;
            Ok(outcome)
        })
    }

    /// [`KeyedStore::get_many`].
    pub(crate) fn get_values(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        let inner = self.inner(slot)?;
        if !self.has_below {
            return self.layer.main.get_many(inner, keys, visit);
        }
        if let Some(eights) = keys.fixed()
            && let Some(state) = self.reads.of_eights(slot)
            && (!self.layer.may_have_values() || self.layer.main.eights(inner).is_some())
        {
            return self.get_eights((slot, inner, state), (keys, eights), visit);
        }
        let ahead = Ahead { slot, keys, habit: self.batches };
        let may_have_values = self.layer.may_have_values();
        let (main, mut parts) = self.parts();
        ahead.begin(&parts.below);
        let mut each = |index, value: Option<&[u8]>| {
            ahead.step(&parts.below, index);
            match keys.get(index) {
                Some(key) if value.is_none() => visit(index, parts.read(slot, &key)?),
                _ => visit(index, value),
            }
        };
        if may_have_values {
            main.get_many(inner, keys, &mut each)?;
        } else {
            (0..keys.len()).try_for_each(|index| each(index, None))?;
        }
        self.batches = ahead.habit_of(parts.asked, parts.searched);
        Ok(())
    }

    /// [`get_values`](Self::get_values) where keys and values have 8 bytes, as [`get_eight`](Self::get_eight).
    fn get_eights(
        &mut self,
        (slot, inner, state): (Slot, Slot, OfEights),
        (keys, eights): (KeyBatch<'_>, &[[u8; 8]]),
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        const STRIDE: usize = 16;
        let may_have_values = self.layer.may_have_values();
        let ahead = Ahead { slot, keys, habit: Habit { below: false, ..self.batches } };
        let (main, mut parts) = self.parts();
        let layer = if may_have_values { main.eights(inner) } else { None };
        ahead.begin(&parts.below);
        let copies = may_have_values && parts.below.reads.has_copies();
        // Where there are copies, the layer is hardly asked.
        let likely = layer.filter(|_| !copies);
        let begin = |reads: &ReadCache, index: usize| {
            if let Some(key) = eights.get(index) {
                reads.prefetch_eight(state, *key);
                likely.inspect(|layer| layer.prefetch(*key));
            }
        };
        let go_on = |reads: &ReadCache, index: usize| {
            if let Some(key) = eights.get(index) {
                reads.prefetch_slot_of_eight(state, *key);
                likely.inspect(|layer| layer.prefetch_value(*key));
            }
        };
        (0..2 * STRIDE).for_each(|index| begin(parts.below.reads, index));
        (0..STRIDE).for_each(|index| go_on(parts.below.reads, index));
        for (index, key) in eights.iter().enumerate() {
            begin(parts.below.reads, index + 2 * STRIDE);
            go_on(parts.below.reads, index + STRIDE);
            ahead.step(&parts.below, index);
            if let Some(value) = parts.below.reads.eight_if(state, *key) {
                visit(index, Some(&value.to_le_bytes()))?;
            } else if let Some(value) = layer.and_then(|layer| layer.get(*key)) {
                parts.below.reads.found_above(state, *key, value);
                visit(index, Some(&value.to_le_bytes()))?;
            } else if let Some(key) = keys.get(index) {
                visit(index, parts.read(slot, &key)?)?;
            }
        }
        self.batches.searched = ahead.habit_of(parts.asked, parts.searched).searched;
        Ok(())
    }

    /// [`KeyedStore::modify_many`].
    pub(crate) fn modify_values(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        change: &mut ModifyEach<'_>,
    ) -> Result<()> {
        let inner = self.inner(slot)?;
        self.layer.will_write();
        if !self.has_below {
            return self.layer.main.modify_many(inner, keys, change);
        }
        let ahead = Ahead { slot, keys, habit: self.batches };
        let copies = self.reads.copies_of(slot);
        let (main, mut parts) = self.parts();
        ahead.begin(&parts.below);
        main.modify_many(inner, keys, &mut |index, old, out| {
            ahead.step(&parts.below, index);
            let Some(key) = keys.get(index) else {
                return change(index, old, out);
            };
            let tells = copies || old.is_none();
            let old = match old {
                Some(value) => Some(value),
                None => parts.value(slot, &key)?,
            };
            let outcome = change(index, old, out)?;
            parts.settle(slot, &key, tells, (outcome, out))?;
            Ok(outcome)
        })?;
        self.batches = ahead.habit_of(parts.asked, parts.searched);
        Ok(())
    }
}

impl Parts<'_> {
    /// After an entry was changed: what was read lately is told where it may have it (R3), and the layer hides what is
    /// below of one that was removed.
    #[inline]
    fn settle(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        tells: bool,
        (outcome, value): (Change, &[u8]),
    ) -> Result<()> {
        if tells && outcome != Change::Keep {
            self.below.reads.told(slot, key, (outcome == Change::Put).then_some(value));
        }
        if outcome == Change::Remove { self.covers.mark(slot, key) } else { Ok(()) }
    }

    /// Where the value of an entry is among what was read lately, if nothing above hides it.
    #[inline]
    fn lately(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Lately> {
        if self.covers.may_hide(slot) && self.covers.of(slot, key)? == Cover::Gone {
            return Ok(Lately::Gone);
        }
        self.asked += 1;
        let reads = &mut *self.below.reads;
        if let Some(hit) = reads.find(reads.spot(slot, key), key) {
            return Ok(Lately::Read(hit));
        }
        self.searched += 1;
        Ok(Lately::Not)
    }

    /// The value of an entry that the layer does not have, for who changes it: the layer will have it, so that
    /// it is not kept among what was read.
    #[inline]
    pub(crate) fn value(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        match self.lately(slot, key)? {
            Lately::Gone => Ok(None),
            Lately::Read(hit) => Ok(Some(self.below.reads.lend(hit))),
            Lately::Not => self.below.again().value(slot, key),
        }
    }

    /// The same, for a reader.
    #[inline]
    pub(crate) fn read(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        match self.lately(slot, key)? {
            Lately::Gone => Ok(None),
            Lately::Read(hit) => Ok(Some(self.below.reads.lend(hit))),
            Lately::Not => self.below.again().read(slot, key),
        }
    }
}

/// What is known of an entry that the layer does not have, without a search.
enum Lately {
    Gone,
    Read(Hit),
    Not,
}

/// Keys from one step to the next.
const STRIDE: usize = 8;

/// What entries of the last batch needed, as that of the next one will be like it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habit {
    /// Many were not in the layer.
    below: bool,
    /// Many were searched in what is below, since they were not read lately.
    searched: bool,
}

/// Asks the processor for what the entries of a batch will need, if those of the last one did: for the set of
/// the read cache, and in three strides, so that nothing is waited for, for lines of segments.
struct Ahead<'k> {
    slot: Slot,
    keys: KeyBatch<'k>,
    habit: Habit,
}

impl Ahead<'_> {
    /// Before the first entry.
    fn begin(&self, below: &Below<'_>) {
        if self.habit.below {
            (0..3 * STRIDE).for_each(|index| self.ask_lately(below, index));
        }
        if self.habit.searched {
            (0..2 * STRIDE).for_each(|index| self.ask_buckets(below, index));
            (0..STRIDE).for_each(|index| self.ask_entries(below, index));
        }
    }

    /// Before each entry.
    #[inline]
    fn step(&self, below: &Below<'_>, index: usize) {
        if self.habit.below {
            self.ask_lately(below, index.saturating_add(3 * STRIDE));
        }
        if self.habit.searched {
            self.ask_buckets(below, index.saturating_add(2 * STRIDE));
            self.ask_entries(below, index.saturating_add(STRIDE));
        }
    }

    /// What this batch was like.
    const fn habit_of(&self, asked: usize, searched: usize) -> Habit {
        let keys = self.keys.len();
        Habit { below: asked.saturating_mul(8) > keys, searched: searched.saturating_mul(4) > keys }
    }

    #[inline]
    fn ask_lately(&self, below: &Below<'_>, index: usize) {
        if let Some(key) = self.keys.get(index) {
            let _asked = below.reads.spot(self.slot, &key);
        }
    }

    /// The key at an index, if it has to be searched.
    fn searched(&self, below: &Below<'_>, index: usize) -> Option<StateKey<'_>> {
        let key = self.keys.get(index)?;
        if below.reads.holds(below.reads.spot(self.slot, &key), &key) {
            None
        } else {
            Some(key.hashed())
        }
    }

    fn ask_buckets(&self, below: &Below<'_>, index: usize) {
        if let Some(key) = self.searched(below, index) {
            below.segments.ask_for_buckets(self.slot, key.key_group(), key.entry_hash());
        }
    }

    fn ask_entries(&self, below: &Below<'_>, index: usize) {
        if let Some(key) = self.searched(below, index) {
            below.segments.ask_for_entries(self.slot, key.key_group(), key.entry_hash());
        }
    }
}
