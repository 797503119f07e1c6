//! Blocks in memory of segments that are read instead of mapped.
//!
//! # Role
//! Each thread that reads has one; a mapped segment does not use it. What is here was verified when it
//! was loaded. Directories of lookups are not here: segments keep them.
//!
//! # Invariants
//! * C1 The bytes held are at most the capacity, or a single block that is larger.
//! * C2 A block is found by segment and offset; numbers of segments are not used twice, so that what
//!   a dropped segment left is never found, and goes as others come.
//!
//! # Cost
//! A block that is there costs one hash look-up. Replacement is by clock: a block that was used since
//! the hand passed is spared once.

use alluvium_state_api::Result;
use alluvium_state_api::format::Place;
use hashbrown::HashMap;

/// Segment and offset in its file.
type Key = (u64, u64);

/// A bounded number of bytes of verified blocks.
#[derive(Debug)]
pub(crate) struct BlockCache {
    capacity: usize,
    held: usize,
    frames: Vec<Frame>,
    index: HashMap<Key, usize>,
    hand: usize,
    hits: u64,
    misses: u64,
    /// Where an entry may be, kept for the memory.
    pub(super) candidates: Vec<Place>,
}

#[derive(Debug)]
struct Frame {
    key: Key,
    bytes: Vec<u8>,
    used: bool,
}

impl BlockCache {
    /// A cache of at most `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            held: 0,
            frames: Vec::new(),
            index: HashMap::new(),
            hand: 0,
            hits: 0,
            misses: 0,
            candidates: Vec::new(),
        }
    }

    /// Bytes of memory for blocks.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held as u64
    }

    /// How often a block was there, and how often it had to be read.
    pub(crate) fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    /// The bytes under `key`; `load` puts `length` verified bytes into the buffer that it is given, of
    /// exactly this length, if they are not here.
    pub(super) fn get(
        &mut self,
        key: Key,
        length: usize,
        load: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<&[u8]> {
        let at = match self.index.get(&key) {
            Some(at) => {
                self.hits += 1;
                *at
            }
            None => self.load(key, length, load)?,
        };
        let frame = self.frames.get_mut(at);
        Ok(frame.map_or(&[], |frame| {
            frame.used = true;
            &frame.bytes
        }))
    }

    #[cold]
    fn load(
        &mut self,
        key: Key,
        length: usize,
        load: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<usize> {
        self.misses += 1;
        let mut bytes = self.make_room(length);
        bytes.clear();
        bytes.resize(length, 0);
        load(&mut bytes)?;
        self.held += bytes.capacity();
        self.frames.push(Frame { key, bytes, used: true });
        let at = self.frames.len() - 1;
        self.index.insert(key, at);
        Ok(at)
    }

    /// Lets go of blocks until `length` bytes fit; returns memory for them.
    fn make_room(&mut self, length: usize) -> Vec<u8> {
        let mut memory = Vec::new();
        let needed = |memory: &Vec<u8>| memory.capacity().max(length);
        while !self.frames.is_empty() && self.held.saturating_add(needed(&memory)) > self.capacity {
            let freed = self.evict();
            // No more than twice what is needed, so that pages do not become blocks.
            if freed.capacity() >= length && freed.capacity() / 2 <= length {
                memory = freed;
            }
        }
        if memory.capacity() == 0 {
            memory.reserve_exact(length);
        }
        memory
    }

    /// Takes away the first block from the hand on that was not used since the hand passed it.
    fn evict(&mut self) -> Vec<u8> {
        loop {
            if self.hand >= self.frames.len() {
                self.hand = 0;
            }
            match self.frames.get_mut(self.hand) {
                None => return Vec::new(),
                Some(frame) if frame.used => {
                    frame.used = false;
                    self.hand += 1;
                }
                Some(_) => break,
            }
        }
        let frame = self.frames.swap_remove(self.hand);
        self.index.remove(&frame.key);
        if let Some(moved) = self.frames.get(self.hand) {
            self.index.insert(moved.key, self.hand);
        }
        self.held = self.held.saturating_sub(frame.bytes.capacity());
        frame.bytes
    }
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::{Error, ErrorKind};

    use super::*;

    fn fill(byte: u8) -> impl FnOnce(&mut [u8]) -> Result<()> {
        move |bytes| {
            bytes.fill(byte);
            Ok(())
        }
    }

    fn must_be_there(_: &mut [u8]) -> Result<()> {
        Err(Error::bug("it was not there"))
    }

    #[test]
    fn what_was_loaded_is_there_until_room_is_needed() {
        let mut cache = BlockCache::new(1_000);
        for block in 0..10 {
            cache.get((1, block), 100, fill(u8::try_from(block).unwrap())).unwrap();
        }
        for block in 0..10 {
            let bytes = cache.get((1, block), 100, must_be_there).unwrap();
            assert_eq!(bytes, [u8::try_from(block).unwrap(); 100]);
        }
        assert_eq!((cache.held_bytes(), cache.hits_and_misses()), (1_000, (10, 10)));
        let other = cache.get((2, 0), 100, must_be_there).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Bug, "another segment");
        cache.get((2, 0), 100, fill(77)).unwrap();
        assert_eq!(cache.get((2, 0), 100, must_be_there).unwrap(), [77; 100]);
        assert!(cache.held_bytes() <= 1_000);
    }

    #[test]
    fn what_is_used_stays_and_memory_is_bounded() {
        let mut cache = BlockCache::new(4_096);
        let mut numbers = 12_345_u64;
        for round in 0..5_000_u64 {
            numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (block, byte) = (numbers >> 40, (round % 251) as u8);
            let length = 1 + (block % 1_500) as usize;
            assert_eq!(cache.get((1, block), length, fill(byte)).unwrap().len(), length);
            let hot = cache.get((0, 0), 64, |bytes| fill(9)(bytes)).unwrap();
            assert_eq!(hot, [9; 64]);
            let held: usize = cache.frames.iter().map(|frame| frame.bytes.capacity()).sum();
            assert_eq!(held as u64, cache.held_bytes());
            assert!(held <= 4_096 && cache.frames.len() == cache.index.len());
        }
        let (hits, _) = cache.hits_and_misses();
        assert!(hits >= 4_900, "the block that is used all the time stays: {hits}");
    }

    #[test]
    fn a_block_above_the_capacity_is_alone() {
        let mut cache = BlockCache::new(100);
        cache.get((0, 0), 60, fill(1)).unwrap();
        assert_eq!(cache.get((0, 1), 5_000, fill(2)).unwrap(), [2; 5_000]);
        assert_eq!(cache.frames.len(), 1);
        assert_eq!(cache.get((0, 0), 60, fill(3)).unwrap(), [3; 60]);
        assert_eq!(cache.frames.len(), 1);
    }

    #[test]
    fn what_could_not_be_loaded_is_not_there() {
        let mut cache = BlockCache::new(1_000);
        let failed = |_: &mut [u8]| Err(Error::corrupted("damaged"));
        assert_eq!(cache.get((0, 0), 10, failed).unwrap_err().kind(), ErrorKind::Corrupted);
        assert_eq!(cache.get((0, 0), 10, fill(1)).unwrap(), [1; 10]);
    }
}
