//! What becomes of a job's checkpoints when the job ends, under Flink's names.

use crate::{Error, Result};

/// Which completed checkpoints outlive their job. Savepoints always do.
///
/// | | finished | cancelled | failed | suspended |
/// |---|---|---|---|---|
/// | [`NoExternalized`](Self::NoExternalized) | deleted | deleted | deleted | deleted |
/// | [`DeleteOnCancellation`](Self::DeleteOnCancellation) | deleted | deleted | kept | deleted |
/// | [`RetainOnCancellation`](Self::RetainOnCancellation) | deleted | kept | kept | kept |
///
/// ```
/// use alluvium_state_api::settings::Retention;
///
/// # fn main() -> alluvium_state_api::Result<()> {
/// assert_eq!(Retention::from_name("retain-on-cancellation")?, Retention::RetainOnCancellation);
/// assert_eq!(Retention::default().name(), "NO_EXTERNALIZED_CHECKPOINTS");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Retention {
    /// None does, however the job ends.
    #[default]
    NoExternalized,
    /// They do if the job fails.
    DeleteOnCancellation,
    /// They do unless the job finishes.
    RetainOnCancellation,
}

impl Retention {
    const ALL: [Self; 3] =
        [Self::NoExternalized, Self::DeleteOnCancellation, Self::RetainOnCancellation];

    /// The policy of this name, in upper or lower case, with `-` or `_`.
    ///
    /// # Errors
    /// `InvalidInput` for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        let spelled = name.replace('-', "_");
        let found = Self::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(&spelled));
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::invalid_input(format!("{name:?} is no retention of checkpoints: {names} are"))
        })
    }

    /// Flink's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoExternalized => "NO_EXTERNALIZED_CHECKPOINTS",
            Self::DeleteOnCancellation => "DELETE_ON_CANCELLATION",
            Self::RetainOnCancellation => "RETAIN_ON_CANCELLATION",
        }
    }
}
