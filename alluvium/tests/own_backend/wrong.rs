//! Stores that are wrong in one thing: the mirror catches each of them.

use std::ops::ControlFlow;
use std::panic::catch_unwind;

use alluvium_state_api::schema::{KeySpace, StateMeta};
use alluvium_state_api::snapshot::{EntryCount, SnapshotKind, SnapshotRequest, SnapshotTask};
use alluvium_state_api::testkit::mirror::{Mirror, MirrorStore};
use alluvium_state_api::testkit::model::{random_steps, run_sequence};
use alluvium_state_api::testkit::{Harness, Kit, Profile, hostile, list, map};
use alluvium_state_api::{
    Change, CheckpointId, Elements, ElementsBuffer, Error, KeyBatch, KeyedStore, ListSize,
    MergeValues, Modify, ModifyEach, OpenEnv, Registration, Result, Rewrite, Scan, Slot, StateKey,
    StateStatistics, StoreStatistics, VisitEach, VisitElement, VisitEntry,
};

use super::Own;
use super::harness::Memory;
use super::own_backend::OwnStore;

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Wrong {
    Nothing,
    GetMisses,
    PutIsLost,
    RemoveIsLost,
    RemovesNoMaps,
    ModifySeesNothing,
    ModifyNeverRemoves,
    AppendsOneElement,
    ListsAreCut,
    ListsDoNotStop,
    NoListIsOne,
    SizeIsOfThePayload,
    ScansSkipTheFirst,
    ScansDoNotStop,
    FoldsAreSwapped,
    MergesNothing,
    BatchesComeInReverse,
    ErrorsAreOfAnotherKind,
    CountsAreOff,
    SnapshotsLackAnEntry,
    CanonicalIsFull,
    CompletionsFail,
}

/// The store of the example, but for one thing.
struct Almost<const WRONG: u8>(OwnStore);

impl<const WRONG: u8> Almost<WRONG> {
    const fn is(wrong: Wrong) -> bool {
        wrong as u8 == WRONG
    }

    /// Removes the first entry of the first state, and says how to put it back.
    fn take_first(&mut self) -> Result<Option<(KeyBytes, Vec<u8>)>> {
        let (slot, range) = (Slot::new(0), self.0.key_space().range());
        if self.0.states().is_empty() {
            return Ok(None);
        }
        let mut found = None;
        self.0.scan(slot, Scan::KeyGroups { range, from: &[] }, &mut |entry, value| {
            let ends = [entry.key_end(), entry.namespace_end()];
            found = Some((KeyBytes(entry.bytes().to_vec(), ends), value.to_vec()));
            Ok(ControlFlow::Break(()))
        })?;
        if let Some((key, _)) = &found {
            let groups = self.0.key_space().groups();
            self.0.remove(slot, &key.get(groups)?)?;
        }
        Ok(found)
    }
}

/// The bytes of an entry, and where key and namespace end.
struct KeyBytes(Vec<u8>, [usize; 2]);

impl KeyBytes {
    fn get(&self, groups: alluvium_state_api::MaxParallelism) -> Result<StateKey<'_>> {
        let entry = alluvium_state_api::EntryKey::new(&self.0, self.1[0], self.1[1])?;
        let hash = alluvium_state_api::hash_bytes(entry.key());
        Ok(StateKey::new(entry, hash, alluvium_state_api::stable_placement(hash), groups))
    }
}

