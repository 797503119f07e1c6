//! Cobble as a database of bytes: one shard of one bucket, with the other peers' memory.
//!
//! # What makes it fair
//! Its defaults, but for a block cache of 512 MiB like that of the others, and no log. Write buffers are of 64 MiB, two of
//! them, and there are no filters, as by its and our defaults. It keeps no log of writes, as it does not by default:
//! a snapshot makes durable what was written. It writes the snapshot in threads of its own, beside the writer, and
//! says when it is published and how many bytes are new. Lists are appended to by its default merge operator, which
//! concatenates.
//!
//! Buckets only matter to those who rescale it: [`rescale`](crate::rescale) has as many as our backends have key groups.

use std::fs::{read_dir, read_to_string, write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use alluvium_benches::Outcome;
use alluvium_benches::peers::{Finish, Kept, Store};
use cobble::{Config, Db, VolumeDescriptor};

/// Memory of the block cache.
const CACHE: &str = "512MiB";
/// The one bucket.
const BUCKET: u16 = 0;
/// The one column.
pub const COLUMN: u16 = 0;
/// Names the snapshot that a directory is opened from.
const LAST: &str = "last-snapshot";

struct Cobble {
    database: Db,
    path: PathBuf,
}

/// Opens a fresh database, or the last snapshot of one.
pub fn open(path: &Path) -> Outcome<Box<dyn Store>> {
    let config = config(path)?;
    let last = path.join(LAST);
    let database = if last.is_file() {
        let last = read_to_string(last)?;
        let (number, name) = last.split_once(' ').ok_or("the last snapshot has no name")?;
        Db::open_from_snapshot(config, number.parse()?, name)?
    } else {
        Db::open(config, vec![BUCKET..=BUCKET])?
    };
    Ok(Box::new(Cobble { database, path: path.to_owned() }))
}

/// The configuration of a database below this directory.
pub fn config(path: &Path) -> Outcome<Config> {
    let root = path.to_str().ok_or("Cobble takes paths in UTF-8 only")?;
    Ok(Config {
        volumes: VolumeDescriptor::single_volume(format!("file://{root}")),
        block_cache_size: CACHE.parse()?,
        log_level: "off".parse()?,
        ..Config::default()
    })
}

impl Cobble {
    /// Visits the keys that begin with `prefix`.
    fn each(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Outcome<()>,
    ) -> Outcome<()> {
        for row in self.database.scan_bounds(BUCKET, Some(prefix), None)? {
            let (key, columns) = row?;
            if !key.starts_with(prefix) {
                break;
            }
            if let Some(Some(value)) = columns.first() {
                visit(&key, value)?;
            }
        }
        Ok(())
    }
}

impl Store for Cobble {
    fn get(&mut self, key: &[u8], show: &mut dyn FnMut(Option<&[u8]>)) -> Outcome<()> {
        let columns = self.database.get(BUCKET, key)?;
        show(columns.as_ref().and_then(|columns| columns.first()?.as_deref()));
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        Ok(self.database.put(BUCKET, key, COLUMN, value)?)
    }

    fn append(&mut self, key: &[u8], more: &[u8]) -> Outcome<()> {
        Ok(self.database.merge(BUCKET, key, COLUMN, more)?)
    }

    fn remove(&mut self, key: &[u8]) -> Outcome<()> {
        Ok(self.database.delete(BUCKET, key, COLUMN)?)
    }

    fn scan(&mut self, prefix: &[u8], show: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        self.each(prefix, |key, value| {
            show(key.get(prefix.len()..).unwrap_or_default(), value);
            Ok(())
        })
    }

    fn remove_all(&mut self, prefix: &[u8]) -> Outcome<()> {
        let mut keys = Vec::new();
        self.each(prefix, |key, _| {
            keys.push(key.to_vec());
            Ok(())
        })?;
        keys.iter().try_for_each(|key| self.remove(key))
    }

    fn checkpoint(&mut self, _: &Path) -> Outcome<Finish> {
        let (published, publication) = channel();
        let number = self.database.snapshot_with_callback(move |done| {
            // Nobody waits where the session has failed.
            let _ = published.send(done);
        })?;
        let (path, name) = (self.path.clone(), self.database.id().to_owned());
        Ok(Box::new(move || {
            let told = publication.recv()??;
            write(path.join(LAST), format!("{number} {name}"))?;
            Ok(Kept {
                goes_on: false,
                bytes_new: told.incremental_data_size_bytes,
                bytes_full: told.data_size_bytes,
                files: files(&path)?,
                path,
            })
        }))
    }
}

/// How many files are below a directory.
fn files(path: &Path) -> Outcome<usize> {
    let mut found = 0;
    for entry in read_dir(path)? {
        let entry = entry?;
        found += if entry.file_type()?.is_dir() { files(&entry.path())? } else { 1 };
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use alluvium_benches::peers::Bytes;
    use alluvium_benches::workload::draw::Pattern;
    use alluvium_benches::workload::{self, Plain, Shape, Target};

    use super::*;

    #[test]
    fn it_agrees_with_the_plain_computation() -> Outcome<()> {
        let shape =
            Shape { keys: 50, value_bytes: 20, draw: Pattern::Zipf(0.8), rate: 50, seed: 5 };
        for workload in workload::all() {
            let directory = tempfile::tempdir()?;
            let mut side = Bytes::<u64>::over(open(&directory.path().join("store"))?, ());
            let mut plain = Plain::default();
            for access in workload.fill(&shape).chain(workload.run(&shape)?).take(4_000) {
                plain.apply(&access)?;
                side.apply(&access)?;
            }
            assert_eq!(side.digest(), plain.digest(), "{}", workload.name());
        }
        Ok(())
    }

    #[test]
    fn what_was_written_before_a_snapshot_is_there_after_opening_it() -> Outcome<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("store");
        let mut store = open(&path)?;
        for number in 0..10_000u32 {
            store.put(&number.to_be_bytes(), &[7; 100])?;
        }
        let full = store.checkpoint(&path)?()?;
        store.put(&20_000u32.to_be_bytes(), &[7; 100])?;
        store.append(&5_000u32.to_be_bytes(), &[8])?;
        store.remove_all(&0u32.to_be_bytes()[..3])?;
        let kept = store.checkpoint(&path)?()?;
        store.put(&30_000u32.to_be_bytes(), &[7; 100])?;
        assert!(full.bytes_new > 10_000 && full.bytes_full >= full.bytes_new, "{full:?}");
        // What is new is what Cobble calls incremental: of so small a state it writes all again.
        assert!(0 < kept.bytes_new && kept.bytes_new <= kept.bytes_full, "{full:?} {kept:?}");
        drop(store);
        let (mut found, mut bytes) = (Vec::new(), 0);
        open(&kept.path)?.scan(&[], &mut |key, value| {
            found.push(key.to_vec());
            bytes += value.len();
        })?;
        let wanted = (256..10_000u32).chain([20_000]).map(|number| number.to_be_bytes().to_vec());
        assert_eq!(found, wanted.collect::<Vec<_>>());
        assert_eq!(bytes, 9_745 * 100 + 1);
        Ok(())
    }
}
