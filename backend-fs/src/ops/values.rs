//! Entries with one value: reading, writing, changing, singly and in batches.

use alluvium_state_api::{
    Change, KeyBatch, KeyedStore, Modify, ModifyEach, Result, Slot, StateKey, VisitEach,
};

use crate::layer::Cover;
use crate::store::{FsStore, Parts};

impl FsStore {
    /// [`KeyedStore::put`].
    pub(crate) fn put_value(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        let inner = self.inner(slot)?;
        self.layer.main.put(inner, key, value)
    }

    /// [`KeyedStore::remove`] of any entry but a list.
    pub(crate) fn remove_value(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        let inner = self.inner(slot)?;
        self.layer.main.remove(inner, key)?;
        if self.has_below { self.layer.split().1.mark(slot, key) } else { Ok(()) }
    }

    /// [`KeyedStore::modify`].
    pub(crate) fn modify_value(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        change: &mut Modify<'_>,
    ) -> Result<()> {
        let inner = self.inner(slot)?;
        if !self.has_below {
            return self.layer.main.modify(inner, key, change);
        }
        let (main, mut parts) = self.parts();
        main.modify(inner, key, &mut |old, out| {
            let outcome = match old {
                Some(value) => change(Some(value), out)?,
                None => change_below(&mut parts, slot, key, out, change)?,
            };
            if outcome == Change::Remove {
                parts.covers.mark(slot, key)?;
            }
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
        let (main, mut parts) = self.parts();
        main.get_many(inner, keys, &mut |index, value| {
            if value.is_some() {
                return visit(index, value);
            }
            match keys.get(index) {
                Some(key) => visit(index, parts.value(slot, &key)?),
                None => visit(index, None),
            }
        })
    }

    /// [`KeyedStore::modify_many`].
    pub(crate) fn modify_values(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        change: &mut ModifyEach<'_>,
    ) -> Result<()> {
        let inner = self.inner(slot)?;
        if !self.has_below {
            return self.layer.main.modify_many(inner, keys, change);
        }
        let (main, mut parts) = self.parts();
        main.modify_many(inner, keys, &mut |index, old, out| {
            let Some(key) = keys.get(index) else {
                return change(index, old, out);
            };
            let mut one = |old: Option<&[u8]>, out: &mut Vec<u8>| change(index, old, out);
            let outcome = match old {
                Some(value) => one(Some(value), out)?,
                None => change_below(&mut parts, slot, &key, out, &mut one)?,
            };
            if outcome == Change::Remove {
                parts.covers.mark(slot, &key)?;
            }
            Ok(outcome)
        })
    }
}

/// Changes an entry that the layer does not have.
fn change_below(
    parts: &mut Parts<'_>,
    slot: Slot,
    key: &StateKey<'_>,
    out: &mut Vec<u8>,
    change: &mut Modify<'_>,
) -> Result<Change> {
    change(parts.value(slot, key)?, out)
}

impl Parts<'_> {
    /// The value of an entry that the layer does not have.
    #[inline]
    pub(crate) fn value(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        if self.covers.of(slot, key)? == Cover::Gone {
            return Ok(None);
        }
        self.below.again().value(slot, key)
    }
}
