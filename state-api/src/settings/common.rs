//! Typed getters of the common settings. They cannot fail: values were checked when they were set.

use std::time::Duration;

use super::keys::{self, Key, Value};
use super::{Retention, Settings};
use crate::MaxParallelism;
use crate::snapshot::Compression;

/// How requests to object stores are made: the settings that begin with `object-store.`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectRequests {
    /// How often a request is made again.
    pub retry_limit: usize,
    /// The pause before the first of these, at least.
    pub retry_interval: Duration,
    /// The longest pause.
    pub max_retry_interval: Duration,
    /// When no retry is begun any more, from the first try on.
    pub retry_timeout: Duration,
    /// How long one try may take, with its answer.
    pub request_timeout: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How many requests to a bucket may be under way at once.
    pub max_requests: usize,
    /// Larger files are written in parts of so many bytes.
    pub part_bytes: usize,
    /// How many parts of a file may be under way at once.
    pub parallel_parts: usize,
}

impl Settings {
    /// The name of the state backend; `memory` where none is set.
    pub fn backend(&self) -> &str {
        self.text(keys::BACKEND).unwrap_or_default()
    }

    /// Where checkpoints go; without it snapshots travel inline.
    pub fn checkpoint_dir(&self) -> Option<&str> {
        self.text(keys::CHECKPOINT_DIR)
    }

    /// Where savepoints go that name no target of their own.
    pub fn savepoint_dir(&self) -> Option<&str> {
        self.text(keys::SAVEPOINT_DIR)
    }

    /// How many completed checkpoints are kept, at least 1.
    pub fn retained_checkpoints(&self) -> usize {
        usize::try_from(self.count(keys::NUM_RETAINED).unwrap_or(1)).unwrap_or(usize::MAX)
    }

    /// Whether each job has a directory of its own below the checkpoint directory.
    pub fn create_subdir(&self) -> bool {
        self.truth(keys::CREATE_SUBDIR)
    }

    /// Whether checkpoints are incremental.
    pub fn incremental(&self) -> bool {
        self.truth(keys::INCREMENTAL)
    }

    /// The largest file that goes inline where there is a checkpoint directory, in bytes.
    pub fn inline_threshold_bytes(&self) -> u64 {
        self.count(keys::INLINE_THRESHOLD).unwrap_or_default()
    }

    /// The most that one state of one subtask may have in an inline snapshot, in bytes.
    pub fn max_inline_state_bytes(&self) -> u64 {
        self.count(keys::MEMORY_MAX_STATE_SIZE).unwrap_or_default()
    }

    /// The time from one periodic checkpoint to the next; `None` where they are taken on demand only.
    pub fn checkpoint_interval(&self) -> Option<Duration> {
        self.time(keys::INTERVAL)
    }

    /// How long a checkpoint may take before it is aborted.
    pub fn checkpoint_timeout(&self) -> Duration {
        self.time(keys::TIMEOUT).unwrap_or_default()
    }

    /// The least time from the end of one checkpoint to the beginning of the next.
    pub fn min_pause(&self) -> Duration {
        self.time(keys::MIN_PAUSE).unwrap_or_default()
    }

    /// How many checkpoints may be under way at the same time, at least 1.
    pub fn max_concurrent_checkpoints(&self) -> usize {
        usize::try_from(self.count(keys::MAX_CONCURRENT).unwrap_or(1)).unwrap_or(usize::MAX)
    }

    /// How many checkpoints may fail in a row before the job should.
    pub fn tolerable_failed_checkpoints(&self) -> u32 {
        u32::try_from(self.count(keys::TOLERABLE_FAILURES).unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Which completed checkpoints outlive the job.
    pub fn retention(&self) -> Retention {
        match self.value(keys::RETENTION) {
            Some(Value::Retention(retention)) => retention,
            _ => Retention::default(),
        }
    }

    /// How blocks of state files are compressed.
    pub fn compression(&self) -> Compression {
        match self.value(keys::COMPRESSION) {
            Some(Value::Compression(compression)) => compression,
            _ => Compression::None,
        }
    }

    /// The number of key groups; `None` where it follows from the parallelism.
    pub fn max_parallelism(&self) -> Option<MaxParallelism> {
        let count = self.count(keys::MAX_PARALLELISM)?;
        MaxParallelism::new(u32::try_from(count).ok()?).ok()
    }

    /// The number of subtasks of an operator, at least 1.
    pub fn parallelism(&self) -> u32 {
        u32::try_from(self.count(keys::PARALLELISM).unwrap_or(1)).unwrap_or(u32::MAX)
    }

    /// Where S3's protocol is spoken, if not at Amazon's.
    pub fn s3_endpoint(&self) -> Option<&str> {
        self.text(keys::S3_ENDPOINT)
    }

    /// The region of the bucket.
    pub fn s3_region(&self) -> Option<&str> {
        self.text(keys::S3_REGION)
    }

    /// Whether the bucket is part of the path and not of the host's name.
    pub fn s3_path_style(&self) -> Option<bool> {
        match self.value(keys::S3_PATH_STYLE) {
            Some(Value::Flag(path_style)) => Some(path_style),
            _ => None,
        }
    }

    /// The part of the checkpoint directory that stands for entropy, and how many characters of it.
    pub fn s3_entropy(&self) -> Option<(&str, usize)> {
        let length = self.count(keys::S3_ENTROPY_LENGTH).unwrap_or_default();
        Some((self.text(keys::S3_ENTROPY_KEY)?, usize::try_from(length).unwrap_or(usize::MAX)))
    }

    /// How requests to object stores are made.
    pub fn object_requests(&self) -> ObjectRequests {
        let count =
            |key| usize::try_from(self.count(key).unwrap_or_default()).unwrap_or(usize::MAX);
        let time = |key| self.time(key).unwrap_or_default();
        ObjectRequests {
            retry_limit: count(keys::RETRY_LIMIT),
            retry_interval: time(keys::RETRY_INTERVAL),
            max_retry_interval: time(keys::RETRY_MAX_INTERVAL),
            retry_timeout: time(keys::RETRY_TIMEOUT),
            request_timeout: time(keys::REQUEST_TIMEOUT),
            connect_timeout: time(keys::CONNECT_TIMEOUT),
            max_requests: count(keys::MAX_REQUESTS),
            part_bytes: count(keys::PART_SIZE),
            parallel_parts: count(keys::PARALLEL_PARTS),
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).or_else(|| Key::find(key).and_then(Key::default_str))
    }

    fn value(&self, key: &str) -> Option<Value> {
        let set = self.entries.get(key).map(|entry| entry.value);
        set.or_else(|| Key::find(key).and_then(Key::default_value))
    }

    fn count(&self, key: &str) -> Option<u64> {
        match self.value(key) {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        }
    }

    fn time(&self, key: &str) -> Option<Duration> {
        match self.value(key) {
            Some(Value::Time(duration)) => Some(duration),
            _ => None,
        }
    }

    fn truth(&self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::Flag(true)))
    }
}
