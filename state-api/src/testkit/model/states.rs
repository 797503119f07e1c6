//! The typed side: the states of one store, the steps done to them, and their comparison.

use std::ops::ControlFlow;

use super::super::fixtures::{HandleOf, Trail, fold};
use super::Failure;
use super::content::{Content, addend, bump, bump_page};
use super::step::{KEYS, Mergeable, Step, TEXTS, WINDOWS};
use crate::codec::Native;
use crate::{
    AggregatingDescriptor, AggregatingState, AnyHandle, InNamespace, KeyedBackend, KeyedStore,
    ListDescriptor, ListState, MapDescriptor, MapState, NoNamespace, ReducingDescriptor,
    ReducingState, Result, ValueDescriptor, ValueState,
};

type In = InNamespace<i64>;
type Name = ValueDescriptor<String, Native, In>;
type Log = ListDescriptor<String>;
type Events = ListDescriptor<u64, Native, In>;
type Sum = ReducingDescriptor<i64>;
type Fold = ReducingDescriptor<i64, Native, In>;
type Trails = AggregatingDescriptor<Trail, Native, In>;
type Pages = MapDescriptor<String, u32>;
type Grid = MapDescriptor<u8, String, Native, Native, In>;

const KEY_TABLE: [&str; KEYS as usize] =
    ["", "\0", "a", "a\0", "aa", "b", "\u{ff}", "key number seven, a long one", "8", "9"];
const WINDOW_TABLE: [i64; WINDOWS as usize] = [-1, 0, 256];
const TEXT_TABLE: [&str; TEXTS as usize] =
    ["", "a", "a\0", "ab", "\u{ff}\u{ff}", "a text that is too long to be kept inline anywhere"];

/// Compares, and describes the difference.
macro_rules! same {
    ($found:expr, $want:expr, $($what:tt)*) => {
        match (&$found, &$want) {
            (found, want) if *found != *want => {
                let what = format!($($what)*);
                let text = format!("{what}: the store has {found:?}, the model {want:?}");
                return Err(Failure(text));
            }
            _ => {}
        }
    };
}
pub(super) use same;

/// The key at an index.
pub(in crate::testkit) fn key_at(index: u8) -> &'static str {
    KEY_TABLE[usize::from(index)]
}

fn window_at(index: u8) -> i64 {
    WINDOW_TABLE[usize::from(index)]
}

fn text_at(index: u8) -> &'static str {
    TEXT_TABLE[usize::from(index)]
}

fn texts_at(indexes: &[u8]) -> Vec<String> {
    indexes.iter().map(|index| text_at(*index).to_owned()).collect()
}

/// The handles of all states in one backend.
#[derive(Clone, Copy, Debug)]
pub(in crate::testkit) struct States {
    count: HandleOf<ValueDescriptor<u64>>,
    name: HandleOf<Name>,
    log: HandleOf<Log>,
    events: HandleOf<Events>,
    sum: HandleOf<Sum>,
    fold: HandleOf<Fold>,
    trail: HandleOf<Trails>,
    pages: HandleOf<Pages>,
    grid: HandleOf<Grid>,
}

type Backend<S> = KeyedBackend<String, S>;

impl States {
    pub(in crate::testkit) fn open<S: KeyedStore>(backend: &mut Backend<S>) -> Result<Self> {
        Ok(Self {
            count: backend.open(ValueDescriptor::new("count"))?,
            name: backend.open(Name::clone(&ValueDescriptor::new("name").in_namespace()))?,
            log: backend.open(ListDescriptor::new("log"))?,
            events: backend.open(Events::clone(&ListDescriptor::new("events").in_namespace()))?,
            sum: backend.open(ReducingDescriptor::new("sum", fold))?,
            fold: backend
                .open(Fold::clone(&ReducingDescriptor::new("fold", fold).in_namespace()))?,
            trail: backend
                .open(Trails::clone(&AggregatingDescriptor::new("trail").in_namespace()))?,
            pages: backend.open(MapDescriptor::new("pages"))?,
            grid: backend.open(Grid::clone(&MapDescriptor::new("grid").in_namespace()))?,
        })
    }

