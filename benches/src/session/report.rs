//! What playing a workload on a backend has shown.

use std::fmt;

use super::latency::Latencies;
use crate::float;

/// One snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// `full` or `incremental`.
    pub kind: &'static str,
    /// What it was.
    pub taken: Taken,
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

/// See the module.
#[derive(Clone, Debug)]
pub struct Report {
    /// The backend's name.
    pub backend: String,
    /// The workload's name.
    pub workload: String,
    /// Accesses that filled the state, and their seconds.
    pub fill: (u64, f64),
    /// Accesses at full speed, and their seconds.
    pub run: (u64, f64),
    /// Latencies while nothing else went on.
    pub latencies: Latencies,
    /// Snapshots, in their order.
    pub snapshots: Vec<Snapshot>,
    /// All accesses that the plain computation agreed with.
    pub checked: u64,
    /// What was read, as one number.
    pub digest: u64,
}

impl Report {
    /// The head of the table.
    pub fn heading() -> String {
        format!(
            "{:<26} {:<14} {:>8} {:>29}   {:>29}   {}",
            "workload",
            "backend",
            "k/s",
            "latency us: p50, p99.9, max",
            "while a snapshot is taken",
            "full: sync ms, async ms, MB"
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
                "latency": one.latencies.to_json(),
            })
        };
        let snapshots: Vec<_> = self.snapshots.iter().map(snapshot).collect();
        serde_json::json!({
            "workload": self.workload, "backend": self.backend,
            "fill": { "accesses": self.fill.0, "seconds": self.fill.1 },
            "run": { "accesses": self.run.0, "seconds": self.run.1, "per_s": self.rate() },
            "latency": self.latencies.to_json(), "snapshots": snapshots,
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
        let idle = latencies(&self.latencies);
        write!(f, "{workload:<26} {backend:<14} {:>8.0} {idle}", self.rate() / 1e3)?;
        if let Some(full) = self.snapshots.first() {
            let (sync, asynchronous) = (full.taken.sync_ms, full.taken.async_ms);
            let megabytes = float(full.taken.bytes_new) / 1e6;
            let beside = latencies(&full.latencies);
            write!(f, "   {beside}   {sync:>9.3} {asynchronous:>9.1} {megabytes:>7.1}")?;
        }
        Ok(())
    }
}
