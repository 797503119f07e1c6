//! What playing a workload on a backend has shown.

use std::fmt;

use super::Memory;
use super::latency::Latencies;
use super::timeline::Timeline;
use crate::float;
use crate::workload::Shape;

/// One snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// `full` or `incremental`.
    pub kind: &'static str,
    /// What it was.
    pub taken: Taken,
    /// Of an increment, which part of the keys had changed since the snapshot before it.
    pub churn: Option<f64>,
    /// Latencies of accesses from its beginning on, its synchronous phase included.
    pub latencies: Latencies,
}

/// What a snapshot was.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Milliseconds of the synchronous phase.
    pub sync_ms: f64,
    /// Milliseconds of the asynchronous phase.
    pub async_ms: f64,
    /// Bytes that were written.
    pub bytes_new: u64,
    /// Bytes that the snapshot has.
    pub bytes_full: u64,
    /// Files that it refers to.
    pub files: usize,
}

/// How long it took from opening a store over a snapshot to reads that are right.
#[derive(Clone, Copy, Debug)]
pub struct Restore {
    /// Milliseconds to the first read.
    pub first_ms: f64,
    /// Milliseconds to all reads: one of each key, or of some hundred thousand spread over all.
    pub all_ms: f64,
    /// How many these were.
    pub reads: u64,
    /// Bytes that the snapshot has.
    pub bytes: u64,
}

/// The same for the slowest of some subtasks, restored from those of another number.
#[derive(Clone, Copy, Debug)]
pub struct Rescale {
    /// Subtasks that took the snapshots.
    pub from: u32,
    /// Subtasks that were restored.
    pub to: u32,
    /// Milliseconds to the first read.
    pub first_ms: f64,
    /// Milliseconds to all reads.
    pub all_ms: f64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Report {
    /// The name of the backend or peer.
    pub backend: String,
    /// Whether it is a peer.
    pub peer: bool,
    /// The workload's name.
    pub workload: String,
    /// Size and form of the workload.
    pub shape: Shape,
    /// Whether the size follows from that; that of a trace does not.
    pub sized: bool,
    /// The length of keys that are bytes.
    pub key_bytes: Option<u32>,
    /// Accesses that were asked for.
    pub operations: u64,
    /// Accesses that filled the state, and their seconds.
    pub fill: (u64, f64),
    /// Accesses at full speed, and their seconds.
    pub run: (u64, f64),
    /// Latencies while nothing else went on.
    pub latencies: Latencies,
    /// Latencies while segments were merged or something was compacted, and no snapshot taken.
    pub compacting: Latencies,
    /// Snapshots, in their order.
    pub snapshots: Vec<Snapshot>,
    /// Latencies by time, with the snapshots.
    pub timeline: Timeline,
    /// Memory of the process.
    pub memory: Memory,
    /// A restore from the last snapshot.
    pub restore: Option<Restore>,
    /// Restores of other numbers of subtasks.
    pub rescale: Vec<Rescale>,
    /// All accesses that the plain computation agreed with.
    pub checked: u64,
    /// What was read, as one number.
    pub digest: u64,
}

impl Report {
    /// The head of the table.
    pub fn heading() -> String {
        format!(
            "{:<26} {:<14} {:>9} {:>8} {:>7} {:>29}   {:>29}   {:>26}   {}",
            "workload",
            "backend",
            "keys",
            "k/s",
            "B/entry",
            "latency us: p50, p99.9, max",
            "while a snapshot is taken",
            "full: sync ms, async ms, MB",
            "restore ms: first, all reads"
        )
    }

    /// Accesses per second at full speed.
    pub fn rate(&self) -> f64 {
        float(self.run.0) / self.run.1
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        let snapshot = |one: &Snapshot| {
            let taken = one.taken;
            serde_json::json!({
                "kind": one.kind, "sync_ms": taken.sync_ms, "async_ms": taken.async_ms,
                "bytes_new": taken.bytes_new, "bytes_full": taken.bytes_full, "files": taken.files,
                "churn": one.churn, "latency": one.latencies.to_json(),
            })
        };
        let snapshots: Vec<_> = self.snapshots.iter().map(snapshot).collect();
        let rescale = |one: &Rescale| {
            serde_json::json!({
                "from": one.from, "to": one.to, "first_ms": one.first_ms, "all_ms": one.all_ms,
            })
        };
        let restore = self.restore.map(|one| {
            serde_json::json!({
                "first_ms": one.first_ms, "all_ms": one.all_ms, "reads": one.reads,
                "bytes": one.bytes, "correct": true,
            })
        });
        let compacting = (!self.compacting.is_empty()).then(|| self.compacting.to_json());
        serde_json::json!({
            "workload": self.workload, "backend": self.backend, "peer": self.peer,
            "shape": {
                "keys": self.sized.then_some(self.shape.keys),
                "value_bytes": self.shape.value_bytes, "key_bytes": self.key_bytes,
                "draw": self.shape.draw.name(), "operations": self.operations,
                "seed": self.shape.seed,
            },
            "fill": { "accesses": self.fill.0, "seconds": self.fill.1 },
            "run": { "accesses": self.run.0, "seconds": self.run.1, "per_s": self.rate() },
            "latency": self.latencies.to_json(), "latency_compacting": compacting,
            "snapshots": snapshots,
            "timeline": self.timeline.to_json(), "memory": self.memory.to_json(),
            "restore": restore, "rescale": self.rescale.iter().map(rescale).collect::<Vec<_>>(),
            "checked": self.checked, "digest": format!("{:016x}", self.digest),
        })
        .to_string()
    }
}

fn latencies(latencies: &Latencies) -> String {
    let us = |nanoseconds: u64| float(nanoseconds) / 1e3;
    let [p50, p999, max] = [latencies.at(0.5), latencies.at(0.999), latencies.max()].map(us);
    format!("{p50:>8.2} {p999:>9.2} {max:>10.1}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, backend, .. } = self;
        let keys = if self.sized { self.shape.keys.to_string() } else { "-".to_owned() };
        let entry = self.memory.bytes_per_entry().map_or("-".to_owned(), |all| format!("{all:.1}"));
        let (rate, idle) = (self.rate() / 1e3, latencies(&self.latencies));
        write!(f, "{workload:<26} {backend:<14} {keys:>9} {rate:>8.0} {entry:>7} {idle}")?;
        if let Some(full) = self.snapshots.first() {
            let (sync, asynchronous) = (full.taken.sync_ms, full.taken.async_ms);
            let megabytes = float(full.taken.bytes_new) / 1e6;
            let beside = latencies(&full.latencies);
            write!(f, "   {beside}   {sync:>9.3} {asynchronous:>9.1} {megabytes:>7.1}")?;
        }
        if let Some(restore) = self.restore {
            write!(f, "   {:>9.1} {:>9.1}", restore.first_ms, restore.all_ms)?;
        }
        Ok(())
    }
}
