//! What stores are handed: framed list elements, the parts of keys, batches of keys.

use super::Draw;
use crate::{
    Elements, ElementsBuffer, EntryKey, ErrorKind, KeyBatchBuffer, MaxParallelism, StateKey,
    entry_hash_of, hash_bytes, stable_placement,
};

/// Framed elements of a list.
pub fn elements(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let skip = draw.below(8) as u64;
    let framed = draw.rest();
    let parsed = match Elements::parse(framed) {
        Ok(parsed) => parsed,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Corrupted),
    };
    assert_eq!(parsed.iter().count() as u64, parsed.count());
    assert_eq!((parsed.framed(), parsed.size()), (framed, framed.len() as u64));
    let mut buffer = ElementsBuffer::default();
    for element in parsed {
        buffer.push(element).unwrap();
    }
    assert_eq!(buffer.as_elements(), parsed);
    let rest = parsed.skip(skip);
    assert_eq!(rest.count(), parsed.count().saturating_sub(skip));
    let from = usize::try_from(skip).unwrap();
    assert!(rest.iter().eq(parsed.iter().skip(from)));
    assert_eq!(Elements::parse(rest.framed()).unwrap(), rest);
}

/// An entry key with any ends, and a batch of keys of any lengths.
pub fn entry_keys(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let (key_end, namespace_end) = (draw.below(256), draw.below(256));
    let groups =
        MaxParallelism::new(1 + u32::from(draw.u16()) % u32::from(MaxParallelism::LIMIT)).unwrap();
    let bytes = draw.rest();
    match EntryKey::new(bytes, key_end, namespace_end) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(key_end > namespace_end || namespace_end > bytes.len());
        }
        Ok(key) => {
            assert_eq!([key.key(), key.namespace(), key.map_key()].concat(), bytes);
            assert_eq!([key.key(), key.suffix()].concat(), bytes);
            let hash = hash_bytes(key.key());
            let state_key = StateKey::new(key, hash, stable_placement(hash), groups);
            assert_eq!(state_key.entry_hash(), entry_hash_of(key));
            assert!(groups.all().contains(state_key.key_group()));
        }
    }
    let (mut batch, mut committed) = (KeyBatchBuffer::default(), Vec::new());
    while !draw.is_empty() && committed.len() < 64 {
        let (key_len, length) = (draw.below(20), draw.below(24));
        let pending = draw.exactly(length);
        let start = batch.next_start();
        batch.bytes_mut().truncate(start);
        batch.bytes_mut().extend_from_slice(&pending);
        let done = batch.commit(key_len, 1, 2);
        assert_eq!(done.is_ok(), key_len <= pending.len());
        if done.is_ok() {
            committed.push((pending, key_len));
        }
    }
    let found = batch.as_batch(groups);
    assert_eq!(found.iter().len(), committed.len());
    for (key, (bytes, key_len)) in found.iter().zip(&committed) {
        assert_eq!((key.bytes(), key.entry().key_end()), (&bytes[..], *key_len));
    }
}
