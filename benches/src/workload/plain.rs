//! [`Plain`]: the plain computation that every backend must agree with, on maps of the standard library.

use std::collections::{BTreeMap, HashMap};

use alluvium_state_api::{Error, Result};

use super::Target;
use super::access::{Access, Blob, Fold, Operation};

/// All that one key has, in one window or in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    value: Option<Vec<u8>>,
    sum: Option<u64>,
    list: Vec<Vec<u8>>,
    map: BTreeMap<u64, Vec<u8>>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.value.is_none() && self.sum.is_none() && self.list.is_empty() && self.map.is_empty()
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Plain {
    held: HashMap<(u64, Option<u64>), Held>,
    fold: Fold,
}

impl Plain {
    /// How many keys have something, counted once for each of their windows.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn merge(&mut self, access: &Access, source: u64) -> Result<()> {
        if access.window.is_none() {
            return Err(unwindowed());
        }
        let lists = matches!(access.operation, Operation::MergeList(_));
        if access.window == Some(source) {
            return Ok(());
        }
        let Some(from) = self.held.get_mut(&(access.key, Some(source))) else {
            return Ok(());
        };
        let (sum, list) = if lists {
            (None, std::mem::take(&mut from.list))
        } else {
            (from.sum.take(), Vec::new())
        };
        if from.is_empty() {
            self.held.remove(&(access.key, Some(source)));
        }
        let into = self.held.entry((access.key, access.window)).or_default();
        if let Some(sum) = sum {
            into.sum = Some(into.sum.unwrap_or(0).wrapping_add(sum));
        }
        into.list.extend(list);
        if into.is_empty() {
            self.held.remove(&(access.key, access.window));
        }
        Ok(())
    }
}

/// Merging is for windows.
#[cold]
pub(super) fn unwindowed() -> Error {
    Error::invalid_input("windows are merged in a window; the access names none")
}

fn bytes(blob: Blob) -> Vec<u8> {
    let mut bytes = Vec::new();
    blob.write(&mut bytes);
    bytes
}

/// `count` blobs that begin with this one.
pub(super) fn series(first: Blob, count: u32) -> impl Iterator<Item = Blob> {
    (0..count).map(move |at| Blob { seed: first.seed.wrapping_add(at.into()), ..first })
}

fn apply(held: &mut Held, operation: Operation, fold: &mut Fold) {
    match operation {
        Operation::ValueGet => tell(held.value.as_deref(), fold),
        Operation::ValueSet(blob) => held.value = Some(bytes(blob)),
        Operation::ValueClear => held.value = None,
        Operation::SumAdd(number) => held.sum = Some(held.sum.unwrap_or(0).wrapping_add(number)),
        Operation::SumGet => match held.sum {
            Some(sum) => fold.number(sum),
            None => fold.nothing(),
        },
        Operation::SumClear => held.sum = None,
        Operation::ListAdd(blob) => held.list.push(bytes(blob)),
        Operation::ListAddAll(first, count) => held.list.extend(series(first, count).map(bytes)),
        Operation::ListUpdate(first, count) => {
            held.list = series(first, count).map(bytes).collect();
        }
        Operation::ListGet => held.list.iter().for_each(|element| fold.bytes(element)),
        Operation::ListClear => held.list.clear(),
        Operation::MapGet(map_key) => tell(held.map.get(&map_key).map(Vec::as_slice), fold),
        Operation::MapInsert(map_key, blob) => drop(held.map.insert(map_key, bytes(blob))),
        Operation::MapRemove(map_key) => drop(held.map.remove(&map_key)),
        Operation::MapScan => held.map.iter().for_each(|(map_key, value)| {
            fold.number(*map_key);
            fold.bytes(value);
        }),
        Operation::MapClear => held.map.clear(),
        Operation::MergeSum(_) | Operation::MergeList(_) => {}
    }
}

fn tell(value: Option<&[u8]>, fold: &mut Fold) {
    match value {
        Some(value) => fold.bytes(value),
        None => fold.nothing(),
    }
}

impl Target for Plain {
    fn apply(&mut self, access: &Access) -> Result<()> {
        if let Operation::MergeSum(source) | Operation::MergeList(source) = access.operation {
            return self.merge(access, source);
        }
        let at = (access.key, access.window);
        let held = self.held.entry(at).or_default();
        apply(held, access.operation, &mut self.fold);
        if held.is_empty() {
            self.held.remove(&at);
        }
        Ok(())
    }

    fn digest(&self) -> u64 {
        self.fold.digest()
    }
}
