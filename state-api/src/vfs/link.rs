//! What it means that a file cannot have a second name.

use std::io;

/// `ENOTSUP`: what some file systems answer to a link.
const NOT_SUPPORTED: i32 = 95;

/// Whether who could not link a file, for this error of [`hard_link`](super::FileSystem::hard_link), may copy
/// it instead: another file system, no right to link, too many links, no links at all; or, where the
/// source has another view of the file system, no such file in this one.
pub fn must_be_copied(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::CrossesDevices
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TooManyLinks
            | io::ErrorKind::Unsupported
            | io::ErrorKind::NotFound
    ) || error.raw_os_error() == Some(NOT_SUPPORTED)
}
