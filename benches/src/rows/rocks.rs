//! The backend on RocksDB against the bare crate `rocksdb` with the same options, on the same keys and values of 8
//! bytes, in wall-clock time, since both have threads of their own.
//!
//! What makes it fair: both sides have a memory budget of their own of the same size; the bare one gives all of it to
//! cache and write buffers. Its keys are those of the state, without key group and state. Neither has a write-ahead
//! log. A round of ours that writes ends with the synchronous phase of a snapshot, so that nothing of it is put off
//! to the next one. Where only reads are compared, both have flushed and compacted what they have: otherwise it
//! would be chance how many tables a read has to look into, between one and five.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use alluvium_backend_rocksdb::rocksdb::properties::NUM_RUNNING_COMPACTIONS;
use alluvium_backend_rocksdb::rocksdb::{ColumnFamilyDescriptor, DB, Options, WriteOptions};
use alluvium_backend_rocksdb::{
    MemoryBudget, OptionsHook, ProcessBudget, RocksOptions, RocksStore,
};
use alluvium_state_api::snapshot::{SnapshotKind, SnapshotRequest};
use alluvium_state_api::{ListDescriptor, ListState, RestorePart, Result};

use super::Lab;
use crate::Outcome;
use crate::disk::Disk;
use crate::engine::{Engine, environment};
use crate::keys::{accesses, key};
use crate::rounds::with_rate;
use crate::row::{Bar, Row};
use crate::subject::Subject;
use crate::workload::draw::Pattern;

const UNIFORM: Bar = Bar::AtLeast(0.9, 1.2);
const ZIPF: Bar = Bar::AtLeast(3.0, 10.0);
/// An access takes microseconds: one in so many of those that rows of other backends have.
const PART_OF_READS: usize = 8;
/// The same of writes, of which a round must have many more than a snapshot finds unwritten.
const PART_OF_WRITES: usize = 2;
/// The merge operator of lists puts pieces end to end, whoever's they are.
const LIST: ListDescriptor<u64> = ListDescriptor::new("list");

/// The options of a side: default ones, and a memory budget of its own.
pub(super) fn options() -> RocksOptions {
    let mut options = RocksOptions::default();
    options.memory = MemoryBudget::PerSlot(ProcessBudget::default());
    options
}

/// Has each table compacted that is flushed.
#[derive(Debug)]
struct AtOnce;

impl OptionsHook for AtOnce {
    fn column_family(&self, options: &mut Options) {
        options.set_level_zero_file_num_compaction_trigger(1);
    }
}

fn store(disk: &mut Disk, parts: Vec<RestorePart>, options: RocksOptions) -> Result<RocksStore> {
    let environment = environment(parts)?.with_local_dir(disk.fresh_path());
    RocksStore::open_with(environment, options)
}

impl Engine for RocksStore {
    fn store(disk: &mut Disk, parts: Vec<RestorePart>) -> Result<Self> {
        store(disk, parts, options())
    }
}

/// The bare crate.
struct Bare {
    db: DB,
    write: WriteOptions,
}

impl Bare {
    fn open(disk: &mut Disk, options: &RocksOptions) -> Outcome<Self> {
        let (mut database, family) = options.to_rocksdb()?;
        database.create_if_missing(true);
        let family = ColumnFamilyDescriptor::new("default", family);
        let db = DB::open_cf_descriptors(&database, disk.fresh_path(), [family])?;
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        Ok(Self { db, write })
    }

    fn value(&self, key: u64) -> Outcome<u64> {
        Ok(match self.db.get_pinned(key.to_be_bytes())? {
            Some(value) => u64::from_le_bytes(value.as_ref().try_into()?),
            None => 0,
        })
    }

    fn set(&self, key: u64, value: u64) -> Outcome<()> {
        Ok(self.db.put_opt(key.to_be_bytes(), value.to_le_bytes(), &self.write)?)
    }

    #[inline(never)]
    fn get(&self, keys: &[u64]) -> Outcome<u64> {
        keys.iter().try_fold(0u64, |sum, key| Ok(sum.wrapping_add(self.value(*key)?)))
    }

    #[inline(never)]
    fn put(&self, keys: &[u64]) -> Outcome<u64> {
        keys.iter().try_for_each(|key| self.set(*key, *key))?;
        Ok(0)
    }

    #[inline(never)]
    fn update(&self, keys: &[u64]) -> Outcome<u64> {
        keys.iter().try_fold(0u64, |sum, key| {
            let value = self.value(*key)?;
            self.set(*key, value.wrapping_add(1))?;
            Ok(sum.wrapping_add(value))
        })
    }

    /// Appends an element with its length in front of it, as a list has it.
    #[inline(never)]
    fn append(&self, keys: &[u64]) -> Outcome<u64> {
        for key in keys {
            let mut element = [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let (_, payload) = element.split_at_mut(4);
            payload.copy_from_slice(&key.to_le_bytes());
            self.db.merge_opt(key.to_be_bytes(), element, &self.write)?;
        }
        Ok(0)
    }
}

/// Both sides with the same entries.
struct Sides {
    ours: Subject<RocksStore>,
    bare: Bare,
    disk: Disk,
}

impl Sides {
    /// Both sides with `keys` entries; if they rest, nothing is left to be flushed or compacted.
    fn filled(lab: &mut Lab, keys: u64, rest: bool) -> Outcome<Self> {
        let (mut disk, mut options) = (lab.disk()?, options());
        if rest {
            options.hook = Some(Arc::new(AtOnce));
        }
        let bare = Bare::open(&mut disk, &options)?;
        let ours = store(&mut disk, Vec::new(), options)?;
        let mut sides = Self { ours: Subject::over(ours)?, bare, disk };
        sides.ours.fill(0, keys)?;
        (0..keys).try_for_each(|number| sides.bare.set(key(number), number))?;
        if rest {
            sides.rest()?;
        } else {
            sides.settle(SnapshotKind::Full)?;
        }
        Ok(sides)
    }