    /// Does an operation on one key; `model` is what was there before.
    pub(in crate::testkit) fn apply<S: KeyedStore>(
        &self,
        backend: &mut Backend<S>,
        step: &Step,
        model: &Content,
    ) -> Result<(), Failure> {
        match step {
            Step::Look { key } => self.compare_key(backend, *key, model)?,
            Step::Count { key, value } => {
                let mut cx = backend.at(key_at(*key))?;
                match value {
                    Some(value) => cx.value(self.count).set(&u64::from(*value))?,
                    None => cx.value(self.count).clear()?,
                }
            }
            Step::Bump { key } => {
                let mut seen = None;
                backend.at(key_at(*key))?.value(self.count).update(|old| {
                    seen = old;
                    bump(old)
                })?;
                same!(seen, model.count.get(key).copied(), "old value in an update of key {key}");
            }
            Step::Log { key, texts } => {
                backend.at(key_at(*key))?.list(self.log).add_all(&texts_at(texts))?;
            }
            Step::SetLog { key, texts } => {
                backend.at(key_at(*key))?.list(self.log).update(&texts_at(texts))?;
            }
            Step::Sum { key, value } => {
                let mut cx = backend.at(key_at(*key))?;
                match value {
                    Some(value) => cx.reducing(self.sum).add(i64::from(*value))?,
                    None => cx.reducing(self.sum).clear()?,
                }
            }
            Step::Merge { what, key, target, sources } => {
                let mut cx = backend.at(key_at(*key))?;
                let target = window_at(*target);
                let sources: Vec<i64> = sources.iter().map(|source| window_at(*source)).collect();
                match what {
                    Mergeable::Events => cx.merge_namespaces(self.events, &target, &sources)?,
                    Mergeable::Fold => cx.merge_namespaces(self.fold, &target, &sources)?,
                    Mergeable::Trail => cx.merge_namespaces(self.trail, &target, &sources)?,
                }
            }
            step => {
                self.apply_in_window(backend, step)?;
                self.apply_to_maps(backend, step, model)?;
            }
        }
        Ok(())
    }

    fn apply_in_window<S: KeyedStore>(
        &self,
        backend: &mut Backend<S>,
        step: &Step,
    ) -> Result<(), Failure> {
        let (Step::Name { key, window, .. }
        | Step::Events { key, window, .. }
        | Step::Fold { key, window, .. }
        | Step::Trail { key, window, .. }
        | Step::Grid { key, window, .. }
        | Step::ClearGrid { key, window }) = step
        else {
            return Ok(());
        };
        let mut outer = backend.at(key_at(*key))?;
        let mut cx = outer.within(&window_at(*window))?;
        match step {
            Step::Name { text: Some(text), .. } => cx.value(self.name).set(text_at(*text))?,
            Step::Name { text: None, .. } => cx.value(self.name).clear()?,
            Step::Events { values: Some(values), .. } => {
                let values: Vec<u64> = values.iter().copied().map(u64::from).collect();
                cx.list(self.events).add_all(&values)?;
            }
            Step::Events { values: None, .. } => cx.list(self.events).clear()?,
            Step::Fold { value: Some(value), .. } => {
                cx.reducing(self.fold).add(i64::from(*value))?;
            }
            Step::Fold { value: None, .. } => cx.reducing(self.fold).clear()?,
            Step::Trail { value: Some(value), .. } => {
                cx.aggregating(self.trail).add(i64::from(*value))?;
            }
            Step::Trail { value: None, .. } => cx.aggregating(self.trail).clear()?,
            Step::Grid { entry, text: Some(text), .. } => {
                cx.map(self.grid).insert(entry, text_at(*text))?;
            }
            Step::Grid { entry, text: None, .. } => cx.map(self.grid).remove(entry)?,
            _ => cx.map(self.grid).clear()?,
        }
        Ok(())
    }

    fn apply_to_maps<S: KeyedStore>(
        &self,
        backend: &mut Backend<S>,
        step: &Step,
        model: &Content,
    ) -> Result<(), Failure> {
        let (Step::Page { key, .. }
        | Step::BumpPage { key, .. }
        | Step::RetainPages { key }
        | Step::ClearPages { key }) = step
        else {
            return Ok(());
        };
        let mut cx = backend.at(key_at(*key))?;
        let mut pages = cx.map(self.pages);
        match step {
            Step::Page { page, value: Some(value), .. } => {
                pages.insert(text_at(*page), &u32::from(*value))?;
            }
            Step::Page { page, value: None, .. } => pages.remove(text_at(*page))?,
            Step::BumpPage { page, .. } => {
                let mut seen = None;
                pages.update(text_at(*page), |old| {
                    seen = old;
                    bump_page(old)
                })?;
                let old = model.pages.get(key).and_then(|pages| pages.get(page)).copied();
                same!(seen, old, "old value in an update of page {page} of key {key}");
            }
            Step::RetainPages { .. } => pages.retain(|_, value| {
                let kept = *value % 2 == 0;
                *value *= 2;
                kept
            })?,
            _ => pages.clear()?,
        }
        Ok(())
    }

    /// Does a batch; `positions` are the indexes of `keys` in the whole batch.
    pub(super) fn apply_batch<S: KeyedStore>(
        &self,
        backend: &mut Backend<S>,
        step: &Step,
        keys: &[(usize, u8)],
        model: &Content,
    ) -> Result<(), Failure> {
        let mut batch = backend.batch(keys.iter().map(|(_, key)| key_at(*key).to_owned()))?;
        let mut seen = Vec::new();
        match step {
            Step::ReadMany { .. } => {
                batch.get(self.count, |index, value| seen.push((index, value)))?;
                let values = keys.iter().map(|(_, key)| model.count.get(key).copied());
                same!(seen, values.enumerate().collect::<Vec<_>>(), "a batch of {keys:?}");
            }
            Step::BumpMany { .. } => batch.update(self.count, |_, old| bump(old))?,
            _ => batch.add(self.sum, keys.iter().map(|(index, _)| addend(*index)))?,
        }
        Ok(())
    }

