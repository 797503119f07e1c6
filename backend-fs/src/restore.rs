//! Opens a store: fresh, restored or rescaled.
//!
//! # How
//! Files with lookups become segments as they are: by a second name, of which nothing is read but header,
//! index and footer; where they are somewhere else, what is wanted of them is copied. Files without, which
//! other backends wrote, are converted. Each counts for the key groups that the store owns and for which it
//! is live. Where there are many, several threads take them in: the calls of the system, or a copy from somewhere else,
//! are most of what it costs.
//!
//! # Invariants
//! O1. Files are begun in their order, and none after one has failed. So the error that is returned is that of the
//!     first file that has one, and what was taken in before goes away with its segments.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use alluvium_state_api::format::{FileForm, StateFile, StateFileSpec};
use alluvium_state_api::schema::StateMeta;
use alluvium_state_api::snapshot::{CancelToken, FileLocation, SnapshotFile, helpers};
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

/// Files for each thread that takes some in.
const FILES_PER_THREAD: usize = 8;

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
        let taker = Taker { workshop: &workshop, directory: &directory };
        let Restored { segments: all, uploads } =
            taker.take_all(&wanted_of(&env.restore, &plan))?;
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

/// A file that is wanted, of which part, and what counts of it.
struct Wanted<'a> {
    part: &'a RestorePart,
    file: &'a SnapshotFile,
    live: Vec<KeyGroupRange>,
}

/// The files of all parts of which something is wanted, oldest first in each part.
fn wanted_of<'a>(parts: &'a [RestorePart], plan: &[KeyGroupRange]) -> Vec<Wanted<'a>> {
    let of_part = |(part, range): (&'a RestorePart, &KeyGroupRange)| {
        let range = *range;
        let files = if range.is_empty() { &[][..] } else { &part.snapshot.files };
        files.iter().map(move |file| Wanted { part, file, live: file.live_within(range) })
    };
    let all = parts.iter().zip(plan).flat_map(of_part);
    all.filter(|wanted| !wanted.live.is_empty()).collect()
}

/// What was restored.
#[derive(Default)]
struct Restored {
    segments: Vec<Arc<Member>>,
    uploads: Uploads,
}

/// A file that was taken in.
struct Taken {
    segment: Arc<Member>,
    /// Whether it is the file itself, and not what was made of one without lookups.
    is_as_it_was: bool,
}

/// Takes in files.
struct Taker<'a> {
    workshop: &'a Workshop,
    directory: &'a StateDirectory,
}

impl Taker<'_> {
    /// Takes in all files (O1), several at a time where there are many.
    fn take_all(&self, wanted: &[Wanted<'_>]) -> Result<Restored> {
        let taken: Vec<OnceLock<Result<Taken>>> = wanted.iter().map(|_| OnceLock::new()).collect();
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let take_some = || {
            while !failed.load(Ordering::Relaxed)
                && let at = next.fetch_add(1, Ordering::Relaxed)
                && let (Some(wanted), Some(place)) = (wanted.get(at), taken.get(at))
            {
                let member = self.take(wanted);
                failed.fetch_or(member.is_err(), Ordering::Relaxed);
                let _first = place.set(member);
            }
        };
        let threads = helpers::most_threads(wanted.len() / FILES_PER_THREAD);
        thread::scope(|scope| {
            for _ in 1..threads {
                drop(helpers::spawn(scope, 0, take_some));
            }
            take_some();
        });
        let mut restored = Restored::default();
        for (wanted, taken) in wanted.iter().zip(taken) {
            // Only behind one that failed (O1).
            let Some(member) = taken.into_inner() else { continue };
            let member = member?;
            let shared = !matches!(wanted.file.stored.location, FileLocation::Own(_));
            if shared && member.is_as_it_was {
                restored.uploads.insert(member.segment.id(), wanted.file.clone());
            }
            restored.segments.push(member.segment);
        }
        Ok(restored)
    }

    fn take(&self, Wanted { part, file, live }: &Wanted<'_>) -> Result<Taken> {
        let linked = self.workshop.link(file, &*part.source)?;
        let (linked, reader) = linked.unzip();
        let opened = open_state_file_through(part, file, || match reader {
            Some(reader) => Ok(reader),
            None => part.source.open(file),
        })?;
        for meta in &opened.spec().states {
            self.check(meta)?;
        }
        let is_as_it_was = has_lookups(&opened);
        let segment = if is_as_it_was {
            self.workshop.adopt(file, opened, linked, live.clone())?
        } else {
            self.convert(&opened, live.clone())?
        };
        Ok(Taken { segment, is_as_it_was })
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
