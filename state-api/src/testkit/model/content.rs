//! The plain model: what all states hold, as maps of maps.

use std::collections::BTreeMap;

use super::super::fixtures::fold;
use super::step::{Mergeable, Step};

/// Key and namespace.
type In = (u8, u8);

/// What all states hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the states' names")]
pub struct Content {
    pub count: BTreeMap<u8, u64>,
    pub name: BTreeMap<In, u8>,
    pub log: BTreeMap<u8, Vec<u8>>,
    pub events: BTreeMap<In, Vec<u8>>,
    pub sum: BTreeMap<u8, i64>,
    pub fold: BTreeMap<In, i64>,
    pub trail: BTreeMap<In, (u64, i64)>,
    pub pages: BTreeMap<u8, BTreeMap<u8, u32>>,
    pub grid: BTreeMap<In, BTreeMap<u8, u8>>,
}

/// What [`Step::Bump`] makes of a value.
pub(super) fn bump(old: Option<u64>) -> Option<u64> {
    match old {
        Some(5) => None,
        old => Some(old.unwrap_or(0) + 1),
    }
}

/// What [`Step::BumpPage`] makes of a value.
pub(super) fn bump_page(old: Option<u32>) -> Option<u32> {
    match old {
        Some(2) => None,
        old => Some(old.unwrap_or(0) + 1),
    }
}

/// The value that [`Step::SumMany`] adds for the key at an index.
pub(super) fn addend(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(0) * 3 + 1
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

fn reduce<K: Ord>(map: &mut BTreeMap<K, i64>, key: K, value: Option<i64>) {
    match value {
        Some(value) => {
            map.entry(key).and_modify(|old| *old = fold(*old, value)).or_insert(value);
        }
        None => drop(map.remove(&key)),
    }
}

impl Content {
    /// What an operation does; other steps do nothing here.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Count { key, value } => set(&mut self.count, *key, value.map(u64::from)),
            Step::Bump { key } => {
                let new = bump(self.count.get(key).copied());
                set(&mut self.count, *key, new);
            }
            Step::Name { key, window, text } => set(&mut self.name, (*key, *window), *text),
            Step::Log { key, texts } if !texts.is_empty() => {
                self.log.entry(*key).or_default().extend(texts);
            }
            Step::SetLog { key, texts } => {
                set(&mut self.log, *key, Some(texts.clone()).filter(|texts| !texts.is_empty()));
            }
            Step::Events { key, window, values: None } => {
                self.events.remove(&(*key, *window));
            }
            Step::Events { key, window, values: Some(values) } if !values.is_empty() => {
                self.events.entry((*key, *window)).or_default().extend(values);
            }
            Step::Sum { key, value } => reduce(&mut self.sum, *key, value.map(i64::from)),
            Step::Fold { key, window, value } => {
                reduce(&mut self.fold, (*key, *window), value.map(i64::from));
            }
            Step::Trail { key, window, value } => {
                let old = self.trail.get(&(*key, *window)).copied().unwrap_or((0, 7));
                let new = value.map(|value| (old.0 + 1, fold(old.1, i64::from(value))));
                set(&mut self.trail, (*key, *window), new);
            }
            Step::Merge { what, key, target, sources } => self.merge(*what, *key, *target, sources),
            Step::BumpMany { keys } => {
                for key in keys {
                    let new = bump(self.count.get(key).copied());
                    set(&mut self.count, *key, new);
                }
            }
            Step::SumMany { keys } => {
                for (index, key) in keys.iter().enumerate() {
                    reduce(&mut self.sum, *key, Some(addend(index)));
                }
            }
            step => self.apply_to_maps(step),
        }
    }

    fn apply_to_maps(&mut self, step: &Step) {
        match step {
            Step::Page { key, page, value } => {
                set(self.pages.entry(*key).or_default(), *page, value.map(u32::from));
            }
            Step::BumpPage { key, page } => {
                let pages = self.pages.entry(*key).or_default();
                let new = bump_page(pages.get(page).copied());
                set(pages, *page, new);
            }
            Step::RetainPages { key } => {
                let pages = self.pages.entry(*key).or_default();
                pages.retain(|_, value| *value % 2 == 0);
                for value in pages.values_mut() {
                    *value *= 2;
                }
            }
            Step::ClearPages { key } => drop(self.pages.remove(key)),
            Step::Grid { key, window, entry, text } => {
                set(self.grid.entry((*key, *window)).or_default(), *entry, *text);
            }
            Step::ClearGrid { key, window } => drop(self.grid.remove(&(*key, *window))),
            _ => {}
        }
        self.pages.retain(|_, pages| !pages.is_empty());
        self.grid.retain(|_, entries| !entries.is_empty());
    }

    /// Entries of all states together.
    pub fn entries(&self) -> u64 {
        let plain = self.count.len() + self.log.len() + self.sum.len();
        let windowed = self.name.len() + self.events.len() + self.fold.len() + self.trail.len();
        let pages: usize = self.pages.values().map(BTreeMap::len).sum();
        let grid: usize = self.grid.values().map(BTreeMap::len).sum();
        (plain + windowed + pages + grid) as u64
    }

    /// Sources in order, without the target and without repetitions.
    fn merge(&mut self, what: Mergeable, key: u8, target: u8, sources: &[u8]) {
        let mut distinct = Vec::new();
        for source in sources {
            if *source != target && !distinct.contains(source) {
                distinct.push(*source);
            }
        }
        match what {
            Mergeable::Events => {
                for source in distinct {
                    if let Some(values) = self.events.remove(&(key, source)) {
                        self.events.entry((key, target)).or_default().extend(values);
                    }
                }
            }
            Mergeable::Fold => {
                let held = distinct.iter().filter_map(|source| self.fold.remove(&(key, *source)));
                let merged = held.collect::<Vec<_>>();
                let own = self.fold.get(&(key, target)).copied();
                let merged = merged.into_iter().chain(own).reduce(fold);
                set(&mut self.fold, (key, target), merged);
            }
            Mergeable::Trail => {
                let held = distinct.iter().filter_map(|source| self.trail.remove(&(key, *source)));
                let merged = held.collect::<Vec<_>>();
                let own = self.trail.get(&(key, target)).copied();
                let merge = |a: (u64, i64), b: (u64, i64)| (a.0 + b.0, fold(a.1, b.1));
                let merged = merged.into_iter().chain(own).reduce(merge);
                set(&mut self.trail, (key, target), merged);
            }
        }
    }
}
