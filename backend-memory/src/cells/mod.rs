//! What the tables of this backend hold besides plain values: lists and maps.
//!
//! * [`list`]: a list in chunks, appended without rewriting, shared with snapshots;
//! * [`leaf`]: a sorted run of map entries in one block of memory;
//! * [`map`]: a map as one leaf, or as many; [`many`]: a sorted row of leaves, shared with snapshots;
//! * [`value`]: how values of fixed and of any width are read and written in place.
//!
//! Cells record in which epoch their parts last changed, so that an increment holds the elements and
//! map entries that changed and not whole lists and maps.

pub(crate) mod leaf;
pub(crate) mod list;
mod many;
pub(crate) mod map;
pub(crate) mod value;

use crate::table::Epoch;

/// What a cell must know of its table to record a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The epoch in which the change happens: above that of every snapshot so far.
    pub(crate) epoch: Epoch,
    /// The oldest epoch on which an increment may still build; `None` where none may.
    pub(crate) horizon: Option<Epoch>,
}
