//! The command line of `workloads`.

use std::path::PathBuf;

use alluvium_state_api::BackendRegistry;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::settings::keys::COMPRESSION;
use alluvium_state_api::snapshot::Compression;

use super::Session;
use super::source::Source;
use crate::Outcome;
use crate::workload::{self, Shape, draw::Pattern};

/// What `--help` prints.
pub const USAGE: &str = "usage: workloads [OPTION]... [NAME]...

Plays the workloads whose names contain one of NAME, all of them without, on each backend, and compares what was
read with a plain computation.

  --backend NAMES      backends by name and peers as peer:NAME, or peers for all of them, separated by commas; all
                       backends that are built in by default
  --set KEY=VALUE      a setting of the backends that know it, or execution.checkpointing.snapshot-compression
  --keys N             keys that there are (1000000)
  --key-bytes N        keys of so many bytes, at least 8, instead of 64-bit numbers
  --value-bytes N      bytes of a value, and of an element of a list (8)
  --draw PATTERN       which keys: uniform, zipf:EXPONENT, moving:HOT (uniform)
  --rate N             events per second of the stream's own time; by default the operations last for 25 seconds or less
  --operations N       accesses that are measured, and as many again for latencies (1000000)
  --seed N             determines everything that is random (1)
  --sizes N,..         plays everything with each of these numbers of keys
  --churn SHARE,..     increments after these shares of the keys were changed, from 0 to 1, besides the one after a
                       twentieth of the operations
  --no-snapshots       takes no snapshots, and restores none
  --dir DIR            a directory on a local disk; the system's temporary one by default
  --record FILE        plays nothing, and writes the accesses of the one workload to FILE
  --replay FILE        plays the accesses that are in FILE
  --json               one JSON object a line
  --list               prints the names of the workloads
";

/// Seconds of a stream's own time that the operations last for, with one for each event: some windows end.
const STREAM_S: u64 = 25;
/// The most accesses and keys: what is more takes days.
const MOST: u64 = 1 << 40;
/// The longest keys, values and elements, as traces have them.
const MOST_BYTES: u64 = 64 << 20;

/// What is asked for.
#[derive(Debug)]
pub struct Arguments {
    /// None: all that are built in.
    pub(super) backends: Vec<String>,
    pub(super) sources: Vec<Source>,
    /// Settings of backends that know them.
    pub(super) settings: Vec<(String, String)>,
    pub(super) shape: Shape,
    pub(super) key_bytes: Option<u32>,
    pub(super) operations: u64,
    /// Numbers of keys; never none.
    pub(super) sizes: Vec<u64>,
    pub(super) churn: Vec<f64>,
    pub(super) snapshots: bool,
    pub(super) directory: PathBuf,
    pub(super) record: Option<PathBuf>,
    pub(super) json: bool,
    pub(super) list: bool,
}

/// Words as they come, before what they ask for is known to make sense.
#[derive(Default)]
struct Raw {
    names: Vec<String>,
    replay: Option<PathBuf>,
    rate: Option<u64>,
    keys: Option<u64>,
}

