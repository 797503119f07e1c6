//! Making a directory that is still there after a power cut.

use std::io;
use std::path::Path;

use super::FileSystem;

/// Creates `path` with all its ancestors, and makes the whole path durable.
///
/// Ancestors that exist are synced as well: whoever created them may have died before they did.
/// An ancestor that we did not create and are not allowed to sync is taken as it is.
///
/// # Errors
/// Those of [`FileSystem::create_dir`] and [`FileSystem::sync_directory`]; `NotADirectory` where a
/// file stands in the way.
pub fn ensure_directory(fs: &dyn FileSystem, path: &Path) -> io::Result<()> {
    let ancestors: Vec<&Path> = path.ancestors().map(or_current).collect();
    // The first so many directories must be synced: the path itself, and those that hold a name
    // that we created.
    let mut ours = 1;
    let mut missing = Vec::new();
    for ancestor in &ancestors {
        match create(fs, ancestor) {
            Ok(created) => {
                ours = missing.len() + 1 + usize::from(created);
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(*ancestor),
            Err(error) => return Err(error),
        }
    }
    for directory in missing.iter().rev() {
        create(fs, directory)?;
    }
    for (depth, ancestor) in ancestors.iter().enumerate() {
        match fs.sync_directory(ancestor) {
            Err(error) if depth < ours || !is_not_ours(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Creates one directory, and says whether it was missing.
fn create(fs: &dyn FileSystem, path: &Path) -> io::Result<bool> {
    match fs.create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        result => result.map(|()| true),
    }
}

fn is_not_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | Unsupported | InvalidInput)
}

/// The parent of a relative path's first component is the current directory.
fn or_current(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
