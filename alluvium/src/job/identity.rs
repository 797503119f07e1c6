//! Which job a run is: the same request over the same input is the same job.
//!
//! What is killed and started again with the same arguments finds its checkpoints by this. So
//! everything belongs to it that decides what the state holds, whether it can be restored, and where
//! on the input the course turns; and nothing else does:
//!
//! | belongs to it | because |
//! |---|---|
//! | all bytes of the input, its name without directories, its format | they are the records |
//! | the columns with a role | they decide what the states hold |
//! | backend, number of key groups | a checkpoint is restored only into the same |
//! | `--parallelism`, `--rescale-to`, `--checkpoint-every`, `--crash-at` | the course |
//!
//! Directory of the input, mode, compression, retention and other settings may change between two
//! lives of a job. All bytes are digested, not some: the recomputation reads them all anyway, and
//! state of an input that was changed in the middle would be wrong. A stream counts by its bytes, too:
//! who pipes the same again goes on.
//!
//! The job's directory is `<16 hex digits>-<readable name>`. The digits come first since the names of
//! savepoints begin with the first characters of their job.

use alluvium_state_api::Result as StateResult;
use alluvium_state_api::random::{OsRandomness, Randomness};
use alluvium_state_api::snapshot::FileName;
use xxhash_rust::xxh3::Xxh3;

use super::error::Result;
use super::spec::Spec;
use crate::source::Source;

/// Counts what the operator's states mean: state of another version is another job's.
const OPERATOR_VERSION: u8 = 1;

/// The longest readable part of a job's name, in bytes.
const READABLE_BYTES: usize = 40;

/// A job's name and fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Names its directory.
    pub(super) job: FileName,
    /// Tells it from all others.
    pub(super) fingerprint: u128,
}

impl Identity {
    /// Of a job that nobody goes on with.
    ///
    /// # Errors
    /// None that is expected.
    pub(super) fn random() -> StateResult<Self> {
        let fingerprint = OsRandomness.next_u128();
        Ok(Self { job: FileName::new(&format!("{fingerprint:032x}"))?, fingerprint })
    }

    /// Of this request over this input, with the backend's own name. Reads the whole input.
    ///
    /// # Errors
    /// Where the input cannot be read.
    pub(super) fn of(source: &Source, spec: &Spec, backend: &str) -> Result<Self> {
        let input = source.digest()?;
        let asked = format!(
            "{OPERATOR_VERSION} {input:032x} {backend:?} {} {} {} {:?} {:?}",
            spec.max_parallelism.get(),
            spec.parallelism,
            spec.rescale_to,
            spec.checkpoint_every,
            spec.crash_at,
        );
        let mut hasher = Xxh3::new();
        hasher.update(asked.as_bytes());
        let fingerprint = hasher.digest128();
        let name = format!("{:016x}-{}", fingerprint >> 64, readable(source.name()));
        Ok(Self { job: FileName::new(name.trim_end_matches('-'))?, fingerprint })
    }
}

/// What a file name can hold of the name of an input, without its directory.
fn readable(input: &str) -> String {
    let name = input.rsplit('/').next().unwrap_or(input);
    let mut text = String::new();
    for character in name.chars() {
        if text.len() == READABLE_BYTES {
            break;
        }
        if character.is_ascii_alphanumeric() || character == '.' {
            text.push(character.to_ascii_lowercase());
        } else if !text.ends_with('-') {
            text.push('-');
        }
    }
    text.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::MaxParallelism;

    use super::*;
    use crate::job::tests::support::{input, spec};
    use crate::job::{Mode, Point};

    #[test]
    fn names_are_readable_and_safe() {
        assert_eq!(readable("flights-2013-01 (built in)"), "flights-2013-01-built-in");
        assert_eq!(readable("/data/Orders 2026.csv.gz"), "orders-2026.csv.gz");
        assert_eq!(readable("/data/\"ü/é\""), "");
        let long = readable(&"x".repeat(1000));
        assert_eq!(long.len(), READABLE_BYTES);
    }

    #[test]
    fn what_decides_the_course_decides_the_job_and_nothing_else() {
        let (directory, source) = (tempfile::tempdir().unwrap(), input(100));
        let spec = spec(directory.path());
        let of = |spec: &Spec| Identity::of(&source, spec, "memory").unwrap();
        let same = of(&spec);
        let mut other = spec.clone();
        other.mode = Mode::Sync;
        other.settings.set("state.checkpoints.num-retained", "3").unwrap();
        assert_eq!(of(&other), same);

        let changes: [fn(&mut Spec); 5] = [
            |spec| spec.parallelism = 1,
            |spec| spec.rescale_to = 5,
            |spec| spec.max_parallelism = MaxParallelism::new(256).unwrap(),
            |spec| spec.checkpoint_every = None,
            |spec| spec.crash_at = Some(Point::Record(10)),
        ];
        for change in changes {
            let mut other = spec.clone();
            change(&mut other);
            assert_ne!(of(&other).job, same.job, "{other:?}");
        }
        assert_ne!(Identity::of(&source, &spec, "fs").unwrap().job, same.job);
        assert_ne!(Identity::of(&input(101), &spec, "memory").unwrap().job, same.job);
    }
}
