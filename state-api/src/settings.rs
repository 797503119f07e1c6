//! Settings: a checked map of string keys under Apache Flink's names.
//!
//! # Role
//! A runtime reads its configuration into [`Settings`], from pairs of strings, from `--set key=value`
//! or from TOML. [`BackendRegistry`](crate::BackendRegistry), the storages and the checkpoint
//! coordinator read theirs from it. A value never changes its meaning on the way: what is not exactly
//! one of the allowed forms is refused, and nothing is repaired.
//!
//! # Keys
//! Older and newer spellings of Flink are the same setting; the first one is canonical.
//!
//! | setting | other spellings | value | default |
//! |---|---|---|---|
//! | `state.backend` | `state.backend.type` | name of a backend | `memory` |
//! | `state.checkpoints.dir` | `execution.checkpointing.dir`, `state.backend.fs.checkpointdir` | directory or URL | none: snapshots travel inline |
//! | `state.savepoints.dir` | `execution.checkpointing.savepoint-dir` | directory or URL | none |
//! | `state.checkpoints.num-retained` | `execution.checkpointing.num-retained` | 1 to 10000 | 1 |
//! | `state.checkpoints.create-subdir` | `execution.checkpointing.create-subdir` | true, false | true |
//! | `state.backend.incremental` | `execution.checkpointing.incremental` | true, false | false |
//! | `state.storage.fs.memory-threshold` | `state.backend.fs.memory-threshold`, `execution.checkpointing.data-inline-threshold` | size up to 1 mb | 20 kb |
//! | `state.backend.memory.max-state-size` | | size, per state, subtask and snapshot | 5 mb |
//! | `execution.checkpointing.interval` | | duration above 0 | none: on demand |
//! | `execution.checkpointing.mode` | | `exactly-once` | `exactly-once` |
//! | `execution.checkpointing.timeout` | | duration above 0 | 10 min |
//! | `execution.checkpointing.min-pause` | | duration | 0 ms |
//! | `execution.checkpointing.max-concurrent-checkpoints` | | 1 to 1000 | 1 |
//! | `execution.checkpointing.tolerable-failed-checkpoints` | | 0 to 2147483647 | 0 |
//! | `execution.checkpointing.externalized-checkpoint-retention` | | `no-externalized-checkpoints`, `delete-on-cancellation`, `retain-on-cancellation`, also with `_` and in upper case | `no-externalized-checkpoints` |
//! | `execution.checkpointing.snapshot-compression` | | `none`, `snappy`, `lz4`, `zstd`; `true` is snappy, `false` none | `none` |
//! | `pipeline.max-parallelism` | | 1 to 32768 | from the parallelism |
//! | `parallelism.default` | | 1 to 32768 | 1 |
//! | `s3.endpoint` | | URL or host of a server that speaks S3's protocol; `http://` allows plain HTTP | Amazon's |
//! | `s3.endpoint.region` | `s3.region` | name of a region | `us-east-1` |
//! | `s3.path.style.access` | `s3.path-style-access` | true, false | true with an endpoint, else false |
//! | `s3.entropy.key` | | the part of `state.checkpoints.dir` that data files have random text for | none |
//! | `s3.entropy.length` | | 1 to 8 characters | 4 |
//! | `object-store.retry.limit` | `s3.retry.limit` | 0 to 100 | 10 |
//! | `object-store.retry.interval` | `s3.retry.interval` | 1 ms to 1 min, before the first retry | 100 ms |
//! | `object-store.retry.max-interval` | | 1 ms to 5 min | 15 s |
//! | `object-store.retry.timeout` | | 0 to 5 min, for a request with all its retries | 3 min |
//! | `object-store.request-timeout` | `s3.connection.request.timeout` | 1 ms to 1 h, for each try | 1 min |
//! | `object-store.connect-timeout` | `s3.connection.establish.timeout` | 1 ms to 5 min | 5 s |
//! | `object-store.max-requests` | `s3.connection.maximum` | 1 to 1000 under way at once, per bucket | 64 |
//! | `object-store.part-size` | `s3.multipart.size` | 5 mb to 1 gb; a file has at most 10000 parts | 8 mb |
//! | `object-store.parallel-parts` | | 1 to 64 under way at once, per file | 4 |
//!
//! Sizes are a whole number and perhaps a unit, in powers of 1024: `b`, `k` or `kb`, `m` or `mb`, `g`
//! or `gb`, `t` or `tb` (also `kib`, ...). Durations are a whole number and perhaps a unit: `ns`, `us`,
//! `ms` (also without a unit), `s`, `min`, `h`, `d`, and the words that Flink takes.
//!
//! # Invariants
//! 1. A common setting is parsed and its bounds are checked when it is set; so its getter cannot fail.
//!    A backend's own settings are text here; the backend reads them with [`Settings::size`] and the
//!    like, and the registry refuses what it does not know ([`Settings::check_known`]).
//! 2. One source sets a key once: a second value under the same key or another spelling of it is an
//!    error unless it is equal. A later source overrides an earlier one ([`Settings::overlay`]).
//! 3. Values of keys that look secret never reach `Debug`, `Display` or an error, nor do user and
//!    password of a URL. Credentials of object stores are refused: they come from the environment, a
//!    profile or a role.
//!
//! ```
//! use alluvium_state_api::settings::Settings;
//! use std::time::Duration;
//!
//! # fn main() -> alluvium_state_api::Result<()> {
//! let file = Settings::from_toml(r#"
//!     [execution.checkpointing]
//!     interval = "30 s"
//!     num-retained = 3
//! "#)?;
//! let settings = file.overlay(Settings::from_pairs([("state.backend.type", "memory")])?);
//! assert_eq!(settings.checkpoint_interval(), Some(Duration::from_secs(30)));
//! assert_eq!((settings.backend(), settings.retained_checkpoints()), ("memory", 3));
//! let error = Settings::from_pairs([("execution.checkpointing.timeout", "soon")]).unwrap_err();
//! assert!(error.message().contains("execution.checkpointing.timeout"));
//! # Ok(())
//! # }
//! ```

