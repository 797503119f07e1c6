//! The operator: five states of five kinds per key, written against the facade like anybody's.
//!
//! | state | kind | holds, per key |
//! |---|---|---|
//! | `records` | value | the number of its records |
//! | `positions` | list | the position in the input of every one of its records, in order |
//! | `total` | reducing | the sum of their measures, wrapping at 64 bits |
//! | `spread` | aggregating | the smallest and the largest measure |
//! | `categories` | map | the number of records per category |
//!
//! A record without a measure leaves `total` and `spread` alone, one without a category leaves
//! `categories` alone. Nothing is capped: a list has one element for each record of its key, so that
//! a record that was lost, doubled or reordered by a recovery shows.

use alluvium_state_api::codec::Native;
use alluvium_state_api::{
    Aggregate, AggregatingDescriptor, AggregatingHandle, AggregatingState, KeyedBackend,
    KeyedStore, ListDescriptor, ListHandle, ListState, MapDescriptor, MapHandle, NoNamespace,
    ReducingDescriptor, ReducingHandle, ReducingState, Result, ValueDescriptor, ValueHandle,
    ValueState,
};

use super::batch::Row;

const RECORDS: ValueDescriptor<u64> = ValueDescriptor::new("records");
const POSITIONS: ListDescriptor<u64> = ListDescriptor::new("positions");
const TOTAL: ReducingDescriptor<i64> = ReducingDescriptor::new("total", i64::wrapping_add);
const SPREAD: AggregatingDescriptor<Spread> = AggregatingDescriptor::new("spread");
const CATEGORIES: MapDescriptor<String, u64> = MapDescriptor::new("categories");

/// The handle of the list.
pub(super) type Positions = ListHandle<u64, Native, NoNamespace>;

/// The smallest and the largest of the measures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread;

impl Aggregate for Spread {
    type Input = i64;
    type Accumulator = (i64, i64);
    type Output = (i64, i64);

    fn create() -> (i64, i64) {
        (i64::MAX, i64::MIN)
    }

    fn add((low, high): (i64, i64), measure: i64) -> (i64, i64) {
        (low.min(measure), high.max(measure))
    }

    fn merge(first: (i64, i64), second: (i64, i64)) -> (i64, i64) {
        (first.0.min(second.0), first.1.max(second.1))
    }

    fn result(spread: &(i64, i64)) -> (i64, i64) {
        *spread
    }
}

/// The operator of one subtask: its keyed backend and the opened states.
pub(super) struct Operator<S = Box<dyn KeyedStore>> {
    pub(super) backend: KeyedBackend<String, S>,
    pub(super) records: ValueHandle<u64, Native, NoNamespace>,
    pub(super) positions: Positions,
    pub(super) total: ReducingHandle<i64, Native, NoNamespace>,
    pub(super) spread: AggregatingHandle<Spread, Native, NoNamespace>,
    pub(super) categories: MapHandle<String, u64, Native, Native, NoNamespace>,
}

impl<S: KeyedStore> Operator<S> {
    /// Opens the states in a store, fresh or restored.
    ///
    /// # Errors
    /// `Incompatible` if the store was restored from states of other types; where the store fails.
    pub(super) fn open(store: S) -> Result<Self> {
        let mut backend = KeyedBackend::<String, S>::new(store)?;
        Ok(Self {
            records: backend.open(RECORDS)?,
            positions: backend.open(POSITIONS)?,
            total: backend.open(TOTAL)?,
            spread: backend.open(SPREAD)?,
            categories: backend.open(CATEGORIES)?,
            backend,
        })
    }

    /// Takes one record in.
    ///
    /// # Errors
    /// `InvalidInput` if the key belongs to another subtask; where the store fails.
    pub(super) fn apply(&mut self, row: Row<'_>) -> Result<()> {
        let mut cx = self.backend.at(row.key)?;
        cx.value(self.records).update(|records| Some(records.unwrap_or(0).wrapping_add(1)))?;
        cx.list(self.positions).add(&row.index)?;
        if let Some(measure) = row.measure {
            cx.reducing(self.total).add(measure)?;
            cx.aggregating(self.spread).add(measure)?;
        }
        if let Some(category) = row.category {
            cx.map(self.categories)
                .update(category, |records| Some(records.unwrap_or(0).wrapping_add(1)))?;
        }
        Ok(())
    }
}
