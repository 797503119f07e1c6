//! [`Bytes`]: plays accesses on a database of bytes.
//!
//! # Layout
//! A key is the kind of the state (a byte), the operator's key, the window where there is one, and the map key
//! where there is one; numbers in 8 bytes, big-endian. All keys of a run have one length, so that none is the
//! beginning of another one of its kind. A sum is a number of 8 bytes, a list its elements, each behind its
//! length in 4 bytes.

use std::fmt;

use alluvium_state_api::{Error, Result};

use super::Store;
use crate::Outcome;
use crate::workload::Target;
use crate::workload::access::{Access, Blob, Fold, Operation};
use crate::workload::maps::{series, unwindowed};
use crate::workload::player::PlayedKey;

const VALUE: u8 = 1;
const SUM: u8 = 2;
const LIST: u8 = 3;
const MAP: u8 = 4;
/// Added to these for states in windows.
const WINDOWED: u8 = 8;

/// A key's bytes.
pub trait EncodedKey: PlayedKey {
    /// Adds them.
    fn encode(&self, out: &mut Vec<u8>);
}

impl EncodedKey for u64 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl EncodedKey for Vec<u8> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// See the module.
pub struct Bytes<K: EncodedKey = u64> {
    /// The database.
    pub store: Box<dyn Store>,
    number: K,
    form: K::Form,
    key: Vec<u8>,
    source: Vec<u8>,
    value: Vec<u8>,
    blob: Vec<u8>,
    fold: Fold,
}

impl<K: EncodedKey> fmt::Debug for Bytes<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes").field("key", &self.key).finish_non_exhaustive()
    }
}

impl<K: EncodedKey> Bytes<K> {
    /// Plays on `store`. The key's form is its length, where keys are bytes.
    pub fn over(store: Box<dyn Store>, form: K::Form) -> Self {
        let [key, source, value, blob] = [const { Vec::new() }; 4];
        Self { store, number: K::start(), form, key, source, value, blob, fold: Fold::default() }
    }

    /// Encodes a key of a state of this kind into `self.key`.
    #[inline]
    fn encode(&mut self, kind: u8, window: Option<u64>) {
        self.key.clear();
        self.key.push(if window.is_some() { kind | WINDOWED } else { kind });
        self.number.encode(&mut self.key);
        if let Some(window) = window {
            self.key.extend_from_slice(&window.to_be_bytes());
        }
    }

    /// Puts framed elements into `self.value`.
    fn frame(&mut self, elements: impl Iterator<Item = Blob>) -> Outcome<()> {
        self.value.clear();
        for element in elements {
            element.write(&mut self.blob);
            self.value.extend_from_slice(&u32::try_from(self.blob.len())?.to_le_bytes());
            self.value.extend_from_slice(&self.blob);
        }
        Ok(())
    }

    #[inline]
    fn tell(&mut self) -> Outcome<()> {
        let fold = &mut self.fold;
        self.store.get(&self.key, &mut |value| match value {
            Some(value) => fold.bytes(value),
            None => fold.nothing(),
        })
    }

    fn sum(&mut self, key: &[u8]) -> Outcome<Option<u64>> {
        let mut sum = None;
        self.store.get(key, &mut |value| {
            sum = value.and_then(<[u8]>::first_chunk).map(|bytes| u64::from_le_bytes(*bytes));
        })?;
        Ok(sum)
    }

    fn add(&mut self, key: &[u8], number: u64) -> Outcome<()> {
        let sum = self.sum(key)?.unwrap_or(0).wrapping_add(number);
        self.store.put(key, &sum.to_le_bytes())
    }

    fn merge(&mut self, window: Option<u64>, from: u64, kind: u8) -> Outcome<()> {
        if window == Some(from) {
            return Ok(());
        }
        self.encode(kind, Some(from));
        let source = std::mem::replace(&mut self.key, std::mem::take(&mut self.source));
        self.encode(kind, window);
        let target = std::mem::take(&mut self.key);
        if kind == SUM {
            if let Some(sum) = self.sum(&source)? {
                self.add(&target, sum)?;
                self.store.remove(&source)?;
            }
        } else {
            let value = &mut self.value;
            value.clear();
            self.store.get(&source, &mut |found| value.extend_from_slice(found.unwrap_or(&[])))?;
            if !value.is_empty() {
                self.store.append(&target, value)?;
                self.store.remove(&source)?;
            }
        }
        (self.key, self.source) = (target, source);
        Ok(())
    }

