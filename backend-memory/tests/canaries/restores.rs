//! Flaws of opening a store.

use alluvium_backend_memory::MemoryStore;
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::{KeyGroupRange, KeyedStore, OpenEnv, Registration, Result};

use super::flaw::Flaw;

/// A store that takes over a part of a snapshot leaves out the first of its key groups.
#[derive(Debug, Default)]
pub(crate) struct ClipsOneGroupMore;

impl Flaw for ClipsOneGroupMore {
    fn opening(&mut self, mut env: OpenEnv) -> OpenEnv {
        let range = env.key_space.range();
        for part in &mut env.restore {
            if range.covers(part.snapshot.range) {
                continue;
            }
            let start = part.snapshot.range.intersection(range).start();
            for file in &mut part.snapshot.files {
                let clipped = |live: &KeyGroupRange| {
                    let from = live.start().max(start.saturating_add(1));
                    KeyGroupRange::new(from, live.end().max(from))
                        .ok()
                        .filter(|live| !live.is_empty())
                };
                file.live = file.live.iter().filter_map(clipped).collect();
            }
        }
        env
    }
}

/// The newest file of a chain is not read.
#[derive(Debug, Default)]
pub(crate) struct LosesNewestFile;

impl Flaw for LosesNewestFile {
    fn opening(&mut self, mut env: OpenEnv) -> OpenEnv {
        for part in env.restore.iter_mut().filter(|part| part.snapshot.files.len() > 1) {
            part.snapshot.files.pop();
        }
        env
    }
}

/// The files of somebody else's snapshot become the base of increments.
#[derive(Debug, Default)]
pub(crate) struct ClaimsForeignFiles;

impl Flaw for ClaimsForeignFiles {
    fn opening(&mut self, mut env: OpenEnv) -> OpenEnv {
        for part in &mut env.restore {
            part.base = part.base.or(Some(alluvium_state_api::CheckpointId::new(1)));
        }
        env
    }
}

/// Values of an older schema are taken for values of the present one.
#[derive(Debug, Default)]
pub(crate) struct ForgetsSchema;

impl Flaw for ForgetsSchema {
    fn register(&mut self, store: &mut MemoryStore, meta: &StateMeta) -> Result<Registration> {
        Ok(Registration { restored: None, ..store.register(meta)? })
    }
}
