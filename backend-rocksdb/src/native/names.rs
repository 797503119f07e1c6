//! The file `STATES` of a native snapshot: which state has which number in the keys, in which layout.
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | version of the layout of entries, 3 |
//! | for each state, to the end of the file: 2 | its number, big endian |
//! | varint | length of its name |
//! | as many | its name, UTF-8 |
//!
//! It stands beside the database and not in it: what is in a database besides entries would make tables of two databases
//! overlap, so that none could be taken by the other one as it is.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_state_api::snapshot::SnapshotFile;
use alluvium_state_api::{Error, RestorePart, Result};

use super::{Role, adopt};
use crate::address::{StateId, push_varint, take_varint};

/// The layout of [`crate::address`] and [`crate::list`].
const VERSION: u8 = 3;
/// The oldest one that is read: the same without short lists.
const OLDEST: u8 = 2;

/// The longest file of its kind: 65,536 states with long names.
const MOST_BYTES: u64 = 64 << 20;

/// The numbers of states, by their names.
pub(crate) type Numbers = BTreeMap<Box<str>, StateId>;

/// The content of the file.
pub(super) fn encode<'a>(states: impl Iterator<Item = (StateId, &'a str)>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for (id, name) in states {
        bytes.extend_from_slice(&id.to_be_bytes());
        push_varint(&mut bytes, name.len() as u64);
        bytes.extend_from_slice(name.as_bytes());
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Result<Numbers> {
    let rest = &mut bytes;
    let version = split(rest, 1)?.first().copied().unwrap_or(0);
    if !(OLDEST..=VERSION).contains(&version) {
        return Err(Error::incompatible(format!(
            "a native snapshot has layout {version}, of another version of Alluvium, and this one reads {OLDEST} to \
             {VERSION}; restore it with that one, and take a savepoint"
        )));
    }
    let (mut numbers, mut seen) = (Numbers::new(), BTreeSet::new());
    while !rest.is_empty() {
        let id = split(rest, 2)?.try_into().map_or(0, StateId::from_be_bytes);
        let length = usize::try_from(take_varint(rest)?).unwrap_or(usize::MAX);
        let name = std::str::from_utf8(split(rest, length)?).map_err(|_bytes| damaged())?;
        if !seen.insert(id) || numbers.insert(name.into(), id).is_some() {
            return Err(damaged());
        }
    }
    Ok(numbers)
}

/// Takes so many bytes off the front.
fn split<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (front, back) = rest.split_at_checked(count).ok_or_else(damaged)?;
    *rest = back;
    Ok(front)
}

#[cold]
fn damaged() -> Error {
    Error::corrupted(
        "the file STATES of a native snapshot does not tell which number each state has",
    )
}

/// The numbers of a native snapshot's states, among which are all that it describes.
///
/// # Errors
/// `Corrupted`; `Incompatible` for another layout; `NotFound`, `Unavailable`.
pub(crate) fn numbers_of(part: &RestorePart) -> Result<Numbers> {
    let is_states = |file: &&SnapshotFile| Role::of(&file.label) == Some(Role::States);
    let file = part.snapshot.files.iter().find(is_states).ok_or_else(damaged)?;
    if file.stored.length > MOST_BYTES {
        return Err(damaged());
    }
    let mut bytes = Vec::new();
    adopt::read(file, &*part.source, &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    let numbers = decode(&bytes)?;
    let mut states = part.snapshot.states.iter();
    match states.find(|state| !numbers.contains_key(&*state.meta.name)) {
        None => Ok(numbers),
        Some(state) => Err(damaged().with_state(state.meta.name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::ErrorKind;

    use super::*;

    #[test]
    fn what_is_no_list_of_states_is_refused() {
        let states = [(3, "a"), (0, "b"), (0xffff, "a longer name")];
        let bytes = encode(states.into_iter());
        let numbers = decode(&bytes).unwrap();
        assert_eq!(numbers.len(), 3);
        assert!(states.iter().all(|(id, name)| numbers.get(*name) == Some(id)));
        assert!(decode(&encode([].into_iter())).unwrap().is_empty());
        // Where a name ends the file may end.
        let ends = [1, 5, 9, bytes.len()];
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]).is_ok(), ends.contains(&end), "{end} bytes");
        }
        for twice in [[(3, "a"), (3, "b")], [(3, "a"), (4, "a")]] {
            let error = decode(&encode(twice.into_iter())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted);
        }
        assert_eq!(decode(&[OLDEST, 0, 3, 1, b'a']).unwrap(), decode(&bytes[..5]).unwrap());
        for version in [0, OLDEST - 1, VERSION + 1] {
            assert_eq!(decode(&[version]).unwrap_err().kind(), ErrorKind::Incompatible);
        }
        assert!(decode(&[VERSION, 0, 0, 1, 0xff]).is_err());
        assert!(
            decode(&[VERSION, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])
                .is_err()
        );
    }
}
