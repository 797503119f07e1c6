//! Opens a store: fresh, restored or rescaled.
//!
//! # How
//! Of each part, the files are read oldest first, each limited to the key groups that the store owns
//! and for which the file is live. Blocks were verified by the reader before they arrive here; what a
//! store adds is that keys belong to the key group under which they lie, and that the number of
//! entries is what the snapshot says.
//!
//! # Cost
//! Tables get room for all entries first, and values of fixed width are sorted by the part of a large table
//! that they go to (`sorted.rs`). All entries are loaded in chunks whose cache misses overlap. An entry that a newer file
//! overwrites then costs what one that stays does, and a file of a chain no more than its bytes.

use std::sync::Arc;

use alluvium_state_api::format::{Block, Record, StateFile, StateTotals};
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::snapshot::{EntryCount, SnapshotFile};
use alluvium_state_api::{
    CheckpointId, Error, KeyGroupRange, OpenEnv, RestorePart, Result, Slot, StateOperation,
    open_state_file,
};

use crate::chain::{Base, ChainFile};
use crate::load::Loader;
use crate::sorted::Sorted;
use crate::store::MemoryStore;
use crate::table::Seed;
use crate::tables::state::State;

/// By slot: what waits for a table.
type Waiting = Vec<Option<Sorted>>;

impl MemoryStore {
    /// Opens a store for the key groups that `env` names, with what it says to restore.
    ///
    /// # Errors
    /// `Incompatible` where parts do not fit the key space or each other; `Corrupted`, `NotFound`,
    /// `Unavailable` where files cannot be read; `Unsupported` for files of another backend's own
    /// format.
    #[expect(clippy::needless_pass_by_value, reason = "what is restored goes with the environment")]
    pub fn open(env: OpenEnv) -> Result<Self> {
        let plan = env.restore_plan()?;
        let seed = Seed::new(env.randomness.next_u64(), env.randomness.next_u64());
        let mut store = Self::empty(env.key_space.clone(), seed);
        let (mut files, mut waiting) = (Vec::new(), Vec::new());
        for (part, range) in env.restore.iter().zip(&plan) {
            for summary in &part.snapshot.states {
                store.directory.adopt(&summary.meta)?;
            }
            store.add_states();
            waiting.resize_with(store.states.len(), || None);
            if files.is_empty() {
                store.reserve(&env.restore, &plan);
            }
            if !range.is_empty() {
                files.extend(store.restore_part(part, *range, &mut waiting)?);
            }
        }
        store.settle(&mut waiting)?;
        store.check_counts(&env.restore, &plan)?;
        store.adopt_base(&env.restore, &plan, files)?;
        Ok(store)
    }

    /// Prepares empty tables for the entries that there will be in the end: the oldest file of a chain
    /// may have but a part of them, and a table that grows while it is filled costs as much again.
    /// What the snapshots claim is believed up to an entry per byte of their files. Entries of all states count as
    /// equally long.
    fn reserve(&mut self, parts: &[RestorePart], plan: &[KeyGroupRange]) {
        let files = parts.iter().flat_map(|part| &part.snapshot.files);
        let most = files.map(|file| file.stored.length).fold(0u64, u64::saturating_add);
        let states = parts.iter().flat_map(|part| &part.snapshot.states);
        let all = states.map(|state| state.entries.get()).fold(0u64, u64::saturating_add);
        let mean = most.checked_div(all).unwrap_or(0);
        let mut scratch = Vec::new();
        for (slot, meta) in self.directory.by_name() {
            let expected = expected_entries(parts, plan, &meta.name);
            if let (Some(state), Some(entries)) = (self.states.get_mut(slot.index()), expected) {
                let entries = entries.min(most);
                let bytes = entries.saturating_mul(mean);
                Loader { state, meta, scratch: &mut scratch }.reserve(entries, bytes);
            }
        }
    }

    /// Puts what waits for them into tables.
    fn settle(&mut self, waiting: &mut Waiting) -> Result<()> {
        let mut scratch = Vec::new();
        for (slot, meta) in self.directory.by_name() {
            let at = slot.index();
            if let (Some(state), Some(waiting)) = (self.states.get_mut(at), waiting.get_mut(at)) {
                Loader { state, meta, scratch: &mut scratch }.settle(waiting, None)?;
            }
        }
        Ok(())
    }

