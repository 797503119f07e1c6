//! [`Timeline`]: latencies by time, with the windows in which snapshots were taken and segments merged.
//!
//! An access belongs to the time when it was due. Where nothing was due, since accesses were made or played at
//! full speed, there are no points. Precise to 1 %, so that closing a point takes a few microseconds.

use hdrhistogram::Histogram;

use crate::{Outcome, float};

/// Milliseconds of a point.
const BUCKET_MS: u64 = 100;
const BUCKET_NS: u64 = BUCKET_MS * 1_000_000;
/// The longest latency that is told apart, a minute.
const MOST_NS: u64 = 60_000_000_000;

/// See the module.
#[derive(Clone, Debug)]
pub struct Timeline {
    open: Histogram<u64>,
    at: u64,
    points: Vec<Point>,
    windows: Vec<Window>,
    /// Begin and end of compactions and merges, in milliseconds.
    compactions: Vec<(f64, f64)>,
}

/// Latencies of the accesses that were due within a point's time.
#[derive(Clone, Copy, Debug)]
struct Point {
    at_ms: u64,
    count: u64,
    p50_ns: u64,
    p99_ns: u64,
    max_ns: u64,
}

/// The time that a snapshot took.
#[derive(Clone, Copy, Debug)]
struct Window {
    kind: &'static str,
    from_ms: f64,
    to_ms: f64,
}

impl Timeline {
    /// Nothing yet.
    ///
    /// # Errors
    /// None that occurs.
    pub fn new() -> Outcome<Self> {
        let open = Histogram::new_with_bounds(1, MOST_NS, 2)?;
        Ok(Self { open, at: 0, points: Vec::new(), windows: Vec::new(), compactions: Vec::new() })
    }

    /// Takes note of an access that was due so many nanoseconds after the beginning, later than those before.
    pub fn record(&mut self, due_ns: u64, nanoseconds: u64) {
        if due_ns / BUCKET_NS != self.at {
            self.close();
            self.at = due_ns / BUCKET_NS;
        }
        self.open.saturating_record(nanoseconds.max(1));
    }

    /// A snapshot of this kind was taken from `from_ns` on, for so many milliseconds.
    pub fn window(&mut self, kind: &'static str, from_ns: u64, length_ms: f64) {
        let from_ms = float(from_ns) / 1e6;
        self.windows.push(Window { kind, from_ms, to_ms: from_ms + length_ms });
    }

    /// Something was compacted or merged between these times.
    pub fn compaction(&mut self, from_ns: u64, to_ns: u64) {
        self.compactions.push((float(from_ns) / 1e6, float(to_ns) / 1e6));
    }

    /// Ends the point that is being filled.
    pub fn close(&mut self) {
        if !self.open.is_empty() {
            self.points.push(Point {
                at_ms: self.at * BUCKET_MS,
                count: self.open.len(),
                p50_ns: self.open.value_at_quantile(0.5),
                p99_ns: self.open.value_at_quantile(0.99),
                max_ns: self.open.max(),
            });
            self.open.reset();
        }
    }

    /// As a JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        let us = |nanoseconds: u64| float(nanoseconds) / 1e3;
        let point = |point: &Point| {
            serde_json::json!({
                "at_ms": point.at_ms, "count": point.count, "p50_us": us(point.p50_ns),
                "p99_us": us(point.p99_ns), "max_us": us(point.max_ns),
            })
        };
        let window = |window: &Window| {
            serde_json::json!({
                "kind": window.kind, "from_ms": window.from_ms, "to_ms": window.to_ms,
            })
        };
        let compaction =
            |(from, to): &(f64, f64)| serde_json::json!({ "from_ms": from, "to_ms": to });
        serde_json::json!({
            "bucket_ms": BUCKET_MS,
            "points": self.points.iter().map(point).collect::<Vec<_>>(),
            "snapshots": self.windows.iter().map(window).collect::<Vec<_>>(),
            "compactions": self.compactions.iter().map(compaction).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_counted_where_they_were_due() {
        let mut timeline = Timeline::new().unwrap();
        for due_ms in [0, 99, 100, 450] {
            timeline.record(due_ms * 1_000_000, (due_ms + 1) * 1_000);
        }
        timeline.close();
        timeline.close();
        timeline.compaction(1_500_000, 2_000_000);
        let json = timeline.to_json();
        let points = json["points"].as_array().unwrap();
        let of = |name: &str| points.iter().map(|point| point[name].as_f64()).collect::<Vec<_>>();
        assert_eq!(of("at_ms"), [0.0, 100.0, 400.0].map(Some));
        assert_eq!(of("count"), [2.0, 1.0, 1.0].map(Some));
        let compactions = serde_json::json!([{ "from_ms": 1.5, "to_ms": 2.0 }]);
        assert_eq!(json["compactions"], compactions);
        let longest = points[2]["max_us"].as_f64().unwrap();
        assert!((450.0..456.0).contains(&longest), "{longest}");
        let half = points[0]["p50_us"].as_f64().unwrap();
        assert!((1.0..1.02).contains(&half), "{half}");
    }
}
