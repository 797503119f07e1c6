//! The independent recomputation: what every state of every key must hold in the end.
//!
//! One pass over the whole input into plain maps of the standard library. It shares nothing with the
//! operator but the definition of the states (see `operator.rs`): no codec, no store, no routing.
//!
//! # Cost
//!
//! Memory: 8 bytes per record for the positions, about 150 bytes per key, about 40 bytes per pair of
//! key and category. Names of categories are kept once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::AtomicBool;

use super::batch::Row;
use super::error::{Result, check_stop};
use super::observer::{Observer, Phase};
use crate::source::{Counts, Record, Source};

/// How many records pass between two reports of progress.
const REPORT_EVERY: u64 = 4096;

/// What the states of one key must hold.
#[derive(Debug, Default)]
pub(super) struct KeyTotals {
    /// Its records.
    pub(super) records: u64,
    /// Where they are.
    pub(super) positions: Vec<u64>,
    /// The sum of the measures, if any.
    pub(super) total: Option<i64>,
    /// The smallest and the largest measure, if any.
    pub(super) spread: Option<(i64, i64)>,
}

/// What all states must hold.
#[derive(Debug, Default)]
pub(super) struct Expected {
    ids: HashMap<Box<str>, u32>,
    totals: Vec<KeyTotals>,
    category_names: Vec<Box<str>>,
    /// Records per key and category, ascending.
    pairs: Vec<(u32, u32, u64)>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Builder {
    expected: Expected,
    category_ids: HashMap<Box<str>, u32>,
    pairs: HashMap<(u32, u32), u64>,
}

impl Expected {
    /// Reads the whole input.
    ///
    /// # Errors
    /// Whatever is wrong with the input; `Interrupted`.
    pub(super) fn compute(
        source: &Source,
        observer: &dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let mut reader = source.open_at(0)?;
        let mut record = Record::default();
        let mut builder = Builder::default();
        observer.phase(Phase::Reference);
        let mut next_report = REPORT_EVERY;
        while reader.next_into(&mut record)? {
            builder.add(Row::of(&record));
            if reader.position() >= next_report {
                next_report = reader.position().saturating_add(REPORT_EVERY);
                observer.progress(reader.progress());
                check_stop(stop)?;
            }
        }
        Ok(builder.finish(reader.counts()))
    }

    /// What became of the records of the input.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// What the states of `key` must hold; `None` for a key that does not occur.
    pub(super) fn totals_of(&self, key: &str) -> Option<&KeyTotals> {
        self.totals.get(usize_of(*self.ids.get(key)?))
    }

    /// Whether a record of `key` has a category.
    pub(super) fn has_categories(&self, key: &str) -> bool {
        self.ids.get(key).is_some_and(|id| !self.pairs_of(*id).is_empty())
    }

    /// All keys with what their states must hold; the categories of a key ascend by their bytes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &KeyTotals, Vec<(&str, u64)>)> {
        self.ids.iter().filter_map(|(key, id)| {
            let totals = self.totals.get(usize_of(*id))?;
            let pairs = self.pairs_of(*id).iter();
            let mut categories: Vec<(&str, u64)> = pairs
                .filter_map(|(_, category, records)| {
                    Some((&**self.category_names.get(usize_of(*category))?, *records))
                })
                .collect();
            categories.sort_unstable();
            Some((&**key, totals, categories))
        })
    }

    fn pairs_of(&self, id: u32) -> &[(u32, u32, u64)] {
        let start = self.pairs.partition_point(|pair| pair.0 < id);
        let end = self.pairs.partition_point(|pair| pair.0 <= id);
        self.pairs.get(start..end).unwrap_or_default()
    }
}

impl Builder {
    fn add(&mut self, row: Row<'_>) {
        let key = id_of(&mut self.expected.ids, row.key, || {
            self.expected.totals.push(KeyTotals::default());
        });
        if let Some(totals) = self.expected.totals.get_mut(usize_of(key)) {
            totals.records = totals.records.wrapping_add(1);
            totals.positions.push(row.index);
            if let Some(measure) = row.measure {
                totals.total = Some(totals.total.unwrap_or(0).wrapping_add(measure));
                let (low, high) = totals.spread.unwrap_or((measure, measure));
                totals.spread = Some((low.min(measure), high.max(measure)));
            }
        }
        if let Some(category) = row.category {
            let category = id_of(&mut self.category_ids, category, || {
                self.expected.category_names.push(category.into());
            });
            let records = self.pairs.entry((key, category)).or_default();
            *records = records.wrapping_add(1);
        }
    }

    fn finish(mut self, counts: Counts) -> Expected {
        let pairs = self.pairs.into_iter();
        self.expected.pairs = pairs.map(|((key, category), n)| (key, category, n)).collect();
        self.expected.pairs.sort_unstable();
        self.expected.counts = counts;
        self.expected
    }
}

/// The id of `name`: the number of names before it. Calls `created` for a new one.
fn id_of(ids: &mut HashMap<Box<str>, u32>, name: &str, created: impl FnOnce()) -> u32 {
    if let Some(id) = ids.get(name) {
        return *id;
    }
    let next = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    match ids.entry(name.into()) {
        Entry::Occupied(entry) => *entry.get(),
        Entry::Vacant(entry) => {
            created();
            *entry.insert(next)
        }
    }
}

fn usize_of(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}
