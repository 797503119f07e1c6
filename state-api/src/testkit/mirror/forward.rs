//! The calls of the SPI, each made twice and compared.

use std::collections::BTreeMap;

use super::replay::{Call, Tape};
use super::task::MirrorTask;
use super::{MirrorStore, Mirrored, NAME, parts};
use crate::schema::{KeySpace, StateMeta};
use crate::snapshot::{SnapshotRequest, SnapshotTask};
use crate::{
    Change, CheckpointId, Elements, KeyBatch, KeyedStore, ListSize, MergeValues, Modify,
    ModifyEach, NewValue, Registration, Result, Rewrite, Scan, Slot, StateKey, StateStatistics,
    StoreStatistics, VisitEach, VisitElement, VisitEntry,
};

/// The call, and the second store's slot; where the mirror did not give out the slot, one that no store
/// gives out.
fn call<'a>(
    states: &'a BTreeMap<u32, Mirrored>,
    operation: &'static str,
    slot: Slot,
    key: Option<StateKey<'a>>,
) -> (Call<'a>, Slot) {
    let index = u32::try_from(slot.index()).unwrap_or(u32::MAX);
    let known = states.get(&index).map(|state| (&*state.name, state.second));
    let (state, second) = known.unwrap_or(("(unknown)", Slot::new(u32::MAX)));
    (Call { operation, state, key }, second)
}

