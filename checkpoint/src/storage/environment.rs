//! Variables of the environment and the files that they name, injected: they hold credentials, and tests
//! must not change those of the process.
//!
//! These files are the user's, not state, and may be symbolic links, which the file systems of state
//! refuse.

use std::collections::BTreeMap;
use std::fmt;
#[cfg(feature = "s3")]
use std::io::{self, Read};
use std::sync::Arc;

/// Variables of the environment, and the files that hold profiles. `Default` is the process's. `Debug`
/// shows no value.
#[derive(Clone, Default)]
pub struct Environment(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    Process,
    Given(Arc<Given>),
}

#[derive(Clone, Default)]
struct Given {
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Environment {
    /// These variables and no others, and no files.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        let given = Given { variables: pairs.collect(), files: BTreeMap::new() };
        Self(Source::Given(Arc::new(given)))
    }

    /// The same variables, if they were given, with a file of a profile.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        if let Source::Given(given) = &mut self.0 {
            Arc::make_mut(given).files.insert(path.into(), bytes.into());
        }
        self
    }

    /// The value of `name`; one that is empty or no text is none.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            Source::Process => std::env::var(name).ok(),
            Source::Given(given) => given.variables.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// Up to `most` bytes of a file; `None` if there is none.
    #[cfg(feature = "s3")]
    pub(super) fn file(&self, path: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Source::Given(given) = &self.0 else {
            let mut bytes = Vec::new();
            return match std::fs::File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
                Ok(file) => file.take(most).read_to_end(&mut bytes).map(|_length| Some(bytes)),
            };
        };
        Ok(given.files.get(path).cloned())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Source::Process => "Environment(process)",
            Source::Given(_) => "Environment(given)",
        })
    }
}