    fn restore_part(
        &mut self,
        part: &RestorePart,
        range: KeyGroupRange,
        waiting: &mut Waiting,
    ) -> Result<Vec<ChainFile>> {
        let mut files = Vec::new();
        let mut fresh = true;
        for file in &part.snapshot.files {
            let live = file.live_within(range);
            if live.is_empty() {
                continue;
            }
            let opened = open_state_file(part, file)?;
            self.restore_file(&opened, (&live, fresh), waiting)?;
            fresh = false;
            let group_bytes = self.group_bytes(&opened);
            files.push(ChainFile { file: SnapshotFile { live, ..file.clone() }, group_bytes });
        }
        Ok(files)
    }

    fn group_bytes(&self, file: &StateFile) -> Arc<[u64]> {
        let range = self.space.range();
        let mut bytes = vec![0u64; usize::from(range.len())];
        for section in file.sections().iter().filter(|section| range.contains(section.group)) {
            let at = usize::from(section.group.index().saturating_sub(range.start()));
            if let Some(bytes) = bytes.get_mut(at) {
                *bytes = bytes.saturating_add(section.stored_bytes());
            }
        }
        bytes.into()
    }

    fn restore_file(
        &mut self,
        file: &StateFile,
        (live, fresh): (&[KeyGroupRange], bool),
        waiting: &mut Waiting,
    ) -> Result<()> {
        let mut slots = Vec::with_capacity(file.spec().states.len());
        for meta in &file.spec().states {
            slots.push(self.slot_of(meta)?);
        }
        let mut scratch = Vec::new();
        for (id, slot) in slots.iter().enumerate().filter(|_| fresh) {
            // As above, an entry per byte at most: the index may say anything.
            let believed = |totals: &StateTotals| {
                (totals.entries.min(totals.stored_bytes), totals.stored_bytes)
            };
            let totals = live.iter().filter_map(|range| file.totals(*range).get(id).map(believed));
            let (entries, bytes) = totals.fold((0u64, 0u64), |sum, totals| {
                (sum.0.saturating_add(totals.0), sum.1.saturating_add(totals.1))
            });
            self.loader(*slot, &mut scratch)?.reserve(entries, bytes);
        }
        let counts = |group| live.iter().any(|range| range.contains(group));
        let mut blocks = file.blocks_where(|section| counts(section.group));
        while let Some(block) = blocks.next_block()? {
            let slot = slots.get(usize::from(block.state())).copied();
            let slot =
                slot.ok_or_else(|| Error::bug("a block of a state that is not in its file"))?;
            let waiting = waiting.get_mut(slot.index());
            let waiting = waiting.ok_or_else(|| Error::bug("a state has no table"))?;
            self.load_block(slot, block, waiting, &mut scratch)?;
        }
        Ok(())
    }

    /// The state that a file calls by `meta`. Its values may have been written under an older schema
    /// that the newest one took over as it is, but not with another width.
    fn slot_of(&self, meta: &StateMeta) -> Result<Slot> {
        let unknown = || Error::corrupted("a file has a state that its snapshot does not list");
        let slot = self
            .directory
            .find(&meta.name)
            .ok_or_else(|| unknown().with_state(meta.name.clone()))?;
        let known = self.directory.check(slot, StateOperation::Any)?;
        known.check_against(meta)?;
        if known.value.width != meta.value.width {
            let text = format!("its values are {} in a file and {} now", meta.value, known.value);
            return Err(Error::incompatible(text).with_state(meta.name.clone()));
        }
        Ok(slot)
    }

    fn loader<'a>(&'a mut self, slot: Slot, scratch: &'a mut Vec<u8>) -> Result<Loader<'a>> {
        let meta = self.directory.check(slot, StateOperation::Any)?;
        match self.states.get_mut(slot.index()) {
            Some(state) => Ok(Loader { state, meta, scratch }),
            None => Err(Error::bug("a state has no table")),
        }
    }

