//! Lists: appended in the layer, read through all levels.

use alluvium_state_api::{
    Elements, KeyedStore, ListSize, Result, Slot, StateKey, StateOperation, VisitElement,
};

use crate::below::read_run;
use crate::layer::Run;
use crate::store::FsStore;

impl FsStore {
    /// What the layer has of a list; without anything below it is all there is.
    fn run(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Run> {
        if self.has_below { self.layer.run(slot, key) } else { Ok(Run::Whole) }
    }

    /// [`KeyedStore::append`].
    pub(crate) fn append_elements(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        let inner = self.inner(slot)?;
        if elements.is_empty() {
            return self.layer.main.append(inner, key, elements);
        }
        let run = self.run(slot, key)?;
        let base = match run {
            Run::Whole => return self.layer.main.append(inner, key, elements),
            Run::Gone => ListSize::default(),
            Run::Over(base) => base,
            Run::Open => self.below().list_size(slot, key)?,
        };
        if base.bytes > 0 {
            let run = self.layer.main.list_size(inner, key)?;
            let meta = self.directory.check(slot, StateOperation::List)?;
            let stamps = elements.count().saturating_mul(meta.stamp_bytes() as u64);
            let size = base.bytes.saturating_add(run.bytes).saturating_add(elements.size());
            let size = size.saturating_sub(stamps);
            meta.check_size(|| key.key_group(), size)?;
        }
        self.layer.main.append(inner, key, elements)?;
        if base.elements > 0 || run == Run::Gone {
            return self.layer.mark_list(slot, key, base);
        }
        Ok(())
    }

    /// [`KeyedStore::read_list`].
    pub(crate) fn read_elements(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        let inner = self.inner(slot)?;
        if !self.has_below {
            return self.layer.main.read_list(inner, key, visit);
        }
        let run = self.run(slot, key)?;
        let mut there = false;
        let most = match run {
            Run::Over(base) => base.elements,
            Run::Open => u64::MAX,
            Run::Whole | Run::Gone => 0,
        };
        if most > 0 {
            let (below, flow) = self.below().read_list(slot, key, most, visit)?;
            there = below;
            if flow.is_break() {
                return Ok(true);
            }
        }
        if run == Run::Gone || run == Run::Open {
            return Ok(there);
        }
        let (here, _) = read_run(&mut self.layer, inner, key, visit)?;
        Ok(there || here)
    }

    /// [`KeyedStore::replace_list`].
    pub(crate) fn replace_elements(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        let inner = self.inner(slot)?;
        self.layer.main.replace_list(inner, key, elements)?;
        self.hide_list(slot, key)
    }

    /// [`KeyedStore::remove`] of a list.
    pub(crate) fn remove_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        let inner = self.inner(slot)?;
        self.layer.main.remove(inner, key)?;
        self.hide_list(slot, key)
    }

    fn hide_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        if self.has_below {
            return self.layer.mark_list(slot, key, ListSize::default());
        }
        Ok(())
    }

    /// [`KeyedStore::list_size`].
    pub(crate) fn size_of_list(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        let inner = self.inner(slot)?;
        let base = match self.run(slot, key)? {
            Run::Gone => return Ok(ListSize::default()),
            Run::Open => return self.below().list_size(slot, key),
            Run::Over(base) => base,
            Run::Whole => ListSize::default(),
        };
        let run = self.layer.main.list_size(inner, key)?;
        Ok(ListSize {
            elements: base.elements.saturating_add(run.elements),
            bytes: base.bytes.saturating_add(run.bytes),
        })
    }
}
