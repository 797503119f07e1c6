//! Workloads: what operators of a stream processor ask of their state, as sequences of accesses.
//!
//! # Role
//! A [`Workload`] is a sequence of [`Access`]es, determined by a seed and independent of any backend. It is
//! played on a backend by a [`Player`], on a peer by [`crate::peers::Bytes`] or [`Maps`], and by [`Plain`] on maps of
//! the standard library; all fold what they read into a digest, and the digests must agree, so that nobody is fast by
//! being wrong. What a sequence costs is measured around the player, with the accesses made beforehand.
//!
//! * [`access`]: what an access is;
//! * [`draw`]: which keys are accessed how often;
//! * [`states`]: single operations of each kind of state, as Apache Flink's state benchmarks have them,
//!   and sweeps over sizes of keys and values;
//! * [`windows`], [`joins`]: the operators that Gadget models, over events of [`stream`];
//! * [`nexmark`]: the queries of Nexmark that keep state;
//! * [`maps`], [`player`]: who plays them;
//! * [`trace`]: sequences in a file, to be brought along or taken away.
//!
//! # Sources
//! Flink: `StateBenchmarkBase` and its benchmarks for value, list and map state in
//! `apache/flink-benchmarks`. Gadget: "A Workload Generation Framework for Streaming State Stores", `EuroSys`
//! 2022: eleven operators, each a driver of state accesses over events with times. Nexmark: the queries of
//! `nexmark/nexmark`, over the events of the crate `nexmark`.

pub mod access;
pub mod draw;
pub mod joins;
pub mod maps;
pub mod nexmark;
pub mod player;
pub mod states;
pub mod stream;
pub mod trace;
pub mod windows;

pub use access::{Access, Blob, Operation};
pub use maps::{Maps, Plain};
pub use player::Player;

use alluvium_state_api::Result;

use crate::Outcome;
use draw::Draw;

/// Something that does accesses and can tell what it read.
pub trait Target {
    /// Does `access`, and adds what it reads to the digest.
    ///
    /// # Errors
    /// Where the backend fails.
    fn apply(&mut self, access: &Access) -> Result<()>;

    /// The digest of everything read so far, in this order.
    fn digest(&self) -> u64;

    /// Forgets what was read so far: the digest is that of nothing.
    fn restart(&mut self);
}

/// A sequence of accesses, made as it is asked for.
pub type Accesses = Box<dyn Iterator<Item = Access> + Send>;

/// What is played: first what fills the state, unmeasured, and then what is measured.
pub struct Workload {
    name: &'static str,
    fill: fn(&Shape) -> Accesses,
    run: fn(&Shape, Draw) -> Accesses,
}

impl Workload {
    /// Its name: `list.append`, `tumbling.holistic`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The accesses that fill the state; they end.
    pub fn fill(&self, shape: &Shape) -> Accesses {
        (self.fill)(shape)
    }

    /// The accesses that are measured; they do not end.
    ///
    /// # Errors
    /// Where the shape has no keys, or a pattern that there is not.
    pub fn run(&self, shape: &Shape) -> Outcome<Accesses> {
        Ok((self.run)(shape, shape.draw.draw(shape.keys, shape.seed)?))
    }
}

/// The size and the form of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// How many keys there are.
    pub keys: u64,
    /// Bytes of a value, and of an element of a list.
    pub value_bytes: u32,
    /// Which keys are accessed how often.
    pub draw: draw::Pattern,
    /// Events per second of the stream's own time, where there are events: how many a window has.
    pub rate: u64,
    /// Determines everything that is random.
    pub seed: u64,
}

impl Default for Shape {
    /// A million keys, evenly accessed, with values of 8 bytes and an event a second for each key.
    fn default() -> Self {
        let keys = 1_000_000;
        Self { keys, value_bytes: 8, draw: draw::Pattern::Uniform, rate: keys, seed: 1 }
    }
}

/// All workloads.
pub fn all() -> Vec<Workload> {
    [states::all(), windows::all(), joins::all(), nexmark::all()].into_iter().flatten().collect()
}

/// Nothing is there before.
fn empty(_: &Shape) -> Accesses {
    Box::new(std::iter::empty())
}

impl std::fmt::Debug for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workload").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
