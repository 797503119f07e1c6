//! What a snapshot records about types: codec identities, state descriptions, the key space.
//!
//! A state's bytes mean something only together with the codecs that wrote them. [`CodecSchema`]
//! names a codec, its version and the shape of the type; [`StateMeta`] describes a state;
//! [`KeySpace`] says how keys are encoded and placed and which key groups a store owns. Snapshots
//! record all three, and restore compares them: *as is*, *after migration*, or *incompatible* with a
//! reason ([`Compatibility`]).

use std::borrow::Cow;
use std::fmt;

use crate::codec::KeyCodec;
use crate::key_group::GroupFinder;
use crate::{
    Error, KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, Result, StableHash, hash_bytes,
    stable_placement,
};

/// The identity of a codec and the shape of what it encodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodecSchema {
    /// The codec's name, such as `native` or `postcard`.
    pub codec: Cow<'static, str>,
    /// The version of the codec's encoding.
    pub version: u32,
    /// The encoded type as the codec names it, such as `u64` or `(str,i32)`.
    pub shape: Cow<'static, str>,
    /// The width of every encoding in bytes, where it is fixed.
    pub width: Option<u32>,
}

impl fmt::Display for CodecSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.codec, self.version, self.shape)
    }
}

/// May bytes written under one schema be used under another?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compatibility {
    /// The bytes are right as they are.
    AsIs,
    /// Every value must be rewritten by [`Codec::migrate`](crate::codec::Codec::migrate).
    AfterMigration,
    /// They cannot be used; says why.
    Incompatible(String),
}

/// The kinds of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateKind {
    /// One value per key and namespace.
    Value,
    /// A list of elements in append order.
    List,
    /// One value into which others are folded.
    Reducing,
    /// One accumulator, from which a result is derived.
    Aggregating,
    /// A map, ordered by the bytes of its keys.
    Map,
    /// An ordered set per key group. Reserved for timers: stores may refuse it as `Unsupported`.
    Ordered,
}

impl StateKind {
    /// The lower-case name used in messages and listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::List => "list",
            Self::Reducing => "reducing",
            Self::Aggregating => "aggregating",
            Self::Map => "map",
            Self::Ordered => "ordered",
        }
    }

    /// Whether an entry holds exactly one value that is read, replaced and folded as a whole.
    pub const fn is_single_value(self) -> bool {
        matches!(self, Self::Value | Self::Reducing | Self::Aggregating)
    }
}

/// The default limit of an accumulating state: 2^31 - 1 bytes.
pub const DEFAULT_SIZE_LIMIT: u64 = (1 << 31) - 1;

/// The longest state name, in bytes.
pub const MAX_STATE_NAME_BYTES: usize = 255;

/// What a store and a snapshot know about a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateMeta {
    /// The state's name, unique within a store: 1 to 255 bytes.
    pub name: Box<str>,
    /// Its kind.
    pub kind: StateKind,
    /// The namespace's codec, for states that have namespaces.
    pub namespace: Option<CodecSchema>,
    /// The map key's codec, for maps.
    pub map_key: Option<CodecSchema>,
    /// The codec of values, elements, accumulators or map values.
    pub value: CodecSchema,
    /// The largest size an entry may reach, in bytes: of a list the sum of 4 + payload over its
    /// elements, otherwise the encoded value (of a map, each value).
    pub size_limit: u64,
    /// Whether every value, element or map value begins with an 8-byte stamp (expiry), which counts
    /// neither as payload nor against the limit.
    pub stamped: bool,
}

impl StateMeta {
    /// Checks name, parts and limit.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) that names what is wrong.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::invalid_input(what).with_state(self.name.clone()));
        if self.name.is_empty() || self.name.len() > MAX_STATE_NAME_BYTES {
            return refuse(format!(
                "a state name must have 1 to {MAX_STATE_NAME_BYTES} bytes, not {}",
                self.name.len()
            ));
        }
        if self.name.chars().any(char::is_control) {
            return refuse("a state name must not hold control characters".to_owned());
        }
        if (self.kind == StateKind::Map) != self.map_key.is_some() {
            return refuse("exactly the map states have a map key codec".to_owned());
        }
        if self.size_limit == 0 {
            return refuse("the size limit must be above 0 bytes".to_owned());
        }
        Ok(())
    }

    /// Bytes in front of each payload that belong to the stamp: 8 or 0.
    pub const fn stamp_bytes(&self) -> usize {
        if self.stamped { 8 } else { 0 }
    }

    /// Refuses `size` bytes if they are above the limit.
    ///
    /// # Errors
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) with state, key group, size and limit.
    #[inline]
    pub fn check_size(&self, key_group: impl FnOnce() -> KeyGroup, size: u64) -> Result<()> {
        if size <= self.size_limit {
            return Ok(());
        }
        Err(Error::limit_exceeded(
            &self.name,
            Some(key_group()),
            size,
            self.size_limit,
            "clear or split the entry, or raise the state's size limit",
        ))
    }

    /// Refuses an entry of `bytes` bytes with `elements` values in it (1, but for lists) if it is above
    /// the limit; stamps do not count. The key group is asked for where it is refused.
    ///
    /// # Errors
    /// As [`check_size`](Self::check_size), and what `key_group` returns.
    #[inline]
    pub fn check_entry(
        &self,
        key_group: impl FnOnce() -> Result<KeyGroup>,
        bytes: u64,
        elements: u64,
    ) -> Result<()> {
        let size = bytes.saturating_sub(elements.saturating_mul(self.stamp_bytes() as u64));
        if size <= self.size_limit {
            return Ok(());
        }
        let group = key_group()?;
        self.check_size(|| group, size)
    }

    /// How this description relates to the one found in a snapshot, apart from the value's codec,
    /// which only the typed layer can judge.
    ///
    /// # Errors
    /// [`Incompatible`](crate::ErrorKind::Incompatible), naming the part that differs. Namespace and
    /// map key must be as they were: they are never rewritten.
    pub fn check_against(&self, restored: &Self) -> Result<()> {
        let refuse = |part: &str, was: &dyn fmt::Display, is: &dyn fmt::Display| {
            let text = format!("the {part} was {was} in the snapshot and is {is} now");
            Err(Error::incompatible(text).with_state(self.name.clone()))
        };
        if self.kind != restored.kind {
            return refuse("kind", &restored.kind.name(), &self.kind.name());
        }
        if self.namespace != restored.namespace {
            return refuse("namespace codec", &Shown(&restored.namespace), &Shown(&self.namespace));
        }
        if self.map_key != restored.map_key {
            return refuse("map key codec", &Shown(&restored.map_key), &Shown(&self.map_key));
        }
        if self.stamped != restored.stamped {
            return refuse("stamping", &restored.stamped, &self.stamped);
        }
        Ok(())
    }
}