impl<const WRONG: u8> KeyedStore for Almost<WRONG> {
    fn backend_name(&self) -> &'static str {
        self.0.backend_name()
    }
    fn key_space(&self) -> &KeySpace {
        self.0.key_space()
    }
    fn register(&mut self, meta: &StateMeta) -> Result<Registration> {
        self.0.register(meta)
    }
    fn states(&self) -> Vec<StateMeta> {
        self.0.states()
    }
    fn get(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<Option<&[u8]>> {
        let found = self.0.get(slot, key);
        if Self::is(Wrong::ErrorsAreOfAnotherKind) {
            return found.map_err(|error| Error::incompatible(error.message()));
        }
        Ok(found?.filter(|_| !Self::is(Wrong::GetMisses)))
    }
    fn put(&mut self, slot: Slot, key: &StateKey<'_>, value: &[u8]) -> Result<()> {
        if Self::is(Wrong::PutIsLost) { Ok(()) } else { self.0.put(slot, key, value) }
    }
    fn remove(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<()> {
        if Self::is(Wrong::RemoveIsLost) { Ok(()) } else { self.0.remove(slot, key) }
    }
    fn remove_prefix(&mut self, slot: Slot, prefix: &StateKey<'_>) -> Result<()> {
        if Self::is(Wrong::RemovesNoMaps) { Ok(()) } else { self.0.remove_prefix(slot, prefix) }
    }
    fn modify(&mut self, slot: Slot, key: &StateKey<'_>, change: &mut Modify<'_>) -> Result<()> {
        self.0.modify(slot, key, &mut |old, out| {
            let made = change(old.filter(|_| !Self::is(Wrong::ModifySeesNothing)), out)?;
            let kept = made == Change::Remove && Self::is(Wrong::ModifyNeverRemoves);
            Ok(if kept { Change::Keep } else { made })
        })
    }
    fn append(&mut self, slot: Slot, key: &StateKey<'_>, elements: Elements<'_>) -> Result<()> {
        if !Self::is(Wrong::AppendsOneElement) {
            return self.0.append(slot, key, elements);
        }
        let mut first = ElementsBuffer::default();
        for element in elements.iter().take(1) {
            first.push(element)?;
        }
        self.0.append(slot, key, first.as_elements())
    }
    fn read_list(
        &mut self,
        slot: Slot,
        key: &StateKey<'_>,
        visit: &mut VisitElement<'_>,
    ) -> Result<bool> {
        let found = self.0.read_list(slot, key, &mut |element| {
            let cut = element.split_last().filter(|_| Self::is(Wrong::ListsAreCut));
            let flow = visit(cut.map_or(element, |(_, rest)| rest))?;
            Ok(if Self::is(Wrong::ListsDoNotStop) { ControlFlow::Continue(()) } else { flow })
        })?;
        Ok(found || Self::is(Wrong::NoListIsOne))
    }
    fn replace_list(&mut self, s: Slot, key: &StateKey<'_>, new: Elements<'_>) -> Result<()> {
        self.0.replace_list(s, key, new)
    }
    fn list_size(&mut self, slot: Slot, key: &StateKey<'_>) -> Result<ListSize> {
        let mut size = self.0.list_size(slot, key)?;
        if Self::is(Wrong::SizeIsOfThePayload) {
            size.bytes -= 4 * size.elements;
        }
        Ok(size)
    }
    fn scan(&mut self, slot: Slot, scan: Scan<'_>, visit: &mut VisitEntry<'_>) -> Result<()> {
        let mut skip = Self::is(Wrong::ScansSkipTheFirst);
        self.0.scan(slot, scan, &mut |entry, value| {
            if std::mem::take(&mut skip) {
                return Ok(ControlFlow::Continue(()));
            }
            let flow = visit(entry, value)?;
            Ok(if Self::is(Wrong::ScansDoNotStop) { ControlFlow::Continue(()) } else { flow })
        })
    }
    fn merge_namespaces(
        &mut self,
        slot: Slot,
        target: &StateKey<'_>,
        sources: KeyBatch<'_>,
        merge: &mut MergeValues<'_>,
    ) -> Result<()> {
        if Self::is(Wrong::MergesNothing) {
            return Ok(());
        }
        self.0.merge_namespaces(slot, target, sources, &mut |one, two, out| {
            if Self::is(Wrong::FoldsAreSwapped) {
                merge(two, one, out)
            } else {
                merge(one, two, out)
            }
        })
    }
    fn get_many(&mut self, s: Slot, keys: KeyBatch<'_>, visit: &mut VisitEach<'_>) -> Result<()> {
        self.0.get_many(s, keys, visit)
    }
    fn modify_many(
        &mut self,
        slot: Slot,
        keys: KeyBatch<'_>,
        change: &mut ModifyEach<'_>,
    ) -> Result<()> {
        if !Self::is(Wrong::BatchesComeInReverse) {
            return self.0.modify_many(slot, keys, change);
        }
        let keys: Vec<_> = keys.iter().enumerate().collect();
        for (index, key) in keys.into_iter().rev() {
            self.0.modify(slot, &key, &mut |old, out| change(index, old, out))?;
        }
        Ok(())
    }
    fn rewrite(&mut self, slot: Slot, rewrite: &mut Rewrite<'_>) -> Result<()> {
        self.0.rewrite(slot, rewrite)
    }
    fn snapshot(&mut self, request: &SnapshotRequest) -> Result<Box<dyn SnapshotTask>> {
        if Self::is(Wrong::CanonicalIsFull) {
            return self.0.snapshot(&SnapshotRequest::new(request.checkpoint, SnapshotKind::Full));
        }
        let taken = Self::is(Wrong::SnapshotsLackAnEntry).then(|| self.take_first()).transpose()?;
        let task = self.0.snapshot(request);
        if let Some((key, value)) = taken.flatten() {
            let groups = self.0.key_space().groups();
            self.0.put(Slot::new(0), &key.get(groups)?, &value)?;
        }
        task
    }
    fn checkpoint_completed(&mut self, checkpoint: CheckpointId) -> Result<()> {
        if Self::is(Wrong::CompletionsFail) {
            return Err(Error::unavailable("on purpose"));
        }
        self.0.checkpoint_completed(checkpoint)
    }
    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.0.checkpoint_aborted(checkpoint)
    }
    fn statistics(&self) -> StoreStatistics {
        let mut statistics = self.0.statistics();
        if Self::is(Wrong::CountsAreOff) {
            for state in &mut statistics.states {
                let more = EntryCount::Exact(state.entries.get() + 1);
                *state = StateStatistics::new(&state.name, more);
            }
        }
        statistics
    }
}

