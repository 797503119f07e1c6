//! Backends by name: what turns `state.backend: memory` into a store.
//!
//! A [`BackendRegistry`] is a value that a runtime fills at start-up; nothing registers itself. Each
//! [`BackendFactory`] has a name, aliases (Flink's names) and its own settings, of which it refuses
//! those it does not know.

use std::fmt::Debug;

use crate::env::OpenEnv;
use crate::settings::Settings;
use crate::store::KeyedStore;
use crate::{Error, Result};

/// Opens stores of one kind.
pub trait BackendFactory: Debug + Send + Sync {
    /// The backend's name, lower-case, as in settings and snapshots.
    fn name(&self) -> &'static str;

    /// Other names under which it is found.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    /// The full setting keys that the backend understands, beyond the common ones.
    fn setting_keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// Opens a store: fresh, restored or rescaled, as `env` says.
    ///
    /// # Errors
    /// `InvalidInput` for settings; `Incompatible`, `Corrupted`, `NotFound`, `Unavailable` where
    /// restoring fails.
    fn open(&self, env: OpenEnv, settings: &Settings) -> Result<Box<dyn KeyedStore>>;
}

/// A backend that is known but was not built in: opening it names the feature that brings it.
#[derive(Clone, Copy, Debug)]
pub struct MissingBackend {
    name: &'static str,
    aliases: &'static [&'static str],
    feature: &'static str,
}

impl MissingBackend {
    /// The backend `name`, which the cargo feature `feature` brings.
    pub const fn new(
        name: &'static str,
        aliases: &'static [&'static str],
        feature: &'static str,
    ) -> Self {
        Self { name, aliases, feature }
    }
}

impl BackendFactory for MissingBackend {
    fn name(&self) -> &'static str {
        self.name
    }

    fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }

    fn open(&self, _: OpenEnv, _: &Settings) -> Result<Box<dyn KeyedStore>> {
        Err(Error::unsupported(format!(
            "the state backend {:?} was not built in; build with --features {}",
            self.name, self.feature
        )))
    }
}

/// A backend without settings of its own, made of a name and a function.
#[derive(Clone, Copy, Debug)]
pub struct OpenBackend {
    name: &'static str,
    open: fn(OpenEnv) -> Result<Box<dyn KeyedStore>>,
}

impl OpenBackend {
    /// The backend `name`, whose stores `open` opens.
    pub const fn new(name: &'static str, open: fn(OpenEnv) -> Result<Box<dyn KeyedStore>>) -> Self {
        Self { name, open }
    }
}

impl BackendFactory for OpenBackend {
    fn name(&self) -> &'static str {
        self.name
    }

    fn open(&self, env: OpenEnv, _: &Settings) -> Result<Box<dyn KeyedStore>> {
        (self.open)(env)
    }
}

/// Backends by name.
///
/// ```
/// use alluvium_state_api::{BackendRegistry, ErrorKind, MissingBackend};
///
/// let registry =
///     BackendRegistry::new().with(MissingBackend::new("rocksdb", &["embedded-rocksdb"], "rocksdb"));
/// assert_eq!(registry.find("rocksdb").unwrap().name(), "rocksdb");
/// assert_eq!(registry.find("tape").unwrap_err().kind(), ErrorKind::InvalidInput);
/// ```
#[derive(Debug, Default)]
pub struct BackendRegistry {
    factories: Vec<Box<dyn BackendFactory>>,
}

impl BackendRegistry {
    /// A registry without backends.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backend. One with the same name replaces the earlier one.
    #[must_use]
    pub fn with(mut self, factory: impl BackendFactory + 'static) -> Self {
        self.factories.retain(|known| known.name() != factory.name());
        self.factories.push(Box::new(factory));
        self
    }

