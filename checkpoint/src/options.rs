//! When checkpoints are taken, how, and how many are kept.

use std::time::Duration;

use alluvium_state_api::settings::{Retention, Settings};
use alluvium_state_api::snapshot::{Compression, SnapshotKind};
use alluvium_state_api::{Error, Result};

/// Options of a [`Coordinator`](crate::Coordinator). `Default` is Flink's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// From the start of one periodic checkpoint to the next; `None` for none. Default none.
    pub interval: Option<Duration>,
    /// A checkpoint that takes longer is aborted. Default 10 minutes.
    pub timeout: Duration,
    /// From the end of a checkpoint to the start of the next, at least. Default 0. Savepoints are
    /// exempt.
    pub min_pause: Duration,
    /// How many checkpoints may be under way at once; savepoints do not count. Default 1. Must be 1
    /// where there is a pause.
    pub max_concurrent: usize,
    /// How many checkpoints in a row may fail before the job should. Default 0. What counts is in
    /// [`AbortReason::is_failure`](crate::AbortReason::is_failure); savepoints do not.
    pub tolerable_failures: u32,
    /// How many completed checkpoints are kept, at least 1. Default 1.
    pub retained: usize,
    /// Which completed checkpoints outlive the job. Default none.
    pub retention: Retention,
    /// What checkpoints are: [`Full`](SnapshotKind::Full) (default), incremental, or canonical.
    pub kind: SnapshotKind,
    /// How blocks of state files are compressed. Default none.
    pub compression: Compression,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interval: None,
            timeout: Duration::from_mins(10),
            min_pause: Duration::ZERO,
            max_concurrent: 1,
            tolerable_failures: 0,
            retained: 1,
            retention: Retention::default(),
            kind: SnapshotKind::Full,
            compression: Compression::None,
        }
    }
}

impl Options {
    /// What the settings say.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let options = Self {
            interval: settings.checkpoint_interval(),
            timeout: settings.checkpoint_timeout(),
            min_pause: settings.min_pause(),
            max_concurrent: settings.max_concurrent_checkpoints(),
            tolerable_failures: settings.tolerable_failed_checkpoints(),
            retained: settings.retained_checkpoints(),
            retention: settings.retention(),
            kind: if settings.incremental() {
                SnapshotKind::Incremental
            } else {
                SnapshotKind::Full
            },
            compression: settings.compression(),
        };
        options.validate()?;
        Ok(options)
    }

    /// Checks that the options fit together.
    ///
    /// # Errors
    /// `InvalidInput`, saying what does not.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::invalid_input(what));
        if self.interval == Some(Duration::ZERO) || self.timeout == Duration::ZERO {
            return refuse("checkpoint interval and timeout must be above 0");
        }
        if self.max_concurrent == 0 || self.retained == 0 {
            return refuse("at least 1 checkpoint must be allowed at once and at least 1 retained");
        }
        if self.min_pause > Duration::ZERO && self.max_concurrent > 1 {
            return refuse(
                "a minimum pause between checkpoints allows only 1 at once; leave \
                 execution.checkpointing.max-concurrent-checkpoints at 1 or the pause at 0",
            );
        }
        Ok(())
    }
}
