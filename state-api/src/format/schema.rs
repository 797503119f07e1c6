//! Schemas, state descriptions and key identities, as both formats record them.
//!
//! | structure | fields |
//! |---|---|
//! | schema | string codec, varint version, string shape, `u8` has width, varint width |
//! | state | string name, `u8` kind, `u8` flags, namespace schema?, map key schema?, value schema, varint size limit |
//! | key identity | schema of the key, string placement hash |
//!
//! Flags: 1 stamped, 2 has a namespace, 4 has a map key.

use super::wire::{Input, out_of_range, put_bytes, put_varint};
use crate::schema::{CodecSchema, KeyIdentity, StateKind, StateMeta};
use crate::{Error, Result};

const STAMPED: u8 = 1;
const HAS_NAMESPACE: u8 = 2;
const HAS_MAP_KEY: u8 = 4;

/// The fewest bytes of an encoded state: an empty name is one, but refused later.
pub(crate) const LEAST_STATE_BYTES: usize = 8;

fn put_schema(out: &mut Vec<u8>, schema: &CodecSchema) {
    put_bytes(out, schema.codec.as_bytes());
    put_varint(out, u64::from(schema.version));
    put_bytes(out, schema.shape.as_bytes());
    out.push(u8::from(schema.width.is_some()));
    if let Some(width) = schema.width {
        put_varint(out, u64::from(width));
    }
}

fn schema(input: &mut Input<'_>) -> Result<CodecSchema> {
    let codec = input.string("codec name")?.to_owned().into();
    let version = input.varint_u32("codec version")?;
    let shape = input.string("codec shape")?.to_owned().into();
    let width =
        if input.flag("width flag")? { Some(input.varint_u32("codec width")?) } else { None };
    Ok(CodecSchema { codec, version, shape, width })
}

/// Appends a key identity.
pub(crate) fn put_key(out: &mut Vec<u8>, key: &KeyIdentity) {
    put_schema(out, &key.codec);
    put_bytes(out, key.hash.as_bytes());
}

/// Reads a key identity.
pub(crate) fn key(input: &mut Input<'_>) -> Result<KeyIdentity> {
    Ok(KeyIdentity {
        codec: schema(input)?,
        hash: input.string("placement hash")?.to_owned().into(),
    })
}

const fn kind_code(kind: StateKind) -> u8 {
    match kind {
        StateKind::Value => 0,
        StateKind::List => 1,
        StateKind::Reducing => 2,
        StateKind::Aggregating => 3,
        StateKind::Map => 4,
        StateKind::Ordered => 5,
    }
}

fn kind(code: u8) -> Result<StateKind> {
    Ok(match code {
        0 => StateKind::Value,
        1 => StateKind::List,
        2 => StateKind::Reducing,
        3 => StateKind::Aggregating,
        4 => StateKind::Map,
        5 => StateKind::Ordered,
        other => return Err(out_of_range("state kind", u64::from(other))),
    })
}

/// Appends a state.
pub(crate) fn put_state(out: &mut Vec<u8>, meta: &StateMeta) {
    put_bytes(out, meta.name.as_bytes());
    out.push(kind_code(meta.kind));
    let flag = |is: bool, bit: u8| if is { bit } else { 0 };
    out.push(
        flag(meta.stamped, STAMPED)
            | flag(meta.namespace.is_some(), HAS_NAMESPACE)
            | flag(meta.map_key.is_some(), HAS_MAP_KEY),
    );
    for schema in meta.namespace.iter().chain(&meta.map_key) {
        put_schema(out, schema);
    }
    put_schema(out, &meta.value);
    put_varint(out, meta.size_limit);
}

/// Reads a state.
pub(crate) fn state(input: &mut Input<'_>) -> Result<StateMeta> {
    let name = input.string("state name")?.into();
    let kind = kind(input.u8("state kind")?)?;
    let flags = input.u8("state flags")?;
    if flags & !(STAMPED | HAS_NAMESPACE | HAS_MAP_KEY) != 0 {
        return Err(out_of_range("state flags", u64::from(flags)));
    }
    let mut optional = |bit: u8| (flags & bit != 0).then(|| schema(input)).transpose();
    let namespace = optional(HAS_NAMESPACE)?;
    let map_key = optional(HAS_MAP_KEY)?;
    let meta = StateMeta {
        name,
        kind,
        namespace,
        map_key,
        value: schema(input)?,
        size_limit: input.varint("size limit")?,
        stamped: flags & STAMPED != 0,
    };
    meta.validate().map_err(invalid)?;
    Ok(meta)
}

/// Turns a refusal of what a file says into damage of the file.
#[cold]
pub(crate) fn invalid(error: Error) -> Error {
    Error::corrupted(error.message()).with_source(error)
}
