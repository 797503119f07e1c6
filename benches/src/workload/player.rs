//! [`Player`]: plays accesses on a backend, through the typed front that operators use.

use std::ops::ControlFlow;

use alluvium_state_api::codec::{KeyCodec, Native};
use alluvium_state_api::{
    InNamespace, KeyContext, KeyGroup, KeyHash, KeyedBackend, KeyedStore, ListDescriptor,
    ListHandle, ListState, MapDescriptor, MapHandle, NamespaceSpec, NoNamespace,
    ReducingDescriptor, ReducingHandle, ReducingState, Result, StableHash, ValueDescriptor,
    ValueHandle,
};

use super::Target;
use super::access::{Access, Blob, Fold, Operation};
use super::maps::{series, unwindowed};

/// Windows are named by their numbers.
type Window = InNamespace<u64>;

const VALUE: ValueDescriptor<Vec<u8>> = ValueDescriptor::new("value");
const SUM: ReducingDescriptor<u64> = ReducingDescriptor::new("sum", u64::wrapping_add);
const LIST: ListDescriptor<Vec<u8>> = ListDescriptor::new("list");
const MAP: MapDescriptor<u64, Vec<u8>> = MapDescriptor::new("map");
const WINDOW_VALUE: ValueDescriptor<Vec<u8>, Native, Window> =
    ValueDescriptor::new("window-value").in_namespace();
const WINDOW_SUM: ReducingDescriptor<u64, Native, Window> =
    ReducingDescriptor::new("window-sum", u64::wrapping_add).in_namespace();
const WINDOW_LIST: ListDescriptor<Vec<u8>, Native, Window> =
    ListDescriptor::new("window-list").in_namespace();
const WINDOW_MAP: MapDescriptor<u64, Vec<u8>, Native, Native, Window> =
    MapDescriptor::new("window-map").in_namespace();

/// The states of a workload, without windows or in them.
struct States<N> {
    value: ValueHandle<Vec<u8>, Native, N>,
    sum: ReducingHandle<u64, Native, N>,
    list: ListHandle<Vec<u8>, Native, N>,
    map: MapHandle<u64, Vec<u8>, Native, Native, N>,
}

impl<N> Clone for States<N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for States<N> {}

/// A key as a backend has it.
pub trait PlayedKey: Sized + 'static {
    /// What it is made from besides its number: the length of keys of bytes.
    type Form: Copy + std::fmt::Debug;

    /// Makes the key with this number in the place of another one.
    fn remake(&mut self, number: u64, form: Self::Form);

    /// A key to begin with.
    fn start() -> Self;
}

impl PlayedKey for u64 {
    type Form = ();

    #[inline]
    fn remake(&mut self, number: u64, (): ()) {
        *self = number;
    }

    fn start() -> Self {
        0
    }
}

/// Keys of any length of at least eight bytes: the number, big-endian, and then what follows from it.
impl PlayedKey for Vec<u8> {
    type Form = u32;

    #[inline]
    fn remake(&mut self, number: u64, length: u32) {
        Blob { seed: number.swap_bytes(), bytes: length.max(8) }.write(self);
    }

    fn start() -> Self {
        Self::new()
    }
}

/// See the module.
pub struct Player<S, K: PlayedKey = u64>
where
    Native: KeyCodec<K>,
{
    /// The backend that is played on.
    pub backend: KeyedBackend<K, S>,
    plain: States<NoNamespace>,
    windowed: States<Window>,
    key: K,
    form: K::Form,
    values: Values,
    fold: Fold,
}

impl<S: KeyedStore, K: PlayedKey> std::fmt::Debug for Player<S, K>
where
    Native: KeyCodec<K>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Player").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// Room for what is written.
#[derive(Debug, Default)]
struct Values {
    value: Vec<u8>,
    elements: Vec<Vec<u8>>,
}

impl Values {
    fn series(&mut self, first: Blob, count: u32) -> &[Vec<u8>] {
        self.elements.resize(count as usize, Vec::new());
        for (element, blob) in self.elements.iter_mut().zip(series(first, count)) {
            blob.write(element);
        }
        &self.elements
    }

    fn one(&mut self, blob: Blob) -> &Vec<u8> {
        blob.write(&mut self.value);
        &self.value
    }
}

