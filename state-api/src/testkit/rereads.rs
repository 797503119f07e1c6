//! What was read before is read again after everything that may change it, or where it lies: what a store
//! remembers of reads must not outlive them.

use std::collections::BTreeMap;

use super::harness::{Backend, Harness, Kit, run_task};
use crate::random::{Randomness, SeededRandomness};
use crate::snapshot::{CancelToken, SnapshotKind};
use crate::{
    Descriptor, MapDescriptor, MapState, ReducingDescriptor, ReducingState, ValueDescriptor,
    ValueState,
};

const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
const TEXT: ValueDescriptor<String> = ValueDescriptor::new("text");
const SUM: ReducingDescriptor<i64> = ReducingDescriptor::new("sum", i64::wrapping_add);
const NUMBERS: MapDescriptor<u64, u64> = MapDescriptor::new("numbers");
const NAMES: MapDescriptor<String, String> = MapDescriptor::new("names");

type HandleOf<D> = <D as Descriptor>::Handle;

/// Keys that are read.
const KEYS: u64 = 12;
/// Keys above them, which only take up room.
const BALLAST: std::ops::Range<u64> = 1_000..1_300;

/// What a key holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Content {
    count: Option<u64>,
    text: Option<String>,
    sum: Option<i64>,
    numbers: BTreeMap<u64, u64>,
    names: BTreeMap<String, String>,
}

#[derive(Clone, Copy)]
struct States {
    count: HandleOf<ValueDescriptor<u64>>,
    text: HandleOf<ValueDescriptor<String>>,
    sum: HandleOf<ReducingDescriptor<i64>>,
    numbers: HandleOf<MapDescriptor<u64, u64>>,
    names: HandleOf<MapDescriptor<String, String>>,
}

/// What happens between two reads of everything.
#[derive(Clone, Copy, Debug)]
enum Event {
    Overwrite,
    Update,
    Remove,
    RemoveEntries,
    ClearMaps,
    /// So much else is written that a store with little memory puts away what it has.
    Fill,
    Confirmed,
    Unconfirmed,
    Dropped,
    Savepoint,
    Restore,
}

const EVENTS: [Event; 11] = [
    Event::Overwrite,
    Event::Update,
    Event::Remove,
    Event::RemoveEntries,
    Event::ClearMaps,
    Event::Fill,
    Event::Confirmed,
    Event::Unconfirmed,
    Event::Dropped,
    Event::Savepoint,
    Event::Restore,
];

/// A backend beside a model of what it must hold.
struct Pair<'k, H: Harness> {
    kit: &'k Kit<H>,
    backend: Backend<H>,
    states: States,
    model: BTreeMap<u64, Content>,
    /// Makes values that were not there before.
    next: u64,
}

impl States {
    fn open<H: Harness>(backend: &mut Backend<H>) -> Self {
        Self {
            count: backend.open(COUNT).unwrap(),
            text: backend.open(TEXT).unwrap(),
            sum: backend.open(SUM).unwrap(),
            numbers: backend.open(NUMBERS).unwrap(),
            names: backend.open(NAMES).unwrap(),
        }
    }
}

fn text_of(number: u64) -> String {
    "long ".repeat(usize::try_from(number % 60).unwrap()) + &number.to_string()
}

