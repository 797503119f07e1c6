//! How the backend on the local file system introduces itself to these tests: each store gets a directory of
//! its own.

use std::cell::{Cell, OnceCell};

use alluvium_backend_fs::FsStore;
use alluvium_state_api::testkit::{Harness, Increments, Profile};
use alluvium_state_api::{Error, OpenEnv, Result};
use tempfile::TempDir;

/// The backend on the local file system.
#[derive(Debug, Default)]
pub(crate) struct Fs {
    directory: OnceCell<TempDir>,
    opened: Cell<u32>,
}

impl Harness for Fs {
    type Store = FsStore;

    fn profile(&self) -> Profile {
        Profile {
            name: "fs",
            increments: Increments::Native,
            exact_counts: false,
            digests: true,
            local_directory: true,
            buffer_bytes: 0,
        }
    }

    fn open(&self, env: OpenEnv) -> Result<FsStore> {
        if self.directory.get().is_none() {
            let made = tempfile::tempdir();
            let made =
                made.map_err(|error| Error::unavailable("no directory").with_source(error))?;
            self.directory.get_or_init(|| made);
        }
        let Some(directory) = self.directory.get() else {
            return Err(Error::bug("the directory was made above"));
        };
        self.opened.set(self.opened.get() + 1);
        let local = directory.path().join(self.opened.get().to_string());
        FsStore::open(env.with_local_dir(local))
    }
}
