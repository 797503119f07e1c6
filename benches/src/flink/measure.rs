//! [`Bench`]: rounds of an operation, and the lines that tell of them.

use std::hint::black_box;

use alluvium_state_api::Result;
use serde_json::{Map, Value, json};

use super::options::Options;
use super::print;
use crate::clock::Stopwatch;
use crate::float;

/// So many operations lie between two looks at the clock.
const BATCH: u64 = 1024;

/// Keys that are gone through in their order, again and again.
#[derive(Clone, Debug)]
pub(super) struct Cycle(Vec<u64>);

impl Cycle {
    pub(super) const fn new(keys: Vec<u64>) -> Self {
        Self(keys)
    }

    /// Calls `visit` with each position from `from` to `to` and its key.
    #[inline]
    pub(super) fn each(
        &self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let mut at = from;
        while at < to {
            let place = usize::try_from(at % (self.0.len().max(1) as u64)).unwrap_or(0);
            let left = usize::try_from(to - at).unwrap_or(usize::MAX);
            let here = self.0.get(place..).unwrap_or_default();
            if here.is_empty() {
                return Ok(());
            }
            for key in here.iter().take(left) {
                visit(at, *key)?;
                at += 1;
            }
        }
        Ok(())
    }
}

/// What all measurements of a run share.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) options: &'a Options,
}

impl<'a> Bench<'a> {
    pub(super) const fn new(options: &'a Options) -> Self {
        Self { options }
    }

    /// How many keys each round may add.
    pub(super) fn added_per_round(&self) -> u64 {
        self.options.new_keys / (self.options.warmups + self.options.rounds)
    }

    /// Prints a line with what all lines have, and these.
    pub(super) fn line(&self, kind: &str, operation: &str, fields: Value) {
        let Options { backend, workload, keys, .. } = self.options;
        let mut line = Map::new();
        for (name, value) in [("kind", kind), ("backend", backend), ("workload", workload)] {
            line.insert(name.to_owned(), json!(value));
        }
        line.insert("op".to_owned(), json!(operation));
        line.insert("n".to_owned(), json!(keys));
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        print(&Value::Object(line).to_string());
    }

    /// Prints rates.
    pub(super) fn rates(&self, operation: &str, mut rates: Vec<f64>, filled: Option<u64>) {
        let [min, middle, max] = of(&mut rates);
        let filled = filled.map(|number| number.to_string());
        let fields = json!({ "median": middle, "min": min, "max": max, "filled": filled });
        self.line("throughput", operation, fields);
    }

    /// Measures an operation that works through the positions it is given; each stands for `units`. No round has
    /// more than `most` positions.
    pub(super) fn measure(
        &self,
        operation: &str,
        (units, most, filled): (u64, u64, u64),
        mut work: impl FnMut(u64, u64) -> Result<u64>,
    ) -> Result<()> {
        let Options { warmups, rounds, round_ms, .. } = self.options;
        let limit = float(*round_ms) / 1e3;
        let (mut at, mut rates) = (0, Vec::new());
        for number in 0..warmups + rounds {
            let (first, watch) = (at, Stopwatch::start());
            let mut seconds = 0.0;
            while at - first < most && seconds < limit {
                let to = (at + BATCH).min(first + most);
                black_box(work(at, to)?);
                at = to;
                seconds = watch.seconds();
            }
            if number >= *warmups {
                rates.push(float((at - first) * units) / seconds);
            }
        }
        self.rates(operation, rates, Some(filled));
        Ok(())
    }
}

/// Least, median and most.
pub(super) fn of(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    let last = values.len().saturating_sub(1);
    [at(0), f64::midpoint(at(last / 2), at(values.len() / 2)), at(last)]
}
