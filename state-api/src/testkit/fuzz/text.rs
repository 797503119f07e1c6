//! What people write: settings, names of files, paths of checkpoints.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::settings::Settings;
use crate::snapshot::FileName;
use crate::storage::local::open_pointer;
use crate::vfs::{FileSystem, MemoryFs};
use crate::{ErrorKind, Result};

fn expect_invalid<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
            None
        }
    }
}

/// Settings that were accepted can be read, and set again.
fn read(settings: &Settings) {
    assert!(settings.retained_checkpoints() >= 1 && settings.max_concurrent_checkpoints() >= 1);
    assert!(settings.parallelism() >= 1);
    assert!(settings.checkpoint_interval().is_none_or(|interval| !interval.is_zero()));
    assert!(!settings.checkpoint_timeout().is_zero());
    assert!(settings.max_parallelism().is_none_or(|groups| groups.get() >= 1));
    assert!(settings.inline_threshold_bytes() <= 1 << 20);
    assert!(settings.max_inline_state_bytes() >= 1);
    drop((settings.check_known(&[]), settings.effective(), format!("{settings}{settings:?}")));
    let pairs = settings.keys().map(|key| (key, settings.get(key).expect("it is set")));
    assert_eq!(
        Settings::from_pairs(pairs).expect("set again").keys().count(),
        settings.keys().count()
    );
    for key in settings.keys() {
        expect_invalid(settings.size(key, 7, 0..=1 << 30));
        expect_invalid(settings.number(key, 7, 0..=1 << 30));
        expect_invalid(settings.duration(key, std::time::Duration::ZERO));
        expect_invalid(settings.flag(key, false));
    }
}

/// Lines of `key=value`, as on a command line.
pub fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(settings) = expect_invalid(Settings::from_assignments(text.lines())) {
        read(&settings);
    }
}

/// Settings as TOML.
pub fn settings_toml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(settings) = expect_invalid(Settings::from_toml(&text)) {
        read(&settings);
    }
}

/// Names of files that are one component below their directory, and nothing else.
pub fn file_names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(name) = expect_invalid(FileName::new(&text)) {
        assert_eq!(name.as_str(), text);
        let path = Path::new("directory").join(name.as_str());
        assert_eq!(path.components().count(), 2);
        assert_eq!(path.parent(), Some(Path::new("directory")));
        assert!(!text.starts_with('.') && text.len() <= 200);
    }
}

/// A job with a checkpoint, and a savepoint, in memory.
static DIRECTORIES: LazyLock<Arc<dyn FileSystem>> = LazyLock::new(|| {
    let fs = MemoryFs::new();
    for directory in ["/job", "/job/chk-7", "/job/shared", "/savepoint-a-b"] {
        fs.create_dir(Path::new(directory)).expect("a new directory");
    }
    for file in ["/job/chk-7/_metadata", "/savepoint-a-b/_metadata"] {
        let mut file = fs.create_new(Path::new(file)).expect("a new file");
        file.write_all(b"metadata").expect("memory takes it");
    }
    Arc::new(fs)
});

/// Paths and URLs of checkpoints and savepoints.
pub fn pointers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match open_pointer(&DIRECTORIES, &text) {
        Ok(found) => {
            assert_eq!(found.metadata, b"metadata");
            let again = open_pointer(&DIRECTORIES, &found.pointer).expect("its own pointer");
            assert_eq!(again.pointer, found.pointer);
        }
        Err(error) => {
            let kinds = [ErrorKind::InvalidInput, ErrorKind::NotFound, ErrorKind::Unavailable];
            assert!(kinds.contains(&error.kind()), "{error:?}");
        }
    }
}
