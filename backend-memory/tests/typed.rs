//! The typed layer over a store: what its traits forward, and what it refuses.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::ControlFlow;

use alluvium_backend_memory::{MemoryBackend, MemoryStore};
use alluvium_state_api::codec::Postcard;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::{
    BackendRegistry, ErrorKind, KeyedBackend, KeyedStore, ListDescriptor, ListState, MapDescriptor,
    MapState, MaxParallelism, OpenEnv, Result, ValueDescriptor, ValueState,
};
use serde::{Deserialize, Serialize, Serializer};

type Backend = KeyedBackend<u64, MemoryStore>;

fn env() -> OpenEnv {
    let groups = MaxParallelism::new(8).unwrap();
    OpenEnv::new(KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap())
}

fn fresh() -> Backend {
    KeyedBackend::new(MemoryStore::open(env()).unwrap()).unwrap()
}

/// An operator that knows its state by trait alone.
fn tally(seen: &mut impl MapState<String, u64>, word: &str) -> Result<Vec<(String, u64)>> {
    let word = word.to_owned();
    if !seen.contains(&word)? {
        seen.insert(&word, &0)?;
    }
    seen.update(&word, |n| n.map(|n| n + 1))?;
    assert_eq!(seen.get(&word)?.is_some(), !seen.is_empty()?);
    seen.insert(&"gone".to_owned(), &9)?;
    seen.remove(&"gone".to_owned())?;
    seen.entries()
}

/// Another one.
fn remember(state: &mut impl ValueState<String>, word: &str) -> Result<()> {
    state.set(&word.to_owned())
}

#[test]
fn operators_are_written_against_traits() {
    let mut backend = fresh();
    let words = backend.open(MapDescriptor::<String, u64>::new("words")).unwrap();
    let last = backend.open(ValueDescriptor::<String>::new("last")).unwrap();
    let mut cx = backend.at(&7).unwrap();
    tally(&mut cx.map(words), "be").unwrap();
    tally(&mut cx.map(words), "or").unwrap();
    let counts = tally(&mut cx.map(words), "be").unwrap();
    assert_eq!(counts, [("be".to_owned(), 2), ("or".to_owned(), 1)]);
    remember(&mut cx.value(last), "be").unwrap();
    assert_eq!(cx.value(last).get().unwrap().as_deref(), Some("be"));
}

#[test]
fn maps_and_lists_are_read_without_copies() {
    let mut backend = fresh();
    let map = backend.open(MapDescriptor::<String, String>::new("map")).unwrap();
    let list = backend.open(ListDescriptor::<String>::new("list")).unwrap();
    let mut cx = backend.at(&1).unwrap();
    for (key, value) in [("b", "2"), ("a", "1"), ("c", "3")] {
        cx.map(map).insert(key, value).unwrap();
        cx.list(list).add(&value.to_owned()).unwrap();
    }
    assert_eq!(cx.map(map).read("b", |value| value.map(str::len)).unwrap(), Some(1));
    assert_eq!(cx.map(map).read("x", |value| value.map(str::len)).unwrap(), None);
    let mut seen = String::new();
    let mut visit = |key: &str, value: &str| {
        seen.push_str(key);
        seen.push_str(value);
        Ok(if key == "b" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    cx.map(map).read_each(&mut visit).unwrap();
    let push = |element: &str| {
        seen.push_str(element);
        Ok(ControlFlow::Continue(()))
    };
    cx.list(list).read(push).unwrap();
    assert_eq!(seen, "a1b2213", "maps in order until the break, lists as they were appended");
}

/// Serde refuses the empty one, after it has written something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Name(String);

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::{Error, SerializeTuple};
        let mut tuple = to.serialize_tuple(1)?;
        tuple.serialize_element(&self.0)?;
        if self.0.is_empty() { Err(S::Error::custom("a name is not empty")) } else { tuple.end() }
    }
}

#[test]
fn a_map_key_without_an_encoding_leaves_the_record_where_it_is() {
    let mut backend = fresh();
    let descriptor = MapDescriptor::<Name, u64>::new("map").with_codecs::<Postcard, Postcard>();
    let map = backend.open(descriptor).unwrap();
    let (name, nobody) = (Name("a name that is longer than a key".to_owned()), Name(String::new()));
    let mut cx = backend.at(&5).unwrap();
    let mut view = cx.map(map);
    let refused = view.insert(&nobody, &1);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    view.insert(&name, &2).unwrap();
    assert_eq!(view.get(&name).unwrap(), Some(2));
    assert_eq!(backend.at(&5).unwrap().map(map).get(&name).unwrap(), Some(2));
}

#[test]
fn an_element_without_an_encoding_adds_nothing() {
    let mut backend = fresh();
    let list = ListDescriptor::<Name>::new("list").with_codec::<Postcard>();
    let list = backend.open(list).unwrap();
    let names = [Name("one".to_owned()), Name(String::new())];
    let mut cx = backend.at(&5).unwrap();
    assert_eq!(cx.list(list).add_all(&names).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(cx.list(list).get().unwrap().is_empty());
    cx.list(list).add(&names[0]).unwrap();
    assert_eq!(cx.list(list).get().unwrap(), names[..1]);
}

#[test]
fn the_backend_is_found_by_all_of_its_names() {
    let registry = BackendRegistry::new().with(MemoryBackend);
    for name in ["memory", "HashMap", "jobmanager"] {
        let settings = Settings::from_pairs([("state.backend", name)]).unwrap();
        let store = registry.open(env(), &settings).unwrap();
        assert_eq!(store.backend_name(), "memory");
    }
}

#[test]
fn a_store_comes_back_with_what_is_in_it() {
    let count = ValueDescriptor::<u64>::new("count");
    let mut backend = fresh();
    let handle = backend.open(count).unwrap();
    backend.at(&3).unwrap().value(handle).set(&30).unwrap();
    assert!(format!("{backend:?}").contains("memory"));
    let mut again = Backend::new(backend.into_store()).unwrap();
    let handle = again.open(count).unwrap();
    assert_eq!(again.at(&3).unwrap().value(handle).get().unwrap(), Some(30));
    assert_eq!(format!("{count:?}"), "ValueDescriptor(\"count\")");
    assert_eq!(count.name(), "count");
}

#[test]
fn values_have_the_default_of_their_descriptor() {
    let mut backend = fresh();
    let with_default = ValueDescriptor::<u64>::new("rate").with_default(|| 100);
    let rate = backend.open(with_default).unwrap();
    let mut cx = backend.at(&1).unwrap();
    assert_eq!(cx.value(rate).get().unwrap(), Some(100));
    cx.value(rate).set(&5).unwrap();
    assert_eq!(cx.value(rate).get().unwrap(), Some(5));
    cx.value(rate).clear().unwrap();
    assert_eq!(cx.value(rate).get().unwrap(), Some(100));
}
