//! The common settings: names, other spellings, rules, defaults.
//!
//! One table (`COMMON`) decides what is known, how a value is parsed, what is in effect where none
//! is given; the page of [`settings`](super) prints it for people.

use std::time::Duration;

use super::parse;
use super::redact::shown;
use super::retention::Retention;
use crate::snapshot::Compression;
use crate::{Error, MaxParallelism, Result};

/// `state.backend`.
pub const BACKEND: &str = "state.backend";
/// `state.checkpoints.dir`.
pub const CHECKPOINT_DIR: &str = "state.checkpoints.dir";
/// `state.savepoints.dir`.
pub const SAVEPOINT_DIR: &str = "state.savepoints.dir";
/// `state.checkpoints.num-retained`.
pub const NUM_RETAINED: &str = "state.checkpoints.num-retained";
/// `state.checkpoints.create-subdir`.
pub const CREATE_SUBDIR: &str = "state.checkpoints.create-subdir";
/// `state.backend.incremental`.
pub const INCREMENTAL: &str = "state.backend.incremental";
/// `state.storage.fs.memory-threshold`.
pub const INLINE_THRESHOLD: &str = "state.storage.fs.memory-threshold";
/// `state.backend.memory.max-state-size`.
pub const MEMORY_MAX_STATE_SIZE: &str = "state.backend.memory.max-state-size";
/// `execution.checkpointing.interval`.
pub const INTERVAL: &str = "execution.checkpointing.interval";
/// `execution.checkpointing.mode`.
pub const MODE: &str = "execution.checkpointing.mode";
/// `execution.checkpointing.timeout`.
pub const TIMEOUT: &str = "execution.checkpointing.timeout";
/// `execution.checkpointing.min-pause`.
pub const MIN_PAUSE: &str = "execution.checkpointing.min-pause";
/// `execution.checkpointing.max-concurrent-checkpoints`.
pub const MAX_CONCURRENT: &str = "execution.checkpointing.max-concurrent-checkpoints";
/// `execution.checkpointing.tolerable-failed-checkpoints`.
pub const TOLERABLE_FAILURES: &str = "execution.checkpointing.tolerable-failed-checkpoints";
/// `execution.checkpointing.externalized-checkpoint-retention`.
pub const RETENTION: &str = "execution.checkpointing.externalized-checkpoint-retention";
/// `execution.checkpointing.snapshot-compression`.
pub const COMPRESSION: &str = "execution.checkpointing.snapshot-compression";
/// `pipeline.max-parallelism`.
pub const MAX_PARALLELISM: &str = "pipeline.max-parallelism";
/// `parallelism.default`.
pub const PARALLELISM: &str = "parallelism.default";
/// `s3.endpoint`.
pub const S3_ENDPOINT: &str = "s3.endpoint";
/// `s3.endpoint.region`.
pub const S3_REGION: &str = "s3.endpoint.region";
/// `s3.path.style.access`.
pub const S3_PATH_STYLE: &str = "s3.path.style.access";
/// `s3.entropy.key`.
pub const S3_ENTROPY_KEY: &str = "s3.entropy.key";
/// `s3.entropy.length`.
pub const S3_ENTROPY_LENGTH: &str = "s3.entropy.length";
/// `object-store.retry.limit`.
pub const RETRY_LIMIT: &str = "object-store.retry.limit";
/// `object-store.retry.interval`.
pub const RETRY_INTERVAL: &str = "object-store.retry.interval";
/// `object-store.retry.max-interval`.
pub const RETRY_MAX_INTERVAL: &str = "object-store.retry.max-interval";
/// `object-store.retry.timeout`.
pub const RETRY_TIMEOUT: &str = "object-store.retry.timeout";
/// `object-store.request-timeout`.
pub const REQUEST_TIMEOUT: &str = "object-store.request-timeout";
/// `object-store.connect-timeout`.
pub const CONNECT_TIMEOUT: &str = "object-store.connect-timeout";
/// `object-store.max-requests`.
pub const MAX_REQUESTS: &str = "object-store.max-requests";
/// `object-store.part-size`.
pub const PART_SIZE: &str = "object-store.part-size";
/// `object-store.parallel-parts`.
pub const PARALLEL_PARTS: &str = "object-store.parallel-parts";