    fn load_block(
        &mut self,
        slot: Slot,
        block: Block<'_>,
        waiting: &mut Option<Sorted>,
        scratch: &mut Vec<u8>,
    ) -> Result<()> {
        let meta = self.directory.check(slot, StateOperation::Any)?;
        let (space, Some(state)) = (&self.space, self.states.get_mut(slot.index())) else {
            return Err(Error::bug("a state has no table"));
        };
        let mut loader = Loader { state, meta, scratch };
        let check = |key: &[u8]| {
            if space.group_of(key)? == block.group() {
                return Ok(());
            }
            Err(Error::corrupted("a key lies in a key group that it does not belong to")
                .with_key_group(block.group()))
        };
        if let Some((layout, raw)) = block.fixed()
            && loader.put_all(layout, raw, waiting, check)?
        {
            return Ok(());
        }
        // Nothing begins to wait in a block that is put record by record.
        let waits = waiting.is_some();
        if !waits && block.entries().next().is_some() {
            return loader.put_entries(block.entries(), check);
        }
        for record in block.records() {
            match record {
                Record::Entry(entry, value) => {
                    check(entry.key())?;
                    if waits {
                        loader.settle(waiting, Some(entry))?;
                    }
                    loader.put(entry, value)?;
                }
                Record::List(segment) | Record::Append(segment) => {
                    check(segment.key.key())?;
                    loader.list(segment.key, segment.first, segment.elements)?;
                }
                Record::Tombstone(entry) => {
                    if waits {
                        loader.settle(waiting, Some(entry))?;
                    }
                    loader.remove(entry);
                }
                Record::MapRemoval(entry) => loader.remove_map(entry)?,
            }
        }
        Ok(())
    }

    /// Compares the number of entries with what the snapshots say, where they were taken whole.
    fn check_counts(&self, parts: &[RestorePart], plan: &[KeyGroupRange]) -> Result<()> {
        let whole = parts
            .iter()
            .zip(plan)
            .all(|(part, range)| range.is_empty() || *range == part.snapshot.range);
        for (slot, meta) in self.directory.by_name().filter(|_| whole) {
            let expected = expected_entries(parts, plan, &meta.name);
            let found = self.states.get(slot.index()).map_or(0, State::entries);
            if expected.is_some_and(|expected| expected != found) {
                return Err(Error::corrupted(format!(
                    "{found} entries were restored of {} that the snapshot counted",
                    expected.unwrap_or(0)
                ))
                .with_state(meta.name.clone()));
            }
        }
        Ok(())
    }

    /// Lets the next increment build on what was restored, if all of it belongs to one checkpoint of
    /// this job.
    fn adopt_base(
        &mut self,
        parts: &[RestorePart],
        plan: &[KeyGroupRange],
        files: Vec<ChainFile>,
    ) -> Result<()> {
        let used = parts.iter().zip(plan).filter(|(_, range)| !range.is_empty());
        let mut bases: Vec<Option<CheckpointId>> = used.map(|(part, _)| part.base).collect();
        bases.dedup();
        let ([Some(checkpoint)], false) = (bases.as_slice(), files.is_empty()) else {
            return Ok(());
        };
        let epochs = crate::snapshot::end_epoch(self)?;
        if let Some(base) = Base::new(*checkpoint, epochs, files) {
            self.chain.restored(base);
        }
        self.chain.last = Some(*checkpoint);
        Ok(())
    }
}

/// How many entries of a state the parts have in the ranges that are restored of them: of those that
/// are not taken whole, in proportion. `None` if one of them does not know.
fn expected_entries(parts: &[RestorePart], plan: &[KeyGroupRange], name: &str) -> Option<u64> {
    let mut sum = 0u64;
    for (part, range) in parts.iter().zip(plan).filter(|(_, range)| !range.is_empty()) {
        let mut states = part.snapshot.states.iter();
        match states.find(|state| *state.meta.name == *name).map(|state| state.entries) {
            Some(EntryCount::Exact(count)) if *range == part.snapshot.range => {
                sum = sum.saturating_add(count);
            }
            Some(EntryCount::Exact(count)) => {
                let whole = u64::from(part.snapshot.range.len()).max(1);
                let share = count.saturating_mul(u64::from(range.len())).checked_div(whole);
                sum = sum.saturating_add(share.unwrap_or(0));
            }
            Some(EntryCount::Estimate(_)) => return None,
            None => {}
        }
    }
    Some(sum)
}
