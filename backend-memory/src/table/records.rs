//! Copies of entries, and the undo log of a snapshot.
//!
//! # Role
//! While a snapshot is in flight, the writer copies each entry, before it first changes it, into
//! the snapshot's [`UndoLog`]. One log serves all shards: its end stays in the first-level cache,
//! where a list per shard would cost several misses per change. The snapshot takes full chunks
//! out as it goes, and what is left when it has captured the last shard.
//!
//! # Invariants
//! L1. The log of a snapshot of epoch `e` gets every entry that existed at its instant and was
//!     changed or removed before its shard was captured, as it was, once. These are exactly the
//!     entries with an epoch of at most `e` at the moment of change; afterwards it is greater.
//! L2. It may get entries that were changed after that, too, because the writer sees late that a
//!     shard was captured. So a capture remembers where the log ended when its copy was complete:
//!     an entry is read from the log if it lies before that, and from the copy if not
//!     ([`Marks::leaves_to_log`]). Of those before, the copy may have entries as they were, whose
//!     change was under way; it looks for them, and hides them ([`UndoLog::end_of`]). They are the
//!     last one before the copy began, and those that came meanwhile: the writer begins one change
//!     after the other, and has made the others before.
//! L3. A chunk has one writer, who adds records and never changes or removes one; the length is
//!     published after the record. Whoever has seen the length may read what is before it.
//! L4. Bytes go to the arena only for entries whose changes and captures exclude each other by the
//!     shard's lock: then the snapshot, which has captured all shards or took out a full chunk, is
//!     alone with the arena.

#![expect(unsafe_code, reason = "a chunk that is read while its writer adds to it (L3, L4)")]

use super::Epoch;
use super::block::Mirror;
use super::cell::Cell;
use super::key::KeyRep;
use super::pool::Pool;
use super::raw::{At, Mark, Slot};
use super::view::Marks;
use crate::sync::{AtomicU64, AtomicUsize, LOG_CHUNK as CHUNK, Mutex, Ordering};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Bytes of a chunk of the log: it is full when its arena has so many, or it has [`CHUNK`] records.
const CHUNK_BYTES: usize = 1 << 16;

/// A copy of an entry.
pub(super) struct Record<K: KeyRep, C: Cell> {
    pub(super) key: K::Image,
    pub(super) image: C::Image,
    /// When the entry was last touched.
    pub(super) epoch: Epoch,
}

impl<K: KeyRep, C: Cell> Record<K, C> {
    fn of(entry: &Slot<K, C>, epoch: Epoch, arena: &mut Vec<u8>) -> Self {
        Self { key: entry.key.image(arena), image: entry.cell.image(arena), epoch }
    }
}

/// Copies of entries, in memory that is used again.
pub(super) struct Records<K: KeyRep, C: Cell> {
    pub(super) list: Vec<Record<K, C>>,
    pub(super) arena: Vec<u8>,
}

impl<K: KeyRep, C: Cell> Default for Records<K, C> {
    fn default() -> Self {
        Self { list: Vec::new(), arena: Vec::new() }
    }
}

impl<K: KeyRep, C: Cell> Records<K, C> {
    /// Copies an entry.
    pub(super) fn push(&mut self, entry: &Slot<K, C>, epoch: Epoch) {
        self.list.push(Record::of(entry, epoch, &mut self.arena));
    }

    /// Forgets the copies, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.arena.clear();
    }
}

/// Which entry a record is of (L2), and of when.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    /// Where its generation was: an address, to be compared.
    place: usize,
    /// The number of the shard, and in the lowest byte how many epochs before the one after the
    /// snapshot's the entry was last touched. Not the epoch itself: so the writer has one number to
    /// store, which is that of its mark less the entry's generation.
    shard_and_age: u32,
}

impl Origin {
    /// The entry at `place`, last touched in `epoch`, for the log of the snapshot of epoch `snapshot`.
    pub(super) fn new(shard: u32, place: usize, (epoch, snapshot): (Epoch, Epoch)) -> Self {
        let age = snapshot.saturating_add(1).saturating_sub(epoch);
        let age = u8::try_from(age).unwrap_or(u8::MAX);
        Self { place, shard_and_age: shard << 8 | u32::from(age) }
    }

    /// That of an entry of this generation, where the epoch after the snapshot's is the current one.
    #[inline]
    pub(super) fn of<S>(at: At<S>, mark: Mark, generation: u8) -> Self {
        Self { place: at.place(), shard_and_age: mark.less(generation) }
    }
}

/// A copy of an entry in a log.
pub(super) struct Logged<K: KeyRep, C: Cell> {
    pub(super) key: K::Image,
    pub(super) image: C::Image,
    origin: Origin,
}

impl<K: KeyRep, C: Cell> Logged<K, C> {
    fn shard(&self) -> u32 {
        self.origin.shard_and_age >> 8
    }