/// A parsed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The text itself.
    Text,
    Number(u64),
    Time(Duration),
    Flag(bool),
    Compression(Compression),
    Retention(Retention),
}

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// Anything but nothing.
    Text,
    /// Checkpoints are exactly once.
    ExactlyOnce,
    /// At least, at most.
    Number(u64, u64),
    /// At least, at most, in bytes.
    Size(u64, u64),
    /// At least.
    Time(Duration),
    /// At least, at most.
    TimeWithin(Duration, Duration),
    Flag,
    Compression,
    Retention,
}

impl Rule {
    /// Parses `text` as the value of `key`.
    pub(super) fn parse(self, key: &str, text: &str) -> Result<Value> {
        let within = |least: u64, most: u64| move |number: &u64| (least..=most).contains(number);
        let parsed = match self {
            Self::Text => (!text.is_empty()).then_some(Value::Text),
            Self::ExactlyOnce => {
                let text = text.replace('_', "-");
                text.eq_ignore_ascii_case("exactly-once").then_some(Value::Text)
            }
            Self::Number(least, most) => {
                parse::number(text).filter(within(least, most)).map(Value::Number)
            }
            Self::Size(least, most) => {
                parse::size(text).filter(within(least, most)).map(Value::Number)
            }
            Self::Time(least) => {
                parse::duration(text).filter(|duration| *duration >= least).map(Value::Time)
            }
            Self::TimeWithin(least, most) => parse::duration(text)
                .filter(|duration| (least..=most).contains(duration))
                .map(Value::Time),
            Self::Flag => parse::flag(text).map(Value::Flag),
            Self::Compression => compression(text).map(Value::Compression),
            Self::Retention => Retention::from_name(text).ok().map(Value::Retention),
        };
        parsed.ok_or_else(|| {
            Error::invalid_input(format!(
                "setting {key} must be {}, not {}",
                self.allowed(),
                shown(key, text)
            ))
        })
    }

    fn allowed(self) -> String {
        match self {
            Self::Text => "given".to_owned(),
            Self::ExactlyOnce => "exactly-once".to_owned(),
            Self::Number(least, most) => format!("a whole number from {least} to {most}"),
            Self::Size(least, u64::MAX) => {
                format!("a size of at least {}, such as 20kb or 5 mb", parse::size_text(least))
            }
            Self::Size(least, most) => format!(
                "a size from {} to {}, such as 20kb",
                parse::size_text(least),
                parse::size_text(most)
            ),
            Self::Time(Duration::ZERO) => "a duration, such as 500 ms, 10 min or 1 h".to_owned(),
            Self::Time(least) => format!(
                "a duration of at least {}, such as 500 ms, 10 min or 1 h",
                parse::duration_text(least)
            ),
            Self::TimeWithin(least, most) => format!(
                "a duration from {} to {}",
                parse::duration_text(least),
                parse::duration_text(most)
            ),
            Self::Flag => "true or false".to_owned(),
            Self::Compression => "none, snappy, lz4 or zstd".to_owned(),
            Self::Retention => {
                "no-externalized-checkpoints, delete-on-cancellation or retain-on-cancellation"
                    .to_owned()
            }
        }
    }
}

/// One common setting.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    aliases: &'static [&'static str],
    rule: Rule,
    default: Option<&'static str>,
}

impl Key {
    const fn new(
        name: &'static str,
        aliases: &'static [&'static str],
        rule: Rule,
        default: Option<&'static str>,
    ) -> Self {
        Self { name, aliases, rule, default }
    }

    /// The common setting of this name, under any spelling.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        COMMON.iter().find(|key| key.name == name || key.aliases.contains(&name))
    }

    /// All names, the canonical one first.
    pub(super) fn spellings(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Parses `text`; `spelled` is how the user spelled the key.
    pub(super) fn parse(&self, spelled: &str, text: &str) -> Result<Value> {
        self.rule.parse(spelled, text)
    }

    /// What is in effect where nothing is set; `None` where that is nothing.
    pub(super) fn default_text(&self) -> Option<String> {
        self.default.map(|text| format!("{text:?}"))
    }

    /// The parsed default.
    pub(super) fn default_value(&self) -> Option<Value> {
        self.default.and_then(|text| self.rule.parse(self.name, text).ok())
    }

    /// The default's text.
    pub(super) fn default_str(&self) -> Option<&'static str> {
        self.default
    }
}

fn compression(text: &str) -> Option<Compression> {
    let text = text.to_ascii_lowercase();
    match parse::flag(&text) {
        Some(true) => Some(Compression::Snappy),
        Some(false) => Some(Compression::None),
        None => Compression::from_name(&text).ok(),
    }
}

