//! Options of the program `flink`, under the names that the other side has for them.

use std::path::PathBuf;

/// See the program's help.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) backend: String,
    pub(super) workload: String,
    pub(super) keys: u64,
    pub(super) new_keys: u64,
    pub(super) map_keys: u64,
    pub(super) map_entries: u64,
    pub(super) warmups: u64,
    pub(super) rounds: u64,
    pub(super) round_ms: u64,
    pub(super) load_rounds: u64,
    pub(super) snapshot_rounds: u64,
    /// Whether values have 100 bytes, not 8, where memory is measured.
    pub(super) long_values: bool,
    pub(super) directory: PathBuf,
    pub(super) compare: Option<PathBuf>,
    pub(super) json: bool,
}

impl Options {
    /// Reads a command line; `None` where it asks for help.
    pub(super) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut parsed = Self {
            backend: String::new(),
            workload: String::new(),
            keys: 0,
            new_keys: 500_000,
            map_keys: 100_000,
            map_entries: 10,
            warmups: 2,
            rounds: 5,
            round_ms: 250,
            load_rounds: 3,
            snapshot_rounds: 3,
            long_values: false,
            directory: std::env::temp_dir(),
            compare: None,
            json: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--json" => parsed.json = true,
                flag => {
                    let value = words.next().ok_or_else(|| format!("{flag} needs a value"))?;
                    parsed.take(flag, value)?;
                }
            }
        }
        if parsed.keys == 0 {
            parsed.keys = if parsed.backend == "rocksdb" { 500_000 } else { 1_000_000 };
        }
        if parsed.compare.is_none() && (parsed.backend.is_empty() || parsed.workload.is_empty()) {
            return Err("--backend and --workload are needed, or --compare".to_owned());
        }
        Ok(Some(parsed))
    }

    fn take(&mut self, flag: &str, value: String) -> Result<(), String> {
        let number = || match value.parse::<u64>() {
            Ok(number) if (1..1 << 31).contains(&number) => Ok(number),
            _ => Err(format!("{flag} needs a number from 1, not {value:?}")),
        };
        match flag {
            "--backend" => self.backend = value,
            "--workload" => self.workload = value,
            "--value" => self.long_values = value == "bytes100",
            "--workdir" => self.directory = value.into(),
            "--compare" => self.compare = Some(value.into()),
            "--n" => self.keys = number()?,
            "--newkeys" => self.new_keys = number()?,
            "--mapkeys" => self.map_keys = number()?,
            "--mapentries" => self.map_entries = number()?,
            "--warmups" => self.warmups = number()?,
            "--rounds" => self.rounds = number()?,
            "--roundms" => self.round_ms = number()?,
            "--loadrounds" => self.load_rounds = number()?,
            "--snaprounds" => self.snapshot_rounds = number()?,
            _ => return Err(format!("unknown option {flag}")),
        }
        Ok(())
    }
}