    /// When the entry was last touched, given the epoch of the snapshot that the log is of.
    pub(super) fn epoch(&self, snapshot: Epoch) -> Epoch {
        snapshot.saturating_add(1).saturating_sub(self.origin.shard_and_age & 0xff)
    }
}

/// Where a record is, or will be.
pub(super) type Place<K, C> = UnsafeCell<MaybeUninit<Logged<K, C>>>;

/// A part of an undo log.
pub(super) struct Chunk<K: KeyRep, C: Cell, P = [Place<K, C>]>
where
    P: AsMut<[Place<K, C>]> + ?Sized,
{
    arena: UnsafeCell<Vec<u8>>,
    len: AtomicUsize,
    /// Records of the log before this chunk.
    first: AtomicU64,
    of: PhantomData<fn(K, C)>,
    places: P,
}

// SAFETY: records are written before their number is published, and read after (L3); the arena is
// never read and written at once (L4).
unsafe impl<K: KeyRep, C: Cell> Sync for Chunk<K, C> {}

impl<K: KeyRep, C: Cell, const N: usize> Default for Chunk<K, C, [Place<K, C>; N]> {
    fn default() -> Self {
        Self {
            arena: UnsafeCell::default(),
            len: AtomicUsize::new(0),
            first: AtomicU64::new(0),
            of: PhantomData,
            places: [const { UnsafeCell::new(MaybeUninit::uninit()) }; N],
        }
    }
}

impl<K: KeyRep, C: Cell> Chunk<K, C> {
    /// Whether entries have no bytes for an arena, and are logged without a lock.
    const PLAIN: bool = Mirror::<Slot<K, C>>::POSSIBLE;

    /// An empty chunk of a log.
    pub(super) fn new() -> Arc<Self> {
        Self::of::<CHUNK>()
    }

    /// An empty chunk with room for so many records.
    pub(super) fn of<const RECORDS: usize>() -> Arc<Self> {
        Arc::<Chunk<K, C, [Place<K, C>; RECORDS]>>::default()
    }

    /// Whether there is room for a record.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.len.load(Ordering::Relaxed) < self.places.len()
    }

    /// Adds an entry as it is; `false` if the chunk is full.
    ///
    /// # Safety
    /// The caller is the chunk's one writer (L3), and, if entries have bytes for the arena, has
    /// locked a shard that the snapshot needs (L4).
    #[inline]
    pub(super) unsafe fn push(&self, entry: &Slot<K, C>, origin: Origin) -> bool {
        let len = self.len.load(Ordering::Relaxed);
        let Some(free) = self.places.get(len) else { return false };
        let mut none = Vec::new();
        let arena = if Self::PLAIN {
            &mut none
        } else {
            // SAFETY: nobody else uses the arena (L4, the caller).
            unsafe { &mut *self.arena.get() }
        };
        if arena.len() >= CHUNK_BYTES {
            return false;
        }
        let (key, image) = (entry.key.image(arena), entry.cell.image(arena));
        // SAFETY: nobody reads beyond the length, and the caller is the one writer (L3).
        unsafe { &mut *free.get() }.write(Logged { key, image, origin });
        self.len.store(len.wrapping_add(1), Ordering::Release);
        true
    }

    /// The records, each with its position in the log.
    fn all(&self) -> impl Iterator<Item = (u64, &Logged<K, C>)> {
        let places = self.places.get(..self.len.load(Ordering::Acquire)).unwrap_or_default();
        (self.first.load(Ordering::Relaxed)..).zip(places).map(|(position, place)| {
            // SAFETY: the place is before the published length, so nobody writes it (L3).
            let place = unsafe { &*place.get() };
            // SAFETY: and it was written before (L3).
            (position, unsafe { place.assume_init_ref() })
        })
    }

    /// The position behind the records.
    fn end(&self) -> u64 {
        let len = self.len.load(Ordering::Acquire);
        self.first.load(Ordering::Relaxed).saturating_add(len as u64)
    }

    /// The records that belong to the snapshot with these marks.
    pub(super) fn records<'a>(
        &'a self,
        marks: &'a Marks,
    ) -> impl Iterator<Item = &'a Logged<K, C>> {
        self.all().filter_map(|(position, logged)| {
            marks.leaves_to_log(logged.shard(), position).then_some(logged)
        })
    }

    /// The bytes that records refer to.
    pub(super) fn arena(&self) -> &[u8] {
        // SAFETY: nobody writes the arena any more, or nobody ever does (L4).
        unsafe { &*self.arena.get() }
    }

    /// Bytes of the arena's memory.
    pub(super) fn arena_bytes(&mut self) -> usize {
        self.arena.get_mut().capacity()
    }
}

