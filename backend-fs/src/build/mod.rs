//! Making segments: from a layer, from files of other backends, from other segments.
//!
//! * [`gather`] sorts what files have of some key groups, in whatever order they have it;
//! * [`convert`] writes a segment of it;
//! * [`merge`] joins segments, which are sorted already; `heads` says which of them come next.

pub(crate) mod convert;
pub(crate) mod gather;
mod heads;
pub(crate) mod merge;
