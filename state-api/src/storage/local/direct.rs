//! Writing a long file past the page cache, in a thread of its own, so that who computes does not wait for the
//! disk, nor the disk for who computes, and what others read stays in the cache.
//!
//! # Invariants
//! 1. Pieces go to the file in order, and all but the last are whole pages from memory that begins at a
//!    page.
//! 2. After the first error nothing more is written; whoever writes or ends next is told.
//! 3. No thread outlives its [`Direct`].
//!
//! # Cost
//! Bytes are copied once. Memory for [`MOST_PIECES`].

use std::io;
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use super::LocalOptions;
use super::pages::Pages;
use super::stream::Target;

/// Pieces that are being filled, wait to be written or are written at a time.
const MOST_PIECES: usize = 4;
/// How much larger pieces are than the buffers of other files: disks like them long.
const BUFFERS_PER_PIECE: usize = 4;

/// See the module.
pub(super) struct Direct {
    filling: Pages,
    piece_bytes: usize,
    full: Option<SyncSender<Pages>>,
    empty: Receiver<Pages>,
    /// Pieces that were made.
    made: usize,
    thread: Option<JoinHandle<io::Result<Target>>>,
}

impl Direct {
    /// Starts the thread, where the file system has a way past its cache; gives the target back where not.
    pub(super) fn start(
        mut target: Target,
        options: &LocalOptions,
    ) -> io::Result<Result<Self, Target>> {
        if !target.file.bypass_cache()? {
            return Ok(Err(target));
        }
        let buffer = usize::try_from(options.write_buffer_bytes).unwrap_or(usize::MAX);
        let piece_bytes = buffer.saturating_mul(BUFFERS_PER_PIECE);
        let (full, to_write) = sync_channel::<Pages>(MOST_PIECES);
        let (give_back, empty) = channel();
        let (hand_over, handed_over) = sync_channel::<Target>(1);
        let write = move || {
            let target = handed_over.recv();
            let mut target = target.map_err(|_gone| io::Error::other("there is no file"))?;
            for mut pages in to_write {
                target.write(pages.bytes())?;
                pages.clear();
                // Nobody wants it back after the last one.
                drop(give_back.send(pages));
            }
            Ok(target)
        };
        // Handed over afterwards, so that it is not lost where there is no thread.
        let builder = thread::Builder::new().name("alluvium-write".into());
        let Ok(thread) = builder.spawn(write) else {
            return Ok(Err(target));
        };
        if let Err(refused) = hand_over.send(target) {
            return Ok(Err(refused.0));
        }
        let (full, thread, filling) = (Some(full), Some(thread), Pages::new(piece_bytes));
        Ok(Ok(Self { filling, piece_bytes, full, empty, made: 1, thread }))
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            bytes = self.filling.fill(bytes);
            if !self.filling.is_full() {
                return Ok(());
            }
            self.exchange()?;
        }
    }

    /// Gives a full piece to the thread, and waits for an empty one if there are enough.
    fn exchange(&mut self) -> io::Result<()> {
        let next = match self.empty.try_recv() {
            Ok(empty) => Some(empty),
            Err(_) if self.made < MOST_PIECES => {
                self.made += 1;
                Some(Pages::new(self.piece_bytes))
            }
            Err(_) => self.empty.recv().ok(),
        };
        let (Some(next), Some(full)) = (next, &self.full) else {
            return Err(self.failure());
        };
        match full.send(mem::replace(&mut self.filling, next)) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure()),
        }
    }

    /// Writes what is left, and returns the target, which is still to be synced.
    pub(super) fn end(mut self) -> io::Result<Target> {
        let mut target = self.join()?;
        if !self.filling.bytes().is_empty() {
            target.write(self.filling.bytes())?;
        }
        Ok(target)
    }

    /// Waits until the thread has written what it was given.
    fn join(&mut self) -> io::Result<Target> {
        drop(self.full.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the writing thread panicked")),
            None => Err(io::Error::other("the writing thread has ended")),
        }
    }

    /// Why the thread ended early.
    fn failure(&mut self) -> io::Error {
        match self.join() {
            Err(error) => error,
            Ok(_) => io::Error::other("the writing thread ended early"),
        }
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        // The file is being discarded; so is what became of it.
        drop(self.join());
    }
}
