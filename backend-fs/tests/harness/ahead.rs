//! When the thread that reads ahead after a restore has its turn, which is a matter of luck otherwise.

use alluvium_state_api::{Result, Spawner, ThreadSpawner};

/// Does what would be read ahead before the store is open, or never; everything else as usual.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadAhead {
    pub(crate) happens: bool,
}

impl Spawner for ReadAhead {
    fn spawn(&self, name: &str, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        if name != "alluvium-fs-hydrate" {
            return ThreadSpawner.spawn(name, job);
        }
        if self.happens {
            job();
        }
        Ok(())
    }
}