impl Arguments {
    /// Reads a command line; `None` where it asks for help.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn parse(
        session: &Session<'_>,
        mut words: impl Iterator<Item = String>,
    ) -> Outcome<Option<Self>> {
        let mut raw = Raw::default();
        let mut parsed = Self {
            backends: Vec::new(),
            sources: Vec::new(),
            settings: Vec::new(),
            shape: Shape::default(),
            key_bytes: None,
            operations: 1_000_000,
            sizes: Vec::new(),
            churn: Vec::new(),
            snapshots: true,
            directory: std::env::temp_dir(),
            record: None,
            json: false,
            list: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--json" => parsed.json = true,
                "--list" => parsed.list = true,
                "--no-snapshots" => parsed.snapshots = false,
                flag if flag.starts_with("--") => {
                    let value = words.next().ok_or_else(|| format!("{flag} needs a value"));
                    parsed.take(&mut raw, flag, value?)?;
                }
                flag if flag.starts_with('-') => return Err(unknown(flag)),
                _ => raw.names.push(word),
            }
        }
        parsed.settle(session, raw).map(Some)
    }

    /// Takes an option that has a value.
    fn take(&mut self, raw: &mut Raw, flag: &str, value: String) -> Outcome<()> {
        let number = |most: u64| number(flag, &value, most);
        match flag {
            "--backend" => self.backends = value.split(',').map(str::to_owned).collect(),
            "--set" => {
                let (key, value) = value.split_once('=').ok_or("--set needs KEY=VALUE")?;
                Settings::new().set(key, value)?;
                self.settings.push((key.trim().to_owned(), value.to_owned()));
            }
            "--keys" => raw.keys = Some(number(MOST)?),
            "--sizes" => {
                let sizes = value.split(',').map(|size| self::number(flag, size, MOST));
                self.sizes = sizes.collect::<Outcome<_>>()?;
            }
            "--churn" => {
                self.churn = value.split(',').map(share).collect::<Outcome<_>>()?;
            }
            "--key-bytes" => self.key_bytes = Some(u32::try_from(number(1 << 16)?.max(8))?),
            "--value-bytes" => self.shape.value_bytes = u32::try_from(number(MOST_BYTES)?)?,
            "--rate" => raw.rate = Some(number(MOST)?),
            "--operations" => self.operations = number(MOST)?,
            "--seed" => self.shape.seed = number(u64::MAX)?,
            "--draw" => self.shape.draw = pattern(&value)?,
            "--dir" => self.directory = value.into(),
            "--record" => self.record = Some(value.into()),
            "--replay" => raw.replay = Some(value.into()),
            _ => return Err(unknown(flag)),
        }
        Ok(())
    }

    /// How blocks of snapshots are compressed.
    ///
    /// # Errors
    /// None after [`parse`](Self::parse).
    pub(super) fn compression(&self) -> Outcome<Compression> {
        let mut settings = Settings::new();
        for (key, value) in self.settings.iter().filter(|(key, _)| key == COMPRESSION) {
            settings.set(key, value)?;
        }
        Ok(settings.compression())
    }

    /// Refuses settings that none of the backends knows.
    fn check_settings(&self, registry: &BackendRegistry) -> Outcome<()> {
        let mut named: Vec<&str> = self.backends.iter().map(String::as_str).collect();
        if named.is_empty() {
            named = registry.names();
        }
        for (key, _) in self.settings.iter().filter(|(key, _)| key != COMPRESSION) {
            let known = |name: &&str| {
                registry.find(name).is_ok_and(|found| found.setting_keys().contains(&key.as_str()))
            };
            if !named.iter().any(known) {
                let named = named.join(", ");
                return Err(format!("none of {named} knows the setting {key}").into());
            }
        }
        Ok(())
    }

    /// Finds what was named, and refuses what does not go together.
    fn settle(mut self, session: &Session<'_>, raw: Raw) -> Outcome<Self> {
        if raw.keys.is_some() && !self.sizes.is_empty() {
            return Err("--keys and --sizes say the same: leave one out".into());
        }
        if !self.sizes.is_empty() && (self.record.is_some() || raw.replay.is_some()) {
            return Err("--sizes is for workloads that are made: a trace has its size".into());
        }
        if !self.churn.is_empty() && (raw.replay.is_some() || !self.snapshots) {
            return Err("--churn is for snapshots of workloads that are made".into());
        }
        if self.sizes.is_empty() {
            self.sizes.push(raw.keys.unwrap_or(self.shape.keys));
        }
        for size in &self.sizes {
            self.shape.draw.draw(*size, self.shape.seed)?;
        }
        self.shape.keys = self.sizes.first().copied().unwrap_or_default();
        self.shape.rate = raw.rate.unwrap_or(self.operations / STREAM_S).max(1);
        if !self.directory.is_dir() {
            return Err(format!("{} is not a directory", self.directory.display()).into());
        }
        let registry = session.registry;
        let found = self.backends.iter().map(|name| session.find(name));
        self.backends = found.collect::<Outcome<Vec<_>>>()?.concat();
        self.check_settings(registry)?;
        if let Some(path) = raw.replay {
            if self.record.is_some() || !raw.names.is_empty() {
                return Err(
                    "--replay brings its accesses along: it takes no names and no --record".into(),
                );
            }
            self.sources.push(Source::trace(&path)?);
            return Ok(self);
        }
        let chosen = |name: &str| {
            raw.names.is_empty() || raw.names.iter().any(|part| name.contains(part.as_str()))
        };
        let unused = raw.names.iter().find(|part| {
            !workload::all().iter().any(|workload| workload.name().contains(part.as_str()))
        });
        if let Some(part) = unused {
            return Err(format!("no workload's name contains {part:?}; --list shows them").into());
        }
        let named = workload::all().into_iter().filter(|workload| chosen(workload.name()));
        self.sources.extend(named.map(Source::Made));
        if self.record.is_some() && self.sources.len() != 1 {
            return Err("--record needs the name of one workload".into());
        }
        Ok(self)
    }
}

#[cold]
fn unknown(flag: &str) -> Box<dyn std::error::Error + Send + Sync> {
    format!("unknown option {flag}").into()
}

fn number(flag: &str, text: &str, most: u64) -> Outcome<u64> {
    let number: u64 =
        text.parse().map_err(|_not| format!("{flag} needs a number, not {text:?}"))?;
    if number == 0 || number > most {
        return Err(format!("{flag} must be between 1 and {most}, not {number}").into());
    }
    Ok(number)
}

