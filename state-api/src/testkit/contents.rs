//! Everything that a store holds, read by scans and lists through the SPI, without types.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::schema::StateKind;
use crate::{EntryKey, KeyGroup, KeyedStore, Scan, StateKey, hash_bytes};

/// State, key group and bytes of each entry, and its value; of lists the framed elements.
pub type Contents = BTreeMap<(Box<str>, KeyGroup, Vec<u8>), Vec<u8>>;

/// What a store holds in the key groups that it owns. Registers restored states as they are.
pub fn contents_of(store: &mut impl KeyedStore) -> Contents {
    let (space, mut contents) = (store.key_space().clone(), Contents::new());
    for meta in store.states() {
        let slot = store.register(&meta).unwrap().slot;
        let mut entries = Vec::new();
        let scan = Scan::KeyGroups { range: space.range(), from: &[] };
        let scanned = store.scan(slot, scan, &mut |entry, value| {
            let ends = (entry.key_end(), entry.namespace_end());
            entries.push((entry.bytes().to_vec(), ends, value.to_vec()));
            Ok(ControlFlow::Continue(()))
        });
        scanned.unwrap();
        for (bytes, (key_end, namespace_end), mut value) in entries {
            let entry = EntryKey::new(&bytes, key_end, namespace_end).unwrap();
            let hash = hash_bytes(entry.key());
            let placement = space.placement_of(entry.key(), hash).unwrap();
            let key = StateKey::new(entry, hash, placement, space.groups());
            if meta.kind == StateKind::List {
                let read = store.read_list(slot, &key, &mut |element| {
                    value.extend_from_slice(&u32::try_from(element.len()).unwrap().to_le_bytes());
                    value.extend_from_slice(element);
                    Ok(ControlFlow::Continue(()))
                });
                assert!(read.unwrap(), "a list that a scan found");
            }
            let address = (meta.name.clone(), key.key_group(), bytes);
            assert!(contents.insert(address, value).is_none(), "an entry came twice");
        }
    }
    contents
}

/// Asserts that the stores together hold exactly `whole`, each entry once, in the store that owns its
/// key group (invariant I7: a rescale is a permutation).
#[track_caller]
pub fn assert_holds<'s, S: KeyedStore + 's>(
    stores: impl IntoIterator<Item = &'s mut S>,
    whole: &Contents,
) {
    let mut together = Contents::new();
    for store in stores {
        let range = store.key_space().range();
        for (address, value) in contents_of(store) {
            assert!(range.contains(address.1), "{address:?} is not in {range}");
            let twice = together.insert(address, value);
            assert!(twice.is_none(), "an entry is in two stores");
        }
    }
    assert_eq!(together.len(), whole.len(), "entries in all stores");
    assert!(together == *whole, "the stores hold other entries than before");
}
