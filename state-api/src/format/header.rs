//! The header of a state file: what its entries mean.
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | 8 bytes | magic `\x89ALVS\r\n\x1a` |
//! | 8 | `u16` | version |
//! | 10 | `u16` | reserved |
//! | 12 | `u32` | header length H, checksum included; at most 64 MiB |
//! | 16 | `u32` | compatible feature bits |
//! | 20 | `u32` | incompatible feature bits |
//! | 24 | record | key identity |
//! | | `u16` x 3 | key groups of the job; first covered, one past the last covered |
//! | | `u16` | number of states, then a record for each |
//! | H - 4 | `u32` | CRC32C of 0 .. H - 4 |
//!
//! # Invariants
//! * I1 State names are unique; in canonical files they ascend.
//! * I2 Feature bits say no less than what the file holds.

use super::checksum::crc32c;
use super::features::{self, CANONICAL, COMPRESSIONS, INCREMENT, LOOKUPS, STAMPS};
use super::layout::EntryLayout;
use super::schema;
use super::wire::{Input, put_record};
use crate::schema::{KeyIdentity, KeySpace, StateMeta};
use crate::snapshot::Compression;
use crate::{Error, KeyGroupRange, MaxParallelism, Result};

const MAGIC: [u8; 8] = *b"\x89ALVS\r\n\x1a";

/// Bytes in front of the variable part.
pub(crate) const PREFIX_BYTES: usize = 24;
/// The largest header, in bytes.
const MOST_HEADER_BYTES: usize = 64 << 20;
const CHECKSUM_BYTES: usize = 4;

/// What a state file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileForm {
    /// Everything, blocks in any order.
    Full,
    /// What changed on top of earlier files, blocks in any order.
    Increment,
    /// Everything, in the canonical order.
    Canonical,
}

/// What the entries of a state file mean: the content of its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFileSpec {
    /// How keys are encoded and placed.
    pub key: KeyIdentity,
    /// The number of key groups of the job.
    pub groups: MaxParallelism,
    /// The key groups that the file covers.
    pub range: KeyGroupRange,
    /// The states; a state's id is its index here. Canonical files have them ordered by name.
    pub states: Vec<StateMeta>,
    /// Which form the file has.
    pub form: FileForm,
}

impl StateFileSpec {
    /// The specification of a file for all key groups of a store.
    pub fn new(space: &KeySpace, states: Vec<StateMeta>, form: FileForm) -> Self {
        Self {
            key: space.identity().clone(),
            groups: space.groups(),
            range: space.range(),
            states,
            form,
        }
    }