/// A share of all keys.
fn share(text: &str) -> Outcome<f64> {
    let share: Option<f64> = text.parse().ok();
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| format!("--churn needs shares above 0 and up to 1, not {text:?}").into())
}

fn pattern(text: &str) -> Outcome<Pattern> {
    let known = "the pattern must be uniform, zipf:EXPONENT or moving:HOT";
    match text.split_once(':') {
        None if text == "uniform" => Ok(Pattern::Uniform),
        Some(("zipf", exponent)) => {
            let exponent = exponent.parse().map_err(|_not| format!("{known}, not {text:?}"))?;
            Ok(Pattern::Zipf(exponent))
        }
        // Nine of ten accesses go to hot keys, and each of these is hot for a thousand accesses for each of them.
        Some(("moving", hot)) => {
            let hot = number("moving", hot, MOST)?;
            Ok(Pattern::Moving { hot, percent: 90, step: 1_000 })
        }
        _ => Err(format!("{known}, not {text:?}").into()),
    }
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::MissingBackend;

    use super::*;

    fn parse(text: &str) -> Outcome<Option<Arguments>> {
        let registry = BackendRegistry::new()
            .with(MissingBackend::new("one", &["uno"], "one"))
            .with(MissingBackend::new("two", &[], "two"));
        Arguments::parse(&Session::new(&registry), text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_asked_for_is_found() {
        let all = parse("").unwrap().unwrap();
        assert_eq!((all.backends.len(), all.sources.len()), (0, workload::all().len()));
        assert_eq!(all.shape, Shape { rate: 40_000, ..Shape::default() });
        let some = parse(
            "--backend UNO --keys 5 --rate 7 --draw zipf:0.8 list.append --key-bytes 3 --json",
        );
        let some = some.unwrap().unwrap();
        assert_eq!((&*some.backends[0], some.backends.len()), ("one", 1));
        assert_eq!((some.shape.keys, some.shape.rate, some.key_bytes), (5, 7, Some(8)));
        assert_eq!(some.shape.draw, Pattern::Zipf(0.8));
        assert!(some.json && some.sources.len() == 1 && some.sources[0].name() == "list.append");
        assert!(parse("--help --keys").unwrap().is_none());
        let sizes = parse(
            "--sizes 5,70 --churn 0.01,1 --set execution.checkpointing.snapshot-compression=lz4",
        );
        let sizes = sizes.unwrap().unwrap();
        assert_eq!((&*sizes.sizes, &*sizes.churn), (&[5, 70][..], &[0.01, 1.0][..]));
        assert_eq!((sizes.shape.keys, sizes.compression().unwrap()), (5, Compression::Lz4));
        assert_eq!(some.compression().unwrap(), Compression::None);
        let peers = parse("--backend peer:redb,two,peers").unwrap().unwrap().backends;
        assert_eq!(peers[..4], ["peer:redb", "two", "peer:hashbrown", "peer:btreemap"]);
    }

    #[test]
    fn wrong_words_are_refused_with_what_would_be_right() {
        for (text, hint) in [
            ("--backend three", "choose one of one, two"),
            ("--backend one,peer:three", "choose one of hashbrown, btreemap, redb, fjall, rocksdb"),
            ("--keys", "needs a value"),
            ("--keys 0", "between 1 and"),
            ("--keys many", "needs a number"),
            ("--value-bytes 99999999999", "between 1 and 67108864"),
            ("--draw zipf:0", "above 0"),
            ("--draw zipf:x", "zipf:EXPONENT"),
            ("--draw normal", "zipf:EXPONENT"),
            ("--dir /nowhere/at/all", "not a directory"),
            ("--fast 1", "unknown option --fast"),
            ("-x", "unknown option -x"),
            ("tumbling.sideways", "--list"),
            ("--record /tmp/x", "name of one workload"),
            ("--replay /nowhere/at/all", "/nowhere/at/all"),
            ("--set x", "KEY=VALUE"),
            ("--set execution.checkpointing.snapshot-compression=gzip", "snapshot-compression"),
            ("--sizes 5,0", "between 1 and"),
            ("--sizes 5, --json", "needs a number"),
            ("--sizes 5 --keys 6", "leave one out"),
            ("--sizes 5 --replay x", "a trace has its size"),
            ("--sizes 5 --record x value.get", "a trace has its size"),
            ("--churn 0.1,0", "above 0"),
            ("--churn 1.5", "up to 1"),
            ("--churn much", "up to 1"),
            ("--churn 0.1 --no-snapshots", "--churn is for snapshots"),
            ("--set state.backend.one.x=1", "none of one, two knows"),
        ] {
            let refused = parse(text).unwrap_err().to_string();
            assert!(refused.contains(hint), "{text}: {refused}");
        }
    }
}
