//! Takes the tables of another database as they are, by second names: nothing of them is read but their ends.
//!
//! RocksDB keeps the sequence numbers of such tables, so they must have nothing in common with what the database has. It
//! looks at that itself, and refuses otherwise. What it cannot see is up to this module.
//!
//! # Invariants
//! W1. Towards other parts of the store, tables end where their part does. So whichever part comes first, none has
//!     entries where another one belongs. Away from the other parts they may have more, which is then cut off.
//! W2. Tables come with older entries first: from the last level upwards, of the first level from the oldest on.
//! W3. No table below the first level has a range deletion. Compaction writes those into several tables in their whole
//!     length, each of which counts only between the ends of its table. The ends are in the manifest, which does not come
//!     along; what a deletion would reach then may have lost its sequence number to compaction.
//! W4. No table refers to blob files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use alluvium_state_api::snapshot::SnapshotFile;
use alluvium_state_api::{ErrorKind, KeyGroupRange, Result};
use rocksdb::{LiveFile, properties};

use super::found::cut;
use super::graft::{Grafted, Scratch};
use super::tables::{begins_at, ends_below, label, number, overhangs, tables};
use super::{Former, Role};
use crate::chain::Uploads;
use crate::database::{Database, Db};
use crate::failure::failed;
use crate::raw::ingest;

/// Makes the tables of `other` that have something of what is wanted part of the database; `None` where they cannot be
/// taken as they are, and nothing has happened.
///
/// # Errors
/// `Corrupted`, `Unavailable`.
pub(super) fn take(
    database: &Database,
    other: &Db,
    former: &Former<'_>,
    store: KeyGroupRange,
    scratch: &Scratch<'_>,
) -> Result<Option<Grafted>> {
    let has_blobs = |label: &str| Role::of(label) == Some(Role::Blob);
    if former.part.snapshot.files.iter().any(|file| has_blobs(&file.label)) {
        return Ok(None);
    }
    let Some(files) = fitting(other, former.range, store)? else {
        return Ok(None);
    };
    let before: BTreeSet<String> =
        tables(&database.db)?.into_iter().map(|file| file.name).collect();
    let paths: Vec<PathBuf> = files.iter().map(|file| scratch.path.join(label(file))).collect();
    if !paths.is_empty() {
        match ingest(&database.db, &paths) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Ok(None),
            ingested => ingested?,
        }
    }
    let mut after = tables(&database.db)?;
    after.retain(|file| !before.contains(&file.name));
    after.sort_unstable_by_key(number);
    let cuts = overhangs(&files, former.range);
    for off in &cuts {
        cut(database, *off)?;
    }
    Ok(Some(Grafted { uploads: uploads(former, &files, &after), cuts }))
}

/// The tables that have something of `range`, in the order of W2; `None` where W1 or W3 would not hold.
fn fitting(
    other: &Db,
    range: KeyGroupRange,
    store: KeyGroupRange,
) -> Result<Option<Vec<LiveFile>>> {
    let mut files = tables(other)?;
    files.retain(|file| !ends_below(file, range.start()) && !begins_at(file, range.end()));
    files.reverse();
    let fits = files.iter().all(|file| {
        (range.start() == store.start() || begins_at(file, range.start()))
            && (range.end() == store.end() || ends_below(file, range.end()))
    });
    if !fits {
        return Ok(None);
    }
    let mut levels: Vec<usize> = Vec::new();
    for file in files.iter().filter(|file| file.num_deletions > 0) {
        levels.extend(usize::try_from(file.level).ok().filter(|level| *level > 0));
    }
    levels.dedup();
    for level in levels {
        if has_range_deletions(other, level)? {
            return Ok(None);
        }
    }
    Ok(Some(files))
}

/// Whether tables of a level have range deletions, as far as RocksDB tells.
fn has_range_deletions(db: &Db, level: usize) -> Result<bool> {
    let told = db.property_value(properties::aggregated_table_properties_at_level(level));
    let told = told.map_err(|error| failed("read properties", error))?;
    Ok(told.is_none_or(|told| !told.contains("# range deletions=0;")))
}

/// What increments may refer to, where each table is recognised under its new name.
fn uploads(former: &Former<'_>, files: &[LiveFile], new: &[LiveFile]) -> Uploads {
    let is_same = |(old, new): (&LiveFile, &LiveFile)| {
        (old.size, &old.start_key, &old.end_key) == (new.size, &new.start_key, &new.end_key)
    };
    if files.len() != new.len() || !files.iter().zip(new).all(is_same) {
        return Uploads::new();
    }
    let known: BTreeMap<&str, &SnapshotFile> =
        former.referable().map(|file| (&*file.label, file)).collect();
    let known = files.iter().zip(new).filter_map(|(old, new)| {
        let mut file = (*known.get(label(old))?).clone();
        file.label = label(new).into();
        Some((file.label.clone(), file))
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use rocksdb::{CompactOptions, Options};

    use super::*;

    #[test]
    fn range_deletions_are_seen_where_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_disable_auto_compactions(true);
        options.set_level_compaction_dynamic_level_bytes(false);
        let db = Db::open(&options, directory.path()).unwrap();
        let flush_to = |level| {
            db.flush().unwrap();
            let mut options = CompactOptions::default();
            options.set_change_level(true);
            options.set_target_level(level);
            db.compact_range_opt(None::<&[u8]>, None::<&[u8]>, &options);
        };
        (0..100u16).for_each(|key| db.put(key.to_be_bytes(), b"value").unwrap());
        db.delete(3u16.to_be_bytes()).unwrap();
        flush_to(6);
        assert!(!has_range_deletions(&db, 6).unwrap());
        let mut batch = rocksdb::WriteBatch::default();
        batch.delete_range(10u16.to_be_bytes(), 20u16.to_be_bytes());
        db.write(batch).unwrap();
        db.flush().unwrap();
        let levels =
            |db: &Db| tables(db).unwrap().iter().map(|file| file.level).collect::<Vec<_>>();
        assert_eq!(levels(&db), [0, 6]);
        assert!(has_range_deletions(&db, 0).unwrap() && !has_range_deletions(&db, 6).unwrap());
        let groups = KeyGroupRange::new(0, 100).unwrap();
        // On the first level they are taken, the newer table last.
        let files = fitting(&db, groups, groups).unwrap().unwrap();
        assert_eq!(files.iter().map(|file| file.level).collect::<Vec<_>>(), [6, 0]);
        db.set_options(&[
            ("level0_file_num_compaction_trigger", "1"),
            ("disable_auto_compactions", "false"),
        ])
        .unwrap();
        for _ in 0..1_000 {
            if levels(&db) == [1, 6] {
                assert!(has_range_deletions(&db, 1).unwrap());
                assert!(fitting(&db, groups, groups).unwrap().is_none());
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the table does not go down a level: {:?}", levels(&db));
    }
}
