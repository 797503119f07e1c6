//! The states of the job, the changes that are made to them, and what they must hold.

use std::collections::BTreeMap;

use super::super::fixtures::{HandleOf, fold, group_of};
use super::super::harness::{Backend, Harness};
use crate::codec::Native;
use crate::{
    InNamespace, ListDescriptor, ListState, MapDescriptor, MapState, ReducingDescriptor,
    ReducingState, Result, ValueDescriptor, ValueState,
};

/// The keys are 0 to this.
pub(super) const KEYS: u64 = 24;

type Window = ListDescriptor<u64, Native, InNamespace<i64>>;

const BLOB: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("blob");
const LOG: ListDescriptor<String> = ListDescriptor::new("log");
const SUM: ReducingDescriptor<i64> = ReducingDescriptor::new("sum", fold);
const PAGES: MapDescriptor<String, u64> = MapDescriptor::new("pages");
const WINDOW: Window = ListDescriptor::new("window").in_namespace();

/// What the job's states hold, by key.
pub type Image = BTreeMap<u64, Row>;

/// What one key holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    blob: Option<Vec<u8>>,
    log: Vec<String>,
    sum: Option<i64>,
    pages: BTreeMap<String, u64>,
    window: Vec<u64>,
}

/// The handles of the states in one backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    blob: HandleOf<ValueDescriptor<Vec<u8>>>,
    log: HandleOf<ListDescriptor<String>>,
    sum: HandleOf<ReducingDescriptor<i64>>,
    pages: HandleOf<MapDescriptor<String, u64>>,
    window: HandleOf<Window>,
}

/// Bytes that compression does not make small, and that differ from seed to seed.
fn blob(seed: u64) -> Vec<u8> {
    let length = 40 + usize::try_from(seed % 200).unwrap_or(0);
    let bytes =
        (0..).flat_map(|word: u64| crate::hash_bytes(&(seed ^ word).to_be_bytes()).to_be_bytes());
    bytes.take(length).collect()
}

impl Rows {
    pub(super) fn open<H: Harness>(backend: &mut Backend<H>) -> Result<Self> {
        Ok(Self {
            blob: backend.open(BLOB)?,
            log: backend.open(LOG)?,
            sum: backend.open(SUM)?,
            pages: backend.open(PAGES)?,
            window: backend.open(WINDOW)?,
        })
    }

    /// Changes a key, and `row` with it. Every operation that fails has changed neither.
    pub(super) fn change<H: Harness>(
        &self,
        backend: &mut Backend<H>,
        key: u64,
        seed: u64,
        row: &mut Row,
    ) -> Result<()> {
        let mut cx = backend.at(&key)?;
        if seed.is_multiple_of(7) {
            cx.value(self.blob).clear()?;
            row.blob = None;
            cx.list(self.log).clear()?;
            row.log.clear();
            cx.map(self.pages).clear()?;
            row.pages.clear();
            return Ok(());
        }
        let bytes = blob(seed);
        cx.value(self.blob).set(bytes.as_slice())?;
        row.blob = Some(bytes);
        let line = format!("line {seed}");
        cx.list(self.log).add(&line)?;
        row.log.push(line);
        let addend = seed.cast_signed();
        cx.reducing(self.sum).add(addend)?;
        row.sum = Some(row.sum.map_or(addend, |sum| fold(sum, addend)));
        let page = format!("page {}", seed % 5);
        cx.map(self.pages).insert(page.as_str(), &seed)?;
        row.pages.insert(page, seed);
        cx.within(&-1)?.list(self.window).add(&seed)?;
        row.window.push(seed);
        Ok(())
    }

    fn read<H: Harness>(&self, backend: &mut Backend<H>, key: u64) -> Result<Row> {
        let mut cx = backend.at(&key)?;
        Ok(Row {
            blob: cx.value(self.blob).get()?,
            log: cx.list(self.log).get()?,
            sum: cx.reducing(self.sum).get()?,
            pages: cx.map(self.pages).entries()?.into_iter().collect(),
            window: cx.within(&-1)?.list(self.window).get()?,
        })
    }

    /// Compares the keys that this backend owns with the image; returns how many those are.
    pub(super) fn compare<H: Harness>(
        &self,
        backend: &mut Backend<H>,
        image: &Image,
    ) -> Result<u64, String> {
        let mut owned = 0;
        for key in 0..KEYS {
            if !owns::<H>(backend, key) {
                continue;
            }
            owned += 1;
            let found =
                self.read::<H>(backend, key).map_err(|error| format!("key {key}: {error}"))?;
            let wanted = image.get(&key).cloned().unwrap_or_default();
            if found != wanted {
                return Err(format!("key {key} holds {found:?} instead of {wanted:?}"));
            }
        }
        Ok(owned)
    }
}

/// Whether the backend owns the key.
pub(super) fn owns<H: Harness>(backend: &Backend<H>, key: u64) -> bool {
    let space = crate::KeyedStore::key_space(backend.store());
    space.range().contains(group_of(space, &key))
}
