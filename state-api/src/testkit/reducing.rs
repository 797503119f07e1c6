//! Reducing states.

use super::fixtures::{fold, keys_of};
use super::harness::{Harness, Kit, total_entries};
use crate::{ReducingDescriptor, ReducingState};

const FOLDED: ReducingDescriptor<i64> = ReducingDescriptor::new("folded", fold);
const JOINED: ReducingDescriptor<String> =
    ReducingDescriptor::new("joined", |a: String, b| a + b.as_str());

/// Nothing is read where nothing was added; the first value is stored as it is.
/// Flink: `testReducingStateDefaultValue`.
pub fn first_value_is_stored_as_is<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let folded = backend.open(FOLDED).unwrap();
    let mut cx = backend.at(&1).unwrap();
    assert_eq!(cx.reducing(folded).get().unwrap(), None);
    cx.reducing(folded).add(42).unwrap();
    assert_eq!(cx.reducing(folded).get().unwrap(), Some(42));
}

/// Values are folded in order, old value first. Flink: `testReducingStateAddAndGet`.
pub fn folds_in_order<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let joined = backend.open(JOINED).unwrap();
    for (key, text) in [(1, "a"), (2, "x"), (1, "b"), (1, ""), (2, "y"), (1, "c")] {
        backend.at(&key).unwrap().reducing(joined).add(text.to_owned()).unwrap();
    }
    let read = [1, 2].map(|key| backend.at(&key).unwrap().reducing(joined).get().unwrap());
    assert_eq!(read, [Some("abc".to_owned()), Some("xy".to_owned())]);
    assert_eq!(keys_of(&mut backend, joined), [1, 2]);
}

/// A cleared state begins anew, and nothing is left behind. Flink: `testReducingState`.
pub fn clear_begins_anew<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let folded = backend.open(FOLDED).unwrap();
    for key in 0..20 {
        let mut cx = backend.at(&key).unwrap();
        cx.reducing(folded).add(3).unwrap();
        cx.reducing(folded).clear().unwrap();
        cx.reducing(folded).clear().unwrap();
        assert_eq!(cx.reducing(folded).get().unwrap(), None);
    }
    assert_eq!(total_entries(&backend), 0);
    let mut cx = backend.at(&1).unwrap();
    cx.reducing(folded).add(4).unwrap();
    assert_eq!(cx.reducing(folded).get().unwrap(), Some(4));
}

/// Many folds of many keys agree with a plain computation.
pub fn many_folds<H: Harness>(kit: &Kit<H>) {
    let mut backend = kit.fresh::<u64>();
    let folded = backend.open(FOLDED).unwrap();
    let mut want = [None; 17];
    for n in 0..2_000_i64 {
        let key = (n * n % 17).unsigned_abs();
        backend.at(&key).unwrap().reducing(folded).add(n).unwrap();
        let entry = &mut want[usize::try_from(key).unwrap()];
        *entry = Some(entry.map_or(n, |old| fold(old, n)));
    }
    for (key, want) in (0..).zip(want) {
        assert_eq!(backend.at(&key).unwrap().reducing(folded).get().unwrap(), want);
    }
}
