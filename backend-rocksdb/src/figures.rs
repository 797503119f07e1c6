//! [`Recording`]: RocksDB's own figures, for the recorder of the store's environment.

use std::sync::Arc;

use alluvium_state_api::Recorder;

use crate::database::Database;
use crate::options::{Figures, From};

/// What is recorded, and what was recorded before.
#[derive(Debug)]
pub(crate) struct Recording {
    recorder: Arc<dyn Recorder>,
    figures: Figures,
    /// Of tickers, in the order of the figures.
    before: Vec<u64>,
}

impl Recording {
    /// Records these figures.
    pub(crate) fn new(recorder: Arc<dyn Recorder>, figures: Figures) -> Self {
        let before = figures.iter().map(|_| 0).collect();
        Self { recorder, figures, before }
    }

    /// Records the figures as they are.
    pub(crate) fn record(&mut self, database: &Database) {
        for (figure, before) in self.figures.iter().zip(&mut self.before) {
            let value = match figure.from {
                From::Property => database.property(figure.name),
                From::Ticker(ticker) => {
                    let now = database.ticker(ticker);
                    now.saturating_sub(std::mem::replace(before, now))
                }
            };
            self.recorder.record(figure.name, value);
        }
    }
}
