//! [`MirrorStore`]: two stores that are told the same and must answer the same.
//!
//! Every call of the SPI goes to both stores, the first one before the second, and every answer is
//! compared: values, what visitors and closures are shown, where scans stop, kinds of errors, sizes
//! that limits refuse, summaries and digests of snapshots, and of canonical snapshots every byte. The
//! caller gets the first store's answer. A mirror is an ordinary store, so the conformance kit and the
//! [model](super::model) run on it: whatever sequence they find, both stores are compared on it.
//!
//! ```ignore
//! type Both = Mirror<MemoryHarness, MyHarness>;
//! conformance_suite!(Both, mirror_profile(MEMORY, MINE));
//! model_suite!(Both);
//! ```
//!
//! # Invariants
//! 1. A difference panics, with both answers and the call. It cannot be taken for an error that the
//!    caller expects, nor be ignored.
//! 2. The caller's closures run for the first store only. The second store runs a replay: it is shown
//!    to get the same arguments in the same order, and gets the same replies (`replay`). The one
//!    exception is [`rewrite`](KeyedStore::rewrite), whose order is free: it runs for both, and what it
//!    made of which value is compared as a whole.
//! 3. A full or incremental snapshot holds the files of both stores, marked (`parts`); each store is
//!    restored from its own. A canonical one holds the first store's, and both are restored from it.
//! 4. What can differ between right stores is not compared: bytes of memory, estimates, which of two
//!    tasks is still in flight, and the kind that an incremental snapshot turned out to be.

mod forward;
mod parts;
mod replay;
mod sections;
mod task;

use std::collections::BTreeMap;
use std::fmt;

use super::harness::{Harness, Increments, Profile};
use crate::snapshot::SnapshotKind;
use crate::{KeyedStore, OpenEnv, Result, Slot};

/// The name of the backend.
const NAME: &str = "mirror";

/// Two stores as one; see the module's page.
pub struct MirrorStore<A, B> {
    first: A,
    second: B,
    /// By the first store's slot, which is also the mirror's.
    states: BTreeMap<u32, Mirrored>,
}

/// A state that both stores know.
#[derive(Debug)]
struct Mirrored {
    name: Box<str>,
    second: Slot,
}

impl<A: KeyedStore, B: KeyedStore> MirrorStore<A, B> {
    /// Opens both stores with what is theirs of `env`: their own files of a mirror's snapshot, or all
    /// of anybody else's; a directory of their own below the local one.
    ///
    /// # Errors
    /// Those of the first store, then those of the second.
    ///
    /// # Panics
    /// If the stores report different key spaces or states, or no directory can be made.
    pub fn open(
        env: &OpenEnv,
        first: impl FnOnce(OpenEnv) -> Result<A>,
        second: impl FnOnce(OpenEnv) -> Result<B>,
    ) -> Result<Self> {
        let first = first(parts::env_of(env, parts::FIRST))?;
        let second = second(parts::env_of(env, parts::SECOND))?;
        let spaces = [first.key_space(), second.key_space()];
        let shown = spaces.map(|space| (space.identity(), space.groups(), space.range()));
        assert_eq!(shown[0], shown[1], "the key spaces of the two stores");
        assert_eq!(first.states(), second.states(), "the restored states of the two stores");
        Ok(Self { first, second, states: BTreeMap::new() })
    }

    /// The two stores.
    pub fn stores(&self) -> (&A, &B) {
        (&self.first, &self.second)
    }
}

impl<A: KeyedStore, B: KeyedStore> fmt::Debug for MirrorStore<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorStore")
            .field("first", &self.first.backend_name())
            .field("second", &self.second.backend_name())
            .finish_non_exhaustive()
    }
}

/// The harness of a mirror over the stores of two harnesses.
#[derive(Debug, Default)]
pub struct Mirror<A, B>(A, B);

/// What a mirror over stores with these profiles is.
pub const fn mirror_profile(first: Profile, second: Profile) -> Profile {
    let native =
        matches!((first.increments, second.increments), (Increments::Native, Increments::Native));
    Profile {
        name: NAME,
        increments: if native { Increments::Native } else { Increments::WrittenAsFull },
        exact_counts: first.exact_counts && second.exact_counts,
        digests: first.digests || second.digests,
        local_directory: first.local_directory || second.local_directory,
        buffer_bytes: first.buffer_bytes + second.buffer_bytes,
    }
}

impl<A: Harness, B: Harness> Harness for Mirror<A, B> {
    type Store = MirrorStore<A::Store, B::Store>;

    fn profile(&self) -> Profile {
        mirror_profile(self.0.profile(), self.1.profile())
    }

    fn open(&self, env: OpenEnv) -> Result<Self::Store> {
        MirrorStore::open(&env, |env| self.0.open(env), |env| self.1.open(env))
    }

    fn asked(&self, kind: SnapshotKind) -> SnapshotKind {
        self.1.asked(self.0.asked(kind))
    }
}
