//! Sections of a state file, read and encoded by several threads.
//!
//! # How
//! The sections of a snapshot are divided into pieces: one state, some key groups. All threads take one after the
//! other and encode what is in it in memory; the task's own thread, between two of them, appends those whose turn it is. A
//! piece that is larger than [`PIECE_BYTES`] is given up, and streamed by the task's thread when its turn comes; after some of
//! them nothing is read ahead any more. Helpers have a low priority: on a busy machine the task's thread does nearly all of it.
//!
//! # Invariants
//! W1. Every piece is taken once, and pieces are written in their order: the bytes of the file are those of one thread.
//! W2. No piece is begun that is [`AHEAD`] or more before the one that is written next, so memory is bounded.
//! W3. The first error ends the work for all threads, and is the one that is told. No thread outlives the work.

use std::collections::BTreeMap;
use std::thread;

use alluvium_state_api::format::{
    EncodedSection, SectionEncoder, SectionEncoding, SequentialWriter,
};
use alluvium_state_api::snapshot::helpers;
use alluvium_state_api::{Elements, EntryKey, Error, KeyGroup, KeyGroupRange, Result};
use parking_lot::{Condvar, Mutex};

/// Pieces that are encoded in memory have at most about so many bytes of entries.
const PIECE_BYTES: usize = 4 << 20;
/// Pieces that may wait for their turn.
const AHEAD: usize = 4;
/// After so many pieces that were too large the others are taken to be so, too.
const MOST_OVERFLOWS: usize = 4;
/// Pieces that the key groups of a store are divided into: each costs an iterator.
const PIECES: u16 = 128;

/// What takes the entries of sections.
pub(crate) trait Sections {
    /// Begins a section.
    fn section(&mut self, state: u16, group: KeyGroup) -> Result<()>;
    /// Adds an entry.
    fn put(&mut self, key: EntryKey<'_>, value: &[u8]) -> Result<()>;
    /// Adds elements of a list.
    fn list(&mut self, key: EntryKey<'_>, first: u64, elements: Elements<'_>) -> Result<()>;
}

impl Sections for SequentialWriter {
    fn section(&mut self, state: u16, group: KeyGroup) -> Result<()> {
        Self::section(self, state, group)
    }

    fn put(&mut self, key: EntryKey<'_>, value: &[u8]) -> Result<()> {
        Self::put(self, key, value)
    }

    fn list(&mut self, key: EntryKey<'_>, first: u64, elements: Elements<'_>) -> Result<()> {
        Self::list(self, key, first, elements)
    }
}

/// Encodes sections in memory, as long as they are small.
struct Encoded<'a> {
    encoding: &'a SectionEncoding,
    open: Option<SectionEncoder>,
    done: Vec<EncodedSection>,
    room: usize,
    /// Whether there was too much.
    overflowed: bool,
}

impl<'a> Encoded<'a> {
    fn new(encoding: &'a SectionEncoding) -> Self {
        Self { encoding, open: None, done: Vec::new(), room: PIECE_BYTES, overflowed: false }
    }

    fn close(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.done.push(open.finish()?);
        }
        Ok(())
    }

    /// The open section, if there is room for so many bytes.
    fn open(&mut self, bytes: usize) -> Result<&mut SectionEncoder> {
        match self.room.checked_sub(bytes) {
            Some(room) => self.room = room,
            None => self.overflowed = true,
        }
        let open = self.open.as_mut().filter(|_| !self.overflowed);
        open.ok_or_else(|| Error::bug("a section is not open, or larger than its memory"))
    }
}

impl Sections for Encoded<'_> {
    fn section(&mut self, state: u16, group: KeyGroup) -> Result<()> {
        self.close()?;
        self.open = Some(self.encoding.section(state, group)?);
        Ok(())
    }

    fn put(&mut self, key: EntryKey<'_>, value: &[u8]) -> Result<()> {
        self.open(key.bytes().len() + value.len())?.put(key, value)
    }

    fn list(&mut self, key: EntryKey<'_>, first: u64, elements: Elements<'_>) -> Result<()> {
        self.open(key.bytes().len() + elements.framed().len())?.list(key, first, elements)
    }
}

/// A part of what is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// What the file calls the state.
    pub(crate) state: u16,
    /// Its key groups.
    pub(crate) groups: KeyGroupRange,
}

/// Divides so many states with these key groups.
///
/// # Errors
/// None that is known.
pub(crate) fn pieces(states: u16, groups: KeyGroupRange) -> Result<Vec<Piece>> {
    let length = groups.len().div_ceil(PIECES).max(1);
    let mut pieces = Vec::new();
    for state in 0..states {
        let mut start = groups.start();
        while start < groups.end() {
            let end = start.saturating_add(length).min(groups.end());
            pieces.push(Piece { state, groups: KeyGroupRange::new(start, end)? });
            start = end;
        }
    }
    Ok(pieces)
}

/// Writes a piece.
pub(crate) type WritePiece<'a> = dyn Fn(Piece, &mut dyn Sections) -> Result<()> + Sync + 'a;

/// What became of a piece.
enum Made {
    Encoded(Vec<EncodedSection>),
    TooLarge,
}