    /// Checks range, states and, for canonical files, their order.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput).
    pub fn validate(&self) -> Result<()> {
        if !self.groups.all().covers(self.range) {
            return Err(Error::invalid_input(format!(
                "key groups {} are not within the maximum parallelism {}",
                self.range, self.groups
            )));
        }
        if u16::try_from(self.states.len()).is_err() {
            return Err(Error::invalid_input("a state file has at most 65535 states"));
        }
        let mut names: Vec<&str> = self.states.iter().map(|state| &*state.name).collect();
        let sorted = names.is_sorted();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Error::invalid_input("two states have the same name"));
        }
        if self.form == FileForm::Canonical && !sorted {
            return Err(Error::invalid_input("states of a canonical file must be ordered by name"));
        }
        self.states.iter().try_for_each(|state| {
            state.validate()?;
            EntryLayout::new(&self.key, state).map(drop)
        })
    }

    /// The id of the state with this name.
    pub fn state_id(&self, name: &str) -> Option<u16> {
        let index = self.states.iter().position(|state| &*state.name == name)?;
        u16::try_from(index).ok()
    }

    pub(crate) fn layouts(&self) -> Result<Vec<EntryLayout>> {
        let layout = |state| EntryLayout::new(&self.key, state);
        self.states.iter().map(layout).collect()
    }

    /// The encoded header of a file whose blocks may be compressed by `compression`, with or without
    /// lookups.
    pub(crate) fn encode(&self, compression: Compression, lookups: bool) -> Result<Vec<u8>> {
        self.validate()?;
        if lookups && (self.form == FileForm::Canonical || compression != Compression::None) {
            return Err(Error::bug("canonical and compressed files have no lookups"));
        }
        let stamped = self.states.iter().any(|state| state.stamped);
        let incompatible = features::compression_bit(compression)
            | if stamped { STAMPS } else { 0 }
            | if lookups { LOOKUPS } else { 0 }
            | if self.form == FileForm::Increment { INCREMENT } else { 0 };
        let compatible = if self.form == FileForm::Canonical { CANONICAL } else { 0 };
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&features::VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&compatible.to_le_bytes());
        out.extend_from_slice(&incompatible.to_le_bytes());
        put_record(&mut out, |out| schema::put_key(out, &self.key));
        let states = u16::try_from(self.states.len()).unwrap_or(u16::MAX);
        for number in [self.groups.get(), self.range.start(), self.range.end(), states] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for state in &self.states {
            put_record(&mut out, |out| schema::put_state(out, state));
        }
        let length = out.len() + CHECKSUM_BYTES;
        let Some(length_32) = u32::try_from(length).ok().filter(|_| length <= MOST_HEADER_BYTES)
        else {
            return Err(Error::invalid_input("the states do not fit into a header of 64 MiB"));
        };
        if let Some(slot) = out.get_mut(12..16) {
            slot.copy_from_slice(&length_32.to_le_bytes());
        }
        let checksum = crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(out)
    }

    /// The length of the header that begins with `prefix`, after a check of magic and version.
    pub(crate) fn length(prefix: &[u8; PREFIX_BYTES], file_length: u64) -> Result<usize> {
        let mut input = Input::new(prefix, false);
        if input.take(8, "magic")? != MAGIC {
            return Err(Error::corrupted("this is not an Alluvium state file"));
        }
        features::check_version("the state file", input.u16("version")?)?;
        let _reserved = input.u16("reserved")?;
        let length = input.u32("header length")? as usize;
        let possible = PREFIX_BYTES + CHECKSUM_BYTES..=MOST_HEADER_BYTES;
        if !possible.contains(&length) || length as u64 > file_length {
            return Err(super::wire::out_of_range("header length", length as u64));
        }
        Ok(length)
    }

    /// Decodes a whole header; also says whether the file has lookups.
    pub(crate) fn decode(header: &[u8]) -> Result<(Self, bool)> {
        let (body, checksum) = header
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or_else(|| Error::corrupted("the header is cut off"))?;
        if crc32c(body) != u32::from_le_bytes(*checksum) {
            return Err(Error::corrupted("the header's checksum differs"));
        }
        let mut fixed = Input::new(body, false);
        fixed.take(10, "magic and version")?;
        let reserved = fixed.u16("reserved")?;
        fixed.take(4, "header length")?;
        let (compatible, incompatible) = (fixed.u32("features")?, fixed.u32("features")?);
        features::check_incompatible("the state file", incompatible, features::STATE_INCOMPATIBLE)?;
        let extensible = compatible & !features::STATE_COMPATIBLE != 0;
        let form = match (compatible & CANONICAL != 0, incompatible & INCREMENT != 0) {
            (false, false) => FileForm::Full,
            (false, true) => FileForm::Increment,
            (true, false) => FileForm::Canonical,
            (true, true) => return Err(Error::corrupted("a canonical file is no increment")),
        };
        let rest = body.get(PREFIX_BYTES..).unwrap_or_default();
        let spec = Self::decode_body(&mut Input::new(rest, extensible), form)?;
        spec.validate().map_err(schema::invalid)?;
        let stamped = spec.states.iter().any(|state| state.stamped);
        let lookups = incompatible & LOOKUPS != 0;
        let excluded = form == FileForm::Canonical || incompatible & COMPRESSIONS != 0;
        if reserved != 0 || stamped != (incompatible & STAMPS != 0) || (lookups && excluded) {
            return Err(Error::corrupted("the header contradicts its feature bits"));
        }
        Ok((spec, lookups))
    }

    fn decode_body(input: &mut Input<'_>, form: FileForm) -> Result<Self> {
        let key = input.record("key identity", schema::key)?;
        let groups = MaxParallelism::new(u32::from(input.u16("maximum parallelism")?))
            .map_err(schema::invalid)?;
        let (start, end) = (input.u16("first key group")?, input.u16("last key group")?);
        let range = KeyGroupRange::new(start, end).map_err(schema::invalid)?;
        let count = usize::from(input.u16("number of states")?);
        let most = input.remaining() / schema::LEAST_STATE_BYTES;
        let mut states = Vec::with_capacity(count.min(most));
        for _ in 0..count {
            states.push(input.record("state", schema::state)?);
        }
        input.end("header")?;
        Ok(Self { key, groups, range, states, form })
    }
}