impl<'k, H: Harness> Pair<'k, H> {
    /// Everything is filled, and lies where a restore leaves it.
    fn restored(kit: &'k Kit<H>) -> Self {
        let mut backend = kit.fresh::<u64>();
        let states = States::open::<H>(&mut backend);
        let mut pair = Self { kit, backend, states, model: BTreeMap::new(), next: 1 };
        for key in 0..KEYS {
            pair.overwrite(key);
        }
        pair.happens(Event::Restore, 0);
        pair
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn overwrite(&mut self, key: u64) {
        let number = self.number();
        let (text, states) = (text_of(number), self.states);
        let mut cx = self.backend.at(&key).unwrap();
        cx.value(states.count).set(&number).unwrap();
        cx.value(states.text).set(&text).unwrap();
        cx.reducing(states.sum).clear().unwrap();
        cx.reducing(states.sum).add(number.cast_signed()).unwrap();
        let content = self.model.entry(key).or_default();
        for entry in [1, number % 3] {
            cx.map(states.numbers).insert(&entry, &number).unwrap();
            cx.map(states.names).insert(&entry.to_string(), &text).unwrap();
            content.numbers.insert(entry, number);
            content.names.insert(entry.to_string(), text.clone());
        }
        content.count = Some(number);
        content.text = Some(text);
        content.sum = Some(number.cast_signed());
    }

    fn update(&mut self, key: u64) {
        let content = self.model.entry(key).or_default();
        let states = self.states;
        let mut cx = self.backend.at(&key).unwrap();
        let expected = content.count;
        cx.value(states.count)
            .update(|old| {
                assert_eq!(old, expected);
                Some(old.unwrap_or(0) + 1)
            })
            .unwrap();
        content.count = Some(expected.unwrap_or(0) + 1);
        cx.reducing(states.sum).add(3).unwrap();
        content.sum = Some(content.sum.map_or(3, |sum| sum + 3));
        cx.map(states.numbers).insert(&1, &key).unwrap();
        content.numbers.insert(1, key);
    }

    fn remove(&mut self, key: u64) {
        let states = self.states;
        let mut cx = self.backend.at(&key).unwrap();
        cx.value(states.count).clear().unwrap();
        cx.value(states.text).clear().unwrap();
        cx.reducing(states.sum).clear().unwrap();
        let content = self.model.entry(key).or_default();
        (content.count, content.text, content.sum) = (None, None, None);
    }

    fn remove_entries(&mut self, key: u64) {
        let states = self.states;
        let mut cx = self.backend.at(&key).unwrap();
        cx.map(states.numbers).remove(&1).unwrap();
        cx.map(states.names).remove("1").unwrap();
        let content = self.model.entry(key).or_default();
        content.numbers.remove(&1);
        content.names.remove("1");
    }

    fn clear_maps(&mut self, key: u64) {
        let states = self.states;
        let mut cx = self.backend.at(&key).unwrap();
        cx.map(states.numbers).clear().unwrap();
        cx.map(states.names).clear().unwrap();
        let content = self.model.entry(key).or_default();
        content.numbers.clear();
        content.names.clear();
    }

    /// Something happens, to every third key from `first` on, or to the store.
    fn happens(&mut self, event: Event, first: u64) {
        let change = match event {
            Event::Overwrite => Self::overwrite,
            Event::Update => Self::update,
            Event::Remove => Self::remove,
            Event::RemoveEntries => Self::remove_entries,
            Event::ClearMaps => Self::clear_maps,
            _ => return self.turns(event),
        };
        for key in (first % 3..KEYS).step_by(3) {
            change(self, key);
        }
    }

    fn turns(&mut self, event: Event) {
        match event {
            Event::Fill => {
                let number = self.number();
                for key in BALLAST {
                    let mut cx = self.backend.at(&key).unwrap();
                    cx.value(self.states.text).set(&text_of(key + number)).unwrap();
                }
            }
            Event::Confirmed => {
                drop(self.kit.confirm(&mut self.backend, SnapshotKind::Incremental));
            }
            Event::Unconfirmed => {
                let taken = self.kit.take(&mut self.backend, SnapshotKind::Incremental);
                self.backend.checkpoint_aborted(taken.id).unwrap();
            }
            Event::Dropped => {
                let begun = self.kit.begin(&mut self.backend, SnapshotKind::Incremental);
                let (sink, cancel) = (self.kit.storage.sink(begun.id), CancelToken::default());
                cancel.cancel();
                assert!(run_task(begun.task, &sink, &cancel).is_err());
            }
            Event::Savepoint => drop(self.kit.take(&mut self.backend, SnapshotKind::Canonical)),
            _ => {
                let taken = self.kit.confirm(&mut self.backend, SnapshotKind::Incremental);
                self.backend = self.kit.resume(&taken);
                self.states = States::open::<H>(&mut self.backend);
            }
        }
    }

    /// Reads a key, one state after the other.
    fn read(&mut self, key: u64) -> Content {
        let states = self.states;
        let mut cx = self.backend.at(&key).unwrap();
        let (mut numbers, mut names) = (BTreeMap::new(), BTreeMap::new());
        for entry in 0..3_u64 {
            if let Some(number) = cx.map(states.numbers).get(&entry).unwrap() {
                numbers.insert(entry, number);
            }
            let name = entry.to_string();
            if let Some(text) = cx.map(states.names).get(name.as_str()).unwrap() {
                names.insert(name, text);
            }
        }
        Content {
            count: cx.value(states.count).get().unwrap(),
            text: cx.value(states.text).get().unwrap(),
            sum: cx.reducing(states.sum).get().unwrap(),
            numbers,
            names,
        }
    }

    /// Reads everything singly and in a batch, and compares it.
    fn check(&mut self, what: &dyn std::fmt::Debug) {
        for key in 0..KEYS + 2 {
            let expected = self.model.get(&key).cloned().unwrap_or_default();
            assert_eq!(self.read(key), expected, "key {key}, {what:?}");
        }
        let (mut counts, mut texts) = (Vec::new(), Vec::new());
        let batch = || (0..KEYS + 2).chain(0..3);
        let states = self.states;
        let mut cx = self.backend.batch(batch()).unwrap();
        cx.get(states.count, |_, count| counts.push(count)).unwrap();
        let mut cx = self.backend.batch(batch()).unwrap();
        cx.get(states.text, |_, text| texts.push(text)).unwrap();
        let expected = |key: u64| self.model.get(&key).cloned().unwrap_or_default();
        let (of_counts, of_texts): (Vec<_>, Vec<_>) =
            batch().map(expected).map(|content| (content.count, content.text)).unzip();
        assert_eq!((counts, texts), (of_counts, of_texts), "{what:?}");
    }
}

/// Everything is read twice, then two things happen one after the other, and everything is read after each.
pub fn after_every_two_changes<H: Harness>(kit: &Kit<H>) {
    for (round, first) in EVENTS.into_iter().enumerate() {
        let mut pair = Pair::restored(kit);
        for second in EVENTS {
            let keys = round as u64;
            for what in [[None, None], [Some(first), None], [Some(first), Some(second)]] {
                let happens = what.into_iter().flatten().next_back();
                if let Some(event) = happens {
                    pair.happens(event, keys);
                }
                pair.check(&what);
                pair.check(&what);
            }
            for key in 0..KEYS {
                pair.overwrite(key);
            }
            pair.happens(Event::Restore, 0);
        }
    }
}

/// Anything happens at random, and only some of the keys are read in between.
pub fn after_random_changes<H: Harness>(kit: &Kit<H>) {
    let randomness = SeededRandomness::new(11);
    let mut pair = Pair::restored(kit);
    for round in 0..400_usize {
        let draw = randomness.next_u64();
        let event = EVENTS[usize::try_from(draw % EVENTS.len() as u64).unwrap()];
        pair.happens(event, draw >> 8);
        for key in (draw >> 16) % 3..(draw >> 20) % KEYS {
            let expected = pair.model.get(&key).cloned().unwrap_or_default();
            assert_eq!(pair.read(key), expected, "round {round}, key {key}, {event:?}");
        }
        if round % 16 == 0 {
            pair.check(&(round, event));
        }
    }
}

/// Updates in batches see what single reads see, and the other way round.
pub fn between_batches<H: Harness>(kit: &Kit<H>) {
    let mut pair = Pair::restored(kit);
    for (round, event) in EVENTS.into_iter().cycle().take(3 * EVENTS.len()).enumerate() {
        pair.check(&(round, event));
        let keys: Vec<u64> = (0..KEYS).chain([1, 1, 2]).collect();
        let (count, model) = (pair.states.count, &mut pair.model);
        let mut batch = pair.backend.batch(keys.iter().copied()).unwrap();
        batch
            .update(count, |index, old| {
                let content = model.entry(keys[index]).or_default();
                assert_eq!(old, content.count, "round {round}, {index}");
                content.count = old.filter(|_| index % 5 != 4).map(|old| old + 10);
                content.count
            })
            .unwrap();
        pair.check(&(round, event));
        pair.happens(event, round as u64);
    }
}