struct Shown<'a>(&'a Option<CodecSchema>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(schema) => schema.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// How keys are encoded and hashed: recorded in every snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyIdentity {
    /// The key's codec.
    pub codec: CodecSchema,
    /// The placement hash, such as `xxh3/1`.
    pub hash: Cow<'static, str>,
}

/// Computes the placement value of an encoded key, for stores that keep only bytes.
#[derive(Clone, Copy, Debug)]
enum Placement {
    Stable,
    Typed(fn(&[u8]) -> Result<u32>),
}

/// The keys of a store: their identity, how many key groups there are, and which it owns.
#[derive(Clone, Debug)]
pub struct KeySpace {
    identity: KeyIdentity,
    placement: Placement,
    groups: MaxParallelism,
    finder: GroupFinder,
    range: KeyGroupRange,
}

impl KeySpace {
    /// The key space of keys `K`, encoded by `C` and placed by `H`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if `range` is not within `groups`.
    pub fn of<K, C: KeyCodec<K>, H: KeyHash<K>>(
        groups: MaxParallelism,
        range: KeyGroupRange,
    ) -> Result<Self> {
        if !groups.all().covers(range) {
            return Err(Error::invalid_input(format!(
                "key groups {range} are not within the maximum parallelism {groups}"
            )));
        }
        let placement = if H::ID == <StableHash as KeyHash<K>>::ID {
            Placement::Stable
        } else {
            Placement::Typed(|bytes| {
                let (key, _) = C::decode_key(bytes)?;
                Ok(H::placement(&key, bytes, hash_bytes(bytes)))
            })
        };
        let codec = C::key_schema();
        let identity = KeyIdentity { codec, hash: H::ID.into() };
        let finder = GroupFinder::new(groups);
        Ok(Self { identity, placement, groups, finder, range })
    }

    /// Codec and hash of the keys.
    pub const fn identity(&self) -> &KeyIdentity {
        &self.identity
    }

    /// The number of key groups.
    pub const fn groups(&self) -> MaxParallelism {
        self.groups
    }

    /// The key groups that the store owns.
    pub const fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// The same key space with other key groups.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if `range` is not within the groups.
    pub fn with_range(&self, range: KeyGroupRange) -> Result<Self> {
        if !self.groups.all().covers(range) {
            return Err(Error::invalid_input(format!(
                "key groups {range} are not within the maximum parallelism {}",
                self.groups
            )));
        }
        Ok(Self { range, ..self.clone() })
    }

    /// The placement value of an encoded key with hash `hash`.
    ///
    /// # Errors
    /// [`Corrupted`](crate::ErrorKind::Corrupted) if the hash needs the typed key and the bytes are
    /// not a key.
    #[inline]
    pub fn placement_of(&self, key: &[u8], hash: u64) -> Result<u32> {
        match self.placement {
            Placement::Stable => Ok(stable_placement(hash)),
            Placement::Typed(function) => function(key),
        }
    }

    /// The key group of an encoded key.
    ///
    /// # Errors
    /// As [`placement_of`](Self::placement_of).
    #[inline]
    pub fn group_of(&self, key: &[u8]) -> Result<KeyGroup> {
        Ok(self.finder.group_of(self.placement_of(key, hash_bytes(key))?))
    }

    /// Refuses a snapshot whose keys are encoded or placed in another way.
    ///
    /// # Errors
    /// [`Incompatible`](crate::ErrorKind::Incompatible), naming both.
    pub fn check_restorable(&self, identity: &KeyIdentity, groups: MaxParallelism) -> Result<()> {
        if self.identity != *identity {
            return Err(Error::incompatible(format!(
                "keys were encoded by {} and placed by {} in the snapshot, and are by {} and {} now",
                identity.codec, identity.hash, self.identity.codec, self.identity.hash
            )));
        }
        if self.groups != groups {
            return Err(Error::incompatible(format!(
                "the snapshot has maximum parallelism {groups}, the job {}",
                self.groups
            )));
        }
        Ok(())
    }
}
