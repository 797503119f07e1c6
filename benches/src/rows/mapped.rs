//! The backend on the file system against the one in memory, on the same accesses.
//!
//! * *Restored*: everything is in one segment, and the write layer is empty. The first round, which does
//!   not count, verifies the blocks; what that costs is shown by a row of its own, `first-touch`.
//! * *Steady*: a restored store after so many random updates as it has keys, so that the write layer has
//!   63 % of them: reads find some there, and go on to the segment for the others.
//! * *Spilling*: an eighth of the keys fits into the write layer, so that it is sealed, written and merged
//!   all the time, on other threads. Wall-clock time counts there, processor time elsewhere.

use alluvium_backend_fs::{FsOptions, FsStore};
use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::Result;

use super::Lab;
use super::increments::Checkpoint;
use super::restore::checkpoint;
use crate::Outcome;
use crate::clock::Meter;
use crate::disk::Disk;
use crate::engine::fs_store;
use crate::keys::accesses;
use crate::rounds::against;
use crate::row::{Bar, Row};
use crate::subject::Subject;

const AGAINST_MEMORY: Bar = Bar::AtLeast(0.5, 0.8);

/// Bytes of the write layer for each key where it spills; an entry takes about 24 in one half of it.
const SPILLING_BYTES_PER_KEY: u64 = 6;

/// Both backends with the same entries.
struct Sides {
    ours: Subject<FsStore>,
    memory: Subject<MemoryStore>,
}

type Ours = fn(&mut Subject<FsStore>, &[u64]) -> Result<u64>;
type Memory = fn(&mut Subject<MemoryStore>, &[u64]) -> Result<u64>;

const GET: (Ours, Memory) = (Subject::get, Subject::get);
const GET_BATCHED: (Ours, Memory) = (Subject::get_batched, Subject::get_batched);
const UPDATE: (Ours, Memory) = (Subject::update, Subject::update);
const UPDATE_BATCHED: (Ours, Memory) = (Subject::update_batched, Subject::update_batched);

fn restored(disk: &mut Disk, from: &Checkpoint, options: FsOptions) -> Outcome<Subject<FsStore>> {
    let part = disk.part(from);
    Ok(Subject::over(fs_store(disk, vec![part], options)?)?)
}

impl Sides {
    fn restored(lab: &mut Lab, options: FsOptions) -> Outcome<Self> {
        let (keys, mut disk) = (lab.sizes.small, lab.disk()?);
        let from = checkpoint::<FsStore>(&mut disk, keys)?;
        let sides =
            Self { ours: restored(&mut disk, &from, options)?, memory: Subject::memory(keys)? };
        lab.disk = Some(disk);
        Ok(sides)
    }

    fn steady(lab: &mut Lab) -> Outcome<Self> {
        let mut sides = Self::restored(lab, FsOptions::default())?;
        let keys = lab.sizes.small;
        let sequence = accesses(keys, usize::try_from(keys)?, 17);
        sides.ours.update(&sequence)?;
        sides.memory.update(&sequence)?;
        Ok(sides)
    }

    fn compare(
        &mut self,
        lab: &Lab,
        meter: Meter,
        (ours, memory): (Ours, Memory),
    ) -> Outcome<Vec<f64>> {
        let (keys, count) = (lab.sizes.small, lab.sizes.accesses);
        let sequences: Vec<Vec<u64>> = (20..23).map(|seed| accesses(keys, count, seed)).collect();
        let of = |round: usize| sequences.get(round % 3).map_or(&[][..], Vec::as_slice);
        against(
            meter,
            lab.sizes.rounds,
            self,
            |sides, round| Ok(ours(&mut sides.ours, of(round))?),
            |sides, round| Ok(memory(&mut sides.memory, of(round))?),
        )
    }
}

pub(super) fn get_restored(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let mut sides = Sides::restored(lab, FsOptions::default())?;
    let one_by_one = sides.compare(lab, Meter::Processor, GET)?;
    let batched = sides.compare(lab, Meter::Processor, GET_BATCHED)?;
    let first_touch = first_touch(lab, &mut sides.memory)?;
    Ok(vec![
        Row::new(name, "x", AGAINST_MEMORY, one_by_one),
        Row::note(format!("{name}/batch64"), "x", batched),
        Row::note(format!("{name}/first-touch"), "x", first_touch),
    ])
}

/// Gets of each key once or not at all, in a store that was just restored.
fn first_touch(lab: &mut Lab, memory: &mut Subject<MemoryStore>) -> Outcome<Vec<f64>> {
    let (keys, mut disk, mut ratios) = (lab.sizes.small, lab.disk()?, Vec::new());
    let from = checkpoint::<FsStore>(&mut disk, keys)?;
    for round in 0..lab.sizes.rounds as u64 {
        let sequence = accesses(keys, lab.sizes.accesses / 20, 30 + round);
        let mut ours = restored(&mut disk, &from, FsOptions::default())?;
        let (of_ours, ours_s) = Meter::Processor.time(|| ours.get(&sequence));
        let (of_memory, memory_s) = Meter::Processor.time(|| memory.get(&sequence));
        if of_ours? != of_memory? {
            return Err("the sides disagree after a restore".into());
        }
        ratios.push(memory_s / ours_s);
    }
    lab.disk = Some(disk);
    Ok(ratios)
}

pub(super) fn get(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let mut sides = Sides::steady(lab)?;
    let one_by_one = sides.compare(lab, Meter::Processor, GET)?;
    let batched = sides.compare(lab, Meter::Processor, GET_BATCHED)?;
    Ok(vec![
        Row::new(name, "x", AGAINST_MEMORY, one_by_one),
        Row::note(format!("{name}/batch64"), "x", batched),
    ])
}

pub(super) fn update(lab: &mut Lab, name: &str) -> Outcome<Vec<Row>> {
    let mut sides = Sides::steady(lab)?;
    let one_by_one = sides.compare(lab, Meter::Processor, UPDATE)?;
    let batched = sides.compare(lab, Meter::Processor, UPDATE_BATCHED)?;
    drop(sides);
    let mut options = FsOptions::default();
    options.write_buffer_bytes = lab.sizes.small * SPILLING_BYTES_PER_KEY;
    let spilling = Sides::restored(lab, options)?.compare(lab, Meter::Wall, UPDATE)?;
    Ok(vec![
        Row::new(name, "x", AGAINST_MEMORY, one_by_one),
        Row::note(format!("{name}/batch64"), "x", batched),
        Row::note(format!("{name}/spilling"), "x", spilling),
    ])
}
