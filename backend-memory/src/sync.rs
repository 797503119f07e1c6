//! What the writer and its snapshots have between them: atomics, mutexes, waiting, chunks of logs.
//!
//! One module, so that `schedules` can compile the rest of this crate with the atomics and mutexes of a
//! scheduler, which tries interleavings, in place of the real ones, and with smaller chunks.

pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
pub(crate) use std::thread::{sleep, yield_now};

pub(crate) use parking_lot::Mutex;

/// Records of a chunk of an undo log.
pub(crate) const LOG_CHUNK: usize = 1024;
