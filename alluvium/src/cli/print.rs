//! The only module that writes to standard output and standard error.
//!
//! `println!` panics where the reader of a pipe is gone; here that is no failure, and everything else
//! that keeps a result from being delivered is one.

use std::io::{ErrorKind, Write as _};

use super::failure::Failure;

/// Writes a result.
///
/// # Errors
/// Where standard output cannot be written, unless its reader has gone.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::run(format!(
            "standard output cannot be written: {error}; redirect it elsewhere"
        ))),
        _ => Ok(()),
    }
}

/// Tells what happens, on standard error. There is nobody to tell that it cannot be written.
pub(super) fn note(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Tells why the command failed.
pub(super) fn error(line: &str) {
    note(&format!("alluvium: {line}"));
}
