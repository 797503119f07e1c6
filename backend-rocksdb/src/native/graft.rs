//! Adds key groups of further native snapshots to a database: their entries are read in order, written into tables, and
//! these become part of the database as they are. So nothing goes through write buffers or is sorted again, unless settings
//! want batches.

use std::path::{Path, PathBuf};

use alluvium_state_api::{KeyGroup, KeyGroupRange, RestorePart, Result};
use rocksdb::{IngestExternalFileOptions, SstFileWriter, WriteBatch};

use super::adopt::adopt;
use super::found::check_noted;
use super::names::noted_states;
use crate::address::{StateId, prefix};
use crate::database::Database;
use crate::failure::failed;
use crate::options::RocksOptions;
use crate::states::States;
use crate::walk::check;

/// A table takes entries while it has less.
const TABLE_BYTES: u64 = 64 << 20;

/// A directory that goes away.
struct Scratch<'a> {
    database: &'a Database,
    path: PathBuf,
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the directory's next owner.
        drop(self.database.directory().remove_database(&self.path));
    }
}

/// Adds the entries of `range` that `part` has.
///
/// # Errors
/// `Corrupted`, `NotFound`, `Unavailable`.
pub(crate) fn graft(
    database: &Database,
    part: &RestorePart,
    range: KeyGroupRange,
    states: &States,
    options: &RocksOptions,
) -> Result<()> {
    let directory = database.directory();
    let scratch = Scratch { database, path: directory.fresh_database()? };
    adopt(&**directory.fs(), part, &scratch.path)?;
    let other = database.open_beside(&scratch.path)?;
    let theirs = noted_states(&other)?;
    check_noted(&part.snapshot, &theirs)?;
    let mut numbers: Vec<(StateId, StateId)> = Vec::new();
    for state in &part.snapshot.states {
        let name = &*state.meta.name;
        if let (Some(ours), Some(theirs)) = (states.number(name), theirs.get(name)) {
            numbers.push((ours, *theirs));
        }
    }
    numbers.sort_unstable();
    let mut tables = Tables { database, directory: &scratch.path, current: None, made: Vec::new() };
    let mut batch = WriteBatch::default();
    let mut iterator = other.raw_iterator();
    let mut address = Vec::new();
    for group in (range.start()..range.end()).map(KeyGroup::new) {
        for (ours, theirs) in &numbers {
            let (from, to) = (prefix(group, *theirs), prefix(group, *ours));
            iterator.seek(from);
            while let Some((key, value)) = iterator.item() {
                let Some(rest) = key.strip_prefix(&from) else {
                    break;
                };
                address.clear();
                address.extend_from_slice(&to);
                address.extend_from_slice(rest);
                if options.rescaling.ingests {
                    tables.put(&address, value)?;
                } else {
                    batch.put(&address, value);
                    if options.batches.reached(&batch) {
                        database.write(std::mem::take(&mut batch))?;
                    }
                }
                iterator.next();
            }
            check(&iterator)?;
        }
    }
    database.write(batch)?;
    tables.ingest()
}

/// Tables that are being made, in ascending order of keys.
struct Tables<'a> {
    database: &'a Database,
    directory: &'a Path,
    current: Option<(SstFileWriter<'a>, u64)>,
    made: Vec<PathBuf>,
}

impl Tables<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.current.as_ref().is_some_and(|(_, bytes)| *bytes >= TABLE_BYTES) {
            self.finish()?;
        }
        let (writer, bytes) = match &mut self.current {
            Some(current) => current,
            none => {
                let path = self.directory.join(format!("graft-{}.sst", self.made.len()));
                let writer = SstFileWriter::create(self.database.family_options());
                writer.open(&path).map_err(|error| failed("create a table", error))?;
                self.made.push(path);
                none.insert((writer, 0))
            }
        };
        *bytes += (key.len() + value.len()) as u64;
        writer.put(key, value).map_err(|error| failed("write a table", error))
    }

    fn finish(&mut self) -> Result<()> {
        let Some((mut writer, _)) = self.current.take() else {
            return Ok(());
        };
        writer.finish().map_err(|error| failed("finish a table", error))
    }

    /// Makes all tables part of the database.
    fn ingest(mut self) -> Result<()> {
        self.finish()?;
        if self.made.is_empty() {
            return Ok(());
        }
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        let ingested = self.database.db.ingest_external_file_opts(&options, self.made);
        ingested.map_err(|error| failed("ingest tables", error))
    }
}
