//! [`Joiner`]: joins small tables in the background, as [`Joining`] says.
//!
//! What cannot be joined now (because RocksDB compacts it, or fails) is looked at again next time; a failure in the
//! background RocksDB tells with the next write.

use std::sync::Arc;
use std::time::Duration;

use alluvium_state_api::clock::Clock;
use parking_lot::Mutex;
use rocksdb::{LiveFile, properties};

use crate::background::{JobSpace, Jobs};
use crate::database::Database;
use crate::options::Joining;
use crate::raw::compact_tables;

/// Looks for small tables.
#[derive(Debug)]
pub(crate) struct Joiner {
    options: Joining,
    clock: Arc<dyn Clock>,
    /// When it last looked.
    looked: Duration,
    /// The jobs at work have it, too.
    busy: Arc<()>,
}

/// Neighbours that become one table.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    level: i32,
    names: Vec<String>,
    bytes: u64,
}

impl Joiner {
    /// For a store that is just opened.
    pub(crate) fn new(options: Joining, clock: Arc<dyn Clock>) -> Self {
        let looked = clock.now();
        Self { options, clock, looked, busy: Arc::default() }
    }

    /// Begins to join small tables, if it is time.
    pub(crate) fn look(&mut self, jobs: &mut Jobs) {
        let options = self.options;
        if options.interval.is_zero() || Arc::strong_count(&self.busy) > 1 {
            return;
        }
        let now = self.clock.now();
        if now.saturating_sub(self.looked) < options.interval {
            return;
        }
        self.looked = now;
        let (space, busy) = (jobs.space().clone(), Arc::clone(&self.busy));
        let begun = jobs.space().begin("rocksdb-joining", move |database| {
            join(database, &space, options, &busy);
        });
        // Without a thread, tables stay small until the next time.
        drop(begun);
    }
}

/// Joins what there is, with further jobs if that is much.
fn join(database: &Database, space: &JobSpace, options: Joining, busy: &Arc<()>) {
    let running = database.property(properties::NUM_RUNNING_COMPACTIONS);
    if running > u64::from(options.max_running) {
        return;
    }
    let Ok(files) = database.db.live_files() else {
        return;
    };
    let groups = groups(&files, options);
    let helpers = groups.len().min(usize::try_from(options.parallel).unwrap_or(1));
    let groups = Arc::new(Mutex::new(groups));
    for _ in 1..helpers {
        let (groups, busy) = (Arc::clone(&groups), Arc::clone(busy));
        let begun = space.begin("rocksdb-joining", move |database| {
            work(database, &groups);
            drop(busy);
        });
        // What no helper does is done here.
        drop(begun);
    }
    work(database, &groups);
}

/// Joins group after group, those of most tables first.
fn work(database: &Database, groups: &Mutex<Vec<Group>>) {
    loop {
        let group = groups.lock().pop();
        let Some(group) = group else {
            return;
        };
        drop(compact_tables(&database.db, &group.names, group.level));
    }
}

/// Groups of small neighbours, those of most tables last. Tables are level by level, in the order of their keys.
fn groups(files: &[LiveFile], options: Joining) -> Vec<Group> {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let mut groups: Vec<Group> = Vec::new();
    let mut is_open = false;
    for file in files {
        let bytes = file.size as u64;
        if file.level == 0 || bytes > options.max_table_bytes {
            is_open = false;
            continue;
        }
        let last = groups.last_mut().filter(|group| {
            is_open
                && group.level == file.level
                && group.names.len() < count(options.max_tables)
                && group.bytes.saturating_add(bytes) <= options.max_output_bytes
        });
        let name = file.name.clone();
        match last {
            Some(group) => {
                group.names.push(name);
                group.bytes = group.bytes.saturating_add(bytes);
            }
            None => groups.push(Group { level: file.level, names: vec![name], bytes }),
        }
        is_open = true;
    }
    groups.retain(|group| group.names.len() >= count(options.min_tables).max(2));
    groups.sort_by_key(|group| group.names.len());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_neighbours_of_a_level_make_a_group() {
        let sizes = [
            (0, &[1, 1, 1][..]),
            (1, &[10, 10, 10, 99, 10, 10]),
            (2, &[10, 10, 10, 10, 10, 10, 10, 10]),
            (3, &[40, 40, 40, 40]),
        ];
        let mut files = Vec::new();
        for (level, sizes) in sizes {
            files.extend(sizes.iter().map(|size| LiveFile {
                column_family_name: String::new(),
                name: String::new(),
                size: *size,
                level,
                start_key: None,
                end_key: None,
                num_entries: 1,
                num_deletions: 0,
            }));
        }
        for (number, file) in files.iter_mut().enumerate() {
            file.name = number.to_string();
        }
        let options = Joining {
            max_table_bytes: 50,
            min_tables: 2,
            max_tables: 5,
            max_output_bytes: 100,
            ..Joining::default()
        };
        let found = groups(&files, options);
        let group = |level, names: &[&str], bytes| Group {
            level,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            bytes,
        };
        let expected = [
            group(1, &["7", "8"], 20),
            group(3, &["17", "18"], 80),
            group(3, &["19", "20"], 80),
            group(1, &["3", "4", "5"], 30),
            group(2, &["14", "15", "16"], 30),
            group(2, &["9", "10", "11", "12", "13"], 50),
        ];
        assert_eq!(found, expected);
        // One table alone is never rewritten.
        assert!(groups(&files[3..4], Joining { min_tables: 0, ..options }).is_empty());
    }
}
