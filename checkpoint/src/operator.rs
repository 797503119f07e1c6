//! The operators of a job, known by uid.
//!
//! An [`OperatorSpec`] is what the job asks for; an [`Operator`] is what it gets once it is known
//! whether there is a snapshot that fixes the number of key groups.

use alluvium_state_api::{Error, KeyGroupRange, MaxParallelism, Result};

/// The longest uid, in bytes.
pub const MAX_UID_BYTES: usize = 255;

/// An operator as a job asks for it.
///
/// ```
/// use alluvium_checkpoint::OperatorSpec;
///
/// # fn main() -> alluvium_state_api::Result<()> {
/// let operator = OperatorSpec::new("counts", 3).fresh()?;
/// assert_eq!((operator.uid(), operator.groups().get()), ("counts", 128));
/// assert!(OperatorSpec::new("counts", 0).fresh().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSpec {
    uid: Box<str>,
    parallelism: u32,
    max_parallelism: Option<MaxParallelism>,
}

impl OperatorSpec {
    /// The operator `uid` with so many subtasks.
    pub fn new(uid: &str, parallelism: u32) -> Self {
        Self { uid: uid.into(), parallelism, max_parallelism: None }
    }

    /// The same with a fixed number of key groups. Without it, a restored operator has those of the
    /// snapshot, and a new one follows [`MaxParallelism::default_for`].
    #[must_use]
    pub const fn with_max_parallelism(mut self, groups: MaxParallelism) -> Self {
        self.max_parallelism = Some(groups);
        self
    }

    /// Its uid.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The operator without a snapshot.
    ///
    /// # Errors
    /// `InvalidInput` for an unusable uid, parallelism 0 or above the maximum.
    pub fn fresh(&self) -> Result<Operator> {
        let groups = match self.max_parallelism {
            Some(groups) => groups,
            None => MaxParallelism::default_for(self.parallelism).map_err(|e| self.named(&e))?,
        };
        Operator::new(&self.uid, self.parallelism, groups)
    }

    /// The operator with a snapshot of `groups` key groups.
    ///
    /// # Errors
    /// `Incompatible` where another maximum was asked for or the parallelism is above it;
    /// `InvalidInput` as [`fresh`](Self::fresh).
    pub fn restored(&self, groups: MaxParallelism) -> Result<Operator> {
        let groups = MaxParallelism::for_restore(groups, self.max_parallelism, self.parallelism)
            .map_err(|error| self.named(&error))?;
        Operator::new(&self.uid, self.parallelism, groups)
    }

    fn named(&self, error: &Error) -> Error {
        Error::new(error.kind(), format!("operator {:?}: {}", self.uid, error.message()))
    }
}

/// An operator of a running job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    uid: Box<str>,
    parallelism: u32,
    groups: MaxParallelism,
}

impl Operator {
    /// The operator `uid` with so many subtasks over so many key groups.
    ///
    /// # Errors
    /// `InvalidInput` for a uid that is empty, longer than [`MAX_UID_BYTES`] or holds control
    /// characters; for parallelism 0 or above the key groups.
    pub fn new(uid: &str, parallelism: u32, groups: MaxParallelism) -> Result<Self> {
        if uid.is_empty() || uid.len() > MAX_UID_BYTES || uid.chars().any(char::is_control) {
            return Err(Error::invalid_input(format!(
                "operator uid {uid:?} must have 1 to {MAX_UID_BYTES} bytes and no control characters"
            )));
        }
        groups.range_of(0, parallelism).map_err(|error| {
            Error::invalid_input(format!("operator {uid:?}: {}", error.message()))
        })?;
        Ok(Self { uid: uid.into(), parallelism, groups })
    }

    /// Its uid.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// How many subtasks it has.
    pub const fn parallelism(&self) -> u32 {
        self.parallelism
    }

    /// Its key groups.
    pub const fn groups(&self) -> MaxParallelism {
        self.groups
    }

    /// The key groups of one subtask.
    ///
    /// # Errors
    /// `InvalidInput` where there is no such subtask.
    pub fn range_of(&self, subtask: u32) -> Result<KeyGroupRange> {
        self.groups.range_of(subtask, self.parallelism)
    }
}

/// Refuses a uid that occurs twice.
pub(crate) fn check_unique<'a>(uids: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for uid in uids {
        if !seen.insert(uid) {
            return Err(Error::invalid_input(format!(
                "operator uid {uid:?} is used twice; state is found by uid, so each needs its own"
            )));
        }
    }
    Ok(())
}
