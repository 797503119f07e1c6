//! Figures that every store has, where this backend does something of its own.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use alluvium_backend_fs::{FsOptions, FsStore};
use alluvium_state_api::{
    KeyedBackend, MaxParallelism, OpenEnv, Result, Spawner, ValueDescriptor, ValueState,
};
use parking_lot::Mutex;

const VALUE: ValueDescriptor<u64> = ValueDescriptor::new("value");

type Job = Box<dyn FnOnce() + Send>;

/// Keeps merges until it is told to do them; does everything else at once.
#[derive(Default)]
struct Held(Mutex<Vec<Job>>);

impl Held {
    fn release(&self) {
        let jobs = std::mem::take(&mut *self.0.lock());
        for job in jobs {
            job();
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl Spawner for Held {
    fn spawn(&self, name: &str, job: Job) -> Result<()> {
        if name.contains("merge") {
            self.0.lock().push(job);
        } else {
            job();
        }
        Ok(())
    }
}

/// Releases what is held, also where a test fails: a store that is dropped waits for its merge.
struct Releases(Arc<Held>);

impl Drop for Releases {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[test]
fn a_merge_is_a_compaction_in_flight_until_it_has_ended() -> std::result::Result<(), Box<dyn Error>>
{
    let directory = tempfile::tempdir()?;
    let groups = MaxParallelism::new(8)?;
    let space = KeyedBackend::<u64>::key_space(groups, groups.all())?;
    let held = Arc::new(Held::default());
    let mut env = OpenEnv::new(space).with_local_dir(directory.path());
    env.spawner = Arc::clone(&held) as Arc<dyn Spawner>;
    let mut options = FsOptions::default();
    options.write_buffer_bytes = 32 << 10;
    options.max_segments = 2;
    let mut backend = KeyedBackend::<u64, _>::new(FsStore::open_with(env, options)?)?;
    let _released_first = Releases(Arc::clone(&held));
    let value = backend.open(VALUE)?;
    assert_eq!(backend.statistics().compactions_in_flight, 0);
    let mut key = 0u64;
    while backend.statistics().compactions_in_flight == 0 {
        assert!(key < 100_000, "nothing was merged");
        backend.at(&key)?.value(value).set(&key)?;
        key += 1;
    }
    held.release();
    assert_eq!(backend.statistics().compactions_in_flight, 0);
    for found in 0..key {
        assert_eq!(backend.at(&found)?.value(value).get()?, Some(found));
    }
    Ok(())
}