impl<S: KeyedStore, K: PlayedKey> Player<S, K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    /// Plays on `store`. The key's form is its length, where keys are bytes.
    ///
    /// # Errors
    /// Where the backend fails, and where it holds states of the same names and other types.
    pub fn over(store: S, form: K::Form) -> Result<Self> {
        let mut backend = KeyedBackend::new(store)?;
        Ok(Self {
            plain: States {
                value: backend.open(VALUE)?,
                sum: backend.open(SUM)?,
                list: backend.open(LIST)?,
                map: backend.open(MAP)?,
            },
            windowed: States {
                value: backend.open(WINDOW_VALUE)?,
                sum: backend.open(WINDOW_SUM)?,
                list: backend.open(WINDOW_LIST)?,
                map: backend.open(WINDOW_MAP)?,
            },
            backend,
            key: K::start(),
            form,
            values: Values::default(),
            fold: Fold::default(),
        })
    }
}

impl<S: KeyedStore, K: PlayedKey> Player<S, K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    /// The key group of the key with this number.
    ///
    /// # Errors
    /// Where the backend does not own it.
    pub fn group_of(&mut self, number: u64) -> Result<KeyGroup> {
        self.key.remake(number, self.form);
        Ok(self.backend.at(&self.key)?.key_group())
    }
}

#[inline]
fn apply<S: KeyedStore, N: NamespaceSpec>(
    context: &mut KeyContext<'_, S, N>,
    states: States<N>,
    operation: Operation,
    values: &mut Values,
    fold: &mut Fold,
) -> Result<()> {
    match operation {
        Operation::ValueGet => context.value(states.value).read(|value| match value {
            Some(value) => fold.bytes(value),
            None => fold.nothing(),
        }),
        Operation::ValueSet(blob) => context.value(states.value).set(values.one(blob)),
        Operation::ValueClear => {
            alluvium_state_api::ValueState::clear(&mut context.value(states.value))
        }
        Operation::SumAdd(number) => context.reducing(states.sum).add(number),
        Operation::SumGet => {
            match context.reducing(states.sum).get()? {
                Some(sum) => fold.number(sum),
                None => fold.nothing(),
            }
            Ok(())
        }
        Operation::SumClear => context.reducing(states.sum).clear(),
        Operation::ListAdd(blob) => context.list(states.list).add(values.one(blob)),
        Operation::ListAddAll(first, count) => {
            context.list(states.list).add_all(values.series(first, count))
        }
        Operation::ListUpdate(first, count) => {
            context.list(states.list).update(values.series(first, count))
        }
        Operation::ListGet => context.list(states.list).read(|element| {
            fold.bytes(element);
            Ok(ControlFlow::Continue(()))
        }),
        Operation::ListClear => context.list(states.list).clear(),
        Operation::MapGet(map_key) => context.map(states.map).read(&map_key, |value| match value {
            Some(value) => fold.bytes(value),
            None => fold.nothing(),
        }),
        Operation::MapInsert(map_key, blob) => {
            context.map(states.map).insert(&map_key, values.one(blob))
        }
        Operation::MapRemove(map_key) => context.map(states.map).remove(&map_key),
        Operation::MapScan => context.map(states.map).read_each(|map_key, value| {
            fold.number(map_key);
            fold.bytes(value);
            Ok(ControlFlow::Continue(()))
        }),
        Operation::MapClear => alluvium_state_api::MapState::clear(&mut context.map(states.map)),
        Operation::MergeSum(_) | Operation::MergeList(_) => Err(unwindowed()),
    }
}

impl<S: KeyedStore, K: PlayedKey> Target for Player<S, K>
where
    Native: KeyCodec<K>,
    StableHash: KeyHash<K>,
{
    #[inline]
    fn apply(&mut self, access: &Access) -> Result<()> {
        let Self { backend, plain, windowed, key, form, values, fold } = self;
        key.remake(access.key, *form);
        let mut context = backend.at(&*key)?;
        let Some(window) = access.window else {
            return apply(&mut context, *plain, access.operation, values, fold);
        };
        match access.operation {
            Operation::MergeSum(source) => {
                context.merge_namespaces(windowed.sum, &window, [&source])
            }
            Operation::MergeList(source) => {
                context.merge_namespaces(windowed.list, &window, [&source])
            }
            operation => apply(&mut context.within(&window)?, *windowed, operation, values, fold),
        }
    }

    fn digest(&self) -> u64 {
        self.fold.digest()
    }

    fn restart(&mut self) {
        self.fold = Fold::default();
    }
}