impl<K: KeyRep, C: Cell, P: AsMut<[Place<K, C>]> + ?Sized> Chunk<K, C, P> {
    /// Forgets the records, and keeps the memory.
    pub(super) fn clear(&mut self) {
        let len = self.len.swap(0, Ordering::Relaxed);
        for place in self.places.as_mut().iter_mut().take(len) {
            // SAFETY: the place was before the length, which no longer counts it (L3).
            unsafe { place.get_mut().assume_init_drop() };
        }
        self.arena.get_mut().clear();
    }
}

impl<K: KeyRep, C: Cell, P: AsMut<[Place<K, C>]> + ?Sized> Drop for Chunk<K, C, P> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The chunks of a log: those that are full, and the one that is being filled.
struct Chunks<K: KeyRep, C: Cell> {
    full: Vec<Arc<Chunk<K, C>>>,
    open: Arc<Chunk<K, C>>,
}

/// What a snapshot must still see of entries that changed.
pub(super) struct UndoLog<K: KeyRep, C: Cell> {
    chunks: Mutex<Chunks<K, C>>,
    /// The open chunk; the writer's alone.
    open: UnsafeCell<Arc<Chunk<K, C>>>,
}

// SAFETY: only the writer reaches the unlocked handle of the open chunk (`push`).
unsafe impl<K: KeyRep, C: Cell> Sync for UndoLog<K, C> {}

impl<K: KeyRep, C: Cell> UndoLog<K, C> {
    /// An empty log.
    pub(super) fn new(pool: &Pool<K, C>) -> Self {
        let open = pool.chunk();
        let chunks = Chunks { full: Vec::new(), open: Arc::clone(&open) };
        Self { chunks: Mutex::new(chunks), open: UnsafeCell::new(open) }
    }

    /// Keeps an entry as it is.
    ///
    /// # Safety
    /// The caller is the writer, and, if entries have bytes for the arena, has locked a shard that
    /// the snapshot needs (L4).
    #[inline]
    pub(super) unsafe fn push(&self, entry: &Slot<K, C>, origin: Origin, pool: &Pool<K, C>) {
        // SAFETY: only the writer reaches this handle (the caller).
        let open = unsafe { &mut *self.open.get() };
        // SAFETY: as the caller promised.
        if !unsafe { open.push(entry, origin) } {
            self.turn(open, pool);
            // SAFETY: as the caller promised.
            unsafe { open.push(entry, origin) };
        }
    }

    /// The open chunk.
    ///
    /// # Safety
    /// The caller is the writer.
    pub(super) unsafe fn open(&self) -> Arc<Chunk<K, C>> {
        // SAFETY: only the writer reaches this handle (the caller), and changes it in `push` alone.
        Arc::clone(unsafe { &*self.open.get() })
    }

    /// Opens another chunk: when there is a record for it, so that the changes of those in the full one
    /// are done.
    #[cold]
    fn turn(&self, open: &mut Arc<Chunk<K, C>>, pool: &Pool<K, C>) {
        let next = pool.chunk();
        next.first.store(open.end(), Ordering::Relaxed);
        *open = next;
        let mut chunks = self.chunks.lock();
        let full = std::mem::replace(&mut chunks.open, Arc::clone(open));
        chunks.full.push(full);
    }

    /// Where the log ends. To be asked before a shard is copied, and after ([`end_of`](Self::end_of)).
    pub(super) fn end(&self) -> u64 {
        self.chunks.lock().open.end()
    }

    /// Where the log ends, now that a shard, which the caller has locked, was copied. Yields place
    /// and key of the entries that the copy may have although the log has them, too; `begin` is
    /// where the log ended before (L2).
    pub(super) fn end_of(
        &self,
        (shard, begin): (u32, u64),
        mut each: impl FnMut(usize, &K::Image),
    ) -> u64 {
        let chunks = self.chunks.lock();
        let (end, begin) = (chunks.open.end(), begin.saturating_sub(1));
        let late = chunks.full.iter().rev().take_while(|chunk| chunk.end() > begin);
        for chunk in late.chain([&chunks.open]) {
            let records = chunk.all().filter(|(position, _)| (begin..end).contains(position));
            for (_, logged) in records.filter(|(_, logged)| logged.shard() == shard) {
                each(logged.origin.place, &logged.key);
            }
        }
        end
    }

    /// Takes out a full chunk.
    pub(super) fn pop_full(&self) -> Option<Arc<Chunk<K, C>>> {
        self.chunks.lock().full.pop()
    }

    /// Takes out a full chunk or, if there is none, what is in the open one; says whether it was
    /// that. To be called when all shards are captured, until it was: what is added from then on is
    /// not part of the snapshot (L2).
    pub(super) fn pop_last(&self) -> (Arc<Chunk<K, C>>, bool) {
        let mut chunks = self.chunks.lock();
        match chunks.full.pop() {
            Some(full) => (full, false),
            None => (Arc::clone(&chunks.open), true),
        }
    }
}