    /// The names of all backends, in the order of registration.
    pub fn names(&self) -> Vec<&'static str> {
        self.factories.iter().map(|factory| factory.name()).collect()
    }

    /// The backend with this name or alias; case does not matter.
    ///
    /// # Errors
    /// `InvalidInput`, listing the backends that there are.
    pub fn find(&self, name: &str) -> Result<&dyn BackendFactory> {
        let matches = |factory: &dyn BackendFactory| {
            let aliases = factory.aliases();
            factory.name().eq_ignore_ascii_case(name)
                || aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
        };
        let found = self.factories.iter().find(|factory| matches(&***factory));
        found.map(|factory| &**factory).ok_or_else(|| {
            Error::invalid_input(format!(
                "unknown state backend {name:?}; choose one of {}",
                self.names().join(", ")
            ))
        })
    }

    /// Opens the backend that the settings name (`state.backend`), after refusing keys that neither it
    /// nor the common settings know.
    ///
    /// # Errors
    /// As [`find`](Self::find) and [`BackendFactory::open`].
    pub fn open(&self, env: OpenEnv, settings: &Settings) -> Result<Box<dyn KeyedStore>> {
        let factory = self.find(settings.backend())?;
        settings.check_known(factory.setting_keys())?;
        factory.open(env, settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, KeyedBackend, MaxParallelism};

    #[derive(Debug)]
    struct Tape;

    impl BackendFactory for Tape {
        fn name(&self) -> &'static str {
            "tape"
        }

        fn setting_keys(&self) -> &'static [&'static str] {
            &["state.backend.tape.metres"]
        }

        fn open(&self, _: OpenEnv, settings: &Settings) -> Result<Box<dyn KeyedStore>> {
            Err(Error::not_found(format!("no tape for {}", settings.backend())))
        }
    }

    fn env() -> OpenEnv {
        let groups = MaxParallelism::new(4).unwrap();
        OpenEnv::new(KeyedBackend::<u64>::key_space(groups, groups.all()).unwrap())
    }

    fn registry() -> BackendRegistry {
        let refuses = OpenBackend::new("refuses", |_| Err(Error::unavailable("not now")));
        BackendRegistry::new()
            .with(MissingBackend::new("disk", &["rocks"], "disk-feature"))
            .with(refuses)
            .with(Tape)
    }

    fn open(pairs: &[(&str, &str)]) -> Error {
        let settings = Settings::from_pairs(pairs.iter().copied()).unwrap();
        registry().open(env(), &settings).err().expect("none of them opens")
    }

    #[test]
    fn backends_are_found_by_name_and_alias_in_any_case() {
        let registry = registry();
        for (name, found) in [("disk", "disk"), ("ROCKS", "disk"), ("Tape", "tape")] {
            assert_eq!(registry.find(name).unwrap().name(), found);
        }
        let unknown = registry.find("drum").unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::InvalidInput);
        for name in registry.names() {
            assert!(unknown.message().contains(name), "the error lists what there is");
        }
    }

    #[test]
    fn a_later_backend_replaces_one_of_the_same_name() {
        let replaced = registry().with(OpenBackend::new("disk", |_| Err(Error::poisoned("new"))));
        assert_eq!(replaced.names(), ["refuses", "tape", "disk"]);
        let settings = Settings::from_pairs([("state.backend", "disk")]).unwrap();
        let opened = replaced.open(env(), &settings).err().expect("it does not open");
        assert_eq!(opened.kind(), ErrorKind::Poisoned);
    }

    #[test]
    fn what_the_factory_answers_comes_back() {
        assert_eq!(open(&[("state.backend", "refuses")]).kind(), ErrorKind::Unavailable);
        let missing = open(&[("state.backend", "rocks")]);
        assert_eq!(missing.kind(), ErrorKind::Unsupported);
        assert!(missing.message().contains("disk-feature"), "it says what to build with");
    }

    #[test]
    fn settings_of_another_backend_are_refused() {
        let metres = ("state.backend.tape.metres", "3");
        assert_eq!(open(&[("state.backend", "tape"), metres]).kind(), ErrorKind::NotFound);
        assert_eq!(open(&[("state.backend", "refuses"), metres]).kind(), ErrorKind::InvalidInput);
    }
}