mod common;
pub mod keys;
mod parse;
mod redact;
mod retention;
mod suggest;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{Error, Result};
pub use common::ObjectRequests;
use keys::{Key, Rule, Value};
pub use parse::{duration as parse_duration, size as parse_size};
use redact::{belongs_elsewhere, shown};
pub use retention::Retention;

/// A checked map of settings. See the [module](self).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    entries: BTreeMap<Box<str>, Entry>,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    /// How the user spelled the key.
    spelled: Box<str>,
    text: Box<str>,
    value: Value,
}

impl Settings {
    /// No settings: every common one has its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Settings from pairs of key and value.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self> {
        let mut settings = Self::new();
        for (key, value) in pairs {
            settings.set(key.as_ref(), value.as_ref())?;
        }
        Ok(settings)
    }

    /// Settings from texts of the form `key=value`, as on a command line. Blanks around key and
    /// value do not count; the value may hold further equals signs.
    ///
    /// # Errors
    /// `InvalidInput` where there is no equals sign; as [`set`](Self::set).
    pub fn from_assignments<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut settings = Self::new();
        for text in texts {
            let text = text.as_ref();
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Error::invalid_input(format!(
                    "setting {} has no value; write key=value",
                    shown(text, text)
                ))
            })?;
            settings.set(key, value)?;
        }
        Ok(settings)
    }

    /// Sets `key`, under any of its spellings, to `value`.
    ///
    /// # Errors
    /// `InvalidInput`, naming key, value and what is allowed: a key that is no dotted name, a value of
    /// a common setting that does not parse or is out of bounds, a key that is set already, under this
    /// or another spelling, to a different value, credentials of an object store.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let (key, text) = (key.trim(), value.trim());
        check_name(key)?;
        if let Some(place) = belongs_elsewhere(key) {
            return Err(Error::invalid_input(format!(
                "setting {key}: credentials are no settings; {place}"
            )));
        }
        let known = Key::find(key);
        let value = match known {
            Some(known) => known.parse(key, text)?,
            None => Value::Text,
        };
        let canonical = known.map_or(key, |known| known.name);
        if let Some(earlier) = self.entries.get(canonical) {
            let same = match value {
                Value::Text => earlier.text.as_ref() == text,
                _ => earlier.value == value,
            };
            if !same {
                return Err(twice(earlier, key, text));
            }
            return Ok(());
        }
        let entry = Entry { spelled: key.into(), text: text.into(), value };
        self.entries.insert(canonical.into(), entry);
        Ok(())
    }

    /// These settings, overridden by those of `later`.
    #[must_use]
    pub fn overlay(mut self, later: Self) -> Self {
        self.entries.extend(later.entries);
        self
    }

    /// The value of `key`, under any of its spellings, as it was given; `None` where it was not.
    pub fn get(&self, key: &str) -> Option<&str> {
        let canonical = Key::find(key).map_or(key, |known| known.name);
        self.entries.get(canonical).map(|entry| &*entry.text)
    }

    /// The keys that were set, canonical, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(|key| &**key)
    }

    /// Refuses keys that are neither common nor among `extra`.
    ///
    /// # Errors
    /// `InvalidInput`, naming the first unknown key and, if there is a similar one, that.
    pub fn check_known(&self, extra: &[&str]) -> Result<()> {
        for (key, entry) in &self.entries {
            if Key::find(key).is_none() && !extra.contains(&&**key) {
                let mut known: Vec<&str> = extra.to_vec();
                for common in keys::COMMON {
                    common.spellings().for_each(|name| known.push(name));
                }
                return Err(suggest::unknown_key(&entry.spelled, &known));
            }
        }
        Ok(())
    }

    /// A size in bytes, such as `20kb`: that of `key`, else `default`.
    ///
    /// # Errors
    /// `InvalidInput` for what is no size or out of `bounds`.
    pub fn size(&self, key: &str, default: u64, bounds: RangeInclusive<u64>) -> Result<u64> {
        self.number_by(key, Rule::Size(*bounds.start(), *bounds.end()), default)
    }

    /// A whole number: that of `key`, else `default`.
    ///
    /// # Errors
    /// `InvalidInput` for what is no number or out of `bounds`.
    pub fn number(&self, key: &str, default: u64, bounds: RangeInclusive<u64>) -> Result<u64> {
        self.number_by(key, Rule::Number(*bounds.start(), *bounds.end()), default)
    }

    /// A duration, such as `500 ms`: that of `key`, else `default`.
    ///
    /// # Errors
    /// `InvalidInput` for what is no duration.
    pub fn duration(&self, key: &str, default: Duration) -> Result<Duration> {
        match self.parsed(key, Rule::Time(Duration::ZERO))? {
            Some(Value::Time(duration)) => Ok(duration),
            _ => Ok(default),
        }
    }

    /// `true` or `false`: that of `key`, else `default`.
    ///
    /// # Errors
    /// `InvalidInput` for anything else.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.parsed(key, Rule::Flag)? {
            Some(Value::Flag(flag)) => Ok(flag),
            _ => Ok(default),
        }
    }

    /// All common settings as they are in effect, and all others that were set, with secrets blotted
    /// out: key, value, and whether it was set. In order of the keys.
    pub fn effective(&self) -> Vec<(String, String, bool)> {
        let set = self.entries.iter();
        let set = set.map(|(key, entry)| (key.to_string(), shown(key, &entry.text), true));
        let unset = keys::COMMON.iter().filter(|key| !self.entries.contains_key(key.name));
        let defaults = unset.filter_map(|key| {
            let text = key.default_text()?;
            Some((key.name.to_owned(), text, false))
        });
        let mut all: Vec<_> = set.chain(defaults).collect();
        all.sort();
        all
    }

    fn number_by(&self, key: &str, rule: Rule, default: u64) -> Result<u64> {
        match self.parsed(key, rule)? {
            Some(Value::Number(number)) => Ok(number),
            _ => Ok(default),
        }
    }

    fn parsed(&self, key: &str, rule: Rule) -> Result<Option<Value>> {
        let text = self.get(key);
        text.map(|text| rule.parse(key, text)).transpose()
    }
}

/// `key = "value"` lines, of what was set, with secrets blotted out.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, entry) in &self.entries {
            writeln!(f, "{key} = {}", shown(key, &entry.text))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.iter();
        f.debug_map().entries(entries.map(|(key, entry)| (key, shown(key, &entry.text)))).finish()
    }
}

const MAX_KEY_BYTES: usize = 200;

fn check_name(key: &str) -> Result<()> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let parts_ok = key.split('.').all(|part| !part.is_empty());
    if key.len() > MAX_KEY_BYTES || !parts_ok || !key.bytes().all(safe) {
        return Err(Error::invalid_input(format!(
            "{} is no name of a setting; names are words of A-Z a-z 0-9 _ - with dots between them",
            shown(key, key)
        )));
    }
    Ok(())
}

#[cold]
fn twice(earlier: &Entry, key: &str, text: &str) -> Error {
    let was = &*earlier.spelled;
    let same_setting = if was == key { "" } else { " (two names of one setting)" };
    Error::invalid_input(format!(
        "setting {was} is {} and {key} is {}{same_setting}; keep one of them",
        shown(was, &earlier.text),
        shown(key, text)
    ))
}

#[cfg(test)]
mod tests;
