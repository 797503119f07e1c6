//! Opens a store: fresh, restored or rescaled.
//!
//! # How
//! Native snapshots of this backend are taken as they are: the one that has most of the store's key groups becomes its
//! database, and is cut to them; what others have is grafted on. Until that is done, the database does not compact. State files are read oldest first, each limited to the key groups that the store owns and for which the file is live,
//! and their records written to a fresh database in batches. What a store adds to what the reader verifies is that
//! keys belong to the key group under which they lie, and that pieces of a list follow one another.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_state_api::format::{ListSegment, Record};
use alluvium_state_api::schema::{KeySpace, StateKind};
use alluvium_state_api::{
    CheckpointId, EntryKey, Error, KeyGroup, KeyGroupRange, OpenEnv, RestorePart, Result, Slot,
    StateDirectory, StateOperation, restore_part,
};
use rocksdb::WriteBatch;

use crate::address::{set_entry_address, successor};
use crate::background::Jobs;
use crate::cache::WriteBack;
use crate::chain::{Chain, Uploads};
use crate::database::Database;
use crate::figures::Recording;
use crate::joining::Joiner;
use crate::list::Growing;
use crate::local::LocalDirectory;
use crate::native::{Cut, Former, Numbers, found, graft, is_native, numbers_of, tidy};
use crate::ops::list_at;
use crate::options::{BatchLimits, RocksOptions, Tuned};
use crate::states::{State, States};
use crate::store::{Buffers, RocksStore};

impl RocksStore {
    /// Opens a store with default options: see [`open_with`](Self::open_with).
    ///
    /// # Errors
    /// As there.
    pub fn open(env: OpenEnv) -> Result<Self> {
        Self::open_with(env, RocksOptions::default())
    }

    /// Opens a store for the key groups that `env` names, with what it says to restore, in
    /// [`OpenEnv::local_dir`]: a private directory on a file system of the operating system, of which an
    /// earlier store's database is removed.
    ///
    /// # Errors
    /// `InvalidInput` without a local directory, for options out of bounds, and where another store has the
    /// directory; `Incompatible` where parts do not fit the key space or each other; `Corrupted`, `NotFound`,
    /// `Unavailable` where files cannot be read, or RocksDB fails.
    pub fn open_with(env: OpenEnv, options: RocksOptions) -> Result<Self> {
        let tuned = options.tuned()?;
        let unwritten = options.write_back.unwritten_bytes;
        let cache = WriteBack::new(Arc::clone(&tuned.write_back), unwritten, options.batches);
        let parts = Parts::of(&env, options.rescaling.least_overlap)?;
        let local = LocalDirectory::open(&env)?;
        let space = env.key_space.clone();
        let mut directory = StateDirectory::default();
        for state in env.restore.iter().flat_map(|part| &part.snapshot.states) {
            directory.adopt(&state.meta)?;
        }
        let whole = parts.found(local, tuned, &directory, &space, &options)?;
        let Restored { database, mut states, chain, cuts } = whole;
        parts.estimate(&mut states)?;
        let mut loader = Loader {
            database: &database,
            space: &space,
            limits: options.batches,
            chained: parts.state_files.iter().any(|(part, _)| part.snapshot.files.len() > 1),
            states,
            batch: WriteBatch::default(),
            open: None,
            buffers: Buffers::default(),
        };
        for (part, range) in &parts.state_files {
            restore_part(part, *range, &directory, &mut |slot, group, record| {
                loader.apply(slot, group, record)
            })?;
        }
        loader.write()?;
        let Loader { states, .. } = loader;
        let database = Arc::new(database);
        let mut jobs = Jobs::of(&database, env.spawner);
        if options.rescaling.compacts {
            tidy(&mut jobs, cuts)?;
        }
        let joiner = Joiner::new(options.joining, env.clock);
        let recording = Recording::new(env.recorder, options.figures.clone());
        Ok(Self {
            jobs,
            joiner,
            database,
            cache,
            recording,
            space,
            states,
            buffers: Buffers::default(),
            options,
            poison: crate::failure::Poison::default(),
            chain,
        })
    }
}

/// A store's database with what native snapshots have, and what is known of it.
struct Restored {
    database: Database,
    states: States,
    chain: Chain,
    /// What was cut off.
    cuts: Vec<Cut>,
}

/// The numbers of states in several databases: those of the first one, and of the others what does not contradict them.
fn common_numbers<'n>(databases: impl Iterator<Item = &'n Numbers>) -> Numbers {
    let (mut all, mut taken) = (Numbers::new(), BTreeSet::new());
    for numbers in databases {
        for (name, id) in numbers {
            if !all.contains_key(name) && taken.insert(*id) {
                all.insert(name.clone(), *id);
            }
        }
    }
    all
}

