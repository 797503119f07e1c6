//! Rewrites all values of a state after its codec changed: all segments become one.

use alluvium_state_api::format::{FileForm, WriteOptions};
use alluvium_state_api::{Error, KeyedStore, Result, Rewrite, Slot, StateOperation};

use crate::build::merge::{Extent, Merge, Rewriting, live_ranges};
use crate::store::FsStore;

impl FsStore {
    /// [`KeyedStore::rewrite`]. Called before the state is used, so that the layer has none of it.
    pub(crate) fn rewrite_state(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        self.attend()?;
        let rewritten = self.rewrite_segments(slot, rewrite);
        if let Err(error) = &rewritten {
            self.poison(error);
        }
        rewritten
    }

    fn rewrite_segments(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        self.finish_spill()?;
        self.finish_merge()?;
        if self.segments.is_empty() {
            return Ok(());
        }
        let name = self.directory.check(slot, StateOperation::Any)?.name.clone();
        let spec = self.spec(FileForm::Full);
        let state = spec.states.iter().position(|state| state.name == name);
        let state = state
            .and_then(|state| u16::try_from(state).ok())
            .ok_or_else(|| Error::unsupported("a snapshot holds at most 65,535 states"))?;
        let sources = self.segments.all().to_vec();
        let range = self.key_space().range();
        let live = live_ranges(&sources, range);
        let mut options = WriteOptions::default();
        options.lookups = true;
        let merge = Merge { sources: &sources, extent: Extent::All, pace: None };
        let (file, to) = self.workshop.begin()?;
        let written = merge.write(spec, to, options, Some(Rewriting { state, rewrite }))?;
        let segment = self.workshop.segment(file, written, range, live)?;
        self.segments.set(vec![segment]);
        self.reads.clear();
        self.chain.reset();
        Ok(())
    }
}
