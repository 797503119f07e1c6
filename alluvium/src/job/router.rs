//! Sends each record to the subtask that owns the key group of its key.
//!
//! The placement is that of the keyed backend: the key's prefix-free encoding, its hash, the key
//! group, the owner of the group. A subtask's backend refuses keys of other groups, so a wrong route
//! is an error and never a second copy of a key.

use alluvium_state_api::codec::{EncodeKey, Native};
use alluvium_state_api::{KeyGroup, MaxParallelism, Result, hash_bytes, stable_placement};

/// Finds the owner of a key.
#[derive(Debug)]
pub(super) struct Router {
    groups: MaxParallelism,
    owners: Vec<u32>,
    encoded: Vec<u8>,
}

impl Router {
    /// A router to `parallelism` subtasks.
    ///
    /// # Errors
    /// `InvalidInput` if `parallelism` is 0 or above the number of key groups.
    pub(super) fn new(groups: MaxParallelism, parallelism: u32) -> Result<Self> {
        let mut owners = Vec::with_capacity(usize::from(groups.get()));
        for subtask in 0..parallelism.max(1) {
            let range = groups.range_of(subtask, parallelism)?;
            owners.extend(range.iter().map(|_| subtask));
        }
        Ok(Self { groups, owners, encoded: Vec::new() })
    }

    /// The key group of a key.
    ///
    /// # Errors
    /// `InvalidInput` if the key cannot be encoded.
    pub(super) fn group_of(&mut self, key: &str) -> Result<KeyGroup> {
        self.encoded.clear();
        Native::encode_key(key, &mut self.encoded)?;
        Ok(self.groups.group_of(stable_placement(hash_bytes(&self.encoded))))
    }

    /// The index of the subtask that owns a key.
    ///
    /// # Errors
    /// As [`group_of`](Self::group_of).
    pub(super) fn owner_of(&mut self, key: &str) -> Result<usize> {
        let group = usize::from(self.group_of(key)?.index());
        Ok(self.owners.get(group).map_or(0, |owner| usize::try_from(*owner).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_owner_of_the_key_group() {
        for (groups, parallelism) in [(1, 1), (128, 2), (1000, 7), (5, 5), (32_768, 3)] {
            let groups = MaxParallelism::new(groups).unwrap();
            let mut router = Router::new(groups, parallelism).unwrap();
            for key in ["", "N14228", "ü", "a longer key with blanks", "\u{0}"] {
                let group = router.group_of(key).unwrap();
                let owner = groups.owner_of(group, parallelism).unwrap();
                assert_eq!(router.owner_of(key).unwrap(), owner as usize);
            }
        }
    }

    #[test]
    fn refuses_a_parallelism_of_0_and_one_above_the_number_of_groups() {
        let groups = MaxParallelism::new(4).unwrap();
        assert!(Router::new(groups, 0).is_err());
        assert!(Router::new(groups, 5).is_err());
    }
}