/// What is to be restored, by how that is done, each with the key groups that the store takes of it.
#[derive(Debug, Default)]
struct Parts<'a> {
    /// The native snapshot that becomes the database.
    founder: Option<(&'a RestorePart, KeyGroupRange)>,
    /// Other native ones.
    grafts: Vec<(&'a RestorePart, KeyGroupRange)>,
    state_files: Vec<(&'a RestorePart, KeyGroupRange)>,
}

impl<'a> Parts<'a> {
    /// `least_overlap` is the part of a former store's key groups that must be wanted of a founder.
    fn of(env: &'a OpenEnv, least_overlap: f64) -> Result<Self> {
        let mut parts = Self::default();
        for (part, range) in env.restore.iter().zip(env.restore_plan()?) {
            let native = is_native(&part.snapshot)?;
            match (range.is_empty(), native) {
                (true, _) => {}
                (false, false) => parts.state_files.push((part, range)),
                (false, true) => parts.grafts.push((part, range)),
            }
        }
        let largest = (0..parts.grafts.len()).max_by_key(|at| {
            parts.grafts.get(*at).map_or(0, |(_, range)| range.end() - range.start())
        });
        let founds = |at: &usize| {
            parts.grafts.get(*at).is_some_and(|(part, range)| {
                let groups = |range: KeyGroupRange| f64::from(range.end() - range.start());
                groups(*range) >= least_overlap * groups(part.snapshot.range)
            })
        };
        parts.founder = largest.filter(founds).map(|largest| parts.grafts.swap_remove(largest));
        Ok(parts)
    }

    /// Makes the database with what native snapshots have; nothing is compacted before all of it is there.
    fn found(
        &self,
        local: LocalDirectory,
        tuned: Tuned,
        directory: &StateDirectory,
        space: &KeySpace,
        options: &RocksOptions,
    ) -> Result<Restored> {
        let former = |(part, range): &(&'a RestorePart, KeyGroupRange)| {
            Ok(Former { part, range: *range, numbers: numbers_of(part)? })
        };
        let founder = self.founder.as_ref().map(former).transpose()?;
        let grafts = self.grafts.iter().map(former).collect::<Result<Vec<_>>>()?;
        let numbers = common_numbers(founder.iter().chain(&grafts).map(|former| &former.numbers));
        let mut states = States::of(directory.clone(), numbers, space.identity())?;
        if founder.is_some() || !grafts.is_empty() {
            states.expect_chunks();
        }
        let (database, mut uploads, mut cuts) = if let Some(former) = &founder {
            let founded = found(local, tuned, former, options.rescaling.drops_files)?;
            (founded.database, founded.uploads, founded.cuts)
        } else {
            let is_still = !grafts.is_empty();
            (Database::create(local, tuned, is_still)?, Uploads::new(), Vec::new())
        };
        for former in &grafts {
            let grafted = graft(&database, former, space.range(), &states, options)?;
            uploads.extend(grafted.uploads);
            cuts.extend(grafted.cuts);
        }
        database.compact_from_now_on()?;
        let mut chain = Chain::default();
        if let Some(base) = self.common_base()
            && (founder.is_some() || !uploads.is_empty())
        {
            chain.restored(base, uploads);
        }
        Ok(Restored { database, states, chain, cuts })
    }

    fn all(&self) -> impl Iterator<Item = &(&'a RestorePart, KeyGroupRange)> {
        self.founder.iter().chain(&self.grafts).chain(&self.state_files)
    }

    /// The checkpoint of this job that all parts belong to, if there is one.
    fn common_base(&self) -> Option<CheckpointId> {
        let mut bases = self.all().map(|(part, _)| part.base);
        let first = bases.next().flatten()?;
        bases.all(|base| base == Some(first)).then_some(first)
    }

    /// Estimates how many entries came with native snapshots, of which a store may take some key groups only.
    fn estimate(&self, states: &mut States) -> Result<()> {
        for (part, range) in self.founder.iter().chain(&self.grafts) {
            let length = |range: KeyGroupRange| u128::from(range.end() - range.start());
            let (taken, all) = (length(*range), length(part.snapshot.range).max(1));
            for state in &part.snapshot.states {
                let entries = u128::from(state.entries.get()) * taken / all;
                let entries = u64::try_from(entries).unwrap_or(u64::MAX);
                if let Some(slot) = states.directory.find(&state.meta.name) {
                    states.find(slot, StateOperation::Any)?.1.count(entries, 0);
                }
            }
        }
        Ok(())
    }
}

/// A list whose pieces are being loaded.
struct OpenList {
    address: Vec<u8>,
    /// The bounds that stand before what is stored.
    bounds: Vec<u8>,
    list: Growing,
}

/// What does not fit the codecs that its own snapshot names is damage.
#[cold]
fn misfit(error: Error) -> Error {
    Error::corrupted(error.message().to_owned()).with_source(error)
}

/// Fills a database.
struct Loader<'a> {
    database: &'a Database,
    space: &'a KeySpace,
    limits: BatchLimits,
    /// Whether a file may replace what an earlier one had.
    chained: bool,
    states: States,
    batch: WriteBatch,
    open: Option<OpenList>,
    buffers: Buffers,
}

impl Loader<'_> {
    /// Applies one record.
    fn apply(&mut self, slot: Slot, group: KeyGroup, record: Record<'_>) -> Result<()> {
        let state = *self.states.find(slot, StateOperation::Any)?.1;
        let entry = match record {
            Record::Entry(entry, _) | Record::Tombstone(entry) | Record::MapRemoval(entry) => entry,
            Record::List(piece) | Record::Append(piece) => piece.key,
        };
        if self.space.group_of(entry.key())? != group {
            let text = "a key lies in a key group that it does not belong to";
            return Err(Error::corrupted(text).with_key_group(group));
        }
        set_entry_address(&mut self.buffers.address, state.id, group, entry);
        if self.open.as_ref().is_some_and(|open| open.address != self.buffers.address) {
            self.close();
        }
        match record {
            Record::Entry(entry, value) => self.put(slot, state, entry, value)?,
            Record::List(piece) | Record::Append(piece) => self.extend(slot, state, &piece)?,
            Record::Tombstone(_) if state.kind == StateKind::List => self.drop_list(slot, state)?,
            Record::Tombstone(_) => {
                self.batch.delete(&self.buffers.address);
                self.count(slot, 0, 1)?;
            }
            Record::MapRemoval(_) => {
                let end = successor(&self.buffers.address);
                self.batch.delete_range(&self.buffers.address, &end);
            }
        }
        if self.limits.reached(&self.batch) && self.open.is_none() {
            self.write()?;
        }
        Ok(())
    }

    fn count(&mut self, slot: Slot, came: u64, gone: u64) -> Result<()> {
        self.states.find(slot, StateOperation::Any)?.1.count(came, gone);
        Ok(())
    }

    fn put(&mut self, slot: Slot, state: State, entry: EntryKey<'_>, value: &[u8]) -> Result<()> {
        if state.kind == StateKind::List {
            return Err(Error::corrupted("a value for a list state"));
        }
        let stored = &mut self.buffers.stored;
        stored.clear();
        state.shape.wrap(entry, stored).map_err(misfit)?;
        stored.extend_from_slice(value);
        self.batch.put(&self.buffers.address, stored);
        self.count(slot, 1, 0)
    }

    /// Adds a piece of a list; the first one replaces what there was.
    fn extend(&mut self, slot: Slot, state: State, piece: &ListSegment<'_>) -> Result<()> {
        if state.kind != StateKind::List {
            return Err(Error::corrupted("list elements for a state of another kind"));
        }
        if piece.first == 0 {
            self.drop_list(slot, state)?;
        }
        if self.open.is_none() {
            let mut bounds = Vec::new();
            state.shape.wrap(piece.key, &mut bounds).map_err(misfit)?;
            let list = if piece.first == 0 { None } else { self.list(state)? };
            self.count(slot, u64::from(list.is_none()), 0)?;
            let (address, list) = (self.buffers.address.clone(), list.unwrap_or_default());
            self.open = Some(OpenList { address, bounds, list });
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let present = open.list.parts().size(0).elements;
        if present != piece.first {
            let first = piece.first;
            let text = format!("elements from index {first} on a list of {present}");
            return Err(Error::corrupted(text));
        }
        open.list.append(&open.address, piece.elements, &mut self.batch);
        if open.list.parts().head.is_some() {
            self.states.find(slot, StateOperation::List)?.1.may_have_chunks = true;
        }
        if self.limits.reached(&self.batch) {
            self.database.write(std::mem::take(&mut self.batch))?;
        }
        Ok(())
    }

    /// The list at the address, of an earlier file.
    fn list(&mut self, state: State) -> Result<Option<Growing>> {
        self.write()?;
        list_at(self.database, state.shape, &self.buffers.address)
    }

    /// Removes the list at the address, if an earlier file had one.
    fn drop_list(&mut self, slot: Slot, state: State) -> Result<()> {
        self.close();
        if !self.chained {
            return Ok(());
        }
        if let Some(list) = self.list(state)? {
            if let Some(head) = list.parts().head {
                head.remove_chunks(&self.buffers.address, &mut self.batch);
            }
            self.batch.delete(&self.buffers.address);
            self.count(slot, 0, 1)?;
        }
        Ok(())
    }

    /// Stores the list that is being loaded, but for what went into chunks.
    fn close(&mut self) {
        if let Some(OpenList { address, mut bounds, list }) = self.open.take()
            && !list.parts().is_empty()
        {
            list.encode(&mut bounds);
            self.batch.put(&address, &bounds);
        }
    }

    /// Writes the batch, with the head of a list that is being loaded.
    fn write(&mut self) -> Result<()> {
        self.close();
        self.database.write(std::mem::take(&mut self.batch))
    }
}
