//! The closed set of table types.
//!
//! Widths are known when a state is registered, types when this crate is compiled: each enum lists the
//! combinations that get a table of their own, and everything else goes into tables for any width. A
//! store matches once per operation; the arms are monomorphic.

use alluvium_state_api::hash_bytes;

use super::shape::hash_of_8;
use crate::cells::list::ListCell;
use crate::cells::map::MapCell;
use crate::table::{Blob, Fixed, Seed, Table, VarKey};

/// The table behind a state. One discriminant tells what a table of values is, since the shortest way of a record asks
/// nothing else: a load more, and fewer accesses wait for memory at once.
#[derive(Debug)]
pub(crate) enum AnyTable {
    /// Values of 8 bytes under keys of 8, both as they come: what has these widths needs no further check.
    Numbers(Table<[u8; 8], Fixed<8>>),
    /// Keys of 8 bytes, values of 8.
    K8V8(Table<[u8; 8], Fixed<8>>),
    /// Keys of 8 bytes, values of 16.
    K8V16(Table<[u8; 8], Fixed<16>>),
    /// Keys of 8 bytes, any values.
    K8(Table<[u8; 8], Blob>),
    /// Keys of 16 bytes, values of 8.
    K16V8(Table<[u8; 16], Fixed<8>>),
    /// Keys of 16 bytes, any values.
    K16(Table<[u8; 16], Blob>),
    /// Any keys, values of 8 bytes.
    V8(Table<VarKey, Fixed<8>>),
    /// Any keys and values.
    Any(Table<VarKey, Blob>),
    Lists(Lists),
    Maps(Maps),
}

impl AnyTable {
    /// An empty table of values for these widths, in bytes. Where values are `plain`, any of the right width is within the
    /// state's limit, and keys have no namespace.
    pub(crate) fn values(
        (key, value): (Option<usize>, Option<usize>),
        plain: bool,
        seed: Seed,
    ) -> Self {
        match (key, value) {
            (Some(8), Some(8)) if plain => Self::Numbers(Table::new(seed, hash_of_8)),
            (Some(8), Some(8)) => Self::K8V8(Table::new(seed, hash_of_8)),
            (Some(8), Some(16)) => Self::K8V16(Table::new(seed, hash_of_8)),
            (Some(8), _) => Self::K8(Table::new(seed, hash_of_8)),
            (Some(16), Some(8)) => Self::K16V8(Table::new(seed, hash_bytes)),
            (Some(16), _) => Self::K16(Table::new(seed, hash_bytes)),
            (_, Some(8)) => Self::V8(Table::new(seed, hash_bytes)),
            _ => Self::Any(Table::new(seed, hash_bytes)),
        }
    }
}

/// A table of lists.
#[derive(Debug)]
pub(crate) enum Lists {
    /// Keys of 8 bytes.
    K8(Table<[u8; 8], ListCell>),
    /// Keys of 16 bytes.
    K16(Table<[u8; 16], ListCell>),
    /// Any keys.
    Any(Table<VarKey, ListCell>),
}

impl Lists {
    /// An empty table for keys of this width, in bytes.
    pub(crate) fn new(key: Option<usize>, seed: Seed) -> Self {
        match key {
            Some(8) => Self::K8(Table::new(seed, hash_of_8)),
            Some(16) => Self::K16(Table::new(seed, hash_bytes)),
            _ => Self::Any(Table::new(seed, hash_bytes)),
        }
    }
}

/// A table of maps.
#[derive(Debug)]
pub(crate) enum Maps {
    /// Keys of 8 bytes.
    K8(Table<[u8; 8], MapCell>),
    /// Keys of 16 bytes.
    K16(Table<[u8; 16], MapCell>),
    /// Any keys.
    Any(Table<VarKey, MapCell>),
}

impl Maps {
    /// An empty table for keys of this width, in bytes.
    pub(crate) fn new(key: Option<usize>, seed: Seed) -> Self {
        match key {
            Some(8) => Self::K8(Table::new(seed, hash_of_8)),
            Some(16) => Self::K16(Table::new(seed, hash_bytes)),
            _ => Self::Any(Table::new(seed, hash_bytes)),
        }
    }
}

/// Evaluates an expression with the table of values behind an [`AnyTable`], whatever its type; the arms that follow say what
/// to do with other tables.
macro_rules! with_values {
    ($any:expr, $table:ident => $body:expr, { $($others:tt)* }) => {
        match $any {
            $crate::tables::any::AnyTable::Numbers($table) => $body,
            $crate::tables::any::AnyTable::K8V8($table) => $body,
            $crate::tables::any::AnyTable::K8V16($table) => $body,
            $crate::tables::any::AnyTable::K8($table) => $body,
            $crate::tables::any::AnyTable::K16V8($table) => $body,
            $crate::tables::any::AnyTable::K16($table) => $body,
            $crate::tables::any::AnyTable::V8($table) => $body,
            $crate::tables::any::AnyTable::Any($table) => $body,
            $($others)*
        }
    };
}

/// Evaluates an expression with the table behind a [`Lists`] or [`Maps`], whatever its type.
macro_rules! with_keyed {
    ($kind:ident, $any:expr, $table:ident => $body:expr) => {
        match $any {
            $crate::tables::any::$kind::K8($table) => $body,
            $crate::tables::any::$kind::K16($table) => $body,
            $crate::tables::any::$kind::Any($table) => $body,
        }
    };
}

pub(crate) use {with_keyed, with_values};
