//! `alluvium run`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alluvium_checkpoint::StorageEnv;
use alluvium_state_api::clock::SystemClock;
use alluvium_state_api::settings::{Settings, keys};
use alluvium_state_api::{BackendRegistry, KeyedBackend, MaxParallelism, OpenEnv};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::args::RunArgs;
use super::failure::{Failure, chain};
use super::print;
use super::progress::Shown;
use super::report::render;
use crate::job::{Job, JobError, Mode, Report, Spec};
use crate::source::{ColumnRequest, Input, Source};

/// Subtasks until the rescale, where nothing is asked for.
const DEFAULT_PARALLELISM: u32 = 2;

/// The exit statuses of a run that a signal ended: 128 and its number.
const SIGINT_STATUS: usize = 130;
const SIGTERM_STATUS: usize = 143;

/// Runs the job and prints what it found.
///
/// # Errors
/// Why it could not be run, or that something did not verify.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let registry = Arc::new(crate::registry());
    let temporary = Temporary::new()?;
    let spec = spec(args, &registry, &temporary)?;
    probe(&registry, &spec, &temporary)?;
    let source = open_source(args)?;
    let signals = Signals::listen()?;
    let shown = Shown::new();
    let job = Job {
        source: &source,
        spec: &spec,
        registry: &registry,
        work_dir: &temporary.path().join("work"),
        clock: Arc::new(SystemClock::new()),
        storage: StorageEnv::default(),
        observer: &shown,
        stop: &signals.stop,
    };
    let outcome = job.run();
    shown.finish();
    let mut report = outcome.map_err(|error| match error {
        JobError::Interrupted => Failure::from(error).with_status(signals.status()),
        error => error.into(),
    })?;
    if temporary.holds(&spec.settings) {
        report.checkpoint_dir = None;
    }
    print(&report, args.json)?;
    if report.is_right() { Ok(()) } else { Err(Failure::reported()) }
}

/// What Ctrl-C and a request to terminate set.
#[derive(Debug)]
struct Signals {
    stop: Arc<AtomicBool>,
    /// The number of the signal.
    number: Arc<AtomicUsize>,
}

impl Signals {
    /// Listens; the second signal ends the process. To be called when the input is open: opening it may
    /// wait, and does not look at the flag.
    fn listen() -> Result<Self, Failure> {
        let signals = Self { stop: Arc::default(), number: Arc::default() };
        let (stop, number) = (&signals.stop, &signals.number);
        for (signal, value) in [(SIGINT, SIGINT_STATUS), (SIGTERM, SIGTERM_STATUS)] {
            flag::register_conditional_default(signal, Arc::clone(stop))
                .and_then(|_| flag::register_usize(signal, Arc::clone(number), value))
                .and_then(|_| flag::register(signal, Arc::clone(stop)))
                .map_err(|error| {
                    Failure::run(format!("signals cannot be handled: {}", chain(&error)))
                })?;
        }
        Ok(signals)
    }

    /// The exit status that tells which one it was.
    fn status(&self) -> u8 {
        u8::try_from(self.number.load(Ordering::Relaxed)).unwrap_or(u8::MAX)
    }
}

fn open_source(args: &RunArgs) -> Result<Source, Failure> {
    let input = match (&args.input, args.nexmark) {
        (Some(path), _) => Input::from_arg(path),
        (None, Some(events)) => Input::Nexmark(events),
        (None, None) => Input::Flights,
    };
    let columns = ColumnRequest {
        key: args.key.clone(),
        measure: args.measure.clone(),
        category: args.category.clone(),
    };
    Source::open(&input, &columns).map_err(|error| JobError::from(error).into())
}

/// The directory for working files, and for checkpoints where no other is named. Removed at the end.
#[derive(Debug)]
struct Temporary(tempfile::TempDir);

