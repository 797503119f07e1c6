//! Canonical sections of tables whose keys and values have fixed widths, the bulk of most snapshots.
//!
//! One pass over the table puts every entry into its key group's list. Then all threads sort and encode
//! one group after the other, and the task's own thread, between two of them, writes those whose turn
//! it is. The others have a low priority: on a busy machine the task's thread does all of it.
//!
//! # Invariants
//! * P1 Every group is encoded by one thread; sections are written in the order of the groups.
//! * P2 The first error ends the pass for all threads, and is the one that is told.
//! * P3 No thread outlives the pass.
//!
//! # Cost
//! Memory for a copy of the state: each group's list, or its section.

use std::collections::BTreeMap;
use std::iter::Enumerate;
use std::thread;
use std::vec::IntoIter;

use alluvium_state_api::format::{EncodedSection, SectionEncoding, SequentialWriter};
use alluvium_state_api::schema::KeySpace;
use alluvium_state_api::snapshot::{CancelToken, helpers};
use alluvium_state_api::{EntryKey, Error, KeyGroup, Result};

use super::full::threads;
use crate::sync::Mutex;
use crate::table::{Fixed, ShardImage, TableView};
use crate::tables::shape::Shape;

/// The entries of a key group.
type Group<const K: usize, const V: usize> = Vec<([u8; K], [u8; V])>;

/// Of helpers, as `nice` has it. Whoever asks for a savepoint waits for it: they get a share of a busy
/// machine, if a small one.
const LOW_PRIORITY: i32 = 10;

/// What the threads of a pass have in common.
struct Work<const K: usize, const V: usize> {
    /// Groups that nobody has begun with.
    groups: Mutex<Enumerate<IntoIter<(KeyGroup, Group<K, V>)>>>,
    /// Sections that were not written yet.
    made: Mutex<BTreeMap<usize, EncodedSection>>,
    failed: Mutex<Option<Error>>,
    encoding: SectionEncoding,
}

impl<const K: usize, const V: usize> Work<K, V> {
    /// Lets all threads end, because of this error unless there was one before (P2).
    fn stop(&self, error: Option<Error>) {
        *self.groups.lock() = Vec::new().into_iter().enumerate();
        let mut failed = self.failed.lock();
        *failed = failed.take().or(error);
    }

    /// Writes those sections whose turn it is, given how many were `written` (P1).
    fn append(&self, writer: &mut SequentialWriter, written: &mut usize) -> Result<()> {
        loop {
            let next = self.made.lock().remove(written);
            let Some(section) = next else {
                return Ok(());
            };
            writer.append_section(section)?;
            *written += 1;
        }
    }
}

/// One state in canonical form.
#[derive(Clone, Copy, Debug)]
pub(super) struct SortedPass<'a> {
    pub(super) space: &'a KeySpace,
    pub(super) shape: Shape,
    pub(super) cancel: &'a CancelToken,
    pub(super) id: u16,
}

impl SortedPass<'_> {
    /// Writes all sections of the state.
    pub(super) fn write<const K: usize, const V: usize>(
        self,
        view: TableView<[u8; K], Fixed<V>>,
        writer: &mut SequentialWriter,
    ) -> Result<()> {
        let others = threads(view.len()).saturating_sub(1);
        let groups = self.collect(view)?;
        let count = groups.len();
        let work = Work {
            groups: Mutex::new(groups.into_iter().enumerate()),
            made: Mutex::default(),
            failed: Mutex::default(),
            encoding: writer.encoding(),
        };
        let written = thread::scope(|scope| {
            for _ in 0..others {
                drop(helpers::spawn(scope, LOW_PRIORITY, || while self.encode_next(&work) {}));
            }
            let mut written = 0;
            loop {
                let appended = work.append(writer, &mut written);
                if appended.is_err() {
                    work.stop(appended.err());
                }
                if !self.encode_next(&work) {
                    return written;
                }
            }
        });
        let mut written = written;
        if let Some(error) = work.failed.lock().take() {
            return Err(error);
        }
        work.append(writer, &mut written)?;
        if written == count {
            return Ok(());
        }
        Err(Error::bug("a thread of the snapshot panicked"))
    }

    /// Copies the table, by key group.
    fn collect<const K: usize, const V: usize>(
        self,
        mut view: TableView<[u8; K], Fixed<V>>,
    ) -> Result<Vec<(KeyGroup, Group<K, V>)>> {
        let range = self.space.range();
        // Groups differ by a few entries in a hundred.
        let expected = view.len() / usize::from(range.len()).max(1);
        let expected = expected + expected / 32;
        let mut groups: Vec<_> =
            range.iter().map(|group| (group, Group::with_capacity(expected))).collect();
        let (mut image, mut failed) = (ShardImage::default(), None);
        let width = self.shape.key_width(K).unwrap_or(K);
        let mut logged = Vec::new();
        while view.next_shard(&mut image) {
            self.cancel.check()?;
            let mut place = |key: &[u8; K], value: &[u8; V]| match self
                .space
                .group_of(key.get(..width).unwrap_or(key))
            {
                Ok(group) => {
                    let at = usize::from(group.index().wrapping_sub(range.start()));
                    if let Some((_, entries)) = groups.get_mut(at) {
                        entries.push((*key, *value));
                    }
                }
                Err(error) => failed = Some(error),
            };
            image.for_each_plain(&mut place, |key, value| logged.push((*key, *value)));
            logged.drain(..).for_each(|(key, value)| place(&key, &value));
        }
        groups.retain(|(_, entries)| !entries.is_empty());
        failed.map_or(Ok(groups), Err)
    }

    /// Sorts and encodes a group that nobody has begun with; `false` if there is none.
    fn encode_next<const K: usize, const V: usize>(self, work: &Work<K, V>) -> bool {
        let next = work.groups.lock().next();
        let Some((at, (group, entries))) = next else {
            return false;
        };
        match self.section(&work.encoding, group, entries) {
            Ok(section) => drop(work.made.lock().insert(at, section)),
            Err(error) => work.stop(Some(error)),
        }
        true
    }

    fn section<const K: usize, const V: usize>(
        self,
        encoding: &SectionEncoding,
        group: KeyGroup,
        mut entries: Group<K, V>,
    ) -> Result<EncodedSection> {
        self.cancel.check()?;
        entries.sort_unstable_by_key(|(key, _)| *key);
        let width = self.shape.key_width(K).unwrap_or(K);
        let mut encoder = encoding.section(self.id, group)?;
        for (key, value) in &entries {
            encoder.put(EntryKey::new(key, width, K)?, value)?;
        }
        encoder.finish()
    }
}
