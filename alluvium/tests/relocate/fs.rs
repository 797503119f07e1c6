//! How the backends with files of their own introduce themselves to these tests: each store gets a directory of
//! its own.

use std::cell::{Cell, OnceCell};

use alluvium_backend_fs::FsStore;
use alluvium_state_api::testkit::{Harness, Increments, Profile};
use alluvium_state_api::{Error, OpenEnv, Result};
use tempfile::TempDir;

/// Directories for the stores of one backend.
#[derive(Debug, Default)]
struct Directories {
    parent: OnceCell<TempDir>,
    opened: Cell<u32>,
}

impl Directories {
    /// The same with a directory that no other store has.
    fn placed(&self, env: OpenEnv) -> Result<OpenEnv> {
        if self.parent.get().is_none() {
            let made = tempfile::tempdir();
            let made =
                made.map_err(|error| Error::unavailable("no directory").with_source(error))?;
            self.parent.get_or_init(|| made);
        }
        let Some(parent) = self.parent.get() else {
            return Err(Error::bug("the directory was made above"));
        };
        self.opened.set(self.opened.get() + 1);
        Ok(env.with_local_dir(parent.path().join(self.opened.get().to_string())))
    }
}

/// The backend on the local file system.
#[derive(Debug, Default)]
pub(crate) struct Fs(Directories);

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
        FsStore::open(self.0.placed(env)?)
    }
}

/// The backend on RocksDB.
#[cfg(feature = "rocksdb")]
#[derive(Debug, Default)]
pub(crate) struct Rocks(Directories);

#[cfg(feature = "rocksdb")]
impl Harness for Rocks {
    type Store = Box<dyn alluvium_state_api::KeyedStore>;

    fn profile(&self) -> Profile {
        Profile {
            name: "rocksdb",
            increments: Increments::WrittenAsFull,
            ..Fs::default().profile()
        }
    }

    fn open(&self, env: OpenEnv) -> Result<Self::Store> {
        let settings = [("state.backend", "rocksdb")];
        let settings = alluvium_state_api::settings::Settings::from_pairs(settings)?;
        alluvium::registry().open(self.0.placed(env)?, &settings)
    }
}