    fn value(&mut self, operation: Operation) -> Outcome<()> {
        match operation {
            Operation::ValueSet(blob) => {
                blob.write(&mut self.value);
                self.store.put(&self.key, &self.value)
            }
            Operation::ValueClear => self.store.remove(&self.key),
            _ => self.tell(),
        }
    }

    fn reduce(&mut self, operation: Operation) -> Outcome<()> {
        let key = std::mem::take(&mut self.key);
        let done = match operation {
            Operation::SumAdd(number) => self.add(&key, number),
            Operation::SumClear => self.store.remove(&key),
            _ => self.sum(&key).map(|sum| match sum {
                Some(sum) => self.fold.number(sum),
                None => self.fold.nothing(),
            }),
        };
        self.key = key;
        done
    }

    fn list(&mut self, operation: Operation) -> Outcome<()> {
        match operation {
            Operation::ListAddAll(_, 0) => Ok(()),
            Operation::ListClear | Operation::ListUpdate(_, 0) => self.store.remove(&self.key),
            Operation::ListAdd(blob) => {
                self.frame(std::iter::once(blob))?;
                self.store.append(&self.key, &self.value)
            }
            Operation::ListAddAll(first, count) => {
                self.frame(series(first, count))?;
                self.store.append(&self.key, &self.value)
            }
            Operation::ListUpdate(first, count) => {
                self.frame(series(first, count))?;
                self.store.put(&self.key, &self.value)
            }
            _ => {
                let mut whole = true;
                let fold = &mut self.fold;
                self.store.get(&self.key, &mut |value| {
                    whole = elements(value.unwrap_or(&[]), |element| fold.bytes(element));
                })?;
                if whole { Ok(()) } else { Err("a list ends within an element".into()) }
            }
        }
    }

    fn map(&mut self, operation: Operation) -> Outcome<()> {
        match operation {
            Operation::MapScan => {
                let fold = &mut self.fold;
                self.store.scan(&self.key, &mut |map_key, value| {
                    let map_key = map_key.first_chunk().map_or(0, |key| u64::from_be_bytes(*key));
                    fold.number(map_key);
                    fold.bytes(value);
                })
            }
            Operation::MapInsert(map_key, blob) => {
                self.key.extend_from_slice(&map_key.to_be_bytes());
                blob.write(&mut self.value);
                self.store.put(&self.key, &self.value)
            }
            Operation::MapRemove(map_key) => {
                self.key.extend_from_slice(&map_key.to_be_bytes());
                self.store.remove(&self.key)
            }
            Operation::MapGet(map_key) => {
                self.key.extend_from_slice(&map_key.to_be_bytes());
                self.tell()
            }
            _ => self.store.remove_all(&self.key),
        }
    }
}

/// Shows the elements of a list; whether the last one is whole.
fn elements(mut framed: &[u8], mut show: impl FnMut(&[u8])) -> bool {
    while let Some((length, rest)) = framed.split_first_chunk() {
        let Some((element, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)
        else {
            return false;
        };
        show(element);
        framed = rest;
    }
    framed.is_empty()
}

impl<K: EncodedKey> Target for Bytes<K> {
    fn apply(&mut self, access: &Access) -> Result<()> {
        use Operation as O;
        self.number.remake(access.key, self.form);
        let window = access.window;
        let done = match access.operation {
            O::MergeSum(_) | O::MergeList(_) if window.is_none() => return Err(unwindowed()),
            O::MergeSum(from) => self.merge(window, from, SUM),
            O::MergeList(from) => self.merge(window, from, LIST),
            operation @ (O::ValueGet | O::ValueSet(_) | O::ValueClear) => {
                self.encode(VALUE, window);
                self.value(operation)
            }
            operation @ (O::SumGet | O::SumAdd(_) | O::SumClear) => {
                self.encode(SUM, window);
                self.reduce(operation)
            }
            operation @ (O::ListGet
            | O::ListAdd(_)
            | O::ListAddAll(..)
            | O::ListUpdate(..)
            | O::ListClear) => {
                self.encode(LIST, window);
                self.list(operation)
            }
            operation => {
                self.encode(MAP, window);
                self.map(operation)
            }
        };
        done.map_err(|error| Error::unavailable("the peer failed").with_source(error))
    }

    fn digest(&self) -> u64 {
        self.fold.digest()
    }

    fn restart(&mut self) {
        self.fold = Fold::default();
    }
}