const GROUPS: u64 = MaxParallelism::LIMIT as u64;
const MOST_INLINE: u64 = 1 << 20;
const ONE_MS: Rule = Rule::Time(Duration::from_millis(1));
const MOST_FAILURES: u64 = i32::MAX as u64;

const fn within_ms(least: u64, most: u64) -> Rule {
    Rule::TimeWithin(Duration::from_millis(least), Duration::from_millis(most))
}

/// Every common setting.
pub(super) const COMMON: &[Key] = &[
    Key::new(BACKEND, &["state.backend.type"], Rule::Text, Some("memory")),
    Key::new(
        CHECKPOINT_DIR,
        &["execution.checkpointing.dir", "state.backend.fs.checkpointdir"],
        Rule::Text,
        None,
    ),
    Key::new(SAVEPOINT_DIR, &["execution.checkpointing.savepoint-dir"], Rule::Text, None),
    Key::new(
        NUM_RETAINED,
        &["execution.checkpointing.num-retained"],
        Rule::Number(1, 10_000),
        Some("1"),
    ),
    Key::new(CREATE_SUBDIR, &["execution.checkpointing.create-subdir"], Rule::Flag, Some("true")),
    Key::new(INCREMENTAL, &["execution.checkpointing.incremental"], Rule::Flag, Some("false")),
    Key::new(
        INLINE_THRESHOLD,
        &["state.backend.fs.memory-threshold", "execution.checkpointing.data-inline-threshold"],
        Rule::Size(0, MOST_INLINE),
        Some("20 kb"),
    ),
    Key::new(MEMORY_MAX_STATE_SIZE, &[], Rule::Size(1, u64::MAX), Some("5 mb")),
    Key::new(INTERVAL, &[], ONE_MS, None),
    Key::new(MODE, &[], Rule::ExactlyOnce, Some("exactly-once")),
    Key::new(TIMEOUT, &[], ONE_MS, Some("10 min")),
    Key::new(MIN_PAUSE, &[], Rule::Time(Duration::ZERO), Some("0 ms")),
    Key::new(MAX_CONCURRENT, &[], Rule::Number(1, 1_000), Some("1")),
    Key::new(TOLERABLE_FAILURES, &[], Rule::Number(0, MOST_FAILURES), Some("0")),
    Key::new(RETENTION, &[], Rule::Retention, Some("no-externalized-checkpoints")),
    Key::new(COMPRESSION, &[], Rule::Compression, Some("none")),
    Key::new(MAX_PARALLELISM, &[], Rule::Number(1, GROUPS), None),
    Key::new(PARALLELISM, &[], Rule::Number(1, GROUPS), Some("1")),
    Key::new(S3_ENDPOINT, &[], Rule::Text, None),
    Key::new(S3_REGION, &["s3.region"], Rule::Text, None),
    Key::new(S3_PATH_STYLE, &["s3.path-style-access"], Rule::Flag, None),
    Key::new(S3_ENTROPY_KEY, &[], Rule::Text, None),
    Key::new(S3_ENTROPY_LENGTH, &[], Rule::Number(1, 8), Some("4")),
    Key::new(RETRY_LIMIT, &["s3.retry.limit"], Rule::Number(0, 100), Some("10")),
    Key::new(RETRY_INTERVAL, &["s3.retry.interval"], within_ms(1, 60_000), Some("100 ms")),
    Key::new(RETRY_MAX_INTERVAL, &[], within_ms(1, 300_000), Some("15 s")),
    Key::new(RETRY_TIMEOUT, &[], within_ms(0, 300_000), Some("3 min")),
    Key::new(
        REQUEST_TIMEOUT,
        &["s3.connection.request.timeout"],
        within_ms(1, 3_600_000),
        Some("1 min"),
    ),
    Key::new(
        CONNECT_TIMEOUT,
        &["s3.connection.establish.timeout"],
        within_ms(1, 300_000),
        Some("5 s"),
    ),
    Key::new(MAX_REQUESTS, &["s3.connection.maximum"], Rule::Number(1, 1_000), Some("64")),
    Key::new(PART_SIZE, &["s3.multipart.size"], Rule::Size(5 << 20, 1 << 30), Some("8 mb")),
    Key::new(PARALLEL_PARTS, &[], Rule::Number(1, 64), Some("4")),
];
