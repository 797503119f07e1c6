//! Copies entries of another database: they are read in order, written into tables, and these become part of the database
//! as they are. So nothing goes through write buffers or is sorted again, unless settings want batches.

use std::path::{Path, PathBuf};

use alluvium_state_api::{KeyGroup, KeyGroupRange, Result};
use rocksdb::{IngestExternalFileOptions, SstFileWriter, WriteBatch};

use super::graft::Scratch;
use crate::address::{StateId, prefix};
use crate::database::{Database, Db};
use crate::failure::failed;
use crate::options::RocksOptions;
use crate::walk::check;

/// A table takes entries while it has less.
const TABLE_BYTES: u64 = 64 << 20;

/// Adds the entries of `range` that `other` has, of states whose `numbers` are known here and there, in ascending order of
/// ours.
///
/// # Errors
/// `Corrupted`, `Unavailable`.
pub(super) fn copy(
    database: &Database,
    other: &Db,
    range: KeyGroupRange,
    numbers: &[(StateId, StateId)],
    options: &RocksOptions,
    scratch: &Scratch<'_>,
) -> Result<()> {
    let mut tables = Tables { database, directory: &scratch.path, current: None, made: Vec::new() };
    let mut batch = WriteBatch::default();
    let mut iterator = other.raw_iterator();
    let mut address = Vec::new();
    for group in (range.start()..range.end()).map(KeyGroup::new) {
        for (ours, theirs) in numbers {
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