    /// Compares everything that one key has.
    pub(in crate::testkit) fn compare_key<S: KeyedStore>(
        &self,
        backend: &mut Backend<S>,
        key: u8,
        model: &Content,
    ) -> Result<(), Failure> {
        let mut cx = backend.at(key_at(key))?;
        same!(cx.value(self.count).get()?, model.count.get(&key).copied(), "count of key {key}");
        let log = texts_at(model.log.get(&key).map_or(&[][..], Vec::as_slice));
        same!(cx.list(self.log).get()?, log, "log of key {key}");
        let bytes: usize = log.iter().map(|text| 4 + text.len()).sum();
        let size = cx.list(self.log).size()?;
        same!((size.elements, size.bytes), (log.len() as u64, bytes as u64), "size of log {key}");
        same!(cx.reducing(self.sum).get()?, model.sum.get(&key).copied(), "sum of key {key}");
        let pages = model.pages.get(&key).into_iter().flatten();
        let pages = pages.map(|(page, value)| (text_at(*page).to_owned(), *value));
        same!(cx.map(self.pages).entries()?, sorted(pages), "pages of key {key}");
        for window in 0..WINDOWS {
            let (at, mut cx) = ((key, window), cx.within(&window_at(window))?);
            let name = model.name.get(&at).map(|text| text_at(*text));
            same!(cx.value(self.name).get()?.as_deref(), name, "name of {at:?}");
            let events = model.events.get(&at).into_iter().flatten();
            let events: Vec<u64> = events.copied().map(u64::from).collect();
            same!(cx.list(self.events).get()?, events, "events of {at:?}");
            same!(cx.reducing(self.fold).get()?, model.fold.get(&at).copied(), "fold of {at:?}");
            let trail = model.trail.get(&at).map(|(count, trail)| format!("{count}:{trail}"));
            same!(cx.aggregating(self.trail).get()?, trail, "trail of {at:?}");
            let grid = model.grid.get(&at).into_iter().flatten();
            let grid = grid.map(|(entry, text)| (*entry, text_at(*text).to_owned()));
            same!(cx.map(self.grid).entries()?, sorted(grid), "grid of {at:?}");
        }
        Ok(())
    }

    /// Compares which keys, with which namespaces, enumeration finds.
    pub(in crate::testkit) fn compare_keys<S: KeyedStore>(
        &self,
        backend: &mut Backend<S>,
        owns: impl Fn(u8) -> bool,
        model: &Content,
    ) -> Result<(), Failure> {
        let keys = |keys: Vec<u8>| sorted(keys.into_iter().filter(|k| owns(*k)).map(key_at));
        let want = keys(model.count.keys().copied().collect());
        same!(all_keys(backend, self.count)?, want, "keys of count");
        let want = keys(model.log.keys().copied().collect());
        same!(all_keys(backend, self.log)?, want, "keys of log");
        let want = keys(model.sum.keys().copied().collect());
        same!(all_keys(backend, self.sum)?, want, "keys of sum");
        let want = keys(model.pages.keys().copied().collect());
        same!(all_keys(backend, self.pages)?, want, "keys of pages");
        let pairs = |pairs: Vec<(u8, u8)>| {
            let owned = pairs.into_iter().filter(|(key, _)| owns(*key));
            sorted(owned.map(|(key, window)| (key_at(key).to_owned(), window_at(window))))
        };
        let want = pairs(model.name.keys().copied().collect());
        same!(all_pairs(backend, self.name)?, want, "keys and windows of name");
        let want = pairs(model.events.keys().copied().collect());
        same!(all_pairs(backend, self.events)?, want, "keys and windows of events");
        let want = pairs(model.fold.keys().copied().collect());
        same!(all_pairs(backend, self.fold)?, want, "keys and windows of fold");
        let want = pairs(model.trail.keys().copied().collect());
        same!(all_pairs(backend, self.trail)?, want, "keys and windows of trail");
        let want = pairs(model.grid.keys().copied().collect());
        same!(all_pairs(backend, self.grid)?, want, "keys and windows of grid");
        Ok(())
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items
}

fn all_keys<S: KeyedStore>(
    backend: &mut Backend<S>,
    handle: impl AnyHandle<Namespace = NoNamespace>,
) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    backend.for_each_key(handle, |key| {
        keys.push(key);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(sorted(keys))
}

fn all_pairs<S: KeyedStore>(
    backend: &mut Backend<S>,
    handle: impl AnyHandle<Namespace = In>,
) -> Result<Vec<(String, i64)>> {
    let mut pairs = Vec::new();
    backend.for_each_key_and_namespace(handle, |key, window| {
        pairs.push((key, window));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(sorted(pairs))
}
