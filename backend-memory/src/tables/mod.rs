//! The tables of a store: one per state, specialised for the widths of its keys and values.
//!
//! * [`shape`]: how key and namespace become a table's key;
//! * [`any`]: the closed set of table types, and how to be generic over it;
//! * [`state`]: a state: its table and what its changes must record.

pub(crate) mod any;
pub(crate) mod shape;
pub(crate) mod state;
