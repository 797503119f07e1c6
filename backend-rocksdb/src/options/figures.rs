//! [`Figures`]: which of RocksDB's own figures go to the recorder.

use alluvium_state_api::settings::Settings;
use alluvium_state_api::{Error, Result};
use rocksdb::statistics::Ticker;

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// A property of the database, of this name: what it is now.
    Property,
    /// What happened since it was recorded before.
    Ticker(Ticker),
}

/// A figure; its name is that of the metric, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) from: From,
    key: &'static str,
}

macro_rules! figures {
    ($($name:literal => $from:ident $(($ticker:expr))?;)*) => {
        /// All that can be asked for, but for the files of each level.
        const ALL: &[Figure] = &[$(Figure {
            name: concat!("rocksdb.", $name),
            from: From::$from $(($ticker))?,
            key: concat!("state.backend.rocksdb.metrics.", $name),
        }),*];
        /// The settings that ask for them.
        pub(super) const KEYS: &[&str] =
            &[LEVELS_KEY, $(concat!("state.backend.rocksdb.metrics.", $name)),*];
    };
}

/// Asks for the files of each level.
const LEVELS_KEY: &str = "state.backend.rocksdb.metrics.num-files-at-level";

macro_rules! levels {
    ($($level:literal)*) => {
        const LEVELS: &[Figure] = &[$(Figure {
            name: concat!("rocksdb.num-files-at-level", $level),
            from: From::Property,
            key: LEVELS_KEY,
        }),*];
    };
}

levels! { 0 1 2 3 4 5 6 }

figures! {
    "num-immutable-mem-table" => Property;
    "mem-table-flush-pending" => Property;
    "compaction-pending" => Property;
    "background-errors" => Property;
    "cur-size-active-mem-table" => Property;
    "cur-size-all-mem-tables" => Property;
    "size-all-mem-tables" => Property;
    "num-entries-active-mem-table" => Property;
    "num-entries-imm-mem-tables" => Property;
    "num-deletes-active-mem-table" => Property;
    "num-deletes-imm-mem-tables" => Property;
    "estimate-num-keys" => Property;
    "estimate-table-readers-mem" => Property;
    "num-snapshots" => Property;
    "num-live-versions" => Property;
    "estimate-live-data-size" => Property;
    "total-sst-files-size" => Property;
    "live-sst-files-size" => Property;
    "estimate-pending-compaction-bytes" => Property;
    "num-running-compactions" => Property;
    "num-running-flushes" => Property;
    "actual-delayed-write-rate" => Property;
    "is-write-stopped" => Property;
    "block-cache-capacity" => Property;
    "block-cache-usage" => Property;
    "block-cache-pinned-usage" => Property;
    "block-cache-hit" => Ticker(Ticker::BlockCacheHit);
    "block-cache-miss" => Ticker(Ticker::BlockCacheMiss);
    "bloom-filter-useful" => Ticker(Ticker::BloomFilterUseful);
    "bloom-filter-full-positive" => Ticker(Ticker::BloomFilterFullPositive);
    "bloom-filter-full-true-positive" => Ticker(Ticker::BloomFilterFullTruePositive);
    "bytes-read" => Ticker(Ticker::BytesRead);
    "iter-bytes-read" => Ticker(Ticker::IterBytesRead);
    "bytes-written" => Ticker(Ticker::BytesWritten);
    "compaction-read-bytes" => Ticker(Ticker::CompactReadBytes);
    "compaction-write-bytes" => Ticker(Ticker::CompactWriteBytes);
    "stall-micros" => Ticker(Ticker::StallMicros);
}

/// Which of RocksDB's own figures are recorded, none unless they are asked for; each costs something. They go to
/// [`OpenEnv::recorder`](alluvium_state_api::OpenEnv) whenever a snapshot begins and when the store is closed, as
/// `rocksdb.` and the name in settings: properties as they are then, tickers by what was added since.
///
/// ```
/// use alluvium_backend_rocksdb::RocksOptions;
/// use alluvium_state_api::settings::Settings;
///
/// # fn main() -> alluvium_state_api::Result<()> {
/// let settings = Settings::from_pairs([("state.backend.rocksdb.metrics.bytes-written", "true")])?;
/// let options = RocksOptions::from_settings(&settings)?;
/// assert_eq!(options.figures.names().collect::<Vec<_>>(), ["rocksdb.bytes-written"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// What settings ask for.
    ///
    /// # Errors
    /// `InvalidInput` for what is neither true nor false.
    pub(super) fn from_settings(settings: &Settings) -> Result<Self> {
        let mut figures = Vec::new();
        for figure in ALL.iter().chain(LEVELS) {
            if settings.flag(figure.key, false)? {
                figures.push(*figure);
            }
        }
        Ok(Self(figures))
    }

    /// Those of these names, as `rocksdb.bytes-written`.
    ///
    /// # Errors
    /// `InvalidInput` for a name that RocksDB has no figure of.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self> {
        let find = |name: &str| {
            let found = ALL.iter().chain(LEVELS).find(|figure| figure.name == name);
            found.copied().ok_or_else(|| {
                Error::invalid_input(format!("RocksDB's figures have none of the name {name:?}"))
            })
        };
        names.into_iter().map(find).collect::<Result<_>>().map(Self)
    }

    /// The names under which they are recorded.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|figure| figure.name)
    }

    /// Whether RocksDB must count what happens.
    pub(super) fn needs_statistics(&self) -> bool {
        self.0.iter().any(|figure| figure.from != From::Property)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }
}
