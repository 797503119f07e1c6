//! [`Jobs`]: what is done to a database beside its store, and ends with it.
//!
//! # Invariants
//! Y1. A job has the database only while it holds the lock; once the lock says that the store has gone, it does
//!     nothing. So a store that is closed waits for what compacts to notice, and the directory is free afterwards, also
//!     where a job was never run.

use std::sync::{Arc, Weak};

use alluvium_state_api::{Result, Spawner};
use parking_lot::RwLock;

use crate::database::Database;

/// Where jobs begin; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct JobSpace {
    database: Weak<Database>,
    /// Whether the store has gone.
    is_over: Arc<RwLock<bool>>,
    spawner: Arc<dyn Spawner>,
}

impl JobSpace {
    /// Begins a job, which does nothing once the store has gone.
    ///
    /// # Errors
    /// Those of the spawner.
    pub(crate) fn begin(
        &self,
        name: &str,
        job: impl FnOnce(&Database) + Send + 'static,
    ) -> Result<()> {
        let (theirs, lock) = (Weak::clone(&self.database), Arc::clone(&self.is_over));
        let guarded = move || {
            // Also where a job begins another one on its own thread.
            let is_over = lock.read_recursive();
            if !*is_over && let Some(database) = theirs.upgrade() {
                job(&database);
            }
        };
        self.spawner.spawn(name, Box::new(guarded))
    }
}

/// The jobs of a store; they end with this.
#[derive(Debug)]
pub(crate) struct Jobs {
    space: JobSpace,
    were_any: bool,
}

impl Jobs {
    /// None yet.
    pub(crate) fn of(database: &Arc<Database>, spawner: Arc<dyn Spawner>) -> Self {
        let is_over = Arc::new(RwLock::new(false));
        let space = JobSpace { database: Arc::downgrade(database), is_over, spawner };
        Self { space, were_any: false }
    }

    /// Where to begin one.
    pub(crate) const fn space(&mut self) -> &JobSpace {
        self.were_any = true;
        &self.space
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        if !self.were_any {
            return;
        }
        if let Some(database) = self.space.database.upgrade() {
            database.db.cancel_all_background_work(false);
        }
        *self.space.is_over.write() = true;
    }
}