impl Temporary {
    fn new() -> Result<Self, Failure> {
        let made = tempfile::Builder::new().prefix("alluvium-run-").tempdir();
        made.map(Self).map_err(|error| {
            Failure::run(format!(
                "no temporary directory can be made in {}: {}; free space there, or set TMPDIR",
                std::env::temp_dir().display(),
                chain(&error)
            ))
        })
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn checkpoints(&self) -> String {
        self.path().join("checkpoints").display().to_string()
    }

    /// Whether checkpoints go there.
    fn holds(&self, settings: &Settings) -> bool {
        settings.checkpoint_dir() == Some(&*self.checkpoints())
    }
}

/// Everything that was asked for, checked.
fn spec(args: &RunArgs, registry: &BackendRegistry, temp: &Temporary) -> Result<Spec, Failure> {
    let mut settings = Settings::from_assignments(&args.settings).map_err(|e| refused(&e))?;
    let mut set = |key: &str, value: &str| settings.set(key, value).map_err(|e| refused(&e));
    if let Some(backend) = &args.backend {
        set(keys::BACKEND, backend)?;
    }
    if let Some(directory) = &args.checkpoint_dir {
        let text = directory.to_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| {
            Failure::usage("--checkpoint-dir must be a path in UTF-8 that is not empty")
        })?;
        set(keys::CHECKPOINT_DIR, text)?;
    }
    let factory = registry.find(settings.backend()).map_err(|e| refused(&e))?;
    let known = settings.check_known(factory.setting_keys());
    known.map_err(|e| refused(&e))?;
    if settings.checkpoint_interval().is_some() {
        return Err(Failure::usage(format!(
            "setting {} is not used here: `run` takes a checkpoint every so many records; use \
             --checkpoint-every",
            keys::INTERVAL
        )));
    }
    if settings.checkpoint_dir().is_none() {
        let directory = temp.checkpoints();
        settings.set(keys::CHECKPOINT_DIR, &directory).map_err(|e| refused(&e))?;
    }
    let resumes = settings.checkpoint_dir() != Some(&*temp.checkpoints())
        && settings.checkpoint_dir() != Some("memory://");
    let (parallelism, rescale_to, max_parallelism) = parallelism(args, &settings)?;
    Ok(Spec {
        mode: mode(args, &settings)?,
        parallelism,
        rescale_to,
        max_parallelism,
        checkpoint_every: args.checkpoint_every,
        crash_at: args.crash_at,
        resumes,
        settings,
    })
}

/// How many subtasks before and after, and how many key groups.
fn parallelism(args: &RunArgs, settings: &Settings) -> Result<(u32, u32, MaxParallelism), Failure> {
    let set = settings.get(keys::PARALLELISM).map(|_| settings.parallelism());
    let from = args.parallelism.or(set).unwrap_or(DEFAULT_PARALLELISM);
    let asked = match args.max_parallelism {
        Some(groups) => Some(MaxParallelism::new(groups).ok().ok_or_else(|| {
            Failure::usage(format!(
                "--max-parallelism {groups} must lie between 1 and {}",
                MaxParallelism::LIMIT
            ))
        })?),
        None => settings.max_parallelism(),
    };
    let most = asked.map_or(u32::from(MaxParallelism::LIMIT), |groups| u32::from(groups.get()));
    let to = args.rescale_to.unwrap_or_else(|| from.saturating_add(1).min(most));
    for (flag, value) in [("--parallelism", from), ("--rescale-to", to)] {
        if value == 0 || value > most {
            return Err(Failure::usage(format!(
                "{flag} {value} must lie between 1 and the maximum parallelism, which is {most}"
            )));
        }
    }
    let groups = match asked {
        Some(groups) => groups,
        None => MaxParallelism::default_for(from.max(to)).map_err(|e| refused(&e))?,
    };
    Ok((from, to, groups))
}

/// How checkpoints are taken: as the flag says, else as the setting does.
fn mode(args: &RunArgs, settings: &Settings) -> Result<Mode, Failure> {
    let set = settings.get(keys::INCREMENTAL).map(|_| settings.incremental());
    match (args.mode.map(Mode::from), set) {
        (None, None | Some(true)) => Ok(Mode::Incremental),
        (None, Some(false)) => Ok(Mode::Async),
        (Some(mode), set) if set.is_none_or(|set| set == (mode == Mode::Incremental)) => Ok(mode),
        (Some(mode), _) => Err(Failure::usage(format!(
            "--mode {} contradicts setting {}; keep one of them",
            mode.name(),
            keys::INCREMENTAL
        ))),
    }
}

/// Opens a store and closes it again: a backend that is not built in, or that refuses its settings,
/// is told before the input is read.
fn probe(registry: &BackendRegistry, spec: &Spec, temp: &Temporary) -> Result<(), Failure> {
    let groups = spec.max_parallelism;
    let space = KeyedBackend::<String>::key_space(groups, groups.all()).map_err(|e| refused(&e))?;
    let env = OpenEnv::new(space).with_local_dir(temp.path().join("probe"));
    registry.open(env, &spec.settings).map(drop).map_err(|e| refused(&e))
}

fn refused(error: &alluvium_state_api::Error) -> Failure {
    Failure::from_request(error)
}

fn print(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        let line = serde_json::to_string(report)
            .map_err(|error| Failure::run(format!("the report cannot be written: {error}")))?;
        return print::text(&format!("{line}\n"));
    }
    print::text(&render(report))
}