/// A call about the whole store.
const fn whole(operation: &'static str) -> Call<'static> {
    Call { operation, state: "(all)", key: None }
}

/// Makes the same call to both stores and returns the answer that they agree on.
macro_rules! mirrored {
    ($self:ident . $operation:ident ($slot:expr, $key:expr $(, $argument:expr)*)) => {{
        let Self { first, second, states } = $self;
        let (call, slot) = call(states, stringify!($operation), $slot, Some(*$key));
        let one = first.$operation($slot, $key $(, $argument)*);
        call.agree(one, &second.$operation(slot, $key $(, $argument)*))
    }};
}

#[deny(clippy::missing_trait_methods)]
impl<A: KeyedStore, B: KeyedStore> KeyedStore for MirrorStore<A, B> {
    fn backend_name(&self) -> &'static str {
        NAME
    }

    fn key_space(&self) -> &KeySpace {
        self.first.key_space()
    }

    fn register(&mut self, meta: &StateMeta) -> Result<Registration> {
        let call = Call { state: &meta.name, ..whole("register") };
        let (first, second) = (self.first.register(meta), self.second.register(meta));
        let slots = [&first, &second].map(|answer| answer.as_ref().ok().map(|answer| answer.slot));
        let restored = |answer: Result<Registration>| answer.map(|answer| answer.restored);
        let restored = call.agree(restored(first), &restored(second))?;
        let [Some(slot), Some(second)] = slots else { unreachable!("both registered the state") };
        let mirrored = Mirrored { name: meta.name.clone(), second };
        self.states.insert(u32::try_from(slot.index()).unwrap_or(u32::MAX), mirrored);
        Ok(Registration { slot, restored })
    }

    fn states(&self) -> Vec<StateMeta> {
        let (first, second) = (self.first.states(), self.second.states());
        assert_eq!(first, second, "the states of the two stores");
        first
    }

    fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        mirrored!(self.get(slot, key))
    }

    fn get_with<R, F>(&mut self, slot: Slot, key: &StateKey<'_>, read: F) -> Result<R>
    where
        F: FnOnce(Option<&[u8]>) -> Result<R>,
    {
        read(self.get(slot, key)?)
    }

    fn put(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        mirrored!(self.put(slot, key, value))
    }

    fn remove(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        mirrored!(self.remove(slot, key))
    }

    fn remove_prefix(&mut self, slot: Slot, prefix: &StateKey<'_>) -> Result<()> {
        mirrored!(self.remove_prefix(slot, prefix))
    }

    fn modify(&mut self, slot: Slot, key: &StateKey<'_>, change: &mut Modify<'_>) -> Result<()> {
        let (call, other) = call(&self.states, "modify", slot, Some(*key));
        let mut tape = Tape::new(call);
        let first = self.first.modify(slot, key, &mut |old, out| {
            let made = change(old, out).map(|change| (change, out.clone()));
            Ok(tape.record(old.map(<[u8]>::to_vec), made)?.0)
        });
        let called = tape.turns();
        assert!(called <= 1, "the first store ran the closure {called} times, {call}");
        let second = self.second.modify(other, key, &mut |old, out| {
            let (change, bytes) = tape.replay(&old.map(<[u8]>::to_vec))?;
            *out = bytes;
            Ok(change)
        });
        tape.agree(first, &second)
    }

    fn modify_with<F>(&mut self, slot: Slot, key: &StateKey<'_>, change: F) -> Result<()>
    where
        F: FnOnce(Option<&[u8]>, &mut NewValue<'_>) -> Result<Change>,
    {
        self.modify(slot, key, &mut NewValue::modify(change))
    }

    fn append(&mut self, slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()> {
        mirrored!(self.append(slot, key, elements))
    }

    fn read_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        let (call, other) = call(&self.states, "read_list", slot, Some(*key));
        let mut tape = Tape::new(call);
        let first = self
            .first
            .read_list(slot, key, &mut |element| tape.record(element.to_vec(), visit(element)));
        let second =
            self.second.read_list(other, key, &mut |element| tape.replay(&element.to_vec()));
        tape.agree(first, &second)
    }

    fn replace_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        elements: Elements<'_>,
    ) -> Result<()> {
        mirrored!(self.replace_list(slot, key, elements))
    }

    fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        mirrored!(self.list_size(slot, key))
    }

    fn scan(&mut self, slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()> {
        let key = match scan {
            Scan::Map { prefix, .. } => Some(prefix),
            Scan::KeyGroups { .. } => None,
        };
        let (call, other) = call(&self.states, "scan", slot, key);
        let mut tape = Tape::new(call);
        let first = self.first.scan(slot, scan, &mut |entry, value| {
            tape.record(shown(entry, value), visit(entry, value))
        });
        let second =
            self.second.scan(other, scan, &mut |entry, value| tape.replay(&shown(entry, value)));
        tape.agree(first, &second)
    }

    fn merge_namespaces(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        let (call, other) = call(&self.states, "merge_namespaces", slot, Some(*target));
        let mut tape = Tape::new(call);
        let first = self.first.merge_namespaces(slot, target, sources, &mut |one, two, out| {
            let merged = merge(one, two, out).map(|()| out.clone());
            tape.record((one.to_vec(), two.to_vec()), merged).map(drop)
        });
        let second = self.second.merge_namespaces(other, target, sources, &mut |one, two, out| {
            *out = tape.replay(&(one.to_vec(), two.to_vec()))?;
            Ok(())
        });
        tape.agree(first, &second)
    }

    fn get_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        let (call, other) = call(&self.states, "get_many", slot, keys.get(0));
        let mut tape = Tape::new(call);
        let first = self.first.get_many(slot, keys, &mut |index, value| {
            tape.record((index, value.map(<[u8]>::to_vec)), visit(index, value))
        });
        let second = self.second.get_many(other, keys, &mut |index, value| {
            tape.replay(&(index, value.map(<[u8]>::to_vec)))
        });
        tape.agree(first, &second)
    }

    fn modify_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        change: &mut ModifyEach<'_>,
    ) -> Result<()> {
        let (call, other) = call(&self.states, "modify_many", slot, keys.get(0));
        let mut tape = Tape::new(call);
        let first = self.first.modify_many(slot, keys, &mut |index, old, out| {
            let made = change(index, old, out).map(|change| (change, out.clone()));
            Ok(tape.record((index, old.map(<[u8]>::to_vec)), made)?.0)
        });
        let second = self.second.modify_many(other, keys, &mut |index, old, out| {
            let (change, bytes) = tape.replay(&(index, old.map(<[u8]>::to_vec)))?;
            *out = bytes;
            Ok(change)
        });
        tape.agree(first, &second)
    }

    fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        let (call, other) = call(&self.states, "rewrite", slot, None);
        let mut made: [Vec<(Vec<u8>, Vec<u8>)>; 2] = Default::default();
        let [one, two] = &mut made;
        let first = self.first.rewrite(slot, &mut |old, out| {
            rewrite(old, out)?;
            one.push((old.to_vec(), out.clone()));
            Ok(())
        });
        let second = self.second.rewrite(other, &mut |old, out| {
            rewrite(old, out)?;
            two.push((old.to_vec(), out.clone()));
            Ok(())
        });
        call.agree(first, &second)?;
        for values in &mut made {
            values.sort_unstable();
        }
        assert_eq!(made[0], made[1], "the stores differ in {call}");
        Ok(())
    }

    fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>> {
        let (mut first, mut second) = (None, None);
        let begun = [
            self.first.snapshot(request).map(|task| first = Some(task)),
            self.second.snapshot(request).map(|task| second = Some(task)),
        ];
        let [one, other] = begun;
        whole("snapshot").agree(one, &other)?;
        let (Some(first), Some(second)) = (first, second) else { unreachable!("both began") };
        Ok(Box::new(MirrorTask { first, second, request: request.clone() }))
    }

    fn checkpoint_completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        let first = self.first.checkpoint_completed(checkpoint);
        whole("checkpoint_completed").agree(first, &self.second.checkpoint_completed(checkpoint))
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        let first = self.first.checkpoint_aborted(checkpoint);
        whole("checkpoint_aborted").agree(first, &self.second.checkpoint_aborted(checkpoint))
    }

    fn statistics(&self) -> StoreStatistics {
        let (first, second) = (self.first.statistics(), self.second.statistics());
        let names = |s: &StoreStatistics| -> Vec<Box<str>> {
            s.states.iter().map(|state| state.name.clone()).collect()
        };
        assert_eq!(names(&first), names(&second), "the states in the statistics of two stores");
        let states = first.states.into_iter().zip(&second.states).map(|(one, other)| {
            parts::compare_counts(one.entries, other.entries, &format!("state {:?}", one.name));
            StateStatistics { entries: parts::exact_of(one.entries, other.entries), ..one }
        });
        StoreStatistics {
            states: states.collect(),
            memory_bytes: first.memory_bytes + second.memory_bytes,
            snapshots_in_flight: first.snapshots_in_flight.max(second.snapshots_in_flight),
            compactions_in_flight: first.compactions_in_flight + second.compactions_in_flight,
        }
    }
}

/// What a scan shows: the bytes of an entry, where key and namespace end in it, its value.
fn shown(entry: crate::EntryKey<'_>, value: &[u8]) -> (Vec<u8>, [usize; 2], Vec<u8>) {
    (entry.bytes().to_vec(), [entry.key_end(), entry.namespace_end()], value.to_vec())
}
