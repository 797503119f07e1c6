//! What a checkpoint remembers of the run: the job's bytes of the application.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | [`VERSION`] |
//! | 1 | 1 | stage of the course: 0 until the crash, 1 until the savepoint, 2 until the end, 3 finished |
//! | 2 | 8 | position of the source, in records, little-endian |
//! | 10 | 16 | fingerprint of the job, little-endian |
//! | 26 | rest | the name of the savepoint that is about to be taken here; empty where none is |
//!
//! The last field is a note: it is durable before the savepoint is begun, so that whoever is killed
//! afterwards knows where to look for it, and takes no second one. It is a name in the place of
//! savepoints, so that both may move.
//!
//! Earlier versions lacked fields, and are refused.

use alluvium_state_api::snapshot::FileName;
use alluvium_state_api::{Error, Result};

/// The version of these bytes.
const VERSION: u8 = 3;

/// A part of the course. They come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// From the start to the crash.
    UntilCrash,
    /// From the recovery to the savepoint.
    UntilSavepoint,
    /// From the rescale to the end of the input.
    UntilEnd,
    /// Everything was processed and compared; a checkpoint of this stage is the last of its run.
    Finished,
}

const STAGES: [Stage; 4] =
    [Stage::UntilCrash, Stage::UntilSavepoint, Stage::UntilEnd, Stage::Finished];

/// Where on the course a checkpoint was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waypoint {
    /// What the run was doing.
    pub(super) stage: Stage,
    /// How many records were processed, skipped ones included.
    pub(super) position: u64,
    /// The fingerprint of the job.
    pub(super) job: u128,
    /// The name of the savepoint that ends the part before the rescale, if it is about to be taken.
    pub(super) savepoint: Option<FileName>,
}

impl Waypoint {
    pub(super) fn encode(&self) -> Vec<u8> {
        let stage = STAGES.iter().position(|stage| *stage == self.stage).unwrap_or_default();
        let mut bytes = vec![VERSION, u8::try_from(stage).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(&self.position.to_le_bytes());
        bytes.extend_from_slice(&self.job.to_le_bytes());
        let savepoint = self.savepoint.as_ref().map_or("", FileName::as_str);
        bytes.extend_from_slice(savepoint.as_bytes());
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote for the job with this fingerprint.
    ///
    /// # Errors
    /// `Incompatible` for another version or job, `Corrupted` for anything else.
    pub(super) fn decode(bytes: &[u8], job: u128) -> Result<Self> {
        let found = Self::read(bytes)?;
        if found.job != job {
            return Err(Error::incompatible(
                "the checkpoint was taken by a run of another request, or over another input; was \
                 its directory renamed? choose another --checkpoint-dir",
            ));
        }
        Ok(found)
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let wrong = || Error::corrupted("the checkpoint does not say where the run was");
        let (version, rest) = bytes.split_first().ok_or_else(wrong)?;
        if *version != VERSION {
            return Err(Error::incompatible(format!(
                "the checkpoint is of version {version} of the main job, and this is version \
                 {VERSION}; choose another --checkpoint-dir"
            )));
        }
        let (stage, rest) = rest.split_first().ok_or_else(wrong)?;
        let (position, rest) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
        let (job, savepoint) = rest.split_first_chunk::<16>().ok_or_else(wrong)?;
        let savepoint = match std::str::from_utf8(savepoint) {
            Ok("") => None,
            Ok(name) => Some(FileName::new(name).map_err(|error| wrong().with_source(error))?),
            Err(_) => return Err(wrong()),
        };
        Ok(Self {
            stage: *STAGES.get(usize::from(*stage)).ok_or_else(wrong)?,
            position: u64::from_le_bytes(*position),
            job: u128::from_le_bytes(*job),
            savepoint,
        })
    }
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::ErrorKind;

    use super::*;

    #[test]
    fn waypoints_come_back() {
        for stage in STAGES {
            for position in [0, 1, u64::MAX] {
                let savepoint = (position == 1).then(|| FileName::new("savepoint-a-01").unwrap());
                let waypoint = Waypoint { stage, position, job: 7 << 100, savepoint };
                assert_eq!(Waypoint::decode(&waypoint.encode(), 7 << 100).unwrap(), waypoint);
            }
        }
    }

    #[test]
    fn other_versions_jobs_and_bytes_are_refused() {
        let waypoint = Waypoint { stage: Stage::UntilEnd, position: 1000, job: 5, savepoint: None };
        let right = waypoint.encode();
        let kind = |bytes: &[u8]| Waypoint::decode(bytes, 5).unwrap_err().kind();
        assert_eq!(Waypoint::decode(&right, 6).unwrap_err().kind(), ErrorKind::Incompatible);
        assert_eq!(kind(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), ErrorKind::Incompatible);
        for end in 1..right.len() {
            assert_eq!(kind(&right[..end]), ErrorKind::Corrupted);
        }
        assert_eq!(kind(&[]), ErrorKind::Corrupted);
        for name in [&b"\0"[..], b"\xff", b"a/b", b".."] {
            assert_eq!(kind(&[&right[..], name].concat()), ErrorKind::Corrupted);
        }
        let mut wrong = right;
        wrong[1] = 4;
        assert_eq!(kind(&wrong), ErrorKind::Corrupted);
    }
}