#[derive(Default)]
struct Progress {
    /// The piece that is begun next.
    next: usize,
    /// The piece that is written next.
    written: usize,
    made: BTreeMap<usize, Made>,
    overflows: usize,
    failed: Option<Error>,
    has_ended: bool,
}

/// What the threads have in common.
struct Work<'a> {
    pieces: &'a [Piece],
    write: &'a WritePiece<'a>,
    encoding: SectionEncoding,
    progress: Mutex<Progress>,
    /// Something has changed.
    changed: Condvar,
}

/// Ends the work where a thread panics.
struct Guard<'a, 'w>(&'a Work<'w>);

impl Drop for Guard<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(Some(Error::bug("a thread of the snapshot panicked")));
        }
    }
}

impl Work<'_> {
    /// Lets all threads end, because of this error unless there was one before (W3).
    fn end(&self, error: Option<Error>) {
        let mut progress = self.progress.lock();
        progress.has_ended = true;
        progress.failed = progress.failed.take().or(error);
        self.changed.notify_all();
    }

    /// Takes a piece that nobody has begun with and that is not too far ahead (W2).
    fn take(progress: &mut Progress, count: usize) -> Option<usize> {
        let at = progress.next;
        let is_free = !progress.has_ended && at < count && at < progress.written + AHEAD;
        let is_free = is_free && progress.overflows < MOST_OVERFLOWS;
        is_free.then(|| {
            progress.next += 1;
            at
        })
    }

    /// Encodes a piece.
    fn make(&self, at: usize) {
        let Some(piece) = self.pieces.get(at) else {
            return;
        };
        let mut sections = Encoded::new(&self.encoding);
        let outcome = (self.write)(*piece, &mut sections).and_then(|()| sections.close());
        let made = match outcome {
            _ if sections.overflowed => Made::TooLarge,
            Ok(()) => Made::Encoded(sections.done),
            Err(error) => return self.end(Some(error)),
        };
        let mut progress = self.progress.lock();
        progress.overflows += usize::from(matches!(made, Made::TooLarge));
        progress.made.insert(at, made);
        self.changed.notify_all();
    }

    /// Encodes pieces until there are no more.
    fn help(&self) {
        let _guard = Guard(self);
        let mut progress = self.progress.lock();
        while !progress.has_ended && progress.next < self.pieces.len() {
            match Self::take(&mut progress, self.pieces.len()) {
                Some(at) => {
                    drop(progress);
                    self.make(at);
                    progress = self.progress.lock();
                }
                None => self.changed.wait(&mut progress),
            }
        }
    }

    /// Writes all pieces, and encodes where it would have to wait.
    fn write_all(&self, writer: &mut SequentialWriter) -> Result<()> {
        let _guard = Guard(self);
        let mut progress = self.progress.lock();
        while progress.written < self.pieces.len() {
            if let Some(error) = progress.failed.take() {
                return Err(error);
            }
            let at = progress.written;
            if progress.next == at {
                // Nobody has begun with it: it needs no memory.
                progress.next += 1;
                progress.made.insert(at, Made::TooLarge);
            }
            if let Some(made) = progress.made.remove(&at) {
                drop(progress);
                self.append(at, made, writer)?;
                progress = self.progress.lock();
                progress.written += 1;
                self.changed.notify_all();
            } else if let Some(at) = Self::take(&mut progress, self.pieces.len()) {
                drop(progress);
                self.make(at);
                progress = self.progress.lock();
            } else {
                self.changed.wait(&mut progress);
            }
        }
        Ok(())
    }

    fn append(&self, at: usize, made: Made, writer: &mut SequentialWriter) -> Result<()> {
        match (made, self.pieces.get(at)) {
            (Made::Encoded(sections), _) => {
                sections.into_iter().try_for_each(|section| writer.append_section(section))
            }
            (Made::TooLarge, Some(piece)) => (self.write)(*piece, writer),
            (Made::TooLarge, None) => Ok(()),
        }
    }
}

/// Writes all pieces in their order with the help of other threads, whose priority is lower by `nice`.
///
/// # Errors
/// Those of `write`, and of the writer.
pub(crate) fn write_all(
    pieces: &[Piece],
    write: &WritePiece<'_>,
    writer: &mut SequentialWriter,
    nice: i32,
) -> Result<()> {
    write_with(helpers::most_threads(pieces.len()) - 1, pieces, write, writer, nice)
}

/// The same with so many threads.
fn write_with(
    others: usize,
    pieces: &[Piece],
    write: &WritePiece<'_>,
    writer: &mut SequentialWriter,
    nice: i32,
) -> Result<()> {
    let encoding = writer.encoding();
    let (progress, changed) = (Mutex::default(), Condvar::new());
    let work = Work { pieces, write, encoding, progress, changed };
    thread::scope(|scope| {
        for _ in 0..others.min(pieces.len().saturating_sub(1)) {
            drop(helpers::spawn(scope, nice, || work.help()));
        }
        let written = work.write_all(writer);
        work.end(None);
        written
    })
}

#[cfg(test)]
mod tests;