#[derive(Debug, Default)]
struct AlmostOwn<const WRONG: u8>(Own);

impl<const WRONG: u8> Harness for AlmostOwn<WRONG> {
    type Store = Almost<WRONG>;

    fn profile(&self) -> Profile {
        self.0.profile()
    }

    fn open(&self, env: OpenEnv) -> Result<Self::Store> {
        Ok(Almost(self.0.open(env)?))
    }
}

/// Whether a mirror of the memory backend and such a store goes through a random stream and a few
/// cases. The first store is right, so what fails is the comparison.
fn passes<const WRONG: u8>() -> bool {
    type Both<const WRONG: u8> = Mirror<Memory, AlmostOwn<WRONG>>;
    fn case<const WRONG: u8>(run: fn(&Kit<Both<WRONG>>)) -> bool {
        catch_unwind(|| run(&Kit::new())).is_ok()
    }
    let stream = || run_sequence::<Both<WRONG>>(&random_steps(1, 1_000));
    catch_unwind(stream).is_ok_and(|run| run.is_ok())
        && case::<WRONG>(list::visitors_stop)
        && case::<WRONG>(list::empty_where_nothing_was_added)
        && case::<WRONG>(map::scans_from_a_lower_bound)
        && case::<WRONG>(hostile::unknown_slots_are_refused)
}

macro_rules! caught {
    ($($name:ident: $wrong:ident;)*) => {
        $(#[test]
        fn $name() {
            assert!(!passes::<{ Wrong::$wrong as u8 }>(), "{:?} is not noticed", Wrong::$wrong);
        })*
    };
}

caught! {
    values_that_are_not_found: GetMisses;
    lost_puts: PutIsLost;
    lost_removals: RemoveIsLost;
    lost_removals_of_maps: RemovesNoMaps;
    updates_that_see_nothing: ModifySeesNothing;
    updates_that_never_remove: ModifyNeverRemoves;
    lost_elements: AppendsOneElement;
    elements_that_are_cut: ListsAreCut;
    lists_that_do_not_stop: ListsDoNotStop;
    lists_out_of_nowhere: NoListIsOne;
    wrong_sizes: SizeIsOfThePayload;
    scans_that_skip: ScansSkipTheFirst;
    scans_that_do_not_stop: ScansDoNotStop;
    swapped_folds: FoldsAreSwapped;
    lost_merges: MergesNothing;
    batches_in_reverse: BatchesComeInReverse;
    errors_of_another_kind: ErrorsAreOfAnotherKind;
    wrong_counts: CountsAreOff;
    snapshots_that_lack_an_entry: SnapshotsLackAnEntry;
    snapshots_of_another_form: CanonicalIsFull;
    completions_that_fail: CompletionsFail;
}

#[test]
fn nothing_wrong_is_found_where_nothing_is() {
    assert!(passes::<{ Wrong::Nothing as u8 }>());
}

/// Invariant 2: a closure runs once although there are two stores, and both end up the same.
#[test]
fn closures_run_once() {
    use alluvium_state_api::{KeyedBackend, MaxParallelism, ValueDescriptor, ValueState};
    let groups = MaxParallelism::new(4).unwrap();
    let space = KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap();
    let (memory, own) = (Memory, Own);
    let opened =
        MirrorStore::open(&OpenEnv::new(space), |env| memory.open(env), |env| own.open(env));
    let mut backend = KeyedBackend::<u64, _>::new(opened.unwrap()).unwrap();
    let count = backend.open(ValueDescriptor::<u64>::new("count")).unwrap();
    let mut runs = 0;
    for key in [1, 1, 2] {
        let updated = backend.at(&key).unwrap().value(count).update(|old| {
            runs += 1;
            Some(old.unwrap_or(0) + runs)
        });
        updated.unwrap();
    }
    assert_eq!(runs, 3);
    assert_eq!(backend.at(&1).unwrap().value(count).get().unwrap(), Some(3));
    let (memory, own) = backend.store().stores();
    assert_eq!(memory.statistics().states, own.statistics().states);
}
