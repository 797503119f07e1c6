//! Power cuts of a real file system, which `scripts/power-cuts` provides.
//!
//! A script runs until its N-th operation; from then on nothing of it reaches the file system, which
//! is shut down without its journal being flushed, unmounted, mounted again (which replays the
//! journal) and examined as in memory. Whatever the kernel happened to write by itself until then may
//! be there as well.
//!
//! | variable | meaning |
//! |---|---|
//! | `ALLUVIUM_POWER_DEVICE` | a block device with a file system of its own |
//! | `ALLUVIUM_POWER_MOUNT` | an empty directory to mount it at |
//! | `ALLUVIUM_POWER_CUTS` | how many cuts, spread over all operations of all scripts |
//! | `ALLUVIUM_SEED` | repeats a run |
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use alluvium::random::{OsRandomness, Randomness};
use alluvium::testkit::faults::{
    Budget, Checker, Place, SCRIPTS, Script, Wrap, goes_on, live_until, operations,
};
use alluvium::testkit::omit::{Omission, OmittingFs};
use alluvium::vfs::RealFs;

use crate::Memory;
use crate::coordinated::Coordinated;
use crate::shutdown::cut_power;

/// A device, mounted while this lives.
struct Device {
    block: PathBuf,
    mount: PathBuf,
    mounted: bool,
}

impl Device {
    fn from_env() -> Self {
        let path = |name| {
            let value = env::var_os(name);
            PathBuf::from(
                value.unwrap_or_else(|| panic!("{name} is not set: run scripts/power-cuts")),
            )
        };
        let (block, mount) = (path("ALLUVIUM_POWER_DEVICE"), path("ALLUVIUM_POWER_MOUNT"));
        let mut device = Self { block, mount, mounted: false };
        device.mount();
        device
    }

    fn mount(&mut self) {
        run(Command::new("mount").arg(&self.block).arg(&self.mount));
        self.mounted = true;
    }

    fn unmount(&mut self) {
        self.mounted = false;
        run(Command::new("umount").arg(&self.mount));
    }

    /// A new directory that survives every power cut.
    fn place(&self, name: &str, seed: u64) -> Place {
        let root = self.mount.join(name);
        fs::create_dir(&root).unwrap();
        rustix::fs::syncfs(File::open(&self.mount).unwrap()).unwrap();
        Place { fs: Arc::new(RealFs), root, seed }
    }

    /// One cut; what is wrong with what is left.
    fn cut(
        &mut self,
        point: &Point,
        seed: u64,
        wrap: Wrap<'_>,
        checker: &mut Checker,
    ) -> Result<(), String> {
        let Point { number, script, name } = point;
        let place = self.place(name, seed);
        let ledger = live_until::<Memory, Coordinated>(&place, script, *number, wrap);
        cut_power(&self.mount).unwrap();
        self.unmount();
        self.mount();
        let rest = place.on(Arc::new(RealFs));
        checker.check::<Memory, Coordinated>(&rest, &ledger)?;
        goes_on::<Memory, Coordinated>(&rest)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.mounted {
            self.unmount();
        }
    }
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{command:?}: {status:?}"
    );
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

struct Point {
    script: &'static Script,
    number: u64,
    name: String,
}

/// All operations of all scripts, thinned to about `cuts`.
fn points(device: &Device, label: &str, cuts: u64, seed: u64) -> Vec<Point> {
    let mut all = Vec::new();
    for script in &SCRIPTS {
        let place = device.place(&format!("{label}-{}", script.name), seed);
        let count = operations::<Memory, Coordinated>(&place, script, &|fs| fs).unwrap();
        all.extend((1..=count + 1).map(|number| (script, number)));
    }
    let stride = (all.len() as u64 / cuts.max(1)).max(1);
    let taken = Budget { stride, crash_states: 1, seed }.points(all.len() as u64);
    let point = |index: u64| {
        let (script, number) = all[usize::try_from(index - 1).unwrap()];
        Point { script, number, name: format!("{label}-{}-{number}", script.name) }
    };
    taken.map(point).collect()
}

#[test]
#[ignore = "needs root and a device: run scripts/power-cuts"]
#[expect(clippy::print_stderr, reason = "counts and seed must be in the test's output")]
fn real_power_cuts() {
    let mut device = Device::from_env();
    let cuts = number("ALLUVIUM_POWER_CUTS").unwrap_or(200);
    let seed = number("ALLUVIUM_SEED").unwrap_or_else(|| OsRandomness.next_u64());
    let points = points(&device, "cut", cuts, seed);
    let (mut checker, mut bad) = (Checker::default(), Vec::new());
    for point in &points {
        if let Err(problem) = device.cut(point, seed, &|fs| fs, &mut checker) {
            bad.push(format!("{} cut at {}: {problem}", point.script.name, point.number));
        }
    }
    eprintln!(
        "power-cuts: points={} faults={} skipped=0 restores={} bad={} seed={seed}",
        points.len(),
        points.len(),
        checker.restores,
        bad.len()
    );
    assert!(bad.is_empty(), "ALLUVIUM_SEED={seed}: {}", bad.join("\n"));
    assert!(points.len() as u64 >= cuts.min(100), "only {} points", points.len());
}

#[test]
#[ignore = "needs root and a device: run scripts/power-cuts"]
#[expect(clippy::print_stderr, reason = "counts and seed must be in the test's output")]
fn real_power_cuts_without_syncs_are_caught() {
    let mut device = Device::from_env();
    for omission in [Omission::SyncFile, Omission::SyncDirectory] {
        let label = format!("canary-{omission:?}");
        let points = points(&device, &label, 60, 3);
        let wrap: Wrap<'_> = &|fs| Arc::new(OmittingFs::new(fs, omission));
        let mut tried = 0;
        let caught = points.iter().find_map(|point| {
            tried += 1;
            device.cut(point, 3, wrap, &mut Checker::default()).err()
        });
        let problem = caught.unwrap_or_else(|| panic!("{omission:?}: {tried} cuts, none bad"));
        eprintln!("power-cuts canary: without {omission:?} caught after {tried} cuts: {problem}");
    }
}
