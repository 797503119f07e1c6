//! Opens a store: fresh, restored or rescaled.
//!
//! # How
//! Files with lookups become segments as they are: by a second name, of which nothing is read but header,
//! index and footer; where they are somewhere else, what is wanted of them is copied. Files without, which
//! other backends wrote, are converted. Each counts for the key groups that the store owns and for which it
//! is live.

use std::sync::Arc;

use alluvium_state_api::format::{FileForm, StateFile, StateFileSpec};
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::snapshot::{CancelToken, FileLocation};
use alluvium_state_api::{
    CheckpointId, Error, KeyGroupRange, OpenEnv, RestorePart, Result, StateDirectory,
    StateOperation, open_state_file_through,
};

use crate::background::Background;
use crate::build::convert::{Input, convert};
use crate::build::gather::Role;
use crate::chain::{Base, Chain, Uploads};
use crate::layer::Layer;
use crate::local::LocalDirectory;
use crate::member::Member;
use crate::ops::values::Habit;
use crate::options::FsOptions;
use crate::read_cache::ReadCache;
use crate::segment::BlockCache;
use crate::segments::Segments;
use crate::store::FsStore;
use crate::workshop::Workshop;

impl FsStore {
    /// Opens a store with default options: see [`open_with`](Self::open_with).
    ///
    /// # Errors
    /// As there.
    pub fn open(env: OpenEnv) -> Result<Self> {
        Self::open_with(env, FsOptions::default())
    }

    /// Opens a store for the key groups that `env` names, with what it says to restore, in
    /// [`OpenEnv::local_dir`]: a private directory, whose content is removed.
    ///
    /// # Errors
    /// `InvalidInput` without a local directory, for options out of bounds, and where another store has
    /// the directory; `Incompatible` where parts do not fit the key space or each other; `Corrupted`,
    /// `NotFound`, `Unavailable` where files cannot be read.
    pub fn open_with(env: OpenEnv, options: FsOptions) -> Result<Self> {
        options.validate()?;
        let plan = env.restore_plan()?;
        let local_dir = env.local_dir.as_ref().ok_or_else(|| {
            Error::invalid_input(
                "the backend fs needs a private local directory; give OpenEnv one (with_local_dir)",
            )
        })?;
        let (fs, randomness) = (Arc::clone(&env.file_system), Arc::clone(&env.randomness));
        let local = LocalDirectory::open(fs, local_dir, randomness)?;
        let workshop = Workshop::new(local, options.read_mode);
        let range = env.key_space.range();
        let mut directory = StateDirectory::default();
        for part in &env.restore {
            for summary in &part.snapshot.states {
                directory.adopt(&summary.meta)?;
            }
        }
        let mut restored = Restored {
            workshop: &workshop,
            directory: &directory,
            segments: Vec::new(),
            uploads: Uploads::new(),
        };
        for (part, range) in env.restore.iter().zip(&plan) {
            if !range.is_empty() {
                restored.part(part, *range)?;
            }
        }
        let Restored { segments: all, uploads, .. } = restored;
        let mut segments = Segments::new(range);
        for (slot, meta) in directory.by_name() {
            segments.add_state(slot, meta);
        }
        let has_below = !all.is_empty();
        let cache_bytes = usize::try_from(options.block_cache_bytes).unwrap_or(usize::MAX);
        segments.set(all);
        let mut chain = Chain::default();
        if let Some(checkpoint) = common_base(&env.restore, &plan) {
            chain.restored(Base { checkpoint, uploads });
        }
        let mut store = Self {
            layer: Layer::new(&env)?,
            sealed: None,
            segments,
            reads: ReadCache::new(options.read_cache_bytes),
            cache: BlockCache::new(cache_bytes),
            pieces: Vec::new(),
            workshop,
            chain,
            background: Background::default(),
            has_below,
            batches: Habit::default(),
            countdown: 0,
            directory,
            options,
            env: OpenEnv { restore: Vec::new(), ..env },
        };
        store.read_ahead()?;
        store.merge_once_settled()?;
        Ok(store)
    }
}

/// The checkpoint of this job that all parts belong to, if there is one.
fn common_base(parts: &[RestorePart], plan: &[KeyGroupRange]) -> Option<CheckpointId> {
    let used = parts.iter().zip(plan).filter(|(_, range)| !range.is_empty());
    let mut bases: Vec<Option<CheckpointId>> = used.map(|(part, _)| part.base).collect();
    bases.dedup();
    match bases.as_slice() {
        [Some(checkpoint)] => Some(*checkpoint),
        _ => None,
    }
}

/// Whether a file can be a segment as it is.
fn has_lookups(file: &StateFile) -> bool {
    file.sections().iter().all(|section| file.lookups(section).is_some())
}

/// What was restored so far.
struct Restored<'a> {
    workshop: &'a Workshop,
    directory: &'a StateDirectory,
    segments: Vec<Arc<Member>>,
    uploads: Uploads,
}

impl Restored<'_> {
    fn part(&mut self, part: &RestorePart, range: KeyGroupRange) -> Result<()> {
        for file in &part.snapshot.files {
            let live = file.live_within(range);
            if live.is_empty() {
                continue;
            }
            let linked = self.workshop.link(file, &*part.source)?;
            let (linked, reader) = linked.unzip();
            let opened = open_state_file_through(part, file, || match reader {
                Some(reader) => Ok(reader),
                None => part.source.open(file),
            })?;
            for meta in &opened.spec().states {
                self.check(meta)?;
            }
            let with_lookups = has_lookups(&opened);
            let segment = if with_lookups {
                self.workshop.adopt(file, opened, linked, live)?
            } else {
                self.convert(&opened, live)?
            };
            let shared = !matches!(file.stored.location, FileLocation::Own(_));
            if shared && with_lookups {
                self.uploads.insert(segment.id(), file.clone());
            }
            self.segments.push(segment);
        }
        Ok(())
    }

    /// The values of a state may have been written under an older schema that the newest one took over
    /// as it is, but not with another width.
    fn check(&self, meta: &StateMeta) -> Result<()> {
        let slot = self.directory.find(&meta.name).ok_or_else(|| {
            Error::corrupted("a file has a state that its snapshot does not list")
                .with_state(meta.name.clone())
        })?;
        let known = self.directory.check(slot, StateOperation::Any)?;
        known.check_against(meta)?;
        if known.value.width != meta.value.width {
            let text = format!("its values are {} in a file and {} now", meta.value, known.value);
            return Err(Error::incompatible(text).with_state(meta.name.clone()));
        }
        Ok(())
    }

    /// Writes a segment of a file without lookups.
    fn convert(&self, file: &StateFile, live: Vec<KeyGroupRange>) -> Result<Arc<Member>> {
        let form = match file.spec().form {
            FileForm::Increment => FileForm::Increment,
            _ => FileForm::Full,
        };
        let spec = StateFileSpec { form, ..file.spec().clone() };
        let range = spec.range;
        let (local, to) = self.workshop.begin()?;
        let inputs = [Input { file, role: Role::Plain }];
        let written = convert(&inputs, &live, spec, to, &CancelToken::default())?;
        self.workshop.segment(local, written, range, live)
    }
}
