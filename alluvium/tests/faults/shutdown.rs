//! Taking a file system's power: the ioctl `GOINGDOWN` of XFS, which ext4 has as well.
//!
//! # Safety
//! G1 The request takes a pointer to a 32-bit number, reads it, and writes nothing to the process.
#![expect(unsafe_code, reason = "the ioctl has no safe wrapper")]

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

const GOINGDOWN: Opcode = opcode::read::<u32>(b'X', 125);

/// The journal is not flushed: what is not on the disk yet is lost.
const NO_LOG_FLUSH: u32 = 2;

/// Cuts the power of the file system that is mounted at `mount`. Everything fails there until it is
/// unmounted.
pub(crate) fn cut_power(mount: &Path) -> io::Result<()> {
    let root = File::open(mount)?;
    // SAFETY: G1, the opcode and the type of its argument belong together.
    let request = unsafe { Setter::<GOINGDOWN, u32>::new(NO_LOG_FLUSH) };
    // SAFETY: G1, `root` is an open descriptor, and the request reads the number that it holds.
    unsafe { ioctl(&root, request) }?;
    Ok(())
}