    /// Begins a snapshot of ours and abandons it: what is not in the database yet goes there; for an increment, into its files.
    fn settle(&mut self, kind: SnapshotKind) -> Outcome<()> {
        let attempt = self.disk.begin()?;
        drop(self.ours.backend.snapshot(&SnapshotRequest::new(attempt.id, kind))?);
        self.ours.backend.checkpoint_aborted(attempt.id)?;
        Ok(attempt.remove()?)
    }

    /// Flushes both sides and waits until neither has compacted anything for a while.
    fn rest(&mut self) -> Outcome<()> {
        self.settle(SnapshotKind::Incremental)?;
        self.bare.db.flush()?;
        let mut idle = 0;
        while idle < 20 {
            thread::sleep(Duration::from_millis(10));
            let running = self.bare.db.property_int_value(NUM_RUNNING_COMPACTIONS)?.unwrap_or(0)
                + u64::from(self.ours.backend.statistics().compactions_in_flight);
            idle = if running == 0 { idle + 1 } else { 0 };
        }
        Ok(())
    }
}

type Side = fn(&mut Sides, &[u64]) -> Outcome<u64>;

/// What both sides do.
struct Work {
    ours: Side,
    bare: Side,
    /// One in so many of the accesses of other rows.
    part: usize,
    /// Whether both rest before.
    rest: bool,
}

/// How keys are drawn, and how many there are.
type Drawn = (Pattern, u64);

fn compare(
    lab: &mut Lab,
    name: &str,
    (pattern, keys): Drawn,
    bar: Bar,
    work: &Work,
) -> Outcome<Vec<Row>> {
    let mut sides = Sides::filled(lab, keys, work.rest)?;
    let count = lab.sizes.accesses / work.part;
    let mut sequences = Vec::new();
    // No round repeats another one's accesses: what it kept would answer them.
    for seed in (50..).take(lab.sizes.rounds + 1) {
        sequences.push(match pattern {
            Pattern::Uniform => accesses(keys, count, seed),
            pattern => pattern.draw(keys, seed)?.take(count).collect(),
        });
    }
    let of = |round: usize| sequences.get(round).map_or(&[][..], Vec::as_slice);
    let rows = with_rate(
        (name, bar),
        (lab.sizes.rounds, count),
        &mut sides,
        |sides, round| (work.ours)(sides, of(round)),
        |sides, round| (work.bare)(sides, of(round)),
    )?;
    lab.disk = Some(sides.disk);
    Ok(rows)
}

const GET: Work = Work {
    ours: |sides, keys| Ok(sides.ours.get(keys)?),
    bare: |sides, keys| sides.bare.get(keys),
    part: PART_OF_READS,
    rest: true,
};

fn put_ours(sides: &mut Sides, keys: &[u64]) -> Outcome<u64> {
    sides.ours.put(keys)?;
    sides.settle(SnapshotKind::Full)?;
    Ok(0)
}

fn update_ours(sides: &mut Sides, keys: &[u64]) -> Outcome<u64> {
    let sum = sides.ours.update(keys)?;
    sides.settle(SnapshotKind::Full)?;
    Ok(sum)
}

fn append_ours(sides: &mut Sides, keys: &[u64]) -> Outcome<u64> {
    let list = sides.ours.backend.open(LIST)?;
    for key in keys {
        sides.ours.backend.at(key)?.list(list).add(key)?;
    }
    sides.settle(SnapshotKind::Full)?;
    Ok(0)
}

/// A workload that writes.
const fn writing(ours: Side, bare: Side) -> Work {
    Work { ours, bare, part: PART_OF_WRITES, rest: false }
}

const PUT: Work = writing(put_ours, |sides, keys| sides.bare.put(keys));
const UPDATE: Work = writing(update_ours, |sides, keys| sides.bare.update(keys));
const ADD: Work = writing(append_ours, |sides, keys| sides.bare.append(keys));
const SKEWED: Pattern = Pattern::Zipf(0.99);

pub(super) fn get_small(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let drawn = (Pattern::Uniform, lab.sizes.small);
    compare(lab, name, drawn, UNIFORM, &GET)
}

pub(super) fn get_large(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let drawn = (Pattern::Uniform, lab.sizes.large);
    compare(lab, name, drawn, UNIFORM, &GET)
}

pub(super) fn put_small(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let drawn = (Pattern::Uniform, lab.sizes.small);
    compare(lab, name, drawn, UNIFORM, &PUT)
}

pub(super) fn put_large(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let drawn = (Pattern::Uniform, lab.sizes.large);
    compare(lab, name, drawn, UNIFORM, &PUT)
}

pub(super) fn update_small(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let drawn = (SKEWED, lab.sizes.small);
    compare(lab, name, drawn, ZIPF, &UPDATE)
}

pub(super) fn update_large(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let drawn = (SKEWED, lab.sizes.large);
    compare(lab, name, drawn, ZIPF, &UPDATE)
}

pub(super) fn append(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let drawn = (Pattern::Uniform, lab.sizes.tiny);
    compare(lab, name, drawn, UNIFORM, &ADD)
}
